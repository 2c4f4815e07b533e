"""Records taken apart into what a model is asked, asked all at once, and put together again.

A record has a few parts (the sentences of a pair), a part has items (texts, or tokens behind masks), and an item has values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

EMPTY = "no token to score"
TOO_LONG = "longer than the model's longest input"

Record = TypeVar("Record")
Item = TypeVar("Item")
Values = list[NDArray[np.float64]]


class Unfit(Exception):
    """A record that can't be scored; the reason goes into `left_out`."""


def take_apart(records: Iterable[Record], parts: Callable[[Record], list[list[Item]]]) -> list[list[list[Item]] | str]:
    """The parts of each record, or the reason why it is left out."""
    taken: list[list[list[Item]] | str] = []
    for record in records:
        try:
            taken.append(parts(record))
        except Unfit as reason:
            taken.append(str(reason))
    return taken


def ask(
    taken: Sequence[list[list[Item]] | str], run: Callable[[list[Item]], Iterable[NDArray[np.float64]]]
) -> list[Values | str]:
    """Runs the items of all records together.

    Args:
        taken: from `take_apart`.
        run: gives an array of values for each item, in their order.

    Returns:
        For each record the values of each of its parts, joined over the part's items; a reason stays as it is.
    """
    found = iter(run([item for parts in taken if not isinstance(parts, str) for part in parts for item in part]))
    return [
        parts if isinstance(parts, str) else [np.concatenate([next(found) for _ in part]) for part in parts] for parts in taken
    ]
