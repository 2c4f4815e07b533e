"""Prediction sensitivity to all classes of a text, beside plain loops and beside as many forward passes as there are classes.

Everything runs in turns in one process that has one thread, in processor time: on a machine with other work the clock on the wall
tells of that work too.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from fairbench.models.batching import Batching
from fairbench.models.model import ModelCard
from fairbench.probes import gradients, sensitivity
from fairbench.probes.sensitivity import Sensitive
from fairbench.records import Labelled
from fairbench.training.head import map_labels
from tests.bench.shapes import ROOT

CLASSES, TOKENS, WIDTH, LAYERS, WORDS = 28, 64, 384, 6, 2_000
TEXTS, TEXTS_PLAIN = 8, 1
"""A loop of batch 1 with parameter gradients takes seconds a text, so it gets fewer of them; times are told for one text."""

ASKED = {"frozen": 1.8, "plain": 3.0, "forward": 1.25}


def compare(repeats: int) -> dict[str, float]:
    """Milliseconds a text and ratios by name, measured in a process that has one thread."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.bench.sensitivity", str(repeats)]
    done = subprocess.run(command, check=True, env=environment, cwd=ROOT, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def classifier() -> Sensitive:
    """An encoder with random weights; its tokenizer knows words as one piece each."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    listed = {word: i for i, word in enumerate([*special, *(f"w{i}" for i in range(WORDS))])}
    tokenizer = Tokenizer(models.WordLevel(listed, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(listed), hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=12, intermediate_size=4 * WIDTH,
        num_labels=CLASSES,
    )  # fmt: skip
    return Sensitive(
        card=ModelCard(name="bench", folder=".", kind="encoder", architecture="BertForSequenceClassification", max_length=512),
        network=transformers.BertForSequenceClassification(config).eval().requires_grad_(False),
        tokenizer=transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"),
        device=torch.device("cpu"),
        head=map_labels("bench", [str(i) for i in range(CLASSES)], ()),
        max_length=512,
        pad=0,
    )  # fmt: skip


def texts() -> list[Labelled]:
    """Texts of so many tokens with the two around them."""
    rng = random.Random(0)
    words = [[f"w{rng.randrange(WORDS)}" for _ in range(TOKENS - 2)] for _ in range(TEXTS)]
    return [Labelled(id=str(i), text=" ".join(chosen), label=0) for i, chosen in enumerate(words)]


def by_class(network: Any, ids: torch.Tensor) -> torch.Tensor:
    """The plain loop: one forward and one backward pass a class. (b, classes, t) lengths of the gradients."""
    found = []
    for number in range(CLASSES):
        kept: list[torch.Tensor] = []

        def take(module: Any, given: Any, output: torch.Tensor, kept: list[torch.Tensor] = kept) -> torch.Tensor:
            kept.append(output.detach().requires_grad_())
            return kept[0]

        hook = network.get_input_embeddings().register_forward_hook(take)
        probs = network(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.softmax(-1)
        hook.remove()
        network.zero_grad()
        probs[:, number].sum().backward()
        assert kept[0].grad is not None
        found.append(kept[0].grad.norm(dim=-1))
    return torch.stack(found, 1)


def forward(network: Any, ids: torch.Tensor) -> None:
    """As many forward passes as there are classes."""
    with torch.inference_mode():
        for _ in range(CLASSES):
            network(input_ids=ids, attention_mask=torch.ones_like(ids))


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    out = work()
    return time.process_time() - start, out


def _measure(repeats: int) -> dict[str, float]:
    torch.set_num_threads(1)
    model, records = classifier(), texts()
    options = sensitivity.resolve(model.card, "Labelled", {"classes": "uniform", "protected": "uniform"})
    ids = torch.tensor(model.tokenizer([record.text for record in records])["input_ids"])
    assert ids.shape == (TEXTS, TOKENS)
    size = gradients.BUDGETS["cpu"] // TOKENS
    batches = ids.split(size)
    sensitivity.answer(model, records[:1], options, Batching())  # the trial of padding, once a network
    turns: list[dict[str, float]] = []
    for _ in range(repeats):
        ours, answers = _seconds(lambda: sensitivity.answer(model, records, options, Batching()))
        frozen, wanted = _seconds(lambda: torch.cat([by_class(model.network, batch) for batch in batches]))
        model.network.requires_grad_(True)
        plain, _ = _seconds(lambda: [by_class(model.network, one) for one in ids[:TEXTS_PLAIN].split(1)])
        model.network.zero_grad(set_to_none=True)
        model.network.requires_grad_(False)
        passes, _ = _seconds(lambda: [forward(model.network, batch) for batch in batches])
        turns.append({"ours": ours / TEXTS, "frozen": frozen / TEXTS, "plain": plain / TEXTS_PLAIN, "forward": passes / TEXTS})
    moved = torch.tensor([answer["token_sensitivity"] for answer in answers])
    mean = wanted.mean(1)[:, 1:-1]
    medians = {name: 1e3 * statistics.median(turn[name] for turn in turns) for name in turns[0]}
    return {
        **medians,
        "frozen_ratio": statistics.median(turn["frozen"] / turn["ours"] for turn in turns),
        "plain_ratio": statistics.median(turn["plain"] / turn["ours"] for turn in turns),
        "forward_ratio": statistics.median(turn["ours"] / turn["forward"] for turn in turns),
        "difference": float(((moved - mean).abs() / mean).max()),
    }


if __name__ == "__main__":
    print(json.dumps(_measure(int(sys.argv[1]))))
