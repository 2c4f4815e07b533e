"""Results of folders, read together: what can't be used is named file by file, and the rest is used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fairbench.collection import Fault, called, collect, one_version, read_all
from fairbench.errors import FairbenchError
from fairbench.results import SCHEMA

PAIRS = pd.DataFrame(
    {
        "id": list("abcdef"),
        "group": ["x", "x", "x", "y", "y", "y"],
        "score_more": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        "score_less": [2.0, 1.0, 2.0, 5.0, 4.0, 5.0],
    }
)


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def only_fault(*roots: Path) -> Fault:
    """The one fault of these folders."""
    (fault,) = collect(roots).faults
    return fault


@pytest.fixture
def two(write) -> tuple[Path, Path]:
    """Two results of one model."""
    return write("alpha", "crows_pairs", PAIRS), write("alpha", "crows_pairs_margin", PAIRS)


@pytest.fixture
def root(two) -> Path:
    return two[0].parents[2]


def test_everything_that_is_whole_is_found(root, two, write):
    write("beta", "crows_pairs", PAIRS, name="crows_pairs@scorer=mean.json", limit=3)
    found = collect([root])
    assert found.faults == () and found.roots == (root,)
    assert found.models == ("alpha", "beta")
    assert [one.path for one in found.of("alpha")] == list(two)
    first, (other,) = found.of("alpha")[0], found.of("beta")
    assert (first.task, first.metric, first.variant, first.limited) == ("made_pairs", "crows_pairs", "", False)
    assert first.column == "made_pairs/crows_pairs" and first.folder == two[0].parents[1]
    assert other.variant == "scorer=mean" and other.column == "made_pairs/crows_pairs@scorer=mean" and other.limited
    assert first.answers.is_file() and first.result.score.value == pytest.approx(100 * 4 / 6)


def test_a_metric_is_called_with_the_notion_that_it_compares(write):
    table = pd.DataFrame({"id": ["a", "b"], "groups": [["gender:f"], ["gender:m"]], "label": [1, 0], "probs": [[0.1, 0.9]] * 2})
    table["prediction"] = 1
    path = write("alpha", "accuracy", table, options={})
    edit(path, lambda content: content["metric"]["options"].update(group_by="gender"))
    assert collect([path.parents[2]]).found[0].metric == "accuracy by gender"


def test_an_empty_folder_is_named_and_the_others_are_used(root, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    found = collect([empty, root])
    assert [fault.path for fault in found.faults] == [empty] and "no results in this folder" in str(found.faults[0])
    assert len(found.found) == 2


@pytest.mark.parametrize("roots", [[], ["absent"], ["file.txt"]], ids=["none", "absent", "file"])
def test_what_is_no_folder_is_refused(tmp_path, roots):
    (tmp_path / "file.txt").write_text("a")
    with pytest.raises(FairbenchError, match=r"No folder|does not exist|is no folder"):
        collect([tmp_path / one for one in roots])


def test_a_newer_schema_is_named(root, two):
    edit(two[0], lambda content: content.update(schema=SCHEMA + 1))
    fault = only_fault(root)
    assert fault.path == two[0] and f"schema {SCHEMA + 1}" in fault.what and "Update fairbench" in fault.what
    assert [one.path for one in collect([root]).found] == [two[1]]


@pytest.mark.parametrize("length", [0, 1, 400], ids=["empty", "one sign", "cut short"])
def test_a_truncated_file_is_named(root, two, length):
    two[1].write_bytes(two[1].read_bytes()[:length])
    fault = only_fault(root)
    assert fault.path == two[1] and "can't be read" in fault.what
    assert [one.path for one in collect([root]).found] == [two[0]]


def test_bytes_that_are_no_text_are_named(root, two):
    two[0].write_bytes(b"\xff\xfe{}")
    assert only_fault(root).path == two[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["score"].pop("n"),
        lambda content: content.pop("score"),
        lambda content: content["score"].update(value="high"),
        lambda content: content.update(schema="three"),
        lambda content: content.update(more=1),
        lambda content: content["model"].pop("name"),
        lambda content: content["metric"].pop("options"),
        lambda content: content["task"].pop("version"),
        lambda content: content["answers"].pop("path"),
        lambda content: content.update(probe={}),
    ],
    ids=["n", "score", "value", "schema", "more", "model", "options", "version", "answers", "probe"],
)
def test_a_result_that_lacks_what_every_result_has_is_named(root, two, change):
    edit(two[0], change)
    found = collect([root])
    assert [fault.path for fault in found.faults] == [two[0]] and [one.path for one in found.found] == [two[1]]


def test_answers_that_are_others_than_were_measured_are_named(root, two):
    answers = collect([root]).found[0].answers
    PAIRS.assign(score_more=9.0).to_parquet(answers)
    faults = collect([root]).faults  # of both metrics that were measured on them
    assert [fault.path for fault in faults] == list(two) and all("another sha256" in fault.what for fault in faults)
    answers.unlink()  # what is not kept can't be held against the result
    assert len(collect([root]).found) == 2


def test_two_results_of_a_cell_that_disagree_are_both_left_out(root, two, tmp_path):
    other = Path(shutil.copytree(two[0].parents[1], tmp_path / "more" / two[0].parents[1].name))
    spoiled = edit(other / "made_pairs" / "crows_pairs.json", lambda content: content["score"].update(value=1.0))
    found = collect([root, tmp_path / "more"])
    assert {fault.path for fault in found.faults} == {two[0], spoiled}
    assert all("otherwise of the same cell" in fault.what for fault in found.faults)
    assert [one.path for one in found.found] == [two[1]]


def test_equal_copies_are_one_result(root, two, tmp_path):
    other = Path(shutil.copytree(root, tmp_path / "copy"))
    for path in other.rglob("crows_pairs.json"):
        edit(path, lambda content: content["run"].update(date="2030-01-01"))  # when it was made is no part of the score
    found = collect([root, other])
    assert found.faults == () and [one.path for one in found.found] == list(two)


@pytest.mark.parametrize("again", ["same", "relative", "below", "link"])
def test_a_folder_given_twice_is_one(root, two, tmp_path, monkeypatch, again):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(root)
    second = {"same": root, "relative": Path(root.name), "below": two[0].parents[1], "link": Path("link")}[again]
    found = collect([root, second])
    assert found.faults == () and len(found.found) == 2


@pytest.mark.parametrize("how", ["itself", "dot", "link"])
def test_the_folder_of_one_model_can_be_given(root, two, tmp_path, monkeypatch, how):
    model = two[0].parents[1]
    monkeypatch.chdir(model)
    (tmp_path / "latest").symlink_to(model)
    found = collect([{"itself": model, "dot": Path(), "link": tmp_path / "latest"}[how]])
    assert found.models == ("alpha",) and len(found.found) == 2 and not found.faults
    assert {one.folder.name for one in found.found} == {model.name}


def test_other_files_beside_are_no_results(root, two):
    model = two[0].parents[1]
    (model / "results.json").write_text("{}")
    (model / "made_pairs" / "notes.json").write_text('{"mine": 1}')
    (model / "made_pairs" / "list.json").write_text("[1, 2]")
    (model / "made_pairs" / ".crows_pairs.json.host.1").write_text("{")
    (model / "made_pairs" / ".hidden.json").write_text("{")
    (root / "planted").mkdir()
    (root / "planted" / "curves.json").write_text('{"schema": 1}')
    for beside in ("judged", "sweeps/made_pairs", "classifiers"):
        (model / beside).mkdir(parents=True)
        (model / beside / "a.json").write_text('{"schema": 1}')
    found = collect([root])
    assert found.faults == () and len(found.found) == 2


def test_models_of_one_name_are_told_apart_by_their_folders(root, two, write):
    twin = two[0].parents[1].with_name("alpha-01234567")
    shutil.copytree(two[0].parents[1], twin)
    write("beta", "crows_pairs", PAIRS)
    digits = two[0].parents[1].name[-8:]
    assert set(collect([root]).models) == {f"alpha ({digits})", "alpha (01234567)", "beta"}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("/home/me/gpt", "gpt"), ("./gpt", "gpt"), ("~/models/gpt", "gpt"), ("org/gpt", "org/gpt"), ("planted:x", "planted:x")],
)
def test_a_path_is_called_by_its_last_part(name, wanted):
    assert called({"name": name}) == wanted


@pytest.mark.parametrize("part", ["task", "metric", "probe"])
def test_older_versions_are_left_out_of_a_column(root, two, write, part):
    edit(two[0], lambda content: content[part].update(version=7))
    edit(two[1], lambda content: content[part].update(version=10))
    lone = write("beta", "crows_pairs", PAIRS)
    newer = edit(write("gamma", "crows_pairs_margin", PAIRS), lambda content: content[part].update(version=9))
    kept = one_version(collect([root]))
    assert {one.path for one in kept.found} == {two[0], two[1]}
    assert {fault.path for fault in kept.faults} == {lone, newer}
    (said,) = (fault.what for fault in kept.faults if fault.path == newer)
    assert f"{part} version 9 (newest 10)" in said


def test_one_version_leaves_a_collection_of_one_version_as_it_is(root):
    whole = collect([root])
    assert one_version(whole) == whole


def test_versions_of_packages_are_counted(root, two):
    edit(two[0], lambda content: content["run"].update(versions={"numpy": "1.0", "fairbench": "0"}))
    assert collect([root]).versions() == {"numpy": {"1.0": 1}, "fairbench": {"0": 2}}


def test_all_that_is_read_comes_in_order_and_once(root, two, tmp_path):
    two[1].write_text("{")
    read, empty = read_all([root, two[0].parents[1]])
    assert empty == [] and [one.path if isinstance(one, Fault) else one[0] for one in read] == list(two)
