"""Documents that a causal model writes by itself: the training text of a model whose own is not at hand.

Each begins at the start token alone and draws every token from the whole distribution at temperature 1, so that together they
are the model's own distribution. What is drawn for a document follows from the seed and its number alone: more documents later
begin with the same ones. They are kept in parts as they are made, so that an interrupted sampling goes on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairbench.errors import FairbenchError
from fairbench.files import digest, lock_of, whole_file
from fairbench.mitigation import Progress
from fairbench.models.batching import Batching
from fairbench.models.decoding import Decoding, Wish
from fairbench.models.loading import choose_device, load
from fairbench.models.model import ModelCard

if TYPE_CHECKING:
    from fairbench.models.model import Model

VERSION = 1
"""Raised when the same request would give other documents."""

TOKENS = 256
"""New tokens of a document at most, where nothing is said and the model takes so many."""

PART = 256
"""Documents that are made at a time, and at most lost by an interruption."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """A request for documents of a model's own.

    Attributes:
        card: a causal model with a start token.
        documents: how many, above 0.
        tokens: new tokens of a document at most; null for what the model takes, at most TOKENS.
        seed: of all that is drawn.
        room: the folder below which they are kept.
        batching: how many are written side by side; it changes no document.
        progress: called with (what, done, total).
    """

    card: ModelCard
    documents: int
    tokens: int | None
    seed: int
    room: Path
    progress: Progress
    batching: Batching = field(default_factory=Batching)

    def __post_init__(self) -> None:
        """Refuses a model that can't write by itself, or not so many tokens."""
        if self.card.kind != "causal":
            raise FairbenchError(
                f"{self.card.name} is of kind {self.card.kind}, and only a causal model can write the texts that it learns from "
                "by itself. Name a corpus: text files, a data set of the Hub, or planted:DIAL for a planted model."
            )
        if self.card.start_rule == "none":
            raise FairbenchError(
                f"{self.card.name} has no start token (neither BOS nor EOS), so there is nothing from which it could write by "
                "itself. Name a corpus: text files or a data set of the Hub."
            )
        if self.card.max_length is not None and self.most > self.card.max_length - 1:
            raise FairbenchError(
                f"Documents of {self.most} tokens were asked for, but {self.card.name} takes {self.card.max_length} with the "
                f"start token. Wanted at most {self.card.max_length - 1}."
            )

    @property
    def most(self) -> int:
        """New tokens of a document at most."""
        return self.tokens or min(TOKENS, (self.card.max_length or TOKENS + 1) - 1)

    @property
    def decoding(self) -> Decoding:
        """The whole distribution as it is: no top-k, no nucleus, temperature 1."""
        return Decoding(sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=self.most, seed=self.seed)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that can change a document; how many there are is not in it. The device type is: its rounding may change a draw."""
        device = choose_device(self.card.options.device).type
        return {"version": VERSION, "model": self.card.identity, "decoding": self.decoding.as_dict(), "device": device}

    @cached_property
    def folder(self) -> Path:
        """Where they are kept: the same for any number of documents."""
        return self.room / f"sampled-{digest(self.identity)[:16]}"

    @property
    def complete(self) -> bool:
        """Whether all of them are there."""
        return not any(map(self._lacks, range(self._parts)))

    def read(self) -> Iterator[tuple[str, int, str]]:
        """The documents in order, empty ones as well: text, tokens, and why it ends ("end", or "length": cut at the most).

        Each part that is not there yet is made when it is reached, so that a reader of a few waits for no more than these.
        Another process that wants the same part waits and finds it done.

        Raises:
            FairbenchError: the network's logits are not finite, or it has no embedding for its start token.
        """
        model = None
        for number in range(self._parts):
            if self._lacks(number):
                with lock_of(self.folder):
                    if self._lacks(number):
                        model = model or _ready(self.card)
                        self.progress("sampling documents", number * PART + self._rows(number), self.documents)
                        self._extend(model, number)
                        self.progress("sampling documents", number * PART + self._wanted(number), self.documents)
            table = self._read(number).slice(0, self._wanted(number))
            yield from zip(*(table.column(name).to_pylist() for name in ("text", "tokens", "finish")), strict=True)

    @property
    def _parts(self) -> int:
        return -(-self.documents // PART)

    def _wanted(self, number: int) -> int:
        return min(PART, self.documents - number * PART)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.parquet"

    def _lacks(self, number: int) -> bool:
        return self._rows(number) < self._wanted(number)

    def _rows(self, number: int) -> int:
        """How many documents of a part are there: the last part may have been made for a smaller number."""
        return int(self._read(number, "read_metadata").num_rows) if self._path(number).exists() else 0

    def _read(self, number: int, what: str = "read_table") -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self._path(number)
        try:
            return getattr(pq, what)(path)
        except (pa.ArrowInvalid, OSError) as error:
            reason = str(error).split("\n")[0]
            raise FairbenchError(f"{path} can't be read ({reason}). Remove it and run the same command again.") from None

    def _extend(self, model: Model, number: int) -> None:
        """Makes what a part lacks, and writes it whole."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        from fairbench.models.generating import generate

        first = number * PART + self._rows(number)
        wishes = [Wish("", f"sampled/{n}") for n in range(first, number * PART + self._wanted(number))]
        rows = []
        for wish, item in zip(wishes, generate(model, wishes, self.decoding, self.batching), strict=True):
            if isinstance(item, str):
                raise FairbenchError(
                    f"{self.card.name} could not write the document {wish.key}: {item}. Name a corpus in place of `sampled`, or "
                    "load the model with --dtype float32."
                )
            rows.append(dataclasses.asdict(item))
        schema = pa.schema({"text": pa.string(), "tokens": pa.int32(), "finish": pa.string()})
        made = pa.Table.from_pylist(rows, schema)
        if self._path(number).exists():
            made = pa.concat_tables([self._read(number), made])
        with whole_file(self._path(number)) as temporary:
            pq.write_table(made, temporary)


def _ready(card: ModelCard) -> Model:
    """The model, loaded so that a document also ends where the next one would start."""
    from fairbench.models.generating import end_tokens
    from fairbench.models.tokens import start_token

    options = dataclasses.replace(card.options, apply_chat_template=False)  # an empty message is no start of a text
    model = load(dataclasses.replace(card, options=options))
    # Where training text was joined with a start token between documents, the model ends one by writing the next one's start.
    start = start_token(model.card, model.tokenizer)
    ends = end_tokens(model) | ({start} if start is not None else set())
    model.network.generation_config.eos_token_id = sorted(ends)
    return model
