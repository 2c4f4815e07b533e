import numpy as np
import pytest
from sklearn.decomposition import PCA

from fairbench.counterfactual.swapping import Swap
from fairbench.errors import FairbenchError
from fairbench.mitigation import Job, Texts
from fairbench.mitigation.methods import sentence_debias
from fairbench.mitigation.projection import vectors
from fairbench.models.loading import inspect_model, load
from fairbench.planted.corpus import Dials, documents
from fairbench.planted.gap import learned_gap, learned_town_gap

DOCUMENTS = [document.text for document in documents(1500, Dials(gender=1.0), seed=0)]


def job_of(kind, tmp_path, documents=DOCUMENTS, **given):
    card = inspect_model(f"planted:{kind}-1.0")
    options = {name: option.default for name, option in sentence_debias.OPTIONS.items()} | given
    texts = Texts(name="tales", identity={}, provenance={}, documents=lambda: iter(documents), count=len(documents))
    options = sentence_debias.resolve(card, options, frozenset(given))
    return Job(card=card, options=options, texts=texts, room=tmp_path, progress=lambda *_: None)


def test_parts_of_groups_by_hand():
    found = np.array([[[3.0, 4], [0, 2]], [[1, 0], [-5, 0]]])
    wanted = [[0.3, -0.1], [-0.3, 0.1], [1, 0], [-1, 0]]  # (.6, .8) and (0, 1) less (.3, .9); (1, 0) and (-1, 0) less nothing
    np.testing.assert_allclose(sentence_debias.parts_of_groups(found), wanted)


@pytest.mark.parametrize(("groups", "count"), [(2, 1), (2, 3), (3, 2)])
def test_components_are_those_of_scikit_learn(groups, count):
    found = np.random.default_rng(groups).normal(size=(80, groups, 7)) * np.arange(1, 8)
    parts = sentence_debias.parts_of_groups(found)
    rows, shares = sentence_debias.principal(parts, count)
    known = PCA(count, svd_solver="full").fit(parts)
    np.testing.assert_allclose(np.abs((rows * known.components_).sum(1)), 1, atol=1e-8)
    np.testing.assert_allclose(shares, known.explained_variance_ratio_, atol=1e-10)
    assert (rows[np.arange(count), np.abs(rows).argmax(1)] > 0).all()


def test_components_that_are_none():
    parts = np.array([[1.0, 0, 0], [-1, 0, 0]])
    with pytest.raises(FairbenchError, match="do not differ in 2 directions"):
        sentence_debias.principal(parts, 2)
    with pytest.raises(FairbenchError, match="leaves nothing"):
        sentence_debias.principal(parts, 3)
    with pytest.raises(FairbenchError, match="do not differ in 1 directions"):
        sentence_debias.principal(0 * parts, 1)


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_the_direction_is_gone_from_a_planted_model(kind, tmp_path):
    job = job_of(kind, tmp_path / "room", components=1)
    (tmp_path / "made").mkdir()
    said = sentence_debias.make(job, tmp_path / "made")["measured"]
    made, before = load(inspect_model(str(tmp_path / "made"))), load(job.card)
    assert made.network.directions.shape == (1, 48)
    direction = made.network.directions[0].numpy()
    pairs = [text for a in ("The nurse said that he was tired.", "The king was thirsty.") for text in (a, Swap().swap(a).text)]
    old, new = (vectors(model, pairs, "mean", lambda *_: None)[0] for model in (before, made))
    apart = np.abs((old[::2] - old[1::2]) @ direction)
    assert apart.min() > 0.02
    assert apart.max() > 0.1
    assert np.abs(new @ direction).max() < 1e-5
    assert said["share of the groups' parts that is taken out"] > 0.5
    assert said["mean length of a group's part after"] < said["mean length of a group's part before"]
    # A tied head reads the projected states: the gap gets smaller, and is far from gone. The town gap stays where it was.
    gaps = [learned_gap(model.network, model.tokenizer, kind).gap for model in (before, made)]
    assert 0.5 < gaps[1] < gaps[0] - 0.03
    towns = [learned_town_gap(model.network, model.tokenizer, kind).gap for model in (before, made)]
    assert abs(towns[0] - towns[1]) < 0.05


def test_the_found_direction_is_that_of_the_formula(tmp_path):
    job = job_of("causal", tmp_path, [f"The nurse said that {who} saw {n} boats." for n in range(30) for who in ("he", "she")])
    (tmp_path / "made").mkdir()
    sentence_debias.make(job, tmp_path / "made")
    found = load(inspect_model(str(tmp_path / "made"))).network.directions[0].numpy()
    model, parts = load(job.card), []
    for text in job.texts.documents():  # one at a time, with nothing of ours but the swap
        pair = [text, Swap().swap(text).text]
        states = [
            model.network.transformer(model.tokenizer(t, return_tensors="pt")["input_ids"]).last_hidden_state[0].numpy()
            for t in pair
        ]
        a, b = (s.mean(0) / np.linalg.norm(s.mean(0)) for s in states)
        parts += [(a - b) / 2, (b - a) / 2]
    assert abs(PCA(1).fit(np.array(parts)).components_[0] @ found) == pytest.approx(1, abs=1e-5)


def test_groups_of_three(tmp_path):
    documents = [f"Two {who} came to the market with {n} boats." for n in range(20) for who in ("rabbis", "imams")]
    job = job_of("causal", tmp_path, documents, attribute="religion", components=2)
    (tmp_path / "made").mkdir()
    said = sentence_debias.make(job, tmp_path / "made")
    assert said["texts"] == {"sentences": 40, "too long": 0, "groups": 3}
    assert load(inspect_model(str(tmp_path / "made"))).network.directions.shape == (2, 48)


def test_a_sentence_that_is_too_long_goes_with_its_counterpart(tmp_path):
    long = "The king saw " + "many and many " * 80 + "boats."
    job = job_of("causal", tmp_path, [long, *[f"The nurse said that he saw {n} boats." for n in range(50)]])
    (tmp_path / "made").mkdir()
    assert sentence_debias.make(job, tmp_path / "made")["texts"] == {"sentences": 50, "too long": 1, "groups": 2}


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        (["It was rainy on Monday again."], "Found no sentences of tales with words of gender"),
        ([f"The king saw {n} boats there." for n in range(12)], "Found 12 sentences .*fewer than 40"),
        ([f"The king saw {n} " + "many and many " * 80 for n in range(50)], "None of 100 sentences has a vector"),
    ],
)
def test_too_little_to_learn_from(documents, message, tmp_path):
    with pytest.raises(FairbenchError, match=message):
        sentence_debias.make(job_of("causal", tmp_path, documents), tmp_path)
