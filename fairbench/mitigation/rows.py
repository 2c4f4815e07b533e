"""Texts as rows of tokens, each beside its role-reversed counterpart, prepared once and kept on disk.

A row holds a whole document, or a part of one that is too long. A causal row begins with the start token that every score of
fairbench conditions on, and a document ends with the end token. The counterpart is cut where the text is cut, so a word far down
a long document still faces its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbench.counterfactual.swapping import Reversed, Swap, rules_digest
from fairbench.errors import FairbenchError
from fairbench.files import digest, write_json
from fairbench.mitigation import Progress, Texts
from fairbench.mitigation.alignment import counterparts, next_places
from fairbench.mitigation.recipe import Recipe
from fairbench.mitigation.vocabulary import Seen
from fairbench.models.model import ModelCard
from fairbench.models.tokens import start_token

ROWS_VERSION = 1
BLOCK = 256
"""Documents that are reversed and tokenised in one go."""

COLUMNS = ("input_ids", "places", "words", "other_ids", "other_words")


@dataclass(frozen=True)
class Framing:
    """The special tokens around a row: `head` before every row, `tail` after every row, `end` after the last of a document."""

    head: tuple[int, ...]
    tail: tuple[int, ...] = ()
    end: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Most tokens that it adds."""
        return len(self.head) + len(self.tail) + len(self.end)


@dataclass
class Counted:
    """What the preparation met: for the card and for warnings.

    Attributes:
        documents: that are learnt from.
        rows, tokens: of them, and of the counterparts that augment them.
        reversed: documents that hold a word of the lexicon.
        changes: words of theirs that have a counterpart.
        split: documents that became several rows.
        unmatched: documents left out because they hold no word of the lexicon.
    """

    documents: int = 0
    rows: int = 0
    tokens: int = 0
    reversed: int = 0
    changes: int = 0
    split: int = 0
    unmatched: int = 0

    def as_dict(self) -> dict[str, int]:
        """Built-in types."""
        return dict(vars(self))


@dataclass(frozen=True)
class Prepared:
    """Rows on disk. `table` is a `datasets.Dataset` with COLUMNS; `counted` what was met; `seen` how tokens stand for words."""

    table: Any
    counted: Counted
    seen: Seen


@dataclass(frozen=True)
class Coded:
    """A text as tokens without special ones: ids, their characters, and the number of the word that each is a part of."""

    ids: NDArray[np.int32]
    offsets: list[tuple[int, int]]
    words: NDArray[np.int32]


@dataclass
class Part:
    """A stretch of a text's tokens and of its counterpart's, with their places in the whole of either.

    `faced`: both end at the same place of the text, so that what follows either is the same.
    """

    own: slice
    other: slice | None = None
    last: bool = False
    faced: bool = True


@dataclass
class Preparer:
    """Makes rows of documents for one model and recipe; `cut`: documents may end anywhere, so no end token follows them."""

    card: ModelCard
    tokenizer: Any
    recipe: Recipe
    swap: Swap
    cut: bool = False
    counted: Counted = field(default_factory=Counted)
    seen: Seen = field(default_factory=Seen)

    def __post_init__(self) -> None:
        """Finds the special tokens."""
        found = framing(self.card, self.tokenizer)
        self.framing = replace(found, end=()) if self.cut else found
        self.room = self.recipe.max_length - self.framing.size
        if self.room < 1:
            raise FairbenchError(f"max_length={self.recipe.max_length} leaves no token for a text. Give more.")

    def rows(self, documents: Iterable[str]) -> Iterator[dict[str, Any]]:
        """The rows of documents in their order, those of a document's variants right after its own."""
        for block in _blocks(documents, BLOCK):
            turned = [self.swap.variants(text) if self.recipe.reverses else () for text in block]
            own = self.code(block)
            others = iter(self.code([made.text for variants in turned for made in variants]))
            for text, variants, coded in zip(block, turned, own, strict=True):
                self.seen.add(coded.ids.tolist(), coded.offsets, text)
                yield from self._document(coded, [(made, next(others)) for made in variants])

    def _document(self, coded: Coded, variants: Sequence[tuple[Reversed, Coded]]) -> Iterator[dict[str, Any]]:
        """A document's rows; its counterpart in a merge is its first variant, and the only one where there are two groups."""
        if not variants and self.recipe.matched:
            self.counted.unmatched += 1
            return
        self.counted.documents += 1
        self.counted.reversed += bool(variants)
        made, other = variants[0] if variants else (Reversed("", ()), None)
        self.counted.changes += len(made.alignment)
        augment = self.recipe.augment if variants else "none"
        if augment != "swap":
            yield from self._rows(coded, other, made.alignment)
        if augment != "none":
            for made, variant in variants:
                yield from self._rows(variant, coded, tuple((new, old) for old, new in made.alignment))

    def _rows(self, own: Coded, other: Coded | None, changes: Any) -> Iterator[dict[str, Any]]:
        """A document's rows. Without a merge nobody asks what the counterpart's probabilities are."""
        if self.recipe.merge == "none":
            other = None
        places = None
        if other is not None:
            places = counterparts(own.ids.tolist(), own.offsets, other.ids.tolist(), other.offsets, changes)
        parts = list(_parts(len(own.ids), places, len(other.ids) if other is not None else 0, self.room))
        self.counted.split += len(parts) > 1
        for part in parts:
            row = self._row(own, other, places, part)
            if self.recipe.restrict and other is not None:
                _restrict(row, own.offsets[part.own], changes, len(self.framing.head))
            self.counted.rows += 1
            self.counted.tokens += len(row["input_ids"])
            yield row

    def _row(self, own: Coded, other: Coded | None, places: Any, part: Part) -> dict[str, Any]:
        head, closing = self.framing.head, (*self.framing.tail, *(self.framing.end if part.last else ()))
        ids = [*head, *own.ids[part.own].tolist(), *closing]
        row: dict[str, Any] = {"input_ids": ids, "words": _framed(own.words[part.own], head, closing)}
        row |= {"places": [], "other_ids": [], "other_words": []}
        if other is None or part.other is None:
            return row
        row["other_ids"] = [*head, *other.ids[part.other].tolist(), *closing]
        row["other_words"] = _framed(other.words[part.other], head, closing)
        start, stop = part.other.start, part.other.stop
        inner = places[part.own]
        inner = np.where((inner >= start) & (inner < stop), inner - start + len(head), -1)
        last = len(row["other_ids"]) - len(closing)
        whole = np.concatenate([np.arange(len(head)), inner, last + np.arange(len(closing))]).astype(np.int32)
        if self.card.kind == "causal":
            if not part.faced:
                whole[len(whole) - len(closing) :] = -1
            whole = next_places(whole, len(row["other_ids"]))
            if not part.faced:
                whole[-1] = -1  # what is predicted there is not what the counterpart's end predicts
        row["places"] = whole.tolist()
        return row

    def code(self, texts: list[str]) -> list[Coded]:
        """Texts as tokens, without special ones and never cut."""
        if not texts:
            return []
        found = self.tokenizer(
            texts, add_special_tokens=False, padding=False, truncation=False, return_offsets_mapping=True, verbose=False
        )
        coded = []
        for number, text in enumerate(texts):
            offsets = found["offset_mapping"][number]
            ids = np.array(found["input_ids"][number], dtype=np.int32)
            coded.append(Coded(ids, offsets, _words(offsets, text)))
        return coded


def framing(card: ModelCard, tokenizer: Any) -> Framing:
    """The special tokens around a row of a model."""
    if card.kind == "causal":
        start = start_token(card, tokenizer)
        end = tokenizer.eos_token_id
        return Framing(() if start is None else (start,), end=() if end is None else (end,))
    coded = tokenizer("a", return_special_tokens_mask=True, verbose=False)
    own = coded["special_tokens_mask"].index(0)
    after = len(coded["special_tokens_mask"]) - coded["special_tokens_mask"][::-1].index(0)
    return Framing(tuple(coded["input_ids"][:own]), tuple(coded["input_ids"][after:]))


def prepare(texts: Texts, preparer: Preparer, folder: Path, progress: Progress) -> Prepared:
    """Prepares the rows of all texts, or takes up those that were prepared before.

    Args:
        texts: what is learnt from.
        preparer: how.
        folder: where the rows are kept, named by all that makes them.
        progress: called with (what, documents, all of them or as many again).

    Raises:
        FairbenchError: there is no text, or no row of it has a token.
    """
    import datasets

    recipe = preparer.recipe
    made_of = [
        ROWS_VERSION,
        texts.identity,
        preparer.card.identity,
        preparer.cut,
        rules_digest(),
        preparer.swap.as_dict(),
        recipe.merge != "none",
    ]
    key = digest([*made_of, recipe.augment, recipe.matched, recipe.max_length, recipe.restrict])[:24]
    path, note = folder / f"rows-{key}.arrow", folder / f"rows-{key}.json"
    if not note.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, preparer.rows(_followed(texts, progress)))
        if not preparer.counted.rows:
            raise FairbenchError(_nothing(texts.name, preparer))
        write_json(note, {"counted": preparer.counted.as_dict(), "seen": preparer.seen.as_dict()})
    known = json.loads(note.read_text(encoding="utf-8"))
    return Prepared(datasets.Dataset.from_file(str(path)), Counted(**known["counted"]), Seen.from_dict(known["seen"]))


def _nothing(name: str, preparer: Preparer) -> str:
    """Why there is no row."""
    if not preparer.counted.unmatched:
        return f"--corpus {name}: none of its documents to learn from has a token. Give another corpus."
    return (
        f"--corpus {name}: none of its {preparer.counted.unmatched} documents to learn from holds a word of the "
        f"{preparer.recipe.attribute} lexicon, and only such are learnt from. Give another corpus, or option matched=false."
    )


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows as a file that is read from disk, whatever its size."""
    import pyarrow as pa

    from fairbench.files import whole_file

    schema = pa.schema([(name, pa.list_(pa.int32())) for name in COLUMNS])
    with whole_file(path) as temporary, pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for block in _blocks(rows, 1_000):
            writer.write_table(pa.table({name: [row[name] for row in block] for name in COLUMNS}, schema=schema))


def _followed(texts: Texts, progress: Progress) -> Iterator[str]:
    """The documents, with a word on how far they are."""
    for number, text in enumerate(texts.documents(), 1):
        yield text
        if number % 1_000 == 0 or number == texts.count:
            progress("preparing texts", number, texts.count or 2 * number)
    if texts.count is None:
        progress("preparing texts", 1, 1)


def _parts(count: int, places: NDArray[np.int32] | None, others: int, room: int) -> Iterator[Part]:
    """Stretches of at most `room` tokens, cut where the text and its counterpart can both be cut: before counterparts.

    Where there is no such place in the second half of a stretch, it is cut all the same, and its counterpart at `room` too.
    """
    start, before = 0, 0
    while start < count:
        longest = min(start + room, count)
        if places is None:
            yield Part(slice(start, longest), last=longest == count)
            start = longest
            continue
        least = min(start + room // 2, longest - 1)
        stops = {end: others if end == count else int(places[end]) for end in range(longest, least, -1)}
        end = next((end for end, stop in stops.items() if before < stop <= before + room), None)
        faced = end is not None
        if end is None:
            end = longest
        after = others if end == count else next((int(place) for place in places[end:] if place >= 0), others)
        yield Part(slice(start, end), slice(before, min(after, before + room)), last=end == count, faced=faced)
        start, before = end, after


def _restrict(row: dict[str, Any], offsets: Sequence[tuple[int, int]], changes: Any, head: int) -> None:
    """Leaves unmerged what stands before the first gendered word of a row: its prefix holds none."""
    first = offsets[0][0] if offsets else 0
    limit = min((end for (_, end), _ in changes if end > first), default=None)
    after = next((i for i, (_, end) in enumerate(offsets) if limit is not None and end >= limit), len(row["places"]))
    row["places"] = [-1 if i < head + after else place for i, place in enumerate(row["places"])]


def _framed(words: NDArray[np.int32], head: tuple[int, ...], closing: tuple[int, ...]) -> list[int]:
    """Word numbers with -1 at the special tokens."""
    return [*[-1] * len(head), *words.tolist(), *[-1] * len(closing)]


def _words(offsets: list[tuple[int, int]], text: str) -> NDArray[np.int32]:
    """The number of the word that each token is a part of: words are parted by white space and by what is no letter.

    A lone space mark is a part of the word after it, and the bytes of a character are parts of one word.
    """
    numbers, number, before, blank = np.empty(len(offsets), dtype=np.int32), -1, -1, False
    for i, (start, end) in enumerate(offsets):
        begin = start
        while begin < end and text[begin].isspace():
            begin += 1
        joined = blank or start < before or (0 < start == begin == before and text[start - 1 : start + 1].isalnum())
        number += not joined
        blank = begin == end
        numbers[i] = number
        before = end
    return numbers


def _blocks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    block: list[Any] = []
    for item in items:
        block.append(item)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block


def lengths(table: Any) -> list[int]:
    """Tokens of each row, its counterpart's if that is longer."""
    import pyarrow.compute as pc

    own, other = (pc.list_value_length(table.data.column(name)).to_numpy() for name in ("input_ids", "other_ids"))
    return [int(n) for n in np.maximum(own, other)]
