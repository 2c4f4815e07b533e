"""Scores on the validation split against scikit-learn, and what follows from them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score
from sklearn.utils.class_weight import compute_class_weight

from fairbench.training.outcome import best, class_weights, floor, is_stale, macro_f1


@pytest.mark.parametrize("seed", range(5))
def test_macro_f1_is_scikit_learns_over_the_classes_that_occur(seed):
    rng = np.random.default_rng(seed)
    gold, said = rng.integers(0, 3, 50), rng.integers(0, 4, 50)
    wanted = f1_score(gold, said, labels=np.unique(gold), average="macro", zero_division=0)
    assert macro_f1(gold, said) == pytest.approx(wanted, abs=1e-12)


def test_macro_f1_does_not_heed_the_names_of_classes():
    rng = np.random.default_rng(0)
    gold, said = rng.integers(0, 3, 40), rng.integers(0, 3, 40)
    renamed = np.array([2, 0, 1])
    assert macro_f1(renamed[gold], renamed[said]) == pytest.approx(macro_f1(gold, said))


def test_the_floor_is_what_the_commonest_training_class_gets():
    assert floor([0, 0, 0, 1], [0, 0, 1, 1]) == pytest.approx((2 / 3) / 2)
    assert floor([0, 1, 1], [0, 0, 0]) == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_balanced_weights_are_scikit_learns(seed):
    labels = np.random.default_rng(seed).choice(3, 60, p=[0.7, 0.2, 0.1])
    wanted = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(class_weights(labels, 3), wanted)


def test_a_class_without_texts_has_no_weight():
    assert class_weights([0, 0, 2], 3)[1] == 0.0


def looks(*pairs: tuple[float, float]) -> list[dict[str, float]]:
    return [{"macro_f1": f1, "loss": loss} for f1, loss in pairs]


def test_the_best_is_the_highest_then_the_surest_then_the_first():
    assert best(looks((0.5, 1.0), (0.7, 2.0), (0.6, 0.1))) == 1
    assert best(looks((0.5, 1.0), (0.7, 2.0), (0.7, 0.1))) == 2
    assert best(looks((0.7, 0.1), (0.7, 0.1))) == 0


def test_patience_counts_looks_since_the_best():
    found = looks((0.5, 1.0), (0.7, 1.0), (0.6, 1.0), (0.7, 1.0))
    assert is_stale(found, 2) and not is_stale(found[:3], 2) and is_stale(found[:3], 1)
    assert not is_stale(found, 0) and not is_stale([], 1)
