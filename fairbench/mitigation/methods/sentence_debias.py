"""SentenceDebias: the direction in which sentences move when a group is exchanged is taken out of the hidden states.

Sentences with words of a group and the same sentences with the other groups in their place become mean vectors of length 1; what
is left of each after the mean of its tuple is the group's part, and the first principal components of all such parts are the
directions V that states lose: h - V^T V h. As in Meade et al. 2022, but that words are swapped with agreement, article and case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbench import parsers
from fairbench.counterfactual.swapping import ATTRIBUTES, Swap
from fairbench.errors import FairbenchError
from fairbench.mitigation import Estimate, Job, Option
from fairbench.mitigation.projection import first_of, refuse_few, refuse_unfit, sentences, vectors, write
from fairbench.models.model import ModelCard

VERSION = 1
SUMMARY = "Takes the direction between sentences and their swapped counterparts out of the hidden states; nothing is trained."
CITE = "Liang et al. 2020 (ACL, arXiv 2007.08100); as in Meade et al. 2022 (ACL)"
KINDS = ("causal", "masked", "encoder")
NEEDS_TEXTS = True
OPTIONS: Mapping[str, Option] = {
    "attribute": Option(parsers.word(*ATTRIBUTES), "gender", "what is exchanged"),
    "components": Option(parsers.whole(1, 1024), 1, "how many principal components are taken out"),
    "pooling": Option(parsers.word("mean", "first", "last"), "mean", "how a sentence's vector is made of its tokens"),
    "texts": Option(parsers.whole(1, 10**7), 10_000, "the most sentences, from the corpus's beginning"),
}

LEAST = 40
"""Sentences with words of a group that there must be."""


def resolve(card: ModelCard, options: Mapping[str, Any], given: frozenset[str]) -> dict[str, Any]:
    """The options as they are.

    Raises:
        FairbenchError: the model has an intervention already, or code of its own.
    """
    refuse_unfit(card, "sentence-debias")
    return dict(options)


def estimate(job: Job) -> Estimate:
    """One forward pass over the sentences and their counterparts."""
    groups = len(Swap(job.options["attribute"]).lexicon.groups)
    return Estimate(what={"forward passes, at most": job.options["texts"] * groups, "training": "none"})


def make(job: Job, folder: Path) -> dict[str, Any]:
    """Finds the directions and writes the model that projects them away.

    Raises:
        FairbenchError: the corpus has too few sentences with words of the attribute, or all components would be taken out.
    """
    from fairbench.models.loading import load

    assert job.texts is not None
    options, what = job.options, f"sentences of {job.texts.name} with words of {job.options['attribute']}"
    found = first_of(_tuples(job, Swap(options["attribute"])), options["texts"], LEAST, what)
    model = load(job.card)
    groups = len(found[0])
    flat = [text for item in found for text in item]
    made, kept = vectors(model, flat, options["pooling"], lambda done, total: job.progress("vectors", done, total))
    whole = kept.reshape(-1, groups).all(1)
    refuse_few(int(whole.sum()), LEAST, f"{what} that {job.card.name} can read whole")
    parts = parts_of_groups(made[np.repeat(whole, groups)[kept]].reshape(-1, groups, made.shape[1]))
    directions, shares = principal(parts, options["components"])
    intervention = {"kind": "projection", "method": "sentence-debias", "attribute": options["attribute"]}
    write(model, folder, intervention, directions)
    left = parts - (parts @ directions.T) @ directions
    return {
        "texts": {"sentences": int(whole.sum()), "too long": int((~whole).sum()), "groups": groups},
        "measured": {
            "share of the groups' parts that is taken out": float(shares.sum()),
            "share of each component": [float(share) for share in shares],
            "mean length of a group's part before": float(np.linalg.norm(parts, axis=-1).mean()),
            "mean length of a group's part after": float(np.linalg.norm(left, axis=-1).mean()),
        },
    }


def _tuples(job: Job, swap: Swap) -> Iterator[tuple[str, ...]]:
    """A sentence with words of a group and the same for every other group."""
    assert job.texts is not None
    for sentence in sentences(job.texts):
        if variants := swap.variants(sentence):
            yield (sentence, *(made.text for made in variants))


def parts_of_groups(found: NDArray[Any]) -> NDArray[np.float64]:
    """What is of the group in the vectors of sentences: each of length 1, less the mean of its tuple.

    Args:
        found: [tuples, groups, width].

    Returns:
        [tuples * groups, width].
    """
    unit = found.astype(np.float64)
    unit /= np.maximum(np.linalg.norm(unit, axis=-1, keepdims=True), np.finfo(np.float64).tiny)
    return np.asarray(unit - unit.mean(1, keepdims=True)).reshape(-1, found.shape[-1])


def principal(parts: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The first principal components of centred vectors.

    Args:
        parts: [n, width], their mean 0.
        count: how many; fewer than `width`.

    Returns:
        [count, width] orthonormal rows, each with its largest entry positive, and [count] their shares of the variance.

    Raises:
        FairbenchError: as many components as there are dimensions, or none has any variance.
    """
    width = parts.shape[1]
    values, found = np.linalg.eigh(parts.T @ parts)
    if count >= width:
        raise FairbenchError(f"components={count} of states that are {width} wide leaves nothing of them. Give fewer.")
    if values[-count] <= 1e-12 * max(values[-1], 1e-12):
        raise FairbenchError(
            f"Sentences and their counterparts do not differ in {count} directions: the model may know the words of neither "
            "group. Give fewer components or another model."
        )
    rows = found[:, ::-1].T[:count]
    largest = np.take_along_axis(rows, np.abs(rows).argmax(1)[:, None], axis=1)
    return rows * np.sign(largest), values[::-1][:count] / values.sum()
