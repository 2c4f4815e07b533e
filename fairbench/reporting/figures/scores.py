"""Scores beside their ideal, a row a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from fairbench.reporting.figures.forest import (
    MOST_ROWS,
    aside,
    keyed,
    number,
    remainder,
    row_labels,
    rowed,
    upright_ideal,
    whisker,
    within,
)
from fairbench.reporting.figures.style import COLOURS, FAINT, INK, PALE, text, titled
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


Standing = Literal["away", "holds", "no interval", "no ideal"]

UNJUDGED: tuple[Standing, ...] = ("no interval", "no ideal")

LOOKS: Mapping[Standing, tuple[str, str]] = {
    "away": (COLOURS[0], COLOURS[0]),
    "holds": (COLOURS[0], "white"),
    "no interval": (FAINT, "none"),
    "no ideal": (FAINT, PALE),
}
"""Edge and face of markers; what has no interval is a cross."""

SAID: Mapping[Standing, str] = {
    "away": "away from the ideal",
    "holds": "interval holds the ideal",
    "no interval": "no interval",
    "no ideal": "no ideal",
}
"""What the key calls them."""


def scores(rows: pd.DataFrame, ax: Axes, *, most: int = MOST_ROWS) -> Axes:
    """Scores on one scale with their intervals, and how they lie to their ideal.

    A score lies away from its ideal where its interval does not hold the ideal; such scores have a filled marker, those whose
    interval holds it a hollow one. Of a score without an interval neither is known: it has a grey cross.

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
        upright_ideal(ax, *ideals)
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


def standing(row: Mapping[str, Any]) -> Standing:
    """What is known of a score beside its ideal: whether its interval leaves it out, or why that can't be said."""
    found = away(row)
    if found is not None:
        return "away" if found else "holds"
    return "no interval" if number(row["low"]) is None or number(row["high"]) is None else "no ideal"


def _score(ax: Axes, y: float, row: Mapping[str, Any], own_ideal: bool) -> None:
    """One row: marker, whisker, what chance alone would give, and its ideal where rows have several."""
    value, ideal, floor = (number(row[name]) for name in ("value", "ideal", "floor"))
    if value is None:
        ax.text(0.01, y, "undefined", transform=ax.get_yaxis_transform(), va="center", fontsize=8, style="italic", color=FAINT)
        return
    whisker(ax, y, (number(row["low"]), number(row["high"])), COLOURS[0])
    edge, face = LOOKS[standing(row)]
    if standing(row) == "no interval":
        ax.plot([value], [y], "x", color=edge, markersize=6, markeredgewidth=1.6, zorder=3, gid="score")
        if row["limited"]:
            ax.plot([value], [y], "D", color=edge, markerfacecolor="none", markersize=8.5, zorder=3, gid="trial")
    else:
        ax.plot(
            [value], [y], "D" if row["limited"] else "o", color=edge, markerfacecolor=face, markersize=6, zorder=3, gid="score"
        )
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
    found = {standing(row) for row in defined}
    key = [sign("x" if one == "no interval" else "o", LOOKS[one][1], SAID[one], LOOKS[one][0]) for one in LOOKS if one in found]
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
        said.append(text(directions[0].replace("`", ""), 66, 2))  # words of the docs, which set names in backticks
    if levels:
        said.append(f"lines: {' and '.join(f'{100 * level:.4g} %' for level in levels)} intervals")
    return "\n".join(said)


def _said(rows: Sequence[Mapping[str, Any]]) -> str:
    """What is seen, counted over all rows."""
    trials = sum(bool(row["limited"]) for row in rows)
    return counted(rows, "score") + (f" ({trials} over some of the records only)" if trials else "")


def counted(rows: Sequence[Mapping[str, Any]], noun: str) -> str:
    """How many lie away from their ideal, and of how many that can't be said, in words.

    Args:
        rows: of the tidy table, one or more.
        noun: what a row is, in the singular.
    """
    defined = [standing(row) for row in rows if number(row["value"]) is not None]
    apart, holding = defined.count("away"), defined.count("holds")
    others = [f"{count} {'has' if count == 1 else 'have'} {one}" for one in UNJUDGED if (count := defined.count(one))]
    if undefined := len(rows) - len(defined):
        others.append(f"{undefined} {'is' if undefined == 1 else 'are'} undefined")
    if not apart + holding:
        none = "No " + noun + (" has an interval" if "no ideal" not in defined else " has both an interval and an ideal")
        return none + (f", {undefined} {'is' if undefined == 1 else 'are'} undefined" if undefined else "")
    verb, whose = ("lies", "its") if apart == 1 else ("lie", "their")
    if not others:
        return f"{apart} of {apart + holding} {noun}s {verb} away from {whose} ideal"
    said = [f"{apart} {verb} away from {whose} ideal"]
    said += [f"{holding} {'does' if holding == 1 else 'do'} not"] * (holding > 0)
    *first, last = [*said, *others]
    return f"Of {len(rows)} {noun}s {', '.join(first)} and {last}"
