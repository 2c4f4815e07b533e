"""People's judgements of single examples, and the figures that stand beside them: tables read, joined by id, and counted.

Several people may judge an example: in rows of one id, or in columns side by side. A judgement is 0 (fair) or 1 (unfair).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.decisions import prepared
from fairbench.errors import FairbenchError, did_you_mean
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

COUNTERFACTUAL = "counterfactual"
"""A figure that a table with `probs` and `source` has without a column of that name: see `counterfactual_gap`."""

ANNOTATOR = "annotator"
"""The column that names who judged, where there is one."""

JUDGEMENTS = "the judgements"
"""What the table of judgements is called."""

NO_ANNOTATION, NO_FIGURE = "no annotation", "no figure"
"""Why an example is left out."""


@dataclass(frozen=True)
class Judgements:
    """What people said of the examples.

    Attributes:
        ids: (n,) examples with at least one judgement, in the order of the table.
        counts: (n, 2) how many people said fair, and how many unfair.
        without: ids in the table that nobody judged.
        annotators: how many people there were; null where the table does not tell.
        cluster: (n,) what each example moves together with, or null.
    """

    ids: tuple[str, ...]
    counts: Floats
    without: tuple[str, ...]
    annotators: int | None
    cluster: tuple[str | None, ...]

    @property
    def share(self) -> Floats:
        """(n,) share of people who said unfair."""
        found: Floats = self.counts[:, 1] / self.counts.sum(axis=1)
        return found

    @property
    def majority(self) -> Floats:
        """(n,) 1 where most people said unfair, 0 where most said fair, NaN at a tie."""
        return np.where(self.counts[:, 0] == self.counts[:, 1], np.nan, (self.counts[:, 1] > self.counts[:, 0]).astype(float))


def read_judgements(table: pd.DataFrame, annotation: Sequence[str], id_column: str, annotator: str | None) -> Judgements:
    """The judgements of a table.

    Args:
        table: a row an example, or several rows an example, each with another person's judgement.
        annotation: columns of judgements; several hold one person's judgements each.
        id_column: the column that names the example.
        annotator: the column that names the person, where one column holds all judgements; null for `annotator`, if there is one.

    Raises:
        FairbenchError: the table is empty or lacks a column, a value is neither 0 nor 1, an id is missing, or a person judged
            an example twice.
    """
    if not len(table):
        raise FairbenchError("The table of judgements holds no rows. Wanted a row an annotated example.")
    require(table, [id_column, *annotation, *([annotator] if annotator else [])], JUDGEMENTS)
    ids = texts(table[id_column], id_column, JUDGEMENTS)
    if annotator and len(annotation) > 1:
        raise FairbenchError(
            f"{', '.join(annotation)} hold one person's judgements each, so that the column {annotator!r} can't say who judged. "
            "Name one column of judgements, or no column of people."
        )
    who = annotator or (ANNOTATOR if ANNOTATOR in table.columns and len(annotation) == 1 else None)
    people = texts(table[who], who, JUDGEMENTS) if who else None
    counts = {key: [0, 0] for key in ids}
    by: dict[tuple[str, str], int] = {}
    for column in annotation:
        for row, (key, value) in enumerate(zip(ids, table[column], strict=True)):
            code = _judgement(value, row, column)
            if code is None:
                continue
            counts[key][code] += 1
            person = people[row] if people else column if len(annotation) > 1 else str(row)
            if by.setdefault((person, key), row) != row:
                raise FairbenchError(
                    f"Rows {by[person, key] + 1} and {row + 1}: {person} judges the example {key!r} twice. Wanted one "
                    "judgement at most of a person for each example; remove one of the rows."
                )
    judged = [key for key, (fair, unfair) in counts.items() if fair + unfair]
    if not judged:
        raise FairbenchError(f"No row has a judgement in {', '.join(annotation)}: wanted 0 (fair) or 1 (unfair).")
    named = len({person for person, _ in by}) if people or len(annotation) > 1 else None
    cluster = _first_of_each(ids, table["cluster"]) if "cluster" in table.columns else {}
    return Judgements(
        tuple(judged),
        np.array([counts[key] for key in judged], dtype=float),
        tuple(key for key in counts if not sum(counts[key])),
        named,
        tuple(cluster.get(key) for key in judged),
    )


def _judgement(value: Any, row: int, column: str) -> int | None:
    """0 for fair, 1 for unfair, null where there is none."""
    if missing(value):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if number not in (0, 1):
        raise FairbenchError(
            f"The judgements, row {row + 1}, column {column!r}: found {value!r}, wanted 0 (fair) or 1 (unfair), or nothing where "
            "nobody judged. Several people are several rows of one id, or several columns; don't average them beforehand."
        )
    return int(number)


def missing(value: Any) -> bool:
    """Whether a cell is empty."""
    import pandas as pd

    return bool(np.ndim(value) == 0 and pd.isna(value)) or value == ""


def require(table: pd.DataFrame, columns: Iterable[str], place: str) -> None:
    """Refuses a table that lacks a column."""
    has = [str(c) for c in table.columns]
    for column in columns:
        if column not in has:
            hint = did_you_mean(column, has)
            raise FairbenchError(f"{place.capitalize()} have no column {column!r}.{hint} Found: {', '.join(has)}.")


def texts(column: pd.Series[Any], name: str, place: str) -> list[str]:
    """Names as text, whole numbers without a point, so that 7 in one file and "7" in another are the same."""
    for row, value in enumerate(column):
        if missing(value):
            raise FairbenchError(
                f"{place.capitalize()}, row {row + 1}, column {name!r}: the value is empty. Wanted one in every row."
            )
    return [_text(value) for value in column]


def _text(value: Any) -> str:
    whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    return str(int(value) if whole else value)


def _first_of_each(ids: Sequence[str], column: Iterable[Any]) -> dict[str, str]:
    """The first value that each example has in a column."""
    found: dict[str, str] = {}
    for key, value in zip(ids, column, strict=True):
        if not missing(value):
            found.setdefault(key, _text(value))
    return found


@dataclass(frozen=True)
class Figures:
    """One figure of single examples.

    Attributes:
        values: id -> figure; an example without one is absent.
        examples: ids of the table that it comes from, variants of other examples not among them.
        cluster: id -> what the example moves together with, where the table says so.
    """

    values: dict[str, float]
    examples: tuple[str, ...]
    cluster: dict[str, str]


def find_figures(
    name: str, table: pd.DataFrame, answers: Sequence[pd.DataFrame], id_column: str, positive: int | None
) -> Figures:
    """The figures of one name, from the table of judgements or from a table of answers.

    Args:
        name: a column, or `counterfactual` where a table has `probs` and `source`; with @ and a number it is that of the first,
            second ... table of answers ("sensitivity@2").
        table: the judgements; rows of one id must agree in the figure.
        answers: tables with a row an example.
        id_column: the column that names the example, in all tables.
        positive: the class whose probability alone `counterfactual` compares; null for all classes.

    Raises:
        FairbenchError: no table has it, several have it, an id stands twice in the answers, or a cell is no number.
    """
    tables = [(JUDGEMENTS, table), *((f"answers {k}", frame) for k, frame in enumerate(answers, 1))]
    base, _, number = name.rpartition("@")
    if base and number.isdigit() and not any(name in frame.columns for _, frame in tables):
        if int(number) not in range(1, len(tables)):
            raise FairbenchError(f"{name}: found {len(answers)} tables of answers, wanted at least {number}. The first is @1.")
        name, tables = base, [tables[int(number)]]
    having = [(place, frame) for place, frame in tables if name in frame.columns]
    derived = name == COUNTERFACTUAL and not having
    if derived:
        having = [(place, frame) for place, frame in tables if {"probs", "source"} <= set(frame.columns)]
    if len(having) > 1:
        raise FairbenchError(
            f"The figure {name!r} stands in several tables: {', '.join(place for place, _ in having)}. Say which one is meant: "
            f"{name}@1 is that of the first table of answers, {name}@2 that of the second; rename it in the judgements."
        )
    if not having:
        known = sorted({str(c) for _, frame in tables for c in frame.columns} - {id_column})
        wanted = " Wanted that column, or probs and source, from which it is made." if derived else ""
        raise FairbenchError(f"There is no column {name!r}.{did_you_mean(name, known)}{wanted} Found: {', '.join(known)}.")
    place, frame = having[0]
    require(frame, [id_column], place)
    return _figures(frame.reset_index(drop=True), None if derived else name, id_column, positive, place)


def _figures(frame: pd.DataFrame, column: str | None, id_column: str, positive: int | None, place: str) -> Figures:
    """The figures in a column of a table; without a column, how far the variants of each example are from it."""
    ids = texts(frame[id_column], id_column, place)
    own = [missing(value) for value in frame["source"]] if "source" in frame.columns else [True] * len(ids)
    if place != JUDGEMENTS:
        _refuse_twice(ids, place)
    values = counterfactual_gaps(frame.assign(id=ids), positive) if column is None else _column(frame, column, ids, place)
    cluster = _first_of_each(ids, frame["cluster"]) if "cluster" in frame.columns else {}
    examples = dict.fromkeys(key for key, original in zip(ids, own, strict=True) if original)
    return Figures({key: v for key, v in values.items() if np.isfinite(v)}, tuple(examples), cluster)


def _refuse_twice(ids: Sequence[str], place: str) -> None:
    seen: dict[str, int] = {}
    for row, key in enumerate(ids):
        if seen.setdefault(key, row) != row:
            raise FairbenchError(
                f"{place.capitalize()}, rows {seen[key] + 1} and {row + 1}: both have the id {key!r}. Wanted one row an example; "
                "of several samples or contexts give their mean."
            )


def _column(frame: pd.DataFrame, column: str, ids: Sequence[str], place: str) -> dict[str, float]:
    """The number in a column by id; rows of one id must agree, and rows that a probe left out have none."""
    found: dict[str, float] = {}
    left_out = frame["left_out"] if "left_out" in frame.columns else [None] * len(frame)
    for row, (key, value, reason) in enumerate(zip(ids, frame[column], left_out, strict=True)):
        if missing(value) or not missing(reason):
            continue
        at = f"{place.capitalize()}, row {row + 1}, column {column!r}"
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise FairbenchError(f"{at}: found {str(value)[:60]!r}, wanted one number an example.") from None
        if found.setdefault(key, number) != number and number == number:
            raise FairbenchError(
                f"{at}: found {number:g} for the example {key!r}, which has {found[key]:g} before. "
                "Wanted the same figure in every row of an example."
            )
    return found


def counterfactual_gaps(answers: pd.DataFrame, positive: int | None = None) -> dict[str, float]:
    """How far the prediction moves when a text is about somebody else: the mean distance of x to its variants x'.

    The distance is half the sum over classes of |p(x) - p(x')|; with two classes that is |f(x) - f(x')|, f the probability of the
    positive one. Its mean over texts is the metric counterfactual_token_fairness (Garg et al. 2019).

    Args:
        answers: rows with `id`, `probs` and `source`, which is null in an original and the original's id in its variants.
        positive: compare the probability of this class alone.

    Returns:
        Id of each original that has probabilities and a variant with some -> the mean, in [0, 1].

    Raises:
        FairbenchError: probabilities that are none, or no class `positive`.

    Example:
        >>> import pandas as pd
        >>> rows = {"id": ["a", "b", "c"], "source": [None, "a", "a"], "probs": [[0.5, 0.5], [0.25, 0.75], [0.0, 1.0]]}
        >>> counterfactual_gaps(pd.DataFrame(rows))
        {'a': 0.375}
    """
    table = prepared(answers.reset_index(drop=True))
    probs = {_text(key): p for key, p in zip(table["id"], table["probs"], strict=True) if p is not None}
    classes = len(next(iter(probs.values()), ()))
    if positive is not None and probs and not 0 <= positive < classes:
        raise FairbenchError(f"The positive class is {positive}, but `probs` has {classes} classes: wanted 0 to {classes - 1}.")
    moved: dict[str, list[float]] = {}
    for key, source in zip(table["id"], table["source"], strict=True):
        if not missing(source) and {_text(key), _text(source)} <= probs.keys():
            away = np.abs(probs[_text(key)] - probs[_text(source)])
            moved.setdefault(_text(source), []).append(float(away.sum() / 2 if positive is None else away[positive]))
    return {source: float(np.mean(distances)) for source, distances in moved.items()}
