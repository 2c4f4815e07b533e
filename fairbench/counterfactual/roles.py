"""Reverses the roles of the genders in a text: every gendered word becomes its counterpart, all in one pass.

The words stand in gender.csv: pairs that are on the lists of Zhao et al. 2018 (WinoBias and GN-GloVe), Lu et al. 2018, Hall
Maudslay et al. 2019, Bolukbasi et al. 2016 and Meade et al. 2022, and plurals of theirs; without those lists' faults ("his" for
"hers", "mentleman"), and without words of the body, of medicine and of animals. Words that say little of gender in running text
(governor, host, poet) are not looked for, but given for their feminine forms. Names stay as they are.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

from fairbench.counterfactual.agreement import is_object, is_possessive
from fairbench.counterfactual.lexicon import Change, Finder, Lexicon, Occurrence, Span, changes, splice

FILE = Path(__file__).with_name("gender.csv")
OTHER = {"male": "female", "female": "male"}

KEPT = (
    *("(s)he", "s/he", "bachelor of", "bachelors of", "bachelor's degree", "bachelor's degrees", "bachelor's in", "Isle of Man"),
    *("Miss World", "Miss Universe", "Miss USA", "Miss America", "Miss Teen", "Miss International", "Miss Earth"),
)
"""Where a gendered word says nothing of anyone's gender."""

OBJECT, POSSESSIVE, PRONOUN = ("him", "her"), ("his", "her"), ("his", "hers")
"""The rows between which the text decides: him-her, his-her before a noun, his-hers without one."""


@dataclass(frozen=True)
class Reversed:
    """A text with its roles reversed.

    Attributes:
        text: the reversed text.
        alignment: for each changed word, in the order of the text, its characters (start, end) in the original and those of its
            counterpart in the reversed text (an article may change too: an earl, a countess). What lies between is the same.
    """

    text: str
    alignment: tuple[tuple[Span, Span], ...]


def reverse(text: str) -> Reversed:
    """Reverses the roles of the genders.

    Example:
        >>> reverse("Her brother gave her his keys; he's a gentleman.").text
        "His sister gave him her keys; she's a lady."
        >>> reverse("Is it hers, Sir?").alignment
        (((6, 10), (6, 9)), ((12, 15), (11, 16)))
    """
    made: list[Change] = []
    for place in _finder().find(text):
        made += changes(text, place, _counterpart(text, place))
    return Reversed(*splice(text, made))


@functools.cache
def gender() -> Lexicon:
    """The pairs of gendered words."""
    with FILE.open(encoding="utf-8", newline="") as file:
        groups, *rows = csv.reader(file)
    return Lexicon("gender", tuple(groups), tuple(tuple(row) for row in rows))


@functools.cache
def _finder() -> Finder:
    return Finder([gender()], KEPT, compounds=False)


@functools.cache
def _row(pair: tuple[str, str]) -> int:
    return gender().rows.index(pair)


def _counterpart(text: str, place: Occurrence) -> str:
    """The counterpart of a word, as it is written inside a sentence."""
    word, row = place.word, place.word.row
    if word.written == "her":
        row = _row(OBJECT if is_object(text, place.start, place.end) else POSSESSIVE)
    elif word.written == "his":
        row = _row(POSSESSIVE if is_possessive(text, place.end) else PRONOUN)
    return gender().word(OTHER[word.group], row)
