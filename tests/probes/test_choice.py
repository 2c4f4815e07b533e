"""The choice probe: what it is asked, what it refuses, its rows, and the places of options that a model may like."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers

from fairbench.answers import AnswerStore, read_answers
from fairbench.errors import FairbenchError
from fairbench.models.batching import Batching
from fairbench.models.decoding import Decoding, Written
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import ModelCard, ModelOptions
from fairbench.planted import items
from fairbench.probes import choice
from fairbench.records import UNPARSED, Choice, as_row
from fairbench.registry import Registry

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).parents[1] / "models" / "tiny.py")
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

CAUSAL = ModelCard(name="c", folder="", kind="causal", architecture="C", start_rule="bos", max_length=64)
MASKED = ModelCard(name="m", folder="", kind="masked", architecture="M", has_mask=True)
SERVED = ModelCard(name="s", folder="", kind="served", architecture="unknown", prompt_log_probs=True)
MUTE = dataclasses.replace(SERVED, prompt_log_probs=False)
CHAT = ModelOptions(apply_chat_template=True)

RECORDS = [
    Choice(id="a", prompt="Who slept?", options=("The man", "The woman", "Not known"), label=2),
    Choice(id="b", prompt="Who ate?", options=("The cat", "The dog"), label=0),
]


def ask(model, records=RECORDS, **requested):
    return choice.answer(model, records, choice.resolve(model.card, "Choice", requested), Batching())


# --- what is resolved and refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card", "requested", "wanted"),
    [
        (CAUSAL, {}, {"by": "likelihood", "format": "plain", "normalisation": "sum", "readings": "whole", "orders": 1}),
        (CAUSAL, {"orders": "1", "by": None}, {"orders": 1, "start_token": "bos", "neutral_prompt": None}),
        (CAUSAL, {"normalisation": "unconditional"}, {"normalisation": "unconditional", "neutral_prompt": "Answer:"}),
        (CAUSAL, {"format": "letters"}, {"format": "letters", "orders": "all", "normalisation": "sum"}),
        (CAUSAL, {"format": "letters", "orders": 1, "normalisation": "unconditional"}, {"orders": 1}),
        (CAUSAL, {"by": "letter"}, {"format": "letters", "orders": "all", "max_new_tokens": 20, "stop": ["\n"]}),
        (CAUSAL, {"by": "letter", "max_new_tokens": "5", "orders": "1"}, {"orders": 1, "max_new_tokens": 5}),
        (MASKED, {"readings": "partial"}, {"readings": "partial", "start_token": None}),
        (SERVED, {"normalisation": "mean"}, {"normalisation": "mean", "format": "plain"}),
        (MUTE, {"by": "letter"}, {"by": "letter"}),
        (dataclasses.replace(MUTE, options=CHAT), {"by": "letter"}, {"chat_template": True, "stop": []}),
    ],
)
def test_resolved(card, requested, wanted):
    options = choice.resolve(card, "Choice", requested)
    assert {name: options[name] for name in wanted} == wanted
    assert json.loads(json.dumps(options)) == options


def test_whatever_changes_a_choice_is_in_the_options():
    given = [
        {}, {"normalisation": "mean"}, {"normalisation": "bytes"}, {"normalisation": "unconditional"}, {"readings": "partial"},
        {"format": "letters"}, {"format": "letters", "orders": 1}, {"by": "letter"}, {"by": "letter", "orders": 1},
        {"by": "letter", "max_new_tokens": 3},
    ]  # fmt: skip
    options = [json.dumps(choice.resolve(CAUSAL, "Choice", one), sort_keys=True) for one in given]
    assert len(set(options)) == len(options)


@pytest.mark.parametrize(
    ("card", "form", "requested", "words"),
    [
        (CAUSAL, "Prompt", {}, "answers Choice records, not Prompt"),
        (CAUSAL, "Choice", {"normalization": "sum"}, "Did you mean normalisation?"),
        (CAUSAL, "Choice", {"normalisation": "byte"}, "Did you mean bytes?"),
        (CAUSAL, "Choice", {"by": "letters"}, "Did you mean letter?"),
        (CAUSAL, "Choice", {"orders": 2}, "Unknown orders 2"),
        (CAUSAL, "Choice", {"orders": "all"}, "no option is shown beside another"),
        (CAUSAL, "Choice", {"max_new_tokens": 5}, "by=likelihood writes nothing"),
        (CAUSAL, "Choice", {"by": "letter", "max_new_tokens": 0}, "a whole number above 0"),
        (CAUSAL, "Choice", {"by": "letter", "max_new_tokens": "many"}, "a whole number above 0"),
        (CAUSAL, "Choice", {"by": "letter", "normalisation": "sum"}, "normalisation is for by=likelihood"),
        (CAUSAL, "Choice", {"by": "letter", "readings": "whole"}, "readings is for by=likelihood"),
        (CAUSAL, "Choice", {"by": "letter", "format": "plain"}, "lists the options"),
        (CAUSAL, "Choice", {"format": "letters", "readings": "partial"}, "whole texts"),
        (CAUSAL, "Choice", {"format": "letters", "normalisation": "mean"}, "sum or unconditional"),
        (MASKED, "Choice", {"by": "letter"}, "it writes no reply"),
        (MASKED, "Choice", {"format": "letters"}, "can't continue a list"),
        (dataclasses.replace(MASKED, has_mask=False), "Choice", {}, "no mask token"),
        (dataclasses.replace(MASKED, options=CHAT), "Choice", {}, "takes no conversation"),
        (dataclasses.replace(MASKED, kind="encoder"), "Choice", {}, "chooses nothing"),
        (MUTE, "Choice", {}, "no log-probabilities of a prompt's tokens"),
        (MUTE, "Choice", {"format": "letters"}, "by=letter"),
    ],
)
def test_refused_before_anything_runs(card, form, requested, words):
    with pytest.raises(FairbenchError, match=words.replace("?", r"\?")):
        choice.resolve(card, form, requested)


def test_it_is_a_probe():
    probe = Registry().probe("choice")
    assert probe.FORMS == ("Choice",) and probe.VERSION == 1 and set(probe.OPTIONS) >= {"by", "normalisation", "format", "orders"}
    none = dataclasses.replace(CAUSAL, start_rule="none")
    assert "not scored" in probe.notes(none, choice.resolve(none, "Choice", {}))[0]
    assert probe.notes(CAUSAL, choice.resolve(CAUSAL, "Choice", {})) == ()
    assert choice.answer(SimpleNamespace(card=CAUSAL), [], choice.resolve(CAUSAL, "Choice", {}), Batching()) == []


# --- replies ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def replying(monkeypatch):
    """Puts a function of the prompt in the place of the model that writes; keeps what was asked."""
    asked = []

    def install(reply):
        def generate(model, wishes, decoding, batching):
            asked.extend((wish, decoding) for wish in wishes)
            texts = [reply(wish.prompt) for wish in wishes]
            return [text if text.startswith("!") else Written(text, 1, "stop") for text in texts]

        monkeypatch.setattr(choice, "generate", generate)
        return asked

    return install


def test_letters_are_read_back_to_options(replying):
    """A model that knows the text finds it wherever it stands."""
    asked = replying(lambda prompt: next(line[0] for line in prompt.split("\n") if "woman" in line or "dog" in line))
    rows = ask(SimpleNamespace(card=CAUSAL), by="letter")
    assert [[row["choice"] for row in own] for own in rows] == [[1, 1, 1], [1, 1]]
    assert [[row["position"] for row in own] for own in rows] == [[1, 0, 2], [1, 0]]
    assert [[row["order"] for row in own] for own in rows] == [[0, 1, 2], [0, 1]]
    assert rows[0][1]["reply"] == "A" and "scores" not in rows[0][1]
    wish, decoding = asked[1]
    instruction = "Answer with the letter of one option."
    assert wish.prompt == f"Who slept?\nA. The woman\nB. Not known\nC. The man\n{instruction}\nAnswer:"
    assert decoding == Decoding(sample=False, max_new_tokens=20, stop=("\n",))
    assert len({wish.key for wish, _ in asked}) == len(asked) == 5


def test_a_model_that_always_says_a(replying):
    """Its liking for the first place is seen in `position`; over all orders it likes no option."""
    replying(lambda prompt: " A")
    records = [dataclasses.replace(RECORDS[0], id=str(i), label=i % 3) for i in range(30)]
    rows = [row for own in ask(SimpleNamespace(card=CAUSAL), records, by="letter") for row in own]
    assert Counter(row["position"] for row in rows) == {0: 90}
    assert Counter(row["choice"] for row in rows) == {0: 30, 1: 30, 2: 30}
    once = [row[0] for row in ask(SimpleNamespace(card=CAUSAL), records, by="letter", orders=1)]
    assert Counter(row["choice"] for row in once) == {0: 30}  # what one order takes for an answer


def test_real_replies(tmp_path):
    """What a model writes is what the likeliest token after another comes to, up to the end of the line."""
    config = transformers.GPT2Config(vocab_size=400, n_positions=160, n_embd=24, n_layer=2, n_head=2)
    config.bos_token_id = config.eos_token_id = 0
    folder = tiny.save(tmp_path, tiny.spread(transformers.GPT2LMHeadModel(config)), tiny.byte_level_bpe())
    model = load(inspect_model(str(folder)))
    model = dataclasses.replace(model, card=dataclasses.replace(model.card, max_length=160))
    options = choice.resolve(model.card, "Choice", {"by": "letter", "max_new_tokens": 4})
    assert options["end_tokens"] == [0]
    record = Choice(id="a", prompt="Who?", options=("He", "She"))
    rows = choice.answer(model, [record], options, Batching())[0]
    for row, first, second in zip(rows, ("He", "She"), ("She", "He"), strict=True):
        text = f"Who?\nA. {first}\nB. {second}\nAnswer with the letter of one option.\nAnswer:"
        ids = [0, *model.tokenizer(text, add_special_tokens=False)["input_ids"]]
        for _ in range(4):
            with torch.no_grad():
                ids.append(int(model.network(torch.tensor([ids])).logits[0, -1].argmax()))
        assert row == {
            "left_out": UNPARSED,
            "reply": model.tokenizer.decode(ids[-4:]).split("<|endoftext|>")[0].split("\n")[0],
            "order": row["order"],
        }


def test_replies_that_name_nothing(replying):
    replying(lambda prompt: {"Who slept?": "A or B", "Who ate?": "!the text is too long"}[prompt.split("\n")[0]])
    first, second = ask(SimpleNamespace(card=CAUSAL), by="letter")
    assert first == [{"left_out": UNPARSED, "reply": "A or B", "order": order} for order in range(3)]
    assert second == [{"left_out": "!the text is too long", "order": order} for order in range(2)]


def test_records_that_no_letter_fits(replying):
    replying(lambda prompt: "A")
    many = Choice(id="m", prompt="Which?", options=tuple(f"number {n}" for n in range(27)))
    whole = Choice(id="w", prompt=" ", options=("He slept.", "She slept."))
    rows = ask(SimpleNamespace(card=CAUSAL), [many, whole, RECORDS[1]], by="letter")
    assert {row["left_out"] for row in rows[0]} == {"there are more than 26 options, and no letter for each"}
    assert [row["left_out"] for row in rows[1]] == [
        "the options are whole texts without a prompt, to which there is no reply"
    ] * 2
    assert [row["choice"] for row in rows[2]] == [0, 1]
    for how in ({"by": "letter"}, {"format": "letters"}, {"normalisation": "unconditional"}):
        with pytest.raises(FairbenchError, match="whole texts without a prompt"):
            ask(SimpleNamespace(card=CAUSAL), [whole, whole], **how)


# --- behind a server ------------------------------------------------------------------------------------------------------------


class Server:
    """Log-probabilities by a rule: minus the letters of the continuation, a token a word."""

    def __init__(self, card=SERVED):
        self.card, self.asked = card, []

    def option_log_probabilities(self, pairs):
        self.asked += pairs
        return ["the server refused" if "dog" in b else (-float(len(b.strip())), len(b.split())) for _, b in pairs]


def test_a_served_model():
    server = Server()
    rows = ask(server)
    assert rows == [{"choice": 0, "scores": [-7.0, -9.0, -9.0]}, {"left_out": "the server refused"}]
    assert server.asked[1] == ("Who slept?", " The woman") and len(server.asked) == 5
    assert ask(Server(), RECORDS[:1], normalisation="mean")[0]["scores"] == [-3.5, -4.5, -4.5]
    assert ask(Server(), RECORDS[:1], normalisation="bytes")[0]["left_out"] == "the best options are equally likely"
    server = Server()
    row = ask(server, RECORDS[:1], normalisation="unconditional")[0]
    assert row == {"left_out": "the best options are equally likely", "scores": [0.0, 0.0, 0.0]}
    assert server.asked[3:] == [("Answer:", f" {option}") for option in RECORDS[0].options]
    server = Server()
    ask(server, [Choice(id="r", prompt="", options=("He saw a cat there.", "He saw two cats there."))], readings="partial")
    assert server.asked == [("He saw a cat", " there."), ("He saw two cats", " there.")]
    server = Server()
    ask(server, [Choice(id="r", prompt="", options=("He slept.", "She was here."))])
    assert server.asked == [("", "He slept."), ("", "She was here.")]


# --- chat template ------------------------------------------------------------------------------------------------------------

TEMPLATE = "{{ bos_token }}{% for m in messages %}Q: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}A: {% endif %}"


@pytest.fixture(scope="module")
def chatty(tmp_path_factory):
    folder = tiny.gpt2(tmp_path_factory.mktemp("chat"))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    model = load(inspect_model(str(folder), CHAT))
    tiny.spread(model.network)
    return dataclasses.replace(model, card=dataclasses.replace(model.card, max_length=48))


def reply_log_p(model, message, reply):
    """Log P of a reply after the template around a message; in these a byte is a token or more, and none is shared."""
    before, whole = (
        model.tokenizer(f"<|endoftext|>Q: {message}\nA: {text}", add_special_tokens=False)["input_ids"] for text in ("", reply)
    )
    assert whole[: len(before) - 1] == before[:-1]
    first = len(before) if whole[: len(before)] == before else len(before) - 1  # the template's last space may join the reply
    with torch.no_grad():
        table = torch.log_softmax(model.network(torch.tensor([whole])).logits[0].double(), dim=-1).numpy()
    return sum(table[i - 1, whole[i]] for i in range(first, len(whole)))


def test_options_are_replies_to_a_message(chatty):
    record = Choice(id="a", prompt="Who was it?", options=("nurse", "He was late."))
    options = choice.resolve(chatty.card, "Choice", {})
    assert options["chat_template"] and len(options["chat_template_sha256"]) == 64
    row = ask(chatty, [record])[0]
    assert row["scores"] == pytest.approx([reply_log_p(chatty, record.prompt, text) for text in record.options], abs=1e-4)
    row = ask(chatty, [record], normalisation="unconditional")[0]
    base = [reply_log_p(chatty, record.prompt, t) - reply_log_p(chatty, "Answer:", t) for t in record.options]
    assert row["scores"] == pytest.approx(base, abs=1e-4)
    listing = "Who was it?\nA. nurse\nB. He was late.\nAnswer:"
    row = ask(chatty, [record], format="letters", orders=1)[0][0]
    assert row["scores"] == pytest.approx([reply_log_p(chatty, listing, letter) for letter in "AB"], abs=1e-4)
    with pytest.raises(FairbenchError, match="chat template takes an option for the reply"):
        ask(chatty, [dataclasses.replace(record, prompt="")])


# --- planted bias --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def planted():
    fields = ("id", "prompt", "label", "condition", "polarity", "unknown", "target")
    return [Choice(options=tuple(r["options"]), **{f: r[f] for f in fields}) for r in items.rows("choices")]


def share(records, rows, condition, wanted):
    """How many of a condition's choices are what is wanted."""
    found = [wanted(r, row["choice"]) for r, row in zip(records, rows, strict=True) if r.condition == condition]
    assert len(found) >= 24
    return np.mean([one for one in found if one is not None])


def right(record, chosen):
    return chosen == record.label


def biased(record, chosen):
    """Whether a choice is the stereotyped one; an unknown one is neither."""
    return None if chosen == record.unknown else (chosen == record.target) == (record.polarity == "neg")


@pytest.mark.parametrize("normalisation", ["sum", "mean", "bytes", "unconditional"])
def test_a_planted_model_chooses_as_planted(planted, normalisation):
    model = load(inspect_model("planted:causal-1.0"))
    rows = ask(model, planted, normalisation=normalisation)
    assert share(planted, rows, "pro", right) > 0.8 > 0.2 > share(planted, rows, "anti", right)
    assert share(planted, rows, "ambig", biased) > 0.9
    assert choice.sanity(model) is None
    assert choice.engine(model)["logits"]


def test_a_model_without_planted_bias(planted):
    rows = ask(load(inspect_model("planted:causal-0.0")), planted)
    assert abs(share(planted, rows, "pro", right) - share(planted, rows, "anti", right)) < 0.2


def test_a_real_liking_for_the_first_letter(planted):
    """The planted models have never met a list: they choose A whatever stands there, and over all orders that is chance."""
    rows = ask(load(inspect_model("planted:causal-1.0")), planted, format="letters")
    for record, own in zip(planted, rows, strict=True):
        assert [row["position"] for row in own] == [0] * len(record.options)
        assert sorted(row["choice"] for row in own) == list(range(len(record.options)))
        assert all(len(row["scores"]) == len(record.options) and all(map(math.isfinite, row["scores"])) for row in own)


# --- tables --------------------------------------------------------------------------------------------------------------------


def test_a_table_goes_through_files(tmp_path, replying):
    replying(lambda prompt: "A" if "slept" in prompt else "what?")
    both = [ask(Server()), ask(SimpleNamespace(card=CAUSAL), by="letter")]
    for name, answers in zip(("plain", "letters"), both, strict=True):
        own = [row if isinstance(row, list) else [row] for row in answers]
        rows = [{**as_row(r), **row} for r, found in zip(RECORDS, own, strict=True) for row in found]
        store = AnswerStore(tmp_path, name)
        for part, row in enumerate(rows):  # each alone: columns that are null in one part have their type from another
            store.write_part(part, [row], 0.0)
        store.finish(len(rows), {})
        store.read().to_json(tmp_path / f"{name}.jsonl", orient="records", lines=True)
        table = store.read()
        for column in ("options", "scores"):
            if column in table:
                table[column] = [None if cell is None else cell.tolist() for cell in table[column]]  # as Python prints it
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        for ending in ("parquet", "jsonl", "csv"):
            found = read_answers(tmp_path / f"{name}.{ending}")
            assert [list(cell) for cell in found["options"]] == [row["options"] for row in rows]
            for column in ("choice", "position", "order", "reply", "left_out"):
                cells = [row.get(column) for row in rows]
                if column in found:
                    assert [None if cell != cell else cell for cell in found[column].astype(object)] == cells, (ending, column)
                else:
                    assert cells == [None] * len(rows)
            for cell, row in zip(found.get("scores", []), rows, strict=False):
                assert (None if cell is None or isinstance(cell, float) else list(cell)) == row.get("scores")
