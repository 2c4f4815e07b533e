"""Answers on disk: parts become one table whose bytes are watched; tables from elsewhere are read, or refused by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fairbench
from fairbench.answers import AnswerStore, read_answers
from fairbench.errors import FairbenchError

FIRST = [{"id": "a", "group": None, "score": -1.5, "scores": [1.0, 2.0]}, {"id": "b", "group": None, "score": None, "scores": []}]
SECOND = [{"id": "c", "group": "x", "score": -2.25, "scores": [0.1]}]


@pytest.fixture
def store(tmp_path: Path) -> AnswerStore:
    return AnswerStore(tmp_path / "answers", "0123abcd")


def filled(store: AnswerStore, *parts: list[dict[str, Any]]) -> pd.DataFrame:
    for number, rows in enumerate(parts):
        store.write_part(number, rows, 0.5)
    store.finish(len(parts), {"device": "cpu"})
    return store.read()


def write(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_parts_become_one_table_with_a_note(store: AnswerStore):
    assert not store.finished() and not store.has_part(0)
    store.write_part(0, FIRST, 0.5)
    assert store.has_part(0) and not store.has_part(1) and not store.finished()
    store.write_part(1, SECOND, 0.25)
    store.finish(2, {"device": "cpu", "notes": ["one"]})
    assert store.finished() and not store.parts.exists()
    note = store.note()
    assert (note["rows"], note["seconds"], note["device"], note["notes"]) == (3, 0.75, "cpu", ["one"])
    table = store.read()
    assert table["id"].tolist() == ["a", "b", "c"]
    assert table["score"].tolist()[::2] == [-1.5, -2.25] and np.isnan(table["score"][1])
    assert [list(v) for v in table["scores"]] == [[1.0, 2.0], [], [0.1]]
    assert table["group"].isna().tolist() == [True, True, False] and table["group"][2] == "x"
    assert sorted(path.name for path in store.folder.iterdir()) == ["0123abcd.json", "0123abcd.parquet"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)], ids=["in order", "out of order"])
def test_parts_are_joined_by_number(store: AnswerStore, order: tuple[int, ...]):
    for number in order:
        store.write_part(number, [{"id": f"r{number}"}], 0.1)
    store.finish(3, {})
    assert store.read()["id"].tolist() == ["r0", "r1", "r2"]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (None, "text", [None, "text"]),
        (None, 2.5, [None, 2.5]),
        (None, True, [None, True]),
        (1, 2.5, [1.0, 2.5]),
        ([], [1.5], [[], [1.5]]),
        (None, [1.5], [None, [1.5]]),
        (None, ["a", "b"], [None, ["a", "b"]]),
        ([1, 2], [0.5], [[1.0, 2.0], [0.5]]),
        (None, None, [None, None]),
    ],
    ids=str,
)
@pytest.mark.parametrize("swap", [False, True], ids=["as is", "swapped"])
def test_a_column_may_be_null_or_narrower_in_one_part(
    store: AnswerStore, first: Any, second: Any, expected: list[Any], swap: bool
):
    parts = [[{"id": "a", "x": first}], [{"id": "b", "x": second}]]
    found = filled(store, *(parts[::-1] if swap else parts))["x"].tolist()
    plain = [v.tolist() if isinstance(v, np.ndarray) else None if v is None or v != v else v for v in found]
    assert plain == (expected[::-1] if swap else expected)


def test_a_column_may_be_absent_from_a_row_or_a_part(store: AnswerStore):
    table = filled(store, [{"id": "a"}, {"id": "b", "left_out": "no token"}], [{"id": "c", "extra": 1.0}])
    assert table["left_out"].isna().tolist() == [True, False, True]
    assert table["extra"].isna().tolist() == [True, True, False]


def test_numbers_come_back_to_the_last_bit(store: AnswerStore):
    values = np.random.default_rng(0).normal(size=50) * 10.0 ** np.arange(-25, 25)
    table = filled(store, [{"x": float(v), "v": [float(v), -float(v)]} for v in values])
    assert table["x"].tolist() == values.tolist()
    assert [list(v) for v in table["v"]] == [[v, -v] for v in values.tolist()]


def test_a_changed_file_is_refused(store: AnswerStore):
    filled(store, FIRST)
    pd.read_parquet(store.path).assign(score=0.0).to_parquet(store.path)
    with pytest.raises(FairbenchError, match="was changed after it was written") as error:
        store.read()
    assert str(store.path) in str(error.value) and "\n" not in str(error.value)


def test_what_a_kill_leaves_behind_is_no_answer(store: AnswerStore):
    store.write_part(0, FIRST, 0.5)
    (store.parts / ".000001.parquet.abcdef").write_bytes(b"half a part")
    assert not store.has_part(1)
    store.write_part(1, SECOND, 0.5)
    store.path.write_bytes(b"a table without a note")  # killed between the table and the note
    assert not store.finished()
    store.finish(2, {})
    assert store.finished() and len(store.read()) == 3
    assert sorted(path.name for path in store.folder.iterdir()) == ["0123abcd.json", "0123abcd.parquet"]


def test_a_part_that_can_not_be_written_leaves_nothing(store: AnswerStore):
    with pytest.raises(Exception, match=r"tuple|convert|mix"):
        store.write_part(0, [{"x": 1}, {"x": [1, "a"]}], 0.1)
    assert not store.has_part(0) and list(store.parts.iterdir()) == []


@pytest.mark.parametrize(
    ("written", "parts", "named"),
    [((0, 2), 3, "000001.parquet is absent"), ((0, 1), 3, "000002.parquet is absent"), ((), 2, "000000.parquet, 000001.parquet")],
    ids=["gap", "end", "all"],
)
def test_an_absent_part_is_refused_and_nothing_is_finished(store: AnswerStore, written: tuple[int, ...], parts: int, named: str):
    for number in written:
        store.write_part(number, [{"id": f"r{number}"}], 1.0)
    with pytest.raises(FairbenchError, match=named) as error:
        store.finish(parts, {})
    assert "\n" not in str(error.value)
    assert not store.finished() and all(store.has_part(number) for number in written)


def test_no_parts_at_all_are_refused(store: AnswerStore):
    with pytest.raises(FairbenchError, match="every part is absent"):
        store.finish(0, {})


@pytest.mark.parametrize("text", ["{", "", None], ids=["half", "empty", "absent"])
def test_a_note_that_can_not_be_read_is_refused(store: AnswerStore, text: str | None):
    filled(store, FIRST)
    store.note_path.unlink()
    if text is not None:
        store.note_path.write_text(text, encoding="utf-8")
    with pytest.raises(FairbenchError, match=r"0123abcd\.json can't be read") as error:
        store.read()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_a_table_is_read_from_each_format(tmp_path: Path, suffix: str):
    table = pd.DataFrame(
        {
            "id": ["a", "b", "c"],
            "role": ["target_x", "target_x", "target_y"],
            "vector": [[1.0, 0.5], [0.25, -1e-3], [3.0, 4.0]],
            "score": [-1.5, np.nan, -2.0],
        }
    )
    path = tmp_path / f"answers{suffix}"
    if suffix == ".parquet":
        table.to_parquet(path)
    elif suffix == ".jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.assign(vector=table.vector.map(json.dumps)).to_csv(path, index=False)
    found = read_answers(path)
    assert found["id"].tolist() == ["a", "b", "c"] and found["role"].tolist() == table["role"].tolist()
    assert [list(v) for v in found["vector"]] == table["vector"].tolist()
    assert found["score"].tolist()[::2] == [-1.5, -2.0] and np.isnan(found["score"][1])


def test_an_empty_cell_among_vectors_is_left_out(tmp_path: Path):
    rows = [["target_x", "target_x", "target_x", "target_y", "target_y", "attribute_a", "attribute_b"]]
    vectors = ["[1, 0]", "[0.8, 0.2]", "", "[0, 1]", "[0.1, 0.9]", "[1, 0]", "[0, 1]"]
    lines = [f'{role},"{vector}",w{i}' for i, (role, vector) in enumerate(zip(rows[0], vectors, strict=True))]
    path = write(tmp_path, "a.csv", "\n".join(["role,vector,text", *lines]))
    score = fairbench.measure("weat", read_answers(path), draws=0)
    assert score.value is not None
    assert (score.n, score.n_total, score.left_out) == (6, 7, {"vector is missing or not finite": 1})


def test_blank_lines_are_no_rows(tmp_path: Path):
    assert len(read_answers(write(tmp_path, "a.jsonl", '{"a": 1}\n\n   \n{"a": 2}\n'))) == 2


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.jsonl", '{"a": 1}\n{"a": }\n', r"row 2, column 7: Expecting value"),
        ("a.jsonl", '{"a": 1}\n\n{"a"', r"row 3, column 5"),
        ("a.jsonl", '{"a": 1}\n[1, 2]\n', r"row 2: found '\[1, 2\]', wanted one JSON object a line"),
        ("a.jsonl", "", "holds no rows"),
        ("a.jsonl", "\n\n", "holds no rows"),
        ("a.csv", "", "is empty. Wanted a header line"),
        ("a.csv", "a,b\n", "holds no rows"),
        ("a.csv", "a,b\n1,2\n1,2,3\n", "row 2: found 3 cells, wanted 2 as in the header"),
        ("a.csv", "a,b\n1,2\n1\n", "row 2: found 1 cells, wanted 2 as in the header"),
        ("a.csv", "score_more,score_less\n-10,-11,5\n-12,-13,6\n", "row 1: found 3 cells, wanted 2 as in the header"),
        ("a.csv", 'a,b\n"1\n1",2\n1,2,3\n', "row 2: found 3 cells"),
        ("a.csv", "more,more,less\n1,2,3\n", "the column 'more' stands twice in the header"),
        ("a.csv", 'a,b\n1,"2\n', "no well-formed CSV"),
        ("a.csv", b"a,b\n1,\xff\n", "is not UTF-8 text"),
        ("a.csv", 'a,vector\n1,"[1, 2]"\n2,"[1, 2"\n', r"row 2, column 'vector': found '\[1, 2'"),
        ("a.csv", 'a,vector\n1,"[1, 2]"\n2,"[1; 2]"\n', r"row 2, column 'vector'"),
        ("a.jsonl", b'{"a": "\xff"}\n', "is not UTF-8"),
        ("a.parquet", "not parquet", "no readable Parquet file"),
        ("a.parquet", b"PAR1" + b"\0" * 40 + b"PAR1", "no readable Parquet file"),
        ("a.json", "{}", r"type '.json', wanted .parquet, .jsonl"),
        ("answers", "{}", "type 'unknown'"),
    ],
)
def test_a_malformed_file_is_refused_in_one_paragraph(tmp_path: Path, name: str, content: str | bytes, found: str):
    path = write(tmp_path, name, content)
    with pytest.raises(FairbenchError, match=found) as error:
        read_answers(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(FairbenchError, match="there is no such file"):
        read_answers(tmp_path / "answers.csv")


def test_text_that_begins_with_a_bracket_is_no_list(tmp_path: Path):
    table = read_answers(write(tmp_path, "a.csv", "template,x\n[TARGET] is here,1\n[ATTRIBUTE],2\n"))
    assert table["template"].tolist() == ["[TARGET] is here", "[ATTRIBUTE]"]


def test_words_that_look_like_missing_values_are_words(tmp_path: Path):
    table = read_answers(write(tmp_path, "a.csv", "group,x\nNone,1\nNA,2\nnull,3\nnan,4\n,5\n"))
    assert table["group"].tolist()[:4] == ["None", "NA", "null", "nan"]
    assert table["group"].isna().tolist() == [False] * 4 + [True]


@pytest.mark.parametrize("exact", [True, False])
def test_vectors_take_single_precision_where_that_loses_nothing(store: AnswerStore, exact: bool):
    vector = [0.5, 0.25, -3.0] if exact else [0.1, 0.2, 0.3]
    store.write_part(0, [{"id": "a", "vector": vector}, {"id": "b", "vector": None}], 0.0)
    store.write_part(1, [{"id": "c", "vector": [1.0, 2.0, 3.0]}], 0.0)
    store.finish(2, {})
    assert pq.read_schema(store.path).field("vector").type == pa.list_(pa.float32() if exact else pa.float64())
    assert [v if v is None else list(v) for v in store.read()["vector"]] == [vector, None, [1.0, 2.0, 3.0]]


def test_names_in_csv_stay_as_they_are_written(tmp_path):
    path = tmp_path / "answers.csv"
    path.write_text("id,group,prediction\n01,1,0\n1,01,1\n001,1,1\n")
    found = read_answers(path)
    assert found["id"].tolist() == ["01", "1", "001"] and found["group"].tolist() == ["1", "01", "1"]


def test_lists_in_csv_may_be_json_or_pythons_and_stand_beside_bare_names(tmp_path):
    path = tmp_path / "answers.csv"
    pd.DataFrame({"groups": [["f"], ["f", "m"]], "probs": [[0.5, 0.5], [0.25, 0.75]]}).to_csv(path, index=False)
    found = read_answers(path)
    assert found["groups"].tolist() == [["f"], ["f", "m"]] and found["probs"].tolist() == [[0.5, 0.5], [0.25, 0.75]]
    path.write_text('groups,text\nf,[sic] text\n"[""f"", ""m""]",text\n,text\n')
    found = read_answers(path)
    assert found["groups"].tolist() == ["f", ["f", "m"], None] and found["text"][0] == "[sic] text"


def test_a_list_that_is_none_is_refused_with_its_row(tmp_path):
    path = tmp_path / "answers.csv"
    path.write_text("probs\n[0.5 0.5]\n")
    with pytest.raises(FairbenchError, match="row 1, column 'probs'"):
        read_answers(path)
