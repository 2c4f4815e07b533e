"""What a server has replied, kept on disk as it comes, so that nothing is asked twice after a fault or a kill."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.files import digest


def request_key(url: str, place: str, body: Mapping[str, Any]) -> str:
    """Names a request by all that is sent but the headers, in which the key is.

    Example:
        >>> request_key("http://a/v1", "chat", {"seed": 1}) == request_key("http://a/v1", "chat", {"seed": 2})
        False
    """
    return digest({"url": url, "place": place, "body": dict(body)})


class Replies:
    """Replies by the key of their request: in memory, and once a file is named also there, a line each.

    Lines are appended whole and never changed. A line that a kill or a full disk has torn is dropped, and its request is asked
    again.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._found: dict[str, dict[str, Any]] = {}
        self._lock = Lock()

    def open(self, path: Path) -> None:
        """Takes up the replies of a file, which need not be there yet, in the place of all others.

        Raises:
            FairbenchError: it can't be read or written.
        """
        with self._lock:
            if path == self._path:
                return
            self._path = path
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._found = dict(_read(path))
            except OSError as error:
                raise FairbenchError(_unfit(path, error)) from None

    def get(self, key: str) -> dict[str, Any] | None:
        """The reply to a request; null where there is none yet."""
        return self._found.get(key)

    def keep(self, key: str, reply: Mapping[str, Any]) -> None:
        """Keeps a reply, on disk before anything else is done with it."""
        line = json.dumps({"request": key, "reply": reply}, ensure_ascii=False) + "\n"
        with self._lock:
            if self._path is not None:
                try:
                    with self._path.open("ab") as file:
                        file.write(line.encode("utf-8"))
                except OSError as error:
                    raise FairbenchError(_unfit(self._path, error)) from None
            self._found[key] = dict(reply)

    def forget(self) -> None:
        """Removes the file, and all that is known of it."""
        with self._lock:
            if self._path is not None:
                self._path.unlink(missing_ok=True)
            self._path, self._found = None, {}

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(list(self._found.values()))


def _read(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The whole lines of a file. What stands behind the last of them is cut off, so that the next line begins with itself."""
    content = path.read_bytes() if path.exists() else b""
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("rb+") as file:
            file.truncate(whole)
    for line in content[:whole].split(b"\n"):
        try:
            entry = json.loads(line)
            yield str(entry["request"]), dict(entry["reply"])
        except (ValueError, TypeError, KeyError):
            continue


def _unfit(path: Path, error: OSError) -> str:
    return (
        f"The server's replies can't be kept in {path} ({error.strerror or error}). Wanted a file that this user may read and "
        "write, on a disk with room; mend that and run the same command again."
    )
