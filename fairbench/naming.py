"""How the folders and files of results are called: what was moved from its default stands in the name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairbench.files import digest
from fairbench.measurement import MeasureOptions
from fairbench.models.model import ModelCard
from fairbench.plan import CONTEXTS, ScoreOptions
from fairbench.scores import TaskInfo


def slug(name: str) -> str:
    """A name fit for a file: the last two parts of a path that is there, else the whole name; signs become hyphens."""
    parts = Path(name).expanduser().resolve().parts[-2:] if Path(name).expanduser().exists() else (name,)
    return "".join(c if c.isalnum() or c in "._" else "-" for c in "-".join(parts)).strip("-")


def folder_name(card: ModelCard) -> str:
    """<name>-<8 hex of all that makes the model>: the name of a Hub or planted model, the last two parts of a folder's path."""
    return f"{slug(card.name)}-{digest([card.identity, card.revision])[:8]}"


def result_name(metric: str, moved: Mapping[str, Any]) -> str:
    """<metric>.json; what was moved from its default is joined to the name after @."""
    joined = ",".join(f"{name}={_fit(str(value))}" for name, value in sorted(moved.items()))
    return metric + (f"@{joined}" if joined else "") + ".json"


def metric_label(name: str, options: Mapping[str, Any]) -> str:
    """A metric as it is called beside others of its name: with the notion whose groups it compares."""
    return f"{name} by {options['group_by']}" if options.get("group_by") else name


def _fit(value: str) -> str:
    """A value as it may stand in a file name; what had to be changed or cut is told apart from its like by six digits."""
    kept = "".join(c if c.isalnum() or c in "._-+ " else "-" for c in value)[:60]
    return kept if kept == value else f"{kept}-{digest(value)[:6]}"


def moved_options(options: ScoreOptions, task: TaskInfo, corpus: str = "") -> dict[str, Any]:
    """The limit, the corpus (with digits that tell its content) and the measure options that are not the default."""
    usual, given = dataclasses.asdict(MeasureOptions()), dataclasses.asdict(options.measure)
    moved = {name: value for name, value in given.items() if value != usual[name]}
    if task.contexts:
        moved["corpus"] = "-".join(filter(None, (slug(options.corpus or ""), corpus)))
        if options.contexts != CONTEXTS:
            moved["contexts"] = options.contexts
    return moved if options.limit is None else {**moved, "limit": f"{options.limit:g}"}
