"""What becomes of bad answers of a classifier: a clear refusal, a counted exclusion, or an undefined score with its reason."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fairbench
from fairbench.cli import main
from fairbench.errors import FairbenchError
from fairbench.registry import Registry

N = 80


class ByRow(dict[int, Any]):
    """Cells by the numbers of their rows, from 1."""


def throughout(value: Any) -> ByRow:
    """One cell for all rows."""
    return ByRow(dict.fromkeys(range(1, N + 1), value))


CARDS = {
    name: card
    for name, card in Registry().metrics().items()
    if card.reads == "Labelled" and card.probe == "classification" and not card.variants
}
COMPARING = [name for name, card in CARDS.items() if card.by_notion]
OF_PROBS = [name for name, card in CARDS.items() if "probs" in card.columns]
AUCS = [name for name in CARDS if "auc" in name or name == "jigsaw_score"]
every = pytest.mark.parametrize("name", CARDS)


def rows(**changed: Any) -> list[dict[str, Any]]:
    """Good answers about two groups; `changed` replaces cells: a value for row 3, or ByRow."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(N):
        p = float(rng.uniform(0.02, 0.98))
        made.append({"label": number // 2 % 2, "groups": [("male", "female")[number % 2]], "probs": [1 - p, p]})
    for column, change in changed.items():
        for number, value in (change if isinstance(change, ByRow) else {3: change}).items():
            made[number - 1][column] = value
    return made


def table(**changed: Any) -> pd.DataFrame:
    return pd.DataFrame(rows(**changed))


def written(folder: Path, content: list[dict[str, Any]]) -> Path:
    path = folder / "answers.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in content), encoding="utf-8")
    return path


class Command:
    """`fairbench measure` in this process: its exit code, what it printed, and what it complained of."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        self.monkeypatch.setattr(sys, "argv", ["fairbench", "measure", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        said = self.capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(capsys, monkeypatch)


def test_there_are_metrics_to_try():
    assert {"accuracy", "macro_f1", "roc_auc", "subgroup_auc", "bpsn_auc", "bnsp_auc", "jigsaw_score"} <= set(CARDS)
    assert set(AUCS) == set(OF_PROBS)


@every
def test_good_answers_give_a_value(name: str):
    assert fairbench.measure(name, table(), draws=0).undefined is None


REFUSED = {
    "a label above the classes": ({"label": 2}, r"Row 3, column 'label': found 2\b.*number of a class of 0 to 1"),
    "a label below them": ({"label": -1}, r"Row 3, column 'label': found -1\b.*number of a class"),
    "half a label": ({"label": 0.5}, r"Row 3, column 'label': found 0.5.*number of a class"),
    "a label without end": ({"label": math.inf}, r"Row 3, column 'label': found inf.*number of a class"),
    "a word as a label": ({"label": "rotten"}, r"Row 3, column 'label': found 'rotten'.*number of a class"),
    "a list of labels": ({"label": [0, 1]}, r"Row 3, column 'label': found \[0, 1\].*number of a class"),
    "a prediction of no class": ({"prediction": ByRow(throughout(0) | {3: 7})}, "column 'prediction': found 7"),
    "a word as a prediction": (
        {"prediction": ByRow(throughout(1) | {3: "bad"})},
        "column 'prediction': found 'bad'",
    ),
    "logits": ({"probs": [-1.5, 3.5]}, r"Row 3, column 'probs': found 3.5.*between 0 and 1. If these are logits"),
    "a probability above one": ({"probs": [-0.2, 1.2]}, "Row 3, column 'probs': found .*between 0 and 1"),
    "probabilities of two labels at once": (
        {"probs": [0.7, 0.6]},
        "Row 3, column 'probs': the probabilities sum to 1.3, wanted 1",
    ),
    "probabilities of nothing": ({"probs": [0.0, 0.0]}, "Row 3, column 'probs': the probabilities sum to 0, wanted 1"),
    "three probabilities among two": ({"probs": [0.2, 0.3, 0.5]}, "Rows 1 and 3, column 'probs': found 2 and 3 probabilities"),
    "one probability in a list": ({"probs": [0.4]}, "Row 3, column 'probs': found 1 value, wanted a probability for each"),
    "no probability in a list": ({"probs": []}, "Row 3, column 'probs': found 0 values, wanted a probability for each"),
    "a word as probabilities": ({"probs": "likely"}, "Row 3, column 'probs': found 'likely', wanted a list of probabilities"),
    "words as probabilities": ({"probs": ["low", "high"]}, r"Row 3, column 'probs': found .*low.*wanted a list of probabilities"),
    "a table of probabilities": ({"probs": [[0.5, 0.5], [0.5, 0.5]]}, "Row 3, column 'probs': "),
    "probabilities by name": ({"probs": {"a": 0.4, "b": 0.6}}, "Row 3, column 'probs': found .*wanted a list of probabilities"),
}


@pytest.mark.parametrize("fault", REFUSED)
@pytest.mark.parametrize("name", ["accuracy", "bpsn_auc", "tpr_gap"])
def test_impossible_answers_are_refused_with_their_place(fault: str, name: str):
    changed, said = REFUSED[fault]
    with pytest.raises(FairbenchError, match=said) as error:
        fairbench.measure(name, table(**changed), draws=0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("fault", REFUSED)
def test_the_command_refuses_them_in_one_paragraph_with_code_2(fault: str, command: Command, tmp_path: Path):
    code, out, err = command("macro_f1", written(tmp_path, rows(**REFUSED[fault][0])))
    assert (code, out) == (2, "")
    assert err.startswith("fairbench: ") and "\n" not in err.strip() and "Traceback" not in err
    assert "column 'probs'" in err or "column 'label'" in err or "column 'prediction'" in err


@every
def test_impossible_answers_are_refused_by_every_metric(name: str):
    for changed in ({"label": "rotten"}, {"probs": [0.7, 0.6]}):
        with pytest.raises(FairbenchError, match="Row 3"):
            fairbench.measure(name, table(**changed), draws=0)


NOT_A_NUMBER = ByRow({3: [math.nan, math.nan], 10: [0.5, math.nan], 11: None, 12: math.nan, 13: [math.inf, 0.0]})


@every
def test_missing_probabilities_are_counted_and_change_nothing_else(name: str):
    score = fairbench.measure(name, table(probs=NOT_A_NUMBER), draws=0)
    what = "probs" if name in OF_PROBS else "prediction"
    assert score.left_out.pop(f"{what} is missing or not finite") == 5
    clean = fairbench.measure(name, table().drop(index=[row - 1 for row in NOT_A_NUMBER]), draws=0)
    assert score.value == clean.value and score.undefined is None
    assert (score.n_records, score.left_out, score.n_total) == (clean.n_records, clean.left_out, N)


def test_the_command_counts_them(command: Command, tmp_path: Path):
    code, out, _ = command("roc_auc", written(tmp_path, rows(probs=NOT_A_NUMBER)), "--json", "--draws", "50")
    score = json.loads(out)["score"]
    assert code == 0
    assert score["left_out"] == {"probs is missing or not finite": 5}
    assert (score["n"], score["n_total"]) == (N - 5, N) and score["value"] is not None


@every
def test_missing_labels_are_counted(name: str):
    score = fairbench.measure(name, table(label=ByRow({3: None, 5: math.nan})), draws=0)
    if "label" in CARDS[name].columns:
        assert score.left_out["label is missing or not finite"] == 2
    assert score.n_records + sum(score.left_out.values()) == N and score.value is not None


@every
def test_no_probability_at_all_is_undefined(name: str):
    score = fairbench.measure(name, table(probs=throughout(None)), draws=50)
    assert (score.value, score.undefined, score.n) == (None, "no answer could be used", 0)


@pytest.mark.parametrize("label", [0, 1])
@every
def test_one_class_alone_gives_a_value_or_a_reason(name: str, label: int):
    score = fairbench.measure(name, table(label=throughout(label)), draws=50)
    assert (score.value is None) == (score.undefined is not None)
    if name in AUCS:
        assert score.undefined == f"{'every' if label else 'no'} record has the class 1, and an AUC compares it with others"
        assert score.p_value is None and score.floor is None
    if name == "accuracy":
        assert score.value is not None


def test_the_command_says_why_one_class_has_no_auc(command: Command, tmp_path: Path):
    code, out, err = command("jigsaw_score", written(tmp_path, rows(label=throughout(0))), "--draws", "50")
    assert (code, err) == (0, "")
    assert "undefined: no record has the class 1" in out


EMPTY = {"no column": None, "nulls": None, "empty lists": [], "empty names": [""], "spaces": " "}


@pytest.mark.parametrize("kind", EMPTY)
@every
def test_an_empty_group_column_is_undefined_where_groups_are_compared(name: str, kind: str):
    answers = table(groups=throughout(EMPTY[kind]))
    answers = answers.drop(columns="groups") if kind == "no column" else answers
    score = fairbench.measure(name, answers, draws=50)
    if name in COMPARING:
        assert (score.value, score.undefined) == (None, "no record names a group")
        assert (score.p_value, score.interval, score.by_group) == (None, None, {})
    else:
        assert score.value is not None and score.by_group == {}


@pytest.mark.parametrize("name", COMPARING)
def test_groups_that_are_none_are_refused(name: str):
    with pytest.raises(FairbenchError, match=r"Row 3, column 'groups': found .*wanted the name of a group or a list of names"):
        fairbench.measure(name, table(groups=[["male"], ["female"]]), draws=0)
    with pytest.raises(FairbenchError, match=r"Row 3, column 'groups': found 'gender:', wanted notion:group"):
        fairbench.measure(name, table(groups=["gender:"]), draws=0)


@pytest.mark.parametrize("name", COMPARING)
def test_one_group_has_nothing_to_be_compared_with(name: str):
    score = fairbench.measure(name, table(groups=throughout(["male"])), draws=50)
    assert score.value is None and score.undefined and score.p_value is None


@every
def test_a_missing_column_is_named(name: str):
    for column in CARDS[name].columns:
        answers = table(prediction=throughout(1)).drop(columns=column)
        if column == "prediction":
            answers = answers.drop(columns="probs")
        with pytest.raises(FairbenchError, match=f"no column '{column}'"):
            fairbench.measure(name, answers, draws=0)


@every
def test_a_table_without_rows_is_undefined(name: str):
    assert fairbench.measure(name, table().iloc[:0], draws=50).undefined == "no answer could be used"


@pytest.mark.parametrize("name", ["accuracy", "roc_auc", "bpsn_auc"])
def test_a_single_probability_and_numbers_written_as_text_are_read(name: str, command: Command, tmp_path: Path):
    expected = fairbench.measure(name, table(), draws=0).value
    answers = table()
    single = answers.assign(probs=[p[1] for p in answers["probs"]], groups=[g[0] for g in answers["groups"]])
    assert fairbench.measure(name, single, draws=0).value == pytest.approx(expected, abs=1e-12)
    as_text = single.assign(probs=single["probs"].map(repr), label=single["label"].map(lambda c: f"{c}.0"))
    assert fairbench.measure(name, as_text, draws=0).value == pytest.approx(expected, abs=1e-12)
    single.to_csv(tmp_path / "single.csv", index=False)
    answers.assign(probs=answers["probs"].map(json.dumps), groups=answers["groups"].map(json.dumps)).to_csv(
        tmp_path / "lists.csv", index=False
    )
    for file in ("single.csv", "lists.csv"):
        code, out, err = command(name, tmp_path / file, "--json", "--draws", "0")
        assert (code, err) == (0, "")
        assert json.loads(out)["score"]["value"] == pytest.approx(expected, abs=1e-12)


def test_a_csv_with_words_for_probabilities_is_refused(command: Command, tmp_path: Path):
    (tmp_path / "a.csv").write_text("label,group,probs\n0,male,0.4\n1,female,likely\n", encoding="utf-8")
    code, out, err = command("roc_auc", tmp_path / "a.csv")
    assert (code, out) == (2, "")
    assert "Row 2, column 'probs': found 'likely'" in err
