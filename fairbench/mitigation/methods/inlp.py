"""INLP, iterative nullspace projection: what linear classifiers read of a group in the states is taken out, again and again.

A sentence whose words of groups are all of one group is labelled by it; one without any is neutral, which is a class of its own
(as in Meade et al. 2022 for gender) unless `neutral` is false; one with words of several groups is left out. A linear classifier
learns the labels from the sentences' vectors, the vectors lose the directions of its weights W, the next one learns from what is
left, until one knows no more of held-out sentences than their commonest label. Then P projects to the intersection of all
nullspaces, by an orthonormal basis B of all rows of all W: P = I - B^T B, which is I less the sum of the rowspace projections.

Other than in Meade et al.: words are found whole with punctuation beside them, sentences keep their case, race and religion have
a class a group rather than one for all, the classifiers have an intercept (without one a classifier can't even say the commonest
label, and an accuracy says little), and they stop at chance (stop=-1: never).
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbench import parsers
from fairbench.counterfactual.lexicon import BEFORE_A_NAME
from fairbench.counterfactual.swapping import ATTRIBUTES, Swap
from fairbench.errors import FairbenchError
from fairbench.mitigation import Estimate, Job, Option
from fairbench.mitigation.projection import refuse_few, refuse_unfit, sentences, vectors, write
from fairbench.models.model import ModelCard

VERSION = 1
SUMMARY = "Takes all directions from which linear classifiers tell the groups out of the hidden states; the model isn't trained."
CITE = "Ravfogel et al. 2020 (ACL, arXiv 2004.07667); as in Meade et al. 2022 (ACL)"
KINDS = ("causal", "masked", "encoder")
NEEDS_TEXTS = True
OPTIONS: Mapping[str, Option] = {
    "attribute": Option(parsers.word(*ATTRIBUTES), "gender", "which groups classifiers are to tell"),
    "classifiers": Option(parsers.whole(1, 10_000), None, "how many at most; by default 10 for causal models, else 80"),
    "stop": Option(parsers.real(-1, 1), 0.01, "stops at a classifier not so much better than the commonest label; -1: never"),
    "neutral": Option(parsers.yes_no, True, "whether sentences without words of a group are a class of their own"),
    "clip": Option(parsers.yes_no, True, "cut each sentence at a random place behind its word of a group, as published"),
    "pooling": Option(parsers.word("mean", "first", "last"), "mean", "how a sentence's vector is made of its tokens"),
    "texts": Option(parsers.whole(1, 10**7), 10_000, "the most sentences of a class, from the corpus's beginning"),
    "regularisation": Option(parsers.real(0, 1e6, above=True), 1.0, "inverse strength C of the classifiers' penalty"),
    "seed": Option(parsers.whole(0, 2**31), 0, "of places to cut at, of the split, and of the classifiers"),
}

LEAST = 40
"""Sentences of each class that there must be."""

HELD_OUT = 0.3
"""Share of the sentences that is held out for the last test; the same share of the rest says when to stop."""

NEUTRAL = "neutral"


@dataclass(frozen=True)
class Removal:
    """What was found.

    Attributes:
        basis: [k, width] orthonormal rows: the directions that are taken out.
        accuracies: of each classifier on held-out vectors, before its directions are taken out.
    """

    basis: NDArray[np.float64]
    accuracies: tuple[float, ...]


def resolve(card: ModelCard, options: Mapping[str, Any], given: frozenset[str]) -> dict[str, Any]:
    """Fills in the number of classifiers.

    Raises:
        FairbenchError: the model has an intervention already, or code of its own.
    """
    refuse_unfit(card, "inlp")
    count = options["classifiers"] or (10 if card.kind == "causal" else 80)
    return dict(options) | {"classifiers": count}


def estimate(job: Job) -> Estimate:
    """One forward pass over the sentences, and the classifiers."""
    classes = len(Swap(job.options["attribute"]).lexicon.groups) + job.options["neutral"]
    what = {"forward passes, at most": job.options["texts"] * classes, "linear classifiers, at most": job.options["classifiers"]}
    return Estimate(what=what)


def make(job: Job, folder: Path) -> dict[str, Any]:
    """Trains the classifiers and writes the model that projects their directions away.

    Raises:
        FairbenchError: too few sentences of a class, or nothing would be left of the states.
    """
    from fairbench.models.loading import load

    options = job.options
    found = labelled(job)
    flat = [text for texts in found.values() for text in texts]
    labels = np.repeat(np.arange(len(found)), [len(texts) for texts in found.values()])
    model = load(job.card)
    made, kept = vectors(model, flat, options["pooling"], lambda done, total: job.progress("vectors", done, total))
    labels = labels[kept]
    for number, name in enumerate(found):
        refuse_few(int((labels == number).sum()), LEAST, f"sentences of class {name} that {job.card.name} can read whole")
    learn, check, test = split(labels, options["seed"])
    removal = nullspace(
        (made[learn], labels[learn]),
        (made[check], labels[check]),
        options,
        lambda n: job.progress("classifiers", n, options["classifiers"]),
    )
    write(model, folder, {"kind": "projection", "method": "inlp", "attribute": options["attribute"]}, removal.basis)
    rest = made - (made @ removal.basis.T) @ removal.basis
    learn = np.concatenate([learn, check])
    before, after = (accuracy((x[learn], labels[learn]), (x[test], labels[test]), options["seed"]) for x in (made, rest))
    return {
        "texts": {name: int((labels == number).sum()) for number, name in enumerate(found)},
        "measured": {
            "directions taken out": len(removal.basis),
            "width": made.shape[1],
            "classifiers": len(removal.accuracies),
            "accuracy of each on held-out sentences": list(removal.accuracies),
            "accuracy of a new classifier before": before,
            "accuracy of a new classifier after": after,
            "share of the commonest class": commonest(labels[test]),
        },
    }


def labelled(job: Job) -> dict[str, list[str]]:
    """Sentences of the corpus by their class: the groups, and "neutral" if that is one.

    Raises:
        FairbenchError: too few of a class.
    """
    assert job.texts is not None
    options, swap = job.options, Swap(job.options["attribute"])
    draw = random.Random(options["seed"])
    names = [*swap.lexicon.groups, *([NEUTRAL] if options["neutral"] else [])]
    found: dict[str, list[str]] = {name: [] for name in names}
    for sentence in sentences(job.texts):
        name, start = _class_of(sentence, swap)
        if name in found and len(found[name]) < options["texts"]:
            found[name].append(clipped(sentence, start, draw) if options["clip"] else sentence)
            if all(len(texts) == options["texts"] for texts in found.values()):
                break
    for name, texts in found.items():
        refuse_few(len(texts), LEAST, f"sentences of {job.texts.name} of class {name} ({options['attribute']})")
    return found


def _class_of(sentence: str, swap: Swap) -> tuple[str | None, int]:
    """A sentence's class, null for one with words of several groups, and where its first such word ends."""
    owners = _owners(swap)
    # Every variant: a word may have a counterpart in some of the other groups only.
    spans = sorted({old for made in swap.variants(sentence) for old, _ in made.alignment})
    held = [(owners[word], end) for start, end in spans if (word := _plain(sentence[start:end])) in owners]
    groups = {group for group, _ in held}
    if not groups:
        return NEUTRAL, 0
    return (groups.pop() if len(groups) == 1 else None), held[0][1]


def _owners(swap: Swap) -> dict[str, str]:
    """Group of each word; an article that changes with a word belongs to none."""
    if swap not in _OWNERS:
        rows = swap.lexicon.rows
        columns = zip(swap.lexicon.groups, zip(*rows, strict=True), strict=True)
        _OWNERS[swap] = {_plain(word.removesuffix(BEFORE_A_NAME)): group for group, words in columns for word in words if word}
    return _OWNERS[swap]


_OWNERS: dict[Swap, dict[str, str]] = {}


def _plain(word: str) -> str:
    return re.sub(r"[\s\u2010\u2011-]+", " ", word.lower().replace("’", "'"))


def clipped(sentence: str, start: int, draw: random.Random) -> str:
    """A sentence cut behind a word at random: at `start` or later, a neutral one (start 0) after its fourth word or later."""
    ends = [met.end() for met in re.finditer(r"\S+", sentence)]
    places = [end for end in ends if end >= start] if start else ends[3:]
    return sentence[: draw.choice(places)]


def split(labels: NDArray[Any], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Indices to learn from, to decide when to stop, and to test, each with its share of every class.

    Args:
        labels: [n] numbers of classes.
        seed: of the split.
    """
    from sklearn.model_selection import train_test_split

    rest, test = train_test_split(np.arange(len(labels)), test_size=HELD_OUT, random_state=seed, stratify=labels)
    learn, check = train_test_split(rest, test_size=HELD_OUT, random_state=seed, stratify=labels[rest])
    return learn, check, test


Labelled = tuple[NDArray[Any], NDArray[Any]]
"""Vectors [n, width] and their classes [n]."""


def nullspace(learn: Labelled, check: Labelled, options: Mapping[str, Any], progress: Any = lambda done: None) -> Removal:
    """Classifiers one after the other, each on what the ones before have left.

    Args:
        learn: what they learn from.
        check: what says when to stop.
        options: `classifiers`, `stop`, `regularisation` and `seed`.
        progress: called with how many are done.

    Raises:
        FairbenchError: nothing would be left of the vectors.
    """
    from sklearn.svm import LinearSVC

    width = learn[0].shape[1]
    basis = np.empty((0, width))
    accuracies: list[float] = []
    (x, y), (x_check, y_check) = ((found.astype(np.float64), labels) for found, labels in (learn, check))
    for done in range(options["classifiers"]):
        left, left_check = (found - (found @ basis.T) @ basis for found in (x, x_check))
        svm = LinearSVC(dual=False, C=options["regularisation"], max_iter=10_000, random_state=options["seed"]).fit(left, y)
        score = float(svm.score(left_check, y_check))
        progress(done + 1)
        if score - commonest(y_check) < options["stop"]:
            break
        accuracies.append(score)
        basis = joined(basis, svm.coef_)
        if len(basis) >= width:
            raise FairbenchError(
                f"After {done + 1} classifiers all {width} dimensions of the states would be taken out, and one still tells the "
                f"classes (accuracy {score:.3f}). Give fewer with classifiers=N, or neutral=false, which has fewer classes."
            )
    if not accuracies:
        raise FairbenchError(
            f"The first classifier knows no more of held-out sentences than their commonest class ({commonest(y_check):.3f}): "
            "there is nothing to take out. Give more texts, or another pooling."
        )
    return Removal(basis, tuple(accuracies))


def joined(basis: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """An orthonormal basis of the span of orthonormal rows and others.

    Args:
        basis: [k, width] orthonormal.
        rows: [m, width] any.

    Returns:
        [k', width], k <= k' <= k + m; begins with `basis`.
    """
    new = rows - (rows @ basis.T) @ basis
    new -= (new @ basis.T) @ basis  # twice: once leaves what rounding put back
    _, sizes, found = np.linalg.svd(new, full_matrices=False)
    return np.concatenate([basis, found[sizes > max(1e-9 * float(np.linalg.norm(rows)), 1e-300)]])


def commonest(labels: NDArray[Any]) -> float:
    """Share of the commonest class: what whoever knows nothing gets right."""
    return float(np.bincount(labels).max() / len(labels))


def accuracy(learn: Labelled, test: Labelled, seed: int) -> float:
    """How much of held-out vectors a new classifier gets right: logistic regression on vectors of unit variance.

    Another sort of classifier than those that were used up, since those would pass their own test.
    """
    from sklearn.linear_model import LogisticRegression

    mean, spread = learn[0].mean(0), learn[0].std(0)
    scale = np.where(spread > 1e-6 * max(float(spread.max()), 1e-30), spread, 1.0)
    fitted = LogisticRegression(max_iter=10_000, random_state=seed).fit((learn[0] - mean) / scale, learn[1])
    return float(fitted.score((test[0] - mean) / scale, test[1]))
