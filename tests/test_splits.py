"""Sources of several splits, packed files, and revisions that are no commit. Fixtures are rows of our own."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
from pathlib import Path

import pytest

from fairbench import data, sources
from fairbench.errors import FairbenchError
from fairbench.scores import Source, TaskInfo

SHA = "a" * 40
TODAY = "b" * 40
NAMES = ("train", "validation", "test")
HUB = Source(format="parquet", columns=("text", "label"), hub="someone/posts", config="plain", splits=NAMES, revision=SHA)
REF = dataclasses.replace(HUB, revision=sources.CONVERTED)
FILES = Source(
    format="csv",
    columns=("text",),
    files={"posts/b.csv": "", "posts/a.csv": "", "posts/c.csv": ""},
    splits=("train", "test", "test"),
    url="https://example.org/posts",
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test may see the user's data folder or write into the user's cache."""
    monkeypatch.delenv("FAIRBENCH_DATA", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def card(*places: Source) -> TaskInfo:
    return TaskInfo(
        title="t",
        form="Labelled",
        sources=places,
        licence="l",
        cite="c",
        language="en",
        groups=(),
        metrics=("m",),
        cluster="none",
    )


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def put_split(folder: Path, split: str, name: str = "0000.parquet", n: int = 2) -> Path:
    """A split of a copy of a Hub repository, in one file or a shard of several."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "plain" / split / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"text": [f"{split} {i}" for i in range(n)], "label": [0, 1] * (n // 2)}), path)
    return path


def read(info: TaskInfo, folder: Path | None) -> list[tuple[str, str]]:
    return [(row["split"], row["text"]) for row in data.rows(info, "posts", folder)]


def refusal(info: TaskInfo, folder: Path | None) -> str:
    with pytest.raises(FairbenchError) as caught:
        list(data.rows(info, "posts", folder))
    assert "\n" not in str(caught.value)
    return str(caught.value)


ALL = [(split, f"{split} {i}") for split in NAMES for i in (0, 1)]


# ---- files


def test_every_row_of_a_file_has_the_split_of_the_file(tmp_path):
    for name in "abc":
        put(tmp_path, f"posts/{name}.csv", f"text\n{name} one\n{name} two\n")
    found = data.rows(card(FILES), "posts", tmp_path)
    assert [(row["split"], row["text"]) for row in found] == [
        ("train", "b one"), ("train", "b two"), ("test", "a one"), ("test", "a two"), ("test", "c one"), ("test", "c two"),
    ]  # fmt: skip
    assert list(found) == list(found)
    assert (found.provenance["split"], found.provenance["splits"]) == (None, ["train", "test", "test"])
    json.dumps(found.provenance)


def test_the_split_of_the_card_stands_over_a_column_of_that_name(tmp_path):
    for name in "abc":
        put(tmp_path, f"posts/{name}.csv", "text,split\nsome text,dev\n")
    assert [split for split, _ in read(card(FILES), tmp_path)] == ["train", "test", "test"]


def test_a_source_without_splits_leaves_rows_as_they_are(tmp_path):
    put(tmp_path, "posts/b.csv", "text\none\n")
    plain = Source(format="csv", columns=("text",), files={"posts/b.csv": ""}, url="u")
    found = data.rows(card(plain), "posts", tmp_path)
    assert list(found) == [{"text": "one"}]
    assert found.provenance["splits"] == []


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (dataclasses.replace(HUB, split="test"), "both the split test and the splits train, validation, test"),
        (dataclasses.replace(FILES, splits=("train", "test")), "2 splits for 3 files"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(tmp_path, source, wanted):
    message = refusal(card(source), tmp_path)
    assert wanted in message
    assert "card of task posts" in message


def test_sources_may_share_a_file_and_the_one_that_is_whole_is_read(tmp_path):
    """A file of a source that lacks its others is no reason to refuse one that lacks nothing."""
    put(tmp_path, "shared.csv", "text\nshared\n")
    put(tmp_path, "second.csv", "text\nsecond\n")
    first = Source(format="csv", columns=("text",), files={"shared.csv": "", "first.csv": ""}, url="u")
    second = dataclasses.replace(first, files={"shared.csv": "", "second.csv": ""})
    assert [row["text"] for row in data.rows(card(first, second), "posts", tmp_path)] == ["shared", "second"]
    (tmp_path / "second.csv").unlink()
    assert "of its 2 files 1 absent (first.csv)" in refusal(card(first, second), tmp_path)
    for split in NAMES:
        put_split(tmp_path / "someone/posts", split)
    assert read(card(first, second, HUB), tmp_path) == ALL


def test_the_warning_names_the_file_whose_digest_is_not_known(tmp_path):
    paths = [put(tmp_path, f"{name}.csv", f"text\n{name}\n") for name in ("known", "unknown")]
    known = hashlib.sha256(paths[0].read_bytes()).hexdigest()
    info = card(Source(format="csv", columns=("text",), files={"known.csv": known, "unknown.csv": ""}, url="u"))
    assert data.rows(info, "posts", tmp_path).provenance["warnings"] == ["no sha256 is given for unknown.csv: not checked"]
    assert data.status({"posts": info}, tmp_path)[0].state == "unpinned"


# ---- the Hub


def test_the_splits_of_a_local_copy_are_read_one_after_the_other(tmp_path):
    paths = [put_split(tmp_path / "someone/posts", split) for split in NAMES]
    found = data.rows(card(HUB), "posts", tmp_path)
    assert [(row["split"], row["text"]) for row in found] == ALL
    names = [f"someone/posts/plain/{split}/0000.parquet" for split in NAMES]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert found.provenance["files"] == dict(zip(names, digests, strict=True))
    assert (found.provenance["split"], found.provenance["splits"]) == (None, list(NAMES))


@pytest.mark.usefixtures("no_network")
def test_a_copy_that_lacks_a_split_does_not_count(tmp_path):
    for split in NAMES[:2]:
        put_split(tmp_path / "someone/posts", split)
    message = refusal(card(HUB), tmp_path)
    assert "someone/posts (plain, train, validation, test)" in message
    shard = "test-00000-of-00002.parquet"
    put_split(tmp_path / "someone/posts", "test").rename(tmp_path / "someone/posts/plain" / shard)
    assert "someone/posts" in refusal(card(HUB), tmp_path)


def snapshot(folder: Path, monkeypatch: pytest.MonkeyPatch, commit: str) -> None:
    """What the Hub's client has fetched of a repository before."""
    kept = folder / "hub/datasets--someone--posts/snapshots" / commit
    for split in NAMES:
        put_split(kept, split)
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", lambda *_, **options: str(kept) if options["local_files_only"] else ""
    )


@pytest.mark.usefixtures("no_network")
def test_what_the_client_has_cached_serves_all_splits_without_a_network(tmp_path, monkeypatch):
    snapshot(tmp_path, monkeypatch, SHA)
    found = data.rows(card(HUB), "posts")
    assert [(row["split"], row["text"]) for row in found] == ALL
    assert (found.provenance["kind"], found.provenance["revision"], found.provenance["warnings"]) == ("hub", SHA, [])
    assert data.status({"posts": card(HUB)})[0].state == "ready"


@pytest.mark.usefixtures("no_network")
def test_what_is_cached_of_a_branch_is_read_with_its_commit_and_a_warning(tmp_path, monkeypatch):
    snapshot(tmp_path, monkeypatch, TODAY)
    found = data.rows(card(REF), "posts")
    assert [(row["split"], row["text"]) for row in found] == ALL
    assert found.provenance["revision"] == TODAY
    assert f"read at {TODAY}, the commit of refs/convert/parquet when it was fetched" in found.provenance["warnings"][0]
    assert data.status({"posts": card(REF)})[0].state == "unpinned"


def refuse(*_, **__):
    raise ConnectionError("Name or service not known")


def guarded(hub):
    """`load_dataset` for the builders of local files, and `hub` for everything else."""
    from datasets import load_dataset

    return lambda path, *rest, **options: (hub if path == "someone/posts" else load_dataset)(path, *rest, **options)


@pytest.fixture
def no_network(monkeypatch):
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", refuse)
    monkeypatch.setattr("datasets.load_dataset", guarded(refuse))


@pytest.fixture
def hub(monkeypatch):
    """A Hub that holds three splits and notes what it was asked for."""
    from datasets import Dataset, IterableDataset

    asked = []

    class Info:
        sha = TODAY

    def load(path, config, *, split, **options):
        asked.append((config, split, options))
        rows = [{"text": f"{split} {i}", "label": i} for i in range(2)]
        return IterableDataset.from_generator(lambda: iter(rows)) if options.get("streaming") else Dataset.from_list(rows)

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", lambda *_, **__: Info())
    monkeypatch.setattr("datasets.load_dataset", guarded(load))
    return asked


def test_each_split_is_fetched_at_the_pinned_commit(hub):
    found = data.rows(card(HUB), "posts")
    assert hub == [("plain", split, {"revision": SHA}) for split in NAMES]
    assert [(row["split"], row["text"]) for row in found] == ALL
    assert list(found) == list(found)
    assert (found.provenance["splits"], found.provenance["revision"]) == (list(NAMES), SHA)
    assert found.provenance["warnings"] == []


def test_the_hubs_own_parquet_branch_is_read_by_folder_at_the_commit_of_today(hub):
    """That branch has no card, so that a config by its name is unknown there."""
    found = data.rows(card(REF), "posts")
    files = [{split: f"plain/{split}/*.parquet"} for split in NAMES]
    assert hub == [(None, split, {"revision": TODAY, "data_files": f}) for split, f in zip(NAMES, files, strict=True)]
    assert [(row["split"], row["text"]) for row in found] == ALL
    assert found.provenance["revision"] == TODAY
    assert "not pinned" in found.provenance["warnings"][0]
    assert "refs/convert/parquet" in found.provenance["warnings"][0]


def test_a_repository_in_that_branchs_layout_loads_by_its_folders(tmp_path):
    """What `fetch` asks of `load_dataset`, on a folder that has the layout."""
    from datasets import load_dataset

    for split in NAMES:
        put_split(tmp_path / "posts", split)
    for split in NAMES:
        files = {split: f"plain/{split}/*.parquet"}
        table = load_dataset(str(tmp_path / "posts"), None, split=split, data_files=files, cache_dir=str(tmp_path / "cache"))
        assert table["text"][:] == [f"{split} 0", f"{split} 1"]


def test_a_stream_goes_through_all_splits_and_can_be_read_again(hub):
    rows, revision, warning = sources.stream(HUB)
    assert [(row["split"], row["text"]) for row in rows()] == ALL
    assert [(row["split"], row["text"]) for row in rows()] == ALL
    assert (revision, warning) == (SHA, None)
    assert all(options["streaming"] for _, _, options in hub)


@pytest.mark.usefixtures("no_network")
def test_a_branch_out_of_reach_is_named(tmp_path):
    message = refusal(card(REF), tmp_path)
    for part in ("someone/posts (plain, train, validation, test)", "refs/convert/parquet", "Name or service not known"):
        assert part in message


@pytest.mark.usefixtures("no_network")
def test_status_names_all_splits_of_what_was_not_fetched(tmp_path):
    place = data.status({"posts": card(HUB)}, tmp_path)[0]
    assert (place.state, place.where) == ("not fetched", "someone/posts plain train+validation+test")


# ---- packed files


PLAIN = Source(format="csv", columns=("text", "label"), files={"posts.csv.gz": ""}, url="https://example.org/posts")
TEXT = 'text,label\n"One, with a comma\nand a second line",NA\nthree,007\n'


def packed(folder: Path, text: str | bytes, name: str = "posts.csv.gz") -> Path:
    return put(folder, name, gzip.compress(text.encode() if isinstance(text, str) else text))


def test_a_packed_csv_file_is_read_as_the_file_in_it(tmp_path):
    path = packed(tmp_path, TEXT)
    found = data.rows(card(PLAIN), "posts", tmp_path)
    expected = [{"text": "One, with a comma\nand a second line", "label": "NA"}, {"text": "three", "label": "007"}]
    assert list(found) == expected
    assert found.provenance["files"] == {"posts.csv.gz": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["posts.csv.gz"]


def test_other_formats_may_be_packed_too(tmp_path):
    packed(tmp_path, '{"t": "x"}\n{"t": "y"}\n', "s.json.gz")
    packed(tmp_path, "one\ntwo\n", "t.txt.gz")
    info = card(Source(format="json", columns=("t",), files={"s.json.gz": ""}, url="u"))
    assert [row["t"] for row in data.rows(info, "s", tmp_path)] == ["x", "y"]
    lines = card(Source(format="lines", columns=("text",), files={"t.txt.gz": ""}, url="u"))
    whole = card(Source(format="document", columns=("text",), files={"t.txt.gz": ""}, url="u"))
    assert [row["text"] for row in data.rows(lines, "t", tmp_path)] == ["one", "two"]
    assert [row["text"] for row in data.rows(whole, "t", tmp_path)] == ["one\ntwo\n"]


@pytest.mark.parametrize("pinned", [False, True], ids=["no digest", "other digest"])
@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (gzip.compress(TEXT.encode() + b"a,b,c\n", mtime=0), "row 3, after column 'label': found 3 fields, wanted 2"),
        (gzip.compress(TEXT.encode() + b"\xe9,b\n", mtime=0), "row 4 (line 5), column 1: the text is not UTF-8"),
        (gzip.compress(TEXT.encode(), mtime=0)[:-12], "it can't be unpacked"),
        (TEXT.encode(), "it can't be unpacked (Not a gzipped file"),
        (gzip.compress(b"", mtime=0), "malformed"),
    ],
    ids=["too many fields", "not UTF-8", "cut off", "not packed", "nothing in it"],
)
def test_a_broken_packed_file_is_one_paragraph(tmp_path, content, wanted, pinned):
    path = put(tmp_path, "posts.csv.gz", content)
    source = dataclasses.replace(PLAIN, files={"posts.csv.gz": "0" * 64 if pinned else ""})
    message = refusal(card(source), tmp_path)
    assert str(path) in message
    assert wanted in message


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("s.json.gz", '{"t": "x"}\n{"t" "y"}\n', "row 2 (line 2), column 6"),
        ("d.jsonl.gz", '{\n "t": oops\n}', "row 1 (line 2), column 7"),
    ],
)
def test_broken_json_in_a_packed_file_is_named_with_row_and_column(tmp_path, name, text, wanted):
    packed(tmp_path, text, name)
    form = "json" if name.startswith("s") else "document"
    source = Source(format=form, columns=("t" if form == "json" else "text",), files={name: "0" * 64}, url="u")
    assert wanted in refusal(card(source), tmp_path)
