"""A metric that compares distributions of a number in groups: its value under weights, and what stands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.disparity.comparison import Comparison
from fairbench.disparity.contrasts import Contrasts
from fairbench.disparity.distributions import Distributions, distance_bands, distributions, drawn_distances
from fairbench.disparity.findings import exchanged, few_and_dropped, find, p_and_floor, rate_scores
from fairbench.disparity.means import Means
from fairbench.disparity.rate_disparity import RateDisparity, RateOptions
from fairbench.disparity.simultaneous import aggregated
from fairbench.errors import Undefined
from fairbench.metric import MeasureOptions
from fairbench.scores import Evidence, Interval, PValue
from fairbench.stats import Floats, bootstrap_weights, resampling_units

if TYPE_CHECKING:
    import pandas as pd

MOST_DRAWS = 2_000
"""The bootstrap takes at most so many draws: one of 20,000 texts in 18 groups costs some milliseconds."""


@dataclass(frozen=True, kw_only=True)
class DistributionDisparity:
    """How a metric compares distributions; as its `disparity` it finds what stands beside the value.

    Attributes:
        means: how the means of the same number would be compared, and which rows have it: they are shown for every group.
    """

    means: RateDisparity

    def values(self, answers: pd.DataFrame, weights: Floats, **options: Any) -> Floats:
        """The disparity under each row of weights (b, n): (b,) >= 0; NaN where a group that is compared has no weight.

        Raises:
            Undefined: no group is named, or fewer than two have enough records.
        """
        found, contrasts = _distributions(self.means.comparison(answers, RateOptions(**options)))
        distances = [found.apart(found.shares(some), contrasts) for some in found.blocks(weights)]
        return _aggregated(np.concatenate(distances), contrasts)

    def unused(self, answers: pd.DataFrame, **options: Any) -> list[str | None]:
        """For each row why no distribution that is compared is made of it, or null."""
        return self.means.unused(answers, **options)

    def evidence(self, answers: pd.DataFrame, options: Mapping[str, Any], how: MeasureOptions) -> Evidence:
        """Interval, floor and p of the disparity, and the mean of every group."""
        ready = self.means.ready(answers, options)
        if ready is None:
            return Evidence()
        table, comparison = ready
        means = rate_scores(find(replace(comparison, contrasts=None), table, how))
        known = Evidence(by_group=means, counts=comparison.counts(), warnings=comparison.warnings())
        if comparison.contrasts is None or not how.draws:
            return known
        between, stderr, said = self._interval(comparison, table, how)
        p, floor, no_p = self._chance(comparison, table, how)
        return replace(
            known, interval=between, stderr=stderr, p=p, floor=floor, warnings=(*known.warnings, *said, *no_p)
        )  # fmt: skip

    def figures(self, answers: pd.DataFrame, weights: Floats, options: Mapping[str, Any]) -> dict[str, Floats]:
        """The mean of every group under each row of weights (b, n): (b,) by name."""
        return self.means.figures(answers, weights, options)

    def _interval(
        self, comparison: Comparison, table: pd.DataFrame, how: MeasureOptions
    ) -> tuple[Interval | None, float | None, list[str]]:
        """The interval within the card's range, the standard deviation of the draws, and what is to be said of them."""
        found, contrasts = _distributions(comparison)
        units = resampling_units(table)
        fewest = min(len(np.unique(units.of_row[comparison.rates.records(np.array([group]))])) for group in contrasts.rates)
        if fewest < 2:
            where = "there is" if units.count < 2 else "in some group there is"
            return None, None, [f"No interval: {where} only 1 of the {units.kind} to resample."]
        draws = bootstrap_weights(units, min(how.draws, MOST_DRAWS), how.seed)
        distances, away = drawn_distances(found.coarser(), contrasts, draws)
        kept = np.flatnonzero(np.isfinite(away).all(axis=1))
        n = len(kept)
        seen = found.apart(found.shares(np.ones((1, len(table)))), contrasts)[0]
        bands = distance_bands(seen, away[kept], how.level, fewest) if n > 1 else None
        said = few_and_dropped(units, bands, len(away) - n, len(away), "without some group")
        if bands is None:
            all_alike = f"all draws over {units.count} {units.kind} give the same distributions"
            return None, None, [f"No interval: {all_alike if n > 1 else 'almost no draw has a text of every group'}.", *said]
        low, high = np.clip(aggregated(contrasts, bands), self.means.card.low, self.means.card.high).tolist()
        method = (
            f"bootstrap, simultaneous (integrated distance from the differences seen) over {len(seen)} "
            f"pair{'s' * (len(seen) > 1)} of distributions, {n} draws over {units.count} {units.kind}"
        )
        return Interval(low, high, how.level, method), float(_aggregated(distances[kept], contrasts).std()), said

    def _chance(
        self, comparison: Comparison, table: pd.DataFrame, how: MeasureOptions
    ) -> tuple[PValue | None, float | None, list[str]]:
        """The p of no difference, the floor, and why there is none."""
        compared, moved = exchanged(comparison, table, None, how)
        if isinstance(moved, str):
            return None, None, [f"No p and no floor: {moved}."]
        exact, contrasts = _distributions(compared)
        found = exact.coarser()  # also for what is seen: like is compared with like
        seen = _aggregated(found.apart(found.shares(np.ones((1, moved.rows))), contrasts), contrasts)
        permuted = np.concatenate([found.apart(shares, contrasts) for shares in found.permuted(moved)])
        return p_and_floor(float(seen[0]), _aggregated(permuted, contrasts), self.means.card, moved.what)


def _distributions(comparison: Comparison) -> tuple[Distributions, Contrasts]:
    """What is compared, and its pairs of groups; Undefined where there are none."""
    if comparison.contrasts is None:
        raise Undefined(comparison.why_not)
    assert isinstance(comparison.rates, Means)  # of rates there is no distribution
    return distributions(comparison.rates), comparison.contrasts


def _aggregated(distances: Floats, contrasts: Contrasts) -> Floats:
    """The disparity (b,) of distances (b, pairs); NaN where one of them has no value."""
    found = contrasts.how.outer(contrasts.of_sets(distances))
    return np.where(np.isfinite(distances).all(axis=1), found, np.nan)
