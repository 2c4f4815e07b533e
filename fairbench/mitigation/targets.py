"""What the student is to say: the teacher's probabilities, merged with those in the role-reversed context.

Texts and their counterparts go through the teacher in one batch. A text without a gendered word is its own counterpart: its
second context is the first, and with the vocabulary mapped back the merge still acts on it ("the nurse said that ...").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from fairbench.mitigation.merge import merge, parts
from fairbench.mitigation.recipe import Recipe
from fairbench.mitigation.vocabulary import VocabularyMap
from fairbench.models.heads import fused_activations

Batch = Mapping[str, torch.Tensor]
"""`input_ids attention_mask` (rows, longest), `places` (rows, longest) with -1 where nothing is merged, and, if some row has a
counterpart, `other_ids other_mask` (those rows, longest) and `other_of` (rows): which of them is a row's, -1 for itself."""


def collate(rows: Sequence[Mapping[str, Any]], pad: int) -> dict[str, torch.Tensor]:
    """Rows as one batch, filled up at the right."""
    from fairbench.training.texts import padded

    batch = padded([row["input_ids"] for row in rows], pad)
    batch["words"] = _filled([row["words"] for row in rows])
    others = [row for row in rows if len(row["other_ids"])]
    if others:
        other = padded([row["other_ids"] for row in others], pad)
        numbers = iter(range(len(others)))
        batch |= {"other_ids": other["input_ids"], "other_mask": other["attention_mask"]}
        batch["other_words"] = _filled([row["other_words"] for row in others])
        batch["other_of"] = torch.tensor([next(numbers) if len(row["other_ids"]) else -1 for row in rows])
        batch["places"] = _filled([row["places"] if len(row["other_ids"]) else range(len(row["input_ids"])) for row in rows])
    return batch


def _filled(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Rows of numbers, filled up with -1."""
    found = torch.full((len(rows), max(len(row) for row in rows)), -1)
    for number, row in enumerate(rows):
        found[number, : len(row)] = torch.as_tensor(list(row))
    return found


@dataclass(frozen=True)
class Reading:
    """What a teacher says at the N real positions of a batch, row after row; merged when it is asked for.

    Attributes:
        logits: of all positions of texts and counterparts, (M, V).
        own: which of them belong to the N, (N,).
        paired: which of them each is merged with: itself where a text is its own counterpart, -1 where nothing is merged, (N,).
        states: last hidden states on the texts as they are, (N, width); null if they were not asked for.
        merged: the merge of logits (n, V) with logits (n, V), log-probabilities that may be written over the former.
    """

    logits: torch.Tensor
    own: torch.Tensor
    paired: torch.Tensor
    states: torch.Tensor | None
    merged: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

    def __len__(self) -> int:
        return len(self.own)

    @torch.no_grad()
    def part(self, positions: slice) -> torch.Tensor:
        """Log-probabilities (n, V) at some of the positions; a new tensor, in single precision or better."""
        own, paired = self.own[positions], self.paired[positions]
        kind = torch.promote_types(self.logits.dtype, torch.float32)
        z = self.logits.index_select(0, own).to(kind)
        alone = (paired < 0).nonzero().flatten()
        plain = z.index_select(0, alone).log_softmax(-1)
        paired = torch.where(paired < 0, own, paired)
        said = self.merged(z, z if torch.equal(own, paired) else self.logits.index_select(0, paired))
        return said.index_copy_(0, alone, plain) if len(alone) else said

    def whole(self) -> torch.Tensor:
        """Log-probabilities (N, V) at all positions."""
        return torch.cat([self.part(positions) for positions in parts(len(self), self.logits)])


@dataclass(frozen=True)
class Teacher:
    """A frozen network, and how its probabilities are merged.

    Attributes:
        network: in evaluation mode, without gradients.
        recipe: says how.
        vocabulary: what gendered words are mapped to; null for no map.
    """

    network: Any
    recipe: Recipe
    vocabulary: VocabularyMap | None = None

    def says(self, batch: Batch, hidden: bool = False) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Log-probabilities (N, V) at the N real positions of a batch, row after row, merged; and the last hidden states.

        Args:
            batch: from `collate`; masked words are masked in it already.
            hidden: also give the last hidden states (N, width) on the texts as they are.
        """
        reading = self.reads(batch, hidden)
        return reading.whole(), reading.states

    @torch.no_grad()
    def reads(self, batch: Batch, hidden: bool = False) -> Reading:
        """Reads texts and counterparts in one batch; nothing as large as the logits is made beside them.

        Args:
            batch: from `collate`; masked words are masked in it already.
            hidden: also keep the last hidden states (N, width) on the texts as they are.
        """
        ids, mask, others = batch["input_ids"], batch["attention_mask"], batch.get("other_ids")
        if self.recipe.merge == "none":
            others = None
        rows, longest = ids.shape
        if others is not None:
            longest = max(longest, others.shape[1])
            ids = _stacked(ids, others, longest, 0)  # what stands under a mask of 0 is not read
            mask = _stacked(mask, batch["other_mask"], longest, 0)
        with fused_activations(self.network):
            out = self.network(input_ids=ids, attention_mask=mask, output_hidden_states=hidden)
        row, place = batch["attention_mask"].nonzero(as_tuple=True)
        own = paired = row * longest + place
        if others is not None:
            to, at = batch["other_of"][row], batch["places"][row, place]
            paired = torch.where(to >= 0, (rows + to) * longest + at, own).masked_fill(at < 0, -1)
        states = out.hidden_states[-1].flatten(0, 1)[own] if hidden else None
        return Reading(out.logits.flatten(0, 1), own, paired, states, self._merged)

    def _merged(self, original: torch.Tensor, counterfactual: torch.Tensor) -> torch.Tensor:
        """The merge; a text that is its own counterpart is merged by the vocabulary alone, and without that not at all."""
        if self.recipe.merge == "none" or (counterfactual is original and self.vocabulary is None):
            return original.log_softmax(-1)
        return merge(
            original,
            counterfactual,
            self.recipe.merge,
            vocabulary_map=self.vocabulary,
            normalize=self.recipe.normalize,
            inplace=True,
        )


def _stacked(one: torch.Tensor, other: torch.Tensor, longest: int, fill: int) -> torch.Tensor:
    """Two batches one above the other, filled up to one length."""
    parts = [torch.nn.functional.pad(part, (0, longest - part.shape[1]), value=fill) for part in (one, other)]
    return torch.cat(parts)
