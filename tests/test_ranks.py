"""Mann-Whitney tests between many lists: against SciPy pair by pair, and against all rankings of small lists."""

from __future__ import annotations

import doctest
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from fairbench import ranks
from fairbench.ranks import RankTests, rank_tests


def compared(lists: list[np.ndarray], weights: list[np.ndarray] | None = None) -> RankTests:
    """The tests of lists in any order of values; `weights` = how often each value counts."""
    values = np.concatenate(lists)
    label = np.repeat(np.arange(len(lists)), [len(x) for x in lists])
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=-np.inf))
    times = np.ones(len(values)) if weights is None else np.concatenate(weights)
    return rank_tests(label[order][None], times[order][None], starts, len(lists))


def assert_as_scipy(found: RankTests, lists: list[np.ndarray], draw: int = 0) -> None:
    for i, j in combinations(range(len(lists)), 2):
        if not len(lists[i]) or not len(lists[j]):
            assert np.isnan(found.p[draw, i, j])
            continue
        wanted = mannwhitneyu(lists[i], lists[j])
        assert found.p[draw, i, j] == pytest.approx(wanted.pvalue, abs=1e-12)
        assert found.wins[draw, i, j] == wanted.statistic
        assert found.wins[draw, j, i] == len(lists[i]) * len(lists[j]) - wanted.statistic


def test_the_examples_are_right():
    failed, attempted = doctest.testmod(ranks)
    assert attempted and not failed


@pytest.mark.parametrize("decimals", [None, 2, 1, 0])
@pytest.mark.parametrize("seed", range(15))
def test_every_pair_is_scipys(seed, decimals):
    """Exact and normal, with and without ties: rounding to `decimals` makes ties within and between the lists."""
    rng = np.random.default_rng(seed)
    lists = [rng.normal(rng.normal(), 1, size=rng.integers(1, 14)) for _ in range(5)]
    if decimals is not None:
        lists = [x.round(decimals) for x in lists]
    assert_as_scipy(compared(lists), lists)


def test_many_lists_of_the_published_size():
    rng = np.random.default_rng(5)
    lists = list(rng.normal(size=(40, 32)) + rng.normal(scale=0.5, size=(40, 1)))
    assert_as_scipy(compared(lists), lists)


def test_a_value_that_all_lists_share():
    lists = [np.zeros(4), np.zeros(9), np.zeros(12)]
    found = compared(lists)
    assert_as_scipy(found, lists)
    assert set(found.p[0][np.triu_indices(3, 1)]) == {1.0}


@pytest.mark.parametrize("decimals", [6, 1])
def test_a_weight_is_how_often_a_value_stands_in_its_list(decimals):
    rng = np.random.default_rng(3)
    lists = [rng.normal(size=n).round(decimals) for n in (6, 11, 9, 4)]
    weights = [rng.integers(0, 4, size=len(x)).astype(float) for x in lists]
    weights[3][:] = 0
    found = compared(lists, weights)
    repeated = [np.repeat(x, w.astype(int)) for x, w in zip(lists, weights, strict=True)]
    assert_as_scipy(found, repeated)
    assert found.sizes[0].tolist() == [len(x) for x in repeated]


def test_draws_are_computed_each_on_its_own():
    """Draws that differ in weights and in labels, some of them without a list."""
    rng = np.random.default_rng(4)
    r, d = 40, 4
    starts = np.flatnonzero(rng.random(r) < 0.8)
    starts[0] = 0
    label, weights = rng.integers(0, d, size=(6, r)), rng.integers(0, 3, size=(6, r)).astype(float)
    label[2][label[2] == 1] = 0
    together = rank_tests(label, weights, starts, d)
    for b in range(6):
        alone = rank_tests(label[b : b + 1], weights[b : b + 1], starts, d)
        for name in ("p", "least", "wins", "sizes"):
            np.testing.assert_array_equal(getattr(together, name)[b], getattr(alone, name)[0])


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 6), (3, 4), (4, 4), (2, 8)])
def test_the_exact_p_counts_all_rankings(n, m):
    wins = []
    for chosen in combinations(range(n + m), n):
        wins.append(sum(i > j for i in chosen for j in set(range(n + m)) - set(chosen)))
    for chosen in list(combinations(range(n + m), n))[::7]:
        first, second = np.array(chosen, float), np.array(sorted(set(range(n + m)) - set(chosen)), float)
        found = compared([first, second])
        larger = max(found.wins[0, 0, 1], n * m - found.wins[0, 0, 1])
        assert found.p[0, 0, 1] == pytest.approx(min(1, 2 * np.mean(np.array(wins) >= larger)), abs=1e-12)
        assert found.least[0, 0, 1] == pytest.approx(min(1, 2 / len(wins)), abs=1e-12)


def test_the_least_p_is_that_of_lists_that_do_not_overlap():
    for n, m in ((3, 40), (8, 1000), (9, 9), (32, 32)):
        lists = [np.arange(n, dtype=float), n + np.arange(m, dtype=float)]
        found = compared(lists)
        assert found.least[0, 0, 1] == pytest.approx(mannwhitneyu(*lists).pvalue, rel=1e-12)


def test_fractions_of_a_value_give_a_p_between_0_and_1():
    rng = np.random.default_rng(6)
    lists = [rng.normal(size=n) for n in (3, 7, 12)]
    for scale in (0.01, 0.3, 0.5, 1.7):
        p = compared(lists, [np.full(len(x), scale) for x in lists]).p[0][np.triu_indices(3, 1)]
        assert ((p >= 0) & (p <= 1)).all()
