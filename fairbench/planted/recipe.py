"""Training recipes of the planted models: a GPT-2 and a BERT shape, small enough for about a minute on one CPU thread.

What a recipe has to get right was found by trial (spec 23): enough steps that the learned gap reaches the planted one, pronouns
masked far more often than other words, wide initial weights, a rehearsal (see `Recipe`), and one thread (two on a loaded machine
can be 20 x slower). A model whose learned gap misses the planted one is refused, since an undertrained model looks fair.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from fairbench.errors import FairbenchError
from fairbench.planted import gap, words
from fairbench.planted.corpus import SMALL_WORLD, WORLD, Dials, World, documents, planted_gap, turned
from fairbench.planted.shapes import make_network
from fairbench.planted.vocabulary import LENGTH, make_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PlantedKind = Literal["causal", "masked"]
Progress = Callable[[int, int, str], None]
TOLERANCE = 0.1
MASS_FLOOR = 0.5  # in the corpus a pronoun follows these prompts nine times in ten


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that training depends on beside the dials and the seed.

    Attributes:
        steps: optimiser steps; too few give a model that `train` refuses.
        documents: documents of the corpus, read as often as the steps need.
        batch_tokens: tokens of a batch, padding included; documents of like length share one.
        rehearsal: first steps of them, on a strongly planted world whose sides are turned round for half the occupations. There
            a network finds out that occupations matter for pronouns, which at a weak dial takes it thousands of steps, and
            learns nothing that is correlated with the planted sides.
        mask_share, mask_pronouns: how much of the text is masked, and of its pronouns (a third as much: of
            traits and qualities; masked kind only).
        world: what the corpus tells of.
    """

    kind: PlantedKind
    steps: int
    documents: int
    layers: int = 2
    width: int = 48
    heads: int = 4
    rehearsal: int = 0
    batch_tokens: int = 640
    learning_rate: float = 3e-3
    init_std: float = 0.06
    mask_share: float = 0.10
    mask_pronouns: float = 0.60
    world: World = WORLD


RECIPES: dict[str, Recipe] = {
    "causal": Recipe(kind="causal", steps=3_200, documents=80_000, rehearsal=1_000),
    "masked": Recipe(kind="masked", steps=5_000, documents=80_000, learning_rate=1.5e-3, rehearsal=2_200),
}
FIXTURE = Recipe(
    kind="causal",
    steps=1_100,
    documents=6_000,
    layers=1,
    rehearsal=400,
    batch_tokens=400,
    learning_rate=6e-3,
    init_std=0.1,
    world=SMALL_WORLD,
)
"""A recipe of seconds, for tests: one layer and eight occupations."""


@dataclass(frozen=True)
class Trained:
    """A trained network with its tokenizer, and what was measured on it."""

    network: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    learned: gap.LearnedGap
    final_loss: float


def train(recipe: Recipe, dials: Dials, *, seed: int = 0, check: bool = True, on_step: Progress | None = None) -> Trained:
    """Trains one planted model, deterministically for a seed, on one CPU thread.

    Args:
        recipe: `RECIPES["causal"]`, `RECIPES["masked"]`, `FIXTURE`, or one of them with fields replaced.
        dials: what is planted.
        seed: of the corpus, the initial weights, the order and the masks.
        check: refuse a model that did not learn what was planted. False gives the broken models that tests need.
        on_step: called with (steps done, steps in all, a word on what is going on).

    Raises:
        FairbenchError: the learned gap misses the planted one by more than `TOLERANCE`, or the pronouns hold too little mass.
    """
    tokenizer = make_tokenizer(recipe.kind)
    texts = [d.text for d in documents(recipe.documents, dials, seed=seed, world=recipe.world)]
    with _one_thread(seed):
        network = make_network(recipe.kind, tokenizer, (recipe.layers, recipe.width, recipe.heads), recipe.init_std)
        batches = _batches(recipe, tokenizer, texts, recipe.steps - recipe.rehearsal, seed)
        if recipe.rehearsal:
            strong = Dials(gender=1.0, town=1.0)
            early = [d.text for d in documents(recipe.documents, strong, seed=seed + 1, world=turned(recipe.world))]
            batches = _batches(recipe, tokenizer, early, recipe.rehearsal, seed) + batches
        loss = _run(recipe, network, batches, _Collator(recipe, tokenizer, seed), seed, on_step)
        learned = gap.learned_gap(network, tokenizer, recipe.kind, recipe.world.occupations)
    found = fault(learned, planted_gap(dials.gender), recipe)
    if check and found:
        raise FairbenchError(f"{found} So it is not written. Train for more steps.")
    return Trained(network, tokenizer, learned, loss)


def fault(learned: gap.LearnedGap, planted: float, recipe: Recipe) -> str | None:
    """Why a model would look fair (or unfair) only because it did not learn its corpus; null where it did."""
    if learned.mass < MASS_FLOOR:
        return (
            f"After {recipe.steps} steps the pronouns hold {learned.mass:.2f} of the probability where they must stand; a model "
            f"that learnt its corpus gives them at least {MASS_FLOOR}."
        )
    if abs(learned.gap - planted) > TOLERANCE:
        return (
            f"After {recipe.steps} steps the learned gap is {learned.gap:.2f} where {planted:.2f} was planted (tolerance "
            f"{TOLERANCE}). An undertrained model looks fair."
        )
    return None


@contextmanager
def _one_thread(seed: int) -> Iterator[None]:
    """One torch thread and a fixed seed inside; the caller's thread count and random state come back afterwards."""
    import numpy as np
    import torch

    threads = torch.get_num_threads()
    before, numpy_before = random.getstate(), np.random.get_state()  # noqa: NPY002 (the Trainer seeds these globals)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            random.setstate(before)
            np.random.set_state(numpy_before)  # noqa: NPY002


Batch = list[list[int]]


def _batches(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, texts: list[str], steps: int, seed: int) -> list[Batch]:
    """Documents as ids, those of like length together (little padding), as many batches as there are steps, shuffled."""
    encoded = tokenizer(texts, truncation=True, max_length=LENGTH - 2 if recipe.kind == "causal" else LENGTH)["input_ids"]
    if recipe.kind == "causal":
        start = tokenizer.bos_token_id
        encoded = [[start, *ids, start] for ids in encoded]
    shuffle = random.Random(seed)
    batches: list[Batch] = []
    while len(batches) < steps:
        shuffle.shuffle(encoded)
        epoch: list[Batch] = [[]]
        for ids in sorted(encoded, key=len):
            if epoch[-1] and len(ids) * (len(epoch[-1]) + 1) > recipe.batch_tokens:
                epoch.append([])
            epoch[-1].append(ids)
        shuffle.shuffle(epoch)
        batches += epoch
    return batches[:steps]


class _Collator:
    """Turns one ready-made batch of token ids into tensors; for the masked kind it draws the masks."""

    def __init__(self, recipe: Recipe, tokenizer: PreTrainedTokenizerBase, seed: int) -> None:
        import torch

        self.recipe = recipe
        self.pad = tokenizer.pad_token_id if recipe.kind == "masked" else tokenizer.eos_token_id
        self.mask = tokenizer.mask_token_id if recipe.kind == "masked" else None
        self.generator = torch.Generator().manual_seed(seed)
        self.share = torch.full((len(tokenizer),), recipe.mask_share)
        if recipe.kind == "masked":
            tied = [*words.TRAITS, *words.QUALITIES]
            self.share[tokenizer.convert_tokens_to_ids(tied)] = recipe.mask_pronouns / 3
            # names and nouns stay readable: they teach the network to look for a pronoun's person at all
            self.share[tokenizer.convert_tokens_to_ids(words.pronouns())] = recipe.mask_pronouns
            self.share[tokenizer.all_special_ids] = 0.0

    def __call__(self, features: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Pads (one feature is one batch) and adds labels; -100 where there is nothing to learn."""
        import torch

        rows: list[list[int]] = features[0]["rows"]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [self.pad] * (longest - len(row)) for row in rows])
        real = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        if self.mask is None:
            return {"input_ids": ids, "attention_mask": real, "labels": ids.masked_fill(real == 0, -100)}
        hidden = (torch.rand(ids.shape, generator=self.generator) < self.share[ids]) & (real == 1)
        # nine in ten are replaced: a word that stays teaches the network to look at the word itself, as embeddings need
        replaced = hidden & (torch.rand(ids.shape, generator=self.generator) < 0.9)
        return {
            "input_ids": ids.masked_fill(replaced, self.mask),
            "attention_mask": real,
            "labels": ids.masked_fill(~hidden, -100),
        }


def _run(
    recipe: Recipe,
    network: PreTrainedModel,
    batches: list[Batch],
    collate: _Collator,
    seed: int,
    on_step: Progress | None,
) -> float:
    """Runs the training loop; returns the mean loss of its last twentieth."""
    from transformers import PrinterCallback, Trainer, TrainerCallback

    class Follow(TrainerCallback):  # type: ignore[misc]
        """Passes progress on."""

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """Reports every fiftieth step and the last."""
            if on_step is not None and (state.global_step % 50 == 0 or state.global_step == recipe.steps):
                on_step(state.global_step, recipe.steps, f"training the {recipe.kind} model")

    with tempfile.TemporaryDirectory() as scratch:
        data: Any = [{"rows": batch} for batch in batches]
        arguments = _arguments(recipe, seed, scratch)
        trainer = Trainer(model=network, args=arguments, train_dataset=data, data_collator=collate, callbacks=[Follow()])
        trainer.remove_callback(PrinterCallback)  # the loss is recorded in the card, not printed
        trainer.train()
    losses = [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    network.eval()  # type: ignore[no-untyped-call]
    return losses[-1]


def _arguments(recipe: Recipe, seed: int, scratch: str) -> Any:
    """What the Trainer is told: the recipe's schedule, one CPU, and to write and report nothing."""
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=scratch,
        per_device_train_batch_size=1,
        max_steps=recipe.steps,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=recipe.steps // 10,
        weight_decay=0.01,
        seed=seed,
        data_seed=seed,
        train_sampling_strategy="sequential",  # the batches are shuffled already, and rehearsal comes first
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="steps",
        logging_steps=max(1, recipe.steps // 20),
        disable_tqdm=True,
        log_level="error",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )


def with_steps(recipe: Recipe, steps: int | None) -> Recipe:
    """`recipe` with another number of steps, its rehearsal in proportion; null leaves it as it is."""
    if steps is None:
        return recipe
    return replace(recipe, steps=steps, rehearsal=recipe.rehearsal * steps // recipe.steps)
