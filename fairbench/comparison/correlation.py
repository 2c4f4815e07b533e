"""Do intrinsic scores tell extrinsic ones? Correlation over models, a point a model (Cao et al. 2022, ACL short, 561-570).

Every column is first turned so that larger is more biased: the distance of the score from its ideal. Intrinsic and extrinsic
scores are never averaged into one figure. This file holds what is found; `fairbench.comparison.correlating` finds it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fairbench.scores import jsonable

if TYPE_CHECKING:
    import pandas as pd

FEW_MODELS = 8
"""Below so many models a correlation is shown with a warning."""

LEAST_MODELS = 3
"""Of two points every correlation is 1 or -1."""


@dataclass(frozen=True, kw_only=True)
class CorrelationOptions:
    """Which scores are set against which, and how sure that is.

    Attributes:
        aligned: only scores of one notion (gender with gender). Scores of several notions are taken apart by their groups: the
            StereoSet score of gender, and scores of one group (women) where both sides have that group.
        clean: intrinsic scores of pairs over the records that no rule of pair quality flags.
        by_configuration: extrinsic scores that were found in several configurations (seed, decoding, learning rate): once for
            each, over the models that have all of them, so that only the configuration changes; with the spread.
        pooled: intrinsic scores of one metric and notion (CEAT's tests of gender) as one: the mean of their distances.
        metrics: names of metrics; all headline metrics where empty.
        draws, seed, level: of the bootstrap over models.
    """

    aligned: bool = False
    clean: bool = False
    by_configuration: bool = False
    pooled: bool = False
    metrics: tuple[str, ...] = ()
    draws: int = 10_000
    seed: int = 1234
    level: float = 0.95


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An intrinsic score against an extrinsic one.

    Attributes:
        intrinsic, extrinsic: their columns in the tidy table; a score of one group has it in brackets ("crows_pairs/crows_pairs
            [gender]"), a pooled one says what it is the mean of.
        notion: the notion that both are about; null where they are about different ones, or nobody knows.
        configuration: the choices of the extrinsic score, with `by_configuration`; else null.
        n: models that have both.
        pearson, spearman: in [-1, 1]; null where undefined. Positive: the larger the intrinsic bias, the larger the extrinsic.
        pearson_p, spearman_p: of no correlation, two-sided. Pearson: Student's t with n - 2 degrees of freedom. Spearman: all
            orders up to eight models, else Student's t.
        pearson_q, spearman_q: Benjamini and Hochberg's, over all pairs of the call, for each measure.
        pearson_low ... spearman_high: percentile interval of a bootstrap over models; null below five models,
            and where all draws agree.
        undefined: why there is no correlation.
        x, y: (n,) the two scores of each model, turned so that larger is more biased.
        labels: (n,) the models.
    """

    intrinsic: str
    extrinsic: str
    notion: str | None
    configuration: str | None
    n: int
    pearson: float | None = None
    pearson_p: float | None = None
    pearson_q: float | None = None
    pearson_low: float | None = None
    pearson_high: float | None = None
    spearman: float | None = None
    spearman_p: float | None = None
    spearman_q: float | None = None
    spearman_low: float | None = None
    spearman_high: float | None = None
    undefined: str | None = None
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ConfigurationSpread:
    """How far a correlation moves with the configuration of the extrinsic score.

    Attributes:
        intrinsic: its column.
        extrinsic: "<task>/<metric>", without a configuration.
        configurations: those in which the correlation is defined.
        n: models, the same in every configuration.
        pearson, spearman: (lowest, median, highest) over the configurations; null where fewer than two are defined.
    """

    intrinsic: str
    extrinsic: str
    configurations: tuple[str, ...]
    n: int
    pearson: tuple[float, float, float] | None
    spearman: tuple[float, float, float] | None


@dataclass(frozen=True, kw_only=True)
class Correlations:
    """All intrinsic scores against all extrinsic ones, over models.

    Attributes:
        pairs: in the order of intrinsic and extrinsic columns.
        intrinsic, extrinsic: the columns that were used.
        models: labels of the models that have a score on either side.
        n: how many they are; each pair has its own n, since not every model has every score.
        options: what was asked for.
        orientation: by column, how it was turned so that larger is more biased, in words.
        spreads: with `by_configuration`, one for each intrinsic score and extrinsic measure; else empty.
        left_out: columns that are in no pair, and why.
        warnings: sentences that belong beside the numbers.
    """

    pairs: tuple[Pair, ...]
    intrinsic: tuple[str, ...]
    extrinsic: tuple[str, ...]
    models: tuple[str, ...]
    n: int
    options: CorrelationOptions
    orientation: Mapping[str, str]
    spreads: tuple[ConfigurationSpread, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """A row a pair, without its points; the columns are the fields of `Pair`."""
        import pandas as pd

        points = ("x", "y", "labels")
        names = [one.name for one in dataclasses.fields(Pair) if one.name not in points]
        return pd.DataFrame([{name: getattr(pair, name) for name in names} for pair in self.pairs], columns=names)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, with the points of every pair."""
        plain: dict[str, Any] = jsonable(dataclasses.asdict(self))
        return plain
