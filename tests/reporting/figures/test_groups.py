"""Groups of one result: lengths of bars, whiskers, the lines of the whole and of the ideal."""

import math
from xml.etree import ElementTree

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from fairbench.errors import FairbenchError
from fairbench.reporting.figures import style
from fairbench.reporting.figures.groups import AWAY_HATCH, BARE_HATCH, MOST_GROUPS, groups

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


def key(ax: Axes) -> list[str]:
    return [one.get_label() for one in ax.get_figure().legends[0].legend_handles]


def test_bars_fall_and_carry_their_numbers() -> None:
    ax = drawing(ROWS)
    assert [one.get_text() for one in ax.get_yticklabels()] == ["high", "middle", "low", "none"]
    assert [(bar.get_x(), bar.get_width()) for bar in ax.patches] == [(0, 70.0), (0, 52.0), (0, 20.0)]
    middles = [bar.get_y() + bar.get_height() / 2 for bar in ax.patches]
    assert middles == pytest.approx(list(ax.get_yticks()[:3]))
    whiskers = [list(one.get_xdata()) for one in ax.lines if one.get_gid() == "interval"]
    assert whiskers == [[60.0, 80.0], [45.0, 59.0]]
    assert [one.get_text() for one in ax.texts if one.get_gid() == "aside"] == ["40 of 100", "100", "100", "0 of 100", "n"]
    assert [one.get_text() for one in ax.texts if one.get_gid() != "aside"] == ["undefined", "ideal 50"]


def test_the_whole_and_the_ideal_are_lines() -> None:
    ax = drawing(ROWS)
    assert whole_lines(ax, "whole") == [55.0] and whole_lines(ax, "ideal") == [50.0]
    assert key(ax) == ["away from the ideal", "interval holds the ideal", "no interval", "all records: 55"]
    assert not key(drawing(RATES))


def test_all_records_stand_apart_and_are_no_group() -> None:
    ax = drawing([*RATES, row("group", "all records", 0.4, 0.3, 0.5, NAN)])
    assert [one.get_text() for one in ax.get_yticklabels()] == ["all records", "b", "a"]
    assert [bar.get_width() for bar in ax.patches] == [0.4, 0.5, 0.2]
    assert to_hex(ax.patches[0].get_facecolor()) == "#ffffff" != to_hex(ax.patches[1].get_facecolor())
    (border,) = [one.get_ydata()[0] for one in ax.lines if one.get_gid() == "apart"]
    assert ax.get_yticks()[0] < border < ax.get_yticks()[1]
    assert whole_lines(ax, "whole") == [0.4] and key(ax) == ["all records: 0.4"]
    assert ax.get_title(loc="left") == "Of 2 groups b (0.5) is highest, a (0.2) is lowest"
    assert ax.get_xlabel().endswith("the score made of them is 0.3 [0.1, 0.5]")


def test_what_lies_away_is_hatched() -> None:
    high, middle, low = drawing(ROWS).patches
    assert (high.get_hatch(), middle.get_hatch() or "", low.get_hatch()) == (AWAY_HATCH, "", BARE_HATCH)
    assert len({to_hex(one.get_facecolor()) for one in (high, middle, low)}) == 3


def test_the_title_says_what_is_seen() -> None:
    said = drawing(ROWS).get_title(loc="left").replace("\n", " ")
    counts = "Of 4 groups 1 lies away from its ideal, 1 does not, 1 has no interval and 1 is undefined"
    assert said == f"{counts}; furthest is low (20)"
    assert drawing(RATES).get_title(loc="left") == "Of 2 groups b (0.5) is highest, a (0.2) is lowest"


@pytest.mark.parametrize(
    ("values", "ideal", "wanted"),
    [
        ([0.0, 0.0], 0.0, "No group has an interval; all 2 lie at the ideal"),
        ([0.0], 0.0, "No group has an interval; its value is the ideal"),
        ([0.5, -0.5, 0.1], 0.0, "No group has an interval; furthest are g0 (0.5) and g1 (-0.5)"),
        ([0.5, -0.5, 0.5], 0.0, "No group has an interval; furthest are 3 groups"),
        ([0.5, 0.1, 0.1, 0.1], NAN, "Of 4 groups g0 (0.5) is highest, 3 groups (0.1) are lowest"),
        ([0.1, 0.1], NAN, "All 2 groups have the same value (0.1)"),
        ([0.1, NAN], NAN, "Only g0 (0.1) has a value; 1 undefined"),
    ],
    ids=["at the ideal", "one at the ideal", "two furthest", "three furthest", "several lowest", "all alike", "one"],
)
def test_the_title_names_nobody_who_is_not_alone(values: list[float], ideal: float, wanted: str) -> None:
    rows = [row("group", f"g{i}", value, NAN, NAN, ideal) for i, value in enumerate(values)]
    assert drawing(rows).get_title(loc="left").replace("\n", " ") == wanted


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
    assert ax.get_xlabel().endswith("the 40 furthest from the ideal; and 30 more in the table")
    assert ax.get_title(loc="left").replace("\n", " ").endswith("furthest is g69 (69)")


def test_of_many_groups_those_are_drawn_that_matter() -> None:
    near_one = [row("group", f"g{i:02}", 1.0 - i / 100, NAN, NAN, 1.0) for i in range(60)]
    ax = drawing(near_one)
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([1.0 - i / 100 for i in range(60 - MOST_GROUPS, 60)])
    rates = [row("group", f"g{i:02}", i / 100, NAN, NAN, NAN) for i in range(60)] + [row("group", "none", NAN, NAN, NAN, NAN)]
    ax = drawing(rates, most=5)
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([0.59, 0.58, 0.57, 0.01, 0.0])
    assert ax.get_xlabel().endswith("the 3 highest and the 2 lowest; and 56 more in the table")
    few = drawing([*rates[:3], rates[-1]], most=3)
    assert len(few.patches) == 3 and few.get_xlabel().endswith("and 1 more in the table")


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
