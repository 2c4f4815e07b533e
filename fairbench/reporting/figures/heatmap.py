"""All scores of some models at a glance: how far each lies from its ideal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.reporting.figures.forest import MOST_ROWS, aside, number, rowed
from fairbench.reporting.figures.style import FAINT, sheet, text, titled
from fairbench.tidy import require_columns
from fairbench.wording import figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.colors import Colormap
    from numpy.typing import NDArray

STEPS = 47
"""Of a colour map, odd so that one of them is its middle; of 49 or more matplotlib makes a picture."""

NEEDED = ("model", "task", "metric", "variant", "column", "value", "distance", "ideal", "least", "most")

MOST_MODELS = 16
"""Models that are shown: with more of them no number fits into its cell."""

ASLANT = 28
"""Letters that a name above a column may have."""

COLOUR_MAP = "cividis_r"
"""From light (at the ideal) to dark: monotone in lightness, so it is read the same way in grey."""


def heatmap(rows: pd.DataFrame, ax: Axes, *, most: int = MOST_ROWS, most_models: int = MOST_MODELS) -> Axes:
    """Models beside metrics; each cell holds the value, and is the darker the further it lies from the ideal.

    Distances are shares of the largest distance that the metric can have; where it has no bound, of the largest in its row. A
    hatched cell is undefined, an empty one was not scored; a number without colour has no ideal, or nothing to be compared with.

    Args:
        rows: of the tidy table, one for each model and column; columns without an ideal have no colour.
        ax: where to draw; its figure gets the height of the rows.
        most: columns of the tidy table to show, each of them a row here.
        most_models: models to show. How many more there are of either is said.

    Returns:
        The Axes. The title counts all rows.

    Raises:
        FairbenchError: a column of the tidy table is absent, or there is no row.
    """
    require_columns(rows, NEEDED)
    every: list[dict[str, Any]] = [{str(k): v for k, v in row.items()} for row in rows.to_dict("records")]
    cells = {(row["column"], row["model"]): row for row in every}
    columns, models = (list(dict.fromkeys(row[name] for row in every)) for name in ("column", "model"))
    reaches = {column: _reach([row for row in every if row["column"] == column]) for column in columns}
    shown, beside = columns[:most], models[:most_models]
    shares = np.array([[_share(cells.get((c, m)), reaches[c][0]) for m in beside] for c in shown], dtype=float)
    labels = [_label(cells, column, models) + ("" if reaches[column][1] else " †") for column in shown]
    places = rowed(ax, labels)
    colour_cells(ax, shares, places, {"cmap": shades(), "vmin": 0.0, "vmax": 1.0})
    for y, column in zip(places, shown, strict=True):
        ideal = next((number(row["ideal"]) for (c, _), row in cells.items() if c == column), None)
        aside(ax, y, figure(ideal))
    room = 7 if len(beside) <= 8 else 5
    written = [[_written(cells.get((column, model)), room) for model in beside] for column in shown]
    write_cells(ax, places, written, shares)
    name_columns(ax, [str(model) for model in beside])
    aside(ax, None, "ideal")
    _explain(ax, any(not reaches[column][1] for column in shown))
    ax.set_xlabel(_remainders(len(columns) - len(shown), len(models) - len(beside)))
    return titled(ax, _said(every, reaches))


def shades() -> Colormap:
    """The colours, in so few steps that their bar is drawn as shapes: not every page lets a drawing hold pictures."""
    import matplotlib as mpl

    return mpl.colormaps[COLOUR_MAP].resampled(STEPS)


def reach(ideal: float, least: float, most: float) -> float | None:
    """The largest distance from its ideal that a metric can have; null where it has no bound."""
    furthest = max(most - ideal, ideal - least)
    return furthest if math.isfinite(furthest) and furthest > 0 else None


def ink_on(colour: Any) -> str:
    """Black or white, whichever is read better on a colour: the contrast is never below 4.5 : 1.

    Args:
        colour: red, green and blue in [0, 1].

    Source: relative luminance and contrast ratio of WCAG 2.2.
    """
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in colour[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else "#FFFFFF"


def colour_cells(ax: Axes, shades: NDArray[np.float64], places: Sequence[float], options: Mapping[str, Any]) -> None:
    """Coloured cells, a row at each place, with white between them; NaN gives a cell without colour."""
    edges = np.array([0.0, *(2 * np.cumsum(_halves(places)))])
    across = np.arange(shades.shape[1] + 1) - 0.5
    ax.grid(visible=False)
    ax.pcolormesh(across, edges, np.ma.masked_invalid(shades), edgecolors="white", linewidth=1.0, **options).set_gid("cells")
    ax.set_xlim(-0.5, shades.shape[1] - 0.5)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _halves(places: Sequence[float]) -> list[float]:
    """Half the height of each row: rows lie one under the other from 0."""
    halves: list[float] = []
    for place in places:
        halves.append(place - 2 * sum(halves))
    return halves


def write_cells(ax: Axes, places: Sequence[float], words: Sequence[Sequence[str | None]], shades: NDArray[np.float64]) -> None:
    """What stands in the cells: black or white after the colour below it. Null hatches the cell: undefined."""
    from matplotlib.patches import Rectangle

    mesh = ax.collections[0]
    longest = max((len(part) for line in words for word in line for part in (word or "").split("\n")), default=1) or 1
    wide = 72 * max(sheet(ax).get_figwidth() - 3.4, 1.5) / shades.shape[1]  # points that a cell has, about
    size = min(8.0, wide / (0.66 * longest))
    for y, half, line, row in zip(places, _halves(places), words, shades, strict=True):
        for x, (word, shade) in enumerate(zip(line, row, strict=True)):
            if word is None:
                box = Rectangle((x - 0.5, y - half), 1, 2 * half, fill=False, hatch="////", edgecolor=FAINT, linewidth=0)
                box.set_gid("undefined")
                ax.add_patch(box)
                continue
            ink = "#000000" if math.isnan(shade) else ink_on(mesh.cmap(mesh.norm(shade)))
            ax.text(x, y, word, ha="center", va="center", fontsize=size, color=ink, gid="cell")


def name_columns(ax: Axes, names: Sequence[str], *, room: int = ASLANT) -> None:
    """Names above the columns: level where they are few, else aslant.

    Args:
        ax: with the cells.
        names: one a column.
        room: letters that a name aslant may have.
    """
    ax.xaxis.tick_top()
    ax.tick_params(axis="x", length=0)
    few = len(names) <= 4
    width, lines = (64 // len(names), 3) if few else (room, 1)
    ax.set_xticks(range(len(names)), told_apart(names, width, lines))
    if not few:
        for label in ax.get_xticklabels():
            label.set(rotation=40, ha="left", rotation_mode="anchor")


def told_apart(names: Sequence[str], width: int, lines: int = 1) -> list[str]:
    """Names that are short enough to be drawn, and differ where the whole names do.

    Args:
        names: to be cut.
        width: letters a line.
        lines: how many there may be.

    Returns:
        A label for each. Where cutting makes different names alike, their common beginning is left out; where that is not
        enough they are numbered.
    """
    labels = [text(name, width, lines) or "no name" for name in names]
    for label in [one for one, count in Counter(labels).items() if count > 1]:
        alike = [i for i, one in enumerate(labels) if one == label]
        whole = list(dict.fromkeys(names[i] for i in alike))
        if len(whole) == 1:
            continue
        shortest = min(len(name) for name in whole)
        same = max(next((i for i in range(shortest) if len({name[i] for name in whole}) > 1), shortest) - 4, 0)
        begun = [text("…" * (same > 0) + name[same:], width, lines) for name in whole]
        clear = len(set(begun)) == len(begun) and not set(begun) & set(labels)
        for i in alike:
            number = whole.index(names[i])
            labels[i] = begun[number] if clear else f"{text(names[i], max(width - 4, 4), lines) or 'no name'} ({number + 1})"
    return labels


def colour_bar(ax: Axes) -> Colorbar:
    """The bar of the colours, a little below the cells."""
    figure = sheet(ax)
    below = 0.25 / figure.get_figheight()
    bar = figure.colorbar(ax.collections[0], ax=ax, location="bottom", aspect=40, shrink=0.7, pad=below, fraction=0.05)
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set_edgecolor("face")  # else the paper shines through between the steps
    return bar


def _reach(rows: Sequence[Mapping[str, Any]]) -> tuple[float, bool]:
    """What distances of a column are divided by, and whether that is the metric's own bound."""
    for row in rows:
        ideal, least, most = (number(row[name]) for name in ("ideal", "least", "most"))
        if ideal is not None and least is not None and most is not None and (own := reach(ideal, least, most)) is not None:
            return own, True
    seen = [distance for row in rows if (distance := number(row["distance"])) is not None and math.isfinite(distance)]
    return (max(seen) or 1.0 if len(seen) > 1 else math.nan), False  # one score alone is neither near nor far


def _share(row: Mapping[str, Any] | None, by: float) -> float:
    distance = None if row is None else number(row["distance"])
    return math.nan if distance is None else distance / by


def _label(cells: Mapping[tuple[Any, Any], Mapping[str, Any]], column: object, models: Sequence[object]) -> str:
    row = next(cells[column, model] for model in models if (column, model) in cells)
    moved = str(row["variant"]).replace(",", ", ")
    return "\n".join(text(part, 36, 2) for part in (f"{row['task']} {row['metric']}", moved) if part)


def _written(row: Mapping[str, Any] | None, room: int) -> str | None:
    """The value of a cell; empty where the model was not scored, null where the score is undefined."""
    if row is None:
        return ""
    value = number(row["value"])
    return None if value is None else _short(value, room)


def _short(value: float, room: int) -> str:
    """A number of up to three figures in so many letters, without its sign; as many figures as there is room for."""
    for shape in (".3g", ".2g", ".1g"):
        said = f"{value:{shape}}".replace("e-0", "e-").replace("e+0", "e")
        if len(said.lstrip("-")) <= room:
            return said
    return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")


def _explain(ax: Axes, unbounded: bool) -> None:
    """The bar of the colours, below the cells."""
    bar = colour_bar(ax)
    own = "distance from the ideal, as a share of the largest that the metric can have"
    bar.set_label(
        own + ("\n† no bound is known: as a share of the largest in the row, where there are several" if unbounded else ""),
        fontsize=8.5,
    )


def _remainders(columns: int, models: int) -> str:
    left = [f"{count} more {word}" for count, word in ((columns, "rows"), (models, "models")) if count]
    return f"and {' and '.join(left)} in the table" if left else ""


def _said(rows: Sequence[Mapping[str, Any]], reaches: Mapping[Any, tuple[float, bool]]) -> str:
    """What is seen, counted over all rows."""
    shares = [_share(row, reaches[row["column"]][0]) for row in rows if reaches[row["column"]][1]]
    bounded = [share for share in shares if not math.isnan(share)]
    undefined = sum(number(row["value"]) is None for row in rows)
    said = (
        f"{sum(share > 0.5 for share in bounded)} of {len(bounded)} scores lie more than half as far from their ideal as they can"
    )
    if not bounded:
        said = f"{len(rows)} scores of {len({row['model'] for row in rows})} models, none of which has a bound"
    return said + (f"; {undefined} undefined" if undefined else "")
