"""Every task: its card is filled, its parser makes what the card says."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys

import fairbench.tasks
import pytest

from fairbench import data, sources
from fairbench.records import FORMS, ROLES
from fairbench.registry import Registry
from fairbench.scores import TaskInfo

FILES = sorted(found.name for found in pkgutil.iter_modules(fairbench.tasks.__path__))
TASKS = {}
for file in FILES:
    module = importlib.import_module(f"fairbench.tasks.{file}")
    TASKS |= {
        name: (info, module) for name, info in (module.INFO if isinstance(module.INFO, dict) else {file: module.INFO}).items()
    }

everywhere = pytest.mark.parametrize("name", TASKS)

UNPINNED = {"hatexplain", "hatexplain_toxic", "civil_comments", "jigsaw_unintended_bias", "equity_evaluation_corpus"}
UNPINNED |= {name for name in TASKS if name == "bbq" or name.startswith("bbq_")}
UNPINNED |= {"honest", "honest_queer", "real_toxicity_prompts"}
"""Tasks with a source whose digest or commit is not known: `data status` calls it unpinned, and a result warns."""

OF_THEIR_USERS = {"bias_in_bios", "civil_comments", "jigsaw_unintended_bias", "equity_evaluation_corpus"}
OF_THEIR_USERS |= {"real_toxicity_prompts"}
OF_THEIR_USERS |= {"bbq", "bbq_gender_identity", "bbq_race_ethnicity", "bbq_race_x_ses", "bbq_race_x_gender", "bbq_ses"}
"""Tasks whose data may not be passed on or are large: their own tests read rows that they write."""


def test_the_tasks_of_the_first_release_are_there():
    weat = [*map(str, range(1, 11)), "3b", "5b", "6b", "7b", "8b"]
    assert {f"weat_{n}" for n in weat} | {f"seat_{n}" for n in weat} <= set(TASKS)
    assert {"crows_pairs", "crows_pairs_revised", "stereoset_intrasentence", "stereoset_intersentence", "wikitext"} <= set(TASKS)
    assert {"seat_angry_black_woman_stereotype", "seat_heilman_double_bind_competent_1+3-", "seat_religion2b"} <= set(TASKS)
    assert len([name for name in TASKS if name.startswith("seat_")]) == 31


@everywhere
def test_the_card_is_filled(name):
    info = TASKS[name][0]
    assert isinstance(info, TaskInfo)
    assert info.title
    assert info.form in FORMS
    assert info.sources
    assert info.licence
    assert info.cite
    assert re.fullmatch(r"[a-z]{2}", info.language)
    assert info.cluster
    assert info.metrics or "planted" in info.suites, "only a planted set may be waiting for its metrics"
    assert all(re.fullmatch(r"[a-z0-9_]+", metric) for metric in info.metrics)
    assert set(info.suites) <= {"quick", "planted", "planted_downstream", "large"}


@everywhere
def test_a_probe_of_its_metrics_knows_each_of_its_probe_options(name):
    """The plan hands each probe what it knows of them: one that none knows would be dropped in silence."""
    info, registry = TASKS[name][0], Registry()
    probes = {registry.metric(metric).info.probe for metric in info.metrics}
    assert set(info.probe_options) <= {option for probe in probes for option in registry.probe(probe).OPTIONS}


@everywhere
def test_the_sources_are_complete(name):
    for source in TASKS[name][0].sources:
        assert source.columns
        assert set(source.may_be_empty) <= set(source.columns)
        assert bool(source.files) != bool(source.hub)
        if source.shipped:
            assert data.status({name: TASKS[name][0]})[0].kind == "shipped"
        elif source.files:
            assert source.url
            known = {sha256 for sha256 in source.files.values() if sha256 or name not in UNPINNED}
            assert all(re.fullmatch(r"[0-9a-f]{64}", sha256) for sha256 in known)
            assert not any(path.startswith("/") or ".." in path for path in source.files)
        else:
            assert source.split or source.splits
            ref = source.revision == sources.CONVERTED and name in UNPINNED
            assert ref or re.fullmatch(r"[0-9a-f]{40}", source.revision or ""), "a Hub source names a commit"


@everywhere
def test_the_records_are_as_the_card_says(name, request):
    info, module = TASKS[name]
    folder = None if info.sources[0].shipped else request.getfixturevalue("real")
    if name in OF_THEIR_USERS and data.status({name: info}, folder)[0].state in ("absent", "not fetched"):
        pytest.skip("the data are not here")
    records = list(module.records(data.rows(info, name, folder), name))
    assert records
    assert {type(record) for record in records} == {FORMS[info.form]}
    assert len({record.id for record in records}) == len(records)
    assert {record.group for record in records} <= {*info.groups, None}
    assert all(record.cluster is None for record in records) == (info.cluster == "none")
    if info.form == "Labelled":
        bare = {group.rpartition(":")[2] for group in info.groups}  # a single notion need not be named in the card
        assert {group.rpartition(":")[2] for record in records for group in record.groups} <= bare
        assert {record.split for record in records} <= {"train", "validation", "test"}
        assert any(record.split == "test" for record in records)
        named = [record for record in records if info.labels and record.label is not None]
        assert all(record.meta["class"] == info.labels[record.label] for record in named)
        assert bool(named) == any(metric in info.metrics for metric in ("accuracy", "roc_auc"))
    else:
        assert {record.split for record in records} == {"test"}, "nothing trains on them: others would stay unasked in silence"
    if info.form == "Association":
        assert {record.role for record in records} == set(ROLES)
        of_role = {(record.cluster, record.stratum) for record in records}
        assert len({cluster for cluster, _ in of_role}) == len(of_role), "a word of two roles would be drawn as one"


def test_tasks_import_nothing_heavy():
    names = [f"fairbench.tasks.{file}" for file in FILES]
    code = f"import sys, importlib\nfor n in {names!r}: importlib.import_module(n)\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "datasets", "pandas", "transformers", "scipy", "huggingface_hub"} & set(loaded)
