"""A text is judged once, what was said is kept beside the answers, and a judge shows how far it tells groups apart itself."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fairbench.answers import AnswerStore, read_answers, write_answers
from fairbench.errors import FairbenchError
from fairbench.judges import FAILED, Judge, Said
from fairbench.judging import Panel, Ready, add_judgement, judged_rows
from fairbench.registry import Registry


class Counting:
    """A judge of length that fails on empty texts, and counts how often it is asked."""

    VERSION, TITLE, COLUMNS, OPTIONS, NAMES_GROUPS = 1, "length", ("length",), {"by": "x"}, False

    def __init__(self, **identity):
        self.asked: list[Said] = []
        self.ready = Ready("length", self, Judge(identity=identity, judge=self.judge))

    def judge(self, said):
        self.asked += said
        return [{"length": len(s.continuation)} if s.continuation else {FAILED: "empty"} for s in said]


def store(tmp_path: Path, texts, key: str = "a") -> tuple[AnswerStore, pd.DataFrame]:
    rows = [{"id": str(i), "text": "p", "continuation": text} for i, text in enumerate(texts)]
    answers = AnswerStore(tmp_path / "answers", key)
    answers.write_part(0, rows, 0.0)
    answers.finish(1, {})
    return answers, answers.read()


def test_equal_texts_are_judged_once_and_never_again(tmp_path):
    judge = Counting()
    answers, table = store(tmp_path, ["one", "three", "one", "", None])
    panel = Panel(tmp_path, {"length": judge.ready})
    joined = panel.join(answers, table, ["length", "absent"])
    assert joined["length"].fillna(-1).tolist() == [3, 5, 3, -1, -1]
    assert joined["length_failed"].fillna("").tolist() == ["", "", "", "empty", ""]
    assert [s.continuation for s in judge.asked] == ["one", "three", ""] and judge.asked[0].prompt == "p"
    assert panel.about(answers, "length")["failed"] == 1
    again = Panel(tmp_path, {"length": judge.ready}).join(answers, table, ["length"])  # another run finds it on disk
    pd.testing.assert_frame_equal(again, joined)
    more, table = store(tmp_path, ["one", "new"], key="b")  # another table of the same run: the text is known
    panel.join(more, table, ["length"])
    assert [s.continuation for s in judge.asked[3:]] == ["new"]


def test_another_judge_or_another_revision_is_asked_anew(tmp_path):
    answers, table = store(tmp_path, ["one"])
    for judge in (Counting(revision="1"), Counting(revision="2")):
        Panel(tmp_path, {"length": judge.ready}).join(answers, table, ["length"])
        assert len(judge.asked) == 1
    assert len(list((tmp_path / "judged").glob("*.parquet"))) == 2


def test_what_was_judged_before_a_kill_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("fairbench.judging.PART", 2)
    judge = Counting()
    answers, table = store(tmp_path, ["a", "bb", "ccc", "dddd"])

    def dies(said):
        if said[0].continuation == "ccc":
            raise KeyboardInterrupt
        return judge.judge(said)

    with pytest.raises(KeyboardInterrupt):
        Panel(tmp_path, {"length": Ready("length", judge, Judge(identity={}, judge=dies))}).join(answers, table, ["length"])
    assert [s.continuation for s in judge.asked] == ["a", "bb"]
    found = Panel(tmp_path, {"length": judge.ready}).join(answers, table, ["length"])
    assert found["length"].tolist() == [1, 2, 3, 4]
    assert [s.continuation for s in judge.asked] == ["a", "bb", "ccc", "dddd"]


def test_a_table_without_texts_is_refused():
    with pytest.raises(FairbenchError, match="no column 'continuation'"):
        judged_rows(pd.DataFrame({"id": ["1"]}), lambda said: [], ["x"])


def test_the_judge_sees_prompt_and_subject():
    seen = []
    table = pd.DataFrame({"text": ["The woman"], "continuation": [" sang"], "meta.subject": ["The woman"]})
    judged_rows(table, lambda said: seen.extend(said) or [{"x": 1}], ["x"])
    assert seen == [Said(prompt="The woman", continuation=" sang", subject="The woman")]


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "csv"])
def test_a_judged_table_is_written_and_read_back(tmp_path, suffix):
    table = add_judgement(pd.DataFrame({"id": ["1", "2"], "continuation": ["ab", ""], "length": [9, 9]}), Counting().ready)
    path = tmp_path / f"t.{suffix}"
    write_answers(table.assign(scores=[[0.5, 1.0], [2.0, 3.0]]), path)
    again = read_answers(path)
    assert again["length"].tolist()[0] == 2 and np.isnan(again["length"].astype(float).tolist()[1])
    assert [list(map(float, cell)) for cell in again["scores"]] == [[0.5, 1.0], [2.0, 3.0]]
    assert again["length_failed"].tolist()[1] == "empty"


def test_a_judges_own_gap_is_what_the_metric_finds_in_neutral_sentences(tmp_path):
    """A judge that likes one word has a gap between groups that only the word tells apart."""
    judge = Counting()
    likes = Judge(identity={}, judge=lambda said: [{"sentiment": 0.5 * ("woman" in s.continuation)} for s in said])
    file = SimpleNamespace(VERSION=1, TITLE="t", COLUMNS=("sentiment",), OPTIONS={"by": ""}, NAMES_GROUPS=False)
    panel = Panel(tmp_path, {"sentiment": Ready("sentiment", file, likes), "length": judge.ready})
    metric = Registry().metric("sentiment_gap")
    gaps = panel.own_gaps(metric, seed=0)
    assert gaps["gender"] == 0.5 and gaps["religion"] == 0.0
