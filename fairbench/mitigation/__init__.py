"""Mitigation: a model is made into another one, an ordinary model folder, which goes round the same loop as any model.

A method is a file of `fairbench/mitigation/methods/`: its options, the kinds of model that it can do something for, and
`make(job, folder)`, which writes the new model. What surrounds a method (reading options, naming what is made by a hash of all
that makes it, going on after an interruption, the card) is the same for all and lies in `making.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fairbench.models.model import ModelCard
from fairbench.parsers import Parser

Progress = Callable[[str, int, int], None]
"""(what, done, total)."""


@dataclass(frozen=True)
class Option:
    """An option of a method.

    Attributes:
        parse: reads its value.
        default: its value where none is given, or null where the method fills it in.
        help: one sentence for `fairbench describe`.
    """

    parse: Parser
    default: Any
    help: str


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The texts that a method learns from.

    Attributes:
        name: the corpus as the user named it.
        identity: all that can change the texts, JSON-ready: part of the name of what is made.
        provenance: where they come from, for the card, JSON-ready.
        documents: reads them anew, in order, each a whole document.
        count: how many there are; null where that is not known before they are read (a stream).
        cut: documents may end in the middle of a sentence, so that no end token follows them.
        asked: how many were asked for, at most; null for all. Unlike `count` it never changes between two runs.
    """

    name: str
    identity: Mapping[str, Any]
    provenance: Mapping[str, Any]
    documents: Callable[[], Iterator[str]]
    count: int | None = None
    asked: int | None = None
    cut: bool = False


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a method is asked to do.

    Attributes:
        card: the model that is mitigated (the teacher, where something is distilled).
        options: every option of the method, filled in.
        texts: what it learns from; null for a method that needs none.
        room: a folder that outlives an interruption: checkpoints lie here, and what was prepared.
        progress: called with (what, done, total).
    """

    card: ModelCard
    options: Mapping[str, Any]
    texts: Texts | None
    room: Path
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a job would take.

    Attributes:
        what: steps, parameters and the like by name, in words or numbers.
        bytes: memory at the largest, roughly; null where it can't be told.
        seconds: time on this machine, from a trial; null where it can't be told.
    """

    what: Mapping[str, Any]
    bytes: int | None = None
    seconds: float | None = None


class MethodFile(Protocol):
    """What a file of a method offers; it imports nothing heavy at its top.

    Attributes:
        VERSION: raised when the same job would make another model.
        SUMMARY: one sentence on what it does.
        CITE: its source.
        KINDS: kinds of model that it can be applied to.
        NEEDS_TEXTS: whether it learns from texts.
        OPTIONS: its options by name.
    """

    VERSION: int
    SUMMARY: str
    CITE: str
    KINDS: tuple[str, ...]
    NEEDS_TEXTS: bool
    OPTIONS: Mapping[str, Option]

    def resolve(self, card: ModelCard, options: Mapping[str, Any], given: frozenset[str]) -> dict[str, Any]:
        """Fills in what depends on the model or on other options, and refuses what can't be.

        Args:
            card: the model.
            options: every option, read, or at its default.
            given: names of those that the user gave.

        Raises:
            FairbenchError: the method can't do this to this model.
        """

    def estimate(self, job: Job) -> Estimate:
        """What the job would take: for --dry-run. Writes nothing outside `job.room`."""

    def make(self, job: Job, folder: Path) -> Mapping[str, Any]:
        """Makes the new model and writes it into a folder: weights, configuration and tokenizer.

        Args:
            job: what is to be done; an interrupted one goes on with what it left in `job.room`.
            folder: an empty folder.

        Returns:
            What the card says of it, JSON-ready: what was done and what was measured, by name.

        Raises:
            FairbenchError: the texts or the model do not allow it.
        """
