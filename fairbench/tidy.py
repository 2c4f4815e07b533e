"""One tidy table of all results: a row a number, with everything that it takes to print it. Figures, tables and pages read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fairbench.errors import FairbenchError
from fairbench.registry import Registry
from fairbench.scores import MetricInfo, Score

if TYPE_CHECKING:
    import pandas as pd

    from fairbench.collection import Collection, Found

WHOLE, CLEAN, WITHOUT_REFUSALS, GROUP = "whole", "clean", "without refusals", "group"
"""What part of the records a row is about: all of them, those that no rule flags, those that are no refusals, or one group."""

COLUMNS: Mapping[str, str] = {
    "model": "what the model is called, unique in the table",
    "kind": "intrinsic, extrinsic or utility",
    "task": "name of the task",
    "metric": "name of the metric, with the notion whose groups it compares",
    "variant": "choices that are not the default; empty where none was moved",
    "column": "<task>/<metric>[@choices]: rows with the same one are comparable",
    "title": "the metric in words",
    "headline": "whether the metric is one of those that comparisons correct for; null where its card is not at hand",
    "part": "whole, clean, without refusals, group",
    "group": "name of the group; empty for other parts",
    "value": "the number; null where undefined",
    "low": "lower end of the interval",
    "high": "upper end of the interval",
    "level": "confidence of the interval",
    "interval_method": "how the interval was found",
    "stderr": "standard deviation of the draws",
    "p_value": "of value = ideal",
    "p_method": "which test",
    "p_published": "p of the published definition, where it differs",
    "n": "units used",
    "n_total": "units there were",
    "n_records": "rows used",
    "unit": "record, cluster or stratum",
    "ideal": "the unbiased (of utility: the best) value",
    "direction": "what a larger value means",
    "floor": "of an unsigned figure the value to be expected by chance alone",
    "distance": "|value - ideal|",
    "least": "the smallest value that the metric can have; null where its card is not at hand",
    "most": "the largest value that the metric can have; null where its card is not at hand",
    "undefined": "why there is no value",
    "warnings": "list of sentences that belong beside the number",
    "left_out": "list of texts: how many rows were not used, and why",
    "limited": "whether it is a trial over some of the records only",
    "scorer": "scorer, pooling or decoding in short, as far as the probe has such an option",
    "task_version": "version of the task",
    "metric_version": "version of the metric",
    "records_sha256": "digest of all records that were asked",
    "answers_sha256": "digest of the answers",
    "file": "the result file, below the folder that was given",
}
"""Columns of the table, and what each holds."""

PROBE_CHOICES = ("scorer", "pooling", "layer", "do_sample", "temperature", "top_p", "samples", "sampling_seed", "by")


def tidy(collection: Collection, registry: Registry | None = None) -> pd.DataFrame:
    """All scores of a collection.

    Args:
        collection: the results.
        registry: where the metrics' cards are looked up, for their ranges; that of this installation where null.

    Returns:
        A row for each score, each clean score, each score without refusals and each group; the columns are COLUMNS.
    """
    import pandas as pd

    cards = (registry or Registry()).metrics()
    rows = [row for found in collection.found for row in _rows(found, cards.get(found.result.metric["name"]), collection)]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = ("value", "low", "high", "level", "stderr", "p_value", "p_published", "ideal", "floor", "distance", "least", "most")
    words = ("headline", "p_method", "interval_method", "undefined")
    absent = {name: table[name].astype(object).where(table[name].notna(), None) for name in words}
    return table.assign(**absent).astype(dict.fromkeys(numbers, float))


def _rows(found: Found, card: MetricInfo | None, collection: Collection) -> Iterator[dict[str, Any]]:
    """A row for each part of a result."""
    result = found.result
    same = {
        "model": found.label,
        "kind": result.metric["kind"] if card is None else card.kind,
        "task": found.task,
        "metric": found.metric,
        "variant": found.variant,
        "column": found.column,
        "title": result.metric["title"],
        "headline": None if card is None else card.headline,
        "least": None if card is None else card.low,
        "most": None if card is None else card.high,
        "limited": found.limited,
        "scorer": ", ".join(f"{k} {v}" for k, v in result.probe["options"].items() if k in PROBE_CHOICES),
        "task_version": result.task["version"],
        "metric_version": result.metric["version"],
        "records_sha256": result.task.get("records_sha256"),
        "answers_sha256": result.answers["sha256"],
        "file": below(found, collection),
    }
    for part, group, score in parts(result.score):
        yield {**same, "part": part, "group": group, **_of(score)}


def parts(score: Score) -> Iterator[tuple[str, str, Score]]:
    """A score with those that it holds: which part of the records each is about, and of which group."""
    yield WHOLE, "", score
    if score.clean is not None and score.flags:
        yield CLEAN, "", score.clean
    if score.without_refusals is not None:
        yield WITHOUT_REFUSALS, "", score.without_refusals
    yield from ((GROUP, name, one) for name, one in score.by_group.items())


def _of(score: Score) -> dict[str, Any]:
    between = score.interval
    return {
        "value": score.value,
        "low": between.low if between else None,
        "high": between.high if between else None,
        "level": between.level if between else None,
        "interval_method": between.method if between else None,
        "distance": None if score.value is None or score.ideal is None else abs(score.value - score.ideal),
        "warnings": list(score.warnings),
        "left_out": [f"{count} left out: {reason}" for reason, count in score.left_out.items()],
        **{name: getattr(score, name) for name in ("stderr", "p_value", "p_method", "p_published", "n", "n_total", "n_records")},
        **{name: getattr(score, name) for name in ("unit", "ideal", "direction", "floor", "undefined")},
    }


def below(found: Found, collection: Collection) -> str:
    """The file below the folder that was given, so that no table tells where that folder lies."""
    for root in collection.roots:
        for folder in (root, root.resolve()):
            if found.path.is_relative_to(folder):
                return found.path.relative_to(folder).as_posix()
    return found.path.name


def require_columns(table: pd.DataFrame, wanted: Iterable[str]) -> None:
    """Refuses a table that lacks columns of the tidy table.

    Raises:
        FairbenchError: a column is absent.
    """
    absent = [name for name in wanted if name not in table.columns]
    if absent:
        raise FairbenchError(
            f"The table has no column {', '.join(map(repr, absent))}. Wanted the tidy table of results, `fairbench.tidy.tidy`."
        )
