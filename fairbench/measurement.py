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
from fairbench.errors import FairbenchError, Undefined
from fairbench.groups import entries, find_groups, notions
from fairbench.metric import MeasureOptions, Metric
from fairbench.quality import flags
from fairbench.records import UNPARSED
from fairbench.refusals import refusal_figures, refused
from fairbench.resampling import interval_of, left_out_one_by_one
from fairbench.scores import Evidence, Score
from fairbench.stats import (
    resampling_units,
)
from fairbench.tables import complete, usable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MeasureOptions", "Metric", "by_notion", "measure", "measure_once"]

TIE_WARNING = 0.01
DISAGREE = (
    "The test and the interval disagree on whether the ideal can be the value: they rest on different assumptions (the metric's "
    "card names them). Print both, or neither."
)
SLACK = 1e-9

NAMED_GROUPS = 5
"""A warning names so many groups, and counts the others."""

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
        whole = _with_lost_groups(whole, metric, table)
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
    between = found.interval if metric.info.interval == "simultaneous" else None
    if between and found.p_value is not None:
        covers = between.low <= metric.info.ideal <= between.high
        warnings = (*warnings, DISAGREE) if (found.p_value < 1 - between.level) is covers else warnings
    return dataclasses.replace(found, warnings=warnings)


def _with_lost_groups(score: Score, metric: Metric, table: pd.DataFrame) -> Score:
    """A score that also names the groups of which no row could be used: they are in no comparison, and that must be seen."""
    kept = set(usable(table, metric.info)[0].index)
    if not kept:  # why nothing could be used has been said
        return score
    try:
        every = find_groups(table, str(metric.options.get("group_by", "")))
    except (Undefined, FairbenchError):  # what is wrong with the groups has been said of the rows that can be used
        return score
    there = np.array([row in kept for row in table.index])
    rows = {name: int(every.of_row[:, g].sum()) for g, name in enumerate(every.names) if not every.of_row[there, g].any()}
    lost = {name: n for name, n in rows.items() if name not in score.by_group}
    if not lost:
        return score
    none = dataclasses.replace(
        _nothing(metric, table[:0]), ideal=None, unit="record", undefined="none of the group's rows could be used"
    )
    named = ", ".join(f"{name} ({n} rows)" for name, n in list(lost.items())[:NAMED_GROUPS])
    more = f" and {len(lost) - NAMED_GROUPS} more" if len(lost) > NAMED_GROUPS else ""
    said = f"Left out of the comparison, since none of their rows could be used: {named}{more}."
    groups = {**score.by_group, **{name: dataclasses.replace(none, n_total=n) for name, n in lost.items()}}
    counts = {**score.counts, "groups_left_out": score.counts.get("groups_left_out", 0) + len(lost)}
    return dataclasses.replace(score, by_group=groups, counts=counts, warnings=(*score.warnings, said))


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
    used, left_out = used_rows(metric, table)
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


def used_rows(metric: Metric, table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
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
    if (again := _repeated(table)) and info.reads == "Prompt":
        warnings.append(f"{again} rows repeat the id and the sample of another row: the same text counts more than once.")
    if info.unit == "record" and n < len(table) and info.reads not in SEVERAL_ROWS:
        warnings.append(f"{len(table)} rows have {n} ids; rows of one id are resampled together.")
    if counts.get("ties", 0) > TIE_WARNING * len(table):
        warnings.append(f"{counts['ties']} of {len(table)} records are ties; the metric's formula says how these count.")
    p = None
    if options.draws and info.p_value == "own" and metric.significance:
        p = metric.significance(table, np.random.default_rng(options.seed), **metric.options)
    interval = stderr = None
    if options.draws and info.interval in ("bootstrap", "jackknife"):
        interval, stderr, inverted, more = interval_of(metric, table, value, options)
        p, warnings = p or inverted, warnings + more
    if p and interval and (p.value < 1 - interval.level) is (interval.low <= info.ideal <= interval.high):
        warnings.append(DISAGREE)
    details = metric.details(table, np.random.default_rng(options.seed), **metric.options) if metric.details else {}
    floor = details.pop("floor", None)
    return dataclasses.replace(
        empty, value=value, interval=interval, stderr=stderr, counts=counts, details=details, floor=floor,
        warnings=tuple(warnings),
        leave_one_out=left_out_one_by_one(metric, table, options) if options.draws and info.leave_one_out else None,
        p_value=p.value if p else None, p_method=p.method if p else None, p_published=p.published if p else None,
    )  # fmt: skip


def _repeated(table: pd.DataFrame) -> int:
    """How many rows are the same sample of the same record as another one before them."""
    named = "sample" in table.columns and table["sample"].notna().all()
    return int(table.duplicated(["id", "sample"]).sum()) if named else 0


def _counts(metric: Metric, table: pd.DataFrame) -> dict[str, int]:
    return metric.counts(table, **metric.options) if metric.counts else {}


def _count(table: pd.DataFrame, unit: str) -> int:
    """How many units the rows have: distinct ids, distinct clusters (within strata; a null one counts by id), distinct strata."""
    if not len(table):
        return 0
    if unit == "record":
        return int(table["id"].nunique())
    return resampling_units(table).count if unit == "cluster" else int(table["stratum"].nunique(dropna=False))
