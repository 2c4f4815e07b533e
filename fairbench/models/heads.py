"""Log-probabilities of given tokens, with logits made only where they are read and never held as one large tensor.

On a processor half of a small model's time goes into logits over the vocabulary: most of that is memory that is fetched and
given back. So a network is run in two halves, its body and its head, and the head sees only the rows that are read. Whether that
is the same as the network's own forward pass is tried on a short text before it is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

TOLERANCE = {"float64": 1e-4, "float32": 1e-4}
"""How far two ways to the same log-probability may lie apart (nats); other dtypes have `LOW_PRECISION`."""
LOW_PRECISION = 0.1

CHUNK_BYTES = {"cpu": 16 << 20, "cuda": 512 << 20}
"""Logits held at a time. On a processor this stays in reach of the cache and below what the allocator gives back each time."""

HeadKind = Literal["linear", "own", "full"]


@dataclass(frozen=True)
class Head:
    """How the logits of one network are made.

    Attributes:
        kind: "linear": the body, then the output embedding in blocks of the vocabulary; "own": the body, then the network's own
            head on the rows that are read (soft caps, scales and transforms included); "full": the network's whole forward pass.
        network: the network.
    """

    kind: HeadKind
    network: Any

    def log_probabilities(
        self, inputs: dict[str, torch.Tensor], places: torch.Tensor, row: torch.Tensor, token: torch.Tensor
    ) -> torch.Tensor:
        """Log P(token | what the network sees at a place), for several tokens at a place or one.

        Args:
            inputs: keyword arguments of the network, `input_ids` [B, T] among them.
            places: [N] positions in the flattened [B * T] that are read.
            row: [M] index into `places` of each asked token.
            token: [M] token ids.

        Returns:
            [M] log-probabilities in nats, float32 (float64 for a float64 network). Not finite where the logits aren't.
        """
        import torch

        with torch.inference_mode(), fused_activations(self.network):
            if self.kind == "full":
                logits = _logits(self.network(**inputs, return_dict=True)).flatten(0, 1)
                return _read(logits[places], row, token)
            body = self.network.base_model(**inputs, return_dict=True)
            hidden = body.last_hidden_state.flatten(0, 1)[places]
            if self.kind == "linear":
                return _linear(hidden, self.network.get_output_embeddings(), row, token)
            return self._own(body, hidden, row, token)

    def _own(self, body: Any, hidden: torch.Tensor, row: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
        """Gives the network a body that has been run already, a chunk of rows at a time."""
        import torch

        width = self.network.config.get_text_config().vocab_size * hidden.element_size()
        size = max(_chunk_bytes(hidden.device.type) // width, 1)
        out = hidden.new_empty(len(row), dtype=_wide(hidden.dtype))
        for start in range(0, len(hidden), size):
            part = hidden[start : start + size]
            ids = torch.zeros(1, len(part), dtype=torch.long, device=part.device)
            with _body_done(self.network.base_model, type(body)(**{**body, "last_hidden_state": part[None]})):
                logits = _logits(self.network(input_ids=ids, return_dict=True))[0]
            here = (row >= start) & (row < start + size)
            out[here] = _read(logits, row[here] - start, token[here])
        return out


def find_head(network: Any, inputs: dict[str, torch.Tensor]) -> Head:
    """The fastest way to this network's logits that equals its own forward pass on a short text.

    Args:
        network: a causal or masked language model of transformers.
        inputs: a short text, `input_ids` [1, T].
    """
    import torch

    ids = inputs["input_ids"]
    places = torch.arange(ids.shape[1], device=ids.device)
    row, token = places.repeat(2), torch.cat([ids[0], ids[0].flip(0)])
    with torch.inference_mode():
        logits = _logits(network(**inputs, return_dict=True))[0]
        wanted = torch.log_softmax(logits.to(_wide(logits.dtype)), dim=-1)[row, token]
    for kind in ("linear", "own"):
        head = Head(kind=kind, network=network)
        try:
            got = head.log_probabilities(inputs, places, row, token)
        except Exception:
            continue
        if agree(got, wanted, network.dtype):
            return head
    return Head(kind="full", network=network)


def agree(a: torch.Tensor, b: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether two sets of log-probabilities are the same for a network of this dtype; never where one isn't finite."""
    tolerance = TOLERANCE.get(str(dtype).removeprefix("torch."), LOW_PRECISION)
    return bool((a - b).abs().max() <= tolerance)  # a comparison with NaN is false


@contextlib.contextmanager
def fused_activations(network: Any) -> Iterator[None]:
    """Lets GPT-2's activation run as one kernel: transformers writes it as eight, which is 5-10 % of the time on a processor."""
    from transformers.activations import GELUTanh, NewGELUActivation

    places = [
        (module, name)
        for module in network.modules()
        for name, child in module._modules.items()
        if type(child) is NewGELUActivation
    ]
    kept = [module._modules[name] for module, name in places]
    for module, name in places:
        module._modules[name] = GELUTanh()
    try:
        yield
    finally:
        for (module, name), child in zip(places, kept, strict=True):
            module._modules[name] = child


@contextlib.contextmanager
def _body_done(body: Any, output: Any) -> Iterator[None]:
    """Makes calls of the body return what it has returned before, so that only the head is run."""
    body.forward = lambda *_args, **_kwargs: output
    try:
        yield
    finally:
        del body.forward  # the instance's attribute: the class's method shows again


def _linear(hidden: torch.Tensor, embedding: Any, row: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
    """The output embedding in blocks of the vocabulary, so that a block's logits are summed up while they are in the cache."""
    import torch

    weight, bias, wide = embedding.weight, embedding.bias, _wide(hidden.dtype)
    width = max(_chunk_bytes(hidden.device.type) // (len(hidden) * hidden.element_size()), 512)
    buffer = hidden.new_empty(len(hidden) * min(width, len(weight)))
    sums = []
    for start in range(0, len(weight), width):
        part = weight[start : start + width]
        block = torch.mm(hidden, part.T, out=buffer[: len(hidden) * len(part)].view(len(hidden), len(part)))
        if bias is not None:
            block += bias[start : start + width]
        block = block.to(wide)
        # A block may be all -inf (a padded vocabulary); its own maximum would then give NaN.
        most = block.amax(-1, keepdim=True).clamp_(min=torch.finfo(wide).min)
        sums.append(block.sub_(most).exp_().sum(-1).log_().add_(most.squeeze(-1)))
    asked = (hidden[row].to(wide) * weight[token].to(wide)).sum(-1)
    if bias is not None:
        asked = asked + bias[token]
    found: torch.Tensor = asked - torch.logsumexp(torch.stack(sums), dim=0)[row]
    return found


def _read(logits: torch.Tensor, row: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
    """Log softmax of `logits` [N, V] at (row, token) [M], without a second tensor of that size."""
    import torch

    wide = _wide(logits.dtype)
    size = max(_chunk_bytes(logits.device.type) // (8 * logits.shape[-1] * logits.element_size()), 1)
    sums = torch.cat([torch.logsumexp(part.to(wide), dim=-1) for part in torch.split(logits, size)])
    return logits[row, token].to(wide) - sums[row]


def _logits(output: Any) -> torch.Tensor:
    """The logits of an output; pre-training classes call them by another name."""
    logits: torch.Tensor = output["logits"] if "logits" in output else output["prediction_logits"]
    return logits


def _chunk_bytes(device: str) -> int:
    return CHUNK_BYTES.get(device, CHUNK_BYTES["cuda"])


def _wide(dtype: torch.dtype) -> torch.dtype:
    import torch

    return torch.promote_types(dtype, torch.float32)
