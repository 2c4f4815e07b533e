"""WinoBias as pairs. The lines here are our own, in the shape of the published files."""

from __future__ import annotations

from collections import Counter

import pytest
from fairbench.tasks import winobias_pairs

from fairbench import data
from fairbench.errors import FairbenchError
from fairbench.records import Pair

TASK = "winobias_type1_pairs"
PRO = ("1 [The sailor] waved at the florist because [he] left.", "2 The sailor saw [a Florist ] and gave [ her] tea.")
ANTI = ("1 [The sailor] waved at the florist because [she] left.", "2 The sailor saw [the florist] and gave [him] tea.")


def rows(*files: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"text": line} for file in files for line in file]


def test_line_by_line_of_all_four_files():
    records = list(winobias_pairs.records(rows(PRO, ANTI, PRO[:1], ANTI[:1]), TASK))
    assert [record.id for record in records] == ["dev/1", "dev/2", "test/1"]
    assert records[1] == Pair(
        id="dev/2",
        group="female",
        cluster="florist",
        stratum="female",
        more="The sailor saw a Florist and gave her tea.",
        less="The sailor saw the florist and gave him tea.",
        meta={"split": "dev", "occupation": "florist"},
    )
    assert (records[2].group, records[2].cluster, records[2].meta["split"]) == ("male", "sailor", "test")


def test_lines_about_different_occupations_are_no_pair():
    other = ("1 [The florist] waved at the sailor because [he] left.", ANTI[1])
    assert [record.id for record in winobias_pairs.records(rows(PRO, other, PRO, ANTI), TASK)] == ["dev/2", "test/1", "test/2"]


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ((PRO, ANTI, PRO), "3 files with lines from 1 on; wanted are 4: pro dev, anti dev, pro test, anti test"),
        ((PRO, ANTI[:1], PRO, ANTI), "2 pro-stereotypical lines and 1 anti-stereotypical ones in dev"),
        ((PRO, ANTI, PRO[1:], ANTI), "Line 5 of winobias_type1_pairs has the number 2; wanted"),
        ((PRO[1:], ANTI, PRO, ANTI), "Line 1 of winobias_type1_pairs has the number 2"),
        ((PRO, ("1 The sailor left.", ANTI[1]), PRO, ANTI), "Line 3 of winobias_type1_pairs is '1 The sailor left.'"),
        ((PRO, ("1 [The sailor] saw [it].", ANTI[1]), PRO, ANTI), r"is '1 \[The sailor\] saw \[it\].'"),
        ((PRO, PRO, PRO, ANTI), r"Line 1 of dev of winobias_type1_pairs: both pronouns have one gender \(he, he\)"),
    ],
)
def test_files_that_are_not_as_published_are_refused(files, wanted):
    with pytest.raises(FairbenchError, match=wanted) as caught:
        list(winobias_pairs.records(rows(*files), TASK))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("task", "male", "female"), [("winobias_type1_pairs", 396, 396), ("winobias_type2_pairs", 394, 396)])
def test_the_published_counts(task, male, female, real):
    records = list(winobias_pairs.records(data.rows(winobias_pairs.INFO[task], task, real), task))
    assert Counter(record.group for record in records) == {"male": male, "female": female}
    folder = real / "winobias" / "data"
    lists = {gender: (folder / f"{gender}_occupations.txt").read_text().splitlines() for gender in ("male", "female")}
    of = {occupation.strip().lower(): gender for gender, occupations in lists.items() for occupation in occupations}
    assert {record.cluster for record in records} == set(of)
    assert all(of[record.cluster] == record.group == record.stratum for record in records)
    assert not any(mark in record.more + record.less for record in records for mark in ("[", "]", "  "))
    assert not any(record.more == record.less for record in records)
