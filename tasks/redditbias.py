"""RedditBias (Barikeri et al. 2021): biased phrases of Reddit users, and the same phrases about the dominant group."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.records import Pair, Record
from fairbench.scores import Source, TaskInfo

# Notion -> the group that the comments are about and the group that is put in its place, as the files name them.
GROUPS = {
    "gender": ("female", "male"),
    "orientation": ("lgbtq", "straight"),
    "race": ("black", "white"),
    "religion1": ("jews", "christians"),
    "religion2": ("muslims", "christians"),
}
SHA256 = {
    "gender_female": "6f879a2bd92adeb61a8865c273f4724a989a0046ff74a59b8731af53a18303e6",
    "gender_male": "bfb0478c5176bf02f8841a89df6fe40768ad7078d29c738a8aab5770b1149c2f",
    "orientation_lgbtq": "2664ac0a26b65bde99c12db737f729823bf6e4fcd1c7bd22eb8da9e8960556d5",
    "orientation_straight": "e0f8ab4da75576104d0c32bb1b73629021c291ad4027815a4fefe964edd78bf1",
    "race_black": "08d26f74e4ef42be999bafb5770f63fc239cb767611eb93aa713ad8eb93875a0",
    "race_white": "59e10d5fb1e86d4fde3a1adda0d0f37802634d0e6ca01571249d8a9b03579b73",
    "religion1_christians": "34048b5a874effd27e7665f14dd715cfff5d0f2fbd38f4691a18375c32e36b71",
    "religion1_jews": "4d615949b94cf3babdc9164e08132b885dfd93e6c128e0a5a582934d22b3ad36",
    "religion2_christians": "11e14986e88976ae6da2416d62554e02c95ee29b59805877c786a70f26d05aaf",
    "religion2_muslims": "0a924d4ca7069f7db9e937440e7d8f15e43563f5c83bd1506680d252abfa33f6",
}
PHRASE, ORIGINAL = "comments_processed", "comments"
NOTES = {
    "orientation": ("`straight` stands for gay and lesbian, `monosexual` for bisexual, `cisgender` for transgender.",),
    "religion1": (
        "44 of the 238 phrases hold the same three words, `jews are greedy`, and are one cluster: there are fewer independent "
        "pairs than rows.",
    ),
    "religion2": ("Of one pair both sides are the same (its word, `arab`, was not swapped): always a tie.",),
}


def _card(notion: str) -> TaskInfo:
    """The card of one notion."""
    about, instead = GROUPS[notion]
    names = [f"{notion}_{group}" for group in (about, instead)]
    return TaskInfo(
        title=f"RedditBias {notion}: biased phrases about {about}, and with {instead} in their place",
        form="Pair",
        sources=(
            Source(
                format="csv",
                columns=(PHRASE,),
                files={f"redditbias/{notion}/reddit_comments_{name}_biased_test_reduced.csv": SHA256[name] for name in names},
                url=f"https://github.com/umanlp/RedditBias (data/{notion}/ at commit 61f9ae9)",
            ),
        ),
        licence="MIT",
        cite="Barikeri, Lauscher, Vulic and Glavas 2021, ACL, RedditBias, 2021.acl-long.151",
        language="en",
        groups=(about, instead),
        metrics=("crows_pairs", "crows_pairs_margin"),
        cluster="phrases of which one holds the other",
        content_warning="Real hateful comments of Reddit users, with slurs and obscenities. Not for training.",
        notes=(
            "more = the phrase as it was written and annotated as biased; less = the same with the words for the group swapped.",
            "RedditBias's own measure is a t test of the two sides' perplexities. Nearest here: crows_pairs_margin with --scorer "
            "mean, the mean difference of log-perplexities, with a test that keeps phrases of one cluster together.",
            "The swapped words are not equally long (jews, christians). Summed scores, a causal model's default, favour the "
            "shorter ones so much that the sign of the result can turn: read --scorer mean.",
            "The `test_reduced` files: their authors dropped phrases whose perplexity under a model of theirs was an outlier.",
            "Swapping changes what a sentence says, not only whom it is about: some swapped phrases make little sense, and then "
            "a preference for the original is no bias.",
            *NOTES.get(notion, ()),
        ),
    )


INFO = {f"redditbias_{notion}": _card(notion) for notion in GROUPS}


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Record]:
    """Pairs row i of the first file with row i of the second, which repeats the original in its column `comments`.

    Args:
        rows: the rows of the first file (`comments_processed`, in most files `id`), then those of the second (`comments`, the
            original, and `comments_processed`, the swapped phrase).
        task: "redditbias_gender".

    Raises:
        FairbenchError: the files do not hold the same phrases in the same order.
    """
    all_rows = list(rows)
    originals = [row for row in all_rows if ORIGINAL not in row]
    swapped = [row for row in all_rows if ORIGINAL in row]
    _refuse_misaligned(originals, swapped, task)
    names = _names(originals)
    clusters = _clusters([row[PHRASE] for row in originals], names)
    for name, cluster, original, other in zip(names, clusters, originals, swapped, strict=True):
        yield Pair(
            id=name,
            group=INFO[task].groups[0],
            cluster=cluster,
            more=original[PHRASE],
            less=other[PHRASE],
        )


def _refuse_misaligned(originals: Sequence[Mapping[str, Any]], swapped: Sequence[Mapping[str, Any]], task: str) -> None:
    """Swapping replaces words one by one, so a pair has the same original and equally many words on both sides."""
    files = " and ".join(INFO[task].sources[0].files)
    if len(originals) != len(swapped):
        raise FairbenchError(
            f"The files of {task} do not go together: {len(originals)} original phrases and {len(swapped)} swapped ones. Wanted "
            f"is one for each. Download {files} again."
        )
    wrong = [
        n
        for n, (original, other) in enumerate(zip(originals, swapped, strict=True), 1)
        if original[PHRASE] != other[ORIGINAL] or len(original[PHRASE].split()) != len(other[PHRASE].split())
    ]
    if wrong:
        raise FairbenchError(
            f"The files of {task} do not go together: in {len(wrong)} of {len(originals)} rows the phrases differ, first in row "
            f"{wrong[0]}. Wanted is the same phrase in the same row of both. Download {files} again."
        )


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The comment's id, or the number of its row where the file gives none; a repeated id gets a number."""
    seen: Counter[str] = Counter()
    names = []
    for n, row in enumerate(rows, 1):
        name = row.get("id") or f"row {n}"
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def _clusters(phrases: Sequence[str], names: Sequence[str]) -> list[str]:
    """For each phrase the name of the first one that it shares its text with, directly or through others.

    Many phrases are one slogan with other words around it; as independent pairs they would make the interval too narrow.
    """
    plain = [f" {' '.join(re.findall(r'[a-z0-9]+', phrase.lower()))} " for phrase in phrases]
    first = list(range(len(plain)))
    for i, inner in enumerate(plain):
        for j, outer in enumerate(plain):
            if i != j and inner in outer:
                one, other = sorted((first[i], first[j]))
                first = [one if k == other else k for k in first]
    return [names[k] for k in first]
