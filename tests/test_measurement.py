"""From answers and a metric to a score: what is counted, left out, warned of, and when there is no number."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from fairbench.errors import FairbenchError, Undefined
from fairbench.measurement import MeasureOptions, Metric, measure
from fairbench.registry import Registry
from fairbench.scores import MetricInfo, PValue

QUICK = MeasureOptions(draws=300)
CARD = MetricInfo(
    title="Mean difference",
    reads="Pair",
    probe="likelihood",
    columns=("score_more", "score_less"),
    kind="intrinsic",
    ideal=0.0,
    low=-math.inf,
    high=math.inf,
    direction="+ = more",
    construct="toy",
    formula="mean(more - less)",
    cite="nobody",
)


def mean_difference(answers: pd.DataFrame, weights: np.ndarray) -> np.ndarray:
    return weights @ (answers["score_more"] - answers["score_less"]).to_numpy(dtype=float) / weights.sum(axis=1)


def toy(function=mean_difference, **changes: object) -> Metric:
    fields = {f.name for f in dataclasses.fields(Metric)}
    extra = {name: changes.pop(name) for name in list(changes) if name in fields}
    return Metric("toy", dataclasses.replace(CARD, **changes), function, **extra)


def pairs(n: int = 20, seed: int = 0, **columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"score_more": rng.normal(0.5, 1, n), "score_less": rng.normal(0, 1, n), **columns})


@pytest.fixture(scope="module")
def crows() -> Metric:
    return Registry().metric("crows_pairs")


def test_a_missing_column_is_named_with_the_nearest():
    with pytest.raises(FairbenchError) as error:
        measure(toy(), pairs().rename(columns={"score_less": "score_les"}))
    message = str(error.value)
    assert "'score_less'" in message and "Did you mean score_les" in message
    assert "score_more, score_less" in message and "\n" not in message


@pytest.mark.parametrize(("column", "row"), [("score_more", 0), ("score_less", 7)])
def test_text_in_a_column_of_numbers_is_refused_by_row_and_column(column: str, row: int):
    answers = pairs().astype(object)
    answers.loc[row, column] = "about four"
    with pytest.raises(FairbenchError, match=rf"Row {row + 1}, column '{column}': found 'about four'"):
        measure(toy(), answers)


def test_the_row_is_counted_in_the_whole_table_though_its_group_stands_alone():
    answers = pairs(group=["a"] * 10 + ["b"] * 10).astype({"score_more": object})
    answers.loc[15, "score_more"] = "x"
    with pytest.raises(FairbenchError, match="Row 16"):
        measure(toy(), answers)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None], ids=str)
@pytest.mark.parametrize("dtype", [float, object])
def test_unusable_rows_are_left_out_and_counted(bad: float | None, dtype: type):
    answers = pairs().astype(dtype)
    answers.loc[[2, 5], "score_less"] = bad
    answers.loc[5, "score_more"] = bad
    score = measure(toy(), answers, QUICK)
    kept = answers.drop(index=[2, 5]).astype(float)
    assert score.value == pytest.approx(float((kept.score_more - kept.score_less).mean()), abs=1e-12)
    assert (score.n, score.n_total, score.n_records) == (18, 20, 18)
    assert score.left_out == {"score_less is missing or not finite": 1, "score_more is missing or not finite": 1}


def test_numbers_written_as_text_are_numbers():
    answers = pairs()
    assert measure(toy(), answers.map(repr)).value == pytest.approx(measure(toy(), answers).value, abs=1e-15)


def test_the_probes_reason_comes_first():
    answers = pairs(4, left_out=["no such token", None, "no such token", None])
    answers.loc[[0, 1], "score_more"] = np.nan
    score = measure(toy(), answers, QUICK)
    assert score.left_out == {"no such token": 2, "score_more is missing or not finite": 1}
    assert (score.n, score.n_total) == (1, 4)


def test_nothing_usable_is_undefined_with_its_counts():
    score = measure(toy(), pairs(3).assign(score_more=np.nan), QUICK)
    assert (score.value, score.interval, score.p_value, score.n, score.n_total) == (None, None, None, 0, 3)
    assert score.undefined == "no answer could be used"
    assert score.left_out == {"score_more is missing or not finite": 3}


def test_columns_stand_in_for_missing_keys():
    seen: list[pd.DataFrame] = []

    def look(answers: pd.DataFrame, weights: np.ndarray) -> np.ndarray:
        seen.append(answers)
        return mean_difference(answers, weights)

    answers = pairs(3, kind=["x", "y", "y"], word=["a", "b", "b"])
    measure(toy(look, defaults={"stratum": "kind", "cluster": "word"}), answers.set_index(pd.Index([7, 8, 9])), QUICK)
    table = seen[0]
    assert table["id"].tolist() == ["1", "2", "3"]
    assert table["stratum"].tolist() == ["x", "y", "y"] and table["cluster"].tolist() == ["a", "b", "b"]
    assert table["group"].isna().all() and table["source"].isna().all()
    assert "id" not in answers.columns  # the caller's table stays as it was


def test_a_key_that_is_there_is_not_replaced():
    answers = pairs(4, word=list("abcd"), cluster=["one", "one", "two", "two"])
    assert measure(toy(unit="cluster", defaults={"cluster": "word"}), answers, QUICK).n == 2


@pytest.mark.parametrize(("unit", "n", "n_total"), [("record", 6, 8), ("cluster", 3, 4), ("stratum", 2, 2)])
def test_units_are_counted_not_rows(unit: str, n: int, n_total: int):
    keys = {
        "id": [*"aabcdefgh"],
        "cluster": ["p", "p", "p", "q", "q", "r", "r", "s", "s"],
        "stratum": ["x"] * 5 + ["y"] * 4,
    }
    answers = pairs(9, **keys)
    answers.loc[7:, "score_more"] = np.nan  # both rows of cluster s
    score = measure(toy(unit=unit), answers, QUICK)
    assert (score.n, score.n_total, score.n_records, score.unit) == (n, n_total, 7, unit)


def test_groups_are_scored_as_tables_of_their_own():
    answers = pairs(30, group=["b", "a", None] * 10)
    score = measure(toy(), answers, QUICK)
    assert list(score.by_group) == ["a", "b"]
    assert sum(part.n_total for part in score.by_group.values()) == 20 and score.n_total == 30
    for name, part in score.by_group.items():
        assert part == measure(toy(), answers[answers.group == name].drop(columns="group"), QUICK)


@pytest.mark.parametrize(
    ("group", "card", "options"),
    [
        (["a"] * 20, {}, QUICK),
        ([None] * 20, {}, QUICK),
        (["a", "b"] * 10, {"by_group": False}, QUICK),
        (["a", "b"] * 10, {}, MeasureOptions(draws=300, by_group=False)),
    ],
    ids=["a single one", "none", "the card says no", "the caller says no"],
)
def test_no_groups_where_they_say_nothing(group: list[str | None], card: dict[str, bool], options: MeasureOptions):
    assert measure(toy(**card), pairs(group=group), options).by_group == {}


@pytest.mark.parametrize(("ties", "warned"), [(1, False), (2, True)])
def test_ties_above_one_per_cent_are_warned_of(crows: Metric, ties: int, warned: bool):
    answers = pairs(100)
    answers.loc[: ties - 1, "score_less"] = answers.loc[: ties - 1, "score_more"]
    score = measure(crows, answers, QUICK)
    assert score.counts["ties"] == ties
    assert any(f"{ties} of 100 records are ties" in w for w in score.warnings) is warned


def test_no_draws_give_the_value_alone(crows: Metric):
    score = measure(crows, pairs(), MeasureOptions(draws=0))
    assert score.value is not None
    assert (score.interval, score.stderr, score.p_value, score.p_method) == (None, None, None, None)


@pytest.mark.parametrize("interval", ["bootstrap", "jackknife"])
def test_a_single_unit_has_no_interval_and_says_so(interval: str):
    score = measure(toy(interval=interval, p_value="bootstrap"), pairs(5, cluster=["only"] * 5), QUICK)
    assert score.value is not None and score.interval is None and score.p_value is None and score.stderr is None
    assert score.warnings == ("No interval: there is only 1 of the clusters to resample.",)


def test_undefined_keeps_its_reason_and_its_counts():
    def no(answers: pd.DataFrame, weights: np.ndarray) -> np.ndarray:
        raise Undefined("the moon is full")

    score = measure(toy(no, counts=lambda answers: {"rows": len(answers)}), pairs(4), QUICK)
    assert (score.value, score.interval, score.undefined, score.counts) == (None, None, "the moon is full", {"rows": 4})
    assert (score.n, score.n_total) == (4, 4)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_formula_without_a_finite_value_is_undefined(value: float):
    score = measure(toy(lambda answers, weights: np.full(len(weights), value)), pairs(4), QUICK)
    assert score.value is None and "no finite value" in str(score.undefined)


def test_draws_without_a_value_are_dropped_and_counted():
    def half(answers: pd.DataFrame, weights: np.ndarray) -> np.ndarray:
        """No value where the first row was not drawn: about 37 % of draws."""
        return np.where(weights[:, 0] > 0, mean_difference(answers, weights), np.nan)

    score = measure(toy(half), pairs(), MeasureOptions(draws=1000))
    dropped = int(score.warnings[0].split()[0])
    assert 300 < dropped < 420 and "of 1000 bootstrap draws had no value and were dropped" in score.warnings[0]
    assert score.interval is not None and f"{1000 - dropped} draws" in score.interval.method


def test_a_metric_that_is_undefined_on_draws_has_no_interval():
    def whole_only(answers: pd.DataFrame, weights: np.ndarray) -> np.ndarray:
        if not (weights == 1).all():
            raise Undefined("no")
        return mean_difference(answers, weights)

    score = measure(toy(whole_only, p_value="bootstrap"), pairs(), QUICK)
    assert score.value is not None and score.interval is None and score.p_value is None
    assert score.warnings == ("300 of 300 bootstrap draws had no value and were dropped.",)


def test_the_bootstrap_interval_is_that_of_the_mean():
    answers = pairs(400)
    score = measure(toy(), answers, MeasureOptions(draws=4000, level=0.9))
    difference = answers.score_more - answers.score_less
    error = difference.std() / math.sqrt(400)
    assert score.stderr == pytest.approx(error, rel=0.05)
    assert score.interval.low == pytest.approx(score.value - 1.645 * error, abs=0.1 * error)
    assert score.interval.high == pytest.approx(score.value + 1.645 * error, abs=0.1 * error)
    assert score.interval.level == 0.9 and "4000 draws over 400 records" in score.interval.method


def test_the_jackknife_interval_is_that_of_the_t_test():
    answers = pairs(9)
    score = measure(toy(interval="jackknife"), answers)
    difference = answers.score_more - answers.score_less
    error = difference.std() / 3
    assert score.stderr == pytest.approx(error, rel=1e-9)
    assert score.interval.high - score.value == pytest.approx(2.306004135 * error, rel=1e-8)  # t with 8 degrees, .975
    assert score.value - score.interval.low == pytest.approx(2.306004135 * error, rel=1e-8)
    assert score.interval.method == "jackknife, Student, 9 units"


def test_the_jackknife_leaves_out_whole_clusters():
    answers = pairs(12, cluster=["a", "b", "c", "d"] * 3)
    score = measure(toy(interval="jackknife"), answers)
    means = (answers.score_more - answers.score_less).groupby(answers.cluster).mean()
    assert score.stderr == pytest.approx(means.std() / 2, rel=1e-9)


def test_no_interval_where_the_card_refuses_one():
    score = measure(toy(interval="none"), pairs(), QUICK)
    assert score.value is not None and score.interval is None and score.warnings == ()


def test_p_values_come_from_where_the_card_says():
    def own(answers: pd.DataFrame, rng: np.random.Generator) -> PValue:
        return PValue(float(rng.random()), "own", published=0.25)

    answers = pairs(40)
    inverted = measure(toy(p_value="bootstrap"), answers, QUICK)
    assert 0 < inverted.p_value < 1 and "value = 0" in inverted.p_method and inverted.p_published is None
    mine = measure(toy(p_value="own", significance=own), answers, QUICK)
    assert (mine.p_method, mine.p_published) == ("own", 0.25)
    assert mine.p_value == np.random.default_rng(QUICK.seed).random()
    assert measure(toy(p_value="none", significance=own), answers, QUICK).p_value is None


def test_the_interval_and_the_inverted_p_agree():
    answers = pairs(30)
    p = measure(toy(p_value="bootstrap"), answers, MeasureOptions(draws=1999)).p_value
    inside, outside = (measure(toy(), answers, MeasureOptions(draws=1999, level=1 - p * f)).interval for f in (0.8, 1.2))
    assert inside.low <= 0 <= inside.high
    assert not outside.low <= 0 <= outside.high


def test_options_change_what_they_say_and_nothing_else(crows: Metric):
    answers = pairs(50)
    first = measure(crows, answers, MeasureOptions(draws=300, seed=1))
    again, other = (measure(crows, answers, MeasureOptions(draws=300, seed=s)) for s in (1, 2))
    assert first == again
    assert other.value == first.value and other.stderr != first.stderr
