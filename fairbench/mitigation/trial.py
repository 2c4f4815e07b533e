"""What a training would take, told from a trial: two steps on the first texts, which are then thrown away."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fairbench.mitigation import Estimate, Job, Texts
from fairbench.mitigation.recipe import Recipe

if TYPE_CHECKING:
    from fairbench.mitigation.classroom import Classroom
    from fairbench.mitigation.rows import Counted

TRIED_TEXTS = 400
"""Texts that are prepared for a trial."""


def try_out(room: Classroom, job: Job, recipe: Recipe, some: Texts) -> Estimate:
    """Runs two steps and scales them up.

    Memory is that of the parameters (4 bytes each for the teacher; 16 for the student: weight, gradient and two moments) and of
    the logits of a batch, of which the merge holds about six copies; other activations are not counted.
    """
    from fairbench.mitigation.distill import total_steps

    student = room.lesson.student
    seconds, tokens = _two_steps(room, student, recipe)
    counted = room.prepared.counted
    texts = None if job.texts is None else job.texts.count or job.texts.asked
    rows = None if texts is None else _rows(counted, texts, some.count or TRIED_TEXTS, recipe)
    steps = recipe.steps or (None if rows is None else total_steps(recipe, rows))
    parameters = {
        "teacher_parameters": sum(p.numel() for p in room.teacher.network.parameters()),
        "student_parameters": sum(p.numel() for p in student.parameters()),
    }
    longest = max(len(row) for row in room.lesson.rows["input_ids"])
    logits = 6 * 4 * recipe.batch_size * longest * job.card.vocabulary
    what: dict[str, Any] = {
        "texts": texts, "rows": rows, "steps": steps, **parameters,
        "texts_with_changed_words": f"{counted.reversed} of the first {some.count or TRIED_TEXTS}",
        "mapped_pairs": len(room.vocabulary.blocks) if room.vocabulary else 0,
        "mass_of_mapped_words": room.mass,
        "tokens_per_second": round(tokens / seconds, 1),
        "warnings": list(room.warnings),
    }  # fmt: skip
    memory = 4 * parameters["teacher_parameters"] + 16 * parameters["student_parameters"] + logits
    whole = None if steps is None else seconds * steps * recipe.accumulation
    return Estimate(what=what, bytes=memory, seconds=whole)


def _rows(counted: Counted, texts: int, tried: int, recipe: Recipe) -> int:
    """Rows of a whole corpus: those that were counted where all of it was tried, else as many a text that is learnt from."""
    from fairbench.mitigation.classroom import MOST_HELD_OUT

    if texts <= tried:
        return counted.rows
    apart = min(recipe.held_out, MOST_HELD_OUT / texts)
    return max(1, round(texts * (1 - apart) * counted.rows / (counted.documents + counted.unmatched)))


def _two_steps(room: Classroom, student: Any, recipe: Recipe) -> tuple[float, int]:
    """Seconds and tokens of a step on rows as they come, after one to warm up."""
    import torch

    from fairbench.mitigation.distill import terms
    from fairbench.mitigation.targets import collate

    lesson = room.lesson
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-9)
    student.to(room.teacher.device)
    seconds, tokens = 0.0, 1
    for step in range(2):
        rows = [lesson.rows[i % len(lesson.rows)] for i in range(step, step + recipe.batch_size)]
        batch = {name: tensor.to(room.teacher.device) for name, tensor in collate(rows, lesson.kind.pad).items()}
        start = time.perf_counter()
        loss: Any = terms(student, lesson.teacher, batch, recipe, lesson.kind).total(recipe)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds, tokens = time.perf_counter() - start, int(batch["attention_mask"].sum())
    return seconds, tokens
