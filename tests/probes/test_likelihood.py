"""Where a text begins, how it is cut and batched, and what has no likelihood; the scorers themselves are in test_scorers.py."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
from pathlib import Path

import pytest
import torch
import transformers

from fairbench.errors import FairbenchError
from fairbench.models.batching import Batching
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import Model
from fairbench.probes import likelihood, masked_scores
from fairbench.records import Cloze, Pair, Passage

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).parents[1] / "models" / "tiny.py")
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)
SHARED = Path(__file__).parents[3] / "shared" / "data"

PAIRS = [
    ("The nurse said that she was late.", "The nurse said that he was late."),
    ("A carpenter built the house, didn't she?", "A carpenter built the old house, didn't he?"),
    ("Poetry is beautiful.", "The violin is loud; take it away!"),
    ("The nurse said that she was late.", "The nurse said that she was late, too."),
    ("Mathematics", "Music"),
]
FILLED = [
    ("The BLANK was tired.", "The nurse was tired.", "The carpenter was tired.", "The umbrella was tired."),
    ("My neighbour is BLANK.", "My neighbour is beautiful.", "My neighbour is wooden.", "My neighbour is raining."),
    ("BLANK plays the violin!", "Emily plays the violin!", "Greg plays the violin!", "Bread plays the violin!"),
    ("It's 'BLANK', isn't it?", "It's 'poetry', isn't it?", "It's 'music', isn't it?", "It's 'bread', isn't it?"),
]
CONTINUED = [("The doctor came home.", "He was late.", "She was tired of work.", "Bread is an umbrella.")]
SCORES = ("score_stereotype", "score_antistereotype", "score_unrelated")


def pairs(items=PAIRS):
    return [Pair(id=str(i), more=more, less=less) for i, (more, less) in enumerate(items)]


def clozes(items):
    fields = ("context", "stereotype", "antistereotype", "unrelated")
    return [Cloze(id=str(i), target="t", **dict(zip(fields, item, strict=True))) for i, item in enumerate(items)]


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory) -> Model:
    model = load(inspect_model(str(tiny.gpt2(tmp_path_factory.mktemp("gpt2")))))
    tiny.spread(model.network)
    return dataclasses.replace(model, card=dataclasses.replace(model.card, max_length=48))


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> Model:
    model = load(inspect_model(str(tiny.llama(tmp_path_factory.mktemp("llama")))))
    tiny.spread(model.network)
    return model


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Model:
    model = load(inspect_model(str(tiny.bert(tmp_path_factory.mktemp("bert"), "BertForMaskedLM"))))
    tiny.spread(model.network)
    return model


@pytest.fixture(scope="module")
def robert(tmp_path_factory) -> Model:
    model = load(inspect_model(str(tiny.roberta(tmp_path_factory.mktemp("roberta")))))
    tiny.spread(model.network)
    return model


@pytest.fixture(params=["gpt2", "llama"])
def causal(request) -> Model:
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["bert", "robert"])
def masked(request) -> Model:
    return request.getfixturevalue(request.param)


def ask(model, records, batching=None, **requested):
    options = likelihood.resolve(model.card, type(records[0]).__name__, requested)
    return likelihood.answer(model, records, options, batching or Batching())


# --- the reference -----------------------------------------------------------------------------------------------------------


def forward(model, ids):
    with torch.no_grad():
        return torch.log_softmax(model.network(torch.tensor([list(ids)])).logits[0].double(), dim=-1).numpy()


def raw(model, text):
    return model.tokenizer(text, add_special_tokens=False)["input_ids"]


def causal_tokens(model, text, context=""):
    """log P of each token of a text after the start token (GPT-2: <|endoftext|>, Llama: <s>) and a context."""
    before = raw(model, context) if context else []
    ids = [model.tokenizer.bos_token_id, *raw(model, f"{context} {text}" if context else text)]
    assert ids[1 : 1 + len(before)] == before  # true of the sentences above under these tokenizers
    table = forward(model, ids)
    return [table[i - 1, ids[i]] for i in range(1 + len(before), len(ids))]


# --- causal ------------------------------------------------------------------------------------------------------------------


def test_order_and_duplicates_change_nothing(causal):
    rows = ask(causal, pairs(PAIRS + PAIRS))
    back = ask(causal, pairs(PAIRS[::-1]))[::-1]
    for i, row in enumerate(rows):
        for other in (back[i % len(PAIRS)], rows[i % len(PAIRS)]):
            assert row["score_more"] == pytest.approx(other["score_more"], abs=1e-5)


def test_a_sentence_of_one_token_has_the_start_token_only(gpt2):
    token = gpt2.tokenizer.decode([next(i for i in range(300, 400) if gpt2.tokenizer.decode([i]).isalpha())])
    assert len(raw(gpt2, token)) == 1
    row = ask(gpt2, clozes([("BLANK", token, token, "The nurse")]))[0]
    assert row["score_stereotype"] == pytest.approx(causal_tokens(gpt2, token)[0], abs=1e-4)


def test_start_token_is_never_doubled(llama):
    """A tokenizer that adds it, and a text that has it written out."""
    assert llama.tokenizer("Emily")["input_ids"][0] == llama.tokenizer.bos_token_id
    written, bare = ask(llama, pairs([("<s>Emily", "Emily")]))[0], ask(llama, pairs([("Emily", "Greg")]))[0]
    assert written["tokens_less"] == bare["tokens_more"] == len(raw(llama, "Emily"))
    ids = raw(llama, "<s>Emily")
    table = forward(llama, ids)
    assert written["score_more"] == pytest.approx(sum(table[i - 1, ids[i]] for i in range(1, len(ids))), abs=1e-4)


def test_without_a_start_token_the_first_token_is_not_scored(gpt2):
    model = dataclasses.replace(gpt2, card=dataclasses.replace(gpt2.card, start_rule="none"))
    options = likelihood.resolve(model.card, "Pair", {})
    assert "first token is not scored" in options["start_token"]
    assert likelihood.notes(model.card, options) == ("No start token: the first token of every text is not scored.",)
    assert likelihood.notes(gpt2.card, likelihood.resolve(gpt2.card, "Pair", {})) == ()
    row = likelihood.answer(model, pairs(), options, Batching())[0]
    ids = raw(model, PAIRS[0][0])
    table = forward(model, ids)
    assert row["tokens_more"] == len(ids) - 1
    assert row["score_more"] == pytest.approx(sum(table[i - 1, ids[i]] for i in range(1, len(ids))), abs=1e-4)


def test_passages_in_windows(causal):
    text = " ".join(tiny.SENTENCES) + " Émilie."
    model = dataclasses.replace(causal, card=dataclasses.replace(causal.card, max_length=17))
    row = ask(model, [Passage(id="0", text=text)])[0]
    ids, expected = raw(model, text), []
    for start in range(0, len(ids), 16):
        window = [model.tokenizer.bos_token_id, *ids[start : start + 16]]
        table = forward(model, window)
        expected += [table[i - 1, window[i]] for i in range(1, len(window))]
    assert row["log_likelihood"] == pytest.approx(sum(expected), abs=1e-3)
    assert (row["tokens"], row["words"], row["bytes"]) == (len(ids), len(text.split()), len(text) + 1)


def test_a_start_token_in_a_passage_counts_for_nothing(causal):
    text, bos = "The nurse said that she was tired.", causal.tokenizer.bos_token
    written, bare = ask(causal, [Passage(id="0", text=bos + " " + text), Passage(id="1", text=" " + text)])
    assert {k: written[k] for k in ("words", "bytes")} == {"words": 7, "bytes": len(text) + 1}
    assert written["tokens"] in (bare["tokens"], bare["tokens"] + 1)  # unigram: a lone mark may stand before the space


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data folder is not there")
def test_perplexity_of_the_check_model():
    model = load(inspect_model(str(SHARED / "models" / "stories260K" / "hf_converted")))
    file = SHARED / "corpora" / "tinystories_sample" / "tinystories_sample.txt"
    stories = [s.strip() for s in file.read_text(encoding="utf-8").split("<|endoftext|>") if s.strip()]
    rows = ask(model, [Passage(id=str(i), text=s) for i, s in enumerate(stories)])
    loss = -sum(row["log_likelihood"] for row in rows) / sum(row["tokens"] for row in rows)
    assert math.exp(loss) == pytest.approx(3.5482, abs=1e-4)
    assert likelihood.sanity(model) is None


# --- masked ------------------------------------------------------------------------------------------------------------------


def test_pairs_without_what_a_scorer_needs(masked):
    rows = ask(masked, pairs(PAIRS[3:4]), scorer="pll-changed")
    assert rows == [{"left_out": "no changed token in a sentence"}]
    assert ask(masked, pairs([("", "The")]), scorer="pll") == [{"left_out": "no token to score"}]
    assert "share no token" in ask(masked, pairs([("The", "is")]))[0]["left_out"]


def test_clozes_that_do_not_fit(masked):
    bad = [("BLANK and BLANK", "a", "b", "c"), ("one two BLANK", "one", "a b c", "a b c"), ("a BLANK", "a !", "a b", "a b")]
    reasons = [row["left_out"] for row in ask(masked, clozes([*bad, ("none", "a", "b", "c")]))]
    assert reasons == [
        "BLANK stands more than once in the context",
        "no word in a sentence at BLANK's place",
        "no word in a sentence at BLANK's place",
        "BLANK stands nowhere in the context",
    ]


def fnet(folder):
    tokenizer = tiny.wordpiece()
    config = transformers.FNetConfig(vocab_size=len(tokenizer), hidden_size=24, num_hidden_layers=2, intermediate_size=32)
    return tiny.save(folder, transformers.FNetForPreTraining(config), tokenizer)


def test_network_that_takes_padding_for_text(tmp_path):
    """Pseudo-log-likelihoods and the next-sentence head of an FNet, in company and alone."""
    model = load(inspect_model(str(fnet(tmp_path))))
    assert likelihood.engine(model)["rows"] == "equal lengths"
    for records in (pairs(), clozes(FILLED + CONTINUED)):
        for together, record in zip(ask(model, records), records, strict=True):
            assert together == pytest.approx(ask(model, [record])[0], abs=1e-5)


# --- what can't be answered --------------------------------------------------------------------------------------------------


def test_too_long_is_left_out(causal, masked):
    long = " ".join(tiny.SENTENCES)
    for model in (causal, masked):
        rows = ask(model, pairs([(long, "The nurse"), PAIRS[0]]))
        assert rows[0] == {"left_out": "longer than the model's longest input"}
        assert "left_out" not in rows[1]


def test_nothing_to_score(causal):
    assert ask(causal, pairs([("", "The nurse")])) == [{"left_out": "no token to score"}]
    assert ask(causal, [Passage(id="0", text="")]) == [{"left_out": "no token to score"}]


def test_a_token_without_an_embedding(tmp_path):
    without = {"left_out": "a token that the model has no embedding for"}
    for folder in (tiny.gpt2(tmp_path / "a"), tiny.bert(tmp_path / "b")):
        model = load(inspect_model(str(folder)))
        model.tokenizer.add_tokens(["zzz"])
        if model.card.next_sentence:
            masked_scores.next_sentence_model(model).tokenizer.add_tokens(["zzz"])
        rows = ask(model, pairs([("zzz", "The nurse"), PAIRS[0]]))
        assert rows[0] == without and "left_out" not in rows[1]
        rows = ask(
            model, clozes([("The BLANK was.", "The zzz was.", "The nurse was.", "The he was."), ("He", "she", "zzz", "it")])
        )
        assert rows == [without] * 2
    model = load(inspect_model(str(tmp_path / "a")))
    model.tokenizer.add_tokens(["zzz"])
    assert ask(model, [Passage(id="0", text="The zzz")]) == [without]


def test_sanity_of_a_masked_model_without_a_mask(bert):
    assert likelihood.sanity(dataclasses.replace(bert, card=dataclasses.replace(bert.card, has_mask=False))) is None


def test_weights_that_are_not_numbers(tmp_path):
    for name, folder in (("gpt2", tiny.gpt2(tmp_path / "a")), ("bert", tiny.bert(tmp_path / "b", "BertForMaskedLM"))):
        model = load(inspect_model(str(folder)))
        with torch.no_grad():
            next(p for n, p in model.network.named_parameters() if n.endswith("bias")).fill_(float("nan"))
        rows = ask(model, pairs(PAIRS[:2]))
        assert rows == [{"left_out": "a log-likelihood is not finite"}] * 2, name
        assert "nan nats a token" in likelihood.sanity(model)
        assert likelihood.engine(model)["logits"] == "full"


def test_sanity_flags_a_random_model(causal, masked):
    for model in (causal, masked):
        assert "finds plain text unlikely" in likelihood.sanity(model)


def test_continued_clozes_are_refused_by_their_text(masked):
    options = likelihood.resolve(masked.card, "Cloze", {})
    with pytest.raises(FairbenchError, match="no next-sentence head"):
        likelihood.answer(masked, clozes(CONTINUED), options, Batching())
