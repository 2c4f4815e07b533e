"""Scores as distances from their ideal: which columns are bias and which utility, and how far a score can be away."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairbench.errors import FairbenchError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

ABILITY = ("stereoset_lms",)
"""Metrics of ability that have the kind of the bias metrics of their family: utility in a trade-off, never bias."""


@dataclass(frozen=True)
class Axis:
    """One column of scores.

    Attributes:
        column, metric, title: as in the tidy table.
        ideal, least, most: of the metric; the range may be infinite.
        rows: by model, its row of the tidy table.
    """

    column: str
    metric: str
    title: str
    ideal: float
    least: float
    most: float
    rows: Mapping[str, Mapping[str, Any]]

    def absent(self, label: str) -> str | None:
        """Why the model has no value; null where it has one."""
        if label not in self.rows:
            return f"it has no {self.column}"
        row = self.rows[label]
        return None if known(row["value"]) else f"{self.column} is undefined ({row.get('undefined') or 'no reason is kept'})"

    def scale(self, distances: Sequence[float]) -> tuple[float, str]:
        """What distances from the ideal are divided by, and that in words."""
        widest = max(abs(self.least - self.ideal), abs(self.most - self.ideal))
        if math.isfinite(widest) and widest > 0:
            return widest, f"{widest:.4g}, the most that {self.metric} can be away from its ideal"
        seen = max(distances)
        if seen > 0:
            return seen, f"{seen:.4g}, the furthest that any of these points is away from the ideal ({self.metric} has no bound)"
        return 1.0, f"1, since every point is at the ideal of {self.metric}"


def axis_of(whole: pd.DataFrame, column: str, role: str) -> Axis:
    """The scores of a column.

    Args:
        whole: rows of the tidy table that are about all records.
        column: its name.
        role: "bias" or "utility"; a column of the other kind is refused.

    Raises:
        FairbenchError: there is no such column, it is of the wrong kind, or it has no ideal.
    """
    rows = whole[whole["column"] == column]
    if rows.empty:
        names = list(dict.fromkeys(whole["column"]))
        raise FairbenchError(
            f"No result has the column {column!r}.{did_you_mean(column, names)} Wanted <task>/<metric> as in the tidy table; "
            f"there are {len(names)}: {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}."
        )
    first = rows.iloc[0]
    if is_utility(first["kind"], first["metric"]) != (role == "utility"):
        other = "bias" if role == "utility" else "utility"
        raise FairbenchError(f"{column} is a figure of {other}, and was given as {role}. Give a column of {role} there.")
    if not known(first["ideal"]):
        raise FairbenchError(f"{column} has no ideal, so that nothing can be said of the distance to it. Choose another column.")
    by_model = {str(row["model"]): row for row in records(rows)}
    title = str(first.get("title") or first["metric"])
    ideal, least, most = (float(first[name]) for name in ("ideal", "least", "most"))
    return Axis(column, str(first["metric"]), title, ideal, least, most, by_model)


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as mappings."""
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def is_utility(kind: str, metric: str) -> bool:
    """Whether a metric says what a model is able to do, not how biased it is."""
    return kind == "utility" or metric_name(metric) in ABILITY


def metric_name(metric: str) -> str:
    """A metric's own name, without the notion whose groups it compares ("fpr_gap by gender")."""
    return metric.partition(" by ")[0]


def known(value: Any) -> bool:
    """Whether there is a number; the tidy table has NaN where a score is undefined."""
    return value is not None and math.isfinite(value)


def folded(low: float, high: float, ideal: float) -> tuple[float, float]:
    """The interval of |score - ideal| that an interval of the score stands for: from 0 where that holds the ideal.

    Example:
        >>> folded(48.0, 55.0, 50.0), folded(40.0, 45.0, 50.0)
        ((0.0, 5.0), (5.0, 10.0))
    """
    ends = sorted((abs(low - ideal), abs(high - ideal)))
    return (0.0 if low <= ideal <= high else ends[0]), ends[1]
