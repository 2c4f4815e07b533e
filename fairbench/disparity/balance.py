"""How evenly two labels are spread within each group: the smaller count over the larger, b = min(M, F) / max(M, F).

With the share s = F / (M + F) and its distance d = |s - 1/2| that is b = (1/2 - d) / (1/2 + d), which falls as d grows. So it is
below 1 by chance alone, and a percentile interval of it is wrong near 1; its interval is made of simultaneous intervals of the
shares. What chance alone would bring is found by exchanging the two labels at random, unit by unit.

A unit is the coarsest of cluster, record and text of which a group has at least two: a group that is one cluster (an occupation)
varies by its records. Draws keep every group's number of units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.disparity.contrasts import Aggregation, Contrasts
from fairbench.disparity.judged import judged
from fairbench.disparity.permutation import MOST_PERMUTATIONS, SLACK, row_codes
from fairbench.disparity.rates import Flags, Outcome, Rates, rates
from fairbench.disparity.simultaneous import Bands, bands
from fairbench.errors import Undefined
from fairbench.groups import Groups, find_groups
from fairbench.metric import MeasureOptions
from fairbench.resampling import FEW_UNITS
from fairbench.scores import Evidence, Interval, PValue, Score
from fairbench.stats import CHUNK_BYTES, Floats, Indices, Units, bootstrap_weights, percentile_interval, unanimous_interval

if TYPE_CHECKING:
    import pandas as pd

WITHOUT_LABEL = "the text is labelled neither male nor female"
WITHOUT_GROUP = "speaks of no group"
SMALL_GROUP = "speaks of no group with enough labelled texts"


def mean_of(x: Floats) -> Floats:
    """The mean over the last axis without NaN; NaN where there is nothing else."""
    there = np.isfinite(x)
    with np.errstate(invalid="ignore"):
        found: Floats = np.where(there, x, 0.0).sum(axis=-1) / there.sum(axis=-1)
    return found


def least_of(x: Floats) -> Floats:
    """The least over the last axis without NaN; NaN where there is nothing else."""
    least = np.where(np.isfinite(x), x, np.inf).min(axis=-1)
    found: Floats = np.where(np.isfinite(least), least, np.nan)
    return found


def ratio(distance: Floats) -> Floats:
    """The smaller count over the larger, from the distance of a share from one half, which is cut at one half."""
    cut = np.where(distance > 0.5 - SLACK, 0.5, distance)
    found: Floats = (0.5 - cut) / (0.5 + cut)
    return found


@dataclass(frozen=True)
class Sampled:
    """The labelled texts of a table by unit.

    Attributes:
        first, second: (u, g) how many texts of a unit have the label, in each of the groups that it belongs to.
        stratum: (u,) which groups those are, as a number.
        levels: what the units are: "clusters", "records", "texts", or some of these.
    """

    first: Floats
    second: Floats
    stratum: Indices
    levels: tuple[str, ...]

    @cached_property
    def shares(self) -> Floats:
        """(g,) of the second label."""
        found: Floats = self._shares(np.ones((1, len(self.first))))[0]
        return found

    @cached_property
    def sizes(self) -> Indices:
        """(g,) how many units each group has."""
        found: Indices = ((self.first + self.second) > 0).sum(axis=0)
        return found

    @property
    def what(self) -> str:
        """The units in words."""
        return " and ".join(sorted(self.levels))

    def drawn(self, how: MeasureOptions) -> Floats:
        """(draws, g) the bootstrap's shares."""
        units = Units(np.arange(len(self.first)), self.stratum, self.what)
        return np.concatenate([self._shares(weights) for weights in bootstrap_weights(units, how.draws, how.seed)])

    def exchanged(self, count: int, rng: np.random.Generator) -> Floats:
        """(count, g) distances of the shares from one half where every unit's two labels change places with chance 1/2."""
        net, total = self.second - self.first, (self.first + self.second).sum(axis=0)
        size = max(1, CHUNK_BYTES // (16 * len(net)))
        chunks = [min(size, count - start) for start in range(0, count, size)]
        found = [np.abs((1.0 - 2.0 * rng.integers(0, 2, size=(k, len(net)), dtype=np.int8)) @ net) for k in chunks]
        distances: Floats = np.concatenate(found) / (2 * total)
        return distances

    def _shares(self, weights: Floats) -> Floats:
        second = weights @ self.second
        shares: Floats = second / (weights @ self.first + second)
        return shares


@dataclass(frozen=True)
class Counted:
    """The labels of a table's rows by group.

    Attributes:
        groups: of the rows.
        label: (n,) -1, 0 or 1.
        rates: the share of label 1 among the rows with a label, in each group.
        kept: (g,) the groups that count.
    """

    groups: Groups
    label: Indices
    rates: Rates
    kept: Flags


@dataclass(frozen=True)
class Balance:
    """A metric of the ratios of two labels (-1 and 1; 0 is neither) within groups, with what stands beside its value.

    Attributes:
        column: of the labels.
        reduce: (..., g) ratios -> (...,), rising in each of them.
        names: of the labels -1 and 1.
    """

    column: str
    reduce: Callable[[Floats], Floats]
    names: tuple[str, str] = ("male", "female")

    def values(self, answers: pd.DataFrame, weights: Floats, *, group_by: str, minimum: int) -> Floats:
        """The metric under each row of weights (b, n): (b,) in [0, 1]; a group without weight on a labelled text is left out.

        Raises:
            Undefined: no group is named, or none has enough labelled texts.
        """
        found = self._counted(answers, group_by, minimum)
        if not found.label.any():
            raise Undefined(f"no text is labelled {' or '.join(self.names)}")
        if not found.kept.any():
            raise Undefined(f"no group has {minimum} or more texts that are labelled {' or '.join(self.names)}")
        return self.reduce(ratio(np.abs(found.rates.at(weights)[:, found.kept] - 0.5)))

    def unused(self, answers: pd.DataFrame, *, group_by: str, minimum: int) -> list[str | None]:
        """For each row why no ratio is made of it, or null."""
        try:
            found = self._counted(answers, group_by, minimum)
        except Undefined:  # which the score says
            return [None] * len(answers)
        if not found.label.any() or not found.kept.any():
            return [None] * len(answers)
        reasons = np.where(found.groups.of_row.any(axis=1), SMALL_GROUP, WITHOUT_GROUP).astype(object)
        reasons[found.groups.of_row[:, found.kept].any(axis=1)] = None
        reasons[found.label == 0] = WITHOUT_LABEL
        unused: list[str | None] = reasons.tolist()
        return unused

    def counts(self, answers: pd.DataFrame, *, group_by: str, minimum: int) -> dict[str, int]:
        """How many of the used texts have either label, by its name."""
        label = _labels(answers, self.column)
        return {name: int((label == code).sum()) for name, code in zip(self.names, (-1, 1), strict=True)}

    def significance(self, answers: pd.DataFrame, rng: np.random.Generator, *, group_by: str, minimum: int) -> PValue:
        """The p of labels that are equally likely in every group: how often chance alone gives no larger value."""
        found = self._counted(answers, group_by, minimum)
        sampled = _sampled(answers, found)
        seen = float(self.reduce(ratio(np.abs(sampled.shares - 0.5))))
        chance = self.reduce(ratio(sampled.exchanged(MOST_PERMUTATIONS, rng)))
        p = (1 + int((chance <= seen + SLACK).sum())) / (1 + len(chance))
        said = f"the two labels exchanged at random, by {sampled.what}, {len(chance):,} sampled; one-sided, smaller is less even"
        return PValue(p, said)

    def evidence(self, answers: pd.DataFrame, options: Mapping[str, Any], how: MeasureOptions) -> Evidence:
        """Interval, floor, and the ratio of every group."""
        try:
            found = self._counted(answers, **options)
        except Undefined:  # the records name no groups
            return Evidence()
        counts = {"groups": int(found.kept.sum()), "groups_left_out": int((~found.kept).sum())}
        if not found.kept.any():
            return Evidence(by_group=self._by_group(answers, found), counts=counts)
        sampled = _sampled(answers, found)
        drawn = sampled.drawn(how) if how.draws > 1 else np.empty((0, len(sampled.shares)))
        by_group = self._by_group(answers, found, sampled, drawn, how.level)
        if not len(drawn):
            return Evidence(by_group=by_group, counts=counts)
        interval, warnings = self._interval(found, sampled, drawn, how)
        exchanged = sampled.exchanged(min(how.draws, MOST_PERMUTATIONS), np.random.default_rng(how.seed))
        return Evidence(
            interval=interval,
            stderr=float(self.reduce(ratio(np.abs(drawn - 0.5))).std()),
            floor=float(self.reduce(ratio(exchanged)).mean()),
            by_group=by_group,
            counts=counts,
            warnings=warnings,
        )

    def figures(self, answers: pd.DataFrame, weights: Floats, options: Mapping[str, Any]) -> dict[str, Floats]:
        """The ratio of the two labels in every group under each row of weights (b, n): (b,) by name."""
        found = self._counted(answers, **options)
        shares = found.rates.at(weights)
        return {name: ratio(np.abs(shares[:, [g]] - 0.5))[:, 0] for g, name in enumerate(found.groups.names)}

    def _counted(self, answers: pd.DataFrame, group_by: str, minimum: int) -> Counted:
        groups, label = find_groups(answers, group_by), _labels(answers, self.column)
        found = rates([Outcome(self.names[1], label != 0, label == 1)], groups.of_row)
        return Counted(groups, label, found, found.size[0] >= max(1, minimum))

    def _interval(
        self, found: Counted, sampled: Sampled, drawn: Floats, how: MeasureOptions
    ) -> tuple[Interval | None, tuple[str, ...]]:
        """The metric of all ratios at their least and at their largest within the shares' simultaneous intervals."""
        names = np.array(found.groups.names)[found.kept]
        few = names[sampled.sizes < FEW_UNITS].tolist()
        said = (
            f"{len(few)} of {len(names)} groups have fewer than {FEW_UNITS} {sampled.what} with a labelled text "
            f"({', '.join(few[:5])}{' ...' if len(few) > 5 else ''}): their ratios are mostly chance."
        )
        of = _bands(sampled, drawn, how.level)
        ends = np.abs(of.seen) + np.outer([1, -1], of.reach)
        low, high = self.reduce(ratio(np.sin(np.clip(ends, 0.0, np.pi / 2)) / 2)).tolist()
        method = (
            f"bootstrap of the shares, simultaneous (max-|t|) over {len(names)} group{'s' * (len(names) > 1)}, exact where all "
            f"of a group agree, {len(drawn)} draws over {len(sampled.stratum)} {sampled.what}"
        )
        return Interval(low, high, how.level, method), (said,) if few else ()

    def _by_group(
        self,
        answers: pd.DataFrame,
        found: Counted,
        sampled: Sampled | None = None,
        drawn: Floats | None = None,
        level: float = 0.95,
    ) -> dict[str, Score]:
        """The ratio of every group by its name, also of those that don't count; with an interval where there are draws."""
        scores, place, ids = {}, np.cumsum(found.kept) - 1, answers["id"].astype(str).to_numpy()
        for number, name in enumerate(found.groups.names):
            rows = found.groups.of_row[:, number]
            labelled = rows & (found.label != 0)
            counts = {label: int((found.label[rows] == code).sum()) for label, code in zip(self.names, (-1, 1), strict=True)}
            interval: Interval | None = None
            few: tuple[str, ...] = ()
            if not found.kept[number] and any(counts.values()):
                few = ("It has fewer labelled texts than the option minimum asks for, and is left out.",)
            elif sampled is not None and drawn is not None and found.kept[number] and len(drawn):
                interval = _of_share(sampled, drawn, int(place[number]), level)
            scores[name] = Score(
                value=min(counts.values()) / max(counts.values()) if any(counts.values()) else None,
                interval=interval,
                p_value=None, p_method=None,
                n=len(set(ids[labelled])), n_total=len(set(ids[rows])), n_records=int(labelled.sum()), ideal=1.0, unit="record",
                direction="larger = the two labels are more nearly equally often", counts=counts,
                undefined=None if any(counts.values()) else f"none of its texts is labelled {' or '.join(self.names)}",
                warnings=few,
            )  # fmt: skip
        return scores


def _labels(answers: pd.DataFrame, column: str) -> Indices:
    return judged(answers, column, -1, 1).round().astype(np.intp)


def _sampled(answers: pd.DataFrame, found: Counted) -> Sampled:
    """The units of the labelled texts in the groups that count, in an order that follows from ids, clusters and labels."""
    of_row = found.groups.of_row[:, found.kept]
    rows = np.flatnonzero(of_row.any(axis=1) & (found.label != 0))
    records = [("records", str(name)) for name in answers["id"].to_numpy()[rows]]
    clustered, names = answers["cluster"].notna().to_numpy()[rows], answers["cluster"].to_numpy()[rows]
    own = [("clusters", str(c)) if has else record for has, c, record in zip(clustered, names, records, strict=True)]
    label, pattern = found.label[rows].tolist(), row_codes(of_row[rows]).tolist()
    of_pattern: dict[int, list[int]] = {}
    for row in sorted(range(len(rows)), key=lambda r: (own[r], records[r], label[r], pattern[r])):
        of_pattern.setdefault(pattern[row], []).append(row)
    counts: list[list[int]] = []
    stratum, levels, member = [], [], []
    for number, members in enumerate(of_pattern.values()):
        units = [own[row] for row in members]
        units = units if len(set(units)) > 1 else [records[row] for row in members]
        units = units if len(set(units)) > 1 else [("texts", str(place)) for place in range(len(members))]
        of_unit: dict[tuple[str, str], list[int]] = {}
        for row, unit in zip(members, units, strict=True):
            of_unit.setdefault(unit, [0, 0])[label[row] > 0] += 1
        counts += of_unit.values()
        stratum += [number] * len(of_unit)
        levels += [level for level, _ in of_unit]
        member.append(of_row[rows[members[0]]])
    first, second = np.array(counts, dtype=np.float64).T[:, :, None] * np.array(member)[stratum]
    return Sampled(first, second, np.array(stratum, dtype=np.intp), tuple(dict.fromkeys(levels)))


def _bands(sampled: Sampled, drawn: Floats, level: float) -> Bands:
    """Simultaneous intervals of arcsin(2 s - 1), 0 for an even share, whose spread hardly depends on the share (Bartlett 1936).

    On the shares' own scale the group that chance has taken farthest from one half has the smallest standard error, and of many
    groups there always is one: with 60 even groups of 20 texts the intervals held the truth in half of all samples.
    Where all units of a group agree a bootstrap sees no spread: such a share reaches as far as the exact binomial interval, at
    the level that all groups need together (Bonferroni).
    """
    g = len(sampled.shares)
    contrasts = Contrasts(np.arange(g), np.full(g, g), np.zeros(g, dtype=np.intp), Aggregation(mean_of, apart=True))
    seen = np.append(_even(sampled.shares), 0.0)
    found = bands(contrasts, seen, np.column_stack([_even(drawn), np.zeros(len(drawn))]), level)
    reach = np.zeros(g) if found is None else found.reach
    for number in np.flatnonzero(np.abs(sampled.shares - 0.5) == 0.5):
        exact = unanimous_interval(sampled.shares[number], 0.0, 1.0, int(sampled.sizes[number]), 1 - (1 - level) / g)
        reach[number] = float(np.ptp(_even(np.array([exact.low, exact.high]))))
    return Bands(seen[:g], reach, 1.0)


def _even(share: Floats) -> Floats:
    found: Floats = np.arcsin(2 * share - 1)
    return found


def _of_share(sampled: Sampled, drawn: Floats, number: int, level: float) -> Interval | None:
    """The interval of one group's ratio, from that of its share; null where its units have one share and it is not 0 or 1."""
    units, share = int(sampled.sizes[number]), float(sampled.shares[number])
    method = f"bootstrap of the share, percentile, {len(drawn)} draws over {units} {sampled.what}"
    found = percentile_interval(drawn[:, number], level, method)
    if found is None and share in (0.0, 1.0):
        found = unanimous_interval(share, 0.0, 1.0, units, level)
    if found is None:
        return None
    ends = np.abs(np.array([found.low, found.high]) - 0.5)
    nearest = 0.0 if found.low <= 0.5 <= found.high else ends.min()
    low, high = ratio(np.array([ends.max(), nearest])).tolist()
    return Interval(low, high, level, found.method)
