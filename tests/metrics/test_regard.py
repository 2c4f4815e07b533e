"""Regard gaps: worked by hand, against pandas, ties, and labels that are missing, which are never 0."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from fairbench.errors import FairbenchError
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry
from fairbench.scores import Score

METRIC = cache(Registry().metric)
SHARES = ("regard_positive_gap", "regard_negative_gap")
LABELS = ("positive", "negative", "neutral", "other")
COLUMNS = [f"regard_{label}" for label in LABELS]
QUICK = MeasureOptions(draws=200)


def value(name: str, answers: pd.DataFrame, weights: np.ndarray | None = None, **options: object) -> float:
    weights = np.ones(len(answers)) if weights is None else weights
    return float(METRIC(name).with_options({"minimum": 1, **options}).values(answers, weights[None, :], 0)[0])


def scored(name: str, answers: pd.DataFrame, **options: object) -> Score:
    return measure(METRIC(name).with_options(options), answers, QUICK)


def texts(seed: int = 0, n: int = 200, groups: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(4), n)
    return pd.DataFrame(
        {
            "id": [f"p{i:03}" for i in range(n)],
            "group": [f"g{i % groups}" for i in range(n)],
            **dict(zip(COLUMNS, probabilities.T, strict=True)),
            "regard": probabilities[:, 0] - probabilities[:, 1],
        }
    )


def test_by_hand():
    table = [
        ("a", 0.7, 0.1, 0.1, 0.1),
        ("a", 0.4, 0.4, 0.2, 0.0),  # neither
        ("b", 0.1, 0.6, 0.2, 0.1),
        ("b", 0.3, 0.3, 0.0, 0.4),  # other
    ]
    answers = pd.DataFrame(table, columns=["group", *COLUMNS]).assign(regard=lambda t: t.regard_positive - t.regard_negative)
    assert value("regard_gap", answers) == pytest.approx(0.3 + 0.25)
    assert value("regard_positive_gap", answers) == 0.5 and value("regard_negative_gap", answers) == 0.5
    assert METRIC("regard_positive_gap").counts(answers) == {"ties": 1}


@pytest.mark.parametrize("seed", range(100))
def test_all_are_pandas(seed: int):
    rng = np.random.default_rng(seed)
    answers = texts(seed, int(rng.integers(10, 250)), int(rng.integers(2, 6)))
    weights = pd.Series(rng.gamma(1, 1, len(answers)) if seed % 2 else np.ones(len(answers)))
    largest = answers[COLUMNS].idxmax(axis=1)
    numbers = {"regard_gap": answers.regard, **{n: (largest == n[:-4]).astype(float) for n in SHARES}}
    for name, x in numbers.items():
        mean = (x * weights).groupby(answers.group).sum() / weights.groupby(answers.group).sum()
        assert value(name, answers, weights.to_numpy()) == pytest.approx(mean.max() - mean.min(), rel=1e-12, abs=1e-12)


def test_ties_count_as_neither_and_are_said():
    answers = texts()
    answers.loc[:9, COLUMNS] = [0.35, 0.35, 0.2, 0.1]
    score = scored("regard_positive_gap", answers)
    assert score.counts["ties"] == 10 and any("10 of 200 records are ties" in warning for warning in score.warnings)
    largest = answers[COLUMNS].idxmax(axis=1).where(np.arange(200) > 9)
    rate = (largest == "regard_positive").groupby(answers.group).mean()
    assert score.value == pytest.approx(rate.max() - rate.min())


@pytest.mark.parametrize("name", SHARES)
def test_a_judge_of_three_labels_has_no_fourth(name: str):
    """The column is empty throughout, or not there: the same, and not the same as a probability of 0."""
    answers = texts()
    scores = [scored(name, answers.assign(regard_other=None)), scored(name, answers.drop(columns="regard_other"))]
    largest = answers[COLUMNS[:3]].idxmax(axis=1)
    rate = (largest == name[:-4]).groupby(answers.group).mean()
    for score in scores:
        assert score.value == pytest.approx(rate.max() - rate.min()) and score.n == 200 and not score.left_out
    assert scores[0] == scores[1] and scores[0].value != scored(name, answers).value


def test_a_label_that_is_missing_is_never_zero():
    """Where a column is missing there is no score; a text without some label's probability is left out, and counted."""
    answers = texts()
    for column in COLUMNS[:3]:
        with pytest.raises(FairbenchError, match=f"no column '{column}'"):
            scored("regard_negative_gap", answers.drop(columns=column))
        score = scored("regard_negative_gap", answers.assign(**{column: lambda t, c=column: t[c].where(t.index % 4 > 0)}))
        assert score.left_out == {f"{column} is missing or not finite": 50} and score.n == 150
        nothing = scored("regard_negative_gap", answers.assign(**{column: np.nan}))
        assert nothing.value is None and nothing.undefined == "no answer could be used" and not nothing.by_group
    half = scored("regard_negative_gap", answers.assign(regard_other=lambda t: t.regard_other.where(t.index % 4 > 0)))
    assert half.left_out == {"regard_other is missing, which other texts have": 50}
    kept = answers[answers.index % 4 > 0]
    rate = (kept[COLUMNS].idxmax(axis=1) == "regard_negative").groupby(kept.group).mean()
    assert half.value == pytest.approx(rate.max() - rate.min()) and half.n == 150


@pytest.mark.parametrize("name", ["regard_gap", *SHARES])
def test_every_score_has_its_n_its_interval_and_its_floor(name: str):
    score = scored(name, texts(1))
    assert score.n == 200 and score.interval.low <= score.value <= score.interval.high and score.floor > 0
    assert {group: (of.n, of.interval is not None) for group, of in score.by_group.items()} == {
        "g0": (67, True),
        "g1": (67, True),
        "g2": (66, True),
    }


def test_a_group_that_no_text_speaks_of_is_not_there_and_one_of_few_does_not_count():
    answers = texts(groups=2)
    few = texts(5, 4, 1).assign(group="few", id=lambda t: "x" + t.id)
    score, without = (scored("regard_gap", table) for table in (pd.concat([answers, few], ignore_index=True), answers))
    assert score.value == without.value and "few" in score.by_group and "few" not in without.by_group
    assert score.counts["groups_left_out"] == 1 and any("few (4)" in warning for warning in score.warnings)


@pytest.mark.parametrize("name", ["regard_gap", *SHARES])
def test_swapping_and_renaming_groups_changes_nothing(name: str):
    answers = texts(3, groups=2)
    swapped = answers.assign(group=answers.group.map({"g0": "z", "g1": "a"})).sample(frac=1, random_state=0)
    assert value(name, swapped) == pytest.approx(value(name, answers), rel=1e-12)


def test_what_is_no_probability_is_refused():
    with pytest.raises(FairbenchError, match="'regard_neutral': found 3, wanted a number from 0 to 1"):
        value("regard_positive_gap", texts().assign(regard_neutral=3.0))
    with pytest.raises(FairbenchError, match="'regard_other' holds something that is no number"):
        value("regard_positive_gap", texts().assign(regard_other="much"))


def test_only_the_mean_is_a_headline():
    assert [n for n in ("regard_gap", *SHARES) if METRIC(n).info.headline] == ["regard_gap"]
