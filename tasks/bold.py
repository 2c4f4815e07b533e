"""BOLD (Dhamala et al. 2021): beginnings of Wikipedia sentences about people, professions and beliefs, to be continued."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from fairbench.errors import FairbenchError
from fairbench.records import SUBJECT, UNASKED, Prompt, Scalar
from fairbench.scores import Source, TaskInfo

EMPTY = "the prompt is empty"
SENTIMENT = ("sentiment_gap", "sentiment_strict_gap", "sentiment_positive_gap", "sentiment_negative_gap")
TOXICITY = ("toxicity_gap", "toxicity_rate_gap")
REGARD = ("regard_gap", "regard_negative_gap")
POLARITY = (
    "gender_polarity_male_gap",
    "gender_polarity_female_gap",
    "gender_polarity_ratio_min",
    "gender_polarity_ratio_mean",
)
OF_ALL = ("refusal_gap", "distinct_2", "repetition")

# The last commit of the main branch; no data file of it changed later.
REVISION = "be5f5a99b386a7c4fa7ea905685ee2d2c98301eb"
SHA256 = {
    "gender": "a863aaf2492e3c911c39f435005abee2eba5f5edabe836e97de110cd83273054",
    "political_ideology": "a83ea7cc272971b618231e13bcb5c1d1be5b208c92135c4ffde85be31f8ab4c6",
    "profession": "5508012069f20419559417e64d8bb2b8d864ebf8afedd21e5ca564393c291794",
    "race": "200337f6c43b09671e580b1df6aea2cdc0196ee02779260e9881da07029e1cb6",
    "religious_ideology": "633830ea87d569e5476895a93f68b8f686cb0dcae6d67a1091a9247c5c4c931d",
}


class _Domain(NamedTuple):
    """What the five cards differ in."""

    of: str
    prompts: int
    groups: tuple[str, ...]
    metrics: tuple[str, ...]
    notes: tuple[str, ...] = ()


DOMAINS = {
    "gender": _Domain(
        "American actors and actresses",
        3204,
        ("American_actors", "American_actresses"),
        (*SENTIMENT, *TOXICITY, *REGARD),
        (
            "Gender polarity is not compared here: a text about an actress that says `she` shows no bias. The domain profession "
            "and the task occupation_prompts are for that.",
            "8 of the 3,204 prompts do not hold the person's name as the entity spells it: no `subject`.",
        ),
    ),
    "profession": _Domain(
        "18 kinds of profession",
        10195,
        (
            "metalworking_occupations",
            "sewing_occupations",
            "healthcare_occupations",
            "computer_occupations",
            "film_and_television_occupations",
            "artistic_occupations",
            "scientific_occupations",
            "entertainer_occupations",
            "dance_occupations",
            "nursing_specialties",
            "writing_occupations",
            "professional_driver_types",
            "engineering_branches",
            "mental_health_occupations",
            "theatre_personnel",
            "corporate_titles",
            "industrial_occupations",
            "railway_industry_occupations",
        ),
        (*POLARITY, *SENTIMENT, *TOXICITY),
        (
            "The gender disparity of role-reversal distillation (Gupta et al. 2022) is gender_polarity_ratio_min and _mean of "
            "this task with --samples 10; there the prompt was judged with its continuation.",
        ),
    ),
    "race": _Domain(
        "Americans of four origins",
        7657,
        ("Asian_Americans", "African_Americans", "European_Americans", "Hispanic_and_Latino_Americans"),
        (*SENTIMENT, *TOXICITY, *REGARD),
        ("175 of the 7,657 prompts do not hold the person's name as the entity spells it: no `subject`.",),
    ),
    "religious_ideology": _Domain(
        "7 religious ideologies",
        639,
        ("judaism", "christianity", "islam", "hinduism", "buddhism", "sikhism", "atheism"),
        (*SENTIMENT, *TOXICITY),
        (
            "Two of the 639 prompts are empty; they are records all the same, left out of every score and counted there.",
            "All 29 prompts of atheism are from one page: a resample of pages holds it whole, or not at all and is dropped.",
        ),
    ),
    "political_ideology": _Domain(
        "12 political ideologies",
        1984,
        (
            "left-wing",
            "right-wing",
            "communism",
            "socialism",
            "democracy",
            "liberalism",
            "populism",
            "conservatism",
            "nationalism",
            "anarchism",
            "capitalism",
            "fascism",
        ),
        (*SENTIMENT, *TOXICITY),
        ("Three of the 1,984 prompts are empty; they are records all the same, left out of every score and counted there.",),
    ),
}


def _card(name: str, domain: _Domain) -> TaskInfo:
    """The card of one domain."""
    return TaskInfo(
        title=f"BOLD {name}: {domain.prompts:,} beginnings of sentences about {domain.of}",
        form="Prompt",
        sources=(
            Source(
                format="document",
                columns=("text",),
                files={f"bold/prompts/{name}_prompt.json": SHA256[name]},
                url="https://github.com/amazon-science/bold (prompts/ at commit 3ad652c)",
            ),
            Source(
                format="json",
                columns=("domain", "name", "category", "prompts"),
                hub="AmazonScience/bold",
                split="train",
                revision=REVISION,
            ),
        ),
        licence="CC BY-SA 4.0",
        cite="Dhamala et al. 2021, FAccT, BOLD, 10.1145/3442188.3445924",
        language="en",
        groups=domain.groups,
        metrics=(*domain.metrics, *OF_ALL),
        cluster="entity: the Wikipedia page that the sentences are from",
        probe_options={"samples": "1", "max_new_tokens": "100", "top_p": "0.9"},
        content_warning="Sentences about living people, which a model may continue with anything.",
        notes=(
            "group = BOLD's category. `meta.subject` = the entity's name where it stands in the prompt, in whatever case.",
            "The prompts end with a space, as published. The probe does not give it to the model unless told so (strip_prompt).",
            "One continuation of 100 tokens from the nucleus of .9, as ROBBIE (Esiobu et al. 2023) asks OPT; there GPT-2 has "
            "top_k 40 and temperature .7. HELM takes 20 tokens.",
            "The sentences are cut out of Wikipedia by rule: some are captions, lists or end within a name.",
            *domain.notes,
        ),
    )


INFO = {f"bold_{name}": _card(name, domain) for name, domain in DOMAINS.items()}


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Prompt]:
    """A record for each prompt, in the order of the files.

    Args:
        rows: one row, `text` = the published JSON file, {group: {entity: [prompt]}}; or the Hub's rows, one for each entity, of
            all domains, with `domain`, `name` (the entity), `category` (the group) and `prompts`.
        task: "bold_gender" or another domain.

    Raises:
        FairbenchError: the file is not of that shape, or names a group that BOLD's domain has not.
    """
    numbers: Counter[tuple[str, str]] = Counter()
    for group, entity, prompt in _prompts(rows, task):
        if group not in INFO[task].groups:
            raise FairbenchError(
                f"The data of {task} hold the group {group!r}; wanted is one of {', '.join(INFO[task].groups)}. Download the "
                "file again, or check that it is the one of this domain."
            )
        numbers[group, entity] += 1
        yield _record(group, entity, prompt, numbers[group, entity])


def _record(group: str, entity: str, prompt: str, number: int) -> Prompt:
    """A prompt with the words in it that name whom it is about."""
    found = re.search(rf"(?<!\w){re.escape(_name(entity))}(?!\w)", prompt, re.IGNORECASE)
    meta: dict[str, Scalar] = {SUBJECT: found[0] if found else None, "entity": entity}
    return Prompt(
        id=f"{group}/{entity}/{number}",
        group=group,
        cluster=entity,
        text=prompt,
        meta=meta if prompt.strip() else {**meta, UNASKED: EMPTY},
    )


def _name(entity: str) -> str:
    """An entity as a text spells it: pages are named with underscores, and what tells two of one name apart in brackets.

    Example:
        >>> _name("Ada_Lovelace_(ship)")
        'Ada Lovelace'
    """
    return re.sub(r"_\([^)]*\)$", "", entity).replace("_", " ")


def _prompts(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[tuple[str, str, str]]:
    """Group, entity and prompt, out of either shape."""
    domain = task.removeprefix("bold_")
    for row in rows:
        if "prompts" not in row:
            yield from _of_file(row["text"], task)
        elif row["domain"] == domain:
            yield from ((row["category"], row["name"], prompt) for prompt in row["prompts"])


def _of_file(text: str, task: str) -> Iterator[tuple[str, str, str]]:
    """The prompts of a published file."""
    try:
        groups = json.loads(text)
    except json.JSONDecodeError as error:
        raise FairbenchError(f"The file of {task} is not JSON: {error}. Download it again.") from error
    for group, entities in (groups if isinstance(groups, dict) else {"": None}).items():
        for entity, prompts in (entities if isinstance(entities, dict) else {"": None}).items():
            if not isinstance(prompts, list) or not all(isinstance(prompt, str) for prompt in prompts):
                at = f", group {group!r}" if group else ""
                raise FairbenchError(
                    f"The file of {task}{at} is not as published. Wanted is JSON of the shape {{group: {{entity: [prompt]}}}}. "
                    "Download it again."
                )
            yield from ((group, entity, prompt) for prompt in prompts)
