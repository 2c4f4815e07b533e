"""Log-likelihoods of token sequences under a causal model, with what sequences share computed once.

Sentences of a pair share a beginning, and every sentence shares its start token with all others. So sequences are laid into
trees: one row holds many of them, a token stands in it once for all sequences that begin alike up to there, positions count
along a branch, and the attention mask lets a token see its own branch only. That is 1.3 to 1.4 times fewer tokens on CrowS-Pairs,
and no padding. A model that can't follow such a mask (recurrent, ALiBi, a narrow window) gets one row a sequence instead. So does
one whose positions are scaled by the longest text of a batch, and each of its batches holds texts of one length.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.models.batching import Batching, forget_lengths, heeds_length
from fairbench.models.heads import Head, agree, find_head, largest_error, trial_ids

if TYPE_CHECKING:
    import torch

    from fairbench.models.model import Model

ROW = 128
"""Tokens a row of trees is filled up to. Longer rows share more and cost more attention; measured best between 96 and 160."""

SHORTEST = 24
"""A row that isn't longer than this shares too little to be worth its mask."""

WINDOWS = ("sliding_window", "window_size", "attention_window", "attention_chunk_size", "local_attention")
"""Names under which configurations keep the reach of local attention; a row must not be longer than that."""


@dataclass(frozen=True)
class Text:
    """Token ids, of which those from index `first` on (at least 1) are scored given all before them."""

    ids: tuple[int, ...]
    first: int = 1


@dataclass
class Row:
    """Sequences laid into one row: a node for every distinct beginning.

    Attributes:
        tokens, parents, depths: of each node; the parent of a first token is -1.
        paths: (index of the sequence, its nodes) in the order they were laid.
        branched: some token has another predecessor than the node before it.
    """

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    paths: list[tuple[int, list[int]]] = field(default_factory=list)
    branched: bool = False

    def lay(self, index: int, ids: Sequence[int], shared: list[int]) -> None:
        """Adds a sequence whose first `len(shared)` tokens are these nodes already."""
        nodes = list(shared)
        for depth in range(len(shared), len(ids)):
            parent = nodes[-1] if nodes else -1
            self.branched |= parent != len(self.tokens) - 1
            nodes.append(len(self.tokens))
            self.tokens.append(ids[depth])
            self.parents.append(parent)
            self.depths.append(depth)
        self.paths.append((index, nodes))


@dataclass(frozen=True)
class Engine:
    """How one network is asked.

    Attributes:
        head: where its logits come from.
        row: tokens that a row of trees is filled up to; 0: a row a sequence, because the network can't follow a tree.
        longest: the most that texts which share most of themselves may make it; null for as long as they need.
        equal: texts of different lengths never go together.
        masks: a row without a branch has a mask as well; slower, and only to see how much such a mask's kernel rounds.
    """

    head: Head
    row: int = 0
    longest: int | None = None
    equal: bool = False
    masks: bool = False

    def describe(self) -> dict[str, str]:
        """For the result file: which of the ways to the same numbers was taken."""
        rows = "trees" if self.row else "equal lengths" if self.equal else "plain"
        return {"logits": self.head.kind, "rows": rows}


_ENGINES: weakref.WeakKeyDictionary[Any, Engine] = weakref.WeakKeyDictionary()


def token_log_probabilities(model: Model, texts: Sequence[Text], batching: Batching) -> list[NDArray[np.float64]]:
    """Log P of every scored token given all tokens before it in its sequence.

    Args:
        model: a causal model.
        texts: at least one scored token each; equal ones are computed once. The last token is never fed.
        batching: with `rows` a batch holds about that many sequences of mean length.

    Returns:
        For each text [len(ids) - first] nats. Values that aren't finite come from the network itself.
    """
    if not texts:
        return []
    engine = engine_of(model)
    unique = list(dict.fromkeys(texts))
    try:
        found = _score(model, engine, unique, batching)
    except Exception as error:  # a row of another shape than the trial's may be more than a network takes: one a text never is
        if not engine.row or "out of memory" in str(error):
            raise
        engine = _ENGINES[model.network] = dataclasses.replace(engine, row=0)
        found = _score(model, engine, unique, batching)
    # A value that isn't finite spreads through a row (0 x NaN is NaN), so texts that shared one are asked again alone.
    broken = [i for i, values in enumerate(found) if not np.isfinite(values).all()]
    if broken and engine.row:
        again = _score(model, dataclasses.replace(engine, row=0), [unique[i] for i in broken], batching)
        for i, values in zip(broken, again, strict=True):
            found[i] = values
    by_text = dict(zip(unique, found, strict=True))
    return [by_text[text] for text in texts]


def engine_of(model: Model) -> Engine:
    """How this model is asked, found by trial on first use: every short cut has to equal the plain way."""
    network = model.network
    if network not in _ENGINES:
        ids = trial_ids(model)
        head = find_head(network, {"input_ids": _tensor([ids[:12]], model), **_quiet()})
        _ENGINES[network] = Engine(head, equal=True) if heeds_length(network) else _try_trees(model, head, ids)
    return _ENGINES[network]


def _try_trees(model: Model, head: Head, ids: list[int]) -> Engine:
    """Rows of trees where they give what plain rows give, and no longer than local attention reaches."""
    plain, dtype = Engine(head), model.network.dtype
    config = model.network.config.get_text_config()
    reach = [r for r in (getattr(config, name, None) for name in WINDOWS) if isinstance(r, int) and r > 0]
    longest = min([*reach, model.card.max_length or ROW])
    trees = Engine(head, row=min(ROW, longest), longest=longest if reach else model.card.max_length)
    trial = _trial(ids, trees.row)
    wanted = np.concatenate(_score(model, plain, trial, Batching(rows=1)))
    noise = np.concatenate(_score(model, plain, trial, Batching())) - wanted
    if np.abs(noise).max() > largest_error(dtype):
        return Engine(head, equal=True)
    rows = pack([text.ids for text in trial], trees.row, trees.longest)
    if trees.row < SHORTEST or not all(row.branched for row in rows):  # the trial would not see what a tree may do
        return plain
    try:
        error = np.concatenate(_score(model, trees, trial, Batching())) - wanted
        if dtype.itemsize < 4:  # the kernel for masks rounds otherwise; in wide dtypes that is within the tolerance
            under = np.concatenate(_score(model, dataclasses.replace(plain, masks=True), trial, Batching()))
            noise = np.maximum(np.abs(noise), np.abs(under - wanted))
    except Exception:  # whatever an architecture raises at a mask that it does not know, plain rows remain
        return plain
    return trees if agree(error, noise, dtype, head.rounding) else plain


def _trial(ids: Sequence[int], row: int) -> list[Text]:
    """Texts that fill a row: one that others leave early, half-way and late, and one that shares nothing with it."""
    length = max(row // 4 + 2, 4)
    turned = [tuple((list(ids) * 2)[k : k + length]) for k in range(0, len(ids), max(len(ids) // 7, 1))]
    shared = (length // 4, length // 2, 3 * length // 4, length - 2)
    texts = [turned[0], turned[1][:-1], *(turned[0][:n] + turned[2 + i][n:] for i, n in enumerate(shared))]
    return [Text(text) for text in texts]


def _score(model: Model, engine: Engine, texts: Sequence[Text], batching: Batching) -> list[NDArray[np.float64]]:
    """Lays texts into rows, runs these in batches, and picks the values up."""
    lengths = [len(text.ids) - 1 for text in texts]
    if batching.rows is not None:
        batching = Batching(budget=max(batching.rows * sum(lengths) // len(lengths), 1))
    if engine.row:
        rows = list(pack([t.ids for t in texts], min(engine.row, batching.budget or engine.row), engine.longest))
    else:
        rows = [Row(branched=engine.masks) for _ in texts]
        for i, row in enumerate(rows):
            row.lay(i, texts[i].ids[:-1], [])
    found: list[NDArray[np.float64]] = [np.empty(0)] * len(texts)
    # Rows without a branch go by themselves: they need no mask, and a network with local attention makes its own for them.
    for kind in (True, False):
        group = [row for row in rows if row.branched is kind]
        lengths = [len(row.tokens) for row in group]
        for batch in batching.cut(lengths, model.device.type, engine.equal, engine.head.most_tokens):
            _run(model, engine.head, [group[i] for i in batch], texts, found)
    return found


def pack(sequences: Sequence[tuple[int, ...]], length: int, longest: int | None = None) -> Iterator[Row]:
    """Lays sequences into rows of trees, each without its last token.

    Neighbours in sorted order share the most. A sequence that shares at least half of itself may lengthen a row to twice its own
    length, so that long texts which differ late share as well, but never beyond `longest` tokens.
    """
    order = sorted(range(len(sequences)), key=lambda i: sequences[i])
    row = Row()
    before: tuple[int, ...] = ()
    for i in order:
        ids = sequences[i][:-1]
        shared = _common(ids, before) if row.paths else 0
        room = max(length, min(2 * len(ids), longest or 2 * len(ids))) if 2 * shared >= len(ids) else length
        if row.paths and len(row.tokens) + len(ids) - shared > room:
            yield row
            row, shared = Row(), 0
        row.lay(i, ids, row.paths[-1][1][:shared] if shared else [])
        before = ids
    yield row


def _run(model: Model, head: Head, rows: Sequence[Row], texts: Sequence[Text], found: list[NDArray[np.float64]]) -> None:
    """One forward pass; writes each sequence's values into `found`."""
    width = max(len(row.tokens) for row in rows)
    # Padding repeats the last token: it is seen by nobody, and no network takes it for its padding token.
    ids = _tensor([row.tokens + row.tokens[-1:] * (width - len(row.tokens)) for row in rows], model)
    inputs: dict[str, Any] = {"input_ids": ids, **_quiet()}
    if any(row.branched for row in rows):
        inputs["position_ids"] = _tensor([row.depths + [0] * (width - len(row.depths)) for row in rows], model)
        inputs["attention_mask"] = _mask(rows, width, model)
    flat: list[int] = []
    asked: list[int] = []
    for r, row in enumerate(rows):
        for i, nodes in row.paths:
            first = texts[i].first
            flat.extend(r * width + node for node in nodes[first - 1 :])
            asked.extend(texts[i].ids[first:])
    places, at = np.unique(np.asarray(flat, dtype=np.int64), return_inverse=True)
    forget_lengths(model.network)
    values = head.log_probabilities(inputs, *(_tensor(x, model) for x in (places, at, asked)))
    flat_values = values.cpu().numpy().astype(np.float64)
    start = 0
    for row in rows:
        for i, nodes in row.paths:
            count = len(nodes) - texts[i].first + 1
            found[i] = flat_values[start : start + count]
            start += count


def _mask(rows: Sequence[Row], width: int, model: Model) -> torch.Tensor:
    """[B, 1, T, T] additive mask: 0 where a node sees itself or one of its ancestors, the dtype's lowest value elsewhere.

    Additive rather than boolean: eager attention adds whatever it gets, and others would turn booleans into this at every layer.
    """
    import torch

    seen = np.zeros((len(rows), width, width), dtype=bool)
    for r, row in enumerate(rows):
        for node, parent in enumerate(row.parents):
            if parent >= 0:
                seen[r, node] = seen[r, parent]
            seen[r, node, node] = True
        rest = np.arange(len(row.parents), width)
        seen[r, rest, rest] = True  # padding sees itself: a row of nothing but the lowest value has no softmax
    dtype = model.network.dtype
    mask = torch.zeros(seen.shape, dtype=dtype).masked_fill_(torch.from_numpy(~seen), torch.finfo(dtype).min)
    return mask[:, None].to(model.device)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many first elements are equal."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return i
    return min(len(a), len(b))


def _quiet() -> dict[str, Any]:
    return {"use_cache": False}


def _tensor(values: Any, model: Model) -> torch.Tensor:
    import torch

    return torch.as_tensor(np.asarray(values, dtype=np.int64), device=model.device)
