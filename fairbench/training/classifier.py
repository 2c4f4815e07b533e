"""The classifier that a probe asks: trained from a model and kept, or a checkpoint that is ready."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.files import digest, write_json
from fairbench.models.heads import NO_EMBEDDING
from fairbench.models.loading import inspect_model, load, load_tokenizer, quiet
from fairbench.models.model import Model, ModelCard
from fairbench.records import Labelled
from fairbench.results import versions
from fairbench.training import Prepared, Room, TrainingData
from fairbench.training.data import is_file
from fairbench.training.head import Head, map_labels
from fairbench.training.network import is_ready, new_network
from fairbench.training.outcome import floor
from fairbench.training.recipe import PARSERS, Recipe, recipe_of, recipe_options
from fairbench.training.texts import BLOCK, Coded, code

if TYPE_CHECKING:
    from fairbench.training.fitting import Fitted

TRAINING_VERSION = 1
"""Raised when the same recipe and data would make another classifier; old ones are then not taken up."""

ABOUT = "fairbench.json"
"""Written last into the folder of a finished classifier."""

OF_TASK = ("task", "labels", "positive", "named")
"""What a plan says of the asked task, and which options the user named."""

OPTIONS = ("train_on", *PARSERS, "positive_labels", *OF_TASK)
"""Options of every probe that asks a classifier."""


@dataclass(frozen=True, kw_only=True)
class Classifier(Model):
    """A sequence classifier in evaluation mode.

    Attributes:
        head: from the network's logits to the probabilities of the asked classes.
        max_length: tokens of a text, special ones included.
        pad: the id that texts are filled up with; null where only one text at a time may be asked.
        about: what is known of its training; empty for a classifier that was ready.
    """

    head: Head
    max_length: int
    pad: int | None
    about: Mapping[str, Any] = field(default_factory=dict)


def classifier_options(card: ModelCard, requested: Mapping[str, Any]) -> dict[str, Any]:
    """Reads and fills in every option of a classifier, and refuses what can't be.

    Args:
        card: the model.
        requested: some of `OPTIONS`; others are not looked at. `train_on` counts as the task's suggestion unless `named`, the
            options that the user gave, holds it or is absent.

    Returns:
        `train_on` (null for a ready classifier that is used as it is), `labels`, `positive`, `positive_labels`, `max_length`,
        and for one that is trained every option of its recipe.

    Raises:
        FairbenchError: no training data are named, or an option is impossible.
    """
    given = {name: value for name, value in requested.items() if value is not None and name in OPTIONS}
    named = set(given.get("named", given))
    for name in OF_TASK:
        if "named" in given and name in named:
            raise FairbenchError(f"{name}={given.get(name)}: that is the task's to say. Leave it out.")
    about = {
        "labels": list(given.get("labels", ())),
        "positive": list(given.get("positive", ())),
        "positive_labels": _names(given.get("positive_labels")),
    }
    if is_ready(card) and "train_on" not in named:
        idle = sorted(set(PARSERS) & named - {"max_length"})  # what the task suggests for a training is nobody's wish
        if idle:
            raise FairbenchError(
                f"{idle[0]}={given[idle[0]]}: {card.name} is a classifier already and is used as it is, so nothing is trained. "
                "Leave it out, or name training data with --train-on."
            )
        length = recipe_options(card, {"max_length": given.get("max_length")})["max_length"]
        return {"train_on": None, **about, "max_length": length}
    train_on = str(given.get("train_on", "")).strip()
    if not train_on:
        raise FairbenchError(
            f"{card.name} is no classifier ({card.architecture}), and {given.get('task', 'the task')} has no training texts of "
            "its own. Name what a classifier is to learn from with --train-on: a task, or a file with the columns text and label."
        )
    return {"train_on": train_on, **about, **recipe_options(card, given)}


def refuse_unknown(probe: str, known: Sequence[str], requested: Mapping[str, Any]) -> None:
    """An option that a probe does not have."""
    for name in requested:
        if name not in known:
            shown = [option for option in known if option not in OF_TASK]
            raise FairbenchError(
                f"The {probe} probe has no option {name!r}.{did_you_mean(name, shown)} It has {', '.join(shown)}."
            )


def classifier(card: ModelCard, options: Mapping[str, Any], room: Room) -> Prepared:
    """The classifier that these options come to. Nothing is trained or loaded before its `load`.

    Args:
        card: the model.
        options: from `classifier_options`, alone or among others.
        room: where training data come from and classifiers are kept.

    Returns:
        Its `load` gives a `Classifier`.

    Raises:
        FairbenchError: there are no such training data, or their labels can't be mapped to the task's.
    """
    if options["train_on"] is None:
        return _ready(card, options)
    data = room.training_data(options["train_on"])
    recipe = recipe_of(options)
    positive = data.positive or (data.labels[1:] if len(data.labels) == 2 and not is_file(data.name) else ())
    head = _head(f"A classifier trained on {data.name}", data.labels, options, own_positive=positive)
    drawn(data, recipe)  # refused now rather than after other tasks have been asked
    texts = frozenset(record.text for record in (*data.train, *data.validation))
    folder = room.classifiers / key_of(card, data, recipe)

    def loaded() -> Classifier:
        return _classifier(card, train(card, data, recipe, room), head, recipe.max_length)

    return Prepared(
        identity={"training": TRAINING_VERSION, "data": data.sha256, "recipe": recipe.as_dict(), "head": head.as_dict()},
        load=loaded,
        about=lambda: {name: value for name, value in _read(folder).items() if name != "recipe"},  # the identity has it
        seen=texts.__contains__,
    )


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
    with FileLock(Path(tempfile.gettempdir()) / f"fairbench-{digest(str(folder.resolve()))[:16]}.lock"):
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


def unfit(coded: Coded, vocabulary: int) -> str | None:
    """Why a text can't be put to a classifier, or null."""
    if not coded.tokens:
        return "text without tokens"
    return f"text with {NO_EMBEDDING}" if max(coded.ids) >= vocabulary else None


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


def learnt_nothing(about: Mapping[str, Any]) -> str | None:
    """A sentence that flags a classifier no better than always saying the commonest class; else null."""
    if not about or about["best"]["macro_f1"] > about["floor"] + 1e-9:
        return None
    return (
        f"The classifier learnt nothing: on {about['validation']} validation texts of {about['data']['name']} its macro-F1 is "
        f"{about['best']['macro_f1']:.3f}, and always saying the commonest class gives {about['floor']:.3f}. Its scores mean "
        "nothing; train it longer, or on more texts."
    )


def _ready(card: ModelCard, options: Mapping[str, Any]) -> Prepared:
    """A checkpoint that is a classifier already."""
    from transformers import AutoConfig

    with quiet():
        config = AutoConfig.from_pretrained(card.folder, trust_remote_code=card.options.trust_remote_code)
    own = [str(config.id2label[number]) for number in sorted(config.id2label)]
    several = config.problem_type == "multi_label_classification"
    if config.problem_type == "regression" or (len(own) == 1 and not several):
        raise FairbenchError(
            f"{card.name} gives one number and no probability (labels: {', '.join(own)}; problem_type: {config.problem_type}). "
            "Give a classifier, or train one with --train-on."
        )
    head = _head(card.name, own, options, multi_label=several)
    return Prepared(
        identity={"ready": card.architecture, "head": head.as_dict(), "max_length": options["max_length"]},
        load=functools.partial(_classifier, card, None, head, options["max_length"]),
    )


def _head(name: str, own: Sequence[str], options: Mapping[str, Any], **kinds: Any) -> Head:
    chosen = options["positive_labels"]
    return map_labels(name, own, options["labels"], positive=options["positive"], chosen=chosen, **kinds)


def _classifier(card: ModelCard, folder: Path | None, head: Head, max_length: int) -> Classifier:
    """The classifier of a folder of ours, or the model itself."""
    about: Mapping[str, Any] = {}
    if folder is not None:
        about = _read(folder)
        found = inspect_model(str(folder), dataclasses.replace(card.options, revision=None, apply_chat_template=False))
        card = dataclasses.replace(found, name=card.name)
    model = load(card, "classification")
    model.network.config.use_cache = False
    pad = model.network.config.get_text_config().pad_token_id
    return Classifier(
        card=model.card, network=model.network, tokenizer=model.tokenizer, device=model.device,
        head=head, max_length=max_length, pad=pad, about=about,
    )  # fmt: skip


def _read(folder: Path) -> dict[str, Any]:
    """What is known of a finished classifier."""
    try:
        found: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FairbenchError(
            f"{folder / ABOUT} can't be read ({error}). Remove {folder} and run the same command again."
        ) from None
    return found


def _names(value: Any) -> list[str]:
    """Names joined by +, or a list of them."""
    names = value.split("+") if isinstance(value, str) else list(value or ())
    found = [str(name).strip() for name in names]
    if not all(found):
        raise FairbenchError(f"positive_labels={value}: wanted names of labels, joined by +.")
    return found
