"""The card: read by the Hub's own reader, and silent on the folders of a machine."""

from __future__ import annotations

import pytest
from huggingface_hub import ModelCard

from fairbench.mitigation.card import shown_name, write_card

ABOUT = {
    "key": "0" * 32,
    "method": "role-reversal",
    "base": {"name": "planted:causal-0.5", "revision": None, "architecture": "GPT2LMHeadModel", "weights": "ab"},
    "options": {"merge": "expmean", "seed": 3, "layers": None},
    "corpus": {"name": "texts.txt", "kind": "files", "files": ["texts.txt"]},
    "texts": {"documents": 12, "rows": 12},
    "training": {"steps": 20, "seconds": 1.23456789},
    "measured": {"text_loss_before": 1.0, "text_loss_after": None},
    "vocabulary_map": {"blocks": 2, "words": [[" he"], [" she"]], "left_out": {"a|b": "odd\nreason"}},
    "names": [["James", "Mary"]] * 80,
    "warnings": ["Mind the gap."],
    "versions": {"fairbench": "0.1"},
}


def test_the_hub_reads_the_card(tmp_path):
    write_card(tmp_path, ABOUT)
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.library_name == "transformers" and card.data.tags == ["fairbench", "fairness", "mitigation", "role-reversal"]
    assert card.data.base_model is None, "what is not on the Hub is no base there"
    assert (
        "> **Note.** Mind the gap." in card.text and "| merge | expmean |" in card.text and "| seconds | 1.23457 |" in card.text
    )
    assert "## Limits" in card.text and "whole in fairbench.json" in card.text
    tables = [line for line in card.text.splitlines() if line.startswith("|")]
    assert all(line.replace("\\|", "").count("|") == 3 for line in tables), "no cell breaks its table"


@pytest.mark.parametrize(("name", "revision", "base"), [("some/model", "f" * 40, "some/model"), ("some/model", None, None)])
def test_a_base_of_the_hub_is_named_as_such(name, revision, base, tmp_path):
    write_card(tmp_path, {**ABOUT, "base": {**ABOUT["base"], "name": name, "revision": revision}, "corpus": None})
    assert ModelCard.load(tmp_path / "README.md").data.base_model == base


def test_what_lies_on_a_machine_is_named_by_its_last_part(tmp_path, monkeypatch):
    (tmp_path / "deep" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep")
    for name in (str(tmp_path / "deep" / "model"), "model", "./model", "../deep/model/"):
        assert shown_name(name) == "model"
    assert shown_name(str(tmp_path / "*.txt")) == "*.txt"
    for name in ("openai-community/gpt2", "planted:0.5", "sampled", None):
        assert shown_name(name) == name


def test_a_model_with_code_of_its_own_says_how_it_is_loaded(tmp_path):
    write_card(tmp_path, ABOUT)
    assert "trust_remote_code" not in (tmp_path / "README.md").read_text()
    (tmp_path / "own.py").write_text("")
    write_card(tmp_path, ABOUT)
    assert "trust_remote_code=True" in ModelCard.load(tmp_path / "README.md").text
