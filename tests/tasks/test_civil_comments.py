"""Civil Comments. The rows here are our own, in the shape of the published files."""

from __future__ import annotations

import csv
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from fairbench.tasks import civil_comments

from fairbench import data
from fairbench.errors import FairbenchError
from fairbench.records import UNASKED, Labelled

NO_IDENTITY = dict.fromkeys(civil_comments.IDENTITIES, "0.0")
UNKNOWN = dict.fromkeys(civil_comments.IDENTITIES, "")


def row(number=1, text="What a rotten idea.", toxicity="0.6", split="test", **identities) -> dict:
    shares = (UNKNOWN if identities.pop("unknown", False) else NO_IDENTITY) | identities
    return {"id": str(number), "comment_text": text, "toxicity": toxicity, "asian": "1.0", **shares, "split": split}


def only(*rows, task="civil_comments") -> list[Labelled]:
    return list(civil_comments.records(rows, task))


def test_a_row_is_a_comment_with_the_identities_that_half_of_its_annotators_saw():
    assert only(row(toxicity="0.6", female="0.5", muslim="1", male="0.49")) == [
        Labelled(
            id="1",
            text="What a rotten idea.",
            label=1,
            groups=("female", "muslim"),
            meta={"split": "test", "class": "toxic", "toxicity": 0.6, "annotated": True},
        )
    ]


@pytest.mark.parametrize(("share", "label"), [("0.5", 1), ("0.4999", 0), ("0", 0), ("1.0", 1), (0.5, 1), (0.49999999, 0)])
def test_half_of_the_annotators_make_a_comment_toxic(share, label):
    assert only(row(toxicity=share))[0].label == label


@pytest.mark.parametrize("missing", ["", None, float("nan"), "nan", " "])
def test_identities_that_nobody_was_asked_about_are_no_group(missing):
    unknown = dict.fromkeys(civil_comments.IDENTITIES, missing)
    (record,) = only(row(**unknown))
    assert (record.groups, record.meta["annotated"]) == ((), False)
    assert only(row())[0].meta["annotated"] is True


def test_the_training_file_of_the_competition_calls_toxicity_target():
    plain = row(split="train", unknown=True)
    target = {("target" if name == "toxicity" else name): value for name, value in plain.items()}
    assert only(target, task="jigsaw_unintended_bias") == only(plain, task="jigsaw_unintended_bias")


@pytest.mark.parametrize(("written", "split"), [("train", "train"), ("val", "validation"), ("test", "test")])
def test_the_splits_of_wilds(written, split):
    assert only(row(split=written))[0].split == split


def test_an_empty_comment_is_counted_and_not_asked():
    assert only(row(text=" \n"))[0].meta[UNASKED] == civil_comments.EMPTY
    assert only(row(text=None))[0].meta[UNASKED] == civil_comments.EMPTY
    assert UNASKED not in only(row())[0].meta


@pytest.mark.parametrize(
    ("wrong", "wanted"),
    [
        (row(toxicity="1.5"), "column toxicity: found '1.5', wanted a share"),
        (row(toxicity="often"), "column toxicity: found 'often', wanted a share"),
        (row(white="-1"), "column white: found '-1', wanted a share"),
        (row(toxicity=""), "take the files whose names end in _expanded"),
        ({k: v for k, v in row().items() if k != "toxicity"}, "take the files whose names end in _expanded"),
        (row(split="dev"), "column split: found 'dev', wanted one of train, val"),
        ({k: v for k, v in row().items() if k != "split"}, "column split: found None"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_number(wrong, wanted):
    with pytest.raises(FairbenchError) as caught:
        only(row(), wrong)
    assert str(caught.value).startswith("Row 2 of civil_comments")
    assert wanted in str(caught.value)
    assert "\n" not in str(caught.value)


# ---- as files


def write(path: Path, rows: Iterator[dict] | list[dict], toxicity: str = "toxicity", index: bool = False) -> None:
    """A CSV file of the published shape; that of WILDS begins with a column without a name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = None
        for number, one in enumerate(rows):
            cells = ({"": number} if index else {}) | {(toxicity if k == "toxicity" else k): v for k, v in one.items()}
            if writer is None:
                writer = csv.DictWriter(lines, list(cells))
                writer.writeheader()
            writer.writerow(cells)


def test_the_three_files_of_the_competition_are_its_splits(tmp_path):
    folder = tmp_path / "jigsaw_unintended_bias"
    # The expanded files have a split of their own, which says test in both.
    write(folder / "train.csv", [{k: v for k, v in row(1, unknown=True).items() if k != "split"}], toxicity="target")
    write(folder / "test_public_expanded.csv", [row(7000001, toxicity="0.1", black="0.8")])
    write(folder / "test_private_expanded.csv", [row(7000002, text='A "fine"\nday, no?')])
    info = civil_comments.INFO["jigsaw_unintended_bias"]
    records = list(civil_comments.records(data.rows(info, "jigsaw_unintended_bias", tmp_path), "jigsaw_unintended_bias"))
    assert [(r.id, r.split, r.label, r.groups) for r in records] == [
        ("1", "train", 1, ()), ("7000001", "validation", 0, ("black",)), ("7000002", "test", 1, ()),
    ]  # fmt: skip
    assert records[2].text == 'A "fine"\nday, no?'


ROWS = [row(1, split="train", male="1"), row(2, split="val", toxicity="0.2"), row(3, split="test", jewish="0.7")]
READ = [("1", "train", 1, ("male",)), ("2", "validation", 0, ()), ("3", "test", 1, ("jewish",))]


def summary(folder: Path) -> list[tuple]:
    found = data.rows(civil_comments.INFO["civil_comments"], "civil_comments", folder)
    return [(r.id, r.split, r.label, r.groups) for r in civil_comments.records(found, "civil_comments")]


def test_the_file_of_wilds_divides_itself(tmp_path):
    write(tmp_path / "civil_comments/all_data_with_identities.csv", ROWS, index=True)
    assert summary(tmp_path) == READ


def test_the_hubs_copy_gives_the_same_records(tmp_path):
    """Its config raw keeps the file whole, with numbers where the file has text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = {"toxicity", "asian", *civil_comments.IDENTITIES}
    rows = [{k: float(v) if k in number else int(v) if k == "id" else v for k, v in one.items()} for one in ROWS]
    path = tmp_path / "pietrolesci/civilcomments-wilds/raw/train-00000-of-00001.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    assert summary(tmp_path) == READ


def test_memory_does_not_grow_with_the_comments():
    """1.8 million comments train: none of them is kept."""

    def peak(n: int) -> int:
        tracemalloc.start()
        assert sum(1 for _ in civil_comments.records((row(number) for number in range(n)), "civil_comments")) == n
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    peak(100)
    assert peak(8_000) < 1.5 * peak(1_000) + 10_000
