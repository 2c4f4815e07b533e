from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from fairbench.mitigation import merge as merging
from fairbench.mitigation.losses import IGNORED, distillation_loss, language_model_loss
from fairbench.mitigation.objective import vocabulary_losses

BATCH, LENGTH, WIDTH = 3, 7, 23


@dataclass(frozen=True)
class Fixed:
    """A target that is there."""

    log_p: torch.Tensor

    def part(self, positions: slice) -> torch.Tensor:
        return self.log_p[positions].clone()


def drawn(*shape: int, seed: int = 0, kind: torch.dtype = torch.float64) -> torch.Tensor:
    return (3 * torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))).to(kind)


def case(filled_up: bool, kind: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, real positions, a target there, labels; the last rows are filled up."""
    real = torch.ones(BATCH, LENGTH, dtype=torch.bool)
    if filled_up:
        real[1, 5:] = real[2, 1:] = False
    labels = (torch.arange(BATCH * LENGTH).reshape(BATCH, LENGTH) * 5 % WIDTH).masked_fill(~real, IGNORED)
    labels[0, 2] = labels[:, -1] = IGNORED
    return drawn(BATCH, LENGTH, WIDTH, kind=kind), real, drawn(int(real.sum()), WIDTH, seed=1, kind=kind), labels


def slow(logits: torch.Tensor, real: torch.Tensor, log_p: torch.Tensor, labels: torch.Tensor, temperature: float):
    return distillation_loss(logits[real], log_p, temperature), language_model_loss(logits, labels, shift=False)


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0), (0.3, 2.0)])
@pytest.mark.parametrize("temperature", [0.5, 1, 2, 7])
@pytest.mark.parametrize("filled_up", [False, True])
@pytest.mark.parametrize(("kind", "within"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
@pytest.mark.parametrize("at_once", [1, 3 * WIDTH, 1 << 18])
def test_values_and_gradients_of_the_plain_formulas(weights, temperature, filled_up, kind, within, at_once, monkeypatch):
    monkeypatch.setattr(merging, "_AT_ONCE", at_once)
    logits, real, log_p, labels = case(filled_up, kind)
    ours, plain = logits.clone().requires_grad_(), logits.double().requires_grad_()
    found = vocabulary_losses(ours, real, target=Fixed(log_p), labels=labels, temperature=temperature)
    wanted = slow(plain, real, log_p.double(), labels, temperature)
    for term, other in zip(found, wanted, strict=True):
        assert term.item() == pytest.approx(other.item(), rel=10 * within, abs=10 * within)
    sum(weight * term for weight, term in zip(weights, found, strict=True)).backward()
    sum(weight * term for weight, term in zip(weights, wanted, strict=True)).backward()
    torch.testing.assert_close(ours.grad.double(), plain.grad, rtol=0, atol=within)


@pytest.mark.parametrize("asked", ["kd", "lm", "neither"])
def test_a_term_that_is_not_asked_for_is_null(asked: str):
    logits, real, log_p, labels = case(True, torch.float64)
    ours, plain = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    target, gold = Fixed(log_p) if asked == "kd" else None, labels if asked == "lm" else None
    found = vocabulary_losses(ours, real, target=target, labels=gold, temperature=2)
    assert [term is not None for term in found] == [asked == "kd", asked == "lm"]
    for term, other in zip(found, slow(plain, real, log_p, labels, 2), strict=True):
        if term is not None:
            term.backward()
            other.backward()
            torch.testing.assert_close(ours.grad, plain.grad)


def test_half_precision_is_summed_in_single():
    logits, real, log_p, labels = case(True, torch.bfloat16)
    ours, plain = logits.clone().requires_grad_(), logits.double().requires_grad_()
    found = vocabulary_losses(ours, real, target=Fixed(log_p.float()), labels=labels, temperature=2)
    wanted = slow(plain, real, log_p.double(), labels, 2)
    assert [term.dtype for term in found] == [torch.float32, torch.float32]
    torch.testing.assert_close(torch.stack(found).double(), torch.stack(wanted), rtol=1e-5, atol=1e-5)
    sum(found).backward()
    sum(wanted).backward()
    assert ours.grad.dtype == torch.bfloat16
    torch.testing.assert_close(ours.grad.double(), plain.grad, rtol=2e-2, atol=1e-4)


def test_without_a_label_the_cross_entropy_is_0_and_pushes_nothing():
    logits, real, _, labels = case(False, torch.float64)
    logits.requires_grad_()
    _, lm = vocabulary_losses(logits, real, target=None, labels=torch.full_like(labels, IGNORED), temperature=1)
    lm.backward()
    assert lm.item() == 0
    assert not logits.grad.any()


def test_a_student_that_equals_its_target_has_no_loss():
    logits, real, _, _ = case(False, torch.float32)
    logits.requires_grad_()
    target = Fixed(logits.detach().flatten(0, 1).log_softmax(-1))
    kd, _ = vocabulary_losses(logits, real, target=target, labels=None, temperature=2)
    kd.backward()
    assert kd.item() == pytest.approx(0, abs=1e-5)
    assert logits.grad.abs().max() < 1e-6


def test_logits_that_are_far_apart():
    logits = torch.tensor([[[0.0, 300, -300], [1e4, -1e4, 0]]], requires_grad=True)
    target = torch.tensor([[300.0, 0, -300], [-1e4, 1e4, 0]])
    real, labels = torch.ones(1, 2, dtype=torch.bool), torch.tensor([[2, 1]])
    kd, lm = vocabulary_losses(logits, real, target=Fixed(target), labels=labels, temperature=2)
    assert kd.item() == pytest.approx(4 * (150 + 1e4) / 2)
    assert lm.item() == pytest.approx((600 + 2e4) / 2)
    (kd + lm).backward()
    torch.testing.assert_close(logits.grad[0], torch.tensor([[-1.0, 1.5, -0.5], [1.5, -1.5, 0]]))


def test_a_gradient_is_asked_for_once():
    """It is made in one place, which a second one would spoil: torch says so."""
    logits, real, log_p, labels = case(False, torch.float64)
    kd, _ = vocabulary_losses(logits.requires_grad_(), real, target=Fixed(log_p), labels=labels, temperature=2)
    kd.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        kd.backward()
