"""First names and their counterparts, and where in a text a word that may be one is one.

The pairs of names.csv are those that Hall Maudslay et al. 2019, "It's All in the Name" (EMNLP), matched by how often and how much
for one gender the United States give them (census and social security counts, 1,000 pairs). Names are left out that are ordinary
words, months or titles (Will, Grace, May, Earl), places (Austin, Virginia), more often surnames (Scott, Kelly) or given to both
(Jordan, Robin); a name that lost its partner so has the nearest of its rank that lost its own. Each name stands in one pair, so
that two swaps give the text back.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from fairbench.counterfactual.lexicon import Lexicon, Occurrence, function_word, read_lexicon
from fairbench.counterfactual.lists import words

FILE = Path(__file__).with_name("names.csv")

_WORD = re.compile(r"\W*([A-Z][\w'’]*)\.?\Z")
_NEXT = re.compile(r"\s+((?:[A-Z]\.\s*)*)([^\W\d_][\w'’]+)")
_CAPITAL = re.compile(r"\b[A-Z][a-z]+\b")
_REACH = 16
"""So many characters before a name are enough to hold the word that makes it a surname or a place."""
_JOINED = frozenset("-\u2010\u2011.@#/'’")


@functools.cache
def names() -> Lexicon:
    """The pairs of first names."""
    return read_lexicon(FILE)


@functools.cache
def first_names() -> frozenset[str]:
    """All names, as they are written."""
    return frozenset(name for row in names().rows for name in row)


def is_first_name(text: str, place: Occurrence) -> bool:
    """Whether a word of `names()` stands for a person by the first name.

    It does with a capital (James, JAMES), but not as part of a longer word (O'James, Anna-Lena), after "Mr." or another first
    name (Elton John), where it is a surname unless one more name follows (Mary Ann Smith), or in the name of a place (San Jose,
    Victoria Station). What decides is the same in the swapped text, so that a second swap changes the same words.

    Args:
        text: the whole text.
        place: where the word stands in it.
    """
    start, end = place.start, place.end
    found = text[start:end]
    if not (found.istitle() or found.isupper()):
        return False
    if text[end : end + 1] == " " and text[end + 1 : end + 2].isupper():
        after = _NEXT.match(text, end)
        if after is not None and after[2].lower() in words("after a place's name"):
            return False
    if start == 0 or not text[start - 1].isspace():
        return start < 2 or text[start - 1] not in _JOINED or not text[start - 2].isalnum()
    before = text[max(0, start - _REACH) : start].split()[-1:]
    if not before or not (met := _WORD.match(before[0])):
        return True
    plain = met[1].lower()
    if plain in words("before a place's name"):
        return False
    initial = len(plain) == 1 and before[0].endswith(".")
    if initial or plain in words("before a surname") or plain.capitalize() in first_names():
        return surname(text, end)
    return True


def matched(texts: Iterable[str], least: int = 2) -> tuple[tuple[str, str], ...]:
    """Pairs of first names that are matched by how often they stand in a corpus: the most frequent of either gender, and so on.

    The published pairs match frequencies of a whole country. In a corpus of its own (stories with Lily and Tim, a planted world)
    a name's partner there may never occur, and then stands for nobody in particular in a model of that corpus.

    Args:
        texts: of the corpus; they are read once.
        least: a name that stands there less often is left out.

    Returns:
        Pairs (male, female), an involution: no name stands twice. What has no partner in rank is left out.

    Example:
        >>> matched(["Tom met Anna.", "Tom met Anna and Emma.", "Ben met Emma and Anna.", "Ben, Tom!"])
        (('Tom', 'Anna'), ('Ben', 'Emma'))
    """
    counts: Counter[str] = Counter()
    known = first_names()
    for text in texts:
        counts.update(word for word in _CAPITAL.findall(text) if word in known)
    sides = ([row[side] for row in names().rows] for side in (0, 1))
    ranked = (sorted((name for name in side if counts[name] >= least), key=lambda name: (-counts[name], name)) for side in sides)
    return tuple(zip(*ranked, strict=False))  # type: ignore[arg-type]


def surname(text: str, end: int) -> bool:
    """Whether a surname or a second name follows the first name that ends here: "Anna Bell", "James A. Baker".

    Example:
        >>> [surname(text, 4) for text in ("Anna Bell", "Anna said", "Anna The", "Anna B. Bell", "Anna, Bell")]
        [True, False, False, True, False]
    """
    if not text[end : end + 1].isspace():
        return False
    after = _NEXT.match(text, end)
    return after is not None and after[2][0].isupper() and (bool(after[1]) or not function_word(after[2]))
