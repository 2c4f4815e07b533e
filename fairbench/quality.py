"""Which pairs and clozes are not fit to show what they are meant to show, by rules that code can check."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def flags(table: pd.DataFrame, form: str) -> list[tuple[str, ...]] | None:
    """The rules that flag each row, by name; null where the form has no rules or the table does not hold the sentences.

    Args:
        table: answers or records of one form, a row a record.
        form: name of the record form.
    """
    return None
