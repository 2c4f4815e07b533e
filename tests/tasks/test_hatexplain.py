"""HateXplain. The rows here are our own, in the shape of the published files."""

from __future__ import annotations

import csv
import json
from collections import Counter

import pytest
from fairbench.tasks import hatexplain

from fairbench import data
from fairbench.errors import FairbenchError
from fairbench.records import UNASKED, Labelled


def annotator(label, *targets, number=1) -> dict:
    return {"label": label, "annotator_id": number, "target": list(targets)}


POSTS = {
    "1_gab": {
        "post_id": "1_gab",
        "annotators": [annotator("hatespeech", "Women", "Asian"), annotator("hatespeech", "Asian"), annotator("normal", "None")],
        "rationales": [[0, 1, 0, 0], [0, 1, 0, 0]],
        "post_tokens": ["you", "rotten", "<user>", "!"],
    },
    "2_twitter": {
        "post_id": "2_twitter",
        "annotators": [annotator("normal", "None"), annotator("normal", "None"), annotator("offensive", "Other", "Arab")],
        "rationales": [],
        "post_tokens": ["a", "fine", "day"],
    },
    "3_gab": {
        "post_id": "3_gab",
        "annotators": [
            annotator("offensive", "Islam", "Arab", "Other"),
            annotator("normal", "Arab", "Islam", "Other"),
            annotator("offensive", "Other"),
        ],
        "rationales": [],
        "post_tokens": ["such", "rubbish"],
    },
    "4_gab": {
        "post_id": "4_gab",
        "annotators": [annotator("offensive", "Women"), annotator("normal", "None"), annotator("hatespeech", "Women")],
        "rationales": [],
        "post_tokens": ["nobody", "agrees"],
    },
}
DIVISIONS = {"train": ["1_gab"], "val": ["3_gab"], "test": ["2_twitter"]}


def documents(posts=None, divisions=None) -> list[dict[str, str]]:
    """The two files as they are read: whole, one after the other."""
    return [{"text": json.dumps(divisions or DIVISIONS)}, {"text": json.dumps(posts or POSTS)}]


def hub_row(name: str, split: str) -> dict:
    """A row of the Hub: numbers for labels, and a list for each field of the annotations."""
    post = POSTS[name]
    return {
        "id": name,
        "annotators": {
            "label": [hatexplain.LABELS.index(one["label"]) for one in post["annotators"]],
            "annotator_id": [one["annotator_id"] for one in post["annotators"]],
            "target": [one["target"] for one in post["annotators"]],
        },
        "rationales": post["rationales"],
        "post_tokens": post["post_tokens"],
        "split": split,
    }


def test_majority_communities_and_splits_of_the_published_file():
    assert list(hatexplain.records(documents(), "hatexplain")) == [
        Labelled(
            id="1_gab",
            text="you rotten <user> !",
            label=0,
            groups=("Asian",),
            meta={"split": "train", "class": "hatespeech"},
        ),
        Labelled(id="2_twitter", text="a fine day", label=1, meta={"split": "test", "class": "normal"}),
        Labelled(
            id="3_gab",
            text="such rubbish",
            label=2,
            groups=("Islam", "Arab"),
            meta={"split": "validation", "class": "offensive"},
        ),
    ]


def test_hateful_and_offensive_posts_are_toxic():
    found = {record.id: (record.label, record.meta["class"]) for record in hatexplain.records(documents(), "hatexplain_toxic")}
    assert found == {"1_gab": (1, "toxic"), "2_twitter": (0, "normal"), "3_gab": (1, "toxic")}


@pytest.mark.parametrize("task", hatexplain.INFO)
def test_the_hub_gives_the_same_records_as_the_file(task):
    rows = [hub_row("1_gab", "train"), hub_row("2_twitter", "test"), hub_row("3_gab", "validation")]
    assert list(hatexplain.records(rows, task)) == list(hatexplain.records(documents(), task))


def test_a_post_without_a_majority_is_not_asked_where_a_split_has_it_and_left_out_where_none_has():
    assert "4_gab" not in {record.id for record in hatexplain.records(documents(), "hatexplain")}
    undecided = list(hatexplain.records(documents(divisions=DIVISIONS | {"test": ["4_gab"]}), "hatexplain_toxic"))[-1]
    assert (undecided.id, undecided.label, undecided.meta[UNASKED]) == ("4_gab", None, hatexplain.NO_MAJORITY)
    assert undecided.groups == ("Women",)
    assert list(hatexplain.records([hub_row("4_gab", "test")], "hatexplain_toxic")) == [undecided]


def test_an_annotator_counts_once_however_often_the_target_is_named():
    post = POSTS["2_twitter"] | {"annotators": [annotator("normal", "Women", "Women"), annotator("normal"), annotator("normal")]}
    (record,) = hatexplain.records(documents({"2_twitter": post}, {"test": ["2_twitter"]}), "hatexplain")
    assert record.groups == ()


CSV_TEXT = """,text,label,category,id
2_twitter, a fine  day,0,0,0
1_gab,you rotten user,1,1,1
3_gab,such rubbish,0,2,2
4_gab,nobody,0,3,3
"""


def test_the_majority_labels_of_the_csv_file_have_their_own_numbers_and_no_groups():
    rows = [{"text": json.dumps(DIVISIONS)}, {"text": CSV_TEXT}]
    found = {record.id: record for record in hatexplain.records(rows, "hatexplain")}
    assert {name: (record.label, record.split) for name, record in found.items()} == {
        "1_gab": (0, "train"), "2_twitter": (1, "test"), "3_gab": (2, "validation"),
    }  # fmt: skip
    assert found["2_twitter"].text == "a fine day"
    assert {record.groups for record in found.values()} == {()}


def broken(post: dict) -> list[dict[str, str]]:
    return documents(POSTS | {"2_twitter": post})


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        (documents({"1_gab": POSTS["1_gab"]}), "2 of the 3 posts in post_id_divisions.json are not there"),
        (documents(divisions={"training": ["1_gab"]}), "found 'training', wanted one of train, val"),
        (documents(divisions={"train": "1_gab"}), "not post_id_divisions.json"),
        ([{"text": "["}, documents()[1]], "not post_id_divisions.json"),
        (list(reversed(documents())), "not post_id_divisions.json"),
        ([documents()[0], {"text": '{"1_gab": '}], "not valid JSON"),
        ([documents()[0], {"text": ",text,label,category,id\n2_twitter,a day,0,4,0\n"}], "Row 1 of posts_majority_label.csv"),
        ([documents()[0], {"text": "other,text,category\n2_twitter,a day,0\n"}], "Row 1 of posts_majority_label.csv"),
        (broken(POSTS["2_twitter"] | {"annotators": [annotator("fine")]}), "Post 2_twitter of hatexplain, label: found 'fine'"),
        (broken(POSTS["2_twitter"] | {"annotators": []}), "Post 2_twitter of hatexplain has the fields post_id, annotators"),
        (broken({"post_tokens": ["a"]}), "Post 2_twitter of hatexplain has the fields post_tokens"),
        ([hub_row("1_gab", "dev")], "Row 1 of hatexplain, column split: found 'dev'"),
    ],
)
def test_what_is_neither_file_nor_row_is_one_paragraph(rows, wanted):
    with pytest.raises(FairbenchError) as caught:
        list(hatexplain.records(rows, "hatexplain"))
    assert wanted in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "fine day" not in str(caught.value), "posts hold slurs, so that no message repeats one"


def test_the_original_files_come_before_the_csv_file_where_both_are(tmp_path):
    folder = tmp_path / "hatexplain"
    folder.mkdir()
    (folder / "dataset.json").write_text(json.dumps(POSTS), encoding="utf-8")
    (folder / "posts_majority_label.csv").write_text(CSV_TEXT, encoding="utf-8")
    (folder / "post_id_divisions.json").write_text(json.dumps(DIVISIONS), encoding="utf-8")
    place = data.status({"hatexplain": hatexplain.INFO["hatexplain"]}, tmp_path)[0]
    assert place.where == "hatexplain/post_id_divisions.json, hatexplain/dataset.json"
    (folder / "dataset.json").unlink()
    place = data.status({"hatexplain": hatexplain.INFO["hatexplain"]}, tmp_path)[0]
    assert place.where == "hatexplain/post_id_divisions.json, hatexplain/posts_majority_label.csv"


def test_a_copy_of_the_hubs_parquet_branch_is_read(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    for split, name in (("train", "1_gab"), ("validation", "3_gab"), ("test", "2_twitter")):
        path = tmp_path / "Hate-speech-CNERG/hatexplain/plain_text" / split / "0000.parquet"
        path.parent.mkdir(parents=True)
        row = {key: value for key, value in hub_row(name, split).items() if key != "split"}
        pq.write_table(pa.Table.from_pylist([row]), path)
    found = data.rows(hatexplain.INFO["hatexplain"], "hatexplain", tmp_path)
    read = {record.id: record for record in hatexplain.records(found, "hatexplain")}
    assert read == {record.id: record for record in hatexplain.records(documents(), "hatexplain")}
    assert "revision is not known" in found.provenance["warnings"][0]


# ---- the published files


@pytest.mark.parametrize("task", hatexplain.INFO)
def test_the_published_splits_and_classes(real, task):
    records = list(hatexplain.records(data.rows(hatexplain.INFO[task], task, real), task))
    assert Counter(record.split for record in records) == {"train": 15383, "validation": 1922, "test": 1924}
    assert not any(UNASKED in record.meta for record in records), "posts without a majority are in no published split"
    test = Counter(record.meta["class"] for record in records if record.split == "test")
    whole = Counter(record.meta["class"] for record in records)
    if task == "hatexplain":
        assert test == {"normal": 782, "hatespeech": 594, "offensive": 548}
        assert whole == {"normal": 7814, "hatespeech": 5935, "offensive": 5480}
    else:
        assert (test["toxic"], whole["toxic"]) == (1142, 11415)


def test_919_posts_are_in_no_split(real):
    with (real / "hatexplain/posts_majority_label.csv").open(encoding="utf-8", newline="") as lines:
        categories = {row[""]: row["category"] for row in csv.DictReader(lines)}
    divided = json.loads((real / "hatexplain/post_id_divisions.json").read_text(encoding="utf-8"))
    left = set(categories) - {post for posts in divided.values() for post in posts}
    assert len(left) == 919
    assert {categories[post] for post in left} == {"3"}


def test_the_labels_stand_in_the_order_of_the_authors_file(real):
    import numpy as np

    classes = np.load(real / "hatexplain/classes.npy", allow_pickle=True)
    assert tuple(classes) == hatexplain.LABELS
