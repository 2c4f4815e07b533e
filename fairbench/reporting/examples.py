"""Some records of each result, with what the model made of them: the ones that carry the score, and not only the worst."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.collection import Collection, Fault, Found
from fairbench.comparison.sharing import answers_of
from fairbench.errors import FairbenchError, Undefined
from fairbench.reporting.contents import Example, Examples
from fairbench.scores import TaskInfo
from fairbench.wording import figure

if TYPE_CHECKING:
    import pandas as pd

LONGEST = 600
"""A text is cut after so many characters."""

NOTICE = "These records are from a data set about stereotypes or hate, or were written by a model: they may hurt."
"""Where the task itself says nothing."""


def examples_of(
    collection: Collection, tasks: Mapping[str, TaskInfo], count: int, file_of: Callable[[Found], str]
) -> tuple[dict[str, Examples], list[Fault]]:
    """Examples of every result whose answers are kept, once for each table of answers.

    Args:
        collection: the results.
        tasks: cards, for their content warnings.
        count: how many records of each kind.
        file_of: the name of a result's file in the tidy table.

    Returns:
        By file the examples, and faults of answers that were changed.
    """
    made: dict[str, Examples] = {}
    faults: list[Fault] = []
    seen: set[Any] = set()
    for one in collection.found if count else ():
        if one.answers in seen:
            continue
        try:
            table = answers_of(one)
        except Undefined:
            continue
        except FairbenchError as error:
            faults.append(Fault(one.path, str(error)))
            continue
        found = _examples(one, table, count)
        if found is not None:
            seen.add(one.answers)
            info = tasks.get(one.task)
            notice = (info.content_warning if info else None) or NOTICE
            made[file_of(one)] = Examples(file_of(one), found[0], notice, tuple(found[1]), len(table))
    return made, faults


def _examples(one: Found, table: pd.DataFrame, count: int) -> tuple[str, list[Example]] | None:
    """Which records are shown, in words, and the records; null for a form that nobody reads record by record."""
    choose = _CHOOSE.get(str(one.result.task["form"]))
    if choose is None or not len(table):
        return None
    if "left_out" in table.columns:
        table = table[table["left_out"].isna() | (table["left_out"] == "")]
    return choose(table.reset_index(drop=True), count) if len(table) else None


def _by_margin(first: str, second: str, texts: tuple[str, ...]) -> Callable[..., tuple[str, list[Example]]]:
    """Records with the largest margin to either side, and those nearest to a tie."""

    def choose(table: pd.DataFrame, count: int) -> tuple[str, list[Example]]:
        margin = table[first].to_numpy(dtype=float) - table[second].to_numpy(dtype=float)
        known = np.flatnonzero(np.isfinite(margin))
        order = known[np.argsort(margin[known], kind="stable")]
        nearest = known[np.argsort(np.abs(margin[known]), kind="stable")][:count]
        chosen = list(dict.fromkeys([*order[::-1][:count], *order[:count], *nearest]))
        made = []
        for number in chosen:
            row = table.iloc[int(number)]
            fields = {name.replace("_", " "): _text(row[name]) for name in texts if name in table.columns}
            fields |= {"margin": f"{margin[number]:+.3f} nats ({'stereotype' if margin[number] > 0 else 'other'} preferred)"}
            made.append(Example(str(row["id"]), _group(row), fields))
        return f"the {count} with the largest margin to either side, and the {count} nearest to a tie", made

    return choose


def _labelled(table: pd.DataFrame, count: int) -> tuple[str, list[Example]]:
    """Wrong decisions first, drawn at random with a fixed seed."""
    if "prediction" in table.columns:
        wrong = np.flatnonzero((table["prediction"] != table["label"]).to_numpy() & table["label"].notna().to_numpy())
    else:
        wrong = np.arange(len(table))
    said = f"{min(count, len(wrong))} of {len(wrong)} wrong decisions, drawn at random"
    return said, [_row(table, number, ("text", "label", "prediction", "probs")) for number in _drawn(wrong, count)]


def _choice(table: pd.DataFrame, count: int) -> tuple[str, list[Example]]:
    said = f"{min(count, len(table))} of {len(table)} choices, drawn at random"
    names = ("prompt", "options", "label", "choice", "condition", "polarity", "reply")
    return said, [_row(table, number, names) for number in _drawn(np.arange(len(table)), count)]


def _prompt(table: pd.DataFrame, count: int) -> tuple[str, list[Example]]:
    said = f"{min(count, len(table))} of {len(table)} continuations, drawn at random"
    names = ("text", "continuation", "sentiment", "toxicity", "regard", "polarity", "refusal")
    return said, [_row(table, number, names) for number in _drawn(np.arange(len(table)), count)]


_CHOOSE: Mapping[str, Callable[[pd.DataFrame, int], tuple[str, list[Example]]]] = {
    "Pair": _by_margin("score_more", "score_less", ("more", "less")),
    "Cloze": _by_margin("score_stereotype", "score_antistereotype", ("context", "stereotype", "antistereotype", "unrelated")),
    "Labelled": _labelled,
    "Choice": _choice,
    "Prompt": _prompt,
}


def _drawn(rows: np.ndarray, count: int) -> list[int]:
    """Some rows, the same at every call."""
    picked = np.random.default_rng(0).permutation(len(rows))[:count]
    return sorted(int(row) for row in rows[picked])


def _row(table: pd.DataFrame, number: int, names: tuple[str, ...]) -> Example:
    row = table.iloc[number]
    fields = {name: _text(row[name]) for name in names if name in table.columns}
    return Example(str(row["id"]), _group(row), {name: text for name, text in fields.items() if text})


def _group(row: pd.Series[Any]) -> str:
    for name in ("groups", "group"):
        value = row.get(name)
        if isinstance(value, (list, tuple, np.ndarray)):
            if len(value):
                return ", ".join(map(str, value))
        elif isinstance(value, str):
            return value
    return ""


def _text(value: Any) -> str:
    """A cell as it is shown; empty where it is missing."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return " | ".join(_text(part) for part in value)
    if value is None or value is True or value is False:
        return "" if value is None else str(value)
    if isinstance(value, (float, np.floating)):
        return "" if value != value else figure(float(value))
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
