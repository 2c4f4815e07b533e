"""What the command line prints: tables, cards and the bar of a long step. Words only; every figure comes from elsewhere."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from fairbench.layout import lay_out
from fairbench.naming import metric_label
from fairbench.scores import Score, jsonable
from fairbench.wording import (
    beside_text,
    figure,
    flagged_text,
    interval_text,
    left_out_text,
    n_text,
    p_text,
    score_lines,
    spread_text,
)

if TYPE_CHECKING:
    from fairbench.data import Place
    from fairbench.demo import Mitigated
    from fairbench.study import Run
    from fairbench.sweeps.run import Sweep
    from fairbench.sweeps.spreads import Outcome, Spread

MOST_CHOICES = 40
"""A sweep of more choices is printed in part."""

ENDS = 5
"""Then so many of the lowest and of the highest."""

ScoreRow = tuple[Sequence[str], str]
"""The cells of a score's line, and what stands beneath it."""


class _Output(Console):
    """Standard output; a reader that has seen enough (`| head`) is no failure, and the exit code stays that of the work."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        hush()


def hush() -> None:
    """Turns standard output, which nobody reads any more, away: Python would complain when it empties its buffer."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# A file has no width, so lines are long there unless COLUMNS says otherwise.
out = _Output(
    highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit() else 160
)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def score_rows(name: str, metric: str, score: Score, by_group: bool = False) -> Iterator[ScoreRow]:
    """A score's line, one for the clean score where records are flagged, and one for each group if they are wanted."""
    yield _cells(name, metric, score), beside_text(score)
    if score.clean and score.flags:
        yield _cells("", "  clean", score.clean), ""
    if score.without_refusals:
        yield _cells("", "  without refusals", score.without_refusals), ""
    if by_group:
        for group, part in score.by_group.items():
            yield _cells("", f"  {group}", part), ""


def _cells(name: str, metric: str, score: Score) -> tuple[str, ...]:
    """Value, interval, ideal, p and n; the reason why there is no value stands elsewhere."""
    if score.value is None:
        return name, metric, "undefined", "-", figure(score.ideal), "-", f"{score.n} {score.unit}s"
    n = f"{n_text(score.n, score.n_total)} {score.unit}s"
    return name, metric, figure(score.value), interval_text(score.interval), figure(score.ideal), p_text(score), n


def print_scores(title: str, rows: Sequence[ScoreRow], beneath: bool = True) -> None:
    """The table of scores, with what must be read beside each of them `beneath` its line."""
    numbers = ("value", "interval", "ideal", "p", "n")
    if title:
        out.print(title, style="italic", markup=False)
    header, *lines = lay_out(("task", "metric", *numbers), [cells for cells, _ in rows], right=numbers)
    out.print("\n".join(header), style="bold", markup=False)
    for (_, beside), line in zip(rows, lines, strict=True):
        out.print("\n".join(line), markup=False)
        if beside and beneath:
            out.print(f"    {beside}", style="dim", markup=False)


def print_run(run: Run, by_group: bool = False) -> None:
    """The summary of a run: its scores, what must be said beside them, what was skipped or failed, and where all of it lies."""
    level = next((r.score.interval.level for r in run.results if r.score.interval), None)
    rows: list[ScoreRow] = []
    said: dict[str, list[str]] = {}
    flagged: dict[str, list[str]] = {}
    for result in run.results:
        label = metric_label(result.metric["name"], result.metric["options"])
        name, score = f"{result.task['name']}/{label}", result.score
        rows += score_rows(result.task["name"], label, score, by_group)
        undefined = (f"undefined, {score.undefined}",) if score.undefined else ()
        left_out = (left_out_text(reason, count) for reason, count in score.left_out.items())
        for text in (*undefined, *left_out, *score.warnings):
            said.setdefault(text, []).append(name)
        if score.flags:
            flagged.setdefault(flagged_text(score), []).append(name)
    if run.results:
        print_scores(f"{run.card.name} ({run.card.kind})" + (f", {100 * level:g} % intervals" if level else ""), rows)
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
    print_scores("", list(score_rows("answers", name, score, by_group=True)), beneath=False)
    if score.undefined:
        out.print(f"undefined: {score.undefined}", style="yellow", markup=False)
    out.print(f"ideal {figure(score.ideal)}; {score.direction}", markup=False)
    for line in score_lines(score):
        out.print(line, markup=False)
    for warning in score.warnings:
        out.print(f"! {warning}", style="yellow", markup=False)


def print_sweep(sweep: Sweep) -> None:
    """The choices of each score from the lowest value to the highest, and what they have in common in words."""
    for spread in sweep.spreads:
        out.print(f"{spread.task}/{spread.label or spread.metric} on {sweep.card.name}", style="italic", markup=False)
        ranked = sorted((o for o in spread.outcomes if o.value is not None), key=lambda o: o.value or 0.0)
        shown = ranked
        if len(ranked) > MOST_CHOICES:
            shown = [o for i, o in enumerate(ranked) if o.default or not ENDS <= i < len(ranked) - ENDS]
        _print_choices(spread, shown)
        if len(shown) < len(ranked):
            what = f"the {ENDS} lowest, the default and the {ENDS} highest"
            out.print(f"{what}; all {len(spread.outcomes)} choices in {sweep.folder / spread.file}", markup=False)
        out.print(spread_text(spread), markup=False)
        undefined: dict[str, list[str]] = {}
        for one in spread.outcomes:
            if one.undefined:
                undefined.setdefault(one.undefined, []).append(f"[{', '.join(f'{a} {v}' for a, v in one.choice.items())}]")
        for reason, choices in undefined.items():
            print_named("undefined", choices, reason, "yellow")
        for text in (*(left_out_text(reason, count) for reason, count in spread.left_out.items()), *spread.warnings):
            out.print(f"! {text}", style="yellow", markup=False)
        out.print()
    print_end(sweep.skipped, sweep.failed, sweep.folder / "sweeps" if sweep.spreads else None)


def _print_choices(spread: Spread, shown: Sequence[Outcome]) -> None:
    """A line a choice."""
    rows = [
        (
            *(str(one.choice[axis]) for axis in spread.axes),
            figure(one.value),
            interval_text(one.interval),
            n_text(one.n, one.n_total),
            "default" if one.default else "",
        )
        for one in shown
    ]
    numbers = ("value", "interval", "n")
    for number, lines in enumerate(lay_out((*spread.axes, *numbers, ""), rows, right=numbers, width=out.width)):
        out.print("\n".join(lines), style=None if number else "bold", markup=False)


def print_fields(title: str, fields: Iterable[tuple[str, Any]]) -> None:
    """A card: a name, then a line for each field that has something to say."""
    out.print(title, style="bold", markup=False)
    width = max(40, min(104, out.width - 14))
    for name, value in fields:
        lines = [str(v) for v in value] if isinstance(value, (list, tuple)) else [str(value)]
        for number, line in enumerate(line for line in lines if line not in ("", "None")):
            indent = "  " if len(lines) > 1 else ""
            wrapped = textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)
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
            name = what.split(" · ")[0]  # what stands after the dot is news, not another bar
            if name not in bars:
                bars[name] = progress.add_task(what, total=total)
            progress.update(bars[name], completed=done, total=total, description=what)
            if done >= total:
                progress.remove_task(bars.pop(name))

        yield move


def print_changes(made: Mitigated) -> None:
    """What a mitigation changed: each score before and after, and the verdict."""
    about = made.product.about
    out.print(f"What a mitigation does: {about['method']} of {about['base']['name']}", style="bold", markup=False)
    rows = [
        {
            "score": change.what,
            **{
                when: f"{figure(score.value)} {interval_text(score.interval)}"
                for when, score in (("before", change.before), ("after", change.after))
            },
        }
        for change in made.changes
    ]
    print_listing(rows)
    out.print(f"  {made.verdict.sentence}", style="red" if made.verdict.biased else "green", markup=False)
    if made.shrunk is not None:
        size = f"Their size fell by {made.shrunk:.0%}"
        out.print(f"  A share counts every preference, however small. {size}: read the two together.", markup=False)
    seconds = about["training"]["seconds"]
    out.print(f"The new model lies in {made.product.folder}, with its card; its training took {seconds:.0f} s.", markup=False)


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
    try:
        sys.stdout.write(json.dumps(jsonable(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        hush()


def print_rows(rows: Iterable[Mapping[str, Any]], as_json: bool) -> None:
    """Rows of equal keys as a table, or as JSON."""
    rows = list(rows)
    print_json(rows) if as_json else print_listing(rows, prose="title" if rows and list(rows[0])[-1] == "title" else "")


def print_listing(rows: Iterable[Mapping[str, Any]], prose: str = "") -> None:
    """Rows of equal keys as a table; no name breaks. The last column, if it is `prose`, goes beneath where there is no room."""
    rows = list(rows)
    if not rows:
        return
    cells = [[str(value) for value in row.values()] for row in rows]
    for number, lines in enumerate(lay_out(list(rows[0]), cells, prose=prose, width=out.width)):
        out.print("\n".join(lines), style=None if number else "bold", markup=False)
