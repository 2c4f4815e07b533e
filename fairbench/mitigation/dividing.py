"""A .txt file as many documents: where it is marked, else at blank lines, else line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

from fairbench.corpora import Divided, decoded
from fairbench.errors import FairbenchError

END_MARK = "<|endoftext|>"
AT_MARKS, AT_BLANKS, AT_LINES = f"at {END_MARK}", "at blank lines", "line by line"

LONGEST = 100_000_000
"""Characters of a line at most: more is no text, and would fill the memory."""

_PARTS: dict[str, Callable[[str], list[str]]] = {
    AT_MARKS: lambda line: line.split(END_MARK),
    AT_BLANKS: lambda line: ["", ""] if line.isspace() else [line],
    AT_LINES: lambda line: [line, ""],
}
"""What of a line belongs to the document that is being read, and what to those after it."""


def divide(path: Path) -> Divided:
    """Finds how a file falls into documents: at END_MARK if that stands in it, else at blank lines between text, else at lines.

    Args:
        path: a .txt file, UTF-8; it is read once for this.

    Returns:
        The way (AT_MARKS, AT_BLANKS or AT_LINES), and what reads the documents anew: every line end is a line feed in them, and
        none stands around them. White space alone is no document.

    Raises:
        FairbenchError: it is not UTF-8, holds null bytes, or has a line beyond LONGEST.
    """
    way = _way(path)
    return way, partial(_documents, path, way)


def _way(path: Path) -> str:
    begun = blank = apart = False
    for line in _lines(path):
        if END_MARK in line:
            return AT_MARKS
        if line.isspace():
            blank = begun
        else:
            apart = apart or blank  # blank lines before the first text or behind the last divide nothing
            begun, blank = True, False
    return AT_BLANKS if apart else AT_LINES


def _documents(path: Path, way: str) -> Iterator[str]:
    kept: list[str] = []
    for first, *rest in chain(map(_PARTS[way], _lines(path)), [["", ""]]):
        kept.append(first)
        for part in rest:
            text = "".join(kept)
            if text and not text.isspace():
                yield text.strip("\n")
            kept = [part]


def _lines(path: Path) -> Iterator[str]:
    with decoded(path) as file:
        for n, line in enumerate(iter(lambda: file.readline(LONGEST + 1), ""), 1):
            if "\0" in line:
                raise FairbenchError(
                    f"The file {path} of the corpus holds null bytes (line {n}): it is UTF-16, or no text. Convert it to UTF-8, "
                    "or leave it out."
                )
            if len(line) > LONGEST:
                raise FairbenchError(
                    f"The file {path} of the corpus has a line of more than {LONGEST:,} characters (line {n}). Break it where "
                    "its documents end."
                )
            yield line
