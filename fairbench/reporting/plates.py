"""Which figures a report has: what each is drawn from, and what is said under it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.collection import Found
from fairbench.comparison.sharing import answers_of
from fairbench.errors import FairbenchError, Undefined
from fairbench.registry import Registry
from fairbench.reporting.contents import Report
from fairbench.reporting.plate import DESCRIBED, MOST_OF_A_KIND, Plate, file_names
from fairbench.reporting.plates_between import between_models
from fairbench.tables import complete, usable
from fairbench.tidy import GROUP, WHOLE
from fairbench.wording import figure, interval_text

if TYPE_CHECKING:
    import pandas as pd

MOST_TESTS = 40
"""Association tests that stand in one figure."""


def plates(report: Report, found: Sequence[Found]) -> Iterator[Plate]:
    """The figures that follow from results: scores, groups, heat map, association tests, comparison, trade-off, correlation.

    Args:
        report: with its table and what was compared; its figures are not looked at.
        found: the results behind the table.
    """
    whole = report.table[report.table["part"] == WHOLE]
    tests = whole["metric"].isin([name for name, card in report.metrics.items() if card.reads == "Association"])
    yield from _scores(whole[~tests])
    yield from _heatmap(whole[~tests])
    yield from _groups(report.table)
    yield from _associations(whole[tests], found)
    yield from between_models(report)


def _scores(whole: pd.DataFrame) -> Iterator[Plate]:
    """A figure for each headline metric of bias; association tests have figures of their own."""
    from fairbench.reporting.figures.scores import scores

    shown = whole[(whole["headline"] == True) & (whole["kind"] != "utility")]  # noqa: E712  null is neither
    for metric, rows in _largest(shown, "metric"):
        yield Plate(
            f"scores-{metric}",
            "scores",
            lambda ax, rows=rows: scores(rows, ax),  # type: ignore[misc]
            f"{rows.iloc[0]['title']}. {_direction(rows)} Whiskers are intervals; n stands at the right.",
            _listed(rows),
            _common(rows, "metric", "task", "model"),
        )


def _heatmap(whole: pd.DataFrame) -> Iterator[Plate]:
    from fairbench.reporting.figures.heatmap import heatmap

    several = whole.groupby("column")["model"].nunique()
    rows = whole[(whole["headline"] == True) & whole["column"].isin(several[several > 1].index)]  # noqa: E712
    if rows.empty:
        return
    yield Plate(
        "heatmap",
        "scores",
        lambda ax: heatmap(rows, ax),
        "Distance of each headline score from its ideal, as a share of the largest distance that the metric can have. Only what "
        "two models or more were scored on, and no embedding tests, whose sizes are not comparable. Rows are not to be added up: "
        "intrinsic and extrinsic scores differ in kind.",
        _listed(rows),
    )


def _groups(table: pd.DataFrame) -> Iterator[Plate]:
    from fairbench.reporting.figures.groups import groups

    headline = table[table["headline"] == True]  # noqa: E712
    grouped = headline[headline["file"].isin(headline.loc[headline["part"] == GROUP, "file"])]
    for _, rows in _largest(grouped, "file"):
        first = rows.iloc[0]
        yield Plate(
            f"groups-{first['model']}-{first['column']}",
            "groups",
            lambda ax, rows=rows: groups(rows, ax),  # type: ignore[misc]
            f"{first['title']}, {first['task']}, {first['model']}: the figure of each group with its interval and n.",
            _listed(rows[rows["part"] == GROUP], name="group"),
            _common(rows, "metric", "task", "model"),
        )


def _associations(rows: pd.DataFrame, found: Sequence[Found]) -> Iterator[Plate]:
    from fairbench.reporting.figures.associations import forest
    from fairbench.reporting.figures.effects import effects

    registry = Registry()
    details = {str(row["file"]): one.result.score.details for row, one in _with_results(rows, found)}
    for name, part in _families(rows):
        own = {file: details[file] for file in part["file"] if file in details}
        several = part["model"].nunique() > 1
        whose = "of several models" if several else f"of {part.iloc[0]['model']}"
        yield Plate(
            f"association-{name}",
            "association",
            lambda ax, part=part, own=own: forest(part, ax, own),  # type: ignore[misc]
            f"{part.iloc[0]['title']} {whose}, a test a row. No embedding test is evidence enough on its own."
            + several * " Sizes are not to be compared between models.",
            _listed(part, name="" if several else "task"),
            _common(part, "metric", "model"),
        )
        behind = {str(row["file"]): one for row, one in _with_results(part, found)}
        draws = [
            _draws(behind[row["file"]], _called(row, several), registry)
            for _, row in part.iterrows()
            if own.get(row["file"], {}).get("es_50%") is not None
        ]
        if draws:
            yield Plate(
                f"effects-{name}",
                "association",
                lambda ax, draws=draws: effects(draws, ax),  # type: ignore[misc]
                "Effect sizes of the draws of contexts: how far an effect moves with the sentences that its words are met in.",
                "; ".join(f"{one.label}: {figure(one.low)} to {figure(one.high)}" for one in draws[:DESCRIBED]),
                _common(part, "metric", "model"),
            )


def _called(row: Mapping[Any, Any] | pd.Series[Any], several: bool) -> str:
    return f"{row['task']}, {row['model']}" if several else str(row["task"])


def _families(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The tests of each metric, of all models together where a figure has room for them, else of each model."""
    for metric, part in rows.groupby("metric", sort=False):
        if len(part) <= MOST_TESTS:
            yield str(metric), part
        else:
            yield from ((f"{metric}-{model}", own) for model, own in part.groupby("model", sort=False))


def _draws(one: Found, called: str, registry: Registry) -> Any:
    """The draws of a test: all of them where its answers are kept and its metric is installed, else what its result says."""
    from fairbench.reporting.figures.effects import saved_draws, whole_draws

    name = one.result.metric["name"]
    with contextlib.suppress(Undefined, FairbenchError):  # what is wrong with answers is said of the result, not of a figure
        if name in registry.metrics() and (hook := registry.metric(name).effects) is not None:
            info = registry.metrics()[name]
            table = usable(complete(answers_of(one), info), info)[0]
            rng = np.random.default_rng(one.result.run["measure"]["seed"])
            return whole_draws(called, hook(table, rng, **one.result.metric["options"]))
    return saved_draws(called, one.result.score.details)


def _largest(table: pd.DataFrame, by: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """The parts with the most rows, in the order of the table."""
    sizes = table.groupby(by, sort=False).size().sort_values(ascending=False, kind="stable")
    kept = set(sizes.index[:MOST_OF_A_KIND])
    for name, rows in table.groupby(by, sort=False):
        if name in kept:
            yield str(name), rows


def _with_results(rows: pd.DataFrame, found: Sequence[Found]) -> Iterator[tuple[Mapping[str, Any], Found]]:
    """Rows with the result that each is of."""
    by = {(one.label, one.column): one for one in found}
    for row in rows.to_dict("records"):
        yield {str(k): v for k, v in row.items()}, by[row["model"], row["column"]]


def _common(rows: pd.DataFrame, *names: str) -> str:
    """What all rows have in common: the metric, the task, the model."""
    return ", ".join(str(rows.iloc[0][name]) for name in names if rows[name].nunique() == 1)


def _direction(rows: pd.DataFrame) -> str:
    said = list(dict.fromkeys(str(text) for text in rows["direction"]))
    return f"{said[0][:1].upper()}{said[0][1:]}." if len(said) == 1 else ""


def _listed(rows: pd.DataFrame, name: str = "") -> str:
    """Rows in words."""
    said = [_row(row, name) for row in rows.head(DESCRIBED).to_dict("records")]
    more = f"; and {len(rows) - DESCRIBED} more, which the table holds" if len(rows) > DESCRIBED else ""
    return "; ".join(said) + more


def _row(row: Mapping[Any, Any], name: str) -> str:
    from fairbench.scores import Interval

    called = str(row[name]) if name else f"{row['model']} {row['column']}"
    if row["value"] != row["value"]:
        return f"{called}: undefined"
    known = row["low"] == row["low"]
    between = Interval(row["low"], row["high"], row["level"], "") if known else None
    return f"{called}: {figure(row['value'])} {interval_text(between)}, ideal {figure(row['ideal'])}, n {row['n']}"


def unique_names(made: Iterable[Plate]) -> Iterator[Plate]:
    """The plates with names that are fit for files, no two the same."""
    plates = list(made)
    names = file_names([plate.name for plate in plates], "figure")
    return (dataclasses.replace(plate, name=name) for plate, name in zip(plates, names, strict=True))
