"""Answers and a metric make a score: the value, its interval and p, its groups, and what was left out.

All of it follows from calling `metric(answers, weights)`: ones give the value, bootstrap counts the interval, a zero for one unit
the jackknife, the rows of one group the value by group. No metric knows about any of these.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from fairbench.decisions import contradictions
from fairbench.errors import Undefined
from fairbench.groups import entries, notions
from fairbench.metric import MeasureOptions, Metric
from fairbench.quality import flags
from fairbench.records import UNPARSED
from fairbench.refusals import refusal_figures, refused
from fairbench.scores import Evidence, Interval, LeaveOneOut, PValue, Score
from fairbench.stats import (
    CHUNK_BYTES,
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
from fairbench.tables import complete, usable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MeasureOptions", "Metric", "by_notion", "measure", "measure_once"]

TIE_WARNING = 0.01
DROPPED_WARNING = 0.01
FEW_UNITS = 10
FEW_IN_STRATUM = 5
"""With 3 words a set WEAT's 95 % interval was seen to cover 87-91 %, with 8 words 99 %."""
DISAGREE = (
    "The test and the interval disagree on whether the ideal can be the value: they rest on different assumptions (the metric's "
    "card names them). Print both, or neither."
)
SLACK = 1e-9

SEVERAL_ROWS = ("Prompt", "Choice")
"""Records that have several rows by their nature: samples of a prompt, orders of options."""


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
    groups = {name: measure_once(metric, part, options) for name, part in _by_group(metric, table, options)}
    whole, used = _scored(metric, table, options)
    if metric.disparity is not None:
        whole = _compared(whole, metric, metric.disparity.evidence(usable(table, metric.info)[0], metric.options, options))
        groups = dict(whole.by_group)
    if "prediction" in metric.info.columns and (differ := contradictions(used)):
        said = f"In {differ} of {len(used)} rows `prediction` is not the class that `probs` come to; `prediction` is what counts."
        whole = dataclasses.replace(whole, warnings=(*whole.warnings, said))
    found, clean = _clean(metric, used, options, whole)
    whole = _beside_refusals(metric, used, options, whole)
    return dataclasses.replace(whole, by_group=groups, flags=found, clean=clean)


def by_notion(metric: Metric, answers: pd.DataFrame) -> list[Metric]:
    """A metric that compares groups, once for each notion that the answers' groups belong to; any other metric as it is."""
    if not metric.info.by_notion or metric.options["group_by"]:
        return [metric]
    found = notions(entry for row in entries(answers) for entry in row)
    return [metric.with_options({"group_by": notion}) for notion in found] if len(found) > 1 else [metric]


def _compared(score: Score, metric: Metric, evidence: Evidence) -> Score:
    """A score with what is known of its disparity; where it is undefined the groups' figures stand all the same."""
    shown = dataclasses.replace(score, by_group=dict(evidence.by_group), counts={**score.counts, **evidence.counts})
    warnings = (*score.warnings, *evidence.warnings)
    if score.value is None:
        return dataclasses.replace(shown, warnings=warnings)
    found = dataclasses.replace(shown, details={**score.details, **evidence.details}, floor=evidence.floor)
    if metric.info.interval == "simultaneous":
        found = dataclasses.replace(found, interval=evidence.interval, stderr=evidence.stderr)
    if evidence.p is not None:
        found = dataclasses.replace(found, p_value=evidence.p.value, p_method=evidence.p.method)
    return dataclasses.replace(found, warnings=warnings)


def _by_group(metric: Metric, table: pd.DataFrame, options: MeasureOptions) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each group by name; none where there is a single group, which says nothing that the whole does not."""
    rows = entries(table) if options.by_group and metric.info.by_group else []
    names = sorted({name for row in rows for name in row})
    return [(name, table[np.array([name in row for row in rows])]) for name in names] if len(names) > 1 else []


def _clean(metric: Metric, used: pd.DataFrame, options: MeasureOptions, whole: Score) -> tuple[dict[str, int], Score | None]:
    """Usable records by the rule of pair quality that flags them, and the score over the others; nothing without sentences."""
    found = flags(used, metric.info.reads)
    if found is None:
        return {}, None
    by_rule = dict(sorted(Counter(rule for rules in found for rule in rules).items()))
    if not by_rule:
        return {}, whole
    kept = np.array([not rules for rules in found])
    score = (
        _score(metric, used[kept], options)
        if kept.any()
        else dataclasses.replace(_nothing(metric, used[kept]), undefined="every record is flagged by a rule of pair quality")
    )
    left_out = {**whole.left_out, "flagged by a rule of pair quality": int((~kept).sum())}
    return by_rule, _beside(score, left_out, whole.n_total)


def _beside_refusals(metric: Metric, used: pd.DataFrame, options: MeasureOptions, whole: Score) -> Score:
    """A score of generated texts with the share of refusals among them, and with the score of the others where there are any."""
    which = refused(used, metric.info.reads) if len(used) else None
    if which is None or metric.info.judge == "refusal":
        return whole
    said = dataclasses.replace(whole, details={**whole.details, **refusal_figures(used, which)})
    if not which.any():
        return said
    kept = used[~which]
    if not len(kept):
        score = dataclasses.replace(_nothing(metric, kept), undefined="every text is a refusal")
    else:
        score = _score(metric, kept, options)
        if metric.disparity is not None:
            score = _compared(score, metric, metric.disparity.evidence(kept, metric.options, options))
    left_out = {**whole.left_out, "refusal": int(which.sum())}
    return dataclasses.replace(said, without_refusals=_beside(score, left_out, whole.n_total))


def measure_once(metric: Metric, table: pd.DataFrame, options: MeasureOptions) -> Score:
    """The score of these rows as they are, which have every row key: without groups and without a clean score beside it."""
    return _scored(metric, table, options)[0]


def _scored(metric: Metric, table: pd.DataFrame, options: MeasureOptions) -> tuple[Score, pd.DataFrame]:
    """The score of a table and the rows that it is of; withheld where too many replies could not be read."""
    used, left_out = _used(metric, table)
    unparsed = left_out.get(UNPARSED, 0)
    if unparsed > metric.info.most_unparsed * len(table):
        why = f"{unparsed} of {len(table)} replies name no option, more than {100 * metric.info.most_unparsed:g} %"
        score = dataclasses.replace(_nothing(metric, used), undefined=f"withheld: {why}")
    else:
        score = _score(metric, used, options)
    return _beside(score, left_out, _count(table, metric.info.unit)), used


def _beside(score: Score, left_out: dict[str, int], n_total: int) -> Score:
    """A score of used rows with what was not used said beside it."""
    return dataclasses.replace(score, left_out=left_out, n_total=n_total)


def _used(metric: Metric, table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows that the formula uses, and the others counted by reason."""
    used, left_out = usable(table, metric.info)
    if metric.unused is None or not len(used):
        return used, left_out
    reasons = list(metric.unused(used, **metric.options))
    kept = np.array([reason is None for reason in reasons])
    return used[kept], {**left_out, **Counter(reason for reason in reasons if reason is not None)}


def _nothing(metric: Metric, table: pd.DataFrame) -> Score:
    """A score without a value, over the units of these rows."""
    info, n = metric.info, _count(table, metric.info.unit)
    return Score(
        value=None, interval=None, p_value=None, p_method=None, n=n, n_total=n, n_records=len(table),
        ideal=info.ideal, unit=info.unit, direction=info.direction,
    )  # fmt: skip


def _score(metric: Metric, table: pd.DataFrame, options: MeasureOptions) -> Score:
    info, empty = metric.info, _nothing(metric, table)
    n = empty.n
    if not len(table):
        return dataclasses.replace(empty, undefined="no answer could be used")
    try:
        value = float(metric.values(table, np.ones((1, len(table))), options.seed)[0])
    except Undefined as why:
        return dataclasses.replace(empty, undefined=str(why), counts=_counts(metric, table))
    if not np.isfinite(value):
        return dataclasses.replace(empty, undefined="the formula has no finite value on these answers")
    if not info.low - SLACK <= value <= info.high + SLACK:
        reason = (
            f"the formula gives {value:.6g}, outside of its range {info.low:g} to {info.high:g}: these answers can't be right"
        )
        return dataclasses.replace(empty, undefined=reason)
    counts = _counts(metric, table)
    warnings = []
    if info.unit == "record" and n < len(table) and info.reads not in SEVERAL_ROWS:
        warnings.append(f"{len(table)} rows have {n} ids; rows of one id are resampled together.")
    if counts.get("ties", 0) > TIE_WARNING * len(table):
        warnings.append(f"{counts['ties']} of {len(table)} records are ties; the metric's formula says how these count.")
    p = None
    if options.draws and info.p_value == "own" and metric.significance:
        p = metric.significance(table, np.random.default_rng(options.seed), **metric.options)
    interval = stderr = None
    if options.draws and info.interval in ("bootstrap", "jackknife"):
        interval, stderr, inverted, more = _interval(metric, table, value, options)
        p, warnings = p or inverted, warnings + more
    if p and interval and (p.value < 1 - interval.level) is (interval.low <= info.ideal <= interval.high):
        warnings.append(DISAGREE)
    details = metric.details(table, np.random.default_rng(options.seed), **metric.options) if metric.details else {}
    floor = details.pop("floor", None)
    return dataclasses.replace(
        empty, value=value, interval=interval, stderr=stderr, counts=counts, details=details, floor=floor,
        warnings=tuple(warnings),
        leave_one_out=_leave_one_out(metric, table, options) if options.draws and info.leave_one_out else None,
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
        without = _values_without(metric, table, units, options.seed)
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
    smallest = int(np.bincount(units.stratum).min())
    if units.count < FEW_UNITS or smallest < FEW_IN_STRATUM:
        of = f" ({smallest} in the smallest set)" if smallest < units.count else ""
        warnings.append(f"The interval rests on {units.count} {units.kind}{of} only and is not to be relied on.")
    p = bootstrap_p(kept, info.ideal) if info.p_value == "bootstrap" else None
    return found, float(kept.std()), p, warnings


def bootstrap_values(metric: Metric, table: pd.DataFrame, units: Units, options: MeasureOptions) -> Floats:
    """The metric on every bootstrap draw: (draws,), NaN where a draw has no value."""
    draws = min(options.draws, metric.info.most_draws or options.draws)
    smaller = {name: min(metric.options[name], most) for name, most in metric.info.bootstrap_options.items()}
    metric = dataclasses.replace(metric, options={**metric.options, **smaller})
    drawn = bootstrap_weights(units, draws, options.seed)
    return np.concatenate([_values(metric, table, weights, options.seed) for weights in drawn])


def _leave_one_out(metric: Metric, table: pd.DataFrame, options: MeasureOptions) -> LeaveOneOut | None:
    """The lowest and the highest value without one unit; none where there are too few of them to leave one out."""
    units = resampling_units(table)
    values = _values_without(metric, table, units, options.seed) if units.count > 1 else np.empty(0)
    if not np.isfinite(values).any():
        return None
    names = table["cluster"].where(table["cluster"].notna(), table["id"]).astype(str).to_numpy()
    names = names[np.unique(units.of_row, return_index=True)[1]]
    low, high = int(np.nanargmin(values)), int(np.nanargmax(values))
    return LeaveOneOut(float(values[low]), names[low], float(values[high]), names[high], int(np.isfinite(values).sum()))


def _values_without(metric: Metric, table: pd.DataFrame, units: Units, seed: int) -> Floats:
    """The metric without each unit in turn: (u,)."""
    size = max(1, CHUNK_BYTES // (8 * len(table)))
    chunks = [np.arange(start, min(start + size, units.count)) for start in range(0, units.count, size)]
    return np.concatenate([_values(metric, table, (units.of_row != chunk[:, None]).astype(float), seed) for chunk in chunks])


def _values(metric: Metric, table: pd.DataFrame, weights: Floats, seed: int) -> Floats:
    """The metric under each row of weights (b, n); NaN where it is undefined there."""
    try:
        return metric.values(table, weights, seed)
    except Undefined:
        return np.full(len(weights), np.nan)


def _counts(metric: Metric, table: pd.DataFrame) -> dict[str, int]:
    return metric.counts(table, **metric.options) if metric.counts else {}


def _count(table: pd.DataFrame, unit: str) -> int:
    """How many units the rows have: distinct ids, distinct clusters (within strata; a null one counts by id), distinct strata."""
    if not len(table):
        return 0
    if unit == "record":
        return int(table["id"].nunique())
    return resampling_units(table).count if unit == "cluster" else int(table["stratum"].nunique(dropna=False))
