"""Rows as they are prepared: each beside its counterpart, every place where the same is predicted, however long a document is."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import itertools
import tempfile
from pathlib import Path

import pytest

from fairbench.counterfactual.swapping import Swap
from fairbench.errors import FairbenchError
from fairbench.mitigation import rows as module
from fairbench.mitigation.recipe import Recipe
from fairbench.mitigation.rows import Preparer, framing, lengths, prepare
from fairbench.models.tokens import start_token

SPEC = importlib.util.spec_from_file_location("lessons", Path(__file__).with_name("lessons.py"))
lessons = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(lessons)

LONG = " ".join(
    f"{who} said that {whose} old {whom} was tired and late for work."
    for who, whose, whom in itertools.product(("He", "The nurse", "She"), ("his", "her"), ("king", "mother", "house"))
)
"""A document whose words stand one for one in its reversal, of some hundred tokens."""


@functools.cache
def model(name: str):
    folder = Path(tempfile.mkdtemp()) / name
    return lessons.opened(getattr(lessons.tiny, name)(folder))


def turned(text: str, changes, end: int) -> str:
    """The first `end` characters of a text with their changed words exchanged, by the reversal's own alignment."""
    other = Swap(names=False).variants(text)[0].text if changes else text
    done, made = 0, ""
    for (start, stop), (new_start, new_stop) in changes:
        if start >= end:
            break
        made += text[done:start] + other[new_start:new_stop]
        done = stop
    return made + text[done:end]


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert", "roberta"])
@pytest.mark.parametrize("text", lessons.TEXTS)
def test_at_a_place_both_sides_have_read_the_same_up_to_the_roles(name, text):
    one = model(name)
    (row,) = lessons.rows(one, (text,))
    made = Swap(names=False).variants(text)
    if not made:
        assert row["places"] == row["other_ids"] == []
        return
    own, other = lessons.preparer(one).code([text, made[0].text])
    head = len(framing(one.card, one.tokenizer).head)
    ahead = one.card.kind == "causal"
    met = 0
    for t, u in enumerate(row["places"]):
        i, j = t + ahead - head, u + ahead - head
        if u < 0 or not (0 <= i < len(own.ids)):
            continue
        start, start_other = own.offsets[i][0], other.offsets[j][0]
        assert turned(text, made[0].alignment, start) == made[0].text[:start_other]
        inside = any(a <= own.offsets[i][1] and start < b for (a, b), _ in made[0].alignment)  # or the space before it
        assert own.ids[i] == other.ids[j] or inside
        met += 1
    lost = sum(place < 0 for place in row["places"])
    assert met >= len(own.ids) - lost >= len(own.ids) - sum(end - start for (start, end), _ in made[0].alignment)
    assert row["places"][-1] == len(row["other_ids"]) - 1, "the last position faces the last"


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert", "roberta"])
@pytest.mark.parametrize("length", [8, 9, 13, 24, 32])
def test_a_long_document_is_cut_so_that_both_sides_face_each_other(name, length):
    one = model(name)
    made = lessons.rows(one, (LONG,), max_length=length)
    (whole,) = lessons.rows(one, (LONG,), max_length=2_000)
    special = framing(one.card, one.tokenizer)
    head, tail, ahead = len(special.head), len(special.tail), one.card.kind == "causal"
    assert len(made) > 5
    texts = [row["input_ids"][head : len(row["input_ids"]) - tail] for row in made]
    texts[-1] = texts[-1][: len(texts[-1]) - len(special.end)]
    assert [token for text in texts for token in text] == whole["input_ids"][
        head : len(whole["input_ids"]) - tail - len(special.end)
    ]
    faced = known = 0
    for row in made:
        assert len(row["input_ids"]) <= length and len(row["other_ids"]) <= length
        assert tuple(row["input_ids"][:head]) == tuple(row["other_ids"][:head]) == special.head
        for t, u in enumerate(row["places"]):
            i, j = t + ahead, u + ahead
            if i >= len(row["words"]) or row["words"][i] < 0:
                continue
            known += 1
            if u >= 0:
                faced += 1
                assert row["words"][i] == row["other_words"][j]  # numbers of words in the whole document
    assert faced > 0.6 * known


def test_where_no_cut_is_shared_the_ends_are_not_merged():
    """A counterpart twice as long: what follows the end of the one is not what follows the end of the other."""
    parts = list(module._parts(8, module.np.array([0, -1, -1, -1, -1, -1, -1, 20], dtype=module.np.int32), 21, 4))
    assert [(part.own.start, part.own.stop) for part in parts] == [(0, 4), (4, 8)]
    assert [(part.other.start, part.other.stop, part.faced) for part in parts] == [(0, 4, False), (20, 21, True)]
    one = model("gpt2")
    made = lessons.preparer(one, max_length=8)
    own, other = made.code(["tired and late", "umbrella"])
    row = made._row(
        own, other, module.np.full(len(own.ids), -1, dtype=module.np.int32), module.Part(slice(0, 3), slice(0, 2), faced=False)
    )
    assert set(row["places"]) == {-1}


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_causal_row_begins_as_every_score_does_and_ends_with_the_end_token(name):
    one = model(name)
    for row in lessons.rows(one):
        assert row["input_ids"][0] == start_token(one.card, one.tokenizer)
        assert row["input_ids"][-1] == one.tokenizer.eos_token_id
        assert row["input_ids"].count(row["input_ids"][0]) == 1 + (row["input_ids"][0] == row["input_ids"][-1])
        assert row["words"][0] == row["words"][-1] == -1


@pytest.mark.parametrize("name", ["bert", "roberta", "albert"])
def test_a_masked_row_is_what_its_tokenizer_makes_of_the_text(name):
    one = model(name)
    for text, row in zip(lessons.TEXTS, lessons.rows(one), strict=True):
        assert row["input_ids"] == one.tokenizer(text)["input_ids"]


def test_without_a_counterpart_for_merging_none_is_prepared():
    assert all(row["other_ids"] == row["places"] == [] for row in lessons.rows(model("gpt2"), merge="none", augment="both"))


def test_restricted_places_come_after_the_first_gendered_word():
    one = model("gpt2")
    text = "The old house was late and she was tired."
    (free,) = lessons.rows(one, (text,))
    (bound,) = lessons.rows(one, (text,), restrict=True)
    after = next(i for i, n in enumerate(bound["words"]) if n == 6)  # "she" is the word number 6
    last = max(i for i, n in enumerate(bound["words"]) if n == 6)
    assert set(bound["places"][:last]) == {-1} and after <= last
    assert bound["places"][last:] == free["places"][last:]
    later = lessons.rows(one, ("She was late. " + "The old house was wooden and tired. " * 3,), restrict=True, max_length=16)
    assert set(later[0]["places"]) != {-1} and all(set(row["places"]) == {-1} for row in later[1:])


@pytest.mark.parametrize(("augment", "of_each"), [("none", (1, 1)), ("both", (2, 1)), ("swap", (1, 1))])
def test_what_becomes_of_a_text_with_a_gendered_word(augment, of_each):
    one = model("gpt2")
    with_word, without = lessons.TEXTS[0], lessons.TEXTS[1]
    made = lessons.preparer(one, augment=augment)
    (reversed_,) = Swap(names=False).variants(with_word)
    texts = [one.tokenizer.decode(row["input_ids"], skip_special_tokens=True) for row in made.rows([with_word, without])]
    wanted = {"none": [with_word], "both": [with_word, reversed_.text], "swap": [reversed_.text]}[augment]
    assert texts == [*wanted, without] and len(texts) == sum(of_each)
    assert made.counted.documents == 2 and made.counted.reversed == 1 and made.counted.rows == len(texts)


def test_a_reversed_row_faces_its_original():
    one = model("gpt2")
    first, second = lessons.rows(one, (lessons.TEXTS[0],), augment="both")
    assert first["other_ids"] == second["input_ids"] and second["other_ids"] == first["input_ids"]
    pairs = {(t, u) for t, u in enumerate(first["places"]) if u >= 0}
    assert pairs == {(t, u) for u, t in enumerate(second["places"]) if t >= 0}


def test_texts_without_a_word_are_left_out_where_only_matched_ones_count():
    made = lessons.preparer(model("gpt2"), merge="none", augment="both", matched=True)
    assert len(list(made.rows(lessons.TEXTS))) == 6
    assert made.counted.unmatched == 1 and made.counted.documents == 3


@pytest.mark.parametrize(
    ("attribute", "text"), [("race", "Two black men and an Asian woman."), ("religion", "A rabbi met a Christian.")]
)
def test_of_three_groups_every_other_assignment_is_learnt_from(attribute, text):
    one = model("gpt2")
    made = lessons.rows(one, (text,), merge="none", augment="both", attribute=attribute)
    decoded = [one.tokenizer.decode(row["input_ids"], skip_special_tokens=True) for row in made]
    assert decoded == [text, *(variant.text for variant in Swap(attribute).variants(text))] and len(decoded) == 3


@pytest.mark.parametrize("block", [1, 2, 3])
def test_how_many_are_prepared_at_once_changes_nothing(block, monkeypatch):
    one = model("gpt2")
    usual = lessons.rows(one, augment="both")
    monkeypatch.setattr(module, "BLOCK", block)
    assert lessons.rows(one, augment="both") == usual


def test_prepared_rows_are_read_from_disk_and_made_once(tmp_path, monkeypatch):
    one = model("gpt2")
    made = prepare(lessons.some_texts(*lessons.TEXTS), lessons.preparer(one), tmp_path, lambda *_: None)
    assert [made.table[i] for i in range(len(made.table))] == lessons.rows(one)
    assert lengths(made.table) == [max(len(row["input_ids"]), len(row["other_ids"])) for row in lessons.rows(one)]
    monkeypatch.setattr(Preparer, "rows", lambda *_: pytest.fail("prepared again"))
    again = prepare(lessons.some_texts(*lessons.TEXTS), lessons.preparer(one), tmp_path, lambda *_: None)
    assert again.counted == made.counted and again.seen.as_dict() == made.seen.as_dict() and len(again.table) == len(made.table)


@pytest.mark.parametrize(
    ("documents", "recipe", "words"),
    [
        (("",), {}, "none of its documents"),
        (("A house.", "Rain."), {"matched": True, "merge": "none", "augment": "both"}, "none of its 2"),
    ],
)
def test_where_there_is_nothing_to_learn_from_it_says_why(documents, recipe, words, tmp_path):
    with pytest.raises(FairbenchError, match=words) as caught:
        prepare(lessons.some_texts(*documents), lessons.preparer(model("gpt2"), **recipe), tmp_path, lambda *_: None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["gpt2", "roberta", "albert", "bert", "llama"])
def test_the_pieces_of_a_word_have_one_number(name):
    text = "My  old neighbour's umbrella, a tired café; 日本!"
    (coded,) = lessons.preparer(model(name)).code([text])
    words: dict[int, str] = {}
    for number, (start, end) in zip(coded.words.tolist(), coded.offsets, strict=True):
        words[number] = words.get(number, "") + ("" if text[start:end] in words.get(number, "") else text[start:end])
    found = [word.strip() for word in words.values()]
    assert found[:3] == ["My", "old", "neighbour"] and found[3][0] == "'" and {"umbrella", "tired", "café"} <= set(found)
    assert coded.words.tolist() == sorted(coded.words.tolist()) and coded.words[0] == 0


def test_a_row_without_room_for_a_token_is_refused():
    one = model("gpt2")
    with pytest.raises(FairbenchError, match="max_length=2 leaves no token"):
        Preparer(one.card, one.tokenizer, Recipe(max_length=2), Swap())


def test_documents_that_may_be_cut_are_not_closed():
    one = model("gpt2")
    whole, cut = (dataclasses.replace(lessons.preparer(one), cut=cut) for cut in (False, True))
    (closed,), (open_,) = (list(made.rows(lessons.TEXTS[:1])) for made in (whole, cut))
    assert closed["input_ids"] == [*open_["input_ids"], one.tokenizer.eos_token_id]
    assert open_["places"][-1] == len(open_["other_ids"]) - 1
