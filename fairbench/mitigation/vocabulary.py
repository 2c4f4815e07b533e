"""Which tokens of a vocabulary are each other's counterparts, and a swapped model's probabilities mapped back by them.

Where a text holds no gendered word, the reversed text is the text itself, so a teacher that reads both says the same twice and a
merge changes nothing (section 23.8 of the definitions). The second reading is therefore mapped back: the probability of "she" in
the reversed world counts for "he". Words that are not one to one (him and his against her) form a block: each side takes over the
other side's probability, split among its words by the model's own ratio in the original context, so that nothing is lost or made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch

from fairbench.errors import FairbenchError
from fairbench.mitigation.entries import Entries

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

Block = tuple[tuple[int, ...], tuple[int, ...]]
"""The ids of a written form, (male, female)."""


class _Columns(NamedTuple):
    """A map as index tensors.

    Attributes:
        targets: all mapped ids, those of blocks of more than two words first, (m + k,).
        source: the counterparts of the last k of them, (k,).
        sides: ids of the sides of the larger blocks, male and female in turn, filled up with 0, (s, w).
        filled: where they are filled up, (s, w).
        partner: for each side the place of the other, (s,).
        real: places of the m ids in the flattened sides, (m,).
        least_width: how many tokens a model must have.
    """

    targets: torch.Tensor
    source: torch.Tensor
    sides: torch.Tensor
    filled: torch.Tensor
    partner: torch.Tensor
    real: torch.Tensor
    least_width: int


@dataclass(frozen=True)
class VocabularyMap:
    """Tokens that are each other's counterparts.

    Attributes:
        blocks: (male ids, female ids) of every written form; no id stands twice.
        words: the same as words to be read, with the space before them where the token holds it.
        left_out: why a pair or one of its written forms is not mapped, by pair ("sir-madam").
    """

    blocks: tuple[Block, ...]
    words: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    _kept: dict[torch.device, _Columns] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def ids(self) -> tuple[int, ...]:
        """All mapped ids."""
        return tuple(token for block in self.blocks for side in block for token in side)

    def _columns(self, log_p: torch.Tensor) -> _Columns:
        found = self._kept.get(log_p.device)
        if found is None:
            found = self._kept[log_p.device] = _columns(self.blocks, log_p.device)
        if found.least_width > log_p.shape[-1]:
            raise FairbenchError(
                f"The vocabulary map names token {found.least_width - 1}, but the model gives probabilities for "
                f"{log_p.shape[-1]} tokens only. Make the map from the model's own tokenizer."
            )
        return found


class Seen:
    """Counts how often each token stands for a whole word of a corpus, and how often for a part of one (he, he|lp).

    Example:
        >>> seen = Seen()
        >>> seen.add([7, 3, 7], [(0, 2), (2, 4), (4, 7)], "help he")
        >>> seen.occurrences(7), seen.share_whole(7)
        (2, 0.5)
    """

    def __init__(self) -> None:
        self._whole: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._all: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def add(self, ids: Sequence[int], offsets: Sequence[tuple[int, int]], text: str) -> None:
        """Counts a text's tokens.

        Args:
            ids: token ids, (n,).
            offsets: characters of `text` that each stands for, with or without the space before a word, (n,); empty for
                tokens that the tokenizer added, which are not counted.
            text: the text.
        """
        tokens, spans = np.asarray(ids, dtype=np.int64), np.asarray(offsets, dtype=np.int64).reshape(-1, 2)
        real = spans[:, 1] > spans[:, 0]
        if not real.any():
            return
        tokens, starts, ends = tokens[real], spans[real, 0], spans[real, 1]
        # letters[i + 1] tells of character i, so that the text's two borders read as no letters
        letters = np.zeros(len(text) + 2, dtype=np.int64)
        letters[1:-1] = np.fromiter(map(str.isalnum, text), dtype=bool, count=len(text))
        until = np.cumsum(letters)
        starts = starts + (letters[starts + 1] == 0)  # the space before the word
        whole = (until[ends] - until[starts] == ends - starts) & (ends > starts)
        whole &= (letters[starts] == 0) & (letters[ends + 1] == 0)
        most = int(tokens.max()) + 1
        if most > len(self._all):
            self._whole, self._all = (np.pad(counts, (0, 2 * most - len(counts))) for counts in (self._whole, self._all))
        np.add.at(self._all, tokens, 1)
        np.add.at(self._whole, tokens[whole], 1)

    def occurrences(self, token: int) -> int:
        """How often a token was seen."""
        return int(self._all[token]) if token < len(self._all) else 0

    def share_whole(self, token: int) -> float:
        """The share of a token's occurrences in which it stands for a whole word, in [0, 1]; NaN if it was never seen."""
        return float(self._whole[token] / self._all[token]) if self.occurrences(token) else float("nan")

    def as_dict(self) -> dict[str, list[list[int]]]:
        """Built-in types: (token, times as a whole word, times in all) of every token that was seen."""
        known = np.flatnonzero(self._all)
        return {"tokens": np.stack([known, self._whole[known], self._all[known]], axis=1).tolist()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Sequence[Sequence[int]]]) -> Seen:
        """The reverse of `as_dict`."""
        found = cls()
        if len(content["tokens"]):
            tokens, whole, every = np.asarray(content["tokens"], dtype=np.int64).T
            found._whole, found._all = (np.zeros(int(tokens.max()) + 1, dtype=np.int64) for _ in range(2))
            found._whole[tokens], found._all[tokens] = whole, every
        return found


def vocabulary_map(
    tokenizer: PreTrainedTokenizerBase,
    pairs: Iterable[tuple[str, str]],
    seen: Seen | None = None,
    least_whole: float = 0.9,
) -> VocabularyMap:
    """Finds the tokens of pairs of words, each in its written forms (he, He, HE; with and without the space before it).

    Tokens are found by how the vocabulary writes them, never by `convert_tokens_to_ids`, which gives the unknown token for
    "he" where the piece is called "Ġhe". A form is mapped where both words are single tokens. Forms that are tied together
    (him-her, his-her, his-hers) make one block.

    Args:
        tokenizer: a fast tokenizer.
        pairs: (male, female) as written inside a sentence; a word may stand in several pairs, but on one side only.
        seen: what the tokens stand for in a corpus. A form is then left out if one of its tokens is a whole word in fewer than
            `least_whole` of its occurrences. Without it only tokens that begin a word by their mark are mapped.
        least_whole: in [0, 1].

    Raises:
        FairbenchError: a slow tokenizer; a vocabulary that doesn't mark where words begin; a word on both sides.
    """
    entries = Entries(tokenizer)
    edges: dict[tuple[int, int], tuple[str, str]] = {}
    left_out = {}
    for pair in dict.fromkeys(pairs):
        mapped, reasons = False, []
        for forms in entries.forms(pair, unmarked=seen is not None):
            tokens = entries.tokens(forms)
            reason = _why_not(forms, tokens, entries.begins(forms), seen, least_whole)
            if reason is None:
                mapped = True
                edges.setdefault((cast(int, tokens[0]), cast(int, tokens[1])), forms)
            elif reason:
                reasons.append(reason)
        if reasons or not mapped:
            left_out["-".join(pair)] = "; ".join(reasons) or "neither is a single token"
    blocks, words = _components(edges)
    return VocabularyMap(blocks, words, left_out)


def map_back(log_counterfactual: torch.Tensor, log_original: torch.Tensor, vocabulary_map: VocabularyMap) -> torch.Tensor:
    """Maps what a model says of the reversed text back to the original's words (section 3.3).

    For a block (M, F) and i in M: log P'(i) = log P_c(F) + log P_o(i | M), and likewise for F; other tokens keep P_c. The
    total stays as it is. A constant added to a row of `log_counterfactual` is added to the result, and one added to a row of
    `log_original` changes nothing, so logits may be given as well.

    Args:
        log_counterfactual: log-probabilities P_c at the aligned positions of the reversed text, (n, V), finite.
        log_original: log-probabilities P_o in the original context, (n, V), finite.
        vocabulary_map: the tokens that are mapped.

    Returns:
        log P', (n, V), a new tensor; differentiable in both.

    Raises:
        FairbenchError: the map names tokens that the model doesn't have.
    """
    columns = vocabulary_map._columns(log_counterfactual)
    mapped = log_counterfactual.index_select(1, columns.source)
    if len(columns.real):
        masses = _sides(log_counterfactual, columns).logsumexp(-1)
        ratios = _sides(log_original, columns).log_softmax(-1)
        split = masses.index_select(1, columns.partner).unsqueeze(-1) + ratios
        mapped = torch.cat([split.flatten(1).index_select(1, columns.real), mapped], dim=1)
    return log_counterfactual.index_copy(1, columns.targets, mapped)


def gendered_mass(log_p: torch.Tensor, vocabulary_map: VocabularyMap) -> torch.Tensor:
    """The probability that all mapped tokens hold together.

    Near 0 everywhere, the map does nothing: a sign of a tokenizer whose words were not found (section 23.11).

    Args:
        log_p: log-probabilities, (n, V).
        vocabulary_map: the tokens that are mapped.

    Returns:
        Probabilities in [0, 1], (n,).

    Raises:
        FairbenchError: the map names tokens that the model doesn't have.
    """
    return log_p.index_select(1, vocabulary_map._columns(log_p).targets).exp().sum(-1)


def _columns(blocks: Sequence[Block], device: torch.device) -> _Columns:
    single = [(male[0], female[0]) for male, female in blocks if len(male) == len(female) == 1]
    sides = [side for male, female in blocks if len(male) + len(female) > 2 for side in (male, female)]
    width = max(map(len, sides), default=0)
    rows = [[*side, *[-1] * (width - len(side))] for side in sides]
    padded = torch.tensor(rows, dtype=torch.long, device=device).reshape(len(sides), width)
    real = (padded.flatten() >= 0).nonzero().flatten()
    single_ids = torch.tensor(single, dtype=torch.long, device=device).reshape(-1, 2)
    targets = torch.cat([padded.flatten()[real], single_ids.flatten()])
    return _Columns(
        targets=targets,
        source=single_ids.flip(1).flatten(),
        sides=padded.clamp(min=0),
        filled=padded < 0,
        partner=torch.arange(len(sides), device=device) ^ 1,
        real=real,
        least_width=max(targets.tolist(), default=-1) + 1,
    )


def _sides(log_p: torch.Tensor, columns: _Columns) -> torch.Tensor:
    """The log-probabilities of the sides' tokens, -inf where they are filled up, (n, s, w)."""
    found = log_p.index_select(1, columns.sides.flatten()).view(len(log_p), *columns.sides.shape)
    return found.masked_fill(columns.filled, -torch.inf)


def _why_not(
    forms: tuple[str, str], tokens: tuple[int | None, int | None], begins: bool, seen: Seen | None, least_whole: float
) -> str | None:
    """Why a form is not mapped: a reason, an empty one where there is nothing to tell, or null where it is mapped."""
    known = [(form, token) for form, token in zip(forms, tokens, strict=True) if token is not None]
    if len(known) < 2:
        # what begins no word is mostly a part of one: worth a line only if it was seen as a word
        told = known and (begins or (seen is not None and seen.share_whole(known[0][1]) > 0))
        return f'"{forms[tokens.index(None)]}" is no single token' if told else ""
    if seen is None:
        return None
    never = [form for form, token in known if not seen.occurrences(token)]
    if never and not begins:
        return f'"{never[0]}" was never seen' if len(never) == 1 else ""
    impure = [
        f'"{form}" is a whole word in {seen.share_whole(token):.1%} of its {seen.occurrences(token):,} occurrences'
        for form, token in known
        if seen.share_whole(token) < least_whole
    ]
    return " and ".join(impure) or None


def _components(
    edges: Mapping[tuple[int, int], tuple[str, str]],
) -> tuple[tuple[Block, ...], tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]]:
    """Ties pairs of tokens that share one together: the blocks, and their words."""
    names: tuple[dict[int, str], dict[int, str]] = ({}, {})
    block_of: dict[int, tuple[dict[int, None], dict[int, None]]] = {}
    for (male, female), forms in edges.items():
        names[0].setdefault(male, forms[0])
        names[1].setdefault(female, forms[1])
        joined: tuple[dict[int, None], dict[int, None]] = ({}, {})
        parts = [block_of[token] for token in (male, female) if token in block_of]
        for side, own in enumerate((male, female)):
            joined[side].update({token: None for part in parts for token in part[side]} | {own: None})
        block_of.update({token: joined for side in joined for token in side})
    if both := names[0].keys() & names[1].keys():
        word = names[0][min(both)].strip()
        raise FairbenchError(
            f'"{word}" stands on both sides of the pairs of words, as a male and as a female word, so it can\'t be mapped. Leave '
            "one of the pairs out."
        )
    found = list({id(block): block for block in block_of.values()}.values())
    blocks = tuple((tuple(sorted(male)), tuple(sorted(female))) for male, female in found)
    words = tuple(
        (tuple(names[0][token] for token in male), tuple(names[1][token] for token in female)) for male, female in blocks
    )
    return blocks, words
