"""WikiText-2 (Merity et al. 2017), test part: Wikipedia articles, for perplexity."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from fairbench.records import Passage, Record
from fairbench.scores import Source, TaskInfo

HEADING = re.compile(r"= (?!= )(.+?)(?<! =) =")

INFO = TaskInfo(
    title="WikiText-2, test part: 60 Wikipedia articles",
    form="Passage",
    sources=(
        Source(
            format="lines",
            columns=("text",),
            may_be_empty=("text",),
            files={"wikitext-2/wiki.test.tokens": "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0"},
            url="https://github.com/pytorch/examples (word_language_model/data/wikitext-2/test.txt is this file)",
        ),
        Source(
            format="lines",
            columns=("text",),
            may_be_empty=("text",),
            files={"corpora/wikitext-2_valid_test/test.txt": "55436f62ad4b0bff440f3b8bd682a7e68db3d185a2abb660012fcd608bcc6832"},
            url="https://github.com/pytorch/examples (word_language_model/data/wikitext-2/test.txt, without spaces at line ends)",
        ),
        Source(
            format="parquet",
            columns=("text",),
            may_be_empty=("text",),
            hub="Salesforce/wikitext",
            config="wikitext-2-v1",
            split="test",
            revision="b08601e04326c79dfdd32d625aee71d232d685c3",
        ),
    ),
    licence="CC BY-SA 3.0 and GFDL (Wikipedia)",
    cite="Merity et al. 2017, ICLR, Pointer Sentinel Mixture Models, arXiv:1609.07843",
    language="en",
    groups=(),
    metrics=("perplexity", "word_perplexity", "bits_per_byte"),
    cluster="document",
    notes=(
        "The version with <unk> for rare words and spaces around punctuation (wikitext-2-v1), not the raw one: numbers differ.",
        "60 articles as in the paper. Splitting at every line of the form ` = x = ` gives 62, since two lines are formulas.",
        "A line loses the white space at its end, so that the files and the Hub give the same text.",
    ),
)


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Record]:
    """Joins lines to articles, a passage an article.

    A level-one heading ` = Title = ` begins an article if it stands between blank lines; formulas (` = 1 ... k = `) do not.

    Args:
        rows: a row a line, column `text`, with or without the line break.
        task: "wikitext".
    """
    title, lines, n = "", list[str](), 0
    for before, line, after in _neighbours(row["text"].rstrip() for row in rows):
        heading = HEADING.fullmatch(line.strip())
        if heading and not before and not after:
            if text := "\n".join(lines).strip():
                yield _passage(n, title, text)
                n += 1
            title, lines = heading[1], []
        lines.append(line)
    if text := "\n".join(lines).strip():
        yield _passage(n, title, text)


def _passage(n: int, title: str, text: str) -> Passage:
    """The record of the n-th article."""
    name = f"document_{n:03d}"
    return Passage(id=name, cluster=name, text=text, meta={"title": title})


def _neighbours(lines: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Every line with the one before and the one after it; the text ends as it begins, with nothing."""

    def padded() -> Iterator[str]:
        yield ""
        yield from lines
        yield ""

    before = ""
    for line, after in pairwise(padded()):
        yield before, line, after
        before = line
