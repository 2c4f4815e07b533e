"""How the outputs of a text classifier move with the word embeddings of its text: rows of a Jacobian, text by text.

The embeddings are taken where the network makes them, by a hook on its word-embedding module, so that token ids go in as always:
positions that count from the padding (RoBERTa) and a head that reads the last token (GPT-2) stay what they are. Weights are
frozen, so that a backward pass costs what a forward pass does.

A row is found in two steps: first how the output moves with the logits, in double precision on a handful of numbers, then a
backward pass through the network with that as its start, brought to size one. So a prediction that is all but certain keeps its
small gradient, which would be nothing in single precision.
"""

from __future__ import annotations

import time
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from fairbench.errors import FairbenchError

if TYPE_CHECKING:
    import torch

Backward = Literal["one row at a time", "rows together"]
ONE: Backward = "one row at a time"
TOGETHER: Backward = "rows together"

BUDGETS = {"cpu": 512, "mps": 2_048, "cuda": 8_192}
"""Tokens of a batch whose whole graph is kept. A processor is fastest at so few: more of them fall out of its cache."""

ROWS_BUDGET = 32_768
"""Tokens times rows of one backward pass where rows go together."""

SUMS_TO_NOTHING = 1e-6
"""Rounding of a sum, relative to its parts; where a probability is all but 1 they are differences of nearly equal numbers."""
SMALLEST = 1e-14


@dataclass(frozen=True)
class Traced:
    """A forward pass that can be gone back: `embeddings` (b, t, d) where the word-embedding module gave them, `logits` (b, l)."""

    embeddings: torch.Tensor
    logits: torch.Tensor


def trace(network: Any, inputs: Mapping[str, torch.Tensor]) -> Traced:
    """Runs a classifier and keeps what it takes to go back to its word embeddings.

    Args:
        network: a sequence classifier in evaluation mode with frozen weights.
        inputs: `input_ids` (b, t) and whatever else it takes.

    Raises:
        FairbenchError: the network asks its word embeddings never or more than once, so that there is no one place to look at.
    """
    import torch

    found: list[torch.Tensor] = []

    def take(module: Any, given: Any, output: torch.Tensor) -> torch.Tensor:
        found.append(output.detach().requires_grad_())
        return found[-1]

    hook = network.get_input_embeddings().register_forward_hook(take)
    try:
        with torch.enable_grad():
            logits = network(**inputs).logits
    finally:
        hook.remove()
    if len(found) != 1 or not logits.requires_grad:
        raise FairbenchError(
            f"{type(network).__name__} asks its word embeddings {len(found)} times for a text, so that its prediction has no "
            "gradient at one place. Wanted a classifier that looks every token up once."
        )
    return Traced(found[0], logits)


def at_logits(logits: torch.Tensor, outputs: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """How outputs move with the logits: (k, b, l), in double precision on the processor.

    Args:
        logits: (b, l), on any device.
        outputs: (b, l) -> (b, k), row by row.
    """
    import torch

    start = logits.detach().cpu().double().requires_grad_()
    with torch.enable_grad():
        made = outputs(start)
        return torch.stack(
            [torch.autograd.grad(made[:, k].sum(), start, retain_graph=k + 1 < made.shape[1])[0] for k in range(made.shape[1])]
        )


def one_row(traced: Traced, slopes: torch.Tensor, keep: bool = False) -> torch.Tensor:
    """The gradient of one output of each text at its word embeddings: (b, t, d), in double precision where the device has it.

    Args:
        traced: the forward pass.
        slopes: (b, l) how that output moves with the logits.
        keep: the pass will be gone back again.
    """
    import torch

    size = _size(slopes)
    start = (slopes / size).to(traced.logits)
    gradient = torch.autograd.grad(traced.logits, traced.embeddings, start, retain_graph=keep)[0]
    return _scaled(gradient, size)


def rows(traced: Traced, slopes: torch.Tensor, backward: Backward = ONE) -> Iterator[torch.Tensor]:
    """The gradients of several outputs, one after the other, each as `one_row` gives it.

    Args:
        traced: the forward pass; it can't be gone back again.
        slopes: (r, b, l).
        backward: how; the rows are the same to rounding.
    """
    import torch

    if backward == ONE:
        for number, slope in enumerate(slopes):
            yield one_row(traced, slope, keep=number + 1 < len(slopes))
        return
    size = _size(slopes)
    start = (slopes / size).to(traced.logits)
    step = max(1, ROWS_BUDGET // (traced.embeddings.shape[0] * traced.embeddings.shape[1]))
    for first in range(0, len(slopes), step):
        part = slice(first, first + step)
        yield from _scaled(
            torch.autograd.grad(
                traced.logits, traced.embeddings, start[part], is_grads_batched=True, retain_graph=first + step < len(slopes)
            )[0],
            size[part],
        )


def every_row(
    traced: Traced, slopes: torch.Tensor, relation: torch.Tensor | None, backward: Backward = ONE
) -> Iterator[torch.Tensor]:
    """The gradients of all outputs of each text, in any order: k times (b, t, d).

    Probabilities sum to one, so that their gradients sum to nothing, and the last of them is what the others come to: two classes
    take one backward pass. For each text it is the class of the largest factor that is found so.

    Args:
        traced: the forward pass; it can't be gone back again.
        slopes: (k, b, l) of all outputs.
        relation: (b, k) factors with which the rows of a text sum to nothing, if they do; that is tested.
        backward: as for `rows`.
    """
    import torch

    if relation is None or len(slopes) < 2 or not _sums_to_nothing(slopes, relation):
        yield from rows(traced, slopes, backward)
        return
    order = torch.argsort(relation, dim=1, descending=True, stable=True).T  # (k, b), the one that is not asked first
    text = torch.arange(relation.shape[0])
    total: torch.Tensor | None = None
    for asked, row in zip(order[1:], rows(traced, slopes[order[1:], text], backward), strict=True):
        share = (relation[text, asked] / relation[text, order[0]]).to(row)[:, None, None]
        total = share * row if total is None else total + share * row
        yield row
    assert total is not None
    yield -total


_FASTER: weakref.WeakKeyDictionary[Any, Backward] = weakref.WeakKeyDictionary()


def faster(network: Any) -> Backward:
    """How this network's rows are found fastest.

    A processor gains nothing by rows that go together (1.0 to 1.4 times as long for 28 classes at 64 tokens, and so many times
    the memory), so there they go one at a time; elsewhere both ways are tried once.
    """
    if network.device.type == "cpu":
        return ONE
    if network not in _FASTER:
        _FASTER[network] = try_both(network)
    return _FASTER[network]


def try_both(network: Any, texts: int = 16, tokens: int = 16, classes: int = 8) -> Backward:
    """Takes the time of both ways on a few made-up texts; where rows can't go together they go one at a time."""
    import torch

    ids = torch.arange(texts * tokens, device=network.device).reshape(texts, tokens) % 50 + 1
    seconds: dict[Backward, float] = {}
    for backward in (ONE, TOGETHER, ONE, TOGETHER):  # the first turns warm up
        _wait(network)
        start = time.perf_counter()
        try:
            traced = trace(network, {"input_ids": ids % network.config.get_text_config().vocab_size})
            slopes = torch.eye(traced.logits.shape[1], dtype=torch.float64, device=network.device)[:, None, :]
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # torch says so where it can only loop inside
                for _ in rows(traced, slopes.repeat(classes, texts, 1)[:classes], backward):
                    pass
        except (RuntimeError, UserWarning):
            if backward == ONE:
                raise
            return ONE
        _wait(network)
        seconds[backward] = time.perf_counter() - start
    return TOGETHER if seconds[TOGETHER] < seconds[ONE] else ONE


def _wait(network: Any) -> None:
    """Devices work on while the processor goes ahead."""
    import torch

    if network.device.type != "cpu":
        getattr(torch, network.device.type).synchronize()


def _size(slopes: torch.Tensor) -> torch.Tensor:
    """The largest entry of each row, 1 where all are zero: (..., 1)."""
    largest = slopes.abs().amax(dim=-1, keepdim=True)
    return largest.masked_fill(largest == 0, 1)


def _scaled(gradient: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """Gradients (..., b, t, d) brought back to their size (..., b, 1), in double precision where the device has it."""
    gradient = gradient.float() if gradient.device.type == "mps" else gradient.double()
    return gradient * size[..., None].to(gradient)


def _sums_to_nothing(slopes: torch.Tensor, relation: torch.Tensor) -> bool:
    parts = relation.T[..., None] * slopes
    return bool((parts.sum(0).abs() <= SUMS_TO_NOTHING * parts.abs().sum(0) + SMALLEST).all())
