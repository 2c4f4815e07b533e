"""Scores as the page shows them: every number with its interval, count, ideal, direction, floor and test, in words."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fairbench.scores import Interval
from fairbench.tidy import CLEAN, COLUMNS, GROUP, WHOLE, WITHOUT_REFUSALS, require_columns
from fairbench.wording import figure, interval_text, n_text, p_figure, published_text

if TYPE_CHECKING:
    from fairbench.reporting.contents import Examples, Report

EMBEDDINGS = "Association"
"""Form of the records of embedding tests, which are never the only evidence."""

PARTS = {
    CLEAN: "without records that break a rule of pair quality",
    WITHOUT_REFUSALS: "without refusals",
    WHOLE: "all records",
}
"""What the parts of a score are called."""


@dataclass(frozen=True)
class Number:
    """One number, ready to be printed.

    Attributes:
        name: of the group or part; empty for a score over all records.
        value, interval, n, ideal, floor, p: in words; "undefined" where there is no value, a dash where there is no other figure.
        published: p of the published definition, where it differs; else empty.
        order: what a table sorts by, by column; null where undefined.
        direction, tests: what a larger value means; how the interval and p were found.
        undefined: why there is no value.
        notes: what must be read beside it: warnings, and what was left out.
    """

    name: str
    value: str
    interval: str
    n: str
    ideal: str
    floor: str
    p: str
    published: str
    order: Mapping[str, float | None]
    direction: str
    tests: tuple[str, ...]
    undefined: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A score with what is behind a click under it.

    Attributes:
        anchor: where the page has it ("score-12").
        model, kind, task, metric, variant, title: as in the tidy table.
        headline, limited, embedding: whether comparisons correct for it; whether it is a trial; whether it is an embedding test.
        number: the score over all records.
        parts: clean, without refusals and groups.
        limits: what is known against the metric and the task, as (whose, sentence).
        notice: what the task's texts may hold, or null.
        file: the result file as in the tidy table.
        answers: digests of the records that were asked and of the answers.
        examples: some of its records, or null.
        raw: the row of the tidy table.
    """

    anchor: str
    model: str
    kind: str
    task: str
    metric: str
    variant: str
    title: str
    headline: bool | None
    limited: bool
    embedding: bool
    number: Number
    parts: tuple[Number, ...]
    limits: tuple[tuple[str, str], ...] = ()
    notice: str | None = None
    file: str = ""
    answers: tuple[tuple[str, str], ...] = ()
    examples: Examples | None = None
    raw: Mapping[Hashable, Any] = field(default_factory=dict, repr=False)

    @property
    def inside(self) -> str:
        """What the disclosure under the row holds, in a line."""
        groups = sum(one.name not in PARTS.values() for one in self.parts)
        said = [
            counted(len(self.number.notes), "note") if self.number.notes else "",
            counted(groups, "group") if groups else "",
            *(one.name for one in self.parts if one.name in PARTS.values()),
            counted(len(self.limits), "limit") if self.limits else "",
            counted(len(self.examples.examples), "example") if self.examples else "",
            "provenance",
        ]
        return ", ".join(filter(None, said))


def rows(report: Report) -> tuple[Row, ...]:
    """The scores of a report, in the order of its table.

    Raises:
        FairbenchError: the table lacks columns of the tidy table.
    """
    require_columns(report.table, COLUMNS)
    results: dict[Any, list[Mapping[Hashable, Any]]] = {}
    for row in report.table.to_dict("records"):
        results.setdefault((row["model"], row["file"]), []).append(row)
    whole = [
        [row for row in same if row["part"] == WHOLE] + [row for row in same if row["part"] != WHOLE] for same in results.values()
    ]
    return tuple(_row(report, f"score-{at}", same) for at, same in enumerate(whole, 1))


def _row(report: Report, anchor: str, same: Sequence[Mapping[Hashable, Any]]) -> Row:
    """A score from its rows of the tidy table, the whole first."""
    row = same[0]
    result = report.results.get(row["file"], {})
    card, task = report.metrics.get(bare(row["metric"])), report.tasks.get(row["task"])
    limits = [("metric", one) for one in card.threats] if card else []
    limits += [("task", one) for one in task.notes] if task else []
    reads = card.reads if card else (result.get("task") or {}).get("form")
    return Row(
        anchor=anchor,
        **{name: str(row[name]) for name in ("model", "kind", "task", "metric", "variant", "title")},
        headline=present(row["headline"]),
        limited=bool(row["limited"]),
        embedding=reads == EMBEDDINGS,
        number=_number(row),
        parts=tuple(_number(one) for one in same[1:]),
        limits=tuple(limits),
        notice=task.content_warning if task else None,
        file=str(row["file"]),
        answers=tuple(
            (name.replace("_", " "), str(row[name])) for name in ("records_sha256", "answers_sha256") if present(row[name])
        ),
        examples=report.examples.get(row["file"]),
        raw=row,
    )


def bare(metric: str) -> str:
    """The name of a metric without the notion whose groups it compares."""
    return metric.partition(" by ")[0]


def _number(row: Mapping[Hashable, Any]) -> Number:
    """A row of the tidy table in words."""
    has = {str(key): present(value) for key, value in row.items() if key not in ("warnings", "left_out")}
    between = None
    if has["low"] is not None and has["high"] is not None:
        between = Interval(has["low"], has["high"], has["level"] or math.nan, has["interval_method"] or "")
    order = {name: has[name] for name in ("value", "low", "ideal", "floor", "p_value")}
    return Number(
        name=str(row["group"]) if row["part"] == GROUP else PARTS.get(str(row["part"]), str(row["part"])),
        value="undefined" if has["value"] is None else figure(has["value"]),
        interval=interval_text(between),
        n=n_text(int(row["n"]), int(row["n_total"])) + ("" if row["unit"] == "record" else f" {row['unit']}s"),
        ideal=figure(has["ideal"]),
        floor=figure(has["floor"]),
        p=probability(has["p_value"]),
        published="" if has["p_published"] is None else published_text(has["p_published"]),
        order={**order, "n": float(row["n"])},
        direction=str(has["direction"] or ""),
        tests=tuple(_tests(has, between)),
        undefined=None if has["value"] is not None else str(has["undefined"] or "the result does not say why"),
        notes=(*map(str, row["warnings"]), *map(str, row["left_out"])),
    )


def _tests(has: Mapping[str, Any], between: Interval | None) -> Iterator[str]:
    """How the interval and p were found."""
    if between:
        level = "" if math.isnan(between.level) else f"{100 * between.level:g} %, "
        yield f"Interval: {level}{between.method or 'the result does not say how it was found'}."
    if has["p_value"] is not None:
        yield f"p: {has['p_method'] or 'the result does not say which test it is'}."


def probability(p: float | None) -> str:
    """A p-value in words, or a dash."""
    return p_figure(p)


def present(value: Any) -> Any:
    """The value, or null where a table has none (NaN, NaT)."""
    return None if value is None or (isinstance(value, float) and math.isnan(value)) else value


def counted(count: int, what: str) -> str:
    """How many, with the word in the right number."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
