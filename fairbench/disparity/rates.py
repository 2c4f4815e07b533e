"""Rates of groups under many weights at once: how often something happens among the records of a group.

Records are told apart only by whom they speak of (a pattern of memberships) and by what happened (a case). So the weights are
first summed over the records of one cell, that is, of one pattern and case: there are few, and every rate is made of these sums.
The sums could be drawn themselves, as multinomial counts of the cells, without a draw for each record. They are not: two models'
answers make different cells of the same records, and a paired comparison needs the same draw of every record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fairbench.decisions import class_names, labels, predictions
from fairbench.disparity.permutation import row_codes
from fairbench.stats import BLOCK_BYTES, CHUNK_BYTES, Floats, Indices

if TYPE_CHECKING:
    import pandas as pd

Flags = NDArray[np.bool_]

_POSITIVE = " of the positive class", "the label is not the positive class"
_NEGATIVE = " of other classes than the positive", "the label is the positive class"


@dataclass(frozen=True)
class Outcome:
    """What a rate is of; or a mean, which is the rate of something that happens more or less.

    Attributes:
        name: of the rate ("TPR"), or of the class that it is a rate of.
        of: (n,) the records among which it is counted.
        hit: (n,) those in which it happens; for a mean the number of each record, finite wherever `of` is true.
        among: which records these are, in words that follow on "records".
        why_not: why a record is not among them.
    """

    name: str
    of: Flags
    hit: Flags | Floats
    among: str = ""
    why_not: str = ""

    @property
    def counted(self) -> bool:
        """Whether it happens or does not; else it is a number, and its rate a mean."""
        return self.hit.dtype == bool


@dataclass(frozen=True)
class Rates:
    """The rates of o outcomes in g groups, f = o * g of them: those of the first outcome, then those of the second.

    Attributes:
        size: (o, g) how many records each rate is of.
        rows: (o, g) how many rows: more where records have several (samples).
        pattern: (n,) which memberships a record has, of `member` (p, g).
        case: (n,) what happened to it: of which outcomes it is, `of` (c, o), and which happened, `hit` (c, o).
    """

    size: Indices
    rows: Indices
    pattern: Indices
    member: Floats
    case: Indices
    of: Floats
    hit: Floats

    def at(self, weights: Floats) -> Floats:
        """The rates under each row of weights (b, n): (b, f) in [0, 1]; NaN where a rate is of no weight."""
        sums = self._summed(weights)
        return share(sums @ self._of_cells(self.hit), sums @ self._of_cells(self.of))

    def permuted(self, indices: Iterable[Indices]) -> Floats:
        """(b, f) the rates where record i has the memberships of record index[i], for each of b arrays `index`, (n,)."""
        p, c, found = len(self.member), len(self.of), []
        counts = (np.bincount(self.pattern[index] * c + self.case, minlength=p * c) for index in indices)
        while some := list(islice(counts, max(1, CHUNK_BYTES // (8 * p * c)))):
            table = np.array(some, dtype=float).reshape(-1, p, c)
            hits, total = ((np.swapaxes(table @ what, 1, 2) @ self.member).reshape(len(some), -1) for what in (self.hit, self.of))
            found.append(share(hits, total))
        return np.concatenate(found)

    def records(self, some: slice | Indices = slice(None)) -> Flags:
        """(n,) whether a record is one of those that some of the rates are of."""
        of_cell: Flags = np.logical_or.reduce(self._of_cells(self.of)[:, some] > 0, axis=1)
        return of_cell[self._cells[1]]

    def only(self, rows: Flags) -> Rates:
        """The same of some rows, (n,); the others must be in no rate."""
        return replace(self, pattern=self.pattern[rows], case=self.case[rows])

    def _summed(self, weights: Floats) -> Floats:
        """(b, cells) the weight of each cell; a few draws at a time, whose rows are picked out of a processor's cache."""
        order, starts = self._by_cell
        sums = np.zeros((len(weights), len(starts)))
        size = max(1, BLOCK_BYTES // (8 * max(1, len(order))))
        for first in range(0, len(weights) if len(starts) else 0, size):
            some = slice(first, first + size)
            np.add.reduceat(np.take(weights[some], order, axis=1), starts, axis=1, out=sums[some])
        return sums

    @cached_property
    def _cells(self) -> tuple[Indices, Indices]:
        """The pairs of pattern and case that there are, as numbers, and which of them each record is."""
        return np.unique(self.pattern * len(self.of) + self.case, return_inverse=True)

    @cached_property
    def _by_cell(self) -> tuple[Indices, Indices]:
        """The records of each cell one after the other, and where each cell begins."""
        cells, cell = self._cells
        order = np.argsort(cell, kind="stable")
        return order, np.searchsorted(cell[order], np.arange(len(cells)))

    def _of_cells(self, what: Floats) -> Floats:
        """(cells, f) whether the records of a cell count in a rate."""
        pattern, case = np.divmod(self._cells[0], len(self.of))
        found: Floats = (what[case][:, :, None] * self.member[pattern][:, None, :]).reshape(len(case), -1)
        return found


def rates(outcomes: Sequence[Outcome], of_row: Flags, record: Indices | None = None) -> Rates:
    """What is needed for the rates of these outcomes in the groups of `of_row`, (n, g).

    Args:
        outcomes: things that happen or do not.
        of_row: (n, g) memberships.
        record: (n,) the number of the record that a row is a sample of; null where each row is a record.
    """
    of = np.column_stack([o.of for o in outcomes])
    hit = np.column_stack([np.logical_and(o.of, o.hit) for o in outcomes])
    pattern, member = different(of_row)
    case, both = different(np.column_stack([of, hit]))
    sizes = numbers_of(of, of_row, record)
    return Rates(*sizes, pattern, member, case, both[:, : len(outcomes)], both[:, len(outcomes) :])


def numbers_of(of: Flags, of_row: Flags, record: Indices | None) -> tuple[Indices, Indices]:
    """(o, g) how many records and how many rows are of an outcome, `of` (n, o), and of a group, `of_row` (n, g)."""
    rows = (of.T.astype(float) @ of_row.astype(float)).astype(np.intp)
    if record is None:
        return rows, rows
    size = [[len(np.unique(record[among & member])) for member in of_row.T] for among in of.T]
    return np.array(size, dtype=np.intp).reshape(rows.shape), rows


def selection(answers: pd.DataFrame, positive: int) -> Outcome:
    """How often the positive class is predicted, whatever the label."""
    return Outcome("rate", np.ones(len(answers), dtype=bool), predictions(answers) == positive)


def true_positives(answers: pd.DataFrame, positive: int) -> Outcome:
    """TPR: how often the positive class is predicted where it is right."""
    return Outcome("TPR", labels(answers) == positive, predictions(answers) == positive, *_POSITIVE)


def false_negatives(answers: pd.DataFrame, positive: int) -> Outcome:
    """FNR = 1 - TPR."""
    return Outcome("FNR", labels(answers) == positive, predictions(answers) != positive, *_POSITIVE)


def false_positives(answers: pd.DataFrame, positive: int) -> Outcome:
    """FPR: how often the positive class is predicted where it is wrong."""
    return Outcome("FPR", labels(answers) != positive, predictions(answers) == positive, *_NEGATIVE)


def true_classes(answers: pd.DataFrame) -> list[Outcome]:
    """The TPR of every class that is some record's label, in the order of their numbers."""
    label, predicted = labels(answers), predictions(answers)
    classes = np.unique(label).tolist()
    return [
        Outcome(name, label == number, predicted == number, " of one class")
        for number, name in zip(classes, class_names(answers, classes), strict=True)
    ]


def different(flags: Flags) -> tuple[Indices, Floats]:
    """Which of the different rows each row is, (n,), and these rows as 0 and 1."""
    codes = row_codes(flags)
    return codes, flags[np.unique(codes, return_index=True)[1]].astype(float)


def share(hits: Floats, total: Floats) -> Floats:
    """What part of the total the hits are; NaN where there is no total."""
    found = np.full(np.shape(hits), np.nan)
    np.divide(hits, total, out=found, where=total > 0)
    return found
