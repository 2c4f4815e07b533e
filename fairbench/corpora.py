"""Reads a corpus that the user names, as a stream of sentences: files, the passages of a task, or a data set of the Hub."""

from __future__ import annotations

import glob
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from fairbench.data import rows
from fairbench.errors import FairbenchError, did_you_mean
from fairbench.files import digest, file_sha256
from fairbench.reading import checked, read
from fairbench.records import Passage
from fairbench.registry import Registry, Task
from fairbench.scores import Source, TaskInfo
from fairbench.sources import locate, stream

Documents = Iterator[tuple[str, Iterable[str]]]
"""Name of a document, and its text in one or more pieces; a sentence never goes over the end of a piece."""

Divided = tuple[str, Callable[[], Iterator[str]]]
"""In which way a running text falls into documents, and what reads these anew."""

Divide = Callable[[Path], Divided]

TABLES = {".jsonl": "json", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet"}
"""File endings of tables with a column `text`, and their formats."""

ENDINGS = (".txt", *TABLES)
"""What can be read; a .txt file is one running text."""

ELSEWHERE = (
    ".md",
    ".pdf",
    ".html",
    ".htm",
    ".xml",
    ".doc",
    ".docx",
    ".rtf",
    ".epub",
    ".gz",
    ".bz2",
    ".xz",
    ".zst",
    ".zip",
    ".tar",
)
"""Endings that can't be read, but which no data set of the Hub is called by."""

HUB = re.compile(
    r"(?P<id>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w.-]+))?(?::(?P<config>[^:]*))?(?::(?P<split>[^:]*))?(?::(?P<column>[^:]+))?"
)
MOST_FILES = 100
"""More files are recorded by their number and one digest over all of their names and digests."""

CHUNK = 1 << 20
"""Characters of a .txt file that are read at once, and the length at which a text without blank lines is cut at a line's end."""

RULE = (
    "A text is cut at blank lines, and after . ! ? or an ellipsis with the closing quotation marks and brackets behind it where "
    "white space follows and then a capital letter or a digit (or such with opening marks), unless an abbreviation (Mr. Dr. St. "
    "...) or initials end in that full stop. <br> ends a line, white space becomes one space, an accented letter one character "
    "(NFC)."
)
_LINE_END = re.compile(r"<br\s*/?>", re.IGNORECASE)
_BLANK = re.compile(r"\n\s*\n")
_END = re.compile(r"""[.!?…]["'”’»)\]]*\s(?=["'“‘«(\[]*[^\W_a-zß-öø-ÿ])""")
_ABBREVIATED = re.compile(
    r"""(?:^|[\s"'“‘«(\[])(?:(?:[A-Z]\.)*[A-HJ-Z]|Mr|Mrs|Ms|Dr|Prof|St|Gen|Col|Capt|Lt|Sgt|Rev|Hon|Gov|Sen|Rep|vs)\.$"""
)
_LONGEST_ABBREVIATION = 16


@dataclass(frozen=True)
class Corpus:
    """Where sentences come from; every call of `documents` reads anew. `provenance` says what exactly, JSON-ready.

    `streamed`: it is fetched as it is read, and how long it is nobody knows.
    """

    documents: Callable[[], Documents]
    provenance: Mapping[str, Any]
    streamed: bool = False


def sentences(text: str) -> Iterator[str]:
    """Cuts a text into sentences by RULE.

    Example:
        >>> list(sentences("Dr. Ott came home.<br />She was tired! Was he?"))
        ['Dr. Ott came home.', 'She was tired!', 'Was he?']
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if "<" in text:
        text = _LINE_END.sub("\n", text)
    for paragraph in _BLANK.split(text):
        line = " ".join(paragraph.split())
        start = 0
        for end in _END.finditer(line):
            mark = end.start() + 1
            if line[mark - 1] == "." and _ABBREVIATED.search(line[max(start, mark - _LONGEST_ABBREVIATION) : mark]):
                continue
            yield line[start : end.end() - 1]
            start = end.end()
        if start < len(line):
            yield line[start:]


def open_corpus(
    corpus: str,
    data_dir: Path | None,
    registry: Registry,
    *,
    divide: Divide | None = None,
    others: Mapping[str, str] | None = None,
) -> Corpus:
    """Finds a corpus by its name; nothing of it is read yet but for the digests of files.

    Args:
        corpus: a file, a folder or a pattern of files (.txt, or a table with a column `text`), the name of a task with running
            text (gap), or OWNER/NAME[@REVISION][:CONFIG[:SPLIT[:COLUMN]]] for a data set of the Hub.
        data_dir: the folder of local data.
        registry: knows the tasks.
        divide: says how a .txt file falls into documents, which else is one; the provenance then counts under `divided` the
            files that do in each way.
        others: what else the user might have meant, and what that is: for the message.

    Raises:
        FairbenchError: it is nowhere, or nothing in it can be read.
    """
    others = others or {}
    path = Path(corpus).expanduser()
    if path.is_dir():
        below = sorted(_below(path))
        fit = [file for file in below if file.suffix.lower() in ENDINGS]
        return _of_files(corpus, path, fit, passed_over=len(below) - len(fit), divide=divide)
    if path.exists():
        return _of_files(corpus, path.parent, [path], divide=divide)
    if glob.has_magic(corpus):
        root = next(parent for parent in path.parents if not glob.has_magic(str(parent)))
        pattern = path.relative_to(root).as_posix()
        if paths := sorted(one for one in root.glob(pattern) if one.is_file()):
            return _of_files(corpus, root, paths, divide=divide)
    tasks = registry.tasks()
    if corpus in tasks:
        return _of_task(registry.task(corpus), data_dir)
    if not _is_path(corpus) and (named := HUB.fullmatch(corpus)):
        return _of_hub(corpus, named.groupdict(), data_dir)
    texts = sorted(name for name, info in tasks.items() if info.form == Passage.__name__)
    several = (
        " Several files are given as a folder or a pattern of names ('books/*.txt'), not with commas." if "," in corpus else ""
    )
    also = "".join(f", or {name} ({what})" for name, what in others.items())
    raise FairbenchError(
        f"--corpus {corpus}: there is no such file, folder or task.{did_you_mean(corpus, [*texts, *others])}{several} Wanted are "
        f"text files ({', '.join(ENDINGS)}; a folder, or a pattern of names), a task with running text ({', '.join(texts)}), or "
        f"a data set of the Hub as OWNER/NAME[@REVISION][:CONFIG[:SPLIT[:COLUMN]]]{also}."
    )


def _is_path(corpus: str) -> bool:
    """Whether a name can only be meant for a file or folder: else a slip of the pen would be looked for on the Hub."""
    return corpus.startswith(("./", "../", "/", "~")) or corpus.lower().endswith((*ENDINGS, *ELSEWHERE))


def _below(folder: Path) -> Iterator[Path]:
    """The files of a folder, hidden ones left out."""
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            yield path


def _of_files(corpus: str, root: Path, files: list[Path], passed_over: int = 0, *, divide: Divide | None) -> Corpus:
    """Files, by their names below a folder; `passed_over` others lie there that can't be read."""
    wrong = next((file.name for file in files if file.suffix.lower() not in ENDINGS), None)
    if wrong or not files:
        what = f"{wrong} is no text file by its name" if wrong else "the folder holds no text file"
        raise FairbenchError(
            f"--corpus {corpus}: {what}. Wanted are files that end in {', '.join(ENDINGS)}: running text in .txt, else a table "
            "with a column `text`."
        )
    names = {file.relative_to(root).as_posix(): file for file in files}
    digests = {name: file_sha256(file) for name, file in names.items()}
    parts = {name: divide(file) for name, file in names.items() if file.suffix.lower() not in TABLES} if divide else {}
    others = "1 file of the corpus folder was" if passed_over == 1 else f"{passed_over} files of the corpus folder were"
    return Corpus(
        lambda: (document for name, file in names.items() for document in _in_file(name, file, parts.get(name))),
        {
            "corpus": "/".join(Path(corpus).parts[-2:]),
            "kind": "files",
            "files": digests if len(digests) <= MOST_FILES else None,
            "n_files": len(digests),
            "sha256": digest(digests),
            **({"divided": dict(Counter(way for way, _ in parts.values()))} if divide else {}),
            "passed_over": passed_over,
            "warnings": [f"{others} passed over, since they end in none of {', '.join(ENDINGS)}."] if passed_over else [],
        },
    )


def _in_file(name: str, path: Path, parts: Divided | None) -> Documents:
    """The documents of one file: itself, what it is divided into, or a row each."""
    form = TABLES.get(path.suffix.lower())
    if parts:
        yield from ((f"{name}:{n}", (text,)) for n, text in enumerate(parts[1](), 1))
    elif form is None:
        yield name, _pieces(path)
    elif path.stat().st_size:
        source = Source(format=form, columns=())  # type: ignore[arg-type]
        shown = f"The file {path} of the corpus"
        yield from _in_rows(read(path, source, shown), "text", shown, f"{name}:")


def _in_rows(table: Iterable[Mapping[str, Any]], column: str, shown: str, prefix: str = "") -> Documents:
    """A document a row; rows without text are passed over."""
    for n, row in enumerate(table, 1):
        if column not in row:
            raise FairbenchError(
                f"{shown}: found the columns {', '.join(row)}; wanted `{column}` (row {n}). Rename the column that "
                "holds the text."
            )
        text = row[column]
        if text is None:
            continue
        if not isinstance(text, str):
            raise FairbenchError(
                f"{shown}, row {n}: column {column!r} holds {type(text).__name__}, not text. Name a column that holds the text."
            )
        yield f"{prefix}{n}", (text,)


def _pieces(path: Path) -> Iterator[str]:
    """A running text in pieces that end at blank lines, so that memory does not grow with the file."""
    left = ""
    with decoded(path) as file:
        while part := file.read(CHUNK):
            *whole, left = _BLANK.split(left + part)
            yield from whole
            if len(left) > CHUNK:
                piece, _, left = left.rpartition("\n" if "\n" in left else " ")
                yield piece
    yield left


@contextmanager
def decoded(path: Path) -> Iterator[TextIO]:
    """A .txt file to be read, with a message where it is not UTF-8."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield file
    except UnicodeDecodeError as error:
        raise FairbenchError(
            f"The file {path} of the corpus is not UTF-8 ({error.reason}). Convert it, or leave it out."
        ) from None


def _of_task(task: Task, data_dir: Path | None) -> Corpus:
    """The passages of a task."""
    if task.info.form != Passage.__name__:
        raise FairbenchError(
            f"--corpus {task.name}: the task has {task.info.form} records. Wanted is a task with running text "
            f"({Passage.__name__} records), text files, or a data set of the Hub."
        )
    data = rows(task.info, task.name, data_dir)
    records = (task.records, data, task.name)

    def documents() -> Documents:
        parse, table, name = records
        for record in parse(table, name):
            assert isinstance(record, Passage)
            yield record.id, (record.text,)

    warnings = data.provenance["warnings"]
    return Corpus(documents, {"corpus": task.name, "kind": "task", "data": dict(data.provenance), "warnings": warnings})


def _of_hub(corpus: str, named: Mapping[str, str | None], data_dir: Path | None) -> Corpus:
    """A data set of the Hub: a copy in the data folder, what the client has of the revision, or a stream at one commit."""
    column = named["column"] or "text"
    source = Source(
        format="parquet",
        columns=(column,),
        may_be_empty=(column,),
        hub=named["id"],
        config=named["config"] or None,
        split=named["split"] or "train",
        revision=named["revision"],
    )
    info = TaskInfo(
        title=corpus,
        form=Passage.__name__,
        sources=(source,),
        licence="",
        cite="",
        language="",
        groups=(),
        metrics=(),
        cluster="none",
    )
    shown = f"The Hub data set {source.hub} ({source.config or 'default'}, {source.split})"
    if locate(info, corpus, data_dir) is not None:
        here = rows(info, corpus, data_dir)
        return Corpus(lambda: _in_rows(here, column, shown), {"corpus": corpus, "column": column, **here.provenance})
    try:
        table, revision, warning = stream(source)
    except FairbenchError as error:
        raise FairbenchError(f"--corpus {corpus}: there is no such file, folder or task here. {error}") from error
    provenance = {
        "corpus": corpus, "kind": "hub", "hub": source.hub, "config": source.config, "split": source.split, "column": column,
        "revision": revision, "warnings": [warning] if warning else [],
    }  # fmt: skip
    return Corpus(lambda: _in_rows(checked(table(), source, shown), column, shown), provenance, streamed=True)
