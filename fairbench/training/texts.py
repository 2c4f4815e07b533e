"""Texts as rows of token ids for a classifier: cut at the end where they are too long, padded at the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairbench.models.heads import NO_EMBEDDING

if TYPE_CHECKING:
    import torch

BLOCK = 1_000
"""Texts that go to the tokenizer in one call."""


@dataclass(frozen=True)
class Coded:
    """A text as a classifier gets it.

    Attributes:
        ids: token ids, special ones included, no more than the limit.
        truncated: whether tokens were cut off.
        tokens: how many tokens of its own the text has, before the cut.
    """

    ids: tuple[int, ...]
    truncated: bool
    tokens: int


def code(tokenizer: Any, texts: Sequence[str], limit: int) -> list[Coded]:
    """Texts as tokens, no longer than `limit`.

    Args:
        tokenizer: a fast tokenizer.
        texts: the texts.
        limit: tokens of a text, special ones included.
    """
    found: list[Coded] = []
    for start in range(0, len(texts), BLOCK):
        rows = tokenizer(
            list(texts[start : start + BLOCK]),
            add_special_tokens=True,
            padding=False,
            truncation=False,  # some tokenizer.json files switch it on; `kept` cuts
            return_special_tokens_mask=True,
            verbose=False,
        )
        for ids, special in zip(rows["input_ids"], rows["special_tokens_mask"], strict=True):
            places = kept(special, limit)
            found.append(Coded(tuple(ids[i] for i in places), len(places) < len(ids), len(special) - sum(special)))
    return found


def unfit(coded: Coded, vocabulary: int) -> str | None:
    """Why a text can't be put to a classifier, or null."""
    if not coded.tokens:
        return "text without tokens"
    return f"text with {NO_EMBEDDING}" if max(coded.ids) >= vocabulary else None


def kept(special: Sequence[bool | int], limit: int) -> list[int]:
    """Places of the tokens that stay: special ones around the text all of them, the text's own from its beginning.

    Args:
        special: for each token whether the tokenizer added it.
        limit: how many may stay.

    Example:
        >>> kept([1, 0, 0, 0, 1], 4)
        [0, 1, 2, 4]
    """
    extra = len(special) - limit
    if extra <= 0:
        return list(range(len(special)))
    last = len(special)
    while last and special[last - 1]:
        last -= 1
    return [*range(last - extra), *range(last, len(special))]


def padded(rows: Sequence[Sequence[int]], pad: int, side: str = "right") -> dict[str, torch.Tensor]:
    """Rows of ids as one batch: `input_ids` and `attention_mask`, both (rows, longest), filled up with `pad` at a side."""
    import torch

    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), pad)
    mask = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        start = longest - len(row) if side == "left" else 0
        ids[number, start : start + len(row)] = torch.as_tensor(row)
        mask[number, start : start + len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask}
