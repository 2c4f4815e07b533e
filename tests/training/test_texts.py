"""Texts as rows of tokens: nothing but the end is ever cut, and special tokens stay."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from fairbench.training.texts import code, kept, padded

SPEC = importlib.util.spec_from_file_location("toys", Path(__file__).with_name("toys.py"))
toys = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(toys)

LONG = "The nurse said that she was tired and the doctor said that he was late for work."


@pytest.mark.parametrize("build", ["wordpiece", "byte_level_bpe", "unigram", "byte_level_masked", "unigram_masked"])
def test_the_cut_is_that_of_the_tokenizer_itself(build):
    tokenizer = getattr(toys.tiny, build)()
    whole = tokenizer(LONG)["input_ids"]
    for limit in (8, len(whole) - 1, len(whole), 200):
        wanted = tokenizer(LONG, truncation=True, max_length=limit)["input_ids"]
        found = code(tokenizer, [LONG], limit)[0]
        assert list(found.ids) == wanted
        assert found.truncated == (limit < len(whole))


def test_a_text_without_a_token_of_its_own_has_none():
    for tokenizer in (toys.tiny.wordpiece(), toys.tiny.unigram(), toys.tiny.byte_level_bpe()):
        assert [coded.tokens for coded in code(tokenizer, ["", "She"], 16)] == [0, code(tokenizer, ["She"], 16)[0].tokens]


def test_a_special_token_in_the_text_is_the_texts_own():
    tokenizer = toys.tiny.byte_level_bpe()
    found = code(tokenizer, ["She is late<|endoftext|>"], 32)[0]
    assert found.ids[-1] == tokenizer.eos_token_id and found.tokens == len(found.ids)


def test_many_texts_are_coded_as_each_alone(monkeypatch):
    monkeypatch.setattr("fairbench.training.texts.BLOCK", 3)
    tokenizer = toys.tiny.wordpiece()
    texts = [LONG[:n] for n in range(1, 20)]
    assert code(tokenizer, texts, 12) == [code(tokenizer, [text], 12)[0] for text in texts]


def test_special_tokens_stay_wherever_they_stand():
    assert kept([1, 1, 0, 0, 0, 1], 5) == [0, 1, 2, 3, 5]
    assert kept([0, 0, 0], 2) == [0, 1]
    assert kept([1, 0, 0], 2) == [0, 1]
    assert kept([1, 0, 1], 8) == [0, 1, 2]


def test_rows_are_filled_up_at_the_right():
    found = padded([[5, 6, 7], [8]], 9)
    assert torch.equal(found["input_ids"], torch.tensor([[5, 6, 7], [8, 9, 9]]))
    assert torch.equal(found["attention_mask"], torch.tensor([[1, 1, 1], [1, 0, 0]]))
    found = padded([[5, 6, 7], [8]], 9, "left")
    assert torch.equal(found["input_ids"], torch.tensor([[5, 6, 7], [9, 9, 8]]))
    assert torch.equal(found["attention_mask"], torch.tensor([[1, 1, 1], [0, 0, 1]]))
