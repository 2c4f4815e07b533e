"""Swaps the groups of one notion in texts: every word of a group becomes its counterpart of another, all in one pass.

With two groups each takes the other's place; with more each takes the place of the next, and `variants` has every other turn.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairbench.counterfactual import gendered
from fairbench.counterfactual.colours import speaks_of_people
from fairbench.counterfactual.lexicon import (
    BEFORE_A_NAME,
    GIVEN_ONLY,
    Change,
    Finder,
    Lexicon,
    Occurrence,
    Span,
    Word,
    changes,
    read_lexicon,
    splice,
)  # fmt: skip
from fairbench.counterfactual.names import is_first_name, names, surname
from fairbench.errors import FairbenchError, did_you_mean
from fairbench.files import digest, file_sha256

FOLDER = Path(__file__).parent

RULES_VERSION = 1
"""Raised when the rules (not the lists) swap some text otherwise than before."""

_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Reversed:
    """A text with its groups swapped.

    Attributes:
        text: the swapped text.
        alignment: for each changed word, in the order of the text, its characters (start, end) in the original and those of its
            counterpart in the swapped text (an article may change too: an earl, a countess). What lies between is the same.
    """

    text: str
    alignment: tuple[tuple[Span, Span], ...]

    def words(self) -> list[tuple[Span, Span]]:
        """The characters of every word in the original and in the swapped text, changed or not, in their order.

        A changed word is one, however many words its counterpart has; elsewhere a word is a run of letters and digits, and every
        other sign that is no space stands alone.

        Example:
            >>> Swap().swap("He ran.").words()
            [((0, 2), (0, 3)), ((3, 6), (4, 7)), ((6, 7), (7, 8))]
        """
        found: list[tuple[Span, Span]] = []
        done = moved = 0
        for old, new in self.alignment:
            found += self._same(done, new[0], moved)
            found.append((old, new))
            done, moved = new[1], old[1] - new[1]
        return found + self._same(done, len(self.text), moved)

    def _same(self, start: int, end: int, moved: int) -> list[tuple[Span, Span]]:
        spans = [met.span() for met in _WORD.finditer(self.text, start, end)]
        return [((start + moved, end + moved), (start, end)) for start, end in spans]


@dataclass(frozen=True)
class Swap:
    """How the groups of one notion are swapped in texts; made once and used for many.

    Attributes:
        attribute: "gender", "race" (black, white, Asian) or "religion" (Jewish, Christian, Muslim).
        names: whether first names get counterparts too, each its one partner (gender only); or pairs (male, female) to take in
            the place of the published ones, such as `names.matched` finds for a corpus.
        keep_full_names: whether a first name before a surname stays ("Anna Bell"), and so that name and its partner throughout
            the text. Pronouns change all the same, unless they stand in a protected phrase.
        protected: names and phrases that stay as they are, written as they are there, whole words ("Prince", "Her Majesty").

    Raises:
        FairbenchError: there is no lexicon of the attribute, it has no names, or a protected phrase is empty.
    """

    attribute: str = "gender"
    names: bool | tuple[tuple[str, str], ...] = False
    keep_full_names: bool = False
    protected: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses what can't be swapped."""
        if self.attribute not in ATTRIBUTES:
            raise FairbenchError(
                f"There is no lexicon of {self.attribute!r}.{did_you_mean(self.attribute, ATTRIBUTES)} Wanted one of "
                f"{', '.join(ATTRIBUTES)}."
            )
        if self.names and self.attribute != "gender":
            raise FairbenchError(
                f"First names have counterparts by gender alone; found names and {self.attribute}. Swap {self.attribute} without."
            )
        if isinstance(self.protected, str) or not all(phrase.strip() for phrase in self.protected):
            raise FairbenchError(
                f"What is protected are names and phrases; found {self.protected!r}. Wanted a sequence of texts with a word each."
            )
        if not isinstance(self.names, bool):
            object.__setattr__(self, "names", tuple((one, other) for one, other in self.names))
        object.__setattr__(self, "protected", tuple(self.protected))  # any sequence may be given

    def swap(self, text: str) -> Reversed:
        """Every word in the place of the next group's.

        Args:
            text: any text; one without words of the lexicon stays as it is.

        Example:
            >>> Swap(names=True).swap("James lost his hat.").text
            'Barbara lost her hat.'
            >>> Swap("religion").swap("Two rabbis and a priest").text
            'Two priests and an imam'
        """
        return self._turned(text, self._places(text), 1)

    def variants(self, text: str) -> tuple[Reversed, ...]:
        """The text under every other assignment: each group in the place of the next, of the one after ...

        Returns:
            One fewer than there are groups; empty where the text holds no word that is swapped.

        Example:
            >>> [made.text for made in Swap("race").variants("A black man")]
            ['A white man', 'An Asian man']
        """
        places = self._places(text)
        return tuple(self._turned(text, places, by) for by in range(1, len(self.lexicon.groups))) if places else ()

    def as_dict(self) -> dict[str, Any]:
        """All of it that can change a text, JSON-ready."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(self).items()}

    def pairs(self) -> tuple[tuple[str, ...], ...]:
        """Counterparts of one word each, as they are written inside a sentence: (he, she), (James, Barbara) ...

        Without titles, which are some only before a name (Sir), and words that are not looked for (host). A word may stand in
        several: (him, her), (his, her).
        """
        rows = [*self.lexicon.rows, *(_names(self.names).rows if self.names else ())]
        kept = set(self.protected)
        return tuple(row for row in rows if all(map(_one_word, row)) and kept.isdisjoint(row))

    @functools.cached_property
    def lexicon(self) -> Lexicon:
        """The words of the groups, without names."""
        return _lexicon(self.attribute)

    @functools.cached_property
    def _finder(self) -> Finder:
        return _finder(self.attribute, self.names)

    @functools.cached_property
    def _protected(self) -> re.Pattern[str] | None:
        longest = sorted(self.protected, key=len, reverse=True)
        phrases = "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in longest)
        return re.compile(rf"(?<!\w)(?:{phrases})(?!\w)") if phrases else None

    def _places(self, text: str) -> list[Occurrence]:
        """The words that get counterparts."""
        found = self._finder.find(text)
        if found and self._protected:
            spans = [met.span() for met in self._protected.finditer(text)]
            found = [place for place in found if not any(place.start < end and start < place.end for start, end in spans)]
        if self.attribute == "race":
            return [place for place in found if speaks_of_people(text, place)]
        return self._without_other_names(text, found) if self.names else found

    def _without_other_names(self, text: str, found: list[Occurrence]) -> list[Occurrence]:
        """Without words that stand for no first name here, and without the names of persons that are left alone."""
        listed = _names(self.names)
        found = [place for place in found if place.word.lexicon is not listed or is_first_name(text, place)]
        if not self.keep_full_names:
            return found
        # The partner stays too: it would become that person's name.
        full = {place.word.row for place in found if place.word.lexicon is listed and surname(text, place.end)}
        return [place for place in found if place.word.lexicon is not listed or place.word.row not in full]

    def _turned(self, text: str, places: list[Occurrence], by: int) -> Reversed:
        if not places:
            return Reversed(text, ())
        made: list[Change] = []
        for place in places:
            if new := _counterpart(text, place, by):
                made += changes(text, place, new)
        return Reversed(*splice(text, made))


@functools.cache
def rules_digest() -> str:
    """A digest of all lists and the version of the rules: another one may swap some text otherwise."""
    files = sorted(path for path in FOLDER.iterdir() if path.suffix in (".csv", ".txt"))
    return digest([RULES_VERSION, *((path.name, file_sha256(path)) for path in files)])


def _one_word(word: str) -> bool:
    return not word.endswith(BEFORE_A_NAME) and not word.startswith(GIVEN_ONLY) and word != "" and not re.search(r"[\s-]", word)


def _counterpart(text: str, place: Occurrence, by: int) -> str:
    """The word so many groups on, as it is written inside a sentence."""
    word = place.word
    if word.written in ("her", "his") and word.lexicon.notion == "gender":
        word = word._replace(row=gendered.row_in(text, place))
    return _so_many_on(word, by)


@functools.cache
def _so_many_on(word: Word, by: int) -> str:
    groups = word.lexicon.groups
    return word.lexicon.word(groups[(groups.index(word.group) + by) % len(groups)], word.row)


@functools.cache
def _lexicon(attribute: str) -> Lexicon:
    return ATTRIBUTES[attribute]()


@functools.cache
def _names(pairs: bool | tuple[tuple[str, str], ...]) -> Lexicon:
    """The published pairs of names, or those that are given."""
    return names() if isinstance(pairs, bool) else Lexicon("name", ("male", "female"), pairs)


@functools.cache
def _finder(attribute: str, with_names: bool | tuple[tuple[str, str], ...]) -> Finder:
    lexicons = [_lexicon(attribute), *([_names(with_names)] if with_names else [])]
    if attribute == "gender":
        return Finder(lexicons, gendered.KEPT, compounds=False)
    kept = (FOLDER / "kept.txt").read_text(encoding="utf-8").splitlines()
    return Finder(lexicons, [phrase for phrase in kept if phrase not in _TOLD_BY_CONTEXT] + list(_KEPT[attribute]))


ATTRIBUTES: dict[str, Callable[[], Lexicon]] = {
    "gender": gendered.gender,
    "race": lambda: read_lexicon(FOLDER / "race.csv"),
    "religion": lambda: read_lexicon(FOLDER / "religion.csv"),
}
"""Notions by name, and their words."""

_TOLD_BY_CONTEXT = frozenset({"black and white", "white and black"})
"""Phrases of kept.txt in which the word after them says whether people are meant."""

_KEPT = {
    "race": (
        *("South Africa", "North Africa", "Central African Republic", "South America", "North America", "Latin America"),
        *("Central America", "East Asia", "South Asia", "Southeast Asia", "Central Asia", "South China Sea", "East Asian"),
        *("East Asians", "South Asian", "South Asians", "Southeast Asian", "Southeast Asians", "Central Asian", "Central Asians"),
        *("Captain America", "Bank of America", "bone china"),
    ),
    "religion": (
        *("Judeo-Christian", "Judaeo-Christian", "Christian name", "Christian names", "Hans Christian", "Christian Dior"),
        *("Christian Bale", "high priest", "Church of England", "Jew's harp", "Father Christmas", "Easter Island"),
    ),
}
"""Where a word says nothing of the group: names of places, persons and offices."""
