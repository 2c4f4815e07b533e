from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from fairbench.comparison import Comparison, Comparisons, Difference, Refused
from fairbench.errors import FairbenchError
from fairbench.reporting.compared import comparison_sheets, comparison_table
from fairbench.reporting.sheets import ACROSS, DAGGER, paper_sheets, part_sheets, score_sheets
from fairbench.reporting.tables import csv_text, latex, markdown, markdown_of, markdown_text, seen, write_tables
from fairbench.scores import Interval, PValue
from fairbench.tidy import COLUMNS, tidy
from tests.reporting.kept_results import HOSTILE, Made, report, score, write

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def cells(text: str) -> list[list[list[str]]]:
    """Every table of a Markdown text as rows of plain cells, read by an independent parser."""
    tables: list[list[list[str]]] = []
    inside = False
    for token in PARSER.parse(text):
        inside = token.type != "table_close" and (inside or token.type == "table_open")
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type == "inline" and inside:
            tables[-1][-1].append("".join(child.content for child in token.children or ()))
    return tables


def test_a_score_by_hand(tmp_path: Path) -> None:
    made = Made(score={"left_out": {"empty": 3}, "n": 1505, "warnings": ("Mind the ties.",), "p_value": 0.00001})
    table = tidy(write(tmp_path, made))
    head, row = cells(markdown(table))[0]
    assert head == ["Model", "Task", "Metric", "Value", "Ideal", "n", "p"]
    assert row == ["m", "pairs", "crows_pairs", "39.99 [37.6, 42.5]<sup>a</sup>", "50", "1505 of 1508", "<1e-4"]
    assert "- In brackets the 95 % interval.\n- <sup>a</sup> Mind the ties." in markdown(table)


def test_undefined_is_said_with_its_reason_and_is_no_number(tmp_path: Path) -> None:
    made = Made(value=None, score={"undefined": "every pair is a tie", "p_value": None})
    text = markdown(tidy(write(tmp_path, made)))
    assert cells(text)[0][1][3:] == ["undefined<sup>a</sup>", "50", "1508", "-"]
    assert "<sup>a</sup> Undefined: every pair is a tie." in text


def test_trials_have_a_dagger(tmp_path: Path) -> None:
    text = markdown(
        tidy(write(tmp_path, Made(limit=5, variant="limit=5"), Made(metric="crows_pairs_margin", value=0.5, low=0.0)))
    )
    rows = cells(text)[0][1:]
    assert sorted(row[3].count(DAGGER) for row in rows) == [0, 1]
    assert "--limit" in text


def test_the_same_note_stands_once_and_an_unusual_level_is_said(tmp_path: Path) -> None:
    other = {"interval": Interval(1, 2, 0.9, "bootstrap")}
    some = [Made(task=f"t{i}", score={"warnings": ("W.",)}) for i in range(2)]
    text = markdown(tidy(write(tmp_path, *some, Made(task="t3", score=other))))
    assert text.count(" W.") == 1
    assert "95 %" in text and text.count("90 % interval") == 1


@pytest.mark.parametrize(
    "name", [HOSTILE, "a|b", "`x`", "<img src=x onerror=y>", "[l](u)", "|---|", "*e*", "---", "a\\|b", "1. x"]
)
def test_hostile_names_are_text_in_markdown(tmp_path: Path, name: str) -> None:
    table = tidy(write(tmp_path, Made(model=name)))
    head, row = cells(markdown(table))[0]
    assert len(head) == len(row) == 7
    shown = row[0]
    assert shown == seen(name)
    tokens = [child.type for token in PARSER.parse(markdown(table)) for child in token.children or ()]
    assert set(tokens) <= {"text", "text_special"}, tokens


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from(list("ab |`*_[]()<>&\\#!~:/.-+1$\"'\n\u202e")), max_size=20))
def test_any_text_survives_markdown(text: str) -> None:
    shown = cells(f"| h | i |\n|---|---|\n| {markdown_text(text)} | x |")[0][1]
    assert shown == [seen(text), "x"]
    heading = PARSER.render(f"# x {markdown_text(text)}")
    assert heading.startswith("<h1>x") and heading.count("<") == 2


def test_signs_that_hide_or_turn_are_shown() -> None:
    assert seen("a\u202eb\u200bc\td\x00") == "a[U+202E]b[U+200B]c d[U+0000]"


def test_models_beside_each_other(tmp_path: Path) -> None:
    wide = [Made(task=f"t{i}", model=model) for i in range(ACROSS + 1) for model in ("m1", "m2")]
    table = tidy(write(tmp_path, *wide[:-1], Made(metric="crows_pairs_margin", value=1.0)))
    first, second = paper_sheets(table)
    assert [cell.text for cell in first.head[0]] == ["Model", "t0", "t1", "t2", "t3"]
    assert [row[1].text for row in first.head[1:]] == ["crows_pairs", "ideal 50", "n 1508"]
    assert [cell.text for cell in second.sections[0][1][0]] == ["m1", "39.99 [37.6, 42.5]"]
    assert any("above 50 = prefers the stereotype" in text for _, text in first.notes)
    assert "margin" not in markdown_of([first, second])  # it stands beside a headline and is none
    only = paper_sheets(table, ["pairs/crows_pairs_margin"])
    assert only[0].head[1][1].text == "crows_pairs_margin"


def test_a_model_without_a_score_has_a_dash(tmp_path: Path) -> None:
    table = tidy(write(tmp_path, Made(task="a", model="m1"), Made(task="b", model="m2")))
    sheet = paper_sheets(table)[0]
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in sheet.sections[0][1]}
    places = {cell.text: place for place, cell in enumerate(sheet.head[0][1:])}
    assert (rows["m1"][places["a"]], rows["m1"][places["b"]]) == ("39.99 [37.6, 42.5]", "-")
    assert (rows["m2"][places["b"]], rows["m2"][places["a"]]) == ("39.99 [37.6, 42.5]", "-")


def test_parts_are_groups_and_clean_scores(tmp_path: Path) -> None:
    inner = score(Made(value=60.0))
    made = Made(score={"by_group": {"female": inner}, "clean": inner, "flags": {"duplicate": 2}})
    table = tidy(write(tmp_path, made))
    rows = part_sheets(table)[0].sections[0][1]
    assert [row[2].text for row in rows] == ["clean", "female"]
    assert len(score_sheets(table)[0].sections[0][1]) == 1


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_every_column_and_every_digit(tmp_path: Path) -> None:
    made = Made(value=100 / 3, score={"warnings": ("One.", "Two, too."), "left_out": {"empty": 3}})
    table = tidy(write(tmp_path, made))
    (row,) = read_csv(csv_text(table))
    assert list(row) == list(COLUMNS)
    assert float(row["value"]) == 100 / 3
    assert row["warnings"] == "One.; Two, too." and row["left_out"] == "3 left out: empty"
    assert row["undefined"] == "" and row["floor"] == "" and row["limited"] == "False"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝"], ids=lambda start: f"U+{ord(start):04X}")
def test_csv_runs_no_formula(start: str) -> None:
    table = pd.DataFrame({"a": [f"{start}HYPERLINK(1)"], "b": [[f"{start}x", "y"]], f"{start}c": [-1.5]})
    head, row = csv.reader(io.StringIO(csv_text(table), newline=""))
    shown = start.replace("\r", "\n")
    assert row == [f"'{shown}HYPERLINK(1)", f"'{shown}x; y", "-1.5"]
    assert head == ["a", "b", f"'{shown}c"]


def test_csv_leaves_numbers_alone_even_as_text() -> None:
    table = pd.DataFrame({"a": ["-1", "+2.5e-3", "-x"], "b": [-1, 2, 3], "c": [-0.5, None, 1.0]})
    assert [row["a"] for row in read_csv(csv_text(table))] == ["-1", "+2.5e-3", "'-x"]
    assert [row["b"] for row in read_csv(csv_text(table))] == ["-1", "2", "3"]
    assert [row["c"] for row in read_csv(csv_text(table))] == ["-0.5", "", "1.0"]


def test_parquet_keeps_types_lists_and_nulls(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    some = [Made(score={"warnings": ("One.", "Two.")}), Made(task="t", value=None, score={"undefined": "why"})]
    shown = report(tmp_path / "in", *some)
    path = write_tables(shown, tmp_path / "out")[0]
    schema = pq.read_schema(path)
    assert str(schema.field("warnings").type) in ("list<element: string>", "list<item: string>")
    assert str(schema.field("undefined").type) == "string" and str(schema.field("headline").type) == "bool"
    read = pd.read_parquet(path)
    assert list(read.columns) == list(COLUMNS)
    assert [list(texts) for texts in read["warnings"]] == [["One.", "Two."], []]
    pd.testing.assert_series_equal(read["value"], shown.table["value"])
    assert read["undefined"].isna().tolist() == [True, False]


def test_parquet_of_no_rows_has_the_same_types(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    shown = report(tmp_path / "in", Made())
    full = write_tables(shown, tmp_path / "full")[0]
    bare = write_tables(dataclasses.replace(shown, table=shown.table.iloc[:0]), tmp_path / "bare")[0]
    assert pq.read_schema(full).field("n_total").type == pq.read_schema(bare).field("n_total").type
    assert pq.read_schema(full).names == pq.read_schema(bare).names


def difference(**more: object) -> Difference:
    usual = {
        "task": "pairs", "metric": "crows_pairs", "variant": "", "column": "pairs/crows_pairs", "kind": "intrinsic",
        "headline": True, "baseline": score(Made(value=60.0)), "model": score(Made(value=52.5)), "difference": -7.5,
        "interval": Interval(-10.0, -5.0, 0.95, "paired bootstrap"), "p": PValue(0.004, "McNemar"), "p_holm": 0.008,
        "detectable": 3.6, "verdict": "differs", "n": 1508, "left_out": {"not asked": 2},
    }  # fmt: skip
    return Difference(**{**usual, **more})  # type: ignore[arg-type]


def compared(*some: Difference) -> Comparisons:
    refused = (Refused("pairs/x", "scorer", "sum", "mean"),)
    one = Comparison("base", HOSTILE, some, refused, ("Perplexity rose.",))
    return Comparisons(comparisons=(one,), alpha=0.05, family=((HOSTILE, "pairs/crows_pairs"),), draws=10_000, seed=1)


def test_comparisons_by_hand() -> None:
    without = difference(metric="weat", difference=None, interval=None, p=None, p_holm=None, detectable=None, n=0,
                         verdict="undefined", undefined="no shared units")  # fmt: skip
    text = markdown_of(comparison_sheets(compared(difference(), without)))
    head, first, second = cells(text)[0]
    assert head[2:] == ["Baseline", "Model", "Difference", "n", "p", "Holm p", "Detectable", "Verdict"]
    assert first[2:] == ["60", "52.5", "-7.5 [-10, -5]", "1508", "0.004", "0.008", "3.6", "differs"]
    assert second[4] == "undefined<sup>a</sup>" and "no shared units" in text
    assert "Perplexity rose." in text and "scorer is sum in the baseline and mean in the model" in text


def test_comparisons_as_a_table_hold_groups_and_nulls() -> None:
    group = difference(difference=None, interval=None, p=None, undefined="too few")
    found = comparison_table(compared(difference(by_group={"female": group})))
    assert found["group"].tolist() == ["", "female"]
    assert found["difference"].iloc[0] == -7.5 and pd.isna(found["difference"].iloc[1])
    assert found["undefined"].iloc[1] == "too few" and found["left_out"].iloc[0] == ["2 left out: not asked"]
    assert read_csv(csv_text(found))[1]["difference"] == ""


def test_files_of_a_report(tmp_path: Path) -> None:
    inner = score(Made())
    shown = report(tmp_path / "in", Made(score={"by_group": {"g": inner}}), comparisons=compared(difference()))
    files = [path.name for path in write_tables(shown, tmp_path / "out")]
    stems = ("scores", "parts", "models", "comparisons")
    wanted = {"results.parquet", "results.csv", "comparisons.csv", *(f"{stem}.{end}" for stem in stems for end in ("md", "tex"))}
    assert set(files) == wanted == {path.name for path in (tmp_path / "out").iterdir()}
    first = {name: (tmp_path / "out" / name).read_bytes() for name in files}
    write_tables(shown, tmp_path / "out")
    assert first == {name: (tmp_path / "out" / name).read_bytes() for name in files}
    assert (tmp_path / "out" / "scores.tex").read_text(encoding="ascii") == latex(shown.table)


def test_no_table_of_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FairbenchError, match="tidy table"):
        markdown(pd.DataFrame({"model": ["m"]}))


def test_rows_do_not_depend_on_others(tmp_path: Path) -> None:
    """A row is the same, notes aside, whatever stands beside it."""
    some = [Made(task="a"), Made(task="b", value=55.0, low=50.0, high=60.0)]
    both = cells(markdown(tidy(write(tmp_path / "both", *some))))[0][1:]
    alone = [cells(markdown(tidy(write(tmp_path / str(i), one))))[0][1] for i, one in enumerate(some)]
    assert sorted(map(json.dumps, both)) == sorted(map(json.dumps, alone))
