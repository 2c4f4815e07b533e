"""What the student is to say, against a slow reference: one text at a time, one position at a time."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import math
import tempfile
from pathlib import Path

import pytest
import torch

from fairbench.mitigation import distill
from fairbench.mitigation.distill import Kind, terms
from fairbench.mitigation.masking import mask_words
from fairbench.mitigation.recipe import Focal, Recipe
from fairbench.mitigation.targets import Teacher, collate

SPEC = importlib.util.spec_from_file_location("lessons", Path(__file__).with_name("lessons.py"))
lessons = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(lessons)

MERGES = ("none", "mean", "max", "expmean", "swap")


@functools.cache
def model(name: str, double: bool = False):
    return lessons.opened(getattr(lessons.tiny, name)(Path(tempfile.mkdtemp()) / name), double)


def kind_of(one) -> Kind:
    causal = one.card.kind == "causal"
    return Kind(causal, one.tokenizer.pad_token_id or 0, None if causal else one.tokenizer.mask_token_id)


def says_slowly(network, row, recipe: Recipe, blocks, hide=()) -> torch.Tensor:
    """The target of a row by the definitions of section 3.3, (tokens, V)."""

    own = network(input_ids=torch.tensor([row["input_ids"]])).logits[0].double()
    other = network(input_ids=torch.tensor([row["other_ids"]])).logits[0].double() if row["other_ids"] else own
    places = row["places"] if row["other_ids"] else list(range(len(own)))
    said = []
    for t, z in enumerate(own):
        if recipe.merge == "none" or places[t] < 0:
            said.append(normal(z))
            continue
        zc = other[places[t]]
        if recipe.normalize:
            z, zc = normal(z), normal(zc)
        for male, female in blocks:
            zc = exchanged(zc, z, male, female)
        merged = {
            "mean": lambda a, b: (a + b) / 2,
            "max": torch.maximum,
            "expmean": lambda a, b: ((a.exp() + b.exp()) / 2).log(),
            "swap": lambda _, b: b,
        }[recipe.merge]
        said.append(normal(merged(z, zc)))
    return torch.stack(said)


def normal(z: torch.Tensor) -> torch.Tensor:
    return z - z.exp().sum().log()


def exchanged(zc: torch.Tensor, z: torch.Tensor, male, female) -> torch.Tensor:
    """A block's masses exchanged, each split as the original splits its own."""
    found = zc.clone()
    for side, partner in ((male, female), (female, male)):
        mass = sum(math.exp(zc[i]) for i in partner)
        own = sum(math.exp(z[i]) for i in side)
        for i in side:
            found[i] = math.log(mass * math.exp(z[i]) / own)
    return found


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert", "roberta"])
@pytest.mark.parametrize(("merge", "how"), [*itertools.product(MERGES[1:], ("map", "log", "raw")), ("none", "log")])
def test_the_teacher_says_what_the_definitions_say(name, merge, how):
    one = model(name)
    length = 24  # long texts become several rows, and rows differ in length
    recipe = Recipe(merge=merge, normalize=how != "raw", vocabulary_map=how == "map", max_length=length)
    rows = lessons.rows(one, merge=merge, max_length=length)
    assert len({len(row["input_ids"]) for row in rows}) > 2
    vocabulary = lessons.mapped(one) if how == "map" else None
    said, states = Teacher(one.network, recipe, vocabulary).says(collate(rows, kind_of(one).pad), hidden=True)
    wanted = [says_slowly(one.network, row, recipe, vocabulary.blocks if vocabulary else ()) for row in rows]
    lessons.near(said, torch.cat(wanted).float(), 2e-5)
    assert states is not None and len(states) == len(said)


@pytest.mark.parametrize("name", ["gpt2", "bert"])
@pytest.mark.parametrize("texts", [lessons.TEXTS[1:2], lessons.TEXTS[:1]])
def test_a_batch_all_with_or_all_without_counterparts(name, texts):
    one = model(name)
    recipe, vocabulary = Recipe(merge="expmean"), lessons.mapped(one)
    rows = lessons.rows(one, texts, max_length=40)
    said, _ = Teacher(one.network, recipe, vocabulary).says(collate(rows, 0))
    lessons.near(said, torch.cat([says_slowly(one.network, row, recipe, vocabulary.blocks) for row in rows]).float(), 2e-5)
    if not rows[0]["other_ids"]:
        plain, _ = Teacher(one.network, Recipe(merge="none")).says(collate(rows, 0))
        assert float((said - plain).abs().max()) > 0.01, "the map acts where the text is its own counterpart"


@pytest.mark.parametrize("merge", MERGES)
def test_a_text_without_a_word_is_left_as_it_is_without_the_map(merge):
    one = model("gpt2")
    rows = lessons.rows(one, lessons.TEXTS[:2], max_length=40, merge=merge)
    said, _ = Teacher(one.network, Recipe(merge=merge)).says(collate(rows, 0))
    plain, _ = Teacher(one.network, Recipe(merge="none")).says(collate(rows, 0))
    start = sum(len(row["input_ids"]) for row in rows[:-1])
    lessons.near(said[start:], plain[start:], 1e-5)


def test_restricted_positions_alone_are_merged():
    one = model("gpt2")
    rows = lessons.rows(one, ("The old house said that she was late.",), restrict=True, max_length=40)
    said, _ = Teacher(one.network, Recipe(merge="swap", restrict=True)).says(collate(rows, 0))
    plain, _ = Teacher(one.network, Recipe(merge="none")).says(collate(rows, 0))
    changed = (said - plain).abs().amax(-1) > 1e-4
    assert changed.tolist() == [place >= 0 for place in rows[0]["places"]] and changed.any() and not changed.all()


@pytest.mark.parametrize("name", ["gpt2", "bert"])
@pytest.mark.parametrize("merge", MERGES)
def test_no_loss_is_left_where_the_student_says_what_it_is_taught(name, merge, monkeypatch):
    """With no merge the teacher itself; with one, a network that gives the merged probabilities."""
    one = model(name)
    kind = kind_of(one)
    recipe = Recipe(merge=merge, kd_weight=1.0, lm_weight=0.0, mask_share=0.5, max_length=40)
    rows = lessons.rows(one, merge=merge, max_length=40)
    batch = collate(rows, kind.pad)
    teacher = Teacher(one.network, recipe, lessons.mapped(one) if merge != "none" else None)
    real = batch["attention_mask"].bool()

    class Perfect(torch.nn.Module):
        def forward(self, input_ids, attention_mask, output_hidden_states):
            out = one.network(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True)
            if merge != "none":
                out.logits[real] = teacher.says(seen["batch"])[0] + 3.0
            return out

    seen = {"batch": batch}
    monkeypatch.setattr(distill, "mask_words", lambda *given: seen.setdefault("masked", mask_words(*given)))
    if kind.mask is not None:
        torch.manual_seed(0)
        seen["batch"] = distill.mask_words(batch, kind.mask, 0.5)
    found = terms(Perfect(), teacher, batch, recipe, kind)
    assert found.positions == int(real.sum()) and abs(float(found.kd)) < 1e-6
    other = terms(one.network, Teacher(one.network, recipe, lessons.mapped(one)), batch, recipe, kind)
    assert merge == "none" or float(other.kd) > 1e-3


RECIPES = {
    "kd": Recipe(merge="expmean", lm_weight=0.0, mask_share=0.5),
    "lm": Recipe(kd_weight=0.0, mask_share=0.5),
    "cosine": Recipe(kd_weight=0.0, lm_weight=0.0, cosine_weight=0.7, mask_share=0.5),
    "focal": Recipe(
        kd_weight=0.0, lm_weight=0.0, temperature=3.0, focal=Focal(weight=2.0, alpha=1.0, beta=5.0, form="kl"), mask_share=0.5
    ),
    "all": Recipe(merge="max", kd_weight=0.5, lm_weight=1.5, cosine_weight=0.3, mask_share=0.5),
}


@pytest.mark.parametrize("name", ["gpt2", "bert"])
@pytest.mark.parametrize("what", list(RECIPES))
def test_gradients_agree_with_finite_differences(name, what, monkeypatch):
    from fairbench.mitigation.student import from_layers

    one, recipe = model(name, double=True), RECIPES[what]
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)  # the loss is taken in single precision
    kind = kind_of(one)
    student = from_layers(one, (0, 1)).double().eval()
    student.requires_grad_(True)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    batch = collate(lessons.rows(one, lessons.TEXTS[:2], merge=recipe.merge, max_length=40), kind.pad)
    teacher = Teacher(one.network, recipe, lessons.mapped(one) if recipe.merge != "none" else None) if recipe.teaches else None

    def loss() -> torch.Tensor:
        torch.manual_seed(1)  # the same words are masked
        return terms(student, teacher, batch, recipe, kind).total(recipe)

    loss().backward()
    checked = 0
    for parameter in list(student.parameters())[::4]:
        if parameter.grad is None or not bool(parameter.grad.abs().max() > 1e-4):
            continue
        place = int(parameter.grad.abs().argmax())
        with torch.no_grad():
            flat, sides = parameter.view(-1), []
            for step in (1e-5, -2e-5):
                flat[place] += step
                sides.append(float(loss()))
            flat[place] += 1e-5
        assert (sides[0] - sides[1]) / 2e-5 == pytest.approx(float(parameter.grad.flatten()[place]), rel=1e-4)
        checked += 1
    assert checked >= 4


def test_a_batch_in_which_nothing_is_masked_teaches_nothing_of_the_text():
    one = model("bert")
    batch = collate(lessons.rows(one, lessons.TEXTS[:1], merge="none", max_length=40), 0)
    focal = Focal(weight=1.0, alpha=1.0, beta=5.0, form="kl")
    recipe = Recipe(kd_weight=0.0, mask_share=1e-9, focal=focal)
    student = model("bert").network
    found = terms(student, Teacher(student, recipe), batch, recipe, kind_of(one))
    assert found.targets == 0 and float(found.lm) == float(found.focal) == 0


@pytest.mark.parametrize("size", [1, 3])
def test_held_out_losses_are_means_over_all_positions_and_targets(size):
    from fairbench.mitigation.student import from_layers

    one = model("gpt2")
    recipe = Recipe(merge="none", batch_size=size, cosine_weight=1.0, max_length=40)
    student = from_layers(one, (0,)).eval()
    rows = lessons.rows(one, merge="none", max_length=40)
    found = distill.measure(student, Teacher(one.network, recipe), rows, recipe, kind_of(one))
    with torch.no_grad():
        nats = count = 0
        for row in rows:
            ids = row["input_ids"]
            log_p = student(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
            nats -= sum(float(log_p[t, ids[t + 1]]) for t in range(len(ids) - 1))
            count += len(ids) - 1
    assert found["lm"] == pytest.approx(nats / count, rel=1e-5) and set(found) == {"lm", "kd", "cosine"}
