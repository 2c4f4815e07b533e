"""Reads one data file, row by row, and says where it is malformed.

The builders of `datasets` (csv, json, parquet, text) stream it, so that memory does not grow with the file and nothing of it
stays in a cache: a file that changed is read anew.
"""

from __future__ import annotations

import contextlib
import csv
import glob
import gzip
import json
import logging
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from fairbench.errors import FairbenchError
from fairbench.records import SPLIT
from fairbench.scores import Source

BATCH = 1000
"""Rows that are taken from `datasets` at once."""

BUILDERS = {"csv": "csv", "tsv": "csv", "json": "json", "parquet": "parquet", "lines": "text", "document": "text"}

QUOTING: dict[str, Any] = {
    "csv": {"delimiter": ",", "quoting": csv.QUOTE_MINIMAL},
    "tsv": {"delimiter": "\t", "quoting": csv.QUOTE_NONE},
}
"""How fields are told apart. In a TSV file a quotation mark is a character like any other: the published ones quote nothing."""

PACKED = ".gz"
"""Ending of a file that is read unpacked; what is packed may have any of the formats."""

Row = Mapping[str, Any]


def read(path: Path, source: Source, shown: str) -> Iterator[Row]:
    """Reads the rows of one file and checks the columns that the source asks for.

    Args:
        path: the file.
        source: its format and columns.
        shown: what messages call it.

    Raises:
        FairbenchError: the file is empty or malformed, lacks a column, or has an empty value where one is needed.
    """
    if path.stat().st_size == 0:
        raise FairbenchError(
            f"{shown} is empty (0 bytes). Wanted are rows in the format {source.format}. Download the file again."
        )
    return checked(_streamed(path, source, shown), source, shown)


def checked(rows: Iterable[Row], source: Source, shown: str) -> Iterator[Row]:
    """Passes rows on that have all columns and a value in each; row 1 is the first row of data."""
    n = 0
    for n, row in enumerate(rows, 1):
        for column in source.columns:
            if column not in row:
                raise FairbenchError(
                    f"{shown} has no column {column!r} (row {n}). Found are the columns {', '.join(map(repr, row))}; wanted are "
                    f"{', '.join(map(repr, source.columns))}. Check that it is the file of this task, or download it again."
                )
            if column not in source.may_be_empty and _is_empty(row[column]):
                raise FairbenchError(
                    f"{shown}, row {n}, column {column!r}: the value is empty. Wanted is a value in every row of this column. "
                    "Rows are counted from 1 without the header. Mend the row or download the file again."
                )
        yield row
    if n == 0:
        raise FairbenchError(
            f"{shown} holds no rows of data. Wanted are rows in the format {source.format}. Download the file again."
        )


def in_split(rows: Iterable[Row], split: str | None) -> Iterator[Row]:
    """The rows with the name of the split that they are of in the column `split`; as they are where a source has none."""
    return (row if split is None else {**row, SPLIT: split} for row in rows)


def faults(path: Path, source: Source, shown: str) -> None:
    """Reads all of a file for what is wrong with it.

    Raises:
        FairbenchError: as `read`, and a row of a CSV or TSV file with more or fewer fields than its header, or a document that is
            named .json or .jsonl and is none.
    """
    for _ in read(path, source, shown):
        pass
    found = {"csv": _csv_fault, "tsv": _tsv_fault, "document": _document_fault}.get(source.format)
    where = found(path) if found else None
    if where is not None:
        raise _malformed(shown, where)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps `datasets` and the Hub's client from printing bars and log lines, and leaves their settings as they were."""
    import datasets
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    bars, hub_bars = not datasets.are_progress_bars_disabled(), not are_progress_bars_disabled()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    if bars:
        datasets.disable_progress_bars()
    if hub_bars:
        disable_progress_bars()
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars:
            datasets.enable_progress_bars()
        if hub_bars:
            enable_progress_bars()


def in_silence(batches: Iterator[Mapping[str, list[Any]]]) -> Iterator[Row]:
    """The rows of batches that `datasets` reads as they are asked for, without a word from it; in between its settings stand."""
    while True:
        with quiet():
            batch = next(batches, None)
        if batch is None:
            return
        yield from unbatched([batch])


def unbatched(batches: Iterable[Mapping[str, list[Any]]]) -> Iterator[Row]:
    """Turns batches (a list a column) into rows."""
    for batch in batches:
        for values in zip(*batch.values(), strict=True):
            yield dict(zip(batch, values, strict=True))


def _streamed(path: Path, source: Source, shown: str) -> Iterator[Row]:
    """The rows as `datasets` streams them; what it raises becomes a message that names the row."""
    try:
        # The builder wants a cache folder for its lock even when it stores nothing: not the user's.
        with quiet(), tempfile.TemporaryDirectory() as folder:
            from datasets import load_dataset

            stream = load_dataset(
                BUILDERS[source.format],
                data_files=[glob.escape(str(path))],
                split="train",
                streaming=True,
                cache_dir=folder,
                **_options(path, source),
            )
            batches = iter(stream.iter(batch_size=BATCH))
        yield from in_silence(batches)
    except FairbenchError:
        raise
    except Exception as error:
        # Builders raise what their parsers raise (pandas, Arrow, ujson, the codec); all of it means that the file is malformed.
        raise _malformed(shown, _place(path, source, error)) from error


def _options(path: Path, source: Source) -> dict[str, Any]:
    """The builder's options: everything in a CSV or TSV file is text ("NA", "007"), and blank lines are kept."""
    if source.format == "lines":
        return {"sample_by": "line"}
    if source.format == "document":
        return {"sample_by": "document"}
    if source.format not in QUOTING:
        return {}
    from datasets import Features, Value

    quoting = QUOTING[source.format]
    with _text(path) as lines:
        header = next(csv.reader(lines, **quoting), [])
    # pandas, and so `datasets`, gives a column without a name this one.
    names = [name or f"Unnamed: {i}" for i, name in enumerate(header)]
    return {"features": Features({name: Value("string") for name in names}), "keep_default_na": False, **quoting}


def _text(path: Path) -> IO[str]:
    """A file as text, unpacked if it is packed; line ends are left to the csv module."""
    if path.suffix == PACKED:
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _bytes(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked if it is packed."""
    # gzip's own type is no IO to mypy, but has all of its methods.
    return gzip.open(path, "rb") if path.suffix == PACKED else path.open("rb")  # type: ignore[return-value]


def _is_empty(value: Any) -> bool:
    """Whether a value says nothing: null, blank text, an empty list."""
    return value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, (list, dict)) and not value)


def _malformed(shown: str, where: str) -> FairbenchError:
    """The message for a file that can't be read."""
    return FairbenchError(
        f"{shown} is malformed: {where}. Rows are counted from 1 without the header. Mend the file or download it again."
    )


def _place(path: Path, source: Source, error: Exception) -> str:
    """Where a reader failed, found by reading the file again with the strictest means at hand."""
    if source.format != "parquet":
        try:
            where = _not_utf8(path, source)
        except (OSError, EOFError, zlib.error) as broken:
            return f"it can't be unpacked ({broken})"
        if where is not None:
            return where
    finders = {"csv": _csv_fault, "tsv": _tsv_fault, "json": _json_fault, "document": _document_fault}
    found = finders[source.format](path) if source.format in finders else None
    cause = " ".join(str(error).split())[:200] or type(error).__name__
    return found or f"it can't be read as {source.format} ({cause})"


def _not_utf8(path: Path, source: Source) -> str | None:
    """The first line that is not UTF-8."""
    with _bytes(path) as lines:
        for n, line in enumerate(lines, 1):
            try:
                line.decode()
            except UnicodeDecodeError as wrong:
                row = n - 1 if source.format in QUOTING else n
                where = f"row {row}" if row else "the header"
                return f"{where} (line {n}), column {wrong.start + 1}: the text is not UTF-8"
    return None


def _tsv_fault(path: Path) -> str | None:
    """The first row with too many or too few fields."""
    return _csv_fault(path, "tsv")


def _csv_fault(path: Path, form: str = "csv") -> str | None:
    """The first row with too many or too few fields, or with a quotation mark that never closes."""
    limit = csv.field_size_limit(2**31 - 1)  # the reader's own limit is shorter than some texts
    try:
        with _text(path) as lines:
            reader = csv.reader(lines, **QUOTING[form])
            header, n = next(reader, []) or [""], 0
            for n, row in enumerate((row for row in reader if row), 1):
                if len(row) != len(header):
                    at = f"column {header[len(row)]!r}" if len(row) < len(header) else f"after column {header[-1]!r}"
                    return f"row {n}, {at}: found {len(row)} fields, wanted {len(header)}"
        # An open quotation mark swallows the rest of the file into its last row.
        with _text(path) as lines:
            try:
                for _ in csv.reader(lines, strict=True, **QUOTING[form]):
                    pass
            except csv.Error as error:
                if "end of data" in str(error):
                    return f"row {n}, column {header[-1]!r}: a quotation mark is not closed"
    finally:
        csv.field_size_limit(limit)
    return None


def _json_fault(path: Path) -> str | None:
    """The first row of a JSON array, or of JSON lines, that is not valid JSON."""
    with _bytes(path) as packed:
        text = packed.read().decode("utf-8-sig")
    if not text.lstrip().startswith("["):
        for n, line in enumerate(text.splitlines(), 1):
            try:
                json.loads(line or "null")
            except json.JSONDecodeError as error:
                return f"row {n} (line {n}), column {error.colno}: {error.msg}"
        return None
    decoder, n, at = json.JSONDecoder(), 0, text.index("[") + 1
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        with contextlib.suppress(json.JSONDecodeError):
            while True:
                at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n,"))
                _, at = decoder.raw_decode(text, at)
                n += 1
        return f"row {n + 1} (line {error.lineno}), column {error.colno}: {error.msg}"
    return None


def _document_fault(path: Path) -> str | None:
    """Where a document that is called JSON is none."""
    if not {".json", ".jsonl"} & set(path.suffixes[-2:]):
        return None
    try:
        with _text(path) as text:
            json.load(text)
    except json.JSONDecodeError as error:
        return f"row 1 (line {error.lineno}), column {error.colno}: {error.msg}"
    return None
