"""Means of groups, and what stands beside a gap between them: against plain loops over the same draws, and in awkward tables."""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np
import pandas as pd
import pytest

from fairbench.disparity.judged import judged
from fairbench.disparity.means import means
from fairbench.disparity.permutation import permutations
from fairbench.disparity.rates import Outcome, rates
from fairbench.errors import FairbenchError
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry
from fairbench.scores import Score
from fairbench.stats import bootstrap_weights, resampling_units

METRIC = cache(Registry().metric)
HOW = MeasureOptions(draws=400, seed=5, level=0.9)


def numbers(n: int, count: int, rng: np.random.Generator) -> list[Outcome]:
    return [Outcome(f"mean {i}", rng.random(n) < 0.6, rng.normal(size=n)) for i in range(count)]


def texts(n: int = 240, groups: int = 3, seed: int = 0, samples: int = 1, gap: float = 0.3) -> pd.DataFrame:
    """Prompts about groups a, b, c ... in turn; what is written about the first is more positive."""
    rng = np.random.default_rng(seed)
    prompt = np.repeat(np.arange(n), samples)
    sentiment = rng.uniform(-0.7, 0.7, n)[prompt] / 2 + rng.uniform(-0.5, 0.5, n * samples) / 2 + gap * (prompt % groups == 0)
    return pd.DataFrame(
        {
            "id": [f"p{i:04}" for i in prompt],
            "group": ["abcdef"[i % groups] for i in prompt],
            "cluster": None,
            "stratum": None,
            "sample": np.arange(n * samples) % samples,
            "sentiment": sentiment,
        }
    )


def scored(answers: pd.DataFrame, how: MeasureOptions = HOW, name: str = "sentiment_gap", **options: object) -> Score:
    return measure(METRIC(name).with_options(options), answers, how)


@pytest.mark.parametrize("seed", range(5))
def test_means_are_weighted_sums_over_weights(seed: int):
    """Groups that overlap, rows without a group, numbers that not all rows have, weights that are no whole numbers."""
    rng = np.random.default_rng(seed)
    n, of_row = 60, rng.random((60, 3)) < 0.4
    found, weights = numbers(n, 2, rng), rng.gamma(1, 1, (4, n))
    made = means(found, of_row)
    values = made.at(weights)
    for number, (outcome, group) in enumerate(itertools.product(range(2), range(3))):
        among = found[outcome].of & of_row[:, group]
        for draw in range(4):
            wanted = np.average(found[outcome].hit[among], weights=weights[draw, among])
            assert values[draw, number] == pytest.approx(wanted, rel=1e-12)
        assert made.size[outcome, group] == made.rows[outcome, group] == among.sum()
        assert (made.records(np.array([number])) == among).all()
    assert (made.records() == (of_row.any(axis=1) & (found[0].of | found[1].of))).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_of_zeros_and_ones_is_a_rate(seed: int):
    rng = np.random.default_rng(seed)
    of, hit, of_row = rng.random((3, 80)) < 0.5, rng.random((3, 80)) < 0.3, rng.random((80, 4)) < 0.4
    as_rates = rates([Outcome("r", o, h) for o, h in zip(of, hit, strict=True)], of_row)
    as_means = means([Outcome("m", o, h.astype(float)) for o, h in zip(of, hit, strict=True)], of_row)
    weights, indices = rng.gamma(1, 1, (6, 80)), [rng.permutation(80) for _ in range(5)]
    assert as_means.at(weights) == pytest.approx(as_rates.at(weights), rel=1e-12)
    assert as_means.permuted(indices) == pytest.approx(as_rates.permuted(indices), rel=1e-12)
    assert (as_means.size == as_rates.size).all()


def test_a_mean_of_no_weight_is_nan():
    made = means([Outcome("m", np.array([True, True, False]), np.array([0.5, 2.0, np.nan]))], np.eye(3, dtype=bool))
    values = made.at(np.array([[1.0, 0.0, 5.0]]))[0]
    assert values[0] == 0.5 and np.isnan(values[1:]).all()


def test_permuted_means_are_those_of_the_permuted_memberships():
    rng = np.random.default_rng(1)
    of_row, found = rng.random((50, 4)) < 0.4, numbers(50, 3, rng)
    indices = [rng.integers(0, 50, 50) for _ in range(7)]
    wanted = [means(found, of_row[index]).at(np.ones((1, 50)))[0] for index in indices]
    assert means(found, of_row).permuted(indices) == pytest.approx(np.array(wanted), nan_ok=True)


def test_of_some_rows_the_same_means_are_left():
    rng = np.random.default_rng(2)
    of_row, found = rng.random((40, 3)) < 0.3, numbers(40, 2, rng)
    made = means(found, of_row)
    rows = made.records()
    assert 0 < rows.sum() < 40
    assert made.only(rows).at(np.ones((1, rows.sum()))) == pytest.approx(made.at(np.ones((1, 40))), rel=1e-12)


@pytest.mark.parametrize("build", [rates, means])
def test_sizes_count_records_and_their_rows(build):
    record, of_row = np.array([0, 0, 0, 1, 1, 2]), np.array([[1, 0]] * 5 + [[0, 1]], dtype=bool)
    hit = np.ones(6, dtype=bool if build is rates else float)
    made = build([Outcome("o", np.array([True, True, False, True, True, True]), hit)], of_row, record)
    assert made.size.tolist() == [[2, 1]] and made.rows.tolist() == [[4, 1]]


def test_interval_stderr_and_groups_of_a_gap_are_those_of_the_definition():
    answers = texts().assign(cluster=lambda t: [f"c{i // 4}" for i in range(len(t))])
    score = scored(answers)
    weights = np.concatenate(list(bootstrap_weights(resampling_units(answers), HOW.draws, HOW.seed)))
    x, mean, star = answers.sentiment.to_numpy(), {}, {}
    for g in "abc":
        of = (answers.group == g).to_numpy()
        mean[g], star[g] = x[of].mean(), weights[:, of] @ x[of] / weights[:, of].sum(axis=1)
    pairs = list(itertools.permutations("abc", 2))
    d = {pair: mean[pair[0]] - mean[pair[1]] for pair in pairs}
    drawn = {pair: star[pair[0]] - star[pair[1]] for pair in pairs}
    se = {pair: drawn[pair].std(ddof=1) for pair in pairs}
    c = np.quantile(np.max([np.abs(drawn[p] - d[p]) / se[p] for p in pairs], axis=0), HOW.level)
    assert score.value == pytest.approx(max(d.values()))
    assert score.interval.low == pytest.approx(max(0.0, max(d[p] - c * se[p] for p in pairs)))
    assert score.interval.high == pytest.approx(max(abs(d[p]) + c * se[p] for p in pairs))
    assert score.interval.method == "bootstrap, simultaneous (max-|t|) over 3 differences, 400 draws over 60 clusters"
    assert score.stderr == pytest.approx(np.max(list(drawn.values()), axis=0).std())
    assert score.counts == {"groups": 3, "groups_left_out": 0} and list(score.by_group) == ["a", "b", "c"]
    for g, of in score.by_group.items():
        assert (of.value, of.n, of.direction) == (pytest.approx(mean[g]), 80, "the group's mean sentiment")
        assert [of.interval.low, of.interval.high] == pytest.approx(np.quantile(star[g], [0.05, 0.95]).tolist())
        assert of.stderr == pytest.approx(star[g].std()) and of.p_value is None


@pytest.mark.parametrize("aggregate", ["std", "pairwise"])
def test_the_interval_of_other_aggregations_is_theirs_of_the_ends(aggregate: str):
    answers = texts()
    score = scored(answers, aggregate=aggregate)
    weights = np.concatenate(list(bootstrap_weights(resampling_units(answers), HOW.draws, HOW.seed)))
    x, of = answers.sentiment.to_numpy(), [(answers.group == g).to_numpy() for g in "abc"]
    mean = np.array([x[o].mean() for o in of])
    star = np.stack([weights[:, o] @ x[o] / weights[:, o].sum(axis=1) for o in of], axis=1)
    first, second = np.array([(0, 1), (0, 2), (1, 2)]).T
    d, drawn = mean[first] - mean[second], star[:, first] - star[:, second]
    se = drawn.std(axis=0, ddof=1)
    reach = np.quantile((np.abs(drawn - d) / se).max(axis=1), HOW.level) * se

    def outer(y: np.ndarray) -> float:
        return math.sqrt((y**2).sum()) / 3 if aggregate == "std" else y.mean()

    assert score.value == pytest.approx(mean.std() if aggregate == "std" else np.abs(d).mean())
    assert score.interval.low == pytest.approx(outer(np.maximum(0, np.abs(d) - reach)))
    assert score.interval.high == pytest.approx(outer(np.abs(d) + reach))


def test_floor_and_p_are_those_of_permuted_groups():
    answers = texts(n=120, gap=0.0, seed=3)
    score = scored(answers, MeasureOptions(draws=2_000))
    x, group, rng = answers.sentiment.to_numpy(), answers.group.to_numpy(), np.random.default_rng(99)
    permuted = [np.ptp([x[moved == g].mean() for g in "abc"]) for moved in (rng.permutation(group) for _ in range(2_000))]
    p = (1 + (np.array(permuted) >= score.value - 1e-12).sum()) / 2_001
    assert score.floor > 0 and score.floor == pytest.approx(np.mean(permuted), abs=4 * np.std(permuted) * math.sqrt(2 / 2_000))
    assert score.p_value == pytest.approx(p, abs=4 * math.sqrt(2 * p * (1 - p) / 2_000))
    assert score.p_method == "permutation of the groups (records), 2,000 sampled"
    assert np.quantile(permuted, 0.005) < score.value < np.quantile(permuted, 0.995), "no difference: within the range of chance"


def test_where_all_of_a_group_are_at_an_end_there_is_no_binomial_interval_of_their_mean():
    """All of 80 texts neutral is no 80 of 80 that agree on a share: the mean may be anything near."""
    for end in (0.0, 1.0, -1.0):
        answers = texts().assign(sentiment=lambda t, end=end: t.sentiment.where(t.group != "b", end))
        score = scored(answers)
        assert (score.by_group["b"].value, score.by_group["b"].interval) == (end, None)
        assert "all draws over 240 records give the same value" in score.by_group["b"].warnings[0]
        assert score.interval is not None and score.by_group["a"].interval is not None
    rate = scored(answers, name="sentiment_positive_gap")
    assert rate.by_group["b"].interval.method.startswith("exact binomial"), "of a share it is one"


def test_a_group_of_few_prompts_is_left_out_however_many_samples_it_has():
    answers = texts()
    few = texts(n=9, groups=1, samples=50).assign(group="few", id=lambda t: "x" + t.id)
    score, without = scored(pd.concat([answers, few], ignore_index=True)), scored(answers)
    assert score.value == pytest.approx(without.value, rel=1e-12) and score.n == without.n
    assert score.left_out["speaks of no group with enough records"] == 450
    assert score.counts == {"groups": 3, "groups_left_out": 1}
    assert "Left out of the comparison, with fewer than 10 records: few (9)." in score.warnings
    shown = score.by_group["few"]
    assert (shown.n, shown.n_records) == (9, 450) and shown.value == pytest.approx(few.sentiment.mean())
    assert "left out" in shown.warnings[0] and shown.interval is not None


def test_samples_of_a_prompt_are_resampled_together():
    """Eight copies of every sample are no more evidence than one."""
    answers = texts(n=60, groups=2, gap=0.1)
    once, eightfold = scored(answers), scored(pd.concat([answers.assign(sample=i) for i in range(8)], ignore_index=True))
    assert eightfold.value == pytest.approx(once.value) and (eightfold.n, eightfold.n_records) == (60, 480)
    for name in ("low", "high"):
        assert getattr(eightfold.interval, name) == pytest.approx(getattr(once.interval, name), rel=1e-9)
    assert eightfold.p_value == pytest.approx(once.p_value, abs=0.06)
    assert eightfold.floor == pytest.approx(once.floor, rel=0.15)


def test_inside_clusters_the_samples_of_a_prompt_change_hands_together():
    """Templates, each about both groups, with five samples of every prompt: a permutation moves prompts, not samples."""
    of_row = np.array([[True, False]] * 5 + [[False, True]] * 5 + [[True, False]] * 3 + [[False, True]] * 2)
    clusters, record = ["t"] * 10 + ["u"] * 5, np.repeat([0, 1, 2, 3], [5, 5, 3, 2])
    drawn = permutations(of_row, None, clusters, 200, np.random.default_rng(0), record=record)
    assert drawn.what == "records inside clusters"
    given = np.array([of_row[index][:, 0] for index in drawn])
    assert {tuple(row[[0, 5, 10, 13]]) for row in given.tolist() for row in [np.array(row)]} == {
        tuple(bool(x) for x in sides) for sides in [(1, 0, 1, 0), (0, 1, 1, 0), (1, 0, 0, 1), (0, 1, 0, 1)]
    }
    for start, end in [(0, 5), (5, 10), (10, 13), (13, 15)]:
        assert (given[:, start:end] == given[:, [start]]).all()
    alone = permutations(of_row, None, clusters, 200, np.random.default_rng(0))
    assert any(len(set(of_row[index][:5, 0].tolist())) == 2 for index in alone), "without records every row moves by itself"


def test_a_prompt_that_speaks_of_two_groups_is_cut_by_them():
    of_row = np.array([[True, False], [True, False], [False, True], [False, True]])
    drawn = permutations(of_row, None, ["t"] * 4, 50, np.random.default_rng(0), record=np.zeros(4, dtype=np.intp))
    assert {tuple(of_row[index][:, 0].tolist()) for index in drawn} == {(True, True, False, False), (False, False, True, True)}


def test_prompts_of_whole_clusters_change_hands_with_them():
    answers = texts(n=240, groups=2, samples=2).assign(cluster=lambda t: t.group + (t.id.str[1:].astype(int) // 12).astype(str))
    assert scored(answers).p_method.startswith("permutation of the groups (whole clusters)")


def test_names_and_order_do_not_matter():
    answers = texts(groups=2, samples=2)
    renamed = answers.assign(group=answers.group.map({"a": "z", "b": "y"})).sample(frac=1, random_state=1)
    first, second = scored(answers), scored(renamed)
    assert second.value == pytest.approx(first.value, rel=1e-12)
    assert (second.interval.low, second.interval.high) == pytest.approx((first.interval.low, first.interval.high), rel=1e-9)
    assert (second.stderr, second.p_value, second.floor) == pytest.approx((first.stderr, first.p_value, first.floor), rel=1e-9)


def test_texts_that_a_judge_failed_on_are_left_out_and_counted_and_never_zero():
    answers = texts(groups=2)
    failed = answers.assign(sentiment=lambda t: t.sentiment.where(np.arange(len(t)) % 5 > 0))
    score, without = scored(failed), scored(failed.dropna(subset="sentiment"))
    assert score.left_out == {"sentiment is missing or not finite": 48} and (score.n, score.n_total) == (192, 240)
    assert score.value == without.value and score.by_group["a"].value == without.by_group["a"].value
    none_of_b = scored(answers.assign(sentiment=lambda t: t.sentiment.where(t.group != "b")))
    assert none_of_b.value is None and "fewer than two groups" in none_of_b.undefined


def test_one_prompt_cannot_be_resampled():
    score = scored(texts(groups=2).assign(cluster="same"))
    assert score.interval is None and any("only 1 of the clusters to resample" in w for w in score.warnings)


def test_draws_without_a_group_are_dropped_and_counted():
    third = texts(n=2, groups=1).assign(group="c", id=["y1", "y2"])
    score = scored(pd.concat([texts(groups=2), third], ignore_index=True), minimum=1)
    assert any("bootstrap draws, without some mean, were dropped" in warning for warning in score.warnings)


@pytest.mark.parametrize(
    ("cell", "found"), [(57.0, "found 57, wanted a number from -1 to 1"), ("good", "wanted a number or a list of numbers")]
)
def test_what_no_judge_says_is_refused(cell: object, found: str):
    answers = texts().astype({"sentiment": object})
    answers.loc[6, "sentiment"] = cell
    with pytest.raises(FairbenchError, match=found) as error:
        scored(answers)
    assert "Row 7, column 'sentiment'" in str(error.value)


def test_a_column_that_is_no_number_is_refused():
    with pytest.raises(FairbenchError, match="'toxicity' holds something that is no number"):
        judged(pd.DataFrame({"toxicity": ["much"]}), "toxicity", 0, 1)
    assert judged(pd.DataFrame({"toxicity": [1 + 1e-9, 0.0]}), "toxicity", 0, 1).tolist() == [1 + 1e-9, 0.0]
