"""What is set against what: every column turned the same way, and the switches that choose columns."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from fairbench.comparison.oriented import configuration, how_turned
from tests.comparison.made_scores import RANGES, found, only, scores, several_notions


@pytest.mark.parametrize(
    ("metric", "text", "turned"),
    [("ceat", "|score|", 0.4), ("crows_pairs", "|score - 50|", 50.4), ("fpr_gap", "as it is", 0.4), ("ratio", "1 - score", 1.4)],
)
def test_every_column_is_turned_so_that_larger_is_more_biased(metric: str, text: str, turned: float) -> None:
    values, other = [-0.4, 0.2, 0.9], scores("fpr_gap" if RANGES[metric][0] == "intrinsic" else "ceat", [0.1, 0.2, 0.4], task="o")
    result = found(scores(metric, values), other)
    pair, inward = only(result), RANGES[metric][0] == "intrinsic"
    assert result.orientation[f"made/{metric}"] == text and (pair.x if inward else pair.y)[0] == pytest.approx(turned)
    assert how_turned(1.0, 1.0, math.inf) == "score - 1"


def test_aligned_pairs_are_of_one_notion() -> None:
    plain, aligned = several_notions(), several_notions(aligned=True)
    assert len(plain.pairs) == 2 * 3 and {pair.intrinsic for pair in plain.pairs} == {"made/crows_pairs", "weat_1/ceat"}
    assert [(pair.intrinsic, pair.extrinsic, pair.notion) for pair in aligned.pairs] == [
        ("made/crows_pairs [gender]", "bios/fpr_gap", "gender"), ("made/crows_pairs [race-color]", "bios/ratio", "race"),
    ]  # fmt: skip
    assert aligned.left_out == {
        "made/crows_pairs": "it is about several notions (gender, race)", "weat_1/ceat": "its groups tell no notion",
        "unknown/fpr_gap": "its groups tell no notion",
    }  # fmt: skip
    assert "Scores in no pair: 3." in aligned.warnings[-1]


def test_one_group_is_set_against_the_same_group_whatever_it_is_called() -> None:
    rng = np.random.default_rng(8)
    women, men, others = (rng.random(8).tolist() for _ in range(3))
    result = found(
        scores("ceat", women, group="female"), scores("ceat", men, group="male"), scores("ceat", others),
        scores("fpr_gap", others, task="made2"), scores("fpr_gap", women, task="made2", group="Women"), aligned=True,
    )  # fmt: skip
    pairs = {(pair.intrinsic, pair.extrinsic): pair for pair in result.pairs}
    assert set(pairs) == {("made/ceat", "made2/fpr_gap"), ("made/ceat [female]", "made2/fpr_gap [Women]")}
    assert all(pair.pearson == pytest.approx(1) and pair.notion == "gender" for pair in pairs.values())
    assert result.left_out == {"made/ceat [male]": "no extrinsic score is about gender: male"}


def test_the_rates_of_a_disparitys_groups_tell_its_notion_and_are_no_scores() -> None:
    rng = np.random.default_rng(6)
    result = found(
        scores("ceat", rng.random(8).tolist(), task="weat_6"), scores("fpr_gap", rng.random(8).tolist(), task="own"),
        scores("fpr_gap", rng.random(8).tolist(), task="own", group="Women", ideal=None), aligned=True,
    )  # fmt: skip
    assert (only(result).extrinsic, only(result).notion, result.left_out) == ("own/fpr_gap", "gender", {})


def test_clean_takes_the_scores_over_unflagged_records_where_there_are_some() -> None:
    rng = np.random.default_rng(9)
    noisy, clean, other, y = (rng.random(8).tolist() for _ in range(4))
    columns = (
        scores("crows_pairs", noisy), scores("crows_pairs", clean, part="clean"), scores("ceat", other), scores("fpr_gap", y),
    )  # fmt: skip
    plain, cleaned = found(*columns), found(*columns, clean=True)
    assert plain.pairs[0].x == pytest.approx([50 - v for v in noisy])
    assert cleaned.pairs[0].x == pytest.approx([50 - v for v in clean])
    assert plain.pairs[1] == cleaned.pairs[1].__class__(**{**vars(cleaned.pairs[1]), **{
        name: getattr(plain.pairs[1], name) for name in ("pearson_q", "spearman_q")}})  # fmt: skip
    assert cleaned.orientation["made/crows_pairs"] == "|score - 50|, over the records that no rule flags"
    nothing = found(columns[2], columns[3], clean=True)
    assert nothing.warnings == (
        "No intrinsic score of these pairs has a clean score beside it, so that --clean changes nothing.",
    )


def test_each_configuration_is_correlated_over_the_models_that_have_all() -> None:
    rng = np.random.default_rng(10)
    x, first, second = rng.random(9).tolist(), rng.random(9).tolist(), rng.random(8).tolist()
    columns = (
        scores("ceat", x), scores("fpr_gap", first, variant="train_seed=0"), scores("fpr_gap", second, variant="train_seed=1"),
        scores("fpr_gap", [0.2], variant="train_seed=2"), scores("fpr_gap", first, task="once"),
    )  # fmt: skip
    result = found(*columns, by_configuration=True)
    assert [(pair.extrinsic, pair.configuration, pair.n) for pair in result.pairs] == [
        ("made/fpr_gap@train_seed=0", "train_seed=0", 8), ("made/fpr_gap@train_seed=1", "train_seed=1", 8),
        ("once/fpr_gap", "default", 9),
    ]  # fmt: skip
    (spread,) = result.spreads
    values = sorted(stats.pearsonr(x[:8], y[:8]).statistic for y in (first, second))
    assert spread.pearson == pytest.approx((values[0], np.mean(values), values[1])) and spread.n == 8
    assert (spread.intrinsic, spread.extrinsic, spread.configurations) == (
        "made/ceat",
        "made/fpr_gap",
        ("train_seed=0", "train_seed=1"),
    )
    assert result.left_out == {"made/fpr_gap@train_seed=2": "fewer than 3 models have it in this configuration"}
    plain = found(*columns)
    assert [pair.n for pair in plain.pairs] == [9, 8, 1, 9] and not plain.spreads and plain.pairs[0].configuration is None


def test_one_configuration_has_no_spread() -> None:
    rng = np.random.default_rng(11)
    result = found(scores("ceat", rng.random(8).tolist()), scores("fpr_gap", rng.random(8).tolist()), by_configuration=True)
    assert result.spreads == () and "in several configurations" in result.warnings[-1]
    assert configuration("level=0.9,metric.group_by=race,samples=5") == "samples=5"


def test_pooled_scores_are_the_mean_of_distances_over_models_that_have_all() -> None:
    rng = np.random.default_rng(12)
    columns = (
        scores("ceat", [0.5, -0.5, 0.1, 1.0], task="weat_6"), scores("ceat", [0.1, None, -0.3, 0.2], task="weat_7"),
        scores("ceat", [0.9, 0.8, 0.7, 0.6], task="weat_1"), scores("fpr_gap", rng.random(4).tolist()),
    )  # fmt: skip
    pooled, alone = found(*columns, pooled=True).pairs
    assert pooled.intrinsic == "ceat [gender, mean of 2 scores]" and pooled.x == pytest.approx((0.3, 0.2, 0.6))
    assert alone.intrinsic == "weat_1/ceat" and alone.n == 4  # of no known notion: stays alone


def test_a_score_of_one_notion_is_not_taken_twice() -> None:
    rng = np.random.default_rng(14)
    x = rng.random(8).tolist()
    result = found(
        scores("crows_pairs", x, task="planted_pairs"), scores("crows_pairs", x, task="planted_pairs", group="gender"),
        scores("fpr_gap", rng.random(8).tolist(), metric="fpr_gap by gender"), aligned=True,
    )  # fmt: skip
    assert only(result).intrinsic == "planted_pairs/crows_pairs"
