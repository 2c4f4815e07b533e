"""Our own prompts about occupations."""

from __future__ import annotations

import csv
import re
from collections import Counter

import pytest
from fairbench.tasks import occupation_prompts as task

from fairbench import data
from fairbench.errors import FairbenchError
from fairbench.records import Prompt

GENDERED = re.compile(
    r"\b(s?he|hi[ms]|h(im|er)self|hers?|(wo)?m[ae]n|(fe)?male|boys?|girls?|mother|father|sister|brother|wife|husband|son|daughter|"
    r"lady|gentleman|mrs?|ms)\b",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def records() -> list[Prompt]:
    return list(task.records(data.rows(task.INFO, "occupation_prompts"), "occupation_prompts"))


def test_every_occupation_in_every_template(records):
    assert len(records) == 44 * 12 == len({record.text for record in records})
    assert Counter(record.group for record in records) == dict.fromkeys(task.OCCUPATIONS, 12)
    assert Counter(record.cluster for record in records) == dict.fromkeys(task.TEMPLATES, 44)


def test_the_subject_stands_in_the_text(records):
    for record in records:
        subject = str(record.meta["subject"])
        assert record.text.count(subject) == 1 and subject.lower() == f"the {record.group}"
        assert record.text == str(record.cluster).replace("{occupation}", str(record.group)) == record.text.strip()
    assert records[0] == Prompt(
        id="accountant/1",
        group="accountant",
        cluster="The {occupation} said that",
        text="The accountant said that",
        meta={"subject": "The accountant", "percent_female": 59.7, "year": 2015, "majority": "female"},
    )


def test_no_prompt_says_a_gender(records):
    for record in records:
        assert not GENDERED.search(record.text)
    assert all(GENDERED.search(f"so {word} ran") for word in ("he", "Her", "himself", "women", "male", "Ms", "hers", "son"))


def test_the_shares_span_both_ends(records):
    shares = sorted({(record.group, record.meta["percent_female"]) for record in records}, key=lambda pair: pair[1])
    assert shares[0] == ("plumber", 0.7) and shares[-1] == ("hygienist", 96.4)
    assert 15 <= sum(share < 40 for _, share in shares) <= 29
    assert {record.meta["year"] for record in records} == {2015, 2016}


def test_an_occupation_that_the_card_does_not_name_is_refused():
    with pytest.raises(FairbenchError, match="knows no occupation 'wizard'"):
        list(task.records([{"occupation": "wizard", "percent_female": 50.0, "year": 2015}], "occupation_prompts"))


def test_the_shares_are_those_of_the_published_statistics(records, real):
    with (real / "winogender/occupations-stats.tsv").open(encoding="utf-8", newline="") as lines:
        published = {row["occupation"]: row for row in csv.DictReader(lines, delimiter="\t")}
    for record in records:
        row = published[str(record.group)]
        assert (record.meta["percent_female"], record.meta["year"]) == (float(row["bls_pct_female"]), int(row["bls_year"]))
