"""The flags of the command line, each defined once; names as in lm-evaluation-harness where one exists."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from fairbench.errors import FairbenchError
from fairbench.files import require_writable

Model = Annotated[str, typer.Argument(help="Hub id, folder, or planted:NAME.")]
Suite = Annotated[
    str | None, typer.Option(help="quick (default), intrinsic, extrinsic, full, planted, planted_downstream, large.")
]
Names = Annotated[str | None, typer.Option(help="Names, joined by commas.")]
Limit = Annotated[float | None, typer.Option(help="First N records (or a share below 1) of each stratum of a task: for trials.")]
BatchSize = Annotated[str, typer.Option("--batch-size", help="auto, or inputs a batch.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")]
Dtype = Annotated[str, typer.Option(help="float32, bfloat16, float16, float64, or auto for the checkpoint's.")]
Revision = Annotated[str | None, typer.Option(help="Commit, branch or tag on the Hub.")]
Scorer = Annotated[
    str | None,
    typer.Option(help="Causal: sum, mean. Masked: pll-shared, published, pll-changed, pll, aul, aula. Clozes: stereoset."),
]
Pooling = Annotated[str | None, typer.Option(help="mean (default), first, last.")]
Layer = Annotated[str | None, typer.Option(help="-1 (default, the last), 0 (the embeddings' output) ..., or input.")]
TrainOn = Annotated[
    str | None,
    typer.Option("--train-on", help="What a classifier learns from: a task, or a file with the columns text and label."),
]
TrainSeed = Annotated[int | None, typer.Option("--train-seed", help="Seed of its training; several: --sweep train_seed=0,1,2.")]
GroupBy = Annotated[
    str | None,
    typer.Option(
        "--group-by", help="Groups to compare: a notion (gender), several for their intersections (gender,race), or all."
    ),
]
Counterfactual = Annotated[
    str | None,
    typer.Option(
        help="Variants of texts: terms (identity terms exchanged) or roles (gender roles reversed); else as the task has it."
    ),
]
ProbeOptions = Annotated[
    str | None,
    typer.Option("--probe-options", help="Further options of probes, name=value joined by commas; `describe` names them."),
]
MetricOptions = Annotated[
    str | None,
    typer.Option("--metric-options", help="Options of metrics, name=value joined by commas; `describe` names them."),
]
Judges = Annotated[
    list[str] | None,
    typer.Option(
        "--judge",
        help="What a judge judges by and its options: toxicity=FOLDER, toxicity=words, regard=HUB_ID,sentence=true; may repeat.",
    ),
]
ModelUrl = Annotated[
    str | None, typer.Option("--model-url", help="MODEL is a name at this OpenAI-compatible server: http://127.0.0.1:8000/v1.")
]
ServerTimeout = Annotated[float, typer.Option("--server-timeout", min=0.1, help="Seconds to wait for a served model's reply.")]
ServerRetries = Annotated[int, typer.Option("--server-retries", min=0, help="How often a request that failed is tried again.")]
ServerConcurrency = Annotated[int, typer.Option("--server-concurrency", min=1, help="Requests to the server at once.")]
Corpus = Annotated[str | None, typer.Option(help="Text that words are met in (CEAT): files, a task of passages, or a Hub id.")]
Contexts = Annotated[int, typer.Option(help="At most so many sentences a word, where there is a corpus.")]
Sweep = Annotated[
    list[str] | None,
    typer.Option(
        "--sweep",
        help="Score under every choice of pooling, layer, scorer, template, words, train_seed=0,1,2 ...: an axis, or "
        "axis=value,value; may repeat.",
    ),
]
ByGroup = Annotated[bool, typer.Option("--by-group", help="Print each group's score too; they are saved in any case.")]
ChatTemplate = Annotated[
    bool,
    typer.Option("--apply-chat-template", help="Score texts as replies in the model's chat format."),
]
RemoteCode = Annotated[bool, typer.Option("--trust-remote-code", help="Run Python code that comes with the model.")]
Pickle = Annotated[bool, typer.Option("--allow-pickle", help="Load pytorch_model.bin, a pickle, which can run code.")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of raw data files; else the variable FAIRBENCH_DATA.")]
OutputPath = Annotated[Path, typer.Option("--output-path", help="Where results go.")]
Track = Annotated[
    str | None,
    typer.Option(help="Also log to a tracker: trackio (pip install 'fairbench[tracking]') or wandb (pip install wandb)."),
]
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


def names(text: str | None) -> tuple[str, ...]:
    """Names joined by commas."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def settings(text: str | None, flag: str) -> dict[str, str]:
    """Options written as name=value, joined by commas.

    Raises:
        FairbenchError: one of them has no name or no value, or stands twice.
    """
    found: dict[str, str] = {}
    for part in names(text):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if not name or not value:
            raise FairbenchError(f"{flag}: found {part!r}, wanted name=value, and a comma between several of them.")
        if name in found:
            raise FairbenchError(f"{flag}: {name} is given twice, as {found[name]} and as {value}. Leave one out.")
        found[name] = value
    return found


def refuse_folder(path: Path) -> None:
    """Refuses an output file that is a folder, or that can't be written, before any work is done."""
    if path.is_dir():
        raise FairbenchError(f"--output-path {path} is a folder. Wanted a file of its own.")
    require_writable(path.parent)


def numbers(given: Iterable[str] | None, flag: str) -> dict[str, float]:
    """Numbers by name, from NAME=x; the name may hold a sign of equality itself.

    Raises:
        FairbenchError: no name, no finite number, or a name that is given twice.
    """
    found: dict[str, float] = {}
    for text in given or ():
        name, _, value = (piece.strip() for piece in text.rpartition("="))
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not name or not math.isfinite(number):
            raise FairbenchError(f"{flag}: found {text!r}, wanted NAME=x with a number x: {flag} crows_pairs=2.5.")
        if name in found:
            raise FairbenchError(f"{flag}: {name} is given twice. Leave one out.")
        found[name] = number
    return found


def judges(given: Iterable[str], first: Callable[[str], str]) -> dict[str, dict[str, str]]:
    """Options of judges by name, from NAME=BY,option=value as `--judge` takes them.

    Args:
        given: one text for each judge.
        first: the name of a judge's first option, which BY is for; it refuses an unknown judge.

    Raises:
        FairbenchError: a judge without a value, or one that is given twice.
    """
    found: dict[str, dict[str, str]] = {}
    for text in given:
        name, equals, rest = (piece.strip() for piece in text.partition("="))
        parts = names(rest)
        if not equals or not parts:
            raise FairbenchError(f"--judge: found {text!r}, wanted NAME=MODEL, or NAME=MODEL,option=value.")
        if name in found:
            raise FairbenchError(f"--judge: {name} is given twice. Write all of it in one: --judge {name}=MODEL,option=value.")
        # An id or a path is no option, also where a folder's name holds a sign of equality after a slash.
        bare = [part for part in parts[:1] if "=" not in part.split("/")[0]]
        by = {first(name): bare[0]} if bare else {}
        found[name] = {**by, **settings(",".join(parts[len(bare) :]), f"--judge {name}")}
    return found


def axes(given: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """What is swept: each axis with its values, none where it is named alone.

    Raises:
        FairbenchError: an axis without a name, with = but no value, or given twice.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in given:
        axis, equals, values = (piece.strip() for piece in text.partition("="))
        if not axis or (equals and not names(values)):
            raise FairbenchError(f"--sweep: found {text!r}, wanted an axis, or an axis with its values: --sweep layer=0,3,6.")
        if axis in found:
            raise FairbenchError(f"--sweep: {axis} is given twice. Write its values in one: --sweep {axis}=FIRST,SECOND.")
        found[axis] = names(values)
    return found
