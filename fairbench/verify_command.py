"""`fairbench verify`: every score is found anew from its answers; what was found is said, and packed where that is wanted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairbench import flags
from fairbench.registry import Registry

if TYPE_CHECKING:
    from fairbench.verification import Verification

Results = Annotated[list[Path], typer.Argument(help="Folders of results, of one model or of several.")]
BundlePath = Annotated[
    Path | None,
    typer.Option("--bundle", help="Pack results, answers, hashes and environment into FILE.zip or FILE.tar.gz, for an auditor."),
]
Quick = Annotated[bool, typer.Option("--quick", help="Values and counts only: no intervals, no tests, nothing that is drawn.")]


def verify(
    results: Results,
    bundle: BundlePath = None,
    quick: Quick = False,
    judge: flags.Judges = None,
    data_dir: flags.DataDir = None,
    include_path: flags.Include = None,
    quiet: flags.Quiet = False,
    as_json: flags.AsJson = False,
) -> None:
    """Find every score anew from its answers and hashes. Exit code 1 where one differs or can't be verified."""
    from fairbench import console
    from fairbench.evidence import refuse_target, write_evidence
    from fairbench.verification import VerifyOptions
    from fairbench.verification import verify as find_anew

    if bundle:
        refuse_target(bundle)
    registry = Registry(include_path or ())
    options = VerifyOptions(
        quick=quick,
        include=tuple(include_path or ()),
        judges=flags.judges(judge or (), registry.first_option),
        data_dir=data_dir,
    )
    with console.progress_bars(quiet or as_json) as progress:
        found = find_anew(results, options, progress)
    packed = write_evidence(found, bundle, registry) if bundle else None
    if as_json:
        about = {"path": str(bundle), "files": len(packed.sums), "bytes": packed.size} if packed else None
        console.print_json({**found.as_dict(), "bundle": about})
    else:
        _print(found, quiet)
    if packed and not as_json and not quiet:
        console.out.print(f"Packed {len(packed.sums)} files into {packed.path} ({packed.size:,} bytes).", markup=False)
    if not as_json:
        console.out.print(_summary(found), style="green" if found.passed else "red", markup=False)
    if not found.passed:
        raise typer.Exit(1)


def _print(found: Verification, quiet: bool) -> None:
    """What is not verified, file by file, and what is to be known of the rest; equal notes once, with the names they are of."""
    from fairbench import console

    for one in found.checked:
        if one.outcome != "verified":
            console.out.print(f"{one.outcome.upper()} {one.path}: {one.said}", style="red", markup=False)
    if quiet:
        return
    notes: dict[str, list[str]] = {}
    for one in found.checked:
        for note in one.notes:
            notes.setdefault(note, []).append(one.file)
    for note, names in notes.items():
        console.print_named("!", names, note, "yellow")


def _summary(found: Verification) -> str:
    """The last line: how many of how many are verified, and what became of the others."""
    counts = found.counts
    verified = counts.pop("verified", 0)
    how = " by value and counts" if found.quick else ""
    said = f"{verified} of {len(found.checked)} results verified{how}"
    return said + "".join(f"; {outcome}: {count}" for outcome, count in sorted(counts.items())) + "."
