"""Every score is found anew from its answers; what was changed is seen, whatever it is, and nothing is written."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairbench import FairbenchError, verification
from fairbench.changes import Change, changes, warning_changes
from fairbench.files import file_sha256
from fairbench.judges import sentiment
from fairbench.scores import Interval, Score
from fairbench.verification import Checked, VerifyOptions, verify
from tests.scored import results, score

PAIRS, MARGIN = "planted_pairs/crows_pairs@draws=200.json", "planted_pairs/crows_pairs_margin@draws=200.json"
GAP = "planted_prompts/sentiment_gap@draws=200.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return results(tmp_path_factory.mktemp("scored"))


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(made, tmp_path / made.name))


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def put(path: Path, place: str, value: object) -> None:
    """Sets the field at a place ("score.interval.low") of a JSON file."""
    *outer, last = place.split(".")
    edit(path, lambda content: functools.reduce(lambda inner, name: inner[name], outer, content).update({last: value}))


def found(folder: Path, name: str, **options: object) -> Checked:
    checked = verify([folder], VerifyOptions(**options)).checked  # type: ignore[arg-type]
    return next(one for one in checked if one.file.endswith(name))


def only(folder: Path, name: str) -> None:
    """Leaves this result alone in its folder: it is looked at faster."""
    for other in {PAIRS, MARGIN, GAP} - {name}:
        (folder / other).unlink()


def outcomes(folder: Path, **options: object) -> dict[str, str]:
    checked = verify([folder], VerifyOptions(**options)).checked  # type: ignore[arg-type]
    return {one.file.partition("/")[2]: one.outcome for one in checked}


@pytest.mark.parametrize("quick", [False, True], ids=["full", "quick"])
def test_what_nobody_touched_is_verified_and_nothing_is_written(folder, quick):
    (folder / "answers" / "0123.parts").mkdir()  # what another run is just making
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    steps = []
    again = verify([folder], VerifyOptions(quick=quick), lambda what, done, total: steps.append((what, done, total)))
    assert again.passed and again.counts == {"verified": 3}
    assert [one.file.partition("/")[2] for one in again.checked] == [PAIRS, MARGIN, GAP]
    assert not any(one.notes or one.changes or one.said for one in again.checked)
    assert steps == [("scores", n, 3) for n in range(4)]
    assert before == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert (folder / "answers" / "0123.parts").is_dir()


def test_the_judge_gap_is_found_anew_too(made):
    """Else the next tests would prove nothing: the metric of the judge has a value, a gap of the judge, and refusals."""
    score = json.loads((made / GAP).read_text())["score"]
    assert score["value"] is not None and score["without_refusals"] is not None
    assert any(name.startswith("judge_gap.") for name in score["details"])


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        (PAIRS, "score.value", 50.0),
        (PAIRS, "score.interval.low", 1.0),
        (PAIRS, "score.p_value", 0.04),
        (PAIRS, "score.n", 71),
        (PAIRS, "score.n_total", 71),
        (PAIRS, "score.counts.ties", 3),
        (PAIRS, "score.clean.value", 1.0),
        (PAIRS, "score.left_out", {"dull": 2}),
        (GAP, "score.by_group", {}),
        (PAIRS, "score.undefined", "it looked bad"),
        (PAIRS, "score.interval", None),
        (PAIRS, "score.warnings", []),
        (GAP, "score.details.judge_gap.gender", 0.9),
        (GAP, "score.floor", 0.5),
        (GAP, "score.without_refusals.value", 0.0),
        (MARGIN, "score.leave_one_out", {"low": 0.0, "low_without": "a", "high": 1.0, "high_without": "b", "units": 2}),
    ],
)
def test_any_changed_field_is_named(folder, name, place, value):
    only(folder, name)
    if place == "score.details.judge_gap.gender":  # the name holds a dot
        notions = [d for d in json.loads((folder / name).read_text())["score"]["details"] if d.startswith("judge_gap.")]
        edit(folder / name, lambda content: content["score"]["details"].update({notions[0]: value}))
        place = f"score.details.{notions[0]}"
    else:
        put(folder / name, place, value)
    one = found(folder, name)
    assert one.outcome == "differs"
    assert all(change.field.startswith(place) for change in one.changes) and one.changes
    assert one.changes[0].field in one.said


def test_a_change_in_the_last_digits_is_none_and_a_larger_one_is(folder):
    value = json.loads((folder / MARGIN).read_text())["score"]["value"]
    put(folder / MARGIN, "score.value", value * (1 + 1e-11))
    assert found(folder, MARGIN).outcome == "verified"
    put(folder / MARGIN, "score.value", value * (1 + 1e-7))
    put(folder / MARGIN, "run.versions.numpy", "1.0")
    one = found(folder, MARGIN)
    assert one.outcome == "differs" and one.changes[0].by == pytest.approx(1e-7, rel=1e-3)
    assert "by 1e-07" in one.said and "numpy 1.0 (here " in one.said


def test_quickly_only_what_needs_no_draws_is_compared(folder):
    put(folder / PAIRS, "score.interval.low", 1.0)
    assert found(folder, PAIRS, quick=True).outcome == "verified"
    put(folder / PAIRS, "score.n_records", 3)
    assert [c.field for c in found(folder, PAIRS, quick=True).changes] == ["score.n_records"]


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("task.n", 71, "task.n"),
        ("task.records_sha256", "0" * 64, "name of its answers"),
        ("task.name", "crows_pairs", "not what its path says"),
        ("metric.name", "crows_pairs_margin", "not what its path says"),
        ("model.weights_sha256", "0" * 64, "model's folder"),
        ("model.options.dtype", "float16", "model's folder"),
        ("probe.options.scorer", "mean", "name of its answers"),
        ("answers.path", "answers/../../secret.parquet", "name of its answers"),
        ("answers.sha256", "0" * 64, "has the sha256"),
        ("answers.rows", 7, "answers.rows"),
        ("run.measure.seed", 5, "score.interval"),
        ("run.measure", {"wings": 2}, "can't be measured again"),
    ],
)
def test_no_block_can_be_exchanged_alone(folder, place, value, said):
    only(folder, PAIRS)
    put(folder / PAIRS, place, value)
    one = found(folder, PAIRS)
    assert one.outcome in ("differs", "hash does not match") and said in one.said
    assert str(folder.parent) not in one.said


def test_answers_with_another_hash(folder):
    (path,) = {folder / json.loads((folder / name).read_text())["answers"]["path"] for name in (PAIRS, MARGIN)}
    frame = pd.read_parquet(path)
    frame["score_more"] += 1
    frame.to_parquet(path)
    assert outcomes(folder) == {PAIRS: "hash does not match", MARGIN: "hash does not match", GAP: "verified"}
    for name in (PAIRS, MARGIN):
        put(folder / name, "answers.sha256", file_sha256(path))
    assert "its note says" in found(folder, PAIRS).said
    put(path.with_suffix(".json"), "sha256", file_sha256(path))  # all hashes are forged: the numbers tell
    assert outcomes(folder) == {PAIRS: "differs", MARGIN: "differs", GAP: "verified"}


@pytest.mark.parametrize("what", ["parquet", "json"])
@pytest.mark.parametrize("place", ["answers", "judged"])
def test_what_is_not_kept_can_not_be_verified(folder, what, place):
    for path in (folder / place).glob(f"*.{what}"):
        path.unlink()
    gone = "answers not kept"
    assert outcomes(folder) == dict.fromkeys((PAIRS, MARGIN), gone if place == "answers" else "verified") | {GAP: gone}
    assert f".{what}" in found(folder, GAP).said


def test_changed_judgements_are_seen(folder):
    block = next(b for b in json.loads((folder / GAP).read_text())["judges"] if b["name"] == "sentiment")
    frame = pd.read_parquet(folder / block["path"])
    frame["sentiment"] = np.where(frame["sentiment"].notna(), 1.0, np.nan)
    frame.to_parquet(folder / block["path"])
    one = found(folder, GAP)
    assert one.outcome == "hash does not match" and block["path"] in one.said


def test_another_judge_can_not_stand_for_the_one_that_judged(folder):
    edit(folder / GAP, lambda content: content["judges"][0].update(version=9))
    one = found(folder, GAP)
    assert one.outcome == "hash does not match" and "judge sentiment" in one.said


def test_without_its_judge_a_score_is_verified_but_for_what_the_judge_says_of_itself(folder, monkeypatch):
    def absent(options, room):
        raise FairbenchError("the judge is not here")

    monkeypatch.setattr(sentiment, "prepare", absent)
    one = found(folder, GAP)
    assert one.outcome == "verified" and "judge_gap" in one.notes[0]
    put(folder / GAP, "score.value", 0.77)
    assert [c.field for c in found(folder, GAP).changes] == ["score.value"]


def test_a_metric_that_is_not_here_or_of_another_version(folder):
    for name, version in ((PAIRS, 99), (MARGIN, 0)):
        put(folder / name, "metric.version", version)
    assert set(outcomes(folder).values()) == {"another version", "verified"}
    assert "version 99 of crows_pairs" in found(folder, PAIRS).said
    put(folder / MARGIN, "metric.name", "mine")
    (folder / MARGIN).rename(folder / "planted_pairs" / "mine.json")
    one = found(folder, "mine.json")
    assert one.outcome == "no metric" and "There is no metric 'mine'" in one.said


def test_an_option_that_the_metric_has_not(folder):
    put(folder / PAIRS, "metric.options", {"wings": 2})
    assert found(folder, PAIRS).outcome == "another version"


def test_older_newer_and_broken_files_stand_beside_the_others(folder):
    put(folder / PAIRS, "schema", 1)
    put(folder / MARGIN, "schema", 99)
    (folder / GAP).write_text((folder / GAP).read_text()[:200])
    assert outcomes(folder) == {PAIRS: "older schema", MARGIN: "can't be read", GAP: "can't be read"}
    assert "schema 99" in found(folder, MARGIN).said and "cut short" in found(folder, GAP).said


def test_an_edited_metric_is_said_and_its_numbers_are_compared_all_the_same(tmp_path):
    path = tmp_path / "more" / "metrics" / "mine.py"
    path.parent.mkdir(parents=True)
    text = (
        "import numpy as np\nfrom fairbench.metrics.crows_pairs import SHARE as INFO\n"
        "def mine(answers, weights):\n    return np.full(len(weights), {value})\n"
    )
    path.write_text(text.format(value=10.0))
    folder = score(tmp_path / "out", metrics=("mine",), include_path=(path.parents[1],)).folder
    (one,) = verify([folder], VerifyOptions(include=(path.parents[1],))).checked
    assert (one.outcome, one.notes) == ("verified", ())
    path.write_text(text.format(value=10.0) + "# a word more\n")
    (one,) = verify([folder], VerifyOptions(include=(path.parents[1],))).checked
    assert one.outcome == "verified" and "metric's file" in one.notes[0]
    path.write_text(text.format(value=20.0))
    (one,) = verify([folder], VerifyOptions(include=(path.parents[1],))).checked
    assert one.outcome == "differs" and "score.value is 10 in the file, and 20 was found" in one.said and one.notes
    assert verify([folder]).checked[0].outcome == "no metric"


def test_another_version_of_the_package_is_told_from_another_metric(folder, monkeypatch):
    rules, schema, here = verification.MADE_BY
    monkeypatch.setattr(verification, "MADE_BY", (rules, schema, "99.0"))
    one = found(folder, PAIRS)
    assert one.outcome == "verified" and f"made by fairbench {here}, and this is 99.0" in one.notes[0]


def test_a_limited_score_is_verified_and_its_warning_can_not_be_taken_away(tmp_path):
    folder = score(tmp_path, limit=10, metrics=("crows_pairs",)).folder
    (one,) = verify([folder]).checked
    assert one.outcome == "verified"
    edit(one.path, lambda content: content["score"]["warnings"].pop())
    (one,) = verify([folder]).checked
    assert [c.field for c in one.changes] == ["score.warnings"] and "Limited to 10" in str(one.changes[0].recomputed)


def test_every_copy_of_a_result_is_looked_at_and_a_folder_given_twice_is_one(folder, tmp_path):
    copied = Path(shutil.copytree(folder, tmp_path / "other" / folder.name))
    put(copied / PAIRS, "score.value", 1.0)
    both = verify([folder, copied, folder])
    assert len(both.checked) == 6 and both.counts == {"verified": 5, "differs": 1} and not both.passed


def test_a_folder_without_results_is_a_wrong_request(tmp_path):
    with pytest.raises(FairbenchError, match="holds no results"):
        verify([tmp_path])
    with pytest.raises(FairbenchError, match="does not exist"):
        verify([tmp_path / "absent"])


def test_what_was_found_is_plain_json_without_a_path(folder):
    put(folder / PAIRS, "score.value", 1.0)
    (folder / GAP).write_text("{")
    said = json.dumps(verify([folder]).as_dict(), allow_nan=False)
    content = json.loads(said)
    assert str(folder.parent) not in said
    assert content["counts"] == {"differs": 1, "verified": 1, "can't be read": 1} and content["passed"] is False
    frame = verify([folder]).to_frame()
    assert frame["outcome"].tolist() == [row["outcome"] for row in content["results"]]
    assert frame["changes"][0] == ["score.value"]
    first = content["results"][0]
    assert first["file"] == f"{folder.name}/{PAIRS}" and first["changes"][0]["recorded"] == 1.0


SCORE = Score(
    value=1.0, interval=Interval(0.5, 2.0, 0.95, "bootstrap"), p_value=0.5, p_method="sign", n=3, n_total=3, n_records=3,
    ideal=0.0, unit="record", direction="more", details={"tau": 0.0, "judge_gap.gender": 0.1},
)  # fmt: skip


def changed(**fields: object) -> list[str]:
    return [one.field for one in changes(SCORE.as_dict(), dataclasses.replace(SCORE, **fields).as_dict())]  # type: ignore[arg-type]


def test_scores_are_compared_leaf_by_leaf():
    assert changed() == []
    assert changed(value=1.0 + 1e-10, warnings=("a",)) == []
    assert changed(value=None) == ["score.value"]
    assert changed(interval=None) == ["score.interval"]
    assert changed(n=4) == ["score.n"]
    assert changed(details={"judge_gap.gender": 0.1, "tau": 1e-13}) == []  # the rounding of a sum around 0
    assert changed(details={"judge_gap.gender": 0.1}) == ["score.details.tau"]
    assert changed(by_group={"a": SCORE}, unit="cluster") == ["score.unit", "score.by_group.a"]
    assert changed(by_group={}, left_out={"x": 1}) == ["score.left_out.x"]


def test_how_far_two_numbers_are_apart():
    assert Change("x", 100.0, 101.0).by == pytest.approx(1 / 101)
    assert Change("x", None, 1.0).by is None and Change("x", True, 1).by is None
    assert Change("x", 0, 0.0).by == 0


@pytest.mark.parametrize(
    ("recorded", "judged", "agree"),
    [
        (["found", "after"], True, True),
        (["found"], True, False),
        (["after", "found"], True, False),
        (["found", "judge", "after"], True, False),
        (["found", "judge", "after"], False, True),
        (["judge", "found", "after"], False, False),
        (["found"], False, False),
        (["found", "judge"], False, False),
    ],
)
def test_warnings_belong_where_they_stand(recorded, judged, agree):
    assert (not warning_changes(recorded, ["found"], ["after"], judged=judged)) is agree


def test_nothing_after_the_warnings_is_nothing():
    assert not warning_changes(["found", "judge"], ["found"], [], judged=False)


def test_the_python_verb(write, tmp_path):
    import fairbench

    table = pd.DataFrame({"id": list("abcdefghijkl"), "score_more": np.linspace(-1, 2, 12), "score_less": 0.0})
    write("m", "crows_pairs_margin", table)
    found = fairbench.verify(tmp_path / "results")
    assert len(found.checked) == 1 and list(found.to_frame().columns)
