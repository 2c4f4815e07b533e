from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.axes import Axes

from fairbench.errors import FairbenchError
from fairbench.reporting.figures.calibration import calibration, calibration_points
from fairbench.reporting.figures.style import drawn, svg

PLANTED = Path(__file__).parents[3] / "results" / "planted"


def points(**values: list[float | None]) -> pd.DataFrame:
    """Two seeds at dials 0, 0.5 and 1: of each series six values, seed after seed."""
    rows = [
        {"series": name, "dial": dial, "seed": seed, "value": value, "learned": 0.9 * dial + 0.01 * seed, "ideal": 0.0}
        for name, six in values.items()
        for (seed, dial), value in zip([(s, d) for s in (0, 1) for d in (0.0, 0.5, 1.0)], six, strict=True)
    ]
    table = pd.DataFrame(rows).astype({"value": float})
    return table.assign(low=table["value"] - 0.2, high=table["value"] + 0.2)


def artists(ax: Axes, gid: str) -> list[Any]:
    return [one for one in ax.findobj() if one.get_gid() == gid]


def test_means_seeds_and_intervals_stand_at_their_numbers() -> None:
    with drawn(7, 4) as ax:
        assert calibration(points(causal=[0.1, 1.0, 2.0, -0.3, 2.0, 4.0]), ax, metric="gap") is ax
        (means,), (seeds,), (spans,) = (artists(ax, gid) for gid in ("means", "seeds", "interval"))
        assert list(means.get_xdata()) == [0.0, 0.5, 1.0]
        assert list(means.get_ydata()) == pytest.approx([-0.1, 1.5, 3.0])
        assert list(seeds.get_ydata()) == pytest.approx([0.1, 1.0, 2.0, -0.3, 2.0, 4.0])
        ends = [(float(s[0][1]), float(s[1][1])) for s in spans.get_segments()]
        assert ends == [pytest.approx((v - 0.2, v + 0.2)) for v in (0.1, 1.0, 2.0, -0.3, 2.0, 4.0)]
        shift = seeds.get_xdata() - [0.0, 0.5, 1.0] * 2
        assert (abs(shift) < 0.25).all(), "nearer to its own dial than to the next"
        assert (abs(shift) > 0.03).all(), "beside the mean, not under it"
        (ideal,) = artists(ax, "ideal")
        assert set(ideal.get_ydata()) == {0.0}
        title = ax.get_title(loc="left").replace("\n", " ")
        assert title == "gap rises with the planted bias in causal; at 0 the interval holds the ideal in 1 of 2 models"


@pytest.mark.parametrize(
    ("values", "course"),
    [
        ([0.0, 1.0, 1.0], "rises"),
        ([1.0, 0.5, 0.5], "falls"),
        ([0.0, 1.0, 0.9], "goes up and down"),
        ([1.0, 1.0, 1.0], "does not move"),
    ],
    ids=["up and level", "down and level", "up and down", "level"],
)
def test_the_title_says_the_course_of_the_means(values: list[float | None], course: str) -> None:
    with drawn(7, 4) as ax:
        calibration(points(causal=values * 2), ax, metric="gap")
        assert f"gap {course} with the planted bias" in ax.get_title(loc="left").replace("\n", " ")


def test_series_have_their_own_lines_and_courses() -> None:
    both = points(causal=[0.0, 1.0, 2.0] * 2, masked=[0.0, 1.0, 0.5] * 2)
    with drawn(7, 4) as ax:
        calibration(both, ax, metric="gap")
        first, second = artists(ax, "means")
        assert (first.get_label(), second.get_label()) == ("causal", "masked")
        assert (first.get_marker(), first.get_linestyle()) != (second.get_marker(), second.get_linestyle())
        assert first.get_xdata() == pytest.approx([0.0, 0.5, 1.0], abs=0.05)
        (legend,) = ax.figure.legends
        assert [one.get_text() for one in legend.get_texts()] == ["causal", "masked"]
        title = ax.get_title(loc="left").replace("\n", " ")
        assert "rises with the planted bias in causal, goes up and down with the planted bias in masked" in title
        every = [x for one in artists(ax, "seeds") for x in one.get_xdata()]
        assert len(set(every)) == len(every), "no seed hides another"


def test_against_what_was_learnt_nothing_is_moved() -> None:
    with drawn(7, 4) as ax:
        calibration(points(causal=[0.0, 1.0, 2.0] * 2), ax, by="learned")
        (means,), (seeds,) = artists(ax, "means"), artists(ax, "seeds")
        assert list(means.get_xdata()) == pytest.approx([0.005, 0.455, 0.905])
        assert list(seeds.get_xdata()) == pytest.approx([0.0, 0.45, 0.9, 0.01, 0.46, 0.91])
        assert "learnt" in ax.get_title(loc="left")
        assert "learnt" in ax.get_xlabel()


def test_undefined_points_are_counted_not_drawn() -> None:
    with drawn(7, 4) as ax:
        calibration(points(causal=[0.0, None, 2.0, 0.0, 1.0, 3.0]), ax)
        assert list(artists(ax, "means")[0].get_ydata()) == pytest.approx([0.0, 1.0, 2.5])
        assert len(artists(ax, "seeds")[0].get_xdata()) == 5
        assert "1 of 6 undefined" in ax.get_xlabel()


def test_what_has_no_interval_is_not_said_to_have_one() -> None:
    bare = points(causal=[0.0, 1.0, 2.0] * 2).assign(low=float("nan"), high=float("nan"))
    with drawn(7, 4) as ax:
        calibration(bare, ax)
        assert not artists(ax, "interval")[0].get_segments()
        assert "there are no intervals" in ax.get_xlabel()
        assert "holds the ideal" not in ax.get_title(loc="left")
    with drawn(7, 4) as ax:
        calibration(points(causal=[0.0, 1.0, 2.0] * 2).query("seed == 0"), ax)
        assert "each point: one model, with its interval" in ax.get_xlabel()


def test_bare_columns_suffice_and_names_stay_text() -> None:
    bare = points(one=[0.0, 1.0, 2.0] * 2)[["dial", "value", "low", "high", "seed"]]
    with drawn(7, 4) as ax:
        calibration(bare, ax, metric="<script>" + "m" * 10_000)
        assert not artists(ax, "ideal")
        assert not ax.figure.legends
        assert len(ax.get_title(loc="left")) < 200
        assert "<script" not in svg(ax)
    with drawn(7, 4) as ax:
        calibration(points(**{"\u202eabc": [0.0, 1.0, 2.0] * 2, "$a$": [0.0, 1.0, 2.0] * 2}), ax)
        assert [one.get_label() for one in artists(ax, "means")] == ["abc", "$a$"]


@pytest.mark.parametrize(
    ("kind", "metric", "task", "options"),
    [
        ("causal", "crows_pairs", None, "default"),
        ("masked", "crows_pairs", None, "default"),
        ("causal", "crows_pairs", None, "scorer=mean"),
        ("masked", "stereoset_icat", "planted_cloze", "default"),
    ],
)
def test_the_kept_curves_have_the_means_that_their_file_says(kind: str, metric: str, task: str | None, options: str) -> None:
    content = json.loads((PLANTED / "curves.json").read_text(encoding="utf-8"))
    table = calibration_points(PLANTED / "curves.json", metric, task, options)
    asked = (kind, metric, options)
    said = next(
        row for row in content["curves"] if (row["kind"], row["metric"], row["options"]) == asked and task in (None, row["task"])
    )
    with drawn(7, 4) as ax:
        calibration(table[table["series"] == kind], ax, metric=metric)
        means = artists(ax, "means")[0]
        assert dict(zip(means.get_xdata(), means.get_ydata(), strict=True)) == pytest.approx(
            {float(name.removeprefix("at ")): value for name, value in said.items() if name.startswith("at ")}
        )


def test_other_kept_files_are_read_too() -> None:
    downstream = calibration_points(PLANTED / "downstream.json", "rms_tpr_gap")
    assert set(downstream["series"]) == {"masked-0.0"}
    assert sorted(downstream["dial"].unique()) == [0.0, 0.5, 1.0]
    assert "learned" not in downstream
    generation = calibration_points(PLANTED / "generation.json", "gender_polarity_gap", options="sampling_seed=1")
    assert len(generation) == 15


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"metric": "crows_pair"}, "Did you mean|crows_pairs"),
        ({"metric": "stereoset_ss"}, "on several tasks: planted_cloze, planted_cloze_after"),
        ({"metric": "crows_pairs", "options": "scorer=none"}, "no options 'scorer=none'"),
        ({"metric": "crows_pairs", "task": "planted_slots"}, "no task 'planted_slots'"),
    ],
    ids=["metric", "several tasks", "options", "task"],
)
def test_what_a_file_has_not_is_said(asked: dict[str, str], said: str) -> None:
    with pytest.raises(FairbenchError, match=said):
        calibration_points(PLANTED / "curves.json", **asked)


@pytest.mark.parametrize("content", ["{", "[]", '{"scores": []}', '{"scores": [1]}', '{"scores": [{"value": 1}]}'])
def test_a_broken_file_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "curves.json").write_text(content)
    with pytest.raises(FairbenchError, match="Wanted a file of results/planted"):
        calibration_points(tmp_path / "curves.json", "weat")


def test_points_that_can_not_be_drawn_are_refused() -> None:
    with drawn(7, 4) as ax:
        with pytest.raises(FairbenchError, match="no column seed"):
            calibration(points(a=[0.0, 1.0, 2.0] * 2).drop(columns="seed"), ax)
        with pytest.raises(FairbenchError, match="no column learned"):
            calibration(points(a=[0.0, 1.0, 2.0] * 2).drop(columns="learned"), ax, by="learned")
        with pytest.raises(FairbenchError, match="None of 6 points"):
            calibration(points(a=[None] * 6), ax)
