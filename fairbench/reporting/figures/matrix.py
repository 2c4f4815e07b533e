"""Intrinsic scores against extrinsic ones: all correlations in a grid, and one of them as its points."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fairbench.errors import FairbenchError
from fairbench.reporting.figures.forest import MOST_ROWS, key_width, keyed, rowed
from fairbench.reporting.figures.heatmap import STEPS, colour_bar, colour_cells, name_columns, write_cells
from fairbench.reporting.figures.style import FAINT, INK, colour, marker, tall, text, titled

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

    from fairbench.comparison.correlation import Correlations, Pair

Measure = Literal["pearson", "spearman"]

SIGNIFICANT = 0.05
"""Below this q a correlation is marked."""

MOST_COLUMNS = 12
"""Extrinsic scores that are shown: with more of them no number fits into its cell."""

MOST_NAMED = 24
"""Models that the key of a scatter names."""

SHADES = ("#08306B", "#4A86C5", "#F7F7F7", "#D97B29", "#6B2200")
"""From -1 over 0 to 1: blue, white, orange. The stronger the darker on both sides; in grey the sign is read from the number."""

ASLANT = 34
"""Letters that the name of a column may have."""


def matrix(correlations: Correlations, ax: Axes, *, measure: Measure = "pearson", most: int = MOST_ROWS) -> Axes:
    """Correlations of intrinsic (rows) and extrinsic scores (columns) over models, with intervals.

    A star marks q < .05 (Benjamini and Hochberg, over all pairs of the call); a hatched cell is undefined, an empty one was not
    looked at.

    Args:
        correlations: from `fairbench.comparison.correlation`.
        ax: where to draw; its figure gets the height of the rows.
        measure: Pearson's or Spearman's.
        most: intrinsic scores to show. How many more there are, and more extrinsic ones than MOST_COLUMNS, is said.

    Returns:
        The Axes. The title counts all pairs.

    Raises:
        FairbenchError: there is no pair.
    """
    if not correlations.pairs:
        raise FairbenchError("There is nothing to draw: no pair of an intrinsic and an extrinsic score. Leave the figure out.")
    pairs: dict[tuple[str, str], Pair] = {}
    for pair in correlations.pairs:
        pairs.setdefault((pair.intrinsic, pair.extrinsic), pair)
    down, across = (list(dict.fromkeys(names)) for names in zip(*pairs, strict=True))
    shown, beside = down[:most], across[:MOST_COLUMNS]
    places = rowed(ax, [_wrapped(name, 36) for name in shown], around=0.3)
    strengths = [[_value(pairs.get((i, e)), measure) for e in beside] for i in shown]
    shades = np.array([[math.nan if r is None else r for r in row] for row in strengths], dtype=float)
    colour_cells(ax, shades, places, {"cmap": correlation_colours(), "vmin": -1.0, "vmax": 1.0})
    with_interval = len(beside) <= 7
    write_cells(ax, places, [[_written(pairs.get((i, e)), measure, with_interval) for e in beside] for i in shown], shades)
    name_columns(ax, column_names(beside), room=ASLANT)
    left = [
        f"{n} more {side}" for n, side in ((len(down) - len(shown), "intrinsic"), (len(across) - len(beside), "extrinsic")) if n
    ]
    ax.set_xlabel(f"and {' and '.join(left)} scores in the table" if left else "")
    _explain(ax, correlations, measure, [pairs[i, e] for i in shown for e in beside if with_interval and (i, e) in pairs])
    return titled(ax, _said(correlations, measure))


def scatter(pair: Pair, ax: Axes, *, measure: Measure = "pearson") -> Axes:
    """The models that one correlation is over: a point each, named in a key below.

    Args:
        pair: of `Correlations.pairs`.
        ax: where to draw; its figure gets the height of the key.
        measure: Pearson's or Spearman's.

    Returns:
        The Axes.

    Raises:
        FairbenchError: the pair holds no points.
    """
    if not pair.x:
        raise FairbenchError(
            f"There is nothing to draw: {pair.intrinsic} and {pair.extrinsic} hold no points. Leave the figure out."
        )
    from matplotlib.lines import Line2D

    key: list[Artist] = []
    for i, (x, y, label) in enumerate(zip(pair.x, pair.y, pair.labels, strict=True)):
        named = i < MOST_NAMED
        look: dict[str, Any] = {"marker": marker(i) if named else ".", "color": colour(i) if named else FAINT}
        look |= {"linestyle": "none", "markersize": 7.5, "markeredgecolor": INK, "markeredgewidth": 0.6}
        ax.plot([x], [y], gid="model", zorder=3, **look)
        if named:
            key.append(Line2D([], [], label=text(label, key_width(ax, 2), 1) or "no name", **look))
    more = len(pair.x) - len(key)
    if more > 0:
        key.append(Line2D([], [], linestyle="none", marker=".", color=FAINT, label=f"and {more} more in the table"))
    ax.margins(0.08)
    ax.set_xlabel(f"intrinsic: {_wrapped(pair.intrinsic, 60)}\n(larger is more biased)")
    ax.set_ylabel(f"extrinsic: {_wrapped(pair.extrinsic, 36)}\n(larger is more biased)")
    tall(ax, math.ceil(len(key) / 2), each=0.2, around=4.4)
    keyed(ax, key, columns=2)
    return titled(ax, _seen(pair, measure))


def correlation_colours() -> Colormap:
    """The colours from -1 to 1 (`SHADES`)."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("correlation", SHADES, N=STEPS)


def _value(pair: Pair | None, measure: Measure) -> float | None:
    return None if pair is None else getattr(pair, measure)


def _interval(pair: Pair, measure: Measure) -> tuple[float, float] | None:
    low, high = getattr(pair, f"{measure}_low"), getattr(pair, f"{measure}_high")
    return None if low is None or high is None else (low, high)


def _spaced(name: str) -> str:
    """The name of a column, with places where it can be wrapped."""
    return name.replace("/", " ", 1).replace("@", " @ ").replace(",", ", ")


def column_names(names: Sequence[str]) -> list[str]:
    """What columns are called: the metric is kept whole where it fits, task and variant lose their middle.

    Args:
        names: columns of the tidy table, `task/metric@variant`.

    Returns:
        A name for each; whole where there are few enough to be wrapped, or where cutting would make two of them alike.
    """
    whole = [_spaced(name) for name in names]
    if len(names) <= 4:
        return whole
    cut = [_shortened(name) for name in names]
    again = Counter(cut)
    return [short if again[short] == 1 else long for short, long in zip(cut, whole, strict=True)]


def _shortened(name: str) -> str:
    """A column's name of about ASLANT letters, with its metric whole."""
    task, _, rest = name.partition("/")
    metric, _, variant = rest.partition("@")
    if len(_spaced(name)) <= ASLANT or not metric:
        return _spaced(name)
    room = ASLANT - len(metric) - 1 - (3 if variant else 0)
    each = max(room // 2 if variant else room, 3)
    return f"{text(task, each, 1)} {metric}" + (f" @ {text(variant, each, 1)}" if variant else "")


def _wrapped(name: str, width: int) -> str:
    return text(_spaced(name), width)


def _written(pair: Pair | None, measure: Measure, with_interval: bool) -> str | None:
    """What stands in a cell: r with a star where q is small, and its interval; empty without a pair, null where undefined."""
    if pair is None:
        return ""
    value, q = _value(pair, measure), getattr(pair, f"{measure}_q")
    if value is None:
        return None
    said = f"{value:+.2f}".replace("-", "−") + ("*" if q is not None and q < SIGNIFICANT else "")
    between = _interval(pair, measure)
    if not with_interval or between is None:
        return said
    return f"{said}\n[{between[0]:.2f}, {between[1]:.2f}]".replace("-", "−")


def _explain(ax: Axes, correlations: Correlations, measure: Measure, in_full: Sequence[Pair]) -> None:
    """The bar of the colours, below the cells, and what the numbers are; `in_full` are the pairs written with an interval."""
    bar = colour_bar(ax)
    bar.set_ticks([-1.0, -0.5, 0.0, 0.5, 1.0])
    counts = sorted({pair.n for pair in correlations.pairs})
    over = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    kind = {"pearson": "Pearson's r", "spearman": "Spearman's rho"}[measure]
    bounded = any(_value(pair, measure) is not None and _interval(pair, measure) is not None for pair in in_full)
    brackets = f"; in brackets the {100 * correlations.options.level:.4g} % interval" if bounded else ""
    marked = any((q := getattr(pair, f"{measure}_q")) is not None and q < SIGNIFICANT for pair in correlations.pairs)
    star = f"* q < {SIGNIFICANT:.2g}; " if marked else ""
    bar.set_label(f"{kind} over {over} models{brackets}\n{star}rows intrinsic, columns extrinsic", fontsize=8.5)


def _said(correlations: Correlations, measure: Measure) -> str:
    """What is seen, counted over all pairs."""
    defined = [pair for pair in correlations.pairs if _value(pair, measure) is not None]
    sure = [pair for pair in defined if (q := getattr(pair, f"{measure}_q")) is not None and q < SIGNIFICANT]
    undefined = len(correlations.pairs) - len(defined)
    tail = f"; {undefined} undefined" if undefined else ""
    if not defined:
        return f"None of {undefined} correlations of intrinsic and extrinsic scores is defined"
    said = (
        f"{len(sure)} of {len(defined)} correlations of intrinsic and extrinsic scores are beyond chance (q < {SIGNIFICANT:.2g})"
    )
    against = sum((_value(pair, measure) or 0.0) < 0 for pair in sure)
    return said + (f", {against} of them negative" if against else "") + tail


def _seen(pair: Pair, measure: Measure) -> str:
    """What the points show."""
    value, p, between = _value(pair, measure), getattr(pair, f"{measure}_p"), _interval(pair, measure)
    if value is None:
        return f"No correlation over {pair.n} models: {pair.undefined or 'it is undefined'}"
    sign = {"pearson": "r", "spearman": "rho"}[measure]
    figures = f"{sign} = {value:.2f}" + (f" [{between[0]:.2f}, {between[1]:.2f}]" if between else "") + f", n = {pair.n}"
    figures += "" if p is None else f", p = {p:.2g}"
    if p is not None and p < SIGNIFICANT:
        return f"Models with more intrinsic bias have {'more' if value > 0 else 'less'} extrinsic bias ({figures})"
    return f"No relation of intrinsic and extrinsic bias is seen beyond chance ({figures})"
