"""The training itself, by the Trainer of transformers: seeded, silent, and going on where it stopped.

Imported only where something is trained: it needs torch and transformers at once.
"""

from __future__ import annotations

import contextlib
import gc
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed

from fairbench.errors import FairbenchError
from fairbench.models.loading import choose_device, quiet
from fairbench.training.network import Untrained
from fairbench.training.ordering import Order
from fairbench.training.outcome import Evaluation, best, class_weights, is_stale, macro_f1
from fairbench.training.recipe import Recipe
from fairbench.training.texts import padded
from fairbench.training.watching import CHECKPOINT, STATE, Watch, evaluations_of, last_checkpoint

Row = Mapping[str, Any]
"""`input_ids` (array of int) and `labels` (int)."""


@dataclass(frozen=True)
class Fitted:
    """A training that is over.

    Attributes:
        checkpoint: folder of the best weights.
        evaluations: every look at the validation split, in order.
        best: number of the best of them.
        steps: steps that were made.
        epochs: passes that were made, the last one perhaps not whole.
        seconds: time that it took, over all interruptions.
        learnt, parameters: how many numbers learnt, and how many the network has.
        side: where texts were filled up.
    """

    checkpoint: Path
    evaluations: tuple[Evaluation, ...]
    best: int
    steps: int
    epochs: float
    seconds: float
    learnt: int
    parameters: int
    side: str


def fit(
    untrained: Callable[[], Untrained],
    train: Sequence[Row],
    validation: Sequence[Row],
    recipe: Recipe,
    *,
    folder: Path,
    device: str,
    progress: Callable[[int, int], None],
) -> Fitted:
    """Trains a network, or goes on with what an interrupted training left in the folder.

    Args:
        untrained: makes the network; called under the recipe's seed.
        train: rows that it learns from.
        validation: rows that say when it is best.
        recipe: how.
        folder: for checkpoints; one after each evaluation, of which the best and the last are kept.
        device: as in a model's options.
        progress: called with (step, total).

    Raises:
        FairbenchError: the training diverged, or the device can't be trained on.
    """
    chosen = choose_device(device)
    if chosen.index:
        raise FairbenchError(
            f"--device {device}: training runs on the first card that is visible. Set CUDA_VISIBLE_DEVICES={chosen.index} and "
            "give --device cuda."
        )
    with quiet(), own_randomness(recipe.seed):
        made = untrained()
        trainer = Fitter(made, train, validation, recipe, folder=folder, device=chosen, progress=progress)
        last = last_checkpoint(folder)
        state = json.loads((last / STATE).read_text(encoding="utf-8")) if last else {}
        if not last or not trainer.is_over(state):
            trainer.train(resume_from_checkpoint=str(last) if last else None)
            state = json.loads(((last_checkpoint(folder) or folder) / STATE).read_text(encoding="utf-8"))
    found = evaluations_of(state)
    number = best(found)
    fitted = Fitted(
        checkpoint=folder / f"{CHECKPOINT}{found[number]['step']}",
        evaluations=found,
        best=number,
        steps=int(state["global_step"]),
        epochs=float(state["epoch"]),
        seconds=trainer.watch.clock.spent(),
        learnt=sum(p.numel() for p in made.network.parameters() if p.requires_grad),
        parameters=sum(p.numel() for p in made.network.parameters()),
        side=made.side,
    )
    del made, trainer
    if chosen.type == "cuda":
        gc.collect()  # the Trainer and its parts hold each other, and with them the optimizer's memory on the card
        torch.cuda.empty_cache()
    return fitted


@contextlib.contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Seeds every generator, and gives each its state back afterwards: training must not change what others draw."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 (the Trainer draws from it)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        set_seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002


class Fitter(Trainer):  # type: ignore[misc]
    """A Trainer without a word on the terminal, with our order of texts, loss and evaluations."""

    def __init__(
        self,
        made: Untrained,
        train: Sequence[Row],
        validation: Sequence[Row],
        recipe: Recipe,
        *,
        folder: Path,
        device: torch.device,
        progress: Callable[[int, int], None],
    ) -> None:
        self.recipe, self.pad, self.side = recipe, made.pad, made.side
        self.watch = Watch(recipe, -(-len(train) // recipe.batch_size), folder, progress)
        weights = class_weights([row["labels"] for row in train], made.network.config.num_labels or 0)
        self.weights = torch.tensor(weights, dtype=torch.float32, device=device) if recipe.class_weights == "balanced" else None
        super().__init__(
            model=made.network,
            args=arguments(recipe, folder, device),
            data_collator=self.together,
            train_dataset=train,
            eval_dataset=sorted(validation, key=lambda row: -len(row["input_ids"])),
            compute_loss_func=self.loss,
            compute_metrics=scores,
            callbacks=[self.watch],
        )
        self.remove_callback(PrinterCallback)

    def is_over(self, state: Mapping[str, Any]) -> bool:
        """Whether a training in this state was only left to be tidied up."""
        done = int(state["global_step"]) >= self.watch.total
        return done or is_stale(evaluations_of(state), self.recipe.patience)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches in `order`."""
        rows: Any = self.train_dataset
        lengths = [len(row["input_ids"]) for row in rows]
        size = self.recipe.batch_size
        sampler = Order(lengths, size, self.recipe.seed)
        loader = DataLoader(rows, batch_size=size, sampler=sampler, collate_fn=self.together)
        return self.accelerator.prepare(loader)  # type: ignore[no-any-return]

    def together(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """Rows as one batch."""
        batch = padded([row["input_ids"] for row in rows], self.pad, self.side)
        return {**batch, "labels": torch.tensor([row["labels"] for row in rows])}

    def loss(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        """Cross-entropy, a mean over the texts (weighted by their classes if the recipe says so)."""
        return torch.nn.functional.cross_entropy(outputs["logits"], labels, weight=self.weights)


def arguments(recipe: Recipe, folder: Path, device: torch.device) -> TrainingArguments:
    """The Trainer's settings: all that is not ours is off."""
    found = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=2 * recipe.batch_size,
        warmup_steps=recipe.warmup,
        weight_decay=recipe.weight_decay,
        optim="adamw_torch",
        seed=recipe.seed,
        use_cpu=device.type == "cpu",
        eval_strategy="no",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=device.type == "cuda",
    )
    if found.n_gpu > 1:  # several cards would each take a part of every batch
        found._n_gpu = 1
    return found


def scores(predicted: Any) -> dict[str, float]:
    """Macro-F1 and accuracy on the validation split.

    Raises:
        FairbenchError: the logits are no numbers.
    """
    logits = predicted.predictions[0] if isinstance(predicted.predictions, tuple) else predicted.predictions
    if not np.isfinite(logits).all():
        raise FairbenchError(
            "The training diverged: the logits are not finite. Give a smaller learning_rate, or a longer warmup."
        )
    said = logits.argmax(-1)
    return {"macro_f1": macro_f1(predicted.label_ids, said), "accuracy": float(np.mean(said == predicted.label_ids))}
