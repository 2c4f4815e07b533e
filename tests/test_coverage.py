"""scripts/interval_coverage.py in small: truths are true, intervals hold them about as often as they say, Holm keeps its word."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry

ROOT = Path(__file__).parents[1]


def script(name: str):
    """A script as a module; its siblings are found beside it."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


made, paired, runner = (script(name) for name in ("coverage_cases", "coverage_pairs", "interval_coverage"))
REGISTRY = Registry()
SMALL = {case.name: case for case in made.cases((50,), (8,))}
LARGE = {case.name: case for case in made.cases((1_000,), (100,))}
KEPT = ROOT / "results" / "simulations" / "coverage.json"


def metric_of(case):
    return REGISTRY.metric(case.metric).with_options(case.options)


@pytest.mark.parametrize("name", list(LARGE))
def test_the_truth_is_what_a_large_sample_comes_to(name: str):
    """Of a large sample the value is near the truth: within twice the reach of its interval."""
    case = LARGE[name]
    metric = metric_of(case)
    table = next(made.tables(metric, case.fixed, case.make, made.seed_of("large", 0)))
    value, found = runner.interval_found(metric, table, MeasureOptions(draws=60, seed=1))
    assert found is not None
    assert found.low - (value - found.low) <= case.truth <= found.high + (found.high - value)


@pytest.mark.parametrize("name", list(SMALL))
def test_intervals_hold_the_truth_about_as_often_as_they_say(name: str):
    """In 50 sets at least 40: at a true coverage of 92 % fewer are seen once in 400 times."""
    case = SMALL[name]
    cell = runner.coverage(case, REGISTRY.metric(case.metric), 50, 200)
    assert cell["covered"] >= 40
    assert cell["covered"] + cell["too_low"] + cell["too_high"] + cell["no_interval"] == 50
    assert cell["share"] == cell["covered"] / 50 and cell["mean_width"] > 0


@pytest.mark.parametrize("name", list(SMALL)[::3])
def test_an_interval_is_the_one_that_the_score_has(name: str):
    """What is simulated is what `measure` gives: only p and floor are left out."""
    case = SMALL[name]
    metric, how = metric_of(case), MeasureOptions(draws=40, seed=3, by_group=False)
    table = next(made.tables(metric, case.fixed, case.make, made.seed_of(case.name)))
    value, found = runner.interval_found(metric, table, how)
    score = measure(metric, table, how)
    assert value == pytest.approx(score.value, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((score.interval.low, score.interval.high), abs=1e-12)
    assert found.method == score.interval.method


@pytest.mark.parametrize("name", list(SMALL)[::4])
def test_another_truth_is_not_held(name: str):
    """The simulation can fail: far from the truth the intervals are not."""
    case = SMALL[name]
    wide = runner.coverage(case, REGISTRY.metric(case.metric), 4, 100)["mean_width"]
    cell = runner.coverage(dataclasses.replace(case, truth=case.truth + 3 * wide), REGISTRY.metric(case.metric), 10, 100)
    assert cell["covered"] == 0 and cell["too_low"] == 10 - cell["no_interval"] and not cell["meets"]


def test_a_percentile_interval_of_an_unsigned_gap_never_holds_zero():
    """Why disparities have simultaneous intervals: what the simulation says of the other kind."""
    case = next(c for c in SMALL.values() if c.metric == "demographic_parity_difference" and c.truth == 0)
    metric = metric_of(case)
    plain = dataclasses.replace(
        metric, disparity=None, info=dataclasses.replace(metric.info, interval="bootstrap", p_value="none")
    )
    assert runner.coverage(case, REGISTRY.metric(case.metric), 20, 100)["covered"] >= 15
    drawn = made.tables(metric, case.fixed, case.make, made.seed_of(case.name))
    found = [runner.interval_found(plain, next(drawn), MeasureOptions(draws=100, seed=i))[1] for i in range(20)]
    assert sum(f is not None and f.low <= 0 for f in found) <= 2


def test_a_cell_is_the_same_again_and_another_seed_is_another_set():
    case = SMALL[next(iter(SMALL))]
    first, again = (runner.coverage(case, REGISTRY.metric(case.metric), 5, 50) for _ in range(2))
    assert first == again
    metric = metric_of(case)
    a, b = itertools.islice(made.tables(metric, case.fixed, case.make, made.seed_of(case.name)), 2)
    assert not a["score_more"].equals(b["score_more"]) and a["id"].equals(b["id"])


def test_names_of_cells_are_different():
    names = [(part, name) for part, name, _ in runner.jobs(1, 1, 1)]
    assert len(set(names)) == len(names) > 150


@pytest.mark.parametrize("name", [n for n, _ in paired.families(REGISTRY, 1) if "n=200" not in n])
def test_holm_keeps_the_error_of_a_family(name: str):
    """Of 20 families at most four may reject: at 5 % more are seen once in 390 times."""
    cell = dict(paired.families(REGISTRY, 20))[name]()
    assert cell["share"] <= 4 / 20 and cell["share"] <= cell["any_uncorrected"]
    assert 0 < cell["single_tests"] < 0.15  # the tests do reject now and then


def test_a_family_with_an_effect_is_seen():
    """The simulation of families can fail: where the model is other than the baseline, the test says so."""
    metric = REGISTRY.metric("crows_pairs_margin")
    case = next(c for c in paired.pair_cases() if c.metric == metric.name and c.n == 50)
    pair = paired.Paired(metric, *next(paired.data_sets(dataclasses.replace(case, after=5.0), metric)), MeasureOptions(draws=200))
    for test in ("sign flips", "models exchanged", "paired bootstrap inverted"):
        assert paired.one_p(test, pair) <= 0.01


PAIRS = {case.name: case for case in paired.pair_cases() if case.n == 50}


@pytest.mark.parametrize("name", list(PAIRS)[::3])
def test_the_difference_of_two_models_is_held(name: str):
    case = PAIRS[name]
    cell = paired.compared(case, REGISTRY.metric(case.metric), 30, 150)
    assert cell["covered"]["interval"] >= 23 and cell["covered"]["differences_and_sums"] >= 25
    assert cell["covered"]["worse_by"] >= 25


@pytest.mark.parametrize("name", [n for n in PAIRS if "50 and 60" in n or "0.05 and 0.2" in n])
def test_the_populations_of_two_models_are_as_far_apart_as_they_say(name: str):
    """Over many sets the mean of signed figures is the truth; of unsigned ones their signed gaps are taken."""
    case = PAIRS[name]
    metric = REGISTRY.metric(case.metric)
    seen = []
    for tables in itertools.islice(paired.data_sets(case, metric), 60):
        found, _ = paired.drawn_of(metric, paired.Paired(metric, *tables, MeasureOptions(draws=2)))
        seen.append((found.seen_before, found.seen_after))
    before, after = np.mean(seen, axis=0)
    assert np.abs(before).max() == pytest.approx(abs(case.before - case.ideal), abs=4 * np.std(seen, axis=0).max() / 60**0.5)
    assert np.abs(after).max() == pytest.approx(abs(case.after - case.ideal), abs=4 * np.std(seen, axis=0).max() / 60**0.5)


def test_the_bound_by_differences_and_sums():
    """|a| - |b| = max(min(d, s), min(-d, -s)); with hardly any noise the bound is that, and it rises with the level."""
    rng = np.random.default_rng(0)
    for before, after in ((0.3, 0.1), (-0.3, 0.5), (0.0, 0.0), (0.2, -0.2)):
        d, s = after - before, after + before
        assert max(min(d, s), min(-d, -s)) == pytest.approx(abs(after) - abs(before))
        noise = rng.normal(0, 1, (2, 4_000, 1))
        exact, wide, wider = (
            paired.Drawn(before + e * noise[0], after + e * noise[1], np.array([before]), np.array([after])).bound(level)
            for e, level in ((1e-9, 0.9), (0.1, 0.9), (0.1, 0.99))
        )
        assert exact == pytest.approx(abs(after) - abs(before), abs=1e-7)
        assert exact < wide < wider
    assert np.isnan(paired.Drawn(*np.zeros((2, 10, 1)), np.zeros(1), np.zeros(1)).bound(0.9))


def test_the_bound_of_several_gaps_is_never_below_the_change_that_was_seen():
    rng = np.random.default_rng(1)
    for _ in range(50):
        seen = rng.normal(0, 0.2, (2, 6))
        drawn = seen[:, None] + rng.normal(0, 0.05, (2, 300, 6))
        found = paired.Drawn(*drawn, *seen)
        change = np.abs(seen[1]).max() - np.abs(seen[0]).max()
        assert found.bound(0.5) >= change - 1e-12
        assert -found.turned().bound(0.5) <= change + 1e-12


def test_the_bound_of_the_package_is_the_one_by_differences_and_sums():
    """Written twice, they agree: `largest_worse_by` of the package, and the bound of the simulation."""
    case = next(c for c in PAIRS.values() if c.metric == "demographic_parity_difference" and c.before < c.after)
    metric = REGISTRY.metric(case.metric)
    for tables in itertools.islice(paired.data_sets(case, metric), 3):
        found, bounds = paired.drawn_of(metric, paired.Paired(metric, *tables, MeasureOptions(draws=300)))
        assert bounds["worse_by"] == pytest.approx(found.bound(1 - 2 * paired.ALPHA))
        assert bounds["own_intervals"] > bounds["worse_by"]


def test_the_kept_file_holds_cells_of_this_script_and_the_page_its_tables():
    content = json.loads(KEPT.read_text(encoding="utf-8"))
    known = {(part, name) for part, name, _ in runner.jobs(1, 1, 1)}
    assert {(part, name) for part, cells in content.items() for name in cells} <= known
    for cell in content["intervals"].values():
        assert cell["covered"] + cell["too_low"] + cell["too_high"] + cell["no_interval"] == cell["sets"] >= 500
        assert cell["share"] == cell["covered"] / cell["sets"]
        assert cell["meets"] == (cell["bar"][0] <= cell["share"] <= cell["bar"][1])
    page = (ROOT / "docs" / "uncertainty.md").read_text(encoding="utf-8")
    assert runner.with_tables(page, content) == page
    with pytest.raises(ValueError, match="no place for the table signed"):
        runner.with_tables("no tables", content)
