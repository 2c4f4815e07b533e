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

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fairbench.errors import FairbenchError, Undefined, did_you_mean
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
    threats=(
        "A single d is weak evidence: word sets are small and d is noisy even where nothing is planted.",
        "Overstates association and depends on word frequency and on the choice of words (Ethayarajh et al. 2019).",
        "d is not comparable across models or with ddof 0; |d| < 2 holds for sets of equal size only.",
        "The permutation test keeps the attributes: targets that lie in two tight clusters (as gendered words do) reject by any "
        "chance tilt of the attributes, also where nothing was planted. The interval resamples attributes too: read it first.",
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
            "nulls at a nominal 5 %. The headline p moves whole words; the published one stands beside it as p_published.",
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
        Undefined: a set is empty, a vector has no length, or s has no spread.
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
    words = resampling_units(answers.iloc[targets]).of_row
    in_x = np.arange(len(targets)) < len(sets.x)
    p, exact = _partition_test(s, words, in_x, rng, two_sided=True)
    published, _ = _partition_test(s, np.arange(len(s)), in_x, rng, two_sided=False)
    how = "exact" if exact else f"{EXACT_LIMIT:,} sampled"
    return PValue(p, f"permutation of words, two-sided, {how}", published)


seat_significance = weat_significance


def weat_counts(answers: pd.DataFrame) -> dict[str, int]:
    """Distinct words in each set."""
    units = resampling_units(answers).of_row
    return {f"words_{role}": len(set(units[(answers["role"] == role).to_numpy()])) for role in ROLES}


seat_counts = weat_counts


def _partition_test(s: Floats, words: Indices, in_x: Members, rng: np.random.Generator, two_sided: bool) -> tuple[float, bool]:
    """Tests the difference of means between the rows in X and the others, when words change sides with all their rows."""
    _, codes = np.unique(words, return_inverse=True)
    count = np.bincount(codes).astype(float)  # rows of each word
    total = np.bincount(codes, weights=s)
    on_x = np.bincount(codes, weights=in_x) > 0

    def gap(members: Floats) -> Floats:
        rows, sums = members @ count, members @ total
        difference: Floats = sums / rows - (total.sum() - sums) / (count.sum() - rows)
        return difference

    seen = float(gap(on_x[None, :].astype(float))[0])
    chunks, exact = partitions(len(count), int(on_x.sum()), EXACT_LIMIT, rng)
    permuted = np.concatenate([gap(members.astype(float)) for members in chunks])
    return partition_p(seen, permuted, exact, two_sided), exact


def _sets(answers: pd.DataFrame) -> _Sets:
    role = answers["role"].to_numpy()
    for odd in sorted({str(r) for r in role} - set(ROLES)):
        raise FairbenchError(f"Found the role {odd!r}.{did_you_mean(odd, ROLES)} Wanted one of {', '.join(ROLES)} in every row.")
    tests: Sequence[str] = answers["test"].dropna().unique().tolist() if "test" in answers.columns else []
    if len(tests) > 1:
        raise FairbenchError(
            f"The answers hold {len(tests)} tests ({', '.join(map(str, tests[:3]))} ...), and an effect size is defined for one. "
            "Split them, a file a test."
        )
    rows = {name: np.flatnonzero(role == name) for name in ROLES}
    empty = [name for name, found in rows.items() if not len(found)]
    if empty:
        raise Undefined(f"no stimulus is left in {' and '.join(empty)}")
    if len(rows["target_x"]) + len(rows["target_y"]) < 3:
        raise Undefined("fewer than three target stimuli: their spread has no meaning")
    vectors = list(answers["vector"])
    if not all(np.ndim(v) == 1 for v in vectors):
        raise FairbenchError("Found a single number in the column 'vector'; wanted a list of numbers in every row.")
    if len({len(v) for v in vectors}) > 1:
        raise Undefined("the vectors differ in length: " + ", ".join(sorted({str(len(v)) for v in vectors})))
    matrix = np.asarray(vectors, dtype=float)  # (n, D)
    largest = np.abs(matrix).max(axis=1, keepdims=True)
    matrix = np.divide(matrix, largest, out=np.zeros_like(matrix), where=largest > 0)  # lengths of huge vectors would overflow
    length = np.linalg.norm(matrix, axis=1)
    if not length.all():
        raise Undefined(f"{int((length == 0).sum())} vectors have length zero, so their cosine has no value")
    matrix = matrix / length[:, None]
    x, y, a, b = (rows[name] for name in ROLES)
    targets = matrix[np.concatenate([x, y])]
    return _Sets(x, y, a, b, targets @ matrix[a].T, targets @ matrix[b].T)


def _association(sets: _Sets, weights: Floats) -> Floats:
    """s(w) of every target for every draw: (b, nX + nY)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        near_a = (weights[:, sets.a] @ sets.to_a.T) / weights[:, sets.a].sum(axis=1, keepdims=True)
        near_b = (weights[:, sets.b] @ sets.to_b.T) / weights[:, sets.b].sum(axis=1, keepdims=True)
    s: Floats = near_a - near_b
    return s
