"""What judges say of a table of answers: judged once a text, kept beside the answers, and joined to them for a metric.

<output>/<model>-<8 hex>/judged/<hash>.parquet holds a row for each row of one table of answers. So a text is judged when it is
first needed, another judge needs no new answers, and what was judged before a kill is kept.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.answers import AnswerStore
from fairbench.errors import FairbenchError, Undefined
from fairbench.files import digest
from fairbench.judges import FAILED, Judge, JudgeFile, Room, Said
from fairbench.measurement import Metric
from fairbench.records import SUBJECT
from fairbench.registry import Registry
from fairbench.scores import Score
from fairbench.tables import failed_column, usable

if TYPE_CHECKING:
    import pandas as pd

JUDGED_VERSION = 1
"""Raised when the same judge's words would be kept otherwise."""

PART = 1_024
"""Rows that are judged and saved together: what a kill can lose."""

ROUNDING = 1e-12
"""A judge's own gap that is no larger is the rounding of a sum."""

REFUSAL = "refusal"
"""The judge that every table of generated text is put to: a refusal is neither kind nor hostile."""

Progress = Callable[[str, int, int], None]


def quietly(what: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True)
class Ready:
    """A judge by its name, with the file that it comes from and the options that the user moved from their defaults."""

    name: str
    file: JudgeFile
    judge: Judge
    moved: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, Any]:
        """All that can change what it says."""
        return {"name": self.name, "version": self.file.VERSION, **self.judge.identity}

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that it adds to a table: its own, and why it failed."""
        return (*self.file.COLUMNS, failed_column(self.name))


def ready(registry: Registry, name: str, given: Mapping[str, Any], room: Room) -> Ready:
    """A judge with the options that were given and the defaults of the others.

    Raises:
        DataAbsent: its model or word list is not there.
        FairbenchError: there is no such judge, or an option that can't be.
    """
    file = registry.judge(name)
    judge = file.prepare({**file.OPTIONS, **given}, room)
    return Ready(name, file, judge, {option: value for option, value in given.items() if value != file.OPTIONS.get(option)})


@dataclass
class Panel:
    """The judges of one run and what they have said.

    Attributes:
        folder: of the model's results.
        judges: by name, those that are ready.
        progress: called with (what, done, total).
    """

    folder: Path
    judges: dict[str, Ready] = field(default_factory=dict)
    progress: Progress = quietly
    _said: dict[str, dict[tuple[str, ...], dict[str, Any]]] = field(default_factory=dict)
    _neutral: dict[str, pd.DataFrame] = field(default_factory=dict)

    def join(self, answers: AnswerStore, table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
        """The table with the columns of these judges; a column of its own name that the table had before is replaced."""
        import pandas as pd

        for name in names:
            if name in self.judges:
                said = self._store(answers, self.judges[name], table).read()
                table = pd.concat([table.drop(columns=[c for c in said.columns if c in table.columns]), said], axis=1)
        return table

    def about(self, answers: AnswerStore, name: str) -> dict[str, Any]:
        """The judge's block of a result: who judged, what it failed on, and where what it said lies."""
        ready = self.judges[name]
        store = AnswerStore(self.folder / "judged", self._key(answers, ready))
        note = store.note()
        return {
            **ready.identity, "failed": note["failed"], "seconds": note["seconds"],
            "path": f"judged/{store.path.name}", "sha256": note["sha256"], "rows": note["rows"],
        }  # fmt: skip

    def beside(self, score: Score, metric: Metric, seed: int) -> Score:
        """A score with what its judge says of itself, and how far that judge alone tells groups apart."""
        if metric.info.judge not in self.judges or score.value is None:
            return score
        gaps = self.own_gaps(metric, seed)
        warnings = list(self.judges[metric.info.judge].judge.notes)
        if (notion := str(metric.options.get("group_by"))) in gaps:
            gaps = {notion: gaps[notion]}
        if 0 < score.value <= max(gaps.values(), default=0.0):
            said = ", ".join(f"{notion} {value:.3g}" for notion, value in gaps.items())
            warnings.append(
                f"The judge {metric.info.judge} alone finds as large a gap in sentences that say the same of every group "
                f"({said}): this one is no evidence about the model."
            )
        details = {**score.details, **{f"judge_gap.{notion}": value for notion, value in gaps.items()}}
        return dataclasses.replace(score, details=details, warnings=(*score.warnings, *warnings))

    def own_gaps(self, metric: Metric, seed: int) -> dict[str, float]:
        """What a metric that compares groups finds in sentences that say the same of all of them: the judge's own gap, by notion.

        Empty for a judge that counts words which name a group.
        """
        ready = self.judges[metric.info.judge]
        if metric.disparity is None or "group_by" not in metric.info.options or ready.file.NAMES_GROUPS:
            return {}
        table, plain = self.neutral(ready), metric.with_options({**metric.options, "group_by": ""})
        found = {}
        for notion in dict.fromkeys(table["notion"]):
            part = usable(table[table["notion"] == notion], metric.info)[0]
            try:
                value = float(plain.values(part, np.ones((1, len(part))), seed)[0])
            except Undefined:
                continue
            if np.isfinite(value):
                found[str(notion)] = value if abs(value) > ROUNDING else 0.0
        return found

    def neutral(self, ready: Ready) -> pd.DataFrame:
        """The neutral sentences with what a judge says of them: rows of a table of answers, with their `notion`."""
        import pandas as pd

        from fairbench.judges.neutral import texts

        if ready.name not in self._neutral:
            sentences = texts()
            said = [Said(prompt="", continuation=text.text, subject=text.subject) for text in sentences]
            rows = [
                {"id": t.id, "notion": t.notion, "group": t.group, "cluster": t.template, "stratum": None, "source": None, **row}
                for t, row in zip(sentences, self.judged(ready, said), strict=True)
            ]
            self._neutral[ready.name] = pd.DataFrame(rows)
        return self._neutral[ready.name]

    def _store(self, answers: AnswerStore, ready: Ready, table: pd.DataFrame) -> AnswerStore:
        """What a judge says of a table, judged now where it is missing."""
        store = AnswerStore(self.folder / "judged", self._key(answers, ready))
        with store.lock():
            if not store.finished():
                self._judge(store, ready, table)
            store.tidy()
        return store

    def _key(self, answers: AnswerStore, ready: Ready) -> str:
        return digest({"judged": JUDGED_VERSION, "answers": answers.key, "judge": ready.identity})[:32]

    def _judge(self, store: AnswerStore, ready: Ready, table: pd.DataFrame) -> None:
        what, parts = f"judge {ready.name}", range(0, len(table), PART)
        self.progress(what, 0, len(table))
        for number, start in enumerate(parts):
            if not store.has_part(number):
                begun = time.perf_counter()
                rows = judged_rows(table.iloc[start : start + PART], lambda said: self.judged(ready, said), ready.columns)
                store.write_part(number, rows, time.perf_counter() - begun)
            self.progress(what, min(start + PART, len(table)), len(table))
        failed = sum(_count_failed(store, number, failed_column(ready.name)) for number in range(len(parts)))
        store.finish(len(parts), {"judge": ready.identity, "failed": failed})

    def judged(self, ready: Ready, said: Sequence[Said]) -> list[dict[str, Any]]:
        """Columns of each text in order; of equal ones only the first is judged, in this table and in those before it."""
        known = self._said.setdefault(ready.name, {})
        parts = [ready.judge.reads(one) for one in said]
        new: dict[tuple[str, ...], Said] = {}
        for part, one in zip(parts, said, strict=True):
            if part not in known:
                new.setdefault(part, one)
        for part, row in zip(new, ready.judge.judge(list(new.values())), strict=True):
            reason = row.get(FAILED)
            known[part] = {**{c: None if reason else row.get(c) for c in ready.file.COLUMNS}, failed_column(ready.name): reason}
        return [known[part] for part in parts]


def add_judgement(table: pd.DataFrame, ready: Ready) -> pd.DataFrame:
    """A table of texts with what a judge says of each; columns of the same names are replaced.

    Raises:
        FairbenchError: the table has no column `continuation`.
    """
    import pandas as pd

    panel = Panel(Path())
    rows = judged_rows(table, lambda said: panel.judged(ready, said), ready.columns)
    said = pd.DataFrame(rows, columns=list(ready.columns), index=table.index)
    absent = [not isinstance(text, str) for text in table["continuation"].tolist()]
    said.loc[absent, ready.columns[-1]] = "there is no text"
    return pd.concat([table.drop(columns=[c for c in said.columns if c in table.columns]), said], axis=1)


def judged_rows(
    table: pd.DataFrame, judge: Callable[[Sequence[Said]], list[dict[str, Any]]], columns: Sequence[str]
) -> list[dict[str, Any]]:
    """A row of columns for each row of a table; empty where it holds no continuation.

    Raises:
        FairbenchError: the table has no column `continuation`.
    """
    if "continuation" not in table.columns and "left_out" in table.columns and table["left_out"].notna().all():
        return [dict.fromkeys(columns) for _ in range(len(table))]  # nothing was written, and the table says why
    if "continuation" not in table.columns:
        found = ", ".join(map(str, table.columns))
        raise FairbenchError(f"The answers have no column 'continuation'. Found: {found}. Wanted the text that is to be judged.")
    texts = table["continuation"].tolist()
    there = [isinstance(text, str) for text in texts]
    prompts, subjects = (_texts(table, name) for name in ("text", f"meta.{SUBJECT}"))
    said = [
        Said(prompt=prompt or "", continuation=text, subject=subject)
        for text, prompt, subject, has in zip(texts, prompts, subjects, there, strict=True)
        if has
    ]
    rows = iter(judge(said) if said else [])
    return [next(rows) if has else dict.fromkeys(columns) for has in there]


def _texts(table: pd.DataFrame, name: str) -> list[str | None]:
    if name not in table.columns:
        return [None] * len(table)
    return [value if isinstance(value, str) and value else None for value in table[name].tolist()]


def _count_failed(store: AnswerStore, number: int, column: str) -> int:
    import pyarrow.parquet as pq

    read = pq.read_table(store.parts / f"{number:06d}.parquet", columns=[column])
    return len(read) - int(read.column(column).null_count)
