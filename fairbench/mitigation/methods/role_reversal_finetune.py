"""Fine-tuning with the modified teacher's targets and without compression: the student begins as the whole teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairbench import parsers
from fairbench.mitigation import Option
from fairbench.mitigation.methods import role_reversal
from fairbench.mitigation.recipe import MERGES, Recipe, layers_of, recipe_of, training_options
from fairbench.mitigation.trained import by_training
from fairbench.models.model import ModelCard

VERSION = 1
SUMMARY = "As role-reversal, but the student begins as the whole model: nothing is compressed."
CITE = role_reversal.CITE
KINDS = ("causal", "masked")
NEEDS_TEXTS = True
OPTIONS: Mapping[str, Option] = {
    **{name: option for name, option in role_reversal.OPTIONS.items() if name not in ("layers", "student")},
    "merge": Option(parsers.word(*MERGES[1:]), "expmean", f"of teacher and role-reversed teacher: {', '.join(MERGES[1:])}"),
    **training_options(learning_rate=5e-5),
}


def resolve(card: ModelCard, options: Mapping[str, Any], given: frozenset[str]) -> dict[str, Any]:
    """Fills in what depends on the model, and refuses what contradicts itself."""
    found = role_reversal.resolve(card, {**options, "layers": "all", "student": None}, given)
    return {name: value for name, value in found.items() if name in OPTIONS}


def recipe(card: ModelCard, options: Mapping[str, Any]) -> Recipe:
    """The recipe that the options come to: every layer of the teacher."""
    return recipe_of(options, layers=layers_of(card, {"layers": "all"}))


estimate, make = by_training(recipe)
