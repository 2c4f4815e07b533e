"""The order in which an epoch takes its texts."""

from __future__ import annotations

import numpy as np
import pytest

from fairbench.training.ordering import Order, order


@pytest.mark.parametrize("n", [1, 7, 32, 33, 300, 2000])
def test_an_epoch_takes_every_text_once_in_batches_of_like_length(n):
    lengths = np.random.default_rng(n).integers(5, 200, n).tolist()
    found = order(lengths, 8, 0, 0)
    assert sorted(found) == list(range(n))
    assert found == order(lengths, 8, 0, 0)
    if n > 32:
        assert found != order(lengths, 8, 0, 1) and found != order(lengths, 8, 1, 0)
    if n >= 300:
        plain = np.random.default_rng(0).permutation(n).tolist()

        def waste(found: list[int]) -> int:
            parts = [[lengths[i] for i in found[k : k + 8]] for k in range(0, n, 8)]
            return sum(max(part) * len(part) - sum(part) for part in parts)

        assert waste(found) < 0.5 * waste(plain)


def test_an_interrupted_epoch_is_taken_up_in_the_same_order():
    """The Trainer tells the number of the epoch alone; all else follows from it and the seed."""
    lengths = np.random.default_rng(1).integers(5, 50, 40).tolist()
    one, other = Order(lengths, 8, 3), Order(lengths, 8, 3)
    first = list(one)
    one.set_epoch(2)
    other.set_epoch(2)
    assert list(one) == list(other) == order(lengths, 8, 3, 2) != first and len(one) == 40
