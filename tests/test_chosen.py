"""Reading tables of choices: indices, words, and what orders did."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fairbench.chosen import genders, indices, order_details, says
from fairbench.errors import FairbenchError


@pytest.mark.parametrize(
    "cells",
    [
        [0, 2, 1],
        [0.0, 2.0, 1.0],
        pd.array([0, 2, 1], dtype="Int64"),
        np.array([0, 2, 1], dtype=np.int8),
        np.array([0, "2", 1.0], dtype=object),
    ],
    ids=str,
)
def test_indices_of_any_kind(cells):
    assert indices(pd.DataFrame({"choice": cells}), "choice").tolist() == [0.0, 2.0, 1.0]


@pytest.mark.parametrize(
    "cells", [[1, None], [1.0, float("nan")], pd.array([1, None], dtype="Int64"), np.array(["1", ""], object)]
)
def test_an_empty_cell_is_no_index(cells):
    assert np.array_equal(indices(pd.DataFrame({"target": cells}), "target"), [1.0, np.nan], equal_nan=True)


@pytest.mark.parametrize(("cell", "found"), [(-1, "-1"), (0.5, "0.5"), ("B", "'B'"), ([1], r"\[1\]")])
def test_what_is_no_index_is_refused(cell, found):
    with pytest.raises(FairbenchError, match=f"Row 2, column 'choice': found .*{found}.*wanted the number of an option"):
        indices(pd.DataFrame({"choice": pd.Series([0, cell], dtype=object if isinstance(cell, (str, list)) else None)}), "choice")


@pytest.mark.parametrize("dtype", [object, "str", "string", "category"])
def test_words_in_columns_of_any_kind(dtype):
    answers = pd.DataFrame({"condition": pd.Series(["ambig", None, "disambig", "pro"], dtype=dtype)})
    assert says(answers, "condition", "ambig").tolist() == [True, False, False, False]


def test_a_column_without_a_word_says_nothing():
    assert not says(pd.DataFrame({"condition": [None, None]}), "condition", "pro").any()


def test_a_misspelt_condition_is_refused():
    with pytest.raises(FairbenchError, match=r"Row 2, column 'condition': found 'Ambiguous'.* Did you mean ambig"):
        says(pd.DataFrame({"condition": ["ambig", "Ambiguous"]}), "condition", "ambig")


def test_genders_without_their_notion():
    assert genders(pd.DataFrame({"group": ["gender:female", "male", None]})) == ["female", "male", "not named"]
    assert genders(pd.DataFrame({"choice": [1]})) == ["not named"]


def shown(position: list[int], choice: list[int], ids: str) -> pd.DataFrame:
    return pd.DataFrame({"id": list(ids), "choice": choice, "position": position, "options": [["x", "y", "z"]] * len(ids)})


def test_a_model_that_always_takes_the_first_place():
    """Three orders of one record: the first place holds another option each time."""
    found = order_details(shown([0, 0, 0, 0, 0, 0], [0, 1, 2, 0, 1, 2], "aaabbb"))
    assert found["position bias"] == 1 and found["share chosen at place 1"] == 1
    assert found["share chosen at place 2"] == found["share chosen at place 3"] == 0
    assert found["share of records whose choice changes with the order"] == 1


def test_a_model_that_does_not_look_at_places():
    found = order_details(shown([0, 2, 1, 1, 0, 2], [0, 0, 0, 1, 1, 1], "aaabbb"))
    assert found["position bias"] == pytest.approx(0)
    assert found["share of records whose choice changes with the order"] == 0


def test_records_that_are_shown_once_say_nothing_about_orders():
    found = order_details(shown([0, 1, 1, 2], [0, 1, 1, 2], "abcc"))
    assert found["position bias"] == 0.25
    assert found["share of records whose choice changes with the order"] == 1
    assert "share of records whose choice changes with the order" not in order_details(shown([0, 1], [0, 1], "ab"))


@pytest.mark.parametrize("drop", [["position"], ["position", "options"], ["options"]])
def test_what_a_table_does_not_hold_is_not_said(drop: list[str]):
    found = order_details(shown([0, 1], [0, 1], "ab").drop(columns=drop))
    assert ("position bias" in found) == ("position" not in drop)
