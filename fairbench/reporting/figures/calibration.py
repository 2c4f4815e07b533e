"""Does a metric see bias that was planted: its score against the dial of the models, or against the gap that they learnt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.reporting.figures.forest import keyed
from fairbench.reporting.figures.style import colour, ideal_line, marker, text, titled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLUMNS = ("dial", "value", "low", "high", "seed")
"""Columns that the points need; `series`, `learned` and `ideal` may stand beside them."""

LINES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
"""Lines of series, which differ without colour."""

MOST_TICKS = 12
"""Dials that have a tick each."""

AXES = {"dial": "planted bias (the dial)", "learned": "gap that the model learnt"}


def calibration_points(path: Path | str, metric: str, task: str | None = None, options: str = "default") -> pd.DataFrame:
    """Scores of planted models from a file of results/planted (curves.json, generation.json, downstream.json).

    Args:
        path: of the file, whose `scores` have a row for each model and metric.
        metric: name of the metric.
        task: of the data; needed where the file has the metric on several.
        options: of the probe, as the file writes them ("scorer=mean"); files without options have one way only.

    Returns:
        A row for each model: `dial seed value low high ideal`, `series` (its kind, or the model that was fine-tuned) and
        `learned` where the file has it. Undefined values are NaN.

    Raises:
        FairbenchError: the file can't be read, has no such metric, task or options, or has several tasks and none was named.
    """
    import pandas as pd

    table = pd.DataFrame(_scores(Path(path)))
    names = {"task": "task" if "task" in table else "set", "series": "kind" if "kind" in table else "model"}
    wanted: dict[str, str | None] = {"metric": metric, names["task"]: task}
    if "options" in table:
        wanted["options"] = options
    for column, value in wanted.items():
        if column not in table:
            raise FairbenchError(f"{path} has scores without {column!r}. Wanted a file of results/planted.")
        known = sorted(table[column].astype(str).unique()) if len(table) else []
        if value is None and column == names["task"] and len(known) > 1:
            raise FairbenchError(f"{path} has {metric} on several tasks: {', '.join(known)}. Name one of them.")
        if value is not None and value not in known:
            raise FairbenchError(f"{path} has no {column} {value!r}.{did_you_mean(value, known)} It has {', '.join(known)}.")
        table = table if value is None else table[table[column] == value]
    points = table.rename(columns={names["series"]: "series"}).reset_index(drop=True)
    kept = [c for c in (*COLUMNS, "series", "learned", "ideal") if c in points]
    return points[kept].astype({c: float for c in kept if c not in ("series", "seed")})


def calibration(points: pd.DataFrame, ax: Axes, by: Literal["dial", "learned"] = "dial", metric: str = "the score") -> Axes:
    """A score against the bias that was planted: means over seeds as a line, every seed with its interval beside it.

    Args:
        points: a row for each model with `dial value low high seed`, and where they apply `series` (causal, masked), `learned`
            (the gap that the model learnt) and `ideal`.
        ax: where; one metric an Axes.
        by: what goes to the right. With "learned" a mean stands at the mean gap of its seeds.
        metric: how the metric is called in the title.

    Returns:
        The Axes. Seeds and series are moved a little to the side, so that their intervals don't hide each other. Points without
        a value are not drawn; the axis counts them.

    Raises:
        FairbenchError: a column is absent, or no point has a value.
    """
    known = _known(points, by, metric)
    series = known["series"].astype(str).tolist() if "series" in known else [""] * len(known)
    names = list(dict.fromkeys(series))
    said = []
    for number, name in enumerate(names):
        part = known[[one == name for one in series]]
        means = _means(part, by)
        if by == "dial":  # so that means of series that are equal are both seen
            means["at"] += 0.04 * _step(known) * (number - (len(names) - 1) / 2)
        _draw(ax, part.assign(at=_beside(part, by, number, len(names))), means, number, text(name, 30, lines=1))
        said.append((name, _course(means["value"].to_numpy())))
    for ideal in known["ideal"].dropna().unique()[:1] if "ideal" in known else ():
        ideal_line(ax, float(ideal), horizontal=True)
    if by == "dial" and known["dial"].nunique() <= MOST_TICKS:
        ax.set_xticks(sorted(known["dial"].unique()))
    ax.set_xlabel(_key(AXES[by], points, known))
    ax.set_ylabel(text(metric, 26, lines=2))
    if names != [""]:
        keyed(ax, [line for line in ax.get_lines() if line.get_gid() == "means"])
    return titled(ax, _sentence(metric, said, known, by))


def _known(points: pd.DataFrame, by: str, metric: str) -> pd.DataFrame:
    """The points that have a value; refuses a table without columns or without values."""
    absent = [name for name in (*COLUMNS, *((by,) if by != "dial" else ())) if name not in points.columns]
    if absent:
        raise FairbenchError(f"The points have no column {', '.join(absent)}. Wanted {', '.join(COLUMNS)}, a row a model.")
    known = points[points["value"].notna()]
    if not len(known):
        raise FairbenchError(f"None of {len(points)} points has a value: {metric} is undefined on all of these models.")
    return known


def _scores(path: Path) -> list[dict[str, Any]]:
    """The rows of the file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FairbenchError(
            f"{path} can't be read ({error}). Wanted a file of results/planted; make planted-curves writes it."
        ) from None
    rows = content.get("scores") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise FairbenchError(f"{path} holds no list of scores. Wanted a file of results/planted; make planted-curves writes it.")
    return rows


def _means(part: pd.DataFrame, by: str) -> pd.DataFrame:
    """Mean over the seeds at each dial: columns `at` and `value`, in the order of the dial."""
    return part.assign(at=part[by]).groupby("dial", sort=True)[["at", "value"]].mean()


def _beside(part: pd.DataFrame, by: str, number: int, series: int) -> Any:
    """Where each seed is drawn: at its own place, but on a dial to one side of the means, which would hide it."""
    if by != "dial":
        return part[by]
    step, seeds = _step(part), {seed: i for i, seed in enumerate(sorted(part["seed"].unique()))}
    slots = series * len(seeds)
    width = 0.24 * step / max(slots, 4)
    place = part["seed"].map(seeds) + number * len(seeds) - (slots - 1) / 2
    return part["dial"] + width * place + (0.07 + 0.03 * (series - 1)) * step * np.where(place < 0, -1, 1)


def _step(part: pd.DataFrame) -> float:
    """The smallest step of the dial."""
    dials = np.unique(part["dial"])
    return float(np.diff(dials).min()) if len(dials) > 1 else 1.0


def _draw(ax: Axes, part: pd.DataFrame, means: pd.DataFrame, number: int, name: str) -> None:
    """One series: seeds small with their intervals, means large on a line."""
    bounded = part[part["low"].notna() & part["high"].notna()]
    ax.vlines(bounded["at"], bounded["low"], bounded["high"], color=colour(number), linewidth=1.1, alpha=0.75, gid="interval")
    shape = marker(number)
    ax.plot(part["at"], part["value"], shape, color=colour(number), markersize=3.5, alpha=0.8, linestyle="none", gid="seeds")
    style: dict[str, Any] = {
        "color": colour(number),
        "marker": shape,
        "markersize": 7,
        "markeredgecolor": "white",
        "linewidth": 1.8,
    }
    ax.plot(means["at"], means["value"], linestyle=LINES[number % len(LINES)], label=name, gid="means", zorder=3, **style)


def _course(values: Sequence[float] | Any) -> str:
    """Whether means rise at every step of the dial, fall at every step, or neither; steps of nothing count for both."""
    steps = np.diff(np.asarray(values, dtype=float))
    if len(steps) == 0 or not steps.any():
        return "does not move"
    if (steps >= 0).all():
        return "rises"
    return "falls" if (steps <= 0).all() else "goes up and down"


def _sentence(metric: str, said: Sequence[tuple[str, str]], known: pd.DataFrame, by: str) -> str:
    """What is seen: the course of every series, and whether the ideal is met where nothing was planted."""
    courses: dict[str, list[str]] = {}
    for name, course in said:
        courses.setdefault(course, []).append(name)
    parts = [
        f"{course} with the {'planted bias' if by == 'dial' else 'gap that was learnt'}"
        + (f" in {' and '.join(text(n, 20, lines=1) for n in names)}" if names != [""] else "")
        for course, names in courses.items()
    ]
    sentence = f"{text(metric, 40, lines=1)} {', '.join(parts)}"
    at_zero = known[(known["dial"] == 0) & known["low"].notna()]
    if "ideal" not in known or not len(at_zero):
        return sentence
    held = int(((at_zero["low"] <= at_zero["ideal"]) & (at_zero["ideal"] <= at_zero["high"])).sum())
    return f"{sentence}; at 0 the interval holds the ideal in {held} of {len(at_zero)} models"


def _key(axis: str, points: pd.DataFrame, known: pd.DataFrame) -> str:
    """What goes to the right, and how to read it."""
    seeds = known["seed"].nunique()
    one = "one model, with its interval" if known["low"].notna().any() else "one model; there are no intervals"
    said = f"{axis}\nlarge: mean over {seeds} seeds; small: {one}" if seeds > 1 else f"{axis}\neach point: {one}"
    undefined = len(points) - len(known)
    return said + (f"; {undefined} of {len(points)} undefined" if undefined else "")
