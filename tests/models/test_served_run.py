"""Whole runs on a served model: scores, files, faults between and inside the parts of a table."""

import importlib.util
import json
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from fairbench import asked, study
from fairbench.models import endpoint
from fairbench.models.model import ModelOptions, Serving
from fairbench.models.secret import KEYS
from fairbench.plan import ScoreOptions

SPEC = importlib.util.spec_from_file_location("serving", Path(__file__).with_name("serving.py"))
serving = importlib.util.module_from_spec(SPEC)
sys.modules["serving"] = serving  # its dataclasses look their module up
SPEC.loader.exec_module(serving)
Answer, StandIn, MODEL = serving.Answer, serving.StandIn, serving.MODEL

KEY = "sk-very-secret-0123456789"
RECORDS, SAMPLES = 8, 3


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(endpoint, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(asked, "PART_RECORDS", 3)
    monkeypatch.setenv(KEYS[0], KEY)


def score(server, folder, **how):
    model = ModelOptions(url=server.url, serving=Serving(retries=1, timeout=5, concurrency=2))
    wanted = {"tasks": ("occupation_prompts",), "metrics": ("distinct_1",), "limit": RECORDS, "probe": {"samples": SAMPLES}}
    return study.score(MODEL, ScoreOptions(**{**wanted, **how}, output_path=folder, model=model))


def texts(server):
    """How often each request for a text of the task came."""
    found = (body for path, body, _ in server.asked if path != "/v1/models" and not body.get("echo"))
    return Counter(json.dumps(body) for body in found if body["prompt"] != "Make up a short story.")


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_run_that_is_cut_off_twice_ends_as_if_it_had_not_been(tmp_path):
    with StandIn() as server:
        whole = score(server, tmp_path / "whole")
        assert len(texts(server)) == RECORDS * SAMPLES and set(texts(server).values()) == {1}
        server.asked.clear()
        for last in (5, 17):  # in the first part and in the second
            broken = []

            def rule(path, body, times, last=last, broken=broken):
                if len(texts(server)) > last and "seed" in body:
                    broken.append(json.dumps(body))
                    return Answer({"error": f"Bearer {KEY}"}, 503, {"X-Echo": KEY})
                return None

            server.rule = rule
            cut = score(server, tmp_path / "cut")
            assert not cut.results and "texts are kept" in cut.failed["occupation_prompts"]
            assert KEY not in str(cut.failed) and "run the same command again" in str(cut.failed)
            assert [path.name for path in files(tmp_path / "cut") if path.name.endswith("replies.jsonl")]
            assert not [path for path in files(tmp_path / "cut") if KEY.encode() in path.read_bytes()]
            for request in broken:  # they were answered nothing
                server.asked[:] = [one for one in server.asked if json.dumps(one[1]) != request]
        server.rule = lambda path, body, times: None
        ended = score(server, tmp_path / "cut")
    assert len(texts(server)) == RECORDS * SAMPLES and set(texts(server).values()) == {1}, "something was asked twice"
    assert [r.score for r in ended.results] == [r.score for r in whole.results]
    tables = [pd.read_parquet(next((tmp_path / name).glob("*/answers/*.parquet"))) for name in ("whole", "cut")]
    pd.testing.assert_frame_equal(*tables)
    assert {p.relative_to(tmp_path / "cut") for p in files(tmp_path / "cut")} == {
        p.relative_to(tmp_path / "whole") for p in files(tmp_path / "whole")
    }, "replies are left behind"
    assert not [path for path in files(tmp_path) if KEY.encode() in path.read_bytes()]


def test_a_result_says_what_was_asked_and_that_the_weights_are_not_known(tmp_path):
    with StandIn() as server:
        run = score(server, tmp_path)
        before = len(server.asked)
        score(server, tmp_path)
        assert len(server.asked) - before <= 2, "the second time only what the server offers"
    result = run.results[0]
    assert result.model["kind"] == "served" and result.model["options"]["url"] == server.url
    assert any("which weights answer is not known" in warning for warning in result.score.warnings)
    assert result.probe["options"]["draws"].startswith("by the server: a seed of 31 bits")
    assert any("a server need not follow them" in warning for warning in result.score.warnings)
