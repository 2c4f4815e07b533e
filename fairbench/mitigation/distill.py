"""Distillation, and every other training of a mitigation, on the Trainer of transformers.

So it checkpoints, goes on where it stopped, logs, and runs on several devices under `accelerate launch`. What is learnt from is
prepared rows; what is learnt are the teacher's probabilities (KL at a temperature, or focal), the text itself (cross-entropy) and
the teacher's last hidden states (cosine), each with its weight.

Source: the recipe of DistilGPT2 and DistilBERT (Sanh et al. 2019), with the teacher's probabilities modified as in Gupta et al.
2022, "Mitigating Gender Bias in Distilled Language Models via Counterfactual Role Reversal" (Findings of ACL).
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainingArguments

from fairbench.errors import FairbenchError
from fairbench.mitigation import following
from fairbench.mitigation.losses import IGNORED, cosine_loss, focal_distillation_loss
from fairbench.mitigation.masking import mask_words
from fairbench.mitigation.objective import vocabulary_losses
from fairbench.mitigation.recipe import Recipe
from fairbench.mitigation.rows import lengths
from fairbench.mitigation.targets import Batch, Reading, Teacher, collate
from fairbench.models.heads import fused_activations
from fairbench.models.loading import choose_device, quiet
from fairbench.training.fitting import own_randomness
from fairbench.training.ordering import Order


@dataclass(frozen=True)
class Kind:
    """What a training must know of the model's kind.

    Attributes:
        causal: the next token is predicted, else masked ones.
        pad: the id that rows are filled up with.
        mask: the mask token's id; null for a causal model.
    """

    causal: bool
    pad: int
    mask: int | None


@dataclass(frozen=True)
class Terms:
    """The terms of a batch's loss before they are weighed; null where the recipe has no such term. Nats (the cosine: 0 to 2).

    `kd` and `cosine` are means over `positions`, `lm` and `focal` over `targets`, and 0 where there is none.
    """

    kd: torch.Tensor | None = None
    lm: torch.Tensor | None = None
    cosine: torch.Tensor | None = None
    focal: torch.Tensor | None = None
    positions: int = 0
    targets: int = 0

    def total(self, recipe: Recipe) -> torch.Tensor:
        """The weighted sum."""
        parts = [
            (self.kd, recipe.kd_weight),
            (self.lm, recipe.lm_weight),
            (self.cosine, recipe.cosine_weight),
            (self.focal, recipe.focal.weight if recipe.focal else 0.0),
        ]
        weighed = [part * weight for part, weight in parts if part is not None]
        return torch.stack(weighed).sum()

    def floats(self) -> dict[str, float]:
        """The terms that there are, by name."""
        return {name: float(value) for name, value in vars(self).items() if isinstance(value, torch.Tensor)}

    def counts(self) -> dict[str, int]:
        """What each term is a mean over."""
        return {"kd": self.positions, "cosine": self.positions, "lm": self.targets, "focal": self.targets}


def terms(student: Any, teacher: Teacher | None, batch: Batch, recipe: Recipe, kind: Kind) -> Terms:
    """The terms of the loss of a student on a batch.

    The means of the distillation and cosine terms go over all N real positions of the batch, that of the cross-entropy over its
    targets (spec 3.1, 25).

    Args:
        student: the network that learns.
        teacher: null where nothing of a teacher is learnt.
        batch: from `collate`, on the device.
        recipe: weights and temperature.
        kind: causal or masked.
    """
    if kind.mask is not None:
        batch = mask_words(batch, kind.mask, recipe.mask_share)
    hidden = recipe.cosine_weight > 0
    ids, mask = batch["input_ids"], batch["attention_mask"]
    with fused_activations(student):
        out = student(input_ids=ids, attention_mask=mask, output_hidden_states=hidden)
    real = mask.bool()
    gold = batch["labels"] if kind.mask is not None else _next_tokens(ids, real)
    reading = teacher.reads(batch, hidden) if teacher is not None else None
    # a batch of short texts in which no word was masked has no target: its sum over none is 0, with a gradient of 0
    kd, lm = vocabulary_losses(
        out.logits, real,
        target=reading if recipe.kd_weight > 0 else None,
        labels=gold if recipe.lm_weight > 0 else None,
        temperature=recipe.temperature,
    )  # fmt: skip
    cosine = focal = None
    if reading is not None and reading.states is not None:
        cosine = cosine_loss(out.hidden_states[-1][real], reading.states)
    if reading is not None and recipe.focal is not None:
        focal = _focal(out.logits, reading, gold, real, recipe)
    return Terms(kd, lm, cosine, focal, int(real.sum()), int((gold != IGNORED).sum()))


def _next_tokens(ids: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """What each position of a causal model is to predict."""
    return torch.nn.functional.pad(ids.masked_fill(~real, IGNORED)[:, 1:], (0, 1), value=IGNORED)


def _focal(logits: torch.Tensor, reading: Reading, gold: torch.Tensor, real: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Focal distillation, an example a token that is predicted: weighed more where the old model is right."""
    assert recipe.focal is not None
    known = gold != IGNORED
    if not bool(known.any()):
        return logits.sum() * 0
    old = reading.whole()[known[real]]
    focal = recipe.focal
    return focal_distillation_loss(
        logits[known].to(old.dtype), old, gold[known],
        temperature=recipe.temperature, alpha=focal.alpha, beta=focal.beta, form=focal.form,
    )  # fmt: skip


@dataclass(frozen=True)
class Lesson:
    """What is learnt from whom.

    Attributes:
        student: the network that learns.
        teacher: frozen, on the device; null for none.
        rows, held_out: prepared rows (datasets).
        kind: causal or masked.
        recipe: how.
    """

    student: Any
    teacher: Teacher | None
    rows: Any
    held_out: Any
    kind: Kind
    recipe: Recipe


def fit(lesson: Lesson, folder: Path, device: str, progress: Callable[[str, int, int], None]) -> tuple[Any, following.Course]:
    """Teaches the student, or goes on with what an interrupted training left in the folder.

    Args:
        lesson: what is learnt from whom.
        folder: for checkpoints.
        device: as in a model's options.
        progress: called with (what, steps, all steps); `what` tells the terms and tokens a second.

    Returns:
        The student after the last step, and how the training went.

    Raises:
        FairbenchError: the training diverged, or the device can't be trained on.
    """
    with quiet(), own_randomness(lesson.recipe.seed):
        trainer = Distiller(lesson.student, lesson, folder, device, progress)
        last = following.last_checkpoint(folder)
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        course = trainer.course()
    student = trainer.accelerator.unwrap_model(trainer.model).eval()
    del trainer
    gc.collect()
    return student, course


class Distiller(Trainer):  # type: ignore[misc]
    """A Trainer with our order of rows, our loss, and its terms in the log."""

    def __init__(
        self, network: Any, lesson: Lesson, folder: Path, device: str, progress: Callable[[str, int, int], None]
    ) -> None:
        self.lesson, self.recipe = lesson, lesson.recipe
        self.sums: dict[str, float] = {}
        self.batches = self.tokens = 0
        args = arguments(self.recipe, folder, device, len(lesson.rows))
        self.watch = following.Watch(folder, progress)
        super().__init__(
            model=network,
            args=args,
            data_collator=lambda rows: collate(rows, lesson.kind.pad),
            train_dataset=lesson.rows,
            callbacks=[self.watch],
        )
        self.remove_callback(PrinterCallback)
        self.model_accepts_loss_kwargs = False  # the loss is a mean over the batch, which the Trainer divides by the accumulation
        self.loss_is_scaled_for_ga = False

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Shuffled batches of rows of similar length."""
        rows: Any = self.train_dataset
        size = self.recipe.batch_size
        order = Order(lengths(rows), size, self.recipe.seed)
        loader = DataLoader(rows, batch_size=size, sampler=order, collate_fn=self.data_collator)
        return self.accelerator.prepare(loader)  # type: ignore[no-any-return]

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None) -> Any:
        """The weighted sum of the terms; the terms themselves go into the log."""
        found = terms(model, self.lesson.teacher, inputs, self.recipe, self.lesson.kind)
        for name, value in found.floats().items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.batches += 1
        self.tokens += int(inputs["attention_mask"].sum())
        return found.total(self.recipe)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the means of the terms since the last entry, and tokens a second.

        Raises:
            FairbenchError: the loss is no number.
        """
        if self.batches and "loss" in logs:
            means = {name: value / self.batches for name, value in self.sums.items()}
            logs |= {**means, **self.watch.rate(self.tokens * self.args.world_size)}
            self.sums, self.batches, self.tokens = {}, 0, 0
            if not all(value == value and abs(value) != float("inf") for value in means.values()):
                raise FairbenchError(
                    f"The training diverged at step {self.state.global_step}: a term of the loss is not finite. Give a smaller "
                    "learning_rate, or a longer warmup."
                )
        super().log(logs, start_time)

    def course(self) -> following.Course:
        """How the training went."""
        history = [entry for entry in self.state.log_history if "loss" in entry]
        return following.Course(
            steps=int(self.state.global_step),
            epochs=float(self.state.epoch or 0),
            seconds=self.watch.clock.spent(),
            tokens=sum(int(entry.get("tokens", 0)) for entry in history),
            history=tuple(history),
            processes=int(self.args.world_size),
        )


def arguments(recipe: Recipe, folder: Path, device: str, rows: int) -> TrainingArguments:
    """The Trainer's settings: all that is not ours is off.

    Raises:
        FairbenchError: training can't run on the device that was asked for.
    """
    chosen = choose_device(device)
    if chosen.index:
        raise FairbenchError(
            f"--device {device}: training runs on the first card that is visible. Set CUDA_VISIBLE_DEVICES={chosen.index} and "
            "give --device cuda, or start it under `accelerate launch` for several cards."
        )
    found = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=recipe.epochs,
        max_steps=recipe.steps or -1,
        learning_rate=recipe.learning_rate,
        per_device_train_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.accumulation,
        warmup_steps=recipe.warmup,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        optim="adamw_torch",
        seed=recipe.seed,
        use_cpu=chosen.type == "cpu",
        eval_strategy="no",
        save_strategy="steps",
        save_total_limit=2,
        logging_strategy="steps",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=chosen.type == "cuda",
        average_tokens_across_devices=False,
    )
    if found.n_gpu > 1:  # several cards without `accelerate launch` would each take a part of every batch
        found._n_gpu = 1
    steps = total_steps(recipe, rows, int(found.world_size))
    found.save_steps = min(recipe.save_steps or max(1, steps // 20), steps)
    found.logging_steps = max(1, steps // 100)
    return found


def total_steps(recipe: Recipe, rows: int, processes: int = 1) -> int:
    """Optimizer steps of a training."""
    epoch = max(1, -(-rows // (recipe.batch_size * processes * recipe.accumulation)))
    return recipe.steps or epoch * recipe.epochs


@torch.no_grad()
def measure(network: Any, teacher: Teacher | None, rows: Any, recipe: Recipe, kind: Kind) -> dict[str, float]:
    """Mean terms of a network on rows, over all their positions or targets, in evaluation mode; masks by the recipe's seed.

    Args:
        network: student or teacher.
        teacher: what it is compared with; null for the cross-entropy alone.
        rows: prepared rows.
        recipe: weights do not matter but where they are 0.
        kind: causal or masked.
    """
    import dataclasses

    always = dataclasses.replace(recipe, lm_weight=1.0)
    sums: dict[str, float] = {}
    over: dict[str, int] = {}
    device = next(network.parameters()).device
    with own_randomness(recipe.seed):
        for start in range(0, len(rows), recipe.batch_size):
            batch = collate([rows[i] for i in range(start, min(start + recipe.batch_size, len(rows)))], kind.pad)
            batch = {name: tensor.to(device) for name, tensor in batch.items()}
            found = terms(network, teacher, batch, always, kind)
            for name, value in found.floats().items():
                count = found.counts()[name]
                sums[name], over[name] = sums.get(name, 0.0) + count * value, over.get(name, 0) + count
    return {name: value / over[name] for name, value in sums.items() if over[name]}
