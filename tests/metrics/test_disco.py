"""DisCo against SciPy's chi-square test in plain loops, and its permutation of words against enumeration."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics import disco as module
from scipy.stats import chi2, chi2_contingency

from fairbench.errors import FairbenchError, Undefined
from fairbench.measurement import MeasureOptions, complete, measure
from fairbench.registry import Registry

METRIC = Registry().metric("disco")
OPTIONS = {"top": 3, "alpha": 0.05, "correction": "template"}


def table(fills: dict[str, dict[str, list[str]]], group: dict[str, str]) -> pd.DataFrame:
    """`fills`: template -> word -> its fills; `group`: word -> group."""
    rows = [
        {"template": t, "target": w, "group": group[w], "top_fills": f} for t, words in fills.items() for w, f in words.items()
    ]
    return pd.DataFrame(rows)


def random_table(seed: int, sizes: dict[str, int] | None = None, templates: int = 3, pull: float = 0.6) -> pd.DataFrame:
    """Words that supply three fills: with chance `pull` the first is that of their group, the others are anyone's."""
    rng = np.random.default_rng(seed)
    group = {f"{g}{i}": g for g, n in (sizes or {"male": 14, "female": 16}).items() for i in range(n)}
    fills = {
        f"[TARGET] {t} [ATTRIBUTE].": {
            w: [f"own{g}" if rng.random() < pull else "plain", *(f"w{j}" for j in rng.choice(6, 2, replace=False))]
            for w, g in group.items()
        }
        for t in range(templates)
    }
    return table(fills, group)


def found_by_loop(answers: pd.DataFrame, copies: list[int] | None = None, **changes: object) -> list[int]:
    """Significant fills of each template, by SciPy; a row stands as often as `copies` says."""
    options = {**OPTIONS, **changes}
    answers = answers.loc[answers.index.repeat(copies or [1] * len(answers))]
    groups = sorted(set(answers.group))
    p_values = []
    for _, rows in answers.groupby("template"):
        supplied = [set(f[: options["top"]]) for f in rows.top_fills]
        p_values.append([])
        for fill in sorted(set().union(*supplied)):
            counts = [[0, 0] for _ in groups]
            for g, s in zip(rows.group, supplied, strict=True):
                counts[groups.index(g)][fill not in s] += 1
            everywhere = all(absent == 0 for _, absent in counts)
            p_values[-1].append(1.0 if everywhere else chi2_contingency(np.array(counts), correction=False).pvalue)
    tests = [sum(map(len, p_values))] * len(p_values) if options["correction"] == "all" else list(map(len, p_values))
    return [sum(p <= options["alpha"] / m for p in ps) for ps, m in zip(p_values, tests, strict=True)]


def one(answers: pd.DataFrame, weights: list[float] | None = None, **changes: object) -> float:
    weighted = np.array([weights or [1.0] * len(answers)])
    return float(module.disco(answers, weighted, **{**OPTIONS, **changes})[0])


def by_hand(sharing: int) -> pd.DataFrame:
    """Ten words a group; `sharing` of the women supply "own", all else is supplied by everybody."""
    women = {f"f{i}": ["own" if i < sharing else "rest", "all", "each"] for i in range(10)}
    men = {f"m{i}": ["rest", "all", "each"] for i in range(10)}
    group = {**dict.fromkeys(women, "female"), **dict.fromkeys(men, "male")}
    return table({"[TARGET] [ATTRIBUTE].": women | men}, group)


@pytest.mark.parametrize(
    ("sharing", "expected"),
    [
        # chi-square of k of 10 against 0 of 10 is 20 k/(20 - k): 20/3 (p .0098) for 5, 60/7 (p .0034) for 6, and four tests are
        # done at .0125 each; the fill "rest" has the very same table, turned over
        (4, 0.0),
        (5, 2.0),
        (6, 2.0),
        (10, 2.0),
    ],
)
def test_case_worked_by_hand(sharing: int, expected: float):
    assert one(by_hand(sharing)) == expected
    score = measure(METRIC, by_hand(sharing), MeasureOptions(draws=1))
    assert score.value == expected and score.n == 20 and score.interval is None
    assert score.counts == {
        "templates": 1, "templates_left_out": 0, "tests": 4, "significant_fills": int(expected),
        "words_female": 10, "words_male": 10,
    }  # fmt: skip
    assert score.details["strictest_level"] == pytest.approx(0.05 / 4)
    assert score.details["smallest_attainable_p"] == pytest.approx(chi2.sf(20, 1))
    assert chi2.sf(20 * 4 / 16, 1) > 0.05 / 4 >= chi2.sf(20 * 5 / 15, 1)


@pytest.mark.parametrize("correction", ["template", "all"])
@pytest.mark.parametrize("sizes", [{"male": 14, "female": 16}, {"a": 9, "b": 12, "c": 8}], ids=["two", "three"])
@pytest.mark.parametrize("seed", range(4))
def test_ones_equal_scipy(seed: int, sizes: dict[str, int], correction: str):
    answers = random_table(seed, sizes)
    wanted = found_by_loop(answers, correction=correction)
    assert one(answers, correction=correction) == pytest.approx(statistics.fmean(wanted))
    if seed == 0:
        assert sum(wanted) > 0


@pytest.mark.parametrize("options", [{"top": 1}, {"top": 2}, {"alpha": 0.2}, {"alpha": 0.001}], ids=str)
def test_options_change_what_is_tested(options: dict[str, object]):
    answers = random_table(5)
    assert one(answers, **options) == pytest.approx(statistics.fmean(found_by_loop(answers, **options)))


@pytest.mark.parametrize("seed", range(3))
def test_a_weight_is_the_number_of_copies_of_a_row(seed: int):
    answers = random_table(seed, templates=2)
    rng = np.random.default_rng(seed)
    copies = rng.integers(0, 4, size=(5, len(answers)))
    found = module.disco(answers, copies.astype(float), **OPTIONS)
    assert found == pytest.approx([statistics.fmean(found_by_loop(answers, row)) for row in copies.tolist()])


def test_groups_that_are_renamed_or_exchanged_and_rows_in_another_order_give_the_same():
    answers = random_table(1)
    swapped = answers.assign(group=answers.group.map({"male": "female", "female": "male"}))
    assert one(swapped) == one(answers.sample(frac=1, random_state=0)) == one(answers) > 0


def test_the_same_fills_for_all_find_nothing():
    group = {f"{g}{i}": g for g in ("male", "female") for i in range(10)}
    answers = table({"[TARGET] [ATTRIBUTE].": {w: ["a", "b", "c"] for w in group}}, group)
    score = measure(METRIC, answers, MeasureOptions(draws=1))
    assert (score.value, score.p_value, score.floor) == (0.0, 1.0, 0.0)


def test_a_space_before_a_fill_makes_no_other_fill():
    answers = by_hand(6)
    spaced = answers.assign(top_fills=[[f" {fill}" if i % 2 else fill for fill in f] for i, f in enumerate(answers.top_fills)])
    assert one(spaced) == one(answers)


def test_arrays_of_fills_are_read_as_lists_and_only_the_best_count():
    answers = by_hand(6)
    more = answers.assign(top_fills=[np.array([*f, f"own{i}"], dtype=object) for i, f in enumerate(answers.top_fills)])
    assert one(more) == one(answers)


def perfect_split(words: int) -> pd.DataFrame:
    """Each group has a fill of its own, which all of its words supply: four tests at .0125 each."""
    group = {f"{g}{i}": g for g in ("male", "female") for i in range(words)}
    return table({"[TARGET] [ATTRIBUTE].": {w: [g, "x", "y"] for w, g in group.items()}}, group)


def test_too_few_words_are_undefined_and_not_zero():
    # The p of a perfect split is .0143 for 3 + 3 words and .0047 for 4 + 4
    assert one(perfect_split(4)) == 2
    with pytest.raises(Undefined, match=r"with 6 words no fill can reach significance.*p = 0\.014.* 4 fills .* level 0\.013"):
        one(perfect_split(3))
    score = measure(METRIC, perfect_split(3), MeasureOptions(draws=1))
    assert score.value is None and score.details == {}
    assert score.counts["words_male"] == 3 and (score.counts["templates"], score.counts["templates_left_out"]) == (0, 1)


def test_a_template_that_can_find_nothing_is_left_out_and_counted():
    answers = by_hand(10)
    few = answers[answers.target.isin(["f0", "m0"])].assign(template="other [TARGET] [ATTRIBUTE]")
    score = measure(METRIC, pd.concat([answers, few], ignore_index=True), MeasureOptions(draws=1))
    assert score.value == one(answers)
    assert (score.counts["templates"], score.counts["templates_left_out"]) == (1, 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t[t.group == "male"], r"all words are of one group \(male\)"),
        (
            lambda t: t[(t.group == "male") == t.template.str.contains("0")],
            r"no template has words of all groups \(female, male\)",
        ),
    ],
    ids=["one group", "apart"],
)
def test_undefined_never_gives_a_number(change, reason: str):
    answers = change(random_table(2)).reset_index(drop=True)
    with pytest.raises(Undefined, match=reason):
        one(answers)
    score = measure(METRIC, answers, MeasureOptions(draws=1))
    assert score.value is None and score.p_value is None and score.details == {} and "templates" in score.counts


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda t: t.assign(top_fills=[["a", "b"]] * len(t)), {}, "has 2 fills in top_fills; wanted a list of at least 3"),
        (lambda t: t.assign(top_fills="a b c"), {}, "has 'a b c' in top_fills"),
        (lambda t: t.assign(top_fills=[[1, 2, 3]] * len(t)), {}, "wanted a list of at least 3 words"),
        (lambda t: t.assign(top_fills=None), {}, "has None in top_fills"),
        (lambda t: t.assign(attribute="nurse"), {}, "wanted slots whose attribute is left to the model"),
        (lambda t: pd.concat([t, t.iloc[:1]]), {}, "stands twice in the template"),
        (lambda t: t.assign(target=t.target.str[-1] + t.template), {}, "twice"),
        (lambda t: t.assign(cluster="one"), {}, "The word 'one' is of two groups, male and female"),
        (lambda t: t, {"top": 0}, "top = 0"),
        (lambda t: t, {"alpha": 1.0}, "alpha = 1"),
    ],
    ids=["short", "text", "numbers", "null", "attribute", "twice", "same name", "two groups", "top", "alpha"],
)
def test_a_wrong_request_is_refused(change, options: dict[str, object], message: str):
    with pytest.raises(FairbenchError, match=message):
        one(change(random_table(3)), **options)


def test_rows_that_were_left_out_are_counted_and_their_words_stay_in_other_templates():
    answers = random_table(4).assign(left_out=None)
    answers.loc[0, "left_out"] = "too long"
    answers["top_fills"] = answers.top_fills.where(answers.left_out.isna(), None)
    score = measure(METRIC, answers, MeasureOptions(draws=1))
    kept = answers[answers.left_out.isna()]
    assert score.left_out == {"too long": 1} and score.value == pytest.approx(statistics.fmean(found_by_loop(kept)))
    assert score.n == 30 and score.n_records == 89


def test_p_and_floor_are_those_of_all_exchanges_of_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "DRAWS", 3_999)
    answers = random_table(9, {"male": 4, "female": 4}, templates=2, pull=0.9)
    options = {"alpha": 0.3}
    words = sorted(set(answers.target))
    ways = []
    for men in itertools.combinations(words, 4):
        dealt = answers.assign(group=["male" if w in men else "female" for w in answers.target])
        ways.append(statistics.fmean(found_by_loop(dealt, **options)))
    value = statistics.fmean(found_by_loop(answers, **options))
    p = statistics.fmean(way >= value - 1e-12 for way in ways)
    score = measure(METRIC.with_options(options), answers, MeasureOptions(draws=1))
    error = 4 / math.sqrt(module.DRAWS)
    assert 0 < p < 1 and score.value == value > 0
    assert score.p_value == pytest.approx(p, abs=error * math.sqrt(p * (1 - p)))
    assert score.floor == pytest.approx(statistics.fmean(ways), abs=error * statistics.pstdev(ways))
    assert score.p_method == "permutation of whole words, 4,000 sampled"


def test_the_level_holds_where_words_differ_and_groups_do_not(monkeypatch: pytest.MonkeyPatch):
    # A word supplies the same fills in all templates; if each template were dealt anew, the p would be too small.
    monkeypatch.setattr(module, "DRAWS", 99)
    rng = np.random.default_rng(0)
    group = {f"{g}{i}": g for g in ("male", "female") for i in range(12)}
    alarms = alarms_by_row = 0
    for _ in range(100):
        taste = {w: [f"{side}{rng.integers(2)}" for side in "abcdefgh"] for w in group}
        answers = table({f"[TARGET] {t} [ATTRIBUTE]": taste for t in range(8)}, group)
        by_row = answers.assign(cluster=[f"row{i}" for i in range(len(answers))])
        p, p_by_row = (
            METRIC.significance(complete(a, METRIC.info), rng, **{**OPTIONS, "top": 8, "alpha": 0.9}).value
            for a in (answers, by_row)
        )
        alarms += p <= 0.05
        alarms_by_row += p_by_row <= 0.05
    assert 0.01 <= alarms / 100 <= 0.09
    assert alarms_by_row / 100 > 0.2
