"""A score under many choices: each outcome, and what they have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fairbench.scores import Interval, jsonable


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a score comes to under one choice.

    Attributes:
        choice: the value of every axis; "all" where templates or words are left whole.
        default: what the same request scores without a sweep.
        n: units used.
        n_total: units that the answers hold; null for a part of the rows.
        interval: of a choice that uses all rows; null for a part of them.
        undefined: why there is no value.
        words: of a half, the words that stay, by set.
        result: the result file below the model's folder; null for a part of the rows.
    """

    choice: Mapping[str, Any]
    value: float | None
    n: int
    n_total: int | None = None
    default: bool = False
    interval: Interval | None = None
    undefined: str | None = None
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    result: str | None = None


@dataclass(frozen=True, kw_only=True)
class Spread:
    """One score under every choice; the default choice is always among them, and stands first.

    Attributes:
        label: the metric as it is called beside others of its name: with the notion whose groups it compares.
        left_out: rows that the default choice does not use, by reason.
        warnings: those of the default's score.
        file: where it is saved, below the model's folder.
    """

    task: str
    metric: str
    label: str = ""
    axes: tuple[str, ...]
    ideal: float
    outcomes: tuple[Outcome, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    file: str = ""

    def summary(self) -> dict[str, Any]:
        """What the outcomes have in common.

        Returns:
            `choices` and how many of them are `undefined`; `low`, `high`, `mean` and `sd` (ddof 1) of the values; `same_side`:
            how many lie on the side of the `ideal` where the `default`'s value does. What can't be said is null.
        """
        values = np.array([o.value for o in self.outcomes if o.value is not None], dtype=float)
        default = self.outcomes[0].value
        sides = np.sign(values - self.ideal)
        return {
            "choices": len(self.outcomes),
            "undefined": len(self.outcomes) - len(values),
            "low": float(values.min()) if len(values) else None,
            "high": float(values.max()) if len(values) else None,
            "mean": float(values.mean()) if len(values) else None,
            "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
            "same_side": None if default is None else int((sides == np.sign(default - self.ideal)).sum()),
            "default": default,
            "ideal": self.ideal,
        }

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: task, metric, axes, ideal, summary, outcomes, left_out, warnings."""
        own = {name: getattr(self, name) for name in ("task", "metric", "axes", "ideal")}
        outcomes = [dataclasses.asdict(o) for o in self.outcomes]
        ends = {"outcomes": outcomes, "left_out": self.left_out, "warnings": self.warnings}
        plain: dict[str, Any] = jsonable({**own, "summary": self.summary(), **ends})
        return plain
