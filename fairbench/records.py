"""What a task asks a model about: eight frozen forms, and the tables they become.

Every form carries the same row keys. Rows of one `cluster` are resampled together; draws keep the count of each `stratum`;
`source` is the id of the text that a record is a variant of; `meta` holds scalars of the data set. All but `id` may be null.
A record with `meta["unasked"]` is put to no model: that is the reason why it is left out (a word that a corpus does not hold).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Scalar = str | int | float | bool | None

ROW_KEYS = ("id", "group", "cluster", "stratum", "source")
"""Columns that every answers table has beside those of its form. `left_out` may be added by a probe: the reason, or null."""

SPLIT, TEST = "split", "test"
"""The name in `meta` of the part of the data that a record belongs to, and the part that is asked; the others train."""

UNASKED = "unasked"
"""The name in `meta` of the reason why a record is not put to a model."""

SUBJECT = "subject"
"""The name in `meta` of the words of a prompt that say whom it is about, exactly as they stand there ("The Black woman")."""

UNPARSED = "no option can be read out of the reply"
"""Why a choice is left out whose generated reply names none of the options."""

ROLES = ("target_x", "target_y", "attribute_a", "attribute_b")
"""Roles of an association test's stimuli: two target sets X, Y and two attribute sets A, B."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """The keys of every record; the forms below add what the model is asked."""

    id: str
    group: str | None = None
    cluster: str | None = None
    stratum: str | None = None
    source: str | None = None
    meta: Mapping[str, Scalar] = field(default_factory=dict)

    @property
    def split(self) -> str:
        """The part of the data that it belongs to; without a word on it the one that is asked."""
        return str(self.meta.get(SPLIT) or TEST)


@dataclass(frozen=True, kw_only=True)
class Association(Record):
    """One stimulus of an association test. `span` = (start, end) characters of the word in `text`; null for the whole text."""

    test: str
    role: str
    text: str
    span: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Pair(Record):
    """Two sentences that differ in who they are about: the `more` and the `less` stereotyping one."""

    more: str
    less: str


@dataclass(frozen=True, kw_only=True)
class Cloze(Record):
    """A context and three whole sentences. A context that holds the word BLANK is filled (intrasentence), else continued."""

    context: str
    stereotype: str
    antistereotype: str
    unrelated: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Slot(Record):
    """A template with [TARGET] and [ATTRIBUTE], and the words that go there (attribute null: the model fills it)."""

    template: str
    target: str
    attribute: str | None = None


@dataclass(frozen=True, kw_only=True)
class Choice(Record):
    """A prompt with options; `label`, `unknown`, `target` are indices into `options`.

    An empty prompt means that every option is a whole text (the readings of a sentence). `target` is the option that names the
    group which the stereotype is about, whatever the polarity. Where options are shown in several orders the table has a row for
    each; its `choice` is an index into `options` all the same.
    """

    prompt: str
    options: tuple[str, ...]
    label: int | None = None
    condition: str | None = None
    polarity: str | None = None
    unknown: int | None = None
    target: int | None = None


@dataclass(frozen=True, kw_only=True)
class Labelled(Record):
    """A text with its gold class (null where it has none) and the groups it speaks of, of several notions as "gender:female"."""

    text: str
    label: int | None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Prompt(Record):
    """A text to be continued. Its table has a row for each sample, and `meta.subject` is whom it is about."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Passage(Record):
    """A running text whose likelihood is measured."""

    text: str


FORMS: dict[str, type[Record]] = {c.__name__: c for c in (Association, Pair, Cloze, Slot, Choice, Labelled, Prompt, Passage)}
"""The record forms by name."""


def as_row(record: Record) -> dict[str, Any]:
    """A record as one flat table row: its keys and fields, tuples as lists, `meta` as `meta.<name>` columns."""
    row: dict[str, Any] = {}
    for f in dataclasses.fields(record):
        value = getattr(record, f.name)
        if f.name == "meta":
            row.update({f"meta.{name}": scalar for name, scalar in value.items()})
        else:
            row[f.name] = list(value) if isinstance(value, tuple) else value
    return row


def to_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Records of one form as a table, a row a record, without any model's answers."""
    import pandas as pd

    return pd.DataFrame([as_row(record) for record in records])
