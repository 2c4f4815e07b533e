"""Which notion of bias a score is about (gender, race, religion ...): read from the names of groups, metrics and tasks.

Scores are aligned where they are about one notion. No table says what each task is about: that follows from the notion whose
groups a metric compares (`group_by`), from entries like `gender:female`, and from a short list of words that groups are called
by. What these don't tell has no notion, and is in no aligned pair.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

NAMES: Mapping[str, str] = {
    "gender": "gender sex",
    "race": "race racial races ethnicity ethnic",
    "religion": "religion religions religious",
    "age": "age ages",
    "orientation": "orientation orientations",
    "nationality": "nationality nationalities",
    "disability": "disability disabilities ability",
    "socioeconomic": "socioeconomic ses",
    "appearance": "appearance body",
    "politics": "politics political",
    "profession": "profession professions occupation occupations",
}
"""Words that call a notion itself, by notion: data sets name parts of themselves so ("race-color", "Gender_identity")."""

MEMBERS: Mapping[str, str] = {
    "gender": "male males female females man men woman women boy boys girl girls masculine feminine actor actors actress "
    "actresses nonbinary trans transgender",
    "race": "black white african asian caucasian european hispanic latino latina latinx mexican_american arab",
    "religion": "christian christians christianity catholic protestant muslim muslims islam jewish jew jews judaism hindu hindus "
    "hinduism buddhist buddhists buddhism sikh sikhs sikhism taoist atheist atheists atheism",
    "age": "young younger youth teenage middle_aged old older elderly",
    "orientation": "gay lesbian homosexual bisexual heterosexual straight queer lgbt lgbtq",
    "disability": "blind deaf paralyzed disabled psychiatric",
}
"""Words that call a group, by the notion that it belongs to; two words that only together call one are joined by `_`."""

FORMS: Mapping[str, tuple[str, ...]] = {
    "gender: female": ("female", "females", "woman", "women", "girl", "girls", "feminine", "actress", "actresses"),
    "gender: male": ("male", "males", "man", "men", "boy", "boys", "masculine", "actor", "actors"),
    "race: black": ("black", "african", "african american"),
    "race: white": ("white", "caucasian", "european", "european american"),
    "religion: christian": ("christian", "christians", "christianity"),
    "religion: jewish": ("jewish", "jew", "jews", "judaism"),
    "religion: muslim": ("muslim", "muslims", "islam"),
}
"""Groups that data sets call by different words, so that one group's scores find each other."""

FILLERS = frozenset(("american", "americans", "names", "peoples", "terms", "side"))
"""Words beside a group's or notion's that say nothing of which one it is."""


@dataclass(frozen=True)
class Notion:
    """What a score is about.

    Attributes:
        name: the notion; of groups that are each of several at once these joined by a comma ("gender,race"). Null where unknown.
        why: why it is unknown; empty where it is not.
    """

    name: str | None
    why: str = ""


def words(name: str) -> list[str]:
    """The words of a name as it stands in a data set, in lower case.

    Example:
        >>> words("AfricanAmericanFemaleNames"), words("race-color"), words("Gender_identity (names)")
        (['african', 'american', 'female', 'names'], ['race', 'color'], ['gender', 'identity', 'names'])
    """
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def notions_of(name: str) -> frozenset[str]:
    """The notions that a name speaks of.

    Example:
        >>> sorted(notions_of("EuropeanAmericanMaleNames")), sorted(notions_of("Race_x_SES")), sorted(notions_of("Pleasant"))
        (['gender', 'race'], ['race', 'socioeconomic'], [])
    """
    notion, colon, _ = name.partition(":")
    if colon:
        return frozenset([_canonical(notion)])
    return _spoken_of(name, NAMES) | _spoken_of(name, MEMBERS)


def calls_notion(name: str) -> bool:
    """Whether a name calls a notion as a whole ("race-color"), not a group ("African_Americans").

    Example:
        >>> calls_notion("Gender_identity"), calls_notion("gender:female"), calls_notion("Women")
        (True, False, False)
    """
    return ":" not in name and bool(_spoken_of(name, NAMES)) and not _spoken_of(name, MEMBERS)


def group_called(name: str) -> str:
    """A group by a name that data sets share, as far as FORMS knows one: "Women" and "gender:woman" are "gender: female".

    Example:
        >>> group_called("Women"), group_called("gender:woman"), group_called("African_Americans"), group_called("Sikh")
        ('gender: female', 'gender: female', 'race: black', 'religion: sikh')
    """
    bare = " ".join(word for word in words(name.rpartition(":")[2]) if word not in FILLERS)
    shared = next((called for called, forms in FORMS.items() if bare in forms), None)
    return shared or f"{','.join(sorted(notions_of(name))) or 'unknown'}: {bare}"


def notion_of_score(metric: str, task: str, groups: Iterable[str]) -> Notion:
    """The notion of a whole score. The first of these that knows it decides.

    1. the notion whose groups the metric compares ("fpr_gap by gender"); of intersections all ("gender,race");
    2. the metric's own name (`gender_polarity_gap`: gender, whatever the prompts are about);
    3. the groups: those that are known must be of one notion, or each of the same ones; others (Pleasant, neutral) don't count;
    4. the task's name (`occupation_prompts`), where no group is known.

    Args:
        metric: as in the tidy table.
        task: its name.
        groups: whom its records speak of: those of the task's card, or the names of the score's groups.
    """
    name, _, compared = metric.partition(" by ")
    if compared and compared != "all":
        return Notion(",".join(sorted(_canonical(part) for part in compared.split(","))))
    named = _spoken_of(name, NAMES)
    if len(named) == 1:
        return Notion(*named)
    spoken_of = {found for group in groups if (found := notions_of(group))}
    if not spoken_of and (found := notions_of(task)):
        spoken_of = {found}
    if len(spoken_of) == 1:
        return Notion(",".join(sorted(*spoken_of)))
    if not spoken_of:
        return Notion(None, "its groups tell no notion")
    return Notion(None, f"it is about several notions ({', '.join(sorted(frozenset().union(*spoken_of)))})")


def _spoken_of(name: str, table: Mapping[str, str]) -> frozenset[str]:
    """The notions of a table one of whose words is in the name."""
    said = words(name)
    said += [f"{first}_{second}" for first, second in itertools.pairwise(said)]
    return frozenset(notion for notion, known in table.items() if not set(said).isdisjoint(known.split()))


def _canonical(notion: str) -> str:
    """A notion's name as this module says it; one that it does not know as it is."""
    found = _spoken_of(notion, NAMES)
    return next(iter(found)) if len(found) == 1 else notion.strip().lower()
