"""What the likelihood probe is asked: defaults, refusals before anything runs, and the chat template."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fairbench.errors import FairbenchError
from fairbench.models.batching import Batching
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import ModelCard, ModelOptions
from fairbench.probes import likelihood
from fairbench.records import Cloze

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).parents[1] / "models" / "tiny.py")
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

CAUSAL = ModelCard(name="c", folder="", kind="causal", architecture="C", start_rule="bos", max_length=64)
MASKED = ModelCard(name="m", folder="", kind="masked", architecture="M", has_mask=True)


@pytest.mark.parametrize(
    ("card", "form", "scorer"),
    [
        (CAUSAL, "Pair", "sum"),
        (CAUSAL, "Cloze", "stereoset"),
        (CAUSAL, "Passage", "sum"),
        (MASKED, "Pair", "pll-shared"),
        (MASKED, "Cloze", "stereoset"),
    ],
)
def test_defaults(card, form, scorer):
    options = likelihood.resolve(card, form, {"scorer": None})
    assert options["scorer"] == scorer
    assert json.loads(json.dumps(options)) == options


@pytest.mark.parametrize(
    ("card", "form", "requested", "words"),
    [
        (CAUSAL, "Pair", {"scorer": "summ"}, "Did you mean sum?"),
        (CAUSAL, "Pair", {"scorer": "pll"}, "not for Pair records under a causal model"),
        (MASKED, "Pair", {"scorer": "sum"}, "Use pll-shared, pll, pll-changed, aul, aula or published"),
        (CAUSAL, "Pair", {"scorer": "aula"}, "Use sum or mean"),
        (CAUSAL, "Passage", {"scorer": "mean"}, "Use sum"),
        (MASKED, "Cloze", {"scorer": "published"}, "not for Cloze"),
        (MASKED, "Cloze", {"scorer": "aul", "context": "continued"}, "no next-sentence head"),
        (dataclasses.replace(MASKED, next_sentence=True), "Cloze", {"context": "continued", "scorer": "aula"}, "does not use"),
        (dataclasses.replace(MASKED, architecture="FNetForMaskedLM"), "Pair", {"scorer": "aula"}, "Use the scorer aul"),
        (dataclasses.replace(MASKED, has_mask=False), "Cloze", {"scorer": "pll"}, "which the scorer pll needs"),
        (MASKED, "Cloze", {"scorer": "pll-changed"}, "not for Cloze"),
        (MASKED, "Passage", {}, "running text"),
        (MASKED, "Cloze", {"context": "continued"}, "no next-sentence head"),
        (MASKED, "Cloze", {"context": "continud"}, "Did you mean continued?"),
        (CAUSAL, "Prompt", {}, "answers Pair, Cloze, Passage"),
        (CAUSAL, "Pair", {"scorers": "sum"}, "Did you mean scorer?"),
        (dataclasses.replace(MASKED, has_mask=False), "Pair", {}, "no mask token"),
        (dataclasses.replace(MASKED, kind="encoder"), "Pair", {}, "without a language-modelling head"),
        (dataclasses.replace(MASKED, next_sentence=True), "Cloze", {"context": "continued", "scorer": "pll"}, "does not use"),
    ],
)
def test_refused_before_anything_runs(card, form, requested, words):
    with pytest.raises(FairbenchError, match=words.replace("?", r"\?")):
        likelihood.resolve(card, form, requested)


@pytest.mark.parametrize("form", ["Pair", "Cloze"])
@pytest.mark.parametrize("scorer", ["aul", "aula"])
def test_what_masks_nothing_needs_no_mask(form, scorer):
    options = likelihood.resolve(dataclasses.replace(MASKED, has_mask=False), form, {"scorer": scorer})
    assert options["scorer"] == scorer


def test_only_aula_reads_attention():
    """A key in the options of the others would give every answer that is kept another hash."""
    with_it = [
        (form, scorer)
        for (kind, form), scorers in likelihood.SCORERS.items()
        for scorer in scorers
        if "attention" in likelihood.resolve(MASKED if kind == "masked" else CAUSAL, form, {"scorer": scorer})
    ]
    assert with_it == [("Pair", "aula"), ("Cloze", "aula")]
    assert likelihood.resolve(dataclasses.replace(MASKED, architecture="FNetForMaskedLM"), "Pair", {"scorer": "aul"})


# --- chat template -----------------------------------------------------------------------------------------------------------

TEMPLATE = "{{ bos_token }}{% for m in messages %}Q: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}A: {% endif %}"


@pytest.fixture(params=["file", "config", "list"])
def chatty(request, tmp_path):
    folder = tiny.llama(tmp_path)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    if request.param == "file":
        (folder / "chat_template.jinja").write_text(TEMPLATE)
    else:
        named = [{"name": "default", "template": TEMPLATE}, {"name": "tool_use", "template": "x"}]
        config["chat_template"] = TEMPLATE if request.param == "config" else named
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    model = load(inspect_model(str(folder), ModelOptions(apply_chat_template=True)))
    tiny.spread(model.network)
    return model


def test_chat_template(chatty):
    options = likelihood.resolve(chatty.card, "Cloze", {})
    assert options["scorer"] == "mean"
    assert options["chat_template_sha256"] == hashlib.sha256(TEMPLATE.encode()).hexdigest()
    context, reply = "The doctor came home.", "He was late."
    record = Cloze(id="0", context=context, stereotype=reply, antistereotype="She was.", unrelated="It rained.", target="t")
    row = likelihood.answer(chatty, [record], options, Batching())[0]
    before, ids = (
        chatty.tokenizer(text, add_special_tokens=False)["input_ids"]
        for text in (f"<s>Q: {context}\nA:", f"<s>Q: {context}\nA: {reply}")
    )
    before += [chatty.tokenizer.convert_tokens_to_ids("▁")] * (ids[len(before)] == chatty.tokenizer.convert_tokens_to_ids("▁"))
    assert ids[: len(before)] == before
    assert ids.count(chatty.tokenizer.bos_token_id) == 1
    with torch.no_grad():
        table = torch.log_softmax(chatty.network(torch.tensor([ids])).logits[0].double(), dim=-1).numpy()
    expected = np.mean([table[i - 1, ids[i]] for i in range(len(before), len(ids))])
    assert row["score_stereotype"] == pytest.approx(expected, abs=1e-4)


def test_chat_template_where_it_means_nothing(tmp_path):
    card = dataclasses.replace(CAUSAL, options=ModelOptions(apply_chat_template=True), folder=str(tmp_path))
    for other, form, requested in (
        (card, "Passage", {}),
        (card, "Cloze", {"scorer": "stereoset"}),
        (dataclasses.replace(card, kind="masked", has_mask=True), "Pair", {}),
        (card, "Pair", {}),
    ):
        with pytest.raises(FairbenchError, match=r"--apply-chat-template was asked for, but|has no chat template"):
            likelihood.resolve(other, form, requested)
