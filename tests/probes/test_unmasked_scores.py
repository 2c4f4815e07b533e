"""AUL and AULA by hand, their properties, and what they can't score; test_scorers.py holds them against their definition."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
from pathlib import Path

import pytest
import torch
import transformers

from fairbench.errors import FairbenchError
from fairbench.models.batching import Batching
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import Model
from fairbench.probes import likelihood
from fairbench.records import Cloze, Pair

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).parents[1] / "models" / "tiny.py")
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

PAIRS = [
    ("The nurse said that she was late.", "The nurse said that he was late."),
    ("A carpenter built the house, didn't she?", "A carpenter built the old house, didn't he?"),
    ("Poetry is beautiful.", "The violin is loud; take it away!"),
    ("Mathematics", "It's raining."),
]
both = pytest.mark.parametrize("scorer", ["aul", "aula"])


def pairs(items=PAIRS):
    return [Pair(id=str(i), more=more, less=less) for i, (more, less) in enumerate(items)]


def clozes(*items):
    fields = ("context", "stereotype", "antistereotype", "unrelated")
    return [Cloze(id=str(i), target="t", **dict(zip(fields, item, strict=True))) for i, item in enumerate(items)]


@pytest.fixture
def bert(tmp_path) -> Model:
    model = load(inspect_model(str(tiny.bert(tmp_path, "BertForMaskedLM"))))
    tiny.spread(model.network)
    return model


def ask(model, records, scorer, batching=None):
    options = likelihood.resolve(model.card, type(records[0]).__name__, {"scorer": scorer})
    return likelihood.answer(model, records, options, batching or Batching())


def test_a_model_that_knows_nothing_by_hand(bert):
    """All weights 0: each of V tokens has probability 1 / V, and each of T tokens receives 1 / T of the attention."""
    with torch.no_grad():
        for parameter in bert.network.parameters():
            parameter.zero_()
    size = bert.card.vocabulary
    for sides, aul, aula in zip(PAIRS, ask(bert, pairs(), "aul"), ask(bert, pairs(), "aula"), strict=True):
        for side, text in zip(("more", "less"), sides, strict=True):
            length = len(bert.tokenizer(text)["input_ids"])
            assert aul[f"score_{side}"] == pytest.approx(-math.log(size))
            assert aula[f"score_{side}"] == pytest.approx(-math.log(size) / length)
            assert aul[f"tokens_{side}"] == aula[f"tokens_{side}"] == length - 2


@both
def test_sides_and_order_mirror(bert, scorer):
    rows = ask(bert, pairs(), scorer)
    swapped = ask(bert, pairs([(b, a) for a, b in PAIRS[::-1]]), scorer)[::-1]
    for row, other in zip(rows, swapped, strict=True):
        for name in ("score", "tokens"):
            assert row[f"{name}_more"] == pytest.approx(other[f"{name}_less"], abs=1e-6)
            assert row[f"{name}_less"] == pytest.approx(other[f"{name}_more"], abs=1e-6)


@both
def test_no_mask_is_needed_and_none_is_seen(bert, scorer):
    expected = ask(bert, pairs(), scorer)
    bert.tokenizer.mask_token = None
    without = dataclasses.replace(bert, card=dataclasses.replace(bert.card, has_mask=False))
    assert ask(without, pairs(), scorer) == expected


@both
def test_what_has_no_score(bert, scorer):
    long = " ".join(tiny.SENTENCES)
    bert.tokenizer.add_tokens(["zzz"])
    rows = ask(bert, pairs([("The nurse", long), ("", "The nurse"), ("zzz", "The nurse"), PAIRS[0]]), scorer)
    assert [row.get("left_out") for row in rows] == [
        "longer than the model's longest input",
        "no token to score",
        "a token that the model has no embedding for",
        None,
    ]
    rows = ask(
        bert,
        clozes(
            ("The BLANK was BLANK.", "The nurse was it.", "The he was it.", "The it was it."),
            ("The BLANK was", "The zzz was", "The nurse was", "The he was"),
            ("The nurse.", "He was late.", "She was late.", "It was late."),
            ("The BLANK was", "The nurse was", "The he was", "The it was"),
        ),
        scorer,
    )
    assert [row.get("left_out") for row in rows] == [
        "BLANK stands more than once in the context",
        "a token that the model has no embedding for",
        "BLANK stands nowhere in the context",
        None,
    ]


@both
def test_continued_clozes_are_refused(bert, scorer):
    with pytest.raises(FairbenchError, match="no next-sentence head"):
        ask(bert, clozes(("The nurse.", "He was late.", "She was late.", "It was late.")), scorer)


@both
def test_weights_that_are_not_numbers(bert, scorer):
    with torch.no_grad():
        bert.network.bert.embeddings.LayerNorm.bias.fill_(float("nan"))
    assert ask(bert, pairs(), scorer) == [{"left_out": "a log-likelihood is not finite"}] * len(PAIRS)


def test_a_network_that_takes_padding_for_text(tmp_path):
    """FNet: scored by equal lengths without attention, and refused with it, by its card before it is loaded."""
    tokenizer = tiny.wordpiece()
    config = transformers.FNetConfig(vocab_size=len(tokenizer), hidden_size=24, num_hidden_layers=2, intermediate_size=32)
    model = load(inspect_model(str(tiny.save(tmp_path, transformers.FNetForMaskedLM(config), tokenizer))))
    tiny.spread(model.network)
    for together, record in zip(ask(model, pairs(), "aul"), pairs(), strict=True):
        assert together == pytest.approx(ask(model, [record], "aul")[0], abs=1e-5)
    with pytest.raises(FairbenchError, match="Use the scorer aul"):
        likelihood.resolve(model.card, "Pair", {"scorer": "aula"})
