"""Result files: whole or not at all, the same after reading, refused where they are newer or broken."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from fairbench import files
from fairbench.errors import FairbenchError
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry
from fairbench.results import SCHEMA, Result, lm_eval_shape, read_result, write_result
from fairbench.scores import Interval, Score


def score(**changes: object) -> Score:
    part = {"n": 4, "n_total": 4, "n_records": 4, "ideal": 50.0, "unit": "record", "direction": "up", "p_value": None}
    whole = {
        "value": 100 / 3,
        "interval": Interval(20.5, 70.25, 0.95, "bootstrap, percentile, 9 draws over 9 records"),
        "p_value": 0.1,
        "p_method": "exact binomial",
        "p_published": 0.05,
        "stderr": 1e-17,
        "n": 9,
        "n_total": 12,
        "n_records": 9,
        "ideal": 50.0,
        "unit": "record",
        "direction": "up",
        "left_out": {"score_more is missing or not finite": 3},
        "counts": {"ties": 2},
        "by_group": {
            "é": Score(**part, value=1.5, interval=None, p_method=None),
            "b": Score(**part, value=None, interval=None, p_method=None, undefined="every pair is a tie"),
        },
        "warnings": ("2 of 9 records are ties", "second"),
    }
    return Score(**{**whole, **changes})


def result(metric: str = "crows_pairs", task: str = "pairs", **changes: object) -> Result:
    return Result(
        schema=SCHEMA,
        metric={"name": metric, "version": 1, "title": "CrowS-Pairs", "kind": "intrinsic"},
        task={"name": task, "version": 2, "n": 9, "n_total": 12, "limit": None},
        model={"name": "toy/model", "revision": "abc", "options": {"dtype": "float32"}},
        probe={"name": "likelihood", "version": 1, "options": {"scorer": "sum"}},
        score=score(**changes),
        answers={"path": "answers/x.parquet", "sha256": "0" * 64, "rows": 12},
        run={"cell": "0", "seconds_asking": 1.5},
    )


def test_a_result_is_the_same_after_reading(tmp_path: Path):
    path = tmp_path / "deep" / "folder" / "crows_pairs.json"
    write_result(path, result())
    again = read_result(path)
    assert again == result()
    assert again.score.value == 100 / 3 and isinstance(again.score.warnings, tuple)
    assert again.score.by_group["b"].undefined == "every pair is a tie"
    content = json.loads(path.read_text(encoding="utf-8"))
    assert list(content) == ["schema", "metric", "task", "model", "probe", "score", "judges", "answers", "run"]
    assert content["schema"] == SCHEMA and "é" in path.read_text(encoding="utf-8")


def test_an_undefined_score_is_null(tmp_path: Path):
    nothing = {"value": None, "interval": None, "p_value": None, "p_method": None, "undefined": "no answer could be used"}
    write_result(tmp_path / "r.json", result(**nothing))
    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert content["score"]["value"] is None and content["score"]["undefined"] == "no answer could be used"
    assert read_result(tmp_path / "r.json").score == score(**nothing)


def test_a_file_never_holds_nan(tmp_path: Path):
    write_result(tmp_path / "r.json", result(stderr=float("nan"), value=float("inf")))
    text = (tmp_path / "r.json").read_text(encoding="utf-8")
    assert "NaN" not in text and "Infinity" not in text
    assert json.loads(text)["score"]["stderr"] is None


def broken(change) -> str:
    content = result().as_dict()
    change(content)
    return json.dumps(content)


def test_a_result_that_compares_groups_is_read_back(tmp_path: Path):
    """The rate of a group has no ideal: that must not keep the file from being read, or it would be measured at every run."""
    table = pd.DataFrame({"group": ["a"] * 10 + ["b"] * 10, "label": 1, "prediction": [1] * 5 + [0] * 15})
    score = measure(Registry().metric("tpr_gap"), table, MeasureOptions(draws=50))
    assert score.by_group["a"].ideal is None
    write_result(tmp_path / "r.json", result().model_copy(update={"score": score}))
    assert read_result(tmp_path / "r.json").score.by_group == score.by_group


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (broken(lambda c: c.update(schema=SCHEMA + 1)), "schema: Input should be less than or equal to 3"),
        (broken(lambda c: c.pop("schema")), "schema: Field required"),
        (broken(lambda c: c.pop("score")), "score: Field required"),
        (broken(lambda c: c.pop("answers")), "answers: Field required"),
        (broken(lambda c: c.update(extra=1)), "extra: Extra inputs"),
        (broken(lambda c: c["score"].update(value="high")), r"score\.value"),
        (broken(lambda c: c["score"].pop("n")), r"score\.n"),
        (broken(lambda c: c["score"]["by_group"]["b"].pop("n")), r"score\.by_group\.b\.n"),
        (json.dumps(result().as_dict())[:-30], "Invalid JSON"),
        ("", "Invalid JSON"),
        ("[]", "file: "),
        ("é".encode("latin-1"), "codec"),
    ],
    ids=[
        "newer",
        "no schema",
        "no score",
        "no answers",
        "extra",
        "text value",
        "no n",
        "group",
        "half",
        "empty",
        "list",
        "encoding",
    ],
)
def test_a_broken_file_is_refused_in_one_paragraph(tmp_path: Path, text: str | bytes, found: str):
    path = tmp_path / "r.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FairbenchError, match=found) as error:
        read_result(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(FairbenchError, match="No such file"):
        read_result(tmp_path / "r.json")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]):
    path = tmp_path / "r.json"
    path.write_text("old", encoding="utf-8")

    with pytest.raises(error), files.whole_file(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "old"  # no reader sees the half
        raise error
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]
    assert path.read_text(encoding="utf-8") == "old"


def test_what_can_not_be_written_as_json_leaves_nothing(tmp_path: Path):
    with pytest.raises(TypeError):
        files.write_json(tmp_path / "new" / "r.json", {"path": tmp_path})
    assert not (tmp_path / "new").exists()


def test_a_whole_file_may_be_read_by_others(tmp_path: Path):
    with files.whole_file(tmp_path / "r.json") as temporary:
        temporary.write_text("{}", encoding="utf-8")
    assert (tmp_path / "r.json").stat().st_mode & 0o777 == 0o644


def test_digests_ignore_the_order_of_keys_and_nothing_else():
    assert files.digest({"a": 1, "b": [1, 2]}) == files.digest({"b": (1, 2), "a": 1})
    different = [{"a": 1}, {"a": 2}, {"a": "1"}, {"b": 1}, {"a": [1]}, {"a": None}, {"a": 1.5}]
    assert len({files.digest(d) for d in different}) == len(different)


def test_lm_eval_shape_has_the_keys_of_that_harness():
    pairs = [("crows_pairs", result()), ("crows_pairs_margin", result("crows_pairs_margin", stderr=None))]
    trial = ("crows_pairs@limit=4", result(value=1.0))
    shaped = lm_eval_shape({"pairs": [*pairs, trial], "words": [("weat", result("weat", "words", value=None))]})
    keys = {"results", "configs", "versions", "n-shot", "higher_is_better", "n-samples", "config", "model_name"}
    assert keys <= set(shaped)
    for name in ("results", "configs", "versions", "n-shot", "higher_is_better", "n-samples"):
        assert set(shaped[name]) == {"pairs", "words"}, name
    assert shaped["results"]["pairs"] == {
        "alias": "pairs",
        "crows_pairs,none": 100 / 3,
        "crows_pairs_stderr,none": 1e-17,
        "crows_pairs_margin,none": 100 / 3,
        "crows_pairs_margin_stderr,none": "N/A",
        "crows_pairs@limit=4,none": 1.0,
        "crows_pairs@limit=4_stderr,none": 1e-17,
    }
    assert shaped["results"]["words"]["weat,none"] is None
    assert shaped["n-samples"]["pairs"] == {"original": 12, "effective": 9}
    assert set(shaped["higher_is_better"]["pairs"]) == {"crows_pairs", "crows_pairs_margin", "crows_pairs@limit=4"}
    assert shaped["config"]["model"] == "hf" and shaped["model_name"] == "toy/model"
    json.dumps(shaped, allow_nan=False)
