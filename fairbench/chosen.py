"""What was chosen, read from a table of Choice answers: options, conditions, whom a pronoun is of, and what orders did to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

WORDS = {"condition": ("ambig", "disambig", "pro", "anti"), "polarity": ("neg", "nonneg")}
"""What may stand in these columns; a cell may also be empty."""


def indices(answers: pd.DataFrame, column: str) -> Floats:
    """The index of an option in every row: (n,), NaN where the cell is empty. A CSV file with gaps writes 1.0 for 1.

    Raises:
        FairbenchError: a cell holds something else than a whole number from 0 on.
    """
    cells = answers[column]
    if cells.dtype.kind in "iuf":
        found = cells.to_numpy(dtype=float)
    else:
        found = np.array([_number(cell, row, column) for row, cell in zip(cells.index, cells.tolist(), strict=True)], dtype=float)
    wrong = np.flatnonzero(np.isfinite(found) & ((found < 0) | (found != np.floor(found))))
    if len(wrong):
        raise _no_index(found[wrong[0]], answers.index[wrong[0]], column)
    return found


def says(answers: pd.DataFrame, column: str, word: str) -> NDArray[np.bool_]:
    """Whether a row has that word in the column `condition` or `polarity`: (n,).

    Raises:
        FairbenchError: a cell holds a word that does not belong there ("ambiguous" for ambig).
    """
    cells, known = answers[column], WORDS[column]
    strange = ~(cells.isin(known) | cells.isna()).to_numpy(dtype=bool)
    if strange.any():
        row = int(np.flatnonzero(strange)[0])
        found = str(cells.iloc[row])
        raise FairbenchError(
            f"Row {cells.index[row] + 1}, column {column!r}: found {found[:60]!r}, wanted {', '.join(known)} or nothing."
            f"{did_you_mean(found.strip().lower(), known)} Rename it in all rows."
        )
    return cells.isin([word]).to_numpy(dtype=bool)


def genders(answers: pd.DataFrame) -> list[str]:
    """The gender of the pronoun of every row, which is its group, without a notion ("gender:female"); "not named" without one."""
    names = answers["group"].tolist() if "group" in answers.columns else [None] * len(answers)
    return [name.rpartition(":")[2].strip() if isinstance(name, str) else "not named" for name in names]


def order_details(answers: pd.DataFrame) -> dict[str, float]:
    """What the order of the options did, where the table knows it.

    `position bias` is the largest less the smallest share of choices that fell on a place of the list: 0 where every option stood
    everywhere equally often and places do not matter, 1 where one place is always chosen. The other figure is the share of
    records, among those whose options were shown in several orders, of which not every order got the same choice.

    Args:
        answers: rows with `id` and `choice`; with `position` where a list was shown, and several rows an id where several were.
    """
    found: dict[str, float] = {}
    if "position" in answers.columns and answers["position"].notna().any():
        places = indices(answers, "position")
        shares = np.bincount(places[np.isfinite(places)].astype(int), minlength=_places(answers)) / np.isfinite(places).sum()
        found = {f"share chosen at place {place}": float(share) for place, share in enumerate(shares, 1)}
        found["position bias"] = float(shares.max() - shares.min())
    rows = answers["choice"].groupby(answers["id"].astype(str))
    several = rows.nunique()[rows.size() > 1]
    if len(several):
        found["share of records whose choice changes with the order"] = float((several > 1).mean())
    return found


def _places(answers: pd.DataFrame) -> int:
    """How many places a list has: as many as there are options, or as the table shows of them where it does not hold these."""
    found = [indices(answers, name).max() + 1 for name in ("choice", "order") if name in answers.columns]
    if "options" in answers.columns:
        found += [len(cell) for cell in answers["options"] if isinstance(cell, (list, tuple, np.ndarray))]
    return int(np.nanmax(found, initial=1))


def _number(cell: object, row: int, column: str) -> float:
    import pandas as pd

    if cell is None or cell is pd.NA or (isinstance(cell, float) and cell != cell) or cell == "":
        return np.nan
    try:
        return float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise _no_index(cell, row, column) from None


def _no_index(found: object, row: int, column: str) -> FairbenchError:
    return FairbenchError(
        f"Row {row + 1}, column {column!r}: found {str(found)[:60]!r}, wanted the number of an option, counted from 0, or an "
        "empty cell."
    )
