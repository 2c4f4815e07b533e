"""Accumulated prediction sensitivity (Krishna et al. 2022): how far a classifier's prediction moves with protected tokens.

With J the Jacobian of a text's class probabilities at its word embeddings, class weights w and feature weights v that sum to 1:
    P = w^T |J| v
The probe finds P for each text, and beside it the same with v = 1/T over the T tokens of the text.

Example:
    >>> import numpy as np, pandas as pd
    >>> answers = pd.DataFrame({"sensitivity": [0.3, 0.1, 0.2], "sensitivity_uniform": [0.1, 0.1, 0.2]})
    >>> ones = np.ones((1, 3))
    >>> round(float(prediction_sensitivity(answers, ones)[0]), 6), round(float(prediction_sensitivity_ratio(answers, ones)[0]), 6)
    (0.2, 1.5)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.decisions import class_names, labels
from fairbench.errors import FairbenchError, Undefined
from fairbench.scores import MetricInfo
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

PERCENTILES = (5, 25, 50, 75, 95)
SATURATED = 0.999
"""A predicted probability above it: there a probability moves at less than 0.4 % of its largest rate, which it has at .5."""

# Measured on planted:masked-0.0 fine-tuned on planted_bios_none, _half and _full (seed 0, 384 test texts).
_SATURATION = (
    "Falls where a classifier is certain: near a probability of 1 hardly anything moves it, whatever it rests on. On planted "
    "bios it fell from .42 to .30 (by gendered words: from .77 to .71) while labels came to follow gender more; the ratio by "
    f"words kept the order. `saturated` is the share of texts whose predicted probability is above {SATURATED}; the output "
    "log_probabilities or logits does not saturate."
)
_WEIGHTS = (
    "It is no better than v, which says what is protected: a protected-status model that learnt nothing, or a list that misses "
    "the words, weighs tokens at random or leaves texts out (gendered words: 182 of 384 planted bios, which have names alone).",
    "A gradient is what an infinitely small step does, and no text is that near to another one: a network may ignore a word's "
    "neighbourhood and depend on the word. Read it beside counterfactual_token_fairness, which exchanges the words.",
    "Depends on w, v, the reduction and the output function, which are in the probe block; two choices are two metrics.",
)

RAW = MetricInfo(
    title="Prediction sensitivity to protected features",
    reads="Labelled",
    probe="sensitivity",
    columns=("sensitivity",),
    kind="extrinsic",
    ideal=0.0,
    low=0.0,
    high=np.inf,
    direction="larger = predictions move more with what tells the protected group",
    construct="How far a text classifier's prediction moves with those features of a text that tell a protected group.",
    formula=(
        "mean over texts of sum_k w_k sum_t S[k,t] v[t]; S[k,t] = |d f_k / d word embedding t|, reduced over its entries (l2); "
        "w = the predicted class; v = the same reduction of a protected-status model's gradient, 0 outside of the text, sum 1"
    ),
    cite="Krishna et al. 2022, ACL (accumulated prediction sensitivity); the reduction to tokens is this project's",
    threats=(
        _SATURATION,
        "Its size is that of the embeddings: comparable only between models with the same embedding scale (a model and its "
        "fine-tuned or mitigated self). Elsewhere compare prediction_sensitivity_ratio.",
        *_WEIGHTS,
    ),
    headline=False,
)

INFO = {
    "prediction_sensitivity": RAW,
    "prediction_sensitivity_ratio": replace(
        RAW,
        title="Prediction sensitivity to protected features over that to all features",
        columns=("sensitivity", "sensitivity_uniform"),
        direction="above 1 = protected features move the prediction more than the average one, below 1 = less",
        construct="How much more a classifier's prediction moves with what tells a protected group than with the average token.",
        formula=(
            "sum over texts of the sensitivity / sum over texts of the same with v = 1/T (T tokens of the text): a ratio of means"
        ),
        threats=(
            "What a fair classifier has above 0 is not known: where labels followed nobody's gender it was 1.42 by a "
            "protected-status model and 1.06 by gendered words; where one word decided, 1.98 and 3.84; where up to two did, 1.94 "
            "and 4.36. Compare classifiers by the same v; words told these apart better than a model, which spreads its weights.",
            "It need not follow the bias: the planted bios were designed, on the test texts reported, until it rose (1.39, 1.75, "
            "1.96); in two designs before (1.28, 1.34, 1.22; 1.24, 2.16, 2.01) and on planted comments (1.00, 1.91, 1.67) it "
            "did not.",
            "Texts on which the classifier is certain hardly count in either sum: it is a ratio of means, carried by the others.",
            "A token that is rare in a text can have a large ratio, the more so the longer the text: compare on the same texts.",
            *_WEIGHTS,
        ),
        headline=True,
    ),
}


def prediction_sensitivity(answers: pd.DataFrame, weights: Floats) -> Floats:
    """Mean sensitivity of the predictions.

    Args:
        answers: column `sensitivity`, >= 0 (units of the output over units of the embeddings).
        weights: (b, n).

    Returns:
        (b,) >= 0, ideal 0.

    Raises:
        FairbenchError: a sensitivity is negative.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Floats = weights @ _read(answers, "sensitivity") / weights.sum(axis=1)
    return mean


def prediction_sensitivity_ratio(answers: pd.DataFrame, weights: Floats) -> Floats:
    """Sensitivity to protected features over that to all of them, a ratio of means.

    Args:
        answers: columns `sensitivity` and `sensitivity_uniform`, >= 0.
        weights: (b, n).

    Returns:
        (b,) >= 0, ideal 0, 1 where protected features are like any other; NaN where nothing moves any prediction.

    Raises:
        Undefined: nothing moves any prediction.
        FairbenchError: a sensitivity is negative.
    """
    protected, uniform = _read(answers, "sensitivity"), _read(answers, "sensitivity_uniform")
    if not uniform.any():
        raise Undefined("no prediction moves with any token: the classifier is certain of every text, or does not read it")
    with np.errstate(invalid="ignore", divide="ignore"):
        below = weights @ uniform
        ratio: Floats = np.where(below > 0, weights @ protected / below, np.nan)
    return ratio


def prediction_sensitivity_counts(answers: pd.DataFrame) -> dict[str, int]:
    """Texts of which only the beginning was read, where the table says so."""
    return {"truncated": int(answers["truncated"].eq(True).sum())} if "truncated" in answers.columns else {}


prediction_sensitivity_ratio_counts = prediction_sensitivity_counts


def prediction_sensitivity_details(answers: pd.DataFrame, rng: np.random.Generator) -> dict[str, float]:
    """The ratio, how the texts are distributed, the share of saturated ones, and the mean of each gold class."""
    values = _read(answers, "sensitivity")
    spread = {f"percentile_{q}": float(np.percentile(values, q)) for q in PERCENTILES}
    ratio = {}
    if "sensitivity_uniform" in answers.columns:
        with_both = answers[answers["sensitivity_uniform"].notna()]
        ratio = _defined("ratio", prediction_sensitivity_ratio, with_both)
    return {**ratio, **spread, **_saturated(answers), **_by_class(prediction_sensitivity, answers)}


def prediction_sensitivity_ratio_details(answers: pd.DataFrame, rng: np.random.Generator) -> dict[str, float]:
    """Both means, the share of saturated texts, and the ratio of each gold class."""
    means = {f"mean_{name}": float(_read(answers, name).mean()) for name in INFO["prediction_sensitivity_ratio"].columns}
    return {**means, **_saturated(answers), **_by_class(prediction_sensitivity_ratio, answers)}


def _by_class(metric: Callable[[Any, Floats], Floats], answers: pd.DataFrame) -> dict[str, float]:
    """The metric over the texts of each gold class, by name; none where the table names no classes, or a single one."""
    if "label" not in answers.columns:
        return {}
    answers = answers[answers["label"].notna()]
    gold = labels(answers)
    numbers = sorted(set(gold.tolist()))
    parts = {
        f"class {name}": answers[gold == number] for name, number in zip(class_names(answers, numbers), numbers, strict=True)
    }
    found: dict[str, float] = {}
    for name, part in parts.items() if len(parts) > 1 else ():
        found |= _defined(name, metric, part)
    return found


def _defined(name: str, metric: Callable[[Any, Floats], Floats], answers: pd.DataFrame) -> dict[str, float]:
    """The metric over these rows by its name; nothing where it has no value there."""
    try:
        return {name: float(metric(answers, np.ones((1, len(answers))))[0])} if len(answers) else {}
    except Undefined:
        return {}


def _saturated(answers: pd.DataFrame) -> dict[str, float]:
    """The share of texts of whose prediction the classifier is all but certain; nothing where the table has no probabilities."""
    if "probs" not in answers.columns:
        return {}
    certain = [float(np.max(probs)) > SATURATED for probs in answers["probs"] if probs is not None]
    return {"saturated": float(np.mean(certain))} if certain else {}


def _read(answers: pd.DataFrame, column: str) -> Floats:
    """A column of sensitivities, none of which may be below zero."""
    values: Floats = answers[column].to_numpy(dtype=float)
    if (values < 0).any():
        place = int(values.argmin())
        raise FairbenchError(
            f"Row {answers.index[place] + 1}, column {column!r}: found {values[place]:g}, wanted 0 or more. A sensitivity "
            "is made of absolute values: give |gradient|, not the gradient."
        )
    return values
