"""Models for tests of written text: random ones whose distributions are far from flat, and one that writes what it is told."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from fairbench.models.decoding import Decoding, Wish
from fairbench.models.drawing import uniforms
from fairbench.models.generating import end_tokens, prompt_ids
from fairbench.models.model import Model, ModelCard

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).with_name("tiny.py"))
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

PROMPTS = (
    "The nurse said that",
    "A",
    "The doctor was late, and",
    "Emily and Greg are going to the market to buy",
    "My neighbour plays the violin every evening, doesn't",
    "",
    "It's raining; take an umbrella with you! The old wooden house near the",
    "The",
)


def wishes(count: int, prompts: Sequence[str] = PROMPTS) -> list[Wish]:
    return [Wish(prompts[i % len(prompts)], f"{i % len(prompts)}/{i // len(prompts)}") for i in range(count)]


def model_of(network: Any, tokenizer: Any = None, spread: float = 0.3, **card: Any) -> Model:
    """A random network whose logits differ by nats, so that a wrong mask or position shows."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.copy_(spread * torch.randn(parameter.shape, generator=generator))
    card = {"name": "tiny", "folder": "", "kind": "causal", "architecture": type(network).__name__, "start_rule": "bos", **card}
    tokenizer = tokenizer or tiny.byte_level_bpe()
    return Model(card=ModelCard(**card), network=network.eval(), tokenizer=tokenizer, device=torch.device("cpu"))


GPT2 = {"vocab_size": 400, "n_positions": 120, "n_embd": 32, "n_layer": 2, "n_head": 4, "bos_token_id": 0, "eos_token_id": 0}


def gpt2(network: type = transformers.GPT2LMHeadModel, **card: Any) -> Model:
    return model_of(network(transformers.GPT2Config(**GPT2)), **card)


def llama(**options: Any) -> Model:
    """With the tokenizer that writes spaces as ▁, and grouped keys."""
    config = {
        "vocab_size": 84, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": 2, **options,
    }  # fmt: skip
    return model_of(transformers.LlamaForCausalLM(transformers.LlamaConfig(**config)), tiny.unigram())


class Scripted(transformers.GPT2LMHeadModel):
    """Writes the tokens of `script` from the position `start` on, whatever stands before; counts the tokens that it is fed."""

    script: tuple[int, ...] = ()
    start = 0
    fed = 0

    def forward(self, input_ids: Any = None, position_ids: Any = None, **rest: Any) -> Any:
        found = super().forward(input_ids=input_ids, position_ids=position_ids, **rest)
        self.fed += input_ids.numel()
        logits = torch.zeros_like(found.logits)
        for row, place in enumerate(position_ids[:, -1].tolist()):
            told = place + 1 - self.start
            logits[row % len(logits), -1, self.script[told] if 0 <= told < len(self.script) else 5] = 50.0
        found.logits = logits
        return found


def scripted(prompt: str, continuation: str | Sequence[int], tokenizer: Any = None, **card: Any) -> Model:
    """A model that writes this continuation after this prompt, as the tokenizer cuts both together, and then token 5 for ever."""
    model = gpt2(Scripted, tokenizer=tokenizer, **card)
    before = prompt_ids(model, prompt, 1)
    if isinstance(continuation, str):
        whole = prompt_ids(model, prompt + continuation, 1)
        assert whole[: len(before)] == before, "the border between the two goes through a token"
        continuation = whole[len(before) :]
    model.network.script, model.network.start = tuple(continuation), len(before)
    return model


def plainly(model: Model, wish: Wish, decoding: Decoding) -> list[int]:
    """The same by the plainest loop: the whole text through the network for each token, no cache, NumPy's own draw."""
    ids = list(prompt_ids(model, wish.prompt, decoding.max_new_tokens))
    numbers = uniforms(decoding.seed, wish.key, decoding.max_new_tokens)
    written: list[int] = []
    for row in numbers:
        with torch.inference_mode():
            logits = model.network(torch.tensor([ids + written]), use_cache=False).logits[0, -1].double().numpy()
        token = int(logits.argmax()) if not decoding.sample else drawn_plainly(logits, row, decoding)
        if token in end_tokens(model):
            break
        written.append(token)
    return written


def drawn_plainly(logits: np.ndarray, numbers: np.ndarray, decoding: Decoding) -> int:
    """Draws from all tokens until one is kept, the last time from the kept ones alone."""
    whole, kept = (kept_plainly(logits, choice) for choice in (Decoding(temperature=decoding.temperature), decoding))
    for number in numbers[:-1]:
        token = first_above(whole, number)
        if kept[token]:
            return token
    return first_above(kept, numbers[-1])


def first_above(shares: np.ndarray, number: float) -> int:
    return int(min(np.searchsorted(np.cumsum(shares), number * shares.sum(), side="right"), np.flatnonzero(shares)[-1]))


def kept_plainly(logits: np.ndarray, decoding: Decoding) -> np.ndarray:
    """Probabilities after temperature, top-k and top-p, those that are cut off 0."""
    shares = np.exp((logits - logits.max()) / decoding.temperature)
    order = np.argsort(-shares, kind="stable")[: decoding.top_k or None]
    if decoding.top_p < 1:
        held = np.cumsum(shares[order]) / shares[order].sum()
        order = order[: np.searchsorted(held, decoding.top_p - 1e-12, side="right") + 1]
    kept = np.zeros_like(shares)
    kept[order] = shares[order]
    return kept / kept.sum()
