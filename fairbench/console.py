"""What the command line prints: tables, cards and the bar of a long step. Words only; every figure comes from elsewhere."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from fairbench.quality import RULES
from fairbench.scores import Score, jsonable

if TYPE_CHECKING:
    from fairbench.data import Place
    from fairbench.spreads import Spread
    from fairbench.study import Run
    from fairbench.sweeps import Sweep

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


def score_rows(table: Table, name: str, metric: str, score: Score, by_group: bool = False) -> None:
    """Adds a score's line, one for the clean score where records are flagged, and one for each group if they are wanted."""
    _score_row(table, name, metric, score)
    if score.clean and score.flags:
        _score_row(table, "", "  clean", score.clean)
    if by_group:
        for group, part in score.by_group.items():
            _score_row(table, "", f"  {group}", part)


def _score_row(table: Table, name: str, metric: str, score: Score) -> None:
    """Value, interval, ideal, p and n; the reason why there is no value stands elsewhere."""
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


def flagged_text(score: Score) -> str:
    """How many records rules of pair quality flag, and which rules."""
    if score.clean is None:
        return ""
    if not score.flags:
        return "no record breaks a rule of pair quality"
    rules = ", ".join(f"{rule.replace('_', ' ')} {count}" for rule, count in score.flags.items())
    flagged = score.n_records - score.clean.n_records
    return f"{flagged} of {score.n_records} records break rules of pair quality ({rules}); clean is the score without them"


def print_run(run: Run, by_group: bool = False) -> None:
    """The summary of a run: its scores, what must be said beside them, what was skipped or failed, and where all of it lies."""
    level = next((r.score.interval.level for r in run.results if r.score.interval), None)
    table = score_table(f"{run.card.name} ({run.card.kind})" + (f", {100 * level:g} % intervals" if level else ""))
    said: dict[str, list[str]] = {}
    flagged: dict[str, list[str]] = {}
    for result in run.results:
        name, score = f"{result.task['name']}/{result.metric['name']}", result.score
        score_rows(table, result.task["name"], result.metric["name"], score, by_group)
        undefined = (f"undefined, {score.undefined}",) if score.undefined else ()
        left_out = (f"{count} left out, {reason}" for reason, count in score.left_out.items())
        for text in (*undefined, *left_out, *score.warnings):
            said.setdefault(text, []).append(name)
        if score.flags:
            flagged.setdefault(flagged_text(score), []).append(name)
    if run.results:
        out.print(table)
    for text, names in flagged.items():
        print_named("flagged", names, text, "dim")
    for text, names in said.items():
        print_named("!", [] if len(names) == len(run.results) > 1 else names, text, "yellow")
    print_end(run.skipped, run.failed, run.folder if run.results else None)


def print_end(skipped: Mapping[str, str], failed: Mapping[str, str], folder: Path | None) -> None:
    """What was skipped or failed, with the reasons, and where the rest lies."""
    reasons: dict[str, list[str]] = {}
    for name, reason in skipped.items():
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        print_named("skipped", names, reason, "dim")
    for name, reason in failed.items():
        print_named("FAILED", [name], reason, "red")
    out.print(f"Saved in {folder}" if folder else "Nothing was saved.", markup=False)


def print_named(what: str, names: list[str], text: str, style: str) -> None:
    """A line about some names, at most three of which are written out."""
    which = ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"
    out.print(f"{what} {which}{': ' if names else ''}{text}", style=style, markup=False)


def print_score(name: str, score: Score) -> None:
    """One measured score with its groups and everything that it carries."""
    table = score_table("")
    score_rows(table, "answers", name, score, by_group=True)
    out.print(table)
    if score.undefined:
        out.print(f"undefined: {score.undefined}", style="yellow", markup=False)
    out.print(f"ideal {figure(score.ideal)}; {score.direction}", markup=False)
    for line in score_lines(score):
        out.print(line, markup=False)
    for warning in score.warnings:
        out.print(f"! {warning}", style="yellow", markup=False)


def score_lines(score: Score) -> Iterator[str]:
    """What a score carries beside its value: the test, its range without one unit, details, counts, what was left out."""
    if score.interval:
        yield f"interval: {score.interval.method}"
    if score.p_method:
        yield f"p {p_text(score)}: {score.p_method}"
    if score.p_published is not None:
        yield f"p of the published definition: {figure(score.p_published)}"
    if score.leave_one_out:
        one = score.leave_one_out
        yield (
            f"without one of {one.units} {score.unit}s: from {figure(one.low)} without {one.low_without!r} to {figure(one.high)} "
            f"without {one.high_without!r}"
        )
    yield from (f"{key.replace('_', ' ')}: {figure(value)}" for key, value in score.details.items())
    yield from (f"{key.replace('_', ' ')}: {count}" for key, count in score.counts.items())
    yield from filter(None, [flagged_text(score)])
    yield from (f"  {rule.replace('_', ' ')} {count}: {RULES.get(rule, '')}" for rule, count in score.flags.items())
    yield from (f"left out: {count}, {reason}" for reason, count in score.left_out.items())


def print_sweep(sweep: Sweep) -> None:
    """The choices of each score from the lowest value to the highest, and what they have in common in words."""
    for spread in sweep.spreads:
        table = Table(title=f"{spread.task}/{spread.metric} on {sweep.card.name}", title_justify="left", box=None, pad_edge=False)
        for axis in spread.axes:
            table.add_column(axis, overflow="fold")
        for column in ("value", "interval", "n"):
            table.add_column(column, justify="right")
        table.add_column("")
        undefined: dict[str, list[str]] = {}
        for one in spread.outcomes:
            if one.undefined:
                undefined.setdefault(one.undefined, []).append(f"[{', '.join(f'{a} {v}' for a, v in one.choice.items())}]")
        for one in sorted((o for o in spread.outcomes if o.value is not None), key=lambda o: o.value or 0.0):
            interval = f"[{figure(one.interval.low)}, {figure(one.interval.high)}]" if one.interval else "-"
            choice = (str(one.choice[axis]) for axis in spread.axes)
            table.add_row(*choice, figure(one.value), interval, str(one.n), "default" if one.default else "")
        out.print(table)
        out.print(spread_text(spread), markup=False)
        for reason, choices in undefined.items():
            print_named("undefined", choices, reason, "yellow")
        for warning in spread.warnings:
            out.print(f"! {warning}", style="yellow", markup=False)
        out.print()
    print_end(sweep.skipped, sweep.failed, sweep.folder / "sweeps" if sweep.spreads else None)


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


def print_fields(title: str, fields: Iterable[tuple[str, Any]]) -> None:
    """A card: a name, then a line for each field that has something to say."""
    out.print(title, style="bold", markup=False)
    for name, value in fields:
        lines = [str(v) for v in value] if isinstance(value, (list, tuple)) else [str(value)]
        for number, line in enumerate(line for line in lines if line not in ("", "None")):
            wrapped = textwrap.wrap(line, 104, subsequent_indent="  " if len(lines) > 1 else "")
            out.print(f"  {name if number == 0 else '':<11} " + f"\n{'':<14}".join(wrapped), markup=False)


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


def print_json(content: Any) -> None:
    """JSON on standard output, and nothing else there."""
    sys.stdout.write(json.dumps(jsonable(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def print_rows(rows: Iterable[Mapping[str, Any]], as_json: bool) -> None:
    """Rows of equal keys as a table, or as JSON."""
    print_json(list(rows)) if as_json else print_listing(rows)


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
