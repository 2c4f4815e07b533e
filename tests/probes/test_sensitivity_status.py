"""The protected-status model: texts with groups for labels, trained from the classifier over its word embeddings."""

from __future__ import annotations

import dataclasses
import importlib.util
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

SPEC = importlib.util.spec_from_file_location("gendered", Path(__file__).parent / "gendered.py")
gendered = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(gendered)
data, texts, toy, Room, QUICK = gendered.data, gendered.texts, gendered.toy, gendered.Room, gendered.QUICK


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return gendered.planted()


def options(card: ModelCard, **requested: object) -> dict[str, object]:
    return sensitivity.resolve(card, "Labelled", {"labels": gendered.LABELS, "train_on": "toy", **QUICK, **requested})


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
    assert by_group(given, "all") == every
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


def test_what_the_data_lack_is_said_before_anything_is_trained(card: ModelCard, tmp_path: Path):
    room = Room(tmp_path, data([dataclasses.replace(r, groups=()) for r in texts(96, 0)], texts(32, 1)))
    with pytest.raises(FairbenchError, match="protected=model: toy has training texts that speak of exactly one group: none"):
        sensitivity.prepare(card, options(card), room)
    assert not room.classifiers.exists()


@pytest.fixture(scope="module")
def trained(card: ModelCard, tmp_path_factory: pytest.TempPathFactory):
    """A room, what was prepared in it, and the classifier with its protected-status model."""
    room = Room(tmp_path_factory.mktemp("room"), toy(train=160))
    prepared = sensitivity.prepare(card, options(card), room)
    assert not room.classifiers.exists(), "nothing is trained before it is loaded"
    return room, prepared, prepared.load()


def test_it_shares_the_word_embeddings_and_learns_who(trained):
    room, prepared, model = trained
    status, about = model.status, prepared.about()
    first, second = (dict(one.network.named_parameters()) for one in (model, status))
    same = {name for name in first if first[name].shape == second[name].shape and torch.equal(first[name], second[name])}
    assert same == {"bert.embeddings.word_embeddings.weight"}
    assert status.head.labels == ("gender:female", "gender:male")
    assert about["protected"]["by"] == "model" and about["protected"]["best"]["accuracy"] > 0.95
    assert prepared.identity["recipe"]["freeze_embeddings"] is False
    assert prepared.identity["protected"]["recipe"]["freeze_embeddings"] is True
    assert about["protected"]["base"]["weights"] == model.card.weights_sha256, "it starts from the classifier"
    assert room.told == ["fine-tuning toy", "fine-tuning toy, the groups of all notions"]
    assert prepared.seen(texts(160, 0)[5].text) and not prepared.seen("She was tired.")
    assert sensitivity.sanity(model) is None


def test_weight_lies_where_gender_is_told(card: ModelCard, trained):
    answers = sensitivity.answer(trained[2], texts(30, 2), options(card), Batching())
    told = {word.lower() for words in (*gendered.NAMES.values(), *gendered.NOUNS.values(), ("he", "she")) for word in words}

    def share(answer: dict[str, object], what: str) -> float:
        pieces = zip(answer["token_text"], answer[what] if what else [1 / answer["tokens"]] * answer["tokens"], strict=True)
        return sum(number for piece, number in pieces if piece.lower() in told)

    assert sum(share(answer, "token_weight") for answer in answers) > 1.4 * sum(share(answer, "") for answer in answers)


def test_what_was_trained_is_used_again(card: ModelCard, trained):
    room, _, model = trained
    before = sorted(path.name for path in room.classifiers.iterdir())
    again = sensitivity.prepare(card, options(card), room).load()
    assert sorted(path.name for path in room.classifiers.iterdir()) == before and len(before) == 2
    assert again.status.card.weights_sha256 == model.status.card.weights_sha256
    plain = sensitivity.prepare(card, options(card, protected="uniform"), room).load()
    assert plain.status is None and plain.card.weights_sha256 == model.card.weights_sha256


def test_a_ready_classifier_gets_a_status_model_of_its_own(trained):
    room, _, model = trained
    card = inspect_model(model.card.folder, ModelOptions(device="cpu"))
    requested = {"labels": gendered.LABELS, "task": "toy", "train_on": "toy", "named": tuple(QUICK), **QUICK}
    chosen = sensitivity.resolve(card, "Labelled", requested)
    assert chosen["train_on"] is None and chosen["protected_on"] == "toy" and chosen["epochs"] == 4
    prepared = sensitivity.prepare(card, chosen, room)
    assert prepared.seen(texts(160, 0)[5].text), "the status model has seen it"
    found = prepared.load()
    assert found.card.weights_sha256 == model.card.weights_sha256
    assert found.status.card.weights_sha256 == model.status.card.weights_sha256, "trained before, on the same texts"


def test_other_embeddings_are_refused(card: ModelCard, trained, monkeypatch: pytest.MonkeyPatch):
    prepared = sensitivity.prepare(card, options(card), trained[0])
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


def test_the_identity_says_what_the_weights_come_from(card: ModelCard, tmp_path: Path):
    room = Room(tmp_path, toy(), toy(1.0, name="other"))

    def identity(**requested: object) -> str:
        return repr(sensitivity.prepare(card, options(card, **requested), room).identity)

    found = [
        identity(), identity(protected_on="other"), identity(protected="uniform"), identity(protected="words", words="gender"),
        identity(protected="words", words="race"), identity(group_by="gender"),
    ]  # fmt: skip
    assert len(set(found)) == len(found) and identity() == found[0]


def test_a_status_model_that_learnt_nothing_is_flagged(trained):
    model = trained[2]
    about = {**model.status.about, "best": {**model.status.about["best"], "macro_f1": model.status.about["floor"]}}
    flat = dataclasses.replace(model, status=dataclasses.replace(model.status, about=about))
    assert "The protected-status model, by which tokens are weighed: The classifier learnt nothing" in sensitivity.sanity(flat)


@pytest.mark.slow
@pytest.mark.parametrize("requested", [{}, {"protected": "words", "words": "gender"}], ids=["model", "words"])
def test_the_ratio_rises_where_labels_depend_on_gender(card: ModelCard, tmp_path: Path, requested: dict[str, str]):
    """Of two classifiers the one learns tools, the other who it is about; they are asked about the same texts."""
    ratios = []
    for dial in (0.0, 1.0):
        room = Room(tmp_path / str(dial), toy(dial))
        chosen = options(card, **requested)
        model = sensitivity.prepare(card, chosen, room).load()
        assert model.about["best"]["accuracy"] > 0.8
        answers = sensitivity.answer(model, texts(60, 2), chosen, Batching())
        ratios.append(sum(a["sensitivity"] for a in answers) / sum(a["sensitivity_uniform"] for a in answers))
    assert ratios[1] > 1.2 * ratios[0] and ratios[1] > 1
