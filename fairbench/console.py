"""What the command line prints: tables, cards and the bar of a long step. Words only; every figure comes from elsewhere."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from fairbench.scores import MetricInfo, Score, TaskInfo

if TYPE_CHECKING:
    from fairbench.data import Place
    from fairbench.study import Run

# A file has no width: names of tasks and metrics stay whole there.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def figure(value: float | None) -> str:
    """A number as a person reads it: four significant figures, more before the point where there are."""
    if value is None:
        return "-"
    return f"{value:.0f}" if 10_000 <= abs(value) < 10_000_000 else f"{value:.4g}"


def interval_text(score: Score) -> str:
    """The interval in brackets, or a dash."""
    return f"[{figure(score.interval.low)}, {figure(score.interval.high)}]" if score.interval else "-"


def p_text(score: Score) -> str:
    """The p-value, or a dash."""
    if score.p_value is None:
        return "-"
    return "<1e-4" if score.p_value < 1e-4 else f"{score.p_value:.2g}"


def score_rows(table: Table, name: str, metric: str, score: Score) -> None:
    """Adds a score's line: value, interval, ideal, p and n, or the reason why there is no value."""
    if score.value is None:
        table.add_row(name, metric, "undefined", "-", figure(score.ideal), "-", f"{score.n} {score.unit}s")
        return
    n = (f"{score.n} of {score.n_total}" if score.n != score.n_total else str(score.n)) + f" {score.unit}s"
    table.add_row(name, metric, figure(score.value), interval_text(score), figure(score.ideal), p_text(score), n)


def score_table(title: str) -> Table:
    """The empty table of scores."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in ("task", "metric"):
        table.add_column(name, overflow="fold")
    for name in ("value", "interval", "ideal", "p", "n"):
        table.add_column(name, justify="right")
    return table


def print_run(run: Run) -> None:
    """The summary of a run: its scores, what must be said beside them, what was skipped or failed, and where all of it lies."""
    level = next((r.score.interval.level for r in run.results if r.score.interval), None)
    table = score_table(f"{run.card.name} ({run.card.kind})" + (f", {100 * level:g} % intervals" if level else ""))
    said: dict[str, list[str]] = {}
    for result in run.results:
        name, score = f"{result.task['name']}/{result.metric['name']}", result.score
        score_rows(table, result.task["name"], result.metric["name"], score)
        undefined = (f"undefined, {score.undefined}",) if score.undefined else ()
        left_out = (f"{count} left out, {reason}" for reason, count in score.left_out.items())
        for text in (*undefined, *left_out, *score.warnings):
            said.setdefault(text, []).append(name)
    if run.results:
        out.print(table)
    for text, names in said.items():
        print_named("!", [] if len(names) == len(run.results) > 1 else names, text, "yellow")
    reasons: dict[str, list[str]] = {}
    for name, reason in run.skipped.items():
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        print_named("skipped", names, reason, "dim")
    for name, reason in run.failed.items():
        print_named("FAILED", [name], reason, "red")
    out.print(f"Saved in {run.folder}" if run.results else "Nothing was saved.", markup=False)


def print_named(what: str, names: list[str], text: str, style: str) -> None:
    """A line about some names, at most three of which are written out."""
    which = ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"
    out.print(f"{what} {which}{': ' if names else ''}{text}", style=style, markup=False)


def print_score(name: str, score: Score) -> None:
    """One measured score with its groups."""
    table = score_table("")
    score_rows(table, "answers", name, score)
    for group, part in score.by_group.items():
        score_rows(table, f"  {group}", name, part)
    out.print(table)
    if score.undefined:
        out.print(f"undefined: {score.undefined}", style="yellow", markup=False)
    out.print(f"ideal {figure(score.ideal)}; {score.direction}", markup=False)
    for key, count in score.counts.items():
        out.print(f"{key.replace('_', ' ')}: {count}", markup=False)
    for reason, count in score.left_out.items():
        out.print(f"left out: {count}, {reason}", markup=False)
    for warning in score.warnings:
        out.print(f"! {warning}", style="yellow", markup=False)


def print_fields(title: str, fields: Iterable[tuple[str, Any]]) -> None:
    """A card: a name, then a line for each field that has something to say."""
    out.print(title, style="bold", markup=False)
    for name, value in fields:
        lines = [str(v) for v in value] if isinstance(value, (list, tuple)) else [str(value)]
        for number, line in enumerate(line for line in lines if line not in ("", "None")):
            wrapped = textwrap.wrap(line, 96, subsequent_indent=" " * 16)
            out.print(f"  {name if number == 0 else '':<13} " + "\n".join(wrapped), markup=False)


def metric_fields(info: MetricInfo, tasks: list[str]) -> list[tuple[str, Any]]:
    """What `describe` tells of a metric."""
    return [
        ("title", info.title),
        ("measures", info.construct),
        ("formula", info.formula),
        ("kind", info.kind),
        ("ideal", f"{info.ideal:g}"),
        ("range", f"{info.low:g} to {info.high:g}"),
        ("direction", info.direction),
        ("reads", f"{info.reads} records through the {info.probe} probe; columns {', '.join(info.columns)}"),
        ("counted in", f"{info.unit}s"),
        ("interval", info.interval + (", exact where all units agree" if info.share else "")),
        ("headline", "yes" if info.headline else "no: read beside its family's headline"),
        ("p-value", {"own": "the metric's own test", "bootstrap": "by inverting the bootstrap", "none": "none"}[info.p_value]),
        ("threats", info.threats),
        ("tasks", ", ".join(tasks)),
        ("cite", info.cite),
        ("version", info.version),
    ]


def task_fields(info: TaskInfo) -> list[tuple[str, Any]]:
    """What `describe` tells of a task."""
    sources = [
        ", ".join(s.files) + (" (shipped)" if s.shipped else f" from {s.url}" if s.url else "")
        if s.files
        else f"Hub {s.hub}" + (f" {s.config}" if s.config else "") + f" {s.split} at {s.revision or 'main'}"
        for s in info.sources
    ]
    return [
        ("title", info.title),
        ("records", info.form),
        ("groups", ", ".join(info.groups)),
        ("cluster", info.cluster),
        ("metrics", ", ".join(info.metrics)),
        ("sources", sources),
        ("licence", info.licence),
        ("language", info.language),
        ("WARNING", info.content_warning),
        ("notes", info.notes),
        ("cite", info.cite),
        ("version", info.version),
    ]


@contextmanager
def progress_bars(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Bars with rate and time left on standard error; gives the function that moves them."""
    if quiet or not err.is_terminal:
        yield lambda what, done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class RateColumn(ProgressColumn):
        """Records a second."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f}/s" if task.speed else "")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), RateColumn(), TimeRemainingColumn())
    bars: dict[str, Any] = {}
    with Progress(*columns, console=err, transient=True) as progress:

        def move(what: str, done: int, total: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=total)
            progress.update(bars[what], completed=done, total=total)
            if done >= total:
                progress.remove_task(bars.pop(what))

        yield move


def print_places(places: Iterable[Place]) -> None:
    """Where each task's data come from, a line a task; what to do stands below."""
    rows, notes, absent = [], [], 0
    for place in places:
        files = place.where.split(", ")
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        rows.append({"task": place.task, "state": place.state, "from": place.kind, "where": files[0] + more})
        absent += place.state == "absent"
        if place.state == "differs":
            notes.append(f"! {place.task}: {place.note}")
    print_listing(rows)
    for note in notes:
        out.print(note, style="yellow", markup=False)
    if absent:
        out.print(
            f"{absent} absent: put the files under these paths into a folder DIR and give --data-dir DIR or set FAIRBENCH_DATA; "
            "`fairbench describe task:NAME` names their source.",
            markup=False,
        )


def print_listing(rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows of equal keys as a table, the first key in full."""
    table: Table | None = None
    for row in rows:
        if table is None:
            table = Table(box=None, pad_edge=False)
            for number, name in enumerate(row):
                table.add_column(name, overflow="fold", no_wrap=number == 0)
        table.add_row(*(str(v) for v in row.values()))
    if table is not None:
        out.print(table)
