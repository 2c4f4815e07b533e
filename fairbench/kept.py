"""What a result says of the files that it rests on, held against these files: names, hashes and rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fairbench.answers import AnswerStore
from fairbench.changes import Change
from fairbench.errors import FairbenchError
from fairbench.files import digest, file_sha256
from fairbench.judging import JUDGED_VERSION
from fairbench.models.model import ModelCard, ModelOptions
from fairbench.results import Result
from fairbench.study import answers_key

if TYPE_CHECKING:
    import pandas as pd

Outcome = Literal[
    "verified",
    "differs",
    "hash does not match",
    "answers not kept",
    "no metric",
    "another version",
    "older schema",
    "can't be read",
]
"""What can be found of a result file, in a few words."""

JUDGE_FACTS = ("failed", "seconds", "path", "sha256", "rows")
"""What a judge's block of a result holds beside the judge's identity."""


class Stopped(Exception):
    """Why a result can't be verified: an outcome, and a sentence."""

    def __init__(self, outcome: Outcome, said: str) -> None:
        super().__init__(said)
        self.outcome, self.said = outcome, said


def require_names(path: Path, result: Result) -> None:
    """Refuses a result whose place, or the names of whose answers, do not follow from what it says.

    The name of a model's folder is made of the digests of the model, that of a table of answers of these, the records and the
    probe, and that of a table of judgements of the answers and the judge. So no block of a result can be exchanged alone.

    Args:
        path: of the result, resolved.
        result: what it says.

    Raises:
        Stopped: which of them does not follow.
    """
    task, metric, model = result.task, result.metric["name"], result.model
    if (path.parent.name, path.stem.partition("@")[0]) != (task["name"], metric):
        said = f"it is the result of {task['name']}/{metric}, which is not what its path says"
        raise Stopped("hash does not match", said)
    options = ModelOptions(dtype=model["options"]["dtype"], url=model["options"].get("url"))
    digests = {
        name: model[name] for name in ("name", "kind", "architecture", "weights_sha256", "tokenizer_sha256", "config_sha256")
    }
    identity = ModelCard(folder="", options=options, **digests).identity
    if digest([identity, model["revision"]])[:8] != path.parent.parent.name[-8:]:
        raise Stopped("hash does not match", "the name of the model's folder does not follow from the digests of the model")
    probe = {name: value for name, value in result.probe.items() if name != "training"}
    key = answers_key(identity, task["form"], task["records_sha256"], probe)
    if result.answers["path"] != f"answers/{key}.parquet":
        said = "the name of its answers does not follow from the digests of the model and the records, and the probe's options"
        raise Stopped("hash does not match", said)
    for block in result.judges:
        judged = digest({"judged": JUDGED_VERSION, "answers": key, "judge": identity_of(block)})[:32]
        if block["path"] != f"judged/{judged}.parquet":
            said = f"the name of what the judge {block['name']} said does not follow from the judge and the answers"
            raise Stopped("hash does not match", said)


def identity_of(block: Mapping[str, Any]) -> dict[str, Any]:
    """A judge's block of a result without what it did: what `Ready.identity` was."""
    return {name: value for name, value in block.items() if name not in JUDGE_FACTS}


def table_of(folder: Path, named: str, sha256: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A table of answers or of judgements, as it was measured.

    Args:
        folder: of the model's results.
        named: the table's path below it.
        sha256: what the result says that it has.

    Returns:
        The table, and its note.

    Raises:
        Stopped: it is not kept, or not the one that was measured.
    """
    import pandas as pd

    place = Path(named)
    store = AnswerStore(folder / place.parent, place.stem)
    if not store.finished():
        absent = [one.name for one in (store.path, store.note_path) if not one.exists()]
        raise Stopped("answers not kept", f"there is no {' and no '.join(absent)} in {place.parent}: nothing can be found anew")
    found = file_sha256(store.path)
    try:
        note = store.note()
    except FairbenchError:
        raise Stopped("answers not kept", f"the note {store.note_path.name} beside {named} can't be read") from None
    for whose, wanted in (("the result", sha256), ("its note", str(note.get("sha256")))):
        if found != wanted:
            raise Stopped("hash does not match", f"{named} has the sha256 {found[:12]}..., and {whose} says {wanted[:12]}...")
    return pd.read_parquet(store.path), note


def with_judged(table: pd.DataFrame, said: pd.DataFrame) -> pd.DataFrame:
    """As `Panel.join` puts them side by side."""
    import pandas as pd

    return pd.concat([table.drop(columns=[c for c in said.columns if c in table.columns]), said], axis=1)


def counted(result: Result, table: pd.DataFrame, note: Mapping[str, Any]) -> list[Change]:
    """Whether there are as many rows and records as the result and the note say."""
    rows, records = len(table), int(table["id"].nunique())
    said = {"answers.rows": (result.answers["rows"], rows), "task.n": (result.task["n"], records)}
    differ = [Change(name, before, after) for name, (before, after) in said.items() if before != after]
    return differ if note.get("rows") == rows else [*differ, Change("rows of the answers' note", note.get("rows"), rows)]
