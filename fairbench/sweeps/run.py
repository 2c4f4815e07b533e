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

from fairbench.answers import AnswerStore
from fairbench.asked import Asked
from fairbench.errors import FairbenchError, Undefined
from fairbench.files import require_writable, write_json
from fairbench.measurement import measure_once
from fairbench.models.model import ModelCard
from fairbench.naming import folder_name, metric_label, moved_options, result_name
from fairbench.plan import Ask, ScoreOptions, moved_metric_options
from fairbench.preparation import Progress, name_of, records_of
from fairbench.records import UNASKED, as_row
from fairbench.results import Result, versions
from fairbench.study import Runner, write_summary
from fairbench.sweeps import subsets
from fairbench.sweeps.choices import ROW_AXES, Axes, Swept, plan_sweep, same_answers
from fairbench.sweeps.spreads import Outcome, Spread
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
    asked = runner.ready.prepare([ask for score in wanted.scores for _, ask in score.choices])
    scores, without = _with_parts([s for s in wanted.scores if records_of(s.default) in asked], asked, axes)
    results, failed = _results(runner, scores, asked)
    skipped = {**wanted.skipped, **runner.ready.skipped, **without}
    spreads = []
    for score in scores:
        found = [results[same_answers(ask), score.label] for _, ask in score.choices]
        if any(isinstance(result, Result) for result in found):
            spreads.append(_spread(runner, score, found, axes, skipped))
    if spreads:
        write_summary(folder)
    return Sweep(wanted.plan.card, tuple(spreads), folder, skipped, {**runner.failed, **failed})


AskedRecords = Mapping[tuple[str, str], Asked]
"""The records that asks put to the model, by `records_of`."""

WANTED = {
    "template": "templates to choose from ({why}). Wanted a task of Slot records, which are made of templates, or one whose "
    "records name theirs (meta.template), such as planted_pairs.",
    "words": "words to choose from ({why}). Wanted a task with two words or more in a set, such as weat_6.",
}
"""What is said where an axis over parts of the rows was asked for and no task has a choice of it."""


def _with_parts(scores: Sequence[Swept], asked: AskedRecords, axes: Axes) -> tuple[list[Swept], dict[str, str]]:
    """Takes `template` and `words` from scores whose records leave no choice of them, before any model work; and says from which.

    Raises:
        FairbenchError: nothing that was asked for has a choice of one of them.
    """
    without: dict[tuple[str, str], str] = {}
    for axis in (axis for axis in ROW_AXES if axis in axes):
        having = {score.default.task.name: score for score in scores if axis in score.axes}
        find = _no_templates if axis == "template" else _no_halves
        reasons = {name: why for name, score in having.items() if (why := find(score, asked[records_of(score.default)]))}
        if reasons and len(reasons) == len(having):
            why = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
            raise FairbenchError(f"--sweep {axis}: nothing that was asked for has {WANTED[axis].format(why=why)}")
        without |= {(name, axis): why for name, why in reasons.items()}
    mended = []
    for s in scores:
        left = tuple(axis for axis in s.axes if (s.default.task.name, axis) not in without)
        if left:
            mended.append(dataclasses.replace(s, axes=left))
    return mended, {f"{name} over {axis}": why for (name, axis), why in without.items()}


def _no_templates(score: Swept, asked: Asked) -> str:
    """Why the records leave no choice of templates; empty where they do."""
    found = {subsets.template_of(record) for record in asked.records()} - {None}
    if len(found) > 1:
        return ""
    return "all of its records have one template" if found else "its records name no template"


def _no_halves(score: Swept, asked: Asked) -> str:
    """Why the records leave no halves of their words; empty where they do."""
    import pandas as pd

    rows = pd.DataFrame([as_row(record) for record in asked.records() if not record.meta.get(UNASKED)])
    info = score.metric.info
    try:
        if len(rows):  # else nothing can be asked, and the score says why
            subsets.halves(complete(rows.assign(**{c: None for c in info.columns if c not in rows}), info), info.reads, 1, 0)
    except Undefined as why:
        return str(why)
    return ""


def _results(
    runner: Runner, scores: Sequence[Swept], asked: AskedRecords
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
        results = runner.run(dataclasses.replace(first, metrics=metrics, moved=moved), asked[records_of(first)])
        by_metric = {metric_label(result.metric["name"], result.metric["options"]): result for result in results}
        whole = runner.failed.pop(name_of(first), "")
        for metric in metrics:
            label = metric_label(metric.name, metric.options)
            reason = runner.failed.pop(f"{task}/{label}", whole)
            found[key, label] = by_metric.get(label, reason)
            if reason:
                failed[f"{task}/{label} at {said(choice) or 'the default'}"] = reason
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
        seen = {name: getattr(result.score, name) for name in ("value", "n", "n_total", "interval", "undefined")}
        outcomes.append(dataclasses.replace(whole, **seen, result=path))
        if rows:
            store = AnswerStore(runner.folder / "answers", Path(result.answers["path"]).stem)
            table = runner.panel.join(store, store.read(), [score.metric.info.judge])
            outcomes += _parts(table, score, whole, options=runner.options, axes=axes, skipped=skipped)
    first = next(result for result in found if isinstance(result, Result))
    default = found[0].score if isinstance(found[0], Result) else None
    spread = Spread(
        task=score.default.task.name,
        metric=score.metric.name,
        label=score.label,
        axes=score.axes,
        ideal=score.metric.info.ideal,
        outcomes=tuple(outcomes),
        left_out=default.left_out if default else {},
        warnings=default.warnings if default else (),
    )
    return dataclasses.replace(spread, file=_write(runner, score, spread, first, axes))


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


def _write(runner: Runner, score: Swept, spread: Spread, result: Result, axes: Axes) -> str:
    """Saves a spread as sweeps/<task>/<metric>@over=<axes>.json, with all that it came from; its place below the folder."""
    options, default = runner.options, score.default
    name = {
        **default.moved[score.metric.name],
        **moved_metric_options(score.metric),
        **moved_options(options, default.task.info, runner.ready.corpus),
        "over": "+".join("-".join((axis, *axes[axis])) for axis in sorted(score.axes)),
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
    path = runner.folder / "sweeps" / spread.task / result_name(spread.metric, name)
    write_json(path, content)
    return path.relative_to(runner.folder).as_posix()
