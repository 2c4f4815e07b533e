"""Log-probability bias scores of words in a slot (Kurita et al. 2019): what an attribute adds to one group beyond the other.

A cell is a template with an attribute, "[TARGET] is a nurse". What a group g gains there is its increased log-probability,
    ILPS_g = log sum over g's targets of p - log sum over g's targets of p_prior        (natural log)
with p_prior read where the attribute is hidden too, so that words that are frequent anyway gain nothing by it.

Example:
    >>> import numpy as np, pandas as pd
    >>> answers = pd.DataFrame({"template": "[TARGET] is a [ATTRIBUTE].", "attribute": ["nurse", "nurse", "miner", "miner"],
    ...                         "meta.side": ["female", "female", "male", "male"], "target": ["He", "She"] * 2,
    ...                         "group": ["male", "female"] * 2, "log_p": np.log([0.1, 0.4, 0.6, 0.2]),
    ...                         "log_prior": np.log([0.3, 0.2, 0.3, 0.2]), "mass": [0.5, 0.5, 0.8, 0.8]})
    >>> options, ones = {"first": "", "mass_floor": 0.001}, np.ones((1, 4))
    >>> round(float(lpbs(answers, ones, **options)[0]), 6)  # (ln(.1 / .3) - ln(.4 / .2) + ln(.6 / .3) - ln(.2 / .2)) / 2
    -0.549306
    >>> round(float(lpbs_gap(answers, ones, **options)[0]), 6)  # ln 2 - ln 1 - (ln 1/3 - ln 2)
    2.484907
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.errors import FairbenchError, Undefined, did_you_mean
from fairbench.scores import MetricInfo, PValue
from fairbench.slots import Cells, Flags, cells, counts, mass, one_each, scored, unused, weighted_mean
from fairbench.stats import EXACT_LIMIT, Floats, Indices, clustered_sign_flips, partition_p, partitions, resampling_units

if TYPE_CHECKING:
    import pandas as pd

NO_SPREAD = 1e-9

_THREATS = (
    "Rests on few hand-made templates and words; other wordings give other scores (Delobelle et al. 2022).",
    "The prior is read from a sentence without its attribute, which a model may never have met: that too is in the score.",
    "Where the words hold little probability, ratios of it are noise; hence the option mass_floor, and the mass in the details.",
    "In a group of several words the most probable one decides.",
    "Of a causal model p is the likelihood of the whole sentence, and p_prior that of the sentence with a neutral word for the "
    "attribute, by default per token: not on one scale with a masked model's.",
)
_EXCHANGEABLE = (
    "The test takes attributes of one side for exchangeable with those of the other: also attributes that differ in something "
    "else (in frequency, in number of tokens) make it reject."
)

LPBS = MetricInfo(
    title="Log-probability bias score (LPBS), mean over templates and attributes",
    reads="Slot",
    probe="fill",
    columns=("template", "target", "attribute", "group", "log_p", "log_prior", "mass"),
    kind="intrinsic",
    ideal=0.0,
    low=-np.inf,
    high=np.inf,
    unit="cluster",
    direction="+ = attributes add more to the first group (male where there is one)",
    construct="Whether naming an attribute makes words for one group more likely than words for the other, beyond their prior.",
    formula="mean over cells of ILPS_first - ILPS_second; ILPS_g = ln(sum of g's p) - ln(sum of g's p_prior); in nats",
    cite="Kurita, Vyas, Pareek, Black, Tsvetkov 2019, GeBNLP, W19-3823",
    p_value="own",
    by_group=False,
    threats=(
        "Sides cancel: attributes tied to one group and attributes tied to the other give 0 together. This is the overall tilt; "
        "the stereotype is in lpbs_gap.",
        "A model without bias need not be at 0, since hiding the attribute may tilt it: the planted models that were taught none "
        "have 0.16 (masked) and 0.08 (causal, per token), with intervals that miss 0. In lpbs_gap such a tilt cancels.",
        "The test takes a tilt of either sign for equally likely in each attribute, if there is none on the whole.",
        *_THREATS,
    ),
    defaults={"cluster": "attribute"},
    options={"first": "", "mass_floor": 0.001},
    limits={"mass_floor": (0.0, 1.0)},
    headline=False,  # the tilt of the prior is in it: the gap, in which that cancels, is what a comparison should rest on
)

GAP = replace(
    LPBS,
    title="LPBS gap: attributes of the first group's side minus attributes of the second's",
    columns=(*LPBS.columns, "meta.side"),
    text_columns=("meta.side",),
    direction="+ = attributes add to the group that they are tied to",
    construct="Whether attributes that are tied to a group (occupations by their workers) make words for that group more likely.",
    formula="mean LPBS over attributes with meta.side = first group - mean over those with meta.side = second group; in nats",
    threats=(_EXCHANGEABLE, *_THREATS),
    defaults={"cluster": "attribute", "stratum": "meta.side"},
    leave_one_out=True,
    headline=True,
)

INFO = {
    "lpbs": LPBS,
    "lpbs_gap": GAP,
    # Not a second headline: numerator and test are those of the gap, which in nats goes on rising where the spread rises with it.
    "lpbs_effect_size": replace(
        GAP,
        title="LPBS effect size: the gap in standard deviations of the attributes",
        formula="(mean_first - mean_second) / sd of the attributes' mean LPBS over both sides, ddof 1",
        threats=(
            "Saturates: a spread that comes from the sides alone gives about 2, however large the gap is in nats.",
            "Not comparable across sets of attributes, whose spread it divides by.",
            *GAP.threats,
        ),
        headline=False,
    ),
}


def lpbs(answers: pd.DataFrame, weights: Floats, *, first: str, mass_floor: float) -> Floats:
    """Mean LPBS over cells.

    Args:
        answers: columns `template target attribute group` and, in nats, `log_p` and `log_prior` of the target; `mass` = what
            all targets of the cell hold of the probability at the slot.
        weights: (b, n), equal within a cell.
        first: the group that is larger where the score is positive; "" for male, else the first in the alphabet.
        mass_floor: the least median mass of the cells that is scored.

    Returns:
        (b,) nats, unbounded, ideal 0. NaN where a draw leaves no cell.

    Raises:
        Undefined: there are not two groups, no cell has targets of both, or the mass is below its floor.
        FairbenchError: `first` names no group, or a target stands twice in a cell.
    """
    found, scores = _two_groups(answers, first, mass_floor)
    return weighted_mean(weights[:, found.row], scores)


def lpbs_gap(answers: pd.DataFrame, weights: Floats, *, first: str, mass_floor: float) -> Floats:
    """Mean over attributes whose `meta.side` is the first group minus mean over those of the second: (b,) nats, ideal 0.

    An attribute's score is the mean LPBS of its cells. Sides that are no group ("balanced") are left out and counted. Arguments
    and errors as for lpbs; also Undefined where a side has no attribute, FairbenchError where an attribute has two sides.
    """
    return _sides(answers, first, mass_floor).gap(weights)


def lpbs_effect_size(answers: pd.DataFrame, weights: Floats, *, first: str, mass_floor: float) -> Floats:
    """The gap divided by the standard deviation (ddof 1) of the attributes of both sides: (b,), ideal 0.

    Below 2 in size where sides are equally large. Arguments and errors as for lpbs_gap; also Undefined where there are fewer than
    three attributes or they have no spread (sd < 1e-9; NaN in a draw).
    """
    sides = _sides(answers, first, mass_floor)
    if len(sides.row) < 3:
        raise Undefined("fewer than three attributes have a side: their spread has no meaning")
    drawn = weights[:, sides.row]
    distance = (sides.score - weighted_mean(drawn, sides.score)[:, None]) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt((drawn * distance).sum(axis=1) / (drawn.sum(axis=1) - 1))
        size: Floats = np.where(spread >= NO_SPREAD, sides.gap(weights) / spread, np.nan)
    if len(size) == 1 and not np.isfinite(size[0]):
        raise Undefined("all attributes have the same LPBS, so the effect size would be divided by zero")
    return size


def lpbs_significance(answers: pd.DataFrame, rng: np.random.Generator, *, first: str, mass_floor: float) -> PValue:
    """Two-sided sign-flip test of no tilt; all cells of an attribute (cluster) keep their signs together."""
    found, scores = _two_groups(answers, first, mass_floor)
    rows = np.zeros(len(answers))
    rows[found.row] = scores
    return clustered_sign_flips(answers, rows, rng)


def lpbs_gap_significance(answers: pd.DataFrame, rng: np.random.Generator, *, first: str, mass_floor: float) -> PValue:
    """Two-sided permutation test in which whole attributes change sides (with the others of their cluster, if it has any).

    Exact over all ways to choose as many for the first side, if at most 100,000; else 99,999 random ones and the one seen.
    """
    sides = _sides(answers, first, mass_floor)
    unit = resampling_units(answers.iloc[sides.row]).of_row
    size, total = np.bincount(unit).astype(float), np.bincount(unit, weights=sides.score)
    on_first = np.bincount(unit, weights=sides.on_first) > 0

    def gap(members: Floats) -> Floats:
        count, inside = members @ size, members @ total
        difference: Floats = inside / count - (total.sum() - inside) / (size.sum() - count)
        return difference

    seen = float(gap(on_first[None, :].astype(float))[0])
    chunks, exact = partitions(len(size), int(on_first.sum()), EXACT_LIMIT, rng)
    permuted = np.concatenate([gap(members.astype(float)) for members in chunks])
    how = "exact" if exact else f"{EXACT_LIMIT:,} sampled"
    return PValue(partition_p(seen, permuted, exact, two_sided=True), f"permutation of attributes, two-sided, {how}")


lpbs_effect_size_significance = lpbs_gap_significance


def lpbs_unused(answers: pd.DataFrame, **options: Any) -> list[str | None]:
    """Rows of cells in which a group has no target."""
    return unused(answers)


def lpbs_gap_unused(answers: pd.DataFrame, **options: Any) -> list[str | None]:
    """The same, and rows of attributes that are tied to none of the groups (such as "balanced")."""
    groups, side = set(answers["group"].astype(str)), answers["meta.side"].astype(str)
    if not groups <= set(side):  # the formula says which group has no attribute
        return unused(answers)
    return [why or (None if one in groups else UNTIED) for why, one in zip(unused(answers), side, strict=True)]


lpbs_effect_size_unused = lpbs_gap_unused


def lpbs_counts(answers: pd.DataFrame, **options: Any) -> dict[str, int]:
    """Cells that are scored, and each group's different targets."""
    return counts(answers)


def lpbs_gap_counts(answers: pd.DataFrame, **options: Any) -> dict[str, int]:
    """The same, and the scored attributes of each side."""
    found = cells(answers)
    scored_rows = answers.iloc[found.row[found.whole]]
    side = scored_rows.groupby("attribute")["meta.side"].first().astype(str).tolist()
    sides = {f"attributes_{group}": side.count(group) for group in found.groups}
    return {**counts(answers), **sides}


lpbs_effect_size_counts = lpbs_gap_counts


def lpbs_details(answers: pd.DataFrame, rng: np.random.Generator, *, first: str, mass_floor: float) -> dict[str, float]:
    """Each group's increased log-probability score (ILPS, mean over cells, nats), and the probability that the words hold."""
    found, _ = _two_groups(answers, first, mass_floor)
    gains = found.gain.mean(axis=0)
    return {f"ilps_{group}": float(gain) for group, gain in zip(found.groups, gains, strict=True)} | mass(answers)


def lpbs_gap_details(answers: pd.DataFrame, rng: np.random.Generator, **options: Any) -> dict[str, float]:
    """Probability that the asked words hold at the slot: mean and minimum over the scored cells."""
    return mass(answers)


lpbs_effect_size_details = lpbs_gap_details


UNTIED = "its attribute is tied to none of the groups"


@dataclass(frozen=True)
class _Sides:
    """The attributes that are tied to one of the two groups: a row of each, the mean LPBS of its cells, and its side."""

    row: Indices
    score: Floats
    on_first: Flags

    def gap(self, weights: Floats) -> Floats:
        """Mean of the first side minus mean of the second under weights (b, n): (b,)."""
        drawn, first = weights[:, self.row], self.on_first
        return weighted_mean(drawn[:, first], self.score[first]) - weighted_mean(drawn[:, ~first], self.score[~first])


def _two_groups(answers: pd.DataFrame, first: str, mass_floor: float) -> tuple[Cells, Floats]:
    """The scored cells, with the first group first, and the LPBS of each."""
    found = scored(cells(answers), mass_floor)
    if first and first not in found.groups:
        known = ", ".join(found.groups)
        raise FairbenchError(
            f"The option first is {first!r}.{did_you_mean(first, found.groups)} Wanted one of the groups: {known}."
        )
    if len(found.groups) > 2:
        raise Undefined(
            f"there are {len(found.groups)} groups ({', '.join(found.groups)}) and a difference needs two; "
            "categorical_bias_score takes any number"
        )
    leading = first or ("male" if "male" in found.groups else found.groups[0])
    order = [found.groups.index(leading), 1 - found.groups.index(leading)]
    found = replace(found, groups=tuple(found.groups[g] for g in order), gain=found.gain[:, order])
    return found, found.gain[:, 0] - found.gain[:, 1]


def _sides(answers: pd.DataFrame, first: str, mass_floor: float) -> _Sides:
    found, scores = _two_groups(answers, first, mass_floor)
    attributes = answers["attribute"].astype(str).to_numpy(dtype=object)
    names, of_row = np.unique(attributes.astype(str), return_inverse=True)
    for column in ("meta.side", "cluster"):
        one_each(answers, of_row, column, "one attribute")
    of_cell = of_row[found.row]
    count = np.bincount(of_cell, minlength=len(names))
    kept = count > 0
    score = np.bincount(of_cell, weights=scores, minlength=len(names))[kept] / count[kept]
    row = np.unique(of_row, return_index=True)[1][kept]
    side = answers["meta.side"].astype(str).to_numpy(dtype=object)[row]
    tied = np.isin(side, found.groups)
    for group in found.groups:
        if group not in side:
            raise Undefined(
                f"no attribute is tied to the group {group}: found the sides {', '.join(sorted(set(side)))} in meta.side, "
                f"wanted {' and '.join(found.groups)}"
            )
    return _Sides(row[tied].astype(np.intp), score[tied], side[tied] == found.groups[0])
