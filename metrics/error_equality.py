"""Error equality differences (Dixon et al. 2018): how far the groups' FPR and FNR are from those of all records, in sum.

Example:
    >>> import numpy as np, pandas as pd
    >>> answers = pd.DataFrame({"group": ["a"] * 20 + ["b"] * 20, "label": [0] * 40,
    ...                         "prediction": [1] * 2 + [0] * 18 + [1] * 6 + [0] * 14})
    >>> float(fped(answers, np.ones((1, 40)))[0].round(12))  # rates .1 and .3, of all records .2
    0.2
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fairbench.decisions import labels, positive_scores
from fairbench.disparity.contrasts import SUM
from fairbench.disparity.rate_disparity import RateDisparity, RateOptions
from fairbench.disparity.rates import Outcome, false_negatives, false_positives
from fairbench.errors import FairbenchError, Undefined
from fairbench.scores import MetricInfo
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

_THRESHOLD = (
    "The decision is the table's `prediction` (threshold fixed: .5), or with threshold=eer: predicted positive where the score "
    "(probability of the positive class) is at least t, the one with the least |FPR - FNR| over all records, the lowest at a tie"
)

FPED = MetricInfo(
    title="False positive equality difference (FPED)",
    reads="Labelled",
    probe="classification",
    columns=("label", "prediction"),
    kind="extrinsic",
    ideal=0.0,
    low=0.0,
    high=np.inf,
    direction="larger = the groups' FPR are farther from that of all records",
    construct="Whether records of other classes are taken for positive as often when they speak of a group as among all records.",
    formula=f"sum over groups of |FPR - FPR_g|, FPR of all records, also those without a group. {_THRESHOLD}",
    cite="Dixon et al. 2018, AIES",
    interval="simultaneous",
    by_group=False,
    by_notion=True,
    threats=(
        "A sum: it grows with the number of groups, so compare it only over the same groups.",
        "Unsigned: above 0 by chance alone, the more so the more groups and the fewer records. Read it beside its floor and p.",
        "A group is among all records itself: a large group draws their rate towards its own.",
        "It trusts the labels: where these are biased, a classifier that repeats the bias looks fair.",
        "The threshold eer is chosen once on all records and then held: intervals know nothing of its own uncertainty.",
        "Dixon et al. meant it for templates that are the same for all groups; on other texts groups differ in what is said too.",
    ),
    options={"group_by": "", "minimum": 10, "positive": 1, "threshold": "fixed"},
    choices={"threshold": ("fixed", "eer")},
    limits={"minimum": (1, np.inf), "positive": (0, np.inf)},
)

INFO = {
    "fped": FPED,
    "fned": replace(
        FPED,
        title="False negative equality difference (FNED)",
        direction="larger = the groups' FNR are farther from that of all records",
        construct="Whether positive records are missed as often when they speak of a group as among all records.",
        formula=f"sum over groups of |FNR - FNR_g|, FNR of all records, also those without a group. {_THRESHOLD}",
    ),
}


def fped(
    answers: pd.DataFrame,
    weights: Floats,
    group_by: str = "",
    minimum: int = 10,
    positive: int = 1,
    threshold: str = "fixed",
) -> Floats:
    """The sum over groups of the distance of their FPR from that of all records.

    Args:
        answers: columns `label`, `prediction` (for `eer` also `probs`), and `groups` or `group`.
        weights: (b, n).
        group_by: the notion whose groups are compared ("gender"); several, joined by commas, for their intersections.
        minimum: a group of fewer records of the class in question is left out, and counted.
        positive: the number of the positive class.
        threshold: decisions as they stand in `prediction` (fixed), or at the equal error rate of all records (eer).

    Returns:
        (b,) at least 0 and at most the number of groups, ideal 0.

    Raises:
        Undefined: fewer than two groups have enough records, or there is no equal error rate.
        FairbenchError: `eer` without probabilities.
    """
    return fped_disparity.values(answers, weights, group_by=group_by, minimum=minimum, positive=positive, threshold=threshold)


def fned(
    answers: pd.DataFrame,
    weights: Floats,
    group_by: str = "",
    minimum: int = 10,
    positive: int = 1,
    threshold: str = "fixed",
) -> Floats:
    """The sum over groups of the distance of their FNR from that of all records: (b,), ideal 0. Errors as for fped.

    Args:
        answers: columns `label`, `prediction` (for `eer` also `probs`), and `groups` or `group`.
        weights: (b, n).
        group_by: the notion whose groups are compared ("gender"); several, joined by commas, for their intersections.
        minimum: a group of fewer positive records is left out, and counted.
        positive: the number of the positive class.
        threshold: decisions as they stand in `prediction` (fixed), or at the equal error rate of all records (eer).
    """
    return fned_disparity.values(answers, weights, group_by=group_by, minimum=minimum, positive=positive, threshold=threshold)


def equal_error_threshold(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """The score t with the least |FPR - FNR| where s >= t is predicted positive, the lowest at a tie.

    Args:
        scores: (n,) finite.
        positive: (n,) whether the record is of the positive class.

    Raises:
        Undefined: all records are of one class.

    Example:
        >>> equal_error_threshold(np.array([0.1, 0.4, 0.6, 0.9]), np.array([False, True, False, True]))
        0.6
    """
    of, others = int(positive.sum()), int((~positive).sum())
    if not of or not others:
        raise Undefined("there is no equal error rate: all records are of one class")
    t = np.unique(scores)
    missed = np.searchsorted(np.sort(scores[positive]), t, "left")
    taken = others - np.searchsorted(np.sort(scores[~positive]), t, "left")
    return float(t[np.abs(taken * of - missed * others).argmin()])  # whole numbers: a tie is one


def _decided(answers: pd.DataFrame, options: RateOptions) -> pd.DataFrame:
    """The answers with the predictions that the threshold asks for."""
    if options.threshold == "fixed":
        return answers
    if "probs" not in answers.columns or answers["probs"].isna().any():
        raise FairbenchError(
            "The option threshold=eer puts a threshold to the probabilities, and "
            + ("some rows have none" if "probs" in answers.columns else "the answers have no column 'probs'")
            + ". Wanted a list of probabilities, one a class, in every row; or leave it fixed, which takes `prediction`."
        )
    scores, positive = positive_scores(answers, options.positive), labels(answers) == options.positive
    predicted = scores >= equal_error_threshold(scores, positive)
    return answers.assign(prediction=np.where(predicted, options.positive, options.positive + 1))  # any other class


def _false_positives(answers: pd.DataFrame, options: RateOptions) -> list[Outcome]:
    return [false_positives(_decided(answers, options), options.positive)]


def _false_negatives(answers: pd.DataFrame, options: RateOptions) -> list[Outcome]:
    return [false_negatives(_decided(answers, options), options.positive)]


fped_disparity = RateDisparity(card=INFO["fped"], outcomes=_false_positives, how={"": SUM}, overall=True)
fned_disparity = RateDisparity(card=INFO["fned"], outcomes=_false_negatives, how={"": SUM}, overall=True)
fped_unused, fned_unused = fped_disparity.unused, fned_disparity.unused
