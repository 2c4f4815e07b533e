"""Reports that are made up for tests: every number is known, no model was asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from fairbench.comparison import Comparison, Comparisons, Difference, Flip, Flips, Refused, Ungated
from fairbench.reporting.contents import Figure, Report
from fairbench.scores import Interval, MetricInfo, PValue, Score, TaskInfo
from fairbench.tidy import COLUMNS

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="60" viewBox="0 0 300 60"><defs><clipPath id="{id}-c"><rect '
    'width="300" height="60"/></clipPath></defs><g clip-path="url(#{id}-c)"><text x="5" y="20" style="font: 12px sans-serif">'
    "{text}</text></g></svg>"
)

SCORE = {
    "model": "a",
    "kind": "intrinsic",
    "task": "pairs",
    "metric": "share",
    "variant": "",
    "title": "Share of pairs",
    "headline": True,
    "part": "whole",
    "group": "",
    "value": 62.5,
    "low": 55.0,
    "high": 70.0,
    "level": 0.95,
    "interval_method": "bootstrap, percentile, 1000 draws over 96 records",
    "stderr": 3.8,
    "p_value": 0.0123,
    "p_method": "exact binomial, two-sided",
    "p_published": None,
    "n": 96,
    "n_total": 100,
    "n_records": 96,
    "unit": "record",
    "ideal": 50.0,
    "direction": "above 50 = prefers the stereotype",
    "floor": None,
    "least": 0.0,
    "most": 100.0,
    "undefined": None,
    "warnings": [],
    "left_out": [],
    "limited": False,
    "scorer": "scorer sum",
    "task_version": 1,
    "metric_version": 1,
    "records_sha256": "ab" * 32,
    "answers_sha256": "cd" * 32,
}
"""A row of the tidy table."""


def row(**moved: Any) -> dict[str, Any]:
    """A row of the tidy table, with what is moved from SCORE."""
    one = {**SCORE, **moved}
    joined = f"@{one['variant']}" if one["variant"] else ""
    one.setdefault("column", f"{one['task']}/{one['metric']}{joined}")
    one.setdefault("file", f"{one['model']}-0123abcd/{one['column']}.json")
    absent = one["value"] is None or one["ideal"] is None
    return {**one, "distance": None if absent else abs(one["value"] - one["ideal"])}


def table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """A tidy table."""
    made = pd.DataFrame(list(rows), columns=list(COLUMNS))
    numbers = ("value", "low", "high", "level", "stderr", "p_value", "p_published", "ideal", "floor", "distance", "least", "most")
    return made.astype(dict.fromkeys(numbers, float))


def card(**moved: Any) -> MetricInfo:
    """The card of a metric."""
    usual: dict[str, Any] = {
        "title": "Share of pairs",
        "reads": "Pair",
        "probe": "likelihood",
        "columns": ("score_more", "score_less"),
        "kind": "intrinsic",
        "ideal": 50.0,
        "low": 0.0,
        "high": 100.0,
        "direction": "above 50 = prefers the stereotype",
        "construct": "What it measures.",
        "formula": "100 * k / n",
        "cite": "Somebody 2020, http://paper.example/1",
        "threats": ("Pairs are seldom minimal.", "It saturates."),
    }
    return MetricInfo(**(usual | moved))


def task(**moved: Any) -> TaskInfo:
    """The card of a task."""
    usual: dict[str, Any] = {
        "title": "Pairs",
        "form": "Pair",
        "sources": (),
        "licence": "MIT",
        "cite": "Somebody 2020",
        "language": "en",
        "groups": ("gender",),
        "metrics": ("share",),
        "cluster": "none",
        "content_warning": "States stereotypes.",
        "notes": ("Rows were made up.",),
    }
    return TaskInfo(**(usual | moved))


def result(name: str = "pairs", **probe: Any) -> dict[str, Any]:
    """The `task probe judges run` blocks of a result."""
    data = {"kind": "hub", "hub": "somebody/pairs", "revision": "5f" * 20, "files": {}, "warnings": []}
    return {
        "task": {"name": name, "version": 1, "form": "Pair", "data": data, "licence": "MIT", "limit": None},
        "probe": {"name": "likelihood", "version": 2, "options": {"scorer": "sum", "context": None, **probe}},
        "judges": [],
        "run": {"cell": "99" * 32, "date": "2026-01-02T03:04:05+00:00", "versions": {"fairbench": "0.1", "numpy": "2.0"}},
    }


def report(rows: Iterable[Mapping[str, Any]] | None = None, **moved: Any) -> Report:
    """A report over these rows."""
    made = table([row()] if rows is None else rows)
    files = list(dict.fromkeys(made["file"]))
    models = {
        label: {"name": label, "architecture": "Net", "parameters": 1234, "weights_sha256": "ef" * 32} for label in made["model"]
    }
    usual: dict[str, Any] = {
        "title": "A report",
        "table": made,
        "models": models,
        "results": {file: result() for file in files},
        "metrics": {"share": card()},
        "tasks": {"pairs": task()},
        "about": {"program": "fairbench", "version": "0.1", "date": "2026-01-02", "versions": {"numpy": {"2.0": len(files)}}},
    }
    return Report(**(usual | moved))


def picture(name: str, text: str = "some words", section: str = "scores") -> Figure:
    """A figure whose drawing holds a text."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return Figure(name, f"What {name} shows", "How to read it.", SVG.format(id=name, text=escaped), f"{name} in words", section)


def score(value: float | None, low: float | None = None, high: float | None = None, **moved: Any) -> Score:
    """A score of a comparison."""
    between = None if low is None or high is None else Interval(low, high, 0.95, "paired bootstrap")
    usual: dict[str, Any] = {"ideal": 50.0, "unit": "record", "direction": "above 50 = prefers the stereotype"}
    counts: dict[str, Any] = {"p_value": None, "p_method": None, "n": 90, "n_total": 90, "n_records": 90}
    return Score(value=value, interval=between, **(usual | counts | moved))


def difference(**moved: Any) -> Difference:
    """A difference between two models."""
    usual: dict[str, Any] = {
        "task": "pairs",
        "metric": "share",
        "variant": "",
        "column": "pairs/share",
        "kind": "intrinsic",
        "headline": True,
        "baseline": score(62.5, 55.0, 70.0),
        "model": score(54.25, 47.0, 61.0),
        "difference": -8.25,
        "interval": Interval(-14.0, -2.5, 0.95, "paired bootstrap, percentile"),
        "stderr": 2.9,
        "p": PValue(0.0045, "McNemar's exact test"),
        "p_holm": 0.0135,
        "detectable": 8.125,
        "distance": -8.25,
        "worse_by": -3.5,
        "margin": 1.0,
        "passed": True,
        "verdict": "differs",
        "said": "differs: closer to the ideal",
        "n": 90,
        "left_out": {"to have no counterpart": 6},
    }
    return Difference(**(usual | moved))


def flips(negative: int, positive: int) -> Flips:
    """Decisions that turned round."""
    one = [Flip(f"n{at}", "gender", "a text / another", "less", "more") for at in range(negative)]
    other = [Flip(f"p{at}", "gender", "a text / another", "more", "less") for at in range(positive)]
    between = Interval(0.01, 0.09, 0.95, "paired bootstrap")
    shares: dict[str, Any] = {"nfr": negative / 90, "pfr": positive / 90, "nfi": 0.5, "pfi": None}
    return Flips(
        n=90,
        wrong_before=40,
        wrong_after=30,
        negative=tuple(one),
        positive=tuple(other),
        nfr_interval=between,
        pfr_interval=None,
        right="the less stereotyping sentence scores higher",
        **shares,
    )


def comparisons(*differences: Difference, refused: tuple[Refused, ...] = (), ungated: tuple[Ungated, ...] = ()) -> Comparisons:
    """One model beside a baseline."""
    one = Comparison("a", "b", differences, refused, ("perplexity: 10 -> 11, worse",))
    return Comparisons(comparisons=(one,), alpha=0.05, family=(("b", "pairs/share"),), draws=1000, seed=7, ungated=ungated)


def tradeoff(name: str = "b") -> Any:
    """Two models by their bias and utility, with what the page reads of a `Tradeoff`."""
    from fairbench.comparison.tradeoff import Point, Tradeoff

    place: dict[str, Any] = {"bias_low": 1.5, "bias_high": 21.0, "bias_score": 62.5, "utility_low": 9.5, "utility_high": 11.5}
    points = (
        Point(label="a", group="a", seed=None, bias=12.5, utility=10.25, on_front=False, to_ideal=0.75, **place),
        Point(label=name, group=name, seed=None, bias=4.25, utility=10.0, on_front=True, to_ideal=0.5, **place),
    )
    return Tradeoff(
        points=points,
        bias="pairs/share",
        utility="passages/perplexity",
        bias_title=name,
        utility_title="Perplexity",
        bias_ideal=50.0,
        utility_ideal=1.0,
        bias_scale=50.0,
        utility_scale=10.0,
        scaling=f"Scaled by {name}.",
        left_out={name: name},
        warnings=(name,),
    )


def correlations(name: str = "weat", n: int = 5) -> Any:
    """Two pairs of scores over some models, one undefined."""
    from fairbench.comparison.correlation import CorrelationOptions, Correlations, Pair

    spread: dict[str, Any] = {"pearson_low": -0.5, "pearson_high": 0.75, "spearman_low": -0.25, "spearman_high": 0.875}
    tests: dict[str, Any] = {"pearson_p": 0.21, "pearson_q": 0.42, "spearman_p": 0.31, "spearman_q": 0.62}
    pairs = (
        Pair(
            intrinsic=name,
            extrinsic="gap",
            notion="gender",
            configuration=None,
            n=n,
            pearson=0.375,
            spearman=0.125,
            **spread,
            **tests,
        ),
        Pair(intrinsic=name, extrinsic="other", notion=None, configuration=name, n=2, undefined="only 2 models have both"),
    )
    return Correlations(
        pairs=pairs,
        intrinsic=(name,),
        extrinsic=("gap", "other"),
        models=tuple("abcdefghijkl"[:n]),
        n=n,
        options=CorrelationOptions(),
        orientation={name: "|score|"},
        left_out={"x": name},
        warnings=(f"few: {name}",),
    )


def large(models: int, metrics: int, groups: int) -> Report:
    """A report of many models and metrics, with groups, warnings, limits and provenance of the usual length."""
    rows = []
    for m in range(models):
        for k in range(metrics):
            kind = ("intrinsic", "extrinsic", "utility")[k % 3]
            same = {
                "model": f"organisation/model-{m:02}-base",
                "task": f"task_{k // 2:02}",
                "metric": f"metric_{k:02}",
                "kind": kind,
            }
            value = 40 + (m * 7 + k * 3) % 25 + 0.123
            notes = ["The interval rests on 24 clusters and holds only what they can show of other records of the same kind."] * (
                k % 3
            )
            rows.append(row(**same, value=value, low=value - 5, high=value + 5, warnings=notes))
            rows += [row(**same, part="group", group=f"group {g}", value=value + g, n=12 + g, n_total=40) for g in range(groups)]
    made = report(rows)
    threat = "A sentence of the usual length that says what speaks against this number, and who showed it, and when. "
    results = {file: result(f"task {at % 15}") for at, file in enumerate(dict.fromkeys(made.table["file"]))}
    return dataclasses.replace(
        made,
        results=results,
        metrics={f"metric_{k:02}": card(threats=(threat,) * 6) for k in range(metrics)},
        tasks={f"task_{k:02}": task(notes=(threat,) * 4) for k in range(metrics)},
    )
