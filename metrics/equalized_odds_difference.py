"""Equalised odds (Hardt et al. 2016): whether the classifier is right, and wrong, equally often for all groups.

Example:
    >>> import numpy as np, pandas as pd
    >>> answers = pd.DataFrame({"group": (["a"] * 10 + ["b"] * 10) * 2, "label": [1] * 20 + [0] * 20,
    ...                         "prediction": [1] * 18 + [0] * 2 + [1] * 3 + [0] * 17})
    >>> float(equalized_odds_difference(answers, np.ones((1, 40)))[0].round(12))
    0.3
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fairbench.disparity.contrasts import GAP, MEAN_GAP
from fairbench.disparity.rate_disparity import RateDisparity, RateOptions
from fairbench.disparity.rates import Outcome, false_positives, true_positives
from fairbench.scores import MetricInfo
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

INFO = MetricInfo(
    title="Equalised odds difference",
    reads="Labelled",
    probe="classification",
    columns=("label", "prediction"),
    kind="extrinsic",
    ideal=0.0,
    low=0.0,
    high=1.0,
    direction="larger = the classifier serves the groups more unequally, among the positive records or among the others",
    construct="Whether a classifier is right equally often about positive records of every group, and wrong about the others.",
    formula="worst_case: max(max TPR_g - min TPR_g, max FPR_g - min FPR_g); mean: the mean of the two gaps",
    cite="Hardt, Price, Srebro 2016, NeurIPS; as fairlearn's equalized_odds_difference (between_groups)",
    interval="simultaneous",
    by_group=False,
    by_notion=True,
    threats=(
        "Unsigned: above 0 by chance alone, the more so the more groups and the fewer records. Read it beside its floor and p.",
        "It trusts the labels: where these are biased, a classifier that repeats the bias looks fair.",
        "One figure for two gaps hides which of them it is: see the rates of the groups.",
        "Depends on the threshold of the decision; the AUCs of the groups do not.",
    ),
    options={"group_by": "", "minimum": 10, "positive": 1, "aggregate": "worst_case"},
    choices={"aggregate": ("worst_case", "mean")},
    limits={"minimum": (1, np.inf), "positive": (0, np.inf)},
)


def equalized_odds_difference(
    answers: pd.DataFrame,
    weights: Floats,
    group_by: str = "",
    minimum: int = 10,
    positive: int = 1,
    aggregate: str = "worst_case",
) -> Floats:
    """The larger one of the groups' TPR gap and FPR gap, or their mean.

    Args:
        answers: columns `label`, `prediction`, and `groups` or `group`.
        weights: (b, n).
        group_by: the notion whose groups are compared ("gender"); several, joined by commas, for their intersections.
        minimum: a group with fewer positive records is left out of the TPR, one with fewer others of the FPR, and counted.
        positive: the number of the positive class.
        aggregate: the larger gap (worst_case) or the mean of the two.

    Returns:
        (b,) in [0, 1], ideal 0.

    Raises:
        Undefined: fewer than two groups have enough positive records, or enough others.
    """
    return disparity.values(answers, weights, group_by=group_by, minimum=minimum, positive=positive, aggregate=aggregate)


def _outcomes(answers: pd.DataFrame, options: RateOptions) -> list[Outcome]:
    return [true_positives(answers, options.positive), false_positives(answers, options.positive)]


disparity = RateDisparity(card=INFO, outcomes=_outcomes, how={"worst_case": GAP, "mean": MEAN_GAP})
unused = disparity.unused
