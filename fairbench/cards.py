"""What `describe` tells of a metric, a task, a judge or a method, as names and lines; the console prints them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from fairbench.judges import JudgeFile
from fairbench.measurement import Metric
from fairbench.mitigation import MethodFile
from fairbench.plan import PROBE_FLAGS
from fairbench.records import FORMS
from fairbench.registry import Probe
from fairbench.scores import MetricInfo, TaskInfo
from fairbench.training.classifier import OF_TASK

Fields = list[tuple[str, Any]]

UNITS = {
    "record": "records",
    "cluster": "clusters: records that share a word or a term move together in every resample",
    "stratum": "strata",
}
TESTS = {
    "own": "the metric's own test; the result names it",
    "bootstrap": "two-sided, by inverting the bootstrap",
    "none": "none",
}


def metric_fields(metric: Metric, probe: Probe, tasks: list[str]) -> Fields:
    """A metric: what it says, how it is computed, how sure it can be, what may be chosen, and what speaks against it."""
    name, info = metric.name, metric.info
    return [
        ("title", info.title),
        ("measures", info.construct),
        ("formula", info.formula),
        ("ideal", f"{info.ideal:g}"),
        ("range", _range(info)),
        ("direction", info.direction),
        ("kind", info.kind + ("" if info.headline else "; no headline: read it beside its family's")),
        ("unit", UNITS[info.unit]),
        ("interval", _interval(info)),
        ("test", _test(metric)),
        ("also", _also(info)),
        ("options", _options(info, _arguments(metric))),
        ("asks", _asks(info, probe)),
        ("judged by", f"{info.judge} (`fairbench describe judge:{info.judge}`)" if info.judge else ""),
        ("reads", f"{info.reads} records: {_first_sentence(FORMS[info.reads])}"),
        ("columns", f"{', '.join(info.columns)} (`fairbench measure {name} FILE` reads them from any table)"),
        ("threats", info.threats),
        ("tasks", ", ".join(tasks) or "none of this version; a table of answers can be measured"),
        ("cite", info.cite),
        ("version", info.version),
    ]


def task_fields(name: str, info: TaskInfo) -> Fields:
    """A task: whose data they are, whom they are about, what is asked with them, and what is known against them."""
    sources = [
        ", ".join(s.files) + (" (shipped)" if s.shipped else f" from {s.url}" if s.url else "")
        if s.files
        else f"Hub {s.hub}"
        + (f" {s.config}" if s.config else "")
        + f" {s.split or ', '.join(s.splits)} at {s.revision or 'main'}"
        for s in info.sources
    ]
    return [
        ("title", info.title),
        ("WARNING", info.content_warning),
        ("groups", ", ".join(info.groups)),
        ("records", f"{info.form}: {_first_sentence(FORMS[info.form])}"),
        ("asked with", ", ".join(f"{option} {value}" for option, value in info.probe_options.items())),
        ("contexts", "its words are met in sentences of a corpus that you name with --corpus" if info.contexts else ""),
        ("classes", ", ".join(info.labels)),
        ("positive", ", ".join(info.positive)),
        ("cluster", info.cluster),
        ("metrics", ", ".join(info.metrics)),
        ("sources", sources),
        ("licence", info.licence),
        ("language", info.language),
        ("notes", info.notes),
        ("try", f"fairbench score MODEL --tasks {name}{' --corpus TEXT' if info.contexts else ''}"),
        ("cite", info.cite),
        ("version", info.version),
    ]


def judge_fields(name: str, judge: JudgeFile, metrics: list[str]) -> Fields:
    """A judge: what it says of a text, by what, and which metrics rest on it."""
    options = [f"{option}: {default or 'none'} (default)" for option, default in judge.OPTIONS.items()]
    first = next(iter(judge.OPTIONS))
    return [
        ("title", judge.TITLE),
        ("about", " ".join((inspect.getdoc(judge) or "").split("\n\n")[1:] or [inspect.getdoc(judge) or ""]).replace("\n", " ")),
        ("columns", ", ".join(judge.COLUMNS)),
        ("options", [*options, f"set with --judge {name}={first.upper()}" + ",option=value" * (len(options) > 1)]),
        (
            "own gap",
            "not shown: it counts words that name groups" if judge.NAMES_GROUPS else "measured and shown beside each gap",
        ),
        ("metrics", ", ".join(metrics) or "none of this version"),
        ("try", f"fairbench judge {name}{'' if judge.OPTIONS[first] else '=MODEL'} TEXTS.jsonl --output-path JUDGED.jsonl"),
        ("version", judge.VERSION),
    ]


def method_fields(name: str, method: MethodFile) -> Fields:
    """A method of mitigation: what it does, for which models, and its options."""
    options = [
        f"{option}: {one.help}" + ("" if one.default is None else f" (default {_plain(one.default)})")
        for option, one in method.OPTIONS.items()
    ]
    texts = " --corpus FILE" if method.NEEDS_TEXTS else ""
    return [
        ("does", method.SUMMARY),
        ("about", " ".join((inspect.getdoc(method) or "").split())),
        ("for", f"{' and '.join(method.KINDS)} models"),
        ("learns from", "texts (--corpus)" if method.NEEDS_TEXTS else "nothing but the model"),
        ("options", [*options, "set with --option NAME=VALUE, but for those with a flag (fairbench mitigate --help)"]),
        ("source", method.CITE),
        ("try", f"fairbench mitigate MODEL --method {name}{texts} --output-path FOLDER --dry-run"),
        ("version", method.VERSION),
    ]


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _test(metric: Metric) -> str:
    if metric.disparity is not None and metric.info.p_value != "own":
        return "permutation of the groups, of no difference between them; the mean over permutations is the floor"
    return TESTS[metric.info.p_value] + (f", of value = {metric.info.ideal:g}" if metric.info.p_value == "bootstrap" else "")


def _range(info: MetricInfo) -> str:
    """The range, in words where it has no ends."""
    low, high = (f"{end:g}" if abs(end) < float("inf") else None for end in (info.low, info.high))
    if low and high:
        return f"{low} to {high}"
    return f"{low} and more" if low else f"{high} and less" if high else "no lower and no upper end"


def _interval(info: MetricInfo) -> str:
    what = {
        "bootstrap": "bootstrap, percentile",
        "jackknife": "jackknife, Student",
        "simultaneous": "bootstrap, simultaneous over all gaps that are compared (max-|t|)",
        "none": "none",
    }[info.interval]
    if info.interval == "none":
        return what
    draws = f", at most {info.most_draws} draws" if info.most_draws else ""
    return f"{what} over {info.unit}s{draws}" + ("; exact where all of them agree" if info.share else "")


def _also(info: MetricInfo) -> list[str]:
    """What the score carries beside its value."""
    also = ["the range of the value when one unit is left out"] if info.leave_one_out else []
    also += ["the score of each group"] if info.by_group else []
    also += ["the figures of each group that are compared"] if info.by_notion else []
    also += ["a score for each notion of groups in the data; --group-by chooses, or intersects"] if info.by_notion else []
    also += ["the clean score, without records that rules of pair quality flag"] if info.reads in ("Pair", "Cloze") else []
    also += ["it draws at random inside; --seed decides"] if info.random else []
    return also


def _arguments(metric: Metric) -> dict[str, str]:
    """What the function's docstring says of its arguments, by name: an option is explained there."""
    said = re.search(r"\nArgs:\n(.*?)(?:\n\n|\Z)", inspect.getdoc(metric.function) or "", re.DOTALL)
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", said.group(1), re.MULTILINE) if said else []
    return {name: " ".join(text.split()).rstrip(".") for name, text in found}


def _options(info: MetricInfo, about: Mapping[str, str]) -> list[str]:
    """The card's options, each with its default, what else it may be, and what it is."""
    said = []
    for option, default in info.options.items():
        others = [word for word in info.choices.get(option, ()) if word != default]
        kind = {bool: "true or false", int: "a whole number", float: "a number"}.get(type(default), "text")
        what = f": {about[option]}" if option in about else ""
        said.append(f"{option}: {'none' if default == '' else default} (default), {', '.join(others) or kind}{what}")
    if said:
        option = next((option for option in info.choices if option in info.options), next(iter(info.options)))
        other = next((word for word in info.choices.get(option, ()) if word != info.options[option]), "...")
        said.append(f"set with --metric-options {option}={other}")
    return said or ["none"]


def _asks(info: MetricInfo, probe: Probe) -> list[str]:
    """How the model is asked, and what may be said about that."""
    about = (inspect.getdoc(probe) or "").split("\n\n")[0].replace("\n", " ")
    given = [f"unless you say otherwise, {option} {value}" for option, value in info.probe_options.items()]
    own = [name for name in probe.OPTIONS if name not in OF_TASK]
    flags = [f"--{name.replace('_', '-')}" if name in PROBE_FLAGS else f"--probe-options {name}=..." for name in own]
    return [f"the {info.probe} probe: {about}", *given, f"how: {', '.join(flags)}"]


def _first_sentence(form: type[Any]) -> str:
    return (inspect.getdoc(form) or "").split(". ")[0].rstrip(".")
