"""Answers tables on disk: made in parts that survive a kill, and read from files that came from elsewhere."""

from __future__ import annotations

import ast
import contextlib
import csv
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from fairbench.errors import FairbenchError
from fairbench.files import file_sha256, lock_of, whole_file, write_json
from fairbench.scores import jsonable

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


TEXT_COLUMNS = ("id", "group", "groups", "cluster", "stratum", "source")
"""Columns of a CSV file that hold names, also where these look like numbers: 01 is not 1."""

LIST_COLUMNS = ("groups", "options", "probs", "vector", "scores", "top_fills", "token_text", "token_sensitivity", "token_weight")
"""Columns in whose cells a list may stand; elsewhere text may begin with a bracket."""

SUFFIXES = (".parquet", ".jsonl", ".csv")

JSON_LIST = r"\[\s*[\[\]\"\-0-9]"
"""How a list begins in a CSV cell; a template such as "[TARGET] is here" begins otherwise."""


@dataclass(frozen=True)
class AnswerStore:
    """The answers of one cell on disk: parts while they are made, then one Parquet file with a note of how they came to be."""

    folder: Path
    key: str

    @property
    def path(self) -> Path:
        """The finished file."""
        return self.folder / f"{self.key}.parquet"

    @property
    def note_path(self) -> Path:
        """The note beside it."""
        return self.folder / f"{self.key}.json"

    @property
    def parts(self) -> Path:
        """Folder of the parts; it exists only while answers are being made."""
        return self.folder / f"{self.key}.parts"

    def finished(self) -> bool:
        """Whether all answers are there. The note is written last, so it stands for the whole."""
        return self.note_path.exists() and self.path.exists()

    def lock(self) -> FileLock:
        """Keeps other processes of this machine from making the same answers at the same time; freed also by a kill."""
        return lock_of(self.path)

    def has_part(self, number: int) -> bool:
        """Whether part `number` is there, whole."""
        return (self.parts / f"{number:06d}.parquet").exists()

    def write_part(self, number: int, rows: list[dict[str, Any]], seconds: float) -> None:
        """Writes one part atomically, with the time that it took to make."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        with whole_file(self.parts / f"{number:06d}.parquet") as temporary:
            table = _narrow(pa.Table.from_pylist(_same_keys(rows)))
            pq.write_table(table.replace_schema_metadata({"seconds": str(seconds)}), temporary)

    def finish(self, parts: int, note: Mapping[str, Any]) -> None:
        """Joins all `parts` into one file, writes the note, and removes them. Memory holds one part at a time."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self.finished():  # another process was faster; what both made is the same
            return
        files = [self.parts / f"{number:06d}.parquet" for number in range(parts)]
        absent = [file.name for file in files if not file.exists()]
        if absent or not files:
            raise FairbenchError(f"{self.parts}: {', '.join(absent) or 'every part'} is absent. Run the same command again.")
        schemas = [pq.read_schema(f) for f in files]
        seconds = sum(float((schema.metadata or {}).get(b"seconds", 0)) for schema in schemas)
        count = 0
        try:
            schema = pa.unify_schemas([s.remove_metadata() for s in schemas], promote_options="permissive")
            with whole_file(self.path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
                for file in files:
                    table = _with_schema(pq.read_table(file), schema)
                    count += len(table)
                    writer.write_table(table)
        except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
            raise FairbenchError(
                f"{self.parts}: the parts don't fit together ({error}). Remove that folder and run again."
            ) from None
        write_json(self.note_path, {**note, "rows": count, "seconds": round(seconds, 3), "sha256": file_sha256(self.path)})
        self.tidy()

    def tidy(self) -> None:
        """Removes parts that are no longer needed: what a kill, or a slower process, left beside a finished file."""
        if self.finished():
            shutil.rmtree(self.parts, ignore_errors=True)

    def note(self) -> dict[str, Any]:
        """How the answers came to be: sha256, rows, seconds, device, notes."""
        try:
            content: dict[str, Any] = json.loads(self.note_path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise FairbenchError(
                f"{self.note_path} can't be read ({error}). Remove it and {self.path.name} and run the same command again."
            ) from None
        return content

    def read(self) -> pd.DataFrame:
        """The answers table; FairbenchError where its bytes are not those that were written."""
        import pandas as pd

        found, wanted = file_sha256(self.path), self.note()["sha256"]
        if found != wanted:
            raise FairbenchError(
                f"{self.path} was changed after it was written: its sha256 is {found[:12]}..., wanted {wanted[:12]}.... "
                f"Remove it and {self.note_path.name} and run the same command again."
            )
        return pd.read_parquet(self.path)


def _same_keys(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    return [{key: row.get(key) for key in keys} for row in rows]


def _narrow(table: pa.Table) -> pa.Table:
    """Vectors in single precision, in half the room, where they were computed in no more than that."""
    import numpy as np
    import pyarrow as pa

    if "vector" not in table.column_names:
        return table
    wide = table.column("vector").combine_chunks()
    if not pa.types.is_list(wide.type) or not pa.types.is_float64(wide.type.value_type):
        return table
    values = wide.flatten().to_numpy(zero_copy_only=False)
    if not np.array_equal(values, values.astype(np.float32).astype(np.float64), equal_nan=True):
        return table
    return table.set_column(table.column_names.index("vector"), "vector", wide.cast(pa.list_(pa.float32())))


def _with_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    for field in schema:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(len(table), field.type))
    return table.select(schema.names).cast(schema)


def read_answers(path: Path) -> pd.DataFrame:
    """Answers from a .parquet, .jsonl or .csv file; in CSV a list is written as JSON in its cell.

    Raises:
        FairbenchError: the file is absent, empty, of another type, or malformed; with the row and column where there is one.
    """
    if path.is_dir():
        raise FairbenchError(f"{path} is a folder. Wanted a table of answers: a .parquet, .jsonl or .csv file.")
    refuse_suffix(path)
    if not path.is_file():
        raise FairbenchError(f"{path}: there is no such file. Wanted a table of answers, a row an answer.")
    readers = {".parquet": _read_parquet, ".jsonl": _read_jsonl, ".csv": _read_csv}
    table = readers[path.suffix](path)
    if not len(table):
        raise FairbenchError(f"{path} holds no rows. Wanted a table of answers, a row an answer.")
    return table


def refuse_suffix(path: Path) -> None:
    """Refuses a file of answers that is none of the three types."""
    if path.suffix not in SUFFIXES:
        raise FairbenchError(
            f"{path}: found a file of type {path.suffix or 'unknown'!r}, wanted .parquet, .jsonl (one JSON object a line) or "
            ".csv. Save it as one of these."
        )


def write_answers(table: pd.DataFrame, path: Path) -> None:
    """Writes a table of answers whole or not at all, as the type of file that the path names; `read_answers` reads it back.

    Raises:
        FairbenchError: the path names another type of file.
    """
    refuse_suffix(path)
    with whole_file(path) as temporary:
        if path.suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        elif path.suffix == ".jsonl":
            rows = table.astype(object).where(table.notna(), None).to_dict("records")
            text = "".join(json.dumps(jsonable(_plain(row)), ensure_ascii=False) + "\n" for row in rows)
            temporary.write_text(text, encoding="utf-8", newline="\n")
        else:
            table.map(_as_json).to_csv(temporary, index=False)


def _plain(value: Any) -> Any:
    """NumPy's lists and numbers as Python's own."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value


def _as_json(cell: Any) -> Any:
    """A list as it stands in a CSV cell."""
    found = _plain(cell)
    return json.dumps(found, ensure_ascii=False) if isinstance(found, list) else cell


def _read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.read_parquet(path)
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).split("\n")[0]
        raise FairbenchError(f"{path} is no readable Parquet file ({reason}). Write it again.") from None


def _read_jsonl(path: Path) -> pd.DataFrame:
    import pandas as pd

    rows = []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # not splitlines: JSON strings may hold other line breaks
    except UnicodeDecodeError as error:
        raise FairbenchError(f"{path} is not UTF-8 ({error.reason} at byte {error.start}). Write it again as UTF-8.") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise FairbenchError(
                f"{path}, row {number}, column {error.colno}: {error.msg}. Wanted one JSON object a line."
            ) from None
        if not isinstance(row, dict):
            raise FairbenchError(f"{path}, row {number}: found {line.strip()[:40]!r}, wanted one JSON object a line.")
        rows.append(row)
    return pd.DataFrame(rows)


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        _check_csv(path)
        # Words such as None and NA are group names somewhere: only an empty cell is missing.
        table = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(TEXT_COLUMNS, str))
    except pd.errors.EmptyDataError:
        raise FairbenchError(f"{path} is empty. Wanted a header line and a row an answer.") from None
    except UnicodeDecodeError:
        raise FairbenchError(f"{path} is not UTF-8 text. Save it as UTF-8.") from None
    except (pd.errors.ParserError, csv.Error) as error:
        raise FairbenchError(f"{path} is no well-formed CSV file: {str(error).strip()}. Mend that row.") from None
    for name in table.columns:
        cells = table[name]
        if cells.dtype.kind in "fiub" or not cells.notna().any():
            continue
        begins = cells.astype(str).str.match(r"\s*\[")
        if (name in LIST_COLUMNS and begins.any()) or cells.dropna().astype(str).str.match(JSON_LIST).all():
            read = [_json_cell(c, row, name, path) if b else c for row, (c, b) in enumerate(zip(cells, begins, strict=True), 1)]
            table[name] = pd.Series([None if isinstance(c, float) and c != c else c for c in read], dtype=object)
    return table


def _check_csv(path: Path) -> None:
    """Every row must have as many cells as the header: pandas would shift columns instead of saying so."""
    csv.field_size_limit(2**31 - 1)  # a wide vector is one cell
    with path.open(encoding="utf-8", newline="") as file:
        rows = (row for row in csv.reader(file) if row)
        header = next(rows, [])
        if len(header) == 1 and ";" in header[0]:
            raise FairbenchError(
                f"{path}: the header is one column with semicolons, {header[0]!r}. Wanted commas between columns."
            )
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise FairbenchError(f"{path}: the column {twice[0]!r} stands twice in the header. Rename one of them.")
        for number, row in enumerate(rows, 1):
            if len(row) != len(header):
                raise FairbenchError(
                    f"{path}, row {number}: found {len(row)} cells, wanted {len(header)} as in the header. Mend it."
                )


def _json_cell(cell: Any, row: int, column: str, path: Path) -> Any:
    if not isinstance(cell, str):
        return None
    try:
        return json.loads(cell)
    except json.JSONDecodeError as error:
        with contextlib.suppress(ValueError, SyntaxError):
            read = ast.literal_eval(cell.strip())  # a list as Python prints it, which is what pandas writes
            if isinstance(read, list):
                return read
        raise FairbenchError(
            f"{path}, row {row}, column {column!r}: found {cell[:40]!r}, wanted a JSON list ({error.msg}). Mend that cell."
        ) from None
