"""The pairs of gendered words, and which of two counterparts a word has where it stands.

The words stand in gender.csv: pairs that are on the lists of Zhao et al. 2018 (WinoBias and GN-GloVe), Lu et al. 2018, Hall
Maudslay et al. 2019, Bolukbasi et al. 2016 and Meade et al. 2022, and plurals of theirs; without those lists' faults ("his" for
"hers", "mentleman"), and without words of the body, of medicine and of animals. Words that say little of gender in running text
(governor, host, poet) are not looked for, but given for their feminine forms.
"""

from __future__ import annotations

import functools
from pathlib import Path

from fairbench.counterfactual.agreement import is_object, is_possessive
from fairbench.counterfactual.lexicon import Lexicon, Occurrence, read_lexicon

FILE = Path(__file__).with_name("gender.csv")

KEPT = (
    *("(s)he", "s/he", "bachelor of", "bachelors of", "bachelor's degree", "bachelor's degrees", "bachelor's in", "Isle of Man"),
    *("Miss World", "Miss Universe", "Miss USA", "Miss America", "Miss Teen", "Miss International", "Miss Earth"),
    "House of Lords",
)
"""Where a gendered word says nothing of anyone's gender."""

OBJECT, POSSESSIVE, PRONOUN = ("him", "her"), ("his", "her"), ("his", "hers")
"""The rows between which the text decides: him-her, his-her before a noun, his-hers without one."""


@functools.cache
def gender() -> Lexicon:
    """The pairs of gendered words."""
    return read_lexicon(FILE)


def row_in(text: str, place: Occurrence) -> int:
    """The row that a word has its counterpart in: its own, but for "her" and "his", which the text around them decides.

    Args:
        text: the whole text.
        place: a word of `gender()` in it.
    """
    written = place.word.written
    if written == "her":
        return _row(OBJECT if is_object(text, place.start, place.end) else POSSESSIVE)
    if written == "his":
        return _row(POSSESSIVE if is_possessive(text, place.end) else PRONOUN)
    return place.word.row


@functools.cache
def _row(pair: tuple[str, str]) -> int:
    return gender().rows.index(pair)
