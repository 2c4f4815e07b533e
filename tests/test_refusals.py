"""Refusals stand beside every score of generated text, and too many unread replies withhold a score."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fairbench.measurement import MeasureOptions, measure
from fairbench.metric import Metric
from fairbench.records import UNPARSED
from fairbench.refusals import refusal_figures, refused
from fairbench.registry import Registry
from fairbench.scores import MetricInfo

HOW = MeasureOptions(draws=200)


def metric(reads: str = "Prompt", **more) -> Metric:
    info = MetricInfo(
        title="mean", reads=reads, probe="generation", columns=("x",), kind="extrinsic", ideal=0.0, low=0.0, high=1.0,
        direction="d", construct="c", formula="f", cite="c", **more,
    )  # fmt: skip
    return Metric("mean", info, lambda answers, weights: weights @ answers["x"].to_numpy(float) / weights.sum(axis=1))


def table() -> pd.DataFrame:
    """Twenty texts of each of two groups; of group b ten are refused, and all of those have x = 0."""
    refusal = [0] * 20 + [1] * 10 + [0] * 10
    x = [1, 0] * 10 + [0] * 10 + [1] * 10
    rows = {"id": [str(i) for i in range(40)], "group": ["a"] * 20 + ["b"] * 20, "continuation": "text"}
    return pd.DataFrame({**rows, "x": x, "refusal": refusal})


def test_the_score_without_refusals_stands_beside_the_score():
    score = measure(metric(), table(), HOW)
    assert score.value == 0.5 and score.details == {"refusal_rate": 0.25, "refusal_gap": 0.5}
    assert score.without_refusals.value == 20 / 30 and score.without_refusals.n == 30
    assert score.without_refusals.left_out == {"refusal": 10} and score.without_refusals.interval is not None
    assert score.without_refusals.n_total == 40


def test_without_a_refusal_only_the_rate_is_said():
    score = measure(metric(), table().assign(refusal=0), HOW)
    assert score.details == {"refusal_rate": 0.0, "refusal_gap": 0.0} and score.without_refusals is None


def test_nobody_looked():
    for found in (table().drop(columns="refusal"), table().assign(refusal=None)):
        score = measure(metric(), found, HOW)
        assert score.details == {} and score.without_refusals is None
    assert refused(table(), "Labelled") is None


def test_only_refusals_leave_no_score_without_them():
    score = measure(metric(), table().assign(refusal=1), HOW)
    assert score.without_refusals.value is None and score.without_refusals.undefined == "every text is a refusal"


def test_gaps_by_notion_leave_small_groups_out():
    groups = ["gender:man"] * 10 + ["gender:woman"] * 10 + ["race:x"] * 9 + ["race:y"] * 11
    figures = refusal_figures(pd.DataFrame({"group": groups}), np.array([True] * 5 + [False] * 35))
    assert figures == {"refusal_rate": 5 / 40, "refusal_gap.gender": 0.5}


def test_a_text_that_could_not_be_judged_is_left_out_with_the_judges_reason():
    found = table().assign(x=[None, *[0.5] * 39], toxicity_failed=["the text is empty", *[None] * 39])
    score = measure(metric(judge="toxicity"), found, HOW)
    assert score.left_out == {"the judge toxicity failed: the text is empty": 1} and score.n == 39


def test_texts_that_nobody_judged_name_the_command_that_does():
    from fairbench.errors import FairbenchError

    with pytest.raises(FairbenchError, match="fairbench judge toxicity FILE"):
        measure(metric(judge="toxicity"), table().drop(columns="x"), HOW)


@pytest.mark.parametrize(("unread", "withheld"), [(4, False), (5, True), (40, True)])
def test_too_many_unread_replies_withhold_the_score(unread: int, withheld: bool):
    left_out = [UNPARSED] * unread + [None] * (40 - unread)
    found = table().drop(columns="refusal").assign(left_out=left_out)
    score = measure(metric(most_unparsed=0.1), found, HOW)
    assert (score.value is None) is withheld and score.left_out == {UNPARSED: unread}
    if withheld:
        assert score.undefined == f"withheld: {unread} of 40 replies name no option, more than 10 %"


def test_a_group_of_which_no_row_can_be_used_is_named():
    """A judge that fails on all texts about one group must not make it vanish from the comparison."""
    rows = {"id": [str(i) for i in range(60)], "group": ["a"] * 20 + ["b"] * 20 + ["c"] * 20, "continuation": "t"}
    found = pd.DataFrame({**rows, "sentiment": [0.1] * 20 + [0.2] * 20 + [None] * 20})
    score = measure(Registry().metric("sentiment_gap"), found, HOW)
    assert round(score.value, 12) == 0.1 and score.counts["groups_left_out"] == 1
    assert score.by_group["c"].value is None and score.by_group["c"].n == 0 and score.by_group["c"].n_total == 20
    assert any("none of their rows could be used: c (20 rows)" in warning for warning in score.warnings)


def test_the_same_sample_twice_is_said():
    found = pd.concat([table().assign(sample=0)] * 2)
    assert any("40 rows repeat the id and the sample" in warning for warning in measure(metric(), found, HOW).warnings)
    assert not any("repeat" in warning for warning in measure(metric(), table().assign(sample=0), HOW).warnings)
