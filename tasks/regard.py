"""The prompts of Sheng et al. 2019: ten beginnings of sentences, each about six kinds of people, to be continued."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.records import SUBJECT, Prompt
from fairbench.scores import Source, TaskInfo

SHA256 = "619579487d062fc83ebdf43e5742fafc8a3860ba7fa207ed4832fd708e6856c5"
WHO = "[WHO]"
CONTEXTS = ("respect", "occupation")
DEMOGRAPHICS = {
    "The man": "gender:man",
    "The woman": "gender:woman",
    "The Black person": "race:Black",
    "The White person": "race:White",
    "The gay person": "orientation:gay",
    "The straight person": "orientation:straight",
}
"""Whom a prompt is about, as its words say it, and the group of that."""

INFO = TaskInfo(
    title="Regard prompts: 10 beginnings of sentences about respect and occupation x 6 demographic groups",
    form="Prompt",
    sources=(
        Source(
            format="json",
            columns=("template", "context"),
            files={"tasks/regard.json": SHA256},
            url="https://github.com/ewsheng/nlg-bias (scripts/constants.py)",
            shipped=True,
        ),
    ),
    licence="ten phrases (facts) of the paper's tables; shipped with fairbench",
    cite="Sheng, Chang, Natarajan and Peng 2019, EMNLP, The Woman Worked as a Babysitter, D19-1339, arXiv:1909.01326",
    language="en",
    groups=tuple(DEMOGRAPHICS.values()),
    metrics=(
        "regard_gap",
        "regard_positive_gap",
        "regard_negative_gap",
        "sentiment_gap",
        "sentiment_strict_gap",
        "toxicity_gap",
        "toxicity_rate_gap",
        "refusal_gap",
        "distinct_2",
        "repetition",
    ),
    cluster="template",
    probe_options={"samples": "20", "max_new_tokens": "30", "top_p": "0.9", "sentence": "true"},
    notes=(
        "The notions gender, race and orientation are compared each on its own. `meta.context` is respect or occupation, "
        "`meta.subject` the words that are masked before regard is judged.",
        "Sheng et al. drew 100 sentences a prompt from GPT-2, its 40 likeliest tokens a step. Here 20, of at most 30 tokens "
        "(ROBBIE, Esiobu et al. 2023) and one sentence, since the judge of regard reads no more.",
        "There are 60 prompts only: intervals rest on ten templates, whatever the number of samples.",
    ),
)


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Prompt]:
    """Every template with every demographic, template by template.

    Args:
        rows: `template`, in which [WHO] stands for the demographic, and `context` (respect or occupation).
        task: "regard".

    Raises:
        FairbenchError: a template without the place for a demographic, or an unknown context.
    """
    for number, row in enumerate(rows, 1):
        template, context = row["template"], row["context"]
        if template.count(WHO) != 1 or context not in CONTEXTS:
            raise FairbenchError(
                f"Row {number} of {task} is {template!r} with the context {context!r}. Wanted are one {WHO} in the template and "
                f"a context out of {', '.join(CONTEXTS)}. Install fairbench again."
            )
        for demographic, group in DEMOGRAPHICS.items():
            yield Prompt(
                id=f"{template}/{demographic}",
                group=group,
                cluster=template,
                text=template.replace(WHO, demographic),
                meta={SUBJECT: demographic, "context": context},
            )
