"""The page, read by a parser: nothing escapes, nothing is loaded, and every number stands with what belongs to it."""

import base64
import dataclasses
import hashlib
import re
import subprocess
import sys

import pytest

from fairbench.comparison import NOT_SCORED, Comparison, Refused, Ungated
from fairbench.errors import FairbenchError
from fairbench.reporting.contents import Example, Examples
from fairbench.reporting.markup import named, shown
from fairbench.reporting.page import FIGURES_SHOWN, FLIPS_SHOWN, page, write_page
from fairbench.reporting.provenance import about, flat, provenance
from fairbench.reporting.rows import rows
from tests.reporting import made
from tests.reporting.hostile import HOSTILE
from tests.reporting.hostile import hostile as hostile_report
from tests.reporting.parsed import Read


@pytest.fixture(scope="module")
def hostile() -> Read:
    return Read(page(hostile_report()))


def said(text: str) -> str:
    """A text with its white space made one."""
    return re.sub(r"\s+", " ", text).strip()


def test_hostile_texts_are_text(hostile: Read):
    assert len(hostile.scripts) == 1, "the page's own script, and no other"
    assert not [name for _, attributes in hostile.tags for name in attributes if name.startswith("on")]
    assert hostile.faults == []
    for text in HOSTILE:
        start = str(shown(text))[:40]
        assert start in hostile.texts[""], start


def test_hostile_texts_make_no_elements(hostile: Read):
    ours = (
        "html head meta title style body a header h1 p bdi section h2 ul li code nav main div table caption thead tr th tbody td"
    )
    ours += (
        " b details summary h3 h4 span form fieldset legend label select option input button output dl dt dd ol figure figcaption"
    )
    ours += " footer script wbr svg defs clippath rect g text"
    assert {tag for tag, _ in hostile.tags} <= set(ours.split())


def test_signs_that_are_not_seen_are_named(hostile: Read):
    text = hostile.texts[""]
    assert "a[U+202E]gnp.exe[U+202C]" in text and "[U+0000]" in text and "[U+0007]" in text and "[U+D800]" in text
    assert not set(text) & {"\u202e", "\u202c", "\u2067", "\u2069", "\x00", "\x07", "\ufffd"}


def test_nothing_is_loaded(hostile: Read):
    for tag, attributes in hostile.tags:
        for name in ("src", "srcset", "action", "formaction", "data", "poster", "background", "xlink:href", "ping"):
            assert name not in attributes, (tag, name)
        if "href" in attributes:
            assert (attributes["href"] or "").startswith("#"), (tag, attributes["href"])
    assert not hostile.elements("link") and not hostile.elements("base") and not hostile.elements("iframe")
    assert not re.search(r"url\(|@import|https?:", "".join(hostile.styles + hostile.scripts))


def test_the_policy_names_the_script_that_is_there(hostile: Read):
    policy = next(a["content"] or "" for a in hostile.elements("meta") if a.get("http-equiv") == "Content-Security-Policy")
    seen = base64.b64encode(hashlib.sha256(hostile.scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{seen}'" in policy and policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]


def test_links_lead_somewhere_and_no_id_is_there_twice(hostile: Read):
    ids = [attributes["id"] for _, attributes in hostile.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {(a["href"] or "")[1:] for a in hostile.elements("a")} <= set(ids)


def test_landmarks_and_headings(hostile: Read):
    for name in ("h1", "main", "header", "footer", "nav"):
        assert len(hostile.elements(name)) == 1, name
    assert next(tag for tag, _ in hostile.tags if tag in ("a", "header")) == "a", "the skip link comes first"
    assert len(hostile.elements("caption")) == len(hostile.elements("table")) > 5
    assert all(a.get("scope") in ("col", "row") for a in hostile.elements("th"))
    boxes = [a for a in hostile.elements("div") if a.get("class") == "box"]
    assert boxes and all(a.get("tabindex") == "0" and a.get("role") == "region" and a.get("aria-label") for a in boxes)


def test_a_long_word_stands_whole_only_where_it_is_asked_for():
    word = "W" * 10_000
    read = Read(page(made.report([made.row(model=word, direction=word, warnings=["short"], file="a.json")])))
    assert word not in read.texts["score-1"] and named(word) in read.texts["score-1"]
    assert word in read.texts[""], "where the model is described"


def test_a_long_note_is_there_whole_behind_a_click():
    text = page(made.report([made.row(warnings=["V" * 10_000])]))
    assert text.count("V" * 10_000) == 1 and text.count("V" * 600 + "…") == 1


@pytest.mark.parametrize("part", ["whole", "clean", "without refusals", "group"])
def test_every_number_stands_with_what_belongs_to_it(part: str):
    moved = {
        "value": 0.12345,
        "low": 0.0511,
        "high": 0.2011,
        "floor": 0.0312,
        "ideal": 0.0,
        "p_value": 0.0022,
        "n": 71,
        "n_total": 77,
    }
    other = made.row(part=part, group="women" if part == "group" else "", **moved)
    listed = [other] if part == "whole" else [made.row(), other]
    text = said(Read(page(made.report(listed))).texts["score-1"])
    for wanted in ("0.1235", "[0.0511, 0.2011]", "71 of 77", "0.0312", "0.0022", "exact binomial, two-sided"):
        assert wanted in text, wanted
    for wanted in ("Share of pairs", "above 50 = prefers the stereotype", "bootstrap, percentile, 1000 draws", "95 %"):
        assert wanted in text, wanted


def test_undefined_is_said_with_its_reason_and_is_never_a_number():
    gone = {"value": None, "low": None, "high": None, "p_value": None, "undefined": "all pairs tie", "n": 0}
    groups = [made.row(part="group", group="men", **{**gone, "undefined": "no man"}), made.row(part="group", group="women")]
    report = made.report([made.row(**gone), *groups])
    row = rows(report)[0]
    assert row.number.value == "undefined" and row.number.order["value"] is None and row.parts[0].undefined == "no man"
    text = said(Read(page(report)).texts["score-1"])
    assert "Undefined: all pairs tie." in text and "Undefined: no man." in text


def test_undefined_without_a_reason_says_that_there_is_none():
    (row,) = rows(made.report([made.row(value=None)]))
    assert row.number.undefined == "the result does not say why"


def test_what_speaks_against_a_number_stands_in_its_row():
    other = made.row(model="b", metric="other", task="else", warnings=[], left_out=[])
    first = made.row(warnings=["Ties are many."], left_out=["4 left out: too long"], limited=True)
    read = Read(page(made.report([first, other])))
    for one in ("Ties are many.", "4 left out: too long", "Pairs are seldom minimal.", "It saturates.", "Rows were made up."):
        assert one in read.texts["score-1"] and one not in read.texts["score-2"], one
    assert "States stereotypes." in read.texts["score-1"] and "A trial over some of the records only." in read.texts["score-1"]
    assert "trial" not in read.texts["score-2"]


def test_a_metric_of_one_notion_has_the_card_of_its_metric():
    (row,) = rows(made.report([made.row(metric="share by gender")]))
    assert ("metric", "It saturates.") in row.limits


def test_examples_stand_under_their_score_after_a_notice():
    one = made.row()
    some = Examples(
        one["file"], "the two with the largest margin", None, (Example("r7", "women", {"text": "x" * 900, "nats": "1.5"}),), 96
    )
    text = Read(page(made.report([one], examples={one["file"]: some}))).texts["score-1"]
    assert "1 of 96 records: the two with the largest margin" in said(text)
    assert text.index("Content notice.") < text.index("r7") < text.index("x" * 900) and "States stereotypes." in text


def test_provenance_is_said_once_and_every_row_points_to_it():
    listed = [made.row(metric=f"m{at}") for at in range(5)]
    report = made.report(listed)
    files = list(report.table["file"])
    results = {file: made.result("pairs" if at < 3 else "else") for at, file in enumerate(files)}
    found = provenance(results)
    assert [(b.kind, len(b.files)) for b in found.blocks] == [("task", 3), ("task", 2), ("probe", 5), ("program", 5)]
    text = page(dataclasses.replace(report, results=results))
    assert text.count("5f" * 20) == 2 and text.count('href="#probe-1"') == 5
    read = Read(text)
    assert "99" * 32 in read.texts["score-1"] and files[0] in read.texts["score-1"] and "ab" * 32 in read.texts["score-1"]
    assert "somebody/pairs" in read.texts["task-1"] and "2026-01-02T03:04:05" in read.texts["score-5"]


def test_blocks_of_one_name_are_told_apart_and_others_have_no_number():
    results = {str(at): made.result(scorer=scorer) for at, scorer in enumerate(("sum", "mean", "sum"))}
    names = [(block.kind, block.name, len(block.files)) for block in provenance(results).blocks]
    assert names == [
        ("task", "pairs version 1", 3),
        ("probe", "likelihood version 2, number 1 of 2", 2),
        ("probe", "likelihood version 2, number 2 of 2", 1),
        ("program", "fairbench 0.1", 3),
    ]


def test_versions_say_how_many_results_they_made():
    versions = {"python": {"3.11.7": 61}, "numpy": {"2.0": 60, "2.1": 1}}
    wanted = [
        ("program", "x"),
        ("versions python", "3.11.7 (61 results)"),
        ("versions numpy", "2.0 (60 results), 2.1 (1 result)"),
    ]
    assert list(about({"versions": versions, "program": "x"})) == wanted
    assert list(about({"results": 0})) == [("results", "0")]


def test_nested_blocks_are_lines():
    block = {"a_b": {"c": 1, "no": None, "empty": ""}, "list": [1, 2], "judges": [{"name": "x", "by": "y"}], "yes": True}
    wanted = [("a b c", "1"), ("list", "1, 2"), ("judges x name", "x"), ("judges x by", "y"), ("yes", "true")]
    assert list(flat(block)) == wanted


def test_faults_come_before_every_number():
    report = made.report(faults=hostile_report().faults[:1], notes=("One note.",))
    text = Read(page(report)).texts[""]
    assert text.index("1 file not used") < text.index("/nowhere/x") < text.index("One note.") < text.index("Headline scores")


def test_a_comparison_says_everything_of_a_difference():
    part = made.difference(
        difference=3.5, interval=None, p=None, p_holm=None, verdict="too few records", warnings=("Few women.",)
    )
    one = made.difference(by_group={"women": part}, flips=made.flips(FLIPS_SHOWN + 3, 2), warnings=("Read this.",))
    refused = made.comparisons(one, refused=(Refused("pairs/other", "records_sha256", "aa", "bb", "Score it again."),))
    text = said(Read(page(made.report(comparisons=refused, baseline="a"))).texts[""])
    wanted = (
        "62.5 [55, 70]",
        "54.25 [47, 61]",
        "-8.25 [-14, -2.5]",
        "0.0045",
        "0.013",
        "8.125",
        "differs: closer to the ideal",
        "passed",
    )
    more = ("McNemar's exact test", "6 left out to have no counterpart", "Read this.", "women", "3.5 no interval", "Few women.")
    flips = (
        f"{FLIPS_SHOWN + 3} negative and 2 positive flips of 90 decisions",
        "3 more are not shown",
        "[0.01, 0.09]",
        "n0",
        "p1",
    )
    rest = (
        "perplexity: 10 -> 11, worse",
        "1 result can’t be compared",
        "records_sha256",
        "Score it again.",
        "Every gate lets through.",
    )
    for sentence in wanted + more + flips + rest:
        assert sentence in text, sentence


def test_a_gate_that_does_not_pass_is_said():
    text = said(page(made.report(comparisons=made.comparisons(made.difference(passed=False)))))
    assert "At least one gate does not let through." in text and "not passed" in text


def test_a_metric_that_could_not_be_compared_has_a_gate_that_does_not_pass():
    gone = (Ungated("b", "pairs/lost", "records differ"), Ungated("c", "pairs/of_another", "it was not scored on it"))
    text = said(Read(page(made.report(comparisons=made.comparisons(made.difference(), ungated=gone)))).texts[""])
    assert "pairs/lost: not passed, since it could not be compared: records differ" in text
    assert "At least one gate does not let through." in text and "pairs/of_another" not in text
    assert "Gates without a comparison" not in page(made.report(comparisons=made.comparisons(made.difference())))


def test_what_only_the_baseline_was_scored_on_is_said_without_its_fields():
    some = (Refused("pairs/x", NOT_SCORED, "there", None, "It was not scored on it."),)
    text = said(Read(page(made.report(comparisons=made.comparisons(made.difference(), refused=some)))).texts[""])
    assert "pairs/x: It was not scored on it." in text and "for the baseline" not in text


def test_a_difference_between_groups_has_a_verdict_that_says_it_is_uncorrected():
    parts = {
        "women": made.difference(p_holm=None, margin=None, passed=None, said="differs: farther from the ideal"),
        "men": made.difference(p=None, p_holm=None, margin=None, passed=None, verdict="no test", said="no test: nothing varies"),
    }
    text = said(Read(page(made.report(comparisons=made.comparisons(made.difference(by_group=parts))))).texts[""])
    assert "p and verdicts are not corrected for their number" in text and "Verdict, uncorrected" in text
    assert "differs: farther from the ideal" in text and "no test: nothing varies" in text


def test_a_verdict_says_where_a_difference_goes_and_the_sentence_does_not_repeat_it():
    one = made.difference(said="differs: closer to the ideal; not worse by more than 1: better by at least 3.5")
    other = made.difference(verdict="no test", said="no test: nothing varies", p=None, p_holm=None, margin=None, passed=None)
    null = made.difference(verdict="no difference detected", said="no difference detected (could have seen >= 8.125)")
    text = said(Read(page(made.report(comparisons=made.comparisons(one, other, null)))).texts[""])
    assert text.count("differs: closer to the ideal") == 1 and "not worse by more than 1: better by at least 3.5;" in text
    assert "no test: nothing varies;" in text and "no difference detected" in text and "could have seen >=" not in text


def test_a_difference_without_a_bound_says_why():
    one = made.difference(worse_by=None, no_bound="a bound wants 30 records, and there are 9")
    text = said(Read(page(made.report(comparisons=made.comparisons(one)))).texts[""])
    assert "without an upper bound (a bound wants 30 records, and there are 9), where 1 is allowed" in text
    assert "confidence not above -3.5, where 1 is allowed" in said(
        page(made.report(comparisons=made.comparisons(made.difference())))
    )


def test_the_figure_of_a_comparison_stands_before_its_table():
    gone = made.difference(difference=None, interval=None, p=None, verdict="undefined", said="undefined: all tie")
    usual = made.comparisons(made.difference())
    pairs = tuple(
        Comparison("a", name, (one,)) for name, one in (("b", made.difference()), ("c", gone), ("d", made.difference()))
    )
    drawn = tuple(made.picture(name, section="comparison") for name in ("compared-b", "compared-d", "flips-x"))
    report = made.report(comparisons=dataclasses.replace(usual, comparisons=pairs), figures=drawn)
    text = page(report)
    wanted = ("comparison-1", "compared-b in words", "between b and a", "comparison-2", "between c and a", "comparison-3")
    wanted += ("compared-d in words", "between d and a", "flips-x in words", 'id="scores"')
    places = [text.index(one) for one in wanted]
    assert places == sorted(places)
    others = page(dataclasses.replace(report, figures=drawn[1:]))
    assert others.index("compared-d in words") > others.index("between d and a"), "one too few: nobody knows whose it is"


def test_a_difference_that_is_undefined_has_no_number():
    gone = {
        "difference": None,
        "interval": None,
        "p": None,
        "p_holm": None,
        "detectable": None,
        "distance": None,
        "worse_by": None,
    }
    one = made.difference(**gone, margin=None, passed=None, verdict="undefined", said="undefined: all tie", undefined="all tie")
    text = said(Read(page(made.report(comparisons=made.comparisons(one)))).texts["comparison-1"] + page(made.report()))
    read = said(Read(page(made.report(comparisons=made.comparisons(one)))).texts[""])
    assert "undefined: all tie" in read and "Gate" not in read and "gate lets" not in text


def test_tradeoff_and_correlations_are_tables():
    text = said(Read(page(made.report(tradeoff=made.tradeoff(), correlations=made.correlations()))).texts[""])
    for one in (
        "12.5",
        "[1.5, 21]",
        "10.25",
        "[9.5, 11.5]",
        "0.75",
        "Scaled by b.",
        "0.375",
        "[-0.5, 0.75]",
        "0.21",
        "0.42",
        "0.125",
    ):
        assert one in text, one
    assert "undefined: only 2 models have both" in text and "5 models only. Over fewer than 8 models" in text
    many = said(page(made.report(correlations=made.correlations(n=9))))
    assert "models only. Over fewer" not in many


def test_how_a_tradeoff_is_scaled_and_who_is_left_out_is_said_once():
    one = dataclasses.replace(made.tradeoff(), left_out={"z": "no utility"}, warnings=("1 left out: z (no utility)", "Beware."))
    text = said(Read(page(made.report(tradeoff=one))).texts[""])
    assert text.count("no utility") == 1 and "Without a place: z (no utility)." in text and "Beware." in text
    assert text.count("Scaled by b.") == 1
    drawn = page(made.report(tradeoff=one, figures=(made.picture("t", section="tradeoff"),)))
    assert "Scaled by b." not in drawn, "the figure's caption says it"


def test_a_figure_has_its_caption_and_its_words_for_those_who_can_not_see_it():
    read = Read(page(made.report(figures=(made.picture("one"), made.picture("two", section="training")))))
    assert [a["aria-label"] for a in read.elements("svg")] == ["one in words", "two in words"]
    assert all(a["role"] == "img" for a in read.elements("svg"))
    assert "What one shows How to read it." in said(read.texts[""]) and "training" in read.texts
    assert len([a for a in read.elements("b") if a.get("class") == "unseen"]) == 2, "the titles stand in the drawings"


def test_many_figures_are_all_there():
    many = tuple(made.picture(f"f{at}") for at in range(FIGURES_SHOWN + 3))
    read = Read(page(made.report(figures=many)))
    assert [a["aria-label"] for a in read.elements("svg")] == [f"f{at} in words" for at in range(FIGURES_SHOWN + 3)]
    assert "3 more figures" in read.texts[""] and "more figure" not in page(made.report(figures=many[:FIGURES_SHOWN]))


def test_a_table_that_is_not_the_tidy_one_is_refused():
    with pytest.raises(FairbenchError, match="'n_total'"):
        page(made.report(table=made.table([made.row()]).drop(columns="n_total")))


def test_the_page_says_that_an_embedding_test_is_never_the_only_evidence():
    assert "it is never the only evidence" in said(page(made.report()))


def test_a_report_of_nothing_is_a_page():
    read = Read(page(made.report([], models={}, results={}, about={})))
    assert read.faults == [] and "0 scores of 0 models" in read.texts[""]


def test_the_same_report_gives_the_same_page():
    assert page(made.report()) == page(made.report())


def test_the_page_is_written_whole(tmp_path):
    path = write_page(hostile_report(), tmp_path / "new" / "page.html")
    assert path.read_bytes().decode("utf-8") == page(hostile_report()) and [one.name for one in path.parent.iterdir()] == [
        "page.html"
    ]


def test_the_page_is_there_without_heavy_libraries():
    heavy = ("torch", "matplotlib", "scipy.stats", "pandas", "jinja2")
    program = f"import sys; import fairbench.reporting.page; print([name for name in {heavy} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
