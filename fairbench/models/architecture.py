"""What a model's configuration says that it can do: its kind, its heads, and how long an input it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.models.model import Kind, ModelOptions

OFFSET_POSITIONS = (
    *("roberta", "roberta-prelayernorm", "camembert", "xlm-roberta", "xlm-roberta-xl", "xmod"),
    *("data2vec-text", "ibert", "longformer", "luke", "mluke", "mpnet"),
)
"""Families that count positions from the padding id + 1, so that their table has as many rows which no token can use."""

NEXT_SENTENCE = ("BertForPreTraining", "ErnieForPreTraining", "FNetForPreTraining")
"""Pre-training classes with both heads; the name's end is compared, so MegatronBert and MobileBert are meant too."""

NOT_SO: dict[str, Kind] = {
    "XLNetLMHeadModel": "encoder",  # a permutation model: without its permutation masks every token sees itself
    "ElectraForPreTraining": "encoder",  # a discriminator: it has no head that fills masks
    "XLMWithLMHeadModel": "masked",
    "FlaubertWithLMHeadModel": "masked",
}

MITIGATED = "fairbench-mitigated"
"""The type of models that carry an intervention (`wrapped.MODEL_TYPE`)."""

TASKS = (
    "ForNextSentencePrediction",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "ForMultipleChoice",
)
"""Fine-tuned classes: the encoder beneath the task's head has vectors as any other."""


def recognise_mitigated(config: dict[str, Any], name: str) -> bool:
    """Whether this is a model with an intervention, made by a mitigation; if so, transformers learns of its classes.

    They are this package's own, whatever code lies in the folder for those without the package: nothing of that is run.

    Args:
        config: config.json as it stands.
        name: the model's name, for the refusal.

    Raises:
        FairbenchError: the folder names other code than such a model does.
    """
    if config.get("model_type") != MITIGATED:
        return False
    from fairbench.models import wrapped

    named = config.get("auto_map")
    if not isinstance(named, dict) or not named.items() <= wrapped.AUTO_MAP.items():
        raise FairbenchError(
            f"{name} says that it is a model mitigated by fairbench, but it names other code than such a model does (auto_map: "
            f"{named}). It was changed, or made by another version of fairbench. Nothing of it was run: make it again with "
            "fairbench mitigate."
        )
    wrapped.register()
    return True


def read_kind_config(folder: Path, name: str, options: ModelOptions) -> Any:
    """The configuration as transformers understands it.

    Raises:
        FairbenchError: transformers does not know this type of model, or it is an encoder-decoder or no text model.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(str(folder), trust_remote_code=options.trust_remote_code)
    except Exception as error:  # configuration classes validate themselves and raise what they like
        reason = str(error).strip().split("\n")[0]
        raise FairbenchError(f"The configuration of {name} can't be used: {reason}") from error
    if getattr(config, "is_encoder_decoder", False):
        raise FairbenchError(
            f"{name} is an encoder-decoder ({config.model_type}). fairbench scores causal and masked language models and "
            "encoders: give one of those."
        )
    text = config.get_text_config()
    if not hasattr(text, "vocab_size") or not hasattr(text, "num_hidden_layers"):
        raise FairbenchError(
            f"{name} is no text model ({config.model_type} has no vocabulary). Give a language model or encoder."
        )
    return config


def kind_of(config: Any, name: str) -> tuple[Kind, str]:
    """The kind of a model and the class it was saved as, by `architectures` in its configuration.

    Raises:
        FairbenchError: the configuration names no class, or one whose vectors and scores mean nothing here.
    """
    named = config.architectures or []
    if not named:
        raise FairbenchError(
            f"{name} does not say what it is: config.json has no `architectures`. Add the class that it was saved from, such as "
            "GPT2LMHeadModel, BertForMaskedLM or BertModel."
        )
    architecture = str(named[0])
    kind = _kind(config, architecture)
    if kind is None:
        raise FairbenchError(
            f"{name} is a {architecture}, which is neither a causal nor a masked language model nor a text encoder. Give one "
            "of those."
        )
    if kind == "causal" and _sees_ahead(config):
        raise FairbenchError(
            f"{name} is a {architecture} whose config.json does not say is_decoder: every token would see the ones after it, "
            "and the scores would mean nothing. Set is_decoder to true if it was trained so, else name its masked class."
        )
    return kind, architecture


def has_next_sentence(architecture: str) -> bool:
    """Whether checkpoints of this class hold a next-sentence head."""
    return architecture.endswith(("ForNextSentencePrediction", *NEXT_SENTENCE))


def longest_input(config: Any, tokenizer: Any) -> int | None:
    """The longest input in tokens, special ones included; null where neither the model nor the tokenizer says.

    A self-debiased model puts a prefix before every text, which takes up some of the room.
    """
    text = config.get_text_config()
    limits = []
    for key in ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length"):
        limit = getattr(text, key, None)
        if isinstance(limit, int) and limit > 0:
            offset = (text.pad_token_id or 0) + 1 if text.model_type in OFFSET_POSITIONS else 0
            limits.append(limit - offset)
            break
    if tokenizer.model_max_length < 10**9:  # tokenizers that don't know write 10**30
        limits.append(int(tokenizer.model_max_length))
    return max(min(limits) - getattr(config, "prefix_length", 0), 1) if limits else None


def _kind(config: Any, architecture: str) -> Kind | None:
    from transformers.models.auto import modeling_auto as auto

    family = config.model_type
    if architecture in NOT_SO:
        return NOT_SO[architecture]
    if architecture.endswith(("ForCausalLM", "LMHeadModel", "DoubleHeadsModel")):
        return "causal"
    if auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(family) == architecture:
        return "causal"
    if architecture.endswith("ForMaskedLM"):
        return "masked"
    if architecture.endswith("ForPreTraining") and family in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return "masked"
    if architecture.endswith(("Model", "Encoder", *TASKS)):
        return "encoder"
    return None


def _sees_ahead(config: Any) -> bool:
    """A bidirectional family (BERT's) saved under a causal class without the switch that makes it causal."""
    from transformers.models.auto import modeling_auto as auto

    return config.model_type in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES and getattr(config, "is_decoder", None) is False
