"""Word vectors in the formats that they are published in, and how far each word lies towards one end of a direction.

A file of vectors is streamed, never held: of each word one number is kept, its projection on the direction. So millions of words
take some hundred megabytes and one pass through the file, however often a judge is asked.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from fairbench.errors import FairbenchError
from fairbench.judges.tokens import tokens

if TYPE_CHECKING:
    from fairbench.stats import Floats

BLOCK = 4096
"""Lines, or words of a binary file, that are read together."""

CHUNK = 2**22
"""Bytes of a binary file that are read together."""

UNREAD = (".npz", ".npy", ".safetensors", ".kv", ".model", ".pt", ".pkl", ".zip", ".7z", ".tar")
"""Endings of what else vectors are kept in; refused, since it would be taken for text."""

Block = tuple[list[str], "Floats"]


def blocks(path: Path) -> Iterator[Block]:
    """The words of a file with their vectors, (k, d), a block at a time.

    Args:
        path: word2vec's text format (a first line "words dimensions"), GloVe's (none), either packed as .gz; or word2vec's binary
            format, by the ending .bin or .bin.gz.

    Raises:
        FairbenchError: the file is malformed, cut off, or in another format.
    """
    endings = path.suffixes[-2:]
    if set(endings) & set(UNREAD):
        raise _malformed(path, f"{''.join(endings)} is not read. Wanted word2vec's or GloVe's text format, or word2vec's .bin")
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            yield from (_binary if ".bin" in endings else _text)(path, file)  # type: ignore[arg-type]
    except (EOFError, OSError, zlib.error) as error:
        raise _malformed(path, f"it can't be read to its end ({error})") from error


def direction(path: Path, pairs: Sequence[tuple[str, str]]) -> Floats:
    """The direction from the second to the first words of pairs, g = sum (a - b) / ||sum (a - b)|| on vectors of norm 1: (d,).

    Args:
        path: the vectors.
        pairs: words as `fairbench.judges.tokens` writes them; ("she", "he") alone as published.

    Raises:
        FairbenchError: the file is malformed or lacks a word, or the pairs give no direction.
    """
    wanted, found = {word for pair in pairs for word in pair}, {}
    for words, vectors in blocks(path):
        for number, word in enumerate(words):
            if word in wanted and word not in found:
                found[word] = vectors[number].astype(float)
        if len(found) == len(wanted):
            break
    missing = sorted(word for word in wanted if not np.any(found.get(word, 0.0)))
    if missing:
        raise FairbenchError(
            f"The word vectors {path} have none for {', '.join(missing)}, which the direction of gender is made of. Name other "
            "vectors, or other pairs of words by the option definitional."
        )
    total: Floats = np.sum([_unit(found[a]) - _unit(found[b]) for a, b in pairs], axis=0)
    if not np.linalg.norm(total):
        raise FairbenchError(f"The word vectors {path} have the same for both words of each pair: they give no direction.")
    return _unit(total)


def projections(path: Path, towards: Floats) -> dict[str, float]:
    """The projection g . w / ||w|| of every word that is a token, in [-1, 1].

    Where words of a file are one token (He, he) that written like the token counts, else the first; a vector of zeros is none.

    Args:
        path: the vectors, of d dimensions.
        towards: (d,) of norm 1.
    """
    exact: dict[str, float] = {}
    others: dict[str, float] = {}
    for words, vectors in blocks(path):
        wide = vectors.astype(float)  # the squares of large numbers are too large for what they are kept in
        with np.errstate(invalid="ignore"):
            found = np.clip(wide @ towards / np.linalg.norm(wide, axis=1), -1.0, 1.0)
        for word, value in zip(words, found.tolist(), strict=True):
            key = tokens(word)
            if len(key) == 1 and value == value:
                (exact if word == key[0] else others).setdefault(key[0], value)
    for word, value in others.items():
        exact.setdefault(word, value)
    return exact


def _unit(vector: Floats) -> Floats:
    found: Floats = vector / np.linalg.norm(vector)
    return found


def _text(path: Path, file: IO[bytes]) -> Iterator[Block]:
    """Lines of a word and d numbers. A word may hold spaces (GloVe has some): the last d fields are the vector."""
    first = file.readline()
    header = _header(first)
    if header is None:
        size, read, ahead = len(first.split()) - 1, 0, [first]
    else:
        size, read, ahead = header[1], 1, []
    if size < 1:
        raise _malformed(path, "its first line is neither a word with numbers nor the counts of words and dimensions")
    total = 0
    while lines := ahead + list(islice(file, BLOCK)):
        ahead = []
        words, rows = [], []
        for number, line in enumerate(lines, read + 1):
            word, *numbers = line.rstrip().rsplit(b" ", size)
            if len(numbers) != size:
                raise _malformed(path, f"line {number} has no word with {size} numbers")
            words.append(word.decode("utf-8", errors="replace"))
            rows.append(b" ".join(numbers))
        yield words, _numbers(path, rows, size, read)
        read += len(lines)
        total += len(lines)
    _check_count(path, total, header)


def _numbers(path: Path, rows: Sequence[bytes], size: int, before: int) -> Floats:
    """(k, size) read by pandas, which is three times faster at it than NumPy; `before`: how many lines came before."""
    import pandas as pd

    try:
        table = pd.read_csv(io.BytesIO(b"\n".join(rows)), sep=" ", header=None, dtype=np.float32, quoting=3, na_filter=False)
        found: Floats = table.to_numpy(dtype=np.float32)
        if found.shape == (len(rows), size) and np.isfinite(found).all():
            return found
    except ValueError:
        pass  # one of the lines is at fault, and is looked for
    for number, row in enumerate(rows, before + 1):
        if not _are_numbers(row):
            raise _malformed(path, f"line {number} has something that is no number: {row[:60]!r}")
    raise _malformed(path, f"the lines from {before + 1} on can't be read as {size} numbers each")


def _are_numbers(row: bytes) -> bool:
    try:
        return all(np.isfinite(float(x)) for x in row.split())
    except ValueError:
        return False


def _binary(path: Path, file: IO[bytes]) -> Iterator[Block]:
    """A line of counts, then for each word its letters, a space and d little-endian floats."""
    header = _header(file.readline(100))
    if header is None:
        raise _malformed(path, "its first line does not give the counts of words and dimensions")
    size, total, held = 4 * header[1], 0, b""
    words: list[str]
    while total < header[0]:
        more = file.read(CHUNK)
        held, start, words, rows = held + more, 0, [], []
        while total + len(words) < header[0]:
            space = held.find(b" ", start)
            if space < 0 or space + 1 + size > len(held):
                break
            words.append(held[start:space].lstrip(b"\n").decode("utf-8", errors="replace"))
            rows.append(np.frombuffer(held, "<f4", header[1], space + 1))
            start = space + 1 + size
        held = held[start:]
        total += len(words)
        if words:
            if not np.isfinite(rows).all():
                raise _malformed(
                    path, f"among the words from {total - len(words) + 1} on is a vector with something that is no number"
                )
            yield words, np.array(rows)
        if not more:
            break
    _check_count(path, total, header)


def _header(line: bytes) -> tuple[int, int] | None:
    """The counts of words and dimensions that word2vec's formats begin with; null where the line is none."""
    fields = line.split()
    if len(fields) != 2 or not all(field.isdigit() for field in fields):
        return None
    return int(fields[0]), int(fields[1])


def _check_count(path: Path, total: int, header: tuple[int, int] | None) -> None:
    if header is not None and total != header[0]:
        raise _malformed(path, f"its first line names {header[0]} words, and it holds {total}")


def _malformed(path: Path, why: str) -> FairbenchError:
    return FairbenchError(f"The word vectors {path} can't be used: {why}. Mend the file or get it again.")
