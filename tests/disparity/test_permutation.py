"""What may change hands when groups are permuted, whether it does so evenly, and the p and floor that come of it."""

from __future__ import annotations

from collections import Counter
from itertools import permutations as orders

import numpy as np
import pandas as pd
import pytest

import fairbench
from fairbench.disparity.permutation import Permutations, against_chance, permutations, row_codes, steady


def drawn(of_row, blocks=None, clusters=None, count: int = 400, seed: int = 0) -> tuple[Permutations, np.ndarray]:
    of_row = np.asarray(of_row, dtype=bool)
    clusters = [None] * len(of_row) if clusters is None else clusters
    found = permutations(of_row, blocks, clusters, count, np.random.default_rng(seed))
    assert isinstance(found, Permutations)
    return found, np.array(list(found))


def members(text: str) -> np.ndarray:
    """A row a letter: which of the groups a, b, c it speaks of; "." speaks of none, "x" of a and b."""
    groups = {"a": "a", "b": "b", "c": "c", ".": "", "x": "ab"}
    return np.array([[g in groups[letter] for g in "abc"] for letter in text])


def test_without_clusters_all_records_change_hands_inside_their_block():
    blocks = np.array([1, 0, 1, 1, 0, 0, 1])
    found, index = drawn(members("aabbab."), blocks)
    assert found.what == "records" and index.shape == (400, 7)
    assert (np.sort(index, axis=1) == np.arange(7)).all(), "every membership stays somebody's"
    assert (blocks[index] == blocks).all()
    seen = {tuple(row[blocks == 1]) for row in index}
    assert seen == set(orders([0, 2, 3, 6])), "all 24 orders of the block"


def test_each_order_is_as_likely_as_any_other():
    _, index = drawn(members("abc"), count=6000)
    counts = Counter(map(tuple, index.tolist()))
    assert len(counts) == 6 and max(abs(count - 1000) for count in counts.values()) < 4.5 * np.sqrt(6000 * 1 / 6 * 5 / 6)


def test_without_blocks_the_classes_mix():
    _, index = drawn(members("aabb"))
    assert {row[0] for row in index.tolist()} == {0, 1, 2, 3}


def test_where_the_group_varies_inside_clusters_it_is_permuted_there():
    clusters = ["s", "s", "t", "t", "t", "u", "u"]
    found, index = drawn(members("abbaaab"), clusters=clusters)
    assert found.what == "records inside clusters"
    named = np.array(clusters)
    assert (named[index] == named).all()
    assert {tuple(row[2:5]) for row in index.tolist()} == set(orders([2, 3, 4]))


def test_where_it_is_constant_in_every_cluster_whole_clusters_change_hands():
    of_row, clusters = members("aaabbab"), ["s", "s", "s", "t", "t", "u", "v"]
    found, index = drawn(of_row, clusters=clusters)
    assert found.what == "whole clusters"
    for row in index:
        given = of_row[row]
        for name in set(clusters):
            of = [i for i, cluster in enumerate(clusters) if cluster == name]
            assert (given[of] == given[of[0]]).all(), "a cluster's records stay of one group"
    units = {tuple(row[[0, 3, 5, 6]]) for row in index}
    assert units == set(orders([0, 3, 5, 6])), "clusters of any size, also of one record, take each other's places"


def test_a_null_cluster_and_one_with_a_single_record_in_the_block_are_no_restriction():
    of_row, clusters = members("abab" + "ab"), [None, np.nan, "alone", "cut", "cut", pd.NA]
    blocks = np.array([0, 0, 0, 0, 1, 1])  # the cluster "cut" has one record in either block
    found, index = drawn(of_row, blocks, clusters)
    assert found.what == "records"
    assert {tuple(row[:4]) for row in index.tolist()} == set(orders([0, 1, 2, 3]))
    assert {tuple(row[4:]) for row in index.tolist()} == {(4, 5), (5, 4)}


def test_in_a_mixed_table_constant_clusters_and_free_records_change_hands_as_wholes():
    of_row, clusters = members("ab" + "aa" + "bb" + "abb"), ["mixed"] * 2 + ["s"] * 2 + ["t"] * 2 + [None, None, "alone"]
    found, index = drawn(of_row, clusters=clusters)
    assert found.what == "records inside clusters, whole clusters elsewhere"
    assert all(row[2] == row[3] and row[4] == row[5] for row in index.tolist()), "a cluster's rows get one membership"
    assert {tuple(row[:2]) for row in index.tolist()} == {(0, 1), (1, 0)}
    donors = {tuple(row[i] for i in (2, 4, 6, 7, 8)) for row in index.tolist()}
    assert len(donors) > 100 and donors <= set(orders([2, 4, 6, 7, 8]))


def test_clusters_are_cut_by_blocks():
    """s is all a among the positives and all b among the others: constant in each block."""
    clusters, blocks = ["s", "s", "s", "s", "t", "t", "t", "t"], np.array([1, 1, 0, 0, 1, 1, 0, 0])
    found, index = drawn(members("aabbbbaa"), blocks, clusters)
    assert found.what == "whole clusters"
    assert {(row[0], row[2]) for row in index.tolist()} == {(0, 2), (0, 6), (4, 2), (4, 6)}, "each block by itself"


def test_memberships_of_a_record_stay_together():
    of_row = members("xab.")
    _, index = drawn(of_row)
    assert all(sorted(map(tuple, of_row[row].tolist())) == sorted(map(tuple, of_row.tolist())) for row in index)


@pytest.mark.parametrize(
    ("of_row", "blocks", "clusters", "reason"),
    [
        ("aaaa", None, None, "every record speaks of the same groups"),
        ("aabb", [0, 0, 1, 1], None, "too few records within a gold class"),
        ("aabb", [0, 0, 1, 1], ["s", "s", "t", "t"], "too few clusters of records, and each is all of one group"),
        ("", None, None, "every record"),
    ],
)
def test_where_nothing_changes_there_is_a_reason(of_row: str, blocks, clusters, reason: str):
    of_row = members(of_row) if of_row else np.zeros((0, 2), dtype=bool)
    blocks = None if blocks is None else np.array(blocks)
    found = permutations(of_row, blocks, clusters or [None] * len(of_row), 5, np.random.default_rng(0))
    assert isinstance(found, str) and reason in found


def test_the_same_seed_gives_the_same_permutations_and_another_gives_others():
    (_, first), (_, again), (_, other) = (drawn(members("abab" * 5), seed=seed) for seed in (3, 3, 4))
    assert (first == again).all() and not (first == other).all()


def test_p_counts_the_value_seen_and_ties():
    p, floor = against_chance(0.3, np.array([0.1, 0.3, 0.3 - 1e-13, 0.5, np.nan]), 0.0, "records")
    assert p.value == (1 + 3) / (1 + 4) and floor == pytest.approx(0.3)
    assert p.method == "permutation of the groups (records), 4 sampled"


def test_of_a_ratio_the_smaller_is_farther_from_the_ideal():
    p, floor = against_chance(0.5, np.array([0.4, 0.6, 0.9, 1.0]), 1.0, "records")
    assert p.value == 2 / 5 and floor == pytest.approx(0.725)


def test_without_a_permuted_value_there_is_neither_p_nor_floor():
    assert against_chance(0.5, np.array([np.nan]), 0.0, "records") == (None, None)


def test_the_steady_order_is_that_of_ids_whatever_the_order_of_rows():
    answers = pd.DataFrame({"id": ["b", "a", "c", "a"], "label": [0, 1, 1, 0], "groups": [["x"], ["y"], [], ["x"]]})
    wanted = steady(answers).to_dict("records")
    assert [row["id"] for row in wanted] == ["a", "a", "b", "c"]
    for order in orders(range(4)):
        assert steady(answers.iloc[list(order)]).to_dict("records") == wanted


def test_row_codes_tell_different_rows_apart():
    flags = np.random.default_rng(0).random((300, 11)) < 0.5
    codes = row_codes(flags)
    same = (flags[:, None, :] == flags[None, :, :]).all(axis=2)
    assert ((codes[:, None] == codes[None, :]) == same).all()
    assert row_codes(np.zeros((3, 0), dtype=bool)).tolist() == [0, 0, 0]


def test_rows_of_one_id_change_hands_together():
    """Eight samples of each answer are no eight answers: p and floor stay those of the answers alone."""
    rng = np.random.default_rng(1)
    once = pd.DataFrame({"id": range(40), "group": rng.choice(["f", "m"], 40), "prediction": rng.integers(0, 2, 40)})
    alone, eightfold = (
        fairbench.measure("demographic_parity_difference", table, metric_options={"minimum": 5}, draws=500)
        for table in (once, pd.concat([once] * 8))
    )
    assert eightfold.value == pytest.approx(alone.value)
    assert eightfold.p_value == pytest.approx(alone.p_value, abs=0.06)
    assert eightfold.floor == pytest.approx(alone.floor, abs=0.02)


def test_a_stray_record_does_not_keep_the_other_clusters_from_changing_hands():
    rng = np.random.default_rng(0)
    rows = [
        {"cluster": f"author{a}", "prediction": int(rng.random() < (0.85 if a % 2 else 0.3)), "group": "fm"[a % 2]}
        for a in range(60)
        for _ in range(4)
    ]
    table = pd.DataFrame(rows)
    table.loc[4, "group"] = "f"  # one text of author1, all of whose others are m
    score = fairbench.measure("demographic_parity_difference", table, draws=500)
    assert score.p_value < 0.01 and score.floor < 0.2


def test_permutations_that_only_exchange_names_are_no_evidence():
    """Two clusters, each all of one group: every permutation gives the same gap, which is neither chance nor no difference."""
    found = against_chance(0.3, np.full(100, 0.3 + 1e-15), 0.0, "whole clusters")
    assert found == (None, None)
    assert against_chance(0.0, np.zeros(100), 0.0, "records")[0].value == 1.0
