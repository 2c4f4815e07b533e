"""Finds metrics, tasks, probes, judges and mitigations by file name. The only module that knows their folders.

A metric is a file of `fairbench.metrics` with `INFO` (a MetricInfo, or for a family a dict of them) and a function of each
name; a task is a file of `fairbench.tasks` with `INFO` and `records(rows, task)`. Others come from entry points of the same two
group names (each names a module) and from folders given with --include-path (DIR/metrics/*.py, DIR/tasks/*.py). There is no
registering and no global state: a Registry reads the folders when it is asked, and what it read is its own.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.files import file_sha256
from fairbench.measurement import Metric
from fairbench.records import FORMS, Record
from fairbench.scores import MetricInfo, TaskInfo

if TYPE_CHECKING:
    from fairbench.judges import JudgeFile
    from fairbench.mitigation import MethodFile

Card = TypeVar("Card", MetricInfo, TaskInfo)

Answers = dict[str, Any] | list[dict[str, Any]]
"""What is answered to one record: columns of a row, or several rows."""


@dataclass(frozen=True)
class Task:
    """A task as the registry found it: its card and its parser, (rows, task name) -> records."""

    name: str
    info: TaskInfo
    records: Callable[[Iterable[Mapping[str, Any]], str], Iterator[Record]]


class Probe(Protocol):
    """What a probe module offers; `fairbench/probes/` has one file for each way of asking a model.

    VERSION is raised when answers come out otherwise; FORMS are the record forms that it answers; OPTIONS are the names of the
    options that `requested` may hold: those of a metric's or task's card, and flags of the command line.
    """

    VERSION: int
    FORMS: tuple[str, ...]
    OPTIONS: tuple[str, ...]

    def resolve(self, card: Any, form: str, requested: Mapping[str, Any]) -> dict[str, Any]:
        """Every option filled in; raises FairbenchError where this model can't answer this form."""

    def notes(self, card: Any, options: Mapping[str, Any]) -> tuple[str, ...]:
        """Sentences about these options that belong into every score."""

    def sanity(self, model: Any) -> str | None:
        """A sentence that flags a model which can't be what it should be (untrained, read wrongly), else null."""

    def engine(self, model: Any) -> dict[str, str]:
        """Which of the equal ways to the answers this model allows; recorded, but in no hash."""

    def answer(self, model: Any, records: Sequence[Record], options: Mapping[str, Any], batching: Any) -> Sequence[Answers]:
        """For each record, in order, one dictionary of answer columns, or a list of them where it has several rows (samples)."""


@dataclass(frozen=True)
class Folder(Generic[Card]):
    """The files of one kind: those of the package, of entry points, and of folders that the user names."""

    kind: str
    card: type[Card]
    include: tuple[Path, ...] = ()
    _modules: dict[str, ModuleType] = field(default_factory=dict, compare=False)
    _files: dict[str, str | Path] = field(default_factory=dict, compare=False)

    def find(self, name: str) -> tuple[Card, ModuleType]:
        """The card and the module that hold `name`.

        This package's files are looked at first, then the others by how much of the name they begin with, so that a broken
        file of somebody else's does not keep another name from being found.
        """
        files = self.files()
        own = self._own()
        for file in sorted(files, key=lambda f: (f in own, len(f) if f"{name}_".startswith(f"{f}_") else 0), reverse=True):
            cards = self._cards(file)
            if name in cards:
                if file != name and name in files:
                    raise FairbenchError(
                        f"Two files define the {self.kind} {name!r}: {file} and {files[name]}. Rename one of them."
                    )
                return cards[name], self._module(file)
        known = sorted(self.all())
        raise FairbenchError(
            f"There is no {self.kind} {name!r}.{did_you_mean(name, known)} `fairbench list {self.kind}s` shows all {len(known)}."
        )

    def all(self) -> dict[str, Card]:
        """Every card by name, in the order of the files."""
        cards: dict[str, Card] = {}
        for file in self.files():
            for name, card in self._cards(file).items():
                if name in cards:
                    raise FairbenchError(f"Two files define the {self.kind} {name!r}. Rename one of them.")
                cards[name] = card
        return cards

    def files(self) -> dict[str, str | Path]:
        """File name -> module path (package, entry point) or file (include folder). Looked for once: entry points are slow."""
        if not self._files:
            self._files.update(self._listed())
        return self._files

    def _listed(self) -> dict[str, str | Path]:
        found: dict[str, str | Path] = dict(self._own())
        further: list[tuple[str, str | Path]] = []
        for entry in importlib.metadata.entry_points(group=f"fairbench.{self.kind}s"):
            further.append((entry.name, entry.module))
        for folder in self.include:
            if not folder.is_dir():
                raise FairbenchError(f"--include-path {folder}: no such folder. Wanted a folder that holds metrics/ or tasks/.")
            further += [(path.stem, path) for path in sorted((folder / f"{self.kind}s").glob("[!_]*.py"))]
        for name, where in further:
            if name in found:
                raise FairbenchError(
                    f"Two files are called {name} among the {self.kind}s: {found[name]} and {where}. Rename one."
                )
            found[name] = where
        return found

    def _own(self) -> dict[str, str]:
        package = importlib.import_module(f"fairbench.{self.kind}s")
        return {file.name: f"{package.__name__}.{file.name}" for file in pkgutil.iter_modules(package.__path__)}

    def _cards(self, file: str) -> dict[str, Card]:
        info = getattr(self._module(file), "INFO", None)
        cards = {file: info} if isinstance(info, self.card) else info
        if not isinstance(cards, dict) or not all(isinstance(c, self.card) for c in cards.values()):
            raise FairbenchError(
                f"The file {file}.py defines no {self.kind}. Wanted INFO = {self.card.__name__}(...), or a dictionary of them."
            )
        for name, card in cards.items():
            form = card.reads if isinstance(card, MetricInfo) else card.form
            if form not in FORMS:
                raise FairbenchError(f"The card of {self.kind} {name} names records {form!r}.{did_you_mean(form, FORMS)}")
        return cards

    def _module(self, file: str) -> ModuleType:
        if file not in self._modules:
            where = self.files()[file]
            try:
                self._modules[file] = importlib.import_module(where) if isinstance(where, str) else _from_file(self.kind, where)
            except Exception as error:
                raise FairbenchError(
                    f"{where} can't be imported ({type(error).__name__}: {error}). Mend it, or leave out its folder or package."
                ) from error
        return self._modules[file]


def _from_file(kind: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"fairbench_included_{kind}_{path.stem}", path)
    assert spec and spec.loader  # a .py file always has both
    module = importlib.util.module_from_spec(spec)
    # Not by the loader, which may take stale bytecode for a file that was edited within a second.
    exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    return module


class Registry:
    """All that can be asked for by name."""

    def __init__(self, include: Sequence[Path] = ()) -> None:
        """`include`: folders beside the package that hold metrics/ or tasks/."""
        self._metrics: Folder[MetricInfo] = Folder("metric", MetricInfo, tuple(include))
        self._tasks: Folder[TaskInfo] = Folder("task", TaskInfo, tuple(include))

    def metrics(self) -> dict[str, MetricInfo]:
        """Cards of all metrics."""
        return self._metrics.all()

    def tasks(self) -> dict[str, TaskInfo]:
        """Cards of all tasks."""
        return self._tasks.all()

    def metric(self, name: str) -> Metric:
        """The metric of that name; FairbenchError with the nearest names where there is none."""
        info, module = self._metrics.find(name)
        family = isinstance(module.INFO, dict)

        def optional(what: str) -> Any:
            return getattr(module, f"{name}_{what}" if family else what, None)

        function = getattr(module, name, None)
        if not callable(function):
            raise FairbenchError(f"The file of metric {name} has its card but no function {name}(answers, weights). Add it.")
        source = file_sha256(Path(str(module.__file__)))
        hooks = {hook: optional(hook) for hook in ("significance", "counts", "details", "effects", "unused")}
        return Metric(
            name, info, function, **hooks, disparity=optional("disparity"), source_sha256=source, options=dict(info.options)
        )

    def task(self, name: str) -> Task:
        """The task of that name; FairbenchError with the nearest names where there is none."""
        info, module = self._tasks.find(name)
        return Task(name, info, module.records)

    def probe(self, name: str) -> Probe:
        """The probe module of that name."""
        known = [m.name for m in pkgutil.iter_modules(importlib.import_module("fairbench.probes").__path__)]
        probe: Any = importlib.import_module(f"fairbench.probes.{name}") if name in known else None
        if not hasattr(probe, "answer"):  # files beside a probe hold parts of it
            raise FairbenchError(f"There is no probe {name!r}.{did_you_mean(name, known)}")
        found: Probe = probe
        return found

    def judges(self) -> dict[str, JudgeFile]:
        """The files of all judges by name; files beside a judge hold parts of it."""
        names = [m.name for m in pkgutil.iter_modules(importlib.import_module("fairbench.judges").__path__)]
        modules: dict[str, Any] = {name: importlib.import_module(f"fairbench.judges.{name}") for name in names}
        return {name: module for name, module in modules.items() if hasattr(module, "prepare")}

    def judge(self, name: str) -> JudgeFile:
        """The file of the judge of that name."""
        known = self.judges()
        if name not in known:
            raise FairbenchError(f"There is no judge {name!r}.{did_you_mean(name, known)} Wanted one of {', '.join(known)}.")
        return known[name]

    def first_option(self, judge: str) -> str:
        """The option of a judge that says what it judges by."""
        return next(iter(self.judge(judge).OPTIONS))

    def methods(self) -> dict[str, MethodFile]:
        """The files of all methods of mitigation by name ("role-reversal")."""
        names = [m.name for m in pkgutil.iter_modules(importlib.import_module("fairbench.mitigation.methods").__path__)]
        return {name.replace("_", "-"): importlib.import_module(f"fairbench.mitigation.methods.{name}") for name in names}

    def method(self, name: str) -> MethodFile:
        """The file of the method of that name."""
        known = self.methods()
        if name not in known:
            raise FairbenchError(f"There is no method {name!r}.{did_you_mean(name, known)} Wanted one of {', '.join(known)}.")
        return known[name]


BY_NAME_ONLY = {"planted", "planted_downstream", "large"}
"""Suites of their own, which no other suite and no choice by metric includes.

Those for models with a known bias (the second of them trains a classifier for every task: minutes), and hours of work.
"""


def suites(registry: Registry) -> dict[str, list[str]]:
    """Task names by suite: full (all but `BY_NAME_ONLY`), intrinsic and extrinsic (by kind of metric), the cards' own."""
    kinds = {name: card.kind for name, card in registry.metrics().items()}
    names = ("quick", "intrinsic", "extrinsic", "full", "planted", "planted_downstream", "large")
    found: dict[str, list[str]] = {name: [] for name in names}
    for name, info in registry.tasks().items():
        groups = set(info.suites)
        if not groups & BY_NAME_ONLY:
            groups |= {"full", *(kinds[m] for m in info.metrics if m in kinds)} - {"utility"}
        for suite in groups:
            found.setdefault(suite, []).append(name)
    return found
