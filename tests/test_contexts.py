"""Words in sentences of a corpus: what a sentence is, which are chosen, and what becomes of words that never occur."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from fairbench.contexts import FEWEST_WORDS, MOST_WORDS, NEVER, UNEVEN, Drawn, draw
from fairbench.corpora import sentences
from fairbench.errors import FairbenchError
from fairbench.records import UNASKED, Association
from fairbench.registry import Registry


def stimulus(word: str, role: str = "target_x", test: str = "t") -> Association:
    return Association(id=f"{role}/{word}", group="G", cluster=word, stratum=role, test=test, role=role, text=word)


def stimuli(**sets: str) -> list[Association]:
    """`x="a b"` are the words a and b of target X."""
    roles = {"x": "target_x", "y": "target_y", "a": "attribute_a", "b": "attribute_b"}
    return [stimulus(word, roles[key]) for key, words in sets.items() for word in words.split()]


def drawn(records, corpus, *, per_word=5, seed=0, data_dir=None) -> Drawn:
    return draw({"t": records}, str(corpus), per_word=per_word, seed=seed, data_dir=data_dir, registry=Registry())["t"]


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def met(found: Drawn) -> dict[str, list[str]]:
    """Word -> its sentences, in order."""
    texts: dict[str, list[str]] = {}
    for record in found.records:
        if UNASKED not in record.meta:
            texts.setdefault(record.cluster, []).append(record.text)
    return texts


def refusal(*arguments, **options) -> str:
    with pytest.raises(FairbenchError) as caught:
        drawn(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- which words a sentence holds


@pytest.mark.parametrize(
    ("word", "sentence", "span"),
    [
        ("mill", "We saw the mill there.", (11, 15)),
        ("mill", "Mill after mill went by.", (0, 4)),
        ("mill", "The MILL was very old.", None),
        ("Mill", "We saw the mill there.", None),
        ("NASA", "They said that NASA knew.", (15, 19)),
        ("NASA", "They said that Nasa knew.", None),
        ("mill", "The miller and mills burn.", None),
        ("mill", "The mill's wheel is old.", (4, 8)),
        ("she", "Then she’ll see the wheel.", (5, 8)),
        ("he", "They say he's not there.", (9, 11)),
        ("don", "Please don't see the wheel.", None),
        ("son", "The son-in-law was there.", None),
        ("son", "The son--and only he--came.", (4, 7)),
        ("Neil", "They say O'Neil was there.", None),
        ("Neil", "They say 'Neil' was there.", (10, 14)),
        ("short-term", "It was a short-term thing.", (9, 19)),
        ("short", "It was a short-term thing.", None),
        ("African American", "An African American poet sang.", (3, 19)),
        ("African American", "An African-American poet sang.", None),
        ("African American", "An African and American poet.", None),
        ("African American", "The African American's poem was.", (4, 20)),
        ("African American", "African Americans sang to us.", None),
        ("mother in law", "Mother in law came to us.", (0, 13)),
        ("U.S.", "It was the U.S. army there.", (11, 15)),
        ("Jesu\u0301s", "They say Jes\u00fas was there.", (9, 14)),
    ],
)
def test_a_word_is_met_where_it_stands_whole(tmp_path, word, sentence, span):
    put(tmp_path / "a.txt", sentence)
    (record,) = drawn([stimulus(word)], tmp_path).records
    if span is None:
        assert (record.id, record.text, record.span, record.meta) == (f"target_x/{word}", word, None, {UNASKED: NEVER})
    else:
        assert record == Association(
            id=f"target_x/{word}/0", group="G", cluster=word, stratum="target_x", source="a.txt#1",
            test="t", role="target_x", text=sentence, span=span,
        )  # fmt: skip


WORDS = ["mill", "she", "Ann", "short-term", "New Ross", "new", "o", "wheel", "U.S."]
PARTS = [
    *(
        "mill",
        "Mill",
        "MILL",
        "mills",
        "mill's",
        "mill-race",
        "pre-mill",
        "she",
        "She'll",
        "she's-",
        "Ann",
        "ann",
        "O'Ann",
        "Ann’s",
    ),
    *("short-term", "Short-term", "New", "Ross", "New Ross", "new", "o", "o'clock", "wheel", "_wheel", "wheel2", "U.S.", "U.S"),
    *("--", "'", "-", "..."),
]


def first_place(word: str, sentence: str) -> tuple[int, int] | None:
    """The rule as it reads: every place is tried, what may be joined is taken off by hand, and no token is looked up."""
    forms = {word, word[0].upper() + word[1:]} if word == word.lower() else {word}
    for start in range(len(sentence)):
        end = start + len(word)
        after = re.sub(r"^['’](s|d|ll|re|ve|m)(?!\w)", "", sentence[end:])
        joined = re.search(r"\w['’-]?$", sentence[:start]) or re.match(r"['’-]?\w", after)
        if sentence[start:end] in forms and not joined:
            return start, end
    return None


def test_the_fast_look_up_finds_what_a_search_for_every_word_in_every_sentence_finds(tmp_path):
    made = random.Random(3)
    lines = [
        f"we see it there {''.join(made.choice(PARTS) + made.choice(['', ' ', ' ', ', ']) for _ in range(6))}" for _ in range(800)
    ]
    put(tmp_path / "a.txt", "\n\n".join(lines))
    found = drawn([stimulus(word) for word in WORDS], tmp_path, per_word=10_000)
    texts = {text for line in lines for text in sentences(line) if len(re.findall(r"\w+(?:['’-]\w+)*", text)) >= FEWEST_WORDS}
    wanted = {(word, text): span for word in WORDS for text in texts if (span := first_place(word, text))}
    assert {(record.cluster, record.text): record.span for record in found.records} == wanted
    assert min(Counter(word for word, _ in wanted).values()) > 20


def test_sentences_of_fitting_length_only(tmp_path):
    words = [f"w{n}" for n in range(MOST_WORDS)]
    put(
        tmp_path / "a.txt",
        "\n\n".join(["mill " + " ".join(words[: n - 1]) for n in (FEWEST_WORDS - 1, FEWEST_WORDS, MOST_WORDS, MOST_WORDS + 1)]),
    )
    found = drawn([stimulus("mill")], tmp_path)
    assert sorted(len(text.split()) for text in met(found)["mill"]) == [FEWEST_WORDS, MOST_WORDS]
    assert found.provenance["sentences"] == 2
    assert found.provenance["sentence_words"] == [FEWEST_WORDS, MOST_WORDS]


# ---- which sentences are chosen

MANY = [f"Number {n} saw the mill and the wheel." for n in range(60)]


def test_the_choice_is_the_smallest_hashes_of_seed_word_and_sentence(tmp_path):
    put(tmp_path / "a.txt", " ".join(MANY))
    for seed in (0, 1):
        found = met(drawn(stimuli(x="mill", y="wheel"), tmp_path, seed=seed))
        for word in ("mill", "wheel"):
            key = {text: hashlib.blake2b(f"{seed}/{word}/{text}".encode(), digest_size=8).digest() for text in MANY}
            assert found[word] == sorted(MANY, key=key.__getitem__)[:5]
        assert found["mill"] != found["wheel"]
    assert found != met(drawn(stimuli(x="mill", y="wheel"), tmp_path, seed=0))


def test_the_choice_depends_on_nothing_but_seed_word_and_the_words_sentences(tmp_path):
    put(tmp_path / "one/a.txt", " ".join(MANY))
    put(tmp_path / "two/a.txt", "\n\n".join(reversed(MANY[:30])) + "\n\nNothing to see in this one.")
    put(tmp_path / "two/b.txt", "<br />".join([*MANY[20:], *MANY[:5]]).replace("<br />", "<br /><br />"))
    alone = met(drawn(stimuli(x="mill"), tmp_path / "one"))["mill"]
    assert met(drawn(stimuli(x="wheel Number mill", a="saw"), tmp_path / "two"))["mill"] == alone
    assert met(drawn(stimuli(x="mill"), tmp_path / "one", per_word=9))["mill"][:5] == alone


def test_the_choice_is_the_same_in_another_process(tmp_path):
    put(tmp_path / "a.txt", " ".join(MANY))
    code = (
        "import sys; from fairbench.contexts import draw; from fairbench.registry import Registry\n"
        "from fairbench.records import Association\n"
        "r = [Association(id=w, test='t', role='target_x', text=w) for w in ('mill', 'wheel', 'saw')]\n"
        "d = draw({'t': r}, sys.argv[1], per_word=5, seed=0, data_dir=None, registry=Registry(()))\n"
        "print([x.text for x in d['t'].records])"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(printed) == 1


def test_every_sentence_is_chosen_equally_often(tmp_path):
    put(tmp_path / "a.txt", " ".join(MANY[:20]))
    often = Counter(text for seed in range(400) for text in met(drawn(stimuli(x="mill"), tmp_path, seed=seed))["mill"])
    # 400 draws of 5 in 20: mean 100, standard deviation 8.7
    assert len(often) == 20
    assert all(65 <= n <= 135 for n in often.values())


def test_a_sentence_that_comes_twice_counts_once_a_word(tmp_path):
    put(tmp_path / "a.txt", "The mill is here now. " * 50 + "A mill burned in May. The wheel is here now.")
    found = drawn(stimuli(x="mill", y="wheel"), tmp_path)
    assert sorted(met(found)["mill"]) == ["A mill burned in May.", "The mill is here now."]
    assert found.provenance["found"] == {"mill": 2, "wheel": 1}
    assert found.provenance["occurs"] == {"mill": 51, "wheel": 1}


def test_a_word_of_two_tests_gets_the_same_sentences(tmp_path):
    put(tmp_path / "a.txt", " ".join(MANY))
    tests = {"one": [stimulus("mill"), stimulus("saw", "attribute_a")], "two": [stimulus("mill", "attribute_b", "u")]}
    found = draw(tests, str(tmp_path), per_word=5, seed=0, data_dir=None, registry=Registry(()))
    assert met(found["one"])["mill"] == met(found["two"])["mill"]
    assert {record.test for record in found["two"].records} == {"u"}
    assert [record.id for record in found["two"].records] == [f"attribute_b/mill/{k}" for k in range(5)]
    assert "saw" not in found["two"].provenance["found"]


# ---- words that never occur


def unasked(found: Drawn) -> dict[str, str]:
    return {record.text: str(record.meta[UNASKED]) for record in found.records if UNASKED in record.meta}


def test_sets_that_lose_unequally_many_words_are_evened(tmp_path):
    put(
        tmp_path / "a.txt",
        " ".join(f"There is {w} in number {n}." for w, k in {"a": 3, "b": 1, "c": 2, "d": 1, "e": 4}.items() for n in range(k)),
    )
    found = drawn(stimuli(x="a b c d", y="e no none a", a="nix c"), tmp_path)
    # Y lost two: of X those with the fewest sentences go, d before b since it comes later.
    assert unasked(found) == {"b": UNEVEN, "d": UNEVEN, "no": NEVER, "none": NEVER, "nix": NEVER}
    assert found.provenance["never"] == ["target_y/no", "target_y/none", "attribute_a/nix"]
    assert found.provenance["evened"] == ["target_x/b", "target_x/d"]
    left = [record for record in found.records if record.text == "d"]
    assert [(record.id, record.span, record.cluster, record.stratum) for record in left] == [
        ("target_x/d", None, "d", "target_x")
    ]
    # one word fewer to lose: at one sentence each the last in the list goes
    assert unasked(drawn(stimuli(x="a b c d", y="e no a c"), tmp_path)) == {"d": UNEVEN, "no": NEVER}


def test_chosen_sentences_count_for_the_evening_not_all_there_are(tmp_path):
    put(
        tmp_path / "a.txt",
        " ".join(f"There is {w} in number {n}." for w, k in {"a": 3, "b": 9, "c": 5}.items() for n in range(k)),
    )
    assert unasked(drawn(stimuli(x="a b", y="no c"), tmp_path, per_word=3)) == {"b": UNEVEN, "no": NEVER}


def test_sets_that_lose_equally_many_words_stay(tmp_path):
    put(tmp_path / "a.txt", "There is an a now. There is a b now.")
    assert unasked(drawn(stimuli(x="a no", y="none b"), tmp_path)) == {"no": NEVER, "none": NEVER}


def test_an_emptied_set_empties_the_other(tmp_path):
    put(tmp_path / "a.txt", "There is an a now. There is a b now.")
    found = drawn(stimuli(x="no none", y="a b", a="now"), tmp_path)
    assert unasked(found) == {"no": NEVER, "none": NEVER, "a": UNEVEN, "b": UNEVEN}


def test_tests_of_one_task_are_evened_each_by_itself(tmp_path):
    put(tmp_path / "a.txt", "There is an a now. There is a b now.")
    records = [
        stimulus("no", test="u"),
        stimulus("a", "target_y", "u"),
        stimulus("b", test="v"),
        stimulus("now", "target_y", "v"),
    ]
    assert unasked(drawn(records, tmp_path)) == {"no": NEVER, "a": UNEVEN}


# ---- what is said of it


def test_provenance_says_what_was_read_and_how(tmp_path):
    one, two = (
        put(tmp_path / "own/texts/a.txt", "The mill is here now. No."),
        put(tmp_path / "own/texts/b/c.txt", "The mill burned in May."),
    )
    found = drawn(stimuli(x="mill"), tmp_path / "own/texts", seed=4)
    about = json.loads(json.dumps(found.provenance))
    assert str(tmp_path) not in json.dumps(about)
    assert about["corpus"] == "own/texts"
    assert about["files"] == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in (("a.txt", one), ("b/c.txt", two))
    }
    assert (about["per_word"], about["seed"], about["documents"], about["sentences"]) == (5, 4, 2, 2)
    assert about["sentence_rule"]
    assert about["word_rule"]
    assert {record.source for record in found.records} == {"a.txt#1", "b/c.txt#1"}


def test_gap_and_wikitext_are_corpora():
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the published data are not here")
    found = drawn(stimuli(x="he", y="she", a="poetry"), "gap", data_dir=folder)
    assert found.provenance["documents"] == 4454
    assert [len(texts) for texts in met(found).values()] == [5, 5, 5]
    assert all(record.text[slice(*record.span)].lower() == record.cluster for record in found.records)
    assert drawn(stimuli(x="he"), "wikitext", data_dir=folder).provenance["documents"] == 60


# ---- bad input


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "holds no text (1 documents"),
        ("The mill. No!\n\nNot one", f"holds no sentence of {FEWEST_WORDS} to {MOST_WORDS} words (1 documents"),
    ],
)
def test_a_corpus_without_a_sentence_is_refused(tmp_path, text, wanted):
    put(tmp_path / "a.txt", text)
    assert wanted in refusal(stimuli(x="mill"), tmp_path)


def test_a_stimulus_without_a_letter_is_refused(tmp_path):
    put(tmp_path / "a.txt", "The mill is here now.")
    assert "'+'" in refusal([stimulus("+")], tmp_path)
