"""What surrounds a training: which texts are kept apart, which words are mapped and whether they hold any mass, warnings."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import pytest
import torch

from fairbench.errors import FairbenchError
from fairbench.mitigation import Job
from fairbench.mitigation.classroom import divided, make_ready
from fairbench.mitigation.processes import Processes
from fairbench.mitigation.recipe import Recipe
from fairbench.models.loading import inspect_model
from fairbench.models.model import ModelOptions
from fairbench.planted.corpus import Dials, documents

SPEC = importlib.util.spec_from_file_location("lessons", Path(__file__).with_name("lessons.py"))
lessons = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(lessons)

RECIPE = Recipe(layers=(0, 1), merge="expmean", lm_weight=0.0, names="none", max_length=32, held_out=0.1)


def classroom(room: Path, recipe: Recipe = RECIPE, model: str = "planted:causal-0.5", texts: tuple[str, ...] | None = None):
    found = texts or tuple(document.text for document in documents(60, Dials(gender=0.5)))
    card = inspect_model(model, ModelOptions(device="cpu"))
    job = Job(card=card, options={}, texts=lessons.some_texts(*found), room=room, progress=lambda *_: None)
    return make_ready(job, recipe, Processes("cpu"))


@pytest.mark.parametrize(
    ("model", "words"), [("planted:causal-0.5", {(" he",), (" she",)}), ("planted:masked-0.5", {("he",), ("she",)})]
)
def test_gendered_words_hold_mass_where_one_of_them_follows(model, words, tmp_path):
    found = classroom(tmp_path, model=model)
    assert found.mass > 0.2 and words <= {side for pair in found.vocabulary.words for side in pair}
    assert not found.warnings and len(found.lesson.held_out) > 0


def test_the_mass_is_that_of_the_places_before_a_mapped_word(tmp_path):
    found = classroom(tmp_path)
    network, masses = found.teacher.network, []
    mapped = list(found.vocabulary.ids)
    with torch.no_grad():
        for row in found.prepared.table:
            ids = row["input_ids"]
            p = network(input_ids=torch.tensor([ids])).logits[0].softmax(-1)
            masses += [float(p[t, mapped].sum()) for t in range(len(ids) - 1) if ids[t + 1] in mapped]
    assert found.mass == pytest.approx(sum(masses) / len(masses), rel=1e-4)


def test_a_vocabulary_without_the_words_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(lessons.tiny, "SENTENCES", ["A carpenter built it.", "It is raining today."])
    name = lessons.tiny.gpt2(tmp_path / "tiny")
    with pytest.raises(FairbenchError, match=r"has no pair of gendered words .* vocabulary_map=false") as caught:
        classroom(tmp_path, model=str(name), texts=("She was late.", "He is here."))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("held_out", "count", "apart"), [(0.0, 60, 0), (0.02, 60, 0), (0.5, 60, 30), (0.02, 1_000, 20)])
def test_texts_are_kept_apart_where_there_are_enough(held_out, count, apart):
    texts = lessons.some_texts(*(f"text {n}" for n in range(count)))
    learnt, other = divided(texts, dataclasses.replace(RECIPE, held_out=held_out))
    if not apart:
        assert other is None and learnt is texts
        return
    sides = set(learnt.documents()), set(other.documents())
    assert not sides[0] & sides[1] and len(sides[0] | sides[1]) == count and abs(len(sides[1]) - apart) <= apart / 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"held_out": 0.02}, "too small to keep 0.02 of its documents apart"),
        ({"lm_weight": 0.5}, "teaches their bias again"),
        ({"vocabulary_map": False}, "keep the teacher's bias"),
    ],
)
def test_what_a_reader_must_know_is_said(changes, words, tmp_path):
    (warning,) = classroom(tmp_path, dataclasses.replace(RECIPE, **changes)).warnings
    assert words in warning


def test_the_student_is_refused_before_texts_are_prepared(tmp_path):
    name = lessons.tiny.albert(tmp_path / "albert")
    with pytest.raises(FairbenchError, match="student=FOLDER"):
        classroom(tmp_path / "room", dataclasses.replace(RECIPE, layers=(0,)), model=str(name))
    assert not (tmp_path / "room").exists()


@pytest.mark.parametrize("hidden", [0.3])
def test_dropout_of_the_recipe_is_that_of_the_layers(hidden, tmp_path):
    recipe = dataclasses.replace(
        RECIPE, merge="none", kd_weight=0.0, lm_weight=1.0, dropout=(("resid_pdrop", hidden), ("attn_pdrop", 0.2))
    )
    found = classroom(tmp_path, recipe)
    rates = {name: module.p for name, module in found.lesson.student.named_modules() if isinstance(module, torch.nn.Dropout)}
    assert {rate for name, rate in rates.items() if "resid" in name} == {hidden} and rates[
        "transformer.h.0.attn.attn_dropout"
    ] == 0.2
    assert found.lesson.student.training and not found.teacher.network.training
    own, taught = found.teacher.network.state_dict(), found.lesson.student.state_dict()
    assert all(torch.equal(own[name], taught[name]) for name in own)
