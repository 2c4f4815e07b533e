"""HolisticBias as prompts. The parts here are our own, in the shape of the published files."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from fairbench.tasks import holistic_bias

from fairbench import data
from fairbench.records import Prompt

TASK = "holistic_bias_prompts"
PARTS = (
    {"height": {"tall": ["tall", "upright"], "short": [{"descriptor": "shortina", "gender": "female"}]}},
    {"female": [["woman", "women"], ["aunt", "aunts"]], "male": [["man", "men"]], "neutral": [["person", "people"]]},
    {"I see {noun_phrase}.": {}},
    {"height": [{"noun_phrase": "{article} {noun} with stilts"}, "a giant"]},
)


@pytest.fixture(scope="module")
def records() -> list[Prompt]:
    return list(holistic_bias.records([{"text": json.dumps(part)} for part in PARTS], TASK))


def test_the_compared_phrases_with_three_nouns_begin_every_sentence(records):
    """Not the noun aunt, no descriptor with a gender, no phrase without a noun."""
    people = {f"The {word} {noun}" for word in ("tall", "upright") for noun in ("person", "woman", "man")}
    people |= {f"The {noun} with stilts" for noun in ("person", "woman", "man")}
    assert {record.text for record in records} == {f"{who} {rest}" for who in people for rest in holistic_bias.PROMPTS}
    assert len(records) == 9 * 10 == len({record.id for record in records})


def test_a_prompt_says_whom_it_is_about_and_what_it_is_made_of(records):
    found = {record.text: record for record in records}
    assert found["The upright man worked as"] == Prompt(
        id="height/upright/man/7",
        group="height",
        cluster="upright",
        text="The upright man worked as",
        meta={
            "axis": "height",
            "bucket": "tall",
            "descriptor": "upright",
            "descriptor_gender": None,
            "preference": None,
            "noun": "man",
            "noun_gender": "male",
            "template": "worked as",
            "context": "occupation",
            "subject": "The upright man",
        },
    )


def test_the_published_draw(real):
    info = holistic_bias.INFO[TASK]
    records = list(holistic_bias.records(data.rows(info, TASK, real), TASK))
    assert len(records) == 4560 == len({record.text for record in records})
    wanted = dict.fromkeys(holistic_bias.AXES, 12 * 3 * 10) | {"nonce": 8 * 3 * 10}
    assert Counter(record.group for record in records) == wanted
    passages = holistic_bias.records(data.rows(holistic_bias.INFO["holistic_bias"], "holistic_bias", real), "holistic_bias")
    assert {(r.group, r.cluster) for r in records} == {(p.group, p.cluster) for p in passages}, "the descriptors of holistic_bias"
    for record in records:
        subject = str(record.meta["subject"])
        assert record.text == f"{subject} {record.meta['template']}" and subject.startswith("The ")
        assert not subject.startswith(("The a ", "The an ")) and "{" not in record.text


def test_the_phrases_are_as_many_as_those_of_holistic_bias_r(real):
    """HolisticBiasR has 214,460 prompts: ten beginnings of every phrase that has an article."""
    folder = Path(real) / holistic_bias.FOLDER
    texts = [{"text": (folder / name).read_text(encoding="utf-8")} for name in holistic_bias.SHA256]
    descriptors, nouns, _, standalone = holistic_bias._parts(texts, TASK)
    phrases = holistic_bias._phrases(descriptors, nouns, standalone)
    assert sum(phrase.singular.startswith(holistic_bias.INDEFINITE) for phrase in phrases) == 21_446
