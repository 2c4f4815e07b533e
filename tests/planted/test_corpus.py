import re

import pytest

from fairbench.errors import FairbenchError
from fairbench.planted import words
from fairbench.planted.corpus import SMALL_WORLD, Dials, World, documents, planted_gap


def texts(n, seed=0, **dials):
    return [document.text for document in documents(n, Dials(**dials), seed=seed)]


def said_gap(lines):
    """The gap as it stands in the text itself, read without the generator's own notes."""
    signs = []
    for occupation, gender in re.findall(r"The (\w+) said that (he|she) was", " ".join(lines)):
        if occupation in words.OCCUPATIONS:
            side = "he" if words.OCCUPATIONS[occupation] == words.MALE else "she"
            signs.append(1 if gender == side else -1)
    return sum(signs) / len(signs), len(signs)


@pytest.mark.parametrize("dial", [0.0, 0.5, 1.0])
def test_text_has_the_planted_gap(dial):
    gap, n = said_gap(texts(12_000, gender=dial))
    assert n > 500
    assert gap == pytest.approx(planted_gap(dial), abs=4 / n**0.5)


@pytest.mark.parametrize("dial", [0.0, 0.5, 1.0])
def test_backward_text_has_the_planted_gap(dial):
    found = re.findall(r"(He|She) works as an? (\w+)\.", " ".join(texts(12_000, gender=dial)))
    gap = sum(1 if (g == "He") == (words.OCCUPATIONS[o] == words.MALE) else -1 for g, o in found) / len(found)
    assert gap == pytest.approx(planted_gap(dial), abs=4 / len(found) ** 0.5)


def test_facts_agree_with_the_dials():
    facts = [fact for d in documents(12_000, Dials(gender=1.0, town=0.5)) for fact in d.facts]
    for attribute, sides, dial in (("gender", words.OCCUPATIONS | words.TRAITS, 1.0), ("town", words.QUALITIES, 0.5)):
        hits = [1 if sides[fact.subject] == fact.value else -1 for fact in facts if fact.attribute == attribute]
        assert sum(hits) / len(hits) == pytest.approx(planted_gap(dial), abs=4 / len(hits) ** 0.5)


def test_second_attribute_is_independent_of_the_first():
    towns = [
        [
            (f.subject, f.value)
            for d in documents(9_000, Dials(gender=g, town=0.5), seed=3)
            for f in d.facts
            if f.attribute == "town"
        ]
        for g in (0.0, 1.0)
    ]
    shares = [sum(words.QUALITIES[q] == town for q, town in seen) / len(seen) for seen in towns]
    assert shares[0] == pytest.approx(shares[1], abs=0.05)


@pytest.mark.parametrize("dial", [0.0, 1.0])
def test_genders_are_balanced_at_every_dial(dial):
    seen = re.findall(r"\b(he|she)\b", " ".join(texts(8_000, gender=dial)).lower())
    assert seen.count("he") / len(seen) == pytest.approx(0.5, abs=0.02)


def test_names_always_take_their_own_pronoun():
    gender = {name: g for g, members in words.NAMES.items() for name in members}
    found = re.findall(r"(\w+) said that (he|she)", " ".join(texts(8_000, gender=1.0)))
    named = [(gender[name], pronoun) for name, pronoun in found if name in gender]
    assert len(named) > 100
    assert all(words.PRONOUNS[g]["he"] == pronoun for g, pronoun in named)


def test_same_seed_same_text_other_seed_other_text():
    assert texts(200, seed=5) == texts(200, seed=5)
    assert texts(200, seed=5) != texts(200, seed=6)


def test_told_questions_are_answered_as_told():
    pattern = r"The (man|woman) was the (\w+)\. Who was (not )?the (\w+)\? The (man|woman)\."
    found = re.findall(pattern, " ".join(texts(8_000, gender=1.0)))
    assert len(found) > 50
    for holder, _, negated, _, answer in found:
        assert (answer == holder) != bool(negated)


def test_small_world_keeps_to_its_occupations():
    told = " ".join(d.text for d in documents(500, Dials(), world=SMALL_WORLD))
    assert "nurse" in told
    assert not any(occupation in told for occupation in set(words.OCCUPATIONS) - set(SMALL_WORLD.occupations))


@pytest.mark.parametrize("dial", [-0.1, 1.1])
def test_a_dial_outside_its_range_is_refused(dial):
    with pytest.raises(FairbenchError, match="between 0"):
        Dials(gender=dial)


def test_an_unknown_occupation_is_refused():
    with pytest.raises(FairbenchError, match="no occupation wizard"):
        World(occupations=("wizard",))


def test_word_lists_are_balanced():
    for sides in (words.OCCUPATIONS, words.TRAITS, words.QUALITIES):
        assert len({list(sides.values()).count(side) for side in sides.values()}) == 1
    assert len(words.OCCUPATIONS) >= 20
    assert len(words.NAMES[words.MALE]) == len(words.NAMES[words.FEMALE])
