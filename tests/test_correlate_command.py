"""`fairbench correlate`: from folders of results to a line a pair; what can't be correlated is refused in one paragraph."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import typer
from scipy import stats
from typer.testing import CliRunner, Result

from fairbench.correlate_command import correlate
from fairbench.errors import FairbenchError

MODELS = {"one": (9, 2), "two": (7, 8), "three": (5, 4), "four": (6, 6), "five": (10, 10)}
"""By model: of ten pairs those where the stereotype is preferred, and of ten men those in the positive class; no woman is."""


def pairs(stereotyped: int) -> pd.DataFrame:
    rows = pd.DataFrame({"id": [f"p{k}" for k in range(10)], "group": None, "cluster": None, "stratum": None})
    return rows.assign(score_more=[float(k < stereotyped) for k in range(10)], score_less=0.5)


def decisions(men: int) -> pd.DataFrame:
    rows = pd.DataFrame({"id": [f"d{k}" for k in range(20)], "group": ["male"] * 10 + ["female"] * 10, "stratum": None})
    return rows.assign(cluster=None, prediction=[int(k < men) for k in range(20)])


@pytest.fixture
def results(write: Callable[..., Path]) -> Path:
    for model, (stereotyped, men) in MODELS.items():
        path = write(model, "crows_pairs", pairs(stereotyped), task="gender_pairs")
        write(model, "demographic_parity_difference", decisions(men), task="made_bios")
    return path.parents[2]


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(correlate)
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["--draws", "100", *map(str, arguments)])
    if isinstance(done.exception, FairbenchError):
        raise done.exception
    return done


def test_json_and_file_hold_the_same_pair(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "found.json"
    done = run(results, "--json", "--output-path", out)
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert content == json.loads(out.read_text(encoding="utf-8"))
    (pair,) = content["pairs"]
    x, y = [40, 20, 0, 10, 50], [0.2, 0.8, 0.4, 0.6, 1.0]  # |score - 50|, and the gap
    order = sorted(range(5), key=list(MODELS).__getitem__)
    assert pair["labels"] == sorted(MODELS) and pair["x"] == pytest.approx([x[k] for k in order])
    assert pair["y"] == pytest.approx([y[k] for k in order])
    assert pair["pearson"] == pytest.approx(stats.pearsonr(x, y).statistic)
    assert pair["spearman"] == pytest.approx(0.4)  # ranks 4 3 1 2 5 and 1 4 2 3 5: 1 - 6 * 12 / (5 * 24)
    assert content["results"] == 10 and content["faults"] == []


def test_the_table_says_what_it_rests_on(results: Path) -> None:
    done = run(results, "--aligned")
    assert done.exit_code == 0, done.output
    assert "1 intrinsic and 1 extrinsic scores of 5 models: 1 pairs, 5 models each" in done.output
    line = next(line for line in done.output.splitlines() if line.startswith("gender_pairs/crows_pairs"))
    assert "made_bios/demographic_parity_difference" in line and " gender " in line and line.rstrip().endswith("5")
    assert "fewer than 8" in done.output and "must reach 0.878" in " ".join(done.output.split())


def test_lines_are_sorted_by_the_size_of_rho(results: Path, write: Callable[..., Path]) -> None:
    for number, model in enumerate(MODELS):
        write(model, "crows_pairs", pairs(10 - number), task="falling")
        write(model, "crows_pairs", pairs(7), task="level")
    lines = [line.split() for line in run(results).output.splitlines() if "/crows_pairs" in line]
    rho = [line[3] for line in lines]
    assert len(lines) == 3 and rho[-1] == "undefined"
    assert [abs(float(value)) for value in rho[:2]] == sorted((abs(float(value)) for value in rho[:2]), reverse=True)


def test_a_broken_file_is_told_and_the_rest_stands(results: Path) -> None:
    broken = next(results.glob("one-*/gender_pairs/crows_pairs.json"))
    broken.write_text("{", encoding="utf-8")
    done = run(results)
    assert done.exit_code == 1 and "scores of 4 models" in done.output and "can't be read" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--metrics", "crows_pairs"], "There are no extrinsic scores.*--suite extrinsic"),
        (["--metrics", "crow_pairs"], "Did you mean crows_pairs"),
        (["--output-path", "."], "--output-path . is a folder"),
    ],
)
def test_bad_requests_are_refused(results: Path, arguments: list[str], said: str) -> None:
    with pytest.raises(FairbenchError, match=said):
        run(results, *arguments)


def test_two_models_are_too_few(write: Callable[..., Path]) -> None:
    for model in ("one", "two"):
        path = write(model, "crows_pairs", pairs(6), task="gender_pairs")
        write(model, "demographic_parity_difference", decisions(3), task="made_bios")
    with pytest.raises(FairbenchError, match="2 of 2 models have intrinsic and extrinsic scores; wanted at least 3"):
        run(path.parents[2])
    with pytest.raises(FairbenchError, match="nowhere does not exist"):
        run("nowhere")
