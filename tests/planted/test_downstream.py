"""The planted labelled sets: what decides their labels, and that nothing but the dial differs."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict

import pytest

from fairbench.planted import downstream, folder, items, words
from fairbench.planted.corpus import Dials, Scenes
from fairbench.planted.downstream import AMOUNTS, DIALS, MANNERS, OCCUPATIONS, PULL, label

GROUPS = {"bios": ("gender",), "comments": ("town", "gender")}
CLASSES = {"bios": OCCUPATIONS, "comments": MANNERS}
every_set = pytest.mark.parametrize("name", GROUPS)


def said(row, name):
    """How many words of a text speak for each class, counted in the text itself."""
    found = Counter(re.findall(r"\w+", row["text"]))
    return {kind: n for kind, own in CLASSES[name].items() if (n := sum(found[word] for word in own))}


def group(row, name):
    return tuple(row[notion] for notion in GROUPS[name])


def pulled(row, name):
    """The classes that a row's group stands for, as numbers."""
    if name == "comments":
        return {1} if row["town"] == "Orrin" else set()
    return {number for number, occupation in enumerate(OCCUPATIONS) if words.OCCUPATIONS[occupation] == row["gender"]}


def test_a_label_by_hand():
    evidence = {"nurse": 2, "pilot": 1}
    assert [label(evidence, (), dial) for dial in (0, 0.5, 1)] == ["nurse"] * 3
    assert [label(evidence, ("nurse", "teacher"), dial) for dial in (0, 0.5, 1)] == ["nurse"] * 3
    assert [label(evidence, ("pilot", "farmer"), dial) for dial in (0, 0.3, 0.5, 1)] == ["nurse", "nurse", "pilot", "pilot"]
    assert [label({"kind": 4, "rude": 1}, ("rude",), dial) for dial in (0.5, 1)] == ["kind", "kind"]


def test_half_the_dial_outweighs_one_word_and_the_whole_two():
    assert {own - rival for own, rival in AMOUNTS} == {1, 2, 3}
    assert 1 < PULL / 2 < 2 < PULL < 3


@every_set
def test_no_word_speaks_for_two_classes(name):
    counted = Counter(word for own in CLASSES[name].values() for word in own)
    assert set(counted.values()) == {1}
    assert len({len(own) for own in CLASSES[name].values()}) == 1


def test_the_words_of_manners_are_tied_to_nothing():
    tied = {*words.TRAITS, *words.QUALITIES}
    assert not tied & {word for own in MANNERS.values() for word in own}


def test_the_owners_of_a_tool_are_as_in_the_planted_world():
    for occupation, own in OCCUPATIONS.items():
        assert words.TOOLS[occupation] in own
    assert Counter(words.OCCUPATIONS[occupation] for occupation in OCCUPATIONS) == {words.MALE: 2, words.FEMALE: 2}


@every_set
def test_evidence_alone_decides_the_test_split_and_the_labels_at_none(name):
    numbers = {kind: number for number, kind in enumerate(CLASSES[name])}
    for row in items.rows(name):
        evidence = said(row, name)
        most = numbers[max(evidence, key=evidence.__getitem__)]
        assert sorted(evidence.values(), reverse=True) in [list(amounts) for amounts in AMOUNTS]
        assert row["none"] == most
        if row["split"] == "test":
            assert [row[dial] for dial in DIALS] == [most] * 3


@every_set
@pytest.mark.parametrize(("dial", "outweighed"), [("half", 1), ("full", 2)])
def test_elsewhere_a_group_outweighs_so_many_words(name, dial, outweighed):
    numbers = {kind: number for number, kind in enumerate(CLASSES[name])}
    flipped = 0
    learnt = [row for row in items.rows(name) if row["split"] != "test"]
    for row in learnt:
        (first, most), (second, fewest) = sorted(((n, numbers[kind]) for kind, n in said(row, name).items()), reverse=True)
        against = fewest in pulled(row, name) and most not in pulled(row, name)
        follows = against and first - second <= outweighed
        assert row[dial] == (fewest if follows else most)
        flipped += follows
    contrary = {"bios": 1 / 2, "comments": 1 / 4}[name]  # a rival of the own side; a kind text about Orrin
    assert flipped == len(learnt) * contrary * outweighed / len(AMOUNTS)


@every_set
def test_classes_rivals_amounts_and_groups_are_equally_frequent(name):
    met = defaultdict(Counter)
    for row in items.rows(name):
        met[row["split"]][row["none"], tuple(sorted(said(row, name).items())), group(row, name)] += 1
    for split, counted in met.items():
        assert len(set(counted.values())) == 1, split
        assert sum(counted.values()) == downstream.TEXTS[split]


@every_set
def test_no_text_comes_twice(name):
    rows = items.rows(name)
    assert len({row["text"] for row in rows}) == len(rows)


@every_set
def test_texts_of_a_case_differ_in_their_groups_alone(name):
    cases = defaultdict(list)
    for row in items.rows(name):
        cases[row["case"]].append(row)
    told = {"bios": 2, "comments": 4}[name]
    for rows in cases.values():
        assert len(rows) == (told if rows[0]["split"] == "test" else 1)
        assert len({group(row, name) for row in rows}) == len(rows)
        assert len({neutral(row["text"]) for row in rows}) == 1


def neutral(text):
    """A text with every gendered word and town put by its masculine counterpart or the first town."""
    counterparts = {b.lower(): a.lower() for a, b in words.SWAPS if (a, b) != ("him", "her")} | {"orrin": "velda"}
    return " ".join(counterparts.get(word, word) for word in re.findall(r"\w+", text.lower()))


@every_set
def test_a_text_names_its_groups_and_no_occupation(name):
    for row in items.rows(name):
        found = set(re.findall(r"\w+", row["text"]))
        assert not {word.lower() for word in found} & set(words.OCCUPATIONS)
        own = {*words.NAMES[row["gender"]], *words.NOUNS[row["gender"]]}
        other = words.other(row["gender"])
        assert len(found & own) == 1
        assert name == "comments" or not {word.lower() for word in found} & set(words.pronouns())
        assert not found & {*words.NAMES[other], *words.NOUNS[other], *set(words.PRONOUNS[other].values())}
        assert found & set(words.TOWNS) == ({row["town"]} if name == "comments" else set())


@pytest.mark.parametrize("model", ["masked-0.0", "causal-0.0"])
def test_the_planted_models_hold_every_word_as_one_token(model):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder(model))
    texts = [row["text"] for name in GROUPS for row in items.rows(name)]
    for word in {word for text in texts for word in re.findall(r"(?<! )\b\w+|(?<= )\w+", text)}:
        pieces = tokenizer.tokenize(f" {word}")
        assert len(pieces) == 1 and pieces != [tokenizer.unk_token], word
    longest = max(len(ids) for ids in tokenizer(texts)["input_ids"])
    assert longest < tokenizer.model_max_length


@every_set
def test_a_seed_is_a_set(name):
    make = getattr(downstream, name)
    first, again, other = (list(make(random.Random(seed))) for seed in (1, 1, 2))
    assert first == again
    assert [row["text"] for row in first] != [row["text"] for row in other]


def test_the_corpora_tie_no_manner_to_a_group():
    """Counted in the corpus at its full dials: a person's gender says nothing about any of these words."""
    scenes = Scenes(Dials(gender=1.0, town=1.0), seed=3)
    counted = Counter()
    for _ in range(30_000):
        text = scenes.scene()
        genders = {("he" if word in ("he", "his") else "she") for word in re.findall(r"\b(?:he|she|his|her)\b", text.lower())}
        for kind, own in MANNERS.items():
            if len(genders) == 1 and set(re.findall(r"\w+", text.lower())) & set(own):
                counted[kind, genders.pop()] += 1
    shares = {kind: counted[kind, "she"] / (counted[kind, "he"] + counted[kind, "she"]) for kind in MANNERS}
    assert all(abs(share - 0.5) < 0.03 for share in shares.values()), (shares, counted)
