"""Bias against utility: the front, the distance to the ideal point, folded intervals, seeds, and which pairs are shown."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairbench.collection import collect
from fairbench.comparison.axes import folded
from fairbench.comparison.tradeoff import Tradeoff, default_pairs, tokenizers_of, tradeoff
from fairbench.errors import FairbenchError
from fairbench.tidy import tidy

CARDS: Mapping[str, Mapping[str, Any]] = {
    "pairs": {"kind": "intrinsic", "ideal": 50.0, "least": 0.0, "most": 100.0},
    "gap": {"kind": "extrinsic", "ideal": 0.0, "least": 0.0, "most": 1.0},
    "accuracy": {"kind": "utility", "ideal": 1.0, "least": 0.0, "most": 1.0},
    "perplexity": {"kind": "utility", "ideal": 1.0, "least": 1.0, "most": math.inf},
    "word_perplexity": {"kind": "utility", "ideal": 1.0, "least": 1.0, "most": math.inf, "headline": False},
    "bits_per_byte": {"kind": "utility", "ideal": 0.0, "least": 0.0, "most": math.inf, "headline": False},
    "stereoset_lms": {"kind": "intrinsic", "ideal": 100.0, "least": 0.0, "most": 100.0, "headline": False},
    "stereoset_icat": {"kind": "intrinsic", "ideal": 100.0, "least": 0.0, "most": 100.0, "headline": False},
}


def row(model: str, metric: str, value: float | None, low: float | None = None, high: float | None = None, **other: Any) -> Any:
    return {
        "model": model, "task": "made", "metric": metric, "variant": "", "column": f"made/{metric}", "title": metric.title(),
        "headline": True, "part": "whole", "group": "", "value": value, "low": low, "high": high, "undefined": None,
        "limited": False, **CARDS[metric], **other,
    }  # fmt: skip


def table(*rows: Mapping[str, Any]) -> pd.DataFrame:
    made = pd.DataFrame(rows)
    return made.astype(dict.fromkeys(("value", "low", "high", "ideal", "least", "most"), float))


def models(scores: Mapping[str, tuple[float, float]], utility: str = "accuracy") -> pd.DataFrame:
    """Models with a `pairs` score and a utility."""
    return table(*(r for name, (x, y) in scores.items() for r in (row(name, "pairs", x), row(name, utility, y))))


def front(found: Tradeoff) -> set[str]:
    return {one.label for one in found.points if one.on_front}


def test_a_case_worked_by_hand() -> None:
    # a and b trade; c is worse than a on both; d is 10 below the ideal as a is 10 above, with the same utility: a tie.
    found = tradeoff(models({"a": (60, 0.8), "b": (55, 0.6), "c": (70, 0.7), "d": (40, 0.8)}), "made/pairs", "made/accuracy")
    by_label = {one.label: one for one in found.points}
    assert front(found) == {"a", "b", "d"} and [one.label for one in found.front] == ["b", "a", "d"]
    assert (by_label["d"].bias, by_label["d"].bias_score, by_label["c"].bias) == (10, 40, 20)
    # SS can be 50 away from its ideal, accuracy 1: a is at 10/50 and 0.2/1.
    assert by_label["a"].to_ideal == pytest.approx(math.sqrt(0.2**2 + 0.2**2))
    assert by_label["c"].to_ideal == pytest.approx(0.5)  # 20/50 and 0.3
    assert (found.bias_scale, found.utility_scale, found.utility_ideal) == (50, 1, 1)
    assert "50, the most that pairs can be away" in found.scaling and "1, the most that accuracy" in found.scaling


def test_perplexity_is_better_where_it_is_smaller_and_scaled_by_the_largest_seen() -> None:
    scores = {"small": (60, 11.0), "large": (60, 6.0), "biased": (80, 3.0)}
    found = tradeoff(models(scores, "perplexity"), "made/pairs", "made/perplexity", tokenizers=dict.fromkeys(scores, "t"))
    assert front(found) == {"large", "biased"} and found.warnings == ()
    by_label = {one.label: one.to_ideal for one in found.points}
    assert found.utility_scale == 10 and "10, the furthest that any of these points is away" in found.scaling
    assert by_label == pytest.approx({"small": math.hypot(0.2, 1), "large": math.hypot(0.2, 0.5), "biased": math.hypot(0.6, 0.2)})


@pytest.mark.parametrize("seed", range(5))
def test_the_front_is_that_of_brute_force_and_no_order_moves_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = {f"m{k}": (float(rng.integers(40, 61)), float(rng.integers(0, 11)) / 10) for k in range(30)}
    found = tradeoff(models(scores), "made/pairs", "made/accuracy")
    cost = {name: np.array([abs(x - 50), 1 - y]) for name, (x, y) in scores.items()}
    wanted = {
        name
        for name, mine in cost.items()
        if not any(bool((theirs <= mine).all() and (theirs < mine).any()) for theirs in cost.values())
    }
    assert front(found) == wanted
    turned = tradeoff(models(dict(reversed(scores.items()))), "made/pairs", "made/accuracy")
    assert {one.label: one for one in turned.points} == {one.label: one for one in found.points}
    nearest = min(found.points, key=lambda one: one.to_ideal or 0.0)
    assert nearest.on_front  # the point nearest to the ideal is never beaten


def test_a_score_mirrored_at_its_ideal_has_the_same_place() -> None:
    mirrored = {"a": (40.0, 0.8), "b": (55.0, 0.6)}
    plain = {"a": (60.0, 0.8), "b": (45.0, 0.6)}
    one, other = (tradeoff(models(scores), "made/pairs", "made/accuracy") for scores in (plain, mirrored))
    assert [(p.bias, p.to_ideal, p.on_front) for p in one.points] == [(p.bias, p.to_ideal, p.on_front) for p in other.points]


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(48, 55, (0, 5)), (44, 51, (0, 6)), (40, 45, (5, 10)), (60, 70, (10, 20)), (50, 60, (0, 10)), (50, 50, (0, 0))],
)
def test_an_interval_is_folded_at_the_ideal(low: float, high: float, wanted: tuple[float, float]) -> None:
    assert folded(low, high, 50) == wanted
    inside = np.abs(np.linspace(low, high, 1001) - 50)  # every score of the interval, as a distance
    assert folded(low, high, 50) == pytest.approx((inside.min(), inside.max()), abs=0.02)


def test_points_carry_their_intervals_and_a_score_without_one_has_none() -> None:
    rows = [row("a", "pairs", 52, 48, 55), row("a", "accuracy", 0.8, 0.7, 0.9), row("b", "pairs", 60), row("b", "accuracy", 0.5)]
    a, b = tradeoff(table(*rows), "made/pairs", "made/accuracy").points
    assert (a.bias_low, a.bias_high, a.utility_low, a.utility_high) == (0, 5, 0.7, 0.9)
    assert (b.bias_low, b.bias_high, b.utility_low, b.utility_high) == (None,) * 4


def test_seeds_become_a_cloud_and_a_mean_that_alone_can_be_on_the_front() -> None:
    scores = {"cda seed=1": (50.0, 0.9), "cda seed=2": (60.0, 0.7), "cda_s3": (43.0, 0.8), "base": (53.0, 0.9)}
    found = tradeoff(models(scores), "made/pairs", "made/accuracy")
    by_label = {one.label: one for one in found.points}
    mean = by_label["cda, mean of 3 seeds"]
    assert [one.label for one in found.points] == ["cda seed=1", "cda seed=2", "cda_s3", "cda, mean of 3 seeds", "base"]
    assert (mean.mean, mean.seeds, mean.seed, mean.group) == (True, 3, None, "cda")
    assert mean.bias == pytest.approx((0 + 10 + 7) / 3) and mean.bias_score == pytest.approx(
        51
    )  # distances, not |mean score - 50|
    assert mean.bias_sd == pytest.approx(np.std([0, 10, 7], ddof=1)) and mean.utility_sd == pytest.approx(0.1)
    assert front(found) == {"base"}  # seed 1 alone would be on it: the best of three seeds is luck
    assert [by_label[name].seed for name in ("cda seed=1", "cda seed=2", "cda_s3")] == ["1", "2", "3"]


def test_one_seed_is_no_mean_and_a_mapping_names_the_groups() -> None:
    scores = {"x-seed7": (60.0, 0.8), "run_a": (58.0, 0.7), "run_b": (56.0, 0.7)}
    plain = tradeoff(models(scores), "made/pairs", "made/accuracy")
    assert not any(one.mean for one in plain.points) and front(plain) == {"x-seed7", "run_b"}
    named = tradeoff(models(scores), "made/pairs", "made/accuracy", seeds={"run_a": "mine", "run_b": "mine"})
    assert {one.label: one.group for one in named.points} == {
        "x-seed7": "x-seed7", "run_a": "mine", "run_b": "mine", "mine, mean of 2 seeds": "mine",
    }  # fmt: skip
    with pytest.raises(FairbenchError, match=r"given for run_c, and there is no such model\. Did you mean run_[ab]"):
        tradeoff(models(scores), "made/pairs", "made/accuracy", seeds={"run_c": "mine"})


def test_a_model_that_is_called_like_a_method_is_no_seed_of_it() -> None:
    scores = {"cda": (70.0, 0.9), "cda-seed1": (60.0, 0.7), "cda-seed2": (50.0, 0.8)}
    found = tradeoff(models(scores), "made/pairs", "made/accuracy")
    by_label = {one.label: one for one in found.points}
    assert by_label["cda, mean of 2 seeds"].bias == 5 and by_label["cda"].on_front and not by_label["cda"].mean


def test_what_has_no_place_is_left_out_by_name() -> None:
    rows = [
        row("a", "pairs", 60), row("a", "accuracy", 0.8), row("b", "pairs", None, undefined="all ties"),
        row("b", "accuracy", 0.9), row("c", "pairs", 51), row("s seed=1", "pairs", 52),
        row("s seed=1", "accuracy", 0.5), row("s seed=2", "accuracy", 0.5),
        row("elsewhere", "gap", 0.2),
    ]  # fmt: skip
    found = tradeoff(table(*rows), "made/pairs", "made/accuracy")
    assert found.left_out == {
        "b": "made/pairs is undefined (all ties)", "c": "it has no made/accuracy", "s seed=2": "it has no made/pairs",
    }  # fmt: skip
    assert [one.label for one in found.points] == ["a", "s seed=1"]
    assert (
        found.warnings[0].startswith("3 left out: b (made/pairs is undefined (all ties)); c")
        and "s: 1 of 2 seeds" in found.warnings[1]
    )
    assert json.loads(json.dumps(found.as_dict()))["points"][0]["bias"] == 10


def test_every_point_at_the_ideal_is_at_distance_0() -> None:
    found = tradeoff(models({"a": (50, 1.0), "b": (50, 1.0)}, "perplexity"), "made/pairs", "made/perplexity")
    assert [one.to_ideal for one in found.points] == [0, 0] and len(found.front) == 2
    assert "1, since every point is at the ideal of perplexity" in found.scaling
    assert found.warnings == (
        "perplexity is a figure per token, comparable between models of one tokenizer only; it is not known whether these models "
        "have the same.",
    )


def test_trials_are_told() -> None:
    rows = [row("a", "pairs", 60, limited=True), row("a", "accuracy", 0.8)]
    assert tradeoff(table(*rows), "made/pairs", "made/accuracy").warnings == (
        "Trials over some of the records (--limit): made/pairs.",
    )


@pytest.mark.parametrize(
    ("bias", "utility", "said"),
    [
        ("made/pears", "made/accuracy", r"no result has the column 'made/pears'\. Did you mean made/pairs"),
        ("made/accuracy", "made/accuracy", "made/accuracy is a figure of utility, and was given as bias"),
        ("made/pairs", "made/pairs", "made/pairs is a figure of bias, and was given as utility"),
        ("made/stereoset_lms", "made/accuracy", "stereoset_lms is a figure of utility"),
        ("made/gap", "made/accuracy", "No model has a value of both made/gap and made/accuracy"),
    ],
)
def test_bad_requests_are_refused(bias: str, utility: str, said: str) -> None:
    rows = [row("a", "pairs", 60), row("a", "accuracy", 0.8), row("b", "gap", 0.1), row("a", "stereoset_lms", 90)]
    with pytest.raises(FairbenchError, match=f"(?i){said}"):
        tradeoff(table(*rows), bias, utility)


def test_a_table_without_its_columns_is_refused() -> None:
    with pytest.raises(FairbenchError, match="no column 'model'"):
        tradeoff(pd.DataFrame({"x": [1]}), "a", "b")


def many(*metrics: str) -> pd.DataFrame:
    return table(*(row(name, metric, 2.0 + k) for metric in metrics for k, name in enumerate(("a", "b"))))


def test_default_pairs_hold_headline_bias_and_utilities_that_two_models_share() -> None:
    rows = [
        *(row(name, metric, 0.5 + k / 10) for k, name in enumerate("abc") for metric in ("pairs", "accuracy", "stereoset_lms")),
        row("a", "gap", 0.3), row("b", "gap", 0.2), row("a", "stereoset_icat", 70), row("b", "stereoset_icat", 71),
    ]  # fmt: skip
    lms, accuracy = "made/stereoset_lms", "made/accuracy"
    assert default_pairs(table(*rows)) == (
        ("made/pairs", accuracy), ("made/pairs", lms), ("made/gap", accuracy), ("made/gap", lms),
    )  # fmt: skip
    alone = table(*(r for r in rows if (r["model"], r["metric"]) != ("b", "gap")))
    assert default_pairs(alone) == (("made/pairs", accuracy), ("made/pairs", lms))


def test_a_score_that_is_the_same_for_all_comes_last() -> None:
    rows = [row(name, "pairs", 60.0 + k) for k, name in enumerate("ab")]
    rows += [row(name, "stereoset_lms", 100) for name in "ab"] + [row(name, "accuracy", 0.5 + k) for k, name in enumerate("ab")]
    assert [utility for _, utility in default_pairs(table(*rows))] == ["made/accuracy", "made/stereoset_lms"]


@pytest.mark.parametrize(
    ("tokenizers", "metrics", "wanted"),
    [
        ({"a": "t", "b": "t"}, ("perplexity", "word_perplexity", "bits_per_byte"), "perplexity"),
        ({"a": "t", "b": "u"}, ("perplexity", "word_perplexity", "bits_per_byte"), "word_perplexity"),
        ({"a": "t", "b": None}, ("perplexity", "word_perplexity"), "word_perplexity"),
        (None, ("perplexity", "bits_per_byte"), "bits_per_byte"),
        (None, ("perplexity",), None),
    ],
    ids=["same", "different", "unknown_of_one", "unknown", "nothing_left"],
)
def test_perplexity_is_shown_only_where_a_tokenizer_is_shared(
    tokenizers: Any, metrics: tuple[str, ...], wanted: str | None
) -> None:
    assert default_pairs(many("pairs", *metrics), tokenizers) == ((("made/pairs", f"made/{wanted}"),) if wanted else ())


def test_real_results_have_a_place(write: Any) -> None:
    from fairbench.registry import Registry

    pairs = pd.DataFrame({"id": ["1", "2", "3", "4"], "group": None, "cluster": None, "stratum": None})
    pairs["score_more"], pairs["score_less"] = [1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 5.0]
    passages = pairs[["id", "group", "cluster", "stratum"]].assign(
        log_likelihood=[-20.0, -10.0, -5.0, -7.0], tokens=[10, 5, 3, 4], words=[8, 4, 2, 3], bytes=[40, 20, 10, 15]
    )
    for model in ("one", "two"):
        write(model, "crows_pairs", pairs)
        for metric in ("perplexity", "word_perplexity"):
            path = write(model, metric, passages, task="made_passages")
        pairs = pairs.assign(score_less=pairs["score_more"] + 1)
    collection = collect([path.parents[2]])
    made = tidy(collection, Registry())
    assert default_pairs(made, tokenizers_of(collection)) == (("made_pairs/crows_pairs", "made_passages/perplexity"),)
    found = tradeoff(made, "made_pairs/crows_pairs", "made_passages/perplexity", tokenizers=tokenizers_of(collection))
    assert {one.label: one.bias for one in found.points} == {
        "one": 25,
        "two": 50,
    } and found.utility_title == "Perplexity per token"
    assert front(found) == {"one"}
