"""Fine-tuning a classifier: what it learns from, and what a probe that needs one gets from whoever runs it.

A probe with a function `prepare(card, options, room) -> Prepared` asks another network than the model itself: a classifier that
was trained from it. What it was trained on and how is part of the answers' hash; the training itself waits until an answer is
missing, and the classifier is kept and used again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fairbench.models.model import Model
from fairbench.records import Labelled


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The texts that a classifier learns from.

    Attributes:
        name: the task, or the file as the user named it.
        labels: names of the classes, in the order of their numbers.
        positive: those of them that count as positive where it decides between two classes.
        train, validation: the records of either split, in the order of the data.
        left_out: records that are not used, by reason ("the text is also in the test split").
        sha256: over all records of both splits: another one is another classifier.
        provenance: where they come from, as in a result's task block.
    """

    name: str
    labels: tuple[str, ...]
    positive: tuple[str, ...] = ()
    train: tuple[Labelled, ...]
    validation: tuple[Labelled, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    sha256: str
    provenance: Mapping[str, Any] = field(default_factory=dict)


class Room(Protocol):
    """What a runner lends to a probe that trains.

    Attributes:
        classifiers: folder below which trained classifiers are kept, one folder each, named by their hash.
        progress: called with (what, done, total).
    """

    classifiers: Path
    progress: Callable[[str, int, int], None]

    def training_data(self, name: str) -> TrainingData:
        """The training data of a task, or of a file with the columns text and label; read once.

        Raises:
            FairbenchError: there is no such task or file, it has no labelled texts, or no training split.
        """


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A network that a probe asks in the place of the model itself.

    Attributes:
        identity: all that can change its answers beyond the model and the probe's options, JSON-ready: part of the answers' hash.
        load: gives the network, trained now if it is not there yet.
        about: what a result says of it, JSON-ready (splits, epochs, seconds, score on the validation split); after `load`.
        seen: whether a text was among those that it learnt from; such a text is not asked, and counted.
    """

    identity: Mapping[str, Any]
    load: Callable[[], Model]
    about: Callable[[], Mapping[str, Any]] = dict
    seen: Callable[[str], bool] = lambda text: False
