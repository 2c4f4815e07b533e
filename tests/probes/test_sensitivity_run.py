"""A whole run: a classifier and its protected-status model are trained, asked and measured, and taken up again."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairbench import study
from fairbench.measurement import MeasureOptions
from fairbench.models.model import ModelOptions
from fairbench.plan import ScoreOptions
from fairbench.training import fitting

SPEC = importlib.util.spec_from_file_location("gendered", Path(__file__).parent / "gendered.py")
gendered = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(gendered)

MODEL = "planted:masked-0.0"
METRICS = ("prediction_sensitivity", "prediction_sensitivity_ratio")
TASK = """
from fairbench.records import Labelled
from fairbench.scores import Source, TaskInfo
INFO = TaskInfo(
    title="Toy", form="Labelled",
    sources=(Source(format="csv", columns=("text", "label", "gender", "split"), files={"toy.csv": ""}),),
    licence="none", cite="none", language="en", groups=("gender:female", "gender:male"),
    metrics=("prediction_sensitivity", "prediction_sensitivity_ratio"), cluster="none", labels=("kind", "rotten"),
    probe_options={"train_on": "toy"},
)
def records(rows, task):
    for number, row in enumerate(rows):
        label, groups = int(row["label"]), (row["gender"],)
        meta = {"split": row["split"], "class": INFO.labels[label]}
        yield Labelled(id=str(number), text=row["text"], label=label, group=groups[0], groups=groups, meta=meta)
"""


@pytest.fixture
def asked(tmp_path: Path) -> ScoreOptions:
    """Options of a run on a task of two groups, in its own folder."""
    more, data = tmp_path / "more", tmp_path / "data"
    for folder in (more / "tasks", data):
        folder.mkdir(parents=True)
    (more / "tasks" / "toy.py").write_text(TASK, encoding="utf-8")
    rows = [
        {"text": record.text, "label": record.label, "gender": record.groups[0], "split": split}
        for split, n, seed in (("train", 160, 0), ("validation", 40, 1), ("test", 24, 2))
        for record in gendered.texts(n, seed, 1.0)
    ]
    table = pd.DataFrame(rows)
    learnt = set(table[table["split"] == "train"]["text"])
    table[(table["split"] != "test") | ~table["text"].isin(learnt)].to_csv(data / "toy.csv", index=False)
    return ScoreOptions(
        tasks=("toy",), include_path=(more,), data_dir=data, output_path=tmp_path / "out", model=ModelOptions(device="cpu"),
        probe={name: str(value) for name, value in gendered.QUICK.items()}, measure=MeasureOptions(draws=50),
    )  # fmt: skip


@pytest.mark.slow
def test_a_run_trains_both_asks_and_measures_and_the_next_takes_all_up(
    tmp_path: Path, asked: ScoreOptions, monkeypatch: pytest.MonkeyPatch
):
    told: list[str] = []
    run = study.score(MODEL, asked, lambda what, done, total: told.append(what))
    assert not run.failed, run.failed
    raw, ratio = (next(r for r in run.results if r.metric["name"] == name) for name in METRICS)
    table = pd.read_parquet(run.folder / ratio.answers["path"])
    assert {"probs", "prediction", "truncated", "sensitivity", "sensitivity_uniform", "tokens", "token_text"} <= set(table)
    weights, moved = np.concatenate(table["token_weight"].tolist()), np.concatenate(table["token_sensitivity"].tolist())
    assert (weights * moved).sum() == pytest.approx(table["sensitivity"].sum())
    assert ratio.score.value == pytest.approx(table["sensitivity"].sum() / table["sensitivity_uniform"].sum())
    assert raw.score.value == pytest.approx(table["sensitivity"].mean())
    assert raw.score.details["ratio"] == pytest.approx(ratio.score.value) and "class rotten" in raw.score.details
    assert set(ratio.score.by_group) == {"gender:female", "gender:male"} and ratio.score.interval is not None
    about = ratio.probe["training"]
    assert about["train"] == 160 and about["protected"]["best"]["macro_f1"] > 0.9
    assert ratio.probe["options"]["classes"] == "predicted" and ratio.probe["options"]["protected"] == "model"
    assert {"fine-tuning toy", "fine-tuning toy, the groups of all notions"} <= set(told)
    monkeypatch.setattr(fitting, "fit", None)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    again = study.score(MODEL, asked)
    assert not again.failed and [r.score for r in again.results] == [r.score for r in run.results]
    assert files == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    other = dataclasses.replace(asked, probe={**asked.probe, "protected": "words", "words": "gender"})
    monkeypatch.undo()
    words = study.score(MODEL, other)
    assert not words.failed and words.results[0].score.value != raw.score.value
    assert len([path for path in (run.folder / "classifiers").iterdir() if path.is_dir()]) == 2, "the classifier is the same"
    assert any("protected=words" in path.name for path in (run.folder / "toy").glob("*.json"))
