"""Log-probabilities of hidden tokens under a masked model: one mask an input, and logits at that mask only."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.models.batching import Batching, forget_lengths, padding_id, pads_well
from fairbench.models.heads import Head, find_head, trial_ids

if TYPE_CHECKING:
    from fairbench.models.model import Model


@dataclass(frozen=True)
class Hidden:
    """A token behind a mask.

    Attributes:
        ids: the whole input, with the mask token at `place` and special tokens as the model wants them.
        place: index of the mask that is read.
        token: the id whose probability is asked.
    """

    ids: tuple[int, ...]
    place: int
    token: int


_HEADS: weakref.WeakKeyDictionary[Any, Head] = weakref.WeakKeyDictionary()


def hide(ids: Sequence[int], place: int, mask: int) -> Hidden:
    """Puts the mask in the place of one token and asks for that token."""
    return Hidden(ids=(*ids[:place], mask, *ids[place + 1 :]), place=place, token=ids[place])


def hidden_log_probabilities(model: Model, hidden: Sequence[Hidden], batching: Batching) -> NDArray[np.float64]:
    """Log P(token at its mask | the rest of the input).

    Args:
        model: a masked model.
        hidden: what is asked. Equal inputs (both sentences of a pair with the differing word hidden) are run once.
        batching: how many inputs go together.

    Returns:
        [len(hidden)] nats. Values that aren't finite come from the network itself.
    """
    inputs: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for i, item in enumerate(hidden):
        inputs.setdefault((item.ids, item.place), []).append(i)
    unique = list(inputs)
    found = np.full(len(hidden), np.nan)
    if not hidden:
        return found
    equal, most = not pads_well(model), head_of(model).most_tokens
    for batch in batching.cut([len(ids) for ids, _ in unique], model.device.type, equal, most):
        asked = [(row, i) for row, b in enumerate(batch) for i in inputs[unique[b]]]
        found[[i for _, i in asked]] = _run(
            model, [unique[b] for b in batch], [row for row, _ in asked], [hidden[i].token for _, i in asked]
        )
    return found


def head_of(model: Model) -> Head:
    """Where this network's logits come from, found by trial on first use."""
    if model.network not in _HEADS:
        ids = trial_ids(model)[: min(model.card.max_length or 16, 16)]
        _HEADS[model.network] = find_head(model.network, {"input_ids": _tensor([ids], model)})
    return _HEADS[model.network]


def _run(
    model: Model, inputs: Sequence[tuple[tuple[int, ...], int]], row: Sequence[int], token: Sequence[int]
) -> NDArray[np.float64]:
    """One forward pass over inputs of similar length; `row` and `token` [M] say what is read."""
    head = head_of(model)
    width = max(len(ids) for ids, _ in inputs)
    padding = padding_id(model)
    rows = [list(ids) + [padding] * (width - len(ids)) for ids, _ in inputs]
    given = {"input_ids": _tensor(rows, model)}
    if any(len(ids) < width for ids, _ in inputs):  # inputs of one length need no mask, and attention is faster without one
        given["attention_mask"] = _tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in inputs], model)
    forget_lengths(model.network)
    places = [r * width + place for r, (_, place) in enumerate(inputs)]
    values = head.log_probabilities(given, _tensor(places, model), _tensor(row, model), _tensor(token, model))
    return np.asarray(values.cpu().numpy(), dtype=np.float64)


def _tensor(values: Any, model: Model) -> Any:
    import torch

    return torch.as_tensor(np.asarray(values, dtype=np.int64), device=model.device)
