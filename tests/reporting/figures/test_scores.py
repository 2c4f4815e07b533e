"""The forest of scores: places of markers and whiskers, counts, and what is said."""

import itertools
import math
from xml.etree import ElementTree

import pandas as pd
import pytest
from matplotlib.axes import Axes

from fairbench.errors import FairbenchError
from fairbench.reporting.figures import style
from fairbench.reporting.figures.scores import scores

SAME = {
    "task": "pairs",
    "metric": "share",
    "variant": "",
    "column": "pairs/share",
    "title": "Share",
    "direction": "larger = more",
}
SAME |= {"level": 0.95, "ideal": 50.0, "floor": math.nan, "n_total": 100, "limited": False}


def row(model: str, value: float, low: float, high: float, **more: object) -> dict[str, object]:
    return {**SAME, "model": model, "value": value, "low": low, "high": high, "n": 100, **more}


ROWS = [
    row("away", 70.0, 60.0, 80.0, n=90),
    row("near", 52.0, 45.0, 59.0),
    row("bare", 40.0, math.nan, math.nan, limited=True),
    row("none", math.nan, math.nan, math.nan),
]


def drawing(rows: list[dict[str, object]], **options: int) -> Axes:
    with style.drawn(7, 3) as ax:
        assert scores(pd.DataFrame(rows), ax, **options) is ax
    return ax


def lines(ax: Axes, gid: str) -> list[tuple[list[float], list[float]]]:
    return [(list(map(float, one.get_xdata())), list(map(float, one.get_ydata()))) for one in ax.lines if one.get_gid() == gid]


def asides(ax: Axes) -> list[str]:
    return [one.get_text() for one in ax.texts if one.get_gid() == "aside"]


def test_every_artist_stands_where_its_number_is() -> None:
    ax = drawing(ROWS)
    places = list(map(float, ax.get_yticks()))
    assert [one.get_text() for one in ax.get_yticklabels()] == ["away", "near", "bare", "none"]
    assert lines(ax, "score") == [([70.0], [places[0]]), ([52.0], [places[1]]), ([40.0], [places[2]])]
    assert lines(ax, "interval") == [([60.0, 80.0], [places[0]] * 2), ([45.0, 59.0], [places[1]] * 2)]
    assert [x for x, _ in lines(ax, "ideal")] == [[50.0, 50.0]]
    assert asides(ax) == ["90 of 100", "100", "100", "100", "n"]
    (undefined,) = [one for one in ax.texts if one.get_text() == "undefined"]
    assert undefined.get_position()[1] == places[3]
    assert ax.get_ylim()[0] > places[3] > places[0] > ax.get_ylim()[1]


def test_what_lies_away_is_filled_and_a_trial_has_another_shape() -> None:
    ax = drawing([*ROWS, row("trial", 52.0, 45.0, 59.0, limited=True), row("free", 52.0, 45.0, 59.0, ideal=math.nan)])
    away, near, bare, trial, free = [one for one in ax.lines if one.get_gid() == "score"]
    faces = [one.get_markerfacecolor() for one in (away, near, trial, free)]
    assert faces == [style.COLOURS[0], "white", "white", style.PALE]
    assert [one.get_marker() for one in (away, near, bare, trial, free)] == ["o", "o", "x", "D", "o"]
    assert bare.get_color() == style.FAINT
    assert lines(ax, "trial") == lines(ax, "score")[2:3], "a trial without an interval has its diamond round the cross"
    key = [one.get_label() for one in ax.get_figure().legends[0].legend_handles]
    assert key == ["away from the ideal", "interval holds the ideal", "no interval", "no ideal", "trial over some records"]


def test_the_title_says_what_is_seen() -> None:
    said = drawing(ROWS).get_title(loc="left").replace("\n", " ")
    wanted = "Of 4 scores 1 lies away from its ideal, 1 does not, 1 has no interval and 1 is undefined"
    assert said == f"{wanted} (1 over some of the records only)"
    assert drawing(ROWS[2:]).get_title(loc="left").startswith("No score has an interval, 1 is undefined")
    assert drawing(ROWS[:2]).get_title(loc="left") == "1 of 2 scores lies away from its ideal"
    bare = drawing([ROWS[0], *[row(name, 40.0, math.nan, math.nan) for name in "ab"]]).get_title(loc="left")
    assert bare == "Of 3 scores 1 lies away from its ideal and 2 have no interval"


def test_what_stands_above_the_counts_touches_nothing() -> None:
    ax = drawing([row("a", 1.0, 0.5, 2.0, ideal=2.0), row("b", 0.002, 0.001, 0.003, ideal=2.0)])
    style.svg(ax)  # settles the layout
    (header,) = [one for one in ax.texts if one.get_text() == "n"]
    others = [*ax.get_xticklabels(), *(one for one in ax.texts if one is not header)]
    assert len(others) > 5
    assert not [one.get_text() for one in others if one.get_window_extent().overlaps(header.get_window_extent())]


def test_no_backticks_of_the_docs_reach_the_paper() -> None:
    said = drawing([row("a", 70.0, 60.0, 80.0, direction="larger = more; by chance `floor`")]).get_xlabel()
    assert "by chance floor" in said and "`" not in said


def test_the_axis_says_what_the_numbers_are() -> None:
    label = drawing(ROWS).get_xlabel()
    assert label.split("\n") == ["Share", "larger = more", "lines: 95 % intervals"]


def test_an_interval_that_ends_at_the_ideal_holds_it() -> None:
    assert drawing([row("a", 55.0, 50.0, 60.0)]).get_title(loc="left") == "0 of 1 scores lie away from their ideal"


def test_rows_of_several_ideals_have_one_each() -> None:
    ax = drawing([row("a", 70.0, 60.0, 80.0), row("b", 70.0, 60.0, 80.0, ideal=100.0)])
    assert [x for x, _ in lines(ax, "ideal")] == [[50.0, 50.0], [100.0, 100.0]]
    assert all(low < place < high for (_, (low, high)), place in zip(lines(ax, "ideal"), ax.get_yticks(), strict=True))


def test_the_floor_of_an_unsigned_figure_is_marked() -> None:
    ax = drawing([row("a", 0.3, 0.1, 0.5, ideal=0.0, floor=0.2)])
    assert [x for x, _ in lines(ax, "floor")] == [[0.2]]
    assert "by chance alone" in [one.get_label() for one in ax.get_figure().legends[0].legend_handles]


def test_rows_are_told_apart_by_what_differs() -> None:
    several = [row("m", 1.0, 0.0, 2.0, task=task, column=f"{task}/share@k=1", variant="k=1") for task in ("one", "two")]
    ax = drawing(several)
    assert [one.get_text() for one in ax.get_yticklabels()] == ["one", "two"]
    assert ax.get_xlabel().endswith("m, k=1")


def test_more_rows_than_fit_are_counted() -> None:
    many = [row(f"m{i}", 70.0, 60.0, 80.0) for i in range(83)]
    ax = drawing(many, most=60)
    assert len(lines(ax, "score")) == 60
    assert ax.get_xlabel().endswith("and 23 more in the table")
    assert ax.get_title(loc="left") == "83 of 83 scores lie away from their ideal"
    assert 15 < ax.get_figure().get_figheight() < 25


def test_an_interval_without_bound_ends_at_the_edge() -> None:
    ax = drawing([row("a", 70.0, 60.0, math.inf), row("b", 40.0, 30.0, 90.0)])
    ((_, high), _), _ = lines(ax, "interval")
    assert high == ax.get_xlim()[1]


def test_labels_do_not_overlap() -> None:
    names = ["w" * 10_000, "a b " * 500, "short", *(f"model-{i}" for i in range(37))]
    ax = drawing([row(name, 70.0, 60.0, 80.0) for name in names])
    style.svg(ax)  # settles the layout
    boxes = [one.get_window_extent() for one in ax.get_yticklabels()]
    assert all(upper.y0 >= lower.y1 for upper, lower in itertools.pairwise(boxes))
    assert min(box.x0 for box in boxes) >= 0


def test_hostile_names_stay_text() -> None:
    names = ["<script>alert(1)</script>", "$x$", "\u202eback", "a\x00b", ""]
    root = ElementTree.fromstring(style.svg(drawing([row(name, 70.0, 60.0, 80.0) for name in names])))
    words = [text for text in root.itertext() if text.strip()]
    assert {"<script>alert(1)</script>", "$x$", "back", "ab", "default"} <= set(words)
    assert not [element for element in root.iter() if "script" in element.tag]


def test_the_drawing_is_the_same_each_time() -> None:
    assert style.svg(drawing(ROWS)) == style.svg(drawing(ROWS))


def test_nothing_and_foreign_tables_are_refused() -> None:
    with style.drawn(4, 3) as ax:
        with pytest.raises(FairbenchError, match="nothing to draw"):
            scores(pd.DataFrame(ROWS).head(0), ax)
        with pytest.raises(FairbenchError, match="'value'"):
            scores(pd.DataFrame(ROWS).drop(columns="value"), ax)
