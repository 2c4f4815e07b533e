"""Results made up for the tests of tables and cards: written to files and read back as a collection, as a user's are."""

from __future__ import annotations

import dataclasses
import functools
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairbench.collection import Collection, collect
from fairbench.registry import Registry
from fairbench.reporting.contents import Report
from fairbench.results import Result, write_result
from fairbench.scores import Interval, MetricInfo, Score
from fairbench.tidy import tidy

HOSTILE = (
    'x|y`z`<script>alert(1)</script> **b** [l](http://a.b) _i_ $5 & 100% #1 ~ ^ \\ {c} "q": - y\n=1+1 www.a.b ü 中 \u202egnp'
)
"""A name with everything that a table, LaTeX, YAML, HTML or a spreadsheet may stumble over."""


@dataclass(frozen=True)
class Made:
    """One result to be made: what is said here, the rest is usual. `score` holds further fields of the score."""

    metric: str = "crows_pairs"
    task: str = "pairs"
    value: float | None = 39.99
    low: float = 37.6
    high: float = 42.5
    model: str = "m"
    variant: str = ""
    limit: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    score: Mapping[str, Any] = field(default_factory=dict)
    form: str = "Pair"
    masked: bool = False


@functools.cache
def cards() -> Mapping[str, MetricInfo]:
    """The cards of all metrics."""
    return Registry().metrics()


def score(made: Made) -> Score:
    """The score of a made result."""
    card = cards()[made.metric]
    between = None if made.value is None else Interval(made.low, made.high, 0.95, "bootstrap")
    usual: dict[str, Any] = {
        "value": made.value, "interval": between, "p_value": 0.25, "p_method": "test", "n": 1508, "n_total": 1508,
        "n_records": 1508, "ideal": card.ideal, "unit": card.unit, "direction": card.direction,
    }  # fmt: skip
    return Score(**{**usual, **made.score})


def write(folder: Path, *some: Made) -> Collection:
    """Writes results and reads them back."""
    for made in some:
        place = folder / f"model-{zlib.crc32(made.model.encode()):08x}" / made.task
        write_result(place / (made.metric + (f"@{made.variant}" if made.variant else "") + ".json"), _result(made))
    return collect([folder])


def _result(made: Made) -> Result:
    card = cards()[made.metric]
    data = {"kind": "files", "files": {"a.csv": "ab" * 32}, "url": "https://example.org/a.csv", "hub": None, "config": None}
    return Result(
        schema=3,
        metric={"name": made.metric, "version": 2, "title": card.title, "kind": card.kind, "options": {}},
        task={
            "name": made.task, "version": 1, "form": made.form, "licence": "MIT", "limit": made.limit, "n": 1508,
            "n_total": 1508, "records_sha256": "cd" * 32,
            "data": {**data, "split": None, "splits": [], "revision": None, "warnings": [], **made.data},
        },
        model={"name": made.model, "kind": "masked" if made.masked else "causal", "parameters": 5, "options": {}},
        probe={"name": "likelihood", "version": 2, "options": {"scorer": "sum"}},
        score=score(made),
        answers={"path": "answers/none.parquet", "sha256": "ef" * 32, "rows": 1508},
        run={"versions": {"fairbench": "0.3"}},
    )  # fmt: skip


def report(folder: Path, *some: Made, **more: Any) -> Report:
    """A report of made results."""
    found = write(folder, *some)
    blocks = {
        one.path.relative_to(folder).as_posix(): {name: getattr(one.result, name) for name in ("task", "probe", "judges", "run")}
        for one in found.found
    }
    models = {one.label: one.result.model for one in found.found}
    usual = Report(title="made", table=tidy(found), models=models, results=blocks, metrics=cards())
    return dataclasses.replace(usual, **more)
