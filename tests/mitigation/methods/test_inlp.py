import random
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.linalg
from sklearn.svm import LinearSVC

from fairbench.counterfactual.swapping import Swap
from fairbench.errors import FairbenchError
from fairbench.mitigation import Job, Texts
from fairbench.mitigation.methods import inlp
from fairbench.mitigation.projection import sentences, vectors
from fairbench.models.loading import inspect_model, load
from fairbench.planted.corpus import Dials, documents
from fairbench.planted.gap import learned_gap

DOCUMENTS = [document.text for document in documents(2500, Dials(gender=1.0), seed=0)]


def texts_of(documents):
    return Texts(name="tales", identity={}, provenance={}, documents=lambda: iter(documents), count=len(documents))


def job_of(kind, tmp_path, documents=DOCUMENTS, **given):
    card = inspect_model(f"planted:{kind}-1.0")
    options = {name: option.default for name, option in inlp.OPTIONS.items()} | given
    options = inlp.resolve(card, options, frozenset(given))
    return Job(card=card, options=options, texts=texts_of(documents), room=tmp_path, progress=lambda *_: None)


def clusters(count=300, width=12, classes=3, seed=0):
    """Vectors in which a class can be read, from more directions than one."""
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = draw.normal(size=(classes, width)) * 1.5
    return centres[labels] + draw.normal(size=(count, width)), labels


SETTINGS = {"classifiers": 3, "stop": -1.0, "regularisation": 1.0, "seed": 0}


@pytest.mark.parametrize("classes", [2, 3])
def test_the_projection_is_that_of_the_published_formula(classes):
    x, y = clusters(classes=classes)
    found = inlp.nullspace((x, y), (x, y), SETTINGS)
    rowspaces, left = [], x  # Ravfogel et al.: I less the projection to the span of the sum of all rowspace projections
    for _ in range(3):
        weights = LinearSVC(dual=False, random_state=0, max_iter=10_000).fit(left, y).coef_
        basis = scipy.linalg.orth(weights.T, rcond=1e-9)
        rowspaces.append(basis @ basis.T)
        span = scipy.linalg.orth(np.sum(rowspaces, axis=0), rcond=1e-9)
        left = x - x @ span @ span.T
    np.testing.assert_allclose(found.basis.T @ found.basis, span @ span.T, atol=1e-5)
    np.testing.assert_allclose(found.basis.T @ found.basis, np.sum(rowspaces, axis=0), atol=1e-5)  # they are orthogonal
    np.testing.assert_allclose(found.basis @ found.basis.T, np.eye(len(found.basis)), atol=1e-10)


def test_a_basis_takes_up_only_what_is_new():
    basis = np.eye(5)[:2]
    rows = np.array([[1.0, 2, 0, 0, 0], [3, 0, 4, 0, 0], [6, 1, 8, 0, 0]])
    made = inlp.joined(basis, rows)
    np.testing.assert_allclose(np.abs(made), np.eye(5)[:3], atol=1e-12)
    assert len(inlp.joined(made, np.zeros((1, 5)))) == 3


def test_it_stops_where_nothing_is_left_to_read():
    (x, y), (x_new, y_new) = clusters(count=2000, seed=1), clusters(count=2000, seed=1)
    shift = np.random.default_rng(5).permutation(len(y))
    x_new, y_new = x[shift[:600]], y[shift[:600]]
    found = inlp.nullspace((x, y), (x_new, y_new), SETTINGS | {"classifiers": 12, "stop": 0.05})
    assert 1 <= len(found.accuracies) < 12
    left = x - x @ found.basis.T @ found.basis
    assert LinearSVC(dual=False).fit(left, y).score(left, y) < 0.45
    assert all(score >= 1 / 3 + 0.05 for score in found.accuracies)


def test_it_refuses_to_leave_nothing_and_to_take_nothing():
    x, y = clusters(width=4)
    with pytest.raises(FairbenchError, match="all 4 dimensions"):
        inlp.nullspace((x, y), (x, y), SETTINGS | {"classifiers": 9})
    noise = np.random.default_rng(0).normal(size=(300, 4))
    with pytest.raises(FairbenchError, match="nothing to take out"):
        inlp.nullspace((noise, y), (noise, y), SETTINGS | {"stop": 0.3})


@pytest.mark.parametrize(
    ("sentence", "wanted"),
    [
        ("The old king lost his hat there.", "male"),
        ("An actress came home with her hat.", "female"),
        ("The king met the queen at noon.", None),
        ("The coat is near the market.", "neutral"),
        ("Her mother-in-law was at home again.", "female"),
        ("There is a man-made lake near here.", "neutral"),
    ],
)
def test_the_class_of_a_sentence(sentence, wanted):
    assert inlp._class_of(sentence, Swap())[0] == wanted


def test_the_class_of_a_sentence_about_religion():
    assert inlp._class_of("Two rabbis came to the market.", Swap("religion"))[0] == Swap("religion").lexicon.groups[0]


def test_a_sentence_is_cut_behind_its_word():
    sentence = "The old king lost his hat near the river."
    end = inlp._class_of(sentence, Swap())[1]
    made = {inlp.clipped(sentence, end, random.Random(seed)) for seed in range(60)}
    assert made == {sentence[: len("The old king")], *(sentence[:n] for n in (17, 21, 25, 30, 34, 41))}
    assert {inlp.clipped("It was rainy on Monday.", 0, random.Random(seed)) for seed in range(30)} == {
        "It was rainy on", "It was rainy on Monday.",
    }  # fmt: skip


def test_sentences_of_a_corpus():
    first = 'He said: "She is home." Mary was there too.\nToo short. Mary was there too.'
    found = sentences(texts_of([first, "It is 3.5 miles to the river!", "no stop at its end"]))
    assert list(found) == ['He said: "She is home."', "It is 3.5 miles to the river!", "no stop at its end"]


@pytest.mark.parametrize(("kind", "most"), [("causal", 0.62), ("masked", 0.62)])
def test_a_classifier_knows_little_of_a_planted_model_afterwards(kind, most, tmp_path):
    job = job_of(kind, tmp_path / "room", neutral=False, classifiers=40)
    (tmp_path / "made").mkdir()
    said = inlp.make(job, tmp_path / "made")["measured"]
    assert said["accuracy of a new classifier before"] > 0.85
    assert said["accuracy of a new classifier after"] < most
    made, before = load(inspect_model(str(tmp_path / "made"))), load(job.card)
    found = made.network.directions.numpy()
    assert found.shape == (said["directions taken out"], 48)
    some = ["The nurse said that she was tired.", "Mary was thirsty.", "The coat is blue."]
    old, new = (vectors(model, some, "mean", lambda *_: None)[0] for model in (before, made))
    assert np.abs(new @ found.T).max() < 1e-5 < 0.1 < np.abs(old @ found.T).max()
    np.testing.assert_allclose(new, old - old @ found.T @ found, atol=1e-5)
    # The head reads the same states, so what it says of pronouns changes as well, but the planted gap does not go away.
    gaps = [learned_gap(model.network, model.tokenizer, kind).gap for model in (before, made)]
    assert 0.2 < gaps[1] < gaps[0] - 0.05


def test_the_same_seed_gives_the_same_model(tmp_path):
    job = job_of("causal", tmp_path, classifiers=2, neutral=False)
    for name in "ab":
        (tmp_path / name).mkdir()
        inlp.make(job, tmp_path / name)
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        (["It was rainy on Monday again.", "The blue coat is near the market."], r"Found no sentences of tales of class male"),
        ([f"The king saw {n} boats there." for n in range(60)], r"Found no sentences of tales of class female"),
        ([f"The {who} saw {n} boats there." for n in range(20) for who in ("king", "queen")], r"Found 20 .*fewer than 40"),
    ],
)
def test_too_little_to_learn_from(documents, message, tmp_path):
    with pytest.raises(FairbenchError, match=message):
        inlp.labelled(job_of("causal", tmp_path, documents))


def test_options_depend_on_the_model_and_one_intervention_is_enough(tmp_path):
    options = {name: option.default for name, option in inlp.OPTIONS.items()}
    assert inlp.resolve(SimpleNamespace(kind="causal", **folder("causal")), options, frozenset())["classifiers"] == 10
    assert inlp.resolve(SimpleNamespace(kind="masked", **folder("masked")), options, frozenset())["classifiers"] == 80
    (tmp_path / "config.json").write_text('{"model_type": "fairbench-mitigated", "intervention": {"method": "inlp"}}')
    with pytest.raises(FairbenchError, match="carries an intervention already"):
        inlp.resolve(SimpleNamespace(kind="causal", name="x", folder=str(tmp_path)), options, frozenset())


def folder(kind):
    card = inspect_model(f"planted:{kind}-1.0")
    return {"name": card.name, "folder": card.folder}
