"""The protected-status model: texts with groups for labels, trained from the classifier over its word embeddings."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import random
from pathlib import Path

import pytest
import torch

from fairbench.errors import FairbenchError
from fairbench.models.batching import Batching
from fairbench.models.loading import inspect_model
from fairbench.models.model import ModelCard, ModelOptions
from fairbench.probes import sensitivity
from fairbench.probes.status import by_group
from fairbench.records import Labelled
from fairbench.training import TrainingData

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).parents[1] / "models" / "tiny.py")
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

FEMALE, MALE, NONE = ("she", "Emily", "The nurse"), ("he", "Greg", "The doctor"), ("it", "poetry", "The umbrella")
GOOD, BAD = ("beautiful", "wooden"), ("tired", "late")
QUICK = {"learning_rate": 1e-2, "train_batch_size": 8, "epochs": 8, "patience": 0, "warmup": 0.2}


def texts(n: int, seed: int, follows_gender: bool = False) -> list[Labelled]:
    """Sentences about somebody who is something; the class is what they are, or follows their gender."""
    rng = random.Random(seed)
    found = []
    for number in range(n):
        who, group = rng.choice(((FEMALE, "gender:female"), (MALE, "gender:male")))
        label = int(group == "gender:male") if follows_gender else rng.randrange(2)
        said = rng.choice((GOOD, BAD)[rng.randrange(2) if follows_gender else label])
        text = f"{rng.choice(who)} was {said} and {rng.choice(NONE)} was near the river {seed} {number}."
        found.append(Labelled(id=f"{seed}-{number}", text=text, label=label, groups=(group,)))
    return found


def data(train: list[Labelled], validation: list[Labelled], name: str = "toy") -> TrainingData:
    sha256 = hashlib.sha256(repr((train, validation)).encode()).hexdigest()
    return TrainingData(name=name, labels=("kind", "rotten"), train=tuple(train), validation=tuple(validation), sha256=sha256)


def toy(follows_gender: bool = False, name: str = "toy") -> TrainingData:
    return data(texts(96, 0, follows_gender), texts(32, 1, follows_gender), name)


class Room:
    """A room with these training data."""

    def __init__(self, folder: Path, *given: TrainingData) -> None:
        self.classifiers = folder / "classifiers"
        self.given = {one.name: one for one in given}
        self.told: list[str] = []

    def progress(self, what: str, done: int, total: int) -> None:
        if what not in self.told:
            self.told.append(what)

    def training_data(self, name: str) -> TrainingData:
        return self.given[name]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    return inspect_model(str(tiny.bert(tmp_path_factory.mktemp("bert"))), ModelOptions(device="cpu"))


def options(card: ModelCard, **requested: object) -> dict[str, object]:
    return sensitivity.resolve(card, "Labelled", {"labels": ("kind", "rotten"), "train_on": "toy", **QUICK, **requested})


def record(text: str, *groups: str, split: int = 0) -> Labelled:
    return Labelled(id=f"{text}{groups}", text=text, label=split, groups=groups)


def many(*groups: str, n: int = 12) -> list[Labelled]:
    return [record(f"{groups} {i}", *groups) for i in range(n)]


def test_texts_that_name_exactly_one_group():
    train = [*many("gender:female"), *many("gender:male", "gender:male"), *many("gender:male", "gender:female"), *many()]
    found = by_group(data(train, many("gender:female", n=2)), "gender")
    assert found.labels == ("gender:female", "gender:male") and found.positive == ()
    assert [r.label for r in found.train] == [0] * 12 + [1] * 12 and [r.label for r in found.validation] == [0, 0]
    assert [r.text for r in found.train] == [r.text for r in train[:24]]
    assert found.left_out == {"text of several groups": 12, "text of no group": 12}
    assert found.name == "toy, the groups of gender"


def test_one_notion_or_all_of_them_side_by_side():
    train = [*many("gender:female"), *many("gender:male", "race:black"), *many("race:white"), *many("gender:male")]
    given = data(train, many("gender:male"))
    assert by_group(given, "gender").labels == ("gender:female", "gender:male")
    assert [r.label for r in by_group(given, "gender").train] == [0] * 12 + [1] * 24
    every = by_group(given, "")
    assert every.labels == ("gender:female", "gender:male", "race:white")
    assert len(every.train) == 36 and every.left_out == {"text of several groups": 12}
    assert len({by_group(given, "gender").sha256, every.sha256, given.sha256}) == 3


def test_the_group_alone_is_enough_and_small_groups_are_left_out():
    train = [dataclasses.replace(r, groups=(), group=r.groups[0]) for r in (*many("old"), *many("young"), *many("rare", n=9))]
    found = by_group(data(train, [*many("old", n=3), *many("rare", n=1)]), "")
    assert found.labels == ("old", "young")
    assert found.left_out == {"text of a group with fewer than 10": 10} and len(found.validation) == 3


@pytest.mark.parametrize(
    ("train", "group_by", "message"),
    [
        ([*many("gender:female"), *many("gender:male")], "race", r"group_by=race: there are no such groups in toy.* of gender"),
        ([*many("old"), *many("young")], "gender", "group_by=gender: .* has groups of one notion without a name"),
        (many(), "gender", "group_by=gender: there are no such groups in toy, which has none"),
        (many(), "", "exactly one group: none; and 0 validation texts"),
        ([*many("old"), *many("young", n=3)], "", "exactly one group: old 12, young 3; .* at least two groups with 10"),
    ],
)
def test_data_that_tell_no_groups_apart(train: list[Labelled], group_by: str, message: str):
    validation = [r for r in many("old") if train[0].groups == ("old",)]
    with pytest.raises(FairbenchError, match=message):
        by_group(data(train, validation), group_by)


def test_what_the_data_lack_is_said_before_anything_is_trained(bert: ModelCard, tmp_path: Path):
    room = Room(tmp_path, data([dataclasses.replace(r, groups=()) for r in texts(96, 0)], texts(32, 1)))
    with pytest.raises(FairbenchError, match="protected=model: toy has training texts that speak of exactly one group: none"):
        sensitivity.prepare(bert, options(bert), room)
    assert not room.classifiers.exists()


@pytest.mark.parametrize("build", ["bert", "gpt2"])
def test_it_shares_the_word_embeddings_and_learns_who(build: str, tmp_path: Path):
    card = inspect_model(str(getattr(tiny, build)(tmp_path / build)), ModelOptions(device="cpu"))
    room = Room(tmp_path, toy())
    chosen = options(card)
    prepared = sensitivity.prepare(card, chosen, room)
    assert not room.classifiers.exists(), "nothing is trained before it is loaded"
    model = prepared.load()
    status = model.status
    first, second = (one.network.get_input_embeddings().weight for one in (model, status))
    assert torch.equal(first, second)
    before = next(p for name, p in model.network.named_parameters() if "attention" in name or "attn" in name)
    after = dict(status.network.named_parameters())[next(n for n, p in model.network.named_parameters() if p is before)]
    assert not torch.equal(before, after), "the layers above the embeddings learn"
    assert status.head.labels == ("gender:female", "gender:male")
    about = prepared.about()
    assert about["protected"]["best"]["accuracy"] > 0.9 and about["protected"]["recipe"]["freeze_embeddings"] is True
    assert about["recipe"]["freeze_embeddings"] is False and about["protected"]["base"]["weights"] == model.card.weights_sha256
    assert room.told == ["fine-tuning toy", "fine-tuning toy, the groups of all notions"]
    assert prepared.seen(texts(96, 0)[5].text) and prepared.seen(texts(32, 1)[5].text) and not prepared.seen("she")
    assert sensitivity.sanity(model) is None
    answers = sensitivity.answer(model, texts(10, 2), chosen, Batching())
    for one in answers:
        told = sum(
            w
            for piece, w in zip(one["token_text"], one["token_weight"], strict=True)
            if piece.strip(" .") in "heshEmilyGregnursedoctorThe"
        )
        assert told > 0.3, "weight lies where gender is told"
    folders = sorted(path.name for path in room.classifiers.iterdir())
    sensitivity.prepare(card, chosen, room).load()
    assert sorted(path.name for path in room.classifiers.iterdir()) == folders and len(folders) == 2


def test_the_identity_says_what_the_weights_come_from(bert: ModelCard, tmp_path: Path):
    room = Room(tmp_path, toy(), toy(follows_gender=True, name="other"))

    def identity(**requested: object) -> str:
        return repr(sensitivity.prepare(bert, options(bert, **requested), room).identity)

    found = [
        identity(), identity(protected_on="other"), identity(protected="uniform"), identity(protected="words", words="gender"),
        identity(protected="words", words="race"), identity(group_by="gender"),
    ]  # fmt: skip
    assert len(set(found)) == len(found) and identity() == found[0]


def test_a_ready_classifier_gets_a_status_model_of_its_own(bert: ModelCard, tmp_path: Path):
    room = Room(tmp_path, toy())
    plain = {"protected": "uniform"}
    trained = sensitivity.prepare(bert, options(bert, **plain), room).load()
    card = inspect_model(trained.card.folder, ModelOptions(device="cpu"))
    requested = {"labels": ("kind", "rotten"), "task": "toy", "train_on": "toy", "named": tuple(QUICK), **QUICK}
    chosen = sensitivity.resolve(card, "Labelled", requested)
    assert chosen["train_on"] is None and chosen["protected_on"] == "toy" and chosen["epochs"] == 8
    model = sensitivity.prepare(card, chosen, room).load()
    assert model.card.weights_sha256 == trained.card.weights_sha256
    assert torch.equal(model.network.get_input_embeddings().weight, model.status.network.get_input_embeddings().weight)
    prepared = sensitivity.prepare(card, chosen, room)
    assert prepared.seen(texts(96, 0)[5].text), "the status model has seen it"


def test_other_embeddings_are_refused(bert: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    room = Room(tmp_path, toy())
    prepared = sensitivity.prepare(bert, options(bert, epochs=1), room)
    real = sensitivity.status_model

    def moved(*args: object) -> object:
        found = real(*args)

        def load() -> object:
            model = found.load()
            model.network.get_input_embeddings().weight[5, 0] += 1e-3
            return model

        return dataclasses.replace(found, load=load)

    monkeypatch.setattr(sensitivity, "status_model", moved)
    with pytest.raises(FairbenchError, match="has other word embeddings than its classifier"):
        prepared.load()


def test_a_status_model_that_learnt_nothing_is_flagged(bert: ModelCard, tmp_path: Path):
    rng = random.Random(0)
    train, held = texts(96, 0), texts(32, 1)
    shuffled = [dataclasses.replace(r, groups=(rng.choice(("gender:female", "gender:male")),)) for r in train]
    room = Room(tmp_path, data(shuffled, held))
    chosen = options(bert, learning_rate=1e-7, epochs=1)
    model = sensitivity.prepare(bert, chosen, room).load()
    assert "The protected-status model, by which tokens are weighed: The classifier learnt nothing" in sensitivity.sanity(model)
