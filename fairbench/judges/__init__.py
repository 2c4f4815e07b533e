"""What a text is like: judges of generated text, each of them a file here that the registry finds by its name.

A judge reads a continuation and says a number of it (how positive, how toxic, about whom). It is a model or a word list, and it
errs; so a result names it with its revision, counts the texts that it failed on, and shows how far it tells groups apart in
sentences that say the same of all of them. What it has said is kept, and no text is judged twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fairbench.models.batching import Batching

FAILED = "failed"
"""The key under which a judge gives the reason why it can't judge a text, in the place of its columns."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What is judged: a continuation, with what stands beside it.

    Attributes:
        prompt: the text that was continued, as the record has it.
        continuation: what the model wrote after it, without the prompt.
        subject: the words of the prompt that name whom it is about ("The Black woman"); null where the task does not say.
    """

    prompt: str
    continuation: str
    subject: str | None = None


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a runner lends to a judge.

    Attributes:
        data_dir: the folder of local data, in which word lists lie; null for the one that FAIRBENCH_DATA names.
        device: as of a model ("auto", "cpu", "cuda").
        batching: how many texts go together; changes no judgement.
    """

    data_dir: Path | None = None
    device: str = "auto"
    batching: Batching = field(default_factory=Batching)


@dataclass(frozen=True, kw_only=True)
class Judge:
    """A judge that is ready, or will be when it is first asked.

    Attributes:
        identity: its revision and all else that can change a judgement, JSON-ready, with every option: part of the hash of what
            it said, and of the result. No path of this machine is in it.
        judge: a row of columns for each of the texts, in order, or {FAILED: reason}. Loads what it needs on the first call.
        reads: the part of a `Said` that a judgement depends on: equal parts are judged once.
        notes: sentences that belong into every score that rests on it.
    """

    identity: Mapping[str, Any]
    judge: Callable[[Sequence[Said]], list[dict[str, Any]]]
    reads: Callable[[Said], tuple[str, ...]] = lambda said: (said.continuation,)
    notes: tuple[str, ...] = ()


class JudgeFile(Protocol):
    """What a file of this folder offers.

    VERSION is raised when it judges otherwise; TITLE says in a few words what it says of a text; COLUMNS are the columns that it
    adds to a table of answers; OPTIONS are its options with their defaults, the first of which is what it judges by (`by`): that
    is what FOLDER stands for in `--judge toxicity=FOLDER`. NAMES_GROUPS is true of a judge that counts words which name a group:
    what it says of neutral sentences about groups is no fault of it, and is not shown.
    """

    VERSION: int
    TITLE: str
    COLUMNS: tuple[str, ...]
    OPTIONS: Mapping[str, Any]
    NAMES_GROUPS: bool

    def prepare(self, options: Mapping[str, Any], room: Room) -> Judge:
        """The judge with these options, all of them given; values may be text as they stand on the command line.

        Raises:
            DataAbsent: its model or word list is not there; it says what to name or fetch.
            FairbenchError: an option that can't be.
        """
