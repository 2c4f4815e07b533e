"""What a training would take, told before it."""

from __future__ import annotations

import dataclasses

import pytest

from fairbench.mitigation import trial
from fairbench.mitigation.making import MitigateOptions, estimate
from fairbench.mitigation.recipe import Recipe
from fairbench.mitigation.rows import Counted
from fairbench.mitigation.texts import TextOptions
from fairbench.models.model import ModelOptions


@pytest.mark.parametrize(
    ("counted", "texts", "tried", "held_out", "rows"),
    [
        (Counted(documents=90, rows=120), 100, 100, 0.1, 120),  # all of it was tried
        (Counted(documents=90, rows=180), 1_000, 100, 0.1, 1_800),
        (Counted(documents=45, rows=90, unmatched=45), 1_000, 100, 0.1, 900),
        (Counted(documents=100, rows=100), 100_000, 100, 0.1, 99_500),  # no more than 500 are held out
    ],
)
def test_rows_of_a_corpus_are_told_from_those_that_were_tried(counted, texts, tried, held_out, rows):
    assert trial._rows(counted, texts, tried, Recipe(held_out=held_out)) == rows


def test_a_plan_of_a_larger_corpus_than_is_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "TRIED_TEXTS", 30)
    wanted = MitigateOptions(
        method="distill", output_path=tmp_path / "model", corpus="planted:0.5",
        options={"epochs": 2, "batch_size": 8, "layers": "1"}, texts=TextOptions(documents=200), model=ModelOptions(device="cpu"),
    )  # fmt: skip
    plan = estimate("planted:causal-0.5", wanted)
    assert plan.what["steps"] == 2 * -(-plan.what["rows"] // 8) and 190 <= plan.what["rows"] <= 210
    assert plan.what["teacher_parameters"] > plan.what["student_parameters"] > 0
    fewer = estimate("planted:causal-0.5", dataclasses.replace(wanted, options={**wanted.options, "steps": 3}))
    assert fewer.what["steps"] == 3 and fewer.seconds < plan.seconds
    assert not any(tmp_path.iterdir())
