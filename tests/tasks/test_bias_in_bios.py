from __future__ import annotations

from collections import Counter

import pytest
from fairbench.tasks import bias_in_bios

from fairbench import data
from fairbench.errors import FairbenchError
from fairbench.groups import find_groups
from fairbench.records import Labelled, to_frame
from fairbench.splits import part_of

WHOLE, SAMPLE = "bias_in_bios", "bias_in_bios_sample"
NURSE = {"hard_text": "She looks after the ward.", "profession": 13, "gender": 1, "split": "dev"}
WORDS = {"hard_text": "He mends hearts.", "profession": "surgeon", "gender": "Male"}
NAMED = {"train": "0ab65b32c47407e8", "dev": "e6551072fff26949", "test": "5598c840ce8de1ee"}


def test_a_row_of_the_hub_is_a_labelled_text():
    (record,) = bias_in_bios.records([NURSE], WHOLE)
    assert record == Labelled(
        id="validation-1",
        group="female",
        text="She looks after the ward.",
        label=13,
        groups=("gender:female",),
        meta={"class": "nurse", "split": "validation"},
    )


def test_a_row_of_the_files_is_a_labelled_text():
    (record,) = bias_in_bios.records([WORDS], SAMPLE)
    assert (record.label, record.group, record.groups) == (3, "male", ("gender:male",))
    assert record.meta == {"class": "surgeon", "split": part_of("He mends hearts.", bias_in_bios.SHARES)}
    assert record.cluster is None and len(record.id) == 12


def test_the_order_of_the_professions_is_that_of_the_published_index(real):
    """The index files of the code that this version of the data comes from (Ravfogel et al. 2020)."""
    lists = real / "inlp_lists" / "biasbios"
    professions, genders = (
        dict(line.split("\t") for line in (lists / file).read_text(encoding="utf-8").splitlines())
        for file in ("profession2index.txt", "gender2index.txt")
    )
    assert professions == {name: str(number) for number, name in enumerate(bias_in_bios.PROFESSIONS)}
    assert genders == {name[0]: str(number) for number, name in enumerate(bias_in_bios.GENDERS)}


def test_a_copy_of_the_hub_is_read_split_by_split(tmp_path):
    """The layout and the file names of the repository, with rows of our own."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path / "LabHC" / "bias_in_bios" / "data"
    folder.mkdir(parents=True)
    written = {"train": [0, 27, 13], "dev": [4], "test": [21, 2]}
    for split, professions in written.items():
        table = {
            "hard_text": [f"{split} {number} works hard." for number in professions],
            "profession": professions,
            "gender": [number % 2 for number in professions],
        }
        pq.write_table(pa.table(table), folder / f"{split}-00000-of-00001-{NAMED[split]}.parquet")
    found = list(bias_in_bios.records(data.rows(bias_in_bios.INFO[WHOLE], WHOLE, tmp_path), WHOLE))
    assert [(r.id, r.label, r.group, r.split) for r in found] == [
        ("train-1", 0, "male", "train"),
        ("train-2", 27, "female", "train"),
        ("train-3", 13, "female", "train"),
        ("validation-1", 4, "male", "validation"),
        ("test-1", 21, "female", "test"),
        ("test-2", 2, "male", "test"),
    ]
    assert [r.meta["class"] for r in found] == ["accountant", "yoga_teacher", "nurse", "comedian", "professor", "attorney"]


def test_the_sample_is_every_real_biography_once(real):
    rows = data.rows(bias_in_bios.INFO[SAMPLE], SAMPLE, real)
    found = list(bias_in_bios.records(rows, SAMPLE))
    again = [r for r in found if "unasked" in r.meta]
    kept = [r for r in found if "unasked" not in r.meta]
    assert (len(found), len(again)) == (1640, 3)
    assert {r.meta["unasked"] for r in again} == {bias_in_bios.AGAIN}
    assert len({r.text for r in kept}) == len({r.id for r in kept}) == len(kept) == 1637
    assert {r.text for r in again} <= {r.text for r in kept}
    assert Counter(r.meta["class"] for r in kept) == {"accountant": 1008, "nurse": 210, "physician": 209, "surgeon": 210}


def test_every_class_and_gender_can_be_compared_in_the_test_split_of_the_sample(real):
    found = list(bias_in_bios.records(data.rows(bias_in_bios.INFO[SAMPLE], SAMPLE, real), SAMPLE))
    splits = Counter(r.split for r in found)
    assert {split: n / len(found) for split, n in splits.items()} == pytest.approx(bias_in_bios.SHARES, abs=0.02)
    asked = Counter((r.meta["class"], r.group) for r in found if r.split == "test" and "unasked" not in r.meta)
    assert len(asked) == 8 and min(asked.values()) >= 10
    assert find_groups(to_frame([r for r in found if r.split == "test"])).names == ("female", "male")


def test_equal_texts_are_in_one_split_and_only_the_first_is_asked():
    rows = [WORDS, NURSE | {"profession": "nurse", "gender": "Female"}, WORDS, WORDS]
    found = list(bias_in_bios.records(rows, SAMPLE))
    assert [r.meta.get("unasked") for r in found] == [None, None, bias_in_bios.AGAIN, bias_in_bios.AGAIN]
    assert len({r.id for r in found}) == 4
    assert len({r.split for r in found if r.text == WORDS["hard_text"]}) == 1


@pytest.mark.parametrize(
    ("row", "task", "said"),
    [
        (NURSE | {"profession": 28}, WHOLE, "Row 1 of bias_in_bios, column profession: found 28, wanted a number from 0 to 27"),
        (NURSE | {"gender": 2}, WHOLE, "column gender: found 2, wanted a number from 0 to 1"),
        (NURSE | {"split": "validate"}, WHOLE, "column split: found 'validate', wanted one of train, dev, test"),
        (WORDS | {"profession": "surgen"}, SAMPLE, "found 'surgen', .*Did you mean surgeon"),
        (WORDS | {"profession": "teacher"}, SAMPLE, "found 'teacher', wanted one of accountant, nurse, physician, surgeon"),
    ],
)
def test_what_the_card_does_not_name_is_refused(row, task, said):
    with pytest.raises(FairbenchError, match=said):
        list(bias_in_bios.records([row], task))
