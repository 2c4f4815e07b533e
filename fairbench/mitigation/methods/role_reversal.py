"""Counterfactual role-reversal distillation: the student learns the teacher's probabilities merged with those that the same
teacher has where the roles of the genders are reversed, or learns from reversed texts beside the others, or both.

The language-model term on the texts as they are is a choice: it brings their bias back, so it is off where the teacher is
modified unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairbench import parsers
from fairbench.mitigation import Option
from fairbench.mitigation.recipe import (
    AUGMENT,
    MERGES,
    Recipe,
    layers_of,
    recipe_of,
    refuse_no_term,
    refuse_reversal,
    reversal_options,
    student_options,
    training_options,
    weight,
    with_length,
    with_student,
)  # fmt: skip
from fairbench.mitigation.trained import by_training
from fairbench.models.model import ModelCard

VERSION = 1
SUMMARY = "Distillation from a teacher that is merged with itself in the role-reversed context, and/or on reversed texts."
CITE = "Gupta et al. 2022, Mitigating Gender Bias in Distilled Language Models via Counterfactual Role Reversal (Findings of ACL)"
KINDS = ("causal", "masked")
NEEDS_TEXTS = True
OPTIONS: Mapping[str, Option] = {
    "merge": Option(parsers.word(*MERGES), "expmean", f"of teacher and role-reversed teacher: {', '.join(MERGES)}"),
    "vocabulary_map": Option(parsers.yes_no, True, "gendered words are mapped back to their counterparts before the merge"),
    "least_whole": Option(
        parsers.real(0, 1), 0.9, "a token is mapped if it is a whole word in this share of its occurrences, at least"
    ),
    "normalize": Option(parsers.yes_no, True, "log-probabilities are merged; false: raw logits"),
    "restrict": Option(parsers.yes_no, False, "only positions after a gendered word are merged (without the map)"),
    "augment": Option(parsers.word(*AUGMENT), "none", "texts with gendered words: as they are, both ways, or swapped only"),
    **reversal_options(),
    **student_options("half"),
    "temperature": Option(parsers.real(0, 1e3, above=True), 2.0, "of the distillation term"),
    "kd_weight": weight(1.0, "weight of KL to the modified teacher"),
    "lm_weight": weight(None, "weight of the cross-entropy on the texts: 0 with a merge, else 1"),
    "cosine_weight": weight(0.0, "weight of the cosine of last hidden states"),
    **training_options(),
}


def resolve(card: ModelCard, options: Mapping[str, Any], given: frozenset[str]) -> dict[str, Any]:
    """Fills in what depends on the model or the merge, and refuses what contradicts itself."""
    found = refuse_reversal(options, given)
    if found["lm_weight"] is None:
        found["lm_weight"] = 1.0 if found["merge"] == "none" else 0.0
    refuse_no_term(found)
    return with_length(card, with_student(card, found, given))


def recipe(card: ModelCard, options: Mapping[str, Any]) -> Recipe:
    """The recipe that the options come to."""
    return recipe_of(options, layers=layers_of(card, options))


estimate, make = by_training(recipe)
