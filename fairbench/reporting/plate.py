"""A figure that is to be drawn: from what, and what is said under it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_OF_A_KIND = 8
"""A report draws at most so many figures of a kind, those with the most to show; the tables hold all."""

DESCRIBED = 12
"""Rows that the description of a figure names, for those who can't see it."""

WIDTH = 7.0
"""Inches: the text width of a page of paper."""


@dataclass(frozen=True)
class Plate:
    """A figure that is to be drawn.

    Attributes:
        name: of its files.
        section: of the page.
        draw: puts it on an Axes.
        caption: how it is read.
        described: what is seen, in words.
        subject: what it is of (task, metric, model): it goes before the title, so that a figure speaks for itself off the page.
        height: inches; some figures change it.
    """

    name: str
    section: str
    draw: Callable[[Axes], Axes]
    caption: str
    described: str
    subject: str = ""
    height: float = 3.6


def file_names(names: Iterable[str], empty: str) -> list[str]:
    """Names that are fit for files, no two the same.

    Args:
        names: any texts: of figures, of models.
        empty: what a text is called of which nothing is fit.
    """
    seen: dict[str, int] = {}
    found = []
    for name in names:
        fit = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name)[:80].strip("-.") or empty
        seen[fit] = seen.get(fit, 0) + 1
        found.append(fit if seen[fit] == 1 else f"{fit}-{seen[fit]}")
    return found
