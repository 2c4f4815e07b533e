"""Comparisons as tables: for print, and with every number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fairbench.comparison import Comparison, Comparisons, Difference
from fairbench.reporting.sheets import Cell, Notes, Row, Sheet, level_note
from fairbench.wording import figure, interval_text, p_figure

if TYPE_CHECKING:
    import pandas as pd


def comparison_sheets(comparisons: Comparisons) -> tuple[Sheet, ...]:
    """A table for each model that was compared with the baseline: difference [interval], p, Holm's p and the verdict."""
    family = len(comparisons.family)
    said = (
        level_note(1 - comparisons.alpha),
        f"Holm p is corrected over the {family} tests of headline metrics of this comparison." if family else "",
        "Detectable: the smallest difference that would have been found with 80 % power.",
    )
    names = ("Task", "Metric", "Baseline", "Model", "Difference", "n", "p", "Holm p", "Detectable", "Verdict")
    head = (tuple(map(Cell, names)),)
    return tuple(
        _compared(comparison, head, f"comparison-{place + 1}", said) for place, comparison in enumerate(comparisons.comparisons)
    )


def _compared(comparison: Comparison, head: tuple[Row, ...], name: str, said: Sequence[str]) -> Sheet:
    notes = Notes()
    rows = tuple(_difference_row(one, notes) for one in comparison.differences)
    refused = (
        f"Not compared: {one.column}. {one.why or _differ(one.field, one.baseline, one.model)}" for one in comparison.refused
    )
    caption = f"{comparison.model} beside its baseline {comparison.baseline}."
    return Sheet(name, caption, head, (("", rows),), notes.listed([*said, *comparison.price, *refused]))


def _differ(field: str, baseline: Any, model: Any) -> str:
    return f"{field} is {baseline} in the baseline and {model} in the model."


def _difference_row(one: Difference, notes: Notes) -> Row:
    """One difference as cells."""
    said = [f"Undefined: {one.undefined}."] if one.undefined else []
    marks = notes.of([*said, *one.warnings])
    difference = "undefined" if one.difference is None else " ".join([figure(one.difference), *_between(one)])
    numbers = (
        (figure(one.baseline.value), ()),
        (figure(one.model.value), ()),
        (difference, marks),
        (str(one.n), ()),
        (p_figure(one.p.value if one.p else None), ()),
        (p_figure(one.p_holm), ()),
        (figure(one.detectable), ()),
    )
    metric = Cell(one.metric, notes.of([f"With {one.variant}." if one.variant else ""]))
    return (Cell(one.task), metric, *(Cell(t, m, number=True) for t, m in numbers), Cell(one.said or one.verdict))


def _between(one: Difference) -> Iterator[str]:
    if one.interval:
        yield interval_text(one.interval)


def comparison_table(comparisons: Comparisons) -> pd.DataFrame:
    """Differences as a table: a row for each, and one for each group; undefined is null with its reason."""
    import pandas as pd

    rows = []
    for comparison in comparisons.comparisons:
        for one in comparison.differences:
            rows.append(_flat(comparison, one, ""))
            rows += [_flat(comparison, group, name) for name, group in one.by_group.items()]
    return pd.DataFrame(rows)


def _flat(comparison: Comparison, one: Difference, group: str) -> dict[str, Any]:
    names = (
        "difference",
        "stderr",
        "p_holm",
        "detectable",
        "distance",
        "worse_by",
        "margin",
        "passed",
        "verdict",
        "said",
        "n",
        "unit",
    )
    p, between, flips = one.p, one.interval, one.flips
    return {
        "baseline": comparison.baseline,
        "model": comparison.model,
        **{name: getattr(one, name) for name in ("kind", "task", "metric", "variant", "column", "headline")},
        "group": group,
        "baseline_value": one.baseline.value,
        "model_value": one.model.value,
        **{name: getattr(one, name) for name in names},
        "low": between.low if between else None,
        "high": between.high if between else None,
        "p": p.value if p else None,
        "p_method": p.method if p else None,
        "nfr": flips.nfr if flips else None,
        "undefined": one.undefined,
        "warnings": list(one.warnings),
        "left_out": [f"{count} left out: {reason}" for reason, count in one.left_out.items()],
    }
