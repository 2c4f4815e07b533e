"""The demonstration says which planted models are biased, and why."""

from __future__ import annotations

import dataclasses
from pathlib import Path

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


@pytest.mark.slow
def test_the_biased_model_is_mitigated_at_a_small_price(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = Path("demo-results")  # a relative path, as `make demo` has it
    made = demo.mitigate_biased(output, lambda *_: None)
    scores = {change.what: (change.before.value, change.after.value) for change in made.changes}
    assert made.shrunk > 0.9 and made.product.about["method"] == "role-reversal-finetune"
    before, after = scores["perplexity of neutral text: the price"]
    assert after < 1.05 * before
    assert "mitigated" in made.verdict.sentence
    assert demo.mitigate_biased(output, lambda *_: None).product.fresh is False, "the same again finds it"
    page = demo.write_demo_report(output, made, lambda *_: None)
    text = page.read_text(encoding="utf-8")
    assert "causal-1.0-mitigated" in text and "closer to the ideal" in text
    assert list((page.parent / "figures").glob("training-*.svg")), "the course of the training is drawn"
