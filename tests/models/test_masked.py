"""Log-probabilities behind masks against one input at a time through the whole network."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from fairbench.models import masked
from fairbench.models.batching import Batching, pads_well
from fairbench.models.masked import Hidden, head_of, hidden_log_probabilities, hide
from fairbench.models.model import Model, ModelCard

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).with_name("tiny.py"))
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

SMALL = {"vocab_size": 200, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def model_of(network: torch.nn.Module) -> Model:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    card = ModelCard(name="tiny", folder="", kind="masked", architecture="", has_mask=True)
    return Model(card=card, network=network.eval(), tokenizer=tiny.wordpiece(), device=torch.device("cpu"))


def bert() -> torch.nn.Module:
    return transformers.BertForMaskedLM(transformers.BertConfig(**SMALL))


def both_heads() -> torch.nn.Module:
    return transformers.BertForPreTraining(transformers.BertConfig(**SMALL))


def roberta() -> torch.nn.Module:
    return transformers.RobertaForMaskedLM(transformers.RobertaConfig(pad_token_id=0, **SMALL))


def distilbert() -> torch.nn.Module:
    return transformers.DistilBertForMaskedLM(transformers.DistilBertConfig(vocab_size=200, dim=32, n_layers=2, n_heads=4))


def albert() -> torch.nn.Module:
    return transformers.AlbertForMaskedLM(transformers.AlbertConfig(embedding_size=16, **SMALL))


def modernbert() -> torch.nn.Module:
    config = transformers.ModernBertConfig(pad_token_id=0, cls_token_id=2, sep_token_id=3, local_attention=8, **SMALL)
    return transformers.ModernBertForMaskedLM(config)


def convbert() -> torch.nn.Module:
    return transformers.ConvBertForMaskedLM(transformers.ConvBertConfig(embedding_size=32, **SMALL))


def fnet() -> torch.nn.Module:
    return transformers.FNetForMaskedLM(transformers.FNetConfig(**{k: v for k, v in SMALL.items() if k != "num_attention_heads"}))


def asked(count: int = 12) -> list[Hidden]:
    rng = random.Random(0)
    found = []
    for _ in range(count):
        ids = (2, *(rng.randrange(5, 200) for _ in range(rng.randint(1, 14))), 3)
        found += [hide(ids, place, 4) for place in range(1, len(ids) - 1)]
    found += [Hidden(found[0].ids, found[0].place, 17), found[0]]
    rng.shuffle(found)
    return found


def plain(network: torch.nn.Module, item: Hidden) -> float:
    with torch.no_grad():
        output = network(torch.tensor([item.ids]))
    logits = output.logits if "logits" in output else output.prediction_logits
    return float(torch.log_softmax(logits[0, item.place].double(), 0)[item.token])


@pytest.mark.parametrize("make", [bert, both_heads, roberta, distilbert, albert, modernbert])
@pytest.mark.parametrize("batching", [Batching(), Batching(budget=40), Batching(rows=1)])
def test_families_and_batches(make, batching):
    model = model_of(make())
    items = asked()
    found = hidden_log_probabilities(model, items, batching)
    assert head_of(model).kind == "own"
    np.testing.assert_allclose(found, [plain(model.network, item) for item in items], atol=1e-4)


@pytest.mark.parametrize(("make", "well"), [(bert, True), (roberta, True), (modernbert, True), (convbert, False), (fnet, False)])
@pytest.mark.parametrize("batching", [Batching(), Batching(rows=3)])
def test_padding_changes_nothing(make, well, batching):
    model, items = model_of(make()), asked()
    assert pads_well(model) is well
    found = hidden_log_probabilities(model, items, batching)
    np.testing.assert_allclose(found, [plain(model.network, item) for item in items], atol=1e-4)


def test_half_precision_still_pads():
    model = model_of(bert())
    model.network.bfloat16()
    assert pads_well(model)


def test_a_padding_token_without_an_embedding():
    model, items = model_of(bert()), asked()
    model.tokenizer.add_special_tokens({"pad_token": "<new>"})
    model.tokenizer.add_tokens([f"new{i}" for i in range(200)])
    model.tokenizer.pad_token = "new150"
    assert model.tokenizer.pad_token_id >= 200
    found = hidden_log_probabilities(model, items, Batching())
    np.testing.assert_allclose(found, [plain(model.network, item) for item in items], atol=1e-4)


def test_equal_inputs_are_run_once(monkeypatch):
    model, run = model_of(bert()), masked._run
    seen = []
    monkeypatch.setattr(masked, "_run", lambda m, inputs, *rest: seen.extend(inputs) or run(m, inputs, *rest))
    he, she = (2, 10, 20, 30, 3), (2, 11, 20, 30, 3)
    items = [hide(ids, place, 4) for ids in (he, she) for place in (1, 2, 3)]
    found = hidden_log_probabilities(model, items, Batching())
    assert len(seen) == 5
    np.testing.assert_allclose(found, [plain(model.network, item) for item in items], atol=1e-4)


def test_one_input_that_is_not_finite_leaves_the_others_alone():
    model = model_of(bert())
    good, bad = hide((2, 10, 20, 30, 3), 1, 4), hide((2, 10, 199, 3), 1, 4)
    expected = plain(model.network, good)
    head_of(model)
    with torch.no_grad():
        model.network.bert.embeddings.word_embeddings.weight = torch.nn.Parameter(
            model.network.bert.embeddings.word_embeddings.weight.index_fill(0, torch.tensor([199]), float("nan"))
        )
    found = hidden_log_probabilities(model, [good, bad], Batching())
    assert np.isnan(found[1])
    assert found[0] == pytest.approx(expected, abs=1e-4)


def test_nothing_asked():
    assert hidden_log_probabilities(model_of(bert()), [], Batching()).shape == (0,)
