"""The figures of groups under weights: with ones those that stand beside the score, with zeros those of the other rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fairbench.metric import MeasureOptions
from fairbench.registry import Registry
from fairbench.tables import complete, usable

METRICS = Registry().metrics()
COMPARING = sorted(name for name in METRICS if Registry().metric(name).disparity is not None)


def answers(form: str, n: int = 240) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    probs = rng.random(n)
    table = pd.DataFrame(
        {
            "id": [f"r{i}" for i in range(n)],
            "text": "t",
            "groups": [["a"] if i % 3 else ["b"] for i in range(n)],
            "group": ["a" if i % 3 else "b" for i in range(n)],
            "label": rng.integers(0, 2, n),
            "probs": [[1 - p, p] for p in probs],
            "prediction": (probs >= 0.5).astype(int),
        }
    )
    if form == "Labelled":
        return table.drop(columns="group")
    said = {
        "continuation": "c", "sample": 0, "toxicity": rng.random(n), "sentiment": rng.uniform(-1, 1, n),
        "regard": rng.integers(-1, 2, n).astype(float), "refusal": rng.integers(0, 2, n).astype(float),
        "hurtful": rng.integers(0, 2, n).astype(float), "polarity_label": rng.integers(-1, 2, n).astype(float),
        "polarity": rng.uniform(-1, 1, n),
    }  # fmt: skip
    return table.drop(columns=["groups", "probs", "prediction", "label"]).assign(**said)


@pytest.mark.parametrize("name", COMPARING)
def test_figures_are_those_beside_the_score(name: str):
    metric = Registry().metric(name)
    table = answers(metric.info.reads)
    missing = [column for column in metric.info.columns if column not in table.columns]
    rng = np.random.default_rng(3)
    table = table.assign(**{column: rng.random(len(table)) for column in missing})
    used = usable(complete(table, metric.info), metric.info)[0].reset_index(drop=True)
    assert metric.disparity is not None
    beside = metric.disparity.evidence(used, metric.options, MeasureOptions(draws=0)).by_group
    ones = np.ones((2, len(used)))
    found = metric.disparity.figures(used, ones, metric.options)
    assert set(beside) <= set(found) and beside
    for group, score in beside.items():
        assert found[group].shape == (2,)
        assert found[group][0] == pytest.approx(score.value, abs=1e-12), group
    half = (np.arange(len(used)) % 2).astype(float)
    kept = used[half == 1].reset_index(drop=True)
    again = metric.disparity.figures(kept, np.ones((1, len(kept))), metric.options)
    weighted = metric.disparity.figures(used, half[None, :], metric.options)
    for group in again:
        assert weighted[group][0] == pytest.approx(again[group][0], abs=1e-9, nan_ok=True), group
