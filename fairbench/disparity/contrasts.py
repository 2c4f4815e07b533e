"""From rates to one number: signed differences in sets, the largest of each set, and an aggregation over the sets.

    value = outer(max over the first set of |d|, max over the second set of |d|, ...)

A gap is one set of all pairs; so is a ratio, of logarithms. Equalised odds has two sets (pairs of TPR, pairs of FPR), the RMS gap
one a class, FPED one a group (its difference to the overall rate), a standard deviation one a pair. Since all of them are made of
signed differences, one simultaneous interval of these gives the interval of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairbench.stats import CHUNK_BYTES, Floats, Indices

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Aggregation:
    """How differences become one number.

    Attributes:
        outer: (..., s) largest absolute difference of each set -> (...,); monotone in each of them.
        apart: every difference is a set of its own; else those of one outcome are one.
        log: they are differences of logarithms of rates.
    """

    outer: Callable[[Floats], Floats]
    apart: bool = False
    log: bool = False


def _mean(x: Floats) -> Floats:
    found: Floats = x.mean(axis=-1)
    return found


def _largest(x: Floats) -> Floats:
    found: Floats = x.max(axis=-1)
    return found


def _sum(x: Floats) -> Floats:
    found: Floats = x.sum(axis=-1)
    return found


def _root_mean_square(x: Floats) -> Floats:
    found: Floats = np.sqrt((x**2).mean(axis=-1))
    return found


def _ratio(x: Floats) -> Floats:
    found: Floats = np.exp(-x.max(axis=-1))
    return found


def _deviation(x: Floats) -> Floats:
    """Standard deviation (ddof 0) of G values from their G (G - 1) / 2 differences: sqrt(sum d^2) / G."""
    values = (1 + np.sqrt(1 + 8 * x.shape[-1])) / 2
    found: Floats = np.sqrt((x**2).sum(axis=-1)) / values
    return found


GAP = Aggregation(_largest)
"""Largest minus smallest; over several outcomes the largest of their gaps."""

MEAN_GAP = Aggregation(_mean)
"""The mean over outcomes of largest minus smallest."""

RATIO = Aggregation(_ratio, log=True)
"""Smallest over largest."""

DEVIATION = Aggregation(_deviation, apart=True)
"""Population standard deviation of the groups' rates."""

PAIRWISE = Aggregation(_mean, apart=True)
"""Mean absolute difference over all pairs of groups."""

ROOT_MEAN_SQUARE = Aggregation(_root_mean_square)
"""Root of the mean over outcomes of the squared gap."""

SUM = Aggregation(_sum, apart=True)
"""Sum of absolute differences."""


@dataclass(frozen=True)
class Contrasts:
    """The differences that a disparity is made of: rate `first` minus rate `second`, k of them.

    Attributes:
        first, second: (k,) which of the f rates.
        outcome: (k,) the outcome that both are of, rising.
        how: what becomes of them.
    """

    first: Indices
    second: Indices
    outcome: Indices
    how: Aggregation

    @property
    def rates(self) -> Indices:
        """The rates that are compared."""
        return np.unique(np.concatenate([self.first, self.second]))

    def differences(self, rates: Floats, some: slice = slice(None)) -> Floats:
        """(b, k) signed differences of rates (b, f), of logarithms if so; NaN between two logarithms of 0."""
        first, second = rates[:, self.first[some]], rates[:, self.second[some]]
        if not self.how.log:
            return first - second
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Floats = np.log(first) - np.log(second)
        return found

    def of_sets(self, x: Floats) -> Floats:
        """(b, s) the largest x of each set, from x (b, k); a NaN counts only where a set holds nothing else."""
        if self.how.apart:
            return x
        starts = np.flatnonzero(np.diff(self.outcome, prepend=-1))
        found: Floats = np.fmax.reduceat(x, starts, axis=1)
        return found

    def values(self, rates: Floats) -> Floats:
        """The disparity of each row of rates (b, f): (b,); NaN where a rate that is compared is, and for a ratio of zeros."""
        size = max(1, CHUNK_BYTES // (8 * len(self.first)))
        found = np.concatenate(
            [
                self.how.outer(self.of_sets(np.abs(self.differences(rates[start : start + size]))))
                for start in range(0, len(rates), size)
            ]
        )
        return np.where(np.isfinite(rates[:, self.rates]).all(axis=1), found, np.nan)


def between_groups(compared: Flags, how: Aggregation) -> Contrasts:
    """All pairs of groups within each outcome, the first in order minus the second.

    Args:
        compared: (o, g) which groups are compared in which outcome.
        how: what becomes of the differences.
    """
    g = compared.shape[1]
    pairs = [
        (o * g + int(i), o * g + int(j), o)
        for o, of in enumerate(compared)
        for number, i in enumerate(np.flatnonzero(of))
        for j in np.flatnonzero(of)[number + 1 :]
    ]
    return _contrasts(pairs, how)


def to_last(compared: Flags, how: Aggregation) -> Contrasts:
    """Each group minus the last one, which stands for all records."""
    g = compared.shape[1]
    pairs = [(o * g + int(i), o * g + g - 1, o) for o, of in enumerate(compared) for i in np.flatnonzero(of[:-1])]
    return _contrasts(pairs, how)


def _contrasts(pairs: Iterable[tuple[int, int, int]], how: Aggregation) -> Contrasts:
    first, second, outcome = np.array(list(pairs), dtype=np.intp).reshape(-1, 3).T
    return Contrasts(first, second, outcome, how)
