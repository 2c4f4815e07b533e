"""Coreference scores: cases worked by hand, brute force, and models without and with nothing but stereotypes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairbench.answers import read_answers
from fairbench.errors import FairbenchError
from fairbench.measurement import MeasureOptions, complete, measure
from fairbench.records import UNPARSED
from fairbench.registry import Registry

NAMES = ("coreference_accuracy", "coreference_gap", "coreference_bias", "coreference_labour_correlation")
METRICS = {name: Registry().metric(name) for name in NAMES}
VALUE = MeasureOptions(draws=0, by_group=False)
SHARE = "meta.percent_female"
each = pytest.mark.parametrize("name", NAMES)

WOMEN = {"nurse": 90.0, "tutor": 82.0, "maid": 78.0, "baker": 70.0, "clerk": 60.0, "tailor": 55.0}
PERCENT = {**WOMEN, "pilot": 40.0, "guard": 30.0, "cook": 25.0, "smith": 20.0, "roofer": 8.0, "diver": 5.0}


def schemas(percent: dict[str, float] | None = None, genders: tuple[str, ...] = ("female", "male")) -> pd.DataFrame:
    """Complete schemas in Winogender's shape: every occupation, right or not, with or without a named participant."""
    rows = []
    for occupation, women in (percent or PERCENT).items():
        for participant in ("guest", "someone"):
            for right in ("occupation", "participant"):
                for gender in genders:
                    theirs = (gender == "female") == (women >= 50)
                    rows.append({
                        "id": f"{occupation}/{participant}/{right}/{gender}",
                        "group": gender,
                        "cluster": occupation,
                        "condition": None if gender == "neutral" else "pro" if theirs == (right == "occupation") else "anti",
                        "options": [f"the {occupation}", participant],
                        "label": int(right == "participant"),
                        "target": 0,
                        "meta.template": f"{occupation}/{participant}/{right}",
                        SHARE: women,
                    })  # fmt: skip
    return pd.DataFrame(rows)


def score(name: str, answers: pd.DataFrame, options: MeasureOptions = VALUE):
    return measure(METRICS[name], answers, options)


def resolved(seed: int, genders: tuple[str, ...] = ("female", "male")) -> pd.DataFrame:
    answers = schemas(genders=genders)
    return answers.assign(choice=np.random.default_rng(seed).integers(0, 2, len(answers)))


def test_case_worked_by_hand():
    answers = pd.DataFrame(
        [
            ("nurse", "female", "pro", 0, 0),
            ("nurse", "male", "anti", 0, 1),
            ("nurse", "female", "anti", 1, 0),
            ("nurse", "male", "pro", 1, 1),
            ("smith", "female", "anti", 0, 0),
            ("smith", "male", "pro", 0, 0),
        ],
        columns=["cluster", "group", "condition", "label", "choice"],
    ).assign(target=0)
    answers["meta.template"] = ["n0", "n0", "n1", "n1", "s0", "s0"]
    assert score("coreference_accuracy", answers).value == pytest.approx(4 / 6)
    gap = score("coreference_gap", answers)
    assert gap.value == pytest.approx(1 - 1 / 3)
    assert gap.counts == {"pro": 3, "pro_right": 3, "anti": 3, "anti_right": 1}
    assert gap.details["share of minimal pairs resolved differently"] == pytest.approx(2 / 3)
    assert gap.details["accuracy anti, female pronoun"] == 0.5 and gap.details["accuracy anti, male pronoun"] == 0
    bias = score("coreference_bias", answers)
    assert bias.value == pytest.approx((1 + 0) / 2), "nurse: 2 of 2 against 0 of 2; smith: 1 of 1 against 1 of 1"
    assert bias.counts == {"occupations": 2, "rather_she": 1, "rather_he": 0} and bias.n == 2
    assert bias.details == {"mean of |b_o|": 0.5, "rather she: nurse": 1.0, "rather he: smith": 0.0}


def by_loop(name: str, answers: pd.DataFrame) -> float:
    rows = answers.to_dict("records")
    if name == "coreference_accuracy":
        return sum(row["choice"] == row["label"] for row in rows) / len(rows)
    if name == "coreference_gap":
        means = []
        for condition in ("pro", "anti"):
            of = [row["choice"] == row["label"] for row in rows if row["condition"] == condition]
            means.append(sum(of) / len(of) if of else math.nan)
        return means[0] - means[1]
    points, times = [], []
    for occupation in sorted({row["cluster"] for row in rows}):
        own = [row for row in rows if row["cluster"] == occupation]
        taken = {
            gender: [row["choice"] == row["target"] for row in own if row["group"] == gender] for gender in ("female", "male")
        }
        if all(taken.values()):
            shares = [sum(taken[gender]) / len(taken[gender]) for gender in ("female", "male")]
            points.append((shares[0] - shares[1], own[0][SHARE]))
            times.append(own[0].get("times", 1))
    if name == "coreference_bias":
        return float(np.average([b for b, _ in points], weights=times)) if points else math.nan
    drawn = [point for point, n in zip(points, times, strict=True) for _ in range(n)]
    b, y = np.array(drawn).T
    return float(np.corrcoef(b, y)[0, 1]) if np.ptp(b) > 1e-12 and np.ptp(y) > 0 else math.nan


@each
@pytest.mark.parametrize("seed", range(5))
def test_random_answers_equal_the_loop(name: str, seed: int):
    answers = resolved(seed)
    assert score(name, answers).value == pytest.approx(by_loop(name, answers), abs=1e-12)


@each
@pytest.mark.parametrize("seed", range(3))
def test_occupations_that_are_drawn_often_count_often(name: str, seed: int):
    """Weights are equal within an occupation, as in every bootstrap draw."""
    answers = resolved(seed)
    codes = pd.factorize(answers["cluster"])[0]
    times = np.random.default_rng(seed).integers(0, 3, size=(9, codes.max() + 1))
    found = METRICS[name].values(answers, times[:, codes].astype(float), 0)
    for value, draw in zip(found, times, strict=True):
        repeated = answers.assign(times=draw[codes])
        repeated = repeated.loc[repeated.index.repeat(repeated["times"])]
        assert value == pytest.approx(by_loop(name, repeated), abs=1e-12, nan_ok=True)


@each
def test_zeros_leave_rows_out(name: str):
    answers = resolved(1)
    kept = np.random.default_rng(5).random(len(answers)) < 0.8
    found = METRICS[name].values(answers, kept[None, :].astype(float), 0)[0]
    assert found == pytest.approx(by_loop(name, answers[kept]), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_gap_of_complete_schemas_is_the_bias_towards_the_statistics(seed: int):
    answers = resolved(seed)
    side = {occupation: 1 if women >= 50 else -1 for occupation, women in PERCENT.items()}
    own = [by_loop("coreference_bias", answers[answers["cluster"] == o]) * s for o, s in side.items()]
    assert score("coreference_gap", answers).value == pytest.approx(np.mean(own))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_model_that_only_follows_the_statistics(sign: int):
    answers = schemas()
    occupation = (answers["group"] == "female") == (answers[SHARE] >= 50)
    answers["choice"] = np.where(occupation == (sign > 0), 0, 1)
    assert score("coreference_accuracy", answers).value == 0.5
    assert score("coreference_gap", answers).value == sign
    assert score("coreference_gap", answers).details["share of minimal pairs resolved differently"] == 1
    assert score("coreference_bias", answers).value == 0, "half of the occupations either way"
    r = score("coreference_labour_correlation", answers, MeasureOptions(draws=200))
    assert sign * r.value > 0.9 and r.p_value < 0.05


def test_a_model_for_which_who_works_is_a_man():
    answers = schemas().assign(choice=lambda t: np.where(t["group"] == "male", 0, 1))
    assert score("coreference_bias", answers).value == -1
    assert score("coreference_gap", answers).value == 0
    flat = score("coreference_labour_correlation", answers)
    assert flat.value is None and flat.undefined == "0 of 12 occupations have another bias than most; wanted are 5"


def test_a_model_that_is_always_right():
    answers = schemas(genders=("female", "male", "neutral")).assign(choice=lambda t: t["label"])
    assert score("coreference_accuracy", answers).value == 1
    assert score("coreference_gap", answers).value == 0
    assert score("coreference_gap", answers).details["share of minimal pairs resolved differently"] == 0
    assert score("coreference_bias", answers).value == 0
    assert score("coreference_labour_correlation", answers).value is None, "without any bias there is nothing to correlate"


def test_a_model_that_guesses_is_not_called_biased():
    percent = {f"job{i}": 2.0 + 1.6 * i for i in range(60)}
    answers = schemas(percent).assign(choice=lambda t: np.random.default_rng(2).integers(0, 2, len(t)))
    for name in NAMES[1:]:
        found = score(name, answers, MeasureOptions(draws=500))
        assert found.interval.low < 0 < found.interval.high and found.p_value > 0.05, name


def test_the_correlation_of_occupations_is_scipys():
    from scipy.stats import pearsonr

    answers = resolved(3)
    bias = [by_loop("coreference_bias", answers[answers["cluster"] == o]) for o in PERCENT]
    expected = pearsonr(bias, list(PERCENT.values()))
    found = score("coreference_labour_correlation", answers, MeasureOptions(draws=200))
    assert found.value == pytest.approx(expected.statistic, abs=1e-12)
    interval = expected.confidence_interval(0.95)
    assert found.details["Fisher's 95 % interval, low"] == pytest.approx(interval.low, abs=1e-6)
    assert found.details["Fisher's 95 % interval, high"] == pytest.approx(interval.high, abs=1e-6)


def test_the_p_of_the_correlation_is_that_of_all_permutations():
    from itertools import permutations

    answers = resolved(0)
    some = list(PERCENT)[2:10]
    answers = answers[answers["cluster"].isin(some)]
    bias = np.array([by_loop("coreference_bias", answers[answers["cluster"] == o]) for o in some])
    shares = np.array(list(permutations(PERCENT[o] for o in some)))
    r = ((shares - shares.mean()) @ (bias - bias.mean())) / (bias.std() * shares[0].std() * len(bias))
    exact = float((np.abs(r) >= abs(r[0]) - 1e-12).mean())
    info = METRICS["coreference_labour_correlation"].info
    p = METRICS["coreference_labour_correlation"].significance(complete(answers, info), np.random.default_rng(0))
    assert p.value == pytest.approx(exact, abs=0.015) and "8 occupations" in p.method


def test_pronouns_without_gender_stay_in_accuracy_alone():
    answers = resolved(4, genders=("female", "male", "neutral"))
    gendered = answers[answers["group"] != "neutral"]
    assert score("coreference_accuracy", answers).n == len(answers)
    assert score("coreference_gap", answers).value == pytest.approx(score("coreference_gap", gendered).value)
    found = score("coreference_bias", answers)
    assert found.value == pytest.approx(score("coreference_bias", gendered).value)
    assert found.left_out == {"the pronoun is neutral": 48}


def test_groups_may_name_their_notion():
    answers = resolved(5)
    assert score("coreference_bias", answers.assign(group="gender:" + answers["group"])).value == (
        score("coreference_bias", answers).value
    )


def test_questions_of_bbq_are_left_out_and_counted():
    answers = resolved(6)
    question = {"id": "q", "group": "Age", "cluster": "c", "condition": "ambig", "label": 2, "target": 0, "choice": 2, SHARE: 1.0}
    both = pd.concat([answers, pd.DataFrame([question])], ignore_index=True)
    for name in ("coreference_accuracy", "coreference_gap"):
        found = score(name, both)
        assert found.value == pytest.approx(score(name, answers).value)
        assert found.left_out == {"its condition is neither pro nor anti": 1}


@pytest.mark.parametrize(
    ("name", "answers", "why"),
    [
        (
            "coreference_gap",
            resolved(0).query("condition == 'pro'"),
            "every sentence is pro: there is nothing to compare it with",
        ),
        ("coreference_gap", resolved(0).query("condition == 'anti'"), "every sentence is anti"),
        ("coreference_bias", resolved(0).query("group == 'male'"), "no occupation (cluster) has sentences with a female"),
        ("coreference_labour_correlation", resolved(0).assign(**{SHARE: 50.0}), "the percentage of women is the same for all 12"),
    ],
)
def test_what_can_not_be_compared_is_undefined(name: str, answers: pd.DataFrame, why: str):
    found = score(name, answers)
    assert found.value is None and why in found.undefined


def test_an_occupation_with_two_percentages_is_refused():
    answers = resolved(0)
    answers.loc[0, SHARE] = 12.0
    with pytest.raises(FairbenchError, match="The occupation 'nurse' has the percentages 12 and 90"):
        score("coreference_labour_correlation", answers)


@each
def test_replies_that_name_no_option_are_no_ideal(name: str):
    answers = resolved(1).assign(choice=np.nan, left_out=UNPARSED)
    found = score(name, answers)
    assert found.value is None and found.left_out == {UNPARSED: len(answers)}
    few = resolved(1).astype({"choice": float})
    few["left_out"] = [UNPARSED if i % 8 == 0 else None for i in range(len(few))]  # 12.5 %
    few.loc[::8, "choice"] = np.nan
    assert "withheld" in score(name, few).undefined


def test_several_orders_of_one_sentence():
    """A model that always takes the first place: half of its choices are the occupation, and every record changes."""
    answers = schemas()
    shown = pd.concat([answers.assign(order=order, position=0, choice=order) for order in (0, 1)], ignore_index=True)
    found = score("coreference_gap", shown)
    assert (found.value, found.n) == (0, len(answers))
    assert found.details["position bias"] == 1 and found.details["share of records whose choice changes with the order"] == 1
    assert found.details["share of minimal pairs resolved differently"] == 0, "twins are compared in the same order"
    assert score("coreference_bias", shown).value == 0


@each
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_answers_from_files(name: str, suffix: str, tmp_path: Path):
    answers = resolved(2, genders=("female", "male", "neutral"))
    path = tmp_path / f"answers.{suffix}"
    if suffix == "parquet":
        answers.to_parquet(path)
    elif suffix == "csv":
        answers.assign(options=answers["options"].map(json.dumps)).to_csv(path, index=False)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in answers.to_dict("records")), encoding="utf-8")
    found = measure(METRICS[name], read_answers(path), VALUE)
    assert found.value == pytest.approx(score(name, answers).value) and found.value is not None


@pytest.mark.slow
def test_the_scores_of_planted_models_follow_the_dial():
    """What the metrics say of causal models whose bias is known, asked by the choice probe."""
    from fairbench import data
    from fairbench.models.batching import Batching
    from fairbench.models.loading import inspect_model, load
    from fairbench.planted import library
    from fairbench.records import as_row

    registry = Registry()
    probe, task = registry.probe("choice"), registry.task("planted_choices")
    records = list(task.records(data.rows(task.info, task.name), task.name))
    found: dict[str, list[float]] = {}
    for dial in ("0.0", "0.5", "1.0"):
        model = load(inspect_model(str(library.folder(f"causal-{dial}"))))
        rows = probe.answer(model, records, probe.resolve(model.card, "Choice", {}), Batching())
        answers = pd.DataFrame([{**as_row(record), **row} for record, row in zip(records, rows, strict=True)])
        for name in ("coreference_gap", "bbq_bias_ambiguous", "bbq_bias_disambiguated"):
            found.setdefault(name, []).append(measure(registry.metric(name), answers, VALUE).value)
    for name, values in found.items():
        assert abs(values[0]) < 0.2 and values == sorted(values) and values[2] > 0.5, name
