"""Every method that trains, on both kinds of model: an ordinary model folder that scores, and that learnt what it was taught."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import transformers
from huggingface_hub import ModelCard

import fairbench
from fairbench.errors import FairbenchError
from fairbench.mitigation.methods import dropout
from fairbench.models.loading import inspect_model

LAYERS = {"role-reversal": 1, "distill": 1}


def made(folder: Path, method: str, kind: str, **options):
    return fairbench.mitigate(
        f"planted:{kind}-0.5", method, folder, corpus="planted:0.5", documents=60, model_options={"device": "cpu"},
        **{"batch_size": 8, "steps": 3, "held_out": 0.2, **options},
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["causal", "masked"])
@pytest.mark.parametrize("method", ["distill", "role-reversal", "role-reversal-finetune", "cda", "dropout", "focal"])
def test_a_method_makes_an_ordinary_model(method, kind, tmp_path):
    found = made(tmp_path / "model", method, kind)
    auto = transformers.AutoModelForCausalLM if kind == "causal" else transformers.AutoModelForMaskedLM
    network, lost = auto.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not lost["missing_keys"] and network.config.num_hidden_layers == LAYERS.get(method, 2) and network.config.use_cache
    assert len(transformers.AutoTokenizer.from_pretrained(tmp_path / "model")) <= network.config.vocab_size
    about = json.loads((tmp_path / "model" / "fairbench.json").read_text())
    assert about == found.about and about["method"] == method and about["training"]["steps"] == 3
    measured = about["measured"]
    assert measured["held_out_rows"] >= 4 and 0 < measured["text_loss_before"] < 8 and 0 < measured["text_loss_after"] < 8
    assert about["options"]["steps"] == 3 and about["base"]["weights"] and about["versions"]["fairbench"]
    assert ModelCard.load(tmp_path / "model" / "README.md").data.tags[-1] == method
    assert not [path for path in tmp_path.iterdir() if path.name != "model"]


def test_nothing_of_this_machine_stands_in_what_is_published(tmp_path):
    base = made(tmp_path / "deep" / "base", "distill", "causal").folder
    (tmp_path / "deep" / "own.txt").write_text("".join(f"The mill {n} is old. She said that he was there.\n" for n in range(20)))
    done = fairbench.mitigate(
        str(base), "role-reversal", tmp_path / "made", corpus=str(tmp_path / "deep" / "own.txt"), steps=2, batch_size=4,
        student=str(base), model_options={"device": "cpu"},
    )  # fmt: skip
    assert (
        done.about["base"]["name"] == "base"
        and done.about["corpus"]["name"] == "own.txt"
        and done.about["options"]["student"] == "base"
    )
    for path in done.folder.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes(), path.name


@pytest.mark.slow
def test_a_student_comes_nearer_to_its_teacher(tmp_path):
    early = made(tmp_path / "early", "distill", "causal", steps=1, learning_rate=1e-6).about["measured"]
    late = made(tmp_path / "late", "distill", "causal", steps=150, learning_rate=3e-3).about["measured"]
    assert late["kd_after"] < 0.5 * early["kd_after"] and late["text_loss_after"] < early["text_loss_after"]


def resolved(monkeypatch, config: str, **given: float):
    """The options of dropout and the names that its rates go to, for a model of that configuration."""
    card = inspect_model("planted:causal-0.5")
    monkeypatch.setattr(dropout, "_config", lambda _: getattr(transformers, config)())
    options = {name: option.default for name, option in dropout.OPTIONS.items()} | given
    found = dropout.resolve(card, options, frozenset(given))
    return found["hidden"], found["attention"], dict(dropout.recipe(card, found).dropout)


@pytest.mark.parametrize(
    ("config", "given", "hidden", "attention", "names"),
    [
        ("LlamaConfig", {}, None, 0.05, {"attention_dropout": 0.05}),
        ("LlamaConfig", {"attention": 0.3}, None, 0.3, {"attention_dropout": 0.3}),
        ("GPTNeoConfig", {}, 0.05, 0.05, {"resid_dropout": 0.05, "embed_dropout": 0.05, "attention_dropout": 0.05}),
        ("MptConfig", {"hidden": 0.0}, 0.0, None, {"emb_pdrop": 0.0, "resid_pdrop": 0.0}),
        (
            "ModernBertConfig",
            {"hidden": 0.2},
            0.2,
            0.05,
            {"embedding_dropout": 0.2, "mlp_dropout": 0.2, "attention_dropout": 0.05},
        ),
        ("BertConfig", {}, 0.20, 0.15, {"hidden_dropout_prob": 0.20, "attention_probs_dropout_prob": 0.15}),
    ],
)
def test_a_rate_of_dropout_goes_to_every_name_or_is_null(monkeypatch, config, given, hidden, attention, names):
    assert resolved(monkeypatch, config, **given) == (hidden, attention, names)


@pytest.mark.parametrize(
    ("config", "given"), [("LlamaConfig", {"hidden": 0.3}), ("LlamaConfig", {"hidden": 0.0}), ("MptConfig", {"attention": 0.3})]
)
def test_a_rate_of_dropout_that_nothing_takes_is_refused(monkeypatch, config, given):
    ((name, rate),) = given.items()
    with pytest.raises(FairbenchError, match=f"{name}={rate:g}: .* has no such dropout. Leave {name} out") as caught:
        resolved(monkeypatch, config, **given)
    assert "\n" not in str(caught.value)


def test_dropout_keeps_what_a_model_says_of_its_texts(tmp_path):
    base = made(tmp_path / "base", "dropout", "causal", steps=1).folder
    config = transformers.GenerationConfig.from_pretrained(base)
    config.eos_token_id = [0, 7]
    config.save_pretrained(base)
    again = fairbench.mitigate(
        str(base), "dropout", tmp_path / "again", corpus="planted:0.5", documents=60, steps=1, batch_size=8,
        model_options={"device": "cpu"},
    )  # fmt: skip
    assert transformers.GenerationConfig.from_pretrained(again.folder).eos_token_id == [0, 7]
