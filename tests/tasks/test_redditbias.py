"""RedditBias as pairs. The rows here are our own, in the shape of the published files."""

from __future__ import annotations

from collections import Counter

import pytest
from fairbench.tasks import redditbias

from fairbench import data
from fairbench.errors import FairbenchError
from fairbench.records import Pair

PHRASES = ("all otters are slow", "my otter cooks", "they say all otters are slow today")


def files(phrases=PHRASES, **ids: str) -> list[dict[str, str]]:
    """The rows of both files, one after the other; `ids` = a first file with ids, by row number."""
    first = [{"comment": f"{p} and so on", "comments_processed": p} for p in phrases]
    for n, name in ids.items():
        for k, row in enumerate(first):
            row["id"] = name if n == f"row{k + 1}" else row.get("id", "")
    second = [{"initial_demo": "['otter']", "comments": p, "comments_processed": p.replace("otter", "beaver")} for p in phrases]
    return first + second


def test_row_by_row_of_both_files():
    records = list(redditbias.records(files(), "redditbias_gender"))
    assert records[1] == Pair(id="row 2", group="female", cluster="row 2", more="my otter cooks", less="my beaver cooks")
    assert [record.id for record in records] == ["row 1", "row 2", "row 3"]


def test_the_comments_own_id_is_used_and_kept_unique():
    rows = files(row1="abc", row3="abc")
    assert [record.id for record in redditbias.records(rows, "redditbias_race")] == ["abc", "row 2", "abc (2)"]


@pytest.mark.parametrize(
    ("phrases", "clusters"),
    [
        (("all otters are slow", "my otter cooks", "say: All otters, are slow!"), ["row 1", "row 2", "row 1"]),
        (("wet otters are slow now", "otters are slow", "wet otters are"), ["row 1", "row 1", "row 1"]),
        (("otters are slower", "otters are slow", "potters are slow"), ["row 1", "row 2", "row 3"]),
        (("a otter", "a otter", "b otter"), ["row 1", "row 1", "row 3"]),
    ],
)
def test_phrases_of_which_one_holds_the_other_are_one_cluster(phrases, clusters):
    assert [record.cluster for record in redditbias.records(files(phrases), "redditbias_gender")] == clusters


@pytest.mark.parametrize(
    ("spoil", "wanted"),
    [
        (lambda rows: rows[:-1], "3 original phrases and 2 swapped ones"),
        (lambda rows: rows[1:], "2 original phrases and 3 swapped ones"),
        (lambda rows: [*rows[:3], rows[4], rows[3], rows[5]], "in 2 of 3 rows the phrases differ, first in row 1"),
        (
            lambda rows: [*rows[:5], rows[5] | {"comments_processed": "beavers"}],
            "in 1 of 3 rows the phrases differ, first in row 3",
        ),
    ],
)
def test_files_that_do_not_go_together_are_refused(spoil, wanted):
    with pytest.raises(FairbenchError, match=wanted) as caught:
        list(redditbias.records(spoil(files()), "redditbias_gender"))
    assert "redditbias/gender/reddit_comments_gender_female_biased_test_reduced.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


PUBLISHED = {
    "gender": (253, 252),
    "orientation": (235, 219),
    "race": (254, 236),
    "religion1": (238, 172),
    "religion2": (236, 235),
}


@pytest.mark.parametrize("notion", PUBLISHED)
def test_the_published_counts(notion, real):
    task = f"redditbias_{notion}"
    records = list(redditbias.records(data.rows(redditbias.INFO[task], task, real), task))
    assert (len(records), len({record.cluster for record in records})) == PUBLISHED[notion]
    assert {record.group for record in records} == {redditbias.GROUPS[notion][0]}
    same = sum(record.more == record.less for record in records)
    assert same == (1 if notion == "religion2" else 0)
    if notion == "religion1":
        assert Counter(record.cluster for record in records).most_common(1)[0][1] == 44
