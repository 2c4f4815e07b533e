"""SEAT's sentences and the words that they are about. The sentences here are our own, in SEAT's templates."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest
from fairbench.tasks import seat

from fairbench import data
from fairbench.errors import FairbenchError

NOUN = [
    "This is an otter.",
    "That is an otter.",
    "Here is an otter.",
    "The otter is there.",
    "An otter is a thing.",
    "It is an otter.",
    "These are otters.",
    "They are otters.",
    "The otters are here.",
    "Otters are things.",
]


def words(sentences, role="target_x", task="seat_1"):
    return seat.words(sentences, role, task)


def one_file(**sets) -> str:
    sentences = {
        "targ1": ["This is Ada."],
        "targ2": ["This is Bob."],
        "attr1": ["This is joy."],
        "attr2": ["This is woe."],
    } | sets
    return json.dumps({key: {"category": key.upper(), "examples": examples} for key, examples in sentences.items()}, indent=2)


def test_a_noun_keeps_its_sentences_together():
    assert words(NOUN) == ["otter"] * 10


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("fox", "foxes"),
        ("berry", "berries"),
        ("leaf", "leaves"),
        ("sailor woman", "sailor women"),
        ("woman of rank", "women of rank"),
        ("man", "men"),
        ("child", "children"),
        ("moon and star", "moon and stars"),
    ],
)
def test_plurals_go_to_their_singular(one, many):
    assert (
        words([f"This is a {one}.", f"Those are {many}.", f"The {many} are there.", f"{many.capitalize()} are people."])
        == [one] * 4
    )


def test_names_adjectives_verbs_pronouns_and_mass_nouns():
    sentences = {
        "Ada": ["This is Ada.", "Ada is here.", "Ada is a person.", "The person's name is Ada."],
        "vivid": ["This is vivid.", "That is vivid.", "They are vivid."],
        "glow": ["This will glow.", "That did glow.", "This can glow.", "That may glow."],
        "she": ["This is she.", "Here she is.", "There she is.", "She is a person."],
        "rice": ["This is rice.", "That is rice.", "There is rice.", "It is rice."],
    }
    for word, texts in sentences.items():
        assert {name.lower() for name in words(texts)} == {word.lower()}
        assert len(set(words(texts))) == 1
    assert words([text for texts in sentences.values() for text in texts]) == [w for w, texts in sentences.items() for _ in texts]


def test_a_word_without_a_singular_is_its_own_and_a_look_alike_is_not_taken():
    assert words(["They are lenses.", "This is glass.", "These are news.", "This is new."]) == ["lenses", "glass", "new", "new"]
    assert words(["These are trousers.", "Those are trousers."]) == ["trousers"] * 2


def test_blocks_may_lack_templates_and_the_order_does_not_matter():
    mixed = ["Foxes are things.", "That is an otter.", "The foxes are here.", "Otters are things.", "It is a fox."]
    assert words(mixed) == ["fox", "otter", "fox", "otter", "fox"]


def test_vignettes_name_the_person_and_the_adjective():
    task = "seat_heilman_double_bind_likable_1"
    assert task in seat.INFO
    assert words(["Ada runs a mill.  She is proud of it.", "Bob runs a mill."], "target_x", task) == ["Ada", "Bob"]
    assert words(["The miller is self-made.", "The head miller is kind."], "attribute_a", task) == ["self-made", "kind"]


def test_records_of_a_file():
    records = list(seat.records([{"text": one_file(targ1=["This is Ada.", "That is Ada.", "This is Eve."])}], "seat_6"))
    assert [record.id for record in records][:4] == ["target_x/Ada/1", "target_x/Ada/2", "target_x/Eve/1", "target_y/Bob/1"]
    assert [record.cluster for record in records] == ["Ada", "Ada", "Eve", "Bob", "joy", "woe"]
    assert records[0].group == "TARG1"
    assert records[0].stratum == records[0].role == "target_x"
    assert records[-1].text == "This is woe."


def test_a_sentence_that_fits_no_template():
    with pytest.raises(FairbenchError, match=r"Sentence 2 of target_x in seat_6 fits none .* 'Nobody saw Ada'"):
        list(seat.records([{"text": one_file(targ1=["This is Ada.", "Nobody saw Ada"])}], "seat_6"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"targ1": \n x}', "not valid JSON: .* line 2, column 2"),
        ("[]", "lacks targ1"),
        ('{"targ1": {"category": "c"}}', "lacks targ1"),
        (one_file(attr2=[]), "lacks attr2"),
    ],
)
def test_a_file_that_is_no_test(text, wanted):
    with pytest.raises(FairbenchError, match=wanted):
        list(seat.records([{"text": text}], "seat_6"))


# Words of WEAT that SEAT writes in the singular, and the one that it has no sentence for.
SINGULAR = {"parents": "parent", "children": "child", "cousins": "cousin", "relatives": "relative"}
SINGULAR |= {"equations": "equation", "numbers": "number"}
WITHOUT_SENTENCES = {"seat_9": {"sick"}}


@pytest.mark.parametrize("file", [file for file in seat.CATEGORIES if file.startswith("sent-") and "religion" not in file])
def test_the_clusters_are_the_words_of_weat(file, real):
    lists = json.loads((real / f"seat_sent-bias/tests/{file.removeprefix('sent-')}.jsonl").read_text())
    task = seat.task_name(file)
    found: dict[str, set[str]] = defaultdict(set)
    for record in seat.records(data.rows(seat.INFO[task], task, real), task):
        found[record.role].add(record.cluster)
    for key, role in seat.SETS.items():
        wanted = {SINGULAR.get(word, word) for word in lists[key]["examples"]} - WITHOUT_SENTENCES.get(task, set())
        assert {word.lower() for word in found[role]} == {word.lower() for word in wanted}


@pytest.mark.parametrize(("task", "sizes"), [("religion1", (6, 6, 8, 8)), ("religion2b", (6, 6, 25, 25))])
def test_the_clusters_of_the_tests_of_religion(task, sizes, real):
    found = {(r.role, r.cluster) for r in seat.records(data.rows(seat.INFO[f"seat_{task}"], task, real), f"seat_{task}")}
    assert tuple(sum(role == r for r, _ in found) for role in seat.SETS.values()) == sizes


def test_the_published_sizes(real):
    sizes = {"6": (64, 64, 101, 112), "6b": (80, 80, 101, 112), "7": (72, 72, 80, 80), "7b": (72, 72, 64, 64)}
    for test, wanted in (sizes | {"8": (56, 56, 80, 80), "8b": (56, 56, 64, 64)}).items():
        roles = [r.role for r in seat.records(data.rows(seat.INFO[f"seat_{test}"], test, real), f"seat_{test}")]
        assert tuple(roles.count(role) for role in seat.SETS.values()) == wanted


def test_bias_bench_serves_as_well_as_sent_bias(tmp_path, real):
    folder = tmp_path / "bias-bench/data/seat"
    folder.mkdir(parents=True)
    (folder / "sent-weat6.jsonl").write_bytes((real / "seat_sent-bias/tests/sent-weat6.jsonl").read_bytes())
    assert len(list(seat.records(data.rows(seat.INFO["seat_6"], "seat_6", tmp_path), "seat_6"))) == 341
