"""The command line as a user meets it: output, exit codes, error paragraphs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

COMMAND = [str(Path(sys.executable).parent / "fairbench")]
MODEL = "planted:causal-1.0"


def run(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        text=True,
        capture_output=True,
        env={**os.environ, "COLUMNS": "200", **environment},
    )


def refused(*arguments: object, **keywords: object) -> str:
    """The error paragraph of a request that must be refused: exit code 2, one paragraph, no traceback."""
    done = run(*arguments, **keywords)  # type: ignore[arg-type]
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    text = done.stderr.strip()
    assert text.startswith("fairbench: ") and "\n" not in text and "Traceback" not in text, text
    return text


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    rows = [
        {"score_more": -10.0, "score_less": -11.0},
        {"score_more": -9.0, "score_less": -9.5},
        {"score_more": -8.5, "score_less": -8.0},
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_measure_gives_the_formula_and_nothing_else_on_standard_output(pairs):
    done = run("measure", "crows_pairs", pairs, "--json")
    assert done.returncode == 0
    content = json.loads(done.stdout)
    assert content["score"]["value"] == pytest.approx(200 / 3, abs=1e-9)
    assert content["score"]["n"] == 3 and content["score"]["counts"]["prefer_stereotype"] == 2


def test_measure_weat_on_any_vectors(tmp_path):
    sets = {
        "target_x": [[1, 0], [0.8, 0.2], [0.9, -0.1]],
        "target_y": [[0, 1], [0.1, 0.9], [-0.2, 1]],
        "attribute_a": [[1, 0.1], [0.9, 0.3]],
        "attribute_b": [[0.1, 1], [0.2, 0.8]],
    }
    rows = [{"role": role, "vector": v} for role, vectors in sets.items() for v in vectors]
    frame = pd.DataFrame(rows)
    frame.to_parquet(tmp_path / "v.parquet")
    frame.assign(vector=[json.dumps(v) for v in frame["vector"]]).to_csv(tmp_path / "v.csv", index=False)
    (tmp_path / "v.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    for name in ("v.parquet", "v.csv", "v.jsonl"):
        score = json.loads(run("measure", "weat", tmp_path / name, "--json").stdout)["score"]
        assert score["value"] == pytest.approx(1.807313106, abs=1e-9)
        assert score["p_published"] == pytest.approx(0.05, abs=1e-12)


def test_measure_as_a_table(pairs):
    done = run("measure", "crows_pairs", pairs)
    assert done.returncode == 0
    assert "66.67" in done.stdout and "ideal 50" in done.stdout


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", "", "no rows"),
        ("a.jsonl", '{"score_more": -1, "score_less": -2}\n{"score_more": -1, "score', "row 2"),
        ("a.jsonl", '{"score_more": "much", "score_less": -2}', "Row 1, column 'score_more'"),
        ("a.csv", "score_more,score_less\n-1,-2\n-1,-2,-3\n", "row 2"),
        ("a.csv", "score_more,score_lesss\n-1,-2\n", "Did you mean score_lesss"),
        ("a.parquet", "not parquet", "no readable Parquet"),
        ("a.txt", "x", "wanted .parquet, .jsonl"),
    ],
)
def test_malformed_answers_are_refused_with_their_place(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_text(content)
    assert said in refused("measure", "crows_pairs", path)


def test_score_prints_value_interval_ideal_n_and_where_it_is_saved(tmp_path):
    done = run("score", MODEL, "--tasks", "planted_pairs", "--output-path", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for word in ("value", "interval", "ideal", "crows_pairs_margin", "Saved in"):
        assert word in done.stdout
    again = run("score", MODEL, "--tasks", "planted_pairs", "--output_path", tmp_path / "out", "--json")
    values = {r["metric"]["name"]: r["score"]["value"] for r in json.loads(again.stdout)}
    assert set(values) == {"crows_pairs", "crows_pairs_margin"}
    quiet = run("score", MODEL, "--tasks", "planted_pairs", "--output-path", tmp_path / "out", "--quiet")
    assert quiet.stdout == "" and quiet.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("score", MODEL, "--tasks", "crows_pair"), "Did you mean crows_pairs"),
        (("score", MODEL, "--metrics", "waet"), "Did you mean weat"),
        (("score", MODEL, "--limit", "0"), "--limit 0"),
        (("score", "planted:causal-3"), "causal-"),
        (("score", "no/such/folder/at-all"), "does not exist"),
        (("score", "."), "config.json"),
        (("score", MODEL, "--tasks", "planted_pairs", "--output-path", "/proc/nowhere"), "--output-path /proc/nowhere"),
        (("score", MODEL, "--tasks", "crows_pairs"), "crows_pairs_anonymized.csv"),
        (("describe", "crows"), "crows_pairs"),
        (("list", "metric"), "Did you mean metrics"),
        (("measure", "crows_pears", "x.jsonl"), "Did you mean crows_pairs"),
    ],
)
def test_wrong_requests_end_with_one_paragraph_and_code_2(tmp_path, arguments, said):
    assert said in refused(*arguments, cwd=tmp_path, FAIRBENCH_DATA="", HF_HUB_OFFLINE="1")


def test_lists_and_cards(tmp_path):
    assert "weat_6" in run("list", "tasks").stdout
    assert "stereoset_icat" in run("list", "metrics").stdout
    assert "quick" in run("list", "suites").stdout
    card = run("describe", "weat").stdout
    for word in ("ideal", "direction", "threats", "cite", "formula"):
        assert word in card
    assert json.loads(run("describe", "task:crows_pairs", "--json").stdout)["task"]["licence"]
    assert {row["name"] for row in json.loads(run("list", "planted", "--json").stdout)} >= {"causal-0.0", "masked-1.0"}


def test_dry_run_does_nothing(tmp_path):
    done = run("score", MODEL, "--suite", "planted", "--dry-run", "--output-path", tmp_path / "out", "--json")
    assert {row["task"] for row in json.loads(done.stdout)} >= {"planted_pairs", "planted_cloze"}
    assert not (tmp_path / "out").exists()


def test_data_status_and_check_on_shipped_sets():
    rows = json.loads(run("data", "status", "--tasks", "planted_pairs", "--json").stdout)
    assert rows[0]["state"] == "ready"
    rows = json.loads(run("data", "check", "--tasks", "planted_pairs,weat_6", "--json").stdout)
    assert [row["error"] for row in rows] == ["", ""] and rows[1]["records"] == 32
