"""How likely a model finds each of several options: after a prompt that they share, or as whole texts that differ in a word.

An option and its prompt are tokenised together and parted by characters. Apart they would be other tokens: in byte-level BPE the
space before a word is a part of its first token. A token that stands across the border is the option's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from fairbench.models.batching import Batching
from fairbench.models.causal import Text, token_log_probabilities
from fairbench.models.masked import Hidden, hidden_log_probabilities, hide
from fairbench.models.tokens import Encoded, encode
from fairbench.probes.causal_scores import text_of
from fairbench.probes.masked_scores import encode_whole
from fairbench.probes.parts import EMPTY, Unfit, ask, take_apart

if TYPE_CHECKING:
    from fairbench.models.model import Model
    from fairbench.models.served import ServedModel

NORMALISATIONS = ("sum", "mean", "bytes", "unconditional")
"""Of log P(option | prompt): as it is; per token; per byte of UTF-8; less log P(option | NEUTRAL) (Brown et al. 2020)."""

READINGS = ("whole", "partial")
"""What is scored of texts without a prompt: all of it, or only what they share (Trinh and Le 2018)."""

NEUTRAL = "Answer:"
"""The prompt that says nothing, after which an option has its unconditional likelihood."""

SLACK = 1e-6
"""Scores that differ by no more than this, times the larger of 1 and their size, are equal."""

UNKNOWN_TOKEN = "an option has a token that stands for anything unknown"
ACROSS = "a token holds a part of the words that differ and of the text beside them"


@dataclass(frozen=True)
class Question:
    """Texts that are compared: the continuations of a prompt or, where that is empty, whole texts."""

    prompt: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What a model makes of one option: log-probability (nats, summed) of so many tokens, which stand for so many bytes."""

    total: float
    tokens: int
    bytes: int


def scores(
    model: Model, questions: Sequence[Question], *, normalisation: str, readings: str, batching: Batching
) -> list[list[float] | str]:
    """The score of each option of each question, in nats, or the reason why a question can't be asked.

    Args:
        model: causal, masked, or behind a server that gives log-probabilities of a prompt.
        questions: at least two texts each.
        normalisation: one of NORMALISATIONS.
        readings: one of READINGS; of the questions without a prompt.
        batching: how many inputs go together; changes no score.
    """
    found = measured(model, questions, readings, batching)
    if normalisation != "unconditional":
        return [item if isinstance(item, str) else [_reduce(one, normalisation) for one in item] for item in found]
    prior = measured(model, [Question(NEUTRAL, question.texts) for question in questions], readings, batching)
    rows: list[list[float] | str] = []
    for item, base in zip(found, prior, strict=True):
        if isinstance(item, str) or isinstance(base, str):
            rows.append(item if isinstance(item, str) else str(base))
        else:
            rows.append([one.total - other.total for one, other in zip(item, base, strict=True)])
    return rows


def measured(model: Model, questions: Sequence[Question], readings: str, batching: Batching) -> list[list[Found] | str]:
    """Log-probability, tokens and bytes of each option.

    A causal model gives the option's tokens their probability given all that stands before them; a masked one gives them
    their pseudo-log-likelihood: each behind a mask of its own, with the prompt and the rest of the option in sight. Of the parts
    that whole texts share a causal model scores only those behind the last difference (what stands before is equally likely in
    all of them), a masked one those on both sides.
    """
    partial = readings == "partial"
    if model.card.kind == "served":
        values = _ask_server(cast("ServedModel", model), questions, partial)
    else:
        asked = _ask_causal if model.card.kind == "causal" else _ask_masked
        values = asked(model, questions, partial, batching)
    found: list[list[Found] | str] = []
    for question, item in zip(questions, values, strict=True):
        sizes = _sizes(question, partial, both_sides=model.card.kind == "masked")
        found.append(item if isinstance(item, str) else [Found(*one, size) for one, size in zip(item, sizes, strict=True)])
    return found


def best(values: Sequence[float]) -> int | None:
    """Index of the largest score; null where another one is as large.

    Example:
        >>> best([-3.0, -1.5, -2.0]), best([-1.0, -1.0, -2.0])
        (1, None)
    """
    first = int(np.argmax(values))
    top = values[first]
    equal = [abs(top - value) <= SLACK * max(1.0, abs(top), abs(value)) for value in values]
    return first if sum(equal) == 1 else None


def differing(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Characters [start, end) of each text from the first to the last place where it differs from the others.

    They are whole words with the space before them.

    Example:
        >>> differing(["The nurse met the driver.", "The nurses met the driver."])
        [(3, 9), (3, 10)]
    """
    head = _shared(texts)
    while any(_inside_word(text, head) for text in texts):
        head -= 1
    head = len(texts[0][:head].rstrip())
    tail = _shared([text[head:][::-1] for text in texts])
    while any(_inside_word(text, len(text) - tail) for text in texts):
        tail -= 1
    return [(head, len(text) - tail) for text in texts]


Span = tuple[int, int]
"""Characters [start, end) of a text."""

Values = list[tuple[float, int]]
"""Of each text of a question: log-probability and number of the scored tokens."""


def _reduce(found: Found, normalisation: str) -> float:
    return found.total / {"sum": 1, "mean": found.tokens, "bytes": found.bytes}[normalisation]


def _sizes(question: Question, partial: bool, both_sides: bool) -> list[int]:
    """Bytes of UTF-8 of what is scored of each text."""
    if question.prompt or not partial:
        return [len(text.encode()) for text in question.texts]
    spans = zip(question.texts, differing(question.texts), strict=True)
    return [len((text[: start if both_sides else 0] + text[end:]).encode()) for text, (start, end) in spans]


def _ask_causal(model: Model, questions: Sequence[Question], partial: bool, batching: Batching) -> list[Values | str]:
    def parts(question: Question) -> list[list[Text]]:
        if question.prompt:
            return [[_continued(model, question.prompt, text)] for text in question.texts]
        spans = zip(question.texts, differing(question.texts), strict=True)
        return [[_behind(model, text, own[1]) if partial else _whole(model, text, own)] for text, own in spans]

    found = ask(take_apart(questions, parts), lambda texts: token_log_probabilities(model, texts, batching))
    return [item if isinstance(item, str) else [(float(v.sum()), len(v)) for v in item] for item in found]


def _continued(model: Model, prompt: str, option: str) -> Text:
    """An option after its prompt; under a chat template the reply to it."""
    text = text_of(model, option, prompt)
    _refuse_unknown(model, text.ids[text.first :])
    return text


def _whole(model: Model, text: str, own: Span) -> Text:
    """All of a text; `own`: what it does not share with the texts that it is compared with."""
    coded = encode(model.tokenizer, text, special=False)
    _refuse_unknown(model, [coded.ids[i] for i in _inside(coded, own)])
    return text_of(model, text)


def _behind(model: Model, text: str, end: int) -> Text:
    """A text of which only what stands behind a character is scored.

    Raises:
        Unfit: nothing stands there, or a token stands across the border.
    """
    whole, coded = text_of(model, text), encode(model.tokenizer, text, special=False)
    shift = len(whole.ids) - len(coded.ids)  # by the start token
    first = next((i for i, (_, stop) in enumerate(coded.offsets) if stop > end), len(coded.ids))
    if first == len(coded.ids):
        raise Unfit("nothing stands behind the place where the texts differ")
    if coded.offsets[first][0] < end:
        raise Unfit(ACROSS)
    if first + shift == 0:
        raise Unfit("the texts differ before their first token, which a model without a start token does not score")
    return Text(whole.ids, first + shift)


def _ask_masked(model: Model, questions: Sequence[Question], partial: bool, batching: Batching) -> list[Values | str]:
    def parts(question: Question) -> list[list[Hidden]]:
        if question.prompt:
            texts = [f"{question.prompt} {text}" for text in question.texts]
            spans = [(len(question.prompt), len(text)) for text in texts]
            return [_hidden(model, text, own, own) for text, own in zip(texts, spans, strict=True)]
        spans = differing(question.texts)
        return [_hidden(model, text, None, own, partial) for text, own in zip(question.texts, spans, strict=True)]

    found = ask(take_apart(questions, parts), lambda hidden: hidden_log_probabilities(model, hidden, batching)[:, None])
    return [item if isinstance(item, str) else [(float(v.sum()), len(v)) for v in item] for item in found]


def _hidden(model: Model, text: str, scored: Span | None, own: Span, partial: bool = False) -> list[Hidden]:
    """Each scored token of an option behind a mask of its own.

    Args:
        model: the model.
        text: the whole text, prompt included.
        scored: the characters of it that are scored; null for all.
        own: the characters that it does not share with the texts that it is compared with.
        partial: `own` is not scored.

    Raises:
        Unfit: nothing is left to score, or it can't be.
    """
    coded = encode_whole(model, text)
    inside = _inside(coded, own)
    places = [i for i, added in enumerate(coded.special) if not added] if scored is None else inside
    if partial:
        for i in inside:
            start, end = coded.offsets[i]
            if text[start : max(own[0], start)].strip() or text[min(own[1], end) : end].strip():
                raise Unfit(ACROSS)
        places = [i for i in places if i not in set(inside)]
    else:
        _refuse_unknown(model, [coded.ids[i] for i in inside])
    if not places:
        raise Unfit(EMPTY)
    return [hide(coded.ids, i, model.tokenizer.mask_token_id) for i in places]


def _ask_server(model: ServedModel, questions: Sequence[Question], partial: bool) -> list[Values | str]:
    pairs: list[tuple[str, str]] = []
    for question in questions:
        if question.prompt:
            pairs += [(question.prompt, f" {text}") for text in question.texts]
            continue
        for text, (_, end) in zip(question.texts, differing(question.texts), strict=True):
            pairs.append((text[:end], text[end:]) if partial else ("", text))
    unique = list(dict.fromkeys(pairs))
    replied = dict(zip(unique, model.option_log_probabilities(unique), strict=True))
    replies = iter([replied[pair] for pair in pairs])
    found: list[Values | str] = []
    for question in questions:
        own = [next(replies) for _ in question.texts]
        reasons = [reply for reply in own if isinstance(reply, str)]
        found.append(reasons[0] if reasons else [reply for reply in own if not isinstance(reply, str)])
    return found


def _inside(coded: Encoded, span: Span) -> list[int]:
    """Places of the tokens that hold a character of a span, or are the lone space mark before one."""
    start, end = span
    found = []
    for i, ((first, last), added) in enumerate(zip(coded.offsets, coded.special, strict=True)):
        if not added and max(first, start) < min(max(last, first + 1), end):
            found.append(i)
    return found


def _refuse_unknown(model: Model, ids: Sequence[int]) -> None:
    if model.tokenizer.unk_token_id in ids:
        raise Unfit(UNKNOWN_TOKEN)


def _shared(texts: Sequence[str]) -> int:
    """How many first characters all texts have in common."""
    lengths = range(min(map(len, texts)))
    return next((i for i in lengths if len({text[i] for text in texts}) > 1), len(lengths))


def _inside_word(text: str, place: int) -> bool:
    """Whether letters or digits stand on both sides of a place."""
    return text[max(place - 1, 0) : place].isalnum() and text[place : place + 1].isalnum()
