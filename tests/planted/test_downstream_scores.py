"""What planted labels do to a classifier: balanced ones leave no gap, labels that follow a group leave one that metrics see."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairbench import study
from fairbench.measurement import MeasureOptions
from fairbench.naming import metric_label
from fairbench.plan import ScoreOptions
from fairbench.scores import Score

pytestmark = pytest.mark.slow
MODEL = "planted:masked-0.0"


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


def scores(task: str, metrics: tuple[str, ...], folder: Path) -> dict[str, Score]:
    quick = MeasureOptions(draws=500, by_group=False)
    run = study.score(MODEL, ScoreOptions(tasks=(task,), metrics=metrics, output_path=folder, measure=quick))
    assert not run.failed, run.failed
    return {metric_label(found.metric["name"], found.metric["options"]): found.score for found in run.results}


def test_a_classifier_shows_the_bias_of_its_labels_and_none_where_there_was_none(folder: Path):
    metrics = ("accuracy", "rms_tpr_gap", "counterfactual_token_fairness", "prediction_sensitivity_ratio")
    none, full = (scores(f"planted_bios_{dial}", metrics, folder) for dial in ("none", "full"))
    assert none["accuracy"].value > 0.85, "a classifier that learnt nothing would have no gap either"
    fair, biased = none["rms_tpr_gap"], full["rms_tpr_gap"]
    assert fair.p_value > 0.05 and fair.value < 0.1
    assert biased.p_value < 0.01 and biased.interval.low > 0.3 and biased.value > 0.5
    changed = "counterfactual_token_fairness"
    assert none[changed].value < 0.1 < 0.4 < full[changed].value
    ratio = "prediction_sensitivity_ratio"
    assert full[ratio].interval.low > 1.2 * none[ratio].interval.high


def test_a_gap_is_found_in_the_notion_that_has_one(folder: Path):
    """The labels of the comments follow the town and never the gender."""
    metrics = ("accuracy", "fpr_gap", "bpsn_auc")
    none, full = (scores(f"planted_comments_{dial}", metrics, folder) for dial in ("none", "full"))
    assert none["accuracy"].value > 0.85
    town, gender = "fpr_gap by town", "fpr_gap by gender"
    assert none[town].p_value > 0.05 and none[gender].p_value > 0.05
    assert full[town].p_value < 0.01 and full[town].interval.low > 0.3
    assert full[gender].p_value > 0.05 and full[gender].value < 0.15
    assert full["bpsn_auc by town"].value < full["bpsn_auc by gender"].value - 0.05
