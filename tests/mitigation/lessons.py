"""Tiny teachers with their rows, for tests of a training's parts."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import torch

from fairbench.counterfactual.swapping import Swap
from fairbench.mitigation import Texts
from fairbench.mitigation.recipe import Recipe
from fairbench.mitigation.rows import Preparer
from fairbench.mitigation.vocabulary import VocabularyMap, vocabulary_map
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import Model, ModelOptions

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).parents[1] / "models" / "tiny.py")
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

TEXTS = (
    "The nurse said that she was tired, and he was late.",
    "A carpenter built the old house.",
    "My father and his king are going to the market; her queen is not.",
    "He said that his mother was late for work.",
)
"""With and without gendered words; partners are of unequal lengths for most tokenizers."""

PAIRS = (("he", "she"), ("him", "her"), ("his", "her"), ("his", "hers"))


def opened(folder: Path, double: bool = False) -> Model:
    """A model on the processor with weights at which a wrong position shows."""
    model = load(inspect_model(str(folder), ModelOptions(device="cpu")))
    tiny.spread(model.network)
    return dataclasses.replace(model, network=model.network.double()) if double else model


def preparer(model: Model, **recipe: Any) -> Preparer:
    """Makes rows; names are left alone."""
    made = Recipe(**{"merge": "expmean", "max_length": 200, "names": "none", **recipe})
    return Preparer(model.card, model.tokenizer, made, Swap(made.attribute, names=False))


def rows(model: Model, texts: tuple[str, ...] = TEXTS, **recipe: Any) -> list[dict[str, Any]]:
    return list(preparer(model, **recipe).rows(texts))


def mapped(model: Model) -> VocabularyMap:
    """The pronouns that the tokenizer has as single tokens, or any four tokens where it has none."""
    found = vocabulary_map(model.tokenizer, PAIRS)
    return found if found.blocks else VocabularyMap((((30,), (31,)), ((32, 33), (34, 35))))


def some_texts(*documents: str) -> Texts:
    return Texts(
        name="own", identity={"own": list(documents)}, provenance={}, documents=lambda: iter(documents), count=len(documents)
    )


def near(one: torch.Tensor, other: torch.Tensor, within: float) -> None:
    assert one.shape == other.shape
    assert float((one - other).abs().max()) <= within
