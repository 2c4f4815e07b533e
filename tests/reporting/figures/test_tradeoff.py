"""Bias against utility: places of models, seeds and means, the front as steps, and the key."""

from xml.etree import ElementTree

import pytest
from matplotlib.axes import Axes

from fairbench.comparison.tradeoff import Point, Tradeoff
from fairbench.errors import FairbenchError
from fairbench.reporting.figures import style
from fairbench.reporting.figures.tradeoff import MOST_NAMED, tradeoff


def point(label: str, bias: float, utility: float, **more: object) -> Point:
    plain = {"group": label, "seed": None, "bias_score": bias, "to_ideal": bias + utility}
    ends = {"bias_low": bias - 1, "bias_high": bias + 1, "utility_low": utility - 2, "utility_high": utility + 2}
    return Point(**{"label": label, "bias": bias, "utility": utility, **plain, **ends, **more})


BARE = {"bias_low": None, "bias_high": None, "utility_low": None, "utility_high": None}
POINTS = (
    point("base", 20.0, 16.0, on_front=True),
    point("cda s1", 8.0, 19.0, group="cda", seed="1"),
    point("cda s2", 12.0, 17.0, group="cda", seed="2"),
    point("cda", 10.0, 18.0, on_front=True, mean=True, seeds=2, bias_sd=2.5, utility_sd=1.5, **BARE),
    point("beaten", 22.0, 19.0, **BARE),
)


def trade(points: tuple[Point, ...], **more: object) -> Tradeoff:
    words = {
        "bias": "t/x",
        "utility": "t/perplexity",
        "bias_title": "Share",
        "utility_title": "Perplexity",
        "scaling": "by the baseline",
    }
    numbers = {"bias_ideal": 50.0, "utility_ideal": 1.0, "bias_scale": 20.0, "utility_scale": 16.0}
    return Tradeoff(**{"points": points, **words, **numbers, **more})


def drawing(points: Tradeoff, **options: object) -> Axes:
    with style.drawn(7, 4) as ax:
        assert tradeoff(points, ax, **options) is ax
    return ax


def lines(ax: Axes, gid: str) -> list[tuple[list[float], list[float]]]:
    return [(list(map(float, one.get_xdata())), list(map(float, one.get_ydata()))) for one in ax.lines if one.get_gid() == gid]


def names(ax: Axes) -> list[str]:
    return [one.get_label() for one in ax.get_figure().legends[0].legend_handles]


def test_every_point_stands_where_its_numbers_are() -> None:
    ax = drawing(trade(POINTS))
    assert lines(ax, "seed") == [([8.0], [19.0]), ([12.0], [17.0])]
    assert lines(ax, "front") == [([20.0], [16.0]), ([10.0], [18.0])]
    assert lines(ax, "beaten") == [([22.0], [19.0])]


def test_crosses_are_intervals_and_of_a_mean_its_spread() -> None:
    crosses = lines(drawing(trade(POINTS)), "interval")
    assert crosses == [
        ([19.0, 21.0], [16.0, 16.0]),
        ([20.0, 20.0], [14.0, 18.0]),
        ([7.5, 12.5], [18.0, 18.0]),
        ([10.0, 10.0], [16.5, 19.5]),
    ]


def test_the_front_is_a_line_of_steps() -> None:
    ax = drawing(trade(POINTS))
    assert lines(ax, "front line") == [([10.0, 20.0], [18.0, 16.0])]
    assert next(one for one in ax.lines if one.get_gid() == "front line").get_drawstyle() == "steps-post"
    assert lines(drawing(trade(POINTS[:1])), "front line") == []


def test_the_key_numbers_the_front_first_and_then_from_the_nearest_on() -> None:
    ax = drawing(trade(POINTS))
    assert names(ax) == ["1 cda, mean of 2 seeds", "2 base", "3 beaten", "front: beaten by none on both"]
    numbers = {tuple(one.xy): one.get_text() for one in ax.texts}
    assert numbers == {(10.0, 18.0): "1", (20.0, 16.0): "2", (22.0, 19.0): "3"}


def test_a_model_on_the_front_is_named_however_far_it_is() -> None:
    many = tuple(point(f"m{i}", float(i), 40.0, to_ideal=float(i)) for i in range(40))
    ax = drawing(trade((*many, point("far", 90.0, 1.0, to_ideal=99.0, on_front=True))))
    assert names(ax)[0] == "1 far"


def test_the_title_says_what_is_seen() -> None:
    said = drawing(trade(POINTS, left_out={"m": "no perplexity"})).get_title(loc="left").replace("\n", " ")
    assert said == "2 of 3 models are beaten by none on both bias and utility; nearest to the ideal is cda; 1 left out"


@pytest.mark.parametrize(
    ("distances", "wanted"),
    [
        ([1.0, 1.02, 3.0], "; nearest to the ideal is m0"),
        ([1.00336, 1.00347, 3.0], "; nearest to the ideal are m0 and m1, about equally"),
        ([0.0, 0.0, 3.0], "; nearest to the ideal are m0 and m1, equally"),
        ([1.0, 1.0, 1.0, 3.0], ""),
        ([1.0, 1.001], ""),
        ([1.0], ""),
    ],
    ids=["one", "two nearly", "two", "three", "all", "alone"],
)
def test_only_what_is_nearest_is_called_so(distances: list[float], wanted: str) -> None:
    many = tuple(point(f"m{i}", float(i), 40.0 - i, to_ideal=far) for i, far in enumerate(distances))
    said = drawing(trade(many)).get_title(loc="left").replace("\n", " ")
    assert said == f"0 of {len(many)} models are beaten by none on both bias and utility{wanted}"


def test_points_on_each_other_are_both_seen_and_share_a_label() -> None:
    places = [(10.0, 16.0), (10.0, 16.0), (10.01, 16.0), (20.0, 20.0)]
    ax = drawing(trade(tuple(point(f"m{i}", x, y, to_ideal=float(i)) for i, (x, y) in enumerate(places))))
    assert [one.get_text() for one in ax.texts if one.get_gid() == "number"] == ["1, 2, 3", "4"]
    sizes = [one.get_markersize() for one in ax.lines if one.get_gid() == "beaten"]
    assert sizes[1] < sizes[0] == sizes[2] == sizes[3]


def test_the_axes_say_what_they_are() -> None:
    ax = drawing(trade(POINTS))
    assert ax.get_ylabel() == "Perplexity\n(ideal 1)"
    assert ax.get_xlabel().split("\n")[0] == "Share: distance from 50 (0 is the ideal)"
    assert "by the baseline" not in ax.get_xlabel(), "it stands in the caption"
    assert ax.get_xlabel().split("\n")[1] == "crosses: intervals; of a mean, its standard deviation over seeds"
    assert drawing(trade(POINTS[:1]), levels=[0.95, 0.9, 0.95]).get_xlabel().endswith("crosses: 90 % and 95 % intervals")
    assert "crosses" not in drawing(trade(POINTS[-1:])).get_xlabel()
    assert ax.get_xlim()[0] < 0


def test_the_ideal_of_utility_is_drawn_where_it_is_in_sight() -> None:
    assert [x for x, _ in lines(drawing(trade(POINTS)), "ideal")] == [[0.0, 0.0]]
    assert lines(drawing(trade(POINTS, utility_ideal=17.0)), "ideal")[0][1] == [17.0, 17.0]


def test_more_models_than_have_a_sign_are_counted() -> None:
    many = tuple(point(f"m{i}", float(i), 40.0 - i) for i in range(MOST_NAMED + 5))
    ax = drawing(trade(many))
    assert names(ax)[-1] == "and 5 more in the table" and len(names(ax)) == MOST_NAMED + 1
    assert len(lines(ax, "beaten")) == MOST_NAMED + 5
    named = [(one.get_color(), one.get_marker()) for one in ax.lines if one.get_gid() == "beaten"][:MOST_NAMED]
    assert len(set(named)) == MOST_NAMED


def test_hostile_names_stay_text_and_the_drawing_is_the_same() -> None:
    hostile = tuple(point(name, float(i), 1.0, to_ideal=None) for i, name in enumerate(("<script>", "$x$", "w" * 10_000)))
    drawings = [style.svg(drawing(trade(hostile, utility_title="<b>$u$"))) for _ in range(2)]
    assert drawings[0] == drawings[1]
    words = {text for text in ElementTree.fromstring(drawings[0]).itertext() if text.strip()}
    assert {"1 <script>", "2 $x$"} <= words


def test_no_model_is_refused() -> None:
    with style.drawn(4, 3) as ax, pytest.raises(FairbenchError, match="nothing to draw"):
        tradeoff(trade(()), ax)
