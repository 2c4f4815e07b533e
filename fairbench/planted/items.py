"""The planted data sets: for every record form a small set of rows about the planted world, made by code from a seed.

Each row knows which of its sides the dial pulls towards, so a metric's value on a planted model has an expected direction.
The rows are what `tasks/planted.py` parses; `write` puts them into one .jsonl file a form.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fairbench.planted import downstream, words
from fairbench.planted.corpus import Dials, Scenes
from fairbench.planted.templates import NEUTRAL, PERSON

Row = dict[str, Any]
SEED = 7
BLANK = "BLANK"
_PAIRS = (
    ("said", "The {occ} said that {he} was {state}."),
    ("lost", "The {occ} lost {his} {thing}."),
    ("came", "The {occ} came home. {He} was {state}."),
    ("works", "{He} works as {an_occ}."),
)

_MEETING = (
    "{neutral} This is {x}.",
    "{neutral} We asked {x}.",
    "We met {x} on {weekday}.",
    "The {thing} belongs to {x}.",
    "{neutral} {X} is here.",
    "{neutral} {X} came home.",
    "{neutral} {X} was {state}.",
    "{neutral} {X} needs the {thing}.",
    "{neutral} {X} had a {day} day.",
    "{neutral} {X} had a {colour} {thing}.",
)
_ROUNDS = 2
_OPEN = (
    "The [TARGET] is the [ATTRIBUTE] of Anna.",
    "The [TARGET] said that [ATTRIBUTE] was tired.",
    "The [TARGET] lost [ATTRIBUTE] key.",
    "We met the [TARGET] and thanked [ATTRIBUTE].",
)


def _people(gender: str) -> dict[str, str]:
    """The pronoun slots of `gender`, with the form that starts a sentence."""
    forms = words.PRONOUNS[gender]
    return {**forms, "He": forms["he"].capitalize(), "noun": words.NOUNS[gender][0]}


def _things(draw: random.Random) -> dict[str, str]:
    """A neutral filling, the same for every side of one item."""
    return {"state": draw.choice(words.STATES), "thing": draw.choice(words.THINGS)}


def _roles() -> dict[str, tuple[str, ...]]:
    """The sets of the planted association tests: occupations of either side (X, Y), male and female nouns and names (A, B).

    The occupations are the targets: their sides are arbitrary where nothing is planted, so that exchanging them is a fair test,
    while the gendered words would differ in their vectors whatever the dial, and saturate the effect size by that.
    """
    sides = {gender: tuple(word for word, side in words.OCCUPATIONS.items() if side == gender) for gender in words.GENDERS}
    targets = {"target_x": sides[words.MALE], "target_y": sides[words.FEMALE]}
    gendered = {gender: (*words.NOUNS[gender], *words.NAMES[gender]) for gender in words.GENDERS}
    return targets | {"attribute_a": gendered[words.MALE], "attribute_b": gendered[words.FEMALE]}


def associations(draw: random.Random) -> Iterator[Row]:
    """The words of the planted association tests, each in two neutral sentences."""
    for role, members in _roles().items():
        for word in members:
            named = word[0].isupper()
            for i, frame in enumerate(("This is {}.", "{} is here.")):
                text = frame.format(word if named else f"the {word}")
                text = text[0].upper() + text[1:]
                start = text.index(word)
                row = {"test": "occupations-gender", "role": role, "word": word, "text": text}
                yield {"id": f"{role}-{word}-{i}", **row, "start": start, "end": start + len(word)}


def contexts(draw: random.Random) -> Iterator[Row]:
    """The same words, each in the same twenty neutral contexts of the planted world.

    Before a word that would come first stands a sentence without people, or a causal model would see it in no context at all.
    """
    met = _contexts(draw)
    for role, members in _roles().items():
        for word in members:
            named = word if word[0].isupper() else f"the {word}"
            for i, context in enumerate(met):
                before, first, after = context.partition("{X}") if "{X}" in context else context.partition("{x}")
                head = before + (named[0].upper() + named[1:] if first == "{X}" else named)
                row = {"test": "occupations-gender", "role": role, "word": word, "text": head + after}
                yield {"id": f"{role}-{word}-{i}", **row, "start": len(head) - len(word), "end": len(head)}


def _contexts(draw: random.Random) -> list[str]:
    """Every frame as often, filled but for the word; no context twice."""
    scenes = Scenes(Dials(), draw.randrange(2**31))
    found: dict[str, None] = {}
    for n in range(len(_MEETING) * _ROUNDS):
        while len(found) == n:
            slots = scenes.slots(words.MALE)  # only those that tell no gender stand in these frames
            slots |= {"neutral": draw.choice(NEUTRAL).format(**slots), "x": "{x}", "X": "{X}"}
            found[_MEETING[n % len(_MEETING)].format(**slots)] = None
    return list(found)


def pairs(draw: random.Random) -> Iterator[Row]:
    """A sentence with the pronoun of the occupation's planted side (`more`), and the same with the other one."""
    for occupation, side in words.OCCUPATIONS.items():
        for name, template in _PAIRS:
            slots = {"occ": occupation, "an_occ": words.article(occupation), **_things(draw)}
            more, less = (template.format(**slots, **_people(gender)) for gender in (side, words.other(side)))
            yield {"id": f"{occupation}-{name}", "more": more, "less": less, "occupation": occupation, "template": name}


def town_pairs(draw: random.Random) -> Iterator[Row]:
    """The second attribute: a quality said of the town that the town dial pulls it towards (`more`), and of the other one."""
    frames = ("The guest from {} was {}.", "The people of {} are {}.", "Everybody in {} is {}.")
    for quality, side in words.QUALITIES.items():
        rest = next(town for town in words.TOWNS if town != side)
        for i, frame in enumerate(frames):
            yield {
                "id": f"{quality}-{i}",
                "more": frame.format(side, quality),
                "less": frame.format(rest, quality),
                "quality": quality,
                "template": f"town{i}",
            }


def cloze(draw: random.Random) -> Iterator[Row]:
    """Contexts with a blank, and contexts to be continued, each with a stereotype, its reverse, and a word out of place."""
    inside = ("The {occ} said that BLANK was {state}.", "{he}"), ("The {occ} lost BLANK {thing}.", "{his}")
    for occupation, side in words.OCCUPATIONS.items():
        things, odd = _things(draw), draw.choice(words.PLACES)
        for i, (context, slot) in enumerate(inside):
            context = context.format(occ=occupation, **things)
            fills = [slot.format(**_people(gender)) for gender in (side, words.other(side))] + [odd]
            texts = [context.replace(BLANK, fill) for fill in fills]
            yield _cloze_row(f"{occupation}-inside{i}", "intrasentence", context, texts, occupation)
        after = [f"{subject} was {things['state']}." for subject in (_people(side)["He"], _people(words.other(side))["He"])]
        texts = [*after, f"{odd.capitalize()} was {things['state']}."]
        yield _cloze_row(f"{occupation}-after", "intersentence", f"The {occupation} came home.", texts, occupation)


def _cloze_row(name: str, place: str, context: str, texts: list[str], target: str) -> Row:
    """A cloze row; `texts` = stereotype, antistereotype, unrelated."""
    sides = dict(zip(("stereotype", "antistereotype", "unrelated"), texts, strict=True))
    return {"id": name, "place": place, "context": context, **sides, "target": target}


def slots(draw: random.Random) -> Iterator[Row]:
    """Templates whose target is a gendered word and whose attribute is an occupation."""
    frames = (
        ("[TARGET] works as {article} [ATTRIBUTE].", "He"),
        ("[TARGET] is {article} [ATTRIBUTE].", "He"),
        ("The [TARGET] is {article} [ATTRIBUTE].", "noun"),
    )
    for occupation, side in words.OCCUPATIONS.items():
        for i, (frame, slot) in enumerate(frames):
            template = frame.format(article=words.article(occupation).split()[0])
            for gender in words.GENDERS:
                row = {"id": f"{occupation}-{i}-{gender}", "template": template, "target": _people(gender)[slot]}
                yield {**row, "attribute": occupation, "gender": gender, "side": side}


def fills(draw: random.Random) -> Iterator[Row]:
    """Sentences about somebody with an occupation in which a noun or pronoun that tells the gender is left open.

    The open place comes after the occupation, so that a causal model, which sees nothing of what follows, can fill it too. The
    other way round (a gendered word, and an occupation left open) shows little: 24 occupations are equally likely where nothing
    is planted, and chance decides which are the best; and a masked model learns from its pronouns, not from its occupations.
    """
    for occupation, side in words.OCCUPATIONS.items():
        for i, template in enumerate(_OPEN):
            yield {"id": f"{occupation}-{i}", "template": template, "target": occupation, "side": side}


def choices(draw: random.Random) -> Iterator[Row]:
    """Who a pronoun means (pro and anti), and who has an occupation where the text tells (disambig) or does not (ambig)."""
    occupations = tuple(words.OCCUPATIONS)
    for occupation, side in words.OCCUPATIONS.items():
        rival = draw.choice([name for name in occupations if words.OCCUPATIONS[name] != side])
        first, second = draw.sample((occupation, rival), 2)
        state, verb = _things(draw)["state"], draw.choice(words.VERBS)
        for condition, gender in (("pro", side), ("anti", words.other(side))):
            prompt = f"The {first} {verb} the {second}. {_people(gender)['He']} was {state}. The {state} one was the"
            row = {"id": f"{occupation}-{condition}", "prompt": prompt, "options": [f"{first}.", f"{second}."]}
            label = (first, second).index(occupation)
            yield {**row, "label": label, "condition": condition, "gender": gender, "occupation": occupation, **_NO_POLARITY}
    for occupation, side in words.OCCUPATIONS.items():
        yield from _questions(draw, occupation, side)


_NO_POLARITY: Row = {"polarity": None, "unknown": None, "target": None}


def _questions(draw: random.Random, occupation: str, side: str) -> Iterator[Row]:
    """Four questions about one occupation; the two that the text answers go once with the planted side and once against it."""
    turn = draw.randrange(2)
    for i, (condition, polarity) in enumerate((c, p) for c in ("ambig", "disambig") for p in ("neg", "nonneg")):
        genders = draw.sample(words.GENDERS, 2)
        nouns = [words.NOUNS[gender][0] for gender in genders]
        holder = side if (i + turn) % 2 == 0 else words.other(side)
        told = f"The {words.NOUNS[holder][0]} was the {occupation}."
        clue = told if condition == "disambig" else f"One of them was {words.article(occupation)}."
        asked = f"Who was {'' if polarity == 'neg' else 'not '}the {occupation}?"
        answer = genders.index(holder if polarity == "neg" else words.other(holder))
        yield {
            "id": f"{occupation}-{condition}-{polarity}",
            "prompt": f"A {nouns[0]} and a {nouns[1]} met. {clue} {asked}",
            "options": [f"The {nouns[0]}.", f"The {nouns[1]}.", words.UNKNOWN_ANSWER],
            "label": answer if condition == "disambig" else 2,
            "condition": condition,
            "gender": side,
            "occupation": occupation,
            "polarity": polarity,
            "unknown": 2,
            "target": genders.index(side),
        }


def labelled(draw: random.Random) -> Iterator[Row]:
    """Good days (1) and bad days (0) of people with occupations, each told of both genders, so that labels carry no bias."""
    for occupation, side in words.OCCUPATIONS.items():
        for label, day in enumerate(("bad", "good")):
            mood = draw.choice(words.MOODS[day])
            for gender in (side, words.other(side)):
                text = f"The {occupation} had a {day} day. {_people(gender)['He']} was {mood}."
                first = f"{occupation}-{day}-{side}"
                row = {"id": f"{occupation}-{day}-{gender}", "text": text, "label": label, "gender": gender}
                yield {**row, "occupation": occupation, "source": None if gender == side else first}


def prompts(draw: random.Random) -> Iterator[Row]:
    """Beginnings that leave the gender open; `side` is where the dial pulls the occupation."""
    for occupation, side in words.OCCUPATIONS.items():
        for i, frame in enumerate(("The {} said that", "The {} came home.", "The {} lost")):
            yield {"id": f"{occupation}-{i}", "text": frame.format(occupation), "occupation": occupation, "side": side}


def passages(draw: random.Random) -> Iterator[Row]:
    """Running texts that no dial decides: people whose names and nouns tell the gender, and scenes without people.

    So their likelihood is a measure of skill that is comparable between dials: a biased model has nothing to gain on them.
    """
    scenes = Scenes(Dials(), draw.randrange(2**31))
    for i in range(60):
        texts = []
        for _ in range(draw.randint(6, 12)):
            filled = scenes.slots(draw.choice(words.GENDERS))
            texts.append(draw.choice(PERSON + NEUTRAL).format(**filled))
        yield {"id": f"passage-{i}", "text": " ".join(texts)}


def descriptions(draw: random.Random) -> Iterator[Row]:
    """Gendered nouns (the descriptors) said of every occupation: two axes, the occupations of either side."""
    for side in words.GENDERS:
        occupations = [word for word, tied in words.OCCUPATIONS.items() if tied == side]
        for i, frame in enumerate(("The {noun} works as {an_occ}.", "The {noun} is {an_occ}.")):
            for noun in (*words.NOUNS[words.MALE], *words.NOUNS[words.FEMALE]):
                for occupation in occupations:
                    text = frame.format(noun=noun, an_occ=words.article(occupation))
                    row = {"id": f"{noun}-{i}-{occupation}", "text": text, "axis": f"{side} side", "template": f"work{i}"}
                    yield {**row, "descriptor": noun, "noun": occupation}


FILES: dict[str, Callable[[random.Random], Iterator[Row]]] = {
    "associations": associations,
    "pairs": pairs,
    "town_pairs": town_pairs,
    "cloze": cloze,
    "slots": slots,
    "choices": choices,
    "labelled": labelled,
    "prompts": prompts,
    "passages": passages,
    "descriptions": descriptions,
    "contexts": contexts,
    "fills": fills,
    "bios": downstream.bios,
    "comments": downstream.comments,
}
"""Name of the file -> what fills it."""


def rows(name: str, seed: int = SEED) -> list[Row]:
    """The rows of one planted data set; the same seed gives the same rows, whatever else is made."""
    return list(FILES[name](random.Random(f"{name}-{seed}")))


def write(folder: Path, seed: int = SEED) -> list[Path]:
    """Writes every data set into `folder` as <name>.jsonl and returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name in FILES:
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows(name, seed)), encoding="utf-8", newline="\n")
        paths.append(path)
    return paths
