"""`fairbench judge`: what a judge says of texts that are already there, as further columns of their table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairbench import flags
from fairbench.registry import Registry


def judge(
    name: Annotated[str, typer.Argument(help="A judge, or what it judges by too: toxicity=FOLDER, polarity=max,vectors=FILE.")],
    answers: Annotated[Path, typer.Argument(help="A table with the column continuation: .parquet, .jsonl or .csv.")],
    output_path: Annotated[Path, typer.Option("--output-path", help="Where the table goes with its new columns.")],
    batch_size: flags.BatchSize = "auto",
    device: flags.Device = "auto",
    data_dir: flags.DataDir = None,
    as_json: flags.AsJson = False,
) -> None:
    """Add what a judge says of texts to their table, so that `measure` can read it."""
    from fairbench import console
    from fairbench.answers import read_answers, refuse_suffix, write_answers
    from fairbench.judges import Room
    from fairbench.judging import add_judgement, ready
    from fairbench.models.batching import parse_batch_size

    registry = Registry()
    refuse_suffix(output_path)
    given = flags.judges([name], registry.first_option) if "=" in name else {name: {}}
    ((called, options),) = given.items()
    room = Room(data_dir=data_dir, device=device, batching=parse_batch_size(batch_size))
    found = ready(registry, called, options, room)
    table = add_judgement(read_answers(answers), found)
    failed = table[found.columns[-1]].dropna()
    write_answers(table, output_path)
    if as_json:
        console.print_json({**found.identity, "rows": len(table), "failed": len(failed), "output": str(output_path)})
        return
    said = f"{len(table)} rows judged by {called}: {', '.join(found.columns[:-1])}. Written to {output_path}"
    console.out.print(said, markup=False)
    for reason, count in failed.value_counts().items():
        console.out.print(f"! {count} rows have no judgement: {reason}", style="yellow", markup=False)
    for note in found.judge.notes:
        console.out.print(f"! {note}", style="yellow", markup=False)
