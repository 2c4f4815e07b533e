"""What a change did to each metric: where the baseline was, where the other model is, and on which side of the ideal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairbench.comparison import Difference
from fairbench.reporting.figures.forest import MOST_ROWS, aside, keyed, remainder, rowed, upright_ideal, whisker, within
from fairbench.reporting.figures.heatmap import reach
from fairbench.reporting.figures.style import COLOURS, FAINT, INK, text, titled
from fairbench.scores import Score
from fairbench.wording import figure, interval_text

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

CLOSER, FURTHER = COLOURS[0], COLOURS[4]


@dataclass(frozen=True)
class _Scale:
    """How scores become places on the axis: less `ideal`, divided by `by`."""

    ideal: float
    by: float

    def of(self, value: float | None) -> float | None:
        return None if value is None else (value - self.ideal) / self.by

    def ends(self, score: Score) -> tuple[float | None, float | None]:
        """The interval on the axis."""
        between = score.interval
        return (None, None) if between is None else (self.of(between.low), self.of(between.high))


def dumbbells(
    differences: Sequence[Difference],
    ax: Axes,
    *,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    names: tuple[str, str] = ("baseline", "model"),
    most: int = MOST_ROWS,
) -> Axes:
    """Both models' scores of each metric, joined by an arrow from the baseline to the other model.

    Where all are of one metric the axis is that metric's. Else it is the distance from the ideal, with its sign, divided by the
    largest distance that the metric can have; where it has no such bound or the bound is not known, by the larger of the two
    distances.

    Args:
        differences: one a row.
        ax: where to draw; its figure gets the height of the rows.
        ranges: by column, the smallest and the largest value of its metric (`least` and `most` of the tidy table).
        names: how the two models are called.
        most: rows to show; how many more there are is said.

    Returns:
        The Axes. At the right of each row stands the difference on the metric's own scale, with its interval. The title counts
        all differences.

    Raises:
        FairbenchError: there is no difference.
    """
    shown = list(differences[:most])
    places = rowed(ax, [_label(one, shown) for one in shown], around=0.2)
    own = len({(one.metric, one.baseline.ideal) for one in differences}) == 1 and _ideal(differences[0]) is not None
    scales = [_Scale(0.0, 1.0) if own else _scale(one, (ranges or {}).get(one.column)) for one in shown]
    ends = [
        end for scale, one in zip(scales, shown, strict=True) if scale for s in (one.baseline, one.model) for end in scale.ends(s)
    ]
    values = [scale.of(s.value) for scale, one in zip(scales, shown, strict=True) if scale for s in (one.baseline, one.model)]
    ideal = _ideal(differences[0]) or 0.0 if own else 0.0
    within(ax, [*ends, *values, ideal])
    upright_ideal(ax, ideal)
    for y, one, scale in zip(places, shown, scales, strict=True):
        _row(ax, y, one, scale)
    aside(ax, None, "difference")
    unbounded = not own and any(_reach(one, (ranges or {}).get(one.column)) is None for one in shown)
    ax.set_xlabel(_axis(differences, own, unbounded) + remainder(len(differences), len(shown)))
    keyed(ax, _key(shown, names), columns=2)
    return titled(ax, _said(differences, names))


def _ideal(one: Difference) -> float | None:
    return one.baseline.ideal


def _reach(one: Difference, between: tuple[float, float] | None) -> float | None:
    ideal = _ideal(one)
    return None if between is None or ideal is None else reach(ideal, *between)


def _scale(one: Difference, between: tuple[float, float] | None) -> _Scale | None:
    """The scale of a row among metrics of several scales; null where it has no ideal, or no score at all."""
    ideal = _ideal(one)
    if ideal is None:
        return None
    apart = [abs(score.value - ideal) for score in (one.baseline, one.model) if score.value is not None]
    return _Scale(ideal, _reach(one, between) or max(apart, default=0.0) or 1.0)


def _label(one: Difference, shown: Sequence[Difference]) -> str:
    """The column in words; what all rows share is left out."""
    same_metric = len({other.metric for other in shown}) == 1 and len(shown) > 1
    moved = one.variant.replace(",", ", ") if len({other.variant for other in shown}) > 1 else ""
    parts = [one.task if same_metric else f"{one.task} {one.metric}", moved]
    return "\n".join(text(part, 36, 2) for part in parts if part) or "default"


def _row(ax: Axes, y: float, one: Difference, scale: _Scale | None) -> None:
    """One metric: both intervals, the arrow, both markers, and the difference in words."""
    before, after = (scale.of(score.value) if scale else None for score in (one.baseline, one.model))
    if scale is not None:
        whisker(ax, y - 0.085, scale.ends(one.baseline) if before is not None else (None, None), FAINT)
        whisker(ax, y + 0.085, scale.ends(one.model) if after is not None else (None, None), _towards(one))
    if before is not None and after is not None and before != after:
        arrow = {"arrowstyle": "-|>", "color": _towards(one), "linewidth": 2.0, "shrinkA": 0, "shrinkB": 3}
        ax.annotate("", (after, y), (before, y), arrowprops=arrow, gid="arrow", zorder=2.5)
    if before is not None:
        ax.plot([before], [y], "o", color=FAINT, markerfacecolor="white", markersize=6.5, zorder=3, gid="before")
    if after is not None:
        ax.plot([after], [y], "D", color=_towards(one), markersize=5.5, zorder=3.2, gid="after")
    if before is None and after is None:
        ax.text(0.01, y, "undefined", transform=ax.get_yaxis_transform(), va="center", fontsize=8, style="italic", color=FAINT)
    if one.difference is None:
        aside(ax, y, "undefined")
    else:
        sign = "+" if one.difference > 0 else ""
        aside(ax, y, f"{sign}{figure(one.difference)} {interval_text(one.interval)}{' *' if one.verdict == 'differs' else ''}")


def _towards(one: Difference) -> str:
    """The colour of the way that it went."""
    if one.distance is None:
        return FAINT
    if one.distance == 0:
        return INK
    return CLOSER if one.distance < 0 else FURTHER


def _key(rows: Sequence[Difference], names: tuple[str, str]) -> list[Artist]:
    """Which marker is which model, and which colour which way."""
    from matplotlib.lines import Line2D

    before, after = (text(name, 36, 1) for name in names)
    key: list[Artist] = [
        Line2D([], [], linestyle="none", marker="o", color=FAINT, markerfacecolor="white", markersize=6.5, label=before),
        Line2D([], [], linestyle="none", marker="D", color=INK, markersize=5.5, label=after),
    ]
    ways = {_towards(one) for one in rows}
    said = {
        CLOSER: "closer to the ideal",
        FURTHER: "further from the ideal",
        INK: "no nearer and no further",
        FAINT: "not compared",
    }
    for way, label in said.items():
        if way in ways:
            key.append(Line2D([], [], color=way, linewidth=2.0, label=label))
    return key


def _axis(differences: Sequence[Difference], own: bool, unbounded: bool) -> str:
    """What the axis is, in words."""
    if own:
        said = text(differences[0].metric, 60, 2)
    else:
        said = "distance from the ideal, as a share of the largest that the metric can have"
        said += "\n(where no bound is known: of the larger of the two distances)" if unbounded else ""
    levels = sorted({one.interval.level for one in differences if one.interval})
    intervals = f"lines and brackets: {' and '.join(f'{100 * level:.4g} %' for level in levels)} intervals" if levels else ""
    star = "* differs by the test" if any(one.verdict == "differs" for one in differences) else ""
    return "\n".join(filter(None, [said, "; ".join(filter(None, [intervals, star]))]))


def _said(differences: Sequence[Difference], names: tuple[str, str]) -> str:
    """What is seen, counted over all rows."""
    moved = [one for one in differences if one.distance is not None]
    closer, further = (
        sum(one.distance < 0 for one in moved if one.distance),
        sum(one.distance > 0 for one in moved if one.distance),
    )
    differ = sum(one.verdict == "differs" for one in differences)
    undefined = len(differences) - len(moved)
    said = f"{text(names[1], 30, 1)} is closer to the ideal than {text(names[0], 30, 1)} in {closer} of {len(moved)} scores"
    said += f", further in {further}; {differ} {'differs' if differ == 1 else 'differ'} by the test"
    return said + (f"; {undefined} undefined" if undefined else "")
