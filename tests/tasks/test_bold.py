"""BOLD in both its shapes. The prompts here are our own, in the shape of the published files and of the Hub's rows."""

from __future__ import annotations

import doctest
import json
from collections import Counter

import pytest
from fairbench.tasks import bold

from fairbench import data
from fairbench.asked import look_through
from fairbench.errors import FairbenchError
from fairbench.records import Prompt
from fairbench.registry import Registry

GENDER = {
    "American_actors": {"Ed_Ex": ["Ed Ex sat on "], "Al_B._Zed_(actor)": ["Once Al B. Zed had ", "Al B. Zedd is no "]},
    "American_actresses": {"Jo_Ex": ["\u201cEd and jo ex are\nmany ", ""], "Ed_Ex": ["Here Edward Ex "]},
}
HUB = [
    {"domain": "gender", "name": name, "category": group, "prompts": prompts, "wikipedia": ["A sentence."] * len(prompts)}
    for group, entities in GENDER.items()
    for name, prompts in entities.items()
]
OTHER = {"domain": "race", "name": "Ed_Ex", "category": "Asian_Americans", "prompts": ["Ed Ex ran "], "wikipedia": ["Ed Ex ran."]}

COUNTS = {"gender": 3204, "profession": 10195, "race": 7657, "religious_ideology": 639, "political_ideology": 1984}
EMPTY = {"religious_ideology": 2, "political_ideology": 3}
GROUPS = {
    "gender": {"American_actors": 2048, "American_actresses": 1156},
    "race": {
        "Asian_Americans": 861,
        "African_Americans": 1854,
        "European_Americans": 4839,
        "Hispanic_and_Latino_Americans": 103,
    },
    "religious_ideology": {
        "judaism": 94,
        "christianity": 171,
        "islam": 109,
        "hinduism": 12,
        "buddhism": 134,
        "sikhism": 90,
        "atheism": 29,
    },
}


def parsed(rows, task: str = "bold_gender") -> list[Prompt]:
    return list(bold.records(rows, task))


def test_the_examples_are_right():
    failed, attempted = doctest.testmod(bold)
    assert attempted and not failed


def test_a_record_a_prompt_with_the_name_as_it_stands_there():
    found = {record.id: record for record in parsed([{"text": json.dumps(GENDER)}])}
    assert list(found) == [
        "American_actors/Ed_Ex/1",
        "American_actors/Al_B._Zed_(actor)/1",
        "American_actors/Al_B._Zed_(actor)/2",
        "American_actresses/Jo_Ex/1",
        "American_actresses/Jo_Ex/2",
        "American_actresses/Ed_Ex/1",
    ]
    assert found["American_actors/Ed_Ex/1"] == Prompt(
        id="American_actors/Ed_Ex/1",
        group="American_actors",
        cluster="Ed_Ex",
        text="Ed Ex sat on ",
        meta={"subject": "Ed Ex", "entity": "Ed_Ex"},
    )
    assert [record.meta["subject"] for record in found.values()] == ["Ed Ex", "Al B. Zed", None, "jo ex", None, None]


def test_an_empty_prompt_is_a_record_that_is_not_asked():
    empty = parsed([{"text": json.dumps(GENDER)}])[4]
    assert (empty.text, empty.meta["unasked"]) == ("", bold.EMPTY)


def test_the_rows_of_the_hub_give_the_same_records():
    assert parsed([OTHER, *HUB]) == parsed([{"text": json.dumps(GENDER)}])
    assert [record.id for record in parsed([OTHER, *HUB], "bold_race")] == ["Asian_Americans/Ed_Ex/1"]


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ([{"text": "{"}], "The file of bold_gender is not JSON"),
        ([{"text": "[]"}], "not as published. Wanted is JSON of the shape {group: {entity: [prompt]}}"),
        ([{"text": '{"American_actors": ["Ed"]}'}], "group 'American_actors' is not as published"),
        ([{"text": '{"American_actors": {"Ed": [1]}}'}], "group 'American_actors' is not as published"),
        ([{"text": '{"Actors": {"Ed": ["Ed is "]}}'}], "hold the group 'Actors'; wanted is one of American_actors, American_act"),
        ([HUB[0] | {"category": "Actors"}], "hold the group 'Actors'"),
    ],
)
def test_data_that_are_not_as_published_are_refused(rows, wanted):
    with pytest.raises(FairbenchError) as caught:
        parsed(rows)
    assert wanted in str(caught.value) and "\n" not in str(caught.value)


def test_the_cards_count_their_prompts_and_polarity_is_compared_where_it_says_something():
    assert {name: domain.prompts for name, domain in bold.DOMAINS.items()} == COUNTS
    assert sum(COUNTS.values()) == 23_679
    with_polarity = [name for name, info in bold.INFO.items() if any("polarity" in metric for metric in info.metrics)]
    with_regard = [name for name, info in bold.INFO.items() if any("regard" in metric for metric in info.metrics)]
    assert (with_polarity, with_regard) == (["bold_profession"], ["bold_gender", "bold_race"])


# ---- the published files


@pytest.mark.parametrize("domain", COUNTS)
def test_the_published_prompts_are_all_there(domain: str, real):
    name = f"bold_{domain}"
    records = parsed(data.rows(bold.INFO[name], name, real), name)
    assert len(records) == COUNTS[domain] == len({record.id for record in records})
    groups = Counter(record.group for record in records)
    assert set(groups) == set(bold.INFO[name].groups)
    assert domain not in GROUPS or groups == GROUPS[domain]
    assert sum("unasked" in record.meta for record in records) == EMPTY.get(domain, 0)
    nested = json.loads((real / f"bold/prompts/{domain}_prompt.json").read_text(encoding="utf-8"))
    published = [p for entities in nested.values() for prompts in entities.values() for p in prompts]
    assert [record.text for record in records] == published
    for record in records:
        subject = record.meta["subject"]
        assert subject is None or (subject in record.text and subject.lower() in str(record.cluster).replace("_", " ").lower())


@pytest.mark.parametrize(("domain", "without"), [("gender", 8), ("race", 175)])
def test_almost_all_people_are_named_in_their_prompt(domain: str, without: int, real):
    """As the card says; a name of which a letter is another is no name of theirs."""
    name = f"bold_{domain}"
    records = parsed(data.rows(bold.INFO[name], name, real), name)
    assert sum(record.meta["subject"] is None for record in records) == without
    assert any(note.startswith((f"{without} of the", f"{without:,} of the")) for note in bold.INFO[name].notes)


def test_the_runner_takes_the_records_as_they_are(real):
    task = Registry().task("bold_religious_ideology")
    asked = look_through(task, data.rows(task.info, task.name, real), None)
    assert (asked.total, asked.n) == (639, 639)
