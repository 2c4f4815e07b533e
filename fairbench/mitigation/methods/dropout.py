"""Dropout regularisation: the model is trained on with more dropout, so that it leans less on single associations.

The rates are those of Meade et al. 2022: BERT and RoBERTa hidden .20 and attention .15, GPT-2 .15 everywhere, others .05.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairbench import parsers
from fairbench.errors import FairbenchError
from fairbench.mitigation import Option
from fairbench.mitigation.recipe import Recipe, layers_of, recipe_of, training_options, with_length
from fairbench.mitigation.trained import by_training
from fairbench.models.loading import quiet
from fairbench.models.model import ModelCard

VERSION = 1
SUMMARY = "Further training with more dropout."
CITE = "Webster et al. 2020 (arXiv 2010.06032); rates of Meade et al. 2022 (ACL)"
KINDS = ("causal", "masked")
NEEDS_TEXTS = True
OPTIONS: Mapping[str, Option] = {
    "hidden": Option(parsers.real(0, 1, below=True), None, "dropout of hidden states; by default as published for the family"),
    "attention": Option(parsers.real(0, 1, below=True), None, "dropout of attention weights; by default as published"),
    **training_options(learning_rate=5e-5),
}

RATES = {"bert": (0.20, 0.15), "roberta": (0.20, 0.15), "gpt2": (0.15, 0.15)}
OTHERS = (0.05, 0.05)
HIDDEN = (
    "hidden_dropout_prob",
    "resid_pdrop",
    "embd_pdrop",
    "dropout",
    "hidden_dropout",
    "residual_dropout",
    "embedding_dropout",
    "resid_dropout",
    "embed_dropout",
    "emb_pdrop",
    "mlp_dropout",
)
ATTENTION = ("attention_probs_dropout_prob", "attn_pdrop", "attention_dropout")
"""How configurations call their rates."""


def resolve(card: ModelCard, options: Mapping[str, Any], given: frozenset[str]) -> dict[str, Any]:
    """Fills in the rates of the model's family; a rate that the configuration has no name for becomes null.

    Raises:
        FairbenchError: the configuration has no dropout by a name that is known, or none of the sort that was asked for.
    """
    config = _config(card)
    if not _named(config, {"hidden": 0.0, "attention": 0.0}):
        raise FairbenchError(
            f"{card.name} ({card.architecture}) has no dropout that its configuration names, so there is none to raise. Choose "
            "another method."
        )
    found = dict(options)
    for name, rate in zip(("hidden", "attention"), RATES.get(config.model_type, OTHERS), strict=True):
        if _named(config, {"hidden": None, "attention": None, name: rate}):
            found[name] = rate if found[name] is None else found[name]
        elif found[name] is not None:
            raise FairbenchError(
                f"{name}={found[name]:g}: the configuration of {card.name} ({card.architecture}) has no such dropout. Leave "
                f"{name} out."
            )
    return with_length(card, found)


def recipe(card: ModelCard, options: Mapping[str, Any]) -> Recipe:
    """The recipe that the options come to: no teacher, every layer."""
    rates = _named(_config(card), options)
    return recipe_of(options, layers=layers_of(card, {"layers": "all"}), kd_weight=0.0, lm_weight=1.0, dropout=rates)


def _named(config: Any, options: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    """The rates by the names that a configuration has for them."""
    own = config.to_dict()
    rates = {**dict.fromkeys(HIDDEN, options["hidden"]), **dict.fromkeys(ATTENTION, options["attention"])}
    return tuple((name, rate) for name, rate in rates.items() if rate is not None and isinstance(own.get(name), int | float))


def _config(card: ModelCard) -> Any:
    from transformers import AutoConfig

    with quiet():
        return AutoConfig.from_pretrained(card.folder, trust_remote_code=card.options.trust_remote_code)


estimate, make = by_training(recipe)
