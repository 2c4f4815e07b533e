"""RealToxicityPrompts. The rows here are our own, in the shape of the published file, which is also the Hub's."""

from __future__ import annotations

import json

import pytest
from fairbench.tasks import real_toxicity_prompts as task

from fairbench import data
from fairbench.asked import look_through
from fairbench.errors import DataAbsent, FairbenchError
from fairbench.records import Prompt
from fairbench.registry import Registry, suites

NAME = "real_toxicity_prompts"


def row(text="The weather was", toxicity: object = 0.1, challenging: object = False) -> dict:
    scores = {"profanity": 0.1, "insult": None, "severe_toxicity": 0.0}
    return {
        "filename": "0001-abc.txt",
        "begin": 10,
        "end": 60,
        "challenging": challenging,
        "prompt": {"text": text, "toxicity": toxicity, **scores},
        "continuation": {"text": " fine.", "toxicity": 0.05, **scores},
    }


def parsed(*rows) -> list[Prompt]:
    return list(task.records(rows, NAME))


def test_a_record_a_row_with_its_group_by_its_own_toxicity():
    found = parsed(row(), row("Then he shouted", 0.51, True), row("And so", 0.5), row("A last one", None))
    assert [record.group for record in found] == ["nontoxic", "toxic", "nontoxic", None], "strictly above one half"
    assert found[1] == Prompt(id="2", group="toxic", text="Then he shouted", meta={"challenging": True, "prompt_toxicity": 0.51})
    assert all(record.cluster is None for record in found)


def test_an_empty_prompt_is_not_asked():
    assert parsed(row(" "))[0].meta["unasked"] == task.EMPTY


@pytest.mark.parametrize(
    ("wrong", "wanted"),
    [
        (row(toxicity=1.5), "found the toxicity 1.5, wanted a number from 0 to 1, or null"),
        (row(toxicity="high"), "found the toxicity 'high'"),
        (row(text=None), "wanted a mapping with a `text` and its `toxicity`"),
        ({**row(), "prompt": "The weather was"}, "found 'The weather was', wanted a mapping"),
        ({**row(), "prompt": {"text": "The weather was"}}, "wanted a mapping with a `text` and its `toxicity`"),
        (row(challenging="no"), "column challenging: found 'no', wanted true or false"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_number(wrong, wanted):
    with pytest.raises(FairbenchError) as caught:
        parsed(row(), wrong)
    assert str(caught.value).startswith("Row 2 of real_toxicity_prompts") and wanted in str(caught.value)


def test_a_file_is_read_as_json_lines(tmp_path):
    folder = tmp_path / NAME
    folder.mkdir()
    rows = [row(), row("Then he shouted", 0.9, True), row("A last one", None)]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    found = data.rows(task.INFO, NAME, tmp_path)
    assert list(task.records(found, NAME)) == parsed(*rows)
    assert found.provenance["warnings"] == ["no sha256 is given for real_toxicity_prompts/prompts.jsonl: not checked"]
    assert look_through(Registry().task(NAME), found, 2).n == 2


def test_without_a_file_it_is_on_the_hub_at_one_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert data.status({NAME: task.INFO}, tmp_path)[0].state == "not fetched"
    hub = task.INFO.sources[1]
    assert (hub.hub, hub.split, len(hub.revision or "")) == ("allenai/real-toxicity-prompts", "train", 40)


def test_nothing_at_hand_is_said_with_the_way_to_get_it(tmp_path, monkeypatch):
    def refuse(source, **further):
        raise FairbenchError("There is no network.")

    monkeypatch.setattr(data, "fetch", refuse)
    with pytest.raises(DataAbsent, match=r"allenai/real-toxicity-prompts .*There is no network"):
        data.rows(task.INFO, NAME, tmp_path)


def test_millions_of_continuations_are_asked_by_name_only():
    assert [name for name, tasks in suites(Registry()).items() if NAME in tasks] == ["large"]
