from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics.disco import disco
from fairbench.tasks import disco as module

from fairbench import data
from fairbench.records import Slot

BOTH = pytest.mark.parametrize("task", module.INFO)


def read(task: str) -> list[Slot]:
    return list(module.records(data.rows(module.INFO[task], task, None), task))


def test_a_row_becomes_a_slot_for_each_template_and_word():
    rows = [
        {"task": "disco_nouns", "group": "male", "words": ["otter", "drake"]},
        {"task": "disco_names", "group": "male", "words": ["Bob"]},
    ]
    records = list(module.records(rows, "disco_nouns"))
    assert len(records) == 2 * len(module.TEMPLATES)
    assert records[1] == Slot(
        id="1/drake", group="male", cluster="drake", template="The [TARGET] wants to [ATTRIBUTE].", target="drake"
    )
    (name, *_) = module.records(rows, "disco_names")
    assert name.template == "[TARGET] wants to [ATTRIBUTE]."


@BOTH
def test_every_word_stands_in_every_template_with_an_open_last_word(task: str):
    records = read(task)
    assert Counter(record.group for record in records) == {"male": 360, "female": 360}
    assert Counter(record.target for record in records).most_common(1)[0][1] == 12 and len({r.target for r in records}) == 60
    assert {record.attribute for record in records} == {None} and {r.cluster == r.target for r in records} == {True}
    for template in {record.template for record in records}:
        assert template.count("[TARGET]") == template.count("[ATTRIBUTE]") == 1
        assert template.endswith("[ATTRIBUTE]."), "a causal model sees nothing after the place it fills"


@BOTH
def test_slots_of_one_template_stand_together(task: str):
    templates = [record.template for record in read(task)]
    changes = sum(a != b for a, b in pairwise(templates))
    assert changes == len(module.TEMPLATES) - 1


@BOTH
def test_the_words_are_enough_for_significance_as_the_card_says(task: str):
    first = [record for record in read(task) if record.id.startswith("1/")]

    def score(supplying: int) -> float:
        names: dict[str, int] = {}
        shared = []
        for record in first:
            names[record.group] = names.get(record.group, 0) + 1
            own = record.group == "female" and names[record.group] <= supplying
            shared.append(["own" if own else f"only {record.target}", "all", "every"])
        table = pd.DataFrame([{"template": r.template, "target": r.target, "group": r.group} for r in first])
        options = {"top": 3, "alpha": 0.05, "correction": "template"}
        return float(disco(table.assign(top_fills=shared), np.ones((1, len(first))), **options)[0])

    assert (score(9), score(10)) == (0.0, 1.0)
