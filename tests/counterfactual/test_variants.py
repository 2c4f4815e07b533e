"""Texts with their counterfactual variants, as they are put to a classifier."""

from __future__ import annotations

import dataclasses

import pytest

from fairbench.asked import Asked, look_through
from fairbench.counterfactual.variants import with_variants
from fairbench.data import Rows
from fairbench.errors import FairbenchError
from fairbench.records import UNASKED, Labelled, Pair
from fairbench.registry import Task
from fairbench.scores import Source, TaskInfo

NOWHERE = Rows(Source(format="json", columns=()), {"kind": "shipped"}, lambda: iter(()))


def text(name: str, said: str, **more: object) -> Labelled:
    meta = {"split": "test", "class": "kind", **more.pop("meta", {})}
    return Labelled(id=name, text=said, label=0, meta=meta, **more)


def asked(*records: object, limit: float | None = None, form: str = "Labelled") -> Asked:
    info = TaskInfo(title="toy", form=form, sources=(), licence="", cite="", language="en", groups=(), metrics=(), cluster="none")
    return look_through(Task("toy", info, lambda rows, name: iter(records)), NOWHERE, limit)


TEXTS = (
    text("1", "A blind man.", group="g", groups=("disability:blind",), stratum="s"),
    text("2", "Nobody came."),
    text("3", "He is gay and old.", cluster="c"),
    text("4", "She is deaf.", meta={"split": "train"}),
)


def test_each_original_is_followed_by_its_variants():
    found = with_variants(asked(*TEXTS), "terms")
    records = list(found.records())
    assert [record.id for record in records] == ["1", "1~1", "1~2", "3", *(f"3~{n}" for n in range(1, 14))]
    assert records[0] == dataclasses.replace(TEXTS[0], cluster="1")
    assert records[1] == Labelled(
        id="1~1", text="A deaf man.", label=0, source="1", cluster="1", stratum="s",
        meta={"split": "test", "class": "kind", "notion": "disability", "term": "blind", "replacement": "deaf"},
    )  # fmt: skip
    assert {record.cluster for record in records[3:]} == {"c"} and records[3].source is None
    assert {record.source for record in records[4:]} == {"3"}
    assert [record.meta["term"] for record in records[4:]] == ["gay"] * 8 + ["old"] * 5
    assert found.n == found.total == len(records) == 17
    assert found.data.provenance == {
        "kind": "shipped",
        "counterfactual": {"kind": "terms", "texts_with_variants": 2, "texts_without": 1, "variants": 15},
    }


def test_roles_give_one_variant():
    found = with_variants(asked(*TEXTS), "roles")
    records = list(found.records())
    assert [record.id for record in records] == ["1", "1~1", "3", "3~1"]
    assert [record.text for record in records] == ["A blind man.", "A blind woman.", "He is gay and old.", "She is gay and old."]
    assert records[3].meta == {"split": "test", "class": "kind", "notion": "gender", "term": "he", "replacement": "she"}
    assert found.data.provenance["counterfactual"]["texts_without"] == 1


def test_a_word_that_is_exchanged_for_several_is_named_with_each():
    (_, variant) = with_variants(asked(text("1", "She saw her, and her dog saw her.")), "roles").records()
    assert (variant.text, variant.meta["term"], variant.meta["replacement"]) == (
        "He saw him, and his dog saw him.",
        "she, her, her",
        "he, him, his",
    )


def test_the_records_can_be_gone_through_again_and_keep_their_hash():
    first, second = (with_variants(asked(*TEXTS), "terms") for _ in range(2))
    assert list(first.records()) == list(first.records()) == [record for part in second.parts() for record in part]
    assert first.sha256 == second.sha256 != with_variants(asked(*TEXTS), "roles").sha256


def test_a_limit_counts_originals():
    limited = with_variants(asked(*TEXTS, text("5", "A Sikh."), limit=1), "terms")
    assert [record.id for record in limited.records() if record.source is None] == ["1"]  # of "s"; 2 alone has no stratum
    assert limited.n == 3 and limited.total == 3 + 2


def test_a_limit_says_whom_it_lost():
    records = [text("1", "A Sikh.", group="a"), text("2", "A Muslim.", group="b")]
    assert with_variants(asked(*records, limit=1), "terms").lost == ("b",)


def test_a_text_that_is_not_asked_stays_with_its_reason():
    found = with_variants(asked(*TEXTS, text("5", "A deaf man.", meta={UNASKED: "too long"})), "terms")
    assert [record.id for record in found.records()][-1] == "5"
    assert found.data.provenance["counterfactual"]["texts_with_variants"] == 2


@pytest.mark.parametrize(("kind", "said"), [("terms", "gay, Muslim"), ("roles", "she, his")])
def test_no_variant_at_all_is_refused(kind, said):
    with pytest.raises(FairbenchError, match=f"none of the 1 texts .* variant \\({kind}\\).*{said}"):
        with_variants(asked(TEXTS[1]), kind)


def test_a_wrong_kind_and_other_records_are_refused():
    with pytest.raises(FairbenchError, match=r"'role'.*Did you mean roles.*terms or roles"):
        with_variants(asked(*TEXTS), "role")
    with pytest.raises(FairbenchError, match="its records are Pair"):
        with_variants(asked(Pair(id="1", more="a", less="b"), form="Pair"), "terms")
