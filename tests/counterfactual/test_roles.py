"""Role reversal: word by word, on sentences whose reversal is published, and back again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbench.counterfactual.roles import gender, reverse

ONE_WAY = {
    *(
        "hisself",
        "gents",
        "Ms.",
        "Ms",
        "ma'am",
        "madame",
        "mum",
        "mums",
        "mummy",
        "mummies",
        "momma",
        "mamma",
        "stepmum",
        "grandad",
    ),
    *("grandads", "auntie", "aunties", "aunty", "bridegroom", "bridegrooms", "spinster", "spinsters", "lords"),
    *("menservants", "hostess", "hostesses", "goddess", "goddesses", "poetess", "authoress", "manageress", "murderess"),
    *(
        "shepherdess",
        "huntress",
        "usherette",
        "millionairess",
        "proprietress",
        "bloke",
        "blokes",
        "chap",
        "chaps",
        "fella",
        "fellas",
    ),
}
"""Words whose counterpart has another one of its own, or is of both genders."""


@pytest.mark.parametrize(
    ("text", "reversed_text"),
    [
        ("He said that his sister met him.", "She said that her brother met her."),
        ("She told her brother about her.", "He told his sister about him."),
        ("HE IS HERE AND SHE'S THERE", "SHE IS HERE AND HE'S THERE"),
        ("He's late, he’ll come, he'd say", "She's late, she’ll come, she'd say"),
        ("The car is his. It is his car.", "The car is hers. It is her car."),
        ("Hers is old, and his is new.", "His is old, and hers is new."),
        ("A friend of hers, of his.", "A friend of his, of hers."),
        ("himself and herself", "herself and himself"),
        ("his or her book; her or his book", "her or his book; his or her book"),
        ("Tell him or her, him/her and his/her dog.", "Tell her or him, her/him and her/his dog."),
        ("My mother-in-law, an ex-wife and a great-grandfather", "My father-in-law, an ex-husband and a great-grandmother"),
        ("mothers' and mother's", "fathers' and father's"),
        ("Mr. Smith and Mrs Jones, MR. SMITH, mr smith", "Mrs. Smith and Mr Jones, MRS. SMITH, mrs smith"),
        ("Ms. Bell and Miss Gray miss you.", "Mr. Bell and Mister Gray miss you."),
        ("Sir Isaac, sir! Lady Ada and a lady", "Dame Isaac, madam! Lord Ada and a gentleman"),
        ("my lady, ladies and gentlemen", "my lord, gentlemen and ladies"),
        ("the fiancé and the fiancée", "the fiancée and the fiancé"),
        ("No ma’am", "No sir"),
        ("a policewoman's uncle", "a policeman's aunt"),
        ("sheriff, theme, human, women's, woman-hater, man-made", "sheriff, theme, human, men's, woman-hater, man-made"),
        ("(s)he and s/he", "(s)he and s/he"),
        ("a Bachelor of Arts and a bachelor", "a Bachelor of Arts and a bachelorette"),
        ("Stephen King met the King.", "Stephen King met the Queen."),
        ("The hostess met the host.", "The host met the host."),
        ("the nurse said that it was late", "the nurse said that it was late"),
        ("", ""),
    ],
)
def test_case_by_hand(text, reversed_text):
    assert reverse(text).text == reversed_text


def test_the_alignment_names_both_places():
    text = "He gave Mr. Bell her own sister."
    found = reverse(text)
    pairs = [(text[slice(*old)], found.text[slice(*new)]) for old, new in found.alignment]
    assert pairs == [("He", "She"), ("Mr.", "Mrs."), ("her", "his"), ("sister", "brother")]


def test_all_words_change_at_once():
    """In one pass: what a word has become is not exchanged again."""
    assert reverse("he she he he him her.").text == "she he she she her him."


def test_there_and_back_but_for_the_words_that_share_a_counterpart():
    written = {word for row in gender().rows for word in row if not word.startswith("(") and not word.endswith("*")}
    assert {word for word in written if reverse(reverse(word).text).text != word} == ONE_WAY


def test_every_word_of_the_lexicon_is_met_and_changed():
    for row in gender().rows:
        for word in row:
            if not word.startswith("(") and not word.endswith("*"):
                assert reverse(word).text != word, word


PARTS = [
    "he",
    "She",
    "HIS",
    "her",
    "hers",
    "mother",
    "Mr.",
    "the",
    "house",
    "was",
    ",",
    ".",
    "of",
    "son-in-law",
    "king-size",
    "é",
]


@given(st.lists(st.sampled_from(PARTS), max_size=10), st.sampled_from([" ", "\n", "  "]))
def test_only_aligned_words_differ(words, between):
    text = between.join(words)
    found = reverse(text)
    old = new = 0
    for (start, end), (begin, stop) in found.alignment:
        assert text[old:start] == found.text[new:begin]
        assert text[start:end] != found.text[begin:stop]
        old, new = end, stop
    assert text[old:] == found.text[new:]
