"""What a model finds likely at places of its inputs: given tokens, and the likeliest of a set of tokens.

A place of a masked model is a mask (an input may hold several), a place of a causal model the token that the next one follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.models.batching import Batching, forget_lengths, padding_id, pads_well
from fairbench.models.causal import engine_of
from fairbench.models.masked import head_of

if TYPE_CHECKING:
    import torch

    from fairbench.models.model import Model

Sets = Mapping[str, NDArray[np.int64]]
"""Token ids by the name of their set."""


@dataclass(frozen=True)
class Question:
    """What is read at one place of one input.

    Attributes:
        ids: the whole input, with masks and special tokens where the model wants them.
        place: index of the mask, or of the last token before the one that is asked for.
        tokens: ids whose log-probabilities are read.
        among: name of the set whose likeliest tokens are read; null for none.
    """

    ids: tuple[int, ...]
    place: int
    tokens: tuple[int, ...] = ()
    among: str | None = None


@dataclass
class Reply:
    """The answer to one question, in nats.

    Attributes:
        log_p: [len(tokens)] of the asked tokens.
        likeliest: (id, log-probability) of the likeliest tokens of the set, the likeliest first.
    """

    log_p: NDArray[np.float64]
    likeliest: tuple[tuple[int, float], ...] = ()


def ask_places(model: Model, questions: Sequence[Question], *, sets: Sets, count: int, batching: Batching) -> list[Reply]:
    """Replies in the order of the questions; each distinct input is run once, whatever is asked of it.

    Args:
        model: a causal or masked model.
        questions: what is read.
        sets: the sets that questions name.
        count: how many of the likeliest tokens of a set.
        batching: how many inputs go together; changes no answer.

    Returns:
        Values that aren't finite come from the network itself. Fewer than `count` tokens where a set holds fewer.
    """
    inputs: dict[tuple[int, ...], list[int]] = {}
    for i, question in enumerate(questions):
        inputs.setdefault(question.ids, []).append(i)
    replies = [Reply(np.empty(0)) for _ in questions]
    if not questions:
        return replies
    causal = model.card.kind == "causal"
    head, equal = (engine_of(model).head, engine_of(model).equal) if causal else (head_of(model), not pads_well(model))
    tensors = {name: _tensor(ids, model) for name, ids in sets.items()}
    unique = list(inputs)
    for batch in batching.cut([len(ids) for ids in unique], model.device.type, equal, head.most_tokens):
        chosen = [unique[b] for b in batch]
        asked = [(row, i) for row, ids in enumerate(chosen) for i in inputs[ids]]
        reader = _Reader([(row, questions[i], replies[i]) for row, i in asked], max(map(len, chosen)), tensors, count)
        forget_lengths(model.network)
        head.distributions(_inputs(model, chosen, causal), _tensor(reader.places, model), reader.read)
    return replies


class _Reader:
    """Picks out of the distributions of one batch what was asked, and writes it into the replies."""

    def __init__(self, asked: Sequence[tuple[int, Question, Reply]], width: int, sets: Mapping[str, torch.Tensor], count: int):
        self.sets, self.count = sets, count
        self.asked: dict[int, list[tuple[Question, Reply]]] = {}
        for row, question, reply in asked:
            self.asked.setdefault(row * width + question.place, []).append((question, reply))
        self.places = list(self.asked)

    def read(self, start: int, table: torch.Tensor) -> None:
        """One chunk: log-probabilities [n, V] at `places[start : start + n]`."""
        here = [(n, q, reply) for n in range(len(table)) for q, reply in self.asked[self.places[start + n]]]
        flat = [(n, token) for n, question, _ in here for token in question.tokens]
        values = iter(_numbers(table[[n for n, _ in flat], [token for _, token in flat]]) if flat else ())
        for _, question, reply in here:
            reply.log_p = np.array([next(values) for _ in question.tokens], dtype=np.float64)
        for name, ids in self.sets.items():
            rows = list(dict.fromkeys(n for n, question, _ in here if question.among == name))
            if not rows:
                continue
            best = table[rows][:, ids].topk(min(self.count, len(ids)), dim=-1)
            tokens, logs = ids[best.indices].tolist(), best.values.tolist()
            found = {n: tuple(zip(*pair, strict=True)) for n, *pair in zip(rows, tokens, logs, strict=True)}
            for n, question, reply in here:
                if question.among == name:
                    reply.likeliest = found[n]


def _inputs(model: Model, rows: Sequence[tuple[int, ...]], causal: bool) -> dict[str, Any]:
    """Inputs of similar length, filled up at the right; where nothing sees what is filled up no mask is needed."""
    width = max(map(len, rows))
    if causal:  # the last token again: no network takes it for its padding token
        return {"input_ids": _tensor([ids + ids[-1:] * (width - len(ids)) for ids in rows], model), "use_cache": False}
    padding = padding_id(model)
    given = {"input_ids": _tensor([ids + (padding,) * (width - len(ids)) for ids in rows], model)}
    if any(len(ids) < width for ids in rows):  # inputs of one length need no mask, and attention is faster without one
        given["attention_mask"] = _tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids in rows], model)
    return given


def _numbers(values: torch.Tensor) -> NDArray[np.float64]:
    return np.asarray(values.cpu().numpy(), dtype=np.float64)


def _tensor(values: Any, model: Model) -> torch.Tensor:
    import torch

    return torch.as_tensor(np.asarray(values, dtype=np.int64), device=model.device)
