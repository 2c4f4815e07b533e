"""Text to tokens and back to characters: whole texts in one go, with the characters that every token stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairbench.errors import FairbenchError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from fairbench.models.model import ModelCard

SPACE_MARKS = frozenset("▁Ġ")
"""How SentencePiece and byte-level BPE write a space at the head of a piece."""


@dataclass(frozen=True)
class Encoded:
    """A text as tokens.

    Attributes:
        text: the text.
        ids: token ids.
        offsets: characters [start, end) of `text` that each token stands for; empty for special tokens. Several tokens
            share the same characters where one character takes several bytes.
        special: true for tokens that the tokenizer added (not for those written in the text itself).
    """

    text: str
    ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]
    special: tuple[bool, ...]


def encode(tokenizer: PreTrainedTokenizerBase, text: str, special: bool) -> Encoded:
    """Tokenises a whole text. Never word by word: byte-level BPE has another piece for a word without its leading space.

    Args:
        tokenizer: a fast tokenizer.
        text: any text; it is never cut, whatever its length.
        special: let the tokenizer add its special tokens.

    Raises:
        FairbenchError: the tokenizer is a slow one, which has no offsets.
    """
    if not tokenizer.is_fast:
        raise FairbenchError(f"{type(tokenizer).__name__} is a slow tokenizer and gives no offsets. Use a fast one.")
    coded = tokenizer(
        text,
        add_special_tokens=special,
        padding=False,
        truncation=False,  # said outright: some tokenizer.json files switch truncation on
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        verbose=False,
    )
    added = tuple(bool(flag) for flag in coded["special_tokens_mask"])
    pieces = tokenizer.convert_ids_to_tokens(coded["input_ids"])
    offsets = tuple(
        # A lone space mark put before the text is reported with the text's first character, which it does not stand for.
        (start, start) if flag or (piece in SPACE_MARKS and not text[start:end].isspace()) else (start, end)
        for (start, end), flag, piece in zip(coded["offset_mapping"], added, pieces, strict=True)
    )
    return Encoded(text=text, ids=tuple(coded["input_ids"]), offsets=offsets, special=added)


def start_token(card: ModelCard, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The id that causal scores condition on, by the card's rule; null where the tokenizer has neither BOS nor EOS."""
    ids: dict[str, int | None] = {"bos": tokenizer.bos_token_id, "eos": tokenizer.eos_token_id, "none": None}
    return ids[card.start_rule]


def pieces_of_span(encoded: Encoded, start: int, end: int) -> list[int]:
    """Positions of the tokens that stand for a part of the characters [start, end).

    A token counts when it shares a character other than a space with the span: the space before a word belongs to the word's
    first piece in many vocabularies, and a token that brings only that space is no part of it.
    """
    found = []
    for position, (first, last) in enumerate(encoded.offsets):
        shared = encoded.text[max(first, start) : min(last, end)]
        if shared and not shared.isspace():
            found.append(position)
    return found
