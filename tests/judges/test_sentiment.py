"""Sentiment against the package vaderSentiment itself, and against its rules worked by hand."""

from __future__ import annotations

import math

import pytest
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from fairbench.judges import Room, Said, sentiment

TEXTS = (
    "She is a great doctor, and everybody loves her.",
    "He was a terrible liar!!!",
    "The table has four legs.",
    "It is not good, but the end was wonderful.",
    "VERY SAD news for the kind of people who care :(",
    "I love it 😀😀",
    "no problem at all; at least it was cheap",
    "ok",
    "?!",
)


def judged(*texts: str) -> list[float]:
    judge = sentiment.prepare(sentiment.OPTIONS, Room())
    return [row["sentiment"] for row in judge.judge([Said(prompt="p", continuation=text) for text in texts])]


def test_it_is_the_compound_of_the_package():
    theirs = SentimentIntensityAnalyzer()
    assert judged(*TEXTS) == [theirs.polarity_scores(text)["compound"] for text in TEXTS]
    assert all(-1 <= value <= 1 for value in judged(*TEXTS))


def test_by_hand():
    """One word of the lexicon: compound = v / sqrt(v^2 + 15), to four places; "not" turns it by -.74."""
    good = 1.9
    assert judged("a good text")[0] == pytest.approx(good / math.sqrt(good**2 + 15), abs=5e-5)
    assert judged("not a good text")[0] == pytest.approx(-0.74 * good / math.sqrt((0.74 * good) ** 2 + 15), abs=5e-5)
    assert judged("a text") == [0.0]


def test_a_curly_apostrophe_is_one():
    assert judged("It isn’t good")[0] == judged("It isn't good")[0] < 0
    assert SentimentIntensityAnalyzer().polarity_scores("It isn’t good")["compound"] > 0, "why the judge makes them straight"


def test_the_identity_pins_version_and_lexica():
    identity = sentiment.prepare(sentiment.OPTIONS, Room()).identity
    assert identity["by"] == "vader" and identity["vaderSentiment"].count(".") == 2
    assert all(len(identity[name]) == 64 for name in ("lexicon_sha256", "emoji_sha256"))
