"""What a metric's card can ask of the core: options, draws of its own, a cheaper bootstrap, and leaving each unit out."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from fairbench.errors import FairbenchError, Undefined
from fairbench.measurement import MeasureOptions, Metric, measure
from fairbench.scores import LeaveOneOut, MetricInfo, PValue

QUICK = MeasureOptions(draws=300)
CARD = MetricInfo(
    title="Mean",
    reads="Passage",
    probe="likelihood",
    columns=("tokens",),
    kind="intrinsic",
    ideal=0.0,
    low=-math.inf,
    high=math.inf,
    direction="+ = more",
    construct="toy",
    formula="mean",
    cite="nobody",
    unit="cluster",
)
TABLE = pd.DataFrame({"tokens": [1.0, 2.0, 3.0, 10.0, 4.0, 4.0], "cluster": list("aabbcc")})


def mean(answers: pd.DataFrame, weights: np.ndarray, **options: object) -> np.ndarray:
    return weights @ answers["tokens"].to_numpy() / weights.sum(axis=1)


def toy(function=mean, options: dict[str, object] | None = None, **changes: object) -> Metric:
    hooks = {name: changes.pop(name) for name in ("significance", "counts", "details") if name in changes}
    card = dataclasses.replace(CARD, options=options or {}, **changes)
    return Metric("toy", card, function, **hooks, options=dict(card.options))


def test_an_option_reaches_every_function_of_the_metric():
    seen: dict[str, object] = {}

    def function(answers, weights, *, tail):
        seen["function"] = tail
        return mean(answers, weights)

    metric = toy(
        function,
        {"tail": "two-sided"},
        choices={"tail": ("two-sided", "one-sided")},
        p_value="own",
        significance=lambda answers, rng, *, tail: PValue(0.5, tail),
        counts=lambda answers, *, tail: {tail: len(answers)},
        details=lambda answers, rng, *, tail: {"letters": float(len(tail))},
    )
    score = measure(metric.with_options({"tail": "one-sided"}), TABLE, QUICK)
    assert seen["function"] == "one-sided" and score.p_method == "one-sided"
    assert score.counts == {"one-sided": 6} and score.details == {"letters": 9.0}
    assert measure(metric, TABLE, QUICK).p_method == "two-sided"


@pytest.mark.parametrize(("given", "read"), [("500", 500), (7, 7)])
def test_text_is_read_as_the_type_of_the_default(given, read):
    assert toy(options={"samples": 10}).with_options({"samples": given}).options == {"samples": read}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sample": "5"}, "Did you mean samples?"),
        ({"samples": "many"}, "wanted a whole number"),
        ({"tail": "left"}, "wanted one of two-sided, one-sided"),
        ({"floor": "low"}, "wanted a number"),
    ],
)
def test_an_option_that_is_none_is_refused(given, said):
    metric = toy(options={"samples": 10, "tail": "two-sided", "floor": 0.1}, choices={"tail": ("two-sided", "one-sided")})
    with pytest.raises(FairbenchError, match="option") as error:
        metric.with_options(given)
    assert said in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(FairbenchError, match="It has none"):
        toy().with_options(given)


def test_what_is_drawn_inside_is_the_same_at_every_call():
    calls = []

    def function(answers, weights, rng):
        calls.append(rng.random())
        return mean(answers, weights)

    measure(toy(function, random=True, leave_one_out=True), TABLE, QUICK)
    assert len(calls) >= 3 and len(set(calls)) == 1
    calls_before, calls[:] = calls[0], []
    measure(toy(function, random=True), TABLE, MeasureOptions(draws=10, seed=5))
    assert calls[0] != calls_before


def test_the_bootstrap_may_be_cheaper_than_the_value():
    sizes: list[tuple[int, int]] = []

    def function(answers, weights, *, samples):
        sizes.append((len(weights), samples))
        return mean(answers, weights)

    metric = toy(function, {"samples": 10_000}, most_draws=50, bootstrap_options={"samples": 100})
    score = measure(metric, TABLE, QUICK)
    assert sizes == [(1, 10_000), (50, 100)]
    assert score.interval is not None and "50 draws" in score.interval.method
    sizes.clear()
    measure(metric.with_options({"samples": 20}), TABLE, QUICK)
    assert sizes == [(1, 20), (50, 20)]


def test_leaving_each_unit_out_names_the_words_that_matter():
    score = measure(toy(leave_one_out=True), TABLE, QUICK)
    assert score.value == 4.0
    assert score.leave_one_out == LeaveOneOut(low=2.75, low_without="b", high=5.25, high_without="a", units=3)
    assert measure(toy(), TABLE, QUICK).leave_one_out is None
    assert measure(toy(leave_one_out=True), TABLE, MeasureOptions(draws=0)).leave_one_out is None


def test_leaving_out_says_nothing_of_a_single_unit_or_where_all_is_undefined():
    def only_whole(answers, weights):
        if (weights == 0).any():
            raise Undefined("no")
        return mean(answers, weights)

    assert measure(toy(leave_one_out=True), TABLE[:2], QUICK).leave_one_out is None
    assert measure(toy(only_whole, leave_one_out=True), TABLE, QUICK).leave_one_out is None
