"""What the methods that train have in common: their recipe says all, so estimate and making are the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fairbench.mitigation import Estimate, Job
from fairbench.mitigation.recipe import Recipe
from fairbench.models.model import ModelCard


def by_training(
    recipe: Callable[[ModelCard, Mapping[str, Any]], Recipe],
) -> tuple[Callable[[Job], Estimate], Callable[[Job, Path], Mapping[str, Any]]]:
    """`estimate` and `make` of a method that is a recipe.

    Args:
        recipe: what the method's options come to for a model.
    """

    def estimate(job: Job) -> Estimate:
        """What the training would take."""
        from fairbench.mitigation import teaching

        return teaching.estimate(job, recipe(job.card, job.options))

    def make(job: Job, folder: Path) -> Mapping[str, Any]:
        """Trains, and writes the new model into the folder."""
        from fairbench.mitigation import teaching

        return teaching.teach(job, recipe(job.card, job.options), folder)

    return estimate, make
