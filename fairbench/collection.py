"""Results that lie in folders, read together: every file that can be used, and what is wrong with each that can't."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.files import file_sha256
from fairbench.naming import metric_label
from fairbench.results import SCHEMA, Result, read_result

MODEL_FOLDER = re.compile(r".+-[0-9a-f]{8}")
"""How `fairbench score` calls the folder of one model's results."""

BESIDE = ("answers", "judged", "classifiers", "sweeps")
"""Folders in a model's folder that hold no results."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    "metric": ("name", "version", "title", "kind", "options"),
    "task": ("name", "version"),
    "model": ("name",),
    "probe": ("name", "version", "options"),
    "answers": ("path", "sha256"),
}
"""What the blocks of every result hold, and what is read of them without asking."""

CHECKED_VERSIONS = ("task", "metric", "probe")
"""Scores of one column are put beside each other only where these have one version."""


@dataclass(frozen=True)
class Found:
    """A result file.

    Attributes:
        path: of the file.
        result: what it says.
        label: how its model is called beside the others of the collection; no two models share one.
    """

    path: Path
    result: Result
    label: str

    @property
    def folder(self) -> Path:
        """The folder of the model's results."""
        return self.path.parent.parent

    @property
    def task(self) -> str:
        """Name of the task."""
        return str(self.result.task["name"])

    @property
    def metric(self) -> str:
        """The metric as it is called beside others: with the notion whose groups it compares."""
        return metric_label(self.result.metric["name"], self.result.metric["options"])

    @property
    def variant(self) -> str:
        """The choices that are not the default ("scorer=mean"), empty where none was moved."""
        return self.path.stem.partition("@")[2]

    @property
    def column(self) -> str:
        """What is comparable by its name: "<task>/<metric>[@choices]"."""
        return f"{self.task}/{self.path.stem}"

    @property
    def limited(self) -> bool:
        """Whether it is a trial over some of the records only (`--limit`)."""
        return self.result.task.get("limit") is not None

    @property
    def answers(self) -> Path:
        """The answers that it was measured on, which may not be kept."""
        return self.folder / str(self.result.answers["path"])


@dataclass(frozen=True)
class Fault:
    """Why a file, or a folder, was not used."""

    path: Path
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


@dataclass(frozen=True)
class Collection:
    """The results of some folders.

    Attributes:
        found: the results that can be used, in the order of models and columns.
        faults: files and folders that could not be used, with the reason; the rest stands without them.
        roots: the folders that were given.
    """

    found: tuple[Found, ...]
    faults: tuple[Fault, ...] = ()
    roots: tuple[Path, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        """Labels of the models, in order."""
        return tuple(dict.fromkeys(one.label for one in self.found))

    def of(self, label: str) -> tuple[Found, ...]:
        """The results of one model."""
        return tuple(one for one in self.found if one.label == label)

    def versions(self) -> dict[str, dict[str, int]]:
        """Package versions that occur, and in how many results, by package: several of one package move numbers."""
        seen: dict[str, Counter[str]] = {}
        for one in self.found:
            for package, version in one.result.run.get("versions", {}).items():
                seen.setdefault(package, Counter())[str(version)] += 1
        return {package: dict(counts) for package, counts in seen.items()}


def collect(roots: Sequence[Path | str], instead: Sequence[Path] = ()) -> Collection:
    """Reads every result below some folders.

    Args:
        roots: folders of results, of one model or of several.
        instead: folders of single models; of another folder of the same name, a copy, nothing is taken.

    Returns:
        What can be used, and a fault for each file that is truncated, has a newer schema, does not match its answers, or
        contradicts another result of the same cell.

    Raises:
        FairbenchError: a path does not exist.

    Example:
        >>> collect(["results"]).models                                   # doctest: +SKIP
        ('stories260K', 'all-MiniLM-L6-v2')
    """
    paths = [Path(root) for root in roots]
    read, empty = read_all(paths)
    faults = [*(one for one in read if isinstance(one, Fault)), *empty]
    named = {folder.resolve().name: folder.resolve() for folder in instead}
    kept = (one for one in read if isinstance(one, tuple) and _meant(one[0].parent.parent, named))
    found, unlike = _whole(kept)
    found, torn = _one_a_cell(found)
    labels = _labels(found)
    labelled = [Found(path, result, labels[path.parent.parent.name]) for path, result in found]
    return Collection(tuple(labelled), (*faults, *unlike, *torn), tuple(paths))


def _meant(folder: Path, instead: Mapping[str, Path]) -> bool:
    """Whether a model's folder is not the copy of one that was named."""
    return instead.get(folder.name, folder.resolve()) == folder.resolve()


def read_all(roots: Sequence[Path]) -> tuple[list[tuple[Path, Result] | Fault], list[Fault]]:
    """Every result file below some folders, read as it is: nothing is compared, and no file of answers is opened.

    Args:
        roots: folders of results, of one model or of several; a file that lies below two of them is read once.

    Returns:
        In the order of the folders and names each result with its path, or why it can't be used; and a fault for each folder
        that holds none.

    Raises:
        FairbenchError: there is no folder, or a path is none.
    """
    if not roots:
        raise FairbenchError("No folder of results was given. Wanted one or more that `fairbench score` wrote into (results).")
    for path in roots:
        if not path.is_dir():
            what = "is no folder" if path.exists() else "does not exist"
            raise FairbenchError(f"{path} {what}. Wanted a folder that `fairbench score` wrote results into.")
    read: dict[Path, tuple[Path, Result] | Fault | None] = {}
    empty = []
    for root in roots:
        files = list(_files(root))
        for file in files:
            if file.resolve() not in read:
                read[file.resolve()] = _read(file)
        if not any(read[file.resolve()] is not None for file in files):
            empty.append(Fault(root, "there are no results in this folder; `fairbench score` writes them."))
    return [one for one in read.values() if one is not None], empty


def one_version(collection: Collection) -> Collection:
    """The collection without results of an older version of their task, metric or probe than others of the same column have."""
    newest: dict[str, tuple[int, ...]] = {}
    for one in collection.found:
        newest[one.column] = max(newest.get(one.column, ()), _version(one.result))
    kept = tuple(one for one in collection.found if _version(one.result) == newest[one.column])
    faults = tuple(
        Fault(one.path, _older(one, newest[one.column])) for one in collection.found if _version(one.result) != newest[one.column]
    )
    return dataclasses.replace(collection, found=kept, faults=(*collection.faults, *faults))


def _version(result: Result) -> tuple[int, ...]:
    return tuple(int(getattr(result, part)["version"]) for part in CHECKED_VERSIONS)


def _older(one: Found, newest: tuple[int, ...]) -> str:
    """Which version differs, in words."""
    differ = [
        f"{part} version {mine} (newest {theirs})"
        for part, mine, theirs in zip(CHECKED_VERSIONS, _version(one.result), newest, strict=True)
        if mine != theirs
    ]
    return f"{one.column} has {', '.join(differ)}: scores of several versions are not put beside each other; score it again."


def _files(root: Path) -> Iterator[Path]:
    """Files below a folder that may be results: `<model>-<8 hex>/<task>/<metric>.json`."""
    if MODEL_FOLDER.fullmatch(root.resolve().name):
        folders = [root if MODEL_FOLDER.fullmatch(root.name) else root.resolve()]  # `.` and a link have another name
    else:
        folders = [path for path in sorted(root.rglob("*")) if path.is_dir() and MODEL_FOLDER.fullmatch(path.name)]
    for folder in folders:
        for file in sorted(folder.glob("*/*.json")):
            if file.parent.name not in BESIDE and not file.name.startswith("."):
                yield file


def _read(path: Path) -> tuple[Path, Result] | Fault | None:
    """A result with its path, what is wrong with it, or null where the file is none of ours."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return Fault(path, f"it can't be read, as a file that was cut short can't be ({error}). Score it again.")
    if not isinstance(content, dict) or "schema" not in content:
        return None
    schema = content["schema"]
    if isinstance(schema, int) and schema > SCHEMA:
        return Fault(path, f"it has schema {schema}, and this version of fairbench reads up to {SCHEMA}. Update fairbench.")
    try:
        result = read_result(path)
    except FairbenchError as error:
        return Fault(path, str(error).removeprefix(f"{path} "))
    absent = [f"{block}.{key}" for block, keys in NEEDED.items() for key in keys if key not in getattr(result, block)]
    if absent:
        return Fault(path, f"it says nothing of {', '.join(absent)}, which every result has. Score it again.")
    return path, result


def _whole(found: Iterable[tuple[Path, Result]]) -> tuple[list[tuple[Path, Result]], list[Fault]]:
    """Results whose answers, if they are there, are those that were measured; and faults for the others."""
    digests = functools.cache(file_sha256)
    kept, faults = [], []
    for path, result in found:
        answers = path.parent.parent / str(result.answers.get("path", ""))
        if answers.is_file() and digests(answers) != result.answers.get("sha256"):
            said = f"its answers {answers.name} have another sha256 ({digests(answers)[:12]}...) than it was measured on "
            faults.append(Fault(path, f"{said}({str(result.answers.get('sha256'))[:12]}...). Score it again."))
        else:
            kept.append((path, result))
    return kept, faults


def _one_a_cell(found: Iterable[tuple[Path, Result]]) -> tuple[list[tuple[Path, Result]], list[Fault]]:
    """One result of each cell; where two of them disagree nobody can say which one is right, and neither is used."""
    cells: dict[tuple[str, str, str], list[tuple[Path, Result]]] = {}
    for path, result in found:
        cells.setdefault((path.parent.parent.name, path.parent.name, path.stem), []).append((path, result))
    kept, faults = [], []
    for same in cells.values():
        if len({_said(result) for _, result in same}) == 1:
            kept.append(same[0])
            continue
        for path, result in same:
            others = ", ".join(f"{other} ({_value(o)})" for other, o in same if other != path)
            faults.append(Fault(path, f"it says {_value(result)}, and {others} says otherwise of the same cell. Remove one."))
    return kept, faults


def _said(result: Result) -> str:
    """What two results of one cell have to agree on: the whole score."""
    return json.dumps(result.score.as_dict(), sort_keys=True)


def _value(result: Result) -> str:
    return "undefined" if result.score.value is None else f"{result.score.value:.6g} of {result.score.n}"


def _labels(found: Iterable[tuple[Path, Result]]) -> dict[str, str]:
    """What each model is called, by the name of its folder; where two have one name their folders' digits tell them apart."""
    names = {path.parent.parent.name: called(result.model) for path, result in found}
    counts = Counter(names.values())
    return {folder: name if counts[name] == 1 else f"{name} ({folder[-8:]})" for folder, name in names.items()}


def called(model: Mapping[str, Any]) -> str:
    """A model's name as it is written out: the last part of a path, else the whole name."""
    name = str(model["name"])
    return Path(name).name if name.startswith(("/", ".", "~")) else name
