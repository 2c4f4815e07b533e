from __future__ import annotations

import itertools
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color

from fairbench.errors import FairbenchError
from fairbench.reporting.figures.style import FAINT, drawn, svg
from fairbench.reporting.figures.tokens import BAR, MOST, tokens


def artists(ax: Axes, gid: str) -> list[Any]:
    return [one for one in ax.findobj() if one.get_gid() == gid]


def test_bars_are_as_long_as_their_figures() -> None:
    with drawn(7, 2) as ax:
        assert tokens(["She", "is", "here"], [0.4, 0.1, 0.0], ax, weight=[0.25, 0.0, 0.75]) is ax
        moved, weights = artists(ax, "sensitivity"), artists(ax, "weight")
        assert [bar.get_height() for bar in moved] == pytest.approx([BAR - 0.15, (BAR - 0.15) / 4]), "0 has no bar"
        assert [bar.get_height() for bar in weights] == pytest.approx([(BAR - 0.15) / 3, BAR - 0.15])
        words = artists(ax, "token")
        assert [one.get_text() for one in words] == ["She", "is", "here"]
        # Every bar begins under its token and is as wide.
        assert [bar.get_x() for bar in moved] == [words[0].get_position()[0], words[1].get_position()[0]]
        assert [bar.get_width() for bar in moved] == [3, 2]
        assert all(bar.get_hatch() for bar in weights), "weights are told apart in grey"
        assert not any(bar.get_hatch() for bar in moved)
        title = ax.get_title(loc="left").replace("\n", " ")
        assert title == "The prediction moves most with “She” (2.4 times the average token); “here” has most weight (75 %)"
        assert "longest: 0.4" in ax.get_xlabel()


def test_without_weights_there_is_one_lane() -> None:
    with drawn(7, 2) as ax:
        tokens(["a", "b"], [1.0, 3.0], ax)
        assert not artists(ax, "weight")
        assert "weight" not in ax.get_xlabel() + ax.get_title(loc="left")
        assert "1.5 times" in ax.get_title(loc="left")


def test_special_tokens_and_those_without_a_figure_are_grey_and_count_for_nothing() -> None:
    with drawn(7, 2) as ax:
        tokens(["[CLS]", "a", "b", "c"], [9.0, 1.0, 3.0, None], ax)
        grey = [same_color(one.get_color(), FAINT) for one in artists(ax, "token")]
        assert grey == [True, False, False, True]
        assert len(artists(ax, "sensitivity")) == 2
        assert "“b” (1.5 times" in ax.get_title(loc="left")


def test_lines_are_no_longer_than_the_paper_and_keep_the_order() -> None:
    words = [f"w{i}" * (1 + i % 4) for i in range(90)]
    with drawn(5, 2) as ax:
        tokens(words, [1.0] * 90, ax)
        placed = [(one.get_position()[1], one.get_position()[0], len(one.get_text())) for one in artists(ax, "token")]
        assert placed == sorted(placed), "from left to right, line after line"
        assert len({y for y, _, _ in placed}) > 3
        assert max(x + width for _, x, width in placed) <= ax.get_xlim()[1]
        figure = ax.figure
        figure.draw_without_rendering()
        boxes = [one.get_window_extent() for one in artists(ax, "token")]
        rows = {round(box.y0): [b for b in boxes if abs(b.y0 - box.y0) < 2] for box in boxes}
        for row in rows.values():
            ordered = sorted(row, key=lambda b: b.x0)
            assert all(left.x1 <= right.x0 for left, right in itertools.pairwise(ordered)), "no token on another"
        assert max(box.x1 for box in boxes) <= figure.bbox.x1


def test_after_many_tokens_the_rest_is_counted() -> None:
    with drawn(7, 2) as ax:
        tokens(["a"] * (MOST + 50), [1.0] * (MOST + 49) + [2.0], ax)
        assert len(artists(ax, "token")) == MOST
        assert f"the first {MOST} of {MOST + 50} tokens" in ax.get_xlabel().replace("\n", " ")


def test_hostile_tokens_stay_short_text() -> None:
    bad = ["x" * 10_000, "\u202eabc", "$x$", "<script>", "a\x00b", "", " ", "\n", "e\u0301\u0301\u0301\u0301", "漢字"]
    with drawn(7, 2) as ax:
        tokens(bad, range(1, len(bad) + 1), ax, weight=[0.1] * len(bad))
        said = [one.get_text() for one in artists(ax, "token")]
        assert len(said[0]) == 24
        assert said[1:8] == ["abc", "$x$", "<script>", "ab", "∅", "␣", "↵"]
        assert "every token has the same weight" in ax.get_title(loc="left").replace("\n", " ")
        drawing = svg(ax)
        assert "<script>" not in drawing
        assert "$x$" in drawing


def test_a_text_that_moves_nothing_says_so() -> None:
    with drawn(7, 2) as ax:
        tokens(["a", "b"], [0.0, 0.0], ax, weight=[0.0, 0.0])
        assert ax.get_title(loc="left") == "The prediction moves with no token of this text"
        assert not artists(ax, "sensitivity") + artists(ax, "weight")


@pytest.mark.parametrize(
    ("words", "moved", "weight", "said"),
    [
        ([], [], None, "0 tokens"),
        (["a"], [1.0, 2.0], None, "2 sensitivities"),
        (["a"], [1.0], [], "0 weights"),
        (["a"], [-1.0], None, "-1.0"),
        (["a"], [1.0], [float("nan")], "nan"),
        (["a"], [float("inf")], None, "inf"),
    ],
    ids=["empty", "more figures", "no weight", "negative", "weight is no number", "infinite"],
)
def test_refused_in_one_paragraph(words: list[str], moved: list[float], weight: list[float] | None, said: str) -> None:
    with drawn(7, 2) as ax, pytest.raises(FairbenchError, match=said):
        tokens(words, moved, ax, weight=weight)
