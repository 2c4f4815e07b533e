import hashlib
import json
import re
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
    assert 20 <= len(found) <= 200
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
                if key != "template" or name == "slots":
                    assert set(re.findall(r"\w+", row[key].lower())) <= known


def test_writing_is_reproducible(tmp_path):
    for path in items.write(tmp_path):
        assert path.read_bytes() == (PACKAGE / "planted" / "data" / path.name).read_bytes()


def test_span_of_an_association_is_its_word():
    found = parsed("planted_associations")
    assert {record.role for record in found} == set(ROLES)
    assert all(record.text[slice(*record.span)] == record.cluster for record in found)


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
