"""How a tokenizer's vocabulary writes a word: with which mark, in which letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairbench.errors import FairbenchError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MARKS = ("Ġ", "▁", "##")
"""How byte-level BPE and SentencePiece mark a piece that begins a word after a space, and WordPiece one that goes on with it."""


class Entries:
    """The entries of a vocabulary, in which words are looked up by how it writes them.

    Args:
        tokenizer: a fast tokenizer.

    Raises:
        FairbenchError: a slow tokenizer, or a vocabulary that doesn't mark where words begin.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if not tokenizer.is_fast:
            raise FairbenchError(f"{type(tokenizer).__name__} is a slow tokenizer, which can't be mapped. Use a fast one.")
        special = set(tokenizer.all_special_ids)
        self._ids = {entry: token for entry, token in tokenizer.get_vocab().items() if token not in special}
        counts = {mark: sum(entry.startswith(mark) for entry in self._ids) for mark in MARKS}
        self._mark = max(MARKS, key=lambda mark: counts[mark])
        if not counts[self._mark]:
            raise FairbenchError(
                f"{type(tokenizer).__name__} marks beginnings of words in none of the ways that are known ({', '.join(MARKS)}), "
                "so words can't be found in its vocabulary. Use a model with another tokenizer, or mitigate without the map."
            )
        self._normalizer = tokenizer.backend_tokenizer.normalizer  # type: ignore[attr-defined]

    def forms(self, pair: tuple[str, str], unmarked: bool) -> list[tuple[str, str]]:
        """The written forms of a pair that differ in this vocabulary: as it is, with a capital, in capitals.

        They stand with the space before them, and with `unmarked` without it too; WordPiece never keeps the space.
        """
        male, female = pair
        cased = [(male, female), (male[:1].upper() + male[1:], female[:1].upper() + female[1:]), (male.upper(), female.upper())]
        spaces = [""] if self._mark == "##" else [" ", ""][: 1 + unmarked]
        forms = [(space + m, space + f) for space in spaces for m, f in cased]
        return list({(self._entry(m), self._entry(f)): (m, f) for m, f in reversed(forms)}.values())[::-1]

    def tokens(self, forms: tuple[str, str]) -> tuple[int | None, int | None]:
        """The ids of two forms, null where one is no single token."""
        return self._ids.get(self._entry(forms[0])), self._ids.get(self._entry(forms[1]))

    def begins(self, forms: tuple[str, str]) -> bool:
        """Whether the tokens of these forms only stand where a word begins."""
        return self._mark == "##" or forms[0].startswith(" ")

    def _entry(self, form: str) -> str:
        """How the vocabulary writes a form."""
        word = form.lstrip()
        spaced = word != form
        if self._normalizer is not None:
            word = self._normalizer.normalize_str(word).strip("▁ ")
        if self._mark == "Ġ":
            from tokenizers.pre_tokenizers import ByteLevel

            written = ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(" " * spaced + word)
            return "".join(piece for piece, _ in written)
        return "▁" * spaced + word
