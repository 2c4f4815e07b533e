"""Role reversal of published sentences whose counterparts are published too, and there and back where they are not.

The rules for "her" and "his" were written on GAP's development part; its test part was measured only.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from fairbench.counterfactual.names import names
from fairbench.counterfactual.swapping import Swap

PRONOUNS = ("he", "she", "him", "her", "his", "hers")
GOLD_FAULTS = {
    *(("type1", "test", line) for line in (93, 109, 259, 357)),
    *(("type2", "dev", line) for line in (166, 171, 236)),
    ("type2", "test", 358),
}
"""Lines of WinoBias whose two sides are no reversal of each other: docs/role_reversal.md says why."""


def winobias(folder: Path, side: str, kind: str, split: str) -> list[str]:
    lines = (folder / "winobias" / "data" / f"{side}_stereotyped_{kind}.txt.{split}").read_text(encoding="utf-8").splitlines()
    return [re.sub(r"[\[\]]", "", line.split(" ", 1)[1]).strip() for line in lines if line]


def differ_in_a_pronoun(one: str, other: str) -> bool:
    pairs = [pair for pair in zip(one.split(), other.split(), strict=False) if pair[0] != pair[1]]
    same_length = len(one.split()) == len(other.split())
    return same_length and len(pairs) > 0 and all(word.strip(".,").lower() in PRONOUNS for pair in pairs for word in pair)


def test_winobias_sentences_become_their_counterparts(real):
    swap, right, faultless, total = Swap(), 0, 0, 0
    for kind in ("type1", "type2"):
        for split in ("dev", "test"):
            sides = [winobias(real, side, kind, split) for side in ("pro", "anti")]
            for line, (pro, anti) in enumerate(zip(*sides, strict=True), 1):
                if differ_in_a_pronoun(pro, anti):
                    found = (swap.swap(pro).text == anti) + (swap.swap(anti).text == pro)
                    total, right = total + 2, right + found
                    faultless += found if (kind, split, line) not in GOLD_FAULTS else 0
    assert total == 3128
    assert right / total >= 0.99, right / total
    assert faultless / (total - 2 * len(GOLD_FAULTS)) >= 0.995, faultless


def test_winogender_sentences_become_their_counterparts(real):
    with (real / "winogender" / "all_sentences.tsv").open(encoding="utf-8", newline="") as file:
        sets = {row["sentid"]: row["sentence"] for row in csv.DictReader(file, delimiter="\t")}
    assert len(sets) == 720
    for name, text in sets.items():
        gold = {".male.": ".female.", ".female.": ".male."}
        other = next((name.replace(old, new) for old, new in gold.items() if old in name), name)
        assert Swap().swap(text).text == sets[other]


def gap(folder: Path, part: str) -> list[str]:
    with (folder / "gap" / f"gap-{part}.tsv").open(encoding="utf-8", newline="") as file:
        return [row["Text"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def gap_sentences(folder: Path, part: str) -> list[str]:
    return [sentence for text in gap(folder, part) for sentence in re.split(r"(?<=[.!?])\s+", text) if sentence]


@pytest.mark.parametrize(("part", "least"), [("development", 0.99), ("test", 0.98)])
def test_his_and_him_change_and_come_back(real, part, least):
    swap, total, back = Swap(), 0, 0
    for text in gap(real, part):
        once = swap.swap(text)
        twice = swap.swap(once.text)
        changed, returned = dict(once.alignment), dict(twice.alignment)
        for met in re.finditer(r"\b(his|him)\b", text, re.IGNORECASE):
            there = changed[met.span()]  # every one is changed
            total += 1
            back += there in returned and twice.text[slice(*returned[there])] == met.group()
    assert total > 1_900
    assert back / total >= least, back / total


@pytest.mark.parametrize("options", [{}, {"names": True}, {"names": True, "keep_full_names": True}], ids=str)
def test_sentences_without_these_pronouns_come_back(real, options):
    swap = Swap(**options)
    told = [text for text in gap_sentences(real, "test") if not re.search(r"\b(her|hers|his|him)\b", text, re.IGNORECASE)]
    same = changed = 0
    for text in told:
        once = swap.swap(text)
        assert all(text[slice(*old)] != once.text[slice(*new)] for old, new in once.alignment)
        changed += bool(once.alignment)
        same += swap.swap(once.text).text == text
    assert len(told) == 3636 and changed > 1_600
    assert same / len(told) >= 0.995, same / len(told)


def test_names_are_the_published_ones(real):
    """Hall Maudslay et al. 2019: the same names on the same side, and most of them with the published partner."""
    published = json.loads((real / "cda_names_hallmaudslay" / "names_pairs_1000_scaled.json").read_text(encoding="utf-8"))
    rank = [{name.capitalize(): place for place, name in enumerate(side)} for side in zip(*published, strict=True)]
    apart = [abs(rank[0][male] - rank[1][female]) for male, female in names().rows]
    assert sum(places == 0 for places in apart) / len(apart) > 0.85
    assert sorted(apart)[int(0.95 * len(apart))] <= 50


def test_published_words_of_race_and_religion_are_counterparts(real):
    """Meade et al. 2022: whichever word of a triple is met, what comes of it is on the next list of the triples."""
    published = json.loads((real / "bias-bench" / "data" / "bias_attribute_words.json").read_text(encoding="utf-8"))
    for attribute in ("race", "religion"):
        swap = Swap(attribute)
        known = {word.strip("()").lower() for row in swap.lexicon.rows for word in row}
        places = {word: place for triple in published[attribute] for place, word in enumerate(triple)}
        assert places.keys() <= known
        turn: dict[int, int | None] = dict.fromkeys(range(3))
        for word, place in places.items():
            made = swap.swap(f"{word} people").text.removesuffix(" people")
            assert made != word
            if made in places:
                assert turn[place] in (None, places[made])
                turn[place] = places[made]
        assert sorted(map(str, turn.values())) == ["0", "1", "2"]
