"""The network that is taught: made of layers of its teacher, or given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.errors import FairbenchError
from fairbench.models.loading import HEADS, inspect_model, load, load_tokenizer, quiet
from fairbench.models.model import Model, ModelCard

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PER_LAYER = (
    "layer_types",
    "mlp_layer_types",
    "no_rope_layers",
    "attention_layers",
    "layers_block_type",
    "indexer_types",
    "layer_rope_theta",
    "attn_layers",
    "attention_window",
    "num_attention_heads_per_layer",
    "num_key_value_heads_per_layer",
    "activation_sparsity_pattern",
    "intermediate_size",
)
"""Lists of a configuration that say one thing of each layer."""

OF_LAYERS = re.compile("layer|block|idx")
OF_OTHERS = re.compile("token|words_ids|architectures|languages|time_step|multipliers|axial_pos|vocab")
"""Other lists by their names: those that number layers, and those that have as many members as there are layers by chance."""


def chosen_layers(choice: str, count: int, name: str) -> tuple[int, ...]:
    """The layers of a teacher that a student keeps.

    Args:
        choice: "all", "half" (rounded up), a number n, or places joined by + ("0+2+4"). A number stands for n places evenly
            spread from the first to the last layer, rounded: [0, 2, 4, 7, 9, 11] for 6 of 12, which is DistilGPT2's choice.
        count: layers of the teacher.
        name: its name, for the error.

    Raises:
        FairbenchError: the teacher has no such layer.

    Example:
        >>> chosen_layers("6", 12, "gpt2"), chosen_layers("3", 5, "a")
        ((0, 2, 4, 7, 9, 11), (0, 2, 4))
    """
    if "+" in choice:
        places = sorted(int(part) for part in choice.split("+"))
        if places[-1] >= count:
            raise FairbenchError(f"layers={choice}: {name} has {count} layers, 0 to {count - 1}. Choose among them.")
        return tuple(places)
    wanted = {"all": count, "half": -(-count // 2)}.get(choice) or int(choice)
    if not 1 <= wanted <= count:
        raise FairbenchError(f"layers={choice}: {name} has {count} layers. Choose from 1 to {count}.")
    return tuple(int(place) for place in np.linspace(0, count - 1, wanted).round())


def from_layers(teacher: Model, places: Sequence[int]) -> PreTrainedModel:
    """A student of the teacher's class that has some of its layers, and all else from it: embeddings, last norm, head.

    Args:
        teacher: a causal or masked model, or an encoder.
        places: the layers, in order.

    Returns:
        A network in single precision on the processor, all of whose parameters learn.

    Raises:
        FairbenchError: the architecture does not keep its layers one by one (ALBERT shares a single one among them), its layers
            depend on their places in a way that can't be kept, or a configuration of fewer layers can't be written.
    """
    import copy

    import torch
    import transformers

    network = teacher.network
    config = copy.deepcopy(network.config)
    count = int(config.get_text_config().num_hidden_layers)
    stack = _stack(network, count, teacher.card.name)
    _shorten(config.get_text_config(), places, count, teacher.card.name)
    _refuse_unwritable(config, teacher.card.name, len(places))
    with quiet():
        auto: Any = getattr(transformers, HEADS[teacher.card.kind])
        student = auto.from_config(config, dtype=torch.float32, attn_implementation=teacher.card.options.attention)
    number = {place: new for new, place in enumerate(places)}
    layer = re.compile(rf"({re.escape(stack)}\.)(\d+)(\..*)")
    state = {}
    for name, tensor in network.state_dict().items():
        met = layer.fullmatch(name)
        if met is None:
            state[name] = tensor
        elif int(met[2]) in number:
            state[f"{met[1]}{number[int(met[2])]}{met[3]}"] = tensor
    shapes, wanted = ({name: tensor.shape for name, tensor in parts.items()} for parts in (state, student.state_dict()))
    odd = sorted({name for name, _ in shapes.items() ^ wanted.items()})
    if odd:
        raise FairbenchError(
            f"No student can be made of layers of {teacher.card.name} ({teacher.card.architecture}): with {len(places)} layers "
            f"it has other parts ({', '.join(odd[:4])}). Give a student with option student=FOLDER."
        )
    student.load_state_dict(state)
    if network.can_generate():
        student.generation_config = copy.deepcopy(network.generation_config)  # end tokens of chat models stand there alone
    found: PreTrainedModel = student.float()
    return found


def given(name: str, teacher: ModelCard, max_length: int) -> tuple[ModelCard, Model]:
    """A student that the user names, loaded, all of whose parameters learn.

    Args:
        name: a model folder or Hub id.
        teacher: the card of its teacher.
        max_length: tokens of the rows that it will learn from.

    Raises:
        FairbenchError: it is of another kind than the teacher, its vocabulary differs from the teacher's, or it takes fewer
            tokens than a row has.
    """
    card = inspect_student(name, teacher, max_length)
    model = load(card)
    model.network.requires_grad_(True)
    return card, model


def inspect_student(name: str, teacher: ModelCard, max_length: int | None = None) -> ModelCard:
    """The card of a student that the user names, in single precision.

    Args:
        name: a model folder or Hub id.
        teacher: the card of its teacher.
        max_length: tokens of the rows that it will learn from; null while that is not decided.

    Raises:
        FairbenchError: it is of another kind than the teacher, its vocabulary differs from the teacher's, or it takes fewer
            tokens than a row has.
    """
    import dataclasses

    card = inspect_model(name, dataclasses.replace(teacher.options, revision=None, dtype="float32"))
    if card.kind != teacher.kind:
        raise FairbenchError(
            f"student={name} is a {card.kind} model, and the teacher {teacher.name} a {teacher.kind} one. Give a student of the "
            "same kind."
        )
    if max_length is not None and card.max_length is not None and card.max_length < max_length:
        raise FairbenchError(
            f"student={name} takes at most {card.max_length} tokens, and the rows would have up to {max_length}. Give "
            f"max_length={card.max_length} or less, or a student that takes longer texts."
        )
    refuse_other_vocabulary(card, teacher)
    return card


def refuse_other_vocabulary(student: ModelCard, teacher: ModelCard) -> None:
    """A student must have its teacher's tokens under the same numbers: it learns a probability for each of them.

    Raises:
        FairbenchError: it has not.
    """
    from pathlib import Path

    with quiet():
        one, other = (load_tokenizer(Path(c.folder), c.name, c.options).get_vocab() for c in (student, teacher))
    if one == other and student.vocabulary == teacher.vocabulary:
        return
    if one == other:
        how = f"{student.vocabulary} against {teacher.vocabulary} rows of their embeddings"
    else:
        differing = sorted(token for token in one.keys() | other.keys() if one.get(token) != other.get(token))
        shown = ", ".join(repr(token) for token in differing[:4])
        how = f"{len(differing)} tokens have another number or are missing in one of them, such as {shown}"
    raise FairbenchError(
        f"The vocabularies of the student {student.name} and the teacher {teacher.name} differ: {how}. Distillation compares "
        "probabilities token by token: give a student with the teacher's tokenizer, or let it be made of the teacher's layers."
    )


def _stack(network: Any, count: int, name: str) -> str:
    """The name of the list that holds a network's layers."""
    import torch

    lists = [(n, m) for n, m in network.named_modules() if isinstance(m, torch.nn.ModuleList) and len(m) == count]
    alike = [
        n
        for n, m in lists
        if len({type(layer) for layer in m}) == 1 and not any(o != n and n.startswith(f"{o}.") for o, _ in lists)
    ]
    if len(alike) != 1:
        raise FairbenchError(
            f"{name}: its {count} layers could not be told from its other parts ({type(network).__name__}"
            f"{': ' + ', '.join(alike) if alike else ''}), so no student can be made of some of them. Give one with option "
            "student=FOLDER."
        )
    return str(alike[0])


def _shorten(config: Any, places: Sequence[int], count: int, name: str) -> None:
    """Sets the number of layers, and cuts what a configuration lists layer by layer.

    Raises:
        FairbenchError: it says more of its layers' places than can be kept when they are renumbered.
    """
    lists = {key: value for key, value in vars(config).items() if isinstance(value, list | tuple) and value}
    cut = {key: value for key, value in lists.items() if key in PER_LAYER and len(value) == count}
    if tuple(places) != tuple(range(len(places))):
        others = lists.keys() - cut.keys() - {"attention_types"}
        numbered = [key for key in sorted(others) if OF_LAYERS.search(key) or _by_layer(key, lists[key], count)]
        if getattr(config, "scale_attn_by_inverse_layer_idx", False):
            numbered.append("scale_attn_by_inverse_layer_idx")
        if numbered:
            raise FairbenchError(
                f"layers={'+'.join(map(str, places))}: the configuration of {name} says what a layer does by its place "
                f"({', '.join(numbered)}), and in a student these layers would have other places. Keep the first layers without "
                "a gap (layers=0+1+2 and so on), or give a student with option student=FOLDER."
            )
    for key, value in cut.items():
        setattr(config, key, type(value)(value[place] for place in places))
    if "attention_layers" in cut and "attention_types" in lists:  # GPT-Neo writes these, and expands them when it is read
        config.attention_types = [[[kind], 1] for kind in config.attention_layers]
    config.num_hidden_layers = len(places)


def _by_layer(key: str, value: Sequence[Any], count: int) -> bool:
    """Whether a list may say one thing of each layer: it has as many members, and no name that speaks of something else."""
    return len(value) == count and not OF_OTHERS.search(key)


def _refuse_unwritable(config: Any, name: str, layers: int) -> None:
    """Writes a configuration once, since many check themselves only then, which would be after the training."""
    import tempfile

    try:
        with quiet(), tempfile.TemporaryDirectory() as room:
            config.save_pretrained(room)
    except Exception as error:  # each configuration refuses in a way of its own
        raise FairbenchError(
            f"No student can be made of layers of {name}: its configuration with {layers} of them can't be written "
            f"({' '.join(str(error).split())}). Give a student with option student=FOLDER."
        ) from error
