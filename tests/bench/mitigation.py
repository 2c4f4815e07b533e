"""What a distillation step with a role-reversed teacher costs beside its parts, and how many tokens a second it reads.

The parts are what no such step can do without: the teacher's forward pass on the texts, its forward pass on the reversed texts,
the student's forward pass, its backward pass from a gradient of its logits, and the loss of plain distillation with its gradient.
Each is run alone on the same batch. The step adds the merge (expmean) and the map of the vocabulary, and puts both texts through
the teacher in one batch. The ratio to the networks alone, without any loss, is told too; neither side has an optimizer. All runs
in turns in one process that has one thread, in processor time: on a machine with other work the clock on the wall tells of that
work too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import transformers

from fairbench.mitigation.distill import Kind, terms
from fairbench.mitigation.objective import vocabulary_losses
from fairbench.mitigation.recipe import Recipe
from fairbench.mitigation.targets import Teacher, collate
from fairbench.mitigation.vocabulary import VocabularyMap
from fairbench.models.heads import fused_activations
from tests.bench.shapes import ROOT

ASKED = 1.15
"""A step takes at most so many times as long as its parts together."""


@dataclass(frozen=True)
class Shape:
    """A teacher, its student and their batches: GPT-2 with random weights, random tokens, a random map of the vocabulary."""

    layers: int
    width: int
    vocabulary: int
    rows: int
    tokens: tuple[int, int]
    pairs: int


SHAPES = {
    "6 x 384, vocabulary 50,257": Shape(6, 384, 50_257, 8, (64, 64), 300),
    "2 x 48, vocabulary 841": Shape(2, 48, 841, 32, (14, 18), 30),
}


def compare(name: str, share: float, repeats: int) -> dict[str, float]:
    """Milliseconds of each part, ratio and tokens a second, measured in a process that has one thread."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.bench.mitigation", name, str(share), str(repeats)]
    done = subprocess.run(command, check=True, env=environment, cwd=ROOT, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def network(shape: Shape, layers: int) -> Any:
    """A GPT-2 of a shape."""
    config = transformers.GPT2Config(
        vocab_size=shape.vocabulary, n_embd=shape.width, n_layer=layers, n_head=max(shape.width // 64, 4), n_positions=128,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


def blocks(shape: Shape) -> VocabularyMap:
    """As many blocks as the map of a real vocabulary has, one in thirty of them two words against one."""
    tokens = iter(torch.randperm(shape.vocabulary).tolist())
    return VocabularyMap(
        tuple((tuple(next(tokens) for _ in range(2 if i % 30 == 0 else 1)), (next(tokens),)) for i in range(shape.pairs))
    )


def rows(shape: Shape, share: float) -> list[dict[str, list[int]]]:
    """Rows of which a share has a counterpart of the same length; one place in sixteen has nothing in it to be merged with."""
    found = []
    for number in range(shape.rows):
        length = int(torch.randint(shape.tokens[0], shape.tokens[1] + 1, ()))
        ids, other = torch.randint(shape.vocabulary, (2, length)).tolist()
        row = {"input_ids": ids, "words": list(range(length)), "places": [], "other_ids": [], "other_words": []}
        if number < share * shape.rows:
            places = [-1 if place % 16 == 3 else place for place in range(length)]
            row |= {"places": places, "other_ids": other, "other_words": row["words"]}
        found.append(row)
    return found


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    out = work()
    return time.process_time() - start, out


def _measure(shape: Shape, share: float, repeats: int) -> dict[str, float]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    student, recipe = network(shape, shape.layers // 2).train(), Recipe(merge="expmean", lm_weight=0.0)
    teacher = Teacher(network(shape, shape.layers).eval().requires_grad_(False), recipe, blocks(shape))
    batch = collate(rows(shape, share), 0)
    optimizer = torch.optim.AdamW(student.parameters())
    pushed = torch.randn(*batch["input_ids"].shape, shape.vocabulary)
    turns: list[dict[str, float]] = []
    for _ in range(repeats):
        turn = {}
        turn["step"], loss = _seconds(lambda: terms(student, teacher, batch, recipe, Kind(True, 0, None)).total(recipe))
        turn["step"] += _seconds(loss.backward)[0]
        turn["whole"] = turn["step"] + _seconds(lambda: _optimize(student, optimizer))[0]
        with fused_activations(teacher.network), fused_activations(student):  # as the step has them
            with torch.no_grad():
                for part, ids, mask in (("texts", "input_ids", "attention_mask"), ("reversed", "other_ids", "other_mask")):
                    turn[part], _ = _seconds(partial(teacher.network, input_ids=batch[ids], attention_mask=batch[mask]))
            own = partial(student, input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
            turn["forward"], out = _seconds(own)
        turn["backward"], _ = _seconds(partial(out.logits.backward, pushed))
        target = Teacher(teacher.network, Recipe()).reads(batch)
        leaf = out.logits.detach().requires_grad_()
        turn["loss"], loss = _seconds(partial(_plain, leaf, batch, target))
        turn["loss"] += _seconds(loss.backward)[0]
        student.zero_grad(set_to_none=True)
        del out, loss, leaf, target, _
        turns.append(turn)
    bare = ("texts", "reversed", "forward", "backward")
    parts = (*bare, "loss")
    best = {name: min(turn[name] for turn in turns) for name in turns[0]}
    ratios = sorted(turn["step"] / sum(turn[part] for part in parts) for turn in turns)
    tokens = int(batch["attention_mask"].sum())
    return {
        **{name: 1e3 * seconds for name, seconds in best.items()},
        "ratio": best["step"] / sum(best[part] for part in parts),
        "bare": best["step"] / sum(best[part] for part in bare),
        "median": ratios[len(ratios) // 2],
        "tokens": tokens / best["whole"],
        "load": os.getloadavg()[0],
    }


def _plain(logits: torch.Tensor, batch: dict[str, torch.Tensor], target: Any) -> torch.Tensor:
    """The loss of plain distillation."""
    real = batch["attention_mask"].bool()
    kd, _ = vocabulary_losses(logits, real, target=target, labels=None, temperature=2.0)
    assert kd is not None
    return kd


def _optimize(student: Any, optimizer: torch.optim.Optimizer) -> None:
    torch.nn.utils.clip_grad_norm_(student.parameters(), 5.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


if __name__ == "__main__":
    print(json.dumps(_measure(SHAPES[sys.argv[1]], float(sys.argv[2]), int(sys.argv[3]))))
