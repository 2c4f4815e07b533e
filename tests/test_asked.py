"""Which records go together, and which are put to no model."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from fairbench import study
from fairbench.asked import PART_RECORDS, look_through
from fairbench.data import Rows
from fairbench.errors import FairbenchError
from fairbench.plan import ScoreOptions
from fairbench.records import Labelled, Pair, Slot
from fairbench.registry import Registry, Task
from fairbench.scores import Source, TaskInfo

SPLITS = ["train", "validation", "test"]
NOWHERE = Rows(Source(format="json", columns=()), {"kind": "shipped"}, lambda: iter(()))


def task(form: str, records: list) -> Task:
    info = TaskInfo(title="toy", form=form, sources=(), licence="", cite="", language="en", groups=(), metrics=(), cluster="none")
    return Task("toy", info, lambda rows, name: iter(records))


def test_no_part_separates_words_for_one_place():
    slots = [
        Slot(id=f"{i}-{word}", template="[TARGET] is a [ATTRIBUTE].", target=word, attribute=f"a{i}")
        for i in range(200)
        for word in ("he", "she", "they")
    ]
    parts = list(look_through(task("Slot", slots), NOWHERE, None).parts())
    assert [record for part in parts for record in part] == slots
    assert len(parts) > 1 and all(len(part) % 3 == 0 for part in parts)
    assert all(PART_RECORDS <= len(part) <= PART_RECORDS + 2 for part in parts[:-1])


def test_words_for_one_place_have_to_be_neighbours():
    scattered = [
        Slot(id=f"{word}-{i}", template="[TARGET] is a [ATTRIBUTE].", target=word, attribute=f"a{i}")
        for word in ("he", "she")
        for i in range(2)
    ]
    with pytest.raises(FairbenchError, match="one after the other"):
        look_through(task("Slot", scattered), NOWHERE, None)
    free = [dataclasses.replace(record, attribute=None) for record in scattered]  # open slots hold one word each
    assert look_through(task("Slot", free), NOWHERE, None).n == 4


def test_other_records_part_where_a_part_is_full():
    pairs = [Pair(id=str(i), more="a b", less="a c") for i in range(PART_RECORDS * 2)]
    assert [len(part) for part in look_through(task("Pair", pairs), NOWHERE, None).parts()] == [PART_RECORDS] * 2


def test_only_the_test_split_is_asked():
    texts = [Labelled(id=str(i), text=f"text {i}", label=i % 2, meta={"split": split}) for i, split in enumerate(SPLITS * 3)]
    found = look_through(task("Labelled", texts), NOWHERE, None)
    assert [record.id for record in found.records()] == ["2", "5", "8"]
    assert (found.n, found.total) == (3, 3)
    assert look_through(task("Labelled", texts[2::3]), NOWHERE, None).sha256 == found.sha256
    limited = look_through(task("Labelled", texts), NOWHERE, 2)
    assert [record.id for record in limited.records()] == ["2", "5"] and limited.total == 3


def test_a_task_without_a_test_split_has_nothing_to_ask():
    texts = [Labelled(id="1", text="text", label=0, meta={"split": "train"})]
    with pytest.raises(FairbenchError, match="no record"):
        look_through(task("Labelled", texts), NOWHERE, None)


def test_a_record_that_is_not_asked_is_left_out_with_its_reason(tmp_path, monkeypatch):
    real = Registry.task

    def with_an_absent_one(self, name):
        found = real(self, name)

        def records(rows, task):
            for number, record in enumerate(found.records(rows, task)):
                yield dataclasses.replace(record, meta={"unasked": "never occurs"}) if number in (0, 5) else record

        return dataclasses.replace(found, records=records)

    monkeypatch.setattr(Registry, "task", with_an_absent_one)
    run = study.score("planted:causal-1.0", ScoreOptions(tasks=("planted_pairs",), output_path=tmp_path))
    score = run.results[0].score
    assert score.left_out == {"never occurs": 2} and score.n == score.n_total - 2 == 94
    table = pd.read_parquet(run.folder / run.results[0].answers["path"])
    assert table["left_out"].notna().tolist() == [i in (0, 5) for i in range(96)]
    assert table["score_more"].isna().tolist() == table["left_out"].notna().tolist()
