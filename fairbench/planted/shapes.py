"""The two shapes of the planted models: small, without dropout, as deep as the planted world needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairbench.planted.vocabulary import LENGTH

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def make_network(kind: str, tokenizer: PreTrainedTokenizerBase, shape: tuple[int, int, int], init_std: float) -> PreTrainedModel:
    """A network with fresh weights, drawn from torch's global generator.

    Args:
        kind: "causal" (GPT-2's shape) or "masked" (BERT's).
        tokenizer: gives the vocabulary and the special tokens.
        shape: layers, width, heads.
        init_std: spread of the initial weights.
    """
    from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

    layers, width, heads = shape
    if kind == "causal":
        config = GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=LENGTH,
            n_embd=width,
            n_layer=layers,
            n_head=heads,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            initializer_range=init_std,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
        return GPT2LMHeadModel(config)
    return BertForMaskedLM(
        BertConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=LENGTH,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * width,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            initializer_range=init_std,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
