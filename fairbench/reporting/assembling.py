"""A report from folders of results: what can be used is read, compared, placed, correlated and drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairbench.collection import Collection, Fault, Found, collect, one_version
from fairbench.comparison import Comparisons
from fairbench.comparison.comparing import CompareOptions, compare
from fairbench.comparison.correlating import correlations
from fairbench.comparison.correlation import CorrelationOptions, Correlations
from fairbench.comparison.tradeoff import Tradeoff, default_pairs, tokenizers_of, tradeoff
from fairbench.errors import FairbenchError, did_you_mean
from fairbench.registry import Registry
from fairbench.reporting.contents import Figure, Report
from fairbench.reporting.examples import examples_of
from fairbench.reporting.found_figures import found_plates
from fairbench.reporting.plate import WIDTH, Plate
from fairbench.reporting.plates import plates, unique_names
from fairbench.tidy import below, tidy

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Progress = Callable[[str, int, int], None]

TITLE = "Fairness report"
"""Of a report that was given no other."""

LEAST_MODELS = 3
"""Fewer models have no correlation."""


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What goes into a report.

    Attributes:
        title: of the page.
        baseline: the model that others are compared with; without one nothing is compared.
        against: those others; all models but the baseline where empty.
        compare: how.
        correlation: how intrinsic scores are set against extrinsic ones.
        bias, utility: columns of the tidy table that the trade-off is between; chosen where null.
        examples: so many records of each kind are shown of every result whose answers are kept; 0 for none.
        figures: whether figures are drawn.
        include_path: folders with further metrics and tasks.
    """

    title: str = TITLE
    baseline: str | None = None
    against: tuple[str, ...] = ()
    compare: CompareOptions = field(default_factory=CompareOptions)
    correlation: CorrelationOptions = field(default_factory=CorrelationOptions)
    bias: str | None = None
    utility: str | None = None
    examples: int = 4
    figures: bool = True
    include_path: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Drawn:
    """A figure with the Axes that it stands on, so that it can be kept in other formats."""

    figure: Figure
    ax: Axes


def assemble(
    roots: Sequence[Path | str], options: ReportOptions | None = None, progress: Progress | None = None
) -> tuple[Report, tuple[Drawn, ...]]:
    """Everything that a report says, and its figures as they were drawn.

    Args:
        roots: folders of results.
        options: baseline, title, what is left out.
        progress: called while figures are drawn.

    Returns:
        The report; its faults name every file that could not be used.

    Raises:
        FairbenchError: a path does not exist, or the baseline is no model of the results.
    """
    options, progress = options or ReportOptions(), progress or (lambda what, done, total: None)
    collection = one_version(collect(roots))
    registry = Registry(options.include_path)
    table = tidy(collection, registry)
    _refuse_strangers(collection, options)
    notes: list[str] = []
    comparisons = _comparisons(collection, options, notes, progress)
    report = Report(
        title=options.title,
        table=table,
        models={one.label: one.result.model for one in collection.found},
        results={below(one, collection): _provenance(one) for one in collection.found},
        metrics=_cards(registry.metrics(), (one.result.metric["name"] for one in collection.found)),
        tasks=_cards(registry.tasks(), (one.task for one in collection.found)),
        comparisons=comparisons,
        tradeoff=_tradeoff(table, collection, options, registry),
        correlations=_correlations(table, registry, options),
        baseline=options.baseline,
        notes=(*notes, *_notes(collection)),
        about=_about(collection),
    )
    examples, more = examples_of(collection, report.tasks, options.examples, lambda one: below(one, collection))
    drawn, broken = _drawn(report, collection, progress) if options.figures else ((), [])
    faults = (*collection.faults, *more, *broken)
    figures = tuple(one.figure for one in drawn)
    return dataclasses.replace(report, examples=examples, figures=figures, faults=faults), drawn


def _comparisons(collection: Collection, options: ReportOptions, notes: list[str], progress: Progress) -> Comparisons | None:
    """The others beside the baseline, where one was named and answers are kept."""
    others = [label for label in options.against or collection.models if label != options.baseline]
    if options.baseline is None:
        if others[1:]:
            notes.append("No baseline was named, so nothing is compared: --baseline MODEL pairs the others with it.")
        return None
    if not others:
        notes.append(f"There is no other model to compare with {options.baseline}.")
        return None
    return compare(collection, options.baseline, others, options.compare, progress)


def _refuse_strangers(collection: Collection, options: ReportOptions) -> None:
    """Refuses models to be compared of which there are no results."""
    if options.against and options.baseline is None:
        raise FairbenchError("--against: there is nothing to compare these models with. Name a --baseline.")
    for flag, label in (*((("--baseline", options.baseline),) if options.baseline else ()), *_each("--against", options.against)):
        if flag == "--against" and label == options.baseline:
            raise FairbenchError(f"--against {label}: that is the baseline. Name other models.")
        if label not in collection.models:
            near = did_you_mean(label, collection.models)
            found = ", ".join(collection.models) or "no model"
            raise FairbenchError(f"{flag} {label}: there are no results of this model.{near} Found {found}.")


def _each(flag: str, labels: Iterable[str]) -> list[tuple[str, str]]:
    return [(flag, label) for label in labels]


def _tradeoff(table: pd.DataFrame, collection: Collection, options: ReportOptions, registry: Registry) -> Tradeoff | None:
    """The pair of bias and utility that was asked for, or the first that is worth showing; none where no two models have both.

    Embedding tests come last: their sizes are not comparable between models.
    """
    tokenizers, cards = tokenizers_of(collection), registry.metrics()
    embedding = {name for name, card in cards.items() if card.reads == "Association"}
    pairs = [
        pair
        for pair in default_pairs(table, tokenizers)
        if (options.bias or pair[0]) == pair[0] and (options.utility or pair[1]) == pair[1]
    ]
    if options.bias and options.utility:
        return tradeoff(table, options.bias, options.utility, tokenizers=tokenizers)
    if not pairs:
        if named := options.bias or options.utility:
            raise FairbenchError(
                f"No two models have a score of {named} and one to set against it. Name both --bias and --utility."
            )
        return None
    metric_of = dict(zip(table["column"], table["metric"], strict=True))
    first = min(pairs, key=lambda pair: metric_of[pair[0]] in embedding)
    return tradeoff(table, *first, tokenizers=tokenizers)


def _correlations(table: pd.DataFrame, registry: Registry, options: ReportOptions) -> Correlations | None:
    """Intrinsic against extrinsic scores; none where too few models have both."""
    kinds = [set(table.loc[table["kind"] == kind, "model"]) for kind in ("intrinsic", "extrinsic")]
    if len(kinds[0] & kinds[1]) < LEAST_MODELS:
        return None
    return correlations(table, options.correlation, registry)


def _cards(known: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: known[name] for name in dict.fromkeys(names) if name in known}


def _provenance(one: Found) -> dict[str, Any]:
    """The blocks of a result that say where its number comes from."""
    result = one.result
    return {
        "metric": result.metric, "task": result.task, "probe": result.probe, "judges": result.judges,
        "answers": result.answers, "run": result.run, "model": result.model,
    }  # fmt: skip


def _about(collection: Collection) -> dict[str, Any]:
    """What made the report, when, and which versions made the results."""
    from fairbench import __version__

    return {
        "program": "fairbench",
        "version": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "results": len(collection.found),
        "versions": collection.versions(),
    }


def _notes(collection: Collection) -> list[str]:
    """What is to be said of the results together."""
    said = []
    several = {name: counts for name, counts in collection.versions().items() if len(counts) > 1}
    for name, counts in several.items():
        which = ", ".join(f"{version} ({count} results)" for version, count in counts.items())
        said.append(f"Results were made with several versions of {name}: {which}.")
    limited = sum(one.limited for one in collection.found)
    if limited:
        said.append(
            f"{limited} of {len(collection.found)} results are trials over some of the records (--limit): not to be printed."
        )
    return said


def _drawn(report: Report, collection: Collection, progress: Progress) -> tuple[tuple[Drawn, ...], list[Fault]]:
    """The figures of the report, each drawn once."""
    beside, faults = found_plates(collection)
    every = list(unique_names([*plates(report, collection.found), *beside]))
    drawn = []
    for number, plate in enumerate(every):
        progress("figures", number, len(every))
        drawn.append(_draw(plate))
    progress("figures", len(every), len(every))
    return tuple(drawn), faults


def _draw(plate: Plate) -> Drawn:
    from fairbench.reporting.figures.style import drawn, svg, titled

    with drawn(WIDTH, plate.height) as ax:
        plate.draw(ax)
        if plate.subject:
            titled(ax, f"{plate.subject}: {' '.join(ax.get_title(loc='left').split())}")
        title = " ".join(ax.get_title(loc="left").split())
        element = svg(ax)
    return Drawn(Figure(plate.name, title, plate.caption, element, plate.described, plate.section), ax)
