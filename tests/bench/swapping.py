"""Sentences a second whose roles are reversed on one core: Wikipedia's of GAP, names and alignment on."""

from __future__ import annotations

import csv
import os
import re
import time
from pathlib import Path

from fairbench.counterfactual.swapping import Swap
from tests.bench.shapes import ROOT

ASKED = 20_000


def sentences() -> list[str]:
    """Those of GAP's development part."""
    folder = Path(os.environ.get("FAIRBENCH_DATA") or ROOT.parent / "shared" / "data")
    with (folder / "gap" / "gap-development.tsv").open(encoding="utf-8", newline="") as file:
        texts = [row["Text"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    return [sentence for text in texts for sentence in re.split(r"(?<=[.!?])\s+", text) if sentence]


def compare(repeats: int) -> dict[str, float]:
    """Sentences a second of processor time, the best of several turns: without names, with names, and with every word aligned."""
    texts = sentences()
    plain, named = Swap(), Swap(names=True)
    found = {"n": float(len(texts)), "plain": 0.0, "named": 0.0, "words": 0.0}
    for _ in range(repeats):
        for name, swap in (("plain", plain), ("named", named)):
            start = time.process_time()
            for text in texts:
                swap.swap(text)
            found[name] = max(found[name], len(texts) / (time.process_time() - start))
        start = time.process_time()
        for text in texts:
            named.swap(text).words()
        found["words"] = max(found["words"], len(texts) / (time.process_time() - start))
    return found
