"""Gaps between the groups' error rates: TPR (equal opportunity), FPR and FNR.

Example:
    >>> import numpy as np, pandas as pd
    >>> answers = pd.DataFrame({"group": (["a"] * 10 + ["b"] * 10) * 2, "label": [1] * 20 + [0] * 20,
    ...                         "prediction": [1] * 18 + [0] * 2 + [1] * 3 + [0] * 17})
    >>> [float(gap(answers, np.ones((1, 40)))[0].round(12)) for gap in (tpr_gap, fpr_gap, fnr_gap)]
    [0.2, 0.3, 0.2]
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fairbench.disparity.contrasts import DEVIATION, GAP, PAIRWISE
from fairbench.disparity.rate_disparity import RateDisparity, RateOptions
from fairbench.disparity.rates import Outcome, false_negatives, false_positives, true_positives
from fairbench.scores import MetricInfo
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

_AGGREGATE = (
    "gap: largest minus smallest; std: the population standard deviation over groups; pairwise: the mean of |difference| over "
    "pairs of groups"
)
_HOW = {"gap": GAP, "std": DEVIATION, "pairwise": PAIRWISE}

TPR = MetricInfo(
    title="TPR gap (equal opportunity)",
    reads="Labelled",
    probe="classification",
    columns=("label", "prediction"),
    kind="extrinsic",
    ideal=0.0,
    low=0.0,
    high=1.0,
    direction="larger = positive records are found more unequally often",
    construct="Whether a classifier finds the positive records of every group equally often.",
    formula=f"TPR_g = P(predicted positive | positive, g). {_AGGREGATE}",
    cite="Hardt, Price, Srebro 2016, NeurIPS; as fairlearn's true_positive_rate_difference (between_groups)",
    interval="simultaneous",
    by_group=False,
    by_notion=True,
    threats=(
        "Unsigned: above 0 by chance alone, the more so the more groups and the fewer records. Read it beside its floor and p.",
        "It trusts the labels: where these are biased, a classifier that repeats the bias looks fair.",
        "It sees one kind of error; a classifier may trade it for the other. Read TPR and FPR gap together.",
        "Depends on the threshold of the decision; the AUCs of the groups do not.",
    ),
    options={"group_by": "", "minimum": 10, "positive": 1, "aggregate": "gap"},
    choices={"aggregate": ("gap", "std", "pairwise")},
    limits={"minimum": (1, np.inf), "positive": (0, np.inf)},
)

INFO = {
    "tpr_gap": TPR,
    "fpr_gap": replace(
        TPR,
        title="FPR gap",
        direction="larger = other records are taken for positive more unequally often",
        construct="Whether a classifier takes records of other classes for positive equally often for every group.",
        formula=f"FPR_g = P(predicted positive | not positive, g). {_AGGREGATE}",
        cite="Hardt, Price, Srebro 2016, NeurIPS; as fairlearn's false_positive_rate_difference (between_groups)",
    ),
    "fnr_gap": replace(
        TPR,
        title="FNR gap",
        direction="larger = positive records are missed more unequally often",
        construct="Whether a classifier misses the positive records of every group equally often.",
        formula=f"FNR_g = P(not predicted positive | positive, g) = 1 - TPR_g: its gap is that of TPR. {_AGGREGATE}",
        cite="Hardt, Price, Srebro 2016, NeurIPS; as fairlearn's false_negative_rate_difference (between_groups)",
        headline=False,
    ),
}


def tpr_gap(
    answers: pd.DataFrame,
    weights: Floats,
    group_by: str = "",
    minimum: int = 10,
    positive: int = 1,
    aggregate: str = "gap",
) -> Floats:
    """The gap between the groups' true positive rates.

    Args:
        answers: columns `label`, `prediction`, and `groups` or `group`.
        weights: (b, n).
        group_by: the notion whose groups are compared ("gender"); several, joined by commas, for their intersections.
        minimum: a group of fewer records of the class in question is left out, and counted.
        positive: the number of the positive class.
        aggregate: largest minus smallest rate (gap), their standard deviation (std), or the mean difference of two (pairwise).

    Returns:
        (b,) in [0, 1], ideal 0.

    Raises:
        Undefined: fewer than two groups have enough records.
    """
    return tpr_gap_disparity.values(answers, weights, group_by=group_by, minimum=minimum, positive=positive, aggregate=aggregate)


def fpr_gap(
    answers: pd.DataFrame,
    weights: Floats,
    group_by: str = "",
    minimum: int = 10,
    positive: int = 1,
    aggregate: str = "gap",
) -> Floats:
    """The gap between the groups' false positive rates: (b,) in [0, 1], ideal 0. Errors as for tpr_gap.

    Args:
        answers: columns `label`, `prediction`, and `groups` or `group`.
        weights: (b, n).
        group_by: the notion whose groups are compared ("gender"); several, joined by commas, for their intersections.
        minimum: a group with fewer records of other classes than the positive is left out, and counted.
        positive: the number of the positive class.
        aggregate: largest minus smallest rate (gap), their standard deviation (std), or the mean difference of two (pairwise).
    """
    return fpr_gap_disparity.values(answers, weights, group_by=group_by, minimum=minimum, positive=positive, aggregate=aggregate)


def fnr_gap(
    answers: pd.DataFrame,
    weights: Floats,
    group_by: str = "",
    minimum: int = 10,
    positive: int = 1,
    aggregate: str = "gap",
) -> Floats:
    """The gap between the groups' false negative rates: (b,) in [0, 1], ideal 0. Arguments and errors as for tpr_gap.

    Args:
        answers: columns `label`, `prediction`, and `groups` or `group`.
        weights: (b, n).
        group_by: the notion whose groups are compared ("gender"); several, joined by commas, for their intersections.
        minimum: a group with fewer positive records is left out, and counted.
        positive: the number of the positive class.
        aggregate: largest minus smallest rate (gap), their standard deviation (std), or the mean difference of two (pairwise).
    """
    return fnr_gap_disparity.values(answers, weights, group_by=group_by, minimum=minimum, positive=positive, aggregate=aggregate)


def _true_positives(answers: pd.DataFrame, options: RateOptions) -> list[Outcome]:
    return [true_positives(answers, options.positive)]


def _false_positives(answers: pd.DataFrame, options: RateOptions) -> list[Outcome]:
    return [false_positives(answers, options.positive)]


def _false_negatives(answers: pd.DataFrame, options: RateOptions) -> list[Outcome]:
    return [false_negatives(answers, options.positive)]


tpr_gap_disparity = RateDisparity(card=INFO["tpr_gap"], outcomes=_true_positives, how=_HOW)
fpr_gap_disparity = RateDisparity(card=INFO["fpr_gap"], outcomes=_false_positives, how=_HOW)
fnr_gap_disparity = RateDisparity(card=INFO["fnr_gap"], outcomes=_false_negatives, how=_HOW)
tpr_gap_unused, fpr_gap_unused, fnr_gap_unused = (
    found.unused for found in (tpr_gap_disparity, fpr_gap_disparity, fnr_gap_disparity)
)
