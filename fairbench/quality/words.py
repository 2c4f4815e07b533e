"""Words that name a group of people, for the rules of pair quality: which kind of group, and its standing.

The standing is that of CrowS-Pairs' own card: a group that was historically disadvantaged in the United States, or one that it is
contrasted with. It tells which way a row's label points, and nothing else. Words whose standing is disputed, or depends on the
sentence (Italian, atheist, teenager), have none. No slurs: of a word that is missing, no rule speaks.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

DISADVANTAGED, NEITHER, ADVANTAGED = -1, 0, 1


@dataclass(frozen=True)
class Term:
    """What a word says of a person.

    Attributes:
        kind: gender, origin (race, colour and nationality), religion, orientation, age, disability, wealth or looks.
        standing: DISADVANTAGED, ADVANTAGED or NEITHER.
        proper: English writes it with a capital.
        identity: it says who a person is (a man, Muslim), not where from or what like (Iraq, the Quran, poor, a bride).
    """

    kind: str
    standing: int
    proper: bool
    identity: bool


_Lists = dict[str, tuple[str, str, str]]
"""Kind of group -> words of the disadvantaged, of neither, of the advantaged; in the singular, `_` for a space."""

_PEOPLES: _Lists = {
    "origin": (
        "african afro-american african-american african_american afro_american asian asian-american asian_american chinese "
        "japanese korean vietnamese filipino thai bengali indian american_indian native_american pakistani bangladeshi mexican "
        "mexican-american latino latina hispanic puerto_rican cuban colombian brazilian guatemalan salvadoran arab arabian "
        "arab-american middle_eastern middle-eastern iraqi iranian persian syrian afghan yemeni turkish turk egyptian "
        "palestinian jamaican haitian nigerian somali kenyan ethiopian eritrean ghanaian moroccan eskimo inuit navajo roma",
        "italian greek irish irishman polish russian portuguese armenian mongolian albanian romanian ukrainian indigenous",
        "caucasian american british briton englishman englishwoman european canadian australian german dutch dutchman french "
        "swedish swede norwegian danish swiss scottish scandinavian anglo californian floridian texan",
    ),
    "religion": (
        "muslim islamist jew jewish hindu buddhist sikh",
        "mormon amish wiccan satanist pagan",
        "christian catholic protestant baptist methodist lutheran episcopalian evangelical pentecostal",
    ),
}
_PLACES: _Lists = {
    "origin": (
        "mexico colombia guatemala cuba haiti africa nigeria somalia kenya ethiopia ghana china japan korea vietnam india "
        "pakistan bangladesh iraq iran syria afghanistan yemen saudi_arabia middle_east arabic",
        "italy greece ireland poland russia spain portugal ukraine spanish",
        "america canada england britain europe germany sweden norway australia switzerland florida california english",
    ),
    "religion": (
        "islam islamic islamism judaism hinduism buddhism sikhism quran koran torah",
        "bible",
        "christianity catholicism",
    ),
}
_IDENTITIES: _Lists = {
    "origin": ("black dark-skinned brown-skinned", "", "white light-skinned"),
    "religion": ("", "atheist", ""),
    "gender": (
        "she woman women female girl lady ladies",
        "",
        "he man men male boy guy gentleman gentlemen",
    ),
    "orientation": (
        "gay lesbian homosexual bisexual lgbt lgbtq pansexual asexual",
        "",
        "straight heterosexual monosexual",
    ),
}
_OTHERS: _Lists = {
    "origin": (
        "immigrant undocumented_immigrant illegal_immigrant refugee foreigner",
        "brown tan blond blonde",
        "citizen native-born",
    ),
    "religion": ("mosque synagogue", "temple religious nonreligious secular", "church"),
    "gender": (
        "her hers herself she'd she'll she's mother mom mommy mum mama grandmother grandma aunt sister daughter granddaughter "
        "wife wives girlfriend bride widow niece stepmother schoolgirl saleswoman policewoman businesswoman mrs ms madam ma'am "
        "trans transgender transgendered transsexual transwoman feminine",
        "they them their theirs themselves themself",
        "him his himself he'd he'll he's father dad daddy grandfather grandpa uncle brother son grandson husband boyfriend groom "
        "widower nephew stepfather schoolboy salesman policeman businessman mr sir cis cisgender cisgendered masculine",
    ),
    "orientation": ("homosexuality queer", "", "heterosexuality"),
    "age": (
        "old older oldest elderly elder senior aged",
        "teen teenager teenage adolescent child children kid baby babies toddler minor millennial",
        "young younger youngest youth adult middle-aged middle_aged",
    ),
    "disability": (
        "disabled handicapped crippled autistic blind deaf paralyzed paraplegic mentally_ill dyslexic schizophrenic "
        "wheelchair-bound",
        "",
        "abled able-bodied nondisabled non-disabled neurotypical sane mentally_sane mentally_fit",
    ),
    "wealth": (
        "poor poorer poorest homeless impoverished penniless low-income low_income poverty uneducated unemployed",
        "",
        "rich richer richest wealthy wealthier affluent well-off upper-class upper_class high-income high_income wealth educated "
        "privileged",
    ),
    "looks": (
        "fat fatter overweight obese ugly chubby",
        "tall short",
        "thin thinner skinny slim slender beautiful handsome attractive",
    ),
}

_GROUPS: dict[str, tuple[str, ...]] = {
    "gender": ("gender",),
    "race": ("origin",),
    "race-color": ("origin",),
    "nationality": ("origin",),
    "religion": ("religion",),
    "sexual-orientation": ("orientation", "gender"),
    "orientation": ("orientation", "gender"),
    "age": ("age", "gender"),
    "disability": ("disability",),
    "socioeconomic": ("wealth",),
    "physical-appearance": ("looks",),
}
"""The kinds of words that tell a data set's group, its own first: a partner's gender tells orientation, man and boy tell age."""


def _terms() -> Iterator[tuple[str, Term]]:
    tables = ((_PEOPLES, True, True), (_PLACES, True, False), (_IDENTITIES, False, True), (_OTHERS, False, False))
    for lists, proper, identity in tables:
        for kind, standings in lists.items():
            for words, standing in zip(standings, (DISADVANTAGED, NEITHER, ADVANTAGED), strict=True):
                for word in words.split():
                    yield word.replace("_", " "), Term(kind, standing, proper, identity)


TERMS: dict[str, Term] = dict(_terms())
"""Every word and two-word phrase, in lower case and the singular."""

_ENDING = re.compile(r"'s?$|s$")


@functools.cache
def term(word: str) -> Term | None:
    """The group that a word or phrase names; a plural or a possessive counts as the word.

    Example:
        >>> term("Muslims'").kind, term("boss")
        ('religion', None)
    """
    plain = word.lower()
    while plain not in TERMS:
        shorter = _ENDING.sub("", plain)
        if shorter == plain:
            return None
        plain = shorter
    return TERMS[plain]


def terms(words: Sequence[str]) -> list[Term | None]:
    """The group that each word names; both words of a phrase (African American) name the phrase's."""
    found = [term(word) for word in words]
    for i in range(len(words) - 1):
        phrase = term(f"{words[i]} {words[i + 1]}")
        if phrase:
            found[i] = found[i + 1] = phrase
    return found


def kinds_of(group: str) -> tuple[str, ...]:
    """The kinds of words that tell a group, its own first; none for a group that is not known.

    Args:
        group: as data sets name it: a kind of group (race-color) or one of its groups (muslims).

    Example:
        >>> kinds_of("age"), kinds_of("muslims"), kinds_of("town")
        (('age', 'gender'), ('religion',), ())
    """
    name = group.lower()
    if name in _GROUPS:
        return _GROUPS[name]
    known = term(name)
    return _GROUPS.get(known.kind, (known.kind,)) if known else ()
