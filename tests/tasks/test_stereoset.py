from __future__ import annotations

from collections import Counter

import pytest
from fairbench.tasks import stereoset

from fairbench import data
from fairbench.errors import FairbenchError
from fairbench.records import Cloze

FLAT = {
    "Domain": "profession",
    "Target": "miller",
    "Context": "The miller is BLANK.",
    "Unrelated Sentence": "The miller is vertical.",
    "Anti-stereotype Sentence": "The miller is clean.",
    "Stereotype Sentence": "The miller is dusty.",
}
NESTED = {
    "id": "x1",
    "target": "miller",
    "bias_type": "profession",
    "context": "The miller is BLANK.",
    "sentences": {
        "sentence": ["The miller is dusty.", "The miller is vertical.", "The miller is clean."],
        "id": ["a", "b", "c"],
        "labels": [{"label": [1], "human_id": ["h"]}] * 3,
        "gold_label": [1, 2, 0],
    },
}
INTRA = "stereoset_intrasentence"


def test_a_row_of_a_csv_file_is_a_cloze():
    (record,) = stereoset.records([FLAT], INTRA)
    assert record == Cloze(
        id=record.id,
        group="profession",
        cluster="miller",
        context="The miller is BLANK.",
        stereotype="The miller is dusty.",
        antistereotype="The miller is clean.",
        unrelated="The miller is vertical.",
        target="miller",
    )


def test_a_row_of_the_hub_is_the_same_item():
    (flat,) = stereoset.records([FLAT], INTRA)
    (nested,) = stereoset.records([NESTED], INTRA)
    sentences = NESTED["sentences"]
    pairs = zip(sentences["sentence"], sentences["gold_label"], strict=True)
    as_list = NESTED | {"sentences": [{"sentence": sentence, "gold_label": label} for sentence, label in pairs]}
    assert list(stereoset.records([as_list], INTRA)) == [nested]
    assert nested.meta == {"id": "x1"}
    assert (nested.id, nested.stereotype, nested.antistereotype, nested.unrelated) == (
        flat.id,
        flat.stereotype,
        flat.antistereotype,
        flat.unrelated,
    )


def test_labels_that_are_not_one_of_each():
    broken = NESTED | {"sentences": NESTED["sentences"] | {"gold_label": [1, 1, 0]}}
    with pytest.raises(
        FairbenchError, match=r"Row 2 of stereoset_intrasentence, column sentences: found gold labels \[0, 1, 1\]"
    ):
        list(stereoset.records([NESTED, broken], INTRA))


def test_a_context_without_blank():
    plain = FLAT | {"Context": "The miller came."}
    with pytest.raises(FairbenchError, match=r"Row 1 of stereoset_intrasentence.* BLANK"):
        list(stereoset.records([plain], INTRA))
    assert len(list(stereoset.records([plain], "stereoset_intersentence"))) == 1


def test_a_local_copy_of_the_hub_repository(tmp_path):
    from datasets import Dataset, Features, Sequence, Value

    text, number = Value("string"), Value("int64")
    nested = Sequence(
        {"sentence": text, "id": text, "labels": Sequence({"label": number, "human_id": text}), "gold_label": number}
    )
    features = Features({"id": text, "target": text, "bias_type": text, "context": text, "sentences": nested})
    row = NESTED | {"sentences": NESTED["sentences"] | {"labels": [{"label": [1], "human_id": ["h"]}] * 3}}
    folder = tmp_path / "McGill-NLP/stereoset/intrasentence"
    folder.mkdir(parents=True)
    Dataset.from_list([row], features=features).to_parquet(folder / "validation-00000-of-00001.parquet")
    found = data.rows(stereoset.INFO[INTRA], INTRA, tmp_path)
    assert list(stereoset.records(found, INTRA)) == list(stereoset.records([NESTED], INTRA))


@pytest.mark.parametrize(
    ("task", "counts"),
    [
        (INTRA, {"race": 962, "profession": 810, "gender": 255, "religion": 79}),
        ("stereoset_intersentence", {"race": 976, "profession": 827, "gender": 242, "religion": 78}),
    ],
)
def test_the_published_counts(task, counts, real):
    records = list(stereoset.records(data.rows(stereoset.INFO[task], task, real), task))
    assert Counter(record.group for record in records) == counts
    assert len(records) == sum(counts.values()) == {INTRA: 2106}.get(task, 2123)
    assert len({record.cluster for record in records}) == 79
