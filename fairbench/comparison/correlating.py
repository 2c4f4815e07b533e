"""Intrinsic against extrinsic scores over models: which are set against each other, and what is said of all of them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.comparison.axes import metric_name
from fairbench.comparison.correlation import (
    FEW_MODELS,
    LEAST_MODELS,
    ConfigurationSpread,
    CorrelationOptions,
    Correlations,
    Pair,
)
from fairbench.comparison.oriented import CLEANED, NEEDED, Oriented, metric_names, oriented, pooled
from fairbench.comparison.over_models import INTERVAL_MODELS, MEASURES, Draws, discovery, estimates, needed, undefined
from fairbench.comparison.tradeoff import SEED
from fairbench.errors import FairbenchError, did_you_mean
from fairbench.registry import Registry
from fairbench.tidy import require_columns

if TYPE_CHECKING:
    import pandas as pd


def correlations(
    table: pd.DataFrame, options: CorrelationOptions | None = None, registry: Registry | None = None
) -> Correlations:
    """Every intrinsic score against every extrinsic one, over the models that have both.

    Args:
        table: the tidy table of results.
        options: which scores are wanted; all headline metrics where null.
        registry: where the groups of tasks are looked up; that of this installation where null.

    Raises:
        FairbenchError: fewer than three models have scores of both kinds, a metric is unknown, or no two scores are aligned.
    """
    how = options or CorrelationOptions()
    require_columns(table, NEEDED)
    rows, tasks = _wanted(table, how.metrics), (registry or Registry()).tasks()
    intrinsic = oriented(rows, "intrinsic", tasks, clean=how.clean, parts=how.aligned)
    extrinsic = oriented(rows, "extrinsic", tasks, clean=False, parts=how.aligned)
    models = _models(intrinsic, extrinsic)
    intrinsic = pooled(intrinsic) if how.pooled else intrinsic
    configured = _configured(extrinsic) if how.by_configuration else extrinsic
    combined = [(i, e) for i in intrinsic for e in configured if not how.aligned or (i.about and i.about == e.about)]
    if not combined:
        raise FairbenchError(_nothing_combined(intrinsic, configured))
    common = _common(configured) if how.by_configuration else {}
    pairs = _with_q([_pair(i, e, common.get(e.measure), how) for i, e in combined])
    spreads = tuple(_spreads(pairs, {e.name: e.measure for e in configured})) if how.by_configuration else ()
    used = {one.name: one for pair in combined for one in pair}
    unused = {one.name: _why_unused(one, how) for one in (*intrinsic, *extrinsic) if one.name not in used}
    found = Correlations(
        pairs=pairs, models=models, n=len(models), options=how, spreads=spreads,
        intrinsic=tuple(one.name for one in intrinsic if one.name in used),
        extrinsic=tuple(one.name for one in configured if one.name in used),
        orientation={name: one.how for name, one in used.items()}, left_out=unused,
    )  # fmt: skip
    return dataclasses.replace(found, warnings=tuple(_warnings(found)))


def _wanted(table: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Rows of the metrics that were named; else of headline metrics, and of those whose card is not at hand."""
    if not metrics:
        return table[[headline is not False for headline in table["headline"]]]
    there = metric_names(table)
    for name in metrics:
        if name not in there:
            raise FairbenchError(
                f"No result has a score of bias of the metric {name!r}.{did_you_mean(name, there)} There are {', '.join(there)}."
            )
    return table[[metric_name(str(metric)) in metrics for metric in table["metric"]]]


def _models(intrinsic: Sequence[Oriented], extrinsic: Sequence[Oriented]) -> tuple[str, ...]:
    """The models that have a score of either kind, sorted.

    Raises:
        FairbenchError: they are fewer than three.
    """
    sides = {"intrinsic": intrinsic, "extrinsic": extrinsic}
    having = {kind: {label for one in columns for label in one.values} for kind, columns in sides.items()}
    for kind, labels in having.items():
        if not labels:
            raise FairbenchError(
                f"There are no {kind} scores among these results, and a correlation needs scores of both kinds. Score the models "
                f"with `fairbench score MODEL --suite {kind}`, or name metrics of both kinds with --metrics."
            )
    both = having["intrinsic"] & having["extrinsic"]
    if len(both) < LEAST_MODELS:
        every = having["intrinsic"] | having["extrinsic"]
        raise FairbenchError(
            f"{len(both)} of {len(every)} models have intrinsic and extrinsic scores; wanted at least {LEAST_MODELS}, since of "
            "two points every correlation is 1 or -1. Score further models on both kinds of task, or give more folders."
        )
    return tuple(sorted(both))


def _configured(extrinsic: Sequence[Oriented]) -> list[Oriented]:
    """Scores of measures in the configurations that enough models have; of two with the same choices the first."""
    first: dict[tuple[str, str], Oriented] = {}
    for one in extrinsic:
        if len(one.values) >= LEAST_MODELS:
            first.setdefault((one.measure, one.configuration), one)
    return list(first.values())


def _common(configured: Sequence[Oriented]) -> dict[str, frozenset[str]]:
    """By measure, the models that have all of its configurations: only then is it the configuration that changes."""
    found: dict[str, frozenset[str]] = {}
    for one in configured:
        found[one.measure] = found.get(one.measure, frozenset(one.values)) & frozenset(one.values)
    return found


def _pair(i: Oriented, e: Oriented, among: frozenset[str] | None, how: CorrelationOptions) -> Pair:
    """One intrinsic score against one extrinsic. The models are sorted, so that their order does not move the draws."""
    labels = tuple(sorted(label for label in i.values if label in e.values and (among is None or label in among)))
    x, y = (np.array([one.values[label] for label in labels], dtype=float) for one in (i, e))
    pair = Pair(
        intrinsic=i.name, extrinsic=e.name, notion=i.notion if i.notion == e.notion else None,
        configuration=e.configuration if how.by_configuration else None,
        n=len(labels), undefined=undefined(x, y, LEAST_MODELS), x=tuple(x.tolist()), y=tuple(y.tolist()), labels=labels,
    )  # fmt: skip
    if pair.undefined:
        return pair
    found = estimates(x, y, Draws(how.draws, how.seed, how.level))
    numbers: dict[str, Any] = {name: one.value for name, one in found.items()}
    numbers |= {f"{name}_{part}": getattr(one, part) for name, one in found.items() for part in ("p", "low", "high")}
    return dataclasses.replace(pair, **numbers)


def _with_q(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """The pairs with the q of each measure over all of them that have a p."""
    found = list(pairs)
    for name in MEASURES:
        tested = [k for k, pair in enumerate(found) if getattr(pair, f"{name}_p") is not None]
        corrected = discovery([getattr(found[k], f"{name}_p") for k in tested])
        for k, q in zip(tested, corrected, strict=True):
            change: dict[str, Any] = {f"{name}_q": q}
            found[k] = dataclasses.replace(found[k], **change)
    return tuple(found)


def _spreads(pairs: Sequence[Pair], measures: Mapping[str, str]) -> Iterator[ConfigurationSpread]:
    """How far the correlation moves, for each intrinsic score and each measure with several configurations."""
    same: dict[tuple[str, str], list[Pair]] = {}
    for pair in pairs:
        same.setdefault((pair.intrinsic, measures[pair.extrinsic]), []).append(pair)
    for (intrinsic, measure), of in same.items():
        if len(of) < 2:
            continue
        kept = [pair for pair in of if pair.undefined is None]
        values = {name: sorted(getattr(pair, name) for pair in kept) for name in MEASURES}
        ends = {name: (v[0], median(v), v[-1]) if len(v) > 1 else None for name, v in values.items()}
        yield ConfigurationSpread(
            intrinsic=intrinsic, extrinsic=measure, configurations=tuple(str(pair.configuration) for pair in kept),
            n=of[0].n, pearson=ends["pearson"], spearman=ends["spearman"],
        )  # fmt: skip


def _nothing_combined(intrinsic: Sequence[Oriented], extrinsic: Sequence[Oriented]) -> str:
    """What is to be said where no two scores can be set against each other."""
    if not extrinsic:
        return (
            f"No extrinsic score was found in one configuration for {LEAST_MODELS} models. Score the models with the same "
            "choices, or leave out --by-configuration."
        )
    about = [", ".join(sorted({one.about for one in side if one.about})) or "nothing known" for side in (intrinsic, extrinsic)]
    return (
        f"No intrinsic and extrinsic scores are about the same notion: the intrinsic ones are about {about[0]}, the extrinsic "
        f"ones about {about[1]}. Score tasks of one notion on both sides, or leave out --aligned."
    )


def _why_unused(one: Oriented, how: CorrelationOptions) -> str:
    """Why a score is in no pair."""
    if how.aligned and one.about is None:
        return one.why
    if how.by_configuration and one.kind == "extrinsic" and len(one.values) < LEAST_MODELS:
        return f"fewer than {LEAST_MODELS} models have it in this configuration"
    other = "extrinsic" if one.kind == "intrinsic" else "intrinsic"
    return f"no {other} score is about {one.about}" if how.aligned else "another column holds the same configuration"


def _warnings(found: Correlations) -> Iterable[str]:
    """What must be read beside the numbers."""
    pairs, how = found.pairs, found.options
    few = Counter(pair.n for pair in pairs if pair.undefined is None and pair.n < FEW_MODELS)
    for n, count in sorted(few.items()):
        bare = f" No interval is shown below {INTERVAL_MODELS} models." if n < INTERVAL_MODELS else ""
        yield (
            f"{count} of {len(pairs)} correlations rest on {n} models only, fewer than {FEW_MODELS}: with so few, Pearson's |r| "
            f"must reach {needed(n):.3f} to differ from 0 at the 5 % level, and one model more or less can turn it round.{bare}"
        )
    for why, count in Counter(pair.undefined for pair in pairs if pair.undefined).items():
        yield f"{count} of {len(pairs)} correlations are undefined: {why}."
    methods = Counter(seen["group"] for label in found.models if (seen := SEED.fullmatch(label)))
    seeds = [f"{name} ({count})" for name, count in methods.items() if count > 1]
    if seeds:
        yield f"Seeds of one method count as models of their own, and p supposes independent models: {', '.join(seeds)}."
    if found.left_out:
        reasons = "; ".join(f"{why} ({count})" for why, count in Counter(found.left_out.values()).items())
        yield f"Scores in no pair: {len(found.left_out)}. Why: {reasons}."
    if how.clean and not any(CLEANED in text for text in found.orientation.values()):
        yield "No intrinsic score of these pairs has a clean score beside it, so that --clean changes nothing."
    if how.by_configuration and not found.spreads:
        yield "No extrinsic score was found in several configurations, so that nothing can be said of their spread."
