"""Models of the sizes that are compared, with random weights: what is measured is work, not wisdom."""

from __future__ import annotations

import csv
import os
import string
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from fairbench.models.loading import quiet

ROOT = Path(__file__).parents[2]
BENCH = ROOT / ".bench"
DATA = Path(os.environ.get("FAIRBENCH_DATA", ROOT.parent / "shared" / "data"))


def pairs(count: int | None = None) -> list[tuple[str, str]]:
    """CrowS-Pairs in the file's order."""
    path = DATA / "crows_pairs" / "crows_pairs_anonymized.csv"
    if not path.is_file():
        raise SystemExit(f"{path} is not there: set FAIRBENCH_DATA to a folder with crows_pairs/crows_pairs_anonymized.csv.")
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["sent_more"], row["sent_less"]) for row in csv.DictReader(file)][:count]


def gpt2_90m() -> Path:
    """GPT-2's depth and vocabulary at width 640: 92 million parameters."""
    folder = BENCH / "models" / "gpt2-90m"
    if not (folder / "config.json").is_file():
        source = DATA / "models" / "gpt2_tokenizer"
        tokenizer = transformers.GPT2TokenizerFast(
            vocab=str(source / "gpt2_vocab.json"), merges=str(source / "gpt2_merges.txt"), model_max_length=1024
        )
        torch.manual_seed(0)
        config = transformers.GPT2Config(n_embd=640, n_layer=12, n_head=10, bos_token_id=50256, eos_token_id=50256)
        _save(transformers.GPT2LMHeadModel(config), tokenizer, folder)
    return folder


def bert(width: int, layers: int) -> Path:
    """A BERT of BERT's vocabulary size; its tokenizer knows the words of the benchmark's sentences as one piece each."""
    folder = BENCH / "models" / f"bert-{layers}x{width}"
    if not (folder / "config.json").is_file():
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        words = {word for pair in pairs() for text in pair for word in _words(text)}
        listed = [*special, *sorted(words)]
        tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(listed)}, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        fast = transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            **{f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")},
            model_max_length=512,
        )
        torch.manual_seed(0)
        config = transformers.BertConfig(
            hidden_size=width, num_hidden_layers=layers, num_attention_heads=width // 32, intermediate_size=4 * width
        )
        _save(transformers.BertForMaskedLM(config), fast, folder)
    return folder


def _words(text: str) -> list[str]:
    spaced = text.lower().translate({ord(mark): f" {mark} " for mark in string.punctuation})
    return spaced.split()


def _save(network: torch.nn.Module, tokenizer: transformers.PreTrainedTokenizerFast, folder: Path) -> None:
    with quiet():
        network.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
