"""LPBS, its gap and its effect size against plain loops written from the formulas, and their tests against enumeration."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pandas as pd
import pytest
from fairbench.metrics import lpbs as module
from fairbench.metrics.lpbs import UNTIED

from fairbench.errors import FairbenchError, Undefined
from fairbench.measurement import MeasureOptions, complete, measure
from fairbench.registry import Registry
from fairbench.slots import LACKS

FUNCTIONS = {"lpbs": module.lpbs, "lpbs_gap": module.lpbs_gap, "lpbs_effect_size": module.lpbs_effect_size}
METRICS = {name: Registry().metric(name) for name in FUNCTIONS}
OPTIONS = {"first": "", "mass_floor": 0.001}
WORDS = {"male": ("he", "man", "uncle"), "female": ("she", "woman", "aunt")}
every = pytest.mark.parametrize("name", FUNCTIONS)


def table(seed: int, attributes: int = 9, templates: int = 2, words: int = 2) -> pd.DataFrame:
    """Attributes of the sides male, female and none in turn, with the same words in every template."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "id": f"{t}/{a}/{word}",
            "template": f"[TARGET] {t} [ATTRIBUTE]",
            "attribute": f"job{a}",
            "cluster": f"job{a}",
            "meta.side": ("male", "female", "balanced")[a % 3],
            "group": group,
            "target": word,
            "mass": 0.5,
        }
        for t in range(templates)
        for a in range(attributes)
        for group, group_words in WORDS.items()
        for word in group_words[:words]
    ]
    return pd.DataFrame(rows).assign(log_p=rng.normal(-30, 1, len(rows)), log_prior=rng.normal(-30, 1, len(rows)))


def gained(rows: pd.DataFrame, group: str) -> float:
    """ILPS of a group in one cell, from probabilities."""
    own = rows[rows.group == group]
    return math.log(sum(map(math.exp, own.log_p))) - math.log(sum(map(math.exp, own.log_prior)))


def lpbs_of_cells(answers: pd.DataFrame, first: str = "male", second: str = "female") -> dict[tuple[str, str], float]:
    """LPBS by (attribute, template) of the cells that have both groups."""
    found = {}
    for (attribute, template), rows in answers.groupby(["attribute", "template"]):
        if {first, second} <= set(rows.group):
            found[attribute, template] = gained(rows, first) - gained(rows, second)
    return found


def by_attribute(answers: pd.DataFrame, **groups: str) -> dict[str, float]:
    cells = lpbs_of_cells(answers, **groups)
    names = sorted({attribute for attribute, _ in cells})
    return {name: statistics.fmean(v for (a, _), v in cells.items() if a == name) for name in names}


def loop(name: str, answers: pd.DataFrame, copies: dict[str, int] | None = None) -> float:
    """The metric in plain loops, with each attribute standing as often as `copies` says."""
    copies = copies or dict.fromkeys(answers.attribute, 1)
    if name == "lpbs":
        values = [v for (attribute, _), v in lpbs_of_cells(answers).items() for _ in range(copies[attribute])]
        return statistics.fmean(values) if values else math.nan
    side = dict(zip(answers.attribute, answers["meta.side"], strict=True))
    scores = [(side[a], v) for a, v in by_attribute(answers).items() for _ in range(copies[a]) if side[a] != "balanced"]
    sides = [[v for s, v in scores if s == wanted] for wanted in ("male", "female")]
    if not all(sides):
        return math.nan
    gap = statistics.fmean(sides[0]) - statistics.fmean(sides[1])
    if name == "lpbs_gap":
        return gap
    both = sides[0] + sides[1]
    return gap / statistics.stdev(both) if len(set(both)) > 1 else math.nan


def one(name: str, answers: pd.DataFrame, **options: object) -> float:
    return float(FUNCTIONS[name](answers, np.ones((1, len(answers))), **{**OPTIONS, **options})[0])


def significance(name: str, answers: pd.DataFrame):
    return METRICS[name].significance(complete(answers, METRICS[name].info), np.random.default_rng(0), **OPTIONS)


def hand() -> pd.DataFrame:
    """Four attributes in one template. LPBS: miner ln 2 - ln 1, pilot ln 4 - ln 2, nurse ln 1 - ln 2, judge (no side) ln 3."""
    rows = {
        "miner": ("male", [0.2, 0.2], [0.1, 0.1], [0.3], [0.3]),
        "pilot": ("male", [0.3, 0.1], [0.05, 0.05], [0.2], [0.1]),
        "nurse": ("female", [0.1, 0.1], [0.15, 0.05], [0.6], [0.3]),
        "judge": ("balanced", [0.3, 0.3], [0.1, 0.1], [0.2], [0.2]),
    }
    found = [
        {"attribute": name, "meta.side": side, "group": group, "target": word, "log_p": math.log(p), "log_prior": math.log(prior)}
        for name, (side, *probabilities) in rows.items()
        for group, words, ps, priors in (
            ("male", ("he", "man"), *probabilities[:2]),
            ("female", ("she",), *probabilities[2:]),
        )
        for word, p, prior in zip(words, ps, priors, strict=True)
    ]
    return pd.DataFrame(found).assign(template="[TARGET] is a [ATTRIBUTE].", mass=0.7)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lpbs", (math.log(2) + math.log(2) - math.log(2) + math.log(3)) / 4),
        ("lpbs_gap", 2 * math.log(2)),
        ("lpbs_effect_size", 2 * math.log(2) / math.sqrt(4 / 3 * math.log(2) ** 2)),  # ln 2, ln 2, -ln 2: squares 4/9 4/9 16/9
    ],
)
def test_case_worked_by_hand(name: str, expected: float):
    assert one(name, hand()) == pytest.approx(expected, abs=1e-12)
    score = measure(METRICS[name], hand(), MeasureOptions(draws=0))
    assert score.value == pytest.approx(expected, abs=1e-12)
    ilps = {"ilps_male": (3 * math.log(2) + math.log(3)) / 4, "ilps_female": 2 * math.log(2) / 4}  # of the four cells
    gains = ilps if name == "lpbs" else {}
    assert score.details == pytest.approx({"mass_mean": 0.7, "mass_min": 0.7} | gains)
    assert score.counts.items() >= {"cells": 4 if name == "lpbs" else 3, "targets_male": 2, "targets_female": 1}.items()
    if name != "lpbs":
        sides = {"attributes_male": 2, "attributes_female": 1}
        assert score.counts.items() >= sides.items()


@every
@pytest.mark.parametrize("seed", range(4))
def test_ones_equal_the_loops(name: str, seed: int):
    answers = table(seed, words=1 + seed % 3)
    assert one(name, answers) == pytest.approx(loop(name, answers), abs=1e-12)


@every
@pytest.mark.parametrize("seed", range(4))
def test_a_weight_is_the_number_of_copies_of_an_attribute(name: str, seed: int):
    answers = table(seed)
    jobs = sorted(set(answers.attribute))
    counts = np.random.default_rng(seed).integers(0, 4, size=(8, len(jobs)))
    of_row = answers.attribute.map(jobs.index).to_numpy()
    found = FUNCTIONS[name](answers, counts[:, of_row].astype(float), **OPTIONS)
    wanted = [loop(name, answers, dict(zip(jobs, row, strict=True))) for row in counts.tolist()]
    assert found == pytest.approx(wanted, abs=1e-10, nan_ok=True)


@every
def test_swapping_the_groups_negates_the_tilt_and_keeps_the_gap(name: str):
    answers = table(1)
    swapped = answers.assign(group=answers.group.map({"male": "female", "female": "male"}))
    mirrored = swapped.assign(**{"meta.side": answers["meta.side"].replace({"male": "female", "female": "male"})})
    assert one(name, swapped) == pytest.approx(-one(name, answers), abs=1e-12)
    assert one(name, mirrored) == pytest.approx(-one(name, answers) if name == "lpbs" else one(name, answers), abs=1e-12)


@every
def test_first_names_the_group_that_a_plus_speaks_for(name: str):
    answers = table(2)
    other = one(name, answers, first="female")
    assert one(name, answers, first="male") == one(name, answers)
    assert other == pytest.approx(-one(name, answers) if name == "lpbs" else one(name, answers), abs=1e-12)


def test_without_a_male_group_the_first_in_the_alphabet_leads():
    names = {"male": "young", "female": "old"}
    answers = table(3).assign(group=lambda t: t.group.map(names))
    assert one("lpbs", answers) == pytest.approx(-one("lpbs", table(3)), abs=1e-12)


@every
def test_the_prior_takes_away_what_words_have_anyway(name: str):
    answers = table(4)
    frequent = answers.assign(**{c: answers[c] + 2.0 * (answers.group == "male") for c in ("log_p", "log_prior")})
    assert one(name, frequent) == pytest.approx(one(name, answers), abs=1e-12)


@every
def test_the_order_of_rows_does_not_matter(name: str):
    answers = table(5)
    assert one(name, answers.iloc[::-1]) == pytest.approx(one(name, answers), abs=1e-12)


@every
def test_a_cell_without_a_group_is_left_out_and_counted(name: str):
    answers = table(6, words=1)
    answers.loc[(answers.attribute == "job0") & (answers.target == "he"), "left_out"] = "[TARGET]: unknown word"
    score = measure(METRICS[name], answers, MeasureOptions(draws=0))
    without = answers[answers.attribute != "job0"]
    assert score.value == pytest.approx(loop(name, without), abs=1e-12)
    assert score.left_out.items() >= {"[TARGET]: unknown word": 2, LACKS: 2}.items()
    assert score.n_records + sum(score.left_out.values()) == len(answers)
    assert score.n < score.n_total == 9


@every
def test_a_word_that_is_left_out_leaves_the_others_of_its_group(name: str):
    answers = table(7, words=3)
    answers.loc[answers.target == "man", "log_p"] = -math.inf
    score = measure(METRICS[name], answers, MeasureOptions(draws=0))
    assert score.value == pytest.approx(loop(name, answers[answers.target != "man"]), abs=1e-12)
    assert score.left_out["log_p is missing or not finite"] == 18 and score.counts["targets_male"] == 2


@pytest.mark.parametrize("name", ["lpbs_gap", "lpbs_effect_size"])
def test_attributes_of_no_side_are_no_units(name: str):
    answers = table(16)
    balanced = answers["meta.side"] == "balanced"
    score = measure(METRICS[name], answers, MeasureOptions(draws=50))
    assert score.left_out == {UNTIED: balanced.sum()}
    assert score.n == answers[~balanced].attribute.nunique() < score.n_total
    alone = measure(METRICS[name], answers[~balanced], MeasureOptions(draws=50))
    assert (score.interval, score.warnings, score.leave_one_out) == (alone.interval, alone.warnings, alone.leave_one_out)


UNDEFINED = [
    ("a single group", lambda t: t[t.group == "male"], r"all targets are of one group \(male\)"),
    ("three groups", lambda t: t.assign(group=np.where(t.target == "man", "other", t.group)), "categorical_bias_score"),
    ("no cell of both", lambda t: t[(t.group == "male") == (t["meta.side"] == "male")], "targets of all groups"),
    ("little mass", lambda t: t.assign(mass=0.0004), r"hold only 0.0004 of the probability.*mass_floor is 0.001"),
]


@every
@pytest.mark.parametrize(("change", "reason"), [case[1:] for case in UNDEFINED], ids=[case[0] for case in UNDEFINED])
def test_undefined_never_gives_a_number(name: str, change, reason: str):
    answers = change(table(8)).reset_index(drop=True)
    with pytest.raises(Undefined, match=reason):
        one(name, answers)
    score = measure(METRICS[name], answers, MeasureOptions(draws=20))
    assert score.value is None and score.interval is None and score.p_value is None
    assert {"cells", "targets_male"} <= set(score.counts)


@pytest.mark.parametrize("name", ["lpbs_gap", "lpbs_effect_size"])
def test_a_side_without_attributes_is_undefined(name: str):
    answers = table(9)
    with pytest.raises(Undefined, match="no attribute is tied to the group female: found the sides balanced, male"):
        one(name, answers[answers["meta.side"] != "female"])
    with pytest.raises(Undefined, match="no attribute is tied to the group male"):
        one(name, answers.assign(**{"meta.side": "town"}))


def test_an_effect_size_needs_three_attributes_and_a_spread():
    answers = table(10)
    with pytest.raises(Undefined, match="fewer than three attributes"):
        one("lpbs_effect_size", answers[answers.attribute.isin(["job0", "job1"])])
    flat = answers.assign(log_p=-2.0, log_prior=-3.0)
    with pytest.raises(Undefined, match="all attributes have the same LPBS"):
        one("lpbs_effect_size", flat)
    assert one("lpbs_gap", flat) == one("lpbs", flat) == 0.0


@every
def test_the_median_mass_decides_and_the_floor_can_be_moved(name: str):
    answers = table(11)
    some = answers.assign(mass=np.where(answers.attribute.isin(["job0", "job1", "job2", "job3"]), 1e-9, 0.2))
    assert one(name, some) == one(name, answers), "four of nine attributes do not move the median"
    score = measure(METRICS[name], some, MeasureOptions(draws=0))
    assert score.details["mass_min"] == 1e-9 and score.details["mass_mean"] == pytest.approx(
        (4e-9 + 5 * 0.2) / 9 if name == "lpbs" else (3e-9 + 3 * 0.2) / 6  # of nine attributes three are balanced
    )
    with pytest.raises(Undefined, match=r"mass_floor is 0\.3"):
        one(name, some, mass_floor=0.3)
    assert one(name, answers.assign(mass=0.0), mass_floor=0.0) == one(name, answers)


REFUSED = [
    ("twice", lambda t: pd.concat([t, t.iloc[:1]]), {}, "The target 'he' .* stands twice in the template"),
    ("clusters", lambda t: t.assign(cluster=t.target), {}, "two values of 'cluster'"),
    ("first", lambda t: t, {"first": "mal"}, "option first is 'mal'. Did you mean male"),
    ("floor", lambda t: t, {"mass_floor": 1.5}, "mass_floor is 1.5; wanted a probability"),
]


@every
@pytest.mark.parametrize(("change", "options", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_wrong_request_is_refused(name: str, change, options: dict[str, object], message: str):
    with pytest.raises(FairbenchError, match=message):
        one(name, change(table(12)), **options)


@pytest.mark.parametrize("name", ["lpbs_gap", "lpbs_effect_size"])
def test_an_attribute_has_one_side_and_one_cluster(name: str):
    answers = table(13)
    with pytest.raises(FairbenchError, match=r"two values of 'meta\.side'"):
        one(name, answers.assign(**{"meta.side": np.where(answers.template.str.contains("0"), "male", "female")}))
    with pytest.raises(FairbenchError, match=r"two values of 'cluster' .* for one attribute"):
        one(name, answers.assign(cluster=answers.template))
    with pytest.raises(FairbenchError, match=r"no column 'meta\.side'.*Wanted for this metric: .*meta\.side"):
        measure(METRICS[name], answers.drop(columns="meta.side"))


def test_the_tilt_may_be_clustered_otherwise():
    answers = table(13)
    score = measure(METRICS["lpbs"], answers.assign(cluster=answers.template), MeasureOptions(draws=50))
    assert score.value == pytest.approx(loop("lpbs", answers)) and score.n == 2


def test_p_of_the_tilt_flips_the_signs_of_whole_attributes():
    answers = table(14, attributes=8)
    net = list(by_attribute(answers).values())
    sums = [abs(math.fsum(s * v for s, v in zip(signs, net, strict=True))) for signs in itertools.product((1, -1), repeat=8)]
    p = significance("lpbs", answers)
    assert p.value == pytest.approx(sum(s >= sums[0] - 1e-9 for s in sums) / 2**8, abs=1e-12)
    assert p.method == "sign flips of 8 clusters, two-sided, exact"


@pytest.mark.parametrize("name", ["lpbs_gap", "lpbs_effect_size"])
@pytest.mark.parametrize("seed", range(3))
def test_p_of_the_gap_moves_whole_attributes(name: str, seed: int):
    answers = table(seed, attributes=12)
    side = dict(zip(answers.attribute, answers["meta.side"], strict=True))
    scores = {a: v for a, v in by_attribute(answers).items() if side[a] != "balanced"}
    first = [a for a in scores if side[a] == "male"]

    def gap(chosen: tuple[str, ...]) -> float:
        inside = [v for a, v in scores.items() if a in chosen]
        return statistics.fmean(inside) - statistics.fmean(v for a, v in scores.items() if a not in chosen)

    ways = [abs(gap(chosen)) for chosen in itertools.combinations(scores, len(first))]
    p = significance(name, answers)
    assert p.value == pytest.approx(sum(w >= abs(gap(tuple(first))) - 1e-12 for w in ways) / len(ways), abs=1e-12)
    assert p.method == "permutation of attributes, two-sided, exact"


def test_p_of_the_gap_is_sampled_where_there_are_too_many_ways():
    p = significance("lpbs_gap", table(3, attributes=60, templates=1))
    assert p.method == "permutation of attributes, two-sided, 100,000 sampled"
    assert p.value * 100_000 == pytest.approx(round(p.value * 100_000)) and 0 < p.value <= 1


def test_the_gap_keeps_the_number_of_attributes_a_side_in_every_draw():
    answers = table(15, attributes=6)
    score = measure(METRICS["lpbs_gap"], answers, MeasureOptions(draws=300))
    assert not any("no value" in warning for warning in score.warnings), "a draw without a side has no value"
    assert score.interval is not None and score.leave_one_out is not None and score.leave_one_out.units == 4
    without = answers[answers.attribute != score.leave_one_out.low_without]
    assert score.leave_one_out.low == pytest.approx(loop("lpbs_gap", without), abs=1e-12)


def test_the_level_of_the_gap_holds_where_nothing_is_planted(monkeypatch: pytest.MonkeyPatch):
    # Attributes differ, cells of one attribute are alike, and sides mean nothing: a p below .05 is a false alarm.
    monkeypatch.setattr(module, "EXACT_LIMIT", 400)
    rng = np.random.default_rng(0)
    answers = table(0, attributes=18, templates=3, words=1)
    job = answers.attribute.str[3:].astype(int).to_numpy()
    alarms = 0
    for _ in range(200):
        tilt = rng.normal(size=18)[job] + 0.3 * rng.normal(size=len(answers))
        noisy = answers.assign(log_p=-30.0 + np.where(answers.group == "male", tilt, 0.0), log_prior=-30.0)
        alarms += significance("lpbs_gap", noisy).value <= 0.05
    assert 0.02 <= alarms / 200 <= 0.09
