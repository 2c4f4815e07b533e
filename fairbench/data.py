"""Where a task's rows come from: this package, a local folder, a local copy of a Hub repository, or the Hub; and which exactly.

The places are tried in that order; the first that has all of one source of the task is used and recorded with its digests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairbench.errors import DataAbsent, FairbenchError
from fairbench.files import file_sha256
from fairbench.reading import BATCH, Row, checked, faults, in_split, read, unbatched
from fairbench.records import Record
from fairbench.scores import Source, TaskInfo
from fairbench.sources import (
    ENVIRONMENT,
    Found,
    cached,
    data_folder,
    fetch,
    is_commit,
    locate,
    part,
    require_revision,
    unpinned,
)

__all__ = ["Checked", "Place", "Rows", "check", "data_folder", "require_revision", "rows", "status"]


@dataclass(frozen=True)
class Rows:
    """The rows of a task, read anew and as a stream by every iteration.

    Attributes:
        source: the place that they come from.
        provenance: what exactly was used, JSON-ready: `kind` ("shipped", "files" or "hub"), `files` (path below the package, data
            folder or repository -> sha256 found), `url`, `hub`, `config`, `split`, `splits`, `revision` (the commit), `warnings`.
    """

    source: Source
    provenance: Mapping[str, Any]
    stream: Callable[[], Iterator[Row]]

    def __iter__(self) -> Iterator[Row]:
        return self.stream()


@dataclass(frozen=True)
class Place:
    """Where the rows of a task would come from, for `fairbench data status`.

    Attributes:
        kind: "shipped", "files" or "hub".
        where: the files, as paths or as the Hub's address.
        state: "ready" (there, digests as wanted), "unpinned" (there, no digest to compare), "differs", "not fetched" (on the Hub,
            not asked) or "absent".
        note: what to do, or an empty string.
    """

    task: str
    kind: str
    where: str
    state: str
    note: str = ""


@dataclass(frozen=True)
class Checked:
    """What a full reading of a task found: `n` records, or the `error` that stopped it."""

    task: str
    n: int
    provenance: Mapping[str, Any]
    error: str | None = None


def rows(info: TaskInfo, name: str, data_dir: Path | None = None) -> Rows:
    """Finds the rows of a task and checks their files against the digests in its card.

    Args:
        info: the task's card.
        name: the task's name, for messages.
        data_dir: the folder of local data; FAIRBENCH_DATA if none.

    Returns:
        The rows. Nothing is read yet but for digests.

    Raises:
        FairbenchError: the data are nowhere, incomplete, changed or malformed, or the Hub can't be reached.
    """
    found = locate(info, name, data_dir)
    return _from_hub(info, name, data_dir) if found is None else _from_files(found, name)


def _from_files(found: Found, name: str) -> Rows:
    """The rows of files that are here, once their digests are right."""
    digests = {shown: _verified(found, shown, name) for shown in found.files}
    source = found.source
    warnings = []
    if source.hub and found.kind == "files":
        warnings.append(f"a local copy of {source.hub}: its revision is not known and was not checked")
    if found.kind == "hub" and (warning := unpinned(source, str(found.revision), "when it was fetched")):
        warnings.append(warning)
    if bare := [shown for shown, sha256 in source.files.items() if not sha256]:
        warnings.append(f"no sha256 is given for {', '.join(bare)}: not checked")

    def stream() -> Iterator[Row]:
        for shown, path in found.files.items():
            yield from in_split(read(path, source, _called(found, shown)), found.splits.get(shown))

    return Rows(source, _provenance(source, found.kind, digests, found.revision, warnings), stream)


def status(infos: Mapping[str, TaskInfo], data_dir: Path | None = None) -> list[Place]:
    """Says for each task where its rows would come from and whether they are as they should be; asks nobody and reads no rows."""
    data_folder(data_dir)  # a folder that is none is said once, not for every task
    places = []
    for name, info in infos.items():
        try:
            found = locate(info, name, data_dir)
        except FairbenchError as error:
            first = info.sources[0]
            places.append(Place(name, "shipped" if first.shipped else "files", ", ".join(first.files), "absent", str(error)))
            continue
        if found is not None:
            places.append(_state(found, name))
            continue
        hub = next((source for source in info.sources if source.hub), None)
        if hub is not None:
            where = " ".join(filter(None, (hub.hub, hub.config, hub.split or "+".join(hub.splits))))
            places.append(Place(name, "hub", where, "not fetched", "is fetched when the task is first scored"))
        else:
            files = ", ".join(info.sources[0].files)
            places.append(Place(name, "files", files, "absent", _absent(info, name, data_folder(data_dir))))
    return places


def check(
    info: TaskInfo,
    name: str,
    records: Callable[[Iterable[Row], str], Iterator[Record]],
    data_dir: Path | None = None,
) -> Checked:
    """Reads and parses everything of a task and counts its records.

    Args:
        info: the task's card.
        name: the task's name.
        records: the task's parser.
        data_dir: the folder of local data; FAIRBENCH_DATA if none.

    Returns:
        The count, or the message of what is wrong.
    """
    provenance: Mapping[str, Any] = {}
    try:
        found = rows(info, name, data_dir)
        provenance = found.provenance
        return Checked(name, sum(1 for _ in records(found, name)), provenance)
    except FairbenchError as error:
        return Checked(name, 0, provenance, str(error))


def _called(found: Found, shown: str) -> str:
    """A file's name in a message: where it lies, unless it was shipped or fetched."""
    return f"The file {found.files[shown]}" if found.kind == "files" else f"The {found.kind} file {shown}"


def _verified(found: Found, shown: str, name: str) -> str:
    """The digest of a file, after a look for what is wrong with it where it is not the wanted one."""
    path, wanted = found.files[shown], found.wanted(shown)
    sha256 = file_sha256(path)
    if sha256 == wanted:
        return sha256
    if found.kind != "hub":
        # What is broken in a file says more than its digest, so that is looked for first.
        faults(path, found.source, _called(found, shown))
    if wanted is not None:
        remedy = "Install fairbench again" if found.kind == "shipped" else f"Get the published file from {found.source.url}"
        raise FairbenchError(
            f"{_called(found, shown)} is not the one that task {name} is defined on: found sha256 {sha256}, wanted {wanted}. "
            f"{remedy}. A changed data set is a new task with a name of its own: its "
            "scores must not stand beside scores on the published one."
        )
    return sha256


def _state(found: Found, name: str) -> Place:
    """How the files that are here compare with the card."""
    where = ", ".join(found.files)
    wrong = [shown for shown, path in found.files.items() if found.wanted(shown) not in (None, file_sha256(path))]
    if wrong:
        return Place(
            name, found.kind, where, "differs", f"sha256 of {', '.join(wrong)}; get the published file: {found.source.url}"
        )
    at_commit = found.kind == "hub" and is_commit(found.source.revision)
    pinned = at_commit or all(found.wanted(shown) for shown in found.files)
    return Place(name, found.kind, where, "ready" if pinned else "unpinned")


def _provenance(
    source: Source, kind: str, files: Mapping[str, str], revision: str | None, warnings: Sequence[str]
) -> dict[str, Any]:
    """What was used, JSON-ready."""
    return {
        "kind": kind,
        "files": dict(files),
        "url": source.url,
        "hub": source.hub,
        "config": source.config,
        "split": source.split,
        "splits": list(source.splits),
        "revision": revision,
        "warnings": list(warnings),
    }


def _absent(info: TaskInfo, name: str, folder: Path | None) -> str:
    """What to say of a task whose data are nowhere here: the files, where they are published, and the command."""
    looked = f"below {folder}" if folder else f"(no data folder is given, neither by --data-dir nor by {ENVIRONMENT})"
    ways = " or ".join(f"{', '.join(source.files)} from {source.url}" for source in info.sources if source.files)
    hub = " or ".join(f"{source.hub} ({part(source)})" for source in info.sources if source.hub)
    return (
        f"The data of task {name} are absent {looked}. Wanted: {ways or 'a copy of the repository'}. "
        + (f"On the Hugging Face Hub: {hub}. " if hub else "No data set on the Hugging Face Hub that loads holds them. ")
        + f"Put {'the files at these very paths' if ways else 'the copy under its Hub id'} into a folder DIR and run "
        f"`fairbench score MODEL --tasks {name} --data-dir DIR`, or set {ENVIRONMENT}=DIR."
    )


def _from_hub(info: TaskInfo, name: str, data_dir: Path | None) -> Rows:
    """The rows of a task that has no file here, fetched into the Hub's cache at one commit.

    Raises:
        FairbenchError: the task is not on the Hub, or the Hub is out of reach or refuses.
    """
    absent = _absent(info, name, data_folder(data_dir))
    source = next((source for source in info.sources if source.hub), None)
    if source is None:
        raise DataAbsent(absent)
    try:
        tables, revision, warning = fetch(source)
    except FairbenchError as error:
        raise DataAbsent(f"{absent} {error}") from error
    # Read from the client's cache now as it will be next time, so that both runs record the same files.
    if warning is None and (files := cached(source)):
        return _from_files(files, name)
    shown = f"The Hub data set {source.hub} ({part(source)}, {revision[:8]})"

    def stream() -> Iterator[Row]:
        for split, table in tables.items():
            yield from in_split(checked(unbatched(table.iter(batch_size=BATCH)), source, shown), split)

    return Rows(source, _provenance(source, "hub", {}, revision, [warning] if warning else []), stream)
