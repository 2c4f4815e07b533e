"""Reverses the roles of the genders in a text: every gendered word becomes its counterpart, all in one pass; names stay."""

from __future__ import annotations

import functools

from fairbench.counterfactual.gendered import gender
from fairbench.counterfactual.swapping import Reversed, Swap

__all__ = ["Reversed", "gender", "reverse"]


def reverse(text: str) -> Reversed:
    """Reverses the roles of the genders.

    Example:
        >>> reverse("Her brother gave her his keys; he's a gentleman.").text
        "His sister gave him her keys; she's a lady."
        >>> reverse("Is it hers, Sir?").alignment
        (((6, 10), (6, 9)), ((12, 15), (11, 16)))
    """
    return _swap().swap(text)


@functools.cache
def _swap() -> Swap:
    return Swap()
