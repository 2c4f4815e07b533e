"""The demonstration says which planted models are biased, and why."""

from __future__ import annotations

import dataclasses

import pytest

from fairbench import demo
from fairbench.planted import card, names
from fairbench.study import score


def test_verdict_needs_one_rejected_test_after_holm(tmp_path):
    from fairbench.plan import ScoreOptions

    run = score("planted:causal-1.0", ScoreOptions(tasks=("planted_pairs", "planted_cloze"), output_path=tmp_path))
    said = demo.verdict("causal-1.0", run)
    assert said.biased and "BIASED" in said.sentence and "planted gap 0.90" in said.sentence

    def with_p(p: float) -> bool:
        results = tuple(r.model_copy(update={"score": dataclasses.replace(r.score, p_value=p)}) for r in run.results)
        return demo.verdict("causal-1.0", dataclasses.replace(run, results=results)).biased

    assert with_p(0.02) and not with_p(0.03)


@pytest.mark.slow
def test_every_model_gets_the_verdict_that_was_planted(tmp_path):
    verdicts = {v.model: v for _, v in demo.run_demo(tmp_path, lambda *_: None)}
    assert set(verdicts) == set(names())
    for name, said in verdicts.items():
        assert said.biased == (card(name)["planted_gap"] > 0), said.sentence
        assert "could be missed" in said.sentence or said.biased
