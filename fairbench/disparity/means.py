"""Means of groups under many weights at once: how much of something there is in the records of a group.

What `rates` is for things that happen or do not, this is for numbers, which hardly repeat: every draw is a product of its weights
with the numbers of each group's rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import numpy as np

from fairbench.disparity.rates import Flags, Outcome, different, numbers_of, share
from fairbench.stats import CHUNK_BYTES, Floats, Indices


@dataclass(frozen=True)
class Means:
    """The means of o numbers in g groups, f = o * g of them: those of the first number, then those of the second.

    Attributes:
        size: (o, g) how many records each mean is of.
        rows: (o, g) how many rows: more where records have several (samples).
        pattern: (n,) which memberships a row has, of `member` (p, g).
        of: (n, o) 1 where a row has the number, else 0.
        number: (n, o) the numbers; 0 where a row has none.
    """

    size: Indices
    rows: Indices
    pattern: Indices
    member: Floats
    of: Floats
    number: Floats

    def at(self, weights: Floats) -> Floats:
        """The means under each row of weights (b, n): (b, f); NaN where a mean is of no weight."""
        return share(weights @ self._in_groups(self.number), weights @ self._counted)

    def permuted(self, indices: Iterable[Indices]) -> Floats:
        """(b, f) the means where row i has the memberships of row index[i], for each of b arrays `index`, (n,)."""
        p, found = len(self.member), []
        columns = [*self.number.T, *self.of.T]
        sums = (np.array([np.bincount(self.pattern[index], column, p) for column in columns]) for index in indices)
        while some := list(islice(sums, max(1, CHUNK_BYTES // (8 * p * len(columns))))):
            totals, of = np.split(np.array(some) @ self.member, 2, axis=1)
            found.append(share(totals, of).reshape(len(some), -1))
        return np.concatenate(found)

    def records(self, some: slice | Indices = slice(None)) -> Flags:
        """(n,) whether a row is one of those that some of the means are of."""
        found: Flags = np.logical_or.reduce(self._counted[:, some] > 0, axis=1)
        return found

    def only(self, rows: Flags) -> Means:
        """The same of some rows, (n,); the others must be in no mean."""
        return replace(self, pattern=self.pattern[rows], of=self.of[rows], number=self.number[rows])

    @cached_property
    def _counted(self) -> Floats:
        return self._in_groups(self.of)

    def _in_groups(self, what: Floats) -> Floats:
        """(n, f) what a row adds to each mean's sum, from `what` (n, o)."""
        found: Floats = (what[:, :, None] * self.member[self.pattern][:, None, :]).reshape(len(what), -1)
        return found


def means(outcomes: Sequence[Outcome], of_row: Flags, record: Indices | None = None) -> Means:
    """What is needed for the means of these numbers in the groups of `of_row`, (n, g).

    Args:
        outcomes: whose `hit` are numbers.
        of_row: (n, g) memberships.
        record: (n,) the number of the record that a row is a sample of; null where each row is a record.
    """
    of = np.column_stack([o.of for o in outcomes])
    number = np.column_stack([np.where(o.of, o.hit, 0.0) for o in outcomes])
    return Means(*numbers_of(of, of_row, record), *different(of_row), of.astype(float), number)
