"""Parts of an answers table over which a score may vary: each template alone and left out, random halves of the words.

Which templates and which seed words a test was given can decide what it says (Antoniak and Mimno 2021, Bad Seeds; Delobelle et
al. 2022, Measuring Fairness with Biased Rulers; Selvam et al. 2023, The Tail Wagging the Dog). No part needs a model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.errors import Undefined
from fairbench.records import ROLES, Record, Slot
from fairbench.stats import resampling_units

if TYPE_CHECKING:
    import pandas as pd

ALL = "all"
"""The name of the part that is the whole."""

HALVES = 20
TRIES = 50
"""Draws for each half that is wanted, before there are taken to be no more different ones."""

ARTICLE = re.compile(r"\b([Aa])n(?= \[)")
"""The article before a slot: "is a [ATTRIBUTE]" and "is an [ATTRIBUTE]" are one template."""


@dataclass(frozen=True)
class Subset:
    """Part of a table: its name, the rows that stay (n,), and for a half the words that stay, by set."""

    name: str
    keep: NDArray[np.bool_]
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def template_of(record: Record) -> str | None:
    """The template that a record was made of: `meta.template`, or a slot's own; null where the task names none."""
    named = record.meta.get("template")
    if named is None and isinstance(record, Slot):
        return _joined(record.template)
    return None if named is None else str(named)


def templates(table: pd.DataFrame) -> list[Subset]:
    """Each template alone and, from three templates on, each left out (of two that is the other alone).

    Args:
        table: answers with `meta.template` or, of slots, `template`.

    Raises:
        Undefined: the rows have no template, or one only.
    """
    column = next((name for name in ("meta.template", "template") if name in table.columns and table[name].notna().any()), None)
    if column is None:
        raise Undefined("its records have no template")
    # Rows without a template belong to none: they are in no "only", and in every "without".
    of_row = np.array([None if t is None or t != t else _joined(str(t)) for t in table[column]], dtype=object)
    names = sorted({t for t in of_row if t is not None})
    if len(names) < 2:
        raise Undefined("all of its records have the same template")
    alone = [Subset(f"only {name}", of_row == name) for name in names]
    return [*alone, *(Subset(f"without {name}", of_row != name) for name in names if len(names) > 2)]


def halves(table: pd.DataFrame, form: str, count: int, seed: int) -> list[Subset]:
    """Different random halves of the words, drawn within each set; the same ones whatever the order of rows.

    The words of an association test are its clusters, in their roles; those of slots are the targets, among those of their group
    that stand in the same templates; other forms have the units of the bootstrap in the place of words (a cluster, else a
    record), in their strata. Of an odd number the smaller half stays, never less than one; of the two target sets of an
    association test the smaller one decides for both.

    Args:
        table: answers that can be used, with every row key.
        form: name of the record form.
        count: how many; fewer where there are no more different ones.
        seed: of the draws.

    Raises:
        Undefined: no set has two words; of slots, no two words of a group that stand in the same templates.
    """
    slots = form == "Slot"
    units = resampling_units(table.assign(cluster=table["target"], stratum=_places(table)) if slots else table)
    members = [np.flatnonzero(units.stratum == s) for s in range(int(units.stratum.max(initial=-1)) + 1)]
    first = np.unique(units.of_row, return_index=True)[1]
    sets = _labels(table["group"] if slots else table["stratum"])[first]
    names = [str(sets[inside[0]]) for inside in members]
    sizes = [max(1, len(inside) // 2) for inside in members]
    if form == "Association":
        both = [len(inside) for name, inside in zip(names, members, strict=True) if name in ROLES[:2]]
        sizes = [max(1, min(both) // 2) if name in ROLES[:2] else size for name, size in zip(names, sizes, strict=True)]
    if sizes == [len(inside) for inside in members]:
        raise Undefined(_single(form, len(members) > len(set(names))))
    column = "target" if slots else "cluster" if form == "Association" else None
    words = None if column is None else _labels(table[column].where(table[column].notna(), table["id"]))[first]
    rng = np.random.default_rng(seed)
    found: dict[bytes, Subset] = {}
    for _ in range(count * TRIES):
        chosen = [np.sort(rng.permutation(inside)[:size]) for inside, size in zip(members, sizes, strict=True)]
        key = np.concatenate(chosen)
        said: dict[str, tuple[str, ...]] = {}
        for name, inside in zip(names, chosen, strict=True):
            if words is not None:
                said[name] = (*said.get(name, ()), *words[inside].tolist())
        found.setdefault(key.tobytes(), Subset(f"half {len(found) + 1}", np.isin(units.of_row, key), said))
        if len(found) == count:
            break
    return list(found.values())


def _single(form: str, apart: bool) -> str:
    """Why there is no half: every set has one word; or, of slots, more that stand `apart`, in different templates."""
    if form == "Slot" and apart:
        return "no two target words of a group stand in the same templates; halves need two or more"
    each = {"Slot": "each group has one target word", "Association": "each set has one word"}
    return f"{each.get(form, 'each stratum has one unit')}; halves need two or more"


def _places(table: pd.DataFrame) -> NDArray[np.object_]:
    """For each slot its group and all templates that its target stands in: a word gives way to such as stand there too."""
    group, target = _labels(table["group"]), _labels(table["target"])
    templates: dict[tuple[str, str], set[str]] = {}
    for key, template in zip(zip(group, target, strict=True), table["template"], strict=True):
        templates.setdefault(key, set()).add(_joined(str(template)))
    keys = [json.dumps([g, sorted(templates[g, t])]) for g, t in zip(group, target, strict=True)]
    return np.array(keys, dtype=object)


def _joined(template: str) -> str:
    return ARTICLE.sub(r"\1", template)


def _labels(column: pd.Series[Any]) -> NDArray[np.object_]:
    """Entries as text; a missing one is empty."""
    return column.astype(object).where(column.notna(), "").astype(str).to_numpy(dtype=object)
