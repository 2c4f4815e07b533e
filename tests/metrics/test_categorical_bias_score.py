"""The categorical bias score against plain loops, its floor and p against enumeration."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics import categorical_bias_score as module
from fairbench.metrics.lpbs import lpbs

from fairbench.errors import FairbenchError, Undefined
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry

METRIC = Registry().metric("categorical_bias_score")
FLOOR = {"mass_floor": 0.001}


def table(seed: int, groups: dict[str, tuple[str, ...]], attributes: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        {"template": "[TARGET] [ATTRIBUTE]", "attribute": f"trait{a}", "group": group, "target": word, "mass": 0.4}
        for a in range(attributes)
        for group, words in groups.items()
        for word in words
    ]
    return pd.DataFrame(rows).assign(log_p=rng.normal(-30, 1, len(rows)), log_prior=rng.normal(-30, 1, len(rows)))


THREE = {"a": ("a1", "a2"), "b": ("b1", "b2"), "c": ("c1",)}
TWO = {"a": ("a1", "a2"), "b": ("b1", "b2")}


def score_of(rows: pd.DataFrame) -> float:
    """Variance over groups of what they gain in one cell."""
    gains = []
    for _, own in rows.groupby("group"):
        gains.append(math.log(sum(map(math.exp, own.log_p))) - math.log(sum(map(math.exp, own.log_prior))))
    return statistics.variance(gains)


def loop(answers: pd.DataFrame) -> float:
    return statistics.fmean(score_of(rows) for _, rows in answers.groupby("attribute"))


def one(answers: pd.DataFrame) -> float:
    return float(module.categorical_bias_score(answers, np.ones((1, len(answers))), **FLOOR)[0])


def test_case_worked_by_hand():
    # Gains 0, ln 2, -ln 2 (mean 0, squares 2 ln^2 2, by 3 - 1) and 0, 0, 0
    answers = table(0, {"a": ("x",), "b": ("y",), "c": ("z",)}, attributes=2)
    answers["log_p"] = np.log([0.2, 0.4, 0.1, 0.3, 0.3, 0.3])
    answers["log_prior"] = np.log([0.2, 0.2, 0.2, 0.3, 0.3, 0.3])
    assert one(answers) == pytest.approx(math.log(2) ** 2 / 2, abs=1e-12)


@pytest.mark.parametrize("groups", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize("seed", range(3))
def test_ones_equal_the_loop_and_weights_are_copies(groups: dict[str, tuple[str, ...]], seed: int):
    answers = table(seed, groups)
    assert one(answers) == pytest.approx(loop(answers), abs=1e-12)
    counts = np.array([[1, 0, 3, 2], [0, 0, 0, 0], [0, 0, 0, 5]])
    found = module.categorical_bias_score(answers, counts[:, answers.attribute.str[5:].astype(int)].astype(float), **FLOOR)
    cells = [score_of(rows) for _, rows in answers.groupby("attribute")]
    assert found[0] == pytest.approx((cells[0] + 3 * cells[2] + 2 * cells[3]) / 6, abs=1e-12)
    assert np.isnan(found[1]) and found[2] == pytest.approx(cells[3], abs=1e-12)


def test_of_two_groups_it_is_half_the_squared_lpbs():
    answers = table(1, TWO, attributes=1)
    tilt = lpbs(answers, np.ones((1, 4)), first="a", **FLOOR)[0]
    assert one(answers) == pytest.approx(tilt**2 / 2, abs=1e-12)


def test_renaming_and_reordering_change_nothing():
    answers = table(2, THREE)
    renamed = answers.assign(group=answers.group.map({"a": "z", "b": "a", "c": "m"})).sample(frac=1, random_state=1)
    assert one(renamed) == pytest.approx(one(answers), abs=1e-12)


def enumerated(answers: pd.DataFrame) -> list[float]:
    """The score under every way to give each group as many of the words as it has, the same in all cells."""
    label = dict(zip(answers.target, answers.group, strict=True))
    found = []
    for dealt in set(itertools.permutations(label.values())):
        found.append(loop(answers.assign(group=answers.target.map(dict(zip(label, dealt, strict=True))))))
    return found


@pytest.mark.parametrize("groups", [TWO, THREE], ids=["two", "three"])
def test_floor_and_p_are_those_of_all_exchanges(groups: dict[str, tuple[str, ...]]):
    answers = table(3, groups)
    ways = enumerated(answers)
    score = measure(METRIC, answers, MeasureOptions(draws=1))
    p = statistics.fmean(way >= score.value - 1e-12 for way in ways)
    error = 4 / math.sqrt(module.DRAWS)
    assert score.p_value == pytest.approx(p, abs=error * math.sqrt(p * (1 - p)))
    assert score.floor == pytest.approx(statistics.fmean(ways), abs=error * statistics.pstdev(ways))
    assert score.details["floor_value"] == pytest.approx(score.value, abs=1e-12)
    assert score.p_method == "permutation of words between groups, 2,000 sampled" and score.interval is None


def test_with_one_word_a_group_there_is_no_floor_and_no_p():
    score = measure(METRIC, table(4, {"a": ("x",), "b": ("y",), "c": ("z",)}), MeasureOptions(draws=1))
    assert score.value is not None and score.p_value is None and set(score.details) == {"mass_mean", "mass_min"}


def test_the_floor_rests_on_the_cells_whose_words_can_change_groups():
    pairs, nouns = table(5, {"a": ("he",), "b": ("she",)}), table(6, TWO)
    both = pd.concat([pairs, nouns.assign(attribute="more " + nouns.attribute)], ignore_index=True)
    score = measure(METRIC, both, MeasureOptions(draws=1))
    alone = measure(METRIC, nouns, MeasureOptions(draws=1))
    assert score.value == pytest.approx((loop(pairs) + loop(nouns)) / 2)
    assert score.details["floor_value"] == pytest.approx(alone.value)
    assert score.p_value == pytest.approx(alone.p_value) and score.floor == pytest.approx(alone.floor)


def test_the_level_holds_where_words_differ_and_groups_do_not(monkeypatch: pytest.MonkeyPatch):
    # Each word gains by its own nature, the same in all cells; if every cell were dealt anew, this would look like groups.
    monkeypatch.setattr(module, "DRAWS", 199)
    rng = np.random.default_rng(0)
    answers = table(0, {"a": ("a1", "a2", "a3", "a4"), "b": ("b1", "b2", "b3", "b4")}, attributes=12)
    word = pd.factorize(answers.target)[0]
    alarms = 0
    for _ in range(200):
        own = answers.assign(log_p=rng.normal(size=8)[word] - 4 + 0.2 * rng.normal(size=len(answers)), log_prior=-4.0)
        alarms += module.significance(own, rng, **FLOOR).value <= 0.05
    assert 0.01 <= alarms / 200 <= 0.09


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t[t.group == "a"], "all targets are of one group"),
        (lambda t: t[(t.group == "a") == (t.attribute == "trait0")], "targets of all groups"),
        (lambda t: t.assign(mass=1e-5), "hold only 1e-05 of the probability"),
    ],
    ids=["one group", "no whole cell", "little mass"],
)
def test_undefined_never_gives_a_number(change, reason: str):
    answers = change(table(7, TWO)).reset_index(drop=True)
    with pytest.raises(Undefined, match=reason):
        one(answers)
    score = measure(METRIC, answers, MeasureOptions(draws=1))
    assert score.value is None and score.p_value is None and score.details == {} and "cells" in score.counts


def test_a_target_stands_once_in_a_cell():
    answers = table(8, TWO)
    with pytest.raises(FairbenchError, match="stands twice"):
        one(pd.concat([answers, answers.iloc[:1]]))
