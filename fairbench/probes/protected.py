"""Which tokens of a text are protected: the feature weights v of prediction sensitivity, where no second model says so.

Either the words of a list, or the likeness of each token's word embedding to what a list of words has in common. A list is a file
with a word or phrase a line, or two that stand opposite each other ("he, she"), or one of the lists of this package by its name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairbench.counterfactual.identity import identities
from fairbench.counterfactual.lexicon import GIVEN_ONLY, Lexicon
from fairbench.counterfactual.roles import gender
from fairbench.errors import FairbenchError, did_you_mean
from fairbench.files import digest
from fairbench.models.tokens import Encoded, encode, pieces_of_span

if TYPE_CHECKING:
    import torch

WORD = re.compile(r"[\w'’]+")
POSSESSIVE = re.compile(r"'s?$")
BETWEEN = re.compile(r"[\s\-]+")
"""What may stand between the words of a phrase in a text."""

Phrase = tuple[str, ...]


@dataclass(frozen=True)
class Words:
    """Words and phrases that tell a protected group.

    Attributes:
        phrases: all of them, as words in lower case.
        pairs: those that stand opposite each other.
    """

    phrases: frozenset[Phrase]
    pairs: tuple[tuple[Phrase, Phrase], ...] = ()

    @property
    def sha256(self) -> str:
        """Of what they are, in whatever order a file has them."""
        return digest([sorted(self.phrases), list(self.pairs)])


def read_words(name: str) -> Words:
    """A list of words by its name, or from a file.

    Args:
        name: of a list of this package, or of a text file.

    Raises:
        FairbenchError: there is no such list or file, or it holds no word.
    """
    path = Path(name)
    if not path.is_file():
        known = lists()
        if name in known:
            return known[name]
        raise FairbenchError(
            f"words={name}: there is no such file, nor a list of that name.{did_you_mean(name, known)} Wanted one of "
            f"{', '.join(known)}, or a text file with a word a line, or two that stand opposite each other (he, she)."
        )
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FairbenchError(f"words={name}: the file is not UTF-8 text ({error}). Wanted a word a line.") from error
    found = [[entry for part in re.split(r"[,\t]", line) if (entry := _phrase(part))] for line in lines]
    long = next((number for number, entries in enumerate(found, 1) if len(entries) > 2), None)
    if long is not None:
        raise FairbenchError(
            f"words={name}, line {long}: found {len(found[long - 1])} words, wanted one, or two that stand opposite each other."
        )
    if not any(found):
        raise FairbenchError(f"words={name}: the file holds no word. Wanted a word a line.")
    pairs = tuple((entries[0], entries[1]) for entries in found if len(entries) == 2)
    return Words(frozenset(entry for entries in found for entry in entries), pairs)


def lists() -> dict[str, Words]:
    """The lists of this package: pairs of gendered words, and the identity terms of every other notion (race, religion ...)."""
    lexicons = {lexicon.notion: lexicon for lexicon in (*identities(), gender())}
    return {notion: _from_lexicon(lexicon) for notion, lexicon in sorted(lexicons.items())}


def _from_lexicon(lexicon: Lexicon) -> Words:
    """All words that are looked for, but titles, which are words only before a name; pairs where there are two groups."""
    rows = [[_phrase(word) if word[-1:] != "*" and word[:1] != GIVEN_ONLY else () for word in row] for row in lexicon.rows]
    pairs = [(row[0], row[1]) for row in rows if len(lexicon.groups) == 2 and all(row)]
    return Words(frozenset(phrase for row in rows for phrase in row if phrase), tuple(dict.fromkeys(pairs)))


def of_words(encoded: Encoded, words: Words) -> list[float]:
    """1 for every piece of a listed word, 0 for other tokens.

    Whole words count, in lower case, without accents and without 's; of a phrase all its words.
    """
    weights = [0.0] * len(encoded.ids)
    for start, end in _spans(encoded.text, words.phrases):
        for place in pieces_of_span(encoded, start, end):
            weights[place] = 1.0
    return weights


@dataclass(frozen=True, eq=False)
class Direction:
    """What listed words have in common in a network's word embeddings.

    Attributes:
        vector: (d,) of length one.
        signed: it is the centroid of the words, and a token counts as far as it points there; else the mean difference of pairs,
            and a token counts as far as it lies to either side.
    """

    vector: torch.Tensor
    signed: bool

    @property
    def what(self) -> str:
        """In words."""
        return "the centroid of the words, cosine above 0" if self.signed else "the mean difference of the pairs, |cosine|"


def direction(network: Any, tokenizer: Any, words: Words) -> Direction:
    """The protected direction of a network's word embeddings, from the pairs of a list, or where it has none from all its words.

    Raises:
        FairbenchError: the tokenizer knows none of the words, or they cancel out.
    """
    import torch

    matrix = network.get_input_embeddings().weight

    def vector(phrase: Phrase) -> torch.Tensor | None:
        return _vector(matrix, tokenizer, phrase)

    sides = [(vector(first), vector(second)) for first, second in words.pairs]
    parts = [first - second for first, second in sides if first is not None and second is not None]
    if not words.pairs:
        parts = [found for phrase in sorted(words.phrases) if (found := vector(phrase)) is not None]
    mean = torch.stack(parts).mean(0) if parts else torch.zeros(1)
    if not float(mean.norm()) > 0:
        raise FairbenchError(
            "protected=similarity: the listed words give no direction in the word embeddings (the tokenizer knows none of them, "
            "or they cancel out). Give other words."
        )
    return Direction(mean / mean.norm(), signed=not words.pairs)


def of_likeness(encoded: Encoded, network: Any, found: Direction) -> list[float]:
    """How alike each token's word embedding is to the protected direction: |cosine|, or for a centroid a cosine above 0."""
    import torch

    matrix = network.get_input_embeddings().weight
    vectors = _exact(matrix[torch.tensor(encoded.ids, device=matrix.device)])
    cosine = vectors @ found.vector / vectors.norm(dim=-1).clamp_min(torch.finfo(vectors.dtype).tiny)
    weights: list[float] = (cosine.clamp_min(0) if found.signed else cosine.abs()).tolist()
    return weights


def _vector(matrix: torch.Tensor, tokenizer: Any, phrase: Phrase) -> torch.Tensor | None:
    """The mean word embedding of a phrase's pieces, as it is written after another word; null where they are unknown."""
    import torch

    written = f"The {' '.join(phrase)}"
    encoded = encode(tokenizer, written, special=False)
    ids = [encoded.ids[place] for place in pieces_of_span(encoded, len("The "), len(written))]
    if not ids or all(token == tokenizer.unk_token_id for token in ids):
        return None
    return _exact(matrix[torch.tensor(ids, device=matrix.device)]).mean(0)


def _exact(vectors: torch.Tensor) -> torch.Tensor:
    """At least single precision, on the processor."""
    import torch

    return vectors.detach().cpu() if vectors.dtype == torch.float64 else vectors.detach().cpu().float()


def _spans(text: str, phrases: frozenset[Phrase]) -> Iterable[tuple[int, int]]:
    """Characters of a text that are listed phrases."""
    words = [_word(match[0], match.start()) for match in WORD.finditer(text)]
    longest = max(map(len, phrases), default=0)
    for first in range(len(words)):
        for last in range(first, min(first + longest, len(words))):
            if last > first and not BETWEEN.fullmatch(text[words[last - 1].end : words[last].start]):
                break
            before = tuple(word.whole for word in words[first:last])
            if (*before, words[last].whole) in phrases:
                yield words[first].start, words[last].end
            elif (*before, words[last].stem) in phrases:
                yield words[first].start, words[last].stem_end


@dataclass(frozen=True)
class _Word:
    """A word of a text without the quotes around it; `stem` is what it is without 's."""

    whole: str
    stem: str
    start: int
    end: int
    stem_end: int


def _word(written: str, start: int) -> _Word:
    straight = written.replace("’", "'")
    start += len(straight) - len(straight.lstrip("'"))
    bare = straight.strip("'")
    stem = POSSESSIVE.sub("", bare)
    return _Word(_fold(bare), _fold(stem), start, start + len(bare), start + len(stem))


def _phrase(written: str) -> Phrase:
    return tuple(word.whole for match in WORD.finditer(written) if (word := _word(match[0], 0)).whole)


def _fold(word: str) -> str:
    """Lower case, without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(c))
