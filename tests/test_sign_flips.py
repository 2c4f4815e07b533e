"""The sign-flip test against enumeration, the binomial test and its own promise."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binomtest, wilcoxon

from fairbench import stats
from fairbench.stats import sign_flip_test


def flip(net: list[float] | np.ndarray, seed: int = 0) -> float:
    return sign_flip_test(np.array(net, dtype=float), np.random.default_rng(seed), "clusters").value


def enumerated(net: list[float]) -> float:
    """Share of all 2^u signs whose sum is as far from 0 as the one seen."""
    sums = [
        abs(math.fsum(s * v for s, v in zip(signs, net, strict=True))) for signs in itertools.product((1, -1), repeat=len(net))
    ]
    return sum(total >= sums[0] - 1e-9 for total in sums) / len(sums)


@pytest.mark.parametrize("u", [1, 2, 5, 10])
@pytest.mark.parametrize("shift", [0.0, 1.0])
@pytest.mark.parametrize("whole", [False, True], ids=["margins", "counts"])
def test_exact_equals_enumeration(u: int, shift: float, whole: bool):
    net = np.random.default_rng(u).normal(shift, 2, u)
    net = net.round() if whole else net  # whole numbers tie with each other and may be 0
    found = sign_flip_test(net, np.random.default_rng(0), "clusters")
    assert found.value == pytest.approx(enumerated(net.tolist()), abs=1e-12)
    assert found.method == f"sign flips of {u} clusters, two-sided, exact"


def test_case_worked_by_hand():
    # |±1 ±2 ±4| is 7 twice, 5 twice, 3 twice, 1 twice; 1 + 4 - 2 = 3 is reached by six of eight
    assert flip([1, -2, 4]) == 6 / 8
    assert flip([3, 3]) == flip([-3, -3]) == 2 / 4
    assert flip([3, -3]) == flip([5]) == flip([]) == flip([0, 0]) == 1


@pytest.mark.parametrize("net", [[1.5, -0.25, 2.0, 3.0, -1.0], [1.0] * 9 + [-1.0]], ids=["margins", "signs"])
def test_zeros_the_order_and_the_scale_change_nothing(net: list[float]):
    p = flip(net)
    assert flip([0.0, *net, 0.0, 0.0]) == p
    assert flip(net[::-1]) == flip([-v for v in net]) == p
    assert flip([1e-9 * v for v in net]) == flip([1e9 * v for v in net]) == p


def test_sums_that_differ_by_rounding_alone_are_ties():
    assert flip([0.1, 0.2, 0.3, -0.6]) == 1.0  # their sum is 0, or 5.6e-17
    assert flip([0.1, 0.2, -0.3, 0.7]) == enumerated([1, 2, -3, 7])


@pytest.mark.parametrize(("wins", "losses"), [(1, 0), (6, 2), (9, 1), (5, 5), (12, 4), (40, 20)])
def test_of_unit_signs_it_is_the_binomial_test(wins: int, losses: int):
    sampled = 2 ** (wins + losses) > stats.EXACT_LIMIT
    expected = binomtest(wins, wins + losses).pvalue
    tolerance = 4 * math.sqrt(expected * (1 - expected) / stats.EXACT_LIMIT) if sampled else 1e-12
    assert flip([1.0] * wins + [-1.0] * losses) == pytest.approx(expected, abs=tolerance)


def test_of_ranks_it_is_wilcoxons_test():
    sample = np.random.default_rng(4).normal(0.5, 1, 11)
    ranks = np.argsort(np.argsort(np.abs(sample))) + 1
    assert flip(ranks * np.sign(sample)) == pytest.approx(wilcoxon(sample, mode="exact").pvalue, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_sampled_is_near_exact(seed: int, monkeypatch: pytest.MonkeyPatch):
    net = np.random.default_rng(seed).normal(0.5, 1, 13)
    exact, limit = flip(net), 5_000
    monkeypatch.setattr(stats, "EXACT_LIMIT", limit)
    sampled = sign_flip_test(net, np.random.default_rng(seed), "records")
    assert sampled.value == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / limit))
    assert sampled.value * limit == pytest.approx(round(sampled.value * limit))  # (1 + hits) / (1 + limit - 1)
    assert sampled.method == "sign flips of 13 records, two-sided, 5,000 sampled"


def test_a_sampled_p_is_never_zero_and_follows_the_seed():
    assert flip([1.0] * 60) == 1 / stats.EXACT_LIMIT
    net = np.random.default_rng(0).normal(0.3, 1, 25)
    assert flip(net, 1) == flip(net, 1) != flip(net, 2)


@pytest.mark.parametrize("u", [16, 17])
def test_the_limit_counts_the_signs_of_units_that_say_something(u: int):
    net = [0.0] * 5 + np.random.default_rng(0).normal(size=u).tolist()
    method = sign_flip_test(np.array(net), np.random.default_rng(0), "clusters").method
    assert f"of {u + 5} clusters" in method
    assert method.endswith("exact" if 2**u <= stats.EXACT_LIMIT else "100,000 sampled")


@pytest.mark.parametrize("sides", ["signs", "margins", "heavy tails"])
def test_it_keeps_its_level_over_clusters(sides: str, monkeypatch: pytest.MonkeyPatch):
    # Twenty clusters of 2 to 14 rows that share most of what they are, with no preference: a p below .05 is a false alarm.
    monkeypatch.setattr(stats, "EXACT_LIMIT", 1_000)
    rng = np.random.default_rng(3)
    of_row = np.repeat(np.arange(20), rng.integers(2, 15, 20))
    alarms = 0
    for _ in range(400):
        shared = rng.standard_t(2, 20) if sides == "heavy tails" else rng.normal(size=20)
        rows = shared[of_row] + 0.5 * rng.normal(size=len(of_row))
        alarms += flip(np.bincount(of_row, np.sign(rows) if sides == "signs" else rows)) <= 0.05
    assert 0.02 <= alarms / 400 <= 0.09


def test_it_finds_a_preference_that_is_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stats, "EXACT_LIMIT", 1_000)
    rng = np.random.default_rng(1)
    found = sum(flip(rng.normal(0.8, 1, 20)) <= 0.05 for _ in range(100))
    assert found >= 85  # a t test's power is 92 %


@pytest.mark.parametrize("u", [17, 18, 19, 20, 200])
@pytest.mark.parametrize("block", [1, 2_000, 2**19])
def test_sampled_signs_are_those_of_integer_draws(u: int, block: int, monkeypatch: pytest.MonkeyPatch):
    """Kept p were found with the signs of `integers`, a chunk at a time: also where a chunk's bytes fill no whole word."""
    net = np.random.default_rng(u).normal(size=u)
    chunk, count = 50, 220
    monkeypatch.setattr(stats, "CHUNK_BYTES", 16 * u * chunk)
    monkeypatch.setattr(stats, "BLOCK_BYTES", block)
    rng = np.random.default_rng(3)
    bits = [rng.integers(0, 2, size=(k, u), dtype=np.int8) for k in (chunk, chunk, chunk, chunk, count - 4 * chunk)]
    found = stats._random_signs(net, count, np.random.default_rng(3))
    assert found == pytest.approx((1.0 - 2.0 * np.concatenate(bits)) @ net, rel=1e-12, abs=1e-12)
