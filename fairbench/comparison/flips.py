"""Decisions that turn round between two models: negative and positive flips (Yan et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from fairbench.comparison import Flip, Flips
from fairbench.groups import entries
from fairbench.metric import MeasureOptions
from fairbench.scores import Interval
from fairbench.stats import Floats, bootstrap_weights, percentile_interval, resampling_units, tied, unanimous_interval

if TYPE_CHECKING:
    import pandas as pd

LONGEST = 400
"""A text that is shown is cut after so many characters."""

RIGHT: Mapping[str, str] = {
    "Labelled": "the predicted class is the gold one",
    "Choice": "the option chosen is the right one",
    "Pair": "the less stereotyping sentence scores higher",
    "Cloze": "the anti-stereotype scores higher",
}
"""What counts as a right decision, by record form. A preference for the stereotype is what a flip is measured against; it says
nothing about single people."""


def flips(form: str, baseline: pd.DataFrame, model: pd.DataFrame, how: MeasureOptions) -> Flips | None:
    """The decisions of two models on the same records, one row a record.

    NFR = #(right before, wrong after)/N, PFR = #(wrong before, right after)/N; NFI is the former over the wrong decisions
    after, PFI the latter over those before.

    Args:
        form: record form of the answers.
        baseline: answers of one model.
        model: answers of the other to the same records; rows are joined by `id`.
        how: level, draws and seed of the intervals.

    Returns:
        The flips; null for answers that hold no decision which could be right.
    """
    decide = _DECISIONS.get(form)
    if decide is None:
        return None
    tables = [_one_row_a_record(table) for table in (baseline, model)]
    if not len(tables[0]) or list(tables[0]["id"]) != list(tables[1]["id"]):
        return None
    before, after = decide(tables[0]), decide(tables[1])
    if before is None or after is None:
        return None
    known = np.isfinite(before) & np.isfinite(after)
    table = tables[0][known]
    right, now = before[known] == 1, after[known] == 1
    negative, positive = right & ~now, ~right & now
    n, wrong_before, wrong_after = len(table), int((~right).sum()), int((~now).sum())
    shown = [_shown(form, t[known]) for t in tables]
    return Flips(
        n=n,
        wrong_before=wrong_before,
        wrong_after=wrong_after,
        negative=_listed(form, table, shown, negative),
        positive=_listed(form, table, shown, positive),
        nfr=_share(negative.sum(), n),
        pfr=_share(positive.sum(), n),
        nfi=_share(negative.sum(), wrong_after),
        pfi=_share(positive.sum(), wrong_before),
        nfr_interval=_interval(negative, table, how),
        pfr_interval=_interval(positive, table, how),
        right=RIGHT[form],
    )


def _one_row_a_record(table: pd.DataFrame) -> pd.DataFrame:
    """The table in the order of its ids; empty where a record has several rows, of which no single decision is made."""
    if table["id"].astype(str).duplicated().any():
        return table.iloc[:0]
    return table.assign(id=table["id"].astype(str)).sort_values("id", kind="stable").reset_index(drop=True)


def _labelled(table: pd.DataFrame) -> Floats | None:
    if "prediction" not in table.columns or "label" not in table.columns:
        return None
    label, said = (table[name].to_numpy(dtype=float, na_value=np.nan) for name in ("label", "prediction"))
    return np.where(np.isfinite(label) & np.isfinite(said), (label == said).astype(float), np.nan)


def _choice(table: pd.DataFrame) -> Floats | None:
    if "choice" not in table.columns or "label" not in table.columns:
        return None
    label, said = (table[name].to_numpy(dtype=float, na_value=np.nan) for name in ("label", "choice"))
    return np.where(np.isfinite(label) & np.isfinite(said), (label == said).astype(float), np.nan)


def _pair(table: pd.DataFrame) -> Floats | None:
    more, less = (table[name].to_numpy(dtype=float) for name in ("score_more", "score_less"))
    return np.where(tied(more, less), np.nan, (less > more).astype(float))


def _cloze(table: pd.DataFrame) -> Floats | None:
    stereotype, other = (table[f"score_{name}"].to_numpy(dtype=float) for name in ("stereotype", "antistereotype"))
    return np.where(tied(stereotype, other), np.nan, (other > stereotype).astype(float))


_DECISIONS: Mapping[str, Callable[[pd.DataFrame], Floats | None]] = {
    "Labelled": _labelled,
    "Choice": _choice,
    "Pair": _pair,
    "Cloze": _cloze,
}


def _share(count: int, of: int) -> float | None:
    return float(count) / of if of else None


def _interval(which: np.ndarray, table: pd.DataFrame, how: MeasureOptions) -> Interval | None:
    """The percentile interval of a share over units; the exact one where all units agree."""
    units = resampling_units(table)
    if units.count < 2 or not how.draws:
        return None
    drawn = np.concatenate([w @ which / w.sum(axis=1) for w in bootstrap_weights(units, how.draws, how.seed)])
    method = f"bootstrap, percentile, {len(drawn)} draws over {units.count} {units.kind}"
    found = percentile_interval(drawn, how.level, method)
    share = float(which.mean())
    return found or (unanimous_interval(share, 0.0, 1.0, units.count, how.level) if share in (0.0, 1.0) else None)


def _listed(form: str, table: pd.DataFrame, shown: list[list[str]], which: np.ndarray) -> tuple[Flip, ...]:
    texts, groups = _texts(form, table), [", ".join(row) for row in entries(table)]
    ids = table["id"].astype(str).tolist()
    return tuple(Flip(ids[i], groups[i], texts[i], shown[0][i], shown[1][i]) for i in np.flatnonzero(which).tolist())


def _shown(form: str, table: pd.DataFrame) -> list[str]:
    """What a model decided on each record, in words and numbers."""
    if form == "Labelled":
        return [f"class {int(said)} (gold {int(gold)})" for said, gold in zip(table["prediction"], table["label"], strict=True)]
    if form == "Choice":
        options = table["options"].tolist() if "options" in table.columns else [[]] * len(table)
        return [
            _cut(str(o[int(c)])) if len(o) > int(c) else f"option {int(c)}" for o, c in zip(options, table["choice"], strict=True)
        ]
    names = ("score_more", "score_less") if form == "Pair" else ("score_stereotype", "score_antistereotype")
    margins = table[names[0]].to_numpy(dtype=float) - table[names[1]].to_numpy(dtype=float)
    return [f"stereotype {m:+.2f} nats" for m in margins.tolist()]


def _texts(form: str, table: pd.DataFrame) -> list[str]:
    """What was decided on; empty where the answers hold no text."""
    columns = {"Pair": ("more", "less"), "Cloze": ("stereotype", "antistereotype"), "Choice": ("prompt",)}.get(form, ("text",))
    there = [name for name in columns if name in table.columns]
    return (
        [_cut(" / ".join(str(row[name]) for name in there)) for row in table[there].to_dict("records")]
        if there
        else [""] * len(table)
    )


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
