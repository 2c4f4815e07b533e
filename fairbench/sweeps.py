"""How far a score moves with choices that rest on no principle: pooling, layer, scorer, templates, words.

Every combination of probe options is an ordinary run with ordinary result files, so answers are made once and taken up by later
commands; templates and words are parts of the same answers and need no model. Delobelle et al. 2022 (Measuring Fairness with
Biased Rulers), Seshadri et al. 2022, Selvam et al. 2023 (The Tail Wagging the Dog) and Antoniak and Mimno 2021 (Bad Seeds) show
that such choices can turn a conclusion round.
"""

from __future__ import annotations

import dataclasses
import itertools
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench import subsets
from fairbench.answers import AnswerStore
from fairbench.asked import Asked
from fairbench.choices import ROW_AXES, Axes, Swept, plan_sweep, same_answers
from fairbench.errors import FairbenchError, Undefined
from fairbench.files import require_writable, write_json
from fairbench.measurement import measure_once
from fairbench.models.model import ModelCard
from fairbench.naming import folder_name, moved_options, result_name
from fairbench.plan import Ask, ScoreOptions
from fairbench.results import Result
from fairbench.spreads import Outcome, Spread
from fairbench.study import Progress, Runner, versions, write_summary
from fairbench.tables import complete, usable

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
"""Version of a sweep file's shape."""


@dataclass(frozen=True)
class Sweep:
    """The spreads of one model's scores, the folder where they lie, and what was skipped or failed, by name with the reason."""

    card: ModelCard
    spreads: tuple[Spread, ...]
    folder: Path
    skipped: Mapping[str, str]
    failed: Mapping[str, str]

    def to_frame(self) -> pd.DataFrame:
        """One row a choice: model, task, metric, a column for each axis, value, low, high, n, default, undefined."""
        import pandas as pd

        return pd.DataFrame(
            {
                "model": self.card.name,
                "task": spread.task,
                "metric": spread.metric,
                **o.choice,
                "value": o.value,
                "low": o.interval.low if o.interval else None,
                "high": o.interval.high if o.interval else None,
                "n": o.n,
                "default": o.default,
                "undefined": o.undefined,
            }
            for spread in self.spreads
            for o in spread.outcomes
        )


def sweep(model: str, options: ScoreOptions, axes: Axes, progress: Progress | None = None) -> Sweep:
    """Scores a model under every combination of choices.

    Args:
        model: Hub id, folder, or planted:NAME.
        options: those of the default choice.
        axes: `pooling`, `layer`, `scorer` (without values: all that model and form allow), any other probe option with its
            values, `template`, and `words` (without a value: 20 halves).
        progress: called while records are asked.

    Raises:
        FairbenchError: the request is wrong. A choice that fails while it runs is undefined, and stands in `failed`.
    """
    wanted = plan_sweep(model, options, axes)
    require_writable(options.output_path)
    folder = options.output_path / folder_name(wanted.plan.card)
    runner = Runner(wanted.plan.card, folder, options, progress or (lambda what, done, total: None))
    asked = runner.look_through([score.default for score in wanted.scores])
    scores, without = _with_templates([s for s in wanted.scores if s.default.task.name in asked], asked)
    results, failed = _results(runner, scores, asked)
    skipped = {**wanted.skipped, **runner.skipped, **without}
    spreads = []
    for score in scores:
        found = [results[same_answers(ask), score.metric.name] for _, ask in score.choices]
        if any(isinstance(result, Result) for result in found):
            spreads.append(_spread(runner, score, found, axes, skipped))
    if spreads:
        write_summary(folder)
    return Sweep(wanted.plan.card, tuple(spreads), folder, skipped, {**runner.failed, **failed})


def _with_templates(scores: Sequence[Swept], asked: Mapping[str, Asked]) -> tuple[list[Swept], dict[str, str]]:
    """Takes the axis `template` from scores whose records have none, before any model work; and says which these are.

    Raises:
        FairbenchError: nothing that was asked for has templates.
    """
    without: dict[str, str] = {}
    for name in {score.default.task.name: None for score in scores if "template" in score.axes}:
        found = {subsets.template_of(record) for record in asked[name].records()} - {None}
        if len(found) < 2:
            without[name] = "all of its records have one template" if found else "its records name no template"
    if without and not any("template" in s.axes and s.default.task.name not in without for s in scores):
        why = "; ".join(f"{name}: {reason}" for name, reason in without.items())
        raise FairbenchError(
            f"--sweep template: nothing that was asked for has templates to choose from ({why}). Wanted a task of Slot records, "
            "which are made of templates, or one whose records name theirs (meta.template), such as planted_pairs."
        )
    mended = []
    for s in scores:
        axes = tuple(axis for axis in s.axes if axis != "template" or s.default.task.name not in without)
        if axes:
            mended.append(dataclasses.replace(s, axes=axes))
    return mended, {f"{name} over template": why for name, why in without.items()}


def _results(
    runner: Runner, scores: Sequence[Swept], asked: Mapping[str, Asked]
) -> tuple[dict[tuple[str, str], Result | str], dict[str, str]]:
    """The result, or the reason why there is none, for each table of answers and metric; and what failed, by its name."""
    tables: dict[str, list[tuple[Mapping[str, Any], Ask]]] = {}
    for score in scores:
        for choice, ask in score.choices:
            tables.setdefault(same_answers(ask), []).append((choice, ask))
    found: dict[tuple[str, str], Result | str] = {}
    failed: dict[str, str] = {}
    for number, (key, entries) in enumerate(tables.items()):
        runner.progress("choices", number, len(tables))
        choice, first = entries[0]
        metrics = tuple(metric for _, one in entries for metric in one.metrics)
        moved = {name: options for _, one in entries for name, options in one.moved.items()}
        task = first.task.name
        results = runner.run(dataclasses.replace(first, metrics=metrics, moved=moved), asked[task])
        by_metric = {result.metric["name"]: result for result in results}
        whole = runner.failed.pop(task, "")
        for metric in metrics:
            reason = runner.failed.pop(f"{task}/{metric.name}", whole)
            found[key, metric.name] = by_metric.get(metric.name, reason)
            if reason:
                failed[f"{task}/{metric.name} at {said(choice) or 'the default'}"] = reason
    runner.progress("choices", len(tables), len(tables))
    return found, failed


def _spread(runner: Runner, score: Swept, found: Sequence[Result | str], axes: Axes, skipped: dict[str, str]) -> Spread:
    """A score's outcomes, saved: every choice of probe options over all rows, and after each of them its parts of the rows."""
    rows = {axis: subsets.ALL for axis in score.axes if axis in ROW_AXES}
    outcomes = []
    for number, ((choice, ask), result) in enumerate(zip(score.choices, found, strict=True)):
        whole = Outcome(choice={**choice, **rows}, value=None, n=0, default=number == 0)
        if isinstance(result, str):
            outcomes.append(dataclasses.replace(whole, undefined=result))
            continue
        path = runner.path(ask, score.metric).relative_to(runner.folder).as_posix()
        seen = {name: getattr(result.score, name) for name in ("value", "n", "interval", "undefined")}
        outcomes.append(dataclasses.replace(whole, **seen, result=path))
        if rows:
            table = AnswerStore(runner.folder / "answers", Path(result.answers["path"]).stem).read()
            outcomes += _parts(table, score, whole, options=runner.options, axes=axes, skipped=skipped)
    first = next(result for result in found if isinstance(result, Result))
    spread = Spread(
        task=score.default.task.name,
        metric=score.metric.name,
        axes=score.axes,
        ideal=score.metric.info.ideal,
        outcomes=tuple(outcomes),
        warnings=found[0].score.warnings if isinstance(found[0], Result) else (),
    )
    _write(runner, score, spread, first, axes)
    return spread


def _parts(
    answers: pd.DataFrame, score: Swept, whole: Outcome, *, options: ScoreOptions, axes: Axes, skipped: dict[str, str]
) -> list[Outcome]:
    """The score over every combination of parts of the rows, but for the one that is the whole."""
    table, _ = usable(complete(answers, score.metric.info), score.metric.info)
    choices = []
    for axis in (axis for axis in score.axes if axis in ROW_AXES):
        found = [subsets.Subset(subsets.ALL, np.ones(len(table), dtype=bool))]
        try:
            if axis == "template":
                found += subsets.templates(table)
            else:
                count = int(axes[axis][0]) if axes[axis] else subsets.HALVES
                found += subsets.halves(table, score.metric.info.reads, count, options.measure.seed)
        except Undefined as why:
            skipped[f"{score.name} over {axis}"] = str(why)
        choices.append([(axis, part) for part in found])
    measuring = dataclasses.replace(options.measure, draws=0)
    outcomes = []
    for parts in itertools.islice(itertools.product(*choices), 1, None):
        part = measure_once(score.metric, table[np.logical_and.reduce([p.keep for _, p in parts])], measuring)
        outcomes.append(
            Outcome(
                choice={**whole.choice, **{axis: p.name for axis, p in parts}},
                value=part.value,
                n=part.n,
                undefined=part.undefined,
                words={name: words for _, p in parts for name, words in p.words.items()},
            )
        )
    return outcomes


def said(choice: Mapping[str, Any]) -> str:
    """A choice in a line: "pooling mean, layer 2"."""
    return ", ".join(f"{axis} {value}" for axis, value in choice.items())


def _write(runner: Runner, score: Swept, spread: Spread, result: Result, axes: Axes) -> None:
    """Saves a spread as sweeps/<task>/<metric>@over=<axes>.json, with all that it came from."""
    options, default = runner.options, score.default
    name = {
        **default.moved[score.metric.name],
        **moved_options(options, default.task.info),
        "over": "+".join(sorted(score.axes)),
    }
    content = {
        "schema": SCHEMA,
        "metric": result.metric,
        "task": result.task,
        "model": result.model,
        "probe": {**result.probe, "options": dict(default.options)},
        "sweep": spread.as_dict(),
        "run": {
            "axes": {axis: axes[axis] for axis in score.axes},
            "measure": dataclasses.asdict(options.measure),
            "versions": versions(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "platform": platform.platform(),
        },
    }
    write_json(runner.folder / "sweeps" / spread.task / result_name(spread.metric, name), content)
