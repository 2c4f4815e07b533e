"""Scores and spreads in words: figures as a person reads them, and what must be read beside a value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fairbench.quality import RULES
from fairbench.scores import Interval, Score

if TYPE_CHECKING:
    from fairbench.sweeps.spreads import Spread

LABELS = {
    "ces_se": "standard error of the combined effect size",
    "tau2": "tau^2, variance between draws",
    "i2": "I^2, share of the spread that is between draws",
    "q": "Q, spread of the draws about the combined effect size",
    "draws_kept": "draws that have spread",
    "es_mean": "mean of the draws' effect sizes",
    "es_sd": "sd of the draws' effect sizes",
    "es_2.5%": "2.5th percentile of the draws' effect sizes",
    "es_50%": "median of the draws' effect sizes",
    "es_97.5%": "97.5th percentile of the draws' effect sizes",
}
"""Details whose names in the files are short."""

NOTION_LABELS = {
    "judge_gap": "gap that the judge alone finds in neutral sentences",
    "refusal_gap": "gap of the refusal rate",
}
"""Details that there is one of for each notion of groups, as <name>.<notion>."""

LEAST_P = 1e-300
"""Below it a p-value is a statement about floating point."""


def figure(value: float | None) -> str:
    """A number as a person reads it: four significant figures, more before the point where there are."""
    if value is None or value != value:  # NaN: the rate of a group has no ideal
        return "-"
    return f"{value:.0f}" if 10_000 <= abs(value) < 10_000_000 else f"{value:.4g}"


def interval_text(interval: Interval | None) -> str:
    """The interval in brackets, or a dash."""
    return f"[{figure(interval.low)}, {figure(interval.high)}]" if interval else "-"


def p_text(score: Score) -> str:
    """The p-value, or a dash."""
    return p_figure(score.p_value)


def p_figure(p: float | None) -> str:
    """A p as a person reads it, or a dash."""
    if p is None or p != p:  # NaN: a table has no other way to say that there is none
        return "-"
    return "<1e-4" if p < 1e-4 else f"{p:.2g}"


def published_text(p: float) -> str:
    """The p of a published definition, which may be as small as a number can be."""
    return f"<{LEAST_P:g}" if p < LEAST_P else f"{p:.2g}"


def n_text(n: int, n_total: int | None) -> str:
    """How many units were used, and of how many where there were more."""
    return str(n) if n_total in (None, n) else f"{n} of {n_total}"


def left_out_text(reason: str, count: int) -> str:
    """How many rows were not used, and why."""
    return f"{count} left out {reason}" if reason.startswith("to ") else f"{count} left out, {reason}"


def flagged_text(score: Score) -> str:
    """How many records rules of pair quality flag, and which rules."""
    if score.clean is None:
        return ""
    if not score.flags:
        return "no record breaks a rule of pair quality"
    rules = ", ".join(f"{rule.replace('_', ' ')} {count}" for rule, count in score.flags.items())
    flagged = score.n_records - score.clean.n_records
    return f"{flagged} of {score.n_records} records break rules of pair quality ({rules}); clean is the score without them"


def beside_text(score: Score) -> str:
    """What must be read beside a value, in a line: its range without one unit, what chance alone gives, the spread of draws."""
    said = []
    if one := score.leave_one_out:
        unit = "word" if score.unit == "cluster" else score.unit
        said.append(f"without one {unit} {figure(one.low)} ({one.low_without}) to {figure(one.high)} ({one.high_without})")
    if score.floor is not None:
        said.append(f"floor {figure(score.floor)}, to be expected by chance")
    judged = [value for key, value in score.details.items() if key.startswith("judge_gap.")]
    if judged:
        said.append(f"judge alone, in neutral sentences, up to {figure(max(judged))}")
    if refused := score.details.get("refusal_rate"):
        said.append(f"{100 * refused:.3g} % refusals")
    if "es_2.5%" in score.details:
        low, high = figure(score.details["es_2.5%"]), figure(score.details["es_97.5%"])
        said.append(f"95 % of the draws' effect sizes {low} to {high}")
    if score.p_published is not None:
        said.append(f"published p {published_text(score.p_published)}")
    return "; ".join(said)


def score_lines(score: Score) -> Iterator[str]:
    """What a score carries beside its value: the test, its range without one unit, details, counts, what was left out."""
    if score.interval:
        yield f"interval: {score.interval.method}"
    if score.p_method:
        yield f"p {p_text(score)}: {score.p_method}"
    if score.floor is not None:
        yield f"floor {figure(score.floor)}: the value to be expected by chance, where there is no difference"
    if score.p_published is not None:
        yield f"p of the published definition: {published_text(score.p_published)}"
    if score.leave_one_out:
        one = score.leave_one_out
        yield (
            f"without one of {one.units} {score.unit}s: from {figure(one.low)} without {one.low_without!r} to {figure(one.high)} "
            f"without {one.high_without!r}"
        )
    yield from (f"{_label(key)}: {figure(value)}" for key, value in score.details.items())
    yield from (f"{key.replace('_', ' ')}: {count}" for key, count in score.counts.items())
    yield from filter(None, [flagged_text(score)])
    yield from (f"  {rule.replace('_', ' ')} {count}: {RULES.get(rule, '')}" for rule, count in score.flags.items())
    yield from (left_out_text(reason, count) for reason, count in score.left_out.items())


def _label(key: str) -> str:
    """What a detail is called."""
    name, _, notion = key.partition(".")
    if notion and name in NOTION_LABELS:
        return f"{NOTION_LABELS[name]}, {notion}"
    return LABELS.get(key, key.replace("_", " "))


def spread_text(spread: Spread) -> str:
    """A spread in words."""
    s = spread.summary()
    axes = spread.axes[0] if len(spread.axes) == 1 else f"{', '.join(spread.axes[:-1])} and {spread.axes[-1]}"
    over, defined = f"over {s['choices']} choices of {axes}", s["choices"] - s["undefined"]
    if not defined:
        return f"{over} it has no value."
    said = f"{over} it runs from {figure(s['low'])} to {figure(s['high'])} (mean {figure(s['mean'])}, sd {figure(s['sd'])})"
    of = f"{s['same_side']} of {defined}{' with a value' if s['undefined'] else ''}"
    if s["default"] is None:
        side = "the default has no value"
    elif s["default"] == s["ideal"]:
        side = f"the default is at the ideal, {figure(s['ideal'])}, and so are {of}"
    else:
        side = f"{of} lie on the default's side of the ideal {figure(s['ideal'])} (default {figure(s['default'])})"
    return f"{said}; {side}" + (f"; {s['undefined']} undefined" if s["undefined"] else "") + "."
