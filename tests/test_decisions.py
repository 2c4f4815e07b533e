"""What a classifier decides: probabilities read, predictions made of them, classes as numbers."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from fairbench import decisions
from fairbench.decisions import class_names, decide, labels, positive_scores, predictions, prepared
from fairbench.errors import FairbenchError


def of_probs(cells: object, **more: object) -> pd.DataFrame:
    return prepared(pd.DataFrame({"probs": cells, **more}))


@pytest.mark.parametrize(
    ("probs", "named"),
    [
        ([0.5, 0.5], 1),
        ([0.5000001, 0.4999999], 0),
        ([1.0, 0.0], 0),
        ([0.4, 0.4, 0.2], 0),
        ([0.2, 0.4, 0.4], 1),
        ([1 / 3, 1 / 3, 1 / 3], 0),
        ([0.1, 0.2, 0.7], 2),
    ],
)
def test_the_decision_at_the_threshold_and_at_ties(probs: list[float], named: int):
    assert decide(np.array(probs)) == named
    assert predictions(of_probs([probs] * 3)).tolist() == [named] * 3
    assert predictions(of_probs([np.array(probs), tuple(probs)])).tolist() == [named] * 2


@pytest.mark.parametrize("seed", range(6))
def test_all_at_once_is_what_each_row_gives_alone(seed: int):
    rng = np.random.default_rng(seed)
    probs = np.round(rng.dirichlet(np.ones(2 + seed % 3), 50), 6)
    probs[:, 0] = 1 - probs[:, 1:].sum(axis=1)
    cells: list[object] = list(probs.tolist())
    cells[7], cells[9] = None, [math.nan] * probs.shape[1]
    found = of_probs(cells)
    assert found["probs"].isna().tolist() == [i in (7, 9) for i in range(50)]
    for i in set(range(50)) - {7, 9}:
        assert found["probs"][i].tolist() == probs[i].tolist()
        assert found["prediction"][i] == decide(probs[i])


def test_alike_cells_are_read_at_once_and_unlike_ones_one_by_one(monkeypatch: pytest.MonkeyPatch):
    read: list[int] = []

    def counted(cell: object, row: int) -> object:
        read.append(row)
        return one(cell, row)

    one = decisions._probs
    monkeypatch.setattr(decisions, "_probs", counted)
    of_probs([[0.2, 0.8], None, [math.nan, 0.5]])
    of_probs([0.2, math.nan, 0.8])
    of_probs(["0.2", "0.8"])
    assert not read
    mixed = of_probs([0.25, [0.5, 0.5], None])
    assert read == [0, 1, 2]
    assert [None if p is None else p.tolist() for p in mixed["probs"]] == [[0.75, 0.25], [0.5, 0.5], None]


def test_a_single_number_is_the_probability_of_class_1():
    found = of_probs([0.5, 0.25, math.nan])
    assert found["probs"][1].tolist() == [0.75, 0.25]
    assert found["prediction"].tolist()[:2] == [1, 0] and math.isnan(found["prediction"][2])


@pytest.mark.parametrize("missing", [None, math.nan, pd.NA, [math.nan, 0.5], [math.inf, 0.0]], ids=str)
def test_what_is_missing_stays_missing(missing: object):
    found = of_probs([[0.2, 0.8], missing])
    assert found["probs"].isna().tolist() == [False, True]
    assert found["prediction"].isna().tolist() == [False, True]


def test_the_first_impossible_row_is_named():
    cells = [[0.2, 0.8]] * 5
    with pytest.raises(FairbenchError, match=r"Row 4, column 'probs': the probabilities sum to 0.9"):
        of_probs([None, *cells[:2], [0.1, 0.8], [0.2, 1.8]])
    with pytest.raises(FairbenchError, match=r"Row 2, column 'probs': found 1.8, wanted probabilities between 0 and 1"):
        of_probs([None, [0.2, 1.8], *cells[:2], [0.1, 0.8]])
    with pytest.raises(FairbenchError, match="Rows 1 and 4, column 'probs': found 2 and 3"):
        of_probs([*cells[:3], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])


@pytest.mark.parametrize("probs", [[0.1999, 0.8], [0.1, 0.899, 0.01], [-1e-7, 1 + 1e-7], [np.float16(0.3), np.float16(0.7)]])
def test_rounding_is_no_fault(probs: list[float]):
    assert of_probs([probs])["prediction"].notna().all()


def test_given_predictions_stand():
    found = prepared(pd.DataFrame({"probs": [[0.2, 0.8], [0.2, 0.8]], "prediction": [0, None]}))
    assert found["prediction"].tolist()[0] == 0 and found["prediction"].isna().tolist() == [False, True]


@pytest.mark.parametrize("column", ["label", "prediction"])
@pytest.mark.parametrize(
    "given", [[0, 1], [0.0, 1.0], ["0", "1"], ["0.0", "1.0"], [False, True], [np.int8(0), np.int64(1)]], ids=str
)
def test_classes_become_numbers(column: str, given: list[object]):
    found = prepared(pd.DataFrame({"label": [0, 0], "prediction": [0, 0]} | {column: pd.Series(given, dtype=object)}))
    read = {"label": labels, "prediction": predictions}[column](found)
    assert read.dtype.kind == "i" and read.tolist() == [0, 1]


@pytest.mark.parametrize("missing", [None, math.nan, pd.NA], ids=str)
@pytest.mark.parametrize("rest", [1, "1"])
def test_a_missing_class_stays_missing(missing: object, rest: object):
    found = prepared(pd.DataFrame({"label": pd.Series([missing, rest], dtype=object)}))
    assert found["label"].isna().tolist() == [True, False] and found["label"][1] == 1
    nullable = prepared(pd.DataFrame({"label": pd.array([None, 1], dtype="Int64")}))
    assert nullable["label"].isna().tolist() == [True, False]
    assert labels(nullable.dropna()).tolist() == [1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (-1, "found -1"),
        (1.5, "found 1.5"),
        ("bad", "found 'bad'"),
        (math.inf, "found inf"),
        ([1], r"found \[1\]"),
        (2, r"found 2, wanted the number of a class of 0 to 1 \(`probs` has 2\)"),
    ],
)
def test_a_class_that_is_none_is_refused(given: object, said: str):
    with pytest.raises(FairbenchError, match=rf"Row 2, column 'label': {said}"):
        of_probs([[0.5, 0.5]] * 2, label=pd.Series([0, given], dtype=object))


def test_without_probabilities_any_whole_number_is_a_class():
    assert labels(prepared(pd.DataFrame({"label": [0, 27]}))).tolist() == [0, 27]


def test_the_table_is_not_changed():
    table = pd.DataFrame({"probs": [[0.2, 0.8], None], "label": ["1", None]})
    before = table.to_json()
    prepared(table)
    assert table.to_json() == before and list(table.columns) == ["probs", "label"]


def test_positive_scores_are_of_a_class_that_there_is():
    table = of_probs([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])
    assert positive_scores(table).tolist() == [0.2, 0.3]
    assert positive_scores(table, 2).tolist() == [0.7, 0.2]
    for positive in (3, -1):
        with pytest.raises(FairbenchError, match=rf"positive is {positive}; wanted a class of 0 to 2, since `probs` has 3"):
            positive_scores(table, positive)
    assert positive_scores(table.iloc[:0], 9).tolist() == []


def test_names_of_classes():
    table = prepared(pd.DataFrame({"label": ["1", "0"], "meta.class": ["toxic", "kind"]}))
    assert class_names(table, [0, 1, 2]) == ["kind", "toxic", "2"]
    assert class_names(table.drop(columns="meta.class"), [0, 1]) == ["0", "1"]
