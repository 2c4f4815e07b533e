"""Places of inputs against one input at a time through the whole network, whatever way leads to the logits."""

from __future__ import annotations

import dataclasses
import importlib.util
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from fairbench.models import causal, heads, masked, places
from fairbench.models.batching import Batching
from fairbench.models.loading import inspect_model, load
from fairbench.models.places import Question, ask_places

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).with_name("tiny.py"))
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

NAMES = ("bert", "roberta", "albert", "gpt2", "llama")
SETS = {"even": np.arange(0, 80, 2), "few": np.array([7, 9]), "unasked": np.array([3])}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    made = {}

    def get(name):
        if name not in made:
            made[name] = load(inspect_model(str(getattr(tiny, name)(tmp_path_factory.mktemp(name)))))
            generator = torch.Generator().manual_seed(3)
            with torch.no_grad():
                for parameter in made[name].network.parameters():
                    if parameter.dim() > 1:
                        parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
        return made[name]

    return get


def asked():
    rng = random.Random(1)
    found = []
    for number in range(14):
        ids = tuple(rng.randrange(5, 80) for _ in range(rng.randint(1, 12)))
        for place in {0, len(ids) - 1, rng.randrange(len(ids))}:
            tokens = tuple(rng.randrange(80) for _ in range(rng.randint(0, 3)))
            found.append(Question(ids, place, tokens, among=(None, "even", "few")[number % 3]))
    found += found[:3]
    rng.shuffle(found)
    return found


def check(model, questions, replies, count):
    for question, reply in zip(questions, replies, strict=True):
        with torch.no_grad():
            output = model.network(torch.tensor([question.ids]))
        logits = output.logits if "logits" in output else output.prediction_logits
        table = torch.log_softmax(logits[0, question.place].double(), 0).numpy()
        np.testing.assert_allclose(reply.log_p, table[list(question.tokens)], atol=1e-4)
        ids = SETS[question.among] if question.among else []
        best = sorted(ids, key=lambda i: -table[i])[:count]
        assert [token for token, _ in reply.likeliest] == best
        np.testing.assert_allclose([value for _, value in reply.likeliest], table[best], atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batching", [Batching(), Batching(budget=30), Batching(rows=1)])
def test_places(loaded, name, batching):
    model, questions = loaded(name), asked()
    check(model, questions, ask_places(model, questions, sets=SETS, count=4, batching=batching), 4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["own", "full"])
@pytest.mark.parametrize("chunk", [1, 16 << 20])
def test_every_way_to_the_logits(loaded, name, kind, chunk, monkeypatch):
    """Also where a chunk holds a single row."""
    model, questions = loaded(name), asked()
    monkeypatch.setitem(heads.CHUNK_BYTES, "cpu", chunk)
    if model.card.kind == "causal":
        engine = causal.engine_of(model)
        monkeypatch.setitem(
            causal._ENGINES, model.network, dataclasses.replace(engine, head=dataclasses.replace(engine.head, kind=kind))
        )
    else:
        monkeypatch.setitem(masked._HEADS, model.network, dataclasses.replace(masked.head_of(model), kind=kind))
    check(model, questions, ask_places(model, questions, sets=SETS, count=4, batching=Batching()), 4)


def test_the_ways_that_are_taken(loaded):
    assert causal.engine_of(loaded("gpt2")).head.kind == "linear"
    assert masked.head_of(loaded("bert")).kind == "own"


def test_texts_that_must_not_be_padded(loaded, monkeypatch):
    """Then a batch holds one length only, and nothing is filled up."""
    model, questions = loaded("gpt2"), asked()
    engine = dataclasses.replace(causal.engine_of(model), equal=True)
    monkeypatch.setitem(causal._ENGINES, model.network, engine)
    run = places._inputs

    def watched(model, rows, causal):
        assert len({len(row) for row in rows}) == 1
        return run(model, rows, causal)

    monkeypatch.setattr(places, "_inputs", watched)
    check(model, questions, ask_places(model, questions, sets=SETS, count=4, batching=Batching()), 4)


def test_nothing_asked(loaded):
    assert ask_places(loaded("bert"), [], sets=SETS, count=4, batching=Batching()) == []
