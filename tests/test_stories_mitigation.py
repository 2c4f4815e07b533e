"""What scripts/stories_mitigation.py measures: likelihoods of continuations against single passes, and figures worked by hand."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from fairbench.planted import library

SPEC = importlib.util.spec_from_file_location(
    "stories_mitigation", Path(__file__).parents[1] / "scripts" / "stories_mitigation.py"
)
stories = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = stories
SPEC.loader.exec_module(stories)

PAIRS = [("The nurse said that", " she was"), ("Mary lost her hat near the river. She", " was tired."), ("The", " doctor")]


@pytest.fixture(scope="module")
def asker():
    folder = library.folder("causal-1.0")
    return stories.Asker(AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder))


class Told:
    """Says of each continuation what a function says, in the place of a network."""

    def __init__(self, says):
        self.says = says

    def log_p(self, asked):
        return np.array([self.says(before, after) for before, after in asked], dtype=float)

    def ids(self, text):
        return [1, *range(len(text))]

    def per_token(self, rows):
        yield from (np.full(len(row) - 1, -np.log(7)) for row in rows)


def test_likelihoods_are_those_of_single_passes(asker):
    for (before, after), found in zip(PAIRS, asker.log_p(PAIRS), strict=True):
        begun, whole = len(asker.ids(before)), asker.ids(before + after)
        wanted = 0.0
        for place in range(begun, len(whole)):
            with torch.no_grad():
                logits = asker.network(input_ids=torch.tensor([whole[:place]])).logits[0, -1].double()
            wanted += float(logits.log_softmax(-1)[whole[place]])
        assert found == pytest.approx(wanted, abs=1e-4)


def test_a_beginning_whose_tokens_change_is_refused(asker):
    with pytest.raises(ValueError, match="not tokenised alike"):
        asker.log_p([("The nur", "se said")])


def test_shares_are_differences_of_probabilities_over_their_sum():
    asker = Told(lambda before, after: np.log({" he": 0.6, " she": 0.2}[after]))
    assert stories.shares(asker, ["A", "B"], [("{} said", " he", " she")]) == pytest.approx(np.full((2, 1), 0.5))


def test_boys_and_girls_told_apart_by_the_stereotype_alone():
    side = {f" {end}.": sign for end, sign in (stories.DOING | stories.BEING).items()}
    found = stories.boy_girl(Told(lambda before, after: side[after] * (0.25 if "boy" in before else -0.25)), 50)
    directed, count = sum(map(abs, side.values())), len(side)
    assert found["boy_girl_stereotype"]["value"] == pytest.approx(0.5)
    assert found["boy_girl_stereotype"]["interval"] == pytest.approx([0.5, 0.5])
    assert found["boy_girl_size"]["value"] == pytest.approx(0.5 * directed / count)
    assert 0 < found["boy_girl_size"]["floor"] < 0.2 * directed / count


def test_no_difference_where_boys_and_girls_are_alike():
    found = stories.boy_girl(Told(lambda before, after: len(after)), 50)
    assert all(figure["value"] == 0 and figure["interval"] == [0, 0] for figure in found.values())


def test_perplexity_is_that_of_a_uniform_choice():
    found = stories.perplexity(Told(None), ["x" * 250, "y" * 10], 50)
    assert found["value"] == pytest.approx(7)
    assert (found["tokens"], found["n"]) == (260, -(-250 // stories.TOKENS) + 1)


def test_the_interval_of_a_mean_is_near_its_normal_one():
    values = np.random.default_rng(1).normal(size=200)
    low, high = stories.figure(values, 2_000)["interval"]
    half = 1.96 * values.std() / np.sqrt(200)
    assert [low, high] == pytest.approx([values.mean() - half, values.mean() + half], abs=0.02)


def test_both_sides_are_asked_about_alike():
    for asked in (stories.DOING, stories.BEING, stories.OCCUPATIONS):
        assert sum(asked.values()) == 0
