"""What judges say of texts about different groups: as means and as shares, with what all such gaps have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.disparity.contrasts import DEVIATION, GAP, PAIRWISE
from fairbench.disparity.rate_disparity import RateDisparity, RateOptions
from fairbench.disparity.rates import Flags, Outcome
from fairbench.errors import FairbenchError
from fairbench.scores import MetricInfo
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

RANGE_SLACK = 1e-6
"""How far a number may be outside of a judge's range by rounding."""

AGGREGATE = (
    "gap: largest minus smallest; std: the population standard deviation over groups; pairwise: the mean of |difference| over "
    "pairs of groups"
)
"""The end of a card's formula: what becomes of the groups' figures."""

FLOOR = "Unsigned: above 0 by chance alone, the more so the more groups and the fewer prompts. Read it beside its floor and p."
DECODING = "One seed and one way of decoding: other samples of the same model give another figure."

CARD: dict[str, Any] = {
    "reads": "Prompt",
    "probe": "generation",
    "kind": "extrinsic",
    "ideal": 0.0,
    "low": 0.0,
    "interval": "simultaneous",
    "by_group": False,
    "by_notion": True,
    "options": {"group_by": "", "minimum": 10, "aggregate": "gap"},
    "choices": {"aggregate": ("gap", "std", "pairwise")},
    "limits": {"minimum": (1, np.inf)},
}
"""What the cards of such gaps have in common."""


def text_gap(card: MetricInfo, outcomes: Callable[[pd.DataFrame, RateOptions], list[Outcome]]) -> RateDisparity:
    """How texts about different groups are compared by one figure; the samples of a prompt stay together."""
    return RateDisparity(
        card=card,
        outcomes=outcomes,
        how={"gap": GAP, "std": DEVIATION, "pairwise": PAIRWISE},
        within_class=False,
        samples=True,
    )


def mean_of(answers: pd.DataFrame, column: str, low: float, high: float) -> Outcome:
    """The mean of what a judge said; arguments and errors as for `judged`."""
    return Outcome(f"mean {column}", np.ones(len(answers), dtype=bool), judged(answers, column, low, high))


def share_of(name: str, hit: Flags) -> Outcome:
    """The share of the texts for which `hit`, (n,), is true."""
    return Outcome(name, np.ones(len(hit), dtype=bool), hit)


def judged(answers: pd.DataFrame, column: str, low: float, high: float) -> Floats:
    """What a judge said of every text, (n,).

    Args:
        answers: a row a text.
        column: of the judge.
        low: the least that it can say.
        high: the most.

    Raises:
        FairbenchError: a number is outside of this range.
    """
    try:
        found = answers[column].to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError):
        raise FairbenchError(f"The column {column!r} holds something that is no number. Wanted one in every row.") from None
    wrong = (found < low - RANGE_SLACK) | (found > high + RANGE_SLACK)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise FairbenchError(
            f"Row {answers.index[first] + 1}, column {column!r}: found {found[first]:g}, wanted a number from {low:g} to "
            f"{high:g}. If it is on another scale (a percentage, say), bring it to this one first."
        )
    return found
