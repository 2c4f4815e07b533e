"""The Equity Evaluation Corpus (Kiritchenko and Mohammad 2018): sentences about feelings that differ in the person alone.

The published use compares how strongly systems of emotion analysis see a feeling in sentences about women and about men, and
about people whose names are common among African Americans and European Americans. It needs no gold label, and there is none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.records import Labelled
from fairbench.scores import Source, TaskInfo

GENDERS = ("female", "male")
RACES = ("African-American", "European")
OF_FEMALE = {
    "she": "he",
    "her": "him",
    "this woman": "this man",
    "this girl": "this boy",
    "my sister": "my brother",
    "my daughter": "my son",
    "my wife": "my husband",
    "my girlfriend": "my boyfriend",
    "my mother": "my father",
    "my aunt": "my uncle",
    "my mom": "my dad",
}
"""Who stands in the place of whom, as the paper pairs them; names have no partner."""
COLUMNS = ("ID", "Sentence", "Template", "Person", "Gender", "Race", "Emotion", "Emotion word")

INFO = TaskInfo(
    title="Equity Evaluation Corpus: 8,640 sentences about feelings, 1,440 pairs that differ in the gender",
    form="Labelled",
    sources=(
        Source(
            format="csv",
            columns=COLUMNS,
            may_be_empty=("Race", "Emotion", "Emotion word"),
            files={"equity_evaluation_corpus/Equity-Evaluation-Corpus.csv": ""},
            url="https://saifmohammad.com/WebPages/Biases-SA.html (the authors ask not to pass it on)",
        ),
    ),
    licence="terms of the National Research Council Canada: free to use, not to be redistributed",
    cite="Kiritchenko and Mohammad 2018, *SEM, Examining gender and race bias in 200 sentiment analysis systems, S18-2005",
    language="en",
    groups=(*(f"gender:{gender}" for gender in GENDERS), *(f"race:{race}" for race in RACES)),
    metrics=("counterfactual_token_fairness", "demographic_parity_difference"),
    cluster="template with its emotion word",
    variants=True,
    labels=("negative", "positive"),
    notes=(
        "There is no gold label and none is made up, so only metrics that need none can be scored. The published figures are "
        "mean differences of a predicted intensity; here it is the probability of a positive feeling, and its distance.",
        "A sentence about a woman is the counterfactual of the one about the man in her place (my daughter, my son). Names have "
        "no partner and enter only where groups are compared.",
        "Only names have a race, that which is common among their bearers. The groups are those of the authors.",
        "The authors' spelling is kept (dissapointed). Records come in the order of the sha256 of template and emotion word, 60 "
        "for each: --limit 600 asks about ten of the 144, with every person.",
        "It has no training texts: score a classifier of sentiment as it is, or name training data with --train-on. Other labels "
        "than negative and positive are mapped with --probe-options positive_labels=NAME.",
    ),
)


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Labelled]:
    """A sentence a row, in the order of templates.

    Args:
        rows: rows with the corpus's columns; `Race` is empty for all but names, `Emotion word` in sentences without one.
        task: "equity_evaluation_corpus".

    Raises:
        FairbenchError: a gender or a race that the card does not name, or a sentence about a woman without the one about a man.
    """
    table = list(rows)
    about = {_place(row, row["Person"]): str(row["ID"]) for row in table}
    frames: dict[str, list[Labelled]] = {}
    for n, row in enumerate(table, 1):
        record = _record(row, about, f"Row {n} of {task} ({row['ID']})")
        frames.setdefault(str(record.cluster), []).append(record)
    for name in sorted(frames, key=lambda name: hashlib.sha256(name.encode()).digest()):
        yield from frames[name]


def _record(row: Mapping[str, Any], about: Mapping[tuple[str, str, str], str], where: str) -> Labelled:
    """A row as a labelled text; `about` has the ids of all sentences by their place."""
    groups = [f"gender:{_one_of(row['Gender'], GENDERS, f'{where}, column Gender')}"]
    if row["Race"]:
        groups.append(f"race:{_one_of(row['Race'], RACES, f'{where}, column Race')}")
    partner = OF_FEMALE.get(row["Person"].lower())
    source = about.get(_place(row, partner)) if partner else None
    if partner and source is None:
        raise FairbenchError(
            f"{where}: there is no sentence about {partner!r} in the place of {row['Person']!r}. Wanted is the whole corpus "
            "of 8,640 sentences; download it again."
        )
    return Labelled(
        id=str(row["ID"]),
        cluster=" ".join(filter(None, (row["Template"], row["Emotion word"]))),
        source=source,
        text=row["Sentence"],
        label=None,
        groups=tuple(groups),
        meta={"person": row["Person"], "emotion": row["Emotion"] or None, "emotion_word": row["Emotion word"] or None},
    )


def _place(row: Mapping[str, Any], person: str) -> tuple[str, str, str]:
    """What tells a sentence from all others: its template, its emotion word and the person."""
    return row["Template"], row["Emotion word"] or "", person.lower()


def _one_of(value: str, known: tuple[str, ...], where: str) -> str:
    if value not in known:
        near = did_you_mean(value, known)
        raise FairbenchError(f"{where}: found {value!r}, wanted one of {', '.join(known)}.{near} Download the file again.")
    return value
