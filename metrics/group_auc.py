"""AUCs of the records that speak of a group (Borkan et al. 2019), as one score: the generalised mean over the groups.

Three AUCs tell apart how a classifier fails a group: within it; its negatives ranked above other texts' positives; its positives
ranked below other texts' negatives.

Example:
    >>> import numpy as np, pandas as pd
    >>> answers = pd.DataFrame({"label": [1, 0, 1, 0, 1, 0], "groups": [["a"], ["a"], ["b"], ["b"], [], []],
    ...                         "probs": [[0.2, 0.8], [0.4, 0.6], [0.3, 0.7], [0.9, 0.1], [0.5, 0.5], [0.8, 0.2]]})
    >>> float(subgroup_auc(answers, np.ones((1, 6)), minimum=1)[0])
    1.0
    >>> float(bpsn_auc(answers, np.ones((1, 6)), minimum=1).round(4)[0])  # one negative of a is above a positive without group
    0.5708
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fairbench.disparity.auc_scores import DIRECTION, MOST_DRAWS, AucOptions, AucScore
from fairbench.scores import MetricInfo
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

_MEAN = (
    "M_p = ((1/G) sum over groups of AUC_g^p)^(1/p), p the option power (-5: the worst counts most); a group with an AUC of "
    "0 makes it 0, one with fewer than `minimum` records in a class that its AUC compares is left out and counted. Background of "
    "a group, by the option background: borkan = every other record; hatexplain = every other record that names some group."
)

_THREATS = (
    "AUCs see the order of the scores and no threshold: a classifier that calls every text of a group toxic may have AUCs of 1.",
    "The mean rises with the classifier's quality for all groups, so it is no measure of difference: read the groups, the floor "
    "and its p, which says whether groups are worse off than random texts of the same classes.",
    "A text that speaks of several groups counts in each of them, so the groups' figures are not independent.",
    "The two backgrounds give different figures, and published ones use both.",
)

SUBGROUP = MetricInfo(
    title="Subgroup AUC, generalised mean over groups",
    reads="Labelled",
    probe="classification",
    columns=("label", "probs"),
    kind="extrinsic",
    ideal=1.0,
    low=0.0,
    high=1.0,
    direction=DIRECTION,
    construct="Whether a classifier tells the classes apart among texts that speak of a group, for all groups.",
    formula=(
        "AUC_g = P(score of a positive > score of a negative), ties half, both of g; other records enter the floor and its p. "
        f"{_MEAN}"
    ),
    cite="Borkan, Dixon, Sorensen, Thain, Vasserman 2019, WWW companion; background hatexplain: Mathew et al. 2021, AAAI",
    by_group=False,
    by_notion=True,
    threats=_THREATS,
    most_draws=MOST_DRAWS,
    options={"power": -5.0, "background": "borkan", "group_by": "", "minimum": 10, "positive": 1},
    choices={"background": ("borkan", "hatexplain")},
    limits={"power": (-100, 100), "minimum": (1, np.inf), "positive": (0, np.inf)},
)

INFO = {
    "subgroup_auc": SUBGROUP,
    "bpsn_auc": replace(
        SUBGROUP,
        title="BPSN AUC (background positive, subgroup negative), generalised mean over groups",
        direction=f"{DIRECTION}; low = negatives of a group are scored as high as positives of others (false alarms)",
        construct="Whether a classifier takes harmless texts that speak of a group for harmful ones.",
        formula=f"AUC_g = P(score of a positive of the background > score of a negative of g), ties half. {_MEAN}",
    ),
    "bnsp_auc": replace(
        SUBGROUP,
        title="BNSP AUC (background negative, subgroup positive), generalised mean over groups",
        direction=f"{DIRECTION}; low = positives of a group are scored as low as negatives of others (misses)",
        construct="Whether a classifier misses harmful texts that speak of a group.",
        formula=f"AUC_g = P(score of a positive of g > score of a negative of the background), ties half. {_MEAN}",
    ),
}

subgroup_auc_disparity, bpsn_auc_disparity, bnsp_auc_disparity = (AucScore((kind,)) for kind in ("subgroup", "bpsn", "bnsp"))


def subgroup_auc(
    answers: pd.DataFrame,
    weights: Floats,
    power: float = -5.0,
    background: str = "borkan",
    group_by: str = "",
    minimum: int = 10,
    positive: int = 1,
) -> Floats:
    """Generalised mean over groups of the AUC within each group: (b,) in [0, 1], ideal 1.

    Args:
        answers: columns `label`, `probs` (one a class; the score is that of `positive`), `groups` or `group`.
        weights: (b, n).
        power: exponent of the generalised mean.
        background: "borkan" or "hatexplain"; here it decides only which records are counted.
        group_by: the notion whose groups are compared.
        minimum: records of either class below which a group is left out.
        positive: number of the positive class; all others are negative.

    Raises:
        Undefined: there is one class only, or fewer than two groups are large enough.
    """
    return subgroup_auc_disparity.values(answers, weights, AucOptions(power, background, group_by, minimum, positive))


def bpsn_auc(
    answers: pd.DataFrame,
    weights: Floats,
    power: float = -5.0,
    background: str = "borkan",
    group_by: str = "",
    minimum: int = 10,
    positive: int = 1,
) -> Floats:
    """Generalised mean over groups of the AUC of background positives and the group's negatives; else as subgroup_auc."""
    return bpsn_auc_disparity.values(answers, weights, AucOptions(power, background, group_by, minimum, positive))


def bnsp_auc(
    answers: pd.DataFrame,
    weights: Floats,
    power: float = -5.0,
    background: str = "borkan",
    group_by: str = "",
    minimum: int = 10,
    positive: int = 1,
) -> Floats:
    """Generalised mean over groups of the AUC of the group's positives and background negatives; else as subgroup_auc."""
    return bnsp_auc_disparity.values(answers, weights, AucOptions(power, background, group_by, minimum, positive))


def subgroup_auc_unused(
    answers: pd.DataFrame, power: float, background: str, group_by: str, minimum: int, positive: int
) -> list[str | None]:
    """The reason why a record is in no set of any group, or null: with the background hatexplain, that it names no group."""
    return subgroup_auc_disparity.unused(answers, AucOptions(power, background, group_by, minimum, positive))


bpsn_auc_unused = bnsp_auc_unused = subgroup_auc_unused
