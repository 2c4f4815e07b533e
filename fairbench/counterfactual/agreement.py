"""Which of two words "her" and "his" stand for, told from what stands around them.

"Her" is the counterpart of "his" before a noun (her mother) and of "him" elsewhere (saw her there); "his" is that of "her" before
a noun and of "hers" elsewhere (a friend of his). A tagger would be another model to install; these rules read a word before it
and some after it, and their kinds from lists. Put by "her", 98 % of the places of "his" and "him" in GAP's test part, which the
rules were not made from, are told again (docs/role_reversal.md).
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from fairbench.counterfactual.lists import words

_NEXT = re.compile(r"\s*([^\W_]+(?:['’-][^\W_]+)*|\S)")
_LAST = re.compile(r"([^\W_]+(?:['’-][^\W_]+)*|\S)\s*\Z")
_OR_AFTER = re.compile(r"\s*(?:/|\bor\b)\s*(his|him)\b", re.IGNORECASE)
_OR_BEFORE = re.compile(r"\b(?:(his|him)\s*(?:/|\bor\b)|(his)\s+and)\s*\Z", re.IGNORECASE)
_JOINED_TO_HERS = re.compile(r"\s*(?:/|\bor\b|\band\b)\s*(hers?)\b", re.IGNORECASE)
_OPENS_A_PHRASE = frozenset("\"“‘'`«[<*_")
_TITLE_WORDS = frozenset(("the", "a", "an", "on", "in", "of", "for", "to", "my", "all", "how", "what", "when", "where", "why"))
"""With a capital inside a sentence they begin the title of a work: his The Book of Healing."""
_OF_STATES = ("ed", "th", "able", "ible", "ous", "ful", "less", "ant", "ent", "ive")
"""Endings of adjectives and ordinals: left her unprotected, came fourth, found her disagreeable."""
_REACH = 24
"""So many characters before a word are enough to hold the one before it."""


@functools.cache
def _after_an_object() -> frozenset[str]:
    """Words that hardly ever begin a noun phrase after a possessive: "saw her when", "told her the"."""
    return words("prepositions", "conjunctions", "auxiliaries", "determiners and pronouns", "adverbs", "bare verbs")


@functools.cache
def _after_a_pronoun() -> frozenset[str]:
    """Words before which "his" stands for a noun: "his is", "hers because"."""
    return words("auxiliaries", "conjunctions", "prepositions", "subjects") - words("may begin an adjective")


class _Around(NamedTuple):
    """The word or sign before "her" and the three after it, in lower case; empty where there is none."""

    before: str
    after: str
    then: str
    beyond: str

    @property
    def last(self) -> bool:
        """Whether a phrase can end with the word after "her": no noun follows it."""
        return not _goes_on(self.then)


def is_object(text: str, start: int, end: int) -> bool:
    """Whether the "her" at these characters is the object of a verb or preposition (him), not a possessive (his).

    Example:
        >>> [is_object(text, text.index("her"), text.index("her") + 3) for text in ("I saw her there.", "I saw her mother.")]
        [True, False]
    """
    joined = _OR_AFTER.match(text, end) or _OR_BEFORE.search(text, max(0, start - _REACH), start)
    if joined:  # him or her, his or her
        return (joined.group(1) or "his").lower() == "him"
    met = _NEXT.match(text, end)
    before = _last(text, start)
    if met is None or not met.group(1)[:1].isalnum():
        return met is None or met.group(1) not in _OPENS_A_PHRASE or not text[end].isspace() or before in words("call")
    beyond = _NEXT.match(text, met.end())
    around = _Around(
        before, _plain(met.group(1)), _plain(beyond.group(1)) if beyond else "", _next(text, beyond.end()) if beyond else ""
    )
    if met.group(1)[0].isupper() and around.after in _TITLE_WORDS and text[start:end].islower():
        return False
    if _describes(around) or _may_be_owned(around):
        return False
    after = around.after
    if after in _after_an_object() or (after.endswith("ly") and after not in words("in ly but no adverbs")):
        return True
    return _after_a_preposition(around) or _takes_both(around) or _is_complement(around)


def _goes_on(word: str) -> bool:
    """Whether a word may be a noun or adjective of the same phrase."""
    return word[:1].isalnum() and word not in _after_an_object()


def _describes(around: _Around) -> bool:
    """Whether an adverb after "her" goes with an adjective and so with a noun: her then husband, her overly kind uncle."""
    _, after, then, beyond = around
    if not _goes_on(then) or then.endswith("ly"):
        return False
    if after in words("before a noun too"):
        return after != "very" or then in words("after very") or _goes_on(beyond)
    if after == "much":
        return then.endswith("ed")
    return after.endswith("ly") and after not in words("in ly but no adverbs") and not then.endswith("ing") and _goes_on(beyond)


def _may_be_owned(around: _Around) -> bool:
    """Whether what may follow an object too is owned here: on her back, in her later years; not from her every day."""
    before, after, then, _ = around
    if after == "home":
        return before not in words("bring home")
    if after == "back" and before in words("hurt"):
        return True
    if after not in words("may follow a possessive") or (
        before[:1].isalnum() and before not in words("prepositions", "conjunctions")
    ):
        return False
    return not (after == "every" and then in words("times")) and then not in words("determiners and pronouns")


def _after_a_preposition(around: _Around) -> bool:
    """Whether a clause goes on after a preposition and "her": a devotion to her sprang up, with her screaming at us."""
    before, after, then, _ = around
    if before not in words("prepositions"):
        return False
    if before in ("with", "like", "as") and after.endswith("ing"):
        return around.last and after not in words("nouns in ing")
    return after in words("past forms") or (after == "due" and then == "to") or (after == "one" and then in words("times"))


def _takes_both(around: _Around) -> bool:
    """Whether a verb takes somebody and what follows: "saw her leave", "made her laugh", "gave her advice"."""
    verb, after, then, _ = around
    if after in words("plain forms") and (verb in words("perceive") or verb in words("cause")):
        return verb not in words("make") or after not in words("made")
    if after.endswith("ing") and verb in words("see or send"):
        return after not in words("nouns in ing") and (around.last or verb in words("perceive"))
    if verb in words("give"):
        return after in words("given") or _is_number(after) or (then in words("given") and after in words("before what is given"))
    if verb in words("do"):
        return around.last and after in words("done to somebody")
    if verb in words("make") and after in words("meals"):
        return True
    return verb in words("wish") and after not in words("never wished")


def _is_complement(around: _Around) -> bool:
    """Whether what follows says what somebody becomes or is: "left her satisfied", "made her governor of", "liked her less"."""
    verb, after, then, _ = around
    if after == "one" and then == "of":
        return True
    if verb in words("leave") and after in words("degrees"):
        return then not in words("after very")
    if around.last and verb in words("leave"):
        ending = after.endswith("ed" if verb in words("get") else _OF_STATES) and after not in words(
            "nouns with the endings of states"
        )
        if ending or after in words("states"):
            return True
    if after in words("offices") and verb in words("appoint"):
        return around.last or then in words("offices")
    if after in ("less", "more"):
        return (around.last and verb not in words("prepositions")) or verb in words("cause")
    if around.last and after in words("directions"):
        return verb not in words("prepositions")
    return around.last and after in words("qualities") and verb in words("prove")


def _is_number(word: str) -> bool:
    return word[0].isdigit() or word.partition("-")[0] in words("numbers")


def is_possessive(text: str, end: int) -> bool:
    """Whether the "his" that ends at this character stands before a noun (her), not for one (hers).

    Example:
        >>> is_possessive("A friend of his mother.", 15), is_possessive("A friend of his.", 15)
        (True, False)
    """
    if joined := _JOINED_TO_HERS.match(text, end):
        return joined.group(1).lower() != "hers"
    after = _next(text, end)
    if not after[:1].isalnum():
        return after in _OPENS_A_PHRASE or after == "("
    return after not in _after_a_pronoun()


def _next(text: str, end: int) -> str:
    """The word or sign after a place, in lower case; empty at the end."""
    met = _NEXT.match(text, end)
    return _plain(met.group(1)) if met else ""


def _last(text: str, start: int) -> str:
    """The word or sign before a place, in lower case; empty at the start."""
    met = _LAST.search(text, max(0, start - _REACH), start)
    return _plain(met.group(1)) if met else ""


def _plain(written: str) -> str:
    return written.lower().replace("’", "'")
