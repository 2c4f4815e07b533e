"""The answers of two results, cut down to the records that both models answered."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairbench.answers import AnswerStore
from fairbench.collection import Found
from fairbench.errors import FairbenchError, Undefined
from fairbench.measurement import used_rows
from fairbench.metric import Metric
from fairbench.tables import complete

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Shared:
    """Usable rows of both models, over the same units.

    Attributes:
        baseline, model: tables with every row key.
        left_out: records that are not in it, by whose answers could not be used and why.
    """

    baseline: pd.DataFrame
    model: pd.DataFrame
    left_out: dict[str, int]


def answers_of(found: Found) -> pd.DataFrame:
    """The answers of a result with what its judges said, each checked against its hash.

    Raises:
        Undefined: they are not kept beside the result.
        FairbenchError: they were changed.
    """
    import pandas as pd

    table = _read(found, "answers", found.result.answers)
    for judge in found.result.judges:
        said = _read(found, "judged", judge)
        table = pd.concat([table.drop(columns=[c for c in said.columns if c in table.columns]), said], axis=1)
    return table


def _read(found: Found, folder: str, block: dict[str, Any]) -> pd.DataFrame:
    store = AnswerStore(found.folder / folder, str(block["path"]).rpartition("/")[2].removesuffix(".parquet"))
    if not store.path.is_file():
        raise Undefined(f"the {folder} of {found.label} are not kept beside its results; the same score command makes them again")
    table = store.read()
    if store.note()["sha256"] != block["sha256"]:
        raise FairbenchError(f"{store.path} was made again since {found.path} was measured on it. Score {found.label} again.")
    return table


def shared(metric: Metric, baseline: pd.DataFrame, model: pd.DataFrame) -> Shared:
    """The rows that the metric's formula uses of both tables, of records that it uses of both.

    Args:
        metric: that reads them.
        baseline: answers of one model.
        model: answers of the other, to the same records.

    Raises:
        Undefined: no record is left, or a record is in another cluster or stratum for one model than for the other.
    """
    whole = [complete(answers, metric.info) for answers in (baseline, model)]
    asked = set().union(*(_ids(table) for table in whole))
    kept, reasons = whole, [Counter[str](), Counter[str]()]
    first: list[set[str]] = []
    while True:  # a formula may use a row no longer where others are gone (a group that became too small)
        used = [used_rows(metric, table) for table in kept]
        for seen, (_, left_out) in zip(reasons, used, strict=True):
            seen.update(left_out)
        ids = [_ids(table) for table, _ in used]
        first = first or ids
        both = ids[0] & ids[1]
        if not both:
            raise Undefined("no record could be used of both models")
        smaller = [table[table["id"].astype(str).isin(both)].reset_index(drop=True) for table, _ in used]
        if [len(table) for table in smaller] == [len(table) for table in kept]:
            break
        kept = smaller
    if _names(kept[0]) != _names(kept[1]):
        raise Undefined("the same ids lie in other clusters or strata for one model than for the other")
    return Shared(kept[0], kept[1], _left_out(asked - both, first, reasons))


def _left_out(lost: set[str], used: list[set[str]], reasons: list[Counter[str]]) -> dict[str, int]:
    """Records that are not compared, each once, by whose answers could not be used, and why."""
    of_one = [lost & (used[1] - used[0]), lost & (used[0] - used[1])]
    found = {}
    for whose, ids, why in zip(("the baseline", "the model"), of_one, reasons, strict=True):
        if ids:
            found[f"of {whose} only could not be used ({'; '.join(why)})"] = len(ids)
    if rest := len(lost - of_one[0] - of_one[1]):
        found[f"of neither model used ({'; '.join(reasons[0] | reasons[1])})"] = rest
    return found


def _ids(table: pd.DataFrame) -> set[str]:
    return set(table["id"].astype(str))


def _names(table: pd.DataFrame) -> set[tuple[str, str, str]]:
    """Every record with the unit that it is resampled in."""
    columns = [table[name].astype(object).where(table[name].notna(), "").astype(str) for name in ("stratum", "cluster", "id")]
    return set(zip(*columns, strict=True))
