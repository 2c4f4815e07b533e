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
from fairbench import study
from fairbench.plan import ScoreOptions
study.PART_RECORDS = 4  # many parts, so that kills fall between and inside them
study.score("planted:causal-0.5", ScoreOptions(suite="planted", output_path=Path(sys.argv[1])))
"""


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder)], env={**os.environ, "OMP_NUM_THREADS": "1"})


def numbers(folder: Path) -> dict[str, object]:
    return {
        str(p.relative_to(folder)): json.loads(p.read_text())["score"]
        for p in sorted(folder.glob("*/*/*.json"))
        if p.parent.name != "answers"
    }


@pytest.mark.slow
def test_killed_at_any_point_the_same_command_ends_with_the_same_numbers(tmp_path):
    whole = tmp_path / "whole"
    begun = time.perf_counter()
    assert start(whole).wait() == 0
    lasted = time.perf_counter() - begun
    killed = tmp_path / "killed"
    rng = random.Random(0)
    kills = 0
    for _ in range(12):
        process = start(killed)
        time.sleep(rng.uniform(0.3, 1.0) * lasted)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        for path in killed.rglob("*.json"):
            if not path.name.startswith("."):
                json.loads(path.read_text())
        for path in killed.rglob("*.parquet"):
            if not path.name.startswith("."):
                pd.read_parquet(path)
    assert kills >= 3
    assert start(killed).wait() == 0
    assert numbers(killed) == numbers(whole) and len(numbers(whole)) > 5
    assert not [p for p in killed.rglob("*") if ".parts" in p.name]
    for path in killed.glob("*/*/*.json"):
        if path.parent.name != "answers":
            read_result(path)
