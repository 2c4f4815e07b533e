from __future__ import annotations

from collections import Counter

import pytest
from fairbench.tasks import crows_pairs

from fairbench import data
from fairbench.errors import FairbenchError
from fairbench.records import Pair


def row(**changes):
    return {
        "Unnamed: 0": "7",
        "sent_more": "Old  otters are slow. ",
        "sent_less": "Young  otters are slow. ",
        "stereo_antistereo": "antistereo",
        "bias_type": "age",
    } | changes


def test_a_row_is_a_pair_as_written():
    (record,) = crows_pairs.records([row()], "crows_pairs")
    assert record == Pair(
        id="7",
        group="age",
        more="Old  otters are slow. ",
        less="Young  otters are slow. ",
        meta={"direction": "antistereo"},
    )


@pytest.mark.parametrize(
    ("changes", "task", "wanted"),
    [
        ({"stereo_antistereo": "both"}, "crows_pairs", "Row 2 of crows_pairs, column stereo_antistereo: found 'both'"),
        ({"bias_type": "height"}, "crows_pairs_revised", "Row 2 of crows_pairs_revised, column bias_type: found 'height'"),
        ({"bias_type": "other"}, "crows_pairs", "column bias_type: found 'other'"),
        ({"bias_type": "stereo"}, "crows_pairs", "column bias_type: found 'stereo'"),
    ],
)
def test_a_value_that_the_data_set_does_not_know(changes, task, wanted):
    with pytest.raises(FairbenchError, match=wanted):
        list(crows_pairs.records([row(), row(**changes)], task))


@pytest.mark.parametrize(("found", "group"), [("Race-color", "race-color"), ("stereo", None), ("other", "other")])
def test_the_slips_of_the_revised_file(found, group):
    (record,) = crows_pairs.records([row(bias_type=found)], "crows_pairs_revised")
    assert record.group == group


def test_the_published_counts(real):
    records = list(crows_pairs.records(data.rows(crows_pairs.INFO["crows_pairs"], "crows_pairs", real), "crows_pairs"))
    assert len(records) == 1508
    assert Counter(record.group for record in records) == {
        "race-color": 516,
        "gender": 262,
        "socioeconomic": 172,
        "nationality": 159,
        "religion": 105,
        "age": 87,
        "sexual-orientation": 84,
        "physical-appearance": 63,
        "disability": 60,
    }
    assert Counter(record.meta["direction"] for record in records) == {"stereo": 1290, "antistereo": 218}


def test_the_revised_set_is_another_task_whose_ids_are_those_of_the_original(real):
    def read(task):
        return {record.id: record for record in crows_pairs.records(data.rows(crows_pairs.INFO[task], task, real), task)}

    original, revised = read("crows_pairs"), read("crows_pairs_revised")
    assert len(revised) == 1467
    assert set(revised) < set(original)
    same = sum(revised[n].more == original[n].more for n in revised)
    assert same == 1403
