"""Builds the wheel, installs it into a fresh environment, and runs the command there from another folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run(*command: str, cwd: Path) -> str:
    """Runs a command and gives what it printed; its failure is ours."""
    return subprocess.run(command, cwd=cwd, check=True, text=True, stdout=subprocess.PIPE).stdout


def main() -> None:
    """Build, compare with the tree, install, run."""
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        shutil.rmtree(ROOT / "build", ignore_errors=True)  # setuptools would pack modules that have moved since
        run(sys.executable, "-m", "build", "--wheel", "--outdir", str(there), str(ROOT), cwd=ROOT)
        wheel = next(there.glob("*.whl"))
        compare(wheel)
        # The heavy dependencies are those of this environment: what is tried is the wheel, not the package index.
        venv.create(there / "env", with_pip=True, system_site_packages=False)
        python = there / "env" / "bin" / "python"
        site = run(str(python), "-c", "import site; print(site.getsitepackages()[0])", cwd=there).strip()
        here = run(sys.executable, "-c", "import site; print(site.getsitepackages()[0])", cwd=there).strip()
        run(str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel), cwd=there)
        (Path(site) / "dependencies.pth").write_text(here + "\n")
        found = run(str(python), "-c", "import fairbench; print(fairbench.__file__)", cwd=there).strip()
        if not found.startswith(str(there)):
            sys.exit(f"the wheel is not what was imported: {found}")
        command = str(there / "env" / "bin" / "fairbench")
        say(run(command, "list", "metrics", cwd=there).splitlines()[0])
        scored = run(command, "score", "planted:causal-1.0", "--tasks", "planted_pairs", "--json", cwd=there)
        say(f"scored from the wheel: {len(scored)} characters of JSON")
        say(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")


def compare(wheel: Path) -> None:
    """The wheel must hold every Python file of the tree under its installed name, and nothing of the tests."""
    names = {n for n in zipfile.ZipFile(wheel).namelist() if n.endswith(".py")}
    wanted = {str(p.relative_to(ROOT)) for p in (ROOT / "fairbench").rglob("*.py")}
    wanted |= {f"fairbench/{top}/{p.name}" for top in ("metrics", "tasks") for p in (ROOT / top).glob("*.py")}
    if names != wanted:
        sys.exit(f"wheel and tree differ: missing {sorted(wanted - names)}, beside the tree {sorted(names - wanted)}")


def say(text: str) -> None:
    """Prints a line."""
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
