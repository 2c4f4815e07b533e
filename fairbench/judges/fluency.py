"""How likely a causal model finds a continuation after its prompt: what a fair but broken model is told from a fair one by.

    log_likelihood = sum of log P(token | start token, prompt, the continuation's tokens before it), in nats

Prompt and continuation are tokenised as one text. A token that holds characters of both counts to the continuation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.judges import FAILED, Judge, Room, Said, finding
from fairbench.judges.joined import EMPTY, joined
from fairbench.judges.tokens import is_empty
from fairbench.models.causal import Text, token_log_probabilities
from fairbench.models.heads import NO_EMBEDDING, known_ids
from fairbench.models.loading import load
from fairbench.models.model import Model
from fairbench.models.tokens import encode, start_token

VERSION = 1
TITLE = "how likely a causal model finds a continuation (nats)"
COLUMNS = ("fluency_log_likelihood", "fluency_tokens")
OPTIONS: Mapping[str, Any] = finding.OPTIONS
NAMES_GROUPS = False

NO_TOKEN = "the continuation has no token to score"
TOO_LONG = "longer than the longest input of the model that judges"
NOT_FINITE = "a log-likelihood is not finite"
OTHERWISE = "Name a causal language model other than the one that writes, by its folder or Hub id: --judge fluency=MODEL."


class _Unfit(Exception):
    """A text that can't be scored; its message is the reason."""


def prepare(options: Mapping[str, Any], room: Room) -> Judge:
    """A judge of fluency.

    Args:
        options: `by`, a folder or a Hub id, which has to be named; `revision`; `allow_pickle`.
        room: the device and the batching.

    Raises:
        DataAbsent: the model is nowhere to be had.
        FairbenchError: none is named, or it is no causal model.
    """
    wanted = finding.named("fluency", options, OTHERWISE)
    card = finding.find_model(wanted, room)
    if card.kind != "causal":
        raise FairbenchError(
            f"The judge fluency can't judge by {card.name}: it is no causal language model ({card.architecture}), so it gives no "
            f"likelihood of running text. {OTHERWISE}"
        )
    loaded = functools.cache(lambda: load(card))

    def judge(said: Sequence[Said]) -> list[dict[str, Any]]:
        return _judged(loaded, said, room)

    bare = ("The judge fluency: no start token, so that the first token of a text without a prompt is not scored.",)
    return Judge(
        identity={**finding.identity(card), "start_token": card.start_rule, "max_length": card.max_length},
        judge=judge,
        reads=lambda said: (said.prompt, said.continuation),
        notes=(*(bare if card.start_rule == "none" else ()), *finding.notes(wanted, card)),
    )


def _judged(loaded: Callable[[], Model], said: Sequence[Said], room: Room) -> list[dict[str, Any]]:
    """Columns of each text, or why it has none. The model is loaded when there is a text that has words."""
    found: list[dict[str, Any]] = []
    texts: list[Text] = []
    for one in said:
        try:
            if is_empty(one.continuation):
                raise _Unfit(EMPTY)
            texts.append(scored_text(loaded(), one))
            found.append({})
        except _Unfit as reason:
            found.append({FAILED: str(reason)})
    values = iter(token_log_probabilities(loaded(), texts, room.batching) if texts else ())
    for row in found:
        if not row:
            logs = next(values)
            total = float(logs.sum())
            row |= (
                {"fluency_log_likelihood": total, "fluency_tokens": len(logs)} if math.isfinite(total) else {FAILED: NOT_FINITE}
            )
    return found


def scored_text(model: Model, said: Said) -> Text:
    """The tokens of prompt and continuation behind one start token, those of the continuation to be scored.

    Raises:
        _Unfit: it has no token to score, is too long, or has a token that the model does not know.
    """
    coded = encode(model.tokenizer, joined(said.prompt, said.continuation), special=False)
    ids, border = coded.ids, len(said.prompt)
    first = next((i for i, (_, end) in enumerate(coded.offsets) if end > border), len(ids)) if border else 0
    start = start_token(model.card, model.tokenizer)
    if start is not None and ids[:1] != (start,):
        ids, first = (start, *ids), first + 1
    first = max(first, 1)
    if first >= len(ids):
        raise _Unfit(NO_TOKEN)
    if model.card.max_length is not None and len(ids) > model.card.max_length:
        raise _Unfit(TOO_LONG)
    if max(ids) >= known_ids(model):
        raise _Unfit(NO_EMBEDDING)
    return Text(ids=ids, first=first)
