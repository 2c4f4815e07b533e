from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from fairbench.errors import FairbenchError
from fairbench.reporting.figures.effects import MOST, Draws, effects, saved_draws, whole_draws
from fairbench.reporting.figures.style import drawn, svg

DETAILS = {"es_mean": 0.5, "es_sd": 0.25, "es_2.5%": -0.1, "es_50%": 0.55, "es_97.5%": 0.9, "draws_kept": 10_000.0, "i2": 0.9}


def artists(ax: Axes, gid: str) -> list[Any]:
    return [one for one in ax.findobj() if one.get_gid() == gid]


def ends(collection: Any) -> tuple[float, float]:
    """Where a horizontal line begins and ends."""
    (segment,) = collection.get_segments()
    return float(segment[0][0]), float(segment[1][0])


def test_five_figures_of_a_result_are_drawn_where_they_are() -> None:
    with drawn(7, 3) as ax:
        assert effects([saved_draws("ceat_6", DETAILS)], ax) is ax
        (line,), (box,), (tick,), (mean,) = (artists(ax, gid) for gid in ("percentiles", "sd", "median", "mean"))
        assert ends(line) == (-0.1, 0.9)
        assert (box.get_x(), box.get_x() + box.get_width()) == (0.25, 0.75)
        assert float(tick.get_segments()[0][0][0]) == 0.55
        assert mean.get_xdata()[0] == 0.5
        assert not artists(ax, "histogram"), "the shape is not known from five figures"
        assert "histogram" not in ax.get_xlabel()
        assert "10,000 draws" in ax.get_xlabel()
        assert ax.get_title(loc="left") == "95 % of the draws of ceat_6 lie between −0.10 and 0.90, on both sides of 0"


def test_whole_draws_give_the_figures_that_a_result_keeps() -> None:
    values = np.random.default_rng(3).normal(0.4, 0.2, 999)
    found = whole_draws("a", np.append(values, np.nan))
    assert (found.n, found.mean, found.sd) == (999, pytest.approx(values.mean()), pytest.approx(values.std()))
    ordered = np.sort(values)
    # Of 999 ordered values, with (n - 1) p = 24.95, 499 and 973.05 by linear interpolation.
    assert found.low == pytest.approx(ordered[24] + 0.95 * (ordered[25] - ordered[24]))
    assert found.median == ordered[499]
    assert found.high == pytest.approx(ordered[973] + 0.05 * (ordered[974] - ordered[973]))


def test_the_histogram_counts_every_draw() -> None:
    values = np.repeat([0.0, 1.0, 2.0], [10, 20, 40])
    with drawn(7, 3) as ax:
        effects([whole_draws("a", values)], ax)
        (steps,) = artists(ax, "histogram")
        tops, edges, floor = steps.get_data()
        heights = floor - tops
        assert (edges[0], edges[-1]) == (0.0, 2.0)
        assert heights[heights > 0] / heights.max() == pytest.approx([0.25, 0.5, 1.0])
        assert "histogram" in ax.get_xlabel()


def test_the_title_counts_the_tests_whose_sign_hangs_on_the_sentences() -> None:
    def of(low: float, high: float) -> Draws:
        return Draws(f"{low} {high}", (low + high) / 2, 0.1, low, (low + high) / 2, high, 100)

    with drawn(7, 3) as ax:
        effects([of(-0.5, 0.5), of(0.1, 0.5), of(-0.5, -0.1), of(0.0, 0.3)], ax)
        assert ax.get_title(loc="left").startswith("In 1 of 4 tests the sign")


def test_many_rows_are_cut_and_counted_and_names_stay_text() -> None:
    names = ["<script>alert(1)</script>", "y" * 10_000, "$y$", "\u202eabc", "", *(f"ceat_{i}" for i in range(60))]
    with drawn(7, 3) as ax:
        effects([saved_draws(name, DETAILS) for name in names], ax)
        labels = [label.get_text() for label in ax.get_yticklabels()]
        assert len(labels) == MOST == len(artists(ax, "mean"))
        assert f"{len(names) - MOST} more tests" in ax.get_xlabel().replace("\n", " ")
        assert labels[4] == "(no name)"
        assert "\u202e" not in labels[3]
        assert max(map(len, labels)) <= 34
        assert "<script" not in svg(ax)


def test_refused_in_one_paragraph() -> None:
    with pytest.raises(FairbenchError, match=r"no es_50%, draws_kept"):
        saved_draws("weat_1", {**DETAILS, "es_50%": None, "draws_kept": None})
    with pytest.raises(FairbenchError, match="No draw of a"):
        whole_draws("a", np.array([np.nan, np.inf]))
    with drawn(7, 3) as ax, pytest.raises(FairbenchError, match="no draws"):
        effects([], ax)
