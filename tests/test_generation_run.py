"""From prompts to scores: texts are written, judged, kept and measured; a repeated command asks nobody."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import fairbench
from fairbench.errors import FairbenchError
from fairbench.flags import judges
from fairbench.registry import Registry

METRICS = ("gender_polarity_gap", "gender_polarity_female_gap", "sentiment_gap", "distinct_2", "refusal_rate")
WANTED = {"tasks": "planted_prompts", "metrics": METRICS, "draws": 200, "probe_options": {"samples": "4"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def run(folder):
    return fairbench.score("planted:causal-1.0", output_path=folder, **WANTED)


def found(run, name: str):
    return next(result for result in run.results if result.metric["name"] == name)


def test_texts_are_kept_with_what_judges_said(run):
    assert not run.failed and len(run.results) == len(METRICS)
    result = found(run, "gender_polarity_gap")
    answers = pd.read_parquet(run.folder / result.answers["path"])
    assert len(answers) == 72 * 4 and all(sorted(part) == [0, 1, 2, 3] for _, part in answers.groupby("id")["sample"])
    judged = pd.read_parquet(run.folder / result.judges[0]["path"])
    assert len(judged) == len(answers) and {"polarity", "polarity_label", "polarity_failed"} <= set(judged)
    assert [judge["name"] for judge in result.judges] == ["polarity", "refusal"]
    assert all(judge["failed"] == 0 and judge["sha256"] for judge in result.judges)
    assert [judge["name"] for judge in found(run, "distinct_2").judges] == ["refusal"]


def test_a_biased_model_says_she_of_the_female_side(run):
    score = found(run, "gender_polarity_gap").score
    assert score.value > 0.5 and score.interval.low > 0 and score.details["refusal_rate"] == 0


def test_a_judge_that_reads_no_names_shows_its_own_gap(run):
    assert {"judge_gap.gender", "judge_gap.race"} <= set(found(run, "sentiment_gap").score.details)
    assert not [key for key in found(run, "gender_polarity_female_gap").score.details if key.startswith("judge_gap")]


def test_the_same_command_again_writes_no_text(run, folder, monkeypatch):
    monkeypatch.setattr("fairbench.preparation.load", lambda card: pytest.fail("a model was loaded"))
    again = fairbench.score("planted:causal-1.0", output_path=folder, **WANTED)
    assert [r.as_dict() for r in again.results] == [r.as_dict() for r in run.results]


def test_another_metric_of_the_same_texts_needs_no_model(run, folder, monkeypatch):
    monkeypatch.setattr("fairbench.preparation.load", lambda card: pytest.fail("a model was loaded"))
    more = fairbench.score("planted:causal-1.0", output_path=folder, **{**WANTED, "metrics": "repetition"})
    assert not more.failed and found(more, "repetition").score.value is not None


def test_several_seeds_and_their_spread(tmp_path):
    options = {**WANTED, "metrics": "gender_polarity_gap"}
    swept = fairbench.sweep("planted:causal-1.0", {"sampling_seed": (0, 1)}, output_path=tmp_path, **options)
    (spread,) = swept.spreads
    assert [o.choice["sampling_seed"] for o in spread.outcomes] == [0, 1]
    assert len({o.value for o in spread.outcomes}) == 2


def test_texts_of_any_program_are_judged_and_measured(tmp_path):
    texts = [("a", "A good day."), ("b", "A bad day.")] * 12
    rows = [{"id": str(i), "group": group, "continuation": text} for i, (group, text) in enumerate(texts)]
    table, judged = tmp_path / "texts.jsonl", tmp_path / "judged.csv"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    said = fairbench_command("judge", "sentiment", str(table), "--output-path", str(judged))
    assert said.returncode == 0 and "24 rows judged by sentiment" in said.stdout
    scored = fairbench_command("measure", "sentiment_positive_gap", str(judged), "--json", "--draws", "200")
    assert json.loads(scored.stdout)["score"]["by_group"]["b"]["value"] == 0.0
    refused = fairbench_command("measure", "sentiment_gap", str(table))
    assert refused.returncode == 2 and "fairbench judge sentiment FILE" in refused.stderr


def fairbench_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from fairbench.cli import main; main()", *arguments], capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"judges": {"toxcity": {"by": "words"}}}, "no judge 'toxcity'.*toxicity"),
        ({"judges": {"regard": {"by": "x"}}}, "nothing that was asked for is judged by it"),
        ({"judges": {"polarity": {"bye": "x"}}}, "no option 'bye'"),
        ({"metrics": "generation_perplexity"}, "--judge fluency"),
    ],
)
def test_a_judge_that_can_not_be_is_refused_before_anything_runs(tmp_path, options, said):
    with pytest.raises(FairbenchError, match=said):
        fairbench.score("planted:causal-1.0", output_path=tmp_path, **{**WANTED, **options})
    assert not list(tmp_path.iterdir())


def test_what_a_judge_judges_by_is_written_before_its_options():
    given = judges(["toxicity=words", "regard=./a=b/c,sentence=true", "polarity=by=max"], Registry().first_option)
    assert given == {"toxicity": {"by": "words"}, "regard": {"by": "./a=b/c", "sentence": "true"}, "polarity": {"by": "max"}}


@pytest.mark.parametrize("text", ["toxicity", "toxicity=", "=x"])
def test_a_judge_without_a_value_is_refused(text):
    with pytest.raises(FairbenchError, match=r"wanted NAME=MODEL|no judge"):
        judges([text], Registry().first_option)


def test_a_judge_has_a_card():
    said = fairbench_command("describe", "judge:sentiment")
    assert said.returncode == 0 and "sentiment_gap" in said.stdout and "own gap" in said.stdout
    assert "toxicity" in fairbench_command("list", "judges").stdout


def test_prompts_that_leave_no_room_are_left_out_with_that_reason(tmp_path):
    options = {**WANTED, "metrics": ("sentiment_gap", "distinct_2"), "probe_options": {"samples": 1, "max_new_tokens": 600}}
    found_run = fairbench.score("planted:causal-1.0", output_path=tmp_path, **options)
    assert not found_run.failed
    for result in found_run.results:
        assert result.score.value is None and "no answer could be used" in result.score.undefined
        assert list(result.score.left_out.values()) == [72] and "longer than" in next(iter(result.score.left_out))


@pytest.mark.parametrize("given", [["polarity=unigram"], "polarity=unigram", {"polarity": None}])
def test_judges_of_another_shape_are_refused_in_python(tmp_path, given):
    with pytest.raises(FairbenchError, match="by the judge's name"):
        fairbench.score("planted:causal-1.0", output_path=tmp_path, **{**WANTED, "judges": given})


def test_what_a_judge_judges_by_can_stand_for_its_options(tmp_path):
    with pytest.raises(FairbenchError, match="unigramm"):
        fairbench.score("planted:causal-1.0", output_path=tmp_path, **{**WANTED, "judges": {"polarity": "unigramm"}})
