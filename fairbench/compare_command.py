"""`fairbench compare`: a baseline beside other models: what differs, what could have been missed, what it cost, and the gate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairbench import flags
from fairbench.errors import FairbenchError

if TYPE_CHECKING:
    from fairbench.collection import Collection, Fault
    from fairbench.comparison import Comparison, Comparisons, Difference, Flip
    from fairbench.scores import Interval

SHOWN_FLIPS = 5
"""So many flips of a kind are printed unless all are asked for."""

Results = Annotated[list[Path] | None, typer.Option("--results-path", help="Where results lie (results); may repeat.")]


def compare(
    baseline: Annotated[str, typer.Argument(help="A scored model: its name, or the folder of its results.")],
    models: Annotated[list[str], typer.Argument(help="One or more others.")],
    results_path: Results = None,
    tasks: flags.Names = None,
    metrics: flags.Names = None,
    alpha: Annotated[float, typer.Option(help="Of the tests; intervals have the level 1 - alpha.")] = 0.05,
    margin: Annotated[
        list[str] | None, typer.Option("--margin", help="METRIC=x: how much worse a model may be; may repeat.")
    ] = None,
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit code 3 where a margin is not kept, or can't be shown to be.")
    ] = False,
    by_group: Annotated[bool, typer.Option("--by-group", help="Also the difference of each group.")] = False,
    flips: Annotated[int, typer.Option("--flips", min=0, help="Flipped records that are printed, of each kind.")] = SHOWN_FLIPS,
    seed: flags.Seed = 1234,
    draws: flags.Draws = 10_000,
    include_path: flags.Include = None,
    output_path: Annotated[Path | None, typer.Option("--output-path", help="A JSON file for all of it.")] = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
) -> None:
    """What differs between a baseline and other models, paired record by record, and what it cost."""
    from fairbench import console
    from fairbench.comparison.comparing import CompareOptions, find_models
    from fairbench.comparison.comparing import compare as run
    from fairbench.files import write_json

    margins = flags.numbers(margin, "--margin")
    if gate and not margins:
        raise FairbenchError(
            "--gate: there is nothing to hold the models to. Say by how much each may be worse: --margin METRIC=x."
        )
    if output_path:
        flags.refuse_folder(output_path)
    options = CompareOptions(
        alpha=alpha,
        draws=draws,
        seed=seed,
        tasks=tuple(flags.names(tasks)),
        metrics=tuple(flags.names(metrics)),
        margins=margins,
        include_path=tuple(include_path or ()),
    )
    collection, labels = find_models([baseline, *models], results_path or [Path("results")])
    with console.progress_bars(quiet or as_json) as progress:
        found = run(collection, labels[0], labels[1:], options, progress)
    faults = _faults_of(collection, labels)
    if output_path:
        write_json(output_path, found.as_dict())
    if as_json:
        console.print_json(found.as_dict())
    elif not quiet:
        print_comparisons(found, by_group=by_group, flips=flips)
        if output_path:
            console.out.print(f"Saved in {output_path}", markup=False)
    for fault in faults:
        console.err.print(f"! {fault}", style="yellow", markup=False)
    if found.passed is False and (quiet or as_json):
        console.err.print(_gate_line(found), style="red", markup=False)
    if gate and not found.passed:
        raise typer.Exit(3)
    if faults:
        raise typer.Exit(1)


def _faults_of(collection: Collection, labels: Sequence[str]) -> list[Fault]:
    """Faults of the models that are compared; what is wrong with others is no matter here."""
    folders = {one.folder for one in collection.found if one.label in labels}
    return [fault for fault in collection.faults if fault.path.parent.parent in folders or fault.path in collection.roots]


def print_comparisons(found: Comparisons, *, by_group: bool = False, flips: int = SHOWN_FLIPS) -> None:
    """A table a model, with what must be read beside it, and what the tests rest on."""
    from fairbench import console

    for one in found.comparisons:
        _print_one(one, by_group)
        for difference in one.differences:
            _print_flips(difference, flips)
        console.out.print()
    family, level = len(found.family), 100 * (1 - found.alpha)
    console.out.print(
        f"{level:g} % intervals of the difference (model - baseline): paired, {found.draws} draws. Holm p: over the {family} "
        f"headline test{'s' * (family != 1)} of this call. MDE: the smallest difference that would have been seen with 80 % "
        "power, before correction.",
        markup=False,
    )
    if found.passed is not None:
        console.out.print(_gate_line(found), style="green" if found.passed else "red", markup=False)


def _gate_line(found: Comparisons) -> str:
    """Whether the gate is passed, and by whom it is not."""
    failed = [f"{c.model}: {d.column}" for c in found.comparisons for d in c.differences if d.passed is False]
    failed += [f"{one.model}: {one.column} ({one.why})" for one in found.ungated]
    return f"Gate: NOT passed by {', '.join(failed)}." if failed else "Gate: passed."


def _print_one(one: Comparison, by_group: bool) -> None:
    from fairbench import console

    console.out.print(f"{one.model} beside {one.baseline}", style="bold", markup=False)
    header = ("task", "metric", "baseline", "model", "difference", "interval", "p", "Holm p", "MDE", "n")
    rows = [row for d in one.differences for row in _rows(d, by_group)]
    _print_table(header, rows)
    console.out.print()
    for difference in one.differences:
        style = {"differs": "cyan", "not worse": "green"}.get(difference.verdict, "dim")
        name = difference.column
        console.out.print(f"  {name}: {difference.said}", style="red" if difference.passed is False else style, markup=False)
    said: dict[str, list[str]] = {}
    for difference in one.differences:
        for warning in difference.warnings:
            said.setdefault(warning, []).append(difference.column)
    for warning, names in said.items():
        console.print_named("!", names, warning, "yellow")
    for refused in one.refused:
        console.out.print(f"not compared {refused.column}: {refused.said}", style="yellow", markup=False)
    console.out.print("What it cost", style="bold", markup=False)
    for sentence in one.price:
        console.out.print(f"  {sentence}", markup=False)


def _print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from fairbench import console
    from fairbench.layout import lay_out

    for number, lines in enumerate(lay_out(header, list(rows), right=header[2:])):
        console.out.print("\n".join(lines), style=None if number else "bold", markup=False)


def _rows(one: Difference, by_group: bool) -> Iterable[tuple[str, ...]]:
    yield _cells(one.task, one.metric + (f" @{one.variant}" if one.variant else ""), one)
    if by_group:
        yield from (_cells("", f"  {name}", part) for name, part in one.by_group.items())


def _cells(task: str, metric: str, one: Difference) -> tuple[str, ...]:
    from fairbench.wording import figure, interval_text, p_figure

    values = [figure(score.value) if score.value is not None else "undefined" for score in (one.baseline, one.model)]
    difference = "undefined" if one.difference is None else f"{one.difference:+.4g}"
    p, p_holm = (p_figure(value) for value in (one.p.value if one.p else None, one.p_holm))
    detectable = "-" if one.detectable is None else figure(one.detectable)
    return task, metric, *values, difference, interval_text(one.interval), p, p_holm, detectable, f"{one.n} {one.unit}s"


def _print_flips(one: Difference, shown: int) -> None:
    """How many decisions turned round, and some of them."""
    from fairbench import console

    found = one.flips
    if found is None or not found.n or found.nfr is None or found.pfr is None:
        return
    console.out.print(
        f"flips of {one.column} over {found.n} records (right: {found.right}): NFR {_percent(found.nfr, found.nfr_interval)}, "
        f"PFR {_percent(found.pfr, found.pfr_interval)}",
        style="bold",
        markup=False,
    )
    for what, flipped in (("right before, wrong now", found.negative), ("wrong before, right now", found.positive)):
        _print_some(what, flipped, shown)


def _percent(share: float, between: Interval | None) -> str:
    """A share and its interval, both in per cent."""
    ends = f" [{100 * between.low:.3g}, {100 * between.high:.3g}]" if between else ""
    return f"{100 * share:.3g} %{ends}"


def _print_some(what: str, flipped: Sequence[Flip], shown: int) -> None:
    from fairbench import console

    if not flipped or not shown:
        return
    console.out.print(f"  {what}: {len(flipped)}", markup=False)
    for flip in flipped[:shown]:
        text = flip.text.replace("\n", " ")[:100]
        console.out.print(f"    {flip.id}  {text}  ({flip.before} -> {flip.after})", style="dim", markup=False)
    if len(flipped) > shown:
        console.out.print(f"    and {len(flipped) - shown} more (--flips {len(flipped)})", style="dim", markup=False)
