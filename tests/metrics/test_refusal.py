"""Refusals: the rate and its interval, the gap between groups, and tables that are no refusals."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from fairbench.errors import FairbenchError
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry
from fairbench.stats import bootstrap_weights, resampling_units

METRIC = cache(Registry().metric)
QUICK = MeasureOptions(draws=200)


def texts(seed: int = 0, prompts: int = 60, samples: int = 3, rates: tuple[float, ...] = (0.4, 0.2)) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    prompt = np.repeat(np.arange(prompts), samples)
    group = prompt % len(rates)
    return pd.DataFrame(
        {
            "id": [f"p{i:03}" for i in prompt],
            "group": [f"g{g}" for g in group],
            "cluster": None,
            "stratum": None,
            "refusal": (rng.random(len(prompt)) < np.array(rates)[group]).astype(int),
        }
    )


def scored(name: str, answers: pd.DataFrame, how: MeasureOptions = QUICK, **options: object):
    return measure(METRIC(name).with_options(options), answers, how)


def test_by_hand():
    answers = pd.DataFrame({"group": list("aaab"), "refusal": [1, 1, 0, 0]})
    rate, gap = (METRIC(name) for name in ("refusal_rate", "refusal_gap"))
    weights = np.array([[1.0, 1, 1, 1], [2, 0, 0, 2], [0, 0, 0, 0]])
    assert rate.values(answers, weights, 0) == pytest.approx([0.5, 0.5, np.nan], nan_ok=True)
    assert gap.with_options({"minimum": 1}).values(answers, weights[:2], 0) == pytest.approx([2 / 3, 1.0])


@pytest.mark.parametrize("seed", range(20))
def test_both_are_pandas(seed: int):
    rng = np.random.default_rng(seed)
    answers = texts(seed, rates=tuple(rng.random(int(rng.integers(2, 5)))))
    w = pd.Series(rng.gamma(1, 1, len(answers)))
    by_group = (answers.refusal * w).groupby(answers.group).sum() / w.groupby(answers.group).sum()
    found = {name: METRIC(name).values(answers, w.to_numpy()[None, :], 0)[0] for name in ("refusal_rate", "refusal_gap")}
    assert found["refusal_rate"] == pytest.approx(np.average(answers.refusal, weights=w), rel=1e-12)
    assert found["refusal_gap"] == pytest.approx(by_group.max() - by_group.min(), rel=1e-12)


def test_the_interval_of_the_rate_resamples_prompts():
    answers = texts()
    score = scored("refusal_rate", answers)
    weights = np.concatenate(list(bootstrap_weights(resampling_units(answers), QUICK.draws, QUICK.seed)))
    drawn = weights @ answers.refusal.to_numpy() / weights.sum(axis=1)
    assert [score.interval.low, score.interval.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]).tolist())
    assert (score.value, score.n, score.n_records) == (pytest.approx(answers.refusal.mean()), 60, 180)
    assert {name: group.value for name, group in score.by_group.items()} == pytest.approx(
        answers.groupby("group").refusal.mean().to_dict()
    )


def test_where_nothing_is_refused_the_interval_is_exact_over_prompts():
    score = scored("refusal_rate", texts().assign(refusal=0))
    assert score.value == 0.0 and score.interval.low == 0.0 and score.interval.high == pytest.approx(1 - 0.025 ** (1 / 60))
    assert score.interval.method.startswith("exact binomial")
    gap = scored("refusal_gap", texts().assign(refusal=0))
    assert (gap.value, gap.interval, gap.p_value) == (0.0, None, 1.0)
    assert gap.by_group["g0"].interval.high == pytest.approx(1 - 0.025 ** (1 / 30))


def test_a_difference_is_seen_and_none_is_not():
    apart = scored("refusal_gap", texts(prompts=200, rates=(0.7, 0.2)))
    assert apart.p_value < 0.01 and apart.interval.low > 0 and apart.floor > 0
    alike = scored("refusal_gap", texts(1, prompts=200, rates=(0.3, 0.3)))
    assert alike.interval.low == 0.0 and alike.floor > 0 and alike.p_value > 0.01


def test_texts_that_nobody_looked_at_are_left_out_and_counted():
    answers = texts().astype({"refusal": object})
    answers.loc[answers.index % 3 == 0, "refusal"] = None
    for name in ("refusal_rate", "refusal_gap"):
        score = scored(name, answers)
        assert score.left_out == {"refusal is missing or not finite": 60} and score.n_records == 120
    assert scored("refusal_rate", answers.assign(refusal=None)).undefined == "no answer could be used"


@pytest.mark.parametrize("name", ["refusal_rate", "refusal_gap"])
@pytest.mark.parametrize(("cell", "wanted"), [(0.7, "1 for a refusal and 0 for none"), (2, "a number from 0 to 1")])
def test_what_is_neither_is_refused(name: str, cell: float, wanted: str):
    answers = texts().astype({"refusal": float})
    answers.loc[4, "refusal"] = cell
    with pytest.raises(FairbenchError, match=wanted) as error:
        scored(name, answers)
    assert f"Row 5, column 'refusal': found {cell:g}" in str(error.value)


def test_the_rate_is_no_figure_of_bias():
    rate, gap = (METRIC(name).info for name in ("refusal_rate", "refusal_gap"))
    assert (rate.kind, rate.headline, rate.by_notion) == ("utility", False, False)
    assert (gap.kind, gap.headline, gap.by_notion) == ("extrinsic", True, True)
