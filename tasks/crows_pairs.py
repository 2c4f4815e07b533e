"""CrowS-Pairs (Nangia et al. 2020) and its revised version: two sentences that differ in the group they speak of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.records import Pair, Record
from fairbench.scores import Source, TaskInfo

# The first column of both files has no name; pandas, and so `datasets`, calls it so. It numbers the pairs of the original.
NUMBER = "Unnamed: 0"
COLUMNS = (NUMBER, "sent_more", "sent_less", "stereo_antistereo", "bias_type")
TYPES = (
    "age",
    "disability",
    "gender",
    "nationality",
    "physical-appearance",
    "race-color",
    "religion",
    "sexual-orientation",
    "socioeconomic",
)
WARNING = "Holds offensive stereotypes about nine kinds of groups, with slurs. Not for training."
METRICS = ("crows_pairs", "crows_pairs_margin")

INFO = {
    "crows_pairs": TaskInfo(
        title="CrowS-Pairs: 1,508 pairs of a more and a less stereotyping sentence",
        form="Pair",
        sources=(
            Source(
                format="csv",
                columns=COLUMNS,
                files={
                    "crows_pairs/crows_pairs_anonymized.csv": "dfb36986ce0502abbaf7055b9176da3d08d48e07df1251991b5dfbcbceab9d0c"
                },
                url="https://github.com/nyu-mll/crows-pairs (data/crows_pairs_anonymized.csv)",
            ),
        ),
        licence="CC BY-SA 4.0",
        cite="Nangia et al. 2020, EMNLP, CrowS-Pairs: A Challenge Dataset, 2020.emnlp-main.154",
        language="en",
        groups=TYPES,
        metrics=METRICS,
        cluster="none",
        suites=("quick",),
        content_warning=WARNING,
        notes=(
            "Many pairs do not measure what they say (Blodgett et al. 2021); crows_pairs_revised mends part of them.",
            "No Hub source: nyu-mll/crows_pairs is a loading script, which datasets 4 and later refuses.",
            "One pair stands twice in the data set; it is kept, as in the published numbers.",
        ),
    ),
    "crows_pairs_revised": TaskInfo(
        title="CrowS-Pairs, revised: 1,467 pairs, corrected by Neveol et al. 2022 and Pikuliak et al. 2023",
        form="Pair",
        sources=(
            Source(
                format="csv",
                columns=COLUMNS,
                files={
                    "kinit_bias-methodology/crows_revised.csv": "b9d6b4a77135ee0376cc76037397616a75293b9af7eb5286a98a059d22693162"
                },
                url="https://github.com/kinit-sk/bias-methodology (data/crows_revised.csv)",
            ),
        ),
        licence="none stated (a derivative of CrowS-Pairs, CC BY-SA 4.0)",
        cite="Neveol et al. 2022, ACL, 2022.acl-long.583; Pikuliak et al. 2023, EACL, 2023.eacl-main.265",
        language="en",
        groups=(*TYPES, "other"),
        metrics=METRICS,
        cluster="none",
        content_warning=WARNING,
        notes=(
            "A data set of its own: other revisions (jannalu/crows_pairs_multilingual) differ from it and are not mixed with it.",
            "`Race-color` (one row) is read as race-color; the bias type `stereo` (one row, an error of the file) as no group.",
        ),
    ),
}


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Record]:
    """Turns a row into a pair; `sent_more` stays the more stereotyping side in stereo and antistereo rows alike.

    Args:
        rows: rows with the columns of the published file.
        task: "crows_pairs" or "crows_pairs_revised".

    Raises:
        FairbenchError: a direction or a bias type that the data set does not know.
    """
    groups = INFO[task].groups
    for n, row in enumerate(rows, 1):
        direction, group = row["stereo_antistereo"], row["bias_type"].lower()
        if direction not in ("stereo", "antistereo"):
            raise FairbenchError(
                f"Row {n} of {task}, column stereo_antistereo: found {direction!r}, wanted stereo or antistereo. "
                "Download the file again."
            )
        if group not in groups and not (task == "crows_pairs_revised" and group == "stereo"):
            raise FairbenchError(
                f"Row {n} of {task}, column bias_type: found {row['bias_type']!r}, wanted one of {', '.join(groups)}. "
                "Download the file again."
            )
        yield Pair(
            id=row[NUMBER],
            group=group if group in groups else None,
            more=row["sent_more"],
            less=row["sent_less"],
            meta={"direction": direction},
        )
