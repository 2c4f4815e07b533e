"""BBQ (Parrish et al. 2022): questions about two people, with and without a context that answers them.

The task says which option names the group that the stereotype is about (`target`). Two things tell it: the authors' key
`target_loc` (additional_metadata.csv; `target_label` on the Hub), or the tags of the answers beside the stereotyped groups.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.records import Choice, Record
from fairbench.scores import Source, TaskInfo

CONDITIONS, POLARITIES = ("ambig", "disambig"), ("neg", "nonneg")
UNKNOWN = "unknown"
"""The tag of the option that says that the context does not tell."""

FIRST_NAMED = 26
"""From this question on, gender identity and race speak of people by names alone; the authors score these apart, as "(names)"."""
WITH_NAMES = ("Gender_identity", "Race_ethnicity")
INTERSECTIONAL = ("Race_x_SES", "Race_x_gender")
"""Whom these are about is two groups at once, which the files do not say: only the authors' key does."""

KEY, KEY_FILE = "metadata", "bbq/additional_metadata.csv"


class Category(NamedTuple):
    """A category: its name in the data, its published number of questions, and the digest of its file where we have seen it."""

    name: str
    size: int
    sha256: str = ""


CATEGORIES = {
    "age": Category("Age", 3680, "46e805b3fc2d8cbd26eeb8e8430d98cf7b2dc9c83574ff3674e8ce4f0fca2a60"),
    "disability_status": Category("Disability_status", 1556, "375d40d9b71f056150264445ec189b13934998f3f49a1e311aa7578eb3b45e5f"),
    "gender_identity": Category("Gender_identity", 5672),
    "nationality": Category("Nationality", 3080, "a583e74666aec0341ded8aa3983e7cad694eb24de72c254d28b2df3035720090"),
    "physical_appearance": Category(
        "Physical_appearance", 1576, "e48d7e13508565f4801574e611043470c25c95a0a62af3699cb5ee7cb02608fb"
    ),
    "race_ethnicity": Category("Race_ethnicity", 6880),
    "race_x_ses": Category("Race_x_SES", 11160),
    "race_x_gender": Category("Race_x_gender", 15960),
    "religion": Category("Religion", 1200, "cb9555f9f3454a52cd2df85956b59bd7fcca5aa922c8527693b1164d08417616"),
    "ses": Category("SES", 6864),
    "sexual_orientation": Category("Sexual_orientation", 864, "2c71036b9e7584fe589c42aef32c1a42bc01b9a5e9b1b8704342630cdb08cefd"),
}
NAMES = {category.name.lower(): category.name for category in CATEGORIES.values()}

COLUMNS = (
    "category",
    "example_id",
    "question_index",
    "question_polarity",
    "context_condition",
    "context",
    "question",
    "ans0",
    "ans1",
    "ans2",
    "answer_info",
    "additional_metadata",
)

SYNONYMS = {
    **dict.fromkeys(("man", "men", "boy", "boys", "male"), "m"),
    **dict.fromkeys(("woman", "women", "girl", "girls", "female"), "f"),
    **dict.fromkeys(("transgenderwomen", "transgendermen", "transf", "transm"), "trans"),
}
"""Other words for one tag, without spaces and marks: a tag does not always stand among the groups as it is written in them."""


def _sources(slugs: Sequence[str]) -> tuple[Source, ...]:
    """The files with the authors' key, the files without it, and a copy on the Hub that has the key in its rows."""
    files = {f"bbq/{CATEGORIES[slug].name}.jsonl": CATEGORIES[slug].sha256 for slug in slugs}
    url = "https://github.com/nyu-mll/BBQ (data/*.jsonl and supplemental/additional_metadata.csv at commit bea11bd)"
    one = len(slugs) == 1
    return (
        # Files of two formats, so they are read as lines and taken apart here.
        Source(
            format="lines",
            columns=("text",),
            may_be_empty=("text",),
            files={KEY_FILE: "", **files},
            splits=(KEY, *slugs),
            url=url,
        ),
        Source(format="json", columns=(*COLUMNS, "label"), files=files, url=url),
        Source(
            format="parquet",
            columns=(*COLUMNS, "answer_label", "target_label"),
            may_be_empty=("target_label",),
            hub="Elfsong/BBQ",
            split=slugs[0] if one else None,
            splits=() if one else tuple(slugs),
            revision="56cd2dcb60a10288b4f1a9c8cff6cf120141c08a",
        ),
    )


def _groups(name: str) -> tuple[str, ...]:
    return (name, f"{name} (names)") if name in WITH_NAMES else (name,)


def _card(title: str, slugs: Sequence[str], suites: tuple[str, ...] = ()) -> TaskInfo:
    """The card of one category, or of all."""
    return TaskInfo(
        title=f"BBQ: {title}",
        form="Choice",
        sources=_sources(slugs),
        licence="CC BY 4.0",
        cite="Parrish et al. 2022, Findings of ACL, BBQ: A Hand-Built Bias Benchmark for QA, 2022.findings-acl.165",
        language="en",
        groups=tuple(group for slug in slugs for group in _groups(CATEGORIES[slug].name)),
        metrics=(
            "bbq_bias_ambiguous",
            "bbq_bias_disambiguated",
            "bbq_accuracy_ambiguous",
            "bbq_accuracy_disambiguated",
            "bbq_alignment_cost",
        ),
        cluster="question (template) of a category",
        suites=suites,
        content_warning="States attested stereotypes, many of them demeaning, about groups of people. Not for training.",
        notes=(
            "target = the option that names the stereotyped group, whatever the polarity. The authors' key holds the biased "
            "answer instead (the other person where the question is not negative) and is converted. Without the key: the one "
            "option whose tag, or else whose word, is among the stereotyped groups; where that is none or both, target is null. "
            "Such records stay in the accuracies and leave every bias score, which counts them.",
            "Race_x_SES and Race_x_gender have targets only with the key; the other categories also without it: Age, "
            "Disability_status, Nationality, Physical_appearance, Religion and Sexual_orientation in every record.",
            "The unknown option is the one with the tag unknown, whatever its wording. Groups are the categories; questions of "
            "gender identity and race that speak of people by name alone (from question 26 on) are a group of their own, as in "
            "the authors' analysis.",
            "About 25 questions a category carry a score, however many records: read its interval, which resamples them.",
            "No digest is known of the key and of the files of Gender_identity, Race_ethnicity, Race_x_SES, Race_x_gender and "
            "SES: these are not checked. They are read as the others and refused where their rows differ.",
        ),
    )


INFO = {
    # In no suite but `large`: its categories are tasks of their own, and nothing is to be asked twice.
    "bbq": _card("all 58,492 questions of eleven categories", tuple(CATEGORIES), suites=("large",)),
    **{f"bbq_{slug}": _card(f"{c.size:,} questions, category {c.name}", (slug,)) for slug, c in CATEGORIES.items()},
}


@dataclass(frozen=True)
class Item:
    """A row of any of the sources.

    Attributes:
        words, tags: of the three options the words that are put into the template, and what they stand for ("old", "unknown").
        stereotyped: the groups that the stereotype is about, as the row names them.
        keyed: the source has the authors' key.
        biased: the option that the key names, the answer that follows the stereotype; null where it names none.
    """

    category: str
    example: int
    question: int
    polarity: str
    condition: str
    prompt: str
    options: tuple[str, ...]
    words: tuple[str, ...]
    tags: tuple[str, ...]
    label: int
    stereotyped: tuple[str, ...]
    keyed: bool
    biased: int | None


Key = Mapping[tuple[str, int, int], int | None]
"""Of each (category, example, question) the option that the authors' key names."""


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Record]:
    """A question a row.

    Args:
        rows: rows of the published JSON files; the same as lines (`text`) behind those of additional_metadata.csv, with the part
            in `split`; or rows of Elfsong/BBQ.
        task: "bbq" or "bbq_<category>".

    Raises:
        FairbenchError: a row is not as published, or the key does not go with the rows.
    """
    wanted = {group for group in INFO[task].groups if not group.endswith(" (names)")}
    seen: Counter[str] = Counter()
    for n, item in enumerate(_items(rows, task), 1):
        if item.category not in wanted:
            raise _wrong(task, n, "category", item.category, ", ".join(sorted(wanted)))
        unknown = [place for place, tag in enumerate(item.tags) if tag.strip().lower() == UNKNOWN]
        if len(unknown) != 1:
            raise _wrong(task, n, "answer_info", f"{len(unknown)} options with the tag unknown", "exactly one")
        named, target = _named(item), _target(item, unknown[0])
        seen["keyed"] += item.keyed
        seen["found"] += item.biased is not None
        if item.keyed and item.polarity == "nonneg" and None not in (named, target):
            seen["same" if named == target else "other"] += 1
        yield _choice(item, unknown[0], target)
    _refuse_other_key(seen, task)


def _choice(item: Item, unknown: int, target: int | None) -> Choice:
    aligned = None
    if target is not None and item.label != unknown:
        aligned = "aligned" if (item.label == target) == (item.polarity == "neg") else "non-aligned"
    by_name = item.category in WITH_NAMES and item.question >= FIRST_NAMED
    return Choice(
        id=f"{item.category}/{item.question}/{item.example}",
        group=_groups(item.category)[by_name],
        cluster=f"{item.category}/{item.question}",
        prompt=item.prompt,
        options=item.options,
        label=item.label,
        condition=item.condition,
        polarity=item.polarity,
        unknown=unknown,
        target=target,
        meta={
            "category": item.category,
            "question": item.question,
            "alignment": aligned,
            "stereotyped": ", ".join(item.stereotyped) or None,
            "target_by": None if target is None else "key" if item.keyed else "tags",
        },
    )


def _target(item: Item, unknown: int) -> int | None:
    """The option that names the stereotyped group; the key's is turned round where the question is not negative."""
    if not item.keyed:
        return _named(item)
    if item.biased is None or item.biased == unknown:
        return None
    return item.biased if item.polarity == "neg" else ({0, 1, 2} - {unknown, item.biased}).pop()


def _named(item: Item) -> int | None:
    """The only option whose tag, or else whose word, is among the stereotyped groups; null where that is none or several."""
    if item.category in INTERSECTIONAL:
        return None
    groups = {_plain(group) for group in item.stereotyped}
    for names in (item.tags, item.words):
        found = [place for place, name in enumerate(names) if _plain(name) in groups]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _plain(name: str) -> str:
    """A tag without capitals, spaces and marks, and without the gender before a race ("F-Black").

    Example:
        >>> [_plain(name) for name in ("low SES", "F-Black", "woman", "trans_F", "nonTrans_M")]
        ['lowses', 'black', 'f', 'trans', 'nontransm']
    """
    bare = re.sub(r"[^a-z0-9]", "", re.sub(r"^[mf]-", "", name.strip().lower()))
    return SYNONYMS.get(bare, bare)


def _refuse_other_key(seen: Counter[str], task: str) -> None:
    """A key that says something else than the biased answer, or speaks of other rows, would turn scores round in silence."""
    if seen["keyed"] and not seen["found"]:
        raise FairbenchError(
            f"The key of {task} (target_loc of {KEY_FILE}, or target_label) names an option in none of {seen['keyed']} rows. "
            "Wanted is 0, 1 or 2 for each category, question_index and example_id. Download the file again, or remove it: "
            "without it the tags of the answers tell the target."
        )
    if seen["other"] > seen["same"]:
        raise FairbenchError(
            f"The key of {task} (target_loc of {KEY_FILE}, or target_label) names the stereotyped group itself in "
            f"{seen['other']} of {seen['other'] + seen['same']} questions that are not negative. Wanted is the biased answer, "
            "which is the other person there, as in the authors' file. Take their file, or remove this one: without it the tags "
            "of the answers tell the target."
        )


def _items(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Item]:
    """The rows of whichever source, in one shape."""
    lines: list[str] = []
    key: Key | None = None
    for n, row in enumerate(rows, 1):
        if "text" not in row:
            yield _item(row, task, n, None)
        elif row.get("split") == KEY:
            lines.append(row["text"])
        elif (row["text"] or "").strip():
            key = _key(lines, task) if key is None else key
            yield _item(_parsed(row["text"], task, n), task, n, key)


def _parsed(line: str, task: str, n: int) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise _wrong(task, n, "text", line[:60], f"a JSON object ({error.msg})") from None
    if not isinstance(row, dict):
        raise _wrong(task, n, "text", line[:60], "a JSON object")
    return row


def _item(row: Mapping[str, Any], task: str, n: int, key: Key | None) -> Item:
    """One row of the published files, with the key beside it where there is one, or of the Hub's copy, which holds it."""
    label = "answer_label" if "answer_label" in row else "label"
    for column in (*COLUMNS, label):
        if row.get(column) is None:
            raise _wrong(task, n, column, None, "a value in every row")
    name = str(row["category"]).strip()
    if name.lower() not in NAMES:
        raise _wrong(task, n, "category", name, "one of " + ", ".join(NAMES.values()) + "." + did_you_mean(name, NAMES.values()))
    for column, allowed in (("question_polarity", POLARITIES), ("context_condition", CONDITIONS)):
        if row[column] not in allowed:
            raise _wrong(task, n, column, row[column], " or ".join(allowed))
    right = _option(row[label])
    if right is None:
        raise _wrong(task, n, label, row[label], "0, 1 or 2")
    category, example, question = NAMES[name.lower()], _whole(row, "example_id", task, n), _whole(row, "question_index", task, n)
    info = [row["answer_info"].get(f"ans{place}") or ("", "") for place in range(3)]
    keyed = key is not None or "target_label" in row
    return Item(
        category=category,
        example=example,
        question=question,
        polarity=row["question_polarity"],
        condition=row["context_condition"],
        prompt=f"{str(row['context']).strip()} {str(row['question']).strip()}",
        options=tuple(str(row[f"ans{place}"]) for place in range(3)),
        words=tuple(str(pair[0]) for pair in info),
        tags=tuple(str(pair[-1]) for pair in info),
        label=right,
        stereotyped=tuple(row["additional_metadata"].get("stereotyped_groups") or ()),
        keyed=keyed,
        biased=_option(row.get("target_label")) if key is None else key.get((category.lower(), example, question)),
    )


def _key(lines: Sequence[str], task: str) -> Key:
    """The authors' key from the lines of its file. Where it names two options for one row it names none."""
    found: dict[tuple[str, int, int], set[int | None]] = {}
    reader = csv.DictReader(lines)
    question = "question_index" if "question_index" in (reader.fieldnames or ()) else "question_id"
    for n, row in enumerate(reader, 1):
        missing = [name for name in ("category", "example_id", question, "target_loc") if row.get(name) is None]
        if missing:
            raise FairbenchError(
                f"{KEY_FILE} of {task} has no {missing[0]} in row {n}. Wanted are the columns category, question_index, "
                "example_id and target_loc. Download it again, or remove it: without it the tags of the answers tell the target."
            )
        place = (row["category"].strip().lower(), _whole(row, "example_id", KEY_FILE, n), _whole(row, question, KEY_FILE, n))
        found.setdefault(place, set()).add(_option(row["target_loc"]))
    return {place: named.pop() if len(named) == 1 else None for place, named in found.items()}


def _option(value: Any) -> int | None:
    """The index of an option, also as text or 1.0; null for anything else (R's NA, the key's x where it names none)."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if number in (0, 1, 2) else None


def _whole(row: Mapping[str, Any], column: str, where: str, n: int) -> int:
    try:
        return int(row[column])
    except (TypeError, ValueError):
        raise _wrong(where, n, column, row[column], "a whole number") from None


def _wrong(where: str, n: int, column: str, found: Any, wanted: str) -> FairbenchError:
    return FairbenchError(f"Row {n} of {where}, column {column}: found {found!r}, wanted {wanted}. Download the files again.")
