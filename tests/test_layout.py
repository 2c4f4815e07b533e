"""Columns of text: nothing breaks within a word, and what has no room stands beneath."""

from __future__ import annotations

from fairbench.layout import lay_out

ROWS = [["a_long_name", "one_metric, another_metric", "A title of some words that say what the task is about"]]
HEADER = ("task", "metrics", "title")


def text(width: int | None, **keywords: object) -> list[str]:
    return [line for lines in lay_out(HEADER, ROWS, width=width, **keywords) for line in lines]  # type: ignore[arg-type]


def test_without_a_limit_a_row_is_a_line():
    assert text(None)[1].split("  ") == ROWS[0]


def test_columns_wrap_between_words():
    lines = text(64, prose="title")
    assert max(map(len, lines)) <= 64
    for word in " ".join(ROWS[0]).split():
        assert sum(word in line.split() for line in lines) >= 1, word


def test_prose_without_room_stands_beneath():
    lines = text(40, prose="title")
    assert lines[0] == "task         metrics" and lines[1] == "    title"
    assert lines[2] == "a_long_name  one_metric, another_metric"
    assert lines[3].startswith("    A title") and max(map(len, lines)) <= 40


def test_figures_are_set_right_and_never_wrap():
    rows = [["weat", "[-1.2, 1.1]"], ["a", "-"]]
    lines = [line for one in lay_out(("metric", "interval"), rows, right=("interval",), width=5) for line in one]
    assert lines == ["metric     interval", "weat    [-1.2, 1.1]", "a                 -"]
