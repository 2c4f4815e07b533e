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
        FairbenchError: the architecture does not keep its layers one by one (ALBERT shares a single one among them).
    """
    import copy

    import torch
    import transformers

    network = teacher.network
    config = copy.deepcopy(network.config)
    count = int(config.get_text_config().num_hidden_layers)
    stack = _stack(network, count, teacher.card.name)
    _shorten(config.get_text_config(), places, count)
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
    wrong = student.load_state_dict(state, strict=False)
    if wrong.missing_keys or wrong.unexpected_keys:
        odd = ", ".join([*wrong.missing_keys, *wrong.unexpected_keys][:4])
        raise FairbenchError(
            f"No student can be made of layers of {teacher.card.name} ({teacher.card.architecture}): with {len(places)} layers "
            f"it has other parts ({odd}). Give a student with option student=FOLDER."
        )
    if network.can_generate():
        student.generation_config = copy.deepcopy(network.generation_config)  # end tokens of chat models stand there alone
    found: PreTrainedModel = student.float()
    return found


def given(name: str, teacher: ModelCard) -> tuple[ModelCard, Model]:
    """A student that the user names.

    Raises:
        FairbenchError: it is of another kind than the teacher, or its vocabulary differs from the teacher's.
    """
    card = inspect_student(name, teacher)
    model = load(card)
    model.network.requires_grad_(True)
    return card, model


def inspect_student(name: str, teacher: ModelCard) -> ModelCard:
    """The card of a student that the user names, in single precision.

    Raises:
        FairbenchError: it is of another kind than the teacher, or its vocabulary differs from the teacher's.
    """
    import dataclasses

    card = inspect_model(name, dataclasses.replace(teacher.options, revision=None, dtype="float32"))
    if card.kind != teacher.kind:
        raise FairbenchError(
            f"student={name} is a {card.kind} model, and the teacher {teacher.name} a {teacher.kind} one. Give a student of the "
            "same kind."
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


def _shorten(config: Any, places: Sequence[int], count: int) -> None:
    """Sets the number of layers, and cuts what a configuration lists layer by layer."""
    for name, value in list(vars(config).items()):
        if isinstance(value, list) and len(value) == count and name in ("layer_types", "mlp_layer_types", "no_rope_layers"):
            setattr(config, name, [value[place] for place in places])
    config.num_hidden_layers = len(places)
