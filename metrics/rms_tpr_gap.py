"""GAP RMS (De-Arteaga et al. 2019; Romanov et al. 2019): the TPR gaps of all classes in one figure.

Example:
    >>> import numpy as np, pandas as pd
    >>> label = [0] * 20 + [1] * 20
    >>> answers = pd.DataFrame({"group": (["female"] * 10 + ["male"] * 10) * 2, "label": label,
    ...                         "prediction": [0] * 9 + [1] + [0] * 6 + [1] * 4 + [1] * 6 + [0] * 4 + [1] * 10})
    >>> float(rms_tpr_gap(answers, np.ones((1, 40)))[0].round(6))  # gaps .3 and -.4
    0.353553
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fairbench.disparity.comparison import Comparison
from fairbench.disparity.contrasts import ROOT_MEAN_SQUARE
from fairbench.disparity.findings import Findings
from fairbench.disparity.rate_disparity import RateDisparity, RateOptions
from fairbench.disparity.rates import Outcome, true_classes
from fairbench.scores import Interval, MetricInfo, Score
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

INFO = MetricInfo(
    title="Root mean square of the TPR gaps of all classes (GAP RMS)",
    reads="Labelled",
    probe="classification",
    columns=("label", "prediction"),
    kind="extrinsic",
    ideal=0.0,
    low=0.0,
    high=1.0,
    direction="larger = classes are found more unequally often among the groups' records",
    construct="Whether a classifier of many classes (occupations) is right equally often about the groups, class by class.",
    formula=(
        "sqrt(mean over classes of gap_y^2), gap_y = TPR of the first group by name minus TPR of the second (female - male), of "
        "more than two groups the largest minus the smallest TPR. All classes with two groups of enough records count, also "
        "those that are never predicted. Debiased: sqrt(max(0, mean(gap_y^2 - se_y^2))) with se_y^2 = sum of p (1 - p)/(n - 1)"
    ),
    cite="De-Arteaga et al. 2019, FAT*; root mean square: Romanov et al. 2019, NAACL",
    interval="simultaneous",
    by_group=False,
    by_notion=True,
    threats=(
        "Unsigned, and made of noisy gaps: above 0 by chance alone, the more so the fewer records a class has. Read it beside "
        "its floor, its p and the debiased figure.",
        "Its interval covers all classes at once and is wide.",
        "All classes weigh alike, however rare.",
        "Published code counts only classes with at least one right prediction; here a class that is never found has a gap of 0.",
        "It trusts the labels: where these are biased, a classifier that repeats the bias looks fair.",
    ),
    options={"group_by": "", "minimum": 10},
    limits={"minimum": (1, np.inf)},
)

FEWEST_FOR_CORRELATION = 3


def rms_tpr_gap(answers: pd.DataFrame, weights: Floats, group_by: str = "", minimum: int = 10) -> Floats:
    """The root of the mean over classes of the squared gap between the groups' TPR.

    Args:
        answers: columns `label`, `prediction`, and `groups` or `group`.
        weights: (b, n).
        group_by: the notion whose groups are compared ("gender"); several, joined by commas, for their intersections.
        minimum: a group with fewer records of a class is left out of that class, and a class with fewer than two groups of the
            mean; both are counted.

    Returns:
        (b,) in [0, 1], ideal 0.

    Raises:
        Undefined: no class has two groups with enough records.
    """
    return disparity.values(answers, weights, group_by=group_by, minimum=minimum)


def _outcomes(answers: pd.DataFrame, options: RateOptions) -> list[Outcome]:
    return true_classes(answers)


def _gaps(findings: Findings) -> dict[str, Score]:
    """The gap of every class by its name, also of those that are left out: signed where there are two groups."""
    comparison = findings.of
    return {outcome.name: _gap(findings, number) for number, outcome in enumerate(comparison.outcomes)}


def _gap(findings: Findings, outcome: int) -> Score:
    comparison, g = findings.of, len(findings.of.groups)
    compared = comparison.compared[outcome] if comparison.contrasts is not None else np.zeros(g, dtype=bool)
    size = comparison.rates.size[outcome]
    shown = compared if compared.any() else size > 0
    signed = g == 2
    tpr = findings.seen[outcome * g : (outcome + 1) * g][shown]
    value = None if len(tpr) < 2 else float(tpr[0] - tpr[1]) if signed else float(tpr.max() - tpr.min())
    few = f"Fewer than two groups have {comparison.minimum} records: left out of the mean."
    n = int(size[shown].sum())
    first, second = comparison.groups[0], comparison.groups[-1]
    return Score(
        value=value, interval=_band(findings, outcome, signed), p_value=None, p_method=None, n=n, n_total=int(size.sum()),
        n_records=n, ideal=0.0, unit="record",
        direction=f"+ = {first} found more often than {second}" if signed else "larger = found more unequally often",
        undefined="fewer than two groups have a record of this class" if value is None else None,
        warnings=() if compared.any() else (few,),
    )  # fmt: skip


def _drawn_gaps(comparison: Comparison, rates: Floats) -> dict[str, Floats]:
    """The gap of every class under each row of rates (b, f), as `_gap` has it: (b,) by name."""
    g = len(comparison.groups)
    found = {}
    for number, outcome in enumerate(comparison.outcomes):
        compared, size = comparison.compared[number], comparison.rates.size[number]
        shown = compared if comparison.contrasts is not None and compared.any() else size > 0
        tpr = rates[:, number * g : (number + 1) * g][:, shown]
        if tpr.shape[1] >= 2:
            found[outcome.name] = tpr[:, 0] - tpr[:, 1] if g == 2 else tpr.max(axis=1) - tpr.min(axis=1)
    return found


def _band(findings: Findings, outcome: int, signed: bool) -> Interval | None:
    """The interval of a class's gap, simultaneous with those of all other classes."""
    contrasts, bands = findings.of.contrasts, findings.bands
    if contrasts is None or bands is None:
        return None
    own = contrasts.outcome == outcome
    if not bands.stderr[own].any():
        return None
    d, reach = bands.seen[own], bands.reach[own]
    low, high = (d - reach, d + reach) if signed else (np.maximum(0, np.abs(d) - reach), np.abs(d) + reach)
    method = f"bootstrap, simultaneous (max-|t|) over {len(contrasts.first)} difference{'s' * (len(contrasts.first) > 1)}"
    return Interval(max(float(low.max()), -1.0), min(float(high.max()), 1.0), findings.level, method)


def _further(comparison: Comparison) -> tuple[dict[str, float], dict[str, int]]:
    """Debiased RMS, mean |gap|, and how the gap goes with the share of the first group; and how many classes these are of."""
    kept = np.flatnonzero(comparison.compared.any(axis=1)) if comparison.contrasts is not None else np.empty(0, dtype=np.intp)
    counts = {"classes": len(kept), "classes_left_out": len(comparison.outcomes) - len(kept)}
    if not len(kept):
        return {}, counts
    g = len(comparison.groups)
    tpr = comparison.rates.at(np.ones((1, len(comparison.rates.pattern))))[0].reshape(-1, g)[kept]
    size, compared = comparison.rates.size[kept], comparison.compared[kept]
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = tpr * (1 - tpr) / (size - 1)
    rows = np.arange(len(kept))
    top, bottom = np.where(compared, tpr, -np.inf).argmax(axis=1), np.where(compared, tpr, np.inf).argmin(axis=1)
    gap = tpr[rows, top] - tpr[rows, bottom]
    noise = np.where(top == bottom, 0.0, variance[rows, top] + variance[rows, bottom])
    details = {"mean_absolute_gap": float(gap.mean())}
    if np.isfinite(noise).all():  # of a single record nothing is known of the noise
        details = {"debiased_rms": math.sqrt(max(0.0, float((gap**2 - noise).mean()))), **details}
    if g == 2 and len(kept) >= FEWEST_FOR_CORRELATION:
        signed, share = tpr[:, 0] - tpr[:, 1], size[:, 0] / size.sum(axis=1)
        if signed.std() > 0 and share.std() > 0:
            details["correlation_with_share_of_first_group"] = float(np.corrcoef(signed, share)[0, 1])
    return details, counts


disparity = RateDisparity(
    card=INFO, outcomes=_outcomes, how={"": ROOT_MEAN_SQUARE}, every=False, shown=_gaps, drawn=_drawn_gaps, further=_further
)
unused = disparity.unused
