"""What training came to: scores on the validation split, the best of them, and whether anything was learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Evaluation = Mapping[str, Any]
"""One look at the validation split: `step`, `epoch`, `macro_f1`, `accuracy`, `loss`."""


def macro_f1(labels: ArrayLike, predictions: ArrayLike) -> float:
    """Mean of F1 = 2 TP / (2 TP + FP + FN) over the classes that occur among the labels.

    Args:
        labels: (n,) gold classes.
        predictions: (n,) predicted classes.

    Returns:
        In [0, 1].

    Example:
        >>> macro_f1([0, 0, 1, 1], [0, 0, 0, 1])
        0.7333333333333334
    """
    gold, said = np.asarray(labels), np.asarray(predictions)
    scores = [2 * np.sum((gold == c) & (said == c)) / (np.sum(gold == c) + np.sum(said == c)) for c in np.unique(gold)]
    return float(np.mean(scores))


def floor(train: ArrayLike, validation: ArrayLike) -> float:
    """Macro-F1 on the validation labels of always saying the commonest training class."""
    gold = np.asarray(validation)
    return macro_f1(gold, np.full(len(gold), np.bincount(np.asarray(train)).argmax()))


def best(evaluations: Sequence[Evaluation]) -> int:
    """Number of the best evaluation: the highest macro-F1, at a tie the lowest loss, and then the first."""
    return max(range(len(evaluations)), key=lambda i: (evaluations[i]["macro_f1"], -evaluations[i]["loss"], -i))


def is_stale(evaluations: Sequence[Evaluation], patience: int) -> bool:
    """Whether the last `patience` evaluations brought no better one; 0 waits for ever."""
    return bool(patience and evaluations) and len(evaluations) - 1 - best(evaluations) >= patience


def class_weights(labels: ArrayLike, classes: int) -> NDArray[np.float64]:
    """(classes,) n / (classes x texts of the class): every class weighs the same in all; 0 where a class has no text.

    Example:
        >>> class_weights([0, 0, 0, 1], 2).round(3).tolist()
        [0.667, 2.0]
    """
    counts = np.bincount(np.asarray(labels), minlength=classes)
    return np.divide(len(np.asarray(labels)), classes * counts, out=np.zeros(classes), where=counts > 0)


def learnt_nothing(about: Mapping[str, Any]) -> str | None:
    """A sentence that flags a classifier no better than always saying the commonest class; else null."""
    if not about or about["best"]["macro_f1"] > about["floor"] + 1e-9:
        return None
    return (
        f"The classifier learnt nothing: on {about['validation']} validation texts of {about['data']['name']} its macro-F1 is "
        f"{about['best']['macro_f1']:.3f}, and always saying the commonest class gives {about['floor']:.3f}. Its scores mean "
        "nothing; train it longer, or on more texts."
    )
