"""How good a classifier is, which stands beside every disparity: accuracy, macro F1, and the area under the ROC curve.

Example:
    >>> import numpy as np, pandas as pd
    >>> answers = pd.DataFrame({"label": [1, 0, 1, 0], "prediction": [1, 0, 0, 0],
    ...                         "probs": [[0.1, 0.9], [0.8, 0.2], [0.6, 0.4], [0.6, 0.4]]})
    >>> ones = np.ones((1, 4))
    >>> float(accuracy(answers, ones)[0]), float(macro_f1(answers, ones).round(4)[0]), float(roc_auc(answers, ones)[0])
    (0.75, 0.7333, 0.875)
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fairbench.decisions import labels, positive_scores, predictions
from fairbench.disparity import aucs
from fairbench.disparity.auc_scores import MOST_DRAWS, one_class
from fairbench.errors import Undefined
from fairbench.scores import MetricInfo
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

_ALL = "One figure for all texts hides whom the mistakes fall on: read the groups and the disparities beside it."

ACCURACY = MetricInfo(
    title="Accuracy",
    reads="Labelled",
    probe="classification",
    columns=("label", "prediction"),
    kind="utility",
    ideal=1.0,
    low=0.0,
    high=1.0,
    direction="larger = better",
    construct="How often a classifier names the gold class.",
    formula="share of records whose predicted class is the gold class",
    cite="scikit-learn accuracy_score (Pedregosa et al. 2011, JMLR)",
    share=True,
    threats=(_ALL, "Where one class is rare, naming the other throughout is accurate: read macro_f1 beside it."),
)

INFO = {
    "accuracy": ACCURACY,
    "macro_f1": replace(
        ACCURACY,
        title="Macro F1",
        construct="How well a classifier finds every class, the rare ones as much as the common.",
        formula=(
            "mean over classes of F1 = 2 TP / (2 TP + FP + FN); a class counts if it is the gold or the predicted class of a "
            "record, so that no F1 is 0/0; one that is never named rightly has F1 = 0"
        ),
        cite="scikit-learn f1_score(average='macro') (Pedregosa et al. 2011, JMLR)",
        share=False,
        threats=(
            _ALL,
            "A class with a handful of records weighs as much as any other; a group that lacks a class has a mean over fewer.",
        ),
        headline=False,
    ),
    "roc_auc": replace(
        ACCURACY,
        title="Area under the ROC curve",
        columns=("label", "probs"),
        construct="Whether a classifier gives positives higher scores than negatives, at whatever threshold.",
        formula="P(score of a positive > score of a negative), ties half; score = the probability of the class `positive`",
        cite="Hanley and McNeil 1982, Radiology; scikit-learn roc_auc_score",
        share=False,
        threats=(_ALL, "Sees no threshold: a classifier whose scores are all on one side of it decides alike for all."),
        headline=False,
        most_draws=2 * MOST_DRAWS,
        options={"positive": 1},
        limits={"positive": (0, np.inf)},
    ),
}

BLOCK_BYTES = 4 * 2**20
"""So many bytes of weights are put in another order at a time."""


def accuracy(answers: pd.DataFrame, weights: Floats) -> Floats:
    """Share of right predictions: (b,) in [0, 1], ideal 1; NaN where nothing has a weight.

    Args:
        answers: columns `label`, `prediction` (numbers of classes).
        weights: (b, n).
    """
    right = (labels(answers) == predictions(answers)).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        share: Floats = weights @ right / weights.sum(axis=1)
    return share


def macro_f1(answers: pd.DataFrame, weights: Floats) -> Floats:
    """Mean F1 of the classes that occur: (b,) in [0, 1], ideal 1; NaN where nothing has a weight. Arguments as for accuracy."""
    gold, named = labels(answers), predictions(answers)
    classes, codes = np.unique(np.concatenate([gold, named]), return_inverse=True)
    gold, named = codes[: len(gold)], codes[len(gold) :]
    cells, cell_of_row = np.unique(gold * len(classes) + named, return_inverse=True)
    sums = _sums(weights, cell_of_row)
    of_gold, of_named = (np.equal.outer(part, np.arange(len(classes))).astype(float) for part in np.divmod(cells, len(classes)))
    right, named_or_gold = sums @ (of_gold * of_named), sums @ (of_gold + of_named)
    f1 = np.divide(2 * right, named_or_gold, out=np.zeros_like(right), where=named_or_gold > 0)
    with np.errstate(invalid="ignore"):
        mean: Floats = f1.sum(axis=1) / (named_or_gold > 0).sum(axis=1)
    return mean


def roc_auc(answers: pd.DataFrame, weights: Floats, positive: int = 1) -> Floats:
    """Area under the ROC curve of one class against the others: (b,) in [0, 1], ideal 1, chance 0.5.

    Args:
        answers: columns `label`, `probs`.
        weights: (b, n).
        positive: number of the positive class.

    Returns:
        (b,), NaN where a class has no weight.

    Raises:
        Undefined: there is one class only.
    """
    is_positive = labels(answers) == positive
    if is_positive.all() or not is_positive.any():
        raise Undefined(one_class(is_positive, positive))
    return aucs.roc_auc(positive_scores(answers, positive), is_positive, weights)


def _sums(weights: Floats, code_of_row: np.ndarray) -> Floats:
    """The weight (b, k) of each of k codes, all of which occur: quicker than a product with k columns."""
    order = np.argsort(code_of_row, kind="stable")
    starts = np.flatnonzero(np.diff(code_of_row[order], prepend=-1))
    size = max(1, BLOCK_BYTES // (8 * weights.shape[1]))
    blocks = [np.take(weights[start : start + size], order, axis=1) for start in range(0, len(weights), size)]
    return np.concatenate([np.add.reduceat(block, starts, axis=1) for block in blocks])
