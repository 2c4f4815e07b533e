"""Perplexities and bits per byte against the definition."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics.perplexity import bits_per_byte, perplexity, word_perplexity

from fairbench.errors import Undefined
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry

FUNCTIONS = {"perplexity": perplexity, "word_perplexity": word_perplexity, "bits_per_byte": bits_per_byte}
SIZE = {"perplexity": "tokens", "word_perplexity": "words", "bits_per_byte": "bytes"}
every = pytest.mark.parametrize("name", FUNCTIONS)


def table(seed: int, n: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(5, 60, n)
    return pd.DataFrame(
        {
            "log_likelihood": -rng.gamma(4, 0.7, n) * tokens,
            "tokens": tokens,
            "words": (tokens * 0.8).astype(int),
            "bytes": tokens * 4 + rng.integers(0, 9, n),
        }
    )


def by_loop(name: str, answers: pd.DataFrame) -> float:
    nats = size = 0.0
    for _, row in answers.iterrows():
        nats -= row["log_likelihood"]
        size += row[SIZE[name]]
    return nats / size / math.log(2) if name == "bits_per_byte" else math.exp(nats / size)


def ones(name: str, answers: pd.DataFrame) -> float:
    return float(FUNCTIONS[name](answers, np.ones((1, len(answers))))[0])


@pytest.mark.parametrize(
    ("name", "expected"), [("perplexity", math.e**2), ("word_perplexity", math.e**2.5), ("bits_per_byte", 0.5 / math.log(2))]
)
def test_case_worked_by_hand(name: str, expected: float):
    answers = pd.DataFrame({"log_likelihood": [-20.0, -10.0], "tokens": [8, 7], "words": [4, 8], "bytes": [40, 20]})
    assert ones(name, answers) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("choices", [2, 50, 1000])
def test_a_uniform_model_is_as_perplexed_as_it_has_choices(choices: int):
    lengths = [3, 10, 1]
    answers = pd.DataFrame({"log_likelihood": [-n * math.log(choices) for n in lengths], "tokens": lengths})
    assert ones("perplexity", answers) == pytest.approx(choices, rel=1e-12)


@every
@pytest.mark.parametrize("seed", range(3))
def test_ones_equal_the_loop_in_any_order(name: str, seed: int):
    answers = table(seed)
    assert ones(name, answers) == pytest.approx(by_loop(name, answers), rel=1e-12)
    assert ones(name, answers.iloc[::-1].reset_index(drop=True)) == pytest.approx(ones(name, answers), rel=1e-12)


@every
@pytest.mark.parametrize("seed", range(3))
def test_integer_weights_repeat_documents_and_zeros_remove_them(name: str, seed: int):
    answers = table(seed)
    weights = np.random.default_rng(seed).integers(0, 4, size=(8, len(answers))).astype(float)
    expected = [by_loop(name, answers.loc[answers.index.repeat(row.astype(int))]) for row in weights]
    found = FUNCTIONS[name](answers, weights)
    assert found == pytest.approx(expected, rel=1e-12)
    assert found == pytest.approx([FUNCTIONS[name](answers, row[None, :])[0] for row in weights], rel=1e-12)


@every
def test_a_document_split_in_two_scores_the_same(name: str):
    answers = table(5)
    halves = pd.concat([answers / 2, answers / 2], ignore_index=True)
    assert ones(name, halves) == pytest.approx(ones(name, answers), rel=1e-12)


def test_the_three_measure_one_sum():
    answers = table(6)
    nats = -answers.log_likelihood.sum()
    assert math.log(ones("perplexity", answers)) * answers.tokens.sum() == pytest.approx(nats)
    assert math.log(ones("word_perplexity", answers)) * answers.words.sum() == pytest.approx(nats)
    assert ones("bits_per_byte", answers) * answers["bytes"].sum() * math.log(2) == pytest.approx(nats)


@every
def test_nothing_scored_is_undefined(name: str):
    answers = table(0).assign(**{SIZE[name]: 0})
    with pytest.raises(Undefined, match=f"no {SIZE[name]} were scored"):
        ones(name, answers)
    score = measure(Registry().metric(name), answers, MeasureOptions(draws=20))
    assert (score.value, score.interval, score.undefined) == (None, None, f"no {SIZE[name]} were scored")


@every
def test_a_draw_of_empty_documents_is_nan(name: str):
    answers = table(0, 3)
    answers.loc[0] = 0
    found = FUNCTIONS[name](answers, np.array([[2.0, 0, 0], [0, 1, 1]]))
    assert np.isnan(found[0]) and np.isfinite(found[1])


@every
@pytest.mark.parametrize("bad", [math.nan, -math.inf])
def test_unusable_documents_are_left_out_and_counted(name: str, bad: float):
    answers = table(1)
    answers.loc[3, "log_likelihood"] = bad
    score = measure(Registry().metric(name), answers, MeasureOptions(draws=20))
    assert score.value == pytest.approx(by_loop(name, answers.drop(index=3)), rel=1e-12)
    assert (score.n, score.n_total) == (11, 12)
    assert score.left_out == {"log_likelihood is missing or not finite": 1}


@every
def test_the_interval_holds_the_value_and_one_document_gives_none(name: str):
    metric = Registry().metric(name)
    many, single = (measure(metric, table(2, n), MeasureOptions(draws=500)) for n in (12, 1))
    assert many.interval.low < many.value < many.interval.high
    assert single.value is not None and single.interval is None


@every
@pytest.mark.parametrize(
    ("likelihoods", "sizes", "reason"),
    [
        ([30.0, 20.0], [10, 10], "outside of its range"),
        ([-30.0, -20.0], [-1, 10], "fewer than none"),
        ([-30.0, -20.0, -1.0], [10, 10, 0], "a likelihood but no"),
    ],
    ids=["likelihoods above 1", "a negative count", "a likelihood of nothing"],
)
def test_answers_that_can_not_be_right_are_undefined(name: str, likelihoods: list[float], sizes: list[int], reason: str):
    answers = pd.DataFrame({"log_likelihood": likelihoods, SIZE[name]: sizes})
    score = measure(Registry().metric(name), answers, MeasureOptions(draws=20))
    assert score.value is None and score.interval is None
    assert reason in str(score.undefined)


@pytest.mark.parametrize("name", ["perplexity", "word_perplexity"])
def test_a_perplexity_too_large_to_write_is_undefined(name: str):
    answers = pd.DataFrame({"log_likelihood": [-1e5, -2e5], SIZE[name]: [1, 1]})
    score = measure(Registry().metric(name), answers, MeasureOptions(draws=20))
    assert score.value is None and "no finite value" in str(score.undefined)
