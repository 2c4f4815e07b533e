"""The Equity Evaluation Corpus. The rows here are our own, in the shape of the published file."""

from __future__ import annotations

import csv
from collections import Counter

import pytest
from fairbench.tasks import equity_evaluation_corpus as eec

from fairbench import data
from fairbench.errors import FairbenchError
from fairbench.records import Labelled

FRAME = "<person subject> hums in a <emotion word> way."
PLAIN = "The dog barks at <person object>."


def row(number, person, gender, race="", word="cheerful", emotion="joy", template=FRAME) -> dict[str, str]:
    sentence = template.replace("<emotion word>", word)
    for slot in ("<person subject>", "<person object>"):
        sentence = sentence.replace(slot, person)
    values = (f"test-{number}", sentence[0].upper() + sentence[1:], template, person, gender, race, emotion, word)
    return dict(zip(eec.COLUMNS, values, strict=True))


ROWS = [
    row(1, "Una", "female", "European"),
    row(2, "Otto", "male", "African-American"),
    row(3, "my uncle", "male"),
    row(4, "my aunt", "female"),
    row(5, "my aunt", "female", word="gloomy", emotion="sadness"),
    row(6, "my uncle", "male", word="gloomy", emotion="sadness"),
    row(7, "him", "male", word="", emotion="", template=PLAIN),
    row(8, "her", "female", word="", emotion="", template=PLAIN),
]


def parsed(*rows) -> dict[str, Labelled]:
    return {record.id: record for record in eec.records(rows, "equity_evaluation_corpus")}


def test_a_row_is_a_text_without_a_label_that_speaks_of_a_gender_and_of_a_race_where_it_has_one():
    found = parsed(*ROWS)
    assert found["test-1"] == Labelled(
        id="test-1",
        cluster=f"{FRAME} cheerful",
        text="Una hums in a cheerful way.",
        label=None,
        groups=("gender:female", "race:European"),
        meta={"person": "Una", "emotion": "joy", "emotion_word": "cheerful"},
    )
    assert found["test-3"].groups == ("gender:male",)
    assert found["test-8"].meta == {"person": "her", "emotion": None, "emotion_word": None}
    assert found["test-8"].cluster == PLAIN


def test_a_woman_is_the_counterfactual_of_the_man_in_her_place():
    assert {name: record.source for name, record in parsed(*ROWS).items()} == {
        "test-1": None, "test-2": None, "test-3": None, "test-4": "test-3", "test-5": "test-6", "test-6": None,
        "test-7": None, "test-8": "test-7",
    }  # fmt: skip


def test_the_persons_are_paired_one_to_one():
    assert len(set(eec.OF_FEMALE.values())) == len(eec.OF_FEMALE) == 11
    assert not set(eec.OF_FEMALE) & set(eec.OF_FEMALE.values())


def test_frames_come_whole():
    clusters = [record.cluster for record in eec.records(ROWS, "equity_evaluation_corpus")]
    assert len(list(dict.fromkeys(clusters))) == sum(a != b for a, b in zip(clusters, ["", *clusters], strict=False)) == 3
    assert clusters == [record.cluster for record in eec.records(sorted(ROWS, key=str), "equity_evaluation_corpus")]


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ([row(1, "my aunt", "female")], "there is no sentence about 'my uncle' in the place of 'my aunt'"),
        ([row(1, "my aunt", "female"), row(2, "my uncle", "male", word="glum")], "there is no sentence about 'my uncle'"),
        ([row(1, "Una", "Female")], "column Gender: found 'Female', wanted one of female, male"),
        ([row(1, "Una", "female", "Martian")], "column Race: found 'Martian'"),
    ],
)
def test_what_does_not_fit_is_refused_by_row(rows, wanted):
    with pytest.raises(FairbenchError) as caught:
        parsed(*rows)
    assert str(caught.value).startswith("Row 1 of equity_evaluation_corpus (test-1)")
    assert wanted in str(caught.value)


def test_a_file_of_that_shape_is_read(tmp_path):
    path = tmp_path / "equity_evaluation_corpus/Equity-Evaluation-Corpus.csv"
    path.parent.mkdir()
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, eec.COLUMNS)
        writer.writeheader()
        writer.writerows(ROWS)
    found = data.check(eec.INFO, "equity_evaluation_corpus", eec.records, tmp_path)
    assert (found.n, found.error) == (8, None)


def test_metrics_that_need_a_gold_label_have_nothing_to_score():
    """A missing label is left out and counted; it is never taken for a class."""
    from fairbench.records import to_frame
    from fairbench.scores import MetricInfo
    from fairbench.tables import complete, usable

    card = {
        "title": "t", "reads": "Labelled", "probe": "classification", "kind": "extrinsic", "ideal": 0.0, "low": 0.0, "high": 1.0,
        "direction": "d", "construct": "c", "formula": "f", "cite": "c",
    }  # fmt: skip
    answers = to_frame(parsed(*ROWS).values()).assign(probs=[[0.4, 0.6]] * len(ROWS))
    needs = MetricInfo(columns=("probs", "label"), **card)
    kept, left_out = usable(complete(answers, needs), needs)
    assert (len(kept), sum(left_out.values())) == (0, len(ROWS))
    needs_none = MetricInfo(columns=("probs",), **card)
    kept, left_out = usable(complete(answers, needs_none), needs_none)
    assert (len(kept), left_out, Counter(kept["prediction"])) == (len(ROWS), {}, {1: len(ROWS)})


def test_the_published_file(real):
    if data.status({"eec": eec.INFO}, real)[0].state == "absent":
        pytest.skip("the authors ask not to pass the corpus on")
    task = "equity_evaluation_corpus"
    records = list(eec.records(data.rows(eec.INFO, task, real), task))
    assert Counter(Counter(record.cluster for record in records).values()) == {60: 144}
    assert sum(record.source is not None for record in records) == 1440
    assert Counter(group for record in records for group in record.groups) == {
        "gender:female": 4320, "gender:male": 4320, "race:European": 2880, "race:African-American": 2880,
    }  # fmt: skip
