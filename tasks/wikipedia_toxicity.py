"""Comments of Wikipedia's talk pages, toxic or not: the test set of Dixon et al. 2018."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.records import Labelled
from fairbench.scores import Source, TaskInfo

LABELS = ("not toxic", "toxic")
TOXIC = {"true": 1, "false": 0}

INFO = TaskInfo(
    title="Wikipedia talk pages: 1,492 comments, 248 of them toxic",
    form="Labelled",
    sources=(
        Source(
            format="csv",
            columns=("rev_id", "comment", "toxic"),
            files={
                "madlibs/toxicity_nonfuzzed_testset.csv": "c11caefa0c487cb7a7fc0726cb53358d4e5463bd071d65979398af59fa80f881",
            },
            url="https://github.com/conversationai/unintended-ml-bias-analysis at commit 9c7d91a",
        ),
    ),
    licence="CC BY 4.0 (the comments are Wikipedia's, CC BY-SA)",
    cite="Dixon et al. 2018, AIES, Measuring and mitigating unintended bias, 10.1145/3278721.3278729",
    language="en",
    groups=(),
    metrics=("accuracy", "macro_f1", "roc_auc"),
    probe_options={"train_on": "civil_comments"},
    cluster="none",
    suites=("large",),
    content_warning="Insults and slurs, as editors of Wikipedia wrote them.",
    labels=LABELS,
    notes=(
        "It says how good a toxicity classifier is on comments of another place than it learnt from; no groups are named. "
        "Read it beside madlibs, which compares groups on made sentences.",
        "There is no training split here: the classifier learns from civil_comments unless --train-on names something else.",
        "Comments stand as published, with their white space.",
    ),
)


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Labelled]:
    """A comment a row.

    Args:
        rows: rows with `rev_id`, `comment` and `toxic` (True or False).
        task: "wikipedia_toxicity".

    Raises:
        FairbenchError: a label that is neither.
    """
    for n, row in enumerate(rows, 1):
        label = TOXIC.get(str(row["toxic"]).strip().lower())
        if label is None:
            raise FairbenchError(
                f"Row {n} of {task}, column toxic: found {row['toxic']!r}, wanted True or False. Download the file again."
            )
        yield Labelled(id=str(row["rev_id"]), text=row["comment"], label=label, meta={"class": LABELS[label]})
