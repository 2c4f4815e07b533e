"""How a network may be asked: what stands padding and neighbours, what does not, and that the trial tells them apart."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from fairbench.models.batching import Batching
from fairbench.models.decoding import Decoding
from fairbench.models.generating import generate
from fairbench.models.turns import Way, way_of

SPEC = importlib.util.spec_from_file_location("written", Path(__file__).with_name("written.py"))
written = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(written)

OPEN = Decoding(temperature=1.2, top_k=50, max_new_tokens=8, seed=7)

SMALL = {"vocab_size": 400, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
WIDE = {**SMALL, "intermediate_size": 48, "num_key_value_heads": 2}


def gemma2() -> Any:
    """Layers of local attention, which reach less far back than the texts are long."""
    config = transformers.Gemma2Config(**WIDE, head_dim=8, sliding_window=9, final_logit_softcapping=5.0)
    return transformers.Gemma2ForCausalLM(config)


def bloom() -> Any:
    """No positions: a bias by distance."""
    config = transformers.BloomConfig(vocab_size=400, hidden_size=32, n_layer=2, n_head=4)
    return transformers.BloomForCausalLM(config)


def dynamic() -> Any:
    """Positions whose scale is set by the longest text of a batch."""
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**WIDE, max_position_embeddings=12, rope_parameters=rope))


def mamba() -> Any:
    """A recurrent state in the place of keys and values."""
    return transformers.MambaForCausalLM(transformers.MambaConfig(**{**SMALL, "state_size": 4}))


class Blind(transformers.GPT2LMHeadModel):
    """Takes padding for text."""

    def forward(self, input_ids: Any = None, attention_mask: Any = None, position_ids: Any = None, **rest: Any) -> Any:
        return super().forward(input_ids=input_ids, **rest)


class Gossip(transformers.GPT2LMHeadModel):
    """Every text of a batch hears of the others."""

    def forward(self, input_ids: Any = None, **rest: Any) -> Any:
        found = super().forward(input_ids=input_ids, **rest)
        found.logits = found.logits + found.logits.mean(0, keepdim=True)
        return found


def of_gpt2(network: type) -> Any:
    return lambda: network(transformers.GPT2Config(**written.GPT2))


@pytest.mark.parametrize(
    ("network", "way"),
    [
        (gemma2, Way("left padded", leaves=True)), (bloom, Way("left padded", leaves=True)),
        (dynamic, Way("equal lengths", leaves=True)), (mamba, Way("left padded", leaves=False)),
        (of_gpt2(Blind), Way("equal lengths", leaves=True)), (of_gpt2(Gossip), Way("one at a time", leaves=False)),
        (lambda: of_gpt2(transformers.GPT2LMHeadModel)().bfloat16(), Way("equal lengths", leaves=True)),
    ],
    ids=["gemma2", "bloom", "dynamic", "mamba", "blind", "gossip", "bfloat16"],
)  # fmt: skip
def test_networks_that_do_not_stand_padding_or_neighbours_are_asked_otherwise(network: Any, way: Way) -> None:
    model = written.model_of(network())
    assert way_of(model) == way
    asked, decoding = written.wishes(16), OPEN
    found = generate(model, asked, decoding, Batching())
    assert generate(model, asked[:4], decoding, Batching(rows=1)) == found[:4]
    assert generate(model, asked[::-1], decoding, Batching(rows=5)) == found[::-1]
    if network is not dynamic:  # whose cache keeps positions of the scale that they were read with
        for wish, item in zip(asked[:6], found, strict=False):
            assert item.tokens == len(written.plainly(model, wish, decoding)) or model.network.dtype == torch.bfloat16


def test_a_trial_that_dies_takes_the_plainer_way() -> None:
    class Touchy(transformers.GPT2LMHeadModel):
        def forward(self, attention_mask: Any = None, past_key_values: Any = None, **rest: Any) -> Any:
            if attention_mask is not None and (attention_mask == 0).any():
                raise RuntimeError("no padding, please")
            return super().forward(attention_mask=attention_mask, past_key_values=past_key_values, **rest)

    model = written.gpt2(Touchy)
    assert way_of(model) == Way("equal lengths", leaves=True)
    assert way_of(model).describe() == {"rows": "equal lengths", "ended rows": "leave the batch"}
    assert len(generate(model, written.wishes(9), OPEN, Batching())) == 9
