"""The generation probe: its options, its rows, and what it says of them."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from fairbench.errors import FairbenchError
from fairbench.files import digest
from fairbench.models.batching import Batching
from fairbench.models.decoding import Decoding, Wish, Written
from fairbench.models.generating import TOO_LONG, generate
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import Model, ModelCard, ModelOptions
from fairbench.probes import generation
from fairbench.records import Prompt
from fairbench.registry import Registry

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).parents[1] / "models" / "tiny.py")
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

CARD = ModelCard(name="tiny", folder="", kind="causal", architecture="GPT2LMHeadModel", start_rule="bos", max_length=128)
TEXTS = ("The nurse said that", "The doctor met the ", "It was", "The man said that", "The woman said that she")
RECORDS = [Prompt(id=f"p{i}", text=text) for i, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def planted() -> Model:
    return load(inspect_model("planted:causal-1.0"))


def ask(model: Model, records: list[Prompt] = RECORDS, batching: Batching | None = None, **requested: Any) -> list[Any]:
    options = generation.resolve(model.card, "Prompt", {"max_new_tokens": 10, **requested})
    return generation.answer(model, records, options, batching or Batching())


def test_the_registry_finds_it_with_all_that_a_probe_offers() -> None:
    probe = Registry().probe("generation")
    assert probe.FORMS == ("Prompt",) and probe.VERSION >= 1
    assert set(probe.OPTIONS) >= {"samples", "sampling", "sampling_seed", "stop", "instruction"}


def test_options_that_nobody_names_stand_in_the_result() -> None:
    options = generation.resolve(CARD, "Prompt", {"samples": None})
    wanted = {
        "samples": 1, "sampling": "sample", "temperature": 1.0, "top_k": 0, "top_p": 0.9, "max_new_tokens": 40, "stop": [],
        "sentence": False, "sampling_seed": 0, "instruction": "{text}", "strip_prompt": True, "start_token": "bos, once",
        "padding": "left, masked", "chat_template": False, "chat_template_sha256": None, "max_length": 128,
        "too_long": "left out",
    }  # fmt: skip
    assert {name: options[name] for name in wanted} == wanted
    assert "temperature, then top_k, then top_p" in options["order"]
    assert json.loads(json.dumps(options)) == options


def test_options_are_read_from_text_as_from_values() -> None:
    text = {
        "samples": "25", "sampling": "sample", "temperature": "0.7", "top_k": " 40 ", "top_p": "1", "max_new_tokens": "20",
        "stop": r"\n|\||a\\", "sentence": "True", "sampling_seed": "3", "instruction": r"Go on:\n{text}", "strip_prompt": "false",
    }  # fmt: skip
    values = {
        "samples": 25, "sampling": "sample", "temperature": 0.7, "top_k": 40, "top_p": 1, "max_new_tokens": 20,
        "stop": ("\n", "|", "a\\"), "sentence": True, "sampling_seed": 3, "instruction": "Go on:\n{text}", "strip_prompt": False,
    }  # fmt: skip
    found = generation.resolve(CARD, "Prompt", text)
    assert digest(found) == digest(generation.resolve(CARD, "Prompt", values))
    assert found["stop"] == ["\n", "|", "a\\"] and "sentence_rule" in found
    decoding = generation.decoding_of(found)
    assert decoding == Decoding(
        temperature=0.7, top_k=40, top_p=1.0, max_new_tokens=20, stop=("\n", "|", "a\\"), sentence=True, seed=3
    )


def test_what_is_greedy_has_no_options_of_drawing() -> None:
    plain = generation.resolve(CARD, "Prompt", {"sampling": "greedy"})
    assert not {"temperature", "top_k", "top_p", "sampling_seed", "order", "draws"} & set(plain)
    # A card's nucleus means nothing here, and does not make other answers of it.
    assert generation.resolve(CARD, "Prompt", {"sampling": "greedy", "top_p": "0.5", "temperature": "2"}) == plain
    assert generation.decoding_of(plain) == Decoding(sample=False, max_new_tokens=40)
    assert generation.notes(CARD, plain) == ()
    said = generation.notes(CARD, generation.resolve(CARD, "Prompt", {"sampling_seed": 4}))
    assert len(said) == 1 and "sampling_seed 4" in said[0] and "--sweep sampling_seed=0,1,2" in said[0]


@pytest.mark.parametrize(
    ("requested", "said"),
    [
        ({"sample": 3}, "has no option 'sample'. Did you mean samples"),
        ({"samples": "0"}, "samples is '0'; wanted a whole number, 1 or more"),
        ({"samples": "2.5"}, "wanted a whole number"),
        ({"samples": True}, "wanted a whole number"),
        ({"samples": 3, "sampling": "greedy"}, "writes the same text every time"),
        ({"sampling_seed": 3, "sampling": "greedy"}, "draws nothing"),
        ({"sampling": "gredy"}, "Did you mean greedy?"),
        ({"temperature": "hot"}, "temperature is 'hot'; wanted a number"),
        ({"temperature": 0}, "above 0 (for the likeliest token every time: greedy)"),
        ({"top_p": "90"}, "at most 1"),
        ({"top_k": "-1"}, "0 or more"),
        ({"max_new_tokens": "many"}, "wanted a whole number, 1 or more"),
        ({"stop": "a||b"}, "joined by |"),
        ({"stop": ["a", 3]}, "joined by |"),
        ({"sentence": "perhaps"}, "wanted true or false"),
        ({"strip_prompt": 2}, "wanted true or false"),
        ({"sampling_seed": "x"}, "wanted a whole number, 0 or more"),
        ({"instruction": "Continue."}, "wanted a text with {text} in it"),
    ],
)
def test_options_that_can_not_be_meant_are_refused_in_one_paragraph(requested: dict[str, Any], said: str) -> None:
    with pytest.raises(FairbenchError) as caught:
        generation.resolve(CARD, "Prompt", requested)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_models_that_write_no_text_are_refused() -> None:
    for kind, word in (("masked", "a masked model"), ("encoder", "an encoder")):
        with pytest.raises(FairbenchError, match=f"tiny is {word}.*writes no text"):
            generation.resolve(dataclasses.replace(CARD, kind=kind), "Prompt", {})
    with pytest.raises(FairbenchError, match="answers Prompt records, not Pair"):
        generation.resolve(CARD, "Pair", {})


def test_a_served_model_is_asked_without_what_only_a_loaded_one_has() -> None:
    card = dataclasses.replace(CARD, kind="served", options=ModelOptions(url="http://localhost:1/v1", apply_chat_template=True))
    options = generation.resolve(card, "Prompt", {"samples": 2, "sentence": True})
    assert options["chat_template"] is True and "start_token" not in options
    with pytest.raises(FairbenchError, match="top_k 5 was asked for"):
        generation.resolve(card, "Prompt", {"top_k": 5})

    class Served(Model):
        def generate(self, wishes: Any, decoding: Decoding) -> list[Written | str]:
            return [Written(f" {wish.prompt} {wish.key}. More", 3, "length") for wish in wishes]

    model = Served(card=card, network=None, tokenizer=None, device=None)
    rows = generation.answer(model, RECORDS[:2], options, Batching())
    assert rows[1] == [
        {"continuation": f" The doctor met the p1/{k}.", "sample": k, "finish": "stop", "tokens": 3} for k in range(2)
    ]
    assert generation.sanity(model) is None
    assert generation.engine(model) == {"replies": "of a server"}


def test_a_row_for_each_sample_and_more_keep_the_first_ones(planted: Model) -> None:
    rows = ask(planted, samples=4)
    assert [[row["sample"] for row in of] for of in rows] == [[0, 1, 2, 3]] * len(RECORDS)
    assert all(set(row) == {"continuation", "sample", "finish", "tokens"} for of in rows for row in of)
    assert len({row["continuation"] for of in rows for row in of}) > 12
    assert [of[:2] for of in rows] == ask(planted, samples=2)
    assert rows[2:4] == ask(planted, RECORDS[2:4], samples=4), "a limit or a part changes no row"
    assert rows[::-1] == ask(planted, RECORDS[::-1], Batching(rows=3), samples=4)
    assert rows != ask(planted, samples=4, sampling_seed=1)
    keys = [Wish("The nurse said that", f"p0/{k}") for k in range(4)]
    drawn = generate(planted, keys, Decoding(top_p=0.9, max_new_tokens=10), Batching())
    assert [row["continuation"] for row in rows[0]] == [item.text for item in drawn]
    assert ask(planted, []) == []


def test_the_space_at_a_prompts_end_is_taken_away_and_stands_once(planted: Model) -> None:
    assert generation.prompt_of("The doctor met the ", {"instruction": "{text}", "strip_prompt": True}) == (
        "The doctor met the",
        " ",
    )
    stripped, whole = (ask(planted, [RECORDS[1]], sampling="greedy", strip_prompt=s)[0][0]["continuation"] for s in (True, False))
    bare = generate(planted, [Wish("The doctor met the", "p1/0")], Decoding(sample=False, max_new_tokens=10), Batching())[0]
    assert bare.text == f" {stripped}", "the record's text and its continuation are what the model wrote"
    assert stripped[0].isalpha()
    assert whole != stripped, "a lone space is another token than the one before a word"


def test_an_instruction_is_what_the_model_is_given(planted: Model) -> None:
    asked = ask(planted, RECORDS[:1], instruction="The man said that he was tired. {text}", sampling="greedy")
    prompt = "The man said that he was tired. The nurse said that"
    wanted = generate(planted, [Wish(prompt, "p0/0")], Decoding(sample=False, max_new_tokens=10), Batching())[0]
    assert asked[0][0]["continuation"] == wanted.text


def test_a_record_is_left_out_once_with_its_reason(planted: Model) -> None:
    records = [RECORDS[0], Prompt(id="long", text="The doctor met the nurse. " * 40), RECORDS[2]]
    rows = ask(planted, records, samples=3)
    assert rows[1] == {"left_out": TOO_LONG}
    assert len(rows[0]) == len(rows[2]) == 3


def test_engine_and_sanity_speak_of_the_network(planted: Model) -> None:
    assert generation.engine(planted) == {"rows": "left padded", "ended rows": "leave the batch"}
    assert generation.sanity(planted) is None


def test_end_tokens_and_chat_template_of_a_folder_are_in_the_hash(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path)
    (folder / "generation_config.json").write_text('{"eos_token_id": [2, 7]}')
    card = inspect_model(str(folder))
    assert generation.resolve(card, "Prompt", {})["end_tokens"] == [2, 7]
    with pytest.raises(FairbenchError, match="has no chat template"):
        inspect_model(str(folder), ModelOptions(apply_chat_template=True))
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}{% if add_generation_prompt %} ->{% endif %}")
    card = inspect_model(str(folder), ModelOptions(apply_chat_template=True))
    options = generation.resolve(card, "Prompt", {"max_new_tokens": 5})
    assert len(options["chat_template_sha256"]) == 64 and options["start_token"] == "bos, once, then the template"
    model = load(card)
    rows = generation.answer(model, RECORDS[:1], options, Batching())
    assert rows[0][0]["tokens"] <= 5
