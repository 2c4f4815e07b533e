from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from fairbench.errors import FairbenchError
from fairbench.mitigation import following
from fairbench.reporting.figures.losses import COURSE, TERMS, losses, read_history, smooth
from fairbench.reporting.figures.style import drawn, svg


def history(n: int, **terms: float) -> list[dict[str, Any]]:
    """A log of n entries in which every term falls by a hundredth of itself an entry; the loss is their sum."""
    entries = [{"step": 10 * (i + 1), **{name: value * 0.99**i for name, value in terms.items()}} for i in range(n)]
    return [{**entry, "loss": sum(entry[name] for name in terms)} for entry in entries]


def artists(ax: Axes, gid: str) -> list[Any]:
    return [one for one in ax.findobj() if one.get_gid() == gid]


def test_every_term_has_a_raw_line_and_a_smoothed_one() -> None:
    log = history(48, kd=2.0, lm=3.0, cosine=0.5, focal=1.0)
    with drawn(7, 4) as ax:
        assert losses(log, ax) is ax
        raw, smoothed = artists(ax, "raw"), artists(ax, "smoothed")
        assert [one.get_label() for one in smoothed] == list(TERMS.values())
        for name, thin, thick in zip(TERMS, raw, smoothed, strict=True):
            seen = pd.Series([entry[name] for entry in log])
            assert list(thin.get_xdata()) == [entry["step"] for entry in log]
            assert thin.get_ydata() == pytest.approx(seen.to_numpy())
            assert thick.get_ydata() == pytest.approx(seen.rolling(5, center=True, min_periods=1).mean().to_numpy())
        assert len({(one.get_marker(), one.get_linestyle()) for one in smoothed}) > 1, "told apart in grey"
        assert len({one.get_marker() for one in smoothed}) == len(smoothed)
        assert "mean of 5 entries" in ax.get_xlabel()
        (legend,) = ax.figure.legends
        assert len(legend.get_texts()) == 5


def test_a_single_term_that_is_the_whole_loss_is_drawn_once() -> None:
    with drawn(7, 4) as ax:
        losses(history(10, kd=2.0), ax)
        assert [one.get_label() for one in artists(ax, "smoothed")] == ["loss, all of it distillation (KL)"]
    weighed = [{**entry, "loss": 5 * entry["kd"]} for entry in history(10, kd=2.0)]
    with drawn(7, 4) as ax:
        losses(weighed, ax)
        assert len(artists(ax, "smoothed")) == 2


def test_the_title_says_how_far_it_fell_and_when() -> None:
    fell = [{"step": step, "loss": loss} for step, loss in ((1, 10.0), (2, 2.0), (3, 0.9), (4, 0.5), (1000, 0.0))]
    with drawn(7, 4) as ax:
        losses(fell, ax)
        title = ax.get_title(loc="left").replace("\n", " ")
        assert title == "The loss fell from 10 to 0 over 1,000 steps; 90 % of the fall was made by step 3"
    with drawn(7, 4) as ax:
        losses([{"step": 1, "loss": 1.0}, {"step": 2, "loss": 1.5}], ax)
        assert ax.get_title(loc="left").startswith("The loss did not fall: 1 at first, 1.5 at last")
    with drawn(7, 4) as ax:
        losses([{"step": 7, "loss": 1.0}], ax)
        assert ax.get_title(loc="left") == "The loss was 1 after 7 steps"
        assert artists(ax, "smoothed")[0].get_marker() != "None", "a single entry is seen"


def test_a_wide_range_is_logarithmic_with_plain_numbers() -> None:
    with drawn(7, 4) as ax:
        losses(history(30, kd=0.01, lm=5.0), ax)
        assert ax.get_yscale() == "log"
        ax.figure.draw_without_rendering()
        labels = [label.get_text() for label in ax.get_yticklabels() if label.get_text()]
        assert labels
        assert all(float(label) > 0 for label in labels), "no mathematics"
        assert "mathdefault" not in svg(ax)
    with drawn(7, 4) as ax:
        losses([{"step": 1, "loss": 100.0}, {"step": 2, "loss": 0.0}], ax)
        assert ax.get_yscale() == "linear", "0 has no logarithm"


def test_a_term_that_is_absent_at_times_leaves_a_gap() -> None:
    log = history(6, kd=1.0, lm=2.0)
    del log[2]["lm"]
    with drawn(7, 4) as ax:
        losses(log, ax)
        lm = artists(ax, "raw")[2].get_ydata()
        assert np.isnan(lm).tolist() == [False, False, True, False, False, False]


@pytest.mark.parametrize("window", [1, 3, 5, 9])
@pytest.mark.parametrize("n", [1, 4, 30])
def test_smoothing_is_the_centred_rolling_mean(window: int, n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    values[n // 2 : n // 2 + 2] = np.nan
    expected = pd.Series(values).rolling(window, center=True, min_periods=1).mean().to_numpy()
    assert smooth(values, window) == pytest.approx(expected, nan_ok=True)


def test_a_file_is_read_by_itself_or_from_its_model(tmp_path: Path) -> None:
    log = history(3, kd=1.0, lm=2.0)
    course = following.Course(steps=30, epochs=1.0, seconds=2.0, tokens=99, history=tuple(log))
    assert following.COURSE == COURSE
    assert set(TERMS) == {"loss", *following.TERMS}
    (tmp_path / COURSE).write_text(json.dumps(course.as_dict()), encoding="utf-8")
    assert list(read_history(tmp_path)) == log == list(read_history(tmp_path / COURSE))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "can't be read"),
        ("[]", "no history"),
        ('{"history": []}', "no history"),
        ('{"history": [1]}', "entry 1 of the history: it is no object"),
        ('{"history": [{"step": 1}]}', "it has no loss"),
        ('{"history": [{"loss": 1}]}', "it has no step"),
        ('{"history": [{"step": 1, "loss": "1"}]}', "its loss is '1'"),
        ('{"history": [{"step": 1, "loss": true}]}', "its loss is True"),
        ('{"history": [{"step": 1, "loss": NaN}]}', "its loss is nan"),
        ('{"history": [{"step": 1, "loss": 1, "kd": null}]}', "it has no kd"),
        ('{"history": [{"step": 2, "loss": 1}, {"step": 2, "loss": 1}]}', "entry 2 of the history: step 2 comes after step 2"),
    ],
    ids=["cut short", "a list", "empty", "no object", "no loss", "no step", "text", "true", "nan", "null", "order"],
)
def test_a_broken_file_is_refused_in_one_paragraph(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / COURSE).write_text(content)
    with pytest.raises(FairbenchError, match=said) as refused:
        read_history(tmp_path)
    assert "\n" not in str(refused.value)
    assert "fairbench mitigate" in str(refused.value)


def test_an_absent_file_and_an_empty_log_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FairbenchError, match=r"training\.json can't be read"):
        read_history(tmp_path)
    with drawn(7, 4) as ax, pytest.raises(FairbenchError, match="no entry"):
        losses([], ax)
