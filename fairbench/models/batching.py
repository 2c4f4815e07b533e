"""Which texts go through a model together: cut by tokens rather than by rows, so that padding and memory stay small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fairbench.errors import FairbenchError

BUDGETS = {"cpu": 2_048, "mps": 8_192, "cuda": 32_768}
"""Tokens a batch, padding counted, where the user says nothing. A processor gains nothing beyond; a card needs more."""


@dataclass(frozen=True)
class Batching:
    """How many inputs go together. It changes speed and memory, never an answer, and is in no hash.

    Attributes:
        budget: tokens a batch, padding counted; null for the device's default.
        rows: inputs a batch; where given it replaces the budget.
    """

    budget: int | None = None
    rows: int | None = None

    def cut(self, lengths: Sequence[int], device: str) -> Iterator[list[int]]:
        """`batches` with this budget on a device type ("cpu", "cuda", ...)."""
        return batches(lengths, self.budget or BUDGETS.get(device, BUDGETS["cpu"]), self.rows)


def batches(lengths: Sequence[int], budget: int, rows: int | None = None) -> Iterator[list[int]]:
    """Cuts inputs into batches of similar length, the longest first: a batch that doesn't fit fails at once, not at the end.

    Args:
        lengths: tokens of each input.
        budget: the most that rows x longest may come to; an input longer than that goes alone.
        rows: if given, each batch holds this many inputs (the last one fewer) and the budget is not looked at.

    Yields:
        Indices into `lengths`, every one exactly once; equal lengths stay in their order.
    """
    if budget < 1 or (rows is not None and rows < 1):
        raise ValueError(f"budget and rows must be positive, not {budget} and {rows}")
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    start = 0
    while start < len(order):
        longest = max(lengths[order[start]], 1)
        size = rows if rows is not None else max(budget // longest, 1)
        yield order[start : start + size]
        start += size


def parse_batch_size(value: str | int) -> Batching:
    """Reads --batch-size: "auto" is the device's token budget, a whole number that many inputs a batch.

    "auto:N" is lm-evaluation-harness's wish to look for a better size N times; here every batch has a size of its own anyway.

    Raises:
        FairbenchError: it is neither.
    """
    head, colon, count = str(value).strip().partition(":")
    if head == "auto" and (not colon or (count.isdecimal() and int(count) > 0)):
        return Batching()
    if not colon and head.isdecimal() and int(head) > 0:
        return Batching(rows=int(head))
    raise FairbenchError(f"The batch size {value!r} is neither auto, auto:N nor a positive whole number. Try --batch-size auto.")
