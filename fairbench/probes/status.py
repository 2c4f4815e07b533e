"""The protected-status model: a second classifier over the same word embeddings that tells whom a text speaks of.

It is trained by the same code as the classifier of the task, from that classifier's own weights, on texts with their group in the
place of their label. The matrix of word embeddings does not learn, so that gradients of both are taken at the same place.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.files import digest
from fairbench.groups import ALL, BARE, notions
from fairbench.models.model import ModelCard
from fairbench.records import Labelled
from fairbench.training import Prepared, Room, TrainingData
from fairbench.training.classifier import classifier

FEWEST = 10
"""Training texts below which a group is not learnt."""


class GroupRoom:
    """A Room whose training data have groups in the place of labels: the texts that speak of exactly one group."""

    def __init__(self, room: Room, group_by: str) -> None:
        self.classifiers, self.progress = room.classifiers, room.progress
        self._room, self._group_by = room, group_by

    def training_data(self, name: str) -> TrainingData:
        """The training data of a task or a file; FairbenchError where they name too few groups."""
        return by_group(self._room.training_data(name), self._group_by)


def status_model(card: ModelCard, options: Mapping[str, Any], room: Room) -> Prepared:
    """The protected-status model that these options come to. Nothing is trained before its `load`.

    Args:
        card: the classifier of the task, whose body it starts from.
        options: from the sensitivity probe's `resolve`.
        room: where training data come from and classifiers are kept.

    Raises:
        FairbenchError: the training data name no groups, or too few.
    """
    chosen = {
        **options,
        "train_on": options["protected_on"] or options["train_on"],
        "labels": (),
        "positive": (),
        "positive_labels": (),
        "freeze_embeddings": True,
    }
    return classifier(card, chosen, GroupRoom(room, options["group_by"]))


def by_group(data: TrainingData, group_by: str) -> TrainingData:
    """Training data with the group in the place of the label.

    Args:
        data: labelled texts with their groups.
        group_by: the notion whose groups are told apart ("gender"); empty or "all" for all groups of the data, side by side.

    Returns:
        The texts that name exactly one of these groups; groups with fewer than FEWEST training texts are left out and counted.

    Raises:
        FairbenchError: there is no such notion, or fewer than two groups are left.
    """
    group_by = "" if group_by == ALL else group_by
    parts = [[(record, _groups(record, group_by)) for record in part] for part in (data.train, data.validation)]
    _refuse_unknown_notion(data, group_by)
    counts = Counter(groups[0] for _, groups in parts[0] if len(groups) == 1)
    labels = tuple(sorted(group for group, n in counts.items() if n >= FEWEST))
    train, validation = ([_as(record, groups[0], labels) for record, groups in part if _is_one(groups, labels)] for part in parts)
    if len(labels) < 2 or not validation:
        found = ", ".join(f"{group} {n}" for group, n in sorted(counts.items())) or "none"
        raise FairbenchError(
            f"protected=model: {data.name} has training texts that speak of exactly one group: {found}; and {len(validation)} "
            f"validation texts. Wanted at least two groups with {FEWEST} training texts each, and a validation text. Name other "
            "data with protected_on, another notion with group_by, or use protected=words."
        )
    lost = Counter(_why(groups, labels) for part in parts for _, groups in part)
    return TrainingData(
        name=f"{data.name}, the groups of {group_by or 'all notions'}",
        labels=labels,
        train=tuple(train),
        validation=tuple(validation),
        left_out={**data.left_out, **{reason: n for reason, n in lost.items() if reason}},
        sha256=digest([data.sha256, group_by, labels, FEWEST]),
        provenance=data.provenance,
    )


def _groups(record: Labelled, group_by: str) -> list[str]:
    """The distinct groups of the notion that a text speaks of."""
    entries = dict.fromkeys(record.groups or ((record.group,) if record.group else ()))
    return [entry for entry in entries if not group_by or notions([entry]) == (group_by,)]


def _refuse_unknown_notion(data: TrainingData, group_by: str) -> None:
    records: Iterable[Labelled] = (*data.train, *data.validation)
    known = notions(entry for record in records for entry in _groups(record, ""))
    if group_by and group_by not in known:
        named = [notion for notion in known if notion != BARE]
        has = f"has groups of {', '.join(named)}" if named else "has groups of one notion without a name" if known else "has none"
        raise FairbenchError(
            f"group_by={group_by}: there are no such groups in {data.name}, which {has}.{did_you_mean(group_by, named)}"
        )


def _is_one(groups: Sequence[str], labels: Sequence[str]) -> bool:
    return len(groups) == 1 and groups[0] in labels


def _why(groups: Sequence[str], labels: Sequence[str]) -> str:
    """Why a text is not learnt from; empty where it is."""
    if _is_one(groups, labels):
        return ""
    return (
        f"text of a group with fewer than {FEWEST}"
        if len(groups) == 1
        else "text of several groups"
        if groups
        else "text of no group"
    )


def _as(record: Labelled, group: str, labels: Sequence[str]) -> Labelled:
    return dataclasses.replace(record, label=labels.index(group))
