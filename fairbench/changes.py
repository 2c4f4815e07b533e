"""What of a score comes out otherwise when it is found anew: field by field, numbers within a stated tolerance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TOLERANCE, LEAST = 1e-9, 1e-12
"""Numbers agree where they differ by no more than this share of the larger one, or, near 0, by no more than that."""

WITHOUT_DRAWS = ("value", "n", "n_total", "n_records", "left_out", "unit", "ideal", "direction", "undefined", "flags")
"""What of a score needs no draws."""

PARTS = ("clean", "without_refusals")
"""Scores that a score holds, beside those of its groups."""

WARNINGS, JUDGE_GAP = "warnings", "judge_gap."

ABSENT = "(absent)"
"""What is said where one of the two has no such field."""


@dataclass(frozen=True)
class Change:
    """A field of a result that comes out otherwise: what the file says, and what was found."""

    field: str
    recorded: Any
    recomputed: Any

    @property
    def by(self) -> float | None:
        """How far two numbers are apart, as a share of the larger one; null where one of them is no number."""
        pair = (self.recorded, self.recomputed)
        if not all(_is_number(one) for one in pair):
            return None
        return float(abs(pair[0] - pair[1]) / max(abs(pair[0]), abs(pair[1]), LEAST))

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"field": self.field, "recorded": self.recorded, "recomputed": self.recomputed, "by": self.by}


def changes(recorded: Mapping[str, Any], again: Mapping[str, Any], *, quick: bool = False, judged: bool = True) -> list[Change]:
    """How a score that was found anew differs from the one of a result file, but for its own warnings.

    Args:
        recorded: the score of the file, as `Score.as_dict` gives it.
        again: the one that was found.
        quick: compare only what needs no draws.
        judged: whether the judge could be asked again; where it could not, its own gaps are not compared.
    """
    before, after = ({name: value for name, value in one.items() if name != WARNINGS} for one in (recorded, again))
    if quick:
        before, after = _without_draws(before), _without_draws(after)
    elif not judged:
        before, after = _without_gaps(before), _without_gaps(after)
    return list(_walk(before, after, "score"))


def warning_changes(recorded: Sequence[str], found: Sequence[str], after: Sequence[str], *, judged: bool = True) -> list[Change]:
    """How the warnings of a result differ from those that belong there.

    Args:
        recorded: those of the file.
        found: those of the score that was found anew.
        after: those of the model, the answers and the task, which stand behind them.
        judged: whether `found` holds all that a judge says of itself; what stands in between is otherwise let pass.
    """
    wanted = [*found, *after]
    if list(recorded) == wanted:
        return []
    whole = len(recorded) >= len(wanted) and list(recorded[: len(found)]) == list(found)
    if not judged and whole and list(recorded[len(recorded) - len(after) :]) == list(after):
        return []
    return [Change(f"score.{WARNINGS}", list(recorded), wanted)]


def _without_draws(score: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: score.get(name) for name in WITHOUT_DRAWS}
    groups = {name: _without_draws(one) for name, one in score["by_group"].items()}
    return {**kept, "by_group": groups, **{name: _without_draws(score[name]) for name in PARTS if score.get(name)}}


def _without_gaps(score: Mapping[str, Any]) -> dict[str, Any]:
    return {**score, "details": {name: one for name, one in score["details"].items() if not name.startswith(JUDGE_GAP)}}


def _walk(before: Any, after: Any, field: str) -> Iterator[Change]:
    """The leaves of two nested values that differ."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in {**before, **after}:
            yield from _walk(before.get(name, ABSENT), after.get(name, ABSENT), f"{field}.{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (first, second) in enumerate(zip(before, after, strict=True)):
            yield from _walk(first, second, f"{field}[{number}]")
    elif not _agree(before, after):
        yield Change(field, before, after)


def _agree(before: Any, after: Any) -> bool:
    if _is_number(before) and _is_number(after) and isinstance(before + after, float):
        return math.isclose(before, after, rel_tol=TOLERANCE, abs_tol=LEAST)
    return bool(before == after) and isinstance(before, bool) is isinstance(after, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
