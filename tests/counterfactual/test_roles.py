"""Role reversal: word by word, on sentences whose reversal is published, and back again."""

from __future__ import annotations

import csv
import re
import time
from pathlib import Path

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
    *("grandads", "nana", "auntie", "aunties", "aunty", "bridegroom", "bridegrooms", "spinster", "spinsters", "lords"),
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
        ("Ms. Bell and Miss Gray miss you.", "Mr. Bell and Mr. Gray miss you."),
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


def sentences(path: Path) -> list[str]:
    return [
        re.sub(r"[\[\]]", "", line.split(" ", 1)[1]).strip() for line in path.read_text(encoding="utf-8").splitlines() if line
    ]


@pytest.mark.parametrize(("kind", "least"), [("type1", 0.99), ("type2", 0.97)])
def test_winobias_sentences_become_their_counterparts(real, kind, least):
    """The other file's sentence that differs in one word is the reversal; where it names a gendered noun too it is none."""
    right = there_and_back = total = 0
    for split in ("dev", "test"):
        sides = [sentences(real / "winobias" / "data" / f"{side}_stereotyped_{kind}.txt.{split}") for side in ("pro", "anti")]
        for own, other in (sides, sides[::-1]):
            known = {blanked: text for text in other for blanked in blanks(text)}
            for text in own:
                if (gold := next((known[b] for b in blanks(text) if b in known and known[b] != text), None)) is None:
                    continue
                found = reverse(text)
                if len(found.alignment) > 1:
                    continue
                total += 1
                right += found.text == gold
                there_and_back += reverse(found.text).text == text
    assert total > 1400
    assert right / total >= least and there_and_back / total >= least, (right / total, there_and_back / total)


def blanks(text: str) -> list[str]:
    """A text with each of its pronouns left out in turn."""
    words = text.split()
    return [" ".join([*words[:i], "_", *words[i + 1 :]]) for i, word in enumerate(words) if word.strip(".").lower() in PRONOUNS]


PRONOUNS = ("he", "she", "him", "her", "his", "hers")


def test_winogender_sentences_become_their_counterparts(real):
    with (real / "winogender" / "all_sentences.tsv").open(encoding="utf-8", newline="") as file:
        sets = {row["sentid"]: row["sentence"] for row in csv.DictReader(file, delimiter="\t")}
    assert len(sets) == 720
    for name, text in sets.items():
        gold = {".male.": ".female.", ".female.": ".male."}
        other = next((name.replace(old, new) for old, new in gold.items() if old in name), name)
        assert reverse(text).text == sets[other]


def test_gap_passages_there_and_back(real):
    with (real / "gap" / "gap-development.tsv").open(encoding="utf-8", newline="") as file:
        texts = [row["Text"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    once = [reverse(text).text for text in texts]
    assert all(text != found for text, found in zip(texts, once, strict=True)), "every passage has a pronoun"
    same = sum(text == reverse(found).text for text, found in zip(texts, once, strict=True))
    assert same / len(texts) >= 0.94


@pytest.mark.slow
def test_ten_thousand_sentences_a_second(real):
    texts = sentences(real / "winobias" / "data" / "pro_stereotyped_type1.txt.dev") * 10
    reverse(texts[0])
    start = time.process_time()
    for text in texts:
        reverse(text)
    assert len(texts) / (time.process_time() - start) >= 10_000
