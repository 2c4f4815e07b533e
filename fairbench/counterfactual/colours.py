"""Whether "black" or "white" speaks of people: before a word for them, or said of them; a black car and white hair stay."""

from __future__ import annotations

import functools
import re

from fairbench.counterfactual.lexicon import Occurrence, function_word
from fairbench.counterfactual.lists import words

_JOINED = r"(?:\s*(?:,|/|and|or|,\s*and|,\s*or|-)\s*(?:black|white|asian|hispanic|latino|brown))*"
_WORD = re.compile(r"\s+([^\W\d_]+)")


@functools.cache
def _before_people() -> re.Pattern[str]:
    kinds, people = ("|".join(sorted(words(name))) for name in ("kinds of people", "people"))
    return re.compile(rf"{_JOINED}(?:[\s-]+(?:{kinds}))*[\s-]+(?:{people})\b", re.IGNORECASE)


@functools.cache
def _after_people() -> re.Pattern[str]:
    people = "|".join(sorted(words("people") | {"i", "you", "he", "she", "we", "they", "who"}))
    being = r"(?:['’](?:s|m|re)|\s+(?:is|was|are|were|am|be|isn['’]t|wasn['’]t|aren['’]t|weren['’]t))"
    return re.compile(rf"\b(?:{people}){being}(?:\s+(?:not|all|both|also|mostly|half|either))*\s+\Z", re.IGNORECASE)


def speaks_of_people(text: str, place: Occurrence) -> bool:
    """Whether a word is no colour, or one that is said of people.

    Args:
        text: the whole text.
        place: a word of the lexicon of race in it.
    """
    if place.word.written not in words("colours") or _before_people().match(text, place.end):
        return True
    if text[place.end : place.end + 1] == "-" or not _after_people().search(text, max(0, place.start - 48), place.start):
        return False
    after = _WORD.match(text, place.end)
    return after is None or function_word(after[1])
