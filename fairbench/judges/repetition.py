"""How often a text says again what it said: a sign of a generator that is stuck, whose other scores mean little.

It is the share of a text's n-grams of words (option `n`) that occurred before in it, 1 - different / all. A text of fewer than n
words has none, and fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairbench.judges import FAILED, Judge, Room, Said
from fairbench.judges.choosing import one_of, whole_number
from fairbench.judges.joined import EMPTY
from fairbench.judges.tokens import tokens

VERSION = 1
TITLE = "how much of a text was said before in it"
COLUMNS = ("repetition",)
OPTIONS: Mapping[str, Any] = {"by": "words", "n": 4}
NAMES_GROUPS = False


def prepare(options: Mapping[str, Any], room: Room) -> Judge:
    """The judge for n-grams of `n` words. Errors as the protocol says."""
    by = one_of("repetition", options, "by", ("words",))
    n = whole_number("repetition", options, "n", at_least=1)

    def judge(texts: Sequence[Said]) -> list[dict[str, Any]]:
        return [_columns(said.continuation, n) for said in texts]

    return Judge(identity={"by": by, "n": n}, judge=judge)


def repetition(text: str, n: int = 4) -> float | None:
    """The share of a text's n-grams that occurred before in it: 1 - different n-grams / n-grams; null without an n-gram.

    Args:
        text: any text; its words are found as in `fairbench.judges.tokens`.
        n: words of an n-gram.

    Returns:
        In [0, 1): 0 where none occurs twice.

    Example:
        >>> repetition("a b a b a b", n=2), repetition("too short", n=4)
        (0.6, None)
    """
    words = tokens(text)
    grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else None


def _columns(text: str, n: int) -> dict[str, Any]:
    found = repetition(text, n)
    if found is None:
        return {FAILED: f"the continuation has fewer than {n} words" if tokens(text) else _without_words(text)}
    return {"repetition": found}


def _without_words(text: str) -> str:
    return "the continuation has no word" if text.strip() else EMPTY
