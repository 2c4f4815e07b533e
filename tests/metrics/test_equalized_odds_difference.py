"""Equalised odds worked by hand. Against fairlearn: test_rates_against_references.py; intervals and tests: tests/disparity."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics.equalized_odds_difference import equalized_odds_difference

from fairbench.errors import Undefined
from fairbench.registry import Registry

RATES = {("a", 1): 0.9, ("a", 0): 0.3, ("b", 1): 0.7, ("b", 0): 0.2, ("c", 0): 0.7}


def table() -> pd.DataFrame:
    """Ten records of each group and class, but no positive one of c."""
    rows = [
        {"group": g, "label": label, "prediction": int(i < 10 * rate)} for (g, label), rate in RATES.items() for i in range(10)
    ]
    return pd.DataFrame(rows)


def test_by_hand():
    ones = np.ones((1, 50))
    assert equalized_odds_difference(table(), ones) == pytest.approx([0.5]), "c counts for FPR"
    assert equalized_odds_difference(table(), ones, aggregate="mean") == pytest.approx([0.35])
    two = table()[table().group != "c"]
    assert equalized_odds_difference(two, np.ones((1, 40))) == pytest.approx([0.2])


def test_an_undefined_half_is_undefined():
    half = table().query("group == 'a' or label == 0")
    with pytest.raises(Undefined, match="fewer than two groups have at least 10 records of the positive class"):
        equalized_odds_difference(half, np.ones((1, len(half))))


def test_with_several_classes_all_others_are_negative():
    answers = table().assign(label=lambda t: t.label.where((t.label == 1) | (t.index % 2 == 0), 2))
    assert equalized_odds_difference(answers, np.ones((1, 50))) == pytest.approx([0.5])


def test_each_group_is_shown_with_both_rates():
    metric = Registry().metric("equalized_odds_difference")
    shown = metric.disparity.evidence(table().assign(id=range(50), cluster=None, stratum=None), metric.options, _quick())
    found = {name: of.value for name, of in shown.by_group.items()}
    assert found == pytest.approx(
        {"a TPR": 0.9, "b TPR": 0.7, "c TPR": None, "a FPR": 0.3, "b FPR": 0.2, "c FPR": 0.7}, abs=1e-12
    )
    assert shown.counts == {"groups": 2, "groups_left_out": 1}


def _quick():
    from fairbench.metric import MeasureOptions

    return MeasureOptions(draws=50)
