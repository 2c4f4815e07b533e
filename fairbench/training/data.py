"""What a classifier learns from: the training and validation splits of a task, or of the user's own file.

Splits are fixed: those of the data set, else by a hash of the text, so that a text is on the same side on every machine. A text
of the test split is never learnt from, and a text of the training split never validates.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fairbench.answers import read_answers
from fairbench.data import Rows
from fairbench.errors import FairbenchError
from fairbench.files import file_sha256
from fairbench.groups import entries
from fairbench.records import SPLIT, TEST, UNASKED, Labelled
from fairbench.registry import Task
from fairbench.splits import part_of
from fairbench.training import TrainingData

if TYPE_CHECKING:
    import pandas as pd

TRAIN, VALIDATION = "train", "validation"
VALIDATION_SHARE = 0.1
"""Of the training texts of a data set that has no validation split."""

FILES = (".parquet", ".jsonl", ".csv")


def is_file(name: str) -> bool:
    """Whether training data are named by a file rather than a task."""
    return name.endswith(FILES)


def from_task(task: Task, rows: Rows) -> TrainingData:
    """The training data of a task.

    Raises:
        FairbenchError: the task has no labelled texts, no training split, or a split without use.
    """
    if task.info.form != "Labelled":
        raise FairbenchError(f"--train-on {task.name}: its records are {task.info.form}, wanted a task of Labelled texts.")
    records = cast("Iterable[Labelled]", task.records(rows, task.name))
    return _divided(task.name, records, labels=task.info.labels, positive=task.info.positive, provenance=dict(rows.provenance))


def from_file(path: Path) -> TrainingData:
    """The training data of a file with the columns `text` and `label`, and if it has them `split`, `groups` or `group`.

    Labels that are words become numbers in their alphabetical order; rows without a `split` train.

    Raises:
        FairbenchError: the file is none, or lacks a column or a value.
    """
    table = read_answers(path)
    for column in ("text", "label"):
        if column not in table.columns:
            raise FairbenchError(
                f"--train-on {path}: there is no column {column!r} (found: {', '.join(map(str, table.columns))}). Wanted text "
                "and label, and if you like split (train, validation, test) and groups."
            )
        if table[column].isna().any():
            row = int(table[column].isna().to_numpy().argmax()) + 1
            raise FairbenchError(f"--train-on {path}, row {row}, column {column!r}: the value is empty. Wanted one in every row.")
    names = _names(table, path)
    records = _file_records(table, names)
    provenance = {"kind": "files", "files": {path.name: file_sha256(path)}}
    return _divided(str(path), records, labels=names, positive=(), provenance=provenance)


def _names(table: pd.DataFrame, path: Path) -> tuple[str, ...]:
    """The classes by number: 0 to the largest where labels are numbers (also as text), else the words in order."""
    found = set()
    for row, label in enumerate(table["label"], 1):
        if not isinstance(label, (str, int, float)) and not np.isscalar(label):
            raise FairbenchError(f"--train-on {path}, row {row}: found the label {label!r}, wanted a word or a whole number.")
        found.add(str(label).removesuffix(".0") if not isinstance(label, str) else label)
    if not all(label.isdecimal() for label in found):
        if any(not isinstance(label, str) for label in table["label"]):
            wrong = next(label for label in sorted(found) if not label.isdecimal())
            raise FairbenchError(f"--train-on {path}: found the label {wrong!r}, wanted words, or whole numbers from 0.")
        return tuple(sorted(found))
    largest = max(int(label) for label in found)
    if largest >= len(table):
        raise FairbenchError(
            f"--train-on {path}: found the label {largest} among {len(table)} rows, wanted the numbers of classes, from 0 on."
        )
    return tuple(str(n) for n in range(largest + 1))


def _file_records(table: pd.DataFrame, names: tuple[str, ...]) -> Iterable[Labelled]:
    splits = table["split"].fillna(TRAIN) if "split" in table.columns else [TRAIN] * len(table)
    for number, (text, label, split, groups) in enumerate(
        zip(table["text"], table["label"], splits, entries(table), strict=True), 1
    ):
        code = names.index(label) if label in names else int(label)
        yield Labelled(id=str(number), text=str(text), label=code, groups=groups, meta={SPLIT: str(split)})


def _divided(
    name: str, records: Iterable[Labelled], *, labels: tuple[str, ...], positive: tuple[str, ...], provenance: dict[str, Any]
) -> TrainingData:
    """Records put into their splits, without those that may not be learnt from."""
    splits: dict[str, list[Labelled]] = {TRAIN: [], VALIDATION: [], TEST: []}
    left_out: Counter[str] = Counter()
    for record in records:
        if record.split not in splits:
            raise FairbenchError(f"{name}: found the split {record.split!r}, wanted one of {', '.join(splits)}.")
        if record.meta.get(UNASKED):
            left_out[str(record.meta[UNASKED])] += record.split != TEST
        elif not record.text.strip():
            left_out["text without a word"] += record.split != TEST
        elif record.label is None or not 0 <= record.label < len(labels):
            raise FairbenchError(
                f"{name}: found the label {record.label}, wanted one of 0 to {len(labels) - 1} ({', '.join(labels)})."
            )
        else:
            splits[record.split].append(record)
    if not splits[TRAIN]:
        raise FairbenchError(
            f"--train-on {name}: it has no training split (found: "
            f"{', '.join(f'{n} {len(found)}' for n, found in splits.items())}). Name another task with --train-on, or a file."
        )
    made = not splits[VALIDATION]
    if made:
        shares = {VALIDATION: VALIDATION_SHARE, TRAIN: 1 - VALIDATION_SHARE}
        divided = [(part_of(record.text, shares, VALIDATION), record) for record in splits[TRAIN]]
        splits |= {part: [record for found, record in divided if found == part] for part in (TRAIN, VALIDATION)}
    test = {record.text for record in splits[TEST]}
    train = [record for record in splits[TRAIN] if record.text not in test]
    learnt = {record.text for record in train}
    validation = [record for record in splits[VALIDATION] if record.text not in test | learnt]
    left_out["the text is also in the test split"] += len(splits[TRAIN]) - len(train)
    left_out["a validation text is also in another split"] += len(splits[VALIDATION]) - len(validation)
    _refuse_useless(name, train, validation, labels, lost=len(splits[TRAIN]) - len(train))
    digest = hashlib.sha256()
    for record in (*train, *validation):
        # What is learnt from, and nothing else: an id or a note that changes makes no other classifier.
        digest.update(json.dumps([record.text, record.label, record.group, record.groups], ensure_ascii=False).encode())
    digest.update(json.dumps([len(train), labels, positive]).encode())
    return TrainingData(
        name=name, labels=labels, positive=positive, train=tuple(train), validation=tuple(validation),
        left_out={reason: n for reason, n in left_out.items() if n}, sha256=digest.hexdigest(),
        provenance={**provenance, "validation": f"{VALIDATION_SHARE:.0%} of train by hash of the text" if made else "the data's"},
    )  # fmt: skip


def _refuse_useless(name: str, train: list[Labelled], validation: list[Labelled], labels: tuple[str, ...], lost: int) -> None:
    """Splits from which nothing can be learnt, or by which nobody could tell whether it was."""
    if not train:
        raise FairbenchError(
            f"--train-on {name}: all {lost} training texts are also in the test split, so that it would be asked what it was "
            "told. Give training data of its own."
        )
    if not validation:
        raise FairbenchError(
            f"--train-on {name}: no validation text is left beside {len(train)} training texts. Give more texts, or rows with "
            "the split validation."
        )
    classes = {labels[record.label] for record in train if record.label is not None}
    if len(classes) < 2:
        raise FairbenchError(
            f"--train-on {name}: all {len(train)} training texts have the label {next(iter(classes))!r}. Wanted at least two "
            "classes."
        )
