"""What scripts/stories_mitigation.py measures: likelihoods of continuations against single passes, and figures worked by hand."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fairbench.mitigation.making import read_options
from fairbench.models.loading import inspect_model
from fairbench.planted import library
from fairbench.registry import Registry

SPEC = importlib.util.spec_from_file_location(
    "stories_mitigation", Path(__file__).parents[1] / "scripts" / "stories_mitigation.py"
)
stories = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = stories
SPEC.loader.exec_module(stories)

PAIRS = [("The nurse said that", " she was"), ("Mary lost her hat near the river. She", " was tired."), ("The", " doctor")]


@pytest.fixture(scope="module")
def asker():
    return stories.Asker.of(library.folder("causal-1.0"))


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
    gaps = stories.Gaps.of(Told(lambda before, after: side[after] * (0.25 if "boy" in before else -0.25)))
    found = stories.boy_girl(gaps, 50)
    directed, count = sum(map(abs, side.values())), len(side)
    assert found["boy_girl_stereotype"]["value"] == pytest.approx(0.5)
    assert found["boy_girl_stereotype"]["interval"] == pytest.approx([0.5, 0.5])
    assert found["boy_girl_size"]["value"] == pytest.approx(0.5 * directed / count)
    assert 0 < found["boy_girl_size"]["floor"] < 0.2 * directed / count


def test_no_difference_where_boys_and_girls_are_alike():
    found = stories.boy_girl(stories.Gaps.of(Told(lambda before, after: len(after))), 50)
    assert all(figure["value"] == 0 and figure["interval"] == [0, 0] for figure in found.values())


def test_a_student_with_half_the_gaps_is_compared_on_the_same_prompts():
    plain = stories.Gaps.of(Told(lambda before, after: len(before) * len(after) * (1 if "boy" in before else -1) % 7))
    half = stories.Gaps(tuple((gaps / 2, signs) for gaps, signs in plain.kinds))
    found = stories.differences({"plain": [plain, plain], "half": [half, plain]}, 50)["half"]
    for name, of in (("size", plain.size), ("stereotype", plain.stereotype)):
        assert found[f"boy_girl_{name}"]["value"] == pytest.approx(-of(*stories.even(plain.units)) / 4)
    assert found["boy_girl_size"]["interval"][1] < 0


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


@pytest.mark.parametrize("name", stories.STUDENTS)
def test_every_student_is_a_request_that_can_be_met(name):
    method, options = stories.STUDENTS[name]
    given = {**stories.TRAINING, "student": "planted:causal-1.0", **options}
    found, card = Registry().method(method), inspect_model("planted:causal-1.0")
    recipe = found.recipe(card, found.resolve(card, read_options(method, found, given), frozenset(given)))
    assert recipe.student is not None and not recipe.layers
    assert recipe.least_whole == options.get("least_whole", 0.9)
