"""Does every metric see planted bias, and nothing where none was planted? Trains what is missing, scores it, prints a table.

Five dials and three seeds of causal and masked models. For each metric: Spearman's correlation of its value with the gap that the
models learnt (not with the one that was planted: an undertrained model looks fair), over the means of the seeds and over single
models; and at dial 0 whether the interval covers the ideal. Takes about an hour where no model is there yet.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr

from fairbench.files import write_json
from fairbench.measurement import MeasureOptions
from fairbench.plan import ScoreOptions
from fairbench.planted import library
from fairbench.registry import Registry
from fairbench.study import score

DIALS = (0.0, 0.25, 0.5, 0.75, 1.0)
SEEDS = (0, 1, 2)
STEPS = {"causal": 3_200, "masked": 8_000}
"""Masked models at a quarter of the dial need more steps than the shipped ones before they have learnt it."""

PAIRS, CLOZES = ("planted_pairs",), ("planted_cloze", "planted_cloze_after")
WORDS = ("planted_associations", "planted_contexts", "planted_slots", "planted_fills")
VARIANTS: dict[str, list[tuple[tuple[str, ...], dict[str, str]]]] = {
    "causal": [
        ((*PAIRS, *CLOZES, *WORDS, "planted_descriptions"), {}),
        ((*PAIRS, *CLOZES), {"scorer": "mean"}),
        (("planted_slots",), {"scorer": "sum"}),
        (("planted_associations",), {"layer": "-1"}),
    ],
    "masked": [
        ((*PAIRS, "planted_cloze", *WORDS), {}),
        *((PAIRS, {"scorer": scorer}) for scorer in ("pll", "pll-changed", "aul", "aula")),
        (("planted_associations",), {"layer": "-1"}),
    ],
}
GENERATION: dict[str, list[tuple[tuple[str, ...], dict[str, str]]]] = {
    "causal": [(("planted_prompts",), {"sampling_seed": seed}) for seed in ("0", "1", "2")] + [(("planted_choices",), {})],
}
"""What models write and choose; a seed of their sampling is one draw."""

SETS = {"curves": VARIANTS, "generation": GENERATION}
"""By the name of the file that keeps them."""

FALLS = ("stereoset_icat",)
"""Scores whose better end is the larger one: bias lowers them."""


def models(folder: Path, kind: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The folders of one kind's models with their cards: the shipped ones, and others that are trained where they are absent."""
    for seed in SEEDS:
        for dial in DIALS:
            name = f"{kind}-{dial}"
            # The shipped masked models had fewer steps than these curves ask for.
            shipped = seed == 0 and name in library.names() and library.card(name)["steps"] == STEPS[kind]
            place = library.folder(name) if shipped else folder / f"seed{seed}" / "models" / name
            if not (place / "card.json").is_file():
                library.build(
                    folder / f"seed{seed}", kinds=(kind,), dials=(dial,), seed=seed, steps=STEPS[kind], keep_undertrained=True
                )
            yield place, json.loads((place / "card.json").read_text(encoding="utf-8"))


def scores(folder: Path, output: Path, draws: int, which: str = "curves") -> pd.DataFrame:
    """Every metric of a set on every model: a row a score."""
    rows = []
    for kind, variants in SETS[which].items():
        for place, card in models(folder, kind):
            for tasks, probe in variants:
                options = ScoreOptions(
                    tasks=tasks, probe=probe, output_path=output, measure=MeasureOptions(draws=draws, by_group=False)
                )
                run = score(str(place), options)
                assert not run.failed, run.failed
                for found in run.results:
                    interval = found.score.interval
                    rows.append(
                        {
                            "kind": kind,
                            "dial": card["dial"],
                            "seed": card["seed"],
                            "learned": card["learned_gap"],
                            "undertrained": "undertrained" in card,
                            "task": found.task["name"],
                            "metric": found.metric["name"],
                            "options": ",".join(f"{k}={v}" for k, v in probe.items()) or "default",
                            "value": found.score.value,
                            "low": interval.low if interval else None,
                            "high": interval.high if interval else None,
                            "p": found.score.p_value,
                            "ideal": found.score.ideal,
                            "undefined": found.score.undefined,
                        }
                    )
            print(f"{card['name']}, seed {card['seed']}: learned gap {card['learned_gap']:.2f}", flush=True)
    return pd.DataFrame(rows)


def curves(table: pd.DataFrame) -> pd.DataFrame:
    """For every metric: Spearman with the learned gap, means by dial, and how often the interval covers the ideal at dial 0."""
    rows = []
    for key, part in table.groupby(["kind", "task", "metric", "options"], sort=False):
        part = part.assign(value=part["value"].astype(float))
        oriented = -part["value"] if key[2] in FALLS else part["value"]
        means = part.assign(oriented=oriented).groupby("dial")[["learned", "oriented", "value"]].mean()
        at_zero = part[(part["dial"] == 0) & part["low"].notna()]
        covered = (at_zero["low"] <= at_zero["ideal"]) & (at_zero["ideal"] <= at_zero["high"])
        rows.append(
            {
                **dict(zip(("kind", "task", "metric", "options"), key, strict=True)),
                "of_means": _spearman(means["learned"], means["oriented"]),
                "of_models": _spearman(part["learned"], oriented),
                "models": int(oriented.notna().sum()),
                "covers_at_0": f"{int(covered.sum())}/{len(at_zero)}",
                **{f"at {dial:g}": value for dial, value in means["value"].items()},
            }
        )
    return pd.DataFrame(rows)


def _spearman(first: pd.Series[float], second: pd.Series[float]) -> float:
    known = first.notna() & second.notna()
    if known.sum() < 3 or second[known].nunique() < 2:
        return float("nan")
    return float(spearmanr(first[known], second[known]).statistic)


def main() -> None:
    """Trains, scores, prints and keeps the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path(".planted"), help="trained models; what is absent is trained there")
    parser.add_argument("--output-path", type=Path, default=Path("results/planted"), help="folder of the two tables")
    parser.add_argument("--draws", type=int, default=2_000)
    parser.add_argument("--only", choices=tuple(SETS), default="curves", help="which metrics, and the name of their file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = scores(options.models, options.models / "results", options.draws, options.only)
    found = curves(table)
    numbers = {c: found[c].map(lambda v: "" if pd.isna(v) else f"{v:.2f}") for c in found.columns if found[c].dtype == float}
    print(found.assign(**numbers).to_string(index=False))
    cells = table[(table["dial"] == 0) & table["low"].notna() & table["metric"].map(_has_ideal)]
    covered = ((cells["low"] <= cells["ideal"]) & (cells["ideal"] <= cells["high"])).sum()
    print(f"At dial 0 the interval covers the ideal in {covered} of {len(cells)} cells (metric x options x seed).")
    print(f"Undertrained models: {table[table['undertrained']][['kind', 'dial', 'seed']].drop_duplicates().to_dict('records')}")
    options.output_path.mkdir(parents=True, exist_ok=True)
    kept = {name: frame.replace({np.nan: None}).to_dict("records") for name, frame in (("curves", found), ("scores", table))}
    write_json(options.output_path / f"{options.only}.json", kept)


def _has_ideal(metric: str) -> bool:
    """Utility scores (LMS, ICAT) have a best end, which a fair model need not reach."""
    return Registry().metric(metric).info.kind != "utility" and metric != "stereoset_icat"


if __name__ == "__main__":
    main()
