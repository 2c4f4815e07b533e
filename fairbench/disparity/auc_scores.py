"""The AUCs of all groups as one score, with each group's figures beside it and how far chance alone would bring it.

A score is the mean of its parts: the generalised mean over groups of one kind of AUC or of several, and for the Jigsaw score the
AUC of all records too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.decisions import labels, positive_scores
from fairbench.disparity.aucs import (
    CountedAucs,
    Flags,
    Ranking,
    generalised_mean,
    group_aucs,
    ranking,
    roc_auc,
    set_sizes,
)
from fairbench.disparity.permutation import MOST_PERMUTATIONS, against_chance, exchangeable, permutations, steady
from fairbench.errors import Undefined
from fairbench.groups import find_groups
from fairbench.metric import MeasureOptions
from fairbench.scores import Evidence, Score
from fairbench.stats import Floats, Indices, bootstrap_weights, percentile_interval, resampling_units

if TYPE_CHECKING:
    import pandas as pd

MOST_DRAWS = 1_000
"""The bootstrap takes at most so many draws: one of 100,000 records in 9 groups costs about 10 ms, and the score and its groups
are drawn each on their own."""

PERMUTED_CELLS = 5 * 10**8
"""Permutations times records times groups are at most so many, which takes some seconds; but FEWEST_PERMUTATIONS are made."""

FEWEST_PERMUTATIONS = 200
"""However large the table."""

NAMED = 5
"""A warning names so many groups, and counts the others."""

IDEAL = 1.0

DIRECTION = "larger = positives and negatives are told apart better"

WITHOUT_GROUP = "speaks of no group"


@dataclass(frozen=True)
class AucOptions:
    """The options that a metric of AUCs may have; see the card of `subgroup_auc`."""

    power: float = -5.0
    background: str = "borkan"
    group_by: str = ""
    minimum: int = 10
    positive: int = 1


@dataclass(frozen=True)
class Compared:
    """The records that AUCs are made of.

    Attributes:
        rows: (n,) which of the answers' rows these are.
        names: (g,) of the groups.
        of_row: (n, g) whether a record speaks of the group.
        scores: (n,) probability of the positive class.
        positive: (n,) whether that is the gold class.
        ranked: the records in the order of their scores.
    """

    rows: Indices
    names: tuple[str, ...]
    of_row: Flags
    scores: Floats
    positive: Flags
    ranked: Ranking


def compared(answers: pd.DataFrame, options: AucOptions) -> Compared:
    """Reads the columns `label`, `probs`, and those of the groups.

    Raises:
        Undefined: no row names a group, or there are several notions and none was chosen.
        FairbenchError: there is no such notion, or no such class.
    """
    groups = find_groups(answers, options.group_by)
    rows = np.arange(len(answers)) if options.background == "borkan" else np.flatnonzero(groups.of_row.any(axis=1))
    scores, positive = positive_scores(answers, options.positive)[rows], labels(answers)[rows] == options.positive
    return Compared(rows, groups.names, groups.of_row[rows], scores, positive, ranking(scores, positive))


@dataclass(frozen=True)
class AucScore:
    """A score made of groups' AUCs; as the `disparity` of a metric it finds what stands beside the value.

    Attributes:
        kinds: the AUCs of each group that it is made of.
        overall: whether the AUC of all records is one part more.
    """

    kinds: tuple[str, ...]
    overall: bool = False

    def values(self, answers: pd.DataFrame, weights: Floats, options: AucOptions) -> Floats:
        """The score under each row of weights (b, n): (b,) in [0, 1]; NaN where a group that counts lacks a class in the draw.

        Raises:
            Undefined: there is only one class, or fewer than two groups are large enough.
        """
        table = compared(answers, options)
        counting = self._counting(table, options)
        weights = weights if len(table.rows) == weights.shape[1] else weights[:, table.rows]
        found: Floats = self._parts(table, counting, weights, options.power).mean(axis=0)
        return found

    def unused(self, answers: pd.DataFrame, options: AucOptions) -> list[str | None]:
        """Why a row is in no set: with the background of HateXplain, because it names no group."""
        if options.background == "borkan":
            return [None] * len(answers)
        try:
            groups = find_groups(answers, options.group_by)
        except Undefined:  # the value says why
            return [None] * len(answers)
        return [None if some else WITHOUT_GROUP for some in groups.of_row.sum(axis=1).tolist()]

    def evidence(self, answers: pd.DataFrame, options: Mapping[str, Any], how: MeasureOptions) -> Evidence:
        """Each group's AUCs with intervals; the floor and its p by permuting the groups within the gold class.

        All records of the background are permuted, so that groups are compared with what any text of the same class would give.
        """
        chosen = AucOptions(**options)
        try:
            table = compared(answers, chosen)
        except Undefined:
            return Evidence()
        used = answers.iloc[table.rows]
        sizes = set_sizes(table.positive, table.of_row)
        fewest = np.min([np.minimum(*sizes[kind]) for kind in self.kinds], axis=0).tolist()
        left_out = {name: n for name, n in zip(table.names, fewest, strict=True) if n < chosen.minimum}
        known = Evidence(
            by_group=self._by_group(used, table, chosen.minimum, how),
            counts={"groups": len(table.names) - len(left_out), "groups_left_out": len(left_out)},
            warnings=(_too_few(left_out, chosen.minimum),) if left_out else (),
        )
        try:
            counting = self._counting(table, chosen)
        except Undefined:
            return known
        if self.overall:
            parts = self._parts(table, counting, np.ones((1, len(used))), chosen.power)[:, 0]
            known = replace(known, details=dict(zip(("overall_auc", *self.kinds), parts.tolist(), strict=True)))
        return self._against_chance(answers, chosen, counting, how, known) if how.draws else known

    def figures(self, answers: pd.DataFrame, weights: Floats, options: Mapping[str, Any]) -> dict[str, Floats]:
        """The AUCs of every group under each row of weights (b, n): (b,) by name, NaN where a class has no weight."""
        table = compared(answers, AucOptions(**options))
        aucs = group_aucs(table.ranked, table.of_row, weights[:, table.rows], self.kinds)
        return {
            f"{name} {kind}" if len(self.kinds) > 1 else name: aucs[:, k, g]
            for g, name in enumerate(table.names)
            for k, kind in enumerate(self.kinds)
        }

    def _counting(self, table: Compared, options: AucOptions) -> Flags:
        """(k, g) whether a group is large enough to count in the mean of a kind."""
        if table.positive.all() or not table.positive.any():
            raise Undefined(one_class(table.positive, options.positive))
        sizes = set_sizes(table.positive, table.of_row)
        counting = np.array([np.minimum(*sizes[kind]) >= options.minimum for kind in self.kinds])
        for kind, counts in zip(self.kinds, counting, strict=True):
            if counts.sum() < 2:
                raise Undefined(
                    f"{counts.sum()} of {len(table.names)} groups have at least {options.minimum} records in both classes that "
                    f"the {kind} AUC compares; a mean over groups needs two"
                )
        return counting

    def _parts(self, table: Compared, counting: Flags, weights: Floats, power: float) -> Floats:
        """What the score is the mean of, (parts, b): the AUC of all records where that counts, and the mean of each kind."""
        either = counting.any(axis=0)
        aucs = group_aucs(table.ranked, table.of_row[:, either], weights, self.kinds)
        overall = [roc_auc(table.scores, table.positive, weights)] if self.overall else []
        return np.stack([*overall, *_means(aucs, counting[:, either], power)])

    def _by_group(self, used: pd.DataFrame, table: Compared, minimum: int, how: MeasureOptions) -> dict[str, Score]:
        """The AUCs of every group, also of those that are too small to count, with percentile intervals."""
        sizes, units = set_sizes(table.positive, table.of_row), resampling_units(used)
        values = group_aucs(table.ranked, table.of_row, np.ones((1, len(used))), self.kinds)[0]
        drawn = np.empty((0, *values.shape))
        if how.draws and units.count > 1:
            draws = bootstrap_weights(units, min(how.draws, MOST_DRAWS), how.seed)
            drawn = np.concatenate([group_aucs(table.ranked, table.of_row, weights, self.kinds) for weights in draws])
        found = {}
        for g, name in enumerate(table.names):
            for k, kind in enumerate(self.kinds):
                label = f"{name} {kind}" if len(self.kinds) > 1 else name
                n = int(used["id"][_in_set(table, kind, g)].nunique())
                classes = {what: int(size[g]) for what, size in zip(("positive", "negative"), sizes[kind], strict=True)}
                one = _one(float(values[k, g]), drawn[:, k, g], n, classes, (how.level, f"{units.count} {units.kind}"))
                said = (f"Fewer than {minimum} records of a class: left out of the mean.",)
                found[label] = replace(one, warnings=(*one.warnings, *said)) if min(classes.values()) < minimum else one
        return found

    def _against_chance(
        self, answers: pd.DataFrame, options: AucOptions, counting: Flags, how: MeasureOptions, known: Evidence
    ) -> Evidence:
        """The floor and its p: what the score would be if the same texts spoke of other groups, within the gold class."""
        answers = steady(answers)
        table = compared(answers, options)
        clusters = exchangeable(answers.iloc[table.rows])
        work = len(table.rows) * len(table.names)
        count = min(how.draws, MOST_PERMUTATIONS, max(FEWEST_PERMUTATIONS, PERMUTED_CELLS // work))
        found = permutations(table.of_row, table.positive, clusters, count, np.random.default_rng(how.seed))
        if isinstance(found, str):
            return replace(known, warnings=(*known.warnings, f"No p and no floor: {found}."))
        overall = roc_auc(table.scores, table.positive, np.ones((1, len(table.rows)))) if self.overall else np.empty(0)
        aucs = CountedAucs(table.ranked, table.of_row, self.kinds)

        def value(index: Indices) -> float:
            return float(np.mean([*overall, *_means(aucs(index), counting, options.power)]))

        seen = value(np.arange(len(table.rows)))
        permuted = np.array([value(index) for index in found])
        p, floor = against_chance(seen, permuted, IDEAL, f"{found.what} within the gold class")
        said = () if p else ("No p and no floor: no permutation of the groups gives another value.",)
        return replace(known, p=p, floor=floor, warnings=(*known.warnings, *said))


def one_class(is_positive: Flags, positive: int) -> str:
    """Why there is no AUC where all records (n,) are of one class, or none is of the positive one."""
    return f"{'every' if is_positive.all() else 'no'} record has the class {positive}, and an AUC compares it with others"


def _means(aucs: Floats, counting: Flags, power: float) -> list[Floats]:
    """The generalised mean of each kind over the groups that count: k of (...,), from aucs (..., k, g)."""
    return [generalised_mean(aucs[..., kind, counts], power) for kind, counts in enumerate(counting)]


def _in_set(table: Compared, kind: str, group: int) -> Flags:
    """(n,) whether a record is in the sets that a group's AUC compares."""
    inside, positive = table.of_row[:, group], table.positive
    if kind == "subgroup":
        return inside
    found: Flags = inside == (~positive if kind == "bpsn" else positive)
    return found


def _one(value: float, drawn: Floats, n: int, classes: dict[str, int], how: tuple[float, str]) -> Score:
    """One group's AUC as a score; `how` is the level and the units that were resampled, in words."""
    level, units = how
    kept = drawn[np.isfinite(drawn)]
    interval = percentile_interval(kept, level, f"bootstrap, percentile, {len(kept)} draws over {units}") if len(kept) else None
    empty = [name for name, count in classes.items() if not count]
    said = (f"No interval: all draws over {units} {'give the same value' if len(kept) else 'have no value'}.",)
    return Score(
        value=value if np.isfinite(value) else None,
        interval=interval,
        stderr=float(kept.std()) if interval else None,
        p_value=None, p_method=None, n=n, n_total=n, n_records=sum(classes.values()), ideal=IDEAL,
        unit="record", direction=DIRECTION, counts=classes,
        undefined=f"no {empty[0]} record to compare" if empty else None,
        warnings=said if len(drawn) and not empty and interval is None else (),
    )  # fmt: skip


def _too_few(left_out: Mapping[str, int], minimum: int) -> str:
    """The groups that don't count, with the records of their smallest class."""
    named = ", ".join(f"{name} ({n})" for name, n in list(left_out.items())[:NAMED])
    more = f" and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
    return f"Left out, with fewer than {minimum} records of a class that the AUC compares: {named}{more}."
