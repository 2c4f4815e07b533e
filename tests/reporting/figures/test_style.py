"""The look: safe text, files that are the same each time, drawings that can stand in one page."""

import io
import itertools
import re
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from PIL import Image

from fairbench.errors import FairbenchError
from fairbench.reporting.figures import style

HOSTILE = '</text><script>alert(1)</script> id="x" url(#y) $\\frac{1}{2}$ \u202eback\u202c \x00 & <!-- --> ]]>'


def picture(label: str = "a label") -> Axes:
    with style.drawn(4, 3) as ax:
        ax.plot([0, 1], [0, 1], marker="o", label=style.text(label))
        ax.legend()
        style.titled(ax, f"What is seen of {label}")
    return ax


def lightness(colour: str) -> float:
    """CIE L* of an sRGB colour, from its definition."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colors.to_rgb(colour)]
    y = float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
    return 116 * y ** (1 / 3) - 16 if y > 216 / 24389 else y * 24389 / 27


def test_text_is_one_worked_by_hand() -> None:
    assert style.text("one two three", 7) == "one two\nthree"
    assert style.text("a" * 20 + "z", 10) == "aaaaaaa…az"
    assert style.text("one two three four", 9, lines=1) == "one tw…ur"
    assert style.text("one two three four five six", 7, lines=2) == "one two\nthree …"
    assert style.text("") == ""
    assert style.text(3.5) == "3.5"


@given(st.text(), st.integers(6, 60), st.integers(1, 4))
@settings(max_examples=300, deadline=None)
def test_text_is_short_and_holds_no_control(value: str, width: int, lines: int) -> None:
    said = style.text(value, width, lines)
    assert said.count("\n") < lines
    assert all(len(line) <= width for line in said.split("\n"))
    assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Co", "Cn") for letter in said if letter != "\n")
    assert not set(said) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\ufeff")
    ElementTree.fromstring(f"<a>{said.replace('&', '&amp;').replace('<', '&lt;')}</a>")  # every letter is allowed in XML


def test_a_tower_of_marks_is_cut() -> None:
    assert style.text("e" + "\u0301" * 50) == "e\u0301\u0301"


def test_wide_letters_get_half_as_many() -> None:
    assert len(style.text("漢" * 40, 20)) == 10


def test_neighbouring_colours_differ_in_lightness() -> None:
    shades = [lightness(one) for one in style.COLOURS]
    assert min(abs(a - b) for a, b in itertools.pairwise(shades)) > 12
    assert len(set(style.COLOURS)) == 8


def test_faint_text_is_readable_on_white() -> None:
    for ink in (style.INK, style.FAINT):
        luminance = ((lightness(ink) + 16) / 116) ** 3
        assert 1.05 / (luminance + 0.05) >= 4.5


def test_no_pair_of_colour_and_marker_comes_back_for_64() -> None:
    assert len({(style.colour(i), style.marker(i)) for i in range(64)}) == 64
    assert len({(style.colour(i), style.hatch(i)) for i in range(64)}) == 64


@pytest.mark.parametrize("kind", style.KINDS)
def test_a_figure_gives_the_same_bytes(tmp_path: Path, kind: str) -> None:
    one, other = tmp_path / f"one{kind}", tmp_path / f"other{kind}"
    ax = picture()
    style.save(ax, one)
    style.save(ax, one.with_name(f"again{kind}"))
    style.save(picture(), other)
    assert one.read_bytes() == other.read_bytes() == one.with_name(f"again{kind}").read_bytes()
    assert re.search(rb"20\d\d-\d\d-\d\d|CreationDate|Matplotlib v", one.read_bytes()) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([f"one{kind}", f"again{kind}", f"other{kind}"])


def test_a_kept_png_is_a_picture(tmp_path: Path) -> None:
    style.save(picture(), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as kept:
        assert kept.size == (800, 600)
        assert len(np.unique(np.asarray(kept.convert("L")))) > 10


def test_letters_of_a_kept_svg_are_drawn(tmp_path: Path) -> None:
    style.save(picture(), tmp_path / "a.svg")
    assert "<text" not in (tmp_path / "a.svg").read_text()


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.svg.txt"])
def test_other_endings_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FairbenchError, match=r"\.svg, \.png, \.pdf"):
        style.save(picture(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_an_svg_of_a_page_is_bare_and_reaches_nowhere() -> None:
    drawing = style.svg(picture())
    assert drawing.startswith("<svg ")
    assert "<?xml" not in drawing and "DOCTYPE" not in drawing and "<style" not in drawing and "<metadata" not in drawing
    assert re.findall(r"[a-z]+://[^\"' <]+", drawing) == ["http://www.w3.org/2000/svg"]
    root = ElementTree.fromstring(drawing)
    assert root.get("width") == "100%" and root.get("height") is None
    assert root.get("viewBox") == "0 0 288 216"


def test_drawings_of_one_page_share_no_id() -> None:
    pages = [style.svg(picture(label)) for label in ("one", "other")]
    ids = [{element.get("id") for element in ElementTree.fromstring(page).iter() if element.get("id")} for page in pages]
    assert ids[0] and not ids[0] & ids[1]
    for page, own in zip(pages, ids, strict=True):
        root = ElementTree.fromstring(page)
        attributes = [value for element in root.iter() for value in element.attrib.values()]
        used = {name for value in attributes for name in re.findall(r"url\(#([^)]+)\)", value)}
        used |= {element.get("href", "#")[1:] for element in root.iter() if element.get("href")}
        assert used and used <= own
        assert len(attributes) and len(own) == sum(element.get("id") is not None for element in root.iter())


def test_hostile_text_stays_text() -> None:
    root = ElementTree.fromstring(style.svg(picture(HOSTILE)))
    assert {re.sub(r"{.*}", "", element.tag) for element in root.iter()} <= {
        "svg",
        "g",
        "defs",
        "path",
        "use",
        "text",
        "tspan",
        "clipPath",
        "rect",
    }
    words = "".join(root.itertext())
    for piece in ("<script>", 'id="x"', "url(#y)", "$\\frac{1}{2}$"):
        assert piece in words
    assert "\u202e" not in words


def test_the_same_figure_gives_the_same_svg() -> None:
    ax = picture()
    assert style.svg(ax) == style.svg(ax) == style.svg(picture())


def test_the_users_settings_are_left_alone_and_do_not_show() -> None:
    before = style.svg(picture())
    with mpl.rc_context({"axes.facecolor": "red", "font.size": 30, "svg.hashsalt": None}):
        kept = dict(mpl.rcParams)
        assert style.svg(picture()) == before
        assert dict(mpl.rcParams) == kept


def test_pyplot_knows_nothing_of_a_drawn_figure() -> None:
    import matplotlib.pyplot as plt

    picture()
    assert plt.get_fignums() == []


@pytest.mark.parametrize("horizontal", [False, True])
def test_the_ideal_is_a_labelled_dashed_line(horizontal: bool) -> None:
    with style.drawn(4, 3) as ax:
        style.ideal_line(ax, 50.0, horizontal=horizontal)
    (line,) = ax.lines
    assert set(line.get_ydata() if horizontal else line.get_xdata()) == {50.0}
    assert line.is_dashed()
    assert [one.get_text() for one in ax.texts] == ["ideal 50"]


def test_an_ideal_that_is_nowhere_is_not_drawn() -> None:
    with style.drawn(4, 3) as ax:
        style.ideal_line(ax, float("nan"))
        style.ideal_line(ax, float("inf"))
    assert not ax.lines and not ax.texts


def test_a_figure_is_as_tall_as_its_rows_up_to_an_end() -> None:
    with style.drawn(4, 3) as ax:
        style.tall(ax, 10, each=0.5, around=1.0)
        assert ax.get_figure().get_figheight() == pytest.approx(6.0)
        style.tall(ax, 10_000)
        assert ax.get_figure().get_figheight() == style.TALLEST


def test_titled_reads_no_text_as_mathematics_in_a_users_own_figure() -> None:
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    ax.set_xlabel("$x$")
    assert ax.xaxis.label.get_parse_math()
    style.titled(ax, "$y$")
    assert not ax.xaxis.label.get_parse_math()
    assert ax.get_title(loc="left") == "$y$"
    ax.get_figure().savefig(io.BytesIO(), format="svg")
