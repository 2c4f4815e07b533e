"""CEAT against plain loops, one draw at a time, written from the paper's formulas; its permutation test against enumeration."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics import ceat as module
from scipy import stats as scipy_stats

from fairbench.errors import FairbenchError, Undefined
from fairbench.measurement import MeasureOptions, Metric, measure
from fairbench.records import ROLES
from fairbench.registry import Registry
from fairbench.scores import LeaveOneOut
from fairbench.stats import random_effects

GOLDEN = {
    "target_x": [[1, 0], [0.8, 0.2], [0.9, -0.1]],
    "target_y": [[0, 1], [0.1, 0.9], [-0.2, 1]],
    "attribute_a": [[1, 0.1], [0.9, 0.3]],
    "attribute_b": [[0.1, 1], [0.2, 0.8]],
}
N = 60
SWAP_TARGETS = {"target_x": "target_y", "target_y": "target_x"}
SWAP_ATTRIBUTES = {"attribute_a": "attribute_b", "attribute_b": "attribute_a"}

Contexts = dict[str, list[list[list[float]]]]
"""Role -> words -> contexts -> vector."""


def table(sets: Contexts, name: str = "{role} {number}") -> pd.DataFrame:
    """Answers with a row a context. A word's name begins with its role unless `name` says otherwise."""
    return pd.DataFrame(
        {
            "id": f"{role}/{number}/{context}",
            "role": role,
            "stratum": role,
            "cluster": name.format(role=role, number=number),
            "vector": np.array(vector, dtype=float),
        }
        for role, words in sets.items()
        for number, contexts in enumerate(words)
        for context, vector in enumerate(contexts)
    )


def single(sets: dict[str, list[list[float]]]) -> Contexts:
    """Every word in one context."""
    return {role: [[vector] for vector in vectors] for role, vectors in sets.items()}


def random_sets(seed: int, words: Sequence[int] = (4, 4, 3, 5), most: int = 5, width: int = 6) -> Contexts:
    """Words in 1 to `most` contexts around a vector of their own."""
    rng = np.random.default_rng(seed)
    return {
        role: [(rng.normal(size=width) + rng.normal(size=(rng.integers(1, most + 1), width))).tolist() for _ in range(count)]
        for role, count in zip(ROLES, words, strict=True)
    }


def draws_of(answers: pd.DataFrame, samples: int, seed: int) -> list[dict[tuple[str, str], list[float]]]:
    """The contexts that each draw takes: words choose in the order of their names, among contexts in the order of their ids."""
    words = sorted(set(zip(answers.cluster, answers.role, strict=True)), key=lambda word: (word[0], ROLES.index(word[1])))
    contexts = {
        (role, name): [list(v) for v in answers[(answers.cluster == name) & (answers.role == role)].sort_values("id").vector]
        for name, role in words
    }
    rng = np.random.default_rng(seed)
    chosen = rng.integers([len(contexts[role, name]) for name, role in words], size=(samples, len(words)))
    return [
        {(role, name): contexts[role, name][i] for (name, role), i in zip(words, row, strict=True)} for row in chosen.tolist()
    ]


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def associations(draw: dict[tuple[str, str], list[float]], times: dict[tuple[str, str], int]) -> dict[tuple[str, str], float]:
    """s of each target in one draw; words of A and B count as often as `times` says."""

    def nearness(vector: list[float], role: str) -> float:
        return statistics.fmean(cosine(vector, v) for word, v in draw.items() if word[0] == role for _ in range(times[word]))

    return {w: nearness(v, "attribute_a") - nearness(v, "attribute_b") for w, v in draw.items() if w[0].startswith("target")}


def effect_and_variance(s: dict[tuple[str, str], float], in_x: set[tuple[str, str]], times: dict[tuple[str, str], int]):
    """ES_i and V_i = sd_i^2 (ddof 1) of one draw; None where the draw has no spread."""
    x = [value for word, value in s.items() if word in in_x for _ in range(times[word])]
    y = [value for word, value in s.items() if word not in in_x for _ in range(times[word])]
    spread = statistics.stdev(x + y)
    return None if spread < 1e-9 else ((statistics.fmean(x) - statistics.fmean(y)) / spread, spread**2)


def combined(studies: list[tuple[float, float]]) -> dict[str, float]:
    """DerSimonian and Laird's analysis, term by term."""
    weights = [1 / v for _, v in studies]
    total = sum(weights)
    q = sum(w * e * e for w, (e, _) in zip(weights, studies, strict=True))
    q -= sum(w * e for w, (e, _) in zip(weights, studies, strict=True)) ** 2 / total
    c = total - sum(w * w for w in weights) / total
    tau2 = max(0.0, (q - (len(studies) - 1)) / c)
    again = [1 / (v + tau2) for _, v in studies]
    effect = sum(w * e for w, (e, _) in zip(again, studies, strict=True)) / sum(again)
    i2 = max(0.0, (q - (len(studies) - 1)) / q) if q > 0 else 0.0
    return {"value": effect, "ces_se": 1 / math.sqrt(sum(again)), "tau2": tau2, "q": q, "i2": i2, "draws_kept": len(studies)}


def plain(answers: pd.DataFrame, samples: int = N, seed: int = 0, times: dict[tuple[str, str], int] | None = None):
    """The whole analysis in loops."""
    found = draws_of(answers, samples, seed)
    times = times or dict.fromkeys(found[0], 1)
    in_x = {word for word in found[0] if word[0] == "target_x"}
    studies = [effect_and_variance(associations(draw, times), in_x, times) for draw in found]
    return combined([study for study in studies if study])


def ceat(answers: pd.DataFrame, weights: np.ndarray | None = None, samples: int = N, seed: int = 0) -> np.ndarray:
    weights = np.ones((1, len(answers))) if weights is None else weights
    return module.ceat(answers, weights, np.random.default_rng(seed), samples=samples)


def significance(answers: pd.DataFrame, samples: int = N, seed: int = 0, tail: str = "two-sided"):
    return module.significance(answers, np.random.default_rng(seed), samples=samples, tail=tail)


def metric(**options: object) -> Metric:
    return Registry().metric("ceat").with_options(options)


def of_words(answers: pd.DataFrame, per_word: np.ndarray) -> np.ndarray:
    """(b, words) weights as (b, rows), words in the order of their first rows."""
    return per_word[:, pd.factorize(answers.role + "/" + answers.cluster)[0]]


def test_one_context_a_word_is_weat():
    answers = table(single(GOLDEN))
    assert ceat(answers)[0] == pytest.approx(1.807313106, abs=1e-9)
    assert significance(answers).value == pytest.approx(2 / 20, abs=1e-12)
    found = module.details(answers, np.random.default_rng(0), samples=N)
    assert found["tau2"] == 0 and found["i2"] == 0 and found["q"] == pytest.approx(0, abs=1e-9) and found["draws_kept"] == N
    assert found["es_2.5%"] == found["es_97.5%"] == pytest.approx(1.807313106, abs=1e-9)
    assert found["es_sd"] == pytest.approx(0, abs=1e-12)


def test_case_worked_by_hand():
    # x1 is in two contexts: s = 1 or 0. The others: x2 0, y1 -1, y2 0. Draws with s = (1, 0, -1, 0): gap 1, V = 2/3, ES = 1.2247;
    # draws with s = (0, 0, -1, 0): gap 0.5, V = 1/4, ES = 1. Weights 1/(V + tau2), with tau2 from the shares of the two.
    x = [[[1, 0], [1, 1]], [[1, 1]]]
    answers = table({"target_x": x, "target_y": [[[0, 1]], [[1, 1]]], "attribute_a": [[[1, 0]]], "attribute_b": [[[0, 1]]]})
    found = ceat(answers, samples=500)[0]
    n = round(500 * float(np.mean([draw["target_x", "target_x 0"] == [1, 0] for draw in draws_of(answers, 500, 0)])))
    assert 200 < n < 300
    w1, w2, e1, e2 = n * 1.5, (500 - n) * 4.0, math.sqrt(1.5), 1.0
    q = w1 * w2 / (w1 + w2) * (e1 - e2) ** 2
    assert q < 499  # so tau2 is 0
    assert found == pytest.approx((w1 * e1 + w2 * e2) / (w1 + w2), abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_ones_equal_the_plain_loops(seed: int):
    answers = table(random_sets(seed))
    expected = plain(answers, seed=seed)
    assert ceat(answers, seed=seed)[0] == pytest.approx(expected["value"], abs=1e-10)
    found = module.details(answers, np.random.default_rng(seed), samples=N)
    assert {k: found[k] for k in expected if k != "value"} == pytest.approx({k: v for k, v in expected.items() if k != "value"})


def test_where_draws_differ_more_than_their_spread_allows_there_is_a_variance_between_them():
    answers = table(random_sets(1, words=(8, 8, 6, 6), most=40, width=40))  # so many directions that s is small, and with it V_i
    expected = plain(answers, samples=300)
    assert expected["tau2"] > 0 and 0.5 < expected["i2"] < 1
    assert ceat(answers, samples=300)[0] == pytest.approx(expected["value"], abs=1e-10)
    found = module.details(answers, np.random.default_rng(0), samples=300)
    assert {k: found[k] for k in expected if k != "value"} == pytest.approx({k: v for k, v in expected.items() if k != "value"})


def test_effect_sizes_are_described():
    answers = table(random_sets(3))
    times = dict.fromkeys(draws_of(answers, 1, 0)[0], 1)
    in_x = {word for word in times if word[0] == "target_x"}
    effects = [effect_and_variance(associations(d, times), in_x, times)[0] for d in draws_of(answers, N, 0)]
    found = module.details(answers, np.random.default_rng(0), samples=N)
    assert found["es_mean"] == pytest.approx(statistics.fmean(effects))
    assert found["es_sd"] == pytest.approx(statistics.pstdev(effects))
    low, middle, high = np.percentile(effects, [2.5, 50, 97.5])
    assert (found["es_2.5%"], found["es_50%"], found["es_97.5%"]) == pytest.approx((low, middle, high))


@pytest.mark.parametrize("seed", range(4))
def test_other_draws_give_nearly_the_same(seed: int):
    # Independent of how contexts are drawn: with many draws the loops over draws of their own agree within sampling error.
    answers = table(random_sets(seed))
    expected = plain(answers, samples=1500, seed=77)
    assert ceat(answers, samples=4000)[0] == pytest.approx(expected["value"], abs=5 * expected["ces_se"])
    assert ceat(answers, samples=4000, seed=1)[0] != ceat(answers, samples=4000, seed=2)[0]


@pytest.mark.parametrize("seed", range(4))
def test_integer_weights_repeat_words_and_zeros_remove_them(seed: int):
    answers = table(random_sets(seed))
    words = list(dict.fromkeys(zip(answers.role, answers.cluster, strict=True)))
    per_word = np.random.default_rng(seed).integers(0, 3, size=(5, len(words)))
    per_word[:, [[role for role, _ in words].index(role) for role in ROLES]] += 1  # no set may vanish
    expected = [plain(answers, times=dict(zip(words, row, strict=True)))["value"] for row in per_word.tolist()]
    assert ceat(answers, of_words(answers, per_word.astype(float))) == pytest.approx(expected, abs=1e-10)


def test_many_draws_at_once_are_what_each_is_alone():
    answers = table(random_sets(5))
    per_word = np.random.default_rng(5).integers(0, 4, size=(300, answers.cluster.nunique())).astype(float)
    weights = of_words(answers, per_word)
    alone = []
    for row in weights:
        try:
            alone.append(ceat(answers, row[None, :])[0])
        except Undefined:
            alone.append(math.nan)
    assert ceat(answers, weights) == pytest.approx(alone, rel=1e-10, nan_ok=True)
    assert 0 < np.isnan(alone).sum() < 100  # some lack a set


def test_chunks_of_draws_change_nothing(monkeypatch: pytest.MonkeyPatch):
    answers = table(random_sets(6))
    weights = np.ones((3, len(answers)))
    whole = ceat(answers, weights)
    for size in (1, 500, 5_000):
        monkeypatch.setattr(module, "CHUNK_BYTES", size)
        monkeypatch.setattr(module, "CACHED_BYTES", size)
        assert ceat(answers, weights) == pytest.approx(whole, rel=1e-12)


def test_draws_without_spread_are_dropped_and_counted():
    both = [[1, 0], [0, 1]]
    sets = {"target_x": [both, both], "target_y": [both, both], "attribute_a": [[[1, 0]]], "attribute_b": [[[0, 1]]]}
    answers = table(sets)
    expected = plain(answers, samples=400)
    assert 300 < expected["draws_kept"] < 400  # 2 of 16 draws have four equal vectors
    assert ceat(answers, samples=400)[0] == pytest.approx(expected["value"], abs=1e-10)
    assert module.details(answers, np.random.default_rng(0), samples=400)["draws_kept"] == expected["draws_kept"]
    assert significance(answers, samples=400).published == pytest.approx(
        2 * scipy_stats.norm.sf(abs(expected["value"] / expected["ces_se"])), rel=1e-9
    )


def enumerated_p(answers: pd.DataFrame, samples: int, seed: int) -> float:
    """Share of all ways to give half of the target words to X, each analysed anew in loops."""
    found = draws_of(answers, samples, seed)
    times = dict.fromkeys(found[0], 1)
    s = [associations(draw, times) for draw in found]
    targets = sorted(s[0])

    def statistic(in_x: set[tuple[str, str]]) -> float:
        return abs(combined([study for draw in s if (study := effect_and_variance(draw, in_x, times))])["value"])

    seen = statistic({word for word in targets if word[0] == "target_x"})
    ways = [statistic(set(chosen)) for chosen in itertools.combinations(targets, len(targets) // 2)]
    return sum(way >= seen - 1e-12 for way in ways) / len(ways)


@pytest.mark.parametrize("seed", range(5))
def test_the_exact_test_equals_enumeration(seed: int):
    answers = table(random_sets(seed, words=(3, 3, 2, 3)))
    p = significance(answers, samples=25, seed=seed)
    assert p.value == pytest.approx(enumerated_p(answers, 25, seed), abs=1e-12)
    assert p.method == "permutation of words, two-sided, exact"


def test_the_exact_test_counts_ties():
    same = [[0.3, 0.1], [0.9, 0.3]]  # one direction twice: every draw of it is equal
    sets = {"target_x": [same, [[1, 0.2]]], "target_y": [same, same], "attribute_a": [[[1, 0]]], "attribute_b": [[[0, 1]]]}
    answers = table(sets)
    assert significance(answers).value == enumerated_p(answers, 10, 0) == 1.0


def test_a_sampled_p_is_near_the_exact_one(monkeypatch: pytest.MonkeyPatch):
    answers = table(random_sets(8, words=(7, 7, 4, 4)))
    exact = significance(answers)
    limit = 3_000  # below C(14, 7) = 3432
    monkeypatch.setattr(module, "EXACT_LIMIT", limit)
    sampled = significance(answers)
    assert "exact" in exact.method and sampled.method == "permutation of words, two-sided, 3,000 sampled"
    assert 0.01 < exact.value < 0.99
    assert sampled.value == pytest.approx(exact.value, abs=4 * math.sqrt(exact.value * (1 - exact.value) / limit))
    assert sampled.value * limit == pytest.approx(round(sampled.value * limit))  # (1 + hits) / (1 + limit - 1)
    assert sampled.published == exact.published


@pytest.mark.parametrize("decades", [0, 1, 8])
@pytest.mark.parametrize("effect", [0.0, 0.5, 50.0])
def test_partitions_are_refitted_to_rounding(decades: int, effect: float):
    # The statistic of a partition is read off polynomials in tau^2; here each partition is fitted anew.
    rng = np.random.default_rng(3)
    s = rng.normal(size=(400, 10)) + effect * rng.normal(size=10)
    s = 0.02 * s / s.std(axis=1, ddof=1, keepdims=True) * 10 ** rng.uniform(-decades, 0, size=(400, 1))
    members = np.array([np.isin(np.arange(10), chosen) for chosen in itertools.combinations(range(10), 5)])
    variances = s.var(axis=1, ddof=1)
    gaps = np.where(members, 1 / 5, -1 / 5) @ s.T
    expected = random_effects(gaps / np.sqrt(variances), np.broadcast_to(variances, gaps.shape))
    assert (expected.tau2 > 0).any()
    found = module._combiner(s)(members)
    assert found == pytest.approx(expected.effect, abs=1e-10)
    assert found == pytest.approx([module._combiner(s)(row[None, :])[0] for row in members], abs=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_the_published_p_is_the_normal_one(seed: int):
    answers = table(random_sets(seed))
    expected = plain(answers)
    z = expected["value"] / expected["ces_se"]
    assert significance(answers).published == pytest.approx(2 * scipy_stats.norm.sf(abs(z)), rel=1e-7)
    assert significance(answers, tail="one-sided").published == pytest.approx(scipy_stats.norm.sf(z), rel=1e-7)
    assert significance(answers).value == significance(answers, tail="one-sided").value
    mirrored = answers.replace({"role": SWAP_TARGETS, "stratum": SWAP_TARGETS})
    assert significance(mirrored, tail="one-sided").published == pytest.approx(scipy_stats.norm.sf(-z), rel=1e-7)


def test_the_published_p_goes_to_zero_with_the_number_of_draws_and_is_never_zero():
    answers = table(random_sets(2))
    p = [significance(answers, samples=samples) for samples in (10, 1_000, 10_000)]
    assert p[0].published > p[1].published > p[2].published > 0
    assert p[2].published < 1e-9 < 0.05 < p[2].value


@pytest.mark.parametrize("swap", [SWAP_TARGETS, SWAP_ATTRIBUTES], ids=["targets", "attributes"])
@pytest.mark.parametrize("seed", range(3))
def test_swapping_a_pair_of_sets_flips_the_sign(swap: dict[str, str], seed: int):
    answers = table(random_sets(seed))
    mirrored = answers.replace({"role": swap, "stratum": swap})
    assert ceat(mirrored)[0] == pytest.approx(-ceat(answers)[0], abs=1e-12)
    assert significance(mirrored).value == pytest.approx(significance(answers).value, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_order_of_rows_and_length_of_vectors_do_not_matter(seed: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "EXACT_LIMIT", 40)  # below C(8, 4), so that partitions are sampled
    rng, answers = np.random.default_rng(seed), table(random_sets(seed)).assign(id="the same")
    order = rng.permutation(len(answers))
    scaled = answers.assign(
        vector=[np.array(v) * f for v, f in zip(answers.vector, 2.0 ** rng.integers(-9, 9, len(answers)), strict=True)]
    )
    mixed = scaled.iloc[order].reset_index(drop=True)
    weights = of_words(answers, rng.integers(1, 3, size=(2, answers.cluster.nunique())).astype(float))
    assert ceat(mixed, weights[:, order]) == pytest.approx(ceat(answers, weights), abs=1e-12)
    assert significance(mixed).value == significance(answers).value
    drawn = [module.details(t, np.random.default_rng(0), samples=N) for t in (mixed, answers)]
    assert drawn[0] == pytest.approx(drawn[1], rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_contexts_told_twice_change_nothing_but_the_draws(seed: int):
    sets = random_sets(seed)
    answers, told_thrice = table(sets), table({role: [contexts * 3 for contexts in words] for role, words in sets.items()})
    error = module.details(answers, np.random.default_rng(0), samples=5000)["ces_se"]
    assert ceat(told_thrice, samples=5000)[0] == pytest.approx(ceat(answers, samples=5000)[0], abs=6 * error)
    once = table(single(GOLDEN))
    assert ceat(pd.concat([once] * 4, ignore_index=True))[0] == pytest.approx(ceat(once)[0], abs=1e-12)
    assert module.counts(told_thrice)["most_contexts"] == 3 * module.counts(answers)["most_contexts"]


def test_the_same_text_in_other_roles_is_another_word():
    sets = random_sets(4, words=(4, 4, 4, 4))
    shared = table(sets, name="{number}")  # every role has words called 0, 1, 2, 3
    counts = {f"words_{role}": 4 for role in ROLES}
    sizes = [len(contexts) for words in sets.values() for contexts in words]
    assert module.counts(shared) == counts | {"fewest_contexts": min(sizes), "most_contexts": max(sizes)}
    assert ceat(shared)[0] == pytest.approx(plain(shared)["value"], abs=1e-10)
    score = measure(metric(samples=100), shared, MeasureOptions(draws=30))
    assert (score.n, score.leave_one_out.units) == (16, 16)


def wide(count: int) -> list[list[list[float]]]:
    return [[[1.0, 0.1 * i], [0.9, 0.2 * i]] for i in range(count)]


FULL: Contexts = {"target_x": wide(3), "target_y": wide(3)[::-1], "attribute_a": [[[1, 0]]], "attribute_b": [[[0, 1]]]}


@pytest.mark.parametrize(
    ("sets", "reason"),
    [
        (FULL | {"target_x": []}, "no stimulus is left in target_x"),
        (FULL | {"attribute_b": []}, "no stimulus is left in attribute_b"),
        ({"target_x": wide(4), "attribute_a": [[[1, 0]]]}, "target_y and attribute_b"),
        (FULL | {"target_x": wide(2)}, "target_x has 2 words in 4 rows and target_y 3 words in 6 rows"),
        (FULL | {"target_y": [[[0, 1]], [[0.1, 1]] * 5]}, "target_x has 3 words in 6 rows and target_y 2 words in 6 rows"),
        (FULL | {"target_x": [[[1, 0]]], "target_y": [[[1, 0]]]}, "fewer than three"),
        (FULL | {"target_x": [[[1, 1], [2, 2]]] * 3, "target_y": [[[3, 3]]] * 3}, "same association in every draw"),
        (FULL | {"attribute_a": [[[1, 1]]], "attribute_b": [[[2, 2]]]}, "same association in every draw"),
        (FULL | {"target_x": [*wide(2), [[1, 0], [0, 0]]]}, "1 vectors have length zero"),
        (FULL | {"attribute_a": [[[0, 0]]]}, "length zero"),
        (FULL | {"target_x": [*wide(2), [[1, 0, 0]]]}, "differ in length: 2, 3"),
    ],
    ids=[
        "empty X", "empty B", "a single group", "unequal", "equal rows but unequal words", "two targets", "no spread", "A is B",
        "zero target", "zero attribute", "ragged",
    ],
)  # fmt: skip
def test_undefined_never_gives_a_number(sets: Contexts, reason: str):
    answers = table(sets)
    with pytest.raises(Undefined, match=reason):
        ceat(answers)
    score = measure(metric(samples=50), answers, MeasureOptions(draws=20))
    assert score.value is None and score.interval is None and score.p_value is None and score.p_published is None
    assert score.details == {} and score.leave_one_out is None
    assert reason in str(score.undefined)


def test_draws_of_weights_without_a_value_are_nan_and_leave_the_others_alone():
    answers = table(FULL)
    per_word = np.ones((4, 8))
    per_word[0, :3] = 0  # no X
    per_word[1, 7] = 0  # no B
    per_word[2, :6] = [1, 0, 0, 0, 0, 0]  # one target in all
    found = ceat(answers, of_words(answers, per_word))
    assert np.isnan(found[:3]).all()
    assert found[3] == pytest.approx(ceat(answers)[0], abs=1e-12)


def test_a_table_of_one_role_typed_wrongly_and_one_of_two_tests_are_refused():
    with pytest.raises(FairbenchError, match="Did you mean target_x"):
        ceat(table(FULL).replace({"role": {"target_x": "targetx"}}))
    with pytest.raises(FairbenchError, match="2 tests"):
        ceat(table(FULL).assign(test=["a", "b"] * 7))
    with pytest.raises(FairbenchError, match="no column 'cluster'"):
        measure(metric(), table(FULL).drop(columns="cluster"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": "1"}, "samples .* is '1'; wanted a whole number of at least 2"),
        ({"samples": "many"}, "wanted a whole number"),
    ],
)
def test_too_few_draws_are_refused(options: dict[str, str], message: str):
    with pytest.raises(FairbenchError, match=message):
        measure(metric(**options), table(FULL), MeasureOptions(draws=0))


def test_a_tail_is_one_of_two():
    with pytest.raises(FairbenchError, match="wanted one of two-sided, one-sided"):
        metric(tail="left")


def test_a_score_holds_the_whole_analysis():
    answers = table(random_sets(9, words=(6, 6, 5, 5)))
    score = measure(metric(samples="200", tail="one-sided"), answers, MeasureOptions(draws=5_000))
    seed = MeasureOptions().seed
    expected = plain(answers, samples=200, seed=seed)
    assert score.value == pytest.approx(expected["value"], abs=1e-10)
    assert score.details["tau2"] == pytest.approx(expected["tau2"], abs=1e-10) and score.details["draws_kept"] == 200
    assert score.p_published == pytest.approx(scipy_stats.norm.sf(expected["value"] / expected["ces_se"]), rel=1e-6)
    assert score.interval and score.interval.low < score.value < score.interval.high
    assert "1000 draws over 22 clusters" in score.interval.method
    words = answers.cluster.unique()
    without = ceat(answers, of_words(answers, 1 - np.eye(22)), samples=200, seed=seed)
    low, high = without.argmin(), without.argmax()
    assert score.leave_one_out == LeaveOneOut(without[low], words[low], without[high], words[high], 22)
    assert (score.n, score.n_records, score.unit) == (22, len(answers), "cluster")


def test_a_word_without_usable_contexts_unbalances_the_sets():
    answers = table(FULL)
    answers.loc[answers.cluster == "target_x 1", "vector"] = None
    score = measure(metric(samples=50), answers, MeasureOptions(draws=20))
    assert score.value is None and "target_x has 2 words in 4 rows" in str(score.undefined)
    assert score.left_out == {"vector is missing or not finite": 2}


@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_huge_and_tiny_vectors_keep_their_direction(factor: float):
    answers = table(random_sets(8))
    assert ceat(answers.assign(vector=[np.array(v) * factor for v in answers.vector]))[0] == pytest.approx(
        ceat(answers)[0], abs=1e-12
    )
