"""Counterfactual token fairness against plain loops, by hand, from files, and from end to end."""

from __future__ import annotations

import importlib.util
import json
import math
import statistics
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics.counterfactual_token_fairness import (
    NO_ORIGINAL,
    NO_VARIANT,
    counterfactual_token_fairness,
    unused,
)

from fairbench import study
from fairbench.cli import main
from fairbench.errors import FairbenchError, Undefined
from fairbench.measurement import MeasureOptions, measure
from fairbench.plan import ScoreOptions
from fairbench.registry import Registry
from fairbench.tables import complete

METRIC = Registry().metric("counterfactual_token_fairness")
VALUE = MeasureOptions(draws=0)
HAND = [  # (id, source, probability of class 1, label, notion)
    ("a", None, 0.2, 0, None),
    ("a~1", "a", 0.6, 0, "race"),
    ("a~2", "a", 0.1, 0, "age"),
    ("b", None, 0.9, 1, None),
    ("b~1", "b", 0.4, 1, "race"),
    ("c", None, 0.5, 1, None),
    ("c~1", "c", 0.5, 1, "age"),
    ("c~2", "c", 0.7, 1, "age"),
]


def table(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    found = pd.DataFrame(rows, columns=["id", "source", "p", "label", "meta.notion"]).assign(text="text")
    return found.assign(probs=[[1 - p, p] for p in found["p"]]).drop(columns="p")


def made(seed: int, classes: int = 2, sources: int = 12) -> pd.DataFrame:
    """Originals with one to five variants each, in random order."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(sources):
        for variant in range(int(rng.integers(2, 7))):
            name = str(number) if not variant else f"{number}~{variant}"
            source = str(number) if variant else None
            notion = ("race", "age", "gender")[int(rng.integers(3))] if variant else None
            rows.append({"id": name, "source": source, "label": number % classes, "meta.notion": notion, "text": "text"})
    probs = list(rng.dirichlet(np.ones(classes), len(rows)))
    return pd.DataFrame(rows).assign(probs=probs).sample(frac=1, random_state=seed).reset_index(drop=True)


def by_loop(answers: pd.DataFrame, distance: str = "total-variation", positive: int = 1) -> float:
    rows = answers.to_dict("records")
    means = []
    for row in rows:
        if row["source"] is None or row["source"] != row["source"]:
            changes = []
            for other in rows:
                if other["source"] == row["id"]:
                    if distance == "positive":
                        changes.append(abs(row["probs"][positive] - other["probs"][positive]))
                    else:
                        changes.append(sum(abs(x - y) for x, y in zip(row["probs"], other["probs"], strict=True)) / 2)
            if changes:
                means.append(math.fsum(changes) / len(changes))
    return math.fsum(means) / len(means)


def value(answers: pd.DataFrame, **options: object) -> float:
    return float(counterfactual_token_fairness(answers, np.ones((1, len(answers))), **options)[0])


def test_case_worked_by_hand():
    score = measure(METRIC, table(HAND), VALUE)
    assert score.value == pytest.approx(((0.4 + 0.1) / 2 + 0.5 + (0 + 0.2) / 2) / 3)
    assert score.counts == {"sources": 3, "variants": 5, "changed_predictions": 2}
    assert (score.n, score.n_total, score.n_records, score.left_out) == (3, 3, 8, {})
    assert score.details == {
        "signed_difference": pytest.approx(((0.4 - 0.1) / 2 - 0.5 + 0.1) / 3),
        "flips": pytest.approx((0.5 + 1 + 0) / 3),
        "unanimous": pytest.approx(1 / 3),
        "class 0": pytest.approx(0.25),
        "class 1": pytest.approx((0.5 + 0.1) / 2),
        "notion age": pytest.approx((0.1 + 0.1) / 2),
        "notion race": pytest.approx((0.4 + 0.5) / 2),
    }


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_ones_equal_the_loop(seed, classes):
    answers = made(seed, classes)
    assert value(answers) == pytest.approx(by_loop(answers), abs=1e-12)
    for positive in range(classes):
        options = {"distance": "positive", "positive": positive}
        assert value(answers, **options) == pytest.approx(by_loop(answers, **options), abs=1e-12)


def test_of_two_classes_all_distances_are_the_same():
    answers = made(1)
    first = value(answers)
    assert (
        first
        == pytest.approx(value(answers, distance="positive"))
        == pytest.approx(value(answers, distance="positive", positive=0))
    )


@pytest.mark.parametrize("seed", range(3))
def test_integer_weights_repeat_texts_with_their_variants_and_zeros_remove_them(seed):
    answers = made(seed)
    origin = answers["source"].fillna(answers["id"])
    codes, names = pd.factorize(origin)
    counts = np.random.default_rng(seed).integers(0, 4, size=(7, len(names)))
    counts[0, 1:] = 0
    counts[0, 0] = 2
    repeated = []
    for row in counts:
        parts = [
            answers[origin == name].assign(id=lambda t, k=k: t["id"] + f"/{k}", source=lambda t, k=k: t["source"] + f"/{k}")
            for name, times in zip(names, row, strict=True)
            for k in range(times)
        ]
        repeated.append(by_loop(pd.concat(parts)))
    assert counterfactual_token_fairness(answers, counts[:, codes].astype(float)) == pytest.approx(repeated, abs=1e-12)


def test_a_draw_without_any_text_has_no_value():
    found = counterfactual_token_fairness(table(HAND), np.array([[0.0] * 8, [1.0] * 8]))
    assert np.isnan(found[0]) and found[1] == pytest.approx(0.85 / 3)


def test_the_same_answer_to_all_is_the_ideal_and_the_opposite_one_the_worst():
    answers = made(2)
    assert value(answers.assign(probs=[[0.3, 0.7]] * len(answers))) == 0
    opposite = [[1.0, 0.0] if original else [0.0, 1.0] for original in answers["source"].isna()]
    assert value(answers.assign(probs=opposite)) == 1


def test_renaming_texts_and_classes_changes_nothing():
    answers = made(3, 3)
    renamed = answers.assign(id="x" + answers["id"], source="x" + answers["source"])
    turned = answers.assign(probs=[p[::-1] for p in answers["probs"]])
    assert value(answers) == pytest.approx(value(renamed), abs=1e-15) == pytest.approx(value(turned), abs=1e-12)


def test_which_of_two_texts_is_the_original_does_not_matter():
    pair = table([("a", None, 0.2, 0, None), ("b", "a", 0.7, 0, None)])
    assert value(pair) == pytest.approx(value(pair.assign(source=["b", None])))


def test_what_has_no_counterpart_is_left_out_and_counted():
    rows = [*HAND, ("d", None, 0.3, 0, None), ("e~1", "e", 0.4, 0, "race"), ("c~2~1", "c~2", 0.4, 0, "race")]
    rows[3] = ("b", None, math.nan, 1, None)
    score = measure(METRIC, table(rows), VALUE)
    assert score.left_out == {"probs is missing or not finite": 1, NO_VARIANT: 1, NO_ORIGINAL: 3}
    assert score.value == pytest.approx((0.25 + 0.1) / 2)
    assert (score.n, score.n_records, score.counts["sources"], score.counts["variants"]) == (2, 6, 2, 4)
    assert unused(table(HAND)) == [None] * 8


def test_left_out_by_the_probe_counts_by_its_reason():
    answers = table(HAND).assign(left_out=["the text is in the training data", *[None] * 7])
    score = measure(METRIC, answers, VALUE)
    assert score.left_out == {"the text is in the training data": 1, NO_ORIGINAL: 2}


def test_no_variant_with_an_answer_is_undefined():
    answers = table([(name, source, math.nan if source else p, label, notion) for name, source, p, label, notion in HAND])
    score = measure(METRIC, answers, VALUE)
    assert score.value is None and score.undefined == "no answer could be used" and score.left_out[NO_VARIANT] == 3
    with pytest.raises(Undefined, match="beside a variant"):
        value(table([HAND[0], HAND[3]]))


@pytest.mark.parametrize("change", [lambda t: t.drop(columns="source"), lambda t: t.assign(source=None)])
def test_without_a_source_it_is_refused(change):
    with pytest.raises(FairbenchError, match=r"name no `source`.*id of the original"):
        measure(METRIC, change(table(HAND)), VALUE)


def test_two_originals_with_one_id_are_refused():
    with pytest.raises(FairbenchError, match="Two rows without a `source` have the id 'a'"):
        measure(METRIC, table([*HAND, HAND[0]]), VALUE)


def test_a_class_that_is_not_there_is_refused():
    with pytest.raises(FairbenchError, match="The option positive is 2"):
        measure(METRIC.with_options({"positive": 2}), table(HAND), VALUE)


@pytest.mark.parametrize("names", [None, [1, 2, 3], ["1", "2", "3"]])
def test_a_text_is_resampled_with_its_variants_whatever_the_clusters_of_the_table(names):
    """The interval is that of a bootstrap over the three texts, with or without a cluster in the table."""
    answers = table(HAND)
    if names is not None:
        answers["cluster"] = [names["abc".index(name[0])] if source is None else None for name, source, *_ in HAND]
    completed = complete(answers, METRIC.info)
    assert completed.groupby("cluster").size().tolist() == [3, 2, 3]
    how = MeasureOptions(draws=4000, seed=5)
    score = measure(METRIC, answers, how)
    assert score.n == 3 and score.interval.method.endswith("over 3 clusters")
    rng = np.random.default_rng(1)
    drawn = [statistics.fmean(rng.choice([0.25, 0.5, 0.1], 3)) for _ in range(4000)]
    assert score.stderr == pytest.approx(statistics.stdev(drawn), rel=0.05)


def test_texts_of_one_cluster_are_resampled_together():
    answers = table(HAND).assign(cluster=["one", None, None, "one", None, "two", None, None])
    assert measure(METRIC, answers, MeasureOptions(draws=50)).n == 2


def test_details_without_labels_or_notions():
    answers = table(HAND).drop(columns=["label", "meta.notion"])
    assert set(measure(METRIC, answers, VALUE).details) == {"signed_difference", "flips", "unanimous"}
    named = measure(METRIC, table(HAND).assign(**{"meta.class": ["kind"] * 3 + ["rotten"] * 5}), VALUE)
    assert {"class kind", "class rotten"} <= set(named.details)


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_answers_from_elsewhere(tmp_path, capsys, suffix):
    """Ids that are numbers come back from a file with gaps as 1.0 in the column `source`."""
    ids = {name: n for n, (name, *_) in enumerate(HAND, 1)}
    answers = table(HAND).assign(id=lambda t: t["id"].map(ids), source=lambda t: t["source"].map(ids))
    path = tmp_path / f"answers.{suffix}"
    if suffix == "csv":
        answers.assign(probs=answers["probs"].map(json.dumps)).to_csv(path, index=False)
    else:
        answers.to_json(path, orient="records", lines=True)
    run(["measure", "counterfactual_token_fairness", str(path), "--json"])
    found = json.loads(capsys.readouterr().out)["score"]
    assert found["value"] == pytest.approx(0.85 / 3) and found["n"] == 3


def run(arguments: list[str]) -> None:
    import sys

    before = sys.argv
    sys.argv = ["fairbench", *arguments]
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
    finally:
        sys.argv = before


# ---- from end to end


SPEC = importlib.util.spec_from_file_location("toys", Path(__file__).parents[1] / "training" / "toys.py")
toys = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(toys)

TASK = """
from fairbench.records import Labelled
from fairbench.scores import Source, TaskInfo

INFO = TaskInfo(
    title="toy", form="Labelled", licence="own", cite="none", language="en", groups=(), cluster="none", labels=("kind", "rotten"),
    metrics=("counterfactual_token_fairness",),
    sources=(Source(format="csv", columns=("text", "label"), files={{"said.csv": "{sha256}"}}),),
)

def records(rows, task):
    for number, row in enumerate(rows, 1):
        yield Labelled(id=str(number), text=row["text"], label=int(row["label"]), meta={{"split": "test"}})
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, study.Run]:
    """A ready classifier of random weights, asked about four texts with variants of either kind."""
    from fairbench.files import file_sha256

    folder = tmp_path_factory.mktemp("end to end")
    (folder / "said.csv").write_text("text,label\nShe is deaf.,0\nA gay man said it.,1\nIt is late.,1\nAn older man.,0\n")
    (folder / "more" / "tasks").mkdir(parents=True)
    sha256 = file_sha256(folder / "said.csv")
    (folder / "more" / "tasks" / "said.py").write_text(TASK.format(sha256=sha256))
    model = str(toys.ready(folder, "gpt2", ("kind", "rotten")))
    common = {"tasks": ("said",), "data_dir": folder, "include_path": (folder / "more",), "output_path": folder / "results"}
    return {kind: study.score(model, ScoreOptions(**common, counterfactual=kind)) for kind in ("terms", "roles")}


@pytest.mark.parametrize(("kind", "sources", "variants"), [("terms", 3, 2 + 8 + 1), ("roles", 3, 3)])
def test_from_texts_to_a_score(runs, kind, sources, variants):
    run = runs[kind]
    (result,) = run.results
    assert not run.failed and not run.skipped
    answers = pd.read_parquet(run.folder / result.answers["path"])
    assert result.score.value == pytest.approx(by_loop(answers), abs=1e-12) and result.score.value > 0
    assert (result.score.counts["sources"], result.score.counts["variants"]) == (sources, variants)
    assert result.score.n == sources == result.score.n_total and result.score.interval is not None
    assert result.task["data"]["counterfactual"] == {
        "kind": kind, "texts_with_variants": sources, "texts_without": 1, "variants": variants
    }  # fmt: skip
    assert "It is late." not in set(answers["text"])


def test_either_kind_has_a_result_of_its_own(runs):
    names = [path.name for path in sorted((runs["terms"].folder / "said").glob("*.json"))]
    assert len(names) == 2 and any("roles" in name for name in names)
