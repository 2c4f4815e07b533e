"""Prediction sensitivity of a batch of texts: P = w^T |J| v, from gradients of two classifiers at the same word embeddings.

J[k] holds the gradients of class k, w weighs classes and v features; v is zero outside of the text and sums to one. At the level
of tokens the entries of a token's gradient are reduced to one number first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairbench.decisions import decide
from fairbench.models.batching import forget_lengths
from fairbench.probes.gradients import Traced, at_logits, every_row, faster, one_row, trace
from fairbench.training.classifier import Classifier
from fairbench.training.head import Head
from fairbench.training.texts import padded

if TYPE_CHECKING:
    import torch

NOT_FINITE = "a probability or gradient is not finite"
NO_WEIGHT = "no token of the text is protected"


@dataclass(frozen=True)
class Text:
    """A text as it is asked.

    Attributes:
        ids: token ids, special ones included.
        own: places of the text's own tokens.
        pieces: what each of these stands for.
        weights: their weights v, not yet of sum one; null where the protected-status model has them.
        truncated: tokens were cut off at its end.
        label: the gold class, where it says what w is.
    """

    ids: tuple[int, ...]
    own: tuple[int, ...]
    pieces: tuple[str, ...]
    weights: tuple[float, ...] | None
    truncated: bool
    label: int | None = None


def measured(
    model: Classifier, status: Classifier | None, texts: Sequence[Text], options: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The answers of texts that go together.

    Args:
        model: the classifier of the task.
        status: the protected-status model, where the texts bring no weights of their own.
        texts: the batch.
        options: from the probe's `resolve`.
    """
    given = {name: tensor.to(model.device) for name, tensor in padded([text.ids for text in texts], model.pad or 0).items()}
    traced = _traced(model, given)
    logits = _exact(traced.logits)
    probs = model.head.probs(logits)
    says = [decide(row) for row in probs.numpy()]
    classes = None if options["classes"] == "uniform" else says if options["classes"] == "predicted" else [t.label for t in texts]
    moved = _moved(model, traced, logits, classes, options)
    if status is not None:
        weights = _status_weights(status, _traced(status, given), options)
    else:
        weights = _own_weights(texts, given["input_ids"].shape[1])
    return [
        _answer(text, probs[row].tolist(), says[row], moved[row, list(text.own)], weights[row, list(text.own)])
        for row, text in enumerate(texts)
    ]


def outputs(head: Head, output: str, logits: torch.Tensor) -> torch.Tensor:
    """What is differentiated: (b, classes)."""
    if output == "logits":
        return logits[:, [own for (own,) in head.members]]
    return head.probs(logits) if output == "probabilities" else head.log_probs(logits)


def _traced(model: Classifier, given: Mapping[str, torch.Tensor]) -> Traced:
    forget_lengths(model.network)
    return trace(model.network, given)


def _moved(
    model: Classifier, traced: Traced, logits: torch.Tensor, classes: Sequence[int | None] | None, options: Mapping[str, Any]
) -> torch.Tensor:
    """Sum over classes of w_k |J_k|, reduced: (b, t, 1), at the level of features (b, t, d); on the processor.

    `classes`: for each text the one class of weight 1; null for all classes alike.
    """
    import torch

    def function(z: torch.Tensor) -> torch.Tensor:
        return outputs(model.head, options["output"], z)

    if classes is not None:
        chosen = torch.tensor(classes)[:, None]
        slopes = at_logits(logits, lambda z: function(z).gather(1, chosen))
        return _reduced(one_row(traced, slopes[0]), traced.embeddings, options).cpu().double()
    probs = model.head.probs(logits)
    relation = {"probabilities": torch.ones_like(probs), "log_probabilities": probs, "logits": None}[options["output"]]
    slopes = at_logits(logits, function)
    total: Any = 0
    for row in every_row(traced, slopes, relation, faster(model.network)):
        total = total + _reduced(row, traced.embeddings, options)
    moved: torch.Tensor = total.cpu().double() / len(slopes)
    return moved


def _status_weights(status: Classifier, traced: Traced, options: Mapping[str, Any]) -> torch.Tensor:
    """|gradient| of the probability of the group that the model says, up to a factor a text: as `_moved` has its shape.

    The log-odds of a class has the gradient of its probability p over p (1 - p), a factor that the sum of v divides out. It stays
    of one size where the probability is close to 1.
    """
    logits = _exact(traced.logits)
    says = status.head.log_probs(logits).argmax(-1, keepdim=True)

    def log_odds(z: torch.Tensor) -> torch.Tensor:
        logs = status.head.log_probs(z)
        others = logs.scatter(1, says, -math.inf)
        return logs.gather(1, says) - others.logsumexp(1, keepdim=True)

    return _reduced(one_row(traced, at_logits(logits, log_odds)[0]), traced.embeddings, options).cpu().double()


def _own_weights(texts: Sequence[Text], longest: int) -> torch.Tensor:
    """Weights that the texts bring along: (b, t, 1)."""
    import torch

    weights = torch.zeros(len(texts), longest, 1, dtype=torch.float64)
    for row, text in enumerate(texts):
        assert text.weights is not None
        weights[row, list(text.own), 0] = torch.tensor(text.weights, dtype=torch.float64)
    return weights


def _reduced(gradient: torch.Tensor, embeddings: torch.Tensor, options: Mapping[str, Any]) -> torch.Tensor:
    """Absolute gradients (b, t, d), or reduced to one number a token (b, t, 1)."""
    import torch

    if options["level"] == "feature":
        return gradient.abs()
    if options["reduction"] == "gxi":
        return (gradient * embeddings.detach().to(gradient.dtype)).sum(-1, keepdim=True).abs()
    norm: torch.Tensor = torch.linalg.vector_norm(gradient, 1 if options["reduction"] == "l1" else 2, -1, keepdim=True)
    return norm


def _answer(text: Text, probs: list[float], says: int, moved: torch.Tensor, weights: torch.Tensor) -> dict[str, Any]:
    """One text's columns, from what moves at its own tokens (t, d) and their weights (t, d or 1), or why it has none."""
    if not all(map(math.isfinite, probs)) or not bool(moved.isfinite().all() and weights.isfinite().all()):
        return {"left_out": NOT_FINITE}
    weights = weights.expand_as(moved)
    if not float(weights.sum()) > 0:
        return {"left_out": NO_WEIGHT}
    weights = weights / weights.sum()
    return {
        "probs": probs,
        "prediction": says,
        "truncated": text.truncated,
        "sensitivity": float((moved * weights).sum()),
        "sensitivity_uniform": float(moved.mean()),
        "tokens": len(text.own),
        "token_text": list(text.pieces),
        "token_sensitivity": moved.sum(-1).tolist(),
        "token_weight": weights.sum(-1).tolist(),
    }


def _exact(logits: torch.Tensor) -> torch.Tensor:
    """Logits on the processor in double precision, which not every device has."""
    return logits.detach().cpu().double()
