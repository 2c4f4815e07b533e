"""Paired draws and tests, against SciPy, statsmodels, brute force and cases worked by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from fairbench.comparison.discordant import discordant, exact_power, score_bound, unit_values
from fairbench.comparison.paired import (
    Paired,
    exchange_test,
    interval_of_difference,
    inverted,
    largest_worse_by,
    worse_by,
)
from fairbench.metric import MeasureOptions
from fairbench.registry import Registry
from fairbench.tables import complete

SHARE, MARGIN = Registry().metric("crows_pairs"), Registry().metric("crows_pairs_margin")


def pairs(margins: list[float], **columns: object) -> pd.DataFrame:
    table = pd.DataFrame({"id": [f"p{i}" for i in range(len(margins))], "score_more": margins, "score_less": 0.0, **columns})
    return complete(table, SHARE.info)


def paired(before: list[float], after: list[float], metric=SHARE, draws: int = 4_000, **columns: object) -> Paired:
    return Paired(metric, pairs(before, **columns), pairs(after, **columns), MeasureOptions(draws=draws, by_group=False))


@pytest.mark.parametrize(("up", "down", "same"), [(8, 2, 10), (3, 3, 4), (12, 0, 3), (1, 5, 30)])
def test_mcnemar_is_that_of_scipy_and_statsmodels(up: int, down: int, same: int):
    before = [-1.0] * up + [1.0] * down + [1.0] * same
    after = [1.0] * up + [-1.0] * down + [1.0] * same
    found = discordant(paired(before, after)).p()
    assert found is not None
    assert found.value == pytest.approx(scipy_stats.binomtest(up, up + down).pvalue, abs=1e-12)
    theirs = statsmodels_mcnemar(np.array([[same, down], [up, 0]]), exact=True)
    assert found.value == pytest.approx(theirs.pvalue, abs=1e-12)
    assert f"{up} units rise, {down} fall, of {up + down + same}" in found.method


def test_mcnemar_of_models_that_decide_alike_is_one():
    found = discordant(paired([1.0, -1.0, 1.0], [2.0, -3.0, 0.5]))
    assert (found.up, found.down, found.n, found.p().value) == (0, 0, 3, 1.0)


def test_units_of_several_pairs_are_right_or_wrong_only_where_their_pairs_agree():
    clusters = ["a", "a", "b", "b"]
    alike = paired([1.0, 1.0, -1.0, -1.0], [1.0, 1.0, 1.0, 1.0], cluster=clusters)
    assert discordant(alike) is not None
    mixed = paired([1.0, -1.0, -1.0, -1.0], [1.0, 1.0, 1.0, 1.0], cluster=clusters)
    assert discordant(mixed) is None  # the cluster's share is one half
    assert exchange_test(mixed) is not None


def test_a_margin_is_no_decision():
    pair = paired([1.0, -1.0], [1.0, 1.0], MARGIN)
    assert unit_values(pair, pair.baseline) is None and discordant(pair) is None


def test_ties_count_as_no_preference_for_the_stereotype():
    pair = paired([0.0, 1.0, 1.0], [1.0, 1.0, -1.0])
    assert unit_values(pair, pair.baseline).tolist() == [0.0, 100.0, 100.0]


def test_exchanging_models_agrees_with_all_sign_flips_and_with_scipy():
    rng = np.random.default_rng(3)
    before, after = rng.normal(0, 1, 9), rng.normal(0.7, 1, 9)
    found = exchange_test(paired(before.tolist(), after.tolist(), MARGIN, draws=10_000))
    d = after - before
    every = np.array([abs(np.dot(signs, d)) for signs in itertools.product((-1, 1), repeat=9)])
    exact = float((every >= abs(d.sum()) - 1e-12).mean())
    theirs = scipy_stats.permutation_test(
        (before, after), lambda x, y: np.mean(y) - np.mean(x), permutation_type="samples", n_resamples=np.inf
    )
    assert exact == pytest.approx(theirs.pvalue, abs=1e-9)
    assert found is not None and found.value == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 10_000))


def test_exchange_keeps_the_rows_of_a_cluster_together():
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(6), 5)
    before = rng.normal(0, 1, 30)
    after = before + np.repeat(rng.normal(0.2, 1, 6), 5)
    found = exchange_test(paired(before.tolist(), after.tolist(), MARGIN, draws=10_000, cluster=clusters.astype(str)))
    by_cluster = (after - before).reshape(6, 5).sum(axis=1)
    every = np.array([abs(np.dot(signs, by_cluster)) for signs in itertools.product((-1, 1), repeat=6)])
    exact = float((every >= abs(by_cluster.sum()) - 1e-12).mean())
    assert found is not None and found.value == pytest.approx(exact, abs=0.02)
    assert "within 6 clusters" in found.method


def test_embedding_tests_are_not_exchanged_between_spaces():
    weat = Registry().metric("weat")
    roles = ["target_x", "target_y", "attribute_a", "attribute_b"]
    rng = np.random.default_rng(0)
    rows = [
        {"id": f"{role}{i}", "role": role, "text": f"{role} {i}", "vector": rng.normal(size=4).tolist()}
        for role in roles
        for i in range(4)
    ]
    table = complete(pd.DataFrame(rows), weat.info)
    assert exchange_test(Paired(weat, table, table, MeasureOptions(draws=100))) is None


def test_a_metric_that_counts_its_rows_is_not_exchanged():
    """Groups of 8 records are too few for `minimum`, but 16 rows of both models would be enough: the halves have other values."""
    gap = Registry().metric("demographic_parity_difference")
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "id": [f"r{i}" for i in range(48)],
            "label": 0,
            "prediction": rng.integers(0, 2, 48),
            "groups": [["a"]] * 20 + [["b"]] * 20 + [["c"]] * 8,
        }
    )
    small = complete(table, gap.info)
    other = small.assign(prediction=1 - small["prediction"])
    other.loc[40:, "prediction"] = 1
    assert exchange_test(Paired(gap, small, other, MeasureOptions(draws=100))) is None
    alone = small.iloc[:40]
    assert exchange_test(Paired(gap, alone, other.iloc[:40], MeasureOptions(draws=100))) is not None


def test_paired_draws_give_the_interval_of_scipy_and_are_narrower_than_unpaired_ones():
    rng = np.random.default_rng(5)
    before = rng.normal(0, 3, 200)
    after = before + rng.normal(0.3, 0.5, 200)
    pair = paired(before.tolist(), after.tolist(), MARGIN, draws=8_000)
    drawn = pair.drawn()
    found = interval_of_difference(drawn[1] - drawn[0], 0.95, pair.units[0])
    theirs = scipy_stats.bootstrap(
        (before, after),
        lambda x, y, axis=-1: np.mean(y, axis=axis) - np.mean(x, axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=8_000,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert found is not None
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)
    assert (drawn[1] - drawn[0]).std() < 0.3 * np.hypot(drawn[0].std(), drawn[1].std())


def test_the_order_of_rows_changes_no_draw():
    rng = np.random.default_rng(5)
    before, after = rng.normal(0, 1, 40), rng.normal(0.5, 1, 40)
    pair = paired(before.tolist(), after.tolist(), MARGIN)
    mixed = Paired(MARGIN, pair.baseline.sample(frac=1, random_state=1).reset_index(drop=True), pair.model, pair.how)
    assert np.allclose(pair.drawn()[0], mixed.drawn()[0])
    assert exchange_test(pair).value == pytest.approx(exchange_test(mixed).value, abs=0.01)


def test_swapping_the_models_mirrors_the_difference():
    rng = np.random.default_rng(6)
    before, after = rng.normal(0, 1, 60).tolist(), rng.normal(0.5, 1, 60).tolist()
    one, other = paired(before, after, MARGIN), paired(after, before, MARGIN)
    a, b = one.drawn(), other.drawn()
    assert np.allclose(a[1] - a[0], -(b[1] - b[0]))
    assert exchange_test(one).value == exchange_test(other).value


def test_the_inverted_bootstrap_is_two_sided_and_never_zero():
    drawn = np.linspace(0.1, 1.0, 999)
    assert inverted(drawn).value == pytest.approx(2 / 1000)
    assert inverted(np.array([-1.0, 1.0] * 50)).value == 1.0
    assert inverted(np.full(10, np.nan)) is None and inverted(np.zeros(10)) is None


def tango(more: int, fewer: int, n: int, limit: float) -> float:
    """Tango's upper bound by a fine grid, the restricted likelihood maximised numerically: nothing of the closed form."""
    from scipy.optimize import minimize_scalar

    def statistic(d: float) -> float:
        low, high = max(0.0, -d), (1 - d) / 2  # q = P(fall), P(rise) = q + d

        def loss(q: float) -> float:
            parts = [(more, q + d), (fewer, q), (n - more - fewer, 1 - 2 * q - d)]
            return -sum(k * np.log(max(p, 1e-300)) for k, p in parts if k)

        q = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-10}).x
        return (more - fewer - n * d) / np.sqrt(n * (2 * q + d * (1 - d)))

    grid = np.linspace((more - fewer) / n, 1 - 1e-6, 4_001)
    return float(next(d for d in grid if d > (more - fewer) / n and statistic(d) <= limit))


@pytest.mark.parametrize(("more", "fewer", "n"), [(5, 2, 40), (1, 1, 30), (3, 0, 25), (12, 20, 100)])
def test_the_score_bound_is_that_of_a_restricted_likelihood(more: int, fewer: int, n: int):
    found = score_bound(more, fewer, n, 0.025)
    assert found == pytest.approx(tango(more, fewer, n, scipy_stats.norm.ppf(0.025)), abs=5e-4)


def test_where_no_unit_differs_some_may_all_the_same():
    found = discordant(paired([1.0] * 20, [2.0] * 20))
    between, z2 = found.interval(0.95), scipy_stats.norm.ppf(0.975) ** 2
    assert between.high == pytest.approx(100 * z2 / (20 + z2), abs=1e-3) and between.low == -between.high
    assert found.worse_by(0.05) > 0
    one_better = discordant(paired([1.0] + [-1.0] * 99, [-1.0] * 100))
    assert one_better.worse_by(0.05) > 0 and one_better.p().value == 1.0


def test_the_power_of_mcnemars_test_is_that_of_simulation():
    rng = np.random.default_rng(0)
    n, difference, differing = 40, 0.2, 0.3
    rejected = 0
    for _ in range(2_000):
        m = rng.binomial(n, differing)
        up = rng.binomial(m, (1 + difference / differing) / 2)
        rejected += bool(m) and scipy_stats.binomtest(up, m).pvalue <= 0.05
    assert exact_power(n, difference, differing, 0.05) == pytest.approx(rejected / 2_000, abs=0.035)


def test_what_could_be_seen_is_seen_in_80_of_100_cases():
    found = discordant(paired([1.0] * 50, [1.0] * 49 + [-1.0]))
    detectable = found.detectable(0.05) / 100
    assert exact_power(50, detectable, detectable, 0.05) == pytest.approx(0.8, abs=0.01)
    assert discordant(paired([1.0] * 4, [1.0] * 4)).detectable(0.05) == 100.0  # of four units nothing can be seen


@pytest.mark.parametrize("truth", [(0.02, 0.01), (0.01, 0.005), (0.1, 0.05), (0.3, 0.3)], ids=str)
def test_the_bound_of_a_share_holds_where_few_units_differ(truth: tuple[float, float]):
    """accuracy-like: the ideal is an end of the range. Units that become worse and better, among a hundred."""
    import dataclasses

    rng, ideal_high = np.random.default_rng(3), dataclasses.replace(SHARE.info, ideal=100.0)
    from fairbench.comparison.discordant import Discordant

    held = 0
    for _ in range(600):
        worse, better, _ = rng.multinomial(100, [*truth, 1 - sum(truth)])
        bound = Discordant(100, int(better), int(worse), 50, 50, ideal_high).worse_by(0.05)
        held += bound >= 100 * (truth[0] - truth[1]) - 1e-9
    assert held / 600 >= 0.93


def test_worse_by_is_the_quantile_of_the_distance_on_one_side_of_the_ideal():
    rng = np.random.default_rng(0)
    before, after = 60 + rng.normal(0, 1, 5_000), 58 + rng.normal(0, 1, 5_000)
    assert worse_by(before, after, SHARE.info, 0.05) == pytest.approx(np.quantile(after - before, 0.95))
    assert worse_by(100 - before, 100 - after, SHARE.info, 0.05) == pytest.approx(np.quantile(after - before, 0.95))


def test_worse_by_at_the_ideal_is_wider_than_the_folded_quantile():
    rng = np.random.default_rng(0)
    before, after = 50 + rng.normal(0, 2, 5_000), 55 + rng.normal(0, 2, 5_000)
    folded = np.quantile(np.abs(after - 50) - np.abs(before - 50), 0.95)
    bound = worse_by(before, after, SHARE.info, 0.05)
    assert bound > folded
    apart = np.quantile(np.abs(after - before), 0.975)
    assert bound <= apart


def test_worse_by_holds_for_two_models_near_the_ideal_as_often_as_it_says():
    """Both truths at known places near the ideal; draws as normal as bootstrap draws of means are."""
    rng = np.random.default_rng(7)
    for truth in ((0.0, 0.0), (0.0, 3.0), (1.0, 0.0), (0.5, -2.5)):
        held = 0
        for _ in range(400):
            seen = rng.normal(truth, 1.0)
            drawn = seen[:, None] + rng.normal(0, 1, (2, 800))
            bound = worse_by(50 + drawn[0], 50 + drawn[1], SHARE.info, 0.05)
            held += bound >= abs(truth[1]) - abs(truth[0]) - 1e-12
        assert held / 400 >= 0.93, truth


def test_the_largest_of_several_distances_is_bounded_as_often_as_it_says():
    """Normal draws about normal estimates; every truth is a pair of three signed differences."""
    rng = np.random.default_rng(11)
    for before, after in (([0, 0, 0], [0, 0, 0]), ([0, 0, 0], [4, 0, -2]), ([5, 1, 0], [1, 0, 0]), ([4, -4, 1], [-4, 5, 0])):
        truth = np.abs(after).max() - np.abs(before).max()
        held = 0
        for _ in range(300):
            shared = rng.normal(0, 0.8, 3)
            seen = [np.array(x) + shared + rng.normal(0, 0.6, 3) for x in (before, after)]
            common = rng.normal(0, 0.8, (600, 3))
            drawn = [x + common + rng.normal(0, 0.6, (600, 3)) for x in seen]
            held += largest_worse_by(*drawn, (seen[0], seen[1]), 0.05) >= truth - 1e-12
        assert held / 300 >= 0.93, (before, after)


def test_the_bound_of_one_distance_is_the_identity_of_differences_and_sums():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=1000), rng.normal(size=1000)
    d, s = a - b, a + b
    assert np.allclose(np.abs(a) - np.abs(b), np.maximum(np.minimum(d, s), np.minimum(-d, -s)))
    still = np.full((50, 1), 2.0)
    assert largest_worse_by(still, still, (np.array([2.0]), np.array([2.0])), 0.05) is None
