"""From a job and a recipe to a taught model in a folder: what every method that trains has in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairbench.errors import FairbenchError
from fairbench.files import write_json
from fairbench.mitigation import Estimate, Job, Texts
from fairbench.mitigation.processes import Processes
from fairbench.mitigation.recipe import Recipe
from fairbench.models.loading import load, load_tokenizer, quiet
from fairbench.models.model import Model

if TYPE_CHECKING:
    from fairbench.counterfactual.swapping import Swap
    from fairbench.mitigation.distill import Kind, Lesson
    from fairbench.mitigation.rows import Prepared
    from fairbench.mitigation.vocabulary import VocabularyMap

LEAST_MASS = 0.01
"""Where a gendered word follows, a teacher must give those of the map together this much on average."""

LEAST_HELD_OUT, MOST_HELD_OUT = 5, 500
"""Documents on which losses are measured: where fewer are to be expected none is held out, and at most so many are."""

NAMED_TEXTS = 50_000
"""Texts by which names are matched, at most."""

AMBIGUOUS = ("him", "her", "his", "hers")
"""Pronouns of which one side is told only by the other: if a part of them is not mapped, the rest takes its probability."""

TRIED_ROWS = 256
"""Rows on which the mass of the gendered words is measured, at most."""


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


def teach(job: Job, recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Prepares the texts, teaches the student, measures both on the held-out texts, and writes the student into a folder.

    Args:
        job: what is to be done.
        recipe: how.
        folder: where the model goes.

    Returns:
        What the card says: counts of the texts, of the map, the course of the training, and losses on held-out texts.
    """
    from fairbench.mitigation import distill, following

    processes = Processes(job.card.options.device)
    room = _classroom(job, recipe, processes)
    student, course = distill.fit(room.lesson, job.room / "training", job.card.options.device, job.progress)
    said: dict[str, Any] = {}
    if processes.main:
        said = _said(room, course)
        said["measured"] = _measured(room, student, job)
        with quiet():
            student.config.use_cache = True
            student.save_pretrained(folder)
            room.teacher.tokenizer.save_pretrained(folder)
            write_json(folder / following.COURSE, course.as_dict())
    processes.wait()
    return said


def estimate(job: Job, recipe: Recipe) -> Estimate:
    """What a training would take, from the first rows of the texts and two steps that are thrown away."""
    from fairbench.mitigation.trial import try_out

    some = _first(job.texts)
    room = _classroom(replace(job, texts=some), recipe, Processes(job.card.options.device))
    return try_out(room, job, recipe, some)


def _classroom(job: Job, recipe: Recipe, processes: Processes) -> Classroom:
    from fairbench.mitigation import rows
    from fairbench.mitigation.distill import Lesson
    from fairbench.mitigation.targets import Teacher
    from fairbench.training.fitting import own_randomness

    assert job.texts is not None
    with quiet():
        tokenizer = load_tokenizer(Path(job.card.folder), job.card.name, job.card.options)
    kind = _kind(job, tokenizer)
    model = processes.own(load(job.card))
    with own_randomness(recipe.seed):
        student = _student(model, recipe)  # now: a refusal should not come after hours of preparing texts
    learnt, apart = _divided(job.texts, recipe)
    swap = _swap(recipe, job.texts)
    with processes.main_first():
        prepared = rows.prepare(learnt, rows.Preparer(job.card, tokenizer, recipe, swap), job.room / "rows", job.progress)
        plain = replace(recipe, augment="none", matched=False)
        held_out = None
        if apart is not None:
            measured_on = rows.Preparer(job.card, tokenizer, plain, swap)
            held_out = rows.prepare(apart, measured_on, job.room / "held-out", job.progress).table
    vocabulary, mass = _map(recipe, swap, model, prepared, kind)
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


def _swap(recipe: Recipe, texts: Texts) -> Swap:
    """How texts are reversed; pairs of names may come from the texts themselves."""
    from itertools import islice

    from fairbench.counterfactual.names import matched
    from fairbench.counterfactual.swapping import Swap

    names: Any = {"none": False, "published": True}.get(recipe.names)
    if names is None:
        names = matched(islice(texts.documents(), NAMED_TEXTS)) if recipe.reverses else False
    return Swap(recipe.attribute, names=names)


def _divided(texts: Texts, recipe: Recipe) -> tuple[Texts, Texts | None]:
    """The texts to learn from, and those to measure losses on; null where the share of so few documents is less than one."""
    from fairbench.mitigation.texts import split

    if not recipe.held_out or (texts.count is not None and texts.count * recipe.held_out < LEAST_HELD_OUT):
        return texts, None
    return split(texts, recipe.held_out, MOST_HELD_OUT)


def _student(teacher: Model, recipe: Recipe) -> Any:
    from fairbench.mitigation import student

    if recipe.student is not None:
        network = student.given(recipe.student, teacher.card)[1].network
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
    return found


def _map(recipe: Recipe, swap: Swap, model: Model, prepared: Prepared, kind: Kind) -> tuple[VocabularyMap | None, float | None]:
    """What the gendered words are mapped to, and how much of the teacher's probability they hold where one of them follows.

    Raises:
        FairbenchError: the tokenizer has no pair of gendered words as single tokens, or they hold no mass: a silent zero
            (spec 23.11).
    """
    from fairbench.mitigation.vocabulary import vocabulary_map

    if recipe.merge == "none" or not recipe.vocabulary_map:
        return None, None
    pairs = [(one, other) for one, other in swap.pairs()]
    found = vocabulary_map(model.tokenizer, pairs, prepared.seen, recipe.least_whole)
    if not found.blocks:
        raise FairbenchError(
            f"The tokenizer of {model.card.name} has no pair of gendered words that are both single tokens and whole words "
            f"({len(found.left_out)} pairs were looked at), so their probabilities can't be mapped to each other. Give "
            "option vocabulary_map=false, and know that positions before a gendered word then keep their bias."
        )
    mass = _mass(model, found, prepared, kind)
    # a model with random weights gives every token as much; words that it knows hold more than that where one follows
    wanted = max(LEAST_MASS, min(0.5, 2 * len(found.ids) / model.card.vocabulary))
    if mass is not None and mass < wanted:
        raise FairbenchError(
            f"Where a gendered word follows in the texts, {model.card.name} gives the {len(found.blocks)} mapped pairs together "
            f"{mass:.2g} of its probability; wanted at least {wanted:.2g}. Either the model is not trained on such text, or its "
            "tokenizer writes these words otherwise than its vocabulary does. Give other texts, or vocabulary_map=false."
        )
    return found, mass


def _mass(model: Model, found: VocabularyMap, prepared: Prepared, kind: Kind) -> float | None:
    """Mean probability of the mapped words where one of them follows, on the first rows that hold one."""
    import torch

    from fairbench.mitigation.masking import mask_words
    from fairbench.mitigation.targets import collate
    from fairbench.mitigation.vocabulary import gendered_mass

    mapped = torch.tensor(sorted({i for block in found.blocks for side in block for i in side}), device=model.device)
    masses: list[torch.Tensor] = []
    with torch.no_grad():
        for row in _holding(prepared.table, set(mapped.tolist())):
            batch = {name: tensor.to(model.device) for name, tensor in collate([row], kind.pad).items()}
            gold = batch["input_ids"]
            if kind.mask is not None:
                batch = mask_words(batch, kind.mask, 1.0)  # a word that is seen is no prediction
            logits = model.network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
            if kind.causal:
                logits, gold = logits[:, :-1], gold[:, 1:]
            there = torch.isin(gold, mapped)
            masses.append(gendered_mass(logits[there].float().log_softmax(-1), found))
    held = torch.cat(masses) if masses else torch.zeros(0)
    return float(held.mean()) if len(held) else None


def _holding(table: Any, ids: set[int]) -> Iterator[Mapping[str, Any]]:
    found = 0
    for number in range(min(len(table), 20 * TRIED_ROWS)):
        row = table[number]
        if not ids.isdisjoint(row["input_ids"]):
            yield row
            found += 1
            if found == TRIED_ROWS:
                return


def _warnings(recipe: Recipe, prepared: Prepared, apart: Texts | None, vocabulary: VocabularyMap | None) -> tuple[str, ...]:
    """What a reader of the card must know."""
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
            )
        )
    if vocabulary is not None and (odd := _half_mapped(vocabulary)):
        said.append(
            f"Some pronouns are mapped and others are not ({', '.join(odd)} left out), so a mapped one takes the probability of "
            "them all: its counterpart may mean either."
        )
    if recipe.merge != "none" and recipe.lm_weight > 0:
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


def _half_mapped(vocabulary: VocabularyMap) -> list[str]:
    """Pairs of pronouns that are left out although one of them is mapped in another pair."""
    mapped = {word.strip() for block in vocabulary.words for side in block for word in side}
    pairs = [pair.split("-") for pair in vocabulary.left_out]
    return ["-".join(pair) for pair in pairs if set(pair) <= set(AMBIGUOUS) and mapped & set(pair) and not set(pair) <= mapped]


def _said(room: Classroom, course: Any) -> dict[str, Any]:
    """What the card says of a training."""
    said: dict[str, Any] = {
        "texts": room.prepared.counted.as_dict(),
        "training": {name: value for name, value in course.as_dict().items() if name != "history"},
        "warnings": list(room.warnings),
    }
    if not isinstance(room.swap.names, bool):
        said["names"] = [list(pair) for pair in room.swap.names]
    if room.vocabulary is not None:
        said["vocabulary_map"] = {
            "blocks": len(room.vocabulary.blocks),
            "words": [list(side) for side in room.vocabulary.words],
            "left_out": dict(list(room.vocabulary.left_out.items())[:50]),
            "mass": room.mass,
        }
    return said


def _measured(room: Classroom, student: Any, job: Job) -> dict[str, Any]:
    """Losses of teacher and student on the held-out texts, in nats a token."""
    from fairbench.mitigation import distill

    held_out, kind, recipe = room.lesson.held_out, room.lesson.kind, room.lesson.recipe
    if held_out is None:
        return {}
    job.progress("measuring held-out texts", 0, 1)
    plain = replace(recipe, kd_weight=0.0, cosine_weight=0.0, focal=None)
    before = distill.measure(room.teacher.network, None, held_out, plain, kind)
    after = distill.measure(student, room.lesson.teacher, held_out, recipe, kind)
    job.progress("measuring held-out texts", 1, 1)
    found = {"held_out_rows": len(held_out), "text_loss_before": before.get("lm"), "text_loss_after": after.get("lm")}
    return found | {f"{name}_after": value for name, value in after.items() if name != "lm"}


def _first(texts: Texts | None) -> Texts:
    """The first texts of a corpus, for a trial."""
    import itertools

    from fairbench.mitigation.trial import TRIED_TEXTS

    assert texts is not None
    return replace(
        texts,
        identity={**texts.identity, "first": TRIED_TEXTS},
        documents=lambda: itertools.islice(texts.documents(), TRIED_TEXTS),
        count=None if texts.count is None else min(texts.count, TRIED_TEXTS),
    )
