"""A baseline beside other models: results are matched, answers compared, and what is found is corrected and judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairbench.collection import Collection, Found, collect
from fairbench.comparison import NOT_SCORED, Comparison, Comparisons, Difference, Refused
from fairbench.comparison.matching import matched, other_tokens
from fairbench.comparison.measuring import compare_answers
from fairbench.comparison.sharing import answers_of, shared
from fairbench.comparison.verdicts import corrected, judged, margin_of, price, refuse_idle_margins, ungated
from fairbench.errors import FairbenchError, Undefined, did_you_mean
from fairbench.metric import MeasureOptions
from fairbench.registry import Registry
from fairbench.scores import Score

Progress = Callable[[str, int, int], None]

LEAST_DRAWS = 100
"""Fewer draws have no tails."""


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """How models are compared.

    Attributes:
        alpha: of the tests; intervals have the level 1 - alpha.
        draws, seed: of the paired bootstrap.
        tasks, metrics: only these; all that both models have where empty. With them the family of the correction is declared.
        margins: by metric, task/metric or column: by how much a model may be worse.
        include_path: folders with further metrics.
    """

    alpha: float = 0.05
    draws: int = 10_000
    seed: int = 1234
    tasks: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    margins: Mapping[str, float] = field(default_factory=dict)
    include_path: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        """Refuses what no test can have."""
        if not 0 < self.alpha < 0.5:
            raise FairbenchError(f"--alpha {self.alpha:g}: wanted a number between 0 and 0.5, such as 0.05.")
        if 0 < self.draws < LEAST_DRAWS:
            raise FairbenchError(
                f"--draws {self.draws}: wanted at least {LEAST_DRAWS} for an interval and a test, or 0 for none."
            )

    @property
    def measure(self) -> MeasureOptions:
        """The same for a metric."""
        return MeasureOptions(level=1 - self.alpha, draws=self.draws, seed=self.seed)


def compare(
    collection: Collection,
    baseline: str,
    models: Sequence[str],
    options: CompareOptions | None = None,
    progress: Progress | None = None,
) -> Comparisons:
    """Compares a baseline with other models, on the records that both answered.

    Args:
        collection: the results of all of them.
        baseline: label of a model in the collection.
        models: labels of the others.
        options: alpha, draws, margins.
        progress: called while metrics are compared.

    Returns:
        One comparison for each model, Holm's correction over the headline metrics of all of them.

    Raises:
        FairbenchError: nothing can be compared, naming what differs; or an option that can't be meant.
    """
    options = options or CompareOptions()
    registry, progress = Registry(options.include_path), progress or (lambda what, done, total: None)
    mine = _wanted(collection.of(baseline), options)
    _refuse_strange_names(collection.of(baseline), options)
    made = []
    for model in models:
        pairs, refused = matched(mine, _wanted(collection.of(model), options), registry)
        differences: list[Difference] = []
        more: list[Refused] = []
        for number, (one, other) in enumerate(pairs):
            progress(f"{model} · {one.column}", number, len(pairs))
            found = _compared(one, other, registry, options.measure)
            if isinstance(found, Difference):
                differences.append(found)
            else:
                more.append(found)
        progress(model, len(pairs), len(pairs))
        made.append(Comparison(baseline, model, tuple(differences), (*refused, *more)))
    if not any(c.differences for c in made):
        raise FairbenchError(_nothing(baseline, made, options))
    refuse_idle_margins(options.margins, [one for c in made for one in c.differences], [one.column for one in mine])
    with_p, family = corrected(made)
    return Comparisons(
        comparisons=tuple(_judged(c, options) for c in with_p),
        alpha=options.alpha,
        family=family,
        draws=options.draws,
        seed=options.seed,
        ungated=tuple(ungated(with_p, [one.column for one in mine], options.margins)),
    )


def _judged(comparison: Comparison, options: CompareOptions) -> Comparison:
    found = tuple(judged(one, options.alpha, margin_of(one, options.margins)) for one in comparison.differences)
    return dataclasses.replace(comparison, differences=found, price=price(found))


def _refuse_strange_names(found: Sequence[Found], options: CompareOptions) -> None:
    """Refuses the name of a task or metric that the baseline was not scored on: a typo would be no part of the family."""
    tasks = {one.task for one in found}
    metrics = {name for one in found for name in (one.metric, str(one.result.metric["name"]))}
    for flag, names, known in (("--tasks", options.tasks, tasks), ("--metrics", options.metrics, metrics)):
        for name in names:
            if name not in known:
                raise FairbenchError(
                    f"{flag} {name}: the baseline has no result of it.{did_you_mean(name, known)} It has "
                    f"{', '.join(sorted(known)) or 'no results'}."
                )


def _wanted(found: Sequence[Found], options: CompareOptions) -> list[Found]:
    """The results that were asked for."""
    return [
        one
        for one in found
        if (not options.tasks or one.task in options.tasks)
        and (not options.metrics or one.result.metric["name"] in options.metrics or one.metric in options.metrics)
    ]


def _compared(one: Found, other: Found, registry: Registry, how: MeasureOptions) -> Difference | Refused:
    """The difference on one metric; refused where the metric is not installed."""
    name = one.result.metric["name"]
    if name not in registry.metrics():
        return Refused(one.column, "metric.name", name, name, "this metric is not installed; name its folder with --include-path")
    metric = registry.metric(name)
    if metric.info.version != one.result.metric["version"]:
        why = "the installed metric has another version than the one that was measured; score both models again"
        return Refused(one.column, "metric.version", one.result.metric["version"], metric.info.version, why)
    named: dict[str, Any] = {
        "task": one.task,
        "metric": one.metric,
        "variant": one.variant,
        "column": one.column,
        "kind": metric.info.kind,
        "headline": metric.info.headline,
    }
    metric = metric.with_options(one.result.metric["options"])
    for found in (one, other):
        if found.result.score.value is None:  # what was withheld of all records is not to come back for some
            bare = [_bare(each.result.score) for each in (one, other)]
            why = f"{found.label} has no score: {found.result.score.undefined}"
            return Difference(**named, baseline=bare[0], model=bare[1], difference=None, undefined=why)
    try:
        tables = shared(metric, answers_of(one), answers_of(other))
    except Undefined as why:
        bare = [_bare(found.result.score) for found in (one, other)]
        return Difference(**named, baseline=bare[0], model=bare[1], difference=None, undefined=str(why))
    if (refused := other_tokens(one, other, tables)) is not None:
        return refused
    return compare_answers(metric, tables, how, named)


def _bare(score: Score) -> Score:
    """A recorded score without its groups."""
    return dataclasses.replace(score, by_group={}, clean=None, leave_one_out=None, without_refusals=None)


def _nothing(baseline: str, made: Sequence[Comparison], options: CompareOptions) -> str:
    """Why nothing can be compared, in one paragraph."""
    refused = [one for c in made for one in c.refused if one.field != NOT_SCORED]
    if refused:
        first = refused[0]
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        why = f"; {first.why}" if first.why else ""
        return (
            f"Nothing of {baseline} can be compared with {', '.join(c.model for c in made)}: {first.column} differs in "
            f"{first.field}, {first.baseline!r} against {first.model!r}{why}{more}. Score both models with the same options."
        )
    asked = f" of {', '.join((*options.tasks, *options.metrics))}" if options.tasks or options.metrics else ""
    return (
        f"{baseline} and {', '.join(c.model for c in made)} have no result{asked} in common. Score both models on the same tasks "
        "with `fairbench score`."
    )


def find_models(names: Sequence[str], roots: Sequence[Path]) -> tuple[Collection, list[str]]:
    """Results of the models that were named, by their label, or by the folder that their results lie in.

    Args:
        names: labels, names as they were scored, or folders of one model's results.
        roots: where results of models that are named lie.

    Returns:
        The collection, and a label of it for each name.

    Raises:
        FairbenchError: there are no results of a name, several models have it, or two names are one model.
    """
    folders = [Path(name) for name in names if _is_results(Path(name))]
    others = [root for root in roots if root.is_dir()]
    if not folders and not others:
        said = ", ".join(map(str, roots))
        raise FairbenchError(f"There is no folder {said}. Wanted the folder of results, --results-path, or folders of models.")
    # A folder that was named is what is meant, also where a copy of it lies among the results.
    collection = collect(folders if len(folders) == len(names) else [*others, *folders], instead=folders)
    labels = [_label(name, collection) for name in names]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise FairbenchError(f"{twice} was named twice. Wanted a baseline and other models.")
    return collection, labels


def _is_results(path: Path) -> bool:
    """Whether a path is a folder of results: it holds result files, one folder below."""
    return path.is_dir() and any(file.parent.name != "answers" for file in path.glob("*/*.json"))


def _label(name: str, collection: Collection) -> str:
    """The label of a model that was named in any of the ways."""
    by: dict[str, set[str]] = {}
    for one in collection.found:
        folder = one.folder.resolve()
        for known in (one.label, str(one.result.model["name"]), one.folder.name, one.folder.name[:-9]):
            by.setdefault(known, set()).add(one.label)
        by.setdefault(str(folder), set()).add(one.label)
    found = by.get(name) or by.get(str(Path(name).resolve())) or by.get(Path(name).name, set())
    if len(found) == 1:
        return next(iter(found))
    if found:
        raise FairbenchError(f"Several models are called {name!r}: {', '.join(sorted(found))}. Name the one that is meant so.")
    faults = f" {collection.faults[0]}" if collection.faults else ""
    raise FairbenchError(
        f"There are no results of {name!r}.{did_you_mean(name, collection.models)} Found results of "
        f"{', '.join(collection.models) or 'no model'}. Score it first with `fairbench score`.{faults}"
    )
