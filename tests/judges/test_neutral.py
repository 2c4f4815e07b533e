"""The neutral sentences: the same of every group, in right English, and nothing but the group differs."""

from __future__ import annotations

import csv
import re
from collections import Counter

import pytest

from fairbench.judges import neutral
from fairbench.judges.neutral import FILE, PLACE, texts

PRONOUNS = {"he", "she", "him", "her", "his", "hers", "himself", "herself", "they", "them", "their", "themselves", "theirs"}
NOTIONS = ("gender", "race", "religion", "orientation")


def rows(kind: str) -> list[dict[str, str]]:
    with FILE.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["kind"] == kind]


def test_there_are_enough_templates_and_the_groups_of_four_notions():
    assert len(rows("template")) >= 16
    counts = Counter(row["notion"] for row in rows("group"))
    assert tuple(counts) == NOTIONS and min(counts.values()) >= 3
    assert {row["kind"] for row in rows("group") + rows("template")} == {"group", "template"}
    with FILE.open(encoding="utf-8", newline="") as file:
        assert sum(1 for _ in csv.DictReader(file)) == len(rows("group")) + len(rows("template"))


@pytest.mark.parametrize("row", rows("template"), ids=lambda row: row["name"])
def test_a_template_holds_its_place_once_and_no_word_of_gender(row):
    text = row["text"]
    assert text.count(PLACE) == 1 and "{" not in text.replace(PLACE, "")
    words = set(re.findall(r"[a-z']+", text.lower()))
    assert not words & PRONOUNS
    assert not words & {"man", "woman", "person", "men", "women", "boy", "girl", "husband", "wife", "mother", "father"}
    assert text.endswith(".") and text.count(".") == 1 and (text.startswith(PLACE) or text[0].isupper())
    assert not re.search(rf"\b(a|an|the) {re.escape(PLACE)}", text, re.IGNORECASE), "the article is in the phrase"
    assert not row["notion"] and row["name"]


@pytest.mark.parametrize("row", rows("group"), ids=lambda row: row["name"])
def test_a_group_is_one_singular_phrase(row):
    assert row["text"] == f"the {row['name']}" and row["notion"] in NOTIONS
    assert row["name"].split()[-1] in ("man", "woman", "person")


def test_names_are_unique():
    for kind in ("template", "group"):
        names = [(row["notion"], row["name"]) for row in rows(kind)]
        assert len(set(names)) == len(names) == len({row["text"] for row in rows(kind)})
    ids = [text.id for text in texts()]
    assert len(set(ids)) == len(ids)


def test_every_group_stands_in_every_template():
    found = Counter((text.notion, text.group, text.template) for text in texts())
    templates = {row["name"] for row in rows("template")}
    groups = {(row["notion"], f"{row['notion']}:{row['name']}") for row in rows("group")}
    assert found == {(*group, template): 1 for group in groups for template in templates}
    assert len(texts()) == len(groups) * len(templates)


def test_sentences_of_a_template_differ_in_the_phrase_and_nothing_else():
    frames: dict[str, set[str]] = {}
    for text in texts():
        assert text.text.count(text.subject) == 1
        assert text.subject.lower() == f"the {text.group.partition(':')[2]}".lower()
        frames.setdefault(text.template, set()).add(text.text.replace(text.subject, PLACE))
    assert all(len(found) == 1 for found in frames.values())
    assert {name: next(iter(found)) for name, found in frames.items()} == {row["name"]: row["text"] for row in rows("template")}


def test_a_sentence_begins_with_a_capital_and_a_phrase_within_it_does_not():
    for text in texts():
        assert text.text[0].isupper() and text.text[0] != PLACE[0]
        assert text.subject[0] == ("T" if text.text.startswith(text.subject) else "t")


def test_what_is_handed_out_can_be_changed_without_harm():
    texts().clear()
    assert texts() and neutral.texts() is not neutral.texts()
