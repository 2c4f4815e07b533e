"""Probabilities of tokens in sight and the attention they receive, against one text at a time through the whole network."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from fairbench.errors import FairbenchError
from fairbench.models import unmasked
from fairbench.models.batching import Batching, pads_well
from fairbench.models.model import Model, ModelCard
from fairbench.models.unmasked import Seen, gives_attention, received_attention, seen_log_probabilities

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).with_name("tiny.py"))
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

SIZES = {"vocab_size": 200, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
DISTIL = {"vocab_size": 200, "dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48}
SPECIAL = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3}
NARROW = SIZES | {"embedding_size": 32}
FUNNEL = {"vocab_size": 200, "d_model": 32, "n_head": 4, "d_head": 8, "d_inner": 48, "block_sizes": [1, 1]}

GIVE = {
    "Bert": SIZES,
    "Roberta": SIZES | {"pad_token_id": 0},
    "Albert": SIZES | {"embedding_size": 16},
    "DistilBert": DISTIL,
    "ModernBert": SIZES | SPECIAL | {"local_attention": 8},
    "Deberta": SIZES,
    "DebertaV2": SIZES,
    "MPNet": SIZES | {"pad_token_id": 0},
    "ConvBert": NARROW,
}
"""Families that tell their weights, in one way of attending (DeBERTa, ConvBERT) or two; ConvBERT takes padding for text."""


def model_of(name: str, **options: object) -> Model:
    architecture = f"{name}ForMaskedLM"
    kind = getattr(transformers, architecture)
    network = tiny.spread(kind(kind.config_class(**options)))
    card = ModelCard(name="tiny", folder="", kind="masked", architecture=architecture, has_mask=True)
    return Model(card=card, network=network.eval(), tokenizer=tiny.wordpiece(), device=torch.device("cpu"))


def texts(count: int = 9, longest: int = 14) -> list[Seen]:
    rng = random.Random(0)
    found = []
    for _ in range(count):
        ids = (2, *(rng.randrange(5, 200) for _ in range(rng.randint(1, longest))), 3)
        found.append(Seen(ids, tuple(range(1, len(ids) - 1))))
    return [*found, found[0], Seen((2, 17, 18, 3), (2,))]


def plain(model: Model, text: Seen) -> tuple[list[float], list[float]]:
    network = model.network
    before = network.config._attn_implementation
    if before != "eager":
        network.set_attn_implementation("eager")
    with torch.no_grad():
        output = network(torch.tensor([text.ids]), output_attentions=True)
    if before != "eager":
        network.set_attn_implementation(before)
    table = torch.log_softmax(output.logits[0].double(), dim=-1)
    received = torch.stack([layer[0].double().mean(0) for layer in output.attentions]).mean(0).mean(0)
    return [float(table[i, text.ids[i]]) for i in text.places], [float(received[i]) for i in text.places]


@pytest.mark.parametrize("name", GIVE)
@pytest.mark.parametrize("batching", [Batching(), Batching(budget=40), Batching(rows=1)], ids=["auto", "budget", "one"])
def test_families_and_batches(name, batching):
    model, asked = model_of(name, **GIVE[name]), texts()
    assert pads_well(model) is (name != "ConvBert")
    way = model.network.config._attn_implementation
    scores = seen_log_probabilities(model, asked, batching)
    weights = received_attention(model, asked, batching)
    for text, score, weight in zip(asked, scores, weights, strict=True):
        expected = plain(model, text)
        np.testing.assert_allclose(score, expected[0], atol=1e-5)
        np.testing.assert_allclose(weight, expected[1], atol=1e-6)
    assert model.network.config._attn_implementation == way
    assert gives_attention(model.card.architecture)


def test_all_tokens_together_receive_all_attention():
    model = model_of("Bert", **SIZES)
    whole = [Seen(text.ids, tuple(range(len(text.ids)))) for text in texts()]
    for weight in received_attention(model, whole, Batching()):
        assert weight.sum() == pytest.approx(1, abs=1e-6)
        assert (weight > 0).all()


def test_many_weights_are_made_a_few_at_a_time(monkeypatch):
    model, asked = model_of("Bert", **SIZES), texts()
    together, sizes, received = received_attention(model, asked, Batching()), [], unmasked._received
    monkeypatch.setattr(unmasked, "_received", lambda m, batch: sizes.append(len(batch)) or received(m, batch))
    longest = max(len(text.ids) for text in asked)
    monkeypatch.setattr(unmasked, "WEIGHT_BYTES", 12 * 4 * longest * longest * 2)  # 3 layers of 4 heads, float32, two texts
    for few, many in zip(received_attention(model, asked, Batching()), together, strict=True):
        np.testing.assert_allclose(few, many, atol=1e-6)
    assert sizes[0] == 2
    assert sum(sizes) == len(set(asked))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("FNet", {k: v for k, v in SIZES.items() if k != "num_attention_heads"}, "gave"),
        ("Funnel", FUNNEL, "gave"),
        ("Longformer", SIZES | {"attention_window": 8}, "gave"),
        ("Mra", SIZES, "gave"),
        ("SqueezeBert", NARROW, "add up to 1"),
        ("Yoso", SIZES, "gave"),
        ("Nystromformer", SIZES | {"num_landmarks": 4, "segment_means_seq_len": 16}, "gave"),
    ],
)
def test_families_without_such_weights_are_refused(name, options, words):
    model = model_of(name, **options)
    with pytest.raises(FairbenchError, match=rf"{name}ForMaskedLM\) does not say how much .*{words}.*Use the scorer aul"):
        received_attention(model, [Seen(tuple(range(20, 36)), (1,))], Batching())
    assert gives_attention(model.card.architecture) is (name == "Nystromformer")  # a short text of it has them


def test_the_way_of_attending_comes_back_after_an_error(monkeypatch):
    model = model_of("Bert", **SIZES)
    assert model.network.config._attn_implementation == "sdpa"
    ways = []

    def fail(*_):
        ways.append(model.network.config._attn_implementation)
        raise RuntimeError("out of memory")

    monkeypatch.setattr(unmasked, "_received", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        received_attention(model, texts(), Batching())
    assert ways == ["eager"]
    assert model.network.config._attn_implementation == "sdpa"


def test_a_network_that_is_not_finite_is_left_to_its_probabilities():
    model = model_of("Bert", **SIZES)
    asked = [Seen((2, 10, 20, 30, 3), (1, 2, 3))]
    seen_log_probabilities(model, asked, Batching())
    with torch.no_grad():
        model.network.bert.embeddings.word_embeddings.weight[20] = float("nan")
    assert np.isnan(received_attention(model, asked, Batching())[0]).all()
    assert np.isnan(seen_log_probabilities(model, asked, Batching())[0]).all()


def test_half_precision():
    model = model_of("Bert", **SIZES)
    exact = received_attention(model, texts(), Batching())
    model.network.bfloat16()
    for rough, weight in zip(received_attention(model, texts(), Batching()), exact, strict=True):
        np.testing.assert_allclose(rough, weight, atol=0.03)


def test_nothing_asked():
    model = model_of("Bert", **SIZES)
    assert seen_log_probabilities(model, [], Batching()) == received_attention(model, [], Batching()) == []
