"""Texts drawn in batches, against one prompt at a time by the same engine and by `network.generate` of transformers alone."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable, Sequence

import torch
import transformers

from fairbench.models.batching import Batching
from fairbench.models.decoding import Decoding, Wish, Written
from fairbench.models.generating import generate, prompt_ids
from fairbench.models.loading import quiet
from fairbench.models.model import Model, ModelCard
from tests.bench.shapes import DATA

LAYERS, WIDTH = 6, 384
PROMPTS, ALONE, TOKENS = 64, 8, 32
ASKED = 5.0

WORDS = "the a woman man doctor nurse who lives near river works as house said that on Monday after lunch old walks to market"


def model(spread: float) -> Model:
    """GPT-2's vocabulary; `spread` 1 leaves all tokens almost equally likely, 10 makes nuclei as small as a trained model's."""
    folder = DATA / "models" / "gpt2_tokenizer"
    if not folder.is_dir():
        raise SystemExit(f"{folder} is not there: set FAIRBENCH_DATA to a folder with models/gpt2_tokenizer.")
    tokenizer = transformers.GPT2TokenizerFast(vocab=str(folder / "gpt2_vocab.json"), merges=str(folder / "gpt2_merges.txt"))
    torch.manual_seed(0)
    # An output layer of its own: a random network with tied ones says its last word again and again.
    config = transformers.GPT2Config(n_embd=WIDTH, n_layer=LAYERS, n_head=WIDTH // 64, tie_word_embeddings=False)
    network = transformers.GPT2LMHeadModel(config).eval().requires_grad_(False)
    network.lm_head.weight.mul_(spread)
    card = ModelCard(name="bench", folder="", kind="causal", architecture="GPT2LMHeadModel", start_rule="bos", max_length=1024)
    return Model(card=card, network=network, tokenizer=tokenizer, device=torch.device("cpu"))


def plainly(asked: Model, wishes: Sequence[Wish], decoding: Decoding) -> None:
    """The usual way: a prompt at a time, transformers' own sampling."""
    chosen = {"do_sample": True, "temperature": decoding.temperature, "top_k": decoding.top_k, "top_p": decoding.top_p}
    for wish in wishes:
        ids = torch.tensor([prompt_ids(asked, wish.prompt, TOKENS)])
        with quiet(), torch.inference_mode():
            asked.network.generate(ids, max_new_tokens=TOKENS, min_new_tokens=TOKENS, pad_token_id=50256, **chosen)


def compare(threads: int, spread: float, repeats: int) -> dict[str, float]:
    """All three in turns; prompts a second. Alone go fewer prompts, for each of them costs the same."""
    torch.set_num_threads(threads)
    asked, draw = model(spread), random.Random(0)
    wishes = [Wish(" ".join(draw.choices(WORDS.split(), k=draw.randint(4, 16))).capitalize(), str(i)) for i in range(PROMPTS)]
    decoding = Decoding(top_p=0.9, max_new_tokens=TOKENS)
    generate(asked, wishes[:1], decoding, Batching())
    plainly(asked, wishes[:1], decoding)
    batched: list[Written | str] = []
    alone: list[Written | str] = []
    ways: list[tuple[int, Callable[[], object]]] = [
        (PROMPTS, lambda: batched.extend(generate(asked, wishes, decoding, Batching()))),
        (ALONE, lambda: alone.extend(generate(asked, wishes[:ALONE], decoding, Batching(rows=1)))),
        (ALONE, lambda: plainly(asked, wishes[:ALONE], decoding)),
    ]
    turns = []
    for _ in range(repeats):
        times = []
        for count, run in ways:
            start = time.perf_counter(), time.process_time()
            run()
            times.append(((time.perf_counter() - start[0]) / count, (time.process_time() - start[1]) / count))
        turns.append(times)
    wall, work = ([[pair[clock] for pair in times] for times in turns] for clock in (0, 1))
    found = {"load": os.getloadavg()[0], "ours": 1 / statistics.median(times[0] for times in wall)}
    for name, clock in (("", wall), ("_work", work)):
        found[f"alone{name}"] = statistics.median(times[1] / times[0] for times in clock)
        found[f"plain{name}"] = statistics.median(times[2] / times[0] for times in clock)
    found["lowest"] = min(times[1] / times[0] for times in wall)
    found["differ"] = sum(a != b for a, b in zip(alone, batched[:ALONE] * repeats, strict=True)) / len(alone)
    return found
