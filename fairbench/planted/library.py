"""The planted models and data sets that ship with the package, and the one command that makes them again.

Listing and reading cards imports nothing heavy; only `build` loads torch.
"""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fairbench.errors import FairbenchError, did_you_mean

HOME = Path(__file__).parent
DIALS = (0.0, 0.5, 1.0)
KINDS = ("causal", "masked")
TOWN_DIAL = 0.5
"""Dial of the second attribute in every shipped model: a method that removes gender bias must leave the town gap where it is.

The cards record what was learnt of it: the causal models learn it, the masked ones hardly do.
"""


def names() -> list[str]:
    """Names of the shipped models, such as "causal-0.5": kind and gender dial.

    Example:
        >>> "masked-1.0" in names()
        True
    """
    return sorted(path.parent.name for path in (HOME / "models").glob("*/card.json"))


def folder(name: str) -> Path:
    """The folder of a shipped model, in Hugging Face layout.

    Raises:
        FairbenchError: there is no such planted model.
    """
    known = names()
    if name not in known:
        raise FairbenchError(f"There is no planted model {name!r}.{did_you_mean(name, known)} Shipped are: {', '.join(known)}.")
    return HOME / "models" / name


def card(name: str) -> dict[str, Any]:
    """What is recorded of a shipped model: its dials, planted and learned gaps, mass, seed, steps, versions, sanity text."""
    found: dict[str, Any] = json.loads((folder(name) / "card.json").read_text(encoding="utf-8"))
    return found


def build(
    output: Path,
    *,
    kinds: Sequence[str] = KINDS,
    dials: Sequence[float] = DIALS,
    seed: int = 0,
    steps: int | None = None,
    keep_undertrained: bool = False,
    on_step: Callable[[int, int, str], None] | None = None,
) -> list[Path]:
    """Trains planted models and writes them to `output`/models, and the planted data sets to `output`/data.

    A model that did not learn what was planted is refused and nothing of it is written; models that are done stay.

    Args:
        output: a folder; what it already holds under the same names is replaced, each model at once.
        kinds: "causal", "masked".
        dials: gender dials, each between 0 and 1.
        seed: of corpus and training.
        steps: optimiser steps instead of the recipe's own number.
        keep_undertrained: write also a model that did not learn what was planted; its card and every score of it say so.
        on_step: called with (steps done, steps in all models together, a text).

    Returns:
        The model folders and data files written.

    Raises:
        FairbenchError: an unknown kind or dial, or an undertrained model.
    """
    from fairbench.planted import items, publish
    from fairbench.planted.corpus import Dials
    from fairbench.planted.recipe import RECIPES, with_steps

    if wrong := [kind for kind in kinds if kind not in RECIPES]:
        raise FairbenchError(f"There is no planted kind {wrong[0]!r}.{did_you_mean(wrong[0], KINDS)} Kinds: {', '.join(KINDS)}.")
    planted = [Dials(gender=dial, town=TOWN_DIAL) for dial in dials]
    jobs = [(with_steps(RECIPES[kind], steps), dial) for kind in kinds for dial in planted]
    total = sum(recipe.steps for recipe, _ in jobs)
    written: list[Path] = []
    done = 0
    for recipe, dial in jobs:
        name = f"{recipe.kind}-{float(dial.gender)}"
        follow = None if on_step is None else functools.partial(_forward, on_step, done, total, name)
        place = output / "models" / name
        make = functools.partial(publish.make, (name, recipe, dial), seed, follow, check=not keep_undertrained)
        _atomically(place, make)
        written.append(place)
        done += recipe.steps
    return written + items.write(output / "data")


def _forward(on_step: Callable[[int, int, str], None], before: int, total: int, name: str, done: int, _: int, __: str) -> None:
    """Passes one model's progress on as progress of the whole build."""
    on_step(before + done, total, name)


def _atomically(place: Path, make: Callable[[Path], None]) -> None:
    """Makes a folder beside its place and moves it there when it is complete, so that no half model is ever seen."""
    place.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        make(scratch)
        scratch.chmod(0o755)  # mkdtemp makes it private, and safetensors its file
        for path in scratch.iterdir():
            path.chmod(0o644)
        if place.exists():
            shutil.rmtree(place)
        scratch.replace(place)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
