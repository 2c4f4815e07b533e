"""Reports from folders of results: what is in them, what is drawn, what could not be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import fairbench
from fairbench import FairbenchError
from fairbench.cli import app
from fairbench.reporting.assembling import ReportOptions, assemble
from fairbench.reporting.plate import Plate
from fairbench.reporting.plates import unique_names
from fairbench.reporting.writing import write_report
from fairbench.results import SCHEMA


def pairs(mean: float, n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(n)],
            "group": ["age" if i % 2 else "faith" for i in range(n)],
            "more": [f"more {i}" for i in range(n)],
            "less": [f"less {i}" for i in range(n)],
            "score_more": rng.normal(mean, 1, n),
            "score_less": 0.0,
        }
    )


def passages(loss: float) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    counts = {"tokens": 10, "words": 8, "bytes": 40}
    return pd.DataFrame(
        {"id": [f"d{i}" for i in range(20)], "text": "w", "log_likelihood": -10 * loss + rng.normal(0, 0.2, 20), **counts}
    )


@pytest.fixture
def root(write, tmp_path) -> Path:
    for name, mean in (("before", 1.0), ("after", 0.1)):
        write(name, "crows_pairs", pairs(mean))
        write(name, "crows_pairs_margin", pairs(mean))
        write(name, "perplexity", passages(2.0 + mean / 50), task="made_texts")
    return tmp_path / "results"


OPTIONS = ReportOptions(baseline="before")


def quick(options: ReportOptions = OPTIONS, **changes: object) -> ReportOptions:
    import dataclasses

    return dataclasses.replace(options, compare=dataclasses.replace(options.compare, draws=200), **changes)  # type: ignore[arg-type]


def test_a_report_holds_every_number_and_where_it_is_from(root):
    report, drawn = assemble([root], quick())
    assert set(report.table["model"]) == {"before", "after"} and len(report.table[report.table["part"] == "whole"]) == 6
    assert set(report.results) == set(report.table["file"]) and report.models["after"]["name"] == "after"
    one = report.results["before-" + next(root.glob("before-*")).name[-8:] + "/made_pairs/crows_pairs.json"]
    assert {"metric", "task", "probe", "judges", "answers", "run", "model"} <= set(one)
    assert report.comparisons is not None and len(report.comparisons.comparisons[0].differences) == 3
    assert report.tradeoff is not None and report.tradeoff.bias == "made_pairs/crows_pairs"
    assert report.correlations is None and report.faults == ()
    sections = {one.figure.section for one in drawn}
    assert sections == {"scores", "groups", "comparison", "tradeoff"}
    names = [one.figure.name for one in drawn]
    assert len(names) == len(set(names)) and "heatmap" in names and "compared-after" in names
    assert all(one.figure.title and one.figure.caption and one.figure.described for one in drawn)


def test_examples_are_shown_once_a_table_of_answers_with_a_notice(root):
    report, _ = assemble([root], quick(figures=False, examples=2))
    files = sorted(report.examples)
    assert len(files) == 2 and all("/made_pairs/" in file for file in files)  # two models, one table each
    found = report.examples[files[0]]
    assert found.n == 60 and found.notice and 4 <= len(found.examples) <= 6
    margins = [float(one.fields["margin"].split()[0]) for one in found.examples]
    table = pairs(0.1 if "after" in files[0] else 1.0)
    assert max(margins) == pytest.approx(table["score_more"].max(), abs=1e-3)
    assert min(margins) == pytest.approx(table["score_more"].min(), abs=1e-3)
    assert assemble([root], quick(figures=False, examples=0))[0].examples == {}


def test_without_a_baseline_nothing_is_compared_and_it_says_so(root):
    report, _ = assemble([root], quick(figures=False, baseline=None))
    assert report.comparisons is None and any("--baseline MODEL" in note for note in report.notes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"baseline": "befor"}, r"--baseline befor: there are no results of this model. Did you mean before\?"),
        ({"against": ("nobody",)}, "--against nobody: there are no results"),
        ({"baseline": None, "against": ("after",)}, "Name a --baseline"),
        ({"against": ("before",)}, "that is the baseline"),
    ],
    ids=["baseline", "against", "alone", "itself"],
)
def test_models_that_are_not_there_are_refused(root, changes, words):
    with pytest.raises(FairbenchError, match=words):
        assemble([root], quick(**changes))


def test_the_folder_of_a_report(root, tmp_path):
    report, drawn = assemble([root], quick())
    written = write_report(report, drawn, tmp_path / "report", ("svg", "png", "pdf"))
    files = {path.relative_to(tmp_path / "report").as_posix() for path in written.files}
    there = {p.relative_to(tmp_path / "report").as_posix() for p in (tmp_path / "report").rglob("*") if p.is_file()}
    assert there == files | {"written.json"}
    assert {"index.html", "tables/results.parquet", "figures/heatmap.pdf", "cards/after/README.md"} <= files
    assert written.refused == {} and written.page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    with pytest.raises(FairbenchError, match="--formats gif"):
        write_report(report, drawn, tmp_path / "report", ("gif",))


def test_a_second_report_leaves_nothing_of_the_first_and_all_of_others(root, tmp_path):
    folder = tmp_path / "report"
    fairbench.report(root, folder, baseline="before")
    (folder / "my-notes.txt").write_text("mine")
    written = fairbench.report(next(root.glob("after-*")), folder, formats=(), examples=0)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == {path.relative_to(folder).as_posix() for path in written.files} | {"written.json", "my-notes.txt"}
    assert not (folder / "figures").exists() and len(repr(written)) < 300 > len(repr(written.report))


def test_a_model_with_a_trial_gets_no_card(root, write, tmp_path):
    write("after", "crows_pairs", pairs(0.1, 20), limit=20, name="crows_pairs@limit=20.json")
    report, drawn = assemble([root], quick(figures=False))
    written = write_report(report, drawn, tmp_path / "report")
    assert set(written.refused) == {"after"} and "limit" in written.refused["after"]
    assert any("trials over some of the records" in note for note in report.notes)


def broken(root: Path) -> dict[str, Path]:
    """The results made bad in every way, by what is wrong."""
    after = next(root.glob("after-*"))
    files = {"cut": after / "made_pairs" / "crows_pairs.json", "newer": after / "made_pairs" / "crows_pairs_margin.json"}
    files["cut"].write_text(files["cut"].read_text()[:200])
    content = json.loads(files["newer"].read_text())
    files["newer"].write_text(json.dumps({**content, "schema": SCHEMA + 1}))
    files["changed"] = after / "made_texts" / "perplexity.json"
    answers = after / json.loads(files["changed"].read_text())["answers"]["path"]
    answers.write_bytes(answers.read_bytes() + b"x")
    return files


def test_bad_files_are_named_the_rest_is_reported_and_the_exit_code_is_one(root, tmp_path):
    files = broken(root)
    empty = tmp_path / "empty"
    empty.mkdir()
    arguments = ["report", str(root), str(empty), "--output-path", str(tmp_path / "report"), "--draws", "200", "--formats", ""]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    said = done.output.replace("\n", "")
    assert all(str(path) in said for path in (*files.values(), empty))
    assert "3 results of 1 model" in said
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert all(path.name in page for path in files.values())


def test_a_folder_without_results_reports_nothing(tmp_path):
    (tmp_path / "empty").mkdir()
    done = CliRunner().invoke(app, ["report", str(tmp_path / "empty"), "--output-path", str(tmp_path / "report")])
    assert done.exit_code == 1 and "there are no results in this folder" in done.output.replace("\n", " ")
    assert not (tmp_path / "report" / "index.html").exists()
    with pytest.raises(FairbenchError, match="nothing to report"):
        fairbench.report(tmp_path / "empty", tmp_path / "report")


def test_the_python_verb(root, tmp_path):
    written = fairbench.report(root, tmp_path / "report", formats=(), examples=0)
    assert written.page.is_file() and len(written.report.table) > 6


def test_names_of_figures_are_fit_for_files_and_differ():
    plates = [Plate(name, "scores", lambda ax: ax, "", "") for name in ("a/b", "a:b", "../x", "\u202e" * 300, "")]
    names = [plate.name for plate in unique_names(plates)]
    assert names == ["a-b", "a-b-2", "x", "figure", "figure-2"]


def test_a_report_is_the_same_twice_but_for_its_date(root):
    one, other = (assemble([root], quick()) for _ in range(2))
    assert [d.figure for d in one[1]] == [d.figure for d in other[1]]
    assert one[0].table.equals(other[0].table)
