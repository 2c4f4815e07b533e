"""Parts of a table: what they hold, that sets stay balanced, and that nothing but the seed decides."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from fairbench.errors import Undefined
from fairbench.records import ROLES, Pair, Slot
from fairbench.sweeps.subsets import halves, template_of, templates


def association(x: int, y: int, a: int, b: int, contexts: int = 1) -> pd.DataFrame:
    """A table of words in four roles, several rows a word."""
    rows = [
        {"id": f"{role}/{word}/{number}", "cluster": f"{role[-1]}{word}", "stratum": role, "role": role, "source": None}
        for role, count in zip(ROLES, (x, y, a, b), strict=True)
        for word in range(count)
        for number in range(contexts)
    ]
    return pd.DataFrame(rows).assign(group=None)


def words_in(table: pd.DataFrame, role: str) -> set[str]:
    return set(table.loc[table["role"] == role, "cluster"])


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [((8, 8, 8, 8), (4, 4, 4, 4)), ((6, 5, 7, 7), (2, 2, 3, 3)), ((25, 25, 8, 1), (12, 12, 4, 1)), ((2, 9, 2, 3), (1, 1, 1, 1))],
)
def test_both_target_sets_stay_of_equal_size_and_attributes_are_halved(sizes, kept):
    table = association(*sizes, contexts=3)
    parts = halves(table, "Association", 20, seed=1)
    for part in parts:
        stays = table[part.keep]
        assert tuple(len(words_in(stays, role)) for role in ROLES) == kept
        assert len(stays) == 3 * sum(kept), "a word stays with all of its rows"
        assert {role: set(part.words[role]) for role in ROLES} == {role: words_in(stays, role) for role in ROLES}


def test_halves_differ_and_follow_the_seed_and_nothing_else():
    table = association(8, 8, 8, 8, contexts=2)
    parts = halves(table, "Association", 20, seed=7)
    assert [part.name for part in parts] == [f"half {n}" for n in range(1, 21)]
    assert len({part.keep.tobytes() for part in parts}) == 20
    again = halves(table, "Association", 20, seed=7)
    assert all(np.array_equal(p.keep, q.keep) for p, q in zip(parts, again, strict=True))
    order = np.random.default_rng(0).permutation(len(table))
    moved = halves(table.iloc[order].reset_index(drop=True), "Association", 20, seed=7)
    assert all(np.array_equal(p.keep[order], q.keep) for p, q in zip(parts, moved, strict=True))
    other = halves(table, "Association", 20, seed=8)
    assert any(not np.array_equal(p.keep, q.keep) for p, q in zip(parts, other, strict=True))


def test_every_word_stays_about_half_of_the_time():
    """Over many halves no word is preferred: 400 draws of 4 of 8 give 200 a word, sd 10."""
    table = association(8, 8, 8, 8)
    counts = np.sum([part.keep for part in halves(table, "Association", 400, seed=3)], axis=0)
    assert counts.min() > 150 and counts.max() < 250


def test_there_are_no_more_halves_than_there_are():
    table = association(2, 2, 2, 2)
    parts = halves(table, "Association", 50, seed=1)
    expected = set(itertools.product(*[[(0,), (1,)]] * 4))
    assert len(parts) == len(expected) == 16


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (1, 5, 1, 1)])
def test_single_words_have_no_half(sizes):
    table = association(*sizes)
    if sizes == (1, 1, 1, 1):
        with pytest.raises(Undefined, match="each set has one word; halves need two or more"):
            halves(table, "Association", 5, seed=1)
    else:  # one word on the one side leaves one on the other
        assert {int(part.keep.sum()) for part in halves(table, "Association", 5, seed=1)} == {4}


def test_targets_of_slots_are_halved_within_their_groups():
    rows = [
        {"id": f"{target}/{template}", "template": template, "target": target, "attribute": "nurse", "group": group}
        for template in ("[TARGET] is a [ATTRIBUTE].", "[TARGET] was a [ATTRIBUTE].")
        for group, targets in {"male": ("he", "man", "boy", "king"), "female": ("she", "woman")}.items()
        for target in targets
    ]
    table = pd.DataFrame(rows).assign(cluster="nurse", stratum=None, source=None)
    for part in halves(table, "Slot", 10, seed=2):
        stays = table[part.keep]
        assert stays.groupby("group")["target"].nunique().to_dict() == {"male": 2, "female": 1}
        assert len(stays) == 6, "a target stays with all of its templates"
        assert {group: set(words) for group, words in part.words.items()} == {
            group: set(part["target"]) for group, part in stays.groupby("group")
        }


def test_a_target_gives_way_only_to_one_that_stands_in_the_same_templates():
    """Else a half could leave the men of one template and the women of another."""
    places = {"[TARGET] is a [ATTRIBUTE].": {"male": ("he", "him"), "female": ("she", "her")}}
    places |= {
        f"{the} [TARGET] is a [ATTRIBUTE].": {"male": ("man", "boy"), "female": ("woman", "girl")} for the in ("The", "My")
    }
    rows = [
        {"id": f"{template}/{target}", "template": template, "target": target, "attribute": "nurse", "group": group}
        for template, groups in places.items()
        for group, targets in groups.items()
        for target in targets
    ]
    table = pd.DataFrame(rows).assign(cluster="nurse", stratum=None, source=None)
    for part in halves(table, "Slot", 10, seed=2):
        stays = table[part.keep]
        assert (stays.groupby(["template", "group"]).size() == 1).all() and len(stays) == 6
        assert {group: len(words) for group, words in part.words.items()} == {"male": 2, "female": 2}
    with pytest.raises(Undefined):
        halves(table[table["target"].isin(["he", "she", "man", "woman"])], "Slot", 10, seed=2)


def test_other_forms_have_clusters_or_records_in_the_place_of_words():
    table = pd.DataFrame({"id": [f"{n}" for n in range(12)], "cluster": [f"c{n // 3}" for n in range(12)]})
    table = table.assign(group=None, stratum=None, source=None)
    for part in halves(table, "Pair", 6, seed=1):
        assert part.keep.sum() == 6 and table[part.keep]["cluster"].nunique() == 2 and not part.words
    assert {int(part.keep.sum()) for part in halves(table.assign(cluster=None), "Pair", 5, seed=1)} == {6}


def test_templates_alone_and_left_out():
    table = pd.DataFrame({"meta.template": ["a", "b", "c", "a", None]})
    parts = {part.name: part.keep.tolist() for part in templates(table)}
    assert parts["only a"] == [True, False, False, True, False]
    assert parts["without a"] == [False, True, True, False, True]
    assert set(parts) == {"only a", "only b", "only c", "without a", "without b", "without c"}


def test_of_two_templates_the_one_left_out_is_the_other_alone():
    assert [part.name for part in templates(pd.DataFrame({"meta.template": ["a", "b"]}))] == ["only a", "only b"]


@pytest.mark.parametrize(("table", "why"), [({"more": ["x"]}, "no template"), ({"meta.template": ["a", "a"]}, "same template")])
def test_without_a_choice_there_is_nothing_to_try(table, why):
    with pytest.raises(Undefined, match=why):
        templates(pd.DataFrame(table))


def test_an_article_makes_no_template():
    slots = ["[TARGET] is a [ATTRIBUTE].", "[TARGET] is an [ATTRIBUTE].", "An [ATTRIBUTE] is [TARGET]."]
    parts = templates(pd.DataFrame({"template": slots}))
    assert [part.keep.tolist() for part in parts] == [[False, False, True], [True, True, False]]
    records = [Slot(id="1", template=text, target="he", attribute="x") for text in slots]
    assert [template_of(r) for r in records] == ["[TARGET] is a [ATTRIBUTE]."] * 2 + ["A [ATTRIBUTE] is [TARGET]."]


def test_a_records_own_name_for_its_template_wins():
    assert template_of(Slot(id="1", template="[TARGET] can.", target="he", meta={"template": "3"})) == "3"
    assert template_of(Pair(id="1", more="a", less="b")) is None


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ((("m", "he", "t1"), ("f", "she", "t1")), "each group has one target word; halves need two or more"),
        (
            (("m", "he", "t1"), ("m", "man", "t2"), ("f", "she", "t1")),
            "no two target words of a group stand in the same templates",
        ),
    ],
)
def test_why_slots_have_no_halves(targets, said):
    rows = [
        {"id": str(n), "group": group, "target": target, "template": template, "cluster": None, "stratum": None}
        for n, (group, target, template) in enumerate(targets)
    ]
    with pytest.raises(Undefined, match=said):
        halves(pd.DataFrame(rows), "Slot", 5, seed=1)
