"""The terms of a student's loss that go over the whole vocabulary, made a few rows at a time.

Each is a handful of operations on (positions, V) numbers. One after the other on all of them they cost as much as the networks:
the numbers leave the processor's cache between two operations, and each new tensor of that size is memory to be fetched. So a
few rows go through all operations before the next ones, and only the gradient is as large as the logits.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch

from fairbench.mitigation.losses import IGNORED
from fairbench.mitigation.merge import parts


class Target(Protocol):
    """What is to be learnt at N positions."""

    def part(self, positions: slice) -> torch.Tensor:
        """Log-probabilities or logits (n, V) at some of them, which may be written over."""


def vocabulary_losses(
    logits: torch.Tensor, real: torch.Tensor, *, target: Target | None, labels: torch.Tensor | None, temperature: float
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Distillation and cross-entropy, as `distillation_loss` and `language_model_loss` have them.

    Args:
        logits: of the student, (batch, length, V), finite.
        real: the N positions that the target is about, (batch, length).
        target: what is learnt there, row after row; null for no distillation.
        labels: the token that each position is to predict, -100 for none, (batch, length); null for no cross-entropy.
        temperature: T of the distillation, above 0.

    Returns:
        T² KL(softmax(target / T) || softmax(student / T)), the mean over the N positions, and the cross-entropy of the labels,
        the mean over those that there are: scalars of at least 0, in nats, 0 where there is nothing to take the mean over, and
        null for what is not asked for.
    """
    if target is None and labels is None:
        return None, None
    kd, lm = _Losses.apply(logits, real, target, labels, temperature)  # type: ignore[no-untyped-call]
    return kd if target is not None else None, lm if labels is not None else None


class _Losses(torch.autograd.Function):
    """The gradient of the distillation is made beside its value, for both need the same exponentials."""

    @staticmethod
    def forward(
        ctx: Any, logits: torch.Tensor, real: torch.Tensor, target: Target | None, labels: torch.Tensor | None, temperature: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ctx.set_materialize_grads(False)
        rows = logits.flatten(0, -2)
        push = gold = None
        kd = lm = torch.zeros((), dtype=_kind(logits), device=logits.device)
        if target is not None:
            at = real.flatten().nonzero().flatten()
            if ctx.needs_input_grad[0]:
                push = torch.empty_like(rows) if len(at) == len(rows) else torch.zeros_like(rows)
            kd = _distill(rows, at, target, temperature, push)
        if labels is not None:
            known = (labels.flatten() != IGNORED).nonzero().flatten()
            gold = torch.stack([known, labels.flatten()[known]])
            lm = _cross_entropy(rows, gold)
        ctx.save_for_backward(logits, gold, push)
        return kd, lm

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, by_kd: torch.Tensor | None, by_lm: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        logits, gold, push = ctx.saved_tensors
        rows = logits.flatten(0, -2)
        push = torch.zeros_like(rows) if push is None or by_kd is None else push.mul_(by_kd)
        if by_lm is not None and gold is not None:
            _push_to_labels(rows, gold, by_lm, push)
        return push.view_as(logits), None, None, None, None


def _kind(logits: torch.Tensor) -> torch.dtype:
    return torch.promote_types(logits.dtype, torch.float32)


def _distill(rows: torch.Tensor, at: torch.Tensor, target: Target, temperature: float, push: torch.Tensor | None) -> torch.Tensor:
    """T² KL, the mean over positions; its gradient T (q - p) / N goes into `push`."""
    sums = [torch.zeros((), dtype=_kind(rows), device=rows.device)]
    for part in parts(len(at), rows):
        s = rows.index_select(0, at[part]).to(_kind(rows)).div_(temperature)
        t = target.part(part).div_(temperature)
        q, p = s.softmax(-1), t.softmax(-1)
        totals = _log_total(s, q) - _log_total(t, p)
        sums.append((totals + t.sub_(s).mul_(p).sum(-1)).sum())
        if push is not None:
            push.index_copy_(0, at[part], q.sub_(p).mul_(temperature / len(at)).to(push.dtype))
    return torch.stack(sums).sum() * (temperature**2 / max(len(at), 1))


def _cross_entropy(rows: torch.Tensor, gold: torch.Tensor) -> torch.Tensor:
    """The mean over positions `gold[0]` of the cross-entropy of tokens `gold[1]`."""
    sums = [torch.zeros((), dtype=_kind(rows), device=rows.device)]
    for part in parts(gold.shape[1], rows):
        at, tokens = gold[:, part]
        s = rows.index_select(0, at).to(_kind(rows))
        sums.append((_log_total(s, s.softmax(-1)) - s.gather(1, tokens[:, None]).squeeze(1)).sum())
    return torch.stack(sums).sum() / max(gold.shape[1], 1)


def _push_to_labels(rows: torch.Tensor, gold: torch.Tensor, by: torch.Tensor, push: torch.Tensor) -> None:
    """Adds the gradient of the cross-entropy, (q - 1 at the label) / n."""
    by = by / max(gold.shape[1], 1)
    for part in parts(gold.shape[1], rows):
        at, tokens = gold[:, part]
        q = rows.index_select(0, at).to(_kind(rows)).softmax(-1).mul_(by)
        q.scatter_add_(1, tokens[:, None], -by.to(q.dtype).expand(len(at), 1))
        push.index_add_(0, at, q.to(push.dtype))


def _log_total(logits: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
    """Log sum exp of rows whose softmax is there: the greatest logit less its log-probability, (n,)."""
    return logits.amax(-1) - probabilities.amax(-1).log()
