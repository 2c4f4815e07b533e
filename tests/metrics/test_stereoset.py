"""SS, LMS, ICAT and the margin against plain loops over target terms."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics import stereoset as module

from fairbench.errors import Undefined
from fairbench.measurement import MeasureOptions, measure
from fairbench.registry import Registry

COLUMNS = ("target", "score_stereotype", "score_antistereotype", "score_unrelated")
NAMES = ("stereoset_ss", "stereoset_lms", "stereoset_icat", "stereoset_margin")
every = pytest.mark.parametrize("name", NAMES)

Item = tuple[str, float, float, float]

# nurse: SS 2/4, LMS (2 + 2 + 1 + 0) / 8 = 5/8; pilot: SS 1/1, LMS 2/2; cook (a tie counts as anti): SS 0/1, LMS 2/2
HAND: list[Item] = [
    ("nurse", -1.0, -2.0, -3.0),
    ("nurse", -2.0, -1.0, -3.0),
    ("nurse", -1.0, -3.0, -2.0),
    ("nurse", -3.0, -2.0, -1.0),
    ("pilot", -1.0, -1.5, -4.0),
    ("cook", -2.0, -2.0, -5.0),
]
EXPECTED = {
    "stereoset_ss": 50.0,
    "stereoset_lms": 100 * (5 / 8 + 1 + 1) / 3,
    "stereoset_icat": 100 * (5 / 8 + 1 + 1) / 3,
    "stereoset_margin": (1 - 1 + 2 - 1 + 0.5 + 0) / 6,
}


def table(items: list[Item]) -> pd.DataFrame:
    return pd.DataFrame(items, columns=list(COLUMNS))


def random_items(seed: int, n: int = 40, terms: int = 7) -> list[Item]:
    rng = np.random.default_rng(seed)
    items = []
    for i in range(n):
        s, a, u = rng.normal((-4.0, -4.3, -6.0), 2).tolist()
        if rng.random() < 0.15:
            a = s
        items.append((f"term{i if i < terms else rng.integers(terms)}", s, a, u))
    return items


def higher(first: float, second: float) -> bool:
    return first - second > 1e-6 * max(1.0, abs(first), abs(second))


def by_loop(items: list[Item], weights: list[float]) -> dict[str, float]:
    """Spec 8 and 25: rates within a term, then the mean over terms with the term's largest row weight."""
    ss_sum = lms_sum = terms_sum = margin_sum = 0.0
    for term in sorted({item[0] for item in items}):
        rows = [(item, w) for item, w in zip(items, weights, strict=True) if item[0] == term]
        largest, total = max(w for _, w in rows), sum(w for _, w in rows)
        if total == 0:
            continue
        pro = related = 0.0
        for (_, s, a, u), w in rows:
            pro += w * higher(s, a)
            related += w * (higher(s, u) + higher(a, u))
        ss_sum += largest * 100 * pro / total
        lms_sum += largest * 100 * related / (2 * total)
        terms_sum += largest
    for (_, s, a, _), w in zip(items, weights, strict=True):
        margin_sum += w * (s - a)
    ss, lms = ss_sum / terms_sum, lms_sum / terms_sum
    margin = margin_sum / sum(weights)
    icat = lms * min(ss, 100 - ss) / 50
    return {"stereoset_ss": ss, "stereoset_lms": lms, "stereoset_icat": icat, "stereoset_margin": margin}


def call(name: str, items: list[Item], weights: np.ndarray | None = None) -> np.ndarray:
    return getattr(module, name)(table(items), np.ones((1, len(items))) if weights is None else weights)


def swapped(items: list[Item]) -> list[Item]:
    return [(t, a, s, u) for t, s, a, u in items]


@every
def test_case_worked_by_hand(name: str):
    assert call(name, HAND)[0] == pytest.approx(EXPECTED[name], abs=1e-12)


def test_golden_icat(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "stereoset_lms", lambda answers, weights: np.array([91.11494]))
    monkeypatch.setattr(module, "stereoset_ss", lambda answers, weights: np.array([61.93149]))
    assert call("stereoset_icat", HAND)[0] == pytest.approx(91.11494 * 38.06851 / 50, abs=1e-9)
    assert call("stereoset_icat", HAND)[0] == pytest.approx(69.37220, abs=5e-6)


@every
@pytest.mark.parametrize("seed", range(4))
def test_ones_equal_the_loop(name: str, seed: int):
    items = random_items(seed)
    assert call(name, items)[0] == pytest.approx(by_loop(items, [1.0] * len(items))[name], abs=1e-10)


@every
@pytest.mark.parametrize("seed", range(4))
def test_any_weights_equal_the_loop_row_by_row(name: str, seed: int):
    items = random_items(seed)
    weights = np.random.default_rng(seed).integers(0, 4, size=(11, len(items))).astype(float)
    expected = [by_loop(items, row.tolist())[name] for row in weights]
    assert call(name, items, weights) == pytest.approx(expected, abs=1e-10)
    assert [call(name, items, row[None, :])[0] for row in weights] == pytest.approx(expected, abs=1e-10)


@every
@pytest.mark.parametrize("seed", range(4))
def test_a_term_drawn_twice_counts_as_two_terms(name: str, seed: int):
    """The cluster bootstrap: equal weights within a term are the table with copies of the term under other names."""
    items = random_items(seed)
    rng = np.random.default_rng(seed)
    times = {f"term{t}": int(count) for t, count in enumerate(rng.multinomial(7, [1 / 7] * 7))}
    copies = [(f"{item[0]}/{copy}", *item[1:]) for item in items for copy in range(times[item[0]])]
    weights = np.array([[float(times[item[0]]) for item in items]])
    assert call(name, items, weights)[0] == pytest.approx(call(name, copies)[0], abs=1e-10)


@every
@pytest.mark.parametrize("seed", range(4))
def test_zeros_only_leave_rows_out(name: str, seed: int):
    items = random_items(seed)
    kept = np.random.default_rng(seed).random(len(items)) < 0.4
    remaining = [item for item, keep in zip(items, kept, strict=True) if keep]
    assert call(name, items, kept[None, :].astype(float))[0] == pytest.approx(call(name, remaining)[0], abs=1e-10)


def test_large_and_small_terms_count_the_same():
    items = [("big", -1.0, -2.0, -9.0)] * 30 + [("small", -2.0, -1.0, -9.0)]
    assert call("stereoset_ss", items)[0] == pytest.approx(50.0)
    assert call("stereoset_margin", items)[0] == pytest.approx(29 / 31)  # over items, not terms


@every
def test_order_and_names_of_terms_do_not_matter(name: str):
    items = random_items(2)
    renamed = [(t[::-1], s, a, u) for t, s, a, u in items[::-1]]
    assert call(name, renamed)[0] == pytest.approx(call(name, items)[0], abs=1e-10)


@pytest.mark.parametrize(
    ("name", "mirror"),
    [
        ("stereoset_ss", lambda x: 100 - x),
        ("stereoset_lms", lambda x: x),
        ("stereoset_icat", lambda x: x),
        ("stereoset_margin", lambda x: -x),
    ],
)
def test_swapping_stereotype_and_opposite_mirrors(name: str, mirror):
    items = [item for item in random_items(4) if item[1] != item[2]]
    assert call(name, swapped(items))[0] == pytest.approx(mirror(call(name, items)[0]), abs=1e-10)


def test_a_tie_with_the_unrelated_candidate_counts_against_the_model():
    assert call("stereoset_lms", [("t", -1.0, -2.0, -2.0)])[0] == pytest.approx(50.0)


@pytest.mark.parametrize(("difference", "counted"), [(0.9e-6, 0), (1.1e-6, 1)])
def test_a_tie_has_the_tolerance_of_the_spec(difference: float, counted: int):
    items = [("t", -0.5, -0.5 - difference, -0.5 - difference), ("u", -2.0, -1.0, -3.0)]
    assert call("stereoset_ss", items)[0] == 50 * counted
    assert call("stereoset_lms", items)[0] == 50 + 25 * counted  # the opposite ties with the unrelated one either way


@pytest.mark.parametrize("name", ["stereoset_ss", "stereoset_icat", "stereoset_margin"])
def test_nothing_but_ties_is_undefined(name: str):
    items = [("a", -2.0, -2.0, -3.0), ("b", -1.0, -1.0 - 1e-8, -3.0)]
    with pytest.raises(Undefined, match="every item is a tie"):
        call(name, items)
    score = measure(Registry().metric(name), table(items), MeasureOptions(draws=20))
    assert score.value is None and score.interval is None and score.p_value is None
    assert score.counts == {"items": 2, "terms": 2, "prefer_stereotype": 0, "ties": 2}


def test_a_language_model_that_tells_nothing_from_the_unrelated_is_undefined():
    items = [("a", -2.0, -2.0, -2.0), ("b", -1.0, -1.0 - 1e-8, -1.0)]
    with pytest.raises(Undefined, match="no related continuation from the unrelated one"):
        call("stereoset_lms", items)
    score = measure(Registry().metric("stereoset_lms"), table(items), MeasureOptions(draws=20))
    assert score.value is None and score.interval is None


@every
def test_a_draw_of_ties_alone_has_no_value(name: str):
    items = [("tied", -2.0, -2.0, -2.0), ("decided", -1.0, -2.0, -3.0)]
    found = call(name, items, np.array([[2.0, 0.0], [1.0, 1.0]]))
    assert np.isnan(found[0]) and found[1] == pytest.approx(by_loop(items, [1.0, 1.0])[name])


def test_a_tie_of_the_candidates_is_none_to_the_language_modelling_score():
    items = [("a", -1.0, -1.0, -5.0), ("b", -1.0, -1.0, -0.5)]
    score = measure(Registry().metric("stereoset_lms"), table(items), MeasureOptions(draws=20))
    assert score.value == 50.0 and not any("ties" in w for w in score.warnings)


@every
def test_a_draw_without_any_row_is_nan(name: str):
    with np.errstate(invalid="ignore"):
        found = call(name, HAND, np.array([[0.0] * 6, [1.0] * 6]))
    assert np.isnan(found[0]) and found[1] == pytest.approx(EXPECTED[name])


@every
@pytest.mark.parametrize("column", COLUMNS)
def test_unusable_answers_are_left_out_and_counted(name: str, column: str):
    bad = table([*HAND, ("cook", -1.0, -2.0, -3.0)])
    bad[column] = bad[column].astype(object)
    bad.loc[6, column] = None if column == "target" else math.nan
    score = measure(Registry().metric(name), bad, MeasureOptions(draws=20))
    assert score.value == pytest.approx(EXPECTED[name], abs=1e-12)
    assert score.left_out == {f"{column} is missing or not finite": 1}
    assert score.n_records == 6
    assert (score.n, score.unit) == ((6, "record") if name == "stereoset_margin" else (3, "cluster"))


def test_a_single_term_has_no_interval():
    score = measure(Registry().metric("stereoset_ss"), table(HAND[:4]), MeasureOptions(draws=20))
    assert score.value == pytest.approx(50.0)
    assert score.interval is None and score.p_value == 1.0  # either sign of the only term is as extreme
    assert any("1 of the clusters" in w for w in score.warnings)


def test_draws_move_whole_terms():
    items = [("a", -1.0, -2.0, -9.0)] * 20 + [("b", -2.0, -1.0, -9.0)] * 20
    score = measure(Registry().metric("stereoset_ss"), table(items), MeasureOptions(draws=400))
    assert score.interval is not None
    assert (score.interval.low, score.interval.high) == (0.0, 100.0)  # both terms the same in half of the draws
    assert "2 clusters" in score.interval.method


@pytest.mark.parametrize("name", ["stereoset_ss", "stereoset_margin"])
@pytest.mark.parametrize("seed", range(3))
def test_p_is_that_of_terms_with_either_sign(name: str, seed: int):
    items = random_items(seed)
    net = []
    for term in sorted({item[0] for item in items}):
        rows = [(s, a) for t, s, a, _ in items if t == term]
        signs = [higher(s, a) - higher(a, s) for s, a in rows]
        net.append(sum(s - a for s, a in rows) if name == "stereoset_margin" else sum(signs) / len(rows))
    sums = [abs(math.fsum(f * v for f, v in zip(flips, net, strict=True))) for flips in itertools.product((1, -1), repeat=7)]
    score = measure(Registry().metric(name), table(items), MeasureOptions(draws=20))
    assert score.p_value == pytest.approx(sum(s >= sums[0] - 1e-9 for s in sums) / 2**7, abs=1e-12)
    assert score.p_method == "sign flips of 7 clusters, two-sided, exact"


@pytest.mark.parametrize("name", ["stereoset_ss", "stereoset_margin"])
def test_clusters_of_several_terms_keep_their_signs_together(name: str):
    items = [(f"term{i}", -1.0, -2.0, -3.0) for i in range(12)]
    answers = table(items).assign(cluster=[f"c{i // 4}" for i in range(12)])
    score = measure(Registry().metric(name), answers, MeasureOptions(draws=20))
    assert score.p_value == pytest.approx(0.25)  # 2 of the 8 signs of three clusters


@pytest.mark.parametrize("terms", [2, 3, 6])
def test_p_is_never_smaller_than_so_few_terms_allow(terms: int):
    items = [(f"term{i}", -1.0, -2.0, -3.0) for i in range(terms)]
    for name in ("stereoset_ss", "stereoset_margin"):
        assert measure(Registry().metric(name), table(items), MeasureOptions(draws=300)).p_value == 2 / 2**terms
