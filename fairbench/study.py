"""The runner: models x tasks x metrics become cells; what is missing is asked, measured and saved; what is there is kept.

A cell's answers are named by a hash over everything that can change them (weights, tokenizer, dtype, data, probe and options),
so metrics share answers, the same command twice does no model work, and a run that was killed goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import functools
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairbench import __version__, quality
from fairbench.answers import AnswerStore
from fairbench.asked import Asked
from fairbench.asking import Asker
from fairbench.errors import FairbenchError
from fairbench.files import digest, require_writable, write_json
from fairbench.judging import REFUSAL, Panel
from fairbench.measurement import Metric, measure
from fairbench.models.model import ModelCard
from fairbench.naming import folder_name, metric_label, moved_options, result_name, slug
from fairbench.plan import Ask, ScoreOptions, judges_of, make_plan, moved_metric_options
from fairbench.preparation import Preparation, Progress, name_of, network_of, records_of, what
from fairbench.registry import Registry
from fairbench.results import SCHEMA, Result, lm_eval_shape, read_result, versions, write_result

if TYPE_CHECKING:
    import pandas as pd

ANSWERS_VERSION = 2
"""Raised when answers of the same cell would come out otherwise; old ones are then not taken up."""

MADE_BY = (quality.VERSION, SCHEMA, __version__)
"""What of this package, beside the metric's own file, a cell's hash is over."""


def answers_key(model: Mapping[str, str], form: str, records_sha256: str, probe: Mapping[str, Any]) -> str:
    """How a table of answers is called: 32 hex digits of all that can change it.

    Args:
        model: the card's `identity`.
        form: of the records.
        records_sha256: over all that is asked.
        probe: its name, version, options and what was prepared for it.
    """
    records = {"form": form, "sha256": records_sha256}
    return digest({"answers": ANSWERS_VERSION, "model": model, "records": records, "probe": probe})[:32]


def cell_hash(
    key: str, task: Mapping[str, Any], how: Sequence[Any], measuring: Mapping[str, Any], made_by: Sequence[Any] = MADE_BY
) -> str:
    """Sha256 over all that can change a result.

    Args:
        key: of its answers.
        task: its block of the result.
        how: the metric's name, the sha256 of its file, its options, and the identities of the judges.
        measuring: level, draws and seed.
        made_by: versions of this package.
    """
    return digest([key, task, *how, measuring, *made_by])


@dataclass(frozen=True)
class Run:
    """The results of one model, where they lie, and what was skipped or failed, by name with the reason."""

    card: ModelCard
    results: tuple[Result, ...]
    folder: Path
    skipped: Mapping[str, str]
    failed: Mapping[str, str]

    def to_frame(self) -> pd.DataFrame:
        """One row a score: task, metric, value, interval, p, n, ideal, undefined."""
        import pandas as pd

        return pd.DataFrame(
            {
                "model": self.card.name,
                "task": r.task["name"],
                "metric": metric_label(r.metric["name"], r.metric["options"]),
                "value": r.score.value,
                "low": r.score.interval.low if r.score.interval else None,
                "high": r.score.interval.high if r.score.interval else None,
                "p_value": r.score.p_value,
                "ideal": r.score.ideal,
                "n": r.score.n,
                "undefined": r.score.undefined,
            }
            for r in self.results
        )


def score(model: str, options: ScoreOptions | None = None, progress: Progress | None = None) -> Run:
    """Scores a model: plans, refuses what can't be done before anything runs, asks, measures, saves.

    Args:
        model: Hub id, folder, or planted:NAME.
        options: tasks, metrics, data, model and measure options.
        progress: called while records are asked.

    Raises:
        FairbenchError: the request is wrong. A task that fails while it runs is in the run's `failed`, and the others go on.
    """
    options = options or ScoreOptions()
    plan = make_plan(model, options)
    require_writable(options.output_path)
    folder = options.output_path / folder_name(plan.card)
    runner = Runner(plan.card, folder, options, progress or (lambda what, done, total: None))
    asked = runner.ready.prepare(plan.asks)
    results: list[Result] = []
    for number, ask in enumerate(plan.asks):
        runner.progress("tasks", number, len(plan.asks))
        if records_of(ask) in asked:
            results += runner.run(ask, asked[records_of(ask)])
    runner.progress("tasks", len(plan.asks), len(plan.asks))
    if results:
        write_summary(folder)
    return Run(plan.card, tuple(results), folder, {**plan.skipped, **runner.ready.skipped}, runner.failed)


class Runner:
    """Asks and measures one model's cells; the model is loaded when the first answer is missing. What fails is kept by name."""

    def __init__(self, card: ModelCard, folder: Path, options: ScoreOptions, progress: Progress) -> None:
        self.card, self.folder, self.options, self.progress = card, folder, options, progress
        self.registry = Registry(options.include_path)
        self.ready = Preparation(card, folder, options, progress)
        self.failed = self.ready.failed
        self.panel = Panel(folder, self.ready.judges, self.progress)
        self._asker = Asker(card, self.registry, options.batching, self.progress)

    def run(self, ask: Ask, asked: Asked) -> list[Result]:
        """The results of one table of answers, from disk where they are there."""
        prepared = self.ready.networks.get(network_of(ask))
        if prepared is None:  # why stands in `skipped`
            return []
        probe: dict[str, Any] = {
            "name": ask.probe, "version": self.registry.probe(ask.probe).VERSION, "options": dict(ask.options)
        }  # fmt: skip
        if prepared.identity:
            probe["prepared"] = dict(prepared.identity)
        key = answers_key(self.card.identity, ask.task.info.form, asked.sha256, probe)
        store = AnswerStore(self.folder / "answers", key)
        try:
            with store.lock():  # a second process waits, and then finds the answers there
                if not store.finished():
                    self._asker.ask(ask, asked, store, prepared)
                store.tidy()
        except Exception as error:  # whatever one task dies of, the others go on
            self.failed[name_of(ask)] = what(error)
            return []
        results = []
        read = functools.cache(store.read)  # one reading, and one check of its hash, for all metrics of the table
        for metric in ask.metrics:
            name = f"{ask.task.name}/{metric_label(metric.name, metric.options)}"
            if metric.info.judge in self.ready.unready:
                self.ready.skipped[name] = self.ready.unready[metric.info.judge]
                continue
            try:
                results.append(self._result(ask, asked, metric, store, read=read, probe=probe))
            except Exception as error:
                self.failed[name] = what(error)
        return results

    def path(self, ask: Ask, metric: Metric) -> Path:
        """Where the result of one metric lies."""
        moved = {
            **ask.moved[metric.name],
            **moved_metric_options(metric),
            **moved_options(self.options, ask.task.info, self.ready.corpus),
        }
        if ask.variants not in ("", ask.task.info.counterfactual):
            moved["counterfactual"] = ask.variants
        if metric.info.judge in self.ready.judges:
            judge = self.ready.judges[metric.info.judge]
            moved |= {f"judge.{option}": slug(str(value)) for option, value in judge.moved.items()}
        return self.folder / ask.task.name / result_name(metric.name, moved)

    def _result(
        self,
        ask: Ask,
        asked: Asked,
        metric: Metric,
        store: AnswerStore,
        *,
        read: Callable[[], pd.DataFrame],
        probe: dict[str, Any],
    ) -> Result:
        options, measuring = self.options, dataclasses.asdict(self.options.measure)
        info = ask.task.info
        task = {
            "name": ask.task.name, "version": info.version, "form": info.form, "data": dict(asked.data.provenance),
            "licence": info.licence, "language": info.language, "limit": options.limit,
            "n": asked.n, "n_total": asked.total, "records_sha256": asked.sha256,
        }  # fmt: skip
        names = [name for name in dict.fromkeys((metric.info.judge, REFUSAL)) if name in judges_of(ask)]
        names = [name for name in names if name in self.panel.judges]
        how = [metric.name, metric.source_sha256, metric.options, [self.panel.judges[name].identity for name in names]]
        cell = cell_hash(store.key, task, how, measuring)
        path = self.path(ask, metric)
        found = _read_if_whole(path)
        if found is not None and found.run.get("cell") == cell:
            return found
        note = store.note()
        score = measure(metric, self.panel.join(store, read(), names), options.measure)
        score = self.panel.beside(score, metric, options.measure.seed)
        beside = (*_limited_by(asked), *asked.data.provenance.get("contexts", {}).get("warnings", ()))
        score = dataclasses.replace(score, warnings=(*score.warnings, *self.card.notes, *note["notes"], *beside))
        result = Result(
            schema=SCHEMA,
            metric={
                "name": metric.name, "version": metric.info.version, "title": metric.info.title, "kind": metric.info.kind,
                "options": dict(metric.options),
            },
            task=task,
            model={**self.card.as_dict(), "device": note["device"], "attention": note["attention"]},
            probe=probe if not note.get("prepared") else {**probe, "training": note["prepared"]},
            score=score,
            judges=[self.panel.about(store, name) for name in names],
            answers={"path": f"answers/{store.path.name}", "sha256": note["sha256"], "rows": note["rows"]},
            run={
                "cell": cell, "measure": measuring, "seconds_asking": note["seconds"], "engine": note["engine"],
                "versions": versions(),
                "date": datetime.now(UTC).isoformat(timespec="seconds"), "platform": platform.platform(),
            },
        )  # fmt: skip
        write_result(path, result)
        return result


def write_summary(folder: Path) -> None:
    """Writes results.json: every result of a model's folder in lm-evaluation-harness's shape."""
    write_json(folder / "results.json", lm_eval_shape(_all_results(folder)))


def _limited_by(asked: Asked) -> tuple[str, ...]:
    """What a limit did, to be said beside the score."""
    if asked.n == asked.total:
        return ()
    lost = f" It leaves no record of {', '.join(asked.lost)}." if asked.lost else ""
    return (f"Limited to {asked.n} of {asked.total} records: for a trial only.{lost}",)


def _read_if_whole(path: Path) -> Result | None:
    """A result that is there and can be read; a broken one is written anew."""
    try:
        return read_result(path)
    except FairbenchError:
        return None


def _all_results(folder: Path) -> dict[str, list[tuple[str, Result]]]:
    """Every result of a model's folder, by task: the file's stem and the result. Other files that lie there are none of ours."""
    found: dict[str, list[tuple[str, Result]]] = {}
    for path in sorted(folder.glob("*/*.json"), key=lambda p: (p.parent.name, "@" in p.stem, p.stem)):
        if path.parent.name != "answers" and (result := _read_if_whole(path)) is not None:
            found.setdefault(path.parent.name, []).append((path.stem, result))
    return found
