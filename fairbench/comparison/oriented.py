"""Scores turned so that larger is more biased, as columns over models: what correlations are found between."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairbench.comparison.axes import is_utility, known, metric_name, records
from fairbench.comparison.notions import Notion, calls_notion, group_called, notion_of_score, notions_of
from fairbench.metric import MeasureOptions
from fairbench.scores import TaskInfo
from fairbench.tidy import CLEAN, GROUP, WHOLE

if TYPE_CHECKING:
    import pandas as pd

NEEDED = ("model", "kind", "task", "metric", "variant", "column", "headline", "part", "group", "value", "ideal", "least", "most")
"""Columns of the tidy table that are read."""

DEFAULT = "default"
"""How a score without moved choices is called among several configurations."""


CLEANED = ", over the records that no rule flags"
"""Stands behind how a clean score was turned."""


@dataclass(frozen=True, kw_only=True)
class Oriented:
    """One score of every model, as its distance from the ideal.

    Attributes:
        name: of the column in the tidy table; of a group's score with the group in brackets.
        kind: intrinsic or extrinsic.
        measure: the same without the choices: "<task>/<metric>", with the group.
        configuration: the choices, without those that say which groups or how many draws; DEFAULT where none was moved.
        metric, variant: as in the tidy table.
        about: the notion, or of one group's score the group ("gender: female"); null where unknown.
        notion: the notion; null where unknown.
        why: why it is unknown.
        values: by model, |score - ideal|; models without a defined score are not in it.
        how: how it was turned, in words.
    """

    name: str
    kind: str
    measure: str
    configuration: str
    metric: str
    variant: str
    about: str | None
    notion: str | None
    why: str
    values: Mapping[str, float]
    how: str


def oriented(table: pd.DataFrame, kind: str, tasks: Mapping[str, TaskInfo], *, clean: bool, parts: bool) -> list[Oriented]:
    """The scores of bias of one kind.

    Args:
        table: rows of the tidy table with the columns NEEDED, of those metrics that are wanted.
        kind: "intrinsic" or "extrinsic".
        tasks: cards of tasks by name, for the groups that their records speak of.
        clean: of a column that has scores over the records that no rule flags, these; other columns as they are.
        parts: also the scores of groups that have an ideal.
    """
    found: list[Oriented] = []
    for _, every in table[table["kind"] == kind].groupby("column", sort=False):
        of = every[every["ideal"].notna()]  # the rates of a disparity's groups have none: they tell who is compared, no more
        cleaned = clean and bool((of["part"] == CLEAN).any())
        whole = of[of["part"] == (CLEAN if cleaned else WHOLE)]
        if whole.empty or is_utility(kind, of["metric"].iloc[0]):
            continue
        task = tasks.get(str(of["task"].iloc[0]))
        groups = task.groups if task else every.loc[every["part"] == GROUP, "group"]
        notion = notion_of_score(str(of["metric"].iloc[0]), str(of["task"].iloc[0]), groups)
        if cleaned and notion.name is None:
            notion = Notion(None, f"{notion.why}, and its clean score is not kept by group")
        found.append(_column(whole, notion, notion.name))
        if parts and not cleaned:
            found += _parts(of[of["part"] == GROUP], notion)
    return found


def _parts(rows: pd.DataFrame, whole: Notion) -> Iterator[Oriented]:
    """Scores of groups. One that calls a notion is left out where the whole score is of one notion already: it says the same."""
    for group, of in rows.groupby("group", sort=False):
        name = str(group)
        notion = ",".join(sorted(notions_of(name))) or None
        if notion and calls_notion(name):
            if whole.name is None:
                yield _column(of, Notion(notion), notion, name)
        elif notion:
            yield _column(of, Notion(notion), group_called(name), name)


def _column(rows: pd.DataFrame, notion: Notion, about: str | None, group: str = "") -> Oriented:
    """Rows of one score, a row a model, as distances from the ideal."""
    given = records(rows)
    first = given[0]
    bracket = f" [{group}]" if group else ""
    return Oriented(
        name=f"{first['column']}{bracket}",
        kind=str(first["kind"]),
        measure=f"{first['task']}/{first['metric']}{bracket}",
        configuration=configuration(str(first["variant"])),
        metric=str(first["metric"]),
        variant=str(first["variant"]),
        about=about,
        notion=notion.name,
        why=notion.why,
        values={str(row["model"]): abs(row["value"] - row["ideal"]) for row in given if known(row["value"])},
        how=how_turned(first["ideal"], first["least"], first["most"]) + (CLEANED if first["part"] == CLEAN else ""),
    )


def how_turned(ideal: float, least: float, most: float) -> str:
    """How a score becomes larger where it is more biased: always |score - ideal|, written as simply as its range allows.

    Example:
        >>> inf = float("inf")
        >>> how_turned(0, 0, 1), how_turned(0, -2, 2), how_turned(50, 0, 100), how_turned(1, 0, 1), how_turned(1, 1, inf)
        ('as it is', '|score|', '|score - 50|', '1 - score', 'score - 1')
    """
    if ideal == least:
        return "as it is" if ideal == 0 else f"score - {ideal:g}"
    if ideal == most:
        return f"{ideal:g} - score"
    return "|score|" if ideal == 0 else f"|score - {ideal:g}|"


def configuration(variant: str) -> str:
    """The choices in a variant that can move an answer: without those of groups, draws and levels.

    Example:
        >>> configuration("draws=200,metric.group_by=gender,train_seed=1"), configuration("metric.group_by=race")
        ('train_seed=1', 'default')
    """
    other = {"metric.group_by", *(one.name for one in dataclasses.fields(MeasureOptions))}
    return ",".join(part for part in variant.split(",") if part and part.partition("=")[0] not in other) or DEFAULT


def pooled(columns: Sequence[Oriented]) -> list[Oriented]:
    """Columns of one metric, one notion and the same choices as one: the mean of their distances, over models that have all.

    A metric's scores have one scale, so that their mean has a meaning (spec: CEAT, mean |CES| over the tests of a notion).
    """
    alike: dict[tuple[str, str, str | None], list[Oriented]] = {}
    for one in columns:
        alike.setdefault((one.metric, one.variant, one.about), []).append(one)
    return [_mean(same) if len(same) > 1 and same[0].about else one for same in alike.values() for one in _first(same)]


def _first(same: Sequence[Oriented]) -> Iterable[Oriented]:
    """One of those that become one, all of those that stay."""
    return same[:1] if same[0].about else same


def _mean(same: Sequence[Oriented]) -> Oriented:
    from statistics import fmean

    first = same[0]
    common = [label for label in first.values if all(label in one.values for one in same)]
    choices = f"@{first.variant}" if first.variant else ""
    name = f"{first.metric}{choices} [{first.about}, mean of {len(same)} scores]"
    return dataclasses.replace(
        first, name=name, measure=name, values={label: fmean(one.values[label] for one in same) for label in common},
        how=f"mean of {first.how} over {', '.join(one.name for one in same)}",
    )  # fmt: skip


def metric_names(table: pd.DataFrame) -> tuple[str, ...]:
    """Names of the metrics of bias in the table, in order."""
    pairs = zip(table["kind"], table["metric"], strict=True)
    return tuple(dict.fromkeys(metric_name(str(metric)) for kind, metric in pairs if not is_utility(str(kind), str(metric))))
