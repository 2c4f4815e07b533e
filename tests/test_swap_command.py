"""`fairbench swap`: a line in, a line out, whatever the lines' ends; what can't be read is refused in one paragraph."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from fairbench.cli import main; main()", "swap"]


def swap(*arguments: object, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], input=given, capture_output=True, env={**os.environ, "COLUMNS": "200"}
    )


def test_every_line_keeps_its_end(tmp_path: Path) -> None:
    given = "He ran.\r\n\n  Tim saw her mother.\u2028\rShe\tsat".encode()
    wanted = "She ran.\r\n\n  Aaliyah saw his father.\u2028\rHe\tsat".encode()
    file, out = tmp_path / "text.txt", tmp_path / "new" / "swapped.txt"
    file.write_bytes(given)
    piped, named = swap("-", given=given), swap(file, "--output-path", out)
    assert (piped.returncode, piped.stdout, piped.stderr) == (0, wanted, b"")
    assert (named.returncode, named.stdout, named.stderr) == (0, b"", b"") and out.read_bytes() == wanted


@pytest.mark.parametrize(
    ("options", "text", "wanted"),
    [
        (["--no-names"], "Tim lost his hat.\n", "Tim lost her hat.\n"),
        (["--keep-full-names"], "Anna Bell met Tim and her son.\n", "Anna Bell met Aaliyah and his daughter.\n"),
        (["--protect", "Tim", "--protect", "her son"], "Tim and her son and her aunt\n", "Tim and her son and his uncle\n"),
        (["--attribute", "religion"], "Tim met a rabbi.\n", "Tim met a priest.\n"),
        (["--attribute", "race", "--no-names"], "black people\n", "white people\n"),
    ],
)
def test_options(options: list[str], text: str, wanted: str) -> None:
    done = swap("-", *options, given=text.encode())
    assert (done.returncode, done.stdout.decode()) == (0, wanted), done.stderr


def test_json_says_what_was_changed_where() -> None:
    done = swap("-", "--json", given="An heir, é: Tim.\nNo.".encode())
    first, second = map(json.loads, done.stdout.decode().splitlines())
    assert first == {
        "text": "An heiress, é: Aaliyah.",
        "changes": [
            {"from": "heir", "to": "heiress", "original": [3, 7], "swapped": [3, 10]},
            {"from": "Tim", "to": "Aaliyah", "original": [12, 15], "swapped": [15, 22]},
        ],
    }
    assert second == {"text": "No.", "changes": []}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.txt"], "missing.txt: this file can't be read (No such file"),
        (["."], ".: this file can't be read (Is a directory)"),
        (["bad.txt"], "bad.txt, line 2: found a byte that is no UTF-8 text (0xe9)"),
        (["bad.txt", "--output-path", "out.txt"], "bad.txt, line 2"),
        (["good.txt", "--output-path", "."], "--output-path .: there is a folder"),
        (["good.txt", "--output-path", "good.txt/x"], "--output-path good.txt/x: nothing can be written"),
        (["good.txt", "--attribute", "gendre"], "Did you mean gender"),
        (["good.txt", "--attribute", "race", "--names"], "by gender alone"),
        (["good.txt", "--protect", ""], "with a word each"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_paragraph(tmp_path, monkeypatch, arguments, said) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.txt").write_text("He ran.\n", encoding="utf-8")
    Path("bad.txt").write_bytes(b"He ran.\ncaf\xe9\n")
    done = swap(*arguments)
    text = done.stderr.decode().strip()
    assert done.returncode == 2 and text.startswith("fairbench: ") and said in text and "\n" not in text, text
    assert not Path("out.txt").exists()


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    """The text is far more than a pipe holds, of which one line is read."""
    file = tmp_path / "long.txt"
    file.write_bytes(b"He ran.\n" * 80_000)
    with subprocess.Popen([*COMMAND, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == b"She ran.\n"
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait(timeout=60) == 0


def test_a_text_is_not_lost_to_its_own_reversal(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("He ran.\n")
    done = swap(file, "--output-path", file)
    assert done.returncode == 2 and b"would be lost" in done.stderr and file.read_text() == "He ran.\n"
