"""The bootstrap of 10,000 draws on 10,000 records on one core: seconds, peak memory, and the rates of groups beside fairlearn.

Every case runs in a process of its own that has one thread and loads no torch. Processor time, the least of some turns: on a
machine with other work the clock on the wall tells of that work too.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from fairbench.metric import Metric

ROOT = Path(__file__).parents[2]
RECORDS, DRAWS = 10_000, 10_000
RECORDS_A_CLUSTER = 5

ASKED = {"means": 2.0, "ranks": 20.0}
"""Seconds for metrics made of means and rates, and for those made of ranks."""

ASKED_MEMORY = 500.0
"""MB at the highest, interpreter and libraries included."""

ASKED_RATIO = 50.0
"""So many times as long does fairlearn take for a draw."""

MOST_TURNS = 3

PEER_DRAWS = 200
PEER_GROUPS = (2, 10)
MOST_ERRORS = 4.5
"""Ends of intervals may be so many Monte Carlo errors apart: one of two dozen is beyond it by chance in one of 6,000 runs."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A metric on a made-up table.

    Attributes:
        kind: "means" or "ranks".
        groups: how many the records speak of; each speaks of one.
        classes: of the classifier.
        clustered: records come in clusters of some RECORDS_A_CLUSTER.
    """

    metric: str
    kind: str = "means"
    groups: int = 1
    classes: int = 2
    clustered: bool = False

    @property
    def name(self) -> str:
        """The case in words."""
        many = f", {self.groups} groups" * (self.groups > 1) + f", {self.classes} classes" * (self.classes > 2)
        return f"{self.metric}{many}{', clusters' * self.clustered}"


CASES = (
    Case("crows_pairs"),
    Case("crows_pairs", clustered=True),
    Case("crows_pairs_margin"),
    Case("crows_pairs_margin", clustered=True),
    Case("accuracy"),
    Case("accuracy", clustered=True),
    Case("macro_f1", classes=28),
    Case("demographic_parity_difference", groups=2),
    Case("demographic_parity_difference", groups=10),
    Case("demographic_parity_difference", groups=10, clustered=True),
    Case("tpr_gap", groups=2),
    Case("tpr_gap", groups=10, clustered=True),
    Case("rms_tpr_gap", groups=2, classes=28),
    Case("rms_tpr_gap", groups=2, classes=28, clustered=True),
    Case("toxicity_gap", groups=10),
    Case("roc_auc", "ranks"),
    Case("roc_auc", "ranks", clustered=True),
    Case("subgroup_auc", "ranks", groups=10),
    Case("bpsn_auc", "ranks", groups=10),
    Case("bpsn_auc", "ranks", groups=10, clustered=True),
    Case("jigsaw_score", "ranks", groups=10),
    Case("jigsaw_score", "ranks", groups=10, clustered=True),
)


def compare(repeats: int) -> Iterator[dict[str, Any]]:
    """What was found of every case, in the order of CASES.

    Its `name` and `kind`; `seconds` of the bootstrap, and how many `draws` that made; seconds of the `whole` score as a user asks
    for it (with test, floor and the compared figures; of ranks with as many draws as the card says); MB of `memory` at most, and
    `before` the large table.
    """
    for number, case in enumerate(CASES):
        yield {"name": case.name, "kind": case.kind, **_child(str(number), repeats)}


def beside_fairlearn(repeats: int) -> list[dict[str, Any]]:
    """By number of groups: milliseconds a draw of both (`peer`, `ours`), their `ratio`, and `errors` between intervals' ends."""
    found: list[dict[str, Any]] = _child("peer", repeats)
    return found


def table(case: Case) -> pd.DataFrame:
    """RECORDS rows whose groups differ a little."""
    import pandas as pd

    rng = np.random.default_rng(0)
    label, group = rng.integers(0, case.classes, RECORDS), rng.integers(0, case.groups, RECORDS)
    score = np.clip(rng.normal(0.35 + 0.3 * (label == 1) + 0.01 * group, 0.2), 0.001, 0.999)
    found: dict[str, Any] = {"id": [f"r{i:05}" for i in range(RECORDS)], "group": [f"g{number}" for number in group]}
    if case.clustered:
        found["cluster"] = [f"c{i:04}" for i in rng.integers(0, RECORDS // RECORDS_A_CLUSTER, RECORDS)]
    if case.metric.startswith("crows_pairs"):
        found |= {"score_more": rng.normal(size=RECORDS), "score_less": rng.normal(size=RECORDS)}
    elif case.metric.startswith("toxicity"):
        found |= {"toxicity": score}
    elif case.classes == 2:
        found |= {"label": label, "probs": [[1 - s, s] for s in score.tolist()]}
    else:
        found |= {
            "label": label,
            "prediction": np.where(rng.random(RECORDS) < 0.7, label, rng.integers(0, case.classes, RECORDS)),
        }
    return pd.DataFrame(found)


def _child(what: str, repeats: int) -> Any:
    """What this file prints when it is run for a case."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.bench.bootstrap", what, str(min(repeats, MOST_TURNS))]
    return json.loads(subprocess.run(command, check=True, env=environment, cwd=ROOT, capture_output=True, text=True).stdout)


def _least(repeats: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """The least processor time of some turns, and what came out."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        out = work()
        times.append(time.process_time() - start)
    return min(times), out


def _peak() -> float:
    """The most memory that this process has had, in MB. (`ru_maxrss` starts from that of the process that started it.)"""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def _drawing(metric: Metric, answers: pd.DataFrame) -> Callable[[], int]:
    """The bootstrap alone, from a table that is ready to intervals: how many draws it made, whatever the metric's card says."""
    from fairbench.disparity.findings import find, interval, rate_scores
    from fairbench.disparity.rate_disparity import RateDisparity
    from fairbench.metric import MeasureOptions
    from fairbench.resampling import interval_of
    from fairbench.tables import complete, usable

    how = MeasureOptions(draws=DRAWS)
    metric = dataclasses.replace(metric, info=dataclasses.replace(metric.info, most_draws=None))
    ready = usable(complete(answers, metric.info), metric.info)[0]
    value = float(metric.values(ready, np.ones((1, len(ready))), how.seed)[0])

    def of_value() -> int:
        found = interval_of(metric, ready, value, how)[0]
        assert found is not None, metric.name
        return int(found.method.split(" draws")[0].split()[-1])

    def of_differences() -> int:
        assert isinstance(metric.disparity, RateDisparity)
        prepared = metric.disparity.ready(ready, metric.options)
        assert prepared is not None, metric.name
        findings = find(prepared[1], prepared[0], how)
        assert interval(findings, metric.info)[0] is not None and rate_scores(findings), metric.name
        return len(findings.drawn)

    return of_differences if metric.info.interval == "simultaneous" else of_value


def _measure(case: Case, repeats: int) -> dict[str, float]:
    from fairbench.measurement import measure
    from fairbench.metric import MeasureOptions
    from fairbench.registry import Registry

    metric, answers = Registry().metric(case.metric).with_options({}), table(case)
    measure(metric, answers[:500], MeasureOptions(draws=100))  # so that all is imported
    assert "torch" not in sys.modules
    before = _peak()
    seconds, draws = _least(repeats, _drawing(metric, answers))
    whole, score = _least(1, lambda: measure(metric, answers, MeasureOptions(draws=DRAWS, by_group=False)))
    assert score.interval is not None, case.name
    return {"seconds": seconds, "draws": draws, "whole": whole, "memory": _peak(), "before": before}


def _beside_fairlearn(groups: int, repeats: int) -> dict[str, float]:
    """Selection rates of groups with intervals: by fairlearn a draw at a time, by ours with the whole score of the disparity."""
    from fairlearn.metrics import MetricFrame, selection_rate

    from fairbench.measurement import measure
    from fairbench.metric import MeasureOptions
    from fairbench.registry import Registry

    case = Case("demographic_parity_difference", groups=groups)
    metric, answers = Registry().metric(case.metric).with_options({}), table(case)
    answers["prediction"] = np.array([p[1] >= 0.5 for p in answers.pop("probs")]).astype(int)
    label, predicted, group = (answers[name].to_numpy() for name in ("label", "prediction", "group"))

    def frame(**how: Any) -> MetricFrame:
        return MetricFrame(metrics=selection_rate, y_true=label, y_pred=predicted, sensitive_features=group, **how)

    drawn = {"n_boot": PEER_DRAWS, "ci_quantiles": [0.025, 0.975], "random_state": 0}
    frame()
    measure(metric, answers[:500], MeasureOptions(draws=100))
    ours, score = _least(repeats, lambda: measure(metric, answers, MeasureOptions(draws=DRAWS)))
    once, _ = _least(repeats, frame)
    peer, found = _least(1, lambda: frame(**drawn))
    errors = []
    for name, rate in score.by_group.items():
        assert math.isclose(rate.value, found.by_group[name]), name
        # Standard error of a quantile q of B draws: sqrt(q (1 - q) / B) over the density there, of a normal one.
        density = math.exp(-(1.959964**2) / 2) / math.sqrt(2 * math.pi) / rate.stderr
        error = math.sqrt(0.025 * 0.975 * (1 / PEER_DRAWS + 1 / DRAWS)) / density
        ends = zip((rate.interval.low, rate.interval.high), (end[name] for end in found.by_group_ci), strict=True)
        errors += [abs(own - theirs) / error for own, theirs in ends]
    own, theirs = 1e3 * ours / DRAWS, 1e3 * (peer - once) / PEER_DRAWS
    return {"groups": groups, "ours": own, "peer": theirs, "ratio": theirs / own, "errors": max(errors)}


if __name__ == "__main__":
    if sys.argv[1] == "peer":
        print(json.dumps([_beside_fairlearn(groups, int(sys.argv[2])) for groups in PEER_GROUPS]))
    else:
        print(json.dumps(_measure(CASES[int(sys.argv[1])], int(sys.argv[2]))))
