"""Sentences a second against lm-evaluation-harness on CrowS-Pairs, in turns, and whether the log-probabilities are the same."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import transformers

from tests.bench.shapes import BENCH, ROOT, gpt2_90m, pairs

PEER = BENCH / "peer"
REQUIREMENTS = ("torch==2.13.0", "lm_eval==0.4.13", f"transformers=={transformers.__version__}", "accelerate")


class Side:
    """A process that scores lists of texts and says how long it took."""

    def __init__(self, python: Path, script: str, model: Path, size: int, threads: int) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
        command = [str(python), str(ROOT / "tests" / "bench" / script), str(model), str(size)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def score(self, texts: list[str]) -> tuple[float, list[float]]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(texts) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        time.sleep(0.3)  # the threads of this side spin for a while before they sleep
        return answer["seconds"], answer["values"]

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def install_peer() -> Path:
    """The peer's environment under .bench/, made once."""
    python = PEER / "bin" / "python"
    if not (PEER / ".ready").is_file():
        subprocess.run([sys.executable, "-m", "venv", str(PEER)], check=True)
        # torch by itself first, from wherever a build for processors is at hand.
        for packages in (REQUIREMENTS[:1], REQUIREMENTS):
            subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=True)
        (PEER / ".ready").touch()
    return python


def compare(threads: int, count: int, repeats: int, batch: int) -> dict[str, float]:
    """One comparison: the peer at a batch size, ours at a token budget of batch size x mean length."""
    model = gpt2_90m()
    texts = [text for pair in pairs(count) for text in pair]
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    mean = statistics.mean(len(ids) for ids in tokenizer(texts)["input_ids"])  # fed: a start token more, the last one less
    peer = Side(install_peer(), "peer.py", model, batch, threads)
    ours = Side(Path(sys.executable), "ours.py", model, round(batch * mean), threads)
    try:
        for side in (peer, ours):
            side.score(texts[:64])
        times: list[tuple[float, float]] = []
        for _ in range(repeats):
            theirs, expected = peer.score(texts)
            own, found = ours.score(texts)
            times.append((theirs, own))
    finally:
        peer.close()
        ours.close()
    theirs, own = (statistics.median(column) for column in zip(*times, strict=True))
    return {
        "peer": len(texts) / theirs,
        "ours": len(texts) / own,
        "ratio": statistics.median(a / b for a, b in times),
        "lowest": min(a / b for a, b in times),
        "difference": max(abs(a - b) for a, b in zip(expected, found, strict=True)),
    }
