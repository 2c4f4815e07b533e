"""`fairbench verify` as a user meets it: what is said, exit codes, JSON, and the bundle."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from fairbench import FairbenchError, console
from fairbench.verify_command import verify
from tests.scored import results

PAIRS = "planted_pairs/crows_pairs@draws=200.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return results(tmp_path_factory.mktemp("scored"))


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / made.name))


def run(*arguments: object) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(verify)
    with pytest.MonkeyPatch.context() as patched, console.out.capture() as printed:
        patched.setenv("COLUMNS", "200")
        done = CliRunner().invoke(app, [str(one) for one in arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    done.stdout_bytes += printed.get().encode()
    return done


def spoil(folder: Path) -> None:
    content = json.loads((folder / PAIRS).read_text())
    content["score"]["value"] = 1.25
    (folder / PAIRS).write_text(json.dumps(content))


def test_all_verified_is_one_line_and_code_0(folder):
    done = run(folder)
    assert done.exit_code == 0 and done.stdout.splitlines() == ["3 of 3 results verified."]
    quick = run(folder, "--quick")
    assert quick.exit_code == 0 and quick.stdout.splitlines() == ["3 of 3 results verified by value and counts."]


def test_what_differs_is_named_with_its_file_and_code_1(folder):
    spoil(folder)
    (folder / "planted_prompts" / "sentiment_gap@draws=200.json").write_text("{")
    done = run(folder)
    lines = done.stdout.splitlines()
    assert done.exit_code == 1 and len(lines) == 3
    assert lines[0].startswith(f"DIFFERS {folder / PAIRS}: score.value is 1.25 in the file, and ")
    assert lines[1].startswith("CAN'T BE READ ")
    assert lines[2] == "1 of 3 results verified; can't be read: 1; differs: 1."
    assert run(folder, "-q").exit_code == 1


def test_answers_that_are_not_kept_are_not_verified(folder):
    shutil.rmtree(folder / "answers")
    done = run(folder)
    assert done.exit_code == 1 and done.stdout.count("ANSWERS NOT KEPT") == 3
    assert done.stdout.splitlines()[-1] == "0 of 3 results verified; answers not kept: 3."


def test_json_is_all_there_is_on_standard_output(folder, tmp_path):
    spoil(folder)
    done = run(folder, "--json", "--bundle", tmp_path / "a.zip")
    content = json.loads(done.stdout)
    assert done.exit_code == 1 and content["counts"] == {"differs": 1, "verified": 2}
    assert content["bundle"]["path"] == str(tmp_path / "a.zip") and content["bundle"]["files"] > 5
    assert json.loads(run(folder, "--json").stdout)["bundle"] is None


def test_a_bundle_is_packed_also_where_something_differs_and_says_so(folder, tmp_path):
    spoil(folder)
    done = run(folder, "--bundle", tmp_path / "a.zip")
    assert done.exit_code == 1 and "Packed " in done.stdout and done.stdout.splitlines()[-1].startswith("2 of 3")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    found = json.loads((tmp_path / "unpacked" / "fairbench-evidence" / "verification.json").read_text())
    assert found["counts"] == {"differs": 1, "verified": 2}
    again = run(tmp_path / "unpacked" / "fairbench-evidence" / "results")
    assert again.exit_code == 1 and again.stdout.splitlines()[-1] == done.stdout.splitlines()[-1]


def test_notes_are_said_once_for_all_that_they_are_of(folder, monkeypatch):
    from fairbench import verification

    rules, schema, _ = verification.MADE_BY
    monkeypatch.setattr(verification, "MADE_BY", (rules, schema, "99.0"))
    done = run(folder)
    assert done.exit_code == 0 and done.stdout.count("this is 99.0") == 1 and "this is 99.0" not in run(folder, "-q").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent"], "does not exist"),
        (["{folder}", "--bundle", "{folder}/results.json"], "ending of an archive"),
        (["{folder}", "--bundle", "{folder}/absent/a.zip"], "no folder"),
        (["{folder}", "--judge", "wisdom=1"], "There is no judge"),
    ],
)
def test_a_wrong_request_is_refused(folder, arguments, said):
    with pytest.raises(FairbenchError, match=said):
        run(*(one.format(folder=folder) for one in arguments))


def test_a_bundle_that_can_not_be_written_is_refused_before_any_work(folder, tmp_path, monkeypatch):
    from fairbench import verification

    monkeypatch.setattr(verification, "verify", lambda *_: pytest.fail("it began"))
    (tmp_path / "a.zip").write_text("mine")
    with pytest.raises(FairbenchError, match="only such a one is replaced"):
        run(folder, "--bundle", tmp_path / "a.zip")
