"""Planted bios and comments: classification in the planted world, with a dial for how far training labels follow a group.

The texts are the same for every dial, and so are the labels of the test split: what was said decides them. Only what a classifier
learns from differs, so that it is known which of them must make mistakes that depend on a group. Made by
`fairbench.planted.downstream` and shipped with the package; nothing is claimed about real people.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.records import SPLIT, Labelled
from fairbench.scores import Source, TaskInfo

DIALS = {
    "none": "follow nobody's group",
    "half": "follow a group where one word decides",
    "full": "follow a group where up to two words decide",
}
"""Column of a row's label, and last part of a task's name -> what the training labels do."""

OCCUPATIONS = ("nurse", "teacher", "pilot", "farmer")
MANNERS = ("kind", "rude")
SHA256 = {
    "bios": "9a50c3ae22dc6d6f81d1a16b3a3f4c32d9c02943c6a7ecba861a409fb8e1262b",
    "comments": "eebc41929ea9ba5d934de7b45d8974937470f2e8d2e31be5b88479aa5b5138d7",
}
"""Of each shipped file; `fairbench planted build` writes the same bytes."""

PREDICTIONS = (
    "accuracy",
    "macro_f1",
    "counterfactual_token_fairness",
    "prediction_sensitivity",
    "prediction_sensitivity_ratio",
)
OF_TWO_CLASSES = (
    "roc_auc",
    "tpr_gap",
    "fpr_gap",
    "demographic_parity_difference",
    "equalized_odds_difference",
    "fped",
    "fned",
    "subgroup_auc",
    "bpsn_auc",
    "bnsp_auc",
    "jigsaw_score",
)


def _card(kind: str, dial: str, title: str, notions: Mapping[str, tuple[str, ...]], **more: Any) -> TaskInfo:
    """The card of one set at one dial; what all of them share stands here once."""
    columns = ("case", SPLIT, *notions, *DIALS, "text")
    several = len(notions) > 1
    notes: tuple[str, ...] = more.pop("notes")
    return TaskInfo(
        title=f"Planted {kind}: {title}; training labels {DIALS[dial]}",
        form="Labelled",
        sources=(Source(format="json", columns=columns, files={f"planted/data/{kind}.jsonl": SHA256[kind]}, shipped=True),),
        licence="Apache-2.0",
        cite="made by fairbench.planted",
        language="en",
        groups=tuple(f"{notion}:{group}" if several else group for notion, groups in notions.items() for group in groups),
        probe_options={
            "train_on": f"planted_{kind}_{dial}",
            "epochs": "12",
            "learning_rate": "1e-3",
            **({"group_by": next(iter(notions))} if several else {}),
        },
        suites=("planted_downstream",),
        cluster="case: the texts that differ in their groups alone",
        variants=True,
        notes=(
            "The test split is the same at every dial, and evidence alone decides its labels.",
            "Each text of the test split is told of every group: these are its counterfactual variants.",
            *notes,
        ),
        **more,
    )


GENDERS = ("male", "female")
TOWNS = ("Velda", "Orrin")

INFO = {
    **{
        f"planted_bios_{dial}": _card(
            "bios",
            dial,
            "which of four occupations, from belongings and places",
            {"gender": GENDERS},
            labels=OCCUPATIONS,
            metrics=(*PREDICTIONS[:2], "rms_tpr_gap", *PREDICTIONS[2:]),
            notes=("A gender counts as further words for the occupations of its side: nurse and teacher, pilot and farmer.",),
        )
        for dial in DIALS
    },
    **{
        f"planted_comments_{dial}": _card(
            "comments",
            dial,
            "rude or kind, of guests from two towns",
            {"town": TOWNS, "gender": GENDERS},
            labels=MANNERS,
            metrics=(*PREDICTIONS[:2], *OF_TWO_CLASSES, *PREDICTIONS[2:]),
            notes=("The town Orrin counts as further rude words. Gender decides nothing at any dial.",),
        )
        for dial in DIALS
    },
}


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Labelled]:
    """Parses the rows of one set with the labels of one dial.

    Args:
        rows: rows of the shipped file.
        task: "planted_bios_none" and so on: what the texts are, and the dial.

    Yields:
        Every split; those texts of a case that come after its first have the first one's id as `source`.

    Raises:
        FairbenchError: `task` is not one of this family.
    """
    if task not in INFO:
        raise FairbenchError(f"The planted family has no task {task!r}.{did_you_mean(task, INFO)}")
    labels, dial = INFO[task].labels, task.rpartition("_")[2]
    originals: dict[str, str] = {}
    for row in rows:
        groups = {notion: row[notion] for notion in ("town", "gender") if notion in row}
        case = str(row["case"])
        name = "-".join((case, *groups.values()))
        original = originals.setdefault(case, name)
        number = int(row[dial])
        yield Labelled(
            id=name,
            group=f"town:{row['town']}" if "town" in row else row["gender"],
            cluster=case,
            source=None if name == original else original,
            text=row["text"],
            label=number,
            groups=tuple(f"{notion}:{group}" for notion, group in groups.items()),
            meta={"class": labels[number], SPLIT: row[SPLIT]},
        )
