from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest
from fairbench.tasks import planted_downstream as tasks

import fairbench.planted
from fairbench import data
from fairbench.errors import FairbenchError
from fairbench.groups import find_groups
from fairbench.planted import downstream, words
from fairbench.records import to_frame

PACKAGE = Path(fairbench.planted.__file__).parent.parent
every_task = pytest.mark.parametrize("task", tasks.INFO)


def parsed(task):
    return list(tasks.records(data.rows(tasks.INFO[task], task), task))


def test_there_is_a_task_for_every_dial():
    assert set(tasks.INFO) == {f"planted_{kind}_{dial}" for kind in ("bios", "comments") for dial in downstream.DIALS}


def test_the_card_says_what_the_generator_does():
    assert tuple(tasks.DIALS) == tuple(downstream.DIALS)
    assert tuple(downstream.OCCUPATIONS) == tasks.OCCUPATIONS
    assert tuple(downstream.MANNERS) == tasks.MANNERS
    assert (tasks.TOWNS, set(tasks.GENDERS)) == (words.TOWNS, set(words.GENDERS))
    sides = [", ".join(o for o in tasks.OCCUPATIONS if words.OCCUPATIONS[o] == g) for g in (words.FEMALE, words.MALE)]
    assert sides == ["nurse, teacher", "pilot, farmer"], "the notes of the bios say which"


@every_task
def test_shipped_file_has_the_pinned_hash_and_is_small(task):
    ((path, sha256),) = tasks.INFO[task].sources[0].files.items()
    content = (PACKAGE / path).read_bytes()
    assert hashlib.sha256(content).hexdigest() == sha256
    assert len(content) < 300_000


@every_task
def test_required_columns_are_filled_in_every_row(task):
    source = tasks.INFO[task].sources[0]
    (path,) = source.files
    for line in (PACKAGE / path).read_text(encoding="utf-8").splitlines():
        assert set(json.loads(line)) == set(source.columns)
        assert all(json.loads(line)[column] not in (None, "") for column in source.columns)


@pytest.mark.parametrize("kind", ["bios", "comments"])
def test_dials_share_their_texts_and_their_test_split(kind):
    found = [parsed(f"planted_{kind}_{dial}") for dial in tasks.DIALS]
    assert len({tuple((r.id, r.text, r.split, r.groups) for r in records) for records in found}) == 1
    tests = [[r for r in records if r.split == "test"] for records in found]
    assert tests[0] == tests[1] == tests[2]
    labels = [tuple(r.label for r in records if r.split == "train") for records in found]
    assert len(set(labels)) == 3


@every_task
def test_records_are_split_labelled_and_grouped(task):
    info, found = tasks.INFO[task], parsed(task)
    assert Counter(r.split for r in found) == downstream.TEXTS
    assert {r.meta["class"] for r in found} == set(info.labels)
    assert all(info.labels[r.label] == r.meta["class"] for r in found)
    notions = ("gender",) if "bios" in task else ("town", "gender")
    assert all(tuple(g.partition(":")[0] for g in r.groups) == notions for r in found)
    assert all(r.group in (r.groups[0], r.groups[0].partition(":")[2]) for r in found)


@every_task
def test_variants_name_the_first_text_of_their_case(task):
    found = {r.id: r for r in parsed(task)}
    variants = [r for r in found.values() if r.source]
    groups = 2 if "bios" in task else 4
    tested = downstream.TEXTS["test"]
    assert len(variants) == tested * (groups - 1) // groups
    for record in variants:
        original = found[record.source]
        assert (original.source, original.cluster, original.label) == (None, record.cluster, record.label)
        assert original.groups != record.groups and record.split == "test"


def test_comments_have_two_notions_and_their_intersections():
    table = to_frame(r for r in parsed("planted_comments_none") if r.split == "test")
    assert find_groups(table, "town").names == ("Orrin", "Velda")
    assert find_groups(table, "gender").names == ("female", "male")
    assert find_groups(table, "town,gender").of_row.sum(0).tolist() == [downstream.TEXTS["test"] // 4] * 4


def test_unknown_task_is_refused_by_name():
    with pytest.raises(FairbenchError, match="planted_bios_none"):
        list(tasks.records([], "planted_bios_non"))
