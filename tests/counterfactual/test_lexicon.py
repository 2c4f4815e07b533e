"""Where a word is met, in which case its counterpart stands, and which article goes before it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbench.counterfactual.lexicon import Change, Finder, Lexicon, changes, splice
from fairbench.errors import FairbenchError

COLOURS = Lexicon(
    "colour",
    ("red", "blue", "green"),
    (
        ("red", "blue", "green"),
        ("reds", "blues", "Greens"),
        ("dark red", "navy blue", ""),
        ("Sir *", "Dame *", ""),
        ("", "", "(lime)"),
    ),
)
FINDER = Finder([COLOURS], ["red tape", "out of the blue"])


def met(text: str, finder: Finder = FINDER) -> list[tuple[str, str, int]]:
    return [(text[place.start : place.end], place.word.group, place.word.row) for place in finder.find(text)]


def test_a_word_has_its_group_and_row():
    assert met("Red and blues, a navy-blue one") == [("Red", "red", 0), ("blues", "blue", 1), ("navy-blue", "blue", 2)]
    assert [COLOURS.word(group, 2) for group in COLOURS.groups] == ["dark red", "navy blue", ""]
    assert COLOURS.word("green", 4) == "lime"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("infrared redder red2 re d", []),
        ("red's Red’s (red) red/blue red.", ["red", "Red", "red", "red", "blue", "red"]),
        ("off-red, red-hot", ["red", "red"]),
        ("rede\u0301 e\u0301red \u00e9red", []),
        ("red tape, red-tape and Red  Tape; tape red", ["red"]),
        ("dark\nred dark  red dark-red", ["dark\nred", "dark  red", "dark-red"]),
        ("dark reds", ["reds"]),
        ("r\u0435d, re\u017f", []),
        ("lime, sir, Sir, Sir.", []),
        ("Sir Isaac, sir Isaac, Sir isaac", ["Sir"]),
        ("", []),
    ],
)
def test_whole_words_and_no_others(text, found):
    assert [word for word, *_ in met(text)] == found


def test_a_letter_that_only_folds_into_another_is_none():
    """The pattern's case folding takes ſ for s and K for k; no key is spelled so."""
    assert met("red\u017f") == []


def test_without_compounds_no_hyphen_and_word_follow():
    strict = Finder([COLOURS], compounds=False)
    assert [word for word, *_ in met("red-hot, off-red, red--blue, red- and", strict)] == ["red", "red", "blue", "red"]


def test_of_two_rows_the_first_counts():
    finder = Finder([Lexicon("n", ("a", "b"), (("dad", "mom"), ("dad", "mum")))])
    assert met("dad mum mom", finder) == [("dad", "a", 0), ("mum", "b", 1), ("mom", "b", 0)]


@pytest.mark.parametrize("rows", [(("he", "she"), ("she", "he")), (("he", "He"),)])
def test_a_word_of_two_groups_is_refused(rows):
    with pytest.raises(FairbenchError, match="Wanted words that belong to one group each"):
        Finder([Lexicon("n", ("a", "b"), rows)])


def test_words_that_are_names_too_are_left_in_names():
    finder = Finder([Lexicon("n", ("m", "f"), (("king", "queen"), ("black", "white")))])
    text = "The king and the King saw that Stephen King met J. Black, Mr. White and Jo. King George? He is Black. BIG KING."
    assert [word for word, *_ in met(text, finder)] == ["king", "King", "King", "Black", "KING"]
    assert [word for word, *_ in met("A White man, The White man, not Jack White.", finder)] == ["White", "White"]


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("the muslim man", "the jewish man"),
        ("The Muslim man", "The Jewish man"),
        ("The muslim man", "The jewish man"),
        ("MUSLIM MEN", "JEWISH MEN"),
        ("Muslim men", "Jewish men"),
        ("Yes. Muslim men", "Yes. Jewish men"),
        ("The gay man", "The LGBT man"),
        ("the gay man", "the lgbt man"),
        ("Gay men", "LGBT men"),
        ("GAY MEN", "LGBT MEN"),
        ("LGBT men", "Gay men"),
        ("An LGBT man. “LGBT men!”", "A gay man. “Gay men!”"),
        ("LGBT MEN", "GAY MEN"),
        ("The LGBT man", "The gay man"),
        ("The Gay man", "The LGBT man"),
        ("The white man", "The Asian man"),
        ("They saw an Asian man", "They saw a white man"),
    ],
)
def test_case_is_kept(text, becomes):
    pairs = Lexicon("n", ("a", "b"), (("Muslim", "Jewish"), ("gay", "LGBT"), ("white", "Asian")))
    assert exchanged(text, Finder([pairs])) == becomes


def exchanged(text: str, finder: Finder) -> str:
    made: list[Change] = []
    for place in finder.find(text):
        lexicon = place.word.lexicon
        (other,) = set(lexicon.groups) - {place.word.group}
        made += changes(text, place, lexicon.word(other, place.word.row))
    return splice(text, made)[0]


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("I met an Asian man.", "I met a European man."),
        ("A European man", "An Asian man"),
        ("A EUROPEAN MAN", "AN ASIAN MAN"),
        ("AN ASIAN MAN", "A EUROPEAN MAN"),
        ("a kind Asian", "a kind European"),
        ("I met a Asian man.", "I met a European man."),
        ("an European man in America", "an Asian man in America"),
        ("vitamin A, Asian", "vitamin A, European"),
        ("ban Asian food, Ma Asian", "ban European food, Ma European"),
        ("a\n European", "an\n Asian"),
        ("such an old man", "such a young man"),
    ],
)
def test_the_article_follows_where_it_was_right(text, becomes):
    assert exchanged(text, Finder([Lexicon("n", ("a", "b"), (("Asian", "European"), ("old", "young")))])) == becomes


@given(st.lists(st.sampled_from(["red", "Blue", "navy blue", "a", "of", ",", "GREEN", "x\u0301", "Sir", "Isaac"]), max_size=12))
def test_what_is_not_exchanged_stays_where_the_alignment_says(words):
    text = " ".join(words)
    made = [change for place in FINDER.find(text) for change in changes(text, place, "counterpart")]
    result, alignment = splice(text, made)
    rest = re.compile("|".join(["counterpart"]), re.IGNORECASE)
    old = new = 0
    for ((start, end), (begin, stop)), change in zip(alignment, made, strict=True):
        assert text[old:start] == result[new:begin]
        assert (text[start:end], result[begin:stop]) == (text[change.start : change.end], change.new)
        assert rest.fullmatch(result[begin:stop]) or change.new.lower() in ("a", "an")
        old, new = end, stop
    assert text[old:] == result[new:]
