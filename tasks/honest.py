"""HONEST (Nozza et al. 2021, 2022): sentences about people whose last words a model writes, to be looked up in a lexicon."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.records import SUBJECT, Prompt
from fairbench.scores import Source, TaskInfo

COLUMNS = ("template_masked", "raw", "identity", "number", "category", "type")
HERE, WHO = "[M]", "[I]"
"""Where the completion goes, and in the bare template where the identity does."""

# The Hub keeps a parquet copy of the authors' loading script under this branch, which no commit of it pins.
CONVERTED = "refs/convert/parquet"
SHA256 = {
    "binary": "31cc5a89729638975eaf0de3457ed87c6c7da67ef9058119f53d931f8e26727c",
    "queer_nonqueer": "29fb950897942d26b99d1485a18739c8a22ceb9326a548fd14b17bc335191100",
}
BINARY = ("female", "male")
QUEER = (
    "queer",
    "queer_gender",
    "queer_gender_pronoun",
    "queer_gender_xenogender",
    "queer_orientation",
    "nonqueer",
    "nonqueer_gender",
    "nonqueer_orientation",
)


def _card(title: str, folder: str, groups: tuple[str, ...], cite: str, notes: tuple[str, ...]) -> TaskInfo:
    """The card of one of the two English sets."""
    return TaskInfo(
        title=f"HONEST, {title}",
        form="Prompt",
        sources=(
            Source(
                format="tsv",
                columns=COLUMNS,
                files={f"honest/{folder}/en_template.tsv": SHA256[folder]},
                url="https://github.com/MilaNLProc/honest (resources/ at commit 6efc781)",
            ),
            Source(
                format="parquet",
                columns=COLUMNS,
                hub="MilaNLProc/honest",
                config=f"en_{folder}",
                split="honest",
                revision=CONVERTED,
            ),
        ),
        licence="MIT",
        cite=cite,
        language="en",
        groups=groups,
        metrics=("honest", "honest_gap", "refusal_gap"),
        cluster="template: the sentence without the identity",
        probe_options={"samples": "5", "max_new_tokens": "10", "top_p": "0.9", "sentence": "true"},
        content_warning="Completions are looked up in a lexicon of slurs and insults.",
        notes=(
            "The prompt is the sentence up to the place of the completion. Published scores are of the K likeliest single words "
            "of a masked model; here a causal model writes 5 completions of at most 10 tokens, to the end of its sentence, and "
            "one is hurtful if any of its words is. More words, more hits: scores of other lengths are not comparable.",
            *notes,
        ),
    )


INFO = {
    "honest": _card(
        "binary: 810 sentences about women and men",
        "binary",
        BINARY,
        "Nozza, Bianchi and Hovy 2021, NAACL, HONEST, 2021.naacl-main.191",
        (
            "810 rows hold 724 different sentences. 44 of them, about `the child`, `the young` and `the youngs`, stand in both "
            "groups: part of either group is about no gender, and a gap is that much smaller. Kept, as published; so are those "
            "that stand in one group twice (`the girls`, `the children`).",
        ),
    ),
    "honest_queer": _card(
        "queer and non-queer: 705 sentences about 47 identities of gender and orientation",
        "queer_nonqueer",
        QUEER,
        "Nozza, Bianchi, Lauscher and Hovy 2022, LT-EDI, 2022.ltedi-1.4",
        (
            "group = the category of the identity; five are queer, three not. Pronouns stand with a singular verb (`They has`).",
            "queer_gender_xenogender and nonqueer hold one identity each: their rates are those of 15 sentences.",
        ),
    ),
}


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Prompt]:
    """A prompt a row.

    Args:
        rows: `template_masked` (the sentence with [M] where the completion goes), `raw` (the same with [I] for the identity),
            `identity`, `number`, `category`, `type`.
        task: "honest" or "honest_queer".

    Raises:
        FairbenchError: the completion does not end the sentence, the two forms of a sentence differ, or an unknown category.
    """
    for n, row in enumerate(rows, 1):
        if row["category"] not in INFO[task].groups:
            raise FairbenchError(
                f"Row {n} of {task}, column category: found {row['category']!r}, wanted one of {', '.join(INFO[task].groups)}. "
                "Download the file again."
            )
        text, subject = _read(row["template_masked"], row["raw"], f"Row {n} of {task}")
        yield Prompt(
            id=str(n),
            group=row["category"],
            cluster=row["raw"],
            text=text,
            meta={SUBJECT: subject, "identity": row["identity"], "number": row["number"], "type": row["type"]},
        )


def _read(masked: str, raw: str, where: str) -> tuple[str, str]:
    """What stands before the completion, and those of its words that name the identity (with the article that it may have)."""
    text, _, end = masked.partition(HERE)
    who, _, rest = raw.partition(HERE)[0].partition(WHO)
    subject = text.removesuffix(rest)
    if HERE not in masked or WHO not in raw or end.strip(" .") or who or not subject or subject + rest != text:
        raise FairbenchError(
            f"{where}: found the sentence {masked!r} of the template {raw!r}. Wanted are a sentence that ends with {HERE}, and "
            f"the same with {WHO} at the place of its first words. Download the file again."
        )
    return text.rstrip(), subject
