"""`fairbench mitigate` as a user meets it: refusals, plans, products, and what kills, signals and full disks leave of it."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import transformers

from fairbench import cli

CAUSAL, MASKED = "planted:causal-0.5", "planted:masked-0.5"
SMALL = ("--documents", 40, "--batch-size", 4, "--epochs", 2, "--option", "save_steps=5", "--device", "cpu")
JOB = ("mitigate", CAUSAL, "--method", "role-reversal", "--corpus", "planted:0.5", *SMALL)
"""Twenty steps, and checkpoints in the middle of both epochs."""


def run(*arguments: object, code: int = 0) -> None:
    """Runs the command line in this process, which ends with that code."""
    before = sys.argv
    sys.argv = ["fairbench", *map(str, arguments)]
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        sys.argv = before
    assert ended.value.code == code


def start(*arguments: object, **keywords: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fairbench", *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **keywords,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> int:
    """The code that it ends with; its pipes are closed."""
    process.communicate()
    return process.returncode


def same(one: Path, other: Path) -> None:
    first, second = (safetensors.torch.load_file(folder / "model.safetensors") for folder in (one, other))
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def headless(tmp_path_factory) -> Path:
    """An encoder without a head."""
    folder = tmp_path_factory.mktemp("headless")
    network = transformers.AutoModelForMaskedLM.from_pretrained(Path(cli.__file__).parent / "planted" / "models" / "masked-0.5")
    network.bert.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(Path(cli.__file__).parent / "planted" / "models" / "masked-0.5").save_pretrained(
        folder
    )
    return folder


@pytest.mark.parametrize(
    ("model", "method", "corpus", "further", "words"),
    [
        (CAUSAL, "distill", None, (), "no corpus is named"),
        (CAUSAL, "distill", "empty.txt", (), "--corpus "),
        (CAUSAL, "distill", "missing.txt", (), "missing.txt"),
        (CAUSAL, "distil", "planted:0.5", (), "Did you mean distill"),
        (CAUSAL, "distill", "planted:0.5", ("--option", "temprature=2"), "Did you mean temperature"),
        (CAUSAL, "distill", "planted:0.5", ("--option", "temperature=hot"), "temperature"),
        (CAUSAL, "distill", "planted:0.5", ("--option", "temperature"), "wanted name=value"),
        (CAUSAL, "distill", "planted:0.5", ("--seed", 1, "--option", "seed=2"), "seed is given twice"),
        (CAUSAL, "cda", "planted:0.5", ("--merge", "max"), "has no option 'merge'"),
        (
            CAUSAL,
            "role-reversal",
            "planted:0.5",
            ("--option", "restrict=true", "--option", "vocabulary-map=true"),
            "restrict=true",
        ),
        (
            CAUSAL,
            "role-reversal",
            "planted:0.5",
            ("--option", "normalize=no", "--option", "vocabulary_map=yes"),
            "normalize=false",
        ),
        (CAUSAL, "role-reversal", "planted:0.5", ("--option", "attribute=religion"), "more than two groups"),
        (CAUSAL, "distill", "planted:0.5", ("--layers", "1", "--student", CAUSAL), "layers and student were both given"),
        (CAUSAL, "distill", "planted:0.5", ("--student", MASKED), "is a masked model, and the teacher"),
        (CAUSAL, "distill", "planted:0.5", ("--student", "other"), "The vocabularies of the student"),
        (CAUSAL, "distill", "planted:0.5", ("--layers", "3"), "has 2 layers"),
        (CAUSAL, "distill", "planted:0.5", ("--option", "max_length=129"), "takes at most 128 tokens"),
        ("headless", "cda", "planted:0.5", (), "is an encoder model"),
        ("no/such-model-at-all", "cda", "planted:0.5", (), "no/such-model-at-all"),
        (MASKED, "cda", "sampled", (), "only a causal model can write"),
    ],
)
def test_a_wrong_request_is_one_paragraph_and_leaves_nothing(
    model, method, corpus, further, words, tmp_path, capsys, headless, monkeypatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (tmp_path / "empty.txt").write_text(" \n\n")
    other = tmp_path / "other"
    other.mkdir()
    if "other" in further:
        home = Path(cli.__file__).parent / "planted" / "models" / "causal-0.5"
        tokenizer = transformers.AutoTokenizer.from_pretrained(home)
        tokenizer.add_tokens(["umbrellas"])
        network = transformers.AutoModelForCausalLM.from_pretrained(home)
        network.resize_token_embeddings(len(tokenizer))
        network.save_pretrained(other)
        tokenizer.save_pretrained(other)
        further = tuple(str(other) if one == "other" else one for one in further)
    named = [] if corpus is None else ["--corpus", tmp_path / corpus if corpus.endswith(".txt") else corpus]
    name = headless if model == "headless" else model
    capsys.readouterr()
    run(
        "mitigate",
        name,
        "--method",
        method,
        *named,
        "--output-path",
        tmp_path / "out" / "model",
        *further,
        "--device",
        "cpu",
        code=2,
    )
    out, told = capsys.readouterr()
    assert out == "" and told.startswith("fairbench: ") and "\n" not in told.strip() and words in told, told
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith("model") and other not in path.parents]


def test_a_place_that_can_not_be_written_is_refused_before_any_work(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    run(*JOB, "--output-path", tmp_path / "file" / "model", code=2)
    assert "nothing can be written there" in capsys.readouterr().err


def test_a_served_model_is_refused():
    import fairbench

    with pytest.raises(fairbench.FairbenchError) as caught:
        fairbench.mitigate("some", "cda", "never", corpus="planted:0.5", model_options={"url": "http://127.0.0.1:9"})
    assert "\n" not in str(caught.value) and not Path("never").exists()


def test_a_plan_writes_nothing_and_can_be_read_by_programs(tmp_path, capsys):
    run(*JOB, "--output-path", tmp_path / "model", "--dry-run", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["steps"] == 20 and found["texts"] == found["rows"] == 40 and found["method"] == "role-reversal"
    assert found["bytes"] > 0 and 0 < found["seconds"] < 600 and found["mass_of_mapped_words"] > 0.2
    run(*JOB, "--output-path", tmp_path / "model", "--dry-run")
    shown = capsys.readouterr().out
    assert "steps" in shown and "memory" in shown and "on this machine" in shown
    assert not any(tmp_path.iterdir())


def test_a_product_is_told_and_scored(tmp_path, capsys):
    place = tmp_path / "model"
    run(*JOB, "--output-path", place, "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["folder"] == str(place) and found["fresh"] and found["training"]["steps"] == 20
    run(*JOB, "--output-path", place)
    shown = capsys.readouterr().out
    assert "was there already" in shown and f"fairbench score {place}" in shown.replace("\n", "")
    run("score", place, "--tasks", "planted_pairs", "--limit", 20, "--output-path", tmp_path / "results", "--device", "cpu")
    assert list((tmp_path / "results").glob("*/planted_pairs/*.json"))


KILLED = 5


def files(folder: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))


@pytest.mark.slow
def test_killed_at_any_point_the_same_command_ends_with_the_same_weights(tmp_path):
    assert ended(start(*JOB, "--output-path", tmp_path / "whole")) == 0
    rng, kills = random.Random(0), 0
    (tmp_path / "b").mkdir()
    for new in (1, 3, *(rng.choice((6, 11, 17, 24)) for _ in range(KILLED - 2))):
        before, process = files(tmp_path / "b"), start(*JOB, "--output-path", tmp_path / "b" / "killed")
        while process.poll() is None and files(tmp_path / "b") < before + new:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        kills += ended(process) == -signal.SIGKILL
    assert kills >= 3
    assert ended(start(*JOB, "--output-path", tmp_path / "b" / "killed")) == 0
    same(tmp_path / "whole", tmp_path / "b" / "killed")
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["killed"], "a kill left something behind"
    assert {path.name for path in (tmp_path / "b" / "killed").iterdir()} == {path.name for path in (tmp_path / "whole").iterdir()}


def wait_for(what: Path, process: subprocess.Popen[str]) -> None:
    while process.poll() is None and not what.exists():
        time.sleep(0.002)
    assert what.exists()


@pytest.mark.slow
def test_an_interruption_keeps_a_checkpoint_and_a_disk_without_room_keeps_it_too(tmp_path):
    """Ctrl-C after the first checkpoint, then no file may grow beyond 200 kB, then there is room again."""
    job = (*JOB, "--epochs", 20, "--output-path", tmp_path / "model")
    process = start(*job)
    wait_for(tmp_path / "model.partial" / "training" / "checkpoint-10", process)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130 and "the same command goes on" in " ".join(told.split()) and "Traceback" not in told

    def without_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    full = start(*job, preexec_fn=without_room)
    out, told = full.communicate()
    assert full.returncode == 2 and out == "" and told.count("\n") == 1, told
    assert (
        told.startswith("fairbench: A file could not be written")
        and "is whole. Make space and run the same command again" in told
    )
    assert ended(start(*job)) == 0
    assert ended(start(*job[:-1], tmp_path / "whole")) == 0
    same(tmp_path / "model", tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "whole"]


@pytest.mark.slow
def test_two_processes_make_one_model(tmp_path):
    """A step of two batches of 16 rows is about one of 32: each process takes means over its own rows, which weigh the same.

    By torchrun, since `accelerate launch --cpu` starts one process whatever the number. What is logged are the terms of the first
    process's rows: half of those of a step.
    """
    job = ("mitigate", CAUSAL, "--method", "role-reversal", "--corpus", "planted:0.5", "--documents", 192, "--epochs", 1,
           "--device", "cpu", "--option", "lm_weight=1", "--learning-rate", "1e-3")  # fmt: skip
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "fairbench"]
    done = subprocess.run(
        [*launch, *map(str, (*job, "--batch-size", 16, "--output-path", tmp_path / "two", "--json"))],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, text=True, capture_output=True, timeout=550,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert ended(start(*job, "--batch-size", 32, "--output-path", tmp_path / "one")) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    one, two = (json.loads((tmp_path / name / "training.json").read_text()) for name in ("one", "two"))
    assert told["training"]["processes"] == two["processes"] == 2 and two["steps"] == one["steps"] == 6
    for term in ("lm", "kd"):
        means = [sum(entry[term] for entry in course["history"]) / len(course["history"]) for course in (one, two)]
        assert means[1] == pytest.approx(means[0], rel=0.15)
