"""The whole command against the peer's, from the shell's prompt to the result file."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.causal import install_peer
from tests.bench.shapes import BENCH, DATA, gpt2_90m, pairs

TASK = """task: crows_pairs_local
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: ""
doc_to_target: 0
doc_to_choice: "{{{{[more, less]}}}}"
target_delimiter: ""
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: false}}]
"""


def compare(repeats: int, limit: int, batch: int = 32, threads: int = 2) -> dict[str, float]:
    """Seconds of both commands in turns on the first pairs of the file, and the difference of the shares they report."""
    ours = Path(sys.executable).with_name("fairbench")
    model, texts = gpt2_90m(), pairs(limit)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1", "FAIRBENCH_DATA": str(DATA)}
    environment["HF_HOME"] = str(BENCH / "hf")
    times: list[tuple[float, float]] = []
    difference = 0.0
    for _ in range(max(repeats // 2, 1)):
        with tempfile.TemporaryDirectory() as folder:
            theirs = _seconds(_peer(Path(folder), model, texts, batch), environment)
            asked = ["--tasks", "crows_pairs", "--batch-size", str(batch), "--device", "cpu", "--output-path", f"{folder}/ours"]
            asked += ["--limit", str(limit)]
            own = _seconds([ours, "score", model, *asked], environment)
            difference = max(difference, abs(_share_of_peer(Path(folder)) - _own_share(Path(folder))))
        times.append((theirs, own))
    theirs, own = (statistics.median(column) for column in zip(*times, strict=True))
    ratios = [a / b for a, b in times]
    speed = {"peer": 2 * len(texts) / theirs, "ours": 2 * len(texts) / own}
    return {**speed, "ratio": statistics.median(ratios), "lowest": min(ratios), "difference": difference}


def _share_of_peer(folder: Path) -> float:
    """The share of pairs whose more stereotyping sentence is the likelier, as the peer's result file has it."""
    result = json.loads(next((folder / "peer").rglob("results_*.json")).read_text(encoding="utf-8"))
    return float(result["results"]["crows_pairs_local"]["acc,none"])


def _own_share(folder: Path) -> float:
    """The same from ours, which is a percentage."""
    result = json.loads(next((folder / "ours").rglob("crows_pairs@*.json")).read_text(encoding="utf-8"))
    return float(result["score"]["value"]) / 100


def _peer(folder: Path, model: Path, texts: list[tuple[str, str]], batch: int) -> list[str]:
    """The peer's command on the same pairs, from a local file."""
    rows = folder / "pairs.jsonl"
    rows.write_text("".join(json.dumps({"more": more, "less": less}) + "\n" for more, less in texts), encoding="utf-8")
    (folder / "crows_pairs_local.yaml").write_text(TASK.format(file=rows), encoding="utf-8")
    shutil.rmtree(BENCH / "hf" / "datasets", ignore_errors=True)
    start = [str(install_peer()), "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={model},dtype=float32"]
    end = ["--tasks", "crows_pairs_local", "--include_path", str(folder), "--device", "cpu", "--batch_size", str(batch)]
    return [*start, *end, "--output_path", str(folder / "peer")]


def _seconds(command: list[object], environment: dict[str, str]) -> float:
    start = time.perf_counter()
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed: {done.stderr[-2000:]}")
    return time.perf_counter() - start
