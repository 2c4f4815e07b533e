"""Who a record speaks of: its groups, the notions that they belong to, and groups of several notions at once.

A Labelled row names its groups in `groups`, a list; where it has none, in `group`. An entry is `notion:group` ("gender:female"),
or the bare group where there is only one notion. A text may speak of several groups, or of none. A notion may also be a column of
its own (`gender`, `race`, or `meta.gender`), as tables from elsewhere have them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.errors import FairbenchError, Undefined, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

BARE = ""
"""The notion of groups that name none."""


@dataclass(frozen=True)
class Groups:
    """The groups of a table.

    Attributes:
        names: (g,) of the groups, sorted; of several notions at once joined by a comma ("female,black").
        of_row: (n, g) whether a row speaks of the group; it may speak of several, or of none.
    """

    names: tuple[str, ...]
    of_row: NDArray[np.bool_]


def notions(entries: Iterable[str]) -> tuple[str, ...]:
    """The notions that group entries belong to, sorted; bare groups have the notion "".

    Example:
        >>> notions(["gender:female", "gender:male", "race:black"])
        ('gender', 'race')
    """
    return tuple(sorted({_split(entry)[0] for entry in entries}))


def entries(answers: pd.DataFrame) -> list[tuple[str, ...]]:
    """The group entries of each row: those in `groups`, else the one in `group`, else none.

    Raises:
        FairbenchError: a cell holds something that is neither text nor a list of texts.
    """
    column = next((c for c in ("groups", "group") if c in answers.columns and answers[c].notna().any()), None)
    if column is None:
        return [()] * len(answers)
    return [_cell(value, row, column) for row, value in zip(answers.index, answers[column], strict=True)]


def find_groups(answers: pd.DataFrame, group_by: str = "") -> Groups:
    """The groups of one notion, or of several at once.

    Args:
        answers: rows with `groups` or `group`.
        group_by: a notion ("gender"); several, joined by commas ("gender,race"), for their intersections; empty for the only one.

    Returns:
        The groups that at least one row speaks of.

    Raises:
        Undefined: no row names a group, or there are several notions and none was chosen.
        FairbenchError: there is no such notion.

    Example:
        >>> import pandas as pd
        >>> found = find_groups(pd.DataFrame({"groups": [["race:black", "gender:female"], ["gender:male"]]}), "gender")
        >>> found.names, found.of_row.tolist()
        (('female', 'male'), [[True, False], [False, True]])
    """
    rows = entries(answers)
    known = notions(entry for row in rows for entry in row)
    wanted = [name.strip() for name in group_by.split(",") if name.strip()] or list(known)
    columns = {name: own for name in wanted if name not in known and (own := _column(answers, name)) is not None}
    known = (*known, *columns)
    if not known:
        raise Undefined("no record names a group")
    if not group_by and len(known) > 1:
        raise Undefined(f"the records name groups of several notions ({', '.join(known)}); choose one with group_by")
    for name in wanted:
        if name not in known:
            has = f"They have {', '.join(known)}." if known != (BARE,) else "Their groups name no notion (wanted gender:female)."
            raise FairbenchError(f"The answers name no group of the notion {name!r}.{did_you_mean(name, known)} {has}")
    by_notion = [
        columns[notion] if notion in columns else [{_split(e)[1] for e in row if _split(e)[0] == notion} for row in rows]
        for notion in wanted
    ]
    names = [sorted(set().union(*column)) for column in by_notion]
    found = {",".join(combined): _speaks(combined, by_notion) for combined in itertools.product(*names)}
    kept = {name: rows_of for name, rows_of in found.items() if rows_of.any()}
    if not kept:
        raise Undefined(f"no record names groups of {' and '.join(wanted)} together")
    return Groups(tuple(kept), np.column_stack(list(kept.values())))


def _column(answers: pd.DataFrame, notion: str) -> list[set[str]] | None:
    """Groups of a notion that has a column of its own; null where there is none with a value."""
    name = next((c for c in (notion, f"meta.{notion}") if c in answers.columns and answers[c].notna().any()), None)
    if name is None:
        return None
    return [set(_cell(value, row, name)) for row, value in zip(answers.index, answers[name], strict=True)]


def _speaks(combined: Sequence[str], by_notion: Sequence[Sequence[set[str]]]) -> NDArray[np.bool_]:
    """Whether each row speaks of all of these groups, one of each notion."""
    return np.array([all(g in row for g, row in zip(combined, rows, strict=True)) for rows in zip(*by_notion, strict=True)])


def _split(entry: str) -> tuple[str, str]:
    notion, colon, group = entry.partition(":")
    return (notion.strip(), group.strip()) if colon else (BARE, entry.strip())


def _cell(value: Any, row: int, column: str) -> tuple[str, ...]:
    if value is None or (isinstance(value, float) and value != value):
        return ()
    if isinstance(value, str):
        return (value,) if value.strip() else ()
    if isinstance(value, (list, tuple, np.ndarray)) and all(isinstance(v, str) for v in value):
        return tuple(v for v in value if v.strip())
    if np.ndim(value) == 0:  # a data set that codes its groups by numbers
        return (str(value),)
    raise FairbenchError(
        f"Row {row + 1}, column {column!r}: found {str(value)[:60]!r}, wanted the name of a group or a list of names."
    )
