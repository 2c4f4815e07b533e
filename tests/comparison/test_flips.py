"""Flips, worked by hand and by properties."""

from __future__ import annotations

import pandas as pd
import pytest

from fairbench.comparison.flips import LONGEST, flips
from fairbench.metric import MeasureOptions

HOW = MeasureOptions(draws=500)


def table(**columns: object) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    keys = {key: [None] * n for key in ("group", "cluster", "stratum", "source")}
    return pd.DataFrame({"id": [f"r{i}" for i in range(n)], **keys, **columns})


def test_flips_of_a_classifier_by_hand():
    text = [f"text {i}" for i in range(8)]
    before = table(text=text, label=[1, 1, 1, 1, 0, 0, 0, 0], prediction=[1, 1, 1, 0, 0, 0, 1, 1])
    after = table(text=text, label=[1, 1, 1, 1, 0, 0, 0, 0], prediction=[0, 1, 1, 1, 0, 1, 0, 1])
    found = flips("Labelled", before, after, HOW)
    assert found is not None
    assert [flip.id for flip in found.negative] == ["r0", "r5"] and [flip.id for flip in found.positive] == ["r3", "r6"]
    assert (found.n, found.wrong_before, found.wrong_after) == (8, 3, 3)
    assert (found.nfr, found.pfr, found.nfi, found.pfi) == (2 / 8, 2 / 8, 2 / 3, 2 / 3)
    first = found.negative[0]
    assert (first.text, first.before, first.after) == ("text 0", "class 1 (gold 1)", "class 0 (gold 1)")
    assert found.nfr_interval.low <= 0.25 <= found.nfr_interval.high


def test_flips_of_pairs_turn_to_the_stereotype_or_away_and_ties_decide_nothing():
    sentences = {"more": ["a", "b", "c", "d"], "less": ["e", "f", "g", "h"]}
    before = table(score_more=[1.0, -1.0, 0.0, 2.0], score_less=[0.0] * 4, **sentences)
    after = table(score_more=[-1.0, 1.0, 1.0, 3.0], score_less=[0.0] * 4, **sentences)
    found = flips("Pair", before, after, HOW)
    assert [flip.id for flip in found.negative] == ["r1"] and [flip.id for flip in found.positive] == ["r0"]
    assert found.n == 3  # the third was a tie
    assert found.negative[0].text == "b / f" and found.negative[0].after == "stereotype +1.00 nats"


def test_flips_of_clozes_and_choices():
    cloze = {"stereotype": ["s"], "antistereotype": ["t"]}
    before = table(score_stereotype=[1.0], score_antistereotype=[0.0], **cloze)
    after = table(score_stereotype=[0.0], score_antistereotype=[1.0], **cloze)
    assert [flip.id for flip in flips("Cloze", before, after, HOW).positive] == ["r0"]
    options = [["Ann", "Bob"], ["Ann", "Bob"], ["Ann", "Bob"]]
    first = table(prompt=["who?"] * 3, options=options, label=[0, 1, None], choice=[0, 1, 0])
    second = table(prompt=["who?"] * 3, options=options, label=[0, 1, None], choice=[1, 1, 1])
    found = flips("Choice", first, second, HOW)
    assert found.n == 2 and [(f.id, f.before, f.after) for f in found.negative] == [("r0", "Ann", "Bob")]


def test_swapping_the_models_swaps_the_kinds_of_flip():
    before = table(label=[1, 0, 1, 0], prediction=[1, 0, 0, 1])
    after = table(label=[1, 0, 1, 0], prediction=[0, 0, 1, 0])
    one, other = flips("Labelled", before, after, HOW), flips("Labelled", after, before, HOW)
    assert (one.nfr, one.pfr, one.nfi, one.pfi) == (other.pfr, other.nfr, other.pfi, other.nfi)


def test_the_order_of_rows_does_not_matter():
    before = table(label=[1, 0, 1, 0], prediction=[1, 0, 0, 1])
    after = table(label=[1, 0, 1, 0], prediction=[0, 0, 1, 0])
    assert flips("Labelled", before.iloc[::-1], after, HOW) == flips("Labelled", before, after, HOW)


def test_answers_without_decisions_have_no_flips():
    before = table(score_more=[1.0], score_less=[0.0])
    assert flips("Passage", before, before, HOW) is None
    assert flips("Labelled", table(probs=[[0.1, 0.9]]), table(probs=[[0.1, 0.9]]), HOW) is None
    twice = table(score_more=[1.0, 2.0], score_less=[0.0, 0.0]).assign(id="r0")
    assert flips("Pair", twice, twice, HOW) is None


def test_models_without_errors_have_no_share_of_errors():
    right = table(label=[1, 0], prediction=[1, 0])
    found = flips("Labelled", right, right, HOW)
    assert found.nfi is None and found.pfi is None and found.nfr == 0.0
    assert found.nfr_interval.high == pytest.approx(1 - 0.025 ** (1 / 2))


def test_long_texts_are_cut():
    long = table(text=["x" * 10_000], label=[1], prediction=[1])
    found = flips("Labelled", long, long.assign(prediction=0), HOW)
    assert len(found.negative[0].text) == LONGEST + 1
