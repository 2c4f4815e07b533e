"""Answers of slots as cells: a template with an attribute, and what each group's words gain there over their prior.

gain of a group = log sum over its targets of p - log sum over its targets of p_prior
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fairbench.errors import FairbenchError, Undefined
from fairbench.stats import CHUNK_BYTES, Floats, Indices

if TYPE_CHECKING:
    import pandas as pd

Flags = NDArray[np.bool_]


LACKS = "its template and attribute lack a target of some group"


@dataclass(frozen=True)
class Cells:
    """Cells in the order of their templates and attributes.

    Attributes:
        groups: the G groups of the table, sorted.
        row: (c,) a row of each cell; all rows of a cell have one weight.
        of_row: (n,) the cell of each row, -1 where it was left out.
        targets: (c, G) how many targets each group has.
        gain: (c, G) in nats; NaN where a group has no target.
        mass: (c,) probability that the asked targets hold at the slot.
    """

    groups: tuple[str, ...]
    row: Indices
    of_row: Indices
    targets: Indices
    gain: Floats
    mass: Floats

    @property
    def whole(self) -> Flags:
        """(c,) whether every group has a target."""
        return np.asarray((self.targets > 0).all(axis=1), dtype=bool)


def cells(answers: pd.DataFrame) -> Cells:
    """Gathers the rows of each template and attribute.

    Args:
        answers: columns `template target attribute group log_p log_prior mass`, each with a value, and perhaps `cluster`.

    Raises:
        FairbenchError: a target stands twice in a cell, a cell reaches over two clusters, or a probability is above 1.
    """
    _refuse_impossible(answers)
    template, attribute, group, target = (_text(answers, c) for c in ("template", "attribute", "group", "target"))
    once: dict[tuple[str, ...], int] = {}
    for place in zip(template, attribute, group, target, strict=True):
        if once.setdefault(place, len(once)) != len(once) - 1:
            raise FairbenchError(
                f"The target {place[3]!r} (group {place[2]}) stands twice in the template {place[0]!r} with the attribute "
                f"{place[1]!r}; wanted once, or its probability counts twice. Remove one of the rows."
            )
    keys = list(zip(template, attribute, strict=True))
    codes = {key: number for number, key in enumerate(sorted(set(keys)))}
    of_row = np.array([codes[key] for key in keys], dtype=np.intp)
    one_each(answers, of_row, "cluster", "a template with an attribute")
    groups, label = np.unique(group, return_inverse=True)
    place_of, shape = of_row * len(groups) + label, (len(codes), len(groups))
    targets = np.bincount(place_of, minlength=shape[0] * shape[1]).reshape(shape)
    sums = [np.full(shape[0] * shape[1], -np.inf) for _ in range(2)]
    for summed, column in zip(sums, ("log_p", "log_prior"), strict=True):
        np.logaddexp.at(summed, place_of, answers[column].to_numpy(dtype=float))
    gain = np.full(shape, np.nan)
    np.subtract(sums[0].reshape(shape), sums[1].reshape(shape), out=gain, where=targets > 0)
    mass = np.bincount(of_row, weights=answers["mass"].to_numpy(dtype=float)) / np.bincount(of_row)
    row = np.unique(of_row, return_index=True)[1].astype(np.intp)
    return Cells(tuple(map(str, groups)), row, of_row, targets.astype(np.intp), gain, mass)


def _refuse_impossible(answers: pd.DataFrame) -> None:
    """Log-probabilities above 0 and probabilities outside of 0 to 1 are no answers, whatever the formula makes of them."""
    limits = {"log_p": (-np.inf, 0.0, "a log-probability, 0 or less"), "mass": (0.0, 1.0, "a probability between 0 and 1")}
    limits["log_prior"] = limits["log_p"]
    for column, (low, high, wanted) in limits.items():
        values = answers[column].to_numpy(dtype=float)
        bad = np.flatnonzero((values < low) | (values > high + 1e-4))
        if len(bad):
            raise FairbenchError(f"Row {bad[0] + 1}, column {column!r}: found {values[bad[0]]:.6g}, wanted {wanted}.")


def unused(answers: pd.DataFrame) -> list[str | None]:
    """Rows of cells in which a group has no target; none where no cell is whole, which the formula says by itself."""
    found = cells(answers)
    kept = found.whole | (not found.whole.any())
    return [None if kept[cell] else LACKS for cell in found.of_row]


def scored(found: Cells, mass_floor: float) -> Cells:
    """The cells in which every group has a target.

    Raises:
        Undefined: there is a single group, or no such cell, or these hold less than `mass_floor` (median) of the probability.
        FairbenchError: the floor is no probability.
    """
    if not 0 <= mass_floor < 1:
        raise FairbenchError(f"The option mass_floor is {mass_floor:g}; wanted a probability, 0 or more and below 1.")
    if len(found.groups) < 2:
        raise Undefined(f"all targets are of one group ({found.groups[0]}), so there is nothing to compare")
    whole = found.whole
    if not whole.any():
        raise Undefined(f"no template and attribute has targets of all groups ({', '.join(found.groups)})")
    median = float(np.median(found.mass[whole]))
    if median < mass_floor:
        raise Undefined(
            f"the asked words hold only {median:.2g} of the probability at the slot (median over {int(whole.sum())} templates "
            f"with attributes; the option mass_floor is {mass_floor:g}), so their ratios are noise"
        )
    number = np.where(whole, np.cumsum(whole) - 1, -1)
    kept = {name: getattr(found, name)[whole] for name in ("row", "targets", "gain", "mass")}
    return dataclasses.replace(found, of_row=number[found.of_row], **kept)


def counts(answers: pd.DataFrame) -> dict[str, int]:
    """Cells with a target of every group, and each group's different targets."""
    found = cells(answers)
    targets = answers["target"].groupby(answers["group"].astype(str)).nunique()
    words = {f"targets_{group}": int(targets[group]) for group in found.groups}
    return {"cells": int(found.whole.sum()), **words}


def mass(answers: pd.DataFrame) -> dict[str, float]:
    """Probability that the asked targets hold at the slot: mean and minimum over the cells with a target of every group."""
    found = cells(answers)
    held = found.mass[found.whole]
    return {"mass_mean": float(held.mean()), "mass_min": float(held.min())}


def weighted_mean(weights: Floats, values: Floats) -> Floats:
    """Mean of values (c,) under weights (b, c): (b,), NaN where there is no weight."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Floats = weights @ values / weights.sum(axis=1)
    return mean


def one_each(answers: pd.DataFrame, unit: Indices, column: str, what: str) -> None:
    """Refuses a table in which rows of one unit differ in a column; a column that is not there says nothing."""
    if column not in answers.columns:
        return
    values, rows = _text(answers, column), np.unique(unit, return_index=True)[1]
    first = values[rows[unit]]  # units are numbered from 0 without gaps
    if (odd := np.flatnonzero(values != first)).size:
        at = answers.iloc[odd[0]]
        raise FairbenchError(
            f"The answers name two values of {column!r} ({first[odd[0]]!r}, {values[odd[0]]!r}) for {what} (template "
            f"{at['template']!r}, attribute {at['attribute']!r}); wanted one. Mend the column {column!r}, or leave it out."
        )


def exchanges(answers: pd.DataFrame, found: Cells, draws: int, rng: np.random.Generator) -> tuple[Flags, Iterator[Floats]]:
    """What groups would gain if words changed groups at random: the null distribution of any difference between groups.

    Words that are asked in the very same cells exchange their groups with each other, each everywhere at once, since what is
    peculiar to a word is so in all its cells. So every cell keeps its number of targets a group.

    Args:
        answers: the table of the cells.
        found: cells that are scored.
        draws: how many random exchanges.
        rng: for these.

    Returns:
        (c,) in which cells an exchange can change anything, and chunks (k, moving cells, G) of gains, `draws` in all.
    """
    word, label, kinds = _words(answers, found)
    moving = np.zeros(len(found.row), dtype=bool)
    for kind in kinds:
        at = np.unique(found.of_row[np.isin(word, kind) & (found.of_row >= 0)])
        moving[at] |= (found.targets[at][:, np.unique(label[kind])] > 1).any(axis=1)
    return moving, _drawn(answers, found, (word, label, kinds, moving), draws, rng)


def _words(answers: pd.DataFrame, found: Cells) -> tuple[Indices, Indices, list[Indices]]:
    """The word of each row (n,), the group of each word (w,), and the sets of words that can exchange their groups."""
    keys = list(zip(_text(answers, "target"), _text(answers, "group"), strict=True))
    codes = {key: number for number, key in enumerate(sorted(set(keys)))}
    word = np.array([codes[key] for key in keys], dtype=np.intp)
    label = np.array([found.groups.index(group) for _, group in codes], dtype=np.intp)
    asked: list[set[int]] = [set() for _ in codes]
    for w, cell in zip(word, found.of_row, strict=True):
        asked[w] |= {int(cell)} - {-1}
    alike: dict[frozenset[int], list[int]] = {}
    for w, where in enumerate(asked):
        alike.setdefault(frozenset(where), []).append(w)
    kinds = [np.array(words, dtype=np.intp) for where, words in alike.items() if where]
    return word, label, [kind for kind in kinds if len(set(label[kind])) > 1]


def _drawn(
    answers: pd.DataFrame,
    found: Cells,
    words: tuple[Indices, Indices, list[Indices], Flags],
    draws: int,
    rng: np.random.Generator,
) -> Iterator[Floats]:
    word, label, kinds, moving = words
    rows = np.flatnonzero((found.of_row >= 0) & moving[found.of_row])
    rows = rows[np.lexsort((word[rows], found.of_row[rows]))]
    if not len(rows):
        return
    starts = np.flatnonzero(np.diff(found.of_row[rows], prepend=-1))
    log_p, log_prior = (answers[column].to_numpy(dtype=float)[rows] for column in ("log_p", "log_prior"))
    size = max(1, CHUNK_BYTES // (32 * len(rows)))
    for start in range(0, draws, size):
        labels = np.tile(label, (min(size, draws - start), 1))
        for kind in kinds:
            labels[:, kind] = rng.permuted(labels[:, kind], axis=1)
        of_row = labels[:, word[rows]]
        gains = [
            np.logaddexp.reduceat(np.where(of_row == g, log_p, -np.inf), starts, axis=1)
            - np.logaddexp.reduceat(np.where(of_row == g, log_prior, -np.inf), starts, axis=1)
            for g in range(len(found.groups))
        ]
        yield np.stack(gains, axis=2)


def _text(answers: pd.DataFrame, column: str) -> NDArray[np.object_]:
    return answers[column].to_numpy(dtype=object).astype(str).astype(object)
