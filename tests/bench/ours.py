"""Our side of the comparison with the peer: the same protocol as `peer.py`, with a token budget in the batch size's place."""

from __future__ import annotations

import json
import os
import sys
import time

import torch

from fairbench.models.batching import Batching
from fairbench.models.loading import inspect_model, load
from fairbench.probes import likelihood
from fairbench.records import Pair


def main() -> None:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    model = load(inspect_model(sys.argv[1]))
    options = likelihood.resolve(model.card, "Pair", {"scorer": "sum"})
    batching = Batching(budget=int(sys.argv[2]))
    for line in sys.stdin:
        texts = json.loads(line)
        records = [Pair(id=str(i), more=texts[i], less=texts[i + 1]) for i in range(0, len(texts), 2)]
        start = time.perf_counter()
        found = likelihood.answer(model, records, options, batching)
        seconds = time.perf_counter() - start
        values = [row[side] for row in found for side in ("score_more", "score_less")]
        print(json.dumps({"seconds": seconds, "values": values}), flush=True)


main()
