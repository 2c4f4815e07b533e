"""All that is looked at before any model work: data, corpora, counterfactual variants, and what classifiers would learn from.

A wrong request is refused here; what is absent skips a task that only a suite holds.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fairbench.asked import Asked, look_through
from fairbench.counterfactual.variants import with_variants
from fairbench.data import rows
from fairbench.errors import DataAbsent, FairbenchError
from fairbench.files import digest
from fairbench.judges import Room
from fairbench.judging import Ready, ready
from fairbench.models.loading import load
from fairbench.models.model import ModelCard
from fairbench.plan import Ask, ScoreOptions, judges_of
from fairbench.records import Association
from fairbench.registry import Registry
from fairbench.training import Prepared, TrainingData
from fairbench.training.data import from_file, from_task, is_file

CORPUS_CONTENT = ("files", "n_files", "sha256", "hub", "config", "split", "column", "revision", "data")
"""What of a corpus' provenance tells its content, wherever it lies."""

Progress = Callable[[str, int, int], None]
"""Called with (what, done, total) while records are asked."""


def records_of(ask: Ask) -> tuple[str, str]:
    """Which records an ask puts to the model: asks of one task share them, unless some of them want variants of its texts."""
    return ask.task.name, ask.variants


def name_of(ask: Ask) -> str:
    """What messages call an ask: its task, and how the texts get variants if they do."""
    return f"{ask.task.name} ({ask.variants})" if ask.variants else ask.task.name


def network_of(ask: Ask) -> str:
    """Which network an ask's questions go to: asks of one probe with the same options share it."""
    return digest([ask.probe, ask.options])


class Preparation:
    """What one model's run needs beside the model. To probes that train it is their `fairbench.training.Room`.

    Attributes:
        networks: what each ask's questions go to, by `network_of`.
        corpus: digits that tell the content of the corpus that words were met in; empty without one.
        judges: those that are ready, by name; why another is not stands in `unready`.
        skipped, failed: by name with the reason.
        classifiers: folder of the classifiers that were trained from this model.
    """

    def __init__(self, card: ModelCard, folder: Path, options: ScoreOptions, progress: Progress) -> None:
        """`folder`: of the model's results."""
        self.card, self.options, self.progress = card, options, progress
        self.registry = Registry(options.include_path)
        self.classifiers = folder / "classifiers"
        self.networks: dict[str, Prepared] = {}
        self.corpus = ""
        self.judges: dict[str, Ready] = {}
        self.unready: dict[str, str] = {}
        self.skipped: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        self._training: dict[str, TrainingData] = {}

    def prepare(self, asks: Sequence[Ask]) -> dict[tuple[str, str], Asked]:
        """Looks at everything that these asks need.

        Returns:
            The records by `records_of`; what can't be asked is not among them, and stands in `skipped` or `failed`.

        Raises:
            FairbenchError: the request is wrong.
        """
        tasks = self.look_through(asks)
        found: dict[tuple[str, str], Asked] = {}
        absent: DataAbsent | None = None
        for ask in asks:
            if ask.task.name not in tasks:
                continue
            try:
                if network_of(ask) not in self.networks:
                    self.networks[network_of(ask)] = self._network(ask)
            except DataAbsent as error:
                if self.options.tasks:
                    raise
                absent = error
                self.skipped[f"{name_of(ask)} ({ask.probe})"] = str(error)
                continue
            if records_of(ask) not in found:
                self._add_records(ask, tasks[ask.task.name], found)
        if absent is not None and not found:
            raise absent
        self._ready_judges([ask for ask in asks if records_of(ask) in found])
        return found

    def _ready_judges(self, asks: Sequence[Ask]) -> None:
        """Makes every judge ready. One that can't be is a wrong request where the user named it or a metric of it."""
        named = {ask_metric.info.judge for ask in asks for ask_metric in ask.metrics if ask_metric.name in self.options.metrics}
        room = Room(
            data_dir=self.options.data_dir, device=self.card.options.device, batching=self.options.batching
        )  # fmt: skip
        for name in dict.fromkeys(name for ask in asks for name in judges_of(ask)):
            given = dict(self.options.judges.get(name, {}))
            try:
                self.judges[name] = ready(self.registry, name, given, room)
            except FairbenchError as error:
                if name in named or given:
                    raise
                self.unready[name] = str(error)

    def _add_records(self, ask: Ask, plain: Asked, found: dict[tuple[str, str], Asked]) -> None:
        """The records of a task, with their variants where these are asked for and there are any."""
        try:
            found[records_of(ask)] = with_variants(plain, ask.variants) if ask.variants else plain
        except FairbenchError as error:
            if self.options.metrics:
                raise
            self.skipped[name_of(ask)] = str(error)

    def training_data(self, name: str) -> TrainingData:
        """The training data of a task or a file, read once; FairbenchError where there are none."""
        if name not in self._training:
            self.progress("training data", 0, 1)
            if is_file(name):
                self._training[name] = from_file(Path(name))
            else:
                task = self.registry.task(name)
                self._training[name] = from_task(task, rows(task.info, name, self.options.data_dir))
            self.progress("training data", 1, 1)
        return self._training[name]

    def _network(self, ask: Ask) -> Prepared:
        """The classifier that the probe prepares, or the model itself."""
        prepare: Callable[..., Prepared] | None = getattr(self.registry.probe(ask.probe), "prepare", None)
        if prepare is None:
            return Prepared(identity={}, load=functools.partial(load, self.card))
        return prepare(self.card, ask.options, self)

    def look_through(self, asks: Sequence[Ask]) -> dict[str, Asked]:
        """Finds and parses all data before any model work. Bad data are a wrong request; a parser that breaks fails its task."""
        found: dict[str, Asked] = {}
        absent: dict[str, DataAbsent] = {}
        tasks = {ask.task.name: ask.task for ask in asks}
        words: dict[str, Asked] = {}
        for number, (name, task) in enumerate(tasks.items()):
            self.progress("data", number, len(tasks))
            place = words if task.info.contexts else found
            try:
                place[name] = look_through(task, rows(task.info, name, self.options.data_dir), self.options.limit)
            except DataAbsent as error:
                absent[name] = error
            except FairbenchError:
                raise
            except Exception as error:
                self.failed[name] = what(error)
        found |= self._in_contexts(words)
        self.progress("data", len(tasks), len(tasks))
        if absent and (self.options.tasks or not found):
            others = list(absent)[1:]
            also = f" The data of {', '.join(others)} are absent too." if others else ""
            raise DataAbsent(f"{next(iter(absent.values()))}{also}")
        self.skipped |= {name: str(error) for name, error in absent.items()}
        return found

    def _in_contexts(self, words: Mapping[str, Asked]) -> dict[str, Asked]:
        """Bare words, each met in sentences of the user's corpus, which is read once for all tasks."""
        if not words:
            return {}
        from fairbench.contexts import draw

        options = self.options
        stimuli = {name: [r for r in asked.records() if isinstance(r, Association)] for name, asked in words.items()}
        self.progress("corpus", 0, 1)
        drawn = draw(
            stimuli,
            options.corpus or "",
            per_word=options.contexts,
            seed=options.measure.seed,
            data_dir=options.data_dir,
            registry=self.registry,
        )
        self.progress("corpus", 1, 1)
        about = next(iter(drawn.values())).provenance
        self.corpus = digest({name: about.get(name) for name in CORPUS_CONTENT})[:6]
        return {name: asked.with_records(drawn[name].records, contexts=drawn[name].provenance) for name, asked in words.items()}


def what(error: Exception) -> str:
    """An error in a line: a refusal as it is, anything else with its type and place."""
    if isinstance(error, FairbenchError):
        return str(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(last.filename).name}, line {last.lineno})"
