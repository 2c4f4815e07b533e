"""Answers and a metric make a score: the value, its interval and p, its groups, and what was left out.

All of it follows from calling `metric(answers, weights)`: ones give the value, bootstrap counts the interval, a zero for one unit
the jackknife, the rows of one group the value by group. No metric knows about any of these.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.errors import FairbenchError, Undefined, did_you_mean
from fairbench.records import FORMS, ROW_KEYS
from fairbench.scores import Interval, MetricInfo, PValue, Score
from fairbench.stats import (
    Floats,
    Units,
    bootstrap_p,
    bootstrap_weights,
    jackknife_error,
    percentile_interval,
    resampling_units,
    student_interval,
    unanimous_interval,
)

if TYPE_CHECKING:
    import pandas as pd

Flags = NDArray[np.bool_]

TIE_WARNING = 0.01
DROPPED_WARNING = 0.01
FEW_UNITS = 10
DISAGREE = (
    "The test and the interval disagree on whether the ideal can be the value: they rest on different assumptions (the metric's "
    "card names them). Print both, or neither."
)
SLACK = 1e-9


@dataclass(frozen=True)
class Metric:
    """A metric as the registry found it: its card, its function, and the optional functions of the same file.

    Attributes:
        function: (answers, weights (b, n)) -> (b,), NaN where a draw is undefined; raises Undefined where all are.
        significance: (answers, generator) -> PValue, the metric's own null distribution.
        counts: answers -> named counts that the formula is made of.
        source_sha256: of the metric's file, so that an edited metric is measured again.
    """

    name: str
    info: MetricInfo
    function: Callable[[pd.DataFrame, Floats], Floats]
    significance: Callable[[pd.DataFrame, np.random.Generator], PValue] | None = None
    counts: Callable[[pd.DataFrame], dict[str, int]] | None = None
    source_sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """How a score's uncertainty is found. `draws` = 0 gives the value alone."""

    level: float = 0.95
    draws: int = 10_000
    seed: int = 1234
    by_group: bool = True

    def __post_init__(self) -> None:
        """Refuses a level or a number of draws that no interval can have."""
        if not 0 < self.level < 1 or self.draws < 0 or self.seed < 0:
            raise FairbenchError(
                f"Found the level {self.level:g}, {self.draws} draws and the seed {self.seed}; wanted a level between 0 and 1, "
                "and draws and a seed of 0 or more."
            )


def measure(metric: Metric, answers: pd.DataFrame, options: MeasureOptions | None = None) -> Score:
    """Scores an answers table.

    Args:
        metric: the metric.
        answers: one row an answer, with the columns of the metric's record form; row keys that are missing are filled.
        options: level, draws, seed.

    Returns:
        The score; `value` is null with a reason where the metric is undefined on these answers.

    Raises:
        FairbenchError: a column is missing or holds something that is no number.
    """
    options = options or MeasureOptions()
    table = complete(answers, metric.info)
    groups = {name: _whole(metric, part, options) for name, part in _by_group(metric, table, options)}
    return dataclasses.replace(_whole(metric, table, options), by_group=groups)


def _by_group(metric: Metric, table: pd.DataFrame, options: MeasureOptions) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each group by name; none where there is a single group, which says nothing that the whole does not."""
    names = sorted(table["group"].dropna().unique(), key=str) if options.by_group and metric.info.by_group else []
    return [(str(name), table[table["group"] == name]) for name in names] if len(names) > 1 else []


def _whole(metric: Metric, table: pd.DataFrame, options: MeasureOptions) -> Score:
    used, left_out = usable(table, metric.info)
    return dataclasses.replace(_score(metric, used, options), left_out=left_out, n_total=_count(table, metric.info.unit))


def complete(answers: pd.DataFrame, info: MetricInfo) -> pd.DataFrame:
    """The table with every row key: a missing one is null, or the metric's stand-in; a missing id is the row's number from 1."""
    import pandas as pd

    if "left_out" in answers.columns and answers["left_out"].notna().all():  # no answer, so no column for answers either
        answers = answers.assign(**{c: None for c in info.columns if c not in answers.columns})
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
    return table


def usable(table: pd.DataFrame, info: MetricInfo) -> tuple[pd.DataFrame, dict[str, int]]:
    """Rows whose answers are complete and finite, and the others counted by reason."""
    reasons = np.full(len(table), None, dtype=object)
    if "left_out" in table.columns:
        given = (table["left_out"].notna() & (table["left_out"] != "")).to_numpy()
        reasons[given] = table["left_out"].astype(object).to_numpy()[given]
    asked = {f.name for f in dataclasses.fields(FORMS[info.reads])}
    for column in info.columns:
        if column in asked:
            bad = table[column].isna().to_numpy()
        else:
            values, bad = _numbers(table[column], column)
            table = table.assign(**{column: values})
        reasons[bad & _empty(reasons)] = f"{column} is missing or not finite"
    keep = _empty(reasons)
    return table[keep], dict(Counter(str(r) for r in reasons if r is not None))


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


def _score(metric: Metric, table: pd.DataFrame, options: MeasureOptions) -> Score:
    info = metric.info
    n = _count(table, info.unit)
    empty = Score(
        value=None, interval=None, p_value=None, p_method=None, n=n, n_total=n, n_records=len(table),
        ideal=info.ideal, unit=info.unit, direction=info.direction,
    )  # fmt: skip
    if not len(table):
        return dataclasses.replace(empty, undefined="no answer could be used")
    try:
        value = float(metric.function(table, np.ones((1, len(table))))[0])
    except Undefined as why:
        return dataclasses.replace(empty, undefined=str(why), counts=metric.counts(table) if metric.counts else {})
    if not np.isfinite(value):
        return dataclasses.replace(empty, undefined="the formula has no finite value on these answers")
    if not info.low - SLACK <= value <= info.high + SLACK:
        reason = (
            f"the formula gives {value:.6g}, outside of its range {info.low:g} to {info.high:g}: these answers can't be right"
        )
        return dataclasses.replace(empty, undefined=reason)
    counts = metric.counts(table) if metric.counts else {}
    warnings = []
    if info.unit == "record" and n < len(table):
        warnings.append(f"{len(table)} rows have {n} ids; rows of one id are resampled together.")
    if counts.get("ties", 0) > TIE_WARNING * len(table):
        warnings.append(f"{counts['ties']} of {len(table)} records are ties; the metric's formula says how these count.")
    p = None
    if options.draws and info.p_value == "own" and metric.significance:
        p = metric.significance(table, np.random.default_rng(options.seed))
    interval = stderr = None
    if options.draws and info.interval != "none":
        interval, stderr, inverted, more = _interval(metric, table, value, options)
        p, warnings = p or inverted, warnings + more
    if p and interval and (p.value < 1 - interval.level) is (interval.low <= info.ideal <= interval.high):
        warnings.append(DISAGREE)
    return dataclasses.replace(
        empty, value=value, interval=interval, stderr=stderr, counts=counts, warnings=tuple(warnings),
        p_value=p.value if p else None, p_method=p.method if p else None, p_published=p.published if p else None,
    )  # fmt: skip


def _interval(
    metric: Metric, table: pd.DataFrame, value: float, options: MeasureOptions
) -> tuple[Interval | None, float | None, PValue | None, list[str]]:
    """Interval, standard error, the p of the inverted bootstrap where the card asks for it, and warnings."""
    info, units = metric.info, resampling_units(table)
    if units.count < 2:
        return None, None, None, [f"No interval: there is only {units.count} of the {units.kind} to resample."]
    if info.interval == "jackknife":
        without = _leave_one_out(metric, table, units)
        if not np.isfinite(without).all():
            return None, None, None, ["No interval: without one of the " + units.kind + " the metric has no value."]
        stderr = jackknife_error(without)
        return student_interval(value, stderr, units.count, options.level), stderr, None, []
    drawn = bootstrap_values(metric, table, units, options)
    kept = drawn[np.isfinite(drawn)]
    warnings = []
    if len(drawn) - len(kept) > DROPPED_WARNING * len(drawn):
        warnings.append(f"{len(drawn) - len(kept)} of {len(drawn)} bootstrap draws had no value and were dropped.")
    method = f"bootstrap, percentile, {len(kept)} draws over {units.count} {units.kind}"
    found = percentile_interval(kept, options.level, method)
    if found is None and info.share and value in (info.low, info.high):
        return unanimous_interval(value, info.low, info.high, units.count, options.level), None, None, warnings
    if found is None:
        why = "give the same value" if len(kept) else "have no value"
        return None, None, None, [*warnings, f"No interval: all draws over {units.count} {units.kind} {why}."]
    if units.count < FEW_UNITS:
        warnings.append(f"The interval rests on {units.count} {units.kind} only and is not to be relied on.")
    p = bootstrap_p(kept, info.ideal) if info.p_value == "bootstrap" else None
    return found, float(kept.std()), p, warnings


def bootstrap_values(metric: Metric, table: pd.DataFrame, units: Units, options: MeasureOptions) -> Floats:
    """The metric on every bootstrap draw: (draws,), NaN where a draw has no value."""
    chunks = []
    for weights in bootstrap_weights(units, options.draws, options.seed):
        try:
            chunks.append(np.asarray(metric.function(table, weights), dtype=float))
        except Undefined:
            chunks.append(np.full(len(weights), np.nan))
    return np.concatenate(chunks)


def _leave_one_out(metric: Metric, table: pd.DataFrame, units: Units) -> Floats:
    return np.array([_value(metric, table, (units.of_row != unit).astype(float)) for unit in range(units.count)])


def _value(metric: Metric, table: pd.DataFrame, weights: Floats) -> float:
    """The metric at one set of weights (n,); NaN where it is undefined there."""
    try:
        return float(metric.function(table, weights[None, :])[0])
    except Undefined:
        return float("nan")


def _count(table: pd.DataFrame, unit: str) -> int:
    """How many units the rows have: distinct ids, distinct clusters (within strata; a null one counts by id), distinct strata."""
    if not len(table):
        return 0
    if unit == "record":
        return int(table["id"].nunique())
    return resampling_units(table).count if unit == "cluster" else int(table["stratum"].nunique(dropna=False))
