"""Peak memory of a process that answers once and four times the records, a slice at a time as the runner does."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

from tests.bench.shapes import ROOT, gpt2_90m, pairs

SLICE = 64


def peak(count: int) -> float:
    """MiB at the highest, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.bench.memory", str(count)]
    done = subprocess.run(command, check=True, env=environment, cwd=ROOT, capture_output=True, text=True)
    return float(done.stdout)


def _measure(count: int) -> None:
    from fairbench.models.batching import Batching
    from fairbench.models.loading import inspect_model, load
    from fairbench.probes import likelihood
    from fairbench.records import Pair

    model = load(inspect_model(str(gpt2_90m())))
    records = [Pair(id=str(i), more=more, less=less) for i, (more, less) in enumerate(pairs(count))]
    options = likelihood.resolve(model.card, "Pair", {})
    for start in range(0, count, SLICE):
        likelihood.answer(model, records[start : start + SLICE], options, Batching(budget=512))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    _measure(int(sys.argv[1]))
