"""Groups of one result: lengths of bars, whiskers, the lines of the whole and of the ideal."""

import math
from xml.etree import ElementTree

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from fairbench.errors import FairbenchError
from fairbench.reporting.figures import style
from fairbench.reporting.figures.groups import AWAY_HATCH, groups

SAME = {"file": "m/t/x.json", "title": "Share", "direction": "larger = more", "level": 0.95, "n_total": 100}
NAN = math.nan


def row(part: str, group: str, value: float, low: float, high: float, ideal: float = 50.0, n: int = 100) -> dict[str, object]:
    return {**SAME, "part": part, "group": group, "value": value, "low": low, "high": high, "ideal": ideal, "n": n}


ROWS = [
    row("whole", "", 55.0, 52.0, 58.0),
    row("clean", "", 99.0, 98.0, 100.0),
    row("group", "middle", 52.0, 45.0, 59.0),
    row("group", "none", NAN, NAN, NAN, n=0),
    row("group", "high", 70.0, 60.0, 80.0, n=40),
    row("group", "low", 20.0, NAN, NAN),
]
RATES = [row("whole", "", 0.3, 0.1, 0.5, 0.0)] + [row("group", g, v, v - 0.1, v + 0.1, NAN) for g, v in (("a", 0.2), ("b", 0.5))]


def drawing(rows: list[dict[str, object]], **options: int) -> Axes:
    with style.drawn(7, 3) as ax:
        assert groups(pd.DataFrame(rows), ax, **options) is ax
    return ax


def whole_lines(ax: Axes, gid: str) -> list[float]:
    return [float(one.get_xdata()[0]) for one in ax.lines if one.get_gid() == gid]


def test_bars_fall_and_carry_their_numbers() -> None:
    ax = drawing(ROWS)
    assert [one.get_text() for one in ax.get_yticklabels()] == ["high", "middle", "low", "none"]
    assert [(bar.get_x(), bar.get_width()) for bar in ax.patches] == [(0, 70.0), (0, 52.0), (0, 20.0)]
    middles = [bar.get_y() + bar.get_height() / 2 for bar in ax.patches]
    assert middles == pytest.approx(list(ax.get_yticks()[:3]))
    whiskers = [list(one.get_xdata()) for one in ax.lines if one.get_gid() == "interval"]
    assert whiskers == [[60.0, 80.0], [45.0, 59.0]]
    assert [one.get_text() for one in ax.texts if one.get_gid() == "aside"] == ["40 of 100", "100", "100", "0 of 100", "n"]
    assert [one.get_text() for one in ax.texts if one.get_gid() != "aside"] == ["undefined", "ideal 50", "all 55"]


def test_the_whole_and_the_ideal_are_lines() -> None:
    ax = drawing(ROWS)
    assert whole_lines(ax, "whole") == [55.0] and whole_lines(ax, "ideal") == [50.0]
    labels = {one.get_text(): one.get_ha() for one in ax.texts}
    assert (labels["ideal 50"], labels["all 55"]) == ("right", "left")
    other = drawing([row("whole", "", 45.0, 40.0, 48.0), *ROWS[1:]])
    labels = {one.get_text(): one.get_ha() for one in other.texts}
    assert (labels["ideal 50"], labels["all 45"]) == ("left", "right")


def test_what_lies_away_is_hatched() -> None:
    high, middle, low = drawing(ROWS).patches
    assert (high.get_hatch(), middle.get_hatch() or "", low.get_hatch() or "") == (AWAY_HATCH, "", "")
    assert to_hex(high.get_facecolor()) != to_hex(middle.get_facecolor()) == to_hex(low.get_facecolor())


def test_the_title_says_what_is_seen() -> None:
    said = drawing(ROWS).get_title(loc="left").replace("\n", " ")
    assert said == "1 of 2 groups lie away from their ideal; furthest is low (20); 1 without an interval; 1 undefined"
    assert drawing(RATES).get_title(loc="left") == "b (0.5) is highest of 2 groups, a (0.2) lowest"


def test_a_disparity_is_on_another_scale_than_its_groups() -> None:
    ax = drawing(RATES)
    assert whole_lines(ax, "whole") == whole_lines(ax, "ideal") == []
    assert ax.get_xlabel().endswith("the score made of them is 0.3 [0.1, 0.5]")
    assert not ax.get_figure().legends[0].legend_handles


def test_axes_begin_at_zero_also_below_it() -> None:
    ax = drawing([row("group", "a", -30.0, -40.0, -20.0, 0.0), row("group", "b", -10.0, -15.0, -5.0, 0.0)])
    assert ax.get_xlim()[0] < -40 and ax.get_xlim()[1] > 0


def test_more_groups_than_fit_are_counted() -> None:
    many = [row("group", f"g{i}", float(i), i - 1.0, i + 1.0, 0.0) for i in range(70)]
    ax = drawing(many, most=40)
    assert [bar.get_width() for bar in ax.patches] == [float(i) for i in range(69, 29, -1)]
    assert ax.get_xlabel().endswith("and 30 more in the table")
    assert ax.get_title(loc="left").replace("\n", " ").endswith("furthest is g69 (69)")


def test_the_order_of_rows_does_not_matter() -> None:
    assert style.svg(drawing(ROWS)) == style.svg(drawing(ROWS[::-1]))


def test_hostile_names_stay_text() -> None:
    names = ["<script>alert(1)</script>", "$x$", "\u202eback", "a\x00b", "w" * 10_000]
    root = ElementTree.fromstring(style.svg(drawing([row("group", name, 70.0, 60.0, 80.0) for name in names])))
    words = {text for text in root.itertext() if text.strip()}
    assert {"<script>alert(1)</script>", "$x$", "back", "ab"} <= words
    assert max(map(len, words)) < 100


def test_no_groups_and_several_results_are_refused() -> None:
    with style.drawn(4, 3) as ax:
        with pytest.raises(FairbenchError, match="no group"):
            groups(pd.DataFrame(ROWS[:2]), ax)
        with pytest.raises(FairbenchError, match="2 results"):
            groups(pd.DataFrame([*ROWS, {**ROWS[2], "file": "other"}]), ax)
        with pytest.raises(FairbenchError, match="'low'"):
            groups(pd.DataFrame(ROWS).drop(columns="low"), ax)


def test_groups_without_any_value_are_said_to_have_none() -> None:
    assert drawing([ROWS[3]]).get_title(loc="left") == "None of 1 groups has a value"
