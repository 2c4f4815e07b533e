"""Who a record speaks of: its groups, the notions that they belong to, and groups of several notions at once.

A Labelled row names its groups in `groups`, a list; where it has none, in `group`. An entry is `notion:group` ("gender:female"),
or the bare group where there is only one notion. A text may speak of several groups, or of none. A notion may also be a column of
its own (`gender`, `race`, or `meta.gender`), as tables from elsewhere have them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from fairbench.errors import FairbenchError, Undefined, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

Cell = TypeVar("Cell")

BARE = ""
"""The notion of groups that name none."""

ALL = "all"
"""As `group_by`: the groups of all notions, each on its own."""


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
    return tuple(sorted({_split(entry)[0] for entry in set(entries)}))


def entries(answers: pd.DataFrame) -> list[tuple[str, ...]]:
    """The group entries of each row: those in `groups`, else the one in `group`, else none.

    `group` is read where no row at all has an entry in `groups`: a row without groups among others that have some speaks of none.

    Raises:
        FairbenchError: a cell holds something that is neither text nor a list of texts, or an entry names no group.
    """
    found = _entries(answers)
    return [found.cells[code] for code in found.of_row]


def find_groups(answers: pd.DataFrame, group_by: str = "") -> Groups:
    """The groups of one notion, or of several at once.

    Args:
        answers: rows with `groups` or `group`.
        group_by: a notion ("gender"); several, joined by commas ("gender,race"), for their intersections; "all" for the groups of
            all notions side by side ("gender:female", "race:black"); empty for the only notion.

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
    listed = _entries(answers)
    known = notions(entry for cell in listed.cells for entry in cell)
    if group_by.strip() == ALL and ALL not in known and known:
        every = [{_name(entry) for entry in cell} for cell in listed.cells]
        return _found([(name,) for name in sorted(set().union(*every))], [_Column(every, listed.of_row)])
    wanted = [name.strip() for name in group_by.split(",") if name.strip()] or list(known)
    columns = {name: own for name in wanted if name not in known and (own := _own_column(answers, name)) is not None}
    known = (*known, *columns)
    if not known:
        raise _no_groups(answers, group_by)
    if not group_by and len(known) > 1:
        raise Undefined(_which(known))
    for name in wanted:
        if name not in known:
            has = f"They have {', '.join(known)}." if known != (BARE,) else "Their groups name no notion (wanted gender:female)."
            raise FairbenchError(f"The answers name no group of the notion {name!r}.{did_you_mean(name, known)} {has}")
    by_notion = [
        columns[notion]
        if notion in columns
        else _Column([{_split(e)[1] for e in cell if _split(e)[0] == notion} for cell in listed.cells], listed.of_row)
        for notion in wanted
    ]
    found = _found(itertools.product(*(sorted(set().union(*column.cells)) for column in by_notion)), by_notion)
    if not found.names:
        raise Undefined(f"no record names groups of {' and '.join(wanted)} together")
    return found


@dataclass(frozen=True)
class _Column(Generic[Cell]):
    """A column whose cells repeat: the different `cells`, and which of them each row has, `of_row` (n,)."""

    cells: list[Cell]
    of_row: NDArray[np.intp]


def _found(names: Iterable[tuple[str, ...]], columns: Sequence[_Column[set[str]]]) -> Groups:
    """Those of the named groups, each one of every notion, that a row speaks of; the others are left out."""
    kept: dict[str, NDArray[np.bool_]] = {}
    names = list(names)
    if len({",".join(combined) for combined in names}) < len(names):
        raise FairbenchError(
            "Two intersections of groups would have one name, since groups have commas in their names. Rename these groups."
        )
    for combined in names:
        of_cell = [
            np.array([g in cell for cell in column.cells], dtype=bool) for g, column in zip(combined, columns, strict=True)
        ]
        rows = np.logical_and.reduce([has[column.of_row] for has, column in zip(of_cell, columns, strict=True)])
        if rows.any():
            kept[",".join(combined)] = rows
    return Groups(tuple(kept), np.column_stack(list(kept.values())) if kept else np.zeros((0, 0), dtype=bool))


def _no_groups(answers: pd.DataFrame, group_by: str) -> Exception:
    """What is to be said of answers without groups: where they may be, if there are columns that could hold them."""
    from fairbench.records import FORMS, ROW_KEYS

    own = {*ROW_KEYS, *FORMS["Labelled"].__dataclass_fields__, "probs", "prediction", "left_out", "truncated", "tokens"}
    others = [str(c) for c in answers.columns if c not in own and answers[c].notna().any() and answers[c].dtype.kind not in "fc"]
    if group_by.strip() and group_by.strip() != ALL:
        return FairbenchError(
            f"--group-by {group_by}: the answers have no groups, and no column of that name.{did_you_mean(group_by, others)} "
            f"Found: {', '.join(map(str, answers.columns))}. Wanted a column groups or group, or one for each notion."
        )
    could = f" in `groups` or `group`; other columns are compared by name, with group_by ({', '.join(others[:6])})"
    return Undefined(f"no record names a group{could if others else ''}")


def _which(known: Sequence[str]) -> str:
    """What is to be done about groups of several notions."""
    if BARE in known:
        named = ", ".join(name for name in known if name != BARE)
        return f"some groups name a notion ({named}) and others none; write all of them as notion:group (gender:female)"
    return f"the records name groups of several notions ({', '.join(known)}); choose one with group_by"


def _entries(answers: pd.DataFrame) -> _Column[tuple[str, ...]]:
    for name in ("groups", "group"):
        if name in answers.columns and answers[name].notna().any():
            found = _read(answers[name], name)
            if any(found.cells):
                return found
    return _Column([()], np.zeros(len(answers), dtype=np.intp))


def _own_column(answers: pd.DataFrame, notion: str) -> _Column[set[str]] | None:
    """Groups of a notion that has a column of its own; null where there is none with a value."""
    name = next((c for c in (notion, f"meta.{notion}") if c in answers.columns and answers[c].notna().any()), None)
    if name is None:
        return None
    found = _read(answers[name], name)
    return _Column([set(cell) for cell in found.cells], found.of_row)


def _read(column: pd.Series[Any], name: str) -> _Column[tuple[str, ...]]:
    """The entries of each cell. Cells repeat, so that of a hundred thousand rows a few are read."""
    values = [value.tolist() if isinstance(value, np.ndarray) else value for value in column.tolist()]
    try:
        codes: dict[Any, int] = {}
        of_row = np.array([codes.setdefault(tuple(v) if isinstance(v, list) else v, len(codes)) for v in values], dtype=np.intp)
    except TypeError:  # a cell with lists in its list, or a mapping, which can't be read anyway
        return _Column([_cell(v, row, name) for row, v in zip(column.index, values, strict=True)], np.arange(len(values)))
    first = np.unique(of_row, return_index=True)[1].tolist()
    return _Column([_cell(values[number], column.index[number], name) for number in first], of_row)


def _name(entry: str) -> str:
    """An entry as it is written out, without needless spaces."""
    notion, group = _split(entry)
    return f"{notion}:{group}" if notion != BARE else group


def _split(entry: str) -> tuple[str, str]:
    notion, colon, group = entry.partition(":")
    return (notion.strip(), group.strip()) if colon else (BARE, entry.strip())


def _cell(value: Any, row: int, column: str) -> tuple[str, ...]:
    import pandas as pd

    if isinstance(value, (list, tuple)):
        given = [v for v in value if isinstance(v, str) and v.strip()] if all(isinstance(v, str) for v in value) else None
    elif isinstance(value, str):
        given = [value] if value.strip() else []
    elif np.ndim(value) == 0 and not isinstance(value, (dict, set)):
        # A data set that codes its groups by numbers: a missing one somewhere makes floats of them all.
        whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
        given = [] if pd.isna(value) else [str(int(value) if whole else value)]
    else:
        given = None
    if given is None:
        raise FairbenchError(
            f"Row {row + 1}, column {column!r}: found {str(value)[:60]!r}, wanted the name of a group or a list of names."
        )
    for entry in given:
        if entry.startswith("[") and entry.endswith("]"):
            raise FairbenchError(
                f"Row {row + 1}, column {column!r}: found {entry[:60]!r}, a list that was written as text. Wanted a JSON list, "
                "or the name of one group."
            )
        if not _split(entry)[1]:
            raise FairbenchError(
                f"Row {row + 1}, column {column!r}: found {entry!r}, wanted notion:group (gender:female) or the group's name."
            )
    return tuple(given)
