"""Bias in Bios (De-Arteaga et al. 2019): which profession has the person of a biography, from all but its first sentence.

`bias_in_bios` is the published set of 28 professions. `bias_in_bios_sample` is what of it others have put into plain files: the
four professions with at least 200 biographies there. It is another data set, and its scores stand beside no published ones.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.records import SPLIT, UNASKED, Labelled
from fairbench.scores import Source, TaskInfo
from fairbench.splits import part_of

PROFESSIONS = (
    "accountant",
    "architect",
    "attorney",
    "chiropractor",
    "comedian",
    "composer",
    "dentist",
    "dietitian",
    "dj",
    "filmmaker",
    "interior_designer",
    "journalist",
    "model",
    "nurse",
    "painter",
    "paralegal",
    "pastor",
    "personal_trainer",
    "photographer",
    "physician",
    "poet",
    "professor",
    "psychologist",
    "rapper",
    "software_engineer",
    "surgeon",
    "teacher",
    "yoga_teacher",
)
"""In the order of the Hub's numbers, as its data set card lists them."""
SAMPLED = ("accountant", "nurse", "physician", "surgeon")
GENDERS = ("male", "female")
"""In the order of the Hub's numbers."""

SPLITS = {"train": "train", "dev": "validation", "test": "test"}
SHARES = {"train": 0.65, "validation": 0.10, "test": 0.25}
"""Of the sample, which has no splits: those of the published set."""

AGAIN = "the same text stands in another of the files"
COLUMNS = ("hard_text", "profession", "gender")
# The last commit of the data set's card; the parquet files are older.
REVISION = "052f01de644dba841176e0449528b41f27d94a61"
SHA256 = {
    "Bios_samples/accountant_complete.csv": "1418f581e20a57a37e62d5c77945d9ed86709ce865c1f61abb90019de3499a98",
    "Bios_samples/accountant.csv": "fccf501952ad53afd5153a91ba0928d2e387df0dfa3388d3d572409f8753ddcc",
    "Bios_samples/nurse.csv": "fff3e9f094891d5a3acbe8372a14456cc81c90a31e3d40c7e79a4b270d390be7",
    "Bios_samples/physician.csv": "eb657471d0b803933a504e0833044edc1430e19c83351ad5478556e0a5626d4a",
    "Bios_samples/surgeon.csv": "4c74d5864c493ee40ef6ea253a50e02e15e6352691c4c6217e067ffa4b53cfa0",
    "DS_balanced_200/Nurse_balanced_200.csv": "0fe25d5b966da8b5fb94ea97ba13f93598ec7ab49ca4c0e4cec4756ed93d261f",
    "DS_balanced_200/Physician_balanced_200.csv": "555b47e606637921fa9663131d93430ed7c483c218b0123c035a65c8839c7ffa",
    "DS_balanced_200/Surgeon_balanced_200.csv": "33f252b57a979e0dfbe2ee2c225196c1543cdced433199d194f46afcbfa34122",
}
REPOSITORIES = "https://github.com/Shilpi261985 (P2_BiasMitigation_SyntheticData, P2_SyntheticData_BIAS)"


def _card(name: str, title: str, source: Source, labels: tuple[str, ...], **more: Any) -> TaskInfo:
    """The card of one of the two sets; what both share stands here once."""
    notes: tuple[str, ...] = more.pop("notes")
    return TaskInfo(
        title=f"Bias in Bios, {title}",
        form="Labelled",
        sources=(source,),
        cite="De-Arteaga et al. 2019, FAT*, Bias in Bios, 10.1145/3287560.3287572; texts as in Ravfogel et al. 2020",
        language="en",
        groups=GENDERS,
        labels=labels,
        metrics=(
            "accuracy",
            "macro_f1",
            "rms_tpr_gap",
            "counterfactual_token_fairness",
            "prediction_sensitivity",
            "prediction_sensitivity_ratio",
        ),
        probe_options={"train_on": name},
        counterfactual="roles",
        cluster="none",
        content_warning="Biographies of real people from the web, with names and some telephone numbers and addresses.",
        notes=(
            *notes,
            "The gender is what the pronouns of the biography say: two values, never asked of the person.",
        ),
        **more,
    )


INFO = {
    "bias_in_bios": _card(
        "bias_in_bios",
        "28 professions, 396,189 biographies",
        Source(
            format="parquet",
            columns=COLUMNS,
            hub="LabHC/bias_in_bios",
            splits=tuple(SPLITS),
            revision=REVISION,
        ),
        PROFESSIONS,
        licence="MIT",
        suites=("large",),
        notes=("99,069 biographies are asked and 257,478 train; train_limit draws fewer, --limit asks fewer.",),
    ),
    "bias_in_bios_sample": _card(
        "bias_in_bios_sample",
        "a sample of 4 professions, 1,637 biographies",
        Source(
            format="csv",
            columns=COLUMNS,
            files={f"bias_in_bios_sample/{path}": sha256 for path, sha256 in SHA256.items()},
            url=REPOSITORIES,
        ),
        SAMPLED,
        licence="none stated; the published set is MIT",
        notes=(
            "Six in ten are accountants; of the others half were chosen to be women. Published numbers are on another mixture.",
            "The files have no splits: 65, 10 and 25 % by a hash of the text. Which split of the published set a text was in is "
            "not known, so a classifier trained on that set may have seen it.",
        ),
    ),
}


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Labelled]:
    """Turns a biography of either source into a labelled text.

    Args:
        rows: rows of the Hub, with numbers and a `split`; or of the sample's files, with words.
        task: "bias_in_bios" or "bias_in_bios_sample".

    Yields:
        Every split. A text that the sample's files hold twice comes again as a record that is not asked, to be counted.

    Raises:
        FairbenchError: a profession, gender or split that the card does not name.
    """
    labels = INFO[task].labels
    met: Counter[str] = Counter()
    for n, row in enumerate(rows, 1):
        where = f"Row {n} of {task}"
        gender = _named(row["gender"], GENDERS, f"{where}, column gender")
        profession = _named(row["profession"], labels, f"{where}, column profession")
        text = str(row["hard_text"])
        meta = {"class": profession}
        if task == "bias_in_bios":
            split = SPLITS[_named(row[SPLIT], tuple(SPLITS), f"{where}, column {SPLIT}")]
            met[split] += 1
            name = f"{split}-{met[split]}"
        else:
            split = part_of(text, SHARES)
            name = hashlib.sha256(text.encode()).hexdigest()[:12]
            met[name] += 1
            if met[name] > 1:
                name, meta[UNASKED] = f"{name}-{met[name]}", AGAIN
        yield Labelled(
            id=name,
            group=gender,
            text=text,
            label=labels.index(profession),
            groups=(f"gender:{gender}",),
            meta={**meta, SPLIT: split},
        )


def _named(value: Any, names: tuple[str, ...], where: str) -> str:
    """A name that stands as itself in the files and as its number on the Hub."""
    if isinstance(value, str) and not value.isdigit():
        name = value.strip().lower()
        if name in names:
            return name
        raise FairbenchError(f"{where}: found {value!r}, wanted one of {', '.join(names)}.{did_you_mean(name, names)}")
    number = int(value)
    if not 0 <= number < len(names):
        raise FairbenchError(f"{where}: found {value!r}, wanted a number from 0 to {len(names) - 1} ({', '.join(names)}).")
    return names[number]
