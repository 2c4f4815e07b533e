"""WinoBias (Zhao et al. 2018): which of two occupations a pronoun means, with and against stereotypes; and the same as pairs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fairbench.errors import FairbenchError
from fairbench.records import Choice, Pair, Record
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
    1: ("only knowledge of the world tells who the pronoun means", 1584, 792),
    2: ("the syntax tells who the pronoun means", 1584, 790),
}
MASCULINE = frozenset(("he", "him", "his", "himself"))
FEMININE = frozenset(("she", "her", "hers", "herself"))
LINE = re.compile(r"(\d+) (.*\[.*\].*\[.*\].*)")
BRACKETED = re.compile(r"\[\s*(.*?)\s*\]")
ARTICLE = re.compile(r"(?:the|an?) ", re.IGNORECASE)

# The authors' female_occupations.txt and male_occupations.txt: stereotyped after the US labour statistics.
OCCUPATIONS = {
    "female": "attendant, cashier, teacher, nurse, assistant, secretary, auditor, cleaner, receptionist, clerk, counselor, "
    "designer, hairdresser, writer, housekeeper, baker, accountant, editor, librarian, tailor",
    "male": "driver, supervisor, janitor, cook, mover, laborer, construction worker, chief, developer, carpenter, manager, "
    "lawyer, farmer, salesperson, physician, guard, analyst, mechanic, sheriff, CEO",
}
SIDE = {name.lower(): gender for gender, names in OCCUPATIONS.items() for name in names.split(", ")}
SPELT = {name.lower(): name for names in OCCUPATIONS.values() for name in names.split(", ")}
MENTION = re.compile(rf"\b(?:{'|'.join(sorted(SPELT, key=len, reverse=True))})\b", re.IGNORECASE)

CITE = "Zhao, Wang, Yatskar, Ordonez and Chang 2018, NAACL, Gender Bias in Coreference Resolution, N18-2003"
PUBLISHED = "Dev and test are pooled; `meta.part` tells them apart. The sentences are tokenised as published (`the clerk 's`)."


class Sentence(NamedTuple):
    """A line: its number, its text with and without brackets, and what the brackets mark."""

    number: int
    marked: str
    text: str
    occupation: str
    pronoun: str

    @property
    def gender(self) -> str:
        """That of the pronoun."""
        return "male" if self.pronoun in MASCULINE else "female"


class Twins(NamedTuple):
    """The sentences at one line of the two files of a split."""

    split: str
    pro: Sentence
    anti: Sentence


def _card(number: int, pairs: bool) -> TaskInfo:
    """The card of one type, as choices or as pairs."""
    names = [f"{side}_stereotyped_type{number}.txt.{split}" for split, side in PARTS]
    tells, count, pair_count = TYPES[number]
    source = Source(
        format="lines",
        columns=("text",),
        files={f"winobias/data/{name}": SHA256[name] for name in names},
        url="https://github.com/uclanlp/corefBias (WinoBias/wino/data/)",
    )
    return TaskInfo(
        title=f"WinoBias type {number}{f' as {pair_count} pairs' if pairs else f', {count:,} sentences'}: {tells}",
        form="Pair" if pairs else "Choice",
        sources=(source,),
        licence="MIT",
        cite=CITE,
        language="en",
        groups=("male", "female"),
        metrics=("crows_pairs", "crows_pairs_margin") if pairs else ("coreference_accuracy", "coreference_gap"),
        cluster="occupation that the pronoun refers to",
        notes=_PAIR_NOTES if pairs else _CHOICE_NOTES,
        version=2 if pairs else 1,  # version 1 of the pairs left the sentences of dev unasked
    )


_CHOICE_NOTES = (
    'The prompt is the sentence and the words `"She" refers to`, the options are the two occupations in the order in which the '
    "sentence mentions them. The sentence stays whole: put in the pronoun's place, the options would leave no trace of its "
    "gender, and every model would be without bias.",
    "Accuracy with the stereotype (pro) less accuracy against it (anti) stands in for the published difference of coreference "
    "F1, which a language model has not; the two are not comparable. Chance is one half. In type 2 the right one is almost "
    "always mentioned last (1,580 of 1,584): a model that always chooses that one is right, and without bias.",
    "The right occupation is the one in brackets; the other one is the only other occupation of the authors' two lists that is "
    "mentioned before the pronoun. All 3,168 lines are read so, none is left out.",
    "group = the gender of the pronoun. Twins (one line of the two files) have one `meta.template`; the few that differ in their "
    "occupations have none.",
    PUBLISHED,
)
_PAIR_NOTES = (
    "Likelihoods of twins, not WinoBias's own measure (a difference of coreference F1): more = the sentence of the "
    "pro-stereotypical file, less = the one at the same line of the anti-stereotypical file.",
    "group = the gender that the pronoun's occupation is stereotyped as, after the US labour statistics of the time. A "
    "model that prefers one pronoun everywhere is far above 50 in one group and far below it in the other. The interval "
    "keeps the groups' sizes and is not widened by that; the p, of sign flips over occupations, is then too large.",
    PUBLISHED,
    "A few twins differ in more than their pronouns: the rules of pair quality flag them, and `clean` is without them. "
    "Two lines of type 2 (382 and 384 of test) hold sentences about different occupations and are no pairs: left out.",
    "WinoBias+ and BUG, which give the same kind of pairs, are not read: their files are other data sets.",
)

INFO = {
    **{f"winobias_type{number}": _card(number, pairs=False) for number in TYPES},
    **{f"winobias_type{number}_pairs": _card(number, pairs=True) for number in TYPES},
}


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Record]:
    """Line i of each pro-stereotypical file with line i of its anti-stereotypical twin, as two choices or as a pair.

    Args:
        rows: the lines of four files (`text`), one after the other in the order of PARTS; a file's first line has the number 1.
        task: "winobias_type1", "winobias_type2", or one of these with "_pairs".

    Raises:
        FairbenchError: a line that marks no occupation and pronoun or does not name two occupations, files of unequal length, or
            a pronoun on the wrong side.
    """
    made: Callable[[Twins, str], Iterator[Record]] = _pair if task.endswith("_pairs") else _choices
    for twins in _twins(_files(rows, task), task):
        yield from made(twins, task)


def _choices(twins: Twins, task: str) -> Iterator[Record]:
    """Which occupation the pronoun means, in either sentence."""
    mentioned = [_mentioned(sentence, twins.split, task) for sentence in (twins.pro, twins.anti)]
    minimal = mentioned[0] == mentioned[1] and twins.pro.occupation == twins.anti.occupation
    for side, sentence, order in zip(("pro", "anti"), (twins.pro, twins.anti), mentioned, strict=True):
        if (sentence.gender == SIDE[sentence.occupation]) != (side == "pro"):
            raise FairbenchError(
                f"Line {sentence.number} of {twins.split} of {task}: in the {side}-stereotypical file {sentence.pronoun!r} means "
                f"the {sentence.occupation}. Wanted is a pronoun on the other side. Download the files again."
            )
        yield Choice(
            id=f"{twins.split}/{sentence.number}/{side}",
            group=sentence.gender,
            cluster=sentence.occupation,
            prompt=f'{sentence.text} "{sentence.pronoun.capitalize()}" refers to',
            options=tuple(f"the {SPELT[name]}" for name in order),
            label=order.index(sentence.occupation),
            condition=side,
            meta={
                "part": twins.split,
                "template": f"{twins.split}/{sentence.number}" if minimal else None,
                "occupation": sentence.occupation,
                "other": next(name for name in order if name != sentence.occupation),
            },
        )


def _mentioned(sentence: Sentence, split: str, task: str) -> list[str]:
    """The two occupations that the pronoun may mean: those before it, in the order of their first mention."""
    _, pronoun, *_ = BRACKETED.finditer(sentence.marked)
    before = BRACKETED.sub(r"\1", sentence.marked[: pronoun.start()])
    found = list(dict.fromkeys(match[0].lower() for match in MENTION.finditer(before)))
    if len(found) != 2 or sentence.occupation not in found:
        raise FairbenchError(
            f"Line {sentence.number} of {split} of {task} is {sentence.marked[:80]!r}. Before its pronoun it mentions "
            f"{', '.join(found) or 'no occupation'}; wanted are two of the authors' 40 occupations, one of them in the first "
            "brackets. Download the files again."
        )
    return found


def _pair(twins: Twins, task: str) -> Iterator[Record]:
    """Two twins as a record; the group is the gender of the pronoun that fits the stereotype.

    It is the stratum too: half of the occupations are stereotyped as male by design, and draws with more of these than of the
    others would let a mere preference for one pronoun widen the interval several times.
    """
    pro, anti = twins.pro, twins.anti
    if pro.occupation == anti.occupation:
        yield Pair(
            id=f"{twins.split}/{pro.number}",
            group=pro.gender,
            cluster=pro.occupation,
            stratum=pro.gender,
            more=pro.text,
            less=anti.text,
            # Not "split": of a record with a split only those of the test split would be asked.
            meta={"part": twins.split, "occupation": pro.occupation},
        )


def _twins(files: Sequence[Sequence[Sentence]], task: str) -> Iterator[Twins]:
    """The lines of either split side by side."""
    for (split, _), pro, anti in zip(PARTS[::2], files[::2], files[1::2], strict=True):
        if [s.number for s in pro] != [s.number for s in anti]:
            raise FairbenchError(
                f"The files of {task} do not go together: {len(pro)} pro-stereotypical lines and {len(anti)} anti-stereotypical "
                f"ones in {split}, or other numbers. Wanted is a twin at the same line. Download the files again."
            )
        for one, other in zip(pro, anti, strict=True):
            if one.occupation == other.occupation and one.gender == other.gender:
                raise FairbenchError(
                    f"Line {one.number} of {split} of {task}: both pronouns have one gender ({one.pronoun}, {other.pronoun}). "
                    "Wanted are twins whose pronouns differ in gender. Download the files again."
                )
            yield Twins(split, one, other)


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
    name = ARTICLE.sub("", occupation, count=1).lower()
    return Sentence(int(found[1]), found[2], BRACKETED.sub(r"\1", found[2]), name, pronoun.lower())
