r"""Tables in LaTeX: only `\usepackage{booktabs}` is needed, with any engine, and the output is ASCII.

Whatever comes from models and data is escaped. Letters with an accent are written as commands; what LaTeX's standard fonts
can't show (Arabic, Chinese, emoji, marks that turn the direction of writing) stands as its number, [U+4E2D], since
a bare one would stop pdfLaTeX.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairbench.reporting.sheets import Cell, Row, Sheet

ROWS = 40
"""Rows of one table: a float does not break over pages."""

WIDTH = 82
"""Signs that fit on a line of an article in footnote size."""

CROWDED = 62
"""Signs of columns that can't break from which on a table is set smaller still."""

STACK = 18
"""Signs in a line of a header cell."""

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    '"': r"\texttt{\char34}", "`": r"\textasciigrave{}",
    "[": "{[}", "]": "{]}", "*": "{*}",  # after \\ they would be read as its options
}  # fmt: skip
SIGNS = {
    "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "ø": r"\o{}", "Ø": r"\O{}", "œ": r"\oe{}", "Œ": r"\OE{}", "ł": r"\l{}",
    "Ł": r"\L{}", "ı": r"\i{}", "–": r"\textendash{}", "—": r"\textemdash{}", "‘": r"\textquoteleft{}", "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}", "”": r"\textquotedblright{}", "…": r"\ldots{}", "†": r"\dag{}", "×": r"$\times$", "±": r"$\pm$",
    "−": "$-$", "≤": r"$\leq$", "≥": r"$\geq$", "→": r"$\rightarrow$", "°": r"$^\circ$", "µ": r"$\mu$", "\xa0": "~",
}  # fmt: skip
ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".", "\u0308": '"',
    "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c", "\u0323": "d",
}  # fmt: skip


def escape(text: str) -> str:
    r"""A text as it may stand anywhere in a table, on one line.

    Example:
        >>> escape("100% of a_b & [c] für 中")
        '100\\% of a\\_b \\& {[}c{]} f\\"{u}r {[}U+4E2D{]}'
    """
    found = "".join(_sign(sign) for sign in unicodedata.normalize("NFC", " ".join(text.split())))
    return re.sub(r"([-,'])(?=\1)", r"\1{}", found)  # twice in a row they would become one sign


def _sign(sign: str) -> str:
    """One character."""
    if sign in SPECIAL or sign in SIGNS:
        return SPECIAL.get(sign) or SIGNS[sign]
    if " " <= sign <= "~":
        return sign
    letter, accent = (*unicodedata.normalize("NFD", sign), "", "")[:2]
    if len(unicodedata.normalize("NFD", sign)) == 2 and letter.isascii() and letter.isalpha() and accent in ACCENTS:
        below = ACCENTS[accent] in ("c", "d")
        return f"\\{ACCENTS[accent]}{{{letter if below or letter not in 'ij' else chr(92) + letter}}}"
    return f"{{[}}U+{ord(sign):04X}{{]}}"


def number(text: str) -> str:
    r"""A number of ours, with signs and powers as mathematics.

    Example:
        >>> number("-0.5 [-1, 2e-05]"), number("<1e-4"), number("-")
        ('$-$0.5 [$-$1, $2\\times10^{-5}$]', '$<10^{-4}$', '--')
    """
    if text == "-":
        return "--"
    text = re.sub(r"<|-?inf|-?\d(?:\.\d+)?e[+-]\d+|-", _mathematics, text)
    return text.replace(r"$<$$10^", "$<10^")


def _mathematics(found: re.Match[str]) -> str:
    """A sign, an infinity or a power of ten."""
    text = found[0]
    if "e" not in text:
        return f"${text.replace('inf', chr(92) + 'infty')}$"
    mantissa, exponent = text.split("e")
    return f"${'' if mantissa == '1' else mantissa + chr(92) + 'times'}10^{{{int(exponent)}}}$"


def written(sheets: Sequence[Sheet]) -> str:
    r"""Sheets as LaTeX, one `table` after the other, to be read with \input.

    Args:
        sheets: of `fairbench.reporting.sheets`.

    Returns:
        ASCII text; a sheet with more than ROWS rows becomes several tables.
    """
    start = "% Made by fairbench. In the preamble: \\usepackage{booktabs}\n"
    return start + "".join("\n" + "\n".join(_table(piece)) + "\n" for sheet in sheets for piece in _pieces(sheet))


def _pieces(sheet: Sheet) -> Iterator[Sheet]:
    """The sheet in tables that fit on a page each, with those notes that they have marks of."""
    import dataclasses
    import itertools

    from fairbench.reporting.sheets import lines_of

    lines = list(lines_of(sheet))
    head = {mark for row in sheet.head for cell in row for mark in cell.marks}
    for start in range(0, len(lines), ROWS):
        some = lines[start : start + ROWS]
        used = head | {mark for _, row in some for cell in row for mark in cell.marks}
        grouped = tuple((title, tuple(row for _, row in same)) for title, same in itertools.groupby(some, lambda one: one[0]))
        yield dataclasses.replace(
            sheet,
            name=sheet.name + (f"-part{start // ROWS + 1}" if len(lines) > ROWS else ""),
            caption=sheet.caption + (" (Continued.)" if start else ""),
            sections=grouped,
            notes=tuple((mark, text) for mark, text in sheet.notes if not mark or mark in used),
        )


def _table(sheet: Sheet) -> Iterator[str]:
    kinds, crowded = _columns(sheet)
    size = r"\scriptsize\setlength{\tabcolsep}{3pt}" if crowded else r"\footnotesize"
    yield from (r"\begin{table}", rf"\centering{size}", rf"\caption{{{escape(sheet.caption)}}}", rf"\label{{tab:{sheet.name}}}")
    yield rf"\begin{{tabular}}{{{''.join(kinds)}}}"
    yield r"\toprule"
    for row in sheet.head:
        yield " & ".join(_head(cell) for cell in row) + r" \\"
    yield r"\midrule"
    for place, (title, rows) in enumerate(sheet.sections):
        if title:
            yield from [r"\addlinespace"] if place else []
            yield rf"\multicolumn{{{len(kinds)}}}{{l}}{{\textit{{{escape(title)}}}}} \\"
        for row in rows:
            yield _line(row, kinds)
    yield from (r"\bottomrule", r"\end{tabular}")
    if sheet.notes:
        said = r" \\ ".join((rf"\textsuperscript{{{mark}}} " if mark else "") + escape(text) for mark, text in sheet.notes)
        yield from ("", r"\smallskip", rf"\parbox{{\linewidth}}{{\raggedright {said}}}")
    yield r"\end{table}"


def _columns(sheet: Sheet) -> tuple[list[str], bool]:
    """The columns of the tabular, and whether they are crowded: numbers to the right; long texts share what is left and break.

    The last column never breaks: in it the end of the row would be taken for the end of a line.
    """
    rows = [row for _, rows in sheet.sections for row in rows]
    heads = [max(min(len(row[place].text), STACK) for row in sheet.head) for place in range(len(sheet.head[0]))]
    widths = [
        max(heads[place], *(len(row[place].text) + len(row[place].marks) for row in rows)) + 3 for place in range(len(heads))
    ]
    usual = ["r" if numeric else "l" for numeric in sheet.numeric]
    breaking = [place for place, kind in enumerate(usual) if kind == "l" and place < len(usual) - 1]
    fixed = sum(width for place, width in enumerate(widths) if place not in breaking)
    if sum(widths) <= WIDTH or not breaking:
        return usual, fixed > WIDTH
    left = max(WIDTH - fixed, 15 * len(breaking))
    of_all = sum(widths[place] for place in breaking)
    for place in breaking:
        usual[place] = rf"p{{{min(widths[place], max(12, left * widths[place] / of_all)) / (WIDTH + 10):.2f}\linewidth}}"
    return usual, fixed > CROWDED


def _line(row: Row, kinds: Sequence[str]) -> str:
    cells = []
    for cell, kind in zip(row, kinds, strict=True):
        text = number(cell.text) if cell.number and cell.text != "undefined" else escape(cell.text)
        if kind.startswith("p"):
            text = r"\raggedright " + text.replace(r"\_", r"\_\allowbreak{}")
        cells.append(text + _marks(cell))
    return " & ".join(cells) + r" \\"


def _head(cell: Cell) -> str:
    """A cell of the header; a long name is stacked."""
    lines, line = [], ""
    for piece in re.findall(r"[^_ ,]*[_ ,]?", cell.text):
        if line and len(line) + len(piece) > STACK:
            lines.append(line)
            line = ""
        line += piece
    shown = [number(text) if cell.number else escape(text) for text in [*lines, line]]
    text = shown[0] if len(shown) == 1 else rf"\shortstack{{{(chr(92) * 2).join(shown)}}}"
    return text + _marks(cell)


def _marks(cell: Cell) -> str:
    marks = ",".join(r"\dag" if mark == "†" else mark for mark in cell.marks)
    return rf"\textsuperscript{{{marks}}}" if marks else ""
