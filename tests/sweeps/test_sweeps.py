"""Sweeps on the shipped planted models: the same numbers as single runs, answers made once, nothing undefined made a number."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fairbench
from fairbench import FairbenchError, preparation, study
from fairbench.measurement import MeasureOptions
from fairbench.plan import ScoreOptions
from fairbench.probes import embedding, likelihood
from fairbench.registry import Registry
from fairbench.sweeps.choices import plan_sweep
from fairbench.sweeps.run import sweep
from fairbench.sweeps.spreads import Outcome, Spread

CAUSAL, MASKED = "planted:causal-1.0", "planted:masked-1.0"


def options(folder: Path, **changes: object) -> ScoreOptions:
    usual = {"tasks": ("weat_6",), "output_path": folder, "measure": MeasureOptions(draws=200)}
    return ScoreOptions(**{**usual, **changes})  # type: ignore[arg-type]


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often a model is loaded and the embedding probe is asked."""
    seen = {"loads": 0, "asked": 0}
    load, answer = preparation.load, embedding.answer

    def counting_load(card, head=None):
        seen["loads"] += 1
        return load(card, head)

    def counting_answer(*arguments):
        seen["asked"] += 1
        return answer(*arguments)

    monkeypatch.setattr(preparation, "load", counting_load)
    monkeypatch.setattr(embedding, "answer", counting_answer)
    return seen


def test_every_choice_is_what_a_single_run_gives(tmp_path, work):
    found = sweep(CAUSAL, options(tmp_path / "sweep"), {"pooling": ("mean", "last"), "layer": ("0", "2")})
    assert work == {"loads": 1, "asked": 4}
    assert [o.choice for o in found.spreads[0].outcomes] == [
        {"pooling": pooling, "layer": layer} for pooling, layer in (("mean", 2), ("mean", 0), ("last", 0), ("last", 2))
    ]
    for outcome in found.spreads[0].outcomes:
        alone = study.score(CAUSAL, options(tmp_path / "alone", probe={k: str(v) for k, v in outcome.choice.items()}))
        score = alone.results[0].score
        assert (outcome.value, outcome.n, outcome.interval) == (score.value, score.n, score.interval)
        name = Path(str(outcome.result)).name
        assert (tmp_path / "sweep" / found.folder.name / "weat_6" / name).exists()
        assert (alone.folder / "weat_6" / name).exists(), "a choice lies where a single run would put it"
    assert [o.default for o in found.spreads[0].outcomes] == [True, False, False, False]


def test_answers_are_taken_up_by_sweeps_and_by_single_runs(tmp_path, work):
    sweep(CAUSAL, options(tmp_path), {"pooling": (), "words": ("3",)})
    assert work == {"loads": 1, "asked": 3}
    sweep(CAUSAL, options(tmp_path), {"pooling": ("first", "last"), "words": ("9",)})
    study.score(CAUSAL, options(tmp_path, probe={"pooling": "first"}))
    assert work == {"loads": 1, "asked": 3}
    sweep(CAUSAL, options(tmp_path), {"layer": ("1",)})
    assert work == {"loads": 2, "asked": 4}


def test_without_values_all_that_the_model_has_is_tried(tmp_path):
    plan = plan_sweep(MASKED, options(tmp_path, tasks=("planted_pairs", "weat_6")), {"layer": (), "pooling": (), "scorer": ()})
    scores = {score.name: score for score in plan.scores}
    pairs, words = scores["planted_pairs/crows_pairs"], scores["weat_6/weat"]
    assert [choice["scorer"] for choice, _ in pairs.choices] == list(likelihood.SCORERS["masked", "Pair"])
    assert {(c["layer"], c["pooling"]) for c, _ in words.choices} == {
        (layer, pooling) for layer in (0, 1, 2, "input") for pooling in ("mean", "first", "last")
    }
    assert plan.skipped["weat_6 over scorer"] == "the embedding probe, which answers it, has no scorer"
    assert not any(tmp_path.iterdir())


def test_two_names_of_one_choice_are_one_choice(tmp_path):
    plan = plan_sweep(CAUSAL, options(tmp_path), {"layer": ("-1", "2", "1", "1")})
    assert [choice for choice, _ in plan.scores[0].choices] == [{"layer": 2}, {"layer": 1}]


def test_the_users_own_options_are_the_default(tmp_path):
    found = sweep(CAUSAL, options(tmp_path, probe={"layer": "0"}), {"pooling": ("first",)})
    assert [(o.choice["pooling"], o.default) for o in found.spreads[0].outcomes] == [("mean", True), ("first", False)]
    name = "weat@draws=200,layer=0,over=pooling-first.json"
    assert [p.name for p in (found.folder / "sweeps" / "weat_6").iterdir()] == [name]


def test_what_is_undefined_is_listed_with_its_reason_and_is_no_number(tmp_path):
    """The first token of a masked model is the same for every text, and so is its embedding."""
    found = sweep(MASKED, options(tmp_path), {"layer": ("0", "1"), "pooling": ("first",)})
    spread = found.spreads[0]
    undefined = [o for o in spread.outcomes if o.value is None]
    assert [o.choice for o in undefined] == [{"layer": 0, "pooling": "first"}]
    assert "same association" in str(undefined[0].undefined) and undefined[0].interval is None
    summary = spread.summary()
    values = [o.value for o in spread.outcomes if o.value is not None]
    assert (summary["choices"], summary["undefined"]) == (3, 1)
    assert summary["mean"] == pytest.approx(np.mean(values)) and summary["low"] == min(values)
    frame = found.to_frame()
    assert frame["value"].isna().sum() == 1 and frame["undefined"].notna().sum() == 1
    assert "NaN" not in next((found.folder / "sweeps").rglob("*.json")).read_text()


def test_templates_are_parts_of_the_same_answers(tmp_path):
    found = sweep(CAUSAL, options(tmp_path, tasks=("planted_pairs",), metrics=("crows_pairs_margin",)), {"template": ()})
    spread = found.spreads[0]
    answers = pd.read_parquet(next(found.folder.glob("answers/*.parquet")))
    margin = answers["score_more"] - answers["score_less"]
    for outcome in spread.outcomes:
        kind, _, name = str(outcome.choice["template"]).partition(" ")
        rows = {"all": margin == margin, "only": answers["meta.template"] == name, "without": answers["meta.template"] != name}
        assert outcome.value == pytest.approx(margin[rows[kind]].mean(), abs=1e-9)
        assert outcome.n == rows[kind].sum()
        assert (outcome.interval is not None) == (kind == "all") == (outcome.result is not None) == outcome.default
    assert len(spread.outcomes) == 9


def test_halves_of_the_words_are_the_metric_on_those_words(tmp_path):
    found = sweep(CAUSAL, options(tmp_path), {"words": ("5",)})
    outcomes = found.spreads[0].outcomes
    answers = pd.read_parquet(next(found.folder.glob("answers/*.parquet")))
    weat = Registry().metric("weat")
    assert [o.choice["words"] for o in outcomes] == ["all", *(f"half {n}" for n in range(1, 6))]
    for outcome in outcomes[1:]:
        chosen = answers[[row.cluster in outcome.words[row.role] for row in answers.itertuples()]]
        assert {role: len(words) for role, words in outcome.words.items()} == dict.fromkeys(chosen["role"].unique(), 4)
        assert outcome.n == 16
        assert outcome.value == pytest.approx(float(weat.values(chosen, np.ones((1, 16)), 1)[0]), abs=1e-12)


def test_the_seed_decides_the_halves(tmp_path):
    runs = [
        sweep(CAUSAL, options(tmp_path, measure=MeasureOptions(draws=0, seed=seed)), {"words": ()}).spreads[0]
        for seed in (1, 1, 2)
    ]
    assert len(runs[0].outcomes) == 21
    assert runs[0].outcomes == runs[1].outcomes
    assert [o.words for o in runs[0].outcomes] != [o.words for o in runs[2].outcomes]


def test_all_axes_together_are_all_combinations(tmp_path):
    axes = {"scorer": ("sum", "mean"), "template": (), "words": ("2",)}
    spread = sweep(CAUSAL, options(tmp_path, tasks=("planted_pairs",), metrics=("crows_pairs",)), axes).spreads[0]
    assert len(spread.outcomes) == len({tuple(o.choice.values()) for o in spread.outcomes}) == 2 * 9 * 3
    assert sum(o.result is not None for o in spread.outcomes) == 2


@pytest.mark.parametrize(
    ("axes", "changes", "said"),
    [
        ({}, {}, "nothing to sweep"),
        ({"pool": ()}, {}, "Did you mean pooling"),
        ({"scorer": ()}, {}, "--sweep scorer: nothing that was asked for"),
        ({"pooling": ("maen",)}, {}, "Did you mean mean"),
        ({"layer": ("9",)}, {}, "no layer 9"),
        ({"template": ()}, {}, "weat_6: its records name no template"),
        ({"template": ("a",)}, {}, "takes no values"),
        ({"template": ()}, {"tasks": ("planted_pairs",), "limit": 1}, "all of its records have one template"),
        ({"words": ("3",)}, {"tasks": ("planted_slots",), "metrics": ("lpbs_gap",)}, "same templates; halves need two or more"),
        ({"words": ("half",)}, {}, "how many halves"),
        ({"words": ("0",)}, {}, "how many halves"),
        ({"words": ("3", "4")}, {}, "how many halves"),
        ({"context": ()}, {"tasks": ("planted_cloze",)}, "--sweep context=FIRST,SECOND"),
        ({"scorer": ("pll",)}, {"tasks": ("planted_pairs",)}, "pll"),
        ({"scorer": ()}, {"tasks": ("planted_passages",)}, "more than one choice of it"),
    ],
)
def test_a_wrong_sweep_is_refused_before_any_model_work(tmp_path, work, axes, changes, said):
    with pytest.raises(FairbenchError, match=said):
        sweep(CAUSAL, options(tmp_path, **changes), axes)
    assert work == {"loads": 0, "asked": 0}
    assert not any(p.is_file() for p in tmp_path.rglob("*"))


def test_in_a_suite_an_axis_that_a_task_has_not_is_skipped_with_the_reason(tmp_path):
    wanted = options(tmp_path, tasks=(), suite="planted", metrics=("weat", "crows_pairs", "perplexity"))
    found = sweep(CAUSAL, wanted, {"scorer": (), "template": ()})
    axes = {spread.task: spread.axes for spread in found.spreads}
    assert axes["planted_pairs"] == axes["planted_town_pairs"] == ("scorer", "template")
    assert "planted_associations" not in axes and "planted_passages" not in axes
    assert found.skipped["planted_associations over template"] == "its records name no template"
    assert found.skipped["planted_passages over scorer"].endswith("leaves this model no choice of scorer")


def test_a_choice_that_fails_is_undefined_and_the_others_go_on(tmp_path, monkeypatch):
    real = embedding.answer

    def fails_at_last(model, records, chosen, batching):
        if chosen["pooling"] == "last":
            raise RuntimeError("out of memory")
        return real(model, records, chosen, batching)

    monkeypatch.setattr(embedding, "answer", fails_at_last)
    found = sweep(CAUSAL, options(tmp_path), {"pooling": (), "words": ("2",)})
    outcomes = found.spreads[0].outcomes
    assert [o.choice["pooling"] for o in outcomes] == ["mean"] * 3 + ["first"] * 3 + ["last"]
    assert outcomes[-1].value is None and "out of memory" in str(outcomes[-1].undefined)
    assert list(found.failed) == ["weat_6/weat at pooling last"]
    assert found.spreads[0].summary()["undefined"] == 1


def test_a_metric_that_fails_at_one_choice_keeps_the_others(tmp_path):
    path = tmp_path / "more" / "metrics" / "picky.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "from fairbench.metrics.crows_pairs import SHARE as INFO, crows_pairs\ndef picky(answers, weights):\n"
        "    if answers['score_more'].mean() > -6:\n        raise KeyError('too good')\n"
        "    return crows_pairs(answers, weights)\n"
    )
    wanted = options(
        tmp_path, tasks=("planted_pairs",), metrics=("picky", "crows_pairs"), include_path=(tmp_path / "more",), limit=20
    )
    found = sweep(CAUSAL, wanted, {"scorer": ("sum", "mean")})
    picky, other = found.spreads
    assert [o.value is None for o in picky.outcomes] == [False, True] and "too good" in str(picky.outcomes[1].undefined)
    assert all(o.value is not None for o in other.outcomes)
    assert list(found.failed) == ["planted_pairs/picky at scorer mean"]


def test_the_file_says_what_was_done(tmp_path):
    found = sweep(CAUSAL, options(tmp_path, measure=MeasureOptions()), {"pooling": ("last",), "words": ("2",)})
    path = found.folder / "sweeps" / "weat_6" / "weat@over=pooling-last+words-2.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    assert list(content) == ["schema", "metric", "task", "model", "probe", "sweep", "run"]
    assert content["schema"] == 1 and content["model"]["weights_sha256"] and content["task"]["data"]["files"]
    assert content["probe"]["options"]["pooling"] == "mean", "the default's options"
    assert content["run"]["axes"] == {"pooling": ["last"], "words": ["2"]} and content["run"]["versions"]["fairbench"]
    assert content["run"]["measure"]["seed"] == 1234
    assert content["sweep"]["summary"] == found.spreads[0].summary()
    assert content["sweep"]["outcomes"][1]["words"]["target_x"] == list(found.spreads[0].outcomes[1].words["target_x"])
    assert "weat@pooling=last,none" in json.loads((found.folder / "results.json").read_text())["results"]["weat_6"]


def spread(*values: float | None, ideal: float = 0.0) -> Spread:
    outcomes = tuple(Outcome(choice={"layer": n}, value=v, n=8, default=n == 0) for n, v in enumerate(values))
    return Spread(task="t", metric="m", axes=("layer",), ideal=ideal, outcomes=outcomes)


def test_a_summary_by_hand():
    found = spread(0.5, -0.1, 0.3, None, 0.0).summary()
    assert (found["choices"], found["undefined"], found["low"], found["high"]) == (5, 1, -0.1, 0.5)
    assert found["mean"] == pytest.approx(0.175) and found["sd"] == pytest.approx(0.2753785273643051)
    assert found["same_side"] == 2, "0.5 and 0.3; the ideal itself is on neither side"
    assert spread(50.0, 50.0, 51.0, ideal=50.0).summary()["same_side"] == 2


def test_a_summary_of_nothing_is_null():
    found = spread(None, None).summary()
    assert {found[name] for name in ("low", "high", "mean", "sd", "same_side", "default")} == {None}
    assert spread(None, 1.0).summary()["same_side"] is None and spread(1.0).summary()["sd"] is None


def test_from_python(tmp_path):
    found = fairbench.sweep(CAUSAL, {"layer": [0, 1], "words": 3}, tasks=["weat_6"], output_path=tmp_path, draws=0)
    frame = found.to_frame()
    assert len(frame) == 3 * 4 and set(frame["layer"]) == {0, 1, 2} and frame["default"].sum() == 1
    assert len(fairbench.sweep(CAUSAL, ["pooling"], tasks="weat_6", output_path=tmp_path, draws=0).to_frame()) == 3
    with pytest.raises(FairbenchError, match="Did you mean pooling"):
        fairbench.sweep(CAUSAL, "poolin", tasks="weat_6", output_path=tmp_path)


def test_words_are_taken_from_tasks_that_leave_no_choice_of_them(tmp_path):
    wanted = options(tmp_path, tasks=("planted_slots", "planted_cloze"), metrics=("lpbs_gap", "stereoset_ss"))
    found = sweep(CAUSAL, wanted, {"words": ("2",)})
    assert [(s.task, len(s.outcomes)) for s in found.spreads] == [("planted_cloze", 3)]
    assert "halves need two or more" in found.skipped["planted_slots over words"]


def test_what_the_default_leaves_out_stands_in_the_spread_and_in_the_file(tmp_path):
    (tmp_path / "mine.txt").write_text(CORPUS, encoding="utf-8")
    wanted = options(tmp_path, tasks=("ceat_c6",), corpus=str(tmp_path / "mine.txt"), measure=MeasureOptions(draws=0))
    (found,) = (run := sweep(CAUSAL, wanted, {"pooling": ("last",)})).spreads
    alone = study.score(CAUSAL, wanted).results[0].score
    assert found.left_out == alone.left_out and sum(found.left_out.values()) == alone.n_total - alone.n > 0
    assert [(o.n, o.n_total) for o in found.outcomes] == [(alone.n, alone.n_total)] * 2
    content = json.loads((run.folder / found.file).read_text(encoding="utf-8"))["sweep"]
    assert content["left_out"] == alone.left_out and content["outcomes"][0]["n_total"] == alone.n_total


CORPUS = (
    "John and Mike are in the office. Amy and Joan are at home. The salary of the business is here. The wedding is for family."
)
