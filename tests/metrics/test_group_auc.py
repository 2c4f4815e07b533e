"""The three AUC metrics of groups through `measure`, and the Jigsaw score made of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics.group_auc import bnsp_auc, bpsn_auc, subgroup_auc
from fairbench.metrics.jigsaw_score import jigsaw_score
from sklearn.metrics import roc_auc_score

import fairbench
from fairbench.disparity import auc_scores
from fairbench.disparity.auc_scores import AucOptions, AucScore
from fairbench.disparity.aucs import KINDS, generalised_mean
from fairbench.errors import FairbenchError
from fairbench.registry import Registry

FUNCTIONS = {"subgroup_auc": subgroup_auc, "bpsn_auc": bpsn_auc, "bnsp_auc": bnsp_auc}
each = pytest.mark.parametrize("name", FUNCTIONS)
every = pytest.mark.parametrize("name", [*FUNCTIONS, "jigsaw_score"])

# Worked by hand. Group a: positives .8 .3, negative .6; b: positive .7, negative .1; none: positive .5, negative .2.
# Subgroup: a 1/2, b 1. BPSN: a: (.7 .5) over .6: 1/2; b: (.8 .3 .5) over .1: 1. BNSP: a: (.8 .3) over (.1 .2): 1; b: .7 over
# (.6 .2): 1. Overall: .8 3, .3 2, .7 3, .5 2 of 3 each: 10/12.
HAND = pd.DataFrame(
    {
        "label": [1, 1, 0, 1, 0, 1, 0],
        "groups": [["a"], ["a"], ["a"], ["b"], ["b"], [], []],
        "probs": [[1 - p, p] for p in (0.8, 0.3, 0.6, 0.7, 0.1, 0.5, 0.2)],
    }
)
HALF_AND_ONE = (((0.5**-5) + 1) / 2) ** (-1 / 5)
BY_HAND = {"subgroup_auc": HALF_AND_ONE, "bpsn_auc": HALF_AND_ONE, "bnsp_auc": 1.0}


def random_table(seed: int, n: int = 300) -> pd.DataFrame:
    """Texts of three classes, up to three groups in each, in two notions."""
    rng = np.random.default_rng(seed)
    names = np.array(["gender:female", "gender:male", "race:black", "race:white"])
    probs = rng.dirichlet(np.ones(3), n)
    groups = [names[rng.random(4) < 0.4].tolist() for _ in range(n)]
    label = np.array([rng.choice(3, p=0.5 * p + 0.5 / 3) for p in probs])
    return pd.DataFrame({"label": label, "groups": groups, "probs": list(probs)})


@each
def test_case_worked_by_hand(name: str):
    assert FUNCTIONS[name](HAND, np.ones((1, 7)), minimum=1)[0] == pytest.approx(BY_HAND[name], abs=1e-12)


def test_jigsaw_worked_by_hand():
    expected = (10 / 12 + HALF_AND_ONE + HALF_AND_ONE + 1) / 4
    assert jigsaw_score(HAND, np.ones((1, 7)), minimum=1)[0] == pytest.approx(expected, abs=1e-12)
    score = fairbench.measure("jigsaw_score", HAND, metric_options={"minimum": 1}, draws=50)
    assert score.details == pytest.approx(
        {"overall_auc": 10 / 12, "subgroup": HALF_AND_ONE, "bpsn": HALF_AND_ONE, "bnsp": 1.0}, abs=1e-12
    )
    values = {name: part.value for name, part in score.by_group.items()}
    assert values == {
        "a subgroup": 0.5, "a bpsn": 0.5, "a bnsp": 1.0, "b subgroup": 1.0, "b bpsn": 1.0, "b bnsp": 1.0,
    }  # fmt: skip


def test_jigsaw_is_the_golden_one(monkeypatch: pytest.MonkeyPatch):
    """Overall .97; subgroup .9 .85, BPSN .88 .8, BNSP .95 .93: the parts are given, the score is of them."""
    monkeypatch.setattr(auc_scores, "roc_auc", lambda *_: np.array([0.97]))
    given = np.array([[[0.9, 0.85], [0.88, 0.8], [0.95, 0.93]]])
    monkeypatch.setattr(auc_scores, "group_aucs", lambda *_: given)
    assert jigsaw_score(HAND, np.ones((1, 7)), minimum=1)[0] == pytest.approx(0.9042216788, abs=1e-10)


@each
@pytest.mark.parametrize("background", ["borkan", "hatexplain"])
def test_the_value_is_made_of_scikit_learns_aucs(name: str, background: str):
    table = random_table(1)
    kind, aucs = name.removesuffix("_auc"), []
    for group in ("female", "male"):
        member = np.array([f"gender:{group}" in names for names in table["groups"]])
        rows = np.array([background == "borkan" or any(n.startswith("gender") for n in names) for names in table["groups"]])
        positive = table["label"].to_numpy() == 2
        rows &= {"subgroup": member, "bpsn": member != positive, "bnsp": member == positive}[kind]
        aucs.append(roc_auc_score(positive[rows], np.stack(table["probs"])[rows, 2]))
    options = {"background": background, "group_by": "gender", "positive": 2, "power": -2.5}
    score = fairbench.measure(name, table, metric_options=options, draws=0)
    assert score.value == pytest.approx(np.mean(np.array(aucs) ** -2.5) ** (-1 / 2.5), abs=1e-12)
    assert [score.by_group[g].value for g in ("female", "male")] == pytest.approx(aucs, abs=1e-12)


def test_the_background_of_hatexplain_leaves_texts_without_group_out_and_counts_them():
    table = random_table(2).assign(label=lambda t: t["label"].clip(upper=1))
    without = sum(not names for names in table["groups"])
    options = {"group_by": "all", "background": "hatexplain"}
    score = fairbench.measure("bpsn_auc", table, metric_options=options, draws=100)
    assert without > 10
    assert score.left_out == {"speaks of no group": without}
    assert (score.n, score.n_total) == (300 - without, 300)
    part = table[[bool(names) for names in table["groups"]]]
    alone = fairbench.measure("bpsn_auc", part, metric_options={"group_by": "all"}, draws=100)
    assert (score.value, score.by_group["race:black"].value) == (alone.value, alone.by_group["race:black"].value)
    borkan = fairbench.measure("bpsn_auc", table, metric_options={"group_by": "all"}, draws=0)
    assert borkan.value != score.value and borkan.left_out == {}


@every
def test_a_score_says_its_interval_floor_p_and_groups(name: str):
    table = random_table(3).assign(label=lambda t: t["label"].clip(upper=1))
    score = fairbench.measure(name, table, metric_options={"group_by": "race"}, draws=150)
    assert score.value is not None and 0 <= score.value <= 1 and score.ideal == 1
    assert score.interval is not None and score.interval.low < score.interval.high <= 1
    assert score.interval.method == "bootstrap, percentile, 150 draws over 300 records"
    assert score.p_value is not None and "150 sampled" in score.p_method and "gold class" in score.p_method
    assert score.floor is not None and 0 < score.floor < 1
    assert score.counts == {"groups": 2, "groups_left_out": 0}
    assert all(part.interval is not None and part.ideal == 1 for part in score.by_group.values())


@every
def test_several_notions_without_a_choice_are_undefined(name: str):
    score = fairbench.measure(name, random_table(0), draws=50)
    assert score.value is None and "choose one with group_by" in score.undefined


@every
def test_a_wish_that_no_option_takes_is_refused(name: str):
    bad = [("minimum", 0), ("positive", -1), ("positive", 1.5)]
    bad += [("power", 1000), ("power", "nan"), ("background", "others")] if name != "jigsaw_score" else [("power", -5)]
    for option, value in bad:
        with pytest.raises(FairbenchError, match=f"option '?{option}"):
            fairbench.measure(name, HAND, metric_options={option: value})
    with pytest.raises(FairbenchError, match=r"The option positive is 2; wanted a class of 0 to 1, since `probs` has 2"):
        fairbench.measure(name, HAND, metric_options={"positive": 2})
    with pytest.raises(FairbenchError, match="Did you mean gender"):
        fairbench.measure(name, random_table(0), metric_options={"group_by": "gendre"})


@each
def test_a_zero_auc_makes_the_mean_zero(name: str):
    scores = {"subgroup_auc": (0.1, 0.9, 0.6, 0.5), "bpsn_auc": (0.9, 0.95, 0.6, 0.5), "bnsp_auc": (0.4, 0.3, 0.9, 0.45)}[name]
    table = pd.DataFrame({"label": [1, 0, 1, 0], "groups": [["a"], ["a"], ["b"], ["b"]], "probs": [[1 - p, p] for p in scores]})
    values = [p.value for p in fairbench.measure(name, table, metric_options={"minimum": 1}, draws=0).by_group.values()]
    assert sorted(values) == [0, 1]
    assert FUNCTIONS[name](table, np.ones((1, 4)), minimum=1)[0] == 0
    assert FUNCTIONS[name](table, np.ones((1, 4)), minimum=1, power=1.0)[0] == 0.5


@every
def test_zeros_in_the_weights_leave_rows_out_and_integers_repeat_them(name: str):
    table = random_table(4, 120).assign(label=lambda t: t["label"].clip(upper=1))
    function = {**FUNCTIONS, "jigsaw_score": jigsaw_score}[name]
    weights = np.random.default_rng(0).integers(0, 4, (5, 120)).astype(float)
    repeated = [table.loc[table.index.repeat(row.astype(int))].reset_index(drop=True) for row in weights]
    alone = [function(t, np.ones((1, len(t))), group_by="race", minimum=1)[0] for t in repeated]
    assert function(table, weights, group_by="race", minimum=1) == pytest.approx(alone, abs=1e-12)


def test_reversing_scores_and_classes_changes_bpsn_into_bnsp():
    table = random_table(5).assign(
        label=lambda t: t["label"].clip(upper=1), probs=lambda t: [[1 - p[0], p[0]] for p in t["probs"]]
    )
    turned = table.assign(label=1 - table["label"], probs=[p[::-1] for p in table["probs"]])
    ones = np.ones((1, 300))
    assert bpsn_auc(table, ones, group_by="race")[0] == pytest.approx(bnsp_auc(turned, ones, group_by="race")[0], abs=1e-12)


def test_the_families_cards_agree_with_their_parts():
    infos = Registry().metrics()
    for name in FUNCTIONS:
        info = infos[name]
        assert (info.kind, info.ideal, info.interval, info.by_notion, info.by_group) == ("extrinsic", 1, "bootstrap", True, False)
        assert AucOptions(**info.options) == AucOptions()
        assert Registry().metric(name).disparity == AucScore((name.removesuffix("_auc"),))
    assert Registry().metric("jigsaw_score").disparity == AucScore(KINDS, overall=True)


def test_the_mean_leans_to_the_worst_group():
    values = np.array([0.6, 0.9, 0.9])
    assert 0.6 < generalised_mean(values, -5) < values.mean()
