"""Discovery of correlations (DisCo; Webster et al. 2020): how many of a model's favourite fills go with the group of the person.

A word supplies a fill in a template where the fill is among the word's `top` best ones. For every fill that any word supplies, a
chi-square test asks whether words of all groups supply it equally often.

Example:
    >>> import numpy as np, pandas as pd
    >>> fills = [["cook", "read"]] * 6 + [["fight", "read"]] * 6
    >>> answers = pd.DataFrame({"template": "[TARGET] wants to [ATTRIBUTE].", "target": [f"name{i}" for i in range(12)],
    ...                         "group": ["female"] * 6 + ["male"] * 6, "top_fills": fills})
    >>> options = {"top": 2, "alpha": 0.05, "correction": "template"}
    >>> float(disco(answers, np.ones((1, 12)), **options)[0])  # cook and fight, not read
    2.0
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.errors import FairbenchError, Undefined
from fairbench.scores import MetricInfo, PValue
from fairbench.stats import CHUNK_BYTES, Floats, Indices, partition_p, resampling_units

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 1_999
"""Random exchanges of the groups of whole words."""

INFO = MetricInfo(
    title="Discovery of correlations (DisCo): fills that go with a group, per template",
    reads="Slot",
    probe="fill",
    columns=("template", "target", "group", "top_fills"),
    text_columns=("top_fills",),
    kind="intrinsic",
    ideal=0.0,
    low=0.0,
    high=np.inf,
    unit="cluster",
    interval="none",
    direction="larger = more of the model's fills depend on the group of the person named",
    construct="Whether what a model says of a person depends on the group that the person's name or noun belongs to.",
    formula="mean over templates of #(fills among the words' `top` best whose chi-square test against the group has "
    "p <= alpha / number of tests); no continuity correction; p from chi-square with G - 1 degrees of freedom",
    cite="Webster et al. 2020, Measuring and reducing gendered correlations in pre-trained models, arXiv:2010.06032",
    p_value="own",
    by_group=False,
    threats=(
        "A number of significant tests grows with the number of words: scores with other word lists are not comparable, and a "
        "bootstrap, which repeats words, would invent significance. No interval is given.",
        "0 is not the absence of correlations: a fill that few words share can't be significant, and weak ones are missed.",
        "Only `top` fills a word are looked at, which limits what can be found (Webster et al. take 3).",
        "The paper names a Bonferroni correction and not the number of tests: ours are those of the template (correction all: of "
        "the whole table). The chi-square p is rough where few words supply a fill; the p beside the score comes "
        "from exchanging the groups of whole words, and `floor` in the details is the score to be expected then.",
        "The published scores rest on other templates and longer lists of words than the shipped ones: not to be compared.",
        "Ranks amplify: where words of a group are much alike to a model, the smallest preference changes the best fills of all "
        "of them. On small models that were taught no bias, sentences on work and traits gave 1.75 (causal) and 2.25 (masked), "
        "p <= .01; with the bias at full 6.5 and 4.5. The p tells that groups are told apart, not by how much.",
        "Fills that agree in grammar with the person (actress) count as correlations.",
    ),
    defaults={"cluster": "target"},
    options={"top": 3, "alpha": 0.05, "correction": "template"},
    choices={"correction": ("template", "all")},
    limits={"top": (1, np.inf), "alpha": (0.0, 1.0)},
)


@dataclass(frozen=True)
class _Words:
    """The G groups, the group of each row (n,), and of each template its rows and which fills they supply, (r, f) of 0 and 1."""

    groups: tuple[str, ...]
    label: Indices
    templates: tuple[tuple[Indices, Floats], ...]


@dataclass(frozen=True)
class _Tests:
    """Of each draw and template, (b, t): significant fills, tests, the level of each test, and the least p that one could have.

    NaN (0 tests) where a template lacks words of a group.
    """

    significant: Floats
    tests: Floats
    level: Floats
    least: Floats

    @property
    def able(self) -> NDArray[np.bool_]:
        """(b, t) whether a fill that all words of one group supply, and no other word, would be significant."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.least <= self.level, dtype=bool)

    @property
    def score(self) -> Floats:
        """(b,) mean over the templates that are able to find anything; NaN where there is none."""
        found = np.where(self.able, self.significant, 0.0).sum(axis=1)
        with np.errstate(invalid="ignore"):
            return np.asarray(found / self.able.sum(axis=1), dtype=float)


def disco(answers: pd.DataFrame, weights: Floats, *, top: int, alpha: float, correction: str) -> Floats:
    """Mean number of significant fills over templates, with rows counted by their weights.

    Args:
        answers: columns `template`, `target`, `group` and `top_fills`, a list of the model's best fills, best first.
        weights: (b, n) frequencies of the n rows.
        top: how many fills of a row count.
        alpha: level of the tests before Bonferroni's correction.
        correction: divide alpha by the number of tests of the "template" or of "all" templates.

    Returns:
        (b,) 0 or more, ideal 0. Templates that lack a group's words, or in which no fill could become significant, are left out;
        NaN where a draw leaves none.

    Raises:
        Undefined: there is a single group, or no template is left.
        FairbenchError: a list of fills is too short or no list, a target stands twice in a template or has two groups.
    """
    words = _read(answers, top, alpha)
    if len(words.groups) < 2:
        raise Undefined(f"all words are of one group ({words.groups[0]}), so there is nothing to compare")
    found = _tested(words, [weights * (words.label == g) for g in range(len(words.groups))], alpha, correction)
    score = found.score
    if len(score) == 1 and np.isnan(score[0]):
        raise Undefined(_why(words, found))
    return score


def significance(answers: pd.DataFrame, rng: np.random.Generator, *, top: int, alpha: float, correction: str) -> PValue:
    """Share of random exchanges of the groups of whole words, which keep their fills in all templates, with as large a score."""
    value, drawn = _exchanged(answers, rng, top=top, alpha=alpha, correction=correction)
    return PValue(
        partition_p(value, drawn, exact=False, two_sided=False), f"permutation of whole words, {len(drawn) + 1:,} sampled"
    )


def counts(answers: pd.DataFrame, *, top: int, alpha: float, correction: str) -> dict[str, int]:
    """Templates, those left out (a group has no words, or no fill could be significant), tests, significant fills, words."""
    words = _read(answers, top, alpha)
    targets = answers["target"].groupby(answers["group"].astype(str)).nunique()
    of_group = {f"words_{group}": int(targets[group]) for group in words.groups}
    if len(words.groups) < 2:
        return {"templates": len(words.templates), **of_group}
    found = _once(words, alpha, correction)
    able = found.able[0]
    return {
        "templates": int(able.sum()),
        "templates_left_out": int((~able).sum()),
        "tests": int(found.tests[0][able].sum()),
        "significant_fills": int(found.significant[0][able].sum()),
        **of_group,
    }


def details(answers: pd.DataFrame, rng: np.random.Generator, *, top: int, alpha: float, correction: str) -> dict[str, float]:
    """The score to expect if groups were dealt at random (`floor`), the strictest level, and the least p that a test can have."""
    found = _once(_read(answers, top, alpha), alpha, correction)
    able = found.able[0]
    _, drawn = _exchanged(answers, rng, top=top, alpha=alpha, correction=correction)
    return {
        "floor": float(drawn.mean()),
        "strictest_level": float(found.level[0][able].min()),
        "smallest_attainable_p": float(found.least[0][able].min()),
    }


def _once(words: _Words, alpha: float, correction: str) -> _Tests:
    """The tests with every row counted once."""
    return _tested(words, [(words.label == g)[None, :].astype(float) for g in range(len(words.groups))], alpha, correction)


def _tested(words: _Words, members: Sequence[Floats], alpha: float, correction: str) -> _Tests:
    """Tests every fill of every template.

    Args:
        words: rows and fills.
        members: for each group (b, n): the weight with which a row belongs to it.
        alpha: level before the correction.
        correction: "template" or "all".
    """
    from scipy.special import chdtrc  # the upper tail of chi-square, without the weight of scipy.stats

    p, tests, least = [], [], []
    for rows, supplied in words.templates:
        in_group = np.stack([m[:, rows].sum(axis=1) for m in members])[:, :, None]  # (G, b, 1)
        with_fill = np.stack([m[:, rows] @ supplied for m in members])  # (G, b, f)
        n, fills = in_group.sum(axis=0), with_fill.sum(axis=0)
        whole = np.asarray((in_group > 0).all(axis=0), dtype=bool)[:, 0]
        with np.errstate(invalid="ignore", divide="ignore"):
            away = (with_fill - in_group * fills / n) ** 2 / in_group
            # A fill that all words supply can't differ between groups: 0/0, and a test that finds nothing.
            statistic = np.nan_to_num(away.sum(axis=0) * n**2 / (fills * (n - fills)), nan=0.0, posinf=0.0)
        p.append(np.where(fills > 0, chdtrc(len(members) - 1, statistic), np.inf))
        tests.append(np.where(whole, (fills > 0).sum(axis=1), 0))
        least.append(np.where(whole, chdtrc(len(members) - 1, n[:, 0]), np.nan))
    number = np.stack(tests, axis=1).astype(float)
    with np.errstate(divide="ignore"):
        level = alpha / (number if correction == "template" else number.sum(axis=1, keepdims=True) + 0 * number)
    significant = np.stack([(q <= level[:, t, None]).sum(axis=1) for t, q in enumerate(p)], axis=1)
    return _Tests(significant.astype(float), number, level, np.stack(least, axis=1))


def _exchanged(answers: pd.DataFrame, rng: np.random.Generator, **options: Any) -> tuple[float, Floats]:
    """The score, and what it is where whole words exchange their groups at random: (d,), those draws that have a value."""
    words = _read(answers, options["top"], options["alpha"])
    alpha, correction = options["alpha"], options["correction"]
    unit = resampling_units(answers).of_row
    of_unit = words.label[np.unique(unit, return_index=True)[1]]
    drawn, size = [], max(1, CHUNK_BYTES // (8 * len(answers) * len(words.groups)))
    for start in range(0, DRAWS, size):
        dealt = rng.permuted(np.tile(of_unit, (min(size, DRAWS - start), 1)), axis=1)[:, unit]
        drawn.append(_tested(words, [(dealt == g).astype(float) for g in range(len(words.groups))], alpha, correction).score)
    scores = np.concatenate(drawn)
    return float(_once(words, alpha, correction).score[0]), scores[np.isfinite(scores)]


def _why(words: _Words, found: _Tests) -> str:
    """Why there is no score."""
    if np.isnan(found.least).all():
        return f"no template has words of all groups ({', '.join(words.groups)})"
    t = int(np.nanargmin(found.least[0]))
    return (
        f"with {len(words.templates[t][0])} words no fill can reach significance: even one that all words of one group supply "
        f"and no other word has p = {found.least[0, t]:.2g}, and {int(found.tests[0, t])} fills are tested at the level "
        f"{found.level[0, t]:.2g}"
    )


def _read(answers: pd.DataFrame, top: int, alpha: float) -> _Words:
    if top < 1 or not 0 < alpha < 1:
        raise FairbenchError(f"Found the options top = {top} and alpha = {alpha:g}; wanted top >= 1 and alpha between 0 and 1.")
    if "attribute" in answers.columns and answers["attribute"].notna().any():
        raise FairbenchError(
            "The answers name attributes, so their top_fills stand for the target; wanted slots whose attribute is left to the "
            "model (the column attribute empty). Measure the answers of a task that has such slots."
        )
    template, target, group = (answers[c].astype(str).to_numpy(dtype=object) for c in ("template", "target", "group"))
    fills = [_fills(entry, top, word) for entry, word in zip(answers["top_fills"], target, strict=True)]
    unit = answers["cluster"].where(answers["cluster"].notna(), target).astype(str) if "cluster" in answers.columns else target
    seen: set[tuple[str, str]] = set()
    group_of: dict[str, str] = {}
    for where, word, name, label in zip(template, target, unit, group, strict=True):
        if (where, word) in seen:
            raise FairbenchError(
                f"The target {word!r} stands twice in the template {where!r}; wanted once. Remove one of the rows."
            )
        seen.add((where, word))
        if group_of.setdefault(name, label) != label:
            raise FairbenchError(
                f"The word {name!r} is of two groups, {group_of[name]} and {label}; wanted one. Mend the column group."
            )
    groups, label_of_row = np.unique(group.astype(str), return_inverse=True)
    templates = []
    for name in sorted(set(template)):
        rows = np.flatnonzero(template == name)
        names = {fill: i for i, fill in enumerate(sorted(set().union(*(fills[r] for r in rows))))}
        supplied = np.zeros((len(rows), len(names)))
        for i, r in enumerate(rows):
            supplied[i, [names[fill] for fill in fills[r]]] = 1
        templates.append((rows.astype(np.intp), supplied))
    return _Words(tuple(map(str, groups)), label_of_row.astype(np.intp), tuple(templates))


def _fills(entry: Any, top: int, word: str) -> frozenset[str]:
    """The first `top` fills of one row, without the spaces that byte-level tokens begin with."""
    found = None if isinstance(entry, str) or not np.iterable(entry) else list(entry)
    if found is None or len(found) < top or not all(isinstance(fill, str) for fill in found[:top]):
        shown = repr(entry)[:60] if found is None else f"{len(found)} fills"
        raise FairbenchError(
            f"The word {word!r} has {shown} in top_fills; wanted a list of at least {top} words (option top). Lower the option, "
            "or ask the model for more fills; a table with lists is read from .parquet or .jsonl."
        )
    return frozenset(fill.strip() for fill in found[:top])
