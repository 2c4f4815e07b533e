"""Random-effects analysis against the golden vectors of the specification and against sums written out, and the normal p."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from fairbench import stats

GOLDEN_EFFECTS = {
    "A": ([0.2, 0.5, 0.8, 1.1], [0.02, 0.03, 0.025, 0.04]),
    "B": ([0.5, 0.6, 0.55], [0.04, 0.05, 0.06]),
}


def test_random_effects_golden_vector_a():
    found = stats.random_effects(*map(np.array, GOLDEN_EFFECTS["A"]))
    assert found.q == pytest.approx(16.12921348, rel=1e-9)
    assert found.tau2 == pytest.approx(0.12046391753, rel=1e-9)
    assert (found.q - 3) / found.tau2 == pytest.approx(108.98876404, rel=1e-9)  # c
    assert found.effect == pytest.approx(0.63641574979, rel=1e-9)
    assert found.stderr == pytest.approx(0.19290837925, rel=1e-9)
    assert found.i2 == pytest.approx(1 - 3 / 16.12921348, rel=1e-9)
    assert found.studies == 4
    z = float(found.effect / found.stderr)
    assert stats.normal_p(z, two_sided=False) == pytest.approx(4.8505e-4, abs=5e-9)
    assert stats.normal_p(z, two_sided=True) == pytest.approx(9.7010e-4, abs=5e-9)


def test_random_effects_golden_vector_b():
    found = stats.random_effects(*map(np.array, GOLDEN_EFFECTS["B"]))
    assert found.q == pytest.approx(0.1114865, abs=5e-8)
    assert found.tau2 == 0 and found.i2 == 0
    assert found.effect == pytest.approx(0.5459459459, rel=1e-9)
    assert found.stderr == pytest.approx(0.1273429079, rel=1e-9)
    assert stats.normal_p(float(found.effect / found.stderr), two_sided=True) == pytest.approx(1.8093e-5, abs=5e-10)


def random_effects_in_a_loop(effects: list[float], variances: list[float]) -> tuple[float, ...]:
    """Effect, standard error, tau2, I2, Q of studies that all count."""
    w = [1 / v for v in variances]
    q = sum(a * e * e for a, e in zip(w, effects, strict=True)) - sum(a * e for a, e in zip(w, effects, strict=True)) ** 2 / sum(
        w
    )
    c = sum(w) - sum(a * a for a in w) / sum(w)
    tau2 = max(0.0, (q - (len(w) - 1)) / c)
    v = [1 / (v + tau2) for v in variances]
    effect = sum(a * e for a, e in zip(v, effects, strict=True)) / sum(v)
    return effect, 1 / math.sqrt(sum(v)), tau2, max(0.0, (q - (len(w) - 1)) / q), q


@pytest.mark.parametrize("spread", [0.05, 1.0])
def test_random_effects_over_leading_axes_are_those_of_each(spread: float):
    rng = np.random.default_rng(0)
    effects, variances = rng.normal(0.3, spread, size=(2, 5, 30)), rng.uniform(0.01, 0.2, size=(2, 5, 30))
    dropped = rng.random(effects.shape) < 0.2
    effects[dropped & (rng.random(effects.shape) < 0.5)] = np.nan
    variances[dropped & np.isfinite(effects)] = 0.0
    found = stats.random_effects(effects, variances)
    for at in np.ndindex(2, 5):
        kept = np.flatnonzero(~dropped[at])
        one = random_effects_in_a_loop(effects[at][kept].tolist(), variances[at][kept].tolist())
        fields = (found.effect[at], found.stderr[at], found.tau2[at], found.i2[at], found.q[at])
        assert fields == pytest.approx(one, rel=1e-9, abs=1e-12)
        assert found.studies[at] == len(kept)
    assert (found.tau2 > 0).all() == (spread == 1.0)


def test_random_effects_of_one_study_are_its_own_and_of_none_unknown():
    found = stats.random_effects(np.array([[0.4, np.nan], [np.nan, np.nan]]), np.array([[0.09, 1.0], [1.0, np.inf]]))
    assert (found.effect[0], found.stderr[0], found.tau2[0], found.studies[0]) == (pytest.approx(0.4), pytest.approx(0.3), 0, 1)
    assert found.studies[1] == 0
    assert np.isnan([found.effect[1], found.stderr[1], found.tau2[1], found.i2[1], found.q[1]]).all()


@pytest.mark.parametrize("z", [-3.0, -0.1, 0.0, 0.7, 5.0, 30.0])
def test_normal_p_is_scipys(z: float):
    assert stats.normal_p(z, two_sided=True) == pytest.approx(2 * scipy_stats.norm.sf(abs(z)), rel=1e-12)
    assert stats.normal_p(z, two_sided=False) == pytest.approx(scipy_stats.norm.sf(z), rel=1e-12)


def test_normal_p_is_never_zero():
    assert 0 < stats.normal_p(400.0, two_sided=True) < 1e-300
    assert 0 < stats.normal_p(400.0, two_sided=False) < 1e-300
    assert stats.normal_p(-400.0, two_sided=False) == 1.0
