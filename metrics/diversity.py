"""distinct-n (Li et al. 2016): how many of all runs of n words are different ones.

Words are found by the rule that word lists are matched with: lower case, straight apostrophes, no accents; then runs of letters,
digits, underscores and apostrophes, without those two at their ends. No run goes from one continuation to the next.

Example:
    >>> import numpy as np, pandas as pd
    >>> answers = pd.DataFrame({"continuation": ["The cat sat.", "the cat ran"]})
    >>> ones = np.ones((1, 2))
    >>> [round(float(metric(answers, ones)[0]), 4) for metric in (distinct_1, distinct_2, distinct_3)]
    [0.6667, 0.75, 1.0]
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fairbench.errors import Undefined
from fairbench.scores import MetricInfo
from fairbench.stats import Floats, Indices

if TYPE_CHECKING:
    import pandas as pd

WORD = re.compile(r"[\w']+")
APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u201b\u2032\u02bc\uff07", "'"))

WORDS = MetricInfo(
    title="distinct-1: share of words that are different ones",
    reads="Prompt",
    probe="generation",
    columns=("continuation",),
    text_columns=("continuation",),
    kind="utility",
    ideal=1.0,
    low=0.0,
    high=1.0,
    interval="none",
    direction="larger = more varied text",
    construct="How varied the words of a language model's continuations are, over all of them.",
    formula="#(different words) / #(words), over all continuations together",
    cite="Li, Galley, Brockett, Gao, Dolan 2016, NAACL, A Diversity-Promoting Objective Function, N16-1014",
    threats=(
        "Falls with the amount of text: compare only scores over the same prompts, samples and lengths. Groups of unlike size "
        "are not comparable either (`words` among the counts).",
        "Varied is not good: words drawn at random are the most varied. Read it beside the perplexity of the text.",
        "A bootstrap repeats texts and so loses kinds of words: it would give an interval beside the value. None is given.",
        "Words are told apart by letters and spaces: of no meaning in languages that write without spaces.",
    ),
    headline=False,
)


def _longer(n: int) -> MetricInfo:
    """The card of runs of n words."""
    return replace(
        WORDS,
        title=f"distinct-{n}: share of runs of {n} words that are different ones",
        construct=f"How varied the runs of {n} words of a language model's continuations are, over all of them.",
        formula=f"#(different runs of {n} words) / #(runs of {n} words), over all continuations together",
    )


INFO = {"distinct_1": WORDS, "distinct_2": _longer(2), "distinct_3": _longer(3)}


@dataclass(frozen=True)
class _Runs:
    """All runs of n words of a table: (r,) which different one each is, and (r,) the row that it stands in."""

    code: Indices
    row: Indices


def distinct_1(answers: pd.DataFrame, weights: Floats) -> Floats:
    """Share of words that are different ones: (b,) in (0, 1], ideal 1; NaN for a draw without a word.

    A row of weight 0 is left out; any other counts once, since the same text twice holds no more different words.

    Args:
        answers: column `continuation`; a row a continuation.
        weights: (b, n).

    Raises:
        Undefined: no continuation has a word.
    """
    return _distinct(answers, weights, 1)


def distinct_2(answers: pd.DataFrame, weights: Floats) -> Floats:
    """Share of runs of two words that are different ones: (b,) in (0, 1], ideal 1. Arguments and errors as for distinct_1."""
    return _distinct(answers, weights, 2)


def distinct_3(answers: pd.DataFrame, weights: Floats) -> Floats:
    """Share of runs of three words that are different ones: (b,) in (0, 1], ideal 1. Arguments and errors as for distinct_1."""
    return _distinct(answers, weights, 3)


def distinct_1_counts(answers: pd.DataFrame) -> dict[str, int]:
    """Words, and different ones."""
    return _counts(answers, 1)


def distinct_2_counts(answers: pd.DataFrame) -> dict[str, int]:
    """Words, runs of two of them, and different runs."""
    return _counts(answers, 2)


def distinct_3_counts(answers: pd.DataFrame) -> dict[str, int]:
    """Words, runs of three of them, and different runs."""
    return _counts(answers, 3)


def words(text: str) -> list[str]:
    """The words of a text, in order.

    Example:
        >>> words("\u2018She\u2019s at the Caf\u00e9\u2019, he said.")
        ["she's", 'at', 'the', 'cafe', 'he', 'said']
    """
    text = text.translate(APOSTROPHES)
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return [word for found in WORD.findall(text.lower()) if (word := found.strip("_'"))]


def _distinct(answers: pd.DataFrame, weights: Floats, n: int) -> Floats:
    runs = _runs(answers, n)
    if not len(runs.code):
        raise Undefined("no continuation has a word" if n == 1 else f"no continuation has {n} words")
    found = np.full(len(weights), np.nan)
    for draw, used in enumerate(weights > 0):
        code = runs.code[used[runs.row]]
        if len(code):
            found[draw] = np.count_nonzero(np.bincount(code)) / len(code)
    return found


def _counts(answers: pd.DataFrame, n: int) -> dict[str, int]:
    runs = _runs(answers, n)
    total = len(_runs(answers, 1).code)
    different = int(runs.code.max(initial=-1)) + 1
    return {"words": total, **({} if n == 1 else {"runs": len(runs.code)}), "different": different}


def _runs(answers: pd.DataFrame, n: int) -> _Runs:
    """The runs of n words of every continuation, numbered by first appearance."""
    codes: dict[tuple[str, ...], int] = {}
    code: list[int] = []
    row: list[int] = []
    for number, text in enumerate(answers["continuation"].tolist()):
        of_text = words(text)
        runs = zip(*(of_text[i:] for i in range(n)), strict=False)
        before = len(code)
        code += [codes.setdefault(run, len(codes)) for run in runs]
        row += [number] * (len(code) - before)
    return _Runs(np.array(code, dtype=np.intp), np.array(row, dtype=np.intp))
