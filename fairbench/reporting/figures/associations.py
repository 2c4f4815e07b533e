"""Effect sizes of association tests beside each other: a row a test, its interval, its p, and how much the draws differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.errors import FairbenchError
from fairbench.reporting.figures.forest import within
from fairbench.reporting.figures.style import FAINT, PALE, colour, ideal_line, marker, tall, text, titled
from fairbench.tidy import require_columns

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

NEEDED = ("model", "task", "metric", "variant", "value", "low", "high", "level", "p_value", "n", "ideal", "undefined", "limited")

SPREAD = ("es_2.5%", "es_97.5%")
"""Details of a CEAT result: 95 % of the draws' effect sizes lie between them."""

MOST = 40
"""Rows that are drawn; the table holds all."""

BRIGHT = 7
"""Colours that thin lines on white can have; the yellow after them can't."""

LEAST, LINE = 0.32, 0.15
"""Inches that a row takes at least, and each line of its label."""

BELOW, THIN = 0.09, 0.05
"""How far under its row the thin bar of the draws lies, and how thick it is, inches."""


def forest(rows: pd.DataFrame, ax: Axes, details: Mapping[str, Mapping[str, float]] | None = None) -> Axes:
    """Effect sizes of association tests (WEAT, SEAT, CEAT) with their intervals against the ideal.

    A filled marker has an interval that excludes the ideal, a hollow one an interval that holds it, and a grey cross has no
    interval. The thin grey bar under a row holds 95 % of
    the effect sizes of CEAT's draws: how far the effect moves with the sentences that the words are met in. The interval is over
    words and takes the sentences as they are, so neither holds the other.

    Args:
        rows: of the tidy table, one for each test (part "whole"), of metrics with one ideal; drawn in this order. Of more than 40
            those that lie farthest from the ideal are drawn, and the axis says how many are left to the table.
        ax: the only Axes of its figure, which gets the height that the rows need.
        details: `score.details` of results by the column `file` of the rows; only CEAT's say anything of draws.

    Returns:
        The Axes.

    Raises:
        FairbenchError: a column is absent, there are no rows, or they have several ideals.
    """
    require_columns(rows, (*NEEDED, *(("file",) if details else ())))
    ideal = _ideal(rows)
    shown = _shown(rows)
    spreads = [_spread(details, row) for row in shown.to_dict("records")]
    codes = shown["model" if shown["model"].nunique() > 1 else "metric"].astype("category").cat.codes.tolist()
    labels = labels_of(shown)
    heights = np.array([max(LEAST, 0.08 + LINE * (label.count("\n") + 1)) for label in labels])
    places = (np.cumsum(heights) - heights / 2).tolist()
    tall(ax, float(heights.sum()), each=1.0, around=1.3)
    _across(ax, shown, spreads, ideal)
    ideal_line(ax, ideal)
    for y, row, spread, code in zip(places, shown.to_dict("records"), spreads, codes, strict=True):
        _draw(ax, y, row, spread, code % BRIGHT)
    _columns(ax, shown, spreads, places)
    ax.set_yticks(places, labels)
    ax.set_ylim(float(heights.sum()), 0)
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(_key(shown, len(rows) - len(shown), any(spreads)))
    return titled(ax, _sentence(rows, ideal))


def labels_of(rows: pd.DataFrame) -> list[str]:
    """What each row is called: its task, and on lines of their own what else tells it from the others; safe to be drawn."""
    one_model = rows["model"].nunique() == 1
    again = rows.duplicated(["task", "metric", "model"], keep=False).tolist()
    labels = []
    for row, twice in zip(rows.to_dict("records"), again, strict=True):
        task, metric = str(row["task"]), str(row["metric"])
        names = [task if task.startswith(metric) else f"{task} · {metric}"]
        names += [str(row["variant"])] if twice and row["variant"] else []
        names += [] if one_model else [str(row["model"])]
        # Long names of tests may be broken after an underscore; each name is cut by itself, so that none pushes out another.
        lines = [text(name.replace("_", "_ "), 30, lines=2).replace("_ ", "_") for name in names]
        labels.append("\n".join(line or "(no name)" for line in lines) + (" (trial)" if row["limited"] else ""))
    return labels


def _ideal(rows: pd.DataFrame) -> float:
    """The one ideal of the rows; refuses rows that have several."""
    ideals = rows["ideal"].dropna().unique()
    if not len(rows) or len(ideals) > 1:
        found = f"{len(ideals)} ideals" if len(rows) else "no rows"
        raise FairbenchError(f"A forest of effect sizes got {found}. Wanted one or more tests that share one ideal.")
    return float(ideals[0]) if len(ideals) else 0.0


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that are drawn, in their order."""
    if len(rows) <= MOST:
        return rows
    far = (rows["value"] - rows["ideal"]).abs().fillna(-1.0).to_numpy()
    return rows.iloc[np.sort(np.argsort(-far, kind="stable")[:MOST])]


def _spread(details: Mapping[str, Mapping[str, float]] | None, row: Mapping[Any, Any]) -> Mapping[str, float]:
    """What a result says of its draws, empty where it says nothing."""
    found = details.get(str(row["file"]), {}) if details else {}
    return found if all(found.get(name) is not None for name in SPREAD) else {}


def _apart(row: Mapping[Any, Any]) -> bool:
    """Whether the interval excludes the ideal."""
    return bool(row["low"] > row["ideal"] or row["high"] < row["ideal"])


def _across(ax: Axes, rows: pd.DataFrame, spreads: Sequence[Mapping[str, float]], ideal: float) -> None:
    """Limits that hold all that is drawn, and few enough ticks: beside the names and the columns the axis is short."""
    from matplotlib.ticker import MaxNLocator

    numbers = [float(one) for name in ("value", "low", "high") for one in rows[name]]
    within(ax, [ideal, *numbers, *(float(spread[name]) for spread in spreads if spread for name in SPREAD)])
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))


def _draw(ax: Axes, y: float, row: Mapping[Any, Any], spread: Mapping[str, float], code: int) -> None:
    """One test: marker, interval, and the thin bar of its draws."""
    if not np.isfinite(row["value"]):
        why = text(f"undefined: {row['undefined'] or 'no reason is given'}", 30, lines=2)
        place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": 8, "style": "italic"}
        ax.annotate(why, (0.01, y), color=FAINT, gid="undefined", bbox={"color": "white", "pad": 1}, **place)
        return
    if spread:
        low, high = (float(spread[name]) for name in SPREAD)
        ax.barh(y + BELOW, high - low, THIN, left=low, color=PALE, edgecolor=FAINT, linewidth=0.6, gid="draws")
    if np.isfinite(row["low"]):
        ax.hlines(y, row["low"], row["high"], color=colour(code), linewidth=2.0, gid="interval")
    bare = not np.isfinite(row["low"])
    face, edge = (colour(code) if _apart(row) else "white"), (FAINT if bare else colour(code))
    style: dict[str, Any] = {"markersize": 6.5, "markerfacecolor": face, "markeredgecolor": edge, "markeredgewidth": 1.4}
    ax.plot([row["value"]], [y], "x" if bare else marker(code), gid="value", zorder=3, **style)


def _columns(ax: Axes, rows: pd.DataFrame, spreads: Sequence[Mapping[str, float]], places: Sequence[float]) -> None:
    """Figures beside the rows: the effect size, p, words, and of CEAT the share of the spread that is between draws."""
    columns = {
        "effect": [f"{value:.2f}".replace("-", "−") if np.isfinite(value) else "-" for value in rows["value"]],
        "p": [_p(p) if np.isfinite(value) else "-" for p, value in zip(rows["p_value"], rows["value"], strict=True)],
        "n": [f"{n:,}" for n in rows["n"]],
    }
    if any(spreads):
        known = [spread.get("i2") if np.isfinite(value) else None for spread, value in zip(spreads, rows["value"], strict=True)]
        columns["I²"] = ["-" if share is None else f"{share:.2f}" for share in known]
    for column, (name, entries) in enumerate(columns.items()):
        place: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "fontsize": 8, "gid": name}
        across = 42 + 42 * column
        ax.annotate(name, (1, 1), (across, 3), xycoords="axes fraction", fontweight="bold", **place)
        for y, entry in zip(places, entries, strict=True):
            ax.annotate(entry, (1, y), (across, 0), xycoords=("axes fraction", "data"), va="center", **place)


def _p(value: float) -> str:
    """A p-value in few letters, or a dash."""
    return "-" if not np.isfinite(value) else "<1e-4" if value < 1e-4 else f"{value:.2g}"


def _key(rows: pd.DataFrame, left: int, draws: bool) -> str:
    """How to read it."""
    levels = ", ".join(f"{100 * level:.4g} %" for level in sorted(rows["level"].dropna().unique()))
    said = [f"effect size with its {levels} interval over words" if levels else "effect size, without interval"]
    if levels:
        said.append("filled: the interval excludes the ideal")
        if (rows["value"].notna() & rows["low"].isna()).any():
            said.append("grey cross: no interval")
    if draws:
        said.append("thin bar: 95 % of the draws' effect sizes")
    if left:
        said.append(f"the {left} nearest to the ideal are in the table only")
    return text("; ".join(said), 76)


def _sentence(rows: pd.DataFrame, ideal: float) -> str:
    """What is seen."""
    known = rows[rows["value"].notna()]
    if not len(known):
        return f"None of {len(rows)} effect sizes is defined"
    apart = sum(_apart(row) for row in known.to_dict("records"))
    tested = int(known["low"].notna().sum())
    best = int(np.argmax((known["value"] - ideal).abs().to_numpy()))
    name, value = labels_of(known)[best].replace("_\n", "_").replace("\n", ", "), f"{known['value'].iloc[best]:.2f}"
    value = value.replace("-", "−")
    if len(known) == 1:
        holds = f"its interval {'excludes' if apart else 'holds'} {ideal:g}" if tested else "it has no interval"
        return f"The effect of {name} is {value}; {holds}"
    said = f"{apart} of {tested} tests {'has' if apart == 1 else 'have'} an interval that excludes {ideal:g}"
    said = said if tested else "No test has an interval"
    bare = len(known) - tested if tested else 0
    said += f", {bare} {'has' if bare == 1 else 'have'} no interval" if bare else ""
    return f"{said}; the largest effect is {value} ({name})"
