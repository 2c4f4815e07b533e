"""Intrinsic against extrinsic scores: correlations in cells, marks, and the points of one of them."""

import math
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.axes import Axes

from fairbench.comparison.correlation import CorrelationOptions, Correlations, Pair
from fairbench.errors import FairbenchError
from fairbench.reporting.figures import style
from fairbench.reporting.figures.heatmap import ink_on
from fairbench.reporting.figures.matrix import (
    ASLANT,
    MOST_COLUMNS,
    MOST_NAMED,
    column_names,
    correlation_colours,
    matrix,
    scatter,
)


def pair(intrinsic: str, extrinsic: str, r: float | None, q: float | None = None, n: int = 5) -> Pair:
    numbers = {f"{kind}_{name}": value for kind in ("pearson", "spearman") for name, value in (("p", q), ("q", q))}
    if r is not None:
        numbers |= {"pearson_low": r - 0.1, "pearson_high": r + 0.1, "spearman": -r}
    points = {
        "x": tuple(map(float, range(n))),
        "y": tuple(float(i * i) for i in range(n)),
        "labels": tuple(f"m{i}" for i in range(n)),
    }
    why = None if r is not None else "all scores are the same"
    return Pair(
        intrinsic=intrinsic,
        extrinsic=extrinsic,
        notion=None,
        configuration=None,
        n=n,
        pearson=r,
        undefined=why,
        **numbers,
        **points,
    )


PAIRS = (
    pair("a/x", "e/y", 0.75, 0.01),
    pair("a/x", "f/z@k=1", -0.5, 0.2),
    pair("b/x", "e/y", None),
    pair("c/x", "f/z@k=1", -0.9, 0.04),
)


def correlations(pairs: tuple[Pair, ...]) -> Correlations:
    sides = {side: tuple(dict.fromkeys(getattr(one, side) for one in pairs)) for side in ("intrinsic", "extrinsic")}
    return Correlations(pairs=pairs, **sides, models=("m",), n=5, options=CorrelationOptions(), orientation={})


def drawing(pairs: tuple[Pair, ...], **options: object) -> Axes:
    with style.drawn(7, 3) as ax:
        assert matrix(correlations(pairs), ax, **options) is ax
    return ax


def points(one: Pair, **options: object) -> Axes:
    with style.drawn(6, 4) as ax:
        assert scatter(one, ax, **options) is ax
    return ax


def test_cells_hold_their_correlations() -> None:
    ax = drawing(PAIRS)
    nan = math.nan
    np.testing.assert_array_equal(np.ma.filled(ax.collections[0].get_array(), nan), [[0.75, -0.5], [nan, nan], [nan, -0.9]])
    said = [(one.get_position()[0], one.get_text()) for one in ax.texts if one.get_gid() == "cell" and one.get_text()]
    assert said == [(0, "+0.75*\n[0.65, 0.85]"), (1, "−0.50\n[−0.60, −0.40]"), (1, "−0.90*\n[−1.00, −0.80]")]
    assert len([one for one in ax.patches if one.get_gid() == "undefined"]) == 1
    assert [one.get_text() for one in ax.get_yticklabels()] == ["a x", "b x", "c x"]
    assert [one.get_text() for one in ax.get_xticklabels()] == ["e y", "f z @ k=1"]


def test_the_other_measure_has_its_own_numbers() -> None:
    cells = [one.get_text() for one in drawing(PAIRS, measure="spearman").texts if one.get_gid() == "cell" and one.get_text()]
    assert cells == ["−0.75*", "+0.50", "+0.90*"]


def test_the_title_says_what_is_seen() -> None:
    said = drawing(PAIRS).get_title(loc="left").replace("\n", " ")
    assert (
        said
        == "2 of 3 correlations of intrinsic and extrinsic scores are beyond chance (q < 0.05), 1 of them negative; 1 undefined"
    )
    assert drawing(PAIRS[2:3]).get_title(loc="left").replace("\n", " ").startswith("None of 1 correlations")


def test_the_stronger_the_darker_on_both_sides_and_text_is_readable() -> None:
    def luminance(colour: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    shades = [correlation_colours()(place) for place in np.linspace(0, 1, 47)]
    lights = [luminance(shade) for shade in shades]
    assert all(np.diff(lights[:24]) > 0) and all(np.diff(lights[23:]) < 0)
    assert lights[23] > 0.9 and max(lights[0], lights[-1]) < 0.05
    negative, positive = np.array(lights[:23]), np.array(lights[:23:-1])
    assert abs(negative - positive).max() < 0.1, "as strong on one side as on the other"
    assert all(shade[2] > shade[0] for shade in shades[:20]) and all(shade[0] > shade[2] for shade in shades[27:])
    ratios = [
        (light + 0.05) / 0.05 if ink_on(shade) == "#000000" else 1.05 / (light + 0.05)
        for light, shade in zip(lights, shades, strict=True)
    ]
    assert min(ratios) >= 4.5


def test_what_is_not_there_is_not_explained() -> None:
    def said(ax: Axes) -> str:
        (bar,) = [one for one in ax.get_figure().axes if one is not ax]
        return bar.get_xlabel()

    assert "in brackets the 95 % interval" in said(drawing(PAIRS)) and "* q < 0.05" in said(drawing(PAIRS))
    bare = tuple(replace(one, pearson_low=None, pearson_high=None, pearson_q=None) for one in PAIRS)
    assert "brackets" not in said(drawing(bare)) and "*" not in said(drawing(bare))
    assert "brackets" not in said(drawing(PAIRS, measure="spearman"))


def test_column_names_keep_their_metric_and_stay_different() -> None:
    names = [f"planted_prompts/gender_polarity_{kind}_gap" for kind in ("female", "male")]
    names += ["planted_prompts/gender_polarity_gap@metric.first=female,metric.second=male", "t/x", "u/x"]
    said = column_names(names)
    assert len(set(said)) == len(said) and max(map(len, said)) <= ASLANT
    assert said[0].endswith(" gender_polarity_female_gap") and said[1].endswith(" gender_polarity_male_gap")
    assert " gender_polarity_gap @ " in said[2]
    assert said[3:] == ["t x", "u x"]
    long = [f"{'w' * 40}{i}{'v' * 40}/x" for i in range(6)]
    labels = [one.get_text() for one in drawing(tuple(pair("a/x", name, 0.5) for name in long)).get_xticklabels()]
    assert len(set(labels)) == 6


def test_more_than_fits_is_counted() -> None:
    many = tuple(pair(f"i{i}", f"e{j}", 0.5) for i in range(6) for j in range(MOST_COLUMNS + 2))
    ax = drawing(many, most=4)
    assert ax.collections[0].get_array().shape == (4, MOST_COLUMNS)
    assert ax.get_xlabel() == "and 2 more intrinsic and 2 more extrinsic scores in the table"


def test_points_of_a_pair() -> None:
    ax = points(PAIRS[0])
    assert [(float(one.get_xdata()[0]), float(one.get_ydata()[0])) for one in ax.lines] == [
        (float(i), float(i * i)) for i in range(5)
    ]
    assert [one.get_label() for one in ax.get_figure().legends[0].legend_handles] == [f"m{i}" for i in range(5)]
    assert ax.get_xlabel().startswith("intrinsic: a x") and ax.get_ylabel().startswith("extrinsic: e y")


@pytest.mark.parametrize(
    ("one", "wanted"),
    [
        (PAIRS[0], "Models with more intrinsic bias have more extrinsic bias (r = 0.75 [0.65, 0.85], n = 5, p = 0.01)"),
        (PAIRS[3], "Models with more intrinsic bias have less extrinsic bias (r = -0.90 [-1.00, -0.80], n = 5, p = 0.04)"),
        (
            PAIRS[1],
            "No relation of intrinsic and extrinsic bias is seen beyond chance (r = -0.50 [-0.60, -0.40], n = 5, p = 0.2)",
        ),
        (PAIRS[2], "No correlation over 5 models: all scores are the same"),
    ],
    ids=["more", "less", "none", "undefined"],
)
def test_the_title_of_a_pair(one: Pair, wanted: str) -> None:
    assert points(one).get_title(loc="left").replace("\n", " ") == wanted


def test_more_models_than_have_a_sign_are_counted() -> None:
    ax = points(pair("a/x", "e/y", 0.5, 0.2, n=MOST_NAMED + 3))
    assert len(ax.lines) == MOST_NAMED + 3
    assert ax.get_figure().legends[0].legend_handles[-1].get_label() == "and 3 more in the table"


def test_hostile_names_stay_text_and_the_drawings_are_the_same() -> None:
    hostile = tuple(
        replace(one, intrinsic=name) for one, name in zip(PAIRS, ("<script>", "$x$", "w" * 10_000, "\u202eback"), strict=True)
    )
    drawings = [style.svg(drawing(hostile)) for _ in range(2)]
    assert drawings[0] == drawings[1]
    assert "<image" not in drawings[0]
    words = {text for text in ElementTree.fromstring(drawings[0]).itertext() if text.strip()}
    assert {"<script>", "$x$", "back"} <= words
    cloud = style.svg(points(replace(PAIRS[0], labels=("<i>", "$y$", "\x00", "m" * 10_000, "n"))))
    assert {"<i>", "$y$", "no name"} <= set(ElementTree.fromstring(cloud).itertext())


def test_nothing_is_refused() -> None:
    with style.drawn(4, 3) as ax:
        with pytest.raises(FairbenchError, match="nothing to draw"):
            matrix(correlations(()), ax)
        with pytest.raises(FairbenchError, match="nothing to draw"):
            scatter(replace(PAIRS[0], x=(), y=(), labels=()), ax)
