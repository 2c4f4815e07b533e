"""Where rows come from, and what is said when they are absent, changed or broken. Fixtures are rows of our own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from fairbench import data, sources
from fairbench.errors import FairbenchError
from fairbench.records import Pair
from fairbench.scores import Source, TaskInfo

HEADER = "more,less,kind\n"
GOOD = HEADER + 'The tall ones win.,"The short ones, too.",height\nNA,007,height\n'


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test may see the user's data folder or write into the user's cache."""
    monkeypatch.delenv("FAIRBENCH_DATA", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def card(*places: Source) -> TaskInfo:
    return TaskInfo(
        title="t", form="Pair", sources=places, licence="l", cite="c", language="en", groups=(), metrics=("m",), cluster="none"
    )


def csv_card(sha256: str = "", **more) -> TaskInfo:
    fields = {"format": "csv", "columns": ("more", "less"), "url": "https://example.org/pairs"} | more
    return card(Source(files={"set/pairs.csv": sha256}, **fields))


def put(folder: Path, text: str | bytes, name: str = "set/pairs.csv") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refusal(info: TaskInfo, folder: Path | None) -> str:
    """The one paragraph that a reading ends with."""
    with pytest.raises(FairbenchError) as caught:
        list(data.rows(info, "pairs", folder))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def parse(rows, task):
    for n, row in enumerate(rows):
        yield Pair(id=str(n), more=row["more"], less=row["less"])


# ---- what is read


def test_csv_is_read_as_text_and_its_digest_recorded(tmp_path):
    sha256 = digest(put(tmp_path, GOOD))
    found = data.rows(csv_card(sha256), "pairs", tmp_path)
    assert [row["less"] for row in found] == ["The short ones, too.", "007"]
    assert next(iter(found))["more"] == "The tall ones win."
    assert [row["more"] for row in found][1] == "NA"
    assert found.provenance["kind"] == "files"
    assert found.provenance["files"] == {"set/pairs.csv": sha256}
    assert found.provenance["warnings"] == []
    json.dumps(found.provenance)


def tsv_card(**more) -> TaskInfo:
    return card(Source(format="tsv", columns=("more", "less"), files={"pairs.tsv": ""}, url="https://example.org/pairs", **more))


def test_a_tab_separated_file_quotes_nothing(tmp_path):
    put(tmp_path, '\tmore\tless\n0\t"Tall" ones win, he said.\tNA\n1\t"Open\t007\n', "pairs.tsv")
    found = list(data.rows(tsv_card(), "pairs", tmp_path))
    assert [row["more"] for row in found] == ['"Tall" ones win, he said.', '"Open']
    assert [row["less"] for row in found] == ["NA", "007"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("more\tless\na\tb\na\tb\tc\n", ["malformed", "row 2, after column 'less': found 3 fields, wanted 2"]),
        ("more\tless\na\n", ["row 1, column 'less': the value is empty"]),
        ("more,less\na,b\n", ["no column 'more'", "'more,less'"]),
        (b"more\tless\na\t\xe9\n", ["row 1 (line 2), column 3", "UTF-8"]),
    ],
)
def test_a_broken_tab_separated_file_is_named_with_row_and_column(tmp_path, text, wanted):
    put(tmp_path, text, "pairs.tsv")
    message = refusal(tsv_card(), tmp_path)
    for part in ("pairs.tsv", *wanted):
        assert part in message


def test_a_file_without_a_digest_is_read_with_a_warning(tmp_path):
    put(tmp_path, GOOD)
    assert "not checked" in data.rows(csv_card(), "pairs", tmp_path).provenance["warnings"][0]


def test_a_changed_file_is_read_anew_and_nothing_is_left_behind(tmp_path, monkeypatch):
    cache = tmp_path / "datasets"
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", cache)
    put(tmp_path, GOOD)
    assert len(list(data.rows(csv_card(), "pairs", tmp_path))) == 2
    put(tmp_path, GOOD + "a,b,c\n")
    assert len(list(data.rows(csv_card(), "pairs", tmp_path))) == 3
    assert not cache.exists()
    assert not (tmp_path / "hub").exists()


def test_files_are_read_in_the_order_of_the_card(tmp_path):
    put(tmp_path, HEADER + "b,b,b\n", "b.csv")
    put(tmp_path, HEADER + "a,a,a\n", "a.csv")
    info = card(Source(format="csv", columns=("more",), files={"b.csv": "", "a.csv": ""}))
    assert [row["more"] for row in data.rows(info, "pairs", tmp_path)] == ["b", "a"]


def test_names_that_look_like_patterns(tmp_path):
    folder = tmp_path / "my [data] 1+3-?"
    put(folder, GOOD)
    assert len(list(data.rows(csv_card(), "pairs", folder))) == 2


@pytest.mark.parametrize(
    "text", ['[\n{"t": "x", "w": ["a"]},\n{"t": "y", "w": ["b"]}\n]\n', '{"t": "x", "w": ["a"]}\n{"t": "y", "w": ["b"]}\n']
)
def test_json_arrays_and_lines(tmp_path, text):
    put(tmp_path, text, "s.json")
    info = card(Source(format="json", columns=("t", "w"), files={"s.json": ""}))
    assert list(data.rows(info, "sets", tmp_path)) == [{"t": "x", "w": ["a"]}, {"t": "y", "w": ["b"]}]


def test_lines_keep_blank_ones_and_documents_stay_whole(tmp_path):
    put(tmp_path, "one\n\nthree\u2028still three\n", "t.txt")
    lines = card(Source(format="lines", columns=("text",), may_be_empty=("text",), files={"t.txt": ""}))
    whole = card(Source(format="document", columns=("text",), files={"t.txt": ""}))
    assert [row["text"] for row in data.rows(lines, "t", tmp_path)] == ["one", "", "three\u2028still three"]
    assert [row["text"] for row in data.rows(whole, "t", tmp_path)] == ["one\n\nthree\u2028still three\n"]


def test_the_data_folder_comes_from_the_flag_before_the_environment(tmp_path, monkeypatch):
    put(tmp_path / "flag", GOOD)
    put(tmp_path / "environment", HEADER + "x,y,z\n")
    monkeypatch.setenv("FAIRBENCH_DATA", str(tmp_path / "environment"))
    assert len(list(data.rows(csv_card(), "pairs", tmp_path / "flag"))) == 2
    assert len(list(data.rows(csv_card(), "pairs", None))) == 1


def test_shipped_files_need_no_folder():
    weat = pytest.importorskip("fairbench.tasks.weat")
    found = data.rows(weat.INFO["weat_6"], "weat_6", Path("/nowhere"))
    assert found.provenance["kind"] == "shipped"
    assert len(list(weat.records(found, "weat_6"))) == 32


def test_nothing_is_printed(tmp_path, capfd):
    put(tmp_path, HEADER + "a,b,c,d\n")
    refusal(csv_card(), tmp_path)
    assert capfd.readouterr() == ("", "")


# ---- what is wrong with a file


BROKEN = {
    "empty": ("", ["pairs.csv is empty (0 bytes)"]),
    "only a header": (HEADER, ["pairs.csv", "no rows of data"]),
    "only a blank line": ("\n", ["pairs.csv", "malformed"]),
    "too many fields": (
        HEADER + "a,b,c\na,b,c,d\n",
        ["pairs.csv", "malformed", "row 2", "column 'kind'", "found 4 fields, wanted 3"],
    ),
    "one field too many everywhere": (HEADER + "0,a,b,c\n1,a,b,c\n", ["malformed", "row 1", "found 4 fields, wanted 3"]),
    "too few fields": (HEADER + "a,b,c\na\n", ["pairs.csv", "row 2", "column 'less'"]),
    "open quotation mark": (HEADER + 'a,b,c\na,b,"c\n', ["malformed", "row 2", "column 'kind'", "quotation mark"]),
    "empty value": (HEADER + "a,b,c\na,,c\n", ["pairs.csv, row 2, column 'less': the value is empty"]),
    "blank value": (HEADER + 'a,b,c\n"  ",b,c\n', ["pairs.csv, row 2, column 'more': the value is empty"]),
    "missing column": ("more,kind\na,c\n", ["no column 'less'", "'more', 'kind'"]),
    "a header that is not UTF-8": (GOOD.encode("utf-16"), ["malformed", "the header (line 1), column 1", "UTF-8"]),
    "not UTF-8": (HEADER.encode() + b"a,b,c\na,\xe9,c\n", ["malformed", "row 2 (line 3), column 3", "UTF-8"]),
}


@pytest.mark.parametrize("pinned", [False, True], ids=["no digest", "other digest"])
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_csv_file_is_named_with_row_and_column(tmp_path, case, pinned):
    text, wanted = BROKEN[case]
    path = put(tmp_path, text)
    message = refusal(csv_card("0" * 64 if pinned else ""), tmp_path)
    assert str(path) in message
    for part in wanted:
        assert part in message
    assert "ownload" in message


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('[\n{"t": "x", "w": "a"},\n{"t": "y", "w": }\n]', ["malformed", "row 2 (line 3), column 17"]),
        ('{"t": "x", "w": "a"}\n{"t": "y" "w": "b"}\n', ["malformed", "row 2 (line 2), column 11"]),
        ('{"t": "x", "w": "a"}\n{"t": "y"}\n', ["row 2, column 'w': the value is empty"]),
        ('{"t": "x"}\n', ["no column 'w'"]),
        ('[{"t": "x", "w": "a"}', ["malformed", "row 2 (line 1)"]),
        ("[]", ["s.json"]),
    ],
)
def test_a_broken_json_file_is_named_with_row_and_column(tmp_path, text, wanted):
    put(tmp_path, text, "s.json")
    message = refusal(card(Source(format="json", columns=("t", "w"), files={"s.json": ""})), tmp_path)
    for part in ("s.json", *wanted):
        assert part in message


def test_a_broken_document_is_named_with_line_and_column(tmp_path):
    put(tmp_path, '{\n "targ1": oops\n}', "d.jsonl")
    message = refusal(card(Source(format="document", columns=("text",), files={"d.jsonl": "0" * 64})), tmp_path)
    assert "row 1 (line 2), column 11" in message


def test_a_file_that_is_no_parquet(tmp_path):
    put(tmp_path, "PAR1 no", "p.parquet")
    assert "can't be read as parquet" in refusal(
        card(Source(format="parquet", columns=("a",), files={"p.parquet": ""})), tmp_path
    )


def test_another_digest_says_which_and_that_it_is_a_new_task(tmp_path):
    path = put(tmp_path, GOOD)
    message = refusal(csv_card("0" * 64), tmp_path)
    for part in (str(path), digest(path), "0" * 64, "https://example.org/pairs", "new task"):
        assert part in message


# ---- what is absent


@pytest.mark.parametrize("given", [True, False], ids=["folder", "no folder"])
def test_an_absent_file_is_named_with_its_source_and_the_command(tmp_path, given):
    message = refusal(csv_card(), tmp_path if given else None)
    for part in (
        "task pairs",
        "set/pairs.csv",
        "https://example.org/pairs",
        "--tasks pairs --data-dir DIR",
        "FAIRBENCH_DATA=DIR",
    ):
        assert part in message
    assert (str(tmp_path) in message) == given


def test_one_of_several_files_is_absent(tmp_path):
    put(tmp_path, GOOD, "a.csv")
    info = card(Source(format="csv", columns=("more",), files={"a.csv": "", "b.csv": ""}, url="https://example.org"))
    message = refusal(info, tmp_path)
    assert "1 absent (b.csv)" in message
    assert "https://example.org" in message


@pytest.mark.parametrize("by", ["flag", "environment"])
def test_the_data_folder_is_no_folder(tmp_path, monkeypatch, by):
    nowhere = tmp_path / "nowhere"
    monkeypatch.setenv("FAIRBENCH_DATA", str(nowhere))
    message = refusal(csv_card(), nowhere if by == "flag" else None)
    assert f"{nowhere} ({'--data-dir' if by == 'flag' else 'FAIRBENCH_DATA'}) is no folder" in message


# ---- the Hub


SHA = "a" * 40
HUB = Source(format="parquet", columns=("more", "less"), hub="someone/pairs", config="english", split="test", revision=SHA)


def put_parquet(folder: Path, name: str = "english/test-00000-of-00001.parquet", n: int = 2) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"more": [f"a{i}" for i in range(n)], "less": ["b"] * n}), path)
    return path


@pytest.mark.parametrize("name", ["english/test-00000-of-00001.parquet", "english/test/0000.parquet", "english/test.parquet"])
def test_a_local_copy_of_the_hub_repository(tmp_path, name):
    path = put_parquet(tmp_path / "someone/pairs", name)
    found = data.rows(card(HUB), "pairs", tmp_path)
    assert [row["more"] for row in found] == ["a0", "a1"]
    assert found.provenance["files"] == {f"someone/pairs/{name}": digest(path)}
    assert found.provenance["revision"] is None
    assert "revision is not known" in found.provenance["warnings"][0]


def test_raw_files_come_before_a_copy_of_the_hub(tmp_path):
    put(tmp_path, GOOD)
    put_parquet(tmp_path / "someone/pairs")
    info = card(HUB, *csv_card().sources)
    assert data.rows(info, "pairs", tmp_path).source.format == "csv"


def test_a_copy_without_all_shards_does_not_count(tmp_path, no_network):
    put_parquet(tmp_path / "someone/pairs", "english/test-00000-of-00002.parquet")
    assert "someone/pairs (english, test)" in refusal(card(HUB), tmp_path)
    put_parquet(tmp_path / "someone/pairs", "english/test-00001-of-00002.parquet")
    assert len(list(data.rows(card(HUB), "pairs", tmp_path))) == 4


def test_what_the_hub_client_has_cached_serves_without_a_network(tmp_path, no_network, monkeypatch):
    snapshot = tmp_path / "hub/datasets--someone--pairs/snapshots" / SHA
    put_parquet(snapshot)
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", lambda repo, **options: str(snapshot) if options["local_files_only"] else None
    )
    found = data.rows(card(HUB), "pairs")
    assert len(list(found)) == 2
    assert (found.provenance["kind"], found.provenance["revision"]) == ("hub", SHA)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", refuse)
    monkeypatch.setattr("datasets.load_dataset", guarded(refuse))


def guarded(hub):
    """`load_dataset` for the builders of local files, and `hub` for everything else."""
    from datasets import load_dataset

    return lambda path, *rest, **options: (hub if "/" in path else load_dataset)(path, *rest, **options)


def test_the_hub_is_out_of_reach(tmp_path, no_network):
    message = refusal(card(HUB), tmp_path)
    for part in (
        "task pairs",
        "someone/pairs (english, test)",
        SHA,
        "Name or service not known",
        "--data-dir DIR",
        "HF_HUB_OFFLINE",
    ):
        assert part in message


@pytest.fixture
def hub(monkeypatch):
    """A Hub that holds one table and notes what it was asked for."""
    from datasets import Dataset

    asked = []

    class Info:
        sha = "b" * 40

    def load(path, config, **options):
        asked.append((path, config, options))
        return Dataset.from_dict({"more": ["a", "b"], "less": ["c", "d"]})

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", lambda *_, **__: Info())
    monkeypatch.setattr("datasets.load_dataset", guarded(load))
    return asked


def test_the_hub_is_read_at_the_pinned_commit(hub):
    found = data.rows(card(HUB), "pairs")
    assert list(found) == [{"more": "a", "less": "c"}, {"more": "b", "less": "d"}]
    assert list(found) == list(found)
    assert hub == [("someone/pairs", "english", {"split": "test", "revision": SHA})]
    assert (found.provenance["kind"], found.provenance["revision"], found.provenance["warnings"]) == ("hub", SHA, [])


def test_an_unpinned_data_set_is_read_at_the_commit_of_today_with_a_warning(hub):
    unpinned = Source(format="parquet", columns=("more",), hub="someone/pairs", split="test")
    found = data.rows(card(unpinned), "pairs")
    assert hub[0][2]["revision"] == found.provenance["revision"] == "b" * 40
    assert "not pinned" in found.provenance["warnings"][0]
    assert data.require_revision(HUB) == (SHA, None)


def test_a_column_that_the_hub_lacks(hub):
    other = Source(
        format="parquet", columns=("more", "colour"), hub="someone/pairs", config="english", split="test", revision=SHA
    )
    message = refusal(card(other), None)
    assert "someone/pairs" in message
    assert "no column 'colour'" in message


# ---- status and check


def test_status_asks_nobody_and_says_what_is_where(tmp_path, no_network):
    right = digest(put(tmp_path, GOOD))
    infos = {
        "right": csv_card(right),
        "unpinned": csv_card(),
        "changed": csv_card("0" * 64),
        "absent": card(Source(format="csv", columns=(), files={"no.csv": ""}, url="u")),
        "partly": card(Source(format="csv", columns=(), files={"no.csv": "", "set/pairs.csv": ""}, url="u")),
        "hub": card(HUB),
    }
    states = {place.task: place.state for place in data.status(infos, tmp_path)}
    assert states == {
        "right": "ready",
        "unpinned": "unpinned",
        "changed": "differs",
        "absent": "absent",
        "partly": "absent",
        "hub": "not fetched",
    }


def test_check_counts_records_or_says_what_is_wrong(tmp_path):
    put(tmp_path, GOOD)
    assert data.check(csv_card(), "pairs", parse, tmp_path).n == 2
    put(tmp_path, HEADER + "a,,c\n")
    checked = data.check(csv_card(), "pairs", parse, tmp_path)
    assert (checked.n, "row 1, column 'less'" in (checked.error or "")) == (0, True)


def test_memory_does_not_grow_with_a_file(tmp_path):
    import tracemalloc

    def peak(n: int) -> int:
        put(tmp_path, "text\n" + ("word " * 200 + "\n") * n, "t.csv")
        info = card(
            Source(
                format="csv", columns=("text",), files={"t.csv": hashlib.sha256((tmp_path / "t.csv").read_bytes()).hexdigest()}
            )
        )
        tracemalloc.start()
        assert sum(1 for _ in data.rows(info, "t", tmp_path)) == n
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    peak(100)
    assert peak(40_000) < 1.5 * peak(12_000)


def test_the_folder_for_shipped_files_is_the_package():
    assert sources.resource("tasks/weat.json").name == "weat.json"
    assert sources.resource("tasks/weat.json").is_file()
