"""Two tables of answers to the same records: paired draws of a metric, and tests that the two models are alike.

The units of both tables are the same, and sorted; so the same seed draws the same units in both, and the difference of two
draws is a draw of the difference.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fairbench.errors import Undefined
from fairbench.metric import MeasureOptions, Metric
from fairbench.scores import Interval, MetricInfo, PValue
from fairbench.stats import CHUNK_BYTES, Floats, Units, bootstrap_weights, resampling_units

if TYPE_CHECKING:
    import pandas as pd

EXCHANGEABLE = ("Pair", "Cloze", "Choice", "Labelled", "Passage", "Prompt")
"""Record forms whose units stand for themselves, so that one model's answers to a unit may be put in the place of the other's.

Vectors of two models lie in different spaces, and the rows of slots are joined with each other."""

SCALED = "probs"
"""A column of numbers whose scale is a model's own: an order of both models' rows together (an AUC's) would mean nothing."""

MOST_EXCHANGES = 10_000
"""A test by exchanging the models takes at most so many random exchanges."""

SAME = 1e-9
"""Two values of a metric that differ by no more than this share of their size are equal but for rounding."""


@dataclass(frozen=True)
class Paired:
    """The answers of two models to the same units, and how a metric is resampled on them.

    Attributes:
        metric: the metric.
        baseline, model: usable rows of either, with every row key; both have the same units.
        how: level, draws, seed.
    """

    metric: Metric
    baseline: pd.DataFrame
    model: pd.DataFrame
    how: MeasureOptions

    @functools.cached_property
    def units(self) -> tuple[Units, Units]:
        """The units of either table: the same ones, in the same order."""
        return resampling_units(self.baseline), resampling_units(self.model)

    def values(self) -> tuple[float, float]:
        """The metric on either table; raises Undefined where it has none."""
        found = [float(self._at(table, np.ones((1, len(table))))[0]) for table in (self.baseline, self.model)]
        return found[0], found[1]

    def drawn(self) -> tuple[Floats, Floats]:
        """(draws,) the metric of either model on each draw of units, NaN where it is undefined."""
        info, draws = self.metric.info, self.how.draws
        draws = min(draws, info.most_draws or draws)
        found = [
            np.concatenate([self._drawn(table, weights) for weights in bootstrap_weights(units, draws, self.how.seed)])
            for table, units in zip((self.baseline, self.model), self.units, strict=True)
        ]
        return found[0], found[1]

    def _drawn(self, table: pd.DataFrame, weights: Floats) -> Floats:
        """The metric under each row of weights; NaN where it is undefined there."""
        try:
            return self._at(table, weights)
        except Undefined:
            return np.full(len(weights), np.nan)

    def _at(self, table: pd.DataFrame, weights: Floats) -> Floats:
        return self.metric.values(table, weights, self.how.seed)


def exchange_test(pair: Paired) -> PValue | None:
    """The two models exchanged at random within units: how often is the difference as large as the one seen?

    Under the hypothesis that the two models are alike each unit's answers could be either's. Both tables stand under each other;
    weights of 0 and 1 say whose rows count, so that all exchanges are one call of the metric. Null for a metric whose value on
    one half of that table is not the value on that model's own (it joins rows, or counts them).
    """
    info = pair.metric.info
    first, second = pair.units
    if info.reads not in EXCHANGEABLE or info.variants or SCALED in info.columns or not pair.how.draws or first.count < 2:
        return None
    stacked = _stacked(pair)
    both = np.concatenate([first.of_row, second.of_row])
    of_model = np.arange(len(stacked)) >= len(pair.baseline)
    try:
        seen = pair.values()
        halves = pair.metric.values(stacked, np.stack([~of_model, of_model]).astype(float), pair.how.seed)
    except Undefined:
        return None
    if any(abs(a - b) > SAME * max(1.0, abs(a)) for a, b in zip(seen, halves, strict=True)):
        return None
    exchanges = min(pair.how.draws, MOST_EXCHANGES) - 1
    rng = np.random.default_rng(pair.how.seed)
    size = max(1, CHUNK_BYTES // (16 * len(stacked)))
    found = []
    for start in range(0, exchanges, size):
        swapped = rng.integers(0, 2, size=(min(size, exchanges - start), first.count), dtype=np.int8)
        whose = (swapped[:, both] ^ of_model).astype(float)
        found.append(_either(pair, stacked, whose) - _either(pair, stacked, 1 - whose))
    differences = np.concatenate(found)
    differences = differences[np.isfinite(differences)]
    if not len(differences):
        return None
    observed = abs(seen[1] - seen[0])
    hits = int((np.abs(differences) >= observed - SAME * max(1.0, observed)).sum())
    method = f"models exchanged within {first.count} {first.kind}, two-sided, {len(differences) + 1:,} sampled"
    return PValue((1 + hits) / (1 + len(differences)), method)


def _either(pair: Paired, stacked: pd.DataFrame, weights: Floats) -> Floats:
    try:
        return pair.metric.values(stacked, weights, pair.how.seed)
    except Undefined:
        return np.full(len(weights), np.nan)


def _stacked(pair: Paired) -> pd.DataFrame:
    """Both tables under each other; ids tell whose row it is, so that no metric takes two models' rows for one record's."""
    import pandas as pd

    parts = [t.assign(id=f"{name} " + t["id"].astype(str)) for name, t in (("0", pair.baseline), ("1", pair.model))]
    return pd.concat([part.astype(object) if part.empty else part for part in parts], ignore_index=True)


def inverted(drawn: Floats) -> PValue | None:
    """The two-sided p of no difference by inverting the paired bootstrap; null where no draw has a value."""
    kept = drawn[np.isfinite(drawn)]
    if len(kept) < 2 or kept.min() == kept.max():
        return None
    below, above = int((kept <= 0).sum()), int((kept >= 0).sum())
    p = min(1.0, 2 * (1 + min(below, above)) / (1 + len(kept)))
    return PValue(p, f"paired bootstrap inverted, two-sided, {len(kept)} draws")


def interval_of_difference(drawn: Floats, level: float, units: Units) -> Interval | None:
    """The central `level` of the draws of the difference; null where these do not differ."""
    kept = drawn[np.isfinite(drawn)]
    if len(kept) < 2 or kept.min() == kept.max():
        return None
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    method = f"paired bootstrap, percentile, {len(kept)} draws over {units.count} {units.kind}"
    return Interval(float(low), float(high), level, method)


def largest_worse_by(before: Floats, after: Floats, seen: tuple[Floats, Floats], alpha: float) -> float | None:
    """The most by which the largest of several distances can be larger for the model, at confidence 1 - alpha.

    |a| - |b| = max(min(d, s), min(-d, -s)) with d = a - b and s = a + b, which are signed and have honest intervals; of the
    largest of k distances it is at most the largest of these. Upper ends of simultaneous intervals (max-|t|, two-sided at
    1 - 2 alpha, so that either side errs with alpha) of all d and s give the bound; those of a and b give another, the largest
    |a| can be less the largest |b| must be, and the smaller one holds. docs/uncertainty.md has how often it did.

    Args:
        before: (draws, k) signed differences of the baseline.
        after: (draws, k) of the model, paired with these.
        seen: (k,) both without resampling.
        alpha: error of the one-sided statement.

    Returns:
        The bound; null where nothing varies over the draws.
    """
    kept = np.isfinite(before).all(axis=1) & np.isfinite(after).all(axis=1)
    b, a = before[kept], after[kept]
    if len(a) < 2:
        return None
    drawn, centres = [a - b, a + b, a, b], [seen[1] - seen[0], seen[1] + seen[0], seen[1], seen[0]]
    errors = [values.std(axis=0, ddof=1) for values in drawn]
    most = np.zeros(len(a))
    for values, centre, error in zip(drawn, centres, errors, strict=True):
        t = np.divide(np.abs(values - centre), error, out=np.zeros_like(values), where=error > 0)
        most = np.maximum(most, t.max(axis=1))
    if not most.any():
        return None
    c = float(np.quantile(most, 1 - 2 * alpha))
    (d, s), (minus_d, minus_s) = ([sign * centres[i] + c * errors[i] for i in (0, 1)] for sign in (1, -1))
    together = float(np.maximum(np.minimum(d, s), np.minimum(minus_d, minus_s)).max())
    farthest = float((np.abs(centres[2]) + c * errors[2]).max())
    nearest = max(0.0, float((np.abs(centres[3]) - c * errors[3]).max()))
    return min(together, farthest - nearest)


def worse_by(baseline: Floats, model: Floats, info: MetricInfo, alpha: float) -> float | None:
    """The most by which the model can be farther from the ideal than the baseline, at confidence 1 - alpha.

    Where all draws of both lie on one side of the ideal, the distance is a difference like any other: the 1 - alpha quantile of
    |model - ideal| - |baseline - ideal|. Else distances are folded at the ideal, and that quantile would be too low (it covers
    some 80 % where the baseline is at the ideal and the model is not). Two bounds hold there, each at confidence 1 - alpha/2:
    |model - baseline| can't be exceeded, nor can the largest |model - ideal| less the smallest |baseline - ideal|.

    Args:
        baseline: (draws,) of the metric on the baseline's answers.
        model: (draws,) on the model's, paired with these.
        info: of the metric.
        alpha: error of the one-sided statement.
    """
    both = np.isfinite(baseline) & np.isfinite(model)
    if both.sum() < 2:
        return None
    before, after = baseline[both] - info.ideal, model[both] - info.ideal
    for side in (1, -1):
        if (side * before >= 0).all() and (side * after >= 0).all():
            return float(np.quantile(np.abs(after) - np.abs(before), 1 - alpha))
    apart = float(np.quantile(np.abs(after - before), 1 - alpha / 2))
    farthest = float(np.abs(np.quantile(after, [alpha / 8, 1 - alpha / 8])).max())
    low, high = np.quantile(before, [alpha / 8, 1 - alpha / 8])
    nearest = 0.0 if low <= 0 <= high else float(min(abs(low), abs(high)))
    return min(apart, farthest - nearest)
