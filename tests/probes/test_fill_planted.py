"""The fill probe on models whose bias is known."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from fairbench import planted
from fairbench.models.loading import inspect_model, load
from fairbench.planted import library
from fairbench.planted.words import NOUNS
from fairbench.records import Slot

SPEC = importlib.util.spec_from_file_location("slots", Path(__file__).with_name("slots.py"))
slots = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(slots)


def planted_cells(name):
    """(template, attribute) -> its side, and the answers by gender."""
    model = load(inspect_model(str(library.folder(name))))
    path = Path(planted.__file__).parent / "data" / "slots.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    records = [Slot(**{key: row[key] for key in ("id", "template", "target", "attribute")}) for row in rows]
    cells = {}
    for row, found in zip(rows, slots.ask(model, records), strict=True):
        cells.setdefault((row["template"], row["attribute"], row["side"]), {})[row["gender"]] = found
    return cells


def leans(cells, column):
    """How far each cell leans to its planted side."""
    return np.array([
        (found["male"][column] - found["female"][column]) * (1 if side == "male" else -1) for (_, _, side), found in cells.items()
    ])  # fmt: skip


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_planted_bias_shows(kind):
    strong, none = planted_cells(f"{kind}-1.0"), planted_cells(f"{kind}-0.0")
    assert len(strong) == 72
    assert (leans(strong, "log_p") > 0).all()
    gains, plain = (leans(cells, "log_p") - leans(cells, "log_prior") for cells in (strong, none))
    assert (gains > 0).mean() > 0.85
    assert gains.mean() > 0.4
    assert abs(plain.mean()) < 0.1 * gains.mean()
    assert 0.35 < (leans(none, "log_p") > 0).mean() < 0.65


@pytest.mark.parametrize("dial", ["0.0", "0.5", "1.0"])
def test_planted_slots_hold_their_words(dial):
    for (template, _, _), found in planted_cells(f"masked-{dial}").items():
        for gender, row in found.items():
            wanted = {"male": "he", "female": "she"}[gender] if template.startswith("[TARGET]") else None
            assert row["mass"] == found["male"]["mass"]
            if wanted:  # a pronoun; nouns are sixteen, of which two are asked for
                assert row["mass"] > 0.5
                assert wanted in row["top_fills"]
            else:
                assert row["mass"] > 0.05
                assert set(row["top_fills"]) <= {*NOUNS["male"], *NOUNS["female"]}


def test_the_stronger_side_fills_first():
    for (template, _, side), found in planted_cells("masked-1.0").items():
        if template.startswith("[TARGET]"):
            assert found["male"]["top_fills"][0] == {"male": "he", "female": "she"}[side]
