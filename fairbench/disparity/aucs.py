"""Areas under the ROC curve of the records that speak of a group, under many weights at once (Borkan et al. 2019).

With positives P and negatives N of all records, those of group g and those of its background b, and AUC(A, B) the chance that a
record of A has a higher score than one of B, ties one half:

    subgroup AUC(P_g, N_g)      BPSN AUC(P_b, N_g)      BNSP AUC(P_g, N_b)

The background of a group is every other record, so the wins of P_b over N_g are those of P over N_g less those of P_g over N_g:
one pass over all records serves all groups, and each group costs no more than its own records.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairbench.stats import Floats, Indices

Flags = NDArray[np.bool_]

Sizes = dict[str, tuple[Indices, Indices]]
"""How many positives and how many negatives the AUC of each of g groups compares, by kind: (g,) each."""

KINDS = ("subgroup", "bpsn", "bnsp")
"""The AUCs of a group: within it; background positive, subgroup negative; background negative, subgroup positive."""

BLOCK_BYTES = 2**20
"""So many bytes of weights are worked on at a time: they stay in a processor's cache. A single draw may take more."""


@dataclass(frozen=True)
class Places:
    """Where scores stand among others that are in rising order: (k,) how many of these are below, and at most, each score.

    Attributes:
        low, high: the same array where no score is tied with one of the others.
    """

    low: Indices
    high: Indices

    @property
    def middle(self) -> Floats:
        """(k,) how many of the others are below each score, tied ones half."""
        found: Floats = (self.low + self.high) / 2
        return found


@dataclass(frozen=True)
class Ranking:
    """The records of two classes in the order of their scores.

    Attributes:
        rows_p, rows_n: (p,), (m,) numbers of the positive and the negative rows, in rising order of score.
        scores_p, scores_n: (p,), (m,) their scores.
        p_among_n, n_among_p: where each of the ones stands among the others.
    """

    rows_p: Indices
    rows_n: Indices
    scores_p: Floats
    scores_n: Floats
    p_among_n: Places
    n_among_p: Places


def ranking(scores: Floats, positive: Flags) -> Ranking:
    """Orders the records by score, once for all weights and groups.

    Args:
        scores: (n,) finite.
        positive: (n,) whether the record is of the positive class.
    """
    order = np.argsort(scores, kind="stable")
    above = positive[order]
    p, n = order[above], order[~above]
    return Ranking(p, n, scores[p], scores[n], _places(scores[p], scores[n]), _places(scores[n], scores[p]))


def roc_auc(scores: Floats, positive: Flags, weights: Floats) -> Floats:
    """Area under the ROC curve: the weighted share of pairs in which the positive has the higher score, ties one half.

    Args:
        scores: (n,) finite.
        positive: (n,) whether the record is of the positive class.
        weights: (b, n), at least 0.

    Returns:
        (b,) in [0, 1], ideal 1; NaN where a class has no weight.

    Example:
        >>> roc_auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, True, False, True]), np.ones((1, 4))).tolist()
        [0.875]
    """
    ranked = ranking(scores, positive)
    found = np.empty(len(weights))
    for block, drawn in _blocks(weights):
        p, n = _side(drawn, ranked.rows_p), _side(drawn, ranked.rows_n)
        found[block] = _share((p.weights * _below(n, ranked.p_among_n)).sum(axis=1), p.total, n.total)
    return found


def group_aucs(ranked: Ranking, of_row: Flags, weights: Floats, kinds: tuple[str, ...] = KINDS) -> Floats:
    """The AUCs of every group, with all other records as its background.

    Args:
        ranked: the records.
        of_row: (n, g) whether a record speaks of the group; it may speak of several, or of none.
        weights: (b, n), at least 0.
        kinds: which of KINDS.

    Returns:
        (b, k, g) in [0, 1], ideal 1; NaN where one of the two sets has no weight.
    """
    groups = [_group(ranked, of_row[:, g]) for g in range(of_row.shape[1])]
    found = np.empty((len(weights), len(kinds), len(groups)))
    for block, drawn in _blocks(weights):
        whole_p = _side(drawn, ranked.rows_p) if "bpsn" in kinds else None
        whole_n = _side(drawn, ranked.rows_n) if "bnsp" in kinds else None
        for g, group in enumerate(groups):
            p, n = _side(drawn, group.rows_p), _side(drawn, group.rows_n)
            own = (p.weights * _below(n, group.p_among_own)).sum(axis=1)
            for k, kind in enumerate(kinds):
                if kind == "bpsn" and whole_p is not None:
                    wins = n.total * whole_p.total - (n.weights * _below(whole_p, group.n_among_p)).sum(axis=1) - own
                    found[block, k, g] = _share(wins, _without(whole_p, p), n.total)
                elif kind == "bnsp" and whole_n is not None:
                    wins = (p.weights * _below(whole_n, group.p_among_n)).sum(axis=1) - own
                    found[block, k, g] = _share(wins, p.total, _without(whole_n, n))
                else:
                    found[block, k, g] = _share(own, p.total, n.total)
    return found


class CountedAucs:
    """What `group_aucs` gives for weights of one where the groups change hands: ten times as fast, for thousands of permutations.

    Attributes:
        kinds: which of KINDS.
    """

    def __init__(self, ranked: Ranking, of_row: Flags, kinds: tuple[str, ...] = KINDS) -> None:
        """Args as of `group_aucs`."""
        self.kinds = kinds
        self._ranked, self._positives = ranked, len(ranked.rows_p)
        self._members = np.ascontiguousarray(of_row.T)
        self._rows = np.concatenate([ranked.rows_p, ranked.rows_n])
        self._below, self._above = ranked.p_among_n.middle, self._positives - ranked.n_among_p.middle
        self._tied = ranked.p_among_n.high is not ranked.p_among_n.low

    def __call__(self, index: Indices) -> Floats:
        """(k, g) the AUCs where row i has the groups of row index[i]; a row's groups may go to several rows."""
        ranked = index[self._rows]
        return np.stack([self._of_group(member[ranked]) for member in self._members], axis=1)

    def _of_group(self, inside: Flags) -> Floats:
        """(k,) the AUCs of a group of which these are, positives in their order first, negatives after them."""
        p, n = np.flatnonzero(inside[: self._positives]), np.flatnonzero(inside[self._positives :])
        scores, others = self._ranked.scores_p[p], self._ranked.scores_n[n]
        own = float(np.searchsorted(others, scores, "left").sum())
        if self._tied:
            own = (own + float(np.searchsorted(others, scores, "right").sum())) / 2
        wins, positive, negative = np.array([self._set(kind, p, n, own) for kind in self.kinds], dtype=float).T
        return _share(wins, positive, negative)

    def _set(self, kind: str, p: Indices, n: Indices, own: float) -> tuple[float, int, int]:
        """Wins of the positives over the negatives that an AUC compares, and the numbers of both."""
        if kind == "subgroup":
            return own, len(p), len(n)
        if kind == "bpsn":
            return float(self._above[n].sum()) - own, self._positives - len(p), len(n)
        return float(self._below[p].sum()) - own, len(p), len(self._above) - len(n)


def set_sizes(positive: Flags, of_row: Flags) -> Sizes:
    """How many records each group's AUC compares, from the gold classes (n,) and the memberships (n, g)."""
    p_in, n_in = of_row[positive].sum(axis=0), of_row[~positive].sum(axis=0)
    p_out, n_out = positive.sum() - p_in, (~positive).sum() - n_in
    return {"subgroup": (p_in, n_in), "bpsn": (p_out, n_in), "bnsp": (p_in, n_out)}


def generalised_mean(values: Floats, power: float) -> Floats:
    """M_p = (mean of m^p)^(1/p) over the last axis; the lower p, the more the smallest value counts (Borkan et al. 2019).

    Args:
        values: (..., g), at least 0; NaN makes the mean NaN.
        power: p; 0 is the geometric mean. With p <= 0 a value of 0 makes the mean 0.

    Example:
        >>> float(generalised_mean(np.array([0.7, 0.8, 0.95]), -5).round(10))
        0.781460968
    """
    # Relative to the value that counts most, so that no power of it is out of a float's range.
    most = values.min(axis=-1) if power <= 0 else values.max(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(most[..., None] > 0, values / most[..., None], 1.0)
        mean = np.exp(np.log(ratio).mean(axis=-1)) if power == 0 else (ratio**power).mean(axis=-1) ** (1 / power)
    found: Floats = most * mean
    return found


@dataclass(frozen=True)
class _Group:
    """A group's rows in rising order of score, and where they stand among all records and among its own."""

    rows_p: Indices
    rows_n: Indices
    p_among_own: Places
    p_among_n: Places
    n_among_p: Places


@dataclass(frozen=True)
class _Side:
    """The weights (b, k) of k rows in rising order of score; their sums before each of them and at the end, (b, k + 1)."""

    weights: Floats
    sums: Floats

    @property
    def total(self) -> Floats:
        return self.sums[:, -1]


def _group(ranked: Ranking, member: Flags) -> _Group:
    p, n = np.flatnonzero(member[ranked.rows_p]), np.flatnonzero(member[ranked.rows_n])
    own = _places(ranked.scores_p[p], ranked.scores_n[n])
    return _Group(ranked.rows_p[p], ranked.rows_n[n], own, _some(ranked.p_among_n, p), _some(ranked.n_among_p, n))


def _places(scores: Floats, others: Floats) -> Places:
    low, high = np.searchsorted(others, scores, "left"), np.searchsorted(others, scores, "right")
    return Places(low, low if np.array_equal(low, high) else high)


def _some(places: Places, which: Indices) -> Places:
    low = places.low[which]
    return Places(low, low if places.high is places.low else places.high[which])


def _blocks(weights: Floats) -> Iterator[tuple[slice, Floats]]:
    """A few draws at a time, copied: out of a cache their rows are picked in any order in half the time."""
    size = max(1, BLOCK_BYTES // (8 * max(1, weights.shape[1])))
    for start in range(0, len(weights), size):
        yield slice(start, start + size), weights[start : start + size].copy()


def _side(weights: Floats, rows: Indices) -> _Side:
    here = np.take(weights, rows, axis=1)
    sums = np.zeros((len(here), len(rows) + 1))
    np.cumsum(here, axis=1, out=sums[:, 1:])
    return _Side(here, sums)


def _below(side: _Side, places: Places) -> Floats:
    """The weight (b, k) of a side's rows that are below each of k scores, tied ones half."""
    found: Floats = np.take(side.sums, places.low, axis=1)
    if places.high is not places.low:
        found += np.take(side.sums, places.high, axis=1)
        found /= 2
    return found


def _without(whole: _Side, part: _Side) -> Floats:
    """The weight (b,) of the rows of a whole that are not in a part: exactly 0 where none of them has any."""
    rest = np.count_nonzero(whole.weights, axis=1) - np.count_nonzero(part.weights, axis=1)
    return np.where(rest > 0, whole.total - part.total, 0.0)


def _share(wins: Floats, positive: Floats, negative: Floats) -> Floats:
    """Wins among all pairs of positive and negative weight; NaN where there is no pair."""
    pairs = positive * negative
    share = np.full(np.shape(wins), np.nan)
    np.divide(wins, pairs, out=share, where=pairs > 0)
    found: Floats = np.clip(share, 0.0, 1.0)  # a difference of sums may miss 0 or 1 by rounding
    return found
