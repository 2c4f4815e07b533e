"""What a classifier decides, read from a table of Labelled answers: probabilities checked, predictions made from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.errors import FairbenchError
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

SUM_SLACK = 1e-2
"""How far probabilities may be from summing to one: half precision and three printed decimals are within it."""


def prepared(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a `prediction` in every row, from `probs` where there is no such column.

    Two classes: 1 where probs[1] >= .5; more: the largest, the lowest index at a tie. A single number in `probs` is the
    probability of class 1. Probabilities may be missing (such a row is left out and counted), but not impossible.

    Raises:
        FairbenchError: probabilities outside of [0, 1], that do not sum to one, or of unequal number; a label or a
            prediction that is no class.
    """
    made: dict[str, Any] = {}
    classes = 0
    if "probs" in table.columns:
        made["probs"] = probs = [_probs(cell, row) for row, cell in zip(table.index, table["probs"], strict=True)]
        classes = _classes(table, probs)
    if "prediction" not in table.columns and "probs" in made:
        made["prediction"] = [None if p is None else decide(p) for p in made["probs"]]
    found = table.assign(**{name: _column(values, table) for name, values in made.items()})
    for column in ("label", "prediction"):
        if column in found.columns:
            _refuse_no_class(found, column, classes)
    return found


def decide(probs: Floats) -> int:
    """The class that these probabilities come to.

    Example:
        >>> decide(np.array([0.5, 0.5])), decide(np.array([0.4, 0.4, 0.2]))
        (1, 0)
    """
    return int(probs[1] >= 0.5) if len(probs) == 2 else int(np.argmax(probs))


def positive_scores(answers: pd.DataFrame, positive: int = 1) -> Floats:
    """(n,) probability of the positive class of every row."""
    return np.array([p[positive] for p in answers["probs"]], dtype=float)


def labels(answers: pd.DataFrame) -> NDArray[np.intp]:
    """(n,) gold class of every row."""
    return answers["label"].to_numpy(dtype=np.intp)


def predictions(answers: pd.DataFrame) -> NDArray[np.intp]:
    """(n,) predicted class of every row."""
    return answers["prediction"].to_numpy(dtype=np.intp)


def class_names(answers: pd.DataFrame, numbers: list[int]) -> list[str]:
    """Names of classes by their numbers, from `meta.class` (the name of each row's gold class); else the numbers."""
    named = dict(zip(answers["label"], answers["meta.class"], strict=True)) if "meta.class" in answers.columns else {}
    return [str(named.get(number, number)) for number in numbers]


def _probs(cell: Any, row: int) -> Floats | None:
    """One row's probabilities; null where one is missing."""
    if cell is None or (isinstance(cell, float) and cell != cell):
        return None
    try:
        values = np.asarray(cell, dtype=float)
    except (TypeError, ValueError):
        raise FairbenchError(
            f"Row {row + 1}, column 'probs': found {str(cell)[:60]!r}, wanted a list of probabilities, one a class."
        ) from None
    if values.ndim == 0:
        values = np.array([1 - values, values])
    if values.ndim != 1 or len(values) < 2:
        raise FairbenchError(
            f"Row {row + 1}, column 'probs': found {values.size} value{'s' * (values.size != 1)}, wanted a probability for "
            "each of at least two classes (or one number, that of class 1)."
        )
    if not np.isfinite(values).all():
        return None
    if values.min() < -1e-6 or values.max() > 1 + 1e-6:
        raise FairbenchError(
            f"Row {row + 1}, column 'probs': found {values[np.argmax(np.abs(values - 0.5))]:g}, wanted probabilities between 0 "
            "and 1. If these are logits, put them through a softmax first."
        )
    if abs(values.sum() - 1) > SUM_SLACK:
        raise FairbenchError(
            f"Row {row + 1}, column 'probs': the probabilities sum to {values.sum():.4g}, wanted 1. One of several labels that "
            "may hold together is a table of its own: give the probability of that label alone."
        )
    return values


def _classes(table: pd.DataFrame, probs: list[Floats | None]) -> int:
    sizes = {len(p): row for row, p in zip(table.index, probs, strict=True) if p is not None}
    if len(sizes) > 1:
        (first, row), (second, other) = list(sizes.items())[:2]
        raise FairbenchError(
            f"Rows {row + 1} and {other + 1}, column 'probs': found {first} and {second} probabilities, wanted as many "
            "in every row."
        )
    return next(iter(sizes), 0)


def _column(values: list[Any], table: pd.DataFrame) -> pd.Series[Any]:
    import pandas as pd

    return pd.Series(values, index=table.index, dtype=object)


def _refuse_no_class(table: pd.DataFrame, column: str, classes: int) -> None:
    """A label that is no class: else it would count as one more class that nobody ever predicts."""
    for row, value in zip(table.index, table[column], strict=True):
        if value is None or (isinstance(value, float) and value != value):
            continue
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = np.nan
        if not number.is_integer() or number < 0 or (classes and number >= classes):
            end = f" of 0 to {classes - 1} (`probs` has {classes})" if classes else ": a whole number from 0"
            raise FairbenchError(f"Row {row + 1}, column {column!r}: found {value!r}, wanted the number of a class{end}.")
