"""Which tokens of a role-reversed text stand in the place of which tokens of the original (section 25 of the definitions).

Partner words differ in length (a king, a queen), so two texts that are the same word by word are not so token by token. What is
compared are predictions: two tokens are counterparts only where they begin at the same character, for then the model has read the
same text before either, up to the roles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Span = tuple[int, int]
_NOWHERE = 1 << 40
"""Beyond the end of any text."""


class _Pieces(NamedTuple):
    """Tokens of a text, all of them or those in the middle; `first` is the place of the first one in the whole text."""

    ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    first: int = 0

    def within(self, start: int, end: int) -> _Pieces:
        return _Pieces(self.ids[start:end], self.starts[start:end], self.ends[start:end], start)


def counterparts(
    ids_x: Sequence[int],
    offsets_x: Sequence[Span | None],
    ids_y: Sequence[int],
    offsets_y: Sequence[Span | None],
    changes: Sequence[tuple[Span, Span]],
) -> NDArray[np.int32]:
    """The place in y of every token's counterpart.

    - A token of unchanged text has one where y has the same id at the same characters, shifted by the changes before it.
    - Of a changed word the first piece has one: the first piece of the word in its place. A space before the word belongs to
      it, also where it is a piece of its own in one of the texts: "▁k|ing" and "▁|qu|een" pair "▁k" with "▁".
    - Tokens that the tokenizer added pair up in order while their ids agree, those at the start and those at the end.

    No two tokens share a counterpart, and exchanging x and y gives the inverse. Leave padding out of both.

    Args:
        ids_x: token ids of the original, (n_x,).
        offsets_x: characters [start, end) that each token stands for, in the order of the text, (n_x,); (0, 0) or None for
            tokens that the tokenizer added.
        ids_y: the same of the reversed text, (n_y,).
        offsets_y: the same of the reversed text, (n_y,).
        changes: `Reversed.alignment`: (characters in x, characters in y) of each changed word, in order; what lies between
            is the same text.

    Returns:
        Places in y, (n_x,), -1 where a token has no counterpart.

    Example:
        >>> counterparts([5, 7, 8, 9], [(0, 1), (1, 6), (6, 9), (9, 10)],
        ...              [5, 6, 9], [(0, 1), (1, 7), (7, 8)], [((2, 9), (2, 7))]).tolist()
        [0, 1, -1, 2]
    """
    places = np.full(len(ids_x), -1, dtype=np.int32)
    x, y = _pieces(ids_x, offsets_x), _pieces(ids_y, offsets_y)
    lead, tail_x, tail_y = _pair_added(places, x, y)
    x, y = x.within(lead, tail_x), y.within(lead, tail_y)
    if len(x.ids) and len(y.ids):
        in_x = np.array([change[0] for change in changes], dtype=np.int64).reshape(-1, 2)
        in_y = np.array([change[1] for change in changes], dtype=np.int64).reshape(-1, 2)
        _pair_unchanged(places, x, y, in_x, in_y)
        _pair_first_pieces(places, x, y, in_x, in_y)
    return places


def next_places(counterpart: NDArray[np.int32], length_y: int) -> NDArray[np.int32]:
    """Where in y a causal model predicts the counterpart of the next token: pi(t) = counterpart[t + 1] - 1.

    Args:
        counterpart: of every token of x, (n_x,), from `counterparts`.
        length_y: tokens of y.

    Returns:
        Places in y, (n_x,), -1 where there is none. The last position, whose next token is not known, maps to y's last: cut
        texts at a place that both share, or leave that position out.

    Example:
        >>> next_places(np.array([0, 1, -1, 2], dtype=np.int32), 3).tolist()
        [0, -1, 1, 2]
    """
    places = np.full(len(counterpart), -1, dtype=np.int32)
    if len(places):
        # a first token has nothing before it: its 0 becomes -1 as well
        places[:-1] = np.where(counterpart[1:] > 0, counterpart[1:] - 1, -1)
        places[-1] = length_y - 1
    return places


def _pieces(ids: Sequence[int], offsets: Sequence[Span | None]) -> _Pieces:
    spans = np.array([span or (0, 0) for span in offsets], dtype=np.int64).reshape(-1, 2)
    return _Pieces(np.asarray(ids, dtype=np.int64).reshape(-1), spans[:, 0], spans[:, 1])


def _pair_added(places: NDArray[np.int32], x: _Pieces, y: _Pieces) -> tuple[int, int, int]:
    """Pairs what the tokenizer added; gives how many tokens stand before the text, and where it ends in x and in y.

    An empty token at the start that has no partner is a part of the first word: a lone space mark.
    """
    lead = 0
    while lead < min(len(x.ids), len(y.ids)) and not x.ends[lead] and not y.ends[lead] and x.ids[lead] == y.ids[lead]:
        places[lead] = lead
        lead += 1
    tail_x, tail_y = _tail(x, lead), _tail(y, lead)
    for a, b in zip(range(tail_x, len(x.ids)), range(tail_y, len(y.ids)), strict=False):
        if x.ids[a] != y.ids[b]:
            break
        places[a] = b
    return lead, tail_x, tail_y


def _tail(pieces: _Pieces, lead: int) -> int:
    """Where the tokens begin that the tokenizer added at the end."""
    real = np.flatnonzero(pieces.ends)
    return max(lead, int(real[-1]) + 1) if len(real) else lead


def _pair_unchanged(places: NDArray[np.int32], x: _Pieces, y: _Pieces, in_x: NDArray[np.int64], in_y: NDArray[np.int64]) -> None:
    before = np.searchsorted(in_x[:, 1], x.starts, side="right")  # changes that end before each token
    next_change = np.append(in_x[:, 0], _NOWHERE)
    shift = np.append(0, in_y[:, 1] - in_x[:, 1])
    wanted = _keys(x.starts + shift[before], x.ends + shift[before])
    there = _keys(y.starts, y.ends)
    # Where a character takes several bytes, several tokens share its span: the first pairs with the first, and so on.
    own = _keys(x.starts, x.ends)
    rank = np.arange(len(own)) - np.searchsorted(own, own)
    place = np.searchsorted(there, wanted) + rank
    found = np.minimum(place, len(there) - 1)
    same = (place < len(there)) & (there[found] == wanted) & (y.ids[found] == x.ids)
    same &= (x.ends <= next_change[before]) & (x.ends > x.starts)
    places[x.first + np.flatnonzero(same)] = y.first + found[same]


def _pair_first_pieces(
    places: NDArray[np.int32], x: _Pieces, y: _Pieces, in_x: NDArray[np.int64], in_y: NDArray[np.int64]
) -> None:
    first_x, first_y = _first_pieces(x, in_x), _first_pieces(y, in_y)
    starts_x, starts_y = np.append(x.starts, _NOWHERE), np.append(y.starts, _NOWHERE)
    gap = np.minimum(starts_x[first_x] - in_x[:, 0], starts_y[first_y] - in_y[:, 0])  # -1 with the space before the word, else 0
    a, b = np.searchsorted(x.starts, in_x[:, 0] + gap), np.searchsorted(y.starts, in_y[:, 0] + gap)
    paired = (starts_x[first_x] < in_x[:, 1]) & (starts_y[first_y] < in_y[:, 1])
    paired &= (a <= first_x) & (starts_x[a] == in_x[:, 0] + gap) & (b <= first_y) & (starts_y[b] == in_y[:, 0] + gap)
    # a token that reaches back into the word changed before is that one's
    paired[1:] &= (starts_x[a] >= np.roll(in_x[:, 1], 1))[1:] & (starts_y[b] >= np.roll(in_y[:, 1], 1))[1:]
    places[x.first + a[paired]] = y.first + b[paired]


def _first_pieces(pieces: _Pieces, words: NDArray[np.int64]) -> NDArray[np.intp]:
    """The first piece of each word; a text's first word begins with its first piece, though that be empty."""
    return np.where(words[:, 0] == 0, 0, np.searchsorted(pieces.ends, words[:, 0], side="right"))


def _keys(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Both ends of each span in one number that keeps their order."""
    return starts * (1 << 31) + ends
