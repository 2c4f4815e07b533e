"""Identity terms: which there are, and what becomes of a text."""

from __future__ import annotations

import pytest
from fairbench.tasks.madlibs import TERMS

from fairbench.counterfactual.identity import exchanges, identities

SPELT = {"middle aged": "middle-aged", "millenial": "millennial"}
"""Terms that we write otherwise."""


def texts(text: str) -> list[str]:
    return [made.text for made in exchanges(text)]


def test_the_terms_are_the_fifty():
    """Of Dixon's list "older" and "younger" are the comparatives of two others."""
    terms = {term for lexicon in identities() for term in lexicon.groups}
    assert terms | {"older", "younger"} == {SPELT.get(term, term) for term in TERMS}
    assert len(terms) == 48 and sum(len(lexicon.groups) for lexicon in identities()) == 48


@pytest.mark.parametrize("term", TERMS)
def test_every_term_is_exchanged_for_each_other_of_its_notion(term):
    made = list(exchanges(f"She is {term}, they say."))
    (notion,) = {one.notion for one in made}
    (lexicon,) = (lexicon for lexicon in identities() if lexicon.notion == notion)
    comparative = term in ("older", "younger")
    own = {"older": "old", "younger": "young"}.get(term, SPELT.get(term, term))
    assert {one.term for one in made} == {own}
    others = {"old", "young"} if comparative else set(lexicon.groups)
    assert [one.replacement for one in made] == [group for group in lexicon.groups if group in others - {own}]
    for one in made:
        put = {"old": "older", "young": "younger"}[one.replacement] if comparative else one.replacement
        assert one.text.lower() == f"she is {put}, they say."


def test_a_text_by_hand():
    assert texts("A deaf man met a Sikh and two older Sikhs.")[:4] == [
        "A blind man met a Sikh and two older Sikhs.",
        "A paralyzed man met a Sikh and two older Sikhs.",
        "A deaf man met a Christian and two older Christians.",
        "A deaf man met a Muslim and two older Muslims.",
    ]
    assert texts("A deaf man met a Sikh and two older Sikhs.")[-1] == "A deaf man met a Sikh and two younger Sikhs."


def test_the_record_of_an_exchange():
    (first, *_) = exchanges("Two African-Americans came.")
    assert (first.text, first.notion, first.term, first.replacement) == (
        "Two Africans came.",
        "race",
        "african american",
        "african",
    )


def test_an_identity_that_is_named_takes_no_other_place():
    made = texts("gay and lesbian people")
    assert "lesbian and lesbian people" not in made and "bisexual and lesbian people" in made
    assert texts("blind, deaf, paralyzed") == []


def test_all_forms_of_an_identity_change_together_or_not_at_all():
    assert "Muslims met a Muslim." in texts("Jews met a Jew.")
    assert "Jews met a Jewish." in texts("Muslims met a Muslim.")  # the published list has no noun for it
    assert texts("teenagers and a teenage dream") == ["millennials and a millennial dream"]


@pytest.mark.parametrize(
    "text",
    [
        "", "nothing here", "a bigay word", "The White House", "he is 20 years old", "my 3-year-old", "go straight to hell",
        "Neil Young met Jack White.", "native Americans", "the Black Sea", "oldest", "christianity", "blackmail", "Asia",
    ],
)  # fmt: skip
def test_what_is_no_identity_has_no_exchange(text):
    assert texts(text) == []


@pytest.mark.parametrize(
    ("text", "one"),
    [
        ("non-binary people", "trans people"), ("anti-Muslim acts", "anti-Jewish acts"), ("a Muslim's book", "a Sikh's book"),
        ("an asian man", "a middle eastern man"), ("THE DEAF", "THE BLIND"), ("middle aged men", "elderly men"),
        ("Black lives", "White lives"), ("Straight men", "LGBTQ men"), ("Americans", "Chinese"), ("the Chinese", "the Indian"),
    ],
)  # fmt: skip
def test_spelling_case_and_compounds(text, one):
    assert one in texts(text)


def test_the_same_text_gives_the_same_exchanges():
    text = "Gay and Muslim and old and gay."
    assert list(exchanges(text)) == list(exchanges(text))
    assert len(set(texts(text))) == len(texts(text)) == 8 + 7 + 5


def test_madlibs_sentences_become_each_other(real):
    """Of a template's 50 sentences, those whose terms are of one notion are each other's exchanges."""
    from fairbench.data import rows
    from fairbench.registry import Registry

    task = Registry().task("madlibs")
    templates: dict[str, dict[str, str]] = {}
    for record in task.records(rows(task.info, task.name, real), task.name):
        if record.group is not None:
            templates.setdefault(record.cluster, {})[record.group] = record.text
        if len(templates) > 40:
            break
    lexicons = {lexicon.notion: lexicon for lexicon in identities()}
    checked = 0
    for sentences in list(templates.values())[:40]:
        for text in sentences.values():
            for made in exchanges(text):
                if made.replacement in sentences and "older" not in text and "younger" not in text:
                    assert made.text.lower() == sentences[made.replacement].lower()
                    assert {made.term, made.replacement} <= set(lexicons[made.notion].groups)
                    checked += 1
    assert checked > 8_000
