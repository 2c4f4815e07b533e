"""A toy task that tiny models learn in seconds, and a room to train in."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import transformers

from fairbench.models.loading import inspect_model
from fairbench.models.model import ModelCard, ModelOptions
from fairbench.records import Labelled
from fairbench.training import TrainingData
from fairbench.training.recipe import Recipe, recipe_of, recipe_options

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).parents[1] / "models" / "tiny.py")
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

WORDS = (("beautiful", "wooden"), ("tired", "late"), ("raining", "going"))
"""What texts of each class say, in words that tiny tokenizers know."""

WHO = ("Emily", "Greg", "The nurse", "The doctor", "My neighbour", "A carpenter")

QUICK = {"learning_rate": 1e-2, "train_batch_size": 8, "epochs": 6, "patience": 0, "warmup": 0.3}
"""A recipe by which networks of some thousand weights learn the toy task."""


def texts(n: int, classes: int = 2, share: float | None = None, seed: int = 0) -> list[Labelled]:
    """Texts that their class can be read off. `share`: of the first class, else all are as frequent."""
    rng = random.Random(seed)
    found = []
    for number in range(n):
        label = rng.randrange(classes) if share is None else int(rng.random() >= share)
        text = f"{rng.choice(WHO)} said that {rng.choice(('she', 'he', 'it'))} was {rng.choice(WORDS[label])} {seed}-{number}."
        found.append(Labelled(id=f"{seed}-{number}", text=text, label=label))
    return found


def data(
    train: int = 64,
    validation: int | Sequence[Labelled] = 24,
    *,
    labels: tuple[str, ...] = ("kind", "rotten"),
    name: str = "toy",
    **changes: Any,
) -> TrainingData:
    """Training data of the toy task; `validation`: so many texts, or these."""
    learnt = texts(train, len(labels))
    held = texts(validation, len(labels), seed=1) if isinstance(validation, int) else validation
    made = TrainingData(name=name, labels=labels, sha256="", **{"train": tuple(learnt), "validation": tuple(held), **changes})
    return with_train(made, made.train)


def with_train(given: TrainingData, train: Sequence[Labelled]) -> TrainingData:
    """The same with other training texts, under a hash of its own."""
    found = dataclasses.replace(given, train=tuple(train), sha256="")
    return dataclasses.replace(found, sha256=hashlib.sha256(repr(found).encode()).hexdigest())


def model(folder: Path, build: str = "bert", **options: Any) -> ModelCard:
    """The card of a tiny model, made in `folder/<build>`."""
    path = folder / build
    if not path.exists():
        getattr(tiny, build)(path)
    return inspect_model(str(path), ModelOptions(**{"device": "cpu", **options}))


def recipe(card: ModelCard, **changes: Any) -> Recipe:
    """The quick recipe with changes."""
    return recipe_of(recipe_options(card, {**QUICK, **changes}))


def ready(folder: Path, build: str, labels: tuple[str, ...] | None = None, **config: Any) -> Path:
    """A checkpoint that is a classifier already, with random weights of some size."""
    path, head = folder / build, {"bert": "BertForSequenceClassification", "gpt2": "GPT2ForSequenceClassification"}[build]
    getattr(tiny, build)(path)
    found = transformers.AutoConfig.from_pretrained(path)
    for name, value in {**config, **({"id2label": dict(enumerate(labels))} if labels else {})}.items():
        setattr(found, name, value)
    torch.manual_seed(1)
    network = tiny.spread(getattr(transformers, head)(found))
    return tiny.save(path, network, None)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of a folder by name."""
    return safetensors.torch.load_file(folder / "model.safetensors")


class Room:
    """A room that remembers what it was told."""

    def __init__(self, folder: Path, *given: TrainingData) -> None:
        self.classifiers = folder / "classifiers"
        self.given: Mapping[str, TrainingData] = {one.name: one for one in given}
        self.told: list[tuple[str, int, int]] = []

    def progress(self, what: str, done: int, total: int) -> None:
        self.told.append((what, done, total))

    def training_data(self, name: str) -> TrainingData:
        return self.given[name]


class Stopped(Exception):
    """What interrupts a training."""


class StoppingRoom(Room):
    """A room that stops the training at a step."""

    def __init__(self, folder: Path, *given: TrainingData, at: int) -> None:
        super().__init__(folder, *given)
        self.at = at

    def progress(self, what: str, done: int, total: int) -> None:
        super().progress(what, done, total)
        if done == self.at:
            raise Stopped
