"""What happens around the steps of a training: looks at the validation split, checkpoints, and when to stop."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from fairbench.training.outcome import Evaluation, best, is_stale
from fairbench.training.recipe import Recipe

CHECKPOINT = "checkpoint-"
STATE = "trainer_state.json"
"""Written last into a checkpoint, so that it stands for the whole."""

SECONDS = "seconds.json"


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint; what a kill left half-written is removed."""
    whole: list[Path] = []
    for path in folder.glob(f"{CHECKPOINT}*"):
        try:
            json.loads((path / STATE).read_text(encoding="utf-8"))
            whole.append(path)
        except (OSError, ValueError):
            shutil.rmtree(path, ignore_errors=True)
    return max(whole, key=step_of, default=None)


def step_of(path: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(path.name.removeprefix(CHECKPOINT))


def evaluations_of(state: Mapping[str, Any]) -> tuple[Evaluation, ...]:
    """What the Trainer's state remembers of its evaluations."""
    names = {"eval_macro_f1": "macro_f1", "eval_accuracy": "accuracy", "eval_loss": "loss", "step": "step", "epoch": "epoch"}
    return tuple(
        {name: entry[key] for key, name in names.items()} for entry in state.get("log_history", ()) if "eval_macro_f1" in entry
    )


class Clock:
    """Seconds of a training since its first start, without what lay between an interruption and the checkpoint before it."""

    def __init__(self, folder: Path) -> None:
        """`folder`: of the checkpoints."""
        self.path = folder / SECONDS
        try:
            self.before = float(json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            self.before = 0.0
        self.start = time.perf_counter()

    def spent(self) -> float:
        """Seconds so far."""
        return round(self.before + time.perf_counter() - self.start, 3)

    def save(self) -> None:
        """Remembers the time that went into what is saved now."""
        self.path.write_text(json.dumps(self.spent()), encoding="utf-8")


class Watch(TrainerCallback):  # type: ignore[misc]
    """Says when to look at the validation split, when to stop, and which checkpoints stay."""

    def __init__(self, recipe: Recipe, steps: int, folder: Path, progress: Callable[[int, int], None]) -> None:
        """`steps`: of an epoch."""
        self.recipe, self.steps, self.folder, self.progress = recipe, steps, folder, progress
        self.total = steps * recipe.epochs
        looks = [round(steps * (i + 1) / recipe.evaluations) for i in range(recipe.evaluations)]
        self.looks = frozenset(look for look in looks if look)
        self.clock = Clock(folder)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A look at the validation split, and a checkpoint after it."""
        control.should_evaluate = control.should_save = (state.global_step - 1) % self.steps + 1 in self.looks
        self.progress(state.global_step, self.total)

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stops where it no longer gets better."""
        if is_stale(evaluations_of({"log_history": state.log_history}), self.recipe.patience):
            control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Keeps the best checkpoint and the last."""
        found = evaluations_of({"log_history": state.log_history})
        keep = {state.global_step, found[best(found)]["step"]}
        for path in self.folder.glob(f"{CHECKPOINT}*"):
            if step_of(path) not in keep:
                shutil.rmtree(path, ignore_errors=True)
        self.clock.save()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """What stopped early is as finished as what went on to the end."""
        if state.global_step < self.total:
            self.progress(self.total, self.total)
