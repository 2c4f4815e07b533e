"""Which rates of a table are compared: those of enough records, where at least two groups have one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairbench.disparity.contrasts import Aggregation, Contrasts, between_groups, to_last
from fairbench.disparity.means import Means, means
from fairbench.disparity.rates import Flags, Outcome, Rates, rates
from fairbench.groups import Groups
from fairbench.stats import Indices

ALL_RECORDS = "all records"
"""The name of all records among the groups, where groups are compared with them."""

NAMED = 5
"""A warning names so many groups, and counts the others."""


@dataclass(frozen=True)
class Comparison:
    """What one table says about the groups: f = o * g rates, of which some are compared.

    Attributes:
        groups: (g,) names of all groups; the last may be ALL_RECORDS.
        outcomes: (o,) what the rates are of.
        rates: of the table's rows; of outcomes that are numbers the means.
        compared: (o, g) the rates that are compared; where there are no contrasts, those that are of enough records.
        contrasts: their differences; null where there are none, and then `why_not` says why.
        minimum: a rate that is compared is of so many records at least.
        record: (n,) the number of the record that each of the table's rows is a sample of; null where each row is a record.
    """

    groups: tuple[str, ...]
    outcomes: Sequence[Outcome]
    rates: Rates | Means
    compared: Flags
    contrasts: Contrasts | None
    why_not: str
    minimum: int
    record: Indices | None = None

    @property
    def figure(self) -> str:
        """What is compared, in a word."""
        return "rate" if self.outcomes[0].counted else "mean"

    def only(self, rows: Flags) -> Comparison:
        """The same of some rows, (n,); the others must be in no rate."""
        return replace(self, rates=self.rates.only(rows), record=None if self.record is None else self.record[rows])

    def name(self, number: int) -> str:
        """The group that a rate is of, with the outcome where there are several."""
        outcome, group = divmod(number, len(self.groups))
        return f"{self.groups[group]} {self.outcomes[outcome].name}" if len(self.outcomes) > 1 else self.groups[group]

    def used(self) -> Flags:
        """(n,) whether a record is in a rate that is compared; where none is, in any rate."""
        return self.rates.records() if self.contrasts is None else self.rates.records(self.contrasts.rates)

    def counts(self) -> dict[str, int]:
        """Groups that are compared, and those that are left out of some outcome in which others are compared."""
        groups = len(self.groups) - (self.groups[-1] == ALL_RECORDS)
        whole = int(self.compared[np.flatnonzero(self.compared.any(axis=1)), :groups].all(axis=0).sum())
        return {"groups": whole, "groups_left_out": groups - whole}

    def warnings(self) -> tuple[str, ...]:
        """The rates that are of too few records, by name."""
        few = np.flatnonzero(self.compared < self.compared.any(axis=1, keepdims=True)).tolist()
        if not few:
            return ()
        size = self.rates.size.ravel().tolist()
        named = ", ".join(f"{self.name(number)} ({size[number]})" for number in few[:NAMED])
        more = f" and {len(few) - NAMED} more" if len(few) > NAMED else ""
        among = {outcome.among for outcome in self.outcomes}
        which = among.pop() if len(among) == 1 else " of the class that the rate is of"
        return (f"Left out of the comparison, with fewer than {self.minimum} records{which}: {named}{more}.",)


def compare(
    outcomes: Sequence[Outcome],
    groups: Groups,
    how: Aggregation,
    minimum: int,
    *,
    overall: bool,
    every: bool,
    record: Indices | None = None,
) -> Comparison:
    """Finds the rates and which of them are compared.

    Args:
        outcomes: what the rates are of; or all of them numbers, for means.
        groups: of the table's rows.
        how: what becomes of the differences.
        minimum: the records that a rate must be of to be compared; counted in the table, whatever the weights.
        overall: groups are compared with all records, not with each other.
        every: without two groups to compare in one of the outcomes there is no value; else that outcome is left out.
        record: (n,) the number of the record that a row is a sample of; null where each row is a record.
    """
    of_row = np.column_stack([groups.of_row, np.ones(len(groups.of_row), dtype=bool)]) if overall else groups.of_row
    found = (rates if outcomes[0].counted else means)(outcomes, of_row, record)
    compared: Flags = found.size >= minimum
    enough = compared[:, : len(groups.names)].sum(axis=1) >= 2
    names = (*groups.names, ALL_RECORDS) if overall else groups.names
    if not (enough.all() if every else enough.any()):
        short = outcomes[int(np.argmin(enough))]
        why_not = f"fewer than two groups have at least {minimum} records{short.among}"
        return Comparison(names, outcomes, found, compared, None, why_not, minimum, record)
    compared = compared & enough[:, None]
    contrasts = (to_last if overall else between_groups)(compared, how)
    return Comparison(names, outcomes, found, compared, contrasts, "", minimum, record)
