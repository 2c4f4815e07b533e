from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from fairbench.tasks import bec_pro

from fairbench import data
from fairbench.errors import FairbenchError
from fairbench.records import Pair, Slot


def row(number: int, person: str = "He", profession: str = "otter manager", side: str = "male", **changes: str) -> dict[str, str]:
    subject = person if person in ("He", "She") else f"This {person}"
    return {
        "Unnamed: 0": str(number),
        "Sentence": f"{subject} feeds a {profession}.",
        "Template": "<person subject> feeds a <profession>.",
        "Person": person,
        "Gender": "male" if person in bec_pro.COUNTERPARTS else "female",
        "Profession": profession,
        "Prof_Gender": side,
    } | changes


def test_a_sentence_is_a_slot_with_two_places():
    first, second = bec_pro.records([row(7), row(8, "man")], "bec_pro")
    assert first == Slot(
        id="7",
        group="male",
        cluster="otter manager",
        template="[TARGET] feeds a [ATTRIBUTE].",
        target="He",
        attribute="otter manager",
        meta={"side": "male"},
    )
    assert second.template == "This [TARGET] feeds a [ATTRIBUTE].", "the man in manager stays"


def test_slots_of_one_cell_stand_together_and_sides_take_turns():
    professions = {"otter": "male", "eel": "male", "crow": "female", "owl": "balanced"}
    rows = [
        row(i, person, p, side)
        for i, (person, (p, side)) in enumerate((q, x) for q in ("He", "She") for x in professions.items())
    ]
    records = list(bec_pro.records(rows, "bec_pro"))
    assert [(record.attribute, record.target) for record in records] == [
        (profession, person) for profession in ("otter", "crow", "owl", "eel") for person in ("He", "She")
    ]


@pytest.mark.parametrize("side", ["male", "female"])
def test_more_is_the_sentence_of_the_professions_side(side: str):
    rows = [row(i, person, side=side) for i, person in enumerate(("man", "He", "woman", "She"))]
    records = list(bec_pro.records(rows, "bec_pro_pairs"))
    more, less = ("He", "She") if side == "male" else ("She", "He")
    assert len(records) == 2
    assert records[1] == Pair(
        id="1-3" if side == "male" else "3-1",
        group=side,
        cluster="otter manager",
        more=f"{more} feeds a otter manager.",
        less=f"{less} feeds a otter manager.",
        meta={"template": "<person subject> feeds a <profession>.", "person": more},
    )


def test_a_balanced_profession_makes_no_pair():
    assert list(bec_pro.records([row(0, side="balanced"), row(1, "She", side="balanced")], "bec_pro_pairs")) == []


@pytest.mark.parametrize(
    ("task", "changes", "wanted"),
    [
        ("bec_pro", {"Gender": "unknown"}, "numbered 1 of bec_pro: found 'unknown' in Gender; wanted one of male, female"),
        ("bec_pro", {"Prof_Gender": ""}, "found '' in Prof_Gender; wanted one of male, female, balanced"),
        ("bec_pro", {"Sentence": "He feeds a manager."}, "'otter manager' 0 times"),
        ("bec_pro", {"Sentence": "He feeds He, the otter manager."}, "'He' 2 times"),
        ("bec_pro", {"Sentence": "Her otter manager."}, "'He' 0 times"),
        (
            "bec_pro_pairs",
            {"Sentence": "They feed a otter manager.", "Person": "They"},
            "'They' in Person; wanted one of He, man",
        ),
        ("bec_pro_pairs", {}, "no sentence of the other gender with 'She' beside 'He feeds a otter manager.'"),
    ],
)
def test_a_row_that_the_data_set_does_not_have_is_refused(task: str, changes: dict[str, str], wanted: str):
    with pytest.raises(FairbenchError, match=wanted):
        list(bec_pro.records([row(1, **changes)], task))


def test_a_sentence_that_stands_twice_makes_no_pair():
    with pytest.raises(FairbenchError, match="a second time; wanted each sentence once"):
        list(bec_pro.records([row(1), row(2)], "bec_pro_pairs"))


def test_the_published_counts_of_the_slots(real):
    rows = list(data.rows(bec_pro.INFO["bec_pro"], "bec_pro", real))
    records = list(bec_pro.records(rows, "bec_pro"))
    assert len(records) == len(rows) == 5400
    assert len({record.target for record in records}) == 18
    assert Counter(record.group for record in records) == {"male": 2700, "female": 2700}
    sides = {record.attribute: record.meta["side"] for record in records}
    assert Counter(sides.values()) == {"male": 20, "female": 20, "balanced": 20}
    assert len({record.template for record in records}) == 15  # five sentences with three subjects: [TARGET], This, My
    cells = [(record.template, record.attribute) for record in records]
    assert len(set(cells)) == 900 == 1 + sum(a != b for a, b in pairwise(cells)), "a cell is scattered"
    assert {len({r.target for r in records if (r.template, r.attribute) == c}) for c in set(cells[::97])} == {2, 14}
    filled = {r.id: r.template.replace("[TARGET]", r.target).replace("[ATTRIBUTE]", str(r.attribute)) for r in records}
    assert filled == {row["Unnamed: 0"]: row["Sentence"] for row in rows}


def test_the_first_records_hold_all_sides(real):
    records = list(bec_pro.records(data.rows(bec_pro.INFO["bec_pro"], "bec_pro", real), "bec_pro"))[:60]
    assert Counter(record.meta["side"] for record in records) == {"male": 20, "female": 20, "balanced": 20}


def test_the_published_counts_of_the_pairs(real):
    records = list(bec_pro.records(data.rows(bec_pro.INFO["bec_pro_pairs"], "bec_pro_pairs", real), "bec_pro_pairs"))
    assert len(records) == 1800  # 40 professions with a side x 5 sentences x 9 pairs of words
    assert Counter(record.group for record in records) == {"male": 900, "female": 900}
    assert len({record.cluster for record in records}) == 40
    assert Counter(record.meta["person"] for record in records) == dict.fromkeys(
        [*bec_pro.COUNTERPARTS, *bec_pro.COUNTERPARTS.values()], 100
    )
    for record in records:
        words = [a for a, b in zip(record.more.split(), record.less.split(), strict=True) if a != b]
        assert len(words) == 1 and words[0].strip(",") == record.meta["person"], "a pair differs in the person word alone"


def test_the_masked_columns_have_the_faults_that_the_card_tells(real):
    import csv

    with (real / "bec_pro" / "data" / "BEC-Pro_EN.tsv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    masked = [
        r["Sentence"]
        .replace(r["Person"], "[MASK]", 1)
        .replace(r["Profession"], " ".join(["[MASK]"] * len(r["Profession"].split())))
        for r in rows
    ]
    assert sum(wanted != r["Sent_TAM"] for wanted, r in zip(masked, rows, strict=True)) == 23
