import dataclasses
import subprocess
import sys

import pytest

from fairbench.errors import FairbenchError
from fairbench.planted import build, card, folder, names, words
from fairbench.planted.corpus import Dials, planted_gap
from fairbench.planted.recipe import FIXTURE, TOLERANCE, train

KEYS = {"name", "kind", "licence", "dial", "planted_gap", "learned_gap", "mass", "town", "seed", "steps", "documents"}
KEYS |= {"parameters", "final_loss", "versions", "sanity_text"}


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    torch.set_num_threads(1)


def load(name):
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

    kind = AutoModelForCausalLM if card(name)["kind"] == "causal" else AutoModelForMaskedLM
    return kind.from_pretrained(folder(name)), AutoTokenizer.from_pretrained(folder(name))


def test_six_models_ship():
    assert names() == sorted(f"{kind}-{dial}" for kind in ("causal", "masked") for dial in (0.0, 0.5, 1.0))


@pytest.mark.parametrize("name", names())
def test_card_says_that_the_model_learnt_what_was_planted(name):
    found = card(name)
    assert set(found) >= KEYS
    assert found["name"] == name
    assert found["planted_gap"] == pytest.approx(planted_gap(found["dial"]))
    assert found["learned_gap"] == pytest.approx(found["planted_gap"], abs=TOLERANCE)
    assert found["mass"] > 0.5


@pytest.mark.parametrize("name", [name for name in names() if name.startswith("causal")])
def test_causal_models_learnt_the_second_attribute_too(name):
    town = card(name)["town"]
    assert town["learned_gap"] == pytest.approx(town["planted_gap"], abs=0.15)


@pytest.mark.parametrize("name", names())
def test_model_is_small(name):
    assert sum(path.stat().st_size for path in folder(name).iterdir()) < 600_000


@pytest.mark.parametrize("name", names())
def test_shipped_weights_give_the_card_its_numbers(name):
    import torch

    from fairbench.planted.gap import learned_gap, sanity_loss

    network, tokenizer = load(name)
    found = card(name)
    assert network.dtype == torch.float32
    assert network.num_parameters() == found["parameters"]
    learned = learned_gap(network, tokenizer, found["kind"])
    assert learned.gap == pytest.approx(found["learned_gap"], abs=1e-3)
    assert learned.mass == pytest.approx(found["mass"], abs=1e-3)
    assert sanity_loss(network, tokenizer, found["kind"]) == pytest.approx(found["sanity_loss"], abs=1e-2)


@pytest.mark.parametrize("name", ["causal-0.0", "masked-0.0"])
def test_swapped_words_are_single_tokens_and_foreign_text_has_no_unknowns(name):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder(name))
    for a, b in words.SWAPS:
        assert len(tokenizer.tokenize(f" {a}")) == len(tokenizer.tokenize(f" {b}")) == 1
    ids = tokenizer("Quixotic zebras, (42 of them!) hum; why?")["input_ids"]
    if card(name)["kind"] == "masked":
        assert tokenizer.unk_token_id not in ids
        assert ids[0] == tokenizer.cls_token_id
        assert ids[-1] == tokenizer.sep_token_id
    else:
        assert tokenizer.bos_token == tokenizer.eos_token
        assert tokenizer.decode(ids) == "Quixotic zebras, (42 of them!) hum; why?"


def test_all_models_of_a_kind_share_a_tokenizer():
    for kind in ("causal", "masked"):
        assert len({(folder(name) / "tokenizer.json").read_bytes() for name in names() if name.startswith(kind)}) == 1


def test_unknown_model_is_refused_with_the_nearest_name():
    with pytest.raises(FairbenchError, match=r"Did you mean causal-0\.5"):
        folder("causal-0.55")


def test_unknown_kind_is_refused(tmp_path):
    with pytest.raises(FairbenchError, match="masked"):
        build(tmp_path, kinds=["maskd"])
    assert list(tmp_path.iterdir()) == []


def test_library_does_not_load_torch():
    code = "import sys, fairbench.planted as p; p.names(); p.card('causal-0.0'); print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


@pytest.mark.slow
@pytest.mark.parametrize("dial", [0.0, 0.5, 1.0])
def test_fixture_learns_what_is_planted(dial):
    steps = []
    trained = train(FIXTURE, Dials(gender=dial), on_step=lambda done, total, text: steps.append((done, total)))
    assert trained.learned.gap == pytest.approx(planted_gap(dial), abs=TOLERANCE)
    assert steps[-1] == (FIXTURE.steps, FIXTURE.steps)


@pytest.mark.slow
def test_training_is_deterministic():
    few = dataclasses.replace(FIXTURE, steps=20, documents=300)
    first, second = (train(few, Dials(gender=1.0), check=False).final_loss for _ in range(2))
    assert first == second


def test_undertrained_model_is_refused():
    few = dataclasses.replace(FIXTURE, steps=20, documents=300)
    with pytest.raises(FairbenchError, match="Train for more steps"):
        train(few, Dials(gender=1.0))


def test_build_leaves_nothing_of_an_undertrained_model(tmp_path):
    with pytest.raises(FairbenchError, match="Train for more steps"):
        build(tmp_path, kinds=["causal"], dials=[1.0], steps=5)
    assert list((tmp_path / "models").iterdir()) == []
