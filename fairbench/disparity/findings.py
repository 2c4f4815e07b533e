"""What is known beside a disparity's value: its interval, the rates of the groups, and what chance alone would bring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.disparity.comparison import Comparison
from fairbench.disparity.contrasts import Contrasts
from fairbench.disparity.permutation import MOST_PERMUTATIONS, Permutations, against_chance, exchangeable, permutations
from fairbench.disparity.rates import Outcome
from fairbench.disparity.simultaneous import Bands, aggregated, bands, usable_draws
from fairbench.metric import MeasureOptions
from fairbench.resampling import DROPPED_WARNING, FEW_UNITS
from fairbench.scores import Interval, MetricInfo, PValue, Score
from fairbench.stats import (
    Floats,
    Units,
    bootstrap_weights,
    percentile_interval,
    resampling_units,
    unanimous_interval,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Findings:
    """A comparison with its draws.

    Attributes:
        of: the comparison, of k differences among f rates.
        level: of all intervals.
        units: what is resampled.
        seen: (f,) the rates.
        drawn: (b, f) the rates of the bootstrap's draws; b = 0 where there are none.
        kept: (b', f) those in which every difference has a value.
        bands: simultaneous intervals of the differences; null where there are none.
        warnings: why not, and what else is to be said of the draws.
    """

    of: Comparison
    level: float
    units: Units
    seen: Floats
    drawn: Floats
    kept: Floats
    bands: Bands | None
    warnings: tuple[str, ...]


def find(comparison: Comparison, table: pd.DataFrame, how: MeasureOptions) -> Findings:
    """Draws the rates and finds the simultaneous intervals of their differences.

    Args:
        comparison: of the table's rows.
        table: at least one row, each of them in some rate.
        how: level, draws, seed.
    """
    units = resampling_units(table)
    seen = comparison.rates.at(np.ones((1, len(table))))[0]
    drawn = kept = np.empty((0, len(seen)))
    if how.draws and units.count > 1:
        drawn = np.concatenate([comparison.rates.at(weights) for weights in bootstrap_weights(units, how.draws, how.seed)])
    found, said = None, []
    if how.draws and comparison.contrasts is not None:
        kept = usable_draws(comparison.contrasts, drawn)
        why_not = _no_interval(comparison.contrasts, seen, kept, units)
        found = None if why_not else bands(comparison.contrasts, seen, kept, how.level)
        if found is None:
            why_not = why_not or f"all draws over {units.count} {units.kind} give the same differences"
            said.append(f"No interval: {why_not}.")
        log, without = "in which a rate had no logarithm or was of no record", f"without some {comparison.figure}"
        what = log if comparison.contrasts.how.log else without
        said += few_and_dropped(units, found, len(drawn) - len(kept), len(drawn), what)
    return Findings(comparison, how.level, units, seen, drawn, kept, found, tuple(said))


def few_and_dropped(units: Units, found: Bands | None, dropped: int, drawn: int, what: str) -> list[str]:
    """What is to be said of an interval of few units, and of draws that were dropped; `what` says which, in words."""
    few = [f"The interval rests on {units.count} {units.kind} only and is not to be relied on."]
    lost = [f"{dropped} of {drawn} bootstrap draws, {what}, were dropped."]
    return few * (found is not None and units.count < FEW_UNITS) + lost * (dropped > DROPPED_WARNING * drawn)


def interval(findings: Findings, card: MetricInfo) -> tuple[Interval | None, float | None]:
    """The interval of the disparity within the card's range, and the standard deviation of its draws."""
    contrasts = findings.of.contrasts
    if contrasts is None or findings.bands is None:
        return None, None
    low, high = np.clip(aggregated(contrasts, findings.bands), card.low, card.high).tolist()
    method = (
        f"bootstrap, simultaneous (max-|t|) over {len(contrasts.first)} difference{'s' * (len(contrasts.first) > 1)}"
        f"{' of log rates' * contrasts.how.log}, {len(findings.kept)} draws over {findings.units.count} {findings.units.kind}"
    )
    return Interval(low, high, findings.level, method), float(contrasts.values(findings.kept).std())


def rate_scores(findings: Findings) -> dict[str, Score]:
    """Every rate by the name of its group, with a percentile interval: also those of too few records to be compared."""
    comparison, units = findings.of, findings.units
    found = {}
    for number, (n, rows) in enumerate(zip(comparison.rates.size.flat, comparison.rates.rows.flat, strict=True)):
        outcome = comparison.outcomes[number // len(comparison.groups)]
        drawn = findings.drawn[:, number]
        varied = drawn[np.isfinite(drawn)]
        between = _of_rate(findings, number, outcome) if n else None
        said = [f"Fewer than {comparison.minimum} records: left out of the comparison."] * bool(n < comparison.minimum)
        if n and len(drawn) and between is None and not outcome.counted:
            said.append(f"No interval: all draws over {units.count} {units.kind} give the same value.")
        found[comparison.name(number)] = Score(
            value=float(findings.seen[number]) if n else None,
            interval=between,
            p_value=None, p_method=None, n=int(n), n_total=int(n), n_records=int(rows), ideal=None, unit="record",
            direction=f"the group's {outcome.name}",
            stderr=float(varied.std()) if len(varied) else None,
            undefined=None if n else f"no record of the group counts for this {comparison.figure}",
            warnings=tuple(said),
        )  # fmt: skip
    return found


def chance(
    comparison: Comparison, table: pd.DataFrame, blocks: NDArray[Any] | None, card: MetricInfo, how: MeasureOptions
) -> tuple[PValue | None, float | None, list[str]]:
    """The p of no difference between the groups, the floor, and why there is none.

    Only records in a rate that is compared are permuted: what others are like is no evidence on these groups.

    Args:
        comparison: of the table's rows.
        table: the rows, in a steady order.
        blocks: (n,) what no permutation crosses.
        card: of the metric, for its ideal.
        how: draws and seed.
    """
    contrasts = comparison.contrasts
    if contrasts is None or not how.draws:
        return None, None, []
    compared, moved = exchanged(comparison, table, blocks, how)
    if isinstance(moved, str):
        return None, None, [f"No p and no floor: {moved}."]
    seen = contrasts.values(compared.rates.at(np.ones((1, moved.rows))))
    permuted = contrasts.values(compared.rates.permuted(moved))
    what = moved.what if blocks is None else f"{moved.what}, within gold classes"
    return p_and_floor(float(seen[0]), permuted, card, what)


def exchanged(
    comparison: Comparison, table: pd.DataFrame, blocks: NDArray[Any] | None, how: MeasureOptions
) -> tuple[Comparison, Permutations | str]:
    """The rows that are compared, and ways to give them each other's groups; arguments as for `chance`."""
    rows = comparison.used()
    compared = comparison.only(rows)
    moved = permutations(
        compared.rates.member[compared.rates.pattern] > 0,
        None if blocks is None else blocks[rows],
        exchangeable(table[rows]),
        min(how.draws, MOST_PERMUTATIONS),
        np.random.default_rng(how.seed),
        record=compared.record,
    )
    return compared, moved


def p_and_floor(seen: float, permuted: Floats, card: MetricInfo, what: str) -> tuple[PValue | None, float | None, list[str]]:
    """The p and the floor of a value among those of permuted groups, (b,), or why there are none."""
    p, floor = against_chance(seen, permuted, card.ideal, what)
    return p, floor, [] if p else ["No p and no floor: no permutation of the groups gives another value."]


def _no_interval(contrasts: Contrasts, seen: Floats, kept: Floats, units: Units) -> str:
    """Why there are no simultaneous intervals; empty where there may be."""
    if units.count < 2:
        return f"there is only {units.count} of the {units.kind} to resample"
    if contrasts.how.log and not (seen[contrasts.rates] > 0).all():
        return "the rate of a group is 0, and the interval of a ratio is made of logarithms"
    return "" if len(kept) > 1 else "almost no draw has a rate of every group"


def _of_rate(findings: Findings, number: int, outcome: Outcome) -> Interval | None:
    """The percentile interval of a rate; the exact one where all units agree. Of a mean that says nothing: there it is null."""
    if not len(findings.drawn):
        return None
    units, drawn, value = findings.units, findings.drawn[:, number], float(findings.seen[number])
    method = f"bootstrap, percentile, {np.isfinite(drawn).sum()} draws over {units.count} {units.kind}"
    found = percentile_interval(drawn, findings.level, method)
    if found is None and outcome.counted and value in (0.0, 1.0):
        of = findings.of.rates.records(np.array([number]))
        return unanimous_interval(value, 0.0, 1.0, len(np.unique(units.of_row[of])), findings.level)
    return found
