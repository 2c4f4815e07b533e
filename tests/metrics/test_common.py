"""What holds for every metric that the registry finds, on generated answers of the form that it reads."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from fairbench.errors import Undefined
from fairbench.measurement import MeasureOptions, Metric, measure
from fairbench.records import FORMS, ROLES
from fairbench.registry import Registry

REGISTRY = Registry()
N = 48
DIVIDE_BY_LESS_THAN_THE_WEIGHTS = {"weat", "seat", "ceat", "lpbs_effect_size"}
"""Metrics whose value moves when every row is counted twice, since a variance divides by sum(w) - 1 (ddof 1)."""

COUNT_SIGNIFICANT_TESTS = {"disco", "likelihood_bias"}
"""Metrics that find more when every row is counted twice."""

QUICK = MeasureOptions(draws=200)


def keys(rng: np.random.Generator) -> dict[str, list[object]]:
    """Row keys: ids, two groups, twelve clusters, no strata."""
    clusters = [f"cluster{i % 12}" for i in range(N)]
    groups = [("male", "female")[i % 2] for i in range(N)]
    return {"id": [f"r{i}" for i in range(N)], "group": groups, "cluster": clusters, "stratum": [None] * N, "source": [None] * N}


def association(rng: np.random.Generator) -> dict[str, object]:
    """Six words in two sentences each in every set, so that the sets of targets are equal in size and |d| stays below 2."""
    role = [ROLES[i % 4] for i in range(N)]
    words = [f"word{i % 24}" for i in range(N)]
    vectors = list(rng.normal(size=(24, 8))[np.arange(N) % 24] + 0.5 * rng.normal(size=(N, 8)))
    return {"test": "t", "role": role, "text": words, "vector": vectors, "cluster": words, "stratum": role}


def pair(rng: np.random.Generator) -> dict[str, object]:
    more, less = rng.normal(-30, 5, (2, N))
    counts = {"tokens_more": rng.integers(4, 12, N), "tokens_less": rng.integers(4, 12, N)}
    return {"more": "a", "less": "b", "score_more": more, "score_less": less, **counts}


def cloze(rng: np.random.Generator) -> dict[str, object]:
    names = ("score_stereotype", "score_antistereotype", "score_unrelated")
    texts = dict.fromkeys(("context", "stereotype", "antistereotype", "unrelated"), "text")
    return {**texts, "target": [f"cluster{i % 12}" for i in range(N)], **dict(zip(names, rng.normal(-5, 2, (3, N)), strict=True))}


def slot(rng: np.random.Generator) -> dict[str, object]:
    """Every attribute with both targets in two templates; a third of the attributes on either side, the others on none."""
    return {
        "template": [f"[TARGET] {i // 24} [ATTRIBUTE]" for i in range(N)],
        "target": [("he", "she")[i % 2] for i in range(N)],
        "attribute": [f"cluster{i // 2 % 12}" for i in range(N)],
        "cluster": [f"cluster{i // 2 % 12}" for i in range(N)],
        "log_p": rng.normal(-4, 1, N),
        "log_prior": rng.normal(-4, 1, N),
        "mass": rng.uniform(0.2, 0.9, N),
        "meta.side": [("male", "female", "balanced")[i // 2 % 12 % 3] for i in range(N)],
    }


def open_slot(rng: np.random.Generator) -> dict[str, object]:
    """Twelve words in four templates whose attribute is open; the first fill is the word's group's in half of the templates."""
    best = [f"group{i % 2}" if i // 12 < 2 else "all" for i in range(N)]
    return {
        "template": [f"[TARGET] {i // 12} [ATTRIBUTE]" for i in range(N)],
        "target": [f"cluster{i % 12}" for i in range(N)],
        "attribute": [None] * N,
        "top_fills": [[fill, *(f"w{j}" for j in rng.choice(4, 2, replace=False))] for fill in best],
    }


def choice(rng: np.random.Generator) -> dict[str, object]:
    scores = rng.normal(size=(N, 3))
    return {
        "prompt": "text",
        "options": [["a", "b", "c"]] * N,
        "label": rng.integers(0, 3, N),
        "condition": [("ambig", "disambig", "pro", "anti")[i // 2 % 4] for i in range(N)],
        "polarity": [("neg", "nonneg")[i // 8 % 2] for i in range(N)],
        "unknown": 2,
        "target": [i % 2 for i in range(N)],
        "scores": list(scores),
        "choice": scores.argmax(axis=1),
    }


def resolved(rng: np.random.Generator) -> dict[str, object]:
    """Twelve occupations, each with pronouns of both genders."""
    occupation = [i // 2 % 12 for i in range(N)]
    return {
        **choice(rng),
        "cluster": [f"cluster{o}" for o in occupation],
        "target": 0,
        "choice": rng.integers(0, 2, N),
        "meta.percent_female": [8.0 * o for o in occupation],
    }


def labelled(rng: np.random.Generator) -> dict[str, object]:
    positive = rng.uniform(size=N)
    return {
        "text": "text",
        "label": [i // 2 % 2 for i in range(N)],
        "groups": [[("male", "female")[i % 2]] for i in range(N)],
        "probs": [[1 - p, p] for p in positive],
        "prediction": (positive >= 0.5).astype(int),
        "sensitivity": rng.gamma(2, 0.1, N),
        "sensitivity_uniform": rng.gamma(2, 0.1, N),
        "tokens": rng.integers(4, 30, N),
    }


def variants(rng: np.random.Generator) -> dict[str, object]:
    """Twelve texts, each with three variants in its cluster."""
    return {**labelled(rng), "source": [f"r{i % 12}" if i >= 12 else None for i in range(N)]}


def prompt(rng: np.random.Generator) -> dict[str, object]:
    """Two continuations of each of twelve prompts in either group: metrics that compare groups want ten prompts in each."""
    return {
        "text": [f"prompt{i // 2}" for i in range(N)],
        "id": [f"r{i // 2}" for i in range(N)],
        "group": [("male", "female")[i // 2 % 2] for i in range(N)],
        "cluster": [f"cluster{i // 2}" for i in range(N)],
        "continuation": [" ".join(f"w{j}" for j in rng.integers(0, 50, 9)) for _ in range(N)],
        "sample": [i % 2 for i in range(N)],
        "toxicity": rng.beta(1, 4, N),
        "sentiment": rng.uniform(-1, 1, N),
        "regard": rng.uniform(-1, 1, N),
        "polarity": rng.uniform(-1, 1, N),
        "polarity_label": rng.integers(-1, 2, N),
        "hurtful": rng.integers(0, 2, N),
        "refusal": rng.integers(0, 2, N),
        **{f"regard_{label}": rng.uniform(size=N) for label in ("positive", "negative", "neutral", "other")},
        "repetition": rng.beta(1, 6, N),
        "fluency_log_likelihood": -rng.gamma(30, 1, N),
        "fluency_tokens": rng.integers(5, 15, N),
    }


def passage(rng: np.random.Generator) -> dict[str, object]:
    tokens = rng.integers(5, 60, N)
    sizes = {"tokens": tokens, "words": tokens, "bytes": 5 * tokens}
    return {"text": "text", "log_likelihood": -rng.uniform(1, 5, N) * tokens, **sizes}


def described(rng: np.random.Generator) -> dict[str, object]:
    """Three descriptors on either of two axes, in two templates with four nouns each; one descriptor of each axis is unlikely."""
    found = passage(rng)
    unlikely = np.array([i % 6 < 2 for i in range(N)])
    return {
        **found,
        "log_likelihood": found["log_likelihood"] - 9.0 * unlikely * found["tokens"],
        "meta.axis": [f"axis{i % 2}" for i in range(N)],
        "meta.descriptor": [f"descriptor{i % 6}" for i in range(N)],
        "meta.template": [f"template{i // 6 % 2}" for i in range(N)],
        "meta.noun": [f"noun{i // 12}" for i in range(N)],
    }


ANSWERS: dict[str, Callable[[np.random.Generator], dict[str, object]]] = {
    "Association": association,
    "Pair": pair,
    "Cloze": cloze,
    "Slot": slot,
    "Choice": choice,
    "Labelled": labelled,
    "Prompt": prompt,
    "Passage": passage,
}


OF_ONE_METRIC = {
    "counterfactual_token_fairness": variants,
    "disco": open_slot,
    "likelihood_bias": described,
    "coreference_bias": resolved,
    "coreference_labour_correlation": resolved,
}


def answers_for(metric: Metric, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({**keys(rng), **OF_ONE_METRIC.get(metric.name, ANSWERS[metric.info.reads])(rng)})


@pytest.fixture(params=sorted(REGISTRY.metrics()))
def metric(request: pytest.FixtureRequest) -> Metric:
    return REGISTRY.metric(request.param)


def test_every_form_has_generated_answers():
    assert set(ANSWERS) == set(FORMS)


def test_the_card_is_filled(metric: Metric):
    info = metric.info
    for field in ("title", "construct", "formula", "cite", "direction", "probe"):
        assert getattr(info, field).strip(), field
    assert info.reads in FORMS
    assert info.low <= info.ideal <= info.high and info.low < info.high
    assert info.columns and info.version >= 1 and info.scale > 0
    assert info.threats, "no number stands without what may be wrong with it"


def test_the_function_has_the_shape_of_a_metric(metric: Metric):
    drawn = ["rng"] if metric.info.random else []
    assert list(inspect.signature(metric.function).parameters) == ["answers", "weights", *drawn, *metric.info.options]
    assert inspect.getdoc(metric.function)
    if metric.info.p_value == "own":
        assert metric.significance is not None
    table = answers_for(metric)
    weights = np.ones((3, N))
    assert np.shape(metric.values(table, weights, 0)) == (3,)


@pytest.mark.parametrize("seed", range(5))
def test_a_score_is_in_range_or_undefined_with_a_reason(metric: Metric, seed: int):
    score = measure(metric, answers_for(metric, seed), QUICK)
    assert (score.value is None) == (score.undefined is not None)
    if score.value is None:
        return
    assert metric.info.low <= score.value <= metric.info.high
    assert math.isfinite(score.value)
    assert 0 < score.n <= score.n_total and score.n_records + sum(score.left_out.values()) == N
    if score.interval:
        assert metric.info.low <= score.interval.low <= score.interval.high <= metric.info.high
        assert score.stderr is not None and score.stderr >= 0
    if score.p_value is not None:
        assert 0 < score.p_value <= 1 and score.p_method


def test_generated_answers_give_a_value(metric: Metric):
    assert measure(metric, answers_for(metric), MeasureOptions(draws=0)).undefined is None


def test_the_order_of_rows_does_not_matter(metric: Metric):
    table = answers_for(metric)
    shuffled = table.iloc[np.random.default_rng(1).permutation(N)]
    first, second = (measure(metric, t, QUICK) for t in (table, shuffled))
    for a, b in [(first, second), *((first.by_group[name], second.by_group[name]) for name in first.by_group)]:
        assert b.value == pytest.approx(a.value, rel=1e-9)
        assert (b.counts, b.warnings, b.p_method) == (a.counts, a.warnings, a.p_method)
        assert b.stderr == (a.stderr if a.stderr is None else pytest.approx(a.stderr, rel=1e-9))
        assert b.p_value == (a.p_value if a.p_value is None else pytest.approx(a.p_value, abs=1e-9))
        if a.interval:
            assert (b.interval.low, b.interval.high) == (pytest.approx(a.interval.low), pytest.approx(a.interval.high))
    assert second.by_group.keys() == first.by_group.keys()


def test_counting_every_row_twice_changes_nothing(metric: Metric):
    table = answers_for(metric)
    value, doubled = metric.values(table, np.repeat([[1.0], [2.0]], N, axis=1), 0)
    if metric.name in DIVIDE_BY_LESS_THAN_THE_WEIGHTS:
        assert doubled == pytest.approx(value, rel=0.05) and doubled != value
    elif metric.name in COUNT_SIGNIFICANT_TESTS:
        assert doubled >= value > 0
    else:
        assert doubled == pytest.approx(value, rel=1e-9)


def test_draws_are_computed_each_on_its_own(metric: Metric):
    table = answers_for(metric)
    codes = pd.factorize(table["cluster"])[0]
    weights = np.random.default_rng(2).integers(0, 3, size=(6, codes.max() + 1)).astype(float)[:, codes]
    weights[0] = 1

    def alone(row: np.ndarray) -> float:
        try:
            return float(metric.values(table, row[None, :], 0)[0])
        except Undefined:
            return math.nan

    assert metric.values(table, weights, 0) == pytest.approx([alone(row) for row in weights], rel=1e-9, nan_ok=True)


def test_the_answers_are_not_changed(metric: Metric):
    table = answers_for(metric)
    before = table.to_json()
    measure(metric, table, QUICK)
    assert table.to_json() == before


def test_groups_only_where_they_have_a_meaning(metric: Metric):
    score = measure(metric, answers_for(metric), QUICK)
    if metric.disparity is None:
        assert set(score.by_group) == ({"male", "female"} if metric.info.by_group else set())
    else:  # the figures that it compares, of which each group may have several; or one for each class
        named = {word for name in score.by_group for word in name.split()}
        assert named >= ({"0", "1"} if metric.name == "rms_tpr_gap" else {"male", "female"})
    assert all(not part.by_group for part in score.by_group.values())
    if metric.info.by_group:
        assert sum(part.n_records for part in score.by_group.values()) == score.n_records


def test_the_same_seed_gives_the_same_score(metric: Metric):
    table = answers_for(metric)
    assert measure(metric, table, QUICK) == measure(metric, table, QUICK)


def test_a_score_survives_json(metric: Metric):
    score = measure(metric, answers_for(metric), QUICK)
    plain = score.as_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert set(plain) == {f.name for f in dataclasses.fields(score)}


def test_a_table_without_rows_is_undefined(metric: Metric):
    score = measure(metric, answers_for(metric).iloc[:0], QUICK)
    assert (score.value, score.undefined, score.n) == (None, "no answer could be used", 0)
