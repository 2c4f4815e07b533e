"""What stands beside a disparity's value in a score: all of it against plain loops over the same draws, and its warnings."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry
from fairbench.stats import bootstrap_weights, resampling_units

REGISTRY = Registry()
HOW = MeasureOptions(draws=400, seed=5, level=0.9)
EVERY = {
    "demographic_parity_difference": {},
    "demographic_parity_ratio": {},
    "tpr_gap": {"aggregate": "std"},
    "fpr_gap": {},
    "fnr_gap": {"aggregate": "pairwise"},
    "equalized_odds_difference": {},
    "rms_tpr_gap": {},
    "fped": {},
    "fned": {},
}
every = pytest.mark.parametrize("name", EVERY)


def table(n: int = 240, groups: int = 3, seed: int = 0, clusters: int = 0, gap: float = 0.2) -> pd.DataFrame:
    """Records of groups a, b, c ... in turn, of three classes; the first group's are found more often."""
    rng = np.random.default_rng(seed)
    group, label = np.arange(n) % groups, rng.integers(0, 3, n)
    right = rng.random(n) < 0.5 + gap * (group == 0)
    return pd.DataFrame(
        {
            "id": [f"r{i:04}" for i in range(n)],
            "group": ["abcdef"[g] for g in group],
            "label": label,
            "prediction": np.where(right, label, (label + rng.integers(1, 3, n)) % 3),
            "cluster": [f"c{i // clusters}" if clusters else None for i in range(n)],
            "stratum": None,
        }
    )


def scored(name: str, answers: pd.DataFrame, how: MeasureOptions = HOW, **options: object):
    return measure(REGISTRY.metric(name).with_options({**EVERY[name], **options}), answers, how)


def share(weights: np.ndarray, among: np.ndarray, hit: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return (weights * (among & hit)).sum(axis=1) / (weights * among).sum(axis=1)


def test_interval_stderr_and_groups_of_a_gap_are_those_of_the_definition():
    """Spec 25, read aloud: both orientations, T over pairs, quantile, largest lower and upper end."""
    answers = table(clusters=4)
    score = scored("fpr_gap", answers)
    others = answers[answers.label != 1]
    weights = np.concatenate(list(bootstrap_weights(resampling_units(others), HOW.draws, HOW.seed)))
    hit = (others.prediction == 1).to_numpy()
    rate, star = {}, {}
    for g in "abc":
        among = (others.group == g).to_numpy()
        rate[g], star[g] = share(np.ones((1, len(others))), among, hit)[0], share(weights, among, hit)
    pairs = list(itertools.permutations("abc", 2))
    d = {pair: rate[pair[0]] - rate[pair[1]] for pair in pairs}
    drawn = {pair: star[pair[0]] - star[pair[1]] for pair in pairs}
    se = {pair: drawn[pair].std(ddof=1) for pair in pairs}
    c = np.quantile(np.max([np.abs(drawn[p] - d[p]) / se[p] for p in pairs], axis=0), HOW.level)
    assert score.value == pytest.approx(max(d.values()))
    assert score.interval.low == pytest.approx(max(0.0, max(d[p] - c * se[p] for p in pairs)))
    assert score.interval.high == pytest.approx(max(abs(d[p]) + c * se[p] for p in pairs))
    assert score.interval.method == "bootstrap, simultaneous (max-|t|) over 3 differences, 400 draws over 60 clusters"
    assert score.stderr == pytest.approx(np.max(list(drawn.values()), axis=0).std())
    assert list(score.by_group) == ["a", "b", "c"] and score.counts == {"groups": 3, "groups_left_out": 0}
    for g, of in score.by_group.items():
        assert (of.value, of.n) == (pytest.approx(rate[g]), int((others.group == g).sum()))
        assert [of.interval.low, of.interval.high] == pytest.approx(np.quantile(star[g], [0.05, 0.95]).tolist())
        assert of.stderr == pytest.approx(star[g].std()) and of.p_value is None


def test_the_interval_of_fped_is_the_sum_of_the_ends():
    answers = table().assign(group=lambda t: t.group.where(t.group != "c"))
    score = scored("fped", answers)
    others = answers[answers.label != 1]
    weights = np.concatenate(list(bootstrap_weights(resampling_units(others), HOW.draws, HOW.seed)))
    hit, ones = (others.prediction == 1).to_numpy(), np.ones((1, len(others)))
    sets = [(others.group == g).to_numpy() for g in "ab"] + [np.ones(len(others), dtype=bool)]
    d = np.array([(share(ones, among, hit) - share(ones, sets[2], hit))[0] for among in sets[:2]])
    star = np.array([share(weights, among, hit) - share(weights, sets[2], hit) for among in sets[:2]]).T
    se = star.std(axis=0, ddof=1)
    reach = np.quantile((np.abs(star - d) / se).max(axis=1), HOW.level) * se
    assert score.value == pytest.approx(np.abs(d).sum())
    assert score.interval.low == pytest.approx(np.maximum(0, np.abs(d) - reach).sum())
    assert score.interval.high == pytest.approx((np.abs(d) + reach).sum())
    assert list(score.by_group) == ["a", "b", "all records"]
    assert score.by_group["all records"].n == len(others) == score.n


def test_floor_and_p_are_those_of_permuted_labels():
    answers = table(n=120, gap=0.0, seed=3)
    score = scored("fpr_gap", answers, MeasureOptions(draws=2_000))
    others = answers[answers.label != 1]
    hit, rng = (others.prediction == 1).to_numpy(), np.random.default_rng(99)
    gold, group = others.label.to_numpy(), others.group.to_numpy()
    permuted = []
    for _ in range(2_000):
        moved = group.copy()
        for label in (0, 2):  # the gold class, not only positive or not
            moved[gold == label] = rng.permutation(group[gold == label])
        permuted.append(np.ptp([hit[moved == g].mean() for g in "abc"]))
    p = (1 + (np.array(permuted) >= score.value - 1e-12).sum()) / 2_001
    assert score.floor == pytest.approx(np.mean(permuted), abs=4 * np.std(permuted) * math.sqrt(2 / 2_000))
    assert score.p_value == pytest.approx(p, abs=4 * math.sqrt(2 * p * (1 - p) / 2_000))
    assert score.p_method == "permutation of the groups (records, within gold classes), 2,000 sampled"


def test_selection_rates_are_permuted_across_classes():
    score = scored("demographic_parity_difference", table())
    assert score.p_method == "permutation of the groups (records), 400 sampled"


def test_there_are_at_most_2000_permutations_and_as_many_as_draws():
    answers = table(n=90)
    assert scored("tpr_gap", answers, MeasureOptions(draws=2_500)).p_method.endswith("2,000 sampled")
    assert scored("tpr_gap", answers, MeasureOptions(draws=30)).p_method.endswith("30 sampled")


@every
def test_without_draws_there_are_the_groups_own_figures(name: str):
    score = scored(name, table(), MeasureOptions(draws=0))
    assert (score.interval, score.stderr, score.p_value, score.floor) == (None, None, None, None)
    assert score.by_group and all(of.interval is None and of.stderr is None for of in score.by_group.values())
    assert score.warnings == () and score.value == pytest.approx(scored(name, table()).value)


@every
def test_the_interval_holds_the_value_and_lies_in_the_range(name: str):
    for seed in range(4):
        score, info = scored(name, table(seed=seed, n=120)), REGISTRY.metric(name).info
        assert info.low <= score.interval.low <= score.value <= score.interval.high <= info.high
        assert score.interval.level == 0.9 and 0 < score.p_value <= 1 and score.stderr > 0
        assert score.floor is not None and score.n == score.n_records


@every
def test_a_large_gap_is_seen_and_none_is_not_far_from_the_floor(name: str):
    none = table(n=600, gap=0.0)
    favoured = (none.group == "a") & (np.random.default_rng(2).random(600) < 0.5)
    assert scored(name, none.assign(prediction=none.prediction.where(~favoured, 1))).p_value < 0.02
    score = scored(name, none)
    assert abs(score.value - score.floor) < 0.2 and score.p_value > 0.02


@every
def test_names_and_order_of_groups_and_rows_do_not_matter(name: str):
    answers = table(groups=2)
    renamed = answers.assign(group=answers.group.map({"a": "z", "b": "y"})).sample(frac=1, random_state=1)
    first, second = scored(name, answers), scored(name, renamed)
    assert second.value == pytest.approx(first.value, rel=1e-12)
    assert (second.interval.low, second.interval.high) == pytest.approx((first.interval.low, first.interval.high), rel=1e-9)
    assert second.stderr == pytest.approx(first.stderr, rel=1e-9) and second.counts == first.counts
    assert (second.p_value, second.floor) == pytest.approx((first.p_value, first.floor), rel=1e-9)


@every
def test_weights_are_repetitions(name: str):
    answers, rng = table(), np.random.default_rng(1)
    times = rng.integers(1, 4, len(answers))
    metric = REGISTRY.metric(name).with_options(EVERY[name])
    weighted = metric.values(answers, times[None, :].astype(float), 0)
    repeated = answers.loc[answers.index.repeat(times)]
    assert metric.values(repeated, np.ones((1, len(repeated))), 0) == pytest.approx(weighted, rel=1e-12)


def test_a_group_too_small_is_shown_and_said_but_does_not_count():
    answers = table(n=240)
    few = pd.DataFrame({"id": [f"x{i}" for i in range(9)], "group": "few", "label": 1, "prediction": 1})
    with_few = pd.concat([answers, few], ignore_index=True)
    score, without = scored("tpr_gap", with_few, aggregate="gap"), scored("tpr_gap", answers, aggregate="gap")
    assert score.value == without.value and score.n == without.n
    assert score.left_out["speaks of no group with enough records"] == 9
    assert score.counts == {"groups": 3, "groups_left_out": 1}
    assert "Left out of the comparison, with fewer than 10 records of the positive class: few (9)." in score.warnings
    shown = score.by_group["few"]
    assert (shown.value, shown.n) == (1.0, 9) and "left out" in shown.warnings[0]
    assert shown.interval.method.startswith("exact binomial") and shown.interval.low == pytest.approx(0.05 ** (1 / 9))
    assert not without.by_group["a"].warnings


def test_a_group_without_positives_has_no_tpr_and_counts_for_fpr():
    answers = table(n=300).assign(label=lambda t: t.label.where((t.group != "c") | (t.label != 1), 2))
    score = scored("equalized_odds_difference", answers)
    assert score.by_group["c TPR"].value is None and score.by_group["c TPR"].undefined
    assert score.by_group["c FPR"].value is not None and score.counts["groups_left_out"] == 1
    both = answers[answers.group != "c"]
    assert scored("tpr_gap", both).value == scored("tpr_gap", answers).value
    assert scored("fpr_gap", both).value != scored("fpr_gap", answers).value
    assert score.value == max(scored("tpr_gap", both, aggregate="gap").value, scored("fpr_gap", answers).value)


@pytest.mark.parametrize(
    ("change", "name", "reason"),
    [
        (lambda t: t[t.group == "a"], "tpr_gap", "fewer than two groups have at least 10 records of the positive class"),
        (lambda t: t[t.label != 1], "tpr_gap", "no answer could be used"),
        (lambda t: t.assign(label=1), "equalized_odds_difference", "of other classes than the positive"),
        (lambda t: t.assign(group=None), "fpr_gap", "no record names a group"),
        (lambda t: t.head(20), "rms_tpr_gap", "fewer than two groups have at least 10 records of one class"),
        (lambda t: t.assign(prediction=0), "demographic_parity_ratio", "a ratio of zeros has no value"),
    ],
)
def test_undefined_is_said_and_never_a_number(change, name: str, reason: str):
    answers = change(table()).assign(cluster=None)
    score = scored(name, answers)
    assert score.value is None and score.interval is None and score.p_value is None and score.floor is None
    assert reason in score.undefined


def test_where_undefined_the_groups_rates_stand_all_the_same():
    answers = table(n=60, groups=2).assign(label=lambda t: np.where(t.group == "a", 1, t.label))
    score = scored("tpr_gap", answers, minimum=25)
    assert score.value is None and score.by_group["a"].n == 30
    assert score.by_group["a"].interval is not None and score.by_group["b"].warnings


def test_rows_that_are_not_used_are_counted_by_reason():
    answers = table(n=120).assign(group=lambda t: t.group.where(t.group != "c"))
    score = scored("tpr_gap", answers)
    positive = answers[answers.label == 1]
    assert score.left_out == {
        "the label is not the positive class": int((answers.label != 1).sum()),
        "speaks of no group": int(positive.group.isna().sum()),
    }
    assert score.n == int(positive.group.notna().sum()) and score.n_total == 120
    assert scored("fned", answers).n == len(positive), "all records are compared with, also those without a group"


def test_all_right_for_both_groups_has_no_interval():
    answers = table(groups=2).assign(prediction=lambda t: t.label)
    score = scored("tpr_gap", answers)
    assert (score.value, score.interval, score.p_value) == (0.0, None, 1.0)
    assert any("give the same differences" in warning for warning in score.warnings)


def test_a_ratio_of_zero_has_no_interval_but_a_p():
    answers = table(groups=2, n=120).assign(prediction=lambda t: np.where(t.group == "a", t.prediction, 0))
    score = scored("demographic_parity_ratio", answers)
    assert score.value == 0 and score.interval is None and score.p_value < 0.05
    assert any("the interval of a ratio is made of logarithms" in warning for warning in score.warnings)


def test_draws_without_a_group_are_dropped_and_counted():
    answers = table(n=200, groups=2)
    third = answers.tail(2).assign(group="c", id=["y1", "y2"], label=1)
    score = scored("tpr_gap", pd.concat([answers, third]), minimum=1, aggregate="gap")
    assert any("bootstrap draws, without some rate, were dropped" in warning for warning in score.warnings)
    assert score.interval is not None and "400 draws" not in score.interval.method


def test_one_unit_cannot_be_resampled_and_few_are_not_to_be_relied_on():
    one = scored("tpr_gap", table(n=90).assign(cluster="same"))
    assert one.interval is None and any("only 1 of the clusters to resample" in w for w in one.warnings)
    few = scored("fpr_gap", table(n=120, clusters=24))
    assert any("rests on 5 clusters only" in w for w in few.warnings)


def test_where_nothing_can_be_permuted_there_is_no_p_and_a_reason():
    answers = table(n=120, groups=2).assign(cluster=lambda t: t.group)
    score = scored("fpr_gap", answers)
    assert score.p_value is not None, "two clusters can take each other's places"
    alone = answers.assign(cluster=lambda t: t.group + t.label.astype(str), label=lambda t: np.where(t.group == "a", 0, 2))
    score = scored("fpr_gap", alone)
    assert (score.p_value, score.floor) == (None, None)
    assert any(w.startswith("No p and no floor: there are too few clusters of records") for w in score.warnings)


def test_a_notion_is_chosen_and_intersections_are_groups():
    answers = table(groups=2, n=400).assign(
        groups=lambda t: [[f"gender:{g}", f"race:{'xy'[i // 2 % 2]}"] for i, g in enumerate(t.group)]
    )
    metric = REGISTRY.metric("fpr_gap")
    assert "choose one with group_by" in measure(metric, answers, HOW).undefined
    assert list(scored("fpr_gap", answers, group_by="race").by_group) == ["x", "y"]
    assert list(scored("fpr_gap", answers, group_by="gender,race").by_group) == ["a,x", "a,y", "b,x", "b,y"]


def test_records_of_two_groups_count_in_both():
    answers = table(groups=2).assign(groups=lambda t: [["a", "b"] if i % 5 == 0 else [g] for i, g in enumerate(t.group)])
    score = scored("fpr_gap", answers)
    others = answers[answers.label != 1]
    for g in "ab":
        own = others[[g in groups for groups in others.groups]]
        assert score.by_group[g].value == pytest.approx((own.prediction == 1).mean()) and score.by_group[g].n == len(own)
    assert score.n == len(others) and score.p_value is not None
