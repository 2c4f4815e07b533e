"""Which "her" is "him" and which is "his"; which "his" is "her" and which is "hers"."""

from __future__ import annotations

import csv
import re

import pytest

from fairbench.counterfactual.agreement import is_object, is_possessive

WORD = re.compile(r"\b(her|his)\b", re.IGNORECASE)


@pytest.mark.parametrize(
    "text",
    [
        "I saw her.", "I saw her", "told her that", "with her, and", "saw her walking", "made her laugh", "let her go",
        "gave her advice", "gave her the book", "told her everything", "wished her happy birthday", "did her justice",
        "looked at her quietly", "sent her back", "to him or her", "to him/her now", "put her on", "HER!", "helped her find it",
        "asked her many questions", "called her rotten", "she hit her — hard", "if her", "what of her?”",
    ],
)  # fmt: skip
def test_an_object(text):
    place = WORD.search(text)
    assert is_object(text, *place.span())


@pytest.mark.parametrize(
    "text",
    [
        "her mother", "Her own", "on her back", "in her later years", "his or her book", "his and her child", "her or his book",
        "made her dress", "saw her mother", "gave her mother a hug", "her early work", "her family", "called “her ‘friend’”",
        "because her back ached", "her two sons", "her very first", "In her past", "her <unk>", "her\nmother", "her _great_ plan",
    ],
)  # fmt: skip
def test_a_possessive(text):
    place = WORD.search(text) if "or her" not in text and "and her" not in text else re.search(r"\bher\b", text)
    assert not is_object(text, *place.span())


@pytest.mark.parametrize(
    ("text", "possessive"),
    [
        ("his", False), ("it was his.", False), ("his is", False), ("his and theirs", False), ("of his who", False),
        ("his or hers", False), ("his or her", True), ("his dog", True), ("his in-laws", True), ("his ‘friend’", True),
        ("his (late) uncle", True), ("his once proud", True), ("his up-to-date", True), ("his, he said", False),
    ],
)  # fmt: skip
def test_his(text, possessive):
    assert is_possessive(text, text.index("his") + 3) is possessive


def test_most_of_the_places_in_passages_about_men(real):
    """Put by "her", each "his" and "him" of a passage should be told again; those that end a phrase ("of his.") are "hers"."""
    right = total = 0
    for part in ("development", "validation", "test"):
        with (real / "gap" / f"gap-{part}.tsv").open(encoding="utf-8", newline="") as file:
            texts = [row["Text"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
        for text in texts:
            for met in re.finditer(r"\b(his|him)\b", text, re.IGNORECASE):
                male = met.group().lower()
                if male == "his" and not is_possessive(text, met.end()):
                    continue
                put = f"{text[: met.start()]}her{text[met.end() :]}"
                right += is_object(put, met.start(), met.start() + 3) is (male == "him")
                total += 1
    assert total > 4_000
    assert right / total >= 0.965
