"""Finds a task's files in this package, a data folder, a copy of a Hub repository or the Hub's cache, or fetches them."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.reading import BATCH, Row, in_silence, in_split, quiet
from fairbench.scores import Source, TaskInfo

ENVIRONMENT = "FAIRBENCH_DATA"
HUB_TIMEOUT = 10.0
"""Seconds until the Hub counts as out of reach."""
CONVERTED = "refs/convert/parquet"
"""The branch on which the Hub keeps a parquet copy of a data set whose main branch is a script, `<config>/<split>/*.parquet`."""


@dataclass(frozen=True)
class Found:
    """Files of a source that are there.

    Attributes:
        files: their names for messages and provenance -> where they lie.
        revision: the commit that they are of, where the Hub's client knows it.
        splits: of each name the split, where the source has several.
    """

    source: Source
    kind: str
    files: Mapping[str, Path]
    revision: str | None = None
    splits: Mapping[str, str] = field(default_factory=dict)

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


def is_commit(revision: str | None) -> bool:
    """Whether a revision names one state of a repository for ever; a branch, a tag or a ref may come to name another."""
    return re.fullmatch(r"[0-9a-f]{40}", revision or "") is not None


def part(source: Source) -> str:
    """What is read of a Hub repository, in words: the config and the split or splits."""
    return ", ".join((source.config or "default", *(source.splits or (source.split or "train",))))


def locate(info: TaskInfo, name: str, data_dir: Path | None) -> Found | None:
    """The first source that is here, complete; none if only the Hub is left.

    Raises:
        FairbenchError: no source is complete here and one has some of its files, or the card contradicts itself.
    """
    for source in info.sources:
        _refuse_muddled(source, name)
    shipped = next((source for source in info.sources if source.shipped), None)
    if shipped is not None:
        return _complete(shipped, "shipped", {path: resource(path) for path in shipped.files}, name)
    folder = data_folder(data_dir)
    if folder is not None:
        here = [(source, {path: folder / path for path in source.files}) for source in info.sources if source.files]
        for source, files in here:
            if all(path.is_file() for path in files.values()):
                return _complete(source, "files", files, name)
        for source in info.sources:
            if source.hub and (copy := _copy(folder / source.hub, source, folder)):
                return dataclasses.replace(copy, kind="files")
        for source, files in here:  # sources may share a file, so that a part of one counts only where none is whole
            if any(path.is_file() for path in files.values()):
                return _complete(source, "files", files, name)
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
    return Found(source, kind, files, splits=dict(zip(files, source.splits, strict=True)) if source.splits else {})


def _refuse_muddled(source: Source, name: str) -> None:
    """A card that says two things about its splits."""
    wrong = None
    if source.split and source.splits:
        wrong = f"both the split {source.split} and the splits {', '.join(source.splits)}, wanted one of the two"
    elif source.splits and source.files and len(source.splits) != len(source.files):
        wrong = f"{len(source.splits)} splits for {len(source.files)} files, wanted the name of one for each file, in their order"
    if wrong:
        raise FairbenchError(f"The card of task {name} has a source with {wrong}. Mend the task's file.")


def resource(path: str) -> Path:
    """A shipped file: the first part of its path is the sub-package, wherever that is installed from."""
    from importlib.resources import files

    package, _, rest = path.partition("/")
    return Path(str(files(f"fairbench.{package}") / rest))


def _copy(folder: Path, source: Source, below: Path) -> Found | None:
    """The files of a copy of a Hub repository, named by their path `below` a folder; none unless every split is whole."""
    of_split = {split: _split_files(folder, source, split) for split in source.splits or (source.split or "train",)}
    if not all(of_split.values()):
        return None
    files = {path.relative_to(below).as_posix(): path for paths in of_split.values() for path in paths}
    splits = {path.relative_to(below).as_posix(): split for split, paths in of_split.items() for path in paths}
    return Found(source, "hub", files, splits=splits if source.splits else {})


def _split_files(folder: Path, source: Source, split: str) -> list[Path]:
    """The parquet files of a config's split in a copy of a Hub repository, in order; empty unless all shards are there."""
    config = source.config or "default"
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
    """The files of a named revision that the Hub's client has fetched before: they serve without a network."""
    if not source.revision:
        return None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(source.hub or "", repo_type="dataset", revision=source.revision, local_files_only=True))
    except (LocalEntryNotFoundError, OSError):
        return None
    copy = _copy(folder, source, folder)
    if copy is None:
        return None
    return dataclasses.replace(
        copy,
        files={f"{source.hub}/{name}": path for name, path in copy.files.items()},
        splits={f"{source.hub}/{name}": split for name, split in copy.splits.items()},
        # The client's folder of a snapshot has the name of its commit.
        revision=source.revision if is_commit(source.revision) else folder.name,
    )


def unpinned(source: Source, commit: str, when: str = "today") -> str | None:
    """The warning for rows that the card pins to no commit, and which commit its branch had when they were fetched."""
    if is_commit(source.revision):
        return None
    branch = source.revision or "its main branch"
    return f"{source.hub} is not pinned: read at {commit}, the commit of {branch} {when}. Later runs may see other data"


def require_revision(source: Source) -> tuple[str, str | None]:
    """The commit of a Hub repository that is to be read, and a warning where the card does not pin one.

    Raises:
        FairbenchError: it is not pinned and the Hub can't be asked.
    """
    if source.revision and is_commit(source.revision):
        return source.revision, None
    sha = _ask(source)
    return sha, unpinned(source, sha)


def fetch(source: Source, *, streaming: bool = False) -> tuple[dict[str | None, Any], str, str | None]:
    """Fetches a source from the Hub: its tables, the commit that they were read at, and a warning where none is pinned.

    Args:
        source: a source with `hub`.
        streaming: fetch rows only as they are read (see `stream`), and leave nothing in the cache.

    Returns:
        a table for each of the source's splits by its name, or one under null.

    Raises:
        FairbenchError: the Hub is out of reach or refuses.
    """
    further: dict[str, Any] = {"streaming": True} if streaming else {}
    revision, warning = require_revision(source)
    if warning is None:
        _ask(source)
    tables = {}
    try:
        with quiet():
            from datasets import load_dataset

            for name in source.splits or (None,):
                split = name or source.split
                config, files = source.config, {}
                if source.revision == CONVERTED:  # that branch has no card, so that its configs are folders only
                    config, files = None, {"data_files": {split: f"{config or 'default'}/{split}/*.parquet"}}
                tables[name] = load_dataset(source.hub, config, split=split, revision=revision, **files, **further)
            return tables, revision, warning
    except Exception as error:
        # The libraries below raise errors of a dozen unrelated kinds; each means that this data set did not load.
        raise _refused(source, error) from error


def stream(source: Source) -> tuple[Callable[[], Iterator[Row]], str, str | None]:
    """As `fetch`, for what is too large to fetch whole: a function that reads the rows anew, and the same two beside it.

    Raises:
        FairbenchError: the Hub is out of reach or refuses, at once or while rows are read.
    """
    tables, revision, warning = fetch(source, streaming=True)

    def rows() -> Iterator[Row]:
        try:
            for split, table in tables.items():
                yield from in_split(in_silence(iter(table.iter(batch_size=BATCH))), split)
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
