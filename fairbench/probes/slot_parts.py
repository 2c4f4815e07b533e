"""A slot taken apart: its sentence, the tokens of its words, and which tokens of a vocabulary could be a word there."""

from __future__ import annotations

import math
import re
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.models.heads import known_ids
from fairbench.models.places import Reply
from fairbench.models.tokens import SPACE_MARKS, Encoded, pieces_of_span
from fairbench.probes.parts import Unfit

if TYPE_CHECKING:
    from fairbench.models.model import Model
    from fairbench.records import Slot

TARGET, ATTRIBUTE = "[TARGET]", "[ATTRIBUTE]"
SPACED, BARE = "after a space", "after no space"
"""Names of the two sets of words: those of a place that a space stands before, and those of any other."""


@dataclass(frozen=True)
class Filled:
    """A template with words in its places; `target` and `attribute` are their characters [start, end)."""

    text: str
    target: tuple[int, int]
    attribute: tuple[int, int]


@dataclass(frozen=True)
class Read:
    """What was read for one record, in nats.

    Attributes:
        target: ids of the target's tokens.
        scores: log_p and log_prior; null where the attribute is open.
        at_slot: log-probability of all the target's tokens at its place; NaN where the attribute is open.
        open: the likeliest words at the target's place, or at the open attribute.
    """

    target: tuple[int, ...]
    scores: tuple[float, float] | None
    at_slot: float
    open: Reply


@dataclass(frozen=True)
class Words:
    """The tokens of a vocabulary that hold a letter and begin a word.

    Attributes:
        texts: token id -> the word, without the space before it.
        sets: their ids, by `SPACED` and `BARE`. They differ only in vocabularies that write a space into a piece.
    """

    texts: Mapping[int, str]
    sets: Mapping[str, NDArray[np.int64]]


_WORDS: weakref.WeakKeyDictionary[Any, Words] = weakref.WeakKeyDictionary()


def require_places(record: Slot) -> None:
    """A template has each of its places once, and there is a word to put there.

    Raises:
        Unfit: it has not.
    """
    if not record.target.strip():
        raise Unfit("the target is empty")
    if record.attribute is not None and not record.attribute.strip():
        raise Unfit("the attribute is empty")
    for place in (TARGET, ATTRIBUTE):
        count = record.template.count(place)
        if count != 1:
            raise Unfit(f"{place} stands {'more than once' if count else 'nowhere'} in the template")


def fill_in(template: str, target: str, attribute: str) -> Filled:
    """Puts words into the two places.

    Example:
        >>> fill_in("The [TARGET] is a [ATTRIBUTE].", "man", "nurse")
        Filled(text='The man is a nurse.', target=(4, 7), attribute=(13, 18))
    """
    words, spans, text = {TARGET: target, ATTRIBUTE: attribute}, {}, ""
    for part in re.split(r"(\[TARGET\]|\[ATTRIBUTE\])", template):
        word = words.get(part, part)
        spans[part] = (len(text), len(text) + len(word))
        text += word
    return Filled(text, spans[TARGET], spans[ATTRIBUTE])


def tokens_of(model: Model, coded: Encoded, span: tuple[int, int], what: str) -> range:
    """Places of the tokens that make up a word.

    They are those that hold one of its characters and, where the first of them has no space mark, a lone mark before it:
    left in sight it would tell that a word without a piece of its own stands there.

    Raises:
        Unfit: there are none, or one is the unknown or a special token, whose probability is not the word's.
    """
    found = pieces_of_span(coded, *span)
    if not found:
        raise Unfit(f"the {what} has no token")
    tokens = range(found[0], found[-1] + 1)
    ids = [coded.ids[i] for i in tokens]
    if model.tokenizer.unk_token_id in ids:
        raise Unfit(f"the {what} is an unknown token")
    if set(ids) & set(model.tokenizer.all_special_ids):
        raise Unfit(f"the {what} is a special token")
    first = found[0]
    if first and not coded.special[first - 1] and not opens_with_space(model, ids[0]):
        lone = model.tokenizer.convert_ids_to_tokens(coded.ids[first - 1]) in SPACE_MARKS
        return range(first - lone, found[-1] + 1)
    return tokens


def opens_with_space(model: Model, token: int) -> bool:
    """Whether a piece begins with the mark of a space."""
    if _continued(model) is not None:  # a vocabulary that marks what continues a word marks no spaces
        return False
    return str(model.tokenizer.convert_ids_to_tokens(token))[:1] in SPACE_MARKS


def require_own_tokens(coded: Encoded, tokens: range, span: tuple[int, int]) -> None:
    """No token of a word holds a character of what stands beside it: its probability would be that of both.

    Raises:
        Unfit: one does.
    """
    start, end = coded.offsets[tokens[0]][0], coded.offsets[tokens[-1]][1]
    if coded.text[start : span[0]].strip() or coded.text[span[1] : end].strip():
        raise Unfit("a token holds a part of the word and of the text beside it")


def words_of(model: Model) -> Words:
    """The words of a vocabulary, found on first use."""
    if model.network not in _WORDS:
        _WORDS[model.network] = _find_words(model)
    return _WORDS[model.network]


def set_at(model: Model, token: int) -> str:
    """Name of the set of words that may stand where a word with this first token stands."""
    return SPACED if opens_with_space(model, token) else BARE


def rows(model: Model, records: Sequence[Slot], found: Sequence[Read | str]) -> list[dict[str, Any]]:
    """Answer columns of each record: `log_p log_prior mass top_fills tokens`, or `left_out` with the reason.

    Args:
        model: the model that was asked.
        records: of one call; those of one template and attribute share their mass.
        found: what was read for each of them, or the reason why nothing was.
    """
    answers: list[dict[str, Any]] = []
    for one, mass in zip(found, masses(records, found), strict=True):
        try:
            answers.append({"left_out": one} if isinstance(one, str) else _row(model, one, mass))
        except Unfit as reason:
            answers.append({"left_out": str(reason)})
    return answers


def masses(records: Sequence[Slot], found: Sequence[Read | str]) -> list[float]:
    """Probability that all distinct targets of a template and attribute hold together, for each record.

    Targets of the same ids ("He" and "he" in lower case) are one. What is left out holds nothing.
    """
    held: dict[tuple[str, str | None], dict[tuple[int, ...], float]] = {}
    keys = [(record.template, record.attribute) for record in records]
    for key, one in zip(keys, found, strict=True):
        if not isinstance(one, str) and math.isfinite(one.at_slot):
            held.setdefault(key, {})[one.target] = math.exp(one.at_slot)
    return [math.fsum(held.get(key, {}).values()) for key in keys]


def _row(model: Model, read: Read, mass: float) -> dict[str, Any]:
    likely = [(token, value) for token, value in read.open.likeliest if value != -math.inf]  # that is a word which can't be there
    words = [words_of(model).texts[token] for token, _ in likely]
    if read.scores is None:
        mass = math.fsum(math.exp(value) for _, value in likely)
        if not words:
            raise Unfit("no word of the vocabulary can stand at [ATTRIBUTE]")
    log_p, log_prior = read.scores or (None, None)
    if not all(math.isfinite(value) for value in (mass, *(read.scores or ()), *(value for _, value in likely))):
        raise Unfit("a log-probability is not finite")
    return {"log_p": log_p, "log_prior": log_prior, "mass": mass, "top_fills": words, "tokens": len(read.target)}


def _continued(model: Model) -> str | None:
    """What a vocabulary writes before a piece that continues a word (WordPiece's ##); null where it writes spaces."""
    prefix = getattr(model.tokenizer.backend_tokenizer.model, "continuing_subword_prefix", None)
    return prefix if isinstance(prefix, str) and prefix else None


def _find_words(model: Model) -> Words:
    tokenizer: Any = model.tokenizer
    count = min(known_ids(model), len(tokenizer))
    pieces = tokenizer.convert_ids_to_tokens(list(range(count)))
    # All in one call of the library: a vocabulary of 250,000 would take seconds one by one. Special tokens become nothing.
    texts = tokenizer.backend_tokenizer.decode_batch([[i] for i in range(count)], skip_special_tokens=True)
    special, continued = set(tokenizer.all_special_ids), _continued(model)
    words: dict[int, str] = {}
    sets: dict[str, list[int]] = {SPACED: [], BARE: []}
    for token, (piece, text) in enumerate(zip(pieces, texts, strict=True)):
        word = text.strip()
        # A part of a character's bytes is decoded as U+FFFD; what opens with a sign ("[unused1]", "'s") begins no word.
        if token in special or not word[:1].isalnum() or not any(map(str.isalpha, word)) or "\ufffd" in word:
            continue
        if continued is not None and piece.startswith(continued):
            continue
        marked = continued is None and piece[:1] in SPACE_MARKS
        if marked and piece[1:2] in SPACE_MARKS:  # of several spaces only one belongs to a word
            continue
        words[token] = word
        sets[SPACED if marked else BARE].append(token)
    return Words(words, {name: np.array(ids, dtype=np.int64) for name, ids in sets.items()})
