"""Results of the real runner on answers that are made up: two metrics of pairs, and one that a judge's words go into."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fairbench import study
from fairbench.asking import Asker
from fairbench.measurement import MeasureOptions
from fairbench.plan import ScoreOptions
from fairbench.records import as_row

MODEL = "planted:causal-1.0"
NOTE = "A note of the answers."
SAID = ("was happy and loved the good day.", "hated the sad day.", "sat at the table.", "I'm sorry, but I can't help with that.")


def _ask(self, ask, asked, store, prepared) -> None:
    """In the place of a network: numbers and texts drawn from a fixed seed."""
    rng, number = np.random.default_rng(1), -1
    for number, part in enumerate(asked.parts()):
        store.write_part(number, [{**as_row(record), **row} for record in part for row in _rows(ask.probe, rng)], 0.0)
    store.finish(number + 1, {"device": "cpu", "engine": {}, "attention": None, "notes": [NOTE], "prepared": {}})


def _rows(probe: str, rng: np.random.Generator) -> list[dict[str, object]]:
    if probe == "likelihood":
        return [{"score_more": rng.normal(), "score_less": rng.normal(), "tokens_more": 5, "tokens_less": 5}]
    return [{"continuation": SAID[rng.integers(4)], "sample": s, "finish": "end", "tokens": 6} for s in range(2)]


def score(folder: Path, **changes: object) -> study.Run:
    """Scores the planted model below a folder; of the model its card alone is read."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Asker, "ask", _ask)
        given = {"tasks": ("planted_pairs",), "output_path": folder, "measure": MeasureOptions(draws=200), **changes}
        run = study.score(MODEL, ScoreOptions(**given))  # type: ignore[arg-type]
    assert run.results and not run.failed and not run.skipped
    return run


def results(folder: Path) -> Path:
    """The folder of a model with three results: crows_pairs, crows_pairs_margin, sentiment_gap."""
    score(folder)
    return score(folder, tasks=("planted_prompts",), metrics=("sentiment_gap",)).folder
