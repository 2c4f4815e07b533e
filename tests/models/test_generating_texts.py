"""Where texts end, and how tokens become text: stop strings, sentences, special tokens, spaces and bytes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import transformers

from fairbench.models.batching import Batching
from fairbench.models.decoding import Decoding, Wish, Written
from fairbench.models.endings import cut
from fairbench.models.generating import generate, prompt_ids
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import Model

SPEC = importlib.util.spec_from_file_location("written", Path(__file__).with_name("written.py"))
written = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(written)

SENTENCE = Decoding(sentence=True)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (" she left. He stayed.", " she left."),
        (" she left! He", " she left!"),
        (" did she? \n", " did she?"),
        (' he said "No." and', ' he said "No."'),
        (" he said (loudly!) and", " he said (loudly!)"),
        (" it was “fine.” Then", " it was “fine.”"),
        (" Dr. Ott and Mrs. Lee met J. K. Stone of the U.S. Army at 5 p.m. today. Then", None),
        (" met Dr. Ott. Then", " met Dr. Ott."),
        (" works for Brown Inc. and sleeps. Then", " works for Brown Inc. and sleeps."),
        (" it was I. Then", " it was I."),
        (" cost 3.50 in all. Then", " cost 3.50 in all."),
        (" went home.", None),  # what follows is not known yet
        (" cost 3.", None),
        (" no end at all", None),
        ("", None),
        (". Then", "."),
        (" one\nline only", None),
        (" see example.org for more. Then", " see example.org for more."),
        (" well... she left. Then", " well..."),
        (" well… she left", " well…"),
    ],
)
def test_the_first_sentence(text: str, kept: str | None) -> None:
    at = cut(text, SENTENCE)
    expected = text[: text.index(" Then")] if kept is None and text.endswith(" Then") else kept
    assert (None if at is None else text[:at]) == expected


def test_what_stands_before_may_begin_an_abbreviation() -> None:
    assert cut(". Ott left. Then", SENTENCE, "They met Dr") == len(". Ott left.")
    assert cut(". Ott left. Then", SENTENCE, "They met Lee") == 1
    assert cut(" and left. Then", SENTENCE, 'He said "stop."') == len(" and left."), "an end before the text is none of its own"


def test_the_first_of_all_ends_counts() -> None:
    both = Decoding(stop=("\n", "said", "she"), sentence=True)
    assert cut(" and he said that she left. Then\n", both) == len(" and he ")
    assert cut(" and he left. Then she", both) == len(" and he left.")
    assert cut(" and he left", both) is None
    assert cut("she", both) == 0


def one(model: Model, prompt: str, decoding: Decoding) -> Written:
    found = generate(model, [Wish(prompt, "0")], decoding, Batching())[0]
    assert isinstance(found, Written)
    return found


STORY = " she was late. The doctor said that he was tired."


def test_a_sentence_ends_a_text_and_the_work_on_it() -> None:
    model = written.scripted("The nurse said that", STORY)
    whole = one(model, "The nurse said that", Decoding(sample=False, max_new_tokens=40))
    assert whole.text.startswith(STORY) and whole.tokens == 40 and whole.finish == "length"
    before = model.network.fed
    found = one(model, "The nurse said that", Decoding(sample=False, max_new_tokens=40, sentence=True))
    assert (found.text, found.finish) == (" she was late.", "stop")
    assert found.tokens < 20 and model.network.fed - before < 30, "no more tokens than it takes to see the end"


@pytest.mark.parametrize(
    ("stop", "text", "finish"),
    [
        (("doctor",), " she was late. The ", "stop"),
        (("octor said th",), " she was late. The d", "stop"),  # from within one token to within another
        ((" she",), "", "stop"),
        (("late", "was"), " she ", "stop"),
        (("nurse",), STORY, "length"),  # stands in the prompt only
    ],
)
def test_a_stop_string_is_no_part_of_the_text(stop: tuple[str, ...], text: str, finish: str) -> None:
    model = written.scripted("The nurse said that", STORY)
    length = len(model.network.script)
    found = one(model, "The nurse said that", Decoding(sample=False, max_new_tokens=length, stop=stop))
    assert (found.text, found.finish) == (text, finish)
    assert found.tokens <= length


def test_rules_depend_on_no_neighbour() -> None:
    model, asked = written.gpt2(), written.wishes(64)
    decoding = Decoding(max_new_tokens=24, stop=("a", "\n"), sentence=True, temperature=0.9)
    found = generate(model, asked, decoding, Batching())
    assert {item.finish for item in found} >= {"stop", "length"}
    assert all("a" not in item.text and "\n" not in item.text for item in found)
    free = generate(model, asked, Decoding(max_new_tokens=24, temperature=0.9), Batching())
    assert all(long.text.startswith(item.text) for item, long in zip(found, free, strict=True))
    assert generate(model, asked[::-1], decoding, Batching(rows=7)) == found[::-1]
    assert generate(model, asked[:8], decoding, Batching(rows=1)) == found[:8]


def test_an_end_token_ends_a_text_and_special_tokens_never_show() -> None:
    model = written.gpt2()
    model.tokenizer.add_special_tokens({"additional_special_tokens": ["Ġthe"]})  # a token that it has, from now on special
    special = model.tokenizer.convert_tokens_to_ids("Ġthe")
    late, he = (model.tokenizer(text)["input_ids"] for text in (" late", " he"))
    told = written.scripted("The nurse", [*he, special, *late, 0, *he], model.tokenizer)
    found = one(told, "The nurse", Decoding(sample=False, max_new_tokens=20))
    assert (found.text, found.finish, found.tokens) == (" he late", "end", len(he) + 1 + len(late))
    at_once = written.scripted("The nurse", [0])
    assert one(at_once, "The nurse", Decoding(sample=False)) == Written("", 0, "end")


@pytest.mark.parametrize(
    ("sort", "said", "text"),
    [
        ("byte_level_bpe", " she was late.", " she was late."),
        ("byte_level_bpe", "r was late", "r was late"),
        ("byte_level_bpe", ", who", ", who"),
        ("unigram", "she was late.", " she was late."),  # its tokens begin with the space themselves
        ("wordpiece", "she was late", " she was late"),  # it has no spaces: a word that is no continuation gets one
    ],
)
def test_prompt_and_text_are_what_the_model_wrote(sort: str, said: str, text: str) -> None:
    prompt, tokenizer = "The nurse", getattr(written.tiny, sort)()
    ids = tokenizer(said, add_special_tokens=False)["input_ids"]
    model = written.scripted(prompt, ids, tokenizer, start_rule="none" if sort == "wordpiece" else "bos")
    found = one(model, prompt, Decoding(sample=False, max_new_tokens=len(ids)))
    assert found == Written(text, len(ids), "length")
    whole = tokenizer.decode([*prompt_ids(model, prompt, 1), *ids], skip_special_tokens=True)
    assert (prompt.lower() if sort == "wordpiece" else prompt) + text == whole


def test_a_letter_of_several_tokens_is_put_together() -> None:
    prompt, said = "The nurse said", " “naïve” 😀 and left"
    model = written.scripted(prompt, said)
    assert len(model.network.script) > len(said)
    full = one(model, prompt, Decoding(sample=False, max_new_tokens=len(model.network.script)))
    assert full.text == said
    emoji = prompt + " 😀"
    model = written.scripted(emoji, " and left")
    assert one(model, emoji, Decoding(sample=False, max_new_tokens=len(model.network.script))).text == " and left"
    stopped = written.scripted(prompt, said)
    assert one(stopped, prompt, Decoding(sample=False, max_new_tokens=40, stop=("😀",))).text == " “naïve” "


def test_half_a_letter_behind_a_prompt_does_not_spoil_it(real: Path) -> None:
    """SentencePiece reads neighbouring bytes together, and finds none of them readable where one is missing."""
    tokenizer = load(inspect_model(str(real / "models" / "stories260K" / "hf_converted"))).tokenizer
    half = tokenizer.convert_tokens_to_ids("<0xF0>")
    prompt = "Once 😀"
    assert not tokenizer.decode([*tokenizer(prompt)["input_ids"], half]).startswith("<s> Once 😀")
    config = transformers.GPT2Config(**{**written.GPT2, "vocab_size": len(tokenizer), "eos_token_id": 2})
    model = written.model_of(written.Scripted(config), tokenizer)
    model.network.script, model.network.start = (half,), len(prompt_ids(model, prompt, 1))
    assert one(model, prompt, Decoding(sample=False, max_new_tokens=1)).text == "\ufffd"
