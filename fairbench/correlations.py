"""How well a figure follows a judgement: correlations under weights, and tests of two correlations that share a variable.

A weight of 2 is the row twice, a weight of 0 the row gone, so a bootstrap is one call with many rows of weights. In the tests j
is the judgement, k and h are the two figures that are compared, as in Steiger (1980).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairbench.errors import Undefined
from fairbench.stats import Floats, Indices, normal_p

SAME = 1e-13
"""Values whose spread is no more than this share of their size are one value that was rounded."""

EXACT = 1e-12
"""A determinant or a variance of correlations up to here is zero but for rounding."""

ALIKE = "the two figures agree perfectly: their correlation is 1"


@dataclass(frozen=True)
class DependentTest:
    """A test that two correlations of one sample are equal in the population.

    Attributes:
        statistic: t or z, positive where the first correlation is larger.
        p: two-sided.
        df: degrees of freedom of t; null for z.
    """

    statistic: float
    p: float
    df: int | None = None


def constant(values: Floats) -> bool:
    """Whether all values are one, but for rounding."""
    centre = float(np.mean(values)) if len(values) else 0.0
    return not len(values) or bool(np.abs(values - centre).max() <= SAME * abs(centre))


def pearson(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Pearson's r under each row of weights; where y is 0 or 1, the point-biserial r.

    r = sum w (x - mean x)(y - mean y) / sqrt(sum w (x - mean x)^2 * sum w (y - mean y)^2).

    Args:
        x: (n,) values.
        y: (n,) values.
        weights: (b, n) of 0 or more.

    Returns:
        (b,) in [-1, 1]; NaN where x or y has one value only.

    Example:
        >>> x, y = np.array([1.0, 2.0, 3.0, 5.0]), np.array([0.0, 0.0, 1.0, 1.0])
        >>> pearson(x, y, np.array([[1.0, 1.0, 1.0, 1.0], [2.0, 0.0, 0.0, 1.0]])).round(6).tolist()
        [0.845154, 1.0]
    """
    x, y = _scaled(x), _scaled(y)
    sums = weights @ np.column_stack([np.ones(len(x)), x, y, x * x, y * y, x * y])
    with np.errstate(invalid="ignore", divide="ignore"):
        x1, y1, xx, yy, xy = sums[:, 1:].T / sums[:, 0]
    return _ratio(xy - x1 * y1, _spread(xx, x1), _spread(yy, y1))


def _scaled(values: Floats) -> Floats:
    """Values about their median, so that the squares of a draw without an outlier keep their digits; at most 1 in size."""
    away: Floats = values - np.median(values)
    largest = float(np.abs(away).max(initial=0.0))
    return away / largest if largest > 0 else away


def _spread(mean_square: Floats, mean: Floats) -> Floats:
    """(b,) variances, 0 where only rounding is left of them."""
    variance = mean_square - mean**2
    return np.where(variance > SAME * mean_square, variance, 0.0)


def _ratio(together: Floats, of_x: Floats, of_y: Floats) -> Floats:
    """(b,) covariance over the root of both variances; NaN where one of these is 0."""
    both = of_x * of_y
    found: Floats = np.clip(np.divide(together, np.sqrt(both), out=np.full(len(both), np.nan), where=both > 0), -1, 1)
    return found


def spearman(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Spearman's rho under each row of weights: Pearson's r of the ranks, tied values at their mean rank.

    Args:
        x: (n,) values.
        y: (n,) values.
        weights: (b, n) of 0 or more; rows that are drawn twice are tied with themselves.

    Returns:
        (b,) in [-1, 1]; NaN where x or y has one value only.

    Example:
        >>> x, y = np.array([1.0, 2.0, 3.0, 50.0]), np.array([1.0, 3.0, 2.0, 4.0])
        >>> spearman(x, y, np.ones((1, 4))).round(6).tolist()
        [0.8]
    """
    by_row = np.ascontiguousarray(weights.T)  # draws last, so that whole rows of memory are added
    (of_x, weight_x, rank_x), (of_y, weight_y, rank_y) = (_ranks(v, by_row) for v in (x, y))
    order = np.argsort(of_y, kind="stable")
    weighted = by_row[order] * rank_x[of_x[order]]
    together = (np.add.reduceat(weighted, np.searchsorted(of_y[order], np.arange(len(rank_y))), axis=0) * rank_y).sum(axis=0)
    return _ratio(together, *((w * rank * rank).sum(axis=0) for w, rank in ((weight_x, rank_x), (weight_y, rank_y))))


def _ranks(values: Floats, by_row: Floats) -> tuple[Indices, Floats, Floats]:
    """Distinct values in rising order: which one each row has (n,), their weights and their ranks (g, b), 0 in the middle.

    A rank is the weight of smaller values and half that of equal ones, less half of all weight.
    """
    distinct, of_row = np.unique(values, return_inverse=True)
    order = np.argsort(of_row, kind="stable")
    weight = by_row[order]
    if len(distinct) < len(values):
        weight = np.add.reduceat(weight, np.searchsorted(of_row[order], np.arange(len(distinct))), axis=0)
    rank = np.cumsum(weight, axis=0)
    total = rank[-1].copy()
    rank -= (weight + total) / 2
    return of_row, weight, rank


def williams(r_jk: float, r_jh: float, r_kh: float, n: int) -> DependentTest:
    """Williams' t that r_jk = r_jh, two correlations of the same n examples with one variable in common.

    t = (r_jk - r_jh) sqrt((n - 1)(1 + r_kh) / (2 |R| (n - 1)/(n - 3) + m^2 (1 - r_kh)^3)), n - 3 degrees of freedom, with
    m = (r_jk + r_jh)/2 and |R| = 1 - r_jk^2 - r_jh^2 - r_kh^2 + 2 r_jk r_jh r_kh, the determinant of the three correlations
    (Williams 1959, The comparison of regression variables, JRSS B 21, 396-399; Steiger 1980, Tests for comparing elements of a
    correlation matrix, Psychological Bulletin 87, 245-251, equation 7, who recommends it over Hotelling's). It supposes
    independent examples from a trivariate normal distribution.

    Raises:
        Undefined: fewer than four examples, or the figures (or the judgement) are an exact function of the others.

    Example:
        >>> found = williams(0.4, 0.5, 0.1, 103)
        >>> round(found.statistic, 4), found.df, round(found.p, 3)
        (-0.8913, 100, 0.375)
    """
    from scipy.special import stdtr  # Student's distribution without the weight of scipy.stats

    if n < 4:
        raise Undefined(f"{n} examples, wanted at least 4")
    mean = (r_jk + r_jh) / 2
    determinant = max(0.0, 1 - r_jk**2 - r_jh**2 - r_kh**2 + 2 * r_jk * r_jh * r_kh)
    spread = 2 * determinant * (n - 1) / (n - 3) + mean**2 * (1 - r_kh) ** 3
    if 1 - abs(r_kh) <= EXACT:
        raise Undefined(ALIKE if r_kh > 0 else "one figure is the other one turned round: their correlation is -1")
    if spread <= EXACT:
        raise Undefined("the judgement is an exact function of the two figures")
    t = (r_jk - r_jh) * math.sqrt((n - 1) * (1 + r_kh) / spread)
    return DependentTest(t, float(min(1.0, 2 * stdtr(n - 3, -abs(t)))), n - 3)


def steiger(r_jk: float, r_jh: float, r_kh: float, n: int) -> DependentTest:
    """Steiger's Z that r_jk = r_jh: the difference of Fisher's z over its standard error from the pooled correlation.

    Z = (artanh r_jk - artanh r_jh) sqrt(n - 3) / sqrt(2 - 2 c), standard normal, with m = (r_jk + r_jh)/2 and the covariance of
    the two z, c = (r_kh (1 - 2 m^2) - m^2 (1 - 2 m^2 - r_kh^2)/2) / (1 - m^2)^2 (Steiger 1980, equations 10 and 14; it is
    Dunn and Clark's of 1969 with m for both). It supposes the same as Williams' t.

    Raises:
        Undefined: fewer than four examples, a correlation of 1 or -1, or figures that are the same.

    Example:
        >>> found = steiger(0.4, 0.5, 0.1, 103)
        >>> round(found.statistic, 7), round(found.p, 3)
        (-0.8887185, 0.374)
    """
    if n < 4:
        raise Undefined(f"{n} examples, wanted at least 4")
    if 1 - max(abs(r_jk), abs(r_jh)) <= EXACT:
        raise Undefined("a figure follows the judgement exactly: its correlation is 1 or -1")
    mean2 = ((r_jk + r_jh) / 2) ** 2
    covariance = (r_kh * (1 - 2 * mean2) - mean2 * (1 - 2 * mean2 - r_kh**2) / 2) / (1 - mean2) ** 2
    if 1 - covariance <= EXACT:
        raise Undefined(ALIKE)
    z = (math.atanh(r_jk) - math.atanh(r_jh)) * math.sqrt((n - 3) / (2 - 2 * covariance))
    return DependentTest(z, normal_p(z, two_sided=True))


def krippendorff_alpha(counts: Floats, weights: Floats) -> Floats:
    """Krippendorff's alpha for categories without order: how far people agree, beyond what chance would give.

    alpha = 1 - D_o/D_e. Each example with m >= 2 judgements gives its ordered pairs of judgements, each with weight 1/(m - 1), so
    that its judgements count once: D_o is the share of unequal pairs among these. D_e is the same share if all n judgements of
    these examples were paired at random, without putting any back: (n^2 - sum_c n_c^2)/(n (n - 1)) (Krippendorff 2011,
    Computing Krippendorff's alpha-reliability). Examples with one judgement say nothing.

    Args:
        counts: (u, c) how many people put each example into each category.
        weights: (b, u) of 0 or more.

    Returns:
        (b,) at most 1, 0 where people agree as by chance; NaN where there is no pair, or all judgements are the same.

    Example:
        >>> krippendorff_alpha(np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]]), np.ones((1, 3))).round(6).tolist()
        [0.444444]
    """
    m = counts.sum(axis=1)
    paired = m >= 2
    counts, m, weights = counts[paired], m[paired], weights[:, paired]
    n, of_class = weights @ m, weights @ counts
    unequal = weights @ ((m**2 - (counts**2).sum(axis=1)) / (m - 1))
    by_chance = n**2 - (of_class**2).sum(axis=1)
    ratio: Floats = np.divide((n - 1) * unequal, by_chance, out=np.full(len(weights), np.nan), where=by_chance > 0)
    return 1 - ratio


def holm(p: Sequence[float]) -> list[float]:
    """P-values after Holm's (1979) correction: of m in rising order the i-th times m - i + 1, never falling, at most 1.

    Example:
        >>> holm([0.04, 0.01, 0.03])
        [0.06, 0.03, 0.06]
    """
    found, largest = [0.0] * len(p), 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[place]))
        found[place] = largest
    return found
