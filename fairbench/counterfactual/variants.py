"""Counterfactual variants of labelled texts: the same text about somebody else, with the original's id as `source`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fairbench.asked import Asked
from fairbench.counterfactual.identity import exchanges
from fairbench.counterfactual.roles import reverse
from fairbench.errors import FairbenchError, did_you_mean
from fairbench.records import UNASKED, Labelled, Record

Variant = tuple[str, dict[str, str]]
"""A text, and what its record's `meta` says of it: notion, term, replacement."""


def with_variants(asked: Asked, kind: str) -> Asked:
    """The texts of a task that have variants, each followed by them.

    A variant `<id>~<n>` has its original's label, stratum and cluster (the original's id where it has none), and the original's
    `meta` with `notion`, `term` and `replacement`. It has no groups: those of the original are not whom it speaks of.

    Args:
        asked: the records of a task of Labelled texts.
        kind: "terms" (each identity term exchanged for others of its notion) or "roles" (the genders' roles reversed).

    Returns:
        The same with other records; its provenance counts the texts without a variant, which are not asked.

    Raises:
        FairbenchError: there is no such kind, the records are no labelled texts, or none of them has a variant.
    """
    if kind not in _KINDS:
        raise FairbenchError(
            f"There are no variants of the kind {kind!r}.{did_you_mean(kind, _KINDS)} Wanted {' or '.join(_KINDS)}."
        )
    if asked.task.info.form != "Labelled":
        raise FairbenchError(
            f"{asked.task.name}: its records are {asked.task.info.form}; wanted Labelled texts, of which variants can be made."
        )
    counts = _counts(asked, kind)
    if not counts["variants"]:
        raise FairbenchError(
            f"{asked.task.name}: none of the {counts['texts_without']} texts that are asked has a counterfactual variant "
            f"({kind}). Looked for was {_KINDS[kind].wanted}. Choose another task, or variants of another kind with "
            "--counterfactual."
        )
    return asked.with_records(_Records(asked, kind), counterfactual={"kind": kind, **counts})


def _counts(asked: Asked, kind: str) -> dict[str, int]:
    counts = {"texts_with_variants": 0, "texts_without": 0, "variants": 0}
    for record in asked.records():
        if not record.meta.get(UNASKED):
            made = sum(1 for _ in _made(record, kind))
            counts["texts_with_variants" if made else "texts_without"] += 1
            counts["variants"] += made
    return counts


@dataclass(frozen=True)
class _Records:
    """Originals and their variants, made anew each time that they are gone through."""

    asked: Asked
    kind: str

    def __iter__(self) -> Iterator[Record]:
        for record in self.asked.records():
            if record.meta.get(UNASKED):  # it is left out, and counted, by its own reason
                yield record
                continue
            variants = list(_made(record, self.kind))
            if variants:
                yield dataclasses.replace(record, cluster=record.cluster or record.id)
                yield from variants


def _made(record: Record, kind: str) -> Iterator[Labelled]:
    """The variants of a record, numbered from 1."""
    assert isinstance(record, Labelled), f"{record.id} is a {type(record).__name__}"
    for number, (text, said) in enumerate(_KINDS[kind].make(record.text), 1):
        yield dataclasses.replace(
            record, id=f"{record.id}~{number}", source=record.id, group=None, groups=(), cluster=record.cluster or record.id,
            text=text, meta={**record.meta, **said},
        )  # fmt: skip


def _by_terms(text: str) -> Iterator[Variant]:
    """Every identity of the text exchanged for every other of its notion."""
    for made in exchanges(text):
        yield made.text, {"notion": made.notion, "term": made.term, "replacement": made.replacement}


def _by_roles(text: str) -> Iterator[Variant]:
    """The text with the genders' roles reversed, if it holds a gendered word."""
    made = reverse(text)
    if made.text != text:
        pairs = dict.fromkeys((text[slice(*old)].lower(), made.text[slice(*new)].lower()) for old, new in made.alignment)
        old, new = zip(*pairs, strict=True)
        yield made.text, {"notion": "gender", "term": ", ".join(old), "replacement": ", ".join(new)}


@dataclass(frozen=True)
class _Kind:
    """How variants are made, and what a text must hold to have one, in words."""

    make: Callable[[str], Iterator[Variant]]
    wanted: str


_KINDS = {
    "terms": _Kind(_by_terms, "one of the 50 identity terms of Dixon et al. 2018, such as gay, Muslim, black, old or deaf"),
    "roles": _Kind(_by_roles, "a gendered word, such as she, his, father, actress or Mr."),
}
