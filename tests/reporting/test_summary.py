"""What is counted of a model's scores, worked by hand."""

from scipy.stats import norm

from fairbench.reporting.rows import rows
from fairbench.reporting.summary import EMBEDDING, EXTRINSIC, INTRINSIC, summaries
from fairbench.wording import figure
from tests.reporting import made


def counts(listed: list[dict[str, object]], **cards: object) -> dict[str, str]:
    report = made.report(listed, metrics={"share": made.card(), "weat": made.card(reads="Association"), **cards})
    (one,) = summaries(rows(report))
    return {tally.kind: tally.said for tally in one.tallies} | {"aside": one.aside, "caution": one.caution}


def test_a_summary_counts_each_kind_apart():
    away, near = {"low": 51.0, "high": 60.0}, {"low": 49.0, "high": 60.0}
    listed = [
        made.row(task="1", **away),
        made.row(task="2", **near),
        made.row(task="3", low=40.0, high=50.0),  # the interval holds the ideal at its end
        made.row(task="4", low=None, high=None, p_value=0.04),
        made.row(task="5", low=None, high=None, p_value=0.06),
        made.row(task="6", low=None, high=None, p_value=None),
        made.row(task="7", value=None, low=None, high=None),
        made.row(task="1", metric="weat", **away),
        made.row(task="8", kind="extrinsic", **near),
        made.row(task="9", kind="utility", **away),
        made.row(task="10", headline=False, **away),
        made.row(task="11", headline=None, **away),
        made.row(task="12", limited=True, variant="limit=9", **away),
        made.row(task="1", variant="scorer=mean", **away),  # a variant of a score that is there
        made.row(task="13", variant="scorer=mean", **away),  # the only one of its score
    ]
    assert counts(listed) == {
        EMBEDDING: "1 of 1",
        INTRINSIC: "3 of 6; 1 score without interval and p; 1 score undefined",
        EXTRINSIC: "0 of 1",
        "aside": "1 score of utility, 1 trial, 1 without a card",
        "caution": "",
    }


def test_an_embedding_test_is_never_the_only_evidence():
    assert "never evidence enough" in counts([made.row(metric="weat")])["caution"]
    assert "no extrinsic score" in counts([made.row(), made.row(metric="weat")])["caution"]


def test_what_could_be_missed_is_said_of_what_was_not_found():
    near = {"low": 45.0, "high": 60.0}
    gap = {"kind": "extrinsic", "value": 0.04, "low": 0.0, "high": 0.0931, "ideal": 0.0, "least": 0.0, "floor": 0.03}
    listed = [made.row(task="1", stderr=4.0, **near), made.row(task="2", **gap), made.row(task="3", low=55.0, high=60.0)]
    (one,) = summaries(rows(made.report(listed)))
    signed = figure((norm.ppf(0.975) + norm.ppf(0.8)) * 4.0)
    assert one.tallies[1].near[0].missed == f"a distance below {signed} could be missed"
    assert one.tallies[1].away[0].missed == ""
    assert one.tallies[2].near[0].missed == "a distance of 0.0931 is not ruled out"


def test_a_score_away_from_its_ideal_has_the_side_that_it_lies_on():
    no_ideal = {"ideal": None, "low": None, "high": None, "p_value": 0.001}
    listed = [
        made.row(task="1", value=57.0, low=55.0, high=60.0),
        made.row(task="2", value=40.0, low=30.0, high=45.0),
        made.row(task="3", **no_ideal),
        made.row(task="4", low=45.0, high=60.0),
    ]
    (one,) = summaries(rows(made.report(listed)))
    assert [line.side for line in one.tallies[1].away] == ["above it", "below it", ""]
    assert [line.side for line in one.tallies[1].near] == [""]
