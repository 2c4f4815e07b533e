"""How well figures follow judgements on one sample of examples, and people each other, with intervals over the examples."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbench.correlations import constant, krippendorff_alpha, pearson, spearman, steiger, williams
from fairbench.disparity.aucs import roc_auc
from fairbench.errors import Undefined
from fairbench.judgements import Figures, Judgements
from fairbench.metric import MeasureOptions
from fairbench.scores import Interval
from fairbench.stats import Floats, Units, bootstrap_weights, percentile_interval, resampling_units

OF_MAJORITY = ("point_biserial", "auc")
MEASURES = ("point_biserial", "pearson", "spearman", "auc")
"""Ways to say how well a figure follows the judgements: by what most people say, or by the share who say unfair."""

CORRELATIONS = {"pearson": pearson, "spearman": spearman}
TESTS = {"williams": williams, "steiger": steiger}
"""Tests of two correlations with the same judgements; for Spearman's they are approximate."""

FEWEST = 3
BLOCK_BYTES = 2**21
"""So many bytes of weights are worked on at a time."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: null where undefined; then `undefined` says why.
        n: examples that it rests on.
        p: of SciPy's test that a correlation is 0, two-sided.
        dropped: bootstrap draws without a value (all drawn examples judged alike).
    """

    value: float | None
    n: int
    interval: Interval | None = None
    p: float | None = None
    dropped: int = 0
    undefined: str | None = None


@dataclass(frozen=True, kw_only=True)
class Tested:
    """The outcome of a test of two correlations, or why it has none.

    `p_holm` is p after Holm's correction over all pairs of figures; null where there is one pair.
    """

    statistic: float | None = None
    df: int | None = None
    p: float | None = None
    p_holm: float | None = None
    undefined: str | None = None


@dataclass(frozen=True, kw_only=True)
class People:
    """Who judged, and how far they agree.

    Attributes:
        examples: judged examples.
        judgements: of all of them.
        annotators: people; null where the table does not tell.
        fewest, most: judgements of an example.
        unfair: mean over examples of the share who say unfair.
        ties: examples that as many people find fair as unfair; they are in no point-biserial r and no AUC.
        alpha: Krippendorff's alpha over the examples with two judgements or more (its n).
        agreeing: share of pairs of judgements of one example that are the same, each example's judgements counted once; null
            without pairs.
    """

    examples: int
    judgements: int
    annotators: int | None
    fewest: int
    most: int
    unfair: float
    ties: int
    alpha: Estimate
    agreeing: float | None


@dataclass(frozen=True)
class Sample:
    """Examples that have judgements and k figures.

    Attributes:
        figures: (k, n).
        share: (n,) share of people who say unfair.
        majority: (n,) 1 where most say unfair, 0 where most say fair, NaN at a tie.
        units: what is resampled: examples, or clusters of them.
    """

    figures: Floats
    share: Floats
    majority: Floats
    units: Units

    @property
    def n(self) -> int:
        """Number of examples."""
        return len(self.share)

    def read(self, measure: str) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """(k, m) figures and (m,) judgements of the examples that a measure reads, and (n,) which these are."""
        if measure not in OF_MAJORITY:
            return self.figures, self.share, np.ones(self.n, dtype=bool)
        decided = np.isfinite(self.majority)
        return self.figures[:, decided], self.majority[decided], decided

    def values(self, measure: str, weights: Floats) -> Floats:
        """(k, b) the measure of every figure under each row of weights (b, n); NaN where it has none."""
        figures, judged, read = self.read(measure)
        weights = weights if read.all() else weights[:, read]
        if measure == "auc":
            return np.stack([roc_auc(x, judged == 1, weights) for x in figures])
        correlation = CORRELATIONS.get(measure, pearson)
        return np.stack([correlation(x, judged, weights) for x in figures])

    def undefined(self, measure: str) -> str | None:
        """Why a measure has no value for one of the figures, or null."""
        figures, judged, _ = self.read(measure)
        if len(judged) < FEWEST:
            return f"{len(judged)} examples, wanted at least {FEWEST}"
        if any(constant(x) for x in figures):
            return "the figure is the same for every example"
        if constant(judged):
            return f"every example is judged {'fair' if judged[0] == 0 else 'unfair' if judged[0] == 1 else 'alike'}"
        return None


def people(judged: Judgements, how: MeasureOptions) -> People:
    """Who judged, and how far they agree."""
    counts = judged.counts
    each = counts.sum(axis=1)
    several = each >= 2
    paired, size = counts[several], each[several]
    same = (paired**2).sum(axis=1) - size
    return People(
        examples=len(each), judgements=int(each.sum()), annotators=judged.annotators,
        fewest=int(each.min()), most=int(each.max()), unfair=math.fsum(judged.share) / len(each),
        ties=int(np.isnan(judged.majority).sum()), alpha=_alpha(judged, several, how),
        agreeing=float((same / (size - 1)).sum() / size.sum()) if several.any() else None,
    )  # fmt: skip


def _alpha(judged: Judgements, several: Any, how: MeasureOptions) -> Estimate:
    """Krippendorff's alpha over the examples with two judgements or more."""
    counts, n = judged.counts[several], int(several.sum())
    if not n:
        return Estimate(value=None, n=0, undefined="no example was judged by two people")
    if not counts.sum(axis=0).all():
        return Estimate(value=None, n=n, undefined="all judgements are the same")
    kept = np.flatnonzero(several)
    resampled = units([judged.ids[i] for i in kept], [judged.cluster[i] for i in kept])
    drawn = [krippendorff_alpha(counts, weights) for weights in bootstrap_weights(resampled, how.draws, how.seed)]
    values = np.concatenate([krippendorff_alpha(counts, np.ones((1, n))), *drawn])
    return with_interval(values, n, how, resampled)


def sample(judged: Judgements, figures: Sequence[Figures]) -> Sample:
    """The judged examples that have all of the figures.

    An example's cluster is the one that the judgements name, else the one that a figure's table names.
    """
    kept = [i for i, key in enumerate(judged.ids) if all(key in one.values for one in figures)]
    ids = [judged.ids[i] for i in kept]
    values = np.array([[one.values[key] for key in ids] for one in figures], dtype=float).reshape(len(figures), len(ids))
    clusters = [judged.cluster[i] or next(filter(None, (one.cluster.get(judged.ids[i]) for one in figures)), None) for i in kept]
    return Sample(values, judged.share[kept], judged.majority[kept], units(ids, clusters))


def units(ids: Sequence[str], clusters: Sequence[str | None]) -> Units:
    """What is resampled: clusters where several examples share one, else examples."""
    import pandas as pd

    found = resampling_units(pd.DataFrame({"id": ids, "cluster": clusters, "stratum": None}, dtype=object))
    return dataclasses.replace(found, kind="examples" if found.count == len(ids) else "clusters")


def estimates(drawn_from: Sample, how: MeasureOptions) -> dict[str, Estimate]:
    """Each of MEASURES for the sample's only figure."""
    found = {}
    for measure, values in _drawn(drawn_from, how).items():
        figures, judged, _ = drawn_from.read(measure)
        p = _p(measure, figures[0], judged) if drawn_from.undefined(measure) is None else None
        found[measure] = _estimate(drawn_from, measure, values[0], how, p)
    return found


def differences(drawn_from: Sample, how: MeasureOptions) -> dict[str, Estimate]:
    """Each of MEASURES for the first of two figures less that for the second, both from the same draws."""
    drawn = _drawn(drawn_from, how)
    return {measure: _estimate(drawn_from, measure, values[0] - values[1], how, None) for measure, values in drawn.items()}


def _drawn(drawn_from: Sample, how: MeasureOptions) -> dict[str, Floats]:
    """(k, 1 + draws) the value of each measure, and then its bootstrap draws; nothing for a measure that is undefined."""
    defined = [measure for measure in MEASURES if drawn_from.undefined(measure) is None]
    chunks = {measure: [drawn_from.values(measure, np.ones((1, drawn_from.n)))] for measure in defined}
    size = max(1, BLOCK_BYTES // (8 * max(drawn_from.n, 1)))
    for weights in bootstrap_weights(drawn_from.units, how.draws, how.seed) if defined else ():
        for start in range(0, len(weights), size):
            for measure in defined:
                chunks[measure].append(drawn_from.values(measure, weights[start : start + size]))
    nothing = np.full((len(drawn_from.figures), 1), np.nan)
    return {measure: np.concatenate(chunks.get(measure, [nothing]), axis=1) for measure in MEASURES}


def _estimate(drawn_from: Sample, measure: str, values: Floats, how: MeasureOptions, p: float | None) -> Estimate:
    """A value and its draws (1 + draws,) as an estimate."""
    n, why = len(drawn_from.read(measure)[1]), drawn_from.undefined(measure)
    if why is not None:
        return Estimate(value=None, n=n, undefined=why)
    return with_interval(values, n, how, drawn_from.units, p)


def with_interval(values: Floats, n: int, how: MeasureOptions, units: Units, p: float | None = None) -> Estimate:
    """A value and its bootstrap draws (1 + draws,) as an estimate over n examples."""
    kept = values[1:][np.isfinite(values[1:])]
    over = f"{len(kept)} draws over {units.count} {units.kind}"
    interval = percentile_interval(kept, how.level, f"bootstrap, percentile, {over}")
    return Estimate(value=float(values[0]), n=n, interval=interval, p=p, dropped=len(values) - 1 - len(kept))


def _p(measure: str, x: Floats, judged: Floats) -> float | None:
    """Two-sided p of no correlation, which for Pearson's supposes a normal figure; an AUC has none of its own."""
    from scipy import stats

    tests = {
        "point_biserial": lambda: stats.pointbiserialr(judged, x),
        "pearson": lambda: stats.pearsonr(x, judged),
        "spearman": lambda: stats.spearmanr(x, judged),
    }
    return float(tests[measure]().pvalue) if measure in tests else None


def tested(test: str, measure: str, drawn_from: Sample) -> Tested:
    """A test of the sample's two correlations."""
    why = drawn_from.undefined(measure)
    if why is not None:
        return Tested(undefined=why)
    correlation, ones = CORRELATIONS[measure], np.ones((1, drawn_from.n))
    k, h = drawn_from.figures
    r_jk, r_jh, r_kh = (float(correlation(x, y, ones)[0]) for x, y in ((drawn_from.share, k), (drawn_from.share, h), (k, h)))
    try:
        found = TESTS[test](r_jk, r_jh, r_kh, drawn_from.n)
    except Undefined as why_not:
        return Tested(undefined=str(why_not))
    return Tested(statistic=found.statistic, df=found.df, p=found.p)
