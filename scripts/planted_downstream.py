"""Does a classifier that learnt from biased labels show it, and one that learnt from balanced labels not? Trains, scores, prints.

Planted bios and comments at three dials of the training labels, fine-tuned from shipped models with three seeds each. The test
split is the same at every dial. For each metric: its mean by dial, in how many seeds it moved further from the balanced one with
every step of the dial, and how often its test says "a difference" at each dial. About half an hour of one core where nothing is
trained yet; what is there is taken up again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from fairbench.files import write_json
from fairbench.measurement import MeasureOptions
from fairbench.naming import metric_label
from fairbench.plan import ScoreOptions
from fairbench.results import Result
from fairbench.study import score

MODELS = ("masked-0.0", "masked-1.0", "causal-0.0")
SETS = ("bios", "comments")
DIALS = {"none": 0.0, "half": 0.5, "full": 1.0}
SEEDS = (0, 1, 2)
LEVEL = 0.05


def scores(models: Sequence[str], seeds: Sequence[int], output: Path, draws: int) -> pd.DataFrame:
    """Every metric of every set, dial and seed: a row a score."""
    rows = []
    for model in models:
        for seed in seeds:
            for kind in SETS:
                for dial in DIALS:
                    options = ScoreOptions(
                        tasks=(f"planted_{kind}_{dial}",),
                        probe={"train_seed": seed},
                        output_path=output,
                        measure=MeasureOptions(draws=draws, by_group=False),
                    )
                    run = score(f"planted:{model}", options)
                    assert not run.failed, run.failed
                    about = {"model": model, "set": kind, "dial": DIALS[dial], "seed": seed}
                    rows += [about | _row(found) for found in run.results]
                    print(f"{model}, {kind}, dial {dial}, seed {seed}", flush=True)
    return pd.DataFrame(rows)


def _row(found: Result) -> dict[str, Any]:
    """What is kept of a score."""
    interval = found.score.interval
    return {
        "metric": metric_label(found.metric["name"], found.metric["options"]),
        "value": found.score.value,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "p": found.score.p_value,
        "floor": found.score.floor,
        "ideal": found.score.ideal,
        "undefined": found.score.undefined,
    }


def curves(table: pd.DataFrame) -> pd.DataFrame:
    """For every model, set and metric: means by dial, seeds in which every step moved it, and tests that see a difference."""
    rows = []
    for key, part in table.groupby(["model", "set", "metric"], sort=False):
        by_dial = part.pivot_table(index="seed", columns="dial", values="value", dropna=False).astype(float)
        steps = np.diff(by_dial.to_numpy(), axis=1)
        tested = part[part["p"].notna()]
        rows.append(
            {
                **dict(zip(("model", "set", "metric"), key, strict=True)),
                **{f"at {dial:g}": value for dial, value in by_dial.mean().items()},
                "rises": f"{int((steps > 0).all(1).sum())}/{len(by_dial)}",
                "falls": f"{int((steps < 0).all(1).sum())}/{len(by_dial)}",
                **{
                    f"p < {LEVEL} at {dial:g}": f"{int((cells['p'] < LEVEL).sum())}/{len(cells)}"
                    for dial, cells in tested.groupby("dial")
                },
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Trains, scores, prints and keeps the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="shipped planted models to fine-tune")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS), help="seeds of the training")
    parser.add_argument("--runs", type=Path, default=Path(".planted/downstream"), help="classifiers and results; taken up again")
    parser.add_argument("--output-path", type=Path, default=Path("results/planted"), help="folder of the table that is kept")
    parser.add_argument("--draws", type=int, default=2_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = scores(options.models, options.seeds, options.runs, options.draws)
    found = curves(table)
    shown = {c: found[c].map(lambda v: "" if pd.isna(v) else f"{v:.3f}") for c in found.columns if found[c].dtype == float}
    print(found.assign(**shown).fillna("").to_string(index=False))
    options.output_path.mkdir(parents=True, exist_ok=True)
    kept = {
        name: frame.astype(object).where(frame.notna(), None).to_dict("records")
        for name, frame in (("curves", found), ("scores", table))
    }
    write_json(options.output_path / "downstream.json", kept)


if __name__ == "__main__":
    main()
