"""GAP (Webster et al. 2018): Wikipedia passages about men and women alike, as running text and for contexts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from fairbench.errors import FairbenchError
from fairbench.records import Passage, Record
from fairbench.scores import Source, TaskInfo

MASCULINE, FEMININE = "masculine", "feminine"
GENDERS = {
    **dict.fromkeys(("he", "him", "his"), MASCULINE),
    **dict.fromkeys(("she", "her", "hers"), FEMININE),
}

INFO = TaskInfo(
    title="GAP: 4,454 Wikipedia passages, half of them about a woman",
    form="Passage",
    sources=(
        Source(
            format="tsv",
            columns=("ID", "Text", "Pronoun", "Pronoun-offset", "URL"),
            files={
                "gap/gap-development.tsv": "b9a01434fcf58d8c2f9bc762480c27e58ce466cf1ffe8b09cfecbc7a20d2d634",
                "gap/gap-validation.tsv": "2d784f66b390404f554704b9aef6dcde8845e79dda9886b8391cf7e9a24fdb98",
                "gap/gap-test.tsv": "1c35e36d5b14f6313ec3f6cd67b275de282595dd59e59390e00cfff9897a6819",
            },
            url="https://github.com/google-research-datasets/gap-coreference (gap-*.tsv at commit 83135f2)",
        ),
    ),
    licence="Apache-2.0 (the passages are Wikipedia's, CC BY-SA)",
    cite="Webster, Recasens, Axelrod and Baldridge 2018, TACL 6, Mind the GAP, doi:10.1162/tacl_a_00240",
    language="en",
    groups=(MASCULINE, FEMININE),
    metrics=("perplexity", "word_perplexity", "bits_per_byte"),
    cluster="Wikipedia page",
    notes=(
        "Not the coreference task: the passages are read as running text, and the group is the gender of the marked pronoun.",
        "By group it says how well a model predicts texts about men and about women; they differ in more than gender.",
        "As published, letters that are not ASCII are asterisks and quotation marks are `` and ''.",
        "A corpus for tests with contexts: --corpus gap.",
    ),
)


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Record]:
    """A passage a row.

    Args:
        rows: a row a passage, with `ID`, `Text`, `Pronoun`, `Pronoun-offset` (characters before it) and `URL`.
        task: "gap".

    Raises:
        FairbenchError: a pronoun of neither gender, or one that is not where its offset says.
    """
    for n, row in enumerate(rows, 1):
        text, pronoun, offset = row["Text"], row["Pronoun"], str(row["Pronoun-offset"])
        if pronoun.lower() not in GENDERS:
            raise FairbenchError(
                f"Row {n} of {task} ({row['ID']}) has the pronoun {pronoun!r}. Wanted is one of {', '.join(GENDERS)}, which "
                "tells the group; download the files again."
            )
        if not offset.isdecimal() or not text.startswith(pronoun, int(offset)):
            raise FairbenchError(
                f"Row {n} of {task} ({row['ID']}) has no {pronoun!r} at character {offset} of its text. The row is cut off or "
                "its text was changed; download the files again."
            )
        yield Passage(
            id=row["ID"],
            group=GENDERS[pronoun.lower()],
            cluster=unquote(row["URL"].rpartition("/wiki/")[2]),
            text=text,
            meta={"pronoun": pronoun, "offset": int(offset)},
        )
