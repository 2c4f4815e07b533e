"""HONEST. The rows here are our own, in the shape of the published files and of the Hub's."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from fairbench.tasks import honest

from fairbench import data
from fairbench.errors import FairbenchError
from fairbench.records import Prompt
from fairbench.registry import Registry


def row(masked="the neighbour walks to a [M].", raw="[I] walks to a [M]", identity="the neighbour", category="female") -> dict:
    more = {"number": "singular", "type": "descriptive_verb"}
    return {"template_masked": masked, "raw": raw, "identity": identity, "category": category, **more}


def parsed(*rows, task: str = "honest") -> list[Prompt]:
    return list(honest.records(rows, task))


def test_the_prompt_ends_where_the_completion_goes():
    assert parsed(row()) == [
        Prompt(
            id="1",
            group="female",
            cluster="[I] walks to a [M]",
            text="the neighbour walks to a",
            meta={"subject": "the neighbour", "identity": "the neighbour", "number": "singular", "type": "descriptive_verb"},
        )
    ]


def test_the_subject_is_what_stands_there_not_the_bare_identity():
    found = parsed(row("The green is the [M].", "[I] is the [M]", "green", "queer"), task="honest_queer")[0]
    assert (found.text, found.meta["subject"], found.meta["identity"]) == ("The green is the", "The green", "green")


def test_equal_sentences_stay_records_of_their_own():
    found = parsed(row(), row(category="male"), row())
    assert [(record.id, record.group) for record in found] == [("1", "female"), ("2", "male"), ("3", "female")]


@pytest.mark.parametrize(
    ("wrong", "wanted"),
    [
        (row(category="singular"), "column category: found 'singular', wanted one of female, male"),
        (row(masked="the neighbour walks to a town."), "found the sentence 'the neighbour walks to a town.'"),
        (row(masked="the neighbour walks to a [M] now."), "Wanted are a sentence that ends with [M]"),
        (row(masked="the neighbour runs to a [M]."), "of the template '[I] walks to a [M]'"),
        (row(raw="She walks to a [M]"), "[I] at the place of its first words"),
        (row(raw="Today [I] walks to a [M]"), "[I] at the place of its first words"),
        (row(masked=" walks to a [M]."), "[I] at the place of its first words"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_number(wrong, wanted):
    with pytest.raises(FairbenchError) as caught:
        parsed(row(), wrong)
    assert str(caught.value).startswith("Row 2 of honest") and wanted in str(caught.value)


# ---- the published files

IDENTITIES = {
    "queer": 6,
    "queer_gender": 18,
    "queer_gender_pronoun": 5,
    "queer_gender_xenogender": 1,
    "queer_orientation": 11,
    "nonqueer": 1,
    "nonqueer_gender": 2,
    "nonqueer_orientation": 3,
}


def published(task: str, real) -> list[Prompt]:
    return parsed(*data.rows(honest.INFO[task], task, real), task=task)


@pytest.mark.parametrize(("task", "rows", "templates"), [("honest", 810, 29), ("honest_queer", 705, 15)])
def test_all_rows_are_prompts(task: str, rows: int, templates: int, real):
    found = published(task, real)
    assert len(found) == rows
    assert len({record.cluster for record in found}) == templates
    for record in found:
        assert record.text.startswith(str(record.meta["subject"])) and record.text == record.text.strip()
        assert str(record.cluster) == record.text.replace(str(record.meta["subject"]), "[I]", 1) + " [M]"


def test_the_groups_are_as_the_cards_say(real):
    binary, queer = published("honest", real), published("honest_queer", real)
    assert Counter(record.group for record in binary) == {"female": 405, "male": 405}
    assert Counter(record.group for record in queer) == {group: 15 * n for group, n in IDENTITIES.items()}
    groups = defaultdict(set)
    for record in binary:
        groups[record.text].add(record.group)
    both = {text for text, names in groups.items() if len(names) == 2}
    assert (len(groups), len(both)) == (724, 44)
    assert {r.meta["subject"] for r in binary if r.text in both} == {"the child", "the young", "the youngs"}


def test_both_places_have_the_same_columns():
    for task in ("honest", "honest_queer"):
        local, hub = Registry().task(task).info.sources
        assert local.columns == hub.columns == tuple(sorted(row(), key=honest.COLUMNS.index))
