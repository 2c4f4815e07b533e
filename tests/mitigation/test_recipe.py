"""Options as recipes: defaults that depend on others, and combinations that contradict themselves."""

from __future__ import annotations

import dataclasses

import pytest

from fairbench.errors import FairbenchError
from fairbench.mitigation.making import read_options
from fairbench.mitigation.recipe import Recipe
from fairbench.models.loading import inspect_model
from fairbench.registry import Registry

METHODS = ("distill", "role-reversal", "role-reversal-finetune", "cda", "dropout", "focal")


@pytest.fixture(scope="module")
def card():
    """Of twelve layers and 1024 tokens, as GPT-2 has; nothing of it is loaded."""
    return dataclasses.replace(inspect_model("planted:causal-0.5"), layers=12, max_length=1024)


def recipe(card, method: str, **given: str) -> Recipe:
    file = Registry().method(method)
    options = file.resolve(card, read_options(method, file, given), frozenset(given))
    return file.recipe(card, options)


@pytest.mark.parametrize("method", METHODS)
def test_every_option_comes_to_a_recipe_and_every_default_can_be_read(card, method):
    found = recipe(card, method)
    assert found.max_length == 256 and found.layers == ((0, 2, 4, 7, 9, 11) if method in METHODS[:2] else tuple(range(12)))
    file = Registry().method(method)
    options = file.resolve(card, read_options(method, file, {}), frozenset())
    assert set(options) == set(file.OPTIONS)
    again = {
        name: str(value).lower() if isinstance(value, bool) else value for name, value in options.items() if value is not None
    }
    assert read_options(method, file, again) == options, "what the card says can be given as options"


@pytest.mark.parametrize(
    ("method", "given", "wanted"),
    [
        ("distill", {}, {"merge": "none", "kd_weight": 1.0, "lm_weight": 1.0, "teaches": True, "reverses": False}),
        ("role-reversal", {}, {"merge": "expmean", "vocabulary_map": True, "lm_weight": 0.0, "names": "corpus"}),
        ("role-reversal", {"merge": "none", "augment": "both"}, {"lm_weight": 1.0, "vocabulary_map": False, "reverses": True}),
        ("role-reversal", {"normalize": "false"}, {"vocabulary_map": False}),
        ("role-reversal", {"restrict": "true"}, {"vocabulary_map": False}),
        ("role-reversal", {"lm_weight": "0.5"}, {"lm_weight": 0.5}),
        ("cda", {}, {"augment": "both", "matched": True, "teaches": False, "lm_weight": 1.0, "kd_weight": 0.0}),
        ("cda", {"attribute": "race"}, {"names": "none"}),
        ("dropout", {"hidden": "0.3"}, {"dropout": (("resid_pdrop", 0.3), ("embd_pdrop", 0.3), ("attn_pdrop", 0.15))}),
        ("focal", {"beta": "2"}, {"teaches": True, "kd_weight": 0.0, "temperature": 100.0}),
        ("distill", {"max_length": "1024", "layers": "0+11"}, {"max_length": 1024, "layers": (0, 11)}),
    ],
)
def test_what_options_come_to(card, method, given, wanted):
    found = recipe(card, method, **given)
    assert {name: getattr(found, name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("method", "given", "words"),
    [
        ("role-reversal", {"restrict": "true", "vocabulary_map": "true"}, "restrict=true.*Leave one of the two out"),
        ("role-reversal", {"normalize": "false", "vocabulary_map": "yes"}, "normalize=false"),
        ("role-reversal", {"merge": "none", "augment": "both", "vocabulary_map": "true"}, "there is no merge"),
        ("role-reversal", {"merge": "none"}, "nothing would be reversed"),
        ("role-reversal", {"attribute": "religion"}, "a merge is of two contexts"),
        ("role-reversal", {"names": "published", "attribute": "race"}, "names=published"),
        ("role-reversal", {"kd_weight": "0"}, "merge=expmean: the merged probabilities would be learnt by no term"),
        ("distill", {"kd_weight": "0", "lm_weight": "0"}, "nothing would be learnt"),
        ("distill", {"layers": "half", "student": "there"}, "layers and student were both given"),
        ("distill", {"student": "/nowhere/at/all"}, "/nowhere/at/all"),
        ("distill", {"layers": "13"}, "has 12 layers"),
        ("distill", {"layers": "1+01"}, "wanted all, half"),
        ("distill", {"layers": "first"}, "wanted all, half"),
        ("distill", {"max_length": "2000"}, "takes at most 1024 tokens"),
        ("distill", {"max_length": "4"}, "max_length"),
        ("distill", {"merge": "max"}, "has no option 'merge'"),
        ("role-reversal", {"merge": "expmaen"}, "expmean"),
        ("role-reversal-finetune", {"merge": "none"}, "merge"),
        ("role-reversal-finetune", {"layers": "2"}, "has no option 'layers'"),
        ("cda", {"augment": "none"}, "augment"),
        ("cda", {"epochs": "0"}, "epochs"),
        ("cda", {"learning_rate": "fast"}, "learning_rate"),
        ("dropout", {"hidden": "1"}, "hidden"),
        ("focal", {"form": "square"}, "form"),
    ],
)
def test_contradictions_and_wrong_values_are_refused_in_one_paragraph(card, method, given, words):
    with pytest.raises(FairbenchError, match=words) as caught:
        recipe(card, method, **given)
    assert "\n" not in str(caught.value)


def test_dropout_needs_a_rate_that_has_a_name(card, monkeypatch):
    from types import SimpleNamespace

    from fairbench.mitigation.methods import dropout

    monkeypatch.setattr(dropout, "_config", lambda _: SimpleNamespace(model_type="other", to_dict=dict))
    with pytest.raises(FairbenchError, match="has no dropout that its configuration names"):
        recipe(card, "dropout")
