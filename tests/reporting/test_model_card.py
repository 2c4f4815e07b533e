from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from fairbench.errors import FairbenchError
from fairbench.reporting.model_card import CardOptions, model_card, write_model_card
from fairbench.reporting.tables import seen
from fairbench.tidy import WHOLE
from tests.reporting.kept_results import HOSTILE, Made, report, score
from tests.reporting.test_tables import cells

HUB = {"hub": "someone/pairs", "config": "english", "split": "test", "revision": "a" * 40, "url": None}


def front(text: str) -> dict[str, object]:
    """The YAML between the first two lines of ---."""
    _, block, _ = text.split("---\n", 2)
    found: dict[str, object] = yaml.safe_load(block)
    return found


def test_a_score_by_hand(tmp_path: Path) -> None:
    text = model_card(report(tmp_path, Made(data=HUB)), "m")
    (entry,) = front(text)["model-index"]
    (result,) = entry["results"]
    assert entry["name"] == "m"
    assert result["task"] == {"type": "text-generation", "name": "fairness of text generation"}
    assert result["dataset"] == {
        "type": "someone/pairs", "name": "someone/pairs", "config": "english", "split": "test", "revision": "a" * 40,
    }  # fmt: skip
    (metric,) = result["metrics"]
    assert metric["type"] == "crows_pairs" and metric["value"] == 39.99 and metric["verified"] is False
    said = {
        "low": 37.6,
        "high": 42.5,
        "level": 0.95,
        "ideal": 50.0,
        "n": 1508,
        "p_value": 0.25,
        "task": "pairs",
        "task_version": 1,
    }
    assert said.items() <= metric["args"].items()
    assert metric["args"]["direction"].startswith("above 50")
    assert "Measured with fairbench 0.3. Each" in text  # the version of the results, not of who writes the card
    assert cells(text)[0][1] == ["pairs", "crows_pairs", "39.99 [37.6, 42.5]", "50", "1508", "0.25"]


def test_a_task_from_a_file_is_named_with_its_place(tmp_path: Path) -> None:
    (found,) = ModelCard(model_card(report(tmp_path, Made(masked=True)), "m")).data.eval_results
    assert (found.dataset_type, found.dataset_name) == ("pairs", "pairs (https://example.org/a.csv)")
    assert found.dataset_revision is None
    assert found.task_type == "fill-mask"


def test_every_headline_value_comes_back(tmp_path: Path) -> None:
    some = [
        Made(value=100 / 3),
        Made(task="other", data=HUB),
        Made(task="other", data=HUB, variant="scorer=mean", value=41.0),
        Made(task="third", data=HUB, value=1e-7),
        Made(metric="crows_pairs_margin", value=0.25),
        Made(metric="perplexity", task="passages", value=12.5, form="Passage"),
    ]
    made = report(tmp_path, *some)
    table = made.table[(made.table["part"] == WHOLE) & made.table["headline"].map(bool)]
    wanted = {(row.task, row.metric, row.variant): row.value for row in table.itertuples()}
    found = ModelCard(model_card(made, "m")).data.eval_results
    assert len(found) == len(wanted) == 5
    assert {(one.metric_args["task"], one.metric_type, one.metric_config or ""): one.metric_value for one in found} == wanted
    assert {one.metric_args["task"] for one in found if one.dataset_type == "someone/pairs"} == {"other", "third"}


def test_a_card_is_the_same_after_a_second_reading(tmp_path: Path) -> None:
    text = model_card(report(tmp_path, Made(data=HUB), Made(task="t2", data=HUB), Made(model="other")), "m")
    once = ModelCard(text)
    assert ModelCard(str(once)).data.to_dict() == once.data.to_dict()
    assert str(once).rstrip() == text.rstrip()


def test_undefined_scores_are_in_the_text_only(tmp_path: Path) -> None:
    some = [Made(), Made(task="tied", value=None, score={"undefined": "every pair is a tie"})]
    text = model_card(report(tmp_path, *some), "m")
    (found,) = ModelCard(text).data.eval_results
    assert found.metric_args["task"] == "pairs"
    assert "- tied/crows_pairs: every pair is a tie" in text
    assert "null" not in text.split("---\n")[1] and ".nan" not in text


def test_a_card_of_undefined_scores_has_no_index(tmp_path: Path) -> None:
    text = model_card(report(tmp_path, Made(value=None, score={"undefined": "why"})), "m")
    assert set(front(text)) == {"tags"}
    assert "why" in text


def test_a_score_without_an_interval_has_no_ends(tmp_path: Path) -> None:
    made = Made(score={"interval": None, "p_value": None, "warnings": ("No interval: all draws agree.",)})
    (found,) = ModelCard(model_card(report(tmp_path, made), "m")).data.eval_results
    assert not {"low", "high", "level", "p_value"} & set(found.metric_args)
    assert found.metric_args["warnings"] == ["No interval: all draws agree."]
    assert not any(isinstance(value, float) and math.isnan(value) for value in found.metric_args.values())


def test_trials_are_refused_by_file(tmp_path: Path) -> None:
    made = report(tmp_path, Made(), Made(task="t2", limit=20, variant="limit=20"))
    with pytest.raises(FairbenchError, match=r"t2/crows_pairs@limit=20\.json.*without --limit"):
        model_card(made, "m")


def test_a_trial_of_another_model_does_not_matter(tmp_path: Path) -> None:
    made = report(tmp_path, Made(), Made(model="other", limit=20))
    assert "model-index" in front(model_card(made, "m"))


def test_unknown_models_and_models_without_headline_are_refused(tmp_path: Path) -> None:
    made = report(tmp_path, Made(metric="crows_pairs_margin", value=0.1, model="model"))
    with pytest.raises(FairbenchError, match="Did you mean model"):
        model_card(made, "modal")
    with pytest.raises(FairbenchError, match="no score of a headline metric"):
        model_card(made, "model")


NAMES = [
    HOSTILE,
    'a: "b" #c',
    "--- x",
    "a\n---\nb: c",
    "&anchor *alias !tag %",
    "{a: [b]}",
    "yes",
    "null",
    "1.0",
    "'",
    "שלום מודל",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_hostile_names(tmp_path: Path, name: str) -> None:
    warned = Made(model=name, score={"warnings": (name,)}, data={"url": name, "config": name})
    made = report(tmp_path, warned)
    (label,) = made.models
    text = model_card(made, label)
    card = ModelCard(text)
    (found,) = card.data.eval_results
    assert card.data.model_name == seen(label)
    assert found.metric_value == 39.99 and found.metric_args["warnings"] == [seen(name)]
    assert set(front(text)) == {"tags", "model-index"}
    assert "<script" not in card.text and "\u202e" not in text
    assert card.text.strip().startswith("# ")


def test_what_is_known_of_the_model(tmp_path: Path) -> None:
    options = CardOptions(model_name="My model", base_model="gpt2", licence="mit", language=("en",), tags=("causal",))
    data = ModelCard(model_card(report(tmp_path, Made()), "m", options)).data
    assert (data.model_name, data.base_model, data.license, data.language) == ("My model", "gpt2", "mit", ["en"])
    assert data.tags == ["fairbench", "fairness", "bias-evaluation", "causal"]


def test_the_text_says_what_a_score_does_not_show(tmp_path: Path) -> None:
    inner = score(Made(value=60.0))
    made = Made(score={"clean": inner, "flags": {"duplicate": 2}})
    text = model_card(report(tmp_path, made), "m")
    assert "Intrinsic scores look at a model's numbers" in text and "no proof that a model is fair" in text
    assert "no rule of pair quality flags" in text and cells(text)[1][1][2] == "clean"
    threat = report(tmp_path, made).metrics["crows_pairs"].threats[-1]
    assert threat.split(":")[0] in text


def test_no_path_of_this_machine_is_told(tmp_path: Path) -> None:
    made = report(tmp_path, Made(model="/home/someone/models/mine"))
    text = model_card(made, "mine")
    assert "/home" not in text and "mine" in text


def test_a_card_is_written_and_no_other_file_is_replaced(tmp_path: Path) -> None:
    made = report(tmp_path / "in", Made())
    path = write_model_card(made, "m", tmp_path / "card")
    assert path.read_text(encoding="utf-8") == model_card(made, "m")
    assert write_model_card(made, "m", tmp_path / "card") == path
    path.write_text("# Mine\n", encoding="utf-8")
    with pytest.raises(FairbenchError, match="without a README"):
        write_model_card(made, "m", tmp_path / "card")
    assert path.read_text(encoding="utf-8") == "# Mine\n"


def test_a_metric_that_is_not_installed_makes_no_entry(tmp_path: Path) -> None:
    """Nobody knows whether it is a headline then; it stands in the text."""
    made = report(tmp_path, Made(), Made(task="t2"))
    headline = made.table["headline"].where(made.table["task"] != "t2", None)
    text = model_card(dataclasses.replace(made, table=made.table.assign(headline=headline), metrics={}), "m")
    assert [one.metric_args["task"] for one in ModelCard(text).data.eval_results] == ["pairs"]
    assert cells(text)[1][1][0] == "t2"
