"""Which records of a task are asked: all are looked at before any model work, and a limit takes the first of each stratum."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fairbench.data import Rows
from fairbench.errors import FairbenchError
from fairbench.records import TEST, Record, Slot, as_row
from fairbench.registry import Task

PART_RECORDS = 256
PART_CHARACTERS = 32_768
"""A part ends at so many records or characters: what a kill can lose. Fixed, so that numbers don't depend on kills."""


@dataclass(frozen=True)
class Asked:
    """The records of a task that are put to a model.

    Attributes:
        total: records that the task has.
        n: records that are asked.
        lost: groups of which a limit leaves no record.
        sha256: over all that is asked, record by record: the same wherever the data came from and however they were parsed.
    """

    task: Task
    data: Rows
    total: int
    n: int
    sha256: str
    most: Mapping[str | None, int]
    lost: tuple[str, ...] = ()

    def with_records(self, records: Iterable[Record], **facts: Mapping[str, Any]) -> Asked:
        """The same with other records in the place of the task's own: words in the contexts of a corpus, texts with variants.

        `total` stays larger than `n` where a limit left records out.

        Args:
            records: what is asked; it is gone through more than once.
            facts: what the provenance says of them, by its key there (`contexts`, `counterfactual`).
        """
        task = dataclasses.replace(self.task, records=lambda rows, name: iter(records))
        said = {key: dict(value) for key, value in facts.items()}
        data = dataclasses.replace(self.data, provenance={**self.data.provenance, **said})
        found = look_through(task, data, None)
        return dataclasses.replace(found, total=found.n + self.total - self.n, lost=self.lost)

    def records(self) -> Iterator[Record]:
        """The records that are asked, parsed anew."""
        return _first(_tested(self.task.records(self.data, self.task.name)), self.most)

    def parts(self) -> Iterator[list[Record]]:
        """The same in parts, each of which is saved by itself."""
        part: list[Record] = []
        characters = 0
        for record in self.records():
            if (len(part) >= PART_RECORDS or characters >= PART_CHARACTERS) and not _same_slot(part[-1], record):
                yield part
                part, characters = [], 0
            part.append(record)
            characters += sum(len(v) for v in as_row(record).values() if isinstance(v, str))
        if part:
            yield part


def _same_slot(first: Record, second: Record) -> bool:
    """Words for one place of one sentence, whose probabilities are also read together (`mass`): no part separates them."""
    return _slot(first) is not None and _slot(first) == _slot(second)


def _slot(record: Record) -> tuple[str, str] | None:
    """The place that a slot's target competes for; null for an open slot and for other records."""
    return (record.template, record.attribute) if isinstance(record, Slot) and record.attribute is not None else None


def look_through(task: Task, data: Rows, limit: float | None) -> Asked:
    """Parses every row of a task and counts.

    Args:
        task: the task.
        data: its rows.
        limit: the first so many records of each stratum (of all, where there is none), or that share of them if below 1.

    Raises:
        FairbenchError: there is no record, or two have the same id.
    """
    seen: set[str] = set()
    slots: dict[tuple[str, str], None] = {}
    groups: set[str | None] = set()
    strata: Counter[str | None] = Counter()
    digest = hashlib.sha256()
    for record in _tested(task.records(data, task.name)):
        if record.id in seen:
            raise FairbenchError(f"{task.name}: two records have the id {record.id!r}. Wanted ids that name one record each.")
        seen.add(record.id)
        groups.add(record.group)
        _refuse_scattered(task.name, _slot(record), slots)
        strata[record.stratum] += 1
        digest.update(_bytes(record))
    if not seen:
        raise FairbenchError(
            f"{task.name}: the data hold no record. Wanted at least one; see `fairbench data check {task.name}`."
        )
    most = {name: count if limit is None else _limited(count, limit) for name, count in strata.items()}
    if limit is not None:
        digest = hashlib.sha256()
        for record in _first(_tested(task.records(data, task.name)), most):
            digest.update(_bytes(record))
            groups.discard(record.group)
    lost = tuple(sorted(group for group in groups if group is not None)) if limit is not None else ()
    return Asked(task, data, len(seen), sum(most.values()), digest.hexdigest(), most, lost)


def _refuse_scattered(task: str, slot: tuple[str, str] | None, slots: dict[tuple[str, str], None]) -> None:
    """Words for one place have to be neighbours, or part of them would be missing where their probability is added up."""
    if slot is None:
        return
    if slot in slots and slot != next(reversed(slots)):
        raise FairbenchError(
            f"{task}: the records of the template {slot[0]!r} with the attribute {slot[1]!r} do not stand one after the other. "
            "Wanted all targets of a template and attribute together; sort the records by them."
        )
    slots.setdefault(slot)


def _limited(count: int, limit: float) -> int:
    return min(count, int(limit) if limit >= 1 else max(1, round(limit * count)))


def _first(records: Iterator[Record], most: Mapping[str | None, int]) -> Iterator[Record]:
    taken: Counter[str | None] = Counter()
    for record in records:
        taken[record.stratum] += 1
        if taken[record.stratum] <= most[record.stratum]:
            yield record


def _tested(records: Iterator[Record]) -> Iterator[Record]:
    """Records of the test split; the others are what a classifier learns from."""
    return (record for record in records if record.split == TEST)


def _bytes(record: Record) -> bytes:
    return json.dumps(as_row(record), sort_keys=True, ensure_ascii=False).encode()
