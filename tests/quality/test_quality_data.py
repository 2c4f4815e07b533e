"""The rules of pair quality on the planted and the published data, against a person's reading and their documentation."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from fairbench import data
from fairbench.quality import RULES, flags
from fairbench.records import to_frame
from fairbench.registry import Registry

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "pair_quality.md").read_text(encoding="utf-8")
DATA = Path(os.environ.get("FAIRBENCH_DATA") or ROOT.parent / "shared" / "data")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the published data are not here (FAIRBENCH_DATA)")


@pytest.mark.parametrize("name", ["planted_pairs", "planted_town_pairs", "planted_cloze", "planted_cloze_after"])
def test_no_planted_record_is_flagged(name: str):
    assert set(flags(*records(name))) == {()}


def records(name: str, folder: Path | None = None) -> tuple[pd.DataFrame, str]:
    task = Registry().task(name)
    return to_frame(task.records(data.rows(task.info, name, folder), name)), task.info.form


def test_every_rule_is_documented():
    assert list(RULES) == sorted(RULES)
    tables = re.findall(r"^\| `(\w+)` \|", DOC, flags=re.M)
    assert Counter(tables) == Counter(dict.fromkeys(RULES, 2))


COLUMNS = (
    ("crows_pairs",),
    ("crows_pairs_revised",),
    ("stereoset_intrasentence",),
    ("stereoset_intersentence",),
    ("redditbias_gender", "redditbias_orientation", "redditbias_race", "redditbias_religion1", "redditbias_religion2"),
    ("winobias_type1_pairs", "winobias_type2_pairs"),
)


@needs_data
def test_the_documented_counts_are_the_counts():
    section = DOC.split("## How many")[1].split("##")[0]
    rows = {
        cells[0].strip(" `"): [int(c) for c in cells[1:7]]
        for cells in (line.strip("|").split("|") for line in section.splitlines() if re.match(r"\|.*\d", line))
    }
    assert set(rows) == {*RULES, "flagged", "records"}
    for i, names in enumerate(COLUMNS):
        found = [rules for name in names for rules in flags(*records(name, DATA))]
        counts = Counter(rule for rules in found for rule in rules)
        shown = {rule: cells[i] for rule, cells in rows.items()}
        assert shown == {**{rule: counts[rule] for rule in RULES}, "flagged": sum(map(bool, found)), "records": len(found)}


@needs_data
def test_pairs_that_the_revision_rewrote_are_flagged_more_often():
    original, revised = (records(name, DATA)[0].set_index("id") for name in ("crows_pairs", "crows_pairs_revised"))
    flagged = pd.Series(list(map(bool, flags(original.reset_index(), "Pair"))), index=original.index)
    kept = original.index.intersection(revised.index)
    rewritten = (original.loc[kept, ["more", "less"]] != revised.loc[kept, ["more", "less"]]).any(axis=1)
    assert (len(kept), rewritten.sum()) == (1467, 167)
    assert flagged[kept][rewritten].mean() == pytest.approx(0.78, abs=0.01)
    assert flagged[kept][~rewritten].mean() == pytest.approx(0.22, abs=0.01)


# Numbers of CrowS-Pairs, read by a person: the sample, and those of it with a fault of form. See docs/pair_quality.md.
FIRST = (
    "1 20 28 41 44 45 46 65 72 88 91 93 114 120 131 139 145 147 148 157 166 178 191 211 216 220 227 244 280 285 324 "
    "339 368 382 394 419 428 445 446 455 473 487 489 507 513 533 543 566 571 587 653 667 671 727 785 799 827 860 863 "
    "885 893 928 933 946 969 970 974 975 990 999 1011 1036 1054 1055 1057 1061 1084 1143 1155 1172 1183 1186 1214 "
    "1225 1238 1257 1262 1302 1308 1312 1332 1353 1358 1361 1391 1431 1447 1456 1497 1503",
    "41 44 45 114 120 131 145 147 191 244 382 419 428 445 446 489 533 543 727 860 863 893 1036 1155 1172 1225 1257 "
    "1308 1353 1358 1361 1431 1456 1497",
    (26, 28),
)
SECOND = (
    "10 17 30 43 69 92 100 144 219 233 236 305 310 351 401 405 440 456 486 488 514 525 546 558 610 636 640 651 700 "
    "717 733 806 830 831 864 914 971 988 1013 1044 1051 1113 1122 1166 1180 1181 1190 1208 1231 1254 1318 1324 1337 "
    "1346 1369 1389 1421 1422 1423 1461",
    "10 17 30 100 219 236 305 310 351 514 525 640 700 733 806 830 971 988 1122 1421",
    (18, 18),
)


@needs_data
@pytest.mark.parametrize(("sample", "faulty", "documented"), [FIRST, SECOND], ids=["first", "second"])
def test_flags_against_a_persons_reading(sample: str, faulty: str, documented: tuple[int, int]):
    answers, form = records("crows_pairs", DATA)
    flagged = {name for name, rules in zip(answers["id"], flags(answers, form), strict=True) if rules} & set(sample.split())
    assert (len(flagged & set(faulty.split())), len(flagged)) == documented
    assert f"| {documented[0]} of {documented[1]} | {documented[0]} of {len(faulty.split())} |" in DOC
