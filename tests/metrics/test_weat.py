"""The association test against plain loops written from the published formulas, and its permutation tests against enumeration."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics import weat as module

from fairbench.errors import FairbenchError, Undefined
from fairbench.measurement import MeasureOptions, measure
from fairbench.records import ROLES
from fairbench.registry import Registry

GOLDEN = {
    "target_x": [[1, 0], [0.8, 0.2], [0.9, -0.1]],
    "target_y": [[0, 1], [0.1, 0.9], [-0.2, 1]],
    "attribute_a": [[1, 0.1], [0.9, 0.3]],
    "attribute_b": [[0.1, 1], [0.2, 0.8]],
}
SWAP_TARGETS = {"target_x": "target_y", "target_y": "target_x"}
SWAP_ATTRIBUTES = {"attribute_a": "attribute_b", "attribute_b": "attribute_a"}


def table(sets: dict[str, Sequence[Sequence[float]]], words: dict[str, Sequence[str]] | None = None) -> pd.DataFrame:
    """Answers with a row a vector; every row is its own word unless `words` says otherwise."""
    rows = [
        {"id": f"{role}{i}", "role": role, "stratum": role, "vector": list(map(float, v))}
        | {"cluster": words[role][i] if words else f"{role}{i}"}
        for role, vectors in sets.items()
        for i, v in enumerate(vectors)
    ]
    return pd.DataFrame(rows)


def random_table(seed: int, sizes: Sequence[int] = (4, 4, 3, 5), width: int = 6) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return table({role: rng.normal(size=(size, width)).tolist() for role, size in zip(ROLES, sizes, strict=True)})


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def associations(answers: pd.DataFrame) -> dict[str, list[float]]:
    """s(w) of the targets by role, each attribute row counting once."""
    sets = {role: answers.loc[answers.role == role, "vector"].tolist() for role in ROLES}
    a, b = sets["attribute_a"], sets["attribute_b"]
    return {
        role: [sum(cosine(w, v) for v in a) / len(a) - sum(cosine(w, v) for v in b) / len(b) for w in sets[role]]
        for role in ("target_x", "target_y")
    }


def effect_size(answers: pd.DataFrame, ddof: int = 1) -> float:
    """Caliskan et al.'s d in plain loops."""
    s = associations(answers)
    everything = s["target_x"] + s["target_y"]
    centre = sum(everything) / len(everything)
    spread = math.sqrt(sum((v - centre) ** 2 for v in everything) / (len(everything) - ddof))
    return (sum(s["target_x"]) / len(s["target_x"]) - sum(s["target_y"]) / len(s["target_y"])) / spread


def enumerated_p(s: list[float], unit: list[str], n_x: int, two_sided: bool) -> float:
    """Share of the ways to give as many units to X as it has; the first n_x rows are those seen in X."""
    names = list(dict.fromkeys(unit))

    def statistic(chosen: frozenset[str]) -> float:
        inside = [v for v, u in zip(s, unit, strict=True) if u in chosen]
        outside = [v for v, u in zip(s, unit, strict=True) if u not in chosen]
        return sum(inside) / len(inside) - sum(outside) / len(outside)

    seen_units = frozenset(unit[:n_x])
    seen = statistic(seen_units)
    ways = [statistic(frozenset(c)) for c in itertools.combinations(names, len(seen_units))]
    extreme = [abs(w) >= abs(seen) - 1e-12 if two_sided else w >= seen - 1e-12 for w in ways]
    return sum(extreme) / len(ways)


def one(answers: pd.DataFrame) -> float:
    return float(module.weat(answers, np.ones((1, len(answers))))[0])


def significance(answers: pd.DataFrame):
    return module.weat_significance(answers, np.random.default_rng(0))


def test_golden_vector_of_the_spec():
    answers = table(GOLDEN)
    s = associations(answers)
    assert sum(s["target_x"]) - sum(s["target_y"]) == pytest.approx(4.644377219, abs=1e-9)
    assert effect_size(answers, ddof=0) == pytest.approx(1.979812312, abs=1e-9)
    assert one(answers) == pytest.approx(1.807313106, abs=1e-9)
    p = significance(answers)
    assert p.published == pytest.approx(1 / 20, abs=1e-12)
    assert p.value == pytest.approx(2 / 20, abs=1e-12)  # the mirrored partition is as extreme


def test_case_worked_by_hand():
    # s = 1, 0 on one side and -1, 0 on the other: difference of means 1, variance (1 + 1) / 3
    sets = {"target_x": [[1, 0], [1, 1]], "target_y": [[0, 1], [1, 1]], "attribute_a": [[1, 0]], "attribute_b": [[0, 1]]}
    assert one(table(sets)) == pytest.approx(math.sqrt(1.5), abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_ones_equal_the_plain_loops(seed: int):
    answers = random_table(seed)
    assert one(answers) == pytest.approx(effect_size(answers), abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_integer_weights_repeat_rows_and_zeros_remove_them(seed: int):
    answers = random_table(seed)
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 4, size=(7, len(answers))).astype(float)
    firsts = [int(np.flatnonzero(answers.role == role)[0]) for role in ROLES]
    weights[:, firsts] += 1  # no set may vanish
    expected = [effect_size(answers.loc[answers.index.repeat(row.astype(int))]) for row in weights]
    found = module.weat(answers, weights)
    assert found == pytest.approx(expected, abs=1e-10)
    assert found == pytest.approx([module.weat(answers, row[None, :])[0] for row in weights], abs=1e-12)


def test_draws_without_a_value_are_nan_and_leave_the_others_alone():
    answers = table(GOLDEN)
    weights = np.ones((4, len(answers)))
    weights[0, :3] = 0  # no X
    weights[1, 8:] = 0  # no B
    weights[2, :6] = [1, 0, 0, 0, 0, 0]  # one target in all
    found = module.weat(answers, weights)
    assert np.isnan(found[:3]).all()
    assert found[3] == pytest.approx(one(answers), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_a_draw_of_one_target_repeated_has_no_spread(seed: int):
    answers = table(GOLDEN | {"target_y": GOLDEN["target_x"]})  # X and Y hold the same vectors
    weights = np.ones((2, len(answers)))
    weights[0, :6] = np.tile(3 * np.eye(3)[seed], 2)  # the same vector from either side, three times
    assert np.isnan(module.weat(answers, weights)[0])


@pytest.mark.parametrize("seed", range(3))
def test_order_of_rows_and_length_of_vectors_do_not_matter(seed: int):
    rng, answers = np.random.default_rng(seed), random_table(seed)
    scaled = answers.assign(vector=[np.array(v) * f for v, f in zip(answers.vector, 10 ** rng.uniform(-3, 3, 16), strict=True)])
    mixed = scaled.iloc[rng.permutation(len(answers))].reset_index(drop=True)
    assert one(mixed) == pytest.approx(one(answers), abs=1e-10)
    assert significance(mixed).value == pytest.approx(significance(answers).value, abs=1e-12)


@pytest.mark.parametrize("swap", [SWAP_TARGETS, SWAP_ATTRIBUTES], ids=["targets", "attributes"])
def test_swapping_a_pair_of_sets_flips_the_sign(swap: dict[str, str]):
    answers = random_table(3)
    role = answers.role.replace(swap)
    mirrored = answers.assign(role=role, stratum=role)
    assert one(mirrored) == pytest.approx(-one(answers), abs=1e-12)
    assert significance(mirrored).value == pytest.approx(significance(answers).value, abs=1e-12)


@pytest.mark.parametrize(
    ("sets", "reason"),
    [
        (GOLDEN | {"target_x": []}, "target_x"),
        (GOLDEN | {"attribute_b": []}, "attribute_b"),
        ({"target_x": GOLDEN["target_x"], "attribute_a": [[1, 0]]}, "target_y and attribute_b"),
        (GOLDEN | {"target_x": [[1, 0], [0.8, 0.2]]}, "target_x has 2 words in 2 rows and target_y 3 words in 3 rows"),
        (GOLDEN | {"target_x": [[1, 0]], "target_y": [[1, 0]]}, "fewer than three"),
        (GOLDEN | {"target_x": [[1, 1], [2, 2]], "target_y": [[3, 3], [1, 1]]}, "same association"),
        (GOLDEN | {"target_x": [[1, 0], [0, 0]]}, "length zero"),
        (GOLDEN | {"attribute_a": [[0, 0]]}, "length zero"),
        (GOLDEN | {"target_x": [[1, 0, 0], [1, 0]]}, "differ in length"),
    ],
    ids=[
        "empty X",
        "empty B",
        "a single group",
        "unequal",
        "two targets",
        "no spread",
        "zero target",
        "zero attribute",
        "ragged",
    ],
)
def test_undefined_never_gives_a_number(sets: dict[str, list[list[float]]], reason: str):
    with pytest.raises(Undefined, match=reason):
        one(table(sets))
    score = measure(Registry().metric("weat"), table(sets), MeasureOptions(draws=20))
    assert score.value is None and score.interval is None and score.p_value is None
    assert reason in str(score.undefined)


def test_an_unknown_role_is_refused_with_the_nearest():
    answers = table(GOLDEN).replace({"role": {"target_x": "targetx"}})
    with pytest.raises(FairbenchError, match="Did you mean target_x"):
        one(answers)


@pytest.mark.parametrize("bad", [None, [np.nan, 1.0], [np.inf, 1.0], []], ids=["null", "nan", "inf", "empty"])
def test_unusable_vectors_are_left_out_and_counted(bad: list[float] | None):
    answers = table(GOLDEN | {"target_x": [*GOLDEN["target_x"], [5, 5]]})
    answers.at[3, "vector"] = bad
    score = measure(Registry().metric("weat"), answers, MeasureOptions(draws=20))
    assert score.value == pytest.approx(1.807313106, abs=1e-9)
    assert (score.n, score.n_total, score.n_records) == (10, 11, 10)
    assert score.left_out == {"vector is missing or not finite": 1}
    assert score.counts == {"words_target_x": 3, "words_target_y": 3, "words_attribute_a": 2, "words_attribute_b": 2}


@pytest.mark.parametrize(
    ("rows_of_x", "rows_of_y"),
    [((1, 1, 1, 1), (1, 1, 1, 1)), ((2, 2, 2), (2, 2, 2)), ((1, 3, 2, 1), (2, 2, 1, 3)), ((1, 3, 2, 1), (2, 3, 2))],
    ids=["words", "even", "unequal rows", "unequal words"],
)
@pytest.mark.parametrize("seed", range(3))
def test_exact_tests_equal_enumeration(seed: int, rows_of_x: tuple[int, ...], rows_of_y: tuple[int, ...]):
    rng = np.random.default_rng(seed)
    rows = {"target_x": rows_of_x, "target_y": rows_of_y, "attribute_a": (1, 1), "attribute_b": (2, 1)}
    names = {role: [f"{role}-{w}" for w, count in enumerate(counts) for _ in range(count)] for role, counts in rows.items()}
    answers = table({role: rng.normal(size=(len(names[role]), 4)).tolist() for role in ROLES}, names)
    s = associations(answers)
    pooled, n_x = s["target_x"] + s["target_y"], len(s["target_x"])
    by_word = names["target_x"] + names["target_y"]
    p = significance(answers)
    assert p.value == pytest.approx(enumerated_p(pooled, by_word, n_x, two_sided=True), abs=1e-12)
    by_row = [str(i) for i in range(len(pooled))]
    assert p.published == pytest.approx(enumerated_p(pooled, by_row, n_x, two_sided=False), abs=1e-12)
    assert "exact" in p.method and "two-sided" in p.method


def test_tied_partitions_count_as_extreme():
    # Two X words share one vector and two Y words another: of 6 partitions the seen one and its mirror reach the statistic
    sets = GOLDEN | {"target_x": [[0.3, 0.1], [0.9, 0.3]], "target_y": [[0.1, 0.3], [0.7, 2.1]]}
    p = significance(table(sets))
    assert (p.value, p.published) == (pytest.approx(2 / 6), pytest.approx(1 / 6))
    sets["target_y"] = [[0.1, 0.3], [0.6, 0.2]]  # now three words are equal: half of all partitions tie with the seen one
    p = significance(table(sets))
    assert (p.value, p.published) == (pytest.approx(1.0), pytest.approx(0.5))


def test_a_sampled_p_is_near_the_exact_one(monkeypatch: pytest.MonkeyPatch):
    answers = random_table(11, sizes=(7, 7, 4, 4))
    exact = significance(answers)
    limit = 3_000  # below C(14, 7) = 3432
    monkeypatch.setattr(module, "EXACT_LIMIT", limit)
    sampled = significance(answers)
    error = 4 * math.sqrt(exact.value * (1 - exact.value) / limit)
    assert "sampled" in sampled.method and "exact" in exact.method
    assert sampled.value == pytest.approx(exact.value, abs=error)
    assert sampled.published == pytest.approx(exact.published, abs=error)
    assert sampled.value * limit == pytest.approx(round(sampled.value * limit))  # (1 + hits) / (1 + limit - 1)


def test_seat_is_weat_under_another_name():
    registry, answers = Registry(), random_table(5)
    first, second = (measure(registry.metric(name), answers, MeasureOptions(draws=100)) for name in ("weat", "seat"))
    assert first == second
    assert "words" in str(first.p_method) and "published" not in str(first.p_method)


def test_sets_that_are_unequal_in_rows_only_may_exceed_two():
    targets = {"target_x": [[1, 0], [1, 0.1]], "target_y": [[0.01 * i, 1.0] for i in range(18)]}
    names = {"target_x": ["a", "b"], "target_y": ["c", "d"] * 9, "attribute_a": ["e"], "attribute_b": ["f"]}
    answers = table(targets | {"attribute_a": [[1, 0]], "attribute_b": [[0, 1]]}, names)
    score = measure(Registry().metric("weat"), answers, MeasureOptions(draws=20))
    assert score.value == pytest.approx(effect_size(answers), abs=1e-12) and score.value > 2
    assert Registry().metric("weat").info.high == math.inf


@pytest.mark.parametrize("name", ["weat", "seat"])
def test_a_word_without_an_answer_leaves_unequal_sets_which_have_no_value(name: str):
    answers = random_table(4)
    answers.at[1, "vector"] = None
    score = measure(Registry().metric(name), answers, MeasureOptions(draws=20))
    assert score.value is None and score.interval is None and score.leave_one_out is None
    assert "target_x has 3 words in 3 rows and target_y 4 words in 4 rows" in str(score.undefined)
    assert "left_out" in str(score.undefined) and score.left_out == {"vector is missing or not finite": 1}


@pytest.mark.parametrize("seed", range(3))
def test_the_range_without_one_word(seed: int):
    rng = np.random.default_rng(seed)
    names = {role: [f"{role}-{w}" for w in range(4) for _ in range(3)] for role in ROLES}
    answers = table({role: rng.normal(size=(12, 5)).tolist() for role in ROLES}, names)
    without = {word: effect_size(answers[answers.cluster != word]) for word in answers.cluster.unique()}
    low, high = min(without, key=without.__getitem__), max(without, key=without.__getitem__)
    found = measure(Registry().metric("seat"), answers, MeasureOptions(draws=20)).leave_one_out
    assert found and found.units == 16
    assert (found.low_without, found.high_without) == (low, high)
    assert (found.low, found.high) == pytest.approx((without[low], without[high]), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_a_sampled_p_does_not_depend_on_the_order_of_rows(seed: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "EXACT_LIMIT", 60)
    rng = np.random.default_rng(seed)
    names = {role: [f"{role}-{w}" for w in range(4) for _ in range(3)] for role in ROLES}
    answers = table({role: rng.normal(size=(12, 5)).tolist() for role in ROLES}, names)
    mixed = answers.iloc[rng.permutation(len(answers))]
    assert "sampled" in significance(answers).method
    assert significance(mixed) == significance(answers)


@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_huge_and_tiny_vectors_keep_their_direction(factor: float):
    answers = random_table(8)
    scaled = answers.assign(vector=[(np.array(v) * factor).tolist() for v in answers.vector])
    assert one(scaled) == pytest.approx(one(answers), abs=1e-12)


def test_one_word_in_each_set_has_no_spread_however_many_its_sentences():
    answers = random_table(9, sizes=(4, 4, 4, 4))
    score = measure(Registry().metric("weat"), answers.assign(cluster=answers.role), MeasureOptions(draws=50))
    assert score.value is None and score.undefined == "fewer than three target words (2): their spread has no meaning"


def test_a_word_in_both_sets_changes_sides_as_two():
    answers = random_table(10, sizes=(4, 4, 3, 3))
    names = [f"c{i}" for i in range(4)] * 2 + [f"a{i}" for i in range(6)]
    shared = measure(Registry().metric("weat"), answers.assign(cluster=names, stratum="all"), MeasureOptions(draws=50))
    apart = measure(Registry().metric("weat"), answers, MeasureOptions(draws=50))
    assert shared.p_value == pytest.approx(apart.p_value, abs=1e-12) and shared.p_value > 0
