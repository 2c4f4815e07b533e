from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch.nn import functional

from fairbench.errors import FairbenchError
from fairbench.mitigation.losses import cosine_loss, distillation_loss, focal_distillation_loss, language_model_loss

NEW, OLD, GOLD = torch.tensor([[2.0, 1, 0], [0, 1, 3]]), torch.tensor([[3.0, 0, 0], [1, 2, 0]]), torch.tensor([0, 2])


def drawn(*shape: int, seed: int = 0, kind: torch.dtype = torch.float64) -> torch.Tensor:
    return 2 * torch.randn(*shape, dtype=kind, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("temperature", [0.5, 1, 2, 7])
def test_distillation_is_the_divergence_that_scipy_gives(temperature: float):
    student, target = drawn(5, 11), drawn(5, 11, seed=1)
    p, q = (special.softmax(logits.numpy() / temperature, axis=-1) for logits in (target, student))
    wanted = temperature**2 * np.mean(stats.entropy(p, q, axis=-1))
    assert distillation_loss(student, target.log_softmax(-1), temperature).item() == pytest.approx(wanted)
    assert distillation_loss(student, target, temperature).item() == pytest.approx(wanted)


def test_distillation_by_hand():
    student, target = torch.tensor([[math.log(3), 0.0]]), torch.tensor([[0.5, 0.5]]).log()
    wanted = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert distillation_loss(student, target, 1).item() == pytest.approx(wanted)


@pytest.mark.parametrize("temperature", [1, 2, 10])
def test_a_student_that_equals_its_target_has_no_loss(temperature: float):
    student = drawn(4, 50, kind=torch.float32).requires_grad_()
    loss = distillation_loss(student, student.detach().log_softmax(-1), temperature)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-5)
    assert student.grad.abs().max() < 1e-6


def labels(batch: int, length: int) -> torch.Tensor:
    made = torch.randint(0, 7, (batch, length), generator=torch.Generator().manual_seed(3))
    made[0, 1] = made[-1, -1] = -100
    return made


@pytest.mark.parametrize("shift", [True, False])
def test_language_model_by_its_definition(shift: bool):
    logits, gold = drawn(3, 5, 7), labels(3, 5)
    log_p = logits.log_softmax(-1)
    lost = [-log_p[b, t - shift, gold[b, t]].item() for b in range(3) for t in range(int(shift), 5) if gold[b, t] != -100]
    assert language_model_loss(logits, gold, shift).item() == pytest.approx(np.mean(lost))
    assert language_model_loss(logits, gold, shift, n=100).item() == pytest.approx(np.sum(lost) / 100)


def test_cosine_as_torch_has_it():
    student, teacher = drawn(6, 9), drawn(6, 9, seed=1)
    wanted = functional.cosine_embedding_loss(student, teacher, torch.ones(6))
    assert cosine_loss(student, teacher).item() == pytest.approx(wanted.item())
    assert cosine_loss(student, 3 * student).item() == pytest.approx(0)
    assert cosine_loss(student, -student).item() == pytest.approx(2)


PARTS = ((slice(0, 1), slice(1, 6)), (slice(0, 2), slice(2, 2), slice(2, 6)))


@pytest.mark.parametrize("parts", PARTS, ids=["two", "one of them empty"])
@pytest.mark.parametrize(
    "loss",
    [
        lambda part, n: distillation_loss(drawn(6, 8)[part], drawn(6, 8, seed=1)[part], 2, n),
        lambda part, n: language_model_loss(drawn(6, 4, 8)[part], torch.arange(24).reshape(6, 4)[part] % 8, False, n and 4 * n),
        lambda part, n: cosine_loss(drawn(6, 8)[part], drawn(6, 8, seed=1)[part], n),
    ],
    ids=["distillation", "language model", "cosine"],
)
def test_gathered_batches_are_the_same_as_one(loss, parts):
    assert sum(loss(part, 6) for part in parts).item() == pytest.approx(loss(slice(None), None).item())


def test_a_mean_over_no_rows_is_refused():
    with pytest.raises(ValueError, match="no rows"):
        distillation_loss(drawn(0, 4), drawn(0, 4), 1)


@pytest.mark.parametrize(
    ("form", "beta", "wanted"),
    [
        ("kl", 5, [2.1173268, 1.7442138]),
        ("kl", 0, [2.1173268 / 6, 1.7442138]),
        ("mse", 5, [6 * 2 / 3, 11 / 3]),
        ("half_squared", 5, [6 * 2 / 2, 11 / 2]),
    ],
)
def test_focal_golden(form: str, beta: float, wanted: list[float]):
    options = {"temperature": 5, "alpha": 1, "beta": beta, "form": form}
    new, old = NEW.double(), OLD.double()
    each = [focal_distillation_loss(new[i : i + 1], old[i : i + 1], GOLD[i : i + 1], **options).item() for i in range(2)]
    assert each == pytest.approx(wanted, abs=1e-7)
    assert focal_distillation_loss(new, old, GOLD, **options).item() == pytest.approx(np.mean(wanted), abs=1e-7)


def test_focal_mean_as_published():
    assert focal_distillation_loss(NEW, OLD, GOLD, temperature=5, alpha=1, beta=5).item() == pytest.approx(1.9307703, abs=1e-5)


def test_focal_weights():
    alone = focal_distillation_loss(NEW, OLD, GOLD, temperature=2, alpha=1, beta=0)
    twice = focal_distillation_loss(NEW, OLD, GOLD, temperature=2, alpha=2, beta=0)
    only_right = focal_distillation_loss(NEW, OLD, GOLD, temperature=2, alpha=0, beta=1)
    torch.testing.assert_close(twice, 2 * alone)
    torch.testing.assert_close(
        2 * only_right, focal_distillation_loss(NEW[:1], OLD[:1], GOLD[:1], temperature=2, alpha=1, beta=0)
    )


def test_an_unknown_form_is_refused():
    with pytest.raises(FairbenchError, match=r"no form 'mae' of the focal loss; there are kl, mse, half_squared.* mean mse"):
        focal_distillation_loss(NEW, OLD, GOLD, temperature=1, alpha=1, beta=0, form="mae")


@pytest.mark.parametrize("form", ["kl", "mse", "half_squared"])
def test_gradients_of_the_focal_loss(form: str):
    new = drawn(3, 4).requires_grad_()
    old, gold = drawn(3, 4, seed=1), torch.tensor([0, 3, 1])
    assert torch.autograd.gradcheck(
        lambda logits: focal_distillation_loss(logits, old, gold, temperature=3, alpha=0.5, beta=2, form=form), [new]
    )


@pytest.mark.parametrize("n", [None, 17])
@pytest.mark.parametrize(
    ("loss", "shape"),
    [
        (lambda x, n: distillation_loss(x, drawn(3, 6, seed=1), 2, n), (3, 6)),
        (lambda x, n: distillation_loss(drawn(3, 6, seed=1), x, 2, n), (3, 6)),
        (lambda x, n: language_model_loss(x, labels(2, 4), True, n), (2, 4, 7)),
        (lambda x, n: language_model_loss(x, labels(2, 4), False, n), (2, 4, 7)),
        (lambda x, n: cosine_loss(x, drawn(3, 6, seed=1), n), (3, 6)),
    ],
    ids=["student", "target", "causal", "masked", "cosine"],
)
def test_gradients(loss, shape, n):
    assert torch.autograd.gradcheck(lambda x: loss(x, n), [drawn(*shape).requires_grad_()])
