"""A metric as the registry found it, and how its score is to be measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.scores import Evidence, MetricInfo, PValue
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd


class Disparity(Protocol):
    """How groups are compared; `fairbench.disparity` has those that there are."""

    def evidence(self, answers: pd.DataFrame, options: Mapping[str, Any], how: MeasureOptions) -> Evidence:
        """What is known beside the value, from all usable rows; with `how.draws` = 0 only the groups' own figures."""

    def figures(self, answers: pd.DataFrame, weights: Floats, options: Mapping[str, Any]) -> Mapping[str, Floats]:
        """The figure of each group by its name under each row of weights (b, n): (b,), NaN where it has none.

        Raises:
            Undefined: no row names a group.
        """


@dataclass(frozen=True)
class Metric:
    """A metric as the registry found it: its card, its function, and the optional functions of the same file.

    Attributes:
        function: (answers, weights (b, n)) -> (b,), NaN where a draw is undefined; raises Undefined where all are.
        significance: (answers, generator) -> PValue, the metric's own null distribution.
        counts: answers -> named counts that the formula is made of.
        details: (answers, generator) -> further named figures of the analysis; "floor" becomes the score's floor.
        effects: (answers, generator) -> (N,) values of the draws that the definition itself makes, for a figure of their spread.
        disparity: how groups are compared, for a metric that compares them; it finds the interval, the floor and the p.
        unused: answers -> for each row the reason why the formula does not use it, or null; such rows are left out and counted.
        source_sha256: of the metric's file, so that an edited metric is measured again.
        options: the card's options as the user wants them; all of the functions get them as keyword arguments.
    """

    name: str
    info: MetricInfo
    function: Callable[..., Floats]
    significance: Callable[..., PValue] | None = None
    counts: Callable[..., dict[str, int]] | None = None
    details: Callable[..., dict[str, float]] | None = None
    effects: Callable[..., Floats] | None = None
    unused: Callable[..., Sequence[str | None]] | None = None
    disparity: Disparity | None = None
    source_sha256: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def values(self, table: pd.DataFrame, weights: Floats, seed: int) -> Floats:
        """The metric under each row of weights (b, n): (b,). What is drawn inside is the same at every call with one seed."""
        drawn = {"rng": np.random.default_rng(seed)} if self.info.random else {}
        return np.asarray(self.function(table, weights, **drawn, **self.options), dtype=float)

    def with_options(self, given: Mapping[str, Any]) -> Metric:
        """The metric with some of its card's options changed; text is read as the type of the option's default.

        Raises:
            FairbenchError: the metric has no such option, or the value is none that it takes.
        """
        return dataclasses.replace(self, options={**self.info.options, **{k: self._read(k, v) for k, v in given.items()}})

    def _read(self, name: str, value: Any) -> Any:
        known, allowed = self.info.options, self.info.choices.get(name)
        if name not in known:
            has = f"It has {', '.join(known)}." if known else "It has none."
            raise FairbenchError(f"The metric {self.name} has no option {name!r}.{did_you_mean(name, known)} {has}")
        wanted = (
            f"one of {', '.join(allowed)}" if allowed else {int: "a whole number", float: "a number"}.get(type(known[name]), "")
        )
        try:
            read = type(known[name])(value)
        except (TypeError, ValueError):
            read = None
        if isinstance(read, int) and isinstance(value, float) and read != value:
            read = None
        low, high = self.info.limits.get(name, (-np.inf, np.inf))
        if name in self.info.limits:
            wanted += f" of at least {low:g}" + (f" and at most {high:g}" if np.isfinite(high) else "")
        if read is None or (allowed and read not in allowed) or (name in self.info.limits and not low <= read <= high):
            raise FairbenchError(f"The option {name} of the metric {self.name} is {value!r}; wanted {wanted}.")
        return read


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """How a score's uncertainty is found. `draws` = 0 gives the value alone."""

    level: float = 0.95
    draws: int = 10_000
    seed: int = 1234
    by_group: bool = True

    def __post_init__(self) -> None:
        """Refuses a level or a number of draws that no interval can have."""
        whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in (self.draws, self.seed))
        if not whole or not isinstance(self.level, (int, float)) or not 0 < self.level < 1:
            raise FairbenchError(
                f"Found the level {self.level!r}, {self.draws!r} draws and the seed {self.seed!r}; wanted a level between 0 and "
                "1, and draws and a seed that are whole numbers of 0 or more."
            )
