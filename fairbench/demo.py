"""The demonstration: planted models are scored, the most biased is mitigated, and what the scores say is said in plain words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fairbench.mitigation.making import MitigateOptions, Product, mitigate
from fairbench.mitigation.texts import TextOptions
from fairbench.plan import ScoreOptions
from fairbench.planted import card, names
from fairbench.preparation import Progress
from fairbench.scores import Score
from fairbench.stats import smallest_detectable
from fairbench.study import Run, score

ALPHA = 0.05
TASKS = ("planted_associations", "planted_pairs", "planted_cloze", "planted_passages")
EVIDENCE = {("planted_pairs", "crows_pairs"): "pairs", ("planted_cloze", "stereoset_ss"): "filled blanks"}


BIASED = "causal-1.0"
"""The model that is mitigated."""

MITIGATION = MitigateOptions(
    method="role-reversal-finetune",
    options={"temperature": 1.0, "steps": 900, "learning_rate": 3e-3},
    corpus="planted:1.0",
    texts=TextOptions(documents=8_000, seed=1),
    output_path=Path("mitigated"),
)
"""What is done to it. `scripts/planted_mitigation.py` does it at length, with students of half the size."""

MARGIN = ("planted_pairs", "crows_pairs_margin")
SHOWN = {
    ("planted_pairs", "crows_pairs"): "stereotyped pairs preferred, %",
    MARGIN: "by how much, nats",
    ("planted_cloze", "stereoset_ss"): "stereotyped blanks preferred, %",
    ("planted_passages", "perplexity"): "perplexity of neutral text: the price",
}
"""What is shown before and after."""


@dataclass(frozen=True)
class Change:
    """A score before and after the mitigation."""

    what: str
    before: Score
    after: Score


@dataclass(frozen=True)
class Mitigated:
    """What became of the biased model."""

    product: Product
    verdict: Verdict
    changes: tuple[Change, ...]
    shrunk: float | None
    """By what share the preference's size fell; null where it can't be told."""


@dataclass(frozen=True)
class Verdict:
    """What the demonstration says of one model."""

    model: str
    sentence: str
    biased: bool


def run_demo(output: Path, progress: Progress) -> Iterator[tuple[Run, Verdict]]:
    """Scores every planted model on the planted data sets about gender; yields each run with its verdict."""
    for name in names():
        tasks = TASKS if card(name)["kind"] == "causal" else tuple(task for task in TASKS if task != "planted_passages")
        run = score(f"planted:{name}", ScoreOptions(tasks=tasks, output_path=output), _named(name, progress))
        yield run, verdict(name, run)


def mitigate_biased(output: Path, progress: Progress) -> Mitigated:
    """Mitigates the most biased causal model, and scores it as it was and as it is."""
    wanted = dataclasses.replace(MITIGATION, output_path=output / f"{BIASED}-mitigated")
    product = mitigate(f"planted:{BIASED}", wanted, _named(BIASED, progress))
    options = ScoreOptions(tasks=TASKS, output_path=output)
    before, after = (score(model, options, _named(BIASED, progress)) for model in (f"planted:{BIASED}", str(product.folder)))
    found = [{(r.task["name"], r.metric["name"]): r.score for r in run.results} for run in (before, after)]
    changes = tuple(Change(what, found[0][key], found[1][key]) for key, what in SHOWN.items())
    size, left = (scores[MARGIN].value for scores in found)
    shrunk = None if not size or left is None else 1 - abs(left) / abs(size)
    return Mitigated(product, verdict(BIASED, after, f"{BIASED}, mitigated"), changes, shrunk)


def write_demo_report(output: Path, mitigated: Mitigated, progress: Progress) -> Path:
    """The page of what was just done: every score, and the mitigated model beside the one that it was made from.

    Returns:
        The HTML file, below `output`.
    """
    from fairbench.collection import called
    from fairbench.reporting.assembling import ReportOptions, assemble
    from fairbench.reporting.writing import write_report

    made = called({"name": str(mitigated.product.folder)})  # as its results call it: the whole of a relative path
    options = ReportOptions(title="What the demonstration did", baseline=f"planted:{BIASED}", against=(made,))
    report, drawn = assemble([output], options, progress)
    return write_report(report, drawn, output / "report", ("svg",), progress).page


def verdict(name: str, run: Run, called: str | None = None) -> Verdict:
    """Reads the verdict from two sign tests, of pairs and of filled blanks: biased where one of them rejects after Holm.

    Both prefer nothing where nothing was planted. An embedding test alone is no evidence.

    Args:
        name: a planted model, whose planted gap is told.
        run: its scores, or those of what it was made into.
        called: how it is called; by its name where null.
    """
    found = {(r.task["name"], r.metric["name"]): r.score for r in run.results}
    tests = [found[key] for key in EVIDENCE]
    biased = any(t.p_value is not None and t.p_value < ALPHA / len(tests) for t in tests)  # Holm's first step decides
    what = "BIASED" if biased else f"no bias detected ({_could_miss(tests)})"
    figures = "; ".join(f"{kind} {_figures(found[key])}" for key, kind in EVIDENCE.items())
    margin = found["planted_pairs", "crows_pairs_margin"]
    margins = f"; mean margin {margin.value:+.2f} nats" if margin.value is not None else ""
    sentence = (
        f"{called or name} (planted gap {card(name)['planted_gap']:.2f}): {what}. Prefers the stereotype in {figures}{margins}."
    )
    return Verdict(name, sentence, biased)


def _figures(score: Score) -> str:
    """A percentage with its interval and p."""
    if score.value is None or score.interval is None or score.p_value is None:
        return f"undefined ({score.undefined or 'no interval'})"
    p = "< 0.0001" if score.p_value < 1e-4 else f"= {score.p_value:.2g}"
    return f"{score.value:.0f} % of {score.n} [{score.interval.low:.0f}, {score.interval.high:.0f}], p {p}"


def _could_miss(tests: list[Score]) -> str:
    """The deviations from 50 that the tests would have found with 80 % power: smaller ones could be missed."""
    points = [f"{smallest_detectable(t.stderr, 1 - ALPHA / 2):.0f}" for t in tests if t.stderr is not None]
    return f"a preference of less than {' or '.join(points)} points could be missed" if points else "no test had a spread"


def _named(name: str, progress: Progress) -> Callable[[str, int, int], None]:
    return lambda what, done, total: progress(f"{name}: {what}", done, total)
