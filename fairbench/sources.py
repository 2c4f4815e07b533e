"""Finds a task's files in this package, a data folder, a copy of a Hub repository or the Hub's cache, or fetches them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.reading import BATCH, Row, in_silence, quiet
from fairbench.scores import Source, TaskInfo

ENVIRONMENT = "FAIRBENCH_DATA"
HUB_TIMEOUT = 10.0
"""Seconds until the Hub counts as out of reach."""


@dataclass(frozen=True)
class Found:
    """Files of a source that are there: their names for messages and provenance -> where they lie."""

    source: Source
    kind: str
    files: Mapping[str, Path]
    revision: str | None = None

    def wanted(self, name: str) -> str | None:
        """The digest that a file should have; none for a file of a Hub repository, which its revision pins."""
        return self.source.files.get(name) or None


def data_folder(data_dir: Path | None) -> Path | None:
    """The folder of local data: the argument, else FAIRBENCH_DATA, else none.

    Raises:
        FairbenchError: it is named and is no folder.
    """
    named = str(data_dir) if data_dir is not None else os.environ.get(ENVIRONMENT, "")
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        origin = "--data-dir" if data_dir is not None else ENVIRONMENT
        raise FairbenchError(
            f"The data folder {folder} ({origin}) is no folder. Name the folder that holds the data files, or leave it out."
        )
    return folder


def locate(info: TaskInfo, name: str, data_dir: Path | None) -> Found | None:
    """The first source that has files here, complete; none if only the Hub is left.

    Raises:
        FairbenchError: a source has some of its files here and lacks others.
    """
    shipped = next((source for source in info.sources if source.shipped), None)
    if shipped is not None:
        return _complete(shipped, "shipped", {path: resource(path) for path in shipped.files}, name)
    folder = data_folder(data_dir)
    if folder is not None:
        for source in info.sources:
            files = {path: folder / path for path in source.files}
            if any(path.is_file() for path in files.values()):
                return _complete(source, "files", files, name)
        for source in info.sources:
            if source.hub and (copy := _split_files(folder / source.hub, source)):
                return Found(source, "files", {path.relative_to(folder).as_posix(): path for path in copy})
    return next((found for source in info.sources if source.hub and (found := cached(source))), None)


def _complete(source: Source, kind: str, files: Mapping[str, Path], name: str) -> Found:
    """A source whose files are all here."""
    missing = [shown for shown, path in files.items() if not path.is_file()]
    if missing and kind == "shipped":
        raise FairbenchError(
            f"The file {missing[0]} of task {name} is missing from the installed fairbench. Install fairbench again."
        )
    if missing:
        raise FairbenchError(
            f"The data of task {name} are incomplete: of its {len(files)} files {len(missing)} absent ({', '.join(missing)}). "
            f"Get what is missing from {source.url} and put it at the paths named here, below the data folder."
        )
    return Found(source, kind, files)


def resource(path: str) -> Path:
    """A shipped file: the first part of its path is the sub-package, wherever that is installed from."""
    from importlib.resources import files

    package, _, rest = path.partition("/")
    return Path(str(files(f"fairbench.{package}") / rest))


def _split_files(folder: Path, source: Source) -> list[Path]:
    """The parquet files of a config's split in a copy of a Hub repository, in order; empty unless all shards are there."""
    config, split = source.config or "default", source.split or "train"
    layouts = [f"{config}/{split}-*.parquet", f"{config}/{split}/*.parquet", f"{config}/{split}.parquet"]
    if config == "default":
        layouts += [f"data/{split}-*.parquet", f"{split}-*.parquet", f"{split}.parquet"]
    for layout in layouts:
        files = sorted(folder.glob(layout))
        shards = re.search(r"-of-(\d+)\.parquet$", files[0].name) if files else None
        if files and (shards is None or int(shards[1]) == len(files)):
            return files
    return []


def cached(source: Source) -> Found | None:
    """The files of a pinned revision that the Hub's client has fetched before: they serve without a network."""
    if not source.revision:
        return None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(source.hub or "", repo_type="dataset", revision=source.revision, local_files_only=True))
    except (LocalEntryNotFoundError, OSError):
        return None
    files = _split_files(folder, source)
    shown = {f"{source.hub}/{path.relative_to(folder).as_posix()}": path for path in files}
    return Found(source, "hub", shown, source.revision) if files else None


def require_revision(source: Source) -> tuple[str, str | None]:
    """The commit of a Hub repository that is to be read, and a warning where the card does not pin one.

    Raises:
        FairbenchError: it is not pinned and the Hub can't be asked.
    """
    if source.revision:
        return source.revision, None
    sha = _ask(source)
    return sha, f"{source.hub} is not pinned: read at {sha}, the commit of its main branch today. Later runs may see other data"


def fetch(source: Source, *, streaming: bool = False) -> tuple[Any, str, str | None]:
    """Fetches a source from the Hub: its table, the commit that it was read at, and a warning where none is pinned.

    Args:
        source: a source with `hub`.
        streaming: fetch rows only as they are read (see `stream`), and leave nothing in the cache.

    Raises:
        FairbenchError: the Hub is out of reach or refuses.
    """
    further = {"streaming": True} if streaming else {}
    revision, warning = require_revision(source)
    if source.revision:
        _ask(source)
    try:
        with quiet():
            from datasets import load_dataset

            table = load_dataset(source.hub, source.config, split=source.split, revision=revision, **further)
            return table, revision, warning
    except Exception as error:
        # The libraries below raise errors of a dozen unrelated kinds; each means that this data set did not load.
        raise _refused(source, error) from error


def stream(source: Source) -> tuple[Callable[[], Iterator[Row]], str, str | None]:
    """As `fetch`, for what is too large to fetch whole: a function that reads the rows anew, and the same two beside it.

    Raises:
        FairbenchError: the Hub is out of reach or refuses, at once or while rows are read.
    """
    table, revision, warning = fetch(source, streaming=True)

    def rows() -> Iterator[Row]:
        try:
            yield from in_silence(iter(table.iter(batch_size=BATCH)))
        except FairbenchError:
            raise
        except Exception as error:
            # As in `fetch`: whatever the network or a broken file makes the libraries raise.
            raise _refused(source, error) from error

    return rows, revision, warning


def _ask(source: Source) -> str:
    """Asks the Hub once for a commit: without a network `load_dataset` would try again for half a minute."""
    from huggingface_hub import HfApi

    try:
        with quiet():
            return str(HfApi().dataset_info(source.hub or "", revision=source.revision, timeout=HUB_TIMEOUT).sha)
    except Exception as error:
        # As above: httpx, offline mode, a repository that is gone, gated or private.
        raise _refused(source, error) from error


def _refused(source: Source, error: Exception) -> FairbenchError:
    """The message for a data set that the Hub did not give."""
    cause = " ".join(str(error).split())[:200] or "no reason given"
    return FairbenchError(
        f"The Hub did not give {source.hub} at revision {source.revision or 'main'}: {type(error).__name__}, {cause}. Is there a "
        "network, and is HF_HUB_OFFLINE unset?"
    )
