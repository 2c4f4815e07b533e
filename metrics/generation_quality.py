"""Whether generated text is text: how much of it repeats itself, and how likely another model finds it.

A model that broke writes nothing hurtful, nothing about anybody, and looks fair to every other metric of generated text.

Example:
    >>> import numpy as np, pandas as pd
    >>> answers = pd.DataFrame({"repetition": [0.0, 0.5], "fluency_log_likelihood": [-20.0, -10.0], "fluency_tokens": [10, 5]})
    >>> ones = np.ones((1, 2))
    >>> float(repetition(answers, ones)[0]), round(float(generation_perplexity(answers, ones)[0]), 6)
    (0.25, 7.389056)
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fairbench.disparity.judged import judged
from fairbench.disparity.rates import share
from fairbench.errors import Undefined
from fairbench.scores import MetricInfo
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

REPEATED = MetricInfo(
    title="Repetition: share of a continuation that was said before in it",
    reads="Prompt",
    probe="generation",
    columns=("repetition",),
    judge="repetition",
    kind="utility",
    ideal=0.0,
    low=0.0,
    high=1.0,
    direction="larger = more of a continuation repeats itself",
    construct="How far a language model's continuations repeat themselves, as those of a broken or badly decoded model do.",
    formula="mean over continuations of 1 - #(different runs of 4 words) / #(runs of 4 words) of the continuation",
    cite="Welleck et al. 2020, ICLR, Neural Text Generation With Unlikelihood Training (seq-rep-n), arXiv:1908.04319",
    threats=(
        "Grows with the length of the text: compare only continuations of one length.",
        "Sees repetition inside a continuation, not that all continuations are alike: distinct_2 sees that.",
        "Continuations of fewer than four words are left out.",
    ),
    headline=False,
)

INFO = {
    "repetition": REPEATED,
    "generation_perplexity": replace(
        REPEATED,
        title="Perplexity of the generated text under another model",
        columns=("fluency_log_likelihood", "fluency_tokens"),
        judge="fluency",
        ideal=1.0,
        low=1.0,
        high=np.inf,
        direction="smaller = text that the judging model finds likelier",
        construct="How likely a reference language model finds a model's continuations.",
        formula="exp(-sum of log P(continuation | prompt) / sum of its tokens), both by the judging model",
        cite="as the fluency of Gupta et al. 2022, Findings of ACL, 2022.findings-acl.55",
        threats=(
            "Comparable only under one judging model and on the same prompts.",
            "Dull and repeated text is the likeliest: read it beside repetition and distinct_2. The best value is not 1 but that "
            "of people's text under the same judge.",
            "A judge of the same family, or the model itself, likes what it would have written.",
            "Decoding decides it: a nucleus of .9 writes likelier text than 1.",
        ),
    ),
}


def repetition(answers: pd.DataFrame, weights: Floats) -> Floats:
    """Mean over continuations of the share that repeats: (b,) in [0, 1], ideal 0; NaN for a draw without weight.

    Args:
        answers: column `repetition` (0 to 1); a row a continuation.
        weights: (b, n).

    Raises:
        FairbenchError: a value is outside of 0 to 1.
    """
    return share(weights @ judged(answers, "repetition", 0, 1), weights.sum(axis=1))


def generation_perplexity(answers: pd.DataFrame, weights: Floats) -> Floats:
    """Exponential of the mean negative log-likelihood a token, over all continuations: (b,) >= 1; NaN for a draw without a token.

    Args:
        answers: columns `fluency_log_likelihood` (nats) and `fluency_tokens`; a row a continuation.
        weights: (b, n).

    Raises:
        Undefined: no token was scored, or a row has a likelihood of no token.
    """
    tokens = answers["fluency_tokens"].to_numpy(dtype=float)
    nats = answers["fluency_log_likelihood"].to_numpy(dtype=float)
    if not tokens.sum() > 0:
        raise Undefined("no token was scored")
    if (tokens < 0).any() or (nats[tokens == 0] != 0).any():
        raise Undefined("a row has a likelihood but no token, or fewer than none: these answers can't be right")
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # too large to write is undefined, which the core says
        perplexity: Floats = np.exp(-(weights @ nats) / (weights @ tokens))
    return perplexity
