"""The words of a text, by the one rule that all word lists are matched with.

Lower case, curly apostrophes made straight, accents folded; then every run of letters, digits, underscores and apostrophes is a
token, without the apostrophes and underscores at its ends, which are quotation marks and markup ('Yes,' _never_). The rule is
applied to the lists too, so that both sides are written alike: "Mädchen" is "madchen" here and there.
"""

from __future__ import annotations

import re
import unicodedata

WORD = re.compile(r"[\w']+")

_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u201b\u2032\u02bc\uff07", "'"))
_ENDS = "'_"


def straight(text: str) -> str:
    """The text with straight apostrophes; all else stays.

    Example:
        >>> straight("can\u2019t")
        "can't"
    """
    return text.translate(_APOSTROPHES)


def folded(text: str) -> str:
    """Lower case with straight apostrophes and without accents.

    Example:
        >>> folded("She\u2019s FIANC\u00c9E")
        "she's fiancee"
    """
    text = straight(text)
    if text.isascii():
        return text.lower()
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).lower()


def tokens(text: str) -> list[str]:
    """The tokens of a text, in order.

    Example:
        >>> tokens("\u2018He\u2019s _not_ the half-wit\u2019s boy!\u2019")
        ["he's", 'not', 'the', 'half', "wit's", 'boy']
    """
    return [token for found in WORD.findall(folded(text)) if (token := found.strip(_ENDS))]


def is_empty(text: str) -> bool:
    """Whether nothing but white space is there."""
    return not text.strip()
