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
from fairbench.scores import MetricInfo

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
    assert "'score_less'" in message and "Did you mean score_les?" in message  # score_more is near too, and has its place
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


@pytest.mark.parametrize("no_reason", ["", None, math.nan], ids=repr)
def test_an_empty_reason_is_none(no_reason: object):
    score = measure(toy(), pairs(4, left_out=[no_reason] * 4), QUICK)
    assert (score.n, score.left_out) == (4, {})


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


def test_columns_stand_in_for_keys_that_are_null_throughout():
    answers = pairs(6, kind=["x", "y"] * 3, word=list("aabbcc"), stratum=None, cluster=np.nan)
    full = answers.assign(stratum=answers.kind, cluster=answers.word)
    metric = toy(unit="cluster", defaults={"stratum": "kind", "cluster": "word"})
    assert measure(metric, answers, QUICK) == measure(metric, full, QUICK)
    assert measure(metric, answers, QUICK).n == 6


@pytest.mark.parametrize("dtypes", ["object", "nullable"])
def test_a_row_without_a_cluster_is_a_unit_of_its_own(dtypes: str):
    answers = pairs(6, cluster=["a", "b", None, "a", None, "b"], id=list("pqrstu"))
    answers = answers.convert_dtypes() if dtypes == "nullable" else answers.astype(object)
    score = measure(toy(unit="cluster"), answers, QUICK)
    assert (score.n, score.n_records) == (4, 6) and "4 clusters" in score.interval.method


@pytest.mark.parametrize("missing", [None, math.nan, pd.NA], ids=str)
def test_a_row_without_an_id_is_a_record_of_its_own(missing: object):
    assert measure(toy(), pairs(5, id=["a", "a", missing, missing, missing]), QUICK).n == 4


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
    answers = pairs(30, group=["b", "a", None] * 10, id=[f"r{i}" for i in range(30)], cluster=["p", None, "q", "p", "p"] * 6)
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
    warning = f"{ties} of 100 records are ties; the metric's formula says how these count."
    assert score.warnings == ((warning,) if warned else ())


def test_no_draws_give_the_value_alone(crows: Metric):
    score = measure(crows, pairs(), MeasureOptions(draws=0))
    assert score.value is not None
    assert (score.interval, score.stderr, score.p_value, score.p_method) == (None, None, None, None)


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


@pytest.mark.parametrize(
    ("value", "fits"), [(-1.0, True), (3.0, True), (3 + 1e-10, True), (3 + 1e-8, False), (-1.1, False), (4.0, False)]
)
def test_a_value_outside_of_its_range_is_undefined(value: float, fits: bool):
    score = measure(toy(lambda answers, weights: np.full(len(weights), value), low=-1.0, high=3.0), pairs(4), QUICK)
    assert score.value == (value if fits else None)
    assert ("outside of its range -1 to 3" in str(score.undefined)) is not fits and score.interval is None


@pytest.mark.parametrize(
    "options",
    [
        {"draws": -5},
        {"draws": 10.5},
        {"seed": "1"},
        {"level": "x"},
        {"level": 95},
        {"level": 0.0},
        {"level": 1.0},
        {"level": math.nan},
    ],
    ids=str,
)
def test_options_that_no_interval_can_have_are_refused(options: dict[str, float]):
    with pytest.raises(FairbenchError, match="wanted a level between 0 and 1, and draws and a seed that are whole numbers"):
        MeasureOptions(**options)


def test_the_order_of_rows_changes_no_draw(crows: Metric):
    keys = {"id": [f"r{i}" for i in range(40)], "cluster": ["a", "b", None, "c", "d"] * 8, "stratum": ["x", "y"] * 20}
    answers = pairs(40, **keys)
    first, second = (measure(crows, a, QUICK) for a in (answers, answers.sample(frac=1, random_state=0)))
    assert second == first


def test_options_change_what_they_say_and_nothing_else(crows: Metric):
    answers = pairs(50)
    first = measure(crows, answers, MeasureOptions(draws=300, seed=1))
    again, other = (measure(crows, answers, MeasureOptions(draws=300, seed=s)) for s in (1, 2))
    assert first == again
    assert other.value == first.value and other.stderr != first.stderr


def sentences(n: int = 30, **columns: object) -> pd.DataFrame:
    """Answers with their sentences: every third pair has two spaces on one side."""
    less = [f"She owns mill {i}." if i % 3 else f"She owns  mill {i}." for i in range(n)]
    return pairs(n, more=[f"He owns mill {i}." for i in range(n)], less=less, **columns)


def test_clean_is_the_score_of_the_records_that_no_rule_flags(crows: Metric):
    answers = sentences(id=[f"r{i}" for i in range(30)], group=["a", "b"] * 15, cluster=["p", "q", None] * 10)
    score = measure(crows, answers, QUICK)
    flagged = np.arange(30) % 3 == 0
    assert score.flags == {"punctuation_mismatch": 10}
    assert (score.n, score.clean.n, score.clean.by_group) == (30, 20, {})
    alone = measure(crows, answers[~flagged], QUICK)
    left_out = {"flagged by a rule of pair quality": 10}
    assert score.clean == dataclasses.replace(alone, by_group={}, flags={}, clean=None, n_total=30, left_out=left_out)
    assert set(score.by_group) == {"a", "b"} and all(part.clean is None and part.flags == {} for part in score.by_group.values())
    bare = measure(crows, answers.drop(columns=["more", "less"]), QUICK)
    assert bare == dataclasses.replace(score, flags={}, clean=None)  # flags change nothing else


def test_a_record_that_is_left_out_is_not_flagged_too(crows: Metric):
    answers = sentences(left_out=["no room"] * 15 + [None] * 15)
    score = measure(crows, answers, QUICK)
    assert score.flags == {"punctuation_mismatch": 5}
    assert (score.n, score.n_total, score.left_out) == (15, 30, {"no room": 15})
    assert (score.clean.n, score.clean.n_total) == (10, 30)
    assert score.clean.left_out == {"no room": 15, "flagged by a rule of pair quality": 5}


def test_a_copy_of_a_record_that_is_left_out_is_kept(crows: Metric):
    answers = sentences(4, id=list("abcd"), left_out=["no room", None, None, None])
    answers[["more", "less"]] = [["He owns a mill.", "She owns a mill."]] * 2 + [["He sat.", "She sat."], ["He ran.", "She ran."]]
    score = measure(crows, answers, QUICK)
    assert score.flags == {} and score.clean.n == 3


def test_one_missing_sentence_flags_its_record_only(crows: Metric):
    answers = sentences(7)
    answers.loc[1, "less"] = None
    score = measure(crows, answers, QUICK)
    assert score.flags == {"missing_sentence": 1, "punctuation_mismatch": 3} and score.clean.n == 3


def test_a_record_may_stand_under_several_rules(crows: Metric):
    answers = sentences(4)
    answers.loc[0, "less"] = "she  never owns mill 0."
    score = measure(crows, answers, QUICK)
    flags = {"casing_mismatch": 1, "negation_mismatch": 1, "punctuation_mismatch": 2, "unequal_edits": 1}
    assert score.flags == flags and score.clean.n == 2


def test_no_record_is_clean(crows: Metric):
    answers = sentences()
    score = measure(crows, answers.assign(less=answers["more"]), QUICK)
    assert score.flags == {"no_change": 30} and score.value is not None
    assert (score.clean.value, score.clean.n, score.clean.undefined) == (
        None,
        0,
        "every record is flagged by a rule of pair quality",
    )


def test_every_record_is_clean(crows: Metric):
    answers = sentences()
    score = measure(crows, answers.assign(less=answers["less"].str.replace("  ", " ")), QUICK)
    assert score.flags == {} and score.clean == dataclasses.replace(score, clean=None)


@pytest.mark.parametrize("lost", ["less", "more"])
def test_without_its_sentences_nothing_is_flagged(crows: Metric, lost: str):
    answers = sentences()
    for table in (answers.drop(columns=lost), answers.assign(**{lost: None})):
        score = measure(crows, table, QUICK)
        assert (score.flags, score.clean) == ({}, None) and score.value is not None


def test_the_order_of_rows_changes_no_clean_score(crows: Metric):
    answers = sentences(id=[f"r{i:02}" for i in range(30)])
    answers.loc[[4, 5], ["more", "less"]] = ["He owns a mill.", "She owns a mill."]  # a duplicate: the first id is kept
    first, second = (measure(crows, a, QUICK) for a in (answers, answers.sample(frac=1, random_state=0)))
    assert first == second and first.flags == {"duplicate": 1, "punctuation_mismatch": 10}


def test_a_list_among_numbers_is_refused(crows: Metric):
    answers = pairs(4)
    answers["score_more"] = [[1.0, 2.0], -1.0, -2.0, -3.0]
    with pytest.raises(FairbenchError, match=r"Row 1, column 'score_more': found a list of 2 numbers, wanted one number a row"):
        measure(crows, answers)


def test_rows_that_a_formula_does_not_use_are_left_out_by_reason():
    def unused(answers):
        return ["odd" if i % 2 else None for i in range(len(answers))]

    score = measure(toy(unused=unused), pairs(20), QUICK)
    assert (score.n, score.n_total, score.left_out) == (10, 20, {"odd": 10})
    assert score.value == measure(toy(), pairs(20)[::2], QUICK).value


@pytest.mark.parametrize(("sizes", "warned"), [((3, 3, 3, 3), True), ((8, 8, 8, 8), False), ((30, 4), True)])
def test_an_interval_over_a_small_set_is_not_to_be_relied_on(sizes: tuple[int, ...], warned: bool):
    strata = [f"s{n}" for n, size in enumerate(sizes) for _ in range(size)]
    score = measure(toy(), pairs(len(strata), stratum=strata), QUICK)
    assert any("not to be relied on" in warning for warning in score.warnings) is warned
