"""Permuting who belongs to which group: the test of no difference, and the value that chance alone gives.

What may change hands follows from each record's cluster. Where the membership varies inside a cluster (the variants of a
template), it is permuted there, so that the cluster is compared with itself. Clusters in which it is the same throughout (all
texts of one author) change hands as wholes, since their records are no evidence of their own; a record without a cluster, or
alone in its own, is one of them. Rows of one id (samples of one answer) are a cluster of their own, as they are to the bootstrap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.scores import PValue
from fairbench.stats import Floats, Indices

if TYPE_CHECKING:
    import pandas as pd

MOST_PERMUTATIONS = 2_000
"""As many as a p at the usual levels needs, and no more than the bootstrap has draws; its error at .05 is .005."""

SLACK = 1e-12


@dataclass(frozen=True)
class Permutations:
    """Random permutations of memberships, drawn as they are asked for: an iterable of (n,) row numbers.

    Attributes:
        rows: n.
        count: how many.
        what: what changes hands, in words.
    """

    rows: int
    count: int
    what: str
    _unit: Indices
    _first: Indices
    _strata: tuple[Indices, ...]
    _rng: np.random.Generator

    def __iter__(self) -> Iterator[Indices]:
        """Arrays `index` such that the permuted membership is `of_row[index]`."""
        for _ in range(self.count):
            donor = np.arange(len(self._first))
            for members in self._strata:  # (k, size): k strata of one size at a time
                donor[members] = self._rng.permuted(members, axis=1)
            yield self._first[donor[self._unit]]


def permutations(
    of_row: NDArray[np.bool_],
    blocks: NDArray[Any] | None,
    clusters: Sequence[str | None],
    count: int,
    rng: np.random.Generator,
    *,
    record: Indices | None = None,
) -> Permutations | str:
    """Ways to give the records each other's groups, as the head of this file says.

    Give the rows in an order that does not depend on that of the table (`steady`), else the same seed permutes otherwise.

    Args:
        of_row: (n, g) whether a row speaks of the group. A row's memberships stay together.
        blocks: (n,) what a permutation never crosses (the gold class, for rates within it), or null for no restriction.
            Clusters are cut by them: the part of a cluster in each block is permuted by itself.
        clusters: (n,) names, null where a row is of none.
        count: how many permutations.
        rng: draws them.
        record: (n,) the number of the record that a row is a sample of: rows of one record and one membership move together
            inside clusters too. Null where each row is a record.

    Returns:
        The permutations, or the reason why none changes anything.

    Example:
        >>> of_row = np.array([[True, False], [False, True], [True, False], [False, True]])
        >>> found = permutations(of_row, None, ["a", "a", "b", "b"], 2, np.random.default_rng(0))
        >>> found.what, [sorted(index[:2].tolist()) for index in found]
        ('records inside clusters', [[0, 1], [0, 1]])
    """
    n = len(of_row)
    pattern = row_codes(of_row)
    block = np.zeros(n, dtype=np.intp) if blocks is None else np.unique(blocks, return_inverse=True)[1]
    cluster = _units(block, clusters)
    size = np.bincount(cluster)
    varied = np.bincount(np.unique(np.stack([cluster, pattern]), axis=1)[0]) > 1
    inside = varied[cluster]
    own = np.arange(n) if record is None else np.unique(np.stack([cluster, record, pattern]), axis=1, return_inverse=True)[1]
    unit, stratum = np.where(inside, len(size) + own, cluster), np.where(inside, cluster, -1 - block)
    first, unit = np.unique(unit, return_index=True, return_inverse=True)[1:]
    strata = _varied(stratum[first], pattern[first])
    if not strata:
        return _why_not(size, pattern, blocks)
    return Permutations(n, count, _what(inside, size[cluster] > 1), unit, first, strata, rng)


def exchangeable(answers: pd.DataFrame) -> list[str | None]:
    """(n,) what each row belongs to when groups change hands: its cluster, else its id where that repeats, else null."""
    repeated = answers["id"].duplicated(keep=False).to_numpy()
    named = answers["cluster"].notna().to_numpy()
    own = [f"id {name}" if twice else None for name, twice in zip(answers["id"], repeated, strict=True)]
    return [f"cluster {c}" if has else alone for c, has, alone in zip(answers["cluster"], named, own, strict=True)]


def against_chance(seen: float, permuted: Floats, ideal: float, what: str) -> tuple[PValue | None, float | None]:
    """The p of no difference between groups, and the floor: the value expected where there is none.

    p = (1 + #{permuted at least as far from the ideal as seen}) / (1 + B), ties counted; the floor is the mean of the permuted.

    Args:
        seen: the metric's value.
        permuted: (B,) its values under permuted groups; those that are undefined (NaN) are dropped.
        ideal: the unbiased value.
        what: what was permuted, in words (`Permutations.what`, and within what).

    Returns:
        Both, or null where no permutation gave another value than the one seen (unless that is the ideal).

    Example:
        >>> p, floor = against_chance(0.3, np.array([0.1, 0.2, 0.3]), 0.0, "records")
        >>> p.value, round(floor, 10)
        (0.5, 0.2)
    """
    kept = permuted[np.isfinite(permuted)]
    always = len(kept) and np.abs(kept - seen).max() <= SLACK and abs(seen - ideal) > SLACK
    if not len(kept) or always:  # two clusters of a group each only exchange their names, which is no evidence of anything
        return None, None
    hits = int((np.abs(kept - ideal) >= abs(seen - ideal) - SLACK).sum())
    p = (1 + hits) / (1 + len(kept))
    return PValue(p, f"permutation of the groups ({what}), {len(kept):,} sampled"), float(kept.mean())


def steady(answers: pd.DataFrame) -> pd.DataFrame:
    """The rows in the order of their ids; of rows with one id, in that of what else they hold."""
    keys = answers[["id"]].astype(str)
    if keys["id"].duplicated().any():
        for column in ("stratum", "cluster", "label", "prediction", "groups", "group", "probs"):
            if column in answers.columns:
                keys[column] = [str(np.asarray(v).tolist()) for v in answers[column]]
    order = np.lexsort([keys[column].to_numpy(dtype=str) for column in reversed(keys.columns)])
    return answers.iloc[order]


def row_codes(flags: NDArray[np.bool_]) -> Indices:
    """(n,) one number for each different row of flags (n, k)."""
    packed = np.packbits(np.column_stack([flags, np.ones(len(flags), dtype=bool)]), axis=1)  # never without a column
    codes: Indices = np.unique(np.ascontiguousarray(packed).view(f"V{packed.shape[1]}").ravel(), return_inverse=True)[1]
    return codes


def _units(block: Indices, clusters: Sequence[str | None]) -> Indices:
    """(n,) a number for each part of a cluster in one block; a row without a cluster is one of its own."""
    import pandas as pd

    named: dict[tuple[Any, ...], int] = {}
    keys = [
        (b, "row", row) if pd.isna(name) else (b, "cluster", str(name))
        for row, (b, name) in enumerate(zip(block.tolist(), clusters, strict=True))
    ]
    return np.array([named.setdefault(key, len(named)) for key in keys], dtype=np.intp)


def _varied(stratum: Indices, pattern: Indices) -> tuple[Indices, ...]:
    """The members of strata in which the membership varies, those of one size together: each (k, size)."""
    order = np.argsort(stratum, kind="stable")
    cuts = np.flatnonzero(np.diff(stratum[order])) + 1
    by_size: dict[int, list[Indices]] = {}
    for members in np.split(order, cuts):
        if len(members) > 1 and (pattern[members] != pattern[members[0]]).any():
            by_size.setdefault(len(members), []).append(members)
    return tuple(np.array(by_size[size]) for size in sorted(by_size))


def _what(inside: NDArray[np.bool_], clustered: NDArray[np.bool_]) -> str:
    """What changes hands, in words."""
    rest = "whole clusters" if (clustered & ~inside).any() else "records"
    if not inside.any():
        return rest
    return "records inside clusters" + ("" if inside.all() else f", {rest} elsewhere")


def _why_not(size: Indices, pattern: Indices, blocks: NDArray[Any] | None) -> str:
    if not len(pattern) or (pattern == pattern[0]).all():
        return "every record speaks of the same groups"
    where = "" if blocks is None else " within a gold class"
    what = "clusters of records, and each is all of one group" if (size > 1).any() else "records"
    return f"there are too few {what}{where}: whatever changes hands, the groups stay as they are"
