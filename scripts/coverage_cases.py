"""Data whose true score is known, for scripts/interval_coverage.py: the population is given, so that the truth is no estimate.

n counts units (what is resampled), which in clustered data have several rows. The choices were made once, before any was run.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.tables import complete

if TYPE_CHECKING:
    from fairbench.metric import Metric

Columns = dict[str, Any]
Floats = NDArray[np.float64]

SIZES = (50, 200, 1_000)
GAPS = (0.0, 0.05, 0.2)
WORDS = (8, 16, 25)
IN_CLUSTER = 4
BARS = {"signed": (0.93, 0.97), "unsigned": (0.92, 1.0), "association": (0.95, 0.995)}
"""What the coverage of a nominal 95 % interval should be in, by kind."""

SEED = 20_240_501
Z = 1.959964


def seed_of(name: str, number: int = 0) -> list[int]:
    """What the data of a set depend on: the seed of all, the name of the case, the number of the set."""
    return [SEED, zlib.crc32(name.encode()), number]


def draws_seed(name: str, number: int) -> int:
    """The seed of a set's bootstrap draws."""
    return zlib.crc32(f"{SEED} {name} {number}".encode())


def error_of(share: float, n: int) -> float:
    """Half the width of the 95 % interval of a simulated share."""
    return Z * math.sqrt(share * (1 - share) / n)


def tables(metric: Metric, fixed: Columns, make: Callable[[np.random.Generator], Columns], seed: list[int]) -> Iterator[Any]:
    """Data sets without end: the fixed columns are made ready once, the drawn ones replaced."""
    import pandas as pd

    start = {**fixed, **make(np.random.default_rng(seed))}
    frame = complete(pd.DataFrame(start), metric.info)
    for number in range(2**31):
        columns = make(np.random.default_rng([*seed[:2], number]))
        yield frame.assign(**columns)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A population and a metric.

    Attributes:
        kind: signed, unsigned or association: which of BARS.
        metric: its name.
        data: what the population is like, in words.
        n: units.
        truth: the metric in the population.
        fixed: columns that are the same in all sets.
        make: generator -> the columns that are drawn.
        options: of the metric.
    """

    kind: str
    metric: str
    data: str
    n: int
    truth: float
    fixed: Columns
    make: Callable[[np.random.Generator], Columns]
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The case among all others; its draws depend on it alone."""
        chosen = ",".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.metric}[{chosen}] {self.data}, n={self.n}, truth={self.truth:.6g}"


def cases(sizes: Sequence[int] = SIZES, words: Sequence[int] = WORDS) -> Iterator[Case]:
    """All of them, the small ones first."""
    for n in sizes:
        yield from _pairs(n)
        yield from _generated(n)
        yield from _chosen(n)
        yield from _lpbs(n)
        yield _documents(n)
        for gap in GAPS:
            yield from _groups(n, gap)
    for count in words:
        for apart in (0.0, 0.5, 1.0):
            yield _association("weat", count, apart, 1)
            yield _association("seat", count, apart, 6)


def _pairs(n: int) -> Iterator[Case]:
    """More / less stereotyping pairs: a share and a margin."""
    alone: Columns = {"score_less": np.zeros(n)}
    signed = partial(Case, kind="signed", n=n)
    for share in (0.5, 0.65, 0.9):
        told = partial(_told, share, n)
        yield signed(metric="crows_pairs", data="independent pairs", truth=100 * share, fixed=alone, make=told)
    groups = _clusters(n)
    told = partial(_told_by_cluster, n)
    yield signed(metric="crows_pairs", data="clusters of 4, shares of Beta(3, 2)", truth=60.0, fixed=groups, make=told)
    margin = partial(signed, metric="crows_pairs_margin", truth=0.3)
    yield margin(data="normal", fixed=alone, make=lambda rng: {"score_more": rng.normal(0.3, 1, n)})
    yield margin(data="exponential", fixed=alone, make=lambda rng: {"score_more": rng.exponential(1, n) - 0.7})
    yield margin(data="clusters of 4, half of the variance between them", fixed=groups, make=partial(_by_cluster, n))


def _clusters(n: int) -> Columns:
    rows = n * IN_CLUSTER
    return {"score_less": np.zeros(rows), "cluster": [f"c{i // IN_CLUSTER}" for i in range(rows)]}


def _told(share: float, n: int, rng: np.random.Generator) -> Columns:
    return {"score_more": np.where(rng.random(n) < share, 1.0, -1.0)}


def _told_by_cluster(n: int, rng: np.random.Generator) -> Columns:
    share = np.repeat(rng.beta(3, 2, n), IN_CLUSTER)
    return {"score_more": np.where(rng.random(len(share)) < share, 1.0, -1.0)}


def _by_cluster(n: int, rng: np.random.Generator) -> Columns:
    between, within = rng.normal(0, 0.7, n), rng.normal(0, 0.7, n * IN_CLUSTER)
    return {"score_more": 0.3 + np.repeat(between, IN_CLUSTER) + within}


def _generated(n: int) -> Iterator[Case]:
    """Polarity of generated texts, mostly 0: 7 of 10 are about the first group."""
    first = int(0.7 * n)
    fixed: Columns = {"group": ["a"] * first + ["b"] * (n - first)}
    for truth in (0.0, 0.4):
        female = np.repeat([0.2 + truth / 4, 0.2 - truth / 4], [first, n - first])
        drawn = partial(_polarity, female)
        yield Case(
            kind="signed", metric="gender_polarity_gap", data="6 of 10 texts neutral, groups of 70 and 30 %", n=n, truth=truth,
            fixed=fixed, make=drawn,
        )  # fmt: skip


def _polarity(female: Floats, rng: np.random.Generator) -> Columns:
    u = rng.random(len(female))
    return {"polarity": np.where(u < female, 1.0, np.where(u < 0.4, -1.0, 0.0))}


def _chosen(n: int) -> Iterator[Case]:
    """Coreference: right more often where the sentence agrees with the stereotype."""
    pro = np.arange(n) % 2 == 0
    fixed: Columns = {"condition": np.where(pro, "pro", "anti"), "label": np.zeros(n)}
    gap = partial(Case, kind="signed", metric="coreference_gap", n=n, truth=0.15)
    rate = np.where(pro, 0.75, 0.6)
    yield gap(data="independent sentences", fixed=fixed, make=lambda rng: {"choice": (rng.random(n) >= rate).astype(float)})
    pro = np.arange(n * IN_CLUSTER) % 2 == 0
    fixed = {**_clusters(n), "condition": np.where(pro, "pro", "anti"), "label": np.zeros(len(pro))}
    yield gap(data="occupations of 4 sentences that differ in skill and bias", fixed=fixed, make=partial(_occupations, n, pro))


def _occupations(n: int, pro: NDArray[np.bool_], rng: np.random.Generator) -> Columns:
    skill, bias = (np.repeat(rng.uniform(-0.15, 0.15, n), IN_CLUSTER) for _ in range(2))
    rate = np.where(pro, 0.7 + skill + bias, 0.55 + skill - bias)
    return {"choice": (rng.random(len(pro)) >= rate).astype(float)}


def _lpbs(n: int) -> Iterator[Case]:
    """Slots: n attributes in two templates, each with two targets; log ratios of probabilities."""
    rows = 4 * n
    cell = np.arange(rows) // 2
    fixed: Columns = {
        "template": [f"t{c % 2}" for c in cell], "attribute": [f"a{c // 2}" for c in cell], "mass": np.full(rows, 0.5),
        "target": ["he", "she"] * (rows // 2), "group": ["male", "female"] * (rows // 2), "log_prior": np.full(rows, -9.0),
    }  # fmt: skip
    yield Case(
        kind="signed", metric="lpbs", data="log ratios, half of the variance between attributes", n=n, truth=0.2, fixed=fixed,
        make=partial(_log_ratios, n),
    )  # fmt: skip


def _log_ratios(n: int, rng: np.random.Generator) -> Columns:
    score = 0.2 + np.repeat(rng.normal(0, 0.5, n), 2) + rng.normal(0, 0.5, 2 * n)
    return {"log_p": -9.0 + np.column_stack([score, np.zeros(2 * n)]).ravel()}


def _documents(n: int) -> Case:
    """Documents of 20 + Poisson(80) tokens, each of its own difficulty; short ones are harder by 20 nats a document."""
    made = partial(_passages, n)
    truth = math.exp(3.0 + 20 / 100)
    return Case(kind="signed", metric="perplexity", data="documents of about 100 tokens", n=n, truth=truth, fixed={}, make=made)


def _passages(n: int, rng: np.random.Generator) -> Columns:
    tokens = 20 + rng.poisson(80, n).astype(float)
    return {"tokens": tokens, "log_likelihood": -(tokens * rng.gamma(16, 3.0 / 16, n) + 20)}


def _groups(n: int, gap: float) -> Iterator[Case]:
    """Decisions about groups; the true gap is the largest minus the smallest rate."""
    four = 0.6 + gap * np.array([-0.5, -1 / 6, 1 / 6, 0.5])
    unsigned = partial(Case, kind="unsigned", n=n)
    yield unsigned(metric="tpr_gap", data="two groups, 30 and 70 %", truth=gap, **_decided(n, [0.7, 0.7 - gap], [0.3, 0.7]))
    if n < max(SIZES):
        clustered = _decided(n, [0.7, 0.7 - gap], [0.5, 0.5], clusters=True)
        yield unsigned(metric="tpr_gap", data="two groups, clusters of 4 of one group", truth=gap, **clustered)
    even = _decided(n, four, [0.25] * 4)
    difference = partial(unsigned, metric="demographic_parity_difference", **even)
    yield difference(data="four groups", truth=gap)
    yield difference(data="four groups", truth=float(four.std()), options={"aggregate": "std"})
    ratio = partial(unsigned, metric="demographic_parity_ratio", data="two groups")
    yield ratio(truth=1 - gap, **_decided(n, [0.6, 0.6 * (1 - gap)], [0.5, 0.5]))
    classes = 2 if n < 100 else 4
    yield unsigned(metric="rms_tpr_gap", data=f"two groups, {classes} classes", truth=gap, **_classes(n, gap, classes))


def _decided(n: int, rates: Sequence[float] | Floats, shares: Sequence[float], clusters: bool = False) -> dict[str, Any]:
    """Positive records of groups of fixed sizes, predicted positive at the groups' rates."""
    sizes = [round(n * share) for share in shares]
    times = IN_CLUSTER if clusters else 1
    group = np.repeat([f"g{i}" for i in range(len(sizes))], np.array(sizes) * times)
    rate = np.repeat(rates, np.array(sizes) * times)
    fixed: Columns = {"group": group, "label": np.ones(len(group), dtype=int)}
    if clusters:
        fixed["cluster"] = [f"c{i // times}" for i in range(len(group))]
    return {"fixed": fixed, "make": partial(_decisions, rate, clusters)}


def _decisions(rate: Floats, clusters: bool, rng: np.random.Generator) -> Columns:
    """Clusters have rates of their own, of a Beta distribution whose mean is the group's (a + b = 4)."""
    if clusters:
        mean = rate[::IN_CLUSTER]
        rate = np.repeat(rng.beta(4 * mean, 4 * (1 - mean)), IN_CLUSTER)
    return {"prediction": (rng.random(len(rate)) < rate).astype(int)}


def _classes(n: int, gap: float, classes: int) -> dict[str, Any]:
    """Records of several classes, evenly of two groups; the gap favours either group in turn."""
    row = np.arange(n // (2 * classes) * 2 * classes)
    label, second = row % classes, row // classes % 2
    rate = 0.6 + np.where(second == label % 2, -gap / 2, gap / 2)
    fixed: Columns = {"group": np.where(second == 1, "b", "a"), "label": label}
    return {"fixed": fixed, "make": partial(_named, rate, label, classes)}


def _named(rate: Floats, label: NDArray[np.intp], classes: int, rng: np.random.Generator) -> Columns:
    return {"prediction": np.where(rng.random(len(rate)) < rate, label, (label + 1) % classes)}


DIMENSIONS, TILT, SPREAD = 100, 0.4, 0.15


def _association(metric: str, words: int, apart: float, sentences: int) -> Case:
    """Sets of `words` unit vectors (c, sqrt(1 - c^2) u) with u uniform on a sphere: s(w) is 2 TILT c in the population.

    So d = (mean c of X - mean c of Y) / sd of both, and its variance is SPREAD^2 + (difference / 2)^2.
    """
    difference = apart * SPREAD / math.sqrt(1 - (apart / 2) ** 2)
    centres = {"target_x": difference / 2, "target_y": -difference / 2, "attribute_a": TILT, "attribute_b": -TILT}
    role = np.repeat(list(centres), words * sentences)
    names = [f"{r} {i // sentences}" for i, r in enumerate(role)]
    return Case(
        kind="association", metric=metric, data=f"words with {sentences} sentences each" if sentences > 1 else "words", n=words,
        truth=apart, fixed={"role": role, "text": names, "cluster": names, "stratum": role},
        make=partial(_vectors, np.repeat(list(centres.values()), words), sentences),
    )  # fmt: skip


def _vectors(centre: Floats, sentences: int, rng: np.random.Generator) -> Columns:
    """Sentences of a word share nine tenths of the variance of c, and most of u."""
    shared = 0.9 if sentences > 1 else 1.0
    word, own = (_bounded(rng, (len(centre), k)) for k in (1, sentences))
    c = (centre[:, None] + SPREAD * (math.sqrt(shared) * word + math.sqrt(1 - shared) * own)).ravel()
    direction = np.repeat(rng.normal(size=(len(centre), DIMENSIONS)), sentences, axis=0)
    direction += (0.3 * rng.normal(size=direction.shape)) if sentences > 1 else 0.0
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return {"vector": list(np.column_stack([c, np.sqrt(1 - c**2)[:, None] * direction]))}


def _bounded(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Numbers of mean 0 and variance 1 that stay within 3: sums of three uniform ones."""
    return rng.uniform(-1, 1, (*shape, 3)).sum(axis=-1)
