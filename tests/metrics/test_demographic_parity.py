"""Demographic parity by hand. Against fairlearn: test_rates_against_references.py; intervals and tests: tests/disparity."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics.demographic_parity import demographic_parity_difference, demographic_parity_ratio

from fairbench.errors import FairbenchError
from fairbench.registry import Registry

RATES = {"a": 0.8, "b": 0.5, "c": 0.2}
ONES = np.ones((1, 30))


def table() -> pd.DataFrame:
    """Ten records of each group; of a 8 are predicted positive, of b 5, of c 2."""
    rows = [{"group": g, "prediction": int(i < 10 * rate)} for g, rate in RATES.items() for i in range(10)]
    return pd.DataFrame(rows)


def test_by_hand():
    assert demographic_parity_difference(table(), ONES) == pytest.approx([0.6])
    assert demographic_parity_difference(table(), ONES, aggregate="std") == pytest.approx([0.06**0.5])
    assert demographic_parity_difference(table(), ONES, aggregate="pairwise") == pytest.approx([0.4])
    assert demographic_parity_ratio(table(), ONES) == pytest.approx([0.25])


def test_the_other_class_has_other_rates():
    assert demographic_parity_difference(table(), ONES, positive=0) == pytest.approx([0.6])
    assert demographic_parity_ratio(table(), ONES, positive=0) == pytest.approx([0.25])
    assert demographic_parity_ratio(table().query("group != 'c'"), ONES[:, :20], positive=0) == pytest.approx([0.4])


def test_a_group_without_weight_in_a_draw_leaves_it_undefined():
    weights = np.concatenate([ONES, ONES * (table().group != "c").to_numpy()])
    values = demographic_parity_difference(table(), weights)
    assert values[0] == pytest.approx(0.6) and np.isnan(values[1])


def test_options_have_limits():
    metric = Registry().metric("demographic_parity_difference")
    for wrong in ({"minimum": 0}, {"aggregate": "range"}, {"positive": -1}):
        with pytest.raises(FairbenchError, match=next(iter(wrong))):
            metric.with_options(wrong)
