"""What a classifier decides, read from a table of Labelled answers: probabilities checked, predictions made from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.errors import FairbenchError
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

SUM_SLACK = 2e-2
"""How far probabilities may be from summing to one: half precision and two printed decimals are within it."""

RANGE_SLACK = 1e-6
"""How far a probability may be outside of [0, 1] by rounding."""


def prepared(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a `prediction` in every row, from `probs` where there is no such column.

    Two classes: 1 where probs[1] >= .5; more: the largest, the lowest index at a tie. A single number in `probs` is the
    probability of class 1. Probabilities may be missing (such a row is left out and counted), but not impossible. Labels and
    predictions become numbers.

    Raises:
        FairbenchError: probabilities outside of [0, 1], that do not sum to one, or of unequal number; a label or a
            prediction that is no class.
    """
    made: dict[str, pd.Series[Any]] = {}
    classes = 0
    if "probs" in table.columns:
        probs = _read(table["probs"])
        classes = _classes(table, probs)
        made["probs"] = _column(probs, table)
        if "prediction" not in table.columns:
            made["prediction"] = _column(_decided(probs, classes), table)
    found = table.assign(**made)
    numbers = {name: _class_numbers(found[name], classes) for name in ("label", "prediction") if name in found.columns}
    return found.assign(**numbers)


def decide(probs: Floats) -> int:
    """The class that these probabilities come to.

    Example:
        >>> decide(np.array([0.5, 0.5])), decide(np.array([0.4, 0.4, 0.2]))
        (1, 0)
    """
    return int(probs[1] >= 0.5) if len(probs) == 2 else int(np.argmax(probs))


def contradictions(table: pd.DataFrame) -> int:
    """Rows whose `prediction` is another class than their `probs` come to: a threshold of one's own, or a mistake."""
    if "probs" not in table.columns or "prediction" not in table.columns:
        return 0
    both = table[table["probs"].notna() & table["prediction"].notna()]
    return sum(decide(np.asarray(p)) != int(said) for p, said in zip(both["probs"], both["prediction"], strict=True))


def positive_scores(answers: pd.DataFrame, positive: int = 1) -> Floats:
    """(n,) probability of the positive class of every row; FairbenchError where there is no such class."""
    if not len(answers):
        return np.empty(0)
    classes = len(answers["probs"].iloc[0])
    if not 0 <= positive < classes:
        raise FairbenchError(
            f"The option positive is {positive}; wanted a class of 0 to {classes - 1}, since `probs` has {classes}."
        )
    return np.array([p[positive] for p in answers["probs"]], dtype=float)


def labels(answers: pd.DataFrame) -> NDArray[np.intp]:
    """(n,) gold class of every row."""
    return answers["label"].to_numpy(dtype=np.intp)


def predictions(answers: pd.DataFrame) -> NDArray[np.intp]:
    """(n,) predicted class of every row."""
    return answers["prediction"].to_numpy(dtype=np.intp)


def class_names(answers: pd.DataFrame, numbers: list[int]) -> list[str]:
    """Names of classes by their numbers, from `meta.class` (the name of each row's gold class); else the numbers."""
    if "meta.class" not in answers.columns:
        return [str(number) for number in numbers]
    there = answers[answers["meta.class"].notna() & answers["label"].notna()]
    named = dict(zip(there["label"].astype(int), there["meta.class"].astype(str), strict=True))
    found = [named.get(number, str(number)) for number in numbers]
    return found if len(set(found)) == len(found) else [f"{name} ({n})" for name, n in zip(found, numbers, strict=True)]


def _read(column: pd.Series[Any]) -> list[Floats | None]:
    """Every row's probabilities, null where one is missing: all at once where the cells are alike, else cell by cell."""
    present = column.notna().to_numpy()
    cells = column.to_numpy(dtype=object)[present].tolist()
    try:
        matrix = np.array(cells, dtype=float)
    except (TypeError, ValueError):
        matrix = np.empty((0, 0, 0))
    if matrix.ndim == 1:
        matrix = np.column_stack([1 - matrix, matrix])
    if matrix.ndim != 2 or matrix.shape[1] < 2:
        return [_probs(cell, row) for row, cell in zip(column.index, column, strict=True)]
    finite = np.isfinite(matrix).all(axis=1)
    known = matrix[finite]
    impossible = (known < -RANGE_SLACK).any(axis=1) | (known > 1 + RANGE_SLACK).any(axis=1)
    impossible |= np.abs(known.sum(axis=1) - 1) > SUM_SLACK
    if impossible.any():
        first = np.flatnonzero(present)[np.flatnonzero(finite)[np.argmax(impossible)]]
        _probs(column.iloc[first], column.index[first])  # says what is wrong with it
    found: list[Floats | None] = [None] * len(column)
    for number, values, whole in zip(np.flatnonzero(present).tolist(), matrix, finite.tolist(), strict=True):
        found[number] = values if whole else None
    return found


def _probs(cell: Any, row: int) -> Floats | None:
    """One row's probabilities; null where one is missing."""
    import pandas as pd

    if not isinstance(cell, (list, tuple, np.ndarray)) and pd.isna(cell):
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
    if values.min() < -RANGE_SLACK or values.max() > 1 + RANGE_SLACK:
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
    sizes: dict[int, int] = {}
    for row, p in zip(table.index, probs, strict=True):
        if p is not None:
            sizes.setdefault(len(p), row)
    if len(sizes) > 1:
        (first, row), (second, other) = list(sizes.items())[:2]
        raise FairbenchError(
            f"Rows {row + 1} and {other + 1}, column 'probs': found {first} and {second} probabilities, wanted as many "
            "in every row."
        )
    return next(iter(sizes), 0)


def _decided(probs: list[Floats | None], classes: int) -> list[int | None]:
    """The class that each row's probabilities come to, as `decide` says."""
    present = [p for p in probs if p is not None]
    if not present:
        return [None] * len(probs)
    matrix = np.stack(present)
    chosen = iter(((matrix[:, 1] >= 0.5).astype(int) if classes == 2 else matrix.argmax(axis=1)).tolist())
    return [None if p is None else next(chosen) for p in probs]


def _column(values: list[Any], table: pd.DataFrame) -> pd.Series[Any]:
    import pandas as pd

    return pd.Series(values, index=table.index, dtype=object)


def _class_numbers(column: pd.Series[Any], classes: int) -> pd.Series[Any]:
    """A column of classes as numbers, null where missing.

    A class that is none is refused: it would count as one more that nobody ever predicts.
    """
    import pandas as pd

    missing = column.isna()
    given = column.astype(object).where(~missing, np.nan)
    try:
        numbers = given.astype(float)
    except (TypeError, ValueError):
        numbers = pd.Series([_number(value) for value in given], index=column.index)
    values = numbers.to_numpy()
    with np.errstate(invalid="ignore"):
        wrong = ~missing.to_numpy() & ~((values % 1 == 0) & (values >= 0) & ((values < classes) | (classes == 0)))
    if wrong.any():
        row = column.index[wrong][0]
        end = f" of 0 to {classes - 1} (`probs` has {classes})" if classes else ": a whole number from 0"
        found = np.asarray(column[row]).tolist()  # a number without the name of its NumPy type
        raise FairbenchError(
            f"Row {row + 1}, column {column.name!r}: found {found!r}, wanted the number of a class{end}. Write "
            "words as numbers; class 1 is the positive one unless --metric-options positive says otherwise."
        )
    return numbers if missing.any() else numbers.astype(int)


def _number(value: Any) -> float:
    """A cell as a number; NaN where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan
