"""Identity terms by notion, and texts in which one of them is exchanged for another of the same notion.

The terms are the 50 of Dixon et al. 2018, "Measuring and Mitigating Unintended Bias in Text Classification" (AIES), as they stand
in the sentence templates that were published with it and as Garg et al. 2019 exchange them. The notions are ours, and so are the
plurals, which real texts have. A line of identity.csv is one identity: its term, plural and comparative, and other spellings or
nouns that are met in texts and never put there. In the phrases of kept.txt none of them speaks of a person.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fairbench.counterfactual.lexicon import Change, Finder, Lexicon, Occurrence, changes, splice

FOLDER = Path(__file__).parent
FORMS = ("term", "plural", "comparative")


@dataclass(frozen=True)
class Exchanged:
    """A text in which one identity took the place of another.

    Attributes:
        text: the text that came of it.
        notion: "religion".
        term, replacement: the identities by their terms, in lower case ("muslim", "jewish").
    """

    text: str
    notion: str
    term: str
    replacement: str


def exchanges(text: str) -> Iterator[Exchanged]:
    """A text with each of its identities exchanged, everywhere, for each other identity of the same notion.

    An identity that the text names already takes no other's place ("gays and lesbians" would become "lesbians and lesbians"), nor
    does one without the form that is wanted (no plural of "deaf").

    Args:
        text: any text; one without identity terms has no exchange.

    Example:
        >>> [made.text for made in exchanges("A deaf man met an older man.")]
        ['A blind man met an older man.', 'A paralyzed man met an older man.', 'A deaf man met a younger man.']
    """
    named: dict[tuple[str, str], list[Occurrence]] = {}
    for place in _finder().find(text):
        named.setdefault((place.word.lexicon.notion, place.word.group), []).append(place)
    for (notion, group), places in named.items():
        lexicon = places[0].word.lexicon
        for other in lexicon.groups:
            words = [lexicon.word(other, place.word.row) for place in places]
            if (notion, other) not in named and all(words):
                yield Exchanged(_exchanged(text, places, words), notion, group, other)


def _exchanged(text: str, places: list[Occurrence], words: list[str]) -> str:
    made: list[Change] = []
    for place, word in zip(places, words, strict=True):
        made += changes(text, place, word)
    return splice(text, made)[0]


@functools.cache
def identities() -> tuple[Lexicon, ...]:
    """The identities of each notion."""
    with (FOLDER / "identity.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    return tuple(_lexicon(notion, [line for line in lines if line["notion"] == notion]) for notion in _notions(lines))


def _notions(lines: list[dict[str, str]]) -> list[str]:
    return list(dict.fromkeys(line["notion"] for line in lines))


def _lexicon(notion: str, lines: list[dict[str, str]]) -> Lexicon:
    rows = [tuple(line[form] for line in lines) for form in FORMS]
    for place, line in enumerate(lines):
        for other in filter(None, line["also"].split(";")):  # its counterparts are the others' terms
            rows.append((*rows[0][:place], other, *rows[0][place + 1 :]))
    return Lexicon(notion, tuple(line["term"].lower() for line in lines), tuple(rows))


@functools.cache
def _finder() -> Finder:
    return Finder(identities(), (FOLDER / "kept.txt").read_text(encoding="utf-8").splitlines())
