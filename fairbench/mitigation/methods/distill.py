"""Plain distillation: a student of fewer layers learns the teacher's probabilities as they are.

Whatever bias the teacher has, the student may keep or exaggerate: this is what role-reversal distillation is compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairbench import parsers
from fairbench.mitigation import Option
from fairbench.mitigation.recipe import (
    Recipe,
    layers_of,
    recipe_of,
    refuse_no_term,
    student_options,
    training_options,
    weight,
    with_length,
    with_student,
)  # fmt: skip
from fairbench.mitigation.trained import by_training
from fairbench.models.model import ModelCard

VERSION = 1
SUMMARY = "Plain distillation into fewer layers; mitigates nothing, and is what others are compared with."
CITE = "Sanh et al. 2019, DistilBERT (arXiv 1910.01108), and the recipe of DistilGPT2"
KINDS = ("causal", "masked")
NEEDS_TEXTS = True
OPTIONS: Mapping[str, Option] = {
    **student_options("half"),
    "temperature": Option(parsers.real(0, 1e3, above=True), 2.0, "of the distillation term"),
    "kd_weight": weight(1.0, "weight of KL to the teacher"),
    "lm_weight": weight(1.0, "weight of the cross-entropy on the texts"),
    "cosine_weight": weight(0.0, "weight of the cosine of last hidden states"),
    **training_options(),
}


def resolve(card: ModelCard, options: Mapping[str, Any], given: frozenset[str]) -> dict[str, Any]:
    """Fills in what depends on the model."""
    refuse_no_term(options)
    return with_length(card, with_student(card, options, given))


def recipe(card: ModelCard, options: Mapping[str, Any]) -> Recipe:
    """The recipe that the options come to."""
    return recipe_of(options, layers=layers_of(card, options))


estimate, make = by_training(recipe)
