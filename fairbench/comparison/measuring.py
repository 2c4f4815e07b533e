"""One metric on two tables of answers: the difference with its interval, its test, what could have been seen, and its groups."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.comparison import Difference
from fairbench.comparison.discordant import discordant
from fairbench.comparison.flips import flips
from fairbench.comparison.gating import bound, signed_differences
from fairbench.comparison.paired import MOST_EXCHANGES, SAME, Paired, exchange_test, interval_of_difference, inverted
from fairbench.comparison.sharing import Shared
from fairbench.errors import FairbenchError, Undefined
from fairbench.groups import entries
from fairbench.measurement import measure_once
from fairbench.metric import MeasureOptions, Metric
from fairbench.scores import Interval, Score
from fairbench.stats import Floats, bootstrap_weights, resampling_units, smallest_detectable

if TYPE_CHECKING:
    import pandas as pd

FEW_UNITS = 10
"""Fewer units than this are too few to say that two models are alike, or not."""

DROPPED_WARNING = 0.01
DISAGREE = "The test and the interval disagree on whether there is a difference: they rest on different assumptions. Print both."
EMBEDDING = (
    "Effect sizes of association tests are not comparable between models as sizes (Schroeder et al. 2021), and a broken model "
    "can rank as the least biased: never judge a mitigation by this test alone."
)
UNSIGNED = (
    "An unsigned figure is above its ideal by chance alone, in either model: the difference of two such figures is drawn towards "
    "0 where one of the models is near its ideal."
)


def compare_answers(metric: Metric, tables: Shared, how: MeasureOptions, named: Mapping[str, Any]) -> Difference:
    """The difference of two models on one metric.

    Args:
        metric: the metric.
        tables: usable rows of both models over the same units.
        how: level (1 - alpha), draws, seed.
        named: `task metric variant column kind headline` of the difference.

    Returns:
        The difference, without a verdict; undefined with its reason where either model has no value.
    """
    pair = Paired(metric, tables.baseline, tables.model, how)
    try:
        found = _difference(pair, named, tables.left_out)
    except Undefined as why:  # its value is defined over all rows, and not over what is resampled
        scores = [_score(metric, table, dataclasses.replace(how, draws=0)) for table in (pair.baseline, pair.model)]
        return Difference(**named, baseline=scores[0], model=scores[1], difference=None, undefined=str(why))
    if found.difference is None:
        return found
    decided = flips(metric.info.reads, tables.baseline, tables.model, how) if metric.info.headline else None
    return dataclasses.replace(found, by_group=_by_group(pair, named, how), flips=decided)


def _difference(pair: Paired, named: Mapping[str, Any], left_out: Mapping[str, int]) -> Difference:
    """The difference over all rows, without groups and flips."""
    info, how, units = pair.metric.info, dataclasses.replace(pair.how, by_group=False), pair.units[0]
    scores = [_score(pair.metric, table, how) for table in (pair.baseline, pair.model)]
    bare = Difference(
        **named, baseline=scores[0], model=scores[1], difference=None, n=units.count, unit=_unit(units.kind), left_out=left_out
    )
    before, after = (score.value for score in scores)
    if before is None or after is None:
        undefined = next(score.undefined or "it has no value" for score in scores if score.value is None)
        return dataclasses.replace(bare, undefined=undefined)
    found = dataclasses.replace(
        bare, difference=after - before, distance=abs(after - info.ideal) - abs(before - info.ideal), warnings=_warnings(pair)
    )
    if info.interval == "none" or not how.draws or units.count < 2:
        return dataclasses.replace(found, warnings=(*found.warnings, f"No interval and no test: {_why_not(pair)}."))
    return _tested(pair, found, scores)


def _why_not(pair: Paired) -> str:
    """Why there is no test."""
    if pair.metric.info.interval == "none":
        return "the metric counts what a bootstrap would count twice, and has none"
    return "no draws were asked for" if not pair.how.draws else "there is one unit only"


def _tested(pair: Paired, found: Difference, scores: Sequence[Score]) -> Difference:
    """A difference with its interval, its test, what could have been seen, and the bound of a gate."""
    level, (units, _) = pair.how.level, pair.units
    drawn = pair.drawn()
    seen = pair.values()
    if any(abs(a - float(b.value or 0)) > SAME * max(1.0, abs(a)) for a, b in zip(seen, scores, strict=True)):
        raise AssertionError(f"{found.column}: the rows that are resampled are not those of the score")  # a fault of ours
    differences = drawn[1] - drawn[0]
    kept = differences[np.isfinite(differences)]
    table = discordant(pair)
    signed = signed_differences(pair)
    between: Interval | None
    if table:
        between = table.interval(level)
    elif signed and len(signed.seen[0]) > 1:
        between = signed.interval(level)
    else:
        between = interval_of_difference(differences, level, units)
    stderr = float(kept.std()) if len(kept) and kept.min() < kept.max() else None
    exchanged = None if table else exchange_test(pair)
    p = table.p() if table else exchanged or inverted(differences)
    worst, no_bound = bound(pair, table, signed, drawn)
    return dataclasses.replace(
        found,
        interval=between,
        stderr=stderr,
        p=p,
        detectable=table.detectable(1 - level) if table else None if stderr is None else smallest_detectable(stderr, level),
        least_p=None if table else 1 / min(pair.how.draws, MOST_EXCHANGES) if exchanged else 2 / (1 + len(kept)),
        worse_by=worst,
        no_bound=no_bound,
        warnings=(*found.warnings, *_of_draws(found, differences, between, p, level)),
    )


def _score(metric: Metric, table: pd.DataFrame, how: MeasureOptions) -> Score:
    """A model's score over the shared rows, with the interval that the metric has."""
    score = measure_once(metric, table, how)
    if score.value is not None and metric.disparity is not None:
        evidence = metric.disparity.evidence(table, metric.options, how)
        score = dataclasses.replace(score, interval=evidence.interval or score.interval, floor=evidence.floor)
    return dataclasses.replace(score, by_group={}, clean=None, leave_one_out=None)


def _of_draws(found: Difference, differences: Floats, between: Any, p: Any, level: float) -> list[str]:
    """What is to be said of the draws."""
    said = []
    dropped = int((~np.isfinite(differences)).sum())
    if dropped > DROPPED_WARNING * len(differences):
        said.append(f"{dropped} of {len(differences)} paired draws had no value and were dropped.")
    if between is None:
        said.append(f"No interval: all draws over {found.n} {found.unit}s give the same difference.")
    elif p is not None and (p.value < 1 - level) is (between.low <= 0 <= between.high):
        said.append(DISAGREE)
    if found.n < FEW_UNITS:
        said.append(f"It rests on {found.n} {found.unit}s only and is not to be relied on.")
    return said


def _warnings(pair: Paired) -> tuple[str, ...]:
    said = [EMBEDDING] if pair.metric.info.reads == "Association" else []
    return (*said, UNSIGNED) if pair.metric.info.interval == "simultaneous" else tuple(said)


def _unit(kind: str) -> str:
    return kind.removesuffix("s")


def _by_group(pair: Paired, named: Mapping[str, Any], how: MeasureOptions) -> dict[str, Difference]:
    """The difference of every group: of its rows, or of its figure where the metric compares groups."""
    if pair.metric.disparity is not None:
        return _of_figures(pair, named, how)
    if not pair.metric.info.by_group:
        return {}
    rows = [entries(table) for table in (pair.baseline, pair.model)]
    names = sorted({name for row in rows[0] for name in row})
    found = {}
    for name in names if len(names) > 1 else ():
        parts = [
            table[np.array([name in row for row in own])].reset_index(drop=True)
            for table, own in zip((pair.baseline, pair.model), rows, strict=True)
        ]
        found[name] = _difference(Paired(pair.metric, parts[0], parts[1], how), {**named, "headline": False}, {})
    return found


def _of_figures(pair: Paired, named: Mapping[str, Any], how: MeasureOptions) -> dict[str, Difference]:
    """The difference of each group's figure (its rate, its mean, its AUC) between the models, by the same paired draws."""
    try:
        seen = [_figures(pair.metric, t, np.ones((1, len(t)))) for t in (pair.baseline, pair.model)]
        drawn = [_drawn_figures(pair.metric, t, how) for t in (pair.baseline, pair.model)]
    except (Undefined, FairbenchError):  # what is wrong with the groups has been said of the whole
        return {}
    plain = measure_scores(pair, how)
    found, units = {}, pair.units[0]
    for name in (name for name in seen[0] if name in seen[1]):
        before, after = (float(s[name][0]) for s in seen)
        scores = [scores_of.get(name) for scores_of in plain]
        if scores[0] is None or scores[1] is None or not np.isfinite([before, after]).all():
            continue
        differences = drawn[1][name] - drawn[0][name] if len(drawn[0]) else np.empty(0)
        kept = differences[np.isfinite(differences)]
        between = interval_of_difference(differences, how.level, units)
        stderr = float(kept.std()) if between else None
        found[name] = Difference(
            **{**named, "headline": False},
            baseline=scores[0],
            model=scores[1],
            difference=after - before,
            interval=between,
            stderr=stderr,
            p=inverted(differences) if len(differences) else None,
            detectable=None if stderr is None else smallest_detectable(stderr, how.level),
            n=scores[0].n,
            unit=scores[0].unit,
        )
    return found


def measure_scores(pair: Paired, how: MeasureOptions) -> list[Mapping[str, Score]]:
    """The groups' own scores of either model, without draws of their own."""
    assert pair.metric.disparity is not None
    quick = dataclasses.replace(how, draws=0)
    return [pair.metric.disparity.evidence(table, pair.metric.options, quick).by_group for table in (pair.baseline, pair.model)]


def _figures(metric: Metric, table: pd.DataFrame, weights: Floats) -> Mapping[str, Floats]:
    assert metric.disparity is not None
    return metric.disparity.figures(table, weights, metric.options)


def _drawn_figures(metric: Metric, table: pd.DataFrame, how: MeasureOptions) -> dict[str, Floats]:
    """The groups' figures on each paired draw; empty without draws."""
    draws = min(how.draws, metric.info.most_draws or how.draws, MOST_FIGURE_DRAWS)
    parts = [_figures(metric, table, weights) for weights in bootstrap_weights(resampling_units(table), draws, how.seed)]
    return {name: np.concatenate([part[name] for part in parts]) for name in (parts[0] if parts else ())}


MOST_FIGURE_DRAWS = 2_000
"""Groups' own differences are drawn at most so often: they stand beside the whole, and no test rests on them."""
