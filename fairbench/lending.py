"""What a runner lends to probes that train a classifier first: texts to learn from, and a place to keep what was learnt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fairbench.data import rows
from fairbench.plan import Ask, ScoreOptions
from fairbench.registry import Registry
from fairbench.training import Prepared, TrainingData
from fairbench.training.data import from_file, from_task, is_file


class Lender:
    """A `fairbench.training.Room` of one model's run: every set of training data is read once, every network prepared once."""

    def __init__(self, folder: Path, options: ScoreOptions, progress: Callable[[str, int, int], None]) -> None:
        """`folder`: of the model's results; its classifiers are kept there."""
        self.classifiers = folder / "classifiers"
        self.progress = progress
        self._options = options
        self._registry = Registry(options.include_path)
        self._data: dict[str, TrainingData] = {}

    def training_data(self, name: str) -> TrainingData:
        """The training data of a task or a file; FairbenchError where there are none."""
        if name not in self._data:
            self.progress("training data", 0, 1)
            if is_file(name):
                self._data[name] = from_file(Path(name))
            else:
                task = self._registry.task(name)
                self._data[name] = from_task(task, rows(task.info, name, self._options.data_dir))
            self.progress("training data", 1, 1)
        return self._data[name]

    def prepared(self, ask: Ask, card: object) -> Prepared | None:
        """The network that an ask's probe puts its questions to; null where that is the model itself."""
        prepare: Callable[..., Prepared] | None = getattr(self._registry.probe(ask.probe), "prepare", None)
        return prepare(card, ask.options, self) if prepare else None
