"""Contextualized Embedding Association Test (Guo and Caliskan 2021): association tests of words in sentences, combined.

Each of N draws takes one context of every word. With s(w) = mean over A of cos(w, a) - mean over B of cos(w, b) in draw i:
    ES_i = (mean over X of s - mean over Y of s) / sd_i        V_i = sd_i^2        (sd_i of s over X and Y, ddof 1)
    CES = sum ES_i/(V_i + tau^2) / sum 1/(V_i + tau^2)         tau^2 as DerSimonian and Laird estimate it

Example (one context a word, so that every draw is the same and CES is WEAT's d):
    >>> import numpy as np, pandas as pd
    >>> sets = {"target_x": [[1, 0], [.8, .2], [.9, -.1]], "target_y": [[0, 1], [.1, .9], [-.2, 1]],
    ...         "attribute_a": [[1, .1], [.9, .3]], "attribute_b": [[.1, 1], [.2, .8]]}
    >>> rows = [(role, f"{role} {n}", v) for role, vectors in sets.items() for n, v in enumerate(vectors)]
    >>> answers = pd.DataFrame(rows, columns=["role", "cluster", "vector"]).assign(id="1", stratum=lambda t: t["role"])
    >>> round(float(ceat(answers, np.ones((1, len(answers))), np.random.default_rng(0), samples=100)[0]), 6)
    1.807313
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fairbench.association import stimuli, unequal, words_of
from fairbench.errors import FairbenchError, Undefined
from fairbench.records import ROLES
from fairbench.scores import MetricInfo, PValue
from fairbench.stats import (
    CHUNK_BYTES,
    EXACT_LIMIT,
    Floats,
    Indices,
    normal_p,
    partition_p,
    partitions,
    random_effects,
    resampling_units,
)

if TYPE_CHECKING:
    import pandas as pd

INFO = MetricInfo(
    title="Contextualized Embedding Association Test, combined effect size",
    reads="Association",
    probe="embedding",
    columns=("role", "cluster", "vector"),
    kind="intrinsic",
    ideal=0.0,
    low=-2.0,
    high=2.0,
    direction="+ = target X is nearer to attribute A (and Y to B) than the other way round",
    construct="Differential association of two target word sets with two attribute word sets, over the contexts of the words.",
    formula="sum ES_i/(V_i + tau^2) / sum 1/(V_i + tau^2) over N draws of a context a word; ES_i = WEAT's d, V_i = sd_i(s)^2",
    cite="Guo, Caliskan 2021, AIES (arXiv 2006.03955)",
    unit="cluster",
    p_value="own",
    by_group=False,
    threats=(
        "The published p (p_published) takes N draws from the same words and sentences for N independent studies, so it goes to "
        "0 as N grows: with N = 10,000 it rejects 97 % of true nulls at a nominal 5 % (simulated, 8 words x 8 contexts a set; "
        "permuting words 6 %), and it is below .01 on models in which nothing was planted. Never print it alone.",
        "V_i is the squared spread of s in a draw, as the paper has it, not the sampling variance of an effect size: tau^2, I^2 "
        "and the standard error belong to that analysis and say nothing of other words or sentences.",
        "The paper's test is two-sided, its published code one-sided (option tail).",
        "Moves with the corpus, how its sentences are chosen, the layer and the sub-word rule: compare only where these agree.",
        "The effect size is not comparable across models, and a mean hides how much it varies with the contexts: read the spread "
        "and the percentiles of the draws' effect sizes beside it.",
        "The permutation test keeps contexts and attributes: targets in two tight clusters (as gendered words are) reject by any "
        "chance tilt of the attributes, also where nothing was planted. The interval resamples attributes too: read it first.",
        "Saturates: on models with planted bias it rises with what was learnt over seeds (Spearman 1.00), but of single models "
        "it tells the stronger ones apart badly (causal .87, masked .76).",
        "The interval is over words and takes the contexts as they are; a word with few of them is known from these few only.",
        "Sees nothing between word sets that never share contexts; never judge a mitigation by it alone.",
    ),
    defaults={"stratum": "role"},
    random=True,
    options={"samples": 10_000, "tail": "two-sided"},
    choices={"tail": ("two-sided", "one-sided")},
    limits={"samples": (2, np.inf)},
    leave_one_out=True,
    most_draws=1_000,
    bootstrap_options={"samples": 1_000},
)

Members = NDArray[np.bool_]

NO_SPREAD = 1e-9
CACHED_BYTES = 2**20
"""About a core's second-level cache: vectors that are gathered for some draws are read from there again."""


@dataclass(frozen=True)
class _Bank:
    """The contexts of every word: the words of X, then of Y, A and B; contexts in the order of their ids.

    Attributes:
        vectors: (r, D) of unit length, a word's contexts one after the other.
        first: (w,) where each word's contexts begin.
        contexts: (w,) how many it has.
        row: (w,) a row of the word in the answers, for its weight.
        by_name: (w,) the words in the order of their names, in which they draw: so sets that change places mirror the value.
        n_x, n_t: words in X; words in X and Y.
        n_a: words in A.
    """

    vectors: Floats
    first: Indices
    contexts: Indices
    row: Indices
    by_name: Indices
    n_x: int
    n_t: int
    n_a: int


def ceat(
    answers: pd.DataFrame, weights: Floats, rng: np.random.Generator, samples: int = 10_000, tail: str = "two-sided"
) -> Floats:
    """Combined effect size over draws of a context a word, with words counted by their weights.

    Args:
        answers: columns `role` (target_x, target_y, attribute_a, attribute_b), `cluster` (the word; its rows in one stratum are
            its contexts), `id` and `vector` (lists of equal length D).
        weights: (b, n) frequencies of the n rows, the same for all rows of a word.
        rng: chooses the contexts; the same for all b, so that they are compared on the same draws.
        samples: N, the number of draws.
        tail: of the published p; the value does not depend on it.

    Returns:
        (b,) combined effect sizes, 0 ideal, in (-2, 2); NaN where no draw has spread (sd >= 1e-9).

    Raises:
        Undefined: a set is empty, X and Y have unequal numbers of words, a vector has no length, or s has no spread in any draw.

    Source: Guo and Caliskan 2021, supplement; draws without spread are dropped, and N is what is left of them.
    """
    bank = _bank(answers)
    studies = [_studies(s, weights[:, bank.row].T, bank) for s in _associations(bank, weights, rng, samples)]
    combined = random_effects(*(np.concatenate(part).T for part in zip(*studies, strict=True))).effect
    if len(combined) == 1 and not np.isfinite(combined[0]):
        raise Undefined("all target vectors have the same association in every draw: there is no spread to divide by")
    return combined


def significance(answers: pd.DataFrame, rng: np.random.Generator, samples: int = 10_000, tail: str = "two-sided") -> PValue:
    """Two-sided permutation test in which words change sides, and the published normal p of CES/SE.

    The draws stay as they are; |CES| is compared with that of other partitions of the words, each with a tau^2 of its own.
    Exact over all partitions that keep |X| if there are at most 100,000, else 99,999 random ones and the one seen.
    """
    bank = _bank(answers)
    s, effects, variances = _plain(answers, bank, rng, samples)
    combined = _combiner(s[np.isfinite(effects)])
    in_x = np.arange(bank.n_t) < bank.n_x
    chunks, exact = partitions(bank.n_t, bank.n_x, EXACT_LIMIT, rng)
    seen, permuted = float(combined(in_x[None, :])[0]), np.concatenate([combined(members) for members in chunks])
    fit = random_effects(effects, variances)
    return PValue(
        partition_p(seen, permuted, exact, two_sided=True),
        f"permutation of words, two-sided, {'exact' if exact else f'{EXACT_LIMIT:,} sampled'}",
        normal_p(float(fit.effect / fit.stderr), two_sided=tail == "two-sided"),
    )


def counts(answers: pd.DataFrame, samples: int = 10_000, tail: str = "two-sided") -> dict[str, int]:
    """Words in each set, and the contexts of the word that has fewest and of the word that has most."""
    units = resampling_units(answers).of_row
    words = {f"words_{role}": len(set(units[(answers["role"] == role).to_numpy()])) for role in ROLES}
    contexts = np.bincount(units)
    return words | {"fewest_contexts": int(contexts.min()), "most_contexts": int(contexts.max())}


def details(answers: pd.DataFrame, rng: np.random.Generator, samples: int = 10_000, tail: str = "two-sided") -> dict[str, float]:
    """The analysis behind CES: its standard error, tau^2, I^2 and Q, and how the effect sizes of the draws are distributed."""
    _, sizes, variances = _plain(answers, _bank(answers), rng, samples)
    fit = random_effects(sizes, variances)
    kept = sizes[np.isfinite(sizes)]
    analysis = {"ces_se": fit.stderr, "tau2": fit.tau2, "i2": fit.i2, "q": fit.q, "draws_kept": fit.studies}
    spread = {"es_mean": kept.mean(), "es_sd": kept.std()} | {f"es_{q:g}%": np.percentile(kept, q) for q in (2.5, 50, 97.5)}
    return {name: float(value) for name, value in (analysis | spread).items()}


def effects(answers: pd.DataFrame, rng: np.random.Generator, samples: int = 10_000, tail: str = "two-sided") -> Floats:
    """ES_i of every draw, (samples,); NaN where a draw has no spread. The same ones that `details` says five figures of."""
    return _plain(answers, _bank(answers), rng, samples)[1]


def _bank(answers: pd.DataFrame) -> _Bank:
    found = stimuli(answers)
    units = resampling_units(answers)
    word = answers["role"].map(ROLES.index).to_numpy() * units.count + units.of_row
    ids = answers["id"].astype(str).tolist()
    # In an order of their own, down to the vectors where ids repeat: what is drawn must not depend on the order of rows.
    order = np.array(sorted(range(len(word)), key=lambda i: (word[i], ids[i], found.vectors[i].tobytes())), dtype=np.intp)
    codes, first, contexts = np.unique(word[order], return_index=True, return_counts=True)
    n_x, n_y, n_a, _ = np.bincount(codes // units.count).tolist()
    words_of(answers, found)
    if n_x != n_y:
        raise unequal((n_x, n_y), found)
    row = order[first]
    by_name = np.argsort(answers["cluster"].astype(str).to_numpy(dtype=object)[row], kind="stable")
    return _Bank(found.vectors[order], first, contexts, row, by_name, n_x, n_x + n_y, n_a)


def _associations(bank: _Bank, weights: Floats, rng: np.random.Generator, samples: int) -> Iterator[Floats]:
    """s(w) of every target in each of the draws, (k, targets, b), in chunks that sum to `samples` draws."""
    if samples < 2:
        raise FairbenchError(f"The option samples of the metric ceat is {samples}; wanted a whole number of 2 or more.")
    drawn = np.empty((samples, len(bank.first)), dtype=np.intp)
    drawn[:, bank.by_name] = rng.integers(bank.contexts[bank.by_name], size=drawn.shape)
    drawn += bank.first
    w = weights[:, bank.row].T
    near_a, near_b = w[bank.n_t : bank.n_t + bank.n_a], w[bank.n_t + bank.n_a :]
    with np.errstate(invalid="ignore", divide="ignore"):
        side = np.concatenate([near_a / near_a.sum(axis=0), -near_b / near_b.sum(axis=0)])  # (attributes, b)
    width, b = bank.vectors.shape[1], len(weights)
    # The product of targets, attributes and sides is the same either way; what differs is the number of multiplications.
    sides_first = b * width * len(w) <= bank.n_t * len(side) * (width + b)
    size = max(1, CACHED_BYTES // (8 * len(w) * width))
    longer = max(1, CHUNK_BYTES // (8 * bank.n_t * b))
    room = np.empty((size, len(w), width))  # memory that is fresh every time takes half as long again
    for start in range(0, samples, longer):
        s = np.empty((min(longer, samples - start), bank.n_t, b))
        for i in range(0, len(s), size):
            chosen = drawn[start + i : start + min(i + size, len(s))]
            vectors = np.take(bank.vectors, chosen, axis=0, out=room[: len(chosen)], mode="clip")  # (k, words, D)
            targets, attributes = vectors[:, : bank.n_t], vectors[:, bank.n_t :].swapaxes(1, 2)
            s[i : i + size] = targets @ (attributes @ side) if sides_first else (targets @ attributes) @ side
        yield s


def _studies(s: Floats, w: Floats, bank: _Bank) -> tuple[Floats, Floats]:
    """ES_i and V_i of draws, (k, b) each; NaN where a draw has no spread.

    Args:
        s: (k, targets, b) associations.
        w: (words, b) weights of the words.
        bank: says which words are X and Y.
    """
    w = w[: bank.n_t]
    w_x, w_y = w[: bank.n_x], w[bank.n_x :]
    with np.errstate(invalid="ignore", divide="ignore"):
        total = w.sum(axis=0)
        centre = np.einsum("ktb,tb->kb", s, w) / total
        variance = np.einsum("ktb,tb->kb", (s - centre[:, None]) ** 2, w) / (total - 1)
        gap = np.einsum("ktb,tb->kb", s[:, : bank.n_x], w_x) / w_x.sum(axis=0)
        gap -= np.einsum("ktb,tb->kb", s[:, bank.n_x :], w_y) / w_y.sum(axis=0)
        spread = np.sqrt(variance)
        return np.where(spread >= NO_SPREAD, gap / spread, np.nan), variance


def _plain(answers: pd.DataFrame, bank: _Bank, rng: np.random.Generator, samples: int) -> tuple[Floats, Floats, Floats]:
    """Every word once: s (N, targets), ES (N,) and V (N,)."""
    ones = np.ones((1, len(answers)))
    s = np.concatenate(list(_associations(bank, ones, rng, samples)))
    effects, variances = _studies(s, ones[:, bank.row].T, bank)
    return s[:, :, 0], effects[:, 0], variances[:, 0]


def _combiner(s: Floats) -> Callable[[Members], Floats]:
    """The combined effect size as a function of who is in X, for draws that all have spread.

    sd_i does not depend on the sides, so neither do the weights 1/V_i. With g = 1/|X| on X's words and -1/|Y| on the others, and
    z_i = s_i/sd_i, each ES_i is g.z_i, Q is a quadratic form of g, and CES is g.h(tau^2) for
    h(t) = sum z_i/(V_i + t) / sum 1/(V_i + t). As a function of log(t + min V) h is analytic within pi of the real line, so that
    Chebyshev polynomials of a known degree give it to rounding: a partition costs no pass over the draws.

    Args:
        s: (N, words) association of each target in each draw.

    Returns:
        (p, words) membership -> (p,) combined effect sizes.
    """
    from numpy.polynomial.chebyshev import chebpts1, chebvander

    s = s - s.mean(axis=1, keepdims=True)
    variance = s.var(axis=1, ddof=1)
    least = variance.min()
    z, w = s / np.sqrt(variance)[:, None], 1 / variance
    fixed, total = w @ z, w.sum()
    squares, c = z.T @ (w[:, None] * z), total - (w @ w) / total

    def between(t: Floats) -> Floats:
        """The function h, (k, words), at k values of t + min V."""
        v = 1 / (variance - least + t[:, None])
        h: Floats = (v @ z) / v.sum(axis=1, keepdims=True)
        return h

    def combined(members: Members) -> Floats:
        n_x = members[0].sum()
        sides = np.where(members, 1 / n_x, -1 / (members.shape[1] - n_x))
        q = ((sides @ squares) * sides).sum(axis=1) - (sides @ fixed) ** 2 / total
        tau2 = np.maximum(0.0, q - (len(s) - 1)) / c if c > 0 else np.zeros(len(sides))
        x = np.log(tau2 + least)
        middle, reach = (x.max() + x.min()) / 2, max((x.max() - x.min()) / 2, 1e-3)
        degree = math.ceil(40 / math.asinh(math.pi / reach))  # coefficients fall by exp(-asinh(pi/reach)) a degree: to exp(-40)
        nodes = chebpts1(degree + 1)
        curve = np.linalg.solve(chebvander(nodes, degree), between(np.exp(middle + reach * nodes)))  # (degree + 1, words)
        effects: Floats = ((chebvander((x - middle) / reach, degree) @ curve) * sides).sum(axis=1)
        return effects

    return combined
