"""What the scores of each model say in all, as counts: never one number, and never intrinsic and extrinsic together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fairbench.reporting.rows import Row, counted, present
from fairbench.stats import smallest_detectable
from fairbench.wording import figure

EMBEDDING, INTRINSIC, EXTRINSIC = "embedding tests", "other intrinsic scores", "extrinsic scores"
KINDS = (EMBEDDING, INTRINSIC, EXTRINSIC)
"""What is counted apart."""


@dataclass(frozen=True)
class Line:
    """A counted score.

    Attributes:
        row: the score.
        missed: what of its distance from the ideal could have been missed, in words.
        side: of one that lies away from its ideal on which side, in words.
    """

    row: Row
    missed: str = ""
    side: str = ""


@dataclass(frozen=True)
class Tally:
    """The headline scores of one kind of one model.

    Attributes:
        kind: one of KINDS.
        away: the interval lies wholly on one side of the ideal (without an interval: p is below 1 - its level).
        near: the others that have an interval or a p.
        unsure: values without interval and without p: nothing can be said.
        undefined: scores without a value.
    """

    kind: str
    away: tuple[Line, ...]
    near: tuple[Line, ...]
    unsure: tuple[Line, ...]
    undefined: tuple[Line, ...]

    @property
    def n(self) -> int:
        """Scores that can be told."""
        return len(self.away) + len(self.near)

    @property
    def said(self) -> str:
        """The count in words."""
        if not (self.n or self.unsure or self.undefined):
            return "none"
        more = [counted(len(lines), "score") + f" {word}" for word, lines in self._rest() if lines]
        return "; ".join([f"{len(self.away)} of {self.n}" if self.n else "0 of 0", *more])

    def _rest(self) -> tuple[tuple[str, tuple[Line, ...]], ...]:
        return (("without interval and p", self.unsure), ("undefined", self.undefined))


@dataclass(frozen=True)
class Summary:
    """One model.

    Attributes:
        model: its label.
        tallies: one for each of KINDS.
        utility, trials, unknown: how many scores of utility there are; how many are trials over some records; how many have no
            card here, so that nobody knows whether they are headlines. None of these is counted in a tally.
        caution: what must be said of this model's evidence, or empty.
    """

    model: str
    tallies: tuple[Tally, ...]
    utility: int
    trials: int
    unknown: int
    caution: str

    @property
    def aside(self) -> str:
        """What was not counted, in words."""
        said = [
            f"{counted(self.utility, 'score')} of utility" if self.utility else "",
            counted(self.trials, "trial") if self.trials else "",
            f"{self.unknown} without a card" if self.unknown else "",
        ]
        return ", ".join(filter(None, said)) or "none"


def summaries(rows: Sequence[Row]) -> tuple[Summary, ...]:
    """A summary of each model, in the order of the rows."""
    models = dict.fromkeys(row.model for row in rows)
    return tuple(_summary(model, [row for row in rows if row.model == model]) for model in models)


def _summary(model: str, rows: Sequence[Row]) -> Summary:
    whole = [row for row in rows if not row.limited]
    bias = [row for row in _defaults(whole) if row.kind != "utility"]
    counted_rows = [row for row in bias if row.headline]
    tallies = tuple(_tally(kind, [row for row in counted_rows if _kind(row) == kind]) for kind in KINDS)
    embedding, others = tallies[0], tallies[1:]
    caution = ""
    if embedding.n and not any(one.n for one in others):
        caution = "Here only embedding tests speak of bias. They are never evidence enough: score tasks of other kinds too."
    elif not tallies[2].n:
        caution = "There is no extrinsic score: nothing here says what comes of bias in use."
    return Summary(
        model=model,
        tallies=tallies,
        utility=sum(row.kind == "utility" for row in whole),
        trials=sum(row.limited for row in rows),
        unknown=sum(row.headline is None for row in bias),
        caution=caution,
    )


def _defaults(rows: Iterable[Row]) -> list[Row]:
    """The rows without variants of a score that also stands there with its default choices: they are no further evidence."""
    rows = list(rows)
    plain = {(row.task, row.metric) for row in rows if not row.variant}
    return [row for row in rows if not row.variant or (row.task, row.metric) not in plain]


def _kind(row: Row) -> str:
    if row.kind == "extrinsic":
        return EXTRINSIC
    return EMBEDDING if row.embedding else INTRINSIC


def _tally(kind: str, rows: Sequence[Row]) -> Tally:
    sorted_rows: dict[str, list[Line]] = {"away": [], "near": [], "unsure": [], "undefined": []}
    for row in rows:
        where = _where(row)
        sorted_rows[where].append(Line(row, _missed(row) if where == "near" else "", _side(row) if where == "away" else ""))
    return Tally(kind, **{where: tuple(lines) for where, lines in sorted_rows.items()})


def _where(row: Row) -> str:
    """On which of the four heaps a score belongs."""
    raw = {str(key): value for key, value in row.raw.items()}
    value, ideal, low, high, p = (present(raw[name]) for name in ("value", "ideal", "low", "high", "p_value"))
    if value is None:
        return "undefined"
    if ideal is not None and low is not None and high is not None:
        return "away" if low > ideal or high < ideal else "near"
    if p is not None:
        return "away" if p < 1 - (present(raw["level"]) or 0.95) else "near"
    return "unsure"


def _side(row: Row) -> str:
    """On which side of its ideal a score lies; empty where it has none."""
    value, ideal = present(row.raw["value"]), present(row.raw["ideal"])
    if value is None or ideal is None or value == ideal:
        return ""
    return "above it" if value > ideal else "below it"


def _missed(row: Row) -> str:
    """What distance from the ideal the data could not have shown, in words.

    A figure that can lie on one side of its ideal only (a gap) has no standard error about it: what its interval leaves open is
    said instead.
    """
    raw = {str(key): value for key, value in row.raw.items()}
    stderr, low, high, ideal, least, most = (present(raw[name]) for name in ("stderr", "low", "high", "ideal", "least", "most"))
    one_sided = present(raw["floor"]) is not None or ideal in (least, most)
    if not one_sided and stderr:
        return f"a distance below {figure(smallest_detectable(stderr, present(raw['level']) or 0.95))} could be missed"
    if low is None or high is None or ideal is None:
        return "without an interval nobody can say what could be missed"
    return f"a distance of {figure(max(abs(low - ideal), abs(high - ideal)))} is not ruled out"
