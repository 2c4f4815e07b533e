"""Rate gaps worked by hand. Against fairlearn: test_rates_against_references.py; intervals and tests: tests/disparity."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics.rate_gaps import fnr_gap, fpr_gap, tpr_gap

from fairbench.errors import Undefined

TPR, FPR = {"a": 0.9, "b": 0.7, "c": 0.5}, {"a": 0.1, "b": 0.1, "c": 0.5}


def table() -> pd.DataFrame:
    rows = [
        {"group": g, "label": label, "prediction": int(i < 10 * of[g])}
        for label, of in ((1, TPR), (0, FPR))
        for g in of
        for i in range(10)
    ]
    return pd.DataFrame(rows)


def test_by_hand():
    answers, ones = table(), np.ones((1, 60))
    assert [gap(answers, ones)[0] for gap in (tpr_gap, fpr_gap, fnr_gap)] == pytest.approx([0.4, 0.4, 0.4])
    assert tpr_gap(answers, ones, aggregate="std") == pytest.approx([np.std([0.9, 0.7, 0.5])])
    assert fpr_gap(answers, ones, aggregate="std") == pytest.approx([np.std([0.1, 0.1, 0.5])])
    assert fpr_gap(answers, ones, aggregate="pairwise") == pytest.approx([0.8 / 3])


def test_the_positive_class_may_be_another():
    answers, ones = table(), np.ones((1, 60))
    assert tpr_gap(answers, ones, positive=0) == pytest.approx(fpr_gap(answers, ones))
    with pytest.raises(Undefined, match="fewer than two groups"):
        tpr_gap(answers, ones, positive=2)


def test_the_smallest_group_counts_in_the_table_not_under_the_weights():
    answers = table().drop(index=29)  # c has nine positives
    assert tpr_gap(answers, np.full((1, 59), 7.0)) == pytest.approx([0.2])
    assert tpr_gap(answers, np.full((1, 59), 0.1), minimum=9) == pytest.approx([0.9 - 5 / 9])


def test_weights_move_the_rates():
    answers = table()
    weights = np.where((answers.group == "a") & (answers.label == 1) & (answers.prediction == 0), 9.0, 1.0)
    assert tpr_gap(answers, weights[None]) == pytest.approx([0.2]), "the TPR of a is one half now"
