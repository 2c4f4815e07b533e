"""fairbench: how biased is this language model, and with what certainty.

    >>> import fairbench
    >>> run = fairbench.score("planted:causal-1.0", suite="planted")          # doctest: +SKIP
    >>> run.to_frame()                                                        # doctest: +SKIP

Nothing heavy is imported until it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairbench.errors import FairbenchError, Undefined

if TYPE_CHECKING:
    import pandas as pd

    from fairbench.scores import Score
    from fairbench.study import Run

__all__ = ["FairbenchError", "Undefined", "measure", "score"]


def measure(metric: str, answers: pd.DataFrame, *, include_path: Sequence[str | Path] = (), **options: Any) -> Score:
    """Scores an answers table, from fairbench or from elsewhere.

    Args:
        metric: name of a metric (`fairbench list metrics`).
        answers: a row an answer, with the columns that the metric's card names.
        include_path: folders with further metrics.
        **options: `level`, `draws`, `seed`, `by_group` of MeasureOptions.

    Returns:
        The score; undefined is a null value with a reason.

    Raises:
        FairbenchError: unknown metric, missing column, or a cell that is no number.

    Example:
        >>> import pandas as pd
        >>> answers = pd.DataFrame({"score_more": [-10.0, -9.0, -8.5], "score_less": [-11.0, -9.5, -8.0]})
        >>> measure("crows_pairs", answers).value
        66.66666666666667
    """
    from fairbench.measurement import MeasureOptions
    from fairbench.measurement import measure as measure_with
    from fairbench.registry import Registry

    found = Registry([Path(p) for p in include_path]).metric(metric)
    return measure_with(found, answers, MeasureOptions(**options))


def score(model: str, **options: Any) -> Run:
    """Scores a Hugging Face model: asks it, measures, saves results, and takes up what is already there.

    Args:
        model: Hub id, folder, or planted:NAME.
        **options: fields of `fairbench.plan.ScoreOptions` (`suite`, `tasks`, `metrics`, `limit`, `data_dir`, `output_path` ...).

    Returns:
        The run: `.results`, `.to_frame()`, and what was skipped or failed, with reasons.

    Raises:
        FairbenchError: the request can't be served.
    """
    from fairbench.plan import ScoreOptions
    from fairbench.study import score as run

    for name in ("tasks", "metrics", "include_path"):
        if isinstance(options.get(name), list):
            options[name] = tuple(options[name])
    for name in ("data_dir", "output_path"):
        if isinstance(options.get(name), str):
            options[name] = Path(options[name])
    return run(model, ScoreOptions(**options))
