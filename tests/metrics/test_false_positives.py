"""How often association tests reject where nothing distinguishes X from Y: data sets of 8 words x 8 sentences a set.

All words come from one distribution, so those of X and Y are exchangeable and a p of at most .05 is a false alarm. The figures
that the cards of SEAT and CEAT tell are measured here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics import ceat, weat

from fairbench.records import ROLES

WORDS = SENTENCES = 8
WIDTH = 16
WAYS = 12_870
"""Partitions of 16 words into two sides of 8: with this limit words are permuted exactly, and sentences by as many samples."""

KEYS = pd.DataFrame(
    [
        {"id": f"{role}/{word}/{sentence}", "role": role, "stratum": role, "cluster": f"{role}/{word}"}
        for role in ROLES
        for word in range(WORDS)
        for sentence in range(SENTENCES)
    ]
)


def null_answers(count: int, template: float, noise: float) -> Iterator[pd.DataFrame]:
    """Sentence vectors = word + template + noise, of standard deviations 1, `template` and `noise`."""
    rng = np.random.default_rng(1)
    words = len(ROLES) * WORDS
    for _ in range(count):
        vectors = rng.normal(size=(words, 1, WIDTH)) + noise * rng.normal(size=(words, SENTENCES, WIDTH))
        vectors = vectors + template * rng.normal(size=(SENTENCES, WIDTH))
        yield KEYS.assign(vector=list(vectors.reshape(-1, WIDTH)))


def seat_rates(count: int, template: float, noise: float) -> tuple[float, float]:
    """Shares of p <= .05: words permuted, and sentences permuted as published."""
    found = [weat.seat_significance(answers, np.random.default_rng(0)) for answers in null_answers(count, template, noise)]
    return float(np.mean([p.value <= 0.05 for p in found])), float(np.mean([p.published <= 0.05 for p in found]))


def ceat_rates(count: int, samples: int) -> tuple[float, float]:
    """Shares of p <= .05: words permuted, and the normal p as published. A word's contexts differ as much as words do."""
    answers = null_answers(count, template=0.0, noise=1.0)
    found = [ceat.significance(table, np.random.default_rng(0), samples=samples) for table in answers]
    return float(np.mean([p.value <= 0.05 for p in found])), float(np.mean([p.published <= 0.05 for p in found]))


def agreement(answers: pd.DataFrame) -> float:
    """Intraclass correlation of s between the sentences of a target word."""
    sets = weat._sets(answers)
    s = weat._association(sets, np.ones((1, len(answers))))[0].reshape(2 * WORDS, SENTENCES)
    within = s.var(axis=1, ddof=1).mean()
    between = s.mean(axis=1).var(ddof=1) - within / SENTENCES
    return float(between / (between + within))


def test_words_keep_their_level_where_sentences_do_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(weat, "EXACT_LIMIT", 400)
    words, sentences = seat_rates(150, template=0.2, noise=0.2)
    assert 0.01 <= words <= 0.09
    assert sentences > 0.2


def test_draws_are_no_studies_of_their_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ceat, "EXACT_LIMIT", 400)
    words, normal = ceat_rates(150, samples=100)
    assert 0.01 <= words <= 0.09
    assert normal > 0.6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("template", "noise", "alike", "low", "high"),
    [(0.2, 0.2, 0.9, 0.25, 0.33), (1.0, 1.0, 0.3, 0.15, 0.23)],
    ids=["alike", "unlike"],
)
def test_seat_at_a_nominal_five_percent(
    template: float, noise: float, alike: float, low: float, high: float, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(weat, "EXACT_LIMIT", WAYS)
    found = [agreement(answers) for answers in null_answers(400, template, noise)]
    assert float(np.mean(found)) == pytest.approx(alike, abs=0.02)
    words, sentences = seat_rates(400, template, noise)
    assert 0.03 <= words <= 0.07
    assert low <= sentences <= high


@pytest.mark.slow
@pytest.mark.parametrize(("samples", "low", "high"), [(200, 0.75, 0.89), (10_000, 0.93, 0.99)])
def test_ceat_at_a_nominal_five_percent(samples: int, low: float, high: float, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ceat, "EXACT_LIMIT", WAYS)
    words, normal = ceat_rates(400, samples)
    assert 0.03 <= words <= 0.07
    assert low <= normal <= high
