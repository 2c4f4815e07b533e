"""The evidence bundle: the same bytes for the same files, checkable with standard tools, whole or not there, and discreet."""

from __future__ import annotations

import functools
import getpass
import json
import os
import platform
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairbench import FairbenchError, environment, evidence
from fairbench.environment import commit, packages
from fairbench.environment import environment as look_around
from fairbench.evidence import FOLDER, write_evidence
from fairbench.files import file_sha256
from fairbench.verification import Verification, VerifyOptions, verify
from tests.scored import results


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return results(tmp_path_factory.mktemp("scored"))


@pytest.fixture(scope="module", autouse=True)
def looked() -> Iterator[None]:
    """The environment is looked at once."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(evidence, "environment", functools.cache(look_around))
        yield


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "results" / made.name))


def quickly(*folders: Path) -> Verification:
    return verify(folders, VerifyOptions(quick=True))


def unpack(path: Path, to: Path) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(to)
    else:
        with tarfile.open(path) as tar:
            tar.extractall(to, filter="data")
    return to / FOLDER


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tgz"])
def test_what_is_unpacked_is_whole_and_can_be_verified(folder, tmp_path, name):
    bundle = write_evidence(quickly(folder), tmp_path / name)
    inside = unpack(bundle.path, tmp_path / "unpacked")
    assert bundle.size == (tmp_path / name).stat().st_size
    files = {p.relative_to(inside).as_posix() for p in inside.rglob("*") if p.is_file()}
    assert files == {*bundle.sums, "SHA256SUMS"}
    kept = {p for p in folder.rglob("*") if p.is_file() and p.name != "results.json"}
    assert {f"results/{p.relative_to(folder.parent).as_posix()}" for p in kept} == {f for f in files if f.startswith("results/")}
    for path in kept:
        assert (inside / "results" / path.relative_to(folder.parent)).read_bytes() == path.read_bytes()
    again = verify([inside / "results"])
    assert again.passed and len(again.checked) == 3
    said = json.loads((inside / "verification.json").read_text())
    assert said["passed"] and said["counts"] == {"verified": 3}


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_the_list_of_hashes_is_one_that_sha256sum_checks(folder, tmp_path):
    inside = unpack(write_evidence(quickly(folder), tmp_path / "a.zip").path, tmp_path)
    check = ["sha256sum", "--strict", "-c", "SHA256SUMS"]
    done = subprocess.run(check, cwd=inside, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.count(": OK") == len((inside / "SHA256SUMS").read_text().splitlines())
    next((inside / "results").rglob("*.parquet")).write_bytes(b"other")
    assert subprocess.run(check, cwd=inside, capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_the_same_files_give_the_same_bytes(folder, tmp_path, ending):
    first = write_evidence(quickly(folder), tmp_path / f"first{ending}").path
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere" / folder.name))
    for number, path in enumerate(sorted(p for p in moved.rglob("*") if p.is_file())):
        os.utime(path, (number, number))
        path.chmod(0o600)
    second = write_evidence(quickly(moved), tmp_path / f"second{ending}").path
    assert first.read_bytes() == second.read_bytes()


def test_it_tells_nothing_of_the_machine(folder, tmp_path):
    inside = unpack(write_evidence(quickly(folder), tmp_path / "a.tar.gz").path, tmp_path / "unpacked")
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        about = {(one.uid, one.gid, one.uname, one.gname, one.mtime, one.mode, one.isfile()) for one in tar}
        names = tar.getnames()
    assert about == {(0, 0, "", "", 0, 0o644, True)} and names == sorted(names)
    places = {str(tmp_path), str(Path.home()) + "/", f"/{getpass.getuser()}/", str(Path(evidence.__file__).parents[1])}
    for name in ("README.txt", "verification.json", "environment.json", "SHA256SUMS"):
        text = (inside / name).read_text(encoding="utf-8")
        assert not [place for place in places if place in text], name
        assert len(platform.node()) < 4 or platform.node() not in text, name


def test_the_readme_says_how_to_verify_and_warns(folder, tmp_path):
    (folder / "planted_pairs" / "crows_pairs@draws=200.json").write_text("{")
    text = (unpack(write_evidence(quickly(folder), tmp_path / "a.zip").path, tmp_path) / "README.txt").read_text()
    for said in (
        "fairbench verify results",
        "sha256sum -c SHA256SUMS",
        "CONTENT NOTICE",
        "Apache-2.0: planted_pairs, planted_prompts",
    ):
        assert said in text
    assert "3 results of 1 model in" in text and "can't be read: 1, verified: 2." in text
    assert max(map(len, text.splitlines())) <= 78


def test_a_card_that_warns_is_quoted(folder, tmp_path):
    """A task of published data, by its name: the planted ones have nothing to warn of."""
    path = folder / "planted_pairs" / "crows_pairs@draws=200.json"
    content = json.loads(path.read_text())
    content["task"] |= {"name": "crows_pairs", "licence": "CC BY-SA 4.0"}
    path.write_text(json.dumps(content))
    text = (unpack(write_evidence(quickly(folder), tmp_path / "a.zip").path, tmp_path) / "README.txt").read_text()
    assert "CC BY-SA 4.0: crows_pairs" in text and "What the data sets say of themselves" in text


def test_answers_that_are_not_kept_are_no_obstacle_and_other_files_stay_out(folder, tmp_path):
    for path in (folder / "answers").glob("*.parquet"):
        path.unlink()
    (folder / "notes.txt").write_text("mine")
    (folder / "classifiers").mkdir()
    (folder / "classifiers" / "fairbench.json").write_text("{}")
    bundle = write_evidence(quickly(folder), tmp_path / "a.zip")
    assert not [n for n in bundle.sums if "notes.txt" in n or "classifiers" in n or ("answers" in n and n.endswith(".parquet"))]
    assert json.loads((unpack(bundle.path, tmp_path) / "verification.json").read_text())["counts"] == {"answers not kept": 3}


@pytest.mark.parametrize(
    "outside", ["../../secret.txt", "/etc/hostname", "answers/../../../secret.txt", "secret.txt", "answers/.."]
)
def test_no_file_from_outside_is_packed_whatever_a_result_says(folder, tmp_path, outside):
    (tmp_path / "secret.txt").write_text("mine")
    (folder / "secret.txt").write_text("mine")
    path = folder / "planted_pairs" / "crows_pairs@draws=200.json"
    content = json.loads(path.read_text())
    content["answers"]["path"] = outside
    path.write_text(json.dumps(content))
    bundle = write_evidence(quickly(folder), tmp_path / "a.zip")
    assert not [name for name in bundle.sums if "secret" in name or "hostname" in name or ".." in name]


@pytest.mark.parametrize("what", ["file", "folder", "model"])
def test_links_are_refused(folder, tmp_path, what):
    linked = {"file": next((folder / "answers").glob("*.parquet")), "folder": folder / "answers", "model": folder}[what]
    moved = linked.rename(tmp_path / f"moved{linked.suffix if what == 'file' else ''}")
    linked.symlink_to(moved)
    found = quickly(folder if what != "model" else folder.parent)
    with pytest.raises(FairbenchError, match="link"):
        write_evidence(found, tmp_path / "a.zip")
    assert not list(tmp_path.glob("*a.zip*"))


def test_only_a_bundle_is_replaced(folder, tmp_path):
    found = quickly(folder)
    for ending in (".zip", ".tar.gz"):
        path = tmp_path / f"a{ending}"
        path.write_bytes(b"my thesis")
        with pytest.raises(FairbenchError, match="only such a one is replaced"):
            write_evidence(found, path)
        assert path.read_bytes() == b"my thesis"
        path.unlink()
        first = write_evidence(found, path).path.read_bytes()
        assert write_evidence(found, path).path.read_bytes() == first
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        archive.writestr("a.txt", "mine")
    with pytest.raises(FairbenchError, match="only such a one is replaced"):
        write_evidence(found, tmp_path / "mine.zip")


@pytest.mark.parametrize(("name", "said"), [("a.rar", "ending of an archive"), ("absent/a.zip", "no folder")])
def test_a_place_that_can_not_be_is_refused(folder, tmp_path, name, said):
    with pytest.raises(FairbenchError, match=said):
        write_evidence(quickly(folder), tmp_path / name)


def test_a_bundle_is_whole_or_not_there(folder, tmp_path, monkeypatch):
    found, path = quickly(folder), tmp_path / "a.zip"
    before = write_evidence(found, path).path.read_bytes()

    def dies(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(evidence.shutil, "copyfileobj", dies)
    with pytest.raises(OSError, match="full"):
        write_evidence(found, path)
    assert path.read_bytes() == before and list(tmp_path.glob("*a.zip*")) == [path]


def test_a_file_that_changes_meanwhile_is_refused(folder, tmp_path, monkeypatch):
    found, table = quickly(folder), next((folder / "answers").glob("*.parquet"))
    real = evidence._sha256

    def meanwhile(content: bytes) -> str:
        table.write_bytes(b"other")
        return real(content)

    monkeypatch.setattr(evidence, "_sha256", meanwhile)  # called when the files' own hashes have been taken
    with pytest.raises(FairbenchError, match="changed while it was packed"):
        write_evidence(found, tmp_path / "a.tar.gz")
    assert not (tmp_path / "a.tar.gz").exists()


def test_one_model_in_two_folders(folder, tmp_path):
    same = Path(shutil.copytree(folder, tmp_path / "other" / folder.name))
    bundle = write_evidence(quickly(folder, same), tmp_path / "a.zip")
    assert len([name for name in bundle.sums if name.endswith("crows_pairs@draws=200.json")]) == 1
    next((same / "answers").glob("*.json")).write_text("{}")
    with pytest.raises(FairbenchError, match="of one model and differ"):
        write_evidence(quickly(folder, same), tmp_path / "b.zip")


def test_a_name_that_no_list_of_hashes_holds_is_refused(folder, tmp_path):
    path = folder / "planted_pairs" / "crows_pairs@draws=200.json"
    path.rename(path.with_name("crows_pairs@draws=2\n00.json"))
    with pytest.raises(FairbenchError, match="line break"):
        write_evidence(quickly(folder), tmp_path / "a.zip")


def test_the_environment_names_what_moves_numbers_and_no_place():
    found = look_around()
    assert found["versions"]["numpy"] and found["cpu"]["cores"] and found["cpu"]["model"] and isinstance(found["gpu"], list)
    assert found == look_around()
    listed = packages()
    assert listed == sorted(listed, key=lambda line: line.partition("==")[0]) and len(listed) == len(set(listed))
    assert f"numpy=={found['versions']['numpy']}" in listed
    assert not [line for line in listed if "file:" in line or "@" in line]


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_that_of_the_checkout_that_keeps_the_package(tmp_path):
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert commit(package) is None  # no checkout
    git("init", "-q")
    (tmp_path / "other.txt").write_text("a")
    git("add", "other.txt")
    git("commit", "-q", "-m", "one")
    assert commit(package) is None  # installed below somebody's checkout, which does not keep it
    git("add", ".")
    git("commit", "-q", "-m", "two")
    assert commit(package) == {"sha": git("rev-parse", "HEAD"), "changed": False}
    (package / "__init__.py").write_text("x = 1\n")
    assert commit(package) == {"sha": git("rev-parse", "HEAD"), "changed": True}


def test_what_can_not_be_asked_is_nothing(monkeypatch):
    def absent(*_: object, **__: object) -> None:
        raise FileNotFoundError("no such program")

    monkeypatch.setattr(environment.subprocess, "run", absent)
    found = look_around()
    assert found["commit"] is None and found["gpu"] == []


def test_every_hash_is_that_of_the_file(folder, tmp_path):
    bundle = write_evidence(quickly(folder), tmp_path / "a.zip")
    inside = unpack(bundle.path, tmp_path / "unpacked")
    assert {name: file_sha256(inside / name) for name in bundle.sums} == bundle.sums
