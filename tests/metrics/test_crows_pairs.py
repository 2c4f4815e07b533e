"""The share and the margin of pairs against plain counting."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics.crows_pairs import crows_pairs, crows_pairs_counts, crows_pairs_margin
from scipy.stats import binomtest

from fairbench import stats
from fairbench.errors import Undefined
from fairbench.measurement import MeasureOptions, complete, measure
from fairbench.registry import Registry
from fairbench.scores import PValue

FUNCTIONS = {"crows_pairs": crows_pairs, "crows_pairs_margin": crows_pairs_margin}
METRICS = {name: Registry().metric(name) for name in FUNCTIONS}
HAND = [(-10.0, -12.0), (-7.5, -7.0), (-3.0, -3.0), (-20.0, -26.0), (-1.0, -1.5)]  # 3 of 5; 2 - .5 + 0 + 6 + .5 = 8


def table(pairs: list[tuple[float, float]]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["score_more", "score_less"], dtype=float)


def random_pairs(seed: int, n: int = 40) -> list[tuple[float, float]]:
    """Pairs of which about one in five is a tie."""
    rng = np.random.default_rng(seed)
    less = rng.normal(-30, 8, n)
    more = np.where(rng.random(n) < 0.2, less, less + rng.normal(0.5, 3, n))
    return list(zip(more.tolist(), less.tolist(), strict=True))


def share_by_loop(pairs: list[tuple[float, float]]) -> float:
    wins = 0
    for more, less in pairs:
        if more - less > 1e-6 * max(1, abs(more), abs(less)):
            wins += 1
    return 100 * wins / len(pairs)


def margin_by_loop(pairs: list[tuple[float, float]]) -> float:
    return math.fsum(more - less for more, less in pairs) / len(pairs)


LOOPS = {"crows_pairs": share_by_loop, "crows_pairs_margin": margin_by_loop}
both = pytest.mark.parametrize("name", FUNCTIONS)


def ones(name: str, pairs: list[tuple[float, float]]) -> float:
    return float(FUNCTIONS[name](table(pairs), np.ones((1, len(pairs))))[0])


def significance(name: str, pairs: list[tuple[float, float]], cluster: list[str] | None = None) -> PValue:
    answers = complete(table(pairs).assign(cluster=cluster), METRICS[name].info)
    return METRICS[name].significance(answers, np.random.default_rng(0))


@pytest.mark.parametrize(("name", "expected"), [("crows_pairs", 60.0), ("crows_pairs_margin", 1.6)])
def test_case_worked_by_hand(name: str, expected: float):
    assert ones(name, HAND) == pytest.approx(expected, abs=1e-12)
    assert crows_pairs_counts(table(HAND)) == {"prefer_stereotype": 3, "prefer_opposite": 1, "ties": 1}


@both
@pytest.mark.parametrize("seed", range(4))
def test_ones_equal_the_loop(name: str, seed: int):
    pairs = random_pairs(seed)
    assert ones(name, pairs) == pytest.approx(LOOPS[name](pairs), abs=1e-12)


@both
@pytest.mark.parametrize("seed", range(4))
def test_integer_weights_repeat_rows_and_zeros_remove_them(name: str, seed: int):
    pairs = random_pairs(seed, 25)
    weights = np.random.default_rng(seed).integers(0, 4, size=(9, 25)).astype(float)
    repeated = [[p for p, w in zip(pairs, row, strict=True) for _ in range(int(w))] for row in weights]
    found = FUNCTIONS[name](table(pairs), weights)
    assert found == pytest.approx([LOOPS[name](r) for r in repeated], abs=1e-10)
    assert found == pytest.approx([FUNCTIONS[name](table(pairs), row[None, :])[0] for row in weights], abs=1e-12)


@both
def test_order_of_rows_does_not_matter(name: str):
    assert ones(name, random_pairs(1)[::-1]) == pytest.approx(ones(name, random_pairs(1)), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_swapping_the_sentences_mirrors(seed: int):
    pairs = [p for p in random_pairs(seed) if p[0] != p[1]]
    mirrored = [(less, more) for more, less in pairs]
    assert ones("crows_pairs", mirrored) == pytest.approx(100 - ones("crows_pairs", pairs), abs=1e-12)
    assert ones("crows_pairs_margin", mirrored) == pytest.approx(-ones("crows_pairs_margin", pairs), abs=1e-12)


def test_with_ties_the_two_shares_and_the_ties_make_up_the_whole():
    pairs = random_pairs(2)
    ties = sum(more == less for more, less in pairs)
    assert ties > 0
    mirrored = ones("crows_pairs", [(less, more) for more, less in pairs])
    assert ones("crows_pairs", pairs) + mirrored + 100 * ties / len(pairs) == pytest.approx(100)


@pytest.mark.parametrize(
    ("more", "less", "counted"),
    [
        (-0.1, -0.1 - 0.9e-6, 0),
        (-0.1, -0.1 - 1.1e-6, 1),
        (-1000.0, -1000.0009, 0),
        (-1000.0, -1000.0012, 1),
        (-1000.0009, -1000.0, 0),
    ],
)
def test_a_tie_is_relative_to_the_score_and_absolute_below_one(more: float, less: float, counted: int):
    assert ones("crows_pairs", [(more, less), (-2.0, -1.0)]) == 50 * counted


@both
@pytest.mark.parametrize("pairs", [[(-3.0, -3.0)], [(-3.0, -3.0), (-5.0, -5.0 - 1e-7)]], ids=["one", "two"])
def test_nothing_but_ties_is_undefined(name: str, pairs: list[tuple[float, float]]):
    with pytest.raises(Undefined, match="every pair is a tie"):
        ones(name, pairs)
    score = measure(METRICS[name], table(pairs), MeasureOptions(draws=20))
    assert score.value is None and score.interval is None and score.p_value is None
    assert score.counts["ties"] == len(pairs)


@both
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_unusable_answers_are_left_out_and_counted(name: str, bad: float):
    score = measure(METRICS[name], table([*HAND, (bad, -1.0), (-1.0, bad)]), MeasureOptions(draws=20))
    assert score.value == pytest.approx(ones(name, HAND), abs=1e-12)
    assert (score.n, score.n_total) == (5, 7)
    assert score.left_out == {"score_more is missing or not finite": 1, "score_less is missing or not finite": 1}


@both
def test_a_single_record_has_a_value_and_no_interval(name: str):
    score = measure(METRICS[name], table([(-1.0, -2.0)]), MeasureOptions(draws=20))
    assert score.value == (100.0 if name == "crows_pairs" else 1.0)
    assert score.interval is None and score.stderr is None
    assert any("No interval" in w for w in score.warnings)


@pytest.mark.parametrize(("wins", "losses", "ties"), [(3, 1, 1), (9, 1, 0), (5, 5, 3), (20, 6, 10)])
def test_p_is_the_binomial_tail_on_both_sides(wins: int, losses: int, ties: int):
    pairs = [(-1.0, -2.0)] * wins + [(-2.0, -1.0)] * losses + [(-3.0, -3.0)] * ties
    n, k = wins + losses, max(wins, losses)
    tail = sum(math.comb(n, j) for j in range(k, n + 1)) / 2**n
    p = significance("crows_pairs", pairs)
    assert p.value == pytest.approx(min(1.0, 2 * tail), abs=1e-12)
    assert p.method == f"exact binomial, two-sided, {n} pairs without ties"


@both
def test_a_draw_of_ties_alone_has_no_value(name: str):
    pairs = [(-1.0, -2.0), (-2.0, -2.0), (-3.0, -3.0)]
    found = FUNCTIONS[name](table(pairs), np.array([[0.0, 1.0, 2.0], [1.0, 1.0, 1.0]]))
    assert np.isnan(found[0]) and found[1] == pytest.approx(LOOPS[name](pairs), abs=1e-12)


def test_clusters_of_a_single_pair_have_the_p_of_pairs():
    pairs = random_pairs(6, 30)
    assert significance("crows_pairs", pairs, [f"c{i}" for i in range(30)]) == significance("crows_pairs", pairs)


@both
@pytest.mark.parametrize("seed", range(3))
def test_pairs_of_a_cluster_keep_their_signs_together(name: str, seed: int):
    pairs = random_pairs(seed, 21)
    cluster = [f"c{i % 7}" for i in range(21)]
    net = dict.fromkeys(sorted(cluster), 0.0)
    for (more, less), c in zip(pairs, cluster, strict=True):
        net[c] += more - less if name == "crows_pairs_margin" else float(np.sign(more - less))
    sums = [
        abs(math.fsum(s * v for s, v in zip(signs, net.values(), strict=True))) for signs in itertools.product((1, -1), repeat=7)
    ]
    p = significance(name, pairs, cluster)
    assert p.value == pytest.approx(sum(s >= sums[0] - 1e-9 for s in sums) / 2**7, abs=1e-12)
    assert p.method == "sign flips of 7 clusters, two-sided, exact"


@both
def test_p_keeps_its_level_where_pairs_come_in_clusters(name: str, monkeypatch: pytest.MonkeyPatch):
    # 20 clusters of 8 pairs that mostly agree, and no preference at all: a p below .05 is a false alarm.
    monkeypatch.setattr(stats, "EXACT_LIMIT", 1_000)
    rng = np.random.default_rng(0)
    cluster = [f"c{i // 8}" for i in range(160)]
    alarms = alarms_by_pair = 0
    for _ in range(300):
        margins = rng.normal(size=20).repeat(8) + 0.5 * rng.normal(size=160)
        alarms += significance(name, [(m, 0.0) for m in margins], cluster).value <= 0.05
        alarms_by_pair += binomtest(int((margins > 0).sum()), 160).pvalue <= 0.05
    assert 0.02 <= alarms / 300 <= 0.09
    assert alarms_by_pair / 300 > 0.2  # what the clusters are for
