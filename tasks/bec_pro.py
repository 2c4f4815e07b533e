"""BEC-Pro (Bartl et al. 2020): person words and 60 professions in five sentences, as slots and as pairs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.records import Pair, Record, Slot
from fairbench.scores import Source, TaskInfo

Row = Mapping[str, Any]

# The first column of the file has no name; pandas, and so `datasets`, calls it so. It numbers the sentences.
NUMBER = "Unnamed: 0"
GENDERS = ("male", "female")
SIDES = (*GENDERS, "balanced")
"""Who works in a profession, by the US labour statistics that the authors took their professions from."""

COUNTERPARTS = {
    "He": "She",
    "man": "woman",
    "brother": "sister",
    "son": "daughter",
    "husband": "wife",
    "boyfriend": "girlfriend",
    "father": "mother",
    "uncle": "aunt",
    "dad": "mom",
}

_SHARED: dict[str, Any] = {
    "sources": (
        Source(
            format="tsv",
            columns=(NUMBER, "Sentence", "Template", "Person", "Gender", "Profession", "Prof_Gender"),
            files={"bec_pro/data/BEC-Pro_EN.tsv": "228b44c62d7830fec13a1eee52bbe8afff82be455abb9d8a07c17d9d0b48e20f"},
            url="https://github.com/i-gallegos/Fair-LLM-Benchmark (BEC-Pro/data/BEC-Pro_EN.tsv)",
        ),
    ),
    "licence": "CC BY 4.0",
    "cite": "Bartl, Nissim and Gatt 2020, GeBNLP, Unmasking Contextual Stereotypes, 2020.gebnlp-1.1",
    "language": "en",
    "cluster": "profession",
}
_ARTICLE = (
    'The article stays as published ("a" also before a vowel), so it gives nothing away, and some sentences are ungrammatical.'
)

INFO = {
    "bec_pro": TaskInfo(
        title="BEC-Pro: 18 person words in the slot of 5,400 sentences about 60 professions",
        form="Slot",
        groups=GENDERS,
        metrics=("lpbs", "lpbs_gap", "lpbs_effect_size", "categorical_bias_score"),
        notes=(
            "A cell has one word a gender (He and She, man and woman) or seven (My father, My mother ...): 900 cells in all.",
            "Made from the column Sentence. The masked columns are not read: in 23 rows they mask something else as well (the "
            "man in manager; every of, where the profession holds one).",
            _ARTICLE,
            "Professions of few women and of few men differ in more than their workers: in frequency, in number of words.",
        ),
        **_SHARED,
    ),
    "bec_pro_pairs": TaskInfo(
        title="BEC-Pro as 1,800 pairs: the person word of the profession's side, and its counterpart",
        form="Pair",
        groups=GENDERS,
        metrics=("crows_pairs", "crows_pairs_margin"),
        notes=(
            "Not in the paper: `more` is the sentence whose person word is of the gender of most workers in the profession.",
            "The group is the side of the profession. A model that prefers one gender everywhere scores near 100 on one side and "
            "near 0 on the other: read both.",
            "The 20 balanced professions (1,800 sentences) have no such side and are not in it.",
            _ARTICLE,
        ),
        **_SHARED,
    ),
}


def records(rows: Iterable[Row], task: str) -> Iterator[Record]:
    """Turns the published rows into slots or pairs.

    Args:
        rows: rows with the columns of the published file.
        task: "bec_pro" or "bec_pro_pairs".

    Raises:
        FairbenchError: a sentence without its person word or its profession, a gender or side that the data set does not know,
            or a sentence without its counterpart.
    """
    checked = (_checked(row, task) for row in rows)
    return _slots(checked) if task == "bec_pro" else _pairs(checked)


def _slots(rows: Iterable[Row]) -> Iterator[Record]:
    """Sentences with two places. Those of one template and profession stand together; a limit meets all sides alike."""
    cells: dict[tuple[str, str], list[Slot]] = {}
    sides: dict[str, list[str]] = {side: [] for side in SIDES}
    for row in rows:
        sentence, profession, side = row["Sentence"], row["Profession"], row["Prof_Gender"]
        template = _whole(profession).sub("[ATTRIBUTE]", _whole(row["Person"]).sub("[TARGET]", sentence))
        if profession not in sides[side]:
            sides[side].append(profession)
        words = {"template": template, "target": row["Person"], "attribute": profession}
        slot = Slot(id=row[NUMBER], group=row["Gender"], cluster=profession, meta={"side": side}, **words)
        cells.setdefault((template, profession), []).append(slot)
    templates = list(dict.fromkeys(template for template, _ in cells))
    turn = {name: (i, SIDES.index(side)) for side, names in sides.items() for i, name in enumerate(names)}
    for place in sorted(cells, key=lambda key: (templates.index(key[0]), turn[key[1]])):
        yield from cells[place]


def _pairs(rows: Iterable[Row]) -> Iterator[Record]:
    """Of each sentence about a profession that has a side: the person word of that side, and its counterpart."""
    sentences: dict[tuple[str, str, str], Row] = {}
    other = COUNTERPARTS | {woman: man for man, woman in COUNTERPARTS.items()}
    for row in rows:
        if row["Person"] not in other:
            raise _refused(row, "bec_pro_pairs", f"{row['Person']!r} in Person", f"one of {', '.join(other)}")
        if sentences.setdefault((row["Template"], row["Profession"], row["Person"]), row) is not row:
            raise _refused(row, "bec_pro_pairs", f"{row['Sentence']!r} a second time", "each sentence once")
    for (template, profession, person), row in sentences.items():
        if (side := row["Prof_Gender"]) != row["Gender"]:
            continue
        less = sentences.get((template, profession, other[person]))
        if less is None or less["Gender"] == side:
            found = f"no sentence of the other gender with {other[person]!r} beside {row['Sentence']!r}"
            raise _refused(row, "bec_pro_pairs", found, "one, for the pair")
        sides = {"more": row["Sentence"], "less": less["Sentence"]}
        meta = {"template": template, "person": person}
        yield Pair(id=f"{row[NUMBER]}-{less[NUMBER]}", group=side, cluster=profession, meta=meta, **sides)


def _checked(row: Row, task: str) -> Row:
    """The row, if its words stand once in its sentence and its gender and side are known."""
    for column, allowed in (("Gender", GENDERS), ("Prof_Gender", SIDES)):
        if row[column] not in allowed:
            raise _refused(row, task, f"{row[column]!r} in {column}", f"one of {', '.join(allowed)}")
    for column in ("Person", "Profession"):
        if (count := len(_whole(row[column]).findall(row["Sentence"]))) != 1:
            raise _refused(row, task, f"{row[column]!r} {count} times in {row['Sentence']!r}", "it once, as a whole word")
    return row


def _refused(row: Row, task: str, found: str, wanted: str) -> FairbenchError:
    return FairbenchError(f"The row numbered {row[NUMBER]} of {task}: found {found}; wanted {wanted}. Download the file again.")


def _whole(word: str) -> re.Pattern[str]:
    """The word by itself: not the man in manager."""
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
