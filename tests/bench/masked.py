"""Pseudo-log-likelihoods against one mask at a time through the whole network, a sentence a pass, on one thread."""

from __future__ import annotations

import difflib
import statistics
import time

import torch

from fairbench.models.batching import Batching
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import Model
from fairbench.probes import likelihood
from fairbench.records import Pair
from tests.bench.shapes import bert, pairs


def plain(model: Model, records: list[Pair]) -> list[float]:
    """The scorer `pll-shared` as it is usually written."""
    found = []
    for record in records:
        coded = [model.tokenizer(text)["input_ids"] for text in (record.more, record.less)]
        blocks = difflib.SequenceMatcher(None, *coded).get_matching_blocks()
        for side, ids in enumerate(coded):
            total = 0.0
            for place in [i + k for *starts, size in blocks for i in starts[side : side + 1] for k in range(size)]:
                if 0 < place < len(ids) - 1:
                    hidden = torch.tensor([[*ids[:place], model.tokenizer.mask_token_id, *ids[place + 1 :]]])
                    with torch.inference_mode():
                        total += float(torch.log_softmax(model.network(hidden).logits[0, place], 0)[ids[place]])
            found.append(total)
    return found


def compare(width: int, layers: int, count: int, repeats: int) -> dict[str, float]:
    """Both ways in turns, on this process's threads."""
    model = load(inspect_model(str(bert(width, layers))))
    records = [Pair(id=str(i), more=more, less=less) for i, (more, less) in enumerate(pairs(count))]
    options = likelihood.resolve(model.card, "Pair", {"scorer": "pll-shared"})
    likelihood.answer(model, records[:1], options, Batching())
    plain(model, records[:1])
    times: list[tuple[float, float]] = []
    for _ in range(repeats):
        start = time.perf_counter()
        expected = plain(model, records)
        between = time.perf_counter()
        rows = likelihood.answer(model, records, options, Batching())
        times.append((between - start, time.perf_counter() - between))
    found = [row[side] for row in rows for side in ("score_more", "score_less")]
    theirs, own = (statistics.median(column) for column in zip(*times, strict=True))
    return {
        "peer": 2 * count / theirs,
        "ours": 2 * count / own,
        "ratio": statistics.median(a / b for a, b in times),
        "lowest": min(a / b for a, b in times),
        "difference": max(abs(a - b) for a, b in zip(expected, found, strict=True)),
    }
