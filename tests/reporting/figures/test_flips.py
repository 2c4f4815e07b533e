from __future__ import annotations

from typing import Any

import pytest
from matplotlib.axes import Axes

from fairbench.comparison import Flip, Flips
from fairbench.errors import FairbenchError
from fairbench.reporting.figures.flips import MOST, flips
from fairbench.reporting.figures.style import drawn, svg
from fairbench.scores import Interval


def turned(n: int, negative: int, positive: int, wide: float | None = 0.02, right: str = "names the pronoun's own word") -> Flips:
    """So many flips of n decisions, each rate with an interval of `wide` to either side."""

    def some(count: int) -> tuple[Flip, ...]:
        return tuple(Flip(str(i), "", "text", "before", "after") for i in range(count))

    def between(count: int) -> Interval | None:
        return None if wide is None or not n else Interval(count / n - wide, count / n + wide, 0.9, "paired bootstrap")

    rates = (negative / n, positive / n) if n else (None, None)
    return Flips(
        n, n // 2, n // 3, some(negative), some(positive), *rates, None, None, between(negative), between(positive), right
    )


def artists(ax: Axes, gid: str) -> list[Any]:
    return [one for one in ax.findobj() if one.get_gid() == gid]


def test_bars_whiskers_counts_and_n() -> None:
    with drawn(7, 3) as ax:
        assert flips({"a": turned(200, 10, 30), "b": turned(100, 20, 5)}, ax) is ax
        assert [bar.get_width() for bar in artists(ax, "negative")] == pytest.approx([-5.0, -20.0]), "to the left"
        assert [bar.get_width() for bar in artists(ax, "positive")] == pytest.approx([15.0, 5.0])
        found = [sorted(float(point[0]) for point in s) for one in artists(ax, "interval") for s in one.get_segments()]
        assert [end for pair in found for end in pair] == pytest.approx([-7, -3, 13, 17, -22, -18, 3, 7])
        counts = artists(ax, "count")
        assert [one.get_text() for one in counts] == ["10", "30", "20", "5"]
        assert [one.xy[0] for one in counts] == pytest.approx([-7, 17, -22, 7]), "beyond the whiskers"
        assert all(bar.get_hatch() for bar in artists(ax, "negative")), "told apart in grey"
        said = [one.get_text() for one in ax.texts]
        assert {"n = 200", "n = 100"} <= set(said)
        assert ax.get_title(loc="left") == "1 of 2 models breaks more decisions than it mends"
        key = ax.get_xlabel().replace("\n", " ")
        assert "90 % interval" in key
        assert "right: names the pronoun's own word" in key


def test_both_sides_are_equally_wide_and_hold_everything() -> None:
    with drawn(7, 3) as ax:
        flips({"a": turned(100, 2, 60)}, ax)
        low, high = ax.get_xlim()
        assert low == -high
        assert high > 62
        assert ax.xaxis.get_major_formatter()(-20, 0) == "20 %", "a share below 0 is written without its sign"
        assert ax.get_title(loc="left") == "a breaks 2 and mends 60 of 100 decisions"


def test_without_intervals_no_whisker_and_no_level() -> None:
    with drawn(7, 3) as ax:
        flips({"a": turned(100, 2, 6, wide=None)}, ax)
        assert not artists(ax, "interval")
        assert "interval" not in ax.get_xlabel()
        assert [one.xy[0] for one in artists(ax, "count")] == pytest.approx([-2, 6])


def test_no_decisions_is_said_and_is_no_zero() -> None:
    with drawn(7, 3) as ax:
        flips({"a": turned(0, 0, 0), "b": turned(50, 0, 0, wide=0.0)}, ax)
        assert len(artists(ax, "count")) == 2, "of b alone"
        assert any("no decision of both models" in one.get_text() for one in ax.texts)
        assert ax.get_title(loc="left") == "b breaks 0 and mends 0 of 50 decisions"
    with drawn(7, 3) as ax:
        flips({"a": turned(0, 0, 0)}, ax)
        assert ax.get_title(loc="left").startswith("No decision")


def test_many_models_and_hostile_names() -> None:
    names = ["<script>alert(1)</script>", "z" * 10_000, "$z$", "\u202eabc", "", *(f"m{i}" for i in range(60))]
    with drawn(7, 3) as ax:
        flips({name: turned(100, 3, 2, right="<b>right</b>") for name in names}, ax)
        labels = [label.get_text() for label in ax.get_yticklabels()]
        assert len(labels) == MOST
        assert labels[3:5] == ["abc", "(no name)"]
        assert max(map(len, labels)) <= 34
        assert f"{len(names) - MOST} more models" in ax.get_xlabel().replace("\n", " ")
        assert f"{len(names)} of {len(names)} models break" in ax.get_title(loc="left"), "all are counted"
        drawing = svg(ax)
        assert "<script" not in drawing
        assert "<b>" not in drawing


def test_nothing_to_show_is_refused() -> None:
    with drawn(7, 3) as ax, pytest.raises(FairbenchError, match="no flips"):
        flips({}, ax)
