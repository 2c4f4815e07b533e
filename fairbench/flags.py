"""The flags of the command line, each defined once; names as in lm-evaluation-harness where one exists."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[str, typer.Argument(help="Hub id, folder, or planted:NAME.")]
Suite = Annotated[str | None, typer.Option(help="quick (default), intrinsic, extrinsic, full, planted.")]
Names = Annotated[str | None, typer.Option(help="Names, joined by commas.")]
Limit = Annotated[float | None, typer.Option(help="First N records (or a share below 1) of each stratum of a task: for trials.")]
BatchSize = Annotated[str, typer.Option("--batch-size", help="auto, or inputs a batch.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")]
Dtype = Annotated[str, typer.Option(help="float32, bfloat16, float16, float64, or auto for the checkpoint's.")]
Revision = Annotated[str | None, typer.Option(help="Commit, branch or tag on the Hub.")]
Scorer = Annotated[
    str | None,
    typer.Option(help="How a sentence is scored. Causal: sum, mean. Masked: pll-shared, pll-changed, pll. Or stereoset."),
]
Pooling = Annotated[str | None, typer.Option(help="mean (default), first, last.")]
Layer = Annotated[str | None, typer.Option(help="-1 (default, the last), 0 (the embeddings' output) ..., or input.")]
ChatTemplate = Annotated[
    bool,
    typer.Option("--apply-chat-template", help="Score texts as replies in the model's chat format."),
]
RemoteCode = Annotated[bool, typer.Option("--trust-remote-code", help="Run Python code that comes with the model.")]
Pickle = Annotated[bool, typer.Option("--allow-pickle", help="Load pytorch_model.bin, a pickle, which can run code.")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of raw data files; else the variable FAIRBENCH_DATA.")]
OutputPath = Annotated[Path, typer.Option("--output-path", help="Where results go.")]
Include = Annotated[
    list[Path] | None,
    typer.Option("--include-path", help="Folder with further metrics/ and tasks/; may repeat."),
]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Draws = Annotated[int, typer.Option(min=0, help="Bootstrap draws; 0 for the value alone.")]
Level = Annotated[float, typer.Option(min=0.5, max=0.9999, help="Confidence level of intervals.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No bars and no tables.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]
