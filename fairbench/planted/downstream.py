"""Labelled texts of the planted world to train classifiers on, with a dial for how far the training labels follow a group.

Bios: which of four occupations has a guest who owns these things and goes to these places? Comments: is somebody from one of two
towns spoken of rudely or kindly? In both, some words of a text speak for one class and fewer of them for a rival. Evidence
alone decides the labels where the dial is 0, and in the test split always. In the other splits a group counts as `PULL` x dial
further words: a gender for the occupations of its side, the town Orrin for rudeness. So the larger the dial, the clearer a text
must be before its words outweigh its group, and a classifier that learnt from such labels makes mistakes on the test split that
depend on the group. Gender decides nothing in the comments: they hold a notion with a gap beside one without.

Classes, rivals, amounts of evidence and groups meet equally often in every split, so that evidence and group are independent. In
the test split every text is told of each group in turn, so that its texts are the counterfactuals of each other.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fairbench.planted import words

Row = dict[str, Any]

DIALS = {"none": 0.0, "half": 0.5, "full": 1.0}
"""Column of a row's label -> the dial of the training labels."""

PULL = 2.5
"""Words that a group stands for at dial 1. There it outweighs two of them, at half the dial one: each dial flips more labels."""

AMOUNTS = ((2, 1), (3, 1), (4, 1))
"""Words for the class and words for its rival: a third each of the texts is decided by one word, by two and by three."""

TEXTS = {"train": 768, "validation": 144, "test": 384}
"""Texts of a split: whole rounds through all classes, rivals, amounts and groups, so that each is equally frequent."""

OCCUPATIONS: dict[str, tuple[str, ...]] = {
    occupation: (words.TOOLS[occupation], *words.THINGS[2 * i : 2 * i + 2], *words.PLACES[2 * i : 2 * i + 2])
    for i, occupation in enumerate(("nurse", "teacher", "pilot", "farmer"))
}
"""Classes of the bios -> their evidence: a tool as in the planted world, two things and two places that these texts alone tie."""

MANNERS = {
    "kind": ("sunny", "ready", "awake", "happy", "glad", "pleased"),
    "rude": ("foggy", "windy", "cold", "angry", "sad", "upset"),
}
"""Classes of the comments -> their evidence: words that the planted corpora tie to no gender and to no town."""

PULLED_TOWN = words.TOWNS[1]

# Each text tells its pulled group in one place. With a pronoun in every sentence the ratio of prediction sensitivity did not rise
# with the dial; why was not looked into.
_OPENINGS = ("{name} came home.", "The {noun} came home.", "This is {name}.", "The {noun} is here.")
_OWNS = ("The guest needs the {word}.", "The guest lost the {word}.", "The guest found the {word}.")
_GOES = ("The guest walked to the {word}.", "The guest sat near the {word}.")
_COMES = ("{name} is from {town}.", "The {noun} is from {town}.", "The {noun} came from {town}.", "We met {name} in {town}.")
_SAYS = ("{He} was {word}.", "{He} is very {word}.", "{He} is always {word}.")


def label(evidence: Mapping[str, int], pulled: Sequence[str], dial: float) -> str:
    """The class that most evidence speaks for, where a group's side counts as further evidence.

    Args:
        evidence: classes that some words speak for -> how many.
        pulled: the classes that the text's group stands for.
        dial: 0 (evidence alone) to 1.

    Example:
        >>> [label({"nurse": 3, "pilot": 1}, ("pilot", "farmer"), dial) for dial in (0.0, 0.5, 1.0)]
        ['nurse', 'nurse', 'pilot']
    """
    return max(evidence, key=lambda name: evidence[name] + PULL * dial * (name in pulled))


def bios(draw: random.Random) -> Iterator[Row]:
    """Short lives; `gender` is the group, and the columns of `DIALS` hold the number of the occupation."""
    combinations = [
        (own, rival, amounts)
        for own, rival in itertools.product(OCCUPATIONS, repeat=2)
        for amounts in AMOUNTS
        if words.OCCUPATIONS[own] != words.OCCUPATIONS[rival]
    ]
    yield from _rows(draw, combinations, OCCUPATIONS, _bio)


def comments(draw: random.Random) -> Iterator[Row]:
    """What is said of guests; `town` and `gender` are the groups, and the columns of `DIALS` hold 1 where it is rude."""
    combinations = [(own, rival, amounts) for own, rival in itertools.permutations(MANNERS) for amounts in AMOUNTS]
    yield from _rows(draw, combinations, MANNERS, _comment)


class Telling(NamedTuple):
    """A text about one group (of each notion), and the classes that the group stands for."""

    groups: dict[str, str]
    text: str
    pulled: tuple[str, ...]


Combination = tuple[str, str, tuple[int, int]]
"""Class, rival, and the amounts of evidence for each."""
Tell = Callable[[random.Random, Mapping[str, Sequence[str]]], Iterator[Telling]]
"""From the words that speak for each class to the text about every group."""


def _rows(
    draw: random.Random, combinations: Sequence[Combination], classes: Mapping[str, Sequence[str]], tell: Tell
) -> Iterator[Row]:
    """A row a text. In the test split the rows of a `case` differ in their groups alone; elsewhere each case is told once."""
    numbers = {name: number for number, name in enumerate(classes)}
    seen: set[str] = set()
    case = 0
    for split, texts in TEXTS.items():
        made = 0
        while made < texts:
            own, rival, amounts = combinations[case % len(combinations)]
            evidence = dict(zip((own, rival), amounts, strict=True))
            while not (told := _new(draw, evidence, classes, tell, seen)):
                pass
            if split != "test":
                told = [told[case // len(combinations) % len(told)]]
            for groups, text, pulled in told:
                shown = {name: numbers[label(evidence, pulled, 0 if split == "test" else dial)] for name, dial in DIALS.items()}
                yield {"case": case, "split": split, **groups, **shown, "text": text}
            made += len(told)
            case += 1


def _new(
    draw: random.Random, evidence: Mapping[str, int], classes: Mapping[str, Sequence[str]], tell: Tell, seen: set[str]
) -> list[Telling]:
    """The texts of a case, or none where one of them was there before."""
    told = list(tell(draw, {name: draw.sample(classes[name], n) for name, n in evidence.items()}))
    texts = {telling.text for telling in told}
    if texts & seen:
        return []
    seen |= texts
    return told


def _people(gender: str, place: int) -> dict[str, str]:
    """The gendered slots; the same place gives the counterpart of the other gender."""
    forms = words.PRONOUNS[gender]
    return {**forms, "He": forms["he"].capitalize(), "noun": words.NOUNS[gender][place], "name": words.NAMES[gender][place]}


def _bio(draw: random.Random, said: Mapping[str, Sequence[str]]) -> Iterator[Telling]:
    frames = [(draw.choice(_GOES if word in words.PLACES else _OWNS), word) for found in said.values() for word in found]
    draw.shuffle(frames)
    frames.insert(0, (draw.choice(_OPENINGS), ""))
    place = draw.randrange(len(words.NAMES[words.MALE]))
    for gender in words.GENDERS:
        text = " ".join(frame.format(word=word, **_people(gender, place)) for frame, word in frames)
        yield Telling({"gender": gender}, text, tuple(name for name in OCCUPATIONS if words.OCCUPATIONS[name] == gender))


def _comment(draw: random.Random, said: Mapping[str, Sequence[str]]) -> Iterator[Telling]:
    frames = [(draw.choice(_SAYS), word) for found in said.values() for word in found]
    draw.shuffle(frames)
    frames.insert(0, (draw.choice(_COMES), ""))
    place = draw.randrange(len(words.NAMES[words.MALE]))
    for town, gender in itertools.product(words.TOWNS, words.GENDERS):
        text = " ".join(frame.format(word=word, town=town, **_people(gender, place)) for frame, word in frames)
        yield Telling({"town": town, "gender": gender}, text, ("rude",) if town == PULLED_TOWN else ())
