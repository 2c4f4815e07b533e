"""Slots under a masked model (Kurita et al. 2019; open attributes: Webster et al. 2020).

The sentence is tokenised whole, and its words are found by their characters. A target's tokens are hidden all at once, each
behind a mask of its own; for the prior those of the attribute are hidden as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.models.batching import Batching
from fairbench.models.heads import NO_EMBEDDING, known_ids
from fairbench.models.places import Question, Reply, ask_places
from fairbench.models.tokens import Encoded, encode
from fairbench.probes import slot_parts as parts
from fairbench.probes.parts import TOO_LONG, Unfit

if TYPE_CHECKING:
    from fairbench.models.model import Model
    from fairbench.records import Slot

PLACEHOLDER = "person"
"""A word that is tokenised in the place of an open attribute and then hidden behind one mask.

The mask's own text would not do: tokenizers put a space beside it, or none, where none was seen in training.
"""


@dataclass(frozen=True)
class _Asked:
    """What is asked for one record.

    Attributes:
        target: ids of the target.
        given: a question for each token of it with the attribute in place, and `prior` with that hidden; both empty where the
            attribute is open.
        open: one mask at the target, or at the open attribute.
    """

    target: tuple[int, ...]
    given: tuple[Question, ...]
    prior: tuple[Question, ...]
    open: Question

    @property
    def questions(self) -> tuple[Question, ...]:
        """All of them, in the order in which their replies are taken up."""
        return (*self.given, *self.prior, self.open)


def slots(model: Model, records: Sequence[Slot], options: Mapping[str, Any], batching: Batching) -> list[dict[str, Any]]:
    """`log_p log_prior mass top_fills tokens` of each record, or `left_out`."""
    asked = [_take_apart(model, record, options["multi_token"]) for record in records]
    questions = [question for one in asked if not isinstance(one, str) for question in one.questions]
    sets = parts.words_of(model).sets
    replies = iter(ask_places(model, questions, sets=sets, count=options["top"], batching=batching))
    return parts.rows(model, records, [one if isinstance(one, str) else _read(one, replies) for one in asked])


def hidden(ids: Sequence[int], places: range, mask: int) -> tuple[int, ...]:
    """Ids with a mask in each of the places.

    Example:
        >>> hidden((2, 10, 11, 3), range(1, 3), 4)
        (2, 4, 4, 3)
    """
    return tuple(mask if i in places else token for i, token in enumerate(ids))


def _read(asked: _Asked, replies: Iterator[Reply]) -> parts.Read:
    """Takes up as many replies as there were questions."""
    given, prior = (np.array([next(replies).log_p[0] for _ in part]) for part in (asked.given, asked.prior))
    if not asked.given:
        return parts.Read(asked.target, None, math.nan, next(replies))
    return parts.Read(asked.target, (float(given.mean()), float(prior.mean())), float(given.sum()), next(replies))


def _take_apart(model: Model, record: Slot, multi_token: str) -> _Asked | str:
    try:
        parts.require_places(record)
        return _asked(model, record, multi_token)
    except Unfit as reason:
        return str(reason)


def _asked(model: Model, record: Slot, multi_token: str) -> _Asked:
    """The questions about one record.

    Raises:
        Unfit: it can't be asked.
    """
    filled = parts.fill_in(record.template, record.target, PLACEHOLDER if record.attribute is None else record.attribute)
    coded = _encode(model, filled.text)
    target = parts.tokens_of(model, coded, filled.target, "target")
    ids = tuple(coded.ids[i] for i in target)
    if record.attribute is None:
        place = parts.tokens_of(model, coded, filled.attribute, f"word {PLACEHOLDER!r} at [ATTRIBUTE]")
        parts.require_own_tokens(coded, place, filled.attribute)
        return _Asked(ids, (), (), _open(model, coded, place))
    attribute = parts.tokens_of(model, coded, filled.attribute, "attribute")
    parts.require_own_tokens(coded, target, filled.target)
    if len(target) > 1 and multi_token == "skip":
        raise Unfit("the target has several tokens")
    mask = model.tokenizer.mask_token_id
    with_attribute = hidden(coded.ids, target, mask)
    both_hidden = hidden(with_attribute, attribute, mask)
    given, prior = (
        tuple(Question(seen, place, (coded.ids[place],)) for place in target) for seen in (with_attribute, both_hidden)
    )
    return _Asked(ids, given, prior, _open(model, coded, target))


def _open(model: Model, coded: Encoded, place: range) -> Question:
    """One mask in the place of a word, whatever tokens it had, and any word asked for."""
    ids = (*coded.ids[: place.start], model.tokenizer.mask_token_id, *coded.ids[place.stop :])
    return Question(ids, place.start, among=parts.set_at(model, coded.ids[place.start]))


def _encode(model: Model, text: str) -> Encoded:
    coded = encode(model.tokenizer, text, special=True)
    if model.card.max_length is not None and len(coded.ids) > model.card.max_length:
        raise Unfit(TOO_LONG)
    if max(coded.ids) >= known_ids(model):
        raise Unfit(NO_EMBEDDING)
    return coded
