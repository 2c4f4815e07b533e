"""What happens around the steps of a mitigation's training: progress in words, time, checkpoints, and a disk that is full."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from fairbench.errors import FairbenchError
from fairbench.training.watching import Clock, last_checkpoint

COURSE = "training.json"
"""File of a finished model: how its training went, for loss curves."""

TERMS = {"kd": "KL", "lm": "text", "cosine": "cosine", "focal": "focal"}
"""How the terms of the loss are called on the screen."""

FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
FULL_WORDS = (
    "no space left",
    "file too large",
    "quota exceeded",
    "os error 28",
    "os error 27",
    "os error 122",
    "failed writing file",
)

__all__ = ["Course", "Watch", "disk_faults", "last_checkpoint"]


@dataclass(frozen=True)
class Course:
    """How a training went.

    Attributes:
        steps, epochs: that were made.
        seconds: time of the steps, over all interruptions.
        tokens: real tokens of the texts that were learnt from, counterparts that only the teacher read not included.
        history: entries of the log: step, loss, its terms, learning_rate, tokens_per_second.
        processes: that took part.
    """

    steps: int
    epochs: float
    seconds: float
    tokens: int
    history: tuple[Mapping[str, Any], ...]
    processes: int = 1

    def as_dict(self) -> dict[str, Any]:
        """Built-in types."""
        return {**asdict(self), "history": [dict(entry) for entry in self.history]}


class Watch(TrainerCallback):  # type: ignore[misc]
    """Tells how far a training is, and how much time it has taken over all interruptions."""

    def __init__(self, folder: Path, progress: Callable[[str, int, int], None]) -> None:
        """`folder`: of the checkpoints."""
        self.folder, self.progress = folder, progress
        self.clock = Clock(folder)
        self.logged = self.clock.start
        self.said = "training"

    def rate(self, tokens: int) -> dict[str, float]:
        """What the log says of speed, since it was last asked."""
        now = time.perf_counter()
        seconds, self.logged = now - self.logged, now
        return {"tokens": tokens, "tokens_per_second": round(tokens / max(seconds, 1e-9), 1)}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Time begins with the first step, not with the loading before it."""
        self.clock.start = self.logged = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Moves the bar; a checkpoint is logged too."""
        control.should_log |= control.should_save  # so that no checkpoint stands between two entries, and tokens are all counted
        if state.is_world_process_zero:
            self.progress(self.said, state.global_step, state.max_steps)

    def on_log(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Takes up the terms of the loss."""
        logs: Mapping[str, Any] = rest["logs"]
        if "loss" in logs:
            parts = " + ".join(f"{TERMS[name]} {logs[name]:.3g}" for name in TERMS if name in logs)
            self.said = f"training · {parts}, {logs['tokens_per_second']:,.0f} tokens/s"

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Remembers the time that went into what is saved."""
        if state.is_world_process_zero:
            self.clock.save()


class DiskFullError(FairbenchError):
    """A file could not be written for want of space; the same command goes on once there is some."""


@contextlib.contextmanager
def disk_faults(folder: Path) -> Iterator[None]:
    """Says in one paragraph that a file could not be written for want of space, and what is kept.

    `folder` is that of the unfinished model, whose checkpoints lie in `training` in it.
    Whoever writes raises something else (OSError, RuntimeError of torch, SafetensorError), so the words of the system tell.
    """
    try:
        yield
    except Exception as error:
        said = str(error).lower()
        full = getattr(error, "errno", None) in FULL or any(word in said for word in FULL_WORDS)
        if isinstance(error, FairbenchError) or not full:
            raise
        last = last_checkpoint(folder / "training")
        kept = f"The checkpoint after step {last.name.split('-')[-1]} is whole" if last else "There is no whole checkpoint yet"
        raise DiskFullError(
            f"A file could not be written to {folder}: {str(error).strip().splitlines()[0]}. {kept}. Make space and run the same "
            "command again: it goes on from there."
        ) from error
