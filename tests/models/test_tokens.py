import importlib.util
from pathlib import Path

import pytest

from fairbench.errors import FairbenchError
from fairbench.models.model import ModelCard
from fairbench.models.tokens import encode, pieces_of_span, start_token

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).with_name("tiny.py"))
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

TOKENIZERS = {"byte-level": tiny.byte_level_bpe(), "WordPiece": tiny.wordpiece(), "SentencePiece": tiny.unigram()}
SENTENCE = "The nurse said that she was tired."


def words(text):
    """Character spans of the words between spaces."""
    start = 0
    for word in text.split():
        start = text.index(word, start)
        yield start, start + len(word)
        start += len(word)


def real(coded, tokenizer):
    """Positions of all tokens but the added ones and lone space marks."""
    pieces = tokenizer.convert_ids_to_tokens(coded.ids)
    return [i for i, special in enumerate(coded.special) if not special and pieces[i] != "▁"]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_every_token_belongs_to_one_word(name):
    coded = encode(TOKENIZERS[name], SENTENCE, special=True)
    found = [position for span in words(SENTENCE) for position in pieces_of_span(coded, *span)]
    assert found == real(coded, TOKENIZERS[name])


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_space_is_nobodys(name):
    coded = encode(TOKENIZERS[name], SENTENCE, special=True)
    assert pieces_of_span(coded, 3, 4) == []
    assert pieces_of_span(coded, 3, 9) == pieces_of_span(coded, 4, 9) != []


@pytest.mark.parametrize("name", TOKENIZERS)
def test_special_tokens_only_where_asked(name):
    tokenizer = TOKENIZERS[name]
    bare = encode(tokenizer, SENTENCE, special=False)
    assert not any(bare.special)
    full = encode(tokenizer, SENTENCE, special=True)
    assert [i for i, special in zip(full.ids, full.special, strict=True) if not special] == list(bare.ids)
    assert list(full.ids) == tokenizer(SENTENCE)["input_ids"]
    assert pieces_of_span(full, 0, len(SENTENCE)) == real(full, tokenizer)


def test_the_leading_space_belongs_to_the_piece():
    """The fault of scoring word by word: at the head of a text "nurse" is another token than inside it."""
    tokenizer = TOKENIZERS["byte-level"]
    coded = encode(tokenizer, "The nurse and her son", special=True)
    inside = [coded.ids[i] for i in pieces_of_span(coded, 4, 9)]
    assert tokenizer.convert_ids_to_tokens(inside)[0].startswith("Ġ")
    assert inside != tokenizer("nurse")["input_ids"]
    assert inside == tokenizer(" nurse")["input_ids"]


def test_bytes_of_one_character_share_it():
    coded = encode(TOKENIZERS["byte-level"], "a 😀 b", special=True)
    assert len(pieces_of_span(coded, 2, 3)) >= 4
    assert [coded.text[s:e].strip() for s, e in coded.offsets if coded.text[s:e].strip()][1:-1] == ["😀"] * len(
        pieces_of_span(coded, 2, 3)
    )


def test_a_lone_mark_before_the_text_stands_for_nothing():
    coded = encode(TOKENIZERS["SentencePiece"], "她 was", special=True)
    pieces = TOKENIZERS["SentencePiece"].convert_ids_to_tokens(coded.ids)
    assert all(pieces[i] != "▁" for i in pieces_of_span(coded, 0, 1))


def test_special_tokens_written_in_the_text_are_the_texts_own():
    coded = encode(TOKENIZERS["WordPiece"], "the [MASK] said", special=True)
    assert coded.special == (True, False, False, False, True)
    assert pieces_of_span(coded, 4, 10) == [2]


def test_a_tokenizer_that_cuts_is_told_not_to():
    tokenizer = tiny.wordpiece()
    tokenizer.backend_tokenizer.enable_truncation(4)
    tokenizer.backend_tokenizer.enable_padding(length=16)
    coded = encode(tokenizer, SENTENCE, special=True)
    assert len(coded.ids) == len(TOKENIZERS["WordPiece"](SENTENCE)["input_ids"])


def test_slow_tokenizers_are_refused():
    class Slow:
        is_fast = False

    with pytest.raises(FairbenchError, match="Slow is a slow tokenizer"):
        encode(Slow(), "text", special=True)


@pytest.mark.parametrize(
    ("rule", "name", "wanted"), [("bos", "SentencePiece", 1), ("eos", "SentencePiece", 2), ("none", "WordPiece", None)]
)
def test_start_token(rule, name, wanted):
    card = ModelCard(name="m", folder="/m", kind="causal", architecture="LlamaForCausalLM", start_rule=rule)
    assert start_token(card, TOKENIZERS[name]) == wanted
