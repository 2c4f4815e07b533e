"""Cells of slot answers, and the exchange of words between groups."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from fairbench.errors import FairbenchError
from fairbench.slots import cells, exchanges, scored, weighted_mean


def table(places: dict[str, str], cell_of: dict[str, tuple[str, ...]]) -> pd.DataFrame:
    """`places`: word -> group; `cell_of`: attribute -> the words that are asked with it."""
    rows = [{"attribute": a, "target": w, "group": places[w]} for a, words in cell_of.items() for w in words]
    rng = np.random.default_rng(0)
    numbers = {"log_p": rng.normal(-30, 1, len(rows)), "log_prior": rng.normal(-30, 1, len(rows)), "mass": 0.5}
    return pd.DataFrame(rows).assign(template="[TARGET] [ATTRIBUTE]", **numbers)


PLACES = {"he": "male", "man": "male", "she": "female", "woman": "female"}
FOUR = ("he", "man", "she", "woman")


def gain(answers: pd.DataFrame, attribute: str, words: tuple[str, ...]) -> float:
    rows = answers[(answers.attribute == attribute) & answers.target.isin(words)]
    return math.log(sum(map(math.exp, rows.log_p))) - math.log(sum(map(math.exp, rows.log_prior)))


def test_cells_by_hand():
    answers = table(PLACES, {"nurse": FOUR, "miner": ("he", "she"), "pilot": ("he", "man")})
    found = cells(answers)
    assert found.groups == ("female", "male")
    assert answers.attribute.iloc[found.row].tolist() == ["miner", "nurse", "pilot"]
    assert found.targets.tolist() == [[1, 1], [2, 2], [0, 2]] and found.whole.tolist() == [True, True, False]
    assert found.gain[1] == pytest.approx([gain(answers, "nurse", w) for w in (("she", "woman"), ("he", "man"))], abs=1e-12)
    assert np.isnan(found.gain[2, 0]) and found.gain[2, 1] == pytest.approx(gain(answers, "pilot", ("he", "man")))
    kept = scored(found, 0.1)
    assert kept.gain.shape == (2, 2) and set(kept.of_row[answers.attribute == "pilot"]) == {-1}


def test_probabilities_far_below_what_a_float_holds_are_no_trouble():
    answers = table(PLACES, {"nurse": FOUR}).assign(log_p=[-2000.0, -2001.0, -2000.0, -2001.0], log_prior=-1.0)
    assert cells(answers).gain[0] == pytest.approx([-2000 + math.log(1 + math.exp(-1)) + 1 - math.log(2)] * 2, abs=1e-9)


@pytest.mark.parametrize(
    ("cell_of", "moving"),
    [
        ({"nurse": FOUR}, [True]),
        ({"nurse": ("he", "she")}, [False]),  # they can change places, which changes no variance
        ({"nurse": FOUR, "pilot": ("he", "she")}, [True, False]),  # he and she change, man and woman change
        ({"nurse": FOUR, "pilot": ("he", "man", "she")}, [True, True]),  # woman is asked elsewhere than the others
        ({"nurse": ("he", "man", "she"), "pilot": ("he", "woman")}, [True, False]),
        ({"nurse": ("he", "she", "woman"), "pilot": ("she", "he", "man")}, [True, True]),
    ],
)
def test_which_cells_an_exchange_can_change(cell_of: dict[str, tuple[str, ...]], moving: list[bool]):
    answers = table(PLACES, cell_of)
    found = scored(cells(answers), 0.0)
    assert exchanges(answers, found, 1, np.random.default_rng(0))[0].tolist() == moving


def test_words_change_groups_everywhere_at_once_and_cells_keep_their_sizes():
    answers = table(PLACES, {"nurse": FOUR, "pilot": FOUR})
    found = scored(cells(answers), 0.0)
    _, chunks = exchanges(answers, found, 500, np.random.default_rng(1))
    gains = np.concatenate(list(chunks))
    sides = [("he", "man"), ("she", "woman"), ("he", "she"), ("man", "woman"), ("he", "woman"), ("man", "she")]
    wanted = {tuple(round(gain(answers, a, side), 9) for a in ("nurse", "pilot")) for side in sides}
    assert gains.shape == (500, 2, 2)
    assert {tuple(row) for row in gains[:, :, 0].round(9).tolist()} == wanted, "the same words in both cells, two of them each"


def test_exchanges_do_not_depend_on_the_order_of_rows():
    answers = table(PLACES, {"nurse": FOUR, "pilot": ("he", "man", "she")})
    drawn = []
    for rows in (answers, answers.iloc[::-1].reset_index(drop=True)):
        _, chunks = exchanges(rows, scored(cells(rows), 0.0), 50, np.random.default_rng(2))
        drawn.append(np.concatenate(list(chunks)))
    assert drawn[0] == pytest.approx(drawn[1], abs=1e-12)


def test_a_cell_of_two_clusters_is_refused():
    answers = table(PLACES, {"nurse": FOUR})
    with pytest.raises(FairbenchError, match=r"two values of 'cluster' \('a', 'b'\) for a template with an attribute .*'nurse'"):
        cells(answers.assign(cluster=["a", "a", "b", "b"]))


def test_a_mean_without_weight_has_no_value():
    found = weighted_mean(np.array([[1.0, 3.0], [0.0, 0.0]]), np.array([2.0, 6.0]))
    assert found[0] == 5 and np.isnan(found[1])
