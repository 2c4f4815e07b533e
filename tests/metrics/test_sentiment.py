"""Sentiment gaps: worked by hand, against pandas and SciPy on random tables, and through the whole of `measure`."""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wasserstein_distance

from fairbench.errors import FairbenchError, Undefined
from fairbench.measurement import MeasureOptions, by_notion, measure
from fairbench.registry import Registry

METRIC = cache(Registry().metric)
GAPS = ("sentiment_gap", "sentiment_strict_gap", "sentiment_positive_gap", "sentiment_negative_gap")
QUICK = MeasureOptions(draws=200)
every = pytest.mark.parametrize("name", GAPS)


def value(name: str, answers: pd.DataFrame, weights: np.ndarray | None = None, **options: object) -> float:
    """NaN where undefined."""
    weights = np.ones(len(answers)) if weights is None else weights
    try:
        return float(METRIC(name).with_options({"minimum": 1, **options}).values(answers, weights[None, :], 0)[0])
    except Undefined:
        return math.nan


def texts(rng: np.random.Generator, n: int = 200, groups: int = 3) -> pd.DataFrame:
    """Prompts about groups of unequal size, some without a group; sentiments to four places, many of them 0."""
    named = np.array([f"g{i}" for i in rng.choice(groups, n, p=rng.dirichlet(np.ones(groups)))], dtype=object)
    named[1:][rng.random(n - 1) < 0.1] = None
    sentiment = np.where(rng.random(n) < 0.3, 0.0, np.round(rng.uniform(-1, 1, n), 4))
    keys = {"id": [f"p{i:03}" for i in range(n)], "cluster": None, "stratum": None}
    return pd.DataFrame({**keys, "group": named, "sentiment": sentiment})


HAND = pd.DataFrame({"group": list("aaaabbbb"), "sentiment": [0.5, 0.8, -0.5, 0.0, 0.1, 0.1, 0.4999, -0.9]})
"""Means .2 and -.050025; positive 2 of 4 and 0 of 4 (.5 counts); negative 1 of 4 each (-.5 counts)."""


def test_by_hand():
    assert value("sentiment_gap", HAND) == pytest.approx(0.2 + 0.050025)
    assert value("sentiment_positive_gap", HAND) == 0.5 and value("sentiment_negative_gap", HAND) == 0.0
    assert value("sentiment_positive_gap", HAND, threshold=0.4999) == 0.25
    assert value("sentiment_negative_gap", HAND, threshold=-0.6) == 0.25
    # sorted: a -.5 0 .5 .8, b -.9 .1 .1 .4999, so that |F_a - F_b| is 1/4, 0, 1/4, 1/4, 1/2, 1/4 between these numbers
    wanted = 0.25 * 0.4 + 0 * 0.5 + 0.25 * 0.1 + 0.25 * 0.3999 + 0.5 * 0.0001 + 0.25 * 0.3
    assert value("sentiment_strict_gap", HAND) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("seed", range(100))
def test_all_of_them_are_pandas_and_scipys(seed: int):
    rng = np.random.default_rng(seed)
    answers = texts(rng, int(rng.integers(4, 250)), int(rng.integers(2, 6)))
    weights = rng.gamma(1, 1, len(answers)) + 0.01 if seed % 2 else np.ones(len(answers))
    table = answers.assign(w=weights).dropna(subset="group")
    if table.group.nunique() < 2:
        assert all(math.isnan(value(name, answers, weights)) for name in GAPS)
        return
    numbers = {
        "sentiment_gap": table.sentiment,
        "sentiment_positive_gap": (table.sentiment >= 0.5).astype(float),
        "sentiment_negative_gap": (table.sentiment <= -0.5).astype(float),
    }
    for name, x in numbers.items():
        mean = (x * table.w).groupby(table.group).sum() / table.w.groupby(table.group).sum()
        pairs = [abs(p - q) for p, q in itertools.combinations(mean, 2)]
        for aggregate, wanted in (("gap", max(pairs)), ("std", mean.std(ddof=0)), ("pairwise", np.mean(pairs))):
            assert value(name, answers, weights, aggregate=aggregate) == pytest.approx(wanted, rel=1e-12, abs=1e-12)
    apart = [
        wasserstein_distance(p.sentiment, q.sentiment, p.w, q.w)
        for (_, p), (_, q) in itertools.combinations(list(table.groupby("group")), 2)
    ]
    assert value("sentiment_strict_gap", answers, weights) == pytest.approx(max(apart), rel=1e-12, abs=1e-12)
    assert value("sentiment_strict_gap", answers, weights, aggregate="pairwise") == pytest.approx(np.mean(apart), abs=1e-12)


@every
def test_order_names_and_sides_do_not_matter(name: str):
    answers = texts(np.random.default_rng(1), groups=2)
    found = value(name, answers)
    assert value(name, answers.sample(frac=1, random_state=2)) == pytest.approx(found, rel=1e-12)
    assert value(name, answers.assign(group=answers.group.map({"g0": "g1", "g1": "g0"}))) == pytest.approx(found, rel=1e-12)


def test_the_other_sign_mirrors_the_gaps():
    answers = texts(np.random.default_rng(2))
    mirrored = answers.assign(sentiment=-answers.sentiment)
    for name, other in zip(GAPS, ("sentiment_gap", "sentiment_strict_gap", *GAPS[:1:-1]), strict=True):
        assert value(name, mirrored) == pytest.approx(value(other, answers), rel=1e-12)


def test_groups_that_differ_wholly_are_at_the_end_of_the_range():
    answers = pd.DataFrame({"group": list("aabb"), "sentiment": [1.0, 1.0, -1.0, -1.0]})
    assert [value(name, answers) for name in GAPS] == [2.0, 2.0, 1.0, 1.0]


@every
def test_a_score_has_all_that_belongs_to_it(name: str):
    metric = METRIC(name)
    score = measure(metric, texts(np.random.default_rng(3)), QUICK)
    assert score.interval.low <= score.value <= score.interval.high <= metric.info.high
    assert score.floor > 0 and 0 < score.p_value <= 1 and score.stderr > 0
    assert score.left_out["speaks of no group"] > 0 and score.n + sum(score.left_out.values()) == score.n_total == 200
    assert set(score.by_group) == {"g0", "g1", "g2"} and sum(group.n for group in score.by_group.values()) >= score.n
    assert all(group.interval.low <= group.value <= group.interval.high for group in score.by_group.values())


@every
def test_without_a_difference_the_value_is_within_the_range_of_chance(name: str):
    """The floor is above 0, values lie on both sides of it, and few p are small."""
    scores = []
    for seed in range(12):
        answers = texts(np.random.default_rng(seed), 200)
        answers["group"] = np.random.default_rng(seed).permutation(np.arange(200) % 3).astype(str)
        scores.append(measure(METRIC(name), answers, QUICK))
    assert all(score.floor > 0 for score in scores)
    assert {score.value > score.floor for score in scores} == {True, False}
    assert sum(score.p_value <= 0.05 for score in scores) <= 3 and sum(score.interval.low > 0 for score in scores) <= 3


def test_every_notion_has_a_score_of_its_own():
    answers = pd.concat([texts(np.random.default_rng(i)).dropna(subset="group") for i in range(2)], ignore_index=True)
    answers["id"] = [f"p{i}" for i in range(len(answers))]
    answers["group"] = np.where(np.arange(len(answers)) % 2, "gender:", "race:") + answers.group.astype(str)
    metric = METRIC("sentiment_strict_gap")
    assert "choose one with group_by" in measure(metric, answers, QUICK).undefined
    each = {m.options["group_by"]: measure(m, answers, QUICK) for m in by_notion(metric, answers)}
    assert list(each) == ["gender", "race"] and all(score.value > 0 for score in each.values())
    assert each["race"].n == answers.group.str.startswith("race").sum()


def test_only_two_of_the_four_are_headlines():
    assert [name for name in GAPS if METRIC(name).info.headline] == ["sentiment_gap", "sentiment_strict_gap"]


@every
def test_what_the_judge_can_not_have_said_is_refused(name: str):
    with pytest.raises(FairbenchError, match=r"Row 3, column 'sentiment': found 1.5, wanted a number from -1 to 1"):
        value(name, HAND.assign(sentiment=[0, 0, 1.5, 0, 0, 0, 0, 0]))


def test_options_are_checked():
    metric = METRIC("sentiment_positive_gap")
    assert metric.with_options({"threshold": "0.05"}).options["threshold"] == 0.05
    with pytest.raises(FairbenchError, match="at least -1 and at most 1"):
        metric.with_options({"threshold": 50})
    with pytest.raises(FairbenchError, match="gap, pairwise"):
        METRIC("sentiment_strict_gap").with_options({"aggregate": "std"})
