"""What tests of several rooms share: the published data, and results made of tables that a test writes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fairbench.answers import AnswerStore
from fairbench.files import digest, file_sha256, write_json
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry
from fairbench.results import SCHEMA, Result, write_result

Writer = Callable[..., Path]


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of the published data: FAIRBENCH_DATA, or ../shared/data beside the checkout."""
    named = os.environ.get("FAIRBENCH_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the published data are not here (FAIRBENCH_DATA)")
    return folder


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """write(model, metric, table, task=..., probe=..., limit=...) -> path of a result file below tmp_path/results."""

    def one(
        model: str,
        metric: str,
        table: pd.DataFrame,
        *,
        task: str = "made_pairs",
        probe: Mapping[str, Any] | None = None,
        limit: float | None = None,
        options: Mapping[str, Any] | None = None,
        name: str | None = None,
        of_model: Mapping[str, Any] | None = None,
        records: str = "r1",
        task_version: int = 1,
    ) -> Path:
        found = Registry().metric(metric).with_options(options or {})
        folder = tmp_path / "results" / f"{model}-{digest(model)[:8]}"
        store = AnswerStore(folder / "answers", digest([model, task, found.info.reads, dict(probe or {}), limit])[:32])
        store.path.parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(store.path)
        sha256 = file_sha256(store.path)
        write_json(store.note_path, {"sha256": sha256, "rows": len(table), "seconds": 0.0})
        result = Result(
            schema=SCHEMA,
            metric={
                "name": metric, "version": found.info.version, "title": found.info.title, "kind": found.info.kind,
                "options": dict(found.options),
            },
            task={
                "name": task, "version": task_version, "form": found.info.reads, "limit": limit, "n": len(table), "data": {},
                "n_total": len(table), "records_sha256": records,
            },
            model={"name": model, "layers": 2, "tokenizer_sha256": "t", **(of_model or {})},
            probe={"name": found.info.probe, "version": 1, "options": dict(probe or {})},
            score=measure(found, table, MeasureOptions(draws=200)),
            answers={"path": f"answers/{store.path.name}", "sha256": sha256, "rows": len(table)},
            run={"cell": digest([model, task, metric]), "measure": {}, "versions": {"fairbench": "0"}},
        )  # fmt: skip
        path = folder / task / (name or f"{metric}.json")
        write_result(path, result)
        return path

    return one
