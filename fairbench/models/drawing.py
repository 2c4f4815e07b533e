"""Which token comes next: the likeliest, or one that is drawn after temperature, top-k and top-p, in this order.

Every text draws with numbers of its own, which follow from the seed and the text's key alone. A token is the first, in the order
of the vocabulary, at which the summed probabilities exceed a number; one beyond top-k and top-p is given back, and the next
number draws again. So the same text comes out whatever is written beside it, and a longer one begins as a shorter one did.

Why not sum up only what top-k and top-p keep: logits differ in their last places from batch to batch, so that now this token is
the last in the nucleus and now that one, and every token between the two in the vocabulary moves. Of almost flat distributions
over 50,000 tokens that gave 3 of 96 texts of 32 tokens another word in batches of 7 than in batches of 64; this way none.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

    from fairbench.models.decoding import Decoding

ORDER = "temperature, then top_k, then top_p; of equally likely tokens the first in the vocabulary"
DRAWS = (
    "Philox, keyed by SHA-256 of seed and key; inverse of the summed probabilities in float64 over the vocabulary's order, again "
    "where top_k and top_p drop the token"
)

TRIES = 8
"""Numbers that a token may take. The last one draws from what top-k and top-p keep, which makes the distribution exact."""

BLOCK = 256
"""Probabilities are summed up in blocks of so many, and then within one block: a running sum over all takes ten times as long."""

PLACES = 7
LOWEST = (1023 - 32) << PLACES
"""Weights are told apart by their exponent and this many binary places; those below 2^-32 count as of one size."""

BY_NUMPY = ("cpu",)
"""Where NumPy sorts: it does bare numbers ten times as fast as torch does them with their places."""

FEW = 4096
"""Vocabularies up to here are simply sorted, all rows at once."""

CHUNK_BYTES = {"cpu": 4 << 20}
"""Probabilities that are worked on at a time. On a processor they stay in reach of the cache."""

CHUNK_BYTES_ELSEWHERE = 1 << 30

ROUNDING = 1e-12
"""Shares that differ by less are equal: .5 + .25 holds .75 of the probability however its logits were rounded."""


def uniforms(seed: int, key: str, count: int) -> NDArray[np.float64]:
    """The numbers in [0, 1) that a text draws with; those of more tokens begin with those of fewer.

    Args:
        seed: of the run.
        key: of the text.
        count: tokens.

    Returns:
        [count, TRIES].
    """
    digest = hashlib.sha256(json.dumps([seed, key]).encode()).digest()
    # Bits rather than Generator.random: NumPy promises to keep the former.
    bits = np.random.Philox(key=int.from_bytes(digest[:16], "little")).random_raw(count * TRIES)
    return np.asarray(bits >> np.uint64(11), dtype=np.float64).reshape(count, TRIES) * 2.0**-53


def likeliest(logits: torch.Tensor) -> torch.Tensor:
    """[N] the token of the largest of the logits [N, V], of equal ones the first."""
    return logits.argmax(-1)


def draw(logits: torch.Tensor, numbers: NDArray[np.float64], decoding: Decoding) -> torch.Tensor:
    """Draws a token for each row.

    Args:
        logits: [N, V], the largest of each row finite; minus infinity is never drawn.
        numbers: [N, TRIES] in [0, 1).
        decoding: temperature, top_k and top_p.

    Returns:
        [N] token ids.
    """
    import torch

    home = logits.device
    place = torch.device("cpu") if home.type == "mps" else home  # which has no float64
    wide = -(-logits.shape[1] // BLOCK) * BLOCK
    size = max(CHUNK_BYTES.get(place.type, CHUNK_BYTES_ELSEWHERE) // (8 * wide), 1)
    found = []
    for start in range(0, len(logits), size):
        part = logits[start : start + size].to(place)
        weights = torch.zeros(len(part), wide, dtype=torch.float64, device=place)
        inner = weights[:, : part.shape[1]].copy_(part)
        # The largest is 1: no weight overflows, and what is lost far below it is never drawn.
        inner.sub_(inner.amax(-1, keepdim=True)).div_(decoding.temperature).exp_()
        given = torch.as_tensor(numbers[start : start + size], device=place)
        top_k = decoding.top_k if decoding.top_k < part.shape[1] else 0
        if top_k or decoding.top_p < 1:
            found.append(_draw_within(weights, given, top_k, decoding.top_p))
        else:
            found.append(_first_above(weights, given[:, 0] * weights.sum(-1)))
    return torch.cat(found).to(home)


def _draw_within(weights: torch.Tensor, numbers: torch.Tensor, top_k: int, top_p: float) -> torch.Tensor:
    """[N] tokens by their weights [N, W], among the `top_k` largest (0: all) and of those the fewest that hold `top_p`."""
    least, surplus = _border(weights, top_k, top_p)
    tokens = _first_above(weights, numbers[:, 0] * weights.sum(-1))
    for number in range(1, TRIES):
        out = (~_within(weights, tokens, least, surplus)).nonzero()[:, 0]
        if len(out) == 0:
            break
        rest = weights[out]
        if number == TRIES - 1:
            rest.mul_(rest >= least[out, None])
            for i, row in enumerate(out.tolist()):
                if surplus[row] > 0:
                    rest[i, (rest[i] == least[row]).nonzero()[-int(surplus[row]) :, 0]] = 0
        tokens[out] = _first_above(rest, numbers[out, number] * rest.sum(-1))
    return tokens


def _within(weights: torch.Tensor, tokens: torch.Tensor, least: torch.Tensor, surplus: torch.Tensor) -> torch.Tensor:
    """[N] whether tokens are among those that are kept."""
    weight = weights.gather(1, tokens[:, None])[:, 0]
    kept = weight >= least
    for row in ((weight == least) & (surplus > 0)).nonzero()[:, 0].tolist():
        equal = (weights[row] == least[row]).nonzero()[:, 0]
        kept[row] = bool(tokens[row] <= equal[-1 - int(surplus[row])])
    return kept


def _border(weights: torch.Tensor, top_k: int, top_p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The least weight [N] that is kept, and how many that equal it are too many: the last ones in the vocabulary go."""
    import torch

    if not top_k and weights.shape[1] > FEW and weights.device.type in BY_NUMPY:
        goals = (weights.sum(-1) * (top_p - ROUNDING)).tolist()
        found = np.array([_nucleus(row, goal) for row, goal in zip(weights.numpy(), goals, strict=True)])
        least, surplus = torch.from_numpy(found).unbind(-1)
        return least, surplus.long()
    ordered = _largest(weights, top_k or weights.shape[1])
    last = torch.full_like(ordered[:, 0], ordered.shape[1] - 1).long()
    if top_p < 1:
        last = _first_above(ordered, ordered.sum(-1) * (top_p - ROUNDING))
    least = ordered.gather(1, last[:, None])[:, 0]
    return least, (weights >= least[:, None]).sum(-1) - last - 1


def _largest(weights: torch.Tensor, count: int) -> torch.Tensor:
    """[N, count] the largest of the weights [N, W], the largest first."""
    import torch

    if weights.device.type not in BY_NUMPY:
        return weights.topk(count).values
    found = np.partition(weights.numpy(), -count, axis=-1)[:, -count:]
    return torch.from_numpy(np.sort(found, axis=-1)).flip(-1)


def _nucleus(weights: NDArray[np.float64], goal: float) -> tuple[float, int]:
    """The least of the fewest of the weights [W], at most 1, that sum up to more than a goal; and how many like it are too many.

    Only weights about as large as the last one are sorted: those that share its exponent and its first binary places.
    """
    size = np.maximum((weights.view(np.int64) >> (52 - PLACES)) - LOWEST, 0)
    held = np.cumsum(np.bincount(size, weights)[::-1])
    at = min(int(np.searchsorted(held, goal, side="right")), len(held) - 1)
    like = np.sort(weights[size == len(held) - 1 - at])[::-1]
    held_like = np.cumsum(like) + (held[at - 1] if at else 0.0)
    last = min(int(np.searchsorted(held_like, goal, side="right")), len(like) - 1)
    return float(like[last]), int((like >= like[last]).sum()) - last - 1


def _first_above(weights: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
    """[N] where the running sum of weights [N, W] first exceeds a goal [N] below their sum; always a weight above 0."""
    import torch

    if rest := -weights.shape[1] % BLOCK:
        weights = torch.nn.functional.pad(weights, (0, rest))
    blocks = weights.view(len(weights), -1, BLOCK)
    sums = blocks.sum(-1).cumsum(-1)
    # What a share of nearly 1 comes to may round up to the sum itself, which nothing exceeds.
    goal = torch.minimum(goal, torch.nextafter(sums[:, -1], torch.zeros_like(goal)))[:, None]
    block = (sums <= goal).sum(-1, keepdim=True)
    before = torch.where(block > 0, sums.gather(1, (block - 1).clamp(min=0)), 0.0)
    inside = blocks[torch.arange(len(weights), device=weights.device), block[:, 0]]
    place = ((before + inside.cumsum(-1)) <= goal).sum(-1)
    # The same numbers summed up in another order may fall short of the goal by their rounding.
    last = BLOCK - 1 - (inside.flip(-1) > 0).long().argmax(-1)
    return block[:, 0] * BLOCK + torch.minimum(place, last)
