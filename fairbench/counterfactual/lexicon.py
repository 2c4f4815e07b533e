"""Words of groups of people and their counterparts: found whole in a text, and exchanged in the same form and case.

A lexicon has a column for each group of one notion and a row for each meaning: words of one row are each other's counterparts.
There may be two groups (male, female) or ten (religions). A word that stands in several rows belongs to the first, so that "mum"
may have the counterpart "dad", whose own is "mom".
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fairbench.counterfactual.lists import words
from fairbench.errors import FairbenchError

BEFORE_A_NAME = " *"
"""At the end of a lexicon's word: a title, which is one only with a capital and before a capital ("Sir Isaac")."""

GIVEN_ONLY = "("
"""At the start of a word in parentheses: it is given for its counterparts and not looked for ("hostess" gives "host")."""

LEFT, RIGHT = r"(?<![\w\u0300-\u036f])", r"(?![\w\u0300-\u036f])"
"""What may stand beside a word: no letter, no digit, no accent."""
NO_COMPOUND = r"(?:(?<=\bhi[ms])|(?<=\bher)|(?![-\u2010\u2011]\w))"
"""Nor a hyphen and a word after it, but for pronouns: "man-made" does not hold "man", while "ex-wife" holds "wife"."""

_FUNCTION_WORDS = ("prepositions", "conjunctions", "auxiliaries", "determiners and pronouns", "adverbs", "not before a name")
"""Lists of words that begin a sentence before somebody's group, and no name: "Many White people", "The King"."""

_APART = re.compile(r"[\s\u2010\u2011-]+")
_OPENING = " \t\n\r\"'“‘«([*_"
_END = ""


class Word(NamedTuple):
    """A word of a lexicon: how it is written in running text, and its place."""

    written: str
    lexicon: Lexicon
    group: str
    row: int


class Occurrence(NamedTuple):
    """A word of a lexicon in a text: its characters from `start` to before `end`."""

    start: int
    end: int
    word: Word


class Change(NamedTuple):
    """Characters from `start` to before `end` of a text, and what stands in their place."""

    start: int
    end: int
    new: str


Span = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Words of the groups of one notion.

    Attributes:
        notion: what the groups are groups of ("gender").
        groups: names of the groups.
        rows: a row a meaning: a word of each group as it is written inside a sentence, empty where the group has none. A word
            that ends with BEFORE_A_NAME is a title, and one in parentheses is not looked for.
    """

    notion: str
    groups: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def word(self, group: str, row: int) -> str:
        """A group's word of a row, empty where it has none."""
        return self._written[row][self.groups.index(group)]

    @functools.cached_property
    def _written(self) -> tuple[tuple[str, ...], ...]:
        """The rows without the signs for titles and for words that are not looked for."""
        return tuple(tuple(word.removesuffix(BEFORE_A_NAME).strip("()") for word in row) for row in self.rows)


def read_lexicon(file: Path) -> Lexicon:
    """The lexicon of a notion from a CSV file of the notion's name: the groups in its first line, a meaning in every other.

    Args:
        file: "gender.csv" is of the notion gender.
    """
    with file.open(encoding="utf-8", newline="") as lines:
        groups, *rows = csv.reader(lines)
    return Lexicon(file.stem, tuple(groups), tuple(tuple(row) for row in rows))


class Finder:
    """Finds the words of lexicons in texts: whole, in any case, the longest at every place, but for those in phrases to be kept.

    Words that are also names of persons and firms are left alone with a capital after another capitalised word (Stephen King,
    Wonder Woman).
    """

    def __init__(self, lexicons: Iterable[Lexicon], kept: Iterable[str] = (), compounds: bool = True) -> None:
        """Prepares one pattern for all.

        Args:
            lexicons: no word may belong to two groups.
            kept: phrases in which no word is found ("white house").
            compounds: whether a word may be followed by a hyphen and another.
        """
        self._words: dict[str, Word | None] = {}
        self._titles: dict[str, Word] = {}
        for lexicon in lexicons:
            for number, row in enumerate(lexicon.rows):
                for group, written in zip(lexicon.groups, row, strict=True):
                    if written and not written.startswith(GIVEN_ONLY):
                        self._add(Word(written, lexicon, group, number))
        self._words |= {_key(phrase): None for phrase in kept}
        told_by_context = self._titles.keys() | words("also names")
        self._sure = {key: word for key, word in self._words.items() if key not in told_by_context}
        end = RIGHT if compounds else RIGHT + NO_COMPOUND
        self._pattern = re.compile(LEFT + _either({**self._words, **self._titles}) + end)

    def _add(self, word: Word) -> None:
        title = word.written.endswith(BEFORE_A_NAME)
        place: dict[str, Any] = self._titles if title else self._words
        key = _key(word.written.removesuffix(BEFORE_A_NAME))
        known = place.setdefault(key, word._replace(written=word.written.removesuffix(BEFORE_A_NAME)))
        if (known.lexicon, known.group) != (word.lexicon, word.group):
            raise FairbenchError(
                f"The lexicon of {word.lexicon.notion} has {word.written!r} as a word of {known.group} and of {word.group}. "
                "Wanted words that belong to one group each."
            )

    def find(self, text: str) -> list[Occurrence]:
        """The words in the order of the text."""
        found = []
        for met in self._pattern.finditer(_lowered(text)):
            key = met.group()
            word = self._sure[key] if key in self._sure else self._word(text, met)
            if word is not None:
                found.append(Occurrence(*met.span(), word))
        return found

    def _word(self, text: str, met: re.Match[str]) -> Word | None:
        key = met.group()
        if key not in self._words and key not in self._titles:
            key = _key(key)
        if key in self._titles and text[met.start()].isupper() and _before_capital(text, met.end()):
            return self._titles[key]
        word = self._words.get(key)
        return None if word is not None and key in words("also names") and _in_name(text, met.start()) else word


def _lowered(text: str) -> str:
    """A text in lower case, letter for letter, with the same places: a search in it is four times as fast."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)


def _key(written: str) -> str:
    """A word as it is looked up: lower case, straight apostrophes, one space between its parts, whether space or hyphen."""
    return _APART.sub(" ", written.lower().replace("’", "'"))


def _either(words: Iterable[str]) -> str:
    """A pattern for any of these words, the longest first, that reads each letter of the text once (a trie)."""
    root: dict[str, Any] = {}
    for word in words:
        node = root
        for letter in word:
            node = node.setdefault(letter, {})
        node[_END] = {}
    return _branches(root)


def _branches(node: dict[str, Any]) -> str:
    parts = [_letter(letter) + _branches(rest) for letter, rest in sorted(node.items()) if letter != _END]
    if not parts:
        return ""
    return f"(?:{'|'.join(parts)})" + ("?" if _END in node else "")


def _letter(letter: str) -> str:
    return {" ": r"(?:\s+|[-\u2010\u2011])", "'": "['’]"}.get(letter, re.escape(letter))


def _before_capital(text: str, end: int) -> bool:
    after = text[end : end + 3].lstrip()
    return text[end : end + 1].isspace() and after[:1].isupper()


def function_word(word: str) -> bool:
    """Whether a word with a capital beside a name is none itself ("The", "When", "Many")."""
    return word.lower() in words(*_FUNCTION_WORDS)


def _in_name(text: str, start: int) -> bool:
    """Whether a word with a capital comes right after another one that is no function word: then both may be a name."""
    if not text[start].isupper() or text[start - 1 : start] != " " or text[start : start + 2].isupper():
        return False
    before = text[text.rfind(" ", 0, start - 1) + 1 : start - 1]
    if not before[:1].isupper() or function_word(before):
        return False
    if before.endswith("."):  # an initial, or "Mr."
        return len(before) == 2 or before[:-1].lower() in words("honorifics")
    return before[-1:].isalnum()


def starts_sentence(text: str, start: int) -> bool:
    """Whether a sentence begins at this place: at the start of the text, or after a full stop, a question or exclamation mark."""
    before = text[:start].rstrip(_OPENING)
    return not before or before[-1] in ".!?"


def in_case(new: str, found: str, written: str, text: str, start: int) -> str:
    """A counterpart in the case of the word that it takes the place of.

    A text without any capital gets none; MUSLIM becomes JEWISH, Gay becomes Lesbian; a word in its usual case (Muslim, white)
    gives one in its usual case, with a capital where it begins the sentence.

    Args:
        new: the counterpart as it is written inside a sentence.
        found: the word as it stands in the text.
        written: the same word as it is usually written inside a sentence.
        text: the whole text.
        start: where the word stands in it.
    """
    if found == written and ((found.istitle() and new[0].isupper()) or (new.islower() and found.islower())):  # most, and fast
        return new
    if (found.islower() and not written.islower()) or text == text.lower():
        return new.lower()
    if found.isupper() and (text.isupper() or not written.isupper()):
        return new.upper()
    if found[0].isupper() and (written[0].islower() or starts_sentence(text, start)):
        return new[0].upper() + new[1:]
    return new


_ARTICLE = re.compile(r"(?<![\w'’])(an?)\s+\Z", re.IGNORECASE)
_MAY_END_AN_ARTICLE = frozenset("aAnN \t\n\r")
_SILENT_H = ("heir", "honest", "hono", "hour")
_SPOKEN_YOU = ("eu", "uni", "use", "usu", "one")
_VOWEL_NAMES = "AEFHILMNORSX"
"""Letters whose names begin with a vowel: an LGBT group."""


def takes_an(word: str) -> bool:
    """Whether the article before a word is "an".

    Example:
        >>> [takes_an(word) for word in ("Asian", "European", "white", "heiress", "LGBT")]
        [True, False, False, True, True]
    """
    if len(word) > 1 and word.isupper():
        return word[0] in _VOWEL_NAMES
    plain = word.lower()
    return plain.startswith(_SILENT_H) or (plain[0] in "aeiou" and not plain.startswith(_SPOKEN_YOU))


def changes(text: str, place: Occurrence, new: str) -> list[Change]:
    """What becomes of a word and of the article right before it, which stays as it is where it was wrong before.

    Args:
        text: the whole text.
        place: the word in it.
        new: its counterpart, as it is written inside a sentence.
    """
    found, written = text[place.start : place.end], place.word.written
    if "-" in written and "-" not in found:  # mother in law
        new = new.replace("-", " ")
    made = [Change(place.start, place.end, in_case(new, found, written, text, place.start))]
    if place.start < 2 or text[place.start - 2] not in _MAY_END_AN_ARTICLE:
        return made
    article = _ARTICLE.search(text, max(0, place.start - 4), place.start)
    if article is None or takes_an(written) is takes_an(new):
        return made
    old = article.group(1)
    if (len(old) == 2) is not takes_an(written):
        return made
    other = old[0] if len(old) == 2 else old + ("N" if old.isupper() and found.isupper() else "n")
    return [Change(article.start(1), article.end(1), other), *made]


def splice(text: str, made: Sequence[Change]) -> tuple[str, tuple[tuple[Span, Span], ...]]:
    """A text with all changes made at once, and where each changed word stands in either text.

    Args:
        text: the text.
        made: changes in its order, which do not overlap.
    """
    parts, alignment = [], []
    done = length = 0
    for start, end, new in made:
        parts += [text[done:start], new]
        length += start - done
        alignment.append(((start, end), (length, length + len(new))))
        length += len(new)
        done = end
    parts.append(text[done:])
    return "".join(parts), tuple(alignment)
