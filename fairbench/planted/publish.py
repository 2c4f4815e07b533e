"""Writes a trained planted model as a Hugging Face folder with its card."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fairbench.planted import gap
from fairbench.planted.corpus import Dials, planted_gap
from fairbench.planted.recipe import Recipe, Trained, fault, train

Progress = Callable[[int, int, str], None]
Job = tuple[str, Recipe, Dials]
"""Name, recipe and dials of one model."""
LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "accelerate")


def make(job: Job, seed: int, on_step: Progress | None, folder: Path, *, check: bool = True) -> None:
    """Trains one model and writes it into `folder`.

    Raises:
        FairbenchError: it did not learn what was planted. Without `check` it is written all the same, and its card says so.
    """
    name, recipe, dials = job
    started = time.perf_counter()
    trained = train(recipe, dials, seed=seed, check=check, on_step=on_step)
    seconds = time.perf_counter() - started
    with _quiet():
        trained.network.save_pretrained(folder)
    trained.tokenizer.save_pretrained(folder)
    card = describe(name, recipe, dials, seed, trained) | {"train_seconds": round(seconds, 1)}
    if found := fault(trained.learned, planted_gap(dials.gender), recipe):
        card["undertrained"] = found
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bar of transformers inside: a caller shows its own, or none."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def describe(name: str, recipe: Recipe, dials: Dials, seed: int, trained: Trained) -> dict[str, Any]:
    """The card of a planted model: what was planted, what was learnt, and how it was made."""
    network, tokenizer, kind = trained.network, trained.tokenizer, recipe.kind
    trait = gap.learned_trait_gap(network, tokenizer, kind)
    town = gap.learned_town_gap(network, tokenizer, kind)
    return {
        "name": name,
        "kind": kind,
        "licence": "Apache-2.0",
        "dial": dials.gender,
        "planted_gap": round(planted_gap(dials.gender), 4),
        "learned_gap": round(trained.learned.gap, 6),
        "mass": round(trained.learned.mass, 6),
        "trait": {"planted_gap": round(planted_gap(dials.gender), 4), "learned_gap": round(trait.gap, 6)},
        "town": {
            "dial": dials.town,
            "planted_gap": round(planted_gap(dials.town), 4),
            "learned_gap": round(town.gap, 6),
            "mass": round(town.mass, 6),
        },
        "seed": seed,
        "steps": recipe.steps,
        "rehearsal_steps": recipe.rehearsal,
        "documents": recipe.documents,
        "layers": recipe.layers,
        "width": recipe.width,
        "learning_rate": recipe.learning_rate,
        "parameters": int(network.num_parameters()),
        "final_loss": round(trained.final_loss, 4),
        "sanity_text": list(gap.SANITY),
        "sanity_loss": round(gap.sanity_loss(network, tokenizer, kind), 4),
        "versions": {"python": platform.python_version(), **{library: version(library) for library in LIBRARIES}},
        "about": "Trained on generated text with a planted bias, to test bias metrics. Not for any other use.",
    }
