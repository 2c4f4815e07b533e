"""Comparing models on the same records: what a comparison consists of.

A baseline and another model have answered the same records; the same weights on both tables of answers give paired draws of the
difference. What is said of it is a `Difference`; `fairbench.comparison.comparing` finds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from fairbench.scores import Interval, PValue, Score, jsonable

if TYPE_CHECKING:
    import pandas as pd

NOT_SCORED = "results"
"""The field of a refusal where the other model has no such result."""

Verdict = Literal["differs", "no difference detected", "not worse", "too few records", "no test", "undefined"]


@dataclass(frozen=True)
class Flip:
    """A record on which the two models decide differently.

    Attributes:
        id, group: of the record.
        text: what was decided on, in short.
        before, after: what the baseline and the other model decided, in words.
    """

    id: str
    group: str
    text: str
    before: str
    after: str


@dataclass(frozen=True)
class Flips:
    """Decisions that turned round between the baseline and the other model (Yan et al. 2021; spec: NFR, PFR).

    Attributes:
        n: records that both decided and whose right decision is known.
        wrong_before, wrong_after: wrong decisions of the baseline and of the other model.
        negative: right before, wrong after; all of them.
        positive: wrong before, right after.
        nfr, pfr: their shares of n, in [0, 1]; null where n is 0. The ideal of nfr is 0.
        nfi, pfi: negative flips as a share of the new errors, positive ones of the old errors; null where there are none.
        nfr_interval, pfr_interval: by the paired draws.
        right: what counts as a right decision, in words ("prefers the less stereotyping sentence").
    """

    n: int
    wrong_before: int
    wrong_after: int
    negative: tuple[Flip, ...]
    positive: tuple[Flip, ...]
    nfr: float | None
    pfr: float | None
    nfi: float | None
    pfi: float | None
    nfr_interval: Interval | None
    pfr_interval: Interval | None
    right: str


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One metric on the records that both models answered.

    Attributes:
        task, metric, variant, column, kind, headline: as in the tidy table.
        baseline, model: the two scores over the shared units (value, interval, n; no groups).
        difference: model minus baseline, on the metric's own scale; null where undefined.
        interval, stderr: of the difference, by paired draws.
        p: of no difference, before any correction: exact McNemar, exchange of the models within units, or the inverted
            bootstrap; the method says which.
        p_holm: after Holm's correction over the declared family; null outside of it.
        detectable: the smallest difference that would have been seen with 80 % power at alpha, before any correction:
            (z.975 + z.8) x SE, or by McNemar's exact test where that is the test.
        least_p: the smallest p that the test can give with these draws; null where it is exact.
        distance: |model - ideal| - |baseline - ideal|: below 0 the model is closer to the ideal.
        worse_by: upper end of the one-sided interval of `distance`, at 1 - alpha: it is not worse by more than this. Null where
            there are too few units, or too few that differ, to say so.
        no_bound: why there is no such end.
        margin: what was allowed; null where nothing was said.
        passed: whether the release gate lets it through; null without a margin.
        verdict: one of a few words; `said` is the whole sentence.
        n, unit, left_out: shared units, and the rows of either table that have no counterpart, by reason.
        by_group: the same for each group; of a disparity for each group's figure.
        flips: of decisions; null where the records hold none.
        undefined: why there is no difference.
        warnings: sentences that belong beside the number.
    """

    task: str
    metric: str
    variant: str
    column: str
    kind: str
    headline: bool
    baseline: Score
    model: Score
    difference: float | None
    interval: Interval | None = None
    stderr: float | None = None
    p: PValue | None = None
    p_holm: float | None = None
    detectable: float | None = None
    least_p: float | None = None
    distance: float | None = None
    worse_by: float | None = None
    no_bound: str = ""
    margin: float | None = None
    passed: bool | None = None
    verdict: Verdict = "undefined"
    said: str = ""
    n: int = 0
    unit: str = "record"
    left_out: Mapping[str, int] = field(default_factory=dict)
    by_group: Mapping[str, Difference] = field(default_factory=dict)
    flips: Flips | None = None
    undefined: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """Two results that can't be compared: the first field in which they differ, and what it is on either side."""

    column: str
    field: str
    baseline: Any
    model: Any
    why: str = ""

    @property
    def said(self) -> str:
        """Why they can't be compared, in words."""
        if self.field == NOT_SCORED:
            return self.why
        return f"{self.field} is {self.baseline!r} against {self.model!r}" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True)
class Ungated:
    """A metric that a margin was declared for, and that is not compared for a model: its gate does not pass."""

    model: str
    column: str
    why: str


@dataclass(frozen=True)
class Comparison:
    """A baseline beside one other model.

    Attributes:
        baseline, model: their labels.
        differences: one for each metric that can be compared.
        refused: what can't be compared, with the reason.
        price: sentences of the utility guard: what happened to perplexity, LMS, accuracy.
    """

    baseline: str
    model: str
    differences: tuple[Difference, ...]
    refused: tuple[Refused, ...] = ()
    price: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Comparisons:
    """What one call compares: a baseline with each of some models.

    Attributes:
        comparisons: one a model.
        alpha: of the tests; intervals have the level 1 - alpha.
        family: the tests that Holm's correction is over, as (model, column): the headline metrics of the call.
        draws, seed: of the paired bootstrap.
        ungated: metrics with a margin that are not compared for some model.
    """

    comparisons: tuple[Comparison, ...]
    alpha: float
    family: tuple[tuple[str, str], ...]
    draws: int
    seed: int
    ungated: tuple[Ungated, ...] = ()

    @property
    def passed(self) -> bool | None:
        """Whether every gate lets through, also those of metrics that could not be compared; null where there is none."""
        gates = [one.passed for c in self.comparisons for one in c.differences if one.margin is not None]
        gates += [False] * len(self.ungated)
        return all(gates) if gates else None

    def to_frame(self) -> pd.DataFrame:
        """A row a difference: models, task, metric, both values, the difference with its interval and tests, the verdict."""
        import pandas as pd

        return pd.DataFrame(
            {
                "baseline": c.baseline,
                "model": c.model,
                "task": one.task,
                "metric": one.metric,
                "variant": one.variant,
                "before": one.baseline.value,
                "after": one.model.value,
                "ideal": one.model.ideal,
                "difference": one.difference,
                "low": one.interval.low if one.interval else None,
                "high": one.interval.high if one.interval else None,
                "p_value": one.p.value if one.p else None,
                "p_method": one.p.method if one.p else None,
                "p_holm": one.p_holm,
                "detectable": one.detectable,
                "distance": one.distance,
                "worse_by": one.worse_by,
                "margin": one.margin,
                "passed": one.passed,
                "n": one.n,
                "verdict": one.verdict,
                "said": one.said,
                "undefined": one.undefined,
            }
            for c in self.comparisons
            for one in c.differences
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        import dataclasses

        plain: dict[str, Any] = jsonable(dataclasses.asdict(self))
        return {**plain, "passed": self.passed}
