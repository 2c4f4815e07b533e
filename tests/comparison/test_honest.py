"""What a comparison must not do: compare what no score is made of, pass a gate in silence, bring back what was withheld."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from fairbench import FairbenchError
from fairbench.collection import collect
from fairbench.comparison.comparing import CompareOptions, compare
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry

QUICK = CompareOptions(draws=300)


def both(tmp_path, **changes):
    return compare(collect([tmp_path / "results"]), "before", ["after"], dataclasses.replace(QUICK, **changes))


def pairs(margins, **columns) -> pd.DataFrame:
    ids = [f"p{i}" for i in range(len(margins))]
    return pd.DataFrame({"id": ids, "more": "m", "less": "l", "score_more": margins, "score_less": 0.0, **columns})


def bbq(seed: int, n: int = 80) -> pd.DataFrame:
    """Two conditions: a metric of one of them does not use the rows of the other."""
    rng = np.random.default_rng(seed)
    ambiguous = np.arange(n) % 2 == 0
    return pd.DataFrame(
        {
            "id": [f"q{i}" for i in range(n)],
            "prompt": "who?",
            "options": [["Ann", "Bob", "unknown"]] * n,
            "label": np.where(ambiguous, 2, 0),
            "condition": np.where(ambiguous, "ambig", "disambig"),
            "polarity": np.where(np.arange(n) % 4 < 2, "neg", "nonneg"),
            "unknown": 2,
            "target": 0,
            "choice": rng.integers(0, 3, n),
            "scores": [[0.0, 0.0, 0.0]] * n,
        }
    )


BBQ = [name for name in Registry().metrics() if name.startswith("bbq_")]


@pytest.mark.parametrize("metric", BBQ)
def test_the_difference_is_that_of_the_scores_also_where_a_formula_leaves_rows_out(write, tmp_path, metric):
    for name, seed in (("before", 1), ("after", 2)):
        write(name, metric, bbq(seed), task="made_choices")
    one = both(tmp_path).comparisons[0].differences[0]
    scores = [measure(Registry().metric(metric), bbq(seed), MeasureOptions(draws=0)) for seed in (1, 2)]
    assert one.difference == pytest.approx(scores[1].value - scores[0].value)
    assert one.n == scores[0].n and (one.baseline.value, one.model.value) == (scores[0].value, scores[1].value)


def test_a_gate_looks_at_the_rows_of_the_score_alone(write, tmp_path):
    good, bad = bbq(1, 200), bbq(1, 200)
    good["choice"] = good["label"]
    told = bad["condition"] == "disambig"
    bad["choice"] = np.where(told, (bad["label"] + 1) % 3, bad["label"])
    write("before", "bbq_accuracy_disambiguated", good, task="made_choices")
    write("after", "bbq_accuracy_disambiguated", bad, task="made_choices")
    found = both(tmp_path, margins={"bbq_accuracy_disambiguated": 0.9})
    one = found.comparisons[0].differences[0]
    assert one.difference == -1.0 and one.n == 100 and found.passed is False
    assert one.verdict == "differs" and one.said.endswith("more than 0.9")


def test_a_gate_on_what_is_refused_or_missing_does_not_pass(write, tmp_path):
    rng = np.random.default_rng(0)
    margins = rng.normal(1, 1, 60)
    for name in ("before", "after"):
        table = pairs(margins + 0.01 * (name == "after") * rng.normal(size=60))
        write(name, "crows_pairs_margin", table)
        write(name, "crows_pairs", table, task_version=1 + (name == "after"))
    found = both(tmp_path, margins={"crows_pairs_margin": 5.0})
    assert found.passed is True and found.ungated == ()
    found = both(tmp_path, margins={"crows_pairs_margin": 5.0, "crows_pairs": 50.0})
    assert found.passed is False
    assert [(u.model, u.column, u.why) for u in found.ungated] == [
        ("after", "made_pairs/crows_pairs", "task.version is 1 against 2")
    ]
    next((tmp_path / "results").glob("after-*/made_pairs/crows_pairs.json")).unlink()
    again = both(tmp_path, margins={"crows_pairs_margin": 5.0, "crows_pairs": 50.0})
    assert again.passed is False and again.ungated[0].why == "only the baseline was scored on it"


def test_what_was_withheld_is_not_compared(write, tmp_path):
    table = bbq(1, 60).assign(left_out=[None] * 20 + ["no option can be read out of the reply"] * 40)
    write("before", "bbq_accuracy_ambiguous", bbq(1, 60), task="made_choices")
    write("after", "bbq_accuracy_ambiguous", table, task="made_choices")
    found = both(tmp_path, margins={"bbq_accuracy_ambiguous": 1.0})
    one = found.comparisons[0].differences[0]
    assert one.difference is None and "after has no score: withheld" in one.undefined and found.passed is False
    assert "not known" in found.comparisons[0].price[0]


def test_a_model_that_turns_every_decision_differs(write, tmp_path):
    write("before", "crows_pairs", pairs(np.ones(40)))
    write("after", "crows_pairs", pairs(-np.ones(40)))
    one = both(tmp_path).comparisons[0].differences[0]
    assert one.verdict == "differs" and one.interval.low < -80 and one.p.value < 1e-9
    assert one.said == "differs: to the other side of the ideal, whether closer to it is not shown"


def test_identical_clusters_pass_no_gate_where_a_bootstrap_sees_nothing(write, tmp_path):
    rng = np.random.default_rng(0)
    table = pairs(rng.normal(1, 1, 40), cluster=[f"c{i // 4}" for i in range(40)])
    for name in ("before", "after"):
        write(name, "crows_pairs_margin", table)
    found = both(tmp_path, margins={"crows_pairs_margin": 0.0})
    one = found.comparisons[0].differences[0]
    assert found.passed is False and one.worse_by is None and "a bound wants 30 clusters" in one.said


def test_a_metric_without_a_test_says_so(write, tmp_path):
    for name in ("before", "after"):
        write(name, "crows_pairs_margin", pairs(np.linspace(-1, 2, 30)))
    one = both(tmp_path, draws=0).comparisons[0].differences[0]
    assert one.verdict == "no test" and one.said == "no test: no draws were asked for"


def test_groups_have_verdicts_of_their_own(write, tmp_path):
    rng = np.random.default_rng(0)
    groups = ["age"] * 40 + ["faith"] * 40
    write("before", "crows_pairs", pairs(rng.normal(2, 1, 80), group=groups))
    write("after", "crows_pairs", pairs(np.r_[rng.normal(2, 1, 40), rng.normal(-0.2, 1, 40)], group=groups))
    one = both(tmp_path).comparisons[0].differences[0]
    assert one.by_group["faith"].verdict == "differs" and one.by_group["age"].verdict == "no difference detected"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"draws": 1}, "--draws 1: wanted at least 100"),
        ({"alpha": 0.6}, "between 0 and 0.5"),
        ({"metrics": ("crows_pairs", "perplexty")}, "--metrics perplexty: the baseline has no result of it"),
        ({"tasks": ("made_pair",)}, r"--tasks made_pair: .* Did you mean made_pairs\?"),
    ],
    ids=["draws", "alpha", "metric", "task"],
)
def test_requests_that_no_test_can_have_are_refused(write, tmp_path, changes, words):
    for name in ("before", "after"):
        write(name, "crows_pairs", pairs(np.linspace(-1, 2, 30)))
    with pytest.raises(FairbenchError, match=words):
        both(tmp_path, **changes)


def test_other_kinds_of_model_and_other_texts_to_learn_from_are_refused(write, tmp_path):
    for name, kind in (("before", "causal"), ("after", "masked")):
        write(name, "crows_pairs_margin", pairs(np.linspace(-1, 2, 30)), of_model={"kind": kind})
    with pytest.raises(FairbenchError, match=r"differs in model.kind, 'causal' against 'masked'"):
        both(tmp_path)


def test_a_result_without_counterpart_is_listed(write, tmp_path):
    for name in ("before", "after"):
        write(name, "crows_pairs", pairs(np.linspace(-1, 2, 30)))
    write("before", "crows_pairs_margin", pairs(np.linspace(-1, 2, 30)))
    refused = both(tmp_path).comparisons[0].refused
    assert [(r.column, r.model) for r in refused] == [("made_pairs/crows_pairs_margin", "not scored")]


def test_gaps_of_several_groups_have_an_interval_of_signed_differences(write, tmp_path):
    rng = np.random.default_rng(4)
    groups = [[g] for g in np.repeat(list("abcd"), 80)]
    for name, lift in (("before", 0.3), ("after", 0.0)):
        said = (rng.random(320) < 0.3 + lift * (np.arange(320) < 80)).astype(int)
        table = pd.DataFrame({"id": [f"r{i}" for i in range(320)], "text": "t", "label": 0, "prediction": said, "groups": groups})
        write(name, "demographic_parity_difference", table, task="made_texts")
    one = both(tmp_path).comparisons[0].differences[0]
    assert "signed differences and sums" in one.interval.method
    assert one.interval.low < one.difference < one.interval.high and one.worse_by <= one.interval.high


def test_a_family_too_large_for_its_draws_says_so(write, tmp_path):
    rng = np.random.default_rng(0)
    models = [f"m{i}" for i in range(6)]
    for name, mean in (("before", 3.0), *((model, 0.0) for model in models)):
        write(name, "crows_pairs", pairs(rng.normal(mean, 0.5, 48), cluster=[f"c{i // 4}" for i in range(48)]))
    found = compare(collect([tmp_path / "results"]), "before", models, dataclasses.replace(QUICK, draws=100))
    one = found.comparisons[0].differences[0]
    assert one.p_holm >= 0.05 and any("take more --draws" in text for text in one.warnings)
