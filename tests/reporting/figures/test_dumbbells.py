"""Dumbbells: places of both models on either scale, the way of the arrow, and the difference in words."""

import math
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from matplotlib.axes import Axes

from fairbench.comparison import Difference
from fairbench.errors import FairbenchError
from fairbench.reporting.figures import style
from fairbench.reporting.figures.dumbbells import CLOSER, FURTHER, dumbbells
from fairbench.scores import Interval, Score


def score(value: float | None, ideal: float) -> Score:
    between = None if value is None else Interval(value - 4, value + 4, 0.95, "bootstrap")
    counts = {"n": 10, "n_total": 10, "n_records": 10}
    return Score(value=value, interval=between, p_value=None, p_method=None, unit="record", ideal=ideal, direction="", **counts)


def difference(metric: str, before: float | None, after: float | None, ideal: float = 50.0, task: str = "t") -> Difference:
    known = before is not None and after is not None
    moved = after - before if known else None
    return Difference(
        task=task,
        metric=metric,
        variant="",
        column=f"{task}/{metric}",
        kind="intrinsic",
        headline=True,
        baseline=score(before, ideal),
        model=score(after, ideal),
        difference=moved,
        interval=Interval(moved - 1, moved + 1, 0.95, "paired") if known else None,
        distance=abs(after - ideal) - abs(before - ideal) if known else None,
        verdict="differs" if known else "undefined",
    )


MIXED = [difference("share", 90.0, 60.0), difference("effect", 10.0, -20.0, 0.0), difference("none", None, 70.0)]
RANGES = {"t/share": (0.0, 100.0), "t/effect": (-math.inf, math.inf)}


def drawing(differences: list[Difference], **options: object) -> Axes:
    with style.drawn(8, 3) as ax:
        assert dumbbells(differences, ax, **options) is ax
    return ax


def dots(ax: Axes, gid: str) -> list[float]:
    return [float(one.get_xdata()[0]) for one in ax.lines if one.get_gid() == gid]


def arrows(ax: Axes) -> list[tuple[float, float]]:
    return [(float(one.xyann[0]), float(one.xy[0])) for one in ax.texts if one.get_gid() == "arrow"]


def test_metrics_of_several_scales_are_shares_of_the_largest_distance() -> None:
    ax = drawing(MIXED, ranges=RANGES)
    # share: (90 - 50) / 50 and (60 - 50) / 50; effect, without bound, by the larger distance, 20; so is what has one score only
    assert dots(ax, "before") == pytest.approx([0.8, 0.5])
    assert dots(ax, "after") == pytest.approx([0.2, -1.0, 1.0])
    assert arrows(ax) == [pytest.approx((0.8, 0.2)), pytest.approx((0.5, -1.0))]
    whiskers = [list(one.get_xdata()) for one in ax.lines if one.get_gid() == "interval"]
    assert whiskers[:4] == [pytest.approx(x) for x in ([0.72, 0.88], [0.12, 0.28], [0.3, 0.7], [-1.2, -0.8])]
    assert dots(ax, "ideal") == [0.0]
    assert "share of the largest that the metric can have\n(where no bound is known" in ax.get_xlabel()


def test_one_metric_keeps_its_own_scale() -> None:
    ax = drawing([difference("share", 90.0, 60.0, task="a"), difference("share", 40.0, 45.0, task="b")])
    assert dots(ax, "before") == [90.0, 40.0] and dots(ax, "after") == [60.0, 45.0]
    assert dots(ax, "ideal") == [50.0]
    assert ax.get_xlabel().startswith("share\n")
    assert [one.get_text() for one in ax.get_yticklabels()] == ["a", "b"]


def test_colours_follow_the_distance_from_the_ideal() -> None:
    ax = drawing(MIXED, ranges=RANGES)
    assert [one.get_color() for one in ax.lines if one.get_gid() == "after"] == [CLOSER, FURTHER, style.FAINT]


def test_the_difference_stands_at_the_right_on_the_metrics_own_scale() -> None:
    said = [one.get_text() for one in drawing(MIXED).texts if one.get_gid() == "aside"]
    assert said == ["-30 [-31, -29] *", "-30 [-31, -29] *", "undefined", "difference"]
    (plus, _) = [one.get_text() for one in drawing([difference("a", 1.0, 3.0)]).texts if one.get_gid() == "aside"]
    assert plus == "+2 [1, 3] *"


def test_the_title_counts_all() -> None:
    said = drawing(MIXED, names=("old", "new"), most=1).get_title(loc="left").replace("\n", " ")
    assert said == "new is closer to the ideal than old in 1 of 2 scores, further in 1; 2 differ by the test; 1 undefined"
    assert drawing(MIXED, most=1).get_xlabel().endswith("and 2 more in the table")


def test_a_score_that_stays_has_no_arrow_and_one_without_any_is_undefined() -> None:
    ax = drawing([difference("a", 50.0, 50.0), difference("b", None, None)])
    assert arrows(ax) == []
    key = {one.get_label(): one.get_color() for one in ax.get_figure().legends[0].legend_handles}
    assert key["no nearer and no further"] == style.INK and key["not compared"] == style.FAINT
    assert [one.get_text() for one in ax.texts if one.get_gid() is None and one.get_text() == "undefined"] == ["undefined"]
    assert dots(ax, "before") == [0.0]


def test_swapping_the_models_mirrors_the_arrows() -> None:
    swapped = [replace(one, baseline=one.model, model=one.baseline) for one in MIXED[:2]]
    there, back = arrows(drawing(MIXED[:2], ranges=RANGES)), arrows(drawing(swapped, ranges=RANGES))
    assert [(end, start) for start, end in back] == [pytest.approx(pair) for pair in there]


def test_a_metric_without_an_ideal_has_no_place_but_its_difference() -> None:
    one = difference("a", 10.0, 20.0)
    ax = drawing([replace(one, baseline=replace(one.baseline, ideal=None), model=replace(one.model, ideal=None)), MIXED[0]])
    assert len(dots(ax, "before")) == 1
    assert next(one.get_text() for one in ax.texts if one.get_gid() == "aside").startswith("+10 ")


def test_hostile_names_stay_text_and_the_drawing_is_the_same() -> None:
    hostile = [difference(name, 90.0, 60.0) for name in ("<script>", "$x$", "w" * 10_000)]
    drawings = [style.svg(drawing(hostile, names=("<b>old</b>", "\u202e$new$"))) for _ in range(2)]
    assert drawings[0] == drawings[1]
    words = {text for text in ElementTree.fromstring(drawings[0]).itertext() if text.strip()}
    assert {"t <script>", "t $x$", "<b>old</b>", "$new$"} <= words


def test_no_difference_is_refused() -> None:
    with style.drawn(4, 3) as ax, pytest.raises(FairbenchError, match="nothing to draw"):
        dumbbells([], ax)
