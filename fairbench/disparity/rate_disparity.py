"""A metric that compares rates of groups, or means of a number: its value under weights, and what stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.decisions import labels
from fairbench.disparity.comparison import Comparison, compare
from fairbench.disparity.contrasts import GAP, Aggregation
from fairbench.disparity.findings import Findings, chance, find, interval, rate_scores
from fairbench.disparity.permutation import steady
from fairbench.disparity.rates import Outcome
from fairbench.errors import Undefined
from fairbench.groups import find_groups
from fairbench.metric import MeasureOptions
from fairbench.scores import Evidence, MetricInfo, Score
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

NO_GROUP = "speaks of no group"
SMALL_GROUP = "speaks of no group with enough records"


@dataclass(frozen=True, kw_only=True)
class RateOptions:
    """The options that a metric of rates may have; the cards and functions of `metrics/` say what they mean."""

    group_by: str = ""
    minimum: int = 10
    positive: int = 1
    aggregate: str = ""
    threshold: str | float = "fixed"


def every_rate(comparison: Comparison, rates: Floats) -> dict[str, Floats]:
    """The rates (b, f) by the names of their groups."""
    return {comparison.name(number): rates[:, number] for number in range(rates.shape[1])}


@dataclass(frozen=True, kw_only=True)
class RateDisparity:
    """How a metric compares rates; as its `disparity` it finds what stands beside the value.

    Attributes:
        card: of the metric: its range and ideal.
        outcomes: (answers, options) -> what the rates are of.
        how: what becomes of the differences, by the option `aggregate`; "" where the metric has no such option.
        overall: groups are compared with all records, not with each other.
        every: the metric has no value where fewer than two groups can be compared in one of the outcomes.
        within_class: the rates are of one gold class, which permutations keep.
        samples: a record may have several rows, its samples: `minimum` counts records, and permutations keep their rows together.
        shown: the figures that are compared, by name.
        drawn: (comparison, rates (b, f)) -> the same figures under weights, (b,) by name.
        further: details, and counts, of the findings.
    """

    card: MetricInfo
    outcomes: Callable[[pd.DataFrame, RateOptions], Sequence[Outcome]]
    how: Mapping[str, Aggregation]
    overall: bool = False
    every: bool = True
    within_class: bool = True
    samples: bool = False
    shown: Callable[[Findings], dict[str, Score]] = rate_scores
    drawn: Callable[[Comparison, Floats], dict[str, Floats]] = every_rate
    further: Callable[[Comparison], tuple[dict[str, float], dict[str, int]]] | None = None

    def values(self, answers: pd.DataFrame, weights: Floats, **options: Any) -> Floats:
        """The disparity under each row of weights (b, n): (b,); NaN where a rate that is compared has no weight.

        Raises:
            Undefined: no group is named, fewer than two have enough records, or a ratio is one of zeros.
        """
        found = self.comparison(answers, RateOptions(**options))
        if found.contrasts is None:
            raise Undefined(found.why_not)
        rates = found.rates.at(weights)
        if found.contrasts.how.log and not (rates[:, found.contrasts.rates] > 0).any():
            raise Undefined("the rate of every group is 0, and a ratio of zeros has no value")
        return found.contrasts.values(rates)

    def unused(self, answers: pd.DataFrame, **options: Any) -> list[str | None]:
        """For each row why no rate that is compared is made of it, or null."""
        chosen = RateOptions(**options)
        if chosen.threshold == "eer":  # it is found on all records
            return [None] * len(answers)
        try:
            found = self.comparison(answers, chosen)
        except Undefined:  # which the score says
            return [None] * len(answers)
        counted = np.logical_or.reduce([outcome.of for outcome in found.outcomes])
        grouped = found.rates.member.sum(axis=1)[found.rates.pattern] > 0
        reasons = np.where(grouped, SMALL_GROUP, NO_GROUP).astype(object)
        reasons[~counted] = found.outcomes[0].why_not
        reasons[found.used()] = None
        unused: list[str | None] = reasons.tolist()
        return unused

    def evidence(self, answers: pd.DataFrame, options: Mapping[str, Any], how: MeasureOptions) -> Evidence:
        """Interval, floor and p of the disparity, and the figures that are compared."""
        ready = self.ready(answers, options)
        if ready is None:
            return Evidence()
        table, comparison = ready
        findings = find(comparison, table, how)
        between, stderr = interval(findings, self.card)
        p, floor, no_p = chance(comparison, table, labels(table) if self.within_class else None, self.card, how)
        details, counts = self.further(comparison) if self.further else ({}, {})
        return Evidence(
            interval=between,
            stderr=stderr,
            p=p,
            floor=floor,
            by_group=self.shown(findings),
            counts={**comparison.counts(), **counts},
            details=details,
            warnings=(*comparison.warnings(), *findings.warnings, *no_p),
        )

    def figures(self, answers: pd.DataFrame, weights: Floats, options: Mapping[str, Any]) -> dict[str, Floats]:
        """The figures that are compared, under each row of weights (b, n): (b,) by name, NaN where one is of no record."""
        found = self.comparison(answers, RateOptions(**options))
        return self.drawn(found, found.rates.at(weights))

    def signed(self, answers: pd.DataFrame, weights: Floats, options: Mapping[str, Any]) -> Floats | None:
        """The signed differences (b, k) of which the value is the largest in size; null where it is another aggregation."""
        found = self.comparison(answers, RateOptions(**options))
        if found.contrasts is None or found.contrasts.how != GAP:
            return None
        return found.contrasts.differences(found.rates.at(weights))

    def ready(self, answers: pd.DataFrame, options: Mapping[str, Any]) -> tuple[pd.DataFrame, Comparison] | None:
        """The rows that are in some rate, in a steady order, and what they say of the groups; null where there are none."""
        table = steady(answers)
        try:
            every_row = self.comparison(table, RateOptions(**options))
        except Undefined:  # the records name no groups
            return None
        rows = every_row.rates.records()
        return (table.loc[rows], every_row.only(rows)) if rows.any() else None

    def comparison(self, answers: pd.DataFrame, options: RateOptions) -> Comparison:
        """What the table says of the groups; raises Undefined where its records name none."""
        samples = self.samples and "id" in answers.columns
        return compare(
            self.outcomes(answers, options),
            find_groups(answers, options.group_by),
            self.how[options.aggregate],
            options.minimum,
            overall=self.overall,
            every=self.every,
            record=np.unique(answers["id"].astype(str).to_numpy(dtype=str), return_inverse=True)[1] if samples else None,
        )
