"""The groups of one result beside each other and beside the whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fairbench.errors import FairbenchError
from fairbench.reporting.figures.forest import MOST_ROWS, aside, keyed, number, remainder, rowed, whisker, within
from fairbench.reporting.figures.scores import away, scale
from fairbench.reporting.figures.style import COLOURS, FAINT, INK, ideal_line, text, titled
from fairbench.tidy import GROUP, WHOLE, require_columns
from fairbench.wording import figure, n_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

NEEDED = ("file", "part", "group", "title", "direction", "value", "low", "high", "level", "ideal", "n", "n_total")

AWAY_HATCH = "////"
"""On bars whose interval leaves the ideal out: it is seen without colours too."""


def groups(rows: pd.DataFrame, ax: Axes, *, most: int = MOST_ROWS) -> Axes:
    """Bars of the groups of one result, from the highest value to the lowest, with intervals and counts.

    The whole's value is a line. Of a disparity, which is made of the groups' figures and has another scale, it is said in words.

    Args:
        rows: of the tidy table: all of one result; those that are neither the whole nor a group are not looked at.
        ax: where to draw; its figure gets the height of the rows.
        most: groups to show; how many more there are is said.

    Returns:
        The Axes. The title counts all groups.

    Raises:
        FairbenchError: a column is absent, the rows are of several results, or there is no group.
    """
    require_columns(rows, NEEDED)
    if rows["file"].nunique() > 1:
        raise FairbenchError(
            f"The rows are of {rows['file'].nunique()} results. Wanted those of one: choose a `file` of the table."
        )
    plain: list[dict[str, Any]] = [{str(k): v for k, v in row.items()} for row in rows.to_dict("records")]
    every = sorted((row for row in plain if row["part"] == GROUP), key=_falling)
    if not every:
        raise FairbenchError("There is no group in the rows. Wanted the rows of a result with groups; leave the figure out.")
    whole = next((row for row in plain if row["part"] == WHOLE), None)
    shown = every[:most]
    places = rowed(ax, [text(row["group"] or "no name", 36) for row in shown])
    line, ideal = _lines(every, whole)
    within(ax, [0.0, line, ideal, *(number(row[name]) for row in shown for name in ("value", "low", "high"))])
    for y, row in zip(places, shown, strict=True):
        _bar(ax, y, row)
        aside(ax, y, n_text(int(row["n"]), int(row["n_total"])))
    aside(ax, None, "n")
    _draw_lines(ax, line, ideal)
    said = [scale(shown), _made_of(whole) if line is None else ""]
    ax.set_xlabel("\n".join(filter(None, said)) + remainder(len(every), len(shown)))
    keyed(ax, _key(shown))
    return titled(ax, _said(every))


def _falling(row: Mapping[str, Any]) -> tuple[float, str]:
    """From the highest value down, those without one last."""
    value = number(row["value"])
    return (math.inf if value is None else -value, str(row["group"]))


def _lines(rows: Sequence[Mapping[str, Any]], whole: Mapping[str, Any] | None) -> tuple[float | None, float | None]:
    """Where the line of the whole and that of the ideal stand; the figures that a disparity compares have neither."""
    ideals = {ideal for row in rows if (ideal := number(row["ideal"])) is not None}
    ideal = next(iter(ideals)) if len(ideals) == 1 else None
    one_scale = whole is not None and ideal is not None and number(whole["ideal"]) == ideal
    return (number(whole["value"]) if whole is not None and one_scale else None), ideal


def _bar(ax: Axes, y: float, row: Mapping[str, Any]) -> None:
    """One group: a bar from 0, hatched where the interval leaves the ideal out, and its interval."""
    value = number(row["value"])
    if value is None:
        ax.text(0.01, y, "undefined", transform=ax.get_yaxis_transform(), va="center", fontsize=8, style="italic", color=FAINT)
        return
    beyond = bool(away(row))
    face, pattern = (COLOURS[1], AWAY_HATCH) if beyond else (COLOURS[3], "")
    ax.barh([y], [value], height=0.17, color=face, edgecolor=INK, linewidth=0.6, hatch=pattern, zorder=1.2, gid="group")
    whisker(ax, y, (number(row["low"]), number(row["high"])))


def _draw_lines(ax: Axes, line: float | None, ideal: float | None) -> None:
    """The ideal dashed, the whole in one stroke; their names stand on the sides away from each other."""
    if ideal is not None:
        ideal_line(ax, ideal, side="center" if line is None else "right" if ideal > line else "left")
    if line is not None and math.isfinite(line):
        ax.axvline(line, color=COLOURS[4], linewidth=1.4, zorder=1.6, gid="whole")
        side = "right" if ideal is not None and ideal > line else "left"
        place: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "fontsize": 8}
        ax.annotate(f"all {figure(line)}", (line, 1.0), (0, 3), ha=side, color=COLOURS[4], annotation_clip=False, **place)


def _made_of(whole: Mapping[str, Any] | None) -> str:
    """The score of a disparity in words, where no line can show it."""
    value = None if whole is None else number(whole["value"])
    if whole is None or value is None:
        return ""
    low, high = number(whole["low"]), number(whole["high"])
    between = f" [{figure(low)}, {figure(high)}]" if low is not None and high is not None else ", without an interval"
    return f"bars: what is compared; the score made of them is {figure(value)}{between}"


def _key(rows: Sequence[Mapping[str, Any]]) -> list[Artist]:
    """What the bars' patterns mean, where groups have an ideal."""
    from matplotlib.patches import Patch

    found = {away(row) for row in rows if number(row["value"]) is not None}
    if found <= {None}:
        return []
    key: list[Artist] = []
    if True in found:
        key.append(Patch(facecolor=COLOURS[1], edgecolor=INK, linewidth=0.6, hatch=AWAY_HATCH, label="away from the ideal"))
    if found & {False, None}:
        held = "interval holds the ideal" if None not in found else "holds the ideal, or no interval"
        key.append(Patch(facecolor=COLOURS[3], edgecolor=INK, linewidth=0.6, label=held))
    return key


def _said(rows: Sequence[Mapping[str, Any]]) -> str:
    """What is seen: how many groups lie away from the ideal and which one most; without an ideal, the highest and the lowest."""
    defined = [row for row in rows if number(row["value"]) is not None]
    undefined = f"; {len(rows) - len(defined)} undefined" if len(defined) < len(rows) else ""
    if not defined:
        return f"None of {len(rows)} groups has a value"

    def named(row: Mapping[str, Any]) -> str:
        return f"{text(row['group'] or 'no name', 30, 1)} ({figure(float(row['value']))})"

    apart = [row for row in defined if number(row["ideal"]) is not None]
    if apart:
        furthest = max(apart, key=lambda row: abs(float(row["value"]) - float(row["ideal"])))
        judged = [found for row in apart if (found := away(row)) is not None]
        count = f"{sum(judged)} of {len(judged)} groups lie away from their ideal" if judged else "No group has an interval"
        bare = f"; {len(defined) - len(judged)} without an interval" if judged and len(judged) < len(defined) else ""
        return f"{count}; furthest is {named(furthest)}{bare}{undefined}"
    if len(defined) == 1:
        return f"Only {named(defined[0])} has a value{undefined}"
    return f"{named(defined[0])} is highest of {len(defined)} groups, {named(defined[-1])} lowest{undefined}"
