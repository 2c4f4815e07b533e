"""What a mitigation learns from: whole documents, counted, named by all that can change them, and divided by their content."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairbench.errors import FairbenchError
from fairbench.mitigation import Texts, dividing, texts
from fairbench.mitigation.texts import TextOptions, open_texts, split
from fairbench.models.batching import Batching
from fairbench.models.loading import inspect_model
from fairbench.planted.corpus import Dials, documents
from fairbench.registry import Registry

MILL, COOK, NIGHT = "The mill is here now.", "She cooks.\nHe eats.", "It is late. The mill burned down."


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch):
    """No test may see the user's data folder, cache or network."""
    monkeypatch.delenv("FAIRBENCH_DATA", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def refuse(*_, **__):
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", refuse)


@pytest.fixture(scope="module")
def card():
    return inspect_model("planted:causal-0.5")


@pytest.fixture
def opened(card, tmp_path):
    """Opens texts for a small causal model."""

    def open_(name, progress=lambda *_: None, **options) -> Texts:
        return open_texts(str(name), options.pop("card", card), TextOptions(**options), tmp_path / "room", Registry(), progress)

    return open_


def refusal(opened, name, **options) -> str:
    with pytest.raises(FairbenchError) as caught:
        list(opened(name, **options).documents())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def read(found: Texts) -> list[str]:
    """The documents; read twice, since they may be."""
    first = list(found.documents())
    assert first == list(found.documents())
    assert found.count in (None, len(first))
    json.dumps([found.identity, found.provenance])
    return first


def put(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# ---- .txt files


@pytest.mark.parametrize(
    ("content", "way", "wanted"),
    [
        (f"{MILL}\n<|endoftext|>\n{COOK}\n\nMore.\n<|endoftext|>\n", dividing.AT_MARKS, [MILL, f"{COOK}\n\nMore."]),
        (f"{MILL}<|endoftext|>{COOK}<|endoftext|><|endoftext|>{MILL}", dividing.AT_MARKS, [MILL, COOK, MILL]),
        (f"\n\n{COOK}\n \t\n\n{MILL}\n\n", dividing.AT_BLANKS, [COOK, MILL]),
        (f"\n{COOK}\n\n\n", dividing.AT_LINES, ["She cooks.", "He eats."]),
        ("She cooks.\r\nHe eats.\r\n\r\nShe went.\r\n", dividing.AT_BLANKS, [COOK, "She went."]),
        ("She cooks.\rHe eats.", dividing.AT_LINES, ["She cooks.", "He eats."]),
        (f"\ufeff{COOK}\n\n{MILL}", dividing.AT_BLANKS, [COOK, MILL]),
        ("  One\n   \nTwo  ", dividing.AT_BLANKS, ["  One", "Two  "]),
        (f"{MILL}\n{MILL}\n{MILL}", dividing.AT_LINES, [MILL] * 3),
        ("\u00e9t\u00e9 \U0001f600", dividing.AT_LINES, ["\u00e9t\u00e9 \U0001f600"]),
    ],
)
def test_a_txt_file_falls_into_documents(tmp_path, opened, content, way, wanted):
    found = opened(put(tmp_path / "a.txt", content))
    assert read(found) == wanted
    assert found.count == len(wanted)
    assert found.provenance["divided"] == {way: 1}


def test_every_file_of_a_folder_has_its_own_way(tmp_path, opened):
    put(tmp_path / "own/a.txt", f"{MILL}\n{NIGHT}")
    put(tmp_path / "own/b/c.txt", f"{COOK}\n\n{MILL}")
    put(tmp_path / "own/d.jsonl", json.dumps({"text": f"{COOK}\n\n{MILL}"}))
    put(tmp_path / "own/e.txt", "")
    found = opened(tmp_path / "own")
    assert read(found) == [MILL, NIGHT, COOK, MILL, f"{COOK}\n\n{MILL}"]
    assert found.provenance["divided"] == {dividing.AT_LINES: 2, dividing.AT_BLANKS: 1}
    assert read(opened(tmp_path / "own/*.txt")) == [MILL, NIGHT]


def test_a_line_of_ten_megabytes_is_a_document(tmp_path, opened):
    line = "word " * 2_000_000
    assert read(opened(put(tmp_path / "a.txt", line))) == [line]
    assert read(opened(put(tmp_path / "a.jsonl", json.dumps({"text": line}) + '\n{"text": "ok"}\n'))) == [line, "ok"]


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("a.txt", MILL.encode("utf-16"), "null bytes|not UTF-8"),
        ("a.txt", MILL.encode("utf-16-le"), r"null bytes \(line 1\)"),
        ("a.txt", "caf\u00e9".encode("latin-1"), "not UTF-8"),
        ("a.txt", b"lone \xed\xa0\x80 surrogate", "not UTF-8"),
        ("a.txt", "x" * 101, "more than 100 characters"),
        ("a.jsonl", b'{"text": "lone \\ud800 surrogate"}\n', "surrogate"),
        ("a.txt", " \n\n \n", "no document with text"),
        ("a.txt", "", "no document with text"),
        ("a.jsonl", '{"text": ""}\n{"text": " "}\n', r"no document with text was found \(2 are empty\)"),
        ("a.jsonl", '{"body": "text"}\n', "wanted `text`"),
    ],
)
def test_what_is_no_text_is_refused_at_once(tmp_path, opened, monkeypatch, name, content, wanted):
    monkeypatch.setattr(dividing, "LONGEST", 100)
    path = put(tmp_path / name, content)
    with pytest.raises(FairbenchError, match=wanted):
        opened(path)


# ---- tables


def test_documents_stay_as_they_are_but_for_empty_ones_and_null_characters(tmp_path, opened):
    rows = [MILL, "", " \n", "a\0b", MILL, "\0", "two\r\nlines "]
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": [*rows, None]}), path)
    found = opened(path)
    assert read(found) == [MILL, "ab", MILL, "two\r\nlines "]
    assert found.provenance["read"] == {"documents": 4, "empty": 3, "with_null_characters": 2}
    assert read(opened(path, documents=2)) == [MILL, "ab"]
    assert opened(path, documents=2).count == 2


@pytest.mark.parametrize("size", [2, 7, 500])
def test_shuffling_is_seeded_and_loses_nothing(tmp_path, opened, size):
    lines = [f"line {n}" for n in range(100)]
    path = put(tmp_path / "a.txt", "\n".join(lines))
    one, other = (opened(path, shuffle=size, seed=seed) for seed in (0, 1))
    assert Counter(read(one)) == Counter(lines)
    assert len({tuple(read(found)) for found in (one, other, opened(path))}) == 3
    assert one.identity != other.identity != opened(path).identity
    assert opened(path, seed=0).identity == opened(path, seed=1).identity
    assert all(int(text.split()[1]) < place + size for place, text in enumerate(read(one)))
    assert read(opened(path, shuffle=size, documents=10)) == read(one)[:10]


def test_identity_is_of_content(tmp_path, opened):
    path = put(tmp_path / "one/a.txt", MILL)
    first = opened(path).identity
    assert opened(put(tmp_path / "two/a.txt", MILL)).identity == first
    assert str(tmp_path) not in json.dumps([first, opened(path).provenance])
    assert opened(path, documents=1).identity != first
    assert opened(put(path, NIGHT)).identity != first


# ---- tasks and the Hub

HUB = "someone/mills"


@pytest.fixture
def stream(monkeypatch):
    """A data set of the Hub without an end in sight; says how many of its rows were fetched."""
    from datasets import IterableDataset

    fetched = []

    def rows():
        for n in range(10**9):
            fetched.append(n)
            yield {"text": f"Document {n}."}

    class Info:
        sha = "b" * 40

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", lambda *_, **__: Info())
    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: IterableDataset.from_generator(rows))
    return fetched


def test_of_a_stream_no_more_is_fetched_than_is_read(stream, opened):
    found = opened(HUB, documents=1500)
    assert found.count is None and found.provenance["read"] == {} and max(stream) < 1000
    assert read(found) == [f"Document {n}." for n in range(1500)]
    assert max(stream) < 2000
    assert found.provenance["read"]["documents"] == 1500
    assert found.identity["revision"] == "b" * 40 and found.identity["hub"] == HUB


def test_a_stream_has_a_limit_of_its_own(stream, opened, monkeypatch):
    monkeypatch.setattr(texts, "STREAMED", 1200)
    found = opened(HUB)
    assert len(read(found)) == found.provenance["limit"] == found.identity["limit"] == 1200
    assert "Only the first 1,200 documents" in " ".join(found.provenance["warnings"])
    assert "Only the first" not in " ".join(opened(HUB, documents=5).provenance["warnings"])


def test_a_stream_is_shuffled_by_a_buffer(stream, opened):
    found = read(opened(HUB, documents=50, shuffle=100, seed=2))
    assert found != sorted(found) and all(int(re.search(r"\d+", text)[0]) < 150 for text in found)


def test_a_copy_of_the_hub_in_the_data_folder_is_counted(tmp_path, opened):
    path = tmp_path / "data" / HUB / "english/test-00000-of-00001.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"text": [MILL, NIGHT]}), path)
    found = opened(f"{HUB}:english:test", data_dir=tmp_path / "data")
    assert read(found) == [MILL, NIGHT]
    assert found.count == 2 and len(found.identity["files"]) == 1


def test_the_passages_of_a_task(opened):
    """A task whose data are shipped, so that nothing has to be there."""
    name = next(
        name for name, info in Registry().tasks().items() if info.form == "Passage" and any(s.shipped for s in info.sources)
    )
    found = opened(name, documents=5)
    assert len(read(found)) == 5
    assert found.identity["task"] == name and found.identity["files"]


# ---- the planted world


def test_documents_of_the_planted_world(opened):
    found = opened("planted:1", documents=30, seed=4)
    assert read(found) == [d.text for d in documents(30, Dials(gender=1.0, town=0.5), seed=4)]
    assert read(opened("planted:1.0", documents=40, seed=4))[:30] == read(found)
    assert opened("planted:1.0", documents=30, seed=4).identity == found.identity
    for other in (opened("planted:0.5", documents=30, seed=4), opened("planted:1", documents=30, seed=5)):
        assert other.identity["sha256"] != found.identity["sha256"]


def test_twenty_thousand_of_them_are_the_default(opened):
    assert opened("planted:0").count == 20_000


@pytest.mark.parametrize("name", ["planted", "planted:", "planted:causal-0.5", "planted:1.5", "planted:nan"])
def test_a_dial_that_is_none_is_refused(opened, name):
    assert "dial" in refusal(opened, name)


# ---- what the model writes


def test_sampled_documents(opened, card):
    seen = []
    found = opened("sampled", documents=12, sample_tokens=20, progress=lambda *what: seen.append(what))
    assert found.count is None and seen == []  # nothing is written before it is wanted
    written = read(found)
    assert len(written) == 12 and seen[-1] == ("sampling documents", 12, 12)
    said = found.provenance["read"]
    assert (said["sampled"], said["documents"], said["empty"]) == (12, 12, 0)
    assert 12 < said["tokens"] <= 240
    again = opened("sampled", documents=12, sample_tokens=20, batching=Batching(rows=1))
    assert (again.count, again.identity) == (12, found.identity)
    assert read(opened("sampled", documents=20, sample_tokens=20))[:12] == written
    assert opened("sampled", documents=12, sample_tokens=20, seed=1).identity != found.identity


def test_empty_documents_of_the_model_are_dropped_and_counted(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(texts.Sampling, "complete", True)
    monkeypatch.setattr(texts.Sampling, "read", lambda self: iter([("", 0, "end"), (MILL, 6, "end"), ("\n", 9, "length")]))
    found = opened("sampled", documents=3)
    assert read(found) == [MILL]
    assert found.provenance["read"] == {
        "sampled": 3, "tokens": 15, "cut_at_the_most_tokens": 1, "documents": 1, "empty": 2, "with_null_characters": 0,
    }  # fmt: skip


def test_a_masked_model_writes_nothing(opened):
    message = refusal(opened, "sampled", card=inspect_model("planted:masked-0.5"))
    assert "only a causal model" in message and "planted:DIAL" in message


# ---- bad requests


def test_an_unknown_corpus_says_what_else_there_is(opened):
    assert "Did you mean sampled?" in refusal(opened, "sample")
    for part in ("planted:0.5", "written by the model itself", "OWNER/NAME"):
        assert part in refusal(opened, "nosuch")


@pytest.mark.parametrize("option", [{"documents": 0}, {"shuffle": 1}, {"sample_tokens": -3}])
def test_numbers_that_can_not_be_meant(option):
    with pytest.raises(FairbenchError, match="wanted a whole number"):
        TextOptions(**option)


# ---- the part that is held out


def listed(content: list[str], count: int | None) -> Texts:
    return Texts(name="own", identity={}, provenance={}, documents=lambda: iter(content), count=count)


LINES = [f"document {n % 900}" for n in range(1000)]


@pytest.mark.parametrize("count", [1000, None])
def test_no_document_is_on_both_sides(count):
    training, held = split(listed(LINES, count), 0.2, 10_000)
    assert Counter(read(training)) + Counter(read(held)) == Counter(LINES)
    assert not set(read(training)) & set(read(held))
    assert 140 < len(read(held)) < 260
    assert [part.count is None for part in (training, held)] == [count is None] * 2
    backwards = split(listed(LINES[::-1], count), 0.2, 10_000)
    assert [read(part)[::-1] for part in backwards] == [read(training), read(held)]
    assert training.identity != held.identity


def test_no_more_is_held_out_than_is_wanted():
    training, held = split(listed(LINES, 1000), 0.5, 50)
    assert 25 < held.count <= 50 and training.count > 900
    training, held = split(listed(LINES, None), 0.5, 50)
    assert len(read(held)) == 50 and not set(read(training)) & set(read(held))


@pytest.mark.parametrize(("share", "most"), [(0, 5), (1, 5), (-0.1, 5), (float("nan"), 5), (0.5, 0)])
def test_shares_that_can_not_be_meant(share, most):
    with pytest.raises(FairbenchError, match="share"):
        split(listed(LINES, 1000), share, most)


def test_a_side_without_documents_is_refused():
    with pytest.raises(FairbenchError, match="no document is left for the held out part"):
        split(listed([MILL], 1), 1e-9, 5)
    _, held = split(listed([MILL], None), 1e-9, 5)
    with pytest.raises(FairbenchError, match="no document is left"):
        list(held.documents())


def test_a_length_of_what_is_not_sampled_is_refused(opened):
    assert "--sample-tokens 5: nothing is sampled from the corpus planted:0.5" in refusal(opened, "planted:0.5", sample_tokens=5)


def test_the_share_that_is_held_out_does_not_change_once_the_count_is_known():
    def some(count):
        return Texts(
            name="t", identity={}, provenance={}, documents=lambda: (f"text {i}" for i in range(2_000)), count=count, asked=2_000
        )

    sides = [[list(side.documents()) for side in split(some(count), 0.02, 10)] for count in (None, 2_000)]
    assert sides[0] == sides[1]
