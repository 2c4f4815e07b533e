"""Closed lists of English words, from lists.txt."""

from __future__ import annotations

import functools
from pathlib import Path

FILE = Path(__file__).with_name("lists.txt")


@functools.cache
def words(*names: str) -> frozenset[str]:
    """The words of the lists of these names, in lower case.

    Example:
        >>> "under" in words("prepositions"), "under" in words("adverbs")
        (True, False)
    """
    return frozenset(word for name in names for word in _lists()[name])


@functools.cache
def _lists() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    name = ""
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.endswith(":"):
            found[name := line[:-1]] = []
        elif line and not line.startswith("#"):
            found[name] += line.split()
    return found
