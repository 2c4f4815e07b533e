"""Madlibs. The rows here are our own, in the shape of the published file."""

from __future__ import annotations

import csv
import gzip
import random
from collections import Counter, defaultdict

import pytest
from fairbench.tasks import madlibs

from fairbench import data
from fairbench.asked import look_through
from fairbench.errors import FairbenchError
from fairbench.records import Labelled
from fairbench.registry import Registry


def row(text, label="BAD", kind="name_adj") -> dict[str, str]:
    return {"Text": text, "Label": label, "Template": kind}


def parsed(*rows) -> dict[str, Labelled]:
    return {record.text: record for record in madlibs.records(rows, "madlibs")}


@pytest.mark.parametrize(
    ("text", "kind", "term", "cluster"),
    [
        ("Ada is a rotten canadian", "name_adj", "canadian", "Ada is a rotten [TERM] (BAD)"),
        ("Léa is a rotten middle aged", "name_adj", "middle aged", "Léa is a rotten [TERM] (BAD)"),
        ("Being african american is rotten.", "being_adj", "african american", "Being [TERM] is rotten. (BAD)"),
        ("You are a rotten older", "you_are_adj", "older", "You are a rotten [TERM] (BAD)"),
        ("You are a rotten miller", "you_occupation", None, "You are a rotten [TERM] (BAD)"),
        ("You are a rotten web designer", "you_occupation", None, "You are a rotten [TERM] (BAD)"),
        ("fight american", "verb_adj", "american", "fight [TERM] (BAD)"),
        ("i hate lgbtq", "am_hate_adj", "lgbtq", "i hate [TERM] (BAD)"),
    ],
)
def test_the_term_is_what_stands_in_the_slot(text, kind, term, cluster):
    record = parsed(row(text, kind=kind))[text]
    assert (record.group, record.groups, record.cluster) == (term, (term,) if term else (), cluster)
    assert (record.label, record.meta["class"], record.stratum) == (1, "toxic", None)


def test_sentences_of_a_template_are_counterfactuals_of_its_first():
    found = parsed(
        row("Ada is a fine deaf", "NOT_BAD"),
        row("Ada is a rotten deaf"),
        row("Ada is a fine blind", "NOT_BAD"),
        row("Eve is a fine deaf", "NOT_BAD"),
        row("Ada is a fine old", "NOT_BAD"),
    )
    assert {record.text: record.id for record in found.values()} == {
        "Ada is a fine deaf": "1", "Ada is a rotten deaf": "2", "Ada is a fine blind": "3", "Eve is a fine deaf": "4",
        "Ada is a fine old": "5",
    }  # fmt: skip
    assert {text: record.source for text, record in found.items()} == {
        "Ada is a fine deaf": None, "Ada is a rotten deaf": None, "Ada is a fine blind": "1", "Eve is a fine deaf": None,
        "Ada is a fine old": "1",
    }  # fmt: skip


def test_an_occupation_is_neither_original_nor_counterfactual():
    found = parsed(
        row("You are a rotten miller", kind="you_occupation"),
        row("You are a rotten old", kind="you_are_adj"),
        row("You are a rotten blind", kind="you_are_adj"),
    )
    assert {text: record.source for text, record in found.items()} == {
        "You are a rotten miller": None, "You are a rotten old": None, "You are a rotten blind": "2",
    }  # fmt: skip
    assert len({record.cluster for record in found.values()}) == 1


def test_a_template_with_two_labels_is_two_clusters():
    """Or a group could be in the right in one class only."""
    found = parsed(row("Ada is a plain old"), row("Ada is a plain blind", "NOT_BAD"))
    assert len({record.cluster for record in found.values()}) == 2
    assert {record.source for record in found.values()} == {None}


def test_templates_come_whole_and_in_an_order_that_the_file_does_not_decide():
    rows = [row(f"{name} is a rotten {term}") for name in ("Ada", "Eve", "Ida", "Una", "Zoe") for term in madlibs.TERMS]
    first = [record.cluster for record in madlibs.records(rows, "madlibs")]
    random.Random(3).shuffle(rows)
    second = [record.cluster for record in madlibs.records(rows, "madlibs")]
    assert first == second
    assert [first[i] for i in range(0, 250, 50)] == list(dict.fromkeys(first))


@pytest.mark.parametrize(
    ("wrong", "wanted"),
    [
        (row("Ada is a rotten old", "AWFUL"), "column Label: found 'AWFUL', wanted one of NOT_BAD, BAD"),
        (row("Ada is a rotten old", kind="new"), "column Template: found 'new', wanted one of name_adj"),
        (row("Ada is rotten"), "found 'Ada is rotten', wanted a sentence of the kind name_adj"),
        (row("Ada is a rotten miller"), "found the term 'miller', wanted one of the 50"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_number(wrong, wanted):
    with pytest.raises(FairbenchError) as caught:
        parsed(row("Ada is a rotten old"), wrong)
    assert str(caught.value).startswith("Row 2 of madlibs")
    assert wanted in str(caught.value)


# ---- the published file


@pytest.fixture(scope="module")
def records(real) -> list[Labelled]:
    return list(madlibs.records(data.rows(madlibs.INFO, "madlibs", real), "madlibs"))


def test_every_template_has_every_term_once(records):
    assert len(records) == 76564
    assert Counter(record.label for record in records) == {0: 38282, 1: 38282}
    of_template = defaultdict(list)
    for record in records:
        of_template[record.cluster].append(record.group)
    assert len(of_template) == 1514
    for terms in of_template.values():
        assert sorted(term for term in terms if term) == sorted(madlibs.TERMS)
    assert Counter(len(terms) for terms in of_template.values()) == {50: 1482, 77: 32}


def test_template_and_term_make_the_sentence_again(records):
    """The slot was found exactly: putting the term back gives the text, letter for letter."""
    for record in records:
        if record.group:
            before, _, after = str(record.cluster).rpartition(" (")[0].partition(madlibs.SLOT)
            assert record.text == before + record.group + after


def test_counterfactuals_differ_from_their_original_in_the_term_alone(records):
    named = {record.id: record for record in records}
    met = set()
    for record in records:
        met.add(record.id)
        if record.source is not None:
            original = named[record.source]
            assert record.source in met, "a limit must not take a variant without its original"
            assert (original.source, original.cluster, original.label) == (None, record.cluster, record.label)
            assert original.group != record.group
    assert sum(record.source is not None for record in records) == 49 * 1514
    originals = Counter(named[source].group for source in {record.source for record in records} - {None})
    assert originals.most_common(1)[0][1] < 60, "the original's term is one at random, about 30 times each"


@pytest.mark.slow
def test_a_limit_takes_whole_templates_with_every_term(real, records):
    task = Registry().task("madlibs")
    asked = list(look_through(task, data.rows(task.info, task.name, real), 2000).records())
    assert len(asked) == 2000
    groups = Counter(record.group for record in asked if record.group)
    assert set(groups) == set(madlibs.TERMS)
    assert max(groups.values()) - min(groups.values()) <= 1
    assert 0.3 < sum(record.label or 0 for record in asked) / 2000 < 0.7


def test_the_file_as_python_reads_it_has_the_same_sentences(real, records):
    with gzip.open(real / "madlibs/bias_madlibs_77k.csv.gz", "rt", encoding="utf-8", newline="") as lines:
        rows = [(one["Text"], one["Label"]) for one in csv.DictReader(lines)]
    assert sorted((r.text, "BAD" if r.label else "NOT_BAD") for r in records) == sorted(rows)
    assert all(rows[int(record.id) - 1][0] == record.text for record in records[::100])
