"""Bias against utility: which models nobody beats on both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fairbench.errors import FairbenchError
from fairbench.reporting.figures.forest import key_width, keyed
from fairbench.reporting.figures.style import FAINT, INK, PALE, colour, marker, tall, text, titled
from fairbench.wording import figure

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from fairbench.comparison.tradeoff import Point, Tradeoff

MOST_NAMED = 16
"""Groups that the key names: two rounds of the colours, each with another shape."""

FRONT: dict[str, Any] = {"color": INK, "linewidth": 1.8, "linestyle": (0, (1, 1))}
"""The look of the front: dotted, so that it is told from the crosses without colour."""

CLEARLY = 1.01
"""So many times the least distance from the ideal another one must be before the least is called the nearest."""


def tradeoff(points: Tradeoff, ax: Axes, *, levels: Sequence[float] = ()) -> Axes:
    """Models by their distance from the ideal and by their utility, with the front that none of them is beyond.

    A model, or the mean of a method's seeds, is a large marker with a number; the seeds themselves are small and faint. Models on
    the front have a dark rim, and the front is a line of steps. Crosses are intervals, of a mean its standard deviation over
    seeds.

    Args:
        points: from `fairbench.comparison.tradeoff`.
        ax: where to draw; its figure gets the height of the key.
        levels: of the intervals, in (0, 1); the axis names them.

    Returns:
        The Axes. How distances are scaled is `points.scaling`, which belongs under the figure.

    Raises:
        FairbenchError: no model has a place.
    """
    if not points.points:
        raise FairbenchError("There is nothing to draw: no model has both scores. Leave the figure out; `left_out` says why.")
    means = {one.group for one in points.points if one.mean}
    groups = _front_first(points)
    placed = [one for one in points.points if one.mean or one.group not in means]
    for number, one in enumerate(points.points):
        before = [other for other in points.points[:number] if other in placed]
        under = sum((other.bias, other.utility) == (one.bias, one.utility) for other in before)
        _point(ax, one, groups.index(one.group), one not in placed, under)
    _front(ax, points)
    ax.margins(0.08)
    _number(ax, placed, groups)
    low, high = ax.get_ylim()
    if low <= points.utility_ideal <= high:
        ax.axhline(points.utility_ideal, color=INK, linestyle=(0, (4, 3)), linewidth=1.1, zorder=1.5, gid="ideal")
    ax.axvline(0.0, color=INK, linestyle=(0, (4, 3)), linewidth=1.1, zorder=1.5, gid="ideal")
    _name_axes(ax, points, levels)
    shown = groups[:MOST_NAMED]
    tall(ax, math.ceil(len(shown) / 2), each=0.2, around=4.8)
    keyed(ax, _key(ax, points, shown, means, len(groups) - len(shown)), columns=2)
    return titled(ax, _said(points, means))


def _front_first(points: Tradeoff) -> list[str]:
    """Groups in the order of their numbers: those on the front, then the others, each by the distance to the ideal point."""
    best: dict[str, float] = {}
    means = {one.group for one in points.points if one.mean}
    for one in points.points:
        if one.mean or one.group not in means:
            best[one.group] = min(best.get(one.group, math.inf), math.inf if one.to_ideal is None else one.to_ideal)
    front = {one.group for one in points.points if one.on_front}
    return sorted(best, key=lambda group: (group not in front, best[group]))


def _point(ax: Axes, one: Point, index: int, cloud: bool, under: int) -> None:
    """One marker with its cross, smaller the more markers lie under it in the same place; of a seed only a faint one."""
    known = index < MOST_NAMED
    paint, shape = (colour(index), marker(index)) if known else (PALE, ".")
    if cloud:
        ax.plot([one.bias], [one.utility], shape, color=paint, markersize=4, alpha=0.4, markeredgewidth=0, zorder=2, gid="seed")
        return
    for along, ends in _crosses(one):
        across = [(one.bias, one.bias), (one.utility, one.utility)][along == 0]
        place = (ends, across) if along == 0 else (across, ends)
        ax.plot(*place, color=FAINT, linewidth=0.9, alpha=0.7, zorder=2.2, gid="interval")
    edge, width = (INK, 1.8) if one.on_front else (FAINT, 0.6)
    gid = "front" if one.on_front else "beaten"
    look: dict[str, Any] = {"markeredgecolor": edge, "markeredgewidth": width, "zorder": 3}
    size = max(8.5 - 3.5 * under, 3.0)
    ax.plot([one.bias], [one.utility], shape, color=paint, markersize=size, gid=gid, **look)


def _number(ax: Axes, placed: Sequence[Point], groups: Sequence[str]) -> None:
    """The numbers of the points; those that lie on each other have one label together."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    named = sorted((one for one in placed if groups.index(one.group) < MOST_NAMED), key=lambda one: groups.index(one.group))
    heaps: list[list[Point]] = []
    for one in named:
        for heap in heaps:
            across, up = abs(one.bias - heap[0].bias) / (right - left), abs(one.utility - heap[0].utility) / (high - low)
            if across < 0.02 and up < 0.035:  # about the size of a number
                heap.append(one)
                break
        else:
            heaps.append([one])
    near: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7.5, "zorder": 3.5, "gid": "number"}
    for heap in heaps:
        said = ", ".join(str(groups.index(one.group) + 1) for one in heap)
        ax.annotate(said, (heap[0].bias, heap[0].utility), (5, 4), **near)


def _crosses(one: Point) -> list[tuple[int, tuple[float, float]]]:
    """Ends of the lines through a point, along 0 (bias) and 1 (utility): intervals, or of a mean one standard deviation."""
    if one.mean:
        spreads = ((0, one.bias, one.bias_sd), (1, one.utility, one.utility_sd))
        return [(along, (middle - sd, middle + sd)) for along, middle, sd in spreads if sd is not None]
    ends = ((0, one.bias_low, one.bias_high), (1, one.utility_low, one.utility_high))
    finite = [(along, low, high) for along, low, high in ends if low is not None and high is not None]
    return [(along, (low, high)) for along, low, high in finite if math.isfinite(low) and math.isfinite(high)]


def _front(ax: Axes, points: Tradeoff) -> None:
    """Steps: from each point of the front its utility is the best until the bias of the next."""
    front = points.front
    if len(front) > 1:
        where = ([one.bias for one in front], [one.utility for one in front])
        ax.plot(*where, drawstyle="steps-post", zorder=2.1, gid="front line", **FRONT)


def _name_axes(ax: Axes, points: Tradeoff, levels: Sequence[float]) -> None:
    """What is on the axes, which way is better, and what the crosses are, as far as there are any."""
    best = f"ideal {figure(points.utility_ideal)}"
    bias = f"{text(points.bias_title or points.bias, 70, 2)}: distance from {figure(points.bias_ideal)} (0 is the ideal)"
    means = {one.group for one in points.points if one.mean}
    sure = " and ".join(f"{100 * level:.4g} %" for level in sorted(set(levels)))
    crossed = [_crosses(one) != [] for one in points.points if one.group not in means]
    lines = [f"{sure} intervals".lstrip()] * any(crossed) + ["of a mean, its standard deviation over seeds"] * bool(means)
    ax.set_xlabel("\n".join(filter(None, [bias, "crosses: " + "; ".join(lines) if lines else ""])))
    ax.set_ylabel(f"{text(points.utility_title or points.utility, 32, 3)}\n({best})")


def _key(ax: Axes, points: Tradeoff, shown: Sequence[str], means: set[str], more: int) -> list[Artist]:
    """The names of the numbers, the front, and how many models have no name here."""
    from matplotlib.lines import Line2D

    front = {one.group for one in points.points if one.on_front}
    width = key_width(ax, 2) - (18 if means else 3)
    key: list[Artist] = []
    for i, group in enumerate(shown):
        seeds = sum(one.group == group and not one.mean for one in points.points)
        name = f"{i + 1} {text(group, width, 1) or 'no name'}" + (f", mean of {seeds} seeds" if group in means else "")
        rim: dict[str, Any] = {
            "markeredgecolor": INK if group in front else FAINT,
            "markeredgewidth": 1.8 if group in front else 0.6,
        }
        key.append(Line2D([], [], linestyle="none", marker=marker(i), color=colour(i), markersize=7, label=name, **rim))
    if len(front) > 1:
        key.append(Line2D([], [], label="front: beaten by none on both", **FRONT))
    if more:
        key.append(Line2D([], [], linestyle="none", marker=".", color=PALE, markersize=8, label=f"and {more} more in the table"))
    return key


def _said(points: Tradeoff, means: set[str]) -> str:
    """What is seen: how many are on the front, and which is nearest to the ideal."""
    placed = [one for one in points.points if one.mean or one.group not in means]
    front = sum(one.on_front for one in placed)
    near = [one for one in placed if one.to_ideal is not None]
    said = f"{front} of {len(placed)} models {'is' if front == 1 else 'are'} beaten by none on both bias and utility"
    least = min((one.to_ideal for one in near if one.to_ideal is not None), default=0.0)
    best = [one for one in near if one.to_ideal is not None and one.to_ideal <= CLEARLY * least]
    if len(best) == 1 < len(near):
        said += f"; nearest to the ideal is {text(best[0].label, 30, 1)}"
    elif len(best) == 2 < len(near):
        alike = "equally" if best[0].to_ideal == best[1].to_ideal else "about equally"
        said += f"; nearest to the ideal are {' and '.join(text(one.label, 30, 1) for one in best)}, {alike}"
    return said + (f"; {len(points.left_out)} left out" if points.left_out else "")
