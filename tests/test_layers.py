"""The order of the rooms, read from the imports; and that looking at cards needs no heavy library."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = (
    (
        "errors",
        "records",
        "scores",
        "stats",
        "association",
        "groups",
        "decisions",
        "chosen",
        "disparity",
        "ranks",
        "correlations",
        "quality",
        "refusals",
        "resampling",
        "slots",
        "splits",
        "tables",
        "metric",
        "measurement",
        "files",
        "parsers",
    ),
    ("registry", "data", "reading", "sources", "models", "results", "answers", "asked", "contexts", "corpora", "counterfactual"),
    ("probes", "judges", "training"),
    ("mitigation", "planted", "plan", "naming", "judging", "preparation", "asking", "study", "sweeps", "engine"),
    (
        "wording",
        "collection",
        "tidy",
        "comparison",
        "reporting",
        "verification",
        "changes",
        "kept",
        "evidence",
        "environment",
        "tracking",
        "validate",
        "demo",
        "agreement",
        "following",
        "judgements",
    ),
    (
        "__main__",
        "cli",
        "score_command",
        "agreement_command",
        "judge_command",
        "mitigate_command",
        "swap_command",
        "compare_command",
        "correlate_command",
        "report_command",
        "verify_command",
        "console",
        "cards",
        "flags",
        "layout",
    ),
)
RANK = {room: rank for rank, layer in enumerate(LAYERS) for room in layer}
FOUNDATION = set(LAYERS[0])
LIGHT = {*sys.stdlib_module_names, "numpy", "fairbench"}

CORE = sorted((ROOT / "fairbench").rglob("*.py"))
CONTENT = sorted((ROOT / "metrics").glob("*.py")) + sorted((ROOT / "tasks").glob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def statements(tree: ast.AST, inside_functions: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements that run, with or without those that wait in a function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif is_type_checking(node):
            yield from (s for branch in node.orelse for s in statements(ast.Module([branch], []), inside_functions))
        elif inside_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from statements(node, inside_functions)


def imported(path: Path, inside_functions: bool = True) -> set[str]:
    """Dotted names that a file imports; `from a import b` gives a.b, which may be a module or a thing of one."""
    found = set()
    for node in statements(ast.parse(path.read_text(encoding="utf-8")), inside_functions):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            assert node.level == 0, f"{name(path)}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms(names: set[str]) -> set[str]:
    """First part below fairbench of the names that lie there."""
    return {n.split(".")[1] for n in names if n.startswith("fairbench.")}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "fairbench").parts[0].removesuffix(".py")


HOUSE = [path for path in CORE if path != ROOT / "fairbench" / "__init__.py"]


@pytest.mark.parametrize("path", HOUSE, ids=name)
def test_no_arrow_goes_up(path: Path):
    room = room_of(path)
    assert room in RANK, f"{room} has no place in LAYERS"
    named = {r for r in rooms(imported(path)) if r in RANK}
    upward = {r for r in named if RANK[r] > RANK[room]}
    assert not upward, f"{name(path)} imports {upward} from above"


@pytest.mark.parametrize("path", HOUSE, ids=name)
def test_only_the_command_line_prints(path: Path):
    assert "console" not in rooms(imported(path)) or room_of(path) in ("__main__", "cli") or room_of(path).endswith("_command")


@pytest.mark.parametrize("path", CORE, ids=name)
def test_the_core_names_no_metric_and_no_task(path: Path):
    assert not {n for n in imported(path) if n.startswith(("fairbench.metrics", "fairbench.tasks", "metrics", "tasks"))}


@pytest.mark.parametrize("path", CONTENT, ids=name)
def test_content_stands_on_the_foundation_alone(path: Path):
    everywhere = imported(path)
    assert rooms(everywhere) <= FOUNDATION
    assert not {n for n in everywhere if n.split(".")[0] in ("metrics", "tasks")}


@pytest.mark.parametrize("path", CONTENT, ids=name)
def test_content_imports_nothing_heavy_at_its_top(path: Path):
    assert {n.split(".")[0] for n in imported(path, inside_functions=False)} <= LIGHT


def test_content_is_flat():
    assert not [p for folder in ("metrics", "tasks") for p in (ROOT / folder).iterdir() if p.is_dir() and p.name != "__pycache__"]


def arrows() -> dict[str, set[str]]:
    """Module -> modules of the house that it imports, in functions too."""
    modules = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in HOUSE}
    found = {}
    for module, path in modules.items():
        named = (n if n in modules else n.rpartition(".")[0] for n in imported(path))
        found[module] = {n for n in named if n in modules} - {module}
    return found


def test_no_circle_of_imports():
    graph = arrows()
    while leaves := {module for module, needs in graph.items() if not needs & graph.keys()}:
        graph = {module: needs for module, needs in graph.items() if module not in leaves}
    assert not graph, f"circle among {sorted(graph)}"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import fairbench.study", {"fairbench.study"}),
        ("from fairbench import study, plan", {"fairbench.study", "fairbench.plan"}),
        ("def f():\n    from fairbench.study import score", {"fairbench.study.score"}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas", {"typing.TYPE_CHECKING"}),
        ("try:\n    import pandas\nexcept ImportError:\n    import numpy", {"pandas", "numpy"}),
    ],
)
def test_the_reader_of_imports_sees_them(tmp_path: Path, source: str, found: set[str]):
    path = tmp_path / "a.py"
    path.write_text(source, encoding="utf-8")
    assert imported(path) == found


HEAVY = ("torch", "transformers", "datasets", "matplotlib", "scipy.stats", "sklearn", "pandas", "pyarrow")
RUNNER = """
import json, sys
arguments = json.loads(sys.argv[1])
if arguments is None:
    import fairbench
else:
    from fairbench.cli import main
    sys.argv = ["fairbench", *arguments]
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [None, ["--help"], ["list", "metrics"], ["list", "tasks"], ["describe", "weat"], ["describe", "metric:crows_pairs"]],
    ids=lambda a: "import" if a is None else " ".join(a),
)
def test_looking_needs_no_heavy_library(arguments: list[str] | None):
    command = [sys.executable, "-c", RUNNER, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT.parent, check=False)
    assert done.returncode == 0, done.stderr
    assert arguments is None or done.stdout.strip()
    assert not set(json.loads(done.stderr.splitlines()[-1])) & set(HEAVY)
