"""The network of a classifier: a model's body under a new head to be trained, or a checkpoint that is ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairbench.errors import FairbenchError
from fairbench.models import checkpoint
from fairbench.models.loading import quiet, refuse_random_weights
from fairbench.models.model import Model, ModelCard
from fairbench.training.padding import Side, side_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from fairbench.training.recipe import Recipe

READY = "ForSequenceClassification"
"""How classes of checkpoints end that are classifiers already."""


@dataclass(frozen=True)
class Untrained:
    """A network to be trained, in single precision on the processor.

    Attributes:
        learns: names of the parameters that learn; the others' gradients are switched off.
        pad: the id that texts are filled up with.
        side: where.
    """

    network: PreTrainedModel
    learns: tuple[str, ...]
    pad: int
    side: Side


def is_ready(card: ModelCard) -> bool:
    """Whether a checkpoint holds a classification head."""
    return card.architecture.endswith(READY)


def new_network(card: ModelCard, tokenizer: Any, labels: Sequence[str], recipe: Recipe) -> Untrained:
    """A model's body under a new classification head, whatever head it had.

    The head's first weights come from torch's generator: seed it before.

    Args:
        card: the model.
        tokenizer: its tokenizer.
        labels: names of the classes.
        recipe: says what learns.

    Raises:
        FairbenchError: transformers has no classifier of this family, or the checkpoint lacks weights of the body.
    """
    import torch
    import transformers

    with quiet():
        config = transformers.AutoConfig.from_pretrained(card.folder, trust_remote_code=card.options.trust_remote_code)
        pad = _padding(card, tokenizer, config)
        config.pad_token_id = pad
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: number for number, label in enumerate(labels)}
        config.problem_type = "single_label_classification"
        try:
            auto: Any = transformers.AutoModelForSequenceClassification
            network = auto.from_config(
                config,
                dtype=torch.float32,
                attn_implementation=card.options.attention,
                trust_remote_code=card.options.trust_remote_code,
            )
        except ValueError as error:
            reason = str(error).strip().split("\n")[0]
            raise FairbenchError(f"{card.name} can't be made a classifier ({reason}). Give a model of another family.") from error
        if network.base_model is network:
            raise FairbenchError(
                f"{card.name}: the class {type(network).__name__} does not tell its body from its head, so no head can be put "
                "on it. Give a model of another family."
            )
        drawn = _take_over_body(card, network)
    body = {id(parameter) for name, parameter in network.base_model.named_parameters() if name not in drawn}
    learns = _choose_learners(network, body, recipe)
    side = side_of(Model(card=card, network=network.eval(), tokenizer=tokenizer, device=network.device), pad)
    return Untrained(network, learns, pad, side)


def _take_over_body(card: ModelCard, network: Any) -> set[str]:
    """Copies the checkpoint's weights below the head; gives the names of those that it lacks (a pooler that no head used)."""
    import torch
    import transformers

    pickle = checkpoint.find_weights(Path(card.folder), card.name, card.options.allow_pickle).pickle
    try:
        body, found = transformers.AutoModel.from_pretrained(
            card.folder,
            dtype=torch.float32,
            use_safetensors=not pickle,
            trust_remote_code=card.options.trust_remote_code,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, ImportError, KeyError) as error:
        reason = str(error).strip().split("\n")[0]
        raise FairbenchError(f"{card.name} can't be loaded as {card.architecture}: {reason}") from error
    # A body with an intervention (fairbench.models.wrapped) has its native one inside, and its directions beside that.
    lacking = tuple(found["missing_keys"])
    state = {
        name: tensor
        for name, tensor in body.base_model.state_dict().items()
        if not any(f".{key}".endswith(f".{name}") for key in lacking)
    }
    beside = dict(network.named_buffers(recurse=False))
    for name, tensor in body.named_buffers(recurse=False):
        if name in beside:
            beside[name].copy_(tensor)
    missing = set(network.base_model.load_state_dict(state, strict=False).missing_keys)
    refuse_random_weights(card, sorted(name for name in missing if "pooler" not in name.split(".")), "AutoModel")
    return missing


def _choose_learners(network: Any, body: set[int], recipe: Recipe) -> tuple[str, ...]:
    for parameter in network.parameters():
        parameter.requires_grad_(recipe.mode == "full" or id(parameter) not in body)
    if recipe.freeze_embeddings:
        network.get_input_embeddings().weight.requires_grad_(False)
    return tuple(name for name, parameter in network.named_parameters() if parameter.requires_grad)


def _padding(card: ModelCard, tokenizer: Any, config: Any) -> int:
    """The id that fills texts up: a padding token, else another special token.

    A causal classifier reads the last token that is not this one, so it should be one that no text ends in. An encoder's own may
    set the numbers of its positions (RoBERTa's do), so the configuration goes first there.
    """
    pads = (config.get_text_config().pad_token_id, tokenizer.pad_token_id)
    others = (tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id)
    named = (*(pads[::-1] if card.kind == "causal" else pads), *others)
    found = next((number for number in named if number is not None and 0 <= number < card.vocabulary), None)
    if found is None:
        raise FairbenchError(
            f"The tokenizer of {card.name} has no special token (pad, eos, bos or unk) to fill texts up with, and a classifier "
            "is trained on several texts at a time. Give it one (tokenizer.pad_token = ...) and save it into the folder."
        )
    return int(found)
