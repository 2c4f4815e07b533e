"""Finding metrics and tasks by name: of the package, a folder, an entry point; and what is said where there is none."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fairbench
from fairbench.errors import FairbenchError
from fairbench.records import FORMS, Pair
from fairbench.registry import Registry, suites
from fairbench.scores import MetricInfo, TaskInfo

METRICS = sorted(Registry().metrics())
TASKS = sorted(Registry().tasks())

METRIC_FILE = '''
"""A toy."""
from fairbench.scores import MetricInfo

INFO = MetricInfo(
    title="Mean", reads="Pair", probe="likelihood", columns=("score_more",), kind="intrinsic", ideal=0.0, low=-9.0, high=9.0,
    direction="up", construct="toy", formula="mean", cite="nobody",
)


def NAME(answers, weights):
    return weights @ answers["score_more"].to_numpy(dtype=float) / weights.sum(axis=1)
'''

FAMILY_FILE = '''
"""Two toys of one file."""
from dataclasses import replace

from fairbench.scores import MetricInfo, PValue

ONE = MetricInfo(
    title="Mean", reads="Pair", probe="likelihood", columns=("score_more",), kind="intrinsic", ideal=0.0, low=-9.0, high=9.0,
    direction="up", construct="toy", formula="mean", cite="nobody", p_value="own",
)
INFO = {"NAME": ONE, "NAME_twice": replace(ONE, title="Twice", p_value="none")}


def NAME(answers, weights):
    return weights @ answers["score_more"].to_numpy(dtype=float) / weights.sum(axis=1)


def NAME_twice(answers, weights):
    return 2 * NAME(answers, weights)


def NAME_significance(answers, rng):
    return PValue(0.5, "toy")


def NAME_twice_counts(answers):
    return {"rows": len(answers)}
'''

TASK_FILE = '''
"""A toy."""
from fairbench.records import Pair
from fairbench.scores import Source, TaskInfo

INFO = TaskInfo(
    title="Toy", form="Pair", sources=(Source(format="csv", columns=("a", "b"), files={"toy.csv": "0" * 64}),), licence="none",
    cite="nobody", language="en", groups=(), metrics=("toy",), cluster="none",
)


def records(rows, task):
    for n, row in enumerate(rows):
        yield Pair(id=str(n), more=row["a"], less=row["b"], meta={"task": task})
'''


def write(folder: Path, kind: str, name: str, text: str) -> Path:
    (folder / kind).mkdir(parents=True, exist_ok=True)
    path = folder / kind / f"{name}.py"
    path.write_text(text.replace("NAME", name), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_loads(name: str):
    metric = Registry().metric(name)
    assert metric.name == name and isinstance(metric.info, MetricInfo) and callable(metric.function)
    assert metric.info == Registry().metrics()[name]


@pytest.mark.parametrize("name", TASKS)
def test_every_task_loads_and_speaks_of_what_there_is(name: str):
    task = Registry().task(name)
    assert task.name == name and isinstance(task.info, TaskInfo) and callable(task.records)
    assert task.info.form in FORMS
    assert set(task.info.metrics) <= set(METRICS)
    assert all(Registry().metric(m).info.reads == task.info.form for m in task.info.metrics)


@pytest.mark.parametrize("name", sorted({Registry().metric(m).info.probe for m in METRICS}))
def test_every_probe_that_a_metric_names_is_there(name: str):
    probe = Registry().probe(name)
    assert isinstance(probe.VERSION, int) and set(probe.FORMS) <= set(FORMS)


def test_no_metric_shares_its_name_with_a_task_that_is_not_about_it():
    shared = set(METRICS) & set(TASKS)
    assert all(name in Registry().task(name).info.metrics for name in shared)


@pytest.mark.parametrize(
    ("ask", "wrong", "hint"),
    [
        ("metric", "crows_pair", "Did you mean crows_pairs"),
        ("metric", "weet", "Did you mean weat"),
        ("metric", "stereoset", "Did you mean stereoset_"),
        ("task", "crows_pair", "Did you mean crows_pairs"),
        ("probe", "likelyhood", "Did you mean likelihood"),
        ("metric", "xyzzy", "fairbench list metrics"),
        ("task", "xyzzy", "fairbench list tasks"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(ask: str, wrong: str, hint: str):
    with pytest.raises(FairbenchError) as error:
        getattr(Registry(), ask)(wrong)
    message = str(error.value)
    assert f"There is no {ask} '{wrong}'." in message and hint in message and "\n" not in message


def test_a_folder_adds_a_metric_and_a_task(tmp_path: Path):
    write(tmp_path, "metrics", "toy", METRIC_FILE)
    write(tmp_path, "tasks", "toy_pairs", TASK_FILE)
    write(tmp_path, "metrics", "_private", "raise RuntimeError")
    registry = Registry([tmp_path])
    assert set(registry.metrics()) == {*METRICS, "toy"} and set(registry.tasks()) == {*TASKS, "toy_pairs"}
    assert registry.metric("toy").function(pd.DataFrame({"score_more": [1.0, 2.0]}), np.ones((1, 2))).tolist() == [1.5]
    expected = [Pair(id="0", more="x", less="y", meta={"task": "toy_pairs"})]
    assert list(registry.task("toy_pairs").records([{"a": "x", "b": "y"}], "toy_pairs")) == expected
    score = fairbench.measure("toy", pd.DataFrame({"score_more": [1.0, 2.0, 6.0]}), include_path=[str(tmp_path)], draws=50)
    assert score.value == 3.0 and score.interval is not None
    assert "toy" not in Registry().metrics()


def test_the_members_of_a_family_have_their_own_functions(tmp_path: Path):
    write(tmp_path, "metrics", "toys", FAMILY_FILE)
    registry = Registry([tmp_path])
    one, two = registry.metric("toys"), registry.metric("toys_twice")
    assert (one.significance is None, one.counts is None) == (False, True)
    assert (two.significance is None, two.counts is None) == (True, False)
    assert two.function(pd.DataFrame({"score_more": [1.0, 2.0]}), np.ones((1, 2))).tolist() == [3.0]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("def broken(:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("", "defines no metric. Wanted INFO = MetricInfo"),
        ("INFO = {'toy': 3}", "defines no metric. Wanted INFO = MetricInfo"),
        ("INFO = 'toy'", "defines no metric. Wanted INFO = MetricInfo"),
    ],
    ids=["import", "syntax", "exception", "empty", "dictionary of something", "something"],
)
def test_a_broken_file_is_one_paragraph(tmp_path: Path, text: str, found: str):
    write(tmp_path, "metrics", "toy", text)
    with pytest.raises(FairbenchError) as error:
        Registry([tmp_path]).metric("toy")
    message = str(error.value)
    assert "toy.py" in message and found in message and "\n" not in message


@pytest.mark.parametrize("asked", ["weat", "crows_pairs_margin"])
@pytest.mark.parametrize("broken", ["toy", "aaa", "we", "crows", "crows_pairs_margins"])
def test_a_broken_file_does_not_keep_a_metric_of_the_house_from_being_found(tmp_path: Path, broken: str, asked: str):
    write(tmp_path, "metrics", broken, "1 / 0")
    assert Registry([tmp_path]).metric(asked).name == asked


def test_a_broken_file_does_not_keep_a_metric_of_its_folder_from_being_found(tmp_path: Path):
    write(tmp_path, "metrics", "toy", METRIC_FILE)
    write(tmp_path, "metrics", "another", "1 / 0")
    assert Registry([tmp_path]).metric("toy").name == "toy"


@pytest.mark.parametrize("text", [METRIC_FILE, FAMILY_FILE], ids=["one", "family"])
def test_a_card_without_its_function_is_refused(tmp_path: Path, text: str):
    write(tmp_path, "metrics", "toy", text.replace("def NAME(", "def something_else("))
    with pytest.raises(FairbenchError, match=r"metric toy has its card but no function toy\(answers, weights\)"):
        Registry([tmp_path]).metric("toy")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(FairbenchError, match=r"--include-path .*nowhere: no such folder"):
        Registry([tmp_path / "nowhere"]).metrics()


def test_two_files_with_one_name_are_refused(tmp_path: Path):
    write(tmp_path, "metrics", "toys", FAMILY_FILE)
    write(tmp_path, "metrics", "toys_twice", METRIC_FILE)
    with pytest.raises(FairbenchError, match="Two files define the metric 'toys_twice'"):
        Registry([tmp_path]).metrics()


@pytest.mark.parametrize("name", ["crows_pairs", "weat"])
def test_no_file_replaces_one_of_the_house(tmp_path: Path, name: str):
    path = write(tmp_path, "metrics", name, METRIC_FILE)
    for ask in (Registry.metrics, lambda registry: registry.metric(name)):
        with pytest.raises(FairbenchError, match=f"Two files are called {name} among the metrics") as error:
            ask(Registry([tmp_path]))
        assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_no_file_replaces_a_member_of_a_family_of_the_house(tmp_path: Path):
    write(tmp_path, "metrics", "crows_pairs_margin", METRIC_FILE)
    for ask in (Registry.metrics, lambda registry: registry.metric("crows_pairs_margin")):
        with pytest.raises(FairbenchError, match="Two files define the metric 'crows_pairs_margin'"):
            ask(Registry([tmp_path]))


def test_two_folders_with_files_of_one_name_are_refused(tmp_path: Path):
    for folder in ("first", "second"):
        write(tmp_path / folder, "metrics", "toy", METRIC_FILE)
    with pytest.raises(FairbenchError, match=r"Two files are called toy .*first.*second"):
        Registry([tmp_path / "first", tmp_path / "second"]).metric("toy")


def install(monkeypatch: pytest.MonkeyPatch, name: str, module: str) -> None:
    """Somebody's package that names a module as a metric."""
    entry = importlib.metadata.EntryPoint(name, module, "fairbench.metrics")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: [entry] if group == entry.group else [])


def test_a_broken_entry_point_is_one_paragraph(monkeypatch: pytest.MonkeyPatch):
    install(monkeypatch, "toy", "no_such_package.toy")
    with pytest.raises(FairbenchError, match=r"no_such_package\.toy can't be imported \(ModuleNotFoundError") as error:
        Registry().metrics()
    assert "\n" not in str(error.value)
    assert Registry().metric("weat").name == "weat"


def test_entry_points_add_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "someones_package_toy.py").write_text(METRIC_FILE.replace("NAME", "toy"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    install(monkeypatch, "toy", "someones_package_toy")
    registry = Registry()
    assert set(registry.metrics()) == {*METRICS, "toy"} and set(registry.tasks()) == set(TASKS)
    assert registry.metric("toy").function(pd.DataFrame({"score_more": [4.0]}), np.ones((1, 1))).tolist() == [4.0]


def test_suites_follow_from_kinds_and_cards():
    registry = Registry()
    found, tasks, kinds = suites(registry), registry.tasks(), {n: c.kind for n, c in registry.metrics().items()}
    large = {name for name, info in tasks.items() if "large" in info.suites}
    assert set(found["large"]) == large
    planted = {name for name, info in tasks.items() if "planted" in info.suites}
    assert set(found["planted"]) == planted
    downstream = {name for name, info in tasks.items() if "planted_downstream" in info.suites}
    assert set(found["planted_downstream"]) == downstream
    apart = planted | downstream | large
    assert set(found["full"]) == set(tasks) - apart
    for kind in ("intrinsic", "extrinsic"):
        assert set(found[kind]) == {n for n, i in tasks.items() if any(kinds[m] == kind for m in i.metrics)} - apart
    assert found["quick"] and all("quick" in tasks[name].suites for name in found["quick"])
    assert "utility" not in found
    assert all(len(names) == len(set(names)) for names in found.values())
