"""Seconds of one core that the association tests take on vectors that are there, and how many times as long plain loops take.

Processor time, the least of some turns: on a machine with other work the clock on the wall tells of that work too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from fairbench.metrics import ceat, weat

from fairbench.records import ROLES
from fairbench.stats import random_effects
from tests.bench.shapes import ROOT

WORDS, CONTEXTS, WIDTH = 25, 100, 384
SAMPLES = 10_000
PERMUTATIONS = 100_000
PLAIN_DRAWS, PLAIN_PERMUTATIONS = 40, 5_000
"""So many of each do the plain loops; their time is told for as many as ours do."""


def compare(repeats: int) -> dict[str, float]:
    """Seconds and ratios by name, measured in a process that has one thread."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.bench.association", str(repeats)]
    done = subprocess.run(command, check=True, env=environment, cwd=ROOT, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _answers(contexts: int) -> pd.DataFrame:
    """Words whose names sort as their roles do."""
    rng = np.random.default_rng(0)
    rows = []
    for number, role in enumerate(ROLES):
        for word in range(WORDS):
            vectors = rng.normal(size=WIDTH) + rng.normal(size=(contexts, WIDTH))
            name = f"{number}-{word:02}"
            rows += [
                {"id": f"{name}/{i:03}", "role": role, "stratum": role, "cluster": name, "vector": v}
                for i, v in enumerate(vectors)
            ]
    return pd.DataFrame(rows)


def _least(repeats: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """The least processor time of some turns, and what came out."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        out = work()
        times.append(time.process_time() - start)
    return min(times), out


def _plain_ceat(vectors: dict[str, list[list[np.ndarray]]], samples: int) -> float:
    """CES by the definition, a draw and a word at a time."""
    rng = np.random.default_rng(0)
    studies = []
    for chosen in rng.integers([CONTEXTS] * 4 * WORDS, size=(samples, 4 * WORDS)).reshape(samples, 4, WORDS):
        sets = [[words[i] for words, i in zip(vectors[role], row, strict=True)] for role, row in zip(ROLES, chosen, strict=True)]
        s = [[_association(word, sets[2], sets[3]) for word in targets] for targets in sets[:2]]
        spread = np.std(s[0] + s[1], ddof=1)
        studies.append(((np.mean(s[0]) - np.mean(s[1])) / spread, spread**2))
    return float(random_effects(*np.array(studies).T).effect)


def _association(word: np.ndarray, a: list[np.ndarray], b: list[np.ndarray]) -> float:
    return _nearness(word, np.array(a)) - _nearness(word, np.array(b))


def _nearness(word: np.ndarray, others: np.ndarray) -> float:
    return float(np.mean(others @ word / (np.linalg.norm(others, axis=1) * np.linalg.norm(word))))


def _plain_weat(s: np.ndarray, permutations: int) -> float:
    """Two-sided p by shuffling the words once for every permutation."""
    rng = np.random.default_rng(0)
    seen = abs(s[:WORDS].mean() - s[WORDS:].mean())
    hits = 1
    for _ in range(permutations - 1):
        shuffled = s[rng.permutation(2 * WORDS)]
        hits += abs(shuffled[:WORDS].mean() - shuffled[WORDS:].mean()) >= seen
    return hits / permutations


def _measure(repeats: int) -> dict[str, float]:
    answers = _answers(CONTEXTS)
    ones = np.ones((1, len(answers)))
    value, _ = _least(repeats, lambda: ceat.ceat(answers, ones, np.random.default_rng(0), samples=SAMPLES))
    described, _ = _least(repeats, lambda: ceat.details(answers, np.random.default_rng(0), samples=SAMPLES))
    tested, _ = _least(repeats, lambda: ceat.significance(answers, np.random.default_rng(0), samples=SAMPLES))
    vectors = {
        role: [list(part.vector) for _, part in answers[answers.role == role].groupby("cluster", sort=True)] for role in ROLES
    }
    plain, expected = _least(1, lambda: _plain_ceat(vectors, PLAIN_DRAWS))
    ours = float(ceat.ceat(answers, ones, np.random.default_rng(0), samples=PLAIN_DRAWS)[0])
    single = _answers(1)
    permuted, p = _least(repeats, lambda: weat.weat_significance(single, np.random.default_rng(0)))
    s = weat._association(weat._sets(single), np.ones((1, len(single))))[0]
    shuffled, p_plain = _least(1, lambda: _plain_weat(s, PLAIN_PERMUTATIONS))
    return {
        "ceat_value": value,
        "ceat_all": value + described + tested,
        "ceat_permuting": tested - described,
        "ceat_ratio": plain * SAMPLES / PLAIN_DRAWS / value,
        "ceat_difference": abs(ours - expected),
        "weat": permuted,
        "weat_ratio": shuffled * PERMUTATIONS / PLAIN_PERMUTATIONS / permuted,
        "weat_difference": abs(p.value - p_plain),
    }


if __name__ == "__main__":
    print(json.dumps(_measure(int(sys.argv[1]))))
