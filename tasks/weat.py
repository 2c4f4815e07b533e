"""WEAT (Caliskan et al. 2017): associations between two sets of target words and two sets of attribute words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fairbench.records import Association, Record
from fairbench.scores import Source, TaskInfo

SHA256 = "b13547e600f43a18ebc33be8f7c00b04e8e925037c8d7a0472de84a5b9066685"

# Test -> the categories of targets X and Y and attributes A and B. The lists are those of sent-bias and bias-bench.
CATEGORIES = {
    "weat_1": "Flowers Insects Pleasant Unpleasant",
    "weat_2": "Instruments Weapons Pleasant Unpleasant",
    "weat_3": "EuropeanAmericanNames AfricanAmericanNames Pleasant Unpleasant",
    "weat_3b": "EuropeanAmericanTerms AfricanAmericanTerms Pleasant Unpleasant",
    "weat_4": "EuropeanAmericanNames AfricanAmericanNames Pleasant Unpleasant",
    "weat_5": "EuropeanAmericanNames AfricanAmericanNames Pleasant Unpleasant",
    "weat_5b": "EuropeanAmericanTerms AfricanAmericanTerms Pleasant Unpleasant",
    "weat_6": "MaleNames FemaleNames Career Family",
    "weat_6b": "MaleTerms FemaleTerms Career Family",
    "weat_7": "Math Arts MaleTerms FemaleTerms",
    "weat_7b": "Math Arts MaleNames FemaleNames",
    "weat_8": "Science Arts MaleTerms FemaleTerms",
    "weat_8b": "Science Arts MaleNames FemaleNames",
    "weat_9": "MentalDisease PhysicalDisease Temporary Permanent",
    "weat_10": "YoungPeoplesNames OldPeoplesNames Pleasant Unpleasant",
}

TERMS = "Not a test of the paper: sent-bias adds it, with terms where the paper has names."
NAMES = "Not a test of the paper: sent-bias adds it, with names where the paper has terms."
SIXTEEN = "16 names a side, as the paper's test has them; other collections (WEFE) list 18."
NOTES = {
    "weat_3b": (TERMS,),
    "weat_4": (SIXTEEN,),
    "weat_5": (SIXTEEN,),
    "weat_5b": (TERMS,),
    "weat_6b": (TERMS,),
    "weat_7b": (NAMES,),
    "weat_8b": (NAMES,),
    "weat_9": ("'short-term' where WEFE has 'short'.",),
    "weat_10": ("'Billy' where WEFE has 'Bill'.",),
}


def _card(test: str) -> TaskInfo:
    """The card of one test."""
    x, y, a, b = groups = tuple(CATEGORIES[test].split())
    return TaskInfo(
        title=f"WEAT {test.removeprefix('weat_')}: {x} and {y} by {a} and {b}",
        form="Association",
        sources=(
            Source(
                format="json",
                columns=("test", "role", "category", "words"),
                files={"tasks/weat.json": SHA256},
                url="https://github.com/W4ngatang/sent-bias (tests/weat*.jsonl)",
                shipped=True,
            ),
        ),
        licence="word lists (facts) of the paper's supplement; shipped with fairbench",
        cite="Caliskan, Bryson and Narayanan 2017, Science 356(6334), doi:10.1126/science.aal4230",
        language="en",
        groups=groups,
        metrics=("weat",),
        cluster="word",
        suites=("quick",) if test in ("weat_6", "weat_7") else (),
        notes=NOTES.get(test, ()),
    )


INFO = {test: _card(test) for test in CATEGORIES}


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Record]:
    """Picks the sets of one test and turns them into a record a word.

    Args:
        rows: a row a set, with `test`, `role`, `category` and the list `words`.
        task: the test's name, "weat_6".
    """
    for row in rows:
        if row["test"] != task:
            continue
        role = row["role"]
        for word in row["words"]:
            yield Association(
                id=f"{role}/{word}", group=row["category"], cluster=word, stratum=role, test=task, role=role, text=word
            )
