"""A run killed with SIGKILL at random moments ends, when repeated, with the same numbers and no half-written file."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from fairbench.results import read_result

SCRIPT = """
import sys
from pathlib import Path
from fairbench import asked, study
from fairbench.plan import ScoreOptions
asked.PART_RECORDS = 4  # many parts, so that kills fall between and inside them
study.score("planted:causal-0.5", ScoreOptions(suite="planted", output_path=Path(sys.argv[1])))
"""


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder)], env={**os.environ, "OMP_NUM_THREADS": "1"})


def results_in(folder: Path) -> list[Path]:
    """What was measured; beside it lie what the model answered and what the judges said of that."""
    return [p for p in sorted(folder.glob("*/*/*.json")) if p.parent.name not in ("answers", "judged")]


def numbers(folder: Path) -> dict[str, object]:
    return {str(p.relative_to(folder)): json.loads(p.read_text())["score"] for p in results_in(folder)}


def files(folder: Path) -> list[Path]:
    return [Path(root) / name for root, _, names in os.walk(folder) for name in names]  # os.walk bears folders that vanish


def kill_after(folder: Path, new_files: int) -> bool:
    """Starts the run and kills it once so many files have come; false where it ended before."""
    before, process = len(files(folder)), start(folder)
    while process.poll() is None:
        if len(files(folder)) >= before + new_files:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    return process.wait() == -signal.SIGKILL


@pytest.mark.slow
def test_killed_at_any_point_the_same_command_ends_with_the_same_numbers(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(whole).wait() == 0
    rng = random.Random(0)
    kills = 0
    for _ in range(8):
        kills += kill_after(killed, rng.choice((1, 2, 5, 9, 14)))
        for path in files(killed):
            if path.suffix == ".json" and not path.name.startswith("."):
                json.loads(path.read_text())
            if path.suffix == ".parquet" and not path.name.startswith("."):
                pd.read_parquet(path)
    assert kills >= 5
    assert start(killed).wait() == 0
    assert numbers(killed) == numbers(whole) and len(numbers(whole)) > 5
    assert {p.name for p in files(killed)} == {p.name for p in files(whole)}, "a kill left something behind"
    for path in results_in(killed):
        read_result(path)
