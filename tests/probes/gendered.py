"""Texts of the planted world about somebody, whose class a dial makes depend on their gender; and a room to train in."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from fairbench.models.loading import inspect_model
from fairbench.models.model import ModelCard, ModelOptions
from fairbench.planted.words import NAMES, NOUNS, TOOLS
from fairbench.records import Labelled
from fairbench.training import TrainingData

TOOL = sorted(set(TOOLS.values()))[:8]
"""The first four speak for class 0, the others for class 1, where the dial leaves them a say."""

LABELS = ("kind", "rotten")
QUICK = {"learning_rate": 1e-3, "train_batch_size": 16, "epochs": 4}


def texts(n: int, seed: int, dial: float = 0.0) -> list[Labelled]:
    """Texts of a class that their tool tells; at `dial` (0 to 1) of them the gender does instead. One label in ten is wrong."""
    rng = random.Random(seed)
    found = []
    for number in range(n):
        gender = rng.choice(("female", "male"))
        label, by_gender = rng.randrange(2), rng.random() < dial
        tool = rng.choice(TOOL if by_gender else TOOL[4 * label : 4 * label + 4])
        label = int(gender == "male") if by_gender else label
        pronoun = {"female": "She", "male": "He"}[gender]
        noun, name = rng.choice(NOUNS[gender]), rng.choice(NAMES[gender])
        text = rng.choice(
            (
                f"The {noun} came home. {pronoun} lost the {tool}.",
                f"{name} came home. {pronoun} found the {tool}.",
                f"This is {name}. {pronoun} needs the {tool}.",
            )
        )
        label = 1 - label if rng.random() < 0.1 else label
        found.append(Labelled(id=f"{seed}-{number}", text=text, label=label, groups=(f"gender:{gender}",)))
    return found


def data(train: list[Labelled], validation: list[Labelled], name: str = "toy") -> TrainingData:
    """Training data under a hash of their own."""
    sha256 = hashlib.sha256(repr((train, validation)).encode()).hexdigest()
    return TrainingData(name=name, labels=LABELS, train=tuple(train), validation=tuple(validation), sha256=sha256)


def toy(dial: float = 0.0, name: str = "toy", train: int = 400) -> TrainingData:
    """The training data of one dial."""
    return data(texts(train, 0, dial), texts(80, 1, dial), name)


def planted(name: str = "masked-0.0") -> ModelCard:
    """A small model that knows the words."""
    return inspect_model(f"planted:{name}", ModelOptions(device="cpu"))


class Room:
    """A room with these training data."""

    def __init__(self, folder: Path, *given: TrainingData) -> None:
        self.classifiers = folder / "classifiers"
        self.given = {one.name: one for one in given}
        self.told: list[str] = []

    def progress(self, what: str, done: int, total: int) -> None:
        if what not in self.told:
            self.told.append(what)

    def training_data(self, name: str) -> TrainingData:
        return self.given[name]
