"""Resampling by weights: draws over units, intervals, tests. Pure NumPy; SciPy only inside functions.

A unit is what may be exchanged or resampled (a word, a pair, a document). Every function that draws takes a seed or a generator
and gives the same numbers again for the same seed, whatever the machine.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fairbench.scores import Interval, PValue

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

CHUNK_BYTES = 64 * 2**20
"""The most memory that one chunk of draws takes."""

BLOCK_BYTES = 2**19
"""So much of a chunk is worked on at a time: it stays in a processor's cache."""

EXACT_LIMIT = 100_000
"""A permutation test is exact up to so many partitions, and sampled with so many beyond."""


@dataclass(frozen=True)
class RandomEffects:
    """A random-effects analysis of N studies (DerSimonian and Laird 1986), in arrays over the leading axes of the effects.

    Attributes:
        effect: combined effect size, the mean of the studies' with weights 1/(V_i + tau2).
        stderr: its standard error, (sum 1/(V_i + tau2))^(-1/2).
        tau2: variance between studies, at least 0.
        i2: share of the studies' variation that is more than chance within them, max(0, (Q - (N - 1))/Q).
        q: Cochran's Q, the weighted squares about the fixed-effect mean.
        studies: N, the studies that have an effect and a variance; where there is none, all else is NaN.
    """

    effect: Floats
    stderr: Floats
    tau2: Floats
    i2: Floats
    q: Floats
    studies: Indices


@dataclass(frozen=True)
class Units:
    """Which unit each row belongs to, and which stratum each unit.

    Attributes:
        of_row: (n,) index of the row's unit.
        stratum: (u,) index of the unit's stratum.
        kind: "clusters", or "records" where no row has a cluster.
    """

    of_row: Indices
    stratum: Indices
    kind: str

    @property
    def count(self) -> int:
        """Number of units u."""
        return len(self.stratum)


def resampling_units(table: pd.DataFrame) -> Units:
    """Units of the bootstrap: a cluster where the row names one, else the record. A cluster never reaches across strata.

    Args:
        table: rows with the columns id, cluster, stratum (the latter two may be null).
    """
    clustered = table["cluster"].notna().to_numpy()
    stratum = table["stratum"].astype(object).where(table["stratum"].notna(), "").astype(str)
    names = table["cluster"].astype(object).where(clustered, table["id"]).astype(str)
    keys = list(zip(stratum.tolist(), clustered.tolist(), names.tolist(), strict=True))
    # Sorted, so that the same units get the same draws whatever the order of rows: two models' answers are paired by this.
    codes = {key: number for number, key in enumerate(sorted(set(keys)))}
    strata = {name: number for number, name in enumerate(sorted(set(stratum)))}
    return Units(
        of_row=np.array([codes[key] for key in keys], dtype=np.intp),
        stratum=np.array([strata[key[0]] for key in codes], dtype=np.intp),
        kind="clusters" if clustered.any() else "records",
    )


def bootstrap_weights(units: Units, draws: int, seed: int) -> Iterator[Floats]:
    """Multinomial counts of a bootstrap over units, spread to their rows; each stratum keeps its number of units.

    Integer draws and `bincount` are about nine times faster than `Generator.multinomial` and give the same distribution. Blocks
    keep what lies between a draw and its weights in the cache. Neither they nor the chunks change a draw.

    Yields:
        (b, n) weights, in chunks of at most CHUNK_BYTES; the b of all chunks sum to `draws`.
    """
    rows = len(units.of_row)
    size = max(1, CHUNK_BYTES // (8 * max(rows, units.count, 1)))
    block = max(1, BLOCK_BYTES // (8 * max(units.count, 1)))
    members = [np.flatnonzero(units.stratum == s) for s in range(int(units.stratum.max(initial=-1)) + 1)]
    alone = np.array_equal(units.of_row, np.arange(units.count))  # each row a unit, in their order: nothing to spread
    streams = np.random.default_rng(seed).spawn(len(members))  # one a stratum: draws don't depend on where chunks end
    for start in range(0, draws, size):
        weights = np.empty((min(size, draws - start), rows))
        for part in (weights[first : first + block] for first in range(0, len(weights), block)):
            counts = part if alone else np.empty((len(part), units.count))
            for inside, rng in zip(members, streams, strict=True):
                counts[:, slice(None) if len(members) == 1 else inside] = _counts(len(part), len(inside), rng)
            if not alone:
                np.take(counts, units.of_row, axis=1, out=part, mode="clip")  # no index is out of range: it saves a copy
        yield weights


def _counts(draws: int, units: int, rng: np.random.Generator) -> Indices:
    """(draws, units) how often each unit is drawn, `units` times in all."""
    drawn = rng.integers(0, units, size=(draws, units))
    drawn += units * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * units).reshape(draws, units)


def percentile_interval(drawn: Floats, level: float, method: str) -> Interval | None:
    """The central `level` of the draws that have a value; None where these don't differ: then they tell nothing."""
    kept = drawn[np.isfinite(drawn)]
    if not len(kept) or kept.min() == kept.max():
        return None
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, method)


def unanimous_interval(value: float, low: float, high: float, units: int, level: float) -> Interval:
    """Clopper-Pearson's interval for a percentage on which all units agree, where a bootstrap sees no spread.

    If all u units are at one end, the other end of the interval is where u units agree with probability (1 - level) / 2.
    """
    reach = (high - low) * (1 - ((1 - level) / 2) ** (1 / units))
    low, high = (low, low + reach) if value == low else (high - reach, high)
    return Interval(low, high, level, f"exact binomial (Clopper-Pearson), all {units} units agree")


def bootstrap_p(drawn: Floats, null: float) -> PValue | None:
    """Two-sided p of `value = null` by inverting the percentile interval: the level at which the interval just reaches `null`."""
    kept = drawn[np.isfinite(drawn)]
    if len(kept) < 2:
        return None
    below, above = int((kept <= null).sum()), int((kept >= null).sum())
    p = min(1.0, 2 * (1 + min(below, above)) / (1 + len(kept)))
    return PValue(p, f"bootstrap inversion, two-sided, value = {null:g}, {len(kept)} draws")


def jackknife_error(left_out: Floats) -> float:
    """Standard error from the values with one unit left out each: se^2 = (u - 1)/u * sum (t_i - mean)^2; left_out is (u,)."""
    u = len(left_out)
    return math.sqrt((u - 1) / u * float(((left_out - left_out.mean()) ** 2).sum()))


def student_interval(value: float, stderr: float, units: int, level: float) -> Interval:
    """The value plus and minus Student's quantile with u - 1 degrees of freedom times its standard error."""
    from scipy.stats import t as student

    reach = float(student.ppf((1 + level) / 2, units - 1)) * stderr
    return Interval(value - reach, value + reach, level, f"jackknife, Student, {units} units")


def smallest_detectable(stderr: float, level: float = 0.95, power: float = 0.8) -> float:
    """The smallest difference that a two-sided test would have seen with this power: (z_(1+level)/2 + z_power) * stderr."""
    from scipy.stats import norm

    return float(norm.ppf((1 + level) / 2) + norm.ppf(power)) * stderr


def tied(first: Floats, second: Floats) -> NDArray[np.bool_]:
    """Whether two scores count as equal: |difference| <= 1e-6 * max(1, |score|)."""
    return np.abs(first - second) <= 1e-6 * np.maximum(1.0, np.maximum(np.abs(first), np.abs(second)))


def partitions(n: int, n_x: int, limit: int, rng: np.random.Generator) -> tuple[Iterator[NDArray[np.bool_]], bool]:
    """Ways to choose n_x of n units: all of them if there are at most `limit`, else `limit` - 1 random ones.

    Returns:
        chunks of (k, n) membership matrices, and whether they are all (then the observed partition is among them).
    """
    exact = math.comb(n, n_x) <= limit
    return (_all_partitions(n, n_x) if exact else _random_partitions(n, n_x, limit - 1, rng)), exact


def sign_flip_test(net: Floats, rng: np.random.Generator, kind: str) -> PValue:
    """Two-sided test that the sum of independent, symmetric contributions is 0, by giving each of them either sign.

    Exact over all 2^u signs up to EXACT_LIMIT of them, else that many - 1 random ones and the observed ones.

    Args:
        net: (u,) contribution of each unit (stereotype minus opposite, or a margin). Contributions of 0 change nothing.
        rng: for the sampled signs.
        kind: what the units are, in the plural.
    """
    units, net = len(net), net[net != 0]
    exact = 2 ** len(net) <= EXACT_LIMIT
    if exact:
        signs = 1.0 - 2.0 * (np.arange(2 ** len(net))[:, None] >> np.arange(len(net)) & 1)
        sums = signs @ net
    else:
        sums = _random_signs(net, EXACT_LIMIT - 1, rng)
    slack = 1e-9 * float(np.abs(net).sum())
    hits = int((np.abs(sums) >= abs(float(net.sum())) - slack).sum())
    p = hits / len(sums) if exact else (1 + hits) / (1 + len(sums))
    return PValue(p, f"sign flips of {units} {kind}, two-sided, {'exact' if exact else f'{EXACT_LIMIT:,} sampled'}")


def _random_signs(net: Floats, count: int, rng: np.random.Generator) -> Floats:
    """(count,) sums of net (u,), each of whose entries gets either sign at random: the whole less twice the flipped ones."""
    units, flipped = len(net), np.empty(count)
    size, block = max(1, CHUNK_BYTES // (16 * units)), max(1, BLOCK_BYTES // (8 * units))
    for start in range(0, count, size):
        k = min(size, count - start)
        flips = np.frombuffer(rng.bytes(k * units), dtype=np.uint8).reshape(k, units)
        for first in range(0, k, block):
            some = flips[first : first + block] >> 7  # the highest bit: what `rng.integers(0, 2, dtype=np.int8)` takes longer for
            flipped[start + first : start + first + len(some)] = some.astype(float) @ net
    sums: Floats = net.sum() - 2 * flipped
    return sums


def clustered_sign_flips(table: pd.DataFrame, rows: Floats, rng: np.random.Generator) -> PValue:
    """The sign-flip test of rows' contributions (n,), where rows of one cluster keep their signs together."""
    units = resampling_units(table)
    return sign_flip_test(np.bincount(units.of_row, rows).astype(float), rng, units.kind)


def _all_partitions(n: int, n_x: int) -> Iterator[NDArray[np.bool_]]:
    from itertools import combinations, islice

    rest = combinations(range(n), n_x)
    while chosen := list(islice(rest, 20_000)):
        members = np.zeros((len(chosen), n), dtype=bool)
        np.put_along_axis(members, np.array(chosen, dtype=np.intp).reshape(len(chosen), n_x), True, axis=1)
        yield members


def _random_partitions(n: int, n_x: int, count: int, rng: np.random.Generator) -> Iterator[NDArray[np.bool_]]:
    """Selection sampling, one unit in many partitions at a time: it is taken with the chance (places left)/(units left).

    Bounded integers are drawn without bias, so all partitions are equally likely; shuffling the rows takes three times as long.
    """
    narrow = np.min_scalar_type(n)
    for start in range(0, count, 4096):  # so many stay in a processor's cache, also as floats
        k = min(4096, count - start)
        members = np.empty((n, k), dtype=bool)
        places = np.full(k, n_x, dtype=narrow)
        for i in range(n):
            np.less(rng.integers(0, n - i, size=k, dtype=narrow), places, out=members[i])
            places -= members[i]
        yield members.T


def partition_p(seen: float, permuted: Floats, exact: bool, two_sided: bool) -> float:
    """Share of partitions at least as extreme as the one seen, which is counted among them; ties count (slack 1e-12)."""
    extreme = np.abs(permuted) >= abs(seen) - 1e-12 if two_sided else permuted >= seen - 1e-12
    hits = int(extreme.sum())
    return hits / len(permuted) if exact else (1 + hits) / (1 + len(permuted))


def random_effects(effects: Floats, variances: Floats) -> RandomEffects:
    """Combines studies' effects by their variances and by the variance between them, tau2 = max(0, (Q - (N - 1))/c).

    Q = sum w_i (e_i - mean)^2 and c = sum w - sum w^2/sum w with w_i = 1/V_i (Guo and Caliskan 2021, supplement).

    Args:
        effects: (..., N) effect of each study; NaN where it has none.
        variances: (..., N) its variance V_i; a study whose variance is not positive and finite is left out.
    """
    kept = np.isfinite(effects) & np.isfinite(variances) & (variances > 0)
    e, n = np.where(kept, effects, 0.0), kept.sum(axis=-1)
    w = np.divide(1.0, variances, out=np.zeros_like(e), where=kept)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = w.sum(axis=-1)
        q = (w * (e - ((w * e).sum(axis=-1) / total)[..., None]) ** 2).sum(axis=-1)
        c = total - (w**2).sum(axis=-1) / total
        excess = np.maximum(0.0, q - (n - 1))
        tau2 = np.where(c > 0, excess / c, np.where(n > 0, 0.0, np.nan))  # of one study nothing is known between studies
        v = np.divide(1.0, variances + tau2[..., None], out=np.zeros_like(e), where=kept)
        precision = np.where(n > 0, v.sum(axis=-1), np.nan)
        i2 = np.where(q > 0, excess / q, 0.0 * q)
        return RandomEffects((v * e).sum(axis=-1) / precision, 1 / np.sqrt(precision), tau2, i2, q, n)


def normal_p(z: float, two_sided: bool) -> float:
    """The p of a standard normal z: 2 (1 - Phi(|z|)), or one-sided 1 - Phi(z). Never 0, however far out."""
    p = math.erfc(abs(z) / math.sqrt(2)) if two_sided else math.erfc(z / math.sqrt(2)) / 2
    return max(p, sys.float_info.min)
