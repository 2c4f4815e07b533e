"""Intervals and p-values of a score: what they rest on, and when there is none."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from fairbench.errors import Undefined
from fairbench.measurement import MeasureOptions, Metric, measure
from fairbench.registry import Registry
from fairbench.scores import PValue

QUICK = MeasureOptions(draws=300)
MARGIN = Registry().metric("crows_pairs_margin").info
SHARE = Registry().metric("crows_pairs")


def mean_difference(answers: pd.DataFrame, weights: np.ndarray) -> np.ndarray:
    return weights @ (answers["score_more"] - answers["score_less"]).to_numpy(dtype=float) / weights.sum(axis=1)


def toy(function=mean_difference, significance=None, **changes: object) -> Metric:
    return Metric("toy", dataclasses.replace(MARGIN, **{"p_value": "none", **changes}), function, significance)


def pairs(n: int = 20, seed: int = 0, **columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"score_more": rng.normal(0.5, 1, n), "score_less": rng.normal(0, 1, n), **columns})


def unanimous(n: int, **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"score_more": [-1.0] * n, "score_less": [-2.0] * n, **columns})


@pytest.mark.parametrize("interval", ["bootstrap", "jackknife"])
def test_a_single_unit_has_no_interval_and_says_so(interval: str):
    score = measure(toy(interval=interval, p_value="bootstrap"), pairs(5, cluster=["only"] * 5), QUICK)
    assert score.value is not None and score.interval is None and score.p_value is None and score.stderr is None
    assert score.warnings == ("No interval: there is only 1 of the clusters to resample.",)


def test_draws_without_a_value_are_dropped_and_counted():
    def half(answers: pd.DataFrame, weights: np.ndarray) -> np.ndarray:
        """No value where the first row was not drawn: about 37 % of draws."""
        return np.where(weights[:, 0] > 0, mean_difference(answers, weights), np.nan)

    score = measure(toy(half), pairs(), MeasureOptions(draws=1000))
    dropped = int(score.warnings[0].split()[0])
    assert 300 < dropped < 420 and "of 1000 bootstrap draws had no value and were dropped" in score.warnings[0]
    assert score.interval is not None and f"{1000 - dropped} draws" in score.interval.method


def test_a_metric_that_is_undefined_on_draws_has_no_interval():
    def whole_only(answers: pd.DataFrame, weights: np.ndarray) -> np.ndarray:
        if not (weights == 1).all():
            raise Undefined("no")
        return mean_difference(answers, weights)

    score = measure(toy(whole_only, p_value="bootstrap"), pairs(), QUICK)
    assert score.value is not None and score.interval is None and score.p_value is None
    assert score.warnings[0] == "300 of 300 bootstrap draws had no value and were dropped."
    assert len(score.warnings) == 2 and score.warnings[1].startswith("No interval")


def test_the_bootstrap_interval_is_that_of_the_mean():
    answers = pairs(400)
    score = measure(toy(), answers, MeasureOptions(draws=4000, level=0.9))
    difference = answers.score_more - answers.score_less
    error = difference.std() / math.sqrt(400)
    assert score.stderr == pytest.approx(error, rel=0.05)
    assert score.interval.low == pytest.approx(score.value - 1.645 * error, abs=0.1 * error)
    assert score.interval.high == pytest.approx(score.value + 1.645 * error, abs=0.1 * error)
    assert score.interval.level == 0.9 and "4000 draws over 400 records" in score.interval.method


def test_the_jackknife_interval_is_that_of_the_t_test():
    answers = pairs(9)
    score = measure(toy(interval="jackknife"), answers)
    difference = answers.score_more - answers.score_less
    error = difference.std() / 3
    assert score.stderr == pytest.approx(error, rel=1e-9)
    assert score.interval.high - score.value == pytest.approx(2.306004135 * error, rel=1e-8)  # t with 8 degrees, .975
    assert score.value - score.interval.low == pytest.approx(2.306004135 * error, rel=1e-8)
    assert score.interval.method == "jackknife, Student, 9 units"


def test_the_jackknife_leaves_out_whole_clusters():
    answers = pairs(12, cluster=["a", "b", "c", "d"] * 3)
    score = measure(toy(interval="jackknife"), answers)
    means = (answers.score_more - answers.score_less).groupby(answers.cluster).mean()
    assert score.stderr == pytest.approx(means.std() / 2, rel=1e-9)


def test_no_interval_where_the_card_refuses_one():
    score = measure(toy(interval="none"), pairs(), QUICK)
    assert score.value is not None and score.interval is None and score.warnings == ()


def test_p_values_come_from_where_the_card_says():
    def own(answers: pd.DataFrame, rng: np.random.Generator) -> PValue:
        return PValue(float(rng.random()), "own", published=0.25)

    answers = pairs(40)
    inverted = measure(toy(p_value="bootstrap"), answers, QUICK)
    assert 0 < inverted.p_value < 1 and "value = 0" in inverted.p_method and inverted.p_published is None
    mine = measure(toy(p_value="own", significance=own), answers, QUICK)
    assert (mine.p_method, mine.p_published) == ("own", 0.25)
    assert mine.p_value == np.random.default_rng(QUICK.seed).random()
    assert measure(toy(p_value="none", significance=own), answers, QUICK).p_value is None


def test_the_interval_and_the_inverted_p_agree():
    answers = pairs(30)
    p = measure(toy(p_value="bootstrap"), answers, MeasureOptions(draws=1999)).p_value
    inside, outside = (measure(toy(), answers, MeasureOptions(draws=1999, level=1 - p * f)).interval for f in (0.8, 1.2))
    assert inside.low <= 0 <= inside.high
    assert not outside.low <= 0 <= outside.high


@pytest.mark.parametrize(("units", "warned"), [(2, True), (9, True), (10, False)])
def test_an_interval_over_few_units_says_that_it_is_rough(units: int, warned: bool):
    answers = pairs(30, cluster=[f"c{i % units}" for i in range(30)])
    score = measure(toy(), answers, QUICK)
    assert score.interval is not None
    assert score.warnings == ((f"The interval rests on {units} clusters only and is not to be relied on.",) if warned else ())


@pytest.mark.parametrize("metric", [toy(), SHARE], ids=["mean", "share"])
def test_strata_of_one_unit_each_give_no_interval(metric: Metric):
    answers = pairs(4, stratum=list("abcd"))
    score = measure(metric, answers, QUICK)
    assert score.value is not None and score.interval is None and score.stderr is None
    assert score.warnings == ("No interval: all draws over 4 records give the same value.",)


@pytest.mark.parametrize(("more", "value"), [(-1.0, 100.0), (-3.0, 0.0)])
def test_a_unanimous_share_has_the_exact_interval_of_its_units(more: float, value: float):
    answers = unanimous(12, cluster=[f"c{i % 6}" for i in range(12)]).assign(score_more=more)
    score = measure(SHARE, answers, QUICK)
    assert score.value == value and score.stderr is None and score.warnings == ()
    reach = 100 * (1 - 0.025 ** (1 / 6))  # six clusters agree, not twelve pairs
    low, high = (100 - reach, 100) if value else (0, reach)
    assert (score.interval.low, score.interval.high) == (pytest.approx(low), pytest.approx(high))
    assert "all 6 units agree" in score.interval.method


def test_a_unanimous_margin_has_no_interval():
    score = measure(toy(p_value="bootstrap"), unanimous(12), QUICK)
    assert (score.value, score.interval, score.stderr, score.p_value) == (1.0, None, None, None)
    assert score.warnings == ("No interval: all draws over 12 records give the same value.",)


@pytest.mark.parametrize("how", ["nan", "undefined"])
def test_the_jackknife_needs_a_value_without_each_unit(how: str):
    def at_least_two(answers: pd.DataFrame, weights: np.ndarray) -> np.ndarray:
        few = (weights > 0).sum(axis=1) < 2
        if few.any() and how == "undefined":
            raise Undefined("fewer than two rows")
        return np.where(few, np.nan, mean_difference(answers, weights))

    answers = pairs(2)
    score = measure(toy(at_least_two, interval="jackknife"), answers)
    assert score.value == pytest.approx(float((answers.score_more - answers.score_less).mean()))
    assert score.interval is None and score.stderr is None
    assert score.warnings == ("No interval: without one of the records the metric has no value.",)


def test_a_test_and_an_interval_that_disagree_are_said_to():
    """Ties pull a share and its interval away from 50, but say nothing in the sign test."""
    gaps = [1.0] * 35 + [-1.0] * 35 + [0.0] * 30
    answers = pd.DataFrame({"score_more": gaps, "score_less": [0.0] * 100})
    score = measure(Registry().metric("crows_pairs"), answers, MeasureOptions(draws=500))
    assert score.p_value == 1.0 and score.interval is not None and score.interval.high < 50
    assert any("disagree" in warning for warning in score.warnings)
    agreeing = measure(Registry().metric("crows_pairs"), answers[:70], MeasureOptions(draws=500))
    assert not any("disagree" in warning for warning in agreeing.warnings)
