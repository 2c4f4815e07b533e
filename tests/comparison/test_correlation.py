"""Intrinsic against extrinsic scores over models: worked by hand, what is undefined, warned of and refused."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from fairbench.errors import FairbenchError
from tests.comparison.made_scores import found, only, scores, several_notions


def test_a_case_worked_by_hand() -> None:
    pair = only(found(scores("crows_pairs", [60, 45, 50, 70]), scores("fpr_gap", [0.1, 0.2, 0.0, 0.3])))
    assert (pair.x, pair.y, pair.labels) == ((10, 5, 0, 20), (0.1, 0.2, 0.0, 0.3), ("m0", "m1", "m2", "m3"))
    # Ranks 3 2 1 4 and 2 3 1 4: rho = 1 - 6 * 2 / (4 * 15). Of 24 orders 1 has rho 1, 3 have 0.8, and as many the negatives.
    assert pair.spearman == pytest.approx(0.8) and pair.spearman_p == pytest.approx(8 / 24)
    # Sums of products about the means 8.75 and 0.15: 2.75, 218.75 and 0.05.
    assert pair.pearson == pytest.approx(2.75 / math.sqrt(218.75 * 0.05))
    assert (pair.intrinsic, pair.extrinsic, pair.n) == ("made/crows_pairs", "made/fpr_gap", 4)


def test_the_order_of_models_and_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    rows = [*scores("ceat", rng.random(9).tolist()), *scores("fpr_gap", rng.random(9).tolist())]
    mixed = [rows[k] for k in rng.permutation(len(rows))]
    assert only(found(rows)) == only(found(mixed))


def test_a_score_turned_round_turns_the_correlation_and_its_interval_round() -> None:
    x, y = np.random.default_rng(4).random((2, 10))
    one = only(found(scores("ceat", x.tolist()), scores("fpr_gap", y.tolist())))
    other = only(found(scores("ceat", x.tolist()), scores("ratio", y.tolist())))
    for name in ("pearson", "spearman"):
        assert getattr(other, name) == pytest.approx(-getattr(one, name))
        assert getattr(other, f"{name}_p") == pytest.approx(getattr(one, f"{name}_p"))
        assert getattr(other, f"{name}_low") == pytest.approx(-getattr(one, f"{name}_high"))
    mirrored = only(found(scores("ceat", (-x).tolist()), scores("fpr_gap", y.tolist())))
    assert mirrored.pearson == one.pearson  # of an effect size only its distance from 0 counts


def test_models_are_left_out_of_a_pair_only_where_it_lacks_them() -> None:
    result = found(
        scores("ceat", [0.1, None, 0.3, 0.2, 0.5]), scores("fpr_gap", [0.1, 0.3, 0.2, 0.6], task="a"),
        scores("fpr_gap", [0.1, 0.3, None, 0.6, 0.4], task="b"),
    )  # fmt: skip
    assert [(pair.n, pair.labels) for pair in result.pairs] == [(3, ("m0", "m2", "m3")), (3, ("m0", "m3", "m4"))]
    assert result.models == ("m0", "m2", "m3", "m4") and result.n == 4


def test_what_has_no_correlation_is_null_with_a_reason() -> None:
    result = found(
        scores("ceat", [0.1, 0.2, 0.3, 0.4]), scores("fpr_gap", [0.5] * 4, task="same"), scores("fpr_gap", [0.5, 0.1], task="two")
    )
    constant, two = result.pairs
    assert constant.undefined == "the extrinsic score is the same for all 4 models"
    assert two.undefined == "2 models have both scores, wanted at least 3"
    for pair in result.pairs:
        assert {getattr(pair, f"{m}{end}") for m in ("pearson", "spearman") for end in ("", "_p", "_q", "_low", "_high")} == {
            None
        }
    assert any("1 of 2 correlations are undefined: 2 models have both" in warning for warning in result.warnings)


def test_few_models_are_warned_of_with_the_correlation_that_they_need() -> None:
    rng = np.random.default_rng(0)
    few = found(scores("ceat", rng.random(5).tolist()), scores("fpr_gap", rng.random(5).tolist()))
    assert "rest on 5 models only, fewer than 8" in few.warnings[0] and "must reach 0.878" in few.warnings[0]
    assert only(few).pearson_low is not None
    fewer = found(scores("ceat", [0.1, 0.2, 0.4]), scores("fpr_gap", [0.1, 0.5, 0.2]))
    assert only(fewer).pearson_low is None and "No interval is shown below 5 models" in fewer.warnings[0]
    enough = found(scores("ceat", rng.random(8).tolist()), scores("fpr_gap", rng.random(8).tolist()))
    assert enough.warnings == ()


def test_seeds_of_one_method_are_warned_of() -> None:
    rng = np.random.default_rng(0)
    names = {"m0": "cda-seed0", "m1": "cda-seed1", **{f"m{k}": f"m{k}" for k in range(2, 9)}}
    rows = [*scores("ceat", rng.random(9).tolist()), *scores("fpr_gap", rng.random(9).tolist())]
    (warning,) = found([{**one, "model": names[one["model"]]} for one in rows]).warnings
    assert warning.startswith("Seeds of one method count as models") and warning.endswith("cda (2).")


def test_headline_metrics_alone_unless_others_are_named() -> None:
    rng = np.random.default_rng(13)
    of = lambda: rng.random(8).tolist()  # noqa: E731
    columns = (
        scores("ceat", of()), scores("crows_pairs", of(), headline=False), scores("fpr_gap", of()),
        scores("ratio", of(), headline=None), scores("stereoset_lms", of()), scores("perplexity", of()),
    )  # fmt: skip
    assert {(pair.intrinsic, pair.extrinsic) for pair in found(*columns).pairs} == {
        ("made/ceat", "made/fpr_gap"), ("made/ceat", "made/ratio"),
    }  # fmt: skip
    named = only(found(*columns, metrics=("crows_pairs", "fpr_gap")))
    assert (named.intrinsic, named.extrinsic) == ("made/crows_pairs", "made/fpr_gap")
    with pytest.raises(FairbenchError, match=r"of the metric 'crows_pair'\. Did you mean crows_pairs"):
        found(*columns, metrics=("crows_pair",))
    with pytest.raises(FairbenchError, match="no result has a score of bias of the metric 'perplexity'".capitalize()):
        found(*columns, metrics=("perplexity",))


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        ([scores("ceat", [0.1, 0.2, 0.3])], {}, "There are no extrinsic scores.*--suite extrinsic"),
        ([scores("fpr_gap", [0.1, 0.2, 0.3])], {}, "There are no intrinsic scores.*--suite intrinsic"),
        (
            [scores("ceat", [0.1, 0.2, None]), scores("fpr_gap", [0.1, 0.2, 0.3])],
            {},
            "2 of 3 models have intrinsic and extrinsic",
        ),
        (
            [scores("ceat", [0.1, 0.2, 0.3], task="weat_6"), scores("fpr_gap", [0.1, 0.2, 0.3], metric="fpr_gap by race")],
            {"aligned": True},
            "the intrinsic ones are about gender, the extrinsic ones about race.*leave out --aligned",
        ),
        (
            [
                scores("ceat", [0.1, 0.2, 0.3]),
                scores("fpr_gap", [0.1, 0.2, None], variant="train_seed=0"),
                scores("fpr_gap", [None, 0.2, 0.3], variant="train_seed=1"),
            ],
            {"by_configuration": True},
            "in one configuration for 3 models.*leave out --by-configuration",
        ),
    ],
    ids=["no_extrinsic", "no_intrinsic", "two_models", "other_notions", "other_configurations"],
)
def test_what_cannot_be_correlated_is_refused(columns: list[Any], options: dict[str, Any], said: str) -> None:
    with pytest.raises(FairbenchError, match=said):
        found(*columns, **options)


def test_it_becomes_a_table_and_json() -> None:
    result = several_notions(draws=100, aligned=True)
    frame = result.to_frame()
    assert len(frame) == 2 and list(frame["notion"]) == ["gender", "race"] and not {"x", "y", "labels"} & set(frame.columns)
    plain = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert plain["pairs"][0]["pearson"] == pytest.approx(frame["pearson"][0]) and len(plain["pairs"][0]["x"]) == 8
    assert plain["options"]["aligned"] is True and plain["orientation"]["bios/ratio"] == "1 - score"


def test_no_draws_no_interval() -> None:
    pair = only(found(scores("ceat", [0.1, 0.5, 0.2, 0.4, 0.9]), scores("fpr_gap", [0.1, 0.2, 0.5, 0.3, 0.4]), draws=0))
    assert pair.pearson is not None and pair.pearson_low is None and pair.spearman_high is None
