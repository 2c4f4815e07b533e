"""How a classifier of texts decides: its probabilities for the classes of a task, and the class that they come to.

A model that is no classifier is fine-tuned first on the texts that --train-on names (a task, or a file with the columns text and
label). The classifier is kept and used again. What it learnt from is never asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fairbench.decisions import decide
from fairbench.errors import FairbenchError
from fairbench.models.batching import Batching, forget_lengths
from fairbench.models.heads import known_ids
from fairbench.models.model import Model, ModelCard
from fairbench.models.served import refuse_served
from fairbench.records import Labelled, Record
from fairbench.training import Prepared, Room
from fairbench.training import classifier as room_of
from fairbench.training.classifier import Classifier, classifier_options, refuse_unknown
from fairbench.training.outcome import learnt_nothing
from fairbench.training.padding import mixes_lengths
from fairbench.training.texts import code, padded, unfit

if TYPE_CHECKING:
    import torch

VERSION = 1
FORMS = ("Labelled",)
OPTIONS = room_of.OPTIONS


def resolve(card: ModelCard, form: str, requested: Mapping[str, Any]) -> dict[str, Any]:
    """Fills in the options and refuses what this model can't do.

    Args:
        card: the model's card.
        form: name of a record form.
        requested: `train_on`, a task or a file; the options of a recipe (fairbench.training.recipe); `positive_labels`, names of
            the classifier's labels joined by +; and what a plan says of the task.

    Returns:
        All that can change a probability, for the result file and the cell's hash.

    Raises:
        FairbenchError: an unknown or impossible option, or nothing to learn from.
    """
    if form not in FORMS:
        raise FairbenchError(f"The classification probe answers {', '.join(FORMS)} records, not {form}.")
    refuse_served(card, "classification", "weights that can be fine-tuned or decide")
    refuse_unknown("classification", OPTIONS, requested)
    if card.options.apply_chat_template:
        raise FairbenchError(
            "The classification probe reads a text as it stands, and --apply-chat-template would wrap it in a conversation. "
            "Leave the flag out."
        )
    return {**classifier_options(card, requested), "too_long": "cut at the end", "padding": "right, masked"}


def prepare(card: ModelCard, options: Mapping[str, Any], room: Room) -> Prepared:
    """The classifier that is asked in the place of the model."""
    return room_of.classifier(card, options, room)


def answer(model: Model, records: Sequence[Record], options: Mapping[str, Any], batching: Batching) -> list[dict[str, Any]]:
    """Probabilities of records, in their order.

    Args:
        model: the loaded `Classifier`.
        records: `Labelled` records.
        options: from `resolve`.
        batching: how many texts go together.

    Returns:
        `probs` (list of float, one a class of the task), `prediction` (index) and `truncated` for each record, or `left_out` with
        the reason in their place. Equal texts are asked once.
    """
    asked = cast("Classifier", model)
    texts = [record.text for record in cast("Sequence[Labelled]", records)]
    answers: dict[str, dict[str, Any]] = {}
    rows: dict[str, tuple[int, ...]] = {}
    distinct = list(dict.fromkeys(texts))
    for text, coded in zip(distinct, code(asked.tokenizer, distinct, asked.max_length), strict=True):
        reason = unfit(coded, known_ids(asked))
        answers[text] = {"truncated": coded.truncated} if reason is None else {"left_out": reason}
        if reason is None:
            rows[text] = coded.ids
    for text, probs in zip(rows, _probabilities(asked, list(rows.values()), batching), strict=True):
        if np.isfinite(probs).all():
            answers[text] |= {"probs": probs.tolist(), "prediction": decide(probs)}
        else:
            answers[text] = {"left_out": "a probability is not finite"}
    return [dict(answers[text]) for text in texts]


def sanity(model: Model) -> str | None:
    """Flags a classifier that is no better than always saying the commonest class of its training texts."""
    return learnt_nothing(cast("Classifier", model).about)


def engine(model: Model) -> dict[str, str]:
    """Whether texts of different lengths went together (`rows`); for the result, not for the hash."""
    pad = cast("Classifier", model).pad
    if pad is None:
        return {"rows": "one at a time"}
    return {"rows": "plain" if mixes_lengths(model, pad) else "equal lengths"}


def notes(card: ModelCard, options: Mapping[str, Any]) -> tuple[str, ...]:
    """What the classifier was trained on, and which of its labels the user called positive."""
    chosen = " + ".join(options["positive_labels"])
    mapped = (f"As positive count the classifier's labels {chosen}.",) if chosen else ()
    if options["train_on"] is None:
        return mapped
    return (
        f"The classifier was fine-tuned on {options['train_on']} with seed {options['train_seed']}; another seed gives another "
        "classifier, so score several (--sweep train_seed=0,1,2).",
        *mapped,
    )


def _probabilities(model: Classifier, rows: Sequence[Sequence[int]], batching: Batching) -> list[Any]:
    """(asked classes,) float64 of each row of ids, in their order."""
    found: list[Any] = [None] * len(rows)
    for batch, logits in _logits(model, rows, batching):
        for place, probs in zip(batch, model.head.probs(logits).numpy(), strict=True):
            found[place] = probs
    return found


def _logits(model: Classifier, rows: Sequence[Sequence[int]], batching: Batching) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Numbers of rows that went together, and their logits (b, labels of the classifier) in double precision."""
    import torch

    if not rows:
        return
    if model.pad is None:
        batching = Batching(rows=1)
    for batch in batching.cut([len(row) for row in rows], model.device.type, equal=not mixes_lengths(model, model.pad)):
        given = padded([rows[i] for i in batch], model.pad or 0)
        with torch.inference_mode():
            forget_lengths(model.network)
            logits = model.network(**{name: tensor.to(model.device) for name, tensor in given.items()}).logits
        yield batch, logits.cpu().double()
