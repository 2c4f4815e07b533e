"""The runner on a tiny real model: resume, sharing of answers, the same numbers whatever happened on the way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairbench import FairbenchError, study
from fairbench.answers import AnswerStore
from fairbench.models.batching import Batching
from fairbench.models.model import ModelOptions
from fairbench.plan import ScoreOptions, make_plan
from fairbench.results import read_result

MODEL = "planted:causal-1.0"


def options(folder: Path, **changes: object) -> ScoreOptions:
    return ScoreOptions(**{"tasks": ("planted_pairs",), "output_path": folder, **changes})  # type: ignore[arg-type]


def values(run: study.Run) -> dict[tuple[str, str], float | None]:
    return {(r.task["name"], r.metric["name"]): r.score.value for r in run.results}


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "PART_RECORDS", 16)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of models as they are loaded."""
    seen: list[str] = []
    real = study.load

    def counting(card, head=None):
        seen.append(card.name)
        return real(card, head)

    monkeypatch.setattr(study, "load", counting)
    return seen


def test_metrics_share_one_table_of_answers(tmp_path, loads):
    run = study.score(MODEL, options(tmp_path))
    assert len(run.results) == 2
    assert len({r.answers["path"] for r in run.results}) == 1
    assert loads == [MODEL]
    frame = pd.read_parquet(run.folder / run.results[0].answers["path"])
    share = 100 * np.mean(frame["score_more"] > frame["score_less"])
    assert values(run)["planted_pairs", "crows_pairs"] == pytest.approx(share, abs=1e-9)


def test_the_same_command_twice_does_no_model_work(tmp_path, loads):
    first = study.score(MODEL, options(tmp_path))
    files = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    second = study.score(MODEL, options(tmp_path))
    assert loads == [MODEL]
    assert values(first) == values(second)
    assert files == {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}


def test_a_new_metric_needs_no_model(tmp_path, loads):
    study.score(MODEL, options(tmp_path, metrics=("crows_pairs",)))
    study.score(MODEL, options(tmp_path, metrics=("crows_pairs_margin",)))
    assert loads == [MODEL]


@pytest.mark.usefixtures("small_parts")
def test_a_stopped_run_goes_on_where_it_was(tmp_path, monkeypatch):
    whole = study.score(MODEL, options(tmp_path / "whole"))
    stops = tmp_path / "stops"
    real, written = AnswerStore.write_part, []

    def stop_after_two(self, number, rows, seconds):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(number)
        real(self, number, rows, seconds)

    monkeypatch.setattr(AnswerStore, "write_part", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        study.score(MODEL, options(stops))
    assert list(stops.rglob("*.parts")), "the finished parts must be kept"
    assert not list(stops.rglob("crows_pairs*.json"))

    after = []

    def count(self, number, rows, seconds):
        after.append(number)
        real(self, number, rows, seconds)

    monkeypatch.setattr(AnswerStore, "write_part", count)
    again = study.score(MODEL, options(stops))
    assert written == [0, 1] and after[0] == 2
    assert values(again) == values(whole)
    assert again.results[0].answers["sha256"] == whole.results[0].answers["sha256"]
    assert not list(stops.rglob("*.parts"))


def test_batch_size_changes_no_number_and_no_name(tmp_path):
    one = study.score(MODEL, options(tmp_path / "one", batching=Batching(rows=1)))
    many = study.score(MODEL, options(tmp_path / "many", batching=Batching(budget=4096)))
    assert [r.answers["path"] for r in one.results] == [r.answers["path"] for r in many.results]
    tables = [pd.read_parquet(r.folder / r.results[0].answers["path"]) for r in (one, many)]
    np.testing.assert_allclose(tables[0]["score_more"], tables[1]["score_more"], atol=1e-4)


def test_options_that_change_answers_change_their_name(tmp_path):
    names = set()
    for changes in ({}, {"probe": {"scorer": "mean"}}, {"limit": 10}, {"model": ModelOptions(dtype="float64")}):
        run = study.score(MODEL, options(tmp_path, **changes))
        names.add((run.folder, run.results[0].answers["path"]))
    assert len(names) == 4
    files = {p.name for p in tmp_path.rglob("crows_pairs*.json")}
    assert {"crows_pairs.json", "crows_pairs@scorer=mean.json", "crows_pairs@limit=10.json"} <= files


def test_a_limited_run_says_so_and_keeps_every_role(tmp_path):
    run = study.score(MODEL, options(tmp_path, tasks=("planted_pairs", "planted_associations"), limit=4))
    assert all(any("Limited to" in w for w in r.score.warnings) for r in run.results)
    weat = next(r for r in run.results if r.metric["name"] == "weat")
    assert weat.score.n_records == 16  # four of each role


def test_the_result_file_is_what_the_schema_says(tmp_path):
    run = study.score(MODEL, options(tmp_path))
    path = run.folder / "planted_pairs" / "crows_pairs.json"
    content = json.loads(path.read_text())
    assert {"metric", "task", "model", "probe", "score", "schema"} <= set(content)
    wanted = {"value", "interval", "p_value", "n", "n_total", "left_out", "by_group", "undefined", "warnings"}
    assert wanted <= set(content["score"])
    assert content["model"]["weights_sha256"] and content["task"]["data"]["files"]
    assert read_result(path).score == run.results[0].score
    shaped = json.loads((run.folder / "results.json").read_text())
    assert shaped["results"]["planted_pairs"]["crows_pairs,none"] == run.results[0].score.value


def test_a_cell_that_fails_leaves_the_others(tmp_path, monkeypatch):
    from fairbench.probes import embedding

    def broken(*_: object) -> None:
        raise RuntimeError("the card ran out of memory")

    monkeypatch.setattr(embedding, "answer", broken)
    run = study.score(MODEL, options(tmp_path, tasks=("planted_associations", "planted_pairs")))
    assert "the card ran out of memory" in run.failed["planted_associations"]
    assert {r.task["name"] for r in run.results} == {"planted_pairs"}


def test_changed_answers_are_not_measured(tmp_path):
    run = study.score(MODEL, options(tmp_path))
    path = run.folder / run.results[0].answers["path"]
    frame = pd.read_parquet(path)
    frame["score_more"] += 1
    frame.to_parquet(path)
    shutil.rmtree(run.folder / "planted_pairs")
    again = study.score(MODEL, options(tmp_path))
    assert "was changed after it was written" in again.failed["planted_pairs"]


@pytest.mark.parametrize(
    ("model", "changes", "said"),
    [
        (MODEL, {"tasks": ("planted_pair",)}, "Did you mean planted_pairs"),
        (MODEL, {"metrics": ("crows_pair",)}, "Did you mean crows_pairs"),
        (MODEL, {"tasks": (), "suite": "intrinsik"}, "Did you mean intrinsic"),
        (MODEL, {"limit": 0}, "--limit 0"),
        (MODEL, {"metrics": ("weat",)}, "weat reads Association"),
        (MODEL, {"probe": {"scorer": "pll"}}, "pll"),
        (MODEL, {"probe": {"pooling": "mean"}}, "--pooling mean"),
        ("planted:causal-2.0", {}, "causal-"),
        ("planted:masked-1.0", {"tasks": ("planted_passages",)}, "causal"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_runs(tmp_path, model, changes, said):
    with pytest.raises(FairbenchError, match=said):
        study.score(model, options(tmp_path, **changes))
    assert not any(p.is_file() for p in tmp_path.rglob("*"))


def test_a_suite_skips_what_the_model_cannot_do(tmp_path):
    plan = make_plan("planted:masked-1.0", ScoreOptions(suite="planted", output_path=tmp_path))
    assert "planted_passages" in plan.skipped
    assert any(ask.task.name == "planted_pairs" for ask in plan.asks)


def test_frame_has_a_row_a_score(tmp_path):
    frame = study.score(MODEL, options(tmp_path)).to_frame()
    assert list(frame["metric"]) == ["crows_pairs", "crows_pairs_margin"]
    assert (frame["low"] <= frame["value"]).all() and (frame["value"] <= frame["high"]).all()
