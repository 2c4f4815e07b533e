"""What scores are found with: packages, platform, processor, and the commit of this package. Nothing of whose machine it is."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from fairbench import __version__
from fairbench.results import versions

PROCESSORS = Path("/proc/cpuinfo")
"""Where Linux names the processor."""

PATIENCE = 10
"""Seconds that git and the graphics driver may take."""


def environment() -> dict[str, Any]:
    """The environment, JSON-ready; no date, no name of the machine or its user, and no path.

    Returns:
        `fairbench` and its `commit` (null where the package is in no checkout), `versions` of what can move a number, all
        `packages` as name==version, `python`, `platform`, `cpu`, and `gpu`, the names of those that are there.
    """
    return {
        "fairbench": __version__,
        "commit": commit(Path(__file__).parent),
        "versions": versions(),
        "packages": packages(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": {"model": _processor(), "cores": os.cpu_count()},
        "gpu": _graphics(),
    }


def packages() -> list[str]:
    """Every installed package as name==version, in the order of the names; where one was installed from is left out."""
    found = {
        re.sub(r"[-_.]+", "-", name).lower(): one.version
        for one in importlib.metadata.distributions()
        if (name := one.metadata["Name"])
    }
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def commit(folder: Path) -> dict[str, Any] | None:
    """The commit of the checkout that keeps this folder's files, and whether they differ from it.

    Null for a package that only happens to be installed below somebody's checkout: git does not keep its files.
    """
    kept = _git(folder, "ls-files", "--error-unmatch", "__init__.py")
    head = _git(folder, "rev-parse", "HEAD") if kept is not None else None
    if head is None:
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"sha": head, "changed": None if changed is None else bool(changed)}


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says; null where it fails, or where there is no git."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    return _said(command)


def _graphics() -> list[str]:
    """Names of the graphics processors as NVIDIA's driver gives them; empty where there are none."""
    said = _said(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"])
    return [line.strip() for line in (said or "").splitlines() if line.strip()]


def _said(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    """The processor's name."""
    if PROCESSORS.is_file():
        named = re.search(r"^model name\s*:\s*(.+)$", PROCESSORS.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        if named:
            return named.group(1).strip()
    return platform.processor() or platform.machine()
