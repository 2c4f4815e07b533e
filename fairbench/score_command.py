"""`fairbench score`: flags become options; a run, a sweep or a plan is printed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fairbench import flags
from fairbench.errors import FairbenchError
from fairbench.registry import Registry

if TYPE_CHECKING:
    from fairbench.plan import Ask, ScoreOptions
    from fairbench.sweeps.choices import Axes


def score(
    model: flags.Model,
    suite: flags.Suite = None,
    tasks: flags.Names = None,
    metrics: flags.Names = None,
    limit: flags.Limit = None,
    batch_size: flags.BatchSize = "auto",
    device: flags.Device = "auto",
    dtype: flags.Dtype = "float32",
    revision: flags.Revision = None,
    scorer: flags.Scorer = None,
    pooling: flags.Pooling = None,
    layer: flags.Layer = None,
    train_on: flags.TrainOn = None,
    train_seed: flags.TrainSeed = None,
    group_by: flags.GroupBy = None,
    counterfactual: flags.Counterfactual = None,
    probe_options: flags.ProbeOptions = None,
    metric_options: flags.MetricOptions = None,
    judge: flags.Judges = None,
    model_url: flags.ModelUrl = None,
    server_timeout: flags.ServerTimeout = 60.0,
    server_retries: flags.ServerRetries = 5,
    server_concurrency: flags.ServerConcurrency = 4,
    corpus: flags.Corpus = None,
    contexts: flags.Contexts = 100,
    sweep: flags.Sweep = None,
    by_group: flags.ByGroup = False,
    apply_chat_template: flags.ChatTemplate = False,
    trust_remote_code: flags.RemoteCode = False,
    allow_pickle: flags.Pickle = False,
    data_dir: flags.DataDir = None,
    output_path: flags.OutputPath = Path("results"),
    include_path: flags.Include = None,
    track: flags.Track = None,
    seed: flags.Seed = 1234,
    draws: flags.Draws = 10_000,
    level: flags.Level = 0.95,
    dry_run: flags.DryRun = False,
    quiet: flags.Quiet = False,
    as_json: flags.AsJson = False,
) -> None:
    """Score a model. The same command again takes up what is there."""
    from fairbench.measurement import MeasureOptions
    from fairbench.models.batching import parse_batch_size
    from fairbench.models.model import ModelOptions, Serving
    from fairbench.plan import ScoreOptions
    from fairbench.tracking import Tracker, log_scores, require_tracker

    loading = ModelOptions(
        revision=revision, dtype=dtype, device=device, trust_remote_code=trust_remote_code,
        allow_pickle=allow_pickle, apply_chat_template=apply_chat_template,
        url=model_url, serving=Serving(timeout=server_timeout, retries=server_retries, concurrency=server_concurrency),
    )  # fmt: skip
    own = {"scorer": scorer, "pooling": pooling, "layer": layer, "train_on": train_on, "train_seed": train_seed}
    options = ScoreOptions(
        suite=suite, tasks=flags.names(tasks), metrics=flags.names(metrics), limit=limit, data_dir=data_dir,
        output_path=output_path, probe=_probe(own, probe_options),
        model=loading, measure=MeasureOptions(level=level, draws=draws, seed=seed), batching=parse_batch_size(batch_size),
        include_path=tuple(include_path or ()), metric_options=flags.settings(metric_options, "--metric-options"),
        corpus=corpus, contexts=contexts, group_by=group_by, counterfactual=counterfactual,
        judges=flags.judges(judge or (), Registry().first_option),
    )  # fmt: skip
    axes = flags.axes(sweep or ())
    if axes and by_group:
        raise FairbenchError("--by-group and --sweep were both given, but a sweep keeps no score of a group. Leave one out.")
    if dry_run:
        _print_sweep_plan(model, options, axes, as_json) if axes else _print_plan(model, options, as_json)
        return
    if track:
        require_tracker(track)
    show = "json" if as_json else "nothing" if quiet else "table"
    failed, folder = _carry_out(model, options, axes, show=show, by_group=by_group)
    if track and folder.is_dir():
        log_scores([folder], Tracker(to=track))
    if failed:
        raise typer.Exit(1)


def _probe(own: Mapping[str, Any], others: str | None) -> dict[str, Any]:
    """The probe's options: those with a flag of their own, and the others by name."""
    further = flags.settings(others, "--probe-options")
    twice = [name for name in further if own.get(name) is not None]
    if twice:
        flag = twice[0].replace("_", "-")
        raise FairbenchError(f"{twice[0]} is given twice, as --{flag} and in --probe-options. Leave one out.")
    return {**own, **further}


def _carry_out(model: str, options: ScoreOptions, axes: Axes, *, show: str, by_group: bool) -> tuple[Mapping[str, str], Path]:
    """Runs what was asked for, prints it ("table", "json", "nothing"), and gives what failed and where results lie."""
    from fairbench import console
    from fairbench.study import score as run_score
    from fairbench.sweeps.run import Sweep
    from fairbench.sweeps.run import sweep as run_sweep

    try:
        with console.progress_bars(show != "table") as progress:
            run = run_sweep(model, options, axes, progress) if axes else run_score(model, options, progress)
    except KeyboardInterrupt:
        console.err.print("Interrupted. What was answered is kept; the same command goes on from there.")
        raise typer.Exit(130) from None
    if show == "json":
        console.print_json([part.as_dict() for part in (run.spreads if isinstance(run, Sweep) else run.results)])
    elif show == "table":
        console.print_sweep(run) if isinstance(run, Sweep) else console.print_run(run, by_group)
    for name, reason in run.failed.items():
        if show != "table":
            console.err.print(f"FAILED {name}: {reason}", markup=False)
    return run.failed, run.folder


def _print_plan(model: str, options: ScoreOptions, as_json: bool) -> None:
    """What would be asked and measured, and what can't be."""
    from fairbench import console
    from fairbench.naming import metric_label
    from fairbench.plan import make_plan

    plan = make_plan(model, options)
    rows = [
        {
            "task": ask.task.name,
            "probe": ask.probe,
            "metrics": ", ".join(metric_label(m.name, m.options) for m in ask.metrics),
            "options": _said({**ask.options, **_met(ask, options), "counterfactual": ask.variants or None}),
        }
        for ask in plan.asks
    ]
    console.print_rows(
        [*rows, *({"task": n, "probe": "-", "metrics": "skipped", "options": why} for n, why in plan.skipped.items())], as_json
    )


def _print_sweep_plan(model: str, options: ScoreOptions, axes: Axes, as_json: bool) -> None:
    """Every choice that would be asked and measured; a line for each table of answers."""
    from fairbench import console
    from fairbench.sweeps.choices import plan_sweep

    plan = plan_sweep(model, options, axes)
    parts = {"template": "each template alone and left out", "words": f"{_halves(axes)} random halves of the words"}
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for score in plan.scores:
        then = "; ".join(said for axis, said in parts.items() if axis in score.axes)
        for number, (choice, ask) in enumerate(score.choices):
            name = (_said(choice) or "all rows") + (" (default)" if number == 0 else "")
            met = "; ".join(filter(None, (_said(_met(ask, options)), then)))
            row = {"task": ask.task.name, "probe": ask.probe, "choice": name, "metrics": "", "then": met}
            row = rows.setdefault((ask.task.name, name), row)
            row["metrics"] += (", " if row["metrics"] else "") + score.label
    skipped = ({"task": n, "probe": "-", "choice": "-", "metrics": "skipped", "then": why} for n, why in plan.skipped.items())
    console.print_rows([*rows.values(), *skipped], as_json)


def _met(ask: Ask, options: ScoreOptions) -> dict[str, Any]:
    """The corpus that a task's words are met in, and in how many sentences; nothing for the others."""
    return {"corpus": options.corpus, "contexts": options.contexts} if ask.task.info.contexts else {}


def _halves(axes: Axes) -> str:
    from fairbench.sweeps.subsets import HALVES

    return axes["words"][0] if axes.get("words") else str(HALVES)


def _said(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items() if value is not None)
