"""The texts that a mitigation learns from: a corpus, documents of the planted world, or what the model writes by itself.

Documents stand as they are found, repeated ones as often as they come: that is the distribution to be learnt. Null characters are
taken out, and what then holds nothing but white space is left out; both are counted under `read` of the provenance, whenever the
texts have been read to their end.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from fairbench.corpora import Corpus, open_corpus
from fairbench.errors import FairbenchError
from fairbench.mitigation import Progress, Texts
from fairbench.mitigation.dividing import divide
from fairbench.mitigation.sampling import Sampling
from fairbench.models.batching import Batching
from fairbench.models.model import ModelCard
from fairbench.planted import corpus as planted_corpus
from fairbench.planted.corpus import Dials
from fairbench.planted.library import TOWN_DIAL
from fairbench.registry import Registry
from fairbench.splits import part_of

VERSION = 1
"""Raised when the same corpus would give other documents."""

SAMPLED, PLANTED = "sampled", "planted"
WRITTEN = 20_000
"""Documents of the planted world, or written by the model, where no number is given."""

STREAMED = 100_000
"""Documents of a stream, where no number is given: nobody knows how long it is."""

EVERY = 10_000
"""Documents between two words on the progress."""

_OTHERS = {
    f"{PLANTED}:0.5": "documents of the planted world with that gender dial, 0 to 1",
    SAMPLED: "written by the model itself",
}
_SETTLES = ("kind", "files", "sha256", "hub", "config", "split", "splits", "column", "revision", "divided")
"""What of a corpus's provenance can change its documents."""


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """Which documents of a corpus are learnt from.

    Attributes:
        documents: the first so many; null for all of files and tasks, STREAMED of a stream, WRITTEN where they are made.
        seed: of planted documents, of sampling, and of shuffling.
        data_dir: the folder of local data.
        shuffle: the next document is drawn from a buffer of so many; null for the corpus's own order.
        sample_tokens: new tokens of a sampled document at most; null for what the model takes, at most `sampling.TOKENS`.
        batching: how many are sampled side by side; it changes no document.
    """

    documents: int | None = None
    seed: int = 0
    data_dir: Path | None = None
    shuffle: int | None = None
    sample_tokens: int | None = None
    batching: Batching = field(default_factory=Batching)

    def __post_init__(self) -> None:
        """Refuses numbers that can't be meant."""
        for name, least in (("documents", 1), ("shuffle", 2), ("sample_tokens", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise FairbenchError(f"{name}={value}: wanted a whole number from {least} on, or leave it out.")


@dataclass(frozen=True)
class _Reader:
    """Reads documents anew, and notes in `tally` what came of it, once the end is reached."""

    name: str
    source: Callable[[], Iterable[str]]
    options: TextOptions
    limit: int | None
    tally: dict[str, int] = field(default_factory=dict)

    def __call__(self) -> Iterator[str]:
        """The documents, empty ones left out.

        Raises:
            FairbenchError: there is none.
        """
        found = {"documents": 0, "empty": 0, "with_null_characters": 0}
        texts = iter(self.source())
        if self.options.shuffle is not None:
            texts = _shuffled(texts, self.options.shuffle, self.options.seed)
        while self.limit is None or found["documents"] < self.limit:
            if (text := next(texts, None)) is None:
                break
            if "\0" in text:
                found["with_null_characters"] += 1
                text = text.replace("\0", "")
            if not text or text.isspace():
                found["empty"] += 1
                continue
            found["documents"] += 1
            yield text
        if not found["documents"]:
            empty = f" ({found['empty']} are empty)" if found["empty"] else ""
            raise FairbenchError(
                f"--corpus {self.name}: no document with text was found{empty}. Wanted at least one to learn from."
            )
        self.tally.update(found)

    def count(self, progress: Progress) -> int:
        """How many there are, by reading all."""
        number = 0
        for number, _ in enumerate(self(), 1):
            if number % EVERY == 0:
                progress("counting documents", number, self.limit or number)
        return number


def open_texts(name: str, card: ModelCard, options: TextOptions, room: Path, registry: Registry, progress: Progress) -> Texts:
    """Finds the texts that a mitigation is to learn from, and reads what is here once, to count it.

    Of a stream only the beginning is looked at; what the model is to write is written when it is first read, part by part.

    Args:
        name: a file, a folder or a pattern of files, a task with running text, or a data set of the Hub (`corpora.open_corpus`);
            planted:DIAL for documents of the planted world with that gender dial; or `sampled`, written by the model itself.
            A file of that very name is meant by ./sampled.
        card: the model that is mitigated.
        options: which documents.
        room: a folder that outlives an interruption; sampled documents are kept there.
        registry: knows the tasks.
        progress: called with (what, done, total).

    Returns:
        The texts. `count` is null for a stream, and for sampled documents that are not all there yet. `provenance` says under
        `read` what came of the last reading: documents, empty ones and those with null characters.

    Raises:
        FairbenchError: there is no such corpus, it can't be read, it has no document with text, or the model can't write any.
    """
    if options.sample_tokens is not None and name != SAMPLED:
        raise FairbenchError(
            f"--sample-tokens {options.sample_tokens}: nothing is sampled from the corpus {name}. Leave it out, or give "
            f"--corpus {SAMPLED}."
        )
    if name == SAMPLED:
        return _sampled(name, card, options, room, progress)
    if name.split(":")[0] == PLANTED:
        return _planted(name, options, progress)
    return _found(name, open_corpus(name, options.data_dir, registry, divide=divide, others=_OTHERS), options, progress)


def _found(name: str, corpus: Corpus, options: TextOptions, progress: Progress) -> Texts:
    """A corpus that is somewhere."""
    limit = options.documents or (STREAMED if corpus.streamed else None)
    reader = _Reader(name, lambda: ("".join(pieces) for _, pieces in corpus.documents()), options, limit)
    about = corpus.provenance
    warnings = list(about["warnings"])
    if corpus.streamed and options.documents is None:
        warnings.append(f"Only the first {STREAMED:,} documents of the stream {name} are read, since no number was given.")
    count = None if corpus.streamed else reader.count(progress)
    if count is None:  # a wrong column, or a data set without text, shows before anything is trained
        next(dataclasses.replace(reader, options=dataclasses.replace(options, shuffle=None), tally={})())
    settled = {**about, **about.get("data", {}), "kind": about["kind"]}
    identity = {key: settled[key] for key in _SETTLES if key in settled}
    if about["kind"] == "task":
        identity["task"] = about["corpus"]
    return _texts(reader, identity, {**about, "warnings": warnings}, count)


def _planted(name: str, options: TextOptions, progress: Progress) -> Texts:
    """Documents of the planted world; the town dial is that of the shipped models."""
    try:
        dial = float(name.partition(":")[2])
    except ValueError:
        raise FairbenchError(
            f"--corpus {name}: wanted {PLANTED}:DIAL with a gender dial from 0 (balanced) to 1 (strongest), as in {PLANTED}:0.5."
        ) from None
    dials, limit = Dials(gender=dial, town=TOWN_DIAL), options.documents or WRITTEN
    reader = _Reader(name, lambda: (d.text for d in planted_corpus.documents(limit, dials, seed=options.seed)), options, limit)
    said = {"kind": PLANTED, "gender": dials.gender, "town": dials.town, "seed": options.seed}
    sha256 = hashlib.sha256()
    for text in reader.source():
        sha256.update(text.encode() + b"\0")
    said["sha256"] = sha256.hexdigest()
    return _texts(reader, said, {"corpus": name, **said, "warnings": []}, reader.count(progress))


def _sampled(name: str, card: ModelCard, options: TextOptions, room: Path, progress: Progress) -> Texts:
    """Documents that the model writes when they are first asked for."""
    sampling = Sampling(
        card=card, documents=options.documents or WRITTEN, tokens=options.sample_tokens, seed=options.seed, room=room,
        progress=progress, batching=options.batching,
    )  # fmt: skip
    tally: dict[str, int] = {}

    def source() -> Iterator[str]:
        found = {"sampled": 0, "tokens": 0, "cut_at_the_most_tokens": 0}
        for text, tokens, finish in sampling.read():
            found["sampled"] += 1
            found["tokens"] += tokens
            found["cut_at_the_most_tokens"] += finish == "length"
            yield text
        tally.update(found)

    reader = _Reader(name, source, options, None, tally)
    said = {"kind": SAMPLED, **sampling.identity, "documents": sampling.documents}
    provenance = {"corpus": name, **said, "prompt": "the start token alone", "warnings": []}
    count = reader.count(progress) if sampling.complete else None
    return dataclasses.replace(_texts(reader, said, provenance, count), asked=sampling.documents, cut=True)


def _texts(reader: _Reader, identity: Mapping[str, Any], provenance: Mapping[str, Any], count: int | None) -> Texts:
    """The texts of a reader; what it counts goes on appearing in the provenance."""
    shuffle = None if reader.options.shuffle is None else [reader.options.shuffle, reader.options.seed]
    further = {"limit": reader.limit, "shuffle": shuffle}
    return Texts(
        name=reader.name,
        identity={"texts": VERSION, **identity, **further},
        provenance={**provenance, **further, "read": reader.tally},
        documents=reader,
        count=count,
        asked=reader.limit,
    )


def _shuffled(texts: Iterator[str], size: int, seed: int) -> Iterator[str]:
    """Draws each next text from a buffer that holds so many; a buffer as long as the corpus shuffles all of it."""
    draw = random.Random(f"shuffle-{seed}")
    buffer = list(islice(texts, size))
    for text in texts:
        place = draw.randrange(size)
        yield buffer[place]
        buffer[place] = text
    draw.shuffle(buffer)
    yield from buffer


def split(texts: Texts, share: float, most: int) -> tuple[Texts, Texts]:
    """Divides texts into those that are trained on and those that are held out, by a hash of each document's content.

    So the same document is never on both sides, and another order changes neither side. Where the number of texts is known, or
    one was asked for, no larger share is held out than gives `most`; what there is beyond `most` is on neither side.

    Args:
        texts: of any kind.
        share: of the documents to be held out, above 0 and below 1.
        most: documents that are held out at most.

    Returns:
        The training texts and those held out, with their counts where that of `texts` is known (it is read once for that).

    Raises:
        FairbenchError: the share or the number can't be meant, or (also later, while a stream is read) a side is empty.
    """
    if not 0 < share < 1 or most < 1:
        raise FairbenchError(
            f"Found a share of {share} and at most {most} documents to be held out; wanted a share above 0 and below 1, and at "
            "least 1 document."
        )
    number = texts.asked or texts.count  # of a stream the count is known only once it was read: the share must not change then
    held = min(share, most / number) if number else share
    return _side(texts, "training", held, None), _side(texts, "held out", held, most)


def _side(texts: Texts, side: str, held: float, most: int | None) -> Texts:
    """The documents on one side."""

    def documents() -> Iterator[str]:
        empty = True
        shares = {"held out": held, "training": 1 - held}
        for text in islice((text for text in texts.documents() if part_of(text, shares, "learning") == side), most):
            empty = False
            yield text
        if empty:
            raise FairbenchError(
                f"--corpus {texts.name}: with a share of {held:.3g} held out no document is left for the {side} part. Wanted "
                "more documents, or another share."
            )

    part = {"side": side, "held_out_share": held, "most": most, "by": "sha256 of the document"}
    return dataclasses.replace(
        texts,
        identity={**texts.identity, "part": part},
        provenance={**texts.provenance, "part": part},
        documents=documents,
        count=None if texts.count is None else sum(1 for _ in documents()),
    )
