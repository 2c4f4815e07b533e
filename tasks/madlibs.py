"""Madlibs (Dixon et al. 2018): 76,564 made sentences, toxic or not, each template with every one of 50 identity terms."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.records import Labelled
from fairbench.scores import Source, TaskInfo

LABELS = ("not toxic", "toxic")
CODES = {"NOT_BAD": 0, "BAD": 1}
TERMS = (
    "african",
    "african american",
    "american",
    "asian",
    "bisexual",
    "black",
    "blind",
    "buddhist",
    "canadian",
    "catholic",
    "chinese",
    "christian",
    "deaf",
    "elderly",
    "european",
    "female",
    "gay",
    "heterosexual",
    "hispanic",
    "homosexual",
    "indian",
    "japanese",
    "jewish",
    "latina",
    "latino",
    "latinx",
    "lesbian",
    "lgbt",
    "lgbtq",
    "male",
    "mexican",
    "middle aged",
    "middle eastern",
    "millenial",
    "muslim",
    "nonbinary",
    "old",
    "older",
    "paralyzed",
    "protestant",
    "queer",
    "sikh",
    "straight",
    "taoist",
    "teenage",
    "trans",
    "transgender",
    "white",
    "young",
    "younger",
)
"""As the file spells them."""

PATTERNS = {
    "name_adj": re.compile(r"(\S+ is a \S+ )(.+)()"),
    "being_adj": re.compile(r"(Being )(.+)( is \S+\.)"),
    "you_are_adj": re.compile(r"(You are a \S+ )(.+)()"),
    "you_occupation": re.compile(r"(You are a \S+ )(.+)()"),
    "verb_adj": re.compile(r"(\S+ )(.+)()"),
    "am_hate_adj": re.compile(r"(i (?:am|hate) )(.+)()"),
}
"""Kind of template, as the file names it -> what stands before the slot, in it and after it."""
OCCUPATION = "you_occupation"
"""The kind whose slot holds an occupation, which is no identity term."""
SLOT = "[TERM]"

INFO = TaskInfo(
    title="Madlibs: 76,564 made sentences about 50 identity terms, half of them toxic",
    form="Labelled",
    sources=(
        Source(
            format="csv",
            columns=("Text", "Label", "Template"),
            files={"madlibs/bias_madlibs_77k.csv.gz": "15e8e46a5bf9a6be4a72bc169e0ee53cda3e67f62170dad6fa4cdb5bcba845a1"},
            url="https://github.com/conversationai/unintended-ml-bias-analysis at commit 9c7d91a",
        ),
    ),
    licence="CC BY 4.0",
    cite="Dixon et al. 2018, AIES, Measuring and mitigating unintended bias, 10.1145/3278721.3278729",
    language="en",
    groups=TERMS,
    metrics=(
        "accuracy",
        "roc_auc",
        "fped",
        "fned",
        "fpr_gap",
        "fnr_gap",
        "subgroup_auc",
        "bpsn_auc",
        "bnsp_auc",
        "counterfactual_token_fairness",
    ),
    probe_options={"train_on": "civil_comments"},
    cluster="template: the sentence without its term",
    suites=("large",),
    content_warning="Insults and threats against groups, made from templates.",
    variants=True,
    labels=LABELS,
    notes=(
        "A template holds everything but the term, the adjective too, so that it decides the label: its sentences differ in the "
        "term alone and move together in every resample.",
        "Every sentence is a counterfactual of the first of its template in the file, which is shuffled: the original's term is "
        "one at random, so that the mean distance is that of two terms.",
        "864 sentences name an occupation in the term's place. They have no group and no counterfactual, and count among all.",
        "Records come template by template, in the order of the templates' sha256: --limit 5000 asks about 100 whole templates, "
        "a sample of them with every term.",
        "There is no training split here: the classifier learns from civil_comments unless --train-on names something else.",
    ),
)


@dataclass(frozen=True)
class _Sentence:
    """A row of the file: its place, its text, its label and the identity term in it, null for an occupation."""

    number: int
    text: str
    label: int
    term: str | None


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Labelled]:
    """A sentence a row, in the order of templates.

    Args:
        rows: rows with `Text`, `Label` (BAD or NOT_BAD) and `Template` (the kind of template).
        task: "madlibs".

    Raises:
        FairbenchError: a label or a kind that is not known, a sentence that is not of its kind, or a term that is none of the 50.
    """
    templates: dict[str, list[_Sentence]] = {}
    for n, row in enumerate(rows, 1):
        template, sentence = _parsed(n, row, task)
        templates.setdefault(template, []).append(sentence)
    for template in sorted(templates, key=lambda name: hashlib.sha256(name.encode()).digest()):
        sentences = templates[template]
        original = next((str(sentence.number) for sentence in sentences if sentence.term), None)
        for sentence in sentences:
            name = str(sentence.number)
            yield Labelled(
                id=name,
                group=sentence.term,
                cluster=template,
                source=original if sentence.term and name != original else None,
                text=sentence.text,
                label=sentence.label,
                groups=(sentence.term,) if sentence.term else (),
                meta={"class": LABELS[sentence.label]},
            )


def _parsed(n: int, row: Mapping[str, Any], task: str) -> tuple[str, _Sentence]:
    """A row as its template, the sentence with the slot in the term's place, and what is in it."""
    text, kind, where = row["Text"], row["Template"], f"Row {n} of {task}"
    label, pattern = CODES.get(row["Label"]), PATTERNS.get(kind)
    if label is None or pattern is None:
        column, found, wanted = ("Label", row["Label"], CODES) if label is None else ("Template", kind, PATTERNS)
        raise FairbenchError(f"{where}, column {column}: found {found!r}, wanted one of {', '.join(wanted)}.")
    parts = pattern.fullmatch(text)
    if parts is None:
        raise FairbenchError(f"{where}: found {text!r}, wanted a sentence of the kind {kind}. Download the file again.")
    before, term, after = parts.groups()
    if kind != OCCUPATION and term not in TERMS:
        raise FairbenchError(f"{where}: found the term {term!r}, wanted one of the {len(TERMS)}: {', '.join(TERMS)}.")
    # The label belongs to the template: where a file of somebody's own gave one sentence two, groups would vary with it.
    template = f"{before}{SLOT}{after} ({row['Label']})"
    return template, _Sentence(n, text, label, None if kind == OCCUPATION else term)
