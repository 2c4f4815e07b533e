"""Made-up scores of models m0, m1 ... as a tidy table, and their correlations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fairbench.comparison.correlating import correlations
from fairbench.comparison.correlation import CorrelationOptions, Correlations, Pair
from fairbench.registry import Registry

REGISTRY = Registry()
RANGES: Mapping[str, tuple[str, float, float, float]] = {
    "crows_pairs": ("intrinsic", 50.0, 0.0, 100.0),
    "ceat": ("intrinsic", 0.0, -2.0, 2.0),
    "stereoset_lms": ("intrinsic", 100.0, 0.0, 100.0),
    "fpr_gap": ("extrinsic", 0.0, 0.0, 1.0),
    "ratio": ("extrinsic", 1.0, 0.0, 1.0),
    "perplexity": ("utility", 1.0, 1.0, math.inf),
}


def scores(
    card: str, values: Sequence[float | None], *, task: str = "made", variant: str = "", group: str = "", **other: Any
) -> list[dict[str, Any]]:
    """One score of models m0, m1 ...: a row a model, of the whole or of one group."""
    kind, ideal, least, most = RANGES[card]
    column = f"{task}/{card}" + (f"@{variant}" if variant else "")
    same = {"kind": kind, "task": task, "metric": card, "variant": variant, "column": column, "headline": True,
            "part": "group" if group else "whole", "group": group, "ideal": ideal, "least": least, "most": most}  # fmt: skip
    return [{**same, "model": f"m{k}", "value": value, **other} for k, value in enumerate(values)]


def found(*columns: list[dict[str, Any]], draws: int = 200, **options: Any) -> Correlations:
    table = pd.DataFrame([row for rows in columns for row in rows])
    table = table.astype(dict.fromkeys(("value", "ideal", "least", "most"), float))
    return correlations(table, CorrelationOptions(draws=draws, **options), REGISTRY)


def only(result: Correlations) -> Pair:
    (pair,) = result.pairs
    return pair


def several_notions(draws: int = 0, **options: Any) -> Correlations:
    """A pair metric of two notions by group, extrinsic gaps of gender and of race, and one that nobody knows."""
    rng = np.random.default_rng(7)
    of = lambda: rng.random(8).tolist()  # noqa: E731
    return found(
        scores("crows_pairs", of()), scores("crows_pairs", of(), group="gender"), scores("crows_pairs", of(), group="race-color"),
        scores("fpr_gap", of(), task="bios", metric="fpr_gap by gender"),
        scores("ratio", of(), task="bios", metric="ratio by race"), scores("fpr_gap", of(), task="unknown"),
        scores("ceat", of(), task="weat_1"), draws=draws, **options,
    )  # fmt: skip
