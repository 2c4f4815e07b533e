"""What a student is trained on: its teacher's distributions, the text itself, its teacher's states, an older model's answers.

Every loss is a mean over rows. With `n` a sum is divided by it instead: where a step gathers several batches, or several
processes take part, each divides by the rows of all of them, so that the step is the same as one batch would give.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from fairbench.errors import FairbenchError, did_you_mean

FORMS = ("kl", "mse", "half_squared")
"""How far a new model's logits are from the old one's."""
IGNORED = -100
"""Label of a position without a target, as in transformers."""


def distillation_loss(
    student_logits: torch.Tensor, target_log_probs: torch.Tensor, temperature: float, n: float | None = None
) -> torch.Tensor:
    """T² KL(softmax(target / T) || softmax(student / T)), the mean over rows.

    Args:
        student_logits: (rows, V), finite.
        target_log_probs: the target at temperature 1, as log-probabilities or logits, (rows, V), finite.
        temperature: T, above 0.
        n: divide the sum by this instead of by the number of rows.

    Returns:
        A scalar of at least 0, in nats; 0 where the student equals the target.
    """
    return _mean(_divergences(student_logits, target_log_probs, temperature), n)


def language_model_loss(logits: torch.Tensor, labels: torch.Tensor, shift: bool, n: float | None = None) -> torch.Tensor:
    """Cross-entropy of the text itself, the mean over real targets.

    Args:
        logits: (batch, length, V).
        labels: token ids, -100 where there is no target, (batch, length).
        shift: a causal model's logits at t are for the token at t + 1.
        n: divide the sum by this instead of by the number of real targets.

    Returns:
        A scalar of at least 0, in nats.
    """
    if shift:
        logits, labels = logits[:, :-1], labels[:, 1:]
    real = labels != IGNORED
    return _mean(functional.cross_entropy(logits[real], labels[real], reduction="none"), n)


def cosine_loss(h_student: torch.Tensor, h_teacher: torch.Tensor, n: float | None = None) -> torch.Tensor:
    """1 - cos between the last hidden states of student and teacher, the mean over tokens.

    Args:
        h_student: (tokens, d).
        h_teacher: (tokens, d).
        n: divide the sum by this instead of by the number of tokens.

    Returns:
        A scalar in [0, 2]; 0 where the states point the same way.
    """
    return _mean(1 - functional.cosine_similarity(h_student, h_teacher, dim=-1), n)


def focal_distillation_loss(
    new_logits: torch.Tensor,
    old_logits: torch.Tensor,
    gold: torch.Tensor,
    *,
    temperature: float,
    alpha: float,
    beta: float,
    form: str = "kl",
) -> torch.Tensor:
    """Holds a new classifier to an older one, most where the old one was right (Yan et al. 2021): the mean of w_i D_i.

    w_i = alpha + beta where the old model's answer is the gold one, else alpha. D_i is, by `form`,
    "kl": T² KL(softmax(old / T) || softmax(new / T)); "mse": the mean over classes of the squared difference of the logits, as
    in the published code; "half_squared": half its sum, as in the paper. Only "kl" knows a temperature.

    Args:
        new_logits: (n, classes).
        old_logits: (n, classes), of the same classes in the same order.
        gold: indices of the right classes, (n,).
        temperature: T, above 0.
        alpha: weight of every example.
        beta: weight added where the old model is right.
        form: one of `FORMS`.

    Returns:
        A scalar of at least 0.

    Raises:
        FairbenchError: an unknown `form`.
    """
    if form not in FORMS:
        raise FairbenchError(
            f"There is no form {form!r} of the focal loss; there are {', '.join(FORMS)}.{did_you_mean(form, FORMS)}"
        )
    if form == "kl":
        far = _divergences(new_logits, old_logits, temperature)
    else:
        squares = (new_logits - old_logits).square()
        far = squares.mean(-1) if form == "mse" else squares.sum(-1) / 2
    right = (old_logits.argmax(-1) == gold).to(far.dtype)
    return _mean((alpha + beta * right) * far, None)


def _divergences(student: torch.Tensor, target: torch.Tensor, temperature: float) -> torch.Tensor:
    """T² KL(softmax(target / T) || softmax(student / T)) of every row, (rows,)."""
    log_student, log_target = ((logits / temperature).log_softmax(-1) for logits in (student, target))
    return temperature**2 * functional.kl_div(log_student, log_target, reduction="none", log_target=True).sum(-1)


def _mean(losses: torch.Tensor, n: float | None) -> torch.Tensor:
    if n is None and not len(losses):
        raise ValueError("a mean over no rows: leave the batch out, or say by what to divide")
    return losses.sum() / (len(losses) if n is None else n)
