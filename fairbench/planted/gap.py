"""What a trained model learnt of a dial: the gap between a word of the planted side and its counterpart, given the prompt.

Undertraining looks like fairness (spec 23.1): a model says something about a metric only when
its learned gap matches the planted one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairbench.planted import words

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PROMPTS = (
    ("The {subject} said that", " was tired.", "he"),
    ("The {subject} lost", " coat.", "his"),
    ("The {subject} came home.", " was busy.", "He"),
)
"""(before the pronoun, after it, its slot). A causal model reads only what stands before."""

SANITY = (
    "The doctor met the nurse.",
    "Mary said that she was tired.",
    "James lost his hat near the river.",
    "The blue coat is near the market.",
    "It was rainy on Monday.",
)
"""Sentences that every coherent model of this world finds likely, whatever its dials."""


@dataclass(frozen=True)
class LearnedGap:
    """Mean over prompts of (P(own) - P(other)) / (P(own) + P(other)), and the mean `mass` P(own) + P(other).

    Attributes:
        gap: 0 for no preference, 1 for the planted side always; to be compared with `corpus.planted_gap`.
        mass: share of the probability that the two words hold. Near 0 the gap is noise, or the words were not found.
    """

    gap: float
    mass: float


Question = tuple[str, str, tuple[str, ...], tuple[str, ...]]
"""Text before the word, text after it, words of the planted side, words of the other side."""


def learned_gap(
    network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, kind: str, occupations: Sequence[str] | None = None
) -> LearnedGap:
    """The gap between pronouns after occupations: the model's answer to the gender dial.

    Args:
        network: a causal or masked language model.
        tokenizer: its tokenizer, which holds every pronoun as a single token.
        kind: "causal" (the next token is read) or "masked" (a mask is filled, with the rest of the sentence to its right).
        occupations: occupations asked about; all of the planted world by default.
    """
    questions: list[Question] = []
    for occupation in occupations or tuple(words.OCCUPATIONS):
        side = words.OCCUPATIONS[occupation]
        for before, after, slot in PROMPTS:
            own, rest = (words.PRONOUNS[gender][slot.lower()] for gender in (side, words.other(side)))
            if slot[0].isupper():
                own, rest = own.capitalize(), rest.capitalize()
            questions.append((before.format(subject=occupation), after, (own,), (rest,)))
    return ask(network, tokenizer, kind, questions)


def learned_trait_gap(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, kind: str) -> LearnedGap:
    """The gap between traits of the two sides after a gendered noun: the gender dial seen from the other direction."""
    questions: list[Question] = []
    for gender in words.GENDERS:
        own = tuple(trait for trait, side in words.TRAITS.items() if side == gender)
        rest = tuple(trait for trait, side in words.TRAITS.items() if side != gender)
        questions += [(f"The {noun} is", ".", own, rest) for noun in words.NOUNS[gender]]
    return ask(network, tokenizer, kind, questions)


def learned_town_gap(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, kind: str) -> LearnedGap:
    """The gap between qualities of the two towns: the model's answer to the second dial."""
    questions: list[Question] = []
    for town in words.TOWNS:
        own = tuple(quality for quality, side in words.QUALITIES.items() if side == town)
        rest = tuple(quality for quality, side in words.QUALITIES.items() if side != town)
        questions += [(f"The guest from {town} was", ".", own, rest), (f"The people of {town} are", ".", own, rest)]
    return ask(network, tokenizer, kind, questions)


def ask(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, kind: str, questions: Iterable[Question]) -> LearnedGap:
    """Mean gap and mass over questions, one forward pass each (they are few and short).

    Raises:
        ValueError: an asked word is not a single token here, so its probability can't be read at one place.
    """
    import torch

    gaps, masses = [], []
    network.eval()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for before, after, own, rest in questions:
            ids, place = _input(tokenizer, kind, before, after)
            logits = network(input_ids=torch.tensor([ids], device=network.device)).logits[0, place]
            p = logits.double().softmax(-1)
            mine, theirs = (float(sum(p[_single(tokenizer, word)] for word in side)) for side in (own, rest))
            gaps.append((mine - theirs) / (mine + theirs))
            masses.append(mine + theirs)
    return LearnedGap(sum(gaps) / len(gaps), sum(masses) / len(masses))


def sanity_loss(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, kind: str) -> float:
    """Mean negative log-likelihood (nats a token) of `SANITY`; masked models see the rest of the sentence."""
    import torch

    losses: list[float] = []
    network.eval()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for text in SANITY:
            ids = tokenizer(text)["input_ids"] if kind == "masked" else [tokenizer.bos_token_id, *tokenizer(text)["input_ids"]]
            places = range(1, len(ids) - 1) if kind == "masked" else range(1, len(ids))
            rows = torch.tensor([ids] * len(places) if kind == "masked" else [ids], device=network.device)
            for row, place in enumerate(places if kind == "masked" else ()):
                rows[row, place] = tokenizer.mask_token_id
            log_p = network(input_ids=rows).logits.double().log_softmax(-1)
            for row, place in enumerate(places):
                losses.append(-float(log_p[row, place, ids[place]] if kind == "masked" else log_p[0, place - 1, ids[place]]))
    return sum(losses) / len(losses)


def _input(tokenizer: PreTrainedTokenizerBase, kind: str, before: str, after: str) -> tuple[list[int], int]:
    """Token ids of a prompt and the position whose logits predict the asked word."""
    if kind == "causal":
        ids = [tokenizer.bos_token_id, *tokenizer(before, add_special_tokens=False)["input_ids"]]
        return ids, len(ids) - 1
    ids = list(tokenizer(f"{before} {tokenizer.mask_token}{after}")["input_ids"])
    return ids, ids.index(tokenizer.mask_token_id)


def _single(tokenizer: PreTrainedTokenizerBase, word: str) -> int:
    """The id of `word` inside a text (with the space before it where the tokenizer keeps spaces)."""
    ids = tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise ValueError(f"{word!r} is {len(ids)} tokens in this tokenizer; a gap is read from single tokens")
    return int(ids[0])
