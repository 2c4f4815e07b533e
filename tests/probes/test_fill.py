"""The fill probe against a plain reference: a record at a time, whole forward passes, words found by decoding, loops."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

from fairbench.answers import AnswerStore
from fairbench.models import places
from fairbench.models.batching import Batching
from fairbench.models.model import Model
from fairbench.probes import fill, fill_masked, slot_parts

SPEC = importlib.util.spec_from_file_location("slots", Path(__file__).with_name("slots.py"))
slots = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(slots)
ask, slot, forward = slots.ask, slots.slot, slots.forward
RECORDS, SCORES, TEMPLATES = slots.RECORDS, slots.SCORES, slots.TEMPLATES


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return slots.Models(tmp_path_factory.mktemp("models"))


@pytest.fixture(params=["bert", "roberta", "albert"])
def masked(request, loaded) -> Model:
    return loaded(request.param)


@pytest.fixture(params=["gpt2", "llama"])
def causal(request, loaded) -> Model:
    model = loaded(request.param)
    return dataclasses.replace(model, card=dataclasses.replace(model.card, max_length=48))


# --- the reference -----------------------------------------------------------------------------------------------------------


def marked(model, token):
    return model.tokenizer.convert_ids_to_tokens(int(token))[0] in "▁Ġ"


def letters(text):
    return "".join(text.replace("##", "").split())


def word_places(model, ids, before, word):
    """Places of a word, by how many letters the tokens before each token come to; and a lone mark of the space before it."""
    head, tail = len(letters(before)), len(letters(before)) + len(letters(word))
    counts = [len(letters(model.tokenizer.decode(ids[:i], skip_special_tokens=True))) for i in range(len(ids) + 1)]
    found = [i for i in range(len(ids)) if counts[i] < tail and counts[i + 1] > head and counts[i] < counts[i + 1]]
    assert counts[found[0]] == head  # none of these vocabularies has a token that holds a word and what stands beside it
    assert counts[found[-1] + 1] == tail
    space = model.tokenizer.convert_ids_to_tokens(ids[found[0] - 1]) in ("▁", "Ġ") and not marked(model, ids[found[0]])
    return list(range(found[0] - space, found[-1] + 1))


def sentence(model, template, target, attribute):
    """Ids (with what the tokenizer adds; causal: after the start token) and the places of target and attribute."""
    text = template.replace("[TARGET]", target).replace("[ATTRIBUTE]", attribute)
    ids = model.tokenizer(text)["input_ids"]
    if model.card.kind == "causal" and ids[0] != model.tokenizer.bos_token_id:
        ids = [model.tokenizer.bos_token_id, *ids]
    found = []
    for place, word in (("[TARGET]", target), ("[ATTRIBUTE]", attribute)):
        before = template.split(place)[0].replace("[TARGET]", target).replace("[ATTRIBUTE]", attribute)
        found.append(word_places(model, ids, before, word))
    return ids, *found


def words(model, table, first, count=5):
    """The likeliest words, and their probability; `first` is the token that stands there."""
    pieced = type(model.tokenizer.backend_tokenizer.model).__name__ == "WordPiece"
    found = []
    for token in np.argsort(-table):
        piece = model.tokenizer.convert_ids_to_tokens(int(token))
        text = model.tokenizer.decode([int(token)]).strip()
        begins = not piece.startswith("##") if pieced else marked(model, token) == marked(model, first)
        if token not in model.tokenizer.all_special_ids and begins and text[:1].isalnum() and any(c.isalpha() for c in text):
            found.append((text, math.exp(table[token])))
        if len(found) == count:
            break
    return [text for text, _ in found], sum(p for _, p in found)


def masked_reference(model, record):
    mask = model.tokenizer.mask_token_id
    ids, target, attribute = sentence(model, record.template, record.target, record.attribute or "person")
    slot_at = attribute if record.attribute is None else target
    table = forward(model, [*ids[: slot_at[0]], mask, *ids[slot_at[-1] + 1 :]])[slot_at[0]]
    fills, held = words(model, table, ids[slot_at[0]])
    if record.attribute is None:
        return {"log_p": None, "log_prior": None, "mass": held, "top_fills": fills, "tokens": len(target)}
    row = {"top_fills": fills, "tokens": len(target)}
    for name, hidden in (("log_p", target), ("log_prior", target + attribute)):
        given = [mask if i in hidden else token for i, token in enumerate(ids)]
        logs = [forward(model, given)[i, ids[i]] for i in target]
        row[name] = sum(logs) / len(logs)
        if name == "log_p":
            row["own"] = math.exp(sum(logs))
    return row


def causal_reference(model, record, scorer, filler=None):
    filler = filler or ("individual" if " an [ATTRIBUTE]" in record.template else "person")
    ids, target, attribute = sentence(model, record.template, record.target, record.attribute or filler)
    slot_at = attribute if record.attribute is None else target
    fills, held = words(model, forward(model, ids[: slot_at[0]])[-1], ids[slot_at[0]])
    if record.attribute is None:
        if record.template.index("[TARGET]") > record.template.index("[ATTRIBUTE]"):
            return {"left_out": "[TARGET] stands behind [ATTRIBUTE], where a causal model does not see it"}
        return {"log_p": None, "log_prior": None, "mass": held, "top_fills": fills, "tokens": len(target)}
    row = {"top_fills": fills, "tokens": len(target), "own": 1.0}
    table = forward(model, ids)
    for i in target:
        row["own"] *= math.exp(table[i - 1, ids[i]])
    for name, word in (("log_p", record.attribute), ("log_prior", filler)):
        ids = sentence(model, record.template, record.target, word)[0]
        table = forward(model, ids)
        logs = [table[i - 1, ids[i]] for i in range(1, len(ids))]
        row[name] = sum(logs) / (len(logs) if scorer == "mean" else 1)
    return row


def with_masses(records, rows):
    for record, row in zip(records, rows, strict=True):
        if "own" in row:
            group = (r for r in zip(records, rows, strict=True) if r[0].template == record.template)
            row["mass"] = sum(other["own"] for r, other in group if r.attribute == record.attribute)
    return [{name: value for name, value in row.items() if name != "own"} for row in rows]


def compare(rows, wanted):
    for row, expected in zip(rows, wanted, strict=True):
        assert row.keys() == expected.keys()
        for name, value in expected.items():
            assert row[name] == (pytest.approx(value, abs=1e-4) if name in SCORES and value is not None else value), name


# --- against it --------------------------------------------------------------------------------------------------------------

BATCHES = [Batching(), Batching(budget=40), Batching(rows=1), Batching(rows=3)]


@pytest.fixture(scope="module")
def masked_rows():
    kept = {}

    def get(model):
        if model.card.name not in kept:
            kept[model.card.name] = with_masses(RECORDS, [masked_reference(model, record) for record in RECORDS])
        return kept[model.card.name]

    return get


@pytest.fixture(scope="module")
def causal_rows():
    kept = {}

    def get(model, scorer):
        if (model.card.name, scorer) not in kept:
            rows = [causal_reference(model, record, scorer) for record in RECORDS]
            kept[model.card.name, scorer] = with_masses(RECORDS, rows)
        return kept[model.card.name, scorer]

    return get


@pytest.mark.parametrize("batching", BATCHES)
def test_masked_slots(masked, masked_rows, batching):
    compare(ask(masked, RECORDS, batching), masked_rows(masked))


@pytest.mark.parametrize("batching", BATCHES)
@pytest.mark.parametrize("scorer", ["mean", "sum"])
def test_causal_slots(causal, causal_rows, scorer, batching):
    compare(ask(causal, RECORDS, batching, scorer=scorer), causal_rows(causal, scorer))


def test_the_records_try_what_they_should(loaded):
    """Targets of one and of several tokens, and pieces that leave the space before them to a token of its own."""
    for name in ("bert", "roberta", "albert", "gpt2", "llama"):
        counts = {row["tokens"] for row in ask(loaded(name), RECORDS) if "tokens" in row}
        assert min(counts) == 1
        assert max(counts) > 3
    for name in ("roberta", "albert"):
        tokenizer = loaded(name).tokenizer
        assert {"▁", "Ġ"} & set(tokenizer.tokenize("The old carpenter"))


def test_a_causal_model_of_a_single_token_holds_the_probability_of_it(loaded):
    model = loaded("gpt2")
    row = ask(model, [slot("It's raining, said[TARGET] [ATTRIBUTE].", " he", "nurse")])[0]
    assert row["tokens"] == 1
    ids = [model.tokenizer.bos_token_id, *model.tokenizer("It's raining, said")["input_ids"]]
    wanted = forward(model, ids)[-1, model.tokenizer.convert_tokens_to_ids("Ġhe")]
    assert row["mass"] == pytest.approx(math.exp(wanted), abs=1e-6)


def test_order_and_other_records_change_nothing(masked, causal):
    for model in (masked, causal):
        rows = ask(model, RECORDS)
        back = ask(model, RECORDS[::-1])[::-1]
        for row, other in zip(rows, back, strict=True):
            assert row.get("top_fills") == other.get("top_fills")
            for name in SCORES:
                assert row.get(name) == (None if row.get(name) is None else pytest.approx(other[name], abs=1e-5))


def test_the_same_words_in_another_place_are_another_slot(loaded):
    model = loaded("bert")
    first, second = ask(
        model, [slot("The [TARGET] met the [ATTRIBUTE].", *w) for w in (("nurse", "doctor"), ("doctor", "nurse"))]
    )
    assert first["log_p"] != pytest.approx(second["log_p"], abs=1e-3)


@pytest.mark.parametrize("top", [1, 3, "7", 10_000])
def test_top(loaded, top):
    for name in ("bert", "gpt2"):
        model = loaded(name)
        record = slot("The [TARGET] is late for [ATTRIBUTE].", "nurse")
        row = ask(model, [record], top=top)[0]
        ids, _, attribute = sentence(model, record.template, record.target, "person")
        head = ids[: attribute[0]]
        if name == "bert":
            table = forward(model, [*head, model.tokenizer.mask_token_id, *ids[attribute[-1] + 1 :]])[attribute[0]]
        else:
            table = forward(model, head)[-1]
        wanted, held = words(model, table, ids[attribute[0]], int(top))
        assert row["top_fills"] == wanted
        assert row["mass"] == pytest.approx(held, abs=1e-5)
        assert len(wanted) == int(top) or top == 10_000


def test_a_named_filler(loaded):
    model = loaded("gpt2")
    for template in TEMPLATES[:2]:
        record = slot(template, "he", "nurse")
        row = ask(model, [record], filler="old thing")[0]
        assert row["log_prior"] == pytest.approx(causal_reference(model, record, "mean", "old thing")["log_prior"], abs=1e-4)
        assert row["log_p"] == pytest.approx(ask(model, [record])[0]["log_p"], abs=1e-6)
    assert ask(model, [slot(TEMPLATES[0], "he", "person")])[0]["log_p"] == pytest.approx(
        ask(model, [slot(TEMPLATES[0], "he", "nurse")])[0]["log_prior"], abs=1e-5
    )


# --- multi-token targets, unknown tokens, mass -------------------------------------------------------------------------------


def test_targets_of_several_tokens_are_skipped_on_request(masked):
    kept = {row["tokens"] for row in ask(masked, RECORDS) if row.get("tokens")}
    rows, plain = ask(masked, RECORDS, multi_token="skip"), ask(masked, RECORDS)
    assert max(kept) > 1
    for record, row, other in zip(RECORDS, rows, plain, strict=True):
        if record.attribute is not None and other["tokens"] > 1:
            assert row == {"left_out": "the target has several tokens"}
        elif record.attribute is not None:
            assert row["log_p"] == pytest.approx(other["log_p"], abs=1e-5)
            words_in = [r for r in zip(RECORDS, plain, strict=True) if r[0].template == record.template]
            single = [r["log_p"] for s, r in words_in if s.attribute == record.attribute and r["tokens"] == 1]
            assert row["mass"] == pytest.approx(sum(map(math.exp, single)), abs=1e-6)  # what is left out holds nothing
        else:
            assert row["top_fills"] == other["top_fills"]


def test_equal_targets_hold_their_probability_once(loaded):
    model, template = loaded("bert"), "The [TARGET] saw the [ATTRIBUTE]."
    one = ask(model, [slot(template, "nurse", "doctor")])[0]["mass"]
    twice = ask(model, [slot(template, "nurse", "doctor"), slot(template, "Nurse", "doctor"), slot(template, "nurse", "doctor")])
    assert [row["mass"] for row in twice] == pytest.approx([one] * 3, abs=1e-6)  # the tokenizer lowers
    two = ask(model, [slot(template, "nurse", "doctor"), slot(template, "carpenter", "doctor"), slot(template, "he", "house")])
    assert two[0]["mass"] == two[1]["mass"] > one
    assert two[0]["mass"] == pytest.approx(sum(math.exp(row["log_p"]) for row in two[:2]), abs=1e-6)
    assert two[2]["mass"] == pytest.approx(math.exp(two[2]["log_p"]), abs=1e-6)


def test_a_vocabulary_is_all_the_mass_there_is(loaded):
    """Every plain token of WordPiece as a target: together they hold what a softmax leaves beside special and ## tokens."""
    model, template = loaded("bert"), "The [TARGET] saw the [ATTRIBUTE]."
    known = {t: i for t, i in model.tokenizer.get_vocab().items() if i not in model.tokenizer.all_special_ids and t[:2] != "##"}
    rows = ask(model, [slot(template, word, "doctor") for word in known])
    assert {row["tokens"] for row in rows} == {1}
    mask = model.tokenizer.mask_token_id
    table = forward(model, model.tokenizer("the [MASK] saw the doctor.")["input_ids"])
    assert mask in model.tokenizer("the [MASK] saw the doctor.")["input_ids"]
    assert rows[0]["mass"] == pytest.approx(sum(math.exp(table[2, i]) for i in known.values()), abs=1e-5)
    assert 0 < rows[0]["mass"] < 1


# --- work done once, and what is kept of it ----------------------------------------------------------------------------------


def test_each_distinct_input_is_run_once(loaded, monkeypatch):
    seen, run = [], places._inputs
    monkeypatch.setattr(places, "_inputs", lambda model, rows, causal: seen.extend(rows) or run(model, rows, causal))
    template = "[TARGET] saw the [ATTRIBUTE]."
    targets, attributes = ("he", "she", "nurse"), ("doctor", "carpenter", "house", "market")
    rows = ask(loaded("bert"), [slot(template, t, a) for a in attributes for t in targets])
    assert {row["tokens"] for row in rows} == {1}
    assert len(seen) == len(set(seen)) == len(attributes) + 1  # one with each attribute, and one prior for all
    seen.clear()
    ask(loaded("gpt2"), [slot(template, t, a) for a in attributes for t in targets])
    assert len(seen) == 1  # the start token, before any target


def test_words_that_no_token_of_the_vocabulary_is(loaded):
    found = slot_parts.words_of(loaded("roberta"))
    assert "<mask>" not in found.texts.values()
    assert all(word == word.strip() and any(c.isalpha() for c in word) for word in found.texts.values())
    assert not set(found.sets[slot_parts.SPACED]) & set(found.sets[slot_parts.BARE])
    for token in found.sets[slot_parts.SPACED]:
        assert loaded("roberta").tokenizer.decode([token]) == f" {found.texts[token]}"
    assert not len(slot_parts.words_of(loaded("bert")).sets[slot_parts.SPACED])


def test_hiding():
    assert fill_masked.hidden((1, 2, 3, 4), range(1, 3), 9) == (1, 9, 9, 4)


def test_answers_can_be_kept(loaded, tmp_path):
    """A part of open attributes has no scores, and one of which nothing could be asked has nothing at all."""
    model, store = loaded("bert"), AnswerStore(tmp_path, "k")
    parts = [[slot("The [TARGET] [ATTRIBUTE].", "nurse")], [slot("no", "nurse")], [slot("The [TARGET] [ATTRIBUTE].", "he", "is")]]
    for number, part in enumerate(parts):
        store.write_part(number, [{"id": str(number), **row} for row in ask(model, part)], 0.1)
    store.finish(3, {})
    table = store.read()
    assert table["log_p"].isna().tolist() == [True, True, False]
    assert [None if cell is None else len(cell) for cell in table["top_fills"]] == [5, None, 5]


def test_sanity_and_engine(loaded):
    assert fill.engine(loaded("bert")) == {"logits": "own", "rows": "plain"}
    assert set(fill.engine(loaded("gpt2"))) == {"logits", "rows"}
    assert "unlikely" in fill.sanity(loaded("bert"))
