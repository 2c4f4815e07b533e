"""Comments of Wikipedia's talk pages. The rows here are our own, in the shape of the published file."""

from __future__ import annotations

from collections import Counter

import pytest
from fairbench.tasks import wikipedia_toxicity

from fairbench import data
from fairbench.errors import FairbenchError
from fairbench.records import Labelled


def row(number=12, toxic="True", comment="  What a rotten page.\n ") -> dict[str, str]:
    return {"rev_id": str(number), "comment": comment, "toxic": toxic}


def test_a_row_is_a_comment_with_its_white_space():
    assert list(wikipedia_toxicity.records([row(), row(13, "False")], "wikipedia_toxicity")) == [
        Labelled(id="12", text="  What a rotten page.\n ", label=1, meta={"class": "toxic"}),
        Labelled(id="13", text="  What a rotten page.\n ", label=0, meta={"class": "not toxic"}),
    ]


@pytest.mark.parametrize("wrong", ["", "0.7", "yes"])
def test_another_label_is_refused_by_row(wrong):
    with pytest.raises(FairbenchError, match="Row 2 of wikipedia_toxicity, column toxic"):
        list(wikipedia_toxicity.records([row(), row(toxic=wrong)], "wikipedia_toxicity"))


def test_the_published_file(real):
    info = wikipedia_toxicity.INFO
    records = list(wikipedia_toxicity.records(data.rows(info, "wikipedia_toxicity", real), "wikipedia_toxicity"))
    assert Counter(record.label for record in records) == {0: 1244, 1: 248}
    assert len({record.id for record in records}) == 1492
    assert {record.split for record in records} == {"test"}
