"""GAP as running text. The rows here are our own, in the shape of the published files."""

from __future__ import annotations

import pytest
from fairbench.tasks import gap

from fairbench import data
from fairbench.errors import FairbenchError
from fairbench.records import Passage

WIKI = "http://en.wikipedia.org/wiki/"


def row(text="Ada met Eve by the mill, and later her boat sank.", pronoun="her", offset=None, **more) -> dict[str, str]:
    at = text.index(pronoun) if offset is None else offset
    return {"ID": "test-1", "Text": text, "Pronoun": pronoun, "Pronoun-offset": str(at), "URL": WIKI + "Old_mill"} | more


def test_a_row_is_a_passage_of_the_pronouns_group():
    assert list(gap.records([row()], "gap")) == [
        Passage(
            id="test-1",
            group="feminine",
            cluster="Old_mill",
            text="Ada met Eve by the mill, and later her boat sank.",
            meta={"pronoun": "her", "offset": 35},
        )
    ]


@pytest.mark.parametrize(
    ("pronoun", "group"), [("His", "masculine"), ("him", "masculine"), ("She", "feminine"), ("hers", "feminine")]
)
def test_the_group_is_the_gender_of_the_pronoun(pronoun, group):
    assert next(gap.records([row(f"{pronoun} sank.", pronoun)], "gap")).group == group


def test_pages_are_told_apart_by_their_whole_name():
    pages = [row(ID=str(n), URL=WIKI + page) for n, page in enumerate(("AC/DC", "DC", "Caf%C3%A9"))]
    assert [record.cluster for record in gap.records(pages, "gap")] == ["AC/DC", "DC", "Café"]


@pytest.mark.parametrize(
    ("wrong", "wanted"),
    [
        (row("They sank.", "They"), "pronoun 'They'"),
        (row(offset=3), "no 'her' at character 3"),
        (row(offset="-4"), "no 'her' at character -4"),
        (row(offset=400), "no 'her' at character 400"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_number(wrong, wanted):
    with pytest.raises(FairbenchError, match=wanted) as caught:
        list(gap.records([row(), wrong], "gap"))
    assert "Row 2 of gap (test-1)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_line_of_the_published_files_is_read_as_it_stands(real):
    records = list(gap.records(data.rows(gap.INFO, "gap", real), "gap"))
    lines = [
        line.split("\t")
        for path in gap.INFO.sources[0].files
        for line in (real / path).read_text(encoding="utf-8").splitlines()[1:]
    ]
    assert len(records) == 4454
    assert [(record.id, record.text) for record in records] == [(line[0], line[1]) for line in lines]
    assert [record.group for record in records].count("feminine") == 2227
    assert data.check(gap.INFO, "gap", gap.records, real).error is None
