"""A Hugging Face model card: the scores as `model-index` metadata, and in the text all that it takes to read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.files import whole_file
from fairbench.reporting.sheets import READ, Sheet, dicts, part_sheets, score_sheets
from fairbench.reporting.tables import markdown_of, markdown_text, seen
from fairbench.tidy import CLEAN, WHOLE, require_columns

if TYPE_CHECKING:
    import pandas as pd
    from huggingface_hub import EvalResult

    from fairbench.reporting.contents import Report

FILE = "README.md"
MARK = "<!-- This card was written by fairbench. -->"
"""Stands in every card of ours, so that no other file is replaced."""

PIPELINES: Mapping[str, str] = {
    "Association": "feature-extraction", "Pair": "text-generation", "Cloze": "text-generation", "Slot": "fill-mask",
    "Choice": "multiple-choice", "Labelled": "text-classification", "Prompt": "text-generation", "Passage": "text-generation",
}  # fmt: skip
"""What the Hub calls the task that a record form puts to a model; a masked model's likelihoods are its fill-mask."""

LIMITS = (
    "A score is about the sentences of its data set, about the groups that this data set names, and about its language. "
    "A score at its ideal is no proof that a model is fair.",
    "Intrinsic scores look at a model's numbers, extrinsic ones at what it does in a task. The one does not follow from the "
    "other: measure the task that the model is meant for.",
    "Pairs and templates have faults of their own (pairs that differ in more than the group, or that show no stereotype). "
    "Rules find some of these faults, not all.",
    "Differences between two models are judged by a paired comparison (`fairbench compare`), not by whether their intervals "
    "overlap.",
    "The p-values of a card are not corrected for their number.",
)


@dataclass(frozen=True)
class CardOptions:
    """What a card says beside the scores.

    Attributes:
        model_name: of the metadata; the label of the model where null.
        base_model: Hub id of the model that this one was made from.
        licence: of the model, as the Hub spells it (`mit`).
        language: of the model, as ISO codes.
        tags: further tags.
    """

    model_name: str | None = None
    base_model: str | None = None
    licence: str | None = None
    language: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


def write_model_card(report: Report, label: str, folder: Path, options: CardOptions | None = None) -> Path:
    """Writes a model's card into a folder as README.md, whole or not at all.

    Returns:
        The file.

    Raises:
        FairbenchError: as `model_card`; or a README.md lies there that is no card of ours.
    """
    path = folder / FILE
    text = model_card(report, label, options)
    if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
        raise FairbenchError(
            f"{path} is there already and fairbench did not write it as a report's card. Wanted a folder without a README.md. "
            "Choose another one, and copy what you need into yours."
        )
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
    return path


def model_card(report: Report, label: str, options: CardOptions | None = None) -> str:
    """A model's card: YAML metadata between lines of ---, and Markdown.

    Each headline score that has a value is one result of the `model-index`, its value a number; its interval, n, ideal and
    versions are the metric's `args`. A score without a value is in the text only, with its reason.

    Args:
        report: the tidy table and the provenance of its results.
        label: of the model in the table.
        options: what else is known of the model.

    Raises:
        FairbenchError: the table has no such model; one of its results is a trial (`--limit`); or there is no headline score.
    """
    from huggingface_hub import ModelCardData

    given = options or CardOptions()
    rows = _rows_of(report, label)
    found = [_eval_result(row, report.results[row["file"]]["task"], report.models[label]) for row in _indexed(rows)]
    name = seen(given.model_name or label)
    data = ModelCardData(
        model_name=name,
        eval_results=found or None,
        base_model=given.base_model,
        license=given.licence,
        language=list(given.language) or None,
        tags=["fairbench", "fairness", "bias-evaluation", *given.tags],
    )
    if not found:
        data.pop("model_name")  # without results it would be a key that the Hub does not know
    text = "\n".join(_body(report, label, name, rows))
    return f"---\n{data.to_yaml(line_break=chr(10))}\n---\n\n{text}\n"


def _rows_of(report: Report, label: str) -> pd.DataFrame:
    """The model's scores over all records; refuses an unknown model and trials."""
    require_columns(report.table, (*READ, "file", "task_version", "metric_version", "scorer", "title"))
    table = report.table
    models = list(dict.fromkeys(table["model"]))
    if label not in models:
        raise FairbenchError(
            f"The report has no model {label!r}.{did_you_mean(label, models)} Wanted one of: {', '.join(models)}."
        )
    rows = table[(table["model"] == label) & (table["part"] == WHOLE)]
    limited = list(rows["file"][rows["limited"]])
    if limited:
        shown = ", ".join(limited[:10]) + (f" and {len(limited) - 10} more" if len(limited) > 10 else "")
        raise FairbenchError(
            f"{len(limited)} results of {label} are trials over some of the records only (--limit): {shown}. A model card wants "
            "results over all records. Score these tasks again without --limit and remove the trials, or report on a folder "
            "without them."
        )
    if not rows["headline"].map(lambda said: said is True).any():
        raise FairbenchError(
            f"{label} has no score of a headline metric. Wanted at least one; `fairbench list metrics` shows them; "
            "margins and other figures that stand beside one make no card of their own."
        )
    return rows


def _indexed(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Scores that belong into the metadata: those of headline metrics that have a value."""
    return [row for row in dicts(rows) if row["headline"] is True and row["value"] == row["value"]]


def _eval_result(row: Mapping[str, Any], task: Mapping[str, Any], model: Mapping[str, Any]) -> EvalResult:
    """One score as the Hub's metadata.

    The Hub joins results with one task type, data set, config, split and revision under the name of the first. So the names
    of the task and of the data set follow from these alone, and what is the score's own stands with the metric.
    """
    from huggingface_hub import EvalResult

    data = task["data"]
    pipeline = PIPELINES.get(task["form"], "text-generation")
    if pipeline == "text-generation" and model.get("kind") == "masked":
        pipeline = "fill-mask"
    place = data.get("hub") or data.get("url") or "shipped with fairbench"
    split = data.get("split") or "+".join(data.get("splits") or ())
    return EvalResult(
        task_type=pipeline,
        task_name=f"fairness of {pipeline.replace('-', ' ')}",
        dataset_type=seen(data.get("hub") or row["task"]),
        dataset_name=seen(data.get("hub") or f"{row['task']} ({place})"),
        dataset_config=seen(data.get("config") or "") or None,
        dataset_split=seen(split) or None,
        dataset_revision=seen(data.get("revision") or "") or None,
        metric_type=seen(row["metric"]),
        metric_name=seen(f"{row['task']}: {row['title']}"),
        metric_value=float(row["value"]),
        metric_config=seen(row["variant"]) or None,
        metric_args=_args(row),
        verified=False,
    )


def _args(row: Mapping[str, Any]) -> dict[str, Any]:
    """What belongs to a value, with built-in types; what is not known is left out."""
    numbers = {name: row[name] for name in ("low", "high", "level", "ideal", "p_value")}
    counts = {name: int(row[name]) for name in ("n", "n_total", "task_version", "metric_version")}
    words = {name: seen(str(row[name])) for name in ("task", "kind", "unit", "direction", "scorer") if row[name]}
    known = {name: float(value) for name, value in numbers.items() if value == value}
    warnings = {"warnings": [seen(text) for text in row["warnings"]]} if len(row["warnings"]) else {}
    return {**words, **known, **counts, **warnings}


def _body(report: Report, label: str, name: str, rows: pd.DataFrame) -> Iterator[str]:
    """The card's text."""
    yield f"# {markdown_text(name)}: fairness scores\n\n{MARK}\n"
    ran = [report.results[file].get("run", {}).get("versions", {}).get("fairbench") for file in rows["file"]]
    versions = ", ".join(dict.fromkeys(markdown_text(str(version)) for version in ran if version))
    yield (
        f"Measured with fairbench {versions}".rstrip() + ". Each score stands with its interval, the number n of units it was "
        "measured on, and its ideal, the value of a model without the bias that is measured.\n"
    )
    headline = rows["headline"].map(lambda said: said is True)
    yield "## Scores\n"
    yield _shown(score_sheets(rows[headline]))
    if not headline.all():
        yield "## Figures that stand beside them\n"
        yield _shown(score_sheets(rows[~headline]))
    clean = report.table[(report.table["model"] == label) & (report.table["part"] == CLEAN)]
    if len(clean):
        yield "## Scores over the records that no rule of pair quality flags\n"
        yield _shown(part_sheets(clean))
    undefined = [row for row in dicts(rows) if row["value"] != row["value"]]
    if undefined:
        yield "## Scores without a value\n"
        yield from (
            f"- {markdown_text(row['column'])}: {markdown_text(row['undefined'] or 'no reason was recorded')}"
            for row in undefined
        )
        yield ""
    yield "## What the scores mean\n"
    yield from _meanings(report, rows)
    yield "\n## Limits\n"
    yield from (f"- {text}" for text in LIMITS)
    yield "\n## Data\n"
    yield from _data(report, rows)
    yield "\n## The model that was measured\n"
    yield from _model(report.models[label])


def _shown(sheets: Sequence[Sheet]) -> str:
    """Sheets of one model, whose name need not stand in every row."""
    return markdown_of([replace(sheet, sections=tuple(("", rows) for _, rows in sheet.sections)) for sheet in sheets])


def _meanings(report: Report, rows: pd.DataFrame) -> Iterator[str]:
    """Of each metric which way is which, and what threatens its meaning."""
    for row in dicts(rows.drop_duplicates("metric")):
        yield f"- **{markdown_text(row['metric'])}**: {markdown_text(row['title'] + '; ' + row['direction']).rstrip('.')}."
        card = report.metrics.get(row["metric"].partition(" by ")[0])
        yield from (f"  - {markdown_text(text)}" for text in (card.threats if card else ()))


def _data(report: Report, rows: pd.DataFrame) -> Iterator[str]:
    """The tasks with where their data came from."""
    yield "| Task | Version | Data | Revision or sha256 | Licence |\n| :--- | ---: | :--- | :--- | :--- |"
    for file in rows.drop_duplicates("task")["file"]:
        task = report.results[file]["task"]
        data = task["data"]
        parts = [data.get("hub") or data.get("url") or "shipped with fairbench", data.get("config"), data.get("split")]
        sums = [data["revision"]] if data.get("revision") else [f"{digest[:12]}…" for digest in data.get("files", {}).values()]
        cells = (
            task["name"],
            task["version"],
            ", ".join(filter(None, parts)),
            ", ".join(sums) or "-",
            task.get("licence") or "-",
        )
        yield f"| {' | '.join(markdown_text(str(cell)) for cell in cells)} |"


def _model(model: Mapping[str, Any]) -> Iterator[str]:
    """What identifies the weights; a folder's path is no name for others and stays out."""
    names = ("kind", "architecture", "parameters", "revision", "weights_sha256", "tokenizer_sha256")
    yield "| | |\n| :--- | :--- |"
    for name in names:
        if model.get(name) is not None:
            yield f"| {name.replace('_', ' ')} | {markdown_text(str(model[name]))} |"
    if dtype := model.get("options", {}).get("dtype"):
        yield f"| dtype | {markdown_text(str(dtype))} |"
    yield from (f"\n{markdown_text(note)}" for note in model.get("notes", ()))
