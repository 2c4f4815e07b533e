"""GAP RMS: the golden figure, its debiased form and correlation by loops, classes that are left out or never predicted."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics.rms_tpr_gap import rms_tpr_gap

from fairbench.disparity.rate_disparity import RateOptions
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry

METRIC = Registry().metric("rms_tpr_gap")
QUICK = MeasureOptions(draws=300)


def table(rates: dict[str, list[float]], sizes: dict[str, list[int]] | None = None) -> pd.DataFrame:
    """For every class the TPR of each group, of 20 records unless `sizes` says otherwise; a wrong answer is the next class."""
    classes = len(next(iter(rates.values())))
    rows = [
        {"group": g, "label": y, "prediction": y if i < round(rate * size) else (y + 1) % classes, "meta.class": f"class {y}"}
        for g, of in rates.items()
        for y, rate in enumerate(of)
        for size in [sizes[g][y] if sizes else 20]
        for i in range(size)
    ]
    return pd.DataFrame(rows)


GOLDEN = {"female": [0.6, 0.3, 0.5], "male": [0.5, 0.5, 0.45]}


def test_the_golden_figure():
    answers = table(GOLDEN)
    assert rms_tpr_gap(answers, np.ones((1, len(answers))))[0] == pytest.approx(0.1322875656, abs=1e-10)


def test_gaps_are_shown_by_class_first_group_minus_second():
    score = measure(METRIC, table(GOLDEN), QUICK)
    assert list(score.by_group) == ["class 0", "class 1", "class 2"]
    assert [of.value for of in score.by_group.values()] == pytest.approx([0.1, -0.2, 0.05])
    for of in score.by_group.values():
        assert of.n == 40 and of.ideal == 0 and of.direction == "+ = female found more often than male"
        assert -1 <= of.interval.low < of.value < of.interval.high <= 1
        assert of.interval.low + of.interval.high == pytest.approx(2 * of.value), "one c for all classes, d +- c se"
    assert score.counts["classes"] == 3 and score.counts["classes_left_out"] == 0


def test_details_by_loops():
    sizes = {"female": [30, 12, 40, 16], "male": [10, 40, 25, 25]}
    rates = {"female": [0.9, 0.25, 0.5, 0.75], "male": [0.6, 0.5, 0.4, 0.72]}
    score = measure(METRIC, table(rates, sizes), QUICK)
    gaps = [f - m for f, m in zip(rates["female"], rates["male"], strict=True)]
    noise = [sum(p[y] * (1 - p[y]) / (n[y] - 1) for p, n in zip(rates.values(), sizes.values(), strict=True)) for y in range(4)]
    share = [f / (f + m) for f, m in zip(sizes["female"], sizes["male"], strict=True)]
    assert score.value == pytest.approx(math.sqrt(sum(g**2 for g in gaps) / 4))
    assert score.details == pytest.approx(
        {
            "debiased_rms": math.sqrt(max(0, sum(g**2 - v for g, v in zip(gaps, noise, strict=True)) / 4)),
            "mean_absolute_gap": sum(map(abs, gaps)) / 4,
            "correlation_with_share_of_first_group": np.corrcoef(gaps, share)[0, 1],
        }
    )
    assert score.details["debiased_rms"] < score.value


def test_the_debiased_figure_is_never_below_zero_and_right_on_average():
    rng = np.random.default_rng(0)
    debiased, plain = [], []
    for _ in range(12):
        rates = {g: (rng.binomial(20, 0.6 + 0.1 * (g == "female"), 40) / 20).tolist() for g in ("female", "male")}
        found = METRIC.disparity.comparison(table(rates), RateOptions())
        debiased.append(METRIC.disparity.further(found)[0]["debiased_rms"] ** 2)
        plain.append(float(found.contrasts.values(found.rates.at(np.ones((1, 1600))))[0]) ** 2)
    assert min(debiased) >= 0
    assert np.mean(debiased) == pytest.approx(0.01, abs=3 * np.std(debiased) / math.sqrt(12))
    assert np.mean(plain) > 0.01 + 3 * np.std(plain) / math.sqrt(12), "the plain figure is too large by the noise"


def test_classes_too_small_are_left_out_and_shown_and_those_never_predicted_count():
    answers = table({"female": [0.8, 0.0, 0.5], "male": [0.5, 0.0, 0.25]}, {"female": [20, 20, 4], "male": [20, 20, 20]})
    score = measure(METRIC, answers, QUICK)
    assert score.value == pytest.approx(math.sqrt((0.3**2 + 0) / 2))
    assert (score.counts["classes"], score.counts["classes_left_out"]) == (2, 1)
    left = score.by_group["class 2"]
    assert left.value == pytest.approx(0.25) and left.interval is None and left.n == 24
    assert left.warnings == ("Fewer than two groups have 10 records: left out of the mean.",)
    assert score.by_group["class 1"].value == 0 and score.by_group["class 1"].interval is None, "no draw differs"
    assert score.n == 80 and score.left_out == {"speaks of no group with enough records": 24}


def test_of_more_than_two_groups_the_largest_minus_the_smallest():
    answers = table({"a": [0.9, 0.5], "b": [0.6, 0.2], "c": [0.7, 0.6]})
    score = measure(METRIC, answers, QUICK)
    assert score.value == pytest.approx(math.sqrt((0.3**2 + 0.4**2) / 2))
    assert [of.value for of in score.by_group.values()] == pytest.approx([0.3, 0.4])
    assert all(0 <= of.interval.low <= of.value <= of.interval.high <= 1 for of in score.by_group.values())
    assert "correlation_with_share_of_first_group" not in score.details
    p, n = {"a": [0.9, 0.5], "b": [0.6, 0.2], "c": [0.7, 0.6]}, 20
    noise = [(p["a"][0] * 0.1 + p["b"][0] * 0.4) / (n - 1), (p["c"][1] * 0.4 + p["b"][1] * 0.8) / (n - 1)]
    assert score.details["debiased_rms"] == pytest.approx(math.sqrt((0.3**2 - noise[0] + 0.4**2 - noise[1]) / 2))


def test_a_class_with_one_group_is_undefined_and_the_others_count():
    answers = table(GOLDEN)
    answers = answers[(answers.label != 1) | (answers.group == "male")]
    score = measure(METRIC, answers, QUICK)
    assert score.value == pytest.approx(math.sqrt((0.1**2 + 0.05**2) / 2))
    assert score.by_group["class 1"].value is None and "fewer than two groups" in score.by_group["class 1"].undefined
