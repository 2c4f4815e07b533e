"""WinoBias (Zhao et al. 2018) as pairs: a pronoun that fits the stereotype of its occupation, and one that does not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fairbench.errors import FairbenchError
from fairbench.records import Pair, Record
from fairbench.scores import Source, TaskInfo

SHA256 = {
    "anti_stereotyped_type1.txt.dev": "a4e0ebae344e78b56f657a42e8ae684b9db7747d177c5e7149c0907ebb7f3bf6",
    "anti_stereotyped_type1.txt.test": "331db5bd74bfefebf146a60b67645152a4a1991570d2a56f57154103ac361dd2",
    "anti_stereotyped_type2.txt.dev": "763ad829ad724f9a85ead689ba8ca69072020cb1238def6210f0fc6a47b97e59",
    "anti_stereotyped_type2.txt.test": "336571ac1ea8c06cd2aba8e5dd2bd98e00acc0c48da3e4ec5ec7e54eb2633a8f",
    "pro_stereotyped_type1.txt.dev": "dd55a0d220fe4c0ceb63dd4648223fb4fe1a58d5ad95c116a002ad24b0e292a5",
    "pro_stereotyped_type1.txt.test": "db7838907238a758eeb5779e48f38c013b892910d6fe864456c59f04245c6689",
    "pro_stereotyped_type2.txt.dev": "8f0250de723cea9328e3eaf7169e07936f01aa5909ce7aa580db66eb803f4e86",
    "pro_stereotyped_type2.txt.test": "ea1c1fd94fa612e3cc44d7fa3cc4cb76021bb63fdf94f9826f430051e9052438",
}
# The order in which the files are read: each split's stereotypical sentences before their twins.
PARTS = tuple((split, side) for split in ("dev", "test") for side in ("pro", "anti"))
TYPES = {
    "winobias_type1_pairs": (1, "only knowledge of the world tells who the pronoun means", 792),
    "winobias_type2_pairs": (2, "the syntax tells who the pronoun means", 790),
}
MASCULINE = frozenset(("he", "him", "his", "himself"))
FEMININE = frozenset(("she", "her", "hers", "herself"))
LINE = re.compile(r"(\d+) (.*\[.*\].*\[.*\].*)")
BRACKETED = re.compile(r"\[\s*(.*?)\s*\]")
ARTICLE = re.compile(r"(?:the|an?) ", re.IGNORECASE)


class Sentence(NamedTuple):
    """A line: its number, its text without brackets, and what the brackets mark."""

    number: int
    text: str
    occupation: str
    pronoun: str


def _card(task: str) -> TaskInfo:
    """The card of one type."""
    number, tells, count = TYPES[task]
    names = [f"{side}_stereotyped_type{number}.txt.{split}" for split, side in PARTS]
    return TaskInfo(
        title=f"WinoBias type {number} as {count} pairs: {tells}",
        form="Pair",
        sources=(
            Source(
                format="lines",
                columns=("text",),
                files={f"winobias/data/{name}": SHA256[name] for name in names},
                url="https://github.com/uclanlp/corefBias (WinoBias/wino/data/)",
            ),
        ),
        licence="MIT",
        cite="Zhao, Wang, Yatskar, Ordonez and Chang 2018, NAACL, Gender Bias in Coreference Resolution, N18-2003",
        language="en",
        groups=("male", "female"),
        metrics=("crows_pairs", "crows_pairs_margin"),
        cluster="occupation that the pronoun refers to",
        notes=(
            "Likelihoods of twins, not WinoBias's own measure (a difference of coreference F1): more = the sentence of the "
            "pro-stereotypical file, less = the one at the same line of the anti-stereotypical file.",
            "group = the gender that the pronoun's occupation is stereotyped as, after the US labour statistics of the time. A "
            "model that prefers one pronoun everywhere is far above 50 in one group and far below it in the other. The interval "
            "keeps the groups' sizes and is not widened by that; the p, of sign flips over occupations, is then too large.",
            "Dev and test are pooled; `meta.split` tells them apart. The sentences are tokenised as published (`the clerk 's`).",
            "A few twins differ in more than their pronouns: the rules of pair quality flag them, and `clean` is without them. "
            "Two lines of type 2 (382 and 384 of test) hold sentences about different occupations and are no pairs: left out.",
            "WinoBias+ and BUG, which give the same kind of pairs, are not read: their files are other data sets.",
        ),
    )


INFO = {task: _card(task) for task in TYPES}


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Record]:
    """Pairs line i of each pro-stereotypical file with line i of its anti-stereotypical twin.

    Args:
        rows: the lines of four files (`text`), one after the other in the order of PARTS; a file's first line has the number 1.
        task: "winobias_type1_pairs" or "winobias_type2_pairs".

    Raises:
        FairbenchError: a line that marks no occupation and pronoun, files of unequal length, or a pronoun on the wrong side.
    """
    files = _files(rows, task)
    for (split, _), pro, anti in zip(PARTS[::2], files[::2], files[1::2], strict=True):
        if [s.number for s in pro] != [s.number for s in anti]:
            raise FairbenchError(
                f"The files of {task} do not go together: {len(pro)} pro-stereotypical lines and {len(anti)} anti-stereotypical "
                f"ones in {split}, or other numbers. Wanted is a twin at the same line. Download the files again."
            )
        for one, other in zip(pro, anti, strict=True):
            if one.occupation == other.occupation:
                yield _pair(one, other, split, task)


def _pair(pro: Sentence, anti: Sentence, split: str, task: str) -> Pair:
    """Two twins as a record; the group is the gender of the pronoun that fits the stereotype.

    It is the stratum too: half of the occupations are stereotyped as male by design, and draws with more of these than of the
    others would let a mere preference for one pronoun widen the interval several times.
    """
    if (pro.pronoun in MASCULINE) == (anti.pronoun in MASCULINE):
        raise FairbenchError(
            f"Line {pro.number} of {split} of {task}: both pronouns have one gender ({pro.pronoun}, {anti.pronoun}). Wanted are "
            "twins whose pronouns differ in gender. Download the files again."
        )
    gender = "male" if pro.pronoun in MASCULINE else "female"
    return Pair(
        id=f"{split}/{pro.number}",
        group=gender,
        cluster=pro.occupation,
        stratum=gender,
        more=pro.text,
        less=anti.text,
        meta={"split": split, "occupation": pro.occupation},
    )


def _files(rows: Iterable[Mapping[str, Any]], task: str) -> Sequence[Sequence[Sentence]]:
    """The lines file by file: a line with the number 1 begins the next one."""
    files: list[list[Sentence]] = []
    for n, row in enumerate(rows, 1):
        sentence = _sentence(row["text"], n, task)
        if sentence.number == 1:
            files.append([])
        if not files or sentence.number != len(files[-1]) + 1:
            raise FairbenchError(
                f"Line {n} of {task} has the number {sentence.number}; wanted is the next one of its file. Lines are missing or "
                "out of order. Download the files again."
            )
        files[-1].append(sentence)
    if len(files) != len(PARTS):
        wanted = ", ".join(f"{side} {split}" for split, side in PARTS)
        raise FairbenchError(f"{task} has {len(files)} files with lines from 1 on; wanted are {len(PARTS)}: {wanted}.")
    return files


def _sentence(line: str, n: int, task: str) -> Sentence:
    """Reads a line; the first brackets mark the occupation, the second a pronoun that refers to it."""
    found = LINE.fullmatch(line.strip())
    occupation, pronoun, *_ = BRACKETED.findall(found[2]) if found else ("", "")
    if not found or pronoun.lower() not in MASCULINE | FEMININE:
        raise FairbenchError(
            f"Line {n} of {task} is {line[:80]!r}. Wanted is a number and a sentence in which [brackets] mark an occupation and "
            "then its pronoun. Download the files again."
        )
    return Sentence(int(found[1]), BRACKETED.sub(r"\1", found[2]), ARTICLE.sub("", occupation, count=1).lower(), pronoun.lower())
