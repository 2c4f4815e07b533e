"""From a request to a folder: seeded, continued where it stopped, found again, and never written over anything."""

from __future__ import annotations

import dataclasses
import errno
import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import transformers

from fairbench.errors import FairbenchError
from fairbench.mitigation import making
from fairbench.mitigation.following import DiskFullError
from fairbench.mitigation.making import MitigateOptions, Product
from fairbench.mitigation.texts import TextOptions
from fairbench.models.model import ModelOptions

SMALL = {"batch_size": 4, "epochs": 2, "save_steps": 5}
"""Of 40 texts: 10 steps an epoch, and checkpoints in the middle of both."""

PLAIN = "The mill is old and near the river {}.\n"


def nothing(*_: Any) -> None:
    """Says nothing."""


def make(
    place: Path,
    method: str = "distill",
    model: str = "planted:causal-0.5",
    corpus: str = "planted:0.5",
    progress: Any = nothing,
    **options: Any,
) -> Product:
    wanted = MitigateOptions(
        method=method, output_path=place, corpus=corpus, options={**SMALL, **options},
        texts=TextOptions(documents=40), model=ModelOptions(device="cpu"),
    )  # fmt: skip
    return making.mitigate(model, wanted, progress)


def stop_after(step: int) -> Any:
    """A progress that interrupts as Ctrl-C does."""

    def progress(what: str, done: int, _: int) -> None:
        if what.startswith("training") and done == step:
            raise KeyboardInterrupt

    return progress


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "model.safetensors")


def same(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def history(folder: Path) -> list[dict[str, Any]]:
    entries = json.loads((folder / "training.json").read_text())["history"]
    return [{name: value for name, value in entry.items() if name != "tokens_per_second"} for entry in entries]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A plain distillation that nobody disturbed."""
    return make(tmp_path_factory.mktemp("whole") / "model").folder


@pytest.mark.parametrize(
    ("method", "model", "options"),
    [
        ("role-reversal", "causal", {"cosine_weight": 0.5, "augment": "both"}),
        pytest.param("role-reversal", "masked", {"lm_weight": 1.0}, marks=pytest.mark.slow),
        ("dropout", "masked", {}),
        pytest.param("dropout", "causal", {"hidden": 0.4, "accumulation": 2, "save_steps": 3}, marks=pytest.mark.slow),
        pytest.param("focal", "causal", {}, marks=pytest.mark.slow),
        pytest.param("cda", "masked", {}, marks=pytest.mark.slow),
    ],
)
def test_what_was_interrupted_ends_with_the_very_weights(method, model, options, tmp_path):
    """So it is seeded too: the order of the texts, masks and dropout are those of the training that was not interrupted."""
    place, name = tmp_path / "stopped", f"planted:{model}-0.5"
    with pytest.raises(KeyboardInterrupt):
        make(place, method, name, progress=stop_after(7), **options)
    assert sorted(path.name for path in (tmp_path / "stopped.partial" / "training").glob("checkpoint-*")) and not place.exists()
    done = make(place, method, name, **options)
    undisturbed = make(tmp_path / "whole", method, name, **options)
    same(done.folder, undisturbed.folder)
    assert history(done.folder) == history(undisturbed.folder)
    kept = {"steps", "epochs", "tokens"}
    assert {n: done.about["training"][n] for n in kept} == {n: undisturbed.about["training"][n] for n in kept}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stopped", "whole"]


def test_another_seed_makes_another_model(whole, tmp_path):
    other = make(tmp_path / "other", seed=1).folder
    assert any(not torch.equal(value, weights(other)[name]) for name, value in weights(whole).items())


def test_a_finished_model_is_found_without_work(whole, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in whole.iterdir()}
    monkeypatch.setattr("fairbench.mitigation.teaching.teach", lambda *_: pytest.fail("taught again"))
    found = make(whole)
    assert not found.fresh and found.about == json.loads((whole / "fairbench.json").read_text())
    assert {path: path.stat().st_mtime_ns for path in whole.iterdir()} == before


def test_what_a_kill_left_beside_a_finished_model_is_removed(whole):
    room = whole.with_name("model.partial")
    (room / "training").mkdir(parents=True)
    (room / "job.json").write_text(json.dumps({"key": json.loads((whole / "fairbench.json").read_text())["key"]}))
    make(whole)
    assert not room.exists()


@pytest.mark.parametrize("content", [{}, {"seed": 5}, {"method": "dropout"}])
def test_nothing_is_written_over_what_lies_there(content, whole, tmp_path):
    if content:
        place = whole
    else:
        place = tmp_path / "mine"
        place.mkdir()
        (place / "thesis.txt").write_text("mine")
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    with pytest.raises(
        FairbenchError, match=r"lies there, which is not what this command would make\. Nothing was changed"
    ) as caught:
        make(place, **content)
    assert "\n" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    assert not place.with_name(f"{place.name}.partial").exists()


def test_an_empty_folder_is_a_place(tmp_path):
    (tmp_path / "model").mkdir()
    make(tmp_path / "model", steps=2)
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_an_unfinished_model_of_another_command_is_not_taken_up(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "model", progress=stop_after(6))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FairbenchError, match=r"holds an unfinished model of another command"):
        make(tmp_path / "model", seed=1)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_of_somebody_else_is_not_taken_for_an_unfinished_model(tmp_path):
    (tmp_path / "model.partial").mkdir()
    (tmp_path / "model.partial" / "thesis.txt").write_text("mine")
    with pytest.raises(FairbenchError, match=r"something else lies there\. Nothing was changed"):
        make(tmp_path / "model")
    assert (tmp_path / "model.partial" / "thesis.txt").read_text() == "mine" and not (tmp_path / "model").exists()


def test_where_another_process_made_it_meanwhile_it_is_found(whole, monkeypatch):
    looks = iter([None])
    finished = making._finished
    monkeypatch.setattr(making, "_finished", lambda *given: next(looks, 1) and finished(*given))
    monkeypatch.setattr("fairbench.mitigation.teaching.teach", lambda *_: pytest.fail("taught again"))
    assert not make(whole).fresh and not whole.with_name("model.partial").exists()


def untrained(folder: Path) -> Path:
    """The planted model's shape and tokenizer with weights drawn at random."""
    from fairbench.planted.library import HOME

    tokenizer = transformers.AutoTokenizer.from_pretrained(HOME / "models" / "causal-0.5")
    torch.manual_seed(0)
    network = transformers.GPT2LMHeadModel(transformers.GPT2Config.from_pretrained(HOME / "models" / "causal-0.5"))
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def broken(terms: Any) -> Any:
    """The terms of a loss that went out of bounds."""
    return dataclasses.replace(terms, lm=terms.lm * float("nan"))


@pytest.mark.parametrize(
    ("model", "method", "options", "words"),
    [
        ("untrained", "role-reversal", {}, r"gives the \d+ mapped pairs together .* wanted at least"),
        ("planted:causal-0.5", "cda", {"corpus": "plain"}, "holds a word of the gender lexicon"),
        ("planted:causal-0.5", "distill", {}, "diverged"),
    ],
)
def test_a_request_that_can_not_be_served_leaves_nothing_behind(model, method, options, words, tmp_path, monkeypatch):
    if model == "untrained":
        model = str(untrained(tmp_path / "random"))
    if options.pop("corpus", None):
        (tmp_path / "plain.txt").write_text("".join(PLAIN.format(n) for n in range(12)))
        options = {**options, "corpus": str(tmp_path / "plain.txt")}
    if words == "diverged":  # what a learning rate does to a tiny model is not the same everywhere
        from fairbench.mitigation import distill

        terms = distill.terms
        monkeypatch.setattr(distill, "terms", lambda *given: broken(terms(*given)))
    with pytest.raises(FairbenchError, match=words) as caught:
        make(tmp_path / "model", method, model, **options)
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} <= {"random", "plain.txt"}


def test_a_full_disk_is_told_in_a_paragraph_and_the_same_command_goes_on(whole, tmp_path, monkeypatch):
    save, calls = torch.save, []

    def full(*given: Any, **named: Any) -> None:
        calls.append(given)
        if len(calls) > 4:  # in the midst of a later checkpoint
            raise OSError(errno.ENOSPC, "No space left on device")
        save(*given, **named)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(DiskFullError, match=r"No space left .* The checkpoint after step \d+ is whole. Make space") as caught:
        make(tmp_path / "model")
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(torch, "save", save)
    done = make(tmp_path / "model")
    same(done.folder, whole)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_corpus_without_a_gendered_word_gives_plain_distillation(tmp_path):
    (tmp_path / "plain.txt").write_text("".join(PLAIN.format(n) for n in range(30)))
    options = {"corpus": str(tmp_path / "plain.txt"), "kd_weight": 1.0, "lm_weight": 0.5}
    reversal = make(tmp_path / "reversal", "role-reversal", vocabulary_map=False, **options)
    assert any("The result equals plain distillation" in warning for warning in reversal.about["warnings"])
    same(reversal.folder, make(tmp_path / "distilled", **options).folder)
    mapped = make(tmp_path / "mapped", "role-reversal", **options)
    assert any("Only the vocabulary map acts" in warning for warning in mapped.about["warnings"])
    assert not torch.equal(*(next(iter(weights(made.folder).values())) for made in (mapped, reversal)))


def test_places_without_a_name_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FairbenchError, match="something else lies there"):
        make(Path())


def test_the_plan_writes_nothing_and_counts_the_steps_of_the_real_run(tmp_path):
    wanted = MitigateOptions(
        method="cda", output_path=tmp_path / "model", corpus="planted:0.5", options=SMALL,
        texts=TextOptions(documents=40), model=ModelOptions(device="cpu"),
    )  # fmt: skip
    plan = making.estimate("planted:causal-0.5", wanted)
    assert not any(tmp_path.iterdir())
    done = make(tmp_path / "model", "cda").about
    assert plan.what["steps"] == done["training"]["steps"] and plan.what["rows"] == done["texts"]["rows"]
    assert plan.what["texts"] == 40 and plan.what["student_parameters"] == plan.what["teacher_parameters"]
    assert plan.bytes > 20 * plan.what["student_parameters"] and 0 < plan.seconds < 600
