"""CEAT (Guo and Caliskan 2021): WEAT's ten tests and four intersectional ones, with every word met in sentences of a corpus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fairbench.records import Association, Record
from fairbench.scores import Source, TaskInfo

# C1 to C10 are WEAT's tests: their lists are read from WEAT's file, not copied.
WEAT_SHA256 = "b13547e600f43a18ebc33be8f7c00b04e8e925037c8d7a0472de84a5b9066685"
SHA256 = "5b315803c098edcf01c85e953353dea352dbe7ebfbd56be0c83742687c1aad60"

# Test -> the categories of targets X and Y and attributes A and B.
CATEGORIES = {
    "ceat_c1": "Flowers Insects Pleasant Unpleasant",
    "ceat_c2": "Instruments Weapons Pleasant Unpleasant",
    "ceat_c3": "EuropeanAmericanNames AfricanAmericanNames Pleasant Unpleasant",
    "ceat_c4": "EuropeanAmericanNames AfricanAmericanNames Pleasant Unpleasant",
    "ceat_c5": "EuropeanAmericanNames AfricanAmericanNames Pleasant Unpleasant",
    "ceat_c6": "MaleNames FemaleNames Career Family",
    "ceat_c7": "Math Arts MaleTerms FemaleTerms",
    "ceat_c8": "Science Arts MaleTerms FemaleTerms",
    "ceat_c9": "MentalDisease PhysicalDisease Temporary Permanent",
    "ceat_c10": "YoungPeoplesNames OldPeoplesNames Pleasant Unpleasant",
    "ceat_i1": "AfricanAmericanFemaleNames EuropeanAmericanMaleNames "
    "AfricanAmericanFemaleIntersectional EuropeanAmericanMaleIntersectional",
    "ceat_i2": "AfricanAmericanFemaleNames EuropeanAmericanMaleNames AfricanAmericanFemaleEmergent EuropeanAmericanMaleEmergent",
    "ceat_i3": "MexicanAmericanFemaleNames EuropeanAmericanMaleNames "
    "MexicanAmericanFemaleIntersectional EuropeanAmericanMaleIntersectional",
    "ceat_i4": "MexicanAmericanFemaleNames EuropeanAmericanMaleNames MexicanAmericanFemaleEmergent EuropeanAmericanMaleEmergent",
}
WARNING = (
    "The attributes are stereotypes of African American and Mexican American women and of European American men, sexual ones too."
)
CONTEXTS = "The published vectors are of Reddit comments of 2014. Another corpus gives other numbers: name it beside them."
WHOLE = (
    "The whole lists of WEAT: the paper's code leaves words out that its corpus lacks (gladiola, Lakisha ...) and others to keep "
    "the sides equal. Here that is done for the corpus that is named, and counted."
)
SPELLING = (
    "As the paper's code looks the words up: 'chicken', 'status' and 'American' stand for the attributes fried chicken, high "
    "status and all-American, since it removes hyphens. Other files of that repository list other names and attributes."
)


PAPERS = {
    "files": {"tasks/ceat.json": SHA256},
    "url": "https://github.com/weiguowilliam/CEAT (code/generate_txt.py)",
    "licence": "word lists (facts) of the paper's code; shipped with fairbench",
    "lists": "",
    "note": SPELLING,
}
"""What is said of I1 to I4, whose lists are the paper's own."""
WEATS = {
    "files": {"tasks/weat.json": WEAT_SHA256},
    "url": "https://github.com/W4ngatang/sent-bias (tests/weat*.jsonl)",
    "licence": "word lists (facts) of the supplement of Caliskan et al. 2017; shipped with fairbench",
    "lists": "; lists: Caliskan, Bryson and Narayanan 2017, doi:10.1126/science.aal4230",
    "note": WHOLE,
}
"""What is said of C1 to C10."""


def is_intersectional(test: str) -> bool:
    """Whether a test is one of I1 to I4."""
    return test.startswith("ceat_i")


def _card(test: str) -> TaskInfo:
    """The card of one test."""
    x, y, a, b = groups = tuple(CATEGORIES[test].split())
    of: dict[str, Any] = PAPERS if is_intersectional(test) else WEATS
    return TaskInfo(
        title=f"CEAT {test.removeprefix('ceat_').upper()}: {x} and {y} by {a} and {b}, in sentences of a corpus",
        form="Association",
        sources=(
            Source(
                format="json",
                columns=("test", "role", "category", "words"),
                files=of["files"],
                url=of["url"],
                shipped=True,
            ),
        ),
        licence=of["licence"],
        cite=f"Guo and Caliskan 2021, AIES, doi:10.1145/3461702.3462536{of['lists']}",
        language="en",
        groups=groups,
        metrics=("ceat",),
        cluster="word",
        contexts=True,
        content_warning=WARNING if is_intersectional(test) else None,
        notes=(CONTEXTS, of["note"]),
    )


INFO = {test: _card(test) for test in CATEGORIES}


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Record]:
    """Picks the sets of one test and turns them into a record a word; the core then puts each word into sentences.

    Args:
        rows: a row a set, with `test`, `role`, `category` and the list `words`.
        task: the test's name, "ceat_c6".
    """
    wanted = task if is_intersectional(task) else task.replace("ceat_c", "weat_")
    for row in rows:
        if row["test"] != wanted:
            continue
        role = row["role"]
        for word in row["words"]:
            yield Association(
                id=f"{role}/{word}", group=row["category"], cluster=word, stratum=role, test=task, role=role, text=word
            )
