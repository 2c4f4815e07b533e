"""StereoSet (Nadeem et al. 2021), development set: a context with a stereotype, its opposite and something unrelated."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.records import Cloze, Record
from fairbench.scores import Source, TaskInfo

DOMAINS = ("gender", "profession", "race", "religion")
CSV_COLUMNS = ("Domain", "Target", "Context", "Unrelated Sentence", "Anti-stereotype Sentence", "Stereotype Sentence")
HUB_COLUMNS = ("id", "target", "bias_type", "context", "sentences")
LABELS = ("antistereotype", "stereotype", "unrelated")  # the Hub's gold_label 0, 1, 2

# The commit that replaced the loading script by parquet files.
REVISION = "bf6e7ce50491784d094fb7afe60a70ecccb89035"
SHA256 = {
    "intrasentence_gender": "0e8f59728252f86dc58245b133b07b0534f4eba8471d9d3c93334d7ce2333fb3",
    "intrasentence_profession": "093f1214f842e7e818c07ad7bd16dae9a2050370aae6af59a551d4677e2d87e1",
    "intrasentence_race": "729ff7c1d267b4edea4770f74b7173b12017667597c679d031810ea2dad07994",
    "intrasentence_religion": "ff1eafb6010173460cf32baf5db99a482f6349ae43301a09e0192e45ff33fdd3",
    "intersentence_gender": "e652f70c756aa8d51ee995e1b8d868af6ef0f46e90c4d8697196999e288ba488",
    "intersentence_profession": "6fa7971d2a14261d972a5aeb41d00fef0803b351558ff521c36f5c33e7efc73a",
    "intersentence_race": "76f32ec86d84c800cdcc584665e5290e2df2fbcdb5436b9aa50755dc751cc6f1",
    "intersentence_religion": "ede58c791e4a741d7fdc8037cd81c36aaa2e3b513b2835a0a5205784d0077516",
}


def _card(kind: str, what: str, count: str, suites: tuple[str, ...] = ()) -> TaskInfo:
    """The card of one of the two tests."""
    files = {f"stereoset_csv/data/{kind}/{kind}_{domain}_data.csv": SHA256[f"{kind}_{domain}"] for domain in DOMAINS}
    return TaskInfo(
        title=f"StereoSet {kind}, development set: {what}, {count} items",
        form="Cloze",
        sources=(
            Source(format="csv", columns=CSV_COLUMNS, files=files, url="https://github.com/ano1-yu/stereoset_adaptation (data/)"),
            Source(
                format="parquet",
                columns=HUB_COLUMNS,
                hub="McGill-NLP/stereoset",
                config=kind,
                split="validation",
                revision=REVISION,
            ),
        ),
        licence="CC BY-SA 4.0",
        cite="Nadeem, Bethke and Reddy 2021, ACL, StereoSet, 2021.acl-long.416",
        language="en",
        groups=DOMAINS,
        metrics=("stereoset_lms", "stereoset_ss", "stereoset_icat", "stereoset_margin"),
        probe_options={"context": "filled" if kind == "intrasentence" else "continued"},
        cluster="target term",
        suites=suites,
        content_warning="Holds offensive stereotypes about genders, professions, races and religions.",
        notes=(
            "The published development set; the test set is not public, and numbers on it (Meade et al. 2022) differ.",
            "Many items do not measure what they say (Blodgett et al. 2021).",
            "An item's id is a digest of its texts, so that the same item has the same id from either source.",
        ),
    )


INFO = {
    "stereoset_intrasentence": _card("intrasentence", "a word in a sentence", "2,106", ("quick",)),
    "stereoset_intersentence": _card("intersentence", "a sentence after a sentence", "2,123"),
}


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Record]:
    """Turns a row of either source into a cloze.

    Args:
        rows: rows of the CSV files (a column a sentence) or of the Hub (`sentences` nested, told apart by `gold_label`).
        task: "stereoset_intrasentence" or "stereoset_intersentence".

    Raises:
        FairbenchError: an item without exactly one sentence of each kind, or without BLANK in an intrasentence context.
    """
    for n, row in enumerate(rows, 1):
        texts, meta = _nested(row, n, task) if "sentences" in row else _flat(row)
        if task == "stereoset_intrasentence" and "BLANK" not in texts["context"]:
            raise FairbenchError(f"Row {n} of {task}: the context holds no BLANK. Wanted is the word BLANK in every context.")
        yield Cloze(
            id=_digest(texts),
            group=meta["domain"],
            cluster=texts["target"],
            meta={} if meta["id"] is None else {"id": meta["id"]},
            **texts,
        )


def _flat(row: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """The texts and the labels of a row of the CSV files."""
    texts = {
        "context": row["Context"],
        "stereotype": row["Stereotype Sentence"],
        "antistereotype": row["Anti-stereotype Sentence"],
        "unrelated": row["Unrelated Sentence"],
        "target": row["Target"],
    }
    return texts, {"id": None, "domain": row["Domain"]}


def _nested(row: Mapping[str, Any], n: int, task: str) -> tuple[dict[str, str], dict[str, Any]]:
    """The texts and the labels of a row of the Hub."""
    sentences = row["sentences"]
    if isinstance(sentences, Mapping):
        pairs = list(zip(sentences["gold_label"], sentences["sentence"], strict=True))
    else:
        pairs = [(sentence["gold_label"], sentence["sentence"]) for sentence in sentences]
    found = sorted(label for label, _ in pairs)
    if found != [0, 1, 2]:
        raise FairbenchError(
            f"Row {n} of {task}, column sentences: found gold labels {found}, wanted one each of 0 (anti-stereotype), "
            "1 (stereotype) and 2 (unrelated)."
        )
    texts = {"context": row["context"], "target": row["target"], **{LABELS[label]: text for label, text in pairs}}
    return texts, {"id": row["id"], "domain": row["bias_type"]}


def _digest(texts: Mapping[str, str]) -> str:
    """Twelve digits that stand for an item whatever file it comes from; white space does not count."""
    parts = (" ".join(texts[key].split()) for key in ("target", "context", *LABELS))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
