"""Options as a list of letters: how the list is written, in which orders, and how a letter is read out of a reply.

A model may like a letter, or a place in the list, whatever stands there. So every option is shown once at every place, and the
rows say at which place the chosen option stood.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairbench.records import Choice

LETTERS = string.ascii_uppercase
INSTRUCTION = "Answer with the letter of one option."
CUE = "Answer:"


@dataclass(frozen=True)
class Listing:
    """A record with its options in one order.

    Attributes:
        record: the record.
        order: by how many places its options are turned round: at place p stands option (p + order) mod n.
    """

    record: Choice
    order: int

    @property
    def shown(self) -> tuple[int, ...]:
        """Index of the option at each place."""
        count = len(self.record.options)
        return tuple((place + self.order) % count for place in range(count))

    @property
    def letters(self) -> tuple[str, ...]:
        """The letter at each place."""
        return tuple(LETTERS[: len(self.record.options)])

    def prompt(self, instruction: str = "") -> str:
        """The record's prompt, a line for each option, the instruction where there is one, and the cue.

        Example:
            >>> from fairbench.records import Choice
            >>> print(Listing(Choice(id="1", prompt="Who slept?", options=("The man", "The cat")), order=1).prompt())
            Who slept?
            A. The cat
            B. The man
            Answer:
        """
        options = [f"{letter}. {self.record.options[i].strip()}" for letter, i in zip(self.letters, self.shown, strict=True)]
        return "\n".join([self.record.prompt.rstrip(), *options, *([instruction] if instruction else []), CUE])


def orders(record: Choice, every: bool) -> list[Listing]:
    """The record's options in their own order, or turned round so that each stands once at each place."""
    return [Listing(record, order) for order in range(len(record.options) if every else 1)]


def read_reply(reply: str, options: Sequence[str]) -> int | None:
    """The place that a reply names, or null.

    Args:
        reply: what the model wrote after the list.
        options: the texts by place, as they were shown.

    The rule: emphasis and quotation marks are taken away. The first line that is not empty counts; where it names no letter, all
    lines together. Exactly one letter must be named, by being
    1. all of the line, alone or as "(B)", "B.", "b)", "Option B", "Answer: B";
    2. at the line's beginning with a mark behind it: "B. ...", "(B) ...", "B: ...", "B, ...", "Option B - ...";
    3. behind words that announce it: "answer: B", "the answer is (B)", "the correct option is B", "I choose B", "go with B";
    4. in brackets anywhere: "(B)", "[B]";
    or the line is the whole text of one option, with or without "Answer:" before it. What stands behind a negation in its line
    ("not (B)") does not count, and a capital A or I with a word behind it is no letter ("the answer is A man"). Nothing is named
    where lines begin with different letters (a list), where another letter stands behind the one that a line begins with, or
    where the whole text of another option stands beside it.

    Example:
        >>> [read_reply(reply, ("The man", "The cat")) for reply in ("B", "**A.** The man", "The cat.", "A or B", "A cat")]
        [1, 0, 1, None, None]
    """
    lines = [line for line in (_plain(line) for line in reply.splitlines()) if line]
    if not lines or len({match["letter"].upper() for match in map(_begins, lines) if match}) > 1:
        return None
    named = _named(lines[0], options) or set().union(*(_named(line, options) for line in lines))
    place = named.pop() if len(named) == 1 else -1
    return place if 0 <= place < len(options) else None


AMBIGUOUS = -1
"""Stands for a letter that is contradicted by the text behind it: with it no reply names exactly one option."""

_MARKS = str.maketrans("", "", '*_`"\u201c\u201d\u00ab\u00bb')
_WORD = r"(?:correct )?(?:option|choice|answer|letter)"
# Behind an announced A or I another word makes it an article or a pronoun, unless the word gives a reason.
_ENDS = r"(?![\w'\u2019])(?:(?<![AI])|(?<=[)\]])|(?=\s*(?:$|[.,;:!?)\]\-\u2013\u2014]|(?:because|since|as|for)\b)))"
_ALONE = re.compile(
    rf"(?:(?:the )?{_WORD}(?: is)?:? )?(?:option |choice )?[(\[]?(?P<letter>[A-Za-z])[)\]]?[.:)!]?", re.IGNORECASE
)
_FIRST = re.compile(
    r"(?:(?i:option|choice) )?(?:(?P<open>[(\[]))?(?P<letter>[A-Z])(?(open)[)\]][.:,]?|(?:[.):,]|(?= [-\u2013\u2014] )))(?=\s|$)"
)
_ANNOUNCED = re.compile(
    rf"(?i:\b(?:{_WORD}(?: is:?|:| would be| should be)|(?:choose|pick|select|go with|answer with))(?: {_WORD})?) ?"
    rf"[(\[]?(?P<letter>[A-Z])[)\]]?{_ENDS}"
)
_BRACKETED = re.compile(r"[(\[](?P<letter>[A-Z])[)\]]")
_LONE = re.compile(r"(?<![\w'\u2019])(?P<letter>[B-HJ-Z])(?![\w'\u2019])")
_NEGATION = re.compile(r"\b(?:not|nor|neither|never|cannot|no)\b|n['\u2019]t\b", re.IGNORECASE)
_LEAD = re.compile(rf"(?:the )?{_WORD}(?: is:?|:) ", re.IGNORECASE)


def _plain(line: str) -> str:
    return " ".join(line.translate(_MARKS).split())


def _begins(line: str) -> re.Match[str] | None:
    """The letter that a line is or begins with."""
    return _ALONE.fullmatch(line) or _FIRST.match(line)


def _named(line: str, options: Sequence[str]) -> set[int]:
    """The places that a line names; AMBIGUOUS among them where a letter and the text behind it contradict each other."""
    alone = _ALONE.fullmatch(line)
    if alone:
        return {_place(alone["letter"])}
    return _by_text(line, options) or set(_letters(line, options))


def _letters(line: str, options: Sequence[str]) -> Iterator[int]:
    """The places of the letters that stand in a line as rules 2 to 4 want them."""
    first = _FIRST.match(line)
    found = [first] if first else []
    for pattern in (_ANNOUNCED, _BRACKETED, *([_LONE] if first else [])):
        found += [match for match in pattern.finditer(line) if not _NEGATION.search(line[: match.start("letter")])]
    for match in found:
        place, beside = _place(match["letter"]), (line[: match.start()], line[match.end() :].lstrip(" -\u2013\u2014"))
        yield place
        texts = set().union(*(_by_text(text, options) for text in beside))
        if texts and place not in texts:
            yield AMBIGUOUS


def _by_text(text: str, options: Sequence[str]) -> set[int]:
    """The options whose whole text this is, but for capitals, spaces and marks at the end."""
    lead = _LEAD.match(text)
    wanted = {_bare(text), _bare(text[lead.end() :] if lead else text)} - {""}
    return {place for place, option in enumerate(options) if _bare(_plain(option)) in wanted}


def _bare(text: str) -> str:
    return text.casefold().strip(" .,;:!?'\u2019\u2018")


def _place(letter: str) -> int:
    return LETTERS.index(letter.upper())
