"""From a job and a recipe to a taught model in a folder: what every method that trains has in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairbench.files import write_json
from fairbench.mitigation import Estimate, Job, Texts
from fairbench.mitigation.classroom import Classroom, make_ready
from fairbench.mitigation.processes import Processes
from fairbench.mitigation.recipe import Recipe
from fairbench.models.loading import quiet


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
    room = make_ready(job, recipe, processes)
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
    room = make_ready(replace(job, texts=some), recipe, Processes(job.card.options.device))
    return try_out(room, job, recipe, some)


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
            "left_out": _by_reason(room.vocabulary.left_out),
            "mass": room.mass,
        }
    return said


def _by_reason(left_out: Mapping[str, str]) -> dict[str, list[str]]:
    """Pairs that are not mapped, together where the reason is the same."""
    found: dict[str, list[str]] = {}
    for pair, reason in left_out.items():
        found.setdefault(reason, []).append(pair)
    return found


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
        asked=None,
    )
