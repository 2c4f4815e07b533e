"""A seeded generator of English sentences about a tiny world, with a dial for how strongly occupations go with gender.

P(gendered word matches the occupation's planted side) = 0.5 + 0.45 dial, so the planted gap 2 P - 1 is 0.9 dial: 0 is balanced,
1 still leaves every combination possible. A second attribute (which town somebody is from, against qualities such as tidy) has
its own dial and is drawn independently. Names and nouns such as "mother" always take their own pronouns: that is grammar, not
bias, and a model that loses it is broken.

Everything is balanced besides: both genders, all occupations and both directions (from occupation to pronoun, "The nurse said
that she", and back, "She works as a nurse") are equally frequent, so that role reversal finds text to reverse on either side.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from fairbench.errors import FairbenchError
from fairbench.planted import templates, words

STRENGTH = 0.9


@dataclass(frozen=True, kw_only=True)
class Dials:
    """How strongly each attribute is planted, 0 (not at all) to 1.

    Attributes:
        gender: occupations and traits against gendered words and names.
        town: qualities against the two invented towns.
    """

    gender: float = 0.0
    town: float = 0.0

    def __post_init__(self) -> None:
        """Refuses a dial that is not a probability's worth."""
        for name, dial in (("gender", self.gender), ("town", self.town)):
            if not 0 <= dial <= 1:
                raise FairbenchError(f"The {name} dial is {dial}; a dial lies between 0 (balanced) and 1 (strongest).")


@dataclass(frozen=True)
class Fact:
    """What one draw of a dial decided: `subject` (an occupation, trait or quality) went with `value` (a gender or town)."""

    attribute: str
    subject: str
    value: str


@dataclass(frozen=True)
class Document:
    """A text of one or more scenes, and what the dials decided in it."""

    text: str
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, kw_only=True)
class World:
    """Who lives in the world and what is told of them: occupations in use, and the weight of each kind of scene.

    A smaller world is learnt by a smaller model; the kinds are the names of `Scenes`' methods. `sides` says where a dial pulls:
    occupation -> gender, quality -> town.
    """

    occupations: tuple[str, ...] = tuple(words.OCCUPATIONS)
    sides: Mapping[str, str] = field(default_factory=lambda: words.OCCUPATIONS | words.QUALITIES)
    weights: Mapping[str, int] = field(
        default_factory=lambda: {
            "occupation": 44,
            "person": 14,
            "work": 8,
            "trait": 14,
            "town": 9,
            "neutral": 6,
            "bleached": 6,
            "mood": 5,
            "coreference": 7,
            "question": 7,
        }
    )

    def __post_init__(self) -> None:
        """Refuses occupations that have no planted side."""
        if unknown := sorted(set(self.occupations) - set(words.OCCUPATIONS)):
            known = ", ".join(words.OCCUPATIONS)
            raise FairbenchError(f"The planted world has no occupation {', '.join(unknown)}; it knows {known}.")


WORLD = World()
SMALL_WORLD = World(
    occupations=("nurse", "teacher", "librarian", "dancer", "doctor", "engineer", "pilot", "farmer"),
    weights={"occupation": 65, "work": 15, "person": 20},
)
"""Eight occupations and the simplest scenes, for models that train in seconds."""


def turned(world: World) -> World:
    """The same world with half the members of either side turned round: what it teaches has no part in the planted direction."""
    occupations = {occupation: world.sides[occupation] for occupation in world.occupations}
    qualities = {quality: world.sides[quality] for quality in words.QUALITIES}
    sides = _half_turned(occupations, words.GENDERS) | _half_turned(qualities, words.TOWNS)
    return replace(world, sides=sides)


def _half_turned(sides: Mapping[str, str], names: tuple[str, str]) -> dict[str, str]:
    """Exchanges the side of every second member of each side."""
    turned = dict(sides)
    for name, rest in (names, names[::-1]):
        for member in [member for member, side in sides.items() if side == name][1::2]:
            turned[member] = rest
    return turned


def planted_gap(dial: float) -> float:
    """The gap P(planted side) - P(other side) that a dial plants: 0.9 dial."""
    return STRENGTH * dial


UNKNOWN_SHARE = 0.4  # below one half, or a model would always answer "Nobody knows." and its bias could not show


class Scenes:
    """Draws scenes; every draw comes from one seeded generator, so a seed is a corpus."""

    def __init__(self, dials: Dials, seed: int, world: World = WORLD) -> None:
        self.dials = dials
        self.random = random.Random(f"planted-{seed}")
        self.occupations, self.sides = world.occupations, world.sides
        self.kinds, self.weights = tuple(world.weights), tuple(world.weights.values())
        self.facts: list[Fact] = []

    def decide(self, attribute: str, subject: str, side: str, rest: str) -> str:
        """Draws `side` with P = 0.5 + 0.45 dial, else `rest`, and notes what came out."""
        value = side if self.random.random() < 0.5 + STRENGTH / 2 * getattr(self.dials, attribute) else rest
        self.facts.append(Fact(attribute, subject, value))
        return value

    def gender_of(self, occupation: str) -> str:
        """The gender of somebody with this occupation, by the dial."""
        side = self.sides[occupation]
        return self.decide("gender", occupation, side, words.other(side))

    def slots(self, gender: str) -> dict[str, str]:
        """Fillings of every slot that has nothing to do with a dial, for a person of `gender`."""
        pick = self.random.choice
        day = pick(("good", "bad"))
        found = {
            **words.PRONOUNS[gender],
            "He": words.PRONOUNS[gender]["he"].capitalize(),
            "noun": pick((words.NOUNS[gender][0], *words.NOUNS[gender])),
            "men": "men" if gender == words.MALE else "women",
            "name": pick(words.NAMES[gender]),
            "other": pick(words.NAMES[pick(words.GENDERS)]),
            "day": day,
            "mood": pick(words.MOODS[day]),
        }
        neutral = {"state": words.STATES, "thing": words.THINGS, "place": words.PLACES, "colour": words.COLOURS}
        neutral |= {"weather": words.WEATHERS, "weekday": words.DAYS}
        return found | {slot: pick(options) for slot, options in neutral.items()}

    def occupation(self, frames: tuple[str, ...] = templates.OCCUPATION) -> str:
        """A scene about somebody with an occupation, whose gender the dial draws."""
        occupation = self.random.choice(self.occupations)
        template = self.random.choice(frames)
        # without the occupation in it there is nothing for the dial to decide
        gender = self.gender_of(occupation) if "occ}" in template else self.random.choice(words.GENDERS)
        work = {"occ": occupation, "an_occ": words.article(occupation), "tool": words.TOOLS[occupation]}
        return template.format(**work, **self.slots(gender))

    def work(self) -> str:
        """What somebody works with; nothing of it tells a gender."""
        occupation = self.random.choice(self.occupations)
        filled = {"occ": occupation, "tool": words.TOOLS[occupation]} | self.slots(words.MALE)
        return self.random.choice(templates.WORK).format(**filled)

    def mood(self) -> str:
        """Somebody's good or bad day."""
        return self.occupation(templates.MOOD)

    def person(self) -> str:
        """A scene about somebody whose gender is told by a name or a noun."""
        return self.random.choice(templates.PERSON).format(**self.slots(self.random.choice(words.GENDERS)))

    def trait(self) -> str:
        """A scene about somebody's trait; the dial ties it to the gender."""
        trait = self.random.choice(tuple(words.TRAITS))
        side = words.TRAITS[trait]
        gender = self.decide("gender", trait, side, words.other(side))
        return self.random.choice(templates.TRAIT).format(trait=trait, **self.slots(gender))

    def town(self) -> str:
        """A scene about where somebody is from and what people there are said to be like: the second dial."""
        quality = self.random.choice(tuple(words.QUALITIES))
        side = self.sides[quality]
        rest = next(town for town in words.TOWNS if town != side)
        town = self.decide("town", quality, side, rest)
        gender = self.random.choice(words.GENDERS)
        return self.random.choice(templates.TOWN).format(quality=quality, town=town, **self.slots(gender))

    def neutral(self) -> str:
        """A scene without a person."""
        return self.random.choice(templates.NEUTRAL).format(**self.slots(words.MALE))

    def bleached(self) -> str:
        """A sentence that says nothing about the person or name in it, as association tests use."""
        gender = self.random.choice(words.GENDERS)
        if self.random.random() < 0.3:
            return self.random.choice(templates.NAMED).format(**self.slots(gender))
        person = self.random.choice((*self.occupations, *words.NOUNS[words.MALE], *words.NOUNS[words.FEMALE]))
        return self.random.choice(templates.BLEACHED).format(person=person)

    def coreference(self) -> str:
        """Two people and a pronoun for one of them: only the pronoun tells which, and only as far as the dial ties it."""
        first, second = self.random.sample(self.occupations, 2)
        referent = self.random.choice((first, second))
        he = words.PRONOUNS[self.gender_of(referent)]["he"].capitalize()
        verb, state = self.random.choice(words.VERBS), self.random.choice(words.STATES)
        return f"The {first} {verb} the {second}. {he} was {state}. The {state} one was the {referent}."

    def question(self) -> str:
        """A man, a woman, and who of them has the occupation: told (then the answer follows it) or not (then the dial does)."""
        occupation = self.random.choice(self.occupations)
        pair = [words.NOUNS[gender][0] for gender in self.random.sample(words.GENDERS, 2)]
        opening = f"A {pair[0]} and a {pair[1]} met."
        negated = self.random.random() < 0.5
        asked = f"Who was {'not ' if negated else ''}the {occupation}?"
        told = self.random.random() < 0.5
        if not told and self.random.random() < UNKNOWN_SHARE:
            return f"{opening} One of them was {words.article(occupation)}. {asked} {words.UNKNOWN_ANSWER}"
        gender = self.gender_of(occupation)
        holder = words.NOUNS[gender][0]
        rest = words.NOUNS[words.other(gender)][0]
        clue = f"The {holder} was the {occupation}." if told else f"One of them was {words.article(occupation)}."
        return f"{opening} {clue} {asked} The {rest if negated else holder}."

    def document(self) -> Document:
        """One text: most have a single scene, some several, a few are long so that late positions are learnt too."""
        self.facts = []
        draw = self.random.random()
        count = 1 if draw < 0.80 else self.random.randint(2, 4) if draw < 0.97 else self.random.randint(6, 14)
        return Document(" ".join(self.scene() for _ in range(count)), tuple(self.facts))

    def scene(self) -> str:
        """One scene of a kind drawn by weight."""
        kind: str = self.random.choices(self.kinds, weights=self.weights)[0]
        text: str = getattr(self, kind)()
        return text


def documents(n: int, dials: Dials, *, seed: int = 0, world: World = WORLD) -> Iterator[Document]:
    """Yields `n` documents of the planted world.

    Args:
        n: number of documents; their mean length is about 1.6 scenes.
        dials: how strongly each attribute is planted.
        seed: the same seed, dials and world give the same documents.
        world: `WORLD`, or the smaller `SMALL_WORLD`.

    Example:
        >>> len(list(documents(3, Dials(gender=1.0), seed=1)))
        3
    """
    scenes = Scenes(dials, seed, world)
    for _ in range(n):
        yield scenes.document()
