"""The classifier that a probe asks: trained from a model and kept, or a checkpoint that is ready."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.models.loading import inspect_model, load, quiet
from fairbench.models.model import Model, ModelCard
from fairbench.training import Prepared, Room
from fairbench.training.data import is_file
from fairbench.training.head import Head, map_labels
from fairbench.training.keeping import TRAINING_VERSION, drawn, key_of, read_about, train
from fairbench.training.network import is_ready
from fairbench.training.recipe import PARSERS, recipe_of, recipe_options

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
        about=lambda: {name: value for name, value in read_about(folder).items() if name != "recipe"},  # the identity has it
        seen=texts.__contains__,
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
        about = read_about(folder)
        found = inspect_model(str(folder), dataclasses.replace(card.options, revision=None, apply_chat_template=False))
        card = dataclasses.replace(found, name=card.name)
    model = load(card, "classification")
    model.network.config.use_cache = False
    pad = model.network.config.get_text_config().pad_token_id
    return Classifier(
        card=model.card, network=model.network, tokenizer=model.tokenizer, device=model.device,
        head=head, max_length=max_length, pad=pad, about=about,
    )  # fmt: skip


def _names(value: Any) -> list[str]:
    """Names joined by +, or a list of them."""
    names = value.split("+") if isinstance(value, str) else list(value or ())
    found = [str(name).strip() for name in names]
    if not all(found):
        raise FairbenchError(f"positive_labels={value}: wanted names of labels, joined by +.")
    return found
