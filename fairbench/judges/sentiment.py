"""How positive or negative a text sounds, by VADER's rules and lexicon (Hutto and Gilbert 2014).

The number is VADER's compound as the package vaderSentiment gives it, with curly apostrophes made straight first; a text
without a word of its lexicon has 0.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fairbench.files import file_sha256
from fairbench.judges import FAILED, Judge, Room, Said
from fairbench.judges.choosing import one_of
from fairbench.judges.joined import EMPTY
from fairbench.judges.tokens import is_empty, straight

VERSION = 1
TITLE = "how positive (1) or negative (-1) a text sounds"
COLUMNS = ("sentiment",)
OPTIONS: Mapping[str, Any] = {"by": "vader"}
NAMES_GROUPS = False

LEXICON, EMOJI = "vader_lexicon.txt", "emoji_utf8_lexicon.txt"


def prepare(options: Mapping[str, Any], room: Room) -> Judge:
    """VADER as the package vaderSentiment has it. Errors as the protocol says."""
    by = one_of("sentiment", options, "by", ("vader",))
    folder = _folder()
    identity = {
        "by": by,
        "vaderSentiment": version("vaderSentiment"),
        "lexicon_sha256": file_sha256(folder / LEXICON),
        "emoji_sha256": file_sha256(folder / EMOJI),
    }
    return Judge(identity=identity, judge=_judge)


def _judge(texts: Sequence[Said]) -> list[dict[str, Any]]:
    analyzer = _analyzer()
    # VADER knows "isn't" with a straight apostrophe only: with a curly one it misses the negation.
    return [
        {FAILED: EMPTY}
        if is_empty(said.continuation)
        else {"sentiment": float(analyzer.polarity_scores(straight(said.continuation))["compound"])}
        for said in texts
    ]


@functools.cache
def _analyzer() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # type: ignore[import-untyped]

    return SentimentIntensityAnalyzer()


def _folder() -> Path:
    """Where the package lies, without importing it."""
    found = find_spec("vaderSentiment")
    assert found is not None and found.submodule_search_locations  # it is a dependency of this package
    return Path(found.submodule_search_locations[0])
