"""How a classifier is trained: the recipe with all its choices, and the options of the command line that they come from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fairbench.errors import FairbenchError
from fairbench.models.model import ModelCard
from fairbench.parsers import real, whole, word, yes_no

Mode = Literal["full", "frozen"]
Weights = Literal["none", "balanced"]

MODES: tuple[Mode, ...] = ("full", "frozen")
CLASS_WEIGHTS: tuple[Weights, ...] = ("none", "balanced")
EPOCHS: Mapping[str, int] = {"full": 3, "frozen": 20}
LEARNING_RATES: Mapping[str, float] = {"full": 5e-5, "frozen": 1e-3}
MAX_LENGTH = 256
"""Tokens of a text, where the model takes so many and the user says nothing."""
SHORTEST = 8
"""The shortest `max_length`: room for special tokens and a few of the text's own."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every choice that makes another classifier of the same model and data.

    Attributes:
        mode: "full": all weights learn; "frozen": those of the classification head alone (and what the checkpoint lacks of the
            layers beneath it).
        seed: of the head's first weights, the order of the texts, dropout, and the draw of `train_limit`.
        epochs: passes over the training texts, at most.
        learning_rate: the highest; it rises linearly over the warmup and falls linearly to zero.
        batch_size: texts a step.
        warmup: share of all steps in which the learning rate rises.
        weight_decay: of AdamW.
        patience: evaluations without a better one after which training stops; 0 for never.
        class_weights: "balanced" weighs a text's loss by n / (classes x texts of its class).
        max_length: tokens of a text, special ones included; what is longer is cut at its end.
        train_limit: train on so many texts only, a seeded draw with at least one of each class; 0 for all.
        evaluations: how often an epoch the validation split is looked at.
        freeze_embeddings: the matrix of word embeddings does not learn (a second classifier then shares it with the first).
    """

    mode: Mode = "full"
    seed: int = 0
    epochs: int = EPOCHS["full"]
    learning_rate: float = LEARNING_RATES["full"]
    batch_size: int = 32
    warmup: float = 0.1
    weight_decay: float = 0.01
    patience: int = 2
    class_weights: Weights = "none"
    max_length: int = MAX_LENGTH
    train_limit: int = 0
    evaluations: int = 1
    freeze_embeddings: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The recipe as built-in types."""
        return dataclasses.asdict(self)


def recipe_of(options: Mapping[str, Any]) -> Recipe:
    """The recipe that options of a probe come to.

    Args:
        options: from `recipe_options`, alone or among others.
    """
    return Recipe(**{FIELDS.get(name, name): options[name] for name in PARSERS})


def recipe_options(card: ModelCard, requested: Mapping[str, Any]) -> dict[str, Any]:
    """Reads the options of a recipe and fills in the others.

    Args:
        card: the model to be trained.
        requested: some of `PARSERS`, as text or as what they mean.

    Raises:
        FairbenchError: a value that is none, or that no training can have.
    """
    given = {name: parse(name, requested[name]) for name, parse in PARSERS.items() if requested.get(name) is not None}
    mode = given.get("mode", "full")
    limit = card.max_length
    if limit is not None and given.get("max_length", 0) > limit:
        raise FairbenchError(f"max_length={given['max_length']}: {card.name} takes at most {limit} tokens. Give no more.")
    usual = Recipe(
        mode=mode, epochs=EPOCHS[mode], learning_rate=LEARNING_RATES[mode], max_length=min(limit or MAX_LENGTH, MAX_LENGTH)
    )
    return {name: given.get(name, getattr(usual, FIELDS.get(name, name))) for name in PARSERS}


PARSERS: Mapping[str, Callable[[str, Any], Any]] = {
    "train_seed": whole(0, 2**32 - 1),
    "mode": word(*MODES),
    "epochs": whole(1, 10_000),
    "learning_rate": real(0, 1, above=True),
    "train_batch_size": whole(1, 65_536),
    "warmup": real(0, 1, below=True),
    "weight_decay": real(0, 1),
    "patience": whole(0, 10_000),
    "class_weights": word(*CLASS_WEIGHTS),
    "max_length": whole(SHORTEST, 1_000_000),
    "train_limit": whole(0, 10**9),
    "evaluations": whole(1, 1_000),
    "freeze_embeddings": yes_no,
}
"""The options that make up a recipe, each with what reads it."""

FIELDS = {"train_seed": "seed", "train_batch_size": "batch_size"}
"""Options that the recipe calls otherwise: beside other options of a probe a seed must say whose it is."""
