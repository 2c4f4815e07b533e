"""`fairbench correlate`: do intrinsic scores tell extrinsic ones? A line a pair of scores, over the models of some folders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairbench import flags
from fairbench.errors import FairbenchError
from fairbench.wording import p_figure

if TYPE_CHECKING:
    from fairbench.collection import Collection
    from fairbench.comparison.correlation import ConfigurationSpread, Correlations, Pair

NUMBERS = ("rho", "rho interval", "p", "q", "r", "r interval", "p ", "q ", "n")
"""Columns of the table behind the names; those with a space are Pearson's."""

LEGEND = (
    "Every score is turned so that larger is more biased; above 0: models with a larger intrinsic bias have a larger extrinsic "
    "one. rho: Spearman, p over all orders up to 8 models. r: Pearson, p by Student's t. q: Benjamini and Hochberg's, over all "
    "lines. p supposes independent models: those that share a base or data are not."
)

Aligned = Annotated[bool, typer.Option("--aligned", help="Only scores of one notion: gender with gender, women with women.")]
Clean = Annotated[bool, typer.Option("--clean", help="Intrinsic scores over the pairs that no rule of pair quality flags.")]
ByConfiguration = Annotated[
    bool,
    typer.Option("--by-configuration", help="Extrinsic scores once for each seed, decoding or learning rate, and the spread."),
]
Pooled = Annotated[bool, typer.Option("--pooled", help="Intrinsic scores of one metric and notion (CEAT's tests) as their mean.")]


def correlate(
    results: Annotated[list[Path], typer.Argument(help="Folders of results, of one model or of several.")],
    aligned: Aligned = False,
    clean: Clean = False,
    by_configuration: ByConfiguration = False,
    pooled: Pooled = False,
    metrics: flags.Names = None,
    seed: flags.Seed = 1234,
    draws: flags.Draws = 10_000,
    level: flags.Level = 0.95,
    include_path: flags.Include = None,
    output_path: Annotated[Path | None, typer.Option("--output-path", help="A JSON file for the result.")] = None,
    as_json: flags.AsJson = False,
) -> None:
    """Do intrinsic scores tell extrinsic ones? Correlations over models, a point a model."""
    from fairbench import console
    from fairbench.collection import collect, one_version
    from fairbench.comparison.correlating import correlations
    from fairbench.comparison.correlation import CorrelationOptions
    from fairbench.files import write_json
    from fairbench.registry import Registry
    from fairbench.tidy import tidy

    if output_path:
        flags.refuse_folder(output_path)
    registry = Registry(include_path or ())
    how = CorrelationOptions(
        aligned=aligned, clean=clean, by_configuration=by_configuration, pooled=pooled, metrics=flags.names(metrics),
        draws=draws, seed=seed, level=level,
    )  # fmt: skip
    collection = one_version(collect(results))
    if not collection.found:
        raise FairbenchError(" ".join(map(str, collection.faults)) or "There are no results to correlate.")
    found = correlations(tidy(collection, registry), how, registry)
    content = _content(found, collection) if output_path or as_json else {}
    if output_path:
        write_json(output_path, content)
    if as_json:
        console.print_json(content)
    else:
        print_correlations(found, [str(fault) for fault in collection.faults])
        if output_path:
            console.out.print(f"Saved in {output_path}", markup=False)
    if collection.faults:
        raise typer.Exit(1)


def _content(found: Correlations, collection: Collection) -> dict[str, Any]:
    """The result with the files that it came from."""
    from fairbench import __version__

    faults = [str(fault) for fault in collection.faults]
    return {"fairbench": __version__, **found.as_dict(), "results": len(collection.found), "faults": faults}


def print_correlations(found: Correlations, faults: Sequence[str] = ()) -> None:
    """A line a pair, the strongest first; the spread over configurations; and what must be read beside them.

    Args:
        found: what is printed.
        faults: files that could not be used, in words.
    """
    from fairbench import console

    most = {pair.n for pair in found.pairs}
    each = f"{min(most)} to {max(most)}" if len(most) > 1 else f"{max(most)}"
    console.out.print(
        f"{len(found.intrinsic)} intrinsic and {len(found.extrinsic)} extrinsic scores of {found.n} models: "
        f"{len(found.pairs)} pairs, {each} models each",
        style="bold",
        markup=False,
    )
    console.out.print()
    strongest = sorted(found.pairs, key=lambda pair: -1.0 if pair.spearman is None else abs(pair.spearman), reverse=True)
    names = ("intrinsic", "extrinsic", "notion", *(("configuration",) if found.options.by_configuration else ()))
    _print_table(names, NUMBERS, [_cells(pair) for pair in strongest])
    if found.spreads:
        console.out.print()
        spans = ("rho low", "median", "high", "r low", "median ", "high ", "configurations", "n")
        _print_table(("intrinsic", "extrinsic"), spans, [_spread_cells(one) for one in found.spreads])
    console.out.print()
    how = found.options
    console.out.print(f"{100 * how.level:g} % intervals: bootstrap over models, {how.draws} draws. {LEGEND}", markup=False)
    for warning in (*found.warnings, *faults):
        console.out.print(f"! {warning}", style="yellow", markup=False)


def _print_table(names: Sequence[str], numbers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from fairbench import console
    from fairbench.layout import lay_out

    for number, lines in enumerate(lay_out((*names, *numbers), list(rows), right=numbers)):
        console.out.print("\n".join(lines), style=None if number else "bold", markup=False)


def _cells(pair: Pair) -> tuple[str, ...]:
    choices = () if pair.configuration is None else (pair.configuration,)
    return (
        pair.intrinsic, pair.extrinsic, pair.notion or "-", *choices,
        "undefined" if pair.undefined else _r(pair.spearman), _between(pair.spearman_low, pair.spearman_high),
        p_figure(pair.spearman_p), p_figure(pair.spearman_q),
        "undefined" if pair.undefined else _r(pair.pearson), _between(pair.pearson_low, pair.pearson_high),
        p_figure(pair.pearson_p), p_figure(pair.pearson_q), str(pair.n),
    )  # fmt: skip


def _spread_cells(one: ConfigurationSpread) -> tuple[str, ...]:
    ends = [_r(value) for span in (one.spearman, one.pearson) for value in (span or (None, None, None))]
    return (one.intrinsic, one.extrinsic, *ends, str(len(one.configurations)), str(one.n))


def _r(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def _between(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"[{low:+.2f}, {high:+.2f}]"
