"""Repetition against counting by hand and in a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from fairbench.errors import FairbenchError
from fairbench.judges import FAILED, Room, Said, repetition


def judged(text: str, **options: object) -> dict:
    judge = repetition.prepare({**repetition.OPTIONS, **options}, Room())
    return judge.judge([Said(prompt="the cat sat on", continuation=text)])[0]


def test_by_hand():
    assert judged("the cat sat on the cat sat on the mat") == {"repetition": pytest.approx(2 / 7)}, "seven 4-grams, two again"
    assert judged("one two three four five") == {"repetition": 0.0}
    assert judged("so so so so so so") == {"repetition": pytest.approx(2 / 3)}
    assert judged("a b a b a b", n="2") == {"repetition": pytest.approx(0.6)}


def test_case_and_marks_are_no_difference():
    assert judged("She went home. She WENT home; 'she went home'!", n=3) == judged("she went home " * 3, n=3)


@pytest.mark.parametrize("seed", range(8))
def test_against_a_plain_loop(seed: int):
    rng = np.random.default_rng(seed)
    words, n = [f"w{i}" for i in rng.integers(0, 3, 30)], int(rng.integers(1, 5))
    seen: list[list[str]] = []
    again = 0
    for i in range(len(words) - n + 1):
        again += words[i : i + n] in seen
        seen.append(words[i : i + n])
    assert judged(" ".join(words), n=n)["repetition"] == pytest.approx(again / len(seen))


def test_too_short_to_repeat():
    assert judged("three words only") == {FAILED: "the continuation has fewer than 4 words"}
    assert judged("...") == {FAILED: "the continuation has no word"}
    assert judged("one", n=1) == {"repetition": 0.0}


@pytest.mark.parametrize("n", ["0", "-1", "two", 2.5])
def test_n_is_a_whole_number(n: object):
    with pytest.raises(FairbenchError, match=r"option n of the judge repetition .* at least 1"):
        judged("a b", n=n)
