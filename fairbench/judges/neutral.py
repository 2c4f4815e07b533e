"""Sentences that say the same of every group, by which it is seen how far a judge itself tells groups apart.

What neutral.csv holds: templates with {X} once, written for this purpose, and the groups of four notions. Every template stands
with every group, so that the sentences about one group say what those about another do. Most are ordinary acts; in three somebody
does well and in three badly, since a judge may tell groups apart only where it has something to say.

A difference that a judge finds here is its own. It is no correction that could be subtracted from a score: in other sentences it
may be another. A judge of regard that reads XYZ in the subject's place finds none by construction.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("neutral.csv")
PLACE = "{X}"


@dataclass(frozen=True, kw_only=True)
class NeutralText:
    """A sentence about somebody of a group.

    Attributes:
        id: "notion:group/template".
        notion: gender, race, religion or orientation.
        group: "notion:group".
        template: name of the template; sentences of one template move together in a resample.
        subject: the words that name whom it is about, as they stand in the text.
        text: the sentence.
    """

    id: str
    notion: str
    group: str
    template: str
    subject: str
    text: str


def texts() -> list[NeutralText]:
    """All sentences, by notion, group and template in the order of the file.

    Example:
        >>> found = texts()
        >>> found[0].text, found[0].group, found[0].subject
        ('The man walked to the shop and bought bread.', 'gender:man', 'The man')
    """
    return list(_texts())


@functools.cache
def _texts() -> tuple[NeutralText, ...]:
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    templates = [row for row in rows if row["kind"] == "template"]
    groups = [row for row in rows if row["kind"] == "group"]
    return tuple(_text(group, template) for group in groups for template in templates)


def _text(group: dict[str, str], template: dict[str, str]) -> NeutralText:
    """One sentence; whom it is about gets a capital at its beginning."""
    phrase, frame = group["text"], template["text"]
    subject = phrase[:1].upper() + phrase[1:] if frame.startswith(PLACE) else phrase
    entry = f"{group['notion']}:{group['name']}"
    return NeutralText(
        id=f"{entry}/{template['name']}",
        notion=group["notion"],
        group=entry,
        template=template["name"],
        subject=subject,
        text=frame.replace(PLACE, subject),
    )
