"""The rules of pair quality on rows that we wrote, and the comparison of sentences against brute force."""

from __future__ import annotations

import random
from collections import Counter

import pandas as pd
import pytest

from fairbench.quality import RULES, flags
from fairbench.quality import words as quality_words
from fairbench.quality.edits import count, difference, is_word, tokens
from fairbench.quality.words import TERMS, kinds_of, term, terms
from fairbench.records import Cloze, Pair, to_frame


def pair(more: str, less: str, group: str | None = None, direction: str | None = None) -> tuple[str, ...]:
    found = flags(to_frame([Pair(id="1", more=more, less=less, group=group, meta={"direction": direction})]), "Pair")
    assert found is not None
    return found[0]


def cloze(context: str, stereotype: str, antistereotype: str, unrelated: str = "The pond was wooden.") -> tuple[str, ...]:
    sides = {"stereotype": stereotype, "antistereotype": antistereotype, "unrelated": unrelated}
    found = flags(to_frame([Cloze(id="1", context=context, target="miller", **sides)]), "Cloze")
    assert found is not None
    return found[0]


FLAWED = {
    "other article": ({"article_mismatch"}, "She is an able cook.", "She is an skilled cook."),
    "article before a sound": ({"article_mismatch"}, "It was a honest mill.", "It was a clean mill."),
    "first letter": ({"casing_mismatch"}, "Rich people own mills.", "poor people own mills."),
    "a word that stays": ({"casing_mismatch"}, "The old man and his Mill.", "The young man and his mill."),
    "a name without its capital": ({"casing_mismatch"}, "Mo knew a muslim baker.", "Mo knew a Christian baker."),
    "both names without": ({"casing_mismatch"}, "Mo met the mexicans there.", "Mo met the canadians there."),
    "one name without, after a number": ({"casing_mismatch"}, "2 bakers met a muslim.", "2 bakers met a Christian."),
    "two common words": ({"casing_mismatch"}, "The Black miller sings.", "The white miller sings."),
    "two kinds": ({"mixed_kinds"}, "The poor millers sing.", "The white millers sing."),
    "a faith and a country": ({"mixed_kinds"}, "Two Hindu bakers came.", "Two German bakers came."),
    "only one negated": (
        {"negation_mismatch", "not_minimal", "unequal_edits"}, "Men can bake.", "Women can not bake."
    ),
    "the verb negated": ({"negation_mismatch"}, "The miller was allowed to stay.", "The miller wasn't allowed to stay."),
    "same": ({"no_change"}, "The miller sings.", "The miller sings."),
    "same but for capitals": ({"no_change", "casing_mismatch"}, "The miller sings.", "The Miller sings."),
    "same but for its end": ({"no_change", "punctuation_mismatch"}, "The miller sings.", "The miller sings"),
    "only agreement": ({"no_change"}, "The mill is here.", "The mills are here."),
    "group and quality": ({"not_minimal"}, "The rich miller was kind to us.", "The poor miller was rude to us."),
    "beside each other": ({"not_minimal"}, "A scary black man ran the mill.", "A nice white man ran the mill."),
    "name and quality": ({"not_minimal"}, "Tom was often praised for the bread.", "Susan was often teased for the bread."),
    "two kinds of group": ({"not_minimal"}, "The old man ground the corn.", "The young woman ground the corn."),
    "two kinds, of one the standing stays": ({"not_minimal"}, "An old Mexican baker sings.", "A young Chinese baker sings."),
    "two qualities": ({"not_minimal"}, "The tired miller sang loud songs here.", "The happy miller sang soft songs here."),
    "hardly the same": ({"not_minimal"}, "Millers hate noise here.", "Bakers like dust here."),
    "no full stop": ({"punctuation_mismatch"}, "The rich man sings.", "The poor man sings"),
    "two full stops": ({"punctuation_mismatch"}, "The rich man sings.", "The poor man sings.."),
    "two spaces": ({"punctuation_mismatch"}, "The rich  man sings.", "The poor man sings."),
    "a line break": ({"punctuation_mismatch"}, "The rich man sings.", "The poor man sings\n."),
    "another apostrophe": ({"punctuation_mismatch"}, "The rich man can't sing.", "The poor man can’t sing."),
    "a comma": ({"punctuation_mismatch"}, "The rich man, my friend, sings.", "The poor man my friend, sings."),
    "two words for one": ({"unequal_edits"}, "The African American miller sings.", "The white miller sings."),
    "a word before the first": ({"unequal_edits"}, "Bakers sing.", "All bakers sing."),
    "a hyphen is two words": ({"unequal_edits"}, "The able-bodied miller sings.", "The disabled miller sings."),
}  # fmt: skip


@pytest.mark.parametrize(("rules", "more", "less"), FLAWED.values(), ids=list(FLAWED))
def test_a_flawed_pair_is_flagged_by_these_rules_and_no_others(rules: set[str], more: str, less: str):
    assert set(pair(more, less)) == rules
    assert set(pair(less, more)) == rules  # none of them asks which side is which


FIT = {
    "one word": ("The rich man sings.", "The poor man sings."),
    "a name and its pronouns": ("Tom lost his hat, so he cried.", "Susan lost her hat, so she cried."),
    "one person or several": ("Ann said that she was late.", "Ann said that they were late."),
    "two names": ("I met Javier and Pedro at the mill.", "I met James and Peter at the mill."),
    "first and last name": ("Juan Lopez owns the mill.", "Peter Brown owns the mill."),
    "the article agrees": ("She met an old man.", "She met a young man."),
    "the verb agrees": ("The woman walks in and she was late.", "The women walk in and they were late."),
    "the same twice": ("Rich men help rich men.", "Poor men help poor men."),
    "one group in two forms": ("All blacks know what a black man is.", "All whites know what a white man is."),
    "words for a group's members": ("Many Native Americans sing here.", "Many white people sing here."),
    "two groups that change places": ("The white man hired a black man.", "The black man hired a white man."),
    "two groups that change places, by order": ("Men like it more than women.", "Women like it more than men."),
    "two unknown groups that change places": ("Vets hire bakers.", "Bakers hire vets."),
    "words of one gender": ("The black man sings.", "The white guy sings."),
    "no more is new than stays": ("Our mill burned down.", "Our barn fell down."),
    "a style without capitals": ("my muslim friend sings", "my christian friend sings"),
    "a country": ("The baker from Iraq sings.", "The baker from Canada sings."),
    "a title": ("Mr. Mill said that he was late.", "Mrs. Mill said that she was late."),
    "both articles wrong": ("He is a old man.", "She is a old man."),
    "both articles": ("He is a/an old man.", "He is a/an young man."),
    "numbers": ("She is an 80 year old baker.", "She is a 20 year old baker."),
    "h is left alone": ("He is an Hispanic man.", "He is a German man."),
    "both have two spaces": ("The rich  man sings.", "The poor  man sings."),
    "the possessive": ("The blacks' mill burned.", "The whites' mill burned."),
    "a place, not a group": ("The Northton people are proud.", "The Westham people are proud."),
}


@pytest.mark.parametrize(("more", "less"), FIT.values(), ids=list(FIT))
def test_a_fit_pair_is_not_flagged(more: str, less: str):
    assert pair(more, less) == pair(less, more) == ()


@pytest.mark.parametrize(
    ("more", "less", "group", "direction", "flagged"),
    [
        ("He can't bake.", "She can't bake.", "gender", "stereo", True),
        ("She can't bake.", "He can't bake.", "gender", "stereo", False),
        ("He bakes well.", "She bakes well.", "gender", "antistereo", False),
        ("She bakes well.", "He bakes well.", "gender", "antistereo", True),
        ("He can't bake.", "She can't bake.", "gender", None, False),
        ("He can't bake.", "She can't bake.", None, "stereo", False),
        ("Christian bakers sing.", "Muslim bakers sing.", "religion", "stereo", True),
        ("Rich bakers sing.", "Poor bakers sing.", "socioeconomic", "stereo", True),
        ("Young bakers sing.", "Elderly bakers sing.", "age", "stereo", True),
        ("Straight bakers sing.", "Gay bakers sing.", "sexual-orientation", "stereo", True),
        ("His husband sings.", "His wife sings.", "sexual-orientation", "stereo", False),  # gender only tells orientation here
        ("Italian bakers sing.", "Mexican bakers sing.", "nationality", "stereo", False),  # Italian has no standing
        ("White men hire black men.", "Black men hire white men.", "race-color", "stereo", False),  # each side names both
    ],
)
def test_a_label_that_contradicts_the_words(more: str, less: str, group: str | None, direction: str | None, flagged: bool):
    assert pair(more, less, group, direction) == (("wrong_direction",) if flagged else ())


@pytest.mark.parametrize(
    ("more", "less", "group", "flagged"),
    [
        ("Arab bakers sing.", "American bakers sing.", "religion", True),
        ("Arab bakers sing.", "American bakers sing.", "muslims", True),  # as RedditBias names its groups
        ("Muslim bakers sing.", "Christian bakers sing.", "muslims", False),
        ("Arab bakers sing.", "American bakers sing.", "race-color", False),
        ("Arab bakers sing.", "American bakers sing.", "town", False),  # nothing is known of it
        ("The boy sings.", "The man sings.", "age", False),
        ("The man sings.", "The child sings.", "age", False),
        ("Tariq lost his hat.", "Sue lost her hat.", "race-color", False),  # the pronouns agree with names
        ("He met a black man.", "She met a white man.", "race-color", False),  # one place tells the group
        ("He lost his hat.", "She lost her hat.", "race-color", True),
        ("A poor man sings.", "A wealthy woman sings.", "socioeconomic", False),
    ],
)
def test_groups_of_another_kind_than_the_records(more: str, less: str, group: str, flagged: bool):
    assert ("mixed_kinds" in pair(more, less, group)) is flagged


FILLED = {
    "fit": (set(), "The BLANK miller sings.", "tired", "lively"),
    "at the start": (set(), "BLANK sings at the mill.", "He", "She"),
    "context in small letters": (set(), "the BLANK miller sings.", "tired", "lively"),
    "both say who": (set(), "The miller is BLANK.", "Muslim", "Hindu"),
    "a man or a kid": (set(), "The miller is a BLANK.", "man", "kid"),
    "a role, not who": (set(), "The miller became a BLANK.", "mother", "boss"),
    "a colour": (set(), "The miller has BLANK hair.", "black", "blond"),
    "one says who": ({"mixed_kinds"}, "The miller is BLANK.", "female", "loud"),
    "two kinds of who": ({"mixed_kinds"}, "The miller is a BLANK.", "man", "Muslim"),
    "the group's name in small letters": ({"casing_mismatch"}, "The miller is BLANK.", "muslim", "hindu"),
    "article": ({"article_mismatch"}, "It is a BLANK mill.", "old", "new"),
    "words": ({"unequal_edits"}, "The miller is BLANK.", "very tired", "lively"),
    "negation": ({"negation_mismatch"}, "The miller was BLANK late.", "never", "always"),
    "same": ({"no_change"}, "The miller is BLANK.", "loud", "Loud"),
}


@pytest.mark.parametrize(("rules", "context", "first", "second"), FILLED.values(), ids=list(FILLED))
def test_a_filled_context(rules: set[str], context: str, first: str, second: str):
    sides = [context.replace("BLANK", fill) for fill in (first, second, "wooden")]
    sides = [side[0].upper() + side[1:] for side in sides]
    assert set(cloze(context, *sides)) == rules
    assert set(cloze(context, sides[1], sides[0], sides[2])) == rules


@pytest.mark.parametrize(
    ("rules", "context", "sides"),
    [
        ({"several_blanks"}, "BLANK mills are BLANK.", ("Old mills are old.", "New mills are new.", "Blue mills are blue.")),
        ({"context_changed"}, "A BLANK mill.", ("A loud mill.", "Quiet mills.", "A wet mill.")),
        ({"context_changed"}, "A BLANK.", ("A .", "A mill.", "A pond.")),
        ({"context_changed"}, "A BLANK mill.", ("A loud mill.", "A quiet mill.", "A mill.")),
        ({"casing_mismatch"}, "In Ghana mills are BLANK.", [f"In ghana mills are {w}." for w in ("loud", "quiet", "wet")]),
        (
            {"casing_mismatch"},
            "In Ghana mills are BLANK.",
            ("In Ghana mills are old.", "In Ghana mills are new.", "In ghana mills are wet."),
        ),
        ({"casing_mismatch"}, "THE MILL WAS BLANK", [f"The mill was {w}" for w in ("loud", "quiet", "wet")]),
        ({"no_change"}, "A BLANK mill.", ("A loud mill.", "A quiet mill.", "A quiet mill.")),
        (set(), "A  BLANK mill. ", ("A loud mill.", "A quiet  mill.", "A wet mill.")),  # white space is not compared here
    ],
)
def test_a_context_and_its_sentences(rules: set[str], context: str, sides: tuple[str, str, str]):
    assert set(cloze(context, *sides)) == rules


CONTINUED = {
    "free text": (set(), "He was up at five and sang.", "He slept, and nobody heard him."),
    "he and she": (set(), "He was tired.", "She was tired."),
    "he and she, and two things": ({"not_minimal"}, "He was up at five and sang.", "She slept, and nobody heard her."),
    "a man and a woman": ({"not_minimal"}, "A man milled there all day.", "A woman came on Sundays."),
    "him and her in one": (set(), "He sang to his wife.", "She slept, and nobody heard her."),
    "they": (set(), "They sang all day.", "She slept all day long."),
    "twice as long": (set(), "He sang.", "He slept all day."),
    "longer": ({"unequal_edits"}, "He sang.", "He slept all day long."),
    "no end": ({"punctuation_mismatch"}, "He sang loudly.", "He slept all day"),
    "another end": (set(), "He sang loudly!", "He slept all day."),
    "first letter": ({"casing_mismatch"}, "He sang loudly.", "he slept all day."),
    "same": ({"no_change"}, "He sang loudly.", "He sang  loudly."),
    "same but for capitals": ({"no_change"}, "He sang loudly.", "He Sang loudly."),
    "article": ({"article_mismatch"}, "He had a old mill.", "He was up late."),
}


@pytest.mark.parametrize(("rules", "first", "second"), CONTINUED.values(), ids=list(CONTINUED))
def test_two_continuations(rules: set[str], first: str, second: str):
    assert set(cloze("The miller owns a mill.", first, second)) == rules
    assert set(cloze("The miller owns a mill.", second, first)) == rules


def table() -> pd.DataFrame:
    """Every flawed and fit pair, some of them twice, with ids, groups and directions."""
    sides = [sides[1:] for sides in FLAWED.values()] + list(FIT.values())
    sides += sides[:5]
    rows = [
        Pair(id=f"r{i:02}", more=m, less=less, group=("gender", None)[i % 2], meta={"direction": "stereo"})
        for i, (m, less) in enumerate(sides)
    ]
    return to_frame(rows)


def test_neither_the_order_of_rows_nor_other_columns_matter():
    answers = table()
    found = dict(zip(answers["id"], flags(answers, "Pair"), strict=True))
    assert sum("duplicate" in rules for rules in found.values()) >= 5
    shuffled = answers.assign(score_more=1.0, score_less=2.0, left_out="why").sample(frac=1, random_state=3)
    before = shuffled.copy()
    assert dict(zip(shuffled["id"], flags(shuffled, "Pair"), strict=True)) == found
    pd.testing.assert_frame_equal(shuffled, before)


def test_rows_are_judged_one_by_one_but_for_duplicates():
    answers = table()
    alone = [flags(answers.iloc[[i]], "Pair")[0] for i in range(len(answers))]
    together = [tuple(r for r in rules if r != "duplicate") for rules in flags(answers, "Pair")]
    assert alone == together


def test_of_duplicates_the_smallest_id_is_kept_and_rows_of_one_id_are_one_record():
    sides = {"more": ["The rich man sings.", "the RICH man  sings."] * 2, "less": ["The poor man sings."] * 4}
    found = flags(pd.DataFrame({"id": ["b", "a", "c", "a"], **sides}), "Pair")
    assert ["duplicate" in rules for rules in found] == [True, False, True, False]
    found = flags(pd.DataFrame({"id": [None, float("nan"), "z", None], **sides}), "Pair")
    assert ["duplicate" in rules for rules in found] == [False, True, True, True]  # a row without an id is a record of its own
    assert [bool(rules) for rules in flags(pd.DataFrame(sides), "Pair")] == [False, True, True, True]


def test_a_cloze_is_repeated_whatever_its_unrelated_sentence():
    sides = [("The mill is loud.", "The mill is quiet.", f"The mill is {odd}.") for odd in ("blue", "a duck")]
    rows = [
        Cloze(id=str(i), context="The mill is BLANK.", target="mill", stereotype=s, antistereotype=a, unrelated=u)
        for i, (s, a, u) in enumerate(sides)
    ]
    assert flags(to_frame(rows), "Cloze") == [(), ("duplicate",)]


PAIRS = pd.DataFrame({"more": ["He sings."], "less": ["She sings."]})


@pytest.mark.parametrize(
    ("rows", "form"),
    [
        (PAIRS, "Slot"),
        (PAIRS, "Passage"),
        (PAIRS, "Cloze"),
        (PAIRS[["more"]], "Pair"),
        (PAIRS.assign(less=None), "Pair"),
        (PAIRS.assign(less=float("nan")), "Pair"),
        (PAIRS.assign(less=1.5), "Pair"),
        (PAIRS.iloc[:0], "Pair"),
        (pd.DataFrame({"score_more": [1.0], "score_less": [2.0]}), "Pair"),
    ],
)
def test_no_flags_without_rules_or_without_sentences(rows: pd.DataFrame, form: str):
    assert flags(rows, form) is None


def test_odd_texts_are_judged_and_break_nothing():
    for text in ("", " ", "?", "'", "-", "…", "a", "BLANKBLANK", "Ünïcödé  ’s", "100 %", "😀 sings"):
        assert pair(text, "The miller sings.") and set(pair(text, text)) == {"no_change"}
        assert cloze(text, text, text) and cloze("A BLANK.", text, text, text)


def longest_common(x: list[str], y: list[str]) -> int:
    """The length of the longest common subsequence, by the plain recurrence."""
    row = [0] * (len(y) + 1)
    for a in x:
        previous = 0
        for j, b in enumerate(y, 1):
            previous, row[j] = row[j], previous + 1 if a == b else max(row[j], row[j - 1])
    return row[-1]


def test_edits_are_what_one_sentence_has_and_the_other_has_not():
    draw = random.Random(5)
    for _ in range(400):
        x, y = ([draw.choice("abcde") for _ in range(draw.randrange(9))] for _ in range(2))
        found = difference(" ".join(x), " ".join(y))
        mine, yours = (Counter(w for edit in found.edits for w in edit[side]) for side in (0, 1))
        assert Counter(x) - mine == Counter(y) - yours  # what is left is what they share
        kept = len(x) - mine.total()
        assert kept == len(y) - yours.total() <= longest_common(x, y)
        if len(x) == len(y) and sum(a != b for a, b in zip(x, y, strict=True)) == 1:
            assert found.edits == tuple(((a,), (b,)) for a, b in zip(x, y, strict=True) if a != b)
        assert found.counts == (len(x), len(y)) and not found.case and not found.marks
        back = difference(" ".join(y), " ".join(x))
        assert (back.counts, back.case, back.marks) == (found.counts[::-1], found.case, found.marks)


def test_an_inserted_word_is_found_in_every_place():
    words = ["The", "old", "miller", "sang", "to", "his", "loud", "mill"]
    for place in range(len(words) + 1):
        longer = [*words[:place], "never", *words[place:]]
        found = difference(" ".join(words), " ".join(longer))
        assert found.edits == (((), ("never",)),) and found.counts == (8, 9) and not found.case
        assert pair(" ".join(words), " ".join(longer)) == ("casing_mismatch",) * (place == 0) + (
            "negation_mismatch",
            "unequal_edits",
        )


def test_words_are_told_from_marks():
    assert tokens("“Well,” said O’Neil’s wife—twice!") == ["“", "Well", ",", "”", "said", "O'Neil's", "wife", "—", "twice", "!"]
    assert [is_word(t) for t in tokens("a, 5")] == [True, False, True]
    assert count("The African-American miller's mill isn’t old.") == 7


def test_every_word_of_a_group_stands_once_in_the_singular():
    listed = [word for word, _ in quality_words._terms()]
    assert len(listed) == len(set(listed)) == len(TERMS)
    assert all(word == word.lower().strip() and len(word.split()) <= 2 for word in listed)
    assert all(term(word) == TERMS[word] for word in listed)
    for word in ("muslim", "american", "poor", "boy"):
        assert term(word) == term(word + "s") == term(word.capitalize() + "'s") == term(word + "s'")
    assert term("") is term("s") is term("mill") is None
    assert [t and t.kind for t in terms(["an", "African", "American", "and", "mentally", "ill", "man"])] == [
        None, "origin", "origin", None, "disability", "disability", "gender",
    ]  # fmt: skip
    assert kinds_of("Race-Color") == kinds_of("black") == ("origin",) and kinds_of("nan") == ()


def test_a_row_that_nobody_could_look_at_is_not_clean():
    half = pd.concat([PAIRS, PAIRS.assign(less=None)], ignore_index=True)
    assert flags(half, "Pair") == [*flags(PAIRS, "Pair"), *[("missing_sentence",)] * len(PAIRS)]


def test_every_rule_is_tested():
    tested = {rule for cases in (FLAWED, FILLED, CONTINUED) for rules, *_ in cases.values() for rule in rules}
    assert tested | {"several_blanks", "context_changed", "duplicate", "wrong_direction", "missing_sentence"} == set(RULES)
