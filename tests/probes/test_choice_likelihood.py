"""Likelihoods of options against their definitions: one forward pass of one text at a time, on every sort of tokenizer."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, processors

from fairbench.models.batching import Batching
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import ModelOptions
from fairbench.probes import choice
from fairbench.probes.choice_likelihood import differing
from fairbench.records import Choice


def beside(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tiny = beside(Path(__file__).parents[1] / "models" / "tiny.py")
definitions = beside(Path(__file__).parent / "definitions.py")
NORMALISATIONS = ("sum", "mean", "bytes", "unconditional")
LONGEST = 96
# A vocabulary of pieces knows no letter that it has not met.
tiny.SENTENCES = [*tiny.SENTENCES, "Nobody: who? A. B. C. D. He. Who?"]

QUESTIONS = [
    ("The nurse met the doctor. Who was tired?", ("The nurse", "The doctor", "Nobody can tell")),
    ("My neighbour plays the violin. She was the", ("neighbour.", "carpenter, who built the house.")),
    ("It's raining; who'll take an umbrella?", ("Emily", "Greg and Emily, in the evening", "mathematics", "bread")),
]
READINGS = [
    ("The nurse told the doctor that the nurse was late.", "The nurse told the doctor that the doctor was late."),
    ("Emily is tired of the evening.", "Greg, the carpenter, is tired of the evening.", "Bread is tired of the evening."),
    ("He bought bread for the neighbour who was late!", "He bought bread for the neighbours who was late!"),
]

MODELS = {
    "byte-level BPE, causal": tiny.gpt2,
    "SentencePiece, causal": tiny.llama,
    "WordPiece, masked": functools.partial(tiny.bert, name="BertForMaskedLM"),
    "byte-level BPE, masked": tiny.roberta,  # its offsets trimmed as in what is published
    "SentencePiece, masked": tiny.albert,
}


def build(folder, make):
    """A tiny model with room for the prompts, and weights of a size at which a wrong position or mask shows."""
    make(folder)
    config, tokenizer = (auto.from_pretrained(folder) for auto in (transformers.AutoConfig, transformers.AutoTokenizer))
    key = "n_positions" if config.model_type == "gpt2" else "max_position_embeddings"
    setattr(config, key, LONGEST + 2 if config.model_type == "roberta" else LONGEST)
    tokenizer.model_max_length = LONGEST
    if config.model_type == "roberta":
        tokenizer.backend_tokenizer.post_processor = processors.RobertaProcessing(
            ("</s>", 2), ("<s>", 0), add_prefix_space=False, trim_offsets=True
        )
    return tiny.save(folder, tiny.spread(getattr(transformers, config.architectures[0])(config)), tokenizer)


@pytest.fixture(scope="module", params=MODELS)
def both(request, tmp_path_factory):
    """A model, and the same one for its definitions."""
    folder = build(tmp_path_factory.mktemp("model"), MODELS[request.param])
    plain = definitions.Plain(folder, torch.float64)
    return load(inspect_model(str(folder), ModelOptions(dtype="float64"))), plain


def questions(items=QUESTIONS):
    return [Choice(id=str(i), prompt=prompt, options=texts) for i, (prompt, texts) in enumerate(items)]


def readings():
    return [Choice(id=str(i), prompt="", options=texts) for i, texts in enumerate(READINGS)]


def ask(model, records, batching=None, **requested):
    return choice.answer(model, records, choice.resolve(model.card, "Choice", requested), batching or Batching())


# --- the definitions ---------------------------------------------------------------------------------------------------------


def after(plain, prompt, option):
    """Log P of an option's tokens: those of the joined text behind the prompt's own, which must stand at its beginning."""
    if plain.kind == "causal":
        return plain.tokens(option, prompt)
    ids, places = plain.whole(f"{prompt} {option}")
    count = len(plain.bare(prompt))
    assert ids[1 : 1 + count] == plain.bare(prompt)
    return plain.hidden(ids, places[count:])


def wanted(plain, prompt, option, normalisation):
    values = after(plain, prompt, option)
    if normalisation == "unconditional":
        return sum(values) - sum(after(plain, "Answer:", option))
    return sum(values) / {"sum": 1, "mean": len(values), "bytes": len(option.encode("utf-8"))}[normalisation]


def shared(plain, texts):
    """Of each text the log P of the tokens of the words that all end with (masked: and of those that all begin with)."""
    words = [text.split() for text in texts]
    head = next(n for n in range(99) if len({row[n] for row in words}) > 1) if plain.kind == "masked" else 0
    tail = next(n for n in range(99) if len({row[len(row) - n - 1] for row in words}) > 1)
    found = []
    for text, row in zip(texts, words, strict=True):
        before, inside = (plain.bare(" ".join(part)) for part in (row[:head], row[: len(row) - tail]))
        assert plain.bare(text)[: len(before)] == before and plain.bare(text)[: len(inside)] == inside
        if plain.kind == "causal":
            found.append(plain.tokens(text)[len(inside) :])
        else:
            ids, places = plain.whole(text)
            found.append(plain.hidden(ids, [*places[: len(before)], *places[len(inside) :]]))
    return found


# --- agreement ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_options_after_a_prompt(both, normalisation):
    model, plain = both
    for record, row in zip(questions(), ask(model, questions(), normalisation=normalisation), strict=True):
        expected = [wanted(plain, record.prompt, option, normalisation) for option in record.options]
        assert row["scores"] == pytest.approx(expected, abs=1e-5, rel=1e-8)
        assert row["choice"] == int(np.argmax(expected))
        assert row.keys() == {"choice", "scores"}


@pytest.mark.parametrize("normalisation", ["sum", "mean", "bytes"])
def test_whole_readings(both, normalisation):
    model, plain = both
    for record, row in zip(readings(), ask(model, readings(), normalisation=normalisation), strict=True):
        values = [plain.tokens(text) if plain.kind == "causal" else plain.pll(text) for text in record.options]
        over = {"sum": [1] * 9, "mean": [*map(len, values)], "bytes": [len(text.encode()) for text in record.options]}
        expected = [sum(v) / n for v, n in zip(values, over[normalisation], strict=False)]
        assert row["scores"] == pytest.approx(expected, abs=1e-5, rel=1e-8)


@pytest.mark.parametrize("normalisation", ["sum", "mean", "bytes"])
def test_the_shared_part_of_readings(both, normalisation):
    model, plain = both
    rows = ask(model, readings(), normalisation=normalisation, readings="partial")
    for record, row in zip(readings(), rows, strict=True):
        values = shared(plain, record.options)
        spans = differing(record.options)
        both_sides = plain.kind == "masked"
        sizes = [len(text) - end + both_sides * start for text, (start, end) in zip(record.options, spans, strict=True)]
        over = {"sum": [1] * 9, "mean": [*map(len, values)], "bytes": sizes}[normalisation]
        assert len(set(over[: len(values)])) == 1, "the same text is scored in every reading"
        assert row["scores"] == pytest.approx([sum(v) / n for v, n in zip(values, over, strict=False)], abs=1e-5, rel=1e-8)


def test_listed_letters(both):
    model, plain = both
    if plain.kind == "masked":
        pytest.skip("of causal models only")
    record = Choice(id="0", prompt="Who was tired? ", options=("The nurse", " Greg ", "Emily"))
    for normalisation in ("sum", "unconditional"):
        rows = ask(model, [record], format="letters", normalisation=normalisation)[0]
        assert [row["order"] for row in rows] == [0, 1, 2]
        for row in rows:
            shown = [["The nurse", "Greg", "Emily"][(place + row["order"]) % 3] for place in range(3)]
            listing = "Who was tired?\n" + "".join(f"{letter}. {text}\n" for letter, text in zip("ABC", shown, strict=True))
            by_place = [wanted(plain, f"{listing}Answer:", letter, normalisation) for letter in "ABC"]
            expected = [by_place[shown.index(text)] for text in ("The nurse", "Greg", "Emily")]
            assert row["scores"] == pytest.approx(expected, abs=1e-5, rel=1e-8)
            assert row["choice"] == int(np.argmax(expected))
            assert row["position"] == int(np.argmax(by_place))


@pytest.mark.parametrize("how", [{}, {"format": "letters"}])
def test_neighbours_change_nothing(both, how):
    model, plain = both
    if plain.kind == "masked" and "format" in how:
        pytest.skip("of causal models only")
    records = questions() + ([] if how else readings()[1:2])
    together = ask(model, records, **how)
    for batching in (Batching(rows=3), Batching(budget=60)):
        back = ask(model, records[::-1], batching, **how)[::-1]
        for one, other in zip(together, back, strict=True):
            pairs = zip(*([row] if isinstance(row, dict) else row for row in (one, other)), strict=True)
            for left, right in pairs:
                assert left["scores"] == pytest.approx(right["scores"], abs=1e-6)
                assert left["choice"] == right["choice"]


# --- the border ---------------------------------------------------------------------------------------------------------------


def test_space_at_the_end_of_a_prompt_is_none(both):
    model, _ = both
    prompt, options = QUESTIONS[0]
    padded = [Choice(id="0", prompt=f"{prompt} \n", options=tuple(f" {option} " for option in options))]
    assert ask(model, padded)[0]["scores"] == pytest.approx(ask(model, questions()[:1])[0]["scores"], abs=1e-9)


def spanning(folder):
    """A causal model one of whose pieces holds the end of a prompt and the beginning of an option."""
    pieces = [("<unk>", -20.0), ("<s>", 0.0), ("is he", -1.0)] + [(c, -5.0) for c in " .?isheawWo"]
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.Unigram(list(dict.fromkeys(pieces)), unk_id=0)), bos_token="<s>", unk_token="<unk>"
    )
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=len(tokenizer), n_positions=48, n_embd=24, n_layer=2, n_head=2)
    return tiny.save(folder, tiny.spread(transformers.GPT2LMHeadModel(config)), tokenizer)


def test_a_token_across_the_border_is_the_options(tmp_path):
    folder = spanning(tmp_path)
    model, plain = load(inspect_model(str(folder))), definitions.Plain(folder, torch.float32)
    scores = ask(model, [Choice(id="0", prompt="Who is", options=("he", "she"))])[0]["scores"]
    start, across = plain.tokenizer.bos_token_id, plain.bare("is he")
    assert len(across) == 1 and plain.bare("Who is he") == (*plain.bare("Who "), *across)
    ids = (start, *plain.bare("Who is he"))
    assert scores[0] == pytest.approx(plain.log_p(ids[:-1])[-1, ids[-1]], abs=1e-4)
    assert scores[1] == pytest.approx(sum(plain.tokens("she", "Who is")), abs=1e-4)  # of `Who is` whole, and " she" behind it


def test_a_token_across_what_differs_is_left_out(tmp_path):
    model = load(inspect_model(str(spanning(tmp_path))))
    record = Choice(id="0", prompt="", options=("Who is he?", "Who was he?"))
    assert ask(model, [record], readings="partial") == [
        {"left_out": "a token holds a part of the words that differ and of the text beside them"}
    ]
    assert "choice" in ask(model, [record])[0]


def test_what_differs_is_whole_words():
    assert differing(["The teacher slept.", "The customer slept."]) == [(3, 11), (3, 12)]  # not `er slept`
    assert differing(["He ran.", "He often ran."]) == [(2, 2), (2, 8)]
    assert differing(["The nurse", "The nurses"]) == [(3, 9), (3, 10)]
    assert differing(["The nurse's cat", "The cat's cat"]) == [(3, 9), (3, 7)]
    assert differing(["a a b", "a b"]) == [(1, 3), (1, 1)]
    assert differing(["one", "two"]) == [(0, 3), (0, 3)]


# --- what can't be scored ----------------------------------------------------------------------------------------------------


def test_left_out(both):
    model, plain = both
    long = " ".join(tiny.SENTENCES * 3)
    bad = [
        ("Who?", ("The nurse", " "), "an option is empty"),
        ("Who?", ("The nurse",), "there are fewer than two options"),
        ("Who?", ("The nurse", "The nurse "), "two options are the same text"),
        (long, ("The nurse", "The doctor"), "longer than the model's longest input"),
        ("", (long, "The doctor"), "longer than the model's longest input"),
    ]
    if plain.tokenizer.unk_token is not None and plain.tokenizer.unk_token_id in plain.bare(definitions.VIOLIN):
        unknown = "an option has a token that stands for anything unknown"
        bad += [("Who?", ("The nurse", f"The {definitions.VIOLIN}"), unknown)]
        bad += [("", ("The nurse was.", f"The {definitions.VIOLIN} was."), unknown)]
    records = questions([(prompt, options) for prompt, options, _ in bad]) + questions()
    rows = ask(model, records)
    assert [row["left_out"] for row in rows[: len(bad)]] == [reason for *_, reason in bad]
    for alone, beside_bad in zip(ask(model, questions()), rows[len(bad) :], strict=True):
        assert beside_bad["scores"] == pytest.approx(alone["scores"], abs=1e-6)


def test_a_prompt_may_hold_what_the_vocabulary_does_not(both):
    model, _ = both
    assert "choice" in ask(model, questions([(f"The {definitions.VIOLIN} is", ("old", "late"))]))[0]
    text = f"The {definitions.VIOLIN} of the"
    assert "choice" in ask(model, [Choice(id="0", prompt="", options=(f"{text} nurse was.", f"{text} doctor was."))])[0]


def test_nothing_behind_the_difference(both):
    model, plain = both
    record = Choice(id="0", prompt="", options=("It was the nurse", "It was the doctor"))
    row = ask(model, [record], readings="partial")[0]
    if plain.kind == "causal":
        assert row == {"left_out": "nothing stands behind the place where the texts differ"}
    else:
        assert row["scores"] == pytest.approx([sum(v) for v in shared_before(plain, record.options)], abs=1e-5)


def shared_before(plain, texts):
    """Log P of the tokens of `It was the` in each of the texts."""
    return [plain.hidden(plain.whole(text)[0], range(1, 1 + len(plain.bare("It was the")))) for text in texts]


def test_values_that_are_not_numbers(tmp_path):
    model = load(inspect_model(str(tiny.gpt2(tmp_path))))
    with torch.no_grad():
        next(p for n, p in model.network.named_parameters() if n.endswith("bias")).fill_(float("nan"))
    assert ask(model, questions([("Who?", ("He", "She"))])) == [{"left_out": "a log-likelihood is not finite"}]


def test_a_model_that_knows_nothing_chooses_nothing(tmp_path):
    """All tokens equally likely: the first option is not its answer, and the shorter one is only in the sum's eyes."""
    model = load(inspect_model(str(tiny.gpt2(tmp_path))))
    with torch.no_grad():
        model.network.get_output_embeddings().weight.zero_()
    records = questions([("Who?", ("The nurse", "The nurse was tired"))])
    row = ask(model, records, normalisation="mean")[0]
    assert row["left_out"] == "the best options are equally likely"
    assert row["scores"][0] == pytest.approx(row["scores"][1])
    assert "choice" not in row
    assert ask(model, records)[0]["choice"] == 0
    listed = ask(model, records, format="letters")[0]
    assert [row["left_out"] for row in listed] == ["the best options are equally likely"] * 2
