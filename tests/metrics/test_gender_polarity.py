"""Gender polarity metrics: by hand, against plain loops on random tables, and what stands beside their values."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics.gender_polarity import (
    gender_polarity_female_gap,
    gender_polarity_gap,
    gender_polarity_gap_details,
    gender_polarity_male_gap,
    gender_polarity_ratio_mean,
    gender_polarity_ratio_min,
)

from fairbench.errors import FairbenchError, Undefined
from fairbench.judges import Room, Said, polarity
from fairbench.measurement import MeasureOptions, by_notion, measure
from fairbench.registry import Registry
from fairbench.stats import unanimous_interval

REGISTRY = Registry()
QUICK = MeasureOptions(draws=300, seed=3)
RATIOS = {"gender_polarity_ratio_mean": np.mean, "gender_polarity_ratio_min": np.min}
NAMES = ("gender_polarity_gap", "gender_polarity_male_gap", "gender_polarity_female_gap", *RATIOS)


def texts(labels: dict[str, str], **columns: object) -> pd.DataFrame:
    """One prompt a text; m, f and n are labelled male, female and neutral."""
    code = {"m": -1, "f": 1, "n": 0}
    rows = [{"group": group, "polarity_label": code[letter]} for group, letters in labels.items() for letter in letters]
    table = pd.DataFrame(rows).assign(id=[f"r{i:04}" for i in range(len(rows))], cluster=None, stratum=None, source=None)
    return table.assign(polarity=table.polarity_label * 0.5, **columns)


def random_texts(seed: int, n: int = 90, groups: int = 4, samples: int = 1) -> pd.DataFrame:
    """Prompts of groups a, b, c ... in clusters of three, each with some samples; group a speaks of men more often."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, n)
    rows = [
        {
            "id": f"r{i:04}", "group": "abcdefgh"[group[i]], "cluster": f"c{i // 3}", "stratum": None, "source": None,
            "sample": sample, "polarity": round(float(value), 3), "polarity_label": int(value > 0.25) - int(value < -0.25),
        }
        for i in range(n)
        for sample, value in enumerate(np.clip(rng.normal(-0.4 * (group[i] == 0), 0.5, samples), -1, 1))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def scored(name: str, table: pd.DataFrame, how: MeasureOptions = QUICK, **options: object):
    return measure(REGISTRY.metric(name).with_options(options), table, how)


def ones(table: pd.DataFrame) -> np.ndarray:
    return np.ones((1, len(table)))


# The rule of the evaluation of counterfactual role reversal: labels at .25, counts per profession, the smaller over the larger.


def test_the_ratio_of_professions_by_hand():
    table = texts({"nurse": "fffm" + "nn", "smith": "mmmm", "baker": "mf" * 3, "clerk": "nnn"})
    assert gender_polarity_ratio_mean(table, ones(table)) == pytest.approx([(1 / 3 + 0 + 1) / 3]), "no clerk has a gender"
    assert gender_polarity_ratio_min(table, ones(table)) == pytest.approx([0.0])
    assert gender_polarity_ratio_min(table, ones(table), minimum=5) == pytest.approx([1.0]), "the bakers alone have six"


@pytest.mark.parametrize("seed", range(25))
def test_ratios_against_a_plain_loop(seed: int):
    rng = np.random.default_rng(seed)
    table = random_texts(seed, samples=2)
    weights = np.stack([np.ones(len(table)), rng.random(len(table)), rng.integers(0, 3, len(table))])
    for name, reduce in RATIOS.items():
        expected = []
        for row in weights:
            found = []
            for group in sorted(set(table.group)):
                male, female = (row[(table.group == group) & (table.polarity_label == code)].sum() for code in (-1, 1))
                if male or female:
                    found.append(min(male / female, female / male) if male and female else 0.0)
            expected.append(reduce(found))
        assert REGISTRY.metric(name).values(table, weights, 0) == pytest.approx(expected)


@pytest.mark.parametrize("name", RATIOS)
def test_a_group_without_weight_is_left_out_of_a_draw(name: str):
    table = texts({"a": "mf", "b": "mmf"})
    weights = np.array([[1, 1, 0, 0, 0], [0, 0, 1, 1, 1], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=float)
    found = REGISTRY.metric(name).values(table, weights, 0)
    assert found[:3] == pytest.approx([1.0, 0.5, 0.0]) and math.isnan(found[3])


@pytest.mark.parametrize("name", RATIOS)
def test_exchanging_the_genders_changes_no_ratio(name: str):
    table = random_texts(1)
    value, mirrored = (
        REGISTRY.metric(name).values(t, ones(t), 0) for t in (table, table.assign(polarity_label=-table.polarity_label))
    )
    assert value == pytest.approx(mirrored)


def test_the_published_evaluation_from_words_to_ratio(tmp_path: Path):
    """Random texts of prompts with samples, through judge and metric, against the steps of the replications in plain NumPy."""
    rng = np.random.default_rng(0)
    words = ["she", "he", *(f"w{i}" for i in range(30))]
    vectors = rng.normal(size=(32, 40)).round(4)  # so many that few words lean far
    file = tmp_path / "vectors.txt"
    file.write_text("".join(f"{w} {' '.join(map(str, v))}\n" for w, v in zip(words, vectors, strict=True)), encoding="utf-8")
    rows = [
        {"id": f"r{i}", "group": f"job{i % 3}", "text": f"The {words[2 + i % 7]} told", "continuation": " ".join(some)}
        for i in range(60)
        for some in (rng.choice([*words[2:], "unknown"], 3).tolist() for _ in range(2))
    ]
    options = {**polarity.OPTIONS, "by": "max", "vectors": str(file), "part": "whole"}
    said = [Said(prompt=row["text"], continuation=row["continuation"]) for row in rows]
    columns = polarity.prepare(options, Room()).judge(said)
    table = pd.DataFrame([{**row, **found} for row, found in zip(rows, columns, strict=True)])

    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    g = (unit[0] - unit[1]) / np.linalg.norm(unit[0] - unit[1])
    b = dict(zip(words, (unit @ g).tolist(), strict=True))
    counts = {f"job{i}": {"m": 0, "f": 0, "n": 0} for i in range(3)}
    for row in rows:
        scores = [b[w] for w in f"{row['text']} {row['continuation']}".lower().split() if w in b]
        most = scores[int(np.argmax(np.abs(scores)))]
        counts[row["group"]]["f" if most >= 0.25 else "m" if most <= -0.25 else "n"] += 1
    assert all(min(found.values()) > 0 for found in counts.values()), "an example in which everything happens"
    ratios = [min(of["m"] / of["f"], of["f"] / of["m"]) for of in counts.values()]
    assert gender_polarity_ratio_mean(table, ones(table)) == pytest.approx([np.mean(ratios)])
    assert gender_polarity_ratio_min(table, ones(table)) == pytest.approx([min(ratios)])


# Signed gaps and shares.


def test_the_signed_gap_by_hand():
    table = texts({"woman": "ffmn", "man": "mmmf"})
    assert gender_polarity_gap(table, ones(table)) == pytest.approx([-0.25 - 0.125]), "man is first in the alphabet"
    assert gender_polarity_gap(table, ones(table), first="woman", second="man") == pytest.approx([0.375])
    assert gender_polarity_gap_details(table, np.random.default_rng(0), group_by="", first="woman", second="man") == {
        "mean woman": pytest.approx(0.125), "mean man": pytest.approx(-0.25)
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(10))
def test_the_signed_gap_against_a_plain_loop(seed: int):
    table = random_texts(seed, samples=3)
    weights = np.random.default_rng(seed).integers(0, 3, (4, len(table))).astype(float)
    for first, second in itertools.permutations("abc", 2):
        means = [
            [np.average(table.polarity[table.group == g], weights=row[(table.group == g).to_numpy()]) for g in (first, second)]
            for row in weights
        ]
        assert gender_polarity_gap(table, weights, first=first, second=second) == pytest.approx([a - b for a, b in means])


def test_shares_by_hand():
    table = texts({"a": "mmmfn", "b": "mfffn", "c": "nnnnn"})
    for gap in (gender_polarity_male_gap, gender_polarity_female_gap):
        assert gap(table, ones(table), minimum=5) == pytest.approx([0.6])
        assert gap(table, ones(table), minimum=5, aggregate="std") == pytest.approx([np.std([0.6, 0.2, 0.0])])
        assert gap(table, ones(table), minimum=5, aggregate="pairwise") == pytest.approx([(0.4 + 0.6 + 0.2) / 3])


@pytest.mark.parametrize("seed", range(10))
def test_shares_against_a_plain_loop(seed: int):
    table = random_texts(seed, samples=2)
    weights = np.random.default_rng(seed).integers(0, 3, (4, len(table))).astype(float)
    for gap, code in ((gender_polarity_male_gap, -1), (gender_polarity_female_gap, 1)):
        shares = [
            [row[(table.group == g) & (table.polarity_label == code)].sum() / row[table.group == g].sum() for g in "abcd"]
            for row in weights
        ]
        assert gap(table, weights) == pytest.approx(np.ptp(shares, axis=1))


# What stands beside a value.


def test_the_signed_gap_has_a_percentile_interval_over_clusters_and_its_p():
    table = random_texts(0, n=240, groups=2, samples=2)
    score = scored("gender_polarity_gap", table)
    assert score.interval.method == "bootstrap, percentile, 300 draws over 80 clusters"
    assert score.interval.low < score.value < score.interval.high < 0 and score.p_value < 0.05
    assert set(score.details) == {"mean a", "mean b"} and score.floor is None
    assert score.value == pytest.approx(score.details["mean a"] - score.details["mean b"])
    mirrored = scored("gender_polarity_gap", table, first="b", second="a")
    assert (mirrored.value, mirrored.p_value) == (pytest.approx(-score.value), score.p_value)
    assert (mirrored.interval.low, mirrored.interval.high) == pytest.approx((-score.interval.high, -score.interval.low))


def test_texts_about_others_are_left_out_of_the_signed_gap():
    table = texts({"a": "mf", "b": "ff", "c": "mm"}).assign(group=lambda t: t.group.where(t.index != 0))
    score = scored("gender_polarity_gap", table, first="a", second="b")
    assert score.left_out == {"speaks of neither of the two groups": 3} and score.n == 3
    assert score.counts == {"male": 0, "female": 3, "neither": 0}


def test_shares_have_floor_p_and_the_share_of_each_group():
    score = scored("gender_polarity_male_gap", random_texts(2, n=300, groups=3, samples=2))
    assert score.p_value < 0.02 and 0 < score.floor < score.value
    assert set(score.by_group) == {"a", "b", "c"} and score.by_group["a"].value > score.by_group["b"].value
    assert score.interval.low > 0 and "simultaneous" in score.interval.method


@pytest.mark.parametrize("name", RATIOS)
def test_ratios_have_the_ratio_of_each_group(name: str):
    table = texts({"nurse": "fffm" + "nn", "smith": "mmmm", "clerk": "nnn", "cook": "f"})
    score = scored(name, table, minimum=2)
    assert {group: of.value for group, of in score.by_group.items()} == {
        "nurse": pytest.approx(1 / 3), "smith": 0.0, "clerk": None, "cook": 0.0
    }  # fmt: skip
    assert score.by_group["nurse"].counts == {"male": 1, "female": 3} and score.by_group["nurse"].n == 4
    assert score.by_group["clerk"].undefined == "none of its texts is labelled male or female"
    assert score.by_group["cook"].warnings == ("It has fewer labelled texts than the option minimum asks for, and is left out.",)
    assert score.counts == {"male": 5, "female": 3, "groups": 2, "groups_left_out": 2}
    assert score.left_out == {
        "the text is labelled neither male nor female": 5, "speaks of no group with enough labelled texts": 1
    }  # fmt: skip
    assert score.n == 8 and score.n_records + sum(score.left_out.values()) == len(table)
    assert any("2 of 2 groups have fewer than 10 records" in said for said in score.warnings)


def test_the_interval_of_a_ratio_is_that_of_the_definition():
    """Each share with its own draws; one width in standard errors for all, on the scale arcsin(2 s - 1)."""
    rng = np.random.default_rng(8)
    labels = {g: "".join(rng.choice(["m", "f"], 60, p=[1 - s, s])) for g, s in (("a", 0.3), ("b", 0.5), ("c", 0.8))}
    table = texts({**labels, "d": "f" * 12})
    share = {g: labels[g].count("f") / 60 for g in "abc"}
    drawn = {g: np.arcsin(2 * rng.binomial(60, share[g], 4_000) / 60 - 1) for g in "abc"}
    seen = {g: math.asin(2 * share[g] - 1) for g in "abc"}
    c = np.quantile(np.max([np.abs(drawn[g] - seen[g]) / drawn[g].std(ddof=1) for g in "abc"], axis=0), 0.95)
    exact = unanimous_interval(1.0, 0.0, 1.0, 12, 1 - 0.05 / 4)
    ends = {"low": [], "high": []}
    for g in "abc":
        reach = c * drawn[g].std(ddof=1)
        for side, end in (("low", abs(seen[g]) + reach), ("high", max(0.0, abs(seen[g]) - reach))):
            distance = math.sin(min(end, math.pi / 2)) / 2
            ends[side].append((0.5 - distance) / (0.5 + distance))
    ends["low"].append(0.0)
    ends["high"].append((1 - exact.low) / exact.low)
    for name, reduce in RATIOS.items():
        found = scored(name, table, MeasureOptions(draws=4_000)).interval
        assert [found.low, found.high] == pytest.approx([reduce(ends["low"]), reduce(ends["high"])], abs=0.03)
    least = 0.025 ** (1 / 12)
    of = scored("gender_polarity_ratio_mean", table).by_group["d"].interval
    assert (of.low, of.high) == (0.0, pytest.approx((1 - least) / least))


@pytest.mark.parametrize("name", RATIOS)
def test_floor_and_p_are_those_of_fair_coins(name: str):
    """Each text its own prompt: exchanging labels by chance is a binomial draw of every group's count."""
    table = texts({"a": "m" * 9 + "f" * 16, "b": "m" * 11 + "f" * 9, "c": "mmf"})
    score = scored(name, table, MeasureOptions(draws=2_000))
    rng, reduce = np.random.default_rng(5), {"mean": np.mean, "min": np.min}[name[-4:].strip("_")]
    coins = np.array(
        [[min(k, n - k) / max(k, n - k) for n in (25, 20, 3) for k in [rng.binomial(n, 0.5)]] for _ in range(20_000)]
    )
    chance = reduce(coins, axis=1)
    assert score.floor == pytest.approx(chance.mean(), abs=0.02)
    assert score.p_value == pytest.approx((chance <= score.value + 1e-9).mean(), abs=0.05)
    assert score.p_method.startswith("the two labels exchanged at random, by records, 2,000 sampled")


def test_the_texts_of_one_cluster_move_together():
    """Ten texts of each of six prompts, all of one gender: no more evidence than six coins."""
    alone = texts({"a": "m" * 50 + "f" * 10, "b": "mf" * 30})
    together = alone.assign(cluster=[f"c{i // 10}" for i in range(120)])
    apart, whole = (scored("gender_polarity_ratio_mean", table) for table in (alone, together))
    assert apart.p_value < 0.02 and whole.p_value > 0.1 and whole.floor < apart.floor
    assert "by clusters" in whole.p_method and "12 clusters" in whole.interval.method


def test_a_group_that_is_one_cluster_varies_by_its_records():
    table = texts({"a": "m" * 20 + "f" * 20, "b": "m" * 20 + "f" * 20})
    clustered = table.assign(cluster=table.group)
    first, second = (scored("gender_polarity_ratio_mean", t) for t in (table, clustered))
    assert (second.floor, second.p_value) == (first.floor, first.p_value) and "by records" in second.p_method
    samples = scored("gender_polarity_ratio_mean", clustered.assign(id=clustered.group))
    assert "by texts" in samples.p_method and samples.interval.high - samples.interval.low > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_neither_order_nor_names_matter(name: str):
    table = random_texts(4, n=120, groups=2, samples=2)
    renamed = table.assign(group=table.group.map({"a": "z", "b": "zz"})).sample(frac=1, random_state=1)
    first, second = (scored(name, t) for t in (table, renamed))
    assert second.value == pytest.approx(first.value) and second.p_value == pytest.approx(first.p_value, abs=1e-9)
    assert (second.interval.low, second.interval.high) == pytest.approx((first.interval.low, first.interval.high))
    assert second.floor == (None if first.floor is None else pytest.approx(first.floor))


@pytest.mark.parametrize("name", RATIOS)
def test_without_draws_there_are_the_groups_own_ratios(name: str):
    score = scored(name, random_texts(0), MeasureOptions(draws=0))
    assert (score.interval, score.p_value, score.floor, score.warnings) == (None, None, None, ())
    assert all(of.value is not None and of.interval is None for of in score.by_group.values())


@pytest.mark.parametrize("name", [n for n in NAMES if n != "gender_polarity_gap"])
def test_each_notion_gets_a_score(name: str):
    table = texts({"gender:woman": "mmffn" * 3, "gender:man": "mmmfn" * 3, "faith:a": "mfnnn" * 3, "faith:b": "ffmmm" * 3})
    found = by_notion(REGISTRY.metric(name), table)
    assert [metric.options["group_by"] for metric in found] == ["faith", "gender"]
    assert [set(measure(metric, table, QUICK).by_group) for metric in found] == [{"a", "b"}, {"woman", "man"}]


# Undefined.


@pytest.mark.parametrize("name", NAMES)
def test_no_gendered_text_is_no_balance(name: str):
    score = scored(name, texts({"a": "n" * 12, "b": "n" * 12}))
    assert score.value is None and ("every text has polarity 0" in score.undefined or "no text is labelled" in score.undefined)
    assert sum(score.left_out.values()) == 0


def test_no_male_text_is_a_share_of_zero():
    table = texts({"a": "f" * 12 + "n", "b": "n" * 12 + "f"})
    assert gender_polarity_male_gap(table, ones(table)) == pytest.approx([0.0])


@pytest.mark.parametrize("name", NAMES)
def test_no_groups(name: str):
    assert "no record names a group" in scored(name, texts({"a": "mf"}).assign(group=None)).undefined


def test_no_group_with_enough_labelled_texts():
    said = "no group has 5 or more texts that are labelled male or female"
    assert scored("gender_polarity_ratio_mean", texts({"a": "mfn", "b": "ff"}), minimum=5).undefined == said


def test_which_two_groups():
    three = texts({"a": "mf", "b": "ff", "c": "mm"})
    with pytest.raises(Undefined, match=r"about 3 groups \(a, b, c\); name two of them by the options first and second"):
        gender_polarity_gap(three, ones(three))
    with pytest.raises(Undefined, match=r"about 1 groups"):
        gender_polarity_gap(three[:2], ones(three[:2]))
    with pytest.raises(
        Undefined, match=r"no text is about the group 'nurses'\. Did you mean nurse\? The groups are nurse, smith"
    ):
        table = texts({"nurse": "mf", "smith": "mf"})
        gender_polarity_gap(table, ones(table), first="nurses", second="smith")
    for first, second in (("a", ""), ("", "b"), ("a", "a")):
        with pytest.raises(FairbenchError, match="Wanted two groups"):
            gender_polarity_gap(three, ones(three), first=first, second=second)


@pytest.mark.parametrize("name", NAMES)
def test_what_no_judge_says_is_refused(name: str):
    table = texts({"a": "mf" * 12, "b": "ff" * 12})
    with pytest.raises(FairbenchError, match=r"found 50, wanted a number from -1 to 1"):
        scored(name, table.assign(polarity=50.0, polarity_label=50))


COVERAGE = {
    "even": ([0.5] * 6, 40, 0),
    "mixed": ([0.1, 0.3, 0.5, 0.6, 0.8, 0.9], 40, 0),
    "skewed": ([0.05, 0.95, 0.05, 0.95], 40, 0),
    "clusters": ([0.5] * 4, 200, 10),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RATIOS)
@pytest.mark.parametrize("case", COVERAGE)
def test_coverage_and_level(name: str, case: str):
    shares, n, size = COVERAGE[case]
    metric, tables = REGISTRY.metric(name), 120
    truth = RATIOS[name]([min(s, 1 - s) / max(s, 1 - s) for s in shares])
    covered = rejected = 0
    for seed in range(tables):
        rng = np.random.default_rng([seed, n])
        spread = rng.normal(0, 0.2, (len(shares), n))[:, np.arange(n) // size] if size else 0.0
        found = rng.random((len(shares), n)) < np.array(shares)[:, None] + spread
        table = texts({f"g{i}": "".join("mf"[x] for x in row) for i, row in enumerate(found.astype(int))})
        table = table.assign(cluster=[f"{g} {i % n // size}" for i, g in enumerate(table.group)] if size else None)
        score = measure(metric, table, MeasureOptions(draws=400, seed=seed))
        covered += score.interval.low - 1e-9 <= truth <= score.interval.high + 1e-9
        rejected += score.p_value <= 0.05
    assert covered >= 0.89 * tables, "three standard errors below 95 %"
    assert rejected <= 0.11 * tables if truth == 1 else rejected >= 0.8 * tables
