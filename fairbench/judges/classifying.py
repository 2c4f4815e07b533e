"""Texts put to a sequence classifier of transformers: loaded when it is first asked, in batches, each different text once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbench.errors import FairbenchError
from fairbench.judges import FAILED
from fairbench.models.batching import Batching, forget_lengths
from fairbench.models.heads import known_ids
from fairbench.models.loading import load, quiet
from fairbench.models.model import Model, ModelCard
from fairbench.training.network import is_ready
from fairbench.training.padding import mixes_lengths
from fairbench.training.texts import code, padded, unfit

NOT_FINITE = "a probability is not finite"
USUAL_LENGTH = 512
"""Tokens of a text, where neither the classifier nor its tokenizer names a longest input."""
SHORTEST = 8
"""The least that `max_length` may be: room for special tokens and a few of the text's own."""

Probabilities = NDArray[np.float64]
Part = tuple[str, ...]
"""What is judged of a `Said`: (text,), or ("", the reason why it can't be judged)."""


@dataclass(frozen=True, kw_only=True)
class TextClassifier:
    """A classifier that is ready to be asked.

    Attributes:
        card: the model's card.
        labels: names of its labels, in the order of its logits.
        several: its labels may hold together, and each has a sigmoid of its own; else they share one softmax.
        max_length: tokens of a text, special ones included; what is longer is cut at its end.
        batching: how many texts go together.
    """

    card: ModelCard
    labels: tuple[str, ...]
    several: bool
    max_length: int
    batching: Batching

    @functools.cached_property
    def model(self) -> Model:
        """The network with its tokenizer, loaded now.

        Raises:
            FairbenchError: the checkpoint lacks weights of its head, which would be drawn at random.
        """
        model = load(self.card, "classification")
        model.network.config.use_cache = False
        return model

    def probabilities(self, texts: Sequence[str]) -> list[Probabilities | str]:
        """Probabilities of the labels for each text, in their order.

        Returns:
            For each text (labels,) in double precision, or the reason why it has none. Nothing is loaded where there is no text.
        """
        if not texts:
            return []
        distinct = list(dict.fromkeys(texts))
        found: dict[str, Probabilities | str] = {}
        same: dict[tuple[int, ...], list[str]] = {}  # long texts may be equal where they were not cut
        for text, coded in zip(distinct, code(self.model.tokenizer, distinct, self.max_length), strict=True):
            reason = unfit(coded, known_ids(self.model))
            if reason is None:
                same.setdefault(coded.ids, []).append(text)
            else:
                found[text] = reason
        for ids, values in zip(same, self._ask(list(same)), strict=True):
            for text in same[ids]:
                found[text] = values if np.isfinite(values).all() else NOT_FINITE
        return [found[text] for text in texts]

    def _ask(self, rows: Sequence[Sequence[int]]) -> list[Probabilities]:
        """Probabilities of rows of token ids."""
        import torch

        network, device = self.model.network, self.model.device
        pad = network.config.get_text_config().pad_token_id
        batching = self.batching if pad is not None else Batching(rows=1)
        found: list[Probabilities] = [np.empty(0)] * len(rows)
        for batch in batching.cut([len(row) for row in rows], device.type, equal=not mixes_lengths(self.model, pad)):
            given = padded([rows[i] for i in batch], pad or 0)
            with torch.inference_mode():
                forget_lengths(network)
                logits = network(**{name: tensor.to(device) for name, tensor in given.items()}).logits.cpu().double()
                values = torch.sigmoid(logits) if self.several else torch.softmax(logits, -1)
            for place, row in zip(batch, values.numpy(), strict=True):
                found[place] = row
        return found


def find_classifier(judge: str, card: ModelCard, max_length: int | None, batching: Batching) -> TextClassifier:
    """What a model is as a classifier, read from its configuration.

    Args:
        judge: name of the judge, for messages.
        card: the model.
        max_length: tokens of a text at most; null for as many as it takes.
        batching: how many texts go together.

    Raises:
        FairbenchError: it is no classifier, gives no probabilities, or takes no text of that length.
    """
    if not is_ready(card):
        raise FairbenchError(
            f"The judge {judge} can't judge by {card.name}: it is no classifier of texts ({card.architecture}). Give a "
            "checkpoint whose class ends in ForSequenceClassification."
        )
    limit = card.max_length or USUAL_LENGTH
    if max_length is not None and not SHORTEST <= max_length <= limit:
        raise FairbenchError(
            f"--judge {judge}: found max_length={max_length}, and {card.name} takes {limit} tokens at most. Wanted a whole "
            f"number from {SHORTEST} to {limit}."
        )
    labels, several = _head(judge, card)
    return TextClassifier(card=card, labels=labels, several=several, max_length=max_length or limit, batching=batching)


def judged(
    classifier: TextClassifier, parts: Sequence[Part], row: Callable[[Probabilities], dict[str, Any]]
) -> list[dict[str, Any]]:
    """A row of columns for each part, or why there is none.

    Args:
        classifier: who is asked.
        parts: what is judged of each text.
        row: the columns that probabilities (labels,) come to.
    """
    found = iter(classifier.probabilities([part[0] for part in parts if len(part) == 1]))
    said: list[Probabilities | str] = [next(found) if len(part) == 1 else part[1] for part in parts]
    return [{FAILED: values} if isinstance(values, str) else row(values) for values in said]


def cut_note(judge: str, classifier: TextClassifier) -> str:
    """What happens to a long text, for every score."""
    return f"The judge {judge} reads the first {classifier.max_length} tokens of a text; what is longer is cut at its end."


def _head(judge: str, card: ModelCard) -> tuple[tuple[str, ...], bool]:
    """The labels of a classifier by number, and whether they may hold together."""
    from transformers import AutoConfig

    with quiet():
        config = AutoConfig.from_pretrained(card.folder, trust_remote_code=card.options.trust_remote_code)
    labels = tuple(str(config.id2label[number]) for number in sorted(config.id2label))
    kind, applied = config.problem_type, str(getattr(config, "function_to_apply", None) or "").lower()
    several = kind == "multi_label_classification" or (kind is None and applied == "sigmoid")
    if kind == "regression" or (kind is None and applied == "none") or (len(labels) == 1 and not several):
        raise FairbenchError(
            f"The judge {judge} can't judge by {card.name}: it gives a number and no probability (labels: {', '.join(labels)}; "
            f"problem_type: {kind}). Give a classifier, or set problem_type in its config.json to what it was trained as."
        )
    return labels, several
