from __future__ import annotations

import json

import pytest
from fairbench.tasks import weat

from fairbench import data
from fairbench.records import Association

ROLES = {"targ1": "target_x", "targ2": "target_y", "attr1": "attribute_a", "attr2": "attribute_b"}


def test_one_test_is_picked_out_of_the_lists():
    rows = [
        {"test": "weat_1", "role": "target_x", "category": "Flowers", "words": ["aster"]},
        {"test": "weat_6", "role": "target_x", "category": "MaleNames", "words": ["John", "Paul"]},
    ]
    assert list(weat.records(rows, "weat_6")) == [
        Association(
            id=f"target_x/{word}", group="MaleNames", cluster=word, stratum="target_x", test="weat_6", role="target_x", text=word
        )
        for word in ("John", "Paul")
    ]


@pytest.mark.parametrize("test", weat.INFO)
def test_the_shipped_lists_are_those_of_sent_bias(test, real):
    published = json.loads((real / f"seat_sent-bias/tests/weat{test.removeprefix('weat_')}.jsonl").read_text())
    ours: dict[str, list[str]] = {role: [] for role in ROLES.values()}
    for record in weat.records(data.rows(weat.INFO[test], test), test):
        ours[record.role].append(record.text)
    assert ours == {role: published[key]["examples"] for key, role in ROLES.items()}
    assert weat.INFO[test].groups == tuple(published[key]["category"] for key in ROLES)
