import hashlib
import json
import re
from collections import defaultdict
from pathlib import Path

import pytest
from fairbench.tasks import planted

import fairbench.planted
from fairbench.errors import FairbenchError
from fairbench.planted import items, words
from fairbench.planted.vocabulary import world_words
from fairbench.records import FORMS, ROLES, to_frame

PACKAGE = Path(fairbench.planted.__file__).parent.parent


def parsed(task):
    (path,) = planted.INFO[task].sources[0].files
    rows = [json.loads(line) for line in (PACKAGE / path).read_text(encoding="utf-8").splitlines()]
    return list(planted.records(rows, task))


@pytest.mark.parametrize("task", planted.INFO)
def test_shipped_file_has_the_pinned_hash(task):
    ((path, sha256),) = planted.INFO[task].sources[0].files.items()
    assert hashlib.sha256((PACKAGE / path).read_bytes()).hexdigest() == sha256


@pytest.mark.parametrize("task", planted.INFO)
def test_shipped_file_parses(task):
    found = parsed(task)
    assert all(type(record) is FORMS[planted.INFO[task].form] for record in found)
    assert 20 <= len(found) <= {"planted_contexts": 1200, "planted_descriptions": 800}.get(task, 200)
    assert len({record.id for record in found}) == len(found)
    assert all(record.cluster for record in found)
    assert len(to_frame(found)) == len(found)


def test_every_form_has_a_planted_task():
    assert {info.form for info in planted.INFO.values()} == set(FORMS)


@pytest.mark.parametrize("task", planted.INFO)
def test_required_columns_are_filled_in_every_row(task):
    source = planted.INFO[task].sources[0]
    (path,) = source.files
    for line in (PACKAGE / path).read_text(encoding="utf-8").splitlines():
        assert all(json.loads(line)[column] not in (None, "") for column in source.columns)


def test_data_sets_use_only_words_of_the_world():
    known = {word.lower() for word in world_words()} | {"target", "attribute", "blank"}
    texts = {"text", "more", "less", "context", "stereotype", "antistereotype", "unrelated", "template", "prompt"}
    for name in items.FILES:
        for row in items.rows(name):
            for key in texts & set(row):
                if key != "template" or name in ("slots", "fills"):
                    assert set(re.findall(r"\w+", row[key].lower())) <= known


def test_writing_is_reproducible(tmp_path):
    for path in items.write(tmp_path):
        assert path.read_bytes() == (PACKAGE / "planted" / "data" / path.name).read_bytes()


def test_span_of_an_association_is_its_word():
    found = parsed("planted_associations")
    assert {record.role for record in found} == set(ROLES)
    assert all(record.text[slice(*record.span)] == record.cluster for record in found)


GENDERED = {word.lower() for pair in words.SWAPS for word in pair}


def test_contexts_are_the_same_for_every_word_and_hold_nothing_of_gender_but_the_word():
    frames = defaultdict(set)
    for record in parsed("planted_contexts"):
        start, end = record.span
        assert record.text[start:end] == record.cluster
        before, after = record.text[:start], record.text[end:]
        assert not re.search(r"\bthe $", before, re.IGNORECASE) or not record.cluster[0].isupper()
        frames[record.role, record.cluster].add((re.sub(r"the $", "", before, flags=re.IGNORECASE), after))
        others = set(re.findall(r"\w+", f"{before} {after}".lower()))
        assert not others & (GENDERED | set(words.OCCUPATIONS) | set(words.TRAITS) | set(words.QUALITIES))
    assert len(set(map(frozenset, frames.values()))) == 1
    assert {len(met) for met in frames.values()} == {20}


def test_contexts_and_associations_are_of_the_same_words():
    def sets(task):
        found = defaultdict(set)
        for record in parsed(task):
            found[record.role].add(record.cluster)
        return found

    assert sets("planted_contexts") == sets("planted_associations")
    assert sets("planted_contexts")["target_x"] == {word for word, side in words.OCCUPATIONS.items() if side == words.MALE}


def test_an_open_slot_comes_after_its_occupation_and_nothing_before_it_tells_a_gender():
    for record in parsed("planted_fills"):
        assert record.attribute is None
        assert record.group == words.OCCUPATIONS[record.cluster]
        before, _, after = record.template.partition("[ATTRIBUTE]")
        assert "[TARGET]" in before
        assert after
        assert not set(re.findall(r"\w+", before.lower())) & GENDERED


def test_slots_name_the_side_of_their_attribute():
    for record in parsed("planted_slots"):
        assert record.meta == {"side": words.OCCUPATIONS[record.attribute]}


def test_pair_differs_only_in_gendered_words():
    swapped = {pair for a, b in words.SWAPS for pair in ((a, b), (b, a))}
    for record in parsed("planted_pairs"):
        changed = [(a.lower(), b.lower()) for a, b in zip(record.more.split(), record.less.split(), strict=True) if a != b]
        assert changed
        assert set(changed) <= swapped


def test_choice_indices_name_what_they_say():
    for record in parsed("planted_choices"):
        if record.polarity is None:
            assert record.options[record.label] == f"{record.cluster}."
        else:
            side = words.OCCUPATIONS[record.cluster]
            assert record.options[record.target] == f"The {words.NOUNS[side][0]}."
            assert record.options[record.unknown] == words.UNKNOWN_ANSWER
            assert (record.label == record.unknown) == (record.condition == "ambig")


def test_half_of_the_told_questions_go_against_the_planted_side():
    told = [r for r in parsed("planted_choices") if r.condition == "disambig"]
    aligned = [(r.label == r.target) == (r.polarity == "neg") for r in told]
    assert sum(aligned) / len(aligned) == pytest.approx(0.5, abs=0.15)


def test_source_of_a_variant_is_in_the_set():
    found = parsed("planted_labelled")
    assert {r.source for r in found if r.source} == {r.id for r in found if r.source is None}


def test_blank_stands_only_inside():
    assert all(r.context.count("BLANK") == 1 for r in parsed("planted_cloze"))
    assert not any("BLANK" in r.context for r in parsed("planted_cloze_after"))


def test_unknown_task_is_refused_by_name():
    with pytest.raises(FairbenchError, match="planted_pairs"):
        planted.records([], "planted_pair")
