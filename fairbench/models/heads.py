"""Log-probabilities of given tokens, with logits made only where they are read and never held as one large tensor.

On a processor half of a small model's time goes into logits over the vocabulary: most of that is memory that is fetched and
given back. So a network is run in two halves, its body and its head, and the head sees only the rows that are read. Whether that
is the same as the network's own forward pass is tried on a short text before it is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

    from fairbench.models.model import Model

TOLERANCE = 1e-5
"""How far two ways to the same number may lie apart beyond what the network's own noise explains (nats)."""
MOST, MOST_LOW = 1e-4, 0.5
"""How far they may lie apart at most, whatever the noise; the second for dtypes of two bytes."""

FULL_BYTES = 256 << 20
"""Logits that a network's whole forward pass may make at a time, where there is no other way to them."""

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
        rounding: what half precision does to a log-probability by rounding alone (nats, mean square); 0 for wider dtypes.
    """

    kind: HeadKind
    network: Any
    rounding: float = 0.0

    @property
    def most_tokens(self) -> int | None:
        """The most tokens a batch may hold, where each of them makes a whole row of logits; else null."""
        width = self.network.config.get_text_config().vocab_size * self.network.dtype.itemsize
        return max(FULL_BYTES // width, 1) if self.kind == "full" else None

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

    def distributions(
        self, inputs: dict[str, torch.Tensor], places: torch.Tensor, read: Callable[[int, torch.Tensor], None]
    ) -> None:
        """Log-probabilities of the whole vocabulary at places, handed over a few rows at a time: never as one large tensor.

        Args:
            inputs: keyword arguments of the network, `input_ids` [B, T] among them.
            places: [N] positions in the flattened [B * T].
            read: called with (number of its first place, [n, V] log-probabilities in nats, of at least four bytes), in order.
        """
        import torch

        with torch.inference_mode(), fused_activations(self.network):
            if self.kind == "full":
                logits = _logits(self.network(**inputs, return_dict=True)).flatten(0, 1)[places]
                size = self._chunk_rows(logits)
                rows = iter([(start, logits[start : start + size]) for start in range(0, len(logits), size)])
            else:
                body = self.network.base_model(**inputs, return_dict=True)
                rows = self._rows(body, body.last_hidden_state.flatten(0, 1)[places])
            for start, part in rows:
                read(start, torch.log_softmax(part.to(_wide(part.dtype)), dim=-1))

    def _own(self, body: Any, hidden: torch.Tensor, row: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
        """What the network's own head gives the asked tokens."""
        out = hidden.new_empty(len(row), dtype=_wide(hidden.dtype))
        for start, logits in self._rows(body, hidden):
            here = (row >= start) & (row < start + len(logits))
            out[here] = _read(logits, row[here] - start, token[here])
        return out

    def _rows(self, body: Any, hidden: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
        """Logits [n, V] of a chunk of rows at a time: the network is given a body that has been run already."""
        import torch

        size = self._chunk_rows(hidden)
        for start in range(0, len(hidden), size):
            part = hidden[start : start + size]
            if self.kind == "linear":
                yield start, self.network.get_output_embeddings()(part)
                continue
            ids = torch.zeros(1, len(part), dtype=torch.long, device=part.device)
            with _body_done(self.network.base_model, type(body)(**{**body, "last_hidden_state": part[None]})):
                logits = _logits(self.network(input_ids=ids, return_dict=True))[0]
            yield start, logits

    def _chunk_rows(self, like: torch.Tensor) -> int:
        """Rows of logits, of this tensor's dtype and device, that are held at a time."""
        width: int = self.network.config.get_text_config().vocab_size * like.element_size()
        return max(_chunk_bytes(like.device.type) // width, 1)


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
    several = {name: v.repeat(4, 1) if isinstance(v, torch.Tensor) else v for name, v in inputs.items()}
    with torch.inference_mode():
        logits = _logits(network(**inputs, return_dict=True))[0]
        wanted = _read(logits, row, token)
        noise = _read(_logits(network(**several, return_dict=True))[1], row, token) - wanted
    eps, wide = torch.finfo(logits.dtype).eps, logits.float()
    # What all logits have in common cancels out in a log-probability.
    rounding = eps / 4 * float(wide.std(-1).mean()) if logits.dtype.itemsize < 4 else 0.0
    for kind in ("linear", "own"):
        head = Head(kind=kind, network=network, rounding=rounding)
        try:
            got = head.log_probabilities(inputs, places, row, token)
        except Exception:
            continue
        error, usual = (x.cpu().double().numpy() for x in (got - wanted, noise))
        # A network rounds its logits to its dtype; the blocks of "linear" don't.
        if agree(error, usual, network.dtype, eps * float(wide[row, token].abs().max())):
            return head
    return Head(kind="full", network=network, rounding=rounding)


def agree(error: NDArray[np.float64], noise: NDArray[np.float64], dtype: torch.dtype, rounding: float = 0.0) -> bool:
    """Whether a short cut's errors are no more than a network's noise; never where one isn't finite.

    Args:
        error: what the short cut's log-probabilities lie off by (nats).
        noise: what the plain way's lie off by when the same texts go in another batch. It is what bfloat16 does to a network of
            this depth, so a fault of a tenth of a nat does not pass for it, and it does not pass for a fault.
        dtype: the network's.
        rounding: by how much more the values may be off, in the mean square, because they are rounded elsewhere. On a processor
            the noise alone may be nothing: there the same sums are often taken in the same order whatever the batch.
    """
    # The largest error shows a fault at few tokens, the mean square a small one at many. A comparison with NaN is false.
    (most, usual), (noise_most, noise_usual) = ((np.abs(x).max(), np.sqrt(np.square(x).mean())) for x in (error, noise))
    if not (most <= largest_error(dtype) and most <= 3 * noise_most + TOLERANCE + 16 * rounding):
        return False
    return bool(usual <= 3 * noise_usual + TOLERANCE + rounding)


def largest_error(dtype: torch.dtype) -> float:
    """How far two ways to the same log-probability may ever lie apart (nats)."""
    return MOST if dtype.itemsize >= 4 else MOST_LOW


NO_EMBEDDING = "a token that the model has no embedding for"


def known_ids(model: Model) -> int:
    """Ids below this have an embedding. A tokenizer may have been given tokens of which its network does not know."""
    try:
        embeddings: Any = model.network.get_input_embeddings()
        rows = int(embeddings.weight.shape[0])
    except (NotImplementedError, AttributeError):  # code of the model's own, or no matrix: its configuration must do
        rows = int(model.network.config.get_text_config().vocab_size)
    return min(rows, model.card.vocabulary or rows)


def trial_ids(model: Model, count: int = 64) -> list[int]:
    """Ids to try short cuts on, spread evenly over the vocabulary and out of order, the special ones left out.

    No text would do: to a tokenizer of another language it is one unknown token again and again.
    """
    special = set(model.tokenizer.all_special_ids)
    # Rows beyond the tokenizer fill a matrix up, and their logits may be minus infinity.
    ids = range(min(known_ids(model), len(model.tokenizer)))
    plain = [i for i in ids if i not in special] or list(ids)
    some = [plain[i * len(plain) // count] for i in range(count)]
    return [some[i * 29 % count] for i in range(count)]


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
