"""The evidence bundle: one archive with results, what they were measured on, and how to find them anew.

An auditor unpacks it, checks it with `sha256sum -c SHA256SUMS`, and runs `fairbench verify` on its folder. The same files give
the same bytes: order, times, owners and modes in the archive are fixed, and nothing says when, where and by whom it was packed.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import shutil
import tarfile
import textwrap
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from fairbench import __version__
from fairbench.changes import TOLERANCE
from fairbench.environment import environment
from fairbench.errors import FairbenchError
from fairbench.files import file_sha256, require_writable, whole_file
from fairbench.registry import Registry
from fairbench.results import Result
from fairbench.scores import jsonable
from fairbench.verification import Checked, Verification

FOLDER = "fairbench-evidence"
"""The one folder of the archive."""

SUMS, README, VERIFICATION, ENVIRONMENT = "SHA256SUMS", "README.txt", "verification.json", "environment.json"

ENDINGS = (".zip", ".tar.gz", ".tgz")

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file: the first that a zip archive can hold."""

TABLE = re.compile(r"(answers|judged)/[0-9a-f]+\.parquet")
"""How a result names the tables that it rests on."""

UNFIT = ("\n", "\r", "\\")
"""Signs in a file's name that `sha256sum -c` reads otherwise."""


TEXT = """\
Evidence bundle of fairbench

{counts}

What is in it
  results/        result files, the answers that they were measured on, what
                  judges said of these, and how each table came to be
  {verification}   what was found of every result before it was packed
  {environment}    packages, platform, processor and commit that found it
  {sums}          sha256 of every file here but itself

Not in it: models, classifiers that were trained for a score, the data sets,
sweeps, and results.json, the summary of a model's results.

How to check it
  1. In this folder: sha256sum -c {sums}
     (on a Mac: shasum -a 256 -c {sums})
  2. pip install fairbench=={version}, if possible with the package versions
     of {environment}: others may move the last digits.
  3. In this folder: fairbench verify results
     It finds every score anew from its answers and compares: value,
     interval, p, counts, groups and all further figures, numbers within
     {tolerance:g} of their size. Exit code 0: all of them are verified.
  That needs no model and no data set. It shows that the scores follow from
  the answers, and that no file was changed since. It does not show that the
  model gave these answers: score the model again for that. Its digests are
  in `model` of every result.

CONTENT NOTICE
  Answers hold the sentences of their data sets, and what models wrote. Many
  of these sentences are stereotyped, offensive or hateful: they were made to
  measure that. Don't train on them. Share the bundle only as far as the
  licences of the data sets allow:
{licences}
{warnings}
Names
  Names of models stand in the results as they were given to fairbench, also
  where they are paths of the machine that it ran on.
  The results were made between {first} and {last} (UTC).
"""
"""What README.txt says."""


@dataclass(frozen=True)
class Bundle:
    """What was packed: the archive, its files with their sha256 by path below its folder, and how many bytes they are."""

    path: Path
    sums: Mapping[str, str]
    size: int


def write_evidence(verification: Verification, path: Path, registry: Registry | None = None) -> Bundle:
    """Packs what was verified, whole or not at all.

    Args:
        verification: its results are packed, with their answers and judgements where these are kept.
        path: a .zip, .tar.gz or .tgz file; one that is there is replaced only if it is such a bundle.
        registry: where the tasks' warnings about their content are looked up.

    Raises:
        FairbenchError: the path has another ending, or another file lies there; a file to be packed is a link or has a name
            that no list of hashes can hold; two folders of one model hold different files.
    """
    refuse_target(path)
    files = _files(verification)
    texts = {
        VERIFICATION: _json(verification.as_dict()),
        ENVIRONMENT: _json(environment()),
        README: _readme(verification, files, registry or Registry()).encode(),
    }
    sums = {name: file_sha256(file) for name, file in files.items()} | {name: _sha256(text) for name, text in texts.items()}
    sums = dict(sorted(sums.items()))
    texts[SUMS] = "".join(f"{value}  {name}\n" for name, value in sums.items()).encode()
    with whole_file(path) as temporary, _archive(temporary, path.name) as add:
        for name in sorted((*files, *texts)):
            if name in texts:
                add(name, len(texts[name]), io.BytesIO(texts[name]))
                continue
            with files[name].open("rb") as content:
                add(name, files[name].stat().st_size, content)
            if file_sha256(files[name]) != sums[name]:
                raise FairbenchError(f"{files[name]} was changed while it was packed. Pack again when nothing writes there.")
    return Bundle(path, sums, path.stat().st_size)


def refuse_target(path: Path) -> None:
    """Refuses an archive that can't be written, or that would take the place of something else.

    Raises:
        FairbenchError: the ending is none of an archive, the folder is absent, or what lies there is no bundle of fairbench.
    """
    if not path.name.endswith(ENDINGS):
        raise FairbenchError(f"--bundle {path}: found no ending of an archive, wanted {', '.join(ENDINGS)}.")
    if not path.parent.is_dir():
        raise FairbenchError(f"--bundle {path}: there is no folder {path.parent}. Make it, or name another one.")
    require_writable(path.parent)
    if path.is_symlink() or (path.exists() and not _is_bundle(path)):
        raise FairbenchError(
            f"--bundle {path}: what lies there is no evidence bundle of fairbench, and only such a one is replaced. Remove it, "
            "or name another file."
        )


def _is_bundle(path: Path) -> bool:
    """Whether an archive holds what every bundle holds."""
    wanted = {f"{FOLDER}/{name}" for name in (SUMS, README, VERIFICATION, ENVIRONMENT)}
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return wanted <= set(archive.namelist())
        with tarfile.open(path, "r:gz") as tar:
            return wanted <= set(tar.getnames())
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile):
        return False


def _files(verification: Verification) -> dict[str, Path]:
    """All that is packed of the results' folders: path in the archive -> file."""
    found: dict[str, Path] = {}
    for one in verification.checked:
        for file in _of(one):
            name = f"results/{one.path.resolve().parent.parent.name}/{file.relative_to(one.path.parent.parent).as_posix()}"
            _refuse_unfit(file, one.path.parent.parent, name)
            other = found.setdefault(name, file)
            if other.resolve() != file.resolve() and file_sha256(other) != file_sha256(file):
                raise FairbenchError(
                    f"{other} and {file} are of one model and differ: in one bundle they would have one name. Give only one of "
                    "the two folders, or pack two bundles."
                )
    return found


def _of(one: Checked) -> Iterator[Path]:
    """A result's file, and the tables that it rests on, each with its note.

    The summary results.json is none of them: nothing verifies it, and it says nothing that the results don't say.
    """
    folder = one.path.parent.parent
    yield one.path
    tables = [one.result.answers, *one.result.judges] if one.result else []
    for table in tables:
        named = str(table.get("path"))
        if TABLE.fullmatch(named):  # nothing outside of the model's folder, whatever a file says
            both = (folder / named, (folder / named).with_suffix(".json"))
            yield from (file for file in both if file.is_symlink() or file.exists())


def _refuse_unfit(file: Path, folder: Path, name: str) -> None:
    """Links are refused, which may lead anywhere, and names that a list of hashes can't hold."""
    if file.is_symlink() or any(part.is_symlink() for part in file.parents if part.is_relative_to(folder)):
        raise FairbenchError(f"{file} is a link, or lies behind one, and a bundle holds files only. Copy what it leads to there.")
    if not file.is_file():
        raise FairbenchError(f"{file} is no file. Wanted a file that `fairbench score` wrote; remove it.")
    if any(sign in name for sign in UNFIT):
        raise FairbenchError(
            f"{str(file)!r}: its name holds a line break or a backslash, which no list of hashes can hold. Rename it."
        )


@contextmanager
def _archive(temporary: Path, name: str) -> Iterator[Callable[[str, int, IO[bytes]], None]]:
    """Gives the function that adds a file (its name, size and content) to the archive."""
    if name.endswith(".zip"):
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:

            def add_to_zip(name: str, size: int, content: IO[bytes]) -> None:
                about = zipfile.ZipInfo(f"{FOLDER}/{name}", EPOCH)
                about.create_system, about.external_attr, about.compress_type = 3, 0o100644 << 16, zipfile.ZIP_DEFLATED
                with archive.open(about, "w", force_zip64=size > zipfile.ZIP64_LIMIT // 2) as inside:
                    shutil.copyfileobj(content, inside, 1 << 20)

            yield add_to_zip
        return
    with (
        temporary.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):

        def add_to_tar(name: str, size: int, content: IO[bytes]) -> None:
            about = tarfile.TarInfo(f"{FOLDER}/{name}")
            about.size, about.mode = size, 0o644  # times, owners and their names are 0 and empty by themselves
            tar.addfile(about, content)

        yield add_to_tar


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(jsonable(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _readme(verification: Verification, files: Mapping[str, Path], registry: Registry) -> str:
    """What the bundle is, how to check it, and what whoever opens it should know before."""
    results = [one.result for one in verification.checked if one.result]
    total = len(verification.checked)
    outcomes = ", ".join(f"{outcome}: {count}" for outcome, count in sorted(verification.counts.items()))
    how = " Values and counts only were compared." if verification.quick else ""
    models = {one.path.resolve().parent.parent.name for one in verification.checked}
    several = "s" * (len(models) != 1)
    counts = f"{total} results of {len(models)} model{several} in {len(files)} files.{how}\nWhen they were packed: {outcomes}."
    dates = sorted(str(result.run.get("date", "?"))[:10] for result in results) or ["?"]
    return TEXT.format(
        counts=counts, verification=VERIFICATION, environment=ENVIRONMENT, sums=SUMS, version=__version__, tolerance=TOLERANCE,
        licences=_licences(results), warnings=_warnings(results, registry), first=dates[0], last=dates[-1],
    )  # fmt: skip


def _licences(results: Sequence[Result]) -> str:
    """The licences of the data sets, each with its tasks."""
    tasks: dict[str, set[str]] = {}
    for result in results:
        tasks.setdefault(str(result.task.get("licence") or "no licence is named"), set()).add(str(result.task["name"]))
    return "\n".join(_wrapped(f"{licence}: {', '.join(sorted(names))}") for licence, names in sorted(tasks.items()))


def _warnings(results: Sequence[Result], registry: Registry) -> str:
    """What the tasks' cards say of their content, each sentence once; nothing of tasks that are not known here."""
    cards = registry.tasks()
    said: dict[str, set[str]] = {}
    for name in sorted({str(result.task["name"]) for result in results}):
        if name in cards and cards[name].content_warning:
            said.setdefault(str(cards[name].content_warning), set()).add(name)
    lines = [_wrapped(f"{', '.join(sorted(names))}: {warning}") for warning, names in said.items()]
    return "\n".join(["  What the data sets say of themselves:", *lines, ""]) if lines else ""


def _wrapped(text: str) -> str:
    return textwrap.fill(
        text, 78, initial_indent="    ", subsequent_indent="      ", break_long_words=False, break_on_hyphens=False
    )
