"""The runner on a tiny real model: resume, sharing of answers, the same numbers whatever happened on the way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairbench import FairbenchError, asked, preparation, study
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
    monkeypatch.setattr(asked, "PART_RECORDS", 16)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of models as they are loaded."""
    seen: list[str] = []
    real = preparation.load

    def counting(card, head=None):
        seen.append(card.name)
        return real(card, head)

    monkeypatch.setattr(preparation, "load", counting)
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
    assert "was changed after it was written" in again.failed["planted_pairs/crows_pairs"]


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


def test_a_changed_configuration_is_another_model(tmp_path):
    """Weights alone don't make a model: the same ones under another configuration give other answers."""
    from fairbench.planted import folder

    values_seen, folders = [], []
    for epsilon in (1e-5, 0.5):
        copied = tmp_path / "copy"
        shutil.rmtree(copied, ignore_errors=True)
        shutil.copytree(folder("causal-1.0"), copied)
        config = json.loads((copied / "config.json").read_text())
        (copied / "config.json").write_text(json.dumps({**config, "layer_norm_epsilon": epsilon}))
        run = study.score(str(copied), options(tmp_path / "out"))
        values_seen.append(values(run)["planted_pairs", "crows_pairs_margin"])
        folders.append(run.folder)
    assert values_seen[0] != values_seen[1] and folders[0] != folders[1]


def test_a_folder_is_the_same_model_however_it_is_spelled(tmp_path, monkeypatch, loads):
    from fairbench.planted import folder

    shutil.copytree(folder("causal-1.0"), tmp_path / "models" / "mine")
    monkeypatch.chdir(tmp_path / "models" / "mine")
    names = (".", str(tmp_path / "models" / "mine"), "../mine/")
    assert len({study.score(name, options(tmp_path / "out")).folder for name in names}) == 1
    assert len(loads) == 1


def test_an_edited_metric_is_measured_again(tmp_path):
    path = tmp_path / "more" / "metrics" / "mine.py"
    path.parent.mkdir(parents=True)
    text = (
        "import numpy as np\nfrom fairbench.metrics.crows_pairs import SHARE as INFO\n"
        "def mine(answers, weights):\n    return np.full(len(weights), {value})\n"
    )
    seen = []
    for value in (10.0, 20.0):
        path.write_text(text.format(value=value))
        run = study.score(MODEL, options(tmp_path / "out", metrics=("mine",), include_path=(tmp_path / "more",)))
        assert not run.failed, run.failed
        seen.append(values(run)["planted_pairs", "mine"])
    assert seen == [10.0, 20.0]


def test_an_edited_task_is_asked_again(tmp_path):
    path = tmp_path / "more" / "tasks" / "mine.py"
    path.parent.mkdir(parents=True)
    text = (
        "from fairbench.records import Pair\nfrom fairbench.tasks.planted import INFO as ALL\nimport dataclasses\n"
        "INFO = dataclasses.replace(ALL['planted_pairs'], title='mine')\n"
        "def records(rows, task):\n    for r in rows:\n        yield Pair(id=r['id'], more=r['{more}'], less=r['{less}'])\n"
    )
    seen = []
    for more, less in (("more", "less"), ("less", "more")):
        path.write_text(text.format(more=more, less=less))
        run = study.score(MODEL, options(tmp_path / "out", tasks=("mine",), include_path=(tmp_path / "more",)))
        seen.append(values(run)["mine", "crows_pairs_margin"])
    assert seen[0] == pytest.approx(-seen[1])


def test_one_failing_metric_keeps_its_siblings(tmp_path):
    path = tmp_path / "more" / "metrics" / "breaks.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "from fairbench.metrics.crows_pairs import SHARE as INFO\ndef breaks(answers, weights):\n    raise KeyError('nothing')\n"
    )
    run = study.score(MODEL, options(tmp_path / "out", metrics=("breaks", "crows_pairs"), include_path=(tmp_path / "more",)))
    assert "KeyError" in run.failed["planted_pairs/breaks"] and "breaks.py" in run.failed["planted_pairs/breaks"]
    assert list(values(run)) == [("planted_pairs", "crows_pairs")]
    assert (run.folder / "results.json").exists()


def test_broken_and_foreign_files_in_a_results_folder_are_no_obstacle(tmp_path):
    run = study.score(MODEL, options(tmp_path))
    path = run.folder / "planted_pairs" / "crows_pairs.json"
    whole = path.read_text()
    path.write_text(whole[:100])
    (run.folder / "notes").mkdir()
    (run.folder / "notes" / "mine.json").write_text("{}")
    again = study.score(MODEL, options(tmp_path))
    assert not again.failed and values(again) == values(run)
    assert json.loads(path.read_text())["score"] == json.loads(whole)["score"]


def test_what_is_not_the_default_has_a_file_of_its_own(tmp_path):
    study.score(MODEL, options(tmp_path))
    from fairbench.measurement import MeasureOptions

    study.score(MODEL, options(tmp_path, measure=MeasureOptions(draws=0)))
    names = {p.name for p in tmp_path.rglob("crows_pairs*.json")}
    assert {"crows_pairs.json", "crows_pairs@draws=0.json"} <= names


def test_a_share_as_limit_is_taken_of_each_stratum(tmp_path):
    run = study.score(MODEL, options(tmp_path, tasks=("planted_associations",), limit=0.5))
    total = next(r for r in run.results).task["n_total"]
    assert run.results[0].task["n"] == pytest.approx(total / 2, abs=4)


def test_a_parser_that_breaks_fails_its_task_only(tmp_path):
    path = tmp_path / "more" / "tasks" / "mine.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "from fairbench.tasks.planted import INFO as ALL\nINFO = ALL['planted_pairs']\n"
        "def records(rows, task):\n    for r in rows:\n        yield r['no such column']\n"
    )
    run = study.score(MODEL, options(tmp_path / "out", tasks=("mine", "planted_pairs"), include_path=(tmp_path / "more",)))
    assert "KeyError" in run.failed["mine"] and len(run.results) == 2


def test_a_trial_does_not_replace_the_full_numbers(tmp_path):
    full = study.score(MODEL, options(tmp_path))
    study.score(MODEL, options(tmp_path, limit=4))
    shaped = json.loads((full.folder / "results.json").read_text())
    assert shaped["results"]["planted_pairs"]["crows_pairs_margin,none"] == values(full)["planted_pairs", "crows_pairs_margin"]
    assert "crows_pairs_margin@limit=4,none" in shaped["results"]["planted_pairs"]
    assert shaped["n-samples"]["planted_pairs"]["effective"] == full.results[0].task["n"]


def test_metrics_without_tasks_are_scored_where_they_belong(tmp_path):
    plan = make_plan("planted:causal-1.0", ScoreOptions(metrics=("weat", "seat"), output_path=tmp_path))
    for ask in plan.asks:
        assert [m.name for m in ask.metrics] == [ask.task.name.split("_")[0]]


def test_a_suite_goes_on_without_absent_data(tmp_path, monkeypatch):
    monkeypatch.delenv("FAIRBENCH_DATA", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    run = study.score(MODEL, ScoreOptions(suite="quick", output_path=tmp_path))
    assert {r.task["name"] for r in run.results} == {"weat_6", "weat_7"}
    assert "crows_pairs_anonymized.csv" in run.skipped["crows_pairs"]
    with pytest.raises(FairbenchError, match="absent too"):
        study.score(MODEL, options(tmp_path, tasks=("crows_pairs", "crows_pairs_revised", "weat_6")))


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), 1.5, -1])
def test_a_limit_is_a_count_or_a_share(tmp_path, limit):
    with pytest.raises(FairbenchError, match="--limit"):
        study.score(MODEL, options(tmp_path, limit=limit))


def test_two_processes_share_one_piece_of_work(tmp_path):
    import subprocess
    import sys

    script = (
        "import sys; from pathlib import Path; from fairbench import asked, study; from fairbench.plan import ScoreOptions\n"
        "asked.PART_RECORDS = 4\n"
        f"run = study.score({MODEL!r}, ScoreOptions(tasks=('planted_pairs',), output_path=Path(sys.argv[1])))\n"
        "assert not run.failed, run.failed\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert not [p for p in tmp_path.rglob("*") if ".parts" in p.name]


def test_a_table_of_answers_is_read_once_for_all_its_metrics(tmp_path, monkeypatch):
    reads = []
    real = AnswerStore.read
    monkeypatch.setattr(AnswerStore, "read", lambda self: reads.append(self.key) or real(self))
    run = study.score(MODEL, options(tmp_path, tasks=("planted_cloze",)))
    assert len(run.results) == 4 and len(reads) == 1
    study.score(MODEL, options(tmp_path, tasks=("planted_cloze",)))
    assert len(reads) == 1, "results that are there need no answers"
