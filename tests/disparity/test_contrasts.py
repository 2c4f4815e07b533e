"""Rates, differences, aggregations and simultaneous intervals against plain loops written from the formulas."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from fairbench.disparity.comparison import ALL_RECORDS, compare
from fairbench.disparity.contrasts import (
    DEVIATION,
    GAP,
    MEAN_GAP,
    PAIRWISE,
    RATIO,
    ROOT_MEAN_SQUARE,
    SUM,
    between_groups,
    to_last,
)
from fairbench.disparity.rates import Outcome, rates
from fairbench.disparity.simultaneous import aggregated, bands, usable_draws
from fairbench.groups import Groups

RNG = np.random.default_rng(7)
ALL = np.ones((1, 4), dtype=bool)


def outcomes(n: int, count: int, rng: np.random.Generator) -> list[Outcome]:
    return [Outcome(f"o{i}", rng.random(n) < 0.6, rng.random(n) < 0.5) for i in range(count)]


@pytest.mark.parametrize("seed", range(5))
def test_rates_are_weighted_shares(seed: int):
    """Groups that overlap, records without a group, outcomes that overlap, weights that are no whole numbers."""
    rng = np.random.default_rng(seed)
    n, of_row = 60, rng.random((60, 3)) < 0.4
    found, weights = outcomes(n, 2, rng), rng.gamma(1, 1, (4, n))
    made = rates(found, of_row)
    values = made.at(weights)
    for number, (outcome, group) in enumerate(itertools.product(range(2), range(3))):
        among = found[outcome].of & of_row[:, group]
        for draw in range(4):
            wanted = weights[draw, among & found[outcome].hit].sum() / weights[draw, among].sum()
            assert values[draw, number] == pytest.approx(wanted, rel=1e-13)
        assert made.size[outcome, group] == among.sum()
        assert (made.records(np.array([number])) == among).all()


@pytest.mark.parametrize("block", [1, 60 * 8 * 3])
def test_rates_are_the_same_to_the_last_bit_whatever_the_block(block: int, monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    made = rates(outcomes(60, 2, rng), rng.random((60, 3)) < 0.4)
    counts = rng.integers(0, 4, (10, 60)).astype(float)
    whole = made.at(counts)
    monkeypatch.setattr("fairbench.disparity.rates.BLOCK_BYTES", block)
    assert (made.at(counts) == whole).all()
    assert made.at(counts[:0]).shape == (0, 6)


def test_a_rate_of_no_weight_is_nan():
    found = rates([Outcome("o", np.array([True, True, False]), np.array([True, False, True]))], np.eye(3, dtype=bool))
    values = found.at(np.array([[1.0, 0.0, 5.0]]))[0]
    assert values[0] == 1 and np.isnan(values[1:]).all()


def test_permuted_rates_are_those_of_the_permuted_memberships():
    rng = np.random.default_rng(1)
    of_row, found = rng.random((50, 4)) < 0.4, outcomes(50, 3, rng)
    indices = [rng.integers(0, 50, 50) for _ in range(7)]
    wanted = [rates(found, of_row[index]).at(np.ones((1, 50)))[0] for index in indices]
    assert rates(found, of_row).permuted(indices) == pytest.approx(np.array(wanted), nan_ok=True)


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        (GAP, lambda r: max(r) - min(r)),
        (MEAN_GAP, lambda r: max(r) - min(r)),
        (RATIO, lambda r: min(r) / max(r)),
        (DEVIATION, np.std),
        (PAIRWISE, lambda r: np.mean([abs(a - b) for a, b in itertools.combinations(r, 2)])),
        (ROOT_MEAN_SQUARE, lambda r: max(r) - min(r)),
    ],
    ids=["gap", "mean gap", "ratio", "std", "pairwise", "rms"],
)
def test_aggregations_over_the_groups_of_one_outcome(how, wanted):
    drawn = RNG.random((20, 4))
    assert between_groups(ALL, how).values(drawn) == pytest.approx([wanted(row) for row in drawn], rel=1e-12)


@pytest.mark.parametrize(
    ("how", "wanted"),
    [(GAP, max), (MEAN_GAP, np.mean), (ROOT_MEAN_SQUARE, lambda gaps: math.sqrt(np.mean(np.square(gaps))))],
    ids=["largest", "mean", "rms"],
)
def test_aggregations_over_outcomes_leave_out_what_is_not_compared(how, wanted):
    compared = np.array([[True, True, True], [True, False, True], [False, False, False]])
    drawn = RNG.random((20, 9))
    gaps = [(np.ptp(row[:3]), abs(row[3] - row[5])) for row in drawn]
    assert between_groups(compared, how).values(drawn) == pytest.approx([wanted(pair) for pair in gaps], rel=1e-12)


def test_distances_to_the_last_are_summed():
    drawn = RNG.random((20, 4))
    wanted = [sum(abs(rate - row[3]) for rate in (row[0], row[2])) for row in drawn]
    assert to_last(np.array([[True, False, True, True]]), SUM).values(drawn) == pytest.approx(wanted, rel=1e-12)


def test_a_ratio_with_zeros():
    contrasts = between_groups(np.ones((1, 3), dtype=bool), RATIO)
    values = contrasts.values(np.array([[0, 0, 0.5], [0, 0, 0], [0.2, 0.4, np.nan], [0.2, 0.4, 0.2]]))
    assert values[0] == 0 and np.isnan(values[1:3]).all() and values[3] == pytest.approx(0.5)


def test_a_draw_without_a_compared_rate_is_nan_and_one_without_another_is_not():
    contrasts = between_groups(np.array([[True, True, False]]), GAP)
    values = contrasts.values(np.array([[0.1, np.nan, 0.3], [0.1, 0.5, np.nan]]))
    assert np.isnan(values[0]) and values[1] == pytest.approx(0.4)


def by_hand(seen, drawn, pairs, level):
    """Spec 25: se, T and c of the pairs with se > 0."""
    d = np.array([seen[i] - seen[j] for i, j in pairs])
    star = np.array([[row[i] - row[j] for i, j in pairs] for row in drawn])
    se = star.std(axis=0, ddof=1)
    t = np.abs(star - d)[:, se > 0] / se[se > 0]
    return d, se, float(np.quantile(t.max(axis=1), level))


def test_bands_and_interval_of_a_gap_by_the_letter():
    drawn = 0.5 + 0.1 * RNG.standard_normal((300, 4))
    seen = np.array([0.6, 0.5, 0.5, 0.45])
    d, se, c = by_hand(seen, drawn, list(itertools.combinations(range(4), 2)), 0.9)
    contrasts = between_groups(ALL, GAP)
    found = bands(contrasts, seen, drawn, 0.9)
    assert found.c == pytest.approx(c) and found.stderr == pytest.approx(se) and found.seen == pytest.approx(d)
    both_ways = np.concatenate([d, -d])
    wanted = max(0.0, (both_ways - c * np.tile(se, 2)).max()), (np.abs(d) + c * se).max()
    assert aggregated(contrasts, found) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("how", "outer"),
    [
        (DEVIATION, lambda x: math.sqrt((x**2).sum()) / 4),
        (PAIRWISE, np.mean),
        (RATIO, lambda x: math.exp(-max(x))),
    ],
    ids=["std", "pairwise", "ratio"],
)
def test_the_interval_of_another_aggregation_is_that_of_the_ends(how, outer):
    drawn = 0.5 + 0.05 * RNG.standard_normal((300, 4))
    seen = np.array([0.55, 0.5, 0.48, 0.4])
    logs = how is RATIO
    pairs = list(itertools.combinations(range(4), 2))
    d, se, c = by_hand(np.log(seen), np.log(drawn), pairs, 0.95) if logs else by_hand(seen, drawn, pairs, 0.95)
    wanted = sorted([outer(np.maximum(0, np.abs(d) - c * se)), outer(np.abs(d) + c * se)])
    contrasts = between_groups(ALL, how)
    low, high = aggregated(contrasts, bands(contrasts, seen, drawn, 0.95))
    assert [low, high] == pytest.approx(wanted)
    assert low <= contrasts.values(seen[None])[0] <= high


def test_differences_that_do_not_vary_have_no_width_and_are_not_in_t():
    drawn = np.column_stack([np.ones(100), np.ones(100), 0.5 + 0.1 * RNG.standard_normal(100)])
    found = bands(between_groups(np.ones((1, 3), dtype=bool), GAP), np.array([1.0, 1.0, 0.5]), drawn, 0.95)
    assert found.stderr[0] == 0 and (found.stderr[1:] > 0).all() and math.isfinite(found.c)
    assert bands(between_groups(ALL[:, :2], GAP), np.array([1.0, 0.0]), np.array([[1.0, 0.0]] * 9), 0.95) is None


def test_draws_without_a_rate_or_its_logarithm_are_not_used():
    drawn = np.array([[0.5, 0.0, 0.1], [np.nan, 0.3, 0.1], [0.5, 0.5, np.nan]])
    compared = np.array([[True, True, False]])
    assert len(usable_draws(between_groups(compared, GAP), drawn)) == 2
    assert len(usable_draws(between_groups(compared, RATIO), drawn)) == 1


def test_many_differences_are_worked_on_in_parts(monkeypatch):
    drawn = RNG.random((50, 12))
    compared = np.ones((1, 12), dtype=bool)
    whole = [
        (between_groups(compared, how).values(drawn), bands(between_groups(compared, how), drawn[0], drawn, 0.95))
        for how in (GAP, DEVIATION)
    ]
    monkeypatch.setattr("fairbench.disparity.contrasts.CHUNK_BYTES", 2_000)
    monkeypatch.setattr("fairbench.disparity.simultaneous.CHUNK_BYTES", 2_000)
    for how, (values, found) in zip((GAP, DEVIATION), whole, strict=True):
        parts = bands(between_groups(compared, how), drawn[0], drawn, 0.95)
        assert between_groups(compared, how).values(drawn) == pytest.approx(values)
        assert (parts.c, parts.stderr.tolist()) == (found.c, found.stderr.tolist())


def test_what_is_compared_and_what_is_said_of_the_others():
    names, sizes = ("few", "large", "some"), (3, 20, 12)
    of_row = np.repeat(np.eye(3, dtype=bool), sizes, axis=0)
    outcome = Outcome("rate", np.ones(35, dtype=bool), RNG.random(35) < 0.5)
    found = compare([outcome], Groups(names, of_row), GAP, 10, overall=False, every=True)
    assert found.compared.tolist() == [[False, True, True]] and found.counts() == {"groups": 2, "groups_left_out": 1}
    assert found.warnings() == ("Left out of the comparison, with fewer than 10 records: few (3).",)
    assert found.used().tolist() == [False] * 3 + [True] * 32
    lone = compare([outcome], Groups(names, of_row), GAP, 13, overall=False, every=True)
    assert lone.contrasts is None and lone.why_not == "fewer than two groups have at least 13 records"
    overall = compare([outcome], Groups(names, of_row), SUM, 10, overall=True, every=True)
    assert overall.groups[-1] == ALL_RECORDS and len(overall.contrasts.first) == 2 and overall.used().all()
    assert overall.counts() == {"groups": 2, "groups_left_out": 1}
