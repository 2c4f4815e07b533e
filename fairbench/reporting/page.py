"""The page: a report as one HTML file that needs nothing else: no network, no script, no screen even."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairbench.comparison import NOT_SCORED
from fairbench.comparison.correlation import FEW_MODELS
from fairbench.files import whole_file
from fairbench.reporting.markup import breakable, drawing, named, policy, shown
from fairbench.reporting.provenance import SHARED, about, flat, provenance
from fairbench.reporting.rows import counted, present, probability, rows
from fairbench.reporting.summary import KINDS, summaries
from fairbench.scores import Interval
from fairbench.wording import figure, interval_text, left_out_text

if TYPE_CHECKING:
    from jinja2 import Environment

    from fairbench.comparison import Difference
    from fairbench.comparison.tradeoff import Tradeoff
    from fairbench.reporting.contents import Report

TEMPLATE, STYLE, SCRIPT = "page.html.j2", "page.css", "page.js"

FLIPS_SHOWN = 50
"""Flips of either direction that are listed of one metric; how many more there are is said."""

FIGURES_SHOWN = 6
"""Figures of one section that are shown at once; the others are behind a click."""

LONGEST_TEXT = 600
"""Of longer texts (continuations) the rest is behind a click."""

OF_A_COMPARISON = "compared-"
"""How names of figures begin that set one model beside the baseline."""

FILTERS = ("model", "kind", "task", "metric")
"""Columns of the scores that can be chosen from."""


def page(report: Report) -> str:
    """A report as HTML.

    Args:
        report: what it says.

    Returns:
        The whole file: styles, script and drawings are in it, and its content security policy forbids to load anything.

    Raises:
        FairbenchError: the table lacks columns of the tidy table, or a drawing holds more than shapes and text.
    """
    from markupsafe import Markup

    environment = _environment()
    script = _source(environment, SCRIPT)
    scores = rows(report)
    origins = provenance(report.results)
    figures = _figures(report)
    beside = _beside(report, figures)
    return environment.get_template(TEMPLATE).render(
        report=report,
        rows=scores,
        summaries=summaries(scores),
        choices={name: _choices(getattr(row, name) for row in scores) for name in FILTERS},
        levels=sorted({f"{100 * level:g} %" for row in scores if (level := present(row.raw["level"])) is not None}),
        figures=figures,
        beside=beside,
        origins=origins,
        by_file=origins.by_file,
        script=Markup(script),  # ours
        style=Markup(_source(environment, STYLE)),  # ours
        policy=policy(script),
    )


def write_page(report: Report, path: Path) -> Path:
    """Writes the page, whole or not at all.

    Args:
        report: what it says.
        path: of the file; its folder is made where it is absent.

    Returns:
        The path.
    """
    text = page(report)
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return path


def _environment() -> Environment:
    """Templates in which every text is escaped, and a name that is not there is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("fairbench.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "figure": lambda value: figure(present(value)),
        "between": interval_text,
        "p": probability,
        "named": named,
        "name": breakable,
        "counted": counted,
        "flat": flat,
        "key": _key,
    }
    environment.globals |= {"left_out_text": left_out_text, "between": _between, "kinds": KINDS, "shared": SHARED}
    environment.globals |= {"about": about, "besides": _besides, "where_to": _where_to, "rest": _rest, "not_scored": NOT_SCORED}
    environment.globals |= {
        "flips_shown": FLIPS_SHOWN,
        "figures_shown": FIGURES_SHOWN,
        "longest": LONGEST_TEXT,
        "few_models": FEW_MODELS,
    }
    return environment


def _source(environment: Environment, name: str) -> str:
    """A file beside the template that is put into the page as it is."""
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _key(value: Any) -> str:
    """What a table sorts by; empty where there is nothing, which sorts last."""
    value = present(value)
    return "" if value is None else f"{value:.6g}"


def _between(low: float | None, high: float | None) -> str:
    """An interval of which only the ends are known."""
    low, high = present(low), present(high)
    return interval_text(None if low is None or high is None else Interval(low, high, math.nan, ""))


def _choices(values: Iterable[str]) -> Mapping[str, int]:
    """The different values of a column with their numbers, by which the script knows them."""
    return {value: at for at, value in enumerate(sorted(set(values)))}


def _figures(report: Report) -> dict[str, list[tuple[Any, Any]]]:
    """The figures of each section with their drawings."""
    found: dict[str, list[tuple[Any, Any]]] = {}
    for one in report.figures:
        found.setdefault(one.section, []).append((one, drawing(one.name, one.svg, one.described)))
    return found


def _beside(report: Report, figures: dict[str, list[tuple[Any, Any]]]) -> list[tuple[Any, Any] | None]:
    """For each comparison the figure of it, which is taken out of the section's figures: it stands at the comparison's table.

    Figures of comparisons come in the order of these; a comparison in which nothing is defined has none.
    """
    if report.comparisons is None:
        return []
    drawn = [bool([one for one in pair.differences if one.difference is not None]) for pair in report.comparisons.comparisons]
    own = [pair for pair in figures.get("comparison", []) if pair[0].name.startswith(OF_A_COMPARISON)]
    if len(own) != sum(drawn):  # not ours: all of them stay in the section
        return [None] * len(drawn)
    figures["comparison"] = [pair for pair in figures.get("comparison", []) if pair not in own]
    following = iter(own)
    return [next(following) if has else None for has in drawn]


def _where_to(one: Difference) -> str:
    """Of a difference that was found where it goes: its sentence without what the gate says."""
    return one.said.partition("; ")[0] or one.verdict


def _rest(one: Difference) -> str:
    """What the sentence of a difference says more than the table, which has the verdict and what could have been seen."""
    told = one.verdict in ("differs", "no difference detected")
    return one.said.partition("; ")[2] if told else one.said


def _besides(one: Tradeoff) -> list[str]:
    """What a trade-off warns of, without the models that have no place: the page lists these by itself."""
    return [text for text in one.warnings if not (one.left_out and text.startswith(f"{len(one.left_out)} left out: "))]
