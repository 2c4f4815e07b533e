"""Tables as they are printed: which rows and columns, and what stands below them. `tables` and `latex` write them down."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairbench.tidy import GROUP, WHOLE, require_columns
from fairbench.wording import figure, n_text, p_figure

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("intrinsic", "extrinsic", "utility")
DAGGER = "†"
LIMITED = "A trial over some of the records only (--limit); no result to be reported."
ACROSS = 4
"""Metrics that stand side by side in a table with a model a row: more do not fit on a page."""

READ = (
    "model", "kind", "task", "metric", "variant", "column", "headline", "part", "group", "value", "low", "high", "level",
    "p_value", "n", "n_total", "unit", "ideal", "direction", "undefined", "warnings", "limited",
)  # fmt: skip
"""Columns of the tidy table that are read here."""


@dataclass(frozen=True)
class Cell:
    """A cell: its text as it is, not escaped; the marks of the notes that belong to it; whether the text is a number of ours."""

    text: str
    marks: tuple[str, ...] = ()
    number: bool = False


Row = tuple[Cell, ...]


@dataclass(frozen=True)
class Sheet:
    """A table as it is printed.

    Attributes:
        name: of its label, letters and hyphens.
        caption: what it shows, as a sentence.
        head: header rows, each with a cell a column.
        sections: titles and rows; the title is empty where there is one section only.
        notes: mark and text; the mark is empty for what is said of the whole table.
        by: what the titles of the sections are.
    """

    name: str
    caption: str
    head: tuple[Row, ...]
    sections: tuple[tuple[str, tuple[Row, ...]], ...]
    notes: tuple[tuple[str, str], ...]
    by: str = "Model"

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Of each column whether it holds numbers."""
        rows = [row for _, rows in self.sections for row in rows]
        return tuple(all(row[place].number for row in rows) for place in range(len(self.head[0])))


class Notes:
    """Notes below a table; each text stands there once, under a letter."""

    def __init__(self) -> None:
        """None yet."""
        self.marks: dict[str, str] = {}

    def of(self, texts: Iterable[str]) -> tuple[str, ...]:
        """The marks of some texts."""
        return tuple(self.marks.setdefault(text, _letter(len(self.marks))) for text in texts if text)

    def listed(self, whole: Iterable[str]) -> tuple[tuple[str, str], ...]:
        """What is said of the whole table, and then note by note."""
        return (*(("", text) for text in whole if text), *((mark, text) for text, mark in self.marks.items()))


def _letter(place: int) -> str:
    """A, b ... z, aa, ab ... by place."""
    letters = string.ascii_lowercase
    return (_letter(place // 26 - 1) if place >= 26 else "") + letters[place % 26]


def score_sheets(table: pd.DataFrame) -> tuple[Sheet, ...]:
    """Every score over all records: a table for each kind of metric, with a row a score.

    Args:
        table: the tidy table.

    Returns:
        Sheets with the columns task, metric, value [low, high], ideal, n and p.

    Raises:
        FairbenchError: the table lacks columns.
    """
    require_columns(table, READ)
    whole = table[table["part"] == WHOLE]
    of_kinds = ((kind, whole[whole["kind"] == kind]) for kind in KINDS)
    return tuple(_long(rows, f"scores-{kind}", f"{kind.capitalize()} scores.") for kind, rows in of_kinds if len(rows))


def part_sheets(table: pd.DataFrame) -> tuple[Sheet, ...]:
    """Scores over parts of the records: each group, the clean subset, and generated texts without refusals.

    Raises:
        FairbenchError: the table lacks columns.
    """
    require_columns(table, READ)
    parts = table[table["part"] != WHOLE]
    of_kinds = ((kind, parts[parts["kind"] == kind]) for kind in KINDS)
    said = "scores over a part of the records."
    return tuple(_long(rows, f"parts-{kind}", f"{kind.capitalize()} {said}", True) for kind, rows in of_kinds if len(rows))


def paper_sheets(table: pd.DataFrame, columns: Sequence[str] | None = None) -> tuple[Sheet, ...]:
    """Models beside each other as papers show them: a model a row, a metric a column.

    Args:
        table: the tidy table.
        columns: which of its `column` to show, in this order; the headline metrics where null.

    Returns:
        Sheets of at most ACROSS metrics; the header tells each metric's ideal and n, the notes which way is which.

    Raises:
        FairbenchError: the table lacks columns.
    """
    require_columns(table, READ)
    whole = table[table["part"] == WHOLE]
    headline = whole["headline"].map(lambda said: said is True)
    wanted = list(dict.fromkeys(whole["column"][headline])) if columns is None else list(columns)
    kinds = dict(zip(whole["column"], whole["kind"], strict=True))
    sheets = []
    for kind in KINDS:
        of_kind = [column for column in wanted if kinds.get(column) == kind]
        for start in range(0, len(of_kind), ACROSS):
            name = f"models-{kind}" + (f"-{start // ACROSS + 1}" if len(of_kind) > ACROSS else "")
            sheets.append(_beside(whole, of_kind[start : start + ACROSS], name, f"{kind.capitalize()} scores of each model."))
    return tuple(sheets)


def _long(rows: pd.DataFrame, name: str, caption: str, parts: bool = False) -> Sheet:
    """A sheet with a row a score, a section a model."""
    notes, usual = Notes(), usual_level(rows)
    sections = []
    for model in dict.fromkeys(rows["model"]):
        of_model = [_score_row(row, notes, usual, parts) for row in dicts(rows[rows["model"] == model])]
        sections.append((str(model), tuple(of_model)))
    names = ("Task", "Metric", *(("Part",) if parts else ()), "Value", "Ideal", "n", "p")
    said = (level_note(usual), DAGGER + " " + LIMITED if rows["limited"].any() else "")
    return Sheet(name, caption, (tuple(map(Cell, names)),), tuple(sections), notes.listed(said))


def _score_row(row: dict[str, Any], notes: Notes, usual: float | None, parts: bool) -> Row:
    """One score as cells."""
    part = row["group"] if row["part"] == GROUP else row["part"]
    return (
        Cell(row["task"]),
        Cell(row["metric"], notes.of([_choices(row["variant"])])),
        *((Cell(str(part)),) if parts else ()),
        value_cell(row, notes, usual),
        Cell(figure(row["ideal"]), number=True),
        Cell(n_text(row["n"], row["n_total"]), number=True),
        Cell(p_figure(row["p_value"]), number=True),
    )


def value_cell(row: dict[str, Any], notes: Notes, usual: float | None) -> Cell:
    """`value [low, high]`, or "undefined" with its reason as a note; warnings and an unusual level are notes too."""
    said = [*row["warnings"]]
    if row["value"] != row["value"]:  # NaN
        said.insert(0, f"Undefined: {row['undefined'] or 'no reason was recorded'}.")
        text = "undefined"
    else:
        text = f"{figure(row['value'])} [{figure(row['low'])}, {figure(row['high'])}]"
        if row["low"] != row["low"]:
            text = figure(row["value"])
        elif row["level"] != usual:
            said.append(f"{100 * row['level']:.4g} % interval.")
    return Cell(text, (*((DAGGER,) if row["limited"] else ()), *notes.of(said)), number=True)


def _beside(whole: pd.DataFrame, columns: Sequence[str], name: str, caption: str) -> Sheet:
    """A sheet with a model a row and a metric a column."""
    shown = whole[whole["column"].isin(columns)]
    notes, usual = Notes(), usual_level(shown)
    by_column = {column: dicts(shown[shown["column"] == column]) for column in columns}
    firsts = [rows[0] for rows in by_column.values()]
    head = (
        (Cell("Model"), *(Cell(row["task"]) for row in firsts)),
        (Cell(""), *(Cell(row["metric"], notes.of([_choices(row["variant"])])) for row in firsts)),
        (Cell(""), *(Cell(f"ideal {figure(row['ideal'])}", number=True) for row in firsts)),
        (Cell(""), *(Cell(_n_of(rows), number=True) for rows in by_column.values())),
    )
    cells = {(row["model"], row["column"]): value_cell(row, notes, usual) for row in dicts(shown)}
    none = Cell("-", number=True)
    body = tuple(
        (Cell(str(model)), *(cells.get((model, column), none) for column in columns)) for model in dict.fromkeys(shown["model"])
    )
    which = dict.fromkeys(f"{row['metric']}: {row['direction']}." for row in firsts if row["direction"])
    said = (level_note(usual), *which, DAGGER + " " + LIMITED if shown["limited"].any() else "")
    return Sheet(name, caption, head, (("", body),), notes.listed(said))


def _n_of(rows: Sequence[dict[str, Any]]) -> str:
    """How many units a column's scores used: one number, or from the smallest to the largest."""
    counts = [row["n"] for row in rows]
    return f"n {min(counts)}" + (f" to {max(counts)}" if len(set(counts)) > 1 else "")


def _choices(variant: str) -> str:
    """The choices that are not the default, as a note."""
    return f"With {variant.replace(',', ', ')}." if variant else ""


def usual_level(rows: pd.DataFrame) -> float | None:
    """The confidence level that most intervals of a table have; null where there is no interval."""
    levels = Counter(rows["level"][rows["low"].notna()])
    return levels.most_common(1)[0][0] if levels else None


def level_note(level: float | None) -> str:
    """What the brackets are."""
    return "" if level is None else f"In brackets the {100 * level:.4g} % interval."


def dicts(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows by the names of their columns."""
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def lines_of(sheet: Sheet) -> Iterator[tuple[str, Row]]:
    """Every row with the title of its section."""
    for title, rows in sheet.sections:
        yield from ((title, row) for row in rows)
