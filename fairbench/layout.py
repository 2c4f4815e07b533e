"""Rows of text as aligned columns. A word never breaks: text wraps between words, or stands beneath its row."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Sequence

from rich.cells import cell_len

GAP = 2
"""Spaces between columns."""

NARROWEST = 30
"""A column of prose that would get less room than this stands beneath its row."""


def lay_out(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[str] = (),
    prose: str = "",
    width: int | None = None,
) -> Iterator[list[str]]:
    """The lines of the header, and then of each row.

    Args:
        header: names of the columns.
        rows: a text for every column.
        right: columns that are set right; they and the first column never wrap.
        prose: the last column, where it may stand beneath its row if there is no room beside it.
        width: of a line; no limit where null. What can't wrap goes over it.

    Example:
        >>> [line for lines in lay_out(["a", "b"], [["one", "two three"]], width=10) for line in lines]
        ['a    b', 'one  two', '     three']
    """
    cells = [list(header), *map(list, rows)]
    natural = [max(cell_len(row[i]) for row in cells) for i in range(len(header))]
    fixed = [i == 0 or name in right for i, name in enumerate(header)]
    least = [
        n if stays else max(_longest_word(row[i]) for row in cells)
        for i, (n, stays) in enumerate(zip(natural, fixed, strict=True))
    ]
    if prose:
        least[-1] = min(natural[-1], max(least[-1], NARROWEST))
    room = None if width is None else width - GAP * (len(header) - 1)
    beneath = bool(prose) and room is not None and sum(least) > room
    if beneath and room is not None:
        natural, least, room = natural[:-1], least[:-1], room + GAP
    widths = natural if room is None else _fitted(natural, least, room)
    for row in cells:
        yield [
            *_row(row[: len(widths)], widths, [name in right for name in header]),
            *(_wrapped(row[-1], (width or 0) - 2 * GAP, " " * 2 * GAP) if beneath else ()),
        ]


def _fitted(natural: list[int], least: list[int], room: int) -> list[int]:
    """Widths that come to the room where that can be: the widest column that may still shrink gives way first."""
    widths = list(natural)
    while sum(widths) > room:
        loose = [i for i, (w, low) in enumerate(zip(widths, least, strict=True)) if w > low]
        if not loose:
            break
        widths[max(loose, key=lambda i: widths[i])] -= 1
    return widths


def _row(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> Iterator[str]:
    """The lines of one row."""
    wrapped = [_wrapped(text, width) for text, width in zip(row, widths, strict=True)]
    for number in range(max(map(len, wrapped))):
        texts = [lines[number] if number < len(lines) else "" for lines in wrapped]
        spaces = [" " * (width - cell_len(text)) for text, width in zip(texts, widths, strict=True)]
        joined = (gap + text if to_right else text + gap for text, gap, to_right in zip(texts, spaces, right, strict=False))
        yield (" " * GAP).join(joined).rstrip()


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    if cell_len(text) <= width:
        return [indent + text]
    lines = textwrap.wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False)
    return [indent + line for line in lines]


def _longest_word(text: str) -> int:
    return max((cell_len(word) for word in text.split()), default=0)
