"""Accuracy, macro F1 and the AUC of all records against scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics import accuracy as module
from fairbench.metrics.accuracy import accuracy, macro_f1, roc_auc
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

import fairbench
from fairbench.errors import FairbenchError, Undefined

FUNCTIONS = {"accuracy": accuracy, "macro_f1": macro_f1, "roc_auc": roc_auc}
each = pytest.mark.parametrize("name", FUNCTIONS)


def random_table(seed: int, classes: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 60))
    probs = np.round(rng.dirichlet(np.ones(classes), n), 1 if seed % 2 else 8)
    label = rng.integers(0, classes, n)
    label[:2] = [0, 1]
    return pd.DataFrame({"label": label, "prediction": rng.integers(0, classes, n), "probs": list(probs)})


def by_sklearn(name: str, table: pd.DataFrame, weights: np.ndarray) -> float:
    label, named = table["label"], table["prediction"]
    if name == "accuracy":
        return accuracy_score(label, named, sample_weight=weights)
    if name == "macro_f1":
        return f1_score(label, named, average="macro", sample_weight=weights)
    return roc_auc_score(label == 1, [p[1] for p in table["probs"]], sample_weight=weights)


@each
@pytest.mark.parametrize("seed", range(40))
def test_weighted_values_are_those_of_scikit_learn(name: str, seed: int):
    table = random_table(seed, classes=2 + seed % 4)
    weights = np.random.default_rng(seed).random((4, len(table)))
    weights[0] = 1
    expected = [by_sklearn(name, table, row) for row in weights]
    assert FUNCTIONS[name](table, weights) == pytest.approx(expected, abs=1e-12)


@each
@pytest.mark.parametrize("seed", range(4))
def test_integer_weights_repeat_rows_and_zeros_remove_them(name: str, seed: int):
    table = random_table(seed, classes=3)
    weights = np.random.default_rng(seed).integers(0, 3, (8, len(table)))
    repeated = [table.loc[table.index.repeat(row)] for row in weights]
    expected = [by_sklearn(name, part, np.ones(len(part))) for part in repeated]
    assert FUNCTIONS[name](table, weights.astype(float)) == pytest.approx(expected, abs=1e-12)


def test_cases_worked_by_hand():
    table = pd.DataFrame({"label": [0, 0, 0, 1, 2], "prediction": [0, 0, 1, 1, 1]})
    ones = np.ones((1, 5))
    assert accuracy(table, ones)[0] == pytest.approx(3 / 5)
    # class 0: 2*2/(3+2); class 1: 2*1/(1+3); class 2 is never named: 0
    assert macro_f1(table, ones)[0] == pytest.approx((4 / 5 + 1 / 2 + 0) / 3)


def test_a_class_counts_where_it_occurs_and_only_there():
    table = pd.DataFrame({"label": [0, 0, 5], "prediction": [0, 0, 0]})
    weights = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    # class 0 named thrice and right twice, 4/5; class 5 never, 0. Without the third row class 5 does not occur.
    assert macro_f1(table, weights) == pytest.approx([0.4, 1.0, 0.0])


@each
def test_nothing_with_a_weight_has_no_value(name: str):
    table = random_table(0)
    weights = np.zeros((2, len(table)))
    weights[1] = 1
    assert np.isnan(FUNCTIONS[name](table, weights)).tolist() == [True, False]


def test_draws_do_not_know_of_each_other(monkeypatch: pytest.MonkeyPatch):
    table = random_table(1, classes=4)
    weights = np.random.default_rng(0).random((6, len(table)))
    whole = macro_f1(table, weights)
    monkeypatch.setattr(module, "BLOCK_BYTES", 1)
    assert macro_f1(table, weights) == pytest.approx(whole, abs=1e-15)


def test_renaming_classes_does_not_matter():
    table = random_table(2, classes=4)
    renamed = table.assign(**{c: 3 - table[c] for c in ("label", "prediction")})
    ones = np.ones((1, len(table)))
    assert macro_f1(renamed, ones) == pytest.approx(macro_f1(table, ones), abs=1e-15)
    assert accuracy(renamed, ones) == accuracy(table, ones)


def test_the_positive_class_of_the_auc_may_be_chosen():
    table = random_table(4, classes=3)
    for positive in range(3):
        expected = roc_auc_score(table["label"] == positive, [p[positive] for p in table["probs"]])
        score = fairbench.measure("roc_auc", table, metric_options={"positive": positive}, draws=0)
        assert score.value == pytest.approx(expected, abs=1e-12)
    with pytest.raises(FairbenchError, match="The option positive is 3; wanted a class of 0 to 2"):
        roc_auc(table.assign(label=3 * (table["label"] == 1)), np.ones((1, len(table))), positive=3)


@pytest.mark.parametrize(("label", "why"), [(1, "every record has the class 1"), (0, "no record has the class 1")])
def test_one_class_has_no_auc_and_is_no_reason_against_accuracy(label: int, why: str):
    table = random_table(4).assign(label=label)
    with pytest.raises(Undefined, match=why):
        roc_auc(table, np.ones((1, len(table))))
    assert fairbench.measure("roc_auc", table).undefined.startswith(why)
    assert fairbench.measure("accuracy", table, draws=0).value == pytest.approx((table["prediction"] == label).mean())


@each
def test_each_group_has_a_score_of_its_own(name: str):
    table = random_table(5)
    groups = [[], ["gender:female"], ["gender:male", "race:black"], ["race:black"]]
    table["groups"] = [groups[i % 4] for i in range(len(table))]
    score = fairbench.measure(name, table, draws=100)
    assert set(score.by_group) == {"gender:female", "gender:male", "race:black"}
    for group, part in score.by_group.items():
        rows = np.array([group in names for names in table["groups"]])
        assert part.n == rows.sum()
        if part.value is not None:
            assert part.value == pytest.approx(by_sklearn(name, table[rows], np.ones(rows.sum())), abs=1e-12)
    assert score.by_group["race:black"].n > len(table) // 2 - 2


def test_a_perfect_classifier_has_an_exact_interval():
    score = fairbench.measure("accuracy", {"label": [0, 1] * 10, "prediction": [0, 1] * 10})
    assert score.value == 1 and score.interval.high == 1 and 0.8 < score.interval.low < 0.9
    assert "Clopper-Pearson" in score.interval.method


def test_no_class_of_an_f1_is_0_over_0():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert macro_f1(pd.DataFrame({"label": [0], "prediction": [1]}), np.ones((1, 1)))[0] == 0
