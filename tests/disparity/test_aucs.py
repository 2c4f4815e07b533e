"""Areas under ROC curves against counted pairs and scikit-learn; what becomes of them over groups."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from fairbench.disparity import auc_scores, aucs
from fairbench.disparity.auc_scores import AucOptions, AucScore
from fairbench.disparity.aucs import KINDS, CountedAucs, generalised_mean, group_aucs, ranking, roc_auc, set_sizes
from fairbench.errors import Undefined
from fairbench.measurement import MeasureOptions
from fairbench.scores import Evidence

QUICK = MeasureOptions(draws=200)


def by_pairs(scores: np.ndarray, weights: np.ndarray, p: np.ndarray, n: np.ndarray) -> float:
    """The AUC of the positives p and the negatives n (flags), pair by pair."""
    pairs = won = 0.0
    for i in np.flatnonzero(p):
        for j in np.flatnonzero(n):
            pair = weights[i] * weights[j]
            pairs += pair
            won += pair * (1.0 if scores[i] > scores[j] else 0.5 if scores[i] == scores[j] else 0.0)
    return won / pairs if pairs else math.nan


def sets(positive: np.ndarray, member: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The definitions of Borkan et al.: the positives and negatives that each kind compares."""
    return {
        "subgroup": (positive & member, ~positive & member),
        "bpsn": (positive & ~member, ~positive & member),
        "bnsp": (positive & member, ~positive & ~member),
    }


def example(seed: int, n: int = 40, groups: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores (many of them tied where the seed is odd), classes, memberships, and three rows of weights with zeros among them."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 7, n) / 6 if seed % 2 else rng.random(n)
    positive = rng.random(n) < rng.uniform(0.2, 0.8)
    positive[:2] = [True, False]
    weights = np.stack([np.ones(n), rng.random(n), rng.integers(0, 4, n)])
    return scores, positive, rng.random((n, groups)) < 0.4, weights


@pytest.mark.parametrize("seed", range(200))
def test_a_weighted_auc_is_that_of_scikit_learn(seed: int):
    scores, positive, _, weights = example(seed)
    expected = [roc_auc_score(positive, scores, sample_weight=row) for row in weights]
    assert roc_auc(scores, positive, weights) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_every_auc_is_the_count_of_its_pairs(seed: int):
    scores, positive, of_row, weights = example(seed)
    found = group_aucs(ranking(scores, positive), of_row, weights)
    assert found.shape == (3, 3, 3)
    for b, row in enumerate(weights):
        for k, kind in enumerate(KINDS):
            for g in range(3):
                expected = by_pairs(scores, row, *sets(positive, of_row[:, g])[kind])
                assert found[b, k, g] == pytest.approx(expected, abs=1e-12, nan_ok=True), (kind, g)


@pytest.mark.parametrize("seed", range(20))
def test_the_aucs_of_large_groups_are_those_of_scikit_learn_on_their_sets(seed: int):
    scores, positive, of_row, weights = example(seed, n=400)
    found = group_aucs(ranking(scores, positive), of_row, weights)
    for k, kind in enumerate(KINDS):
        for g in range(3):
            p, n = sets(positive, of_row[:, g])[kind]
            rows = p | n
            expected = [roc_auc_score(positive[rows], scores[rows], sample_weight=w[rows]) for w in weights]
            assert found[:, k, g] == pytest.approx(expected, abs=1e-12)


def test_one_kind_alone_is_the_same_and_draws_do_not_know_of_each_other(monkeypatch: pytest.MonkeyPatch):
    scores, positive, of_row, weights = example(3)
    whole = group_aucs(ranking(scores, positive), of_row, weights)
    for k, kind in enumerate(KINDS):
        assert (group_aucs(ranking(scores, positive), of_row, weights, (kind,))[:, 0] == whole[:, k]).all()
    monkeypatch.setattr(aucs, "BLOCK_BYTES", 1)  # a draw at a time
    assert group_aucs(ranking(scores, positive), of_row, weights) == pytest.approx(whole, abs=1e-14)


@pytest.mark.parametrize("seed", range(8))
def test_counted_aucs_are_those_of_permuted_memberships_with_weights_of_one(seed: int):
    scores, positive, of_row, _ = example(seed)
    counted = CountedAucs(ranking(scores, positive), of_row)
    for index in (np.arange(40), *(np.random.default_rng(seed).permutation(40) for _ in range(5))):
        expected = group_aucs(ranking(scores, positive), of_row[index], np.ones((1, 40)))[0]
        assert counted(index) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_a_class_without_weight_gives_nan_and_exactly_so():
    scores, positive, of_row, _ = example(0)
    only_group = np.where(of_row[:, 0], np.random.default_rng(0).random(40), 0.0)  # a background without weight
    found = group_aucs(ranking(scores, positive), of_row[:, :1], only_group[None, :])[0, :, 0]
    assert math.isfinite(found[0]) and np.isnan(found[1:]).all()
    assert np.isnan(roc_auc(scores, positive, np.array([positive.astype(float), np.zeros(40)]))).all()


def test_no_positives_no_groups_no_rows():
    scores, _, of_row, weights = example(0)
    assert np.isnan(group_aucs(ranking(scores, np.zeros(40, dtype=bool)), of_row, weights)).all()
    assert group_aucs(ranking(scores, scores > 0.5), of_row[:, :0], weights).shape == (3, 3, 0)
    assert np.isnan(roc_auc(np.empty(0), np.empty(0, dtype=bool), np.ones((2, 0)))).tolist() == [True, True]


def test_perfect_reversed_and_constant_scores():
    positive = np.array([True, True, False, False])
    ones = np.ones((1, 4))
    assert roc_auc(np.array([0.9, 0.8, 0.2, 0.1]), positive, ones)[0] == 1
    assert roc_auc(np.array([0.1, 0.2, 0.8, 0.9]), positive, ones)[0] == 0
    assert roc_auc(np.full(4, 0.5), positive, ones)[0] == 0.5


def test_set_sizes_count_the_sets():
    _, positive, of_row, _ = example(2)
    found = set_sizes(positive, of_row)
    for g in range(3):
        for kind, (p, n) in sets(positive, of_row[:, g]).items():
            assert [int(found[kind][0][g]), int(found[kind][1][g])] == [p.sum(), n.sum()]


def test_generalised_mean_is_the_golden_one():
    assert generalised_mean(np.array([0.7, 0.8, 0.95]), -5) == pytest.approx(0.7814609680, abs=1e-10)


@pytest.mark.parametrize("power", [-5, -1, 2, 7.5])
def test_generalised_mean_is_its_formula(power: float):
    values = np.random.default_rng(0).uniform(0.1, 1, (4, 6))
    expected = ((values**power).sum(axis=1) / 6) ** (1 / power)
    assert generalised_mean(values, power) == pytest.approx(expected, rel=1e-12)


def test_generalised_mean_at_its_ends():
    values = np.array([0.02, 0.5, 0.9])
    assert generalised_mean(values, 0) == pytest.approx(math.prod(values) ** (1 / 3), rel=1e-12)
    assert generalised_mean(values, -100) == pytest.approx(0.02 * 3 ** (1 / 100), rel=1e-12)  # .02^-100 alone is 1e170
    assert generalised_mean(np.full(3, 1e-5), -100) == pytest.approx(1e-5, rel=1e-12)
    assert [float(generalised_mean(np.array([0.0, 0.9]), p)) for p in (-5, 0)] == [0, 0]
    assert generalised_mean(np.array([0.0, 0.9]), 1) == pytest.approx(0.45)
    assert generalised_mean(np.zeros(2), 3) == 0
    assert math.isnan(generalised_mean(np.array([math.nan, 0.9]), -5))


# The score over groups.


def table(seed: int = 0, n: int = 400, harm: float = 0.0, **more: object) -> pd.DataFrame:
    """Texts of two groups, of both, or of none; the negatives of group a are scored `harm` too high."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.4).astype(int)
    a, b = rng.random((2, n)) < 0.4
    logit = rng.normal(size=n) + 1.5 * label + harm * (a & (label == 0))
    p = 1 / (1 + np.exp(-logit))
    rows = {
        "id": [f"r{i}" for i in range(n)], "label": label, "probs": list(np.column_stack([1 - p, p])),
        "groups": [[name for name, has in zip("ab", pair, strict=True) if has] for pair in zip(a, b, strict=True)],
        "cluster": None, "stratum": None,
    }  # fmt: skip
    return pd.DataFrame(rows | more)


def by_hand(answers: pd.DataFrame, kind: str, group: str, rows: np.ndarray) -> float:
    scores = np.array([p[1] for p in answers["probs"]])
    positive = answers["label"].to_numpy() == 1
    member = np.array([group in names for names in answers["groups"]])
    return by_pairs(scores, np.ones(len(answers)), *(rows & part for part in sets(positive, member)[kind]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("background", ["borkan", "hatexplain"])
def test_the_value_is_the_mean_over_groups_with_their_background(kind: str, background: str):
    answers = table(n=200)
    rows = np.array([background == "borkan" or len(names) > 0 for names in answers["groups"]])
    each = [by_hand(answers, kind, group, rows) for group in "ab"]
    found = AucScore((kind,)).values(answers, np.ones((1, 200)), AucOptions(background=background))
    assert found[0] == pytest.approx(np.mean(np.array(each) ** -5.0) ** (-1 / 5), abs=1e-12)


def test_rows_of_no_group_are_unused_only_with_the_background_of_hatexplain():
    answers = table(n=200)
    none = np.array([not names for names in answers["groups"]])
    score = AucScore(("bpsn",))
    assert score.unused(answers, AucOptions()) == [None] * 200
    reasons = score.unused(answers, AucOptions(background="hatexplain"))
    assert [reason is not None for reason in reasons] == none.tolist() and none.any()
    assert score.unused(answers.assign(groups=None), AucOptions(background="hatexplain")) == [None] * 200
    part = answers[~none]
    for background, same in (("hatexplain", True), ("borkan", False)):
        options = AucOptions(background=background)
        whole = score.values(answers, np.ones((1, 200)), options)[0]
        assert bool(whole == score.values(part, np.ones((1, len(part))), options)[0]) is same


def test_a_small_group_is_left_out_and_counted_and_its_figure_stands_all_the_same():
    answers = table(n=300)
    for row in (0, 1):
        answers.at[row, "groups"], answers.at[row, "label"] = ["c"], 1
    without = AucScore(("subgroup",)).values(answers, np.ones((1, 300)), AucOptions())[0]
    aucs_ab = [by_hand(answers, "subgroup", g, np.ones(300, dtype=bool)) for g in "ab"]
    assert without == pytest.approx(generalised_mean(np.array(aucs_ab), -5), abs=1e-12)
    found = AucScore(("subgroup",)).evidence(answers, {}, QUICK)
    assert found.counts == {"groups": 2, "groups_left_out": 1}
    assert found.warnings == ("Left out, with fewer than 10 records of a class that the AUC compares: c (0).",)
    assert set(found.by_group) == {"a", "b", "c"}
    assert found.by_group["c"].value is None and found.by_group["c"].undefined
    assert "Fewer than 10" in found.by_group["c"].warnings[0] and not found.by_group["a"].warnings


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"label": 1}, "every record has the class 1"),
        ({"label": 0}, "no record has the class 1"),
        ({"groups": None}, "no record names a group"),
    ],
)
def test_one_class_or_no_group_is_undefined(change: dict[str, object], why: str):
    answers = table(n=100).assign(**change)
    with pytest.raises(Undefined, match=why):
        AucScore(("bnsp",)).values(answers, np.ones((1, 100)), AucOptions())
    found = AucScore(("bnsp",)).evidence(answers, {}, QUICK)
    assert (found.p, found.floor) == (None, None)
    assert all(part.value is None and part.undefined for part in found.by_group.values())


def test_one_group_is_no_mean_over_groups():
    answers = table(n=100)
    answers["groups"] = [["a"] if i % 2 else [] for i in range(100)]
    with pytest.raises(Undefined, match="1 of 1 groups have at least 10 records"):
        AucScore(("bpsn",)).values(answers, np.ones((1, 100)), AucOptions())
    found = AucScore(("bpsn",)).evidence(answers, {}, QUICK)
    assert found.by_group["a"].value == pytest.approx(by_hand(answers, "bpsn", "a", np.ones(100, dtype=bool)), abs=1e-12)
    assert found.p is None


def test_a_draw_that_lacks_a_class_of_a_group_has_no_value():
    answers = table(n=100)
    weights = np.ones((2, 100))
    weights[1, [("a" in names) and label == 1 for names, label in zip(answers["groups"], answers["label"], strict=True)]] = 0
    found = AucScore(("subgroup",)).values(answers, weights, AucOptions())
    assert np.isnan(found).tolist() == [False, True]


def evidence(answers: pd.DataFrame, kind: str = "bpsn", **options: object) -> Evidence:
    return AucScore((kind,)).evidence(answers, options, QUICK)


def test_the_groups_have_their_auc_its_interval_and_the_size_of_its_sets():
    answers = table()
    found = evidence(answers).by_group["a"]
    assert found.value == pytest.approx(by_hand(answers, "bpsn", "a", np.ones(400, dtype=bool)), abs=1e-12)
    a = np.array(["a" in names for names in answers["groups"]])
    positive = answers["label"].to_numpy() == 1
    assert found.counts == {"positive": int((positive & ~a).sum()), "negative": int((~positive & a).sum())}
    assert found.n == found.n_records == sum(found.counts.values())
    assert found.interval is not None and found.interval.low < found.value < found.interval.high
    assert found.interval.method == "bootstrap, percentile, 200 draws over 400 records" and found.stderr
    bare = AucScore(("bpsn",)).evidence(answers, {}, MeasureOptions(draws=0))
    assert bare.by_group["a"].interval is None and bare.p is None and bare.floor is None


def test_harm_to_a_group_is_seen_and_no_harm_is_not():
    harmed, fair = evidence(table(1, harm=1.5)), evidence(table(1))
    assert harmed.p is not None and harmed.p.value < 0.02
    assert "200 sampled" in harmed.p.method and "within the gold class" in harmed.p.method
    assert fair.p is not None and fair.p.value > 0.05
    assert evidence(table(1, harm=1.5), "bnsp").p.value > 0.05  # the misses of a's positives are no more than others'


def test_the_floor_is_what_permuted_groups_give():
    answers = table(2, n=80)
    options = AucOptions()
    score, rng = AucScore(("bpsn",)), np.random.default_rng(0)
    label = answers["label"].to_numpy()
    values = []
    for _ in range(400):
        groups = answers["groups"].to_numpy().copy()
        for cls in (0, 1):
            rows = np.flatnonzero(label == cls)
            groups[rows] = groups[rng.permutation(rows)]
        values.append(score.values(answers.assign(groups=groups), np.ones((1, 80)), options)[0])
    found = score.evidence(answers, {}, MeasureOptions(draws=1000))
    error = np.std(values) * math.sqrt(1 / 400 + 1 / 1000)
    assert found.floor == pytest.approx(np.mean(values), abs=4 * error)
    seen = score.values(answers, np.ones((1, 80)), options)[0]
    share = np.mean(np.array(values) <= seen)
    assert found.p.value == pytest.approx(share, abs=4 * math.sqrt(0.25 * (1 / 400 + 1 / 1000)))


def test_p_is_even_where_groups_do_not_differ():
    ps = [AucScore(("subgroup",)).evidence(table(seed, n=150), {}, MeasureOptions(draws=60)).p.value for seed in range(40)]
    assert 0.35 < np.mean(ps) < 0.65  # of 40 even ones the mean has a standard deviation of .046
    assert np.mean(np.array(ps) <= 0.1) < 0.25


def test_clusters_of_one_group_are_permuted_whole():
    answers = table(n=200)
    answers["cluster"] = [f"author {i // 10}" for i in range(200)]
    answers["groups"] = [["a"] if i // 10 % 2 else ["b"] for i in range(200)]
    found = evidence(answers)
    assert found.p is not None and "whole clusters" in found.p.method
    assert found.by_group["a"].interval.method.endswith("over 20 clusters")


def test_where_nothing_can_be_permuted_there_is_no_p_and_a_reason():
    answers = table(n=100)
    answers["groups"] = [["a", "b"]] * 100
    found = AucScore(("subgroup",)).evidence(answers, {}, QUICK)
    assert (found.p, found.floor) == (None, None)
    assert any(said.startswith("No p and no floor: ") for said in found.warnings)


def test_the_work_of_permutations_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(auc_scores, "FEWEST_PERMUTATIONS", 7)
    monkeypatch.setattr(auc_scores, "PERMUTED_CELLS", 400 * 2 * 50)
    assert "50 sampled" in evidence(table()).p.method
    monkeypatch.setattr(auc_scores, "PERMUTED_CELLS", 1)
    assert "7 sampled" in evidence(table()).p.method


def test_the_order_of_rows_and_the_names_of_groups_do_not_matter():
    answers = table(3, harm=0.5)
    shuffled = answers.iloc[np.random.default_rng(0).permutation(400)]
    renamed = answers.assign(groups=[[{"a": "z", "b": "y"}[name] for name in names] for names in answers["groups"]])
    first = evidence(answers)
    for other, names in ((shuffled, "ab"), (renamed, "zy")):
        second = evidence(other)
        assert second.p.value == first.p.value and second.floor == pytest.approx(first.floor, abs=1e-12)
        for a, b in zip("ab", names, strict=True):
            assert second.by_group[b].value == pytest.approx(first.by_group[a].value, abs=1e-12)
            assert second.by_group[b].interval.low == pytest.approx(first.by_group[a].interval.low, abs=1e-12)
