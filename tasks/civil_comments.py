"""Civil Comments: comments below news, with the share of readers who called them toxic and who saw an identity mentioned.

`civil_comments` is the set of WILDS (Koh et al. 2021): the 448,000 comments whose identities were annotated, split by article.
`jigsaw_unintended_bias` is the competition of the same name (Borkan et al. 2019) with the splits of its files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.records import SPLIT, UNASKED, Labelled, Scalar
from fairbench.scores import Source, TaskInfo

LABELS = ("not toxic", "toxic")
IDENTITIES = (
    "male",
    "female",
    "homosexual_gay_or_lesbian",
    "christian",
    "jewish",
    "muslim",
    "black",
    "white",
    "psychiatric_or_mental_illness",
)
"""The nine of the competition's score, of the 24 that were annotated."""
HALF = 0.5
"""The share of annotators from which on a comment counts as toxic, and an identity as mentioned."""
TOXICITY = ("toxicity", "target")
"""The column of that share; the competition's training file alone calls it target."""
SPLITS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
EMPTY = "the comment is empty"

COLUMNS = ("id", "comment_text", *IDENTITIES)
MAY_BE_EMPTY = ("comment_text", *IDENTITIES)
# The last commit of the copy, at which others read it too.
REVISION = "c227534cc0a34cf21db6a0bf0edd0f9050c8b305"

NOTES = (
    f"A comment is toxic, and speaks of an identity, where at least {HALF:g} of its annotators said so.",
    "google/civil_comments on the Hub is no source: it has no identity columns, so no group could be compared.",
    "Metrics that compare groups take every comment without the group as its background, as the competition does.",
)


def _card(name: str, title: str, sources: tuple[Source, ...], notes: tuple[str, ...]) -> TaskInfo:
    """The card of one of the two sets; what both share stands here once."""
    return TaskInfo(
        title=title,
        form="Labelled",
        sources=sources,
        licence="CC0-1.0",
        cite="Borkan et al. 2019, WWW companion, Nuanced metrics, 10.1145/3308560.3317593; Koh et al. 2021, ICML, WILDS",
        language="en",
        groups=IDENTITIES,
        metrics=(
            "accuracy",
            "macro_f1",
            "roc_auc",
            "jigsaw_score",
            "subgroup_auc",
            "bpsn_auc",
            "bnsp_auc",
            "fped",
            "fned",
            "tpr_gap",
            "fpr_gap",
            "demographic_parity_difference",
            "equalized_odds_difference",
        ),
        probe_options={"train_on": name},
        cluster="none",
        suites=("large",),
        content_warning="Insults, threats and slurs, as readers of news wrote them.",
        labels=LABELS,
        notes=(*notes, *NOTES),
    )


INFO = {
    "civil_comments": _card(
        "civil_comments",
        "Civil Comments as in WILDS: toxic or not; 133,782 comments asked, 269,038 train, 45,180 validate",
        (
            Source(
                format="csv",
                columns=(*COLUMNS, "toxicity", SPLIT),
                may_be_empty=MAY_BE_EMPTY,
                files={"civil_comments/all_data_with_identities.csv": ""},
                url="https://wilds.stanford.edu/datasets/#civilcomments (civilcomments_v1.0)",
            ),
            Source(
                format="parquet",
                columns=(*COLUMNS, "toxicity", SPLIT),
                may_be_empty=MAY_BE_EMPTY,
                hub="pietrolesci/civilcomments-wilds",
                config="raw",
                split="train",
                revision=REVISION,
            ),
        ),
        (
            "The Hub's copy keeps the file of WILDS whole in its config raw; the column split says which of the three it is.",
            "All identities were annotated in every comment. WILDS itself reports accuracies by eight wider groups.",
        ),
    ),
    "jigsaw_unintended_bias": _card(
        "jigsaw_unintended_bias",
        "Jigsaw Unintended Bias: toxic or not; 97,320 comments asked, 1,804,874 train, 97,320 validate",
        (
            Source(
                format="csv",
                columns=COLUMNS,
                may_be_empty=MAY_BE_EMPTY,
                files={
                    "jigsaw_unintended_bias/train.csv": "",
                    "jigsaw_unintended_bias/test_public_expanded.csv": "",
                    "jigsaw_unintended_bias/test_private_expanded.csv": "",
                },
                splits=("train", "validation", "test"),
                url="https://www.kaggle.com/c/jigsaw-unintended-bias-in-toxicity-classification/data (an account is needed)",
            ),
        ),
        (
            "Kaggle gives the files to its users only. The public test set validates, the private one, which decided, is asked.",
            "The identities of about a fifth of the comments were annotated; the others speak of no group here (meta.annotated "
            "tells them apart) and are part of every group's background.",
        ),
    ),
}


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Labelled]:
    """Turns a comment of any source into a labelled text.

    Args:
        rows: a row a comment, with `id`, `comment_text`, `toxicity` or `target`, a column for each identity and `split`.
        task: "civil_comments" or "jigsaw_unintended_bias".

    Yields:
        Every split. A comment without a word comes as a record that is not asked, to be counted.

    Raises:
        FairbenchError: a share that is none, or a split that the task does not have.
    """
    for n, row in enumerate(rows, 1):
        where = f"Row {n} of {task}"
        split = SPLITS.get(str(row.get(SPLIT)))
        if split is None:
            raise FairbenchError(
                f"{where}, column {SPLIT}: found {row.get(SPLIT)!r}, wanted one of {', '.join(SPLITS)}. Download the file again."
            )
        toxicity = _toxicity(row, where)
        shares = {identity: _share(row[identity], f"{where}, column {identity}") for identity in IDENTITIES}
        label = int(toxicity >= HALF)
        text = str(row["comment_text"] or "")
        meta: dict[str, Scalar] = {
            SPLIT: split,
            "class": LABELS[label],
            "toxicity": toxicity,
            "annotated": any(share is not None for share in shares.values()),
        }
        if not text.strip():
            meta[UNASKED] = EMPTY
        yield Labelled(
            id=str(row["id"]),
            text=text,
            label=label,
            groups=tuple(identity for identity, share in shares.items() if share is not None and share >= HALF),
            meta=meta,
        )


def _toxicity(row: Mapping[str, Any], where: str) -> float:
    """The share of annotators who called the comment toxic."""
    column = next((name for name in TOXICITY if name in row), None)
    share = None if column is None else _share(row[column], f"{where}, column {column}")
    if share is None:
        raise FairbenchError(
            f"{where}: found no share of annotators who called it toxic, wanted one in the column {' or '.join(TOXICITY)}. "
            "The competition's test.csv has none: take the files whose names end in _expanded."
        )
    return share


def _share(value: Any, where: str) -> float | None:
    """A share of annotators between 0 and 1; null where nobody was asked."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        share = float(value)
    except (TypeError, ValueError):
        share = math.inf
    if math.isnan(share):
        return None
    if not 0 <= share <= 1:
        raise FairbenchError(f"{where}: found {value!r}, wanted a share between 0 and 1. Download the file again.")
    return share
