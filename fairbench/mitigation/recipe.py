"""How a network is taught: every choice that makes another model of the same texts, and the options that they come from.

A method is a choice of these: plain distillation has a student of fewer layers and no merge, counterfactual data augmentation no
teacher, and so on. So all of them share one training (`distill.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairbench import parsers
from fairbench.errors import FairbenchError
from fairbench.mitigation import Option
from fairbench.models.model import ModelCard

MERGES = ("none", "mean", "max", "expmean", "swap")
AUGMENT = ("none", "both", "swap")
"""Texts as they are; each text with a gendered word also reversed (two-sided); such a text only reversed (one-sided)."""

NAMES = ("corpus", "published", "none")
"""First names: pairs matched by their frequency in the texts themselves; those of Hall Maudslay et al. 2019; left alone."""

MAX_LENGTH = 256
"""Tokens of a row, where the model takes so many and the user says nothing."""


@dataclass(frozen=True, kw_only=True)
class Focal:
    """Focal distillation (Yan et al. 2021, "Positive-Congruent Training"): weight alpha + beta where the old model is right."""

    weight: float
    alpha: float
    beta: float
    form: str


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every choice that makes another model of the same teacher and texts.

    Attributes:
        student: a model to be taught, by name; null for one made of the teacher's own layers.
        layers: layers of the teacher that such a student keeps.
        attribute: whose roles are reversed ("gender").
        names: where the pairs of first names come from, which are exchanged too (NAMES).
        keep_full_names: a first name before a surname stays.
        protected: names and phrases that stay as they are.
        merge: how the teacher's probabilities are merged with those in the role-reversed context; "none": they are not.
        vocabulary_map: gendered words are mapped back to their counterparts before the merge (spec 23.8).
        least_whole: a token is mapped if it is a whole word in this share of its occurrences, at least.
        normalize: log-probabilities are merged, not raw logits.
        restrict: only positions after a gendered word are merged.
        augment: what becomes of a text that holds a gendered word.
        matched: texts that hold none are left out.
        temperature: of the distillation term.
        kd_weight, lm_weight, cosine_weight: of KL to the teacher, cross-entropy on the text, cosine of last hidden states.
        focal: focal distillation from the model as it was, in the place of the KL term; null for none.
        dropout: of the student's layers, by the names that its configuration has for them; empty for its own.
        mask_share: share of the words that are masked (masked models).
        epochs: passes over the rows.
        steps: optimizer steps, in the place of epochs; 0: the epochs count.
        learning_rate: the highest: it rises linearly over the warmup and falls linearly to 0.
        batch_size: rows a step and process.
        accumulation: batches a step, whose losses are averaged: batches of short texts weigh as much as those of long ones.
        max_length: tokens of a row, special ones included; a longer text becomes several rows.
        seed: of the order of the rows, masks and dropout.
        save_steps: steps between checkpoints; 0 for 20 checkpoints in all.
        held_out: share of the documents that are not learnt from; the losses on at most 500 of them are measured.
    """

    student: str | None = None
    layers: tuple[int, ...] = ()
    attribute: str = "gender"
    names: str = "corpus"
    keep_full_names: bool = False
    protected: tuple[str, ...] = ()
    merge: str = "none"
    vocabulary_map: bool = True
    least_whole: float = 0.9
    normalize: bool = True
    restrict: bool = False
    augment: str = "none"
    matched: bool = False
    temperature: float = 2.0
    kd_weight: float = 1.0
    lm_weight: float = 1.0
    cosine_weight: float = 0.0
    focal: Focal | None = None
    dropout: tuple[tuple[str, float], ...] = ()
    mask_share: float = 0.15
    epochs: int = 3
    steps: int = 0
    learning_rate: float = 5e-4
    batch_size: int = 32
    accumulation: int = 1
    warmup: float = 0.05
    weight_decay: float = 0.0
    max_grad_norm: float = 5.0
    max_length: int = MAX_LENGTH
    seed: int = 0
    save_steps: int = 0
    held_out: float = 0.02

    @property
    def reverses(self) -> bool:
        """Whether texts are reversed at all."""
        return self.merge != "none" or self.augment != "none" or self.matched

    @property
    def teaches(self) -> bool:
        """Whether there is a teacher."""
        return self.kd_weight > 0 or self.cosine_weight > 0 or self.focal is not None

    def as_dict(self) -> dict[str, Any]:
        """The recipe as built-in types."""
        return dataclasses.asdict(self)


def training_options(**defaults: Any) -> dict[str, Option]:
    """The options of every method that trains, with other defaults where a method has them."""
    usual = Recipe()
    found = {
        "epochs": (parsers.whole(1, 10_000), "passes over the texts"),
        "steps": (parsers.whole(0, 10**9), "optimizer steps, in the place of epochs; 0: the epochs count"),
        "learning_rate": (parsers.real(0, 1, above=True), "the highest; it rises over the warmup and falls linearly to 0"),
        "batch_size": (parsers.whole(1, 65_536), "rows a step and process"),
        "accumulation": (parsers.whole(1, 65_536), "batches a step"),
        "warmup": (parsers.real(0, 1, below=True), "share of the steps in which the learning rate rises"),
        "weight_decay": (parsers.real(0, 1), "of AdamW"),
        "max_grad_norm": (parsers.real(0, 1e9, above=True), "gradients are clipped to this norm"),
        "max_length": (parsers.whole(8, 1_000_000), "tokens of a row; a longer text becomes several"),
        "seed": (parsers.whole(0, 2**32 - 1), "of the order of the texts, masks and dropout"),
        "save_steps": (parsers.whole(0, 10**9), "steps between checkpoints; 0: twenty in all"),
        "held_out": (parsers.real(0, 0.5), "share of the documents that are kept apart, to measure the losses on"),
        "mask_share": (parsers.real(0, 0.9, above=True), "share of the words that are masked (masked models)"),
    }
    return {
        name: Option(parse, defaults.get(name, None if name == "max_length" else getattr(usual, name)), said)
        for name, (parse, said) in found.items()
    }


def reversal_options() -> dict[str, Option]:
    """The options of every method that reverses roles in texts."""
    from fairbench.counterfactual.swapping import ATTRIBUTES

    return {
        "attribute": Option(parsers.word(*ATTRIBUTES), "gender", f"whose roles: {', '.join(ATTRIBUTES)}"),
        "names": Option(
            parsers.word(*NAMES),
            None,
            "first names are exchanged too, by pairs matched in the texts (corpus, the default for gender) or published ones",
        ),
        "keep_full_names": Option(parsers.yes_no, False, "a first name before a surname stays, throughout a text"),
        "protected": Option(_phrases, (), "names and phrases that stay as they are written here, joined by ;"),
    }


def student_options(layers: str | None = None) -> dict[str, Option]:
    """The options of every method that makes a student."""
    return {
        "layers": Option(_layers, layers, "teacher layers that the student keeps: all, half, a number, or places as 0+2+4"),
        "student": Option(parsers.text, None, "a given student (a model folder or Hub id) in the place of the teacher's layers"),
    }


def weight(default: float | None, said: str) -> Option:
    """A weight of a term of the loss."""
    return Option(parsers.real(0, 1e6), default, said)


def with_student(card: ModelCard, options: Mapping[str, Any], given: frozenset[str]) -> dict[str, Any]:
    """The options with the student's layers decided: none where a student is given.

    Raises:
        FairbenchError: layers and a student are both asked for, or the teacher has no such layers.
    """
    if options.get("student") is None:
        layers_of(card, options)  # refused now rather than after the texts were prepared
        return dict(options)
    if "layers" in given:
        raise FairbenchError("layers and student were both given, but a given student has its own layers. Leave one out.")
    from fairbench.mitigation.student import inspect_student

    inspect_student(options["student"], card, with_length(card, options)["max_length"])
    return {**options, "layers": None}


def layers_of(card: ModelCard, options: Mapping[str, Any]) -> tuple[int, ...]:
    """The teacher's layers that the student keeps; none where a student is given."""
    from fairbench.mitigation.student import chosen_layers

    if options["layers"] is None:
        return ()
    if card.layers is None:
        raise FairbenchError(f"{card.name}: its configuration does not say how many layers it has. Give student=FOLDER.")
    return chosen_layers(options["layers"], card.layers, card.name)


def refuse_no_term(options: Mapping[str, Any]) -> None:
    """Refuses weights under which nothing is learnt, or nothing of what a merge makes.

    Raises:
        FairbenchError: they are such.
    """
    if options.get("merge", "none") != "none" and not options["kd_weight"]:
        raise FairbenchError(
            f"kd_weight=0 and merge={options['merge']}: the merged probabilities would be learnt by no term. Give kd_weight, or "
            "merge=none."
        )
    if not any(options[name] for name in ("kd_weight", "lm_weight", "cosine_weight")):
        raise FairbenchError("kd_weight, lm_weight and cosine_weight are all 0: nothing would be learnt. Give one of them.")


def with_names(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with names exchanged where they have counterparts at all: by gender."""
    names, attribute = options["names"], options["attribute"]
    if names not in (None, "none") and attribute != "gender":
        raise FairbenchError(f"names={names}: first names have counterparts by gender, not by {attribute}. Leave it out.")
    return {**options, "names": names or ("corpus" if attribute == "gender" else "none")}


def refuse_reversal(options: Mapping[str, Any], given: frozenset[str]) -> dict[str, Any]:
    """The options of a role reversal, with the map switched off where there is no merge or raw logits are merged.

    Raises:
        FairbenchError: two of them contradict each other.
    """
    found = with_names(options)
    merged = found["merge"] != "none"
    if merged and found["attribute"] != "gender":
        raise FairbenchError(
            f"attribute={found['attribute']} has more than two groups, and a merge is of two contexts. Give merge=none and "
            "augment=both, which learns from every variant of a text, or attribute=gender."
        )
    if not merged and found["augment"] == "none":
        raise FairbenchError(
            "merge=none and augment=none: nothing would be reversed. Choose one, or the method distill for plain distillation."
        )
    reasons = {
        "there is no merge": not merged,
        "raw logits are merged (normalize=false), and the map moves probabilities": not found["normalize"],
        "only positions after a gendered word are merged (restrict=true), and the map is for the others": found["restrict"],
    }
    for reason, met in reasons.items():
        if met and found["vocabulary_map"]:
            if "vocabulary_map" in given:
                raise FairbenchError(f"vocabulary_map=true: {reason}. Leave one of the two out.")
            found["vocabulary_map"] = False
    return found


def with_length(card: ModelCard, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with the length of a row filled in.

    Raises:
        FairbenchError: the model does not take so many tokens.
    """
    limit, wanted = card.max_length, options.get("max_length")
    if wanted is not None and limit is not None and wanted > limit:
        raise FairbenchError(f"max_length={wanted}: {card.name} takes at most {limit} tokens. Give no more.")
    return {**options, "max_length": wanted or min(limit or MAX_LENGTH, MAX_LENGTH)}


def recipe_of(options: Mapping[str, Any], **fixed: Any) -> Recipe:
    """The recipe that a method's options come to.

    Args:
        options: the method's, filled in; those that no recipe has are left out.
        fixed: what the method itself decides.
    """
    names = {field.name for field in dataclasses.fields(Recipe)}
    return Recipe(**{name: value for name, value in options.items() if name in names and name not in fixed}, **fixed)


def _phrases(name: str, value: Any) -> tuple[str, ...]:
    """Phrases joined by ;, or a sequence of them."""
    found = tuple(part.strip() for part in (value.split(";") if isinstance(value, str) else value))
    if not all(found):
        raise FairbenchError(f"{name}={value}: wanted names or phrases joined by ;.")
    return found


def _layers(name: str, value: Any) -> str:
    text = str(value).strip().lower()
    if text in ("all", "half") or text.isdecimal():
        return text
    parts = text.split("+")
    if len(parts) > 1 and all(part.isdecimal() for part in parts) and len({int(part) for part in parts}) == len(parts):
        return text
    raise FairbenchError(f"{name}={value}: wanted all, half, a number of layers, or their places joined by + (0+2+4).")
