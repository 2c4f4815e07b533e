"""What figures with a row a thing have in common: names at the left, intervals as whiskers, counts at the right."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fairbench.errors import FairbenchError
from fairbench.reporting.figures.style import FAINT, INK, alone, ideal_line, sheet, tall, text

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

MOST_ROWS = 60
"""Rows that a figure shows; the others are in the table."""


def number(value: Any) -> float | None:
    """A figure of the tidy table, null where it is absent or no number."""
    return None if value is None or math.isnan(float(value)) else float(value)


def row_labels(rows: Sequence[Mapping[str, Any]], width: int = 36) -> tuple[list[str], str]:
    """What tells rows of the tidy table apart, and what they share.

    Args:
        rows: with their model, task, metric and variant.
        width: letters a line.

    Returns:
        A label for each row, of those of the four that differ between rows; and the model and the choices that all rows share, to
        be said once. Rows that differ in nothing are called by their model.
    """
    several = [name for name in ("model", "task", "metric", "variant") if len({row[name] for row in rows}) > 1] or ["model"]
    labels = []
    for row in rows:
        named = " ".join(str(row[name]) for name in ("task", "metric") if name in several)
        moved = str(row["variant"]).replace(",", ", ") if "variant" in several else ""
        parts = [str(row["model"]) if "model" in several else "", named, moved]
        labels.append("\n".join(text(part, width, 2) for part in parts if part) or "default")
    shared = [str(row[name]).replace(",", ", ") for row in rows[:1] for name in ("model", "variant") if name not in several]
    return labels, text(", ".join(one for one in shared if one), 2 * width, 2)


def rowed(ax: Axes, labels: Sequence[str], *, around: float = 0.1) -> list[float]:
    """Gives every label a row as high as its lines, the first at the top, and the figure the height for them.

    Args:
        ax: where.
        labels: one a row.
        around: inches between the lines of one row and of the next.

    Returns:
        Where on the axis each row stands.

    Raises:
        FairbenchError: there is no label.
    """
    if not labels:
        raise FairbenchError("There is nothing to draw: no rows were given. Wanted one or more; leave the figure out.")
    heights = [around + 0.16 * (label.count("\n") + 1) for label in labels]
    places = [sum(heights[:i]) + height / 2 for i, height in enumerate(heights)]
    tall(ax, sum(heights), each=1.0, around=1.7)
    ax.set_yticks(places, labels)
    ax.set_ylim(sum(heights), 0)
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
    ax.spines["left"].set_visible(False)
    return places


def whisker(ax: Axes, y: float, between: tuple[float | None, float | None], colour: str = INK) -> None:
    """An interval as a line with ends; none where there is no interval. An end without bound runs to the edge."""
    low, high = between
    if low is None or high is None:
        return
    left, right = ax.get_xlim()
    low, high = max(low, left) if low == -math.inf else low, min(high, right) if high == math.inf else high
    ax.plot([low, high], [y, y], color=colour, linewidth=1.4, marker="|", markersize=6, zorder=2, gid="interval")


def aside(ax: Axes, y: float | None, said: str) -> None:
    """Words right of a row, or where y is null the name of what stands there: at the end of the rows that has no ticks."""
    from matplotlib.transforms import ScaledTranslation

    if y is not None:
        moved = ScaledTranslation(8 / 72, 0, ax.figure.dpi_scale_trans)
        _beside(ax, y, said, {"transform": ax.get_yaxis_transform() + moved, "va": "center", "color": INK})
        return
    below = ax.xaxis.get_ticks_position() == "top"
    moved = ScaledTranslation(8 / 72, (-6 if below else 3) / 72, ax.figure.dpi_scale_trans)
    look = {"va": "top" if below else "bottom", "color": FAINT}
    _beside(ax, 0.0 if below else 1.0, said, {"transform": ax.transAxes + moved, **look})


def _beside(ax: Axes, y: float, said: str, look: Mapping[str, Any]) -> None:
    """Words at the right edge."""
    ax.text(1.0, y, said, fontsize=8, gid="aside", clip_on=False, **look)


def upright_ideal(ax: Axes, value: float) -> None:
    """The line of the ideal, its name left of it where it would else reach over the counts at the right.

    Args:
        ax: with its limits set.
        value: the ideal.
    """
    low, high = ax.get_xlim()
    ideal_line(ax, value, side="left" if value > low + 0.88 * (high - low) else "center")


def within(ax: Axes, numbers: Iterable[float | None]) -> None:
    """Makes the axis hold all finite numbers, with a little room around them."""
    finite = [one for one in numbers if one is not None and math.isfinite(one)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    room = 0.05 * (high - low) or 0.05 * abs(low) or 0.5
    ax.set_xlim(low - room, high + room)


def remainder(total: int, shown: int) -> str:
    """What is said of rows that are not shown, on a line of its own; empty where all are."""
    return f"\nand {total - shown} more in the table" if total > shown else ""


def key_width(ax: Axes, columns: int) -> int:
    """Letters that a name in the key may have, so that its columns fit below the figure."""
    return max(int(10.5 * sheet(ax).get_figwidth() / columns) - 9, 8)


def keyed(ax: Axes, handles: Sequence[Artist], columns: int = 3) -> None:
    """The key of a figure, below it."""
    figure = ax.figure
    if alone(ax):
        figure.legend(handles=list(handles), loc="outside lower left", ncols=columns)
    else:
        ax.legend(handles=list(handles), ncols=1)
