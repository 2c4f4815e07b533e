"""FPED and FNED: the golden figure, the equal error rate by brute force, and what is asked of probabilities."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics.error_equality import equal_error_threshold, fned, fped

from fairbench.errors import FairbenchError, Undefined
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry

REGISTRY = Registry()
QUICK = MeasureOptions(draws=200)


def table(hits: dict[str | None, tuple[int, int]], label: int) -> pd.DataFrame:
    """For each group (wrong, records) of one class."""
    rows = [
        {"group": g, "label": label, "prediction": 1 - label if i < wrong else label}
        for g, (wrong, n) in hits.items()
        for i in range(n)
    ]
    return pd.DataFrame(rows)


GOLDEN = {"a": (1, 20), "b": (4, 20), "c": (2, 20), None: (3, 40)}
"""Rates .05, .2, .1; of all records .1."""


@pytest.mark.parametrize(("metric", "label"), [(fped, 0), (fned, 1)])
def test_the_golden_figure(metric, label: int):
    answers = table(GOLDEN, label)
    assert metric(answers, np.ones((1, 100)))[0] == pytest.approx(0.15, abs=1e-12)


def test_it_grows_with_the_number_of_groups():
    few = table({"a": (2, 20), "b": (6, 20)}, 0)
    many = table({"a": (2, 20), "b": (6, 20), "c": (2, 20), "d": (6, 20)}, 0)
    assert fped(few, np.ones((1, 40))) == pytest.approx([0.2]) and fped(many, np.ones((1, 80))) == pytest.approx([0.4])


def scores(n: int, seed: int, decimals: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.4
    return np.round(np.clip(rng.normal(0.45 + 0.2 * positive, 0.2), 0, 1), decimals), positive


@pytest.mark.parametrize("decimals", [1, 2, 8])
@pytest.mark.parametrize("seed", range(5))
def test_the_equal_error_threshold_by_brute_force(seed: int, decimals: int):
    found, positive = scores(37, seed, decimals)
    distances = {t: abs((found[~positive] >= t).mean() - (found[positive] < t).mean()) for t in sorted(set(found))}
    least = min(distances.values())
    assert equal_error_threshold(found, positive) == next(t for t, d in distances.items() if d <= least + 1e-12)


def test_at_a_tie_the_lowest():
    """|FPR - FNR| is 1 at .1, |1/2 - 0| at .2 and |0 - 1/2| at .8."""
    found, positive = np.array([0.1, 0.2, 0.2, 0.8]), np.array([False, True, False, True])
    assert equal_error_threshold(found, positive) == 0.2


def eer_table(n: int = 300) -> pd.DataFrame:
    found, positive = scores(n, 1)
    return pd.DataFrame(
        {
            "id": [f"r{i}" for i in range(n)],
            "group": [("a", "b", None)[i % 3] for i in range(n)],
            "label": positive.astype(int),
            "probs": [[1 - p, p] for p in found],
        }
    )


def test_eer_decides_by_the_score_of_all_records():
    answers = eer_table()
    found = np.array([p[1] for p in answers.probs])
    t = equal_error_threshold(found, (answers.label == 1).to_numpy())
    assert 0.4 < t < 0.7 and t != 0.5
    decided = answers.assign(prediction=(found >= t).astype(int)).drop(columns="probs")
    for name in ("fped", "fned"):
        metric = REGISTRY.metric(name)
        at_eer = measure(metric.with_options({"threshold": "eer"}), answers, QUICK)
        fixed = measure(metric, decided, QUICK)
        assert at_eer.value == pytest.approx(fixed.value, rel=1e-12) and at_eer.value != measure(metric, answers, QUICK).value
        assert at_eer.interval == fixed.interval and at_eer.p_value == fixed.p_value
        assert at_eer.n == 300 and fixed.n < 300, "the threshold is found on records of both classes"
        assert fixed.by_group.keys() == at_eer.by_group.keys() == {"a", "b", "all records"}


def test_eer_for_another_positive_class():
    answers = eer_table().assign(probs=lambda t: [[p[1], p[0]] for p in t.probs], label=lambda t: 1 - t.label)
    turned = measure(REGISTRY.metric("fped").with_options({"threshold": "eer", "positive": 0}), answers, QUICK)
    straight = measure(REGISTRY.metric("fped").with_options({"threshold": "eer"}), eer_table(), QUICK)
    assert turned.value == pytest.approx(straight.value)


@pytest.mark.parametrize("change", [lambda t: t.drop(columns="probs"), lambda t: t.assign(probs=[None, *t.probs[1:]])])
def test_eer_without_probabilities_is_refused(change):
    answers = change(eer_table().assign(prediction=1))
    with pytest.raises(FairbenchError, match="threshold=eer puts a threshold to the probabilities"):
        measure(REGISTRY.metric("fped").with_options({"threshold": "eer"}), answers, QUICK)


def test_with_one_class_there_is_no_equal_error_rate():
    answers = eer_table().assign(label=0)
    score = measure(REGISTRY.metric("fped").with_options({"threshold": "eer"}), answers, QUICK)
    assert score.value is None and "one class" in score.undefined
    with pytest.raises(Undefined):
        equal_error_threshold(np.array([0.1, 0.9]), np.array([True, True]))
