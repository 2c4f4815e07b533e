"""Every disparity of rates against fairlearn and scikit-learn, on random tables with skew, missing groups and weights."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    demographic_parity_ratio,
    equalized_odds_difference,
    false_negative_rate,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
    true_positive_rate_difference,
)
from sklearn.metrics import recall_score

from fairbench.errors import Undefined
from fairbench.registry import Registry

REGISTRY = Registry()
TABLES = 200
CLOSE = {"rel": 1e-12, "abs": 1e-12}


def table(seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """5 to 400 records of 2 to 6 groups and 2 to 4 classes, all skewed, some without a group; every third with weights."""
    rng = np.random.default_rng(seed)
    n, g, classes = int(rng.integers(5, 401)), int(rng.integers(2, 7)), int(rng.integers(2, 5))
    names = np.array([f"group{i}" for i in range(g)], dtype=object)
    group = rng.choice(names, n, p=rng.dirichlet(np.ones(g)))
    group[rng.random(n) < rng.choice([0, 0.2])] = None
    if (group == None).all():  # noqa: E711
        group[0] = names[0]
    label = rng.choice(classes, n, p=rng.dirichlet(np.ones(classes)))
    prediction = np.where(rng.random(n) < rng.random(), label, rng.choice(classes, n, p=rng.dirichlet(np.ones(classes))))
    weights = rng.gamma(1, 1, n) + 0.01 if seed % 3 == 0 else np.ones(n)
    return pd.DataFrame({"label": label, "prediction": prediction, "group": group}), weights


def ours(name: str, answers: pd.DataFrame, weights: np.ndarray, **options: object) -> float:
    """The value with no minimum, as the references have none; NaN where undefined."""
    try:
        return float(REGISTRY.metric(name).with_options({"minimum": 1, **options}).values(answers, weights[None, :], 0)[0])
    except Undefined:
        return math.nan


def frame(answers: pd.DataFrame, weights: np.ndarray, rate) -> MetricFrame:
    """fairlearn's rate of class 1, by group and over all."""
    return MetricFrame(
        metrics=rate,
        y_true=(answers.label == 1).astype(int),
        y_pred=(answers.prediction == 1).astype(int),
        sensitive_features=answers.group,
        sample_params={"sample_weight": weights},
    )


def of_class(answers: pd.DataFrame, positive: bool | None) -> pd.Series:
    """How many records of the class each group has; fairlearn calls a rate of none 0, and we leave such a group out."""
    counted = pd.Series(True, answers.index) if positive is None else (answers.label == 1) == positive
    return counted.groupby(answers.group).sum()


RATES = {"tpr": (true_positive_rate, True), "fpr": (false_positive_rate, False), "fnr": (false_negative_rate, True)}


def by_group(answers: pd.DataFrame, weights: np.ndarray, rate: str) -> pd.Series:
    """fairlearn's rates of the groups that have a record of the class."""
    function, positive = (selection_rate, None) if rate == "selection" else RATES[rate]
    grouped = answers.group.notna().to_numpy()
    found = frame(answers[grouped], weights[grouped], function).by_group
    return found[of_class(answers, positive) > 0]


def test_demographic_parity_is_fairlearns():
    seen = Counter()
    for seed in range(TABLES):
        answers, weights = table(seed)
        kept = answers.group.notna().to_numpy()
        y, predicted = (answers.label == 1)[kept].astype(int), (answers.prediction == 1)[kept].astype(int)
        how = {"sensitive_features": answers.group[kept], "sample_weight": weights[kept]}
        names = ("demographic_parity_difference", "demographic_parity_ratio")
        difference, ratio = (ours(name, answers, weights) for name in names)
        if answers.group.nunique() < 2:  # fairlearn: difference 0, ratio 1
            assert math.isnan(difference) and math.isnan(ratio)
            seen["one group"] += 1
            continue
        assert difference == pytest.approx(demographic_parity_difference(y, predicted, **how), **CLOSE)
        if predicted.any():
            assert ratio == pytest.approx(demographic_parity_ratio(y, predicted, **how), **CLOSE)
        else:  # 0/0
            assert math.isnan(ratio) and math.isnan(demographic_parity_ratio(y, predicted, **how))
        seen["no positive" if not predicted.any() else "ratio 0" if ratio == 0 else "both"] += 1
    assert seen["both"] > 100 and min(seen[kind] for kind in ("one group", "no positive", "ratio 0")) > 0


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("aggregate", ["gap", "std", "pairwise"])
def test_rate_gaps_are_fairlearns(rate: str, aggregate: str):
    seen = Counter()
    for seed in range(TABLES):
        answers, weights = table(seed)
        value, rates = ours(f"{rate}_gap", answers, weights, aggregate=aggregate), by_group(answers, weights, rate)
        if len(rates) < 2:
            assert math.isnan(value)
            seen["undefined"] += 1
            continue
        pairs = [abs(a - b) for i, a in enumerate(rates) for b in rates[i + 1 :]]
        wanted = {"gap": rates.max() - rates.min(), "std": rates.std(ddof=0), "pairwise": sum(pairs) / len(pairs)}
        assert value == pytest.approx(wanted[aggregate], **CLOSE)
        seen["all groups" if len(rates) == answers.group.nunique() else "a group left out"] += 1
    assert seen["all groups"] > 100 and min(seen["undefined"], seen["a group left out"]) > 0


def test_where_every_group_has_the_class_the_gap_is_fairlearns_own_function():
    compared = left_out = 0
    for seed in range(TABLES):
        answers, weights = table(seed)
        answers, weights = answers[kept := answers.group.notna()].reset_index(drop=True), weights[kept]
        if answers.group.nunique() < 2 or not (answers.label == 1).any():
            continue
        y, predicted = (answers.label == 1).astype(int), (answers.prediction == 1).astype(int)
        fairlearns = true_positive_rate_difference(y, predicted, sensitive_features=answers.group, sample_weight=weights)
        value = ours("tpr_gap", answers, weights)
        if (of_class(answers, True) > 0).all():
            assert value == pytest.approx(fairlearns, **CLOSE)
            compared += 1
        else:  # it counts a group without positives as one whose TPR is 0
            rates = by_group(answers, weights, "tpr")
            assert fairlearns == pytest.approx(rates.max(), **CLOSE)
            left_out += 1
    assert compared > 100 and left_out > 5


@pytest.mark.parametrize(("aggregate", "agg"), [("worst_case", "worst_case"), ("mean", "mean")])
def test_equalised_odds_is_fairlearns(aggregate: str, agg: str):
    seen = Counter()
    for seed in range(TABLES):
        answers, weights = table(seed)
        answers, weights = answers[kept := answers.group.notna()].reset_index(drop=True), weights[kept]
        value = ours("equalized_odds_difference", answers, weights, aggregate=aggregate)
        halves = [by_group(answers, weights, rate) for rate in ("tpr", "fpr")]
        if min(map(len, halves)) < 2:
            assert math.isnan(value)
            seen["undefined"] += 1
            continue
        gaps = [half.max() - half.min() for half in halves]
        assert value == pytest.approx(max(gaps) if agg == "worst_case" else sum(gaps) / 2, **CLOSE)
        if all(len(half) == answers.group.nunique() for half in halves):
            y, predicted = (answers.label == 1).astype(int), (answers.prediction == 1).astype(int)
            how = {"sensitive_features": answers.group, "sample_weight": weights, "agg": agg}
            assert value == pytest.approx(equalized_odds_difference(y, predicted, **how), **CLOSE)
            seen["fairlearn"] += 1
        else:
            seen["a group left out"] += 1
    assert seen["fairlearn"] > 100 and min(seen["undefined"], seen["a group left out"]) > 0


@pytest.mark.parametrize(("name", "rate"), [("fped", "fpr"), ("fned", "fnr")])
def test_error_equality_is_the_sum_of_fairlearns_distances_to_the_overall_rate(name: str, rate: str):
    seen = Counter()
    for seed in range(TABLES):
        answers, weights = table(seed)
        value, rates = ours(name, answers, weights), by_group(answers, weights, rate)
        if len(rates) < 2:
            assert math.isnan(value)
            seen["undefined"] += 1
            continue
        every = answers.assign(group="same")  # all records, also those without a group
        overall = frame(every, weights, RATES[rate][0]).overall
        assert value == pytest.approx((rates - overall).abs().sum(), **CLOSE)
        seen["without a group" if answers.group.isna().any() else "all in groups"] += 1
    assert min(seen.values()) > 10 and len(seen) == 3


def test_rms_gap_is_that_of_scikit_learns_recalls():
    seen = Counter()
    for seed in range(TABLES):
        answers, weights = table(seed)
        classes = sorted(set(answers.label))
        recalls = np.full((answers.group.nunique(), len(classes)), math.nan)
        for row, (_, part) in enumerate(answers.groupby("group")):
            own = weights[part.index]
            recalls[row] = recall_score(
                part.label, part.prediction, labels=classes, average=None, sample_weight=own, zero_division=math.nan
            )
        gaps = [
            np.nanmax(column) - np.nanmin(column) for column in recalls.T if np.isfinite(column).sum() >= 2
        ]  # a class that is never predicted counts with its gap of 0
        value = ours("rms_tpr_gap", answers, weights)
        if not gaps:
            assert math.isnan(value)
            seen["undefined"] += 1
            continue
        assert value == pytest.approx(math.sqrt(np.mean(np.square(gaps))), **CLOSE)
        seen["all classes" if len(gaps) == len(classes) else "a class left out"] += 1
    assert seen["all classes"] > 50 and min(seen["undefined"], seen["a class left out"]) > 0
