"""Options of a recipe: read from text, filled in, and refused in one sentence where they can't be."""

from __future__ import annotations

import dataclasses

import pytest

from fairbench.errors import FairbenchError
from fairbench.models.model import ModelCard
from fairbench.training.recipe import FIELDS, PARSERS, Recipe, recipe_of, recipe_options

CARD = ModelCard(name="mine", folder="mine", kind="masked", architecture="BertForMaskedLM", max_length=512)


def test_text_becomes_what_it_means():
    given = {
        "train_seed": "7", "mode": "full", "epochs": "5", "learning_rate": "2e-5", "train_batch_size": "16", "warmup": "0",
        "weight_decay": "0.1", "patience": "0", "class_weights": "balanced", "max_length": "64", "train_limit": "100",
        "evaluations": "4", "freeze_embeddings": "true",
    }  # fmt: skip
    wanted = Recipe(
        seed=7, epochs=5, learning_rate=2e-5, batch_size=16, warmup=0.0, weight_decay=0.1, patience=0, class_weights="balanced",
        max_length=64, train_limit=100, evaluations=4, freeze_embeddings=True,
    )  # fmt: skip
    assert recipe_of(recipe_options(CARD, given)) == wanted


def test_options_that_are_no_text_mean_the_same():
    given = {"epochs": 5, "learning_rate": 0.5, "freeze_embeddings": False, "warmup": 0.0}
    assert recipe_options(CARD, given) == recipe_options(CARD, {name: str(value) for name, value in given.items()})


def test_defaults_are_those_of_the_mode():
    assert recipe_of(recipe_options(CARD, {})) == Recipe()
    frozen = recipe_of(recipe_options(CARD, {"mode": "frozen"}))
    assert (frozen.epochs, frozen.learning_rate) == (20, 1e-3)
    assert recipe_of(recipe_options(CARD, {"mode": "frozen", "epochs": 2})).epochs == 2


@pytest.mark.parametrize(("limit", "wanted"), [(None, 256), (512, 256), (128, 128)])
def test_the_length_is_what_the_model_takes(limit, wanted):
    card = dataclasses.replace(CARD, max_length=limit)
    assert recipe_options(card, {})["max_length"] == wanted


def test_every_field_of_a_recipe_is_an_option():
    assert {FIELDS.get(name, name) for name in PARSERS} == {field.name for field in dataclasses.fields(Recipe)}


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("epochs", "0", "a whole number from 1"),
        ("epochs", "2.5", "a whole number from 1"),
        ("epochs", "many", "a whole number from 1"),
        ("epochs", True, "a whole number from 1"),
        ("train_seed", "-1", "a whole number from 0"),
        ("train_batch_size", "0", "a whole number from 1"),
        ("learning_rate", "0", "a number above 0 to 1"),
        ("learning_rate", "nan", "a number above 0 to 1"),
        ("learning_rate", "fast", "a number above 0 to 1"),
        ("warmup", "1", "a number from 0 and below 1"),
        ("weight_decay", "-0.1", "a number from 0 to 1"),
        ("patience", "-1", "a whole number from 0"),
        ("mode", "froze", "full or frozen. Did you mean frozen?"),
        ("class_weights", "equal", "none or balanced"),
        ("max_length", "4", "a whole number from 8"),
        ("max_length", "513", "mine takes at most 512 tokens"),
        ("train_limit", "-5", "a whole number from 0"),
        ("evaluations", "0", "a whole number from 1"),
        ("freeze_embeddings", "perhaps", "true or false"),
    ],
)
def test_what_no_training_can_have_is_refused(name, value, wanted):
    with pytest.raises(FairbenchError) as refused:
        recipe_options(CARD, {name: value})
    assert f"{name}={value}" in str(refused.value) and wanted in str(refused.value)
