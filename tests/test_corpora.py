"""A corpus as a stream of documents, and a text as a list of sentences."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from fairbench import corpora
from fairbench.corpora import Corpus, open_corpus, sentences
from fairbench.errors import FairbenchError
from fairbench.registry import Registry

TASK = """
from fairbench.records import Pair, Passage
from fairbench.scores import Source, TaskInfo

def card(form):
    return TaskInfo(
        title="Mills", form=form, sources=(Source(format="json", columns=("text",), files={"mills.jsonl": ""}, url="nowhere"),),
        licence="none", cite="none", language="en", groups=(), metrics=("perplexity",), cluster="none",
    )

INFO = {"mills": card("Passage"), "mill_pairs": card("Pair")}

def records(rows, task):
    for n, row in enumerate(rows):
        yield Passage(id=f"mill-{n}", text=row["text"])
"""
HERE, BURNED = "The mill is here now.", "It is late. The mill burned down."


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch):
    """No test may see the user's data folder, cache or network."""
    monkeypatch.delenv("FAIRBENCH_DATA", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def refuse(*_, **__):
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", refuse)


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def opened(corpus, data_dir=None, include=()) -> Corpus:
    return open_corpus(str(corpus), data_dir, Registry(tuple(include)))


def texts(corpus: Corpus) -> dict[str, str]:
    """Document -> its text; read twice, since it may be."""
    found = [{place: "\n\n".join(pieces) for place, pieces in corpus.documents()} for _ in range(2)]
    assert found[0] == found[1]
    return found[0]


def refusal(corpus, data_dir=None, include=()) -> str:
    with pytest.raises(FairbenchError) as caught:
        texts(opened(corpus, data_dir, include))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- sentences


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("One came. Two came! Did three? Yes.", ["One came.", "Two came!", "Did three?", "Yes."]),
        ("It cost 3.50 pounds. 12 came.", ["It cost 3.50 pounds.", "12 came."]),
        ("He left... and came back. So?!  Then", ["He left... and came back.", "So?!", "Then"]),
        ('"Go." "Stay!" (He went.) So it was.', ['"Go."', '"Stay!"', "(He went.)", "So it was."]),
        ("Mr. Ott met Dr. Ash, J. R. Elm and St. Ivo. All ate.", ["Mr. Ott met Dr. Ash, J. R. Elm and St. Ivo.", "All ate."]),
        ("So it went. and on it went", ["So it went. and on it went"]),
        ("So did I. We left the U.S. army.", ["So did I.", "We left the U.S. army."]),
        ("A heading\n\nA line\ngoes on.\tNext\n \n\nLast", ["A heading", "A line goes on.", "Next", "Last"]),
        ("It is long.<br /><br />It is<br>old<BR/>news", ["It is long.", "It is old news"]),
        ("El niño llegó. Él rió.", ["El niño llegó.", "Él rió."]),
        ("Jesu\u0301s came.", ["Jes\u00fas came."]),
        ("", []),
        (" \n\n ", []),
    ],
)
def test_a_text_is_cut_into_sentences(text, wanted):
    assert list(sentences(text)) == wanted


@pytest.mark.parametrize("chunk", [7, 64, 10_000])
def test_a_long_file_is_read_in_pieces_of_whole_sentences(tmp_path, monkeypatch, chunk):
    text = "\n".join(f"Line {n} has a mill.\n\nA new part\nbegins {n}." for n in range(40))
    put(tmp_path / "a.txt", text)
    monkeypatch.setattr(corpora, "CHUNK", chunk)
    ((place, pieces),) = opened(tmp_path / "a.txt").documents()
    pieces = list(pieces)
    assert place == "a.txt"
    assert "".join("".join(pieces).split()) == "".join(text.split())
    if chunk > 7:  # else a text without blank lines is cut at the end of a line
        assert [sentence for piece in pieces for sentence in sentences(piece)] == list(sentences(text))


def test_memory_does_not_grow_with_a_text(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "CHUNK", 1000)
    put(tmp_path / "a.txt", "There is a mill, and no blank line.\n" * 3000)
    ((_, pieces),) = opened(tmp_path / "a.txt").documents()
    assert max(len(piece) for piece in pieces) <= 2000


# ---- files


def test_of_many_files_one_digest_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "MOST_FILES", 2)
    for n in range(3):
        put(tmp_path / f"{n}.txt", HERE)
    first = opened(tmp_path).provenance
    assert (first["files"], first["n_files"]) == (None, 3)
    put(tmp_path / "2.txt", BURNED)
    assert opened(tmp_path).provenance["sha256"] != first["sha256"]


def tables(folder: Path) -> dict[str, Path]:
    """The same three rows in every format."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [HERE, None, BURNED]
    quoted = f'id,text\n1,"{HERE}"\n2,\n3,"{BURNED}"\n'
    made = {
        ".jsonl": put(folder / "t.jsonl", "".join(json.dumps({"text": text}) + "\n" for text in rows)),
        ".json": put(folder / "t.json", json.dumps([{"text": text} for text in rows])),
        ".csv": put(folder / "t.csv", quoted),
        ".tsv": put(folder / "t.tsv", quoted.replace(",", "\t").replace('"', "")),
        ".parquet": folder / "t.parquet",
    }
    pq.write_table(pa.table({"text": rows}), made[".parquet"])
    return made


@pytest.mark.parametrize("ending", corpora.TABLES)
def test_tables_hold_a_document_a_row(tmp_path, ending):
    path = tables(tmp_path)[ending]
    corpus = opened(path)
    assert {place: text for place, text in texts(corpus).items() if text} == {f"t{ending}:1": HERE, f"t{ending}:3": BURNED}
    assert corpus.provenance["files"] == {f"t{ending}": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_a_folder_is_read_with_all_that_is_below_it(tmp_path):
    tables(tmp_path / "own/texts")
    put(tmp_path / "own/texts/deep/down/a.TXT", HERE)
    put(tmp_path / "own/texts/.hidden/b.txt", HERE)
    put(tmp_path / "own/texts/notes.md", HERE)
    put(tmp_path / "own/texts/empty.txt", "")
    put(tmp_path / "own/texts/empty.jsonl", "")
    corpus = opened(tmp_path / "own/texts")
    assert {place for place, text in texts(corpus).items() if text} == {
        "deep/down/a.TXT",
        *(f"t{ending}:{n}" for ending in corpora.TABLES for n in (1, 3)),
    }
    assert corpus.provenance["corpus"] == "own/texts"
    assert corpus.provenance["passed_over"] == 1
    assert "1 file of the corpus folder was passed over" in corpus.provenance["warnings"][0]
    assert str(tmp_path) not in json.dumps(corpus.provenance)


def test_a_pattern_of_names(tmp_path):
    for name in ("a/1.txt", "a/2.txt", "b/1.txt", "b/3.md"):
        put(tmp_path / name, HERE)
    corpus = opened(tmp_path / "*/1.txt")
    assert list(texts(corpus)) == ["a/1.txt", "b/1.txt"]
    assert corpus.provenance["corpus"] == "*/1.txt"
    assert "3.md is no text file" in refusal(tmp_path / "b/*")
    assert "no such file" in refusal(tmp_path / "c*/*.txt")


def test_a_pattern_below_the_folder_of_today(tmp_path, monkeypatch):
    put(tmp_path / "a/1.txt", HERE)
    monkeypatch.chdir(tmp_path)
    assert list(texts(opened("a/*.txt"))) == ["1.txt"]
    assert list(texts(opened("**/*.txt"))) == ["a/1.txt"]
    assert opened("a/*.txt").provenance["warnings"] == []


# ---- tasks


def test_the_passages_of_a_task(tmp_path):
    own = [put(tmp_path / "own/tasks/mills.py", TASK).parents[1]]
    path = put(tmp_path / "data/mills.jsonl", "".join(json.dumps({"text": text}) + "\n" for text in (HERE, BURNED)))
    corpus = opened("mills", tmp_path / "data", own)
    assert texts(corpus) == {"mill-0": HERE, "mill-1": BURNED}
    assert (corpus.provenance["corpus"], corpus.provenance["kind"]) == ("mills", "task")
    assert corpus.provenance["data"]["files"] == {"mills.jsonl": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert "not checked" in corpus.provenance["warnings"][0]
    assert "has Pair records" in refusal("mill_pairs", tmp_path / "data", own)
    assert "--data-dir DIR" in refusal("mills", None, own)


# ---- the Hub

SHA = "a" * 40


@pytest.fixture
def hub(monkeypatch):
    """A Hub that holds one table and notes what it was asked for."""
    from datasets import Dataset

    asked = []

    class Info:
        sha = "b" * 40

    def load(path, config, **options):
        asked.append((path, config, options))
        return Dataset.from_dict({"body": [HERE, None, BURNED]}).to_iterable_dataset()

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", lambda *_, **__: Info())
    monkeypatch.setattr("datasets.load_dataset", load)
    return asked


def test_a_data_set_of_the_hub_is_streamed_at_todays_commit(hub):
    corpus = opened("someone/mills:english:test:body")
    assert hub == [("someone/mills", "english", {"split": "test", "revision": "b" * 40, "streaming": True})]
    assert texts(corpus) == {"1": HERE, "3": BURNED}
    assert "not pinned" in corpus.provenance["warnings"][0]
    assert {**corpus.provenance, "warnings": []} == {
        "corpus": "someone/mills:english:test:body",
        "kind": "hub",
        "hub": "someone/mills",
        "config": "english",
        "split": "test",
        "column": "body",
        "revision": "b" * 40,
        "warnings": [],
    }


def test_a_revision_pins_a_data_set_of_the_hub(hub):
    about = opened(f"someone/mills@{SHA}:::body").provenance
    assert hub == [("someone/mills", None, {"split": "train", "revision": SHA, "streaming": True})]
    assert (about["revision"], about["warnings"]) == (SHA, [])


def test_a_column_that_the_hub_lacks(hub):
    message = refusal("someone/mills")
    assert "no column 'text'" in message
    assert "'body'" in message


def test_a_hub_that_breaks_off_while_it_is_read(monkeypatch, hub):
    class Broken:
        def iter(self, batch_size):
            yield {"text": [HERE]}
            raise ConnectionError("reset by peer")

    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: Broken())
    message = refusal("someone/mills")
    assert "someone/mills" in message
    assert "reset by peer" in message


def test_a_copy_of_the_hub_in_the_data_folder_needs_no_network(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "someone/mills/english/test-00000-of-00001.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"text": [HERE]}), path)
    corpus = opened("someone/mills:english:test", tmp_path)
    assert texts(corpus) == {"1": HERE}
    assert list(corpus.provenance["files"]) == ["someone/mills/english/test-00000-of-00001.parquet"]


@pytest.mark.parametrize("name", ["./nosuch.txt", "../nosuch", "/no/such", "~/nosuch", "books/nosuch.jsonl", "books/nosuch.PDF"])
def test_a_path_is_never_looked_for_on_the_hub(name, tmp_path, monkeypatch, hub):
    monkeypatch.chdir(tmp_path)
    message = refusal(name)
    assert "there is no such file, folder or task." in message and "a pattern of names" in message
    assert hub == []


def test_several_files_are_a_folder_or_a_pattern(tmp_path):
    put(tmp_path / "a.txt", HERE)
    assert "not with commas" in refusal(f"{tmp_path}/a.txt,{tmp_path}/b.txt")


def test_the_hub_is_out_of_reach():
    message = refusal("someone/mills")
    assert "no such file, folder or task here" in message
    assert "Name or service not known" in message


# ---- bad input


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"a.md": HERE}, "the folder holds no text file"),
        ({"a.jsonl": '{"body": "The mill is here now."}\n'}, "found the columns body; wanted `text`"),
        ({"a.jsonl": '{"text": 3}\n'}, "row 1: column 'text' holds int, not text"),
        ({"a.jsonl": '{"text": "The mill\n'}, "malformed"),
    ],
)
def test_a_folder_without_text_is_refused(tmp_path, files, wanted):
    for name, text in files.items():
        put(tmp_path / name, text)
    assert wanted in refusal(tmp_path)


def test_a_file_that_is_not_utf_8_is_refused_by_name(tmp_path):
    (tmp_path / "a.txt").write_bytes("The mill is at the café now.".encode("latin-1"))
    message = refusal(tmp_path)
    assert "a.txt" in message
    assert "not UTF-8" in message


def test_a_file_of_another_kind_is_refused_by_name(tmp_path):
    assert "a.md is no text file" in refusal(put(tmp_path / "a.md", HERE))


def test_an_unknown_corpus_says_what_there_is():
    message = refusal("wikitekst")
    for part in ("wikitekst", "Did you mean wikitext?", "gap", ".txt", "OWNER/NAME"):
        assert part in message
