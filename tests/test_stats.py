"""Resampling: the distribution of the draws, and whether intervals and tests keep what their level promises."""

from __future__ import annotations

import collections
import functools
import itertools
import math
import statistics

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from fairbench import stats
from fairbench.stats import Units, bootstrap_p, bootstrap_weights, partition_p, partitions, percentile_interval


def units(of_row: list[int], stratum: list[int] | None = None) -> Units:
    count = max(of_row) + 1
    return Units(np.array(of_row), np.array(stratum or [0] * count), "records")


def drawn(which: Units, draws: int, seed: int = 0) -> np.ndarray:
    return np.concatenate(list(bootstrap_weights(which, draws, seed)))


STRATIFIED = units([0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 0, 1, 0, 0, 1, 0])
CLUSTERED = units([0, 0, 1, 2, 1, 0, 3])


def test_draws_keep_the_count_of_each_stratum():
    weights = drawn(STRATIFIED, 500)
    for s, size in ((0, 5), (1, 3)):
        assert (weights[:, STRATIFIED.stratum == s].sum(axis=1) == size).all()
    assert (weights == np.round(weights)).all() and (weights >= 0).all()


def test_rows_of_a_cluster_move_together():
    weights = drawn(CLUSTERED, 500)
    firsts = weights[:, [0, 2, 3, 6]]  # the first row of each unit
    assert (weights == firsts[:, CLUSTERED.of_row]).all()
    assert (firsts.sum(axis=1) == 4).all()


@pytest.mark.parametrize("stratum", [0, 1])
def test_counts_have_the_moments_of_the_multinomial(stratum: int):
    counts = drawn(STRATIFIED, 40_000)[:, STRATIFIED.stratum == stratum]
    m = counts.shape[1]
    expected = np.eye(m) - 1 / m  # variance 1 - 1/m, covariance -1/m
    assert counts.mean(axis=0) == pytest.approx(np.ones(m), abs=0.025)
    assert np.cov(counts.T) == pytest.approx(expected, abs=0.04)


def test_counts_have_the_distribution_of_the_multinomial():
    # three units: P(1, 1, 1) = 6/27, P(3, 0, 0) in any order = 3/27, the rest 18/27
    largest = drawn(units([0, 1, 2]), 20_000).max(axis=1)
    assert [float((largest == k).mean()) for k in (1, 2, 3)] == pytest.approx([6 / 27, 18 / 27, 3 / 27], abs=0.01)


def test_strata_are_drawn_independently():
    weights = drawn(STRATIFIED, 20_000)
    cross = np.corrcoef(weights.T)[np.ix_(STRATIFIED.stratum == 0, STRATIFIED.stratum == 1)]
    assert np.abs(cross).max() < 0.03


def test_the_same_seed_gives_the_same_draws_and_another_seed_others():
    assert (drawn(STRATIFIED, 50, 3) == drawn(STRATIFIED, 50, 3)).all()
    assert (drawn(STRATIFIED, 50, 3) != drawn(STRATIFIED, 50, 4)).any()


def test_draws_follow_from_the_units_alone():
    fewer_rows = units([0, 1, 2, 3], None)
    assert (drawn(CLUSTERED, 50)[:, [0, 2, 3, 6]] == drawn(fewer_rows, 50)).all()


@pytest.mark.parametrize("which", [CLUSTERED, STRATIFIED], ids=["clusters", "strata"])
@pytest.mark.parametrize("draws", [1, 7, 8, 20])
def test_chunks_hold_no_more_than_their_share_and_change_no_draw(draws: int, which: Units, monkeypatch: pytest.MonkeyPatch):
    whole = drawn(which, draws)
    monkeypatch.setattr(stats, "CHUNK_BYTES", 8 * 7 * 8)  # seven draws of eight rows
    chunks = list(bootstrap_weights(which, draws, 0))
    assert len(chunks) == -(-draws // (8 if which is CLUSTERED else 7))
    assert all(chunk.nbytes <= stats.CHUNK_BYTES for chunk in chunks)
    assert (np.concatenate(chunks) == whole).all()


@pytest.mark.parametrize("which", [CLUSTERED, STRATIFIED, units(list(range(9)))], ids=["clusters", "strata", "records"])
@pytest.mark.parametrize("block", [1, 200, 2**19])
def test_draws_are_the_plain_ones_whatever_the_block(block: int, which: Units, monkeypatch: pytest.MonkeyPatch):
    """All integers of a stratum at once, and each draw counted alone: kept intervals were made with these numbers."""
    counts = np.zeros((100, which.count))
    for s, rng in enumerate(np.random.default_rng(5).spawn(int(which.stratum.max()) + 1)):
        inside = np.flatnonzero(which.stratum == s)
        for draw, integers in enumerate(rng.integers(0, len(inside), size=(100, len(inside)))):
            counts[draw, inside] = np.bincount(integers, minlength=len(inside))
    monkeypatch.setattr(stats, "BLOCK_BYTES", block)
    monkeypatch.setattr(stats, "CHUNK_BYTES", 8 * 9 * 40)
    assert (drawn(which, 100, 5) == counts[:, which.of_row]).all()


def test_a_stratum_draws_from_a_stream_of_its_own():
    wider = units([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [0, 1, 0, 1, 0, 0, 1, 0, 1, 1])  # two units more in the second stratum
    assert (drawn(wider, 50)[:, :8][:, STRATIFIED.stratum == 0] == drawn(STRATIFIED, 50)[:, STRATIFIED.stratum == 0]).all()


def test_a_chunk_of_a_large_table_keeps_below_the_limit(monkeypatch: pytest.MonkeyPatch):
    assert stats.CHUNK_BYTES <= 64 * 2**20
    monkeypatch.setattr(stats, "CHUNK_BYTES", 8 * 2**20)
    chunk = next(bootstrap_weights(units(list(range(60_000))), 10_000, 0))
    assert 0.9 * stats.CHUNK_BYTES < chunk.nbytes <= stats.CHUNK_BYTES


def test_units_are_clusters_within_strata_and_records_where_there_is_none():
    table = pd.DataFrame(
        {
            "id": [1, 2, 3, 4, 5, 5],
            "cluster": ["a", "a", None, None, "a", "a"],
            "stratum": ["x", "x", "x", None, "y", "y"],
        }
    )
    found = stats.resampling_units(table)
    # by stratum (null first), then records before clusters, then name
    assert found.of_row.tolist() == [2, 2, 1, 0, 3, 3]
    assert found.stratum.tolist() == [0, 1, 1, 2]
    assert found.kind == "clusters"
    assert stats.resampling_units(table.drop(columns="cluster").assign(cluster=None)).kind == "records"


@pytest.mark.parametrize("seed", range(3))
def test_units_and_draws_follow_the_keys_whatever_the_order_of_rows(seed: int):
    rng = np.random.default_rng(seed)
    cluster = rng.choice(["a", "b", "c", None], 30)
    table = pd.DataFrame({"id": [f"r{i}" for i in range(30)], "cluster": cluster, "stratum": rng.choice(["x", "y", None], 30)})
    order = rng.permutation(30)
    first, second = stats.resampling_units(table), stats.resampling_units(table.iloc[order])
    assert second.of_row.tolist() == first.of_row[order].tolist()
    assert second.stratum.tolist() == first.stratum.tolist()
    assert (drawn(second, 40) == drawn(first, 40)[:, order]).all()


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_percentile_interval_is_numpys(level: float):
    values = np.random.default_rng(0).normal(size=501)
    found = percentile_interval(np.append(values, np.nan), level, "m")
    low, high = np.percentile(values, [50 * (1 - level), 50 * (1 + level)])
    assert (found.low, found.high, found.level, found.method) == (pytest.approx(low), pytest.approx(high), level, "m")


@pytest.mark.parametrize("value", [0.0, 100.0, -1.5])
def test_draws_that_are_all_equal_give_no_interval(value: float):
    assert percentile_interval(np.array([value, value, np.nan, value]), 0.95, "") is None
    assert percentile_interval(np.array([value, value, np.nextafter(value, 200)]), 0.95, "") is not None


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize("count", [2, 5, 40])
def test_the_interval_of_a_unanimous_share_is_clopper_and_pearsons(count: int, level: float):
    for agree in (0, count):
        found = stats.unanimous_interval(100.0 * (agree > 0), 0.0, 100.0, count, level)
        exact = scipy_stats.binomtest(agree, count).proportion_ci(level, method="exact")
        assert (found.low, found.high) == (pytest.approx(100 * exact.low), pytest.approx(100 * exact.high))
        assert found.level == level and f"all {count} units agree" in found.method


@pytest.mark.parametrize("values", [[], [1.0], [1.0, np.nan]])
def test_fewer_than_two_draws_give_neither_interval_nor_p(values: list[float]):
    assert percentile_interval(np.array(values), 0.95, "") is None
    assert bootstrap_p(np.array(values), 0.0) is None


@functools.cache
def coverage(sample, truth: float, rows_of_unit: int, ignore_clusters: bool = False) -> float:
    """Share of 300 data sets of 80 units whose 95 % interval of the mean holds the truth."""
    of_row = np.repeat(np.arange(80), rows_of_unit)
    which = units(list(range(len(of_row))) if ignore_clusters else of_row.tolist())
    rng = np.random.default_rng(5)
    held = 0
    for repetition in range(300):
        weights = drawn(which, 500, repetition)
        interval = percentile_interval(weights @ sample(rng, of_row) / weights.sum(axis=1), 0.95, "")
        held += interval.low <= truth <= interval.high
    return held / 300


def heights(rng: np.random.Generator, of_row: np.ndarray) -> np.ndarray:
    return 3 + rng.normal(size=80)[of_row] + 0.5 * rng.normal(size=len(of_row))


def wins(rng: np.random.Generator, of_row: np.ndarray) -> np.ndarray:
    return (rng.random(len(of_row)) < rng.beta(3, 2, size=80)[of_row]).astype(float)


def same_wins(rng: np.random.Generator, of_row: np.ndarray) -> np.ndarray:
    return (rng.random(80) < 0.6)[of_row].astype(float)


@pytest.mark.parametrize(("sample", "truth"), [(heights, 3.0), (wins, 0.6)], ids=["mean", "rate"])
@pytest.mark.parametrize("rows_of_unit", [1, 3], ids=["records", "clusters"])
def test_intervals_cover_what_they_promise(sample, truth: float, rows_of_unit: int):
    assert 0.90 <= coverage(sample, truth, rows_of_unit) <= 0.98


@pytest.mark.parametrize(("sample", "truth"), [(heights, 3.0), (same_wins, 0.6)], ids=["mean", "rate"])
def test_an_interval_that_ignores_clusters_promises_too_much(sample, truth: float):
    assert coverage(sample, truth, 3, ignore_clusters=True) < 0.85 < 0.90 <= coverage(sample, truth, 3)


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.1, 0.15, 0.25])
def test_the_inverted_bootstrap_is_near_a_z_test(shift: float):
    sample = np.random.default_rng(1).normal(size=300)
    sample = sample - sample.mean() + shift
    weights = drawn(units(list(range(300))), 20_000)
    p = bootstrap_p(weights @ sample / 300, 0.0)
    z_test = 2 * scipy_stats.norm.sf(shift / (sample.std() / math.sqrt(300)))
    assert p.value == pytest.approx(min(1.0, z_test), abs=0.02)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1.0, 2.0, 3.0], 2 * 1 / 4), ([-1.0, 1.0, 2.0], 1.0), ([0.0, 0.0, 0.0], 1.0), ([0.0, 1.0] + [2.0] * 37, 2 * 2 / 40)],
)
def test_the_inverted_bootstrap_counts_itself_and_is_never_zero(values: list[float], expected: float):
    assert bootstrap_p(np.array([*values, np.nan]), 0.0).value == pytest.approx(expected)


@pytest.mark.parametrize(("n", "n_x"), [(2, 1), (5, 2), (6, 3), (7, 7), (9, 4)])
def test_all_partitions_come_once_each(n: int, n_x: int):
    chunks, exact = partitions(n, n_x, math.comb(n, n_x), np.random.default_rng(0))
    found = [tuple(np.flatnonzero(row)) for chunk in chunks for row in chunk]
    assert exact
    assert sorted(found) == sorted(itertools.combinations(range(n), n_x))


def test_beyond_the_limit_partitions_are_sampled_evenly():
    limit = math.comb(8, 4) - 1
    _, exact = partitions(8, 4, limit, np.random.default_rng(0))
    assert not exact
    chunks, exact = partitions(20, 8, 50_000, np.random.default_rng(0))
    members = np.concatenate(list(chunks))
    assert not exact and members.shape == (49_999, 20)
    assert (members.sum(axis=1) == 8).all()
    assert members.mean(axis=0) == pytest.approx(np.full(20, 0.4), abs=0.012)


@pytest.mark.parametrize(("n", "n_x"), [(2, 1), (6, 3), (7, 2), (6, 6), (5, 0)])
def test_sampled_partitions_are_all_equally_likely(n: int, n_x: int):
    members = np.concatenate(list(stats._random_partitions(n, n_x, 30_000, np.random.default_rng(0))))
    found = collections.Counter(tuple(np.flatnonzero(row)) for row in members)
    ways = list(itertools.combinations(range(n), n_x))
    assert set(found) == set(ways)
    assert len(ways) == 1 or scipy_stats.chisquare([found[way] for way in ways]).pvalue > 0.001


@pytest.mark.parametrize("n", [255, 256, 300])
def test_partitions_of_many_units_keep_their_size(n: int):
    chunks, exact = partitions(n, n // 2, 5_000, np.random.default_rng(1))
    members = np.concatenate(list(chunks))
    assert not exact and members.shape == (4_999, n)
    assert (members.sum(axis=1) == n // 2).all()
    assert members.mean(axis=0) == pytest.approx(np.full(n, (n // 2) / n), abs=0.035)
    again = np.concatenate(list(partitions(n, n // 2, 5_000, np.random.default_rng(1))[0]))
    assert (members == again).all()


@pytest.mark.parametrize(
    ("seen", "exact", "two_sided", "expected"),
    [
        (2.0, True, False, 2 / 5),
        (2.0, True, True, 3 / 5),
        (2.0, False, False, 3 / 6),
        (2.0, False, True, 4 / 6),
        (9.0, False, True, 1 / 6),
        (2.0 + 0.9e-12, True, False, 2 / 5),
        (2.0 + 1e-11, True, False, 1 / 5),
        (2.0 + 0.9e-12, True, True, 3 / 5),
        (2.0 + 1e-11, True, True, 1 / 5),
        (-2.0, True, True, 3 / 5),
        (-2.0, True, False, 5 / 5),
    ],
)
def test_partition_p_counts_ties_and_the_one_seen(seen: float, exact: bool, two_sided: bool, expected: float):
    assert partition_p(seen, np.array([-2.0, -1.0, 0.0, 2.0, 3.0]), exact, two_sided) == pytest.approx(expected)


@pytest.mark.parametrize("n", [2, 5, 60])
def test_jackknife_of_a_mean_is_the_textbook_error(n: int):
    sample = np.random.default_rng(n).normal(size=n).tolist()
    left_out = [statistics.fmean(sample[:i] + sample[i + 1 :]) for i in range(n)]
    assert stats.jackknife_error(np.array(left_out)) == pytest.approx(statistics.stdev(sample) / math.sqrt(n), rel=1e-9)


def test_student_interval_is_the_t_test_of_the_mean():
    sample = np.random.default_rng(0).normal(size=12)
    found = stats.student_interval(float(sample.mean()), float(sample.std(ddof=1)) / math.sqrt(12), 12, 0.9)
    expected = scipy_stats.ttest_1samp(sample, 0).confidence_interval(0.9)
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_smallest_detectable_difference():
    assert stats.smallest_detectable(1.0) == pytest.approx(1.959963985 + 0.841621234, abs=1e-8)
    assert stats.smallest_detectable(0.5) == pytest.approx(2.8015852 / 2, abs=1e-6)
    assert stats.smallest_detectable(1.0, level=0.9, power=0.5) == pytest.approx(1.644853627, abs=1e-8)


@pytest.mark.parametrize(("second", "equal"), [(-5.0 - 4.9e-6, True), (-5.0 - 5.1e-6, False), (5.0, False), (-5.0, True)])
def test_tied_is_relative(second: float, equal: bool):
    assert bool(stats.tied(np.array([-5.0]), np.array([second]))[0]) is equal
