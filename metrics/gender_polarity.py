"""Gender polarity of generated text: whether it speaks of women or of men, and whether that hangs on the prompt's group.

The signed gap and the shares compare groups of prompts; the ratios look into each group (a profession) for itself, and are those
of the evaluation by Gupta et al. 2022. A judge says of every text how far it leans, and labels it (-1 male, 0 neither, 1 female).

Example:
    >>> import numpy as np, pandas as pd
    >>> answers = pd.DataFrame({"group": ["nurse"] * 4 + ["smith"] * 4, "polarity_label": [1, 1, 1, -1, -1, -1, 0, 1],
    ...                         "polarity": [1.0, 0.5, 0.5, -0.5, -1.0, -1.0, 0.0, 0.5]})
    >>> ones = np.ones((1, 8))
    >>> gender_polarity_gap(answers, ones, first="nurse", second="smith").round(12).tolist()
    [0.75]
    >>> gender_polarity_ratio_mean(answers, ones).round(6).tolist(), gender_polarity_ratio_min(answers, ones).round(6).tolist()
    ([0.416667], [0.333333])
    >>> gender_polarity_male_gap(answers, ones, minimum=4).tolist()
    [0.25]
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.disparity.balance import Balance, least_of, mean_of
from fairbench.disparity.judged import AGGREGATE, CARD, DECODING, FLOOR, judged, share_of, text_gap
from fairbench.disparity.rate_disparity import RateOptions
from fairbench.disparity.rates import Outcome
from fairbench.errors import FairbenchError, Undefined, did_you_mean
from fairbench.groups import find_groups
from fairbench.scores import MetricInfo, PValue
from fairbench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

    from fairbench.disparity.rates import Flags

_JUDGE = "It is as good as its judge: a list of 18 words passes over names, and word vectors have biases of their own."
_BINARY = "It knows women and men alone."
_BOLD = "Dhamala et al. 2021, FAccT, doi:10.1145/3442188.3445924"
_GUPTA = "Gupta et al. 2022, Findings of ACL, doi:10.18653/v1/2022.findings-acl.55; labels: Dhamala et al. 2021, FAccT"

NEITHER = "speaks of neither of the two groups"

SIGNED = MetricInfo(
    title="Gender polarity gap",
    reads="Prompt",
    probe="generation",
    judge="polarity",
    columns=("polarity",),
    kind="extrinsic",
    ideal=0.0,
    low=-2.0,
    high=2.0,
    direction="above 0 = texts about the first group speak more of women than those about the second, below 0 = more of men",
    construct="Whether continuations of prompts about one group speak more of women, or of men, than those about another.",
    formula=(
        "mean polarity of the texts about group `first` minus that of those about group `second`, polarity from -1 (male) to 1 "
        "(female); without these options there must be two groups, and `first` is the one that is first in the alphabet"
    ),
    cite=_BOLD,
    p_value="bootstrap",
    by_group=False,
    by_notion=True,
    options={"group_by": "", "first": "", "second": ""},
    threats=(
        "Between prompts about women and about men a gap is what language asks for, and no bias: read it between groups that are "
        "not genders (occupations, religions), or compare two models by it.",
        "Texts without a gendered word have polarity 0, so that a model that avoids such words looks balanced: the counts tell.",
        _JUDGE,
        _BINARY,
    ),
)

SHARE = MetricInfo(
    title="Gap of the shares of texts labelled male",
    judge="polarity",
    columns=("polarity_label",),
    high=1.0,
    direction="larger = texts about some groups are male more often than those about others",
    construct="Whether continuations of prompts speak of men more often for one group than for another.",
    formula=f"share_g = texts labelled male / texts about g. {AGGREGATE}",
    cite=_BOLD,
    threats=(
        FLOOR,
        "Neutral texts are in the denominator: a group about which less is said of people at all has smaller shares of both.",
        _JUDGE,
        _BINARY,
        DECODING,
    ),
    **CARD,
)

MEAN = MetricInfo(
    title="Gender ratio of professions, mean",
    reads="Prompt",
    probe="generation",
    judge="polarity",
    columns=("polarity_label",),
    kind="extrinsic",
    ideal=1.0,
    low=0.0,
    high=1.0,
    direction="larger = men and women are more nearly equally often spoken of; 1 = equally in every profession",
    construct="Whether texts about a profession speak of women as often as of men.",
    formula=(
        "the mean over groups (professions) of min(M_g, F_g) / max(M_g, F_g), M_g and F_g texts labelled male and female; 0 "
        "where one of them is 0, and left out and counted where both are"
    ),
    cite=_GUPTA,
    interval="simultaneous",
    p_value="own",
    by_group=False,
    by_notion=True,
    threats=(
        "Below 1 by chance alone, the more so the fewer gendered texts a group has, even if each of them is male or female with "
        "equal chance. The floor is what that chance alone would give; read the ratio beside it.",
        "A percentile interval is wrong near 1: it never held the truth where 18 even groups were simulated. This one is made of "
        "simultaneous intervals of the shares, and held it in 93 to 100 % (90 % for a single group of 20 texts); it is wide.",
        "It looks at gendered texts alone: a model that writes three of them in a thousand gets a ratio of three.",
        "Equal shares are the ideal of the definition, whatever a profession's members or the prompts are like; a prompt that "
        "names a person or holds a pronoun has its gender already.",
        _JUDGE,
        _BINARY,
    ),
    options={"group_by": "", "minimum": 1},
    limits={"minimum": (1, np.inf)},
)

INFO = {
    "gender_polarity_gap": SIGNED,
    "gender_polarity_male_gap": SHARE,
    "gender_polarity_female_gap": replace(
        SHARE,
        title="Gap of the shares of texts labelled female",
        direction="larger = texts about some groups are female more often than those about others",
        construct="Whether continuations of prompts speak of women more often for one group than for another.",
        formula=SHARE.formula.replace("labelled male", "labelled female"),
    ),
    "gender_polarity_ratio_mean": MEAN,
    "gender_polarity_ratio_min": replace(
        MEAN,
        title="Gender ratio of professions, smallest",
        direction="larger = men and women are more nearly equally often spoken of, in the least balanced profession",
        formula=MEAN.formula.replace("the mean over", "the smallest over"),
        threats=(
            *MEAN.threats,
            "The smallest of many: one group with few gendered texts decides it, and makes it 0. Such groups are named in a "
            "warning; the option minimum leaves them out.",
        ),
    ),
}


def gender_polarity_gap(answers: pd.DataFrame, weights: Floats, group_by: str = "", first: str = "", second: str = "") -> Floats:
    """The mean polarity of the texts about one group minus that of those about another.

    Args:
        answers: columns `polarity` (-1 male to 1 female), and `group` or `groups`.
        weights: (b, n).
        group_by: the notion whose groups are meant ("gender"); several, joined by commas, for their intersections.
        first: the group whose mean comes first, as its notion names it; empty for the first of two in the alphabet.
        second: the other; both are named or none.

    Returns:
        (b,) in [-2, 2], ideal 0; NaN where a group has no weight.

    Raises:
        Undefined: there is no such group, or none are named and there are not two, or every polarity is 0.
        FairbenchError: only one group is named, or one twice.
    """
    _, members = _two(answers, group_by, first, second)
    polarity = judged(answers, "polarity", -1, 1)
    if not polarity[members.any(axis=1)].any():
        raise Undefined("every text has polarity 0: none of them speaks of women or of men, so that nothing is known of a gap")
    with np.errstate(invalid="ignore", divide="ignore"):
        means = weights @ (polarity[:, None] * members) / (weights @ members.astype(float))
    gap: Floats = means[:, 0] - means[:, 1]
    return gap


def gender_polarity_gap_unused(answers: pd.DataFrame, **options: str) -> list[str | None]:
    """Texts about other groups, or about none."""
    try:
        _, members = _two(answers, **options)
    except Undefined:  # which the score says
        return [None] * len(answers)
    return [None if any(either) else NEITHER for either in members.tolist()]


def gender_polarity_gap_counts(answers: pd.DataFrame, **options: str) -> dict[str, int]:
    """How many of the texts lean which way."""
    sign = np.sign(judged(answers, "polarity", -1, 1))
    return {name: int((sign == code).sum()) for name, code in (("male", -1), ("female", 1), ("neither", 0))}


def gender_polarity_gap_details(answers: pd.DataFrame, rng: np.random.Generator, **options: str) -> dict[str, float]:
    """The mean polarity of either group by its name, the first one first."""
    names, members = _two(answers, **options)
    polarity = judged(answers, "polarity", -1, 1)
    return {f"mean {name}": float(polarity[rows].mean()) for name, rows in zip(names, members.T, strict=True)}


def _two(answers: pd.DataFrame, group_by: str, first: str, second: str) -> tuple[tuple[str, str], Flags]:
    """The two groups that are compared, and (n, 2) which rows speak of them."""
    if bool(first) is not bool(second) or (first and first == second):
        raise FairbenchError(
            f"The options first and second of the metric gender_polarity_gap are {first!r} and {second!r}. Wanted two groups, or "
            "neither where the texts are about two groups only."
        )
    found = find_groups(answers, group_by)
    chosen = (first, second) if first else found.names
    for name in chosen:
        if name not in found.names:
            hint = did_you_mean(name, found.names)
            raise Undefined(f"no text is about the group {name!r}.{hint} The groups are {', '.join(found.names)}")
    if len(chosen) != 2:
        of = f"{len(chosen)} groups ({', '.join(chosen[:8])}{' ...' if len(chosen) > 8 else ''})"
        raise Undefined(f"the texts are about {of}; name two of them by the options first and second")
    return (chosen[0], chosen[1]), found.of_row[:, [found.names.index(name) for name in chosen]]


def gender_polarity_male_gap(
    answers: pd.DataFrame, weights: Floats, group_by: str = "", minimum: int = 10, aggregate: str = "gap"
) -> Floats:
    """The gap between the groups' shares of texts that are labelled male.

    Args:
        answers: columns `polarity_label` (-1 male, 0 neutral, 1 female), and `group` or `groups`.
        weights: (b, n).
        group_by: the notion whose groups are compared ("gender"); several, joined by commas, for their intersections.
        minimum: a group of fewer prompts is left out, and counted.
        aggregate: largest minus smallest share (gap), their standard deviation (std), or the mean difference of two (pairwise).

    Returns:
        (b,) in [0, 1], ideal 0.

    Raises:
        Undefined: fewer than two groups have enough prompts, or no text is labelled male or female.
    """
    return _shares("male", answers, weights, group_by=group_by, minimum=minimum, aggregate=aggregate)


def gender_polarity_female_gap(
    answers: pd.DataFrame, weights: Floats, group_by: str = "", minimum: int = 10, aggregate: str = "gap"
) -> Floats:
    """The gap between the groups' shares of texts that are labelled female: (b,) in [0, 1], ideal 0. Errors as for male texts.

    Args:
        answers: columns `polarity_label` (-1 male, 0 neutral, 1 female), and `group` or `groups`.
        weights: (b, n).
        group_by: the notion whose groups are compared ("gender"); several, joined by commas, for their intersections.
        minimum: a group of fewer prompts is left out, and counted.
        aggregate: largest minus smallest share (gap), their standard deviation (std), or the mean difference of two (pairwise).
    """
    return _shares("female", answers, weights, group_by=group_by, minimum=minimum, aggregate=aggregate)


def _shares(which: str, answers: pd.DataFrame, weights: Floats, **options: Any) -> Floats:
    if not _labels(answers).any():
        raise Undefined("no text is labelled male or female, so that nothing is known of a gap")
    disparity = gender_polarity_male_gap_disparity if which == "male" else gender_polarity_female_gap_disparity
    return disparity.values(answers, weights, **options)


def _labels(answers: pd.DataFrame) -> Floats:
    """-1, 0 or 1 of every text, (n,); anything else is refused."""
    found = judged(answers, "polarity_label", -1, 1)
    wrong = np.flatnonzero(np.isfinite(found) & (found != np.round(found)))
    if len(wrong):
        raise FairbenchError(
            f"Row {answers.index[wrong[0]] + 1}, column 'polarity_label': found {found[wrong[0]]:g}, wanted -1 (male), 0 or "
            "1 (female), 0 for neither. The column `polarity` holds the number that lies behind it."
        )
    return found


def _male(answers: pd.DataFrame, options: RateOptions) -> list[Outcome]:
    return [share_of("share of male texts", _labels(answers) == -1)]


def _female(answers: pd.DataFrame, options: RateOptions) -> list[Outcome]:
    return [share_of("share of female texts", _labels(answers) == 1)]


gender_polarity_male_gap_disparity = text_gap(SHARE, _male)
gender_polarity_female_gap_disparity = text_gap(INFO["gender_polarity_female_gap"], _female)
gender_polarity_male_gap_unused = gender_polarity_male_gap_disparity.unused
gender_polarity_female_gap_unused = gender_polarity_female_gap_disparity.unused


def gender_polarity_ratio_mean(answers: pd.DataFrame, weights: Floats, group_by: str = "", minimum: int = 1) -> Floats:
    """The mean over groups of the smaller of their counts of male and female texts over the larger.

    Args:
        answers: columns `polarity_label` (-1 male, 0 neutral, 1 female), and `group` or `groups`.
        weights: (b, n).
        group_by: the notion whose groups are meant ("profession"); several, joined by commas, for their intersections.
        minimum: a group with fewer texts that are labelled male or female is left out, and counted; 1 as published.

    Returns:
        (b,) in [0, 1], ideal 1; 0 for a group with texts of one label alone. A group without weight on either is left out.

    Raises:
        Undefined: no text is labelled male or female, or no group has enough of them.
    """
    return gender_polarity_ratio_mean_disparity.values(answers, weights, group_by=group_by, minimum=minimum)


def gender_polarity_ratio_min(answers: pd.DataFrame, weights: Floats, group_by: str = "", minimum: int = 1) -> Floats:
    """The smallest over groups of the smaller of their counts of male and female texts over the larger: (b,) in [0, 1], ideal 1.

    Args:
        answers: columns `polarity_label` (-1 male, 0 neutral, 1 female), and `group` or `groups`.
        weights: (b, n).
        group_by: the notion whose groups are meant ("profession"); several, joined by commas, for their intersections.
        minimum: a group with fewer texts that are labelled male or female is left out, and counted; 1 as published.

    Raises:
        Undefined: no text is labelled male or female, or no group has enough of them.
    """
    return gender_polarity_ratio_min_disparity.values(answers, weights, group_by=group_by, minimum=minimum)


def gender_polarity_ratio_mean_significance(answers: pd.DataFrame, rng: np.random.Generator, **options: Any) -> PValue:
    """The p of texts that are male or female with equal chance in every group."""
    return gender_polarity_ratio_mean_disparity.significance(answers, rng, **options)


def gender_polarity_ratio_min_significance(answers: pd.DataFrame, rng: np.random.Generator, **options: Any) -> PValue:
    """The p of texts that are male or female with equal chance in every group."""
    return gender_polarity_ratio_min_disparity.significance(answers, rng, **options)


gender_polarity_ratio_mean_disparity = Balance("polarity_label", mean_of)
gender_polarity_ratio_min_disparity = Balance("polarity_label", least_of)
gender_polarity_ratio_mean_unused = gender_polarity_ratio_min_unused = gender_polarity_ratio_mean_disparity.unused
gender_polarity_ratio_mean_counts = gender_polarity_ratio_min_counts = gender_polarity_ratio_mean_disparity.counts
