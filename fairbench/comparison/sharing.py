"""The answers of two results, cut down to the records that both models answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairbench.answers import AnswerStore
from fairbench.collection import Found
from fairbench.errors import FairbenchError, Undefined
from fairbench.metric import Metric
from fairbench.stats import resampling_units
from fairbench.tables import complete, usable

if TYPE_CHECKING:
    import pandas as pd

ONE_MODEL_ONLY = "could be used of one model only"


@dataclass(frozen=True)
class Shared:
    """Usable rows of both models, over the same units.

    Attributes:
        baseline, model: tables with every row key.
        left_out: rows of either that are not in it, by reason.
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
    """The rows of both tables whose record both models answered.

    Args:
        metric: that reads them.
        baseline: answers of one model.
        model: answers of the other, to the same records.

    Raises:
        Undefined: no record is left, or a record is in another cluster or stratum for one model than for the other.
    """
    tables: list[pd.DataFrame] = []
    left_out: dict[str, int] = {}
    for answers in (baseline, model):
        table, reasons = usable(complete(answers, metric.info), metric.info)
        left_out = {reason: max(count, left_out.get(reason, 0)) for reason, count in {**left_out, **reasons}.items()}
        tables.append(table)
    ids = [set(table["id"].astype(str)) for table in tables]
    both = ids[0] & ids[1]
    kept = [table[table["id"].astype(str).isin(both)].reset_index(drop=True) for table in tables]
    if lost := max(len(own - both) for own in ids):
        left_out[ONE_MODEL_ONLY] = lost
    if not both:
        raise Undefined("no record could be used of both models")
    if _names(kept[0]) != _names(kept[1]):
        raise Undefined("the same ids lie in other clusters or strata for one model than for the other")
    return Shared(kept[0], kept[1], left_out)


def _names(table: pd.DataFrame) -> set[tuple[str, str, str]]:
    """Every record with the unit that it is resampled in."""
    columns = [table[name].astype(object).where(table[name].notna(), "").astype(str) for name in ("stratum", "cluster", "id")]
    return set(zip(*columns, strict=True))


def same_units(one: Shared) -> int:
    """How many units both tables have."""
    return resampling_units(one.baseline).count
