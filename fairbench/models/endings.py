"""Where a text that is being written ends by rule: before a stop string, or after its first sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairbench.models.decoding import Decoding

SENTENCE_RULE = (
    "A text ends after the first . ! ? or ellipsis with the closing quotation marks and brackets behind it where white space "
    "follows, unless an abbreviation (Mr. Dr. St. Inc. a.m. ...) or an initial (J. U.S.) ends in that full stop."
)

_END = re.compile(r"""[.!?…]["'”’»)\]]*(?=\s)""")
_ABBREVIATED = re.compile(
    r"""(?:^|[\s"'“‘«(\[-])(?:(?:[A-Za-z]\.)*[A-HJ-Z]|(?:[A-Za-z]\.)+[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|Fr|Mt|Gen|Col|Maj|Capt|Lt"""
    r"""|Sgt|Rev|Hon|Gov|Sen|Rep|Pres|Inc|Ltd|Co|Corp|Jan|Feb|Aug|Sept|Oct|Nov|Dec|vs|cf|ca)\.$"""
)
_LONGEST_ABBREVIATION = 16


def cut(text: str, decoding: Decoding, before: str = "") -> int | None:
    """How many characters of a text stay under the stop rules, or null where none has ended it.

    A sentence that nothing follows has no end yet: the next token may go on with it ("3." and "5").

    Args:
        text: what has been written so far.
        decoding: its `stop` and `sentence`.
        before: what stands before it; part of an abbreviation may.
    """
    ends = [at for at in (text.find(stop) for stop in decoding.stop) if at >= 0]
    if decoding.sentence and (end := _sentence_end(text, before[-_LONGEST_ABBREVIATION:])) is not None:
        ends.append(end)
    return min(ends, default=None)


def _sentence_end(text: str, before: str) -> int | None:
    whole, border = before + text, len(before)
    for end in _END.finditer(whole, border):
        mark = end.start() + 1
        if whole[mark - 1] != "." or not _ABBREVIATED.search(whole[max(mark - _LONGEST_ABBREVIATION, 0) : mark]):
            return end.end() - border
    return None
