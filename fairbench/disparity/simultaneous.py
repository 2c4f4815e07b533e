"""The interval of a disparity, from simultaneous intervals of the signed differences that it is made of.

A percentile interval of an unsigned figure never holds 0. The differences are signed, and with one width for all of them,

    d +- c * se,    se = sd of the drawn d*,    c = the level's quantile of T = max over differences of |d* - d| / se,

all true differences lie in their intervals together with the wanted probability; so does every monotone function of their
absolute values. The more differences there are, the wider it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairbench.disparity.contrasts import Contrasts
from fairbench.stats import CHUNK_BYTES, Floats

NO_SPREAD = 1e-12
"""A standard error of at most this is none: the differences of all draws are the same but for rounding."""


@dataclass(frozen=True)
class Bands:
    """Simultaneous intervals of k differences.

    Attributes:
        seen: (k,) the differences.
        stderr: (k,) standard deviations of their draws (ddof 1).
        c: how many of these an interval reaches to either side.
    """

    seen: Floats
    stderr: Floats
    c: float

    @property
    def reach(self) -> Floats:
        """(k,) half of each interval's width."""
        return self.c * self.stderr


def usable_draws(contrasts: Contrasts, drawn: Floats) -> Floats:
    """Those of the drawn rates (b, f) in which every difference has a value."""
    compared = drawn[:, contrasts.rates]
    kept = np.isfinite(compared) & (compared > 0) if contrasts.how.log else np.isfinite(compared)
    return drawn[kept.all(axis=1)]


def bands(contrasts: Contrasts, rates: Floats, drawn: Floats, level: float) -> Bands | None:
    """The simultaneous intervals; null where no difference varies over the draws.

    Args:
        contrasts: the differences.
        rates: (f,) of the answers; those compared are finite, and above 0 where logarithms are.
        drawn: (b, f) bootstrapped, b >= 2, of `usable_draws`.
        level: confidence with which all intervals hold together.
    """
    seen = contrasts.differences(rates[None, :])[0]
    stderr, most = np.zeros(len(seen)), np.zeros(len(drawn))
    size = max(1, CHUNK_BYTES // (8 * len(drawn)))
    for start in range(0, len(seen), size):
        some = slice(start, start + size)
        found = contrasts.differences(drawn, some)
        stderr[some] = found.std(axis=0, ddof=1)
        varied = stderr[some] > NO_SPREAD
        if varied.any():
            t = np.abs(found[:, varied] - seen[some][varied]) / stderr[some][varied]
            most = np.maximum(most, t.max(axis=1))
    stderr[stderr <= NO_SPREAD] = 0.0
    return Bands(seen, stderr, float(np.quantile(most, level))) if stderr.any() else None


def aggregated(contrasts: Contrasts, found: Bands) -> tuple[float, float]:
    """The ends of the disparity's interval: the aggregation of all |d| at their nearest to 0, and at their farthest."""
    absolute = np.abs(found.seen)
    nearest, farthest = absolute - found.reach, absolute + found.reach
    nearest[nearest <= NO_SPREAD] = 0.0  # also where rounding alone keeps it from 0
    ends = [float(contrasts.how.outer(contrasts.of_sets(x[None, :]))[0]) for x in (nearest, farthest)]
    return min(ends), max(ends)
