"""Which "her" is "him" and which is "his"; which "his" is "her" and which is "hers"."""

from __future__ import annotations

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
        "left her satisfied.", "appointed her governor of", "bore her three children", "charged her 1000 dollars", "let her try",
        "liked her less after", "from her every day", "a devotion to her sprang up", "gave her incorrect information",
        "found her disagreeable.", "follow her north.", "one of her” and", "with her screaming at",
        "for her due to", "saw her injured in",
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
        "her then husband", "saw her extremely odd behavior", "called her performance a", "injured her back while",
        "her The Book",
        "made her return", "built her home.", "among her more than 200", "never named her successor",
        "left her estranged husband",
        "gave her agreement", "in her every move", "kept her once proud house", "found her very first letter",
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
