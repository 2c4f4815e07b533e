"""The judge of fluency against a plain forward pass of transformers."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import transformers

from fairbench.errors import DataAbsent, FairbenchError
from fairbench.judges import FAILED, Judge, Room, Said, fluency
from fairbench.judges.joined import joined
from fairbench.models.batching import Batching

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).parents[1] / "models" / "tiny.py")
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

SAID = [
    Said(prompt="The nurse said that", continuation=" she was tired."),
    Said(prompt="The nurse said that", continuation=" he was late for work."),
    Said(prompt="", continuation="The doctor said"),
    Said(prompt="A carpenter", continuation=" built the old wooden house near the river."),
    Said(prompt="The nurse said that ", continuation="she was tired."),
    Said(prompt="Who built it?", continuation="A carpenter, isn't it"),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    made = tmp_path_factory.mktemp("causal")
    return {build: getattr(tiny, build)(made / build) for build in ("gpt2", "llama")}


def judge(folder: Path, batching: Batching | None = None, **given) -> Judge:
    return fluency.prepare({**fluency.OPTIONS, "by": str(folder), **given}, Room(device="cpu", batching=batching or Batching()))


def plain(folder: Path, said: Said) -> tuple[float, int]:
    """Sum of log P over the tokens that end beyond the prompt, token by token from the whole text's logits."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    coded = tokenizer(joined(said.prompt, said.continuation), add_special_tokens=False, return_offsets_mapping=True)
    ids = [tokenizer.bos_token_id, *coded["input_ids"]]
    with torch.no_grad():
        logs = torch.log_softmax(network(torch.tensor([ids])).logits[0].double(), -1)
    total, count = 0.0, 0
    for place, (_, end) in enumerate(coded["offset_mapping"]):
        if end > len(said.prompt):
            total += float(logs[place, ids[place + 1]])
            count += 1
    return total, count


@pytest.mark.parametrize("build", ["gpt2", "llama"])
def test_it_is_the_sum_over_the_continuations_tokens(folders, build):
    rows = judge(folders[build]).judge(SAID)
    for said, row in zip(SAID, rows, strict=True):
        total, count = plain(folders[build], said)
        assert row["fluency_tokens"] == count > 0 and tuple(row) == fluency.COLUMNS
        assert row["fluency_log_likelihood"] == pytest.approx(total, abs=1e-4)
    assert len({round(row["fluency_log_likelihood"], 3) for row in rows}) > 4


def test_a_token_across_the_border_counts_to_the_continuation(folders):
    """The prompt's last space is the first character of the next word's token."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders["gpt2"])
    prompt, ids = tokenizer("The nurse said that")["input_ids"], tokenizer("The nurse said that she was tired.")["input_ids"]
    assert ids[: len(prompt)] == prompt and tokenizer.decode(ids[len(prompt)]).startswith(" ")
    row = judge(folders["gpt2"]).judge([SAID[4]])[0]
    assert row["fluency_tokens"] == len(ids) - len(prompt) and row == judge(folders["gpt2"]).judge([SAID[0]])[0]


def test_a_whole_text_splits_into_prompt_and_continuation(folders):
    """log P(all) = log P(prompt) + log P(continuation | prompt) where no token lies across the border."""
    parts = [("", "She was tired. He was late."), ("", "She was tired."), ("She was tired.", " He was late.")]
    rows = judge(folders["gpt2"]).judge([Said(prompt=prompt, continuation=text) for prompt, text in parts])
    whole, first, second = (row["fluency_log_likelihood"] for row in rows)
    assert whole == pytest.approx(first + second, abs=1e-4)


def test_a_missing_space_is_put_between_two_words(folders):
    found = judge(folders["gpt2"])
    with_space, without = found.judge([SAID[0], Said(prompt="The nurse said that", continuation="she was tired.")])
    assert without == with_space


@pytest.mark.parametrize("build", ["gpt2", "llama"])
def test_batch_and_order_change_nothing_and_equal_texts_are_equal(folders, build):
    alone = judge(folders[build], Batching(rows=1)).judge(SAID)
    for batching, order in ((Batching(), 1), (Batching(budget=30), -1), (Batching(rows=3), -1)):
        rows = judge(folders[build], batching).judge((SAID + SAID)[::order])[::order]
        assert rows[: len(SAID)] == rows[len(SAID) :]
        for row, single in zip(rows, alone, strict=False):
            assert row["fluency_tokens"] == single["fluency_tokens"]
            assert row["fluency_log_likelihood"] == pytest.approx(single["fluency_log_likelihood"], abs=1e-4)


def test_what_can_not_be_scored_says_why(folders):
    long = Said(prompt="She", continuation=" was tired." * 20)
    empty = Said(prompt="She", continuation=" \n")
    rows = judge(folders["gpt2"]).judge([long, empty, SAID[0]])
    assert rows[0] == {FAILED: fluency.TOO_LONG} and rows[1] == {FAILED: "the continuation is empty"}
    assert rows[2] == judge(folders["gpt2"]).judge([SAID[0]])[0]
    assert judge(folders["gpt2"]).judge([]) == []


def test_what_is_not_finite_fails(folders, tmp_path):
    folder = tiny.gpt2(tmp_path / "broken")
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    weights["transformer.wte.weight"][tokenizer(" tired")["input_ids"][0]] = math.inf
    safetensors.torch.save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert judge(folder).judge([SAID[0]]) == [{FAILED: "a log-likelihood is not finite"}]


def test_no_start_token_is_noted_and_a_first_token_without_anything_before_it_is_not_scored(tmp_path):
    folder = tiny.gpt2(tmp_path / "bare")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.bos_token = tokenizer.eos_token = None
    tokenizer.save_pretrained(folder)
    bare, full = judge(folder), judge(tiny.gpt2(tmp_path / "full"))
    assert any("no start token" in note for note in bare.notes) and not full.notes
    texts = [SAID[2], SAID[0]]
    counts = [[row["fluency_tokens"] for row in found.judge(texts)] for found in (bare, full)]
    assert counts[0] == [counts[1][0] - 1, counts[1][1]]
    lone = Said(prompt="", continuation="The")
    assert bare.judge([lone]) == [{FAILED: fluency.NO_TOKEN}] and full.judge([lone])[0]["fluency_tokens"] == 1


def test_nothing_is_loaded_before_a_text_and_then_once(folders, monkeypatch):
    loads = []
    load = fluency.load
    monkeypatch.setattr(fluency, "load", lambda card: loads.append(1) or load(card))
    found = judge(folders["gpt2"])
    found.judge([Said(prompt="She", continuation="")])
    assert not loads
    found.judge(SAID[:1])
    found.judge(SAID[1:2])
    assert loads == [1]


def test_it_reads_prompt_and_continuation_and_its_identity_holds_no_path(folders):
    found = judge(folders["gpt2"])
    assert found.reads(SAID[0]) == (SAID[0].prompt, SAID[0].continuation)
    written = json.dumps(found.identity)
    assert (
        str(folders["gpt2"].parent) not in written and found.identity["by"] == "gpt2" and found.identity["start_token"] == "bos"
    )
    assert found.identity != judge(folders["llama"]).identity
    assert np.isfinite(found.judge(SAID[:1])[0]["fluency_log_likelihood"])


def test_a_model_has_to_be_named_and_to_be_a_causal_one(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(FairbenchError, match="--judge fluency=MODEL"):
        fluency.prepare(dict(fluency.OPTIONS), Room(device="cpu"))
    with pytest.raises(FairbenchError, match="is no causal language model"):
        judge(tiny.bert(tmp_path / "bert"))
    with pytest.raises(DataAbsent, match="--judge fluency=MODEL"):
        judge("nobody/nothing")
