"""Where two sentences differ, word by word: what the rules of pair quality look at."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fairbench.quality.words import Term, terms

Words = tuple[str, ...]

_TOKEN = re.compile(r"\w+(?:['-]\w+)*(?:(?<=[sS])'(?!\w))?|[^\w\s]")
_PART = re.compile(r"\w[\w'’]*")
_STRAY = re.compile(r"^\s|\s\s|[\t\r\n]|\s$|\s[.,!?;:](?:\s|$)")
_APOSTROPHES = ("'", "’")
_ENDING = re.compile(r"(?<=\w\w\w)(?:'s?|s'?)$")
_AGREEING = {
    frozenset(pair.split())
    for pair in (
        "a an", "is are", "was were", "has have", "does do", "isn't aren't", "wasn't weren't", "hasn't haven't", "doesn't don't",
        "this these", "that those",
    )
}  # fmt: skip
_FILLERS = {"a", "an", "the", "person", "persons", "people", "one", "ones"}
_NEGATION = re.compile(
    r"not?|never|cannot|nobody|none|nothing|neither|nor|nowhere|\w+n't|(?:do|does|did|is|are|was|were|could|would|should|has|have)nt",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"(?<![\w/'-])(?P<article>an?)\s+(?P<word>[^\W\d_]\w*)", re.IGNORECASE)
_CONSONANT_SOUND = re.compile(r"uni[cfoqstv]|unan|us[aeu]|ur[aio]|ut[io]|ubi|uk|eu|ewe|once\b|one\b", re.IGNORECASE)
_VOWEL_SOUND = re.compile(r"hono|hones|hour|heir", re.IGNORECASE)


@dataclass(frozen=True)
class Difference:
    """What one sentence has and the other has not.

    Attributes:
        edits: the places where words differ, each as (words of the first, words of the second), as written.
        counts: words in the first and in the second sentence, as `count` counts them.
        case: some word that both have is written with other capitals.
        marks: punctuation, apostrophes or stray white space differ.
    """

    edits: tuple[tuple[Words, Words], ...]
    counts: tuple[int, int]
    case: bool
    marks: bool


@dataclass(frozen=True)
class Changes:
    """What the edits of a pair change, each thing once however often it is repeated.

    Attributes:
        known: the groups that both sides name at one place: (terms of the first, terms of the second).
        names: pairs of capitalised words that name no known group (Tom, Susan).
        others: all else, in lower case without endings.
        swap: the sentences have the same words in another order, so that two groups change places.
    """

    known: tuple[tuple[tuple[Term, ...], tuple[Term, ...]], ...]
    names: frozenset[tuple[Words, Words]]
    others: frozenset[tuple[Words, Words]]
    swap: bool

    def __bool__(self) -> bool:
        """Whether anything is changed that is more than agreement (is, are)."""
        return bool(self.known or self.names or self.others)


def tokens(text: str) -> list[str]:
    """Words and punctuation marks; a hyphen, and an apostrophe inside or after s, belong to the word.

    Example:
        >>> tokens("The miller's well-kept mill, wasn’t it?")
        ['The', "miller's", 'well-kept', 'mill', ',', "wasn't", 'it', '?']
    """
    return _TOKEN.findall(text.replace("’", "'"))


def count(text: str) -> int:
    """How many words a text has; a hyphen makes two, as it does for most tokenizers."""
    return len(_PART.findall(text))


def is_word(token: str) -> bool:
    """Whether a token is a word and not a punctuation mark."""
    return token[0].isalnum() or token[0] == "_"


def difference(first: str, second: str) -> Difference:
    """Compares two sentences; a word is the same in upper and lower case, and with either apostrophe.

    Example:
        >>> found = difference("The miller is old.", "The baker is old")
        >>> found.edits, found.counts, found.case, found.marks
        (((('miller',), ('baker',)),), (4, 4), False, True)
    """
    a, b = tokens(first), tokens(second)
    edits, shared = [], 0
    marks, case = _stray(first, second), False
    for i, j, k, m in _places([t.lower() for t in a], [t.lower() for t in b]):
        same = i - k + shared  # where the stretch that both have begins in the first sentence
        skip = int((same == 0) != (shared == 0))  # a capital that only begins a sentence is no other spelling
        case = case or a[same + skip : i] != b[shared + skip : k]
        shared = m
        marks = marks or [t for t in a[i:j] if not is_word(t)] != [t for t in b[k:m] if not is_word(t)]
        edit = tuple(filter(is_word, a[i:j])), tuple(filter(is_word, b[k:m]))
        if edit[0] or edit[1]:
            edits.append(edit)
    return Difference(tuple(edits), (count(first), count(second)), case, marks)


def _places(x: list[str], y: list[str]) -> list[tuple[int, int, int, int]]:
    """Where two lists differ, as slices x[i:j], y[k:m]; last an empty one at both ends, behind the last shared stretch."""
    short = min(len(x), len(y))
    start = next((i for i in range(short) if x[i] != y[i]), short)
    end = next((i for i in range(short - start) if x[-1 - i] != y[-1 - i]), short - start)
    mine, yours = x[start : len(x) - end], y[start : len(y) - end]
    places = []
    if len(mine) > 1 and len(yours) > 1:  # only here can words be shared between two differences
        found = difflib.SequenceMatcher(None, mine, yours, autojunk=False).get_opcodes()
        places = [(start + i, start + j, start + k, start + m) for kind, i, j, k, m in found if kind != "equal"]
    elif mine or yours:
        places = [(start, len(x) - end, start, len(y) - end)]
    return [*places, (len(x), len(x), len(y), len(y))]


def _stray(first: str, second: str) -> bool:
    """Whether one sentence has white space where none belongs, or another kind of apostrophe, and the other has not."""
    if bool(_STRAY.search(first)) != bool(_STRAY.search(second)):
        return True
    kinds = [{mark for mark in _APOSTROPHES if mark in text} for text in (first, second)]
    return bool(kinds[0] and kinds[1] and kinds[0] != kinds[1])


def changes(edits: Sequence[tuple[Words, Words]]) -> Changes:
    """Sorts edits into groups that are named, proper names, and other changes; what only agrees (is, are; walk, walks) is none.

    Example:
        >>> found = changes(((("Tom",), ("Susan",)), (("his",), ("her",)), (("sad",), ("glad",))))
        >>> len(found.known), set(found.names), set(found.others)
        (1, {(('Tom',), ('Susan',))}, {(('sad',), ('glad',))})
    """
    known, names, others = [], set(), set()
    for first, second in edits:
        mine, yours = terms(first), terms(second)
        groups = tuple(t for t in mine if t), tuple(t for t in yours if t)
        if groups[0] and groups[1]:
            known.append(groups)
            rest = _rest(first, mine), _rest(second, yours)
            if rest[0] and rest[1] and not _agree(*rest):
                others.add((_stems(rest[0]), _stems(rest[1])))
        elif first and second and all(w[0].isupper() for w in first + second):
            names.add((first, second))
        elif not _agree(first, second):
            others.add((_stems(first), _stems(second)))
    both = [sorted(w.lower() for edit in edits for w in edit[side]) for side in (0, 1)]
    return Changes(tuple(known), frozenset(names), frozenset(others), both[0] == both[1])


def _rest(words: Words, found: Sequence[Term | None]) -> Words:
    """The words of an edit that name no group and are more than fillers (a white person, Whites)."""
    return tuple(w for w, t in zip(words, found, strict=True) if not t and w.lower() not in _FILLERS)


def _stems(words: Words) -> Words:
    """In lower case, without the endings of a plural or a possessive: a repeated replacement is then the same."""
    return tuple(_ENDING.sub("", w) for w in _lower(words))


def _agree(first: Words, second: Words) -> bool:
    """Whether two stretches differ in number or article only, word by word."""
    return len(first) == len(second) and all(
        a == b or stems[0] == stems[1] or {a, b} in _AGREEING
        for a, b, *stems in zip(_lower(first), _lower(second), _stems(first), _stems(second), strict=True)
    )


def _lower(words: Words) -> Words:
    return tuple(w.lower() for w in words)


def negations(words: Iterable[str]) -> int:
    """How many words negate; `without` does not count, since it may name the group (without a disability)."""
    return sum(_NEGATION.fullmatch(word) is not None for word in words)


def wrong_articles(text: str) -> int:
    """How many of `a` and `an` do not fit the next word; words in capitals, numbers and `an` before h are left alone.

    Example:
        >>> wrong_articles("A honest man has a hour and an useful idea, a unlikely one.")
        4
    """
    return sum(_misfits(match["article"].lower() == "an", match["word"]) for match in _ARTICLE.finditer(text))


def _misfits(vowel: bool, word: str) -> bool:
    if word.isupper() or (vowel and word[0] in "hH"):
        return False
    sounds = _VOWEL_SOUND.match(word) or (word[0].lower() in "aeiou" and not _CONSONANT_SOUND.match(word))
    return bool(sounds) != vowel
