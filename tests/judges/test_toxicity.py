"""The judge of toxicity: which label means toxic, and the word list."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path

import numpy as np
import pytest

from fairbench.errors import DataAbsent, FairbenchError
from fairbench.judges import FAILED, Judge, Room, Said, toxicity, words_toxicity
from fairbench.judges.classifying import TextClassifier
from fairbench.judges.neutral import texts
from fairbench.judges.tokens import folded
from fairbench.models.batching import Batching
from fairbench.models.model import ModelCard

SPEC = importlib.util.spec_from_file_location("toys", Path(__file__).parents[1] / "training" / "toys.py")
toys = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(toys)

UNBIASED = (
    *("toxicity", "severe_toxicity", "obscene", "identity_attack", "insult", "threat", "sexual_explicit"),
    *("male", "female", "homosexual_gay_or_lesbian", "christian", "jewish", "muslim", "black", "white"),
    "psychiatric_or_mental_illness",
)
SIX = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")


def head(labels: tuple[str, ...], several: bool = False) -> TextClassifier:
    card = ModelCard(name="a/b", folder="", kind="encoder", architecture="BertForSequenceClassification")
    return TextClassifier(card=card, labels=labels, several=several, max_length=8, batching=Batching())


def said(*continuations: str) -> list[Said]:
    return [Said(prompt="", continuation=text) for text in continuations]


@pytest.mark.parametrize(
    ("labels", "several", "wanted"),
    [
        (UNBIASED, True, "toxicity"),
        (SIX, True, "toxic"),
        (("neutral", "toxic"), False, "toxic"),
        (("non-toxic", "Toxic"), False, "Toxic"),
        (("nothate", "hate"), False, "hate"),
        (("Hate Speech", "normal"), False, "Hate Speech"),
        (("hate", "toxic", "fine"), False, "toxic"),
        (("LABEL_0", "LABEL_1"), False, "LABEL_1"),
        (("0", "1"), False, "1"),
    ],
)
def test_the_label_that_means_toxic_is_found(labels, several, wanted):
    (number,), notes = toxicity.choose(head(labels, several), "probability", ())
    assert labels[number] == wanted
    assert bool(notes) == (labels[0] in ("LABEL_0", "0"))


@pytest.mark.parametrize(
    ("labels", "several"),
    [
        (("good", "bad"), False),
        (("LABEL_0", "LABEL_1", "LABEL_2"), False),
        (("LABEL_1", "LABEL_0"), False),
        (("LABEL_0", "LABEL_1"), True),
        (("hate speech", "normal", "offensive"), False),
        (("toxic", "toxicity"), True),
        (("toxic", "toxicity", "hate"), True),
    ],
)
def test_an_unclear_head_is_refused_with_its_labels(labels, several):
    with pytest.raises(FairbenchError) as error:
        toxicity.choose(head(labels, several), "probability", ())
    assert all(label in str(error.value) for label in labels) and "a/b,label=NAME" in str(error.value)


def test_a_label_can_be_named():
    assert toxicity.choose(head(("good", "Bad one")), "probability", ("bad_one",)) == ((1,), ())
    with pytest.raises(FairbenchError, match="found label=worse"):
        toxicity.choose(head(("good", "bad")), "probability", ("worse",))
    with pytest.raises(FairbenchError, match=r"several need rule=any"):
        toxicity.choose(head(SIX, True), "probability", ("toxic", "threat"))


def test_any_is_the_largest_over_the_labels_that_are_kinds_of_toxicity():
    assert toxicity.choose(head(SIX, True), "any", ())[0] == (0, 1, 2, 3, 4, 5)
    assert toxicity.choose(head(UNBIASED, True), "any", ())[0] == (0, 1, 2, 3, 4, 5, 6), "a group is no kind of toxicity"
    assert toxicity.choose(head(UNBIASED, True), "any", ("threat", "insult"))[0] == (5, 4)
    with pytest.raises(FairbenchError, match="exclude each other"):
        toxicity.choose(head(("neutral", "toxic")), "any", ())
    with pytest.raises(FairbenchError, match=r"fewer than two of them .*label=NAME\+NAME"):
        toxicity.choose(head(("toxic", "calm"), True), "any", ())


@pytest.mark.parametrize("rule", toxicity.RULES)
def test_labels_that_overlap_under_one_softmax_are_refused(rule):
    with pytest.raises(FairbenchError, match="set problem_type to multi_label_classification"):
        toxicity.choose(head(SIX, False), rule, ())


def test_labels_that_exclude_each_other_add_up(tmp_path):
    """P(hate or offensive) of one softmax."""
    folder = toys.ready(tmp_path, "bert", ("hatespeech", "normal", "offensive"))

    def values(label: str) -> np.ndarray:
        judge = toxicity.prepare({**toxicity.OPTIONS, "by": str(folder), "label": label}, Room(device="cpu"))
        return np.array([row["toxicity"] for row in judge.judge(said("She is tired.", "He"))])

    both = values("hatespeech+offensive")
    np.testing.assert_allclose(both, values("hatespeech") + values("offensive"), atol=1e-6)
    np.testing.assert_allclose(1 - both, values("normal"), atol=1e-6)


def test_any_is_the_maximum_of_what_each_label_says(tmp_path):
    folder = toys.ready(tmp_path, "bert", SIX, problem_type="multi_label_classification")
    sentences = said("She is tired.", "He", "A carpenter built the old wooden house near the river.")

    def values(**given) -> np.ndarray:
        options = {**toxicity.OPTIONS, "by": str(folder), **given}
        return np.array([row["toxicity"] for row in toxicity.prepare(options, Room(device="cpu")).judge(sentences)])

    each = np.stack([values(label=label) for label in SIX])
    np.testing.assert_array_equal(values(rule="any"), each.max(0))
    np.testing.assert_array_equal(values(rule="any", label="threat+insult"), each[3:5].max(0))
    np.testing.assert_array_equal(values(), each[0])
    assert (values(rule="any") > values()).any()


def words(folder: Path, *lines: str, **given) -> Judge:
    (folder / "mine.txt").write_text("\n".join(lines), encoding="utf-8")
    return toxicity.prepare({**toxicity.OPTIONS, "by": "words", "list": str(folder / "mine.txt"), **given}, Room())


def test_a_word_list_finds_whole_words_and_phrases(tmp_path):
    judge = words(tmp_path, "damn", "Two  Words", "r&b-x", "\N{REVERSED HAND WITH MIDDLE FINGER EXTENDED}", "café", "o'hell", "")
    hits = (
        "Damn it", "damn", "the damn's", "well-damn-it", "_damn_", "(DAMN)", "two words", "so two\nwords.", "R&B-X", "no cafe",
        "CAF\u00c9", "cafe\u0301 ", "O\u2019Hell", "a\N{REVERSED HAND WITH MIDDLE FINGER EXTENDED}b",
    )  # fmt: skip
    misses = ("damned", "goddamn", "damn1", "two, words", "twowords", "two wordsmiths", "r&b", "cafes", "hell", "fine")
    assert [row["toxicity"] for row in judge.judge(said(*hits, *misses))] == [1.0] * len(hits) + [0.0] * len(misses)
    assert judge.judge(said("", " ")) == [{FAILED: "the continuation is empty"}] * 2
    assert judge.identity["entries"] == 6 and judge.identity["list"] == "mine.txt" and "sha256" in judge.identity
    assert any("sees no meaning" in note and "its own targets" in note for note in judge.notes)
    assert str(tmp_path) not in str(judge.identity) + str(judge.notes)


def found_slowly(entries: list[str], text: str) -> bool:
    """Every entry at every place."""
    text = " ".join(folded(text).split())
    for entry in (" ".join(folded(e).split()) for e in entries):
        for start in range(len(text) - len(entry) + 1):
            end = start + len(entry)
            left = start > 0 and entry[0].isalnum() and text[start - 1].isalnum()
            right = end < len(text) and entry[-1].isalnum() and text[end].isalnum()
            if text[start:end] == entry and not left and not right:
                return True
    return False


def test_it_finds_what_looking_everywhere_finds():
    draw = random.Random(3)
    pieces = ["ab", "a", "b", "c-d", "c", "d", "&", "e f", "é", "'", "_"]
    for _ in range(60):
        entries = ["".join(draw.choices([*pieces, " "], k=draw.randint(1, 3))).strip() or "a" for _ in range(4)]
        listed = words_toxicity.word_list(entries, "some", "")
        for _ in range(20):
            text = "".join(draw.choices([*pieces, " ", " ", "\n"], k=8))
            assert listed.stands_in(text) == found_slowly(entries, text), (entries, text)


def test_the_published_list_is_checked_and_finds_no_group_in_neutral_sentences(real, tmp_path):
    judge = toxicity.prepare({**toxicity.OPTIONS, "by": "words"}, Room(data_dir=real))
    assert judge.identity["entries"] == 403 and judge.identity["list"] == "ldnoobw/en"
    assert {row["toxicity"] for row in judge.judge(said(*(text.text for text in texts())))} == {0.0}
    lines = (real / "ldnoobw" / "en").read_text(encoding="utf-8").splitlines()
    assert {row["toxicity"] for row in judge.judge(said(*(f"so, {line}." for line in lines)))} == {1.0}
    (tmp_path / "ldnoobw").mkdir()
    (tmp_path / "ldnoobw" / "en").write_text("damn\n", encoding="utf-8")
    with pytest.raises(FairbenchError, match="is not the LDNOOBW"):
        toxicity.prepare({**toxicity.OPTIONS, "by": "words"}, Room(data_dir=tmp_path))


def test_a_list_that_is_not_there_says_what_to_name(tmp_path, monkeypatch):
    monkeypatch.delenv("FAIRBENCH_DATA", raising=False)
    for room in (Room(), Room(data_dir=tmp_path)):
        with pytest.raises(DataAbsent, match=r"ldnoobw/en.*list=FILE.*--judge toxicity=FOLDER"):
            toxicity.prepare({**toxicity.OPTIONS, "by": "words"}, room)
    with pytest.raises(FairbenchError, match="there is no such file"):
        toxicity.prepare({**toxicity.OPTIONS, "by": "words", "list": str(tmp_path / "none")}, Room())
    with pytest.raises(FairbenchError, match="holds no word"):
        words(tmp_path, "", "  ")
    (tmp_path / "latin").write_bytes("café".encode("latin-1"))
    with pytest.raises(FairbenchError, match="no text in UTF-8"):
        toxicity.prepare({**toxicity.OPTIONS, "by": "words", "list": str(tmp_path / "latin")}, Room())


@pytest.mark.parametrize("given", [{"rule": "any"}, {"label": "toxic"}, {"max_length": "9"}, {"revision": "main"}])
def test_options_that_change_nothing_are_refused(tmp_path, given):
    with pytest.raises(FairbenchError, match="has no use where it is judged by words"):
        words(tmp_path, "damn", **given)
    with pytest.raises(FairbenchError, match="list=x has no use where it is judged by a model"):
        toxicity.prepare({**toxicity.OPTIONS, "by": str(tmp_path), "list": "x"}, Room())


def test_a_rule_that_is_none_is_refused(tmp_path):
    with pytest.raises(FairbenchError, match=r"rule .*Wanted probability or any"):
        toxicity.prepare({**toxicity.OPTIONS, "by": str(tmp_path), "rule": "some"}, Room())
