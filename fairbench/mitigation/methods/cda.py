"""Counterfactual data augmentation: the model is trained on, on texts and their role-reversed copies.

Two-sided by default, as in Meade et al. 2022: a text that holds a gendered word stands both ways, and texts without one are left
out (`matched=false` keeps them).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairbench import parsers
from fairbench.mitigation import Option
from fairbench.mitigation.recipe import (
    AUGMENT,
    Recipe,
    layers_of,
    recipe_of,
    reversal_options,
    training_options,
    with_length,
    with_names,
)
from fairbench.mitigation.trained import by_training
from fairbench.models.model import ModelCard

VERSION = 1
SUMMARY = "Further training on texts and their role-reversed copies (counterfactual data augmentation)."
CITE = "Zmigrod et al. 2019 (ACL); Lu et al. 2018; as in Meade et al. 2022 (ACL)"
KINDS = ("causal", "masked")
NEEDS_TEXTS = True
OPTIONS: Mapping[str, Option] = {
    "augment": Option(
        parsers.word(*AUGMENT[1:]), "both", "both: the text and its copy (two-sided); swap: the copy alone (one-sided)"
    ),
    "matched": Option(parsers.yes_no, True, "only texts that hold a word of the lexicon are learnt from"),
    **reversal_options(),
    **training_options(learning_rate=5e-5),
}


def resolve(card: ModelCard, options: Mapping[str, Any], given: frozenset[str]) -> dict[str, Any]:
    """Fills in what depends on the model."""
    return with_length(card, with_names(options))


def recipe(card: ModelCard, options: Mapping[str, Any]) -> Recipe:
    """The recipe that the options come to: no teacher, every layer."""
    return recipe_of(options, layers=layers_of(card, {"layers": "all"}), kd_weight=0.0, lm_weight=1.0)


estimate, make = by_training(recipe)
