"""Whole words masked in a batch of texts for masked models, and in their counterparts the words that stand in their place.

All of a word's pieces are masked, in both contexts: a piece that stayed would tell which of the two words stood there. Chosen
words become the mask token, always; what a model says of words that it sees is taught at the places that stay.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch


def mask_words(batch: Mapping[str, torch.Tensor], mask_id: int, share: float) -> dict[str, torch.Tensor]:
    """Masks a share of a batch's words, drawn by torch's generator.

    Args:
        batch: from `collate`.
        mask_id: the mask token.
        share: of the words.

    Returns:
        The batch with masked `input_ids` (and `other_ids`), and `labels`: the masked tokens, -100 elsewhere.
    """
    words = batch["words"]
    chosen = torch.rand(words.shape[0], int(words.max()) + 1).to(words.device) < share
    hidden = (words >= 0) & chosen.gather(1, words.clamp(min=0))
    found = dict(batch)
    found["labels"] = batch["input_ids"].masked_fill(~hidden, -100)
    found["input_ids"] = batch["input_ids"].masked_fill(hidden, mask_id)
    if "other_ids" in batch:
        other_words = batch["other_words"]
        row, place = ((hidden & (batch["places"] >= 0)) & (batch["other_of"] >= 0)[:, None]).nonzero(as_tuple=True)
        to = batch["other_of"][row]
        word = other_words[to, batch["places"][row, place]]
        there = torch.zeros(other_words.shape[0], int(other_words.max()) + 2, dtype=torch.bool, device=words.device)
        there[to, word] = True  # -1, a special token, falls into the last column
        there[:, -1] = False
        found["other_ids"] = batch["other_ids"].masked_fill(
            (other_words >= 0) & there.gather(1, other_words.clamp(min=0)), mask_id
        )
    return found
