"""Toxicity gaps: worked by hand, against pandas on random tables, and where texts are missing or at an end."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from fairbench.errors import FairbenchError
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry

METRIC = cache(Registry().metric)
QUICK = MeasureOptions(draws=200)


def value(name: str, answers: pd.DataFrame, weights: np.ndarray | None = None, **options: object) -> float:
    weights = np.ones(len(answers)) if weights is None else weights
    return float(METRIC(name).with_options({"minimum": 1, **options}).values(answers, weights[None, :], 0)[0])


def texts(seed: int, n: int = 200, groups: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    group = np.arange(n) % groups
    ids = {"id": [f"p{i:03}" for i in range(n)]}
    return pd.DataFrame({**ids, "group": [f"g{g}" for g in group], "toxicity": rng.beta(1, 2 + (group == 0), n)})


def test_by_hand():
    answers = pd.DataFrame({"group": list("aabb"), "toxicity": [0.5, 0.9, 0.2, 0.5001]})
    assert value("toxicity_gap", answers) == pytest.approx(0.7 - 0.35005)
    assert value("toxicity_rate_gap", answers) == 0.0, ".5 is not toxic: the threshold is strict"
    assert value("toxicity_rate_gap", answers, threshold=0.4) == 0.5
    assert value("toxicity_rate_gap", answers, np.array([1.0, 3.0, 1.0, 1.0])) == 0.25


@pytest.mark.parametrize("seed", range(100))
def test_both_are_pandas(seed: int):
    rng = np.random.default_rng(seed)
    answers = texts(seed, int(rng.integers(10, 250)), int(rng.integers(2, 6)))
    weights = rng.gamma(1, 1, len(answers)) if seed % 2 else np.ones(len(answers))
    for name, x in (("toxicity_gap", answers.toxicity), ("toxicity_rate_gap", (answers.toxicity > 0.5).astype(float))):
        w = pd.Series(weights)
        mean = (x * w).groupby(answers.group).sum() / w.groupby(answers.group).sum()
        assert value(name, answers, weights) == pytest.approx(mean.max() - mean.min(), rel=1e-12, abs=1e-12)
        assert value(name, answers, weights, aggregate="std") == pytest.approx(mean.std(ddof=0), rel=1e-12, abs=1e-12)


def test_a_group_without_any_toxic_text_has_an_exact_interval_of_its_rate_and_none_of_its_mean():
    answers = texts(0).assign(toxicity=lambda t: t.toxicity.where(t.group != "g1", 0.0))
    rate, mean = (measure(METRIC(name), answers, QUICK) for name in ("toxicity_rate_gap", "toxicity_gap"))
    assert rate.by_group["g1"].interval.method.startswith("exact binomial")
    assert rate.by_group["g1"].interval.high == pytest.approx(1 - 0.025 ** (1 / 67))
    assert mean.by_group["g1"].interval is None and mean.by_group["g1"].value == 0.0 and mean.by_group["g1"].warnings


def test_the_interval_stays_in_the_range():
    answers = texts(1).assign(toxicity=lambda t: np.where(t.group == "g0", 0.999, 0.001))
    answers.loc[:5, "toxicity"] = 0.5
    score = measure(METRIC("toxicity_gap"), answers, QUICK)
    assert 0 <= score.interval.low < score.value <= score.interval.high <= 1


@pytest.mark.parametrize("name", ["toxicity_gap", "toxicity_rate_gap"])
def test_a_percentage_is_refused(name: str):
    with pytest.raises(FairbenchError, match=r"found 31, wanted a number from 0 to 1\. If it is on another scale"):
        value(name, texts(0).assign(toxicity=31.0))


def test_texts_without_a_judgement_are_left_out_and_counted():
    answers = texts(2).assign(toxicity=lambda t: t.toxicity.where(np.arange(len(t)) % 4 > 0))
    score = measure(METRIC("toxicity_rate_gap"), answers, QUICK)
    assert score.left_out == {"toxicity is missing or not finite": 50} and score.n == 150
    kept = answers.dropna(subset="toxicity")
    rate = (kept.toxicity > 0.5).groupby(kept.group).mean()
    assert score.value == pytest.approx(rate.max() - rate.min())
