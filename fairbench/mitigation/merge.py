"""A teacher's two readings of a sentence, as it is and with its roles reversed, merged into one target (section 3.3)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.mitigation.vocabulary import VocabularyMap, map_back

MERGES = ("mean", "max", "expmean", "swap")
"""Geometric mean, greater, arithmetic mean, and the reversed reading alone."""

_AT_ONCE = 1 << 18
"""Numbers that are merged at a time on a processor: more than that fall out of its cache between one step and the next."""
_AT_ONCE_ELSEWHERE = 1 << 26
_EXACT = 1e-30
"""Probabilities above it have lost nothing in single precision."""


def merge(
    original_logits: torch.Tensor,
    counterfactual_logits: torch.Tensor,
    how: str,
    *,
    vocabulary_map: VocabularyMap | None = None,
    normalize: bool = True,
    inplace: bool = False,
) -> torch.Tensor:
    """Merges the teacher's logits z of a text with those of the reversed text, z_c, at aligned positions.

    | how | merged |
    |---|---|
    | mean | (z + z_c) / 2: the geometric mean of the distributions, normalised |
    | max | max(z, z_c) |
    | expmean | log((exp z + exp z_c) / 2): the arithmetic mean of the distributions |
    | swap | z_c |

    The result is at temperature 1, where merging belongs: dividing by a temperature is the loss's business, and merging logits
    that are divided already gives other targets. Leave out positions that have no counterpart.

    Args:
        original_logits: z, (n, V), finite.
        counterfactual_logits: z_c, (n, V), finite.
        how: one of `MERGES`.
        vocabulary_map: if given, z_c is mapped back to the original's words first.
        normalize: take log-probabilities for z and z_c, so that both readings weigh the same. Without it "max" and "expmean"
            favour the reading with the greater partition sum.
        inplace: write the result into `original_logits`, whose values are lost, if it is of the result's type.

    Returns:
        Merged log-probabilities, (n, V), in single precision or better; differentiable in both unless `inplace`.

    Raises:
        FairbenchError: an unknown `how`; a map together with raw logits; a map that names tokens the model doesn't have.

    Example:
        >>> z, zc = torch.tensor([[2.0, 0, 1]]), torch.tensor([[0.0, 2, 1]])
        >>> [f"{p:.5f}" for p in merge(z, zc, "expmean").exp()[0].tolist()]
        ['0.37764', '0.37764', '0.24473']
    """
    if how not in MERGES:
        raise FairbenchError(f"There is no merge {how!r}; there are {', '.join(MERGES)}.{did_you_mean(how, MERGES)}")
    if vocabulary_map is not None and not normalize:
        raise FairbenchError(
            "Raw logits were asked for together with a vocabulary map. The map moves probabilities, which raw logits are not: "
            "normalise the logits, or merge without the map."
        )
    if torch.is_grad_enabled() and (original_logits.requires_grad or counterfactual_logits.requires_grad):
        return _merged(original_logits, counterfactual_logits, how, vocabulary_map, normalize)
    kind = torch.promote_types(original_logits.dtype, torch.float32)
    out = original_logits if inplace and original_logits.dtype == kind else torch.empty_like(original_logits, dtype=kind)
    same = counterfactual_logits is original_logits
    for part in parts(len(out), out):
        z = original_logits[part]
        out[part] = _merged(z, z if same else counterfactual_logits[part], how, vocabulary_map, normalize)
    return out


def parts(count: int, like: torch.Tensor) -> Iterator[slice]:
    """Rows 0 to `count` in turns: as many at a time as are best worked on together.

    Args:
        count: of rows.
        like: of their width and device, (..., V).
    """
    at_once = _AT_ONCE if like.device.type == "cpu" else _AT_ONCE_ELSEWHERE
    rows = max(1, at_once // max(1, like.shape[-1]))
    return (slice(start, min(start + rows, count)) for start in range(0, count, rows))


def _merged(z: torch.Tensor, zc: torch.Tensor, how: str, vocabulary_map: VocabularyMap | None, normalize: bool) -> torch.Tensor:
    kind = torch.promote_types(z.dtype, torch.float32)
    same, learnt = zc is z, z.requires_grad or zc.requires_grad
    z, zc = z.to(kind), zc.to(kind)
    if same and not learnt:
        return _with_itself(z, how, vocabulary_map)
    if vocabulary_map is not None:
        zc = map_back(zc, z, vocabulary_map)  # constants of a row don't matter to it: normalising can wait
    if how == "swap":
        return zc.log_softmax(-1)
    if how == "mean":
        return ((z + zc) / 2).log_softmax(-1)
    if how == "expmean" and normalize and not learnt and len(z):
        p, q = z.softmax(-1), zc.softmax(-1)
        if float(torch.minimum(p.amin(), q.amin())) > _EXACT:
            return p.add_(q).div_(2).log_()  # half the time of logaddexp
    if normalize:
        z, zc = z.log_softmax(-1), zc.log_softmax(-1)
    if how == "max":
        return torch.maximum(z, zc).log_softmax(-1)
    merged = torch.logaddexp(z, zc)
    return merged - math.log(2) if normalize else merged.log_softmax(-1)


def _with_itself(z: torch.Tensor, how: str, vocabulary_map: VocabularyMap | None) -> torch.Tensor:
    """The merge of a text that is its own reversal: it touches the mapped tokens alone, and the total where that changes."""
    own = z.log_softmax(-1)
    if vocabulary_map is None:
        return own
    mapped = map_back(own, own, vocabulary_map)
    if how == "swap":
        return mapped
    tokens = vocabulary_map._columns(own).targets
    z, zc = own.index_select(1, tokens), mapped.index_select(1, tokens)
    if how == "expmean":
        return own.index_copy_(1, tokens, torch.logaddexp(z, zc) - math.log(2))
    merged = (z + zc) / 2 if how == "mean" else torch.maximum(z, zc)
    return own.index_copy_(1, tokens, merged).log_softmax(-1)
