"""Mann-Whitney U tests between all pairs of many lists at once; NumPy, and SciPy's normal distribution inside a function."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fairbench.stats import Floats, Indices

EXACT = 8
"""The test is exact where the shorter list has at most so many values and no two values of the pair are tied, as in SciPy."""


@dataclass(frozen=True)
class RankTests:
    """Tests between all pairs of d lists, for b draws.

    Attributes:
        p: (b, d, d) two-sided p of list i against list j for i < j where both have values, else NaN.
        least: (b, d, d) the smallest p that two lists of these sizes could have; NaN as in `p`.
        wins: (b, d, d) pairs of values of which that of list i is larger than that of list j; ties count one half.
        sizes: (b, d) how many values each list has.
    """

    p: Floats
    least: Floats
    wins: Floats
    sizes: Floats


def rank_tests(label: Indices, weights: Floats, starts: Indices, d: int) -> RankTests:
    """Two-sided Mann-Whitney U tests between all pairs of d lists.

    The p of a pair is that of `scipy.stats.mannwhitneyu`: exact where one list has at most 8 values and none are tied, else
    normal with tie and continuity correction. For r values the cost is r * d; sorting each pair anew, r * d * log r.

    Args:
        label: (b, r) list of each value, 0 .. d - 1; the values in rising order.
        weights: (b, r) how often each value stands in its list; 0 is not at all, and twice is tied with itself.
        starts: (g,) where each distinct value begins; 0 .. r - 1 if none are tied.
        d: how many lists.

    Example:
        >>> found = rank_tests(np.array([[0, 0, 0, 1, 1, 1, 1]]), np.ones((1, 7)), np.arange(7), 2)
        >>> round(float(found.p[0, 0, 1]), 6), float(found.wins[0, 1, 0])  # 2 of the 35 ways to rank them are as extreme
        (0.057143, 12.0)
    """
    b, r = label.shape
    # Values last, so that sums run along memory.
    member = np.zeros((d, b, r))
    member[label, np.arange(b)[:, None], np.arange(r)] = weights
    times = np.diff(starts, append=r)
    of_value = member if len(starts) == r else np.add.reduceat(member, starts, axis=2)
    below = np.cumsum(of_value, axis=2)  # values of each list that are smaller than a distinct value, ties half
    below -= of_value / 2
    if len(starts) < r:
        below = np.repeat(below, times, axis=2)
    below *= weights
    key = (label + d * np.arange(b)[:, None]).ravel()
    order = np.argsort(key, kind="stable")
    lists, first = np.unique(key[order], return_index=True)
    wins = np.zeros((d, b * d))
    wins[:, lists] = np.add.reduceat(np.take(below.reshape(d, b * r), order, axis=1), first, axis=1)
    untied = len(starts) == r and bool(((weights == 0) | (weights == 1)).all())
    ties = np.zeros((b, d, d)) if untied else _tie_term(of_value, times > 1)
    return _compared(wins.reshape(d, b, d).transpose(1, 2, 0), of_value.sum(axis=2).T, ties)


def _tie_term(of_value: Floats, shared: NDArray[np.bool_]) -> Floats:
    """(b, d, d) sum of t^3 - t over the distinct values of two lists together, each of which stands t times in them.

    Args:
        of_value: (d, b, g) how often each list has each distinct value.
        shared: (g,) whether a value may stand in several lists.
    """
    cubes = (of_value * of_value * of_value - of_value).sum(axis=2).T
    term: Floats = cubes[:, :, None] + cubes[:, None, :]
    if shared.any():  # (x + y)^3 has mixed terms only where two lists have the same value
        tied = of_value[:, :, shared].transpose(1, 0, 2)
        mixed = np.matmul(tied * tied, tied.transpose(0, 2, 1))
        term += 3 * (mixed + mixed.transpose(0, 2, 1))
    return term


def _compared(wins: Floats, sizes: Floats, ties: Floats) -> RankTests:
    """The p of every pair, from its wins (b, d, d), the lists' sizes (b, d) and the tie term (b, d, d)."""
    first, second = np.broadcast_arrays(sizes[:, :, None], sizes[:, None, :])
    pairs = np.triu(np.ones(wins.shape[1:], dtype=bool), 1) & (first > 0) & (second > 0)
    n, m = first[pairs], second[pairs]
    p, least = np.full(wins.shape, np.nan), np.full(wins.shape, np.nan)
    p[pairs] = _two_sided(np.maximum(wins[pairs], n * m - wins[pairs]), n, m, ties[pairs])
    least[pairs] = _two_sided(n * m, n, m, np.zeros(len(n)))
    return RankTests(p, least, wins, sizes)


def _two_sided(u: Floats, n: Floats, m: Floats, ties: Floats) -> Floats:
    """(k,) p of the larger of both U, for lists of n and m values."""
    from scipy.special import ndtr  # without the weight of scipy.stats

    total = n + m
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(np.maximum(n * m / 12 * (total + 1 - ties / (total * (total - 1))), 0))
        # All values tied: no spread, and -0.5 / 0 makes p = 1.
        p: Floats = np.minimum(2 * ndtr(-(u - n * m / 2 - 0.5) / spread), 1)
    exact = np.flatnonzero((np.minimum(n, m) <= EXACT) & (ties == 0) & (n % 1 == 0) & (m % 1 == 0))
    small, large = (side(n[exact], m[exact]).astype(np.intp) for side in (np.minimum, np.maximum))
    for size in np.unique(small):
        for other in np.unique(large[small == size]):
            here = exact[(small == size) & (large == other)]
            p[here] = np.minimum(2 * _tail(int(size), int(other))[u[here].astype(np.intp)], 1)
    return p


@lru_cache(maxsize=256)
def _tail(n: int, m: int) -> Floats:
    """P(U >= u) for u = 0 .. n m where all rankings are alike: the Gaussian binomial coefficient's terms count them.

    prod_i (1 - q^(m + i)) / (1 - q^i), i = 1 .. n, in whole numbers of any size, so that nothing is rounded before the end.
    """
    ways = [1, *[0] * (n * m)]
    for i in range(1, n + 1):
        for u in range(n * m, m + i - 1, -1):
            ways[u] -= ways[u - m - i]
        for u in range(i, n * m + 1):
            ways[u] += ways[u - i]
    above, tail = 0, []
    for count in reversed(ways):
        above += count
        tail.append(above)
    return np.array([count / above for count in reversed(tail)])
