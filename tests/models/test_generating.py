"""Texts written side by side: the same whatever the batch, and the same as the plainest loop writes one after the other."""

from __future__ import annotations

import dataclasses
import importlib.util
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from fairbench.errors import FairbenchError
from fairbench.models import generating, turns
from fairbench.models.batching import Batching
from fairbench.models.decoding import Decoding, Wish, Written
from fairbench.models.generating import EMPTY, NOT_FINITE, TOO_LONG, end_tokens, generate, named_ends, prompt_ids
from fairbench.models.heads import NO_EMBEDDING
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import Model, ModelOptions
from fairbench.models.turns import Way

SPEC = importlib.util.spec_from_file_location("written", Path(__file__).with_name("written.py"))
written = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(written)

GREEDY, NUCLEUS = Decoding(sample=False, max_new_tokens=8), Decoding(top_p=0.9, max_new_tokens=8)
OPEN = Decoding(temperature=1.2, top_k=50, max_new_tokens=8, seed=7)


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    return {"gpt2": written.gpt2(), "llama": written.llama(), "planted": load(inspect_model("planted:causal-1.0"))}


@pytest.mark.parametrize("decoding", [GREEDY, NUCLEUS], ids=["greedy", "nucleus"])
@pytest.mark.parametrize("name", ["gpt2", "llama", "planted"])
def test_batches_and_their_order_change_no_text(models: dict[str, Model], name: str, decoding: Decoding) -> None:
    model, asked = models[name], written.wishes(100)
    found = generate(model, asked, decoding, Batching(rows=64))
    assert all(isinstance(item, Written) for item in found)
    few = [item.text for item in found[:8]]
    assert len({item.text for item in found}) > (50 if decoding.sample else len(set(few)) - 1)
    assert generate(model, asked, decoding, Batching(rows=7)) == found
    assert generate(model, asked[:12], decoding, Batching(rows=1)) == found[:12]
    order = random.Random(3).sample(range(len(asked)), len(asked))
    shuffled = generate(model, [asked[i] for i in order], decoding, Batching())
    assert shuffled == [found[i] for i in order]
    assert generate(model, asked[90:98], decoding, Batching(budget=50)) == found[90:98]


@pytest.mark.slow
@pytest.mark.parametrize("decoding", [GREEDY, NUCLEUS, OPEN], ids=["greedy", "nucleus", "top-k"])
@pytest.mark.parametrize("name", ["gpt2", "llama", "planted"])
def test_long_texts_are_the_same_in_every_batch(models: dict[str, Model], name: str, decoding: Decoding) -> None:
    asked, decoding = written.wishes(400), dataclasses.replace(decoding, max_new_tokens=40)
    found = generate(models[name], asked, decoding, Batching(rows=64))
    assert generate(models[name], asked, decoding, Batching(rows=7)) == found
    assert generate(models[name], asked, decoding, Batching(rows=1)) == found


def test_a_real_model_writes_the_same_in_every_batch(real: Path) -> None:
    model = load(inspect_model(str(real / "models" / "stories260K" / "hf_converted")))
    asked, decoding = written.wishes(40), Decoding(top_p=0.9, max_new_tokens=10)
    found = generate(model, asked, decoding, Batching())
    assert generate(model, asked[:8], decoding, Batching(rows=1)) == found[:8]
    assert generate(model, asked[::-1], decoding, Batching(rows=7)) == found[::-1]
    story = generate(model, [Wish("Once upon a time, there was a little", "0")], GREEDY, Batching())[0]
    assert story.text.startswith(" girl named L"), "the model knows its stories"


@pytest.mark.parametrize("decoding", [GREEDY, NUCLEUS, OPEN], ids=["greedy", "nucleus", "top-k"])
@pytest.mark.parametrize("name", ["gpt2", "llama", "planted"])
def test_texts_are_those_of_a_plain_loop_without_cache(models: dict[str, Model], name: str, decoding: Decoding) -> None:
    model, asked = models[name], written.wishes(10)
    for wish, item in zip(asked, generate(model, asked, decoding, Batching()), strict=True):
        ids = written.plainly(model, wish, decoding)
        prompt = prompt_ids(model, wish.prompt, 1)
        whole = model.tokenizer.decode([*prompt, *ids], skip_special_tokens=True)
        assert (item.text, item.tokens) == (whole[len(model.tokenizer.decode(prompt, skip_special_tokens=True)) :], len(ids))
        assert item.finish == ("end" if len(ids) < decoding.max_new_tokens else "length")


def test_a_text_begins_as_a_shorter_one_and_changes_with_key_and_seed(models: dict[str, Model]) -> None:
    model, wish = models["planted"], Wish("The", "3/1")
    short, long = (generate(model, [wish], Decoding(max_new_tokens=n), Batching())[0].text for n in (3, 12))
    assert long.startswith(short) and len(long) > len(short)
    texts = [
        generate(model, [Wish("The", key)], Decoding(seed=seed, max_new_tokens=12), Batching())[0].text
        for key, seed in (("3/1", 0), ("3/2", 0), ("3/1", 1))
    ]
    assert texts[0] == long and len(set(texts)) == 3


def test_texts_that_have_ended_leave_the_batch_and_change_nothing(models: dict[str, Model], monkeypatch: Any) -> None:
    model, asked = models["planted"], written.wishes(64)
    decoding = Decoding(max_new_tokens=48)
    fed: list[int] = []
    model.network.register_forward_hook(lambda _, args, given, out: fed.append(len(given["input_ids"])), with_kwargs=True)
    found = generate(model, asked, decoding, Batching(rows=64))
    assert {item.finish for item in found} == {"end", "length"} or {item.finish for item in found} == {"end"}
    assert len(set(fed)) > 3 and min(fed) < 8, "the batch becomes smaller"
    leaving = sum(fed)
    monkeypatch.setitem(turns._WAYS, model.network, Way("left padded", leaves=False))
    fed.clear()
    assert generate(model, asked, decoding, Batching(rows=64)) == found
    assert set(fed) == {64} and sum(fed) > 1.5 * leaving
    model.network._forward_hooks.clear()
    monkeypatch.undo()


def test_nothing_of_the_checkpoints_own_decoding_is_taken_over(models: dict[str, Model]) -> None:
    model, asked = models["gpt2"], written.wishes(16)
    wanted = [generate(model, asked, decoding, Batching()) for decoding in (GREEDY, NUCLEUS)]
    habits = transformers.GenerationConfig(
        do_sample=True, temperature=0.1, top_k=1, repetition_penalty=5.0, no_repeat_ngram_size=1, suppress_tokens=[7, 8, 9],
        forced_eos_token_id=0, max_length=10, min_new_tokens=8, num_beams=3, begin_suppress_tokens=[11], bad_words_ids=[[12]],
        exponential_decay_length_penalty=(1, 3.0), renormalize_logits=True, eos_token_id=0, use_cache=False,
        num_return_sequences=2,
    )  # fmt: skip
    usual = model.network.generation_config
    model.network.generation_config = habits
    try:
        assert [generate(model, asked, decoding, Batching()) for decoding in (GREEDY, NUCLEUS)] == wanted
        assert model.network.generation_config is habits
    finally:
        model.network.generation_config = usual


def test_several_end_tokens_are_those_of_the_checkpoint_and_the_tokenizer(tmp_path: Path) -> None:
    folder = written.tiny.gpt2(tmp_path)
    config = transformers.GenerationConfig(eos_token_id=[17, 30], pad_token_id=3, temperature=0.2, do_sample=True)
    config.save_pretrained(folder)
    assert named_ends(folder) == [17, 30]
    model = load(inspect_model(str(folder)))
    written.tiny.spread(model.network)
    assert end_tokens(model) == {0, 17, 30}
    asked = written.wishes(80, ["The nurse said that", "A"])
    decoding = Decoding(max_new_tokens=20, temperature=2.0)
    found = generate(model, asked, decoding, Batching())
    ended = [item for item in found if item.finish == "end"]
    assert 0 < len(ended) < 80
    for wish, item in zip(asked[:12], found, strict=False):
        assert item.tokens == len(written.plainly(model, wish, decoding))
    (folder / "generation_config.json").write_text("{}")
    assert named_ends(folder) == [50256], "what config.json names where generation_config.json is silent"


def test_what_can_not_be_written_after_is_left_out_with_its_reason() -> None:
    model = written.gpt2(max_length=20)
    asked = [Wish("The nurse said that", "a"), Wish("The nurse said that she was tired and late. " * 2, "b"), Wish("", "c")]
    found = generate(model, asked, NUCLEUS, Batching())
    assert isinstance(found[0], Written) and found[1] == TOO_LONG and isinstance(found[2], Written)
    room = 20 - len(prompt_ids(model, "The nurse said that", 1))
    fits, not_quite = (Decoding(max_new_tokens=n) for n in (room, room + 1))
    assert isinstance(generate(model, asked[:1], fits, Batching())[0], Written)
    assert generate(model, asked[:1], not_quite, Batching()) == [TOO_LONG]
    assert generate(model, [], NUCLEUS, Batching()) == []
    bare = written.gpt2(start_rule="none")
    assert generate(bare, asked[2:], NUCLEUS, Batching()) == [EMPTY]
    assert isinstance(generate(bare, asked[:1], NUCLEUS, Batching())[0], Written)
    model.tokenizer.add_tokens(["carburettor"])
    assert generate(model, [Wish("The carburettor", "d"), asked[0]], NUCLEUS, Batching())[0] == NO_EMBEDDING


def test_logits_that_are_not_finite_leave_only_their_own_text_out() -> None:
    class Faulty(transformers.GPT2LMHeadModel):
        def forward(self, input_ids: Any = None, **rest: Any) -> Any:
            found = super().forward(input_ids=input_ids, **rest)
            if input_ids.shape[1] > 1:
                found.logits[(input_ids == nurse).any(1), -1, 3] = self.value
            return found

    asked = written.wishes(16)
    nurse = prompt_ids(written.gpt2(), "The nurse", 1)[2]
    marked = [nurse in prompt_ids(written.gpt2(), wish.prompt, 1) for wish in asked]
    assert 0 < sum(marked) < 16
    clean = generate(written.gpt2(), asked, NUCLEUS, Batching())
    for value in (float("nan"), float("inf")):
        model = written.gpt2(Faulty)
        model.network.value = value
        for decoding, wanted in ((NUCLEUS, clean), (GREEDY, generate(written.gpt2(), asked, GREEDY, Batching()))):
            found = generate(model, asked, decoding, Batching())
            assert found == [NOT_FINITE if broken else item for broken, item in zip(marked, wanted, strict=True)]


def test_rows_of_the_vocabulary_without_a_token_are_never_drawn() -> None:
    wide = written.gpt2()
    padded = written.model_of(transformers.GPT2LMHeadModel(transformers.GPT2Config(**{**written.GPT2, "vocab_size": 448})))
    padded.network.load_state_dict(
        {
            name: torch.cat([value, 3 * torch.ones(48, 32)]) if value.shape == (400, 32) else value
            for name, value in wide.network.state_dict().items()
        }
    )
    asked = written.wishes(16)
    for decoding in (GREEDY, OPEN):
        assert generate(padded, asked, decoding, Batching()) == generate(wide, asked, decoding, Batching())


def test_the_start_token_stands_once() -> None:
    model = written.llama()
    assert prompt_ids(model, "The nurse", 1)[:2].count(1) == 1
    assert prompt_ids(model, "<s>The nurse", 1)[:3].count(1) == 1
    assert prompt_ids(model, "", 1) == (1,)
    model = written.gpt2(start_rule="eos")
    assert prompt_ids(model, "The", 1)[0] == model.tokenizer.eos_token_id


def chatting(template: str) -> Model:
    model = written.llama()
    model.tokenizer.chat_template = template
    options = ModelOptions(apply_chat_template=True)
    return dataclasses.replace(model, card=dataclasses.replace(model.card, options=options))


def test_under_a_chat_template_the_prompt_is_the_users_message() -> None:
    says = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}reply:{% endif %}"
    model = chatting(says)
    ids = prompt_ids(model, "The nurse", 1)
    assert ids == (1, *model.tokenizer("user: The nurse\nreply:", add_special_tokens=False)["input_ids"])
    twice = chatting("{{ bos_token }}" + says)
    assert prompt_ids(twice, "The nurse", 1).count(1) == 1
    ended = dataclasses.replace(model, card=dataclasses.replace(model.card, start_rule="eos"))
    assert prompt_ids(ended, "The nurse", 1) == ids[1:], "no end token before a conversation"
    found = generate(model, [Wish("The nurse", "0")], NUCLEUS, Batching())[0]
    assert found.tokens == len(written.plainly(model, Wish("The nurse", "0"), NUCLEUS))
    with pytest.raises(FairbenchError, match="can't be filled with one user message"):
        generate(chatting("{{ raise_exception('no') }}"), [Wish("The nurse", "0")], NUCLEUS, Batching())


def test_a_network_without_generate_is_refused() -> None:
    model = written.gpt2()
    with pytest.raises(FairbenchError, match="can't write text"):
        generate(dataclasses.replace(model, network=model.network.transformer), written.wishes(1), GREEDY, Batching())


def test_a_served_model_writes_by_itself_and_the_rules_hold_there_too() -> None:
    class Served(Model):
        def generate(self, wishes: Any, decoding: Decoding) -> list[Written | str]:
            return [Written(" one. Two.", 5, "end"), "refused", Written(" no end", None, "length")]

    model = written.gpt2()
    served = Served(card=model.card, network=None, tokenizer=None, device=None)
    asked = written.wishes(3)
    assert generate(served, asked, GREEDY, Batching())[0].text == " one. Two."
    found = generate(served, asked, Decoding(sentence=True), Batching())
    assert found == [Written(" one.", 5, "stop"), "refused", Written(" no end", None, "length")]


@pytest.mark.parametrize("vocabulary", [400, 50_257, 256_000])
def test_batches_are_bounded_by_memory(vocabulary: int) -> None:
    model = written.gpt2()
    model.network.config.vocab_size = vocabulary
    tokens = generating._budget(model, 50)
    assert tokens * 2 * 2 * 32 * 4 <= generating.CACHE_BYTES["cpu"]
    assert tokens // 50 * vocabulary * 4 <= generating.LOGIT_BYTES["cpu"]
    assert tokens // 50 >= 100
