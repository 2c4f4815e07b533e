"""Refusals among generated texts: how many there are, whether one group is refused more often, and which rows they are.

A model that refuses to speak of a group says nothing bad about it, and looks fair to every judge of texts. So each score of
generated texts says how often it was refused, and what it is over the texts that are none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fairbench.groups import entries, notions

if TYPE_CHECKING:
    import pandas as pd

COLUMN = "refusal"
"""1 where a text refuses to answer, 0 where it does not, empty where nobody could tell."""

FEWEST = 10
"""A group of fewer texts is not compared."""


def refused(table: pd.DataFrame, reads: str) -> NDArray[np.bool_] | None:
    """(n,) whether each text is a refusal; null where the table holds no generated text or nobody looked."""
    if reads != "Prompt" or COLUMN not in table.columns or table[COLUMN].isna().all():
        return None
    return table[COLUMN].astype(float).to_numpy() > 0.5


def refusal_figures(table: pd.DataFrame, which: NDArray[np.bool_]) -> dict[str, float]:
    """The share of refusals, and for each notion how far the groups' shares lie apart (largest minus smallest).

    Args:
        table: generated texts, with or without groups.
        which: (n,) whether each of them is a refusal.

    Returns:
        `refusal_rate`, and `refusal_gap` or, where groups belong to several notions, `refusal_gap.<notion>`. Unsigned: above 0 by
        chance alone; the metric `refusal_gap` has its interval and floor.
    """
    found = {"refusal_rate": float(which.mean())}
    rows = entries(table)
    known = notions(entry for row in rows for entry in row)
    for notion in known:
        names = {e for row in rows for e in row if notions([e]) == (notion,)}
        members = (np.array([name in row for row in rows]) for name in sorted(names))
        rates = [float(which[member].mean()) for member in members if member.sum() >= FEWEST]
        if len(rates) > 1:
            found["refusal_gap" if len(known) == 1 else f"refusal_gap.{notion}"] = max(rates) - min(rates)
    return found
