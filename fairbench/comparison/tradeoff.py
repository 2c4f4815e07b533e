"""Bias against utility: which models nobody beats on both, and how far each is from having no bias and all the utility."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fairbench.comparison.axes import Axis, axis_of, folded, is_utility, known, metric_name, records
from fairbench.comparison.matching import SAME_TOKENIZER
from fairbench.errors import FairbenchError, did_you_mean
from fairbench.scores import jsonable
from fairbench.tidy import WHOLE, require_columns

if TYPE_CHECKING:
    import pandas as pd

    from fairbench.collection import Collection

SEED = re.compile(r"(?P<group>.*\S)(?:[ ,;_-]+seed[ =_-]?|_s)(?P<seed>\d+)", re.IGNORECASE)
"""The seed at the end of a label: "cda seed=3", "cda-seed3", "cda_seed_3" or "cda_s3" are seed 3 of "cda"."""

SAME_TEXT = ("perplexity", "word_perplexity", "bits_per_byte")
"""One sum of log-likelihood over three counts: one of them is shown, the first that the models can be compared on."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A model, one of its seeds, or the mean of a method's seeds.

    Attributes:
        label: how it is called; no two points share one.
        group: the method whose seeds belong together; of a model without seeds its label.
        seed: which seed of the group; null for a model without seeds and for a mean.
        bias: |score - ideal|, 0 is none; of a mean the mean over seeds of that distance.
        bias_low, bias_high: interval of the distance: of the score's interval, folded at the ideal. Null where the score has
            none, and for a mean, which has a spread instead.
        bias_score: the score itself; of a mean the mean score.
        utility: the score on its own scale (perplexity 16.3); of a mean the mean.
        utility_low, utility_high: its interval; null as above.
        on_front: no other model or mean is at least as good on both and better on one. A seed of a mean is never on it.
        to_ideal: distance to the ideal point, both axes scaled as the `Tradeoff` says; smaller is better. Of a mean the distance
            of the mean point.
        mean: whether it is the mean of several seeds.
        seeds: how many seeds it is the mean of; 1 for every other point.
        bias_sd, utility_sd: standard deviation (n - 1) over these seeds; null for every other point.
    """

    label: str
    group: str
    seed: str | None
    bias: float
    bias_low: float | None
    bias_high: float | None
    bias_score: float
    utility: float
    utility_low: float | None
    utility_high: float | None
    on_front: bool = False
    to_ideal: float | None = None
    mean: bool = False
    seeds: int = 1
    bias_sd: float | None = None
    utility_sd: float | None = None


@dataclass(frozen=True, kw_only=True)
class Tradeoff:
    """Models by their bias and their utility.

    Attributes:
        points: one a model, and one more for each group with several seeds; in the order of the table, each mean after its seeds.
        bias, utility: the columns of the tidy table.
        bias_title, utility_title: their metrics in words.
        bias_ideal, utility_ideal: the scores' ideals. On the bias axis the ideal is always 0.
        bias_scale, utility_scale: what a distance from the ideal is divided by.
        scaling: how these were chosen, in words; it belongs under the figure, since `to_ideal` rests on it.
        left_out: models without a place, by label, and why.
        warnings: sentences that belong beside the figure.
    """

    points: tuple[Point, ...]
    bias: str
    utility: str
    bias_title: str
    utility_title: str
    bias_ideal: float
    utility_ideal: float
    bias_scale: float
    utility_scale: float
    scaling: str
    left_out: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def front(self) -> tuple[Point, ...]:
        """The points that nobody beats, from the least bias to the best utility."""
        return tuple(sorted((one for one in self.points if one.on_front), key=lambda one: one.bias))

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        plain: dict[str, Any] = jsonable(dataclasses.asdict(self))
        return plain


def tradeoff(
    table: pd.DataFrame,
    bias: str,
    utility: str,
    *,
    seeds: Mapping[str, str] | None = None,
    tokenizers: Mapping[str, str | None] | None = None,
) -> Tradeoff:
    """Places every model by its bias and its utility.

    The Pareto front is over models and means of seeds: a point is on it unless another one is at least as good on both axes and
    better on one; equal points are all kept. The distance to the ideal point is that of fairlib ("distance to the optimum", Han
    et al. 2022, EMNLP demos): sqrt((bias/bias_scale)^2 + (|utility - ideal|/utility_scale)^2). A scale is the largest distance
    from the ideal that the metric can have; where that is without bound (perplexity), the largest that was seen among these
    points, so that `to_ideal` then moves when a model joins.

    Args:
        table: the tidy table of results.
        bias: a name in its column `column`: of an intrinsic or extrinsic score.
        utility: likewise, of a utility.
        seeds: by model, the method whose seeds belong together; a model that is not named stands alone. Where null, labels that
            end in a seed say so (SEED).
        tokenizers: by model, the digest of its tokenizer, for utilities that count per token; `tokenizers_of` finds them.

    Raises:
        FairbenchError: there is no such column, it is of the wrong kind, it has no ideal, or no model has both scores.
    """
    require_columns(table, ("model", "kind", "metric", "column", "part", "value", "low", "high", "ideal", "least", "most"))
    whole = table[table["part"] == WHOLE]
    on_x, on_y = axis_of(whole, bias, "bias"), axis_of(whole, utility, "utility")
    methods = _methods(list(dict.fromkeys(whole["model"])), seeds)
    there = [label for label in methods if label in on_x.rows or label in on_y.rows]
    absent = {label: "; ".join(filter(None, (axis.absent(label) for axis in (on_x, on_y)))) for label in there}
    left_out = {label: why for label, why in absent.items() if why}
    placed = [_point(label, methods[label], on_x, on_y) for label in there if label not in left_out]
    if not placed:
        raise FairbenchError(f"No model has a value of both {bias} and {utility}. Score models on both tasks, or choose others.")
    points = list(_with_means(placed))
    of_x, bias_scale = on_x.scale([one.bias for one in points])
    of_y, utility_scale = on_y.scale([abs(one.utility - on_y.ideal) for one in points])
    return Tradeoff(
        points=tuple(_judged(points, on_y.ideal, (of_x, of_y))), bias=bias, utility=utility,
        bias_title=on_x.title, utility_title=on_y.title, bias_ideal=on_x.ideal, utility_ideal=on_y.ideal,
        bias_scale=of_x, utility_scale=of_y,
        scaling=f"Distance to the ideal point: bias over {bias_scale}, lost utility over {utility_scale}.",
        left_out=left_out, warnings=tuple(_warnings(placed, left_out, methods, (on_x, on_y), tokenizers)),
    )  # fmt: skip


def _methods(labels: Sequence[str], seeds: Mapping[str, str] | None) -> dict[str, tuple[str, str | None]]:
    """By model, its group and its seed."""
    if seeds is None:
        found = {label: SEED.fullmatch(label) for label in labels}
        return {label: (seen["group"], seen["seed"]) if seen else (label, None) for label, seen in found.items()}
    unknown = [label for label in seeds if label not in labels]
    if unknown:
        raise FairbenchError(
            f"Seeds are given for {', '.join(unknown)}, and there is no such model.{did_you_mean(unknown[0], labels)} Wanted "
            f"labels of the table: {', '.join(labels)}."
        )
    ends = {label: SEED.fullmatch(label) for label in seeds}
    named = {label: (seeds[label], seen["seed"] if (seen := ends[label]) else label) for label in seeds}
    return {label: named.get(label, (label, None)) for label in labels}


def _point(label: str, method: tuple[str, str | None], on_x: Axis, on_y: Axis) -> Point:
    """A model that has both values."""
    x, y = on_x.rows[label], on_y.rows[label]
    between = folded(x["low"], x["high"], on_x.ideal) if known(x["low"]) and known(x["high"]) else (None, None)
    ends = [float(y[name]) if known(y[name]) else None for name in ("low", "high")]
    return Point(
        label=label, group=method[0], seed=method[1],
        bias=abs(float(x["value"]) - on_x.ideal), bias_low=between[0], bias_high=between[1], bias_score=float(x["value"]),
        utility=float(y["value"]), utility_low=ends[0], utility_high=ends[1],
    )  # fmt: skip


def _with_means(placed: Sequence[Point]) -> Iterable[Point]:
    """The points, and after the last seed of a group with several their mean."""
    for number, one in enumerate(placed):
        yield one
        same = [other for other in placed if other.seed is not None and other.group == one.group]
        if one.seed is not None and len(same) > 1 and not any(other in same for other in placed[number + 1 :]):
            yield _mean(same)


def _mean(same: Sequence[Point]) -> Point:
    """The mean of some seeds, with their standard deviation."""
    from statistics import fmean, stdev

    columns = {name: [getattr(one, name) for one in same] for name in ("bias", "bias_score", "utility")}
    return Point(
        label=f"{same[0].group}, mean of {len(same)} seeds", group=same[0].group, seed=None, mean=True, seeds=len(same),
        bias=fmean(columns["bias"]), bias_low=None, bias_high=None, bias_score=fmean(columns["bias_score"]),
        utility=fmean(columns["utility"]), utility_low=None, utility_high=None,
        bias_sd=stdev(columns["bias"]), utility_sd=stdev(columns["utility"]),
    )  # fmt: skip


def _judged(points: Sequence[Point], ideal: float, scales: tuple[float, float]) -> Iterable[Point]:
    """The points with their distance to the ideal point, and whether they are on the front."""
    meant = {one.group for one in points if one.mean}
    stand = [(one.bias, abs(one.utility - ideal)) for one in points if one.mean or one.seed is None or one.group not in meant]
    for one in points:
        place = (one.bias, abs(one.utility - ideal))
        beaten = any(a <= place[0] and b <= place[1] and (a, b) != place for a, b in stand)
        alone = one.mean or one.seed is None or one.group not in meant
        yield dataclasses.replace(
            one, on_front=alone and not beaten, to_ideal=math.hypot(place[0] / scales[0], place[1] / scales[1])
        )


def _warnings(
    placed: Sequence[Point],
    left_out: Mapping[str, str],
    methods: Mapping[str, tuple[str, str | None]],
    axes: Sequence[Axis],
    tokenizers: Mapping[str, str | None] | None,
) -> Iterable[str]:
    """What must be read beside the points."""
    if left_out:
        yield f"{len(left_out)} left out: " + "; ".join(f"{label} ({why})" for label, why in left_out.items())
    for group in dict.fromkeys(one.group for one in placed if one.seed is not None):
        of_group = [label for label, (name, seed) in methods.items() if name == group and seed is not None and label in left_out]
        if of_group:
            there = sum(one.group == group and one.seed is not None for one in placed)
            yield f"{group}: {there} of {there + len(of_group)} seeds have both scores."
    trials = [axis.column for axis in axes if any(axis.rows[one.label].get("limited") for one in placed)]
    if trials:
        yield f"Trials over some of the records (--limit): {' and '.join(trials)}."
    if metric_name(axes[1].metric) in SAME_TOKENIZER and not one_tokenizer([one.label for one in placed], tokenizers):
        how = "these models have several" if tokenizers else "it is not known whether these models have the same"
        yield f"{axes[1].metric} is a figure per token, comparable between models of one tokenizer only; {how}."


def one_tokenizer(labels: Iterable[str], tokenizers: Mapping[str, str | None] | None) -> bool:
    """Whether all these models are known to have the same tokenizer."""
    found = {(tokenizers or {}).get(label) for label in labels}
    return len(found) == 1 and None not in found


def tokenizers_of(collection: Collection) -> dict[str, str | None]:
    """The digest of each model's tokenizer, by label; null where a result does not say (a served model)."""
    return {one.label: one.result.model.get("tokenizer_sha256") or None for one in collection.found}


def default_pairs(table: pd.DataFrame, tokenizers: Mapping[str, str | None] | None = None) -> tuple[tuple[str, str], ...]:
    """The pairs that are worth showing: a headline metric of bias with a utility that two models or more have as well.

    Perplexity, perplexity per word and bits per byte of one text say the same of models with one tokenizer; of these there is the
    first that can be compared: perplexity only where all models are known to share a tokenizer.

    Returns:
        (bias column, utility column), those with the most models first, then in the order of the table; at the end those in which
        one score is the same for every model, which show no trade-off.
    """
    require_columns(table, ("model", "kind", "task", "metric", "variant", "column", "headline", "part", "value", "ideal"))
    rows = table[(table["part"] == WHOLE) & table["value"].notna() & table["ideal"].notna()]
    models = {str(column): set(of["model"]) for column, of in rows.groupby("column", sort=False)}
    cards = {str(row["column"]): row for row in records(rows.drop_duplicates("column"))}
    utilities = [column for column, card in cards.items() if is_utility(card["kind"], card["metric"])]
    biases = [column for column, card in cards.items() if column not in utilities and card["headline"] is not False]
    shown = [column for column in utilities if _shown(cards, column, models, tokenizers)]
    found = {(bias, utility): len(models[bias] & models[utility]) for bias in biases for utility in shown}
    flat = {str(column) for column, of in rows.groupby("column") if of["value"].nunique() == 1}
    kept = [pair for pair, common in found.items() if common > 1]
    return tuple(sorted(kept, key=lambda pair: (not flat.isdisjoint(pair), -found[pair])))


def _shown(
    cards: Mapping[str, Mapping[str, Any]],
    column: str,
    models: Mapping[str, set[str]],
    tokenizers: Mapping[str, str | None] | None,
) -> bool:
    """Whether a utility can be compared between its models, and is the first to say what it says."""
    name = metric_name(cards[column]["metric"])
    if name in SAME_TOKENIZER and not one_tokenizer(models[column], tokenizers):
        return False
    if name not in SAME_TEXT:
        return True
    same = {metric_name(c["metric"]): other for other, c in cards.items() if _text(c) == _text(cards[column])}
    before = [same[earlier] for earlier in SAME_TEXT[: SAME_TEXT.index(name)] if earlier in same]
    return not any(models[column] <= models[other] and _shown(cards, other, models, tokenizers) for other in before)


def _text(card: Mapping[str, Any]) -> tuple[str, str]:
    """What a perplexity was found on."""
    return str(card["task"]), str(card["variant"])
