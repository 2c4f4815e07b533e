"""Whom a row speaks of: its entries, the notions they belong to, and the membership matrix."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from fairbench import groups
from fairbench.errors import FairbenchError, Undefined
from fairbench.groups import entries, find_groups, notions


def table(*cells: object, column: str = "groups", **more: object) -> pd.DataFrame:
    return pd.DataFrame({column: pd.Series(list(cells), dtype=object), **more})


def random_rows(seed: int, n: int = 60) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    names = ["gender:female", "gender:male", "race:black", "race:white", "faith:none"]
    return [[name for name in names if rng.random() < 0.3] for _ in range(n)]


def test_notions_are_sorted_and_bare_groups_have_none():
    assert notions(["race:x", "gender:y", "race:z"]) == ("gender", "race")
    assert notions(["female", "male"]) == ("",)
    assert notions([]) == ()


@pytest.mark.parametrize("form", [list, tuple, lambda cell: np.array(cell, dtype=object), lambda cell: np.array(cell, dtype=str)])
def test_lists_of_any_kind_are_read(form):
    assert entries(table(form(["a", "b"]), form([]), form(["a"]))) == [("a", "b"), (), ("a",)]


@pytest.mark.parametrize("nothing", [None, math.nan, pd.NA, pd.NaT, "", "  ", [], [" "]], ids=repr)
def test_what_names_nobody_is_no_group(nothing: object):
    assert entries(table("a", nothing)) == [("a",), ()]
    assert find_groups(table("a", nothing)).of_row.tolist() == [[True], [False]]


def test_groups_come_before_group_unless_no_row_has_any():
    assert entries(table(["a"], None, group=["x", "y"])) == [("a",), ()]
    assert entries(table([], [], group=["x", "y"])) == [("x",), ("y",)]
    assert entries(table(None, None, group=["x", None])) == [("x",), ()]
    assert entries(pd.DataFrame({"text": ["t"]})) == [()]


def test_groups_coded_by_numbers_have_the_numbers_names():
    assert find_groups(table(0, 1, 2, column="group")).names == ("0", "1", "2")
    assert find_groups(pd.DataFrame({"group": [0, 1, None]})).names == ("0", "1")  # pandas makes floats of them
    assert find_groups(pd.DataFrame({"group": [0.5, 1.0]})).names == ("0.5", "1")


@pytest.mark.parametrize("wrong", [["a", 1], [["a"]], {"a": 1}, {"a"}, [None], ["gender:"], "gender: ", ":"], ids=repr)
def test_a_cell_that_is_no_group_is_refused_with_its_place(wrong: object):
    with pytest.raises(FairbenchError, match="Row 2, column 'groups': found "):
        entries(table("a", wrong))


@pytest.mark.parametrize("seed", range(4))
def test_the_matrix_is_what_a_loop_finds(seed: int):
    rows = random_rows(seed)
    for notion in ("gender", "race"):
        found = find_groups(table(*rows), notion)
        assert found.names == tuple(sorted({e.split(":")[1] for row in rows for e in row if e.startswith(notion)}))
        for row, flags in zip(rows, found.of_row, strict=True):
            assert flags.tolist() == [f"{notion}:{name}" in row for name in found.names]


def test_several_notions_are_crossed_in_the_order_asked_for():
    rows = random_rows(0)
    found = find_groups(table(*rows), "race, gender")
    every = [f"{r},{g}" for r, g in itertools.product(("black", "white"), ("female", "male"))]
    expected = {}
    for name in every:
        race, gender = name.split(",")
        expected[name] = [f"race:{race}" in row and f"gender:{gender}" in row for row in rows]
    assert found.names == tuple(name for name in every if any(expected[name]))
    assert found.of_row.T.tolist() == [expected[name] for name in found.names]


def test_all_notions_side_by_side():
    found = find_groups(table(["race: black", "gender:female"], ["female"], []), "all")
    assert found.names == ("female", "gender:female", "race:black")
    assert found.of_row.tolist() == [[False, True, True], [True, False, False], [False, False, False]]
    assert find_groups(table("a", "b"), "all").names == ("a", "b")
    assert find_groups(table("all:x", "gender:y"), "all").names == ("x",)  # a notion of that name is asked for by it


def test_nobody_or_several_notions_are_undefined():
    for empty in (table(None), table([]), table(), pd.DataFrame({"text": ["t"]})):
        with pytest.raises(Undefined, match="no record names a group"):
            find_groups(empty)
        with pytest.raises(Undefined, match="no record names a group"):
            find_groups(empty, "all")
    with pytest.raises(Undefined, match=r"several notions \(gender, race\); choose one with group_by"):
        find_groups(table("gender:a", "race:b"))
    with pytest.raises(Undefined, match=r"some groups name a notion \(race\) and others none; write all"):
        find_groups(table("a", "race:b"))
    with pytest.raises(Undefined, match="no record names groups of gender and race together"):
        find_groups(table("gender:a", "race:b"), "gender,race")


def test_a_notion_that_is_not_there_is_refused():
    with pytest.raises(FairbenchError, match=r"no group of the notion 'gendre'\. Did you mean gender"):
        find_groups(table("gender:a", "race:b"), "gendre")
    with pytest.raises(FairbenchError, match="Their groups name no notion"):
        find_groups(table("a", "b"), "gender")


def test_a_notion_may_be_a_column_of_its_own():
    answers = pd.DataFrame({"race": ["x", "y", None], "meta.gender": ["f", "m", "f"], "groups": [["faith:n"], [], []]})
    assert find_groups(answers, "race").of_row.tolist() == [[True, False], [False, True], [False, False]]
    assert find_groups(answers, "gender,race").names == ("f,x", "m,y")
    assert find_groups(answers, "faith,gender").names == ("n,f",)


def test_each_different_cell_is_read_once(monkeypatch: pytest.MonkeyPatch):
    read: list[object] = []
    one = groups._cell
    monkeypatch.setattr(groups, "_cell", lambda value, row, column: read.append(value) or one(value, row, column))
    found = find_groups(table(*[["a"], ["b"], ["a", "b"], None] * 500))
    assert len(read) == 4 and found.of_row.sum(axis=0).tolist() == [1000, 1000]


def test_order_and_names_do_not_matter():
    rows = random_rows(1)
    order = np.random.default_rng(0).permutation(len(rows))
    whole, mixed = find_groups(table(*rows), "all"), find_groups(table(*(rows[i] for i in order)), "all")
    assert mixed.names == whole.names and (mixed.of_row == whole.of_row[order]).all()
