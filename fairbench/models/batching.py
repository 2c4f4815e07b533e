"""Which texts go through a model together: cut by tokens rather than by rows, so that padding and memory stay small.

Most networks give a text the same numbers beside a longer one as alone. Some don't: their convolutions or Fourier transforms take
padding for text, or the batch's length sets the scale of their positions. Those get batches of equal lengths, without padding.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairbench.errors import FairbenchError
from fairbench.models.heads import TOLERANCE, known_ids, trial_ids

if TYPE_CHECKING:
    import torch

    from fairbench.models.model import Model

BUDGETS = {"cpu": 2_048, "mps": 8_192, "cuda": 32_768}
"""Tokens a batch, padding counted, where the user says nothing. A processor gains nothing beyond; a card needs more."""


@dataclass(frozen=True)
class Batching:
    """How many inputs go together. It changes speed and memory, never an answer, and is in no hash.

    Attributes:
        budget: tokens a batch, padding counted; null for the device's default.
        rows: inputs a batch; where given it replaces the budget.
    """

    budget: int | None = None
    rows: int | None = None

    def cut(self, lengths: Sequence[int], device: str, equal: bool = False, most: int | None = None) -> Iterator[list[int]]:
        """`batches` with this budget on a device type ("cpu", "cuda", ...), but of no more than `most` tokens."""
        budget = self.budget or BUDGETS.get(device, BUDGETS["cpu"])
        return batches(lengths, budget if most is None else min(budget, most), self.rows, equal)


def batches(lengths: Sequence[int], budget: int, rows: int | None = None, equal: bool = False) -> Iterator[list[int]]:
    """Cuts inputs into batches of similar length, the longest first: a batch that doesn't fit fails at once, not at the end.

    Args:
        lengths: tokens of each input.
        budget: the most that rows x longest may come to; an input longer than that goes alone.
        rows: if given, each batch holds this many inputs (the last one fewer) and the budget is not looked at.
        equal: each batch holds inputs of one length only.

    Yields:
        Indices into `lengths`, every one exactly once; equal lengths stay in their order.
    """
    if budget < 1 or (rows is not None and rows < 1):
        raise ValueError(f"budget and rows must be positive, not {budget} and {rows}")
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    start = 0
    while start < len(order):
        longest = max(lengths[order[start]], 1)
        size = rows if rows is not None else max(budget // longest, 1)
        batch = order[start : start + size]
        if equal:
            batch = [i for i in batch if lengths[i] == lengths[batch[0]]]
        yield batch
        start += len(batch)


_PADS_WELL: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()


def pads_well(model: Model) -> bool:
    """Whether texts of this network have the same states beside longer ones as alone; found by trial on first use."""
    network = model.network
    if network not in _PADS_WELL:
        try:
            _PADS_WELL[network] = not heeds_length(network) and _try_padding(model)
        except Exception:  # whatever an architecture raises at padding, batches of equal lengths have none
            _PADS_WELL[network] = False
    return _PADS_WELL[network]


def padding_id(model: Model) -> int:
    """What texts are filled up with: the padding token where the network has an embedding for it, else 0."""
    pad = model.tokenizer.pad_token_id
    return pad if pad is not None and pad < known_ids(model) else 0


def heeds_length(network: Any) -> bool:
    """Whether the longest text of a batch sets the scale of all positions in it (rotary positions stretched on the fly)."""
    config = network.config.get_text_config()
    found = [getattr(config, "rope_parameters", None), getattr(config, "rope_scaling", None)]
    while found:
        rope = found.pop()
        if isinstance(rope, Mapping):
            if {"dynamic", "longrope"} & {str(rope.get("rope_type")), str(rope.get("type"))}:
                return True
            found += list(rope.values())  # one for each type of layer
    return False


def forget_lengths(network: Any) -> None:
    """Undoes what longer texts before have done to such positions: transformers keeps their scale for shorter ones."""
    if not heeds_length(network):
        return
    for module in network.modules():
        for name in [name for name in vars(module) if name.endswith("max_seq_len_cached")]:
            prefix = name.removesuffix("max_seq_len_cached")
            first = getattr(module, f"{prefix}original_inv_freq", None)
            if first is not None:
                setattr(module, name, module.original_max_seq_len)
                module.register_buffer(f"{prefix}inv_freq", first.to(network.device), persistent=False)


def _try_padding(model: Model) -> bool:
    """Compares texts alone with the same texts beside a longer one."""
    import torch

    ids = trial_ids(model)
    lengths = [min(n, model.card.max_length or n) for n in (3, 4, 7, 12, 24)]
    texts = [ids[n : n + n] for n in lengths]
    wide = [text + [padding_id(model)] * (lengths[-1] - len(text)) for text in texts]
    with torch.inference_mode():
        alone = [_states(model, [text])[0] for text in texts]
        others = [_states(model, [text, text[::-1], text[1:] + text[:1]])[0] for text in texts]
        beside = _states(model, wide, [len(text) for text in texts])
    noise, error = (max(_distance(a, b) for a, b in zip(found, alone, strict=True)) for found in (others, beside))
    # Another kernel may run where there is a mask: in half precision that alone moves a state by its rounding.
    dtype = alone[0].dtype
    return error <= 3 * noise + (TOLERANCE if dtype.itemsize >= 4 else 2 * torch.finfo(dtype).eps)


def _states(model: Model, rows: list[list[int]], lengths: list[int] | None = None) -> list[torch.Tensor]:
    """The last layer's states of each row's first tokens."""
    import torch

    given = {"input_ids": torch.tensor(rows, device=model.device)}
    lengths = lengths or [len(row) for row in rows]
    if min(lengths) < len(rows[0]):
        given["attention_mask"] = torch.tensor([[int(i < n) for i in range(len(rows[0]))] for n in lengths], device=model.device)
    states = model.network.base_model(**given, return_dict=True).last_hidden_state
    return [row[:n] for row, n in zip(states, lengths, strict=True)]


def _distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest difference of a token's state, relative to the state."""
    a, b = a.cpu().double(), b.cpu().double()
    return float(((a - b).norm(dim=-1) / b.norm(dim=-1)).nan_to_num(nan=float("inf")).max())


def parse_batch_size(value: str | int) -> Batching:
    """Reads --batch-size: "auto" is the device's token budget, a whole number that many inputs a batch.

    "auto:N" is lm-evaluation-harness's wish to look for a better size N times; here every batch has a size of its own anyway.

    Raises:
        FairbenchError: it is neither.
    """
    head, colon, count = str(value).strip().partition(":")
    if head == "auto" and (not colon or (count.isdecimal() and int(count) > 0)):
        return Batching()
    if not colon and head.isdecimal() and int(head) > 0:
        return Batching(rows=int(head))
    raise FairbenchError(f"The batch size {value!r} is neither auto, auto:N nor a positive whole number. Try --batch-size auto.")
