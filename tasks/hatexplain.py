"""HateXplain (Mathew et al. 2021): posts of Twitter and Gab, each called hateful, offensive or normal by three annotators.

`hatexplain` has the three classes; `hatexplain_toxic` asks of the same posts whether they are toxic (hateful or offensive), as
the paper does where it compares the communities that posts target.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.records import SPLIT, UNASKED, Labelled
from fairbench.scores import Source, TaskInfo

Row = Mapping[str, Any]

LABELS = ("hatespeech", "normal", "offensive")
"""In the order of the authors' own `classes.npy`, which is also that of the Hub's numbers."""
OF_CSV = {"0": "normal", "1": "hatespeech", "2": "offensive", "3": None}
"""The numbers in `posts_majority_label.csv`, which has an order of its own; 3 is a post without a majority."""
SPLITS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
COMMUNITIES = (
    "African",
    "Islam",
    "Jewish",
    "Homosexual",
    "Women",
    "Refugee",
    "Arab",
    "Caucasian",
    "Asian",
    "Hispanic",
)
"""The ten that are targeted most often in the whole data, as the authors' evaluation keeps them."""
ENOUGH = 2
"""So many of the three annotators make a majority, and a community a target of the post."""
NO_MAJORITY = "the three annotators chose three different labels"

DIVISIONS = {"hatexplain/post_id_divisions.json": "c2fb0d89862e7897b11ea3e9380753f15a793482b4b70ad0532dfb1212212835"}
POSTS = "hatexplain/dataset.json"
CSV = {"hatexplain/posts_majority_label.csv": "fc8d5437a6a50d4d4083a60effc0ccbea8df788487c7b3ab50d88a77c3ba023b"}
REPOSITORY = "https://github.com/hate-alert/HateXplain (Data/ at commit 01d7422)"

SOURCES = (
    Source(format="document", columns=("text",), files={**DIVISIONS, POSTS: ""}, url=REPOSITORY),
    Source(
        format="parquet",
        columns=("id", "annotators", "post_tokens"),
        hub="Hate-speech-CNERG/hatexplain",
        config="plain_text",
        splits=("train", "validation", "test"),
        revision="refs/convert/parquet",
    ),
    Source(
        format="document",
        columns=("text",),
        files={**DIVISIONS, **CSV},
        url=f"{REPOSITORY}, and https://github.com/Media-Bias-Group at commit b9a887f (posts_majority_label.csv)",
    ),
)

NOTES = (
    "The label is that of at least two of the three annotators. The 919 posts without one are in no published split, are left "
    "out here too and train nothing.",
    f"A community is a target where at least two annotators named it; of all, {len(COMMUNITIES)} are kept as groups.",
    "The text is the published tokens joined by spaces, with <user>, <number> and the like in the place of what they hide. "
    "Rationales are not read: no metric here asks for them.",
    "posts_majority_label.csv, which is used where the other sources are absent, names no target: without groups nothing can be "
    "compared. Its texts lost everything but lower-case letters, digits and spaces, so that scores on them stand beside no "
    "published ones.",
    "The Hub's parquet files lie on a branch that it writes itself, refs/convert/parquet: it is no commit and may change. A "
    "result names the commit that was read.",
)


def _card(title: str, labels: tuple[str, ...], metrics: tuple[str, ...], **more: Any) -> TaskInfo:
    """The card of one of the two; what both share stands here once."""
    return TaskInfo(
        title=f"HateXplain: {title}; 1,924 posts asked, 15,383 train, 1,922 validate",
        form="Labelled",
        sources=SOURCES,
        licence="MIT (the copy on the Hub says CC BY 4.0)",
        cite="Mathew et al. 2021, AAAI 35(17), HateXplain, 10.1609/aaai.v35i17.17745",
        language="en",
        groups=COMMUNITIES,
        metrics=metrics,
        probe_options={"train_on": "hatexplain"},
        cluster="none",
        content_warning="Hate speech and slurs against many communities, as people wrote them.",
        notes=NOTES,
        labels=labels,
        **more,
    )


INFO = {
    "hatexplain": _card("hateful, offensive or normal", LABELS, ("accuracy", "macro_f1"), positive=("hatespeech", "offensive")),
    "hatexplain_toxic": _card(
        "toxic (hateful or offensive) or normal",
        ("normal", "toxic"),
        (
            "accuracy",
            "macro_f1",
            "roc_auc",
            "demographic_parity_difference",
            "equalized_odds_difference",
            "tpr_gap",
            "fpr_gap",
            "fped",
            "fned",
            "subgroup_auc",
            "bpsn_auc",
            "bnsp_auc",
            "counterfactual_token_fairness",
        ),
        metric_options={"background": "hatexplain"},
    ),
}


@dataclass(frozen=True)
class _Post:
    """A post of any source: its majority label, null where there is none, and the communities that it targets."""

    id: str
    text: str
    split: str
    label: str | None
    communities: tuple[str, ...] = ()


def records(rows: Iterable[Row], task: str) -> Iterator[Labelled]:
    """Turns posts of any source into labelled texts.

    Args:
        rows: of the Hub a row a post, with `id`, `annotators` (`label` as a number, `target`) and `post_tokens`; of files two
            rows with a `text` each: `post_id_divisions.json`, then `dataset.json` or `posts_majority_label.csv`.
        task: "hatexplain" or "hatexplain_toxic".

    Yields:
        Every split, without the posts that are in none.

    Raises:
        FairbenchError: a label, a split or a document that is none of these, or a post of a split that is not there.
    """
    labels = INFO[task].labels
    for post in _posts(rows, task):
        name = post.label
        if name is not None and task == "hatexplain_toxic":
            name = "normal" if name == "normal" else "toxic"
        yield Labelled(
            id=post.id,
            text=post.text,
            label=None if name is None else labels.index(name),
            groups=post.communities,
            meta={SPLIT: post.split, "class": name} | ({UNASKED: NO_MAJORITY} if name is None else {}),
        )


def _posts(rows: Iterable[Row], task: str) -> Iterator[_Post]:
    """The posts of whichever source the rows are of."""
    divisions: dict[str, str] | None = None
    for n, row in enumerate(rows, 1):
        if "annotators" in row:
            split = _known(row.get(SPLIT), SPLITS, f"Row {n} of {task}, column {SPLIT}")
            yield _annotated(str(row["id"]), row, split, f"Row {n} of {task} ({row['id']})")
        elif divisions is None:
            divisions = _divisions(row["text"], task)
        else:
            yield from _of_document(row["text"], divisions, task)


def _divisions(text: str, task: str) -> dict[str, str]:
    """The split of every post that is in one, by the post's id."""
    found = _json(text)
    if found is None or not all(isinstance(ids, list) for ids in found.values()):
        raise FairbenchError(
            f"The first file of {task} is not post_id_divisions.json: wanted an object with a list of post ids for each of "
            "train, val and test. Download the files again."
        )
    of_split = {_known(name, SPLITS, f"post_id_divisions.json of {task}"): ids for name, ids in found.items()}
    return {str(post): split for split, ids in of_split.items() for post in ids}


def _of_document(text: str, divisions: Mapping[str, str], task: str) -> Iterator[_Post]:
    """The posts of a whole file that are in a split."""
    missing = dict(divisions)
    for post in _of_json(text, divisions, task) if text.lstrip().startswith("{") else _of_csv(text, divisions, task):
        missing.pop(post.id, None)
        yield post
    if missing:
        raise FairbenchError(
            f"The data of {task} are incomplete: {len(missing)} of the {len(divisions)} posts in post_id_divisions.json are not "
            f"there (the first: {next(iter(missing))}). Download the files again."
        )


def _of_json(text: str, divisions: Mapping[str, str], task: str) -> Iterator[_Post]:
    """Posts of dataset.json: post id -> what three annotators said of it."""
    found = _json(text)
    if found is None:
        raise FairbenchError(f"dataset.json of {task} is not valid JSON. Download it again.")
    for name, post in found.items():
        if name in divisions:
            yield _annotated(name, post, divisions[name], f"Post {name} of {task}")


def _of_csv(text: str, divisions: Mapping[str, str], task: str) -> Iterator[_Post]:
    """Posts of posts_majority_label.csv: post id without a header, text, label (hateful or not), category, number."""
    for n, row in enumerate(csv.DictReader(io.StringIO(text, newline="")), 1):
        if row.get("category") not in OF_CSV or not row.get("text") or not row.get(""):
            raise FairbenchError(
                f"Row {n} of posts_majority_label.csv of {task}: found the category {row.get('category')!r}, wanted a post id, a "
                f"text and a category of {', '.join(OF_CSV)}. Download the file again."
            )
        if row[""] in divisions:
            yield _Post(row[""], " ".join(row["text"].split()), divisions[row[""]], OF_CSV[row["category"]])


def _annotated(name: str, post: Row, split: str, where: str) -> _Post:
    """A post with its annotations: what most annotators called it, and whom at least two of them saw targeted."""
    try:
        annotations, text = post["annotators"], " ".join(post["post_tokens"])
        if isinstance(annotations, Mapping):  # the Hub has a list for each field, the file a list of annotators
            said, targets = annotations["label"], annotations["target"]
        else:
            said, targets = [one["label"] for one in annotations], [one["target"] for one in annotations]
        label, votes = Counter(_label(one, where) for one in said).most_common(1)[0]
    except (KeyError, IndexError, TypeError):
        raise FairbenchError(
            f"{where} has the fields {', '.join(map(str, post))}; wanted post_tokens, and annotators with label and target in "
            "each. Download the data again."
        ) from None
    named = Counter(community for target in targets for community in set(target or ()))
    return _Post(
        id=name,
        text=text,
        split=split,
        label=label if votes >= ENOUGH else None,
        communities=tuple(community for community in COMMUNITIES if named[community] >= ENOUGH),
    )


def _label(said: Any, where: str) -> str:
    """An annotator's label by name, which the Hub gives as a number."""
    if isinstance(said, int) and 0 <= said < len(LABELS):
        return LABELS[said]
    return _known(said, {name: name for name in LABELS}, f"{where}, label")


def _known(name: Any, known: Mapping[str, str], where: str) -> str:
    if name not in known:
        raise FairbenchError(f"{where}: found {name!r}, wanted one of {', '.join(known)}. Download the data again.")
    return known[name]


def _json(text: str) -> dict[str, Any] | None:
    """An object, or null where the text is none."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
