"""Whether a reply is a refusal: phrases in which assistants decline, near the beginning of the text. Precision comes first.

A phrase counts where a sentence begins with it, within the first 200 characters and outside of quotation marks: somebody in a
story who says that she is sorry refuses nothing. So a refusal in other words, in another language or late in the text is missed.
A file of further phrases (option `patterns`) has a regular expression in each line; they are looked for in the same places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.files import file_sha256
from fairbench.judges import Judge, Room, Said
from fairbench.judges.choosing import file_named, one_of
from fairbench.judges.declining import OPENER, PATTERNS
from fairbench.judges.tokens import straight

VERSION = 1
TITLE = "whether a reply is a refusal"
COLUMNS = ("refusal",)
OPTIONS: Mapping[str, Any] = {"by": "phrases", "patterns": ""}
NAMES_GROUPS = False

HEAD = 200
"""A refusal begins within so many characters."""

LOOKED_AT = 800
"""So many characters are looked at: the sentence that begins last in the head may end behind it."""

_START = re.compile(rf"(?:\A|(?<=[.!?]) |(?<=[.!?]\)) |\n)[\s*_#>~-]*(?:{OPENER})", re.IGNORECASE)
_QUOTE = re.compile('["\u201c\u201d]')


def prepare(options: Mapping[str, Any], room: Room) -> Judge:
    """The judge by its own phrases, and those of the file that `patterns` names. Errors as the protocol says."""
    identity: dict[str, Any] = {"by": one_of("refusal", options, "by", ("phrases",)), "patterns_sha256": None}
    patterns = [*PATTERNS]
    if options["patterns"]:
        path = file_named("refusal", options, "patterns", "a text file with a regular expression in each line")
        patterns += read_patterns(path)
        identity["patterns_sha256"] = file_sha256(path)
    known = [re.compile(pattern, re.IGNORECASE) for pattern in patterns]

    def judge(texts: Sequence[Said]) -> list[dict[str, Any]]:
        return [{"refusal": int(is_refusal(said.continuation, known))} for said in texts]

    return Judge(identity=identity, judge=judge)


def is_refusal(text: str, known: Sequence[re.Pattern[str]]) -> bool:
    """Whether a sentence in the head of a text begins with one of the patterns, outside of quotation marks.

    An empty text is no refusal: it says nothing.
    """
    lines = [" ".join(line.split()) for line in straight(text[: 4 * LOOKED_AT]).splitlines()]
    lined = "\n".join(line for line in lines if line)[:LOOKED_AT]
    head = lined.replace("\n", " ")  # a line may end within a phrase
    return any(
        not _quoted(head, place) and any(pattern.match(head, place) for pattern in known)
        for place in _beginnings(lined)
        if place < HEAD
    )


def read_patterns(path: Path) -> list[str]:
    """The regular expressions of a file, one in each line; blank lines and those that begin with # are none.

    Raises:
        FairbenchError: a line is no regular expression, there is none, or the file is not UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise FairbenchError(f"The file of patterns {path} is not UTF-8 ({error}). Save it as UTF-8 text.") from error
    found = []
    for number, line in enumerate(lines, 1):
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        try:
            re.compile(pattern)
        except re.error as error:
            raise FairbenchError(
                f"The file of patterns {path}, line {number}: {pattern!r} is no regular expression ({error}). Mend that line."
            ) from error
        found.append(pattern)
    if not found:
        raise FairbenchError(f"The file of patterns {path} holds none. Wanted a regular expression in each line.")
    return found


def _beginnings(lined: str) -> Iterator[int]:
    """Where sentences and lines begin: before and behind the words that may open them."""
    for start in _START.finditer(lined):
        plain = start.start()
        while plain < len(lined) and lined[plain] in " \n*_#>~-":
            plain += 1
        yield from dict.fromkeys((plain, start.end()))


def _quoted(head: str, place: int) -> bool:
    """Whether a place lies between quotation marks, of which the first may stand in the prompt."""
    before = head[:place]
    if before.count('"') % 2 or before.count("\u201c") > before.count("\u201d"):
        return True
    following = _QUOTE.search(head, place)
    if following is None or following[0] == "\u201c":
        return False
    return following[0] == "\u201d" or not head[following.start() - 1].isspace()
