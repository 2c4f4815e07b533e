"""On which side a classifier's texts may be filled up, found by trial: some heads read the last place, whatever stands there.

Most networks give a text the same logits beside a longer one as alone, if it is filled up at the right. XLNet's head reads the
last place and wants the filling at the left; FNet takes filling for text on either side.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from fairbench.models.batching import heeds_length, pads_well
from fairbench.models.heads import TOLERANCE, trial_ids
from fairbench.training.texts import padded

if TYPE_CHECKING:
    import torch

    from fairbench.models.model import Model

Side = Literal["right", "left"]

LENGTHS = (3, 4, 7, 12, 24)

_MIXES: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()


def mixes_lengths(model: Model, pad: int | None) -> bool:
    """Whether texts of different lengths may be asked together, filled up at the right with `pad`; null for no filling at all."""
    network = model.network
    if network not in _MIXES:
        _MIXES[network] = pad is not None and pads_well(model) and _agrees(model, pad, "right")
    return _MIXES[network]


def side_of(model: Model, pad: int) -> Side:
    """The side that texts are filled up at in a training; the right one where neither does any good."""
    return "left" if not _agrees(model, pad, "right") and _agrees(model, pad, "left") else "right"


def _agrees(model: Model, pad: int, side: Side) -> bool:
    """Whether texts alone have the logits that they have beside a longer one."""
    import torch

    if heeds_length(model.network):
        return False
    ids = trial_ids(model)
    texts = [ids[n : n + n] for n in (min(n, model.card.max_length or n) for n in LENGTHS)]
    try:
        with torch.inference_mode():
            alone = torch.cat([_logits(model, [text], pad, side) for text in texts])
            again = torch.cat([_logits(model, [text, text[::-1], text[1:] + text[:1]], pad, side)[:1] for text in texts])
            beside = _logits(model, texts, pad, side)
    except Exception:  # whatever an architecture raises at padding, texts of one length have none
        return False
    noise, error = (float((found - alone).abs().max() / alone.abs().max()) for found in (again, beside))
    dtype = model.network.dtype
    return error <= 3 * noise + (TOLERANCE if dtype.itemsize >= 4 else 2 * torch.finfo(dtype).eps)


def _logits(model: Model, rows: Sequence[Sequence[int]], pad: int, side: Side) -> torch.Tensor:
    given = padded(rows, pad, side)
    logits: torch.Tensor = model.network(**{name: tensor.to(model.device) for name, tensor in given.items()}).logits
    return logits.cpu().double()
