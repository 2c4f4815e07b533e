"""Result files: written whole or not at all, read back with their schema checked.

<output>/<model>-<8 hex>/<task>/<metric>[@options].json     one result
<output>/<model>-<8 hex>/answers/<hash>.parquet             the answers it was measured on (and <hash>.json: how they came to be)
<output>/<model>-<8 hex>/judged/<hash>.parquet              what a judge said of these answers (and <hash>.json)
<output>/<model>-<8 hex>/results.json                       all of them, in lm-evaluation-harness's shape
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fairbench.errors import FairbenchError
from fairbench.files import write_json
from fairbench.scores import Score, jsonable

SCHEMA = 3
"""Version of the result file's shape; a reader refuses a newer one."""


class Result(BaseModel):
    """A result file. `results/README.md` explains every field."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    schema_version: int = Field(alias="schema", le=SCHEMA)
    metric: dict[str, Any]
    task: dict[str, Any]
    model: dict[str, Any]
    probe: dict[str, Any]
    score: Score
    judges: list[dict[str, Any]] = []
    answers: dict[str, Any]
    run: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, with the keys in the order of the file."""
        plain = {name: getattr(self, name) for name in ("metric", "task", "model", "probe")}
        ends = {"judges": self.judges, "answers": self.answers, "run": self.run}
        return {"schema": self.schema_version, **jsonable(plain), "score": self.score.as_dict(), **jsonable(ends)}


def write_result(path: Path, result: Result) -> None:
    """Writes a result file atomically."""
    write_json(path, result.as_dict())


def read_result(path: Path) -> Result:
    """Reads a result file; FairbenchError where it is none, is broken, or has a newer schema."""
    try:
        return Result.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        found = f"{'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}" if first else str(error)
        raise FairbenchError(
            f"{path} is no fairbench result of schema {SCHEMA} or older ({found}). Wanted a file that `fairbench score` wrote; "
            "run it again, or update fairbench if the file is newer."
        ) from None


def lm_eval_shape(results: Mapping[str, Sequence[tuple[str, Result]]]) -> dict[str, Any]:
    """Results of one model as lm-evaluation-harness writes them, so that viewers of that format can read them.

    Args:
        results: by task, the name of each result file without its ending, and the result; the defaults first, so that a trial
            or another scorer stands under a name of its own and what is said of the task is said of its full run.
    """
    shaped: dict[str, Any] = {name: {} for name in ("results", "configs", "versions", "n-shot", "higher_is_better", "n-samples")}
    for task, entries in results.items():
        first = entries[0][1]
        shaped["results"][task] = {"alias": task}
        for name, result in entries:
            shaped["results"][task][f"{name},none"] = result.score.value
            shaped["results"][task][f"{name}_stderr,none"] = "N/A" if result.score.stderr is None else result.score.stderr
        shaped["configs"][task] = {"task": task, "metadata": {"version": first.task["version"]}, "probe": first.probe}
        shaped["versions"][task] = first.task["version"]
        shaped["n-shot"][task] = 0
        shaped["higher_is_better"][task] = {name: None for name, _ in entries}  # bias has an ideal, not a better end
        shaped["n-samples"][task] = {"original": first.task["n_total"], "effective": first.task["n"]}
        shaped["config"] = {
            "model": "hf", "model_args": f"pretrained={first.model['name']}", "model_sha": first.model["revision"],
            "model_dtype": first.model["options"]["dtype"], "limit": first.task["limit"],
        }  # fmt: skip
        shaped["model_name"] = first.model["name"]
    return shaped


def versions() -> dict[str, str]:
    """Versions of what can move a number."""
    names = ("fairbench", "torch", "transformers", "tokenizers", "datasets", "numpy", "scipy", "pandas")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}
