"""`fairbench report`: result files become figures, tables, a page and model cards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairbench import flags

SHOWN_FAULTS = 20


def report(
    results: Annotated[list[Path], typer.Argument(help="Folders of results, of one model or of several.")],
    output_path: Annotated[Path, typer.Option("--output-path", help="Folder of the report.")] = Path("report"),
    baseline: Annotated[str | None, typer.Option(help="A model of the results: the others are compared with it.")] = None,
    against: Annotated[
        str | None, typer.Option(help="Those that are compared with the baseline, joined by commas; else all others.")
    ] = None,
    bias: Annotated[str | None, typer.Option(help="TASK/METRIC of the trade-off's bias; else one is chosen.")] = None,
    utility: Annotated[str | None, typer.Option(help="TASK/METRIC of its utility.")] = None,
    title: Annotated[str | None, typer.Option(help="Of the page.")] = None,
    formats: Annotated[str, typer.Option(help="Figures are kept as some of svg, png, pdf; empty: in the page only.")] = "svg,png",
    examples: Annotated[int, typer.Option(min=0, help="Records of each kind that are shown of a result; 0 for none.")] = 4,
    aligned: Annotated[bool, typer.Option("--aligned", help="Correlate scores of one notion only (gender with gender).")] = False,
    clean: Annotated[bool, typer.Option("--clean", help="Correlate scores over the clean pairs.")] = False,
    by_configuration: Annotated[
        bool, typer.Option("--by-configuration", help="Correlate once for each seed, decoding or learning rate.")
    ] = False,
    alpha: Annotated[float, typer.Option(help="Of the comparison's tests.")] = 0.05,
    seed: flags.Seed = 1234,
    draws: flags.Draws = 10_000,
    include_path: flags.Include = None,
    quiet: flags.Quiet = False,
) -> None:
    """Figures, tables, a page that needs nothing else, and model cards, from all results below some folders."""
    from fairbench import console
    from fairbench.comparison.comparing import CompareOptions
    from fairbench.comparison.correlation import CorrelationOptions
    from fairbench.files import require_writable
    from fairbench.reporting.assembling import TITLE, ReportOptions, assemble
    from fairbench.reporting.writing import write_report

    include = tuple(include_path or ())
    options = ReportOptions(
        title=title or TITLE,
        baseline=baseline,
        against=tuple(flags.names(against)),
        bias=bias,
        utility=utility,
        compare=CompareOptions(alpha=alpha, draws=draws, seed=seed, include_path=include),
        correlation=CorrelationOptions(aligned=aligned, clean=clean, by_configuration=by_configuration, draws=draws, seed=seed),
        examples=examples,
        include_path=include,
    )
    require_writable(output_path)
    with console.progress_bars(quiet) as progress:
        made, drawn = assemble(results, options, progress)
        if len(made.table):
            written = write_report(made, drawn, output_path, flags.names(formats), progress)
    for fault in made.faults[:SHOWN_FAULTS]:
        console.err.print(f"! {fault}", style="yellow", markup=False)
    if len(made.faults) > SHOWN_FAULTS:
        console.err.print(f"! and {len(made.faults) - SHOWN_FAULTS} more files, which the page names", style="yellow")
    if not len(made.table):
        console.err.print("There is nothing to report.", markup=False)
        raise typer.Exit(1)
    if not quiet:
        for label, why in written.refused.items():
            console.out.print(f"! no model card of {label}: {why}", style="yellow", markup=False)
        count = len(made.results)
        console.out.print(
            f"{count} result{'s' * (count != 1)} of {len(made.models)} model{'s' * (len(made.models) != 1)}, {len(made.figures)} "
            f"figures, {len(written.files)} files. Open {written.page}",
            markup=False,
        )
    if made.faults:
        raise typer.Exit(1)
