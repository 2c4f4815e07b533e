"""Demographic parity: whether the positive class is predicted equally often for all groups, whatever is right.

Example:
    >>> import numpy as np, pandas as pd
    >>> answers = pd.DataFrame({"group": ["a"] * 10 + ["b"] * 10, "prediction": [1] * 8 + [0] * 2 + [1] * 4 + [0] * 6})
    >>> ones = np.ones((1, 20))
    >>> float(demographic_parity_difference(answers, ones)[0]), float(demographic_parity_ratio(answers, ones)[0].round(12))
    (0.4, 0.5)
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fairbench.disparity.contrasts import DEVIATION, GAP, PAIRWISE, RATIO
from fairbench.disparity.rate_disparity import RateDisparity, RateOptions
from fairbench.disparity.rates import Outcome, selection
from fairbench.scores import MetricInfo
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

_LABELS = (
    "It asks for equal rates though the groups' true rates may differ: then a classifier without errors fails it, and a biased "
    "one may pass. Read it beside the gaps of TPR and FPR, which look at the labels (and trust them)."
)

DIFFERENCE = MetricInfo(
    title="Demographic parity difference",
    reads="Labelled",
    probe="classification",
    columns=("prediction",),
    kind="extrinsic",
    ideal=0.0,
    low=0.0,
    high=1.0,
    direction="larger = the positive class is predicted more unequally often",
    construct="Whether a classifier predicts the positive class equally often for every group, whatever is right.",
    formula=(
        "SR_g = P(predicted positive | g). gap: max SR_g - min SR_g; std: the population standard deviation of the SR_g; "
        "pairwise: the mean of |SR_g - SR_h| over pairs of groups"
    ),
    cite="Dwork et al. 2012, ITCS; as fairlearn's demographic_parity_difference (between_groups)",
    interval="simultaneous",
    by_group=False,
    by_notion=True,
    threats=(
        "Unsigned: above 0 by chance alone, the more so the more groups and the fewer records. Read it beside its floor and p.",
        _LABELS,
        "The largest of many gaps: one odd group decides it.",
        "With few records a group its interval is somewhat short: where four groups of 12 were truly alike it held 0 in 91 % "
        "of simulated sets (nominal 95), with 50 a group in 93 to 94 % (docs/uncertainty.md).",
    ),
    options={"group_by": "", "minimum": 10, "positive": 1, "aggregate": "gap"},
    choices={"aggregate": ("gap", "std", "pairwise")},
    limits={"minimum": (1, np.inf), "positive": (0, np.inf)},
)

RATIO_CARD = replace(
    DIFFERENCE,
    title="Demographic parity ratio",
    ideal=1.0,
    direction="smaller = the positive class is predicted more unequally often; 1 = equally",
    formula="min SR_g / max SR_g with SR_g = P(predicted positive | g); 0/0 is undefined",
    cite="Feldman et al. 2015, KDD; as fairlearn's demographic_parity_ratio (between_groups)",
    threats=(
        "Below 1 by chance alone, the more so the more groups and the fewer records. Read it beside its floor and p.",
        "Where the positive class is rare, a small difference makes a small ratio; that of P(predicted negative) is another.",
        "The four-fifths rule (.8) is a rule of thumb of United States employment law, no threshold of fairness.",
        "The interval is made of logarithms: there is none where a group's rate is 0, and draws with such a rate are dropped.",
        _LABELS,
    ),
    options={"group_by": "", "minimum": 10, "positive": 1},
    choices={},
    headline=False,
)

INFO = {"demographic_parity_difference": DIFFERENCE, "demographic_parity_ratio": RATIO_CARD}


def demographic_parity_difference(
    answers: pd.DataFrame,
    weights: Floats,
    group_by: str = "",
    minimum: int = 10,
    positive: int = 1,
    aggregate: str = "gap",
) -> Floats:
    """The difference of the groups' selection rates.

    Args:
        answers: columns `prediction`, and `groups` or `group`.
        weights: (b, n).
        group_by: the notion whose groups are compared ("gender"); several, joined by commas, for their intersections.
        minimum: a group of fewer records is left out, and counted.
        positive: the number of the positive class.
        aggregate: largest minus smallest rate (gap), their standard deviation (std), or the mean difference of two (pairwise).

    Returns:
        (b,) in [0, 1], ideal 0.

    Raises:
        Undefined: fewer than two groups have enough records.
    """
    return demographic_parity_difference_disparity.values(
        answers, weights, group_by=group_by, minimum=minimum, positive=positive, aggregate=aggregate
    )


def demographic_parity_ratio(
    answers: pd.DataFrame, weights: Floats, group_by: str = "", minimum: int = 10, positive: int = 1
) -> Floats:
    """The smallest of the groups' selection rates over the largest: (b,) in [0, 1], ideal 1.

    Args:
        answers: columns `prediction`, and `groups` or `group`.
        weights: (b, n).
        group_by: the notion whose groups are compared ("gender"); several, joined by commas, for their intersections.
        minimum: a group of fewer records is left out, and counted.
        positive: the number of the positive class.

    Raises:
        Undefined: fewer than two groups have enough records, or the rate of every group is 0.
    """
    return demographic_parity_ratio_disparity.values(answers, weights, group_by=group_by, minimum=minimum, positive=positive)


def _outcomes(answers: pd.DataFrame, options: RateOptions) -> list[Outcome]:
    return [selection(answers, options.positive)]


demographic_parity_difference_disparity = RateDisparity(
    card=DIFFERENCE,
    outcomes=_outcomes,
    how={"gap": GAP, "std": DEVIATION, "pairwise": PAIRWISE},
    within_class=False,
)
demographic_parity_ratio_disparity = RateDisparity(card=RATIO_CARD, outcomes=_outcomes, how={"": RATIO}, within_class=False)
demographic_parity_difference_unused = demographic_parity_difference_disparity.unused
demographic_parity_ratio_unused = demographic_parity_ratio_disparity.unused
