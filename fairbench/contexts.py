"""Puts bare words into sentences of a corpus, for tests that read a word in its contexts (CEAT).

The corpus is read once for all words of all tasks. Of the different sentences that hold a word those are chosen whose hash
(BLAKE2b of seed, word and sentence) is smallest. That is a draw without replacement which depends on the seed, the word and the
set of its sentences, and on nothing else: not on the other words, nor on the order of the files or Python's own hash. A sentence
that comes twice counts once, without a list of all that were seen, and asking for more sentences only adds to fewer.
"""

from __future__ import annotations

import hashlib
import heapq
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fairbench.corpora import RULE, Corpus, open_corpus, sentences
from fairbench.errors import FairbenchError
from fairbench.records import UNASKED, Association
from fairbench.registry import Registry

FEWEST_WORDS, MOST_WORDS = 4, 64
"""Sentences with fewer or more words are passed over: too little context, or more than a sentence."""

NEVER = "never occurs in the corpus"
UNEVEN = "to keep X and Y of equal size"

# A word is a run of letters and digits, with what an apostrophe or a hyphen joins to it: "son-in-law" does not hold "son".
TOKEN = re.compile(r"\w+(?:['’-]\w+)*")
# But what is joined may be a verb or the genitive: "daughter's" and "she'll" hold "daughter" and "she".
ENDINGS = ("s", "d", "ll", "re", "ve", "m")
WORD_RULE = (
    "A word is met where it stands whole: no letter or digit is joined to it, by a hyphen or an apostrophe neither, but for "
    "'s 'd 'll 're 've 'm. A lower-case word is also met with a capital initial; any other capital letter must agree. The first "
    "place in the sentence counts. A sentence that comes twice counts once a word."
)


@dataclass(frozen=True)
class Drawn:
    """The words of one task in sentences.

    Attributes:
        records: for every word its sentences (id `<id of the word's record>/<k>`, `span` = the word in them, `source` = where the
            sentence stands), or one record of the bare word with the reason why it is not asked.
        provenance: corpus and digests, seed, rules, and by word how many sentences were chosen (`found`) and hold it (`occurs`,
            repeated sentences counted again); JSON-ready.
    """

    records: tuple[Association, ...]
    provenance: Mapping[str, Any]


@dataclass(eq=False)
class _Word:
    """One word: how it is found, and the sentences with the smallest keys so far, as (-key, sentence, place)."""

    text: str
    seed: int
    most: int
    occurs: int = 0
    kept: list[tuple[int, str, str]] = field(default_factory=list)
    keys: set[int] = field(default_factory=set)

    @cached_property
    def tokens(self) -> list[str]:
        """The word's parts, as they stand in a text."""
        return TOKEN.findall(self.text)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Finds the word as WORD_RULE says."""
        first, rest = re.escape(self.text[0]), re.escape(self.text[1:])
        if self._may_start:
            first = f"[{first}{self.text[0].upper()}]"
        endings = "|".join(ENDINGS)
        return re.compile(rf"(?<!\w)(?<!\w['’-])({first}{rest})(?:['’](?:{endings}))?(?!\w)(?!['’-]\w)")

    @cached_property
    def _may_start(self) -> bool:
        return self.text == self.text.lower() and self.text[0] != self.text[0].upper() and len(self.text[0].upper()) == 1

    @cached_property
    def forms(self) -> list[str]:
        """The tokens one of which every sentence with this word has: its first one, in all its forms."""
        token = self.tokens[0]
        starts = [token, token[0].upper() + token[1:]] if self._may_start else [token]
        if token != self.text:
            return starts
        return [*starts, *(f"{start}{mark}{ending}" for start in starts for mark in "'’" for ending in ENDINGS)]

    @cached_property
    def _key(self) -> Any:
        return hashlib.blake2b(f"{self.seed}/{self.text}/".encode(), digest_size=8)

    def offer(self, sentence: str, place: str) -> None:
        """Takes up a sentence that holds one of the forms, if the word is in it and its key is among the smallest."""
        if self.text != self.tokens[0] and not self.pattern.search(sentence):
            return
        self.occurs += 1
        hashed = self._key.copy()
        hashed.update(sentence.encode())
        key = int.from_bytes(hashed.digest(), "big")
        full = len(self.kept) == self.most
        if key in self.keys or (full and key > -self.kept[0][0]):
            return
        self.keys.add(key)
        if full:
            self.keys.discard(-heapq.heappushpop(self.kept, (-key, sentence, place))[0])
        else:
            heapq.heappush(self.kept, (-key, sentence, place))

    def contexts(self, record: Association) -> list[Association]:
        """The record in each chosen sentence, in the order of the keys."""
        chosen = []
        for k, (_, sentence, place) in enumerate(sorted(self.kept, reverse=True)):
            met = self.pattern.search(sentence)
            assert met, f"{sentence!r} was taken for {self.text!r}"
            chosen.append(_asked(record, id=f"{record.id}/{k}", text=sentence, span=met.span(1), source=place))
        return chosen


def draw(
    stimuli: Mapping[str, Sequence[Association]],
    corpus: str,
    *,
    per_word: int,
    seed: int,
    data_dir: Path | None,
    registry: Registry,
) -> dict[str, Drawn]:
    """Draws contexts for the words of several tasks, in one pass over the corpus.

    Target sets must stay of equal size (Caliskan et al. 2017). So where one of them loses more words than the other, the other
    loses as many: those with the fewest chosen sentences, of equal ones the last in the list.

    Args:
        stimuli: task -> its records, whose `text` is a bare word or a phrase.
        corpus: files, a task with running text, or a data set of the Hub (see `corpora.open_corpus`).
        per_word: at most so many sentences a word.
        seed: of the draw; a word's sentences depend on nothing else.
        data_dir: the folder of local data.
        registry: knows the tasks.

    Returns:
        The contexts of each task.

    Raises:
        FairbenchError: the corpus is nowhere, can't be read, or holds no sentence.
    """
    asked = dict.fromkeys(record.text for records in stimuli.values() for record in records)
    words = {text: _Word(unicodedata.normalize("NFC", " ".join(text.split())), seed, per_word) for text in asked}
    for word in words.values():
        if not word.tokens:
            raise FairbenchError(f"The stimulus {word.text!r} holds no letter or digit: no sentence can be looked up for it.")
    found = open_corpus(corpus, data_dir, registry)
    read = _read(found, words.values())
    if not read["sentences"]:
        holds = "holds no text" if not read["characters"] else f"holds no sentence of {FEWEST_WORDS} to {MOST_WORDS} words"
        raise FairbenchError(
            f"--corpus {corpus} {holds} ({read['documents']} documents were read). Wanted is running text in sentences; name "
            "another file, folder, task or data set."
        )
    about = {
        **found.provenance, **read, "per_word": per_word, "seed": seed, "sentence_rule": RULE, "word_rule": WORD_RULE,
        "sentence_words": [FEWEST_WORDS, MOST_WORDS],
    }  # fmt: skip
    return {task: _drawn(records, words, about) for task, records in stimuli.items()}


def _read(corpus: Corpus, words: Iterable[_Word]) -> dict[str, int]:
    """Offers every sentence of fitting length to the words that it may hold; what was read, in numbers."""
    by_form: dict[str, list[_Word]] = defaultdict(list)
    for word in words:
        for form in word.forms:
            by_form[form].append(word)
    wanted = frozenset(by_form)
    documents = characters = read = 0
    for place, pieces in corpus.documents():
        documents += 1
        number = 0
        for piece in pieces:
            characters += len(piece)
            for sentence in sentences(piece):
                number += 1
                tokens = TOKEN.findall(sentence)
                if not FEWEST_WORDS <= len(tokens) <= MOST_WORDS:
                    continue
                read += 1
                if forms := wanted.intersection(tokens):
                    for word in {word for form in forms for word in by_form[form]}:
                        word.offer(sentence, f"{place}#{number}")
    return {"documents": documents, "characters": characters, "sentences": read}


def _drawn(records: Sequence[Association], words: Mapping[str, _Word], about: Mapping[str, Any]) -> Drawn:
    """The contexts of one task."""
    found = {record.text: len(words[record.text].kept) for record in records}
    uneven = _uneven(records, found)
    drawn: list[Association] = []
    for record in records:
        if reason := NEVER if not found[record.text] else UNEVEN if record.id in uneven else None:
            drawn.append(_asked(record, span=None, meta={**record.meta, UNASKED: reason}))
        else:
            drawn += words[record.text].contexts(record)
    provenance = {
        **about,
        "found": found,
        "occurs": {word: words[word].occurs for word in found},
        "never": [record.id for record in records if not found[record.text]],
        "evened": [record.id for record in records if record.id in uneven],
    }
    return Drawn(tuple(drawn), provenance)


def _asked(record: Association, **changed: Any) -> Association:
    """A record of the word with something in its place, and the word as its cluster."""
    return replace(record, cluster=record.cluster or record.text, stratum=record.stratum or record.role, **changed)


def _uneven(records: Sequence[Association], found: Mapping[str, int]) -> set[str]:
    """Ids of the words that leave one target set since the other one lost more words."""
    left_out: set[str] = set()
    for test in dict.fromkeys(record.test for record in records):
        sides = [[r for r in records if r.test == test and r.role == role] for role in ("target_x", "target_y")]
        lost = [sum(not found[record.text] for record in side) for side in sides]
        for side, own, other in zip(sides, lost, reversed(lost), strict=True):
            there = [(found[record.text], -n, record.id) for n, record in enumerate(side) if found[record.text]]
            left_out |= {name for _, _, name in heapq.nsmallest(max(0, other - own), there)}
    return left_out
