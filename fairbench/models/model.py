"""A model, loaded here or behind a server, with all that a probe may ask of it and a result must record."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Kind = Literal["causal", "masked", "encoder", "served"]


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How a server is spoken to. None of it changes an answer.

    Attributes:
        retries: a request is sent again at most so many times.
        timeout: seconds without a byte after which a request counts as lost.
        concurrency: requests that are under way at once.
    """

    retries: int = 5
    timeout: float = 60.0
    concurrency: int = 4


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """How a model is loaded. Everything but `device` and `serving` can change its answers and is part of a cell's hash.

    `url`: of an OpenAI-compatible server that the model is behind; the others but `apply_chat_template` and `serving` then mean
    nothing.
    """

    revision: str | None = None
    dtype: str = "float32"
    device: str = "auto"
    attention: str | None = None
    trust_remote_code: bool = False
    allow_pickle: bool = False
    apply_chat_template: bool = False
    url: str | None = None
    serving: Serving = field(default_factory=Serving)


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What is known of a model without loading its weights: enough to refuse a request, and to name a cell.

    Attributes:
        name: as the user gave it (Hub id, folder, or planted:NAME; behind a server what the server calls it).
        folder: where its files lie on this machine; empty for a served model.
        revision: commit sha on the Hub; null for a folder.
        weights_sha256: over the weight files' contents in the order of their names.
        tokenizer_sha256: likewise over the tokenizer's files.
        config_sha256: over what the configuration says that can change an answer, and over code that is trusted; of a served
            model over what the server says of it.
        kind: what its head can do: "causal" (next token), "masked" (fill a mask), "encoder" (vectors only); or "served": whatever
            it is, only a server's replies are seen.
        next_sentence: it has a next-sentence head.
        start_rule: "bos", "eos" or "none": the token that causal scores condition on.
        has_mask: its tokenizer has a mask token.
        layers: number of hidden layers; null where the configuration does not say.
        max_length: the longest input in tokens, the smaller of the model's and the tokenizer's; null where neither says.
        parameters: number of parameters, from the weight files' headers; null where they don't tell.
        prompt_log_probs: its server gives the log-probabilities of a prompt's tokens.
        notes: sentences that belong into every score (flags such as a repeated special token).
    """

    name: str
    folder: str
    kind: Kind
    architecture: str
    revision: str | None = None
    weights_sha256: str = ""
    tokenizer_sha256: str = ""
    config_sha256: str = ""
    next_sentence: bool = False
    start_rule: Literal["bos", "eos", "none"] = "none"
    has_mask: bool = False
    lower_case: bool = False
    vocabulary: int = 0
    layers: int | None = None
    max_length: int | None = None
    parameters: int | None = None
    options: ModelOptions = field(default_factory=ModelOptions)
    prompt_log_probs: bool = False
    notes: tuple[str, ...] = ()

    @property
    def identity(self) -> dict[str, str]:
        """All of the model that can change an answer; part of a cell's hash. Where it lies and its name are not in it.

        Of a served model nothing else is known.
        """
        if self.kind == "served":
            return {"served": self.options.url or "", "model": self.name, "server": self.config_sha256}
        return {
            "weights": self.weights_sha256,
            "tokenizer": self.tokenizer_sha256,
            "config": self.config_sha256,
            "kind": self.kind,
            "dtype": self.options.dtype,
        }

    def as_dict(self) -> dict[str, Any]:
        """Built-in types for the result file; the folder stays on this machine."""
        card = dataclasses.asdict(self)
        del card["folder"]
        if self.kind != "served":
            del card["options"]["serving"]
        card["notes"] = list(self.notes)
        return card


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network in evaluation mode on its device, its tokenizer, and its card."""

    card: ModelCard
    network: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
