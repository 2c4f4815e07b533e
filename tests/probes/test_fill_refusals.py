"""What the fill probe refuses before it starts, what it leaves out with a reason, and what it writes down."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from fairbench.errors import FairbenchError
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import Model, ModelCard, ModelOptions
from fairbench.probes import fill, fill_causal

SPEC = importlib.util.spec_from_file_location("slots", Path(__file__).with_name("slots.py"))
slots = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(slots)
ask, slot, left_out, forward = slots.ask, slots.slot, slots.left_out, slots.forward


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return slots.Models(tmp_path_factory.mktemp("models"))


@pytest.fixture(params=["bert", "roberta", "albert"])
def masked(request, loaded) -> Model:
    return loaded(request.param)


@pytest.fixture(params=["gpt2", "llama"])
def causal(request, loaded) -> Model:
    model = loaded(request.param)
    return dataclasses.replace(model, card=dataclasses.replace(model.card, max_length=48))


def card(kind="masked", **more):
    given = {"architecture": f"A{kind}", "has_mask": kind == "masked", "start_rule": "bos", "max_length": 64} | more
    return ModelCard(name="tiny", folder="", kind=kind, **given)


def test_what_is_resolved():
    causal = fill.resolve(card("causal"), "Slot", {"scorer": None, "filler": " thing "})
    assert causal["scorer"] == "mean"
    assert (causal["filler"], causal["filler_after_an"], causal["top"]) == ("thing", "thing", 5)
    assert causal["start_token"] == "bos"
    assert "multi_token" not in causal
    plain = fill.resolve(card("causal", start_rule="none"), "Slot", {"top": "9"})
    assert (plain["filler"], plain["filler_after_an"], plain["top"]) == ("person", "individual", 9)
    assert plain["start_token"].startswith("none")
    masked = fill.resolve(card(), "Slot", {"multi_token": "skip"})
    assert masked["multi_token"] == "skip"
    assert fill.resolve(card(), "Slot", {})["multi_token"] == "mean"
    assert not {"scorer", "filler", "start_token"} & set(masked)
    assert masked["max_length"] == causal["max_length"] == 64
    json.dumps([causal, masked])


@pytest.mark.parametrize(
    ("kind", "form", "requested", "words"),
    [
        ("masked", "Pair", {}, "answers Slot records, not Pair"),
        ("encoder", "Slot", {}, "encoder without a language-modelling head"),
        ("masked", "Slot", {"scorer": "mean"}, "takes scorer for causal models only"),
        ("masked", "Slot", {"filler": "person"}, "takes filler for causal models only"),
        ("causal", "Slot", {"multi_token": "mean"}, "takes multi_token for masked models only"),
        ("causal", "Slot", {"scorer": "pll"}, "Unknown scorer 'pll'.* mean or sum"),
        ("masked", "Slot", {"multi_token": "skipp"}, "Did you mean skip"),
        ("masked", "Slot", {"top": 0}, "whole number above 0"),
        ("causal", "Slot", {"top": "many"}, "whole number above 0"),
        ("causal", "Slot", {"filler": " "}, "filler is empty"),
        ("causal", "Slot", {"fillr": "x"}, "no option 'fillr'.* filler"),
    ],
)
def test_refused_before_anything_is_loaded(kind, form, requested, words):
    with pytest.raises(FairbenchError, match=words):
        fill.resolve(card(kind), form, requested)


def test_refused_models():
    with pytest.raises(FairbenchError, match="no mask token"):
        fill.resolve(card(has_mask=False), "Slot", {})
    with pytest.raises(FairbenchError, match="apply-chat-template"):
        fill.resolve(card("causal", options=ModelOptions(apply_chat_template=True)), "Slot", {})


def test_notes_say_what_a_causal_model_does_not_see():
    assert any("not seen" in note for note in fill.notes(card("causal"), fill.resolve(card("causal"), "Slot", {})))
    assert fill.notes(card(), fill.resolve(card(), "Slot", {})) == ()


@pytest.mark.parametrize(
    ("template", "filler"),
    [
        ("[TARGET] is an [ATTRIBUTE].", "individual"),
        ("An [ATTRIBUTE] is [TARGET].", "individual"),
        ("[TARGET] is a [ATTRIBUTE].", "person"),
        ("[ATTRIBUTE] is [TARGET].", "person"),
        ("The woman [ATTRIBUTE] [TARGET].", "person"),
    ],
)
def test_the_filler_goes_with_its_article(template, filler):
    options = fill.resolve(card("causal"), "Slot", {})
    assert fill_causal.filler_for(template, options) == filler
    assert fill_causal.filler_for(template, fill.resolve(card("causal"), "Slot", {"filler": "worker"})) == "worker"


def test_an_unknown_word_is_left_out(loaded):
    for name in ("bert", "albert", "llama"):
        model = loaded(name)
        template = "The [TARGET] is an [ATTRIBUTE]."
        wrong = [
            slot(template, "日本", "nurse"),
            slot(template, "nurse", "日本"),
            slot(template, "日本"),
            slot(template, "he", "nurse"),
        ]
        unknown = "the target is an unknown token"
        assert left_out(model, *wrong) == [unknown, "the attribute is an unknown token", unknown, None]
    filler = left_out(loaded("llama"), slot("The [TARGET] is a [ATTRIBUTE].", "nurse", "doctor"), filler="日本")
    assert filler == ["the filler is an unknown token"]


def test_a_special_token_is_no_word(loaded):
    assert left_out(loaded("bert"), slot("The [TARGET] is [ATTRIBUTE].", "[MASK]", "late")) == ["the target is a special token"]
    ended = slot("The [TARGET] is [ATTRIBUTE].", "nurse", "<|endoftext|>")
    assert left_out(loaded("gpt2"), ended) == ["the attribute is a special token"]


# --- refusals ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (slot("He is a [ATTRIBUTE].", "he", "nurse"), "[TARGET] stands nowhere in the template"),
        (slot("He is a [ATTRIBUTE].", "he"), "[TARGET] stands nowhere in the template"),
        (slot("[TARGET] saw [TARGET], a [ATTRIBUTE].", "he", "nurse"), "[TARGET] stands more than once in the template"),
        (slot("[TARGET] is late.", "he", "nurse"), "[ATTRIBUTE] stands nowhere in the template"),
        (slot("[TARGET] is late.", "he"), "[ATTRIBUTE] stands nowhere in the template"),
        (slot("[TARGET] [ATTRIBUTE] [ATTRIBUTE].", "he", "nurse"), "[ATTRIBUTE] stands more than once in the template"),
        (slot("[TARGET] is a [ATTRIBUTE].", " ", "nurse"), "the target is empty"),
        (slot("[TARGET] is a [ATTRIBUTE].", "he", ""), "the attribute is empty"),
        (slot("[TARGET] is a [ATTRIBUTE]." + " the house" * 40, "he", "nurse"), "longer than the model's longest input"),
    ],
)
def test_records_that_cannot_be_asked(masked, causal, record, reason):
    for model in (masked, causal):
        good = slot("The [TARGET] is the [ATTRIBUTE].", "nurse", "doctor")
        rows = ask(model, [good, record, good])
        assert rows[1] == {"left_out": reason}
        assert rows[0] == rows[2] == ask(model, [good])[0]


def test_nothing_asked(loaded):
    assert ask(loaded("bert"), []) == ask(loaded("gpt2"), []) == []


def test_a_token_that_reaches_beyond_its_word(tmp_path):
    """The probability of a piece such as "him." is not that of "him"."""
    pieces = ["<unk>", "[CLS]", "[SEP]", "[MASK]", "▁him.", "▁him", ".", "▁we", "▁met", "▁man", "▁like", "▁person.", "▁person"]
    tokenizer = Tokenizer(models.Unigram([(piece, -1.0 - i / 10) for i, piece in enumerate(pieces)], unk_id=0))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    names = {"unk_token": "<unk>", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    config = transformers.BertConfig(
        vocab_size=len(fast), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    model = load(inspect_model(str(slots.tiny.save(tmp_path, transformers.BertForMaskedLM(config), fast))))
    beside = "a token holds a part of the word and of the text beside it"
    asked = [slot("we met [TARGET].", "him", "man"), slot("we like [ATTRIBUTE] met [TARGET].", "him", "man")]
    assert left_out(model, *asked) == ["[ATTRIBUTE] stands nowhere in the template", beside]
    # An attribute's piece may reach further: all that it stands for is hidden in the prior.
    found = ask(
        model, [slot("we like [TARGET] met [ATTRIBUTE].", "man", "him"), slot("we like [TARGET] met [ATTRIBUTE].", "man")]
    )
    assert found[0]["tokens"] == 1
    assert found[1] == {"left_out": beside}


def test_a_target_that_nothing_stands_before(loaded):
    """Without a start token the first word of a text has no probability."""
    model = loaded("gpt2")
    bare = dataclasses.replace(model, card=dataclasses.replace(model.card, start_rule="none"))
    records = [slot("[TARGET] is a [ATTRIBUTE].", "he", "nurse"), slot("The [TARGET] is a [ATTRIBUTE].", "nurse", "doctor")]
    first, second = ask(bare, records)
    assert first == {"left_out": "the target stands first, and without a start token nothing tells its probability"}
    ids = model.tokenizer("The nurse is a doctor.")["input_ids"]
    table = forward(model, ids)
    logs = [table[i - 1, ids[i]] for i in range(1, len(ids))]
    assert second["log_p"] == pytest.approx(np.mean(logs), abs=1e-4)
    assert second["mass"] == pytest.approx(math.exp(logs[0]), abs=1e-5)
    assert any("No start token" in note for note in fill.notes(bare.card, fill.resolve(bare.card, "Slot", {})))


def test_values_that_are_not_finite(tmp_path):
    for name in ("bert", "gpt2"):
        model = load(inspect_model(str(getattr(slots.tiny, name)(tmp_path / name))))
        record, open_one = (
            slot("The [TARGET] is late for [ATTRIBUTE].", "nurse", "work"),
            slot("The [TARGET] [ATTRIBUTE].", "nurse"),
        )
        assert left_out(model, record, open_one) == [None, None]
        with torch.no_grad():
            model.network.get_input_embeddings().weight.fill_(float("nan"))
        assert left_out(model, record, open_one) == ["a log-probability is not finite"] * 2
