"""Mean and ratio of sensitivities against plain counting."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics import prediction_sensitivity as module
from fairbench.metrics.prediction_sensitivity import prediction_sensitivity, prediction_sensitivity_ratio

from fairbench.errors import FairbenchError, Undefined
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry

FUNCTIONS = {"prediction_sensitivity": prediction_sensitivity, "prediction_sensitivity_ratio": prediction_sensitivity_ratio}
METRICS = {name: Registry().metric(name) for name in FUNCTIONS}
HAND = pd.DataFrame(
    {
        "sensitivity": [0.4, 0.1, 0.0, 0.3],
        "sensitivity_uniform": [0.1, 0.2, 0.05, 0.05],
        "label": [0, 1, 1, 0],
        "probs": [[0.6, 0.4], [0.0005, 0.9995], [0.5, 0.5], [0.001, 0.999]],
        "meta.class": ["kind", "rotten", "rotten", "kind"],
    }
)
both = pytest.mark.parametrize("name", FUNCTIONS)


def random_table(seed: int, n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    p = rng.uniform(size=n)
    return pd.DataFrame(
        {
            "sensitivity": rng.gamma(2, 0.1, n), "sensitivity_uniform": rng.gamma(2, 0.1, n), "label": rng.integers(0, 3, n),
            "probs": [[a, 1 - a, 0.0] for a in p], "group": [("female", "male")[i % 2] for i in range(n)],
        }
    )  # fmt: skip


def by_loop(name: str, table: pd.DataFrame, weights: np.ndarray) -> float:
    above = math.fsum(w * s for w, s in zip(weights, table["sensitivity"], strict=True))
    under = [1.0] * len(table) if name == "prediction_sensitivity" else table["sensitivity_uniform"]
    below = (w * u for w, u in zip(weights, under, strict=True))
    return above / math.fsum(below)


def value(name: str, table: pd.DataFrame) -> float:
    return float(FUNCTIONS[name](table, np.ones((1, len(table))))[0])


@pytest.mark.parametrize(("name", "expected"), [("prediction_sensitivity", 0.2), ("prediction_sensitivity_ratio", 2.0)])
def test_case_worked_by_hand(name: str, expected: float):
    assert value(name, HAND) == pytest.approx(expected, abs=1e-12)


def test_details_worked_by_hand():
    rng = np.random.default_rng(0)
    details = module.prediction_sensitivity_details(HAND, rng)
    assert details == pytest.approx(
        {
            "ratio": 2.0, "percentile_5": 0.015, "percentile_25": 0.075, "percentile_50": 0.2, "percentile_75": 0.325,
            "percentile_95": 0.385, "saturated": 0.25, "class kind": 0.35, "class rotten": 0.05,
        }
    )  # fmt: skip
    assert module.prediction_sensitivity_ratio_details(HAND, rng) == pytest.approx(
        {
            "mean_sensitivity": 0.2, "mean_sensitivity_uniform": 0.1, "saturated": 0.25, "class kind": 0.7 / 0.15,
            "class rotten": 0.4,
        }
    )  # fmt: skip


@both
@pytest.mark.parametrize("seed", range(4))
def test_weights_equal_the_loop(name: str, seed: int):
    table = random_table(seed)
    weights = np.random.default_rng(seed).integers(0, 4, (5, len(table))).astype(float)
    assert FUNCTIONS[name](table, weights) == pytest.approx([by_loop(name, table, row) for row in weights], rel=1e-12)


@both
def test_the_score_by_group_and_its_interval(name: str):
    table = random_table(1)
    score = measure(METRICS[name], table, MeasureOptions(draws=500))
    assert score.value == pytest.approx(by_loop(name, table, np.ones(len(table))))
    assert score.interval is not None and score.interval.low < score.value < score.interval.high
    for group, part in table.groupby("group"):
        assert score.by_group[group].value == pytest.approx(by_loop(name, part, np.ones(len(part))))


def test_the_unit_of_the_embeddings_leaves_the_ratio():
    """Embeddings three times as large and the network's first layer a third: the same classifier, every gradient a third."""
    table = random_table(2)
    scaled = table.assign(sensitivity=table["sensitivity"] / 3, sensitivity_uniform=table["sensitivity_uniform"] / 3)
    assert value("prediction_sensitivity", scaled) == pytest.approx(value("prediction_sensitivity", table) / 3)
    assert value("prediction_sensitivity_ratio", scaled) == pytest.approx(value("prediction_sensitivity_ratio", table))


def test_the_ratio_is_of_means_and_not_a_mean_of_ratios():
    table = pd.DataFrame({"sensitivity": [1e-9, 1.0], "sensitivity_uniform": [1e-12, 1.0]})
    assert value("prediction_sensitivity_ratio", table) == pytest.approx(1.0)


def test_nothing_that_moves_anything_is_undefined():
    table = pd.DataFrame({"sensitivity": [0.0, 0.0], "sensitivity_uniform": [0.0, 0.0]})
    with pytest.raises(Undefined, match="no prediction moves"):
        value("prediction_sensitivity_ratio", table)
    score = measure(METRICS["prediction_sensitivity"], table, MeasureOptions(draws=0))
    assert score.value == 0 and "ratio" not in score.details


def test_a_draw_in_which_nothing_moves_has_no_value():
    table = pd.DataFrame({"sensitivity": [0.0, 0.5], "sensitivity_uniform": [0.0, 0.25]})
    found = prediction_sensitivity_ratio(table, np.array([[1.0, 0.0], [1.0, 1.0]]))
    assert math.isnan(found[0]) and found[1] == 2


@both
def test_what_was_left_out_is_counted(name: str):
    table = random_table(3).astype({"sensitivity": object, "sensitivity_uniform": object})
    table["left_out"] = None
    table.loc[[3, 7], ["sensitivity", "sensitivity_uniform"]] = None
    table.loc[[3, 7], "left_out"] = "no listed word in the text"
    table.loc[9, "sensitivity"] = np.inf
    score = measure(METRICS[name], table, MeasureOptions(draws=0))
    assert score.left_out == {"no listed word in the text": 2, "sensitivity is missing or not finite": 1}
    kept = table.drop(index=[3, 7, 9])
    assert score.value == pytest.approx(by_loop(name, kept, np.ones(len(kept))))


@both
def test_a_negative_sensitivity_is_refused(name: str):
    table = random_table(4)
    table.loc[5, "sensitivity"] = -0.25
    with pytest.raises(FairbenchError, match=r"Row 6, column 'sensitivity': found -0.25, wanted 0 or more"):
        measure(METRICS[name], table, MeasureOptions(draws=0))


@both
def test_texts_that_were_cut_are_counted(name: str):
    table = random_table(5).assign(truncated=[i < 7 for i in range(60)])
    assert measure(METRICS[name], table, MeasureOptions(draws=0)).counts == {"truncated": 7}
    assert measure(METRICS[name], random_table(5), MeasureOptions(draws=0)).counts == {}


def test_a_table_of_sensitivities_alone_is_enough():
    score = measure(METRICS["prediction_sensitivity"], pd.DataFrame({"sensitivity": [0.1, 0.3]}), MeasureOptions(draws=0))
    assert score.value == pytest.approx(0.2)
    assert set(score.details) == {f"percentile_{q}" for q in (5, 25, 50, 75, 95)}


def test_classes_are_not_told_apart_where_there_is_one():
    details = module.prediction_sensitivity_details(HAND[HAND["label"] == 0], np.random.default_rng(0))
    assert not any(name.startswith("class") for name in details)


def test_labels_without_names_are_told_by_number():
    details = module.prediction_sensitivity_ratio_details(HAND.drop(columns="meta.class"), np.random.default_rng(0))
    assert details["class 0"] == pytest.approx(0.7 / 0.15) and details["class 1"] == pytest.approx(0.4)
