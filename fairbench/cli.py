"""The command line: parse, call, print. Heavy imports wait until a command needs them.

Exit codes: 0 done; 1 a cell failed, the others finished and are saved; 2 the request was wrong.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.registry import Registry, Task, suites
from fairbench.scores import jsonable

app = typer.Typer(
    name="fairbench",
    help="How biased is this language model, with what certainty, and may I print the figure?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
data_app = typer.Typer(help="Where the tasks' data come from, and whether they are whole.", no_args_is_help=True)
planted_app = typer.Typer(help="Planted bias: small models with a known bias.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(planted_app, name="planted")

Names = Annotated[str | None, typer.Option(help="Names, joined by commas.")]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", "--data_dir", envvar="FAIRBENCH_DATA", help="Folder of raw data files.")
]
Include = Annotated[
    list[Path] | None,
    typer.Option("--include-path", "--include_path", help="Folder with further metrics/ and tasks/; may repeat."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No bars and no tables.")]
Seed = Annotated[int, typer.Option(help="Seed of the resampling.")]
Draws = Annotated[int, typer.Option(min=0, help="Bootstrap draws; 0 for the value alone.")]
Level = Annotated[float, typer.Option(min=0.5, max=0.9999, help="Confidence level of intervals.")]


@app.command()
def demo(
    output_path: Annotated[Path, typer.Option("--output-path", "--output_path", help="Where results go.")] = Path("demo-results"),
    quiet: Quiet = False,
) -> None:
    """Score the shipped planted models and say which is biased. Offline."""
    from fairbench import console
    from fairbench.demo import run_demo

    verdicts = []
    with console.progress_bars(quiet) as progress:
        for run, verdict in run_demo(output_path, progress):
            verdicts.append(verdict)
            if not quiet:
                console.print_run(run)
                console.out.print()
    console.out.print("What the scores say", style="bold")
    for verdict in verdicts:
        console.out.print(f"  {verdict.sentence}", style="red" if verdict.biased else "green", markup=False)
    console.out.print(
        "The planted gap is P(stereotyped pronoun) - P(other) in a model's training text. 50 % = no preference; [95 % interval]; "
        "biased = a sign test rejects no preference at 5 % after Holm's correction for two tests."
    )


@app.command()
def score(
    model: Annotated[str, typer.Argument(help="Hub id, folder, or planted:NAME.")],
    suite: Annotated[str | None, typer.Option(help="quick (default), intrinsic, extrinsic, full, planted.")] = None,
    tasks: Names = None,
    metrics: Names = None,
    limit: Annotated[float | None, typer.Option(help="First N records (or a share below 1) of each task: for trials.")] = None,
    batch_size: Annotated[str, typer.Option("--batch-size", "--batch_size", help="auto, or inputs a batch.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16, float16, float64, or auto for the checkpoint's.")] = "float32",
    revision: Annotated[str | None, typer.Option(help="Commit, branch or tag on the Hub.")] = None,
    scorer: Annotated[str | None, typer.Option(help="How a sentence is scored: sum, mean, pll, pll-shared, pll-changed.")] = None,
    pooling: Annotated[str | None, typer.Option(help="mean (default), first, last.")] = None,
    layer: Annotated[str | None, typer.Option(help="-1 (default, the last), 0 (embeddings' output) ..., or input.")] = None,
    apply_chat_template: Annotated[bool, typer.Option("--apply-chat-template", "--apply_chat_template")] = False,
    trust_remote_code: Annotated[bool, typer.Option("--trust-remote-code", "--trust_remote_code")] = False,
    allow_pickle: Annotated[bool, typer.Option("--allow-pickle", help="Load pytorch_model.bin, which can run code.")] = False,
    data_dir: DataDir = None,
    output_path: Annotated[Path, typer.Option("--output-path", "--output_path")] = Path("results"),
    include_path: Include = None,
    seed: Seed = 1234,
    draws: Draws = 10_000,
    level: Level = 0.95,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Score a model. The same command again takes up what is there."""
    from fairbench import console
    from fairbench.measurement import MeasureOptions
    from fairbench.models.batching import parse_batch_size
    from fairbench.models.model import ModelOptions
    from fairbench.plan import ScoreOptions, make_plan
    from fairbench.study import score as run_score

    options = ScoreOptions(
        suite=suite,
        tasks=_split(tasks),
        metrics=_split(metrics),
        limit=limit,
        data_dir=data_dir,
        output_path=output_path,
        probe={"scorer": scorer, "pooling": pooling, "layer": layer},
        model=ModelOptions(
            revision=revision,
            dtype=dtype,
            device=device,
            trust_remote_code=trust_remote_code,
            allow_pickle=allow_pickle,
            apply_chat_template=apply_chat_template,
        ),
        measure=MeasureOptions(level=level, draws=draws, seed=seed),
        batching=parse_batch_size(batch_size),
        include_path=tuple(include_path or ()),
    )
    if dry_run:
        plan = make_plan(model, options)
        rows = [
            {"task": a.task.name, "probe": a.probe, "metrics": ", ".join(m.name for m in a.metrics), **a.moved} for a in plan.asks
        ]
        _print_rows(rows, as_json)
        return
    with console.progress_bars(quiet or as_json) as progress:
        run = run_score(model, options, progress)
    if as_json:
        _print_json([r.as_dict() for r in run.results])
    elif not quiet:
        console.print_run(run)
    for name, reason in run.failed.items():
        if quiet or as_json:
            console.err.print(f"FAILED {name}: {reason}", markup=False)
    if run.failed:
        raise typer.Exit(1)


@app.command()
def measure(
    metric: Annotated[str, typer.Argument(help="Name of a metric.")],
    answers: Annotated[Path, typer.Argument(help="Answers: .parquet, .jsonl or .csv, a row an answer.")],
    include_path: Include = None,
    seed: Seed = 1234,
    draws: Draws = 10_000,
    level: Level = 0.95,
    as_json: AsJson = False,
) -> None:
    """A metric on answers that are already there, from fairbench or from elsewhere."""
    from fairbench import console
    from fairbench.answers import read_answers
    from fairbench.measurement import MeasureOptions
    from fairbench.measurement import measure as measure_answers

    found = Registry(include_path or ()).metric(metric)
    result = measure_answers(found, read_answers(answers), MeasureOptions(level=level, draws=draws, seed=seed))
    if as_json:
        _print_json({"metric": metric, "answers": str(answers), "score": result.as_dict()})
    else:
        console.print_score(metric, result)


@app.command(name="list")
def list_names(
    what: Annotated[str, typer.Argument(help="metrics, tasks, suites or planted.")],
    include_path: Include = None,
    as_json: AsJson = False,
) -> None:
    """List metrics, tasks, suites or planted models."""
    registry = Registry(include_path or ())
    rows: list[dict[str, Any]]
    if what == "metrics":
        rows = [
            {"metric": name, "kind": m.kind, "ideal": f"{m.ideal:g}", "reads": m.reads, "title": m.title}
            for name, m in registry.metrics().items()
        ]
    elif what == "tasks":
        rows = [
            {"task": n, "records": t.form, "metrics": ", ".join(t.metrics), "title": t.title} for n, t in registry.tasks().items()
        ]
    elif what == "suites":
        rows = [{"suite": name, "tasks": len(names), "names": ", ".join(names)} for name, names in suites(registry).items()]
    elif what == "planted":
        from fairbench.planted import card, names

        rows = [{k: card(n)[k] for k in ("name", "kind", "dial", "planted_gap", "learned_gap")} for n in names()]
    else:
        known = ["metrics", "tasks", "suites", "planted"]
        raise FairbenchError(f"There is no list of {what!r}.{did_you_mean(what, known)} Wanted one of {', '.join(known)}.")
    _print_rows(rows, as_json)


@app.command()
def describe(
    name: Annotated[str, typer.Argument(help="A metric or a task; metric:NAME or task:NAME where both have it.")],
    include_path: Include = None,
    as_json: AsJson = False,
) -> None:
    """The card of a metric or a task: what it measures, ideal, direction, known threats, source."""
    from fairbench import console

    registry = Registry(include_path or ())
    kind, _, bare = name.rpartition(":")
    metrics = registry.metrics() if kind in ("", "metric") else {}
    tasks = registry.tasks() if kind in ("", "task") else {}
    if bare not in metrics and bare not in tasks:
        hint = did_you_mean(bare, [*metrics, *tasks])
        raise FairbenchError(f"There is no metric or task {name!r}.{hint} `fairbench list metrics` and `list tasks` show all.")
    cards = {k: c[bare] for k, c in (("metric", metrics), ("task", tasks)) if bare in c}
    if as_json:
        _print_json({k: jsonable(dataclasses.asdict(c)) for k, c in cards.items()})
        return
    if bare in metrics:
        used_by = [t for t, info in registry.tasks().items() if bare in info.metrics]
        console.print_fields(f"metric {bare}", console.metric_fields(metrics[bare], used_by))
    if bare in tasks:
        console.print_fields(f"task {bare}", console.task_fields(tasks[bare]))


@data_app.command("status")
def data_status(tasks: Names = None, data_dir: DataDir = None, include_path: Include = None, as_json: AsJson = False) -> None:
    """Where each task's data would come from, and whether their hash is the pinned one."""
    from fairbench.data import status

    places = status({name: task.info for name, task in _chosen_tasks(tasks, include_path).items()}, data_dir)
    _print_rows([dataclasses.asdict(place) for place in places], as_json)


@data_app.command("check")
def data_check(tasks: Names = None, data_dir: DataDir = None, include_path: Include = None, as_json: AsJson = False) -> None:
    """Read and parse the tasks' data in full and count their records. Exit code 1 where one is not whole."""
    from fairbench.data import check

    found = [check(t.info, name, t.records, data_dir) for name, t in _chosen_tasks(tasks, include_path).items()]
    _print_rows(
        [{"task": c.task, "records": c.n, "from": c.provenance.get("kind"), "error": c.error or ""} for c in found], as_json
    )
    if any(c.error for c in found):
        raise typer.Exit(1)


@planted_app.command("build")
def planted_build(
    output_path: Annotated[Path, typer.Option("--output-path", "--output_path", help="A folder that does not exist yet.")],
    kinds: Annotated[str, typer.Option(help="causal, masked or both, joined by a comma.")] = "causal,masked",
    dials: Annotated[str, typer.Option(help="Dials between 0 and 1, joined by commas.")] = "0,0.5,1",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Train the planted models again and write their data sets."""
    from fairbench import console
    from fairbench.planted import build

    with console.progress_bars(quiet) as progress:
        folders = build(
            output_path,
            kinds=_split(kinds),
            dials=tuple(_number(d, "--dials") for d in _split(dials)),
            seed=seed,
            on_step=lambda done, total, what: progress(what, done, total),
        )
    for folder in folders:
        console.out.print(str(folder), markup=False)


def _split(names: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (names or "").split(",") if name.strip())


def _number(text: str, flag: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise FairbenchError(f"{flag}: found {text!r}, wanted numbers joined by commas.") from None


def _chosen_tasks(tasks: str | None, include: list[Path] | None) -> dict[str, Task]:
    registry = Registry(include or ())
    return {name: registry.task(name) for name in _split(tasks) or registry.tasks()}


def _print_json(content: Any) -> None:
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _print_rows(rows: Any, as_json: bool) -> None:
    from fairbench import console

    if as_json:
        _print_json(jsonable(list(rows)))
    else:
        console.print_listing(rows)


def main() -> NoReturn:
    """Runs the command line; a FairbenchError becomes one paragraph on standard error and exit code 2."""
    try:
        app()
    except FairbenchError as error:
        sys.stderr.write(f"fairbench: {error}\n")
        sys.exit(2)
    sys.exit(0)
