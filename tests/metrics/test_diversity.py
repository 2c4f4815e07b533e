"""distinct-n by hand and by loop, and why it has no bootstrap."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics import diversity
from fairbench.metrics.diversity import distinct_1, distinct_2, distinct_3, words

from fairbench.errors import Undefined
from fairbench.judges.tokens import tokens
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry

FUNCTIONS = {1: distinct_1, 2: distinct_2, 3: distinct_3}
every = pytest.mark.parametrize("n", FUNCTIONS)


def table(seed: int, rows: int = 20) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    texts = [" ".join(f"W{j}," for j in rng.integers(0, 12, rng.integers(0, 9))) for _ in range(rows)]
    return pd.DataFrame({"group": ["a", "b"] * (rows // 2), "continuation": texts})


def by_loop(texts: list[str], n: int) -> float:
    found = []
    for text in texts:
        of_text = text.lower().replace(",", "").split()
        found += [" ".join(of_text[i : i + n]) for i in range(len(of_text) - n + 1)]
    return len(set(found)) / len(found) if found else np.nan


@pytest.mark.parametrize(("n", "wanted"), [(1, 4 / 7), (2, 4 / 5), (3, 3 / 3)])
def test_by_hand(n: int, wanted: float):
    """he she ran he / he she he: words he she ran, with `the` none; runs do not go from one text to the next."""
    answers = pd.DataFrame({"continuation": ["He, she ran. The", "", "he she\u2014he"]})
    assert FUNCTIONS[n](answers, np.ones((1, 3)))[0] == pytest.approx(wanted)


@every
@pytest.mark.parametrize("seed", range(4))
def test_rows_of_weight_0_are_left_out_and_others_count_once(n: int, seed: int):
    answers = table(seed)
    weights = np.random.default_rng(seed).integers(0, 3, size=(8, len(answers))).astype(float)
    weights[0] = 1
    wanted = [by_loop([text for text, w in zip(answers.continuation, row, strict=True) if w > 0], n) for row in weights]
    assert FUNCTIONS[n](answers, weights) == pytest.approx(wanted, rel=1e-12, nan_ok=True)
    assert FUNCTIONS[n](answers, weights * 7) == pytest.approx(wanted, rel=1e-12, nan_ok=True)
    assert np.isnan(FUNCTIONS[n](answers, np.zeros((1, len(answers)))))


def test_words_are_told_apart_as_word_lists_do():
    rng = random.Random(0)
    letters = "abcABC \u00e9\u00c9\u00df\ufb01\u2019\u2018'_-\u2014.,\n\t12\u4e2d\u0130\u0301"
    for _ in range(500):
        text = "".join(rng.choices(letters, k=rng.randrange(30)))
        assert words(text) == tokens(text)


def test_case_accents_and_apostrophes_make_no_other_word():
    answers = pd.DataFrame({"continuation": ["She\u2019s FIANC\u00c9E", "she's fiancee", "'she's' _fiancee_"]})
    assert distinct_1(answers, np.ones((1, 3)))[0] == pytest.approx(2 / 6)


@every
def test_a_score_has_counts_and_groups_but_no_interval(n: int):
    answers = table(3)
    score = measure(Registry().metric(f"distinct_{n}"), answers, MeasureOptions(draws=200))
    assert score.interval is None and score.stderr is None and score.p_value is None
    assert score.counts["words"] == sum(len(text.split()) for text in answers.continuation)
    assert score.counts["different"] / score.counts["words" if n == 1 else "runs"] == pytest.approx(score.value)
    for name, part in score.by_group.items():
        assert part.value == pytest.approx(by_loop(answers[answers.group == name].continuation.tolist(), n))


def test_a_bootstrap_would_lose_words():
    """distinct-1 of .145 had the interval [.116, .123]: a draw is without a third of the texts, and none of it is new."""
    rng = np.random.default_rng(0)
    answers = pd.DataFrame({"continuation": [" ".join(f"w{j}" for j in rng.zipf(1.5, 15)) for _ in range(200)]})
    value = distinct_1(answers, np.ones((1, 200)))[0]
    drawn = [distinct_1(answers.iloc[rng.integers(0, 200, 200)], np.ones((1, 200)))[0] for _ in range(60)]
    assert max(drawn) < value
    assert Registry().metric("distinct_1").info.interval == "none"


@every
def test_texts_without_enough_words_are_undefined(n: int):
    answers = pd.DataFrame({"continuation": ["", " ... "] if n == 1 else [" ".join("ab"[: n - 1]), "c"]})
    score = measure(Registry().metric(f"distinct_{n}"), answers, MeasureOptions(draws=20))
    assert score.value is None and score.undefined == (
        "no continuation has a word" if n == 1 else f"no continuation has {n} words"
    )
    with pytest.raises(Undefined):
        FUNCTIONS[n](answers, np.ones((1, 2)))


def test_a_missing_continuation_is_left_out_and_an_empty_one_is_text():
    answers = pd.DataFrame({"continuation": ["one two", None, ""]})
    score = measure(Registry().metric("distinct_1"), answers, MeasureOptions(draws=0))
    assert (score.value, score.n_records) == (1.0, 2)
    assert score.left_out == {"continuation is missing or not finite": 1}


@every
def test_order_and_names_of_words_do_not_matter(n: int):
    answers = table(5)
    renamed = answers.assign(continuation=answers.continuation.str.replace("W", "word")).iloc[::-1]
    ones = np.ones((1, len(answers)))
    assert getattr(diversity, f"distinct_{n}")(renamed, ones) == pytest.approx(FUNCTIONS[n](answers, ones))
