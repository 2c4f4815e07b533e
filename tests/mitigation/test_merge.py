from __future__ import annotations

import math

import pytest
import torch

from fairbench.errors import FairbenchError
from fairbench.mitigation import merge as module
from fairbench.mitigation.merge import MERGES, merge
from fairbench.mitigation.vocabulary import VocabularyMap, map_back

EQUAL = ([2.0, 0, 1], [0.0, 2, 1])
UNEQUAL = ([3.0, 0, 1], [0.0, 2, 1])
"""Logits whose partition sums are equal, and logits whose are not."""

MAP = VocabularyMap((((0,), (1,)), ((2, 3), (4, 5)), ((6, 7, 8), (9,))))
WIDTH = 12


def rows(pair) -> list[torch.Tensor]:
    return [torch.tensor([logits], dtype=torch.float64) for logits in pair]


def logits(n: int, width: int = WIDTH, seed: int = 0, kind: torch.dtype = torch.float64) -> torch.Tensor:
    return 3 * torch.randn(n, width, dtype=kind, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("pair", "how", "normalize", "wanted"),
    [
        (EQUAL, "max", True, [0.42232, 0.42232, 0.15536]),
        (EQUAL, "max", False, [0.42232, 0.42232, 0.15536]),
        (EQUAL, "mean", True, [1 / 3] * 3),
        (EQUAL, "mean", False, [1 / 3] * 3),
        (EQUAL, "expmean", True, [0.37764, 0.37764, 0.24473]),
        (EQUAL, "expmean", False, [0.37764, 0.37764, 0.24473]),
        (EQUAL, "swap", True, [0.09003, 0.66524, 0.24473]),
        (UNEQUAL, "expmean", False, [0.60398, 0.24030, 0.15573]),
        (UNEQUAL, "expmean", True, [0.46691, 0.35363, 0.17946]),
    ],
)
def test_golden(pair, how, normalize, wanted):
    merged = merge(*rows(pair), how, normalize=normalize)
    assert merged.exp()[0].tolist() == pytest.approx(wanted, abs=6e-6)
    assert merged.exp().sum().item() == pytest.approx(1)


@pytest.mark.parametrize(("how", "differs"), [("expmean", 0.026110), ("max", 0.023689), ("mean", 0), ("swap", 0)])
def test_merging_what_is_divided_by_a_temperature_gives_something_else(how: str, differs: float):
    z, zc = rows(UNEQUAL)
    right, wrong = (merge(z, zc, how) / 2).softmax(-1), merge(z / 2, zc / 2, how).exp()
    assert (right - wrong).abs().max().item() == pytest.approx(differs, abs=1e-6)


def reference(z: torch.Tensor, zc: torch.Tensor, how: str, own: VocabularyMap | None) -> torch.Tensor:
    """Probabilities by the formulas, in their plainest shape."""
    p, q = z.softmax(-1), zc.softmax(-1)
    mapped = q.clone()
    for sides in own.blocks if own else ():
        for side, other in (sides, sides[::-1]):
            for token in side:
                mapped[:, token] = q[:, list(other)].sum(-1) * p[:, token] / p[:, list(side)].sum(-1)
    made = {"mean": (p * mapped).sqrt(), "max": torch.maximum(p, mapped), "expmean": (p + mapped) / 2, "swap": mapped}[how]
    return made / made.sum(-1, keepdim=True)


@pytest.mark.parametrize("own", [None, MAP], ids=["plain", "mapped"])
@pytest.mark.parametrize("how", MERGES)
def test_against_the_formulas(how: str, own: VocabularyMap | None):
    z, zc = logits(9), logits(9, seed=1)
    torch.testing.assert_close(merge(z, zc, how, vocabulary_map=own).exp(), reference(z, zc, how, own))


@pytest.mark.parametrize("how", ["mean", "max", "expmean"])
@pytest.mark.parametrize("seed", range(3))
def test_both_texts_get_the_same_target(how: str, seed: int):
    z, zc = (logits(5, 50, 2 * seed + which, torch.float32) for which in (0, 1))
    torch.testing.assert_close(merge(z, zc, how), merge(zc, z, how))


def masses(log_p: torch.Tensor, exchanged: bool) -> torch.Tensor:
    sides = [sorted(block[which ^ exchanged]) for block in MAP.blocks for which in (0, 1)]
    rest = [token for token in range(WIDTH) if token not in MAP.ids]
    return torch.stack([log_p[:, side].exp().sum(-1) for side in (*sides, rest)], -1)


@pytest.mark.parametrize(("how", "same"), [("mean", True), ("max", True), ("expmean", True), ("swap", False)])
@pytest.mark.parametrize("seed", range(3))
def test_with_the_map_the_masses_of_the_blocks_change_places(how: str, same: bool, seed: int):
    z, zc = (logits(6, seed=2 * seed + which, kind=torch.float32) for which in (0, 1))
    there, back = merge(z, zc, how, vocabulary_map=MAP), merge(zc, z, how, vocabulary_map=MAP)
    assert torch.allclose(masses(there, False), masses(back, True), rtol=0, atol=1e-6) is same
    torch.testing.assert_close(there.exp().sum(-1), torch.ones(6))


@pytest.mark.parametrize("how", ["mean", "max", "expmean"])
def test_a_text_that_is_its_own_reversal_gives_both_sides_the_same(how: str):
    """Section 23.8: without the map such a text keeps its bias."""
    z = logits(4)
    found = masses(merge(z, z, how, vocabulary_map=MAP), False)
    torch.testing.assert_close(found[:, 0:6:2], found[:, 1:6:2])
    torch.testing.assert_close(merge(z, z, how), z.log_softmax(-1))


@pytest.mark.parametrize("own", [None, MAP], ids=["plain", "mapped"])
@pytest.mark.parametrize("how", MERGES)
def test_gradients(how: str, own: VocabularyMap | None):
    pair = [logits(2, seed=seed).requires_grad_() for seed in (0, 1)]
    assert torch.autograd.gradcheck(lambda z, zc: merge(z, zc, how, vocabulary_map=own), pair)


@pytest.mark.parametrize("at_once", [1, WIDTH, 3 * WIDTH, 1000])
@pytest.mark.parametrize("how", MERGES)
def test_rows_at_a_time_do_not_matter(how: str, at_once: int, monkeypatch: pytest.MonkeyPatch):
    z, zc = logits(10), logits(10, seed=1)
    with_gradient = merge(z.clone().requires_grad_(), zc, how, vocabulary_map=MAP)
    monkeypatch.setattr(module, "_AT_ONCE", at_once)
    torch.testing.assert_close(merge(z, zc, how, vocabulary_map=MAP), with_gradient.detach())


def test_in_place():
    z, zc = logits(10), logits(10, seed=1)
    kept, wanted = zc.clone(), merge(z, zc, "expmean", vocabulary_map=MAP)
    found = merge(z, zc, "expmean", vocabulary_map=MAP, inplace=True)
    assert found is z
    assert torch.equal(zc, kept)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("own", [None, MAP, VocabularyMap(())], ids=["plain", "mapped", "empty map"])
@pytest.mark.parametrize("how", MERGES)
def test_a_text_merged_with_itself(how: str, own: VocabularyMap | None):
    """It goes another way when both readings are one tensor."""
    z = logits(10)
    wanted = merge(z, z.clone(), how, vocabulary_map=own)
    found = merge(z, z, how, vocabulary_map=own, inplace=True)
    assert found is z
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("apart", [1.0, 60, 90, 200])
def test_the_arithmetic_mean_is_exact_however_far_logits_are_apart(apart: float):
    z, zc = (apart * logits(6, 300, seed).clamp(-1, 1) for seed in (0, 1))
    wanted = torch.logaddexp(z.log_softmax(-1), zc.log_softmax(-1)) - math.log(2)
    torch.testing.assert_close(merge(z.float(), zc.float(), "expmean").double(), wanted, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_precision_is_merged_in_single(kind: torch.dtype):
    z, zc = logits(4, kind=torch.float32).to(kind), logits(4, seed=1, kind=torch.float32).to(kind)
    found = merge(z, zc, "expmean", vocabulary_map=MAP, inplace=True)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, merge(z.float(), zc.float(), "expmean", vocabulary_map=MAP))


def test_no_rows():
    assert merge(logits(0), logits(0), "max", vocabulary_map=MAP).shape == (0, WIDTH)


def test_logits_far_apart_stay_finite():
    z, zc = torch.tensor([[0.0, 300, -300]]), torch.tensor([[300.0, 0, -300]])
    for how in MERGES:
        assert merge(z, zc, how).isfinite().all()
    assert merge(z, zc, "expmean")[0, 0].item() == pytest.approx(-math.log(2))


@pytest.mark.parametrize(
    ("how", "options", "told"),
    [
        ("expMean", {}, "There is no merge 'expMean'; .* Did you mean expmean"),
        ("max", {"vocabulary_map": MAP, "normalize": False}, "Raw logits were asked for together with a vocabulary map"),
    ],
)
def test_what_is_refused(how, options, told):
    with pytest.raises(FairbenchError, match=told):
        merge(logits(1), logits(1), how, **options)


def test_the_map_may_come_before_normalising():
    z, zc = logits(5), logits(5, seed=1)
    early = map_back(zc.log_softmax(-1), z.log_softmax(-1), MAP)
    torch.testing.assert_close(merge(z, zc, "swap", vocabulary_map=MAP), early)
