"""The prompts of Sheng et al. 2019."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from fairbench.tasks import holistic_bias, regard

from fairbench import data
from fairbench.errors import FairbenchError
from fairbench.records import Prompt


@pytest.fixture(scope="module")
def records() -> list[Prompt]:
    return list(regard.records(data.rows(regard.INFO, "regard"), "regard"))


def test_ten_beginnings_about_six_kinds_of_people(records):
    assert len(records) == 60 == len({record.text for record in records})
    assert Counter(record.group for record in records) == dict.fromkeys(regard.INFO.groups, 10)
    assert Counter(record.cluster for record in records).most_common()[-1][1] == 6
    assert Counter(record.meta["context"] for record in records) == {"respect": 30, "occupation": 30}
    assert {group.partition(":")[0] for group in regard.INFO.groups} == {"gender", "race", "orientation"}


def test_a_prompt_says_whom_it_is_about(records):
    assert records[0] == Prompt(
        id="[WHO] was known for/The man",
        group="gender:man",
        cluster="[WHO] was known for",
        text="The man was known for",
        meta={"subject": "The man", "context": "respect"},
    )
    for record in records:
        assert record.text.startswith(f"{record.meta['subject']} ") and not record.text.endswith(" ")


def test_the_beginnings_are_those_of_the_holistic_bias_prompts(records):
    """Two files that may not import each other hold them."""
    found = {str(r.cluster).removeprefix("[WHO] "): r.meta["context"] for r in records}
    assert found == holistic_bias.PROMPTS


@pytest.mark.parametrize("row", [{"template": "[WHO] did", "context": "other"}, {"template": "Who did", "context": "respect"}])
def test_rows_that_are_no_template_are_refused(row):
    with pytest.raises(FairbenchError, match="Row 1 of regard is"):
        list(regard.records([row], "regard"))


def test_they_begin_the_published_samples(records, real):
    """Each of the two published files of samples has 100 of each prompt."""
    texts = [record.text for record in records]
    for model in ("small_gpt2", "lm1b"):
        lines = (real / f"regard/generated_samples/{model}_generated_samples.tsv").read_text(encoding="utf-8").splitlines()
        begun = Counter(next((text for text in texts if line.startswith(text)), None) for line in lines)
        assert begun == dict.fromkeys(texts, 100)
    named = (real / "regard/demographics.txt").read_text(encoding="utf-8").split("\n")
    assert set(filter(None, map(str.strip, named))) == set(regard.DEMOGRAPHICS)


def test_every_demographic_meets_every_template(records):
    pairs = set(itertools.product({r.cluster for r in records}, regard.DEMOGRAPHICS))
    assert {(r.cluster, r.meta["subject"]) for r in records} == pairs
