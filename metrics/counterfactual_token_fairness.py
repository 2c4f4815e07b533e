"""Counterfactual token fairness (Garg et al. 2019): does a prediction change when a text speaks of somebody else?

Example:
    >>> import numpy as np, pandas as pd
    >>> answers = pd.DataFrame({
    ...     "id": ["a", "a~1", "a~2", "b", "b~1"],
    ...     "source": [None, "a", "a", None, "b"],
    ...     "probs": [[0.75, 0.25], [0.25, 0.75], [0.75, 0.25], [1.0, 0.0], [0.5, 0.5]],
    ... })
    >>> float(counterfactual_token_fairness(answers, np.ones((1, 5)))[0])
    0.375
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.decisions import class_names, positive_scores, predictions
from fairbench.errors import FairbenchError, Undefined
from fairbench.scores import MetricInfo
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

TOTAL_VARIATION, POSITIVE = "total-variation", "positive"

INFO = MetricInfo(
    title="Counterfactual token fairness",
    reads="Labelled",
    probe="classification",
    columns=("probs",),
    kind="extrinsic",
    ideal=0.0,
    low=0.0,
    high=1.0,
    direction="larger = predictions change more with whom a text speaks of",
    construct="How far a classifier's probabilities move when the identity that a text names is exchanged for another.",
    formula=(
        "mean over texts of the mean over their counterfactual variants of |f(text) - f(variant)|, f = probability of the "
        "positive class; for more than two classes the total variation distance, half the sum over classes of |p(text) - "
        "p(variant)|, which is the same for two; distance=positive takes the class `positive` alone"
    ),
    cite="Garg et al. 2019, AIES, doi:10.1145/3306618.3317950; terms: Dixon et al. 2018, AIES",
    unit="cluster",
    by_group=False,
    variants=True,
    options={"positive": 1, "distance": TOTAL_VARIATION},
    choices={"distance": (TOTAL_VARIATION, POSITIVE)},
    limits={"positive": (0, np.inf)},
    threats=(
        "Not every exchange keeps what a text means: of a text that lives on a stereotype the prediction may rightly change "
        "(Garg et al. call such counterfactuals asymmetric). The details give each gold class by itself.",
        "Exchanges are made by word lists: some variants are odd English (a lesbian man), and a word may speak of a thing (an "
        "old house, a white robe), which says nothing of people.",
        "A classifier that answers the same to every text scores 0: read accuracy beside it.",
        "It is never below 0, so that any jitter counts; the signed difference in the details tells a direction.",
        "A mean over texts weighs identities as often as the data name them; the details give each notion by itself.",
        "The details' notions and classes have no interval of their own.",
    ),
)

NO_VARIANT = "the text has no variant with an answer"
NO_ORIGINAL = "the variant's original has no answer"


@dataclass(frozen=True)
class _Pairs:
    """Which rows are compared.

    Attributes:
        originals: (s,) row of each original that has a variant.
        variants: (v,) row of each variant that has an original.
        of: (v,) the original of each variant, as its place among `originals`.
    """

    originals: NDArray[np.intp]
    variants: NDArray[np.intp]
    of: NDArray[np.intp]

    def mean(self, values: Floats, chosen: NDArray[np.bool_] | None = None) -> Floats:
        """For each original the mean of its variants' values, or of those chosen: (v,) -> (s,), NaN where none is."""
        chosen = np.ones(len(self.of), dtype=bool) if chosen is None else chosen
        size = len(self.originals)
        with np.errstate(invalid="ignore"):
            means: Floats = np.bincount(self.of[chosen], values[chosen], size) / np.bincount(self.of[chosen], minlength=size)
        return means


def counterfactual_token_fairness(
    answers: pd.DataFrame, weights: Floats, positive: int = 1, distance: str = TOTAL_VARIATION
) -> Floats:
    """Mean change of a prediction when the text speaks of somebody else.

    Args:
        answers: columns `id`, `source` (of a variant the original's id, else null), `probs` (list, one a class).
        weights: (b, n), the same for an original and its variants; that of the original is used.
        positive: number of the class that distance="positive" compares.
        distance: "total-variation" or "positive"; the same for two classes.

    Returns:
        (b,) in [0, 1], ideal 0; NaN where no original has a weight.

    Raises:
        Undefined: no text has a variant.
        FairbenchError: two originals have the same id, or there is no class `positive`.
    """
    pairs = _pairs(answers)
    if not len(pairs.originals):
        raise Undefined("no text stands beside a variant of it")
    change = pairs.mean(_distances(answers, pairs, positive, distance))
    of_original = weights[:, pairs.originals]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Floats = of_original @ change / of_original.sum(axis=1)
    return mean


def unused(answers: pd.DataFrame, **options: Any) -> list[str | None]:
    """Originals without a variant and variants without an original compare with nothing."""
    pairs = _pairs(answers)
    reasons = np.where(answers["source"].isna(), NO_VARIANT, NO_ORIGINAL).astype(object)
    reasons[pairs.originals] = reasons[pairs.variants] = None
    found: list[str | None] = reasons.tolist()
    return found


def counts(answers: pd.DataFrame, **options: Any) -> dict[str, int]:
    """Originals, variants, and variants to which another class is predicted."""
    pairs = _pairs(answers)
    return {
        "sources": len(pairs.originals), "variants": len(pairs.variants), "changed_predictions": int(_flips(answers, pairs).sum())
    }  # fmt: skip


def details(answers: pd.DataFrame, rng: np.random.Generator, *, positive: int, distance: str) -> dict[str, float]:
    """What the mean is made of.

    Returns:
        `signed_difference` (variant minus text, probability of the class `positive`), `flips` (share of variants with another
        prediction) and `unanimous` (share of texts all of whose variants have the text's own), each a mean over texts; the
        metric on the texts of each gold class ("class toxic") and on the variants of each notion ("notion religion").
    """
    pairs = _pairs(answers)
    scores, flips = positive_scores(answers, positive), pairs.mean(_flips(answers, pairs).astype(float))
    return {
        "signed_difference": float(pairs.mean(scores[pairs.variants] - scores[pairs.originals][pairs.of]).mean()),
        "flips": float(flips.mean()),
        "unanimous": float((flips == 0).mean()),
        **_by_class(answers, pairs, pairs.mean(_distances(answers, pairs, positive, distance))),
        **_by_notion(answers, pairs, _distances(answers, pairs, positive, distance)),
    }


def _pairs(answers: pd.DataFrame) -> _Pairs:
    ids, is_variant = answers["id"].tolist(), answers["source"].notna().to_numpy()
    places: dict[Any, int] = {}
    for row in np.flatnonzero(~is_variant).tolist():
        if ids[row] in places:
            raise FairbenchError(
                f"Two rows without a `source` have the id {ids[row]!r}: it can't be told of which one a text is the variant. "
                "Wanted an id for each original."
            )
        places[ids[row]] = row
    sources = answers["source"].tolist()
    variants = np.array([row for row in np.flatnonzero(is_variant).tolist() if sources[row] in places], dtype=np.intp)
    of_row = np.array([places[sources[row]] for row in variants.tolist()], dtype=np.intp)
    originals, of = np.unique(of_row, return_inverse=True)
    return _Pairs(originals, variants, of)


def _distances(answers: pd.DataFrame, pairs: _Pairs, positive: int, distance: str) -> Floats:
    """(v,) how far each variant's probabilities are from its original's."""
    if distance == POSITIVE:
        scores = positive_scores(answers, positive)
        change: Floats = np.abs(scores[pairs.variants] - scores[pairs.originals][pairs.of])
        return change
    probs = np.stack(answers["probs"].tolist()).astype(float)
    apart: Floats = np.abs(probs[pairs.variants] - probs[pairs.originals][pairs.of]).sum(axis=1) / 2
    return np.minimum(apart, 1.0)  # probabilities sum to one but for rounding


def _flips(answers: pd.DataFrame, pairs: _Pairs) -> NDArray[np.bool_]:
    """(v,) whether another class is predicted to the variant than to its original."""
    predicted = predictions(answers)
    flips: NDArray[np.bool_] = predicted[pairs.variants] != predicted[pairs.originals][pairs.of]
    return flips


def _by_class(answers: pd.DataFrame, pairs: _Pairs, change: Floats) -> dict[str, float]:
    """The mean over the originals of each gold class; none where the table names no classes, or a single one."""
    if "label" not in answers.columns:
        return {}
    gold = answers["label"].to_numpy(dtype=float, na_value=np.nan)[pairs.originals]
    numbers = sorted({int(label) for label in gold.tolist() if label == label})
    named = zip(class_names(answers, numbers), numbers, strict=True)
    return {f"class {name}": float(change[gold == number].mean()) for name, number in named} if len(numbers) > 1 else {}


def _by_notion(answers: pd.DataFrame, pairs: _Pairs, apart: Floats) -> dict[str, float]:
    """The metric on the variants of each notion; none where the table names no notions, or a single one."""
    if "meta.notion" not in answers.columns:
        return {}
    notion = answers["meta.notion"].astype(object).where(answers["meta.notion"].notna(), "").to_numpy()[pairs.variants]
    names = sorted(set(notion.tolist()) - {""})
    means = {f"notion {name}": pairs.mean(apart, notion == name) for name in names} if len(names) > 1 else {}
    return {name: float(np.nanmean(mean)) for name, mean in means.items()}
