"""Results as files that others read: Markdown, LaTeX, CSV and Parquet.

results.parquet   the tidy table, exactly; lists stay lists
results.csv       the same for spreadsheets; lists joined, cells that could run as a formula made harmless
scores.md, .tex   every score: value [low, high], ideal, n, p
parts.md, .tex    the same for groups, the clean subset and texts without refusals, where there are any
models.md, .tex   a model a row, a headline metric a column
comparisons.*     where models were compared: differences with their interval, p, Holm's p and what could have been seen
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairbench.files import whole_file
from fairbench.reporting import latex as tex
from fairbench.reporting.compared import comparison_sheets, comparison_table
from fairbench.reporting.sheets import Cell, Sheet, paper_sheets, part_sheets, score_sheets
from fairbench.tidy import COLUMNS, require_columns

if TYPE_CHECKING:
    import pandas as pd

    from fairbench.reporting.contents import Report

LISTS = ("warnings", "left_out")
"""Columns of the tidy table that hold lists of texts."""

FLAGS = ("headline", "limited")
FORMULA = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")
"""How a text begins that a spreadsheet may run as a formula."""

BIDI = re.compile("[\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Signs that can't be seen: they turn the direction of writing, or hide something."""


def markdown(table: pd.DataFrame) -> str:
    """Every score of a tidy table in GitHub's Markdown.

    Args:
        table: the tidy table (`fairbench.tidy.tidy`).

    Raises:
        FairbenchError: the table lacks columns.
    """
    return markdown_of(score_sheets(table))


def latex(table: pd.DataFrame) -> str:
    """Every score of a tidy table in LaTeX with booktabs.

    Args:
        table: the tidy table.

    Raises:
        FairbenchError: the table lacks columns.
    """
    return tex.written(score_sheets(table))


def csv_text(table: pd.DataFrame) -> str:
    r"""A table as CSV that spreadsheets can open: lists joined by "; ", undefined empty, numbers in full.

    A text that begins with = + - @, a tab or a new line and is no number gets an apostrophe before it, since a spreadsheet would
    run it as a formula. Whoever needs the texts unchanged reads results.parquet.

    Args:
        table: the tidy table, or another table of texts, numbers and lists of texts.

    Returns:
        UTF-8 text with \n at the ends of lines, RFC 4180 quotes.
    """
    shown = table.copy()
    for name in shown.columns:
        if shown[name].dtype.kind not in "fiub":
            shown[name] = shown[name].astype(object).map(_csv_cell)
    shown.columns = [_harmless(str(name)) for name in shown.columns]
    text: str = shown.to_csv(index=False, lineterminator="\n")
    return text


def _csv_cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, str):
        return _harmless(value)
    return _harmless("; ".join(map(str, value))) if hasattr(value, "__iter__") else value


def _harmless(text: str) -> str:
    """The text with an apostrophe before it where a spreadsheet might run it; lines end as those of the file do."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")  # a bare \r would not be quoted
    return f"'{text}" if text.startswith(FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?", text) is not None


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Writes the tidy table, whole or not at all; columns have the same types whatever they hold.

    Raises:
        FairbenchError: the table lacks columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    require_columns(table, COLUMNS)
    fields = []
    for name in COLUMNS:
        kind = table[name].dtype.kind
        listed, flag = pa.list_(pa.string()), pa.bool_()
        number = {"f": pa.float64(), "i": pa.int64(), "u": pa.int64()}.get(kind, pa.string())
        fields.append(pa.field(name, listed if name in LISTS else flag if name in FLAGS else number))
    content = pa.Table.from_pandas(table[[*COLUMNS]], schema=pa.schema(fields), preserve_index=False)
    with whole_file(path) as temporary:
        pq.write_table(content, temporary)


def markdown_of(sheets: Sequence[Sheet], level: int = 3) -> str:
    """Sheets in GitHub's Markdown, each below a heading of some level."""
    return "\n".join("\n".join(_markdown_lines(sheet, level)) + "\n" for sheet in sheets)


def _markdown_lines(sheet: Sheet, level: int) -> Iterator[str]:
    """A heading, the table and its notes. Where there are several sections their titles are the first column."""
    titled = any(title for title, _ in sheet.sections)
    names = [_heads(cells) for cells in zip(*sheet.head, strict=True)]
    yield f"{'#' * level} {markdown_text(sheet.caption.rstrip('.'))}"
    yield ""
    yield _piped([*([sheet.by] if titled else []), *names])
    yield _piped([*([":---"] if titled else []), *("---:" if numeric else ":---" for numeric in sheet.numeric)])
    for title, rows in sheet.sections:
        first = [markdown_text(title)] if titled else []
        yield from (_piped([*first, *map(_markdown_cell, row)]) for row in rows)
    yield from [""] if sheet.notes else []
    for mark, text in sheet.notes:
        yield f"- {f'<sup>{mark}</sup> ' if mark else ''}{markdown_text(text)}"


def _heads(cells: Sequence[Cell]) -> str:
    """The header cells of a column in one: GitHub knows a single header row."""
    return "<br>".join(_markdown_cell(cell) for cell in cells if cell.text)


def _piped(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_cell(cell: Cell) -> str:
    text = cell.text.replace("<", "&lt;") if cell.number else markdown_text(cell.text)
    return text + (f"<sup>{','.join(cell.marks)}</sup>" if cell.marks else "")


def seen(text: str) -> str:
    """A text on one line in which nothing is hidden: signs that can't be seen stand as their number, [U+202E]."""
    return BIDI.sub(lambda sign: f"[U+{ord(sign[0]):04X}]", " ".join(text.split()))


def markdown_text(text: str) -> str:
    r"""A text as it may stand in a cell, a line or a heading: on one line, and nothing in it is Markdown, HTML or a link.

    Example:
        >>> print(markdown_text("a|b_c `x` <b> *y* [l](u) http://u"))
        a\|b_c \`x\` &lt;b&gt; \*y\* \[l\](u) http\://u
    """
    text = re.sub(r"([\\|`*\[\]~$])", r"\\\1", seen(text))
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)
    text = re.sub(
        r"^(?:([#+-])|(\d+)([.)])(?=\s|$))", lambda m: f"{m[2] or ''}\\{m[1] or m[3]}", text
    )  # at the start of a line: a heading or a list
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r":(?=//)", r"\\:", re.sub(r"(?i)\b(www)\.", r"\1\\.", text))


def write_tables(report: Report, folder: Path) -> list[Path]:
    """Writes every table of a report.

    Args:
        report: what is to be said.
        folder: where; it is made if it is not there. Files of the same names are replaced.

    Returns:
        The files, in the order in which they were written.

    Raises:
        FairbenchError: the table lacks columns.
    """
    table = report.table
    sheets = {"scores": score_sheets(table), "parts": part_sheets(table), "models": paper_sheets(table)}
    texts: dict[str, Callable[[], str]] = {"results.csv": lambda: csv_text(table)}
    if compared := report.comparisons:
        sheets["comparisons"] = comparison_sheets(compared)
        texts["comparisons.csv"] = lambda: csv_text(comparison_table(compared))
    write_parquet(table, folder / "results.parquet")
    written = [folder / "results.parquet"]
    for name, some in sheets.items():
        if some:
            texts[f"{name}.md"] = lambda some=some: markdown_of(some)  # type: ignore[misc]
            texts[f"{name}.tex"] = lambda some=some: tex.written(some)  # type: ignore[misc]
    for name, text in texts.items():
        with whole_file(folder / name) as temporary:
            temporary.write_text(text(), encoding="utf-8", newline="")
        written.append(folder / name)
    return written
