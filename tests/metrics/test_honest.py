"""HONEST by hand and by loop; completions of several words, on which the measure of the `evaluate` library is always 0."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics.honest import honest, honest_gap

from fairbench.errors import FairbenchError, Undefined
from fairbench.judges import hurtful
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry

QUICK = MeasureOptions(draws=300)


def table(seed: int, prompts: int = 24, k: int = 3) -> pd.DataFrame:
    """Two groups in six templates; every prompt has a rate of its own."""
    rng = np.random.default_rng(seed)
    rate = rng.beta(0.5, 2, prompts)
    rows = [
        {"id": f"p{p}", "group": ("female", "male")[p % 2], "cluster": f"t{p // 2 % 6}", "hurtful": int(rng.random() < rate[p])}
        for p in range(prompts)
        for _ in range(k)
    ]
    return pd.DataFrame(rows)


def test_by_hand():
    answers = pd.DataFrame({"group": ["a"] * 4 + ["b"] * 4, "hurtful": [1, 1, 0, 0, 1, 0, 0, 0]})
    ones = np.ones((1, 8))
    assert honest(answers, ones)[0] == pytest.approx(3 / 8)
    assert honest_gap(answers, ones, minimum=4)[0] == pytest.approx(1 / 4)
    assert honest_gap(answers, ones, minimum=4, aggregate="std")[0] == pytest.approx(1 / 8)
    with pytest.raises(Undefined, match="fewer than two groups"):
        honest_gap(answers, ones)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_published_sum_where_all_prompts_have_k_completions(seed: int):
    answers = table(seed, prompts=24, k=3)
    total = sum(answers.loc[answers.id == prompt, "hurtful"].sum() for prompt in answers.id.unique())
    assert honest(answers, np.ones((1, 72)))[0] == pytest.approx(total / (24 * 3))


def test_it_divides_by_completions_not_by_prompts_times_the_k_of_the_first():
    answers = pd.DataFrame({"id": ["a", "b", "b", "b"], "hurtful": [1, 1, 0, 0]})
    assert honest(answers, np.ones((1, 4)))[0] == pytest.approx(2 / 4)


@pytest.mark.parametrize("seed", range(3))
def test_integer_weights_repeat_completions_and_zeros_remove_them(seed: int):
    answers = table(seed)
    weights = np.random.default_rng(seed).integers(0, 4, size=(9, len(answers))).astype(float)
    wanted = [answers.loc[answers.index.repeat(row.astype(int)), "hurtful"].mean() for row in weights]
    assert honest(answers, weights) == pytest.approx(wanted, rel=1e-12)
    assert np.isnan(honest(answers, np.zeros((1, len(answers))))).all()


def test_completions_of_several_words_are_looked_up_word_by_word():
    """The measure of `evaluate` wants the whole completion to be a lemma as soon as one has a space: then all of these are 0."""
    lemmas = [{"lemma": lemma, "category": "ddp", "level": "conservative"} for lemma in ("half-wit", "Liär", "dunce")]
    lexicon = hurtful.lexicon(lemmas, "conservative")
    completions = {
        "a half-wit and a liar.": 1,  # two words of the list are one hit
        "DUNCE": 1,
        "doctor in the town": 0,
        "dunces": 0,
        "half of her wit": 0,
    }
    found = [int(lexicon.category(text) is not None) for text in completions]
    assert found == list(completions.values())
    assert honest(pd.DataFrame({"hurtful": found}), np.ones((1, 5)))[0] == pytest.approx(2 / 5)


def test_the_interval_is_over_templates_and_by_group_is_the_share_of_each():
    answers = table(5, prompts=48)
    score = measure(Registry().metric("honest"), answers, QUICK)
    assert score.interval is not None and score.interval.low < score.value < score.interval.high
    assert "6 clusters" in score.interval.method and (score.n, score.n_records) == (48, 144)
    shares = answers.groupby("group")["hurtful"].mean()
    assert {name: part.value for name, part in score.by_group.items()} == pytest.approx(shares.to_dict())


def test_without_clusters_the_interval_is_over_prompts():
    score = measure(Registry().metric("honest"), table(5).drop(columns="cluster"), QUICK)
    assert score.interval is not None and "24 records" in score.interval.method


def test_a_model_that_never_hurts_has_an_exact_interval():
    score = measure(Registry().metric("honest"), table(0).assign(hurtful=0).drop(columns="cluster"), QUICK)
    assert score.value == 0 and score.interval is not None
    assert score.interval.low == 0 and score.interval.high == pytest.approx(1 - 0.025 ** (1 / 24))


def test_the_counts_name_the_categories():
    answers = pd.DataFrame({"hurtful": [1, 0, 1, 1], "hurtful_category": ["ps", None, "om", "ps"]})
    score = measure(Registry().metric("honest"), answers, MeasureOptions(draws=0))
    assert score.counts == {"completions": 4, "hurtful": 3, "hurtful_om": 1, "hurtful_ps": 2}
    assert measure(Registry().metric("honest"), answers[["hurtful"]], QUICK).counts == {"completions": 4, "hurtful": 3}


def test_completions_that_nobody_could_judge_are_left_out_and_counted():
    answers = table(1).assign(hurtful=lambda t: t.hurtful.astype(float))
    answers.loc[3, "hurtful"] = np.nan
    score = measure(Registry().metric("honest"), answers, QUICK)
    assert score.value == pytest.approx(answers.hurtful.mean())
    assert score.left_out == {"hurtful is missing or not finite": 1}


@pytest.mark.parametrize("bad", [0.3, 2.0, -1.0])
@pytest.mark.parametrize("function", [honest, honest_gap])
def test_what_is_neither_0_nor_1_is_refused(function, bad: float):
    answers = pd.DataFrame({"group": ["a", "b"] * 20, "hurtful": [0.0, 1.0] * 19 + [0.0, bad]})
    with pytest.raises(FairbenchError, match="column 'hurtful': found"):
        function(answers, np.ones((1, 40)))


def test_the_gap_is_that_of_the_groups_shares_whatever_their_names():
    answers = table(3, prompts=60)
    metric = Registry().metric("honest_gap")
    score = measure(metric, answers, QUICK)
    shares = answers.groupby("group")["hurtful"].mean()
    assert score.value == pytest.approx(shares.max() - shares.min())
    assert {name: part.value for name, part in score.by_group.items()} == pytest.approx(shares.to_dict())
    renamed = measure(metric, answers.assign(group=answers.group.map({"female": "x", "male": "y"})), QUICK)
    assert (renamed.value, renamed.p_value, renamed.floor) == (score.value, score.p_value, score.floor)


def test_the_same_completion_five_times_is_no_more_evidence():
    """Samples of one prompt change groups together: else five equal ones would make five times as sure."""
    single = table(7, prompts=60, k=1)
    copies = single.loc[single.index.repeat(5)].reset_index(drop=True)
    first, second = (measure(Registry().metric("honest_gap"), found, QUICK) for found in (single, copies))
    assert second.value == pytest.approx(first.value)
    assert (second.p_value, second.floor) == (pytest.approx(first.p_value), pytest.approx(first.floor))
    assert (second.interval.low, second.interval.high) == (pytest.approx(first.interval.low), pytest.approx(first.interval.high))


def test_a_group_is_as_large_as_its_prompts():
    """Five prompts of ten samples are five, not fifty."""
    answers = pd.concat([table(0, prompts=40, k=2), table(1, prompts=5, k=10).assign(group="other", id=lambda t: "o" + t.id)])
    score = measure(Registry().metric("honest_gap"), answers.reset_index(drop=True), MeasureOptions(draws=0))
    assert score.counts == {"groups": 2, "groups_left_out": 1}
