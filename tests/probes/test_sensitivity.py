"""Prediction sensitivity of texts against the definition, written out text by text with captum's gradients."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path

import captum.attr
import numpy as np
import pytest
import torch
import transformers

from fairbench.errors import FairbenchError
from fairbench.models.batching import Batching
from fairbench.models.loading import inspect_model
from fairbench.models.model import ModelCard, ModelOptions
from fairbench.models.tokens import encode, pieces_of_span
from fairbench.probes import classification, gradients, sensitivity
from fairbench.records import Labelled
from fairbench.training import Prepared
from fairbench.training.classifier import Classifier
from fairbench.training.head import map_labels


def load_file(name: str, path: Path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tiny = load_file("tiny", Path(__file__).parents[1] / "models" / "tiny.py")

FAMILIES = ("bert", "roberta", "distilbert", "gpt2")
LABELS = ("teacher", "nurse", "poet")
TEXTS = [
    "The nurse said that she was tired.",
    "He was late for work.",
    "nurse",
    "Emily and Greg are going to the market to buy bread.",
    "My neighbour plays the violin every evening, doesn't he?",
]
RECORDS = [Labelled(id=str(i), text=text, label=i % 3) for i, text in enumerate(TEXTS)]


def ready(folder: Path, family: str, labels: tuple[str, ...] = LABELS, seed: int = 1, **changes: object) -> Path:
    """A checkpoint that is a classifier already, with random weights at which its output moves."""
    getattr(tiny, family)(folder)
    config = transformers.AutoConfig.from_pretrained(folder)
    config.id2label = dict(enumerate(labels))
    config.pad_token_id = config.pad_token_id if config.pad_token_id is not None else 0
    for name, value in changes.items():
        setattr(config, name, value)
    torch.manual_seed(seed)
    network = transformers.AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.copy_(0.2 * torch.randn(parameter.shape))
    return tiny.save(folder, network, None)


class Room:
    """Lends nothing: the classifiers here are ready."""

    classifiers = Path("nowhere")

    def progress(self, what: str, done: int, total: int) -> None:
        raise AssertionError

    def training_data(self, name: str) -> None:
        raise AssertionError


def options(card: ModelCard, **requested: object) -> dict[str, object]:
    return sensitivity.resolve(card, "Labelled", {"labels": LABELS, "protected": "uniform", **requested})


def loaded(card: ModelCard, **requested: object) -> sensitivity.Sensitive:
    """A ready classifier; with protected=model beside another one that has its word embeddings."""
    if requested.get("protected") != "model":
        return sensitivity.prepare(card, options(card, **requested), Room()).load()
    model = loaded(card)
    return dataclasses.replace(model, status=status_of(model))


def status_of(model: Classifier) -> Classifier:
    """A classifier with other weights than this one but for the embeddings, of two groups."""
    config = type(model.network.config).from_dict({**model.network.config.to_dict(), "id2label": {0: "female", 1: "male"}})
    torch.manual_seed(7)
    network = type(model.network)(config).to(model.network.dtype).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.copy_(0.2 * torch.randn(parameter.shape))
    network.get_input_embeddings().weight.copy_(model.network.get_input_embeddings().weight)
    fields = {f.name: getattr(model, f.name) for f in dataclasses.fields(Classifier)}
    return Classifier(**{**fields, "network": network, "head": map_labels("g", ("female", "male"), ())})


def ask(model: sensitivity.Sensitive, records=RECORDS, batching: Batching | None = None, **requested: object):
    return sensitivity.answer(model, records, options(model.card, **requested), batching or Batching())


@pytest.fixture(scope="module", params=FAMILIES)
def card(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    folder = ready(tmp_path_factory.mktemp(request.param), request.param)
    return inspect_model(str(folder), ModelOptions(dtype="float64", device="cpu"))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    folder = ready(tmp_path_factory.mktemp("bert"), "bert")
    return inspect_model(str(folder), ModelOptions(device="cpu"))


def gradient(model: Classifier, ids: torch.Tensor, function) -> np.ndarray:
    """(t, d) of one output for one text, by captum, through embeddings that are put in."""
    embedded = model.network.get_input_embeddings()(ids).requires_grad_()
    method = captum.attr.Saliency(lambda given: function(model.network(inputs_embeds=given).logits))
    return method.attribute(embedded, abs=False)[0].detach().numpy()


def reduced(found: np.ndarray, embedded: np.ndarray, reduction: str) -> np.ndarray:
    return {
        "l1": lambda: np.abs(found).sum(1),
        "l2": lambda: np.sqrt((found**2).sum(1)),
        "gxi": lambda: np.abs((found * embedded).sum(1)),
    }[reduction]()


def by_definition(model: sensitivity.Sensitive, record: Labelled, given: dict[str, object]) -> dict[str, object]:
    """P = w^T |J| v for one text, step by step as the formula has it."""
    coded = model.tokenizer(record.text, return_special_tokens_mask=True, return_tensors="pt")
    ids, special = coded["input_ids"], coded["special_tokens_mask"][0].bool().numpy()
    embedded = model.network.get_input_embeddings()(ids)[0].numpy()
    probs = model.network(input_ids=ids).logits.softmax(-1)[0].numpy()
    functions = {
        "probabilities": lambda z: z.softmax(-1), "log_probabilities": lambda z: z.log_softmax(-1), "logits": lambda z: z,
    }  # fmt: skip
    function = functions[given.get("output", "probabilities")]
    signed = np.stack([gradient(model, ids, lambda z, k=k: function(z)[:, k]) for k in range(3)])
    j = np.abs(signed)
    w = {"predicted": np.eye(3)[probs.argmax()], "gold": np.eye(3)[record.label], "uniform": np.ones(3) / 3}
    w = w[given.get("classes", "predicted")]
    if given.get("protected") == "model":
        groups = model.status.network(input_ids=ids).logits.softmax(-1)[0]
        c = int(groups.argmax())
        v = gradient(model.status, ids, lambda z: z.softmax(-1)[:, c])
    else:
        v = None
    n = int((~special).sum())
    if given.get("level") == "feature":
        v = np.ones_like(j[0]) if v is None else np.abs(v)
        v = np.where(special[:, None], 0, v)
        v, u = v / v.sum(), np.where(special[:, None], 0, 1 / (n * j.shape[2]))
        total = np.einsum("k,ktd,td->", w, j, v)
        return {"sensitivity": total, "uniform": np.einsum("k,ktd,td->", w, j, u * np.ones_like(v)), "probs": probs}
    reduction = given.get("reduction", "l2")
    s = np.stack([reduced(one, embedded, reduction) for one in signed])
    v = np.ones(len(special)) if v is None else reduced(v, embedded, reduction)
    v = np.where(special, 0, v)
    v, u = v / v.sum(), np.where(special, 0, 1 / n)
    return {
        "sensitivity": w @ s @ v, "uniform": w @ s @ u, "probs": probs,
        "token_sensitivity": (w @ s)[~special], "token_weight": v[~special],
    }  # fmt: skip


CASES = [
    {},
    {"protected": "model"},
    {"protected": "model", "classes": "uniform"},
    {"protected": "model", "classes": "gold", "reduction": "l1"},
    {"protected": "model", "reduction": "gxi"},
    {"protected": "model", "level": "feature"},
    {"level": "feature", "classes": "uniform"},
    {"protected": "model", "output": "log_probabilities"},
    {"protected": "model", "output": "log_probabilities", "classes": "uniform"},
    {"protected": "model", "output": "logits", "classes": "uniform", "level": "feature"},
]


@pytest.mark.parametrize("given", CASES, ids=lambda given: "-".join(map(str, given.values())) or "default")
def test_equals_the_definition(card: ModelCard, given: dict[str, object]):
    requested = {"protected_on": "somewhere", **given} if given.get("protected") == "model" else given
    model = loaded(card, **requested)
    for record, answer in zip(RECORDS, ask(model, **requested), strict=True):
        wanted = by_definition(model, record, given)
        assert answer["sensitivity"] == pytest.approx(wanted["sensitivity"], rel=1e-9)
        assert answer["sensitivity_uniform"] == pytest.approx(wanted["uniform"], rel=1e-9)
        assert answer["probs"] == pytest.approx(wanted["probs"].tolist(), rel=1e-9)
        assert answer["prediction"] == wanted["probs"].argmax()
        assert answer["tokens"] == len(answer["token_text"]) == len(answer["token_weight"]) == len(answer["token_sensitivity"])
        assert sum(answer["token_weight"]) == pytest.approx(1)
        if given.get("level") != "feature":
            assert answer["token_sensitivity"] == pytest.approx(wanted["token_sensitivity"].tolist(), rel=1e-9)
            assert answer["token_weight"] == pytest.approx(wanted["token_weight"].tolist(), rel=1e-9)
            assert np.dot(answer["token_weight"], answer["token_sensitivity"]) == pytest.approx(answer["sensitivity"])


def test_a_text_of_one_token_has_the_same_sensitivity_whatever_is_protected(card: ModelCard):
    model = loaded(card, protected="model", protected_on="x")
    answer = ask(model, [Labelled(id="1", text=".", label=0)], protected="model", protected_on="x")[0]
    assert answer["tokens"] == 1 and answer["token_weight"] == [1.0]
    assert answer["sensitivity"] == pytest.approx(answer["sensitivity_uniform"]) and answer["sensitivity"] > 0


@pytest.mark.parametrize("classes", ["predicted", "uniform"])
def test_neither_batch_size_nor_order_nor_repetition_changes_an_answer(card: ModelCard, classes: str):
    requested = {"protected": "model", "protected_on": "x", "classes": classes}
    model = loaded(card, **requested)
    alone = ask(model, batching=Batching(rows=1), **requested)
    for records, batching in ((RECORDS, Batching(rows=2)), (RECORDS[::-1], Batching()), (RECORDS * 2, Batching(budget=40))):
        by_id = {r.id: a for r, a in zip(records, ask(model, records, batching, **requested), strict=True)}
        for record, wanted in zip(RECORDS, alone, strict=True):
            found = by_id[record.id]
            assert found["token_text"] == wanted["token_text"] and found["prediction"] == wanted["prediction"]
            for name in ("sensitivity", "sensitivity_uniform", "token_sensitivity", "token_weight", "probs"):
                assert found[name] == pytest.approx(wanted[name], rel=1e-9, abs=1e-15)


def test_rows_together_give_the_same_answers(card: ModelCard, monkeypatch: pytest.MonkeyPatch):
    model = loaded(card)
    wanted = ask(model, classes="uniform")
    monkeypatch.setattr("fairbench.probes.accumulated.faster", lambda network: gradients.TOGETHER)
    for found, one in zip(ask(model, classes="uniform"), wanted, strict=True):
        assert found["token_sensitivity"] == pytest.approx(one["token_sensitivity"], rel=1e-9)


def test_single_precision_is_close(bert: ModelCard):
    exact = inspect_model(bert.folder, ModelOptions(dtype="float64", device="cpu"))
    requested = {"protected": "words", "words": "gender", "classes": "uniform"}
    for one, other in zip(ask(loaded(bert, **requested), **requested), ask(loaded(exact, **requested), **requested), strict=True):
        assert one.keys() == other.keys()
        if "left_out" not in one:
            assert one["sensitivity"] == pytest.approx(other["sensitivity"], rel=1e-4)


def test_probabilities_are_those_of_the_classification_probe(card: ModelCard):
    resolved = classification.resolve(card, "Labelled", {"labels": LABELS})
    wanted = classification.answer(classification.prepare(card, resolved, Room()).load(), RECORDS, resolved, Batching())
    for found, one in zip(ask(loaded(card)), wanted, strict=True):
        assert found["probs"] == pytest.approx(one["probs"], rel=1e-9)
        assert (found["prediction"], found["truncated"]) == (one["prediction"], one["truncated"])


def test_words_weigh_all_their_pieces_alike(card: ModelCard):
    model = loaded(card, protected="words", words="gender")
    answers = ask(model, protected="words", words="gender")
    text, answer = TEXTS[0], answers[0]
    encoded = encode(model.tokenizer, text, special=True)
    own = [i for i, flag in enumerate(encoded.special) if not flag]
    protected = [own.index(i) for i in pieces_of_span(encoded, text.index("she"), text.index("she") + 3)]
    wanted = [1 / len(protected) if i in protected else 0.0 for i in range(len(own))]
    assert answer["token_weight"] == pytest.approx(wanted)
    assert answer["sensitivity"] == pytest.approx(np.mean([answer["token_sensitivity"][i] for i in protected]))
    assert answers[2] == {"left_out": "no listed word in the text"}


def test_words_at_the_level_of_features(bert: ModelCard):
    requested = {"protected": "words", "words": "gender", "level": "feature"}
    answer = ask(loaded(bert, **requested), **requested)[0]
    place = answer["token_text"].index("she")
    assert answer["token_weight"][place] == pytest.approx(1)
    assert answer["sensitivity"] == pytest.approx(answer["token_sensitivity"][place] / 24)
    assert answer["sensitivity_uniform"] == pytest.approx(np.mean(answer["token_sensitivity"]) / 24)


def test_likeness_to_the_direction_of_word_pairs(card: ModelCard):
    model = loaded(card, protected="similarity", words="gender")
    answer = ask(model, protected="similarity", words="gender")[0]
    encoded = encode(model.tokenizer, TEXTS[0], special=True)
    own = [i for i, flag in enumerate(encoded.special) if not flag]
    vectors = model.network.get_input_embeddings().weight[torch.tensor([encoded.ids[i] for i in own])].numpy()
    cosine = np.abs(vectors @ model.towards.vector.numpy()) / np.linalg.norm(vectors, axis=1)
    assert answer["token_weight"] == pytest.approx((cosine / cosine.sum()).tolist())
    assert not model.towards.signed


def test_special_tokens_written_in_the_text_are_its_own(bert: ModelCard):
    """[UNK] and a [SEP] that stands in the text are part of it; those that the tokenizer adds are not."""
    answer = ask(loaded(bert), [Labelled(id="1", text="she [SEP] 她", label=0)])[0]
    assert answer["tokens"] == 3 and answer["token_text"] == ["she", "[SEP]", "她"]
    assert answer["token_weight"] == pytest.approx([1 / 3] * 3)


def test_what_is_too_long_is_cut_at_its_end_and_counted(card: ModelCard):
    long = " ".join(["she said"] * 40)
    model = loaded(card, max_length=12)
    answer = ask(model, [Labelled(id="1", text=long, label=0)], max_length=12)[0]
    added = sum(encode(model.tokenizer, long, special=True).special)
    assert answer["truncated"] is True and answer["tokens"] == 12 - added
    plain = model.tokenizer(long, truncation=True, max_length=12, return_tensors="pt")["input_ids"]
    assert answer["probs"] == pytest.approx(model.network(input_ids=plain).logits.softmax(-1)[0].tolist())


def test_a_listed_word_that_is_cut_off_is_not_there(bert: ModelCard):
    requested = {"protected": "words", "words": "gender", "max_length": 8}
    record = Labelled(id="1", text="the market near the river was late for she", label=0)
    assert ask(loaded(bert, **requested), [record], **requested) == [{"left_out": "no listed word in the text"}]


@pytest.mark.parametrize(
    ("text", "label", "reason"), [("", 0, "text without tokens"), ("she", None, "text without a gold class")]
)
def test_what_has_no_sensitivity_says_why(bert: ModelCard, text: str, label: int | None, reason: str):
    records = [Labelled(id="1", text=text, label=label), RECORDS[0]]
    answers = ask(loaded(bert), records, classes="gold")
    assert answers[0] == {"left_out": reason} and "left_out" not in answers[1]


def test_numbers_that_are_not_finite_are_left_out(bert: ModelCard):
    model = loaded(bert)
    poisoned = encode(model.tokenizer, "violin", special=False).ids[0]
    model.network.get_input_embeddings().weight[poisoned] = float("nan")
    answers = ask(model, classes="uniform")
    assert answers[4] == {"left_out": "a probability or gradient is not finite"}
    assert all("left_out" not in answer for answer in answers[:4])


def test_weights_that_are_all_zero_leave_the_text_out(bert: ModelCard):
    model = loaded(bert, protected="model", protected_on="x")
    for parameter in model.status.network.classifier.parameters():
        parameter.zero_()
    for answer in ask(model, protected="model", protected_on="x"):
        assert answer == {"left_out": "no token of the text is protected"}


def test_a_certain_protected_status_model_still_tells_its_tokens(bert: ModelCard):
    """Its probability hardly moves any more, but what it moves with stays the same."""
    model = loaded(bert, protected="model", protected_on="x")
    wanted = ask(model, protected="model", protected_on="x")
    for parameter in model.status.network.classifier.parameters():
        parameter *= 1e3
    for answer, before in zip(ask(model, protected="model", protected_on="x"), wanted, strict=True):
        assert answer["token_weight"] == pytest.approx(before["token_weight"], rel=1e-3)


@pytest.mark.parametrize("several", [False, True])
def test_a_head_of_several_labels_for_one_class(tmp_path: Path, several: bool):
    """The task's two classes are sums of the classifier's three; of several labels the likeliest speaks for the positive one."""
    kind = "multi_label_classification" if several else "single_label_classification"
    folder = ready(tmp_path / "three", "bert", ("kind", "rotten", "silly"), problem_type=kind)
    card = inspect_model(str(folder), ModelOptions(dtype="float64", device="cpu"))
    given = {"labels": ("kind", "rude"), "positive": ("rude",), "positive_labels": "rotten+silly"}
    model = sensitivity.prepare(card, options(card, **given), Room()).load()
    for record, answer in zip(RECORDS, ask(model, **given, classes="uniform"), strict=True):
        ids = model.tokenizer(record.text, return_tensors="pt")["input_ids"]

        def rude(z: torch.Tensor) -> torch.Tensor:
            return z[:, 1:].amax(-1).sigmoid() if several else z.softmax(-1)[:, 1:].sum(-1)

        assert answer["probs"][1] == pytest.approx(float(rude(model.network(input_ids=ids).logits)))
        wanted = np.linalg.norm(gradient(model, ids, rude), axis=1)[1:-1]
        assert answer["token_sensitivity"] == pytest.approx(wanted.tolist(), rel=1e-9)
    with pytest.raises(FairbenchError, match=r"have no logits. Use output=log_probabilities"):
        sensitivity.prepare(card, options(card, **given, output="logits"), Room())


def test_two_classes_take_one_backward_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    card = inspect_model(str(ready(tmp_path / "two", "bert", ("kind", "rotten"))), ModelOptions(dtype="float64", device="cpu"))
    model = sensitivity.prepare(card, options(card, labels=("kind", "rotten")), Room()).load()
    passes: list[int] = []
    real = gradients.one_row
    monkeypatch.setattr(gradients, "one_row", lambda *args, **more: passes.append(1) or real(*args, **more))
    found = ask(model, labels=("kind", "rotten"), classes="uniform", batching=Batching(rows=8))
    assert len(passes) == 1
    predicted = ask(model, labels=("kind", "rotten"))
    for one, other in zip(found, predicted, strict=True):  # both classes move by the same
        assert one["sensitivity"] == pytest.approx(other["sensitivity"], rel=1e-9)


def test_equal_texts_are_asked_once(bert: ModelCard, monkeypatch: pytest.MonkeyPatch):
    model = loaded(bert)
    classification.engine(model)  # its trial asks as well
    rows: list[int] = []
    forward = model.network.forward
    monkeypatch.setattr(model.network, "forward", lambda **given: rows.append(len(given["input_ids"])) or forward(**given))
    ask(model, [RECORDS[0], RECORDS[0], dataclasses.replace(RECORDS[0], label=2)])
    assert rows == [1]
    ask(model, [RECORDS[0], RECORDS[0], dataclasses.replace(RECORDS[0], label=2)], classes="gold")
    assert sum(rows) == 3


def test_the_default_options(bert: ModelCard):
    resolved = sensitivity.resolve(bert, "Labelled", {"labels": LABELS, "task": "somewhere"})
    chosen = ("output", "classes", "level", "reduction", "protected", "words", "group_by", "protected_on", "train_on")
    assert [resolved[name] for name in chosen] == [
        "probabilities", "predicted", "token", "l2", "model", None, "", "somewhere", None,
    ]  # fmt: skip
    assert resolved["freeze_embeddings"] is False and resolved["max_length"] == 40
    with_words = options(bert, protected="words", words="gender")
    assert "epochs" not in with_words and len(with_words["words_sha256"]) == 64


@pytest.mark.parametrize(
    ("requested", "message"),
    [
        ({"clases": "gold"}, "no option 'clases'. Did you mean classes"),
        ({"output": "logit"}, "output=logit: wanted one of probabilities, log_probabilities, logits. Did you mean logits"),
        ({"reduction": "max"}, "reduction=max: wanted one of l2, l1, gxi"),
        ({"level": "feature", "reduction": "l1"}, "reduction=l1: level=feature reduces nothing"),
        ({"protected": "words"}, "protected=words needs a list of words"),
        ({"protected": "words", "words": "gendr"}, "there is no such file, nor a list of that name. Did you mean gender"),
        ({"protected": "uniform", "words": "gender"}, "words=gender: protected=uniform looks at no words. Leave one of them out"),
        ({"protected": "uniform", "group_by": "gender"}, "group_by=gender: protected=uniform has no protected-status model"),
        ({"protected": "model"}, "nothing says on what"),
        ({"epochs": 3}, "is used as it is, so nothing is trained"),
    ],
)
def test_refusals(bert: ModelCard, requested: dict[str, object], message: str):
    with pytest.raises(FairbenchError) as refusal:
        options(bert, **requested)
    assert message in str(refusal.value)


def test_what_only_a_task_suggests_is_no_mistake(bert: ModelCard):
    suggested = {"group_by": "gender", "words": "race", "protected_on": "x", "reduction": "l1", "level": "feature", "named": ()}
    found = options(bert, **suggested)
    assert (found["group_by"], found["words"], found["protected_on"], found["reduction"]) == ("", None, None, None)
    with pytest.raises(FairbenchError, match="group_by=gender: protected=uniform has no"):
        options(bert, **{**suggested, "named": ("group_by",)})


@pytest.mark.parametrize("protected", ["model", "words", "uniform"])
def test_options_are_written_down_whole(bert: ModelCard, protected: str):
    given = {"words": "gender"} if protected == "words" else {"protected_on": "x", "epochs": 2} if protected == "model" else {}
    found = options(bert, protected=protected, **given)
    assert json.loads(json.dumps(found)) == found and not {"task", "named"} & set(found)
    assert options(bert, **{name: value for name, value in found.items() if name in sensitivity.OPTIONS}) == found


def test_other_refusals(bert: ModelCard):
    with pytest.raises(FairbenchError, match="answers Labelled records, not Pair"):
        sensitivity.resolve(bert, "Pair", {})
    chat = dataclasses.replace(bert, options=ModelOptions(apply_chat_template=True))
    with pytest.raises(FairbenchError, match="--apply-chat-template would wrap"):
        options(chat)


def test_what_the_result_says(bert: ModelCard):
    requested = {"protected": "words", "words": "gender"}
    prepared: Prepared = sensitivity.prepare(bert, options(bert, **requested), Room())
    model = prepared.load()
    assert sensitivity.engine(model) == {"rows": "plain", "backward": "one row at a time"}
    assert prepared.identity["protected"] == {"by": "words", "words": model.words.sha256}
    assert prepared.about()["protected"] == {"by": "words"}
    assert sensitivity.sanity(model) is None and sensitivity.notes(bert, options(bert, **requested)) == ()
    assert not prepared.seen(TEXTS[0])
