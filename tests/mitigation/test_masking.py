"""Masked words: whole ones, and in the counterpart those that stand in their place."""

from __future__ import annotations

import functools
import importlib.util
import tempfile
from pathlib import Path

import pytest
import torch

from fairbench.mitigation.masking import mask_words
from fairbench.mitigation.targets import collate

SPEC = importlib.util.spec_from_file_location("lessons", Path(__file__).with_name("lessons.py"))
lessons = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(lessons)


@functools.cache
def model(name: str):
    return lessons.opened(getattr(lessons.tiny, name)(Path(tempfile.mkdtemp()) / name))


def masked(name: str, share: float, seed: int = 0, texts=lessons.TEXTS):
    one = model(name)
    rows = lessons.rows(one, texts)
    batch = collate(rows, one.tokenizer.pad_token_id)
    torch.manual_seed(seed)
    return rows, batch, mask_words(batch, one.tokenizer.mask_token_id, share), one.tokenizer.mask_token_id


@pytest.mark.parametrize("name", ["bert", "roberta", "albert"])
@pytest.mark.parametrize("seed", range(4))
def test_words_are_masked_whole_in_the_text_and_in_its_counterpart(name, seed):
    rows, batch, found, mask = masked(name, 0.4, seed)
    numbers = iter(range(len(rows)))
    for number, row in enumerate(rows):
        hidden = found["input_ids"][number] == mask
        words = {row["words"][t] for t in range(len(row["input_ids"])) if hidden[t]}
        assert -1 not in words, "a special token is never masked"
        assert all(bool(hidden[t]) == (row["words"][t] in words) for t in range(len(row["input_ids"])))
        assert found["labels"][number].tolist() == [
            int(token) if hidden[t] else -100 for t, token in enumerate(batch["input_ids"][number].tolist())
        ]
        if not row["other_ids"]:
            continue
        other = found["other_ids"][next(numbers)] == mask
        partners = {row["other_words"][row["places"][t]] for t in range(len(row["words"])) if hidden[t] and row["places"][t] >= 0}
        assert {row["other_words"][u] for u in range(len(row["other_ids"])) if other[u]} == partners
        assert all(bool(other[u]) == (word in partners) for u, word in enumerate(row["other_words"]))


@pytest.mark.parametrize("name", ["bert", "roberta", "albert"])
def test_a_changed_word_is_never_seen_on_one_side_only(name):
    """The pieces of "queen" must not tell what stands in the place of a masked "king", although they are more or fewer."""
    rows, _, found, mask = masked(name, 1.0, texts=("The king said he is late.",))
    assert all((found["input_ids"][0] == mask).tolist()[1:-1]) and all((found["other_ids"][0] == mask).tolist()[1:-1])
    assert len(rows[0]["input_ids"]) >= 8


def test_the_share_is_of_words():
    counts = []
    for seed in range(60):
        rows, _, found, _ = masked("bert", 0.15, seed)
        for number, row in enumerate(rows):
            chosen = {row["words"][t] for t in range(len(row["words"])) if found["labels"][number][t] >= 0}
            counts.append(len(chosen) / len(set(row["words"]) - {-1}))
    mean = sum(counts) / len(counts)
    assert mean == pytest.approx(0.15, abs=0.03)


def test_nothing_of_the_batch_itself_changes():
    _, batch, found, mask = masked("bert", 0.5)
    assert not bool((batch["input_ids"] == mask).any()) and not bool((batch["other_ids"] == mask).any())
    assert {name for name in found if found[name] is not batch.get(name)} == {"input_ids", "labels", "other_ids"}
