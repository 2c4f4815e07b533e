from __future__ import annotations

import itertools
from typing import Any

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color

from fairbench.errors import FairbenchError
from fairbench.reporting.figures.associations import MOST, forest, labels_of
from fairbench.reporting.figures.style import FAINT, drawn, svg

DETAILS = {"one.json": {"es_2.5%": 0.1, "es_97.5%": 0.9, "i2": 0.875, "tau2": 0.1}}


def row(**changed: Any) -> dict[str, Any]:
    """A row of the tidy table, as far as the figure reads it."""
    plain = {
        "model": "tiny", "task": "weat_1", "metric": "weat", "variant": "", "value": 0.5, "low": 0.2, "high": 0.8, "level": 0.95,
        "p_value": 0.03, "n": 32, "ideal": 0.0, "undefined": None, "limited": False, "file": "none.json",
    }  # fmt: skip
    return {**plain, **changed}


def artists(ax: Axes, gid: str) -> list[Any]:
    """What was drawn under a name, from the top of the figure down."""
    return [one for one in ax.findobj() if one.get_gid() == gid]


def test_marker_interval_and_spread_stand_at_their_numbers() -> None:
    rows = pd.DataFrame(
        [row(task="ceat_1", metric="ceat", file="one.json"), row(value=-0.25, low=-0.75, high=0.25, p_value=1e-9)]
    )
    with drawn(7, 4) as ax:
        assert forest(rows, ax, DETAILS) is ax
        markers, intervals, draws = (artists(ax, gid) for gid in ("value", "interval", "draws"))
        assert [one.get_xdata()[0] for one in markers] == [0.5, -0.25]
        assert [(s[0][0], s[1][0]) for one in intervals for s in one.get_segments()] == [(0.2, 0.8), (-0.75, 0.25)]
        assert len(draws) == 1
        bar = draws[0]
        assert bar.get_x() == pytest.approx(0.1)
        assert bar.get_x() + bar.get_width() == pytest.approx(0.9)
        assert bar.get_y() > markers[0].get_ydata()[0], "the thin bar lies under its row: the axis points down"
        # Filled where the interval excludes the ideal, hollow where it holds it.
        assert not same_color(markers[0].get_markerfacecolor(), "white")
        assert same_color(markers[1].get_markerfacecolor(), "white")
        assert [[one.get_text() for one in artists(ax, name)] for name in ("effect", "p", "n", "I²")] == [
            ["effect", "0.50", "−0.25"], ["p", "0.03", "<1e-4"], ["n", "32", "32"], ["I²", "0.88", "-"],
        ]  # fmt: skip
        assert "1 of 2 tests has an interval that excludes 0" in ax.get_title(loc="left")
        assert "0.50 (ceat_1" in ax.get_title(loc="left").replace("\n", " ")
        (ideal,) = artists(ax, "ideal")
        assert set(ideal.get_xdata()) == {0.0}


@pytest.mark.parametrize(
    ("low", "high", "filled"), [(0.0, 0.8, False), (1e-6, 0.8, True), (-0.8, -1e-6, True), (-0.8, 0.0, False)]
)
def test_an_interval_that_ends_at_the_ideal_holds_it(low: float, high: float, filled: bool) -> None:
    with drawn(7, 4) as ax:
        forest(pd.DataFrame([row(low=low, high=high)]), ax)
        (one,) = artists(ax, "value")
        assert same_color(one.get_markerfacecolor(), "white") is not filled
        assert ("excludes" in ax.get_title(loc="left")) is filled


def test_an_undefined_test_says_why_and_has_no_marker() -> None:
    nothing = {"value": float("nan"), "low": float("nan"), "high": float("nan"), "p_value": float("nan")}
    with drawn(7, 4) as ax:
        forest(pd.DataFrame([row(**nothing, undefined="no stimulus is left in target_x", file="one.json")]), ax, DETAILS)
        assert not artists(ax, "value") + artists(ax, "draws") + artists(ax, "interval")
        (said,) = artists(ax, "undefined")
        assert said.get_text().replace("\n", " ") == "undefined: no stimulus is left in target_x"
        assert "None of 1" in ax.get_title(loc="left")
        assert [[one.get_text() for one in artists(ax, name)] for name in ("effect", "p", "I²")] == [
            ["effect", "-"],
            ["p", "-"],
            ["I²", "-"],
        ]


def test_without_intervals_nothing_is_said_of_them() -> None:
    bare = pd.DataFrame([row(low=None, high=None, level=None, p_value=None), row(task="weat_2", low=None, high=None, level=None)])
    with drawn(7, 4) as ax:
        forest(bare.astype({"low": float, "high": float, "level": float, "p_value": float}), ax)
        assert ax.get_title(loc="left").startswith("No test has an interval")
        assert "without interval" in ax.get_xlabel()
        assert not artists(ax, "interval")
        assert [one.get_marker() for one in artists(ax, "value")] == ["x", "x"]


def test_a_test_without_interval_is_a_grey_cross_and_counts_for_neither_side() -> None:
    rows = pd.DataFrame([row(), row(task="weat_2", low=None, high=None, value=0.9)]).astype({"low": float, "high": float})
    with drawn(7, 4) as ax:
        forest(rows, ax)
        known, bare = artists(ax, "value")
        assert (known.get_marker(), bare.get_marker()) == ("o", "x")
        assert same_color(bare.get_markeredgecolor(), FAINT) and not same_color(known.get_markeredgecolor(), FAINT)
        assert "grey cross: no interval" in ax.get_xlabel().replace("\n", " ")
        title = ax.get_title(loc="left").replace("\n", " ")
        assert title.startswith("1 of 1 tests has an interval that excludes 0, 1 has no interval; the largest effect is 0.90")


def test_the_draws_are_seen_whole_and_ticks_stand_apart() -> None:
    details = {"one.json": {"es_2.5%": -0.8, "es_97.5%": 1.05, "i2": 0.9, "tau2": 0.1}}
    with drawn(7, 4) as ax:
        forest(pd.DataFrame([row(file="one.json", model="a" * 30), row(model="b")]), ax, details)
        svg(ax)  # settles the layout
        low, high = ax.get_xlim()
        assert low < -0.8 and high > 1.05
        boxes = [label.get_window_extent() for label in ax.get_xticklabels() if label.get_text()]
        assert len(boxes) > 2
        assert all(right.x0 - left.x1 > 10 for left, right in itertools.pairwise(boxes))


def test_of_many_rows_those_farthest_from_the_ideal_are_drawn_in_their_order() -> None:
    values = [(i * 37 % 60) / 60 - 0.5 for i in range(60)]
    rows = pd.DataFrame([row(task=f"weat_{i}", value=value) for i, value in enumerate(values)])
    with drawn(7, 4) as ax:
        forest(rows, ax)
        seen = [one.get_xdata()[0] for one in artists(ax, "value")]
        cut = sorted(map(abs, values), reverse=True)[MOST - 1]
        assert len(seen) == MOST
        assert min(map(abs, seen)) >= cut
        assert seen == [value for value in values if value in set(seen)]
        assert f"the {60 - MOST} nearest" in ax.get_xlabel().replace("\n", " ")


def test_labels_tell_rows_apart_and_say_no_more() -> None:
    assert labels_of(pd.DataFrame([row(), row(task="ceat_2", metric="ceat", variant="layer=2", limited=True)])) == [
        "weat_1", "ceat_2 (trial)",
    ]  # fmt: skip
    assert labels_of(pd.DataFrame([row(model="a"), row(model="b")])) == ["weat_1\na", "weat_1\nb"]
    assert labels_of(pd.DataFrame([row(variant="layer=1"), row(variant="layer=2")])) == ["weat_1\nlayer=1", "weat_1\nlayer=2"]
    assert labels_of(pd.DataFrame([row(task="words")])) == ["words · weat"]
    (long,) = labels_of(pd.DataFrame([row(task="weat_of_a_test_with_a_name_that_is_rather_long")]))
    assert long.replace("\n", "") == "weat_of_a_test_with_a_name_that_is_rather_long", "broken, not cut"


def test_hostile_names_stay_short_text() -> None:
    bad = ["x" * 10_000, "\u202edlrow\u202c", "$x^2$", "<script>alert(1)</script>", "a\x00b\nc", ""]
    with drawn(7, 4) as ax:
        forest(pd.DataFrame([row(task=f"weat{name}", model=name) for name in bad]), ax)
        labels = [label.get_text() for label in ax.get_yticklabels()]
        assert all(len(line) <= 40 for label in labels for line in label.split("\n"))
        assert not any(letter in "".join(labels) for letter in "\x00\u202e\u202c")
        drawing = svg(ax)
        assert "<script" not in drawing
        assert "&lt;script&gt;" in drawing


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (pd.DataFrame([row()]).iloc[:0], "no rows"),
        (pd.DataFrame([row(), row(ideal=50.0)]), "2 ideals"),
        (pd.DataFrame([row()]).drop(columns="p_value"), "'p_value'"),
    ],
    ids=["empty", "several ideals", "no column"],
)
def test_refused_in_one_paragraph(rows: pd.DataFrame, said: str) -> None:
    with drawn(7, 4) as ax, pytest.raises(FairbenchError, match=said):
        forest(rows, ax)
