"""Likelihood bias: by hand, against SciPy pair by pair, and what its permutation knows about nouns and templates."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics import likelihood_bias as metric
from scipy.stats import mannwhitneyu

from fairbench.errors import FairbenchError, Undefined
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry

FOUND = Registry().metric("likelihood_bias")
QUICK = MeasureOptions(draws=100)


def table(cells: dict[tuple[str, str, str], list[float]], tokens: float = 10.0) -> pd.DataFrame:
    """Sentences from (axis, template, descriptor) -> mean negative log-likelihood by noun."""
    rows = [
        (f"{axis}/{template}/{descriptor}/{k}", axis, template, descriptor, f"noun{k}", -value * tokens, tokens)
        for (axis, template, descriptor), values in cells.items()
        for k, value in enumerate(values)
    ]
    meta = ["meta.axis", "meta.template", "meta.descriptor", "meta.noun"]
    return pd.DataFrame(rows, columns=["id", *meta, "log_likelihood", "tokens"]).assign(group=lambda t: t["meta.axis"])


def random_table(seed: int, nouns: int = 6, shift: float = 1.0, tokens: float = 7.0) -> pd.DataFrame:
    """Three axes of different size in two or three templates; descriptors, nouns and phrases have effects."""
    rng = np.random.default_rng(seed)
    cells = {}
    for axis, (d, templates) in {"age": (4, 3), "hair": (3, 2), "work": (5, 2)}.items():
        own, noun = shift * rng.normal(size=d), rng.normal(size=nouns)
        for t in range(templates):
            for k in range(d):
                cells[axis, f"template{t}", f"d{k}"] = list(5 + own[k] + noun + rng.normal(size=nouns))
    return table(cells, tokens)


def plainly(answers: pd.DataFrame) -> float:
    """The definition: every pair with SciPy, then templates, then axes."""
    perplexity = np.exp(-answers["log_likelihood"] / answers["tokens"])
    axes = []
    for _, in_axis in answers.groupby("meta.axis"):
        templates = []
        for _, in_template in in_axis.groupby("meta.template"):
            lists = [perplexity[part.index] for _, part in in_template.groupby("meta.descriptor")]
            templates.append(np.mean([mannwhitneyu(a, b).pvalue < 0.05 for a, b in combinations(lists, 2)]))
        axes.append(np.mean(templates))
    return float(np.mean(axes))


def value(answers: pd.DataFrame) -> float:
    return float(metric.likelihood_bias(answers, np.ones((1, len(answers))))[0])


def test_by_hand():
    """Four nouns each: two lists differ (p = 2/70) only if they do not overlap. Templates first, then axes."""
    low, high, between = [1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [3.5, 4.5, 5.5, 6.5]
    cells = {("age", "t1", "old"): low, ("age", "t1", "young"): high, ("age", "t1", "aged"): between}
    assert value(table(cells)) == pytest.approx(1 / 3)
    for template in ("t1", "t2", "t3"):
        cells |= {("hair", template, "red"): low, ("hair", template, "grey"): between}
    answers = table(cells | {("hair", "t3", "grey"): high})
    assert value(answers) == pytest.approx((1 / 3 + (0 + 0 + 1) / 3) / 2)
    assert value(table(cells | {("age", "t2", "old"): low, ("age", "t2", "young"): high})) == pytest.approx((2 / 3 + 0) / 2)
    score = measure(FOUND, answers, QUICK)
    assert score.counts == {
        "pairs_tested": 6,
        "pairs_significant": 2,
        "axes_and_templates": 4,
        "sentences_compared": 36,
    }
    assert score.by_group["hair"].value == pytest.approx(1 / 3)
    assert score.interval is None and score.ideal == 0.05


@pytest.mark.parametrize("nouns", [4, 6, 9, 32])
@pytest.mark.parametrize("seed", range(3))
def test_every_pair_is_tested_as_scipy_does(seed, nouns):
    answers = random_table(seed, nouns)
    assert value(answers) == pytest.approx(plainly(answers), abs=1e-12)


def test_lists_of_unequal_length_and_ties():
    answers = random_table(1, 11).sample(frac=0.7, random_state=1).reset_index(drop=True)
    answers["log_likelihood"] = -(-answers["log_likelihood"] / 7).round(1) * 7
    assert answers.groupby(["meta.axis", "meta.template", "meta.descriptor"]).size().nunique() > 2
    assert value(answers) == pytest.approx(plainly(answers), abs=1e-12)


def test_only_the_ranks_of_the_perplexities_count():
    answers = random_table(2)
    per_token = answers["log_likelihood"] / answers["tokens"]
    tokens = np.random.default_rng(0).integers(3, 30, len(answers)).astype(float)
    for changed in (per_token * tokens, -np.exp(-per_token) * tokens):
        assert value(answers.assign(log_likelihood=changed, tokens=tokens)) == value(answers)


def test_names_do_not_matter():
    answers = random_table(3)
    renamed = answers.copy()
    for column in ("meta.axis", "meta.template", "meta.descriptor", "meta.noun"):
        renamed[column] = "x" + renamed[column].str[::-1]
    assert value(renamed) == value(answers)


def test_a_weight_is_the_row_so_often():
    answers = random_table(4, 9)
    times = np.random.default_rng(0).integers(0, 3, len(answers))
    repeated = answers.loc[answers.index.repeat(times)].reset_index(drop=True)
    weighted = metric.likelihood_bias(answers, np.stack([times, np.ones(len(answers))]).astype(float))
    assert weighted.tolist() == [pytest.approx(value(repeated)), pytest.approx(value(answers))]
    assert value(repeated) == pytest.approx(plainly(repeated), abs=1e-12)


def test_sentences_that_lack_a_noun_or_have_a_gendered_descriptor_are_not_compared():
    answers = random_table(5)
    more = answers[answers["meta.descriptor"] == "d1"].assign(log_likelihood=-1.0)
    alone = more.assign(**{"meta.noun": None})
    gendered = more.assign(**{"meta.descriptor": "d9", "meta.descriptor_gender": "female"})
    plain = more.assign(**{"meta.descriptor": None, "meta.axis": None})
    score = measure(FOUND, pd.concat([answers, alone, gendered, plain], ignore_index=True), QUICK)
    assert score.value == value(answers)
    assert score.counts["sentences_compared"] == len(answers)
    assert score.left_out == {
        "meta.axis is missing or not finite": len(plain),
        "a descriptor with a gender lacks the nouns of the others": len(gendered),
        "a sentence without a noun": len(alone),
    }
    assert score.n_records == len(answers)


def test_pairs_that_no_perplexities_could_make_differ_do_not_count():
    """Three against three: the least p is .1. With three against eight it is .012."""
    three, eight = [1.0, 2.0, 3.0], [10.0 + k for k in range(8)]
    cells = {("age", "t", "a"): three, ("age", "t", "b"): [4.0, 5.0, 6.0], ("age", "t", "c"): eight}
    score = measure(FOUND, table(cells), QUICK)
    assert score.counts["pairs_tested"] == 2 and score.value == 1.0


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({("age", "t", "a"): [1.0, 2.0, 3.0], ("age", "t", "b"): [7.0, 8.0, 9.0]}, "no axis and template has two descriptors"),
        ({("age", "t", "a"): list(range(9)), ("age", "u", "b"): list(range(9))}, "no axis and template has two descriptors"),
        ({("age", "t", "a"): [2.0] * 9, ("age", "t", "b"): [2.0] * 9}, "all sentences of a template are equally"),
        ({("age", t, d): [x] * 9 for t, x in (("t", 2.0), ("u", 3.0)) for d in "ab"}, "all sentences of a template are equally"),
    ],
)
def test_undefined_is_no_number(cells, reason):
    score = measure(FOUND, table(cells), QUICK)
    assert score.value is None and score.p_value is None
    assert reason in str(score.undefined)


def test_answers_that_cannot_be_right():
    answers = random_table(0)
    with pytest.raises(Undefined, match="no tokens"):
        value(answers.assign(tokens=0.0))
    with pytest.raises(Undefined, match="no sentence has a noun"):
        value(answers.assign(**{"meta.descriptor_gender": "male"}))
    for column in ("meta.axis", "meta.template", "meta.descriptor", "tokens"):
        with pytest.raises(FairbenchError, match=f"no column '{column}'"):
            measure(FOUND, answers.drop(columns=column), QUICK)


def test_the_floor_is_the_mean_over_exchanges_within_nouns():
    """Against exchanging the perplexities of each noun between descriptors, all templates at once, one by one with SciPy."""
    answers = random_table(6, nouns=8).query("`meta.axis` == 'age'").reset_index(drop=True)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(60):
        dealt = answers.copy()
        for _, part in answers.groupby("meta.noun"):
            names = sorted(part["meta.descriptor"].unique())
            new = dict(zip(names, rng.permutation(names), strict=True))
            dealt.loc[part.index, "meta.descriptor"] = part["meta.descriptor"].map(new)
        drawn.append(plainly(dealt))
    ours = metric._permuted(metric._read(answers), np.random.default_rng(1), 2000)
    assert ours.mean() == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / np.sqrt(60))
    assert ours.std() == pytest.approx(np.std(drawn), rel=0.25)
    floor = metric.details(answers, np.random.default_rng(1))["floor"]
    assert floor == pytest.approx(ours.mean(), abs=4 * ours.std() / 7)


@pytest.mark.parametrize(("noun_effect", "low", "high"), [(0.0, 0.03, 0.06), (3.0, 0.0, 0.005)])
def test_nouns_that_differ_push_the_floor_below_the_level(noun_effect, low, high):
    rng = np.random.default_rng(7)
    noun = noun_effect * rng.normal(size=20)
    answers = table({("age", "t", f"d{k}"): list(noun + rng.normal(size=20)) for k in range(30)})
    assert low < metric.details(answers, rng)["floor"] + 1e-9 < high


def null_p(rng: np.random.Generator) -> float:
    """The p where descriptors do not matter, but nouns do, and a phrase takes its perplexity along to both templates."""
    noun, phrase = rng.normal(size=8), rng.normal(size=(5, 8))
    cells = {("age", f"t{t}", f"d{k}"): list(noun + phrase[k] + 0.2 * rng.normal(size=8)) for t in (0, 1) for k in range(5)}
    return float(metric.significance(table(cells), rng).value)


def test_the_p_is_that_of_chance_where_descriptors_do_not_matter():
    rng = np.random.default_rng(8)
    p = np.array([null_p(rng) for _ in range(100)])
    assert np.mean(p <= 0.05) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 100)
    assert np.mean(p <= 0.5) <= 0.5 + 3 * np.sqrt(0.25 / 100)


def test_the_p_sees_descriptors_that_matter():
    found = metric.significance(random_table(9, nouns=12, shift=3.0), np.random.default_rng(0))
    assert found.value == 1 / 500
    assert "500 sampled" in found.method


def test_without_nouns_sentences_of_a_template_change_places():
    answers = random_table(10, nouns=12)
    bare = answers.drop(columns="meta.noun")
    assert value(bare) == value(answers)
    assert measure(FOUND, bare, QUICK).floor > measure(FOUND, answers, QUICK).floor


def test_the_details_name_the_likeliest_and_unlikeliest():
    cells = {("age", t, f"d{k}"): [k + 0.3 * noun for noun in range(6)] for t in ("t", "u") for k in range(4)}
    found = metric.details(table(cells), np.random.default_rng(0))
    assert list(found) == [
        "floor",
        "likeliest: d0 (age)",
        "likeliest: d1 (age)",
        "unlikeliest: d3 (age)",
        "unlikeliest: d2 (age)",
    ]
    lists = [np.array(cells["age", "t", f"d{k}"]) for k in range(4)]

    def less(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.mean((a[:, None] < b) + 0.5 * (a[:, None] == b)))

    assert found["likeliest: d1 (age)"] == pytest.approx(np.mean([less(lists[1], lists[k]) for k in (0, 2, 3)]))
    assert found["likeliest: d0 (age)"] == pytest.approx(1 - found["unlikeliest: d3 (age)"])
