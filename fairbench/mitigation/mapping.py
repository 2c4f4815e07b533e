"""Which gendered words a teacher's vocabulary maps to each other, and whether they hold any of its probability."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch

from fairbench.errors import FairbenchError
from fairbench.mitigation.targets import collate
from fairbench.mitigation.vocabulary import VocabularyMap, gendered_mass, vocabulary_map

if TYPE_CHECKING:
    from fairbench.counterfactual.swapping import Swap
    from fairbench.mitigation.distill import Kind
    from fairbench.mitigation.recipe import Recipe
    from fairbench.mitigation.rows import Prepared
    from fairbench.models.model import Model

LEAST_MASS = 0.01
"""Where a gendered word follows, a teacher must give those of the map together this much on average."""

AMBIGUOUS = ("him", "her", "his", "hers")
"""Pronouns of which one side is told only by the other: if a part of them is not mapped, the rest takes its probability."""

TRIED_ROWS = 256
"""Rows on which the mass of the gendered words is measured, at most."""


def find_map(
    recipe: Recipe, swap: Swap, model: Model, prepared: Prepared, kind: Kind
) -> tuple[VocabularyMap | None, float | None]:
    """What the gendered words are mapped to, and how much of the teacher's probability they hold where one of them follows.

    Raises:
        FairbenchError: the tokenizer has no pair of gendered words as single tokens, or they hold no mass: a silent zero
            (section 23.11 of the definitions).
    """
    if recipe.merge == "none" or not recipe.vocabulary_map:
        return None, None
    pairs = [(one, other) for one, other in swap.pairs()]
    found = vocabulary_map(model.tokenizer, pairs, prepared.seen, recipe.least_whole)
    if not found.blocks:
        raise FairbenchError(
            f"The tokenizer of {model.card.name} has no pair of gendered words that are both single tokens and whole words "
            f"({len(found.left_out)} pairs were looked at), so their probabilities can't be mapped to each other. Give "
            "option vocabulary_map=false, and know that positions before a gendered word then keep their bias."
        )
    mass = _mass(model, found, prepared, kind)
    # a model with random weights gives every token as much; words that it knows hold more than that where one follows
    wanted = max(LEAST_MASS, min(0.5, 2 * len(found.ids) / model.card.vocabulary))
    if mass is not None and mass < wanted:
        raise FairbenchError(
            f"Where a gendered word follows in the texts, {model.card.name} gives the {len(found.blocks)} mapped pairs together "
            f"{mass:.2g} of its probability; wanted at least {wanted:.2g}. Either the model is not trained on such text, or its "
            "tokenizer writes these words otherwise than its vocabulary does. Give other texts, or vocabulary_map=false."
        )
    return found, mass


def _mass(model: Model, found: VocabularyMap, prepared: Prepared, kind: Kind) -> float | None:
    """Mean probability of the mapped words where one of them follows, on the first rows that hold one."""
    mapped = torch.tensor(sorted({i for block in found.blocks for side in block for i in side}), device=model.device)
    masses: list[torch.Tensor] = []
    with torch.no_grad():
        for row in _holding(prepared.table, set(mapped.tolist())):
            batch = {name: tensor.to(model.device) for name, tensor in collate([row], kind.pad).items()}
            gold = batch["input_ids"]
            if kind.mask is not None:
                hidden = torch.isin(gold, mapped)  # a word that is seen is no prediction
                batch["input_ids"] = gold.masked_fill(hidden, kind.mask)
            logits = model.network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
            if kind.causal:
                logits, gold = logits[:, :-1], gold[:, 1:]
            there = torch.isin(gold, mapped)
            masses.append(gendered_mass(logits[there].float().log_softmax(-1), found))
    held = torch.cat(masses) if masses else torch.zeros(0)
    return float(held.mean()) if len(held) else None


def _holding(table: Any, ids: set[int]) -> Iterator[Mapping[str, Any]]:
    found = 0
    for number in range(min(len(table), 20 * TRIED_ROWS)):
        row = table[number]
        if not ids.isdisjoint(row["input_ids"]):
            yield row
            found += 1
            if found == TRIED_ROWS:
                return


def half_mapped(vocabulary: VocabularyMap) -> list[str]:
    """Pairs of pronouns that are left out although one of them is mapped in another pair."""
    mapped = {word.strip() for block in vocabulary.words for side in block for word in side}
    pairs = [pair.split("-") for pair in vocabulary.left_out]
    return ["-".join(pair) for pair in pairs if set(pair) <= set(AMBIGUOUS) and mapped & set(pair) and not set(pair) <= mapped]
