"""Decisions that turned round: how many right ones a model breaks, and how many wrong ones it mends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fairbench.errors import FairbenchError
from fairbench.reporting.figures.style import FAINT, INK, colour, hatch, tall, text, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fairbench.comparison import Flips
    from fairbench.scores import Interval

BROKEN, MENDED = 1, 3
"""Numbers of the colours of negative and positive flips, both so light that a whisker is seen on them; one is hatched."""

MOST = 40
"""Models that are drawn; the table holds all."""


def flips(flips_by_model: Mapping[str, Flips], ax: Axes) -> Axes:
    """Negative flips to the left of 0 and positive ones to the right, as shares of the records that both models decided.

    Args:
        flips_by_model: by the label of the model that is compared with the baseline, in the order in which they are drawn; of
            more than 40 the first 40.
        ax: the only Axes of its figure, which gets the height that the rows need.

    Returns:
        The Axes. Negative rates are drawn below 0 and written without a sign.

    Raises:
        FairbenchError: there is no model.
    """
    if not flips_by_model:
        raise FairbenchError("There are no flips to be shown. Wanted those of one or more models beside their baseline.")
    shown = dict(list(flips_by_model.items())[:MOST])
    tall(ax, len(shown), each=0.42, around=1.6)
    ax.axvline(0, color=INK, linewidth=1.0, gid="none")
    for y, one in enumerate(shown.values()):
        _row(ax, y, one)
    ax.set_yticks(range(len(shown)), [text(label, 34, lines=2) or "(no name)" for label in shown])
    ax.set_ylim(len(shown) - 0.5, -0.65)
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
    _axis(ax, shown)
    ax.set_xlabel(_key(flips_by_model))
    return titled(ax, _sentence(flips_by_model))


def _row(ax: Axes, y: int, one: Flips) -> None:
    """One model: two bars with their intervals and counts, and n beside them."""
    place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "va": "center", "fontsize": 8}
    ax.annotate(f"n = {one.n:,}", (1, y), (6, 0), **place)
    if one.nfr is None or one.pfr is None:
        paper = {"color": "white", "pad": 1}
        ax.annotate("no decision of both models whose right answer is known", (0.02, y), (0, 0), color=FAINT, bbox=paper, **place)
        return
    _bar(ax, y, -1, one.nfr, one.nfr_interval)
    _bar(ax, y, 1, one.pfr, one.pfr_interval)
    for side, flipped, rate, between in (
        (-1, one.negative, one.nfr, one.nfr_interval),
        (1, one.positive, one.pfr, one.pfr_interval),
    ):
        # Beyond the whisker, so that neither hides the other.
        end = 100 * max(rate, between.high if between else rate)
        how: dict[str, Any] = {
            "textcoords": "offset points",
            "va": "center",
            "ha": "right" if side < 0 else "left",
            "fontsize": 8,
        }
        ax.annotate(f"{len(flipped):,}", (side * end, y), (5 * side, 0), gid="count", **how)


def _bar(ax: Axes, y: int, side: int, rate: float, between: Interval | None) -> None:
    """A share as a bar to one side of 0, percent, with its interval."""
    number = BROKEN if side < 0 else MENDED
    style: dict[str, Any] = {
        "color": colour(number),
        "edgecolor": INK,
        "linewidth": 0.8,
        "gid": "negative" if side < 0 else "positive",
    }
    ax.barh(y, side * 100 * rate, 0.5, hatch=hatch(1) if side < 0 else "", **style)
    if between is not None:
        ax.hlines(y, side * 100 * between.low, side * 100 * between.high, color=INK, linewidth=1.2, gid="interval")
        ends = [side * 100 * between.low, side * 100 * between.high]
        ax.vlines(ends, y - 0.1, y + 0.1, color=INK, linewidth=1.2)


def _axis(ax: Axes, shown: Mapping[str, Flips]) -> None:
    """Both sides equally wide, so that lengths can be compared; shares without a sign; the sides named."""
    ends = [
        end
        for one in shown.values()
        for rate, between in ((one.nfr, one.nfr_interval), (one.pfr, one.pfr_interval))
        for end in ([rate or 0.0] + ([between.high] if between else []))
    ]
    reach = 100 * max(ends) * 1.25 or 1.0
    ax.set_xlim(-reach, reach)
    ax.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g} %")
    for x, ha, said in (
        (0.0, "left", "← right before, wrong after"),
        (1.0, "right", "wrong before, right after →"),
    ):
        ax.annotate(said, (x, 1), (0, 3), xycoords="axes fraction", textcoords="offset points", ha=ha, fontsize=8)


def _key(flips_by_model: Mapping[str, Flips]) -> str:
    """How to read it: what a share is of, the intervals, and what counts as right."""
    levels = {i.level for one in flips_by_model.values() for i in (one.nfr_interval, one.pfr_interval) if i}
    said = ["share of the n decisions of both models, how many at the bars"]
    if levels:
        said.append("whiskers: " + ", ".join(f"{100 * level:.4g} %" for level in sorted(levels)) + " interval")
    said.append("right: " + " or ".join(dict.fromkeys(one.right for one in flips_by_model.values())))
    if len(flips_by_model) > MOST:
        said.append(f"{len(flips_by_model) - MOST} more models are in the table")
    return text("; ".join(said), 84)


def _sentence(flips_by_model: Mapping[str, Flips]) -> str:
    """What is seen."""
    decided = {label: one for label, one in flips_by_model.items() if one.n}
    if not decided:
        return "No decision of both models can be called right or wrong"
    if len(decided) == 1:
        ((label, one),) = decided.items()
        broken, mended = (f"{len(flipped):,}" for flipped in (one.negative, one.positive))
        return f"{text(label, 40, lines=1)} breaks {broken} and mends {mended} of {one.n:,} decisions"
    worse = sum(len(one.negative) > len(one.positive) for one in decided.values())
    said = "breaks more decisions than it mends" if worse == 1 else "break more decisions than they mend"
    return f"{worse} of {len(decided)} models {said}"
