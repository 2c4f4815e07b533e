"""The runner: models x tasks x metrics become cells; what is missing is asked, measured and saved; what is there is kept.

A cell's answers are named by a hash over everything that can change them (weights, tokenizer, dtype, data, probe and options),
so metrics share answers, the same command twice does no model work, and a run that was killed goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairbench.answers import AnswerStore
from fairbench.data import Rows, rows
from fairbench.errors import FairbenchError
from fairbench.files import digest, require_writable, write_json
from fairbench.measurement import Metric, measure
from fairbench.models.loading import load
from fairbench.models.model import Model, ModelCard
from fairbench.plan import Ask, ScoreOptions, make_plan
from fairbench.records import Record, as_row
from fairbench.registry import Registry, Task
from fairbench.results import SCHEMA, Result, lm_eval_shape, read_result, write_result

if TYPE_CHECKING:
    import pandas as pd

ANSWERS_VERSION = 1
"""Raised when answers of the same cell would come out otherwise; old ones are then not taken up."""

PART_RECORDS = 256
PART_CHARACTERS = 32_768
"""A part holds at most so many records and characters: what a kill can lose. Fixed, so that numbers don't depend on kills."""

Progress = Callable[[str, int, int], None]
"""Called with (what, done, total) while records are asked."""


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
                "metric": r.metric["name"],
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
    results: list[Result] = []
    failed: dict[str, str] = {}
    runner = _Runner(plan.card, folder, options, progress or (lambda what, done, total: None))
    data = {ask.task.name: rows(ask.task.info, ask.task.name, options.data_dir) for ask in plan.asks}
    counted = {ask.task.name: _check_records(ask.task, data[ask.task.name], options.limit) for ask in plan.asks}
    for ask in plan.asks:
        try:
            results += runner.run(ask, data[ask.task.name], *counted[ask.task.name])
        except FairbenchError as error:
            failed[ask.task.name] = str(error)
        except Exception as error:  # whatever one cell dies of, the others go on
            failed[ask.task.name] = f"{type(error).__name__}: {error}"
    if results:
        write_json(folder / "results.json", lm_eval_shape(_all_results(folder)))
    return Run(plan.card, tuple(results), folder, plan.skipped, failed)


class _Runner:
    """Asks and measures one model's cells; the model is loaded when the first answer is missing."""

    def __init__(self, card: ModelCard, folder: Path, options: ScoreOptions, progress: Progress) -> None:
        self.card, self.folder, self.options, self.progress = card, folder, options, progress
        self.registry = Registry(options.include_path)
        self._loaded: Model | None = None
        self._notes: tuple[str, ...] = ()

    def run(self, ask: Ask, data: Rows, total: int, asked: int) -> list[Result]:
        """The results of one table of answers, from disk where they are there."""
        task = {
            "name": ask.task.name, "version": ask.task.info.version, "form": ask.task.info.form, "data": dict(data.provenance),
            "limit": self.options.limit,
        }  # fmt: skip
        probe = {"name": ask.probe, "version": self.registry.probe(ask.probe).VERSION, "options": dict(ask.options)}
        model = {"weights": self.card.weights_sha256, "tokenizer": self.card.tokenizer_sha256, "dtype": self.card.options.dtype}
        key = digest({"answers": ANSWERS_VERSION, "model": model, "task": task, "probe": probe})
        store = AnswerStore(self.folder / "answers", key[:32])
        if not store.finished():
            self._ask(ask, data, asked, store)
        task |= {"licence": ask.task.info.licence, "language": ask.task.info.language, "n": asked, "n_total": total}
        return [self._result(ask, metric, store, task, probe) for metric in ask.metrics]

    def _ask(self, ask: Ask, data: Rows, asked: int, store: AnswerStore) -> None:
        probe, done = self.registry.probe(ask.probe), 0
        what = f"{ask.task.name} ({ask.probe})"
        self.progress(what, 0, asked)
        number = -1
        for number, part in enumerate(_parts(limited(ask.task.records(data, ask.task.name), asked, self.options.limit))):
            if not store.has_part(number):
                start = time.perf_counter()
                answers = probe.answer(self._model(), part, ask.options, self.options.batching)
                table = [{**as_row(record), **answer} for record, answer in zip(part, answers, strict=True)]
                store.write_part(number, table, time.perf_counter() - start)
            done += len(part)
            self.progress(what, done, asked)
        model = self._model()
        store.finish(
            number + 1,
            {
                "device": model.device.type,
                "engine": probe.engine(model),
                "attention": getattr(model.network.config, "_attn_implementation", None),
                "notes": [*self._notes, *data.provenance.get("warnings", ())],
            },
        )

    def _model(self) -> Model:
        """The model, loaded once; one that finds plain text unlikely is flagged in every score of this run."""
        if self._loaded is None:
            self._loaded = load(self.card)
            if self.card.kind != "encoder":
                flag = importlib.import_module("fairbench.probes.likelihood").sanity(self._loaded)
                self._notes = (flag,) if flag else ()
        return self._loaded

    def _result(self, ask: Ask, metric: Metric, store: AnswerStore, task: dict[str, Any], probe: dict[str, Any]) -> Result:
        options, measuring = self.options, dataclasses.asdict(self.options.measure)
        cell = digest([store.key, metric.name, metric.info.version, measuring, SCHEMA, fairbench_version()])
        path = result_path(self.folder, ask.task.name, metric, ask.moved, options.limit)
        if path.exists() and (found := read_result(path)).run.get("cell") == cell:
            return found
        note = store.note()
        score = measure(metric, store.read(), options.measure)
        limited_by = (
            (f"Limited to {task['n']} of {task['n_total']} records: for a trial only.",) if options.limit is not None else ()
        )
        score = dataclasses.replace(score, warnings=(*score.warnings, *self.card.notes, *note["notes"], *limited_by))
        result = Result(
            schema=SCHEMA,
            metric={"name": metric.name, "version": metric.info.version, "title": metric.info.title, "kind": metric.info.kind},
            task=task,
            model={**self.card.as_dict(), "device": note["device"], "attention": note["attention"]},
            probe=probe,
            score=score,
            answers={"path": f"answers/{store.path.name}", "sha256": note["sha256"], "rows": note["rows"]},
            run={
                "cell": cell, "measure": measuring, "seconds_asking": note["seconds"], "engine": note["engine"],
                "versions": versions(),
                "date": datetime.now(UTC).isoformat(timespec="seconds"), "platform": platform.platform(),
            },
        )  # fmt: skip
        write_result(path, result)
        return result


def versions() -> dict[str, str]:
    """Versions of what can move a number."""
    names = ("fairbench", "torch", "transformers", "tokenizers", "datasets", "numpy", "scipy", "pandas")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}


def fairbench_version() -> str:
    """Version of this package."""
    return importlib.metadata.version("fairbench")


def folder_name(card: ModelCard) -> str:
    """<last parts of the name>-<8 hex of weights, revision and dtype>."""
    last = "-".join(part for part in Path(card.name.replace(":", "-")).parts[-2:] if part not in ("/", "..", "."))
    slug = "".join(c if c.isalnum() or c in "-._" else "-" for c in last)
    return f"{slug}-{digest([card.weights_sha256, card.revision, card.options.dtype])[:8]}"


def result_path(folder: Path, task: str, metric: Metric, moved: Mapping[str, Any], limit: float | None) -> Path:
    """<task>/<metric>.json; options moved from their default, and a limit, are joined to the name after @."""
    joined = [f"{k}={v}" for k, v in sorted(moved.items())] + ([f"limit={limit:g}"] if limit is not None else [])
    return folder / task / (metric.name + ("@" + ",".join(joined) if joined else "") + ".json")


def _all_results(folder: Path) -> list[Result]:
    return [read_result(path) for path in sorted(folder.glob("*/*.json")) if path.parent.name != "answers"]


def _check_records(task: Task, data: Rows, limit: float | None) -> tuple[int, int]:
    """Parses every row before any model work; how many records there are, and how many will be asked."""
    seen: set[str] = set()
    for record in task.records(data, task.name):
        if record.id in seen:
            raise FairbenchError(f"{task.name}: two records have the id {record.id!r}. Wanted ids that name one record each.")
        seen.add(record.id)
    if not seen:
        raise FairbenchError(
            f"{task.name}: the data hold no record. Wanted at least one; see `fairbench data check {task.name}`."
        )
    return len(seen), sum(1 for _ in limited(task.records(data, task.name), len(seen), limit))


def limited(records: Iterator[Record], total: int, limit: float | None) -> Iterator[Record]:
    """The first `limit` records of each stratum (of all, where there is none), or that share of `total` if limit is below 1."""
    most = None if limit is None else int(limit) if limit >= 1 else max(1, round(limit * total))
    counts: dict[str | None, int] = {}
    for record in records:
        counts[record.stratum] = counts.get(record.stratum, 0) + 1
        if most is None or counts[record.stratum] <= most:
            yield record


def _parts(records: Iterator[Record]) -> Iterator[list[Record]]:
    part: list[Record] = []
    characters = 0
    for record in records:
        part.append(record)
        characters += sum(len(v) for v in as_row(record).values() if isinstance(v, str))
        if len(part) == PART_RECORDS or characters >= PART_CHARACTERS:
            yield part
            part, characters = [], 0
    if part:
        yield part
