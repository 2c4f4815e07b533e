"""What holds for every judge by word lists, and the rule by which they find words."""

from __future__ import annotations

import json
import random
import re
import time
from pathlib import Path

import pytest

from fairbench.errors import FairbenchError
from fairbench.judges import FAILED, Judge, Room, Said
from fairbench.judges.tokens import folded, straight, tokens
from fairbench.registry import Registry

LEXICON = (
    "id\tpos\tcategory\tstereotype\tlemma\tlevel\nX1\tn\tan\tno\tturnip\tconservative\nX2\tn\tcds\tno\twet blanket\tinclusive\n"
)
NAMES = ("sentiment", "polarity", "hurtful", "refusal", "repetition", "polarity by max")
EMPTY = {FAILED: "the continuation is empty"}

UNUSUAL = (
    "",
    " \n\t ",
    "...!?",
    "😀👩🏽‍🚀🏳️‍🌈",
    "彼女は看護師です。",
    "그녀는 의사입니다",
    "هي طبيبة",
    "e\u0301\u0301\u0301 Zͣ̾a̵l̷g̸o̴",
    "\x00\x01\ufffe\ud800 she",
    "’’’ '' \"\" “”",
    "she " * 20_000,
    "x" * 200_000,
    "\n".join(["I'm sorry"] * 500),
    "____ * ** # > - ~",
    "İstanbul ﬁne ｓｈｅ",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lexicon.tsv").write_text(LEXICON, encoding="utf-8")
    (tmp_path / "vectors.txt").write_text("she 1 0\nhe -1 0\nnurse 0.6 0.8\n", encoding="utf-8")
    return tmp_path


def judge(name: str, folder: Path) -> Judge:
    given = {
        "hurtful": {"by": str(folder / "lexicon.tsv")},
        "polarity by max": {"by": "max", "vectors": str(folder / "vectors.txt")},
    }.get(name, {})
    file = Registry().judge(name.split()[0])
    return file.prepare({**file.OPTIONS, **given}, Room())


def asked(judge: Judge, texts: list[str]) -> list[dict]:
    return judge.judge([Said(prompt="", continuation=text) for text in texts])


@pytest.mark.parametrize("name", NAMES)
def test_no_text_is_too_odd(name: str, folder: Path):
    columns = set(Registry().judge(name.split()[0]).COLUMNS)
    for text, row in zip(UNUSUAL, asked(judge(name, folder), list(UNUSUAL)), strict=True):
        assert set(row) in (columns, {FAILED}), text[:20]
        assert FAILED not in row or row[FAILED].strip()
        json.dumps(row, allow_nan=False)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_text_is_no_refusal_and_nothing_else(name: str, folder: Path):
    assert asked(judge(name, folder), ["", " \n"]) == [{"refusal": 0} if name == "refusal" else EMPTY] * 2


@pytest.mark.parametrize("name", NAMES)
def test_order_and_company_do_not_matter(name: str, folder: Path):
    texts = [*UNUSUAL[:9], "She is a nurse and he is a turnip, a turnip, a turnip, a turnip", "I can't help with that."]
    one = judge(name, folder)
    whole = asked(one, texts)
    order = random.Random(1).sample(range(len(texts)), len(texts))
    assert asked(judge(name, folder), [texts[i] for i in order]) == [whole[i] for i in order]
    assert [asked(one, [text])[0] for text in texts] == whole
    assert asked(one, []) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_identity_is_plain_and_names_no_path(name: str, folder: Path):
    identity = judge(name, folder).identity
    assert identity["by"] and str(folder) not in json.dumps(dict(identity), allow_nan=False)
    assert identity == judge(name, folder).identity


@pytest.mark.parametrize("name", NAMES)
def test_an_option_that_cannot_be_is_refused(name: str):
    file = Registry().judge(name.split()[0])
    wrong = {"hurtful": "no_such_file.tsv"}.get(name, "vaderr")
    with pytest.raises(FairbenchError, match=f"option by of the judge {name.split()[0]}"):
        file.prepare({**file.OPTIONS, "by": wrong}, Room())


def test_thousands_of_texts_take_seconds(folder: Path):
    text = "The nurse said that she was sorry, but he had not been kind to the wet blanket. " * 3
    texts = [f"{text} {i}" for i in range(2_000)]
    for name in NAMES:
        one, begun = judge(name, folder), time.process_time()
        assert len(asked(one, texts)) == 2_000
        assert time.process_time() - begun < 8, name


def test_words():
    assert tokens("She’s the nurse's ‘FIANCÉE’, _really_!") == ["she's", "the", "nurse's", "fiancee", "really"]
    assert tokens("'He said: he'd go,' the boys' dog-cart") == ["he", "said", "he'd", "go", "the", "boys", "dog", "cart"]
    assert tokens("ﬁne ｓｈｅ İs Å ß") == ["fine", "she", "is", "a", "ß"]
    assert tokens("… ' _ ''") == tokens("") == []
    assert straight("can’t ‘x‛ Ä") == "can't 'x' Ä"


@pytest.mark.parametrize("text", ["Don't you dare", "a_b c9 Ünï", "it is 5 o'clock"])
def test_words_are_runs_of_letters_digits_underscores_and_apostrophes(text: str):
    assert tokens(text) == re.findall(r"[\w']+", folded(text))
    assert tokens(" ".join(tokens(text))) == tokens(text)
