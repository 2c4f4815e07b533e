"""Counterfactual variants of labelled texts: the same text about somebody else, with the original's id as `source`."""

from __future__ import annotations

from fairbench.asked import Asked


def with_variants(asked: Asked, kind: str) -> Asked:
    """The texts of a task that have variants, each followed by them.

    Args:
        asked: the records of a task of Labelled texts.
        kind: "terms" (each identity term exchanged for others of its notion) or "roles" (the genders' roles reversed).

    Returns:
        The same with other records; its provenance counts the texts without a variant, which are not asked.
    """
    raise NotImplementedError
