"""Every scorer of the likelihood probe against its definition (definitions.py), on every sort of tokenizer."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import pytest
import torch
import transformers
from tokenizers import normalizers, processors

from fairbench.models.batching import Batching
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import ModelOptions
from fairbench.probes import likelihood
from fairbench.records import Cloze, Pair, Passage


def beside(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tiny = beside(Path(__file__).parents[1] / "models" / "tiny.py")
definitions = beside(Path(__file__).parent / "definitions.py")

LONGEST = 160
VIOLIN = definitions.VIOLIN

PAIRS = [
    ("The nurse said that she was late.", "The nurse said that he was late."),
    ("A carpenter built the house, didn't she?", "A carpenter built the old house, didn't he?"),
    ("Poetry is beautiful.", "The violin is loud; take it away!"),
    ("The nurse said that she was late.", "The nurse said that she was late, too."),
    ("Mathematics", "Music"),
    ("My naïve neighbour hasn't seen the café.", "My naïve neighbours haven't seen the café."),
    (f"Zoë plays her {VIOLIN} every evening, doesn't she?", f"Émile plays his {VIOLIN}{VIOLIN} every evening, doesn't he?"),
    ("Those unquestionably extraordinary mathematicians weren't there.", "Those carpenters weren't there."),
    ('  Two  spaces,\ta tab & 1 umbrella: "take it!"', "Two spaces, a tab & 12 umbrellas: 'take it!'"),
    ("He.", "She said, after a long and tiring evening near the river, that it's all one to her."),
]
FILLED = [
    ("The BLANK was tired.", "The nurse was tired.", "The carpenter was tired.", "The umbrella was tired."),
    ("My neighbour is BLANK.", "My neighbour is beautiful.", "My neighbour is wooden.", "My neighbour is raining."),
    ("BLANK plays the violin!", "Emily plays the violin!", "Greg plays the violin!", "Bread plays the violin!"),
    ("It's 'BLANK', isn't it?", "It's 'poetry', isn't it?", "It's 'music', isn't it?", "It's 'bread', isn't it?"),
    (f"A {VIOLIN} for the BLANK", f"A {VIOLIN} for the neighbour", f"A {VIOLIN} for the carpenter", f"A {VIOLIN} for the it"),
    ("The café isn't BLANK's.", "The café isn't Émilie's.", "The café isn't nobody's.", "The café isn't bread's."),
]
CONTINUED = [
    ("The doctor came home.", "He was late.", "She was tired of work.", "Bread is an umbrella."),
    ("It's raining; isn't it?", "Take an umbrella with you!", "Émile can't.", "Mathematics"),
]
PASSAGES = [" ".join(tiny.SENTENCES * 3) + f" Zoë's {VIOLIN}.", "It's a naïve café.", "He"]


# --- models ------------------------------------------------------------------------------------------------------------------


def trimmed(tokenizer):
    """RoBERTa's as it is published: offsets without the leading space."""
    tokenizer.backend_tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), add_prefix_space=False, trim_offsets=True
    )


def uncased(tokenizer):
    """ALBERT's as it is published: quotation marks made one, accents and capitals taken away."""
    quotes = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(
        [*quotes, normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )


MODELS = {
    "byte-level BPE, causal": (tiny.gpt2, None),
    "SentencePiece, causal": (tiny.llama, None),
    "WordPiece, masked": (functools.partial(tiny.bert, name="BertForMaskedLM"), None),
    "WordPiece, masked, two heads": (tiny.bert, None),
    "byte-level BPE, masked": (tiny.roberta, None),
    "byte-level BPE, masked, trimmed": (tiny.roberta, trimmed),
    "SentencePiece, masked": (tiny.albert, None),
    "SentencePiece, masked, uncased": (tiny.albert, uncased),
}


def build(folder, name):
    """A tiny model with room for the sentences, and weights of a size at which a wrong position or mask shows."""
    make, change = MODELS[name]
    make(folder)
    config, tokenizer = (auto.from_pretrained(folder) for auto in (transformers.AutoConfig, transformers.AutoTokenizer))
    key = "n_positions" if config.model_type == "gpt2" else "max_position_embeddings"
    setattr(config, key, LONGEST + 2 if config.model_type == "roberta" else LONGEST)
    tokenizer.model_max_length = LONGEST
    if change is not None:
        change(tokenizer)
    return tiny.save(folder, tiny.spread(getattr(transformers, config.architectures[0])(config)), tokenizer)


@pytest.fixture(scope="module", params=MODELS)
def folder(request, tmp_path_factory):
    return build(tmp_path_factory.mktemp("model"), request.param)


# --- agreement ---------------------------------------------------------------------------------------------------------------

FIELDS = ("context", "stereotype", "antistereotype", "unrelated")
RECORDS = {
    "Pair": [Pair(id=str(i), more=more, less=less) for i, (more, less) in enumerate(PAIRS)],
    "Cloze": [Cloze(id=item[0], target="t", **dict(zip(FIELDS, item, strict=True))) for item in FILLED],
    "Continued": [Cloze(id=item[0], target="t", **dict(zip(FIELDS, item, strict=True))) for item in CONTINUED],
    "Passage": [Passage(id=str(i), text=text) for i, text in enumerate(PASSAGES)],
}
BATCHINGS = {"float32": (Batching(), Batching(rows=1)), "float64": (Batching(rows=3), Batching(budget=40))}


def records_for(form, scorer, plain):
    """All records of a form that this model can be asked about; a second head has a part in clozes alone."""
    if plain.two_heads and (form, scorer) != ("Cloze", "stereoset"):
        return RECORDS[form][:2]
    continued = form == "Cloze" and (plain.kind == "causal" or (plain.two_heads and scorer == "stereoset"))
    return RECORDS[form] + (RECORDS["Continued"] if continued else [])


def test_every_scorer_has_a_reference():
    assert set(definitions.REFERENCES) == {(*key, scorer) for key, scorers in likelihood.SCORERS.items() for scorer in scorers}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_scorer_is_its_definition(folder, dtype):
    plain = definitions.Plain(folder, getattr(torch, dtype))
    model = load(inspect_model(str(folder), ModelOptions(dtype=dtype)))
    assert model.card.max_length == LONGEST
    for (kind, form, scorer), reference in definitions.REFERENCES.items():
        if kind != model.card.kind:
            continue
        records = records_for(form, scorer, plain)
        expected = [reference(plain, record) for record in records]
        options = likelihood.resolve(model.card, form, {"scorer": scorer})
        for batching in BATCHINGS[dtype]:
            found = likelihood.answer(model, records, options, batching)
            for record, row, wanted in zip(records, found, expected, strict=True):
                agree(row, wanted, dtype, (scorer, batching, record))


def agree(row, wanted, dtype, what):
    """To 1e-5, or six digits in float32, which is all that a sum of forty tokens has.

    Eight digits in float64: transformers keeps rotary tables in float32 there too. None: this record can't be scored so.
    """
    if wanted is None:
        assert row.keys() == {"left_out"}, what
        return
    assert row.keys() == wanted.keys(), what
    rounding = 5e-4 if what[0] == "published" else 0
    for column, value in wanted.items():
        assert row[column] == pytest.approx(value, abs=1e-5 + rounding, rel=1e-6 if dtype == "float32" else 1e-8), (column, *what)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_published_is_the_shared_score_to_three_decimals(folder, dtype):
    model = load(inspect_model(str(folder), ModelOptions(dtype=dtype)))
    if model.card.kind == "causal":
        pytest.skip("of masked models only")
    shared, published = (
        likelihood.answer(model, RECORDS["Pair"], likelihood.resolve(model.card, "Pair", {"scorer": scorer}), Batching())
        for scorer in ("pll-shared", "published")
    )
    assert published == [
        row if "left_out" in row else row | {name: round(row[name], 3) for name in ("score_more", "score_less")} for row in shared
    ]
