from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from tokenizers import Tokenizer, models, normalizers, trainers

from fairbench.counterfactual import roles
from fairbench.mitigation.alignment import counterparts, next_places

PLANTED = Path(roles.__file__).parents[1] / "planted" / "models"

TEXTS = (
    "He is a king, and she waits for her queen.",
    "She saw an actress and an heiress near a count.",
    '"(He)"  said\nhis mother-in-law;  her aunt\'s father\'s son "himself" left.',
    "The nurse said nothing at all.",
    "Él saw a countess — 日本 her 日 husband, the fiancé!",
    "king queen",
    "HE'S NOT AN EARL, MADAM!",
    "he",
    "",
)


def merging_over_words() -> Any:
    """SentencePiece's BPE with nothing that keeps merges within a word, so that tokens hold several words or a bracket."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(vocab_size=150, special_tokens=["<unk>"], show_progress=False)
    tokenizer.train_from_iterator([text for text in TEXTS for _ in range(3)], trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


@functools.cache
def tokenizer(name: str) -> Any:
    return merging_over_words() if name == "merging" else transformers.AutoTokenizer.from_pretrained(PLANTED / f"{name}-0.5")


def coded(tokenizer: Any, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    found = tokenizer(text, return_offsets_mapping=True)
    return found["input_ids"], found["offset_mapping"]


def reference(ids_x, offsets_x, ids_y, offsets_y, changes, length) -> list[int]:
    """By the definition, character by character: tokens that begin at the same place are counterparts if both lie in unchanged
    text and are the same, or if one holds the first character of a changed word."""
    same, moved, begins = {}, 0, {}
    for character in range(length + 1):
        inside = [(a, b) for a, b in changes if a[0] <= character < a[1]]
        if inside:
            begins |= {character: inside[0][1][0]} if character == inside[0][0][0] else {}
            continue
        moved = max([(a[1], b[1] - a[1]) for a, b in changes if a[1] <= character], default=(0, 0))[1]
        same[character] = begins[character] = character + moved
    firsts = {a[0]: b[0] for a, b in changes}
    found = [-1] * len(ids_x)
    for i, (start, end) in enumerate(offsets_x):
        for j, (start_y, end_y) in enumerate(offsets_y):
            if end == start or end_y == start_y or begins.get(start) != start_y:
                continue
            unchanged = [same.get(c) for c in range(start, end)] == [*range(start_y, end_y)] and ids_x[i] == ids_y[j]
            alike = offsets_x[:i].count((start, end)) == offsets_y[:j].count((start_y, end_y))
            # the change whose first character either token holds, with nothing but unchanged text between
            holds = any(
                start <= a and start_y <= b and (a < end or b < end_y) and all(c in same for c in range(start, a))
                for a, b in firsts.items()
            )
            earliest = first_at(offsets_x, start) == i and first_at(offsets_y, start_y) == j
            if (unchanged and alike) or (holds and earliest):
                found[i] = j
    return found


def first_at(offsets, start: int) -> int:
    return next(i for i, (a, b) in enumerate(offsets) if a == start and b > a)


def special_pairs(offsets_x, offsets_y) -> dict[int, int]:
    added_x, added_y = ([i for i, (start, end) in enumerate(o) if start == end] for o in (offsets_x, offsets_y))
    return dict(zip(added_x, added_y, strict=True))


def check(tokenizer: Any, text: str) -> None:
    reversed_text = roles.reverse(text)
    (ids_x, offsets_x), (ids_y, offsets_y) = coded(tokenizer, text), coded(tokenizer, reversed_text.text)
    found = counterparts(ids_x, offsets_x, ids_y, offsets_y, reversed_text.alignment)
    wanted = reference(ids_x, offsets_x, ids_y, offsets_y, reversed_text.alignment, len(text))
    for a, b in special_pairs(offsets_x, offsets_y).items():
        wanted[a] = b
    assert found.dtype == np.int32
    assert found.tolist() == wanted
    back = counterparts(ids_y, offsets_y, ids_x, offsets_x, [(b, a) for a, b in reversed_text.alignment])
    assert {(a, b) for a, b in enumerate(found.tolist()) if b >= 0} == {(b, a) for a, b in enumerate(back.tolist()) if b >= 0}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", ["causal", "masked", "merging"])
def test_it_is_what_the_definition_says(name: str, text: str):
    check(tokenizer(name), text)


@pytest.mark.parametrize("name", ["stories260K", "gpt2"])
def test_tokenizers_of_real_models(real: Path, name: str):
    if name == "gpt2":
        folder = real / "models" / "gpt2_tokenizer"
        found: Any = transformers.GPT2Tokenizer(vocab=str(folder / "gpt2_vocab.json"), merges=str(folder / "gpt2_merges.txt"))
    else:
        found = transformers.AutoTokenizer.from_pretrained(real / "models" / "stories260K" / "hf_converted")
    for text in (*TEXTS, " ".join(TEXTS), "\n\n".join(TEXTS)):
        check(found, text)


def test_a_text_is_its_own_counterpart_token_by_token():
    ids, offsets = coded(tokenizer("masked"), TEXTS[3])
    assert counterparts(ids, offsets, ids, offsets, ()).tolist() == list(range(len(ids)))


ONE, TWO, KING, QU, EEN, DOT, MARK = range(1, 8)


LONE, SPLIT = [(ONE, 0, 1), (KING, 1, 6)], [(ONE, 0, 1), (MARK, 1, 2), (QU, 2, 4), (EEN, 4, 7)]
"""A changed word that holds the space before it, and one whose space is a token of its own."""

CASES = {
    "longer": ([(KING, 0, 4), (DOT, 4, 5)], [(QU, 0, 2), (EEN, 2, 5), (DOT, 5, 6)], ((0, 4), (0, 5)), [0, 2]),
    "shorter": ([(QU, 0, 2), (EEN, 2, 5), (DOT, 5, 6)], [(KING, 0, 4), (DOT, 4, 5)], ((0, 5), (0, 4)), [0, -1, 1]),
    "a space of its own": (LONE, SPLIT, ((2, 6), (2, 7)), [0, 1]),
    "and the other way": (SPLIT, LONE, ((2, 7), (2, 6)), [0, 1, -1, -1]),
    "a mark before the text": ([(MARK, 0, 0), (QU, 0, 2), (EEN, 2, 5)], [(KING, 0, 4)], ((0, 5), (0, 4)), [0, -1, -1]),
    "other id": ([(ONE, 0, 1), (KING, 1, 5)], [(TWO, 0, 1), (QU, 1, 6)], ((1, 5), (1, 6)), [-1, 1]),
    "same id, other characters": (
        [(ONE, 0, 3), (KING, 3, 7)],
        [(ONE, 0, 2), (TWO, 2, 3), (QU, 3, 8)],
        ((3, 7), (3, 8)),
        [-1, 2],
    ),
    "merged over the boundary": (
        [(ONE, 0, 6), (DOT, 6, 7)],
        [(TWO, 0, 2), (QU, 2, 7), (DOT, 7, 8)],
        ((2, 6), (2, 7)),
        [0, 2],
    ),
    "bytes of a character": (
        [(KING, 0, 4), (ONE, 4, 5), (TWO, 4, 5)],
        [(QU, 0, 5), (ONE, 5, 6), (TWO, 5, 6)],
        ((0, 4), (0, 5)),
        [0, 1, 2],
    ),
}


@pytest.mark.parametrize(("x", "y", "change", "wanted"), CASES.values(), ids=CASES)
def test_by_hand(x, y, change, wanted):
    (ids_x, offsets_x), (ids_y, offsets_y) = (([t[0] for t in z], [t[1:] for t in z]) for z in (x, y))
    assert counterparts(ids_x, offsets_x, ids_y, offsets_y, [change]).tolist() == wanted


@pytest.mark.parametrize("empty", [(0, 0), None])
@pytest.mark.parametrize(
    ("x", "y", "wanted"),
    [
        ([90, 91, ONE, 92], [90, 91, ONE, 92], [0, 1, 2, 3]),
        ([90, ONE, 92, 93], [90, ONE, 92], [0, 1, 2, -1]),
        ([90, ONE, 92], [91, ONE, 93], [-1, 1, -1]),
        ([ONE], [90, ONE], [1]),
        ([90, 92], [90, 92], [0, 1]),
    ],
)
def test_tokens_that_the_tokenizer_added(x, y, wanted, empty):
    offsets_x, offsets_y = ([(0, 1) if token == ONE else empty for token in z] for z in (x, y))
    assert counterparts(x, offsets_x, y, offsets_y, ()).tolist() == wanted


@pytest.mark.parametrize(
    ("counterpart", "length_y", "wanted"),
    [
        ([0, 1, 2], 3, [0, 1, 2]),
        ([0, -1, 4, 5], 6, [-1, 3, 4, 5]),
        ([-1, 0, 1], 2, [-1, 0, 1]),  # y's first token has nothing before it
        ([0], 1, [0]),
        ([], 0, []),
    ],
)
def test_places_of_predictions(counterpart, length_y, wanted):
    assert next_places(np.array(counterpart, dtype=np.int32), length_y).tolist() == wanted


def test_predictions_are_of_counterparts_and_read_the_same_text():
    text = "The king told a queen that he saw the man, and she smiled."
    reversed_text = roles.reverse(text)
    own = tokenizer("causal")
    (ids_x, offsets_x), (ids_y, offsets_y) = coded(own, text), coded(own, reversed_text.text)
    places = next_places(counterparts(ids_x, offsets_x, ids_y, offsets_y, reversed_text.alignment), len(ids_y))
    assert (places >= 0).sum() > 12
    for t, place in enumerate(places[:-1].tolist()):
        if place >= 0:
            assert roles.reverse(own.decode(ids_x[: t + 1])).text.split() == own.decode(ids_y[: place + 1]).split()
