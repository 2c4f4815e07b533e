"""Two models on the same units, for scripts/interval_coverage.py: the interval of their difference, `worse_by`, and Holm.

Beside what the package does stand two other bounds of the change of distance from the ideal, so that the choice can be judged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from coverage_cases import SEED, SIZES, Columns, Floats, draws_seed, error_of, seed_of
from scipy.special import ndtri

from fairbench.comparison.discordant import discordant
from fairbench.comparison.paired import Paired, exchange_test, interval_of_difference, inverted, largest_worse_by, worse_by
from fairbench.correlations import holm
from fairbench.disparity.comparison import Comparison
from fairbench.disparity.findings import Findings, find, interval
from fairbench.disparity.rate_disparity import RateOptions
from fairbench.errors import Undefined
from fairbench.metric import MeasureOptions, Metric
from fairbench.registry import Registry
from fairbench.stats import resampling_units, sign_flip_test
from fairbench.tables import complete

ALPHA, ALIKE = 0.05, 0.6
"""Error of the statements; correlation of the two models' answers to a unit, before they are cut into right and wrong."""

COMPARISONS, SHARED, FAMILY_DRAWS = 10, 0.5, 1_000
Cell = dict[str, Any]


@dataclass(frozen=True)
class Drawn:
    """The signed figures of two models that a metric is the largest of, less their ideal: (b, k) drawn, (k,) seen."""

    before: Floats
    after: Floats
    seen_before: Floats
    seen_after: Floats

    def turned(self) -> Drawn:
        """The models in each other's place."""
        return Drawn(self.after, self.before, self.seen_after, self.seen_before)

    def distances(self) -> tuple[Floats, Floats]:
        """(b,) how far from the ideal either model is on each draw."""
        return np.abs(self.before).max(axis=1), np.abs(self.after).max(axis=1)

    def bound(self, level: float) -> float:
        """An upper bound of |after| - |before| from simultaneous intervals of differences d and sums s; NaN without spread.

        |a| - |b| = max(min(d, s), min(-d, -s)) with d = a - b and s = a + b, and of the largest of k it is at most the largest
        of these. Where k > 1 the upper bound of the largest |a| less the lower one of the largest |b| holds as well.
        """
        drawn = [self.after - self.before, self.after + self.before, self.after, self.before]
        seen = [self.seen_after - self.seen_before, self.seen_after + self.seen_before, self.seen_after, self.seen_before]
        several = len(self.seen_after) > 1
        error = [values.std(axis=0, ddof=1) for values in drawn]
        most = np.zeros(len(self.after))
        for values, centre, e in list(zip(drawn, seen, error, strict=True))[: 4 if several else 2]:
            t = np.divide(np.abs(values - centre), e, out=np.zeros_like(values), where=e > 0)
            most = np.maximum(most, t.max(axis=1))
        if not most.any():
            return math.nan
        c = float(np.quantile(most, level))
        (d, s), (minus_d, minus_s) = ([sign * seen[i] + c * error[i] for i in (0, 1)] for sign in (1, -1))
        found = float(np.maximum(np.minimum(d, s), np.minimum(minus_d, minus_s)).max())
        if not several:
            return found
        farthest = float((np.abs(self.seen_after) + c * error[2]).max())
        return min(found, farthest - max(0.0, float((np.abs(self.seen_before) - c * error[3]).max())))


@dataclass(frozen=True)
class PairCase:
    """Two models' populations: the metric of either, and how their answers are drawn from two correlated normal numbers."""

    metric: str
    data: str
    n: int
    before: float
    after: float
    ideal: float
    fixed: Columns
    answers: Callable[[Floats, float], Columns]

    @property
    def name(self) -> str:
        """The case among all others."""
        return f"{self.metric} {self.data}, n={self.n}, {self.before:g} and {self.after:g}"

    @property
    def distance(self) -> float:
        """How much farther from the ideal the second model truly is."""
        return abs(self.after - self.ideal) - abs(self.before - self.ideal)


def pair_cases() -> Iterator[PairCase]:
    """All of them, the small ones first."""
    for n in SIZES:
        share = partial(PairCase, "crows_pairs", "independent pairs", n, ideal=50.0, fixed={"score_less": np.zeros(n)})
        for before, after in ((50, 50), (60, 60), (50, 60), (60, 40)):
            yield share(before=before, after=after, answers=_decided_pairs)
        margin = partial(PairCase, "crows_pairs_margin", "normal", n, ideal=0.0, fixed={"score_less": np.zeros(n)})
        for before, after in ((0, 0), (0.3, 0.3), (0.3, 0), (0, 0.3)):
            yield margin(before=before, after=after, answers=lambda z, mean: {"score_more": z + mean})
        for metric, sizes in (("tpr_gap", (0.3, 0.7)), ("demographic_parity_difference", (0.25,) * 4)):
            for before, after in ((0, 0), (0.05, 0.05), (0.2, 0.2), (0.2, 0.05), (0.05, 0.2)):
                yield _groups(metric, sizes, n, before, after)


def _decided_pairs(z: Floats, share: float) -> Columns:
    return {"score_more": np.where(z < ndtri(share / 100), 1.0, -1.0)}


def _groups(metric: str, sizes: Sequence[float], n: int, before: float, after: float) -> PairCase:
    of = np.repeat(np.arange(len(sizes)), [round(n * share) for share in sizes])
    place = np.linspace(-0.5, 0.5, len(sizes))[of]

    def answers(z: Floats, gap: float) -> Columns:
        return {"prediction": (z < ndtri(0.6 + gap * place)).astype(int)}

    fixed: Columns = {"group": [f"g{i}" for i in of], "label": np.ones(len(of), dtype=int)}
    return PairCase(metric, f"{len(sizes)} groups", n, before, after, 0.0, fixed, answers)


def data_sets(case: PairCase, metric: Metric) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Data sets without end: the same units, answered by both."""
    rows = len(next(iter(case.fixed.values())))
    frame = complete(pd.DataFrame({**case.fixed, **case.answers(np.zeros(rows), case.before)}), metric.info)
    for number in range(2**31):
        first, own = np.random.default_rng(seed_of(case.name, number)).normal(size=(2, rows))
        second = ALIKE * first + math.sqrt(1 - ALIKE**2) * own
        yield frame.assign(**case.answers(first, case.before)), frame.assign(**case.answers(second, case.after))


def draws_of(metric: Metric, table: pd.DataFrame, how: MeasureOptions) -> tuple[Comparison, Findings]:
    """What is compared in a table all of whose rows are, and its draws.

    Raises:
        Undefined: fewer than two groups have enough records.
    """
    comparison = metric.disparity.comparison(table, RateOptions(**metric.options))
    if comparison.contrasts is None:
        raise Undefined(comparison.why_not)
    return comparison, find(comparison, table, how)


def drawn_of(metric: Metric, pair: Paired) -> tuple[Drawn, dict[str, float | None]]:
    """Draws of both models by the same weights, of a disparity those of its signed gaps; and bounds of the change of distance.

    `worse_by` is the package's; `own_intervals` takes the upper end of the model's own simultaneous interval at 1 - ALPHA / 2 and
    the lower end of the baseline's.
    """
    info = metric.info
    if metric.disparity is None:
        values = pair.drawn()
        seen = (np.array([value - info.ideal]) for value in pair.values())
        return Drawn(*(v[:, None] - info.ideal for v in values), *seen), {"worse_by": worse_by(*values, info, ALPHA)}
    seen, drawn, ends = [], [], []
    for table in (pair.baseline, pair.model):
        comparison, found = draws_of(metric, table, replace(pair.how, level=1 - ALPHA / 2))
        seen.append(comparison.contrasts.differences(found.seen[None, :])[0])
        drawn.append(comparison.contrasts.differences(found.drawn))
        ends.append(interval(found, info)[0])
    whole = np.isfinite(drawn[0]).all(axis=1) & np.isfinite(drawn[1]).all(axis=1)  # a draw may lack a small group
    drawn = [values[whole] for values in drawn]
    apart = None if None in ends else ends[1].high - ends[0].low
    return Drawn(*drawn, *seen), {"worse_by": largest_worse_by(*drawn, tuple(seen), ALPHA), "own_intervals": apart}


def compared(case: PairCase, metric: Metric, sets: int, draws: int) -> Cell:
    """One cell: how often each interval and bound holds, and how far the bounds lie above the truth on average."""
    difference, held, made = case.after - case.before, Held(), data_sets(case, metric)
    for number in range(sets):
        how = MeasureOptions(draws=draws, seed=draws_seed(case.name, number))
        pair = Paired(metric, *next(made), how)
        found, bounds = drawn_of(metric, pair)
        near, far = found.distances()
        change = far - near if metric.disparity else (found.after - found.before)[:, 0]
        between = interval_of_difference(change, 1 - ALPHA, resampling_units(pair.baseline))
        if (decided := discordant(pair)) is not None:  # a percentage of units that are right or wrong needs no draws
            between, bounds["worse_by"] = decided.interval(1 - ALPHA), decided.worse_by(ALPHA)
        held.interval("interval", between.low if between else math.nan, between.high if between else math.nan, difference)
        if metric.disparity:
            ends = -found.turned().bound(1 - ALPHA), found.bound(1 - ALPHA)
            held.interval("interval_of_differences_and_sums", *ends, difference)
        for name, bound in bounds.items():
            held.bound(name, math.nan if bound is None else bound, case.distance)
        held.bound("percentile", float(np.quantile(far - near, 1 - ALPHA)), case.distance)
        held.bound("differences_and_sums", found.bound(1 - 2 * ALPHA), case.distance)
    covered = {name: int(np.sum(held_by)) for name, held_by in held.holds.items()}
    share = covered["interval"] / sets
    return {
        "metric": case.metric, "data": case.data, "n": case.n, "baseline": case.before, "model": case.after,
        "difference": difference, "distance": case.distance, "alike": ALIKE, "sets": sets, "draws": draws, "seed": SEED,
        "alpha": ALPHA, "share": share, "error": error_of(share, sets), "covered": covered,
        "mean_width_or_excess": {name: held.mean(name) for name in covered},
        "none": {name: int(np.isnan(sizes).sum()) for name, sizes in held.sizes.items()},
    }  # fmt: skip


@dataclass
class Held:
    """Whether each interval or bound held in each set, and its width, or how far it lay above the truth; NaN where none."""

    holds: dict[str, list[bool]] = field(default_factory=dict)
    sizes: dict[str, list[float]] = field(default_factory=dict)

    def interval(self, name: str, low: float, high: float, truth: float) -> None:
        """Adds a set's interval."""
        self.holds.setdefault(name, []).append(low <= truth <= high)
        self.sizes.setdefault(name, []).append(high - low)

    def bound(self, name: str, bound: float, truth: float) -> None:
        """Adds a set's bound; one that is the truth but for rounding holds."""
        self.holds.setdefault(name, []).append(bound >= truth - 1e-12)
        self.sizes.setdefault(name, []).append(bound - truth)

    def mean(self, name: str) -> float | None:
        """The mean width or excess of those that there are."""
        found = np.array(self.sizes[name])[np.isfinite(self.sizes[name])]
        return float(found.mean()) if len(found) else None


def pairs(registry: Registry, sets: int, draws: int) -> Iterator[tuple[str, Callable[[], Cell]]]:
    """The cells of two models."""
    for case in pair_cases():
        yield case.name, partial(compared, case, registry.metric(case.metric), sets, draws)


def families(registry: Registry, sets: int) -> Iterator[tuple[str, Callable[[], Cell]]]:
    """Families of ten true nulls, by test."""
    share, margin = registry.metric("crows_pairs"), registry.metric("crows_pairs_margin")
    for test, metric, sizes in (
        ("sign flips", margin, (12,)),
        ("McNemar", share, (50,)),
        ("models exchanged", margin, (50,)),
        ("paired bootstrap inverted", margin, (50, 200)),
    ):
        for n in sizes:
            yield f"{test}, n={n}", partial(family_error, test, metric, n, sets)


def family_error(test: str, metric: Metric, n: int, families: int) -> Cell:
    """How often a family has a p of at most ALPHA, before and after Holm's correction; both models are alike in each."""
    name = f"{test}, n={n}"
    found = np.empty((families, COMPARISONS))
    frame = complete(pd.DataFrame({"score_more": np.zeros(n), "score_less": 0.0}), metric.info)
    for number in range(families):
        rng = np.random.default_rng(seed_of(name, number))
        common, own = rng.normal(size=(2, n, 1)), rng.normal(size=(2, n, COMPARISONS))
        scores = math.sqrt(SHARED) * common + math.sqrt(1 - SHARED) * own
        how = MeasureOptions(draws=FAMILY_DRAWS, seed=draws_seed(name, number))
        for k in range(COMPARISONS):
            pair = Paired(metric, *(frame.assign(score_more=score) for score in scores[:, :, k]), how)
            found[number, k] = one_p(test, pair)
    corrected = np.array([holm(list(p)) for p in found])
    share = float((corrected.min(axis=1) <= ALPHA).mean())
    return {
        "test": test, "n": n, "families": families, "sets": families, "comparisons": COMPARISONS, "correlation": SHARED,
        "draws": FAMILY_DRAWS, "seed": SEED, "alpha": ALPHA, "single_tests": float((found <= ALPHA).mean()),
        "any_uncorrected": float((found.min(axis=1) <= ALPHA).mean()), "share": share, "error": error_of(share, families),
        "meets": share < ALPHA,
    }  # fmt: skip


def one_p(test: str, pair: Paired) -> float:
    """The p of one comparison of margins, or of what they decide."""
    if test == "sign flips":
        before, after = (table["score_more"].to_numpy() for table in (pair.baseline, pair.model))
        return sign_flip_test(after - before, np.random.default_rng(pair.how.seed), "records").value
    if test == "McNemar":
        decided = discordant(pair)
        p = decided.p() if decided else None
    elif test == "models exchanged":
        p = exchange_test(pair)
    else:
        drawn = pair.drawn()
        p = inverted(drawn[1] - drawn[0])
    if p is None:
        raise ValueError(f"{test} has no p")
    return p.value
