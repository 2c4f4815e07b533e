from __future__ import annotations

import pytest
from fairbench.tasks import ceat, weat

from fairbench import data
from fairbench.records import ROLES, Association

SIZES = {
    "ceat_i1": (12, 12, 13, 13),
    "ceat_i2": (12, 12, 8, 8),
    "ceat_i3": (12, 12, 12, 12),
    "ceat_i4": (12, 12, 6, 6),
}


def stimuli(test: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {role: [] for role in ROLES}
    for record in ceat.records(data.rows(ceat.INFO[test], test), test):
        found[record.role].append(record.text)
    return found


def test_one_test_is_picked_out_of_the_lists():
    rows = [
        {"test": "weat_1", "role": "target_x", "category": "Flowers", "words": ["aster"]},
        {"test": "weat_10", "role": "target_y", "category": "OldPeoplesNames", "words": ["Edgar", "Cecil"]},
        {"test": "ceat_i1", "role": "target_x", "category": "Names", "words": ["Yvette"]},
    ]
    assert list(ceat.records(rows, "ceat_c10")) == [
        Association(
            id=f"target_y/{word}",
            group="OldPeoplesNames",
            cluster=word,
            stratum="target_y",
            test="ceat_c10",
            role="target_y",
            text=word,
        )
        for word in ("Edgar", "Cecil")
    ]
    assert [record.text for record in ceat.records(rows, "ceat_c1")] == ["aster"]
    assert [record.text for record in ceat.records(rows, "ceat_i1")] == ["Yvette"]


@pytest.mark.parametrize("number", range(1, 11))
def test_c1_to_c10_are_the_lists_of_weat(number):
    ours, theirs = f"ceat_c{number}", f"weat_{number}"
    wanted = [(r.role, r.group, r.text) for r in weat.records(data.rows(weat.INFO[theirs], theirs), theirs)]
    assert [(r.role, r.group, r.text) for r in ceat.records(data.rows(ceat.INFO[ours], ours), ours)] == wanted
    assert ceat.INFO[ours].groups == weat.INFO[theirs].groups


@pytest.mark.parametrize("test", SIZES)
def test_the_intersectional_sets_are_balanced_and_disjoint(test):
    sets = stimuli(test)
    assert tuple(len(words) for words in sets.values()) == SIZES[test]
    assert all(len(set(words)) == len(words) for words in sets.values())
    assert not set(sets["target_x"]) & set(sets["target_y"])
    assert not set(sets["attribute_a"]) & set(sets["attribute_b"])


def test_emergent_attributes_are_of_the_intersectional_ones():
    # "assertive" is the one that the paper takes into the emergent test of I4 and not into I3.
    for whole, part in (("ceat_i1", "ceat_i2"), ("ceat_i3", "ceat_i4")):
        for role in ("attribute_a", "attribute_b"):
            assert set(stimuli(part)[role]) - set(stimuli(whole)[role]) <= {"assertive"}
        assert stimuli(part)["target_x"] == stimuli(whole)["target_x"]


@pytest.mark.parametrize("test", ceat.INFO)
def test_the_card_asks_for_contexts_and_warns_of_stereotypes(test):
    info = ceat.INFO[test]
    assert info.contexts
    assert (info.content_warning is not None) == test.startswith("ceat_i")
    assert {record.group for record in ceat.records(data.rows(info, test), test)} == set(info.groups)
