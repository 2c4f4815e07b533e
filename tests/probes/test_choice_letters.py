"""How options are listed, and which letter is read out of a reply: the table of the rule."""

from __future__ import annotations

import string

import pytest

from fairbench.probes.choice_letters import INSTRUCTION, Listing, orders, read_reply
from fairbench.records import Choice

OPTIONS = ("The man", "The woman", "Not known")
MANY = tuple(f"option number {n}" for n in range(26))

NAMED = {
    # 1. the letter is the whole line
    "B": "B", " b": "B", "B.": "B", "(B)": "B", "[B]": "B", "b)": "B", "**B**": "B", '"B"': "B", "`B`": "B", "B!": "B",
    "Answer: B": "B", "answer: b": "B", "**Answer:** B": "B", "The answer is B": "B", "The correct answer is C.": "C",
    "Option A": "A", "Choice (C)": "C", "Letter: B": "B", "The answer is (A).": "A", "Answer:\nB": "B", "A": "A", "a": "A",
    # 2. it begins the line
    "B. The woman": "B", "(B) The woman": "B", "B) The woman": "B", "B: the woman.": "B", "B, because she said so": "B",
    "A - The man": "A", "A \u2013 the man": "A", "**C.** Not known": "C", "Option B: The woman": "B", "(B). The woman": "B",
    "C. Not known, for the text does not say.": "C", "A. The man slept": "A", "B, as he is not (A)": "B", "A, not B": "A",
    # 3. words announce it
    "I think that the answer is B": "B", "So, the correct option is: (C), not known.": "C", "I would choose B": "B",
    "I'd go with A.": "A", "I pick option C because of that": "C", "Here the answer should be B": "B", "My answer: B": "B",
    "The answer is A because he slept.": "A", "The answer is (A) because he slept.": "A", "Surely the answer is A, not B": "A",
    # 4. in brackets
    "It must be (B).": "B", "The woman (B)": "B", "It is [C] here": "C",
    # the text of an option
    "The woman": "B", "the woman.": "B", "\u201cNot known\u201d": "C", "Answer: The woman": "B", "The answer is the man.": "A",
    # the first line counts, and all of them where it names none
    "B\n\nThe text says that option A is wrong.": "B", "\n\n C \n": "C", "Sure!\nThe answer is C.": "C",
    "Let me think.\nThere are two people.\n(B)": "B", "B. The woman\nThe answer is not A.": "B",
}  # fmt: skip

NOT_NAMED = [
    "", "  \n ", "D", "(D)", "A or B", "Both A and B", "(A) and (B)", "A/B", "A. B", "B, C", "B, because C is wrong", "A B",
    "A man was there", "A woman", "The answer is A man", "I don't know", "I", "a man", "an", "the b", "Because", "Neither",
    "Not A.", "not (B)", "The answer is not B", "It can't be (B)", "No, neither (A) nor (B)", "Option A is wrong",
    "The answer is not (B) but (C)", "A. The woman", "(A) The woman", "The woman (A)", "The correct answer is (B) The man",
    "A. The man\nB. The woman\nC. Not known", "Well:\nA. The man\nB. The woman", "A\nB", "Who knows?\n(A)\nor (B)?",
    "The man and the woman", "The manager", "B12 is a vitamin", "ABC", "C'est la vie", "Vitamin B",
]  # fmt: skip


@pytest.mark.parametrize(("reply", "letter"), NAMED.items())
def test_named(reply, letter):
    assert read_reply(reply, OPTIONS) == "ABC".index(letter)


@pytest.mark.parametrize("reply", NOT_NAMED)
def test_not_named(reply):
    assert read_reply(reply, OPTIONS) is None


@pytest.mark.parametrize("letter", string.ascii_uppercase)
def test_every_letter(letter):
    place = string.ascii_uppercase.index(letter)
    for reply in (letter, letter.lower(), f"({letter})", f"{letter}.", f"The answer is {letter}.", f"{letter}. {MANY[place]}"):
        assert read_reply(reply, MANY) == place
        assert place < 2 or read_reply(reply, MANY[:place]) is None  # there is no such option


def test_texts_that_differ_in_capitals_only_name_nothing():
    assert read_reply("us", ("US", "us")) is None
    assert read_reply("B", ("US", "us")) == 1


def test_listing():
    record = Choice(id="1", prompt="Who slept? \n", options=(" The man", "The woman\n", "Not known"))
    every = orders(record, every=True)
    assert [one.shown for one in every] == [(0, 1, 2), (1, 2, 0), (2, 0, 1)]
    assert [one.order for one in every] == [0, 1, 2]
    assert [sorted(one.shown[place] for one in every) for place in range(3)] == [[0, 1, 2]] * 3  # each once at each place
    assert [one.shown for one in orders(record, every=False)] == [(0, 1, 2)]
    assert every[1].prompt() == "Who slept?\nA. The woman\nB. Not known\nC. The man\nAnswer:"
    assert every[0].prompt(INSTRUCTION) == f"Who slept?\nA. The man\nB. The woman\nC. Not known\n{INSTRUCTION}\nAnswer:"
    assert Listing(record, 0).letters == ("A", "B", "C")
