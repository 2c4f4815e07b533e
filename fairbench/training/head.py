"""What a classifier's logits say of the classes that a task asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairbench.errors import FairbenchError

if TYPE_CHECKING:
    import torch

NUMBERED = re.compile(r"(?:label_?)?(\d+)", re.IGNORECASE)
"""A label that only says its number: LABEL_0, or 0."""


@dataclass(frozen=True)
class Head:
    """The way from a classifier's logits to the probabilities of the asked classes; its torch code can be differentiated.

    Attributes:
        labels: names of the asked classes, by number.
        own: names of the classifier's labels, in the order of its logits.
        members: for each asked class the numbers of the classifier's labels that make it up; of a multi-label classifier only
            the positive class has any, the other one is what is left.
        multi_label: each of the classifier's labels has a sigmoid of its own; else they share one softmax.
        how: in words.
    """

    labels: tuple[str, ...]
    own: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]
    multi_label: bool
    how: str

    def probs(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities of the asked classes.

        Args:
            logits: (b, labels of the classifier).

        Returns:
            (b, asked classes), in the dtype of the logits.
        """
        return self.log_probs(logits).exp()

    def log_probs(self, logits: torch.Tensor) -> torch.Tensor:
        """Logs of `probs`, exact also where a probability is close to 1; (b, asked classes)."""
        import torch

        if self.multi_label:
            positive = next(number for number, members in enumerate(self.members) if members)
            # The likeliest of several positive labels speaks for all: they may hold together, so they can't be added up.
            score = logits[:, list(self.members[positive])].amax(-1)
            sides = [torch.nn.functional.logsigmoid(-score), torch.nn.functional.logsigmoid(score)]
            return torch.stack(sides if positive else sides[::-1], -1)
        logs = torch.log_softmax(logits, -1)
        return torch.stack([logs[:, list(members)].logsumexp(-1) for members in self.members], -1)

    def as_dict(self) -> dict[str, Any]:
        """How labels were mapped, for a result and for the hash."""
        made_of = [[self.own[i] for i in members] for members in self.members]
        return {
            "labels": list(self.labels),
            "made_of": made_of,
            "own": list(self.own),
            "multi_label": self.multi_label,
            "how": self.how,
        }


def map_labels(
    name: str,
    own: Sequence[str],
    asked: Sequence[str],
    *,
    own_positive: Sequence[str] = (),
    positive: Sequence[str] = (),
    chosen: Sequence[str] = (),
    multi_label: bool = False,
) -> Head:
    """Finds which of a classifier's labels make up each class of a task.

    Args:
        name: of the classifier, for messages.
        own: its labels, in the order of its logits.
        asked: the task's classes; none for those of the classifier itself.
        own_positive: those of `own` that count as positive where it decides between two, where that is known.
        positive: those of `asked` that do; none means the second of two.
        chosen: what the user names as positive of `own`.
        multi_label: the classifier's labels may hold together.

    Raises:
        FairbenchError: no way leads from one to the other.
    """
    own, asked = tuple(own), tuple(asked)
    folded = [label.casefold() for label in own]
    for label in chosen:
        if label.casefold() not in folded:
            raise FairbenchError(f"positive_labels: {name} has no label {label!r}. It has {', '.join(own)}.")
    if not multi_label and not chosen:
        if not asked:
            return Head(own, own, tuple((i,) for i in range(len(own))), False, "the classifier's own labels")
        if sorted(folded) == sorted(label.casefold() for label in asked) and len(set(folded)) == len(own):
            return Head(asked, own, tuple((folded.index(label.casefold()),) for label in asked), False, "labels of equal names")
        if len(own) == len(asked) and _numbered(own):
            return Head(asked, own, tuple((i,) for i in range(len(own))), False, "labels by number")
    if len(asked) != 2:
        raise _unlike(name, own, asked)
    names = {label.casefold() for label in (chosen or own_positive or positive or asked[1:])}
    found = tuple(i for i, label in enumerate(folded) if label in names)
    rest = tuple(i for i in range(len(own)) if i not in found)
    if not found or not (rest or multi_label):
        raise _unlike(name, own, asked)
    side = 0 if tuple(positive) == asked[:1] else 1
    joined = " + ".join(own[i] for i in found)
    how = f"{asked[side]} = {joined}" + (" (sigmoid)" if multi_label else "") + f", {asked[1 - side]} = the rest"
    members: list[tuple[int, ...]] = [() if multi_label else rest, found]
    return Head(asked, own, tuple(members if side else members[::-1]), multi_label, how)


def _numbered(own: Sequence[str]) -> bool:
    """Whether labels say nothing but their number, from 0 on."""
    found = [NUMBERED.fullmatch(label) for label in own]
    return all(match is not None and int(match[1]) == i for i, match in enumerate(found))


def _unlike(name: str, own: Sequence[str], asked: Sequence[str]) -> FairbenchError:
    todo = (
        "Say which of its labels are positive with --probe-options positive_labels=NAME+NAME, or name other training data with "
        "--train-on."
        if len(asked) == 2
        else "Use a classifier with those classes, or train one with --train-on."
    )
    return FairbenchError(
        f"{name} has the labels {', '.join(own)}, and the task asks for {', '.join(asked) or 'no classes by name'}: nothing says "
        f"which belong together. {todo}"
    )
