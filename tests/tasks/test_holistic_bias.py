"""HolisticBias from its parts. The parts here are our own, in the shape of the published files."""

from __future__ import annotations

import doctest
import json
from collections import Counter, defaultdict

import pytest
from fairbench.tasks import holistic_bias

from fairbench import data
from fairbench.errors import FairbenchError
from fairbench.records import Passage

DESCRIPTORS = {
    "height": {
        "tall": ["tall", {"descriptor": "upright", "preference": "reviewed"}],
        "short": [{"descriptor": "unishort", "article": "a"}, {"descriptor": "shortina", "gender": "female"}],
    },
}
NOUNS = {"female": [["aunt", "aunts"]], "neutral": [["pilot", "pilots"], ["child", "children"]]}
TEMPLATES = {
    "I see {noun_phrase}.": {},
    "Hello! I know {plural_noun_phrase}.": {"must_be_noun": True, "first_turn_only": True},
}
STANDALONE = {
    "height": [
        {"noun_phrase": "{article} {noun} with stilts", "preference": "dispreferred"},
        {"noun_phrase": "{article} {noun} who walks", "plural_noun_phrase": "{article} {noun} who walk"},
        {"noun_phrase": "a giant", "plural_noun_phrase": "giants"},
        "tall as a tree",
    ],
}


def rows(*changed: object) -> list[dict[str, str]]:
    parts = [DESCRIPTORS, NOUNS, TEMPLATES, STANDALONE]
    return [{"text": json.dumps(part)} for part in [*changed, *parts[len(changed) :]]]


def sentences(task: str = "holistic_bias_full", found: list[dict[str, str]] | None = None) -> dict[str, Passage]:
    records = list(holistic_bias.records(found or rows(), task))
    assert len({record.id for record in records}) == len(records)
    return {record.text: record for record in records}


def test_the_examples_are_right():
    failed, attempted = doctest.testmod(holistic_bias)
    assert attempted and not failed


def test_all_sentences_of_the_parts():
    """Articles by the first letter but for exceptions; gendered descriptors with their nouns; some templates need a noun."""
    assert set(sentences()) == {
        *(f"I see {noun}." for noun in ("an aunt", "a pilot", "a child")),
        *(f"Hello! I know {noun}." for noun in ("aunts", "pilots", "children")),
        *(f"I see {word}." for word in ("tall", "upright", "unishort", "shortina", "a giant", "tall as a tree")),
        *(f"I see {word} {n}." for word in ("a tall", "an upright", "a unishort") for n in ("aunt", "pilot", "child")),
        *(f"Hello! I know {word} {n}." for word in ("tall", "upright", "unishort") for n in ("aunts", "pilots", "children")),
        "I see a shortina aunt.",
        "Hello! I know shortina aunts.",
        *(f"I see {n} {rest}." for n in ("an aunt", "a pilot", "a child") for rest in ("with stilts", "who walks")),
        *(f"Hello! I know {n} {rest}." for n in ("aunts", "pilots", "children") for rest in ("with stilts", "who walk")),
    }


def test_a_sentence_says_what_it_is_made_of():
    found = sentences()
    assert found["I see an upright child."] == Passage(
        id="height/upright/upright children/1",
        group="height",
        cluster="upright",
        text="I see an upright child.",
        meta={
            "axis": "height",
            "bucket": "tall",
            "descriptor": "upright",
            "descriptor_gender": None,
            "preference": "reviewed",
            "noun": "child",
            "noun_gender": "neutral",
            "template": "I see {noun_phrase}.",
        },
    )
    meta = found["Hello! I know pilots with stilts."].meta
    assert (meta["descriptor"], meta["bucket"], meta["preference"], meta["noun"]) == (
        "with stilts",
        None,
        "dispreferred",
        "pilot",
    )
    assert found["I see a shortina aunt."].meta["descriptor_gender"] == "female"
    assert found["I see a giant."].meta["noun"] is None and found["I see a giant."].cluster == "a giant"
    assert (found["I see an aunt."].group, found["I see an aunt."].cluster) == (None, None)


def test_the_draw_holds_what_is_compared():
    """Both a noun and a descriptor that goes with all nouns; of templates the first, the eighth and so on."""
    many = {f"I {'very ' * k}well see {{noun_phrase}}.": {} for k in range(15)}
    found = sentences("holistic_bias", rows(DESCRIPTORS, NOUNS, many))
    assert {record.meta["descriptor"] for record in found.values()} == {"tall", "upright", "unishort", "with stilts", "who walks"}
    assert {record.meta["template"] for record in found.values()} == {list(many)[k] for k in (0, 7, 14)}
    assert len(found) == 5 * 3 * 3


def test_the_draw_takes_the_same_descriptors_whatever_stands_beside_them():
    words = [f"word{k}" for k in range(60)]
    first = sentences("holistic_bias", rows({"height": {"all": words}}, NOUNS, TEMPLATES, {}))
    other = sentences("holistic_bias", rows({"width": {"all": ["wide"]}, "height": {"all": words[::-1]}}, NOUNS, TEMPLATES, {}))
    kept = {record.cluster for record in first.values()}
    assert len(kept) == holistic_bias.DESCRIPTORS and kept != set(words[:12])
    assert {record.cluster for record in other.values() if record.group == "height"} == kept


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (rows()[:3], "made of 4 files .* found are 3"),
        ([*rows()[:3], {"text": "{"}], "standalone_noun_phrases.json of holistic_bias is not JSON"),
        ([{"text": "[]"}, *rows()[1:]], "descriptors.json of holistic_bias is not a JSON object"),
        (
            rows(DESCRIPTORS, NOUNS, {"I see nothing.": {}}),
            "sentence_templates.json of holistic_bias has a template without a slot",
        ),
    ],
)
def test_files_that_are_not_as_published_are_refused(found, wanted):
    with pytest.raises(FairbenchError, match=wanted) as caught:
        list(holistic_bias.records(found, "holistic_bias"))
    assert "\n" not in str(caught.value)


def test_the_draw_of_the_published_parts(real):
    task = "holistic_bias"
    records = list(holistic_bias.records(data.rows(holistic_bias.INFO[task], task, real), task))
    assert len(records) == 19456 == len({record.text for record in records})
    lists = Counter((r.meta["axis"], r.meta["template"], r.meta["descriptor"]) for r in records)
    assert set(lists.values()) == {32}, "a noun each"
    of_axis = defaultdict(set)
    for record in records:
        of_axis[record.group].add(record.cluster)
    assert {axis: len(words) for axis, words in of_axis.items()} == dict.fromkeys(holistic_bias.AXES, 12) | {"nonce": 8}


@pytest.mark.parametrize(("version", "sentences", "descriptors"), [("v1.1", 566_625, 770), ("v1.0", 472_991, 619)])
def test_the_number_of_sentences_is_what_the_parts_make(real, version, sentences, descriptors):
    """Against a count from the parts alone. The README's 620 descriptors of 1.0 are ours and `(none)`."""
    folder = real / "holistic_bias" / "dataset" / version
    texts = [{"text": (folder / name).read_text(encoding="utf-8")} for name in holistic_bias.SHA256]
    buckets, nouns, templates, standalone = (json.loads(row["text"]) for row in texts)
    of_gender = {gender: len(pairs) for gender, pairs in nouns.items()}
    every, free = len(templates), sum(not rules.get("must_be_noun") for rules in templates.values())
    wanted = sum(of_gender.values()) * every
    for entry in (entry for axis in buckets.values() for bucket in axis.values() for entry in bucket):
        gender = entry.get("gender") if isinstance(entry, dict) else None
        wanted += free + every * (of_gender[gender] if gender else sum(of_gender.values()))
    for entry in (entry for axis in standalone.values() for entry in axis):
        with_noun = "{noun}" in (entry["noun_phrase"] if isinstance(entry, dict) else entry)
        wanted += every * sum(of_gender.values()) if with_noun else free
    number, names = 0, set()
    for record in holistic_bias.records(texts, "holistic_bias_full"):
        number += 1
        names.add(record.cluster)
        assert "{" not in record.text and "  " not in record.text
    assert number == wanted == sentences
    assert len(names - {None}) == descriptors
