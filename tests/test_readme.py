"""What the README says works: its metric, its task, its commands on shipped models, and the tree that it draws."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.S)
SHELL = [line.split("#")[0].strip() for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
PYTHON = [text for kind, text in BLOCKS if kind == "python"]


def run(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(shlex.split(line), cwd=cwd, text=True, capture_output=True, env={**os.environ, "PATH": path})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the README's own metric and task, and data for that task."""
    data = "more,less\nthe nurse said that she was here .,the nurse said that he was here .\n" * 1
    data += "the pilot said that he was late .,the pilot said that she was late .\n"
    (tmp_path / "offices.csv").write_text(data)
    digest = hashlib.sha256(data.encode()).hexdigest()
    for text in PYTHON:
        named = re.match(r"# (my/\S+)\n", text)
        if named:
            path = tmp_path / named.group(1)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("SHA256 OF THE FILE", digest))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in SHELL if "--include-path" in line])
def test_own_metric_and_task_run_as_shown(folder, line):
    done = run(line, folder)
    assert done.returncode == 0, done.stderr
    assert "Saved in" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in SHELL if re.match(r"fairbench (list|describe|data)", line)])
def test_commands_without_a_model_run_as_shown(tmp_path, line):
    done = run(line.replace("--data-dir DATA", ""), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("line", [line for line in SHELL if line.startswith("fairbench ")])
def test_every_flag_of_the_readme_exists(line, tmp_path):
    command = shlex.split(line)
    words = 3 if command[1] in ("data", "planted") else 2
    shown = run(" ".join(command[:words]) + " --help", tmp_path).stdout
    for flag in (word for word in command if word.startswith("--")):
        assert flag in shown, flag


@pytest.mark.slow
def test_the_python_example_runs(tmp_path):
    text = next(t for t in PYTHON if "import fairbench" in t)
    frame = "import pandas as pd\nrun_of_another_tool = pd.DataFrame({'score_more': [-1.0, -2.0], 'score_less': [-2.0, -1.0]})\n"
    done = subprocess.run([sys.executable, "-c", frame + text], cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert "planted_pairs" in done.stdout


def test_the_tree_names_what_is_there():
    tree = next(text for kind, text in BLOCKS if not kind and text.startswith("fairbench/"))
    for line in tree.splitlines():
        for name in re.findall(r"(?<![\w./])(?:tests/)?\w+(?:\.py|\.md|/)", line[:34]):
            inside = ROOT / "fairbench" / name if line.startswith("  ") else ROOT / name
            assert inside.exists(), name


def test_the_licence_stands_in_the_tree():
    assert "Apache License" in (ROOT / "LICENSE").read_text()
