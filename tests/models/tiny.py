"""Tiny random models with tokenizers of five sorts, built in a folder: what a test needs of a model and no more."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SENTENCES = [
    "The nurse said that she was tired.",
    "The doctor said that he was late for work.",
    "My neighbour plays the violin every evening, doesn't he?",
    "A carpenter built the old wooden house near the river.",
    "Mathematics and poetry are both beautiful things.",
    "It's raining; take an umbrella with you!",
    "Emily and Greg are going to the market to buy bread.",
]


def byte_level_bpe() -> transformers.PreTrainedTokenizerFast:
    """GPT-2's sort: bytes, spaces written as Ġ before a word, no special token added."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    end = "<|endoftext|>"
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=end, eos_token=end, model_max_length=32)


def wordpiece() -> transformers.PreTrainedTokenizerFast:
    """BERT's sort: lower-cased, continued pieces marked by ##, [CLS] and [SEP] around the text."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(
        SENTENCES, trainers.WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def unigram() -> transformers.PreTrainedTokenizerFast:
    """Llama's sort: SentencePiece's ▁ for spaces, <s> before the text."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<unk>", "<s>", "</s>"]
    trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", model_max_length=10**30
    )


def byte_level_masked() -> transformers.PreTrainedTokenizerFast:
    """RoBERTa's sort: byte-level BPE with <s> and </s> around the text and a mask."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False, trim_offsets=False)
    names = zip(("cls", "pad", "sep", "unk", "mask"), special, strict=True)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **{f"{name}_token": text for name, text in names})


def unigram_masked() -> transformers.PreTrainedTokenizerFast:
    """ALBERT's sort: SentencePiece's ▁ for spaces, [CLS] and [SEP] around the text and a mask."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    names = zip(("pad", "unk", "cls", "sep", "mask"), special, strict=True)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **{f"{name}_token": text for name, text in names})


def save(folder: Path, network: torch.nn.Module, tokenizer: transformers.PreTrainedTokenizerFast | None) -> Path:
    """Writes model and tokenizer without the libraries' progress bars."""
    with contextlib.redirect_stderr(io.StringIO()):
        network.save_pretrained(folder)
        if tokenizer is not None:
            tokenizer.save_pretrained(folder)
    return folder


def spread(network: torch.nn.Module) -> torch.nn.Module:
    """Random weights of a size at which a wrong position or mask shows."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return network


def gpt2(folder: Path) -> Path:
    """A causal model with learned positions and tied embeddings."""
    torch.manual_seed(0)
    tokenizer = byte_level_bpe()
    config = transformers.GPT2Config(vocab_size=len(tokenizer), n_positions=48, n_embd=24, n_layer=3, n_head=2)
    return save(folder, transformers.GPT2LMHeadModel(config), tokenizer)


def bert(folder: Path, name: str = "BertForPreTraining") -> Path:
    """A masked model, by default with both of BERT's heads."""
    torch.manual_seed(0)
    tokenizer = wordpiece()
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
    )
    return save(folder, getattr(transformers, name)(config), tokenizer)


def llama(folder: Path) -> Path:
    """A causal model with rotary positions and grouped keys."""
    torch.manual_seed(0)
    tokenizer = unigram()
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=24,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        bos_token_id=1,
        eos_token_id=2,
    )
    return save(folder, transformers.LlamaForCausalLM(config), tokenizer)


def roberta(folder: Path) -> Path:
    """A masked model with byte-level BPE, where a word has other pieces without its leading space."""
    torch.manual_seed(0)
    tokenizer = byte_level_masked()
    config = transformers.RobertaConfig(
        vocab_size=len(tokenizer), hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=66, pad_token_id=1,
    )  # fmt: skip
    return save(folder, transformers.RobertaForMaskedLM(config), tokenizer)


def albert(folder: Path) -> Path:
    """A masked model with SentencePiece's pieces and a head of its own shape."""
    torch.manual_seed(0)
    tokenizer = unigram_masked()
    config = transformers.AlbertConfig(
        vocab_size=len(tokenizer), embedding_size=16, hidden_size=24, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, pad_token_id=0, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    return save(folder, transformers.AlbertForMaskedLM(config), tokenizer)


def distilbert(folder: Path) -> Path:
    """A masked model without token types, whose configuration has names of its own."""
    torch.manual_seed(0)
    tokenizer = wordpiece()
    config = transformers.DistilBertConfig(
        vocab_size=len(tokenizer), dim=24, n_layers=2, n_heads=2, hidden_dim=32, max_position_embeddings=40, pad_token_id=0
    )
    return save(folder, transformers.DistilBertForMaskedLM(config), tokenizer)
