"""Files that are written whole or not at all, and the hashes that name their contents."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from fairbench.errors import FairbenchError
from fairbench.scores import jsonable


def digest(content: Any) -> str:
    """Sha256 of a JSON-ready value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(jsonable(content), sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path` that becomes `path` at the end, or vanishes: no reader ever sees half a file.

    What a killed process of this machine left behind of the same file is cleared away.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    start = f".{path.name}.{socket.gethostname()}."
    for left in path.parent.glob(f"{glob.escape(start)}*"):
        if not _alive(left.suffix[1:]):
            left.unlink(missing_ok=True)
    temporary = path.with_name(f"{start}{os.getpid()}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _alive(pid: str) -> bool:
    """Whether a process of this number runs; yes where that can't be told."""
    if os.name != "posix" or not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes JSON (UTF-8, indented, no NaN) atomically."""
    text = json.dumps(jsonable(content), indent=2, ensure_ascii=False, allow_nan=False)
    with whole_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def require_writable(folder: Path) -> None:
    """Refuses an output folder that can't be written, before any work is done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise FairbenchError(
            f"--output-path {folder}: nothing can be written there ({error.strerror}). Wanted a folder that this user may write; "
            "choose another one or mend its permissions."
        ) from None


def lock_of(path: Path) -> FileLock:
    """Keeps other processes of this machine from making the same file or folder at the same time; freed also by a kill."""
    return FileLock(Path(tempfile.gettempdir()) / f"fairbench-{digest(str(path.resolve()))[:16]}.lock")
