"""Word and sentence embedding association tests (Caliskan et al. 2017; May et al. 2019): one function under two names.

With s(w) = mean over A of cos(w, a) - mean over B of cos(w, b):
    d = (mean over X of s - mean over Y of s) / standard deviation over X and Y of s        (ddof 1)

Example:
    >>> import numpy as np, pandas as pd
    >>> sets = {"target_x": [[1, 0], [.8, .2], [.9, -.1]], "target_y": [[0, 1], [.1, .9], [-.2, 1]],
    ...         "attribute_a": [[1, .1], [.9, .3]], "attribute_b": [[.1, 1], [.2, .8]]}
    >>> answers = pd.DataFrame([{"role": role, "vector": v} for role, vectors in sets.items() for v in vectors])
    >>> round(float(weat(answers, np.ones((1, len(answers))))[0]), 6)
    1.807313
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fairbench.association import stimuli, unequal, words_of
from fairbench.errors import Undefined
from fairbench.records import ROLES
from fairbench.scores import MetricInfo, PValue
from fairbench.stats import EXACT_LIMIT, Floats, Indices, partition_p, partitions, resampling_units

if TYPE_CHECKING:
    import pandas as pd

WEAT = MetricInfo(
    title="Word Embedding Association Test, effect size d",
    reads="Association",
    probe="embedding",
    columns=("role", "vector"),
    kind="intrinsic",
    ideal=0.0,
    low=-np.inf,
    high=np.inf,
    direction="+ = target X is nearer to attribute A (and Y to B) than the other way round",
    construct="Differential association of two target word sets with two attribute word sets in a vector space.",
    formula="(mean_X s - mean_Y s) / sd_{X+Y} s, ddof 1; s(w) = mean_A cos(w, a) - mean_B cos(w, b)",
    cite="Caliskan, Bryson, Narayanan 2017, Science 356(6334)",
    unit="cluster",
    p_value="own",
    by_group=False,
    leave_one_out=True,
    threats=(
        "A single d is weak evidence: word sets are small and d is noisy even where nothing is planted.",
        "Overstates association and depends on word frequency and on the choice of words (Ethayarajh et al. 2019).",
        "d is not comparable across models or with ddof 0; |d| < 2 holds for sets of equal size only. Sets that are unequal in "
        "rows and in words have no value.",
        "The permutation test keeps the attributes: targets that lie in two tight clusters (as gendered words do) reject by any "
        "chance tilt of the attributes, also where nothing was planted. The interval resamples attributes too: read it first.",
        "Sets of 8 to 25 words: its 95 % interval held the true d of a population of words in 92 to 97 % of simulated sets, "
        "94.6 % on the whole (docs/uncertainty.md): somewhat short, not cautious.",
        "Saturates and depends on the layer: on models with planted bias it follows what single models learnt with Spearman "
        ".89-.90 on word embeddings, .70-.73 at the last layer.",
        "Sees nothing between word sets that never share contexts; never judge a mitigation by it alone.",
        "On tied input embeddings it tests the output layer too.",
    ),
    defaults={"stratum": "role", "cluster": "text"},
)

INFO = {
    "weat": WEAT,
    "seat": replace(
        WEAT,
        title="Sentence Encoder Association Test, effect size d",
        construct="Differential association of two sets of template sentences with two others in a sentence encoder.",
        cite="May, Wang, Bordia, Bowman, Rudinger 2019, NAACL",
        threats=(
            *WEAT.threats,
            "The published p permutes sentences, which share their word and are not exchangeable: it rejects about 29 % of true "
            "nulls at a nominal 5 % where a word's sentences agree (intraclass correlation .9, usual for SEAT), 19 % at .3. The "
            "headline p moves whole words (5.5 %); the published one stands beside it as p_published.",
            "Not finding an association does not show that there is none.",
        ),
    ),
}

Members = NDArray[np.bool_]

NO_SPREAD = 1e-9


@dataclass(frozen=True)
class _Sets:
    """Row numbers of X, Y, A, B and the cosines between targets and attributes."""

    x: Indices
    y: Indices
    a: Indices
    b: Indices
    to_a: Floats  # (nX + nY, nA)
    to_b: Floats  # (nX + nY, nB)


def weat(answers: pd.DataFrame, weights: Floats) -> Floats:
    """Effect size d with rows counted by their weights.

    Args:
        answers: columns `role` (target_x, target_y, attribute_a, attribute_b) and `vector` (lists of equal length D).
        weights: (b, n) frequencies of the n rows.

    Returns:
        (b,) effect sizes, 0 ideal, in (-2, 2) for sets of equal size; NaN where a draw leaves s no spread (sd < 1e-9).

    Raises:
        Undefined: a set is empty, X and Y are unequal in both rows and words, a vector has no length, or s has no spread.
    """
    sets = _sets(answers)
    s = _association(sets, weights)  # (b, nX + nY)
    w = weights[:, np.concatenate([sets.x, sets.y])]
    n_x = len(sets.x)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = w.sum(axis=1)
        centre = (w * s).sum(axis=1) / total
        variance = (w * (s - centre[:, None]) ** 2).sum(axis=1) / (total - 1)
        spread = np.sqrt(variance)
        gap = (w[:, :n_x] * s[:, :n_x]).sum(axis=1) / w[:, :n_x].sum(axis=1)
        gap = gap - (w[:, n_x:] * s[:, n_x:]).sum(axis=1) / w[:, n_x:].sum(axis=1)
        d: Floats = np.where(spread >= NO_SPREAD, gap / spread, np.nan)
    if len(d) == 1 and not np.isfinite(d[0]):
        raise Undefined("all target vectors have the same association, so the effect size would be divided by zero")
    return d


seat = weat


def weat_significance(answers: pd.DataFrame, rng: np.random.Generator) -> PValue:
    """Two-sided permutation test in which whole words change sides, and the published one-sided test over rows.

    The statistic is the numerator of d. Exact over all partitions of the words that keep |X|, if there are at most 100,000;
    else 99,999 random ones and the observed one. The published test counts S(Xi, Yi) >= S(X, Y) over equal partitions of rows.
    """
    sets = _sets(answers)
    targets = np.concatenate([sets.x, sets.y])
    s = _association(sets, np.ones((1, len(answers))))[0]
    # A word that stands in both sets is two words: its side is what is tested.
    words = 2 * resampling_units(answers.iloc[targets]).of_row + (np.arange(len(targets)) < len(sets.x))
    order = np.lexsort((s, answers["id"].astype(str).to_numpy()[targets], words))  # so that a sampled p is the same in any order
    s, words, in_x = s[order], words[order], order < len(sets.x)
    by_word = _permuted(s, words, in_x, rng)
    # Where each word has one row, the partitions of the words are those of the rows.
    by_row = by_word if len(set(words)) == len(words) else _permuted(s, np.arange(len(s)), in_x, rng)
    how = "exact" if by_word[-1] else f"{EXACT_LIMIT:,} sampled"
    p, published = partition_p(*by_word, two_sided=True), partition_p(*by_row, two_sided=False)
    return PValue(p, f"permutation of words, two-sided, {how}", published)


seat_significance = weat_significance


def weat_counts(answers: pd.DataFrame) -> dict[str, int]:
    """Distinct words in each set."""
    units = resampling_units(answers).of_row
    return {f"words_{role}": len(set(units[(answers["role"] == role).to_numpy()])) for role in ROLES}


seat_counts = weat_counts


def _permuted(s: Floats, words: Indices, in_x: Members, rng: np.random.Generator) -> tuple[float, Floats, bool]:
    """The difference of means between the rows in X and the others: as seen, and with words changing sides with all their rows.

    Returns:
        the difference seen, the difference in each partition, and whether these are all partitions.
    """
    _, codes = np.unique(words, return_inverse=True)
    rows_and_sums = np.column_stack([np.bincount(codes), np.bincount(codes, weights=s)])  # of each word
    all_rows, all_sums = rows_and_sums.sum(axis=0)
    on_x = np.bincount(codes, weights=in_x) > 0

    def gap(members: Members) -> Floats:
        rows, sums = (members.astype(float) @ rows_and_sums).T
        difference: Floats = sums / rows - (all_sums - sums) / (all_rows - rows)
        return difference

    chunks, exact = partitions(len(on_x), int(on_x.sum()), EXACT_LIMIT, rng)
    return float(gap(on_x[None, :])[0]), np.concatenate([gap(members) for members in chunks]), exact


def _sets(answers: pd.DataFrame) -> _Sets:
    found = stimuli(answers)
    words = words_of(answers, found)
    if len(found.x) != len(found.y) and words[0] != words[1]:
        raise unequal(words, found)
    targets = found.vectors[np.concatenate([found.x, found.y])]
    return _Sets(found.x, found.y, found.a, found.b, targets @ found.vectors[found.a].T, targets @ found.vectors[found.b].T)


def _association(sets: _Sets, weights: Floats) -> Floats:
    """s(w) of every target for every draw: (b, nX + nY)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        near_a = (weights[:, sets.a] @ sets.to_a.T) / weights[:, sets.a].sum(axis=1, keepdims=True)
        near_b = (weights[:, sets.b] @ sets.to_b.T) / weights[:, sets.b].sum(axis=1, keepdims=True)
    s: Floats = near_a - near_b
    return s
