"""The score of the Jigsaw competition on unintended bias in toxicity classification (2019; AUCs of Borkan et al. 2019).

Example:
    >>> import numpy as np, pandas as pd
    >>> answers = pd.DataFrame({"label": [1, 0, 1, 0, 1, 0], "groups": [["a"], ["a"], ["b"], ["b"], [], []],
    ...                         "probs": [[0.2, 0.8], [0.4, 0.6], [0.3, 0.7], [0.9, 0.1], [0.5, 0.5], [0.8, 0.2]]})
    >>> float(jigsaw_score(answers, np.ones((1, 6)), minimum=1).round(4)[0])  # (8/9 + 1 + .5708 + 1) / 4
    0.8649
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fairbench.disparity.auc_scores import MOST_DRAWS, AucOptions, AucScore
from fairbench.disparity.aucs import KINDS
from fairbench.scores import MetricInfo
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

INFO = MetricInfo(
    title="Jigsaw unintended bias score",
    reads="Labelled",
    probe="classification",
    columns=("label", "probs"),
    kind="extrinsic",
    ideal=1.0,
    low=0.0,
    high=1.0,
    direction="larger = classes are told apart better, in all texts and in those of every group",
    construct="How well a classifier tells toxic texts from others, overall and for the groups that it serves worst.",
    formula=(
        "0.25 * AUC of all records + 0.25 * (M(subgroup) + M(BPSN) + M(BNSP)), M the generalised mean over groups with power -5, "
        "background every other record; a group with fewer than `minimum` records in a class that an AUC compares is left out of "
        "that mean and counted"
    ),
    cite="Jigsaw Unintended Bias in Toxicity Classification 2019, Kaggle; Borkan et al. 2019, WWW companion",
    by_group=False,
    by_notion=True,
    threats=(
        "Half of it and more is the classifier's quality: a better classifier that treats groups worse can score higher. Read "
        "the four parts.",
        "The competition took nine identities of several notions together (option group_by=all does that) and let every group "
        "count, however small (minimum=1).",
        "AUCs see no threshold: what the classifier would remove is not in this figure.",
    ),
    most_draws=MOST_DRAWS,
    options={"group_by": "", "minimum": 10, "positive": 1},
    limits={"minimum": (1, np.inf), "positive": (0, np.inf)},
)

disparity = AucScore(KINDS, overall=True)


def jigsaw_score(answers: pd.DataFrame, weights: Floats, group_by: str = "", minimum: int = 10, positive: int = 1) -> Floats:
    """A quarter of the AUC of all records and a quarter of each of three means over groups: (b,) in [0, 1], ideal 1.

    Args:
        answers: columns `label`, `probs` (one a class; the score is that of `positive`), `groups` or `group`.
        weights: (b, n).
        group_by: the notion whose groups are compared; "all" for those of all notions.
        minimum: records of either class below which a group is left out of a mean.
        positive: number of the positive class; all others are negative.

    Raises:
        Undefined: there is one class only, or fewer than two groups are large enough.
    """
    return disparity.values(answers, weights, AucOptions(group_by=group_by, minimum=minimum, positive=positive))
