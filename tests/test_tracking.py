from __future__ import annotations

import importlib
import importlib.util
import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fairbench.cli import app
from fairbench.collection import collect
from fairbench.errors import FairbenchError
from fairbench.tracking import COURSE, INSTALL, Tracker, log_scores, log_training
from tests.reporting.kept_results import Made, score, write

STAND_IN = '''
"""Records calls; the signatures are those of {name}, cut to their first parameters."""
calls = []

class Run:
    def log(self, {first}: dict, step=None):
        calls.append(("log", dict({first}), step))

def init({head}, config=None):
    if project == "refused":
        raise ConnectionError("no login")
    calls.append(("init", project, name, config))
    return Run()

def finish():
    calls.append(("finish",))
'''
HEADS = {
    "trackio": ("metrics", "project, name=None, group=None, space_id=None, server_url=None, dataset_id=None, bucket_id=None"),
    "wandb": ("data", "entity=None, project=None, dir=None, id=None, name=None, notes=None, tags=None"),
}

Calls = list[tuple[Any, ...]]


@pytest.fixture(params=sorted(INSTALL))
def tracker(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Calls]]:
    """A stand-in for a tracker, as a module that can be imported, and what it was told."""
    name: str = request.param
    first, head = HEADS[name]
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / f"{name}.py").write_text(STAND_IN.format(name=name, first=first, head=head))
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    importlib.invalidate_caches()
    yield name, importlib.import_module(name).calls
    sys.modules.pop(name, None)


def test_a_score_by_hand(tmp_path: Path, tracker: tuple[str, Calls]) -> None:
    to, calls = tracker
    write(tmp_path / "results", Made())
    assert log_scores([tmp_path / "results"], Tracker(to=to, project="p")) == ["m"]
    begun, logged, ended = calls
    assert begun[:3] == ("init", "p", "m") and ended == ("finish",)
    figures = {"value": 39.99, "low": 37.6, "high": 42.5, "p": 0.25, "n": 1508, "ideal": 50.0}
    assert logged == ("log", {f"pairs/crows_pairs/{key}": value for key, value in figures.items()}, None)
    config = begun[3]
    assert config["model"]["label"] == "m" and config["model"]["parameters"] == 5
    assert config["tasks"] == {"pairs": 1} and config["metrics"] == {"pairs/crows_pairs": 2}
    assert config["undefined"] == {} and config["trials"] == []
    json.dumps(config, allow_nan=False)


def test_undefined_is_not_logged_as_a_number(tmp_path: Path, tracker: tuple[str, Calls]) -> None:
    to, calls = tracker
    none = Made(task="tied", value=None, score={"undefined": "every pair is a tie", "p_value": None})
    write(tmp_path / "results", none, Made(score={"interval": None, "p_value": None}))
    log_scores([tmp_path / "results"], Tracker(to=to))
    begun, logged, _ = calls
    assert begun[3]["undefined"] == {"tied/crows_pairs": "every pair is a tie"}
    assert {key for key in logged[1] if key.startswith("tied/")} == {"tied/crows_pairs/n", "tied/crows_pairs/ideal"}
    assert {key.rpartition("/")[2] for key in logged[1] if key.startswith("pairs/")} == {"value", "n", "ideal"}
    assert all(isinstance(value, (int, float)) and math.isfinite(value) for value in logged[1].values())


def test_each_model_is_a_run_and_choices_and_clean_scores_have_names_of_their_own(
    tmp_path: Path, tracker: tuple[str, Calls]
) -> None:
    to, calls = tracker
    clean = Made(model="m1", variant="scorer=mean", score={"clean": score(Made(value=60.0)), "flags": {"duplicate": 1}})
    found = write(tmp_path / "results", clean, Made(model="m1"), Made(model="m2", limit=3, variant="limit=3"))
    assert sorted(log_scores(found, Tracker(to=to, name="night"))) == ["night m1", "night m2"]
    logs = {run[2]: logged[1] for run, logged in zip(calls[::3], calls[1::3], strict=True)}
    assert logs["night m1"]["pairs/crows_pairs@scorer=mean/clean/value"] == 60.0
    assert logs["night m1"]["pairs/crows_pairs/value"] == 39.99
    configs = {run[2]: run[3] for run in calls[::3]}
    assert configs["night m2"]["trials"] == ["pairs/crows_pairs@limit=3"]
    assert log_scores(found.__class__(found.of("m1")), Tracker(to=to, name="alone")) == ["alone"]


def test_no_folder_of_this_machine_is_told(tmp_path: Path, tracker: tuple[str, Calls]) -> None:
    to, calls = tracker
    log_scores(write(tmp_path / "results", Made(model="/home/someone/mine")), Tracker(to=to))
    assert "/home" not in json.dumps(calls[0])


def test_a_history_by_hand(tmp_path: Path, tracker: tuple[str, Calls]) -> None:
    to, calls = tracker
    history = [{"loss": 2.5, "kd": None, "step": 10, "epoch": 0.5}, {"loss": 1.5, "kd": 0.25, "step": 20, "note": "x"}]
    (tmp_path / COURSE).write_text(json.dumps({"steps": 20, "seconds": 3.0, "history": history}))
    about = {"method": "distill", "options": {"epochs": 1}, "base": {"name": "/home/x"}}
    (tmp_path / "fairbench.json").write_text(json.dumps(about))
    assert log_training(tmp_path, Tracker(to=to)) == tmp_path.name
    assert calls[1:] == [
        ("log", {"training/loss": 2.5, "training/epoch": 0.5}, 10),
        ("log", {"training/loss": 1.5, "training/kd": 0.25}, 20),
        ("finish",),
    ]
    assert calls[0][3] == {
        "training": {"steps": 20, "seconds": 3.0}, "mitigation": {"method": "distill", "options": {"epochs": 1}},
    }  # fmt: skip


def test_the_file_of_a_history_is_that_of_mitigations() -> None:
    from fairbench.mitigation import following

    assert COURSE == following.COURSE


@pytest.mark.parametrize("content", [None, "{", "[]", '{"history": [{"loss": 1}]}'], ids=["none", "cut", "other", "no-step"])
def test_a_folder_without_a_history_is_refused(tmp_path: Path, tracker: tuple[str, Calls], content: str | None) -> None:
    to, calls = tracker
    if content is not None:
        (tmp_path / COURSE).write_text(content)
    with pytest.raises(FairbenchError, match=r"fairbench mitigate"):
        log_training(tmp_path, Tracker(to=to))
    assert calls == []


def test_a_tracker_that_refuses_is_said_in_one_paragraph(tmp_path: Path, tracker: tuple[str, Calls]) -> None:
    to, _ = tracker
    with pytest.raises(FairbenchError, match=r"could not begin the run 'm'.*no login"):
        log_scores(write(tmp_path / "results", Made()), Tracker(to=to, project="refused"))


def test_a_run_is_ended_when_logging_fails(tmp_path: Path, tracker: tuple[str, Calls], monkeypatch: pytest.MonkeyPatch) -> None:
    to, calls = tracker

    def fails(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(importlib.import_module(to).Run, "log", fails)
    with pytest.raises(OSError, match="disk full"):
        log_scores(write(tmp_path / "results", Made()), Tracker(to=to))
    assert calls[-1] == ("finish",)


def test_no_results_are_refused(tmp_path: Path, tracker: tuple[str, Calls]) -> None:
    to, calls = tracker
    with pytest.raises(FairbenchError, match="no results to log"):
        log_scores([tmp_path], Tracker(to=to))
    assert calls == []


@pytest.mark.parametrize("to", sorted(INSTALL))
@pytest.mark.parametrize("log", [log_scores, log_training])
def test_an_absent_tracker_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str, log: Callable[..., Any]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, package=None: None)
    with pytest.raises(FairbenchError) as said:
        log([tmp_path] if log is log_scores else tmp_path, Tracker(to=to))
    assert INSTALL[to] in str(said.value) and "\n" not in str(said.value)


def test_an_unknown_tracker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FairbenchError, match="Did you mean trackio"):
        log_scores([tmp_path], Tracker(to="trackoi"))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("trackio") is None, reason="trackio is not installed")
@pytest.mark.filterwarnings("default")
def test_trackio_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "runs"))
    write(tmp_path / "results", Made())
    log_scores(collect([tmp_path / "results"]), Tracker(to="trackio", project="fairbench-test"))
    with sqlite3.connect(tmp_path / "runs" / "fairbench-test.db") as base:
        ((name, logged),) = base.execute("select run_name, metrics from metrics").fetchall()
    assert name == "m" and json.loads(logged)["pairs/crows_pairs/value"] == 39.99


def test_the_score_command_logs_what_it_scored(tmp_path: Path, tracker: tuple[str, Calls]) -> None:
    to, calls = tracker
    arguments = [
        "score",
        "planted:causal-0.0",
        "--tasks",
        "planted_cloze",
        "--metrics",
        "stereoset_lms",
        "--draws",
        "50",
        "--quiet",
    ]
    done = CliRunner().invoke(app, [*arguments, "--output-path", str(tmp_path / "results"), "--track", to])
    assert done.exit_code == 0, done.output
    logged = next(call[1] for call in calls if call[0] == "log")
    assert logged["planted_cloze/stereoset_lms@draws=50/value"] == 100.0 and calls[-1] == ("finish",)


def test_an_unknown_tracker_is_refused_before_anything_is_scored(tmp_path: Path) -> None:
    arguments = ["score", "planted:causal-0.0", "--output-path", str(tmp_path / "results"), "--track", "trakio"]
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, FairbenchError) and "trackio" in str(done.exception)
    assert not (tmp_path / "results").exists()
