"""What a training needs, made ready: teacher and student, rows and held-out rows, and what the gendered words are mapped to."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairbench.errors import FairbenchError
from fairbench.files import write_json
from fairbench.mitigation import Job, Texts
from fairbench.mitigation.processes import Processes
from fairbench.mitigation.recipe import Recipe
from fairbench.models.loading import load, load_tokenizer, quiet
from fairbench.models.model import Model

if TYPE_CHECKING:
    from fairbench.counterfactual.swapping import Swap
    from fairbench.mitigation.distill import Kind, Lesson
    from fairbench.mitigation.rows import Prepared
    from fairbench.mitigation.vocabulary import VocabularyMap

LEAST_HELD_OUT, MOST_HELD_OUT = 5, 500
"""Documents on which losses are measured: where fewer are to be expected none is held out, and at most so many are."""

NAMES_FILE = "names.json"
NAMED_TEXTS = 50_000
"""Texts by which names are matched, at most."""


@dataclass(frozen=True)
class Classroom:
    """All that a training needs, ready.

    Attributes:
        teacher: the model that is mitigated, loaded; also the student's origin.
        lesson: what is learnt from whom.
        prepared: the rows, with what was met while they were made.
        vocabulary: what the gendered words are mapped to; null for no map.
        mass: probability that the teacher gives the mapped words where one of them follows; null without a map.
        warnings: sentences for the card and the screen.
        swap: how texts are reversed.
    """

    teacher: Model
    lesson: Lesson
    prepared: Prepared
    vocabulary: VocabularyMap | None
    mass: float | None
    warnings: tuple[str, ...]
    swap: Swap


def make_ready(job: Job, recipe: Recipe, processes: Processes) -> Classroom:
    """Loads the teacher, makes the student, and prepares the rows, the first process before the others.

    Raises:
        FairbenchError: the student can't be made, the texts hold nothing, or the gendered words can't be mapped.
    """
    from fairbench.mitigation import rows
    from fairbench.mitigation.distill import Lesson
    from fairbench.mitigation.mapping import find_map
    from fairbench.mitigation.targets import Teacher
    from fairbench.training.fitting import own_randomness

    assert job.texts is not None
    with quiet():
        tokenizer = load_tokenizer(Path(job.card.folder), job.card.name, job.card.options)
    kind = _kind(job, tokenizer)
    model = processes.own(load(job.card))
    with own_randomness(recipe.seed):
        student = _student(model, recipe)  # now: a refusal should not come after hours of preparing texts
    learnt, apart = divided(job.texts, recipe)
    with processes.main_first():
        swap = _swap(recipe, learnt, job.room / NAMES_FILE)
        prepared = rows.prepare(
            learnt, rows.Preparer(job.card, tokenizer, recipe, swap, learnt.cut), job.room / "rows", job.progress
        )
        plain = replace(recipe, augment="none", matched=False)
        held_out = None
        if apart is not None:
            measured_on = rows.Preparer(job.card, tokenizer, plain, swap, apart.cut)
            held_out = rows.prepare(apart, measured_on, job.room / "held-out", job.progress).table
    vocabulary, mass = find_map(recipe, swap, model, prepared, kind)
    warnings = _warnings(recipe, prepared, apart, vocabulary)
    teacher = Teacher(model.network, recipe, vocabulary) if recipe.teaches else None
    lesson = Lesson(student, teacher, prepared.table, held_out, kind, recipe)
    return Classroom(model, lesson, prepared, vocabulary, mass, warnings, swap)


def _kind(job: Job, tokenizer: Any) -> Kind:
    from fairbench.mitigation.distill import Kind

    named = (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id, 0)
    pad = next(number for number in named if number is not None and 0 <= number < job.card.vocabulary)
    causal = job.card.kind == "causal"
    if not causal and tokenizer.mask_token_id is None:
        raise FairbenchError(f"{job.card.name} is a masked model whose tokenizer has no mask token. Save one that has it.")
    return Kind(causal, int(pad), None if causal else int(tokenizer.mask_token_id))


def _swap(recipe: Recipe, texts: Texts, kept: Path) -> Swap:
    """How texts are reversed. Pairs of names that come from the texts are kept: a stream need not be read for them again."""
    from itertools import islice

    from fairbench.counterfactual.names import matched
    from fairbench.counterfactual.swapping import Swap

    names: Any = {"none": False, "published": True}.get(recipe.names)
    if names is None and not recipe.reverses:
        names = False
    if names is None:
        if not kept.is_file():
            write_json(kept, {"pairs": matched(islice(texts.documents(), NAMED_TEXTS))})
        names = tuple((one, other) for one, other in json.loads(kept.read_text(encoding="utf-8"))["pairs"])
    return Swap(recipe.attribute, names=names, keep_full_names=recipe.keep_full_names, protected=recipe.protected)


def divided(texts: Texts, recipe: Recipe) -> tuple[Texts, Texts | None]:
    """The texts to learn from, and those to measure losses on; null where the share of so few documents is less than one."""
    from fairbench.mitigation.texts import split

    if not recipe.held_out or (texts.count is not None and texts.count * recipe.held_out < LEAST_HELD_OUT):
        return texts, None
    return split(texts, recipe.held_out, MOST_HELD_OUT)


def _student(teacher: Model, recipe: Recipe) -> Any:
    from fairbench.mitigation import student

    if recipe.student is not None:
        network = student.given(recipe.student, teacher.card, recipe.max_length)[1].network
        if recipe.cosine_weight > 0 and network.config.hidden_size != teacher.network.config.hidden_size:
            raise FairbenchError(
                f"cosine_weight={recipe.cosine_weight:g}: the student's hidden states have {network.config.hidden_size} "
                f"dimensions and the teacher's {teacher.network.config.hidden_size}. Leave that term out."
            )
    else:
        network = student.from_layers(teacher, recipe.layers)
    for name, value in recipe.dropout:
        setattr(network.config, name, value)
    if recipe.dropout:
        network = _rebuilt(network)
    network.config.use_cache = False
    return network.train()


def _rebuilt(network: Any) -> Any:
    """The same weights under a changed configuration: layers read their dropout when they are made."""
    found = type(network)(network.config)
    found.load_state_dict(network.state_dict())
    if network.can_generate():
        found.generation_config = network.generation_config
    return found


def _warnings(recipe: Recipe, prepared: Prepared, apart: Texts | None, vocabulary: VocabularyMap | None) -> tuple[str, ...]:
    """What a reader of the card must know."""
    from fairbench.mitigation.mapping import half_mapped

    said = []
    if recipe.held_out and apart is None:
        said.append(
            f"The corpus is too small to keep {recipe.held_out:g} of its documents apart, so no loss was measured on texts that "
            "were not learnt from."
        )
    if recipe.reverses and not prepared.counted.reversed:
        mapped = recipe.merge != "none" and recipe.vocabulary_map and not recipe.restrict
        said.append(
            f"None of the {prepared.counted.documents} texts holds a word of the {recipe.attribute} lexicon, so every text is "
            "its own counterpart. "
            + (
                "Only the vocabulary map acts on the teacher's probabilities; without it the result equals plain distillation."
                if mapped
                else "The result equals plain distillation of these texts."
                if recipe.kd_weight > 0
                else "The result equals further training on these texts."
            )
        )
    if vocabulary is not None and (odd := half_mapped(vocabulary)):
        said.append(
            f"Some pronouns are mapped and others are not ({', '.join(odd)} left out), so a mapped one takes the probability of "
            "them all: its counterpart may mean either."
        )
    if recipe.merge != "none" and recipe.cosine_weight > 0:
        said.append("The cosine term draws the student to hidden states of the teacher in the text as it is, bias and all.")
    if recipe.merge != "none" and recipe.lm_weight > 0 and recipe.augment == "none":
        said.append(
            f"The cross-entropy on the texts as they are (weight {recipe.lm_weight:g}) teaches their bias again, whatever the "
            "modified teacher says."
        )
    if recipe.merge != "none" and not recipe.vocabulary_map:
        said.append(
            "Without the vocabulary map, positions before the first gendered word of a text keep the teacher's bias: its "
            "counterpart is the same up to there."
        )
    return tuple(said)
