"""Percentages of units that are right or wrong: what follows exactly from the units on which two models differ.

Few units may differ, and then a bootstrap knows nothing of what it has not seen: of a hundred units of which one turned for the
better every draw says that nothing became worse. So the test, the interval, the bound of the gate and the power come from
McNemar's table, not from draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fairbench.comparison.paired import SAME, Paired
from fairbench.errors import Undefined
from fairbench.scores import Interval, MetricInfo, PValue
from fairbench.stats import CHUNK_BYTES, Floats, resampling_units

if TYPE_CHECKING:
    import pandas as pd

POWER = 0.8
STEPS = 40
"""Halvings of a bisection: more than enough for a percentage."""


@dataclass(frozen=True)
class Discordant:
    """McNemar's table of two models.

    Attributes:
        n: units.
        up: units whose value is at the top of the range for the model and at the bottom for the baseline.
        down: units the other way round.
        high_before, high_after: units at the top for the baseline and for the model.
        info: of the metric, whose value is the percentage (or share) of units at the top.
    """

    n: int
    up: int
    down: int
    high_before: int
    high_after: int
    info: MetricInfo

    @property
    def width(self) -> float:
        """The metric's range: what a share is multiplied with."""
        return self.info.high - self.info.low

    def p(self) -> PValue:
        """McNemar's exact test (McNemar 1947): of the units that differ, up and down are equally likely."""
        from scipy.stats import binomtest

        differ = self.up + self.down
        p = float(binomtest(self.up, differ).pvalue) if differ else 1.0
        return PValue(p, f"McNemar's exact test, two-sided: {self.up} units rise, {self.down} fall, of {self.n}")

    def interval(self, level: float) -> Interval:
        """Tango's score interval of the difference."""
        high = score_bound(self.up, self.down, self.n, (1 - level) / 2)
        low = -score_bound(self.down, self.up, self.n, (1 - level) / 2)
        return Interval(self.width * low, self.width * high, level, f"score (Tango 1998), {self.n} pairs")

    def worse_by(self, alpha: float) -> float:
        """The most by which the model can be farther from the ideal, at confidence 1 - alpha.

        Where the ideal is an end of the range that is the bound of one difference. Else each model's side of the ideal is asked
        first, with half of alpha: on one side for both, the distance is a difference again; if not, neither |model - baseline|
        can be exceeded, nor the largest |model - ideal| less the smallest |baseline - ideal|.
        """
        if self.info.ideal == self.info.high:
            return self.width * score_bound(self.down, self.up, self.n, alpha)
        if self.info.ideal == self.info.low:
            return self.width * score_bound(self.up, self.down, self.n, alpha)
        up, down = (score_bound(*counts, self.n, alpha / 4) for counts in ((self.up, self.down), (self.down, self.up)))
        before, after = (self._from_ideal(k, alpha / 2) for k in (self.high_before, self.high_after))
        if before[0] >= 0 and after[0] >= 0:
            return self.width * score_bound(self.up, self.down, self.n, alpha / 2)
        if before[1] <= 0 and after[1] <= 0:
            return self.width * score_bound(self.down, self.up, self.n, alpha / 2)
        nearest = 0.0 if before[0] <= 0 <= before[1] else min(abs(before[0]), abs(before[1]))
        return min(self.width * max(up, down), max(abs(after[0]), abs(after[1])) - nearest)

    def _from_ideal(self, at_top: int, alpha: float) -> tuple[float, float]:
        """Clopper and Pearson's interval of one model's value less the ideal; both models' hold together at 1 - alpha."""
        from scipy.stats import binomtest

        found = binomtest(at_top, self.n).proportion_ci(1 - alpha / 2, "exact")
        shift = self.info.low - self.info.ideal
        return self.width * float(found.low) + shift, self.width * float(found.high) + shift

    def detectable(self, alpha: float) -> float:
        """The smallest difference that the exact test sees in 80 of 100 cases, where as many units differ as were seen to.

        Of n units a share max(d, seen) differs, split so that the difference is d. It is never more than the whole range.
        """
        seen = (self.up + self.down) / self.n
        low, high = 0.0, 1.0
        if exact_power(self.n, 1.0, 1.0, alpha) < POWER:
            return self.width
        for _ in range(STEPS // 2):
            middle = (low + high) / 2
            low, high = (low, middle) if exact_power(self.n, middle, max(middle, seen), alpha) >= POWER else (middle, high)
        return self.width * high


def discordant(pair: Paired) -> Discordant | None:
    """McNemar's table of two models; null where the metric is no percentage of units that are right or wrong."""
    values = [unit_values(pair, table) for table in (pair.baseline, pair.model)]
    if values[0] is None or values[1] is None:
        return None
    before, after = (np.equal(np.asarray(one), pair.metric.info.high) for one in values)
    up, down = int((after & ~before).sum()), int((before & ~after).sum())
    return Discordant(len(before), up, down, int(before.sum()), int(after.sum()), pair.metric.info)


def unit_values(pair: Paired, table: pd.DataFrame) -> Floats | None:
    """(u,) the metric of each unit alone, where the metric is the mean of these and each is one of two values; else null."""
    info = pair.metric.info
    if not info.share or info.unit == "stratum":
        return None
    alone = _alone(pair, table)
    if not np.isin(alone, (info.low, info.high)).all():
        return None
    try:
        whole = float(pair.metric.values(table, np.ones((1, len(table))), pair.how.seed)[0])
    except Undefined:
        return None
    return alone if abs(alone.mean() - whole) <= SAME * max(1.0, abs(whole)) else None


def _alone(pair: Paired, table: pd.DataFrame) -> Floats:
    """(u,) the metric of each unit alone. A tie alone has no share; among others it counts as the lowest, as the formulas say."""
    units = resampling_units(table)
    size = max(1, CHUNK_BYTES // (8 * max(1, len(table))))
    found = np.empty(units.count)
    for start in range(0, units.count, size):
        chunk = np.arange(start, min(start + size, units.count))
        try:
            found[chunk] = pair.metric.values(table, (units.of_row == chunk[:, None]).astype(float), pair.how.seed)
        except Undefined:
            found[chunk] = np.nan
    return np.where(np.isnan(found), pair.metric.info.low, found)


def score_bound(more: int, fewer: int, n: int, alpha: float) -> float:
    """Upper end at confidence 1 - alpha of the difference of two paired proportions, (more - fewer)/n, by its score test.

    Tango 1998, Equivalence test and confidence interval for the difference in proportions for the paired-sample design,
    Statistics in Medicine 17, 891-908: the largest d that the test statistic (more - fewer - n d) / sqrt(n (2 q + d (1 - d)))
    does not reject, q the share that falls under d by maximum likelihood.

    Args:
        more: units that rise.
        fewer: units that fall.
        n: all units.
        alpha: error of the one-sided statement.

    Example:
        >>> round(score_bound(0, 0, 100, 0.025), 4)
        0.037
    """
    from scipy.special import ndtri

    limit = float(ndtri(alpha))
    low, high = (more - fewer) / n, 1.0
    for _ in range(STEPS):
        d = (low + high) / 2
        low, high = (d, high) if _statistic(more, fewer, n, d) > limit else (low, d)
    return high


def _statistic(more: int, fewer: int, n: int, d: float) -> float:
    a, b, c = 2 * n, -(more + fewer) + (2 * n - more + fewer) * d, -fewer * d * (1 - d)
    q = (np.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = n * (2 * q + d * (1 - d))
    return float((more - fewer - n * d) / np.sqrt(variance)) if variance > 0 else -np.inf


def exact_power(n: int, difference: float, differing: float, alpha: float) -> float:
    """How often McNemar's exact test rejects, where a share `differing` of n units differs and the net share is `difference`."""
    from scipy.stats import binom

    differing = min(max(differing, difference, 1e-12), 1.0)
    m = np.arange(n + 1)
    chance = binom.pmf(m, n, differing)
    kept = chance > 1e-10
    m, chance = m[kept], chance[kept]
    # The largest count k of the rarer side at which the test still rejects: 2 P(Bin(m, 1/2) <= k) <= alpha.
    reach = binom.ppf(alpha / 2, m, 0.5)
    reach = np.where(2 * binom.cdf(reach, m, 0.5) <= alpha, reach, reach - 1)
    up = (1 + difference / differing) / 2
    rejects = np.where(reach >= 0, binom.cdf(reach, m, up) + binom.sf(m - reach - 1, m, up), 0.0)
    return float((chance * np.minimum(rejects, 1.0)).sum())
