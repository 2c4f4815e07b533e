"""A model with an intervention on what it computes: a projection of its hidden states, or self-debiasing of its probabilities.

Such a model is saved under a type of its own, "fairbench-mitigated", which transformers does not know. So no one loads it without
the intervention by mistake: fairbench brings this file, and to others a copy of it in the model's folder is offered as code that
they have to trust (`auto_map`). For that copy's sake this file imports nothing of fairbench.

A projection h - V^T V h acts on the last layer's states wherever they are handed out: before the head, as `last_hidden_state`,
as the last of `hidden_states`, and before a pooler. Layers below it stay as they are. Self-debiasing acts on logits alone.
"""

# mypy: disable-error-code="no-untyped-call, untyped-decorator"
# (what transformers' classes inherit by has no types)

from __future__ import annotations

import inspect
import math
import shutil
from pathlib import Path
from typing import Any, ClassVar

import torch
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    DynamicCache,
    GenerationMixin,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.utils.generic import can_return_tuple

MODEL_TYPE = "fairbench-mitigated"
FILE = "fairbench_mitigated.py"
"""Under this name the copy lies in a model's folder."""

PROJECTION, SELF_DEBIAS = "projection", "self-debias"


class MitigatedConfig(PreTrainedConfig):
    """The configuration of a model with an intervention.

    Attributes:
        inner: the native configuration of the model inside.
        intervention: its `kind`; "projection" with `directions` and `width`, the shape of the saved tensor; "self-debias" with
            `prefix` and `start` (token ids), `decay` and `epsilon`. What else a method writes into it is for readers.
    """

    model_type = MODEL_TYPE
    sub_configs: ClassVar[dict[str, Any]] = {"inner": AutoConfig}
    has_no_defaults_at_init = True

    def __init__(self, inner: Any = None, intervention: dict[str, Any] | None = None, **kwargs: Any) -> None:
        native = {key: value for key, value in (inner or {}).items() if key not in ("auto_map", "_name_or_path")}
        self.inner = CONFIG_MAPPING[native["model_type"]].from_dict(native) if native else None
        self.intervention = dict(intervention or {})
        super().__init__(**kwargs)

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> Any:
        """The configuration of the text model inside: sizes, positions and special tokens stand there."""
        return self if self.inner is None else self.inner.get_text_config(decoder=decoder, encoder=encoder)

    @property
    def prefix_length(self) -> int:
        """Tokens that self-debiasing puts before a text: that much room is taken from the longest input."""
        return len(self.intervention.get("prefix", ()))


class Mitigated(PreTrainedModel):
    """What all these classes share. `inner` holds the native model, its weights under the names that they have below a head."""

    config_class = MitigatedConfig
    base_model_prefix = "inner"
    directions: torch.Tensor
    auto: ClassVar[Any] = AutoModel
    kinds: ClassVar[tuple[str, ...]] = (PROJECTION,)
    _supports_sdpa = _supports_flash_attn = _supports_flex_attn = _supports_attention_backend = True
    # A projection of two bytes a number would let through what it is to remove.
    _keep_in_fp32_modules_strict = {"directions"}  # noqa: RUF012 (an instance has its own)

    def __init__(self, config: MitigatedConfig) -> None:
        super().__init__(config)
        kind = config.intervention.get("kind")
        if kind not in self.kinds:
            raise ValueError(f"{type(self).__name__} can't do the intervention {kind!r}; it knows {', '.join(self.kinds)}.")
        native = self.auto.from_config(config.inner, trust_remote_code=False)
        headless = self.auto is AutoModel
        self.inner: Any = torch.nn.ModuleDict({native.base_model_prefix: native}) if headless else native
        self._reached = False
        if kind == PROJECTION:
            shape = config.intervention["directions"], config.intervention["width"]
            # Not numbers until a checkpoint's are read: a projection that was forgotten must show.
            self.register_buffer("directions", torch.full(shape, math.nan, dtype=torch.float32))
            for body in (self.base_model, getattr(self.base_model, "decoder", None)):  # OPT's head asks the decoder itself
                if isinstance(body, PreTrainedModel):
                    body.register_forward_hook(self._project)
        self.post_init()

    @property
    def native(self) -> Any:
        """The model of transformers inside."""
        return next(iter(self.inner.values())) if isinstance(self.inner, torch.nn.ModuleDict) else self.inner

    @property
    def base_model(self) -> Any:
        """The body inside: its last hidden state is projected already; it knows nothing of self-debiasing."""
        return self.native.base_model

    def get_input_embeddings(self) -> Any:
        """The word embeddings, which no intervention touches."""
        return self.native.get_input_embeddings()

    def set_input_embeddings(self, value: Any) -> None:
        """Replaces the word embeddings."""
        self.native.set_input_embeddings(value)

    def get_output_embeddings(self) -> Any:
        """The matrix that makes logits of states; null where that is not all that makes them."""
        return None if self.config.intervention["kind"] == SELF_DEBIAS else self.native.get_output_embeddings()

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> None:
        """Saves weights and configuration, and beside them the code that applies the intervention."""
        self.config.auto_map = {
            name: reference for name, reference in AUTO_MAP.items() if name in ("AutoConfig", *self._loaders())
        }
        super().save_pretrained(save_directory, *args, **kwargs)
        if Path(__file__) != Path(save_directory) / FILE:
            shutil.copyfile(__file__, Path(save_directory) / FILE)

    @can_return_tuple
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As the native model inside, on projected states."""
        return self._reaching(self.native, *args, **kwargs)

    def _init_weights(self, module: Any) -> None:
        """What a checkpoint lacks: the modules inside draw their own weights, directions can't be drawn."""
        if isinstance(module, Mitigated) and "directions" in module._buffers:
            torch.nn.init.constant_(module.directions, math.nan)

    def _loaders(self) -> tuple[str, ...]:
        bodies = () if self.config.intervention["kind"] == SELF_DEBIAS else ("AutoModel", "AutoModelForSequenceClassification")
        return (self.auto.__name__, *bodies)

    def _project(self, _module: Any, _inputs: Any, output: Any) -> Any:
        """The hook behind the body: takes the directions out of whatever it hands out of its last layer."""
        if isinstance(output, tuple):
            raise ValueError("This model's states are projected by their name. Ask for them with return_dict=True.")
        self._reached = True
        output["last_hidden_state"] = projected(output["last_hidden_state"], self.directions)
        if output.get("hidden_states"):
            output["hidden_states"] = (*output["hidden_states"][:-1], projected(output["hidden_states"][-1], self.directions))
        if output.get("pooler_output") is not None:
            output["pooler_output"] = self.base_model.pooler(output["last_hidden_state"])
        return output

    def _reaching(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        """Calls the native model and makes sure that its states came by the projection on their way."""
        self._reached = False
        output = call(*args, **kwargs)
        if not self._reached:
            raise ValueError(f"{type(self.native).__name__} goes round its base model, so its states can't be projected.")
        return output


class MitigatedModel(Mitigated):
    """The body alone: an encoder, or the states of a language model."""


class MitigatedForSequenceClassification(Mitigated):
    """A classifier on projected states, to be fine-tuned."""

    auto: ClassVar[Any] = AutoModelForSequenceClassification

    def __init__(self, config: MitigatedConfig) -> None:
        for name in ("id2label", "label2id", "problem_type", "pad_token_id"):
            if getattr(config, name, None) is not None:
                setattr(config.inner, name, getattr(config, name))
        super().__init__(config)


class MitigatedForMaskedLM(Mitigated):
    """A masked language model: on projected states, or self-debiased."""

    auto: ClassVar[Any] = AutoModelForMaskedLM
    kinds: ClassVar[tuple[str, ...]] = (PROJECTION, SELF_DEBIAS)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> Any:
        """As the native model inside, with the intervention.

        Args:
            input_ids: [B, L].
            attention_mask: [B, L] for self-debiasing; any shape that the native model takes for a projection.
            position_ids: [B, L] or [1, L].
            logits_to_keep: logits of so many last positions only; 0 for all.
            **kwargs: for the native model.

        Returns:
            Its output. Self-debiased `logits` are log-probabilities; with them comes no loss.

        Raises:
            ValueError: self-debiasing was given what it can't put a prefix before.
        """
        given = {"input_ids": input_ids, "attention_mask": attention_mask, "position_ids": position_ids}
        if self.config.intervention["kind"] == PROJECTION:
            shown = {name: value for name, value in given.items() if value is not None}
            return self._reaching(self._with_logits, shown | kwargs, logits_to_keep)
        return self._debiased(given, kwargs, logits_to_keep)

    def _debiased(self, given: dict[str, Any], kwargs: dict[str, Any], keep: int) -> Any:
        cache = kwargs.pop("past_key_values", None)
        if kwargs.get("labels") is not None or not isinstance(cache, TwinCache | None):
            raise ValueError("A self-debiased model has no loss, since it is not to be trained, and no cache but a TwinCache.")
        ids, mask = given["input_ids"], given["attention_mask"]
        read = cache.get_seq_length() if cache else 0
        if ids is None or (mask is not None and mask.shape != (len(ids), read + ids.shape[1])):
            raise ValueError("Self-debiasing puts a prefix before token ids: give input_ids, and a mask of their shape or none.")
        plain = {name: value for name, value in given.items() if value is not None} | kwargs
        settings = self.config.intervention
        prefix = torch.tensor(settings["prefix"], device=ids.device)
        at = behind_start(ids, mask, settings["start"]) if cache is None or read == 0 else cache.at
        biased = continued(plain, at, len(prefix)) if read else prefixed(plain, prefix, at)
        for inputs, past in ((plain, cache), (biased, cache and cache.biased)):
            if self.can_generate():
                inputs |= {"use_cache": cache is not None, "past_key_values": past}
        if cache is not None:
            cache.at = at
        output, other = self._with_logits(plain, keep), self._with_logits(biased, keep).logits
        if not (keep or read):
            other = other[:, len(prefix) :]
        output["logits"] = self_debiased(output.logits, other, settings["decay"], settings["epsilon"])
        return output

    def _with_logits(self, given: dict[str, Any], keep: int) -> Any:
        """The native model's output with the logits that are wanted."""
        if keep and "logits_to_keep" in inspect.signature(self.native.forward).parameters:
            return self.native(**given, logits_to_keep=keep)
        output = self.native(**given)
        if keep:
            output["logits"] = output.logits[:, -keep:]
        return output


class MitigatedForCausalLM(MitigatedForMaskedLM, GenerationMixin):
    """A causal language model: on projected states, or self-debiased, which takes two passes for every token."""

    auto: ClassVar[Any] = AutoModelForCausalLM

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """Writes text as transformers does: of projected states by the native model's own way, with its cache."""
        if self.config.intervention["kind"] == SELF_DEBIAS:
            if kwargs.get("use_cache", True) and self.native._supports_default_dynamic_cache():
                kwargs["past_key_values"] = kwargs.get("past_key_values") or TwinCache(self.config.get_text_config(decoder=True))
            else:
                kwargs["use_cache"] = False
            return GenerationMixin.generate(self, *args, **kwargs)  # type: ignore[arg-type]
        self.native.generation_config = self.generation_config
        return self._reaching(self.native.generate, *args, **kwargs)


def projected(states: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """States without their part in the span of orthonormal directions: h - V^T V h.

    Args:
        states: [..., width].
        directions: [k, width], orthonormal rows.

    Returns:
        [..., width] of the states' dtype; worked out in four bytes a number at least.
    """
    wide = torch.promote_types(states.dtype, torch.float32)
    h, v = states.to(wide), directions.to(wide)
    return (h - (h @ v.T) @ v).to(states.dtype)


def self_debiased(logits: torch.Tensor, biased: torch.Tensor, decay: float, epsilon: float) -> torch.Tensor:
    """Log-probabilities in which tokens that a prefix makes likelier have lost weight (Schick et al. 2021).

    p~(w) is proportional to alpha p(w), with alpha = max(epsilon, exp(-decay max(0, p_prefixed(w) - p(w)))).

    Args:
        logits: [..., V] for p.
        biased: [..., V] for p after the prefix.
        decay: 0 changes nothing.
        epsilon: the least weight, above 0.

    Returns:
        [..., V] log p~, float32 or wider.
    """
    if logits.shape != biased.shape:
        raise ValueError(f"The logits after the prefix have the shape {tuple(biased.shape)}, not {tuple(logits.shape)}.")
    wide = torch.promote_types(logits.dtype, torch.float32)
    log_p = torch.log_softmax(logits.to(wide), dim=-1)
    more = torch.log_softmax(biased.to(wide), dim=-1).exp_().sub_(log_p.exp()).clamp_(min=0)
    return torch.log_softmax(log_p + more.mul_(-decay).clamp_(min=math.log(epsilon)), dim=-1)


def behind_start(ids: torch.Tensor, mask: torch.Tensor | None, start: list[int]) -> torch.Tensor:
    """Where a prefix goes: behind a text's start token where it has one, else at its head.

    Args:
        ids: [B, L].
        mask: [B, L] or null; padding may stand at either side.
        start: ids that count as a start token in the first place of a text.

    Returns:
        [B, 1] places in 0 to L.
    """
    first = torch.zeros_like(ids[:, :1]) if mask is None else mask.ne(0).long().argmax(1, keepdim=True)
    return first + torch.isin(ids.gather(1, first), torch.tensor(start, dtype=ids.dtype, device=ids.device))


def prefixed(given: dict[str, Any], prefix: torch.Tensor, at: torch.Tensor) -> dict[str, Any]:
    """Inputs of a model with a prefix in each row.

    Args:
        given: `input_ids` [B, L]; perhaps `attention_mask` [B, L], `position_ids`, `token_type_ids`.
        prefix: [P] token ids.
        at: [B, 1] before which place it goes.

    Returns:
        The same with rows of P + L tokens. Positions go on counting from the prefix; it is of the first segment.
    """
    length, more = given["input_ids"].shape[1], len(prefix)
    out = given | {"input_ids": inserted(given["input_ids"], at, prefix[None])}
    for name, filling in (("attention_mask", 1), ("token_type_ids", 0)):
        if given.get(name) is not None:
            out[name] = inserted(given[name], at, torch.full_like(prefix[None], filling).to(given[name].dtype))
    if given.get("position_ids") is not None:
        positions = given["position_ids"].expand(len(at), -1)
        before = positions.gather(1, (at - 1).clamp(min=0)) + 1
        opening = torch.where(at < length, positions.gather(1, at.clamp(max=length - 1)), before)
        behind = torch.arange(length, device=at.device) >= at
        out["position_ids"] = inserted(positions + more * behind, at, opening + torch.arange(more, device=at.device))
    return out


def continued(given: dict[str, Any], at: torch.Tensor, more: int) -> dict[str, Any]:
    """Inputs of further tokens of texts whose beginnings are in a cache, with so many tokens of a prefix before `at` [B, 1]."""
    out = dict(given)
    if given.get("attention_mask") is not None:
        out["attention_mask"] = inserted(given["attention_mask"], at, given["attention_mask"].new_ones(1, more))
    if given.get("position_ids") is not None:
        out["position_ids"] = given["position_ids"] + more
    return out


def inserted(rows: torch.Tensor, at: torch.Tensor, filling: torch.Tensor) -> torch.Tensor:
    """[B, L + P] rows [B, L] (or [1, L]) with a filling [B, P] (or [1, P]) before the place `at` [B, 1] of each."""
    count, more = len(at), filling.shape[1]
    place = torch.arange(rows.shape[1] + more, device=rows.device).expand(count, -1)
    old = torch.where(place < at, place, place - more).clamp(0, rows.shape[1] - 1)
    new = filling.expand(count, -1).gather(1, (place - at).clamp(0, more - 1))
    return torch.where((place >= at) & (place < at + more), new, rows.expand(count, -1).gather(1, old))


class TwinCache(DynamicCache):
    """Keys and values of texts, and in `biased` those of the same texts with a prefix before the place `at` [B, 1]."""

    def __init__(self, config: Any) -> None:
        super().__init__(config=config)
        self.biased = DynamicCache(config=config)
        self.at: Any = None

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keeps some of the texts."""
        super().batch_select_indices(indices)
        self.biased.batch_select_indices(indices)
        self.at = self.at[indices]

    def reorder_cache(self, beam_idx: Any) -> None:
        """Puts other texts in the places of texts, as beam search does."""
        super().reorder_cache(beam_idx)
        self.biased.reorder_cache(beam_idx)
        self.at = self.at.index_select(0, beam_idx.to(self.at.device))

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeats each text."""
        super().batch_repeat_interleave(repeats)
        self.biased.batch_repeat_interleave(repeats)
        self.at = self.at.repeat_interleave(repeats, dim=0)

    def crop(self, *_args: Any) -> None:
        """Steps back, as assisted decoding does.

        Raises:
            ValueError: always.
        """
        raise ValueError("A self-debiased model can't take tokens back. Write without an assistant.")


CLASSES = (MitigatedModel, MitigatedForSequenceClassification, MitigatedForMaskedLM, MitigatedForCausalLM)

AUTO_MAP = {"AutoConfig": f"{Path(FILE).stem}.{MitigatedConfig.__name__}"} | {
    kind.auto.__name__: f"{Path(FILE).stem}.{kind.__name__}" for kind in CLASSES
}
"""What config.json names for those without fairbench: from_pretrained(folder, trust_remote_code=True)."""


def register() -> None:
    """Makes these classes known to transformers in this process, so that nothing in a folder needs to be run."""
    AutoConfig.register(MODEL_TYPE, MitigatedConfig, exist_ok=True)
    for kind in CLASSES:
        kind.auto.register(MitigatedConfig, kind, exist_ok=True)


def wrap(network: Any, kind: str, intervention: dict[str, Any], directions: torch.Tensor | None = None) -> Any:
    """A model of transformers with an intervention.

    Args:
        network: the model; it is copied.
        kind: "causal", "masked" or "encoder".
        intervention: see `MitigatedConfig`.
        directions: [k, width] orthonormal rows of a projection.

    Raises:
        ValueError: this kind of model can't have that intervention.
    """
    if directions is not None:
        intervention = intervention | {"directions": directions.shape[0], "width": directions.shape[1]}
    config = MitigatedConfig(inner=network.config.to_dict(), intervention=intervention)
    made: Any = {"causal": MitigatedForCausalLM, "masked": MitigatedForMaskedLM, "encoder": MitigatedModel}[kind](config)
    made.native.to(network.dtype).load_state_dict(network.state_dict())
    if directions is not None:
        made.directions.copy_(directions)
    made.to(network.device).eval()
    if made.can_generate():
        made.generation_config = network.generation_config
    return made
