"""Judgements and figures: correlations against SciPy, scikit-learn and repetition, tests against publications and simulation."""

from __future__ import annotations

import doctest
import itertools
import json
import math
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from fairbench.metrics.counterfactual_token_fairness import counterfactual_token_fairness
from sklearn.metrics import roc_auc_score

import fairbench.agreement
import fairbench.correlations
import fairbench.judgements
from fairbench.agreement import Agreement, AgreementOptions, agreement
from fairbench.cli import main
from fairbench.correlations import holm, krippendorff_alpha, pearson, spearman, steiger, williams
from fairbench.errors import FairbenchError, Undefined
from fairbench.judgements import counterfactual_gaps
from fairbench.measurement import MeasureOptions

DOCS = (Path(__file__).resolve().parent.parent / "docs" / "human_judgement.md").read_text(encoding="utf-8")
SHORT = AgreementOptions(measure=MeasureOptions(draws=200))
VALUE_ALONE = AgreementOptions(measure=MeasureOptions(draws=0))


def judged(seed: int, n: int = 40, people: int = 3, ties: bool = False) -> pd.DataFrame:
    """A row a judgement, with two figures that follow it more and less."""
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=n)
    figures = {"near": taste + 0.7 * rng.normal(size=n), "far": taste + 2 * rng.normal(size=n)}
    if ties:
        figures = {name: np.round(values) for name, values in figures.items()}
    rows = [
        {
            "id": f"e{i}",
            "annotator": f"p{p}",
            "unfair": int(taste[i] + rng.normal() > 0.2),
            **{f: v[i] for f, v in figures.items()},
        }
        for i in range(n)
        for p in range(people)
    ]
    return pd.DataFrame(rows)


def values(found: Agreement, figure: str = "near") -> dict[str, float | None]:
    return {name: e.value for name, e in next(one for one in found.figures if one.figure == figure).estimates.items()}


def by_example(table: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """A row an example, the share of unfair, and whether it is not a tie."""
    first = table.drop_duplicates("id").set_index("id")
    share = table.groupby("id")["unfair"].mean().loc[first.index].to_numpy()
    return first, share, share != 0.5


def test_a_case_by_hand():
    """Shares 0, 1/3, 2/3, 1 (majority 0 0 1 1) beside 1, 2, 4, 3."""
    rows = [
        (key, said)
        for key, all_said in zip("abcd", ([0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]), strict=True)
        for said in all_said
    ]
    table = pd.DataFrame(rows, columns=["id", "unfair"]).assign(move=lambda t: t["id"].map({"a": 1, "b": 2, "c": 4, "d": 3}))
    found = agreement(table, "unfair", ["move"], options=VALUE_ALONE)
    # r: sums of squares 5, 5/9 and products 4/3 about the means 2.5 and 1/2; majority: 5, 1 and 2; rho: 1 - 6 * 2/(4 * 15).
    assert values(found, "move") == pytest.approx({
        "point_biserial": 2 / math.sqrt(5), "pearson": (4 / 3) / math.sqrt(25 / 9), "spearman": 0.8, "auc": 1.0
    })  # fmt: skip
    people = found.people
    assert (people.examples, people.judgements, people.annotators, people.fewest, people.most) == (4, 12, None, 3, 3)
    assert people.unfair == pytest.approx(0.5) and people.ties == 0
    # Each of b and c has 2 of 3 unequal pairs, so D_o = (2 * 4/2)/12 = 1/3, and D_e = (144 - 72)/(12 * 11) = 6/11.
    assert people.alpha.value == pytest.approx(1 - (1 / 3) / (6 / 11)) and people.agreeing == pytest.approx(2 / 3)


def test_ties_of_the_majority_are_left_out_and_counted():
    table = pd.DataFrame(
        {"id": list("aabbccdd"), "unfair": [0, 0, 0, 1, 1, 1, 1, 1], "move": [1.0, 1.0, 9.0, 9.0, 2.0, 2.0, 3.0, 3.0]}
    )
    found = agreement(table, "unfair", ["move"], options=VALUE_ALONE)
    estimates = found.figures[0].estimates
    assert found.people.ties == 1 and found.figures[0].n == 4
    assert [estimates[name].n for name in ("point_biserial", "pearson", "spearman", "auc")] == [3, 4, 4, 3]
    assert estimates["auc"].value == 1.0
    assert estimates["pearson"].value == pytest.approx(scipy.stats.pearsonr([0, 0.5, 1, 1], [1, 9, 2, 3]).statistic)


@pytest.mark.parametrize(("seed", "people", "ties"), [(1, 1, False), (2, 3, False), (3, 4, True), (4, 1, True)])
def test_as_scipy_and_scikit_learn(seed: int, people: int, ties: bool):
    table = judged(seed, people=people, ties=ties)
    first, share, decided = by_example(table)
    for name in ("near", "far"):
        estimates = next(
            f for f in agreement(table, "unfair", ["near", "far"], options=VALUE_ALONE).figures if f.figure == name
        ).estimates
        x = first[name].to_numpy()
        majority = (share > 0.5).astype(int)[decided]
        point, r, rho = (
            scipy.stats.pointbiserialr(majority, x[decided]), scipy.stats.pearsonr(x, share), scipy.stats.spearmanr(x, share)
        )  # fmt: skip
        for measure, wanted in (("point_biserial", point), ("pearson", r), ("spearman", rho)):
            assert estimates[measure].value == pytest.approx(wanted.statistic, abs=1e-12)
            assert estimates[measure].p == pytest.approx(wanted.pvalue, rel=1e-9)
        assert estimates["auc"].value == pytest.approx(roc_auc_score(majority, x[decided]), abs=1e-12)
        assert estimates["auc"].p is None


@pytest.mark.parametrize("ties", [False, True])
def test_a_weight_is_a_row_so_many_times(ties: bool):
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=30), rng.integers(0, 4, 30) / 3
    x = np.round(x) if ties else x
    weights = np.vstack([np.ones(30), rng.multinomial(30, np.full(30, 1 / 30), size=20)]).astype(float)
    for row, r, rho in zip(weights, pearson(x, y, weights), spearman(x, y, weights), strict=True):
        many = np.repeat(np.arange(30), row.astype(int))
        assert r == pytest.approx(scipy.stats.pearsonr(x[many], y[many]).statistic, abs=1e-12)
        assert rho == pytest.approx(scipy.stats.spearmanr(x[many], y[many]).statistic, abs=1e-12)


def test_draws_without_spread_have_no_value_and_outliers_cost_no_digits():
    x, y = np.array([1.0, 2.0, 4.0, 1e9]), np.array([0.0, 1.0, 1.0, 0.0])
    weights = np.array([[4.0, 0, 0, 0], [0, 2, 2, 0], [1, 1, 1, 0], [0, 0, 0, 3], [1, 0, 0, 1]])
    for found in (pearson(x, y, weights), spearman(x, y, weights)):
        assert np.isnan(found).tolist() == [True, True, False, True, True]
    assert pearson(x, y, weights)[2] == pytest.approx(scipy.stats.pearsonr(x[:3], y[:3]).statistic, abs=1e-9)
    tiny = pearson(x[:3] * 1e-200, y[:3], np.ones((1, 3)))
    assert tiny == pytest.approx(scipy.stats.pearsonr(x[:3], y[:3]).statistic)


def alpha_by_pairs(units: list[list[int]]) -> float:
    """Krippendorff's alpha by enumerating every pair of judgements."""
    units = [unit for unit in units if len(unit) > 1]
    everything = [value for unit in units for value in unit]
    weighted = sum(sum(a != b for a, b in itertools.permutations(unit, 2)) / (len(unit) - 1) for unit in units)
    chance = sum(a != b for a, b in itertools.permutations(everything, 2)) / (len(everything) - 1)
    return 1 - weighted / chance


def counted(units: list[list[int]]) -> np.ndarray:
    return np.array([[unit.count(0), unit.count(1)] for unit in units], dtype=float)


def test_alpha_of_two_people_as_published():
    """Krippendorff 2011, two observers and ten units with yes or no: 0.095; D_o = 4/10 * 2/2, D_e = 84/(20 * 19) * 2."""
    units = [list(pair) for pair in zip((0, 1, 0, 0, 0, 0, 0, 0, 1, 0), (1, 1, 1, 0, 0, 1, 0, 0, 0, 0), strict=True)]
    assert krippendorff_alpha(counted(units), np.ones((1, 10)))[0] == pytest.approx(1 - 76 / 84)
    assert round(1 - 76 / 84, 3) == 0.095


@pytest.mark.parametrize("seed", range(5))
def test_alpha_as_by_pairs_whatever_the_number_of_people(seed: int):
    rng = np.random.default_rng(seed)
    units = [rng.integers(0, 2, rng.integers(1, 6)).tolist() for _ in range(12)]
    units += [[0, 1]]
    assert krippendorff_alpha(counted(units), np.ones((1, 13)))[0] == pytest.approx(alpha_by_pairs(units))
    weights = rng.integers(0, 3, 13).astype(float)
    twice = [unit for unit, times in zip(units, weights, strict=True) for _ in range(int(times))]
    assert krippendorff_alpha(counted(units), weights[None])[0] == pytest.approx(alpha_by_pairs(twice))


def test_williams_and_steiger_as_published():
    """Steiger 1980 p. 249, case A (its T2 is -.89), and the figures of the program DEPCOR (Silver, Hittner and May 2006)."""
    assert round(williams(0.4, 0.5, 0.1, 103).statistic, 2) == -0.89
    assert round(steiger(0.4, 0.5, 0.1, 103).statistic, 2) == -0.89
    t, z = williams(0.3, 0.4, 0.5, 100), steiger(0.3, 0.4, 0.5, 100)
    assert (round(t.statistic, 4), round(t.p, 4), t.df) == (-1.0767, 0.2843, 97)
    assert (round(z.statistic, 4), round(z.p, 4), z.df) == (-1.0718, 0.2838, None)


def delta_method_z(r_jk: float, r_jh: float, r_kh: float, n: int) -> float:
    """The difference over its asymptotic standard error, derived anew.

    Covariances of normal variables have cov(s_ab, s_cd) = (S_ac S_bd + S_ad S_bc)/n (Isserlis); the gradient of r_jk - r_jh in
    the six entries of S is taken numerically.
    """
    s = np.array([[1, r_jk, r_jh], [r_jk, 1, r_kh], [r_jh, r_kh, 1]])
    entries = [(a, b) for a in range(3) for b in range(a, 3)]

    def difference(flat: np.ndarray) -> float:
        m = np.zeros((3, 3))
        for (a, b), value in zip(entries, flat, strict=True):
            m[a, b] = m[b, a] = value
        return float(m[0, 1] / math.sqrt(m[0, 0] * m[1, 1]) - m[0, 2] / math.sqrt(m[0, 0] * m[2, 2]))

    flat = np.array([s[entry] for entry in entries])
    step = 1e-6 * np.eye(6)
    gradient = np.array([(difference(flat + e) - difference(flat - e)) / 2e-6 for e in step])
    spread = np.array([[(s[a, c] * s[b, d] + s[a, d] * s[b, c]) / n for c, d in entries] for a, b in entries])
    return difference(flat) / math.sqrt(gradient @ spread @ gradient)


@pytest.mark.parametrize(("r", "r_kh"), [(0.0, 0.5), (0.3, 0.1), (0.5, 0.7), (0.7, 0.6), (-0.4, 0.2), (0.2, -0.5)])
def test_both_tests_are_the_delta_method_in_large_samples(r: float, r_kh: float):
    n = 10**8
    r_jh = r - 2 / math.sqrt(n)  # so near that the statistics are of the size of a few units
    wanted = delta_method_z(r, r_jh, r_kh, n)
    assert williams(r, r_jh, r_kh, n).statistic == pytest.approx(wanted, rel=1e-3)
    assert steiger(r, r_jh, r_kh, n).statistic == pytest.approx(wanted, rel=1e-3)


def trivariate(rng: np.random.Generator, sims: int, n: int, r_jk: float, r_jh: float, r_kh: float) -> np.ndarray:
    root = np.linalg.cholesky(np.array([[1, r_jk, r_jh], [r_jk, 1, r_kh], [r_jh, r_kh, 1]]))
    return rng.normal(size=(sims, n, 3)) @ root.T


def correlations(samples: np.ndarray) -> list[tuple[float, float, float]]:
    centred = samples - samples.mean(axis=1, keepdims=True)
    unit = centred / np.sqrt((centred**2).sum(axis=1, keepdims=True))
    r = np.einsum("sni,snj->sij", unit, unit)
    return [tuple(row) for row in np.stack([r[:, 0, 1], r[:, 0, 2], r[:, 1, 2]], axis=1).tolist()]


@pytest.mark.parametrize(("r", "r_kh", "n"), [(0.4, 0.5, 30), (0.0, 0.3, 20), (0.7, 0.8, 50)])
def test_both_tests_reject_equal_correlations_five_times_in_a_hundred(r: float, r_kh: float, n: int):
    found = correlations(trivariate(np.random.default_rng(3), 6000, n, r, r, r_kh))
    for test in (williams, steiger):
        size = np.mean([test(*rs, n).p < 0.05 for rs in found])
        assert 0.04 < size < 0.06  # three standard errors are 0.0084


@pytest.mark.slow
def test_williams_t_is_as_powerful_as_the_paired_bootstrap():
    rng, n = np.random.default_rng(4), 100
    decisions = []
    for sample, rs in ((s, correlations(s[None])[0]) for s in trivariate(rng, 200, n, 0.5, 0.25, 0.5)):
        weights = np.array([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(400)], dtype=float)
        drawn = pearson(sample[:, 1], sample[:, 0], weights) - pearson(sample[:, 2], sample[:, 0], weights)
        low, high = np.quantile(drawn, [0.025, 0.975])
        decisions.append((williams(*rs, n).p < 0.05, not low <= 0 <= high))
    t, bootstrap = np.mean(decisions, axis=0)
    assert 0.6 < t < 0.95 and abs(t - bootstrap) < 0.06
    assert np.mean([a == b for a, b in decisions]) > 0.9


def test_tests_mirror_and_know_their_limits():
    for test in (williams, steiger):
        there, back = test(0.3, 0.5, 0.2, 60), test(0.5, 0.3, 0.2, 60)
        assert there.statistic == pytest.approx(-back.statistic) and there.p == pytest.approx(back.p)
        assert test(0.4, 0.4, 0.2, 60).p == pytest.approx(1.0)
        with pytest.raises(Undefined, match="at least 4"):
            test(0.3, 0.5, 0.2, 3)
        with pytest.raises(Undefined, match="agree perfectly"):
            test(0.3, 0.3, 1.0, 60)
    with pytest.raises(Undefined, match="turned round"):
        williams(0.3, -0.3, -1.0, 60)
    root = math.sqrt(0.5)
    with pytest.raises(Undefined, match="exact function"):
        williams(root, -root, 0.0, 60)
    with pytest.raises(Undefined, match="exactly"):
        steiger(1.0, 0.4, 0.4, 60)
    assert williams(1.0, 0.4, 0.4, 60).p < 1e-6


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.5]) == [1.0, 1.0] and holm([]) == []


def test_the_order_of_rows_and_the_names_of_people_change_nothing():
    table = judged(6, ties=True)
    found = agreement(table, "unfair", ["near", "far"], options=SHORT)
    shuffled = table.sample(frac=1, random_state=1).assign(annotator=lambda t: "q" + t["annotator"])
    again = agreement(shuffled, "unfair", ["near", "far"], options=SHORT)
    a, b = (f.to_frame().drop(columns=["figure", "minus", "measure", "undefined"]).to_numpy(dtype=float) for f in (found, again))
    assert np.allclose(a, b, equal_nan=True, atol=1e-12)
    assert found.people.alpha.value == pytest.approx(again.people.alpha.value)


def test_scales_and_signs():
    table = judged(7)
    plain = agreement(table, "unfair", ["near"], options=SHORT)
    bent = agreement(table.assign(near=np.exp(table["near"])), "unfair", ["near"], options=SHORT)
    turned = agreement(table.assign(near=-table["near"]), "unfair", ["near"], options=SHORT)
    for name in ("spearman", "auc"):
        assert values(bent)[name] == pytest.approx(values(plain)[name])
    for name in ("point_biserial", "pearson", "spearman"):
        assert values(turned)[name] == pytest.approx(-values(plain)[name])
    assert values(turned)["auc"] == pytest.approx(1 - values(plain)["auc"])


def test_a_difference_is_the_difference_of_what_both_have():
    table = judged(8)
    table.loc[table["id"].isin(["e1", "e2"]), "far"] = None
    found = agreement(table, "unfair", ["near", "far"], options=SHORT)
    same = agreement(table[~table["id"].isin(["e1", "e2"])], "unfair", ["near", "far"], options=SHORT)
    (pair,) = found.contrasts
    assert (found.figures[0].n, found.figures[1].n, pair.n) == (40, 38, 38)
    assert found.figures[1].left_out == {"no figure": 2} and found.figures[0].left_out == {}
    for name, estimate in pair.differences.items():
        assert estimate.value == pytest.approx(values(same)[name] - values(same, "far")[name])
        assert estimate.interval.low <= estimate.value <= estimate.interval.high
    first, share, _ = by_example(table[~table["id"].isin(["e1", "e2"])])
    for measure, r in (("pearson", scipy.stats.pearsonr), ("spearman", scipy.stats.spearmanr)):
        rs = [float(r(a, b).statistic) for a, b in ((share, first["near"]), (share, first["far"]), (first["near"], first["far"]))]
        for test, formula in (("williams", williams), ("steiger", steiger)):
            assert pair.tests[measure][test].statistic == pytest.approx(formula(*rs, 38).statistic)
            assert pair.tests[measure][test].p_holm is None


def test_three_figures_are_corrected():
    table = judged(9).assign(third=lambda t: -t["far"])
    found = agreement(table, "unfair", ["near", "far", "third"], options=VALUE_ALONE)
    assert [(c.first, c.second) for c in found.contrasts] == [("near", "far"), ("near", "third"), ("far", "third")]
    ps = [c.tests["spearman"]["steiger"].p for c in found.contrasts]
    assert [c.tests["spearman"]["steiger"].p_holm for c in found.contrasts] == pytest.approx(holm(ps))
    assert found.contrasts[2].tests["pearson"]["williams"].undefined.startswith("one figure is the other one turned round")
    assert found.contrasts[0].tests["pearson"]["williams"].p_holm == pytest.approx(
        holm([c.tests["pearson"]["williams"].p for c in found.contrasts[:2]])[0]
    )


@pytest.mark.slow
def test_intervals_are_those_of_an_independent_bootstrap():
    table = judged(10, n=60, people=1)
    found = agreement(table, "unfair", ["near", "far"], options=AgreementOptions(measure=MeasureOptions(draws=2000)))
    first, share, _ = by_example(table)
    near, far = first["near"].to_numpy(), first["far"].to_numpy()
    rng = np.random.default_rng(0)
    drawn = []
    for rows in rng.integers(0, 60, (2000, 60)):
        both = [scipy.stats.rankdata(v[rows]) for v in (near, far, share)]
        r = np.corrcoef(both)
        drawn.append((np.corrcoef(near[rows], share[rows])[0, 1], r[0, 2] - r[1, 2]))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    for number, interval in enumerate(
        (found.figures[0].estimates["pearson"].interval, found.contrasts[0].differences["spearman"].interval)
    ):
        assert (interval.low, interval.high) == pytest.approx((low[number], high[number]), abs=0.03)
        assert interval.method == "bootstrap, percentile, 2000 draws over 60 examples"


def test_clusters_are_drawn_together():
    table = judged(11, n=40, people=1)
    clustered = table.assign(cluster=[f"c{i // 4}" for i in range(40)])
    alone = agreement(table.assign(cluster=table["id"]), "unfair", ["near"], options=SHORT)
    found = agreement(clustered, "unfair", ["near"], options=SHORT)
    assert alone.figures[0].estimates["auc"].interval.method.endswith("40 examples")
    assert not [w for w in alone.warnings if "clusters" in w and "share" in w]
    assert found.figures[0].estimates["auc"].interval.method.endswith("10 clusters")
    assert any("share clusters" in w for w in found.warnings)
    elsewhere = agreement(
        table.drop(columns=["near", "far"]), "unfair", ["near"], [clustered[["id", "near", "cluster"]]], options=SHORT
    )
    assert elsewhere.figures[0].estimates["auc"] == found.figures[0].estimates["auc"]
    judges_first = agreement(
        clustered[["id", "unfair", "cluster"]], "unfair", ["near"], [table[["id", "near"]].assign(cluster="all")], options=SHORT
    )
    assert judges_first.figures[0].estimates["auc"] == found.figures[0].estimates["auc"]


@pytest.mark.parametrize(
    ("unfair", "move", "said"),
    [
        ([0, 1], [1.0, 2.0], {"point_biserial": "2 examples, wanted at least 3", "auc": "2 examples, wanted at least 3"}),
        ([0, 1, 1, 0], [0.1 + 0.2, 0.3, 0.3, 0.3], dict.fromkeys(("pearson", "auc"), "the figure is the same for every example")),
        ([0, 0, 0, 0], [1.0, 2.0, 3.0, 4.0], dict.fromkeys(("spearman", "auc"), "every example is judged fair")),
        ([1, 1, 1, 1], [1.0, 2.0, 3.0, 4.0], dict.fromkeys(("spearman", "auc"), "every example is judged unfair")),
        ([0, 1, 1, 0], [None, None, None, None], dict.fromkeys(("pearson", "auc"), "0 examples, wanted at least 3")),
    ],
)
def test_undefined_has_a_reason(unfair, move, said):
    table = pd.DataFrame({"id": range(len(unfair)), "unfair": unfair, "move": move, "other": range(len(unfair))})
    found = agreement(table, "unfair", ["move", "other"], options=SHORT)
    estimates = found.figures[0].estimates
    assert {name: estimates[name].undefined for name in said} == said
    assert all(e.value is None and e.interval is None and e.p is None for e in estimates.values())
    assert all(e.value is None and e.undefined for e in found.contrasts[0].differences.values())
    assert all(t.undefined for tests in found.contrasts[0].tests.values() for t in tests.values())
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["figures"][0]["estimates"]["auc"]["value"] is None


def test_warnings_say_what_the_numbers_can_not_bear():
    rng = np.random.default_rng(12)
    once = agreement(judged(12, n=30, people=1), "unfair", ["near"], options=SHORT).warnings
    assert any("judged once" in w for w in once) and any("not to be relied on" in w for w in once)
    noise = pd.DataFrame({"id": np.repeat(range(80), 2), "unfair": rng.integers(0, 2, 160)}).assign(x=lambda t: t["id"] % 7)
    assert any("by chance alone" in w for w in agreement(noise, "unfair", ["x"], options=SHORT).warnings)
    assert agreement(judged(13, n=120), "unfair", ["near"], options=SHORT).warnings == ()


@pytest.mark.slow
def test_a_skewed_figure_that_misleads_williams_is_warned_of():
    """With heavy tails and rare judgements Williams' t rejects too often; where it disagrees with the bootstrap this is said."""
    rng = np.random.default_rng(0)
    said = 0
    for sample in trivariate(rng, 15, 200, 0.5, 0.5, 0.5):
        table = pd.DataFrame({
            "id": range(200), "unfair": (sample[:, 0] > 1.28).astype(int), "a": np.exp(1.5 * sample[:, 1]),
            "b": np.exp(1.5 * sample[:, 2]),
        })  # fmt: skip
        found = agreement(table, "unfair", ["a", "b"], options=SHORT)
        p, interval = found.contrasts[0].tests["pearson"]["williams"].p, found.contrasts[0].differences["pearson"].interval
        disagree = (p < 0.05) == (interval.low <= 0 <= interval.high)
        assert disagree == any("disagree on the pearson" in w for w in found.warnings)
        said += disagree
    assert said >= 2


def variants() -> pd.DataFrame:
    rng = np.random.default_rng(14)
    rows = []
    for i in range(12):
        rows.append({"id": f"e{i}", "source": None, "probs": rng.dirichlet(np.ones(2)).tolist()})
        rows += [{"id": f"e{i}/{k}", "source": f"e{i}", "probs": rng.dirichlet(np.ones(2)).tolist()} for k in range(i % 4)]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_counterfactual_figure_is_that_of_the_metric(classes: int):
    answers = variants()
    rng = np.random.default_rng(15)
    answers["probs"] = [rng.dirichlet(np.ones(classes)).tolist() for _ in range(len(answers))]
    gaps = counterfactual_gaps(answers)
    assert set(gaps) == {f"e{i}" for i in range(12) if i % 4}
    ready = answers.assign(probs=[np.array(p) for p in answers["probs"]])
    one = np.ones((1, len(answers)))
    assert np.mean(list(gaps.values())) == pytest.approx(counterfactual_token_fairness(ready, one)[0])
    for positive in range(classes):
        alone = counterfactual_token_fairness(ready, one, positive=positive, distance="positive")[0]
        assert np.mean(list(counterfactual_gaps(answers, positive).values())) == pytest.approx(alone)
    by_hand = np.mean([abs(np.array(p) - np.array(answers["probs"][3])).sum() / 2 for p in answers["probs"][4:6]])
    assert gaps["e2"] == pytest.approx(by_hand)


def test_figures_come_from_answers_joined_by_id():
    answers = variants()
    judgements = pd.DataFrame({"id": [f"e{i}" for i in range(10)] + ["gone", "e11"], "unfair": [0, 1] * 5 + [1, None]})
    found = agreement(judgements, "unfair", ["counterfactual"], [answers], VALUE_ALONE)
    (one,) = found.figures
    # e10, e11 stand in the answers and nobody judged them; e0, e4, e8 have no variant and "gone" is in no answers.
    assert one.left_out == {"no annotation": 2, "no figure": 4} and one.n == 7
    gaps = counterfactual_gaps(answers)
    used = [key for key in judgements["id"][:10] if key in gaps]
    assert one.estimates["pearson"].value == pytest.approx(
        scipy.stats.pearsonr([gaps[k] for k in used], [int(k[1:]) % 2 for k in used]).statistic
    )


def test_rows_that_a_probe_left_out_have_no_figure():
    answers = pd.DataFrame(
        {"id": range(6), "move": [1.0, 2, 3, 4, 5, np.nan], "left_out": [None, "too long", None, None, None, ""]}
    )
    judgements = pd.DataFrame({"id": [str(i) for i in range(6)], "unfair": [0, 1, 1, 0, 1, 1]})
    found = agreement(judgements, "unfair", ["move"], [answers], VALUE_ALONE)
    assert found.figures[0].left_out == {"no figure": 2} and found.figures[0].n == 4


def test_a_figure_of_the_second_answers_file():
    table = judged(16, people=1)
    first, second = table[["id", "near"]], table[["id", "far"]].rename(columns={"far": "near"})
    found = agreement(table[["id", "unfair"]], "unfair", ["near@1", "near@2"], [first, second], VALUE_ALONE)
    both = agreement(table, "unfair", ["near", "far"], options=VALUE_ALONE)
    assert values(found, "near@2") == values(both, "far") and values(found, "near@1") == values(both, "near")


def test_people_in_rows_or_in_columns_are_the_same():
    table = judged(17)
    wide = table.pivot(index="id", columns="annotator", values="unfair").reset_index()
    wide = wide.merge(table.drop_duplicates("id")[["id", "near", "far"]], on="id")
    rows, columns = (
        agreement(table, "unfair", ["near", "far"], options=SHORT),
        agreement(wide, ["p0", "p1", "p2"], ["near", "far"], options=SHORT),
    )
    assert rows.people.annotators == columns.people.annotators == 3
    assert rows.people == columns.people
    a, b = (f.to_frame().drop(columns=["figure", "minus", "measure", "undefined"]).to_numpy(dtype=float) for f in (rows, columns))
    assert np.allclose(a, b, equal_nan=True, atol=1e-12)
    unnamed = agreement(table.drop(columns="annotator"), "unfair", ["near"], options=VALUE_ALONE)
    assert unnamed.people.annotators is None and unnamed.people.alpha.value == rows.people.alpha.value


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"id": [1, 2, 3], "unfair": [0, 1, 0], "move": [1.0, 2.0, 3.0], **columns})


@pytest.mark.parametrize(
    ("table", "annotation", "columns", "answers", "said"),
    [
        (frame(unfair=[0, 2, 1]), "unfair", ["move"], [], "row 2, column 'unfair': found 2, wanted 0"),
        (frame(unfair=["fair", "fair", "fair"]), "unfair", ["move"], [], "row 1, column 'unfair': found 'fair'"),
        (frame(unfair=[None] * 3), "unfair", ["move"], [], "No row has a judgement"),
        (frame(), "unfiar", ["move"], [], "Did you mean unfair?"),
        (frame(), "unfair", ["moves"], [], "Did you mean move?"),
        (frame(), "unfair", ["counterfactual"], [], "probs and source"),
        (frame().iloc[:0], "unfair", ["move"], [], "no rows"),
        (frame(id=[1, None, 3]), "unfair", ["move"], [], "row 2, column 'id': the value is empty"),
        (frame(id=[1, 1, 3]), "unfair", ["move"], [], "found 2 for the example '1', which has 1 before"),
        (
            frame(id=[1, 1, 3], move=1.0, annotator="ann"),
            "unfair",
            ["move"],
            [],
            "Rows 1 and 2: ann judges the example '1' twice",
        ),
        (frame(move=["a", "b", "c"]), "unfair", ["move"], [], "row 1, column 'move': found 'a', wanted one number"),
        (frame(), "unfair", ["move", "move"], [], "named twice"),
        (frame(), "unfair", ["unfair"], [], "as a judgement and as a figure"),
        (frame(), "unfair", [], [], "at least one column"),
        (frame(), "unfair", ["x"], [pd.DataFrame({"id": ["a", "b"], "x": [1, 2]})], "found '1', '2', '3' and 'a', 'b'"),
        (frame(), "unfair", ["x"], [pd.DataFrame({"id": [1, 1], "x": [1, 2]})], "rows 1 and 2: both have the id '1'"),
        (frame(), "unfair", ["x"], [pd.DataFrame({"x": [1, 2]})], "have no column 'id'"),
        (frame(), "unfair", ["move"], [frame()], "several tables: the judgements, answers 1"),
        (frame(), "unfair", ["move@2"], [frame()], "found 1 tables of answers, wanted at least 2"),
        (frame(a=[0, 1, 0]), ["unfair", "a"], ["move"], [], "can't say who judged"),
        (frame(probs=[[0.5, 0.4]] * 3, source=None), "unfair", ["counterfactual"], [], "sum to 0.9"),
    ],
)
def test_wrong_tables_are_refused(table, annotation, columns, answers, said):
    options = AgreementOptions(annotator="id") if isinstance(annotation, list) else SHORT
    with pytest.raises(FairbenchError) as error:
        agreement(table, annotation, columns, answers, options)
    assert said in str(error.value)


def test_no_class_positive_is_refused():
    with pytest.raises(FairbenchError, match="2 classes"):
        counterfactual_gaps(variants(), 2)


@pytest.mark.parametrize("module", [fairbench.agreement, fairbench.correlations, fairbench.judgements])
def test_examples_are_right(module):
    failed, attempted = doctest.testmod(module)
    assert attempted > 0 and failed == 0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's files."""
    for name, text in zip(("judgements.csv", "answers.csv"), re.findall(r"```csv\n(.*?)```", DOCS, flags=re.S), strict=True):
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path


def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["fairbench", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


@pytest.mark.parametrize("line", re.findall(r"^fairbench agreement .*", DOCS, flags=re.M))
def test_the_commands_of_the_page_run(folder, line, monkeypatch, capsys):
    code, out, err = command(monkeypatch, capsys, *shlex.split(line)[1:], "--draws", "100")
    assert code == 0, err
    assert ("Krippendorff" in out) != ("--json" in line)


@pytest.mark.slow
def test_the_python_of_the_page_runs(folder):
    (text,) = re.findall(r"```python\n(.*?)```", DOCS, flags=re.S)
    done = subprocess.run([sys.executable, "-c", text], cwd=folder, text=True, capture_output=True)
    assert done.returncode == 0 and "point_biserial" in done.stdout, done.stderr


def test_the_command_prints_figures_differences_and_what_was_left_out(folder, monkeypatch, capsys):
    with (folder / "answers.csv").open("a") as file:
        file.write('5,,"[0.5, 0.5]",0.03\n')
    code, out, _ = command(monkeypatch, capsys, "agreement", "judgements.csv", "answers.csv", "--draws", "50")
    assert code == 0
    assert "4 examples, 12 judgements of 3 people (3 an example); 50 % unfair; 0 ties" in out
    assert "sensitivity - counterfactual" in out and "Williams p" in out
    assert "sensitivity: 1 left out, no annotation" in out
    assert out.count("Pearson r  ") == 3 and "not to be relied on" in out
    alone = command(
        monkeypatch, capsys, "agreement", "judgements.csv", "answers.csv", "--columns", "sensitivity", "--draws", "0"
    )[1]
    assert "Williams" not in alone


def test_of_one_judgement_an_example_one_correlation_is_shown(folder, monkeypatch, capsys):
    table = judged(18, people=1).drop(columns="annotator")
    table.to_parquet(folder / "one.parquet")
    out = command(monkeypatch, capsys, "agreement", "one.parquet", "--columns", "near,far", "--draws", "50")[1]
    assert "Pearson r  " not in out and "Krippendorff's alpha: undefined, no example was judged by two people" in out
    row = next(line for line in out.splitlines() if line.startswith("near - far"))
    found = agreement(table, "unfair", ["near", "far"], options=SHORT)
    assert f"{found.contrasts[0].tests['pearson']['williams'].p:.2g}" in row


def test_the_result_is_saved_and_printed_as_json(folder, monkeypatch, capsys):
    asked = ("agreement", "judgements.csv", "answers.csv", "--output-path", "made/out.json", "--draws", "50")
    code, out, err = command(monkeypatch, capsys, *asked, "--json")
    assert code == 0 and err == ""
    content = json.loads(out)
    assert content == json.loads((folder / "made" / "out.json").read_text())
    assert content["annotations"]["path"] == "judgements.csv" and len(content["annotations"]["sha256"]) == 64
    assert content["people"]["annotators"] == 3 and content["measure"] == {"level": 0.95, "draws": 50, "seed": 1234}
    assert {one["figure"] for one in content["figures"]} == {"sensitivity", "counterfactual"}
    assert "Saved in made/out.json" in command(monkeypatch, capsys, *asked)[1]


def test_files_of_every_kind_give_the_same(folder, monkeypatch, capsys):
    table = pd.read_csv(folder / "judgements.csv")
    table.to_parquet(folder / "judgements.parquet")
    table.astype({"id": str}).to_json(folder / "judgements.jsonl", orient="records", lines=True)
    found = [
        json.loads(command(monkeypatch, capsys, "agreement", f"judgements.{kind}", "answers.csv", "--draws", "50", "--json")[1])
        for kind in ("csv", "parquet", "jsonl")
    ]
    assert found[0]["figures"] == found[1]["figures"] == found[2]["figures"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere.csv",), "no such file"),
        (("judgements.csv", "--columns", "sensitivity"), "no column 'sensitivity'"),
        (("judgements.csv", "answers.csv", "--id", "idd"), "Did you mean id?"),
        (("judgements.csv", "answers.csv", "--annotator", "who"), "no column 'who'"),
        (("judgements.csv", "answers.csv", "--output-path", "answers.csv"), "one of the files to be read"),
        (("judgements.csv", "answers.csv", "--output-path", "."), "is a folder"),
        (("judgements.csv", "answers.csv", "--positive", "5"), "2 classes"),
    ],
)
def test_wrong_requests_end_in_one_paragraph(folder, monkeypatch, capsys, arguments, said):
    code, out, err = command(monkeypatch, capsys, "agreement", *arguments)
    assert code == 2 and out == ""
    text = err.strip()
    assert text.startswith("fairbench: ") and "\n" not in text and said in text
