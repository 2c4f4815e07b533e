"""Scores beside their ideal, a row a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fairbench.reporting.figures.forest import MOST_ROWS, aside, keyed, number, remainder, row_labels, rowed, whisker, within
from fairbench.reporting.figures.style import COLOURS, FAINT, INK, ideal_line, text, titled
from fairbench.tidy import require_columns
from fairbench.wording import n_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

NEEDED = (
    *("model", "task", "metric", "variant", "column", "title", "direction", "value", "low", "high", "level"),
    *("ideal", "floor", "n", "n_total", "limited"),
)


def scores(rows: pd.DataFrame, ax: Axes, *, most: int = MOST_ROWS) -> Axes:
    """Scores on one scale with their intervals, and how they lie to their ideal.

    A score lies away from its ideal where its interval does not hold the ideal; such scores have a filled marker.

    Args:
        rows: of the tidy table, all on one scale: a metric of several models, or several tests of one metric.
        ax: where to draw; its figure gets the height of the rows.
        most: rows to show; how many more there are is said.

    Returns:
        The Axes. The title counts all rows.

    Raises:
        FairbenchError: a column of the tidy table is absent.
    """
    require_columns(rows, NEEDED)
    every: list[dict[str, Any]] = [{str(k): v for k, v in row.items()} for row in rows.to_dict("records")]
    shown = every[:most]
    labels, shared = row_labels(shown)
    places = rowed(ax, labels)
    ideals = {ideal for row in every if (ideal := number(row["ideal"])) is not None}
    within(ax, [number(row[name]) for row in shown for name in ("value", "low", "high", "ideal", "floor")])
    if len(ideals) == 1:
        ideal_line(ax, *ideals)
    for y, row in zip(places, shown, strict=True):
        _score(ax, y, row, own_ideal=len(ideals) > 1)
        aside(ax, y, n_text(int(row["n"]), int(row["n_total"])))
    aside(ax, None, "n")
    ax.set_xlabel("\n".join(filter(None, [scale(every), shared])) + remainder(len(every), len(shown)))
    keyed(ax, _key(shown))
    return titled(ax, _said(every))


def away(row: Mapping[str, Any]) -> bool | None:
    """Whether a score's interval leaves its ideal out; null where it has no interval or no ideal."""
    low, high, ideal = (number(row[name]) for name in ("low", "high", "ideal"))
    return None if low is None or high is None or ideal is None else not low <= ideal <= high


def _score(ax: Axes, y: float, row: Mapping[str, Any], own_ideal: bool) -> None:
    """One row: marker, whisker, what chance alone would give, and its ideal where rows have several."""
    value, ideal, floor = (number(row[name]) for name in ("value", "ideal", "floor"))
    if value is None:
        ax.text(0.01, y, "undefined", transform=ax.get_yaxis_transform(), va="center", fontsize=8, style="italic", color=FAINT)
        return
    whisker(ax, y, (number(row["low"]), number(row["high"])), COLOURS[0])
    shape, face = ("D" if row["limited"] else "o"), (COLOURS[0] if away(row) else "white")
    ax.plot([value], [y], shape, color=COLOURS[0], markerfacecolor=face, markersize=6, zorder=3, gid="score")
    if floor is not None:
        ax.plot([floor], [y], "|", color=COLOURS[4], markersize=11, markeredgewidth=1.8, zorder=2.5, gid="floor")
    if own_ideal and ideal is not None:
        ax.plot([ideal, ideal], [y - 0.13, y + 0.13], color=INK, linestyle=(0, (4, 3)), linewidth=1.1, zorder=1.5, gid="ideal")


def _key(rows: Sequence[Mapping[str, Any]]) -> list[Artist]:
    """Which marker means what, as far as it occurs."""
    from matplotlib.lines import Line2D

    def sign(shape: str, face: str, label: str, edge: str = COLOURS[0]) -> Artist:
        return Line2D([], [], linestyle="none", marker=shape, color=edge, markerfacecolor=face, markersize=6, label=label)

    defined = [row for row in rows if number(row["value"]) is not None]
    key = []
    if any(away(row) for row in defined):
        key.append(sign("o", COLOURS[0], "away from the ideal"))
    if not all(away(row) for row in defined):
        key.append(
            sign(
                "o",
                "white",
                "interval holds the ideal" if all(away(r) is not None for r in defined) else "holds the ideal, or no interval",
            )
        )
    if any(row["limited"] for row in rows):
        key.append(sign("D", "none", "trial over some records"))
    if any(number(row["floor"]) is not None for row in defined):
        key.append(sign("|", "none", "by chance alone", COLOURS[4]))
    return key


def scale(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the axis is, what a larger value means, and how sure the intervals are: as far as the rows agree on it."""
    levels = sorted({level for row in rows if (level := number(row["level"])) is not None})
    titles, directions = (list(dict.fromkeys(str(row[name]) for row in rows)) for name in ("title", "direction"))
    said = [text(titles[0], 66, 2) if len(titles) == 1 else "score"]
    if len(directions) == 1:
        said.append(text(directions[0], 66, 2))
    if levels:
        said.append(f"lines: {' and '.join(f'{100 * level:.4g} %' for level in levels)} intervals")
    return "\n".join(said)


def _said(rows: Sequence[Mapping[str, Any]]) -> str:
    """What is seen, counted over all rows."""
    judged = [found for row in rows if number(row["value"]) is not None and (found := away(row)) is not None]
    undefined = sum(number(row["value"]) is None for row in rows)
    bare = len(rows) - undefined - len(judged)
    said = [f"{sum(judged)} of {len(judged)} scores lie away from their ideal" if judged else "No score has an interval"]
    said += [f"{bare} without an interval"] * (judged != [] and bare > 0) + [f"{undefined} undefined"] * (undefined > 0)
    trials = sum(bool(row["limited"]) for row in rows)
    return ", ".join(said) + (f" ({trials} over some of the records only)" if trials else "")
