"""A correlation over few models: its value, p-value and interval, against SciPy and by simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fairbench import correlations as weighted
from fairbench.comparison.over_models import Draws, discovery, drawn, estimates, needed, spearman_p
from fairbench.stats import Units, bootstrap_weights
from tests.comparison.made_scores import found, only, scores


@pytest.mark.parametrize("n", [9, 12, 30])
def test_values_and_p_are_those_of_scipy(n: int) -> None:
    rng = np.random.default_rng(n)
    x, y = rng.random(n), rng.integers(0, 5, n) / 5  # ties in y
    pair = only(found(scores("ceat", x.tolist()), scores("fpr_gap", y.tolist())))
    pearson, spearman = stats.pearsonr(x, y), stats.spearmanr(x, y)
    assert (pair.pearson, pair.pearson_p) == pytest.approx((pearson.statistic, pearson.pvalue))
    assert (pair.spearman, pair.spearman_p) == pytest.approx((spearman.statistic, spearman.pvalue))


@pytest.mark.parametrize("seed", range(3))
def test_the_exact_p_is_that_of_scipys_permutation_test(seed: int) -> None:
    x, y = np.random.default_rng(seed).random((2, 6))

    def rho(first: Any) -> Any:
        return stats.spearmanr(first, y).statistic

    wanted = stats.permutation_test((x,), rho, permutation_type="pairings", n_resamples=math.factorial(6))
    assert spearman_p(x, y, rho(x)) == pytest.approx(wanted.pvalue)


def test_q_is_benjamini_and_hochbergs_over_all_pairs() -> None:
    assert discovery([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])  # by hand: p * 4 / rank
    assert discovery([]) == []
    rng = np.random.default_rng(1)
    result = found(
        *(scores("ceat", rng.random(9).tolist(), task=f"in{k}") for k in range(3)),
        *(scores("fpr_gap", rng.random(9).tolist(), task=f"out{k}") for k in range(2)),
        scores("fpr_gap", [0.5] * 9, task="constant"),
    )
    for name in ("pearson", "spearman"):
        ps = [getattr(pair, f"{name}_p") for pair in result.pairs]
        kept = [p for p in ps if p is not None]
        assert len(ps) == 9 and len(kept) == 6
        wanted = iter(stats.false_discovery_control(kept))
        assert [getattr(pair, f"{name}_q") for pair in result.pairs] == [None if p is None else next(wanted) for p in ps]


@pytest.mark.parametrize(("n", "r"), [(19, 0.456), (5, 0.878), (3, 0.997), (10, 0.632)])
def test_the_correlation_that_few_models_need(n: int, r: float) -> None:
    assert needed(n) == pytest.approx(r, abs=5e-4)  # tables of the critical values of r, 5 % two-sided


@pytest.mark.parametrize("n", [5, 13])
@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_the_draws_are_those_of_weighted_correlations(name: str, n: int) -> None:
    rng = np.random.default_rng(n)
    x, y = rng.integers(0, 4, n) / 7 + 1e6, rng.random(n)  # ties, far from 0
    models = Units(of_row=np.arange(n), stratum=np.zeros(n, dtype=np.intp), kind="models")
    (weights,) = bootstrap_weights(models, 500, 3)
    wanted = getattr(weighted, name)(x, y, weights)
    assert np.isnan(wanted).any() and np.isfinite(wanted).any()  # some draws hold one value of x only
    np.testing.assert_allclose(drawn(x, y, name, 500, 3), wanted, atol=1e-7, equal_nan=True)


def test_planted_scores_that_are_one_and_the_same_have_correlation_1() -> None:
    x = [0.1, 0.4, 0.2, 0.8, 0.6]
    pair = only(found(scores("ceat", x), scores("fpr_gap", x)))
    assert pair.pearson == pytest.approx(1) and pair.spearman == pytest.approx(1)
    assert pair.spearman_p == pytest.approx(2 / 120) and (pair.pearson_low, pair.spearman_low) == (None, None)  # all draws agree
    opposite = only(found(scores("ceat", x), scores("ratio", x)))  # of a ratio 1 is unbiased
    assert opposite.pearson == pytest.approx(-1) and opposite.spearman == pytest.approx(-1)


@pytest.mark.parametrize(("correlation", "least"), [(0.0, 0.87), (0.7, 0.87)])
def test_the_interval_holds_the_true_correlation_about_as_often_as_it_says(correlation: float, least: float) -> None:
    rng, hits = np.random.default_rng(3), {"pearson": 0, "spearman": 0}
    truth = {"pearson": correlation, "spearman": 6 / math.pi * math.asin(correlation / 2)}
    for _ in range(300):
        x, noise = rng.standard_normal((2, 12))
        y = correlation * x + math.sqrt(1 - correlation**2) * noise
        for name, one in estimates(x, y, Draws(400, 1, 0.95)).items():
            hits[name] += one.low is not None and one.high is not None and one.low <= truth[name] <= one.high
    assert all(300 * least <= count <= 299 for count in hits.values()), hits


def test_independent_scores_are_seldom_called_correlated() -> None:
    rng = np.random.default_rng(5)
    p = {"pearson": [], "spearman": []}  # type: dict[str, list[float]]
    for _ in range(400):
        for name, one in estimates(*rng.standard_normal((2, 7)), Draws(0, 1, 0.95)).items():
            p[name].append(one.p)
    for name, values in p.items():
        assert 0.02 <= np.mean(np.array(values) <= 0.05) <= 0.08, name
