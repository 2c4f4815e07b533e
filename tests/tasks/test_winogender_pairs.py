"""Winogender as pairs. The lines here are our own, in the shape of the published files."""

from __future__ import annotations

from collections import Counter

import pytest
from fairbench.tasks import winogender_pairs

from fairbench import data
from fairbench.errors import FairbenchError
from fairbench.records import Pair

TASK = "winogender_pairs"
STATISTICS = ["occupation\tbergsma_pct_female\tbls_pct_female\tbls_year"]
SENTENCES = ["sentid\tsentence"]


def sentences(occupation: str, genders=("male", "female", "neutral")) -> list[str]:
    """The pronoun refers to the occupation (0) or to the guest (1)."""
    pronoun = {"male": "he", "female": "she", "neutral": "they"}
    return [
        f"{occupation}.guest.{who}.{gender}.txt\tThe {occupation} told the guest that {pronoun[gender]} left{' early' * who}."
        for who in (0, 1)
        for gender in genders
    ]


def rows(percent: dict[str, float], lines: list[str]) -> list[dict[str, str]]:
    table = STATISTICS + [f"{occupation}\t1.0\t{women}\t2015" for occupation, women in percent.items()]
    return [{"text": line} for line in table + SENTENCES + lines]


def test_the_majority_decides_which_side_is_which():
    lines = sentences("sailor") + sentences("florist")
    male, female = winogender_pairs.records(rows({"sailor": 3.5, "florist": 80.0}, lines), TASK)
    assert male == Pair(
        id="sailor/guest",
        group="male",
        cluster="sailor",
        stratum="male",
        more="The sailor told the guest that he left.",
        less="The sailor told the guest that she left.",
        meta={"occupation": "sailor", "participant": "guest", "percent_female": 3.5},
    )
    assert (female.group, female.more, female.less) == (
        "female",
        "The florist told the guest that she left.",
        "The florist told the guest that he left.",
    )


@pytest.mark.parametrize(("percent", "count"), [(44.9, 1), (45.0, 0), (50.0, 0), (55.0, 0), (55.1, 1)])
def test_an_occupation_without_a_majority_is_left_out(percent, count):
    assert len(list(winogender_pairs.records(rows({"sailor": percent}, sentences("sailor")), TASK))) == count


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (rows({}, sentences("sailor")), "the occupation 'sailor' lacks its percentage of women"),
        (rows({"sailor": 3.0}, sentences("sailor", ("male", "neutral"))), "'sailor' lacks a female sentence with guest"),
        (rows({"sailor": 3.0}, ["sailor.guest.txt\tHe left."]), "Line 4 of winogender_pairs is 'sailor.guest.txt.tHe left.'"),
        (rows({"sailor": 3.0}, ["sailor.guest.2.male.txt\tHe left."]), "Line 4 of winogender_pairs"),
        (rows({"sailor": 3.0}, ["sailor.guest.0.male.txt He left."]), "Line 4 of winogender_pairs"),
        ([{"text": "sailor\t1.0\tmany\t2015"}], "Line 1 of winogender_pairs"),
        ([{"text": STATISTICS[0]}, {"text": "sailor\t1.0\tmany\t2015"}], "Line 2 of winogender_pairs"),
    ],
)
def test_files_that_are_not_as_published_are_refused(found, wanted):
    with pytest.raises(FairbenchError, match=wanted) as caught:
        list(winogender_pairs.records(found, TASK))
    assert "\n" not in str(caught.value)


def test_the_published_counts(real):
    records = list(winogender_pairs.records(data.rows(winogender_pairs.INFO, TASK, real), TASK))
    assert Counter(record.group for record in records) == {"male": 54, "female": 58}
    left = {"investigator", "salesperson", "appraiser", "administrator"}
    assert len({record.cluster for record in records}) == 56 and not left & {record.cluster for record in records}
    changed = Counter(
        tuple(pair)
        for record in records
        for pair in zip(record.more.lower().split(), record.less.lower().split(), strict=True)
        if pair[0] != pair[1]
    )
    pronouns = {"he", "him", "his", "she", "her"}
    assert all(set(pair) <= pronouns for pair in changed)
    assert sum(changed.values()) == len(records), "one word each"
