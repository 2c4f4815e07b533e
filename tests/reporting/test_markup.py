"""Texts of any origin are visible and nothing else; drawings that could do something are refused."""

import pytest
from markupsafe import Markup

from fairbench.errors import FairbenchError
from fairbench.reporting.markup import breakable, drawing, named, shown
from tests.reporting.parsed import Read


def svg(inside: str, attributes: str = "") -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {attributes}>{inside}</svg>'


@pytest.mark.parametrize(
    "bad",
    [
        svg("<script>1</script>"),
        svg("<foreignObject><p>1</p></foreignObject>"),
        svg("", 'onload="1"'),
        svg('<g onclick="1"/>'),
        svg('<a href="http://x.example">1</a>'),
        svg('<use xlink:href="http://x.example/a.svg#b"/>'),
        svg('<image href="data:image/svg+xml;base64,AAAA"/>'),
        svg("<style>@import 'http://x.example/a.css';</style>"),
        svg("<style>g { fill: url(http://x.example/a.svg#b) }</style>"),
        svg('<g style="fill: url(//x.example)"/>'),
        svg('<animate attributeName="href" to="javascript:1"/>'),
        "<!DOCTYPE svg [<!ENTITY a 'aaaa'>]>" + svg("<text>&a;</text>"),
        "<p>no drawing</p>",
        "<svg",
    ],
)
def test_a_drawing_that_could_do_something_is_refused(bad: str):
    with pytest.raises(FairbenchError, match="'fig'"):
        drawing("fig", bad, "words")


def test_a_drawing_keeps_its_shapes_and_its_text():
    inside = '<defs><path id="a" d="M0 0L1 1"/></defs><use xlink:href="#a" style="clip-path: url(#a)"/>'
    inside += "<text>a &lt;script&gt; $x$</text>"
    read = Read(str(drawing("fig", svg(inside + "<metadata>made by x</metadata>", 'viewBox="0 0 9 9"'), 'a "b" <c>')))
    assert [tag for tag, _ in read.tags] == ["svg", "defs", "path", "use", "text"] and read.texts[""] == "a <script> $x$"
    assert read.elements("svg")[0]["aria-label"] == 'a "b" <c>' and read.elements("use")[0]["xlink:href"] == "#a"


def test_shown_leaves_good_text_and_our_markup_alone():
    for text in ("Ünïcode, 漢字, 🙂, עברית", "two\nlines\tand a tab"):
        assert shown(text) == text
    assert shown(Markup("<b>")) == "<b>" and isinstance(shown(Markup("<b>")), Markup) and shown(None) == "" and shown(3) == "3"


def test_names_are_cut_in_their_middle_and_break_at_their_joints():
    assert named("a" * 64) == "a" * 64 and len(named("a" * 65)) == 64 and named("x" + "a" * 90 + "z")[0::63] == "xz"
    assert breakable("a_b/<c>") == "a_<wbr>b/<wbr>&lt;c&gt;" and breakable("&#x3d;_") == "&amp;#x3d;_"
