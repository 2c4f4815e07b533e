"""The heat map: shades, values in cells, what is undefined, and whether the text can be read."""

import math
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from fairbench.errors import FairbenchError
from fairbench.reporting.figures import style
from fairbench.reporting.figures.heatmap import heatmap, ink_on, reach, shades, told_apart

NAN = math.nan


def row(model: str, metric: str, value: float, ideal: float = 50.0, least: float = 0.0, most: float = 100.0) -> dict[str, object]:
    places = {"model": model, "task": "t", "metric": metric, "variant": "", "column": f"t/{metric}"}
    return {**places, "value": value, "distance": abs(value - ideal), "ideal": ideal, "least": least, "most": most}


ROWS = [
    row("a", "share", 90.0),
    row("b", "share", 50.0),
    row("a", "effect", 2.0, 0.0, -math.inf, math.inf),
    row("b", "effect", -0.5, 0.0, -math.inf, math.inf),
    row("a", "rate", NAN, 0.0, 0.0, 1.0),
    row("a", "alone", 7.0, 0.0, NAN, NAN),
]


def drawing(rows: list[dict[str, object]], **options: int) -> Axes:
    with style.drawn(7, 3) as ax:
        assert heatmap(pd.DataFrame(rows), ax, **options) is ax
    return ax


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Contrast ratio of WCAG 2, from its definition."""

    def luminance(colour: tuple[float, ...]) -> float:
        linear = np.where(
            np.array(colour[:3]) <= 0.04045, np.array(colour[:3]) / 12.92, ((np.array(colour[:3]) + 0.055) / 1.055) ** 2.4
        )
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_shades_are_shares_of_the_largest_distance() -> None:
    drawn = np.ma.filled(drawing(ROWS).collections[0].get_array(), NAN)
    # share: 40 and 0 of 50; effect has no bound: 2 and 0.5 of 2; rate is undefined; alone has nothing to be compared with
    np.testing.assert_allclose(drawn, [[0.8, 0.0], [1.0, 0.25], [NAN, NAN], [NAN, NAN]])


def test_cells_hold_their_values_and_undefined_ones_are_hatched() -> None:
    ax = drawing(ROWS)
    places = list(ax.get_yticks())
    cells = {one.get_position(): one.get_text() for one in ax.texts if one.get_gid() == "cell" and one.get_text()}
    wanted = {(0, 0): "90", (1, 0): "50", (0, 1): "2", (1, 1): "-0.5", (0, 3): "7"}
    assert cells == {(x, places[i]): said for (x, i), said in wanted.items()}
    (hatched,) = [one for one in ax.patches if one.get_gid() == "undefined"]
    assert hatched.get_hatch() and (hatched.get_x(), hatched.get_width()) == (-0.5, 1)
    assert hatched.get_y() < places[2] < hatched.get_y() + hatched.get_height()


def test_cells_lie_where_their_labels_are() -> None:
    rows = [row("a", metric, 90.0) for metric in ("x", "many words " * 9, "y")]
    ax = drawing(rows)
    edges = ax.collections[0].get_coordinates()[:, 0, 1]
    assert np.all(edges[:-1] < ax.get_yticks()) and np.all(ax.get_yticks() < edges[1:])
    assert edges[0] == 0.0 and edges[-1] == pytest.approx(ax.get_ylim()[0])


def test_rows_name_their_column_and_ideal() -> None:
    ax = drawing(ROWS)
    assert [one.get_text() for one in ax.get_yticklabels()] == ["t share", "t effect †", "t rate", "t alone †"]
    assert [one.get_text() for one in ax.get_xticklabels()] == ["a", "b"]
    assert [one.get_text() for one in ax.texts if one.get_gid() == "aside"] == ["50", "0", "0", "0", "ideal"]


def test_the_title_counts_only_what_has_a_bound() -> None:
    said = drawing(ROWS).get_title(loc="left").replace("\n", " ")
    assert said == "1 of 2 scores lie more than half as far from their ideal as they can; 1 undefined"
    assert drawing(ROWS[2:4]).get_title(loc="left") == "2 scores of 2 models, none of which has a bound"


@pytest.mark.parametrize(
    ("between", "wanted"), [((50, 0, 100), 50), ((0, -2, 2), 2), ((100, 0, 100), 100), ((0, 0, math.inf), None)]
)
def test_the_largest_distance_by_hand(between: tuple[float, float, float], wanted: float | None) -> None:
    assert reach(*between) == wanted


def test_every_shade_leaves_its_text_readable_and_is_darker_than_the_one_before() -> None:
    all_shades = [shades()(share) for share in np.linspace(0, 1, 101)]
    assert min(contrast(shade, mpl.colors.to_rgb(ink_on(shade))) for shade in all_shades) >= 4.5
    against_white = [contrast(shade, (1.0, 1.0, 1.0)) for shade in all_shades]
    assert all(np.diff(against_white) > -1e-9)


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["short", "other"], ["short", "other"]),
        (["same", "same"], ["same", "same"]),
        (["abcdefghijk-one-uvwxyz", "abcdefghijk-two-uvwxyz"], ["…ijk-on…yz", "…ijk-tw…yz"]),
        ([f"{'a' * 20}{middle}{'z' * 20}" for middle in "pq"], ["…aaaapz…zz", "…aaaaqz…zz"]),
    ],
    ids=["as they are", "no difference", "by what follows", "by one letter"],
)
def test_names_that_differ_stay_different(names: list[str], wanted: list[str]) -> None:
    assert told_apart(names, 10) == wanted


def test_names_that_no_cut_tells_apart_are_numbered() -> None:
    said = told_apart([f"m{'x' * 30}{one}{'y' * 30}{other}" for one in "pq" for other in "rs"], 8)
    assert len(set(said)) == 4


def test_the_text_of_cells_fits_into_them() -> None:
    rng = np.random.default_rng(0)
    rows = [row(f"m{i}", f"x{j}", float(10.0 ** rng.uniform(-6, 6)), 0.0, NAN, NAN) for i in range(16) for j in range(5)]
    ax = drawing(rows)
    style.svg(ax)  # settles the layout
    left, right = (ax.transData.transform((x, 0))[0] for x in (0, 1))
    assert max(one.get_window_extent().width for one in ax.texts if one.get_gid() == "cell") <= right - left


def test_more_than_fits_is_counted() -> None:
    rows = [row(f"m{i}", f"x{j}", 60.0) for i in range(20) for j in range(30)]
    ax = drawing(rows, most=25)
    assert ax.collections[0].get_array().shape == (25, 16)
    assert ax.get_xlabel() == "and 5 more rows and 4 more models in the table"
    assert ax.get_title(loc="left").startswith("0 of 600 scores")


def test_hostile_names_stay_text_and_the_drawing_is_the_same() -> None:
    rows = [row(model, metric, 90.0) for model in ("<script>", "\u202eback") for metric in ("$x$", "w" * 10_000, "a\x00b")]
    drawings = [style.svg(drawing(rows)) for _ in range(2)]
    assert drawings[0] == drawings[1]
    words = {text for text in ElementTree.fromstring(drawings[0]).itertext() if text.strip()}
    assert {"<script>", "back", "t $x$", "t ab"} <= words
    assert "<image" not in drawings[0]


def test_nothing_and_foreign_tables_are_refused() -> None:
    with style.drawn(4, 3) as ax:
        with pytest.raises(FairbenchError, match="nothing to draw"):
            heatmap(pd.DataFrame(ROWS).head(0), ax)
        with pytest.raises(FairbenchError, match="'least'"):
            heatmap(pd.DataFrame(ROWS).drop(columns="least"), ax)
