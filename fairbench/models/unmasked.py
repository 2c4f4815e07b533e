"""Log-probabilities of tokens that a masked model has in sight, and the attention that each of them receives.

Nothing is hidden, so one pass over a text gives the probability of all its tokens (Kaneko and Bollegala 2022). Attention takes a
second pass of the network's body in plain ("eager") arithmetic, since fused kernels never write the weights down. Only they are
read from it, so that the log-probabilities of a text are the same with and without them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.errors import FairbenchError
from fairbench.models.batching import Batching, forget_lengths, padding_id, pads_well
from fairbench.models.loading import quiet
from fairbench.models.masked import head_of

if TYPE_CHECKING:
    import torch

    from fairbench.models.model import Model

NO_WEIGHTS = ("FNet", "Funnel", "Longformer", "Mra", "Reformer", "SqueezeBert", "Yoso")
"""Families that don't say how much each token attends to each other one: they have no such weights, pool their tokens, look
through a narrow window, or give what stands before the softmax. Others are found out by their first texts."""

WEIGHT_BYTES = 256 << 20
"""Attention weights of all layers and heads that a batch may make."""

ROUNDING = 0.02
"""By how much half precision may keep the weights of one token from adding up to 1."""


@dataclass(frozen=True)
class Seen:
    """A text with nothing hidden.

    Attributes:
        ids: the whole input, special tokens as the model wants them.
        places: positions of the tokens that are asked; at least one.
    """

    ids: tuple[int, ...]
    places: tuple[int, ...]


def gives_attention(architecture: str) -> bool:
    """Whether models of this class may have attention weights from every token to every other one, by its name."""
    return not architecture.startswith(NO_WEIGHTS)


def seen_log_probabilities(model: Model, texts: Sequence[Seen], batching: Batching) -> list[NDArray[np.float64]]:
    """Log P(token | the whole text, the token itself in sight) of the asked tokens.

    Args:
        model: a masked model.
        texts: what is asked; equal ones are run once.
        batching: how many texts go together.

    Returns:
        For each text [len(places)] nats. Values that aren't finite come from the network itself.
    """
    head = head_of(model)

    def run(batch: list[Seen]) -> Iterator[NDArray[np.float64]]:
        width = max(len(text.ids) for text in batch)
        places = [row * width + place for row, text in enumerate(batch) for place in text.places]
        token = [text.ids[place] for text in batch for place in text.places]
        row = list(range(len(places)))
        given = _inputs(model, batch)
        values = head.log_probabilities(given, *(_tensor(v, model) for v in (places, row, token))).cpu().double().numpy()
        yield from np.split(values, np.cumsum([len(text.places) for text in batch])[:-1])

    return _in_batches(model, texts, batching, head.most_tokens, run)


def received_attention(model: Model, texts: Sequence[Seen], batching: Batching) -> list[NDArray[np.float64]]:
    """How much attention the asked tokens receive: the mean over layers, heads and all tokens of the input that attend to them.

    Args:
        model: a masked model.
        texts: what is asked; equal ones are run once.
        batching: how many texts go together. Padding receives none and is not asked for any.

    Returns:
        For each text [len(places)] in [0, 1]. Over all tokens of an input, the added ones included, it sums to 1.

    Raises:
        FairbenchError: the network gives no weights from every token to every other one.
    """
    config = model.network.config.get_text_config()
    heads = int(getattr(config, "num_attention_heads", 1)) * int(config.num_hidden_layers)
    longest = max((len(text.ids) for text in texts), default=1)
    most = max(WEIGHT_BYTES // (heads * longest * model.network.dtype.itemsize), 1)

    def run(batch: list[Seen]) -> Iterator[NDArray[np.float64]]:
        found = _received(model, batch)
        yield from (found[row, list(text.places)] for row, text in enumerate(batch))

    with _plain_attention(model.network):
        return _in_batches(model, texts, batching, most, run)


def _in_batches(model: Model, texts: Sequence[Seen], batching: Batching, most: int | None, run: Any) -> list[NDArray[np.float64]]:
    """What `run` yields for each text of a batch, put into the order of the texts."""
    unique = list(dict.fromkeys(texts))
    found: dict[Seen, NDArray[np.float64]] = {}
    for batch in batching.cut([len(text.ids) for text in unique], model.device.type, not pads_well(model), most):
        asked = [unique[b] for b in batch]
        forget_lengths(model.network)
        found.update(zip(asked, run(asked), strict=True))
    return [found[text] for text in texts]


def _received(model: Model, batch: Sequence[Seen]) -> NDArray[np.float64]:
    """[texts, tokens] of one batch; what stands at padding means nothing."""
    import torch

    lengths = _tensor([len(text.ids) for text in batch], model)
    with torch.inference_mode():
        try:
            body = model.network.base_model(**_inputs(model, batch), output_attentions=True, return_dict=True)
        except TypeError as error:  # a body that knows no such argument
            raise FairbenchError(_refusal(model, str(error))) from error
        layers: tuple[Any, ...] = body.get("attentions") or ()
        width = max(len(text.ids) for text in batch)
        shapes = {() if layer is None else tuple(layer.shape) for layer in layers} or {()}
        if any((*shape[:1], *shape[2:]) != (len(batch), width, width) for shape in shapes):
            raise FairbenchError(_refusal(model, f"for {len(batch)} texts of {width} tokens its layers gave {shapes}"))
        wide = torch.promote_types(layers[0].dtype, torch.float32)
        weights = torch.stack([layer.to(wide).mean(1) for layer in layers]).mean(0)
        real = torch.arange(width, device=model.device) < lengths[:, None]
        # A comparison with NaN is false: a network that isn't finite is left to the log-probabilities.
        if bool(((weights.sum(-1) - 1).abs()[real] > ROUNDING).any()):
            raise FairbenchError(_refusal(model, "the weights of a token do not add up to 1"))
        received = (weights * real[:, :, None]).sum(1) / lengths[:, None]
    return np.asarray(received.cpu().numpy(), dtype=np.float64)


def _refusal(model: Model, reason: str) -> str:
    return (
        f"The scorer aula weighs each token by the attention that it receives, but {model.card.name} ({model.card.architecture}) "
        f"does not say how much every token attends to every other one: {reason}. Use the scorer aul, or another model."
    )


@contextlib.contextmanager
def _plain_attention(network: Any) -> Iterator[None]:
    """Makes a network write its attention weights down; afterwards it has its own way of attending back.

    As everywhere in this folder a network serves one thread at a time.
    """
    before = network.config._attn_implementation
    if before == "eager":  # families that have no other way can't be set either, and need not be
        yield
        return
    with quiet():
        network.set_attn_implementation("eager")
    try:
        yield
    finally:
        with quiet():
            network.set_attn_implementation(before)


def _inputs(model: Model, batch: Sequence[Seen]) -> dict[str, torch.Tensor]:
    """Texts of a batch, padded at the right."""
    width, padding = max(len(text.ids) for text in batch), padding_id(model)
    given = {"input_ids": _tensor([[*text.ids, *[padding] * (width - len(text.ids))] for text in batch], model)}
    if any(len(text.ids) < width for text in batch):
        given["attention_mask"] = _tensor([[int(i < len(text.ids)) for i in range(width)] for text in batch], model)
    return given


def _tensor(values: Any, model: Model) -> torch.Tensor:
    import torch

    return torch.as_tensor(np.asarray(values, dtype=np.int64), device=model.device)
