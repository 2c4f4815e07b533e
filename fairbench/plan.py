"""What a request comes to: names become tasks, metrics and probe options; what can't be done is refused before anything runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.files import digest
from fairbench.groups import ALL, BARE, notions
from fairbench.measurement import MeasureOptions, Metric
from fairbench.models.batching import Batching
from fairbench.models.loading import inspect_model
from fairbench.models.model import ModelCard, ModelOptions
from fairbench.registry import BY_NAME_ONLY, Registry, Task, suites
from fairbench.training.classifier import OF_TASK

PROBE_FLAGS = ("pooling", "layer", "scorer", "train_on", "train_seed")
"""Options of probes that have a flag of their own on the command line; the others are given by --probe-options."""

VARIANTS = ("terms", "roles")
"""How counterfactual variants of a text are made: identity terms exchanged for others of their kind, or gender roles reversed."""

CONTEXTS = 100
"""Sentences that a word is met in, where a task asks for contexts and the user names no other number."""


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """What `fairbench score` can be told beside the model; the flags of the command line carry the same names.

    Attributes:
        metric_options: options of metrics by name (`tail`); each goes to every metric that has it.
        corpus: where tasks with `contexts` take their sentences: files, a Passage task, or a Hub id.
        contexts: at most so many sentences a word.
        group_by: the notion whose groups are compared ("gender"), or several for their intersections ("gender,race"); null for
            every notion of a task in turn.
        counterfactual: how variants of a text are made, one of VARIANTS; null for what the task says.
        judges: options of judges by the judge's name (`{"toxicity": {"by": "words"}}`).
    """

    suite: str | None = None
    tasks: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    limit: float | None = None
    data_dir: Path | None = None
    output_path: Path = Path("results")
    probe: Mapping[str, Any] = field(default_factory=dict)
    model: ModelOptions = field(default_factory=ModelOptions)
    measure: MeasureOptions = field(default_factory=MeasureOptions)
    batching: Batching = field(default_factory=Batching)
    include_path: tuple[Path, ...] = ()
    metric_options: Mapping[str, Any] = field(default_factory=dict)
    corpus: str | None = None
    contexts: int = CONTEXTS
    group_by: str | None = None
    counterfactual: str | None = None
    judges: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Ask:
    """One table of answers: a task put to a model through a probe with all its options, and the metrics that read it.

    `moved`: for each metric by name, the probe options that the user moved from this metric's default.
    `variants`: how every text gets its counterfactual variants, one of VARIANTS; empty where it is asked alone.
    """

    task: Task
    probe: str
    options: Mapping[str, Any]
    metrics: tuple[Metric, ...]
    moved: Mapping[str, Mapping[str, Any]]
    variants: str = ""


@dataclass(frozen=True)
class Plan:
    """What a request comes to: the answers to make, and what this model can't do with the reason."""

    card: ModelCard
    asks: tuple[Ask, ...]
    skipped: Mapping[str, str]


def make_plan(model: str, options: ScoreOptions) -> Plan:
    """Resolves every name of a request.

    Raises:
        FairbenchError: a name is unknown, or the model can't do what the user named; what only a suite holds is skipped instead.
    """
    registry = Registry(options.include_path)
    limit = options.limit
    if limit is not None and not (0 < limit < 1 or (limit >= 1 and float(limit).is_integer())):
        raise FairbenchError(f"--limit {limit:g}: wanted a whole number of records above 0, or a share between 0 and 1.")
    if options.suite is not None and options.tasks:
        raise FairbenchError(
            f"Both --suite {options.suite} and --tasks {','.join(options.tasks)} were given. Wanted one of them."
        )
    if options.counterfactual is not None and options.counterfactual not in VARIANTS:
        near = did_you_mean(options.counterfactual, VARIANTS)
        raise FairbenchError(f"--counterfactual {options.counterfactual}: wanted one of {', '.join(VARIANTS)}.{near}")
    if options.contexts < 1:
        raise FairbenchError(f"--contexts {options.contexts}: wanted at least one sentence a word.")
    named = [registry.metric(name) for name in options.metrics]
    tasks = [registry.task(name) for name in options.tasks] or _suite(registry, options.suite, named)
    card = inspect_model(model, options.model)
    asks: dict[str, Ask] = {}
    skipped: dict[str, str] = {}
    for task in tasks:
        listed = [registry.metric(name) for name in task.info.metrics]
        # Named tasks get every named metric; a suite's tasks those that they are made for.
        metrics = named if named and options.tasks else [m for m in listed if not named or m in named]
        if not metrics:
            skipped[task.name] = "no metric reads it yet"
        if task.info.contexts and not options.corpus:
            why = f"{task.name} meets its words in sentences of a corpus; name one with --corpus (files, a task, or a Hub id)"
            if options.tasks or options.metrics:
                raise FairbenchError(f"{why}.")
            skipped[task.name] = why
            continue
        for metric in metrics:
            if metric.info.reads != task.info.form:
                skipped[f"{task.name}/{metric.name}"] = (
                    f"{metric.name} reads {metric.info.reads} records, these are {task.info.form}"
                )
                continue
            chosen = _with_options(metric, {**task.info.metric_options, **options.metric_options})
            try:
                resolved, moved = probe_options(registry, card, task, metric, options.probe)
                measured = _by_notion(chosen, task, options)
            except FairbenchError as error:
                if options.tasks or options.metrics:
                    raise
                skipped[task.name if len({m.info.probe for m in metrics}) == 1 else f"{task.name}/{metric.name}"] = str(error)
                continue
            variants = (options.counterfactual or task.info.counterfactual) if needs_variants(task, metric) else ""
            key = digest([task.name, metric.info.probe, resolved, variants])
            before = asks.get(key, Ask(task, metric.info.probe, resolved, (), {}, variants))
            moved_here = {**before.moved, metric.name: moved}
            asks[key] = dataclasses.replace(before, metrics=(*before.metrics, *measured), moved=moved_here)
    if not asks:
        reasons = " ".join(f"{name}: {why.removesuffix('.')}." for name, why in list(skipped.items())[:3])
        raise FairbenchError(f"Nothing is left to score on {model}. {reasons} `fairbench list tasks` shows what there is.")
    _refuse_idle_options(registry, asks.values(), options.probe)
    _refuse_idle_metric_options(asks.values(), options)
    _refuse_idle_judges(registry, asks.values(), options.judges)
    return Plan(card, tuple(asks.values()), skipped)


def needs_variants(task: Task, metric: Metric) -> bool:
    """Whether texts of the task have to get variants for this metric."""
    return metric.info.variants and not task.info.variants


def probe_options(
    registry: Registry, card: ModelCard, task: Task, metric: Metric, asked: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """All options of the probe for this metric, and those of them that the user moved from the default."""
    probe = registry.probe(metric.info.probe)
    given = {k: v for k, v in asked.items() if v is not None and k in probe.OPTIONS}
    # A task may say something to one of its probes that means nothing to another.
    of_task = {k: v for k, v in task.info.probe_options.items() if k in probe.OPTIONS}
    usual: dict[str, Any] = {**metric.info.probe_options, **of_task}
    if task.info.labels and "labels" in probe.OPTIONS:  # what a classifier has to tell apart
        usual |= {"task": task.name, "labels": task.info.labels, "positive": task.info.positive}
    named = {"named": tuple(sorted(given))} if "named" in probe.OPTIONS else {}  # else nobody knows whose --train-on it is
    resolved = probe.resolve(card, task.info.form, {**usual, **given, **named})
    plain = dataclasses.replace(card, options=dataclasses.replace(card.options, apply_chat_template=False))
    try:
        default = probe.resolve(plain, task.info.form, {**usual, **({"named": ()} if named else {})})
    except FairbenchError:  # the default is not for this model: all that the user gave is his own
        default = {**{k: v for k, v in resolved.items() if k not in given}, "chat_template": False}
    flags = (*probe.OPTIONS, "chat_template")
    return resolved, {k: v for k, v in resolved.items() if k in flags and default.get(k) != v}


def _with_options(metric: Metric, asked: Mapping[str, Any]) -> Metric:
    """The metric with those of the asked options that it has."""
    return metric.with_options({name: value for name, value in asked.items() if name in metric.info.options})


def _by_notion(metric: Metric, task: Task, options: ScoreOptions) -> list[Metric]:
    """A metric that compares groups, once for each notion that the task's groups belong to, or as the user wants."""
    if not metric.info.by_notion or metric.options["group_by"]:
        return [metric]
    found = notions(task.info.groups)
    if options.group_by is not None:
        unknown = [name for name in map(str.strip, options.group_by.split(",")) if name not in (*found, ALL)]
        if unknown and BARE not in found:
            raise FairbenchError(
                f"--group-by {options.group_by}: the task {task.name} has no groups of the notion {unknown[0]!r}."
                f"{did_you_mean(unknown[0], found)} It has {', '.join(found) or 'no groups'}."
            )
        return [metric.with_options({"group_by": options.group_by})]
    return [metric.with_options({"group_by": notion}) for notion in found] if len(found) > 1 else [metric]


def moved_metric_options(metric: Metric) -> dict[str, Any]:
    """Options that are not the card's default, marked as the metric's: a probe may have one of the same name."""
    return {f"metric.{name}": value for name, value in metric.options.items() if value != metric.info.options[name]}


def _refuse_idle_metric_options(asks: Iterable[Ask], options: ScoreOptions) -> None:
    """An option that no metric of the plan has, and a corpus that no task of it reads, would be dropped in silence."""
    asks = list(asks)
    known = {name for ask in asks for metric in ask.metrics for name in metric.info.options}
    for name in options.metric_options:
        if name not in known:
            has = f"They have {', '.join(sorted(known))}." if known else "They have none."
            raise FairbenchError(
                f"None of the metrics that were asked for has an option {name!r}.{did_you_mean(name, known)} {has}"
            )
    if options.group_by is not None and not any(metric.info.by_notion for ask in asks for metric in ask.metrics):
        raise FairbenchError(
            f"--group-by {options.group_by}: nothing that was asked for compares groups. Name a metric that does (tpr_gap), or "
            "leave it out."
        )
    if options.counterfactual is not None and not any(ask.variants for ask in asks):
        raise FairbenchError(
            f"--counterfactual {options.counterfactual}: nothing that was asked for makes variants of texts. Name the metric "
            "counterfactual_token_fairness and a task of texts, or leave it out."
        )
    if options.corpus and not any(ask.task.info.contexts for ask in asks):
        raise FairbenchError(
            f"--corpus {options.corpus}: nothing that was asked for reads a corpus. Name a task that does (ceat_c6), or leave it "
            "out."
        )


def _refuse_idle_options(registry: Registry, asks: Iterable[Ask], given: Mapping[str, Any]) -> None:
    """A probe option that no probe of the plan has would be dropped in silence; it is refused instead."""
    owned = {option for ask in asks for option in registry.probe(ask.probe).OPTIONS} - {*OF_TASK}
    idle = [name for name, value in given.items() if value is not None and name not in owned]
    if idle:
        name, value = idle[0], given[idle[0]]
        flag = f"--{name.replace('_', '-')} {value}" if name in PROBE_FLAGS else f"--probe-options {name}={value}"
        raise FairbenchError(
            f"{flag}: nothing that was asked for uses it.{did_you_mean(name, owned)} Its probe options are "
            f"{', '.join(sorted(owned))}. Leave it out or name other tasks."
        )


def judges_of(ask: Ask) -> tuple[str, ...]:
    """The judges that a table of answers is put to: those of its metrics, and for generated text the one that sees refusals."""
    named = (metric.info.judge for metric in ask.metrics)
    return tuple(dict.fromkeys(name for name in (*named, "refusal" * (ask.task.info.form == "Prompt")) if name))


def _refuse_idle_judges(registry: Registry, asks: Iterable[Ask], given: Mapping[str, Mapping[str, Any]]) -> None:
    """A judge that does not exist, that nothing asks, or that has no such option."""
    asked = {name for ask in asks for name in judges_of(ask)}
    for name, options in given.items():
        file = registry.judge(name)
        if name not in asked:
            listed = f"It asks {', '.join(sorted(asked))}." if asked else "It asks no judge."
            raise FairbenchError(f"--judge {name}: nothing that was asked for is judged by it. {listed} Leave it out.")
        for option in options:
            if option not in file.OPTIONS:
                raise FairbenchError(
                    f"--judge {name}: the judge has no option {option!r}.{did_you_mean(option, file.OPTIONS)} It has "
                    f"{', '.join(file.OPTIONS)}."
                )


def _suite(registry: Registry, suite: str | None, named: Sequence[Metric]) -> list[Task]:
    """Tasks of a suite. With metrics named and no suite: every task that lists one of them."""
    if suite is None and named:
        wanted = {m.name for m in named}
        cards = registry.tasks()
        chosen = [name for name, info in cards.items() if wanted & set(info.metrics) and not BY_NAME_ONLY & set(info.suites)]
    else:
        known = suites(registry)
        chosen = known.get(suite or "quick", [])
        if not chosen:
            if suite in known:
                raise FairbenchError(f"The suite {suite} is empty: no task of this version belongs to it.")
            raise FairbenchError(
                f"There is no suite {suite!r}.{did_you_mean(str(suite), known)} Wanted one of {', '.join(known)}."
            )
    return [registry.task(name) for name in chosen]
