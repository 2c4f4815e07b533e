"""Groups of any number exchanged: names, protected phrases, the other assignments, and where each word went."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbench.counterfactual.names import names
from fairbench.counterfactual.swapping import Swap
from fairbench.errors import FairbenchError
from fairbench.planted.words import NAMES

NAMED = Swap(names=True)
STORIES = ("Tim", "Lily", "Tom", "Ben", "Sam", "Max", "Sue", "Anna", "Mia", "Lucy", "Jack")
NO_NAMES = ("Will", "Grace", "Hope", "Joy", "May", "April", "June", "Jordan", "Prince", "King", "Major", "Austin", "Virginia")


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("James and JAMES, not james or Jameson.", "Barbara and BARBARA, not james or Jameson."),
        ("Lily's cat likes Tom’s dog.", "Eli's cat likes Jenna’s dog."),
        ("Will you mark it in May? Grace and Hope grant it.", "Will you mark it in May? Grace and Hope grant it."),
        ("Aunt Mary told King Henry.", "Uncle John told Queen Evelyn."),
        ("Anna John, Mr. James, Dr. Henry and J. Thomas", "Edward John, Mrs. James, Dr. Henry and J. Thomas"),
        ("Mr. James Bell and Mary Ann Smith", "Mrs. Barbara Bell and John Carl Smith"),
        ("San Jose, St. Peter, Victoria Station, Anna-Lena", "San Jose, St. Peter, Victoria Station, Anna-Lena"),
        ("'Anna,' said Tim. “Ben!” (Max)", "'Edward,' said Aaliyah. “Karla!” (Sue)"),
    ],
)  # fmt: skip
def test_first_names(text, swapped):
    assert NAMED.swap(text).text == swapped
    assert NAMED.swap(swapped).text == text
    assert Swap().swap("James met Anna.").text == "James met Anna."


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("Anna Bell saw Tim.", "Anna Bell saw Aaliyah."),
        ("Anna Bell lost her hat. Anna wept.", "Anna Bell lost his hat. Anna wept."),
        ("James A. Baker met Anna The nurse", "James A. Baker met Edward The nurse"),
        ("Anna Bell met Edward.", "Anna Bell met Edward."),
    ],
)
def test_persons_with_full_names_are_left_alone(text, swapped):
    keeping = Swap(names=True, keep_full_names=True)
    assert keeping.swap(text).text == swapped
    assert keeping.swap(swapped).text == text


def test_what_is_protected_stays_where_it_is_written_so():
    swap = Swap(names=True, protected=("Her  Majesty", "Prince", "Anna"))
    assert swap.swap("Her Majesty and her son met Prince, a prince; Isabelle, Anna.").text == (
        "Her Majesty and his daughter met Prince, a princess; Kurt, Anna."
    )
    assert ("Edward", "Anna") not in swap.pairs() and ("James", "Barbara") in swap.pairs()


@pytest.mark.parametrize(
    ("attribute", "text", "turns"),
    [
        ("gender", "his aunt", ["her uncle"]),
        ("race", "An Asian woman and a black man", ["A black woman and a white man", "A white woman and an Asian man"]),
        ("race", "Europeans in Africa", ["Asians in Europe", "Africans in Asia"]),
        ("race", "African-Americans", ["European Americans", "Asian Americans"]),
        ("religion", "THE JEWS and a Christian", ["THE CHRISTIANS and a Muslim", "THE MUSLIMS and a Jewish"]),
        ("religion", "a rabbi reads the Torah", ["a priest reads the Bible", "an imam reads the Quran"]),
        ("race", "the red house", []),
    ],
)  # fmt: skip
def test_every_other_assignment(attribute, text, turns):
    assert [made.text for made in Swap(attribute).variants(text)] == turns


@pytest.mark.parametrize("text", [
    "a black car, black hair and a white shirt", "the black market, the White House, black and white photographs",
    "The sky was black.", "a white lie, egg white", "He is white-haired.", "South Africa and the Bank of America",
])  # fmt: skip
def test_colours_and_places_are_nobodys_race(text):
    assert Swap("race").swap(text).text == text


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("Both black and white people", "Both white and Asian people"),
        ("Black voters", "White voters"),
        ("a young black police officer", "a young white police officer"),
        ("She is black, and they're white.", "She is white, and they're Asian."),
        ("the blacks", "the whites"),
    ],
)
def test_colours_said_of_people(text, swapped):
    assert Swap("race").swap(text).text == swapped


@pytest.mark.parametrize(("attribute", "rows"), [("race", 3), ("religion", 12)])
def test_as_many_turns_as_groups_come_back(attribute, rows):
    """Words of full rows belong to one row alone, and so come back."""
    swap = Swap(attribute)
    full = [row for row in swap.lexicon.rows if all(word and not word.startswith("(") for word in row)]
    assert len(full) >= rows and len({word for row in full for word in row}) == 3 * len(full)
    for row in full:
        for shift, word in enumerate(row):
            made = [found.text for found in swap.variants(f"Many {word} people")]
            assert made == [f"Many {row[(shift + by) % 3]} people" for by in (1, 2)]


def test_pairs_are_words_that_change_into_each_other():
    pairs = NAMED.pairs()
    assert {("he", "she"), ("him", "her"), ("his", "her"), ("his", "hers"), ("Mr", "Mrs"), ("Tim", "Aaliyah")} <= set(pairs)
    words = [word for pair in pairs for word in pair]
    assert not any(" " in word or "(" in word or "*" in word for word in words)
    assert not {"host", "Sir", "Lord", "poet"} & set(words)
    for male, female in pairs:
        if female not in ("her", "hers"):
            assert NAMED.swap(female).text in {one for one, other in pairs if other == female}
        assert NAMED.swap(male).text in {other for one, other in pairs if one == male}
    assert Swap("religion").lexicon.groups == ("jewish", "christian", "muslim")
    assert ("rabbi", "priest", "imam") in Swap("religion").pairs()


def test_every_word_of_either_text_stands_in_the_alignment():
    text = "My mother in law, an heir, saw her own sister."
    found = Swap().swap(text)
    pairs = [(text[slice(*old)], found.text[slice(*new)]) for old, new in found.words()]
    assert pairs == [
        ("My", "My"), ("mother in law", "father in law"), (",", ","), ("an", "an"), ("heir", "heiress"), (",", ","),
        ("saw", "saw"),        ("her", "his"), ("own", "own"), ("sister", "brother"), (".", "."),
    ]  # fmt: skip


PARTS = ("he", "She", "Tim", "hers", "a", "x1", "…", "Mr.", "earl", "é")


@given(st.lists(st.sampled_from(PARTS), max_size=9), st.sampled_from(" \n-"))
def test_the_words_cover_both_texts(parts, between):
    text = between.join(parts)
    found = NAMED.swap(text)
    for side, whole in enumerate((text, found.text)):
        spans = [pair[side] for pair in found.words()]
        assert spans == sorted(spans) and all(end <= start for (_, end), (start, _) in pairwise(spans))
        rest = list(whole)
        for start, end in spans:
            rest[start:end] = " " * (end - start)
        assert not "".join(rest).strip()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attribute": "gendre"}, "Did you mean gender"),
        ({"attribute": "race", "names": True}, "by gender alone"),
        ({"protected": ("Anna", " ")}, "with a word each"),
        ({"protected": "Anna"}, "a sequence"),
    ],
)
def test_what_cannot_be_swapped_is_refused(options, said):
    with pytest.raises(FairbenchError, match=said):
        Swap(**options)


def test_names_are_a_true_bijection():
    listed = [name for row in names().rows for name in row]
    assert len(listed) == len(set(listed)) > 1_000
    for male, female in names().rows:
        assert (NAMED.swap(male).text, NAMED.swap(female).text) == (female, male)
    others = {word.strip("()").lower() for row in Swap().lexicon.rows for word in row}
    assert not others & {name.lower() for name in listed}


@pytest.mark.parametrize("name", [*NAMES["male"], *NAMES["female"], *STORIES])
def test_names_of_stories_and_of_the_planted_world_have_partners(name):
    assert NAMED.swap(f"{name} ran.").text != f"{name} ran."


@pytest.mark.parametrize("name", NO_NAMES)
def test_words_months_places_and_surnames_are_no_names_here(name):
    assert name not in {name for row in names().rows for name in row}
