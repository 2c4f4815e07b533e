"""The stimuli of an association test: which rows are in its four sets, and their vectors at unit length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fairbench.errors import FairbenchError, Undefined, did_you_mean
from fairbench.records import ROLES
from fairbench.stats import Floats, Indices, resampling_units

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Stimuli:
    """Row numbers of targets X, Y and attributes A, B, and every row's vector at unit length, (n, D)."""

    x: Indices
    y: Indices
    a: Indices
    b: Indices
    vectors: Floats


def stimuli(answers: pd.DataFrame) -> Stimuli:
    """Reads the columns `role` and `vector` (lists of equal length) of one test.

    Raises:
        Undefined: a set is empty, there are fewer than three targets, the vectors differ in length, or one has no direction.
        FairbenchError: a role is unknown, there are several tests, or a vector is a single number.
    """
    role = answers["role"].to_numpy()
    for odd in sorted({str(r) for r in role} - set(ROLES)):
        raise FairbenchError(f"Found the role {odd!r}.{did_you_mean(odd, ROLES)} Wanted one of {', '.join(ROLES)} in every row.")
    tests: Sequence[str] = answers["test"].dropna().unique().tolist() if "test" in answers.columns else []
    if len(tests) > 1:
        raise FairbenchError(
            f"The answers hold {len(tests)} tests ({', '.join(map(str, tests[:3]))} ...), and an effect size is defined for one. "
            "Split them, a file a test."
        )
    rows = {name: np.flatnonzero(role == name) for name in ROLES}
    empty = [name for name, found in rows.items() if not len(found)]
    if empty:
        raise Undefined(f"no stimulus is left in {' and '.join(empty)}")
    if len(rows["target_x"]) + len(rows["target_y"]) < 3:
        raise Undefined("fewer than three target stimuli: their spread has no meaning")
    x, y, a, b = rows.values()
    return Stimuli(x, y, a, b, _directions(list(answers["vector"])))


def words_of(answers: pd.DataFrame, found: Stimuli) -> tuple[int, int]:
    """Distinct words in X and in Y; contexts and sentences of a word are one.

    Raises:
        Undefined: there are fewer than three words: their spread has no meaning, however many sentences they have.
    """
    named = {"id", "cluster", "stratum"} <= set(answers.columns)  # a bare table has a word a row
    units = resampling_units(answers).of_row if named else np.arange(len(answers))
    words = len(set(units[found.x])), len(set(units[found.y]))
    if sum(words) < 3:
        raise Undefined(f"fewer than three target words ({sum(words)}): their spread has no meaning")
    return words


def unequal(words: tuple[int, int], found: Stimuli) -> Undefined:
    """The reason why a test of sets of these sizes has no value, to be raised."""
    x, y = (f"{count} words in {len(rows)} rows" for count, rows in zip(words, (found.x, found.y), strict=True))
    return Undefined(
        f"target_x has {x} and target_y {y}: the test is defined for two sets of equal size. If words are missing on one side "
        "(`left_out` counts the rows that could not be used), leave as many out of the other."
    )


def _directions(answered: Sequence[object]) -> Floats:
    vectors = [np.asarray(v, dtype=float) for v in answered]
    if any(v.ndim != 1 for v in vectors):
        raise FairbenchError("Found a single number in the column 'vector'; wanted a list of numbers in every row.")
    lengths = {len(v) for v in vectors}
    if len(lengths) > 1:
        raise Undefined("the vectors differ in length: " + ", ".join(map(str, sorted(lengths))))
    matrix = np.stack(vectors)  # (n, D)
    largest = np.maximum(matrix.max(axis=1), -matrix.min(axis=1))
    if not largest.all():
        raise Undefined(f"{int((largest == 0).sum())} vectors have length zero, so their cosine has no value")
    matrix /= largest[:, None]  # lengths of huge vectors would overflow
    matrix /= np.sqrt(np.einsum("nd,nd->n", matrix, matrix))[:, None]
    return matrix
