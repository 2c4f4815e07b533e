"""How far the effect size of CEAT moves with the sentences: the distribution of the effect sizes of its draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fairbench.errors import FairbenchError
from fairbench.reporting.figures.style import INK, PALE, colour, ideal_line, tall, text, titled
from fairbench.stats import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SAVED = ("es_mean", "es_sd", "es_2.5%", "es_50%", "es_97.5%", "draws_kept")
"""Details that a result of CEAT keeps of its draws."""

MOST = 40
"""Tests that are drawn; the table holds all."""

BINS = 60
"""Of a histogram: 10,000 draws fill them well."""


@dataclass(frozen=True)
class Draws:
    """Effect sizes of the draws of one test.

    Attributes:
        label: what the test is called.
        mean, sd: of the draws' effect sizes (sd: divided by N).
        low, median, high: their 2.5th, 50th and 97.5th percentile.
        n: draws that have spread.
        values: the effect sizes themselves, (n,); null where only the figures above were kept.
    """

    label: str
    mean: float
    sd: float
    low: float
    median: float
    high: float
    n: int
    values: Floats | None = None


def saved_draws(label: str, details: Mapping[str, float | None]) -> Draws:
    """What a result of CEAT keeps of its draws.

    Args:
        label: what the test is called.
        details: `score.details` of the result.

    Raises:
        FairbenchError: they say nothing of draws, as those of other metrics.
    """
    absent = [name for name in SAVED if details.get(name) is None]
    if absent:
        raise FairbenchError(
            f"The details of {label} have no {', '.join(absent)}. Wanted those of a result of the metric ceat; score it again if "
            "it is one."
        )
    mean, sd, low, median, high, n = (float(details[name] or 0) for name in SAVED)
    return Draws(label, mean, sd, low, median, high, int(n))


def whole_draws(label: str, values: Floats) -> Draws:
    """The draws themselves, from which the figures follow.

    Args:
        label: what the test is called.
        values: effect sizes of the draws, (n,); NaN where a draw has no spread, which is left out.

    Raises:
        FairbenchError: none is finite.
    """
    kept = np.asarray(values, dtype=float)
    kept = kept[np.isfinite(kept)]
    if not len(kept):
        raise FairbenchError(f"No draw of {label} has a finite effect size. Wanted one number a draw, (n,).")
    low, median, high = (float(q) for q in np.percentile(kept, (2.5, 50, 97.5)))
    return Draws(label, float(kept.mean()), float(kept.std()), low, median, high, len(kept), kept)


def effects(draws: Sequence[Draws], ax: Axes) -> Axes:
    """How the effect sizes of CEAT's draws are distributed: a row a test.

    A result keeps five figures of its draws and not the draws. So a row is a line from the 2.5th to the 97.5th percentile, a box
    of one standard deviation about the mean, and a tick at the median; it is not made to look as if the shape were known. Where
    the draws are at hand (`whole_draws`) their histogram stands on the line.

    Args:
        draws: one for each test, in the order in which they are drawn; of more than 40 the first 40.
        ax: the only Axes of its figure, which gets the height that the rows need.

    Returns:
        The Axes.

    Raises:
        FairbenchError: there is none.
    """
    if not draws:
        raise FairbenchError("There are no draws to be shown. Wanted those of one or more results of the metric ceat.")
    shown = draws[:MOST]
    tall(ax, len(shown), each=0.42, around=1.4)
    ideal_line(ax, 0.0)
    for y, one in enumerate(shown):
        _row(ax, y, one)
    ax.set_yticks(range(len(shown)), [text(one.label, 34, lines=2) or "(no name)" for one in shown])
    ax.set_ylim(len(shown) - 0.5, -0.75)
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(_key(draws))
    return titled(ax, _sentence(draws))


def _row(ax: Axes, y: int, one: Draws) -> None:
    """One test: the line, the box, the tick, and the histogram where there is one; mean and sd beside it."""
    if one.values is not None:
        counts, edges = np.histogram(one.values, BINS)
        heights = counts / max(counts.max(), 1) * 0.5
        ax.stairs(y - 0.12 - heights, edges, baseline=y - 0.12, fill=True, color=colour(3), linewidth=0, gid="histogram")
    ax.hlines(y, one.low, one.high, color=INK, linewidth=1.2, gid="percentiles")
    ax.barh(y, 2 * one.sd, 0.2, left=one.mean - one.sd, color=PALE, edgecolor=INK, linewidth=0.8, gid="sd", zorder=2)
    ax.vlines(one.median, y - 0.18, y + 0.18, color=INK, linewidth=1.8, gid="median", zorder=3)
    ax.plot([one.mean], [y], "D", color=colour(0), markersize=4, gid="mean", zorder=4)
    said = f"{one.mean:.2f} ± {one.sd:.2f}".replace("-", "−")
    ax.annotate(said, (1, y), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center", fontsize=8)


def _key(draws: Sequence[Draws]) -> str:
    """How to read it."""
    counts = sorted({one.n for one in draws})
    n = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    said = [
        f"effect size in {n} draws of a sentence a word",
        "line: 2.5th to 97.5th percentile",
        "box: mean ± sd (diamond ± width)",
    ]
    said = [*said[:2], "box: one sd about the mean (diamond)", "tick: median"]
    if any(one.values is not None for one in draws):
        said.append("area: histogram")
    if len(draws) > MOST:
        said.append(f"{len(draws) - MOST} more tests are in the table")
    return text("; ".join(said), 84)


def _sentence(draws: Sequence[Draws]) -> str:
    """What is seen: whether the sign of the effect hangs on the sentences."""
    both = [one for one in draws if one.low < 0 < one.high]
    if len(draws) == 1:
        (one,) = draws
        sides = "on both sides of 0" if both else "on one side of 0"
        return (
            f"95 % of the draws of {text(one.label, 40, lines=1)} lie between {one.low:.2f} and {one.high:.2f}, {sides}".replace(
                "-", "−"
            )
        )
    return f"In {len(both)} of {len(draws)} tests the sign of the effect hangs on the sentences that are drawn"
