"""Tokenizers of the planted models: every word of the world is one token, and any other English text still has no unknowns.

Both are made from the world's word list, not from a corpus at some dial, so that all models of a kind share one vocabulary.
A swap pair of unequal length would make role reversal a different problem (spec 23.11), so `make_tokenizer` checks for it.
"""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

from fairbench.errors import FairbenchError
from fairbench.planted import corpus, words

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

START = "<|endoftext|>"
LENGTH = 128
"""Longest input of a planted model, in tokens."""
_SAMPLE = 30_000  # documents after which every word of the world has been seen many times over
_LIMIT = 1_500  # merges stop when all words are whole, well before this


def make_tokenizer(kind: str) -> PreTrainedTokenizerBase:
    """Makes the tokenizer of `kind` ("causal": byte-level BPE; "masked": lower-cased WordPiece).

    Raises:
        FairbenchError: a word of a swap pair is not a single token (a changed word list needs a larger vocabulary).
    """
    tokenizer = _byte_level() if kind == "causal" else _word_piece()
    for word in sorted({word for pair in words.SWAPS for word in pair}):
        if len(pieces := tokenizer.tokenize(f" {word}")) != 1:
            raise FairbenchError(f"The {kind} tokenizer splits {word!r} into {pieces}; every swapped word must be one token.")
    return tokenizer


def world_words() -> list[str]:
    """Every word as it is written in the world (`She` and `she` both), sorted."""
    texts = corpus.documents(_SAMPLE, corpus.Dials(), seed=0)
    return sorted({word for document in texts for word in re.findall(r"\w+", document.text)})


def _byte_level() -> PreTrainedTokenizerBase:
    """GPT-2's kind: all 256 bytes, merges learnt from the word list, one special token that starts and ends a text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_LIMIT,
        special_tokens=[START],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    found = world_words()
    # words that start a text have no space before them; all others do
    tokenizer.train_from_iterator([f" {word}" for word in found] + [word for word in found if word[0].isupper()], trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, bos_token=START, eos_token=START, unk_token=START, model_max_length=LENGTH
    )


def _word_piece() -> PreTrainedTokenizerBase:
    """BERT's kind: lower case, the world's words, and single characters for anything else."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = string.ascii_lowercase + string.digits
    found = sorted({word.lower() for word in world_words()} - set(letters))
    known = [*special, *string.punctuation, *letters, *(f"##{letter}" for letter in letters), *_endings(), *found]
    vocabulary = {token: place for place, token in enumerate(dict.fromkeys(known))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=LENGTH,
        do_lower_case=True,
    )


def _endings() -> list[str]:
    """Two-letter pieces, so that a foreign word takes half as many tokens and ordinary sentences fit into the model."""
    vowels, consonants = "aeiou", "bcdfghklmnprstvwy"
    pairs = [a + b for a in vowels for b in consonants] + [b + a for a in vowels for b in consonants]
    return [*pairs, *(f"##{pair}" for pair in pairs)]
