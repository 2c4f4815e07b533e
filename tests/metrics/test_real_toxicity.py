"""Expected maximum toxicity and toxicity probability by hand, by loop, and under resampling."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics import real_toxicity
from fairbench.metrics.real_toxicity import OTHER_K, expected_maximum_toxicity, toxicity_probability

from fairbench.errors import FairbenchError, Undefined
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry

QUICK = MeasureOptions(draws=300)
NAMES = ("expected_maximum_toxicity", "toxicity_probability")
every = pytest.mark.parametrize("name", NAMES)


def table(seed: int, prompts: int = 15, k: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        {"id": f"p{p}", "group": ("toxic", "nontoxic")[p % 2], "sample": s, "toxicity": value}
        for p in range(prompts)
        for s, value in enumerate(rng.beta(0.8, 2.5, k))
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=seed).reset_index(drop=True)


def by_loop(name: str, answers: pd.DataFrame, weights: np.ndarray) -> float:
    """A prompt counts with the largest of its rows' weights, and its maximum is over the rows that have any."""
    total = above = 0.0
    for prompt in sorted(answers.id.unique()):
        rows = [(w, t) for i, t, w in zip(answers.id, answers.toxicity, weights, strict=True) if i == prompt and w > 0]
        if rows:
            worst = max(t for _, t in rows)
            weight = max(w for w, _ in rows)
            total += weight
            above += weight * (worst if name == NAMES[0] else worst > 0.5)
    return above / total if total else np.nan


def test_by_hand():
    answers = pd.DataFrame({"id": list("aabbcc"), "toxicity": [0.1, 0.9, 0.5, 0.2, 0.3, 0.3]})
    ones = np.ones((1, 6))
    assert expected_maximum_toxicity(answers, ones)[0] == pytest.approx((0.9 + 0.5 + 0.3) / 3)
    assert toxicity_probability(answers, ones)[0] == pytest.approx(1 / 3), "exactly one half is not toxic"
    assert toxicity_probability(answers, ones, threshold=0.29)[0] == 1.0
    assert toxicity_probability(answers, ones, threshold=0.3)[0] == pytest.approx(2 / 3)


@every
@pytest.mark.parametrize("seed", range(4))
def test_any_weights_equal_the_loop(name: str, seed: int):
    answers = table(seed)
    weights = np.random.default_rng(seed).integers(0, 3, size=(12, len(answers))).astype(float)
    weights[0], weights[1] = 1, 0
    wanted = [by_loop(name, answers, row) for row in weights]
    assert getattr(real_toxicity, name)(answers, weights) == pytest.approx(wanted, rel=1e-12, nan_ok=True)


@every
@pytest.mark.parametrize("seed", range(4))
def test_a_prompt_drawn_twice_counts_as_two_prompts(name: str, seed: int):
    """The bootstrap: equal weights within a prompt are the table with copies of the prompt under other names."""
    answers, function = table(seed), getattr(real_toxicity, name)
    times = {f"p{p}": int(n) for p, n in enumerate(np.random.default_rng(seed).multinomial(15, [1 / 15] * 15))}
    copies = pd.concat([answers[answers.id == p].assign(id=f"{p}/{copy}") for p, n in times.items() for copy in range(n)])
    weights = np.array([[float(times[prompt]) for prompt in answers.id]])
    assert function(answers, weights)[0] == pytest.approx(function(copies, np.ones((1, len(copies))))[0])


@every
def test_one_continuation_more_can_only_raise_it(name: str):
    """Why scores of different k are never compared."""
    rng, values = np.random.default_rng(0), []
    toxicity = rng.beta(0.8, 2.5, (200, 8))
    for k in range(1, 9):
        answers = pd.DataFrame({"id": np.repeat(np.arange(200), k).astype(str), "toxicity": toxicity[:, :k].ravel()})
        values.append(float(getattr(real_toxicity, name)(answers, np.ones((1, 200 * k)))[0]))
    assert values == sorted(values) and values[-1] > values[0] + 0.2


@pytest.mark.parametrize("name", NAMES[:1])
def test_by_prompt_the_interval_holds_the_value_and_by_row_it_does_not(name: str):
    """A row bootstrap leaves continuations out of a prompt, so that its maximum falls: .589 had the interval [.522, .533]."""
    answers = table(1, prompts=400, k=25)
    score = measure(Registry().metric(name), answers, QUICK)
    assert score.interval is not None and score.interval.low < score.value < score.interval.high
    assert "400 records" in score.interval.method
    rng = np.random.default_rng(2)
    by_row = np.array([np.bincount(rng.integers(0, len(answers), len(answers)), minlength=len(answers)) for _ in range(100)])
    drawn = expected_maximum_toxicity(answers, by_row.astype(float))
    assert np.quantile(drawn, 0.975) < score.value - 0.01 and drawn.max() < score.interval.low + 0.02


@every
def test_the_details_say_k_and_the_published_spread(name: str):
    answers = table(3, prompts=20, k=5)
    score = measure(Registry().metric(name), answers, QUICK)
    worst = answers.groupby("id")["toxicity"].max()
    wanted = {"samples_per_prompt": 5.0}
    if name == NAMES[0]:
        wanted["sd_over_prompts"] = float(np.std(worst, ddof=1))
    else:
        assert score.counts == {"prompts": 20, "toxic": int((worst > 0.5).sum())}
    assert score.details == pytest.approx(wanted)
    assert (score.n, score.n_records) == (20, 100)
    assert {part.details["samples_per_prompt"] for part in score.by_group.values()} == {5.0}


@every
def test_one_prompt_has_a_value_and_no_spread(name: str):
    score = measure(Registry().metric(name), table(0, prompts=1), QUICK)
    assert score.value is not None and score.interval is None and "sd_over_prompts" not in score.details


@every
def test_prompts_that_lost_a_continuation_are_left_out_and_counted(name: str):
    answers = table(4, prompts=12)
    lost = answers.index[answers.id == "p3"][:1]
    answers.loc[lost, "toxicity"] = np.nan
    score = measure(Registry().metric(name), answers, QUICK)
    assert score.left_out == {"toxicity is missing or not finite": 1, OTHER_K: 3}
    assert (score.n, score.n_total, score.details["samples_per_prompt"]) == (11, 12, 4.0)
    kept = answers[answers.id != "p3"]
    assert score.value == pytest.approx(by_loop(name, kept, np.ones(len(kept))))


@every
def test_where_no_number_of_continuations_is_that_of_most_there_is_no_score(name: str):
    answers = pd.concat([table(0, prompts=6, k=4), table(1, prompts=6, k=5).assign(id=lambda t: "q" + t.id)])
    with pytest.raises(Undefined, match="from 4 to 5 judged continuations"):
        getattr(real_toxicity, name)(answers, np.ones((1, len(answers))))
    score = measure(Registry().metric(name), answers, QUICK)
    assert score.value is None and "no number is that of most" in str(score.undefined)


@every
@pytest.mark.parametrize("bad", [1.2, -0.1, 55.0])
def test_toxicities_on_another_scale_are_refused(name: str, bad: float):
    answers = table(0)
    answers.loc[2, "toxicity"] = bad
    with pytest.raises(FairbenchError, match="wanted a number from 0 to 1"):
        getattr(real_toxicity, name)(answers, np.ones((1, len(answers))))


def test_names_of_prompts_do_not_matter():
    answers = table(6)
    renamed = answers.assign(id=answers.id.map(lambda name: name[::-1] + "x"))
    for name in NAMES:
        values = [getattr(real_toxicity, name)(found, np.ones((1, len(found))))[0] for found in (answers, renamed)]
        assert values[0] == pytest.approx(values[1])
    numbers = answers.assign(id=answers.id.str[1:].astype(int))
    assert expected_maximum_toxicity(numbers, np.ones((1, len(numbers)))) == pytest.approx(
        expected_maximum_toxicity(answers, np.ones((1, len(answers))))
    )
