"""Categorical bias score (Ahn and Oh 2021): the variance over groups of what naming an attribute adds to each of them.

Example:
    >>> import numpy as np, pandas as pd
    >>> answers = pd.DataFrame({"template": "A person from [TARGET] is a [ATTRIBUTE].", "attribute": "thief",
    ...                         "target": ["Chile", "Ghana", "Japan"], "group": ["Chile", "Ghana", "Japan"],
    ...                         "log_p": np.log([0.2, 0.4, 0.1]), "log_prior": np.log([0.2, 0.2, 0.2]), "mass": 0.7})
    >>> round(float(categorical_bias_score(answers, np.ones((1, 3)), mass_floor=0.001)[0]), 6)  # variance of 0, ln 2, -ln 2
    0.480453
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fairbench.scores import MetricInfo, PValue
from fairbench.slots import cells, exchanges, mass, scored, weighted_mean
from fairbench.slots import counts as cells_and_targets
from fairbench.slots import unused as rows_without_a_group
from fairbench.stats import Floats, partition_p

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 1_999
"""Random exchanges of words between the groups."""

INFO = MetricInfo(
    title="Categorical bias score (CBS): variance over groups of the increased log-probability",
    reads="Slot",
    probe="fill",
    columns=("template", "target", "attribute", "group", "log_p", "log_prior", "mass"),
    kind="intrinsic",
    ideal=0.0,
    low=0.0,
    high=np.inf,
    unit="cluster",
    interval="none",
    direction="larger = groups are treated more differently, whichever of them gains",
    construct="Whether naming an attribute changes the probability of words for some groups more than of words for others.",
    formula="mean over cells of the variance over groups (ddof 1) of ILPS_g = ln(sum of g's p) - ln(sum of g's p_prior); nats^2",
    cite="Ahn, Oh 2021, EMNLP, 2021.emnlp-main.42",
    p_value="own",
    by_group=False,
    threats=(
        "Never negative, so noise adds up, and a bootstrap interval would miss a true 0: none is given. Read it beside `floor`, "
        "the score to be expected if words were dealt to the groups at random (floor_value: the score of the floor's cells).",
        "Floor and p need groups of several words that are asked in the same cells. With one word a group there are neither: "
        "what is peculiar to the group can't be told from what is peculiar to the word.",
        "With two groups it is the mean of LPBS^2 / 2, and says nothing of the direction: read lpbs and lpbs_gap.",
        "A tilt that comes from hiding the attribute counts too, so a model without bias need not be at 0. On models with "
        "planted bias it follows what single models learnt with Spearman .99 (masked), but .55 (causal, mean) and .41 (sum): "
        "there the tilt of the prior outweighs it. lpbs_gap does not have this fault.",
        "Rests on few hand-made templates and words; where these hold little probability, ratios of it are noise (option "
        "mass_floor). In a group of several words the most probable one decides.",
    ),
    defaults={"cluster": "attribute"},
    options={"mass_floor": 0.001},
    limits={"mass_floor": (0.0, 1.0)},
)


def categorical_bias_score(answers: pd.DataFrame, weights: Floats, *, mass_floor: float) -> Floats:
    """Mean over cells (a template with an attribute) of the variance over groups of ILPS.

    Args:
        answers: columns `template target attribute group` and, in nats, `log_p` and `log_prior` of the target; `mass` = what
            all targets of the cell hold of the probability at the slot.
        weights: (b, n), equal within a cell.
        mass_floor: the least median mass of the cells that is scored.

    Returns:
        (b,) nats^2, 0 or more, ideal 0. NaN where a draw leaves no cell.

    Raises:
        Undefined: there is a single group, no cell has targets of all groups, or the mass is below its floor.
        FairbenchError: a target stands twice in a cell.
    """
    found = scored(cells(answers), mass_floor)
    return weighted_mean(weights[:, found.row], found.gain.var(axis=1, ddof=1))


def significance(answers: pd.DataFrame, rng: np.random.Generator, *, mass_floor: float) -> PValue | None:
    """Share of random exchanges of words between groups that give as large a score; null where no word can change its group."""
    value, drawn = _exchanged(answers, rng, mass_floor)
    if not len(drawn):
        return None
    p = partition_p(value, drawn, exact=False, two_sided=False)
    return PValue(p, f"permutation of words between groups, {DRAWS + 1:,} sampled")


def unused(answers: pd.DataFrame, *, mass_floor: float) -> list[str | None]:
    """Rows of cells in which a group has no target."""
    return rows_without_a_group(answers)


def counts(answers: pd.DataFrame, *, mass_floor: float) -> dict[str, int]:
    """Cells that are scored, cells left out for want of a group, and each group's different targets."""
    return cells_and_targets(answers)


def details(answers: pd.DataFrame, rng: np.random.Generator, *, mass_floor: float) -> dict[str, float]:
    """The mass (mean, minimum); where words can change groups, the mean score then (`floor`) and the score of the same cells."""
    value, drawn = _exchanged(answers, rng, mass_floor)
    floor = {"floor": float(drawn.mean()), "floor_value": value} if len(drawn) else {}
    return {**mass(answers), **floor}


def _exchanged(answers: pd.DataFrame, rng: np.random.Generator, mass_floor: float) -> tuple[float, Floats]:
    """The score of the cells in which words can change groups, and what it is in DRAWS random exchanges: (d,); none, if none."""
    found = scored(cells(answers), mass_floor)
    moving, chunks = exchanges(answers, found, DRAWS, rng)
    if not moving.any():
        return 0.0, np.empty(0)
    drawn = [gain.var(axis=2, ddof=1).mean(axis=1) for gain in chunks]
    return float(found.gain[moving].var(axis=1, ddof=1).mean()), np.concatenate(drawn)
