"""A table of answers made ready for a metric: every row key there, numbers read, and unusable rows counted by reason."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.decisions import prepared
from fairbench.errors import FairbenchError, did_you_mean
from fairbench.records import FORMS, ROW_KEYS
from fairbench.scores import MetricInfo

if TYPE_CHECKING:
    import pandas as pd

Flags = NDArray[np.bool_]


def failed_column(judge: str) -> str:
    """The column in which a judge says why it could not judge a text."""
    return f"{judge}_failed"


def complete(answers: pd.DataFrame, info: MetricInfo) -> pd.DataFrame:
    """The table with every row key: a missing one is null, or the metric's stand-in; a missing id is the row's number from 1."""
    import pandas as pd

    answers = _without_failures(answers, info)
    if "left_out" in answers.columns and answers["left_out"].notna().all():  # no answer, so no column for answers either
        answers = answers.assign(**{c: None for c in info.columns if c not in answers.columns})
    if info.reads == "Labelled":
        answers = prepared(answers.reset_index(drop=True))
    missing = [c for c in info.columns if c not in answers.columns]
    if missing:
        hint = did_you_mean(missing[0], [str(c) for c in answers.columns if c not in info.columns])
        raise FairbenchError(
            f"The answers have no column {missing[0]!r}.{hint} Found: {', '.join(map(str, answers.columns)) or 'no columns'}. "
            f"Wanted for this metric: {', '.join(info.columns)}. Rename the columns or choose another metric."
        )
    table = answers.reset_index(drop=True).copy(deep=False)
    numbers = pd.Series([str(i + 1) for i in range(len(table))], index=table.index, dtype=object)
    given = "id" in table.columns
    table["id"] = table["id"].astype(object).where(table["id"].notna(), "row " + numbers) if given else numbers
    for key in ROW_KEYS[1:]:
        if key not in table.columns or table[key].isna().all():
            stand_in = info.defaults.get(key)
            table[key] = table[stand_in] if stand_in in table.columns else None
    return _beside_originals(table) if info.variants and len(table) else table


def _without_failures(answers: pd.DataFrame, info: MetricInfo) -> pd.DataFrame:
    """Texts on which the metric's judge failed are left out with its reason, and a table that was never judged is refused."""
    column = failed_column(info.judge)
    if info.judge and column in answers.columns and answers[column].notna().any():
        given = answers["left_out"] if "left_out" in answers.columns else _objects([None] * len(answers), answers)
        said = f"the judge {info.judge} failed: " + answers[column].astype(object)
        return answers.assign(left_out=given.astype(object).where(given.notna(), said.where(answers[column].notna(), None)))
    missing = [c for c in info.columns if c not in answers.columns]
    if info.judge and missing and "continuation" in answers.columns:
        raise FairbenchError(
            f"The answers have no column {missing[0]!r}: their texts have not been judged. `fairbench judge {info.judge} FILE "
            "--output-path JUDGED` adds it."
        )
    return answers


def _beside_originals(table: pd.DataFrame) -> pd.DataFrame:
    """The table with ids and sources that can be compared, and every variant in the cluster of its original."""
    if table["source"].isna().all():
        raise FairbenchError(
            "The answers name no `source`, so that no text is a variant of another. Wanted a column `source` with the id of the "
            "original in the rows of its variants, empty in those of the originals."
        )
    ids, sources = ([_name(value) for value in table[key]] for key in ("id", "source"))
    known = set(ids)
    # A column of numbers with gaps is written as 1.0, 2.0 ... beside ids 1, 2 ...
    sources = [s if s is None or s in known else s.removesuffix(".0") for s in sources]
    origins = [own if source is None else source for own, source in zip(ids, sources, strict=True)]
    clusters = {
        own: own if cluster is None else cluster
        for own, source, cluster in zip(ids, sources, map(_name, table["cluster"]), strict=True)
        if source is None
    }
    found = {"id": ids, "source": sources, "cluster": [clusters.get(origin, origin) for origin in origins]}
    return table.assign(**{key: _objects(values, table) for key, values in found.items()})


def _name(value: Any) -> str | None:
    """An id as text, the same whether or not its column has gaps (1 and 1.0); null where there is none."""
    import pandas as pd

    if pd.isna(value):
        return None
    return str(int(value)) if isinstance(value, (float, np.floating)) and float(value).is_integer() else str(value)


def _objects(values: list[Any], table: pd.DataFrame) -> pd.Series[Any]:
    import pandas as pd

    return pd.Series(values, index=table.index, dtype=object)


def usable(table: pd.DataFrame, info: MetricInfo) -> tuple[pd.DataFrame, dict[str, int]]:
    """Rows whose answers are complete and finite, and the others counted by reason."""
    reasons = np.full(len(table), None, dtype=object)
    if "left_out" in table.columns:
        given = (table["left_out"].notna() & (table["left_out"] != "")).to_numpy()
        reasons[given] = table["left_out"].astype(object).to_numpy()[given]
    asked = {f.name for f in dataclasses.fields(FORMS[info.reads])}
    for column in info.columns:
        if column in asked or column in info.text_columns:
            bad = table[column].isna().to_numpy()
        else:
            values, bad = _numbers(table[column], column)
            _refuse_lists(values, column)
            table = table.assign(**{column: values})
        reasons[bad & _empty(reasons)] = f"{column} is missing or not finite"
    keep = _empty(reasons)
    return table[keep], dict(Counter(str(r) for r in reasons if r is not None))


LISTS = ("vector", "scores", "probs", "token_sensitivity", "token_weight")
"""Answer columns of the record forms that hold a list in every row; any other number stands alone."""


def _refuse_lists(values: Any, column: str) -> None:
    lists = [row for row, value in enumerate(values) if np.ndim(value)] if column not in LISTS and values.dtype == object else []
    if lists:
        raise FairbenchError(
            f"Row {lists[0] + 1}, column {column!r}: found a list of {len(values[lists[0]])} numbers, wanted one number a row."
        )


def _empty(reasons: NDArray[np.object_]) -> Flags:
    return np.array([reason is None for reason in reasons], dtype=bool)


def _numbers(column: pd.Series[Any], name: str) -> tuple[Any, Flags]:
    """What a model answered, as floats or lists of floats, and which entries are unusable (missing, NaN or infinite)."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(dtype=float, na_value=np.nan)
        return values, ~np.isfinite(values)
    entries = [_entry(e, row, name) for row, e in zip(column.index, column, strict=True)]
    bad = np.array([e is None or not np.isfinite(e).all() for e in entries], dtype=bool)
    if all(e is None or np.ndim(e) == 0 for e in entries):
        return np.array([np.nan if e is None else e for e in entries], dtype=float), bad
    kept = np.empty(len(entries), dtype=object)
    kept[:] = entries
    return kept, bad


def _entry(entry: Any, row: int, name: str) -> Any:
    """One cell as a float or a float array; None where it is empty."""
    import pandas as pd

    if entry is None or entry is pd.NA or (isinstance(entry, float) and entry != entry):
        return None
    try:
        number = np.asarray(entry, dtype=float)
    except (TypeError, ValueError):
        raise FairbenchError(
            f"Row {row + 1}, column {name!r}: found {str(entry)[:60]!r}, wanted a number or a list of numbers. "
            "Mend that row, or leave the cell empty so that the row is left out and counted."
        ) from None
    return float(number) if number.ndim == 0 else (number if number.ndim == 1 and number.size else None)
