"""Whole comparisons on results that tests write: what is found, what is refused, what is said."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from fairbench import FairbenchError
from fairbench.collection import collect
from fairbench.comparison.comparing import CompareOptions, compare, find_models
from fairbench.correlations import holm
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry

QUICK = CompareOptions(draws=500)


def pairs(margins, **columns) -> pd.DataFrame:
    n = len(margins)
    return pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(n)],
            "more": [f"more {i}" for i in range(n)],
            "less": [f"less {i}" for i in range(n)],
            "score_more": np.asarray(margins, dtype=float),
            "score_less": 0.0,
            **columns,
        }
    )


def passages(per_token, tokens=10, n=30) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": [f"d{i}" for i in range(n)],
            "text": "some words",
            "log_likelihood": -per_token * tokens + rng.normal(0, 0.1, n),
            "tokens": tokens,
            "words": 8,
            "bytes": 40,
        }
    )


def both(tmp_path, options=QUICK):
    collection = collect([tmp_path / "results"])
    return compare(collection, "before", ["after"], options)


def test_a_difference_is_that_of_the_two_scores(write, tmp_path):
    rng = np.random.default_rng(0)
    before, after = pairs(rng.normal(1, 1, 80)), pairs(rng.normal(0.2, 1, 80))
    for metric in ("crows_pairs", "crows_pairs_margin"):
        write("before", metric, before)
        write("after", metric, after)
    found = both(tmp_path)
    by = {one.metric: one for one in found.comparisons[0].differences}
    share = by["crows_pairs"]
    values = [100 * float((t.score_more > 0).mean()) for t in (before, after)]
    assert (share.baseline.value, share.model.value) == tuple(values)
    assert share.difference == pytest.approx(values[1] - values[0])
    assert share.distance == pytest.approx(abs(values[1] - 50) - abs(values[0] - 50))
    assert share.n == 80 and share.unit == "record" and share.p.method.startswith("McNemar")
    assert share.verdict == "differs" and share.said == "differs: closer to the ideal"
    margin = by["crows_pairs_margin"]
    assert margin.detectable == pytest.approx(2.8016 * margin.stderr, rel=1e-3)
    assert by["crows_pairs_margin"].p_holm is None and found.family == (("after", "made_pairs/crows_pairs"),)
    assert share.flips.n == 80
    frame = found.to_frame()
    assert frame.loc[frame.metric == "crows_pairs", "difference"].item() == share.difference
    json.dumps(found.as_dict())


def test_only_records_that_both_answered_are_compared(write, tmp_path):
    rng = np.random.default_rng(0)
    before, after = pairs(rng.normal(1, 1, 60)), pairs(rng.normal(1, 1, 60))
    after.loc[50:, "score_more"] = np.nan
    write("before", "crows_pairs", before)
    write("after", "crows_pairs", after)
    one = both(tmp_path).comparisons[0].differences[0]
    assert one.n == 50
    assert one.left_out == {"of the model only could not be used (score_more is missing or not finite)": 10}
    alone = measure(Registry().metric("crows_pairs"), before.iloc[:50], MeasureOptions(draws=0))
    assert one.baseline.value == alone.value


def test_groups_are_compared_by_their_own_rows(write, tmp_path):
    rng = np.random.default_rng(0)
    groups = ["age"] * 40 + ["faith"] * 40
    before, after = pairs(rng.normal(1, 1, 80), group=groups), pairs(rng.normal(-1, 1, 80), group=groups)
    write("before", "crows_pairs", before)
    write("after", "crows_pairs", after)
    one = both(tmp_path).comparisons[0].differences[0]
    assert set(one.by_group) == {"age", "faith"}
    shares = [100 * float((t.score_more[:40] > 0).mean()) for t in (before, after)]
    assert one.by_group["age"].difference == pytest.approx(shares[1] - shares[0]) and one.by_group["age"].n == 40
    assert one.by_group["age"].p_holm is None


def test_a_disparity_is_compared_with_its_groups_rates(write, tmp_path):
    rng = np.random.default_rng(0)
    n = 400
    groups = [["f"] if i % 2 else ["m"] for i in range(n)]
    tables = []
    for rate in (0.3, 0.1):
        said = np.where(np.arange(n) % 2, rng.random(n) < 0.2, rng.random(n) < 0.2 + rate).astype(int)
        tables.append(
            pd.DataFrame({"id": [f"r{i}" for i in range(n)], "text": "t", "label": 0, "prediction": said, "groups": groups})
        )
    for name, table in zip(("before", "after"), tables, strict=True):
        write(name, "demographic_parity_difference", table, task="made_texts")
    one = both(tmp_path).comparisons[0].differences[0]
    rates = [t.groupby(t.groups.str[0]).prediction.mean() for t in tables]
    gaps = [float(rate.max() - rate.min()) for rate in rates]
    assert one.difference == pytest.approx(gaps[1] - gaps[0])
    assert one.by_group["m"].difference == pytest.approx(rates[1]["m"] - rates[0]["m"])
    assert one.by_group["m"].interval.low < one.by_group["m"].difference < one.by_group["m"].interval.high
    assert one.worse_by is not None and one.flips.n == n


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"task_version": 2}, "task.version"),
        ({"limit": 20}, "task.limit"),
        ({"probe": {"scorer": "mean"}}, "probe.options.scorer"),
        ({"records": "r2"}, "task.records_sha256"),
    ],
    ids=["version", "limit", "scorer", "records"],
)
def test_what_is_not_comparable_is_refused_and_the_field_named(write, tmp_path, changes, field):
    table = pairs(np.linspace(-1, 2, 30))
    write("before", "crows_pairs", table, probe={"scorer": "sum"})
    write("after", "crows_pairs", table, **{"probe": {"scorer": "sum"}, **changes})
    with pytest.raises(FairbenchError, match=rf"differs in {field}"):
        both(tmp_path)


@pytest.mark.parametrize("option", ["samples", "temperature"])
def test_other_decoding_is_refused(write, tmp_path, option):
    table = pd.DataFrame(
        {
            "id": [f"p{i // 2}" for i in range(40)],
            "text": "He said",
            "continuation": "no",
            "sample": [0, 1] * 20,
            "refusal": 0.0,
            "finish": "stop",
        }
    )
    write("before", "refusal_rate", table, task="made_prompts", probe={"samples": 2, "temperature": 1.0})
    write("after", "refusal_rate", table, task="made_prompts", probe={"samples": 2, "temperature": 1.0} | {option: 5})
    with pytest.raises(FairbenchError, match=f"probe.options.{option}"):
        both(tmp_path)


def test_the_rest_is_compared_where_one_metric_is_refused(write, tmp_path):
    table = pairs(np.linspace(-1, 2, 30))
    for name in ("before", "after"):
        write(name, "crows_pairs_margin", table)
        write(name, "crows_pairs", table, task_version=1 + (name == "after"))
    one = both(tmp_path).comparisons[0]
    assert [d.metric for d in one.differences] == ["crows_pairs_margin"]
    assert [(r.column, r.field, r.baseline, r.model) for r in one.refused] == [("made_pairs/crows_pairs", "task.version", 1, 2)]


def test_the_last_layer_is_the_last_layer_however_many_there_are(write, tmp_path):
    rng = np.random.default_rng(0)
    roles = ["target_x", "target_y", "attribute_a", "attribute_b"]
    rows = [
        {"id": f"{r}{i}", "test": "t", "role": r, "text": f"{r}{i}", "vector": rng.normal(size=4).tolist()}
        for r in roles
        for i in range(6)
    ]
    for name, layers in (("before", 4), ("after", 2)):
        write(name, "weat", pd.DataFrame(rows), probe={"layer": layers, "pooling": "mean"}, of_model={"layers": layers})
    one = both(tmp_path).comparisons[0].differences[0]
    assert one.difference == 0 and any("not comparable between models" in w for w in one.warnings)
    write("after", "weat", pd.DataFrame(rows), probe={"layer": 1, "pooling": "mean"}, of_model={"layers": 2})
    with pytest.raises(FairbenchError, match=r"probe.options.layer, 'last' against 1"):
        both(tmp_path)


def test_perplexity_is_compared_under_one_tokenizer_only(write, tmp_path):
    write("before", "perplexity", passages(2.0), task="made_texts", of_model={"tokenizer_sha256": "a"})
    write("after", "perplexity", passages(2.1), task="made_texts", of_model={"tokenizer_sha256": "b"})
    one = both(tmp_path).comparisons[0]
    assert one.differences[0].difference > 0 and "worse" in one.price[0]  # other files of a tokenizer that cuts alike
    write("after", "perplexity", passages(2.1, tokens=12), task="made_texts", of_model={"tokenizer_sha256": "b"})
    write("after", "word_perplexity", passages(2.1, tokens=12), task="made_texts")
    write("before", "word_perplexity", passages(2.0), task="made_texts")
    refused = both(tmp_path).comparisons[0].refused
    assert [(r.field, r.baseline, r.model) for r in refused] == [("answers.tokens", 300, 360)]
    assert "word_perplexity" in refused[0].why


def test_holm_is_over_the_headline_metrics_of_all_models(write, tmp_path):
    rng = np.random.default_rng(0)
    write("before", "crows_pairs", pairs(rng.normal(1, 1, 60)))
    write("before", "perplexity", passages(2.0), task="made_texts")
    for name, mean in (("after", 0.4), ("other", 0.9)):
        write(name, "crows_pairs", pairs(rng.normal(mean, 1, 60)))
        write(name, "perplexity", passages(2.0 + mean / 100), task="made_texts")
    found = compare(collect([tmp_path / "results"]), "before", ["after", "other"], QUICK)
    tests = [d for c in found.comparisons for d in c.differences]
    assert len(found.family) == 4 and [d.p_holm for d in tests] == pytest.approx(holm([d.p.value for d in tests]))
    alone = compare(
        collect([tmp_path / "results"]), "before", ["after"], dataclasses.replace(QUICK, metrics=("crows_pairs",))
    ).comparisons[0]
    assert [d.p_holm for d in alone.differences] == [d.p.value for d in alone.differences]


def test_gates_pass_fail_and_fail_closed(write, tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, 100)
    write("before", "crows_pairs_margin", pairs(1 + noise))
    write("after", "crows_pairs_margin", pairs(1.1 + noise + rng.normal(0, 0.1, 100)))
    for margin, passed in ((0.2, True), (0.1, False), (0.0, False)):
        one = both(tmp_path, dataclasses.replace(QUICK, margins={"crows_pairs_margin": margin}))
        assert one.passed is passed and one.comparisons[0].differences[0].passed is passed
        verdict = one.comparisons[0].differences[0].verdict
        assert (verdict == "not worse") is passed
    assert both(tmp_path).passed is None
    few = pairs(1 + noise[:6])
    write("before", "crows_pairs_margin", few)
    write("after", "crows_pairs_margin", few)
    one = both(tmp_path, dataclasses.replace(QUICK, margins={"crows_pairs_margin": 100.0})).comparisons[0].differences[0]
    assert one.passed is False and one.verdict == "too few records" and "too few records to say" in one.said


def test_a_margin_of_nothing_is_refused(write, tmp_path):
    for name in ("before", "after"):
        write(name, "crows_pairs_margin", pairs(np.linspace(0, 1, 30)))
    with pytest.raises(FairbenchError, match=r"nothing of that name is compared. Did you mean"):
        both(tmp_path, dataclasses.replace(QUICK, margins={"crows_pairs_margn": 1.0}))
    with pytest.raises(FairbenchError, match="wanted a number of 0 or more"):
        both(tmp_path, dataclasses.replace(QUICK, margins={"crows_pairs_margin": -1.0}))
    with pytest.raises(FairbenchError, match=r"--alpha 1.5"):
        both(tmp_path, dataclasses.replace(QUICK, alpha=1.5))


def test_models_that_agree_differ_by_nothing_and_it_says_what_could_be_missed(write, tmp_path):
    rng = np.random.default_rng(0)
    table = pairs(rng.normal(1, 1, 100))
    changed = table.assign(score_more=table.score_more * np.where(np.arange(100) < 96, 1, -1))
    write("before", "crows_pairs", table)
    write("after", "crows_pairs", changed)
    one = both(tmp_path).comparisons[0].differences[0]
    assert one.verdict == "no difference detected" and "could have seen >= " in one.said
    write("after", "crows_pairs", table)
    same = both(tmp_path).comparisons[0].differences[0]
    assert same.difference == 0 and same.p.value == 1 and same.interval.method.startswith("score (Tango 1998)")


def test_answers_that_are_not_kept_leave_the_difference_undefined(write, tmp_path):
    write("before", "crows_pairs", pairs(np.linspace(-1, 2, 30)))
    path = write("after", "crows_pairs", pairs(np.linspace(-1, 2, 30)))
    next((path.parent.parent / "answers").glob("*.parquet")).unlink()
    one = both(tmp_path).comparisons[0].differences[0]
    assert one.difference is None and one.verdict == "undefined" and "not kept beside its results" in one.undefined
    assert one.model.value is not None  # what was recorded stands all the same


def test_without_a_utility_metric_the_price_is_not_known(write, tmp_path):
    for name in ("before", "after"):
        write(name, "crows_pairs", pairs(np.linspace(-1, 2, 30)))
    assert "what the change cost is not known" in both(tmp_path).comparisons[0].price[0]


def test_models_are_found_by_label_name_or_folder(write, tmp_path):
    path = write("before", "crows_pairs", pairs(np.linspace(-1, 2, 30)))
    other = write("after", "crows_pairs", pairs(np.linspace(-1, 2, 30)))
    root = tmp_path / "results"
    for name in ("before", path.parent.parent.name, str(path.parent.parent)):
        assert find_models([name, "after"], [root])[1] == ["before", "after"]
    folders = [str(p.parent.parent) for p in (path, other)]
    assert find_models(folders, [tmp_path / "nowhere"])[1] == ["before", "after"]
    with pytest.raises(FairbenchError, match=r"no results of 'befor'\. Did you mean before\?"):
        find_models(["befor", "after"], [root])
    with pytest.raises(FairbenchError, match="named twice"):
        find_models(["before", str(path.parent.parent)], [root])
    with pytest.raises(FairbenchError, match="There is no folder"):
        find_models(["before", "after"], [tmp_path / "nowhere"])


def test_models_without_a_common_result_are_refused_in_one_paragraph(write, tmp_path):
    write("before", "crows_pairs", pairs(np.linspace(-1, 2, 30)))
    write("after", "crows_pairs_margin", pairs(np.linspace(-1, 2, 30)))
    with pytest.raises(FairbenchError, match="have no result in common"):
        both(tmp_path)


def test_the_same_call_gives_the_same_numbers(write, tmp_path):
    rng = np.random.default_rng(0)
    write("before", "crows_pairs_margin", pairs(rng.normal(1, 1, 40)))
    write("after", "crows_pairs_margin", pairs(rng.normal(0, 1, 40)))
    assert both(tmp_path).as_dict() == both(tmp_path).as_dict()
