"""How a training went: the loss and its terms against the step."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.errors import FairbenchError
from fairbench.reporting.figures.forest import keyed
from fairbench.reporting.figures.style import colour, marker, titled
from fairbench.stats import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COURSE = "training.json"
"""File of a model that a mitigation made."""

TERMS = {
    "loss": "loss (weighted sum)",
    "kd": "distillation (KL)",
    "lm": "text (cross-entropy)",
    "cosine": "hidden states (cosine)",
    "focal": "focal",
}
"""The loss and its terms, as they are called in the log and in the figure."""

LINES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (4, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
"""Lines of the terms, which differ without colour."""

MARKED = 8
"""Markers on a line, by which terms are told apart in grey; of up to so many entries each has one."""

WIDE = 30.0
"""The largest value beside the smallest one from which on the axis is logarithmic."""


def read_history(path: Path | str) -> tuple[Mapping[str, Any], ...]:
    """The log of a training.

    Args:
        path: of `training.json`, or the folder of the model that holds it.

    Returns:
        Its entries, each with `step` and `loss` and the terms that there were.

    Raises:
        FairbenchError: there is no such file, or it is none that `fairbench mitigate` wrote.
    """
    path = Path(path)
    path = path / COURSE if path.is_dir() else path
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FairbenchError(f"{path} can't be read ({error}). {_WANTED}") from None
    history = content.get("history") if isinstance(content, dict) else None
    if not isinstance(history, list) or not history:
        raise FairbenchError(f"{path} holds no history of a training. {_WANTED}")
    before = -math.inf
    for number, entry in enumerate(history, 1):
        wrong = _wrong(entry, before)
        if wrong:
            raise FairbenchError(f"{path}, entry {number} of the history: {wrong}. {_WANTED}")
        before = entry["step"]
    return tuple(history)


_WANTED = f"Wanted the {COURSE} that `fairbench mitigate` keeps beside the model it makes; make the model again."


def _wrong(entry: Any, before: float) -> str | None:
    """What is wrong with an entry of the log, if anything."""
    if not isinstance(entry, dict):
        return "it is no object"
    for name in ("step", *TERMS):
        value = entry.get(name)
        if value is None and (name in ("step", "loss") or name in entry):
            return f"it has no {name}"
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)):
            return f"its {name} is {value!r}, no finite number"
    return None if entry["step"] > before else f"step {entry['step']} comes after step {before:g}"


def losses(history: Sequence[Mapping[str, Any]], ax: Axes) -> Axes:
    """The loss of a training and its terms: every entry of the log as a thin line, a smoothed one over it.

    The smoothed line is the mean over a window about each entry, which is shorter at the ends. A single term that is the whole
    loss is drawn once. Terms are as the log has them, before their weights.

    Args:
        history: entries of the log in the order of their steps, each with `step`, `loss` and terms (`read_history`).
        ax: where.

    Returns:
        The Axes; logarithmic where values are positive and the largest is more than 30 times the smallest.

    Raises:
        FairbenchError: there are no entries.
    """
    if not history:
        raise FairbenchError(f"The training has no entry in its log. {_WANTED}")
    steps = np.array([entry["step"] for entry in history], dtype=float)
    curves = _curves(history)
    window = _window(len(steps))
    for number, (label, values) in enumerate(curves.items()):
        marks: dict[str, Any] = {"marker": marker(number), "markersize": 5, "markevery": max(len(steps) // MARKED, 1)}
        style: dict[str, Any] = {"color": colour(number), "linestyle": LINES[number % len(LINES)], **marks}
        ax.plot(steps, values, color=colour(number), linewidth=0.6, alpha=0.45, gid="raw")
        ax.plot(steps, smooth(values, window), linewidth=2.0, label=label, gid="smoothed", **style)
    every = np.concatenate([values[np.isfinite(values)] for values in curves.values()])
    if every.min() > 0 and every.max() > WIDE * every.min():
        _logarithmic(ax)
    ax.set_xlabel(f"step\nthin: entries of the log; thick: mean of {window} entries" if window > 1 else "step")
    ax.set_ylabel("loss (logarithmic)" if ax.get_yscale() == "log" else "loss")
    keyed(ax, [line for line in ax.get_lines() if line.get_gid() == "smoothed"], columns=2)
    return titled(ax, _sentence(steps, smooth(curves[next(iter(curves))], window)))


def _logarithmic(ax: Axes) -> None:
    """A logarithmic axis whose ticks are plain numbers at 1, 2 and 5: matplotlib's own would be mathematics."""
    from matplotlib.ticker import LogLocator, NullFormatter

    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())


def _curves(history: Sequence[Mapping[str, Any]]) -> dict[str, Floats]:
    """Values by label; NaN where an entry lacks a term."""
    found = {
        name: np.array([entry.get(name, math.nan) for entry in history], dtype=float)
        for name in TERMS
        if any(name in entry for entry in history)
    }
    terms = [name for name in found if name != "loss"]
    if len(terms) == 1 and np.allclose(found["loss"], found[terms[0]], rtol=1e-3, atol=0, equal_nan=False):
        return {f"loss, all of it {TERMS[terms[0]]}": found["loss"]}
    return {TERMS[name]: values for name, values in found.items()}


def _window(entries: int) -> int:
    """An odd number of entries, about a twelfth of all: short enough to show a turn, long enough to quiet the noise."""
    return 2 * (entries // 24) + 1


def smooth(values: Floats, window: int) -> Floats:
    """The mean over a window about each value, cut at the ends.

    Args:
        values: (n,); NaN where there is none, which is left out of the means.
        window: an odd number of values.

    Returns:
        (n,); NaN where the window holds no value.
    """
    known = np.isfinite(values)
    ones = np.ones(window)
    half = window // 2
    sums = np.convolve(np.where(known, values, 0.0), ones)[half : half + len(values)]
    counts = np.convolve(known.astype(float), ones)[half : half + len(values)].round()
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Floats = np.where(counts > 0, sums / counts, np.nan)
    return means


def _sentence(steps: Floats, loss: Floats) -> str:
    """What is seen: how far the loss fell, and when most of it was done."""
    first, last = float(loss[0]), float(loss[-1])
    over = f"over {steps[-1]:,.0f} steps"
    if len(loss) == 1:
        return f"The loss was {first:.3g} after {steps[-1]:,.0f} steps"
    if last >= first:
        return f"The loss did not fall: {first:.3g} at first, {last:.3g} at last, {over}"
    done = steps[np.flatnonzero(loss <= first - 0.9 * (first - last))[0]]
    return f"The loss fell from {first:.3g} to {last:.3g} {over}; 90 % of the fall was made by step {done:,.0f}"
