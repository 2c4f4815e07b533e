"""Focal distillation against negative flips: counterfactual data augmentation that holds on to what the model got right.

The loss is the cross-entropy on the augmented texts plus the focal distillation of Yan et al. 2021 from the model as it was:
every token of the text is an example, weighed by alpha, and by alpha + beta where the old model predicts it rightly. So what the
mitigation must not break, the tokens that were right before, counts most.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairbench import parsers
from fairbench.mitigation import Option
from fairbench.mitigation.recipe import (
    AUGMENT,
    Focal,
    Recipe,
    layers_of,
    recipe_of,
    reversal_options,
    training_options,
    weight,
    with_length,
    with_names,
)  # fmt: skip
from fairbench.mitigation.trained import by_training
from fairbench.models.model import ModelCard

VERSION = 1
SUMMARY = "Augmentation that is held to what the model got right: focal distillation against negative flips."
CITE = "Yan et al. 2021, Positive-Congruent Training (CVPR), with counterfactual data augmentation"
KINDS = ("causal", "masked")
NEEDS_TEXTS = True
FORMS = ("kl", "mse", "half_squared")
OPTIONS: Mapping[str, Option] = {
    "augment": Option(parsers.word(*AUGMENT), "both", "texts with gendered words: as they are, both ways, or swapped only"),
    "matched": Option(parsers.yes_no, True, "only texts that hold a word of the lexicon are learnt from"),
    **reversal_options(),
    "focal_weight": weight(1.0, "weight of the focal term"),
    "alpha": weight(1.0, "weight of every token in it"),
    "beta": weight(5.0, "further weight of a token that the old model predicts rightly"),
    "form": Option(parsers.word(*FORMS), "kl", f"distance to the old model: {', '.join(FORMS)} (of logits)"),
    "temperature": Option(parsers.real(0, 1e4, above=True), 100.0, "of the KL form"),
    **training_options(learning_rate=5e-5),
}


def resolve(card: ModelCard, options: Mapping[str, Any], given: frozenset[str]) -> dict[str, Any]:
    """Fills in what depends on the model."""
    return with_length(card, with_names(options))


def recipe(card: ModelCard, options: Mapping[str, Any]) -> Recipe:
    """The recipe that the options come to: the teacher is the model as it was."""
    focal = Focal(weight=options["focal_weight"], alpha=options["alpha"], beta=options["beta"], form=options["form"])
    return recipe_of(options, layers=layers_of(card, {"layers": "all"}), kd_weight=0.0, lm_weight=1.0, focal=focal)


estimate, make = by_training(recipe)
