"""The order in which an epoch takes its texts: shuffled, with texts of similar length in a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

MEGABATCHES = 50
"""Texts of so many batches are sorted by length together, at most."""


def order(lengths: Sequence[int], batch: int, seed: int, epoch: int) -> list[int]:
    """The order in which an epoch takes the texts: shuffled, with texts of similar length in a batch.

    Args:
        lengths: tokens of each text.
        batch: texts a batch.
        seed: of the training.
        epoch: its number; with the seed it says all, so an interrupted epoch can go on in its middle.
    """
    rng = np.random.default_rng([seed, epoch])
    shuffled = rng.permutation(len(lengths))
    # Few batches together where there are few at all: sorted as a whole, texts of one length would always meet.
    size = batch * max(1, min(MEGABATCHES, len(lengths) // (4 * batch)))
    batches: list[list[int]] = []
    for start in range(0, len(shuffled), size):
        part = sorted(shuffled[start : start + size].tolist(), key=lambda i: -lengths[i])
        batches += [part[i : i + batch] for i in range(0, len(part), batch)]
    ragged = [batches.pop()] if len(batches[-1]) < batch else []
    return [i for number in rng.permutation(len(batches)) for i in batches[number]] + [i for part in ragged for i in part]


class Order(Sampler[int]):
    """`order` of the epoch that the Trainer says it is in (`set_epoch`)."""

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        self.lengths, self.batch, self.seed, self.epoch = lengths, batch, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer, also where it goes on in the middle of an epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(order(self.lengths, self.batch, self.seed, self.epoch))
