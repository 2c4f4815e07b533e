"""`fairbench compare`: what is printed, what is saved, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from fairbench.cli import app
from fairbench.errors import FairbenchError


def pairs(mean: float, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sentences = {"more": [f"m{i}" for i in range(60)], "less": [f"l{i}" for i in range(60)]}
    margins = rng.normal(mean, 1, 60)
    return pd.DataFrame({"id": [f"p{i}" for i in range(60)], "score_more": margins, "score_less": 0.0, **sentences})


@pytest.fixture
def root(write, tmp_path) -> Path:
    for metric in ("crows_pairs", "crows_pairs_margin"):
        write("before", metric, pairs(1.0))
        write("after", metric, pairs(0.1))
    return tmp_path / "results"


def run(*arguments: object):
    return CliRunner().invoke(app, ["compare", *map(str, arguments), "--draws", "300"])


def test_the_table_says_everything_and_the_flips_are_listed(root):
    done = run("before", "after", "--results-path", root, "--flips", 1)
    assert done.exit_code == 0, done.output
    for words in ("after beside before", "difference", "Holm p", "MDE", "60 records", "differs: closer to the ideal"):
        assert words in done.output
    assert "NFR" in done.output and "more (--flips" in done.output and "what the change cost is not known" in done.output


def test_json_is_json_and_equals_the_saved_file(root, tmp_path):
    done = run("before", "after", "--results-path", root, "--json", "--output-path", tmp_path / "c.json")
    said = json.loads(done.output)
    assert said == json.loads((tmp_path / "c.json").read_text())
    assert said["comparisons"][0]["differences"][0]["verdict"] == "differs" and said["passed"] is None


def test_gates_exit_with_three_and_only_with_gate(root):
    margin = ("--margin", "crows_pairs_margin=0.1")
    assert run("before", "after", "--results-path", root, *margin, "--gate").exit_code == 0
    failing = run("after", "before", "--results-path", root, *margin, "--gate")
    assert failing.exit_code == 3 and "Gate: NOT passed by before: made_pairs/crows_pairs_margin" in failing.output
    assert run("after", "before", "--results-path", root, *margin).exit_code == 0


def test_wrong_requests_are_one_paragraph(root):
    for arguments, words in (
        (("before", "after", "--gate"), "nothing to hold the models to"),
        (("before", "after", "--margin", "crows_pairs"), "wanted NAME=x with a number"),
        (("before", "after", "--margin", "crows_pairs=1", "--margin", "crows_pairs=2"), "given twice"),
        (("before", "nobody"), "There are no results of 'nobody'"),
    ):
        done = run(*arguments, "--results-path", root)
        assert isinstance(done.exception, FairbenchError) and words in str(done.exception)
        assert "\n" not in str(done.exception)


def test_a_broken_file_is_named_the_rest_is_compared_and_the_exit_code_is_one(root):
    broken = next(root.glob("after-*/made_pairs/crows_pairs.json"))
    broken.write_text(broken.read_text()[:100])
    done = run("before", "after", "--results-path", root)
    assert done.exit_code == 1 and str(broken) in done.output.replace("\n", "") and "crows_pairs_margin" in done.output
