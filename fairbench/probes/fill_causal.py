"""Slots under a causal model: whole sentences with and without the attribute, and the words after the text before a slot.

A causal model never sees what stands behind a slot, so what an attribute adds to a word is read from the whole sentence, which
holds both; `mass` and `top_fills` are read at the slot and speak of the text before it only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.models.batching import Batching
from fairbench.models.causal import Text, token_log_probabilities
from fairbench.models.places import Question, Reply, ask_places
from fairbench.models.tokens import encode
from fairbench.probes import slot_parts as parts
from fairbench.probes.causal_scores import text_of
from fairbench.probes.parts import Unfit

if TYPE_CHECKING:
    from fairbench.models.model import Model
    from fairbench.records import Slot


@dataclass(frozen=True)
class _Asked:
    """What is asked for one record.

    Attributes:
        target: ids of the target, and `places` where they stand in the sentence.
        texts: the sentence with its attribute, and with the filler there; none where the attribute is open.
        open: what follows the text before the target, or before the open attribute.
    """

    target: tuple[int, ...]
    places: range
    texts: tuple[Text, ...]
    open: Question


def slots(model: Model, records: Sequence[Slot], options: Mapping[str, Any], batching: Batching) -> list[dict[str, Any]]:
    """`log_p log_prior mass top_fills tokens` of each record, or `left_out`."""
    asked = [_take_apart(model, record, options) for record in records]
    fit = [one for one in asked if not isinstance(one, str)]
    values = iter(token_log_probabilities(model, [text for one in fit for text in one.texts], batching))
    sets = parts.words_of(model).sets
    replies = ask_places(model, [one.open for one in fit], sets=sets, count=options["top"], batching=batching)
    read = iter([
        _read(one, [next(values) for _ in one.texts], reply, options["scorer"]) for one, reply in zip(fit, replies, strict=True)
    ])  # fmt: skip
    return parts.rows(model, records, [one if isinstance(one, str) else next(read) for one in asked])


def filler_for(template: str, options: Mapping[str, Any]) -> str:
    """The word that stands for the attribute in the prior, by the article before it.

    Example:
        >>> filler_for("[TARGET] is an [ATTRIBUTE].", {"filler": "person", "filler_after_an": "individual"})
        'individual'
    """
    before = template[: template.index(parts.ATTRIBUTE)].split()
    return str(options["filler_after_an"] if before and before[-1].lower() == "an" else options["filler"])


def _read(asked: _Asked, values: Sequence[NDArray[np.float64]], reply: Reply, scorer: str) -> parts.Read:
    """`values`: log-probabilities of the scored tokens of each text."""
    if not asked.texts:
        return parts.Read(asked.target, None, math.nan, reply)
    given, prior = (float(v.sum() if scorer == "sum" else v.mean()) for v in values)
    first = asked.texts[0].first
    at_slot = values[0][asked.places.start - first : asked.places.stop - first].sum()
    return parts.Read(asked.target, (given, prior), float(at_slot), reply)


def _take_apart(model: Model, record: Slot, options: Mapping[str, Any]) -> _Asked | str:
    try:
        parts.require_places(record)
        return _asked(model, record, options)
    except Unfit as reason:
        return str(reason)


def _asked(model: Model, record: Slot, options: Mapping[str, Any]) -> _Asked:
    """The texts and the question of one record.

    Raises:
        Unfit: it can't be asked.
    """
    filler = filler_for(record.template, options)
    prior, target, place = _words(model, parts.fill_in(record.template, record.target, filler), "filler")
    if record.attribute is None:
        if target.start >= place.start:
            raise Unfit("[TARGET] stands behind [ATTRIBUTE], where a causal model does not see it")
        return _Asked(_ids(prior, target), target, (), _follows(model, prior, place))
    given, target, _ = _words(model, parts.fill_in(record.template, record.target, record.attribute), "attribute")
    if target.start < given.first:
        raise Unfit("the target stands first, and without a start token nothing tells its probability")
    return _Asked(_ids(given, target), target, (given, prior), _follows(model, given, target))


def _words(model: Model, filled: parts.Filled, attribute: str) -> tuple[Text, range, range]:
    """A sentence ready to be scored, and the places of its two words."""
    text = text_of(model, filled.text)
    coded = encode(model.tokenizer, filled.text, special=False)
    shift = len(text.ids) - len(coded.ids)  # by the start token
    spans = ((filled.target, "target"), (filled.attribute, attribute))
    found = [parts.tokens_of(model, coded, span, what) for span, what in spans]
    target, place = (range(tokens.start + shift, tokens.stop + shift) for tokens in found)
    return text, target, place


def _follows(model: Model, text: Text, place: range) -> Question:
    """Which words follow the text before a place."""
    return Question(text.ids[: place.start], place.start - 1, among=parts.set_at(model, text.ids[place.start]))


def _ids(text: Text, places: range) -> tuple[int, ...]:
    return tuple(text.ids[i] for i in places)
