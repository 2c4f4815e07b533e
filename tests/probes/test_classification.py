"""The classification probe: the same numbers however texts go together, and a whole run from a training file to a score."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import transformers

from fairbench import study
from fairbench.errors import FairbenchError
from fairbench.measurement import MeasureOptions
from fairbench.models.batching import Batching
from fairbench.models.model import ModelOptions
from fairbench.plan import ScoreOptions
from fairbench.probes import classification
from fairbench.records import Labelled
from fairbench.registry import Registry
from fairbench.training import classifier as room_of
from fairbench.training import fitting

SPEC = importlib.util.spec_from_file_location("toys", Path(__file__).parents[1] / "training" / "toys.py")
toys = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(toys)

KIND = ("kind", "rotten")
READY = {"labels": KIND, "named": ()}
TEXTS = (
    "She is tired.",
    "My neighbour plays the violin every evening, doesn't he?",
    "He",
    "A carpenter built the old wooden house near the river.",
    "She is tired.<|endoftext|>",
    "She is <|endoftext|> tired.",
    "Emily and Greg are going to the market to buy bread and the nurse said that she was tired and late.",
)


def records(texts=TEXTS) -> list[Labelled]:
    return [Labelled(id=str(number), text=text, label=number % 2) for number, text in enumerate(texts)]


def ready(folder: Path, build: str, **given) -> tuple[room_of.Classifier, dict]:
    """A loaded ready classifier and its options."""
    config = {"pad_token_id": 0} if build == "gpt2" and "pad_token_id" not in given else {}
    toys.ready(folder, build, KIND, **config, **{k: v for k, v in given.items() if k in ("pad_token_id", "problem_type")})
    card = toys.model(folder, build)
    options = classification.resolve(card, "Labelled", {**READY, **{k: v for k, v in given.items() if k == "max_length"}})
    return classification.prepare(card, options, toys.Room(folder)).load(), options


def probs(answers) -> np.ndarray:
    return np.array([answer["probs"] for answer in answers])


@pytest.mark.parametrize("build", ["bert", "gpt2"])
def test_probabilities_are_those_of_the_network_itself(tmp_path, build):
    model, options = ready(tmp_path, build)
    answers = classification.answer(model, records(), options, Batching())
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / build)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / build).eval()
    for text, answer in zip(TEXTS, answers, strict=True):
        limit = options["max_length"]
        with torch.no_grad():
            logits = network(**tokenizer(text, return_tensors="pt", truncation=True, max_length=limit)).logits.double()
        np.testing.assert_allclose(answer["probs"], torch.softmax(logits, -1)[0], atol=1e-6)
        assert answer["prediction"] == int(logits.argmax())
    assert np.ptp(probs(answers)[:, 1]) > 0.05, "the texts must be told apart"


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("build", ["bert", "gpt2"])
def test_what_goes_together_changes_no_answer(tmp_path, build, side):
    """Also where a text ends in the token that texts are filled up with, and whatever side the tokenizer pads."""
    model, options = ready(tmp_path, build)
    model.tokenizer.padding_side = side
    alone = classification.answer(model, records(), options, Batching(rows=1))
    together = classification.answer(model, records(), options, Batching(rows=len(TEXTS)))
    turned = classification.answer(model, records(TEXTS[::-1]), options, Batching(budget=40))[::-1]
    for found in (together, turned):
        np.testing.assert_allclose(probs(found), probs(alone), atol=1e-6)
        assert [answer["prediction"] for answer in found] == [answer["prediction"] for answer in alone]
    assert classification.engine(model) == {"rows": "plain"}


@pytest.mark.parametrize("build", ["gpt2", "llama", "roberta"])
def test_a_trained_classifier_answers_alike_alone_and_beside_others(tmp_path, build):
    card = toys.model(tmp_path, build)
    options = classification.resolve(card, "Labelled", {"train_on": "toy", "labels": KIND, **toys.QUICK})
    model = classification.prepare(card, options, toys.Room(tmp_path, toys.data())).load()
    held = toys.data().validation
    asked = [*records(), *held]
    alone, together = (classification.answer(model, asked, options, batching) for batching in (Batching(rows=1), Batching()))
    np.testing.assert_allclose(probs(together), probs(alone), atol=1e-6)
    right = [answer["prediction"] == r.label for answer, r in zip(together[len(TEXTS) :], held, strict=True)]
    assert np.mean(right) == model.about["best"]["accuracy"] > 0.9, "the probe sees what the training saw"


def test_a_causal_classifier_without_padding_is_asked_one_text_at_a_time(tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    without, options = ready(tmp_path / "a", "gpt2", pad_token_id=None)
    assert without.pad is None and classification.engine(without) == {"rows": "one at a time"}
    texts = [text for text in TEXTS if "endoftext" not in text]
    found = classification.answer(without, records(texts), options, Batching(rows=4))
    model, options = ready(tmp_path / "b", "gpt2")
    np.testing.assert_allclose(probs(found), probs(classification.answer(model, records(texts), options, Batching())), atol=1e-6)


def test_networks_that_heed_padding_get_texts_of_one_length(tmp_path, monkeypatch):
    model, options = ready(tmp_path, "bert")
    monkeypatch.setattr(classification, "mixes_lengths", lambda model, pad: False)
    seen = []
    real = type(model.network).forward

    def spy(self, **given):
        seen.append(given["attention_mask"])
        return real(self, **given)

    monkeypatch.setattr(type(model.network), "forward", spy)
    classification.answer(model, records(), options, Batching(rows=8))
    assert len(seen) > 2 and all(bool(mask.all()) for mask in seen)
    assert classification.engine(model) == {"rows": "equal lengths"}


def test_a_head_that_reads_the_last_place_is_trained_and_asked_without_reading_what_fills_up(tmp_path):
    """XLNet's."""
    tokenizer = toys.tiny.wordpiece()
    config = transformers.XLNetConfig(vocab_size=len(tokenizer), d_model=24, n_layer=2, n_head=2, d_inner=32)
    torch.manual_seed(0)
    toys.tiny.save(tmp_path / "xlnet", transformers.XLNetLMHeadModel(config), tokenizer)
    card = toys.model(tmp_path, "xlnet")
    options = classification.resolve(card, "Labelled", {"train_on": "toy", "labels": KIND, **toys.QUICK})
    model = classification.prepare(card, options, toys.Room(tmp_path, toys.data())).load()
    held = toys.data().validation
    asked = [*records(), *held]
    alone, together = (classification.answer(model, asked, options, batching) for batching in (Batching(rows=1), Batching()))
    np.testing.assert_allclose(probs(together), probs(alone), atol=1e-6)
    assert model.about["padding"] == "left" and classification.engine(model) == {"rows": "equal lengths"}
    right = [answer["prediction"] == r.label for answer, r in zip(together[len(TEXTS) :], held, strict=True)]
    assert np.mean(right) == model.about["best"]["accuracy"] > 0.9


def test_equal_texts_are_asked_once_and_every_record_has_its_answer(tmp_path, monkeypatch):
    model, options = ready(tmp_path, "bert")
    rows = []
    real = classification.padded
    monkeypatch.setattr(classification, "padded", lambda given, pad: rows.extend(given) or real(given, pad))
    asked = records([TEXTS[0], TEXTS[1], TEXTS[0], TEXTS[2], TEXTS[0]])
    found = classification.answer(model, asked, options, Batching())
    assert len(rows) == 3 and len(found) == 5
    assert found[0] == found[2] == found[4] != found[1]
    assert found[0] is not found[2]


def test_what_is_too_long_is_cut_and_says_so(tmp_path):
    model, options = ready(tmp_path, "bert", max_length="12")
    assert options["max_length"] == 12
    found = classification.answer(model, records(), options, Batching())
    assert [answer["truncated"] for answer in found].count(True) >= 3 and not found[0]["truncated"]
    ids = model.tokenizer(TEXTS[1])["input_ids"]
    short = model.tokenizer.decode(ids[1:11])
    assert model.tokenizer(short)["input_ids"] == [*ids[:11], ids[-1]]
    again = classification.answer(model, records([short]), options, Batching())[0]
    np.testing.assert_allclose(again["probs"], found[1]["probs"], atol=1e-6)


def test_a_text_without_tokens_is_left_out(tmp_path):
    model, options = ready(tmp_path, "bert")
    found = classification.answer(model, records(["", "She is tired.", "   "]), options, Batching())
    assert found[0] == found[2] == {"left_out": "text without tokens"} and "probs" in found[1]
    assert classification.answer(model, records([""]), options, Batching()) == [{"left_out": "text without tokens"}]
    assert classification.answer(model, [], options, Batching()) == []


def test_what_is_not_finite_is_left_out(tmp_path):
    model, options = ready(tmp_path, "bert")
    with torch.no_grad():
        model.network.get_input_embeddings().weight[model.tokenizer.convert_tokens_to_ids("she")] = float("nan")
    found = classification.answer(model, records(["She is tired.", "He is tired."]), options, Batching())
    assert found[0] == {"left_out": "a probability is not finite"} and np.isfinite(found[1]["probs"]).all()


def test_a_tie_is_decided_as_everywhere(tmp_path):
    model, options = ready(tmp_path, "bert")
    with torch.no_grad():
        model.network.classifier.weight.zero_(), model.network.classifier.bias.zero_()
    answer = classification.answer(model, records(TEXTS[:1]), options, Batching())[0]
    assert answer["probs"] == [0.5, 0.5] and answer["prediction"] == 1


def test_half_precision_still_sums_to_one(tmp_path):
    toys.ready(tmp_path, "bert", KIND)
    card = toys.model(tmp_path, "bert", dtype="bfloat16")
    options = classification.resolve(card, "Labelled", READY)
    model = classification.prepare(card, options, toys.Room(tmp_path)).load()
    assert model.network.dtype == torch.bfloat16
    found = probs(classification.answer(model, records(), options, Batching()))
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-12)


def test_sigmoids_of_a_multi_label_classifier_become_two_classes(tmp_path):
    model, options = ready(tmp_path, "bert", problem_type="multi_label_classification")
    found = probs(classification.answer(model, records(), options, Batching()))
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-12)


@pytest.mark.parametrize(
    ("form", "requested", "wanted"),
    [
        ("Pair", {}, "answers Labelled records, not Pair"),
        ("Labelled", {"trian_on": "toy"}, "no option 'trian_on'. Did you mean train_on?"),
        ("Labelled", {"scorer": "sum"}, "no option 'scorer'"),
        ("Labelled", {"train_on": "toy", "epochs": "0"}, "epochs=0"),
        ("Labelled", {}, "--train-on"),
    ],
)
def test_what_it_can_not_do_is_refused(tmp_path, form, requested, wanted):
    with pytest.raises(FairbenchError) as refused:
        classification.resolve(toys.model(tmp_path, "bert"), form, requested)
    assert wanted in str(refused.value)


def test_a_conversation_is_no_text(tmp_path):
    card = toys.model(tmp_path, "bert")
    chat = dataclasses.replace(card, options=dataclasses.replace(card.options, apply_chat_template=True))
    with pytest.raises(FairbenchError, match="--apply-chat-template"):
        classification.resolve(chat, "Labelled", {"train_on": "toy"})


def test_options_are_written_down_whole(tmp_path):
    card = toys.model(tmp_path, "bert")
    found = classification.resolve(card, "Labelled", {"train_on": "toy", "labels": KIND, "task": "mine", "named": ("train_on",)})
    assert json.loads(json.dumps(found)) == found
    assert {"train_on", "train_seed", "epochs", "mode", "max_length", "labels", "positive"} <= set(found)
    assert "task" not in found and "named" not in found, "what the task is called changes no probability"
    again = classification.resolve(card, "Labelled", {**{k: v for k, v in found.items() if k in classification.OPTIONS}})
    assert again == found


def test_notes_say_what_it_learnt_from(tmp_path):
    card = toys.model(tmp_path, "bert")
    options = classification.resolve(card, "Labelled", {"train_on": "toy", "train_seed": "3", "positive_labels": "rotten"})
    notes = " ".join(classification.notes(card, options))
    assert "fine-tuned on toy with seed 3" in notes and "rotten" in notes
    toys.ready(tmp_path / "x", "bert", KIND)
    ready_card = toys.model(tmp_path / "x", "bert")
    assert classification.notes(ready_card, classification.resolve(ready_card, "Labelled", READY)) == ()


# A whole run.

TASK = """
from fairbench.records import Labelled
from fairbench.scores import Source, TaskInfo
INFO = TaskInfo(
    title="Toy", form="Labelled", sources=(Source(format="csv", columns=("text", "label", "split"), files={{"toy.csv": ""}}),),
    licence="none", cite="none", language="en", groups=("she", "he"), metrics=("right",), cluster="none",
    labels=("kind", "rotten"), probe_options={options},
)
def records(rows, task):
    for number, row in enumerate(rows):
        label = int(row["label"])
        yield Labelled(id=str(number), text=row["text"], label=label, meta={{"split": row["split"], "class": INFO.labels[label]}})
"""

METRIC = """
import numpy as np
from fairbench.scores import MetricInfo
INFO = MetricInfo(
    title="Share of right decisions", reads="Labelled", probe="classification", columns=("label", "prediction"), kind="utility",
    ideal=100.0, low=0.0, high=100.0, scale=100.0, direction="more is better", construct="none", formula="none", cite="none",
)
def right(answers, weights):
    hits = (answers["label"].to_numpy(int) == answers["prediction"].to_numpy(int)).astype(float)
    return 100 * weights @ hits / weights.sum(-1)
"""


def frame(records, split: str) -> pd.DataFrame:
    return pd.DataFrame({"text": [r.text for r in records], "label": [r.label for r in records], "split": split})


@pytest.fixture
def asked(tmp_path):
    """Options of a run on a task with training, validation and test texts, of its own folder."""
    more, data = tmp_path / "more", tmp_path / "data"
    for folder in (more / "tasks", more / "metrics", data):
        folder.mkdir(parents=True)
    (more / "tasks" / "toy.py").write_text(TASK.format(options={"train_on": "toy"}))
    (more / "metrics" / "right.py").write_text(METRIC)
    parts = [frame(toys.texts(64), "train"), frame(toys.texts(24, seed=1), "validation"), frame(toys.texts(30, seed=2), "test")]
    pd.concat(parts).to_csv(data / "toy.csv", index=False)
    toys.tiny.llama(tmp_path / "llama")
    return ScoreOptions(
        tasks=("toy",), include_path=(more,), data_dir=data, output_path=tmp_path / "out", model=ModelOptions(device="cpu"),
        probe={name: str(value) for name, value in toys.QUICK.items()}, measure=MeasureOptions(draws=50),
    )  # fmt: skip


def test_a_run_trains_asks_and_measures_and_the_next_takes_all_up(tmp_path, asked, monkeypatch):
    told = []
    run = study.score(str(tmp_path / "llama"), asked, lambda *what: told.append(what))
    assert not run.failed, run.failed
    result = run.results[0]
    assert result.score.value > 90 and result.score.n == 30
    assert ("fine-tuning toy", 48, 48) in told
    training = result.probe["training"]
    assert training["train"] == 64 and training["validation"] == 24 and training["best"]["macro_f1"] > 0.9
    assert any("fine-tuned on toy with seed 0" in warning for warning in result.score.warnings)
    table = pd.read_parquet(run.folder / result.answers["path"])
    assert list(table["prediction"]) == [int(p[1] >= 0.5) for p in table["probs"]]
    assert not table["truncated"].any()

    def never(*_: object, **__: object) -> None:
        raise AssertionError("nothing has to be loaded or trained")

    monkeypatch.setattr(fitting, "fit", never)
    monkeypatch.setattr(room_of, "load", never)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    again = study.score(str(tmp_path / "llama"), asked)
    assert not again.failed and again.results[0].score == result.score
    assert files == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_another_recipe_is_another_classifier_in_one_run_after_the_other(tmp_path, asked):
    brief = dataclasses.replace(asked, probe={**asked.probe, "epochs": "1"})
    study.score(str(tmp_path / "llama"), brief)
    other = dataclasses.replace(brief, probe={**brief.probe, "train_seed": "1"})
    run = study.score(str(tmp_path / "llama"), other)
    assert len([p for p in (run.folder / "classifiers").iterdir() if p.is_dir()]) == 2
    names = sorted(path.name for path in (run.folder / "toy").glob("*.json"))
    assert len(names) == 2 and all("labels" not in name and "named" not in name for name in names)


def test_a_file_to_learn_from_that_is_the_test_set_leaves_nothing_to_ask(tmp_path, asked):
    frame(toys.texts(30, seed=2), "train").drop(columns="split").to_csv(tmp_path / "mine.csv", index=False)
    moved = dataclasses.replace(asked, probe={**asked.probe, "train_on": str(tmp_path / "mine.csv")})
    run = study.score(str(tmp_path / "llama"), moved)
    assert not run.failed, run.failed
    score = run.results[0].score
    assert score.value is None and score.left_out == {"the text is in the training data": 30}


def test_a_file_with_labels_by_number_fits_a_task_of_two_classes(tmp_path, asked):
    frame(toys.texts(80, seed=5), "train").drop(columns="split").to_csv(tmp_path / "mine.csv", index=False)
    moved = dataclasses.replace(asked, probe={**asked.probe, "train_on": str(tmp_path / "mine.csv")})
    run = study.score(str(tmp_path / "llama"), moved)
    assert not run.failed, run.failed
    assert run.results[0].score.value > 80
    assert run.results[0].probe["prepared"]["head"]["how"] == "labels by number"


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda table: table.assign(label=1), "have the label '1'. Wanted at least two classes"),
        (lambda table: table.drop(columns="label"), "no column 'label'"),
        (lambda table: table.assign(label=table["label"].map({0: "a", 1: "b"})), "nothing says which belong together"),
        (lambda table: table.assign(label=table["label"] - 1), "wanted words, or whole numbers from 0"),
        (lambda table: table.assign(split="test"), "no training split"),
        (lambda table: table.assign(split="dev"), "found the split 'dev'"),
    ],
)
def test_training_files_that_are_no_use_are_refused_before_anything_runs(tmp_path, asked, change, wanted):
    change(frame(toys.texts(40, seed=5), "train")).to_csv(tmp_path / "mine.csv", index=False)
    moved = dataclasses.replace(asked, probe={**asked.probe, "train_on": str(tmp_path / "mine.csv")})
    with pytest.raises(FairbenchError) as refused:
        study.score(str(tmp_path / "llama"), moved)
    assert wanted in str(refused.value)
    assert not list(tmp_path.rglob("*.partial")) and not list(tmp_path.rglob("answers"))


def test_a_label_outside_of_the_task_is_refused(tmp_path, asked):
    text = (asked.include_path[0] / "tasks" / "toy.py").read_text()
    (asked.include_path[0] / "tasks" / "toy.py").write_text(
        text.replace('label = int(row["label"])', 'label = 2 * int(row["label"])').replace("INFO.labels[label]", '"x"')
    )
    with pytest.raises(FairbenchError, match=r"found the label 2, wanted one of 0 to 1 \(kind, rotten\)"):
        study.score(str(tmp_path / "llama"), asked)


def test_a_task_that_suggests_no_data_asks_for_them(tmp_path, asked):
    (asked.include_path[0] / "tasks" / "toy.py").write_text(TASK.format(options={}))
    with pytest.raises(FairbenchError, match=r"toy has no training texts .*--train-on"):
        study.score(str(tmp_path / "llama"), asked)
    named = dataclasses.replace(asked, probe={**asked.probe, "epochs": "1", "train_on": "toy"})
    run = study.score(str(tmp_path / "llama"), named)
    name = next((run.folder / "toy").glob("*.json")).name
    assert "labels" not in name and "max_length" not in name, "only what the user gave stands in the name"


def test_a_ready_checkpoint_is_not_trained_although_the_task_suggests_it(tmp_path, asked):
    toys.ready(tmp_path, "bert", KIND)
    run = study.score(str(tmp_path / "bert"), dataclasses.replace(asked, probe={}))
    assert not run.failed, run.failed
    assert run.results[0].probe["prepared"]["ready"] == "BertForSequenceClassification"
    assert "training" not in run.results[0].probe
    assert not (run.folder / "classifiers").exists() and run.results[0].score.n == 30
    named = study.score(str(tmp_path / "bert"), dataclasses.replace(asked, probe={"train_on": "toy", "epochs": "1"}))
    assert "best" in named.results[0].probe["training"] and named.results[0].probe["training"]["epochs"] == 1.0


def test_a_classifier_that_learnt_nothing_is_flagged_and_a_ready_one_is_not(tmp_path):
    model, _ = ready(tmp_path, "bert")
    assert classification.sanity(model) is None
    about = {"best": {"macro_f1": 0.4}, "floor": 0.4, "validation": 24, "data": {"name": "toy"}}
    assert "learnt nothing" in classification.sanity(dataclasses.replace(model, about=about))
    assert classification.sanity(dataclasses.replace(model, about={**about, "floor": 0.3})) is None


def test_the_registry_finds_the_probe():
    assert Registry(()).probe("classification") is not None
    assert classification.FORMS == ("Labelled",)
