"""Classifiers that were trained and are kept: each in a folder of its own, named by all that makes it, and trained once."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.errors import FairbenchError
from fairbench.files import digest, lock_of, write_json
from fairbench.models.loading import load_tokenizer, quiet
from fairbench.models.model import ModelCard
from fairbench.records import Labelled
from fairbench.results import versions
from fairbench.training import Room, TrainingData
from fairbench.training.network import new_network
from fairbench.training.outcome import floor
from fairbench.training.recipe import Recipe
from fairbench.training.texts import BLOCK, code, unfit

if TYPE_CHECKING:
    from fairbench.training.fitting import Fitted

TRAINING_VERSION = 1
"""Raised when the same recipe and data would make another classifier; old ones are then not taken up."""

ABOUT = "fairbench.json"
"""Written last into the folder of a finished classifier."""


def train(card: ModelCard, data: TrainingData, recipe: Recipe, room: Room) -> Path:
    """Trains a classifier, or finds the one that was trained before.

    Args:
        card: the model whose body it has; any head that it had is left behind.
        data: what it learns from.
        recipe: how.
        room: where it is kept.

    Returns:
        Its folder: model, tokenizer and `fairbench.json`.

    Raises:
        FairbenchError: the model can't be made a classifier, or the training diverged.
    """
    key = key_of(card, data, recipe)
    folder = room.classifiers / key
    with lock_of(folder):
        if not (folder / ABOUT).is_file():
            _train(card, data, recipe, room, folder)
    return folder


def key_of(card: ModelCard, data: TrainingData, recipe: Recipe) -> str:
    """The name of a classifier's folder: a hash over all that makes it."""
    made_of = [TRAINING_VERSION, card.identity, data.sha256, list(data.labels), recipe.as_dict()]
    return digest(made_of)[:32]


def drawn(data: TrainingData, recipe: Recipe) -> tuple[Labelled, ...]:
    """The training texts that a recipe takes: all, or a seeded draw that holds every class.

    Raises:
        FairbenchError: the limit is below the number of classes.
    """
    limit = recipe.train_limit
    if not limit or limit >= len(data.train):
        return data.train
    classes = len({record.label for record in data.train})
    if limit < classes:
        raise FairbenchError(f"train_limit={limit}: {data.name} has texts of {classes} classes, wanted at least one of each.")
    shuffled = np.random.default_rng([recipe.seed, 1]).permutation(len(data.train)).tolist()
    first = {data.train[i].label: i for i in reversed(shuffled)}
    taken = set(first.values())
    taken |= set([i for i in shuffled if i not in taken][: limit - len(taken)])
    return tuple(data.train[i] for i in sorted(taken))


def _train(card: ModelCard, data: TrainingData, recipe: Recipe, room: Room, folder: Path) -> None:
    """Trains and puts the finished folder into its place."""
    from fairbench.training.fitting import fit

    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    with quiet():
        tokenizer = load_tokenizer(Path(card.folder), card.name, card.options)
    lost: Counter[str] = Counter(data.left_out)
    learnt = _rows(card, tokenizer, drawn(data, recipe), recipe, lost)
    validation = _rows(card, tokenizer, data.validation, recipe, lost)
    for rows, split in ((learnt, "training"), (validation, "validation")):
        if not rows:
            raise FairbenchError(f"--train-on {data.name}: no {split} text has a token that {card.name} knows. Give other texts.")
    fitted = fit(
        lambda: new_network(card, tokenizer, data.labels, recipe),
        learnt,
        validation,
        recipe,
        folder=partial,
        device=card.options.device,
        progress=lambda step, total: room.progress(f"fine-tuning {data.name}", step, total),
    )
    about = {
        "base": {"name": card.name, **card.identity},
        "data": {**data.provenance, "name": data.name, "sha256": data.sha256, "labels": data.labels, "positive": data.positive},
        "recipe": recipe.as_dict(),
        "train": len(learnt),
        "validation": len(validation),
        "truncated": sum(row["truncated"] for row in (*learnt, *validation)),
        "left_out": {reason: n for reason, n in lost.items() if n},
        **_said(fitted),
        "floor": floor([row["labels"] for row in learnt], [row["labels"] for row in validation]),
        "version": TRAINING_VERSION,
        "versions": versions(),
    }
    _finish(card, tokenizer, fitted.checkpoint, about, partial / "finished")
    shutil.rmtree(folder, ignore_errors=True)
    (partial / "finished").replace(folder)
    shutil.rmtree(partial, ignore_errors=True)


def _rows(
    card: ModelCard, tokenizer: Any, records: Sequence[Labelled], recipe: Recipe, lost: Counter[str]
) -> list[dict[str, Any]]:
    """Texts as the Trainer takes them; those that can't be learnt from are counted in `lost`."""
    rows: list[dict[str, Any]] = []
    for start in range(0, len(records), BLOCK):  # a few at a time: ids as Python's numbers take eight times the room
        part = records[start : start + BLOCK]
        for record, coded in zip(part, code(tokenizer, [r.text for r in part], recipe.max_length), strict=True):
            reason = unfit(coded, card.vocabulary)
            if reason is not None:
                lost[reason] += 1
                continue
            ids = np.array(coded.ids, dtype=np.int32)
            rows.append({"input_ids": ids, "labels": record.label, "truncated": coded.truncated})
    return rows


def _said(fitted: Fitted) -> dict[str, Any]:
    """What a training came to, for `fairbench.json`."""
    return {
        "steps": fitted.steps,
        "epochs": round(fitted.epochs, 6),
        "evaluations": [dict(evaluation) for evaluation in fitted.evaluations],
        "best": dict(fitted.evaluations[fitted.best]),
        "learnt": fitted.learnt,
        "parameters": fitted.parameters,
        "padding": fitted.side,
        "seconds": fitted.seconds,
    }


def _finish(card: ModelCard, tokenizer: Any, best: Path, about: Mapping[str, Any], folder: Path) -> None:
    """Writes the best weights, the tokenizer and what is known of them into a folder."""
    import transformers

    shutil.rmtree(folder, ignore_errors=True)
    with quiet():
        network = transformers.AutoModelForSequenceClassification.from_pretrained(
            str(best), dtype="float32", trust_remote_code=card.options.trust_remote_code
        )
        network.save_pretrained(folder)
        if tokenizer.pad_token is None:  # other tools fill up with what the tokenizer says
            tokenizer.pad_token = tokenizer.convert_ids_to_tokens(network.config.get_text_config().pad_token_id)
        tokenizer.save_pretrained(folder)
    write_json(folder / ABOUT, about)


def read_about(folder: Path) -> dict[str, Any]:
    """What is known of a finished classifier."""
    try:
        found: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FairbenchError(
            f"{folder / ABOUT} can't be read ({error}). Remove {folder} and run the same command again."
        ) from None
    return found
