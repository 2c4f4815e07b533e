"""What figures with a row a thing have in common."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbench.errors import FairbenchError
from fairbench.reporting.figures import style
from fairbench.reporting.figures.forest import key_width, number, remainder, row_labels, rowed, whisker, within


def row(model: str, task: str, variant: str = "") -> dict[str, str]:
    return {"model": model, "task": task, "metric": "x", "variant": variant}


def test_labels_hold_what_differs_and_the_rest_is_said_once() -> None:
    assert row_labels([row("a", "t", "k=1"), row("b", "t", "k=1")]) == (["a", "b"], "k=1")
    assert row_labels([row("a", "t"), row("a", "u")]) == (["t", "u"], "a")
    assert row_labels([row("a", "t", "k=1,l=2"), row("b", "t")]) == (["a\nk=1, l=2", "b"], "")
    assert row_labels([row("a", "t")]) == (["a"], "")
    assert row_labels([]) == ([], "")


@given(st.lists(st.integers(1, 4), min_size=1, max_size=30))
@settings(max_examples=20, deadline=None)
def test_rows_lie_one_under_the_other(lines: list[int]) -> None:
    with style.drawn(4, 3) as ax:
        places = rowed(ax, ["\n".join("x" * n) for n in lines])
    heights = [0.1 + 0.16 * n for n in lines]
    assert places[0] == pytest.approx(heights[0] / 2)
    for i in range(1, len(lines)):
        assert places[i] - places[i - 1] == pytest.approx((heights[i] + heights[i - 1]) / 2)
    assert ax.get_ylim() == (pytest.approx(sum(heights)), 0)
    assert ax.get_figure().get_figheight() == pytest.approx(1.7 + max(sum(heights), 1.0))


def test_no_row_is_refused() -> None:
    with style.drawn(4, 3) as ax, pytest.raises(FairbenchError, match="nothing to draw"):
        rowed(ax, [])


def test_absent_numbers_are_null() -> None:
    assert [number(one) for one in (None, math.nan, 0, "2.5", -math.inf)] == [None, None, 0.0, 2.5, -math.inf]


def test_the_axis_holds_the_finite_numbers() -> None:
    with style.drawn(4, 3) as ax:
        within(ax, [1.0, None, math.inf, 3.0, math.nan])
        assert ax.get_xlim() == (pytest.approx(0.9), pytest.approx(3.1))
        within(ax, [5.0])
        assert ax.get_xlim()[0] < 5.0 < ax.get_xlim()[1]
        within(ax, [])
        assert ax.get_xlim()[0] < ax.get_xlim()[1]


def test_a_whisker_needs_both_ends() -> None:
    with style.drawn(4, 3) as ax:
        ax.set_xlim(0, 10)
        whisker(ax, 1.0, (None, 2.0))
        whisker(ax, 1.0, (-math.inf, 2.0))
    (line,) = ax.lines
    assert list(line.get_xdata()) == [0.0, 2.0]


def test_what_is_not_shown_is_counted() -> None:
    assert remainder(83, 60) == "\nand 23 more in the table"
    assert remainder(60, 60) == ""


def test_names_in_the_key_fit_below_the_figure() -> None:
    for width in (4, 6, 8, 12):
        with style.drawn(width, 3) as ax:
            letters = key_width(ax, 2)
            handles = ax.plot([0, 1]) * 2
            for one in handles:
                one.set_label(style.text("nebulous" * 20, letters, 1))
            legend = ax.get_figure().legend(handles=handles, loc="outside lower left", ncols=2)
            style.svg(ax)
            assert legend.get_window_extent().width <= ax.get_figure().bbox.width
