"""The command line: parse, call, print. Heavy imports wait until a command needs them.

Exit codes: 0 done; 1 a cell failed, or a file could not be used, and the rest is done; 2 the request was wrong; 3 a gate did not
pass.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from fairbench import flags
from fairbench.agreement_command import agreement
from fairbench.compare_command import compare
from fairbench.correlate_command import correlate
from fairbench.errors import FairbenchError, did_you_mean
from fairbench.judge_command import judge
from fairbench.mitigate_command import mitigate
from fairbench.registry import Registry, Task, suites
from fairbench.report_command import report
from fairbench.score_command import score
from fairbench.swap_command import swap
from fairbench.verify_command import verify

app = typer.Typer(
    name="fairbench",
    help="How biased is this language model, with what certainty, and may I print the figure?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    # lm-evaluation-harness writes --batch_size: both spellings of every flag work.
    context_settings={"token_normalize_func": lambda name: name.replace("_", "-")},
)
data_app = typer.Typer(help="Where the tasks' data come from, and whether they are whole.", no_args_is_help=True)
planted_app = typer.Typer(help="Planted bias: small models with a known bias.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(planted_app, name="planted")


@app.callback(invoke_without_command=True)
def about(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    """How biased is this language model, with what certainty, and may I print the figure?"""
    if version:
        from fairbench import __version__  # looked up when it is asked for, not at every start

        sys.stdout.write(f"fairbench {__version__}\n")
        raise typer.Exit


@app.command()
def demo(
    output_path: flags.OutputPath = Path("demo-results"),
    quiet: flags.Quiet = False,
) -> None:
    """Score the shipped planted models, say which is biased, mitigate the most biased, and report. Offline."""
    from fairbench import console
    from fairbench.demo import mitigate_biased, run_demo, write_demo_report

    verdicts = []
    with console.progress_bars(quiet) as progress:
        for run, verdict in run_demo(output_path, progress):
            verdicts.append(verdict)
            if not quiet:
                console.print_run(run)
                console.out.print()
        mitigated = mitigate_biased(output_path, progress)
        page = write_demo_report(output_path, mitigated, progress)
    console.out.print("What the scores say", style="bold")
    for verdict in verdicts:
        console.out.print(f"  {verdict.sentence}", style="red" if verdict.biased else "green", markup=False)
    console.out.print(
        "The planted gap is P(stereotyped pronoun) - P(other) in a model's training text. 50 % = no preference; [95 % interval]; "
        "biased = a sign test rejects no preference at 5 % after Holm's correction for two tests."
    )
    console.out.print()
    console.print_changes(mitigated)
    console.out.print()
    console.out.print(f"All of it, with figures and tables: open {page}", markup=False)


app.command()(score)
app.command()(agreement)
app.command()(judge)
app.command()(swap)
app.command()(mitigate)
app.command()(compare)
app.command()(correlate)
app.command()(report)
app.command()(verify)


@app.command()
def measure(
    metric: Annotated[str, typer.Argument(help="Name of a metric.")],
    answers: Annotated[Path, typer.Argument(help="Answers: .parquet, .jsonl or .csv, a row an answer.")],
    metric_options: flags.MetricOptions = None,
    group_by: flags.GroupBy = None,
    include_path: flags.Include = None,
    seed: flags.Seed = 1234,
    draws: flags.Draws = 10_000,
    level: flags.Level = 0.95,
    as_json: flags.AsJson = False,
) -> None:
    """A metric on answers that are already there, from fairbench or from elsewhere."""
    from fairbench import console
    from fairbench.answers import read_answers
    from fairbench.measurement import MeasureOptions, by_notion
    from fairbench.measurement import measure as measure_answers
    from fairbench.naming import metric_label

    found = Registry(include_path or ()).metric(metric).with_options(flags.settings(metric_options, "--metric-options"))
    table, how = read_answers(answers), MeasureOptions(level=level, draws=draws, seed=seed)
    chosen = by_notion(found, table) if group_by is None else [found.with_options({"group_by": group_by})]
    scores = [(one, measure_answers(one, table, how)) for one in chosen]
    if as_json:
        said = [
            {"metric": metric, "options": dict(one.options), "answers": str(answers), "score": score.as_dict()}
            for one, score in scores
        ]
        console.print_json(said[0] if len(said) == 1 else said)
        return
    for one, found_score in scores:
        console.print_score(metric_label(metric, one.options), found_score)


@app.command(name="list")
def list_names(
    what: Annotated[str, typer.Argument(help="metrics, tasks, judges, methods, suites or planted.")],
    include_path: flags.Include = None,
    as_json: flags.AsJson = False,
) -> None:
    """List metrics, tasks, judges, methods, suites or planted models."""
    from fairbench import console

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
    elif what == "judges":
        rows = [{"judge": n, "columns": ", ".join(j.COLUMNS), "title": j.TITLE} for n, j in registry.judges().items()]
    elif what == "methods":
        rows = [{"method": n, "for": ", ".join(m.KINDS), "what it does": m.SUMMARY} for n, m in registry.methods().items()]
    elif what == "suites":
        rows = [{"suite": name, "tasks": len(names), "names": ", ".join(names)} for name, names in suites(registry).items()]
    elif what == "planted":
        from fairbench.planted import card, names

        rows = [{k: card(n)[k] for k in ("name", "kind", "dial", "planted_gap", "learned_gap")} for n in names()]
    else:
        known = ["metrics", "tasks", "judges", "methods", "suites", "planted"]
        raise FairbenchError(f"There is no list of {what!r}.{did_you_mean(what, known)} Wanted one of {', '.join(known)}.")
    console.print_rows(rows, as_json)


@app.command()
def describe(
    name: Annotated[str, typer.Argument(help="A metric, task, judge or method; metric:NAME, task:NAME where both have it.")],
    include_path: flags.Include = None,
    as_json: flags.AsJson = False,
) -> None:
    """The card of a metric, a task, a judge or a method: what it measures or does, options, known threats, source."""
    from fairbench import cards, console

    registry = Registry(include_path or ())
    kind, _, bare = name.rpartition(":")
    metrics = registry.metrics() if kind in ("", "metric") else {}
    tasks = registry.tasks() if kind in ("", "task") else {}
    judges = registry.judges() if kind in ("", "judge") else {}
    if bare in judges and bare not in metrics and bare not in tasks:
        using = [m for m, info in registry.metrics().items() if info.judge == bare]
        fields = cards.judge_fields(bare, judges[bare], using)
        console.print_json(dict(fields)) if as_json else console.print_fields(f"judge {bare}", fields)
        return
    methods = registry.methods() if kind in ("", "method") else {}
    if bare in methods and bare not in metrics and bare not in tasks:
        fields = cards.method_fields(bare, methods[bare])
        console.print_json(dict(fields)) if as_json else console.print_fields(f"method {bare}", fields)
        return
    if bare not in metrics and bare not in tasks:
        hint = did_you_mean(bare, [*metrics, *tasks, *judges, *methods])
        raise FairbenchError(
            f"There is no metric, task, judge or method {name!r}.{hint} `fairbench list metrics`, `list tasks`, `list judges` "
            "and `list methods` show all."
        )
    if as_json:
        both = (("metric", metrics), ("task", tasks))
        console.print_json({k: dataclasses.asdict(cards_of[bare]) for k, cards_of in both if bare in cards_of})
        return
    if bare in metrics:
        used_by = [t for t, info in registry.tasks().items() if bare in info.metrics]
        probe = registry.probe(metrics[bare].probe)
        console.print_fields(f"metric {bare}", cards.metric_fields(registry.metric(bare), probe, used_by))
    if bare in metrics and bare in tasks:
        console.out.print()
    if bare in tasks:
        console.print_fields(f"task {bare}", cards.task_fields(bare, tasks[bare]))


@data_app.command("status")
def data_status(
    tasks: flags.Names = None, data_dir: flags.DataDir = None, include_path: flags.Include = None, as_json: flags.AsJson = False
) -> None:
    """Where each task's data would come from, and whether their hash is the pinned one."""
    from fairbench import console
    from fairbench.data import status

    places = status({name: task.info for name, task in _chosen_tasks(tasks, include_path).items()}, data_dir)
    if as_json:
        console.print_json([dataclasses.asdict(place) for place in places])
    else:
        console.print_places(places)


@data_app.command("check")
def data_check(
    tasks: flags.Names = None, data_dir: flags.DataDir = None, include_path: flags.Include = None, as_json: flags.AsJson = False
) -> None:
    """Read and parse the tasks' data in full and count their records. Exit code 1 where one is not whole."""
    from fairbench import console
    from fairbench.data import check

    found = [check(t.info, name, t.records, data_dir) for name, t in _chosen_tasks(tasks, include_path).items()]
    console.print_rows(
        [{"task": c.task, "records": c.n, "from": c.provenance.get("kind"), "error": c.error or ""} for c in found], as_json
    )
    if any(c.error for c in found):
        raise typer.Exit(1)


@planted_app.command("build")
def planted_build(
    output_path: Annotated[
        Path,
        typer.Option("--output-path", help="A folder; models and data of the same names there are replaced."),
    ],
    kinds: Annotated[str, typer.Option(help="causal, masked or both, joined by a comma.")] = "causal,masked",
    dials: Annotated[str, typer.Option(help="Dials between 0 and 1, joined by commas.")] = "0,0.5,1",
    seed: flags.Seed = 0,
    quiet: flags.Quiet = False,
) -> None:
    """Train the planted models again and write their data sets."""
    from fairbench import console
    from fairbench.planted import build

    with console.progress_bars(quiet) as progress:
        folders = build(
            output_path,
            kinds=flags.names(kinds),
            dials=tuple(_number(d, "--dials") for d in flags.names(dials)),
            seed=seed,
            on_step=lambda done, total, what: progress(what, done, total),
        )
    for folder in folders:
        console.out.print(str(folder), markup=False)


def _number(text: str, flag: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise FairbenchError(f"{flag}: found {text!r}, wanted numbers joined by commas.") from None


def _chosen_tasks(tasks: str | None, include: list[Path] | None) -> dict[str, Task]:
    registry = Registry(include or ())
    return {name: registry.task(name) for name in flags.names(tasks) or registry.tasks()}


def main() -> NoReturn:
    """Runs the command line; a FairbenchError becomes one paragraph on standard error and exit code 2."""
    try:
        app()
    except FairbenchError as error:
        sys.stderr.write(f"fairbench: {error}\n")
        sys.exit(2)
    sys.exit(0)
