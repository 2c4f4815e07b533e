"""What a report is made of; the page, the tables and the model card are ways to write it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fairbench.collection import Fault
from fairbench.scores import MetricInfo, TaskInfo

if TYPE_CHECKING:
    import pandas as pd

    from fairbench.comparison import Comparisons
    from fairbench.comparison.correlation import Correlations
    from fairbench.comparison.tradeoff import Tradeoff


@dataclass(frozen=True)
class Figure:
    """A drawn figure.

    Attributes:
        name: of its files, without ending ("scores-crows_pairs").
        title: what is seen, as a sentence.
        caption: how to read it, n, level, what is left out.
        svg: the drawing; text from models and data in it is escaped.
        described: what a person who can't see it needs to know.
        section: where the page shows it: scores, groups, comparison, tradeoff, correlation, association, tokens, planted or
            training.
    """

    name: str
    title: str
    caption: str
    svg: str
    described: str
    section: str


@dataclass(frozen=True)
class Example:
    """A record with what a model made of it, in words and numbers: `fields` by name, in the order in which they are shown."""

    id: str
    group: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Examples:
    """Some records of one result.

    Attributes:
        file: the result's file as in the tidy table.
        chosen: which ones these are, in words ("the ten with the largest margin").
        notice: what the texts may hold, or null; shown before they are.
        examples: the records.
        n: how many records there are.
    """

    file: str
    chosen: str
    notice: str | None
    examples: tuple[Example, ...]
    n: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that a report says.

    Attributes:
        title: of the page.
        table: the tidy table (`fairbench.tidy.COLUMNS`).
        models: of each label what is known of the model: a result's `model` block.
        results: of each file of the tidy table the `task probe judges run` blocks of its result: the provenance of a number.
        metrics, tasks: cards by name, as far as they are installed.
        figures: in the order in which they are shown.
        examples: by file.
        comparisons, tradeoff, correlations: where there is more than one model; else null.
        baseline: label of the model that the others are compared with, or null.
        faults: what was not used.
        notes: sentences about the report as a whole.
        about: name and version of the program, date, package versions with the number of results.
    """

    title: str
    table: pd.DataFrame
    models: Mapping[str, Mapping[str, Any]]
    results: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, MetricInfo] = field(default_factory=dict)
    tasks: Mapping[str, TaskInfo] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    examples: Mapping[str, Examples] = field(default_factory=dict)
    comparisons: Comparisons | None = None
    tradeoff: Tradeoff | None = None
    correlations: Correlations | None = None
    baseline: str | None = None
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Short: what it holds fills a page."""
        return f"Report({self.title!r}, {len(self.results)} results, {len(self.models)} models, {len(self.figures)} figures)"
