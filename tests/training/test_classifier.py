"""What a probe gets: a classifier that is trained once and kept, or one that is ready; and every refusal."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from fairbench.errors import FairbenchError
from fairbench.models.loading import inspect_model
from fairbench.models.model import ModelOptions
from fairbench.training.classifier import Classifier, classifier, classifier_options
from fairbench.training.keeping import ABOUT, drawn, key_of, train
from fairbench.training.outcome import learnt_nothing

SPEC = importlib.util.spec_from_file_location("toys", Path(__file__).with_name("toys.py"))
toys = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(toys)

KIND = ("kind", "rotten")


def options(card, **given):
    return classifier_options(card, {"train_on": "toy", "labels": KIND, **toys.QUICK, "epochs": 1, **given})


def made_of(prepared) -> list[list[str]]:
    return prepared.identity["head"]["made_of"]


def test_a_trained_classifier_says_all_that_is_known_of_it(tmp_path):
    data = dataclasses.replace(toys.data(), left_out={"the text is also in the test split": 3}, provenance={"kind": "files"})
    card, room = toys.model(tmp_path, "gpt2"), toys.Room(tmp_path, data)
    prepared = classifier(card, options(card, train_seed=5), room)
    model = prepared.load()
    assert isinstance(model, Classifier) and not model.network.training
    assert not any(parameter.requires_grad for parameter in model.network.parameters())
    about = prepared.about()
    assert about["base"] == {"name": card.name, **card.identity}
    assert about["data"] == {"name": "toy", "sha256": data.sha256, "labels": list(KIND), "positive": [], "kind": "files"}
    assert model.about["recipe"] == prepared.identity["recipe"] == toys.recipe(card, epochs=1, train_seed=5).as_dict()
    assert (about["train"], about["validation"], about["steps"], about["epochs"]) == (64, 24, 8, 1.0)
    assert about["left_out"] == {"the text is also in the test split": 3} and about["truncated"] == 0
    assert {"macro_f1", "accuracy", "loss", "step", "epoch"} == set(about["best"]) and about["seconds"] > 0
    assert prepared.identity["head"]["how"] == "labels of equal names" and about["versions"]["transformers"]
    assert json.loads(json.dumps(about)) == about
    assert about == {name: value for name, value in model.about.items() if name != "recipe"}
    assert model.card.name == card.name and model.card.architecture == "GPT2ForSequenceClassification"


def test_it_is_trained_when_it_is_loaded_and_never_again(tmp_path):
    card, room = toys.model(tmp_path, "gpt2"), toys.Room(tmp_path, toys.data())
    prepared = classifier(card, options(card), room)
    assert not room.classifiers.exists() and not room.told
    prepared.load()
    steps = len(room.told)
    assert steps == 8
    prepared.load()
    classifier(card, options(card), room).load()
    assert len(room.told) == steps


def test_a_second_process_waits_and_finds_it_there(tmp_path):
    card, data = toys.model(tmp_path, "gpt2"), toys.data(train=16)
    room, made = toys.Room(tmp_path, data), []
    both = [threading.Thread(target=lambda: made.append(train(card, data, toys.recipe(card, epochs=2), room))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert made[0] == made[1] and len(room.told) == 4


def test_whatever_makes_another_classifier_makes_another_name(tmp_path):
    card, data = toys.model(tmp_path, "gpt2"), toys.data()
    other = toys.model(tmp_path, "bert")
    usual = toys.recipe(card)
    names = {key_of(card, data, usual), key_of(other, data, usual), key_of(card, toys.data(train=65), usual)}
    for change in (
        {"mode": "frozen"}, {"train_seed": 1}, {"epochs": 5}, {"learning_rate": 1e-3}, {"train_batch_size": 4}, {"warmup": 0.0},
        {"weight_decay": 0.0}, {"patience": 1}, {"class_weights": "balanced"}, {"max_length": 16}, {"train_limit": 10},
        {"evaluations": 2}, {"freeze_embeddings": True},
    ):  # fmt: skip
        names.add(key_of(card, data, toys.recipe(card, **change)))
    assert len(names) == 16
    elsewhere = dataclasses.replace(card, name="other", folder="/elsewhere")
    assert key_of(elsewhere, data, usual) in names, "where it lies is not what it is"


def test_the_identity_tells_recipes_data_and_mappings_apart(tmp_path):
    card = toys.model(tmp_path, "gpt2")
    room = toys.Room(tmp_path, toys.data(), toys.data(train=30, name="less"))
    seen = [
        classifier(card, options(card, **change), room).identity
        for change in ({}, {"epochs": 2}, {"train_on": "less"}, {"positive_labels": "kind"}, {"labels": KIND[::-1]})
    ]
    assert len({json.dumps(one, sort_keys=True) for one in seen}) == 5


def test_a_classifier_can_be_trained_from_a_classifier(tmp_path):
    """What a protected-status model is: the task classifier's body and embeddings under another head."""
    card, data = toys.model(tmp_path, "gpt2"), toys.data()
    first = train(card, data, toys.recipe(card, epochs=1), toys.Room(tmp_path))
    status = toys.data(labels=("female", "male", "neither"), name="status")
    own = inspect_model(str(first), ModelOptions(device="cpu"))
    second = train(own, status, toys.recipe(own, epochs=1, freeze_embeddings=True), toys.Room(tmp_path))
    before, after = toys.weights(first), toys.weights(second)
    assert torch.equal(before["transformer.wte.weight"], after["transformer.wte.weight"])
    assert not torch.equal(before["transformer.h.0.attn.c_attn.weight"], after["transformer.h.0.attn.c_attn.weight"])
    assert before["score.weight"].shape[0] == 2 and after["score.weight"].shape[0] == 3
    assert json.loads((second / ABOUT).read_text())["base"]["weights"] == own.weights_sha256


def test_texts_that_were_learnt_from_are_known(tmp_path):
    data = toys.data()
    card = toys.model(tmp_path, "gpt2")
    seen = classifier(card, options(card), toys.Room(tmp_path, data)).seen
    assert seen(data.train[0].text) and seen(data.validation[0].text) and not seen("Nobody learnt this.")


def test_the_padding_of_a_tokenizer_without_one(tmp_path):
    """GPT-2's end of text fills up, and other tools read the same from tokenizer and configuration."""
    card = toys.model(tmp_path, "gpt2")
    model = classifier(card, options(card), toys.Room(tmp_path, toys.data())).load()
    assert model.pad == model.tokenizer.eos_token_id == model.network.config.pad_token_id == model.tokenizer.pad_token_id


def test_a_tokenizer_without_any_special_token_is_refused(tmp_path):
    path = toys.tiny.gpt2(tmp_path / "gpt2")
    from tokenizers import Tokenizer

    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_file(str(path / "tokenizer.json")))
    for left in ("tokenizer_config.json", "special_tokens_map.json"):
        (path / left).unlink(missing_ok=True)
    tokenizer.save_pretrained(path)
    card = toys.model(tmp_path, "gpt2")
    with pytest.raises(FairbenchError, match="no special token"):
        train(card, toys.data(), toys.recipe(card, epochs=1), toys.Room(tmp_path))


@pytest.mark.parametrize("n", [2, 3, 20, 63])
def test_a_limit_draws_texts_with_every_class(tmp_path, n):
    card = toys.model(tmp_path, "gpt2")
    rare = (*toys.texts(63, share=1.0), toys.Labelled(id="rare", text="It was late.", label=1))
    data = toys.with_train(toys.data(), rare)
    taken = [drawn(data, toys.recipe(card, train_limit=n, train_seed=seed)) for seed in (0, 0, 2)]
    assert [len(part) for part in taken] == [n, n, n]
    assert all({record.label for record in part} == {0, 1} for part in taken)
    assert taken[0] == taken[1] != taken[2]
    assert [record for record in rare if record in taken[0]] == list(taken[0]), "in the order of the data"


def test_a_limit_beyond_the_data_takes_all(tmp_path):
    card, data = toys.model(tmp_path, "gpt2"), toys.data()
    assert drawn(data, toys.recipe(card, train_limit=1000)) == drawn(data, toys.recipe(card)) == data.train


def test_a_limit_below_the_classes_is_refused_before_anything_runs(tmp_path):
    card, room = toys.model(tmp_path, "gpt2"), toys.Room(tmp_path, toys.data())
    with pytest.raises(FairbenchError, match=r"train_limit=1: toy has texts of 2 classes"):
        classifier(card, options(card, train_limit=1), room)


def test_a_classifier_that_learnt_nothing_is_flagged(tmp_path):
    """Texts that are all the same can't be told apart."""
    card = toys.model(tmp_path, "gpt2")
    alike = [toys.Labelled(id=str(i), text="She is going.", label=int(i % 3 == 0)) for i in range(12)]
    hopeless = toys.with_train(toys.data(validation=alike), alike)
    poor = classifier(card, options(card), toys.Room(tmp_path, hopeless)).load()
    good = classifier(card, options(card, epochs=4), toys.Room(tmp_path, toys.data())).load()
    assert "learnt nothing" in learnt_nothing(poor.about) and learnt_nothing(good.about) is None
    assert learnt_nothing({}) is None, "nobody knows what a ready classifier learnt"


def test_a_model_without_a_classification_head_for_its_family_is_refused(tmp_path, monkeypatch):
    card = toys.model(tmp_path, "gpt2")

    def none(*_: object, **__: object) -> None:
        raise ValueError("Unrecognized configuration class")

    monkeypatch.setattr(transformers.AutoModelForSequenceClassification, "from_config", none)
    with pytest.raises(FairbenchError, match="can't be made a classifier"):
        train(card, toys.data(), toys.recipe(card), toys.Room(tmp_path))


def test_a_body_that_is_not_whole_is_refused(tmp_path):
    path = toys.tiny.gpt2(tmp_path / "gpt2")
    import safetensors.torch

    held = toys.weights(path)
    del held["transformer.h.1.mlp.c_fc.weight"]
    safetensors.torch.save_file(held, path / "model.safetensors", metadata={"format": "pt"})
    card = toys.model(tmp_path, "gpt2")
    with pytest.raises(FairbenchError, match=r"lack h\.1\.mlp\.c_fc\.weight"):
        train(card, toys.data(), toys.recipe(card), toys.Room(tmp_path))


def test_training_data_must_be_named(tmp_path):
    card = toys.model(tmp_path, "bert")
    with pytest.raises(FairbenchError, match=r"is no classifier .* jokes has no training texts .*--train-on"):
        classifier_options(card, {"task": "jokes", "labels": KIND})
    with pytest.raises(FairbenchError, match="--train-on"):
        classifier_options(card, {"train_on": "  "})


def test_what_a_plan_says_of_the_task_is_not_the_users(tmp_path):
    card = toys.model(tmp_path, "bert")
    for name in ("labels", "positive", "task"):
        with pytest.raises(FairbenchError, match=f"{name}=.*the task's to say"):
            classifier_options(card, {"train_on": "toy", name: "good+bad", "named": (name,)})


def test_labels_that_can_not_be_mapped_are_refused_before_anything_runs(tmp_path):
    card, room = toys.model(tmp_path, "gpt2"), toys.Room(tmp_path, toys.data())
    with pytest.raises(FairbenchError, match=r"trained on toy has the labels kind, rotten, and the task asks for a, b, c"):
        classifier(card, options(card, labels=("a", "b", "c")), room)


def test_the_classes_of_another_task_become_two_by_what_is_positive(tmp_path):
    posts = toys.data(labels=("hatespeech", "normal", "offensive"), positive=("hatespeech", "offensive"), name="posts")
    card = toys.model(tmp_path, "gpt2")
    asked = options(card, train_on="posts", labels=("non-toxic", "toxic"))
    assert made_of(classifier(card, asked, toys.Room(tmp_path, posts))) == [["normal"], ["hatespeech", "offensive"]]


def test_of_two_classes_of_a_task_the_second_is_positive_but_of_a_file_nobody_knows(tmp_path):
    card = toys.model(tmp_path, "gpt2")
    task, file = toys.data(), toys.data(name="mine.csv")
    room, asked = toys.Room(tmp_path, task, file), ("non-toxic", "toxic")
    assert made_of(classifier(card, options(card, labels=asked), room)) == [["kind"], ["rotten"]]
    with pytest.raises(FairbenchError, match="positive_labels=NAME"):
        classifier(card, options(card, labels=asked, train_on="mine.csv"), room)
    said = options(card, labels=asked, train_on="mine.csv", positive_labels="rotten")
    assert made_of(classifier(card, said, room)) == [["kind"], ["rotten"]]


def test_a_finished_folder_that_lost_its_note_is_made_again(tmp_path):
    card, data, room = toys.model(tmp_path, "gpt2"), toys.data(train=16), toys.Room(tmp_path)
    folder = train(card, data, toys.recipe(card, epochs=1), room)
    (folder / ABOUT).unlink()
    assert train(card, data, toys.recipe(card, epochs=1), room) == folder and (folder / ABOUT).is_file()
    (folder / ABOUT).write_text("{half")
    with pytest.raises(FairbenchError, match="Remove"):
        classifier(card, options(card), toys.Room(tmp_path, data)).about()


READY = {"labels": KIND, "train_on": "toy", "task": "toy", "named": ()}
"""What a plan hands over where the user names no training data, and the task suggests its own."""


def test_a_ready_classifier_is_used_as_it_is(tmp_path):
    toys.ready(tmp_path, "bert", ("ROTTEN", "KIND"))
    card, room = toys.model(tmp_path, "bert"), toys.Room(tmp_path)
    found = classifier_options(card, READY)
    assert found["train_on"] is None and "epochs" not in found
    prepared = classifier(card, found, room)
    model = prepared.load()
    assert not room.told and not room.classifiers.exists() and model.about == {}
    logits = torch.tensor([[2.0, -1.0]], dtype=torch.float64)
    np.testing.assert_allclose(model.head.probs(logits)[0], torch.softmax(logits, -1)[0, [1, 0]])
    assert prepared.identity["head"]["how"] == "labels of equal names" and not prepared.about()
    assert not prepared.seen("Nobody knows what it learnt from.")


def test_a_ready_classifier_is_trained_anew_where_the_user_names_data(tmp_path):
    toys.ready(tmp_path, "bert", ("a", "b", "c"))
    card, room = toys.model(tmp_path, "bert"), toys.Room(tmp_path, toys.data(train=16))
    for named in ({"named": ("train_on",)}, {}):
        found = classifier_options(card, {**toys.QUICK, "epochs": 1, "labels": KIND, "train_on": "toy", **named})
        assert found["train_on"] == "toy"
    assert classifier(card, found, room).load().network.config.num_labels == 2


def test_an_idle_option_is_refused_for_a_ready_classifier(tmp_path):
    toys.ready(tmp_path, "bert", KIND)
    card = toys.model(tmp_path, "bert")
    with pytest.raises(FairbenchError, match=r"epochs=5: .* is a classifier already"):
        classifier_options(card, {**READY, "epochs": "5", "named": ("epochs",)})
    assert classifier_options(card, {**READY, "epochs": "10"})["train_on"] is None, "that was the task's suggestion"
    assert classifier_options(card, {**READY, "max_length": "16", "named": ("max_length",)})["max_length"] == 16


def test_a_head_that_is_not_in_the_checkpoint_is_refused(tmp_path):
    path = toys.tiny.bert(tmp_path / "bert", "BertModel")
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "architectures": ["BertForSequenceClassification"]}))
    card = toys.model(tmp_path, "bert")
    prepared = classifier(card, classifier_options(card, {"labels": ("0", "1"), "named": ()}), toys.Room(tmp_path))
    with pytest.raises(FairbenchError, match=r"lack classifier\.bias, classifier\.weight"):
        prepared.load()


def test_a_pooler_that_is_not_in_the_checkpoint_is_refused_too(tmp_path):
    """For vectors nobody needs it, but a classification head reads it."""
    import safetensors.torch

    path = toys.ready(tmp_path, "bert", KIND)
    held = {name: tensor for name, tensor in toys.weights(path).items() if "pooler" not in name}
    safetensors.torch.save_file(held, path / "model.safetensors", metadata={"format": "pt"})
    card = toys.model(tmp_path, "bert")
    prepared = classifier(card, classifier_options(card, READY), toys.Room(tmp_path))
    with pytest.raises(FairbenchError, match=r"lack bert\.pooler\.dense\.bias"):
        prepared.load()


@pytest.mark.parametrize("kinds", [{"labels": ("score",)}, {"labels": KIND, "problem_type": "regression"}])
def test_a_regression_is_no_classifier(tmp_path, kinds):
    toys.ready(tmp_path, "bert", **kinds)
    card = toys.model(tmp_path, "bert")
    with pytest.raises(FairbenchError, match="one number and no probability"):
        classifier(card, classifier_options(card, READY), toys.Room(tmp_path))


def test_a_multi_label_classifier_is_read_by_sigmoids(tmp_path):
    toys.ready(tmp_path, "bert", ("rotten", "rude", "wild"), problem_type="multi_label_classification")
    card = toys.model(tmp_path, "bert")
    head = classifier(card, classifier_options(card, READY), toys.Room(tmp_path)).load().head
    logits = torch.tensor([[0.3, 9.0, -2.0]], dtype=torch.float64)
    assert float(head.probs(logits)[0, 1]) == pytest.approx(float(torch.sigmoid(logits[0, 0])))
