"""The groups of one result beside each other and beside the whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fairbench.disparity.comparison import ALL_RECORDS
from fairbench.errors import FairbenchError
from fairbench.reporting.figures.forest import aside, keyed, number, rowed, upright_ideal, whisker, within
from fairbench.reporting.figures.scores import SAID, Standing, counted, scale, standing
from fairbench.reporting.figures.style import COLOURS, FAINT, INK, PALE, text, titled
from fairbench.tidy import GROUP, WHOLE, require_columns
from fairbench.wording import figure, n_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

NEEDED = ("file", "part", "group", "title", "direction", "value", "low", "high", "level", "ideal", "n", "n_total")

MOST_GROUPS = 25
"""Groups that are drawn: more would not fit on a screen."""

AWAY_HATCH, BARE_HATCH = "////", "...."
"""On bars whose interval leaves the ideal out, and on those without an interval: they are seen without colours too."""

LOOKS: Mapping[Standing, tuple[str, str]] = {
    "away": (COLOURS[1], AWAY_HATCH),
    "holds": (COLOURS[3], ""),
    "no interval": (PALE, BARE_HATCH),
    "no ideal": (COLOURS[3], ""),
}
"""Face and hatch of bars."""

WHOLE_LINE: dict[str, Any] = {"color": COLOURS[4], "linewidth": 1.4}
"""The look of the line of all records."""


def groups(rows: pd.DataFrame, ax: Axes, *, most: int = MOST_GROUPS) -> Axes:
    """Bars of the groups of one result, from the highest value to the lowest, with intervals and counts.

    The whole's value is a line. Of a disparity, which is made of the groups' figures and has another scale, it is said in words.
    Where groups were compared with all records, these stand apart in the first row and have a line: they are no group.

    Args:
        rows: of the tidy table: all of one result; those that are neither the whole nor a group are not looked at.
        ax: where to draw; its figure gets the height of the rows.
        most: groups to show: those furthest from the ideal, or without one the highest and the lowest. How many more there are is
            said.

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
    every = sorted((row for row in plain if row["part"] == GROUP and row["group"] != ALL_RECORDS), key=_falling)
    if not every:
        raise FairbenchError("There is no group in the rows. Wanted the rows of a result with groups; leave the figure out.")
    whole = next((row for row in plain if row["part"] == WHOLE), None)
    together = [row for row in plain if row["part"] == GROUP and row["group"] == ALL_RECORDS]
    kept, why = _kept(every, most)
    shown = [*together, *kept]
    places = rowed(ax, [text(row["group"] or "no name", 36) for row in shown])
    line, ideal = _lines(every, whole)
    made_of = _made_of(whole) if line is None else ""
    line = number(together[0]["value"]) if together else line
    within(ax, [0.0, line, ideal, *(number(row[name]) for row in shown for name in ("value", "low", "high"))])
    for y, row in zip(places, shown, strict=True):
        _bar(ax, y, row)
        aside(ax, y, n_text(int(row["n"]), int(row["n_total"])))
    aside(ax, None, "n")
    _draw_lines(ax, line, ideal)
    if together:
        ax.axhline((places[0] + places[1]) / 2, color=FAINT, linewidth=0.8, gid="apart")
    ax.set_xlabel("\n".join(filter(None, [scale(shown), made_of, why])))
    keyed(ax, _key(kept, line))
    return titled(ax, _said(every))


def _kept(rows: Sequence[Mapping[str, Any]], most: int) -> tuple[list[Mapping[str, Any]], str]:
    """The groups that are drawn, in their order, and what is said of the others."""
    left = len(rows) - most
    if left <= 0:
        return list(rows), ""
    if not any(number(row["ideal"]) is not None for row in rows):
        top = (most + 1) // 2
        defined = [row for row in rows if number(row["value"]) is not None]
        if len(defined) <= most:
            return list(rows[:most]), f"and {left} more in the table"
        return [
            *defined[:top],
            *defined[len(defined) - (most - top) :],
        ], f"the {top} highest and the {most - top} lowest; and {left} more in the table"
    near = sorted(range(len(rows)), key=lambda i: (-_distance(rows[i]), i))
    return [rows[i] for i in sorted(near[:most])], f"the {most} furthest from the ideal; and {left} more in the table"


def _distance(row: Mapping[str, Any]) -> float:
    """How far a group lies from its ideal; -1 where that is not known."""
    value, ideal = number(row["value"]), number(row["ideal"])
    return -1.0 if value is None or ideal is None else abs(value - ideal)


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
    face, pattern = LOOKS[standing(row)] if row["group"] != ALL_RECORDS else ("white", "")
    ax.barh([y], [value], height=0.17, color=face, edgecolor=INK, linewidth=0.6, hatch=pattern, zorder=1.2, gid="group")
    whisker(ax, y, (number(row["low"]), number(row["high"])))


def _draw_lines(ax: Axes, line: float | None, ideal: float | None) -> None:
    """The ideal dashed, the whole in one stroke, which the key names: beside the ideal there may be no room."""
    if ideal is not None:
        upright_ideal(ax, ideal)
    if line is not None and math.isfinite(line):
        ax.axvline(line, zorder=1.6, gid="whole", **WHOLE_LINE)


def _made_of(whole: Mapping[str, Any] | None) -> str:
    """The score of a disparity in words, where no line can show it."""
    value = None if whole is None else number(whole["value"])
    if whole is None or value is None:
        return ""
    low, high = number(whole["low"]), number(whole["high"])
    between = f" [{figure(low)}, {figure(high)}]" if low is not None and high is not None else ", without an interval"
    return f"bars: what is compared; the score made of them is {figure(value)}{between}"


def _key(rows: Sequence[Mapping[str, Any]], line: float | None) -> list[Artist]:
    """What the line and the bars' patterns mean; without an ideal the plain bar says nothing of one."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    found = {standing(row) for row in rows if number(row["value"]) is not None} - {"no ideal"}
    key: list[Artist] = [
        Patch(facecolor=face, edgecolor=INK, linewidth=0.6, hatch=pattern, label=SAID[one])
        for one, (face, pattern) in LOOKS.items()
        if one in found
    ]
    if line is not None and math.isfinite(line):
        key.append(Line2D([], [], label=f"{ALL_RECORDS}: {figure(line)}", **WHOLE_LINE))
    return key


def _said(rows: Sequence[Mapping[str, Any]]) -> str:
    """What is seen: how many groups lie away from the ideal and which one most; without an ideal, the highest and the lowest."""
    defined = [row for row in rows if number(row["value"]) is not None]
    if not defined:
        return f"None of {len(rows)} groups has a value"
    apart = [row for row in defined if number(row["ideal"]) is not None]
    if apart:
        furthest = max(map(_distance, apart))
        if furthest == 0:
            alike = f"all {len(apart)} lie at the ideal" if len(apart) > 1 else "its value is the ideal"
            return f"{counted(rows, 'group')}; {alike}"
        ends = [row for row in apart if math.isclose(_distance(row), furthest, rel_tol=1e-9)]
        return f"{counted(rows, 'group')}; furthest {'is' if len(ends) == 1 else 'are'} {_named(ends)}"
    undefined = f"; {len(rows) - len(defined)} undefined" if len(defined) < len(rows) else ""
    if len(defined) == 1:
        return f"Only {_named(defined)} has a value{undefined}"
    highest, lowest = ([row for row in defined if row["value"] == defined[i]["value"]] for i in (0, -1))
    if len(highest) == len(defined):
        return f"All {len(defined)} groups have the same value ({figure(float(defined[0]['value']))}){undefined}"
    verbs = ["is" if len(ends) == 1 else "are" for ends in (highest, lowest)]
    return f"Of {len(defined)} groups {_named(highest)} {verbs[0]} highest, {_named(lowest)} {verbs[1]} lowest{undefined}"


def _named(rows: Sequence[Mapping[str, Any]]) -> str:
    """Up to two groups with their values, or how many there are."""
    if len(rows) > 2:
        return f"{len(rows)} groups" + (
            f" ({figure(float(rows[0]['value']))})" if len({row["value"] for row in rows}) == 1 else ""
        )
    return " and ".join(f"{text(row['group'] or 'no name', 30, 1)} ({figure(float(row['value']))})" for row in rows)
