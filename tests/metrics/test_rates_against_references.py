"""Every disparity of rates against fairlearn and scikit-learn, on random tables with skew, missing groups and weights."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pytest
from fairlearn import metrics as fairlearn
from sklearn.metrics import recall_score

from fairbench.errors import Undefined
from fairbench.registry import Registry

REGISTRY = Registry()
MANY = 200
tables = pytest.mark.parametrize("tables", [range(8), pytest.param(range(MANY), marks=pytest.mark.slow)], ids=len)
"""A few tables in every run; on all of them, each kind of table must have been met."""

CLOSE = {"rel": 1e-12, "abs": 1e-12}
RATES = {
    "selection": (fairlearn.selection_rate, lambda label: label == label),
    "tpr": (fairlearn.true_positive_rate, lambda label: label == 1),
    "fpr": (fairlearn.false_positive_rate, lambda label: label != 1),
    "fnr": (fairlearn.false_negative_rate, lambda label: label == 1),
}


@dataclass(frozen=True)
class Case:
    """A table and what fairlearn says of it: rates of class 1 by group, and how many records each is of."""

    answers: pd.DataFrame
    weights: np.ndarray
    rates: pd.DataFrame
    sizes: pd.DataFrame

    @property
    def grouped(self) -> dict[str, object]:
        """Arguments of fairlearn's functions, for the records that have a group."""
        kept = self.answers.group.notna().to_numpy()
        return {
            "y_true": (self.answers.label == 1)[kept].astype(int),
            "y_pred": (self.answers.prediction == 1)[kept].astype(int),
            "sensitive_features": self.answers.group[kept],
            "sample_weight": self.weights[kept],
        }

    def defined(self, rate: str) -> pd.Series:
        """The rates that are of at least one record. fairlearn calls the others 0; here such a group is left out."""
        return self.rates[rate][self.sizes[rate] > 0]


@cache
def case(seed: int) -> Case:
    """5 to 400 records of 2 to 6 groups and 2 to 4 classes, all skewed, some without a group; every third table with weights."""
    rng = np.random.default_rng(seed)
    n, g, classes = int(rng.integers(5, 401)), int(rng.integers(2, 7)), int(rng.integers(2, 5))
    group = np.array([f"group{i}" for i in rng.choice(g, n, p=rng.dirichlet(np.ones(g)))], dtype=object)
    group[1:][rng.random(n - 1) < rng.choice([0, 0.2])] = None
    label = rng.choice(classes, n, p=rng.dirichlet(np.ones(classes)))
    prediction = np.where(rng.random(n) < rng.random(), label, rng.choice(classes, n, p=rng.dirichlet(np.ones(classes))))
    weights = rng.gamma(1, 1, n) + 0.01 if seed % 3 == 0 else np.ones(n)
    answers = pd.DataFrame({"label": label, "prediction": prediction, "group": group})
    found = Case(answers, weights, pd.DataFrame(), pd.DataFrame())
    args = found.grouped
    frame = fairlearn.MetricFrame(
        metrics={name: function for name, (function, _) in RATES.items()},
        y_true=args["y_true"],
        y_pred=args["y_pred"],
        sensitive_features=args["sensitive_features"],
        sample_params={name: {"sample_weight": args["sample_weight"]} for name in RATES},
    )
    sizes = pd.DataFrame({name: of(answers.label).groupby(answers.group).sum() for name, (_, of) in RATES.items()})
    return Case(answers, weights, frame.by_group, sizes)


def ours(name: str, of: Case, **options: object) -> float:
    """The value with no minimum, as the references have none; NaN where undefined."""
    metric = REGISTRY.metric(name).with_options({"minimum": 1, **options})
    try:
        return float(metric.values(of.answers, of.weights[None, :], 0)[0])
    except Undefined:
        return math.nan


@tables
def test_demographic_parity_is_fairlearns(tables: range):
    seen: Counter[str] = Counter()
    for of in map(case, tables):
        difference, ratio = (ours(name, of) for name in ("demographic_parity_difference", "demographic_parity_ratio"))
        if len(of.rates) < 2:  # fairlearn: difference 0, ratio 1
            assert math.isnan(difference) and math.isnan(ratio)
            seen["one group"] += 1
            continue
        assert difference == pytest.approx(fairlearn.demographic_parity_difference(**of.grouped), **CLOSE)
        if of.rates.selection.any():
            assert ratio == pytest.approx(fairlearn.demographic_parity_ratio(**of.grouped), **CLOSE)
        else:  # 0/0, NaN in fairlearn too
            assert math.isnan(ratio) and math.isnan(fairlearn.demographic_parity_ratio(**of.grouped))
        seen["no positive" if math.isnan(ratio) else "ratio 0" if ratio == 0 else "ratio above 0"] += 1
    assert len(tables) < MANY or (seen["ratio above 0"] > 100 and len(seen) == 4)


@tables
@pytest.mark.parametrize("rate", ["tpr", "fpr", "fnr"])
def test_rate_gaps_are_made_of_fairlearns_rates(rate: str, tables: range):
    seen: Counter[str] = Counter()
    for of in map(case, tables):
        rates = of.defined(rate)
        values = {how: ours(f"{rate}_gap", of, aggregate=how) for how in ("gap", "std", "pairwise")}
        if len(rates) < 2:
            assert all(map(math.isnan, values.values()))
            seen["undefined"] += 1
            continue
        pairs = [abs(a - b) for i, a in enumerate(rates) for b in rates[i + 1 :]]
        wanted = {"gap": rates.max() - rates.min(), "std": rates.std(ddof=0), "pairwise": sum(pairs) / len(pairs)}
        assert values == pytest.approx(wanted, **CLOSE)
        seen["all groups" if len(rates) == len(of.rates) else "a group left out"] += 1
    assert len(tables) < MANY or (seen["all groups"] > 100 and len(seen) == 3)


@tables
@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("tpr_gap", fairlearn.true_positive_rate_difference),
        ("fpr_gap", fairlearn.false_positive_rate_difference),
        ("fnr_gap", fairlearn.false_negative_rate_difference),
    ],
)
def test_where_every_group_has_the_class_the_gap_is_fairlearns_own_function(name: str, function, tables: range):
    rate, differ = name[:3], 0
    for of in map(case, tables[::4]):
        if len(of.defined(rate)) < 2:
            continue
        value, theirs = ours(name, of), function(**of.grouped)
        if (of.sizes[rate] > 0).all():
            assert value == pytest.approx(theirs, **CLOSE)
        else:  # a rate of no record counts as 0 there
            assert theirs == pytest.approx(of.rates[rate].max() - of.rates[rate].min(), **CLOSE)
            differ += theirs > value
    assert len(tables) < MANY or differ > 0 or rate == "fpr"


@tables
@pytest.mark.parametrize("how", ["worst_case", "mean"])
def test_equalised_odds_is_fairlearns(how: str, tables: range):
    seen: Counter[str] = Counter()
    for of in map(case, tables):
        value, halves = ours("equalized_odds_difference", of, aggregate=how), [of.defined(rate) for rate in ("tpr", "fpr")]
        if min(map(len, halves)) < 2:
            assert math.isnan(value)
            seen["undefined"] += 1
            continue
        gaps = [half.max() - half.min() for half in halves]
        assert value == pytest.approx(max(gaps) if how == "worst_case" else sum(gaps) / 2, **CLOSE)
        if (of.sizes > 0).all(axis=None):
            assert value == pytest.approx(fairlearn.equalized_odds_difference(**of.grouped, agg=how), **CLOSE)
            seen["fairlearn"] += 1
        else:
            seen["a group left out of one half"] += 1
    assert len(tables) < MANY or (seen["fairlearn"] > 100 and len(seen) == 3)


@tables
@pytest.mark.parametrize(("name", "rate"), [("fped", "fpr"), ("fned", "fnr")])
def test_error_equality_is_the_sum_of_fairlearns_distances_to_the_overall_rate(name: str, rate: str, tables: range):
    seen: Counter[str] = Counter()
    for of in map(case, tables):
        value, rates = ours(name, of), of.defined(rate)
        if len(rates) < 2:
            assert math.isnan(value)
            seen["undefined"] += 1
            continue
        y, predicted = (of.answers.label == 1).astype(int), (of.answers.prediction == 1).astype(int)
        overall = RATES[rate][0](y, predicted, sample_weight=of.weights)  # of all records, also those without a group
        assert value == pytest.approx((rates - overall).abs().sum(), **CLOSE)
        seen["some without a group" if of.answers.group.isna().any() else "all in groups"] += 1
    assert len(tables) < MANY or len(seen) == 3


@tables
def test_rms_gap_is_that_of_scikit_learns_recalls(tables: range):
    seen: Counter[str] = Counter()
    for of in map(case, tables):
        classes = sorted(set(of.answers.label))
        recalls = np.array(
            [
                recall_score(
                    part.label,
                    part.prediction,
                    labels=classes,
                    average=None,
                    sample_weight=of.weights[part.index],
                    zero_division=math.nan,
                )
                for _, part in of.answers.groupby("group")
            ]
        )
        gaps = [np.nanmax(column) - np.nanmin(column) for column in recalls.T if np.isfinite(column).sum() >= 2]
        value = ours("rms_tpr_gap", of)
        if not gaps:
            assert math.isnan(value)
            seen["undefined"] += 1
            continue
        assert value == pytest.approx(math.sqrt(np.mean(np.square(gaps))), **CLOSE)
        seen["all classes" if len(gaps) == len(classes) else "a class left out"] += 1
    assert len(tables) < MANY or (seen["all classes"] > 50 and len(seen) == 3)
