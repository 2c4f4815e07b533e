"""Winogender (Rudinger et al. 2018) as pairs: an occupation with the pronoun of its majority, and with the other one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.records import Pair, Record
from fairbench.scores import Source, TaskInfo

SENTENCES = ["sentid", "sentence"]
STATISTICS = ["occupation", "bergsma_pct_female", "bls_pct_female", "bls_year"]
HEADERS = (SENTENCES, STATISTICS)
OCCUPATION, PARTICIPANT = "0", "1"
"""Whom the pronoun refers to, as a sentence's id says it."""

BALANCED = (45.0, 55.0)
"""Percentages of women between which an occupation counts as having no majority."""

INFO = TaskInfo(
    title="Winogender as pairs: the pronoun of an occupation's majority against the other",
    form="Pair",
    sources=(
        # The two files have no column in common, so they are read as lines and taken apart here.
        Source(
            format="lines",
            columns=("text",),
            files={
                "winogender/occupations-stats.tsv": "3f7f37c16381a70571356982ea7fe613ac700ad04a6d3b19b9f2be18248df567",
                "winogender/all_sentences.tsv": "bd69da16bf228cb8df63fd0843aec2d8b5c36a7f21bf8c7b168bcc83932556c8",
            },
            url="https://github.com/rudinger/winogender-schemas (data/ at commit 1c7f8b4)",
        ),
    ),
    licence="MIT",
    cite="Rudinger, Naradowsky, Leonard and Van Durme 2018, NAACL, Gender Bias in Coreference Resolution, N18-2002",
    language="en",
    groups=("male", "female"),
    metrics=("crows_pairs", "crows_pairs_margin"),
    cluster="occupation",
    notes=(
        "Likelihoods of twins, not Winogender's own measure (whom a system resolves the pronoun to). Only sentences whose "
        "pronoun is the occupation's: one with a participant and one with `someone`, so two pairs an occupation.",
        "more = the pronoun of the gender that holds the majority of the occupation in the US labour statistics (2015, 2016); "
        "that gender is the group. Four occupations of 45 to 55 % women are left out: investigator, salesperson, appraiser, "
        "administrator.",
        "A model that prefers one pronoun everywhere is far above 50 in one group and far below it in the other. The interval "
        "keeps the groups' sizes and is not widened by that; the p, of sign flips over occupations, is then too large.",
        "Its authors: the schemas may show gender bias in a system, but can't prove that there is none.",
    ),
)


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Record]:
    """A pair for every two sentences that differ in the gender of a pronoun that refers to an occupation with a majority.

    Args:
        rows: the lines of two tab-separated files (`text`), the statistics and then the sentences, headers included.
        task: "winogender_pairs".

    Raises:
        FairbenchError: a header, a percentage or a sentence's id is not as published, or a twin or an occupation is missing.
    """
    share, sentences = _read(rows, task)
    for (occupation, participant, referent), twins in sentences.items():
        if referent != OCCUPATION:
            continue
        missing = [gender for gender in ("male", "female") if gender not in twins]
        if occupation not in share or missing:
            lacks = f"a {missing[0]} sentence with {participant}" if missing else "its percentage of women"
            raise FairbenchError(f"{task}: the occupation {occupation!r} lacks {lacks}. Download both files again.")
        if BALANCED[0] <= share[occupation] <= BALANCED[1]:
            continue
        majority, other = ("female", "male") if share[occupation] > BALANCED[1] else ("male", "female")
        yield Pair(
            id=f"{occupation}/{participant}",
            group=majority,
            cluster=occupation,
            # Draws keep the number of occupations of either majority: see the notes.
            stratum=majority,
            more=twins[majority],
            less=twins[other],
            meta={"occupation": occupation, "participant": participant, "percent_female": share[occupation]},
        )


def _read(rows: Iterable[Mapping[str, Any]], task: str) -> tuple[dict[str, float], dict[tuple[str, str, str], dict[str, str]]]:
    """Percentage of women by occupation, and sentences by (occupation, participant, referent) and gender of the pronoun."""
    share: dict[str, float] = {}
    sentences: dict[tuple[str, str, str], dict[str, str]] = {}
    header: list[str] = []
    for n, row in enumerate(rows, 1):
        fields = row["text"].split("\t")
        try:
            if fields in HEADERS:
                header = fields
            elif header == STATISTICS:
                share[fields[0]] = float(fields[2])
            elif header == SENTENCES:
                (name, text), (occupation, participant, referent, gender, _) = fields, fields[0].split(".")
                if referent not in (OCCUPATION, PARTICIPANT):
                    raise ValueError(name)
                sentences.setdefault((occupation, participant, referent), {})[gender] = text
            else:
                raise ValueError("no header")
        except (ValueError, IndexError) as error:
            raise FairbenchError(
                f"Line {n} of {task} is {row['text'][:80]!r}. Wanted are the lines of occupations-stats.tsv (occupation, two "
                "percentages, a year) and of all_sentences.tsv (an id such as baker.customer.0.male.txt, a sentence), each file "
                "with its header and fields parted by tabs. Download both files again."
            ) from error
    return share, sentences
