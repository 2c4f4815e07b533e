from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbench.reporting.compared import comparison_sheets
from fairbench.reporting.latex import ROWS, escape, number, written
from fairbench.reporting.sheets import Cell, Sheet, paper_sheets, part_sheets, score_sheets
from fairbench.reporting.tables import latex
from fairbench.tidy import tidy
from tests.reporting.kept_results import HOSTILE, Made, score, write
from tests.reporting.test_tables import compared, difference

COMMANDS = {
    "textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater", "textbar", "textasciigrave", "texttt",
    "char", "begin", "end", "caption", "label", "centering", "footnotesize", "toprule", "midrule", "bottomrule", "addlinespace",
    "multicolumn", "textit", "textsuperscript", "dag", "shortstack", "smallskip", "parbox", "linewidth", "raggedright",
    "allowbreak", "times", "infty", "ss", "ae", "AE", "o", "O", "oe", "OE", "l", "L", "i", "j", "textendash", "textemdash",
    "textquoteleft", "textquoteright", "textquotedblleft", "textquotedblright", "ldots", "pm", "leq", "geq", "rightarrow",
    "circ", "scriptsize", "setlength", "tabcolsep", "mu", "u", "r", "H", "v", "c", "d",
}  # fmt: skip
"""Commands that LaTeX and booktabs define."""


def stripped(text: str) -> str:
    """The text without what is escaped; a structure is left."""
    return re.sub(r"\\[\\{}$&#%_]|\\[a-zA-Z]+|\\['`^~=.\"]", lambda m: "⏎" if m[0] == r"\\" else "", text)


def check(text: str) -> list[str]:
    """Whether a file can be LaTeX: what is bare in it is structure, braces and mathematics close, rows have all their columns.

    Returns:
        The rows of all tables, escapes taken out.
    """
    assert text.isascii()
    body = "\n".join(line for line in text.splitlines() if not line.startswith("% "))
    assert set(re.findall(r"(?<!\\)(?:\\\\)*\\([a-zA-Z]+)", body)) <= COMMANDS
    rows = []
    for table in re.findall(r"\\begin\{table\}.*?\\end\{table\}", body, re.DOTALL):
        assert not re.search(r"[%#~]", stripped(table).replace("\\char", ""))
        for group in re.findall(r"\$[^$]*\$", re.sub(r"\\\$", "", table)):
            assert re.fullmatch(r"\$[-<0-9.\\a-z^{}]+\$", group), group
        assert re.sub(r"\\\$", "", table).count("$") % 2 == 0
        plain = re.sub(r"\$[^$]*\$", "", re.sub(r"\\[$]", "", table))
        assert not re.search(r"[_^]", stripped(plain))
        rows += rows_of(plain)
    return rows


def rows_of(table: str) -> list[str]:
    """The rows of a table; each has as many cells as there are columns, and closes what it opens."""
    spec, inner = re.findall(
        r"\\begin\{tabular\}\{((?:[lr]|p\{[0-9.]+\\linewidth\})+)\}\n(.*?)\\end\{tabular\}", table, re.DOTALL
    )[0]
    columns = len(re.findall(r"[lr]|p\{[^}]*\}", spec))
    found = []
    for line in inner.splitlines():
        if line.endswith(r" \\"):
            row = stripped(line.removesuffix(r" \\"))
            spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line))
            assert row.count("&") + 1 + spans == columns, line
            depths = [row[: i + 1].count("{") - row[: i + 1].count("}") for i in range(len(row))]
            assert min(depths, default=0) >= 0 and row.count("{") == row.count("}"), line
            assert not re.match(r"\s*[\[*]", row), line  # LaTeX would read it as an option of the row before
            found.append(row)
        else:
            assert re.fullmatch(r"\\(toprule|midrule|bottomrule|addlinespace)", line), line
    whole = stripped(table)
    assert whole.count("{") == whole.count("}")
    assert re.findall(r"\\(begin|end)\{(\w+)\}", table) == [
        ("begin", "table"), ("begin", "tabular"), ("end", "tabular"), ("end", "table"),
    ]  # fmt: skip
    return found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a_b & 5% #1 $x$ {y}", r"a\_b \& 5\% \#1 \$x\$ \{y\}"),
        ("\\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("x^2 ~ <y> |z|", r"x\textasciicircum{}2 \textasciitilde{} \textless{}y\textgreater{} \textbar{}z\textbar{}"),
        ("[1] *", "{[}1{]} {*}"),
        ("a -- b --- c", "a -{}- b -{}-{}- c"),
        ('a "b" `c\'', r"a \texttt{\char34}b\texttt{\char34} \textasciigrave{}c'"),
        ("é Å ñ ç ï ø ß ł", r"\'{e} \r{A} \~{n} \c{c} " + r"\"{\i}" + r" \o{} \ss{} \l{}"),
        ("e\u0301", r"\'{e}"),
        ("中 \u202e ą", "{[}U+4E2D{]} {[}U+202E{]} {[}U+0105{]}"),
        ("two\nlines\\\\end", r"two lines\textbackslash{}\textbackslash{}end"),
    ],
    ids=["specials", "command", "signs", "options", "ligatures", "quotes", "accents", "combining", "others", "lines"],
)
def test_escapes_by_hand(text: str, wanted: str) -> None:
    assert escape(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("39.99 [37.6, 42.5]", "39.99 [37.6, 42.5]"),
        ("-0.5 [-1, 0]", "$-$0.5 [$-$1, 0]"),
        ("<1e-4", "$<10^{-4}$"),
        ("3.2e-05", r"$3.2\times10^{-5}$"),
        ("-1.2e+07", r"$-1.2\times10^{7}$"),
        ("[-inf, inf]", r"[$-\infty$, $\infty$]"),
        ("-", "--"),
    ],
    ids=["interval", "minus", "least-p", "power", "large", "infinite", "none"],
)
def test_numbers_by_hand(text: str, wanted: str) -> None:
    assert number(text) == wanted


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30))
def test_any_name_makes_a_sound_table(name: str) -> None:
    row = (Cell(name, ("a",)), Cell("-1.5 [-2, 3e-05]", number=True))
    sheet = Sheet("t", name, ((Cell(name), Cell("Value")),), ((name, (row,)), ("other", (row,))), (("", name), ("a", name)))
    assert len(check(written([sheet]))) >= 4


def test_a_table_by_hand(tmp_path: Path) -> None:
    undefined = Made(metric="crows_pairs_margin", value=None, score={"undefined": "no pairs_at all", "p_value": 0.00001})
    text = latex(tidy(write(tmp_path, Made(limit=3), undefined)))
    check(text)
    assert r"\usepackage{booktabs}" in text.splitlines()[0]
    assert r"pairs & crows\_pairs & 39.99 [37.6, 42.5]\textsuperscript{\dag} & 50 & 1508 & 0.25 \\" in text
    assert r"pairs & crows\_pairs\_margin & undefined\textsuperscript{a} & 0 & 1508 & $<10^{-4}$ \\" in text
    assert r"\textsuperscript{a} Undefined: no pairs\_at all." in text
    assert r"\dag{} A trial over some of the records only" in text


def test_hostile_names_in_every_table(tmp_path: Path) -> None:
    inner = score(Made())
    made = [
        Made(model=HOSTILE, task=f"t_{i}&%", score={"by_group": {HOSTILE: inner}, "warnings": (HOSTILE,)}, variant="x=%$_")
        for i in range(6)
    ]
    table = tidy(write(tmp_path, *made))
    sheets = [*score_sheets(table), *part_sheets(table), *paper_sheets(table), *comparison_sheets(compared(difference()))]
    rows = check(written(sheets))
    assert len(rows) > 20


def test_long_tables_are_cut_and_keep_their_notes(tmp_path: Path) -> None:
    one = tidy(write(tmp_path, Made()))
    some = [one.assign(task=f"task{i:03d}", warnings=[[f"Note {i}."]]) for i in range(ROWS + 5)]
    text = latex(pd.concat(some, ignore_index=True))
    check(text)
    first, second = re.findall(r"\\begin\{table\}.*?\\end\{table\}", text, re.DOTALL)
    assert "Continued" in second and "Continued" not in first
    assert f"Note {ROWS - 1}." in first and f"Note {ROWS}." not in first
    assert f"Note {ROWS}." in second and "Note 0." not in second
    assert text.count("Note ") == ROWS + 5
    labels = re.findall(r"\\label\{(.*?)\}", text)
    assert len(set(labels)) == 2


def test_long_names_break_and_short_ones_do_not(tmp_path: Path) -> None:
    short = latex(tidy(write(tmp_path / "a", Made())))
    long = latex(tidy(write(tmp_path / "b", Made(task="seat_" + "very_long_name_" * 6))))
    assert "llrrrr" in short and r"p{0." not in short
    widths = [float(width) for width in re.findall(r"p\{(0\.\d+)\\linewidth\}", long)]
    assert widths and sum(widths) < 0.7 and r"\allowbreak" in long


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("pdflatex") or shutil.which("tectonic")), reason="no LaTeX is installed")
def test_it_compiles(tmp_path: Path) -> None:
    made = [Made(model=HOSTILE, task=f"t_{i}&%", score={"warnings": (HOSTILE,)}, variant="x=%$_") for i in range(5)]
    table = tidy(write(tmp_path, *made))
    body = written([*score_sheets(table), *paper_sheets(table)])
    source = tmp_path / "a.tex"
    source.write_text(f"\\documentclass{{article}}\n\\usepackage{{booktabs}}\n\\begin{{document}}\n{body}\n\\end{{document}}\n")
    program = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode"] if shutil.which("pdflatex") else ["tectonic"]
    done = subprocess.run([*program, source.name], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
