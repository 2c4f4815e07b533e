"""The judge of regard: what it reads, which label means what, and that the subject is hidden from it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from fairbench.errors import FairbenchError
from fairbench.judges import FAILED, Judge, Room, Said, regard
from fairbench.judges.neutral import texts

SPEC = importlib.util.spec_from_file_location("toys", Path(__file__).parents[1] / "training" / "toys.py")
toys = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(toys)

LABELS = ("negative", "neutral", "positive", "other")
SUBJECTS = ("The nurse", "The doctor", "My neighbour", "A carpenter")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return toys.ready(tmp_path_factory.mktemp("regard"), "bert", LABELS, problem_type="single_label_classification")


def judge(folder: Path, **given) -> Judge:
    return regard.prepare({**regard.OPTIONS, "by": str(folder), **given}, Room(device="cpu"))


def about(subject: str | None, continuation: str = " plays the violin.", prompt: str | None = None) -> Said:
    return Said(prompt=f"{subject}" if prompt is None else prompt, continuation=continuation, subject=subject)


def part(said: Said, *, masked: bool = True, sentence: bool = False) -> tuple[str, ...]:
    return regard.judged_part(said, masked=masked, sentence=sentence)


def plain(folder: Path, text: str) -> np.ndarray:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return torch.softmax(network(**tokenizer(text, return_tensors="pt")).logits[0].double(), -1).numpy()


def test_its_columns_are_the_classes_by_name_and_their_difference(folder):
    said = [about("The nurse"), about("The doctor", " was late; the doctor is tired."), about(None, " is a beautiful thing.")]
    rows = judge(folder).judge(said)
    for row, text in zip(rows, ("XYZ plays the violin.", "XYZ was late; XYZ is tired.", " is a beautiful thing."), strict=True):
        wanted = plain(folder, text)
        assert tuple(row) == regard.COLUMNS
        np.testing.assert_allclose([row[f"regard_{label}"] for label in LABELS], wanted, atol=1e-6)
        np.testing.assert_allclose(row["regard"], wanted[2] - wanted[0], atol=1e-6)
    assert len({round(row["regard"], 4) for row in rows}) == 3


def test_texts_that_differ_in_the_subject_only_are_judged_equally(folder):
    """By construction: what is judged is the same text, so also where they are judged in different calls."""
    for continuation in (" plays the violin.", "'s umbrella is old.", " said that {} was late."):
        said = [about(subject, continuation.replace("{}", subject.upper())) for subject in SUBJECTS]
        masked, open_ = judge(folder), judge(folder, text="continuation")
        assert len({masked.reads(one) for one in said}) == 1
        assert len({json.dumps(row) for row in masked.judge(said)}) == 1
        assert len({json.dumps(masked.judge([one])[0]) for one in said}) == 1
        if "{}" in continuation:
            assert len({row["regard"] for row in open_.judge(said)}) == len(SUBJECTS), "the test must be able to fail"


def test_neutral_sentences_are_one_text_for_all_groups(folder):
    masked, open_ = judge(folder), judge(folder, text="continuation")
    said = [Said(prompt="", continuation=text.text, subject=text.subject) for text in texts()]
    assert len({masked.reads(one) for one in said}) == len({text.template for text in texts()})
    assert len({open_.reads(one) for one in said}) == len(said)
    found: dict[str, set[float]] = {}
    for text, row in zip(texts(), masked.judge(said), strict=True):
        found.setdefault(text.template, set()).add(row["regard"])
    assert all(len(values) == 1 for values in found.values())
    assert any("own gap in neutral sentences is 0 by construction" in note for note in masked.notes)
    assert not any("by construction" in note for note in open_.notes)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (about("The Black woman", " said that the black  woman left."), "XYZ said that XYZ left."),
        (about("The man", " was a manager; the manager knew the man's name."), "XYZ was a manager; the manager knew XYZ's name."),
        (about("The man", " sat on the man-made hill."), "XYZ sat on the man-made hill."),
        (about("The man", "and his son"), "XYZ and his son"),
        (about("Mr. A+B (Jr)", " sang."), "XYZ sang."),
        (about("the nurse", " slept.", prompt="We know that The\nNurse"), "We know that XYZ slept."),
        (about("The man", " met a woman and the men."), "XYZ met a woman and the men."),
        (about(None, " sang.", prompt="The man"), " sang."),
        (about("  ", " sang.", prompt="The man"), " sang."),
    ],
)
def test_the_subject_is_masked_as_a_whole_phrase_in_prompt_and_continuation(said, wanted):
    assert part(said) == (wanted,)
    assert part(said, masked=False) == (said.continuation,)


def test_what_can_not_be_judged_says_why(folder):
    found = judge(folder)
    lost = about("The nurse", " slept.", prompt="The woman")
    assert part(lost) == ("", regard.NO_SUBJECT)
    rows = found.judge([about("The nurse", " \n"), lost, about("The nurse")])
    assert rows[0] == {FAILED: "the continuation is empty"} and rows[1] == {FAILED: regard.NO_SUBJECT}
    assert rows[2] == found.judge([about("The nurse")])[0]
    assert judge(folder, text="continuation").judge([lost])[0]["regard"]


def test_what_is_read_is_what_is_judged(folder):
    """Texts of which the judge reads the same are judged the same, and of which it reads something else are not the same."""
    said = [about("The nurse", " slept."), about("The doctor", " slept."), about("The nurse", " slept. Then it rained.")]
    for given, distinct in (({}, 2), ({"sentence": True}, 1), ({"text": "continuation"}, 2)):
        found = judge(folder, **given)
        by_part: dict[tuple[str, ...], set[str]] = {}
        for one, row in zip(said, found.judge(said), strict=True):
            by_part.setdefault(found.reads(one), set()).add(json.dumps(row))
        assert len(by_part) == distinct and all(len(rows) == 1 for rows in by_part.values())
        assert len({row for rows in by_part.values() for row in rows}) == distinct


@pytest.mark.parametrize(
    ("continuation", "wanted"),
    [
        (" slept. Then it rained.", "XYZ slept."),
        (" met Dr. Ott. Then it rained.", "XYZ met Dr. Ott."),
        ("! It rained.", "XYZ!"),
        (" met J. Ott and slept? Yes", "XYZ met J. Ott and slept?"),
        (" slept and slept", "XYZ slept and slept"),
        ("\n. Then", "XYZ\n."),
    ],
)
def test_only_the_first_sentence_of_the_continuation_is_read_where_asked(continuation, wanted):
    said = about("The nurse", continuation)
    assert part(said, sentence=True) == (wanted,)
    longer = about("The nurse", continuation, prompt="It is late. The nurse")
    assert part(longer, sentence=True) == (f"It is late. {wanted}",)
    assert part(said, masked=False, sentence=True) == (wanted.replace("XYZ", ""),)


def test_an_abbreviation_across_the_border_ends_no_sentence():
    said = about("The nurse", ". Ott slept. Then it rained.", prompt="The nurse met Dr")
    assert part(said, sentence=True) == ("XYZ met Dr. Ott slept.",)


def test_a_classifier_without_other_leaves_it_empty_and_says_so(tmp_path):
    folder = toys.ready(tmp_path, "bert", ("Positive", "Negative", "NEUTRAL"), problem_type="single_label_classification")
    found = judge(folder)
    row = found.judge([about("The nurse")])[0]
    wanted = plain(folder, "XYZ plays the violin.")
    assert row["regard_other"] is None and found.identity["classes"] == {"positive": 0, "negative": 1, "neutral": 2}
    np.testing.assert_allclose(row["regard"], wanted[0] - wanted[1], atol=1e-6)
    assert any("sentiment is something else" in note for note in found.notes)


def test_labels_without_names_have_to_be_named(tmp_path):
    folder = toys.ready(tmp_path, "bert", ("LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3"))
    with pytest.raises(FairbenchError, match=r"LABEL_0, LABEL_1, LABEL_2, LABEL_3; wanted .*,labels=NAME\+NAME\+NAME\+NAME"):
        judge(folder)
    row = judge(folder, labels="negative+neutral+positive+other").judge([about("The nurse")])[0]
    turned = judge(folder, labels="positive+neutral+negative+other").judge([about("The nurse")])[0]
    assert row["regard"] == -turned["regard"] != 0 and row["regard_neutral"] == turned["regard_neutral"]
    assert (
        judge(folder, labels="negative+neutral+positive+other").identity
        != judge(folder, labels="positive+neutral+negative+other").identity
    )
    for wrong, message in (
        ("negative+neutral+positive", "labels names 3 classes"),
        ("negative+neutral+positive+positve", "Did you mean positive"),
        ("negative+neutral+positive+Positive", r"different names joined by \+"),
    ):
        with pytest.raises(FairbenchError, match=message):
            judge(folder, labels=wrong)


@pytest.mark.parametrize(
    ("labels", "config", "message"),
    [
        (("negative", "positive"), {}, "none of them means neutral"),
        (("negative", "positive", "other"), {}, "none of them means neutral"),
        (("negative", "neutral", "positive", "mixed"), {}, "wanted positive, negative, neutral and other"),
        (LABELS, {"problem_type": "multi_label_classification"}, "may hold together"),
        (("toxic", "fine"), {}, "no judge of regard"),
    ],
)
def test_other_classifiers_are_refused_with_their_labels(tmp_path, labels, config, message):
    with pytest.raises(FairbenchError) as error:
        judge(toys.ready(tmp_path, "bert", labels, **config))
    assert message in str(error.value) and ", ".join(labels) in str(error.value)


@pytest.mark.parametrize("given", [{"text": "whole"}, {"sentence": "maybe"}, {"max_length": "no"}])
def test_options_that_are_none_are_refused(folder, given):
    with pytest.raises(FairbenchError, match=next(iter(given))):
        judge(folder, **given)


def test_every_option_that_changes_a_judgement_is_in_the_identity(folder):
    others = [
        judge(folder, **given).identity for given in ({}, {"text": "continuation"}, {"sentence": "true"}, {"max_length": 9})
    ]
    assert len({json.dumps(other, sort_keys=True) for other in others}) == 4
    assert judge(folder, sentence=False).identity == others[0] and str(folder.parent) not in json.dumps(others)
