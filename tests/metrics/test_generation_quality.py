"""Repetition and the perplexity of generated text, against loops and against the perplexity of passages."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics.generation_quality import generation_perplexity, repetition
from fairbench.metrics.perplexity import perplexity

from fairbench.errors import FairbenchError, Undefined
from fairbench.judges.repetition import repetition as repeated
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry

FUNCTIONS = {"repetition": repetition, "generation_perplexity": generation_perplexity}
every = pytest.mark.parametrize("name", FUNCTIONS)
QUICK = MeasureOptions(draws=300)


def table(seed: int, prompts: int = 12, k: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, 30, prompts * k)
    return pd.DataFrame(
        {
            "id": np.repeat([f"p{p}" for p in range(prompts)], k),
            "group": np.repeat([("a", "b")[p % 2] for p in range(prompts)], k),
            "repetition": rng.beta(1, 6, prompts * k),
            "fluency_log_likelihood": -rng.gamma(4, 0.7, prompts * k) * tokens,
            "fluency_tokens": tokens,
        }
    )


def by_loop(name: str, answers: pd.DataFrame) -> float:
    above = below = 0.0
    for _, row in answers.iterrows():
        above += row["repetition"] if name == "repetition" else -row["fluency_log_likelihood"]
        below += 1 if name == "repetition" else row["fluency_tokens"]
    return above / below if name == "repetition" else math.exp(above / below)


def test_by_hand():
    answers = pd.DataFrame(
        {"repetition": [0.0, 0.5, 0.4], "fluency_log_likelihood": [-6.0, -1.0, -5.0], "fluency_tokens": [2, 1, 3]}
    )
    assert repetition(answers, np.ones((1, 3)))[0] == pytest.approx(0.3)
    assert generation_perplexity(answers, np.ones((1, 3)))[0] == pytest.approx(math.e**2)


@every
@pytest.mark.parametrize("seed", range(3))
def test_integer_weights_repeat_continuations_and_zeros_remove_them(name: str, seed: int):
    answers = table(seed)
    weights = np.random.default_rng(seed).integers(0, 4, size=(8, len(answers))).astype(float)
    wanted = [by_loop(name, answers.loc[answers.index.repeat(row.astype(int))]) for row in weights]
    assert FUNCTIONS[name](answers, weights) == pytest.approx(wanted, rel=1e-12)
    assert np.isnan(FUNCTIONS[name](answers, np.zeros((1, len(answers)))))
    assert FUNCTIONS[name](answers.iloc[::-1], np.ones((1, len(answers))))[0] == pytest.approx(by_loop(name, answers))


@pytest.mark.parametrize("seed", range(3))
def test_the_perplexity_is_that_of_the_same_texts_as_passages(seed: int):
    answers = table(seed)
    passages = answers.rename(columns={"fluency_log_likelihood": "log_likelihood", "fluency_tokens": "tokens"})
    weights = np.random.default_rng(seed).integers(0, 3, size=(6, len(answers))).astype(float)
    assert generation_perplexity(answers, weights) == pytest.approx(perplexity(passages, weights), rel=1e-12)


def test_the_repetition_of_the_judge_is_what_is_averaged():
    texts = ["all is well and all is well and all is well", "nothing here is ever said a second time"]
    answers = pd.DataFrame({"repetition": [repeated(text) for text in texts]})
    assert repetition(answers, np.ones((1, 2)))[0] == pytest.approx((1 - 4 / 8) / 2)


@every
def test_the_interval_is_over_prompts_and_samples_move_together(name: str):
    single = table(4, prompts=30, k=1)
    copies = single.loc[single.index.repeat(4)].reset_index(drop=True)
    first, second = (measure(Registry().metric(name), found, QUICK) for found in (single, copies))
    assert first.interval is not None and first.interval.low < first.value < first.interval.high
    assert "30 records" in first.interval.method
    assert second.stderr == pytest.approx(first.stderr)


@every
def test_groups_have_their_own(name: str):
    answers = table(2)
    score = measure(Registry().metric(name), answers, QUICK)
    wanted = {group: by_loop(name, answers[answers.group == group]) for group in ("a", "b")}
    assert {group: part.value for group, part in score.by_group.items()} == pytest.approx(wanted)


@every
def test_what_was_not_judged_is_left_out_and_counted(name: str):
    answers = table(1)
    column = Registry().metric(name).info.columns[0]
    answers.loc[[2, 5], column] = np.nan
    score = measure(Registry().metric(name), answers, QUICK)
    assert score.value == pytest.approx(by_loop(name, answers.drop(index=[2, 5])))
    assert score.left_out == {f"{column} is missing or not finite": 2}


@pytest.mark.parametrize("bad", [-0.2, 1.5, 40.0])
def test_a_repetition_on_another_scale_is_refused(bad: float):
    answers = table(0)
    answers.loc[1, "repetition"] = bad
    with pytest.raises(FairbenchError, match="wanted a number from 0 to 1"):
        repetition(answers, np.ones((1, len(answers))))


@pytest.mark.parametrize(
    ("nats", "tokens", "reason"),
    [
        ([0.0, 0.0], [0, 0], "no token was scored"),
        ([-5.0, -3.0], [-1, 4], "fewer than none"),
        ([-5.0, -3.0], [3, 0], "a likelihood but no token"),
        ([5.0, 3.0], [3, 3], "outside of its range"),
        ([-1e6, -1e6], [1, 1], "no finite value"),
    ],
)
def test_likelihoods_that_can_not_be_right_are_undefined(nats: list[float], tokens: list[int], reason: str):
    answers = pd.DataFrame({"fluency_log_likelihood": nats, "fluency_tokens": tokens})
    score = measure(Registry().metric("generation_perplexity"), answers, MeasureOptions(draws=20))
    assert score.value is None and reason in str(score.undefined)
    if reason not in ("outside of its range", "no finite value"):
        with pytest.raises(Undefined):
            generation_perplexity(answers, np.ones((1, 2)))
