"""Perplexity of running text, by token and by word, and bits per byte: what a mitigation costs.

All three are one sum of log-likelihood over another count, so that long documents weigh as much as their tokens.

Example:
    >>> import numpy as np, pandas as pd
    >>> answers = pd.DataFrame({"log_likelihood": [-20.0, -10.0], "tokens": [10, 5], "words": [8, 4], "bytes": [40, 20]})
    >>> round(float(perplexity(answers, np.ones((1, 2)))[0]), 6)
    7.389056
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fairbench.errors import Undefined
from fairbench.scores import MetricInfo
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

TOKENS = MetricInfo(
    title="Perplexity per token",
    reads="Passage",
    probe="likelihood",
    columns=("log_likelihood", "tokens"),
    kind="utility",
    ideal=1.0,
    low=1.0,
    high=np.inf,
    direction="smaller = better",
    construct="How well a causal language model predicts running text.",
    formula="exp(-sum log-likelihood / sum tokens)",
    cite="Jelinek, Mercer, Bahl, Baker 1977; windows and start token as in the probe block",
    threats=("Comparable only between models with the same tokenizer.",),
)

INFO = {
    "perplexity": TOKENS,
    "word_perplexity": replace(
        TOKENS,
        title="Perplexity per word",
        columns=("log_likelihood", "words"),
        formula="exp(-sum log-likelihood / sum whitespace words)",
        threats=("Comparable across tokenizers on the same text; depends on how that text was split into words.",),
        headline=False,
    ),
    "bits_per_byte": replace(
        TOKENS,
        title="Bits per byte",
        columns=("log_likelihood", "bytes"),
        formula="-sum log-likelihood / (ln 2 * sum UTF-8 bytes)",
        ideal=0.0,
        low=0.0,
        threats=("Comparable across tokenizers on the same text.",),
        headline=False,
    ),
}


def perplexity(answers: pd.DataFrame, weights: Floats) -> Floats:
    """Exponential of the mean negative log-likelihood per token: (b,) >= 1.

    Args:
        answers: columns `log_likelihood` (nats), `tokens`, and for the other two metrics `words`, `bytes`; a row a document.
        weights: (b, n).

    Raises:
        Undefined: nothing was scored.
    """
    with np.errstate(over="ignore"):  # too large to write is undefined, which the core says
        ppl: Floats = np.exp(_nats_per(answers, weights, "tokens"))
    return ppl


def word_perplexity(answers: pd.DataFrame, weights: Floats) -> Floats:
    """Exponential of the mean negative log-likelihood per whitespace word: (b,) >= 1."""
    with np.errstate(over="ignore"):
        ppl: Floats = np.exp(_nats_per(answers, weights, "words"))
    return ppl


def bits_per_byte(answers: pd.DataFrame, weights: Floats) -> Floats:
    """Mean negative log-likelihood per UTF-8 byte in bits: (b,) >= 0."""
    bits: Floats = _nats_per(answers, weights, "bytes") / np.log(2)
    return bits


def _nats_per(answers: pd.DataFrame, weights: Floats, what: str) -> Floats:
    size = answers[what].to_numpy(dtype=float)
    if not size.sum() > 0:
        raise Undefined(f"no {what} were scored")
    if (size < 0).any() or (answers["log_likelihood"].to_numpy(dtype=float)[size == 0] != 0).any():
        raise Undefined(f"a row has a likelihood but no {what}, or fewer than none: these answers can't be right")
    with np.errstate(invalid="ignore", divide="ignore"):
        nats: Floats = -(weights @ answers["log_likelihood"].to_numpy(dtype=float)) / (weights @ size)
    return nats
