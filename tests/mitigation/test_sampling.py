"""Documents that a model writes by itself: the same however they are made, and those of its own distribution."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from fairbench.errors import FairbenchError
from fairbench.mitigation import sampling
from fairbench.mitigation.sampling import Sampling
from fairbench.models import generating
from fairbench.models.batching import Batching
from fairbench.models.decoding import Wish
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import ModelCard

SPEC = importlib.util.spec_from_file_location("written", Path(__file__).parents[1] / "models" / "written.py")
written = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(written)


@pytest.fixture(scope="module")
def planted() -> ModelCard:
    return inspect_model("planted:causal-0.5")


@pytest.fixture(scope="module")
def stories(real: Path) -> ModelCard:
    folder = real / "models" / "stories260K" / "hf_converted"
    if not folder.is_dir():
        pytest.skip("stories260K is not here")
    return inspect_model(str(folder))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(sampling, "PART", 8)


def ask(card: ModelCard, room: Path, documents: int = 20, **options) -> Sampling:
    given = {"tokens": 24, "seed": 3, "progress": lambda *_: None, **options}
    return Sampling(card=card, documents=documents, room=room, **given)


def made(request: Sampling) -> list[tuple[str, int, str]]:
    found = list(request.read())
    assert request.complete
    return found


@pytest.fixture(scope="module")
def whole(planted, tmp_path_factory) -> list[tuple[str, int, str]]:
    """Twenty documents, made at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "PART", 100)
        return made(ask(planted, tmp_path_factory.mktemp("whole")))


@pytest.mark.parametrize("batching", [Batching(rows=1), Batching(rows=7), Batching(budget=60)])
def test_neither_batches_nor_parts_change_a_document(planted, tmp_path, whole, batching):
    assert len({text for text, _, _ in whole}) > 10
    assert made(ask(planted, tmp_path, batching=batching)) == whole


def test_an_interrupted_sampling_goes_on(planted, tmp_path, whole):
    def stop_at_16(what, done, total):
        assert (what, total) == ("sampling documents", 20)
        if done >= 16:
            raise KeyboardInterrupt

    request = ask(planted, tmp_path, progress=stop_at_16)
    with pytest.raises(KeyboardInterrupt):
        list(request.read())
    assert not request.complete
    before = {path: path.stat().st_mtime_ns for path in request.folder.iterdir()}
    assert len(before) == 2
    assert made(ask(planted, tmp_path)) == whole
    assert before.items() <= {path: path.stat().st_mtime_ns for path in request.folder.iterdir()}.items()


def test_more_documents_begin_with_the_same_ones(planted, tmp_path, whole, monkeypatch):
    assert made(ask(planted, tmp_path, 10)) == whole[:10]
    assert made(ask(planted, tmp_path, 20)) == whole
    monkeypatch.setattr(sampling, "load", None)  # nothing is written any more
    assert made(ask(planted, tmp_path, 13)) == whole[:13]
    assert len(list(tmp_path.iterdir())) == 1


def test_no_more_is_made_than_is_read(planted, tmp_path, whole):
    request = ask(planted, tmp_path)
    assert next(request.read()) == whole[0]
    assert len(list(request.folder.iterdir())) == 1
    assert list(request.read()) == list(request.read()) == whole


def test_a_part_that_was_lost_is_made_again(planted, tmp_path, whole):
    request = ask(planted, tmp_path)
    made(request)
    next(request.folder.glob("*1.parquet")).unlink()
    assert made(request) == whole


@pytest.mark.parametrize("number", [0, 5, 19])
def test_a_document_is_what_the_plainest_loop_writes(planted, whole, number):
    model = load(planted)
    ids = written.plainly(model, Wish("", f"sampled/{number}"), ask(planted, Path()).decoding)
    assert whole[number] == (model.tokenizer.decode(ids), len(ids), "length" if len(ids) == 24 else "end")


def test_first_tokens_come_as_often_as_the_model_says(planted, tmp_path, monkeypatch):
    monkeypatch.setattr(sampling, "PART", 2000)
    model, count = load(planted), 2000
    firsts = [text for text, _, _ in made(ask(planted, tmp_path, count, tokens=1))]
    with torch.inference_mode():
        shares = model.network(torch.tensor([[model.tokenizer.bos_token_id]])).logits[0, -1].double().softmax(-1).numpy()
    for token in np.argsort(-shares)[:8]:
        error = np.sqrt(shares[token] * (1 - shares[token]) / count)
        assert firsts.count(model.tokenizer.decode([token])) / count == pytest.approx(shares[token], abs=4 * error)


def test_another_seed_length_or_model_is_kept_elsewhere(planted, tmp_path):
    other = dataclasses.replace(planted, weights_sha256="0" * 64)
    requests = [ask(planted, tmp_path), ask(planted, tmp_path, seed=4), ask(planted, tmp_path, tokens=23), ask(other, tmp_path)]
    assert len({request.folder for request in requests}) == 4
    assert ask(planted, tmp_path, 7, batching=Batching(rows=2)).folder == requests[0].folder


def test_a_chat_template_has_no_part_in_it(planted, tmp_path, whole):
    chat = dataclasses.replace(planted, options=dataclasses.replace(planted.options, apply_chat_template=True))
    assert made(ask(chat, tmp_path)) == whole


def test_length_is_what_the_model_takes(planted):
    assert ask(planted, Path(), tokens=None).most == planted.max_length - 1 == 127
    assert ask(dataclasses.replace(planted, max_length=4096), Path(), tokens=None).most == 256
    assert ask(dataclasses.replace(planted, max_length=None), Path(), tokens=None).most == 256


def test_the_start_token_also_ends_a_document(stories):
    model = sampling._ready(stories)
    assert generating.end_tokens(model) == {model.tokenizer.bos_token_id, model.tokenizer.eos_token_id}
    assert generating.end_tokens(load(stories)) == {model.tokenizer.eos_token_id}


@pytest.mark.slow
def test_a_document_ends_where_the_model_starts_the_next(stories, tmp_path, monkeypatch):
    """stories260K learnt from texts joined by their start token, and never writes its end token."""
    monkeypatch.setattr(sampling, "PART", 32)
    found = made(ask(stories, tmp_path, 32, tokens=None))
    ended = [(number, row) for number, row in enumerate(found) if row[2] == "end"]
    assert ended and all(tokens == 256 for _, tokens, finish in found if finish == "length")
    number, (text, tokens, _) = min(ended, key=lambda one: one[1][1])
    model = load(stories)
    ids = written.plainly(model, Wish("", f"sampled/{number}"), ask(stories, Path(), tokens=tokens + 1).decoding)
    assert ids[tokens] == model.tokenizer.bos_token_id not in ids[:tokens]
    assert text == model.tokenizer.decode(ids[:tokens])


@pytest.mark.slow
def test_stories_are_the_same_in_every_batch(stories, tmp_path):
    found = made(ask(stories, tmp_path / "a", 12, tokens=100))
    assert made(ask(stories, tmp_path / "b", 12, tokens=100, batching=Batching(rows=5))) == found
    assert made(ask(stories, tmp_path / "c", 4, tokens=100, batching=Batching(rows=1))) == found[:4]


@pytest.mark.parametrize(
    ("card", "tokens", "wanted"),
    [
        ({"kind": "masked"}, None, "only a causal model can write"),
        ({"kind": "served"}, None, "only a causal model can write"),
        ({"start_rule": "none"}, None, "no start token"),
        ({}, 128, "Wanted at most 127"),
    ],
)
def test_a_model_that_can_not_write_so_is_refused(planted, tmp_path, card, tokens, wanted):
    with pytest.raises(FairbenchError, match=wanted) as caught:
        ask(dataclasses.replace(planted, **card), tmp_path, tokens=tokens)
    assert "\n" not in str(caught.value)


def test_logits_that_are_not_finite_are_no_text(planted, tmp_path, monkeypatch):
    monkeypatch.setattr(generating, "generate", lambda model, wishes, *_: [generating.NOT_FINITE] * len(wishes))
    request = ask(planted, tmp_path)
    with pytest.raises(FairbenchError, match="not finite"):
        list(request.read())
    assert not request.folder.exists()


def test_a_part_that_can_not_be_read_is_named(planted, tmp_path):
    request = ask(planted, tmp_path)
    request.folder.mkdir()
    (request.folder / "000000.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(FairbenchError, match=r"000000.parquet can't be read .* Remove it"):
        list(request.read())
