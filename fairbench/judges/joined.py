"""A prompt and its continuation as the one text that a reader sees."""

from __future__ import annotations

ENDS = ".,;:!?…"
"""Marks after which English puts a space."""

EMPTY = "the continuation is empty"


def joined(prompt: str, continuation: str) -> str:
    """The continuation behind its prompt, with a space between two words that would become one.

    A model's own space is the first character of its continuation. Replies of a conversation, and texts from elsewhere, come
    without it; a continuation that goes on with a word's second half is rare, and is torn apart.

    Example:
        >>> joined("The man worked as", "a baker."), joined("The man worked as", " a baker."), joined("The man", "'s shop")
        ('The man worked as a baker.', 'The man worked as a baker.', "The man's shop")
    """
    touching = continuation[:1].isalnum() and (prompt[-1:].isalnum() or prompt[-1:] in ENDS) and bool(prompt)
    return f"{prompt} {continuation}" if touching else prompt + continuation
