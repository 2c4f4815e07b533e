"""Which notion a score is about: from the notion that is compared, from prefixes, and from what groups are called."""

from __future__ import annotations

import pytest

from fairbench.comparison.notions import FORMS, MEMBERS, NAMES, calls_notion, group_called, notion_of_score, notions_of, words
from fairbench.registry import Registry


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("MaleNames", {"gender"}),
        ("American_actresses", {"gender"}),
        ("EuropeanAmericanTerms", {"race"}),
        ("MexicanAmericanFemaleNames", {"gender", "race"}),
        ("African_Americans", {"race"}),
        ("race-color", {"race"}),
        ("Race_x_SES", {"race", "socioeconomic"}),
        ("homosexual_gay_or_lesbian", {"orientation"}),
        ("middle aged", {"age"}),
        ("mexican", set()),  # alone it is a nationality as well
        ("left-wing", set()),
        ("Pleasant", set()),
        ("", set()),
        ("town:Velda", {"town"}),
        ("gender:whoever", {"gender"}),
        ("Language", set()),  # "age" is a part of the word, not a word
        ("Manager", set()),
        ("Blackboard", set()),
    ],
)
def test_what_a_name_speaks_of(name: str, wanted: set[str]) -> None:
    assert notions_of(name) == wanted


@pytest.mark.parametrize(
    ("metric", "task", "groups", "wanted"),
    [
        ("fpr_gap by race", "x", ["gender:female", "race:black"], "race"),
        ("fpr_gap by race,gender", "x", [], "gender,race"),
        ("regard_gap by town", "x", [], "town"),
        ("gender_polarity_gap", "bold_profession", ["dance_occupations"], "gender"),
        ("sentiment_gap", "bold_profession", ["dance_occupations", "corporate_titles"], "profession"),
        ("weat", "weat_6", ["MaleNames", "FemaleNames", "Career", "Family"], "gender"),
        ("seat", "x", ["WhiteFemaleNames", "BlackFemaleNames", "NearAntonyms"], "gender,race"),
        ("coreference_gap", "winogender", ["female", "male", "neutral"], "gender"),
        ("sentiment_gap", "occupation_prompts", ["baker", "nurse"], "profession"),
        ("crows_pairs", "crows_pairs", ["gender", "race-color"], None),
        ("fpr_gap", "x", ["gender:female", "race:black"], None),
        ("weat", "weat_1", ["Flowers", "Insects", "Pleasant", "Unpleasant"], None),
        ("toxicity_gap", "made", [], None),
    ],
)
def test_the_notion_of_a_score(metric: str, task: str, groups: list[str], wanted: str | None) -> None:
    found = notion_of_score(metric, task, groups)
    assert found.name == wanted and bool(found.why) == (wanted is None)
    assert notion_of_score(metric, task, groups[::-1]) == found


def test_why_a_notion_is_unknown() -> None:
    assert notion_of_score("m", "t", ["women", "Islam"]).why == "it is about several notions (gender, religion)"
    assert notion_of_score("m", "t", ["Flowers"]).why == "its groups tell no notion"


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        *((name, True) for name in ("gender", "race-color", "Gender_identity (names)", "body_type", "profession")),
        *((name, False) for name in ("Women", "gender:female", "black", "queer_gender", "Flowers")),
    ],
)
def test_names_of_notions_are_told_from_names_of_groups(name: str, whole: bool) -> None:
    assert calls_notion(name) is whole


def test_one_group_has_one_name() -> None:
    assert len({group_called(name) for name in ("female", "Women", "gender:woman", "FemaleTerms", "feminine")}) == 1
    assert (
        group_called("African")
        == group_called("African_Americans")
        == group_called("AfricanAmericanNames")
        != group_called("Asian")
    )
    assert group_called("christian") != group_called("muslim") == group_called("Islam")
    assert group_called("Flowers") == "unknown: flowers"


def test_the_word_lists_agree_with_each_other() -> None:
    names, members = ([word for known in table.values() for word in known.split()] for table in (NAMES, MEMBERS))
    assert len({*names, *members}) == len(names) + len(members)  # no word has two meanings
    for called, forms in FORMS.items():
        assert {notion for form in forms for notion in notions_of(form)} == {called.partition(":")[0]}
    every = [form for forms in FORMS.values() for form in forms]
    assert len(set(every)) == len(every)


def test_words_keep_every_letter() -> None:
    for name in ("AfricanAmericanFemaleNames", "Race_x_SES", "queer_gender_pronoun", "SES", "bold_political_ideology"):
        assert "".join(words(name)) == "".join(c for c in name.lower() if c.isalpha())


def test_tasks_of_this_package_that_name_a_notion_have_it() -> None:
    tasks = Registry().tasks()
    found = {name: notion_of_score("some_metric", name, info.groups).name for name, info in tasks.items()}
    for name, notion in found.items():
        for word, wanted in (("gender", "gender"), ("race", "race"), ("religion", "religion"), ("age", "age")):
            if name.split("_")[1:] == [word]:
                assert notion == wanted, name
    assert {found[name] for name in ("winogender", "bias_in_bios", "bec_pro", "honest", "gap")} == {"gender"}
    assert found["weat_10"] == "age" and found["seat_religion1"] == "religion" and found["wikitext"] is None
