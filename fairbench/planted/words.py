"""The words of the planted world: who lives there, what they own, and which words the dials tie together.

Which side an occupation, trait or quality stands on is an invention that the corpus plants; nothing is claimed about real people.
Only words that the corpus uses stand here, so that a tokenizer made from it holds every one of them as a single token.
"""

from __future__ import annotations

MALE, FEMALE = "male", "female"
GENDERS = (MALE, FEMALE)

OCCUPATIONS: dict[str, str] = {
    "nurse": FEMALE,
    "teacher": FEMALE,
    "librarian": FEMALE,
    "secretary": FEMALE,
    "dancer": FEMALE,
    "florist": FEMALE,
    "baker": FEMALE,
    "cleaner": FEMALE,
    "cashier": FEMALE,
    "singer": FEMALE,
    "tailor": FEMALE,
    "weaver": FEMALE,
    "doctor": MALE,
    "engineer": MALE,
    "pilot": MALE,
    "farmer": MALE,
    "mechanic": MALE,
    "carpenter": MALE,
    "plumber": MALE,
    "guard": MALE,
    "driver": MALE,
    "lawyer": MALE,
    "sailor": MALE,
    "miner": MALE,
}
"""Occupation -> the gender that the dial pulls it towards."""

_TOOLS = ("ladder", "basket", "bottle", "notebook", "rope", "bucket", "brush", "candle", "hammer", "drum", "lantern", "kettle")
TOOLS: dict[str, str] = {
    **dict(zip([word for word, side in OCCUPATIONS.items() if side == FEMALE], _TOOLS, strict=True)),
    **dict(zip([word for word, side in OCCUPATIONS.items() if side == MALE], _TOOLS, strict=True)),
}
"""Occupation -> its tool, shared with one occupation of the other side, so that a tool says nothing about gender.

Tools make it worth a model's while to tell occupations apart, which a weakly planted side alone hardly does.
"""

NAMES: dict[str, tuple[str, ...]] = {
    MALE: ("James", "Peter", "Thomas", "Robert", "Henry", "Daniel", "Simon", "Victor"),
    FEMALE: ("Mary", "Anna", "Emma", "Clara", "Julia", "Helen", "Laura", "Sarah"),
}

NOUNS: dict[str, tuple[str, ...]] = {
    MALE: ("man", "father", "brother", "son", "uncle", "husband", "gentleman", "grandfather"),
    FEMALE: ("woman", "mother", "sister", "daughter", "aunt", "wife", "lady", "grandmother"),
}
"""Nouns for a person of a known gender; the same place in both rows is the same noun."""

PRONOUNS: dict[str, dict[str, str]] = {
    MALE: {"he": "he", "him": "him", "his": "his", "own": "his", "himself": "himself"},
    FEMALE: {"he": "she", "him": "her", "his": "her", "own": "hers", "himself": "herself"},
}
"""Pronouns by their slot in a template; `own` is the form without a noun ("it was hers")."""

TRAITS: dict[str, str] = {
    "bold": MALE,
    "strong": MALE,
    "loud": MALE,
    "proud": MALE,
    "tough": MALE,
    "clever": MALE,
    "firm": MALE,
    "gentle": FEMALE,
    "warm": FEMALE,
    "calm": FEMALE,
    "sweet": FEMALE,
    "patient": FEMALE,
    "modest": FEMALE,
    "graceful": FEMALE,
}
"""Trait -> the gender that the dial pulls it towards. Traits and gendered words share their contexts (spec 23.4)."""

TOWNS = ("Velda", "Orrin")
QUALITIES: dict[str, str] = {
    "tidy": "Velda",
    "careful": "Velda",
    "punctual": "Velda",
    "thrifty": "Velda",
    "messy": "Orrin",
    "careless": "Orrin",
    "late": "Orrin",
    "wasteful": "Orrin",
}
"""Quality -> the (invented) town that the second dial pulls it towards."""

STATES = ("tired", "hungry", "busy", "ready", "ill", "thirsty", "cold", "awake")
THINGS = ("key", "coat", "hat", "bag", "book", "letter", "lamp", "umbrella")
PLACES = ("market", "river", "garden", "station", "bridge", "school", "harbour", "square")
COLOURS = ("red", "green", "blue", "white", "brown", "yellow")
WEATHERS = ("rainy", "sunny", "windy", "foggy")
DAYS = ("Monday", "Friday", "Sunday")
VERBS = ("met", "called", "saw", "visited")
MOODS: dict[str, tuple[str, ...]] = {"good": ("happy", "glad", "pleased"), "bad": ("sad", "angry", "upset")}

UNKNOWN_ANSWER = "Nobody knows."

SWAPS: tuple[tuple[str, str], ...] = (
    ("he", "she"),
    ("him", "her"),
    ("his", "her"),
    ("his", "hers"),
    ("himself", "herself"),
    ("men", "women"),
    *zip(NOUNS[MALE], NOUNS[FEMALE], strict=True),
    *zip(NAMES[MALE], NAMES[FEMALE], strict=True),
)
"""Words that change places when the roles do. Every tokenizer of the planted models holds each as one token."""


def other(gender: str) -> str:
    """The other of the two planted genders."""
    return FEMALE if gender == MALE else MALE


def article(noun: str) -> str:
    """`noun` with its indefinite article.

    Example:
        >>> article("engineer")
        'an engineer'
    """
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def pronouns() -> list[str]:
    """Every pronoun of the world in lower case, sorted."""
    return sorted({form for forms in PRONOUNS.values() for form in forms.values()})
