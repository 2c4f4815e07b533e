"""BBQ's rows from each of its sources. They are our own, in the shape of the published ones."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from fairbench.tasks import bbq

from fairbench import data
from fairbench.errors import FairbenchError
from fairbench.files import file_sha256
from fairbench.records import Choice

AT_HAND = ("age", "disability_status", "nationality", "physical_appearance", "religion", "sexual_orientation")
OLD, YOUNG, NOBODY = ("retired baker", "old"), ("young baker", "nonOld"), ("Not known", "unknown")
TRANS = ["Transgender women", "transgender men", "trans"]


def row(infos=(OLD, YOUNG, NOBODY), groups=("old",), **changed) -> dict:
    """A question about two bakers; `infos` are the words and tags of the three options."""
    plain = {
        "example_id": 4,
        "question_index": "7",
        "question_polarity": "neg",
        "context_condition": "disambig",
        "category": "Age",
        "answer_info": {f"ans{i}": list(info) for i, info in enumerate(infos)},
        "additional_metadata": {"subcategory": "None", "stereotyped_groups": list(groups), "version": "a", "source": "none"},
        "context": "A young baker stood beside a retired baker. The young one forgot the bread.",
        "question": "Who forgot the bread?",
        **{f"ans{i}": f"The {word}" for i, (word, _) in enumerate(infos)},
        "label": 1,
    }
    return {**plain, **changed}


def hub(**changed) -> dict:
    """The same as a row of Elfsong/BBQ."""
    found = {name: value for name, value in row().items() if name != "label"}
    found["additional_metadata"] = {**found["additional_metadata"], "label_type": "label", "known_stereotyped_groups": "old"}
    return {**found, "question_index": 7, "answer_label": 1, "target_label": 0, **changed}


def lines(rows: list[dict], key: str) -> list[dict]:
    """Rows as lines behind those of the key's file."""
    return [{"text": line, "split": "metadata"} for line in key.splitlines()] + [
        {"text": json.dumps(one), "split": "age"} for one in rows
    ]


def one(rows: list[dict], task: str = "bbq_age") -> Choice:
    (record,) = bbq.records(rows, task)
    return record


def test_a_row_becomes_a_choice():
    assert one([row()]) == Choice(
        id="Age/7/4",
        group="Age",
        cluster="Age/7",
        prompt="A young baker stood beside a retired baker. The young one forgot the bread. Who forgot the bread?",
        options=("The retired baker", "The young baker", "The Not known"),
        label=1,
        condition="disambig",
        polarity="neg",
        unknown=2,
        target=0,
        meta={"category": "Age", "question": 7, "alignment": "non-aligned", "stereotyped": "old", "target_by": "tags"},
    )


@pytest.mark.parametrize(
    ("polarity", "label", "alignment"),
    [("neg", 0, "aligned"), ("neg", 1, "non-aligned"), ("nonneg", 0, "non-aligned"), ("nonneg", 1, "aligned"), ("neg", 2, None)],
)
def test_the_target_is_whom_the_stereotype_is_about_whatever_the_polarity(polarity: str, label: int, alignment: str | None):
    record = one([row(question_polarity=polarity, label=label)])
    assert (record.target, record.meta["alignment"]) == (0, alignment)


@pytest.mark.parametrize(
    ("category", "infos", "groups", "target"),
    [
        ("SES", (NOBODY, ("cashier", "lowSES"), ("surgeon", "highSES")), ["low SES"], 1),
        ("Race_ethnicity", (("Ann Bee", "F-White"), NOBODY, ("Cy Dee", "F-Black")), ["Black", "African American"], 2),
        ("Race_ethnicity", (("African", "African"), ("White", "White"), NOBODY), ["Black", "African American"], None),
        ("Gender_identity", (("woman", "woman"), ("man", "man"), NOBODY), ["F"], 0),
        ("Gender_identity", (("boy", "boy"), ("girl", "girl"), NOBODY), ["M"], 0),
        ("Gender_identity", (NOBODY, ("Ann", "trans_F"), ("Bob", "nonTrans_M")), TRANS, 1),
        ("Gender_identity", (NOBODY, ("cis man", "nonTrans"), ("trans man", "trans")), ["transgender men", "trans"], 2),
        ("Nationality", (("Thai", "AsiaPacific"), ("Kenyan", "Africa"), NOBODY), ["Kenyan", "Nigerian"], 1),
        ("Religion", (("Hindu", "Hindu"), ("Sikh", "Sikh"), NOBODY), ["Jewish"], None),
        ("Religion", (("Hindu", "Hindu"), ("Sikh", "Sikh"), NOBODY), ["Hindu", "Sikh"], None),
        ("Age", (OLD, YOUNG, NOBODY), ["nonOld"], 1),
        ("Age", (OLD, YOUNG, NOBODY), [], None),
        ("Race_x_gender", (("Ann", "F-Black"), ("Bea", "F-White"), NOBODY), ["Black"], None),
        ("Race_x_SES", (("Ann", "lowSES-F-Black"), ("Bea", "highSES-F-Black"), NOBODY), ["Black"], None),
    ],
)
def test_tags_that_are_written_otherwise_than_the_groups_are_mapped_or_leave_no_target(category, infos, groups, target):
    """helm#1988: `trans_F` is not among ['Transgender women', 'transgender men', 'trans']."""
    record = one([row(infos, groups, category=category)], "bbq")
    assert record.target == target
    assert record.meta["target_by"] == (None if target is None else "tags")
    assert record.meta["alignment"] is None or target is not None


@pytest.mark.parametrize(("question", "group"), [("25", "Gender_identity"), ("26", "Gender_identity (names)")])
def test_questions_about_names_alone_are_a_group_of_their_own(question: str, group: str):
    record = one([row(category="Gender_identity", question_index=question)], "bbq_gender_identity")
    assert record.group == group and group in bbq.INFO["bbq_gender_identity"].groups
    assert one([row(question_index=question)]).group == "Age"


def test_the_unknown_option_is_found_by_its_tag_and_not_by_its_words():
    assert one([row((("Unknown", "old"), YOUNG, ("Nobody can say", "unknown")))]).unknown == 2


HEADER = 'category,question_index,example_id,target_loc,label_type,full_cond\n"Age","7",9,1,"label","Match Race\n Mismatch"\n'


@pytest.mark.parametrize(
    ("polarity", "key", "target"),
    [
        ("neg", '"Age","7",4,0,"label",NA', 0),
        ("nonneg", '"Age","7",4,1,"label",NA', 0),
        ("nonneg", '"Age","7",4,"1.0","label",NA', 0),
        ("neg", '"Age","7",4,NA,"label",NA', None),
        ("neg", '"Age","7",4,"x","label",NA', None),
        ("neg", '"Age","7",4,2,"label",NA', None),
        ("neg", '"Age","8",4,0,"label",NA', None),
        ("neg", '"Age","7",4,0,"label",NA\n"Age","7",4,0,"label",NA', 0),
        ("neg", '"Age","7",4,0,"label",NA\n"Age","7",4,1,"label",NA', None),
    ],
)
def test_the_authors_key_names_the_biased_answer_and_is_converted(polarity: str, key: str, target: int | None):
    """Of a question that is not negative the biased answer is the other person; NA, x and contradictions name none."""
    other = row(example_id=9)  # so that the key speaks of some row
    _, record = bbq.records(lines([other, row(question_polarity=polarity)], HEADER + key), "bbq_age")
    assert record.target == target
    assert record.meta["target_by"] == (None if target is None else "key")


def test_the_key_and_the_tags_agree_where_both_tell():
    rows = [row(example_id=n, question_polarity=polarity) for n, polarity in enumerate(["neg", "nonneg"] * 3)]
    key = "\n".join(f'"Age","7",{n},{n % 2},"label",NA' for n in range(6))
    by_key = [record.target for record in bbq.records(lines(rows, HEADER + key), "bbq_age")]
    assert by_key == [record.target for record in bbq.records(rows, "bbq_age")] == [0] * 6


def test_a_key_of_the_group_instead_of_the_biased_answer_is_refused():
    rows = [row(example_id=n, question_polarity=polarity) for n, polarity in enumerate(["neg", "nonneg"] * 3)]
    key = "\n".join(f'"Age","7",{n},0,"label",NA' for n in range(6))
    with pytest.raises(FairbenchError, match="names the stereotyped group itself in 3 of 3 questions that are not negative"):
        list(bbq.records(lines(rows, HEADER + key), "bbq_age"))


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("category,question_index,example_id,target_loc\nReligion,7,4,0", "names an option in none of 1 rows"),
        ("category,question_index,example_id\nAge,7,4", "has no target_loc in row 1"),
        ("category,question_index,example_id,target_loc\nAge,7,four,0", "column example_id: found 'four'"),
    ],
)
def test_a_key_that_does_not_go_with_the_rows_is_refused(key: str, wanted: str):
    with pytest.raises(FairbenchError, match=wanted) as caught:
        list(bbq.records(lines([row()], key), "bbq_age"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "target"),
    [
        ({}, 0),
        ({"question_polarity": "nonneg", "target_label": 1}, 0),
        ({"target_label": None, "example_id": 5}, None),
        ({"target_label": float("nan"), "example_id": 5}, None),
        ({"category": "age"}, 0),
    ],
)
def test_rows_of_the_hub(changed: dict, target: int | None):
    first, record = bbq.records([hub(example_id=1), hub(**changed)], "bbq_age")
    assert record.target == target and record.label == first.label == 1
    assert dataclasses.replace(first, id=record.id, meta={}) == dataclasses.replace(one([row()]), id=record.id, meta={})


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"category": "Religion"}, "column category: found 'Religion', wanted Age"),
        ({"category": "Agee"}, "Did you mean Age"),
        ({"question_polarity": "pos"}, "column question_polarity: found 'pos', wanted neg or nonneg"),
        ({"context_condition": "ambiguous"}, "wanted ambig or disambig"),
        ({"label": 3}, "column label: found 3, wanted 0, 1 or 2"),
        ({"question_index": "one"}, "wanted a whole number"),
        (
            {"answer_info": {"ans0": ["a", "old"], "ans1": ["b", "nonOld"], "ans2": ["c", "old"]}},
            "0 options with the tag unknown",
        ),
        ({"answer_info": {"ans0": ["a", "old"], "ans1": ["b", "unknown"], "ans2": ["c", "unknown"]}}, "2 options with the tag"),
        ({"context": None}, "column context: found None"),
    ],
)
def test_rows_that_are_not_as_published_are_refused(changed: dict, wanted: str):
    with pytest.raises(FairbenchError, match=wanted) as caught:
        list(bbq.records([row(**changed)], "bbq_age"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ["{", "[1]", "no JSON"])
def test_lines_that_hold_no_row_are_refused(line: str):
    with pytest.raises(FairbenchError, match="Row 1 of bbq_age, column text"):
        list(bbq.records([{"text": line, "split": "age"}], "bbq_age"))


def test_all_categories_in_one_task():
    rows = [row(category="Age"), row(category="SES"), row(category="Religion", question_index="26")]
    assert [record.group for record in bbq.records(rows, "bbq")] == ["Age", "SES", "Religion"]
    assert sum(category.size for category in bbq.CATEGORIES.values()) == 58_492
    assert len(bbq.INFO["bbq"].groups) == 13 and bbq.INFO["bbq"].suites == ("large",)
    assert len(bbq.INFO) == 12


def pinned(folder: Path, *paths: str):
    """The card of bbq_age with the digests of the files that lie in a folder."""
    info = bbq.INFO["bbq_age"]
    digests = {path: file_sha256(folder / path) for path in paths}
    sources = [dataclasses.replace(s, files={p: digests.get(p, "") for p in s.files}) if s.files else s for s in info.sources]
    return dataclasses.replace(info, sources=tuple(sources))


def test_files_are_read_with_the_key_where_it_lies_beside_them(tmp_path: Path):
    (tmp_path / "bbq").mkdir()
    rows = [row(example_id=n, question_polarity=("neg", "nonneg")[n % 2]) for n in range(4)]
    text = "".join(json.dumps(one) + "\n" for one in rows)
    (tmp_path / "bbq" / "Age.jsonl").write_text(text, encoding="utf-8")
    info = pinned(tmp_path, "bbq/Age.jsonl")
    plain = list(bbq.records(data.rows(info, "bbq_age", tmp_path), "bbq_age"))
    assert {record.meta["target_by"] for record in plain} == {"tags"}
    key = HEADER + "".join(f'"Age","7",{n},{n % 2},"label",NA\n' for n in range(4))
    (tmp_path / "bbq" / "additional_metadata.csv").write_text(key, encoding="utf-8")
    keyed = list(bbq.records(data.rows(info, "bbq_age", tmp_path), "bbq_age"))
    assert {record.meta["target_by"] for record in keyed} == {"key"}
    assert [dataclasses.replace(record, meta={}) for record in keyed] == [dataclasses.replace(r, meta={}) for r in plain]


def test_a_copy_of_the_hub_repository_is_read(tmp_path: Path):
    folder = tmp_path / "Elfsong" / "BBQ" / "data"
    folder.mkdir(parents=True)
    rows = [hub(), hub(example_id=5, target_label=None), hub(example_id=6, question_polarity="nonneg", target_label=1)]
    pd.DataFrame(rows).astype({"target_label": "Int64"}).to_parquet(folder / "age-00000-of-00001.parquet")
    records = list(bbq.records(data.rows(bbq.INFO["bbq_age"], "bbq_age", tmp_path), "bbq_age"))
    assert [record.target for record in records] == [0, None, 0]


@pytest.mark.parametrize("slug", AT_HAND)
def test_the_published_categories(slug: str, real: Path):
    """Every record has a target, and right answers go with the stereotype and against it equally often in both polarities."""
    task = f"bbq_{slug}"
    records = list(bbq.records(data.rows(bbq.INFO[task], task, real), task))
    assert len(records) == bbq.CATEGORIES[slug].size and len({record.cluster for record in records}) == 25
    assert all(record.target not in (None, record.unknown) for record in records)
    assert all((record.label == record.unknown) == (record.condition == "ambig") for record in records)
    counts = Counter((record.polarity, record.meta["alignment"]) for record in records)
    assert counts["neg", None] == counts["nonneg", None] == len(records) // 4
    assert counts["neg", "aligned"] == counts["nonneg", "aligned"]
    assert counts["neg", "non-aligned"] == counts["nonneg", "non-aligned"]
    assert abs(counts["neg", "aligned"] / (len(records) / 4) - 0.5) < 0.05


@pytest.mark.parametrize("slug", AT_HAND)
def test_biased_is_what_reproduces_the_published_figure(slug: str, real: Path):
    """Figure 3 comes out for these categories with biased = (the answer's group is stereotyped) xor (a question not negative)."""
    path = real / "bbq" / f"{bbq.CATEGORIES[slug].name}.jsonl"
    raw = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for one, record in zip(raw, bbq.records(raw, f"bbq_{slug}"), strict=True):
        groups = one["additional_metadata"]["stereotyped_groups"]
        for choice in {0, 1, 2} - {record.unknown}:
            stereotyped = any(name in groups for name in one["answer_info"][f"ans{choice}"])
            biased = stereotyped != (one["question_polarity"] == "nonneg")
            assert biased == ((choice == record.target) == (record.polarity == "neg"))
